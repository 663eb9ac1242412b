//! Removing what need not be kept changes no answer about later weeks, whenever it is interrupted.

use crate::crash::life::{Life, MONDAY as LIFE_MONDAY};
use crate::merging::{answers_from, flushed, read_only, table_files};
use crate::rig::{DAY, HOUR, MINUTE, MONDAY, Rig, WEEK, double, reader_of};
use crate::weeks::{CHANNELS, answers, answers_about, three_weeks};
use disk::sim::Crash;
use engine::config::{ChannelSettings, Keep, RetentionClass};
use engine::read::Archive;
use engine::recovery::{Recovered, open, open_read_only};
use engine::source::Arrival;
use engine::{LiveArchive, SealStep};
use sample::{Column, Sample, Timestamp, Value, Week};
use std::sync::Arc;
use std::time::Duration;

fn keep(class: &str, ns: i64) -> RetentionClass {
    let raw = Keep::For(Duration::from_nanos(ns as u64));
    RetentionClass { raw, ..RetentionClass::forever(class) }
}

fn retain(rig: &Rig) -> u32 {
    let mut times = 0;
    while rig.keeper().retain().unwrap() {
        times += 1;
    }
    times
}

fn weeks(rig: &Rig) -> Vec<i64> {
    rig.shared().view().partitions.weeks().iter().map(|week| (week.start().0 - MONDAY) / WEEK).collect()
}

#[test]
fn weeks_that_need_not_be_kept_go_and_later_ones_answer_as_before() {
    for (kept, left) in [(9 * DAY, vec![1, 2]), (2 * DAY, vec![2])] {
        let mut rig = three_weeks();
        rig.sync();
        let before = answers(&rig, &rig.disk);
        let counts = |rig: &Rig| CHANNELS.map(|channel| rig.samples(channel).len() as u64);
        assert_eq!(retain(&rig), 0, "nothing goes unless a rule says so");
        rig.shared().set_retention(&[keep("default", kept), keep("month", kept)]);
        assert_eq!(retain(&rig), 2);
        assert_eq!(weeks(&rig), left);
        assert_eq!(before, answers(&rig, &rig.disk));
        let stored = CHANNELS.map(|channel| rig.state(channel, |state| state.samples()));
        // The last sample before the first week that stays is told with it.
        assert_eq!(stored.map(|stored| stored + 1), counts(&rig), "what channels are said to hold");
        rig.advance(10 * MINUTE);
        let before = answers(&rig, &rig.disk);
        assert!(rig.keeper().remove_dropped().unwrap() > 0);
        assert_eq!(table_files(&rig.disk).len(), rig.shared().view().tables.len());
        assert_eq!(before, answers(&rig, &rig.disk));
        // A channel whose samples are all gone is known, and so is the last of them.
        rig.restart(MINUTE);
        let quiet = MONDAY + 5 * DAY;
        let newest = rig.state("quiet", |state| (state.newest.unwrap().time.0, state.value_type));
        assert!(newest.0 >= quiet && newest.1.is_some(), "{newest:?}");
        rig.connect("quiet", "ioc:5064");
        rig.sample("quiet", newest.0, 1.0);
        assert_eq!(rig.ledger("quiet").redelivered, 1);
        assert_eq!(counts(&rig)[1], 1);
        assert_eq!(rig.at("quiet", rig.now()).unwrap().value.as_f64(), Some(1.0));
    }
}

#[test]
fn a_class_goes_without_the_others() {
    let mut rig = three_weeks();
    rig.sync();
    let before = answers(&rig, &rig.disk);
    let others = rig.samples("busy").len();
    rig.shared().set_retention(&[RetentionClass::forever("default"), keep("month", 2 * DAY)]);
    assert_eq!(retain(&rig), 1);
    assert_eq!((weeks(&rig), rig.samples("busy").len()), (vec![0, 1, 2], others));
    assert!(rig.samples("short").iter().all(|sample| sample.time.0 >= MONDAY + 2 * WEEK));
    assert_eq!(before, answers(&rig, &rig.disk));
    rig.shared().set_retention(&[keep("default", 2 * DAY)]);
    assert_eq!((retain(&rig), weeks(&rig)), (1, vec![2]));
    assert_eq!(before, answers(&rig, &rig.disk));
}

