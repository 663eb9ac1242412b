//! Merges the runs of one channel by (time, rank): each sample exactly once, streaming, both ways.

use super::{Part, Position, ReadError, Run};
use crate::limits::{BLOCK_SAMPLES_JOINED, BLOCK_SAMPLES_MAX, BLOCK_VALUE_BYTES_MAX};
use sample::{SampleBlock, TimeRange, Timestamp, ValueType};
use std::collections::VecDeque;
use std::sync::Arc;

/// Which end of the range comes first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// Oldest first.
    Ascending,
    /// Newest first.
    Descending,
}

/// What to scan.
#[derive(Clone, Copy, Debug)]
pub struct Scan {
    /// Times.
    pub range: TimeRange,
    /// Direction.
    pub order: Order,
    /// Only samples strictly behind this position, in the direction of the scan.
    pub beyond: Option<Position>,
    /// Read on around damage instead of ending with an error.
    pub skip_damaged: bool,
}

impl Scan {
    /// All of `range`, oldest first, ending at damage.
    pub fn ascending(range: TimeRange) -> Scan {
        Scan { range, order: Order::Ascending, beyond: None, skip_damaged: false }
    }
}

/// Samples `lo..hi` of a loaded block that were not delivered yet.
struct Loaded {
    block: SampleBlock,
    lo: usize,
    hi: usize,
}

/// Progress in one run.
struct Cursor {
    run: Arc<dyn Run>,
    /// Parts not loaded yet; `None` until the merge reaches the run.
    parts: Option<VecDeque<Part>>,
    loaded: Option<Loaded>,
}

/// The merged samples of one channel; see [`Scan`]. Every block is of one type and ascending inside.
pub struct Merge {
    scan: Scan,
    cursors: Vec<Cursor>,
    last: Option<Position>,
    damage: Vec<ReadError>,
    /// An error that was met behind a block that is being delivered.
    pending: Option<ReadError>,
    failed: bool,
}

impl Merge {
    /// Merges `runs`. Nothing is read before the first call of `next`.
    pub fn new(runs: &[Arc<dyn Run>], scan: Scan) -> Merge {
        let cursors = runs
            .iter()
            .filter(|run| {
                let (first, last) = run.span();
                scan.range.touches(first, last)
            })
            .map(|run| Cursor { run: run.clone(), parts: None, loaded: None })
            .collect();
        Merge { last: scan.beyond, scan, cursors, damage: Vec::new(), pending: None, failed: false }
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

    /// The earliest position (in scan order) that the cursor may still deliver, and whether it is exact.
    fn head(&self, cursor: &Cursor) -> Option<(Position, bool)> {
        if let Some(loaded) = &cursor.loaded {
            let i = if self.ascending() { loaded.lo } else { loaded.hi - 1 };
            let (time, rank) = loaded.block.position(i);
            return Some((Position { time, rank }, true));
        }
        let (first, last) = match &cursor.parts {
            None => {
                let (first, last) = cursor.run.span();
                (Position { time: first.0, rank: 0 }, Position { time: last.0, rank: u32::MAX })
            }
            Some(parts) => {
                let part = if self.ascending() { parts.front()? } else { parts.back()? };
                (part.first, part.last)
            }
        };
        let bound = if self.ascending() {
            first.max(Position { time: self.scan.range.from.0, rank: 0 })
        } else {
            last.min(Position { time: self.scan.range.to.0.saturating_sub(1), rank: u32::MAX })
        };
        Some((bound, false))
    }

    /// Lists or loads what the cursor needs to know its exact head.
    fn advance(&mut self, at: usize) -> Result<(), ReadError> {
        let ascending = self.ascending();
        let (range, last) = (self.scan.range, self.last);
        let cursor = &mut self.cursors[at];
        let Some(parts) = &mut cursor.parts else {
            cursor.parts = Some(cursor.run.parts(range)?.into());
            return Ok(());
        };
        let part = if ascending { parts.pop_front() } else { parts.pop_back() };
        let Some(part) = part else { return Ok(()) };
        let behind = |p: Position| last.is_some_and(|l| if ascending { p <= l } else { p >= l });
        if behind(if ascending { part.last } else { part.first }) {
            return Ok(());
        }
        let block = cursor.run.load(&part, range)?;
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
            cursor.loaded = Some(Loaded { block, lo: inside.start, hi: inside.end });
        }
        Ok(())
    }

