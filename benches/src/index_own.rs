//! What Varve's own index files take for a large partition.

use super::cpu_s;
use super::index_load::{Random, entries, inside, name};
use disk::RealDisk;
use index::{
    Entry, Master, MasterInfo, MasterWriter, NamedChannel, PageCache, PartitionIndex, PartitionInfo,
    PartitionSummary, PartitionWriter,
};
use sample::{ChannelId, ChannelName, TimeRange, Timestamp, Week};
use std::fmt;
use std::path::Path;

/// Look-ups of one round.
pub const LOOK_UPS: u64 = 500_000;
/// Entries of one range.
pub const RANGE: usize = 100;
/// Rounds, of which the best counts.
pub const ROUNDS: usize = 5;
/// Bytes of the page cache: everything fits.
const CACHE_BYTES: usize = 2 << 30;

/// Entries made between two spans of the clock.
const BATCH: usize = 4096;

/// Figures of one store; CPU time of the whole process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// Taking the entries and writing the file; making the entries is not counted.
    pub build_s: f64,
    /// Its length.
    pub bytes: u64,
    /// Finding the entry of a random channel that holds a time, with its times and place.
    pub point_ns: f64,
    /// Walking 100 entries from a random key on.
    pub range_ns: f64,
    /// From a random name to the channel's id; 0 where not measured.
    pub name_ns: f64,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { build_s, bytes, point_ns, range_ns, name_ns } = self;
        let megabytes = *bytes as f64 / 1e6;
        write!(f, "{build_s:7.2} {megabytes:9.1} {point_ns:9.0} {range_ns:10.0} {name_ns:9.0}")
    }
}

/// Heading of the lines that [`Figures`] prints.
pub const HEADING: &str = "build s        MB  point ns  range ns   name ns";

/// The least time of one of `count` calls in several rounds, in ns of CPU.
pub fn best_ns(count: u64, mut round: impl FnMut(&mut Random)) -> f64 {
    let rounds = (0..ROUNDS as u64).map(|seed| {
        let before = cpu_s();
        round(&mut Random(seed % 2));
        (cpu_s() - before) * 1e9 / count as f64
    });
    rounds.fold(f64::INFINITY, f64::min)
}

/// Measures the partition index with the names of a master segment, in `directory`.
pub fn measure(directory: &Path, channels: u64, chunks: u64) -> Figures {
    let path = directory.join("own.idx");
    let mut figures = Figures { build_s: f64::INFINITY, ..Figures::default() };
    for _ in 0..3 {
        let _ = std::fs::remove_file(&path);
        let (summary, build_s) = built(&path, channels, chunks);
        figures.build_s = figures.build_s.min(build_s);
        figures.bytes = summary.bytes;
    }
    let cache = PageCache::new(CACHE_BYTES);
    let index = PartitionIndex::open(&RealDisk, &path, &cache).expect("a sound file");
    let warm = index.entries_from(0, ChannelId(0), Timestamp::MIN).expect("a sound file");
    assert_eq!(warm.count() as u64, channels * chunks);

    // As much as the peers decode: key and span; with the place in the table, for which one asks.
    figures.point_ns = best_ns(LOOK_UPS, |random| {
        for _ in 0..LOOK_UPS {
            let (channel, chunk) = (1 + random.below(channels), random.below(chunks));
            let mut found =
                index.entries(0, ChannelId(channel), instant(chunk, chunks)).expect("a sound file");
            let row = found.next_row().expect("a sound file").expect("one");
            assert!(row.channel().0 == channel && row.last() > row.first());
            assert!(row.locator().expect("a sound file").len > 0);
        }
    });
    let ranges = LOOK_UPS / 10;
    figures.range_ns = best_ns(ranges, |random| {
        for _ in 0..ranges {
            let channel = ChannelId(1 + random.below(channels - RANGE as u64));
            let mut found = index.entries_from(0, channel, Timestamp::MIN).expect("a sound file");
            for _ in 0..RANGE {
                let row = found.next_row().expect("a sound file").expect("one");
                assert!(row.last() > row.first());
            }
        }
    });
    let whole_point_ns = best_ns(LOOK_UPS, |random| {
        for _ in 0..LOOK_UPS {
            let (channel, chunk) = (1 + random.below(channels), random.below(chunks));
            let mut found =
                index.entries(0, ChannelId(channel), instant(chunk, chunks)).expect("a sound file");
            assert_eq!(found.next().expect("one").expect("a sound file").channel.0, channel);
        }
    });
    let whole_range_ns = best_ns(ranges, |random| {
        for _ in 0..ranges {
            let channel = ChannelId(1 + random.below(channels - RANGE as u64));
            let found = index.entries_from(0, channel, Timestamp::MIN).expect("a sound file");
            assert_eq!(found.take(RANGE).filter(|entry| entry.is_ok()).count(), RANGE);
        }
    });
    println!(
        "every field and the statistics unpacked: point {whole_point_ns:.0} ns, range {whole_range_ns:.0} ns"
    );
    figures.name_ns = names(directory, channels);
    figures
}

