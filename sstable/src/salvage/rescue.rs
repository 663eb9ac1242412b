//! Chunks that outlived the damage around them.

use super::output::{Output, Place};
use crate::chunk::{ChunkHeader, chunk_header_len};
use crate::format::CHUNK_MAGIC;
use crate::table::{read_exactly, read_some};
use disk::{File, FormatError};
use std::ops::Range;

/// Bytes looked through at a time.
const SEARCH_BYTES: usize = 1 << 20;

/// Takes the chunks that begin in `stretch`; says where they lie.
pub(super) fn chunks(
    file: &dyn File,
    stretch: Range<u64>,
    output: &mut Output,
) -> Result<Vec<Range<u64>>, FormatError> {
    let mut found = Vec::new();
    let mut from = stretch.start;
    while from < stretch.end {
        let left = usize::try_from(stretch.end - from).unwrap_or(usize::MAX);
        let bytes = read_some(file, from, SEARCH_BYTES.min(left))?;
        if bytes.len() < CHUNK_MAGIC.len() {
            break;
        }
        let hit = bytes.windows(CHUNK_MAGIC.len()).position(|window| window == CHUNK_MAGIC);
        let Some(hit) = hit else {
            // A magic may lie across the end of these bytes.
            from += (bytes.len() - CHUNK_MAGIC.len() + 1) as u64;
            continue;
        };
        let at = from + hit as u64;
        from = at + 1;
        let Some((header, chunk)) = chunk_at(file, at, stretch.end)? else { continue };
        let place = Place { offset: at, len: header.chunk_len, slot: None };
        from = at + place.len;
        if output.chunk(header, chunk, place)? {
            found.push(at..from);
        }
    }
    Ok(found)
}

/// The chunk at `at`, if one stands there whose header is sound and that ends at or before `end`.
fn chunk_at(file: &dyn File, at: u64, end: u64) -> Result<Option<(ChunkHeader, Vec<u8>)>, FormatError> {
    let Ok(header_len) = chunk_header_len(&read_some(file, at, 8)?) else { return Ok(None) };
    if header_len as u64 > end - at {
        return Ok(None);
    }
    let Ok(header) = ChunkHeader::parse(&read_exactly(file, at, header_len as u64)?) else { return Ok(None) };
    if header.chunk_len > end - at {
        return Ok(None);
    }
    let chunk = read_exactly(file, at, header.chunk_len)?;
    Ok(Some((header, chunk)))
}
