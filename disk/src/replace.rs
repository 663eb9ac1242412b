//! Replacing a small file whole or not at all.

use std::path::Path;

use crate::{Disk, DiskError};

/// What the temporary file of [`replace`] is called: the name with this behind it. One that is found
/// belongs to a replacement that did not finish; it means nothing.
pub const PART_SUFFIX: &str = ".part";

/// Makes `name` in `dir` hold exactly `bytes`, durably. After a crash or an error the file holds the former
/// content (or is missing as before) or all of the new one.
pub fn replace(disk: &dyn Disk, dir: &Path, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
    let part = dir.join(format!("{name}{PART_SUFFIX}"));
    match disk.remove(&part) {
        Err(error) if !error.is_missing() => return Err(error),
        _ => {}
    }
    let written = write_part(disk, &part, bytes).and_then(|()| disk.rename(&part, &dir.join(name)));
    if let Err(error) = written {
        // The first error is the one to report; a part that stays is removed by the next replacement.
        let _ = disk.remove(&part);
        return Err(error);
    }
    disk.sync_dir(dir)
}

fn write_part(disk: &dyn Disk, part: &Path, bytes: &[u8]) -> Result<(), DiskError> {
    let file = disk.create(part)?;
    file.write_at(0, bytes)?;
    file.sync()
}

#[cfg(test)]
mod tests;
