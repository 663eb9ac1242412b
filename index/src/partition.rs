//! The index of one partition: channels with times to places in SSTables.

mod entries;
mod verify;
mod writer;

use crate::cache::PageCache;
use crate::entry::{self, ChunkSummary, Entry};
use crate::footer::Footer;
use crate::format::PARTITION_FILE;
use crate::hash_table::{self, HashSection, Position, channel_hash, is_hashed};
use crate::leaf::{Key, Leaf};
use crate::statistics::Statistics;
use crate::summary::{ChannelSummary, Summing};
use crate::tree::{BackVisitor, Cursor, Tree};
use disk::{Disk, FormatError};
use sample::{ChannelId, TimeRange, Timestamp, Week};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

pub use entries::{Entries, EntryRow};
pub use writer::PartitionWriter;

/// Whose index it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PartitionInfo {
    /// The archive.
    pub archive: u128,
    /// The week.
    pub week: Week,
    /// The generation of the week's partition.
    pub generation: u32,
}

impl PartitionInfo {
    fn owner(&self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.week.0 as u32)
    }

    fn of(footer: &Footer) -> PartitionInfo {
        let week = Week(footer.owner as u32 as i32);
        PartitionInfo { archive: footer.archive, week, generation: (footer.owner >> 32) as u32 }
    }
}

/// What an index holds, in numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PartitionSummary {
    /// Length of the file in bytes.
    pub bytes: u64,
    /// Checksum of the footer, which tells this file from every other.
    pub footer_crc: u32,
    /// Number of entries.
    pub entries: u64,
    /// Number of channels, each counted once per rate.
    pub channels: u64,
    /// Least first and greatest last time of the chunks.
    pub span: Option<(Timestamp, Timestamp)>,
}

/// An open partition index. Opening reads the first bytes with the last page; the rest is read when asked for,
/// page by page through the cache. All reads are positioned, so it serves any number of threads.
#[derive(Debug)]
pub struct PartitionIndex {
    tree: Tree,
    footer: Footer,
}

impl PartitionIndex {
    /// Opens the index at `path`.
    ///
    /// # Errors
    /// When the disk refuses, the file is no finished partition index, is damaged or of a newer format.
    pub fn open(disk: &dyn Disk, path: &Path, cache: &Arc<PageCache>) -> Result<PartitionIndex, FormatError> {
        let (footer, pages) = Footer::open(disk, path, PARTITION_FILE, cache)?;
        let tree = Tree::new(pages, footer.root);
        Ok(PartitionIndex { tree, footer })
    }

    /// Whose it is.
    pub fn info(&self) -> PartitionInfo {
        PartitionInfo::of(&self.footer)
    }

    /// What it holds, in numbers.
    pub fn summary(&self) -> PartitionSummary {
        let bytes = (self.tree.pages.pages() + 1) * crate::format::PAGE_BYTES as u64;
        PartitionSummary::of(&self.footer, bytes)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        self.tree.pages.path()
    }

