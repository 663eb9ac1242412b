//! Stamps that are differences from those of a sibling.

use super::tests::{info, path, row};
use super::*;
use crate::chunk;
use crate::*;
use disk::SimDisk;
use proptest::prelude::*;
use sample::*;
use std::path::PathBuf;

const SECOND: i64 = 1_000_000_000;
const COUNT: usize = 20_000;
/// Codecs of time columns.
const SIBLING: (u8, u8) = (1, 139);
const EQUAL: (u8, u8) = (1, 2);

/// Ticks of a scan thread, about 1 s apart.
fn ticks(seed: u64, count: usize) -> Vec<i64> {
    let noise = |k: usize| disk::sim::Random::new(seed << 32 | k as u64).bits() >> 43;
    (0..count).map(|k| k as i64 * SECOND + noise(k) as i64).collect()
}

/// Stamps of one channel: a little behind those of the ticks that it does not miss, in its unit.
fn stamps(ticks: &[i64], channel: u64, unit: i64, misses: impl Fn(usize) -> bool) -> Vec<i64> {
    let own = |k: usize| disk::sim::Random::new(channel << 40 | k as u64).bits() >> 52;
    let kept = ticks.iter().enumerate().filter(|(k, _)| !misses(*k));
    kept.map(|(k, tick)| (tick + channel as i64 * 7000 + own(k) as i64) / unit * unit).collect()
}

fn block(times: &[i64]) -> SampleBlock {
    let mut block = SampleBlock::new(RunType::plain(ValueType::scalar(Kind::Int32)));
    for (k, time) in times.iter().enumerate() {
        let rank = times[..k].iter().rev().take_while(|before| *before == time).count() as u32;
        assert!(block.push(&Sample { rank, ..Sample::new(Timestamp(*time), Value::Int32(k as i32 / 100)) }));
    }
    block
}

fn table(channels: &[(u64, SampleBlock, bool)]) -> (SimDisk, Table) {
    let disk = SimDisk::new(1);
    let mut writer = TableWriter::create(&disk, &path(), &info()).unwrap().for_profile(Profile::Cold);
    let mut rows: Vec<DictionaryRow> = Vec::new();
    for (channel, block, late) in channels {
        writer.add_samples(ChannelId(*channel), block, *late).unwrap();
        if rows.last().is_none_or(|last| last.channel.0 != *channel) {
            rows.push(row(*channel));
        }
    }
    writer.finish(rows).unwrap();
    let found = verify(&disk, &path(), true).unwrap();
    assert!(found.problems.is_empty(), "{:?}", found.problems);
    let table = Table::open(&disk, &path(), &BlockCache::new(1 << 20)).unwrap();
    (disk, table)
}

fn of_times(channels: &[Vec<i64>]) -> (SimDisk, Table) {
    table(&(1..).zip(channels).map(|(channel, times)| (channel, block(times), false)).collect::<Vec<_>>())
}

fn entries(table: &Table, channel: u64) -> Vec<Entry> {
    table.entries(Key::SAMPLES, ChannelId(channel), TimeRange::ALL).map(Result::unwrap).collect()
}

/// Tag and codec of the time column of each chunk.
fn codecs(table: &Table, channel: u64) -> Vec<(u8, u8)> {
    let headers = entries(table, channel).into_iter().map(|entry| table.chunk_header(&entry).unwrap());
    headers.map(|header| header.column_tags().next().unwrap()).collect()
}

fn times(table: &Table, channel: u64) -> Vec<i64> {
    let blocks = entries(table, channel).into_iter().map(|entry| table.all_samples(&entry).unwrap());
    blocks.flat_map(|block| block.time).collect()
}

