//! The last page of an index file: whose it is, where everything lies.

use crate::cache::PageCache;
use crate::format::*;
use crate::hash_table::HashSection;
use crate::page::{Page, PageFile, read_page};
use crate::tree::TreeRoot;
use crate::writer::PageWriter;
use disk::{Disk, FILE_HEADER_BYTES, FileHeader, FormatError, checksum};
use std::path::Path;
use std::sync::Arc;

/// What the footer says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Footer {
    /// The archive.
    pub(crate) archive: u128,
    /// What of the archive: week with generation, or number of the segment.
    pub(crate) owner: u64,
    /// The tree.
    pub(crate) root: TreeRoot,
    /// Rows of the tree.
    pub(crate) rows: u64,
    /// Channels of the tree, each once per rate.
    pub(crate) channels: u64,
    /// From channels to rows.
    pub(crate) hash: HashSection,
    /// Least first time and greatest last time of the samples.
    pub(crate) span: Option<(i64, i64)>,
    /// Number of names.
    pub(crate) names: u64,
    /// Their pages.
    pub(crate) names_begin: u64,
    /// Number of these.
    pub(crate) names_pages: u64,
    /// From names to their place.
    pub(crate) name_hash: HashSection,
    /// Checksum of the footer's page, as written or read: it tells this file from every other.
    pub(crate) crc: u32,
}

/// What pages of one file have in their checksum, so that those of another do not pass.
pub(crate) fn salt(archive: u128, owner: u64) -> u64 {
    let mut bytes = [0; 24];
    bytes[..16].copy_from_slice(&archive.to_le_bytes());
    bytes[16..].copy_from_slice(&owner.to_le_bytes());
    u64::from(checksum(&bytes)) << 1 | 1
}

impl Footer {
    /// Writes the footer, then syncs; says the length of the file in bytes.
    pub(crate) fn finish(&mut self, magic: [u8; 8], mut out: PageWriter) -> Result<u64, FormatError> {
        let mut page = Page::zeros();
        let (first, last) = self.span.unwrap_or((i64::MAX, i64::MIN));
        page.put(16, &magic);
        page.put(24, &self.archive.to_le_bytes());
        page.put(40, &self.owner.to_le_bytes());
        page.put(48, &self.root.page.to_le_bytes());
        page.put(56, &[self.root.levels]);
        let numbers = [
            self.rows,
            self.channels,
            self.hash.begin,
            self.hash.pages,
            first as u64,
            last as u64,
            self.names,
            self.names_begin,
            self.names_pages,
            self.name_hash.begin,
            self.name_hash.pages,
        ];
        numbers.iter().enumerate().for_each(|(i, number)| page.put(64 + 8 * i, &number.to_le_bytes()));
        let number = out.write(&mut page, PageKind::Footer, 0, 0)?;
        out.finish()?;
        self.crc = page.u32(0);
        Ok((number + 1) * PAGE_BYTES as u64)
    }

    /// Opens a file of this kind: reads its first bytes with its last page.
    pub(crate) fn open(
        disk: &dyn Disk,
        path: &Path,
        header: FileHeader,
        cache: &Arc<PageCache>,
    ) -> Result<(Footer, PageFile), FormatError> {
        let file = disk.open(path)?;
        let mut first = [0; FILE_HEADER_BYTES];
        let found = file.read_at(0, &mut first)?;
        header.decode(&first[..found], path)?;
        let len = file.len()?;
        let whole = len.is_multiple_of(PAGE_BYTES as u64) && len >= 2 * PAGE_BYTES as u64;
        if !whole {
            let what = "an index file is whole pages of 16384 bytes, at least two; this one was cut";
            return Err(FormatError::corrupt(path, len, what));
        }
        let number = len / PAGE_BYTES as u64 - 1;
        let page = read_page(&*file, number)?;
        let offset = len - PAGE_BYTES as u64;
        page.check(0, number).map_err(|what| FormatError::corrupt(path, offset, what))?;
        let footer = Footer::decode(&page, header.magic, number);
        let footer = footer.map_err(|what| FormatError::corrupt(path, offset, what))?;
        let salt = salt(footer.archive, footer.owner);
        Ok((footer, PageFile::new(file, cache, salt, number)))
    }

    /// Reads the footer of a file with so many pages before it.
    fn decode(page: &Page, magic: [u8; 8], pages: u64) -> Result<Footer, &'static str> {
        if !page.is(PageKind::Footer) || page.bytes[16..24] != magic {
            return Err("the last page is no footer of such a file");
        }
        let mut archive = [0; 16];
        archive.copy_from_slice(&page.bytes[24..40]);
        let (first, last) = (page.u64(96) as i64, page.u64(104) as i64);
        let footer = Footer {
            archive: u128::from_le_bytes(archive),
            owner: page.u64(40),
            root: TreeRoot { page: page.u64(48), levels: page.bytes[56] },
            rows: page.u64(64),
            channels: page.u64(72),
            hash: HashSection { begin: page.u64(80), pages: page.u64(88) },
            span: (first <= last).then_some((first, last)),
            names: page.u64(112),
            names_begin: page.u64(120),
            names_pages: page.u64(128),
            name_hash: HashSection { begin: page.u64(136), pages: page.u64(144) },
            crc: page.u32(0),
        };
        let inside = |begin: u64, count: u64| begin.checked_add(count).is_some_and(|end| end <= pages);
        let fits = footer.root.page < pages
            && inside(footer.hash.begin, footer.hash.pages)
            && inside(footer.names_begin, footer.names_pages)
            && inside(footer.name_hash.begin, footer.name_hash.pages);
        if fits { Ok(footer) } else { Err("the footer names pages that are not in the file") }
    }
}
