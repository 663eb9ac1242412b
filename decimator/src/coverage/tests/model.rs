//! The fold against a model that paints every instant.

use std::collections::BTreeMap;

use proptest::prelude::*;
use sample::{DropCause, Event, EventKind, TimeRange, Timestamp};

use crate::coverage::{AHEAD_NS_MAX, Coverage, Facts, FirstSample, State, fold};

/// Instants the model knows: 0 to this.
const END: i64 = 400;

/// What happens to a channel, in order of receipt; times by the engine's clock, samples by the server's.
#[derive(Clone, Debug)]
enum Happening {
    Event(i64, EventKind),
    Sample(i64),
}

/// One state for each instant, painted from each state's effect to the end.
struct Picture {
    states: Vec<State>,
    effect: i64,
}

impl Picture {
    fn paint(&mut self, time: i64, state: State) {
        // The picture's last instant stands for all that come after.
        let present = self.states[END as usize];
        if state == present {
            return;
        }
        self.effect = self.effect.max(time);
        for at in self.effect.clamp(0, END)..=END {
            self.states[at as usize] = state;
        }
    }

    fn lay(&mut self, from: i64, to: i64, state: State, over: &[State]) {
        for at in from.max(0)..to.min(END) {
            if over.contains(&self.states[at as usize]) {
                self.states[at as usize] = state;
            }
        }
    }
}

/// The state at each instant, from the rules as written.
fn painted(story: &[Happening], damaged: &[(i64, i64)], ends: i64, running: bool) -> Vec<State> {
    let mut picture = Picture { states: vec![State::NotArchived; END as usize + 1], effect: i64::MIN };
    let (mut asked, mut paused, mut on_line, mut seen) = (false, false, false, false);
    for happening in story {
        let time = match happening {
            Happening::Sample(time) if !seen => {
                seen = true;
                *time
            }
            Happening::Sample(_) => continue,
            Happening::Event(time, kind) => {
                match kind {
                    EventKind::Started => (asked, paused) = (true, false),
                    EventKind::Stopped | EventKind::Retired => {
                        (asked, paused, on_line) = (false, false, false)
                    }
                    EventKind::Paused => (asked, paused) = (true, true),
                    EventKind::Resumed => (asked, paused) = (true, false),
                    EventKind::Connected { .. } => on_line = true,
                    EventKind::Disconnected { last_heard } => {
                        if asked && !paused && on_line {
                            picture.paint(last_heard.0, State::Unknown);
                        }
                        on_line = false;
                    }
                    EventKind::EngineDown { until } => {
                        on_line = false;
                        if asked {
                            picture.paint(*time, State::EngineDown);
                            picture.paint(until.0, if paused { State::Paused } else { State::Disconnected });
                        }
                        continue;
                    }
                    _ => continue,
                }
                *time
            }
        };
        let state = if !asked {
            State::NotArchived
        } else if paused {
            State::Paused
        } else if !on_line {
            State::Disconnected
        } else if seen {
            State::Held
        } else {
            State::Unknown
        };
        picture.paint(time, state);
    }
    if asked {
        picture.paint(ends, if running { State::Unknown } else { State::EngineDown });
    }
    for happening in story {
        if let Happening::Event(from, EventKind::Dropped { to, .. }) = happening {
            picture.lay(*from, to.0 + 1, State::Dropped, &[State::Held, State::Unknown]);
        }
    }
    for (from, to) in damaged {
        picture.lay(*from, *to, State::Damaged, &[State::Held, State::Unknown, State::Dropped]);
    }
    picture.states.truncate(END as usize);
    picture.states
}

struct Told {
    events: Vec<Event>,
    first: Option<FirstSample>,
}

/// The story as the archive stores it: events, with the first sample's stamp beside its place.
fn told(story: &[Happening]) -> Told {
    let mut told = Told { events: Vec::new(), first: None };
    for (sequence, happening) in (1u64..).zip(story) {
        match happening {
            Happening::Event(time, kind) => {
                told.events.push(Event { time: Timestamp(*time), sequence, kind: kind.clone() });
            }
            Happening::Sample(time) => {
                told.first.get_or_insert(FirstSample { time: Timestamp(*time), sequence: Some(sequence) });
            }
        }
    }
    told
}

