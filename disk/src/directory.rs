//! Making a directory that survives a power cut.

use std::path::Path;

use crate::{Disk, DiskError};

/// Creates a directory with its missing parents, then syncs the directory that holds each of them.
/// One that exists is fine.
pub fn create_dir_durable(disk: &dyn Disk, path: &Path) -> Result<(), DiskError> {
    let mut parents = Vec::new();
    for ancestor in path.ancestors().take_while(|ancestor| !ancestor.as_os_str().is_empty()) {
        if disk.exists(ancestor)? {
            break;
        }
        parents.extend(ancestor.parent());
    }
    disk.create_dir(path)?;
    for parent in parents {
        let here = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        disk.sync_dir(here)?;
    }
    Ok(())
}
