//! Rebuilding an archive from its tables alone: nothing is lost, nothing is double, damage is named.

use crate::crash::check;
use crate::crash::happened::Chore;
use crate::crash::life::{Life, MONDAY, Stop};
use crate::merging::{answers, flushed, merge_everything, read_only, same, table_files};
use crate::rig::{HOUR, MINUTE, Rig, SECOND};
use crate::sealing;
use disk::sim::Crash;
use disk::{Disk, SimDisk};
use engine::clock::ManualClock;
use engine::config::ChannelSettings;
use engine::error::Error;
use engine::identity::ArchiveId;
use engine::layout::{Layout, week_dir_name};
use engine::manifest::Manifest;
use engine::recovery::{Recovered, open_read_only};
use engine::reindex::{Mended, Reindexed, Reindexing, reindex};
use sample::{Timestamp, Week};
use std::path::Path;
use std::sync::Arc;

const SEEDS: u64 = 30;

pub(crate) fn reindexed_at(disk: &SimDisk, clock: &ManualClock, directory: &str) -> Result<Reindexed, Error> {
    reindex(&Reindexing {
        disk: Arc::new(disk.clone()),
        clock: Arc::new(clock.clone()),
        directory: directory.into(),
        partition: None,
        threads: 1,
        progress: &|_, _| {},
    })
}

fn reindexed(life: &Life) -> Reindexed {
    reindexed_at(&life.disk, &life.clock, "/archive").unwrap()
}

/// Some days of everything that happens; some of it merged, some only in the log.
fn filled(seed: u64) -> (Life, Recovered) {
    let (mut life, recovered) = flushed(seed);
    drop(recovered);
    life.merge_fan_in = 2 + (seed % 4) as usize;
    let mut recovered = life.recover(0).unwrap();
    for _ in 0..seed % 12 {
        let _ = recovered.keeper.merge(&|| false).unwrap();
    }
    for _ in 0..seed % 5 {
        life.batch(&mut recovered).unwrap();
    }
    life.write(&recovered).unwrap();
    recovered.keeper.sync_log().unwrap();
    (life, recovered)
}

fn manifest(life: &Life) -> Manifest {
    Manifest::load(&life.disk, &Layout::new("/archive"), ArchiveId(7)).unwrap().unwrap()
}

#[test]
fn every_answer_is_the_same_before_and_after() {
    for seed in 0..SEEDS {
        let (mut life, recovered) = filled(seed);
        drop(recovered);
        let before = (manifest(&life), answers(&read_only(&life), seed));
        match seed % 4 {
            0 => {}
            1 => life.disk.remove(Path::new("/archive/MANIFEST")).unwrap(),
            2 => {
                life.disk.remove(Path::new("/archive/MANIFEST")).unwrap();
                life.disk.remove(Path::new("/archive/ARCHIVE")).unwrap();
            }
            _ => {
                life.disk.flip(Path::new("/archive/MANIFEST"), 60, 0x20).unwrap();
                life.disk.flip(Path::new("/archive/ARCHIVE"), 20, 0x20).unwrap();
            }
        }
        let done = reindexed(&life);
        assert!(!done.lost_something() && done.mended.is_empty(), "seed {seed}: {done:?}");
        let after = manifest(&life);
        assert_eq!(after.tables, before.0.tables, "seed {seed}");
        assert_eq!(after.classes, before.0.classes, "seed {seed}");
        assert!(after.generation > before.0.generation);
        let counters = |m: &Manifest| (m.wal_from, m.next_channel, m.heartbeat);
        assert_eq!(counters(&after), counters(&before.0), "seed {seed}");
        assert!(after.next_table >= before.0.next_table - 1 && after.next_sequence <= before.0.next_sequence);
        same("after reindexing", &before.1, &answers(&read_only(&life), seed));
        let mut recovered = life.recover(0).unwrap();
        life.redeliver(&mut recovered).unwrap();
        check::stretches(&recovered, &life.model, &mut life.random).unwrap();
    }
}

