//! Progress of a merge in one run.

use crate::read::{Order, Part, Piece, Position, ReadError, Run, Scan, with_parts};
use sample::{SampleBlock, TimeRange, Timestamp};
use std::collections::VecDeque;
use std::sync::Arc;

/// Samples `lo..hi` of a loaded block that were not delivered yet.
pub(super) struct Loaded {
    pub(super) block: SampleBlock,
    pub(super) lo: usize,
    pub(super) hi: usize,
}

impl Loaded {
    /// Where sample `i` of the block lies.
    pub(super) fn position(&self, i: usize) -> Position {
        let (time, rank) = self.block.position(i);
        Position { time, rank }
    }
}

/// A part that was not loaded yet.
pub(super) enum Coming {
    /// As its run named it.
    Named(Part),
    /// What came of looking into one.
    Piece(Piece),
}

impl Coming {
    pub(super) fn part(&self) -> &Part {
        match self {
            Coming::Named(part) => part,
            Coming::Piece(piece) => piece.part(),
        }
    }
}

/// Progress in one run.
pub(super) struct Cursor {
    pub(super) run: Arc<dyn Run>,
    /// Nothing that it delivers lies before this, in the order of the scan.
    pub(super) begin: Position,
    /// Parts not loaded yet; `None` until the merge reaches the run.
    pub(super) parts: Option<VecDeque<Coming>>,
    /// How many of them, the next ones, are looked ahead to.
    pub(super) announced: usize,
    /// Apart: of many runs one or two are loaded at a time.
    pub(super) loaded: Option<Box<Loaded>>,
    /// One of the parts that were listed.
    listed: Option<Part>,
}

/// A scan over years holds one for each of a hundred runs and more, for as long as its client takes.
const _: () = assert!(size_of::<Cursor>() <= 192);

impl Drop for Cursor {
    fn drop(&mut self) {
        if let Some(part) = &self.listed {
            self.run.forget(part);
        }
    }
}

impl Cursor {
    /// Nothing is read yet.
    pub(super) fn new(run: &Arc<dyn Run>, scan: &Scan) -> Cursor {
        let (first, last) = run.span();
        let begin =
            inside(Position { time: first.0, rank: 0 }, Position { time: last.0, rank: u32::MAX }, scan);
        Cursor { run: run.clone(), begin, parts: None, announced: 0, loaded: None, listed: None }
    }

    pub(super) fn list(&mut self, range: TimeRange) -> Result<(), ReadError> {
        let parts = self.run.parts(range)?;
        self.listed = parts.first().copied();
        self.parts = Some(parts.into_iter().map(Coming::Named).collect());
        Ok(())
    }

    /// The part that comes after `ahead` others, where the parts are known.
    pub(super) fn part(&self, ahead: usize, order: Order) -> Option<&Part> {
        let parts = self.parts.as_ref()?;
        let at = match order {
            Order::Ascending => ahead,
            Order::Descending => parts.len().checked_sub(ahead + 1)?,
        };
        parts.get(at).map(Coming::part)
    }

    /// Whether its run has a sample at `time`.
    pub(super) fn has_samples_at(&self, time: Timestamp) -> Result<bool, ReadError> {
        let instant = TimeRange::new(time, time.saturating_add(1));
        let (first, last) = self.run.span();
        if !instant.touches(first, last) {
            return Ok(false);
        }
        with_parts(&*self.run, instant, |parts| {
            let any = |part: &Part| {
                let ends = part.first.time == time.0 || part.last.time == time.0;
                Ok(ends || !self.run.load(part, instant)?.is_empty())
            };
            parts.iter().map(any).find(|any| !matches!(any, Ok(false))).unwrap_or(Ok(false))
        })
    }

    /// The earliest position (in scan order) that it may still deliver, and whether it is exact.
    pub(super) fn head(&self, scan: &Scan) -> Option<(Position, bool)> {
        if let Some(loaded) = &self.loaded {
            let i = if scan.order == Order::Ascending { loaded.lo } else { loaded.hi - 1 };
            return Some((loaded.position(i), true));
        }
        Some((self.coming(0, scan)?, false))
    }

    /// The earliest position (in scan order) that it may deliver from what was not loaded, `ahead` parts left out.
    pub(super) fn coming(&self, ahead: usize, scan: &Scan) -> Option<Position> {
        if self.parts.is_none() {
            return Some(self.begin);
        }
        let part = self.part(ahead, scan.order)?;
        Some(inside(part.first, part.last, scan))
    }
}

/// Where in the range of a scan comes first what lies between `first` and `last`, in the order of the scan.
fn inside(first: Position, last: Position, scan: &Scan) -> Position {
    match scan.order {
        Order::Ascending => first.max(Position { time: scan.range.from.0, rank: 0 }),
        Order::Descending => last.min(Position { time: scan.range.to.0.saturating_sub(1), rank: u32::MAX }),
    }
}

/// Whether all of `part` was delivered when `last` was.
pub(super) fn is_behind(part: &Part, last: Option<Position>, ascending: bool) -> bool {
    last.is_some_and(|last| if ascending { part.last <= last } else { part.first >= last })
}

/// The part of `range` for which `part` is to be loaded, where only samples `within` stretches are asked for.
pub(super) fn wanted_of(part: &Part, range: TimeRange, within: Option<&[TimeRange]>) -> Option<TimeRange> {
    let Some(stretches) = within else { return Some(range) };
    let from = stretches.partition_point(|stretch| stretch.to.0 <= part.first.time);
    let to = stretches.partition_point(|stretch| stretch.from.0 <= part.last.time);
    let touching = stretches.get(from..to)?;
    let (first, last) = touching.first().zip(touching.last())?;
    let wanted = TimeRange::new(range.from.max(first.from), range.to.min(last.to));
    (wanted.from < wanted.to).then_some(wanted)
}
