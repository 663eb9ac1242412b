//! Bytes and durability: the only room that names a file system.
//!
//! Everything above works through [`Disk`] and [`File`], so that a crash, a torn write, a full or a
//! stalled disk is an ordinary single-threaded test on production code ([`sim`]).

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What went wrong, where, while doing what.
#[derive(Debug, Clone)]
pub struct DiskError {
    /// The operation, for example `write`.
    pub operation: &'static str,
    /// The file or directory.
    pub path: PathBuf,
    /// The cause.
    pub source: Arc<std::io::Error>,
}

impl DiskError {
    /// An error of `operation` on `path`.
    pub fn new(operation: &'static str, path: &Path, source: std::io::Error) -> DiskError {
        DiskError { operation, path: path.to_path_buf(), source: Arc::new(source) }
    }

    /// Whether the file system had no room (or the quota was reached).
    pub fn is_full(&self) -> bool {
        matches!(
            self.source.kind(),
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
        )
    }

    /// Whether the file or directory does not exist.
    pub fn is_missing(&self) -> bool {
        self.source.kind() == std::io::ErrorKind::NotFound
    }
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}: {}", self.operation, self.path.display(), self.source)
    }
}

impl std::error::Error for DiskError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.source)
    }
}

/// Size and free bytes of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes in all.
    pub total: u64,
    /// Bytes that this process may still write.
    pub free: u64,
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The last component of its path.
    pub name: String,
    /// Whether it is a directory (symbolic links are followed).
    pub is_dir: bool,
}

/// An open file. Reads and writes are positioned; nothing is durable before [`File::sync`] returns.
#[expect(clippy::len_without_is_empty, reason = "asking the length may fail; nobody asks for emptiness")]
pub trait File: Send + Sync + fmt::Debug {
    /// Reads into `buffer` from `offset`; fewer bytes than asked for only at the end of the file.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, DiskError>;
    /// Writes all of `bytes` at `offset`.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), DiskError>;
    /// Makes content and length durable (fdatasync). After a failure the file is not to be trusted again.
    fn sync(&self) -> Result<(), DiskError>;
    /// Present length in bytes.
    fn len(&self) -> Result<u64, DiskError>;
    /// Cuts or extends (with zeros) to `len` bytes.
    fn set_len(&self, len: u64) -> Result<(), DiskError>;
    /// Reserves blocks for `len` bytes and sets the length; a full disk is an error here, not later.
    fn allocate(&self, len: u64) -> Result<(), DiskError>;
    /// Where it was opened.
    fn path(&self) -> &Path;
}

/// A file system. Names are durable only after [`Disk::sync_dir`] of their directory.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Opens an existing file for reading.
    fn open(&self, path: &Path) -> Result<Arc<dyn File>, DiskError>;
    /// Opens an existing file for reading and writing.
    fn open_write(&self, path: &Path) -> Result<Arc<dyn File>, DiskError>;
    /// Creates a file for reading and writing; one that exists is an error.
    fn create(&self, path: &Path) -> Result<Arc<dyn File>, DiskError>;
    /// Creates a directory and its parents; one that exists is fine.
    fn create_dir(&self, path: &Path) -> Result<(), DiskError>;
    /// Renames a file over `to`, atomically.
    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> Result<(), DiskError>;
    /// Removes an empty directory.
    fn remove_dir(&self, path: &Path) -> Result<(), DiskError>;
    /// The names in a directory, sorted bytewise.
    fn list(&self, path: &Path) -> Result<Vec<Entry>, DiskError>;
    /// Whether a file or directory exists.
    fn exists(&self, path: &Path) -> Result<bool, DiskError>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, path: &Path) -> Result<(), DiskError>;
    /// Size and free space of the file system that holds `path`.
    fn space(&self, path: &Path) -> Result<Space, DiskError>;
    /// Takes the exclusive advisory lock on a file, creating it; `Ok(None)` when another holder has it.
    /// The lock goes with the returned value (or the process).
    fn lock(&self, path: &Path) -> Result<Option<Box<dyn Lock>>, DiskError>;
}

/// A held lock file.
pub trait Lock: Send + Sync + fmt::Debug {
    /// Replaces the lock file's content (who holds it).
    fn write(&self, content: &[u8]) -> Result<(), DiskError>;
}
