//! Walking entries in the order of their keys.

use crate::entry::{self, ChunkSummary, Entry, Locator};
use crate::hash_table::Position;
use crate::leaf::{Key, Leaf};
use crate::page::PageFile;
use crate::tree::Cursor;
use disk::{BytesError, FormatError};
use sample::{ChannelId, Timestamp};

/// Entries up to a key that end at or behind a time. After an error nothing more comes.
///
/// As an iterator it gives each entry whole. [`Entries::next_row`] gives it where it stands, for those who look at
/// times and places only.
#[derive(Debug)]
pub struct Entries<'a> {
    cursor: Cursor<'a>,
    to: Key,
    least_last: i64,
    over: bool,
}

/// An entry where it stands in its page: what is asked for is unpacked then.
#[derive(Clone, Copy, Debug)]
pub struct EntryRow<'e> {
    leaf: &'e Leaf,
    pages: &'e PageFile,
    row: usize,
    key: Key,
    last: i64,
}

impl<'a> Entries<'a> {
    pub(super) fn new(cursor: Cursor<'a>, to: Key, least_last: i64) -> Entries<'a> {
        Entries { cursor, to, least_last, over: false }
    }

    /// The next entry, not unpacked yet.
    ///
    /// # Errors
    /// When pages cannot be read or are damaged.
    #[inline]
    pub fn next_row(&mut self) -> Result<Option<EntryRow<'_>>, FormatError> {
        // Whatever ends this early ends it for good.
        let over = std::mem::replace(&mut self.over, true);
        if over {
            return Ok(None);
        }
        while self.cursor.step()? {
            let Some((leaf, row)) = self.cursor.row() else { break };
            let key = leaf.key(row);
            if key > self.to {
                break;
            }
            let last = entry::last_time(leaf, row, key.2);
            if last < key.2 {
                return Err(self.cursor.pages().damaged(leaf.number(), "an entry ends before it begins"));
            }
            if last >= self.least_last {
                self.over = false;
                let pages = self.cursor.pages();
                let found = self.cursor.row();
                return Ok(found.map(|(leaf, row)| EntryRow { leaf, pages, row, key, last }));
            }
        }
        Ok(None)
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, FormatError>;

    fn next(&mut self) -> Option<Result<Entry, FormatError>> {
        let entry = self.next_row().and_then(|row| row.map(|row| row.entry()).transpose());
        self.over |= entry.is_err();
        entry.transpose()
    }
}

impl EntryRow<'_> {
    /// 0 for samples, 1 .. 4 for records, from 1000 on a decimation width in ns.
    pub fn rate(&self) -> u64 {
        self.key.0
    }

    /// The channel.
    pub fn channel(&self) -> ChannelId {
        ChannelId(self.key.1)
    }

    /// Time of the first sample or item; begin of the bin.
    pub fn first(&self) -> Timestamp {
        Timestamp(self.key.2)
    }

    /// Time of the last sample or item.
    pub fn last(&self) -> Timestamp {
        Timestamp(self.last)
    }

    /// Where it lies.
    ///
    /// # Errors
    /// When the page is damaged.
    #[inline]
    pub fn locator(&self) -> Result<Locator, FormatError> {
        entry::read_locator(self.leaf, self.row).map_err(|error| self.damaged(error))
    }

    /// About the chunk; `None` for records.
    ///
    /// # Errors
    /// When the page is damaged.
    pub fn chunk(&self) -> Result<Option<ChunkSummary>, FormatError> {
        let chunk = entry::read_chunk(self.leaf, self.row, self.first(), self.last());
        chunk.map_err(|error| self.damaged(error))
    }

    /// All of it.
    ///
    /// # Errors
    /// When the page is damaged.
    pub fn entry(&self) -> Result<Entry, FormatError> {
        Ok(Entry {
            rate: self.rate(),
            channel: self.channel(),
            first: self.first(),
            last: self.last(),
            locator: self.locator()?,
            chunk: self.chunk()?,
        })
    }

    /// The place where it stands.
    pub(super) fn position(&self) -> Position {
        Position { page: self.leaf.number(), row: self.row as u16 }
    }

    #[cold]
    fn damaged(&self, error: BytesError) -> FormatError {
        self.pages.damaged(self.leaf.number(), error.what)
    }
}
