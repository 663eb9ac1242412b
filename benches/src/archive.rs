//! Archives that a benchmark has filled.

use disk::{Disk, RealDisk};
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
    reopened_on(Arc::new(RealDisk), directory, now, settings)
}

/// As [`reopened`], through `disk`.
///
/// # Panics
/// When there is none.
pub fn reopened_on(
    disk: Arc<dyn Disk>,
    directory: &Path,
    now: Timestamp,
    settings: StorageSettings,
) -> Recovered {
    let opening = opening(directory, &ManualClock::new(now), false, settings);
    open(Opening { disk, ..opening }).expect("the archive")
}

/// As [`reopened`], by `clock`.
///
/// # Panics
/// When there is none.
pub fn reopened_by(clock: &ManualClock, directory: &Path, settings: StorageSettings) -> Recovered {
    open(opening(directory, clock, false, settings)).expect("the archive")
}

/// A fresh archive in `directory`, by `clock`.
///
/// # Panics
/// When it cannot be made.
pub fn fresh(directory: &Path, clock: &ManualClock, settings: StorageSettings) -> Recovered {
    open(opening(directory, clock, true, settings)).expect("a fresh archive")
}

fn opening(directory: &Path, clock: &ManualClock, create: bool, settings: StorageSettings) -> Opening {
    Opening {
        disk: Arc::new(RealDisk),
        clock: Arc::new(clock.clone()),
        directory: directory.to_path_buf(),
        create,
        pinned: None,
        fresh_id: None,
        settings,
    }
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
