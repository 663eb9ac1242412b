//! Saves what is left of a damaged table; keeps the file aside.

use super::facts::{Facts, measured};
use super::identity::ASIDE_SUFFIX;
use super::survey::{Candidate, Condition};
use super::{Names, Rebuilding};
use crate::error::Error;
use crate::limits::MERGE_CACHE_BYTES;
use crate::manifest::TableEntry;
use disk::Disk;
use sample::{ChannelId, ChannelName, Timestamp};
use sstable::{BlockCache, Lineage, Loss, Remains, Salvaged, Table, TableInfo, TableKind};
use std::path::{Path, PathBuf};

/// What became of a damaged table.
#[derive(Clone, Debug)]
pub struct Mended {
    /// The damaged file, as it was called.
    pub file: PathBuf,
    /// Where it is kept now.
    pub kept: PathBuf,
    /// What was wrong with it first.
    pub what: String,
    /// The new table with what could be saved; `None` where nothing could, or where all of it stands in
    /// other tables.
    pub saved: Option<PathBuf>,
    /// Samples in the new table.
    pub samples: u64,
    /// What is lost, with the names of the channels that it may have been of (at most some).
    pub lost: Vec<(Loss, Vec<ChannelName>)>,
    /// Channels whose names its own dictionary lost.
    pub nameless: Vec<(ChannelId, ChannelName)>,
}

impl Mended {
    /// Whether data are gone.
    pub fn lost_something(&self) -> bool {
        self.lost.iter().any(|(loss, _)| loss.channels.is_some())
    }
}

/// Channels that are named for one loss.
const NAMES_MAX: u64 = 8;

/// Of a damaged table whose parts are live.
pub(super) fn set_aside(candidate: &Candidate) -> Mended {
    Mended {
        kept: aside(&candidate.file.path),
        file: candidate.file.path.clone(),
        what: fault(candidate),
        saved: None,
        samples: 0,
        lost: Vec::new(),
        nameless: Vec::new(),
    }
}

/// Writes what is left as table `id`, durably, beside the damaged one.
pub(super) fn salvage(
    rebuilding: &Rebuilding<'_>,
    candidate: &Candidate,
    id: u64,
    names: &Names,
) -> Result<(Option<Facts>, Mended), Error> {
    let disk = &*rebuilding.reindexing.disk;
    let file = &candidate.file;
    let remains = Remains::read(disk, &file.path)?;
    let former = rebuilding.entries().find(|entry| entry.path(rebuilding.layout) == file.path).cloned();
    let class = former.as_ref().and_then(|entry| {
        let classes = &rebuilding.former.as_ref()?.classes;
        Some((u32::from(entry.class), classes.get(usize::from(entry.class))?.clone()))
    });
    let known = remains.info.clone();
    let info = TableInfo {
        archive: rebuilding.archive.0,
        table: id,
        week: file.week,
        class: known.as_ref().map(|info| info.class).or(class.as_ref().map(|c| c.0)).unwrap_or(0),
        class_name: known
            .as_ref()
            .map(|info| info.class_name.clone())
            .or(class.map(|c| c.1))
            .unwrap_or_else(|| "default".to_string()),
        kind: known.as_ref().map_or(TableKind::Raw, |info| info.kind),
        known_until: known.as_ref().map_or(Timestamp::MIN, |info| info.known_until),
        tier: known.map(|info| info.tier).or(former.map(|entry| entry.tier)).unwrap_or(0),
    };
    let mut lineage = remains.lineage.clone().unwrap_or_default();
    let tier = info.tier;
    lineage.parts.push(file.id);
    let path = file.path.with_file_name(crate::layout::table_name(id));
    let write = |remains: Remains, lineage: &Lineage| -> Result<(Salvaged, Table), Error> {
        if disk.exists(&path)? {
            disk.remove(&path)?;
        }
        let salvaged = remains.write(disk, &path, &info, lineage, &|channel| names.name(channel))?;
        Ok((salvaged, Table::open(disk, &path, &BlockCache::new(MERGE_CACHE_BYTES))?))
    };
    let (mut salvaged, mut table) = write(remains, &lineage)?;
    // What the lineage repeats of the data was of all that there was; where something is lost the table does not
    // stand in the place of what had gone into the damaged one.
    let left = measured(&table)?;
    let mut rest = Lineage { value_bytes: left.value_bytes, sequences: left.sequences, ..lineage.clone() };
    if tier > 0 && salvaged.lost.iter().any(|loss| loss.channels.is_some()) {
        (rest.parts, rest.group) = (vec![file.id], Vec::new());
    }
    if rest != lineage {
        lineage = rest;
        (salvaged, table) = write(Remains::read(disk, &file.path)?, &lineage)?;
    }
    let lost = salvaged.lost.into_iter().map(|loss| (loss.clone(), named(&loss, names))).collect();
    let mut mended = Mended {
        kept: aside(&file.path),
        file: file.path.clone(),
        what: fault(candidate),
        saved: Some(path.clone()),
        samples: salvaged.summary.samples,
        lost,
        nameless: salvaged.nameless.iter().map(|channel| (*channel, names.name(*channel))).collect(),
    };
    if salvaged.summary.blocks == 0 && salvaged.summary.channels == 0 {
        disk.remove(&path)?;
        mended.saved = None;
        if is_void(candidate) {
            mended.lost.clear();
        }
        return Ok((None, mended));
    }
    if let Some(directory) = path.parent() {
        // I3.
        disk.sync_dir(directory)?;
    }
    Ok((Some(Facts::of(&table, &TableEntry { id, ..file.place() })?), mended))
}

/// Whether a file shows no sign of ever having been a whole table: neither its beginning nor its end can be read. A
/// power cut leaves such of a table that was being written, which was never live; it is kept, but no loss.
fn is_void(candidate: &Candidate) -> bool {
    matches!(&candidate.condition, Condition::Damaged { info: None, finished: false, .. })
}

fn fault(candidate: &Candidate) -> String {
    match &candidate.condition {
        Condition::Damaged { what, .. } => what.to_string(),
        Condition::Sound(_) => String::new(),
    }
}

/// Names of the channels that a loss may have been of.
fn named(loss: &Loss, names: &Names) -> Vec<ChannelName> {
    let Some((least, most)) = loss.channels else { return Vec::new() };
    let most = most.0.min(least.0.saturating_add(NAMES_MAX - 1));
    (least.0..=most).filter_map(|channel| names.known(ChannelId(channel))).collect()
}

/// Where a damaged file is kept: no engine takes it for a table.
fn aside(path: &Path) -> PathBuf {
    let mut name = path.to_path_buf().into_os_string();
    name.push(ASIDE_SUFFIX);
    name.into()
}

/// Gives the damaged file the name under which it is kept, durably. Where a file system cannot give a second
/// name it is renamed.
pub(super) fn name_aside(disk: &dyn Disk, mended: &Mended) -> Result<(), Error> {
    if !disk.exists(&mended.kept)? && disk.link(&mended.file, &mended.kept).is_err() {
        disk.rename(&mended.file, &mended.kept)?;
    }
    sync_directory(disk, &mended.kept)
}

/// Takes the former name away.
pub(super) fn unname(disk: &dyn Disk, mended: &Mended) -> Result<(), Error> {
    match disk.remove(&mended.file) {
        Err(error) if !error.is_missing() => return Err(error.into()),
        _ => {}
    }
    sync_directory(disk, &mended.file)
}

fn sync_directory(disk: &dyn Disk, path: &Path) -> Result<(), Error> {
    match path.parent() {
        Some(directory) => Ok(disk.sync_dir(directory)?),
        None => Ok(()),
    }
}
