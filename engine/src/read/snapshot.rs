//! One channel of one archive at one moment.

use super::{FirstSample, Problem, ReadError, Rows, Run};
use sample::{ChannelName, Event, Metadata, Timestamp};
use std::sync::Arc;

/// What is needed to answer about a range and the last sample before it.
#[derive(Clone)]
pub struct Snapshot {
    /// The stored name.
    pub name: ChannelName,
    /// Runs that may hold samples of the range or the last one before it; opened, so that files replaced meanwhile
    /// stay readable.
    pub runs: Vec<Arc<dyn Run>>,
    /// How many of them, the first ones, `tables` cannot make again.
    pub kept_runs: usize,
    /// Where the others are from, and what lies behind the range; `None` where there are no others.
    pub tables: Option<Arc<dyn Tables>>,
    /// Stored nodes of the decimator's tree, each made of some of the runs.
    pub rows: Vec<Arc<dyn Rows>>,
    /// The channel's events and the archive's own, by sequence, from the state at the range's start on.
    pub events: Vec<Event>,
    /// Metadata in force at the range's start and every later change, by time.
    pub metadata: Vec<(Timestamp, Arc<Metadata>)>,
    /// The channel's first sample in order of receipt, if it ever had one.
    pub first_sample: Option<FirstSample>,
    /// Up to here the archive knows what happened.
    pub knowledge_ends: Timestamp,
    /// Whether an engine writes to it now (then what follows `knowledge_ends` is unknown, else engine down).
    pub running: bool,
    /// Everything received at or before this survives a crash.
    pub durable_until: Timestamp,
    /// What is already known to be missing.
    pub problems: Vec<Problem>,
}

/// The tables of a snapshot's moment, of which it names those that its range needs.
pub trait Tables: Send + Sync {
    /// The runs of the snapshot that are made of tables, as often as they are asked for; nothing is read.
    fn runs(&self) -> Vec<Arc<dyn Run>>;
    /// The rows of the snapshot, likewise.
    fn rows(&self) -> Vec<Arc<dyn Rows>>;
    /// Runs that begin behind the range, by their first times; each is made when it is asked for.
    fn behind(&self) -> Box<dyn Iterator<Item = Result<Arc<dyn Run>, ReadError>> + '_>;
}

/// A snapshot without what its tables make again.
#[derive(Clone)]
pub struct HeldSnapshot(Snapshot);

impl From<Snapshot> for HeldSnapshot {
    fn from(mut snapshot: Snapshot) -> HeldSnapshot {
        if snapshot.tables.is_some() {
            snapshot.runs.truncate(snapshot.kept_runs);
            snapshot.runs.shrink_to_fit();
            snapshot.rows = Vec::new();
        }
        HeldSnapshot(snapshot)
    }
}

impl HeldSnapshot {
    /// The snapshot, as it was.
    pub fn open(self) -> Snapshot {
        let HeldSnapshot(mut snapshot) = self;
        if let Some(tables) = &snapshot.tables {
            snapshot.runs.extend(tables.runs());
            snapshot.rows = tables.rows();
        }
        snapshot
    }
}
