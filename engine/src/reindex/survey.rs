//! Looks at every table of an archive, several at a time.

use super::damage_only;
use super::facts::Facts;
use crate::error::Error;
use crate::identity::ArchiveId;
use crate::layout::{Layout, ROLLUP_NAME, parse_late_dir, parse_table, parse_week_dir, table_name};
use crate::limits::MERGE_CACHE_BYTES;
use crate::manifest::{FIRST_GENERATION, TableEntry};
use disk::{Disk, FormatError};
use sample::{ChannelId, Week};
use sstable::{BlockCache, DictionaryRow, Lineage, Remains, Scan, Table, TableInfo, TableKind, verify};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A file that is called like a table.
#[derive(Clone, Debug)]
pub(super) struct TableFile {
    pub(super) path: PathBuf,
    /// Its directory, as the manifest writes it.
    pub(super) directory: String,
    /// Of a roll-up the first one, as far as it says.
    pub(super) week: Week,
    pub(super) generation: u32,
    /// Whether it lies beside a sealed week.
    pub(super) beside: bool,
    /// The number in its name.
    pub(super) id: u64,
    pub(super) len: u64,
}

impl TableFile {
    /// Whether it lies where seals write: only they begin a directory that is not a week's first.
    pub(super) fn is_sealed(&self) -> bool {
        !self.beside && self.generation > FIRST_GENERATION
    }

    /// Whether it lies where the rows of several weeks do.
    pub(super) fn is_rollup(&self) -> bool {
        self.directory == ROLLUP_NAME
    }

    /// An entry that says where it lies and nothing else.
    pub(super) fn place(&self) -> TableEntry {
        TableEntry {
            id: self.id,
            week: self.week,
            generation: self.generation,
            beside: self.beside,
            sources: Vec::new(),
            sealed: self.is_sealed(),
            class: 0,
            decimated: false,
            holds_carry_in: false,
            late: false,
            len: self.len,
            footer_crc: 0,
            samples_span: None,
            channels: 0,
            samples: 0,
            value_bytes: 0,
            channel_span: (ChannelId(0), ChannelId(0)),
            sequence_span: (0, 0),
            tier: 0,
        }
    }

    /// As the manifest writes it.
    pub(super) fn inside(&self) -> String {
        format!("{}/{}", self.directory, table_name(self.id))
    }
}

/// What a file was found to be.
#[derive(Debug)]
pub(super) enum Condition {
    /// Every checksum is right.
    Sound(Box<Facts>),
    /// Some are not; what is wrong first.
    Damaged { info: Option<Box<TableInfo>>, lineage: Box<Lineage>, finished: bool, what: FormatError },
}

/// A file with what it was found to be.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) file: TableFile,
    pub(super) condition: Condition,
}

impl Candidate {
    /// The archive that it says it is of.
    pub(super) fn archive(&self) -> Option<ArchiveId> {
        match &self.condition {
            Condition::Sound(facts) => Some(facts.archive),
            Condition::Damaged { info, .. } => info.as_ref().map(|info| ArchiveId(info.archive)),
        }
    }

    /// Where it came from, as far as it says.
    pub(super) fn lineage(&self) -> Lineage {
        match &self.condition {
            Condition::Sound(facts) => facts.lineage.clone(),
            Condition::Damaged { lineage, .. } => (**lineage).clone(),
        }
    }

    /// Whether it holds decimated rows, as far as it says.
    pub(super) fn is_decimated(&self) -> bool {
        match &self.condition {
            Condition::Sound(facts) => facts.entry.decimated,
            Condition::Damaged { info, .. } => {
                self.file.is_rollup() || info.as_ref().is_some_and(|info| info.kind == TableKind::Decimated)
            }
        }
    }

    /// Rows of its dictionary that can be read.
    pub(super) fn rows(&self, disk: &dyn Disk) -> Result<Vec<DictionaryRow>, Error> {
        if let Condition::Damaged { .. } = self.condition {
            return Ok(Remains::read(disk, &self.file.path)?.rows.into_values().collect());
        }
        let table = Table::open(disk, &self.file.path, &BlockCache::new(0))?;
        Ok(table.dictionary().collect::<Result<_, _>>()?)
    }
}

