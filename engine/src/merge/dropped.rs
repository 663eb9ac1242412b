//! Files that were live once: removed when their grace time is over.

use crate::error::Error;
use crate::manifest::{DroppedFile, Manifest};
use crate::shared::Shared;
use crate::view::View;
use std::sync::{Mutex, PoisonError};

/// Bytes of dropped files that are not removed yet.
pub(crate) fn waiting_bytes(manifest: &Manifest) -> u64 {
    manifest.dropped.iter().map(|file| file.len).sum()
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
        shared.publish(View::new(manifest, view.tables.clone(), view.flushed_epoch));
    }
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(removed),
    }
}
