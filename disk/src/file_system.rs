//! What the rooms above may ask of a file system.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::{DiskError, Mapping};

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
    /// As many as `len` bytes from `offset`; fewer only at the end of the file.
    fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>, DiskError> {
        let mut bytes = vec![0; len];
        let read = self.read_at(offset, &mut bytes)?;
        bytes.truncate(read);
        Ok(bytes)
    }
    /// Writes all of `bytes` at `offset`.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), DiskError>;
    /// Makes content and length durable (fdatasync). After a failure the file is not to be trusted again.
    fn sync(&self) -> Result<(), DiskError>;
    /// Present length in bytes.
    fn len(&self) -> Result<u64, DiskError>;
    /// Cuts or extends (with zeros) to `len` bytes.
    fn set_len(&self, len: u64) -> Result<(), DiskError>;
    /// Reserves blocks for the first `len` bytes; a shorter file is extended to `len` with zeros, a longer one
    /// stays as long. A full disk is an error here, not later.
    fn allocate(&self, len: u64) -> Result<(), DiskError>;
    /// Where the part of the file ends that was written; only zeros lie between there and its end. A file system
    /// that cannot tell says its length.
    fn content_end(&self) -> Result<u64, DiskError> {
        self.len()
    }
    /// All of it in the address space, if it never changes again; `None` where that cannot be had, and in a file system
    /// that is none.
    fn map(&self) -> Option<Mapping> {
        None
    }
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
    /// Renames a file over `to`, or a directory to a name that nothing has, atomically.
    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError>;
    /// Gives a file a second name on the same file system; a name that exists is an error. Some file systems
    /// cannot, then it is an error, too.
    fn link(&self, from: &Path, to: &Path) -> Result<(), DiskError>;
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
    /// Whether somebody has that lock now, without keeping anyone from it for more than microseconds.
    fn is_locked(&self, path: &Path) -> Result<bool, DiskError>;
}

/// A held lock file.
pub trait Lock: Send + Sync + fmt::Debug {
    /// Replaces the lock file's content (who holds it).
    fn write(&self, content: &[u8]) -> Result<(), DiskError>;
}
