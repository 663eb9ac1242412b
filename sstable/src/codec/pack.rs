//! Bit packing of unsigned integers at one width.
//!
//! A full block of 1024 values lies in 16 lanes of 64-bit words, so that packing is the same shift for 16
//! neighbours and the compiler vectorises it; a shorter block is one little-endian stream of bits.

use super::wide::wide;
use disk::{BytesError, Cursor};
use std::ops::Range;

/// Values of a full block.
pub(crate) const BLOCK_VALUES: usize = 1024;
const LANES: usize = 16;
const ROWS: usize = BLOCK_VALUES / LANES;

const WIDTH: &str = "a bit width of at most 64 was expected";

/// Bytes of `count` values at `width` bits. A full block of lanes is exactly as long as a stream of bits.
pub(crate) fn packed_len(count: usize, width: u32) -> usize {
    (count * width as usize).div_ceil(8)
}

fn mask(width: u32) -> u64 {
    if width == 0 { 0 } else { u64::MAX >> (64 - width) }
}

/// Appends the low `width` (at most 64) bits of each of at most 1024 values.
pub(crate) fn pack(values: &[u64], width: u32, out: &mut Vec<u8>) {
    debug_assert!(width <= 64 && values.len() <= BLOCK_VALUES);
    if width == 0 {
        return;
    }
    match values.try_into() {
        Ok(block) => wide(|| pack_lanes(block, width, out)),
        Err(_) => wide(|| pack_stream(values, width, out)),
    }
}

#[inline(always)]
fn pack_lanes(values: &[u64; BLOCK_VALUES], width: u32, out: &mut Vec<u8>) {
    let mask = mask(width);
    let mut words = [[0u64; LANES]; ROWS];
    for (row, lanes) in values.chunks_exact(LANES).enumerate() {
        let bit = row * width as usize;
        let (word, shift) = (bit / 64, (bit % 64) as u32);
        for (to, from) in words[word].iter_mut().zip(lanes) {
            *to |= (from & mask) << shift;
        }
        if shift + width > 64 {
            for (to, from) in words[word + 1].iter_mut().zip(lanes) {
                *to = (from & mask) >> (64 - shift);
            }
        }
    }
    for word in words[..width as usize].iter().flatten() {
        out.extend_from_slice(&word.to_le_bytes());
    }
}

#[inline(always)]
fn pack_stream(values: &[u64], width: u32, out: &mut Vec<u8>) {
    let mask = mask(width);
    let end = out.len() + packed_len(values.len(), width);
    let (mut word, mut filled) = (0u64, 0u32);
    for value in values.iter().map(|value| value & mask) {
        word |= value << filled;
        filled += width;
        if filled >= 64 {
            out.extend_from_slice(&word.to_le_bytes());
            filled -= 64;
            word = if filled == 0 { 0 } else { value >> (width - filled) };
        }
    }
    let missing = end - out.len();
    out.extend_from_slice(&word.to_le_bytes()[..missing]);
}

/// Reads values packed at `width` into all of `out` (at most 1024).
pub(crate) fn unpack(cursor: &mut Cursor<'_>, width: u32, out: &mut [u64]) -> Result<(), BytesError> {
    if width > 64 {
        return Err(cursor.error(WIDTH));
    }
    let bytes = cursor.bytes(packed_len(out.len(), width))?;
    if width == 0 {
        out.fill(0);
    } else if let Ok(block) = <&mut [u64; BLOCK_VALUES]>::try_from(&mut *out) {
        wide(|| {
            for (row, values) in block.chunks_exact_mut(LANES).enumerate() {
                values.copy_from_slice(&unpack_row(bytes, width, row));
            }
        });
    } else {
        wide(|| unpack_stream(bytes, width, out));
    }
    Ok(())
}

/// Appends `count` (at most 1024) values packed at `width`, each plus `zero`.
pub(crate) fn unpack_onto(
    cursor: &mut Cursor<'_>,
    width: u32,
    count: usize,
    zero: i64,
    out: &mut Vec<i64>,
) -> Result<(), BytesError> {
    if count < BLOCK_VALUES || width == 0 {
        let mut offsets = [0u64; BLOCK_VALUES];
        let offsets = &mut offsets[..count];
        unpack(cursor, width, offsets)?;
        wide(|| out.extend(offsets.iter().map(|offset| zero.wrapping_add(*offset as i64))));
        return Ok(());
    }
    let bytes = packed(cursor, width)?;
    out.reserve(count);
    wide(|| {
        for row in 0..ROWS {
            out.extend(unpack_row(bytes, width, row).map(|offset| zero.wrapping_add(offset as i64)));
        }
    });
    Ok(())
}

/// As [`unpack_onto`], of which only those `wanted` are appended.
pub(crate) fn unpack_some_onto(
    cursor: &mut Cursor<'_>,
    width: u32,
    count: usize,
    wanted: Range<usize>,
    zero: i64,
    out: &mut Vec<i64>,
) -> Result<(), BytesError> {
    if wanted.is_empty() {
        return cursor.bytes(packed_len(count, width)).map(drop);
    }
    if count == BLOCK_VALUES {
        unpack_some(packed(cursor, width)?, width, wanted, zero, out);
        return Ok(());
    }
    let start = out.len();
    unpack_onto(cursor, width, count, zero, out)?;
    out.truncate(start + wanted.end);
    out.drain(start..start + wanted.start);
    Ok(())
}

