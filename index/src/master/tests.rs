//! Master segments answer as sorted maps do.

use super::*;
use crate::format::PAGE_BYTES;
use crate::{
    ChannelSummary, Extremes, NumericStatistics, PageCache, PartitionIndex, PartitionInfo, PartitionWriter,
    Position, Statistics,
};
use disk::{RealDisk, SimDisk};
use proptest::prelude::*;
use sample::{Severity, TimeRange, Timestamp};
use std::collections::BTreeMap;

const INFO: MasterInfo = MasterInfo { archive: 5, segment: 1 << 40 };

type NameMap = BTreeMap<ChannelName, NamedChannel>;
type RowMap = BTreeMap<(Key, u32), MasterRow>;

fn path() -> &'static Path {
    Path::new("/m.idx")
}

fn name(text: &str) -> ChannelName {
    ChannelName::stored(text).unwrap()
}

fn named(id: u64) -> NamedChannel {
    NamedChannel { id: ChannelId(id), alias_of: None }
}

fn row(rate: u64, channel: u64, week: i32, generation: u32, seed: u64) -> MasterRow {
    let (first, last) =
        (Timestamp(i64::from(week) * 1000 + seed as i64 % 500), Timestamp(i64::from(week) * 1000 + 900));
    let value = seed as f64 / 3.0;
    let numeric = NumericStatistics {
        first: value,
        last: 2.0,
        extremes: Some(Extremes { min: 2.0, min_time: last, max: value, max_time: first }),
        nan: seed % 2,
        positive_infinite: 0,
        negative_infinite: 0,
    };
    let statistics = Statistics {
        count: 1 + seed,
        worst: Severity::Major,
        invalid: 1,
        numeric: (!seed.is_multiple_of(3)).then_some(numeric),
    };
    let summary = ChannelSummary {
        rate,
        channel: ChannelId(channel),
        position: Position { page: seed << 7, row: seed as u16 % 2047 },
        entries: seed,
        first,
        last,
        overlapping: seed % 4 == 1,
        statistics: (!seed.is_multiple_of(5)).then_some(statistics),
    };
    MasterRow {
        week: Week(week),
        generation,
        summary: ChannelSummary { overlapping: summary.overlapping && !seed.is_multiple_of(5), ..summary },
    }
}

fn write(disk: &dyn Disk, path: &Path, rows: &RowMap, names: &NameMap) -> MasterSummary {
    let mut writer = MasterWriter::create(disk, path, INFO).unwrap();
    rows.values().for_each(|row| writer.add_row(row).unwrap());
    names.iter().for_each(|(name, named)| writer.add_name(name, named).unwrap());
    writer.finish().unwrap()
}

fn open(disk: &dyn Disk, path: &Path) -> Master {
    Master::open(disk, path, &PageCache::new(1 << 20)).unwrap()
}

fn map(rows: impl IntoIterator<Item = MasterRow>) -> RowMap {
    rows.into_iter().map(|row| (row.key(), row)).collect()
}

fn any_rows() -> impl Strategy<Value = RowMap> {
    let week = prop_oneof![9 => -3i32..40, 1 => any::<i32>()];
    let facts = (0u64..3, 0u64..9, week, 0u32..3, 0u64..1 << 40);
    prop::collection::vec(facts, 0..600).prop_map(|rows| {
        map(rows
            .into_iter()
            .map(|(rate, channel, week, generation, seed)| row(rate, channel, week, generation, seed)))
    })
}

fn any_name() -> impl Strategy<Value = ChannelName> {
    prop_oneof!["SR-[A-C][0-9]{2}:[xyµ]{0,3}", "[ -~]{1,40}", "[a-b]{900,1024}"].prop_map(|text| name(&text))
}

fn any_names() -> impl Strategy<Value = NameMap> {
    let named = (any::<u64>(), prop::option::weighted(0.1, any_name()))
        .prop_map(|(id, alias_of)| NamedChannel { id: ChannelId(id), alias_of });
    prop::collection::btree_map(any_name(), named, 0..300)
}

