//! Streams of integers become integers: whole, in part, or one by one.

use super::{POSITION_BITS, half_range, unzigzag};
use crate::codec::pack::{BLOCK_VALUES, packed, unpack, unpack_one, unpack_onto, unpack_some};
use crate::codec::{pco, split};
use crate::format::BlockCodec;
use disk::{BytesError, Cursor};
use std::ops::Range;

/// Appends `count` integers to `out`. The caller has checked `count` against a limit.
pub(crate) fn decode(cursor: &mut Cursor<'_>, count: usize, out: &mut Vec<i64>) -> Result<(), BytesError> {
    let end = out.len() + count;
    while out.len() < end {
        decode_block(cursor, end - out.len(), out)?;
    }
    Ok(())
}

/// Appends the integers `rows` of a stream of `count`.
pub(crate) fn decode_rows(
    cursor: &mut Cursor<'_>,
    count: usize,
    rows: Range<usize>,
    out: &mut Vec<i64>,
) -> Result<(), BytesError> {
    // Looking up values one by one costs more where all are wanted.
    if rows == (0..count) {
        return decode(cursor, count, out);
    }
    let mut at = 0;
    while at < count {
        let (left, start) = (count - at, out.len());
        if let Some(block) = Seekable::read(cursor, left.min(BLOCK_VALUES))? {
            block.get_some(overlap(&rows, at, BLOCK_VALUES), out);
            at += BLOCK_VALUES;
            continue;
        }
        if let Some(codec) =
            cursor.peek().and_then(BlockCodec::from_tag).filter(|codec| split::writes(*codec))
        {
            cursor.u8()?;
            return split::decode(cursor, left, overlap(&rows, at, left), codec, out);
        }
        decode_block(cursor, left, out)?;
        let len = out.len() - start;
        let wanted = overlap(&rows, at, len);
        out.truncate(start + wanted.end);
        out.drain(start..start + wanted.start);
        at += len;
    }
    Ok(())
}

/// As [`decode`], of a stream whose blocks are all packed or runs.
pub(in crate::codec) fn decode_packed(
    cursor: &mut Cursor<'_>,
    count: usize,
    out: &mut Vec<i64>,
) -> Result<(), BytesError> {
    let end = out.len() + count;
    while out.len() < end {
        if cursor.clone().u8()? > BlockCodec::Runs as u8 {
            return Err(cursor.error("a block that is packed or of runs was expected"));
        }
        decode_block(cursor, end - out.len(), out)?;
    }
    Ok(())
}

/// Which of the `len` values from `at` on are among `rows`, counted from `at`.
pub(crate) fn overlap(rows: &Range<usize>, at: usize, len: usize) -> Range<usize> {
    rows.start.clamp(at, at + len) - at..rows.end.clamp(at, at + len) - at
}

/// A full block of which any value can be looked at alone.
pub(crate) struct Seekable<'a> {
    bytes: &'a [u8],
    width: u32,
    zero: i64,
    /// Positions, ascending, with what stands there.
    patches: Vec<(usize, i64)>,
}