/// A flush or a merge that is cut anywhere, then the manifest is lost as well.
#[test]
fn what_an_interrupted_flush_or_merge_left_is_sorted_out() {
    for seed in 0..4 * SEEDS {
        let (mut life, mut recovered) = filled(seed % SEEDS);
        let crash = if seed % 3 == 0 { Crash::Kill } else { Crash::PowerCut };
        life.disk.crash_after(life.random.below(120), crash);
        while !life.disk.is_off() {
            // A crash may come in any of these.
            let _ = life.batch(&mut recovered);
            let _ = life.write(&recovered);
            let _ = recovered.keeper.sync_log();
            life.note_durable(&recovered);
            life.freeze(&mut recovered);
            let _ = life.flush(&recovered);
            let _ = recovered.keeper.merge(&|| false);
            life.note_durable(&recovered);
        }
        drop(recovered);
        life.crashed(crash);
        if seed % 2 == 0 {
            life.disk.remove(Path::new("/archive/MANIFEST")).unwrap();
        }
        let done = reindexed(&life);
        assert!(!done.lost_something() && done.missing.is_empty(), "seed {seed}: {done:?}");
        if let Err(stop) = life.recover(0) {
            panic!("seed {seed}: {stop:?}\n{done:?}");
        }
        // Every sample once: none is counted both in a table and in one that it was merged into.
        let (shared, samples) =
            (read_only(&life), life.model.channels.iter().map(|c| c.samples.len()).sum::<usize>());
        let stored: u64 = (0..4)
            .filter_map(|channel| {
                let archive = engine::LiveArchive::new(shared.clone());
                let name = crate::crash::life::name(channel);
                use engine::read::Archive;
                Some(archive.channel(&name, Timestamp(MONDAY)).unwrap()?.summary.samples)
            })
            .sum();
        assert_eq!(stored, samples as u64, "seed {seed}: {done:?}");
    }
}

/// With a sound manifest nothing changes; without one sealed tables are found by their places.
#[test]
fn sealed_weeks_are_found_again() {
    for seed in 0..SEEDS / 2 {
        let (mut life, recovered) = sealing::life(seed);
        sealing::seal(&recovered.keeper, sealing::week());
        if seed % 2 == 1 {
            life.clock.advance(10 * MINUTE);
            recovered.keeper.remove_dropped().unwrap();
        }
        recovered.keeper.sync_log().unwrap();
        drop(recovered);
        let (before, asked) = (manifest(&life), answers(&read_only(&life), seed));
        // While the grace time runs the sources are there as well.
        let kept = seed % 3 == 0;
        if !kept {
            life.disk.remove(Path::new("/archive/MANIFEST")).unwrap();
        }
        let done = reindexed(&life);
        assert!(!done.lost_something(), "seed {seed}: {done:?}");
        let after = manifest(&life);
        assert!(after.tables.iter().any(|table| table.sealed), "seed {seed}");
        assert!(!kept || after.tables == before.tables, "seed {seed}");
        let facts = |m: &Manifest| -> std::collections::BTreeSet<_> {
            m.tables.iter().map(|t| (t.inside(), t.sealed, t.samples, t.value_bytes, t.footer_crc)).collect()
        };
        assert_eq!(facts(&after), facts(&before), "seed {seed}");
        same("sealed weeks", &asked, &answers(&read_only(&life), seed));
        assert!(life.recover(0).is_ok());
    }
}

/// A reindexing that is cut anywhere is done again.
#[test]
fn an_interrupted_reindexing_is_done_again() {
    for seed in 0..2 * SEEDS {
        let (mut life, recovered) = filled(seed % SEEDS);
        drop(recovered);
        let before = answers(&read_only(&life), seed);
        if seed % 2 == 0 {
            life.disk.remove(Path::new("/archive/MANIFEST")).unwrap();
        }
        life.disk.crash_after(life.random.below(400), Crash::PowerCut);
        let cut = reindexed_at(&life.disk, &life.clock, "/archive");
        if life.disk.is_off() {
            assert!(cut.is_err());
            life.disk.power_on();
        }
        life.disk.cancel_crash();
        reindexed(&life);
        same("after reindexing twice", &before, &answers(&read_only(&life), seed));
        assert!(life.recover(0).is_ok());
    }
}

