//! Sealing a week changes no answer, resumes where it was, and releases nothing that was not verified.

use crate::crash::check;
use crate::crash::life::{Life, MONDAY};
use crate::merging::{answers, flushed, merge_everything, read_only, same, table_files};
use crate::rig::{DAY, HOUR, MINUTE, Rig, SECOND, WEEK};
use disk::Disk;
use engine::config::ChannelSettings;
use engine::error::Error;
use engine::layout::Layout;
use engine::manifest::Manifest;
use engine::recovery::Recovered;
use engine::{Keeper, SealStep};
use sample::{Timestamp, Week};
use std::cell::RefCell;
use std::path::Path;

const SEEDS: u64 = 30;

pub(crate) fn week() -> Week {
    Week::containing(Timestamp(MONDAY - 1))
}

/// Seals a week to its end; says in how many tables.
pub(crate) fn seal(keeper: &Keeper, week: Week) -> usize {
    for written in 1..1000 {
        match keeper.seal_week(week, &|| false).unwrap() {
            SealStep::Written(_) => {}
            SealStep::Sealed(_) => return written,
            other => panic!("{other:?}"),
        }
    }
    panic!("no end of it")
}

/// Samples in the sealed tables of the past week, and in those beside or before them.
fn sealed_and_open(recovered: &Recovered) -> (u64, u64) {
    let view = recovered.shared.view();
    let tables = || view.manifest.tables.iter().filter(|table| table.week == week());
    let count = |sealed| tables().filter(|table| table.sealed == sealed).map(|table| table.samples).sum();
    (count(true), count(false))
}

/// A life with something in the past week whose tables end early.
pub(crate) fn life(seed: u64) -> (Life, Recovered) {
    let (mut life, recovered) = flushed(seed);
    drop(recovered);
    life.merge_fan_in = 2 + (seed % 3) as usize;
    life.seal_table_bytes = 1 + 2000 * (seed % 3);
    let recovered = life.recover(0).unwrap();
    recovered.keeper.write_log().unwrap();
    recovered.keeper.sync_log().unwrap();
    (life, recovered)
}

#[test]
fn every_answer_is_the_same_before_and_after_sealing() {
    let mut tables = 0;
    for seed in 0..SEEDS {
        let (mut life, mut recovered) = life(seed);
        if seed % 2 == 0 {
            merge_everything(&recovered);
        }
        let (live, foreign) = (answers(&recovered.shared, seed), answers(&read_only(&life), seed));
        let held_open = read_only(&life);
        let (_, open) = sealed_and_open(&recovered);
        tables += seal(&recovered.keeper, week());
        assert_eq!(sealed_and_open(&recovered), (open, 0), "seed {seed}");
        same("live", &live, &answers(&recovered.shared, seed));
        same("another process", &foreign, &answers(&read_only(&life), seed));
        same("a reader that opened the files before", &foreign, &answers(&held_open, seed));
        let view = recovered.shared.view();
        for (entry, table) in view.manifest.tables.iter().zip(&view.tables) {
            let found = sstable::verify(&life.disk, table.path(), true).unwrap();
            assert!(found.problems.is_empty(), "seed {seed}: {:?}", found.problems);
            assert!(!entry.sealed || entry.generation == 2, "seed {seed}");
        }
        assert_eq!(table_files(&life.disk).len(), view.tables.len() + view.manifest.dropped.len());
        life.clock.advance(10 * MINUTE);
        let live = answers(&recovered.shared, seed);
        recovered.keeper.remove_dropped().unwrap();
        assert_eq!(table_files(&life.disk).len(), view.tables.len());
        assert!(!life.disk.exists(&Layout::new("/archive").week(week(), 1)).unwrap());
        same("behind the grace time", &live, &answers(&recovered.shared, seed));
        let foreign = answers(&read_only(&life), seed);
        drop(recovered);
        same("stopped", &foreign, &answers(&read_only(&life), seed));
        recovered = life.recover(0).unwrap();
        life.redeliver(&mut recovered).unwrap();
        check::stretches(&recovered, &life.model, &mut life.random).unwrap();
    }
    assert!(tables > 3 * SEEDS as usize, "{tables} tables: none was cut");
}