#[test]
fn channels_of_one_scan_are_differences_from_the_first_and_take_fewer_bytes() {
    let (ticks, others) = (ticks(1, COUNT), ticks(2, COUNT));
    let missed = |from: usize, to: usize| move |k: usize| (from..to).contains(&k);
    let channels = [
        stamps(&ticks, 1, 1, missed(9_000, 9_300)),
        stamps(&ticks, 2, 1, missed(300, 700)),
        stamps(&ticks, 3, 1000, missed(15_000, 15_001)),
        stamps(&ticks, 4, 1_000_000, missed(0, 0)),
        // Another scan thread, and a sibling of its.
        stamps(&others, 5, 1, missed(0, 0)),
        stamps(&others, 6, 1, missed(5, 9)),
    ];
    let (_, table) = of_times(&channels);
    for (channel, expected) in (1..).zip(&channels) {
        assert_eq!(&times(&table, channel), expected, "channel {channel}");
        let near = codecs(&table, channel).iter().filter(|codec| **codec == SIBLING).count();
        let chunks = entries(&table, channel).len();
        assert_eq!(near, if channel == 1 || channel == 5 { 0 } else { chunks }, "channel {channel}");
    }
    let alone = |times: &Vec<i64>| of_times(std::slice::from_ref(times)).1.summary().len;
    let apart: u64 = channels.iter().map(alone).sum();
    assert!(table.summary().len * 10 < apart * 8, "{} of {apart} bytes", table.summary().len);
}

#[test]
fn any_range_of_a_sibling_is_read_from_any_pages_of_the_other() {
    let ticks = ticks(3, COUNT);
    let other = stamps(&ticks, 1, 1, |k| (4_000..4_500).contains(&k) || k == 12_000);
    let near = stamps(&ticks, 2, 1, |k| k < 100 || (9_000..9_009).contains(&k));
    let (_, table) = of_times(&[other, near.clone()]);
    for (from, to) in
        [(0, 1), (4095, 4097), (3_000, 9_000), (8_191, 8_193), (16_000, 16_100), (19_000, 19_890)]
    {
        let range = TimeRange::new(Timestamp(near[from]), Timestamp(near[to - 1] + 1));
        let found = table.entries(Key::SAMPLES, ChannelId(2), range);
        let found = found.flat_map(|entry| table.samples(&entry.unwrap(), range).unwrap().time);
        assert_eq!(found.collect::<Vec<_>>(), near[from..to], "{from}..{to}");
    }
}

#[test]
fn stamps_equal_to_differences_are_referred_to() {
    let ticks = ticks(4, COUNT);
    let near = stamps(&ticks, 2, 1, |k| k == 50);
    let (_, table) = of_times(&[stamps(&ticks, 1, 1, |_| false), near.clone(), near.clone()]);
    assert_eq!((codecs(&table, 2), codecs(&table, 3)), (vec![SIBLING; 3], vec![EQUAL; 3]));
    assert_eq!((times(&table, 3), times(&table, 2)), (near.clone(), near));
}

#[test]
fn late_short_and_typed_runs_hold_their_stamps() {
    let ticks = ticks(5, 3_000);
    let first = stamps(&ticks, 1, 1, |_| false);
    let second = stamps(&ticks, 2, 1, |_| false);
    let late = {
        let mut late = block(&second[..1000]);
        late.rank = (0..1000).map(|i| (1 << 31) + i).collect();
        late
    };
    let mut typed = SampleBlock::new(RunType::plain(ValueType::scalar(Kind::Float32)));
    let float = |time: &i64| Sample::new(Timestamp(*time), Value::Float32(0.5));
    second[2_000..2_400].iter().for_each(|time| assert!(typed.push(&float(time))));
    let (_, table) = table(&[
        (1, block(&first), false),
        (2, late, true),
        (2, block(&second[1_000..2_000]), false),
        (2, typed, false),
        (2, block(&second[2_400..]), false),
    ]);
    let near: Vec<bool> = codecs(&table, 2).iter().map(|codec| *codec == SIBLING).collect();
    assert_eq!(near, [false, true, false, true]);
    assert_eq!(times(&table, 2), second);
}

