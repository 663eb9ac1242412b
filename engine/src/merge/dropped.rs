//! Files that were live once: removed when their grace time is over.

use crate::error::Error;
use crate::manifest::{DroppedFile, Manifest};
use crate::shared::Shared;
use crate::view::View;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// Bytes of dropped files that are not removed yet.
pub(crate) fn waiting_bytes(manifest: &Manifest) -> u64 {
    manifest.dropped.iter().map(|file| file.len).sum()
}

/// Removes directories of weeks whose last file went. One that holds anything else stays, for it is not empty.
fn remove_directories(shared: &Shared, before: &Manifest, after: &Manifest) {
    let directory =
        |file: &DroppedFile| file.file.rsplit_once('/').map(|(directory, _)| directory.to_owned());
    let mut gone: BTreeSet<String> = before.dropped.iter().filter_map(directory).collect();
    let waiting: BTreeSet<String> = after.dropped.iter().filter_map(directory).collect();
    gone.retain(|directory| !waiting.contains(directory));
    let sealing = after.sealing.iter().flat_map(|sealing| &sealing.outputs);
    for table in after.tables.iter().chain(sealing) {
        gone.remove(&table.directory_inside());
    }
    for directory in gone {
        let _ = shared.disk.remove_dir(&shared.layout.inside(&directory));
    }
}

/// Removes dropped files whose grace time is over, then the manifest's memory of them. Returns how many.
pub(crate) fn remove_dropped(shared: &Shared, publishing: &Mutex<()>) -> Result<usize, Error> {
    let now = shared.clock.now();
    let over = |file: &DroppedFile| now.since(file.since) >= shared.settings.grace_ns;
    if !shared.view().manifest.dropped.iter().any(over) {
        return Ok(0);
    }
    let _still = publishing.lock().unwrap_or_else(PoisonError::into_inner);
    let view = shared.view();
    let mut manifest = view.manifest.clone();
    let mut failed = None;
    manifest.dropped.retain(|file| {
        if !over(file) {
            return true;
        }
        match shared.disk.remove(&shared.layout.inside(&file.file)) {
            Err(error) if !error.is_missing() => {
                failed = Some(error);
                true
            }
            _ => false,
        }
    });
    let removed = view.manifest.dropped.len() - manifest.dropped.len();
    if removed > 0 {
        manifest.generation = shared.next_generation();
        manifest.store(&*shared.disk, &shared.layout)?;
        remove_directories(shared, &view.manifest, &manifest);
        shared.publish(View::new(manifest, view.tables.clone(), view.flushed_epoch));
    }
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(removed),
    }
}