impl<'a> Seekable<'a> {
    /// Reads a block of `count` integers if it is such a one; else reads nothing.
    pub(crate) fn read(cursor: &mut Cursor<'a>, count: usize) -> Result<Option<Seekable<'a>>, BytesError> {
        let patched = match cursor.peek().and_then(BlockCodec::from_tag) {
            Some(BlockCodec::Frame) if count == BLOCK_VALUES => false,
            Some(BlockCodec::Patched) if count == BLOCK_VALUES => true,
            _ => return Ok(None),
        };
        cursor.u8()?;
        let width = u32::from(cursor.u8()?);
        let base = cursor.varint_signed()?;
        let zero = if patched { base.wrapping_sub(half_range(width)) } else { base };
        let bytes = packed(cursor, width)?;
        let mut patches = Vec::new();
        if patched {
            read_patches(cursor, base, BLOCK_VALUES, |position, value| patches.push((position, value)))?;
            patches.sort_by_key(|(position, _)| *position);
        }
        Ok(Some(Seekable { bytes, width, zero, patches }))
    }

    /// Integer `at` of 0 to 1023.
    pub(crate) fn get(&self, at: usize) -> i64 {
        match self.patches.binary_search_by_key(&at, |(position, _)| *position) {
            Ok(found) => self.patches[found].1,
            Err(_) => self.zero.wrapping_add(unpack_one(self.bytes, self.width, at) as i64),
        }
    }

    /// Appends the integers `wanted`.
    pub(crate) fn get_some(&self, wanted: Range<usize>, out: &mut Vec<i64>) {
        let start = out.len();
        unpack_some(self.bytes, self.width, wanted.clone(), self.zero, out);
        let before = self.patches.partition_point(|(position, _)| *position < wanted.start);
        for (position, value) in self.patches[before..].iter().take_while(|(at, _)| *at < wanted.end) {
            out[start + position - wanted.start] = *value;
        }
    }
}

/// Appends one block of a stream of which `left` integers are missing.
fn decode_block(cursor: &mut Cursor<'_>, left: usize, out: &mut Vec<i64>) -> Result<(), BytesError> {
    let codec = BlockCodec::from_tag(cursor.u8()?).ok_or_else(|| cursor.error("an unknown block codec"))?;
    let count = left.min(BLOCK_VALUES);
    let (patched, deltas) = match codec {
        BlockCodec::Runs => return decode_runs(cursor, count, out),
        BlockCodec::Pco => return pco::decode(cursor, left, out),
        BlockCodec::Split
        | BlockCodec::SplitDelta
        | BlockCodec::SplitStream
        | BlockCodec::SplitDeltaStream => {
            return split::decode(cursor, left, 0..left, codec, out);
        }
        BlockCodec::Frame => (false, false),
        BlockCodec::FrameDelta => (false, true),
        BlockCodec::Patched => (true, false),
        BlockCodec::PatchedDelta => (true, true),
    };
    let first = if deltas { cursor.varint_signed()? } else { 0 };
    let width = u32::from(cursor.u8()?);
    let base = cursor.varint_signed()?;
    let start = out.len();
    let zero = if patched { base.wrapping_sub(half_range(width)) } else { base };
    unpack_onto(cursor, width, count, zero, out)?;
    if patched {
        let values = &mut out[start..];
        read_patches(cursor, base, count, |position, value| values[position] = value)?;
    }
    if deltas {
        integrate(first, &mut out[start..]);
    }
    Ok(())
}

/// Sums up differences, so that the first value is `first`.
pub(in crate::codec) fn integrate(first: i64, values: &mut [i64]) {
    let mut sum = first.wrapping_sub(values.first().copied().unwrap_or(0));
    for value in values {
        sum = sum.wrapping_add(*value);
        *value = sum;
    }
}

/// Hands on the patches of a block of `values` values: positions inside the block, and what stands there.
#[inline(always)]
fn read_patches(
    cursor: &mut Cursor<'_>,
    base: i64,
    values: usize,
    mut patch: impl FnMut(usize, i64),
) -> Result<(), BytesError> {
    let count = cursor.varint()?;
    if count > values as u64 {
        return Err(cursor.error("a block has more patches than values"));
    }
    let width = u32::from(cursor.u8()?);
    // Most often few: two arrays of a whole block would cost more to clear than to read.
    let mut both = vec![0u64; 2 * count as usize];
    let (positions, outliers) = both.split_at_mut(count as usize);
    unpack(cursor, POSITION_BITS, positions)?;
    unpack(cursor, width, outliers)?;
    for (position, outlier) in positions.iter().zip(outliers.iter()) {
        if *position >= values as u64 {
            return Err(cursor.error("a patch lies outside its block"));
        }
        patch(*position as usize, base.wrapping_add(unzigzag(*outlier)));
    }
    Ok(())
}

fn decode_runs(cursor: &mut Cursor<'_>, count: usize, out: &mut Vec<i64>) -> Result<(), BytesError> {
    let end = out.len() + count;
    let mut value = 0i64;
    while out.len() < end {
        let len = cursor.varint()?;
        if len == 0 || len > (end - out.len()) as u64 {
            return Err(cursor.error("a run has no length or passes the end of its block"));
        }
        value = value.wrapping_add(cursor.varint_signed()?);
        out.resize(out.len() + len as usize, value);
    }
    Ok(())
}
