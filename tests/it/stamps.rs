//! Stamps as control systems send them: equal, unset, early, late, years old.

use crate::rig::{DAY, HOUR, MINUTE, MONDAY, Rig, SECOND, WEEK, double, name};
use engine::config::{ChannelSettings, Mode, StampRule};
use engine::source::Arrival;
use sample::{DropCause, EventKind, Metadata, TimeRange, Timestamp, Value};
use std::time::Duration;

const NOW: i64 = MONDAY + 30 * HOUR;

/// Asks in memory, after a flush, after a restart.
fn everywhere(rig: &mut Rig, look: impl Fn(&Rig)) {
    look(rig);
    rig.flush();
    look(rig);
    rig.restart(SECOND);
    look(rig);
    rig.tick();
    rig.flush();
    rig.restart(SECOND);
    look(rig);
}

#[test]
fn of_two_updates_with_one_stamp_the_last_counts() {
    for values in [vec![1.0, 0.0], vec![0.0, 1.0, 0.0], vec![0.0, -0.0, 0.0], vec![2.0, 1.0, 0.0]] {
        for one_batch in [true, false] {
            let mut rig = Rig::with(NOW, &["A"]);
            rig.connect("A", "ioc:5064");
            if one_batch {
                let sent = values.iter().map(|v| ("A", Arrival::Sample(double(NOW, *v))));
                rig.arrive_all(sent);
            } else {
                values.iter().for_each(|v| rig.sample("A", NOW, *v));
            }
            everywhere(&mut rig, |rig| {
                let expected: Vec<_> = values.iter().map(|v| (NOW, v.to_bits())).collect();
                let found: Vec<_> = rig.doubles("A").iter().map(|(t, v)| (*t, v.to_bits())).collect();
                assert_eq!(found, expected);
                for time in [NOW, NOW + 1, NOW + DAY] {
                    let edge = rig.at("A", time).unwrap();
                    assert_eq!(edge.value, Value::Float64(0.0), "{values:?}");
                    assert_eq!(edge.rank as usize, values.len() - 1);
                }
                assert_eq!(rig.at("A", NOW - 1), None);
            });
        }
    }
}

#[test]
fn an_unset_stamp_is_replaced_by_the_receipt_once() {
    for stamp in [0, 631_152_000 * SECOND, 631_152_000 * SECOND + 5] {
        let mut rig = Rig::with(NOW, &["A"]);
        rig.connect("A", "ioc:5064");
        rig.advance(SECOND);
        rig.sample("A", stamp, 4.0);
        let stored = rig.doubles("A");
        assert_eq!(stored.len(), 1);
        assert!((NOW..NOW + 2 * SECOND).contains(&stored[0].0));
        let replaced = |rig: &Rig| -> Vec<_> {
            let events = rig.events("A").into_iter();
            events.filter(|e| matches!(e.kind, EventKind::TimeReplaced { .. })).collect()
        };
        assert_eq!(replaced(&rig).len(), 1);
        assert_eq!(replaced(&rig)[0].kind, EventKind::TimeReplaced { original: Timestamp(stamp) });
        assert_eq!(replaced(&rig)[0].time.0, stored[0].0);
        // The same again after reconnects and restarts of the engine; nothing else came in between.
        for round in 0..3 {
            if round == 1 {
                rig.restart(MINUTE);
            } else {
                rig.advance(MINUTE);
                rig.disconnect("A", rig.now());
            }
            rig.advance(MINUTE);
            rig.connect("A", "ioc:5064");
            rig.sample("A", stamp, 4.0);
            assert_eq!(rig.doubles("A"), stored, "round {round}");
            assert_eq!(replaced(&rig).len(), 1);
            assert_eq!(rig.ledger("A").redelivered, if round == 0 { 1 } else { round });
        }
        rig.sample("A", stamp, 5.0);
        assert_eq!(rig.doubles("A").len(), 2);
    }
}

#[test]
fn an_engine_clock_ten_minutes_behind_loses_nothing() {
    let mut rig = Rig::with(NOW, &["A", "B"]);
    rig.connect("A", "a:1");
    rig.connect("B", "b:1");
    for k in 0..100 {
        rig.advance(SECOND);
        if k == 50 {
            rig.advance(-10 * MINUTE);
        }
        let truth = NOW + k * SECOND;
        rig.sample("A", truth, k as f64);
        rig.sample("B", truth, k as f64);
    }
    for channel in ["A", "B"] {
        assert_eq!(rig.doubles(channel).len(), 100);
        assert_eq!(rig.ledger(channel).dropped_total(), 0);
    }
    rig.restart(SECOND);
    assert_eq!(rig.doubles("A").len(), 100);
    assert_eq!(rig.ledger("A").stored, 0, "counts begin with the engine");
}

