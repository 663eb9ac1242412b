//! Walking the blocks of a table whose index or footer may be lost.

use crate::Key;
use crate::block::{BlockHeader, SharedBlock, unpack_dictionary, unpack_index, unpack_lineage};
use crate::chunk::ChunkHeader;
use crate::footer::{TableInfo, decode_prologue};
use crate::format::*;
use crate::record::{DictionaryRow, Lineage};
use crate::table::{read_exactly, read_some};
use disk::{Disk, File, FormatError};
use sample::Timestamp;
use std::path::Path;
use std::sync::Arc;

/// Bytes read at a time while looking for the next block.
const SEARCH_BYTES: usize = 1 << 20;

/// Reads the blocks of a file one after the other without index, dictionary or footer. Damage is reported
/// with its place; reading goes on at the next block that can be recognised.
#[derive(Debug)]
pub struct Scan {
    file: Arc<dyn File>,
    info: Option<TableInfo>,
    offset: u64,
    file_len: u64,
    /// A problem with the first bytes, not yet reported.
    pending: Option<FormatError>,
    /// Where the data end, once it was looked for.
    end: Option<u64>,
}

/// One block.
#[derive(Debug)]
pub struct ScannedBlock {
    /// Where it begins in the file.
    pub offset: u64,
    /// Its length.
    pub len: u64,
    /// What it holds.
    pub content: ScannedContent,
}

/// What a block holds.
#[derive(Debug)]
pub enum ScannedContent {
    /// One chunk; its header is checked, its pages check themselves when they are decoded.
    Chunk(Box<ChunkHeader>, Vec<u8>),
    /// Small chunks (those of rate 0) with records.
    Shared(Vec<ScannedEntry>),
    /// Rows of the channel dictionary.
    Dictionary(Vec<DictionaryRow>),
    /// Rows of the block index, which say nothing that the blocks do not.
    Index {
        /// How many.
        rows: usize,
    },
    /// Where the table came from.
    Lineage(Box<Lineage>),
}

/// One entry of a shared block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScannedEntry {
    /// Its key.
    pub key: Key,
    /// Time of the last sample or item.
    pub last: Timestamp,
    /// A chunk or a record's payload.
    pub payload: Vec<u8>,
}

impl Scan {
    /// Begins at the first block of the file at `path`. Damaged first bytes are the first thing reported.
    ///
    /// # Errors
    /// When the disk refuses, or the file is of another kind or of a newer format.
    pub fn open(disk: &dyn Disk, path: &Path) -> Result<Scan, FormatError> {
        let file = disk.open(path)?;
        let file_len = file.len()?;
        let (info, pending) = match decode_prologue(&read_some(&*file, 0, PROLOGUE_BYTES)?, path) {
            Ok((info, _)) => (Some(info), None),
            Err(error @ FormatError::Corrupt { .. }) => (None, Some(error)),
            Err(error) => return Err(error),
        };
        Ok(Scan { file, info, offset: PROLOGUE_BYTES as u64, file_len, pending, end: None })
    }

    /// Over an open file whatever its first bytes are.
    pub(crate) fn over(file: Arc<dyn File>) -> Result<Scan, FormatError> {
        let file_len = file.len()?;
        Ok(Scan { file, info: None, offset: PROLOGUE_BYTES as u64, file_len, pending: None, end: None })
    }

    /// Where the next block is looked for.
    pub(crate) fn position(&self) -> u64 {
        self.offset
    }

    /// Whose data the file holds, if its first bytes can be read.
    pub fn info(&self) -> Option<&TableInfo> {
        self.info.as_ref()
    }

    /// Where the data end: before the footer, where there is one.
    fn end(&mut self) -> Result<u64, FormatError> {
        if let Some(end) = self.end {
            return Ok(end);
        }
        let footer = self.file_len.saturating_sub(FOOTER_BYTES as u64);
        let magic = read_some(&*self.file, footer, FOOTER_MAGIC.len())?;
        let end = if magic == FOOTER_MAGIC { footer } else { self.file_len };
        self.end = Some(end);
        Ok(end)
    }

