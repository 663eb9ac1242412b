//! Merging tables changes no answer: in memory, on disk, before and behind grace times.

use crate::crash::check;
use crate::crash::life::{Life, MONDAY, name as channel_name};
use crate::rig::{HOUR, MINUTE, Rig, SECOND, name, samples_of};
use disk::Disk;
use disk::sim::Random;
use engine::LiveArchive;
use engine::Shared;
use engine::config::ChannelSettings;
use engine::error::Error;
use engine::layout::Layout;
use engine::manifest::Manifest;
use engine::read::{Archive, Member, Reader};
use engine::recovery::{Recovered, open_read_only};
use sample::{TimeRange, Timestamp};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

const SEEDS: u64 = 40;

/// Everything that readers can ask.
pub(crate) fn answers(shared: &Arc<Shared>, random: u64) -> Vec<String> {
    answers_of(&(Arc::new(LiveArchive::new(shared.clone())) as Arc<dyn Archive>), random)
}

/// As [`answers`], of any archive.
pub(crate) fn answers_of(archive: &Arc<dyn Archive>, random: u64) -> Vec<String> {
    answers_from(archive, random, MONDAY - 12 * HOUR)
}

/// Everything that readers can ask about some stretches, none of which begins before `earliest`.
pub(crate) fn answers_from(archive: &Arc<dyn Archive>, random: u64, earliest: i64) -> Vec<String> {
    let whole = earliest < MONDAY;
    let mut random = Random::new(random);
    let reader = Reader::new(vec![Member { name: "a".into(), priority: 1, archive: archive.clone() }]);
    let mut answers = Vec::new();
    for channel in 0..4 {
        let channel = channel_name(channel);
        let mut ranges = vec![TimeRange::new(Timestamp(MONDAY), Timestamp(MONDAY + HOUR))];
        ranges.extend(whole.then_some(TimeRange::ALL));
        for _ in 0..6 {
            let from = earliest + random.below((MONDAY + 12 * HOUR - earliest) as u64) as i64;
            ranges.push(TimeRange::new(
                Timestamp(from),
                Timestamp(from + random.below(6 * HOUR as u64) as i64),
            ));
        }
        for range in ranges {
            let Some(view) = reader.view(&channel, range).unwrap() else { continue };
            answers.push(format!("{channel} {range:?}"));
            let samples = samples_of(&view, range);
            let view = view.held().open();
            assert_eq!(samples_of(&view, range), samples);
            answers.push(format!("samples {samples:?}"));
            answers.push(format!("edge {:?}", view.last_before(range.from, false).unwrap()));
            answers.push(format!("at {:?}", view.last_before(range.from, true).unwrap()));
            answers.push(format!("after {:?}", view.first_from(range.to).unwrap()));
            answers.push(format!("metadata {:?}", view.metadata_at(range.from)));
            answers.push(format!("events {:?}", view.events(range)));
            answers.push(format!("coverage {:?}", view.coverage(range)));
        }
        let Some(detail) = archive.channel(&channel, Timestamp(MONDAY)).unwrap() else { continue };
        let row = detail.summary;
        answers
            .push(format!("{:?} {:?} {} {:?}", row.value_type, row.last, detail.retention, detail.metadata));
        if !whole {
            continue;
        }
        answers.push(format!("row {:?} {:?} {:?} {:?}", row.value_type, row.first, row.last, row.samples));
        // Where late samples of another type lie between others, the list of types says so coarsely.
        let types: BTreeSet<String> = detail.types.iter().map(|(_, of)| format!("{of:?}")).collect();
        answers.push(format!("{types:?}"));
    }
    answers
}

pub(crate) fn same(what: &str, before: &[String], after: &[String]) {
    for (at, (before, after)) in before.iter().zip(after).enumerate() {
        assert_eq!(before, after, "{what}, answer {at}");
    }
    assert_eq!(before.len(), after.len());
}

/// What another process reads.
pub(crate) fn read_only(life: &Life) -> Arc<Shared> {
    open_read_only(Arc::new(life.disk.clone()), Arc::new(life.clock.clone()), "/archive".into()).unwrap().0
}

/// Some days of everything that happens, flushed often.
pub(crate) fn flushed(seed: u64) -> (Life, Recovered) {
    let mut life = Life::new(seed);
    life.merge_fan_in = usize::MAX;
    life.merge_small_bytes = 1 << 20;
    let mut recovered = life.recover(0).unwrap();
    for flush in 0..40 {
        if flush == 20 {
            life.near_monday();
        }
        for _ in 0..1 + life.random.below(4) {
            life.batch(&mut recovered).unwrap();
        }
        life.write(&recovered).unwrap();
        life.freeze(&mut recovered);
        life.flush(&recovered).unwrap();
        if flush % 15 == 7 {
            recovered.keeper.sync_log().unwrap();
            drop(recovered);
            recovered = life.recover(0).unwrap();
        }
    }
    recovered.keeper.sync_log().unwrap();
    (life, recovered)
}

pub fn merge_everything(recovered: &Recovered) -> u64 {
    let mut merges = 0;
    while recovered.keeper.merge(&|| false).unwrap() {
        merges += 1;
    }
    assert_eq!(recovered.keeper.merge_debt(), 0);
    merges
}

