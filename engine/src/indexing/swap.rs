//! Makes index files live and lets others go.

use super::choice::useless;
use crate::error::Error;
use crate::layout::Layout;
use crate::manifest::{DroppedFile, Manifest};
use crate::shared::Shared;
use crate::view::View;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Replaces the manifest by one that `change` has been made to, unless that says that it came too late; says
/// whether it was. Index files that are named no more are dropped.
pub(super) fn publish(
    shared: &Shared,
    publishing: &Mutex<()>,
    change: impl FnOnce(&mut Manifest) -> bool,
) -> Result<bool, Error> {
    let _still = publishing.lock().unwrap_or_else(PoisonError::into_inner);
    shared.check_not_poisoned()?;
    let view = shared.view();
    let mut manifest = view.manifest.clone();
    if !change(&mut manifest) {
        return Ok(false);
    }
    let live = files(&manifest);
    let since = shared.clock.now();
    let gone = files(&view.manifest).into_iter().filter(|file| !live.contains(file));
    manifest.dropped.extend(gone.map(|(file, len)| DroppedFile { file, since, len }));
    manifest.next_table = shared.next_table.load(std::sync::atomic::Ordering::Relaxed);
    manifest.generation = shared.next_generation();
    manifest.store(&*shared.disk, &shared.layout)?;
    shared.publish(View::new(manifest, view.tables.clone(), view.flushed_epoch));
    Ok(true)
}

/// Publishes a file that was just written. Where the manifest does not come to name it, it is removed again.
pub(super) fn publish_file(
    shared: &Shared,
    publishing: &Mutex<()>,
    path: &Path,
    change: impl FnOnce(&mut Manifest) -> bool,
) -> Result<bool, Error> {
    let published = publish(shared, publishing, change);
    if !matches!(published, Ok(true)) && !may_be_live(shared, path) {
        remove(shared, path);
    }
    published
}

/// Lets the files go that are of no use.
pub(super) fn forget(shared: &Shared, publishing: &Mutex<()>, lost: &BTreeSet<u64>) -> Result<(), Error> {
    publish(shared, publishing, |manifest| {
        let useless = useless(manifest, lost);
        drop_named(manifest, &useless);
        true
    })
    .map(drop)
}

/// Takes index files out of a manifest.
pub(super) fn drop_named(manifest: &mut Manifest, ids: &BTreeSet<u64>) {
    manifest.partition_indexes.retain(|index| !ids.contains(&index.id));
    manifest.master_segments.retain(|segment| !ids.contains(&segment.id));
}

/// The index files that a manifest names, with their lengths.
fn files(manifest: &Manifest) -> BTreeSet<(String, u64)> {
    let partitions = manifest.partition_indexes.iter();
    let partitions =
        partitions.map(|of| (Layout::partition_index_inside(of.week, of.generation, of.id), of.len));
    let segments = manifest.master_segments.iter().map(|of| (Layout::master_segment_inside(of.id), of.len));
    partitions.chain(segments).collect()
}

/// Whether the manifest on the disk may name the file after an attempt to store one that does.
fn may_be_live(shared: &Shared, path: &Path) -> bool {
    let present = Manifest::load(&*shared.disk, &shared.layout, shared.identity.id);
    let names = |of: &Manifest| files(of).iter().any(|(file, _)| shared.layout.inside(file) == path);
    present.map_or(true, |present| present.is_some_and(|present| names(&present)))
}

/// Gives the room of an unfinished file back; what cannot be removed now goes at the next opening.
pub(super) fn remove(shared: &Shared, path: &Path) {
    match shared.disk.remove(path) {
        Err(error) if !error.is_missing() => {
            tracing::warn!(%error, "left behind by an unfinished index file")
        }
        _ => {}
    }
}
