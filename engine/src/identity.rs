//! Which archive a directory is.

use crate::error::Error;
use crate::layout::{IDENTITY_NAME, Layout};
use disk::{Cursor, Disk, FILE_HEADER_BYTES, FileHeader, checksum, put_i64, put_u32, put_u128, replace};
use sample::Timestamp;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// Kind and version of the `ARCHIVE` file. Its version is the archive's format version.
pub const IDENTITY_HEADER: FileHeader = FileHeader::new(*b"\x9aVarch\r\n", 1, 0);

/// The fields of an `ARCHIVE` file: name, offset, length in bytes. FORMAT.md shows the same.
pub const IDENTITY_FIELDS: [(&str, usize, usize); 4] =
    [("file header", 0, FILE_HEADER_BYTES), ("archive id", 16, 16), ("created", 32, 8), ("crc", 40, 4)];

const CRC_AT: usize = IDENTITY_FIELDS[3].1;
/// Length of an `ARCHIVE` file.
pub const IDENTITY_BYTES: usize = CRC_AT + 4;
/// A `LOCK` file is not read beyond this.
pub const HOLDER_BYTES_MAX: usize = 4096;

/// An archive's id, drawn at random when it is created. Written as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ArchiveId(pub u128);

impl ArchiveId {
    /// A fresh id from the operating system's randomness.
    pub fn random() -> std::io::Result<ArchiveId> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(std::io::Error::from)?;
        Ok(ArchiveId(u128::from_le_bytes(bytes)))
    }
}

impl fmt::Display for ArchiveId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A text that is not an archive id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ArchiveIdError;

impl fmt::Display for ArchiveIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an archive id is 32 hexadecimal digits, as /status shows it")
    }
}

impl std::error::Error for ArchiveIdError {}

impl FromStr for ArchiveId {
    type Err = ArchiveIdError;

    fn from_str(text: &str) -> Result<ArchiveId, ArchiveIdError> {
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(ArchiveIdError);
        }
        u128::from_str_radix(text, 16).map(ArchiveId).map_err(|_| ArchiveIdError)
    }
}

/// The content of `ARCHIVE`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The archive's id.
    pub id: ArchiveId,
    /// When it was created.
    pub created: Timestamp,
    /// Format version, major then minor.
    pub version: (u16, u16),
}

impl Identity {
    /// Writes `ARCHIVE` durably into the archive directory, which must exist.
    ///
    /// # Errors
    /// [`Error::Exists`] when there is one already; the disk's.
    pub fn create(
        disk: &dyn Disk,
        layout: &Layout,
        id: ArchiveId,
        created: Timestamp,
    ) -> Result<Identity, Error> {
        let path = layout.identity();
        if disk.exists(&path)? {
            return Err(Error::Exists(path));
        }
        let identity = Identity { id, created, version: (IDENTITY_HEADER.major, IDENTITY_HEADER.minor) };
        replace(disk, layout.root(), IDENTITY_NAME, &identity.encode())?;
        Ok(identity)
    }

    /// Reads `ARCHIVE`; `None` when there is no such file.
    ///
    /// # Errors
    /// The disk's; damage; a newer major version.
    pub fn load(disk: &dyn Disk, layout: &Layout) -> Result<Option<Identity>, Error> {
        let path = layout.identity();
        let file = match disk.open(&path) {
            Ok(file) => file,
            Err(error) if error.is_missing() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut bytes = [0; IDENTITY_BYTES];
        let found = file.read_at(0, &mut bytes)?;
        Identity::decode(&bytes[..found], &path).map(Some)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = IDENTITY_HEADER.encode().to_vec();
        put_u128(&mut bytes, self.id.0);
        put_i64(&mut bytes, self.created.0);
        let crc = checksum(&bytes);
        put_u32(&mut bytes, crc);
        bytes
    }

    fn decode(bytes: &[u8], path: &Path) -> Result<Identity, Error> {
        let header = IDENTITY_HEADER.decode(bytes, path)?;
        let read = || {
            let mut cursor = Cursor::new(bytes);
            cursor.bytes(FILE_HEADER_BYTES)?;
            Ok((cursor.u128()?, cursor.i64()?, cursor.u32()?))
        };
        let (id, created, crc) =
            read().map_err(|error: disk::BytesError| Error::from(error.in_file(path, 0)))?;
        if crc != checksum(&bytes[..CRC_AT]) {
            let what = "the checksum fails: restore the file from a copy of the archive";
            return Err(Error::corrupt(path, CRC_AT as u64, what));
        }
        Ok(Identity { id: ArchiveId(id), created: Timestamp(created), version: (header.major, header.minor) })
    }
}

/// Who holds an archive's `LOCK`: text for people, `key=value` lines.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Holder {
    /// Name of the machine.
    pub host: String,
    /// Process number there.
    pub pid: u32,
    /// Where its HTTP server listens, empty if nowhere.
    pub address: String,
}

impl Holder {
    /// This process, answering at `address`.
    pub fn here(address: &str) -> Holder {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Holder { host, pid: std::process::id(), address: address.into() }
    }

    /// The content of the file.
    pub fn encode(&self) -> Vec<u8> {
        format!("host={}\npid={}\naddress={}\n", self.host, self.pid, self.address).into_bytes()
    }

    /// From a `LOCK` file's bytes; what is missing or unreadable stays empty.
    pub fn decode(bytes: &[u8]) -> Holder {
        let mut holder = Holder::default();
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(HOLDER_BYTES_MAX)]);
        for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
            match key {
                "host" => holder.host = value.to_owned(),
                "pid" => holder.pid = value.parse().unwrap_or(0),
                "address" => holder.address = value.to_owned(),
                _ => {}
            }
        }
        holder
    }

    /// Reads an archive's `LOCK`; `None` when there is no such file.
    ///
    /// # Errors
    /// The disk's.
    pub fn load(disk: &dyn Disk, layout: &Layout) -> Result<Option<Holder>, Error> {
        let file = match disk.open(&layout.lock()) {
            Ok(file) => file,
            Err(error) if error.is_missing() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut bytes = [0; HOLDER_BYTES_MAX];
        let found = file.read_at(0, &mut bytes)?;
        Ok(Some(Holder::decode(&bytes[..found])))
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} on {}", self.pid, if self.host.is_empty() { "?" } else { &self.host })?;
        if self.address.is_empty() { Ok(()) } else { write!(f, " ({})", self.address) }
    }
}

#[cfg(test)]
mod tests;
