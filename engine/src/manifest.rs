//! The list of an archive's live files, replaced whole.

mod bytes;

use crate::error::Error;
use crate::identity::ArchiveId;
use crate::layout::{Layout, MANIFEST_NAME, ROLLUP_NAME, late_dir_name, table_name, week_dir_name};
use disk::{Disk, FILE_HEADER_BYTES, FileHeader, FormatError, replace};
use sample::{ChannelId, Timestamp, Week};
use sstable::TableSummary;
use std::path::{Path, PathBuf};

/// Kind and version of the `MANIFEST` file.
pub const MANIFEST_HEADER: FileHeader = FileHeader::new(*b"\x9aVman\r\n\0", 1, 0);

/// The fields at the beginning of a `MANIFEST`: name, offset, length in bytes. FORMAT.md shows the same.
pub const MANIFEST_FIELDS: [(&str, usize, usize); 18] = [
    ("file header", 0, FILE_HEADER_BYTES),
    ("length", 16, 8),
    ("archive id", 24, 16),
    ("generation", 40, 8),
    ("wal_from", 48, 8),
    ("next_table", 56, 8),
    ("next_channel", 64, 8),
    ("next_sequence", 72, 8),
    ("heartbeat", 80, 8),
    ("fixed bytes", 88, 4),
    ("table bytes", 92, 4),
    ("classes", 96, 4),
    ("tables", 100, 4),
    ("dropped", 104, 4),
    ("sealing inputs", 108, 4),
    ("sealing outputs", 112, 4),
    ("partition indexes", 116, 4),
    ("master segments", 120, 4),
];
/// Bytes of a manifest's fixed part in this version.
pub const MANIFEST_FIXED_BYTES: usize = 124;

/// The fields of one table in a `MANIFEST`: name, offset, length in bytes.
pub const TABLE_FIELDS: [(&str, usize, usize); 18] = [
    ("id", 0, 8),
    ("week", 8, 4),
    ("generation", 12, 4),
    ("class", 16, 2),
    ("flags", 18, 2),
    ("footer crc", 20, 4),
    ("len", 24, 8),
    ("first", 32, 8),
    ("last", 40, 8),
    ("channels", 48, 8),
    ("samples", 56, 8),
    ("value bytes", 64, 8),
    ("lowest channel", 72, 8),
    ("highest channel", 80, 8),
    ("first sequence", 88, 8),
    ("last sequence", 96, 8),
    ("tier", 104, 2),
    ("sources", 106, 4),
];
/// Bytes of one table in a manifest of this version.
pub const TABLE_BYTES: usize = 110;

/// Bits of a table's flags.
pub const TABLE_FLAGS: [(&str, u16); 6] = [
    ("decimated", DECIMATED),
    ("carry-in", CARRY_IN),
    ("late", LATE),
    ("samples", SAMPLES),
    ("sealed", SEALED),
    ("beside", BESIDE),
];
const DECIMATED: u16 = 1 << 0;
const CARRY_IN: u16 = 1 << 1;
const LATE: u16 = 1 << 2;
const SAMPLES: u16 = 1 << 3;
const SEALED: u16 = 1 << 4;
const BESIDE: u16 = 1 << 5;

/// The fields of one input of a seal in a `MANIFEST`: name, offset, length in bytes.
pub const SEALING_INPUT_FIELDS: [(&str, usize, usize); 3] =
    [("table", 0, 8), ("samples taken", 8, 8), ("records taken", 16, 8)];

/// Generation of the directory that a week's tables are flushed into before it is sealed.
pub const FIRST_GENERATION: u32 = 1;

/// The fields of one partition index in a `MANIFEST`: name, offset, length in bytes. The tables follow.
pub const PARTITION_INDEX_FIELDS: [(&str, usize, usize); 6] = [
    ("id", 0, 8),
    ("week", 8, 4),
    ("generation", 12, 4),
    ("footer crc", 16, 4),
    ("tables", 20, 4),
    ("len", 24, 8),
];

/// The fields of one master segment in a `MANIFEST`: name, offset, length in bytes. The indexes follow.
pub const MASTER_SEGMENT_FIELDS: [(&str, usize, usize); 6] = [
    ("id", 0, 8),
    ("footer crc", 8, 4),
    ("indexes", 12, 4),
    ("len", 16, 8),
    ("rows", 24, 8),
    ("names", 32, 8),
];

/// Most bytes of a manifest: about two million tables.
pub const MANIFEST_BYTES_MAX: u64 = 256 << 20;

const _: () = {
    assert!(MANIFEST_FIELDS[17].1 + MANIFEST_FIELDS[17].2 == MANIFEST_FIXED_BYTES);
    assert!(TABLE_FIELDS[17].1 + TABLE_FIELDS[17].2 == TABLE_BYTES);
};