#[test]
fn what_comes_late_stands_beside_a_sealed_week_until_it_is_sealed_again() {
    let (mut beside, mut copied) = (0, 0);
    for seed in 0..SEEDS {
        let (mut life, mut recovered) = life(seed);
        seal(&recovered.keeper, week());
        for _ in 0..3 {
            for _ in 0..3 {
                life.batch(&mut recovered).unwrap();
            }
            life.write(&recovered).unwrap();
            life.freeze(&mut recovered);
            life.flush(&recovered).unwrap();
        }
        let (sealed, late) = sealed_and_open(&recovered);
        let view = recovered.shared.view();
        let tables = view.manifest.tables.iter().filter(|t| t.week == week() && !t.sealed);
        let directories: Vec<String> = tables.map(|table| table.directory_inside()).collect();
        assert!(directories.iter().all(|d| d == "weeks/2026-11-09.late-2"), "{directories:?}");
        check::whole(&recovered, &life.model).unwrap();
        if late == 0 {
            continue;
        }
        beside += 1;
        merge_everything(&recovered);
        let before = answers(&recovered.shared, seed);
        seal(&recovered.keeper, week());
        assert_eq!(sealed_and_open(&recovered), (sealed + late, 0), "seed {seed}");
        same("sealed again", &before, &answers(&recovered.shared, seed));
        let view = recovered.shared.view();
        copied += view.manifest.tables.iter().filter(|t| t.sealed && t.generation == 3).count();
        drop(recovered);
        let recovered = life.recover(0).unwrap();
        check::whole(&recovered, &life.model).unwrap();
    }
    assert!(beside > 5 && copied > 5, "{beside} {copied}");
}

#[test]
fn a_seal_goes_on_where_it_was_stopped() {
    for seed in [1, 2, 4] {
        let (mut life, mut recovered) = life(seed);
        life.seal_table_bytes = 1;
        drop(recovered);
        recovered = life.recover(0).unwrap();
        let before = answers(&recovered.shared, seed);
        let (_, open) = sealed_and_open(&recovered);
        let (mut written, mut stopped) = (Vec::new(), 0);
        'sealed: for looks in 0.. {
            // Until it was stopped at every point of one table.
            for looks in looks..500 {
                let left = RefCell::new(looks);
                let stop = || {
                    let left = &mut *left.borrow_mut();
                    *left -= 1;
                    *left < 0
                };
                let files = table_files(&life.disk);
                match recovered.keeper.seal_week(week(), &stop).unwrap() {
                    SealStep::Stopped => {
                        stopped += 1;
                        assert_eq!(files, table_files(&life.disk), "nothing unfinished is left");
                    }
                    SealStep::Written(_) => break,
                    SealStep::Sealed(_) => break 'sealed,
                    SealStep::Idle => panic!("seed {seed}"),
                }
            }
            let outputs = recovered.shared.view().manifest.sealing.clone().unwrap().outputs;
            assert!(outputs.starts_with(&written), "finished tables stay");
            written = outputs;
            // Merges leave the week alone meanwhile.
            while recovered.keeper.merge(&|| false).unwrap() {}
            drop(recovered);
            recovered = life.recover(0).unwrap();
            assert!(recovered.report.removed.is_empty());
        }
        assert!(written.len() > 2 && stopped > 10, "seed {seed}: {written:?} {stopped}");
        assert_eq!(sealed_and_open(&recovered), (open, 0));
        same("sealed in pieces", &before, &answers(&recovered.shared, seed));
        let view = recovered.shared.view();
        assert!(written.iter().all(|output| view.manifest.tables.contains(output)));
    }
}

