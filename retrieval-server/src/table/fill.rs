//! What one channel says at an instant of the grid.

use super::means::Means;
use super::pieces::{Pieces, Row};
use decimator::holds::Holds;
use engine::read::{ChannelView, ReadError};
use sample::{Column, TimeRange};

/// How instants between samples are filled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Rule {
    /// The value that is held.
    Hold,
    /// Only samples of this very instant.
    Exact,
    /// On the line between neighbours.
    Linear,
    /// The mean of the bin that begins there.
    Mean,
}

/// One cell.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    /// Nothing is held.
    Nothing,
    /// A sample.
    Sample(Row),
    /// A computed number with its severity.
    Number(f64, u8),
}

/// Where values come from.
enum Source<'a> {
    Samples(Box<Pieces<'a>>),
    Means(Box<Means<'a>>),
}

/// One channel, read along with the grid.
pub(crate) struct Filler<'a> {
    source: Source<'a>,
    rule: Rule,
    range: TimeRange,
    holds: Holds,
    /// Problems known when `holds` was made.
    problems: usize,
    max_age: Option<i64>,
    /// The last sample at or before the present instant.
    current: Option<Row>,
    /// The first sample behind the range.
    after: Option<Row>,
}

impl<'a> Filler<'a> {
    /// Over samples; `range` is where it matters whether values are held, `edge` the last sample before those that
    /// are read, `after` the first behind them.
    pub(crate) fn of_samples(
        pieces: Pieces<'a>,
        rule: Rule,
        range: TimeRange,
        max_age: Option<i64>,
        (edge, after): (Option<Row>, Option<Row>),
    ) -> Filler<'a> {
        let problems = pieces.view().problems().len();
        let holds = Holds::of(&pieces.view().coverage(range));
        Filler {
            source: Source::Samples(Box::new(pieces)),
            rule,
            range,
            holds,
            problems,
            max_age,
            current: edge,
            after,
        }
    }

    /// Over means of bins.
    pub(crate) fn of_means(means: Means<'a>, range: TimeRange) -> Filler<'a> {
        Filler {
            source: Source::Means(Box::new(means)),
            rule: Rule::Mean,
            range,
            holds: Holds::default(),
            problems: 0,
            max_age: None,
            current: None,
            after: None,
        }
    }

    /// The view that is being read.
    pub(crate) fn view(&self) -> &ChannelView {
        match &self.source {
            Source::Samples(pieces) => pieces.view(),
            Source::Means(means) => means.blocks().view(),
        }
    }

    /// Why there is nothing behind what was read.
    pub(crate) fn failure(&self) -> Option<&ReadError> {
        match &self.source {
            Source::Samples(pieces) => pieces.failure(),
            Source::Means(means) => means.failure(),
        }
    }

    /// The cell at `time`; times rise from call to call.
    pub(crate) fn cell(&mut self, time: i64) -> Cell {
        let pieces = match &mut self.source {
            Source::Means(means) => {
                return means.of(time).map_or(Cell::Nothing, |(mean, worst)| Cell::Number(mean, worst));
            }
            Source::Samples(pieces) => pieces,
        };
        if let Some(passed) = pieces.pass(time) {
            self.current = Some(passed);
        }
        let next = pieces.next();
        // What would come next is not known: neither is what is held.
        let lost = next.is_none() && pieces.failure().is_some();
        let problems = pieces.view().problems().len();
        if problems != self.problems {
            self.problems = problems;
            self.holds = Holds::of(&pieces.view().coverage(self.range));
        }
        let Some((piece, i)) = &self.current else { return Cell::Nothing };
        let stamp = piece.block.time[*i];
        if stamp == time && self.rule != Rule::Linear {
            return if self.rule == Rule::Hold && !self.holds.unbroken(time, time.saturating_add(1)) {
                Cell::Nothing
            } else {
                Cell::Sample((piece.clone(), *i))
            };
        }
        if lost {
            return Cell::Nothing;
        }
        match self.rule {
            Rule::Exact | Rule::Mean => Cell::Nothing,
            Rule::Hold => {
                let young = self.max_age.is_none_or(|max| time.saturating_sub(stamp) <= max);
                if young && self.holds.unbroken(time, time.saturating_add(1)) {
                    Cell::Sample((piece.clone(), *i))
                } else {
                    Cell::Nothing
                }
            }
            Rule::Linear => self.between(time, next.as_ref().or(self.after.as_ref())),
        }
    }

    /// On the line from the present sample to `next`.
    fn between(&self, time: i64, next: Option<&Row>) -> Cell {
        let Some((before, severity)) = self.current.as_ref().and_then(number) else { return Cell::Nothing };
        let Some((piece, i)) = &self.current else { return Cell::Nothing };
        let stamp = piece.block.time[*i];
        if stamp == time {
            return Cell::Number(before, severity);
        }
        let Some((next, k)) = next else { return Cell::Nothing };
        let Some((behind, other)) = number(&(next.clone(), *k)) else { return Cell::Nothing };
        let end = next.block.time[*k];
        let near = self.max_age.is_none_or(|max| end.saturating_sub(stamp) <= max);
        let finite = before.is_finite() && behind.is_finite();
        if !near || !finite || !self.holds.unbroken(stamp, end.saturating_add(1)) {
            return Cell::Nothing;
        }
        let share = as_double(time.saturating_sub(stamp)) / as_double(end.saturating_sub(stamp));
        // Stays finite where the difference of both would not.
        Cell::Number(before * (1.0 - share) + behind * share, severity.max(other))
    }
}

#[expect(clippy::cast_precision_loss, reason = "the nearest double is what is asked for")]
fn as_double(ns: i64) -> f64 {
    ns as f64
}

/// A scalar integer or floating-point number with its severity.
fn number((piece, i): &Row) -> Option<(f64, u8)> {
    #[expect(clippy::cast_precision_loss, reason = "the nearest double is what is asked for")]
    let number = match &piece.block.values {
        Column::Int8(v) => v[*i].into(),
        Column::Int16(v) => v[*i].into(),
        Column::Int32(v) => v[*i].into(),
        Column::Int64(v) => v[*i] as f64,
        Column::UInt8(v) => v[*i].into(),
        Column::UInt16(v) => v[*i].into(),
        Column::UInt32(v) => v[*i].into(),
        Column::UInt64(v) => v[*i] as f64,
        Column::Float32(v) => v[*i].into(),
        Column::Float64(v) => v[*i],
        Column::Bool(_)
        | Column::Enum(_)
        | Column::String(_)
        | Column::Structure(_)
        | Column::Array { .. } => {
            return None;
        }
    };
    Some((number, piece.block.severity[*i]))
}