#[test]
fn future_samples_are_dropped_and_counted() {
    let mut rig = Rig::with(NOW, &["A"]);
    rig.connect("A", "ioc:5064");
    rig.sample("A", NOW, 1.0);
    rig.advance(SECOND);
    rig.sample("A", rig.now() + 31 * MINUTE, 2.0);
    rig.sample("A", rig.now() + 29 * MINUTE, 3.0);
    assert_eq!(rig.doubles("A").iter().map(|(_, v)| *v).collect::<Vec<_>>(), [1.0, 3.0]);
    let ledger = rig.ledger("A");
    assert_eq!((ledger.received, ledger.stored), (3, 2));
    assert_eq!(ledger.dropped_by(DropCause::Future), 1);
    rig.advance(MINUTE);
    rig.tick();
    everywhere(&mut rig, |rig| {
        let events = rig.events("A");
        let dropped: Vec<_> = events.iter().filter(|e| matches!(e.kind, EventKind::Dropped { .. })).collect();
        assert_eq!(dropped.len(), 1);
        let EventKind::Dropped { count, cause, last, .. } = &dropped[0].kind else { unreachable!() };
        assert_eq!((*count, *cause), (1, DropCause::Future));
        assert_eq!(last.as_ref().unwrap().value, Value::Float64(2.0));
        assert_eq!(dropped[0].time.0, NOW + SECOND, "by the engine's clock, not by a wrong one");
    });
}

#[test]
fn when_most_servers_look_future_the_own_clock_is_suspect() {
    let names = ["A", "B", "C", "D"];
    let mut rig = Rig::with(NOW, &names);
    for (k, channel) in names.iter().enumerate() {
        rig.connect(channel, &format!("ioc{k}:5064"));
        rig.sample(channel, NOW, 0.0);
    }
    // From here on all of them seem to be an hour ahead: it is the engine's clock that is behind.
    for k in 1..50 {
        rig.advance(SECOND);
        for channel in names {
            rig.sample(channel, rig.now() + HOUR, f64::from(k));
        }
    }
    assert!(rig.ingest().intake.clock_suspect());
    // Until the third of four servers looked future, two samples may have gone.
    let dropped: u64 = names.iter().map(|c| rig.ledger(c).dropped_by(DropCause::Future)).sum();
    assert!(dropped <= 2, "{dropped}");
    assert_eq!(rig.doubles("D").len(), 50);
    // A single wrong server among four is just wrong.
    rig.advance(HOUR);
    for channel in names {
        rig.sample(channel, rig.now(), 100.0);
    }
    assert!(!rig.ingest().intake.clock_suspect());
    rig.sample("D", rig.now() + HOUR, 101.0);
    assert_eq!(rig.ledger("D").dropped_by(DropCause::Future), 1);
}

#[test]
fn a_first_value_of_years_ago_is_carried_into_the_present_week() {
    let old = NOW - 3 * 365 * DAY;
    let mut rig = Rig::with(NOW, &["A", "B"]);
    rig.sample("B", NOW, 1.0);
    let host: Box<str> = "ioc:5064".into();
    rig.arrive("A", Arrival::Connected { host, readable: true, metadata_follows: true });
    rig.arrive("A", Arrival::Sample(double(old, 7.0)));
    let metadata = Metadata { units: Some(b"mm".as_slice().into()), ..Metadata::default() };
    rig.arrive("A", Arrival::Metadata(Box::new(metadata.clone())));
    everywhere(&mut rig, |rig| {
        assert_eq!(rig.doubles("A"), [(old, 7.0)]);
        for time in [old, old + 1, MONDAY - 1, MONDAY, NOW, NOW + HOUR] {
            assert_eq!(rig.at("A", time).unwrap().time.0, old, "{time}");
        }
        let around = TimeRange::new(Timestamp(old - 1), Timestamp(old + 1));
        assert_eq!(rig.samples_in("A", around).len(), 1);
        let view = rig.view("A", TimeRange::new(Timestamp(NOW), Timestamp(NOW + 1)));
        let (_, known) = view.metadata_at(Timestamp(NOW)).unwrap();
        assert_eq!(known.units, metadata.units);
        // No partition of the past was begun.
        let weeks: Vec<_> = rig.shared().view().partitions.weeks();
        assert!(weeks.len() <= 1, "{weeks:?}");
    });
    // Again after a reconnect: known.
    rig.connect("A", "ioc:5064");
    rig.sample("A", old, 7.0);
    assert_eq!(rig.doubles("A"), [(old, 7.0)]);
    assert_eq!(rig.ledger("A").redelivered, 1);
    // In the next week it is still the edge.
    rig.advance(WEEK);
    rig.sample("B", rig.now(), 2.0);
    everywhere(&mut rig, |rig| {
        assert_eq!(rig.at("A", rig.now()).unwrap().time.0, old);
        assert_eq!(rig.doubles("A"), [(old, 7.0)]);
    });
}

