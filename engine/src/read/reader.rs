//! Several archives answering as one.

use super::{
    Archive, ChannelDetail, ChannelFilter, ChannelState, ChannelSummary, ChannelView, Meter, Problem,
    ReadError, Spare, Verdict, Why,
};
use sample::{ChannelName, TimeRange, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// One archive among several.
pub struct Member {
    /// How problems call it.
    pub name: String,
    /// At equal time the lower number wins.
    pub priority: i32,
    /// The archive.
    pub archive: Arc<dyn Archive>,
}

/// Reads over one or more archives; channels are joined by name. Cheap to clone; every call blocks.
#[derive(Clone)]
pub struct Reader {
    members: Arc<[Member]>,
    /// When the answer began that this reader serves; `None` where each view is one by itself.
    since: Option<Instant>,
    /// What counts the reading.
    meter: Option<Arc<Meter>>,
    /// On what samples are loaded ahead.
    spare: Option<Arc<dyn Spare>>,
}

/// Suggestions for an unknown name.
const NEAR_MAX: usize = 5;

impl Reader {
    /// A reader over `members`.
    pub fn new(members: Vec<Member>) -> Reader {
        Reader { members: sorted(members), since: None, meter: None, spare: None }
    }

    /// A reader as this one over `members`.
    pub fn over(&self, members: Vec<Member>) -> Reader {
        Reader { members: sorted(members), ..self.clone() }
    }

    /// The same archives for one answer that begins now: whether files have changed is not looked at for every channel.
    pub fn for_one_answer(&self) -> Reader {
        Reader { since: Some(Instant::now()), ..self.clone() }
    }

    /// The same archives; `meter` counts what is read of them.
    pub fn counted_by(&self, meter: Arc<Meter>) -> Reader {
        Reader { meter: Some(meter), ..self.clone() }
    }

    /// The same archives; long scans decode ahead of who reads them on processors that `spare` lends.
    pub fn decoding_ahead(&self, spare: Arc<dyn Spare>) -> Reader {
        Reader { spare: Some(spare), ..self.clone() }
    }

    /// On what samples are loaded ahead.
    pub fn spare(&self) -> Option<&Arc<dyn Spare>> {
        self.spare.as_ref()
    }

    /// The archives by priority.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The present time: the latest that any member shows.
    pub fn now(&self) -> Timestamp {
        self.members.iter().map(|m| m.archive.now()).max().unwrap_or(Timestamp(0))
    }

    /// Asks every member; fails only if all fail.
    fn ask<T>(&self, question: impl Fn(&dyn Archive) -> Result<T, ReadError>) -> Result<Vec<T>, ReadError> {
        let (mut answers, mut failure) = (Vec::new(), None);
        for member in self.members.iter() {
            match question(&*member.archive) {
                Ok(answer) => answers.push(answer),
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            Some(error) if answers.is_empty() => Err(error),
            _ => Ok(answers),
        }
    }

    /// The stored name behind a name or an alias.
    ///
    /// # Errors
    /// No archive that answers knows it, and one that might does not answer.
    pub fn resolve(&self, requested: &str) -> Result<Option<ChannelName>, ReadError> {
        let mut failure = None;
        for member in self.members.iter() {
            match member.archive.resolve(requested) {
                Ok(Some(stored)) => return Ok(Some(stored)),
                Ok(None) => {}
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(None), Err)
    }

    /// Up to five known names that look like `requested`.
    pub fn near(&self, requested: &str) -> Vec<String> {
        let mut near: Vec<String> = Vec::new();
        for name in self.members.iter().flat_map(|m| m.archive.near(requested, NEAR_MAX)) {
            if !near.contains(&name) {
                near.push(name);
            }
        }
        near.truncate(NEAR_MAX);
        near
    }

    /// Channels of all archives in bytewise order; one known to several is one row.
    pub fn channels(&self, filter: &ChannelFilter<'_>) -> Result<Vec<ChannelSummary>, ReadError> {
        let mut rows: BTreeMap<ChannelName, ChannelSummary> = BTreeMap::new();
        for row in self.ask(|archive| archive.channels(filter))?.into_iter().flatten() {
            match rows.entry(row.name.clone()) {
                std::collections::btree_map::Entry::Vacant(vacant) => {
                    vacant.insert(row);
                }
                std::collections::btree_map::Entry::Occupied(mut known) => join(known.get_mut(), row),
            }
        }
        let limit = if filter.limit == 0 { usize::MAX } else { filter.limit };
        Ok(rows.into_values().take(limit).collect())
    }

    /// Everything about a channel, metadata as of `time`; the best archive that knows it.
    pub fn channel(&self, name: &ChannelName, time: Timestamp) -> Result<Option<ChannelDetail>, ReadError> {
        let mut details = self.ask(|archive| archive.channel(name, time))?.into_iter().flatten();
        let Some(mut detail) = details.next() else { return Ok(None) };
        for other in details {
            join(&mut detail.summary, other.summary);
            detail.types.extend(other.types);
            detail.types.sort_by_key(|(from, _)| *from);
            detail.types.dedup_by_key(|(_, value_type)| *value_type);
            detail.live = detail.live.or(other.live);
            detail.metadata = detail.metadata.or(other.metadata);
        }
        Ok(Some(detail))
    }

    /// Why a name is or is not archived: the verdict of the archive that knows most about it.
    pub fn why(&self, name: &str) -> Result<Why, ReadError> {
        let answers = self.ask(|archive| archive.why(name))?;
        let known = answers.iter().position(|why| why.verdict == Verdict::Archived);
        let asked = answers.iter().position(|why| why.verdict != Verdict::NotRequested);
        let best = known.or(asked).unwrap_or(0);
        answers.into_iter().nth(best).ok_or_else(|| ReadError::Unavailable("no archive is configured".into()))
    }

    /// One channel at this moment over all archives; an archive that cannot be reached is a problem of the view.
    pub fn view(&self, name: &ChannelName, range: TimeRange) -> Result<Option<ChannelView>, ReadError> {
        let begun = Instant::now();
        let (mut snapshots, mut problems, mut failure) = (Vec::new(), Vec::new(), None);
        for member in self.members.iter() {
            let found = match self.since {
                Some(since) => member.archive.snapshots_since(name, range, since),
                None => member.archive.snapshots(name, range),
            };
            match found {
                Ok(mut found) => {
                    if let Some(meter) = &self.meter {
                        found.iter_mut().for_each(|snapshot| meter.count(snapshot));
                    }
                    snapshots.extend(found);
                }
                Err(error) => {
                    let mut problem = Problem::of(&error, range);
                    problem.message = format!("archive {}: {}", member.name, problem.message);
                    problems.push(problem);
                    failure = Some(error);
                }
            }
        }
        if let Some(meter) = &self.meter {
            meter.planned(begun);
        }
        match (snapshots.is_empty(), failure) {
            (true, Some(error)) => Err(error),
            _ => Ok(ChannelView::new(name.clone(), snapshots, problems, (self, range))),
        }
    }
}

fn sorted(mut members: Vec<Member>) -> Arc<[Member]> {
    members.sort_by_key(|member| member.priority);
    members.into()
}

/// Joins two archives' rows of one channel; `row` is of the better one.
fn join(row: &mut ChannelSummary, other: ChannelSummary) {
    row.value_type = row.value_type.or(other.value_type);
    row.first = [row.first, other.first].into_iter().flatten().min();
    row.last = row.last.max(other.last);
    row.samples += other.samples;
    row.bytes += other.bytes;
    row.connected = match (row.connected, other.connected) {
        (Some(a), Some(b)) => Some(a || b),
        (a, b) => a.or(b),
    };
    if other.state == ChannelState::Connected && row.state != ChannelState::Connected {
        row.state = other.state;
        row.reason = other.reason;
        row.origin = other.origin;
    }
}