#[test]
fn a_damaged_table_stays_and_keeps_no_other() {
    let mut rig = three_weeks();
    rig.sync();
    let view = rig.shared().view();
    let bad = view.tables[0].path().to_path_buf();
    let (tables, others) = (view.manifest.tables.len(), view.manifest.tables[0].week);
    drop(view);
    rig.restart(MINUTE);
    let blocks = sstable::Scan::open(&rig.disk, &bad).unwrap().map(Result::unwrap);
    let rows = blocks.filter(|block| matches!(block.content, sstable::ScannedContent::Dictionary(_)));
    for row in rows.map(|block| block.offset).collect::<Vec<_>>() {
        rig.disk.flip(&bad, row + 60, 0xff).unwrap();
    }
    let content = rig.disk.content(&bad).unwrap();
    rig.shared().set_retention(&[keep("default", 2 * DAY), keep("month", 2 * DAY)]);
    let error = rig.keeper().retain().unwrap_err();
    assert!(error.is_damage() && error.to_string().contains(bad.file_name().unwrap().to_str().unwrap()));
    assert_eq!(retain(&rig), 2);
    assert_eq!(weeks(&rig), [0, 2]);
    let left = &rig.shared().view().manifest.tables;
    assert!(left.iter().filter(|table| table.week == others).count() == 1 && left.len() < tables);
    assert!(rig.shared().health().retention_failed.is_some(), "it is still said");
    assert_eq!(rig.disk.content(&bad).unwrap(), content);
}

#[test]
fn the_last_week_stays_until_a_later_one_has_begun() {
    let mut rig = Rig::with(MONDAY + HOUR, &["A"]);
    rig.connect("A", "ioc:5064");
    rig.sample("A", rig.now(), 1.0);
    rig.flush();
    rig.restart(3 * WEEK);
    rig.shared().set_retention(&[keep("default", DAY)]);
    assert_eq!((retain(&rig), weeks(&rig)), (0, vec![0]));
    rig.tick();
    rig.flush();
    // The first week that the rule keeps had none.
    assert_eq!((retain(&rig), weeks(&rig)), (1, vec![2, 3]));
    assert_eq!(rig.at("A", rig.now()).unwrap().value.as_f64(), Some(1.0));
    assert_eq!(rig.at("A", MONDAY + 2 * WEEK + DAY).unwrap().value.as_f64(), Some(1.0));
    rig.restart(2 * DAY);
    rig.shared().set_retention(&[keep("default", DAY)]);
    assert_eq!((retain(&rig), weeks(&rig)), (1, vec![3]));
    assert_eq!(rig.at("A", rig.now()).unwrap().value.as_f64(), Some(1.0));
}

/// A large value and a small one in week 0; week 1 is flushed together with week 2, which alone gets its
/// carry-in then.
fn large_and_unopened() -> Rig {
    let mut rig = Rig::new(1, MONDAY + DAY);
    for channel in ["wave", "small"] {
        rig.configure(channel, ChannelSettings::default());
    }
    rig.open();
    for channel in ["wave", "small"] {
        rig.connect(channel, "ioc:5064");
    }
    let values = Column::Float64((0..2000).map(f64::from).collect());
    rig.arrive("wave", Arrival::Sample(Sample::new(Timestamp(rig.now()), Value::Array(Box::new(values)))));
    rig.sample("small", rig.now(), 1.0);
    rig.flush();
    rig.clock.set(Timestamp(MONDAY + WEEK + DAY));
    rig.arrive("small", Arrival::Sample(double(rig.now(), 2.0)));
    rig.disconnect("small", rig.now() - MINUTE);
    rig.clock.set(Timestamp(MONDAY + 2 * WEEK + 3 * DAY));
    rig.connect("small", "ioc:5064");
    rig.sample("small", rig.now(), 3.0);
    rig.flush();
    rig.sync();
    rig
}

#[test]
fn a_week_without_carry_in_gets_one_and_large_samples_move_on() {
    let mut rig = large_and_unopened();
    assert!(!rig.shared().view().is_open(Week::containing(Timestamp(MONDAY + WEEK))));
    let about = |rig: &Rig, week: i64| {
        answers_about(&reader_of(rig.shared()), &["wave", "small"], MONDAY + week * WEEK)
    };
    let before = [about(&rig, 1), about(&rig, 2)];
    rig.shared().set_retention(&[keep("default", 9 * DAY)]);
    assert_eq!((retain(&rig), weeks(&rig)), (1, vec![1, 2]));
    assert!(rig.shared().view().is_open(Week::containing(Timestamp(MONDAY + WEEK))));
    assert_eq!(before, [about(&rig, 1), about(&rig, 2)]);
    // The next week is sealed meanwhile: what is carried forward then stands beside it.
    rig.clock.set(Timestamp(MONDAY + 3 * WEEK + HOUR));
    rig.sample("small", rig.now(), 4.0);
    rig.flush();
    let before = [about(&rig, 2), about(&rig, 3)];
    let second = Week::containing(Timestamp(MONDAY + 2 * WEEK));
    assert!(matches!(rig.keeper().seal_week(second, &|| false).unwrap(), SealStep::Sealed(_)));
    assert_eq!(before, [about(&rig, 2), about(&rig, 3)]);
    rig.shared().set_retention(&[keep("default", 2 * DAY)]);
    assert_eq!((retain(&rig), weeks(&rig)), (1, vec![2, 3]));
    assert!(rig.shared().view().manifest.tables.iter().any(|table| table.week == second && table.beside));
    assert_eq!(before, [about(&rig, 2), about(&rig, 3)]);
    assert!(matches!(rig.keeper().seal_week(second, &|| false).unwrap(), SealStep::Sealed(_)));
    assert_eq!(before, [about(&rig, 2), about(&rig, 3)]);
    assert_eq!(rig.samples("wave").len(), 1);
}

