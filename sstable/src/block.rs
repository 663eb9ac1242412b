//! Blocks: the checked pieces that a table consists of.

use crate::Key;
use crate::block_index::IndexRow;
use crate::codec::{Profile, zstd};
use crate::format::*;
use crate::record::{DictionaryRow, Lineage, decode_lineage, decode_rows, encode_rows};
use disk::{BytesError, Cursor, checksum, put_bytes, put_i64, put_u8, put_u16, put_u32, put_u64, put_varint};
use sample::{ChannelId, Timestamp};
use std::ops::Range;

/// The header of a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BlockHeader {
    pub(crate) kind: BlockKind,
    pub(crate) compression: Compression,
    pub(crate) entries: u32,
    pub(crate) body_len: u64,
    /// Of a chunk block 0: the chunk checks itself.
    pub(crate) body_crc: u32,
}

impl BlockHeader {
    /// Length of the block with its header.
    pub(crate) fn block_len(&self) -> Option<u64> {
        self.body_len.checked_add(BLOCK_HEADER_BYTES as u64)
    }

    pub(crate) fn encode(&self) -> [u8; BLOCK_HEADER_BYTES] {
        let mut out = BLOCK_MAGIC.to_vec();
        put_u8(&mut out, self.kind as u8);
        put_u8(&mut out, self.compression as u8);
        put_u16(&mut out, 0);
        put_u32(&mut out, self.entries);
        put_u64(&mut out, self.body_len);
        put_u32(&mut out, self.body_crc);
        let crc = checksum(&out);
        put_u32(&mut out, crc);
        let mut bytes = [0; BLOCK_HEADER_BYTES];
        bytes.copy_from_slice(&out);
        bytes
    }

    /// Reads the header at the beginning of `bytes`.
    pub(crate) fn decode(bytes: &[u8]) -> Result<BlockHeader, BytesError> {
        let mut cursor = Cursor::new(bytes);
        let fields = Cursor::new(bytes).bytes(BLOCK_HEADER_BYTES)?;
        let damaged = |what| BytesError { position: 0, what };
        if cursor.array()? != BLOCK_MAGIC {
            return Err(damaged("a block was expected to begin here"));
        }
        let (fields, crc) = fields.split_at(BLOCK_HEADER_BYTES - 4);
        if checksum(fields).to_le_bytes() != crc {
            return Err(damaged("a block header fails its checksum"));
        }
        let kind = BlockKind::from_tag(cursor.u8()?).ok_or(damaged("an unknown kind of block"))?;
        let compression = Compression::from_tag(cursor.u8()?).ok_or(damaged("an unknown compression"))?;
        if cursor.u16()? != 0 {
            return Err(damaged("a block header with bits that mean nothing yet"));
        }
        let header = BlockHeader {
            kind,
            compression,
            entries: cursor.u32()?,
            body_len: cursor.u64()?,
            body_crc: cursor.u32()?,
        };
        let is_plain_chunk = compression == Compression::Plain && header.entries == 1 && header.body_crc == 0;
        if kind == BlockKind::Chunk && !is_plain_chunk {
            return Err(damaged("a block of one chunk is neither compressed nor checked as a whole"));
        }
        Ok(header)
    }
}

/// A whole block with a checked body, compressed where that is smaller.
pub(crate) fn encode_block(kind: BlockKind, entries: u32, body: &[u8]) -> Vec<u8> {
    let small = if body.len() <= UNPACKED_BYTES_MAX { zstd::compress(body, zstd::LEVEL_FAST) } else { None };
    let (compression, stored) = match small {
        Some(small) if small.len() + 8 < body.len() => {
            let mut stored = Vec::with_capacity(small.len() + 8);
            put_varint(&mut stored, body.len() as u64);
            stored.extend_from_slice(&small);
            (Compression::Zstd, stored)
        }
        _ => (Compression::Plain, body.to_vec()),
    };
    whole_block(kind, compression, entries, &stored)
}

