//! Index files change no answer: present, missing, damaged, of another archive, cut off by a crash.

use crate::crash::life::{Life, name as channel_name};
use crate::merging::{answers, answers_of, flushed, read_only, same};
use crate::rig::{DAY, HOUR, MINUTE, MONDAY, Rig, SECOND, WEEK, name};
use disk::sim::{Crash, Random};
use disk::{Disk, FormatError, SimDisk};
use engine::clock::ManualClock;
use engine::layout::Layout;
use engine::manifest::{Manifest, PartitionIndexEntry};
use engine::read::{Archive, ChannelFilter, Member, Reader};
use engine::recovery::{Recovered, open};
use engine::{Connector, ForeignArchive, Keeper, SealStep, Shared};
use index::{Master, PageCache, PartitionIndex};
use sample::{TimeRange, Timestamp};
use sstable::{Scan, ScannedContent};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const SEEDS: u64 = 15;

fn index_everything(keeper: &Keeper) -> u64 {
    let mut steps = 0;
    while keeper.index(&|| false).unwrap() {
        steps += 1;
        assert!(steps < 100, "it never ends");
    }
    steps
}

/// A life whose weeks are all over, everything in tables, every other one's sealed.
fn settled(seed: u64) -> (Life, Recovered) {
    let (mut life, recovered) = flushed(seed);
    drop(recovered);
    life.merge_fan_in = 4;
    let mut recovered = life.recover(0).unwrap();
    recovered.keeper.write_log().unwrap();
    life.freeze(&mut recovered);
    life.flush(&recovered).unwrap();
    while recovered.keeper.merge(&|| false).unwrap() {}
    life.clock.advance(3 * WEEK);
    while seed % 2 == 1 && recovered.keeper.seal(&|| false).unwrap() != SealStep::Idle {}
    recovered.keeper.remove_dropped().unwrap();
    recovered.keeper.sync_log().unwrap();
    (life, recovered)
}

/// The index files that the manifest names.
fn files_of(manifest: &Manifest, layout: &Layout) -> Vec<PathBuf> {
    let partitions = manifest.partition_indexes.iter();
    let partitions = partitions.map(|of| layout.partition_index(of.week, of.generation, of.id));
    partitions.chain(manifest.master_segments.iter().map(|of| layout.master_segment(of.id))).collect()
}

fn index_files(disk: &SimDisk) -> Vec<PathBuf> {
    disk.files().into_iter().filter(|path| path.extension().is_some_and(|e| e == "index")).collect()
}

/// Every index file is sound, and all tables of past weeks stand in one.
fn check(life: &Life, shared: &Shared) {
    let view = shared.view();
    let cache = PageCache::new(1 << 20);
    for of in &view.manifest.partition_indexes {
        let path = shared.layout.partition_index(of.week, of.generation, of.id);
        let index = PartitionIndex::open(&life.disk, &path, &cache).unwrap();
        index.verify().unwrap();
        let tables = view.tables.iter().filter(|table| of.tables.contains(&table.info().table));
        let entries: u64 = tables.map(|table| table.all_entries().count() as u64).sum();
        assert_eq!(index.summary().entries, entries);
    }
    for of in &view.manifest.master_segments {
        Master::open(&life.disk, &shared.layout.master_segment(of.id), &cache).unwrap().verify().unwrap();
    }
    for table in &view.manifest.tables {
        let covers = |of: &&PartitionIndexEntry| of.tables.contains(&table.id);
        assert_eq!(view.manifest.partition_indexes.iter().filter(covers).count(), 1);
    }
    for of in &view.manifest.partition_indexes {
        assert_eq!(view.manifest.master_segments.iter().filter(|m| m.indexes.contains(&of.id)).count(), 1);
    }
}

#[test]
fn every_answer_is_the_same_with_index_files() {
    for seed in 0..SEEDS {
        let (mut life, recovered) = settled(seed);
        let (live, foreign) = (answers(&recovered.shared, seed), answers(&read_only(&life), seed));
        let held_open = read_only(&life);
        assert!(index_everything(&recovered.keeper) > 1, "seed {seed}");
        check(&life, &recovered.shared);
        assert!(recovered.shared.health().index_failed.is_none());
        same("live", &live, &answers(&recovered.shared, seed));
        same("another process", &foreign, &answers(&read_only(&life), seed));
        same("a reader that opened the files before", &foreign, &answers(&held_open, seed));
        drop(recovered);
        let recovered = life.recover(0).unwrap();
        assert_eq!(index_everything(&recovered.keeper), 0, "a restart finds all as it was");
    }
}

/// The directory as a process that only reads it has it, without an engine.
fn foreign(disk: &SimDisk, clock: &ManualClock) -> Arc<dyn Archive> {
    let connect: Connector = Box::new(|_| unreachable!("no engine runs"));
    let (disk, clock) = (Arc::new(disk.clone()), Arc::new(clock.clone()));
    Arc::new(ForeignArchive::new(disk, clock, "/archive".into(), None, connect))
}

