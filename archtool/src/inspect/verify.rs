//! Every checksum of an archive; with `deep` everything is decoded as well.

use crate::failure::Failure;
use crate::stock::{identity, inside};
use disk::{Disk, FormatError, RealDisk};
use engine::error::Error;
use engine::layout::{Layout, parse_table};
use engine::manifest::{Manifest, TableEntry};
use engine::reindex::Facts;
use engine::wal;
use sstable::{BlockCache, Table};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Bytes of decoded blocks kept while a table is read through.
const CACHE_BYTES: usize = 8 << 20;

/// Something that does not check.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Finding {
    /// The file, as seen from the archive.
    pub(crate) file: String,
    /// Where in it.
    pub(crate) offset: u64,
    /// What is wrong.
    pub(crate) what: String,
}

/// What was looked at, and what was found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Verified {
    /// Files read.
    pub(crate) files: u64,
    /// Entries of tables whose bytes were checked.
    pub(crate) entries: u64,
    /// Samples decoded, in tables and log.
    pub(crate) samples: u64,
    /// Rows of index files.
    pub(crate) index_rows: u64,
    /// Records of the log.
    pub(crate) wal_records: u64,
    /// Bytes at the end of the log that were never durable: what a crash leaves, no damage.
    pub(crate) torn_bytes: u64,
    /// Tables that no manifest names: what an interrupted flush or merge leaves, no damage.
    pub(crate) strays: Vec<String>,
    /// Damage.
    pub(crate) findings: Vec<Finding>,
}

impl Verified {
    /// Damage is noted, anything else that went wrong ends the check.
    fn note(&mut self, layout: &Layout, error: FormatError) -> Result<(), Failure> {
        let (file, offset, what) = match &error {
            FormatError::Corrupt { path, offset, what } => (path.clone(), *offset, what.to_string()),
            FormatError::WrongKind { path, .. } => (path.clone(), 0, error.to_string()),
            FormatError::Io(io) if io.is_missing() => {
                (io.path.clone(), 0, "the manifest names it, but it is missing".to_owned())
            }
            _ => return Err(Error::from(error).into()),
        };
        self.findings.push(Finding { file: inside(layout, &file).display().to_string(), offset, what });
        Ok(())
    }
}

/// Checks the archive in `directory`. `progress` is told how many tables of how many are done.
pub(crate) fn verify(
    directory: &Path,
    deep: bool,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Verified, Failure> {
    let layout = Layout::new(directory);
    let mut verified = Verified { files: 1, ..Verified::default() };
    let identity = match identity(&layout) {
        Err(Failure::Engine(Error::Format(error))) if error.is_damage() => {
            // Nothing else can be told apart from another archive's files without it.
            verified.note(&layout, error)?;
            return Ok(verified);
        }
        other => other?,
    };
    let manifest = loop {
        let manifest = match Manifest::load(&RealDisk, &layout, identity.id) {
            Err(Error::Format(error)) if error.is_damage() => {
                verified.note(&layout, error)?;
                None
            }
            Ok(None) => {
                let what = "it is missing: rebuild it from the tables with `archtool reindex`";
                verified.note(&layout, FormatError::corrupt(&layout.manifest(), 0, what))?;
                None
            }
            other => other?,
        };
        let Some(manifest) = manifest else {
            // The tables may be sound all the same.
            let files = table_files(&layout)?;
            for (done, path) in files.iter().enumerate() {
                progress(done, files.len());
                table(&mut verified, &layout, path, deep)?;
            }
            break None;
        };
        let before = verified.clone();
        verified.files += 1;
        tables(&mut verified, &layout, &manifest, deep, progress)?;
        indexes(&mut verified, &layout, &manifest, deep)?;
        let present = Manifest::load(&RealDisk, &layout, identity.id).ok().flatten();
        // An engine at work may have merged tables away meanwhile.
        if verified.findings.is_empty()
            || present.is_none_or(|present| present.generation == manifest.generation)
        {
            break Some(manifest);
        }
        verified = before;
    };
    let mut samples = 0;
    let replay = wal::replay(
        &RealDisk,
        &layout.wal(),
        identity.id,
        manifest.map_or(1, |m| m.wal_from),
        &mut |_, entry| {
            samples += u64::from(matches!(entry, wal::Entry::Sample { .. }));
        },
    )?;
    verified.samples += samples;
    verified.files += replay.segments.len() as u64;
    verified.wal_records = replay.records;
    verified.torn_bytes = replay.bytes(wal::Verdict::TornTail);
    for cut in replay.cut_bytes.iter().filter(|cut| cut.verdict == wal::Verdict::Corrupt) {
        let file = inside(&layout, &cut.file).display().to_string();
        let what = format!("{} bytes: {}", cut.bytes, cut.what);
        verified.findings.push(Finding { file, offset: cut.offset, what });
    }
    Ok(verified)
}

/// Every file that is called like a table.
fn table_files(layout: &Layout) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    let list = |path: &Path| match RealDisk.list(path) {
        Err(error) if error.is_missing() => Ok(Vec::new()),
        other => other.map_err(Error::from),
    };
    let mut directories = vec![layout.rollup()];
    for week in list(&layout.weeks())?.into_iter().filter(|entry| entry.is_dir) {
        directories.push(layout.weeks().join(&week.name));
    }
    for directory in directories {
        let names = list(&directory)?.into_iter().filter(|entry| parse_table(&entry.name).is_some());
        files.extend(names.map(|entry| directory.join(entry.name)));
    }
    Ok(files)
}