#[test]
fn chunks_are_copied_with_those_that_they_refer_to_only() {
    let ticks = ticks(6, COUNT);
    let near = stamps(&ticks, 2, 1, |k| k == 9_000);
    let (disk, table) = of_times(&[stamps(&ticks, 1, 1, |_| false), near.clone()]);
    for with_other in [true, false] {
        let name = PathBuf::from(format!("/copy-{with_other}.sst"));
        let mut writer = TableWriter::create(&disk, &name, &info()).unwrap();
        for entry in table.all_entries().map(Result::unwrap) {
            let chunk = table.whole_chunk(&entry).unwrap();
            if entry.key.channel.0 == 1 && !with_other {
                writer.add_samples(ChannelId(1), &table.all_samples(&entry).unwrap(), false).unwrap();
            } else if writer.takes(chunk.header()) {
                writer.add_chunk(chunk).unwrap();
            } else {
                assert!(writer.add_chunk(chunk).unwrap_err().is_damage());
                writer.add_samples(ChannelId(2), &table.all_samples(&entry).unwrap(), false).unwrap();
            }
        }
        writer.finish((1..=2).map(row)).unwrap();
        let copy = Table::open(&disk, &name, &BlockCache::new(0)).unwrap();
        assert_eq!(times(&copy, 2), near);
        assert_eq!(codecs(&copy, 2) == codecs(&table, 2), with_other);
        assert!(verify(&disk, &name, true).unwrap().problems.is_empty());
    }
}

#[test]
fn references_that_lead_nowhere_or_round_in_circles_are_damage() {
    let ticks = ticks(8, 3_000);
    let other = block(&stamps(&ticks, 1, 1, |_| false));
    let near = block(&stamps(&ticks, 2, 1, |k| k == 7));
    let third = block(&stamps(&ticks, 3, 1, |_| false));
    let encoded = |channel, of: &SampleBlock, on: &[(u64, &SampleBlock)]| {
        let reference = |(channel, of): &(u64, &SampleBlock)| chunk::TimeReference {
            channel: ChannelId(*channel),
            first: of.first(),
            count: of.len() as u32,
            time_hash: chunk::time_hash(&of.time) as u64,
        };
        let sibling = chunk::Sibling {
            chunks: on.iter().map(reference).collect(),
            times: on.iter().flat_map(|(_, of)| of.time.iter().copied()).collect(),
        };
        let stamps = chunk::Stamps::Near(&sibling);
        let hash = chunk::time_hash(&of.time);
        let (mut known, mut choices) = Default::default();
        let learnt = chunk::Learnt { known: &mut known, choices: &mut choices };
        chunk::encode_with(ChannelId(channel), of, false, stamps, Profile::Cold, hash, learnt).unwrap().bytes
    };
    let chunks = [
        encode(ChannelId(1), &other, false, None, Profile::Cold).unwrap(),
        encoded(2, &near, &[(1, &other)]),
        // Differences from differences.
        encoded(3, &third, &[(2, &near)]),
    ];
    let disk = SimDisk::new(1);
    let mut writer = TableWriter::create(&disk, &path(), &info()).unwrap();
    for bytes in &chunks {
        let header = ChunkHeader::parse(bytes).unwrap();
        writer.add_chunk(WholeChunk::checked(header, bytes.clone())).unwrap();
    }
    writer.finish((1..=3).map(row)).unwrap();
    let table = Table::open(&disk, &path(), &BlockCache::new(0)).unwrap();
    assert_eq!(times(&table, 2), near.time);
    let error = table.all_samples(&entries(&table, 3)[0]).unwrap_err();
    assert!(matches!(&error, FormatError::Corrupt { offset, .. } if *offset > 0), "{error}");
    let problems = verify(&disk, &path(), true).unwrap().problems;
    assert!(problems.iter().all(FormatError::is_damage) && problems.len() == 1, "{problems:?}");
    // From a channel that comes later, or from itself.
    let to_itself = encoded(2, &near, &[(2, &other)]);
    assert!(ChunkHeader::parse(&to_itself).is_err());
    // From a chunk that is not there.
    disk::sim::with_constant_checksums(|| {
        let (disk, table) = table_of_two(&other, &near);
        let header = table.chunk_header(&entries(&table, 2)[0]).unwrap();
        let hash = header.time_references()[0].time_hash.to_le_bytes();
        let content = disk.content(&path()).unwrap();
        let at = content.windows(8).rposition(|window| window == hash).unwrap();
        disk.flip(&path(), at as u64, 1).unwrap();
        let error = table.all_samples(&entries(&table, 2)[0]).unwrap_err();
        assert!(error.is_damage(), "{error}");
    });
}

