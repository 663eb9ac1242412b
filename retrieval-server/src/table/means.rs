//! Means of one channel's bins, in order.

use crate::blocks::Blocks;
use decimator::bins::Empty;
use decimator::fold::{Fold, Folding, Samples};
use decimator::grid::Grid;
use decimator::holds::Holds;
use decimator::node::Held;
use engine::read::ReadError;
use sample::TimeRange;
use std::collections::VecDeque;

/// How means over `grid` are folded: of whole bins that begin in `range`.
pub(crate) fn folding(grid: &Grid, range: TimeRange) -> Folding {
    let mut whole = range;
    if let Some((start, end)) = grid.bin_at(range.from.0)
        && start < range.from.0
    {
        whole.from.0 = end;
    }
    if let Some((start, end)) = grid.bin_at(range.to.0.saturating_sub(1))
        && start >= range.from.0
    {
        whole.to.0 = end;
    }
    Folding {
        range: whole,
        grid: grid.clone(),
        holds: Holds::default(),
        exclude_invalid: false,
        empty: Empty::Skip,
        held: Held::Nothing,
    }
}

/// Bins that are folded as they are asked for.
pub(crate) struct Means<'a> {
    blocks: Blocks<'a>,
    fold: Option<Fold<'a>>,
    /// Beginning, mean of the finite numbers, worst severity.
    ready: VecDeque<(i64, Option<f64>, u8)>,
    numbers: Vec<f64>,
    failure: Option<ReadError>,
}

impl<'a> Means<'a> {
    /// Of `blocks`, an ascending scan of the folding's range.
    pub(crate) fn new(blocks: Blocks<'a>, folding: &'a Folding) -> Means<'a> {
        let fold = Some(Fold::new(folding));
        Means { blocks, fold, ready: VecDeque::new(), numbers: Vec::new(), failure: None }
    }

    /// Why there is nothing behind what was read.
    pub(crate) fn failure(&self) -> Option<&ReadError> {
        self.failure.as_ref()
    }

    /// The blocks that are being read.
    pub(crate) fn blocks(&self) -> &Blocks<'a> {
        &self.blocks
    }

    fn fill(&mut self) {
        let ready = &mut self.ready;
        let mut sink = |bin: &decimator::bins::Bin| {
            let mean = bin.moments().map(|moments| moments.mean);
            ready.push_back((bin.start, mean, bin.node.map_or(0, |node| node.worst)));
        };
        match self.blocks.next() {
            Ok(Some(block)) => {
                let are_numbers = block.values.numbers(&mut self.numbers);
                let numbers = are_numbers.then_some(self.numbers.as_slice());
                let samples = Samples { times: &block.time, numbers, severities: &block.severity };
                if let Some(fold) = &mut self.fold {
                    fold.samples(samples, &mut sink);
                }
            }
            Ok(None) => {
                if let Some(fold) = self.fold.take() {
                    fold.finish(&mut sink);
                }
            }
            // Nothing is known of the bin that was being filled.
            Err(error) => {
                self.fold = None;
                self.failure = Some(error);
            }
        }
    }

    /// Mean and worst severity of the bin that begins at `start`.
    pub(crate) fn of(&mut self, start: i64) -> Option<(f64, u8)> {
        loop {
            match self.ready.front() {
                Some((first, _, _)) if *first < start => drop(self.ready.pop_front()),
                Some((first, mean, worst)) => {
                    let is_it = *first == start;
                    return mean.filter(|_| is_it).map(|mean| (mean, *worst));
                }
                None if self.fold.is_some() => self.fill(),
                None => return None,
            }
        }
    }
}
