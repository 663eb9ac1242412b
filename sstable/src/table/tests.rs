//! Tables come back as they were written.

use super::*;
use crate::record::*;
use crate::*;
use disk::{RealDisk, SimDisk};
use proptest::prelude::*;
use sample::*;
use std::path::PathBuf;

pub(crate) fn info() -> TableInfo {
    TableInfo {
        archive: 0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10,
        table: 7,
        week: Week(2959),
        class: 1,
        class_name: "default".to_string(),
        kind: TableKind::Raw,
        known_until: Timestamp(1_234_567_890_123_456_789),
        tier: 513,
    }
}

pub(crate) fn path() -> PathBuf {
    PathBuf::from("/t.sst")
}

pub(crate) fn row(channel: u64) -> DictionaryRow {
    DictionaryRow::new(ChannelId(channel), ChannelName::stored(&format!("C{channel}")).unwrap())
}

/// One scalar channel: `count` samples from `start`, a step apart.
pub(crate) fn scan(start: i64, step: i64, count: i64) -> SampleBlock {
    let mut block = SampleBlock::new(RunType::plain(ValueType::scalar(Kind::Float64)));
    for i in 0..count {
        let jitter = (i * 7919) % 1009;
        let sample = Sample::new(
            Timestamp(start + i * step + jitter),
            Value::Float64(f64::from((i % 97) as i32) / 10.0),
        );
        assert!(block.push(&sample));
    }
    block
}

fn sim() -> SimDisk {
    SimDisk::new(1)
}

fn whole(table: &Table, channel: u64) -> Vec<SampleBlock> {
    table
        .entries(Key::SAMPLES, ChannelId(channel), TimeRange::ALL)
        .map(|entry| table.all_samples(&entry.unwrap()).unwrap())
        .collect()
}

#[test]
fn samples_records_and_dictionary_come_back() {
    let disk = sim();
    let mut writer = TableWriter::create(&disk, &path(), &info()).unwrap();
    let blocks = [scan(1_000, 1_000_000, 20_000), scan(1_000, 1_000_000, 20_000), scan(5_000, 77_777, 100)];
    for (i, block) in blocks.iter().enumerate() {
        writer.add_samples(ChannelId(i as u64 + 1), block, false).unwrap();
    }
    let key = Key::new(Key::EVENTS, ChannelId(2), 55);
    writer.add_record(key, Timestamp(66), b"events".to_vec()).unwrap();
    let summary = writer.finish((1..=3).map(row)).unwrap();
    assert_eq!((summary.chunks, summary.samples, summary.records, summary.channels), (7, 40_100, 1, 3));

    let table = Table::open(&disk, &path(), &BlockCache::new(1 << 20)).unwrap();
    assert_eq!((table.info(), table.summary()), (&info(), &summary));
    for (i, block) in blocks.iter().enumerate() {
        let mut back = SampleBlock::new(block.run.clone());
        whole(&table, i as u64 + 1).iter().for_each(|part| back.append(part, 0, part.len()));
        assert_eq!(&back, block);
    }
    let entry = table.entries(Key::EVENTS, ChannelId(2), TimeRange::ALL).next().unwrap().unwrap();
    assert_eq!((entry.key, entry.last), (key, Timestamp(66)));
    assert_eq!(table.payload(&entry).unwrap(), b"events");
    assert_eq!(table.entry_at(entry.locator).unwrap(), entry);
    let rows: Vec<_> = table.dictionary().map(Result::unwrap).collect();
    assert_eq!(rows.iter().map(|row| row.samples).collect::<Vec<_>>(), [20_000, 20_000, 100]);
    assert_eq!(rows[0].span, Some((blocks[0].first(), blocks[0].last())));
    assert_eq!(table.all_entries().count(), 8);
}

#[test]
fn equal_stamps_are_stored_once() {
    let disk = sim();
    let mut writer = TableWriter::create(&disk, &path(), &info()).unwrap();
    let block = scan(1_000, 1_000_000, 8192);
    (1..=3).for_each(|channel| writer.add_samples(ChannelId(channel), &block, false).unwrap());
    writer.finish((1..=3).map(row)).unwrap();
    let table = Table::open(&disk, &path(), &BlockCache::new(0)).unwrap();
    let headers: Vec<_> =
        table.all_entries().map(|entry| table.chunk_header(&entry.unwrap()).unwrap()).collect();
    assert_eq!(headers[0].time_reference(), None);
    assert!(headers[1].chunk_len + 1_000 < headers[0].chunk_len);
    // One level deep: the third refers to the first, not to the second.
    assert_eq!(headers[2].time_reference().map(|r| r.channel), Some(ChannelId(1)));
    assert_eq!(whole(&table, 3), [block]);
}

