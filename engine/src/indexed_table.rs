//! The entries of one table, found by the index of its week where there is one.

use crate::open_indexes::OpenIndexes;
use disk::FormatError;
use index::PartitionIndex;
use sample::{ChannelId, TimeRange};
use sstable::{ChunkSummary, Entry, Extremes, Key, Locator, NumericStatistics, Statistics, Table};
use std::sync::Arc;

/// A table with the index that covers it, if one does.
#[derive(Clone, Debug)]
pub(crate) struct IndexedTable {
    table: Arc<Table>,
    index: Option<Covering>,
}

/// An index that holds the entries of a table.
#[derive(Clone, Debug)]
pub(crate) struct Covering {
    /// Number of the index file.
    pub(crate) id: u64,
    pub(crate) index: Arc<PartitionIndex>,
    /// Where it is given up when it turns out to be damaged.
    pub(crate) files: Arc<OpenIndexes>,
}

impl IndexedTable {
    pub(crate) fn new(table: Arc<Table>, index: Option<Covering>) -> IndexedTable {
        IndexedTable { table, index }
    }

    /// The table.
    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    /// The entries of one channel at one rate whose times touch `range`, in the order of their keys.
    ///
    /// # Errors
    /// When the table cannot be read or is damaged; an index that is so is given up.
    pub(crate) fn entries(
        &self,
        rate: u64,
        channel: ChannelId,
        range: TimeRange,
    ) -> Result<Vec<Entry>, FormatError> {
        if let Some(covering) = &self.index {
            match self.found(covering, rate, channel, range) {
                Ok(entries) => return Ok(entries),
                Err(error) => covering.files.give_up(covering.id, &error),
            }
        }
        self.table.entries(rate, channel, range).collect()
    }

    fn found(
        &self,
        covering: &Covering,
        rate: u64,
        channel: ChannelId,
        range: TimeRange,
    ) -> Result<Vec<Entry>, FormatError> {
        let mut entries = Vec::new();
        for entry in covering.index.entries(rate, channel, range)? {
            let entry = entry?;
            if entry.locator.table == self.table.info().table {
                entries.push(of_index(&covering.index, entry)?);
            }
        }
        Ok(entries)
    }
}

impl From<Arc<Table>> for IndexedTable {
    fn from(table: Arc<Table>) -> IndexedTable {
        IndexedTable::new(table, None)
    }
}

/// An entry as a table has it.
fn of_index(index: &PartitionIndex, entry: index::Entry) -> Result<Entry, FormatError> {
    let chunk = entry.chunk.map(|chunk| of_chunk(index, chunk)).transpose()?;
    let index::Locator { offset, len, slot, .. } = entry.locator;
    Ok(Entry {
        key: Key::new(entry.rate, entry.channel, entry.first.0),
        last: entry.last,
        chunk,
        locator: Locator { offset, len, slot },
    })
}

fn of_chunk(index: &PartitionIndex, chunk: index::ChunkSummary) -> Result<ChunkSummary, FormatError> {
    let small = |number: u64| {
        let what = "an entry counts more samples than a chunk can have";
        u32::try_from(number).map_err(|_| FormatError::corrupt(index.path(), 0, what))
    };
    let index::Statistics { count, worst, invalid, numeric } = chunk.statistics;
    let numeric = match numeric {
        None => None,
        Some(numbers) => Some(NumericStatistics {
            first: numbers.first,
            last: numbers.last,
            extremes: numbers.extremes.map(|of| Extremes {
                min: of.min,
                min_time: of.min_time,
                max: of.max,
                max_time: of.max_time,
            }),
            nan: small(numbers.nan)?,
            positive_infinite: small(numbers.positive_infinite)?,
            negative_infinite: small(numbers.negative_infinite)?,
        }),
    };
    Ok(ChunkSummary {
        first_rank: chunk.first_rank,
        late: chunk.late,
        statistics: Statistics { count: small(count)?, worst, invalid: small(invalid)?, numeric },
        header_len: chunk.header_len as usize,
    })
}

/// An entry of table `table` as an index has it; `last_rank` is that of its last sample.
pub(crate) fn for_index(table: u64, entry: &Entry, last_rank: u32) -> index::Entry {
    let Locator { offset, len, slot } = entry.locator;
    let chunk = entry.chunk.as_ref().map(|chunk| index::ChunkSummary {
        first_rank: chunk.first_rank,
        last_rank,
        late: chunk.late,
        header_len: u32::try_from(chunk.header_len).unwrap_or(u32::MAX),
        statistics: index::Statistics {
            count: u64::from(chunk.statistics.count),
            worst: chunk.statistics.worst,
            invalid: u64::from(chunk.statistics.invalid),
            numeric: chunk.statistics.numeric.map(|numbers| index::NumericStatistics {
                first: numbers.first,
                last: numbers.last,
                extremes: numbers.extremes.map(|of| index::Extremes {
                    min: of.min,
                    min_time: of.min_time,
                    max: of.max,
                    max_time: of.max_time,
                }),
                nan: u64::from(numbers.nan),
                positive_infinite: u64::from(numbers.positive_infinite),
                negative_infinite: u64::from(numbers.negative_infinite),
            }),
        },
    });
    index::Entry {
        rate: entry.key.rate,
        channel: entry.key.channel,
        first: sample::Timestamp(entry.key.bin),
        last: entry.last,
        locator: index::Locator { table, offset, len, slot },
        chunk,
    }
}
