//! Archives that a benchmark has filled.

use disk::RealDisk;
use engine::StorageSettings;
use engine::clock::ManualClock;
use engine::recovery::{Opening, Recovered, open};
use sample::Timestamp;
use sstable::Table;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

/// The archive in `directory`, opened at `now`.
///
/// # Panics
/// When there is none.
pub fn reopened(directory: &Path, now: Timestamp, settings: StorageSettings) -> Recovered {
    let opening = Opening {
        disk: Arc::new(RealDisk),
        clock: Arc::new(ManualClock::new(now)),
        directory: directory.to_path_buf(),
        create: false,
        pinned: None,
        fresh_id: None,
        settings,
    };
    open(opening).expect("the archive")
}

/// Decodes every column of every chunk.
///
/// # Panics
/// When one is damaged.
pub fn decode_all(tables: &[Arc<Table>]) {
    for table in tables {
        for entry in table.all_entries() {
            let entry = entry.expect("the index is whole");
            if entry.chunk.is_some() {
                black_box(table.all_samples(&entry).expect("the chunk decodes"));
            }
        }
    }
}
