//! A disk that notes what is read of its files: what benchmarks and tests count.

use crate::{Disk, DiskError, Entry, File, Lock, Space};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// One read of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CountedRead {
    /// The file.
    pub path: PathBuf,
    /// First byte.
    pub offset: u64,
    /// How many.
    pub bytes: u64,
}

/// Passes everything on to another disk and notes reads.
#[derive(Clone, Debug)]
pub struct CountingDisk {
    inner: Arc<dyn Disk>,
    reads: Arc<Mutex<Vec<CountedRead>>>,
}

impl CountingDisk {
    /// Over `inner`, nothing noted yet.
    pub fn new(inner: Arc<dyn Disk>) -> CountingDisk {
        CountingDisk { inner, reads: Arc::default() }
    }

    /// What was read since this was asked last.
    pub fn take(&self) -> Vec<CountedRead> {
        std::mem::take(&mut *self.reads.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn counted(&self, inner: Arc<dyn File>) -> Arc<dyn File> {
        Arc::new(CountingFile { inner, reads: self.reads.clone() })
    }
}

impl Disk for CountingDisk {
    fn open(&self, path: &Path) -> Result<Arc<dyn File>, DiskError> {
        self.inner.open(path).map(|file| self.counted(file))
    }

    fn open_write(&self, path: &Path) -> Result<Arc<dyn File>, DiskError> {
        self.inner.open_write(path).map(|file| self.counted(file))
    }

    fn create(&self, path: &Path) -> Result<Arc<dyn File>, DiskError> {
        self.inner.create(path).map(|file| self.counted(file))
    }

    fn create_dir(&self, path: &Path) -> Result<(), DiskError> {
        self.inner.create_dir(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        self.inner.rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        self.inner.link(from, to)
    }

    fn remove(&self, path: &Path) -> Result<(), DiskError> {
        self.inner.remove(path)
    }

    fn remove_dir(&self, path: &Path) -> Result<(), DiskError> {
        self.inner.remove_dir(path)
    }

    fn list(&self, path: &Path) -> Result<Vec<Entry>, DiskError> {
        self.inner.list(path)
    }

    fn exists(&self, path: &Path) -> Result<bool, DiskError> {
        self.inner.exists(path)
    }

    fn sync_dir(&self, path: &Path) -> Result<(), DiskError> {
        self.inner.sync_dir(path)
    }

    fn space(&self, path: &Path) -> Result<Space, DiskError> {
        self.inner.space(path)
    }

    fn lock(&self, path: &Path) -> Result<Option<Box<dyn Lock>>, DiskError> {
        self.inner.lock(path)
    }

    fn is_locked(&self, path: &Path) -> Result<bool, DiskError> {
        self.inner.is_locked(path)
    }
}

#[derive(Debug)]
struct CountingFile {
    inner: Arc<dyn File>,
    reads: Arc<Mutex<Vec<CountedRead>>>,
}

impl File for CountingFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
        let bytes = self.inner.read_at(offset, buffer)?;
        let read = CountedRead { path: self.inner.path().to_path_buf(), offset, bytes: bytes as u64 };
        self.reads.lock().unwrap_or_else(PoisonError::into_inner).push(read);
        Ok(bytes)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.inner.write_at(offset, bytes)
    }

    fn sync(&self) -> Result<(), DiskError> {
        self.inner.sync()
    }

    fn len(&self) -> Result<u64, DiskError> {
        self.inner.len()
    }

    fn set_len(&self, len: u64) -> Result<(), DiskError> {
        self.inner.set_len(len)
    }

    fn allocate(&self, len: u64) -> Result<(), DiskError> {
        self.inner.allocate(len)
    }

    fn path(&self) -> &Path {
        self.inner.path()
    }
}
