//! Pages that were read lately, bounded in bytes.

use crate::format::PAGE_BYTES;
use crate::page::Page;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Slots that are made at once, when the first of them gets a page.
const CHUNK_SLOTS: usize = 1024;
/// Slots of one file; in a file of more than 64 GiB pages share them.
const SLOTS_MAX: u64 = 4 << 20;
/// Pages that are looked at for one that was not used; then the next one goes.
const SWEEP_MAX: usize = 4096;

/// A cache for the pages of any number of index files. Each open file has a table with a slot for each page, locked
/// for as long as it takes to share the page. When there are as many pages as may be, one that was not used since
/// the last round goes.
///
/// `bytes_max` bounds the pages kept; beside them a file has up to 17 bytes a page, and who looks at a page has it until
/// then, kept or not.
#[derive(Debug)]
pub struct PageCache {
    pages_max: usize,
    clock: Mutex<Clock>,
    reads: AtomicU64,
}

/// All slots that hold a page, in the order in which they are looked at for one to let go.
#[derive(Debug, Default)]
struct Clock {
    held: Vec<(Arc<PageTable>, u64)>,
    hand: usize,
}

/// The pages of one open file.
#[derive(Debug)]
pub(crate) struct PageTable {
    chunks: Box<[OnceLock<Chunk>]>,
}

#[derive(Debug)]
struct Chunk {
    slots: Box<[Slot]>,
    /// Whether the page was asked for since it was looked at last.
    used: Box<[AtomicBool]>,
}

/// A place for a page; 16 bytes.
type Slot = Mutex<Option<Arc<Page>>>;

impl PageCache {
    /// A cache of at most `bytes_max` bytes of pages; below 16 KiB it keeps nothing.
    pub fn new(bytes_max: usize) -> Arc<PageCache> {
        let pages_max = bytes_max / PAGE_BYTES;
        Arc::new(PageCache { pages_max, clock: Mutex::default(), reads: AtomicU64::new(0) })
    }

    /// Bytes of the pages kept now.
    pub fn bytes(&self) -> usize {
        locked(&self.clock).held.len() * PAGE_BYTES
    }

    /// How many pages were read so far because they were not there.
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// Keeps a page that was read, letting another go.
    pub(crate) fn keep(&self, table: &Arc<PageTable>, number: u64, page: Page) -> Arc<Page> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let page = Arc::new(page);
        if self.pages_max == 0 {
            return page;
        }
        let (chunk, at) = table.chunk(number);
        let mut clock = locked(&self.clock);
        let before = locked(&chunk.slots[at]).replace(page.clone());
        chunk.used[at].store(false, Ordering::Relaxed);
        let gone = match before {
            Some(before) => Some(before),
            None => clock.admit(self.pages_max, table, number),
        };
        drop(clock);
        drop(gone);
        page
    }

    /// Forgets the pages of a file that is closed.
    pub(crate) fn forget(&self, table: &Arc<PageTable>) {
        let mut clock = locked(&self.clock);
        clock.held.retain(|(held, _)| !Arc::ptr_eq(held, table));
        clock.hand = 0;
    }
}

impl Clock {
    /// Counts a slot that has got a page; gives the page that goes for it.
    fn admit(&mut self, pages_max: usize, table: &Arc<PageTable>, number: u64) -> Option<Arc<Page>> {
        let entry = (table.clone(), number);
        if self.held.len() < pages_max {
            self.held.push(entry);
            return None;
        }
        let mut looked_at = 0;
        loop {
            let hand = self.hand;
            self.hand = (hand + 1) % self.held.len();
            let (of, victim) = &self.held[hand];
            if !of.was_used(*victim) || looked_at == SWEEP_MAX {
                let gone = of.take(*victim);
                self.held[hand] = entry;
                return gone;
            }
            looked_at += 1;
        }
    }
}

impl PageTable {
    /// For a file with so many pages.
    pub(crate) fn new(pages: u64) -> Arc<PageTable> {
        let chunks = pages.min(SLOTS_MAX).div_ceil(CHUNK_SLOTS as u64);
        Arc::new(PageTable { chunks: (0..chunks).map(|_| OnceLock::new()).collect() })
    }

    /// A page, if it is there, shown to `expect` before anything waits for its memory: counting who shares it does.
    #[inline]
    pub(crate) fn get(&self, number: u64, expect: impl FnOnce(&Page)) -> Option<Arc<Page>> {
        let at = (number % SLOTS_MAX) as usize;
        let chunk = self.chunks.get(at / CHUNK_SLOTS)?.get()?;
        let at = at % CHUNK_SLOTS;
        let slot = locked(&chunk.slots[at]);
        let page = slot.as_ref()?;
        expect(page);
        let page = page.clone();
        drop(slot);
        if page.number() != number {
            // Another page of the slot; what asks for a page behind the end of the file is damaged.
            return None;
        }
        if !chunk.used[at].load(Ordering::Relaxed) {
            chunk.used[at].store(true, Ordering::Relaxed);
        }
        Some(page)
    }