#[test]
fn one_channel_read_alone_answers_as_among_all() {
    for seed in 0..SEEDS {
        let (mut life, mut recovered) = settled(seed);
        // The log holds more than the tables.
        for _ in 0..3 {
            life.batch(&mut recovered).unwrap();
        }
        recovered.keeper.sync_log().unwrap();
        life.write(&recovered).unwrap();
        drop(recovered);
        let expected = answers_of(&foreign(&life.disk, &life.clock), seed);
        let recovered = life.recover(0).unwrap();
        index_everything(&recovered.keeper);
        let later = answers(&read_only(&life), seed);
        drop(recovered);
        let indexed = answers_of(&foreign(&life.disk, &life.clock), seed);
        assert_eq!(expected.len(), indexed.len());
        same("as all", &later, &indexed);
        // A name that nothing knows; names asked for after each other; all of them.
        let archive = foreign(&life.disk, &life.clock);
        assert_eq!(archive.resolve("nobody").unwrap(), None);
        for channel in 0..4 {
            let name = channel_name(channel);
            assert_eq!(archive.resolve(name.as_str()).unwrap(), Some(name));
        }
        let all = ChannelFilter { matches: &|_| true, state: None, after: None, limit: 0 };
        assert_eq!(archive.channels(&all).unwrap().len(), 4);
    }
}

#[test]
fn one_channel_of_many_is_read_without_the_others() {
    let names: Vec<String> = (0..4000).map(|i| format!("SR:C{i:05}")).collect();
    let mut rig = Rig::with(MONDAY + HOUR, &names.iter().map(String::as_str).collect::<Vec<_>>());
    for channel in [&names[7], &names[3999]] {
        rig.connect(channel, "ioc:5064");
        rig.sample(channel, rig.now(), 4.5);
    }
    rig.flush();
    let table = rig.shared().view().tables[0].path().to_path_buf();
    rig.advance(3 * WEEK);
    index_everything(rig.keeper());
    rig.close();
    let blocks = Scan::open(&rig.disk, &table).unwrap().map(Result::unwrap);
    let dictionary = blocks.filter(|block| matches!(block.content, ScannedContent::Dictionary(_)));
    let dictionary: Vec<u64> = dictionary.map(|block| block.offset).collect();
    assert!(dictionary.len() > 1);
    // What is said of the last channels is lost; nobody who asks about the first ones looks there.
    rig.disk.flip(&table, dictionary[dictionary.len() - 1] + 100, 1).unwrap();
    let archive = foreign(&rig.disk, &rig.clock);
    let reader = Reader::new(vec![Member { name: "a".into(), priority: 1, archive: archive.clone() }]);
    let at = Timestamp(rig.now());
    let view = reader.view(&name(&names[7]), TimeRange::new(at, at)).unwrap().unwrap();
    assert_eq!(view.last_before(at, true).unwrap().unwrap().value.as_f64(), Some(4.5));
    assert!(archive.resolve(&names[3999]).is_err());
    assert!(archive.resolve("nobody").is_err());
}

#[test]
fn index_files_that_are_lost_damaged_or_foreign_are_done_without_and_made_anew() {
    let (other, stranger) = settled(99);
    index_everything(&stranger.keeper);
    let foreign_files = files_of(&stranger.shared.view().manifest, &stranger.shared.layout);
    for seed in 0..SEEDS {
        let (mut life, recovered) = settled(seed);
        index_everything(&recovered.keeper);
        let expected = answers(&read_only(&life), seed);
        let layout = recovered.shared.layout.clone();
        let files = files_of(&recovered.shared.view().manifest, &layout);
        assert!(files.len() >= 2);
        drop(recovered);
        let mut random = Random::new(seed);
        for file in &files {
            let content = life.disk.content(file).unwrap();
            match random.below(4) {
                0 => life.disk.remove(file).unwrap(),
                1 => life.disk.plant(file, &content[..random.below(content.len() as u64) as usize]).unwrap(),
                2 => {
                    let foreign = &foreign_files[random.below(foreign_files.len() as u64) as usize];
                    life.disk.plant(file, &other.disk.content(foreign).unwrap()).unwrap();
                }
                // One bit of every page.
                _ => {
                    for page in (0..content.len() as u64).step_by(16 << 10) {
                        let at = page + 16 + random.below(100);
                        life.disk.flip(file, at.min(content.len() as u64 - 1), 1).unwrap();
                    }
                }
            }
        }
        same("without", &expected, &answers(&read_only(&life), seed));
        life.lost_indexes = true;
        let mut recovered = life.recover(0).unwrap();
        let before = answers(&recovered.shared, seed);
        assert!(index_everything(&recovered.keeper) > 0);
        check(&life, &recovered.shared);
        let new = files_of(&recovered.shared.view().manifest, &layout);
        assert!(files.iter().all(|file| !new.contains(file)));
        same("made anew", &before, &answers(&recovered.shared, seed));
        // What was replaced goes behind the grace time.
        life.clock.advance(10 * MINUTE);
        recovered.keeper.remove_dropped().unwrap();
        assert_eq!(index_files(&life.disk).len(), new.len());
        life.redeliver(&mut recovered).unwrap();
    }
}

