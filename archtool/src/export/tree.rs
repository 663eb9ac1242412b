//! A whole that is a directory of files, each durable before it is published.

use super::part::{Appending, failed};
use crate::failure::Failure;
use disk::{Disk, DiskError};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files in directories, as they are written.
#[derive(Debug)]
pub(crate) struct Tree {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    /// All directories, the root among them.
    directories: BTreeSet<PathBuf>,
}

impl Tree {
    /// Begins with the directory `root`, which is not there yet.
    pub(super) fn begin(disk: Arc<dyn Disk>, root: PathBuf) -> Result<Tree, DiskError> {
        disk.create_dir(&root)?;
        Ok(Tree { disk, directories: BTreeSet::from([root.clone()]), root })
    }

    /// A file at a path below the root, which has no `..`.
    pub(super) fn file(&mut self, below: &Path) -> Result<Appending, Failure> {
        let path = self.root.join(below);
        let parents = path.ancestors().skip(1).take_while(|parent| parent.starts_with(&self.root));
        let new: Vec<&Path> = parents.take_while(|parent| !self.directories.contains(*parent)).collect();
        if let Some(deepest) = new.first() {
            self.disk.create_dir(deepest).map_err(failed)?;
        }
        self.directories.extend(new.into_iter().map(Path::to_owned));
        Appending::to(&*self.disk, &path)
    }

    /// Makes all names durable.
    pub(super) fn sync(&self) -> Result<(), Failure> {
        self.directories.iter().try_for_each(|directory| self.disk.sync_dir(directory)).map_err(failed)
    }
}

/// Removes a file, or a directory with all that is in it, if it is there.
pub(super) fn remove(disk: &dyn Disk, path: &Path) -> Result<(), DiskError> {
    if !disk.exists(path)? {
        return Ok(());
    }
    // What cannot be listed is a file.
    let Ok(entries) = disk.list(path) else { return disk.remove(path) };
    entries.iter().try_for_each(|entry| remove(disk, &path.join(&entry.name)))?;
    disk.remove_dir(path)
}

/// Bytes of a file, or of all files in a directory.
pub(super) fn bytes(disk: &dyn Disk, path: &Path) -> Result<u64, DiskError> {
    let Ok(entries) = disk.list(path) else { return disk.open(path)?.len() };
    entries.iter().try_fold(0_u64, |sum, entry| Ok(sum.saturating_add(bytes(disk, &path.join(&entry.name))?)))
}
