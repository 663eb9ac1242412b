//! One channel's samples in one SSTable as a run.

use crate::damage::DamageLog;
use crate::indexed_table::IndexedTable;
use crate::manifest::TableEntry;
use crate::read::{Extent, Kept, Part, Position, ReadError, Run, RunVersion};
use disk::FormatError;
use sample::{ChannelId, SampleBlock, TimeRange, Timestamp, ValueType};
use sstable::{Entry, Key, Table};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

/// In-order or late samples of one channel in one table.
#[derive(Debug)]
pub(crate) struct TableRun {
    table: IndexedTable,
    channel: ChannelId,
    late: bool,
    span: (Timestamp, Timestamp),
    version: RunVersion,
    /// Chunks that [`Run::parts`] named; a part's token is its place here.
    named: Mutex<Vec<Entry>>,
    damage: Arc<DamageLog>,
}

impl TableRun {
    pub(crate) fn new(
        table: impl Into<IndexedTable>,
        entry: &TableEntry,
        channel: ChannelId,
        late: bool,
        damage: &Arc<DamageLog>,
    ) -> TableRun {
        TableRun {
            damage: damage.clone(),
            table: table.into(),
            channel,
            late,
            span: entry.samples_span.unwrap_or((Timestamp::MAX, Timestamp::MIN)),
            version: version(entry.id, entry.footer_crc, entry.sealed),
            named: Mutex::default(),
        }
    }

    /// Of a table that no manifest needs to name.
    pub(crate) fn whole(table: Arc<Table>, channel: ChannelId, late: bool) -> TableRun {
        let span = table.summary().span.unwrap_or((Timestamp::MAX, Timestamp::MIN));
        let version = version(table.info().table, table.summary().footer_crc, false);
        let table = table.into();
        TableRun { table, channel, late, span, version, named: Mutex::default(), damage: Arc::default() }
    }

    /// What a failure of the files means; damage is remembered.
    fn failed(&self, error: FormatError, span: Option<(Timestamp, Timestamp)>) -> ReadError {
        let error = read_error(error, span);
        self.damage.note(self.channel, &error);
        error
    }

    /// The chunk that a part is.
    fn entry(&self, part: &Part) -> Result<Entry, ReadError> {
        let named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = usize::try_from(part.token).ok().and_then(|token| named.get(token).cloned());
        entry.ok_or_else(|| ReadError::Unavailable("a part of another run was asked for".into()))
    }

    fn entries(&self, range: TimeRange) -> Result<Vec<Entry>, ReadError> {
        let entries = self.table.entries(Key::SAMPLES, self.channel, range);
        let mut entries = entries.map_err(|error| self.failed(error, Some(self.span)))?;
        entries.retain(|entry| entry.chunk.as_ref().is_some_and(|chunk| chunk.late == self.late));
        Ok(entries)
    }
}

fn span_of(part: &Part) -> Option<(Timestamp, Timestamp)> {
    Some((Timestamp(part.first.time), Timestamp(part.last.time)))
}

/// A table never changes; its checksum tells it from one that was mended and has its number.
fn version(table: u64, footer_crc: u32, sealed: bool) -> RunVersion {
    let mut hasher = DefaultHasher::new();
    (table, footer_crc).hash(&mut hasher);
    RunVersion { state: hasher.finish(), kept: if sealed { Kept::Sealed } else { Kept::Table } }
}

/// What a failure of the files means for a reader; `span` are the times that cannot be read then.
pub(crate) fn read_error(error: FormatError, span: Option<(Timestamp, Timestamp)>) -> ReadError {
    match error {
        FormatError::Io(error) if error.is_missing() => ReadError::Vanished(error.path),
        FormatError::Io(error) => ReadError::Io(error),
        FormatError::Corrupt { path, offset, what } => {
            ReadError::Damaged { file: path, offset, what: what.into_owned(), span }
        }
        FormatError::WrongKind { ref path, .. } | FormatError::TooNew { ref path, .. } => {
            ReadError::Damaged { file: path.clone(), offset: 0, what: error.to_string(), span }
        }
        FormatError::Limit { .. } => ReadError::Unavailable(error.to_string()),
    }
}

impl Run for TableRun {
    fn span(&self) -> (Timestamp, Timestamp) {
        self.span
    }

    fn source(&self) -> u64 {
        self.table.table().info().table
    }

    fn origin(&self) -> String {
        self.table.place()
    }

    fn extent(&self, part: &Part, range: TimeRange) -> Result<Extent, ReadError> {
        let entry = self.entry(part)?;
        let header = self.table.table().chunk_header(&entry);
        let header = header.map_err(|error| self.failed(error, span_of(part)))?;
        let pages = header.pages_touching(range);
        let bytes = header.extent_of(pages.clone());
        Ok(Extent { pages: pages.len() as u64, bytes: bytes.end - bytes.start })
    }

    fn version(&self, _range: TimeRange) -> Option<RunVersion> {
        Some(self.version)
    }

    fn parts(&self, range: TimeRange) -> Result<Vec<Part>, ReadError> {
        let entries = self.entries(range)?;
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        let parts = entries.into_iter().filter_map(|entry| {
            let chunk = entry.chunk.as_ref()?;
            let token = named.len() as u64;
            let part = Part {
                first: Position { time: entry.key.bin, rank: chunk.first_rank },
                // The rank of the last sample stands in the chunk: this bounds it.
                last: Position { time: entry.last.0, rank: u32::MAX },
                count: chunk.statistics.count,
                token,
            };
            named.push(entry);
            Some(part)
        });
        Ok(parts.collect())
    }

    fn type_of(&self, part: &Part) -> Result<ValueType, ReadError> {
        let entry = self.entry(part)?;
        let header = self.table.table().chunk_header(&entry);
        Ok(header.map_err(|error| self.failed(error, span_of(part)))?.run.value)
    }

    fn load(&self, part: &Part, range: TimeRange) -> Result<SampleBlock, ReadError> {
        let entry = self.entry(part)?;
        self.table.table().samples(&entry, range).map_err(|error| self.failed(error, span_of(part)))
    }

    fn types(&self) -> Result<Vec<(Timestamp, ValueType)>, ReadError> {
        let mut types: Vec<(Timestamp, ValueType)> = Vec::new();
        for entry in self.entries(TimeRange::ALL)? {
            let header =
                self.table.table().chunk_header(&entry).map_err(|e| self.failed(e, Some(self.span)))?;
            if types.last().is_none_or(|(_, last)| *last != header.run.value) {
                types.push((Timestamp(entry.key.bin), header.run.value));
            }
        }
        Ok(types)
    }
}