fn spans(pairs: &[(i64, i64)]) -> Vec<TimeRange> {
    pairs.iter().map(|(from, to)| TimeRange::new(Timestamp(*from), Timestamp(*to))).collect()
}

/// The state at each instant as the fold says, having checked that its intervals partition the range.
fn folded(facts: &Facts<'_>) -> Vec<State> {
    states(&fold(facts), facts.range)
}

fn states(coverage: &Coverage, range: TimeRange) -> Vec<State> {
    let mut states = Vec::new();
    let mut at = range.from;
    for (k, interval) in coverage.intervals.iter().enumerate() {
        assert_eq!(interval.range.from, at, "contiguous");
        assert!(interval.range.to > at, "not empty");
        assert!(k == 0 || coverage.intervals[k - 1].state != interval.state, "neighbours differ");
        states.extend((at.0..interval.range.to.0).map(|_| interval.state));
        at = interval.range.to;
    }
    assert_eq!(at, range.to.max(range.from), "to the end");
    let sum: i64 = coverage.totals_ns().iter().map(|(_, ns)| ns).sum();
    assert_eq!(sum, states.len() as i64);
    states
}

fn connected() -> EventKind {
    EventKind::Connected { host: "ioc:5064".into() }
}

fn dropped(to: i64) -> EventKind {
    EventKind::Dropped { to: Timestamp(to), count: 1, cause: DropCause::Memory, last: None }
}

/// Anything in any order with any times.
fn happening() -> impl Strategy<Value = Happening> {
    let kind = prop_oneof![
        3 => Just(connected()),
        3 => (-20..END + 20).prop_map(|at| EventKind::Disconnected { last_heard: Timestamp(at) }),
        2 => Just(EventKind::Started),
        1 => Just(EventKind::Stopped),
        1 => Just(EventKind::Retired),
        1 => Just(EventKind::Paused),
        1 => Just(EventKind::Resumed),
        1 => (-20..END + 20).prop_map(|at| EventKind::EngineDown { until: Timestamp(at) }),
        1 => (-20..END + 20).prop_map(dropped),
        1 => Just(EventKind::TimeReplaced { original: Timestamp(0) }),
    ];
    prop_oneof![
        4 => (-20..END + 20, kind).prop_map(|(time, kind)| Happening::Event(time, kind)),
        1 => (-20..END + 20).prop_map(Happening::Sample),
    ]
}

/// A life as engines record it, the engine's clock right, the server's off by up to 60 instants (4 minutes,
/// with an instant of 4 s).
fn script() -> impl Strategy<Value = (Vec<Happening>, i64)> {
    let outage = (0..7u8, 1..40i64, 1..30i64, 0..5i64);
    (-60..60i64, 0..30i64, proptest::collection::vec(outage, 0..12)).prop_map(|(offset, start, outages)| {
        let mut story = vec![Happening::Event(start, EventKind::Started)];
        let mut now = start;
        for (kind, lasts, away, notice) in outages {
            now += away;
            story.push(Happening::Event(now, connected()));
            if kind != 6 {
                story.push(Happening::Sample(now + offset));
            }
            now += lasts;
            story.push(Happening::Event(
                now,
                match kind {
                    0..3 => EventKind::Disconnected { last_heard: Timestamp(now - notice.min(lasts)) },
                    3 => EventKind::EngineDown { until: Timestamp(now + notice) },
                    4 => dropped(now + notice),
                    5 => EventKind::Paused,
                    _ => EventKind::Retired,
                },
            ));
            match kind {
                3 => now += notice,
                5 => story.push(Happening::Event(now + notice, EventKind::Resumed)),
                6 => story.push(Happening::Event(now + notice, EventKind::Started)),
                _ => {}
            }
            now += notice;
        }
        (story, now)
    })
}

const WHOLE: TimeRange = TimeRange { from: Timestamp(0), to: Timestamp(END) };