    fn step(&mut self) -> Result<Option<ScannedBlock>, FormatError> {
        if let Some(error) = self.pending.take() {
            return Err(error);
        }
        let end = self.end()?;
        if self.offset >= end {
            return Ok(None);
        }
        let start = self.offset;
        let header = match self.header_at(start, end)? {
            Some(header) => header,
            None => {
                self.offset = self.next_block(start + 1, end)?;
                let what = format!("no block begins here; {} bytes are passed over", self.offset - start);
                return Err(FormatError::corrupt(self.file.path(), start, what));
            }
        };
        let len = header.body_len + BLOCK_HEADER_BYTES as u64;
        self.offset = start + len;
        let block = read_exactly(&*self.file, start, len)?;
        let content = self.content(&header, block).map_err(|error| error.in_file(self.file.path(), start))?;
        Ok(Some(ScannedBlock { offset: start, len, content }))
    }

    fn content(&self, header: &BlockHeader, block: Vec<u8>) -> Result<ScannedContent, disk::BytesError> {
        Ok(match header.kind {
            BlockKind::Chunk => {
                let chunk = block[BLOCK_HEADER_BYTES..].to_vec();
                let header = ChunkHeader::parse(&chunk).map_err(|error| disk::BytesError {
                    position: error.position + BLOCK_HEADER_BYTES,
                    what: error.what,
                })?;
                ScannedContent::Chunk(Box::new(header), chunk)
            }
            BlockKind::Shared => {
                let shared = SharedBlock::parse(&block)?;
                let entry = |entry: &crate::block::SharedEntry| ScannedEntry {
                    key: entry.key,
                    last: entry.last,
                    payload: shared.payload(entry).to_vec(),
                };
                ScannedContent::Shared(shared.entries.iter().map(entry).collect())
            }
            BlockKind::Dictionary => ScannedContent::Dictionary(unpack_dictionary(&block)?),
            BlockKind::Lineage => ScannedContent::Lineage(Box::new(unpack_lineage(&block)?)),
            BlockKind::Index => ScannedContent::Index { rows: unpack_index(&block)?.len() },
        })
    }

    /// The header of the block at `offset`, if one is there that ends at or before `end`.
    fn header_at(&self, offset: u64, end: u64) -> Result<Option<BlockHeader>, FormatError> {
        let header = BlockHeader::decode(&read_some(&*self.file, offset, BLOCK_HEADER_BYTES)?).ok();
        Ok(header.filter(|header| {
            header
                .block_len()
                .and_then(|len| offset.checked_add(len))
                .is_some_and(|block_end| block_end <= end)
        }))
    }

    /// The first offset from `from` on where a block begins, or `end`.
    fn next_block(&self, mut from: u64, end: u64) -> Result<u64, FormatError> {
        while from < end {
            let bytes = read_some(&*self.file, from, SEARCH_BYTES)?;
            let places = bytes.windows(BLOCK_MAGIC.len()).enumerate();
            for (at, _) in places.filter(|(_, window)| *window == BLOCK_MAGIC) {
                if self.header_at(from + at as u64, end)?.is_some() {
                    return Ok(from + at as u64);
                }
            }
            // A magic may lie across the end of these bytes.
            from += bytes.len().saturating_sub(BLOCK_MAGIC.len() - 1).max(1) as u64;
        }
        Ok(end)
    }
}

impl Iterator for Scan {
    type Item = Result<ScannedBlock, FormatError>;

    fn next(&mut self) -> Option<Self::Item> {
        let before = self.offset;
        let found = self.step().transpose();
        if matches!(found, Some(Err(FormatError::Io(_)))) && self.offset == before {
            self.offset = self.file_len;
        }
        found
    }
}
