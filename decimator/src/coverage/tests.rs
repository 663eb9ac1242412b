//! The fold against hand-made timelines.

mod model;

use super::*;

fn event(sequence: u64, time: i64, kind: EventKind) -> Event {
    Event { time: Timestamp(time), sequence, kind }
}

fn folded(events: &[Event], first_sample: Option<i64>, running: bool, ends: i64) -> Vec<(i64, i64, State)> {
    let coverage = fold(&Facts {
        range: TimeRange::new(Timestamp(0), Timestamp(1000)),
        events,
        first_sample: first_sample.map(|time| Timestamp(time).into()),
        damaged: &[],
        knowledge_ends: Timestamp(ends),
        running,
    });
    coverage.intervals.iter().map(|i| (i.range.from.0, i.range.to.0, i.state)).collect()
}

#[test]
fn a_plain_life() {
    let connected = || EventKind::Connected { host: "ioc:5064".into() };
    let events = [
        event(1, 100, EventKind::Started),
        event(2, 150, connected()),
        event(3, 400, EventKind::Disconnected { last_heard: Timestamp(370) }),
        event(4, 500, connected()),
        event(5, 700, EventKind::EngineDown { until: Timestamp(800) }),
        event(6, 810, connected()),
    ];
    assert_eq!(
        folded(&events, Some(160), true, 950),
        [
            (0, 100, State::NotArchived),
            (100, 150, State::Disconnected),
            (150, 160, State::Unknown),
            (160, 370, State::Held),
            (370, 400, State::Unknown),
            (400, 500, State::Disconnected),
            (500, 700, State::Held),
            (700, 800, State::EngineDown),
            (800, 810, State::Disconnected),
            (810, 950, State::Held),
            (950, 1000, State::Unknown),
        ]
    );
}

#[test]
fn an_import_without_events_is_held_from_its_first_sample() {
    assert_eq!(
        folded(&[], Some(300), false, 600),
        [(0, 300, State::NotArchived), (300, 600, State::Held), (600, 1000, State::EngineDown)]
    );
}

#[test]
fn of_two_archives_the_one_that_knows_more_counts() {
    let coverage = |intervals: &[(i64, i64, State)]| Coverage {
        intervals: intervals
            .iter()
            .map(|(from, to, state)| Interval {
                range: TimeRange::new(Timestamp(*from), Timestamp(*to)),
                state: *state,
            })
            .collect(),
    };
    let one = coverage(&[(0, 40, State::Held), (40, 100, State::NotArchived)]);
    let two = coverage(&[(0, 60, State::Disconnected), (60, 100, State::Held)]);
    let range = TimeRange::new(Timestamp(0), Timestamp(100));
    let expected = coverage(&[(0, 40, State::Held), (40, 60, State::Disconnected), (60, 100, State::Held)]);
    assert_eq!(best_of(range, &[one.clone(), two]), expected);
    assert_eq!(best_of(range, std::slice::from_ref(&one)), one);
}