/// Two channels, a table an hour in each of two weeks; the clock stands in the third.
fn two_weeks() -> Rig {
    let mut rig = Rig::new(1, MONDAY + HOUR);
    rig.settings.seal_table_bytes = 1;
    for channel in ["A", "B"] {
        rig.configure(channel, ChannelSettings::default());
    }
    rig.open();
    for channel in ["A", "B"] {
        rig.connect(channel, "ioc:5064");
    }
    for monday in [MONDAY, MONDAY + WEEK] {
        for hour in 1..5 {
            rig.clock.set(Timestamp(monday + hour * HOUR + MINUTE));
            for channel in ["A", "B"] {
                rig.sample(channel, rig.now(), rig.now() as f64);
            }
            rig.flush();
        }
    }
    rig.clock.set(Timestamp(MONDAY + 2 * WEEK + HOUR));
    rig
}

fn sealed_weeks(rig: &Rig) -> Vec<Week> {
    let mut weeks: Vec<Week> =
        rig.shared().view().manifest.tables.iter().filter(|t| t.sealed).map(|t| t.week).collect();
    weeks.dedup();
    weeks
}

fn seal_everything(rig: &Rig) -> usize {
    let mut steps = 0;
    while !matches!(rig.keeper().seal(&|| false).unwrap(), SealStep::Idle) {
        steps += 1;
    }
    steps
}

#[test]
fn a_week_is_due_the_late_limit_after_its_end() {
    let rig = two_weeks();
    let first = Week::containing(Timestamp(MONDAY));
    rig.clock.set(Timestamp(MONDAY + 2 * WEEK - 1));
    assert_eq!((seal_everything(&rig), rig.keeper().weeks()), (0, (2, 0, 0)));
    rig.clock.set(Timestamp(MONDAY + 2 * WEEK));
    assert_eq!(rig.keeper().weeks(), (2, 0, 1));
    assert_eq!(seal_everything(&rig), 2, "a table for each channel");
    assert_eq!((sealed_weeks(&rig), rig.keeper().weeks()), (vec![first], (1, 1, 0)));
}

#[test]
fn a_sealed_week_is_due_again_when_enough_came_late_and_nothing_more_comes() {
    let mut rig = two_weeks();
    rig.clock.set(Timestamp(MONDAY + WEEK + 6 * HOUR));
    let first = Week::containing(Timestamp(MONDAY));
    seal(rig.keeper(), first);
    let edge = |rig: &Rig| rig.at("A", MONDAY + WEEK).unwrap();
    assert_eq!(edge(&rig).time.0, MONDAY + 4 * HOUR + MINUTE);
    for day in 1..4 {
        rig.sample("A", MONDAY + day * DAY, 7.0);
    }
    rig.flush();
    // What later weeks hold at their begin follows at once.
    assert_eq!(edge(&rig).time.0, MONDAY + 3 * DAY);
    assert_eq!(rig.keeper().weeks(), (1, 1, 0));
    rig.advance(HOUR - SECOND);
    assert_eq!(rig.keeper().weeks(), (1, 1, 0));
    rig.advance(SECOND);
    assert_eq!(rig.keeper().weeks(), (1, 1, 1));
    assert_eq!(seal_everything(&rig), 2);
    assert_eq!(rig.keeper().weeks(), (1, 1, 0));
    let view = rig.shared().view();
    assert!(view.manifest.tables.iter().filter(|t| t.week == first).all(|t| t.sealed && t.generation == 3));
    assert_eq!((rig.samples("A").len(), edge(&rig).time.0), (11, MONDAY + 3 * DAY));
}

