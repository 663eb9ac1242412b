//! Reads chunks as they are stored.

use super::decode::{Batch, Entries, Text, fixed, place_among, ranks, u32_at, u64_at};
use super::{ARRAY, EXTENTS, KIND_CHUNKS, KIND_LENDERS, STORED};
use crate::limits::{CHUNKS_BLOCK_MAX, SEGMENT_SAMPLES_MAX};
use sample::{Kind, ValueType};
use sstable::ChunksApart;

/// The chunks of a block.
fn chunks(bytes: &[u8]) -> Result<Vec<&[u8]>, &'static str> {
    let all = Entries::all(bytes);
    let stored = all.required(STORED)?;
    let extents = fixed(all.required(EXTENTS)?, u64::from_le_bytes)?;
    let (extents, rest) = extents.as_chunks::<2>();
    if !rest.is_empty() {
        return Err("a chunk has a beginning and no length");
    }
    let outside = "a chunk lies outside its block";
    let chunk = |[offset, len]: &[u64; 2]| {
        let start = usize::try_from(*offset).map_err(|_| outside)?;
        let len = usize::try_from(*len).map_err(|_| outside)?;
        stored.get(start..start.checked_add(len).ok_or(outside)?).ok_or(outside)
    };
    extents.iter().map(chunk).collect()
}

/// The bytes of a block that the stream's checksum covers: all but stored chunks.
pub(super) fn covered(bytes: &[u8], kind: u32) -> Result<[&[u8]; 2], &'static str> {
    let stored = match kind {
        KIND_CHUNKS | KIND_LENDERS => place_among(bytes, STORED, Entries::all(bytes).places)?,
        _ => None,
    };
    let place = stored.map_or(bytes.len()..bytes.len(), |(_, place)| place);
    Ok([&bytes[..place.start], &bytes[place.end..]])
}

/// Keeps the stamps of a block of lenders.
pub(super) fn lend(bytes: &[u8], apart: &mut ChunksApart) -> Result<(), &'static str> {
    chunks(bytes)?.into_iter().try_for_each(|chunk| apart.lend(chunk).map_err(|error| error.what))
}

/// The samples of a block of chunks.
pub(super) fn batch(bytes: &[u8], apart: &ChunksApart) -> Result<Batch, &'static str> {
    let text = Text::of(bytes)?;
    let count = u64_at(bytes, 16).unwrap_or(0);
    let type_code = u32_at(bytes, 28).unwrap_or(0);
    let kind = u8::try_from(type_code & !ARRAY).ok().and_then(Kind::from_tag).ok_or("unknown value type")?;
    let value_type = ValueType { kind, array: type_code & ARRAY != 0 };
    let chunks = chunks(bytes)?;
    if count > SEGMENT_SAMPLES_MAX as u64 || chunks.len() > CHUNKS_BLOCK_MAX {
        return Err("a block of more chunks or samples than it may have");
    }
    let mut whole = None;
    for chunk in chunks {
        let block = apart.decode(chunk).map_err(|error| error.what)?;
        let whole = whole.get_or_insert_with(|| sample::SampleBlock::new(block.run.clone()));
        let in_order = whole.time.last().is_none_or(|last| Some(last) <= block.time.first());
        if block.run.value != value_type || block.run != whole.run || !in_order {
            return Err("a chunk has another type than its block, or lies before the one before it");
        }
        if !block.is_empty() {
            whole.append(&block, 0, block.len());
        }
    }
    let mut block = whole.ok_or("a block of no chunks")?;
    if block.len() as u64 != count {
        return Err("its chunks have other samples than it counts");
    }
    block.rank = ranks(&block.time);
    let channel_index = u32_at(bytes, 24).unwrap_or(0);
    Ok(Batch { channel_index, name: text.name, block, edge: Vec::new(), json: text.json })
}
