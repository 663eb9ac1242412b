//! Merges the runs of one channel by (time, rank): each sample exactly once, streaming, both ways.

mod cursor;
mod pass;

use self::cursor::{Coming, Cursor, Loaded, is_behind, wanted_of};
use super::ahead::Ahead;
use super::{Enough, Order, Passed, Position, ReadError, Run, Scan, Spare};
use crate::limits::{BLOCK_SAMPLES_JOINED, BLOCK_SAMPLES_MAX, BLOCK_VALUE_BYTES_MAX, WHOLE_BEFORE_AHEAD};
use sample::{SampleBlock, TimeRange, Timestamp};
use std::cmp::Reverse;
use std::sync::Arc;

/// What comes next in a scan that loads only what it has to.
pub enum Step {
    /// Samples, of one type and ascending.
    Samples(SampleBlock),
    /// Samples that were not loaded, all of the part: nothing else lies between its first and its last, and its first
    /// lies in the range of the scan.
    Passed(Passed),
}

impl Step {
    /// The samples of a scan in which nothing is passed.
    pub(super) fn samples(step: Result<Step, ReadError>) -> Option<Result<SampleBlock, ReadError>> {
        match step {
            Ok(Step::Samples(block)) => Some(Ok(block)),
            Ok(Step::Passed(..)) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

/// How far the cursors got.
enum Settled {
    /// The cursor with the first head, and the head of the runner-up.
    Loaded(usize, Option<Position>),
    Passed(Passed),
}

/// The merged samples of one channel; see [`Scan`]. Every block is of one type and ascending inside.
pub struct Merge {
    scan: Scan,
    /// By where they begin, in the order of the scan.
    cursors: Vec<Cursor>,
    last: Option<Position>,
    /// Samples outside these stretches may be left out.
    within: Option<Arc<[TimeRange]>>,
    damage: Vec<ReadError>,
    /// What will be loaded, if anybody else may load it.
    ahead: Option<Ahead>,
    /// Parts that were loaded whole since one was passed or looked into with success.
    whole: usize,
    /// What was met behind a block that is being delivered.
    pending: Option<Result<Passed, ReadError>>,
    failed: bool,
}

impl Merge {
    /// Merges `runs`. Nothing is read before the first call of `next`.
    pub fn new(runs: &[Arc<dyn Run>], scan: Scan) -> Merge {
        let mut cursors: Vec<Cursor> = runs
            .iter()
            .filter(|run| {
                let (first, last) = run.span();
                scan.range.touches(first, last)
            })
            .map(|run| Cursor::new(run, &scan))
            .collect();
        // They stay until the scan has passed them.
        cursors.shrink_to_fit();
        match scan.order {
            Order::Ascending => cursors.sort_by_key(|cursor| cursor.begin),
            Order::Descending => cursors.sort_by_key(|cursor| Reverse(cursor.begin)),
        }
        Merge {
            last: scan.beyond,
            scan,
            cursors,
            within: None,
            damage: Vec::new(),
            ahead: None,
            whole: 0,
            pending: None,
            failed: false,
        }
    }

    /// Samples outside `stretches`, which are in order and apart from each other, are not asked for: what lies there
    /// wholly is not loaded.
    pub fn within(self, stretches: Option<Arc<[TimeRange]>>) -> Merge {
        Merge { within: stretches, ..self }
    }

    /// Loads ahead on processors that `spare` lends; before the first step.
    pub fn ahead(self, spare: Option<Arc<dyn Spare>>) -> Merge {
        Merge { ahead: spare.map(Ahead::new), ..self }
    }

    /// The next samples, loaded or not; of a part of which `enough` is known it is told that alone. Parts that others
    /// overlap are loaded, and all are where the scan descends or nothing is `enough`.
    pub fn step(&mut self, enough: Option<&mut Enough<'_>>) -> Option<Result<Step, ReadError>> {
        if self.failed {
            return None;
        }
        let step = match self.pending.take() {
            Some(pending) => pending.map(|passed| Some(Step::Passed(passed))),
            None => self.next_step(enough),
        };
        self.failed = step.is_err();
        step.transpose()
    }

    /// No sample that was not delivered yet lies before this; `None` when there is none. Ascending scans only.
    pub(super) fn bound(&self) -> Option<Position> {
        if let Some(Ok(passed)) = &self.pending {
            return Some(passed.part.first);
        }
        self.first(|cursor| cursor.head(&self.scan).map(|(head, _)| head)).map(|(head, _)| head)
    }

    /// The cursor whose `position`, which lies where it begins or later, comes first.
    fn first(&self, position: impl Fn(&Cursor) -> Option<Position>) -> Option<(Position, usize)> {
        let mut first: Option<(Position, usize)> = None;
        for (at, cursor) in self.cursors.iter().enumerate() {
            if first.is_some_and(|(first, _)| self.precedes(first, cursor.begin)) {
                break;
            }
            let Some(position) = position(cursor) else { continue };
            if first.is_none_or(|(first, _)| self.precedes(position, first)) {
                first = Some((position, at));
            }
        }
        first
    }

    /// Whether there is a sample at `time`, delivered or not; before the first step, of what the scan's range touches.
    pub(super) fn has_samples_at(&self, time: Timestamp) -> Result<bool, ReadError> {
        for cursor in &self.cursors {
            match cursor.has_samples_at(time) {
                Ok(false) => {}
                // The scan meets it again.
                Err(ReadError::Damaged { .. }) if self.scan.skip_damaged => {}
                found => return found,
            }
        }
        Ok(false)
    }

    /// Damage that was skipped so far.
    pub fn take_damage(&mut self) -> Vec<ReadError> {
        std::mem::take(&mut self.damage)
    }

    fn ascending(&self) -> bool {
        self.scan.order == Order::Ascending
    }

    /// Whether `a` is delivered before `b`.
    fn precedes(&self, a: Position, b: Position) -> bool {
        if self.ascending() { a < b } else { a > b }
    }

    /// Says which parts will be loaded, in the order of the scan as far as that is known.
    fn look_ahead(&mut self) {
        if !self.ahead.as_ref().is_some_and(Ahead::wants_more) {
            return;
        }
        let Scan { range, order, .. } = self.scan;
        let (ascending, last) = (self.ascending(), self.last);
        loop {
            let next = self.first(|cursor| cursor.coming(cursor.announced, &self.scan));
            let Some((_, at)) = next else { break };
            let cursor = &mut self.cursors[at];
            if cursor.parts.is_none() {
                // The scan meets what is wrong when it gets there.
                match cursor.list(range) {
                    Ok(()) => continue,
                    Err(_) => break,
                }
            }
            let (Some(ahead), Some(part)) = (&mut self.ahead, cursor.part(cursor.announced, order)) else {
                break;
            };
            if !ahead.has_room(part) {
                break;
            }
            let wanted = if is_behind(part, last, ascending) {
                None
            } else {
                wanted_of(part, range, self.within.as_deref())
            };
            if let Some(wanted) = wanted {
                ahead.announce(&cursor.run, *part, wanted);
            }
            cursor.announced += 1;
        }
        if let Some(ahead) = &self.ahead {
            ahead.lend();
        }
    }

    /// Lists or loads what the cursor needs to know its exact head.
    fn advance(&mut self, at: usize) -> Result<(), ReadError> {
        let ascending = self.ascending();
        let (range, last) = (self.scan.range, self.last);
        let cursor = &mut self.cursors[at];
        let Some(parts) = &mut cursor.parts else { return cursor.list(range) };
        let part = if ascending { parts.pop_front() } else { parts.pop_back() };
        let Some(part) = part else { return Ok(()) };
        self.whole += usize::from(matches!(part, Coming::Named(_)));
        let part = *part.part();
        cursor.announced = cursor.announced.saturating_sub(1);
        if is_behind(&part, last, ascending) {
            if let Some(ahead) = &mut self.ahead {
                ahead.discard(&cursor.run, &part);
            }
            return Ok(());
        }
        let Some(range) = wanted_of(&part, range, self.within.as_deref()) else { return Ok(()) };
        let block = match &mut self.ahead {
            None => cursor.run.load(&part, range)?,
            Some(ahead) => ahead.load(&cursor.run, &part, range)?,
        };
        let mut inside = block.indices(range);
        if let Some(last) = last {
            let at = |i: usize| {
                let (time, rank) = block.position(i);
                Position { time, rank }
            };
            if ascending {
                inside.start += partition(inside.len(), |k| at(inside.start + k) <= last);
            } else {
                inside.end = inside.start + partition(inside.len(), |k| at(inside.start + k) < last);
            }
        }
        if !inside.is_empty() {
            cursor.loaded = Some(Box::new(Loaded { block, lo: inside.start, hi: inside.end }));
        }
        Ok(())
    }

    /// Advances cursors until the one with the first head is known exactly, with the head of the runner-up, before
    /// which it may deliver freely; or until a part of which `enough` is known was passed.
    fn settle(&mut self, mut enough: Option<&mut Enough<'_>>) -> Result<Option<Settled>, ReadError> {
        loop {
            let mut best: Option<(usize, Position, bool)> = None;
            let mut second: Option<Position> = None;
            for (i, cursor) in self.cursors.iter().enumerate() {
                if second.is_some_and(|second| self.precedes(second, cursor.begin)) {
                    break;
                }
                let Some((head, exact)) = cursor.head(&self.scan) else { continue };
                match best {
                    // An inexact head at the same place is looked at first: it may turn out later.
                    Some((_, leader, leader_exact))
                        if !(self.precedes(head, leader) || head == leader && leader_exact && !exact) =>
                    {
                        if second.is_none_or(|s| self.precedes(head, s)) {
                            second = Some(head);
                        }
                    }
                    _ => {
                        if let Some((_, leader, _)) = best {
                            second = Some(leader);
                        }
                        best = Some((i, head, exact));
                    }
                }
            }
            match best {
                None => return Ok(None),
                Some((i, _, true)) => return Ok(Some(Settled::Loaded(i, second))),
                Some((i, _, false)) => {
                    let passed = enough.as_deref_mut().and_then(|enough| self.pass(i, enough));
                    if let Some(passed) = passed {
                        return Ok(Some(Settled::Passed(passed)));
                    }
                    if let Err(error) = self.advance(i) {
                        self.damaged(i, error)?;
                    }
                    self.cursors
                        .retain(|c| c.loaded.is_some() || c.parts.as_ref().is_none_or(|p| !p.is_empty()));
                }
            }
        }
    }

    /// Skips damage if asked to; the part was already taken off, a run that cannot be listed goes whole.
    fn damaged(&mut self, at: usize, error: ReadError) -> Result<(), ReadError> {
        if !self.scan.skip_damaged || !matches!(error, ReadError::Damaged { .. }) {
            return Err(error);
        }
        self.damage.push(error);
        let cursor = &mut self.cursors[at];
        cursor.parts.get_or_insert_default();
        Ok(())
    }

    /// How many samples the loaded cursor `at` may deliver before those of others, which begin at `bound`; at least one.
    fn free(&self, at: usize, bound: Option<Position>) -> usize {
        let Some(loaded) = &self.cursors[at].loaded else { return 0 };
        let position = |i: usize| loaded.position(i);
        let count = loaded.hi - loaded.lo;
        match (bound, self.ascending()) {
            (None, _) => count,
            (Some(bound), true) => partition(count, |k| position(loaded.lo + k) < bound).max(1),
            (Some(bound), false) => (count - partition(count, |k| position(loaded.lo + k) <= bound)).max(1),
        }
    }

    /// Takes the next `free` samples of the loaded cursor `at`.
    fn stretch(&mut self, at: usize, free: usize) -> SampleBlock {
        let ascending = self.ascending();
        let last = self.last;
        let Some(loaded) = self.cursors[at].loaded.as_mut() else {
            unreachable!("settle chose a loaded cursor")
        };
        debug_assert!(
            loaded.lo < loaded.hi && last.is_none_or(|l| loaded.position(loaded.lo) > l || !ascending)
        );
        let (from, to) =
            if ascending { (loaded.lo, loaded.lo + free) } else { (loaded.hi - free, loaded.hi) };
        let whole = from == 0 && to == loaded.block.len();
        self.last = Some(loaded.position(if ascending { to - 1 } else { from }));
        if ascending {
            loaded.lo = to
        } else {
            loaded.hi = from
        }
        let drained = loaded.lo == loaded.hi;
        let block = if whole {
            std::mem::replace(
                &mut loaded.block,
                SampleBlock::new(sample::RunType::plain(sample::ValueType::scalar(sample::Kind::Bool))),
            )
        } else {
            loaded.block.slice(from, to)
        };
        if drained {
            self.cursors[at].loaded = None;
        }
        self.drop_delivered();
        block
    }

    /// Steps other cursors over samples that were just delivered from their twin.
    fn drop_delivered(&mut self) {
        let Some(last) = self.last else { return };
        let ascending = self.ascending();
        for cursor in &mut self.cursors {
            while let Some(loaded) = &mut cursor.loaded {
                let head = loaded.position(if ascending { loaded.lo } else { loaded.hi - 1 });
                if if ascending { head > last } else { head < last } {
                    break;
                }
                if ascending {
                    loaded.lo += 1
                } else {
                    loaded.hi -= 1
                }
                if loaded.lo == loaded.hi {
                    cursor.loaded = None;
                }
            }
        }
        self.cursors.retain(|c| c.loaded.is_some() || c.parts.as_ref().is_none_or(|p| !p.is_empty()));
    }

    fn next_step(&mut self, mut enough: Option<&mut Enough<'_>>) -> Result<Option<Step>, ReadError> {
        let mut pieces: Vec<SampleBlock> = Vec::new();
        let (mut samples, mut bytes) = (0, 0);
        while samples < BLOCK_SAMPLES_JOINED && bytes < BLOCK_VALUE_BYTES_MAX {
            // Who looks at parts first may not want them.
            if enough.is_none() || self.whole >= WHOLE_BEFORE_AHEAD {
                self.look_ahead();
            }
            let (at, bound) = match self.settle(enough.as_deref_mut()) {
                Ok(Some(Settled::Loaded(at, bound))) => (at, bound),
                Ok(None) => break,
                // What was read before is delivered first.
                Err(error) if !pieces.is_empty() => {
                    self.pending = Some(Err(error));
                    break;
                }
                Ok(Some(Settled::Passed(passed))) if !pieces.is_empty() => {
                    self.pending = Some(Ok(passed));
                    break;
                }
                Ok(Some(Settled::Passed(passed))) => return Ok(Some(Step::Passed(passed))),
                Err(error) => return Err(error),
            };
            let free = self.free(at, bound);
            if let (Some(piece), Some(loaded)) = (pieces.last(), &self.cursors[at].loaded)
                // What does not fit whole goes alone: cut once, every block behind it would be copied and cut again.
                && (piece.run != loaded.block.run || samples + free > BLOCK_SAMPLES_MAX)
            {
                break;
            }
            let piece = self.stretch(at, free.min(BLOCK_SAMPLES_MAX - samples));
            samples += piece.len();
            bytes += piece.values.byte_len();
            pieces.push(piece);
        }
        if !self.ascending() {
            pieces.reverse();
        }
        let mut pieces = pieces.into_iter();
        let Some(mut block) = pieces.next() else { return Ok(None) };
        for piece in pieces {
            block.append(&piece, 0, piece.len());
        }
        Ok(Some(Step::Samples(block)))
    }
}

impl Iterator for Merge {
    type Item = Result<SampleBlock, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step(None).and_then(Step::samples)
    }
}

/// How many of `0..len` satisfy `pred`, which holds for a prefix only.
fn partition(len: usize, pred: impl Fn(usize) -> bool) -> usize {
    let (mut lo, mut hi) = (0, len);
    while lo < hi {
        let mid = usize::midpoint(lo, hi);
        if pred(mid) { lo = mid + 1 } else { hi = mid }
    }
    lo
}

#[cfg(test)]
mod tests;
