//! Reading a whole partition index.

use super::PartitionIndex;
use crate::entry::last_time;
use crate::verify::verify_tree;
use disk::FormatError;
use sample::{ChannelId, Timestamp};

impl PartitionIndex {
    /// Reads every page and decodes every entry; compares what stands in several places.
    ///
    /// # Errors
    /// The first thing that is wrong, with file and offset, or the disk's.
    pub fn verify(&self) -> Result<(), FormatError> {
        verify_tree(&self.tree, &self.footer, |leaf, row| last_time(leaf, row, leaf.key(row).2))?;
        let mut span: Option<(Timestamp, Timestamp)> = None;
        for entry in self.entries_from(0, ChannelId(0), Timestamp::MIN)? {
            let entry = entry?;
            if entry.chunk.is_some() {
                let (first, last) = span.unwrap_or((entry.first, entry.last));
                span = Some((first.min(entry.first), last.max(entry.last)));
            }
        }
        if span != self.summary().span {
            let footer = self.tree.pages.pages();
            return Err(self.tree.pages.damaged(footer, "the footer has another span than the chunks"));
        }
        Ok(())
    }
}
