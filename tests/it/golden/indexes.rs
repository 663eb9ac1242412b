//! Index files as today's code writes them.

use super::{ARCHIVE, Made, blocks, records};
use crate::decoders;
use disk::SimDisk;
use index::*;
use sample::{ChannelId, Severity, Timestamp, Week};
use std::path::Path;

/// Channels with one chunk each, whose statistics take many bytes: more than one leaf.
const NOISY_CHANNELS: u64 = 260;

fn statistics(count: u64, values: Option<[f64; 4]>) -> Statistics {
    let numeric = values.map(|[first, last, min, max]| NumericStatistics {
        first,
        last,
        extremes: Some(Extremes { min, min_time: records::time(1), max, max_time: records::time(2) }),
        nan: 0,
        positive_infinite: 0,
        negative_infinite: 0,
    });
    Statistics { count, worst: Severity::NoAlarm, invalid: 0, numeric }
}

/// One of each form of values, of each place of an extreme value, of each flag.
fn all_statistics() -> Vec<Statistics> {
    let mut all = vec![
        statistics(9, None),
        statistics(9, Some([1.0, 2.0, -3.0, 4.0])),
        statistics(9, Some([0.1, 0.2, 0.1, 12.5])),
        statistics(9, Some([0.01, 0.02, 0.01, 7.25])),
        statistics(9, Some([0.001, 0.001, -0.001, 0.001])),
        statistics(9, Some([0.0001, 1.0, 0.0001, 2.0])),
        statistics(9, Some([0.00001, 1.0, 0.00001, 2.0])),
        statistics(9, Some([f64::from(0.1f32), f64::from(0.7f32), f64::from(0.1f32), f64::from(1e30f32)])),
        statistics(9, Some([std::f64::consts::PI, -0.0, -std::f64::consts::E, 1e300])),
    ];
    let mut alarmed = statistics(1 << 40, Some([1.0, 1.0, 1.0, 1.0]));
    (alarmed.worst, alarmed.invalid) = (Severity::Invalid, 77);
    let mut not_finite = statistics(5, None);
    not_finite.numeric = Some(NumericStatistics {
        first: f64::from_bits(0x7ff8_0000_0000_0001),
        last: f64::INFINITY,
        extremes: None,
        nan: 3,
        positive_infinite: 1,
        negative_infinite: 1,
    });
    all.extend([alarmed, not_finite]);
    all
}

fn chunk(channel: u64, first: Timestamp, last: Timestamp, statistics: Statistics) -> Entry {
    let locator = Locator { table: 3, offset: 128 + channel * 5000, len: 5000, slot: None };
    let (count, statistics) = (statistics.count, Some(statistics));
    let chunk = ChunkSummary { first_rank: 0, last_rank: 0, late: false, header_len: 150, count, statistics };
    Entry { rate: 0, channel: ChannelId(channel), first, last, locator, chunk: Some(chunk) }
}

fn entries() -> Vec<Entry> {
    let mut entries = Vec::new();
    for (second, statistics) in (0..).zip(all_statistics()) {
        let (first, last) = (records::time(second), records::time(second + 100));
        let at_ends = |at: Timestamp| if at == records::time(1) { first } else { last };
        let mut statistics = statistics;
        if let Some(extremes) = statistics.numeric.as_mut().and_then(|numeric| numeric.extremes.as_mut())
            && second % 2 == 0
        {
            extremes.min_time = at_ends(extremes.min_time);
            extremes.max_time = at_ends(extremes.max_time);
        } else if let Some(extremes) =
            statistics.numeric.as_mut().and_then(|numeric| numeric.extremes.as_mut())
        {
            (extremes.min_time, extremes.max_time) = (first.saturating_add(3), first.saturating_add(7));
        }
        entries.push(chunk(1, first, last, statistics));
    }
    let mut late = chunk(2, records::time(0), records::time(4), statistics(3, None));
    if let Some(chunk) = &mut late.chunk {
        (chunk.late, chunk.first_rank, chunk.last_rank) = (true, 1 << 31, (1 << 31) + 2);
    }
    entries.push(late);
    let mut small = chunk(3, records::time(0), records::time(4), statistics(3, None));
    if let Some(chunk) = &mut small.chunk {
        chunk.statistics = None;
    }
    entries.push(small);
    for channel in 10..10 + NOISY_CHANNELS {
        let value = |k: usize| f64::from_bits(blocks::noise(channel as usize * 4 + k) >> 2);
        let mut entry = chunk(
            channel,
            records::time(0),
            records::time(50),
            statistics(4, Some([value(0), value(1), value(2), value(3)])),
        );
        if channel % 3 == 0 {
            entry.locator = Locator { table: 4, offset: 70_000, len: 60_000, slot: Some(channel as u32) };
        }
        entries.push(entry);
    }
    for rate in 1..=4 {
        let locator = Locator { table: 4, offset: 1 << 40, len: 60_000, slot: Some(rate as u32) };
        let (first, last) = (records::time(-7), records::time(rate));
        entries.push(Entry { rate: rate as u64, channel: ChannelId(1), first, last, locator, chunk: None });
    }
    entries
}

pub(crate) const PARTITION: &str = "/partition.index";
pub(crate) const MASTER: &str = "/master.index";

pub(super) fn made() -> Vec<Made> {
    let disk = SimDisk::new(1);
    let info = PartitionInfo { archive: ARCHIVE.0, week: Week(2922), generation: 2 };
    let mut writer = PartitionWriter::create(&disk, Path::new(PARTITION), info).unwrap();
    entries().iter().for_each(|entry| writer.add(entry).unwrap());
    writer.finish().unwrap();
    let partition = PartitionIndex::open(&disk, Path::new(PARTITION), &PageCache::new(1 << 20)).unwrap();
    let info = MasterInfo { archive: ARCHIVE.0, segment: 9 };
    let mut writer = MasterWriter::create(&disk, Path::new(MASTER), info).unwrap();
    for summary in partition.channels(|entry| Ok(decoders::statistics_of(entry))).unwrap() {
        let summary = summary.unwrap();
        for (week, generation) in [(-4, 1), (2922, 2)] {
            if summary.channel.0 < 20 || generation == 2 && summary.channel.0 % 16 == 0 {
                writer
                    .add_row(&MasterRow { week: Week(week), generation, summary: summary.clone() })
                    .unwrap();
            }
        }
    }
    let mut names = vec![(
        records::name("ALIAS"),
        NamedChannel { id: ChannelId(1), alias_of: Some(records::name("SR:C01{BPM:1}X-I")) },
    )];
    for (id, text) in [(1, "SR:C01{BPM:1}X-I"), (2, "SR:C01{BPM:1}Y-I"), (300, "é"), (10, "T")] {
        names.push((records::name(text), NamedChannel { id: ChannelId(id), alias_of: None }));
    }
    names.sort_by(|(a, _), (b, _)| a.cmp(b));
    names.iter().for_each(|(name, named)| writer.add_name(name, named).unwrap());
    writer.finish().unwrap();
    let bytes = |path| disk.content(Path::new(path)).unwrap();
    vec![
        Made::new("partition-index", "entries.index".into(), bytes(PARTITION)),
        Made::new("master-segment", "names.index".into(), bytes(MASTER)),
    ]
}
