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

/// Bytes of a block of a disk: what lies no further apart is read as quickly as if it were one.
const BLOCK_BYTES: u64 = 4096;

/// The stretches that `reads` are of: those of one file that overlap or lie at most a block apart are one, whichever came
/// first.
pub fn stretches(mut reads: Vec<CountedRead>) -> Vec<CountedRead> {
    reads.sort_by(|a, b| (&a.path, a.offset).cmp(&(&b.path, b.offset)));
    reads.dedup_by(|next, before| {
        let end = before.offset + before.bytes;
        let joined = next.path == before.path && next.offset <= end + BLOCK_BYTES;
        if joined {
            before.bytes = end.max(next.offset + next.bytes) - before.offset;
        }
        joined
    });
    reads
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_that_touch_are_one_in_any_order() {
        let read = |path: &str, offset, bytes| CountedRead { path: path.into(), offset, bytes };
        let all = [
            read("a", 9_000, 10),
            read("a", 0, 6_000),
            read("b", 5_000, 1),
            read("a", 20_000, 5),
            read("a", 100, 7),
        ];
        for turned in 0..all.len() {
            let mut reads = all.to_vec();
            reads.rotate_left(turned);
            assert_eq!(stretches(reads), [read("a", 0, 9_010), read("a", 20_000, 5), read("b", 5_000, 1)]);
        }
    }
}
