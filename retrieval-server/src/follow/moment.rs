//! One followed channel at one moment: what lies behind the last sample that was sent.

use super::Place;
use crate::limits::FOLLOW_LATE_NS;
use engine::limits::LATE_RANK_FIRST;
use engine::read::{Part, Position, ReadError, Reader, Run, Scan, Snapshot, Union};
use sample::{ChannelName, Event, Metadata, SampleBlock, TimeRange, Timestamp};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

/// A channel at one moment in every archive that knows it.
pub(crate) struct Moment {
    /// In order of priority; never empty.
    snapshots: Vec<Snapshot>,
    /// From the oldest late sample that would still be sent on.
    window: TimeRange,
}

impl Moment {
    /// The channel now. `from` is the first instant that was asked for, `to` that behind the range.
    ///
    /// # Errors
    /// No archive that knows the channel answers.
    pub(crate) fn take(
        reader: &Reader,
        name: &ChannelName,
        place: &Place,
        (from, to): (Timestamp, Timestamp),
    ) -> Result<Moment, ReadError> {
        let oldest = Timestamp(place.position.time).saturating_add(-FOLLOW_LATE_NS).max(from);
        let window = TimeRange::new(oldest, to);
        let (mut snapshots, mut failure) = (Vec::new(), None);
        for member in reader.members() {
            match member.archive.snapshots(name, window) {
                Ok(found) => snapshots.extend(found),
                Err(error) => failure = Some(error),
            }
        }
        match (snapshots.is_empty(), failure) {
            (false, _) => Ok(Moment { snapshots, window }),
            (true, Some(error)) => Err(error),
            (true, None) => Err(ReadError::Unavailable(format!("{name} has gone from the archive"))),
        }
    }

    /// A number that differs where there may be anything new.
    pub(crate) fn fingerprint(&self) -> Result<u64, ReadError> {
        let mut hasher = DefaultHasher::new();
        for snapshot in &self.snapshots {
            (snapshot.runs.len(), snapshot.metadata.len(), snapshot.events.len()).hash(&mut hasher);
            if let Some(event) = snapshot.events.last() {
                event.sequence.hash(&mut hasher);
            }
            for run in self.touching(snapshot) {
                for part in run.parts(self.window)? {
                    (part.first, part.last, part.count).hash(&mut hasher);
                }
            }
        }
        Ok(hasher.finish())
    }

    fn touching<'a>(&self, snapshot: &'a Snapshot) -> impl Iterator<Item = &'a Arc<dyn Run>> {
        let window = self.window;
        snapshot.runs.iter().filter(move |run| {
            let (first, last) = run.span();
            window.touches(first, last)
        })
    }

    /// Samples that came late, behind `place`, and were not sent yet, in the order of arrival, one a block. Where
    /// several archives have the channel there is no such order, and none is found.
    pub(crate) fn late(&self, place: &Place) -> Result<Vec<SampleBlock>, ReadError> {
        let [snapshot] = self.snapshots.as_slice() else { return Ok(Vec::new()) };
        let behind = Timestamp(place.position.time).saturating_add(1).min(self.window.to);
        let window = TimeRange::new(self.window.from, behind);
        let mut found: Vec<SampleBlock> = Vec::new();
        if window.is_empty() {
            return Ok(found);
        }
        let is_late = |part: &Part| part.first.rank >= LATE_RANK_FIRST;
        for run in self.touching(snapshot) {
            for part in run.parts(window)?.iter().filter(|part| is_late(part)) {
                let block = match run.load(part, window) {
                    Err(ReadError::Damaged { .. }) => continue,
                    block => block?,
                };
                for i in block.indices(window) {
                    let (time, rank) = block.position(i);
                    let is_new = rank >= LATE_RANK_FIRST
                        && rank - LATE_RANK_FIRST >= place.late
                        && Position { time, rank } <= place.position;
                    if is_new {
                        found.push(block.slice(i, i + 1));
                    }
                }
            }
        }
        found.sort_by_key(|block| (block.rank[0], block.time[0]));
        found.dedup_by_key(|block| block.position(0));
        Ok(found)
    }

    /// Samples behind `position`, oldest first.
    pub(crate) fn ahead(&self, position: Position, to: Timestamp) -> Union {
        let range = TimeRange::new(Timestamp(position.time), to);
        let scan = Scan { beyond: Some(position), skip_damaged: true, ..Scan::ascending(range) };
        Union::new(self.snapshots.iter().map(|snapshot| snapshot.runs.as_slice()), scan)
    }

    /// At least how many samples lie behind `position`: those of the parts that begin there.
    pub(crate) fn backlog(&self, position: Position, to: Timestamp) -> Result<u64, ReadError> {
        let range = TimeRange::new(Timestamp(position.time), to);
        let mut most = 0;
        for snapshot in &self.snapshots {
            let mut count = 0;
            for run in &snapshot.runs {
                let parts = run.parts(range)?;
                let behind = parts.iter().filter(|part| part.first > position);
                count += behind.map(|part| u64::from(part.count)).sum::<u64>();
            }
            most = most.max(count);
        }
        Ok(most)
    }

    /// Time of the newest sample.
    pub(crate) fn newest(&self) -> Option<Timestamp> {
        self.snapshots.iter().flat_map(|snapshot| &snapshot.runs).map(|run| run.span().1).max()
    }

    /// Events that happened at `from` or later and were not sent yet, by sequence. Drops that still go on are told
    /// when they end.
    pub(crate) fn events(&self, place: &Place, from: Timestamp) -> impl Iterator<Item = &Event> {
        let sequence = place.sequence;
        let events = self.snapshots.first().map(|snapshot| snapshot.events.as_slice()).unwrap_or_default();
        events.iter().filter(move |e| e.sequence > sequence && e.sequence < u64::MAX && e.time >= from)
    }

    /// Changes of metadata as the best archive knows them, by time.
    pub(crate) fn metadata(&self) -> &[(Timestamp, Arc<Metadata>)] {
        self.snapshots.iter().map(|s| s.metadata.as_slice()).find(|m| !m.is_empty()).unwrap_or(&[])
    }

    /// Everything received at or before this survives a crash, in every archive.
    pub(crate) fn durable_until(&self) -> Timestamp {
        self.snapshots.iter().map(|s| s.durable_until).min().unwrap_or(Timestamp::MIN)
    }
}