fn facts<'a>(told: &'a Told, damaged: &'a [TimeRange], ends: i64, running: bool) -> Facts<'a> {
    Facts {
        range: WHOLE,
        events: &told.events,
        first_sample: told.first,
        damaged,
        knowledge_ends: Timestamp(ends),
        running,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn scripts_of_outages_with_a_clock_that_is_off((story, ends) in script(), running: bool) {
        let told = told(&story);
        let fact = facts(&told, &[], ends, running);
        let truth = painted(&story, &[], ends, running);
        prop_assert_eq!(&folded(&fact), &truth);
        // A connection always brings a sample here unless it ends in *retired*: its place need not be kept.
        let first = told.first.map(|first| FirstSample { sequence: None, ..first });
        if !story.iter().any(|h| matches!(h, Happening::Event(_, EventKind::Retired))) {
            prop_assert_eq!(&folded(&Facts { first_sample: first, ..fact }), &truth);
        }
    }

    #[test]
    fn any_story_at_all(
        story in proptest::collection::vec(happening(), 0..30),
        damaged in proptest::collection::vec((-20..END + 20, -20..END + 20), 0..4),
        ends in -20..END + 20,
        running: bool,
        sub in (-20..END + 20, -20..END + 20),
    ) {
        let told = told(&story);
        let damage = spans(&damaged);
        let fact = facts(&told, &damage, ends, running);
        let own = told.events.iter().any(|e| {
            !matches!(e.kind, EventKind::EngineDown { .. } | EventKind::Dropped { .. })
        });
        if own || told.first.is_none() {
            prop_assert_eq!(folded(&fact), painted(&story, &damaged, ends, running));
        }
        let whole = TimeRange::new(Timestamp(-20), Timestamp(END + 20));
        let part = TimeRange::new(Timestamp(sub.0), Timestamp(sub.1));
        let all = folded(&Facts { range: whole, ..fact });
        let some = folded(&Facts { range: part, ..fact });
        let cut = if sub.0 < sub.1 { &all[(sub.0 + 20) as usize..(sub.1 + 20) as usize] } else { &[] };
        prop_assert_eq!(&some[..], cut);
    }

    #[test]
    fn extreme_times_still_partition(
        times in proptest::collection::vec((any::<i64>(), any::<i64>(), 0..6u8), 0..20),
        first: Option<i64>,
        ends: i64,
        range: (i64, i64),
        running: bool,
    ) {
        let kind = |kind: u8, other: i64| match kind {
            0 => EventKind::Started,
            1 => connected(),
            2 => EventKind::Disconnected { last_heard: Timestamp(other) },
            3 => EventKind::EngineDown { until: Timestamp(other) },
            4 => dropped(other),
            _ => EventKind::Resumed,
        };
        let events: Vec<Event> = (1..)
            .zip(&times)
            .map(|(sequence, (time, other, k))| Event { time: Timestamp(*time), sequence, kind: kind(*k, *other) })
            .collect();
        for range in [TimeRange::new(Timestamp(range.0), Timestamp(range.1)), TimeRange::ALL] {
            let coverage = fold(&Facts {
                range,
                events: &events,
                first_sample: first.map(|time| Timestamp(time).into()),
                damaged: &[],
                knowledge_ends: Timestamp(ends),
                running,
            });
            let mut at = range.from;
            for interval in &coverage.intervals {
                prop_assert!(interval.range.from == at && interval.range.to > at);
                at = interval.range.to;
            }
            prop_assert_eq!(at, range.to.max(range.from));
            let totals: BTreeMap<State, i64> = coverage.totals_ns().into_iter().collect();
            prop_assert!(totals.values().all(|ns| *ns > 0));
        }
    }
}

#[test]
fn a_first_connection_without_a_sample_does_not_delay_what_follows() {
    let hour = 2 * AHEAD_NS_MAX;
    let story = [
        Happening::Event(0, EventKind::Started),
        Happening::Event(hour, connected()),
        Happening::Event(2 * hour, EventKind::Disconnected { last_heard: Timestamp(2 * hour) }),
        Happening::Event(9 * hour, connected()),
        Happening::Sample(9 * hour + 5),
    ];
    let told = told(&story);
    for first in [told.first, told.first.map(|first| FirstSample { sequence: None, ..first })] {
        let coverage = fold(&Facts {
            range: TimeRange::new(Timestamp(0), Timestamp(10 * hour)),
            first_sample: first,
            ..facts(&told, &[], 20 * hour, true)
        });
        let found: Vec<_> = coverage.intervals.iter().map(|i| (i.range.from.0, i.state)).collect();
        assert_eq!(
            found,
            [
                (0, State::Disconnected),
                (hour, State::Unknown),
                (2 * hour, State::Disconnected),
                (9 * hour, State::Unknown),
                (9 * hour + 5, State::Held),
            ]
        );
    }
}
