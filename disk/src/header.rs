//! The 16 bytes at the beginning of every durable file.

use std::path::Path;

use crate::{BytesError, Cursor, FormatError, checksum};

/// Length of an encoded [`FileHeader`].
pub const FILE_HEADER_BYTES: usize = 16;

/// The fields of an encoded [`FileHeader`]: name, offset, length in bytes. FORMAT.md shows the same.
pub const HEADER_FIELDS: [(&str, usize, usize); 4] =
    [("magic", 0, 8), ("major", 8, 2), ("minor", 10, 2), ("crc", 12, 4)];

const CRC_AT: usize = HEADER_FIELDS[3].1;
const _: () = assert!(CRC_AT + HEADER_FIELDS[3].2 == FILE_HEADER_BYTES);

/// What a file is: its kind (magic) with its version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileHeader {
    /// The kind of file.
    pub magic: [u8; 8],
    /// Changes when older programs cannot read the file.
    pub major: u16,
    /// Changes when older programs can read it, passing over what they do not know.
    pub minor: u16,
}

impl FileHeader {
    /// A kind of file and the newest version of it that this program knows.
    ///
    /// # Panics
    /// When `magic` holds no non-ASCII byte or no CR LF, by which transfers as text are noticed; made for
    /// constants, where this is a compile error.
    pub const fn new(magic: [u8; 8], major: u16, minor: u16) -> FileHeader {
        let (mut at, mut non_ascii, mut line_end) = (0, false, false);
        while at < magic.len() {
            non_ascii |= magic[at] >= 0x80;
            line_end |= at > 0 && magic[at - 1] == b'\r' && magic[at] == b'\n';
            at += 1;
        }
        assert!(non_ascii && line_end);
        FileHeader { magic, major, minor }
    }

    /// The bytes that begin the file.
    pub fn encode(&self) -> [u8; FILE_HEADER_BYTES] {
        let mut bytes = [0; FILE_HEADER_BYTES];
        bytes[..8].copy_from_slice(&self.magic);
        bytes[8..10].copy_from_slice(&self.major.to_le_bytes());
        bytes[10..12].copy_from_slice(&self.minor.to_le_bytes());
        let crc = checksum(&bytes[..CRC_AT]);
        bytes[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads the header of the file at `path` from its first bytes (more may follow). `self` is what this
    /// program knows; the answer is what the file is.
    ///
    /// A newer major is [`FormatError::TooNew`]; a newer minor is fine to read, never to write
    /// ([`FileHeader::may_append_to`]).
    pub fn decode(&self, bytes: &[u8], path: &Path) -> Result<FileHeader, FormatError> {
        let (header, crc) = read(bytes).map_err(|error| error.in_file(path, 0))?;
        if header.magic != self.magic {
            return Err(FormatError::WrongKind {
                path: path.to_path_buf(),
                expected: self.magic,
                found: header.magic,
            });
        }
        if crc != checksum(&bytes[..CRC_AT]) {
            return Err(FormatError::corrupt(path, CRC_AT as u64, "the file header fails its checksum"));
        }
        if header.major == 0 {
            return Err(FormatError::corrupt(path, 8, "a major version of 0 was never written"));
        }
        if header.major > self.major {
            return Err(FormatError::TooNew {
                path: path.to_path_buf(),
                found: (header.major, header.minor),
                supported: (self.major, self.minor),
            });
        }
        Ok(header)
    }

    /// Whether this program, knowing `self`, may write into a file with the header `file`.
    pub fn may_append_to(&self, file: &FileHeader) -> bool {
        self.magic == file.magic && self.major == file.major && file.minor <= self.minor
    }
}

/// The header with its checksum, neither checked.
fn read(bytes: &[u8]) -> Result<(FileHeader, u32), BytesError> {
    let mut cursor = Cursor::new(bytes);
    if cursor.remaining() < FILE_HEADER_BYTES {
        return Err(cursor.error("the file is shorter than its header"));
    }
    let header = FileHeader { magic: cursor.array()?, major: cursor.u16()?, minor: cursor.u16()? };
    Ok((header, cursor.u32()?))
}

#[cfg(test)]
mod tests;
