//! Writing the pages of a new file one behind the other.

use crate::format::{PAGE_BYTES, PAGE_NUMBER_BITS, PageKind};
use crate::page::{Page, read_page};
use disk::{Disk, File, FileHeader, FormatError};
use std::path::Path;
use std::sync::Arc;

/// Bytes gathered before they are written.
const WRITE_BYTES: usize = 1 << 20;

/// A file that is being written.
#[derive(Debug)]
pub(crate) struct PageWriter {
    file: Arc<dyn File>,
    salt: u64,
    /// Where `buffer` belongs.
    offset: u64,
    buffer: Vec<u8>,
}

impl PageWriter {
    /// Creates the file with its first page; one that exists is an error.
    pub(crate) fn create(
        disk: &dyn Disk,
        path: &Path,
        header: FileHeader,
        salt: u64,
    ) -> Result<PageWriter, FormatError> {
        let file = disk.create(path)?;
        let mut buffer = header.encode().to_vec();
        buffer.resize(PAGE_BYTES, 0);
        Ok(PageWriter { file, salt, offset: 0, buffer })
    }

    /// The number of the page that will be written next.
    pub(crate) fn next_page(&self) -> u64 {
        (self.offset + self.buffer.len() as u64) / PAGE_BYTES as u64
    }

    /// Writes a page; says its number.
    pub(crate) fn write(
        &mut self,
        page: &mut Page,
        kind: PageKind,
        level: u8,
        count: u16,
    ) -> Result<u64, FormatError> {
        let number = self.next_page();
        let max = 1 << PAGE_NUMBER_BITS;
        if number >= max {
            return Err(FormatError::Limit { what: "pages of an index file", max, found: number + 1 });
        }
        let salt = if kind == PageKind::Footer { 0 } else { self.salt };
        page.seal(salt, kind, level, count, number);
        self.buffer.extend_from_slice(&page.bytes[..]);
        if self.buffer.len() >= WRITE_BYTES {
            self.flush()?;
        }
        Ok(number)
    }

    fn flush(&mut self) -> Result<(), FormatError> {
        self.file.write_at(self.offset, &self.buffer)?;
        self.offset += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Reads a page that was written.
    pub(crate) fn read_back(&mut self, number: u64) -> Result<Page, FormatError> {
        if number.saturating_mul(PAGE_BYTES as u64) >= self.offset {
            self.flush()?;
        }
        let page = read_page(&*self.file, number)?;
        let offset = number.saturating_mul(PAGE_BYTES as u64);
        page.check(self.salt, number).map_err(|what| FormatError::corrupt(self.file.path(), offset, what))?;
        Ok(page)
    }

    /// Damage of what is being written: the caller's rows are wrong.
    pub(crate) fn refused(&self, what: &'static str) -> FormatError {
        FormatError::corrupt(self.file.path(), self.offset + self.buffer.len() as u64, what)
    }

    /// Writes what is left, then syncs.
    pub(crate) fn finish(mut self) -> Result<(), FormatError> {
        self.flush()?;
        Ok(self.file.sync()?)
    }

    /// Leaves a hole up to page `number`.
    #[cfg(test)]
    pub(crate) fn skip_to(&mut self, number: u64) {
        self.flush().unwrap();
        self.offset = number * PAGE_BYTES as u64;
    }
}