fn tables(
    verified: &mut Verified,
    layout: &Layout,
    manifest: &Manifest,
    deep: bool,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<(), Failure> {
    for (done, listed) in manifest.tables.iter().enumerate() {
        progress(done, manifest.tables.len());
        let path = listed.path(layout);
        if table(verified, layout, &path, deep)?
            && let Err(error) = as_listed(listed, manifest, &path, deep)
        {
            verified.note(layout, error)?;
        }
    }
    let named = manifest.tables.iter().map(|listed| listed.path(layout));
    let named: HashSet<PathBuf> =
        named.chain(manifest.dropped.iter().map(|file| layout.inside(&file.file))).collect();
    let strays = table_files(layout)?.into_iter().filter(|path| !named.contains(path));
    verified.strays = strays.map(|path| inside(layout, &path).display().to_string()).collect();
    progress(manifest.tables.len(), manifest.tables.len());
    Ok(())
}

/// The index files: nothing is lost by damage in them.
fn indexes(verified: &mut Verified, layout: &Layout, manifest: &Manifest, deep: bool) -> Result<(), Failure> {
    let partitions = manifest
        .partition_indexes
        .iter()
        .map(|of| engine::verify_partition_index(&RealDisk, layout, manifest, of, deep));
    let segments = manifest
        .master_segments
        .iter()
        .map(|of| engine::verify_master_segment(&RealDisk, layout, manifest, of, deep));
    for checked in partitions.chain(segments) {
        verified.files += 1;
        match checked {
            Ok(rows) => verified.index_rows += rows,
            Err(error) => verified.note(layout, error)?,
        }
    }
    Ok(())
}

/// One table, every checksum of it: damage in one place does not hide that in the next. True if there is none.
fn table(verified: &mut Verified, layout: &Layout, path: &Path, deep: bool) -> Result<bool, Failure> {
    verified.files += 1;
    let found = match sstable::verify(&RealDisk, path, deep) {
        Ok(found) => found,
        Err(error) => {
            verified.note(layout, error)?;
            return Ok(false);
        }
    };
    verified.entries += found.chunks + found.records;
    verified.samples += found.samples;
    let listed = found.problems.len() as u64;
    for error in found.problems {
        verified.note(layout, error)?;
    }
    if found.problem_count > listed {
        let what = format!("and {} more places like these", found.problem_count - listed);
        verified.note(layout, FormatError::corrupt(path, 0, what))?;
    }
    Ok(found.problem_count == 0)
}

/// Whether the manifest says of a table what the table says, with `deep` also what its events say.
fn as_listed(listed: &TableEntry, manifest: &Manifest, path: &Path, deep: bool) -> Result<(), FormatError> {
    let wrong = |what| Err(FormatError::corrupt(path, 0, what));
    let table = Table::open(&RealDisk, path, &BlockCache::new(CACHE_BYTES))?;
    let summary = table.summary();
    if (summary.len, summary.footer_crc) != (listed.len, listed.footer_crc) {
        return wrong("it is not the file that the manifest names");
    }
    if !deep {
        return Ok(());
    }
    let facts = Facts::of(&table, listed)?;
    let known = TableEntry {
        class: listed.class,
        // A figure of what was received, not of what is left when repeated samples were joined.
        value_bytes: listed.value_bytes,
        // Of a sealed table they are those of all that it is a part of.
        sequence_span: if listed.sealed { listed.sequence_span } else { Facts::sequences(&table)? },
        // Decimated tables are listed with the channels and the span of their sources.
        channel_span: if listed.sealed || listed.decimated {
            listed.channel_span
        } else {
            facts.entry.channel_span
        },
        samples_span: if listed.decimated { listed.samples_span } else { facts.entry.samples_span },
        sources: facts.lineage.sources,
        ..facts.entry
    };
    if known != *listed {
        return wrong("the manifest says of this table what the table does not");
    }
    if manifest.classes.get(usize::from(listed.class)) != Some(&facts.class_name) {
        return wrong("the manifest counts this table to another retention class");
    }
    Ok(())
}
