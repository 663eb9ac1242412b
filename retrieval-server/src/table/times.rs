//! The instants of a grid, in order, a few at a time.

use crate::blocks::Blocks;
use crate::selection::Selection;
use decimator::grid::Grid;
use engine::read::ReadError;
use sample::{SampleBlock, TimeRange};

/// The distinct times of one channel's samples.
pub(crate) struct Distinct<'a> {
    blocks: Blocks<'a>,
    block: Option<SampleBlock>,
    at: usize,
    failure: Option<ReadError>,
    ended: bool,
}

impl<'a> Distinct<'a> {
    /// Of `blocks`, an ascending scan.
    pub(crate) fn new(blocks: Blocks<'a>) -> Distinct<'a> {
        Distinct { blocks, block: None, at: 0, failure: None, ended: false }
    }

    /// The first time that was not passed.
    fn time(&mut self) -> Option<i64> {
        while !self.ended {
            if let Some(time) = self.block.as_ref().and_then(|block| block.time.get(self.at)) {
                return Some(*time);
            }
            self.at = 0;
            self.block = self.blocks.next().unwrap_or_else(|error| {
                self.failure = Some(error);
                None
            });
            self.ended = self.block.is_none();
        }
        None
    }

    /// Passes every sample at `time`.
    fn pass(&mut self, time: i64) {
        while self.time() == Some(time) {
            self.at += 1;
        }
    }

    /// Why there is nothing behind what was read.
    pub(crate) fn failure(&self) -> Option<&ReadError> {
        self.failure.as_ref()
    }
}

/// Where the instants come from.
pub(crate) enum Times<'a> {
    /// Beginnings of bins inside a range.
    Steps {
        /// The bins.
        grid: Grid,
        /// What is left of the range.
        left: TimeRange,
    },
    /// Times of samples.
    Of(Vec<Distinct<'a>>),
    /// These.
    Given(std::vec::IntoIter<i64>),
    /// Some of others.
    Within(Box<Times<'a>>, Selection),
}

impl<'a> Times<'a> {
    /// The beginnings of `grid`'s bins inside `range`.
    pub(crate) fn steps(grid: Grid, range: TimeRange) -> Times<'a> {
        Times::Steps { grid, left: range }
    }

    /// Those inside `selection`.
    pub(crate) fn within(self, selection: Selection) -> Times<'a> {
        Times::Within(Box::new(self), selection)
    }

    /// The next instant.
    pub(crate) fn next(&mut self) -> Option<i64> {
        match self {
            Times::Steps { grid, left } => loop {
                if left.is_empty() {
                    return None;
                }
                let (start, end) = grid.bin_at(left.from.0)?;
                let inside = start >= left.from.0;
                // Held at the end of what 64 bits can say, a bin may not end.
                left.from.0 = if end > left.from.0 { end } else { left.to.0 };
                if inside {
                    return Some(start);
                }
            },
            Times::Of(channels) => {
                let next = channels.iter_mut().filter_map(Distinct::time).min()?;
                for channel in channels {
                    channel.pass(next);
                }
                Some(next)
            }
            Times::Given(times) => times.next(),
            Times::Within(times, selection) => loop {
                let time = times.next()?;
                if selection.contains(time) {
                    return Some(time);
                }
            },
        }
    }

    /// Channels, by their place, whose times are missing from some instant on.
    pub(crate) fn failures(&self) -> Vec<(usize, ReadError)> {
        match self {
            Times::Of(channels) => {
                let failed = |(i, channel): (usize, &Distinct<'_>)| Some((i, channel.failure()?.clone()));
                channels.iter().enumerate().filter_map(failed).collect()
            }
            Times::Within(times, _) => times.failures(),
            Times::Steps { .. } | Times::Given(_) => Vec::new(),
        }
    }
}
