//! A file in the address space, for who hands stretches of it to the kernel without looking at them.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::sync::Arc;

use memmap2::Mmap;

/// Bytes read at once of what is to come into the page cache.
const FETCHED_AT_ONCE: usize = 64 << 10;

/// A file that never changes. Looking at its bytes costs the process its life where the disk fails or somebody cuts the file
/// short, so that who wants them reads them ([`Mapping::read`]); the addresses serve to find a stretch again behind a library
/// that knows only bytes. Nothing of it takes memory.
#[derive(Debug)]
pub struct Mapping {
    map: Mmap,
    file: Arc<File>,
    /// Whether the system says of it what the page cache has: it does so to the file's user.
    tells: bool,
}

impl Mapping {
    /// The whole of `file`; `None` where the system cannot or there is nothing.
    pub(crate) fn of(file: &Arc<File>) -> Option<Mapping> {
        let found = file.metadata().ok()?;
        #[expect(unsafe_code, reason = "files that are mapped never change, and nobody looks at the bytes")]
        let map = unsafe { Mmap::map(&**file) }.ok().filter(|map| !map.is_empty())?;
        let user = rustix::process::geteuid();
        Some(Mapping { map, file: file.clone(), tells: user.is_root() || found.uid() == user.as_raw() })
    }

    /// Where its bytes are in memory.
    pub fn addresses(&self) -> Range<usize> {
        let start = self.map.as_ptr().addr();
        start..start + self.map.len()
    }

    /// Its bytes, for a library that passes them on.
    pub fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// The file.
    pub fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Reads from place `at` on.
    ///
    /// # Errors
    /// The system's; `UnexpectedEof` where the file has become shorter.
    pub fn read(&self, at: usize, into: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(into, at as u64)
    }

    /// Waits until the page cache has a stretch, so that nobody waits for the disk who sends it.
    ///
    /// # Errors
    /// As [`Mapping::read`].
    pub fn fetch(&self, place: Range<usize>) -> io::Result<()> {
        if self.is_cached(&place) {
            return Ok(());
        }
        let mut bytes = vec![0; place.len().min(FETCHED_AT_ONCE)];
        let mut at = place.start;
        while at < place.end {
            let count = bytes.len().min(place.end - at);
            self.read(at, &mut bytes[..count])?;
            at += count;
        }
        Ok(())
    }

    fn is_cached(&self, place: &Range<usize>) -> bool {
        if !self.tells || place.end > self.map.len() || place.is_empty() {
            return false;
        }
        let page = rustix::param::page_size();
        // The map begins with a page.
        let first = place.start / page * page;
        let len = place.end - first;
        let mut pages = vec![0u8; len.div_ceil(page)];
        let start = self.map[first..].as_ptr().cast_mut().cast();
        #[expect(unsafe_code, reason = "mincore looks at the page cache alone, and has room for its answer")]
        let told = unsafe { libc::mincore(start, len, pages.as_mut_ptr()) };
        told == 0 && pages.iter().all(|page| page & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn stretches_are_fetched_and_read() {
        let mut file = tempfile::tempfile().unwrap();
        let content: Vec<u8> = (0..300_000u32).map(|i| (i / 7) as u8).collect();
        file.write_all(&content).unwrap();
        let mapping = Mapping::of(&Arc::new(file)).unwrap();
        assert!(mapping.bytes() == content);
        for place in [0..1, 0..300_000, 4095..4097, 299_999..300_000, 5..5] {
            mapping.fetch(place.clone()).unwrap();
            let mut read = vec![0; place.len()];
            mapping.read(place.start, &mut read).unwrap();
            assert!(read == content[place]);
        }
        assert!(mapping.is_cached(&(0..300_000)), "it was written just now");
        assert!(mapping.fetch(299_999..300_001).is_err(), "behind the end");
        let file = mapping.file.clone();
        file.set_len(100_000).unwrap();
        assert!(mapping.read(50_000, &mut [0; 100_000]).is_err(), "it became shorter");
    }

    #[test]
    fn nothing_is_not_mapped() {
        assert!(Mapping::of(&Arc::new(tempfile::tempfile().unwrap())).is_none());
    }
}
