//! What lies behind an entry: samples, headers, payloads.

mod lent;
mod stored;

use crate::Key;
use crate::chunk::{ChunkHeader, Zone};
use crate::format::BLOCK_HEADER_BYTES;
use crate::record::{CarryIn, ChannelTimeline, decode_carry_in, decode_timeline};
use crate::table::{Entry, Table, read_exactly};
use disk::{BytesError, FormatError};
pub(crate) use lent::LentTimes;
use sample::{SampleBlock, TimeRange, Timestamp};
use std::ops::Range;
pub use stored::{StoredBytes, StoredChunk, Surroundings};

/// Chunks up to this length are read whole, not page by page.
const WHOLE_BYTES_MAX: u64 = 64 << 10;
/// Chunks up to this length are read whole to decode some of their pages: copying more takes longer than asking again.
const SEARCHED_BYTES_MAX: u64 = 32 << 10;

/// A chunk of which at least the header has been read.
#[derive(Clone, PartialEq, Debug)]
pub struct OpenChunk {
    pub(crate) header: ChunkHeader,
    /// Where the chunk begins in the file (its block, for a shared one): errors name it.
    pub(crate) offset: u64,
    /// The whole chunk, if it was read or is in memory anyway.
    pub(crate) bytes: Option<Vec<u8>>,
}

impl OpenChunk {
    /// Its header.
    pub fn header(&self) -> &ChunkHeader {
        &self.header
    }
}

impl Table {
    /// Opens a chunk, of which some pages will be decoded: its header is read, a short one whole.
    ///
    /// # Errors
    /// When the entry is no chunk, cannot be read or is damaged.
    pub fn chunk(&self, entry: &Entry) -> Result<OpenChunk, FormatError> {
        self.open_chunk(entry, entry.locator.len <= SEARCHED_BYTES_MAX)
    }

    /// As [`Table::chunk`], with all its bytes where they are no more than one read should take.
    ///
    /// # Errors
    /// As [`Table::chunk`].
    pub fn chunk_with_body(&self, entry: &Entry) -> Result<OpenChunk, FormatError> {
        self.open_chunk(entry, true)
    }

    /// The zones of a chunk of this table.
    ///
    /// # Errors
    /// When what its header says of them is damaged.
    pub fn zones(&self, chunk: &OpenChunk) -> Result<Vec<Zone>, FormatError> {
        chunk.header.zones().map_err(|error| error.in_file(self.path(), chunk.offset))
    }

    /// The samples of `zones` of a chunk of this table that lie in `range`; only pages that hold some are read, and of
    /// those at the ends the others are not decoded where that can be.
    ///
    /// # Errors
    /// When they cannot be read or are damaged.
    pub fn zone_samples(
        &self,
        chunk: &OpenChunk,
        zones: Range<usize>,
        range: TimeRange,
    ) -> Result<SampleBlock, FormatError> {
        let header = &chunk.header;
        let (of, touching) = (header.pages_of_zones(zones.clone()), header.pages_touching(range));
        let start = of.start.max(touching.start);
        let pages = start..of.end.min(touching.end).max(start);
        let (wanted, there) = (header.samples_of_zones(zones), header.samples_of(pages.clone()));
        let whole = is_inside(header, range) && wanted.start <= there.start && there.end <= wanted.end;
        self.decode(chunk, pages, (!whole).then_some((range, wanted)))
    }

    /// The bytes of an entry: a chunk, or a record's payload.
    ///
    /// # Errors
    /// When it cannot be read or its block is damaged. A chunk checks itself when it is decoded.
    pub fn payload(&self, entry: &Entry) -> Result<Vec<u8>, FormatError> {
        let locator = entry.locator;
        match locator.slot {
            None => {
                let body = locator.len.saturating_sub(BLOCK_HEADER_BYTES as u64);
                read_exactly(&*self.file, locator.offset + BLOCK_HEADER_BYTES as u64, body)
            }
            Some(slot) => {
                let block = self.shared_block(locator.offset, locator.len)?;
                let found = block.entries.get(slot as usize).filter(|found| found.key == entry.key);
                let payload = found.map(|found| block.payload(found).to_vec());
                payload
                    .ok_or_else(|| self.damaged(entry, "a shared block does not hold what the index names"))
            }
        }
    }

    /// What a carry-in of this table, whose payload it is, tells of all events and metadata that the table has of its
    /// channel; `None` where they have to be read.
    ///
    /// # Errors
    /// When the bytes are damaged.
    pub fn timeline(&self, carry_in: &[u8]) -> Result<Option<ChannelTimeline>, BytesError> {
        if self.has_timelines { decode_timeline(carry_in) } else { Ok(None) }
    }

    /// A carry-in of this table, whose payload it is, with what it tells as [`Table::timeline`] does. Where that does not
    /// read the carry-in counts alone: the records themselves are asked then.
    ///
    /// # Errors
    /// When the bytes of the carry-in itself are damaged.
    pub fn carry_in(&self, payload: &[u8]) -> Result<(CarryIn, Option<ChannelTimeline>), BytesError> {
        Ok((decode_carry_in(payload)?, self.timeline(payload).unwrap_or_default()))
    }

