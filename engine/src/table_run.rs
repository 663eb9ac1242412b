//! One channel's samples in one SSTable as a run.

mod pieces;

use crate::damage::DamageLog;
use crate::indexed_table::IndexedTable;
use crate::limits::STORED_BYTES_MAX;
use crate::manifest::TableEntry;
use crate::read::{
    Enough, Extent, Facts, Kept, Numbers, Part, Piece, Position, ReadError, Run, RunVersion, Scope,
};
use crate::week_sums::WeekSum;
use disk::FormatError;
use pieces::{Token, pieces_of};
use sample::{ChannelId, SampleBlock, Severity, TimeRange, Timestamp, ValueType};
use sstable::{
    ChunkHeader, Entry, Key, Locator, NumericStatistics, OpenChunk, Statistics, StoredBytes, StoredChunk,
    Table, TimeReference, Zone,
};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// In-order or late samples of one channel in one table.
#[derive(Debug)]
pub(crate) struct TableRun {
    table: IndexedTable,
    channel: ChannelId,
    late: bool,
    span: (Timestamp, Timestamp),
    version: RunVersion,
    /// What the master index says of its samples.
    sum: Option<WeekSum>,
    /// Chunks that [`Run::parts`] named.
    named: Mutex<Named>,
    /// The chunk that was looked into last, or that the last samples before a time stood in.
    opened: Mutex<Option<(Locator, Arc<OpenChunk>)>>,
    /// What was read last of chunks that are passed on undecoded.
    stored: Mutex<Option<StoredBytes>>,
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
            sum: None,
            named: Mutex::default(),
            opened: Mutex::default(),
            stored: Mutex::default(),
        }
    }

    /// With what the master index says of exactly its samples.
    pub(crate) fn summed_up_by(self, sum: Option<WeekSum>) -> TableRun {
        TableRun { sum, ..self }
    }

    /// Of a table that no manifest needs to name.
    pub(crate) fn whole(table: Arc<Table>, channel: ChannelId, late: bool) -> TableRun {
        let span = table.summary().span.unwrap_or((Timestamp::MAX, Timestamp::MIN));
        let version = version(table.info().table, table.summary().footer_crc, false);
        let table = table.into();
        TableRun {
            table,
            channel,
            late,
            span,
            version,
            sum: None,
            named: Mutex::default(),
            opened: Mutex::default(),
            stored: Mutex::default(),
            damage: Arc::default(),
        }
    }

    /// What a failure of the files means; damage is remembered.
    fn failed(&self, error: FormatError, span: Option<(Timestamp, Timestamp)>) -> ReadError {
        let error = read_error(error, span);
        self.damage.note(self.channel, &error);
        error
    }

    /// The chunk that a part is, or is of.
    fn entry(&self, part: &Part) -> Result<Entry, ReadError> {
        let entry = self.named().get(Token::of(part.token).place).cloned();
        entry.ok_or_else(|| ReadError::Unavailable("a part of another run was asked for".into()))
    }

    fn named(&self) -> MutexGuard<'_, Named> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A chunk, from memory if it was looked into last.
    fn opened(&self, entry: &Entry) -> Result<Arc<OpenChunk>, FormatError> {
        match self.kept(entry) {
            Some(chunk) => Ok(chunk),
            None => Ok(self.keep(entry, self.table.table().chunk(entry)?)),
        }
    }

    /// A chunk that was looked into last.
    fn kept(&self, entry: &Entry) -> Option<Arc<OpenChunk>> {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.as_ref().filter(|(of, _)| *of == entry.locator).map(|(_, chunk)| chunk.clone())
    }

    fn keep(&self, entry: &Entry, chunk: OpenChunk) -> Arc<OpenChunk> {
        let chunk = Arc::new(chunk);
        *self.opened.lock().unwrap_or_else(PoisonError::into_inner) = Some((entry.locator, chunk.clone()));
        chunk
    }

    /// The samples of a chunk that lie in `range`. One that goes on behind the range is kept: who asked for the last
    /// sample before a time asks for what follows.
    fn samples(&self, entry: &Entry, range: TimeRange) -> Result<SampleBlock, FormatError> {
        let table = self.table.table();
        let goes_on = range.to <= entry.last && entry.locator.slot.is_none();
        let chunk = match self.kept(entry) {
            None if goes_on => self.keep(entry, table.chunk_with_body(entry)?),
            None => return table.samples(entry, range),
            Some(chunk) => chunk,
        };
        if !goes_on {
            *self.opened.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        let header = chunk.header();
        table.zone_samples(&chunk, header.zones_of_pages(0..header.pages().len()), range)
    }

    fn entries(&self, range: TimeRange) -> Result<Vec<Entry>, ReadError> {
        let entries = self.table.entries(Key::SAMPLES, self.channel, range);
        let mut entries = entries.map_err(|error| self.failed(error, Some(self.span)))?;
        entries.retain(|entry| entry.chunk.as_ref().is_some_and(|chunk| chunk.late == self.late));
        Ok(entries)
    }
}

