//! Partition indexes answer as a sorted map does.

use super::*;
use crate::format::PAGE_BYTES;
use crate::{ChunkSummary, Extremes, Locator, NumericStatistics, Statistics};
use disk::{RealDisk, SimDisk};
use proptest::prelude::*;
use sample::Severity;

mod damage;

const INFO: PartitionInfo = PartitionInfo { archive: 7 << 70, week: Week(-3), generation: 9 };

fn path() -> &'static Path {
    Path::new("/p.idx")
}

/// A chunk of a few samples, all facts made from one number.
pub(super) fn chunk(channel: u64, first: i64, len: i64, seed: u64) -> Entry {
    let value = (seed % 1000) as f64 / 10.0;
    let last = first + len;
    let extremes = Extremes {
        min: value.min(-1.5),
        min_time: Timestamp(first + len / 2),
        max: value,
        max_time: Timestamp(first),
    };
    let numeric = NumericStatistics {
        first: value,
        last: value + 0.1,
        extremes: Some(extremes),
        nan: seed % 3,
        positive_infinite: 0,
        negative_infinite: seed % 2,
    };
    Entry {
        rate: 0,
        channel: ChannelId(channel),
        first: Timestamp(first),
        last: Timestamp(last),
        locator: Locator {
            table: 3,
            offset: 128 + (seed / 50) * 65_000,
            len: 65_000,
            slot: Some(seed as u32 % 50),
        },
        chunk: Some(ChunkSummary {
            first_rank: 0,
            last_rank: seed as u32 % 4,
            late: seed.is_multiple_of(5),
            header_len: 180,
            count: 1 + seed % 8192,
            statistics: Some(Statistics {
                count: 1 + seed % 8192,
                worst: Severity::Minor,
                invalid: seed % 2,
                numeric: Some(numeric),
            }),
        }),
    }
}

pub(super) fn write(disk: &dyn Disk, path: &Path, entries: &[Entry]) -> PartitionSummary {
    let mut writer = PartitionWriter::create(disk, path, INFO).unwrap();
    entries.iter().for_each(|entry| writer.add(entry).unwrap());
    writer.finish().unwrap()
}

/// `channels` channels with `per_channel` chunks each, a gap between two chunks.
pub(super) fn plain(channels: u64, per_channel: u64) -> Vec<Entry> {
    let chunks = (1..=channels).flat_map(|channel| (0..per_channel).map(move |i| (channel, i)));
    chunks.map(|(channel, i)| chunk(channel, i as i64 * 1000, 900, channel * 31 + i)).collect()
}

fn touching(entries: &[Entry], rate: u64, channel: u64, range: TimeRange) -> Vec<Entry> {
    let wanted = |entry: &&Entry| {
        (entry.rate, entry.channel.0) == (rate, channel) && range.touches(entry.first, entry.last)
    };
    entries.iter().filter(wanted).cloned().collect()
}

fn edge(entries: &[Entry], rate: u64, channel: u64, before: i64) -> Option<(Timestamp, u32)> {
    let rank = |entry: &Entry| entry.chunk.as_ref().map_or(0, |chunk| chunk.last_rank);
    let of_channel = entries.iter().filter(|entry| (entry.rate, entry.channel.0) == (rate, channel));
    of_channel.filter(|entry| entry.last.0 < before).map(|entry| (entry.last, rank(entry))).max()
}

fn check(index: &PartitionIndex, entries: &[Entry], rate: u64, channel: u64, range: TimeRange) {
    let id = ChannelId(channel);
    let expected = touching(entries, rate, channel, range);
    let found: Vec<Entry> = index.entries(rate, id, range).unwrap().map(Result::unwrap).collect();
    assert_eq!(found, expected);
    let found = index.edge(rate, id, range.from).unwrap();
    let found = found.map(|entry| (entry.last, entry.chunk.map_or(0, |chunk| chunk.last_rank)));
    assert_eq!(found, edge(entries, rate, channel, range.from.0));
    let there = entries.iter().any(|entry| (entry.rate, entry.channel) == (rate, id));
    let position = index.position(rate, id).unwrap();
    assert_eq!(position.is_some(), there);
    if let Some(position) = position {
        let found = index.entries_at(position, rate, id, range).unwrap();
        assert_eq!(found.map(Result::unwrap).collect::<Vec<_>>(), expected);
        assert!(index.entries_at(position, rate, ChannelId(channel + 1), range).is_err());
    }
}

fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        any::<f32>().prop_map(f64::from),
        (-100_000i32..100_000, 0u32..6).prop_map(|(n, k)| f64::from(n) / 10f64.powi(k as i32)),
        Just(-0.0),
    ]
}

fn any_statistics() -> impl Strategy<Value = Statistics> {
    let counts = (prop::option::of(1u64..9), any::<bool>(), 0u16..4, prop::option::of(1u64..1 << 40));
    let values = (any_value(), any_value(), any_value(), any_value(), any::<i64>(), any::<i64>());
    (counts, prop::option::of(values), 1u64..u64::MAX, 0u8..4).prop_map(|(counts, values, count, like)| {
        let (nan, finite, severity, invalid) = counts;
        let numeric = values.map(|(first, last, min, max, min_time, max_time)| {
            let (min, max) = match like {
                0 => (first, last),
                1 => (first, first),
                _ => (min, max),
            };
            let extremes =
                Extremes { min, min_time: Timestamp(min_time), max, max_time: Timestamp(max_time) };
            NumericStatistics {
                first,
                last,
                extremes: finite.then_some(extremes),
                nan: nan.unwrap_or(0),
                positive_infinite: 0,
                negative_infinite: 0,
            }
        });
        let worst = Severity::from_code(severity).unwrap();
        Statistics { count, worst, invalid: invalid.unwrap_or(0), numeric }
    })
}

fn any_chunk() -> impl Strategy<Value = ChunkSummary> {
    let ranks = prop_oneof![Just((0, 0)), any::<(u32, u32)>()];
    (ranks, any::<bool>(), any::<u32>(), any_statistics(), 0u8..3).prop_map(
        |(ranks, late, header_len, statistics, kept)| ChunkSummary {
            first_rank: ranks.0,
            last_rank: ranks.1,
            late,
            header_len,
            count: statistics.count,
            statistics: (kept > 0).then_some(statistics),
        },
    )
}

fn any_locator() -> impl Strategy<Value = Locator> {
    let wild = (any::<u64>(), any::<u64>(), any::<u64>(), prop::option::of(any::<u32>()));
    let tame = (0u64..3, 0u64..20, 1u64..3, prop::option::of(0u32..9));
    prop_oneof![tame, wild].prop_map(|(table, offset, len, slot)| Locator { table, offset, len, slot })
}