/// Reads every page of one index file.
fn verified(disk: &SimDisk, manifest: &Manifest, layout: &Layout, file: &Path) -> Result<u64, FormatError> {
    let is_partition =
        |of: &&PartitionIndexEntry| layout.partition_index(of.week, of.generation, of.id) == *file;
    if let Some(of) = manifest.partition_indexes.iter().find(is_partition) {
        return engine::verify_partition_index(disk, layout, manifest, of, false);
    }
    let mut segments = manifest.master_segments.iter();
    let of = segments.find(|of| layout.master_segment(of.id) == *file).unwrap();
    engine::verify_master_segment(disk, layout, manifest, of, false)
}

#[test]
fn whatever_bit_flips_wherever_a_file_ends_it_is_named_and_the_tables_answer() {
    let (life, recovered) = settled(5);
    index_everything(&recovered.keeper);
    let (manifest, layout) = (recovered.shared.view().manifest.clone(), recovered.shared.layout.clone());
    drop(recovered);
    let expected = answers(&read_only(&life), 5);
    let told = |disk: &SimDisk| {
        let (disk, clock) = (Arc::new(disk.clone()), Arc::new(life.clock.clone()));
        answers(&engine::recovery::open_read_only(disk, clock, "/archive".into()).unwrap().0, 5)
    };
    let (mut random, mut done) = (Random::new(4), 0);
    for file in files_of(&manifest, &layout) {
        let len = life.disk.content(&file).unwrap().len() as u64;
        assert!(verified(&life.disk, &manifest, &layout, &file).is_ok());
        // A prime, so that every place in a page has its turn.
        for at in (0..len).step_by(101).chain([len - 1]) {
            let disk = life.disk.copy();
            if random.one_in(8) {
                disk.truncate(&file, at).unwrap();
            } else {
                disk.flip(&file, at, 1 << random.below(8)).unwrap();
            }
            let error = verified(&disk, &manifest, &layout, &file).unwrap_err();
            match &error {
                FormatError::Corrupt { path, offset, .. } => {
                    assert!(*path == file && *offset <= len, "{error}")
                }
                // The first bytes say what a file is.
                FormatError::WrongKind { path, .. } => assert!(*path == file && at < 8, "{error}"),
                other => panic!("{at}: {other}"),
            }
            if done % 40 == 0 {
                same("with a damaged index", &expected, &told(&disk));
            }
            done += 1;
        }
    }
    assert!(done > 1000, "{done}");
}

#[test]
fn a_page_that_is_damaged_while_it_is_in_use_is_noticed_reported_and_made_anew() {
    let (life, recovered) = settled(3);
    index_everything(&recovered.keeper);
    let files = files_of(&recovered.shared.view().manifest, &recovered.shared.layout);
    drop(recovered);
    // Opened with a sound footer, then every other page goes.
    for file in &files {
        let len = life.disk.content(file).unwrap().len() as u64;
        for page in (0..len - (16 << 10)).step_by(16 << 10) {
            life.disk.flip(file, page + 20, 1).unwrap();
        }
    }
    let recovered = open(life.opening()).unwrap();
    assert!(!recovered.keeper.index(&|| false).unwrap());
    recovered.keeper.write_log().unwrap();
    recovered.keeper.sync_log().unwrap();
    let (around, foreign) = (answers(&recovered.shared, 3), answers(&read_only(&life), 3));
    assert!(recovered.keeper.index(&|| false).unwrap());
    let reported = recovered.shared.health().index_failed.clone().unwrap().1;
    assert!(reported.contains(".index") && reported.contains("byte"), "{reported}");
    index_everything(&recovered.keeper);
    assert!(recovered.shared.health().index_failed.is_none());
    same("made anew", &around, &answers(&recovered.shared, 3));
    same("made anew, another process", &foreign, &answers(&read_only(&life), 3));
    for file in &files {
        life.disk.remove(file).unwrap();
    }
    same("without", &foreign, &answers(&read_only(&life), 3));
}