/// Chunks by their places, which are given once; those named together are kept together.
#[derive(Debug, Default)]
struct Named {
    lists: BTreeMap<usize, Vec<Entry>>,
    /// The next place.
    next: usize,
}

impl Named {
    fn add(&mut self, entries: Vec<Entry>) {
        if !entries.is_empty() {
            let begin = self.next;
            self.next += entries.len();
            self.lists.insert(begin, entries);
        }
    }

    fn get(&self, place: usize) -> Option<&Entry> {
        self.from(place).first()
    }

    /// The one at `place` and those behind it that were named together with it.
    fn from(&self, place: usize) -> &[Entry] {
        let list = self.lists.range(..=place).next_back();
        list.and_then(|(begin, entries)| entries.get(place - begin..)).unwrap_or_default()
    }

    /// Forgets those that were named together with the one at `place`.
    fn forget(&mut self, place: usize) {
        if self.get(place).is_some()
            && let Some(begin) = self.lists.range(..=place).next_back().map(|(begin, _)| *begin)
        {
            self.lists.remove(&begin);
        }
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
        let touching = header.pages_touching(range);
        let of = Token::of(part.token).zones.map(|zones| header.pages_of_zones(zones));
        let of = of.unwrap_or(touching.clone());
        let start = touching.start.max(of.start);
        let pages = start..touching.end.min(of.end).max(start);
        let bytes = header.extent_of(pages.clone());
        Ok(Extent { pages: pages.len() as u64, bytes: bytes.end - bytes.start })
    }

    fn version(&self, _range: TimeRange) -> Option<RunVersion> {
        Some(self.version)
    }

    fn parts(&self, range: TimeRange) -> Result<Vec<Part>, ReadError> {
        let entries = self.entries(range)?;
        let mut named = self.named();
        let begin = named.next;
        let parts = entries.iter().enumerate().filter_map(|(i, entry)| part_at(begin + i, entry)).collect();
        named.add(entries);
        Ok(parts)
    }

    fn count(&self, range: TimeRange) -> Result<u64, ReadError> {
        let of = |entry: &Entry| entry.chunk.as_ref().map_or(0, |chunk| chunk.statistics.count.into());
        Ok(self.entries(range)?.iter().map(of).sum())
    }

    fn whole(&self) -> Option<(Part, Facts)> {
        let summary = self.sum.as_ref()?.get()?;
        let statistics = summary.statistics.as_ref()?;
        // Without numbers these may be texts, or not all of one kind.
        let numeric = statistics.numeric.as_ref()?;
        let numbers = Numbers {
            bounds: numeric.extremes.map(|extremes| (extremes.min, extremes.max)),
            nan: numeric.nan > 0,
            positive_infinite: numeric.positive_infinite > 0,
            negative_infinite: numeric.negative_infinite > 0,
        };
        let severity = severities(statistics.invalid == statistics.count, statistics.worst);
        let part = Part {
            first: Position { time: summary.first.0, rank: 0 },
            last: Position { time: summary.last.0, rank: u32::MAX },
            count: u32::try_from(statistics.count).unwrap_or(u32::MAX),
            token: Part::JOINED,
        };
        Some((part, Facts { scope: Scope::Joined, run: None, severity, numbers: Some(numbers) }))
    }

    fn forget(&self, part: &Part) {
        self.named().forget(Token::of(part.token).place);
    }

    fn type_of(&self, part: &Part) -> Result<ValueType, ReadError> {
        let entry = self.entry(part)?;
        let header = self.table.table().chunk_header(&entry);
        Ok(header.map_err(|error| self.failed(error, span_of(part)))?.run.value)
    }

    fn facts(&self, part: &Part) -> Option<Facts> {
        let Token { place, zones: None } = Token::of(part.token) else { return None };
        let named = self.named();
        named.get(place)?.chunk.as_ref().map(|chunk| facts_of(&chunk.statistics))
    }

