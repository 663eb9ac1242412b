//! What a file of an archive holds, as text that does not change with the program.

mod index_file;
mod list;
mod log;
mod parts;
mod table;

use disk::SimDisk;
use std::error::Error;
use std::path::Path;

/// What reading yields.
type Read<T> = Result<T, Box<dyn Error>>;

/// The content of a file of `format`, a line a thing.
pub(super) fn of(format: &str, bytes: &[u8]) -> Result<String, String> {
    let text = match format {
        "sstable" => table::text(bytes),
        "wal" => log::text(bytes),
        "manifest" => list::manifest(bytes),
        "identity" => list::identity(bytes),
        "lock" => list::lock(bytes),
        "snapshot" => Ok(parts::escaped(bytes)),
        "partition-index" => index_file::partition(bytes),
        "master-segment" => index_file::master(bytes),
        _ => Err("a format that no test reads".into()),
    };
    text.map_err(|error| error.to_string())
}

/// A disk with one file.
fn planted(path: &str, bytes: &[u8]) -> Read<SimDisk> {
    let (disk, path) = (SimDisk::new(1), Path::new(path));
    disk::Disk::create_dir(&disk, path.parent().unwrap())?;
    disk.plant(path, bytes)?;
    Ok(disk)
}

/// The lines but for the middle ones, which a checksum stands for where there are many.
fn shortened(lines: &[String], ends: usize) -> String {
    if lines.len() <= 2 * ends + 8 {
        return lines.concat();
    }
    let middle = lines[ends..lines.len() - ends].concat();
    format!(
        "{}  .. {} lines with checksum {:08x}\n{}",
        lines[..ends].concat(),
        lines.len() - 2 * ends,
        disk::checksum(middle.as_bytes()),
        lines[lines.len() - ends..].concat()
    )
}