/// Writes the file; the making of the entries is not timed.
fn built(path: &Path, channels: u64, chunks: u64) -> (PartitionSummary, f64) {
    let info = PartitionInfo { archive: 1, week: Week(2967), generation: 1 };
    let before = cpu_s();
    let mut writer = PartitionWriter::create(&RealDisk, path, info).expect("a new file");
    let mut build_s = cpu_s() - before;
    build_s += feeding_s(channels, chunks, |entry| writer.add(entry).expect("sorted"));
    let before = cpu_s();
    let summary = writer.finish().expect("written");
    (summary, build_s + cpu_s() - before)
}

/// Gives all entries to a store; the time that it takes, the making of the entries not counted.
pub fn feeding_s(channels: u64, chunks: u64, mut take: impl FnMut(&Entry)) -> f64 {
    let mut entries = entries(channels, chunks);
    let mut batch = Vec::with_capacity(BATCH);
    let mut sum_s = 0.0;
    loop {
        batch.extend(entries.by_ref().take(BATCH));
        if batch.is_empty() {
            return sum_s;
        }
        let before = cpu_s();
        batch.iter().for_each(&mut take);
        sum_s += cpu_s() - before;
        batch.clear();
    }
}

fn instant(chunk: u64, chunks: u64) -> TimeRange {
    let at = inside(chunk, chunks);
    TimeRange::new(at, Timestamp(at.0 + 1))
}

fn names(directory: &Path, channels: u64) -> f64 {
    let path = directory.join("own-master.idx");
    let mut sorted: Vec<_> = (1..=channels).map(|id| (name(id), id)).collect();
    sorted.sort();
    let before = cpu_s();
    let mut writer =
        MasterWriter::create(&RealDisk, &path, MasterInfo { archive: 1, segment: 1 }).expect("a new file");
    for (name, id) in &sorted {
        let named = NamedChannel { id: ChannelId(*id), alias_of: None };
        writer.add_name(name, &named).expect("sorted");
    }
    let summary = writer.finish().expect("written");
    let build_s = cpu_s() - before;
    let bytes = summary.bytes as f64 / channels as f64;
    println!("names alone: {build_s:.2} s, {bytes:.1} bytes a name");
    let master = Master::open(&RealDisk, &path, &PageCache::new(CACHE_BYTES)).expect("a sound file");
    sorted.iter().for_each(|(name, id)| {
        assert_eq!(master.find(name.as_str()).expect("a sound file").expect("known").id.0, *id);
    });
    let asked = names_asked(channels);
    best_ns(LOOK_UPS, |_| {
        for (name, id) in &asked {
            assert_eq!(master.find(name.as_str()).expect("a sound file").expect("known").id.0, *id);
        }
    })
}

/// Random names with their ids, one behind the other in memory: who asks has the name at hand.
pub fn names_asked(channels: u64) -> Vec<(ChannelName, u64)> {
    let mut random = Random(1);
    let ids = (0..LOOK_UPS).map(|_| 1 + random.below(channels));
    ids.map(|id| (name(id), id)).collect()
}
