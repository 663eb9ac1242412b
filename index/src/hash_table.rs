//! Hashes of channels or names to places in pages.

use crate::format::*;
use crate::leaf::Key;
use crate::page::{Page, PageFile};
use crate::writer::PageWriter;
use disk::FormatError;
use xxhash_rust::xxh3::xxh3_64;

/// A row or name in a page of an index file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Position {
    /// Number of the page.
    pub page: u64,
    /// Number of the row or name in it.
    pub row: u16,
}

/// A byte of a page, at which a row or name begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Place {
    /// Number of the page.
    pub(crate) page: u64,
    /// The byte.
    pub(crate) at: usize,
}

impl Place {
    fn packed(self) -> u64 {
        self.page << PLACE_BITS | self.at as u64
    }

    fn unpacked(packed: u64) -> Place {
        let page = packed >> PLACE_BITS & ((1 << PAGE_NUMBER_BITS) - 1);
        Place { page, at: packed as usize % PAGE_BYTES }
    }
}

/// The hash under which the first row of a channel at a rate is found.
pub(crate) fn channel_hash(rate: u64, channel: u64) -> u64 {
    xxh3_64(&(u128::from(channel) << 64 | u128::from(rate)).to_le_bytes())
}

/// Whether channels are found by hash at a rate. Records are asked for less often than they are there.
pub(crate) fn is_hashed(rate: u64) -> bool {
    rate == 0 || rate >= RECORD_RATES_END
}

/// The hash under which a name is found.
pub(crate) fn name_hash(name: &str) -> u64 {
    xxh3_64(name.as_bytes())
}

/// Hashes with places that stay in memory until the table is written; when there are more, all are read
/// again from the pages written.
pub(crate) const HASHES_MAX: usize = 4 << 20;
/// Hash pages that are filled at a time.
pub(crate) const PAGES_AT_ONCE: u64 = 4096;
/// Slots in use when the table is written, in per cent.
const LOAD_PERCENT: u64 = 88;
/// Growths of the table after which pages that overflow are taken for an attack.
const GROWTHS_MAX: u32 = 64;

/// Where a hash table lies in its file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct HashSection {
    /// The first page.
    pub(crate) begin: u64,
    /// Number of pages; 0 where nothing was hashed.
    pub(crate) pages: u64,
}

/// What a table will be made from.
#[derive(Debug)]
pub(crate) struct Hashes {
    pairs: Vec<(u64, u64)>,
    pairs_max: usize,
    count: u64,
}

/// Hashes of channels.
#[derive(Debug)]
pub(crate) struct ChannelHashes(pub(crate) Hashes);

impl ChannelHashes {
    /// Adds the first row of a channel.
    pub(crate) fn add(&mut self, key: Key, place: Place) {
        if is_hashed(key.0) {
            self.0.add(channel_hash(key.0, key.1), place);
        }
    }
}

/// Takes a hash with its place.
pub(crate) type Take<'t> = dyn FnMut(u64, Place) + 't;

impl Hashes {
    /// Keeps at most `pairs_max` in memory.
    pub(crate) fn new(pairs_max: usize) -> Hashes {
        Hashes { pairs: Vec::new(), pairs_max, count: 0 }
    }

    /// Adds one.
    pub(crate) fn add(&mut self, hash: u64, place: Place) {
        self.count += 1;
        if self.pairs.len() < self.pairs_max {
            self.pairs.push((hash, place.packed()));
        } else {
            self.pairs = Vec::new();
            self.pairs_max = 0;
        }
    }

    /// Writes the table. `again` shows all hashes once more where memory did not keep them.
    pub(crate) fn write(
        &self,
        out: &mut PageWriter,
        pages_at_once: u64,
        mut again: impl FnMut(&mut PageWriter, &mut Take<'_>) -> Result<(), FormatError>,
    ) -> Result<HashSection, FormatError> {
        if self.count == 0 {
            return Ok(HashSection::default());
        }
        let in_memory = self.pairs.len() as u64 == self.count;
        let mut each = |out: &mut PageWriter, take: &mut Take<'_>| {
            if in_memory {
                self.pairs.iter().for_each(|(hash, packed)| take(*hash, Place::unpacked(*packed)));
                Ok(())
            } else {
                again(out, take)
            }
        };
        let pages = enough_pages(self.count, &mut |take| each(out, take))?;
        let begin = out.next_page();
        for first in (0..pages).step_by(pages_at_once as usize) {
            let here = first..pages.min(first + pages_at_once);
            let mut filled: Vec<(Page, u16)> = here.clone().map(|_| (Page::zeros(), 0)).collect();
            each(out, &mut |hash, place| {
                let page = page_of(hash, pages);
                if here.contains(&page) {
                    let (page, count) = &mut filled[(page - first) as usize];
                    insert(page, hash, place);
                    *count += 1;
                }
            })?;
            for (page, count) in &mut filled {
                out.write(page, PageKind::Hash, 0, *count)?;
            }
        }
        Ok(HashSection { begin, pages })
    }
}

