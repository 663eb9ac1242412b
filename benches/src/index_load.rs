//! The entries and names of one large partition.

use index::{ChunkSummary, Entry, Extremes, Locator, NumericStatistics, Statistics};
use sample::{ChannelId, ChannelName, Severity, Timestamp, WEEK_NS};

/// Monday 2026-11-16.
const MONDAY_NS: i64 = 1_794_787_200_000_000_000;

/// SplitMix64: numbers from a seed.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// Any number.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(end)) >> 64) as u64
    }
}

/// Name of channel `id`: 30 bytes.
pub fn name(id: u64) -> ChannelName {
    let text = format!("SR-C{:02}-VA-GAUGE-{id:07}:PRESSURE", id % 32);
    ChannelName::stored(&text[..30.min(text.len())]).expect("a name")
}

/// A time inside chunk `chunk` of a channel with so many.
pub fn inside(chunk: u64, chunks: u64) -> Timestamp {
    Timestamp(MONDAY_NS + (2 * chunk as i64 + 1) * (WEEK_NS / (2 * chunks as i64)))
}

/// Chunks of a week in the order of keys, with the stamps, places and statistics that such have: six of ten chunks
/// share blocks of 64 KiB; of ten channels two hold integers, five decimals, three any double.
pub fn entries(channels: u64, chunks: u64) -> impl Iterator<Item = Entry> {
    let mut random = Random(7);
    let (mut block, mut filled, mut slot) = (128u64, 0u64, 0u32);
    (1..=channels).flat_map(move |channel| (0..chunks).map(move |chunk| (channel, chunk))).map(
        move |(channel, chunk)| {
            let span = WEEK_NS / chunks as i64;
            let first = MONDAY_NS + chunk as i64 * span + random.below(span as u64 / 100) as i64;
            let last = first + span / 100 * 98 + random.below(span as u64 / 200) as i64;
            let len = 300 + random.below(20_000);
            let shared = len < 12_300;
            if !shared || filled > 65_536 {
                (block, filled, slot) = (block + filled, 0, 0);
            }
            let locator = Locator {
                table: 1 + channel * 4 / channels,
                offset: block,
                len: if shared { 65_000 } else { len },
                slot: shared.then_some(slot),
            };
            (filled, slot) = (filled + len / if shared { 8 } else { 1 }, slot + 1);
            if !shared {
                (block, filled, slot) = (block + filled, 0, 0);
            }
            Entry {
                rate: 0,
                channel: ChannelId(channel),
                first: Timestamp(first),
                last: Timestamp(last),
                locator,
                chunk: Some(chunk_summary(&mut random, channel, first, last)),
            }
        },
    )
}

fn chunk_summary(random: &mut Random, channel: u64, first: i64, last: i64) -> ChunkSummary {
    let mut value = || match channel % 10 {
        0 | 1 => random.below(3) as f64,
        2..7 => random.below(100_000) as f64 / 100.0,
        _ => random.bits() as f64 / 1e17,
    };
    let (first_value, last_value) = (value(), value());
    let min = first_value.min(last_value).min(value());
    let max = first_value.max(last_value).max(value());
    let mut time = |value: f64| match value {
        value if value == first_value => Timestamp(first),
        value if value == last_value => Timestamp(last),
        _ => Timestamp(first + random.below((last - first) as u64) as i64),
    };
    let extremes = Extremes { min, min_time: time(min), max, max_time: time(max) };
    let numeric = NumericStatistics {
        first: first_value,
        last: last_value,
        extremes: Some(extremes),
        nan: 0,
        positive_infinite: 0,
        negative_infinite: 0,
    };
    let worst = if random.below(50) == 0 { Severity::Minor } else { Severity::NoAlarm };
    let count = 16 + random.below(8176);
    ChunkSummary {
        first_rank: 0,
        last_rank: 0,
        late: false,
        header_len: 150 + random.below(100) as u32,
        count,
        statistics: Some(Statistics { count, worst, invalid: 0, numeric: Some(numeric) }),
    }
}