fn table_of_two(one: &SampleBlock, two: &SampleBlock) -> (SimDisk, Table) {
    table(&[(1, one.clone(), false), (2, two.clone(), false)])
}

#[test]
fn a_scalar_and_an_array_with_equal_stamps_share_them_whatever_their_pages() {
    let disk = SimDisk::new(1);
    let mut writer = TableWriter::create(&disk, &path(), &info()).unwrap();
    let times = stamps(&ticks(7, 3_000), 1, 1, |_| false);
    let mut arrays = SampleBlock::new(RunType::plain(ValueType::array(Kind::Float64)));
    for time in &times {
        let array = Value::Array(Box::new(Column::Float64(vec![0.5; 40])));
        assert!(arrays.push(&Sample::new(Timestamp(*time), array)));
    }
    writer.add_samples(ChannelId(1), &block(&times), false).unwrap();
    writer.add_samples(ChannelId(2), &arrays, false).unwrap();
    writer.finish((1..=2).map(row)).unwrap();
    let table = Table::open(&disk, &path(), &BlockCache::new(0)).unwrap();
    let entry = &entries(&table, 2)[0];
    assert!(table.chunk_header(entry).unwrap().time_reference().is_some());
    assert_eq!(table.all_samples(entry).unwrap(), arrays);
    let range = TimeRange::new(Timestamp(times[1_500]), Timestamp(times[1_600]));
    assert_eq!(table.samples(entry, range).unwrap(), arrays.slice(1_500, 1_600));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn scans_with_drop_outs_come_back(
        seed in any::<u32>(), unit in prop::sample::select(vec![1i64, 8, 1000, 1_000_000]),
        missing in prop::collection::vec((0usize..12_000, 0usize..600), 0..6),
        other_missing in prop::collection::vec((0usize..12_000, 0usize..600), 0..6),
        leaves in 1_000usize..12_000, every in 1usize..4, ends in any::<[prop::sample::Index; 2]>(),
    ) {
        let ticks = ticks(u64::from(seed), 12_000);
        let any = |list: &[(usize, usize)], k: usize| list.iter().any(|(from, len)| (*from..from + len).contains(&k));
        let other = stamps(&ticks, 1, 1, |k| any(&other_missing, k));
        let near = stamps(&ticks, 2, unit, |k| any(&missing, k) || k >= leaves || k % every != 0);
        let third = stamps(&ticks, 3, unit, |k| any(&missing, k) && k < leaves);
        prop_assume!(!other.is_empty() && !near.is_empty() && !third.is_empty());
        let (_, table) = of_times(&[other, near.clone(), third.clone()]);
        prop_assert_eq!(&times(&table, 2), &near);
        prop_assert_eq!(&times(&table, 3), &third);
        let [from, to] = ends.map(|end| Timestamp(third[end.index(third.len())]));
        let range = TimeRange::new(from, to);
        let found = table.entries(Key::SAMPLES, ChannelId(3), range);
        let found: Vec<i64> = found.flat_map(|e| table.samples(&e.unwrap(), range).unwrap().time).collect();
        let expected = third.iter().copied().filter(|time| range.from.0 <= *time && *time < range.to.0);
        prop_assert_eq!(found, expected.collect::<Vec<_>>());
    }
}