fn with_settings(settings: ChannelSettings) -> Rig {
    let mut rig = Rig::new(1, NOW);
    rig.configure("A", settings);
    rig.open();
    rig.connect("A", "ioc:5064");
    rig
}

#[test]
fn a_channel_may_take_the_engines_time() {
    let mut rig = with_settings(ChannelSettings { timestamps: StampRule::Receive, ..Default::default() });
    for (k, stamp) in [0, NOW - WEEK, NOW + DAY].into_iter().enumerate() {
        rig.advance(SECOND);
        rig.sample("A", stamp, k as f64);
        assert_eq!(rig.doubles("A")[k], (rig.now(), k as f64));
    }
    assert!(!rig.events("A").iter().any(|e| matches!(e.kind, EventKind::TimeReplaced { .. })));
}

#[test]
fn a_channel_may_take_the_engines_time_where_the_stamp_is_wrong() {
    let settings = ChannelSettings { timestamps: StampRule::IocElseReceive, ..Default::default() };
    let mut rig = with_settings(settings);
    rig.advance(SECOND);
    rig.sample("A", rig.now() - 5, 1.0);
    rig.advance(SECOND);
    rig.sample("A", rig.now() + DAY, 2.0);
    let second = rig.now();
    rig.advance(SECOND);
    rig.sample("A", 0, 3.0);
    assert_eq!(rig.doubles("A"), [(NOW + SECOND - 5, 1.0), (second, 2.0), (rig.now(), 3.0)]);
    assert_eq!(rig.ledger("A").dropped_total(), 0);
    let replaced =
        rig.events("A").iter().filter(|e| matches!(e.kind, EventKind::TimeReplaced { .. })).count();
    assert_eq!(replaced, 2);
}

#[test]
fn changes_within_the_dead_band_are_left_out() {
    let mut rig = with_settings(ChannelSettings { deadband: Some(0.5), ..Default::default() });
    let mut time = NOW;
    let mut send = |rig: &mut Rig, value: f64| {
        time += SECOND;
        rig.clock.set(Timestamp(time));
        rig.sample("A", time, value);
    };
    for value in [1.0, 1.2, 1.4, 1.5, 1.6, 1.0, f64::NAN, f64::NAN, 1.0, 1.1] {
        send(&mut rig, value);
    }
    let found: Vec<_> = rig.doubles("A").iter().map(|(_, v)| *v).collect();
    let expected = [1.0, 1.5, 1.0, f64::NAN, 1.0];
    assert_eq!(found.len(), expected.len(), "{found:?}");
    assert!(found.iter().zip(expected).all(|(a, b)| a.to_bits() == b.to_bits()));
    assert_eq!(rig.ledger("A").received, 5, "the ledger counts behind the dead band");
    // A dropped value is no stored one: what follows is measured against the last stored.
    rig.sample("A", rig.now() + DAY, 9.0);
    send(&mut rig, 9.1);
    assert_eq!(rig.doubles("A").last().unwrap().1, 9.1);
    // An alarm passes, whatever the value.
    let mut alarm = double(rig.now() + 1, 9.1);
    alarm.severity = sample::Severity::Major;
    rig.arrive("A", Arrival::Sample(alarm));
    assert_eq!(rig.samples("A").len(), 7);
}

