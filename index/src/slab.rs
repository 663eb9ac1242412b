//! Memory that pages are kept in.

use crate::format::PAGE_BYTES;
use crate::page::Page;
use memmap2::MmapMut;
use std::ops::Deref;
use std::sync::Arc;
use zerocopy::FromBytes;

/// Pages of a slab whose memory may be one huge page: with small ones, the processor looks up where they are at
/// nearly each access, which takes it longer than the access.
pub(crate) const HUGE_SLAB_PAGES: usize = (2 << 20) / PAGE_BYTES;

/// Pages that stand and go together.
enum Slab {
    Heap(Vec<Page>),
    Huge(MmapMut),
}

/// A page of a slab, which stays as long as somebody has one of its pages.
#[derive(Clone)]
pub(crate) struct SharedPage {
    slab: Arc<Slab>,
    at: u32,
}

impl SharedPage {
    /// A page in memory of its own.
    pub(crate) fn single(page: Page) -> SharedPage {
        SharedPage { slab: Arc::new(Slab::Heap(vec![page])), at: 0 }
    }

    /// The same pages in one slab.
    pub(crate) fn together(pages: &[SharedPage]) -> impl Iterator<Item = SharedPage> {
        let huge = if pages.len() == HUGE_SLAB_PAGES { huge(pages) } else { None };
        let slab = huge.unwrap_or_else(|| Slab::Heap(pages.iter().map(|page| page.copied()).collect()));
        let slab = Arc::new(slab);
        (0..pages.len() as u32).map(move |at| SharedPage { slab: slab.clone(), at })
    }

    /// The page, in memory that nothing else holds.
    pub(crate) fn copied(&self) -> Page {
        Page { bytes: self.bytes }
    }

    /// How many have it or another page of its slab.
    #[cfg(test)]
    pub(crate) fn holders(&self) -> usize {
        Arc::strong_count(&self.slab)
    }
}

/// Pages in memory that may be one huge page; `None` where the system gives none.
fn huge(pages: &[SharedPage]) -> Option<Slab> {
    let mut map = MmapMut::map_anon(pages.len() * PAGE_BYTES).ok()?;
    // Refused, the memory is as good as any other.
    #[cfg(target_os = "linux")]
    let _ = map.advise(memmap2::Advice::HugePage);
    let (places, _) = map.as_chunks_mut::<PAGE_BYTES>();
    places.iter_mut().zip(pages).for_each(|(place, page)| *place = page.bytes);
    Some(Slab::Huge(map))
}

impl Deref for SharedPage {
    type Target = Page;

    #[inline]
    fn deref(&self) -> &Page {
        static NONE: Page = Page { bytes: [0; PAGE_BYTES] };
        let at = self.at as usize;
        let page = match &*self.slab {
            Slab::Huge(map) => {
                let bytes = map.get(at * PAGE_BYTES..).and_then(|rest| rest.get(..PAGE_BYTES));
                bytes.and_then(|bytes| Page::ref_from_bytes(bytes).ok())
            }
            Slab::Heap(pages) => pages.get(at),
        };
        // There always is one.
        page.unwrap_or(&NONE)
    }
}

impl std::fmt::Debug for SharedPage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        (**self).fmt(f)
    }
}