#[test]
fn a_damaged_table_keeps_its_week_from_being_sealed_and_no_other() {
    let mut rig = two_weeks();
    let first = rig.shared().view().tables[2].path().to_path_buf();
    rig.restart(WEEK);
    rig.disk.flip(&first, 200, 0xff).unwrap();
    let before = rig.disk.content(&first).unwrap();
    let files = table_files(&rig.disk);
    let error = rig.keeper().seal(&|| false).unwrap_err();
    let Error::Format(disk::FormatError::Corrupt { path, .. }) = &error else { panic!("{error}") };
    assert_eq!(*path, first);
    assert!(rig.shared().health().seal_failed.is_some());
    assert_eq!(table_files(&rig.disk), files, "nothing is left of it");
    assert!(rig.shared().view().manifest.sealing.is_none());
    assert_eq!(seal_everything(&rig), 2);
    assert_eq!(sealed_weeks(&rig), [Week::containing(Timestamp(MONDAY + WEEK))]);
    assert_eq!(rig.disk.content(&first).unwrap(), before);
    assert!(rig.shared().health().seal_failed.is_some(), "it is still damaged");
}

#[test]
fn without_room_a_seal_waits_and_gives_back_what_it_took() {
    let rig = two_weeks();
    rig.advance(WEEK);
    let space = rig.disk.space(Path::new("/archive")).unwrap();
    let in_use = space.total - space.free;
    rig.disk.set_capacity(in_use + in_use / 25);
    assert_eq!(rig.keeper().seal(&|| false).unwrap(), SealStep::Idle);
    rig.disk.set_capacity(space.total);
    let files = table_files(&rig.disk);
    assert!(matches!(rig.keeper().seal(&|| false).unwrap(), SealStep::Written(_)));
    let disk = rig.disk.clone();
    let fill = || {
        disk.set_capacity(disk.space(Path::new("/archive")).map_or(0, |s| s.total - s.free) + 100);
        false
    };
    let error = rig.keeper().seal(&fill).unwrap_err();
    assert!(error.is_full(), "{error}");
    rig.disk.set_capacity(space.total);
    // The list of files could not be replaced, either: it is given up with the next attempt, or goes on.
    assert!(seal_everything(&rig) > 1);
    assert_eq!(sealed_weeks(&rig).len(), 2);
    rig.advance(HOUR);
    rig.keeper().remove_dropped().unwrap();
    assert!(table_files(&rig.disk).len() < files.len());
    let id = rig.shared().identity.id;
    let manifest = Manifest::load(&rig.disk, &Layout::new("/archive"), id).unwrap().unwrap();
    assert_eq!(manifest.tables.len(), table_files(&rig.disk).len());
}

#[test]
fn stamps_of_one_scan_take_fewer_bytes_in_a_sealed_week() {
    let sealed = |together: bool| {
        let mut rig = Rig::new(1, MONDAY + HOUR);
        let channels = ["A", "B", "C", "D"];
        for channel in channels {
            rig.configure(channel, ChannelSettings::default());
        }
        rig.open();
        for channel in channels {
            rig.connect(channel, "ioc:5064");
        }
        let noise = |seed: u64, bits: u32| (disk::sim::Random::new(seed).bits() >> (64 - bits)) as i64;
        for k in 0..3_000u64 {
            rig.clock.set(Timestamp(MONDAY + HOUR + (k as i64 + 1) * SECOND));
            for (of, channel) in (0..).zip(channels) {
                let scan = if together { k } else { k << 3 | of };
                let stamp = MONDAY + HOUR + k as i64 * SECOND + noise(scan, 20);
                // Each has drop-outs of its own.
                if k / 100 != of * 7 + 3 {
                    rig.sample(channel, stamp + of as i64 * 7_000 + noise(k << 3 | of, 10), 1.5);
                }
            }
        }
        rig.flush();
        let before = channels.map(|channel| rig.samples(channel));
        rig.clock.set(Timestamp(MONDAY + 2 * WEEK + HOUR));
        assert!(seal_everything(&rig) > 0);
        assert_eq!(channels.map(|channel| rig.samples(channel)), before);
        let view = rig.shared().view();
        view.tables.iter().map(|table| table.summary().len).sum::<u64>()
    };
    let (together, apart) = (sealed(true), sealed(false));
    assert!(together * 4 < apart * 3, "{together} bytes, {apart} of scans that have nothing in common");
}