pub fn table_files(disk: &disk::SimDisk) -> Vec<PathBuf> {
    disk.files().into_iter().filter(|path| path.extension().is_some_and(|e| e == "sst")).collect()
}

#[test]
fn every_answer_is_the_same_before_and_after_merging_everything() {
    for seed in 0..SEEDS {
        let (mut life, recovered) = flushed(seed);
        drop(recovered);
        life.merge_fan_in = 2 + (seed % 3) as usize;
        let mut recovered = life.recover(0).unwrap();
        recovered.keeper.write_log().unwrap();
        recovered.keeper.sync_log().unwrap();
        let (live, foreign) = (answers(&recovered.shared, seed), answers(&read_only(&life), seed));
        let tables = recovered.shared.view().tables.len();
        let held_open = read_only(&life);
        assert!(merge_everything(&recovered) > 3, "seed {seed}");
        let view = recovered.shared.view();
        assert!(view.tables.len() < tables);
        let tiers: Vec<u16> = view.manifest.tables.iter().map(|table| table.tier).collect();
        assert!(tiers.iter().any(|tier| *tier > 1), "seed {seed}: {tiers:?}");
        same("live", &live, &answers(&recovered.shared, seed));
        same("another process", &foreign, &answers(&read_only(&life), seed));
        same("a reader that opened the files before", &foreign, &answers(&held_open, seed));
        // The tables are sound, each one for itself.
        for table in &view.tables {
            let found = sstable::verify(&life.disk, table.path(), true).unwrap();
            assert!(found.problems.is_empty(), "seed {seed}: {:?}", found.problems);
        }
        // Behind the grace time only live tables are left.
        let dropped = view.manifest.dropped.len();
        assert_eq!(table_files(&life.disk).len(), view.tables.len() + dropped);
        assert_eq!(recovered.keeper.remove_dropped().unwrap(), 0);
        life.clock.advance(10 * MINUTE);
        let live = answers(&recovered.shared, seed);
        assert_eq!(recovered.keeper.remove_dropped().unwrap(), dropped);
        assert_eq!(table_files(&life.disk).len(), view.tables.len());
        same("behind the grace time", &live, &answers(&recovered.shared, seed));
        let foreign = answers(&read_only(&life), seed);
        drop(recovered);
        same("stopped", &foreign, &answers(&read_only(&life), seed));
        // Opening it again compares all that there is with what was written.
        recovered = life.recover(0).unwrap();
        life.redeliver(&mut recovered).unwrap();
        check::stretches(&recovered, &life.model, &mut life.random).unwrap();
    }
}

#[test]
fn what_is_flushed_while_a_merge_runs_stays() {
    for seed in 0..SEEDS / 2 {
        let (mut life, recovered) = flushed(seed);
        drop(recovered);
        life.merge_fan_in = 3;
        let mut recovered = life.recover(0).unwrap();
        for _ in 0..4 {
            life.batch(&mut recovered).unwrap();
        }
        life.write(&recovered).unwrap();
        life.freeze(&mut recovered);
        let life = RefCell::new(life);
        let asked = RefCell::new(0);
        let flush_meanwhile = || {
            *asked.borrow_mut() += 1;
            life.borrow_mut().flush(&recovered).unwrap();
            false
        };
        assert!(recovered.keeper.merge(&flush_meanwhile).unwrap());
        assert!(*asked.borrow() > 1);
        let life = life.into_inner();
        check::whole(&recovered, &life.model).unwrap();
        drop(recovered);
        let mut life = life;
        assert!(life.recover(0).is_ok());
    }
}

/// Flushes a table each time, of channels `A` and `B`.
fn flush_tables(rig: &mut Rig, count: usize) {
    for _ in 0..count {
        rig.advance(SECOND);
        for channel in ["A", "B"] {
            rig.sample(channel, rig.now(), rig.now() as f64);
        }
        rig.flush();
    }
}

fn rig(fan_in: usize) -> Rig {
    let mut rig = Rig::new(1, MONDAY + HOUR);
    rig.settings.merge_fan_in = fan_in;
    for channel in ["A", "B"] {
        rig.configure(channel, ChannelSettings::default());
    }
    rig.open();
    for channel in ["A", "B"] {
        rig.connect(channel, "ioc:5064");
    }
    rig
}

#[test]
fn a_stopped_merge_leaves_nothing_and_is_made_up_for() {
    let mut rig = rig(4);
    flush_tables(&mut rig, 4);
    let (files, generation) = (table_files(&rig.disk), rig.shared().view().manifest.generation);
    for looks in 0..5 {
        let left = RefCell::new(looks);
        let stop = || {
            let left = &mut *left.borrow_mut();
            *left -= 1;
            *left < 0
        };
        assert!(!rig.keeper().merge(&stop).unwrap());
        assert_eq!(table_files(&rig.disk), files);
    }
    assert_eq!(rig.shared().view().manifest.generation, generation);
    assert!(rig.keeper().merge(&|| false).unwrap());
    assert_eq!(rig.shared().view().tables.len(), 1);
    assert_eq!(rig.samples("A").len(), 4);
}