#[test]
fn stamps_of_another_chunk_are_found_for_any_range() {
    let disk = sim();
    let mut writer = TableWriter::create(&disk, &path(), &info()).unwrap();
    let block = scan(1_000, 1_000_000, 8192);
    (1..=2).for_each(|channel| writer.add_samples(ChannelId(channel), &block, false).unwrap());
    writer.finish((1..=2).map(row)).unwrap();
    let table = Table::open(&disk, &path(), &BlockCache::new(0)).unwrap();
    let entry = table.entries(Key::SAMPLES, ChannelId(2), TimeRange::ALL).next().unwrap().unwrap();
    for (from, to) in [(0, 10), (1023, 1025), (5000, 8192)] {
        let range = TimeRange::new(Timestamp(block.time[from]), Timestamp(block.time[to - 1] + 1));
        assert_eq!(table.samples(&entry, range).unwrap(), block.slice(from, to));
    }
}

#[test]
fn a_footer_of_another_table_is_refused() {
    let disk = sim();
    let write = |name: &str, table| {
        let writer = TableWriter::create(&disk, Path::new(name), &TableInfo { table, ..info() }).unwrap();
        writer.finish([]).unwrap();
        disk.open_write(Path::new(name)).unwrap()
    };
    let (one, two) = (write("/1.sst", 1), write("/2.sst", 2));
    one.write_at(0, &read_some(&*two, 0, PROLOGUE_BYTES).unwrap()).unwrap();
    let error = Table::open(&disk, Path::new("/1.sst"), &BlockCache::new(0)).unwrap_err();
    assert!(error.is_damage(), "{error}");
}

#[test]
fn the_cache_stays_below_its_bytes() {
    let disk = sim();
    let mut writer = TableWriter::create(&disk, &path(), &info()).unwrap();
    let count = 2000;
    (0..count).for_each(|i| writer.add_samples(ChannelId(i), &scan(i as i64, 77_777, 200), false).unwrap());
    let summary = writer.finish((0..count).map(row)).unwrap();
    assert!(summary.blocks > 3);
    let cache = BlockCache::new(150_000);
    let table = Table::open(&disk, &path(), &cache).unwrap();
    for channel in (0..count).chain([0, 1, 1999]) {
        assert_eq!(whole(&table, channel), [scan(channel as i64, 77_777, 200)]);
        assert!((1..=150_000).contains(&cache.bytes()));
    }
    drop(table);
    assert_eq!(cache.bytes(), 0);
}

#[test]
fn one_row_of_a_dictionary_of_many_blocks_is_found() {
    let disk = sim();
    let mut writer = TableWriter::create(&disk, &path(), &info()).unwrap();
    writer.add_samples(ChannelId(9), &scan(0, 1000, 10), false).unwrap();
    // Ids with holes; some 20 blocks.
    let ids: Vec<u64> = (0..30_000).map(|i| i * 3).collect();
    writer.finish(ids.iter().map(|id| row(*id))).unwrap();
    let table = Table::open(&disk, &path(), &BlockCache::new(0)).unwrap();
    assert!(table.dictionary_rows.len() > 5, "{}", table.dictionary_rows.len());
    for all in table.dictionary().step_by(991).map(Result::unwrap) {
        assert_eq!(table.dictionary_row(all.channel).unwrap(), Some(all));
    }
    for absent in [1, 44_999 * 2, 89_998, u64::MAX] {
        assert_eq!(table.dictionary_row(ChannelId(absent)).unwrap(), None, "{absent}");
    }
    let at = &table.dictionary_rows[2];
    disk.flip(&path(), at.offset + 40, 1).unwrap();
    assert!(table.dictionary_row(at.first_key.channel).unwrap_err().is_damage());
    assert!(table.dictionary_row(ChannelId(0)).unwrap().is_some());
}

