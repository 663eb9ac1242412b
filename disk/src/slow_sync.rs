//! A disk whose syncs take longer: what a stalled array or a busy file server does to its users.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::{Disk, DiskError, Entry, File, Lock, Space};

/// Passes everything on to another disk; each [`File::sync`] and [`Disk::sync_dir`] first sleeps.
#[derive(Clone, Debug)]
pub struct SlowSyncDisk {
    inner: Arc<dyn Disk>,
    extra_ns: Arc<AtomicU64>,
}

impl SlowSyncDisk {
    /// Over `inner`; `extra_ns` is what each sync takes longer, in nanoseconds, settable at any time.
    pub fn new(inner: Arc<dyn Disk>, extra_ns: Arc<AtomicU64>) -> SlowSyncDisk {
        SlowSyncDisk { inner, extra_ns }
    }

    fn slow(&self, file: Arc<dyn File>) -> Arc<dyn File> {
        Arc::new(SlowSyncFile { inner: file, extra_ns: Arc::clone(&self.extra_ns) })
    }
}

fn sleep(extra_ns: &AtomicU64) {
    let extra_ns = extra_ns.load(Ordering::Relaxed);
    if extra_ns > 0 {
        std::thread::sleep(Duration::from_nanos(extra_ns));
    }
}

impl Disk for SlowSyncDisk {
    fn open(&self, path: &Path) -> Result<Arc<dyn File>, DiskError> {
        self.inner.open(path).map(|file| self.slow(file))
    }

    fn open_write(&self, path: &Path) -> Result<Arc<dyn File>, DiskError> {
        self.inner.open_write(path).map(|file| self.slow(file))
    }

    fn create(&self, path: &Path) -> Result<Arc<dyn File>, DiskError> {
        self.inner.create(path).map(|file| self.slow(file))
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
        sleep(&self.extra_ns);
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
struct SlowSyncFile {
    inner: Arc<dyn File>,
    extra_ns: Arc<AtomicU64>,
}

impl File for SlowSyncFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
        self.inner.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.inner.write_at(offset, bytes)
    }

    fn sync(&self) -> Result<(), DiskError> {
        sleep(&self.extra_ns);
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