    /// Entries of one channel at one rate whose times touch `range`, in the order of their keys (first time, then
    /// first rank).
    ///
    /// # Errors
    /// When pages cannot be read or are damaged; so do the items.
    pub fn entries(
        &self,
        rate: u64,
        channel: ChannelId,
        range: TimeRange,
    ) -> Result<Entries<'_>, FormatError> {
        match self.first_row(rate, channel)? {
            Some((leaf, row)) => self.entries_of(leaf, row, Key(rate, channel.0, i64::MIN), range),
            None => Ok(Entries::new(Cursor::empty(&self.tree), Key::MAX, i64::MAX)),
        }
    }

    /// As [`PartitionIndex::entries`] where the channel's first entry is known to lie at `position`.
    ///
    /// # Errors
    /// As [`PartitionIndex::entries`]; also when something else lies there.
    pub fn entries_at(
        &self,
        position: Position,
        rate: u64,
        channel: ChannelId,
        range: TimeRange,
    ) -> Result<Entries<'_>, FormatError> {
        let leaf = self.tree.leaf(position.page)?;
        let row = usize::from(position.row);
        let least = Key(rate, channel.0, i64::MIN);
        if row >= leaf.rows() || !leaf.key(row).same_channel(least) {
            let what = "a position names a channel that is not there";
            return Err(self.tree.pages.damaged(position.page, what));
        }
        self.entries_of(leaf, row, least, range)
    }

    fn entries_of<'a>(
        &'a self,
        leaf: Leaf,
        row: usize,
        least: Key,
        range: TimeRange,
    ) -> Result<Entries<'a>, FormatError> {
        let Some(before) = range.to.0.checked_sub(1).filter(|_| !range.is_empty()) else {
            return Ok(Entries::new(Cursor::empty(&self.tree), Key::MAX, i64::MAX));
        };
        let most = Key(least.0, least.1, before);
        let cursor = if goes_on(&leaf, least) {
            Cursor::new(&self.tree, least, most, range.from.0)?
        } else {
            let end = leaf.rows();
            Cursor::within(&self.tree, leaf, row, end)
        };
        Ok(Entries::new(cursor, most, range.from.0))
    }

    /// All entries from a key on in the order of keys: rate, channel, first time.
    ///
    /// # Errors
    /// When pages cannot be read or are damaged; so do the items.
    pub fn entries_from(
        &self,
        rate: u64,
        channel: ChannelId,
        first: Timestamp,
    ) -> Result<Entries<'_>, FormatError> {
        let from = Key(rate, channel.0, first.0);
        // Where the channel begins, its hash is nearer than the root.
        let begins = first == Timestamp::MIN && is_hashed(rate);
        let cursor = match if begins { self.first_row(rate, channel)? } else { None } {
            Some((leaf, row)) => Cursor::beginning(&self.tree, leaf, row),
            None => Cursor::new(&self.tree, from, Key::MAX, i64::MIN)?,
        };
        Ok(Entries::new(cursor, Key::MAX, i64::MIN))
    }

    /// Of the entries of a channel at a rate that end before `before`, the one that ends last (by last time,
    /// then last rank). The last sample before `before` lies in it or in one that begins before `before` and
    /// ends at or behind it: those, [`PartitionIndex::entries`] gives for any range that begins at `before`.
    ///
    /// # Errors
    /// When pages cannot be read or are damaged.
    pub fn edge(
        &self,
        rate: u64,
        channel: ChannelId,
        before: Timestamp,
    ) -> Result<Option<Entry>, FormatError> {
        let Some((leaf, row)) = self.first_row(rate, channel)? else { return Ok(None) };
        let least = Key(rate, channel.0, i64::MIN);
        let Some(most) = before.0.checked_sub(1).map(|third| Key(least.0, least.1, third)) else {
            return Ok(None);
        };
        let mut edge = Edge { index: self, before: before.0, best: None };
        if goes_on(&leaf, least) {
            self.tree.visit_back(least, most, &mut edge)?;
        } else {
            let end = (row..leaf.rows()).find(|row| leaf.key(*row) > most).unwrap_or(leaf.rows());
            edge.rows(&leaf, row..end)?;
        }
        Ok(edge.best)
    }

    /// Where the first entry of a channel at a rate lies.
    ///
    /// # Errors
    /// When pages cannot be read or are damaged.
    pub fn position(&self, rate: u64, channel: ChannelId) -> Result<Option<Position>, FormatError> {
        let found = self.first_row(rate, channel)?;
        Ok(found.map(|(leaf, row)| Position { page: leaf.number(), row: row as u16 }))
    }

    /// Every channel at every rate in the order of (rate, channel): what a master segment keeps. `missing` gives the
    /// statistics of a chunk where the entry has none.
    ///
    /// # Errors
    /// When pages cannot be read or are damaged, or those of `missing`; so do the items.
    pub fn channels<'a>(
        &'a self,
        mut missing: impl FnMut(&Entry) -> Result<Statistics, FormatError> + 'a,
    ) -> Result<impl Iterator<Item = Result<ChannelSummary, FormatError>> + 'a, FormatError> {
        let mut entries = self.entries_from(0, ChannelId(0), Timestamp::MIN)?;
        let mut open: Option<Summing> = None;
        Ok(std::iter::from_fn(move || {
            loop {
                let next = entries
                    .next_row()
                    .and_then(|row| row.map(|row| Ok((row.position(), row.entry()?))).transpose());
                let (position, mut entry) = match next {
                    Ok(Some(next)) => next,
                    Ok(None) => return open.take().map(|open| Ok(open.finish())),
                    Err(error) => return Some(Err(error)),
                };
                if entry.chunk.as_ref().is_some_and(|chunk| chunk.statistics.is_none()) {
                    let found = match missing(&entry) {
                        Ok(found) => found,
                        Err(error) => return Some(Err(error)),
                    };
                    entry.chunk = entry.chunk.map(|chunk| ChunkSummary { statistics: Some(found), ..chunk });
                }
                match &mut open {
                    Some(sum) if sum.takes(&entry) => sum.add(&entry),
                    _ => {
                        if let Some(done) = open.replace(Summing::new(&entry, position)) {
                            return Some(Ok(done.finish()));
                        }
                    }
                }
            }
        }))
    }

    /// The first row of a channel at a rate.
    #[inline]
    fn first_row(&self, rate: u64, channel: ChannelId) -> Result<Option<(Leaf, usize)>, FormatError> {
        first_row(&self.tree, self.footer.hash, rate, channel.0)
    }
}