#[test]
fn a_damaged_table_is_named_kept_and_not_tried_again() {
    let mut rig = rig(4);
    flush_tables(&mut rig, 9);
    let bad = rig.shared().view().tables[2].path().to_path_buf();
    rig.restart(SECOND);
    rig.disk.flip(&bad, 200, 0xff).unwrap();
    let before = rig.disk.content(&bad).unwrap();
    let error = rig.keeper().merge(&|| false).unwrap_err();
    assert!(error.is_damage(), "{error}");
    let Error::Format(disk::FormatError::Corrupt { path, .. }) = &error else { panic!("{error}") };
    assert_eq!(*path, bad);
    assert!(error.to_string().contains(bad.file_name().unwrap().to_str().unwrap()), "{error}");
    assert!(rig.shared().health().merge_failed.is_some());
    // Its neighbours are merged among themselves.
    assert!(rig.keeper().merge(&|| false).unwrap());
    assert!(!rig.keeper().merge(&|| false).unwrap());
    assert!(rig.shared().health().merge_failed.is_some(), "it is still damaged");
    assert_eq!(rig.disk.content(&bad).unwrap(), before);
    let tables = &rig.shared().view().manifest.tables;
    assert_eq!(tables.iter().map(|table| table.tier).collect::<Vec<_>>()[..4], [0, 0, 0, 1]);
}

#[test]
fn a_merge_begins_only_where_there_is_room_and_ends_where_there_is_none() {
    let mut rig = rig(4);
    flush_tables(&mut rig, 4);
    let space = rig.disk.space("/archive".as_ref()).unwrap();
    let in_use = space.total - space.free;
    // Below min_free of what there is.
    rig.disk.set_capacity(in_use + in_use / 25);
    assert!(!rig.keeper().merge(&|| false).unwrap());
    assert!(rig.keeper().merge_debt() > 0);
    rig.disk.set_capacity(space.total);
    // Full in the midst of it.
    let files = table_files(&rig.disk);
    let disk = rig.disk.clone();
    let fill = || {
        disk.set_capacity(1);
        false
    };
    let error = rig.keeper().merge(&fill).unwrap_err();
    assert!(error.is_full(), "{error}");
    assert_eq!(table_files(&rig.disk), files);
    rig.disk.set_capacity(space.total);
    assert!(rig.keeper().merge(&|| false).unwrap());
    assert!(rig.shared().health().merge_failed.is_none());
    assert_eq!(rig.keeper().bytes_merged(), rig.shared().view().manifest.tables[0].len);
}

#[test]
fn at_start_up_what_was_never_live_goes_and_what_was_stays_for_its_grace_time() {
    let mut rig = rig(4);
    flush_tables(&mut rig, 4);
    assert!(rig.keeper().merge(&|| false).unwrap());
    let merged = rig.shared().view().tables[0].path().to_path_buf();
    let stray = merged.with_file_name("00000000000000ff.sst");
    rig.restart(MINUTE);
    assert_eq!(table_files(&rig.disk).len(), 5);
    rig.close();
    rig.disk.plant(&stray, b"a merge that was never finished").unwrap();
    rig.open();
    assert_eq!(rig.report().removed, [stray]);
    rig.advance(9 * MINUTE);
    assert_eq!(rig.keeper().remove_dropped().unwrap(), 4);
    assert_eq!(table_files(&rig.disk), [merged]);
    let id = rig.shared().identity.id;
    let manifest = Manifest::load(&rig.disk, &Layout::new("/archive"), id).unwrap().unwrap();
    assert!(manifest.dropped.is_empty());
    assert_eq!(rig.view("A", TimeRange::ALL).name(), &name("A"));
    assert_eq!(rig.samples("A").len(), 4);
}

#[test]
fn a_channel_that_changed_its_class_keeps_it() {
    let mut life = Life::new(3);
    life.merge_fan_in = 2;
    let mut recovered = life.recover(0).unwrap();
    let classes = ["default", "short", "default", "default"];
    for (flush, class) in classes.into_iter().enumerate() {
        life.clock.advance(MINUTE);
        recovered.writer.at(Timestamp(MONDAY - 3 * HOUR + flush as i64));
        let id = recovered.writer.register(&name("moves"));
        let stays = recovered.writer.register(&name("stays"));
        // The one that moves is silent from then on, the other one goes on in the old class.
        if flush < 2 {
            recovered.writer.record(id, sstable::ChannelChange::Retention(class.into()));
        }
        recovered.writer.event(stays, Timestamp(MONDAY - 3 * HOUR), sample::EventKind::Started);
        recovered.writer.commit();
        recovered.keeper.write_log().unwrap();
        let frozen = recovered.writer.freeze().unwrap();
        recovered.keeper.flush(frozen).unwrap();
    }
    merge_everything(&recovered);
    drop(recovered);
    let archive = LiveArchive::new(read_only(&life));
    let class = |text: &str| archive.channel(&name(text), Timestamp(0)).unwrap().unwrap().retention;
    assert_eq!((class("moves"), class("stays")), ("short".into(), "default".into()));
}