/// Every file in `weeks` that is called like a table, and every roll-up.
pub(super) fn files(disk: &dyn Disk, layout: &Layout) -> Result<Vec<TableFile>, Error> {
    let mut files = Vec::new();
    for folder in super::listed(disk, &layout.weeks())? {
        let sealed_beside = parse_late_dir(&folder).map(|(week, generation)| (week, generation, true));
        let place = parse_week_dir(&folder).map(|(week, generation)| (week, generation, false));
        let Some((week, generation, beside)) = place.or(sealed_beside) else { continue };
        let directory = layout.weeks().join(&folder);
        for name in super::listed(disk, &directory)? {
            let Some(id) = parse_table(&name) else { continue };
            let path = directory.join(&name);
            let len = disk.open(&path)?.len()?;
            let inside = format!("weeks/{folder}");
            files.push(TableFile { path, directory: inside, week, generation, beside, id, len });
        }
    }
    for name in super::listed(disk, &layout.rollup())? {
        if let Some(id) = parse_table(&name) {
            files.extend(rollup(disk, layout.rollup().join(&name), id)?);
        }
    }
    Ok(files)
}

/// A file among the roll-ups, unless it is a table of something else.
fn rollup(disk: &dyn Disk, path: PathBuf, id: u64) -> Result<Option<TableFile>, Error> {
    let len = disk.open(&path)?.len()?;
    let mut week = Week(0);
    match Scan::open(disk, &path) {
        Ok(scan) => match scan.info() {
            Some(info) if info.kind != TableKind::Decimated => return Ok(None),
            info => week = info.map_or(week, |info| info.week),
        },
        Err(error) => drop(damage_only(error)?),
    }
    let generation = FIRST_GENERATION;
    Ok(Some(TableFile { path, directory: ROLLUP_NAME.into(), week, generation, beside: false, id, len }))
}

/// Compares every checksum of the files with `threads` threads; in the order of `files`.
pub(super) fn survey(
    disk: &Arc<dyn Disk>,
    files: Vec<TableFile>,
    threads: usize,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Vec<Candidate>, Error> {
    let total = files.iter().map(|file| file.len).sum();
    let (next, bytes) = (AtomicUsize::new(0), AtomicU64::new(0));
    // The largest first, so that no thread is left alone with one.
    let mut order: Vec<usize> = (0..files.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(files[*at].len));
    let found: Mutex<Vec<(usize, Result<Condition, Error>)>> = Mutex::default();
    let work = || {
        while let Some(at) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            let condition = examine(&**disk, &files[*at]);
            let done = bytes.fetch_add(files[*at].len, Ordering::Relaxed) + files[*at].len;
            progress(done, total);
            found.lock().unwrap_or_else(PoisonError::into_inner).push((*at, condition));
        }
    };
    if threads <= 1 {
        work();
    } else {
        std::thread::scope(|scope| {
            for _ in 0..threads.min(files.len()) {
                scope.spawn(work);
            }
        });
    }
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.sort_by_key(|(at, _)| *at);
    let pairs = files.into_iter().zip(found);
    pairs.map(|(file, (_, condition))| Ok(Candidate { file, condition: condition? })).collect()
}

fn examine(disk: &dyn Disk, file: &TableFile) -> Result<Condition, Error> {
    let what = match verify(disk, &file.path, false) {
        Ok(mut found) if found.problem_count > 0 => found.problems.remove(0),
        Ok(_) => {
            let table = Table::open(disk, &file.path, &BlockCache::new(MERGE_CACHE_BYTES))?;
            match Facts::of(&table, &file.place()) {
                Ok(facts) => return Ok(Condition::Sound(Box::new(facts))),
                Err(error) => damage_only(error)?,
            }
        }
        Err(error) => damage_only(error)?,
    };
    let remains = Remains::read(disk, &file.path)?;
    let (info, finished) = (remains.info.clone().map(Box::new), remains.finished);
    Ok(Condition::Damaged { info, lineage: Box::new(remains.lineage.unwrap_or_default()), finished, what })
}

/// The archive that the first bytes of a file name.
pub(super) fn archive_of(disk: &dyn Disk, file: &TableFile) -> Result<Option<ArchiveId>, Error> {
    match Scan::open(disk, &file.path) {
        Ok(scan) => Ok(scan.info().map(|info| ArchiveId(info.archive))),
        Err(error) => damage_only(error).map(|_| None),
    }
}
