//! When a condition holds: its channels joined as of each moment.

use super::tree::{Condition, Term, Truth};
use crate::table::{Pieces, Row};
use decimator::coverage::State;
use engine::read::{ChannelView, ReadError};
use sample::{TimeRange, Timestamp};

/// One channel of a condition over time.
pub(crate) struct Wave<'a> {
    pieces: Pieces<'a>,
    /// The condition's comparisons of this channel, with their places.
    terms: Vec<(usize, Term)>,
    /// Truths of each of them at every sample of the piece that is being read.
    truths: Vec<Vec<Truth>>,
    /// Length of that piece, 0 where none is.
    length: usize,
    /// The next sample in it.
    at: usize,
    /// Truths by the newest sample.
    newest: Vec<Truth>,
    /// Where nothing is held, in order.
    breaks: std::iter::Peekable<std::vec::IntoIter<TimeRange>>,
    /// Problems known when `breaks` were made.
    problems: usize,
    range: TimeRange,
    piece: Option<Row>,
    /// Time of the last sample of the piece before.
    last: i64,
    /// Whether it was taken into account that reading failed.
    lost: bool,
}

fn breaks(view: &ChannelView, range: TimeRange) -> Vec<TimeRange> {
    let intervals = view.coverage(range).intervals;
    intervals.into_iter().filter(|interval| interval.state != State::Held).map(|i| i.range).collect()
}

impl<'a> Wave<'a> {
    /// Over samples of `range`; `edge` is the last one before it.
    pub(crate) fn new(
        pieces: Pieces<'a>,
        condition: &Condition,
        channel: usize,
        range: TimeRange,
        edge: Option<&Row>,
    ) -> Wave<'a> {
        let terms: Vec<(usize, Term)> =
            condition.terms.iter().cloned().enumerate().filter(|(_, term)| term.channel == channel).collect();
        let mut newest = vec![None; terms.len()];
        if let Some((piece, i)) = edge {
            let mut truths = Vec::new();
            for (newest, (_, term)) in newest.iter_mut().zip(&terms) {
                term.of_block(&piece.block, piece.metadata.as_deref(), &mut truths);
                *newest = truths[*i];
            }
        }
        let problems = pieces.view().problems().len();
        let breaks = breaks(pieces.view(), range).into_iter().peekable();
        let truths = vec![Vec::new(); terms.len()];
        Wave {
            pieces,
            terms,
            truths,
            length: 0,
            at: 0,
            newest,
            breaks,
            problems,
            range,
            piece: None,
            last: range.from.0,
            lost: false,
        }
    }

    /// Why nothing is known behind what was read.
    pub(crate) fn failure(&self) -> Option<&ReadError> {
        self.pieces.failure()
    }

    /// The view that is being read.
    pub(crate) fn view(&self) -> &ChannelView {
        self.pieces.view()
    }

    /// Makes sure that there is a next sample, if there is any more.
    fn load(&mut self) -> bool {
        if self.at < self.length {
            return true;
        }
        if let Some((piece, _)) = self.piece.take() {
            self.last = piece.block.last().0;
            self.pieces.pass_piece();
        }
        (self.at, self.length) = (0, 0);
        let Some((piece, at)) = self.pieces.next() else { return false };
        for (truths, (_, term)) in self.truths.iter_mut().zip(&self.terms) {
            term.of_block(&piece.block, piece.metadata.as_deref(), truths);
        }
        (self.at, self.length) = (at, piece.block.len());
        self.piece = Some((piece, at));
        let problems = self.pieces.view().problems().len();
        if problems != self.problems {
            self.problems = problems;
            self.breaks = breaks(self.pieces.view(), self.range).into_iter().peekable();
        }
        true
    }

    /// When something changes next, behind `now`.
    fn next_change(&mut self, now: i64) -> Option<i64> {
        let of_samples = loop {
            if !self.load() {
                // What is known ends behind the last sample.
                let ends = self.pieces.failure().is_some() && !std::mem::replace(&mut self.lost, true);
                break ends.then(|| self.last.max(now).saturating_add(1));
            }
            let same =
                |i: usize| self.truths.iter().zip(&self.newest).all(|(truths, newest)| truths[i] == *newest);
            while self.at < self.length && same(self.at) {
                self.at += 1;
            }
            if self.at < self.length {
                break self.piece.as_ref().map(|(piece, _)| piece.block.time[self.at]);
            }
        };
        while self.breaks.next_if(|stretch| stretch.to.0 <= now).is_some() {}
        let of_breaks = self.breaks.peek().map(|b| if b.from.0 > now { b.from.0 } else { b.to.0 });
        [of_samples, of_breaks].into_iter().flatten().min()
    }

    /// Takes all samples up to `time` and writes the truths of that moment.
    fn advance(&mut self, time: i64, terms: &mut [Truth]) {
        while self.load() {
            let Some((piece, _)) = &self.piece else { break };
            let passed = piece.block.time[self.at..].partition_point(|t| *t <= time);
            if passed == 0 {
                break;
            }
            self.at += passed;
            for (newest, truths) in self.newest.iter_mut().zip(&self.truths) {
                *newest = truths[self.at - 1];
            }
        }
        while self.breaks.next_if(|stretch| stretch.to.0 <= time).is_some() {}
        let broken = self.breaks.peek().is_some_and(|stretch| stretch.from.0 <= time);
        for ((place, _), newest) in self.terms.iter().zip(&self.newest) {
            terms[*place] = if broken || self.lost { None } else { *newest };
        }
    }
}

/// Calls `each` with every interval of `range` in which `condition` holds, in order; `waves` are its channels.
/// `false` from `each` ends it.
pub(crate) fn intervals(
    condition: &Condition,
    waves: &mut [Wave<'_>],
    range: TimeRange,
    each: &mut dyn FnMut(TimeRange) -> bool,
) {
    let mut terms: Vec<Truth> = vec![None; condition.terms.len()];
    let mut now = range.from.0;
    let mut since: Option<i64> = None;
    while now < range.to.0 {
        for wave in waves.iter_mut() {
            wave.advance(now, &mut terms);
        }
        let holds = condition.root.truth(&terms) == Some(true);
        match (holds, since) {
            (true, None) => since = Some(now),
            (false, Some(from)) => {
                since = None;
                if !each(TimeRange::new(Timestamp(from), Timestamp(now))) {
                    return;
                }
            }
            _ => {}
        }
        let next = waves.iter_mut().filter_map(|wave| wave.next_change(now)).min();
        now = next.unwrap_or(range.to.0);
    }
    if let Some(from) = since {
        each(TimeRange::new(Timestamp(from), range.to));
    }
}
