//! The formats of raw samples: what each must be able to write.

mod arrow;
mod arrow_bins;
mod arrow_rows;
mod bins;
mod columns;
mod csv;
mod follow;
mod json;
mod list;
mod table;

pub(crate) use self::arrow::ArrowFormat;
pub use self::arrow_rows::{ARROW_METADATA_KEY, ArrowRows};
pub(crate) use self::bins::{BinFormat, BinsOf};
pub(crate) use self::columns::ColumnsFormat;
pub(crate) use self::csv::CsvFormat;
pub use self::csv::CsvRows;
pub(crate) use self::follow::{FollowFormat, Notice};
pub(crate) use self::json::JsonFormat;
pub(crate) use self::table::{TableColumns, TableCsv, TableFormat, TableJson};

use crate::names::Target;
use crate::output::{Stopped, Writer};
use crate::segments::{ChunkSegment, Segment};
use decimator::coverage::Interval;
use sample::{TimeRange, Timestamp};
use serde_json::Value;

/// A sample beside the range: one row of its own.
#[derive(Clone, Debug)]
pub(crate) struct Beside {
    /// The sample, as a segment of one.
    pub segment: Segment,
    /// Whether its value still held at the range's start; `None` for the sample behind the range.
    pub held: Option<bool>,
}

/// Which sample beside the range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    /// The last before it.
    Edge,
    /// The first at or behind its end.
    After,
}

/// What is known of a channel behind its last segment.
#[derive(Clone, Debug)]
pub(crate) struct Closing {
    /// Where it was not recorded.
    pub gaps: Vec<Interval>,
    /// Where a cut answer goes on.
    pub next: Option<String>,
    /// Samples of the range in this answer.
    pub samples: u64,
}

/// What is known of the whole answer at its end.
#[derive(Clone, Debug)]
pub(crate) struct Ending {
    /// What it lacks.
    pub problems: Vec<Value>,
    /// Everything received at or before this survives a crash.
    pub durable_until: Option<Timestamp>,
}

/// A format of raw samples. Calls come in the order of the methods, from `open` to `close` for each channel.
pub(crate) trait Format {
    /// Media type.
    fn media_type(&self) -> &'static str;
    /// Whether problems can be told at the end; otherwise the connection must break.
    fn tells_problems(&self) -> bool;
    /// About how many bytes one sample takes whose values have these bytes and this text.
    fn sample_bytes(&self, name: &str, value_bytes: u64, value_text: u64) -> u64;
    /// The answer begins.
    fn start(&mut self, out: &mut Writer<'_>, range: TimeRange) -> Result<(), Stopped>;
    /// A channel that cannot be answered.
    fn refused(&mut self, out: &mut Writer<'_>, target: &Target) -> Result<(), Stopped>;
    /// A channel begins.
    fn open(&mut self, out: &mut Writer<'_>, target: &Target) -> Result<(), Stopped>;
    /// A sample beside the range that was asked for, or that there is none.
    fn beside(&mut self, out: &mut Writer<'_>, side: Side, sample: Option<&Beside>) -> Result<(), Stopped>;
    /// A segment; what of it is not needed to the last byte is let go of before: the client may take long.
    fn segment(&mut self, out: &mut Writer<'_>, segment: Segment) -> Result<(), Stopped>;
    /// Chunks as they are stored, only of a format whose client takes them.
    fn chunks(&mut self, _out: &mut Writer<'_>, _chunks: &ChunkSegment) -> Result<(), Stopped> {
        unreachable!("chunks are decoded for every other format")
    }
    /// A channel ends.
    fn close(&mut self, out: &mut Writer<'_>, closing: &Closing) -> Result<(), Stopped>;
    /// The answer ends.
    fn end(&mut self, out: &mut Writer<'_>, ending: &Ending) -> Result<(), Stopped>;
}
