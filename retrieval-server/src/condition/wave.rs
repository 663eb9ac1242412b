//! When a condition holds: its channels joined as of each moment.

use super::compare::{Code, first_change};
use super::tree::{Condition, Term, Truth};
use crate::blocks::Blocks;
use crate::limits::SEARCH_LOADS;
use decimator::coverage::State;
use engine::read::{ChannelView, Facts, Part, Passed, ReadError, Step};
use sample::{Metadata, Sample, SampleBlock, TimeRange, Timestamp};
use std::sync::Arc;

/// One channel of a condition over time.
pub(crate) struct Wave<'a> {
    blocks: Blocks<'a>,
    /// Whether samples are read of which what is known without that is enough.
    read_all: bool,
    /// The condition's comparisons of this channel, with their places.
    terms: Vec<(usize, Term)>,
    /// Times of the samples that are being looked at; of a part that is not read, of its first.
    times: Vec<i64>,
    /// Truths of each comparison at each of them.
    codes: Vec<Vec<Code>>,
    /// The next one.
    at: usize,
    /// Time of the last sample of what is being looked at.
    last: i64,
    /// Truths by the newest sample.
    newest: Vec<Code>,
    /// Where nothing is held, in order.
    breaks: std::iter::Peekable<std::vec::IntoIter<TimeRange>>,
    /// Problems known when `breaks` were made.
    problems: usize,
    range: TimeRange,
    ended: bool,
    failure: Option<ReadError>,
    /// Whether it was taken into account that reading failed.
    lost: bool,
    /// Blocks that were read.
    loads: usize,
}

fn breaks(view: &ChannelView, range: TimeRange) -> std::iter::Peekable<std::vec::IntoIter<TimeRange>> {
    let intervals = view.coverage(range).intervals;
    let breaks = intervals.into_iter().filter(|interval| interval.state != State::Held).map(|i| i.range);
    breaks.collect::<Vec<_>>().into_iter().peekable()
}

/// Puts the truth of each of `terms` at every sample of a part into `codes`; `false` when one is not known.
fn of_facts(
    terms: &[(usize, Term)],
    (part, facts): (&Part, &Facts),
    changes: &[(Timestamp, Arc<Metadata>)],
    codes: &mut [Vec<Code>],
) -> bool {
    terms.iter().zip(codes).all(|((_, term), codes)| {
        codes.clear();
        codes.extend(term.of_facts(part, facts, changes));
        !codes.is_empty()
    })
}

