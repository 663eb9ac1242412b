//! The coverage fold: what was known of a channel when.
//!
//! Samples and events together partition any interval exactly. States follow the order of receipt; each
//! takes effect at the later of its own time and the effect of the state before it, so intervals never
//! overlap or run backwards even when a server's clock is off:
//!
//! - before the first *started*: `not_archived` (a channel with samples and no events at all, as an
//!   import leaves it, is `held` from its first sample on);
//! - started, not connected: `disconnected`;
//! - *connected*: `held`; before the channel's first sample ever `unknown`;
//! - *disconnected*, noticed at t: `unknown` from `last_heard`, `disconnected` from t;
//! - *paused*: `paused`; *resumed*: as before; *stopped*, *retired*: `not_archived`;
//! - *engine down*: `engine_down`, afterwards `disconnected` until the next *connected*;
//! - *dropped* and damaged spans lie over what would be `held` or `unknown`, damage over drops;
//! - from where knowledge ends: `unknown` while an engine runs, else `engine_down`.

use sample::{Event, EventKind, TimeRange, Timestamp};

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
    /// Nanoseconds in each state that occurs.
    pub fn totals_ns(&self) -> Vec<(State, i64)> {
        let total = |state: State| {
            self.intervals.iter().filter(|i| i.state == state).map(|i| i.range.to.since(i.range.from)).sum()
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

/// What the fold works from.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The range to cover.
    pub range: TimeRange,
    /// The channel's events and its engine's by sequence, from some known state at or before the range on.
    pub events: &'a [Event],
    /// Time of the channel's first sample in order of receipt.
    pub first_sample: Option<Timestamp>,
    /// Stretches whose stored samples cannot be read.
    pub damaged: &'a [TimeRange],
    /// Up to here what happened is known.
    pub knowledge_ends: Timestamp,
    /// Whether an engine is running: decides what follows `knowledge_ends`.
    pub running: bool,
}

/// States in order of receipt with the times from which they hold.
struct Timeline {
    changes: Vec<(Timestamp, State)>,
    archiving: State,
    connected: bool,
    first_sample: Option<Timestamp>,
    sampled: bool,
}

impl Timeline {
    /// The state takes effect at the later of `time` and the effect of the state before it.
    fn enter(&mut self, time: Timestamp, state: State) {
        let effect = self.changes.last().map_or(time, |(before, _)| time.max(*before));
        self.changes.push((effect, state));
    }

    /// The state as archiving and connection stand.
    fn present(&self) -> State {
        match (self.archiving, self.connected) {
            (State::Held, true) if self.sampled => State::Held,
            (State::Held, true) => State::Unknown,
            (State::Held, false) => State::Disconnected,
            (other, _) => other,
        }
    }

    fn settle(&mut self, time: Timestamp) {
        let state = self.present();
        self.enter(time, state);
    }

    fn apply(&mut self, event: &Event) {
        let time = event.time;
        match &event.kind {
            EventKind::Started => {
                self.archiving = State::Held;
                self.settle(time);
            }
            EventKind::Connected { .. } => {
                self.connected = true;
                self.settle(time);
                if let Some(first) = self.first_sample.filter(|_| !self.sampled) {
                    self.sampled = true;
                    self.settle(first);
                }
            }
            EventKind::Disconnected { last_heard } => {
                if self.connected && self.archiving == State::Held {
                    self.enter(*last_heard, State::Unknown);
                }
                self.connected = false;
                self.settle(time);
            }
            EventKind::Paused => {
                self.archiving = State::Paused;
                self.settle(time);
            }
            EventKind::Resumed => {
                self.archiving = State::Held;
                self.settle(time);
            }
            EventKind::Stopped | EventKind::Retired => {
                self.archiving = State::NotArchived;
                self.settle(time);
            }
            EventKind::EngineDown { until } => {
                self.connected = false;
                if self.archiving != State::NotArchived {
                    self.enter(time, State::EngineDown);
                    self.settle(*until);
                }
            }
            EventKind::Dropped { .. } | EventKind::TimeReplaced { .. } => {}
        }
    }
}

/// The coverage of `facts.range`.
pub fn fold(facts: &Facts<'_>) -> Coverage {
    let mut timeline = Timeline {
        changes: Vec::new(),
        archiving: State::NotArchived,
        connected: false,
        first_sample: facts.first_sample,
        sampled: false,
    };
    let own = |e: &&Event| !matches!(e.kind, EventKind::EngineDown { .. } | EventKind::Dropped { .. });
    if !facts.events.iter().any(|event| own(&event)) {
        if let Some(first) = facts.first_sample {
            timeline.archiving = State::Held;
            timeline.connected = true;
            timeline.sampled = true;
            timeline.settle(first);
        }
    }
    for event in facts.events {
        timeline.apply(event);
    }
    if timeline.archiving != State::NotArchived {
        timeline.enter(facts.knowledge_ends, if facts.running { State::Unknown } else { State::EngineDown });
    }
    let base = cut(&timeline.changes, facts.range);
    let dropped: Vec<TimeRange> = facts
        .events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::Dropped { to, .. } => Some(TimeRange::new(event.time, to.saturating_add(1))),
            _ => None,
        })
        .collect();
    let with_drops = overlay(&base, &dropped, State::Dropped);
    overlay(&with_drops, facts.damaged, State::Damaged)
}

/// The part of a list of changes that lies in `range`.
fn cut(changes: &[(Timestamp, State)], range: TimeRange) -> Coverage {
    let mut coverage = Coverage::default();
    let (mut from, mut state) = (range.from, State::NotArchived);
    for (time, next) in changes {
        let to = (*time).clamp(range.from, range.to.max(range.from));
        coverage.push(from, to, state);
        (from, state) = (to, *next);
    }
    coverage.push(from, range.to, state);
    coverage
}

/// Lays `spans` over stretches where samples could have been.
fn overlay(coverage: &Coverage, spans: &[TimeRange], state: State) -> Coverage {
    let mut spans: Vec<TimeRange> = spans.iter().copied().filter(|s| !s.is_empty()).collect();
    spans.sort_by_key(|span| span.from);
    let mut out = Coverage::default();
    for interval in &coverage.intervals {
        let mut from = interval.range.from;
        if matches!(interval.state, State::Held | State::Unknown | State::Dropped) {
            for span in &spans {
                let (start, end) = (span.from.max(from), span.to.min(interval.range.to));
                if start < end {
                    out.push(from, start, interval.state);
                    out.push(start, end, state);
                    from = end;
                }
            }
        }
        out.push(from, interval.range.to, interval.state);
    }
    out
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

#[cfg(test)]
mod tests;
