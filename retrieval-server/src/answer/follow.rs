//! `/follow`: samples from a time on, then every new one, until the client leaves.

use super::each::problem;
use super::timeline::{event_object, numbers};
use crate::error::{ApiError, Code};
use crate::follow::{FollowCursor, Moment, Place};
use crate::limits::{
    FOLLOW_CHANNELS_MAX, FOLLOW_END_NS, FOLLOW_HEARTBEAT, FOLLOW_PERIOD, FOLLOW_PERIOD_MAX,
    FOLLOW_TURN_BYTES, FOLLOW_TURN_SAMPLES,
};
use crate::names::{self, Target};
use crate::output::{Output, Stopped, Writer};
use crate::query::{Query, iso};
use crate::render::{FollowFormat, Notice};
use crate::segments;
use crate::server::ServerState;
use crate::transform::Transform;
use engine::read::{Position, Problem, REPLANS_MAX, ReadError};
use sample::{ChannelName, Event, SampleBlock, TimeRange, Timestamp};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Samples that are counted for a client which missed them; more are told without a count.
const COUNTED_MAX: u64 = 10_000_000;

/// One channel.
struct Followed {
    /// Its place in the request; that in the cursor is its place among the followed.
    channel: usize,
    stored: ChannelName,
    /// What was seen when nothing was left to send.
    seen: Option<u64>,
    /// Whether there was such a moment.
    caught_up: bool,
    /// Damage that was told.
    damage: Vec<TimeRange>,
    replans: usize,
    /// Why it could not be read just now.
    problem: Option<Value>,
}

/// A stream in progress.
struct Stream<'a> {
    state: &'a ServerState,
    to: Timestamp,
    transform: Transform,
    format: FollowFormat,
    cursor: FollowCursor,
    followed: Vec<Followed>,
    durable_until: Timestamp,
    /// Whether something was written that the client may not have yet.
    wrote: bool,
}

/// `/follow`.
pub(super) fn answer(state: &ServerState, query: &Query, output: &mut dyn Output) -> Result<(), Stopped> {
    let targets = names::targets(&state.reader, query)?;
    if targets.len() > FOLLOW_CHANNELS_MAX {
        let message = format!("{} channels; one stream follows {FOLLOW_CHANNELS_MAX}", targets.len());
        return Err(ApiError::of(Code::TooLarge, message).into());
    }
    let mut stream = Stream::of(state, query, &targets)?;
    let mut out = Writer::new(output, stream.format.media_type());
    stream.format.start(&mut out)?;
    stream.run(&mut out)?;
    let problems = stream.problems();
    stream.format.end(&mut out, &stream.cursor, &problems, stream.durable_until)?;
    out.finish()
}

