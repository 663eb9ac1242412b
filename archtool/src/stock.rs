//! What an archive directory holds: its files with their sizes.

use crate::failure::Failure;
use disk::{Disk, RealDisk};
use engine::error::Error;
use engine::identity::Identity;
use engine::layout::Layout;
use engine::manifest::Manifest;
use sample::{Timestamp, Week};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Bytes of a sample beside its value before encoding: time, severity, status.
const SAMPLE_BYTES: u64 = 8 + 2 + 2;

/// The files of an archive.
#[derive(Clone, Debug)]
pub(crate) struct Stock {
    /// Which archive it is.
    pub(crate) identity: Identity,
    /// Its live tables.
    pub(crate) manifest: Manifest,
    /// The log's segments.
    pub(crate) wal: Pile,
    /// The live index files.
    pub(crate) index: Pile,
}

/// Some files.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Pile {
    /// How many.
    pub(crate) files: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
}

/// The tables of one partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Partition {
    /// The files.
    pub(crate) files: Pile,
    /// Samples in them.
    pub(crate) samples: u64,
    /// Bytes of the samples before encoding.
    pub(crate) raw_bytes: u64,
    /// Tables that hold late runs.
    pub(crate) late: u64,
    /// First and last time of a sample.
    pub(crate) span: Option<(Timestamp, Timestamp)>,
    /// Whether it is sealed.
    pub(crate) sealed: bool,
    /// Whether it holds what came for a week that was sealed already.
    pub(crate) beside: bool,
}

impl Stock {
    /// Looks into the archive in `directory`.
    pub(crate) fn take(directory: &Path) -> Result<Stock, Failure> {
        let layout = Layout::new(directory);
        let identity = identity(&layout)?;
        let manifest =
            Manifest::load(&RealDisk, &layout, identity.id)?.unwrap_or_else(|| Manifest::new(identity.id));
        let wal = pile(&layout.wal())?;
        let partitions = manifest.partition_indexes.iter().map(|index| index.len);
        let lens = partitions.chain(manifest.master_segments.iter().map(|segment| segment.len));
        let index =
            lens.fold(Pile::default(), |pile, len| Pile { files: pile.files + 1, bytes: pile.bytes + len });
        Ok(Stock { identity, manifest, wal, index })
    }

    /// How many weeks are sealed, at `now`.
    pub(crate) fn weeks(&self, now: Timestamp) -> Weeks {
        // By week: whether any table is sealed, whether any is not.
        let mut found: BTreeMap<Week, (bool, bool)> = BTreeMap::new();
        for table in &self.manifest.tables {
            let week = found.entry(table.week).or_default();
            *week = (week.0 || table.sealed, week.1 || !table.sealed);
        }
        let count = |of: &dyn Fn(&Week, bool, bool) -> bool| {
            found.iter().filter(|(week, (sealed, open))| of(week, *sealed, *open)).count()
        };
        Weeks {
            open: count(&|_, sealed, _| !sealed),
            sealed: count(&|_, sealed, _| sealed),
            backlog: count(&|week, _, open| open && week.end() <= now),
        }
    }

    /// Bytes of all live tables.
    pub(crate) fn table_bytes(&self) -> u64 {
        self.manifest.tables.iter().map(|table| table.len).sum()
    }

    /// The partitions by week; each with its directory inside the archive.
    pub(crate) fn partitions(&self) -> BTreeMap<(Week, String), Partition> {
        let mut partitions: BTreeMap<(Week, String), Partition> = BTreeMap::new();
        for table in &self.manifest.tables {
            let partition = partitions.entry((table.week, table.directory_inside())).or_default();
            partition.sealed |= table.sealed;
            partition.beside |= table.beside;
            partition.files.files += 1;
            partition.files.bytes += table.len;
            partition.samples += table.samples;
            partition.raw_bytes += table.value_bytes + table.samples * SAMPLE_BYTES;
            partition.late += u64::from(table.late);
            partition.span = match (partition.span, table.samples_span) {
                (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
                (span, other) => span.or(other),
            };
        }
        partitions
    }
}

/// Weeks by what became of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Weeks {
    /// Not sealed.
    pub(crate) open: usize,
    /// Sealed.
    pub(crate) sealed: usize,
    /// Over and not sealed, or sealed with late data beside.
    pub(crate) backlog: usize,
}

/// Which archive lies there.
pub(crate) fn identity(layout: &Layout) -> Result<Identity, Failure> {
    let missing = || Failure::Engine(Error::NoArchive(layout.root().to_path_buf()));
    Identity::load(&RealDisk, layout)?.ok_or_else(missing)
}

/// The files in a directory, or none where it is missing.
fn pile(directory: &Path) -> Result<Pile, Failure> {
    let names = match RealDisk.list(directory) {
        Ok(names) => names,
        Err(error) if error.is_missing() => return Ok(Pile::default()),
        Err(error) => return Err(Error::from(error).into()),
    };
    let mut pile = Pile::default();
    for entry in names.iter().filter(|entry| !entry.is_dir) {
        // A file may go between listing and opening.
        let Ok(file) = RealDisk.open(&directory.join(&entry.name)) else { continue };
        pile.files += 1;
        pile.bytes += file.len().map_err(Error::from)?;
    }
    Ok(pile)
}

/// A path as seen from the archive.
pub(crate) fn inside(layout: &Layout, path: &Path) -> PathBuf {
    path.strip_prefix(layout.root()).unwrap_or(path).to_path_buf()
}