/// The number of pages at which none overflows.
fn enough_pages(
    count: u64,
    each: &mut impl FnMut(&mut Take<'_>) -> Result<(), FormatError>,
) -> Result<u64, FormatError> {
    let mut pages = (count * 100).div_ceil(HASH_SLOTS as u64 * LOAD_PERCENT);
    for _ in 0..GROWTHS_MAX {
        let mut loads = vec![0u32; pages as usize];
        each(&mut |hash, _| loads[page_of(hash, pages) as usize] += 1)?;
        if loads.iter().all(|load| *load as usize <= HASH_SLOTS) {
            return Ok(pages);
        }
        pages += pages / 16 + 1;
    }
    let what = "names or channels of an index whose hashes are nearly equal";
    Err(FormatError::Limit { what, max: HASH_SLOTS as u64, found: count })
}

/// `hash` as a share of 2^64, times `pages`.
fn page_of(hash: u64, pages: u64) -> u64 {
    ((u128::from(hash) * u128::from(pages)) >> 64) as u64
}

/// The line of a page where the search for a hash begins, from its lower half.
fn line_of(hash: u64) -> usize {
    ((u64::from(hash as u32) * LINES as u64) >> 32) as usize
}

/// Bits of the hash that neither small tables' pages nor lines depend on.
fn tag_of(hash: u64) -> u64 {
    hash >> 32 & ((1 << SLOT_TAG_BITS) - 1)
}

fn slot_at(line: usize, slot: usize) -> usize {
    LINE_BYTES * (line + 1) + 8 * slot
}

/// Puts a slot into the first hole at or behind the hash's line; the page has one.
fn insert(page: &mut Page, hash: u64, place: Place) {
    let slot = tag_of(hash) << (PAGE_NUMBER_BITS + PLACE_BITS) | place.packed();
    let home = line_of(hash);
    let slots = (0..LINES).flat_map(|step| (0..LINE_SLOTS).map(move |slot| ((home + step) % LINES, slot)));
    let mut places = slots.map(|(line, slot)| slot_at(line, slot));
    if let Some(hole) = places.find(|at| page.u64(*at) == 0) {
        page.put(hole, &slot.to_le_bytes());
    }
}

/// Shows `found` the places that may belong to `hash` until it answers: at most those of one page.
pub(crate) fn find<T>(
    pages: &PageFile,
    section: HashSection,
    hash: u64,
    mut found: impl FnMut(Place) -> Result<Option<T>, FormatError>,
) -> Result<Option<T>, FormatError> {
    if section.pages == 0 {
        return Ok(None);
    }
    let (home, tag) = (line_of(hash), tag_of(hash));
    let number = section.begin.saturating_add(page_of(hash, section.pages));
    let page = pages.get_expecting(number, PageKind::Hash, |page| {
        page.expect([0, slot_at(home, 0), slot_at(home, LINE_SLOTS) - 1]);
    })?;
    for step in 0..LINES {
        let line = if home + step < LINES { home + step } else { home + step - LINES };
        let slots = line_at(&page, line);
        // Which slots may be the right one and which are empty, without a jump that depends on the page's bytes.
        let (mut alike, mut empty) = (0u32, 0u32);
        for (at, slot) in slots.iter().enumerate() {
            alike |= u32::from(slot >> (PAGE_NUMBER_BITS + PLACE_BITS) == tag) << at;
            empty |= u32::from(*slot == 0) << at;
        }
        // Behind an empty slot there is none.
        alike &= (empty & empty.wrapping_neg()).wrapping_sub(1);
        while alike != 0 {
            let slot = slots[alike.trailing_zeros() as usize % LINE_SLOTS];
            if let Some(answer) = found(Place::unpacked(slot))? {
                return Ok(Some(answer));
            }
            alike &= alike - 1;
        }
        if empty != 0 {
            return Ok(None);
        }
    }
    Ok(None)
}

/// The slots of a line.
#[inline]
fn line_at(page: &Page, line: usize) -> [u64; LINE_SLOTS] {
    let bytes = page.bytes[slot_at(line, 0)..].first_chunk::<LINE_BYTES>().unwrap_or(&[0; LINE_BYTES]);
    let (slots, _) = bytes.as_chunks::<8>();
    std::array::from_fn(|at| u64::from_le_bytes(slots[at]))
}

/// The slots in use of a hash page.
pub(crate) fn slots_in_use(page: &Page) -> usize {
    let slots = (0..LINES).flat_map(|line| (0..LINE_SLOTS).map(move |slot| slot_at(line, slot)));
    slots.filter(|at| page.u64(*at) != 0).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_any_size_come_back() {
        for place in [
            Place { page: 1, at: 136 },
            Place { page: 1 << 33, at: PAGE_BYTES - 1 },
            Place { page: (1 << 37) - 1, at: 0 },
        ] {
            assert_eq!(Place::unpacked(place.packed() | 0x1fff << 51), place);
        }
    }

    #[test]
    fn a_table_grows_until_no_page_overflows() {
        // All in the first page of a small table, spread over several of a larger one.
        let hashes: Vec<u64> = (0..3000u64).map(|i| i << 50).collect();
        let mut each = |take: &mut Take<'_>| {
            hashes.iter().for_each(|hash| take(*hash, Place::default()));
            Ok(())
        };
        let pages = enough_pages(3000, &mut each).unwrap();
        assert!(pages > 3000 * 100 / (HASH_SLOTS as u64 * LOAD_PERCENT) + 1, "{pages}");
        let mut loads = vec![0; pages as usize];
        hashes.iter().for_each(|hash| loads[page_of(*hash, pages) as usize] += 1);
        assert!(loads.iter().all(|load| *load <= HASH_SLOTS), "{loads:?}");
    }

    #[test]
    fn equal_hashes_without_end_are_an_error() {
        let mut each = |take: &mut Take<'_>| {
            (0..2 * HASH_SLOTS).for_each(|_| take(7, Place::default()));
            Ok(())
        };
        assert!(matches!(enough_pages(2 * HASH_SLOTS as u64, &mut each), Err(FormatError::Limit { .. })));
    }
}
