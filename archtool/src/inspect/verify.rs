//! Every checksum of an archive; with `deep` everything is decoded as well.

use crate::failure::Failure;
use crate::stock::{identity, inside};
use disk::{FormatError, RealDisk};
use engine::error::Error;
use engine::layout::Layout;
use engine::manifest::{Manifest, TableEntry};
use engine::wal;
use sample::{SampleBlock, Timestamp};
use sstable::{BlockCache, ChunkHeader, Entry, Profile, Table};
use std::path::Path;

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
    /// Records of the log.
    pub(crate) wal_records: u64,
    /// Bytes at the end of the log that were never durable: what a crash leaves, no damage.
    pub(crate) torn_bytes: u64,
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
            other => other?,
        };
        let Some(manifest) = manifest else { break None };
        let before = verified.clone();
        verified.files += 1;
        tables(&mut verified, &layout, &manifest, deep, progress)?;
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

fn tables(
    verified: &mut Verified,
    layout: &Layout,
    manifest: &Manifest,
    deep: bool,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<(), Failure> {
    for (done, listed) in manifest.tables.iter().enumerate() {
        progress(done, manifest.tables.len());
        verified.files += 1;
        let path = listed.path(layout);
        if let Err(error) = table(verified, layout, listed, &path, deep) {
            match error {
                Failure::Engine(Error::Format(error)) => verified.note(layout, error)?,
                other => return Err(other),
            }
        }
    }
    progress(manifest.tables.len(), manifest.tables.len());
    Ok(())
}

/// One table: damage in one entry does not hide that of the next.
fn table(
    verified: &mut Verified,
    layout: &Layout,
    listed: &TableEntry,
    path: &Path,
    deep: bool,
) -> Result<(), Failure> {
    let format = |error: FormatError| Failure::Engine(Error::Format(error));
    let table = Table::open(&RealDisk, path, &BlockCache::new(CACHE_BYTES)).map_err(format)?;
    let summary = table.summary();
    if (summary.len, summary.footer_crc) != (listed.len, listed.footer_crc) {
        return Err(format(FormatError::corrupt(path, 0, "it is not the file that the manifest names")));
    }
    let mut samples = 0;
    for row in table.dictionary() {
        row.map_err(format)?;
    }
    for entry in table.all_entries() {
        verified.entries += 1;
        let checked = entry.and_then(|entry| {
            if entry.chunk.is_none() {
                return table.payload(&entry).map(drop);
            }
            // Decoding checks every page's checksum.
            let block = table.all_samples(&entry)?;
            samples += block.len() as u64;
            if deep { consistent(&table, &entry, &block) } else { Ok(()) }
        });
        if let Err(error) = checked {
            verified.note(layout, error)?;
        }
    }
    verified.samples += samples;
    Ok(())
}

/// Whether samples are what index, header and statistics say: the chunk made from them anew says the same.
fn consistent(table: &Table, entry: &Entry, block: &SampleBlock) -> Result<(), FormatError> {
    let wrong = |what| Err(FormatError::corrupt(table.path(), entry.locator.offset, what));
    let header = table.chunk_header(entry)?;
    if block.is_empty() || block.first() != Timestamp(entry.key.bin) || block.last() != entry.last {
        return wrong("a chunk's first or last time is not what the index says");
    }
    if (1..block.len()).any(|i| block.position(i - 1) >= block.position(i)) {
        return wrong("a chunk's samples are not in the order of time, rank");
    }
    let again = sstable::encode(entry.key.channel, block, header.late, None, Profile::Hot)?;
    let again =
        ChunkHeader::parse(&again).map_err(|error| error.in_file(table.path(), entry.locator.offset))?;
    if again.statistics != header.statistics {
        return wrong("a chunk's statistics are not those of its samples");
    }
    if entry.chunk.as_ref().is_none_or(|chunk| chunk.statistics != header.statistics) {
        return wrong("the index holds other statistics than the chunk");
    }
    if again.received_delay != header.received_delay {
        return wrong("a chunk's receive delays are not those of its samples");
    }
    Ok(())
}