/// A whole block with a checked body as it is.
pub(crate) fn plain_block(kind: BlockKind, entries: u32, body: &[u8]) -> Vec<u8> {
    whole_block(kind, Compression::Plain, entries, body)
}

/// A whole block of rows of the dictionary, which are compressed column by column.
pub(crate) fn dictionary_block(rows: &[DictionaryRow], profile: Profile) -> Vec<u8> {
    let body = encode_rows(rows, profile);
    whole_block(BlockKind::Dictionary, Compression::Plain, rows.len() as u32, &body)
}

fn whole_block(kind: BlockKind, compression: Compression, entries: u32, stored: &[u8]) -> Vec<u8> {
    let header =
        BlockHeader { kind, compression, entries, body_len: stored.len() as u64, body_crc: checksum(stored) };
    let mut block = Vec::with_capacity(BLOCK_HEADER_BYTES + stored.len());
    block.extend_from_slice(&header.encode());
    block.extend_from_slice(stored);
    block
}

/// The checked body of a block that is not of one chunk; `block` is the whole block.
pub(crate) fn unpack_block(block: &[u8]) -> Result<(BlockHeader, Vec<u8>), BytesError> {
    let header = BlockHeader::decode(block)?;
    let stored = &block[BLOCK_HEADER_BYTES..];
    let damaged = |what| BytesError { position: BLOCK_HEADER_BYTES, what };
    if stored.len() as u64 != header.body_len {
        return Err(damaged("a block is not as long as it says"));
    }
    if header.kind == BlockKind::Chunk {
        return Err(damaged("a block of many entries was expected here"));
    }
    if checksum(stored) != header.body_crc {
        return Err(damaged("a block fails its checksum"));
    }
    let body = match header.compression {
        Compression::Plain => stored.to_vec(),
        Compression::Zstd => {
            let mut cursor = Cursor::new(stored);
            let len = cursor.varint()?;
            if len > UNPACKED_BYTES_MAX as u64 {
                return Err(damaged("a block unpacks to more than 1 MiB"));
            }
            zstd::decompress(cursor.rest(), len as usize)
                .ok_or(damaged("a block does not unpack to its length"))?
        }
    };
    Ok((header, body))
}

/// One entry of a shared block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SharedEntry {
    pub(crate) key: Key,
    /// Time of the last item.
    pub(crate) last: Timestamp,
    /// Where the payload lies in the block's body.
    pub(crate) payload: Range<usize>,
}

/// A shared block, unpacked.
#[derive(Debug)]
pub(crate) struct SharedBlock {
    body: Vec<u8>,
    pub(crate) entries: Vec<SharedEntry>,
}

impl SharedBlock {
    /// From a whole block.
    pub(crate) fn parse(block: &[u8]) -> Result<SharedBlock, BytesError> {
        let (header, body) = unpack_block(block)?;
        if header.kind != BlockKind::Shared {
            return Err(BytesError { position: 8, what: "a shared block was expected here" });
        }
        let entries = read_directory(&body, header.entries)
            .map_err(|error| BytesError { position: BLOCK_HEADER_BYTES, what: error.what })?;
        Ok(SharedBlock { body, entries })
    }

    /// The payload of an entry.
    pub(crate) fn payload(&self, entry: &SharedEntry) -> &[u8] {
        &self.body[entry.payload.clone()]
    }

    /// Bytes held in memory.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.body.len() + self.entries.len() * size_of::<SharedEntry>()
    }
}

/// Appends a key.
pub(crate) fn put_key(out: &mut Vec<u8>, key: Key) {
    put_varint(out, key.rate);
    put_varint(out, key.channel.0);
    put_i64(out, key.bin);
}

/// Reads a key.
pub(crate) fn read_key(cursor: &mut Cursor<'_>) -> Result<Key, BytesError> {
    Ok(Key { rate: cursor.varint()?, channel: ChannelId(cursor.varint()?), bin: cursor.i64()? })
}