/// Entries of few channels whose times overlap, sorted.
fn any_entries() -> impl Strategy<Value = Vec<Entry>> {
    let rate = prop_oneof![4 => Just(0u64), 1 => 1u64..5, 1 => Just(60_000_000_000u64)];
    let channel = prop_oneof![6 => 1u64..5, 1 => any::<u64>()];
    let times = prop_oneof![6 => (0i64..200, 0i64..60), 1 => (any::<i64>(), Just(i64::MAX))];
    let entry = (rate, channel, times, any_locator(), prop::option::weighted(0.8, any_chunk()));
    prop::collection::vec(entry, 0..300).prop_map(|entries| {
        let entries = entries.into_iter().map(|(rate, channel, (first, len), locator, chunk)| Entry {
            rate,
            channel: ChannelId(channel),
            first: Timestamp(first),
            last: Timestamp(first.saturating_add(len)),
            locator,
            chunk,
        });
        let mut entries: Vec<Entry> = entries.collect();
        entries.sort_by_key(|entry| (entry.rate, entry.channel, entry.first));
        entries
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn any_entries_are_found_at_any_time(
        entries in any_entries(),
        queries in prop::collection::vec((0u64..2, 0u64..6, -10i64..270, 0i64..80), 30),
    ) {
        let disk = SimDisk::new(1);
        let summary = write(&disk, path(), &entries);
        let index = PartitionIndex::open(&disk, path(), &PageCache::new(1 << 20)).unwrap();
        prop_assert_eq!((index.info(), index.summary()), (INFO, summary));
        index.verify().unwrap();
        let all = index.entries_from(0, ChannelId(0), Timestamp::MIN).unwrap();
        prop_assert_eq!(&all.map(Result::unwrap).collect::<Vec<_>>(), &entries);
        for (rate, channel, from, len) in queries {
            check(&index, &entries, rate, channel, TimeRange::new(Timestamp(from), Timestamp(from + len)));
        }
        for entry in entries.iter().step_by(17) {
            check(&index, &entries, entry.rate, entry.channel.0.min(u64::MAX - 1), TimeRange::ALL);
        }
    }

    /// Channels longer than a page, and those that would straddle one.
    #[test]
    fn long_channels_are_found_at_any_time(
        lens in prop::collection::vec(1usize..1200, 1..12),
        overlap in 0i64..3000,
        queries in prop::collection::vec((0u64..14, 0i64..1_300_000, 0i64..5000), 20),
    ) {
        let entries: Vec<Entry> = (1..).zip(&lens).flat_map(|(channel, len)| (0..*len as u64).map(move |i| {
            let late = if i % 7 == 0 { overlap } else { 0 };
            chunk(channel, i as i64 * 1000, 900 + late, channel * 7919 + i)
        })).collect();
        let disk = SimDisk::new(1);
        write(&disk, path(), &entries);
        let index = PartitionIndex::open(&disk, path(), &PageCache::new(1 << 22)).unwrap();
        index.verify().unwrap();
        for (channel, from, len) in queries {
            check(&index, &entries, 0, channel, TimeRange::new(Timestamp(from), Timestamp(from + len)));
        }
        let follow = |channel: u64, rows: usize| -> Vec<Entry> {
            let rest = index.entries_from(0, ChannelId(channel), Timestamp::MIN).unwrap();
            rest.take(rows).map(Result::unwrap).collect()
        };
        for begin in (0..entries.len()).filter(|at| entries[*at].first == Timestamp(0)) {
            let rest = &entries[begin..entries.len().min(begin + 1500)];
            prop_assert_eq!(&follow(entries[begin].channel.0, rest.len()), rest);
        }
        for (summary, (channel, len)) in index.channels(|_| unreachable!()).unwrap().zip((1..).zip(&lens)) {
            let summary = summary.unwrap();
            prop_assert_eq!((summary.channel, summary.entries), (ChannelId(channel), *len as u64));
            prop_assert_eq!(Some(summary.position), index.position(0, ChannelId(channel)).unwrap());
            let of_channel: Vec<&Entry> = entries.iter().filter(|entry| entry.channel.0 == channel).collect();
            let samples = |entry: &&Entry| entry.chunk.as_ref().map_or(0, |chunk| chunk.count);
            prop_assert_eq!(summary.statistics.unwrap().count, of_channel.iter().map(samples).sum::<u64>());
            prop_assert_eq!(summary.last, of_channel.iter().map(|entry| entry.last).max().unwrap());
            prop_assert_eq!(summary.overlapping, overlap >= 100 && *len > 1);
        }
    }
}

#[test]
fn a_summary_is_that_of_all_chunks() {
    let disk = SimDisk::new(1);
    let (mut one, mut two) = (chunk(1, 0, 10, 8), chunk(1, 10, 10, 4));
    let (a, b) = (one.chunk.as_mut().unwrap(), two.chunk.as_mut().unwrap());
    (a.last_rank, b.first_rank, b.last_rank) = (1, 2, 3);
    b.statistics.as_mut().unwrap().worst = Severity::Invalid;
    let missing = b.statistics.take();
    write(&disk, path(), &[one.clone(), two.clone()]);
    let index = PartitionIndex::open(&disk, path(), &PageCache::new(0)).unwrap();
    let missing = |entry: &Entry| {
        assert_eq!(entry, &two);
        Ok(missing.clone().unwrap())
    };
    let summary = index.channels(missing).unwrap().next().unwrap().unwrap();
    assert_eq!((summary.first, summary.last, summary.overlapping), (Timestamp(0), Timestamp(20), false));
    let statistics = summary.statistics.unwrap();
    let numeric = statistics.numeric.unwrap();
    assert_eq!((statistics.count, statistics.worst, statistics.invalid), (9 + 5, Severity::Invalid, 0));
    assert_eq!((numeric.first, numeric.last, numeric.nan), (0.8, 0.4 + 0.1, 2 + 1));
    let extremes = Extremes { min: -1.5, min_time: Timestamp(5), max: 0.8, max_time: Timestamp(0) };
    assert_eq!(numeric.extremes, Some(extremes));
}

/// Pages asked for by `ask` of a cache that keeps none.
fn pages_touched(cache: &PageCache, ask: impl FnOnce()) -> u64 {
    let before = cache.reads();
    ask();
    cache.reads() - before
}

#[test]
fn a_look_up_touches_two_pages_whatever_the_size() {
    for (channels, chunks) in [(1000, 8), (30_000, 8), (1_000_000, 1)] {
        let disk = SimDisk::new(1);
        write(&disk, path(), &plain(channels, chunks));
        let cache = PageCache::new(0);
        let index = PartitionIndex::open(&disk, path(), &cache).unwrap();
        let (mut beside, newest) = (0, (chunks as i64 - 1) * 1000);
        for channel in (1..=channels).step_by(channels as usize / 500) {
            let at = TimeRange::new(Timestamp(newest + 500), Timestamp(newest + 501));
            let touched = pages_touched(&cache, || {
                let found = index.entries(0, ChannelId(channel), at).unwrap().next().unwrap().unwrap();
                assert_eq!(found.first, Timestamp(newest));
            });
            // Of some thousand look-ups one meets a slot of another channel with the same tag.
            assert!((2..=3).contains(&touched), "{channels} channels, channel {channel}: {touched}");
            beside += touched - 2;
        }
        assert!(beside <= 3, "{channels} channels: {beside}");
    }
}

#[test]
fn hashes_that_memory_does_not_keep_are_read_again() {
    let disk = SimDisk::new(1);
    let entries = plain(5000, 2);
    let mut writer = PartitionWriter::with_memory(&disk, path(), INFO, 100).unwrap();
    entries.iter().for_each(|entry| writer.add(entry).unwrap());
    writer.finish().unwrap();
    write(&disk, Path::new("/same.idx"), &entries);
    assert!(disk.content(path()).unwrap() == disk.content(Path::new("/same.idx")).unwrap());
}

#[test]
fn offsets_beyond_4_gib_are_followed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("far.idx");
    let mut entries = plain(3000, 8);
    for (entry, far) in entries.iter_mut().zip(0..) {
        entry.locator.offset = (1 << 45) + far * 100;
    }
    let mut writer = PartitionWriter::create(&RealDisk, &path, INFO).unwrap();
    // The leaves begin at 16 GiB of a sparse file.
    let begin = (16u64 << 30) / PAGE_BYTES as u64;
    writer.skip_to(begin);
    entries.iter().for_each(|entry| writer.add(entry).unwrap());
    let summary = writer.finish().unwrap();
    assert!(summary.bytes > 16 << 30);
    let index = PartitionIndex::open(&RealDisk, &path, &PageCache::new(1 << 20)).unwrap();
    for channel in [1, 1500, 3000] {
        assert!(index.position(0, ChannelId(channel)).unwrap().unwrap().page >= begin);
        check(&index, &entries, 0, channel, TimeRange::new(Timestamp(2500), Timestamp(6000)));
    }
    let all = index.entries_from(0, ChannelId(0), Timestamp::MIN).unwrap();
    assert!(all.map(Result::unwrap).eq(entries));
}

#[test]
fn entries_that_cannot_be_are_refused() {
    let disk = SimDisk::new(1);
    let mut writer = PartitionWriter::create(&disk, path(), INFO).unwrap();
    writer.add(&chunk(2, 100, 10, 1)).unwrap();
    assert!(writer.add(&chunk(2, 99, 10, 1)).is_err());
    assert!(writer.add(&chunk(1, 100, 10, 1)).is_err());
    assert!(writer.add(&chunk(3, 100, -1, 1)).is_err());
    let mut empty = chunk(3, 100, 1, 1);
    empty.chunk.as_mut().unwrap().statistics = None;
    empty.chunk.as_mut().unwrap().count = 0;
    assert!(writer.add(&empty).is_err());
    empty = chunk(3, 100, 1, 1);
    empty.chunk.as_mut().unwrap().count += 1;
    assert!(writer.add(&empty).is_err(), "statistics of other samples");
    writer.add(&chunk(2, 100, 10, 1)).unwrap();
    assert_eq!(writer.finish().unwrap().entries, 2);
}

#[test]
fn an_index_of_nothing_answers_nothing() {
    let disk = SimDisk::new(1);
    assert_eq!(write(&disk, path(), &[]).span, None);
    let index = PartitionIndex::open(&disk, path(), &PageCache::new(0)).unwrap();
    index.verify().unwrap();
    check(&index, &[], 0, 1, TimeRange::ALL);
    assert_eq!(index.channels(|_| unreachable!()).unwrap().count(), 0);
    assert!(PartitionWriter::create(&disk, path(), INFO).is_err(), "a file that exists is not written over");
}
