//! Pages that were read lately, bounded in bytes.

use crate::format::PAGE_BYTES;
use crate::page::Page;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Places of one set.
const WAYS: usize = 8;

/// A cache for the pages of any number of index files. A page has one set of 8 places where it can be, so
/// that finding it costs a short lock that hardly anybody else wants; the pages of a file are spread evenly.
/// In a full set a page that was not used since the last round goes.
#[derive(Debug)]
pub struct PageCache {
    sets: Box<[Mutex<Set>]>,
    /// Places in use of each set: 8 unless the cache is smaller than one set.
    ways: usize,
    next_file: AtomicU64,
}

#[derive(Debug, Default)]
struct Set {
    keys: [(u64, u64); WAYS],
    pages: [Option<Arc<Page>>; WAYS],
    used: [bool; WAYS],
    hand: usize,
    hits: u64,
    misses: u64,
}

/// How often pages were asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PageCounts {
    /// Pages that were there.
    pub hits: u64,
    /// Pages that had to be read.
    pub misses: u64,
}

impl PageCache {
    /// A cache of at most `bytes_max` bytes of pages; below 16 KiB it keeps nothing.
    pub fn new(bytes_max: usize) -> Arc<PageCache> {
        let pages = bytes_max / PAGE_BYTES;
        let sets = (0..(pages / WAYS).max(1)).map(|_| Mutex::default()).collect();
        Arc::new(PageCache { sets, ways: pages.min(WAYS), next_file: AtomicU64::new(1) })
    }

    /// Bytes of the pages held now.
    pub fn bytes(&self) -> usize {
        let pages = |set: &Mutex<Set>| locked(set).pages.iter().flatten().count();
        self.sets.iter().map(pages).sum::<usize>() * PAGE_BYTES
    }

    /// How often pages were asked for so far.
    pub fn counts(&self) -> PageCounts {
        self.sets.iter().fold(PageCounts::default(), |counts, set| {
            let set = locked(set);
            PageCounts { hits: counts.hits + set.hits, misses: counts.misses + set.misses }
        })
    }

    /// A number under which one opened file keeps its pages.
    pub(crate) fn register(&self) -> u64 {
        self.next_file.fetch_add(1, Ordering::Relaxed)
    }

    fn set(&self, file: u64, page: u64) -> MutexGuard<'_, Set> {
        // Neighbours lie in neighbouring sets; each file begins somewhere else.
        let start = file.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        locked(&self.sets[(start.wrapping_add(page) % self.sets.len() as u64) as usize])
    }

    /// A page, if it is there.
    pub(crate) fn get(&self, file: u64, page: u64) -> Option<Arc<Page>> {
        let set = &mut *self.set(file, page);
        for way in 0..WAYS {
            if set.keys[way] == (file, page)
                && let Some(found) = &set.pages[way]
            {
                set.used[way] = true;
                set.hits += 1;
                return Some(found.clone());
            }
        }
        set.misses += 1;
        None
    }

    /// Keeps a page, letting another go.
    pub(crate) fn insert(&self, file: u64, page: u64, content: &Arc<Page>) {
        if self.ways == 0 {
            return;
        }
        let set = &mut *self.set(file, page);
        let there = (0..self.ways).find(|way| set.keys[*way] == (file, page) || set.pages[*way].is_none());
        let way = there.unwrap_or_else(|| {
            while std::mem::take(&mut set.used[set.hand]) {
                set.hand = (set.hand + 1) % self.ways;
            }
            let way = set.hand;
            set.hand = (set.hand + 1) % self.ways;
            way
        });
        set.keys[way] = (file, page);
        set.pages[way] = Some(content.clone());
        set.used[way] = false;
    }

    /// Forgets the pages of a file that is closed.
    pub(crate) fn forget(&self, file: u64) {
        for set in &self.sets {
            let set = &mut *locked(set);
            for way in 0..WAYS {
                if set.keys[way].0 == file {
                    set.pages[way] = None;
                }
            }
        }
    }
}

fn locked(set: &Mutex<Set>) -> MutexGuard<'_, Set> {
    set.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_below_its_bytes_and_keeps_what_is_used() {
        let page = Arc::new(Page::zeros());
        let cache = PageCache::new(20 * PAGE_BYTES);
        let file = cache.register();
        for number in 0..1000 {
            cache.insert(file, number, &page);
            cache.get(file, 0);
            assert!(cache.bytes() <= 20 * PAGE_BYTES);
        }
        assert!(cache.get(file, 0).is_some(), "the page used all the time is there");
        assert!(cache.get(file, 999).is_some(), "the newest page is there");
        assert_eq!(cache.counts().hits, 1002);
        cache.forget(file);
        assert_eq!(cache.bytes(), 0);
    }

    #[test]
    fn a_small_cache_keeps_little_or_nothing() {
        let page = Arc::new(Page::zeros());
        for (bytes, most) in [(0, 0), (PAGE_BYTES - 1, 0), (3 * PAGE_BYTES, 3)] {
            let cache = PageCache::new(bytes);
            (0..50).for_each(|number| cache.insert(1, number, &page));
            assert_eq!(cache.bytes(), most * PAGE_BYTES);
        }
    }
}
