//! Ordered runs: the one form in which memtable, SSTables and other processes hand over samples.

use super::ReadError;
use sample::{SampleBlock, TimeRange, Timestamp, ValueType};

/// Where a sample stands in its channel's timeline; unique, and the order of every answer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Position {
    /// Stamp in ns since the Unix epoch.
    pub time: i64,
    /// Rank among equal stamps.
    pub rank: u32,
}

/// One stretch of a run that is loaded at once: a chunk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part {
    /// Position of its first sample.
    pub first: Position,
    /// Position of its last sample, or a bound behind it of equal time.
    pub last: Position,
    /// Number of samples.
    pub count: u32,
    /// What [`Run::load`] needs to find it.
    pub token: u64,
}

/// What loading takes from a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Extent {
    /// Pages to be decoded.
    pub pages: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Where a run keeps its samples.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kept {
    /// In memory, where they grow.
    Memory,
    /// In a table of a week that may still change.
    Table,
    /// In a table of a sealed week.
    Sealed,
}

/// What tells two states of a run apart without reading its samples.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RunVersion {
    /// Another one where a sample that matters is another one; perhaps also where none is.
    pub state: u64,
    /// Where the samples are.
    pub kept: Kept,
}

/// A sequence of samples of one channel in strictly increasing (time, rank) order.
/// Several runs of one channel may overlap; a sample that stands in two of them is the same sample.
pub trait Run: Send + Sync {
    /// Times of the first and last sample, inclusive. Cheap.
    fn span(&self) -> (Timestamp, Timestamp);
    /// Number of the table that it lies in, for what was derived from that; 0 where nothing is.
    fn source(&self) -> u64 {
        0
    }
    /// Where it lies: a file inside the archive, `memory`, or an address.
    fn origin(&self) -> String {
        "memory".into()
    }
    /// What [`Run::load`] takes from a file, which may be read to find out; nothing where none is.
    fn extent(&self, _part: &Part, _range: TimeRange) -> Result<Extent, ReadError> {
        Ok(Extent::default())
    }
    /// Its version as far as it has samples in `range` or the last one before it, `range` being that of the
    /// snapshot; `None` where that cannot be had without reading. Cheap.
    fn version(&self, range: TimeRange) -> Option<RunVersion> {
        let _ = range;
        None
    }
    /// The parts that touch the closed span of `range`, in order. May read index pages.
    fn parts(&self, range: TimeRange) -> Result<Vec<Part>, ReadError>;
    /// Types of its values: each with the time of the first sample of a stretch. Reads every chunk's header.
    fn types(&self) -> Result<Vec<(Timestamp, ValueType)>, ReadError>;
    /// The type of the values of `part`, one for all.
    fn type_of(&self, part: &Part) -> Result<ValueType, ReadError> {
        let last = Timestamp(part.last.time);
        Ok(self.load(part, TimeRange::new(last, last.saturating_add(1)))?.run.value)
    }
    /// The samples of `part` inside `range` (perhaps none).
    fn load(&self, part: &Part, range: TimeRange) -> Result<SampleBlock, ReadError>;
}
