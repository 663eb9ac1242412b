//! What all entries of a channel at a rate say together.

use crate::entry::Entry;
use crate::hash_table::Position;
use crate::statistics::{Extremes, NumericStatistics, Statistics};
use sample::{ChannelId, Timestamp};

/// A channel at a rate in one partition.
#[derive(Clone, PartialEq, Debug)]
pub struct ChannelSummary {
    /// The rate.
    pub rate: u64,
    /// The channel.
    pub channel: ChannelId,
    /// Its first entry in the partition index.
    pub position: Position,
    /// Number of entries.
    pub entries: u64,
    /// The least first time.
    pub first: Timestamp,
    /// The greatest last time.
    pub last: Timestamp,
    /// Whether some chunks overlap in time and rank: then samples may be counted twice below, and the statistics
    /// answer nothing by themselves.
    pub overlapping: bool,
    /// Facts about the samples of all chunks; `None` where there are only records. Numbers are known only where
    /// all chunks have them.
    pub statistics: Option<Statistics>,
}

/// Takes the entries of one channel in the order of their keys.
#[derive(Debug)]
pub(crate) struct Summing {
    summary: ChannelSummary,
    /// Time and rank of the last sample so far.
    newest: (Timestamp, u32),
}

impl Summing {
    /// Of the first entry, which lies at `position`.
    pub(crate) fn new(entry: &Entry, position: Position) -> Summing {
        let chunk = entry.chunk.as_ref();
        Summing {
            summary: ChannelSummary {
                rate: entry.rate,
                channel: entry.channel,
                position,
                entries: 1,
                first: entry.first,
                last: entry.last,
                overlapping: false,
                statistics: chunk.and_then(|chunk| chunk.statistics.clone()),
            },
            newest: (entry.last, chunk.map_or(0, |chunk| chunk.last_rank)),
        }
    }

    /// Whether an entry is of this channel.
    pub(crate) fn takes(&self, entry: &Entry) -> bool {
        (self.summary.rate, self.summary.channel) == (entry.rate, entry.channel)
    }

    /// Takes the next entry.
    pub(crate) fn add(&mut self, entry: &Entry) {
        let summary = &mut self.summary;
        summary.entries += 1;
        summary.last = summary.last.max(entry.last);
        let Some(chunk) = &entry.chunk else { return };
        let newest = (entry.last, chunk.last_rank);
        let ends_last = newest >= self.newest || summary.statistics.is_none();
        summary.overlapping |= summary.statistics.is_some() && (entry.first, chunk.first_rank) <= self.newest;
        match (&mut summary.statistics, &chunk.statistics) {
            (Some(statistics), Some(next)) => add(statistics, next, ends_last),
            (statistics, next) => *statistics = next.clone(),
        }
        if ends_last {
            self.newest = newest;
        }
    }

    pub(crate) fn finish(self) -> ChannelSummary {
        self.summary
    }
}

fn add(sum: &mut Statistics, next: &Statistics, ends_last: bool) {
    sum.count = sum.count.saturating_add(next.count);
    sum.worst = sum.worst.max(next.worst);
    sum.invalid = sum.invalid.saturating_add(next.invalid);
    sum.numeric = match (sum.numeric, next.numeric) {
        (Some(a), Some(b)) => Some(NumericStatistics {
            first: a.first,
            last: if ends_last { b.last } else { a.last },
            extremes: match (a.extremes, b.extremes) {
                (Some(a), Some(b)) => Some(wider(a, b)),
                (a, b) => a.or(b),
            },
            nan: a.nan.saturating_add(b.nan),
            positive_infinite: a.positive_infinite.saturating_add(b.positive_infinite),
            negative_infinite: a.negative_infinite.saturating_add(b.negative_infinite),
        }),
        _ => None,
    };
}

fn wider(a: Extremes, b: Extremes) -> Extremes {
    let min_of_b = b.min < a.min || (b.min == a.min && b.min_time < a.min_time);
    let max_of_b = b.max > a.max || (b.max == a.max && b.max_time < a.max_time);
    let (min, min_time) = if min_of_b { (b.min, b.min_time) } else { (a.min, a.min_time) };
    let (max, max_time) = if max_of_b { (b.max, b.max_time) } else { (a.max, a.max_time) };
    Extremes { min, min_time, max, max_time }
}
