//! A disk that notes what is read of its files: what benchmarks and tests count.

use crate::Disk;
use crate::watched::{Watch, WatchedDisk};
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

/// What was read.
#[derive(Clone, Debug, Default)]
pub struct Reads(Arc<Mutex<Vec<CountedRead>>>);

impl Watch for Reads {
    fn has_read(&self, path: &Path, offset: u64, bytes: usize) {
        let read = CountedRead { path: path.to_path_buf(), offset, bytes: bytes as u64 };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(read);
    }
}

/// Passes everything on to another disk and notes reads.
pub type CountingDisk = WatchedDisk<Reads>;

impl CountingDisk {
    /// Over `inner`, nothing noted yet.
    pub fn new(inner: Arc<dyn Disk>) -> CountingDisk {
        WatchedDisk { inner, watch: Reads::default() }
    }

    /// What was read since this was asked last.
    pub fn take(&self) -> Vec<CountedRead> {
        std::mem::take(&mut *self.watch.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
