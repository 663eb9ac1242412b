//! A disk that passes everything on to another one and lets somebody watch.

use crate::{Disk, DiskError, Entry, File, Lock, Space};
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

/// Who watches a disk and its files.
pub trait Watch: Clone + Debug + Send + Sync + 'static {
    /// Before a file or a directory is synced.
    fn syncs(&self) {}
    /// After `bytes` bytes of the file at `path` were read from `offset` on.
    fn has_read(&self, path: &Path, offset: u64, bytes: usize) {
        let _ = (path, offset, bytes);
    }
}

/// Passes everything on to `inner`; mapped files nobody could watch, so that there are none.
#[derive(Clone, Debug)]
pub struct WatchedDisk<W> {
    pub(crate) inner: Arc<dyn Disk>,
    pub(crate) watch: W,
}

impl<W: Watch> WatchedDisk<W> {
    fn watched(&self, inner: Arc<dyn File>) -> Arc<dyn File> {
        Arc::new(WatchedFile { inner, watch: self.watch.clone() })
    }
}

impl<W: Watch> Disk for WatchedDisk<W> {
    fn open(&self, path: &Path) -> Result<Arc<dyn File>, DiskError> {
        self.inner.open(path).map(|file| self.watched(file))
    }

    fn open_write(&self, path: &Path) -> Result<Arc<dyn File>, DiskError> {
        self.inner.open_write(path).map(|file| self.watched(file))
    }

    fn create(&self, path: &Path) -> Result<Arc<dyn File>, DiskError> {
        self.inner.create(path).map(|file| self.watched(file))
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
        self.watch.syncs();
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
struct WatchedFile<W> {
    inner: Arc<dyn File>,
    watch: W,
}

impl<W: Watch> File for WatchedFile<W> {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
        let bytes = self.inner.read_at(offset, buffer)?;
        self.watch.has_read(self.inner.path(), offset, bytes);
        Ok(bytes)
    }

    fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>, DiskError> {
        let bytes = self.inner.read(offset, len)?;
        self.watch.has_read(self.inner.path(), offset, bytes.len());
        Ok(bytes)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.inner.write_at(offset, bytes)
    }

    fn sync(&self) -> Result<(), DiskError> {
        self.watch.syncs();
        self.inner.sync()
    }

    fn len(&self) -> Result<u64, DiskError> {
        self.inner.len()
    }

    fn set_len(&self, len: u64) -> Result<(), DiskError> {
        self.inner.set_len(len)
    }

    fn content_end(&self) -> Result<u64, DiskError> {
        self.inner.content_end()
    }

    fn allocate(&self, len: u64) -> Result<(), DiskError> {
        self.inner.allocate(len)
    }

    fn path(&self) -> &Path {
        self.inner.path()
    }
}
