//! The bytes of one row, written in place.

/// More than the bytes of any row are.
const LEN_MAX: usize = 160;
/// Varints of so many bits have at most 8 bytes.
const SPREAD_BITS: u32 = 56;

/// What stands behind the fields of rows: of those that are there, then of the one that is put together.
#[derive(Debug)]
pub(crate) struct ByteWriter {
    /// Longer than what was put: a row is put without asking for room.
    bytes: Vec<u8>,
    /// Where the bytes of the row that is put together begin.
    begin: usize,
    len: usize,
}

impl ByteWriter {
    pub(crate) fn new() -> ByteWriter {
        ByteWriter { bytes: Vec::new(), begin: 0, len: 0 }
    }

    /// Begins a row anew.
    pub(crate) fn begin_row(&mut self) {
        self.len = self.begin;
        if self.bytes.len() < self.len + LEN_MAX {
            self.bytes.resize((self.len + LEN_MAX) * 2, 0);
        }
    }

    /// Keeps the row. Says where it begins.
    pub(crate) fn end_row(&mut self) -> usize {
        std::mem::replace(&mut self.begin, self.len)
    }

    /// Bytes of all rows that are kept.
    pub(crate) fn rows(&self) -> &[u8] {
        &self.bytes[..self.begin]
    }

    /// Forgets the first bytes, and the row that is put together.
    pub(crate) fn remove(&mut self, first: usize) {
        self.bytes.copy_within(first..self.begin, 0);
        self.begin -= first;
        self.len = self.begin;
    }

    /// Appends bytes.
    #[inline]
    pub(crate) fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        self.bytes[self.len..self.len + N].copy_from_slice(&bytes);
        self.len += N;
    }

    /// Appends a varint.
    #[inline]
    pub(crate) fn put_varint(&mut self, number: u64) {
        if number >> SPREAD_BITS != 0 {
            return self.put_long_varint(number);
        }
        // Seven bits to each byte, all at once: how many there are is hard to foresee.
        let halves = number & 0x0FFF_FFFF | (number & 0x00FF_FFFF_F000_0000) << 4;
        let quarters = halves & 0x0000_3FFF_0000_3FFF | (halves & 0x0FFF_C000_0FFF_C000) << 2;
        let bytes = quarters & 0x007F_007F_007F_007F | (quarters & 0x3F80_3F80_3F80_3F80) << 1;
        let unused = bytes.leading_zeros() / 8;
        let len = size_of::<u64>() - unused.min(7) as usize;
        let more = 0x0080_8080_8080_8080 >> (8 * (size_of::<u64>() - len));
        self.put((bytes | more).to_le_bytes());
        self.len -= size_of::<u64>() - len;
    }

    #[cold]
    fn put_long_varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.put([number as u8 | 0x80]);
            number >>= 7;
        }
        self.put([number as u8]);
    }

    /// Appends a signed varint.
    #[inline]
    pub(crate) fn put_varint_signed(&mut self, number: i64) {
        self.put_varint((number << 1 ^ number >> 63) as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back(numbers in prop::collection::vec((any::<i64>(), 0u32..64), 0..8)) {
            let mut bytes = ByteWriter::new();
            bytes.begin_row();
            for (number, shift) in &numbers {
                bytes.put_varint((*number as u64) >> shift);
                bytes.put_varint_signed(number >> shift);
            }
            bytes.end_row();
            let mut cursor = disk::Cursor::new(bytes.rows());
            for (number, shift) in &numbers {
                prop_assert_eq!(cursor.varint().unwrap(), (*number as u64) >> shift);
                prop_assert_eq!(cursor.varint_signed().unwrap(), number >> shift);
            }
            prop_assert!(cursor.is_empty());
        }
    }
}
