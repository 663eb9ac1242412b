//! Runs of drops that go on while the engine is killed.

use crate::rig::{MINUTE, MONDAY, Rig, SECOND, double};
use engine::limits::DROPS_LOGGED_NS;
use engine::source::Arrival;
use sample::{DropCause, EventKind, Sample, Timestamp, Value};

const NOW: i64 = MONDAY + MINUTE;
const TICK: i64 = SECOND / 4;

/// An archive with a channel that has one sample.
fn begun() -> Rig {
    let mut rig = Rig::with(NOW, &["A"]);
    rig.connect("A", "ioc:5064");
    rig.sample("A", NOW, 1.0);
    rig
}

/// A source whose clock is wrong sends `seconds` long; the log goes to the operating system every time.
fn dropping(rig: &mut Rig, seconds: i64) {
    for _ in 0..seconds * SECOND / TICK {
        rig.advance(TICK);
        let ahead = double(rig.now() + 60 * MINUTE, rig.now() as f64);
        rig.arrive("A", Arrival::Sample(ahead));
        rig.tick();
        rig.keeper().write_log().unwrap();
    }
}

/// Begin, end and count of every run of drops.
fn runs(rig: &Rig) -> Vec<(i64, i64, u64)> {
    let events = rig.events("A").into_iter();
    let runs = events.filter_map(|event| match event.kind {
        EventKind::Dropped { to, count, cause, last } => {
            assert_eq!(cause, DropCause::Future);
            assert!(last.is_some_and(|last| last.time > to));
            Some((event.time.0, to.0, count))
        }
        _ => None,
    });
    runs.collect()
}

#[test]
fn a_run_that_is_open_outlives_a_kill() {
    let mut rig = begun();
    dropping(&mut rig, 10);
    assert_eq!(runs(&rig), [(NOW + TICK, NOW + 10 * SECOND, 40)]);
    let killed = rig.now();
    rig.kill();
    rig.advance(SECOND);
    rig.open();
    let found = runs(&rig);
    let [(from, to, count)] = found[..] else { panic!("{found:?}") };
    assert_eq!((from, (to - NOW) / TICK), (NOW + TICK, count as i64), "the last that the log told");
    assert!(killed - to <= DROPS_LOGGED_NS, "{} ns before the end", killed - to);
    // What follows is another run, and the first one does not change any more.
    dropping(&mut rig, 2);
    rig.advance(MINUTE);
    rig.tick();
    let both = runs(&rig);
    assert_eq!((both.len(), both[0], both[1].2), (2, found[0], 8));
    for _ in 0..2 {
        rig.flush();
        rig.restart(SECOND);
        assert_eq!(runs(&rig), both);
    }
}

#[test]
fn a_run_that_has_ended_is_told_once_and_whole() {
    let mut rig = begun();
    dropping(&mut rig, 10);
    rig.sample("A", rig.now(), 2.0);
    let whole = [(NOW + TICK, NOW + 10 * SECOND, 40)];
    assert_eq!(runs(&rig), whole);
    rig.keeper().write_log().unwrap();
    rig.kill();
    rig.open();
    assert_eq!(runs(&rig), whole, "the log told of it ten times");
    rig.flush();
    rig.restart(SECOND);
    assert_eq!(runs(&rig), whole);
}

#[test]
fn a_flush_takes_nothing_of_a_run_away_from_the_log() {
    let mut rig = begun();
    dropping(&mut rig, 10);
    rig.flush();
    let told = |rig: &Rig| runs(rig).iter().map(|run| run.2).sum::<u64>();
    assert_eq!(told(&rig), 40);
    rig.kill();
    rig.open();
    assert_eq!(told(&rig), 40);
}

#[test]
fn a_log_that_does_not_keep_up_is_not_filled_with_drops() {
    let mut rig = begun();
    rig.sync();
    let value = Value::text(&"x".repeat(240));
    for _ in 0..10_000 {
        rig.advance(DROPS_LOGGED_NS);
        let ahead = Sample::new(Timestamp(rig.now() + 60 * MINUTE), value.clone());
        rig.arrive("A", Arrival::Sample(ahead));
        rig.tick();
    }
    let (waiting, limit) = (rig.shared().log.waiting(), rig.shared().log.limit());
    assert!(waiting <= limit * 3 / 4, "{waiting} of {limit} bytes");
    rig.sync();
    dropping(&mut rig, 2);
    rig.kill();
    rig.open();
    let found = runs(&rig);
    assert!(found.len() == 1 && found[0].2 >= 10_004, "{found:?}");
}
