//! Rows of integers packed at fixed widths.

use crate::format::{FIELDS, PAGE_BYTES};

/// Bits that hold every number from 0 to `most`.
pub(crate) fn width_of(most: u64) -> u32 {
    u64::BITS - most.leading_zeros()
}

/// Length of rows whose fields have so many bits together.
pub(crate) fn row_bytes(bits: u32) -> usize {
    bits.div_ceil(8).max(1) as usize
}

/// Packs rows one behind the other from the first byte of `out` on, each field relative to its base in as many bits
/// as its width says. Behind the rows `out` has at least 8 bytes, which are overwritten.
pub(crate) fn pack(rows: &[[u64; FIELDS]], bases: &[u64; FIELDS], widths: &[u8; FIELDS], out: &mut [u8]) {
    let len = row_bytes(widths.iter().map(|width| u32::from(*width)).sum());
    let mut fields = [(0, 0, 0); FIELDS];
    let mut used = 0;
    for (field, width) in widths.iter().enumerate().filter(|(_, width)| **width > 0) {
        fields[used] = (field, bases[field], u32::from(*width));
        used += 1;
    }
    for (number, row) in rows.iter().enumerate() {
        let mut at = number * len;
        let (mut word, mut filled) = (0u64, 0);
        for (field, base, width) in &fields[..used] {
            let value = row[*field].wrapping_sub(*base);
            word |= value << filled;
            filled += width;
            if filled >= 64 {
                out[at..at + 8].copy_from_slice(&word.to_le_bytes());
                at += 8;
                filled -= 64;
                // What did not fit: the highest `filled` bits of `width`.
                word = if filled == 0 { 0 } else { value >> (width - filled) };
            }
        }
        out[at..at + 8].copy_from_slice(&word.to_le_bytes());
    }
}

/// The `width` bits from `bit` on, at most 64; bits behind the last 16 bytes of the page are 0.
#[inline(always)]
pub(crate) fn read(bytes: &[u8; PAGE_BYTES], bit: usize, width: u32) -> u64 {
    if width == 0 {
        return 0;
    }
    let Some(word) = bytes.get(bit / 8..).and_then(|rest| rest.first_chunk::<16>()) else { return 0 };
    let shift = bit % 8;
    // Wherever they begin, so many bits lie in 8 bytes.
    let number = if width <= 57 {
        word.first_chunk().map_or(0, |low| u64::from_le_bytes(*low)) >> shift
    } else {
        (u128::from_le_bytes(*word) >> shift) as u64
    };
    number & u64::MAX >> (64 - width.min(64))
}

#[cfg(test)]
mod tests;