    /// The header of a chunk.
    ///
    /// # Errors
    /// When the entry is no chunk, cannot be read or is damaged.
    pub fn chunk_header(&self, entry: &Entry) -> Result<ChunkHeader, FormatError> {
        Ok(self.open_chunk(entry, false)?.header)
    }

    /// The samples of a chunk that lie in `range`; only the pages needed are read and decoded. Stamps that
    /// stand in another chunk are fetched from there.
    ///
    /// # Errors
    /// When the entry is no chunk, cannot be read or is damaged.
    pub fn samples(&self, entry: &Entry, range: TimeRange) -> Result<SampleBlock, FormatError> {
        let chunk = self.open_chunk(entry, true)?;
        let whole = is_inside(&chunk.header, range);
        let pages = if whole { 0..chunk.header.pages().len() } else { chunk.header.pages_touching(range) };
        let rows = 0..chunk.header.count();
        self.decode(&chunk, pages, (!whole).then_some((range, rows)))
    }

    /// All samples of a chunk.
    ///
    /// # Errors
    /// As [`Table::samples`].
    pub fn all_samples(&self, entry: &Entry) -> Result<SampleBlock, FormatError> {
        let chunk = self.open_chunk(entry, true)?;
        let pages = 0..chunk.header.pages().len();
        self.decode(&chunk, pages, None)
    }

    /// The samples of `pages`, or of them those of a range that are some rows of the chunk.
    fn decode(
        &self,
        chunk: &OpenChunk,
        pages: Range<usize>,
        part: Option<(TimeRange, Range<usize>)>,
    ) -> Result<SampleBlock, FormatError> {
        let times = self.borrowed_times(&chunk.header, pages.clone(), chunk.offset)?;
        let body = self.body(chunk, &pages)?;
        let block = match part {
            Some((range, rows)) => chunk.header.decode_within(range, rows, pages, &body, times.as_deref()),
            None => chunk.header.decode_pages(pages, &body, times.as_deref()),
        };
        block.map_err(|error| error.in_file(self.path(), chunk.offset))
    }

    /// Reads the header; the whole chunk too when it is small and `with_body` asks for it.
    pub(crate) fn open_chunk(&self, entry: &Entry, with_body: bool) -> Result<OpenChunk, FormatError> {
        let Some(summary) = &entry.chunk else {
            return Err(self.damaged(entry, "a chunk was expected, this entry is a record"));
        };
        let locator = entry.locator;
        let in_block = locator.slot.is_none();
        let offset = locator.offset + if in_block { BLOCK_HEADER_BYTES as u64 } else { 0 };
        let whole = !in_block || (with_body && locator.len <= WHOLE_BYTES_MAX);
        let bytes = if whole {
            self.payload(entry)?
        } else {
            read_exactly(&*self.file, offset, summary.header_len as u64)?
        };
        let header = ChunkHeader::parse(&bytes).map_err(|error| error.in_file(self.path(), offset))?;
        self.check_entry(entry, &header).map_err(|what| self.damaged(entry, what))?;
        Ok(OpenChunk { header, offset, bytes: whole.then_some(bytes) })
    }

    /// Index and chunk say the same.
    fn check_entry(&self, entry: &Entry, header: &ChunkHeader) -> Result<(), &'static str> {
        let key = Key::new(Key::SAMPLES, header.channel, header.first.0);
        let fills_block = entry.locator.slot.is_some()
            || header.chunk_len.checked_add(BLOCK_HEADER_BYTES as u64) == Some(entry.locator.len);
        if key != entry.key || header.last != entry.last || !fills_block {
            return Err("a chunk is not the one that the index names");
        }
        Ok(())
    }

    /// The bytes of the chunk that decoding `pages` needs.
    fn body<'c>(
        &self,
        chunk: &'c OpenChunk,
        pages: &Range<usize>,
    ) -> Result<std::borrow::Cow<'c, [u8]>, FormatError> {
        let extent = chunk.header.extent_of(pages.clone());
        match &chunk.bytes {
            Some(bytes) => bytes
                .get(extent.start as usize..extent.end as usize)
                .map(std::borrow::Cow::Borrowed)
                .ok_or(BytesError { position: 8, what: "a chunk is not as long as it says" })
                .map_err(|error| error.in_file(self.path(), chunk.offset)),
            None => {
                let len = extent.end - extent.start;
                read_exactly(&*self.file, chunk.offset + extent.start, len).map(std::borrow::Cow::Owned)
            }
        }
    }

    fn damaged(&self, entry: &Entry, what: &'static str) -> FormatError {
        FormatError::corrupt(self.path(), entry.locator.offset, what)
    }
}

/// Whether all samples of a chunk lie in `range`. The last representable instant lies outside every range, but not
/// outside every chunk.
fn is_inside(header: &ChunkHeader, range: TimeRange) -> bool {
    range.from <= header.first && (header.last < range.to || range.to == Timestamp::MAX)
}
