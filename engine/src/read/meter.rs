//! Counts what answers read, for whoever asks why one took so long.

use super::{Enough, Extent, Facts, Part, Piece, ReadError, RowRecord, Rows, Run, Snapshot};
use decimator::node::Node;
use decimator::tree::LEVELS;
use sample::{ChannelName, SampleBlock, TimeRange, Timestamp, ValueType};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
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

/// Counts as reading goes on.
#[derive(Default)]
struct Tally {
    origin: String,
    span: (i64, i64),
    lookups: AtomicU64,
    found: AtomicU64,
    loaded: AtomicU64,
    pages: AtomicU64,
    bytes: AtomicU64,
    samples: AtomicU64,
    nodes: [AtomicU64; LEVELS],
    lookup_ns: AtomicU64,
    load_ns: AtomicU64,
}

fn add(counter: &AtomicU64, number: u64) {
    counter.fetch_add(number, Ordering::Relaxed);
}

fn ns_since(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

impl Tally {
    fn reads(&self) -> Reads {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Reads {
            origin: self.origin.clone(),
            span: self.span,
            lookups: of(&self.lookups),
            found: of(&self.found),
            loaded: of(&self.loaded),
            pages: of(&self.pages),
            bytes: of(&self.bytes),
            samples: of(&self.samples),
            nodes: std::array::from_fn(|level| of(&self.nodes[level])),
            lookup_ns: of(&self.lookup_ns),
            load_ns: of(&self.load_ns),
        }
    }
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
            .map(|(name, of)| (name.clone(), of.iter().map(|tally| tally.reads()).collect()))
            .collect()
    }

    /// Time that it took to find out what there is, ns: live files, memory, events, metadata.
    pub fn planning_ns(&self) -> u64 {
        self.planning_ns.load(Ordering::Relaxed)
    }

    /// Finding out what there is began at `begun` and is over.
    pub(super) fn planned(&self, begun: Instant) {
        add(&self.planning_ns, ns_since(begun));
    }

    /// From now on counts what is read through `snapshot`.
    pub(super) fn count(self: &Arc<Meter>, snapshot: &mut Snapshot) {
        let mut tallies = Vec::new();
        let mut tally = |origin, span: (Timestamp, Timestamp)| {
            let tally = Arc::new(Tally { origin, span: (span.0.0, span.1.0), ..Tally::default() });
            tallies.push(tally.clone());
            tally
        };
        for run in &mut snapshot.runs {
            let tally = tally(run.origin(), run.span());
            *run = Arc::new(CountedRun { run: run.clone(), tally });
        }
        for rows in &mut snapshot.rows {
            let tally = tally(rows.origin(), rows.span());
            *rows = Arc::new(CountedRows { rows: rows.clone(), tally });
        }
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        channels.entry(snapshot.name.clone()).or_default().append(&mut tallies);
    }
}

struct CountedRun {
    run: Arc<dyn Run>,
    tally: Arc<Tally>,
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
        add(&self.tally.lookup_ns, ns_since(begun));
        add(&self.tally.lookups, 1);
        add(&self.tally.found, parts.as_ref().map_or(0, |parts| parts.len() as u64));
        parts
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
        add(&self.tally.lookup_ns, ns_since(begun));
        pieces
    }

    fn load(&self, part: &Part, range: TimeRange) -> Result<SampleBlock, ReadError> {
        let begun = Instant::now();
        let block = self.run.load(part, range);
        add(&self.tally.load_ns, ns_since(begun));
        add(&self.tally.loaded, 1);
        add(&self.tally.samples, block.as_ref().map_or(0, |block| block.len() as u64));
        if let Ok(Extent { pages, bytes }) = self.run.extent(part, range) {
            add(&self.tally.pages, pages);
            add(&self.tally.bytes, bytes);
        }
        block
    }
}

struct CountedRows {
    rows: Arc<dyn Rows>,
    tally: Arc<Tally>,
}

impl Rows for CountedRows {
    fn source(&self) -> u64 {
        self.rows.source()
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
        add(&self.tally.lookup_ns, ns_since(begun));
        add(&self.tally.lookups, 1);
        add(&self.tally.found, records.as_ref().map_or(0, |records| records.len() as u64));
        records
    }

    fn load(&self, level: usize, record: &RowRecord) -> Result<Vec<Node>, ReadError> {
        let begun = Instant::now();
        let nodes = self.rows.load(level, record);
        add(&self.tally.load_ns, ns_since(begun));
        add(&self.tally.loaded, 1);
        add(&self.tally.pages, 1);
        add(&self.tally.bytes, record.bytes);
        add(&self.tally.nodes[level], nodes.as_ref().map_or(0, |nodes| nodes.len() as u64));
        nodes
    }
}
