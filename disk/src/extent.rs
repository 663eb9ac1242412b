//! The address of bytes inside a file.

/// Where bytes lie in a file, with the checksum that stands beside the pointer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Extent {
    /// First byte, from the beginning of the file.
    pub offset: u64,
    /// Number of bytes.
    pub len: u64,
    /// CRC-32 of the bytes ([`crate::checksum`]).
    pub crc: u32,
}

impl Extent {
    /// The first byte behind it, unless that is beyond any file.
    pub fn end(&self) -> Option<u64> {
        self.offset.checked_add(self.len)
    }
}
