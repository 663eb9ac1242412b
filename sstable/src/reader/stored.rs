//! Chunks as they stand in the file, to be passed on undecoded.

use crate::Key;
use crate::chunk::{ChunkHeader, TimeReference};
use crate::format::BLOCK_HEADER_BYTES;
use crate::table::{Entry, Table, read_exactly};
use disk::FormatError;
use sample::TimeRange;
use std::ops::Range;
use std::sync::Arc;

/// Bytes of a table, as they stand there, that were read at once.
#[derive(Clone, Debug)]
pub struct StoredBytes {
    /// Where they begin in the file.
    offset: u64,
    bytes: Arc<Vec<u8>>,
}

impl StoredBytes {
    /// Where the `len` bytes at `offset` of the file are, if all of them are here.
    fn place(&self, offset: u64, len: u64) -> Option<Range<usize>> {
        let start = usize::try_from(offset.checked_sub(self.offset)?).ok()?;
        let end = start.checked_add(usize::try_from(len).ok()?)?;
        (end <= self.bytes.len()).then_some(start..end)
    }
}

/// A chunk as it stands in the file. Only its header was checked; pages check themselves when they are decoded.
#[derive(Clone, Debug)]
pub struct StoredChunk {
    header: ChunkHeader,
    bytes: Arc<Vec<u8>>,
    place: Range<usize>,
}

impl StoredChunk {
    /// Its header.
    pub fn header(&self) -> &ChunkHeader {
        &self.header
    }

    /// The whole chunk, and perhaps what stands around it: [`StoredChunk::place`] says where it is.
    pub fn surroundings(&self) -> &Arc<Vec<u8>> {
        &self.bytes
    }

    /// Where the chunk is among [`StoredChunk::surroundings`].
    pub fn place(&self) -> Range<usize> {
        self.place.clone()
    }

    /// Whether nothing was read behind it.
    pub fn ends_what_was_read(&self) -> bool {
        self.place.end == self.bytes.len()
    }

    /// The chunk.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.place.clone()]
    }
}

impl Table {
    /// Reads the blocks of `entries` that are one chunk each and lie one behind the other, from the first on and
    /// `bytes_max` at most; `None` where not even the first is that.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn read_chunks(&self, entries: &[Entry], bytes_max: u64) -> Result<Option<StoredBytes>, FormatError> {
        let Some(offset) = entries.first().map(|entry| entry.locator.offset) else { return Ok(None) };
        let mut len = 0;
        for locator in entries.iter().map(|entry| entry.locator) {
            let next = locator.slot.is_none() && locator.offset == offset.saturating_add(len);
            if !next || locator.len > bytes_max - len {
                break;
            }
            len += locator.len;
        }
        if len == 0 {
            return Ok(None);
        }
        let bytes = Arc::new(read_exactly(&*self.file, offset, len)?);
        Ok(Some(StoredBytes { offset, bytes }))
    }

    /// The chunk of `entry` as it stands in `read`, or in its shared block; `None` where it is in neither.
    ///
    /// # Errors
    /// When the entry is no chunk, its shared block cannot be read or its header is damaged.
    pub fn stored_chunk(
        &self,
        entry: &Entry,
        read: Option<&StoredBytes>,
    ) -> Result<Option<StoredChunk>, FormatError> {
        let locator = entry.locator;
        let (bytes, place) = if locator.slot.is_some() {
            let bytes = self.payload(entry)?;
            let place = 0..bytes.len();
            (Arc::new(bytes), place)
        } else {
            let found = read.and_then(|read| Some((read, read.place(locator.offset, locator.len)?)));
            let Some((read, place)) = found else { return Ok(None) };
            let start = (place.start + BLOCK_HEADER_BYTES).min(place.end);
            (read.bytes.clone(), start..place.end)
        };
        let damaged = |what| FormatError::corrupt(self.path(), locator.offset, what);
        let header = ChunkHeader::parse(&bytes[place.clone()])
            .map_err(|error| error.in_file(self.path(), locator.offset))?;
        self.check_entry(entry, &header).map_err(damaged)?;
        if header.chunk_len != place.len() as u64 {
            return Err(damaged("a chunk is not as long as it says"));
        }
        Ok(Some(StoredChunk { header, bytes, place }))
    }

    /// The chunk whose stamps one needs that finds its stamps over `depth` chunks, as it stands in the file; `None`
    /// where it is not there or longer than `bytes_max`.
    ///
    /// # Errors
    /// When it cannot be read or is damaged.
    pub fn lending_chunk(
        &self,
        reference: &TimeReference,
        depth: u8,
        bytes_max: u64,
    ) -> Result<Option<StoredChunk>, FormatError> {
        let at = TimeRange::new(reference.first, reference.first.saturating_add(1));
        for entry in self.entries(Key::SAMPLES, reference.channel, at) {
            let entry = entry?;
            let fits = entry.key.bin == reference.first.0
                && entry.chunk.as_ref().is_some_and(|chunk| chunk.statistics.count == reference.count);
            if !fits {
                continue;
            }
            let read = self.read_chunks(std::slice::from_ref(&entry), bytes_max)?;
            let Some(chunk) = self.stored_chunk(&entry, read.as_ref())? else { continue };
            if chunk.header.as_time_reference() == *reference && chunk.header.time_depth() < depth {
                return Ok(Some(chunk));
            }
        }
        Ok(None)
    }
}
