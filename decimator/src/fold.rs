//! From samples in time order to canonical bins, one after the other.
//!
//! A leaf folds its samples in (time, rank) order, a node its children in time order, a bin the largest nodes that lie
//! wholly inside it with what is left of leaves at its ends. So the bits of a bin depend on its samples and on nothing
//! else; whole nodes may be handed over ready made.

use crate::bins::{Bin, Empty};
use crate::grid::Grid;
use crate::holds::Holds;
use crate::leaf::{self, RUN_SAMPLES_MAX, Run};
use crate::node::{Held, Integral, Node};
use crate::tree::{LEVELS, WIDTHS_NS, node_at, piece_level};
use sample::TimeRange;

/// How bins are folded.
#[derive(Clone, Debug)]
pub struct Folding {
    /// The range; first and last bin hold only what lies inside.
    pub range: TimeRange,
    /// The bins.
    pub grid: Grid,
    /// Where values do not hold.
    pub holds: Holds,
    /// Whether samples of severity INVALID are left out.
    pub exclude_invalid: bool,
    /// Which bins without samples are bins all the same.
    pub empty: Empty,
    /// What is held when the range begins.
    pub held: Held,
}

/// The bin that is being filled.
struct Open {
    /// Where it begins and ends in the grid.
    bounds: (i64, i64),
    /// The part of it inside the range.
    from: i64,
    to: i64,
    node: Option<Node>,
}

/// Samples of a leaf that was not complete when they came.
#[derive(Default)]
struct Rest {
    times: Vec<i64>,
    numbers: Vec<f64>,
    severities: Vec<u8>,
    are_numbers: bool,
}

/// Receives the bins in order.
pub type Sink<'s> = &'s mut dyn FnMut(&Bin);

/// The fold in progress. Samples and nodes come in time order.
pub struct Fold<'a> {
    folding: &'a Folding,
    /// What is held at the beginning of the present bin, or of the next.
    held: Held,
    open: Option<Open>,
    /// First instant whose bin was not delivered yet.
    next: i64,
    /// Greatest level of the present piece; `None` for a part of a leaf.
    piece: Option<usize>,
    /// End of the present leaf, or part of one, and of the nodes above it up to the piece's; some time before where a
    /// level was not looked at.
    ends: [i64; LEVELS],
    /// Nodes that are being filled; that of level 0 is the leaf.
    nodes: [Option<Node>; LEVELS],
    rest: Rest,
    /// The level of the node that came last, whole, if it was a piece and the present bin holds no greater one.
    whole: Option<usize>,
    /// Where the bin that was opened last ends in the grid.
    grid_end: i64,
}

/// The samples of one block: columns of equal length.
#[derive(Clone, Copy)]
pub struct Samples<'a> {
    /// Times in ns, never decreasing.
    pub times: &'a [i64],
    /// Their numbers; `None` where values are no numbers.
    pub numbers: Option<&'a [f64]>,
    /// Severity codes 0..=3.
    pub severities: &'a [u8],
}