#[test]
fn a_crash_at_any_operation_leaves_what_answers_and_can_be_indexed() {
    let (mut cut, mut whole) = (0, 0);
    for seed in 0..SEEDS {
        let (life, recovered) = settled(seed);
        let expected = answers(&read_only(&life), seed);
        drop(recovered);
        for after in (seed % 4..).step_by(4) {
            let disk = life.disk.copy();
            let opening = || engine::recovery::Opening { disk: Arc::new(disk.clone()), ..life.opening() };
            let recovered = open(opening()).unwrap();
            let crash = if after % 3 == 0 { Crash::Kill } else { Crash::PowerCut };
            disk.crash_after(after, crash);
            while matches!(recovered.keeper.index(&|| false), Ok(true)) {}
            let crashed = disk.is_off();
            drop(recovered);
            disk.cancel_crash();
            if !crashed {
                whole += 1;
                break;
            }
            cut += 1;
            disk.power_on();
            let (foreign, _) = engine::recovery::open_read_only(
                Arc::new(disk.clone()),
                Arc::new(life.clock.clone()),
                "/archive".into(),
            )
            .unwrap();
            same("behind the crash", &expected, &answers(&foreign, seed));
            drop(foreign);
            let recovered = open(opening()).unwrap();
            let manifest = recovered.shared.view().manifest.clone();
            let named = files_of(&manifest, &recovered.shared.layout);
            let dropped = manifest.dropped.iter().filter(|of| of.file.ends_with(".index")).count();
            assert_eq!(index_files(&disk).len(), named.len() + dropped, "nothing unfinished is left");
            index_everything(&recovered.keeper);
        }
    }
    assert!(cut > 100 && whole == SEEDS, "{cut} cut, {whole} whole");
}

/// A table a day of channels `A` and `B`.
fn days(rig: &mut Rig, count: i64) {
    for _ in 0..count {
        rig.advance(DAY);
        for channel in ["A", "B"] {
            rig.sample(channel, rig.now() - SECOND, rig.now() as f64);
        }
        rig.flush();
    }
}

fn rig() -> Rig {
    let mut rig = Rig::with(MONDAY + HOUR, &["A", "B"]);
    for channel in ["A", "B"] {
        rig.connect(channel, "ioc:5064");
    }
    rig
}

#[test]
fn weeks_are_indexed_when_they_are_over_and_segments_merged() {
    let mut rig = rig();
    let (mut expected, mut most) = (0, 0);
    for week in 0..9 {
        days(&mut rig, 7);
        index_everything(rig.keeper());
        let manifest = rig.shared().view().manifest.clone();
        assert!(manifest.partition_indexes.len() as i64 >= week - 1);
        assert!(manifest.partition_indexes.len() as i64 <= week);
        expected = manifest.partition_indexes.len();
        most = most.max(manifest.master_segments.len());
        let covered: usize = manifest.master_segments.iter().map(|of| of.indexes.len()).sum();
        assert_eq!(covered, expected);
    }
    assert!(expected >= 7 && most <= 4, "{expected} weeks, {most} segments");
    assert_eq!(rig.samples("A").len(), 63);
    // A week that goes takes its index with it.
    let view = rig.shared().view();
    let first = view.manifest.partition_indexes[0].clone();
    assert!(
        rig.disk
            .exists(&rig.shared().layout.partition_index(first.week, first.generation, first.id))
            .unwrap()
    );
}

#[test]
fn a_damaged_table_leaves_its_week_without_an_index_and_says_so() {
    let mut rig = rig();
    days(&mut rig, 22);
    let table = rig.shared().view().tables[2].clone();
    let bad = table.path().to_path_buf();
    let data = table.all_entries().next().unwrap().unwrap().locator.offset;
    rig.restart(SECOND);
    rig.disk.flip(&bad, data + 40, 0xff).unwrap();
    let error = rig.keeper().index(&|| false).unwrap_err();
    assert!(error.is_damage() && error.to_string().contains(name_of(&bad)), "{error}");
    index_everything(rig.keeper());
    assert!(rig.shared().health().index_failed.is_some());
    let manifest = rig.shared().view().manifest.clone();
    assert_eq!(manifest.partition_indexes.len(), 1, "the other week has one");
    assert_eq!(index_files(&rig.disk).len(), 2);
}

fn name_of(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

#[test]
fn a_stop_is_heeded_and_a_full_disk_leaves_nothing() {
    let mut rig = rig();
    days(&mut rig, 20);
    assert!(!rig.keeper().index(&|| true).unwrap());
    assert!(index_files(&rig.disk).is_empty());
    rig.disk.fail(disk::sim::Operation::Write, 1, 1, std::io::ErrorKind::StorageFull);
    let error = rig.keeper().index(&|| false).unwrap_err();
    assert!(matches!(error, engine::error::Error::Format(FormatError::Io(_))), "{error}");
    assert!(index_files(&rig.disk).is_empty());
    assert!(rig.shared().health().index_failed.is_some());
    assert!(index_everything(rig.keeper()) > 0);
    assert!(rig.shared().health().index_failed.is_none());
}
