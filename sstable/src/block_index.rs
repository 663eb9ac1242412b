//! The block index: one row per block of data or of the dictionary.

use crate::block::{put_key, read_key};
use crate::chunk::Statistics;
use crate::format::BLOCK_HEADER_BYTES;
use crate::{ChunkHeader, Key};
use disk::{BytesError, Cursor, put_i64, put_u8, put_varint};
use sample::{ChannelId, Timestamp};

/// Where a block is and what it holds.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct IndexRow {
    pub(crate) offset: u64,
    /// With the block header.
    pub(crate) len: u64,
    pub(crate) entries: u32,
    pub(crate) first_key: Key,
    pub(crate) last_key: Key,
    /// The greatest last time of any entry.
    pub(crate) last: Timestamp,
    /// About the chunk, where the block is one.
    pub(crate) chunk: Option<ChunkFacts>,
}

/// What the index repeats of a chunk header.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct ChunkFacts {
    pub(crate) header_len: u32,
    pub(crate) first_rank: u32,
    pub(crate) late: bool,
    pub(crate) statistics: Statistics,
}

impl ChunkFacts {
    pub(crate) fn of(header: &ChunkHeader) -> ChunkFacts {
        ChunkFacts {
            header_len: header.header_len as u32,
            first_rank: header.first_rank,
            late: header.late,
            statistics: header.statistics.clone(),
        }
    }
}

/// Rate of the keys of a row about a block of the dictionary: behind all data.
const DICTIONARY: u64 = u64::MAX;

impl IndexRow {
    /// About a block of the dictionary with rows of the channels between two, both included.
    pub(crate) fn of_dictionary(offset: u64, len: u64, entries: u32, channels: [ChannelId; 2]) -> IndexRow {
        let [first_key, last_key] = channels.map(|channel| Key::new(DICTIONARY, channel, 0));
        IndexRow { offset, len, entries, first_key, last_key, last: Timestamp::MIN, chunk: None }
    }

    /// Whether the block is one of the dictionary.
    pub(crate) fn is_of_dictionary(&self) -> bool {
        self.first_key.rate == DICTIONARY
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, self.offset);
        put_varint(&mut out, self.len);
        put_varint(&mut out, u64::from(self.entries));
        put_key(&mut out, self.first_key);
        put_key(&mut out, self.last_key);
        put_i64(&mut out, self.last.0);
        if let Some(chunk) = &self.chunk {
            put_varint(&mut out, u64::from(chunk.header_len));
            put_varint(&mut out, u64::from(chunk.first_rank));
            put_u8(&mut out, u8::from(chunk.late));
            put_varint(&mut out, u64::from(chunk.statistics.count));
            chunk.statistics.put(Timestamp(self.first_key.bin), &mut out);
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<IndexRow, BytesError> {
        let mut cursor = Cursor::new(bytes);
        let (offset, len) = (cursor.varint()?, cursor.varint()?);
        let small = |cursor: &mut Cursor<'_>| {
            u32::try_from(cursor.varint()?).map_err(|_| cursor.error("a number passes 32 bits"))
        };
        let entries = small(&mut cursor)?;
        let (first_key, last_key) = (read_key(&mut cursor)?, read_key(&mut cursor)?);
        let last = Timestamp(cursor.i64()?);
        if first_key > last_key || len <= BLOCK_HEADER_BYTES as u64 || offset.checked_add(len).is_none() {
            return Err(cursor.error("a row of the index whose keys or offsets are not in order"));
        }
        let mut row = IndexRow { offset, len, entries, first_key, last_key, last, chunk: None };
        if !cursor.is_empty() {
            let (header_len, first_rank) = (small(&mut cursor)?, small(&mut cursor)?);
            let late = cursor.u8()? != 0;
            let count = small(&mut cursor)?;
            let statistics = Statistics::read(&mut cursor, Timestamp(first_key.bin), count)?;
            row.chunk = Some(ChunkFacts { header_len, first_rank, late, statistics });
        }
        cursor.finish()?;
        Ok(row)
    }
}