#[test]
fn a_scan_takes_the_newest_of_each_period() {
    let period = Duration::from_secs(10);
    let mut rig = with_settings(ChannelSettings { mode: Mode::Scan { period }, ..Default::default() });
    rig.sample("A", rig.now(), -1.0);
    assert_eq!(rig.doubles("A").len(), 1, "the first value at once");
    for second in 1..=40 {
        rig.advance(SECOND);
        // Silence from 21 to 30.
        if !(21..=30).contains(&second) {
            rig.sample("A", rig.now(), f64::from(second));
        } else {
            rig.tick();
        }
    }
    let seconds: Vec<_> = rig.doubles("A").iter().map(|(_, v)| *v).collect();
    assert_eq!(seconds.len(), 4, "{seconds:?}");
    assert_eq!(seconds[0], -1.0);
    for (found, end) in seconds[1..].iter().zip([10.0, 20.0, 40.0]) {
        assert!((end - found).abs() <= 1.0, "{seconds:?}");
    }
    assert_eq!(rig.ledger("A").received, 4, "the ledger counts behind the scan");
    // What waits for its period's end is not lost when the engine stops.
    rig.sample("A", rig.now() + 1, 41.0);
    rig.advance(SECOND);
    rig.ingest().finish();
    assert_eq!(rig.doubles("A").last().unwrap().1, 41.0);
}

#[test]
fn a_flood_is_cut_at_the_channels_rate() {
    let mut rig = with_settings(ChannelSettings { max_bytes_per_second: 80, ..Default::default() });
    let begin = rig.now();
    for second in 0..5 {
        rig.clock.set(Timestamp(begin + (second + 1) * SECOND));
        for k in 0..25 {
            rig.sample("A", rig.now() + k, k as f64);
        }
    }
    let ledger = rig.ledger("A");
    assert_eq!((ledger.received, ledger.stored, ledger.dropped_by(DropCause::Rate)), (125, 50, 75));
    let dropped: u64 = rig
        .events("A")
        .iter()
        .map(|e| if let EventKind::Dropped { count, .. } = e.kind { count } else { 0 })
        .sum();
    assert_eq!(dropped, 75, "every run of drops is an event");
}

fn states(states: &[&str]) -> Metadata {
    let states = states.iter().map(|s| Box::from(s.as_bytes())).collect();
    Metadata { states: Some(states), ..Metadata::default() }
}

#[test]
fn metadata_comes_before_the_first_value() {
    let mut rig = Rig::with(NOW, &["A"]);
    let host: Box<str> = "ioc:5064".into();
    rig.arrive("A", Arrival::Connected { host, readable: true, metadata_follows: true });
    let stamp = rig.now() - HOUR;
    let mut sample = double(stamp, 0.0);
    sample.value = Value::Enum(1);
    rig.arrive("A", Arrival::Sample(sample));
    assert!(rig.samples("A").is_empty(), "it waits");
    rig.arrive("A", Arrival::Metadata(Box::new(states(&["off", "on"]))));
    everywhere(&mut rig, |rig| {
        let samples = rig.samples("A");
        assert_eq!(samples.len(), 1);
        assert!(samples[0].metadata_known);
        let view = rig.view("A", TimeRange::ALL);
        let (_, metadata) = view.metadata_at(Timestamp(stamp)).unwrap();
        assert_eq!(metadata.states, states(&["off", "on"]).states);
    });
}

#[test]
fn a_value_stored_before_its_metadata_never_borrows_later_states() {
    let mut rig = Rig::with(NOW, &["A"]);
    let host: Box<str> = "ioc:5064".into();
    rig.arrive("A", Arrival::Connected { host, readable: true, metadata_follows: true });
    let mut sample = double(rig.now(), 0.0);
    sample.value = Value::Enum(1);
    rig.arrive("A", Arrival::Sample(sample.clone()));
    for _ in 0..30 {
        rig.advance(SECOND / 10);
        rig.tick();
    }
    assert_eq!(rig.samples("A").len(), 1, "metadata that does not come keeps nothing back for long");
    rig.arrive("A", Arrival::Metadata(Box::new(states(&["off", "on"]))));
    rig.advance(SECOND);
    sample.time = Timestamp(rig.now());
    sample.value = Value::Enum(0);
    rig.arrive("A", Arrival::Sample(sample));
    everywhere(&mut rig, |rig| {
        let samples = rig.samples("A");
        assert_eq!(samples.iter().map(|s| s.metadata_known).collect::<Vec<_>>(), [false, true]);
        let view = rig.view("A", TimeRange::ALL);
        assert!(view.metadata_at(samples[0].time).is_none());
        assert!(view.metadata_at(samples[1].time).is_some());
    });
    let known = rig.reader().channel(&name("A"), Timestamp(rig.now())).unwrap().unwrap();
    assert!(known.metadata.is_some());
}