    /// Advances cursors until the one with the first head is known exactly; returns it with the
    /// head of the runner-up, before which it may deliver freely.
    fn settle(&mut self) -> Result<Option<(usize, Option<Position>)>, ReadError> {
        loop {
            let mut best: Option<(usize, Position, bool)> = None;
            let mut second: Option<Position> = None;
            for (i, cursor) in self.cursors.iter().enumerate() {
                let Some((head, exact)) = self.head(cursor) else { continue };
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
                Some((i, _, true)) => return Ok(Some((i, second))),
                Some((i, _, false)) => {
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

    /// Takes the next stretch that one run delivers alone.
    fn stretch(&mut self, at: usize, bound: Option<Position>, room: usize) -> SampleBlock {
        let ascending = self.ascending();
        let last = self.last;
        let Some(loaded) = self.cursors[at].loaded.as_mut() else {
            unreachable!("settle chose a loaded cursor")
        };
        let position = |i: usize| {
            let (time, rank) = loaded.block.position(i);
            Position { time, rank }
        };
        debug_assert!(loaded.lo < loaded.hi && last.is_none_or(|l| (position(loaded.lo) > l) || !ascending));
        let count = loaded.hi - loaded.lo;
        let free = match (bound, ascending) {
            (None, _) => count,
            (Some(bound), true) => partition(count, |k| position(loaded.lo + k) < bound).max(1),
            (Some(bound), false) => (count - partition(count, |k| position(loaded.lo + k) <= bound)).max(1),
        }
        .min(room);
        let (from, to) =
            if ascending { (loaded.lo, loaded.lo + free) } else { (loaded.hi - free, loaded.hi) };
        let whole = from == 0 && to == loaded.block.len();
        self.last = Some(if ascending { position(to - 1) } else { position(from) });
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
                let (time, rank) = loaded.block.position(if ascending { loaded.lo } else { loaded.hi - 1 });
                let head = Position { time, rank };
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

    fn next_block(&mut self) -> Result<Option<SampleBlock>, ReadError> {
        let mut pieces: Vec<SampleBlock> = Vec::new();
        let (mut samples, mut bytes) = (0, 0);
        while samples < BLOCK_SAMPLES_JOINED && bytes < BLOCK_VALUE_BYTES_MAX {
            let settled = match self.settle() {
                // What was read before the damage is delivered first.
                Err(error) if !pieces.is_empty() => {
                    self.pending = Some(error);
                    break;
                }
                other => other?,
            };
            let Some((at, bound)) = settled else { break };
            let run = &self.cursors[at].loaded.as_ref().map(|l| &l.block.run);
            if let (Some(piece), Some(run)) = (pieces.last(), run)
                && piece.run != **run
            {
                break;
            }
            let piece = self.stretch(at, bound, BLOCK_SAMPLES_MAX - samples);
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
        Ok(Some(block))
    }
}

impl Iterator for Merge {
    type Item = Result<SampleBlock, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let block = match self.pending.take() {
            Some(error) => Err(error),
            None => self.next_block(),
        };
        self.failed = block.is_err();
        block.transpose()
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

/// How far back an edge is looked for before the whole span is listed: an hour, a day.
const EDGE_WINDOWS_NS: [i64; 2] = [3_600_000_000_000, 86_400_000_000_000];

/// The last sample of `run` before `time` (at or before it if `inclusive`).
pub(crate) fn last_before(
    run: &dyn Run,
    time: Timestamp,
    inclusive: bool,
) -> Result<Option<sample::Sample>, ReadError> {
    let to = if inclusive { time.saturating_add(1) } else { time };
    last_part(run, to, |part| {
        // Of a part that ends before, only the last time matters.
        let from = if part.last.time < to.0 { part.last.time } else { part.first.time };
        let block = run.load(part, TimeRange::new(Timestamp(from), to))?;
        let inside = block.indices(TimeRange::new(Timestamp::MIN, to));
        Ok((!inside.is_empty()).then(|| block.get(inside.end - 1)))
    })
}

/// The last part of `run` that begins before `time`, and the type of its values.
pub(super) fn last_type_before(
    run: &dyn Run,
    time: Timestamp,
) -> Result<Option<(Part, ValueType)>, ReadError> {
    last_part(run, time, |part| Ok(Some((*part, run.type_of(part)?))))
}

/// What `of` says of the last part that touches the times before `to` and that it says something of.
fn last_part<T>(
    run: &dyn Run,
    to: Timestamp,
    of: impl Fn(&Part) -> Result<Option<T>, ReadError>,
) -> Result<Option<T>, ReadError> {
    let (first, _) = run.span();
    if first >= to {
        return Ok(None);
    }
    for window in EDGE_WINDOWS_NS.into_iter().chain([i64::MAX]) {
        let from = to.saturating_add(-window).max(first);
        for part in run.parts(TimeRange::new(from, to))?.iter().rev() {
            if let Some(found) = of(part)? {
                return Ok(Some(found));
            }
        }
        if from == first {
            break;
        }
    }
    Ok(None)
}

/// The first sample of `run` at or after `time`.
pub(super) fn first_from(run: &dyn Run, time: Timestamp) -> Result<Option<sample::Sample>, ReadError> {
    let (_, last) = run.span();
    if last < time {
        return Ok(None);
    }
    let end = last.saturating_add(1);
    for window in EDGE_WINDOWS_NS.into_iter().chain([i64::MAX]) {
        let to = time.saturating_add(window).min(end);
        let range = TimeRange::new(time, to);
        for part in run.parts(range)? {
            let till =
                if part.first.time >= time.0 { Timestamp(part.first.time).saturating_add(1) } else { end };
            let block = run.load(&part, TimeRange::new(time, till))?;
            let inside = block.indices(TimeRange::new(time, end));
            if !inside.is_empty() {
                return Ok(Some(block.get(inside.start)));
            }
        }
        if to == end {
            break;
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