#[test]
fn of_damaged_tables_everything_undamaged_is_back() {
    for seed in 0..SEEDS {
        let (mut life, recovered) = flushed(seed);
        drop(recovered);
        let whole = samples(&read_only(&life));
        let tables = table_files(&life.disk);
        let bad = tables[life.random.below(tables.len() as u64) as usize].clone();
        let len = life.disk.content(&bad).unwrap().len() as u64;
        for _ in 0..1 + life.random.below(3) {
            let at = life.random.below(len);
            life.disk.flip(&bad, at, 1 << life.random.below(8)).unwrap();
        }
        let damaged = life.disk.content(&bad).unwrap();
        if seed % 2 == 0 {
            life.disk.remove(Path::new("/archive/MANIFEST")).unwrap();
        }
        let done = reindexed(&life);
        assert_eq!(done.mended.len(), 1, "seed {seed}: {done:?}");
        let mended = &done.mended[0];
        assert_eq!((&mended.file, life.disk.content(&mended.kept).unwrap()), (&bad, damaged));
        assert!(!table_files(&life.disk).contains(&bad));
        let left = samples(&read_only(&life));
        assert!(left.iter().all(|sample| whole.contains(sample)), "seed {seed}: invented");
        for (channel, time, sample) in whole.iter().filter(|sample| !left.contains(sample)) {
            let names = |loss: &sstable::Loss| {
                loss.channels.is_some() && loss.span.is_none_or(|(a, b)| a <= *time && *time <= b)
            };
            let named = mended.lost.iter().any(|(loss, _)| names(loss));
            assert!(named, "seed {seed}: {channel} {sample} is not in {:?}", mended.lost);
        }
        assert!(mended.lost_something() || left == whole, "seed {seed}");
        // Once is enough; everything that is there is sound.
        let again = reindexed(&life);
        assert!(again.mended.is_empty() && again.manifest.tables == done.manifest.tables, "seed {seed}");
        engine::recovery::open(life.opening()).unwrap();
        for table in table_files(&life.disk) {
            assert!(sstable::verify(&life.disk, &table, true).unwrap().problems.is_empty());
        }
    }
}

/// Channel, time and all of each sample.
fn samples(shared: &Arc<engine::Shared>) -> Vec<(usize, Timestamp, String)> {
    let reader = crate::rig::reader_of(shared);
    let mut found = Vec::new();
    for channel in 0..4 {
        let name = crate::crash::life::name(channel);
        let Some(view) = reader.view(&name, sample::TimeRange::ALL).unwrap() else { continue };
        let samples = crate::rig::samples_of(&view, sample::TimeRange::ALL);
        found.extend(samples.into_iter().map(|sample| (channel, sample.time, format!("{sample:?}"))));
    }
    found
}

#[test]
fn a_damaged_table_whose_parts_are_still_there_costs_nothing() {
    for with_manifest in [false, true] {
        let (mut life, recovered) = flushed(5);
        drop(recovered);
        life.merge_fan_in = 40;
        let recovered = life.recover(0).unwrap();
        life.write(&recovered).unwrap();
        recovered.keeper.sync_log().unwrap();
        let before = samples(&recovered.shared);
        life.merge_fan_in = 4;
        drop(recovered);
        let recovered = life.recover(0).unwrap();
        assert!(recovered.keeper.merge(&|| false).unwrap());
        let view = recovered.shared.view();
        let at = view.manifest.tables.iter().position(|table| table.tier == 1).unwrap();
        let merged = view.tables[at].path().to_path_buf();
        drop((view, recovered));
        life.disk.flip(&merged, 300, 4).unwrap();
        if !with_manifest {
            life.disk.remove(Path::new("/archive/MANIFEST")).unwrap();
        }
        let done = reindexed(&life);
        assert!(
            done.mended.len() == 1 && done.mended[0].saved.is_none() && !done.lost_something(),
            "{done:?}"
        );
        assert_eq!(samples(&read_only(&life)), before);
        assert!(life.recover(0).is_ok());
    }
}