impl<'a> Fold<'a> {
    /// A fold that has seen nothing.
    pub fn new(folding: &'a Folding) -> Fold<'a> {
        Fold {
            held: folding.held,
            open: None,
            next: folding.range.from.0,
            piece: None,
            ends: [i64::MIN; LEVELS],
            nodes: [None; LEVELS],
            rest: Rest::default(),
            whole: None,
            grid_end: i64::MIN,
            folding,
        }
    }

    /// Adds samples; those outside the range or outside all bins are passed over.
    pub fn samples(&mut self, block: Samples<'_>, sink: Sink<'_>) {
        self.whole = None;
        let range = self.folding.range;
        let mut i = block.times.partition_point(|t| *t < range.from.0);
        let behind = block.times.partition_point(|t| *t < range.to.0);
        while i < behind {
            let time = block.times[i];
            if !self.enter(time, sink) {
                i += 1;
                continue;
            }
            let leaf_end = self.ends[0];
            let mut to = i + 1;
            while to < behind && block.times[to] < leaf_end {
                to += 1;
            }
            self.leaf(block, i, to, to < behind);
            i = to;
        }
    }

    /// Adds whole nodes of one level of the tree, in order, each made of all samples in it by this same fold. Each must lie
    /// inside one bin and the range, and no break may lie between its first sample and its end.
    pub fn nodes(&mut self, level: usize, nodes: &[Node], sink: Sink<'_>) {
        for node in nodes {
            if !self.follows(level, node) {
                self.node(level, node, sink);
            }
        }
    }

    /// Adds a whole node that lies in the same bin as the one before it and is a piece of it, as that was; `false` where it
    /// is not known to be one.
    fn follows(&mut self, level: usize, node: &Node) -> bool {
        let (Some(open), true) = (&mut self.open, self.whole == Some(level)) else { return false };
        let (Some(bin), true) = (&mut open.node, node.begin < open.to) else { return false };
        bin.append(node, &self.folding.holds);
        self.ends[level] = node.end;
        true
    }

    /// Adds a whole node, whatever came before it.
    fn node(&mut self, level: usize, node: &Node, sink: Sink<'_>) {
        if !self.enter_above(node.begin, level, sink) {
            return;
        }
        debug_assert_eq!(node.end, node_at(node.begin, level).1, "the node is not complete");
        let holds = &self.folding.holds;
        if let (_, Some(above)) = self.with_above(level) {
            add(above, node, holds);
        }
        let room = self.open.as_ref().map_or(0, |open| open.to.saturating_sub(open.from));
        let is_greatest = WIDTHS_NS.get(level + 1).is_none_or(|above| room < *above);
        self.whole = Some(level).filter(|_| self.piece == Some(level) && is_greatest);
    }

    /// No more samples before `time` come: delivers the bin that ends there or earlier.
    pub fn pass(&mut self, time: i64, sink: Sink<'_>) {
        if self.open.as_ref().is_some_and(|open| open.to <= time) {
            self.close_bin(sink);
        }
    }

    /// Delivers what is left.
    pub fn finish(mut self, sink: Sink<'_>) {
        self.close_bin(sink);
        self.empty_bins(self.folding.range.to.0, sink);
    }

    /// Closes what `time` does not lie in and opens the leaf that it lies in; `false` outside all bins.
    fn enter(&mut self, time: i64, sink: Sink<'_>) -> bool {
        if self.open.is_some() && time < self.ends[0] && self.nodes_open() {
            return true;
        }
        self.enter_above(time, 0, sink)
    }

    fn nodes_open(&self) -> bool {
        self.nodes[0].is_some() || !self.rest.times.is_empty()
    }

    /// As [`Fold::enter`], for a node of `level` that begins at `time`.
    fn enter_above(&mut self, time: i64, level: usize, sink: Sink<'_>) -> bool {
        self.fold_rest();
        if self.open.as_ref().is_some_and(|open| time >= open.to) {
            self.close_bin(sink);
        }
        if self.open.is_none() && !self.open_bin(time, level, sink) {
            return false;
        }
        let top = self.piece.unwrap_or(0);
        let stale = (0..=top).rev().find(|level| self.ends[*level] <= time);
        if let Some(stale) = stale {
            for level in 0..=stale {
                self.close(level);
            }
            if stale == top {
                self.open_piece(time, level);
            } else {
                self.set_ends(time, level, stale);
            }
        }
        debug_assert!(level == 0 || self.piece.is_some_and(|piece| level <= piece));
        true
    }

    /// Notes where the nodes at `time` end, from level `from` to level `to`; those below end before.
    fn set_ends(&mut self, time: i64, from: usize, to: usize) {
        for level in 0..=to {
            self.ends[level] = if level < from { i64::MIN } else { node_at(time, level).1 };
        }
    }

    fn open_bin(&mut self, time: i64, level: usize, sink: Sink<'_>) -> bool {
        let Some(bounds) = self.folding.grid.bin_behind(self.grid_end, time) else { return false };
        self.grid_end = bounds.1;
        let range = self.folding.range;
        let (from, to) = (bounds.0.max(range.from.0), bounds.1.min(range.to.0));
        self.empty_bins(from, sink);
        self.open = Some(Open { bounds, from, to, node: None });
        self.ends = [i64::MIN; LEVELS];
        self.open_piece(time, level);
        true
    }

    fn open_piece(&mut self, time: i64, level: usize) {
        let Some(open) = &self.open else { return };
        self.piece = piece_level(time, open.from, open.to);
        match self.piece {
            Some(top) => self.set_ends(time, level, top),
            None => self.ends[0] = node_at(time, 0).1.min(open.to),
        }
    }

    /// Samples `from..to` of a block, all of the present leaf; `complete` if the next sample is of another.
    fn leaf(&mut self, block: Samples<'_>, from: usize, to: usize, complete: bool) {
        if complete && !self.nodes_open() && to - from <= RUN_SAMPLES_MAX {
            self.run(Run {
                times: &block.times[from..to],
                numbers: block.numbers.map(|numbers| &numbers[from..to]),
                severities: &block.severities[from..to],
            });
            return;
        }
        let are_numbers = block.numbers.is_some();
        if self.rest.are_numbers != are_numbers {
            self.fold_rest();
            self.rest.are_numbers = are_numbers;
        }
        let mut from = from;
        while from < to {
            let count = (to - from).min(RUN_SAMPLES_MAX - self.rest.times.len());
            let part = from..from + count;
            self.rest.times.extend_from_slice(&block.times[part.clone()]);
            self.rest.severities.extend_from_slice(&block.severities[part.clone()]);
            if let Some(numbers) = block.numbers {
                self.rest.numbers.extend_from_slice(&numbers[part]);
            }
            if self.rest.times.len() == RUN_SAMPLES_MAX {
                self.fold_rest();
            }
            from += count;
        }
    }

    fn fold_rest(&mut self) {
        if self.rest.times.is_empty() {
            return;
        }
        let rest = std::mem::take(&mut self.rest);
        self.run(Run {
            times: &rest.times,
            numbers: rest.are_numbers.then_some(&rest.numbers[..]),
            severities: &rest.severities,
        });
        // The room is kept.
        self.rest = rest;
        self.rest.times.clear();
        self.rest.numbers.clear();
        self.rest.severities.clear();
    }

    /// Folds consecutive samples of the present leaf into it.
    fn run(&mut self, run: Run<'_>) {
        let node = leaf::fold(run, self.folding.exclude_invalid, &self.folding.holds);
        add(&mut self.nodes[0], &node, &self.folding.holds);
    }

    /// Completes the node of `level`, if there is one, and folds it into what it is part of.
    fn close(&mut self, level: usize) {
        let (end, holds) = (self.ends[level], &self.folding.holds);
        let (own, above) = self.with_above(level);
        let Some(node) = own else { return };
        node.extend(end, holds);
        if let Some(above) = above {
            add(above, node, holds);
        }
        *own = None;
    }

    /// The node of `level` that is being filled, and what it is part of: a node above, or the bin.
    #[inline]
    fn with_above(&mut self, level: usize) -> (&mut Option<Node>, Option<&mut Option<Node>>) {
        let is_piece = level >= self.piece.unwrap_or(0);
        let (to_level, above) = self.nodes.split_at_mut(level + 1);
        let bin = self.open.as_mut().map(|open| &mut open.node);
        (&mut to_level[level], if is_piece { bin } else { above.first_mut() })
    }

    fn close_bin(&mut self, sink: Sink<'_>) {
        self.fold_rest();
        if self.open.is_none() {
            return;
        }
        for level in 0..=self.piece.unwrap_or(0) {
            self.close(level);
        }
        let Some(open) = self.open.take() else { return };
        let Open { bounds, from, to, mut node } = open;
        let mut lead = Integral::default();
        lead.add(self.held, self.folding.holds.held_ns(from, node.map_or(to, |node| node.begin)));
        if let Some(node) = &mut node {
            node.extend(to, &self.folding.holds);
            self.held = node.held;
        }
        self.next = to;
        self.deliver(sink, &Bin { start: bounds.0, end: bounds.1, lead, node });
    }

    /// Delivers the bins before `to` in which nothing lies.
    fn empty_bins(&mut self, to: i64, sink: Sink<'_>) {
        if self.folding.empty == Empty::Skip {
            self.next = to;
        }
        while self.next < to {
            let Some(bounds) = self.folding.grid.bin_at(self.next) else { break };
            let end = bounds.1.min(self.folding.range.to.0);
            let mut lead = Integral::default();
            lead.add(self.held, self.folding.holds.held_ns(self.next, end));
            self.deliver(sink, &Bin { start: bounds.0, end: bounds.1, lead, node: None });
            self.next = end;
        }
    }

    fn deliver(&self, sink: Sink<'_>, bin: &Bin) {
        if self.folding.empty.wants(bin) {
            sink(bin);
        }
    }
}

/// Adds what follows in time to what is there.
#[inline]
fn add(to: &mut Option<Node>, node: &Node, holds: &Holds) {
    match to {
        Some(to) => to.append(node, holds),
        to => *to = Some(*node),
    }
}

#[cfg(test)]
mod tests;