#[test]
fn a_week_that_never_began_gets_its_carry_in_when_it_is_sealed() {
    let rig = large_and_unopened();
    let first = Week::containing(Timestamp(MONDAY + WEEK));
    let about = |rig: &Rig| answers_about(&reader_of(rig.shared()), &["wave", "small"], MONDAY + WEEK);
    let before = about(&rig);
    assert!(!rig.shared().view().is_open(first));
    while !matches!(rig.keeper().seal_week(first, &|| false).unwrap(), SealStep::Sealed(_)) {}
    let view = rig.shared().view();
    let sealed = || view.manifest.tables.iter().filter(|table| table.week == first);
    assert!(sealed().all(|table| table.sealed) && sealed().any(|table| table.holds_carry_in));
    assert_eq!(before, about(&rig));
}

/// Removes old weeks, cut somewhere; compares what is said about those that stay.
fn outcome(seed: u64) -> Result<(), String> {
    cut_while_opening(seed)?;
    cut_in_a_script(seed)
}

/// Cuts the removal behind which a week needs its carry-in and a large sample.
fn cut_while_opening(seed: u64) -> Result<(), String> {
    let rig = large_and_unopened();
    let told = || -> Vec<String> {
        let (disk, clock) = (Arc::new(rig.disk.clone()), Arc::new(rig.clock.clone()));
        let (shared, _) = open_read_only(disk, clock, "/archive".into()).unwrap();
        let about = |week| answers_about(&reader_of(&shared), &["wave", "small"], MONDAY + week * WEEK);
        [1, 2].map(about).concat()
    };
    let before = told();
    rig.shared().set_retention(&[keep("default", 9 * DAY)]);
    rig.disk.crash_after(seed % 40, Crash::PowerCut);
    let worked = rig.keeper().retain();
    if !rig.disk.is_off() {
        assert!(worked.map_err(|error| error.to_string())?);
        rig.disk.cancel_crash();
        rig.disk.power_cut(seed);
    }
    rig.disk.power_on();
    compare("cut while opening", &before, &told())
}

/// Removes and seals what random scripts wrote.
fn cut_in_a_script(seed: u64) -> Result<(), String> {
    let (mut life, recovered) = flushed(seed);
    drop(recovered);
    life.clock.advance(2 * HOUR);
    let rules = ["default", "short", "long"].map(|class| keep(class, HOUR));
    let work = |recovered: &Recovered| -> Result<u64, engine::error::Error> {
        recovered.shared.set_retention(&rules);
        let week = Week::containing(Timestamp(LIFE_MONDAY - 1));
        if seed.is_multiple_of(3) {
            recovered.keeper.seal_week(week, &|| false)?;
        }
        let mut removed = 0;
        while recovered.keeper.retain()? {
            removed += 1;
        }
        Ok(removed)
    };
    let open = |life: &Life| open(life.opening()).map_err(|error| error.to_string());
    let mut recovered = open(&life)?;
    let synced = |recovered: &Recovered| {
        recovered.keeper.write_log().and_then(|()| recovered.keeper.sync_log()).map_err(|e| e.to_string())
    };
    synced(&recovered)?;
    let told = |life: &Life| -> Vec<String> {
        answers_from(&(Arc::new(LiveArchive::new(read_only(life))) as Arc<dyn Archive>), seed, LIFE_MONDAY)
    };
    let before = told(&life);
    if !seed.is_multiple_of(4) {
        let crash = if seed % 4 == 1 { Crash::Kill } else { Crash::PowerCut };
        life.disk.crash_after(life.random.below(60), crash);
        let worked = work(&recovered);
        drop(recovered);
        if !life.disk.is_off() {
            worked.map_err(|error| error.to_string())?;
            life.disk.cancel_crash();
            life.disk.power_cut(seed);
        }
        life.disk.power_on();
        compare("cut", &before, &told(&life))?;
        recovered = open(&life)?;
        synced(&recovered)?;
    }
    let before = told(&life);
    work(&recovered).map_err(|error| error.to_string())?;
    compare("done", &before, &told(&life))?;
    life.redeliver(&mut recovered).map_err(|stop| format!("{stop:?}"))
}

fn compare(what: &str, before: &[String], after: &[String]) -> Result<(), String> {
    match before.iter().zip(after).find(|(before, after)| before != after) {
        Some((before, after)) => Err(format!("{what}: {before} became {after}")),
        None if before.len() == after.len() => Ok(()),
        None => Err(format!("{what}: {} answers became {}", before.len(), after.len())),
    }
}

#[test]
fn whenever_it_is_cut_the_last_week_says_the_same() {
    for seed in 0..40 {
        outcome(seed).unwrap_or_else(|what| panic!("seed {seed}: {what}"));
    }
}
