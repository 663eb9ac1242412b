//! A segment of the master index: names to channels to rows of all weeks.

mod merge;
mod row;
mod verify;
mod writer;

use crate::cache::PageCache;
use crate::footer::Footer;
use crate::format::{MASTER_FILE, PAGE_BYTES, PageKind};
use crate::hash_table::{self, name_hash};
use crate::leaf::Key;
use crate::name_page;
use crate::page::Page;
use crate::partition::first_row;
use crate::slab::SharedPage;
use crate::tree::{Cursor, Tree};
use disk::{BytesError, Disk, FormatError};
use sample::{ChannelId, ChannelName, Week};
use std::path::Path;
use std::sync::Arc;

pub use crate::name_page::NamedChannel;
pub use merge::merge;
pub use row::MasterRow;
pub use writer::MasterWriter;

/// Which segment it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MasterInfo {
    /// The archive.
    pub archive: u128,
    /// Number of the segment.
    pub segment: u64,
}

/// What a segment holds, in numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MasterSummary {
    /// Length of the file in bytes.
    pub bytes: u64,
    /// Checksum of the footer, which tells this file from every other.
    pub footer_crc: u32,
    /// Number of names, aliases included.
    pub names: u64,
    /// Number of rows.
    pub rows: u64,
}

impl MasterSummary {
    fn of(footer: &Footer, bytes: u64) -> MasterSummary {
        MasterSummary { bytes, footer_crc: footer.crc, names: footer.names, rows: footer.rows }
    }
}

/// An open segment. Opening reads the first bytes with the last page; the rest is read when asked for, page by
/// page through the cache. All reads are positioned, so it serves any number of threads.
#[derive(Debug)]
pub struct Master {
    tree: Tree,
    footer: Footer,
}

impl Master {
    /// Opens the segment at `path`.
    ///
    /// # Errors
    /// When the disk refuses, the file is no finished segment, is damaged or of a newer format.
    pub fn open(disk: &dyn Disk, path: &Path, cache: &Arc<PageCache>) -> Result<Master, FormatError> {
        let (footer, pages) = Footer::open(disk, path, MASTER_FILE, cache)?;
        Ok(Master { tree: Tree::new(pages, footer.root), footer })
    }

    /// Which segment it is.
    pub fn info(&self) -> MasterInfo {
        MasterInfo { archive: self.footer.archive, segment: self.footer.owner }
    }

    /// What it holds, in numbers.
    pub fn summary(&self) -> MasterSummary {
        MasterSummary::of(&self.footer, (self.tree.pages.pages() + 1) * PAGE_BYTES as u64)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        self.tree.pages.path()
    }

    /// What a name stands for.
    ///
    /// # Errors
    /// When pages cannot be read or are damaged.
    pub fn find(&self, name: &str) -> Result<Option<NamedChannel>, FormatError> {
        hash_table::find(&self.tree.pages, self.footer.name_hash, name_hash(name), |place| {
            let named = self.tree.pages.look(place.page, PageKind::Names, |page| {
                page.expect([0, place.at, place.at + 64]);
                name_page::named_if(page, place.at, name)
            })?;
            named.map_err(|error| self.tree.pages.damaged(place.page, error.what))
        })
    }

    /// Every name at or behind `from` in bytewise order, with what it stands for: those with a prefix begin at
    /// the prefix.
    ///
    /// # Errors
    /// When pages cannot be read or are damaged; so do the items.
    pub fn names_from(
        &self,
        from: &str,
    ) -> Result<impl Iterator<Item = Result<(ChannelName, NamedChannel), FormatError>> + '_, FormatError>
    {
        let (mut number, mut at) = self.lower_bound(from)?;
        let mut page: Option<SharedPage> = None;
        Ok(std::iter::from_fn(move || {
            while number < self.footer.names_pages {
                let present = match &page {
                    Some(page) => page,
                    None => match self.names_page(number) {
                        Ok(read) => page.insert(read),
                        Err(error) => {
                            number = u64::MAX;
                            return Some(Err(error));
                        }
                    },
                };
                if at < present.count() {
                    at += 1;
                    let name = name_page::name_at(present, at - 1);
                    return Some(name.map_err(|error| {
                        number = u64::MAX;
                        self.damaged(present, error)
                    }));
                }
                (number, at, page) = (number + 1, 0, None);
            }
            None
        }))
    }

    /// Page and place of the first name at or behind `from`.
    fn lower_bound(&self, from: &str) -> Result<(u64, usize), FormatError> {
        let (mut low, mut high) = (0, self.footer.names_pages);
        while low < high {
            let middle = low.midpoint(high);
            let page = self.names_page(middle)?;
            let at = name_page::lower_bound(&page, from).map_err(|error| self.damaged(&page, error))?;
            if at == 0 {
                high = middle;
            } else if at == page.count() {
                low = middle + 1;
            } else {
                return Ok((middle, at));
            }
        }
        Ok((low, 0))
    }

    /// Page `number` of the pages of names.
    fn names_page(&self, number: u64) -> Result<SharedPage, FormatError> {
        self.tree.pages.get(self.footer.names_begin.saturating_add(number), PageKind::Names)
    }

    /// Rows of a channel at a rate whose week lies between two, both included, in the order of week, then
    /// generation. Some may name partitions that are no more: the manifest knows.
    ///
    /// # Errors
    /// When pages cannot be read or are damaged; so do the items.
    pub fn rows(
        &self,
        rate: u64,
        channel: ChannelId,
        weeks: (Week, Week),
    ) -> Result<impl Iterator<Item = Result<MasterRow, FormatError>> + '_, FormatError> {
        let key = |week: Week| Key(rate, channel.0, i64::from(week.0));
        let (from, to) = (key(weeks.0), key(weeks.1));
        let cursor = match first_row(&self.tree, self.footer.hash, rate, channel.0)? {
            None => Cursor::empty(&self.tree),
            Some((leaf, _)) if leaf.is_continued() && leaf.key(leaf.rows() - 1).same_channel(from) => {
                Cursor::new(&self.tree, from, to, i64::MIN)?
            }
            Some((leaf, row)) => {
                let begin = (row..leaf.rows()).find(|row| leaf.key(*row) >= from).unwrap_or(leaf.rows());
                let end = (begin..leaf.rows()).find(|row| leaf.key(*row) > to).unwrap_or(leaf.rows());
                Cursor::within(&self.tree, leaf, begin, end)
            }
        };
        Ok(row::rows(cursor))
    }

    /// Every row in the order of rate, channel, week, generation.
    ///
    /// # Errors
    /// When pages cannot be read or are damaged; so do the items.
    pub fn all_rows(&self) -> Result<impl Iterator<Item = Result<MasterRow, FormatError>> + '_, FormatError> {
        Ok(row::rows(Cursor::new(&self.tree, Key(0, 0, i64::MIN), Key::MAX, i64::MIN)?))
    }

    fn damaged(&self, page: &Page, error: BytesError) -> FormatError {
        self.tree.pages.damaged(page.number(), error.what)
    }
}

#[cfg(test)]
mod tests;
