//! Which archive a directory is whose `ARCHIVE` may be lost.

use super::survey::{TableFile, archive_of};
use crate::clock::Clock;
use crate::error::Error;
use crate::identity::{ArchiveId, Identity};
use crate::layout::Layout;
use crate::manifest::Manifest;
use crate::wal;
use disk::Disk;
use std::collections::BTreeMap;

/// What stands behind the name of a file that is kept aside because it is damaged.
pub(super) const ASIDE_SUFFIX: &str = ".damaged";

/// The archive's identity, and whether it was taken from its tables: where there is none, or where an archive
/// without anything of its own got tables of another one.
pub(super) fn found(
    disk: &dyn Disk,
    clock: &dyn Clock,
    layout: &Layout,
    files: &[TableFile],
) -> Result<(Identity, bool), Error> {
    let written = match Identity::load(disk, layout) {
        Err(error) if error.is_damage() => None,
        other => other?,
    };
    let mut told: BTreeMap<ArchiveId, usize> = BTreeMap::new();
    for file in files {
        if let Some(archive) = archive_of(disk, file)? {
            *told.entry(archive).or_default() += 1;
        }
    }
    if let Some(identity) = written
        && (told.is_empty() || told.contains_key(&identity.id) || !is_empty(disk, layout, &identity)?)
    {
        return Ok((identity, false));
    }
    if told.is_empty() {
        told.extend(wal::archive_of(disk, &layout.wal())?.map(|archive| (archive, 0)));
    }
    let archives: Vec<ArchiveId> = told.into_keys().collect();
    let archive = match archives[..] {
        [archive] => archive,
        [] => return Err(Error::NoArchive(layout.root().into())),
        _ => return Err(Error::SeveralArchives { directory: layout.root().into(), archives }),
    };
    let path = layout.identity();
    if written.is_some() {
        // In this order: what is left of an archive that held nothing stays one.
        for name in super::listed(disk, &layout.wal())? {
            disk.remove(&layout.wal().join(name))?;
        }
        disk.remove(&path)?;
    } else if disk.exists(&path)? {
        let mut aside = path.clone().into_os_string();
        aside.push(ASIDE_SUFFIX);
        disk.rename(&path, aside.as_ref())?;
    }
    disk::create_dir_durable(disk, &layout.wal())?;
    disk::create_dir_durable(disk, &layout.weeks())?;
    Ok((Identity::create(disk, layout, archive, clock.now())?, true))
}

/// Whether an archive never stored anything: no channel, no table, nothing in its log.
fn is_empty(disk: &dyn Disk, layout: &Layout, identity: &Identity) -> Result<bool, Error> {
    let manifest = match Manifest::load(disk, layout, identity.id) {
        Ok(Some(manifest)) => manifest,
        Ok(None) => Manifest::new(identity.id),
        Err(error) if error.is_damage() => return Ok(false),
        Err(error) => return Err(error),
    };
    let mut channels = manifest.next_channel > 1 || !manifest.tables.is_empty();
    wal::replay(disk, &layout.wal(), identity.id, manifest.wal_from, &mut |_, entry| {
        channels |= matches!(entry, wal::Entry::Channel { .. } | wal::Entry::Sample { .. });
    })?;
    Ok(!channels)
}
