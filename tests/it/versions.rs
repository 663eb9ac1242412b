//! The version of a view changes whenever an answer made of the view does.

use crate::rig::{DAY, HOUR, MINUTE, MONDAY, Rig, WEEK, name, reader_of, samples_of};
use crate::sealing::seal;
use disk::sim::Random;
use engine::SealStep;
use engine::config::ChannelSettings;
use engine::read::Version;
use engine::source::Arrival;
use sample::{Metadata, TimeRange, Timestamp, Week};
use std::collections::HashMap;

fn range(from: i64, to: i64) -> TimeRange {
    TimeRange::new(Timestamp(MONDAY + from), Timestamp(MONDAY + to))
}

/// Ranges in the first week, across its end, in the second, around now, and of one instant.
fn ranges() -> [TimeRange; 7] {
    [
        range(HOUR, 2 * DAY),
        range(3 * DAY, 5 * DAY),
        range(-DAY, WEEK),
        range(6 * DAY, 9 * DAY),
        range(WEEK + DAY, WEEK + 2 * DAY),
        range(2 * WEEK, 2 * WEEK + 3 * DAY),
        range(4 * DAY, 4 * DAY),
    ]
}

/// Version and answer of a range: samples, edge, coverage, events, metadata.
fn look(rig: &Rig, range: TimeRange) -> (Option<Version>, String) {
    let view = reader_of(rig.shared()).view(&name("A"), range).unwrap().unwrap();
    let version = view.version(range);
    let whole = TimeRange::new(range.from, range.to.max(range.from.saturating_add(1)));
    let answer = format!(
        "{:?} {:?} {:?} {:?} {:?}",
        samples_of(&view, range),
        view.last_before(range.from, range.from == range.to).unwrap(),
        view.coverage(whole).intervals,
        view.events(range),
        (view.metadata_at(whole.to.saturating_add(-1)).or(view.metadata().first())),
    );
    (version, answer)
}

fn step(rig: &mut Rig, random: &mut Random) {
    let past = |random: &mut Random| MONDAY + (random.below(20 * 24) as i64 - 24) * HOUR;
    match random.below(12) {
        0..=2 => {
            let ahead = 1 + random.below(40) as i64;
            rig.advance(ahead * HOUR);
            rig.sample("A", rig.now(), random.below(9) as f64);
        }
        3 => {
            let late = past(random).min(rig.now());
            rig.sample("A", late, random.below(9) as f64);
        }
        4 | 5 => rig.flush(),
        6 => while rig.keeper().merge(&|| false).unwrap() {},
        7 => while !matches!(rig.keeper().seal(&|| false).unwrap(), SealStep::Idle) {},
        8 => rig.disconnect("A", rig.now() - random.below(2) as i64 * HOUR),
        9 => rig.connect("A", "ioc:5064"),
        10 => {
            let units = Some([b'a' + random.below(3) as u8].as_slice().into());
            rig.arrive("A", Arrival::Metadata(Box::new(Metadata { units, ..Metadata::default() })));
        }
        _ => {
            rig.advance(MINUTE);
            rig.tick();
        }
    }
}

#[test]
fn an_answer_that_changes_changes_its_version() {
    let (mut same, mut sealed) = (0, 0);
    for seed in 0..40 {
        let mut random = Random::new(seed);
        let mut rig = Rig::new(seed, MONDAY + HOUR);
        rig.configure("A", ChannelSettings::default());
        rig.open();
        rig.connect("A", "ioc:5064");
        let mut known: HashMap<(usize, u64), String> = HashMap::new();
        for _ in 0..120 {
            step(&mut rig, &mut random);
            for (i, range) in ranges().into_iter().enumerate() {
                let (Some(version), answer) = look(&rig, range) else { panic!("nothing is missing") };
                sealed += usize::from(version.sealed);
                if let Some(known) = known.get(&(i, version.state)) {
                    same += 1;
                    assert_eq!(*known, answer, "seed {seed}, {range:?}");
                }
                known.insert((i, version.state), answer);
            }
        }
    }
    assert!(same > 10_000 && sealed > 1000, "{same} {sealed}");
}

#[test]
fn a_sealed_week_keeps_its_version_while_the_newest_samples_come() {
    let mut rig = Rig::with(MONDAY + HOUR, &["A"]);
    rig.connect("A", "ioc:5064");
    for hour in 2..20 {
        rig.clock.set(Timestamp(MONDAY + hour * HOUR));
        rig.sample("A", rig.now(), hour as f64);
    }
    rig.flush();
    rig.clock.set(Timestamp(MONDAY + WEEK + HOUR));
    rig.sample("A", rig.now(), 5.0);
    let inside = range(DAY / 8, DAY / 2);
    let (open, _) = look(&rig, inside);
    assert!(!open.unwrap().sealed);
    seal(rig.keeper(), Week::containing(Timestamp(MONDAY)));
    let (sealed, _) = look(&rig, inside);
    assert!(sealed.unwrap().sealed);
    for minute in 1..10 {
        rig.advance(minute * MINUTE);
        rig.sample("A", rig.now(), minute as f64);
        rig.tick();
        if minute % 3 == 0 {
            rig.flush();
        }
        rig.sync();
        assert_eq!(look(&rig, inside).0, sealed);
    }
    // Beside, behind and before the week nothing is sealed.
    for other in [range(DAY, 8 * DAY), range(WEEK, WEEK + HOUR), range(3 * WEEK, 3 * WEEK + 1)] {
        assert!(!look(&rig, other).0.unwrap().sealed, "{other:?}");
    }
    // What comes late for it, in memory and beside it, shows.
    rig.sample("A", MONDAY + DAY / 4 + 1, 7.0);
    let (late, _) = look(&rig, inside);
    assert!(late != sealed && !late.unwrap().sealed);
    rig.flush();
    let (beside, _) = look(&rig, inside);
    assert!(beside != sealed && !beside.unwrap().sealed);
}
