//! Pages that were read lately, bounded in bytes.

use crate::format::PAGE_BYTES;
use crate::page::Page;
use crate::slab::{HUGE_SLAB_PAGES, SharedPage};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Slots that are made at once, when the first of them gets a page.
const CHUNK_SLOTS: usize = 1024;
/// Slots of one file; in a file of more than 64 GiB pages share them.
const SLOTS_MAX: u64 = 4 << 20;
/// A cache that is full has at least as many slabs.
const SLABS_MIN: usize = 8;

/// A cache for the pages of any number of index files. Each open file has a table with a slot for each page, locked
/// for as long as it takes to share the page.
///
/// Pages that came last have memory of their own; as soon as they fill a slab they move into it. When there are as
/// many pages as may be, the oldest slab goes; of its pages those that were asked for meanwhile, at most every second
/// one, begin anew.
///
/// `bytes_max` bounds the pages kept; beside them a file has up to 25 bytes a page, and who looks at a page has it and
/// its slab until then, kept or not.
#[derive(Debug)]
pub struct PageCache {
    pages_max: usize,
    /// Pages of a slab.
    slab_pages: usize,
    kept: Mutex<Kept>,
    reads: AtomicU64,
}

/// Slots that hold a page, and of which files.
type Places = Vec<(Arc<PageTable>, u64)>;

/// All slots that hold a page.
#[derive(Debug, Default)]
struct Kept {
    /// Those whose pages have memory of their own.
    newest: Places,
    /// Those of each slab, the oldest first.
    slabs: VecDeque<Places>,
}

/// The pages of one open file.
#[derive(Debug)]
pub(crate) struct PageTable {
    chunks: Box<[OnceLock<Chunk>]>,
}

#[derive(Debug)]
struct Chunk {
    slots: Box<[Slot]>,
    /// Whether the page was asked for since it got its memory.
    used: Box<[AtomicBool]>,
}

/// A place for a page; 24 bytes.
type Slot = Mutex<Option<SharedPage>>;

impl PageCache {
    /// A cache of at most `bytes_max` bytes of pages; below 16 KiB it keeps nothing.
    pub fn new(bytes_max: usize) -> Arc<PageCache> {
        let pages_max = bytes_max / PAGE_BYTES;
        let slab_pages = (pages_max / SLABS_MIN).clamp(1, HUGE_SLAB_PAGES);
        Arc::new(PageCache { pages_max, slab_pages, kept: Mutex::default(), reads: AtomicU64::new(0) })
    }

    /// Bytes of the pages kept now.
    pub fn bytes(&self) -> usize {
        locked(&self.kept).pages(self.slab_pages) * PAGE_BYTES
    }

    /// How many pages were read so far because they were not there.
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// Keeps a page that was read, letting others go.
    pub(crate) fn keep(&self, table: &Arc<PageTable>, number: u64, page: Page) -> SharedPage {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let page = SharedPage::single(page);
        if self.pages_max == 0 {
            return page;
        }
        let mut kept = locked(&self.kept);
        if let Some(page) = table.held(number) {
            // Another thread was faster.
            return page;
        }
        if kept.newest.len() >= self.slab_pages {
            kept.fill_slab(self.slab_pages);
        }
        while kept.pages(self.slab_pages) >= self.pages_max && kept.release_slab(self.slab_pages) {}
        table.put(number, page.clone());
        kept.newest.push((table.clone(), number));
        page
    }

    /// Forgets the pages of a file that is closed.
    pub(crate) fn forget(&self, table: &Arc<PageTable>) {
        let mut kept = locked(&self.kept);
        let Kept { newest, slabs } = &mut *kept;
        for places in std::iter::once(newest).chain(slabs.iter_mut()) {
            places.retain(|(of, _)| !Arc::ptr_eq(of, table));
        }
        slabs.retain(|places| !places.is_empty());
    }
}

impl Kept {
    /// Pages that memory is held for.
    fn pages(&self, slab_pages: usize) -> usize {
        self.newest.len() + self.slabs.len() * slab_pages
    }

    /// Moves the oldest of the newest pages into a slab.
    fn fill_slab(&mut self, slab_pages: usize) {
        let rest = self.newest.split_off(slab_pages);
        let mut places = std::mem::replace(&mut self.newest, rest);
        let held = |(table, number): &(Arc<PageTable>, u64)| table.held(*number);
        // Of a file beyond 64 GiB another page may have taken the slot.
        places.retain(|place| held(place).is_some());
        let pages: Vec<SharedPage> = places.iter().filter_map(held).collect();
        for ((table, number), page) in places.iter().zip(SharedPage::together(&pages)) {
            table.put(*number, page);
        }
        if !places.is_empty() {
            self.slabs.push_back(places);
        }
    }

    /// Lets the oldest slab go, if there is one.
    fn release_slab(&mut self, slab_pages: usize) -> bool {
        let Some(places) = self.slabs.pop_front() else { return false };
        let again_max = self.newest.len() + slab_pages / 2;
        for (table, number) in places {
            let Some(page) = table.held(number) else { continue };
            if table.was_used(number) && self.newest.len() < again_max {
                table.put(number, SharedPage::single(page.copied()));
                self.newest.push((table, number));
            } else {
                table.take(number);
            }
        }
        true
    }
}

