//! One channel's rows in one decimated table.

use super::records;
use crate::indexed_table::IndexedTable;
use crate::manifest::TableEntry;
use crate::read::{ReadError, RowRecord, Rows};
use crate::table_run::read_error;
use decimator::node::Node;
use decimator::tree::WIDTHS_NS;
use sample::{ChannelId, TimeRange, Timestamp};
use sstable::Entry;
use std::sync::{Mutex, PoisonError};

/// The rows of a channel in a table that the manifest names.
#[derive(Debug)]
pub(crate) struct TableRows {
    table: IndexedTable,
    channel: ChannelId,
    sources: Vec<u64>,
    span: (Timestamp, Timestamp),
    /// Records that [`Rows::records`] named; a record's token is its place here.
    named: Mutex<Vec<Entry>>,
}

impl TableRows {
    /// Of the decimated table that `entry` names; `span` is that of its sources.
    pub(crate) fn new(
        table: IndexedTable,
        entry: &TableEntry,
        channel: ChannelId,
        span: (Timestamp, Timestamp),
    ) -> TableRows {
        TableRows { table, channel, sources: entry.sources.clone(), span, named: Mutex::default() }
    }
}

impl Rows for TableRows {
    fn sources(&self) -> &[u64] {
        &self.sources
    }

    fn span(&self) -> (Timestamp, Timestamp) {
        self.span
    }

    fn origin(&self) -> String {
        self.table.place()
    }

    fn records(&self, level: usize, range: TimeRange) -> Result<Vec<RowRecord>, ReadError> {
        let rate = WIDTHS_NS[level].cast_unsigned();
        let entries = self.table.entries(rate, self.channel, range);
        let entries = entries.map_err(|error| read_error(error, Some(self.span)))?;
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        let record = |entry: Entry| {
            let (first, last, bytes) = (Timestamp(entry.key.bin), entry.last, entry.locator.len);
            named.push(entry);
            RowRecord { first, last, token: named.len() as u64 - 1, bytes }
        };
        Ok(entries.into_iter().map(record).collect())
    }

    fn load(&self, level: usize, record: &RowRecord) -> Result<Vec<Node>, ReadError> {
        let entry = {
            let named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
            usize::try_from(record.token).ok().and_then(|token| named.get(token).cloned())
        };
        let Some(entry) = entry else {
            return Err(ReadError::Unavailable("a record of other rows was asked for".into()));
        };
        let rows = records::read(self.table.table(), &entry, level);
        rows.map_err(|error| read_error(error, Some((record.first, record.last))))
    }
}
