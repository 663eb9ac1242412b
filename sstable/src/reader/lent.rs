//! Stamps that a chunk takes from others of its table.

use crate::Key;
use crate::cache::Cached;
use crate::chunk::{ChunkHeader, TimeReference};
use crate::table::{Entry, Table};
use disk::FormatError;
use sample::TimeRange;
use std::ops::Range;
use std::sync::Arc;

/// Decoded stamps of a chunk that others refer to.
#[derive(Clone, Debug)]
pub(crate) struct LentTimes {
    reference: TimeReference,
    depth: u8,
    page_shift: u8,
    /// Those of each page that was asked for.
    pages: Vec<Option<Arc<[i64]>>>,
}

impl LentTimes {
    fn of(header: &ChunkHeader) -> LentTimes {
        LentTimes {
            reference: header.as_time_reference(),
            depth: header.time_depth(),
            page_shift: header.page_shift(),
            pages: vec![None; header.pages().len()],
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let pages = self.pages.iter().flatten().map(|page| size_of_val(&**page));
        size_of::<LentTimes>() + size_of_val(&*self.pages) + pages.sum::<usize>()
    }

    /// Appends the stamps of `samples`; `false`, and nothing of use appended, when not all of them are here.
    fn append(&self, samples: &Range<usize>, out: &mut Vec<i64>) -> bool {
        let mut at = samples.start;
        while at < samples.end {
            let page = at >> self.page_shift;
            let Some(Some(times)) = self.pages.get(page) else { return false };
            let begin = page << self.page_shift;
            let end = samples.end.min(begin + times.len());
            let Some(times) = times.get(at - begin..end - begin).filter(|times| !times.is_empty()) else {
                return false;
            };
            out.extend_from_slice(times);
            at = end;
        }
        true
    }
}

impl Table {
    /// The stamps of other chunks that the chunk with `header`, which begins at `offset`, needs for `pages`; `None`
    /// where it needs none.
    pub(super) fn borrowed_times(
        &self,
        header: &ChunkHeader,
        pages: Range<usize>,
        offset: u64,
    ) -> Result<Option<Vec<i64>>, FormatError> {
        let depth = header.time_depth();
        if depth == 0 {
            return Ok(None);
        }
        let borrowed = header.borrowed_times(pages);
        let mut times = Vec::new();
        if borrowed.len() > 1 {
            // At most 16 chunks of 8192 samples.
            times.reserve(borrowed.iter().map(|(_, samples)| samples.len()).sum());
        }
        for (reference, samples) in borrowed {
            if !self.append_lent(reference, depth, &samples, &mut times)? {
                let what = "a chunk refers to the stamps of one that is not there";
                return Err(FormatError::corrupt(self.path(), offset, what));
            }
        }
        Ok(Some(times))
    }

    /// Appends the stamps of `samples` of the chunk that another one, which finds its stamps over `depth` chunks,
    /// refers to: that channel's which begins at the same time, has as many samples, stamps with the same hash, and is
    /// less deep. `false` when there is none.
    fn append_lent(
        &self,
        reference: TimeReference,
        depth: u8,
        samples: &Range<usize>,
        out: &mut Vec<i64>,
    ) -> Result<bool, FormatError> {
        let at = TimeRange::new(reference.first, reference.first.saturating_add(1));
        for entry in self.entries(Key::SAMPLES, reference.channel, at) {
            let entry = entry?;
            let fits = entry.key.bin == reference.first.0
                && entry.chunk.as_ref().is_some_and(|chunk| chunk.statistics.count == reference.count);
            if fits && self.append_of(&entry, reference, depth, samples, out)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn append_of(
        &self,
        entry: &Entry,
        reference: TimeReference,
        depth: u8,
        samples: &Range<usize>,
        out: &mut Vec<i64>,
    ) -> Result<bool, FormatError> {
        let offset = entry.locator.offset;
        let known = match (entry.locator.slot, self.cached(offset)) {
            (None, Some(Cached::Times(known))) => Some(known),
            _ => None,
        };
        if let Some(known) = &known {
            if known.reference != reference || known.depth >= depth {
                return Ok(false);
            }
            let start = out.len();
            if known.append(samples, out) {
                return Ok(true);
            }
            out.truncate(start);
        }
        let chunk = self.open_chunk(entry, true)?;
        let header = &chunk.header;
        if header.as_time_reference() != reference || header.time_depth() >= depth {
            return Ok(false);
        }
        let pages = header.pages_of(samples.clone());
        let borrowed = self.borrowed_times(header, pages.clone(), chunk.offset)?;
        let body = self.body(&chunk, &pages)?;
        let times = header
            .decode_times(pages.clone(), &body, borrowed.as_deref())
            .map_err(|error| error.in_file(self.path(), chunk.offset))?;
        let begin = header.samples_of(pages.clone()).start;
        if entry.locator.slot.is_none() && self.keeps(size_of_val(&*times)) {
            let mut lent = known.map_or_else(|| LentTimes::of(header), |known| LentTimes::clone(&known));
            for page in pages {
                let samples = header.samples_of(page..page + 1);
                lent.pages[page] = Some(times[samples.start - begin..samples.end - begin].into());
            }
            self.keep(offset, Cached::Times(Arc::new(lent)));
        }
        // Pages have no more samples than their chunk.
        let place = samples.start.saturating_sub(begin)..samples.end.saturating_sub(begin);
        match times.get(place.clone()) {
            Some(_) if out.is_empty() && place == (0..times.len()) => *out = times,
            Some(wanted) => out.extend_from_slice(wanted),
            None => return Ok(false),
        }
        Ok(true)
    }
}
