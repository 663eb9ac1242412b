//! Writing a master segment: rows, then names.

use super::row;
use super::{MasterInfo, MasterRow, MasterSummary, NamedChannel};
use crate::footer::{Footer, salt};
use crate::format::{MASTER_FILE, PageKind};
use crate::hash_table::{ChannelHashes, HASHES_MAX, Hashes, PAGES_AT_ONCE, Place, name_hash};
use crate::leaf::Key;
use crate::name_page::{self, NamesBuilder};
use crate::page::Page;
use crate::tree::build::{TreeBuilder, each_channel};
use crate::writer::PageWriter;
use disk::{BytesError, Disk, FormatError};
use sample::ChannelName;
use std::path::Path;

/// Writes one segment in memory that does not grow with it beyond some 200 MiB: first all rows in the order of
/// (rate, channel, week, generation), then all names in bytewise order.
///
/// A segment that is dropped before [`MasterWriter::finish`] is an unfinished file without a footer, which the
/// caller removes. Giving the file its name is the caller's part, too: write it under another, then rename it.
#[derive(Debug)]
pub struct MasterWriter {
    out: PageWriter,
    tree: TreeBuilder,
    newest_row: Option<(Key, u32)>,
    names: NamesBuilder,
    newest_name: Option<ChannelName>,
    name_hashes: Hashes,
    footer: Footer,
    /// Whether the tree is written: names follow.
    rows_done: bool,
}

impl MasterWriter {
    /// Creates the file; one that exists is an error.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn create(disk: &dyn Disk, path: &Path, info: MasterInfo) -> Result<MasterWriter, FormatError> {
        MasterWriter::with_memory(disk, path, info, HASHES_MAX)
    }

    /// As [`MasterWriter::create`], keeping so many hashes in memory.
    pub(super) fn with_memory(
        disk: &dyn Disk,
        path: &Path,
        info: MasterInfo,
        hashes_max: usize,
    ) -> Result<MasterWriter, FormatError> {
        let MasterInfo { archive, segment } = info;
        Ok(MasterWriter {
            out: PageWriter::create(disk, path, MASTER_FILE, salt(archive, segment))?,
            tree: TreeBuilder::new(ChannelHashes(Hashes::new(hashes_max))),
            newest_row: None,
            names: NamesBuilder::default(),
            newest_name: None,
            name_hashes: Hashes::new(hashes_max),
            footer: Footer { archive, owner: segment, ..Footer::default() },
            rows_done: false,
        })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// When the disk refuses, a row comes out of order or behind a name, or ends before it begins.
    pub fn add_row(&mut self, row: &MasterRow) -> Result<(), FormatError> {
        if self.rows_done || self.newest_row.is_some_and(|newest| newest >= row.key()) {
            return Err(self.out.refused("rows were added out of their order"));
        }
        self.newest_row = Some(row.key());
        row::encode(row, &mut self.tree.next_row()).map_err(|what| self.out.refused(what))?;
        if row.summary.statistics.is_some() {
            let (first, last) = self.footer.span.unwrap_or((i64::MAX, i64::MIN));
            self.footer.span = Some((first.min(row.summary.first.0), last.max(row.summary.last.0)));
        }
        self.tree.add(&mut self.out)
    }

    /// Adds a name.
    ///
    /// # Errors
    /// When the disk refuses or a name comes out of order.
    pub fn add_name(&mut self, name: &ChannelName, named: &NamedChannel) -> Result<(), FormatError> {
        if self.newest_name.as_ref().is_some_and(|newest| newest >= name) {
            return Err(self.out.refused("names were added out of their order"));
        }
        self.finish_rows()?;
        self.newest_name = Some(name.clone());
        self.footer.names += 1;
        while !self.names.push(name, named) {
            self.write_names()?;
        }
        Ok(())
    }

    fn finish_rows(&mut self) -> Result<(), FormatError> {
        if self.rows_done {
            return Ok(());
        }
        self.rows_done = true;
        let begin = 1;
        self.footer.root = self.tree.finish(&mut self.out)?;
        self.footer.rows = self.tree.rows();
        let end = self.out.next_page();
        let hashes = &self.tree.hashes.0;
        self.footer.channels = self.tree.channels();
        self.footer.hash =
            hashes.write(&mut self.out, PAGES_AT_ONCE, |out, take| each_channel(out, begin..end, take))?;
        self.footer.names_begin = self.out.next_page();
        Ok(())
    }

    fn write_names(&mut self) -> Result<(), FormatError> {
        let page = self.out.next_page();
        let hashes: Vec<u64> = self.names.names().iter().map(|(name, _)| name_hash(name.as_str())).collect();
        let (mut content, count) = self.names.take();
        for (row, hash) in hashes.into_iter().enumerate() {
            self.name_hashes.add(hash, Place { page, at: name_page::place_of(&content, row) });
        }
        self.out.write(&mut content, PageKind::Names, 0, count)?;
        self.footer.names_pages += 1;
        Ok(())
    }

    /// Writes the rest, then syncs.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn finish(mut self) -> Result<MasterSummary, FormatError> {
        self.finish_rows()?;
        if !self.names.names().is_empty() {
            self.write_names()?;
        }
        let pages = self.footer.names_begin..self.out.next_page();
        self.footer.name_hash = self.name_hashes.write(&mut self.out, PAGES_AT_ONCE, |out, take| {
            for number in pages.clone() {
                let page = out.read_back(number)?;
                each_name(&page, |name, at| take(name_hash(name), Place { page: number, at }))
                    .map_err(|error| out.refused(error.what))?;
            }
            Ok(())
        })?;
        let bytes = self.footer.finish(MASTER_FILE.magic, self.out)?;
        Ok(MasterSummary::of(&self.footer, bytes))
    }
}

fn each_name(page: &Page, mut take: impl FnMut(&str, usize)) -> Result<(), BytesError> {
    for row in 0..page.count() {
        take(name_page::name_at(page, row)?.0.as_str(), name_page::place_of(page, row));
    }
    Ok(())
}