    fn each_facts(&self, part: &Part, each: &mut dyn FnMut(&Part, &Facts) -> bool) {
        let Token { place, zones: None } = Token::of(part.token) else { return };
        for (i, entry) in self.named().from(place).iter().enumerate() {
            let Some((part, chunk)) = part_at(place + i, entry).zip(entry.chunk.as_ref()) else { return };
            if !each(&part, &facts_of(&chunk.statistics)) {
                return;
            }
        }
    }

    fn pieces(&self, part: &Part, enough: &mut Enough<'_>) -> Result<Vec<Piece>, ReadError> {
        let Token { place, zones: None } = Token::of(part.token) else { return Ok(Vec::new()) };
        let entry = self.entry(part)?;
        let chunk = self.opened(&entry).map_err(|error| self.failed(error, span_of(part)))?;
        let zones = self.table.table().zones(&chunk);
        let zones = zones.map_err(|error| self.failed(error, span_of(part)))?;
        Ok(pieces_of(place, part, chunk.header(), &zones, enough))
    }

    fn stored(&self, part: &Part) -> Result<Option<StoredChunk>, ReadError> {
        let Token { place, zones: None } = Token::of(part.token) else { return Ok(None) };
        let table = self.table.table();
        let failed = |error| self.failed(error, span_of(part));
        let entry = self.entry(part)?;
        let mut read = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        let mut chunk = table.stored_chunk(&entry, read.as_ref()).map_err(failed)?;
        if chunk.is_none() {
            // Let go of before the next is read.
            *read = None;
            let ahead = table.read_chunks(self.named().from(place), STORED_BYTES_MAX);
            *read = ahead.map_err(failed)?;
            chunk = table.stored_chunk(&entry, read.as_ref()).map_err(failed)?;
        }
        if chunk.as_ref().is_some_and(StoredChunk::ends_what_was_read) {
            *read = None;
        }
        Ok(chunk)
    }

    fn lending(&self, reference: &TimeReference, depth: u8) -> Result<Option<StoredChunk>, ReadError> {
        let chunk = self.table.table().lending_chunk(reference, depth, STORED_BYTES_MAX);
        chunk.map_err(|error| self.failed(error, None))
    }

    fn load(&self, part: &Part, range: TimeRange) -> Result<SampleBlock, ReadError> {
        let entry = self.entry(part)?;
        // Who loads samples holds no chunks ahead beside them.
        *self.stored.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let samples = match Token::of(part.token).zones {
            Some(zones) => {
                self.opened(&entry).and_then(|chunk| self.table.table().zone_samples(&chunk, zones, range))
            }
            None => self.samples(&entry, range),
        };
        samples.map_err(|error| self.failed(error, span_of(part)))
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

/// The chunk of `entry`, which was given `place`.
fn part_at(place: usize, entry: &Entry) -> Option<Part> {
    let chunk = entry.chunk.as_ref()?;
    Some(Part {
        first: Position { time: entry.key.bin, rank: chunk.first_rank },
        // The rank of the last sample stands in the chunk: this bounds it.
        last: Position { time: entry.last.0, rank: u32::MAX },
        count: chunk.statistics.count,
        token: Token { place, zones: None }.bits(),
    })
}

/// The least and the greatest severity that samples may have.
fn severities(all_invalid: bool, worst: Severity) -> (Severity, Severity) {
    (if all_invalid { Severity::Invalid } else { Severity::NoAlarm }, worst)
}

/// What statistics say of every sample of a chunk.
fn facts_of(statistics: &Statistics) -> Facts {
    let numbers = |of: &NumericStatistics| Numbers {
        bounds: of.extremes.map(|extremes| (extremes.min, extremes.max)),
        nan: of.nan > 0,
        positive_infinite: of.positive_infinite > 0,
        negative_infinite: of.negative_infinite > 0,
    };
    Facts {
        scope: Scope::Chunk,
        run: None,
        severity: severities(statistics.invalid == statistics.count, statistics.worst),
        numbers: statistics.numeric.as_ref().map(numbers),
    }
}

/// What the header of a chunk says of every sample of one zone.
fn of_zone(of_chunk: &Facts, header: &ChunkHeader, zone: &Zone) -> Facts {
    let finite = |bounds: &(f64, f64)| *bounds != (f64::INFINITY, f64::NEG_INFINITY);
    Facts {
        scope: Scope::Pages,
        run: Some((header.run.value, header.run.metadata_known)),
        severity: (of_chunk.severity.0.min(zone.worst), zone.worst),
        numbers: of_chunk.numbers.map(|of| Numbers { bounds: zone.bounds.filter(finite), ..of }),
    }
}
