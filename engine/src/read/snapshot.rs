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
    /// Where further samples are; `None` where `runs` are all.
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
    /// Runs that begin behind the range, by their first times; each is made when it is asked for.
    fn behind(&self) -> Box<dyn Iterator<Item = Result<Arc<dyn Run>, ReadError>> + '_>;
}
