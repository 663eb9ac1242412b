//! Makes the bins of an answer: of all samples, or of those inside a selection with what was held there.

use crate::selection::Selection;
use decimator::bins::{Bin, Empty};
use decimator::fold::{Fold, Folding, Samples, Sink};
use decimator::node::{Integral, Node};
use engine::read::StoredNodes;
use sample::SampleBlock;
use std::collections::VecDeque;

/// What makes the bins of one channel.
#[expect(clippy::large_enum_variant, reason = "one is made for each channel of an answer")]
pub(crate) enum BinFold<'a> {
    /// All samples that come count.
    Plain(Fold<'a>),
    /// Those inside a selection count.
    Selected(SelectedFold<'a>),
}

impl BinFold<'_> {
    /// Adds the samples of a block; `values` is room for their numbers.
    pub(crate) fn samples(&mut self, block: SampleBlock, values: &mut Vec<f64>, sink: Sink<'_>) {
        match self {
            BinFold::Plain(fold) => fold.samples(samples_of(&block, values), sink),
            BinFold::Selected(fold) => fold.samples(block, values, sink),
        }
    }

    /// Adds stored nodes, which hold all samples: none come where there is a selection.
    pub(crate) fn nodes(&mut self, nodes: &StoredNodes, sink: Sink<'_>) {
        if let BinFold::Plain(fold) = self {
            fold.nodes(nodes.level, nodes.nodes(), sink);
        }
    }

    /// Delivers what is left.
    pub(crate) fn finish(self, sink: Sink<'_>) {
        match self {
            BinFold::Plain(fold) => fold.finish(sink),
            BinFold::Selected(fold) => fold.finish(sink),
        }
    }
}

/// Two folds side by side: one counts the samples inside, the other knows from all samples what was held.
pub(crate) struct SelectedFold<'a> {
    selection: &'a Selection,
    inside: Fold<'a>,
    all: Fold<'a>,
    joined: Joined,
}

/// What a fold takes of a block; `values` is room for its numbers.
fn samples_of<'a>(block: &'a SampleBlock, values: &'a mut Vec<f64>) -> Samples<'a> {
    let are_numbers = block.values.numbers(values);
    let numbers = are_numbers.then_some(values.as_slice());
    Samples { times: &block.time, numbers, severities: &block.severity }
}

/// Bins of both that were not joined yet.
struct Joined {
    empty: Empty,
    inside: VecDeque<Bin>,
    all: VecDeque<Bin>,
}

impl<'a> SelectedFold<'a> {
    /// `inside` delivers bins with samples; `all` at least those in which anything was held or counts, and its values
    /// hold inside the selection only. `empty` says which bins are wanted of both together.
    pub(crate) fn new(
        selection: &'a Selection,
        inside: &'a Folding,
        all: &'a Folding,
        empty: Empty,
    ) -> SelectedFold<'a> {
        let joined = Joined { empty, inside: VecDeque::new(), all: VecDeque::new() };
        SelectedFold { selection, inside: Fold::new(inside), all: Fold::new(all), joined }
    }

    /// Adds the samples of a block, inside or not.
    fn samples(&mut self, block: SampleBlock, values: &mut Vec<f64>, sink: Sink<'_>) {
        let Some(last) = block.time.last().copied() else { return };
        let Joined { inside, all, .. } = &mut self.joined;
        self.all.samples(samples_of(&block, values), &mut |bin| all.push_back(*bin));
        let block = self.selection.of_block(block);
        self.inside.samples(samples_of(&block, values), &mut |bin| inside.push_back(*bin));
        // Then both have delivered the same bins.
        self.inside.pass(last, &mut |bin| inside.push_back(*bin));
        self.joined.deliver(sink);
    }

    fn finish(mut self, sink: Sink<'_>) {
        let Joined { inside, all, .. } = &mut self.joined;
        self.inside.finish(&mut |bin| inside.push_back(*bin));
        self.all.finish(&mut |bin| all.push_back(*bin));
        self.joined.deliver(sink);
    }
}

impl Joined {
    fn deliver(&mut self, sink: Sink<'_>) {
        for held in self.all.drain(..) {
            let counted = self.inside.pop_front_if(|bin| bin.start == held.start).and_then(|bin| bin.node);
            let node = counted.map(|node| Node { integral: Integral::default(), ..node });
            let bin = Bin { lead: held.integral(), node, ..held };
            if self.empty.wants(&bin) {
                sink(&bin);
            }
        }
        debug_assert!(self.inside.is_empty(), "all samples are in a bin that has those inside");
    }
}
