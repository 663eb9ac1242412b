//! The states of a channel in order of receipt.

use sample::{Event, EventKind, TimeRange, Timestamp};

use super::{AHEAD_NS_MAX, Coverage, Facts, FirstSample, State};

/// States with the times from which they hold; neither times nor receipt run backwards.
pub(super) struct Timeline {
    changes: Vec<(Timestamp, State)>,
    archiving: Archiving,
    connected: bool,
    sampled: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Archiving {
    Off,
    On,
    Paused,
}

impl Timeline {
    pub(super) fn of(facts: &Facts<'_>) -> Timeline {
        let mut timeline =
            Timeline { changes: Vec::new(), archiving: Archiving::Off, connected: false, sampled: false };
        match facts.first_sample {
            Some(first) if !facts.events.iter().any(is_own) => timeline.import(first),
            first => timeline.follow(facts.events, first),
        }
        if timeline.archiving != Archiving::Off {
            let after = if facts.running { State::Unknown } else { State::EngineDown };
            timeline.enter(facts.knowledge_ends, after);
        }
        timeline
    }

    /// A channel that no source ever served.
    fn import(&mut self, first: FirstSample) {
        self.archiving = Archiving::On;
        self.enter(first.time, State::Held);
    }

    fn follow(&mut self, events: &[Event], first: Option<FirstSample>) {
        let first = first.map(|first| (received_before(events, first), first.time));
        for (at, event) in events.iter().enumerate() {
            if let Some((_, time)) = first.filter(|(before, _)| *before == at) {
                self.receive_first(time);
            }
            self.apply(event);
        }
        if let Some((_, time)) = first.filter(|(before, _)| *before >= events.len()) {
            self.receive_first(time);
        }
    }

    fn receive_first(&mut self, time: Timestamp) {
        self.sampled = true;
        self.settle(time);
    }

    fn apply(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Started | EventKind::Resumed => self.archiving = Archiving::On,
            EventKind::Paused => self.archiving = Archiving::Paused,
            EventKind::Connected { .. } => self.connected = true,
            EventKind::Stopped | EventKind::Retired => {
                self.archiving = Archiving::Off;
                self.connected = false;
            }
            EventKind::Disconnected { last_heard } => {
                if self.connected && self.archiving == Archiving::On {
                    self.enter(*last_heard, State::Unknown);
                }
                self.connected = false;
            }
            EventKind::EngineDown { until } => {
                self.connected = false;
                if self.archiving != Archiving::Off {
                    self.enter(event.time, State::EngineDown);
                    self.settle(*until);
                }
                return;
            }
            EventKind::Dropped { .. } | EventKind::TimeReplaced { .. } => return,
        }
        self.settle(event.time);
    }

    /// Enters the state as archiving with connection stand.
    fn settle(&mut self, time: Timestamp) {
        let state = match (self.archiving, self.connected, self.sampled) {
            (Archiving::Off, ..) => State::NotArchived,
            (Archiving::Paused, ..) => State::Paused,
            (Archiving::On, false, _) => State::Disconnected,
            (Archiving::On, true, false) => State::Unknown,
            (Archiving::On, true, true) => State::Held,
        };
        self.enter(time, state);
    }

    fn enter(&mut self, time: Timestamp, state: State) {
        let (effect, present) = self.changes.last().copied().unwrap_or((Timestamp::MIN, State::NotArchived));
        if state != present {
            self.changes.push((time.max(effect), state));
        }
    }

    /// The part that lies in `range`.
    pub(super) fn cut(&self, range: TimeRange) -> Coverage {
        let mut coverage = Coverage::default();
        let (mut from, mut state) = (range.from, State::NotArchived);
        for (time, next) in &self.changes {
            let to = (*time).max(range.from).min(range.to);
            coverage.push(from, to, state);
            (from, state) = (to, *next);
        }
        coverage.push(from, range.to, state);
        coverage
    }
}

/// Whether an event tells of the channel's own connection or archiving.
fn is_own(event: &Event) -> bool {
    !matches!(event.kind, EventKind::EngineDown { .. } | EventKind::Dropped { .. })
}

/// How many of the events were received before the first sample.
fn received_before(events: &[Event], first: FirstSample) -> usize {
    if let Some(sequence) = first.sequence {
        return events.iter().take_while(|event| event.sequence < sequence).count();
    }
    let mut connected = None;
    for (at, event) in events.iter().enumerate() {
        match event.kind {
            EventKind::Connected { .. } if connected.is_none() => connected = Some(at),
            EventKind::Disconnected { .. }
            | EventKind::EngineDown { .. }
            | EventKind::Stopped
            | EventKind::Retired => {
                // By the engine's clock the connection ended at this event's time at the latest.
                if connected.is_some() && first.time <= event.time.saturating_add(AHEAD_NS_MAX) {
                    break;
                }
                connected = None;
            }
            _ => {}
        }
    }
    connected.map_or(events.len(), |at| at + 1)
}