fn check(master: &Master, rows: &RowMap, names: &NameMap) {
    master.verify().unwrap();
    assert!(master.all_rows().unwrap().map(Result::unwrap).eq(rows.values().cloned()));
    for (name, named) in names {
        assert_eq!(master.find(name.as_str()).unwrap().as_ref(), Some(named), "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn names_with_rows_are_found(
        rows in any_rows(), names in any_names(), others in prop::collection::vec(any_name(), 20),
        queries in prop::collection::vec((0u64..3, 0u64..10, -5i32..45, -5i32..45), 20),
    ) {
        let disk = SimDisk::new(1);
        let summary = write(&disk, path(), &rows, &names);
        let master = open(&disk, path());
        prop_assert_eq!((master.info(), master.summary()), (INFO, summary));
        prop_assert_eq!((summary.names, summary.rows), (names.len() as u64, rows.len() as u64));
        check(&master, &rows, &names);
        for other in others {
            prop_assert_eq!(master.find(other.as_str()).unwrap(), names.get(&other).cloned());
            let found = master.names_from(other.as_str()).unwrap().map(Result::unwrap);
            let expected = names.range::<ChannelName, _>(&other..).map(|(name, named)| (name.clone(), named.clone()));
            prop_assert!(found.eq(expected));
        }
        for (rate, channel, from, to) in queries {
            let found = master.rows(rate, ChannelId(channel), (Week(from), Week(to))).unwrap();
            let wanted = |row: &&MasterRow| (row.summary.rate, row.summary.channel.0) == (rate, channel)
                && (from..=to).contains(&row.week.0);
            prop_assert!(found.map(Result::unwrap).eq(rows.values().filter(wanted).cloned()));
        }
    }

    #[test]
    fn a_merge_is_the_union_of_what_is_kept(
        segments in prop::collection::vec((any_rows(), any_names()), 0..4), gone in 0u32..4,
    ) {
        let disk = SimDisk::new(1);
        let (mut rows, mut names) = (RowMap::new(), NameMap::new());
        let mut masters = Vec::new();
        for (i, (of_segment, named)) in segments.into_iter().enumerate() {
            let path = format!("/{i}.idx");
            write(&disk, Path::new(&path), &of_segment, &named);
            masters.push(open(&disk, Path::new(&path)));
            rows.extend(of_segment);
            names.extend(named);
        }
        rows.retain(|_, row| row.generation != gone);
        let summary = merge(&disk, path(), INFO, &masters.iter().collect::<Vec<_>>(), |_, generation| generation != gone);
        let master = open(&disk, path());
        prop_assert_eq!(summary.unwrap(), master.summary());
        check(&master, &rows, &names);
    }
}

#[test]
fn a_partition_index_fills_a_segment_that_leads_back_into_it() {
    let disk = SimDisk::new(1);
    let info = PartitionInfo { archive: 5, week: Week(2960), generation: 1 };
    let mut writer = PartitionWriter::create(&disk, Path::new("/p.idx"), info).unwrap();
    let entries: Vec<_> = (1..=500u64)
        .flat_map(|channel| (0..3i64).map(move |i| (channel, i)))
        .map(|(channel, i)| crate::Entry {
            rate: 0,
            channel: ChannelId(channel),
            first: Timestamp(i * 10),
            last: Timestamp(i * 10 + 9),
            locator: crate::Locator { table: 1, offset: 1000, len: 10, slot: None },
            chunk: None,
        })
        .collect();
    entries.iter().for_each(|entry| writer.add(entry).unwrap());
    writer.finish().unwrap();
    let partition = PartitionIndex::open(&disk, Path::new("/p.idx"), &PageCache::new(0)).unwrap();
    let rows = partition.channels(|_| unreachable!()).unwrap().map(|summary| MasterRow {
        week: info.week,
        generation: info.generation,
        summary: summary.unwrap(),
    });
    let names: NameMap = (1..=500).map(|id| (name(&format!("C{id}")), named(id))).collect();
    write(&disk, path(), &map(rows), &names);
    let master = open(&disk, path());
    let id = master.find("C77").unwrap().unwrap().id;
    let row = master.rows(0, id, (Week(0), Week(3000))).unwrap().next().unwrap().unwrap();
    let found = partition.entries_at(row.summary.position, 0, id, TimeRange::ALL).unwrap();
    let expected = entries.iter().filter(|entry| entry.channel == id).cloned();
    assert!(found.map(Result::unwrap).eq(expected));
}

#[test]
fn a_name_is_found_in_two_pages_whatever_the_size() {
    for count in [1000, 1_000_000u64] {
        let disk = SimDisk::new(1);
        let names =
            (0..count).map(|id| (name(&format!("SR-C{:02}:GAUGE-{id:06}", id % 30)), named(id))).collect();
        write(&disk, path(), &RowMap::new(), &names);
        let cache = PageCache::new(0);
        let master = Master::open(&disk, path(), &cache).unwrap();
        let asked = || cache.reads();
        let mut beside = 0;
        for (name, named) in names.iter().step_by(count as usize / 500) {
            let before = asked();
            assert_eq!(master.find(name.as_str()).unwrap().as_ref(), Some(named));
            beside += asked() - before - 2;
        }
        assert!(beside <= 3, "{count} names: {beside} pages too many");
    }
}

#[test]
fn hashes_that_memory_does_not_keep_are_read_again() {
    let disk = SimDisk::new(1);
    let rows = map((0..900).map(|channel| row(0, channel, 5, 1, channel)));
    let names: NameMap = (0..2000).map(|id| (name(&format!("N{id}")), named(id))).collect();
    let mut writer = MasterWriter::with_memory(&disk, path(), INFO, 10).unwrap();
    rows.values().for_each(|row| writer.add_row(row).unwrap());
    names.iter().for_each(|(name, named)| writer.add_name(name, named).unwrap());
    writer.finish().unwrap();
    write(&disk, Path::new("/same.idx"), &rows, &names);
    assert!(disk.content(path()).unwrap() == disk.content(Path::new("/same.idx")).unwrap());
}

#[test]
fn rows_and_names_out_of_order_are_refused() {
    let disk = SimDisk::new(1);
    let mut writer = MasterWriter::create(&disk, path(), INFO).unwrap();
    writer.add_row(&row(0, 2, 5, 1, 1)).unwrap();
    assert!(writer.add_row(&row(0, 2, 5, 1, 1)).is_err());
    assert!(writer.add_row(&row(0, 2, 4, 1, 1)).is_err());
    writer.add_name(&name("b"), &named(2)).unwrap();
    assert!(writer.add_name(&name("b"), &named(2)).is_err());
    assert!(writer.add_name(&name("a"), &named(2)).is_err());
    assert!(writer.add_row(&row(0, 3, 5, 1, 1)).is_err());
    let summary = writer.finish().unwrap();
    assert_eq!((summary.rows, summary.names), (1, 1));
}

/// Asks everything; the answers, or the first error.
fn ask(disk: &SimDisk) -> Result<(Vec<MasterRow>, Vec<NamedChannel>), FormatError> {
    let master = Master::open(disk, path(), &PageCache::new(1 << 20))?;
    let mut rows: Vec<MasterRow> = master.all_rows()?.collect::<Result<_, _>>()?;
    for row in master.rows(0, ChannelId(3), (Week(2), Week(9)))? {
        rows.push(row?);
    }
    let mut found = Vec::new();
    for id in [0, 700, 1999] {
        found.extend(master.find(&format!("N{id}"))?);
    }
    for name in master.names_from("N5")? {
        found.push(name?.1);
    }
    Ok((rows, found))
}

fn planted() -> (SimDisk, Vec<u8>) {
    let disk = SimDisk::new(1);
    let rows = map((0..600).flat_map(|channel| (0..3).map(move |week| row(0, channel, week, 1, channel))));
    let mut names: NameMap = (0..2000).map(|id| (name(&format!("N{id}")), named(id))).collect();
    names.insert(name("other"), NamedChannel { id: ChannelId(3), alias_of: Some(name("N3")) });
    write(&disk, path(), &rows, &names);
    let bytes = disk.content(path()).unwrap();
    (disk, bytes)
}

#[test]
fn a_flipped_bit_or_a_cut_anywhere_is_found_or_does_not_matter() {
    let (disk, bytes) = planted();
    let sound = ask(&disk).unwrap();
    for offset in (0..bytes.len() as u64).step_by(97) {
        disk.flip(path(), offset, 1 << (offset % 8)).unwrap();
        match ask(&disk) {
            Ok(answers) => assert!(answers == sound, "byte {offset} changes answers"),
            Err(error) => {
                assert!(error.is_damage() || matches!(error, FormatError::TooNew { .. }), "{error}")
            }
        }
        let verified = Master::open(&disk, path(), &PageCache::new(0)).and_then(|master| master.verify());
        assert!(verified.is_err(), "a full check finds byte {offset}");
        disk.flip(path(), offset, 1 << (offset % 8)).unwrap();
    }
    for cut in (0..bytes.len()).step_by(5000).chain((0..bytes.len()).step_by(PAGE_BYTES)) {
        disk.plant(path(), &bytes[..cut]).unwrap();
        assert!(ask(&disk).unwrap_err().is_damage());
    }
}

#[test]
fn wrong_bytes_with_right_checksums_do_no_harm() {
    let (disk, bytes) = planted();
    let pages = bytes.len() / PAGE_BYTES;
    let salt = crate::footer::salt(INFO.archive, INFO.segment);
    let mut random = disk::sim::Random::new(9);
    for round in 0..800 {
        let number = 1 + random.below(pages as u64 - 1) as usize;
        let mut page = Page::zeros();
        page.bytes.copy_from_slice(&bytes[number * PAGE_BYTES..(number + 1) * PAGE_BYTES]);
        for _ in 0..1 + random.below(4) {
            let at = 4 + random.below(if round % 2 == 0 { 300 } else { 16_380 }) as usize;
            page.bytes[at] = if random.one_in(3) { 0xff } else { random.bits() as u8 };
        }
        page.reseal(if number == pages - 1 { 0 } else { salt });
        let mut wrong = bytes.clone();
        wrong[number * PAGE_BYTES..(number + 1) * PAGE_BYTES].copy_from_slice(&page.bytes[..]);
        disk.plant(path(), &wrong).unwrap();
        if let Err(error) = ask(&disk) {
            assert!(error.is_damage(), "{error}");
        }
        let _ = Master::open(&disk, path(), &PageCache::new(0)).and_then(|master| master.verify());
    }
}

#[test]
fn segments_live_on_a_real_disk() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("m.idx");
    let names: NameMap = (0..50).map(|id| (name(&format!("N{id}")), named(id))).collect();
    let rows = map((0..50).map(|channel| row(0, channel, 5, 1, channel)));
    write(&RealDisk, &path, &rows, &names);
    check(&open(&RealDisk, &path), &rows, &names);
}
