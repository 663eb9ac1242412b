//! The coverage fold: what was known of a channel when.
//!
//! Samples and events together partition any interval exactly. States follow the order of receipt; each
//! takes effect at the later of its own time and the effect of the state before it, so intervals never
//! overlap or run backwards even when a clock is off. An event that changes no state moves nothing.
//!
//! - before the first *started*: `not_archived` (a channel with samples and no events of its own, as an
//!   import leaves it, is `held` from its first sample on);
//! - started, not connected: `disconnected`;
//! - *connected*: `held` if a sample was ever received, else `unknown` until the first one: `held` from the
//!   later of its stamp and the connection;
//! - *disconnected*, noticed at t: `unknown` from `last_heard`, `disconnected` from t;
//! - *paused*: `paused`; *resumed*: as the connection stands; *stopped*, *retired*: `not_archived`, with
//!   the connection gone;
//! - *engine down*: `engine_down`, afterwards `disconnected` until the next *connected* (or still `paused`);
//! - from where knowledge ends: `unknown` while an engine runs, else `engine_down`; `not_archived` stays;
//! - *dropped* spans, first to last dropped stamp, lie over what would be `held` or `unknown`; damaged
//!   spans lie over these three. Behind such a span the state is what it was.

mod overlay;
#[cfg(test)]
mod tests;
mod timeline;

use sample::{Event, EventKind, TimeRange, Timestamp};

use overlay::overlay;
use timeline::Timeline;

/// What was known of a channel.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum State {
    /// Its value was known.
    Held,
    /// Samples came and could not be stored.
    Dropped,
    /// Stored samples cannot be read.
    Damaged,
    /// Nobody can tell.
    Unknown,
    /// No connection to its server.
    Disconnected,
    /// An operator paused it.
    Paused,
    /// The engine did not run.
    EngineDown,
    /// Nobody asked for it.
    NotArchived,
}

impl State {
    /// Every state; of several archives' the earlier in this order counts.
    pub const ALL: [State; 8] = [
        State::Held,
        State::Dropped,
        State::Damaged,
        State::Unknown,
        State::Disconnected,
        State::Paused,
        State::EngineDown,
        State::NotArchived,
    ];

    /// The HTTP interface's name.
    pub fn name(self) -> &'static str {
        match self {
            State::Held => "held",
            State::Dropped => "dropped",
            State::Damaged => "damaged",
            State::Unknown => "unknown",
            State::Disconnected => "disconnected",
            State::Paused => "paused",
            State::EngineDown => "engine_down",
            State::NotArchived => "not_archived",
        }
    }
}

/// A stretch of time in one state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Interval {
    /// When, half open.
    pub range: TimeRange,
    /// What.
    pub state: State,
}

/// Intervals that partition a range: contiguous, in order, neighbours of different states.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Coverage {
    /// The intervals; none for an empty range.
    pub intervals: Vec<Interval>,
}

impl Coverage {
    /// Nanoseconds in each state that occurs, held at the end of the i64 range.
    pub fn totals_ns(&self) -> Vec<(State, i64)> {
        let total = |state: State| {
            let intervals = self.intervals.iter().filter(|interval| interval.state == state);
            intervals.fold(0, |ns: i64, i| ns.saturating_add(i.range.to.since(i.range.from)))
        };
        State::ALL.into_iter().map(|state| (state, total(state))).filter(|(_, ns)| *ns > 0).collect()
    }

    /// Appends a stretch behind the last one.
    fn push(&mut self, from: Timestamp, to: Timestamp, state: State) {
        if from >= to {
            return;
        }
        match self.intervals.last_mut() {
            Some(last) if last.state == state => last.range.to = to,
            _ => self.intervals.push(Interval { range: TimeRange::new(from, to), state }),
        }
    }
}

/// The first sample that was ever received of a channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FirstSample {
    /// Its stamp.
    pub time: Timestamp,
    /// Its place in the order of receipt. Where that was not kept it is taken to follow the first
    /// connection in which it can have come: stamps run at most [`AHEAD_NS_MAX`] ahead of their receipt.
    pub sequence: Option<u64>,
}

impl From<Timestamp> for FirstSample {
    fn from(time: Timestamp) -> FirstSample {
        FirstSample { time, sequence: None }
    }
}

/// How far the stamp of a stored sample is taken to lie ahead of its receipt at most: 30 minutes, as an
/// archive's `future_limit` is unless set otherwise.
pub const AHEAD_NS_MAX: i64 = 30 * 60 * 1_000_000_000;

/// What the fold works from.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The range to cover.
    pub range: TimeRange,
    /// The channel's events and its engine's by sequence, from some known state at or before the range on.
    pub events: &'a [Event],
    /// The channel's first sample in order of receipt.
    pub first_sample: Option<FirstSample>,
    /// Stretches whose stored samples cannot be read.
    pub damaged: &'a [TimeRange],
    /// Up to here what happened is known.
    pub knowledge_ends: Timestamp,
    /// Whether an engine is running: decides what follows `knowledge_ends`.
    pub running: bool,
}

/// The coverage of `facts.range`.
pub fn fold(facts: &Facts<'_>) -> Coverage {
    let states = Timeline::of(facts).cut(facts.range);
    let dropped = facts.events.iter().filter_map(|event| match &event.kind {
        EventKind::Dropped { to, .. } => Some(TimeRange::new(event.time, to.saturating_add(1))),
        _ => None,
    });
    let with_drops = overlay(&states, dropped.collect(), State::Dropped);
    overlay(&with_drops, facts.damaged.to_vec(), State::Damaged)
}

/// Several archives' coverages of one range as one: at each moment the state that knows most.
pub fn best_of(range: TimeRange, each: &[Coverage]) -> Coverage {
    if let [only] = each {
        return only.clone();
    }
    let mut edges: Vec<Timestamp> = each.iter().flat_map(|c| &c.intervals).map(|i| i.range.from).collect();
    edges.push(range.from);
    edges.sort_unstable();
    edges.dedup();
    let mut out = Coverage::default();
    for (k, from) in edges.iter().enumerate() {
        let to = edges.get(k + 1).copied().unwrap_or(range.to);
        let at = |c: &Coverage| {
            let i = c.intervals.partition_point(|i| i.range.to <= *from);
            c.intervals.get(i).map_or(State::NotArchived, |i| i.state)
        };
        let state = each.iter().map(at).min().unwrap_or(State::NotArchived);
        out.push(*from, to, state);
    }
    out
}
