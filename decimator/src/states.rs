//! How long an enum held each of its states, bin by bin. Whole nanoseconds, so the order of adding does not matter.

use crate::grid::Grid;
use crate::holds::Holds;
use sample::TimeRange;
use std::collections::BTreeMap;

/// The fold in progress.
#[derive(Debug)]
pub struct StateFold<'a> {
    range: TimeRange,
    grid: &'a Grid,
    holds: &'a Holds,
    /// What is held, and since when; `None` is no state.
    held: Option<u16>,
    since: i64,
    /// Nanoseconds of each state by beginning of the bin; only bins in which one was held.
    bins: BTreeMap<i64, BTreeMap<u16, i64>>,
}

impl<'a> StateFold<'a> {
    /// Over `range`, with what is held when it begins.
    pub fn new(range: TimeRange, grid: &'a Grid, holds: &'a Holds, held: Option<u16>) -> StateFold<'a> {
        StateFold { range, grid, holds, held, since: range.from.0, bins: BTreeMap::new() }
    }

    /// From `time` on `state` is held; times never decrease. `None` is a value that is no state or does not count.
    pub fn change(&mut self, time: i64, state: Option<u16>) {
        if time < self.range.from.0 || time >= self.range.to.0 {
            return;
        }
        self.hold_until(time);
        self.held = state;
    }

    fn hold_until(&mut self, end: i64) {
        while let Some(state) = self.held
            && self.since < end
        {
            let Some((start, bin_end)) = self.grid.bin_at(self.since) else { break };
            let to = bin_end.min(end);
            let ns = self.holds.held_ns(self.since, to);
            if ns > 0 {
                let held = self.bins.entry(start).or_default().entry(state).or_default();
                *held = held.saturating_add(ns);
            }
            self.since = to;
        }
        self.since = end;
    }

    /// Takes what is known of bins that begin before `start`: their beginnings with ns by state.
    pub fn take_before(&mut self, start: i64) -> BTreeMap<i64, BTreeMap<u16, i64>> {
        let rest = self.bins.split_off(&start);
        std::mem::replace(&mut self.bins, rest)
    }

    /// No more changes: what is held is held to the end of the range.
    pub fn hold_to_end(&mut self) {
        self.hold_until(self.range.to.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sample::Timestamp;

    #[test]
    fn states_share_the_time_of_a_bin() {
        let range = TimeRange::new(Timestamp(5), Timestamp(35));
        let (grid, holds) = (Grid::of_width(10), Holds::default());
        let mut fold = StateFold::new(range, &grid, &holds, Some(2));
        for (time, state) in
            [(1, Some(7)), (8, Some(0)), (12, Some(1)), (12, Some(0)), (22, None), (30, Some(1))]
        {
            fold.change(time, state);
        }
        assert_eq!(fold.take_before(10), BTreeMap::from([(0, BTreeMap::from([(0, 2), (2, 3)]))]));
        let rest = BTreeMap::from([
            (10, BTreeMap::from([(0, 10)])),
            (20, BTreeMap::from([(0, 2)])),
            (30, BTreeMap::from([(1, 5)])),
        ]);
        fold.hold_to_end();
        assert_eq!(fold.take_before(i64::MAX), rest);
    }
}