/// One live SSTable: `weeks/<monday>.<generation>/<id>.sst`, `weeks/<monday>.late-<generation>/<id>.sst` or
/// `rollup/<id>.sst`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TableEntry {
    /// Its number in the archive.
    pub id: u64,
    /// The partition it belongs to.
    pub week: Week,
    /// Generation of the partition's directory; of the sealed one that it lies beside.
    pub generation: u32,
    /// Its retention class: index into [`Manifest::classes`].
    pub class: u16,
    /// Whether it holds decimated rows instead of what was received.
    pub decimated: bool,
    /// Whether it holds its partition's carry-in.
    pub holds_carry_in: bool,
    /// Whether it holds late runs.
    pub late: bool,
    /// Length of the file in bytes.
    pub len: u64,
    /// Checksum of the file's footer.
    pub footer_crc: u32,
    /// Earliest and latest time of a sample, if there is one.
    pub samples_span: Option<(Timestamp, Timestamp)>,
    /// Number of channels.
    pub channels: u64,
    /// Number of samples.
    pub samples: u64,
    /// Bytes of the values before encoding.
    pub value_bytes: u64,
    /// Lowest and highest channel id.
    pub channel_span: (ChannelId, ChannelId),
    /// Lowest and highest log sequence of what it holds.
    pub sequence_span: (u64, u64),
    /// How often what it holds was merged at most: 0 as flushed.
    pub tier: u16,
    /// Of a decimated table: ids of those that its rows were made of, ascending; else none.
    pub sources: Vec<u64>,
    /// Whether it is part of a sealed week.
    pub sealed: bool,
    /// Whether it holds what came for a week that was sealed already.
    pub beside: bool,
}

impl TableEntry {
    /// Whether it holds the rows of several weeks, the first of which is its own, or of several tables of its week.
    pub fn is_rollup(&self) -> bool {
        self.decimated && self.sources.len() > 1
    }

    /// Whether it is a roll-up of all that the rows of `other` were made of.
    pub fn rolls_up(&self, other: &TableEntry) -> bool {
        let holds = |source: &u64| self.sources.binary_search(source).is_ok();
        self.is_rollup() && other.sources.iter().all(holds)
    }

    /// The directory that it lies in, as the manifest writes it.
    pub fn directory_inside(&self) -> String {
        match self.beside {
            _ if self.is_rollup() => ROLLUP_NAME.to_owned(),
            false => format!("weeks/{}", week_dir_name(self.week, self.generation)),
            true => format!("weeks/{}", late_dir_name(self.week, self.generation)),
        }
    }

    /// Its path as the manifest writes it.
    pub fn inside(&self) -> String {
        format!("{}/{}", self.directory_inside(), table_name(self.id))
    }

    /// The same with what a finished table says of its contents.
    pub(crate) fn holding(self, summary: &TableSummary) -> TableEntry {
        TableEntry {
            late: summary.late_chunks > 0,
            len: summary.len,
            footer_crc: summary.footer_crc,
            samples_span: summary.span,
            channels: summary.channels,
            samples: summary.samples,
            ..self
        }
    }

    /// Its path.
    pub fn path(&self, layout: &Layout) -> PathBuf {
        layout.inside(&self.inside())
    }
}

/// A week that is being sealed: some of its new tables are finished.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sealing {
    /// The live tables that it is made from, with what was taken from each so far.
    pub inputs: Vec<SealingInput>,
    /// Finished tables, verified, not live yet: by class, then by channel. At least one.
    pub outputs: Vec<TableEntry>,
}

/// A table that is being sealed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SealingInput {
    /// Its number.
    pub table: u64,
    /// Samples that finished tables took from it.
    pub samples: u64,
    /// Records that they took.
    pub records: u64,
}

/// A file that is live no more and will be removed after a grace time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DroppedFile {
    /// Path inside the archive, `/` between components.
    pub file: String,
    /// When it was dropped.
    pub since: Timestamp,
    /// Its length in bytes.
    pub len: u64,
}

/// The index of one partition: `weeks/<monday>.<generation>/<id>.index`. It is derived: readers do without it
/// where it is lost.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartitionIndexEntry {
    /// Its number; index files and tables are numbered together.
    pub id: u64,
    /// The week.
    pub week: Week,
    /// Generation of the directory that it lies in.
    pub generation: u32,
    /// Length of the file in bytes.
    pub len: u64,
    /// Checksum of the file's footer.
    pub footer_crc: u32,
    /// Numbers of the tables whose entries it holds, ascending. Some may be live no more.
    pub tables: Vec<u64>,
}

/// A segment of the master index: `index/<id>.index`. It is derived as well.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MasterSegmentEntry {
    /// Its number; index files and tables are numbered together.
    pub id: u64,
    /// Length of the file in bytes.
    pub len: u64,
    /// Checksum of the file's footer.
    pub footer_crc: u32,
    /// Number of rows.
    pub rows: u64,
    /// Number of names.
    pub names: u64,
    /// Numbers of the partition indexes that it was made from, ascending. Some may be live no more.
    pub indexes: Vec<u64>,
}

