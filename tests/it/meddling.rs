//! A disk on which something else happens in the midst of what is done.

use disk::{Disk, DiskError, Entry, File, Lock, SimDisk, Space};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// What happens meanwhile.
pub(crate) type Deed<'a> = Box<dyn FnOnce() + Send + 'a>;

/// Passes everything on; before one of the operations the deed is done.
pub(crate) struct Meddling<'a> {
    inner: SimDisk,
    left: AtomicU64,
    deed: Mutex<Option<Deed<'a>>>,
}

impl<'a> Meddling<'a> {
    /// `deed` is done before the operation that follows `after` others.
    pub(crate) fn new(inner: SimDisk, after: u64, deed: Deed<'a>) -> Meddling<'a> {
        Meddling { inner, left: AtomicU64::new(after), deed: Mutex::new(Some(deed)) }
    }

    fn disk(&self) -> &SimDisk {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 0
            && let Some(deed) = self.deed.lock().unwrap().take()
        {
            deed();
        }
        &self.inner
    }
}

impl fmt::Debug for Meddling<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meddling").finish_non_exhaustive()
    }
}

impl Disk for Meddling<'_> {
    fn open(&self, path: &Path) -> Result<Arc<dyn File>, DiskError> {
        self.disk().open(path)
    }
    fn open_write(&self, path: &Path) -> Result<Arc<dyn File>, DiskError> {
        self.disk().open_write(path)
    }
    fn create(&self, path: &Path) -> Result<Arc<dyn File>, DiskError> {
        self.disk().create(path)
    }
    fn create_dir(&self, path: &Path) -> Result<(), DiskError> {
        self.disk().create_dir(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        self.disk().rename(from, to)
    }
    fn link(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        self.disk().link(from, to)
    }
    fn remove(&self, path: &Path) -> Result<(), DiskError> {
        self.disk().remove(path)
    }
    fn remove_dir(&self, path: &Path) -> Result<(), DiskError> {
        self.disk().remove_dir(path)
    }
    fn list(&self, path: &Path) -> Result<Vec<Entry>, DiskError> {
        self.disk().list(path)
    }
    fn exists(&self, path: &Path) -> Result<bool, DiskError> {
        self.disk().exists(path)
    }
    fn sync_dir(&self, path: &Path) -> Result<(), DiskError> {
        self.disk().sync_dir(path)
    }
    fn space(&self, path: &Path) -> Result<Space, DiskError> {
        self.disk().space(path)
    }
    fn lock(&self, path: &Path) -> Result<Option<Box<dyn Lock>>, DiskError> {
        self.disk().lock(path)
    }
    fn is_locked(&self, path: &Path) -> Result<bool, DiskError> {
        self.disk().is_locked(path)
    }
}