    /// The chunk of a page of the file, with its place there.
    fn chunk(&self, number: u64) -> (&Chunk, usize) {
        let at = (number % SLOTS_MAX) as usize;
        let chunk = self.chunks[at / CHUNK_SLOTS].get_or_init(|| Chunk {
            slots: (0..CHUNK_SLOTS).map(|_| Slot::default()).collect(),
            used: (0..CHUNK_SLOTS).map(|_| AtomicBool::new(false)).collect(),
        });
        (chunk, at % CHUNK_SLOTS)
    }

    /// Whether a page was asked for since the last time.
    fn was_used(&self, number: u64) -> bool {
        let (chunk, at) = self.chunk(number);
        chunk.used[at].swap(false, Ordering::Relaxed)
    }

    /// Takes a page out.
    fn take(&self, number: u64) -> Option<Arc<Page>> {
        let (chunk, at) = self.chunk(number);
        locked(&chunk.slots[at]).take()
    }
}

fn locked<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(number: u64) -> Page {
        let mut page = Page::zeros();
        page.put(8, &number.to_le_bytes());
        page
    }

    #[test]
    fn it_stays_below_its_bytes_and_keeps_what_is_used() {
        let cache = PageCache::new(20 * PAGE_BYTES);
        let table = PageTable::new(1000);
        for number in 0..1000 {
            cache.keep(&table, number, page(number));
            table.get(0, |_| ());
            assert!(cache.bytes() <= 20 * PAGE_BYTES);
        }
        let there = (0..1000).filter(|number| table.get(*number, |_| ()).is_some()).count();
        assert_eq!((there, cache.bytes()), (20, 20 * PAGE_BYTES));
        assert_eq!(
            table.get(0, |_| ()).map(|page| page.number()),
            Some(0),
            "the page used all the time is there"
        );
        assert_eq!(table.get(999, |_| ()).map(|page| page.number()), Some(999), "the newest page is there");
        assert_eq!(cache.reads(), 1000);
        cache.forget(&table);
        assert_eq!(cache.bytes(), 0);
    }

    #[test]
    fn a_small_cache_keeps_little_or_nothing() {
        for (bytes, most) in [(0, 0), (PAGE_BYTES - 1, 0), (3 * PAGE_BYTES, 3)] {
            let (cache, table) = (PageCache::new(bytes), PageTable::new(50));
            (0..50).for_each(|number| drop(cache.keep(&table, number, page(number))));
            assert_eq!(cache.bytes(), most * PAGE_BYTES);
            assert_eq!((0..50).filter(|number| table.get(*number, |_| ()).is_some()).count(), most);
        }
    }

    #[test]
    fn what_is_let_go_is_freed_once_nobody_looks() {
        let (cache, table) = (PageCache::new(2 * PAGE_BYTES), PageTable::new(50));
        let held: Vec<_> = (0..5).map(|number| cache.keep(&table, number, page(number))).collect();
        assert_eq!(held.iter().map(|page| page.number()).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        let pages: Vec<_> = held.iter().map(Arc::downgrade).collect();
        let alive = || pages.iter().filter(|page| page.strong_count() > 0).count();
        assert_eq!((alive(), cache.bytes()), (5, 2 * PAGE_BYTES));
        drop(held);
        assert_eq!(alive(), 2, "as many as are kept");
        cache.forget(&table);
        drop(table);
        assert_eq!((alive(), cache.bytes()), (0, 0));
    }

    #[test]
    fn pages_of_a_giant_file_share_slots() {
        let (cache, table) = (PageCache::new(9 * PAGE_BYTES), PageTable::new(1 << 37));
        for number in [5, 5 + SLOTS_MAX, 5 + (1 << 36)] {
            assert!(table.get(number, |_| ()).is_none());
            cache.keep(&table, number, page(number));
            assert_eq!(table.get(number, |_| ()).map(|page| page.number()), Some(number));
            assert_eq!(cache.bytes(), PAGE_BYTES);
        }
    }

    #[test]
    fn a_page_behind_the_end_is_none_that_shares_its_slot() {
        let (cache, table) = (PageCache::new(9 * PAGE_BYTES), PageTable::new(50));
        cache.keep(&table, 7, page(7));
        assert!(table.get(7, |_| ()).is_some());
        assert!(table.get(7 + SLOTS_MAX, |_| ()).is_none());
    }

    #[test]
    fn threads_that_read_and_let_go_see_whole_pages() {
        let (cache, table) = (PageCache::new(7 * PAGE_BYTES), PageTable::new(40));
        std::thread::scope(|scope| {
            for seed in 0..4u64 {
                let (cache, table) = (&cache, &table);
                scope.spawn(move || {
                    for i in 0..20_000 {
                        let number = (i * (seed + 3) + i / 7) % 40;
                        let held = table
                            .get(number, |_| ())
                            .unwrap_or_else(|| cache.keep(table, number, page(number)));
                        assert_eq!(held.number(), number);
                    }
                });
            }
        });
        assert!(cache.bytes() <= 7 * PAGE_BYTES);
    }
}
