//! Checked pages of an immutable file.

use crate::cache::{PageCache, PageTable};
use crate::format::{PAGE_BYTES, PageKind};
use crate::slab::SharedPage;
use crate::{leaf, name_page, node};
use disk::{Checksum, File, FormatError};
use std::path::Path;
use std::sync::Arc;
use zerocopy::{FromBytes, Immutable, KnownLayout};

/// One page.
#[derive(FromBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub(crate) struct Page {
    pub(crate) bytes: [u8; PAGE_BYTES],
}

impl std::fmt::Debug for Page {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Page {}", self.number())
    }
}

impl Page {
    pub(crate) fn zeros() -> Page {
        Page { bytes: [0; PAGE_BYTES] }
    }

    /// Asks the memory for what lies at these bytes: they come at once, not each when somebody waits for it.
    #[inline]
    pub(crate) fn expect<const N: usize>(&self, places: [usize; N]) {
        for at in places {
            std::hint::black_box(self.bytes.get(at).copied());
        }
    }

    /// The u16 at `at`, which lies in the page.
    pub(crate) fn u16(&self, at: usize) -> u16 {
        self.bytes[at..].first_chunk().map_or(0, |bytes| u16::from_le_bytes(*bytes))
    }

    /// The u32 at `at`, which lies in the page.
    pub(crate) fn u32(&self, at: usize) -> u32 {
        self.bytes[at..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
    }

    /// The u64 at `at`, which lies in the page.
    pub(crate) fn u64(&self, at: usize) -> u64 {
        self.bytes[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    pub(crate) fn put(&mut self, at: usize, bytes: &[u8]) {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Rows, slots in use or names of the page.
    pub(crate) fn count(&self) -> usize {
        usize::from(self.u16(6))
    }

    /// Levels between the page and the leaves.
    pub(crate) fn level(&self) -> u8 {
        self.bytes[5]
    }

    /// Its number in the file.
    pub(crate) fn number(&self) -> u64 {
        self.u64(8)
    }

    /// Writes the page header.
    pub(crate) fn seal(&mut self, salt: u64, kind: PageKind, level: u8, count: u16, number: u64) {
        self.bytes[4] = kind as u8;
        self.bytes[5] = level;
        self.put(6, &count.to_le_bytes());
        self.put(8, &number.to_le_bytes());
        let crc = self.crc(salt);
        self.put(0, &crc.to_le_bytes());
    }

    /// Makes the checksum right again.
    #[cfg(test)]
    pub(crate) fn reseal(&mut self, salt: u64) {
        let crc = self.crc(salt);
        self.put(0, &crc.to_le_bytes());
    }

    /// The checksum of all behind itself.
    fn crc(&self, salt: u64) -> u32 {
        let mut checksum = Checksum::salted(salt);
        checksum.update(&self.bytes[4..]);
        checksum.finish()
    }

    /// Checksum, number and kind, then what its kind asks for.
    pub(crate) fn check(&self, salt: u64, number: u64) -> Result<(), &'static str> {
        if self.crc(salt) != self.u32(0) {
            return Err("a page fails its checksum");
        }
        if self.number() != number {
            return Err("a page is not where it belongs");
        }
        match self.bytes[4] {
            kind if kind == PageKind::Leaf as u8 => leaf::check(self),
            kind if kind == PageKind::Node as u8 => node::check(self),
            kind if kind == PageKind::Names as u8 => name_page::check(self),
            kind if kind == PageKind::Hash as u8 || kind == PageKind::Footer as u8 => Ok(()),
            _ => Err("a page of an unknown kind"),
        }
    }

    pub(crate) fn is(&self, kind: PageKind) -> bool {
        self.bytes[4] == kind as u8
    }
}

const NOT_OF_KIND: &str = "a page is not of the kind expected";

/// Reads a page without checking it.
pub(crate) fn read_page(file: &dyn File, number: u64) -> Result<Page, FormatError> {
    let offset = number.saturating_mul(PAGE_BYTES as u64);
    let mut page = Page::zeros();
    let found = file.read_at(offset, &mut page.bytes[..])?;
    if found != PAGE_BYTES {
        return Err(FormatError::corrupt(
            file.path(),
            offset,
            "a page of 16384 bytes was expected here, the file is shorter",
        ));
    }
    Ok(page)
}

/// The pages of one open file, through the cache.
#[derive(Debug)]
pub(crate) struct PageFile {
    file: Arc<dyn File>,
    cache: Arc<PageCache>,
    table: Arc<PageTable>,
    salt: u64,
    /// Pages of the file, the footer not counted.
    pages: u64,
}

impl PageFile {
    pub(crate) fn new(file: Arc<dyn File>, cache: &Arc<PageCache>, salt: u64, pages: u64) -> PageFile {
        PageFile { file, cache: cache.clone(), table: PageTable::new(pages), salt, pages }
    }

    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    pub(crate) fn pages(&self) -> u64 {
        self.pages
    }

    /// Damage of a page.
    #[cold]
    pub(crate) fn damaged(&self, number: u64, what: &'static str) -> FormatError {
        FormatError::corrupt(self.path(), number.saturating_mul(PAGE_BYTES as u64), what)
    }

    /// A page of this kind.
    #[inline]
    pub(crate) fn get(&self, number: u64, kind: PageKind) -> Result<SharedPage, FormatError> {
        self.get_expecting(number, kind, |_| ())
    }

    /// What `look` says of a page of this kind; as quick as it should be.
    #[inline]
    pub(crate) fn look<T>(
        &self,
        number: u64,
        kind: PageKind,
        look: impl Fn(&Page) -> T,
    ) -> Result<T, FormatError> {
        let look = |page: &Page| page.is(kind).then(|| look(page));
        let said = match self.table.look(number, look) {
            Some(said) => said,
            None => look(&*self.fetch(number)?),
        };
        said.ok_or_else(|| self.damaged(number, NOT_OF_KIND))
    }

    /// As [`PageFile::get`], showing the page to `expect` before anything waits for its header.
    #[inline]
    pub(crate) fn get_expecting(
        &self,
        number: u64,
        kind: PageKind,
        expect: impl FnOnce(&Page),
    ) -> Result<SharedPage, FormatError> {
        let page = match self.table.get(number, expect) {
            Some(page) => page,
            None => self.fetch(number)?,
        };
        if page.is(kind) { Ok(page) } else { Err(self.damaged(number, NOT_OF_KIND)) }
    }

    #[cold]
    fn fetch(&self, number: u64) -> Result<SharedPage, FormatError> {
        let page = self.read(number)?;
        Ok(self.cache.keep(&self.table, number, page))
    }

    /// A page of any kind, past the cache.
    pub(crate) fn read(&self, number: u64) -> Result<Page, FormatError> {
        if number == 0 || number >= self.pages {
            return Err(self.damaged(self.pages, "a page is named that is not in the file"));
        }
        let page = read_page(&*self.file, number)?;
        page.check(self.salt, number).map_err(|what| self.damaged(number, what))?;
        Ok(page)
    }

    /// The first page of the file, unchecked.
    pub(crate) fn read_first(&self) -> Result<Page, FormatError> {
        read_page(&*self.file, 0)
    }
}

impl Drop for PageFile {
    fn drop(&mut self) {
        self.cache.forget(&self.table);
    }
}