impl<'a> Wave<'a> {
    /// Over the samples of `range`, which `blocks` has in ascending order; `edge` is the last one before it.
    pub(crate) fn new(
        blocks: Blocks<'a>,
        condition: &Condition,
        channel: usize,
        range: TimeRange,
        edge: Option<&Sample>,
    ) -> Wave<'a> {
        let terms: Vec<(usize, Term)> =
            condition.terms.iter().cloned().enumerate().filter(|(_, term)| term.channel == channel).collect();
        let view = blocks.view();
        let mut codes = vec![Vec::new(); terms.len()];
        let mut newest = vec![Code::UNKNOWN; terms.len()];
        if let Some(edge) = edge {
            let mut block = SampleBlock::new(edge.run_type());
            block.push(edge);
            for (((_, term), codes), newest) in terms.iter().zip(&mut codes).zip(&mut newest) {
                term.of_block(&block, view.metadata(), codes);
                *newest = codes[0];
            }
        }
        Wave {
            problems: view.problems().len(),
            breaks: breaks(view, range),
            blocks,
            read_all: false,
            terms,
            times: Vec::new(),
            codes,
            at: 0,
            last: range.from.0,
            newest,
            range,
            ended: false,
            failure: None,
            lost: false,
            loads: 0,
        }
    }

    /// Reads every sample, whatever is known without that.
    pub(crate) fn reading_all(self, read_all: bool) -> Wave<'a> {
        Wave { read_all, ..self }
    }

    /// Why nothing is known behind what was read.
    pub(crate) fn failure(&self) -> Option<&ReadError> {
        self.failure.as_ref()
    }

    /// Blocks that were read so far.
    pub(super) fn loads(&self) -> usize {
        self.loads
    }

    /// The view that is being read.
    pub(crate) fn view(&self) -> &Arc<ChannelView> {
        self.blocks.view()
    }

    /// Makes sure that there is a next sample, if there is any more.
    fn load(&mut self) -> bool {
        if self.at < self.times.len() {
            return true;
        }
        if self.ended {
            return false;
        }
        self.at = 0;
        self.times.clear();
        let view = self.blocks.view().clone();
        let (terms, codes) = (&self.terms, &mut self.codes);
        let mut enough = |part: &Part, facts: &Facts| of_facts(terms, (part, facts), view.metadata(), codes);
        let step = self.blocks.step((!self.read_all).then_some(&mut enough));
        match step {
            Ok(Some(Step::Samples(block))) => {
                self.loads += 1;
                let view = self.blocks.view();
                for ((_, term), codes) in self.terms.iter().zip(&mut self.codes) {
                    term.of_block(&block, view.metadata(), codes);
                }
                self.last = block.last().0;
                self.times = block.time;
            }
            Ok(Some(Step::Passed(Passed { part, facts, .. }))) => {
                of_facts(&self.terms, (&part, &facts), view.metadata(), &mut self.codes);
                self.last = part.last.time;
                self.times.push(part.first.time);
            }
            Ok(None) => self.ended = true,
            Err(error) => {
                self.ended = true;
                self.failure = Some(error);
            }
        }
        let problems = self.blocks.view().problems().len();
        if problems != self.problems {
            self.problems = problems;
            self.breaks = breaks(self.blocks.view(), self.range);
        }
        !self.ended
    }

    /// Takes the next `count` samples.
    fn take(&mut self, count: usize) {
        self.at += count;
        if count > 0 {
            for (newest, codes) in self.newest.iter_mut().zip(&self.codes) {
                *newest = codes[self.at - 1];
            }
        }
    }

    /// Takes all samples up to `time`.
    fn take_until(&mut self, time: i64) {
        while self.load() && self.times[self.at] <= time {
            let next = self.times.get(self.at + 1).is_some_and(|next| *next <= time);
            self.take(if next { self.times[self.at..].partition_point(|t| *t <= time) } else { 1 });
        }
    }

    /// When something changes next, behind `now`; after many blocks without a change, when the next sample comes.
    pub(super) fn next_change(&mut self, now: i64) -> Option<i64> {
        let pause = self.loads + SEARCH_LOADS;
        let of_samples = loop {
            // After a plan made anew, what was taken may come again.
            self.take_until(now);
            if !self.load() {
                // What is known ends behind the last sample.
                let ends = self.failure.is_some() && !std::mem::replace(&mut self.lost, true);
                break ends.then(|| self.last.max(now).saturating_add(1));
            }
            if self.loads >= pause {
                break self.times.get(self.at).copied();
            }
            self.at = first_change(&self.codes, &self.newest, self.at, self.times.len());
            if let Some(time) = self.times.get(self.at) {
                break Some(*time);
            }
        };
        while self.breaks.next_if(|stretch| stretch.to.0 <= now).is_some() {}
        let of_breaks = self.breaks.peek().map(|b| if b.from.0 > now { b.from.0 } else { b.to.0 });
        [of_samples, of_breaks].into_iter().flatten().min()
    }

    /// Takes all samples up to `time` and writes the truths of that moment.
    pub(super) fn advance(&mut self, time: i64, terms: &mut [Truth]) {
        self.take_until(time);
        while self.breaks.next_if(|stretch| stretch.to.0 <= time).is_some() {}
        let broken = self.breaks.peek().is_some_and(|stretch| stretch.from.0 <= time);
        for ((place, _), newest) in self.terms.iter().zip(&self.newest) {
            terms[*place] = if broken || self.lost { None } else { newest.truth() };
        }
    }
}
