//! The beginning of a segment file.

use super::format::{SEGMENT_FIELDS, SEGMENT_HEADER, SEGMENT_HEADER_BYTES};
use crate::error::Error;
use crate::identity::ArchiveId;
use disk::{
    BytesError, Checksum, Cursor, FILE_HEADER_BYTES, FormatError, checksum, put_u32, put_u64, put_u128,
};
use std::path::Path;

const CRC_AT: usize = SEGMENT_FIELDS[5].1;

/// What a segment says about itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct SegmentHeader {
    /// The archive it belongs to.
    pub(super) archive: ArchiveId,
    /// Its number, which its name repeats.
    pub(super) number: u64,
    /// First sequence of the life of the log that it belongs to.
    pub(super) life: u64,
    /// Sequence of its first record.
    pub(super) first_sequence: u64,
}

/// What stands where a segment's header belongs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Found {
    /// A header; `minor` is newer than this program's when it is above [`SEGMENT_HEADER`]'s.
    Header { header: SegmentHeader, minor: u16 },
    /// Nothing but zeros, if anything: the file was being made.
    Nothing,
    /// Other bytes.
    Damage,
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = SEGMENT_HEADER.encode().to_vec();
        put_u128(&mut bytes, self.archive.0);
        put_u64(&mut bytes, self.number);
        put_u64(&mut bytes, self.life);
        put_u64(&mut bytes, self.first_sequence);
        let crc = checksum(&bytes);
        put_u32(&mut bytes, crc);
        bytes.resize(SEGMENT_HEADER_BYTES, 0);
        bytes
    }
}

/// Reads the first bytes of segment `number` of `archive`.
///
/// # Errors
/// A newer major version; a header that is whole but of another archive. Damage is no error here: the
/// records behind it check themselves.
pub(super) fn read_header(
    bytes: &[u8],
    archive: ArchiveId,
    number: u64,
    path: &Path,
) -> Result<Found, Error> {
    let bytes = &bytes[..bytes.len().min(SEGMENT_HEADER_BYTES)];
    if bytes.iter().all(|byte| *byte == 0) {
        return Ok(Found::Nothing);
    }
    if bytes.len() < SEGMENT_HEADER_BYTES {
        return Ok(Found::Damage);
    }
    let minor = match SEGMENT_HEADER.decode(bytes, path) {
        Ok(header) => header.minor,
        Err(error @ FormatError::TooNew { .. }) => return Err(error.into()),
        Err(_) => return Ok(Found::Damage),
    };
    let Ok((header, crc)) = decode(bytes) else { return Ok(Found::Damage) };
    if crc != checksum(&bytes[..CRC_AT]) || bytes[CRC_AT + 4..].iter().any(|byte| *byte != 0) {
        return Ok(Found::Damage);
    }
    if header.archive != archive {
        return Err(Error::ForeignFile {
            path: path.to_path_buf(),
            expected: archive,
            found: header.archive,
        });
    }
    Ok(if header.number == number { Found::Header { header, minor } } else { Found::Damage })
}

/// The archive that the first bytes of a segment name, if they are sound.
pub(super) fn archive_named(bytes: &[u8], path: &Path) -> Option<ArchiveId> {
    let bytes = bytes.get(..SEGMENT_HEADER_BYTES)?;
    SEGMENT_HEADER.decode(bytes, path).ok()?;
    let (header, crc) = decode(bytes).ok()?;
    (crc == checksum(&bytes[..CRC_AT])).then_some(header.archive)
}

fn decode(bytes: &[u8]) -> Result<(SegmentHeader, u32), BytesError> {
    let mut cursor = Cursor::new(bytes);
    cursor.bytes(FILE_HEADER_BYTES)?;
    let header = SegmentHeader {
        archive: ArchiveId(cursor.u128()?),
        number: cursor.u64()?,
        life: cursor.u64()?,
        first_sequence: cursor.u64()?,
    };
    Ok((header, cursor.u32()?))
}

/// The checksum over a segment's salt: the archive's id, then the segment's number. As no file is used
/// twice, bytes left over from any other use do not pass; as the salt does not stand in the header alone,
/// records outlive a damaged header.
pub(super) fn salt(archive: ArchiveId, number: u64) -> Checksum {
    let mut salt = Checksum::new();
    salt.update(&archive.0.to_le_bytes());
    salt.update(&number.to_le_bytes());
    salt
}
