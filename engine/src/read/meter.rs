//! Counts what answers read, for whoever asks why one took so long.

use super::{Enough, Extent, Facts, Part, Piece, ReadError, RowRecord, Rows, Run, Snapshot, Tables};
use decimator::node::Node;
use decimator::tree::LEVELS;
use sample::{ChannelName, SampleBlock, TimeRange, Timestamp, ValueType};
use sstable::{StoredChunk, TimeReference};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// What was read of one run, or of the stored nodes of one table.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reads {
    /// Where it lies: a file inside the archive, `memory`, or an address.
    pub origin: String,
    /// Times of the first and last sample in it, perhaps of other channels.
    pub span: (i64, i64),
    /// How often it was asked where something lies.
    pub lookups: u64,
    /// What was found by that: chunks, or records of nodes.
    pub found: u64,
    /// Chunks or records that were loaded.
    pub loaded: u64,
    /// Pages of them that were decoded.
    pub pages: u64,
    /// Bytes that these take in the file.
    pub bytes: u64,
    /// Samples that were loaded.
    pub samples: u64,
    /// Nodes that were loaded, by level.
    pub nodes: [u64; LEVELS],
    /// Time that looking up took, ns.
    pub lookup_ns: u64,
    /// Time that loading and decoding took, ns.
    pub load_ns: u64,
}

/// Counts as reading goes on; reading is long beside taking the lock.
#[derive(Default)]
struct Tally(Mutex<Reads>);

impl Tally {
    fn reads(&self) -> MutexGuard<'_, Reads> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ns_since(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Everything that one answer reads.
#[derive(Default)]
pub struct Meter {
    channels: Mutex<BTreeMap<ChannelName, Vec<Arc<Tally>>>>,
    planning_ns: AtomicU64,
}

impl Meter {
    /// What was read of each channel so far; runs and nodes that were not touched are there, too.
    pub fn reads(&self) -> BTreeMap<ChannelName, Vec<Reads>> {
        let channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        channels
            .iter()
            .map(|(name, of)| (name.clone(), of.iter().map(|tally| tally.reads().clone()).collect()))
            .collect()
    }

    /// Time that it took to find out what there is, ns: live files, memory, events, metadata.
    pub fn planning_ns(&self) -> u64 {
        self.planning_ns.load(Ordering::Relaxed)
    }

    /// Finding out what there is began at `begun` and is over.
    pub(super) fn planned(&self, begun: Instant) {
        self.planning_ns.fetch_add(ns_since(begun), Ordering::Relaxed);
    }

    /// From now on counts what is read through `snapshot`.
    pub(super) fn count(self: &Arc<Meter>, snapshot: &mut Snapshot) {
        let name = &snapshot.name;
        let runs: Vec<_> =
            snapshot.runs.iter().map(|run| self.tally(name, run.origin(), run.span())).collect();
        let rows: Vec<_> = snapshot.rows.iter().map(|of| self.tally(name, of.origin(), of.span())).collect();
        snapshot.runs = counted_runs(std::mem::take(&mut snapshot.runs), &runs);
        snapshot.rows = counted_rows(std::mem::take(&mut snapshot.rows), &rows);
        if let Some(tables) = &mut snapshot.tables {
            let runs = runs[snapshot.kept_runs.min(runs.len())..].to_vec();
            let (of, meter, name) = (tables.clone(), self.clone(), name.clone());
            *tables = Arc::new(CountedTables { tables: of, meter, name, runs, rows });
        }
    }

    /// The tally of what is read of a channel in one place.
    fn tally(&self, name: &ChannelName, origin: String, span: (Timestamp, Timestamp)) -> Arc<Tally> {
        let reads = Reads { origin, span: (span.0.0, span.1.0), ..Reads::default() };
        let tally = Arc::new(Tally(Mutex::new(reads)));
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        channels.entry(name.clone()).or_default().push(tally.clone());
        tally
    }
}

fn counted_run((run, tally): (Arc<dyn Run>, &Arc<Tally>)) -> Arc<dyn Run> {
    Arc::new(CountedRun { run, tally: tally.clone() })
}

fn counted_runs(runs: Vec<Arc<dyn Run>>, tallies: &[Arc<Tally>]) -> Vec<Arc<dyn Run>> {
    runs.into_iter().zip(tallies).map(counted_run).collect()
}

fn counted_rows(rows: Vec<Arc<dyn Rows>>, tallies: &[Arc<Tally>]) -> Vec<Arc<dyn Rows>> {
    let counted = |(rows, tally): (Arc<dyn Rows>, &Arc<Tally>)| {
        Arc::new(CountedRows { rows, tally: tally.clone() }) as Arc<dyn Rows>
    };
    rows.into_iter().zip(tallies).map(counted).collect()
}

struct CountedTables {
    tables: Arc<dyn Tables>,
    meter: Arc<Meter>,
    name: ChannelName,
    /// Of those that are made again.
    runs: Vec<Arc<Tally>>,
    rows: Vec<Arc<Tally>>,
}

impl Tables for CountedTables {
    fn runs(&self) -> Vec<Arc<dyn Run>> {
        counted_runs(self.tables.runs(), &self.runs)
    }

    fn rows(&self) -> Vec<Arc<dyn Rows>> {
        counted_rows(self.tables.rows(), &self.rows)
    }

