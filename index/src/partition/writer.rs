//! Writing a partition index in the order of its keys.

use super::{PartitionInfo, PartitionSummary};
use crate::entry::{self, Entry};
use crate::footer::{Footer, salt};
use crate::format::PARTITION_FILE;
use crate::hash_table::{ChannelHashes, HASHES_MAX, Hashes, PAGES_AT_ONCE};
use crate::leaf::Key;
use crate::tree::build::{TreeBuilder, each_channel};
use crate::writer::PageWriter;
use disk::{Disk, FormatError};
use std::path::Path;

/// Writes one partition index in memory that does not grow with it beyond some 130 MiB. Entries come in the
/// order of (rate, channel, first time), at equal keys by first rank.
///
/// An index that is dropped before [`PartitionWriter::finish`] is an unfinished file without a footer, which the
/// caller removes. Giving the file its name is the caller's part, too: write it under another, then rename it.
#[derive(Debug)]
pub struct PartitionWriter {
    pub(super) out: PageWriter,
    tree: TreeBuilder,
    info: PartitionInfo,
    newest: Option<Key>,
    span: Option<(i64, i64)>,
    first_leaf: u64,
}

impl PartitionWriter {
    /// Creates the file; one that exists is an error.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn create(disk: &dyn Disk, path: &Path, info: PartitionInfo) -> Result<PartitionWriter, FormatError> {
        PartitionWriter::with_memory(disk, path, info, HASHES_MAX)
    }

    /// As [`PartitionWriter::create`], keeping so many hashes in memory.
    pub(super) fn with_memory(
        disk: &dyn Disk,
        path: &Path,
        info: PartitionInfo,
        hashes_max: usize,
    ) -> Result<PartitionWriter, FormatError> {
        let out = PageWriter::create(disk, path, PARTITION_FILE, salt(info.archive, info.owner()))?;
        let hashes = ChannelHashes(Hashes::new(hashes_max));
        let tree = TreeBuilder::new(hashes);
        let first_leaf = out.next_page();
        Ok(PartitionWriter { out, tree, info, newest: None, span: None, first_leaf })
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// When the disk refuses, the key is less than the one before, the entry ends before it begins or is a chunk
    /// without samples.
    pub fn add(&mut self, entry: &Entry) -> Result<(), FormatError> {
        let mut row = self.tree.next_row();
        entry::encode(entry, &mut row).map_err(|what| self.out.refused(what))?;
        let key = row.key();
        if self.newest.is_some_and(|newest| newest > key) {
            return Err(self.out.refused("entries were added out of the order of their keys"));
        }
        self.newest = Some(key);
        if entry.chunk.is_some() {
            let (first, last) = self.span.unwrap_or((i64::MAX, i64::MIN));
            self.span = Some((first.min(entry.first.0), last.max(entry.last.0)));
        }
        self.tree.add(&mut self.out)
    }

    /// Writes the rest, then syncs.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn finish(mut self) -> Result<PartitionSummary, FormatError> {
        let root = self.tree.finish(&mut self.out)?;
        let end = self.out.next_page();
        let first_leaf = self.first_leaf;
        let hashes = &self.tree.hashes.0;
        let hash = hashes
            .write(&mut self.out, PAGES_AT_ONCE, |out, take| each_channel(out, first_leaf..end, take))?;
        let mut footer = Footer {
            archive: self.info.archive,
            owner: self.info.owner(),
            root,
            rows: self.tree.rows(),
            channels: self.tree.channels(),
            hash,
            span: self.span,
            ..Footer::default()
        };
        let bytes = footer.finish(PARTITION_FILE.magic, self.out)?;
        Ok(PartitionSummary::of(&footer, bytes))
    }

    /// Leaves a hole up to page `number` before the first leaf.
    #[cfg(test)]
    pub(super) fn skip_to(&mut self, number: u64) {
        self.out.skip_to(number);
        self.first_leaf = number;
    }
}