/// About how many bytes an entry takes in the directory of a shared block.
const DIRECTORY_BYTES: usize = 32;

/// The body of a shared block: the directory, then the payloads.
pub(crate) fn shared_body(entries: &[(Key, Timestamp, Vec<u8>)]) -> Vec<u8> {
    let payloads: usize = entries.iter().map(|(_, _, payload)| payload.len()).sum();
    let mut body = Vec::with_capacity(payloads + entries.len() * DIRECTORY_BYTES);
    for (key, last, payload) in entries {
        put_key(&mut body, *key);
        put_i64(&mut body, last.0);
        put_varint(&mut body, payload.len() as u64);
    }
    entries.iter().for_each(|(_, _, payload)| body.extend_from_slice(payload));
    body
}

fn read_directory(body: &[u8], count: u32) -> Result<Vec<SharedEntry>, BytesError> {
    let mut cursor = Cursor::new(body);
    if count == 0 || count as usize > body.len() / 19 {
        return Err(cursor.error("a shared block with an impossible number of entries"));
    }
    let mut entries: Vec<SharedEntry> = Vec::with_capacity(count as usize);
    let mut end = 0usize;
    for _ in 0..count {
        let key = read_key(&mut cursor)?;
        let last = Timestamp(cursor.i64()?);
        let len = usize::try_from(cursor.varint()?).ok().and_then(|len| end.checked_add(len));
        let start = end;
        end = len.ok_or_else(|| cursor.error("a payload passes the end of its block"))?;
        if entries.last().is_some_and(|before| before.key > key) {
            return Err(cursor.error("entries of a block are not in the order of their keys"));
        }
        entries.push(SharedEntry { key, last, payload: start..end });
    }
    let payloads = cursor.position();
    if cursor.remaining() != end {
        return Err(cursor.error("payloads do not fill their block"));
    }
    for entry in &mut entries {
        entry.payload = entry.payload.start + payloads..entry.payload.end + payloads;
    }
    Ok(entries)
}

/// The rows of an index block, each with its length.
pub(crate) fn rows_body(rows: &[Vec<u8>]) -> Vec<u8> {
    let mut body = Vec::new();
    rows.iter().for_each(|row| put_bytes(&mut body, row));
    body
}

/// What a whole lineage block says.
pub(crate) fn unpack_lineage(block: &[u8]) -> Result<Lineage, BytesError> {
    let (header, body) = unpack_block(block)?;
    if header.kind != BlockKind::Lineage || header.entries != 1 {
        return Err(BytesError { position: 8, what: "a lineage block was expected here" });
    }
    decode_lineage(&body).map_err(|error| BytesError { position: BLOCK_HEADER_BYTES, what: error.what })
}

/// The rows of a whole index block.
pub(crate) fn unpack_index(block: &[u8]) -> Result<Vec<IndexRow>, BytesError> {
    let (header, body) = unpack_block(block)?;
    let damaged = |what| BytesError { position: BLOCK_HEADER_BYTES, what };
    if header.kind != BlockKind::Index {
        return Err(BytesError { position: 8, what: "a block of the index was expected here" });
    }
    let mut cursor = Cursor::new(&body);
    let mut rows = Vec::new();
    for _ in 0..header.entries {
        let row = cursor.counted_bytes().map_err(|error| damaged(error.what))?;
        rows.push(IndexRow::decode(row).map_err(|error| damaged(error.what))?);
    }
    cursor.finish().map_err(|error| damaged(error.what))?;
    Ok(rows)
}

/// The rows of a whole dictionary block.
pub(crate) fn unpack_dictionary(block: &[u8]) -> Result<Vec<DictionaryRow>, BytesError> {
    let (header, body) = unpack_block(block)?;
    if header.kind != BlockKind::Dictionary {
        return Err(BytesError { position: 8, what: "a block of the dictionary was expected here" });
    }
    decode_rows(&body, header.entries)
        .map_err(|error| BytesError { position: BLOCK_HEADER_BYTES, what: error.what })
}