    fn behind(&self) -> Box<dyn Iterator<Item = Result<Arc<dyn Run>, ReadError>> + '_> {
        Box::new(self.tables.behind().map(|run| {
            let run = run?;
            let tally = self.meter.tally(&self.name, run.origin(), run.span());
            Ok(counted_run((run, &tally)))
        }))
    }
}

struct CountedRun {
    run: Arc<dyn Run>,
    tally: Arc<Tally>,
}

impl CountedRun {
    /// Counts a chunk that was read and not decoded.
    fn count_stored(&self, begun: Instant, chunk: &Result<Option<StoredChunk>, ReadError>) {
        let mut reads = self.tally.reads();
        reads.load_ns += ns_since(begun);
        if let Ok(Some(chunk)) = chunk {
            reads.loaded += 1;
            reads.bytes += chunk.place().len() as u64;
        }
    }
}

impl Run for CountedRun {
    fn span(&self) -> (Timestamp, Timestamp) {
        self.run.span()
    }

    fn source(&self) -> u64 {
        self.run.source()
    }

    fn origin(&self) -> String {
        self.run.origin()
    }

    fn parts(&self, range: TimeRange) -> Result<Vec<Part>, ReadError> {
        let begun = Instant::now();
        let parts = self.run.parts(range);
        let mut reads = self.tally.reads();
        reads.lookup_ns += ns_since(begun);
        reads.lookups += 1;
        reads.found += parts.as_ref().map_or(0, |parts| parts.len() as u64);
        parts
    }

    fn count(&self, range: TimeRange) -> Result<u64, ReadError> {
        let begun = Instant::now();
        let count = self.run.count(range);
        let mut reads = self.tally.reads();
        reads.lookup_ns += ns_since(begun);
        reads.lookups += 1;
        count
    }

    fn whole(&self) -> Option<(Part, Facts)> {
        let begun = Instant::now();
        let whole = self.run.whole();
        self.tally.reads().lookup_ns += ns_since(begun);
        whole
    }

    fn forget(&self, part: &Part) {
        self.run.forget(part);
    }

    fn types(&self) -> Result<Vec<(Timestamp, ValueType)>, ReadError> {
        self.run.types()
    }

    fn type_of(&self, part: &Part) -> Result<ValueType, ReadError> {
        self.run.type_of(part)
    }

    fn extent(&self, part: &Part, range: TimeRange) -> Result<Extent, ReadError> {
        self.run.extent(part, range)
    }

    fn facts(&self, part: &Part) -> Option<Facts> {
        self.run.facts(part)
    }

    fn pieces(&self, part: &Part, enough: &mut Enough<'_>) -> Result<Vec<Piece>, ReadError> {
        let begun = Instant::now();
        let pieces = self.run.pieces(part, enough);
        self.tally.reads().lookup_ns += ns_since(begun);
        pieces
    }

    fn stored(&self, part: &Part) -> Result<Option<StoredChunk>, ReadError> {
        let begun = Instant::now();
        let chunk = self.run.stored(part);
        self.count_stored(begun, &chunk);
        chunk
    }

    fn lending(&self, reference: &TimeReference, depth: u8) -> Result<Option<StoredChunk>, ReadError> {
        let begun = Instant::now();
        let chunk = self.run.lending(reference, depth);
        self.count_stored(begun, &chunk);
        chunk
    }

    fn load(&self, part: &Part, range: TimeRange) -> Result<SampleBlock, ReadError> {
        let begun = Instant::now();
        let block = self.run.load(part, range);
        let load_ns = ns_since(begun);
        // Who cannot say it now has said with the samples why.
        let Extent { pages, bytes } = self.run.extent(part, range).unwrap_or_default();
        let mut reads = self.tally.reads();
        reads.load_ns += load_ns;
        reads.loaded += 1;
        reads.samples += block.as_ref().map_or(0, |block| block.len() as u64);
        reads.pages += pages;
        reads.bytes += bytes;
        block
    }
}

struct CountedRows {
    rows: Arc<dyn Rows>,
    tally: Arc<Tally>,
}

impl Rows for CountedRows {
    fn sources(&self) -> &[u64] {
        self.rows.sources()
    }

    fn span(&self) -> (Timestamp, Timestamp) {
        self.rows.span()
    }

    fn origin(&self) -> String {
        self.rows.origin()
    }

    fn records(&self, level: usize, range: TimeRange) -> Result<Vec<RowRecord>, ReadError> {
        let begun = Instant::now();
        let records = self.rows.records(level, range);
        let mut reads = self.tally.reads();
        reads.lookup_ns += ns_since(begun);
        reads.lookups += 1;
        reads.found += records.as_ref().map_or(0, |records| records.len() as u64);
        records
    }

    fn load(&self, level: usize, record: &RowRecord) -> Result<Vec<Node>, ReadError> {
        let begun = Instant::now();
        let nodes = self.rows.load(level, record);
        let mut reads = self.tally.reads();
        reads.load_ns += ns_since(begun);
        reads.loaded += 1;
        reads.pages += 1;
        reads.bytes += record.bytes;
        reads.nodes[level] += nodes.as_ref().map_or(0, |nodes| nodes.len() as u64);
        nodes
    }
}
