//! The entries of one table, found by the index of its week where there is one.

use crate::layout::ROLLUP_NAME;
use crate::limits::INDEXED_SAMPLES_MIN;
use crate::manifest::PartitionIndexEntry;
use crate::open_indexes::OpenIndexes;
use disk::FormatError;
use index::PartitionIndex;
use sample::{ChannelId, Severity, TimeRange};
use sstable::{ChunkSummary, Entry, Extremes, Key, Locator, NumericStatistics, Statistics, Table};
use std::sync::Arc;

/// A table with the index that covers it, if one does.
#[derive(Clone, Debug)]
pub(crate) struct IndexedTable {
    table: Arc<Table>,
    index: Option<Covering>,
    /// Whether no other table of its week has the same channels.
    sealed: bool,
}

/// An index that holds the entries of a table; it is opened when it is asked.
#[derive(Clone, Debug)]
pub(crate) struct Covering {
    pub(crate) of: PartitionIndexEntry,
    /// Where it is opened, and given up when it turns out to be damaged.
    pub(crate) files: Arc<OpenIndexes>,
}

impl IndexedTable {
    pub(crate) fn new(table: Arc<Table>, index: Option<Covering>, sealed: bool) -> IndexedTable {
        IndexedTable { table, index, sealed }
    }

    /// The table.
    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    /// The file inside the archive, as `weeks/WEEK.GENERATION/TABLE` or `rollup/TABLE`.
    pub(crate) fn place(&self) -> String {
        let parts: Vec<_> = self.table.path().iter().collect();
        let is_rollup = parts.iter().rev().nth(1).is_some_and(|directory| *directory == ROLLUP_NAME);
        let depth = if is_rollup { 2 } else { 3 };
        let inside: std::path::PathBuf = parts[parts.len().saturating_sub(depth)..].iter().collect();
        inside.display().to_string()
    }

    /// The entries of one channel at one rate whose times touch `range`, in the order of their keys. The index is
    /// asked only where the table would read more to find them.
    ///
    /// # Errors
    /// When the table cannot be read or is damaged; an index that is so is given up.
    pub(crate) fn entries(
        &self,
        rate: u64,
        channel: ChannelId,
        range: TimeRange,
    ) -> Result<Vec<Entry>, FormatError> {
        if let Some(covering) = self.index.as_ref().filter(|_| !self.finds(rate, channel, range))
            && let Some(index) = covering.files.partition(&covering.of)
        {
            match self.found(&index, rate, channel, range) {
                Ok(entries) => return Ok(entries),
                Err(error) => covering.files.give_up(covering.of.id, &error),
            }
        }
        self.table.found_entries(rate, channel, range)
    }

    /// Whether the table finds entries by reading less than pages of the index.
    fn finds(&self, rate: u64, channel: ChannelId, range: TimeRange) -> bool {
        match rate {
            // Nearly every channel has one.
            Key::CARRY_IN => true,
            // A block of records is smaller than a page, and where there are any it is read behind that, too. Among
            // many tables there may be few.
            Key::EVENTS..Key::DECIMATED if self.sealed => true,
            _ => self.table.knows_entries(rate, channel, range),
        }
    }

    fn found(
        &self,
        index: &PartitionIndex,
        rate: u64,
        channel: ChannelId,
        range: TimeRange,
    ) -> Result<Vec<Entry>, FormatError> {
        let mut entries = Vec::new();
        let mut found = index.entries(rate, channel, range)?;
        while let Some(row) = found.next_row()? {
            // Those of other tables are not unpacked.
            if row.locator()?.table == self.table.info().table {
                entries.push(of_index(index, &self.table, row.entry()?)?);
            }
        }
        Ok(entries)
    }
}

impl From<Arc<Table>> for IndexedTable {
    fn from(table: Arc<Table>) -> IndexedTable {
        IndexedTable::new(table, None, false)
    }
}

/// An entry as a table has it.
fn of_index(index: &PartitionIndex, table: &Table, entry: index::Entry) -> Result<Entry, FormatError> {
    let chunk = match entry.chunk {
        Some(index::ChunkSummary { statistics: None, .. }) => return in_table(index, table, &entry),
        Some(chunk) => Some(of_chunk(index, chunk)?),
        None => None,
    };
    Ok(Entry {
        key: Key::new(entry.rate, entry.channel, entry.first.0),
        last: entry.last,
        chunk,
        locator: place_of(&entry.locator),
    })
}

fn place_of(locator: &index::Locator) -> Locator {
    let index::Locator { offset, len, slot, .. } = *locator;
    Locator { offset, len, slot }
}

/// The entry that an index names, as its table tells of it.
fn in_table(index: &PartitionIndex, table: &Table, entry: &index::Entry) -> Result<Entry, FormatError> {
    let found = table.entry_at(place_of(&entry.locator))?;
    if (found.key, found.last) != (Key::new(entry.rate, entry.channel, entry.first.0), entry.last) {
        let what = "the index names another entry than stands in the table";
        return Err(FormatError::corrupt(index.path(), 0, what));
    }
    Ok(found)
}

/// The statistics of a small chunk, which its index leaves to the table: one of `tables`. Of a table that is live no
/// more nothing is known but the number of samples.
pub(crate) fn small_chunk(
    index: &PartitionIndex,
    tables: &[Arc<Table>],
    entry: &index::Entry,
) -> Result<index::Statistics, FormatError> {
    let count = entry.chunk.as_ref().map_or(0, |chunk| chunk.count);
    let unknown = index::Statistics { count, worst: Severity::Invalid, invalid: 0, numeric: None };
    let Some(table) = tables.iter().find(|table| table.info().table == entry.locator.table) else {
        return Ok(unknown);
    };
    let found = in_table(index, table, entry)?;
    Ok(found.chunk.map_or(unknown, |chunk| statistics_for_index(&chunk.statistics)))
}

fn of_chunk(index: &PartitionIndex, chunk: index::ChunkSummary) -> Result<ChunkSummary, FormatError> {
    let small = |number: u64| {
        let what = "an entry counts more samples than a chunk can have";
        u32::try_from(number).map_err(|_| FormatError::corrupt(index.path(), 0, what))
    };
    let missing = || FormatError::corrupt(index.path(), 0, "an entry has no statistics");
    let index::Statistics { count, worst, invalid, numeric } = chunk.statistics.ok_or_else(missing)?;
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
        count: u64::from(chunk.statistics.count),
        // Who wants them reads the block that all samples stand in.
        statistics: (slot.is_none() || chunk.statistics.count >= INDEXED_SAMPLES_MIN)
            .then(|| statistics_for_index(&chunk.statistics)),
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

fn statistics_for_index(statistics: &Statistics) -> index::Statistics {
    index::Statistics {
        count: u64::from(statistics.count),
        worst: statistics.worst,
        invalid: u64::from(statistics.invalid),
        numeric: statistics.numeric.map(|numbers| index::NumericStatistics {
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
    }
}
