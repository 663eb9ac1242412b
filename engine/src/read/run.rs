//! Ordered runs: the one form in which memtable, SSTables and other processes hand over samples.

use super::ReadError;
use sample::{SampleBlock, Severity, TimeRange, Timestamp, ValueType};
use sstable::{StoredChunk, TimeReference};
use std::sync::Arc;

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
    /// What [`Run::load`] needs to find it; [`Part::JOINED`] where that cannot load it.
    pub token: u64,
}

impl Part {
    /// The token of what several parts are together: it is passed over or not, and loaded by its parts.
    pub const JOINED: u64 = u64::MAX;

    /// Both together; `other` comes next.
    pub(super) fn joined(&self, other: &Part) -> Part {
        let count = self.count.saturating_add(other.count);
        Part { first: self.first, last: other.last, count, token: Part::JOINED }
    }
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

/// What a part is that facts are told of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// Some pages of a chunk, or zones of them.
    Pages,
    /// A chunk.
    Chunk,
    /// Several of these, one behind the other, or a whole run.
    Joined,
}

/// What holds for every sample of a part, known before it is loaded.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Facts {
    /// What the part is.
    pub scope: Scope,
    /// Type of the values and whether metadata was known, where that is known.
    pub run: Option<(ValueType, bool)>,
    /// No severity lies below the first or above the second.
    pub severity: (Severity, Severity),
    /// The values as doubles (enums are their indices, 64-bit integers round); `None` for texts, structures and
    /// arrays.
    pub numbers: Option<Numbers>,
}

/// What is known of values that are numbers.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Numbers {
    /// No finite value lies below the first or above the second; `None` where none is finite.
    pub bounds: Option<(f64, f64)>,
    /// Whether there may be a NaN.
    pub nan: bool,
    /// Whether there may be positive infinities.
    pub positive_infinite: bool,
    /// Whether there may be negative infinities.
    pub negative_infinite: bool,
}

impl Facts {
    /// What holds for both; `None` where that is not known of the values.
    pub(crate) fn joined(&self, other: &Facts) -> Option<Facts> {
        let numbers = match (&self.numbers, &other.numbers) {
            (Some(a), Some(b)) => Some(a.joined(b)),
            (None, None) => None,
            _ => return None,
        };
        let ((least, worst), (least_too, worst_too)) = (self.severity, other.severity);
        Some(Facts {
            scope: Scope::Joined,
            run: self.run.filter(|run| other.run == Some(*run)),
            severity: (least.min(least_too), worst.max(worst_too)),
            numbers,
        })
    }
}

impl Numbers {
    fn joined(&self, other: &Numbers) -> Numbers {
        let bounds = match (self.bounds, other.bounds) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
        Numbers {
            bounds,
            nan: self.nan || other.nan,
            positive_infinite: self.positive_infinite || other.positive_infinite,
            negative_infinite: self.negative_infinite || other.negative_infinite,
        }
    }
}

/// Says whether the samples of a part need not be loaded: what holds for all of them is all that is asked.
pub type Enough<'a> = dyn FnMut(&Part, &Facts) -> bool + 'a;

/// A piece of a part that was looked into.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Piece {
    /// Its samples are to be loaded.
    Wanted(Part),
    /// What holds for all of them is enough.
    Known(Part, Facts),
}

impl Piece {
    /// The part that it is.
    pub fn part(&self) -> &Part {
        match self {
            Piece::Wanted(part) | Piece::Known(part, _) => part,
        }
    }
}

/// A part, or several together, that was not loaded, all of it.
#[derive(Clone)]
pub struct Passed {
    /// The part.
    pub part: Part,
    /// What is known of it.
    pub facts: Facts,
    /// Whose part it is.
    pub run: Arc<dyn Run>,
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
    /// How many samples those parts have.
    fn count(&self, range: TimeRange) -> Result<u64, ReadError> {
        Ok(self.parts(range)?.iter().map(|part| u64::from(part.count)).sum())
    }
    /// All parts as one, with what is known of it, where that is known without naming them. Its first and last times
    /// are those of samples. Cheap.
    fn whole(&self) -> Option<(Part, Facts)> {
        None
    }
    /// None of the parts that were named together with `part` is asked for any more.
    fn forget(&self, part: &Part) {
        let _ = part;
    }
    /// Types of its values: each with the time of the first sample of a stretch. Reads every chunk's header.
    fn types(&self) -> Result<Vec<(Timestamp, ValueType)>, ReadError>;
    /// The type of the values of `part`, one for all.
    fn type_of(&self, part: &Part) -> Result<ValueType, ReadError> {
        let last = Timestamp(part.last.time);
        Ok(self.load(part, TimeRange::new(last, last.saturating_add(1)))?.run.value)
    }
    /// What is known of a part that [`Run::parts`] named without reading more. Cheap.
    fn facts(&self, part: &Part) -> Option<Facts> {
        let _ = part;
        None
    }
    /// Calls `each` with `part` and those that [`Run::parts`] named behind it and what is known of them, in order, until it
    /// says `false`, one of which nothing is known comes, or earlier. Cheap.
    fn each_facts(&self, part: &Part, each: &mut dyn FnMut(&Part, &Facts) -> bool) {
        if let Some(facts) = self.facts(part) {
            each(part, &facts);
        }
    }
    /// Looks into a part that [`Run::parts`] named: its pieces in order, where more is known of them than of all
    /// and that is `enough` for at least one; else nothing.
    fn pieces(&self, part: &Part, enough: &mut Enough<'_>) -> Result<Vec<Piece>, ReadError> {
        let _ = (part, enough);
        Ok(Vec::new())
    }
    /// The samples of `part` inside `range` (perhaps none).
    fn load(&self, part: &Part, range: TimeRange) -> Result<SampleBlock, ReadError>;
    /// The chunk that is a part, as it is stored; `None` where the run has none, or none that can be passed on.
    fn stored(&self, part: &Part) -> Result<Option<StoredChunk>, ReadError> {
        let _ = part;
        Ok(None)
    }
    /// The chunk without which the stamps of one from [`Run::stored`], which finds them over `depth` chunks, are not
    /// known; `None` where it cannot be passed on.
    fn lending(&self, reference: &TimeReference, depth: u8) -> Result<Option<StoredChunk>, ReadError> {
        let _ = (reference, depth);
        Ok(None)
    }
}

/// What `of` makes of the parts of `run` that touch `range`, which are forgotten then.
pub(super) fn with_parts<T>(
    run: &dyn Run,
    range: TimeRange,
    of: impl FnOnce(&[Part]) -> Result<T, ReadError>,
) -> Result<T, ReadError> {
    let parts = run.parts(range)?;
    let made = of(&parts);
    if let Some(part) = parts.first() {
        run.forget(part);
    }
    made
}