#[test]
fn a_week_copied_alone_answers_as_it_did() {
    for seed in 0..SEEDS {
        let (mut life, mut recovered) = filled(seed);
        // What is in the log alone is of no week yet.
        life.freeze(&mut recovered);
        life.flush(&recovered).unwrap();
        merge_everything(&recovered);
        drop(recovered);
        let week = Week::containing(Timestamp(MONDAY));
        let inside = format!("weeks/{}", week_dir_name(week, 1));
        let other = SimDisk::new(3);
        let live = manifest(&life);
        for table in live.tables.iter().filter(|table| table.week == week) {
            let path = Layout::new("/archive").table(week, 1, table.id);
            let to = Path::new("/other").join(&inside).join(path.file_name().unwrap());
            other.plant(&to, &life.disk.content(&path).unwrap()).unwrap();
        }
        if live.tables.iter().all(|table| table.week != week || !table.holds_carry_in) {
            continue;
        }
        let done = reindexed_at(&other, &life.clock, "/other").unwrap();
        assert!(done.adopted && done.archive == ArchiveId(7));
        let copy = open_read_only(Arc::new(other.clone()), Arc::new(life.clock.clone()), "/other".into());
        let (copy, whole) = (copy.unwrap().0, read_only(&life));
        for answer in 0..8 {
            let from = MONDAY + answer * 20 * MINUTE;
            let range = sample::TimeRange::new(Timestamp(from), Timestamp(from + HOUR));
            let (a, b) = (in_week(&whole, range, &live, week), in_week(&copy, range, &live, week));
            same(&format!("seed {seed}"), &a, &b);
        }
    }
}

/// What can be asked about a stretch of a week as far as its tables go.
fn in_week(
    shared: &Arc<engine::Shared>,
    range: sample::TimeRange,
    manifest: &Manifest,
    week: Week,
) -> Vec<String> {
    let known = manifest.tables.iter().filter(|table| table.week == week);
    let last = known.filter_map(|table| table.samples_span).map(|(_, last)| last).max();
    let Some(last) = last else { return Vec::new() };
    let range = sample::TimeRange::new(range.from.min(last), range.to.min(last));
    let reader = crate::rig::reader_of(shared);
    let mut answers = Vec::new();
    for channel in 0..4 {
        let Some(view) = reader.view(&crate::crash::life::name(channel), range).unwrap() else { continue };
        answers.push(format!("{channel} {:?}", crate::rig::samples_of(&view, range)));
        answers.push(format!("edge {:?}", view.last_before(range.from, false).unwrap()));
        answers.push(format!("metadata {:?}", view.metadata_at(range.from)));
        answers.push(format!("events {:?}", view.events(range)));
    }
    answers
}

fn small() -> Rig {
    let mut rig = Rig::new(1, MONDAY + HOUR);
    for channel in ["A", "B"] {
        rig.configure(channel, ChannelSettings::default());
    }
    rig.open();
    for channel in ["A", "B"] {
        rig.connect(channel, "ioc:5064");
        rig.advance(SECOND);
        rig.sample(channel, rig.now(), 1.0);
    }
    rig.flush();
    rig
}

#[test]
fn an_archive_that_an_engine_writes_is_left_alone() {
    let rig = small();
    let error = reindexed_at(&rig.disk, &rig.clock, "/archive").unwrap_err();
    assert!(matches!(error, Error::Locked { .. }), "{error}");
}

#[test]
fn a_missing_table_is_named_and_the_rest_opens() {
    let mut rig = small();
    rig.advance(SECOND);
    rig.sample("A", rig.now(), 2.0);
    rig.flush();
    rig.close();
    let gone = table_files(&rig.disk)[0].clone();
    rig.disk.remove(&gone).unwrap();
    let done = reindexed_at(&rig.disk, &rig.clock, "/archive").unwrap();
    assert_eq!(done.missing.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>(), [gone]);
    assert!(done.lost_something());
    rig.open();
    assert_eq!(rig.doubles("A").len(), 1);
}