impl PageTable {
    /// For a file with so many pages.
    pub(crate) fn new(pages: u64) -> Arc<PageTable> {
        let chunks = pages.min(SLOTS_MAX).div_ceil(CHUNK_SLOTS as u64);
        Arc::new(PageTable { chunks: (0..chunks).map(|_| OnceLock::new()).collect() })
    }

    /// What `look` says of a page, if it is there. Nobody else gets the page meanwhile, so it should be quick.
    #[inline]
    pub(crate) fn look<T>(&self, number: u64, look: impl FnOnce(&Page) -> T) -> Option<T> {
        let at = (number % SLOTS_MAX) as usize;
        let chunk = self.chunks.get(at / CHUNK_SLOTS)?.get()?;
        let at = at % CHUNK_SLOTS;
        let slot = locked(&chunk.slots[at]);
        let page = slot.as_ref().filter(|page| page.number() == number)?;
        let said = look(page);
        drop(slot);
        chunk.set_used(at);
        Some(said)
    }

    /// A page, if it is there, shown to `expect` before anything waits for its memory: counting who shares it does.
    #[inline]
    pub(crate) fn get(&self, number: u64, expect: impl FnOnce(&Page)) -> Option<SharedPage> {
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
        chunk.set_used(at);
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

    /// A page, if it is there. Whoever holds the lock of what is kept finds it there until it is let go.
    fn held(&self, number: u64) -> Option<SharedPage> {
        let (chunk, at) = self.chunk(number);
        let page = locked(&chunk.slots[at]).clone();
        page.filter(|page| page.number() == number)
    }

    /// Puts a page into its slot.
    fn put(&self, number: u64, page: SharedPage) {
        let (chunk, at) = self.chunk(number);
        let before = locked(&chunk.slots[at]).replace(page);
        chunk.used[at].store(false, Ordering::Relaxed);
        drop(before);
    }

    /// Whether a page was asked for since it was put.
    fn was_used(&self, number: u64) -> bool {
        let (chunk, at) = self.chunk(number);
        chunk.used[at].load(Ordering::Relaxed)
    }

    /// Lets a page go.
    fn take(&self, number: u64) {
        let (chunk, at) = self.chunk(number);
        let page = locked(&chunk.slots[at]).take();
        drop(page);
    }
}

impl Chunk {
    #[inline]
    fn set_used(&self, at: usize) {
        if !self.used[at].load(Ordering::Relaxed) {
            self.used[at].store(true, Ordering::Relaxed);
        }
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
        for pages_max in [20, 1500] {
            let cache = PageCache::new(pages_max * PAGE_BYTES);
            let table = PageTable::new(4000);
            for number in 0..4000 {
                cache.keep(&table, number, page(number));
                table.get(0, |_| ());
                assert!(cache.bytes() <= pages_max * PAGE_BYTES);
            }
            let there = (0..4000).filter(|number| table.get(*number, |_| ()).is_some()).count();
            assert!(
                there * PAGE_BYTES == cache.bytes() && there > pages_max * 4 / 5,
                "{there} of {pages_max}"
            );
            for number in [0, 3999] {
                let found = table.get(number, |_| ());
                assert_eq!(found.map(|page| page.number()), Some(number), "used all the time, or the newest");
            }
            assert_eq!(cache.reads(), 4000);
            cache.forget(&table);
            assert_eq!(cache.bytes(), 0);
        }
    }

    #[test]
    fn a_small_cache_keeps_little_or_nothing() {
        for (bytes, most) in [(0, 0), (PAGE_BYTES - 1, 0), (PAGE_BYTES, 1), (3 * PAGE_BYTES, 3)] {
            let (cache, table) = (PageCache::new(bytes), PageTable::new(50));
            (0..50).for_each(|number| drop(cache.keep(&table, number, page(number))));
            assert_eq!(cache.bytes(), most * PAGE_BYTES);
            assert_eq!((0..50).filter(|number| table.get(*number, |_| ()).is_some()).count(), most);
        }
    }

    #[test]
    fn what_is_let_go_is_freed_once_nobody_looks() {
        let (cache, table) = (PageCache::new(1100 * PAGE_BYTES), PageTable::new(4000));
        (0..1000).for_each(|number| drop(cache.keep(&table, number, page(number))));
        let held: Vec<_> = (0..3).filter_map(|number| table.get(number, |_| ())).collect();
        assert_eq!(held.iter().map(|page| page.number()).collect::<Vec<_>>(), [0, 1, 2]);
        let in_slab = HUGE_SLAB_PAGES.min(1100 / SLABS_MIN);
        assert_eq!(held[0].holders(), in_slab + 3, "in a slab with others");
        (1000..4000).for_each(|number| drop(cache.keep(&table, number, page(number))));
        assert_eq!(held[0].holders(), 3, "only we");
        let newest = cache.keep(&table, 3999, page(3999));
        cache.forget(&table);
        drop(table);
        assert_eq!((newest.holders(), cache.bytes()), (1, 0));
    }

    #[test]
    fn pages_of_a_giant_file_share_slots() {
        let (cache, table) = (PageCache::new(9 * PAGE_BYTES), PageTable::new(1 << 37));
        for number in (0..40).map(|round| 5 + SLOTS_MAX * (round % 3)) {
            assert!(table.get(number, |_| ()).is_none());
            cache.keep(&table, number, page(number));
            assert_eq!(table.get(number, |_| ()).map(|page| page.number()), Some(number));
            assert!(cache.bytes() <= 9 * PAGE_BYTES);
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
