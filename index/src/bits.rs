//! Rows of integers packed at fixed widths.

use crate::format::PAGE_BYTES;

/// Bits that hold every number from 0 to `most`.
pub(crate) fn width_of(most: u64) -> u32 {
    u64::BITS - most.leading_zeros()
}

/// Writes numbers one behind the other, least significant bit first.
#[derive(Debug)]
pub(crate) struct BitWriter<'a> {
    out: &'a mut [u8],
    at: usize,
    word: u64,
    filled: u32,
}

impl<'a> BitWriter<'a> {
    /// From the first byte of `out`, which has room for all that will be put.
    pub(crate) fn new(out: &'a mut [u8]) -> BitWriter<'a> {
        BitWriter { out, at: 0, word: 0, filled: 0 }
    }

    /// Appends the lowest `width` bits of `value`, whose other bits are 0.
    pub(crate) fn put(&mut self, value: u64, width: u32) {
        self.word |= value << (self.filled & 63);
        if self.filled + width < 64 {
            self.filled += width;
            return;
        }
        self.out[self.at..self.at + 8].copy_from_slice(&self.word.to_le_bytes());
        self.at += 8;
        let taken = 64 - self.filled;
        self.word = if taken < 64 { value >> taken } else { 0 };
        self.filled = self.filled + width - 64;
    }

    /// Writes what is left, filled with zeros to a whole byte.
    pub(crate) fn finish(self) {
        let len = self.filled.div_ceil(8) as usize;
        self.out[self.at..self.at + len].copy_from_slice(&self.word.to_le_bytes()[..len]);
    }
}

/// The `width` bits from `bit` on, at most 64; bits behind the last 16 bytes of the page are 0.
pub(crate) fn read(bytes: &[u8; PAGE_BYTES], bit: usize, width: u32) -> u64 {
    let Some(word) = bytes.get(bit / 8..).and_then(|rest| rest.first_chunk::<16>()) else { return 0 };
    let word = u128::from_le_bytes(*word) >> (bit % 8);
    if width >= 64 { word as u64 } else { word as u64 & ((1 << width) - 1) }
}

#[cfg(test)]
mod tests;