#[test]
fn tables_of_another_archive_are_named_and_an_empty_archive_takes_them_over() {
    let mut rig = small();
    rig.close();
    let table = table_files(&rig.disk)[0].clone();
    let bytes = rig.disk.content(&table).unwrap();
    // Another archive with something of its own.
    let mut other = small();
    other.close();
    let renamed = table.with_file_name("00000000000000aa.sst");
    let mut foreign = bytes.clone();
    // The archive's id stands at byte 16; prologue and footer have checksums.
    foreign[16] ^= 1;
    let crc = disk::checksum(&foreign[..124]);
    foreign[124..128].copy_from_slice(&crc.to_le_bytes());
    let footer = foreign.len() - 128;
    foreign[footer + 8..footer + 12].copy_from_slice(&crc.to_le_bytes());
    let crc = disk::checksum(&foreign[footer..footer + 124]);
    foreign[footer + 124..].copy_from_slice(&crc.to_le_bytes());
    other.disk.plant(&renamed, &foreign).unwrap();
    let done = reindexed_at(&other.disk, &other.clock, "/archive").unwrap();
    assert_eq!(done.foreign, [(renamed, ArchiveId(6))]);
    assert_eq!(done.manifest.tables.len(), 1);
    other.open();
    assert_eq!(other.doubles("A").len(), 1);
    // One that never stored anything.
    let mut empty = Rig::new(1, MONDAY + HOUR);
    empty.open();
    empty.close();
    empty.disk.plant(&table, &foreign).unwrap();
    let done = reindexed_at(&empty.disk, &empty.clock, "/archive").unwrap();
    assert!(done.adopted && done.archive == ArchiveId(6), "{done:?}");
    empty.open();
    assert_eq!(empty.doubles("A").len(), 1);
}

/// A step of a life between two openings: the manifest is lost and rebuilt, the rebuilding is cut.
pub(crate) fn step(life: &mut Life) -> Result<(), Stop> {
    if !life.disk.exists(Path::new("/archive/ARCHIVE")).map_err(|error| life.end(&error.into()))? {
        return Ok(());
    }
    if life.random.one_in(2) {
        // It may be missing if the archive's creation was cut.
        let _ = life.disk.remove(Path::new("/archive/MANIFEST"));
        life.disk.sync_dir(Path::new("/archive")).map_err(|error| life.end(&error.into()))?;
    }
    let crash = if life.random.one_in(4) { Crash::Kill } else { Crash::PowerCut };
    life.begin(Chore::Reindex);
    life.disk.crash_after(life.random.below(400), crash);
    let mut done = reindexed_at(&life.disk, &life.clock, "/archive");
    life.disk.cancel_crash();
    if life.disk.is_off() {
        life.happened.chore(Chore::Reindex).cut += 1;
        life.crashed(crash);
        let named =
            life.disk.exists(Path::new("/archive/MANIFEST")).map_err(|error| life.end(&error.into()))?;
        if named && life.random.one_in(2) {
            // The former manifest, or the new one: either opens and tells all.
            return Ok(());
        }
        done = reindexed_at(&life.disk, &life.clock, "/archive");
    }
    let done = done.map_err(|error| life.end(&error))?;
    life.happened.chore(Chore::Reindex).done += 1;
    // Of a table that a power cut tore while it was written, sectors may be there and the rest not: without a
    // manifest it looks as a live one would of which nothing can be read.
    let torn = |mended: &Mended| done.manifest_lost.is_some() && mended.saved.is_none();
    let lost = done.mended.iter().any(|mended| mended.lost_something() && !torn(mended));
    if lost || !done.missing.is_empty() || !done.foreign.is_empty() {
        return Err(Stop::Wrong(format!("damage found where there is none: {done:?}")));
    }
    if done.manifest_lost.is_some() {
        // The last that a flush wrote which no manifest named may stand twice, in tables and in the log.
        life.model.surplus = true;
    }
    Ok(())
}
