//! Chunks as they stand in the file, to be passed on undecoded.

use crate::Key;
use crate::chunk::{ChunkHeader, TimeReference};
use crate::format::BLOCK_HEADER_BYTES;
use crate::table::{Entry, Table, read_exactly};
use disk::{FormatError, Mapping};
use sample::TimeRange;
use std::borrow::Cow;
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// So many bytes are worth leaving in the page cache.
const MAPPED_BYTES_MIN: u64 = 32 << 10;
/// The most that is left there at once.
const MAPPED_BYTES_MAX: u64 = 4 << 20;

/// Consecutive bytes of a table, as they stand there.
#[derive(Debug)]
pub enum Surroundings {
    /// Read.
    Read(Vec<u8>),
    /// Left in the page cache: the file, and where they are there.
    Mapped(Arc<Mapping>, Range<usize>),
}

impl Surroundings {
    /// How many.
    #[expect(clippy::len_without_is_empty, reason = "nothing is never read")]
    pub fn len(&self) -> usize {
        match self {
            Surroundings::Read(bytes) => bytes.len(),
            Surroundings::Mapped(_, stretch) => stretch.len(),
        }
    }

    /// Those in `place`.
    ///
    /// # Errors
    /// When they have to be read and cannot be.
    ///
    /// # Panics
    /// When `place` lies outside.
    pub fn get(&self, place: Range<usize>) -> io::Result<Cow<'_, [u8]>> {
        match self {
            Surroundings::Read(bytes) => Ok(Cow::Borrowed(&bytes[place])),
            Surroundings::Mapped(mapping, stretch) => {
                let mut bytes = vec![0; place.len()];
                mapping.read(stretch.start + place.start, &mut bytes)?;
                Ok(Cow::Owned(bytes))
            }
        }
    }

    /// The file, and where it has those in `place`; `None` where they are in memory.
    pub fn mapped(&self, place: Range<usize>) -> Option<(&Arc<Mapping>, Range<usize>)> {
        match self {
            Surroundings::Read(_) => None,
            Surroundings::Mapped(mapping, stretch) => {
                Some((mapping, stretch.start + place.start..stretch.start + place.end))
            }
        }
    }
}

/// Bytes of a table, as they stand there, that were taken at once.
#[derive(Clone, Debug)]
pub struct StoredBytes {
    /// Where they begin in the file.
    offset: u64,
    bytes: Arc<Surroundings>,
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
    bytes: Arc<Surroundings>,
    place: Range<usize>,
}

impl StoredChunk {
    /// Its header.
    pub fn header(&self) -> &ChunkHeader {
        &self.header
    }

    /// The whole chunk, and perhaps what stands around it: [`StoredChunk::place`] says where it is.
    pub fn surroundings(&self) -> &Arc<Surroundings> {
        &self.bytes
    }

    /// Where the chunk is among [`StoredChunk::surroundings`].
    pub fn place(&self) -> Range<usize> {
        self.place.clone()
    }

    /// Whether nothing was taken behind it.
    pub fn ends_what_was_read(&self) -> bool {
        self.place.end == self.bytes.len()
    }
}

impl Table {
    /// Takes the blocks of `entries` that are one chunk each and lie one behind the other, from the first on; `None` where
    /// not even the first is that. No block is longer than `bytes_max`, nor are all together where they are read.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn read_chunks(&self, entries: &[Entry], bytes_max: u64) -> Result<Option<StoredBytes>, FormatError> {
        let Some(offset) = entries.first().map(|entry| entry.locator.offset) else { return Ok(None) };
        let extent = |most: u64| {
            let mut len = 0;
            for locator in entries.iter().map(|entry| entry.locator) {
                let next = locator.slot.is_none() && locator.offset == offset.saturating_add(len);
                if !next || locator.len > bytes_max || locator.len > most - len {
                    break;
                }
                len += locator.len;
            }
            len
        };
        // What is mapped takes no memory.
        let bytes = match (self.mapped(offset, extent(MAPPED_BYTES_MAX.max(bytes_max))), extent(bytes_max)) {
            (Some(mapped), _) => mapped,
            (None, 0) => return Ok(None),
            (None, len) => Surroundings::Read(read_exactly(&*self.file, offset, len)?),
        };
        Ok(Some(StoredBytes { offset, bytes: Arc::new(bytes) }))
    }

    /// A stretch that is worth leaving in the page cache, once that has it. What fails shows again when it is read.
    fn mapped(&self, offset: u64, len: u64) -> Option<Surroundings> {
        if len < MAPPED_BYTES_MIN {
            return None;
        }
        let mapping = self.mapping.get_or_init(|| self.file.map().map(Arc::new)).as_ref()?;
        let start = usize::try_from(offset).ok()?;
        let place = start..start.checked_add(usize::try_from(len).ok()?)?;
        mapping.fetch(place.clone()).ok()?;
        Some(Surroundings::Mapped(mapping.clone(), place))
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
            (Arc::new(Surroundings::Read(bytes)), place)
        } else {
            let found = read.and_then(|read| Some((read, read.place(locator.offset, locator.len)?)));
            let Some((read, place)) = found else { return Ok(None) };
            let start = (place.start + BLOCK_HEADER_BYTES).min(place.end);
            (read.bytes.clone(), start..place.end)
        };
        let damaged = |what| FormatError::corrupt(self.path(), locator.offset, what);
        let header = match &*bytes {
            Surroundings::Read(bytes) => {
                let header = ChunkHeader::parse(&bytes[place.clone()]);
                let header = header.map_err(|error| error.in_file(self.path(), locator.offset))?;
                self.check_entry(entry, &header).map_err(damaged)?;
                header
            }
            Surroundings::Mapped(..) => self.chunk_header(entry)?,
        };
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
