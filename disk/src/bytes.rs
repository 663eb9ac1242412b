//! Little-endian reading of hostile bytes: it errors where they end, never panics.

use std::fmt;
use std::path::Path;

use crate::FormatError;

/// Bytes that are not what a decoder expects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BytesError {
    /// Where, counted from the first byte the cursor was given.
    pub position: usize,
    /// What was expected there, or what is wrong.
    pub what: &'static str,
}

impl BytesError {
    /// As damage of a file in which the cursor's first byte lies at `offset`.
    pub fn in_file(self, path: &Path, offset: u64) -> FormatError {
        FormatError::corrupt(path, offset.saturating_add(self.position as u64), self.what)
    }
}

impl fmt::Display for BytesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}: {}", self.position, self.what)
    }
}

impl std::error::Error for BytesError {}

/// A reading position in borrowed bytes. A failed read does not move it.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Cursor<'a> {
    /// At the first of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { bytes, position: 0 }
    }

    /// Bytes read so far.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Bytes not read yet.
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.position
    }

    /// The next byte, which stays.
    pub fn peek(&self) -> Option<u8> {
        self.bytes.get(self.position).copied()
    }

    /// Whether every byte has been read.
    pub fn is_empty(&self) -> bool {
        self.remaining() == 0
    }

    /// An error at the present position.
    pub fn error(&self, what: &'static str) -> BytesError {
        BytesError { position: self.position, what }
    }

    /// The next `len` bytes.
    #[inline]
    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8], BytesError> {
        let found = self.bytes[self.position..]
            .get(..len)
            .ok_or_else(|| self.error("the bytes end before what must follow"))?;
        self.position += len;
        Ok(found)
    }

    /// All bytes not read yet.
    pub fn rest(&mut self) -> &'a [u8] {
        let rest = &self.bytes[self.position..];
        self.position = self.bytes.len();
        rest
    }

    /// The next `N` bytes.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], BytesError> {
        let mut array = [0; N];
        array.copy_from_slice(self.bytes(N)?);
        Ok(array)
    }

    /// One byte.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, BytesError> {
        self.array().map(u8::from_le_bytes)
    }

    /// 2 bytes.
    #[inline]
    pub fn u16(&mut self) -> Result<u16, BytesError> {
        self.array().map(u16::from_le_bytes)
    }

    /// 4 bytes.
    #[inline]
    pub fn u32(&mut self) -> Result<u32, BytesError> {
        self.array().map(u32::from_le_bytes)
    }

    /// 8 bytes.
    #[inline]
    pub fn u64(&mut self) -> Result<u64, BytesError> {
        self.array().map(u64::from_le_bytes)
    }

    /// 16 bytes.
    pub fn u128(&mut self) -> Result<u128, BytesError> {
        self.array().map(u128::from_le_bytes)
    }

    /// 8 bytes, two's complement.
    #[inline]
    pub fn i64(&mut self) -> Result<i64, BytesError> {
        self.array().map(i64::from_le_bytes)
    }

    /// 4 bytes, every bit pattern kept.
    #[inline]
    pub fn f32(&mut self) -> Result<f32, BytesError> {
        self.u32().map(f32::from_bits)
    }

    /// 8 bytes, every bit pattern kept.
    #[inline]
    pub fn f64(&mut self) -> Result<f64, BytesError> {
        self.u64().map(f64::from_bits)
    }

    /// A varint of at most 10 bytes ([`crate::put_varint`]). One that is longer than it need be or does not
    /// fit 64 bits is an error, so that equal values have equal bytes.
    #[inline]
    pub fn varint(&mut self) -> Result<u64, BytesError> {
        let mut value = 0u64;
        for (at, &byte) in self.bytes[self.position..].iter().take(10).enumerate() {
            if at == 9 && byte > 1 {
                return Err(self.error("a varint does not fit 64 bits"));
            }
            value |= u64::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                if byte == 0 && at > 0 {
                    return Err(self.error("a varint is longer than it need be"));
                }
                self.position += at + 1;
                return Ok(value);
            }
        }
        Err(self.error("the bytes end inside a varint"))
    }

    /// A signed varint ([`crate::put_varint_signed`]).
    #[inline]
    pub fn varint_signed(&mut self) -> Result<i64, BytesError> {
        let value = self.varint()?;
        Ok(((value >> 1) as i64) ^ -((value & 1) as i64))
    }

    /// A varint number of items that each take at least `item_bytes` bytes here: more than the bytes left
    /// can hold is an error, so that a caller may allocate for the count.
    pub fn count(&mut self, item_bytes: usize) -> Result<usize, BytesError> {
        let before = self.position;
        let count = self.varint()?;
        let max = self.remaining() / item_bytes.max(1);
        match usize::try_from(count) {
            Ok(count) if count <= max => Ok(count),
            _ => {
                self.position = before;
                Err(self.error("a count is larger than the bytes that follow can hold"))
            }
        }
    }

    /// A varint length, then that many bytes ([`crate::put_bytes`]).
    pub fn counted_bytes(&mut self) -> Result<&'a [u8], BytesError> {
        let len = self.count(1)?;
        self.bytes(len)
    }

    /// A varint length in bytes, then UTF-8 text ([`crate::put_str`]).
    pub fn counted_str(&mut self) -> Result<&'a str, BytesError> {
        let before = self.position;
        let bytes = self.counted_bytes()?;
        std::str::from_utf8(bytes)
            .map_err(|_| BytesError { position: before, what: "a text is not UTF-8" })
            .inspect_err(|_| self.position = before)
    }

    /// `len` bytes of UTF-8 text.
    pub fn str(&mut self, len: usize) -> Result<&'a str, BytesError> {
        let before = self.position;
        std::str::from_utf8(self.bytes(len)?)
            .map_err(|_| BytesError { position: before, what: "a text is not UTF-8" })
            .inspect_err(|_| self.position = before)
    }

    /// An error unless every byte has been read.
    pub fn finish(&self) -> Result<(), BytesError> {
        if self.is_empty() { Ok(()) } else { Err(self.error("bytes follow where the end was expected")) }
    }
}

#[cfg(test)]
mod tests;