impl<'a> Stream<'a> {
    fn of(state: &'a ServerState, query: &Query, targets: &[Target]) -> Result<Stream<'a>, ApiError> {
        let begun = match query.text("cursor") {
            Some(text) => {
                let message = "is not one that a stream gave; pass the id of its last event unchanged";
                Some(FollowCursor::decode(text).ok_or_else(|| ApiError::parameter("cursor", message))?)
            }
            None => None,
        };
        let to = query.time("to").unwrap_or(Timestamp::MAX);
        let asked = query.time("from").unwrap_or(query.now);
        if begun.is_none() && asked > to {
            let message =
                format!("from ({}) lies after to ({}); from is now unless given", iso(asked), iso(to));
            let error = ApiError::of(Code::BadTime, message);
            return Err(ApiError { parameter: Some("from".into()), ..error });
        }
        let from = begun.as_ref().map_or(asked, |cursor| cursor.from);
        let mut cursor = FollowCursor { from, places: Vec::new() };
        let mut followed = Vec::new();
        for (channel, target) in targets.iter().enumerate() {
            let Target::Known { stored, .. } = target else { continue };
            let known = begun.as_ref().and_then(|cursor| cursor.place(stored.as_str()));
            cursor.places.push(known.unwrap_or_else(|| Place::before(stored.as_str(), asked.max(from))));
            followed.push(Followed {
                channel,
                stored: stored.clone(),
                seen: None,
                caught_up: false,
                damage: Vec::new(),
                replans: 0,
                problem: None,
            });
        }
        Ok(Stream {
            state,
            to,
            transform: Transform::of(query),
            format: FollowFormat::new(query.choice("format") == Some("columns"), numbers(query), targets),
            cursor,
            followed,
            durable_until: Timestamp::MIN,
            wrote: false,
        })
    }

    fn run(&mut self, out: &mut Writer<'_>) -> Result<(), Stopped> {
        self.heartbeat(out, true, false)?;
        let mut live = false;
        let mut beat = Instant::now();
        loop {
            let began = Instant::now();
            let now = self.state.reader.now();
            let mut more = false;
            let mut durable_until = Timestamp::MAX;
            for of in 0..self.followed.len() {
                more |= self.turn(out, of, &mut durable_until)?;
            }
            if durable_until < Timestamp::MAX {
                self.durable_until = durable_until;
            }
            if (!more && !live) || beat.elapsed() >= FOLLOW_HEARTBEAT {
                live |= !more;
                beat = Instant::now();
                self.heartbeat(out, false, live)?;
            }
            if std::mem::take(&mut self.wrote) {
                out.hand_on()?;
            }
            if !more && now >= self.to.saturating_add(FOLLOW_END_NS) {
                return Ok(());
            }
            let pause = if more {
                Duration::ZERO
            } else {
                (began.elapsed() * 4).clamp(FOLLOW_PERIOD, FOLLOW_PERIOD_MAX)
            };
            if !out.pause(pause)? {
                return Ok(());
            }
        }
    }

    fn problems(&self) -> Vec<Value> {
        self.followed.iter().filter_map(|followed| followed.problem.clone()).collect()
    }

    fn heartbeat(&mut self, out: &mut Writer<'_>, first: bool, live: bool) -> Result<(), Stopped> {
        let mut told = json!({
            "now_ns": self.state.reader.now().0,
            "durable_until_ns": (self.durable_until > Timestamp::MIN).then_some(self.durable_until.0),
            "live": live,
            "problems": self.problems(),
        });
        if first {
            told["from_ns"] = json!(self.cursor.from.0);
            told["channels"] = json!(self.format.channels());
        }
        self.notice(out, (Notice::Heartbeat, None), told)
    }

    fn notice(
        &mut self,
        out: &mut Writer<'_>,
        about: (Notice, Option<usize>),
        told: Value,
    ) -> Result<(), Stopped> {
        self.wrote = true;
        self.format.notice(out, &self.cursor, about, self.durable_until, told)
    }

    /// Sends what is new of one channel; `true` if there is more.
    fn turn(&mut self, out: &mut Writer<'_>, of: usize, durable: &mut Timestamp) -> Result<bool, Stopped> {
        let channel = self.followed[of].channel;
        match self.news(out, of, durable) {
            Ok(more) => {
                let followed = &mut self.followed[of];
                (followed.problem, followed.replans) = (None, 0);
                followed.caught_up |= !more;
                Ok(more)
            }
            Err(Failure::Stopped(stopped)) => Err(stopped),
            Err(Failure::Read(error)) => {
                let followed = &mut self.followed[of];
                followed.seen = None;
                if matches!(error, ReadError::Vanished(_)) && followed.replans < REPLANS_MAX {
                    followed.replans += 1;
                    return Ok(true);
                }
                let name = self.format.channels()[channel]["name"].as_str().unwrap_or_default();
                let from = Timestamp(self.cursor.places[of].position.time);
                let found = Problem::of(&error, TimeRange::new(from, self.to));
                self.followed[of].problem = Some(problem(name, &found));
                Ok(false)
            }
        }
    }

    fn news(&mut self, out: &mut Writer<'_>, of: usize, durable: &mut Timestamp) -> Result<bool, Failure> {
        let from = self.cursor.from;
        let stored = &self.followed[of].stored;
        let moment = Moment::take(&self.state.reader, stored, &self.cursor.places[of], (from, self.to))?;
        *durable = (*durable).min(moment.durable_until());
        let seen = Some(moment.fingerprint()?);
        if self.followed[of].seen == seen {
            return Ok(false);
        }
        if self.followed[of].caught_up {
            self.skip_what_is_too_much(out, of, &moment)?;
        }
        for block in moment.late(&self.cursor.places[of])? {
            self.samples(out, of, &moment, block, true)?;
        }
        let mut events: VecDeque<Event> = moment
            .events(&self.cursor.places[of], from)
            .filter(|event| event.time < self.to)
            .cloned()
            .collect();
        let mut ahead = moment.ahead(self.cursor.places[of].position, self.to);
        let (mut samples, mut bytes) = (0, 0);
        while samples < FOLLOW_TURN_SAMPLES && bytes < FOLLOW_TURN_BYTES {
            let Some(block) = ahead.next() else {
                for event in events {
                    self.event(out, of, &event)?;
                }
                self.damage(out, of, &ahead.take_damage())?;
                self.followed[of].seen = seen;
                return Ok(false);
            };
            let block = block?;
            samples += block.len();
            bytes += block.values.byte_len();
            self.mixed(out, of, &moment, block, &mut events)?;
        }
        self.damage(out, of, &ahead.take_damage())?;
        Ok(true)
    }

    /// Samples, each behind the events that happened before it.
    fn mixed(
        &mut self,
        out: &mut Writer<'_>,
        of: usize,
        moment: &Moment,
        block: SampleBlock,
        events: &mut VecDeque<Event>,
    ) -> Result<(), Stopped> {
        let mut start = 0;
        while start < block.len() {
            let end = match events.front() {
                Some(event) => start + block.time[start..].partition_point(|time| *time < event.time.0),
                None => block.len(),
            };
            if (start, end) == (0, block.len()) {
                return self.samples(out, of, moment, block, false);
            }
            if end > start {
                self.samples(out, of, moment, block.slice(start, end), false)?;
                start = end;
            }
            if start < block.len()
                && let Some(event) = events.pop_front()
            {
                self.event(out, of, &event)?;
            }
        }
        Ok(())
    }

    fn samples(
        &mut self,
        out: &mut Writer<'_>,
        of: usize,
        moment: &Moment,
        block: SampleBlock,
        late: bool,
    ) -> Result<(), Stopped> {
        self.wrote = true;
        let channel = self.followed[of].channel;
        for segment in segments::cut(block, moment.metadata(), &self.transform) {
            self.format.samples(out, &mut self.cursor, channel, (of, late), segment)?;
        }
        Ok(())
    }

    fn event(&mut self, out: &mut Writer<'_>, of: usize, event: &Event) -> Result<(), Stopped> {
        self.cursor.places[of].sequence = event.sequence;
        self.notice(out, (Notice::Event, Some(self.followed[of].channel)), event_object(event))
    }

    /// Tells damage that was passed over, once.
    fn damage(&mut self, out: &mut Writer<'_>, of: usize, met: &[ReadError]) -> Result<(), Stopped> {
        for error in met {
            let found = Problem::of(error, TimeRange::new(self.cursor.from, self.to));
            if self.followed[of].damage.contains(&found.range) {
                continue;
            }
            self.followed[of].damage.push(found.range);
            let told = gap(found.range, None, "damaged");
            self.notice(out, (Notice::Gap, Some(self.followed[of].channel)), told)?;
        }
        Ok(())
    }

    /// A client that takes less than comes goes on with the newest sample, and is told what it missed.
    fn skip_what_is_too_much(
        &mut self,
        out: &mut Writer<'_>,
        of: usize,
        moment: &Moment,
    ) -> Result<(), Failure> {
        let place = self.cursor.places[of];
        let Some(newest) = moment.newest().map(|newest| newest.min(self.to)) else { return Ok(()) };
        if moment.backlog(place.position, newest)? <= self.state.settings.follow_behind_max {
            return Ok(());
        }
        let (mut first, mut count) = (None, 0);
        for block in moment.ahead(place.position, newest) {
            let block = block?;
            first = first.or(block.time.first().copied());
            count += block.len() as u64;
            if count > COUNTED_MAX {
                break;
            }
        }
        let Some(first) = first else { return Ok(()) };
        let missed = TimeRange::new(Timestamp(first), newest);
        self.cursor.places[of].position = Position { time: newest.0.saturating_sub(1), rank: u32::MAX };
        let told = gap(missed, (count <= COUNTED_MAX).then_some(count), "slow_reader");
        Ok(self.notice(out, (Notice::Gap, Some(self.followed[of].channel)), told)?)
    }
}

fn gap(range: TimeRange, count: Option<u64>, cause: &str) -> Value {
    json!({"from_ns": range.from.0, "to_ns": range.to.0, "count": count, "cause": cause})
}

/// Why a turn ended early.
enum Failure {
    Read(ReadError),
    Stopped(Stopped),
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Failure {
        Failure::Read(error)
    }
}

impl From<Stopped> for Failure {
    fn from(stopped: Stopped) -> Failure {
        Failure::Stopped(stopped)
    }
}