/// The list of an archive's live files with what must survive a restart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Manifest {
    /// The archive.
    pub archive: ArchiveId,
    /// Counts the manifests of the archive: each one stored has a higher one, also after an error.
    pub generation: u64,
    /// The live tables.
    pub tables: Vec<TableEntry>,
    /// First sequence of the log that is not in tables.
    pub wal_from: u64,
    /// Number of the next table or index file.
    pub next_table: u64,
    /// Id of the next channel.
    pub next_channel: u64,
    /// The next number of the order of receipt ([`sample::Event::sequence`]).
    pub next_sequence: u64,
    /// When the engine was alive last, as far as the manifest knows.
    pub heartbeat: Timestamp,
    /// Names of the retention classes; tables name them by index.
    pub classes: Vec<String>,
    /// Files to be removed.
    pub dropped: Vec<DroppedFile>,
    /// The week that is being sealed, if one is.
    pub sealing: Option<Sealing>,
    /// Indexes of partitions, at most one a week.
    pub partition_indexes: Vec<PartitionIndexEntry>,
    /// The master index, the oldest segment first.
    pub master_segments: Vec<MasterSegmentEntry>,
    /// Version of the file it was read from.
    version: FileHeader,
}

impl Manifest {
    /// Of an archive that holds nothing.
    pub fn new(archive: ArchiveId) -> Manifest {
        Manifest {
            archive,
            generation: 0,
            tables: Vec::new(),
            wal_from: 1,
            next_table: 1,
            next_channel: 1,
            next_sequence: 1,
            heartbeat: Timestamp::MIN,
            classes: Vec::new(),
            dropped: Vec::new(),
            sealing: None,
            partition_indexes: Vec::new(),
            master_segments: Vec::new(),
            version: MANIFEST_HEADER,
        }
    }

    /// Reads an archive's `MANIFEST`; `None` when there is no such file.
    ///
    /// # Errors
    /// The disk's; damage, with file and offset; a newer major version; [`Error::ForeignFile`].
    pub fn load(disk: &dyn Disk, layout: &Layout, archive: ArchiveId) -> Result<Option<Manifest>, Error> {
        let path = layout.manifest();
        let file = match disk.open(&path) {
            Ok(file) => file,
            Err(error) if error.is_missing() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let len = file.len()?;
        if len > MANIFEST_BYTES_MAX {
            return Err(limit(len).into());
        }
        let mut bytes = vec![0; usize::try_from(len).map_err(|_| limit(len))?];
        let found = file.read_at(0, &mut bytes)?;
        let manifest = bytes::decode(&bytes[..found], &path)?;
        if manifest.archive != archive {
            return Err(Error::ForeignFile { path, expected: archive, found: manifest.archive });
        }
        Ok(Some(manifest))
    }

    /// Replaces the archive's `MANIFEST` durably. The caller has raised the generation. After an error the
    /// file is the former one or this one, so this one's generation is used up either way.
    ///
    /// # Errors
    /// The disk's; [`Error::NewerMinor`] when this was read from a newer program's file.
    pub fn store(&self, disk: &dyn Disk, layout: &Layout) -> Result<(), Error> {
        if !self.writable() {
            return Err(Error::NewerMinor {
                path: layout.manifest(),
                found: (self.version.major, self.version.minor),
                supported: (MANIFEST_HEADER.major, MANIFEST_HEADER.minor),
            });
        }
        let bytes = bytes::encode(self);
        if bytes.len() as u64 > MANIFEST_BYTES_MAX {
            return Err(limit(bytes.len() as u64).into());
        }
        Ok(replace(disk, layout.root(), MANIFEST_NAME, &bytes)?)
    }

    /// Whether it names table `id`, live or a finished one of a seal.
    pub fn names(&self, id: u64) -> bool {
        let sealing = self.sealing.iter().flat_map(|sealing| &sealing.outputs);
        self.tables.iter().chain(sealing).any(|table| table.id == id)
    }

    /// Where a flush puts what belongs to `week`: generation, and whether beside a sealed week.
    pub fn flushed_to(&self, week: Week) -> (u32, bool) {
        match self.tables.iter().find(|table| table.sealed && table.week == week) {
            Some(sealed) => (sealed.generation, true),
            None => (FIRST_GENERATION, false),
        }
    }

    /// Whether this program may replace it: not when a newer minor version wrote it.
    pub fn writable(&self) -> bool {
        MANIFEST_HEADER.may_append_to(&self.version)
    }
}

/// The generation that the `MANIFEST` file shows, 0 where there is none: cheap and unchecked, to see whether
/// the file was replaced.
pub(crate) fn stored_generation(disk: &dyn Disk, layout: &Layout) -> Result<u64, Error> {
    let file = match disk.open(&layout.manifest()) {
        Ok(file) => file,
        Err(error) if error.is_missing() => return Ok(0),
        Err(error) => return Err(error.into()),
    };
    let mut bytes = [0; 8];
    file.read_at(MANIFEST_FIELDS[3].1 as u64, &mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

fn limit(found: u64) -> FormatError {
    FormatError::Limit { what: "bytes of the manifest", max: MANIFEST_BYTES_MAX, found }
}

/// Damage of a manifest, with what helps.
fn damaged(path: &Path, offset: usize, what: &str) -> Error {
    let what = format!("{what}; rebuild the manifest from the tables with `archtool reindex`");
    Error::corrupt(path, offset as u64, what)
}

#[cfg(test)]
mod tests;