#[test]
fn a_row_names_every_type_once_and_that_of_the_newest_in_order_reading_last() {
    let disk = sim();
    let mut writer = TableWriter::create(&disk, &path(), &info()).unwrap();
    let typed = |time: i64, value: Value| {
        let mut block = SampleBlock::new(Sample::new(Timestamp(time), value.clone()).run_type());
        assert!(block.push(&Sample::new(Timestamp(time), value)));
        block
    };
    let structure = Value::Structure { descriptor: vec![1u8, 2].into(), bytes: vec![3u8].into() };
    let float = || Value::Float64(1.0);
    let chunks = [
        (1, typed(1, Value::Int8(1)), false),
        (1, typed(2, float()), false),
        (1, typed(3, Value::Int8(2)), false),
        (1, typed(4, Value::Bool(true)), true),
        (2, typed(1, structure.clone()), false),
        (2, typed(2, structure), false),
        (3, typed(1, float()), true),
        (3, typed(2, float()), false),
    ];
    for (channel, block, late) in &chunks {
        writer.add_samples(ChannelId(*channel), block, *late).unwrap();
    }
    let counted: Vec<_> = writer.channels().map(|(channel, samples, _)| (channel.0, samples)).collect();
    assert_eq!(counted, [(1, 4), (2, 2), (3, 2)]);
    writer.finish((1..=3).map(row)).unwrap();
    let table = Table::open(&disk, &path(), &BlockCache::new(0)).unwrap();
    let kinds = |channel: u64| -> Vec<Kind> {
        let row = table.dictionary_row(ChannelId(channel)).unwrap().unwrap();
        row.types.iter().map(|of| of.value.kind).collect()
    };
    assert_eq!(kinds(1), [Kind::Bool, Kind::Float64, Kind::Int8]);
    assert_eq!((kinds(2), kinds(3)), (vec![Kind::Structure], vec![Kind::Float64]));
    let row = table.dictionary_row(ChannelId(2)).unwrap().unwrap();
    assert_eq!(row.types[0].descriptor.as_deref(), Some(&[1u8, 2][..]));
}

#[test]
fn offsets_beyond_4_gib_are_followed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("far.sst");
    let mut writer = TableWriter::create(&RealDisk, &path, &info()).unwrap();
    // The blocks begin behind 9 GiB of a sparse file.
    let begin = (9 << 30) + 11;
    writer.skip_to(begin);
    let blocks: Vec<_> =
        (0..40).map(|i| scan(1_000 + i, 1_000_000, if i < 3 { 9_000 } else { 90 })).collect();
    for (block, channel) in blocks.iter().zip(1..) {
        writer.add_samples(ChannelId(channel), block, false).unwrap();
    }
    writer.add_record(Key::new(Key::EVENTS, ChannelId(2), 55), Timestamp(66), b"events".to_vec()).unwrap();
    let summary = writer.finish((1..=40).map(row)).unwrap();
    assert!(summary.len > begin);
    let table = Table::open(&RealDisk, &path, &BlockCache::new(1 << 20)).unwrap();
    assert_eq!(table.summary(), &summary);
    for (block, channel) in blocks.iter().zip(1..) {
        let mut back = SampleBlock::new(block.run.clone());
        whole(&table, channel).iter().for_each(|part| back.append(part, 0, part.len()));
        assert_eq!(&back, block);
        assert_eq!(table.dictionary_row(ChannelId(channel)).unwrap().unwrap().samples, block.len() as u64);
    }
    for entry in table.all_entries().map(Result::unwrap) {
        assert!(entry.locator.offset >= begin);
        assert_eq!(table.entry_at(entry.locator).unwrap(), entry);
        if entry.chunk.is_some() {
            table.whole_chunk(&entry).unwrap();
        }
    }
    let event = table.entries(Key::EVENTS, ChannelId(2), TimeRange::ALL).next().unwrap().unwrap();
    assert_eq!(table.payload(&event).unwrap(), b"events");
}

#[test]
fn entries_out_of_order_and_missing_rows_are_refused() {
    let disk = sim();
    let mut writer = TableWriter::create(&disk, &path(), &info()).unwrap();
    writer.add_samples(ChannelId(2), &scan(0, 1, 3), false).unwrap();
    assert!(writer.add_samples(ChannelId(1), &scan(0, 1, 3), false).is_err());
    assert!(writer.finish([row(1)]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_blocks_come_back_in_any_range(
        blocks in prop::collection::vec(crate::chunk::any_block(1..60), 1..12),
        from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(),
    ) {
        let disk = sim();
        let mut writer = TableWriter::create(&disk, &path(), &info()).unwrap();
        for (i, block) in blocks.iter().enumerate() {
            writer.add_samples(ChannelId(i as u64), block, i % 2 == 0).unwrap();
        }
        writer.finish((0..blocks.len() as u64).map(row)).unwrap();
        let table = Table::open(&disk, &path(), &BlockCache::new(1 << 16)).unwrap();
        for (i, block) in blocks.iter().enumerate() {
            prop_assert_eq!(&whole(&table, i as u64), std::slice::from_ref(block));
            let range = TimeRange::new(Timestamp(block.time[from.index(block.len())]), Timestamp(block.time[to.index(block.len())]));
            let inside = block.indices(range);
            for entry in table.entries(Key::SAMPLES, ChannelId(i as u64), range) {
                prop_assert_eq!(table.samples(&entry.unwrap(), range).unwrap(), block.slice(inside.start, inside.end));
            }
        }
    }
}