/// The first row of a channel at a rate: by its hash, that of records by the tree.
#[inline]
pub(crate) fn first_row(
    tree: &Tree,
    hash: HashSection,
    rate: u64,
    channel: u64,
) -> Result<Option<(Leaf, usize)>, FormatError> {
    if !is_hashed(rate) {
        let (from, to) = (Key(rate, channel, i64::MIN), Key(rate, channel, i64::MAX));
        return Cursor::new(tree, from, to, i64::MIN)?.into_row();
    }
    hash_table::find(&tree.pages, hash, channel_hash(rate, channel), |place| {
        let found = tree.row_at(place)?;
        Ok(found.filter(|(leaf, row)| (leaf.field(*row, 0), leaf.field(*row, 1)) == (rate, channel)))
    })
}

/// Whether the channel of `least` has rows behind this leaf.
fn goes_on(leaf: &Leaf, least: Key) -> bool {
    leaf.is_continued() && leaf.key(leaf.rows() - 1).same_channel(least)
}

impl PartitionSummary {
    fn of(footer: &Footer, bytes: u64) -> PartitionSummary {
        PartitionSummary {
            bytes,
            footer_crc: footer.crc,
            entries: footer.rows,
            channels: footer.channels,
            span: footer.span.map(|(first, last)| (Timestamp(first), Timestamp(last))),
        }
    }
}

/// Finds the entry that ends last before a time.
struct Edge<'a> {
    index: &'a PartitionIndex,
    before: i64,
    best: Option<Entry>,
}

impl BackVisitor for Edge<'_> {
    fn skips(&self, last: i64) -> bool {
        self.best.as_ref().is_some_and(|best| last < best.last.0)
    }

    fn rows(&mut self, leaf: &Leaf, rows: Range<usize>) -> Result<(), FormatError> {
        let damaged = |error: disk::BytesError| self.index.tree.pages.damaged(leaf.number(), error.what);
        let rank = |entry: &Entry| entry.chunk.as_ref().map_or(0, |chunk| chunk.last_rank);
        let mut newest = self.best.as_ref().map(|best| (best.last.0, rank(best)));
        let mut best = None;
        for row in rows.rev() {
            let last = entry::last_time(leaf, row, leaf.key(row).2);
            if last >= self.before || newest.is_some_and(|(newest, _)| last < newest) {
                continue;
            }
            let found = Some((last, entry::last_rank(leaf, row).map_err(damaged)?));
            if newest < found {
                (newest, best) = (found, Some(row));
            }
        }
        if let Some(row) = best {
            self.best = Some(entry::read_entry(leaf, row).map_err(damaged)?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