/// The bytes of a full block packed at `width`.
pub(crate) fn packed<'a>(cursor: &mut Cursor<'a>, width: u32) -> Result<&'a [u8], BytesError> {
    if width > 64 {
        return Err(cursor.error(WIDTH));
    }
    cursor.bytes(packed_len(BLOCK_VALUES, width))
}

/// Appends the values `wanted` of a full block packed at `width` (at most 64) into all of `bytes`, each plus
/// `zero`.
pub(crate) fn unpack_some(bytes: &[u8], width: u32, wanted: Range<usize>, zero: i64, out: &mut Vec<i64>) {
    if width == 0 {
        return out.resize(out.len() + wanted.len(), zero);
    }
    let rows = wanted.start / LANES..wanted.end.min(BLOCK_VALUES).div_ceil(LANES);
    let (start, from) = (out.len(), rows.start * LANES);
    wide(|| {
        for row in rows {
            out.extend(unpack_row(bytes, width, row).map(|offset| zero.wrapping_add(offset as i64)));
        }
    });
    out.truncate(start + wanted.end - from);
    out.drain(start..start + wanted.start - from);
}

/// Value `at` of a full block packed at `width` (at most 64) into all of `bytes`.
pub(crate) fn unpack_one(bytes: &[u8], width: u32, at: usize) -> u64 {
    let bit = at / LANES * width as usize;
    let (word, shift) = (bit / 64, (bit % 64) as u32);
    let lane = |word: usize| {
        let start = word * WORD_BYTES + at % LANES * 8;
        let lane = bytes.get(start..start + 8).and_then(|lane| lane.try_into().ok());
        lane.map_or(0, u64::from_le_bytes)
    };
    let high = if shift + width > 64 { lane(word + 1) << (64 - shift) } else { 0 };
    (lane(word) >> shift | high) & mask(width)
}

/// Bytes of one word of all lanes.
const WORD_BYTES: usize = LANES * 8;

/// Values `row * 16..` of a full block.
#[inline(always)]
fn unpack_row(bytes: &[u8], width: u32, row: usize) -> [u64; LANES] {
    let bit = row * width as usize;
    let (word, shift) = (bit / 64, (bit % 64) as u32);
    let lanes = |word: usize| {
        let mut lanes = [0u64; LANES];
        let words = bytes[word * WORD_BYTES..][..WORD_BYTES].chunks_exact(8);
        for (lane, bytes) in lanes.iter_mut().zip(words) {
            *lane = u64::from_le_bytes(bytes.try_into().unwrap_or_default());
        }
        lanes
    };
    let mut low = lanes(word);
    low.iter_mut().for_each(|low| *low >>= shift);
    if shift + width > 64 {
        for (low, high) in low.iter_mut().zip(lanes(word + 1)) {
            *low |= high << (64 - shift);
        }
    }
    low.map(|low| low & mask(width))
}

#[inline(always)]
fn unpack_stream(bytes: &[u8], width: u32, out: &mut [u64]) {
    let mask = mask(width);
    for (i, to) in out.iter_mut().enumerate() {
        let bit = i * width as usize;
        let (at, shift) = (bit / 8, (bit % 8) as u32);
        *to = match bytes.get(at..at + 16) {
            Some(window) => (u128::from_le_bytes(window.try_into().unwrap_or_default()) >> shift) as u64,
            None => {
                let mut window = [0; 16];
                let tail = &bytes[at..];
                window[..tail.len()].copy_from_slice(tail);
                (u128::from_le_bytes(window) >> shift) as u64
            }
        } & mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_width_round_trips_in_full_and_short_blocks() {
        let mut state = 1u64;
        for width in 0..=64 {
            for count in [0, 1, 7, 16, 63, 1000, 1023, 1024] {
                let values: Vec<u64> = (0..count)
                    .map(|_| {
                        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        (state ^ (state >> 31)) & mask(width)
                    })
                    .collect();
                let mut bytes = Vec::new();
                pack(&values, width, &mut bytes);
                assert_eq!(bytes.len(), packed_len(count, width));
                let mut back = vec![0; count];
                let mut cursor = Cursor::new(&bytes);
                unpack(&mut cursor, width, &mut back).unwrap();
                let mut onto = vec![-1];
                unpack_onto(&mut Cursor::new(&bytes), width, count, 5, &mut onto).unwrap();
                if count == BLOCK_VALUES {
                    for at in [0, 1, 15, 16, 500, 1023] {
                        assert_eq!(unpack_one(&bytes, width, at), values[at], "width {width}, value {at}");
                    }
                    for wanted in [0..1024, 0..1, 15..17, 100..200, 1023..1024] {
                        let mut some = vec![-1];
                        unpack_some(&bytes, width, wanted.clone(), 5, &mut some);
                        let expected = values[wanted].iter().map(|value| (*value as i64).wrapping_add(5));
                        assert!(some.into_iter().eq([-1].into_iter().chain(expected)), "width {width}");
                    }
                }
                let shifted = values.iter().map(|value| (*value as i64).wrapping_add(5));
                assert!(onto.into_iter().eq([-1].into_iter().chain(shifted)), "width {width}, count {count}");
                assert_eq!((back, cursor.is_empty()), (values, true), "width {width}, count {count}");
            }
        }
    }

    proptest! {
        #[test]
        fn short_bytes_are_an_error(width in 1u32..=64, count in 1usize..=1024) {
            let mut bytes = Vec::new();
            pack(&vec![u64::MAX; count], width, &mut bytes);
            bytes.pop();
            prop_assert!(unpack(&mut Cursor::new(&bytes), width, &mut vec![0; count]).is_err());
        }
    }
}
