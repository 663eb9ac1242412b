//! One channel's samples block by block, planned anew when files that were planned have gone.

use crate::fairness;
use crate::selection::Selection;
use crate::undecoded::{Lent, Undecoded};
use engine::read::{
    ChannelView, Enough, Facts, Order, Part, Position, REPLANS_MAX, ReadError, Reader, Samples, Scan, Scope,
    Step,
};
use sample::{SampleBlock, TimeRange};
use std::sync::Arc;

/// What comes next where chunks may be passed on undecoded.
pub(crate) enum Found {
    /// Samples.
    Samples(SampleBlock),
    /// A chunk, all of whose samples come next.
    Chunk(Undecoded),
}

/// Blocks in the order of the scan, ascending inside, none empty.
pub(crate) struct Blocks<'a> {
    reader: &'a Reader,
    view: Arc<ChannelView>,
    /// What the view is of.
    whole: TimeRange,
    scan: Scan,
    samples: Samples,
    /// What was delivered last, in the order of the scan.
    last: Option<Position>,
    replans: usize,
    /// Samples outside are left out.
    selection: Option<Selection>,
}

impl<'a> Blocks<'a> {
    /// Over `view`; nothing is read yet. `reader` is asked again when planned files have gone.
    pub(crate) fn new(reader: &'a Reader, view: impl Into<Arc<ChannelView>>, scan: Scan) -> Blocks<'a> {
        let view = view.into();
        let (samples, whole) = (view.samples(&scan), scan.range);
        Blocks { samples, reader, view, whole, scan, last: None, replans: 0, selection: None }
    }

    /// Only samples inside `selection`, if there is one; before anything is read.
    pub(crate) fn within(self, selection: Option<Selection>) -> Blocks<'a> {
        let samples = self.samples.within(selection.as_ref().map(Selection::shared));
        Blocks { samples, selection, ..self }
    }

    /// The samples of `scan`; what lies outside the selection is not loaded.
    fn scanned(&self, scan: &Scan) -> Samples {
        self.view.samples(scan).within(self.selection.as_ref().map(Selection::shared))
    }

    /// Whether samples are left out.
    pub(crate) fn is_selective(&self) -> bool {
        self.selection.is_some()
    }

    /// The view that is being read.
    pub(crate) fn view(&self) -> &Arc<ChannelView> {
        &self.view
    }

    /// Goes on with the samples of `range`, a part of the range that the view is of.
    pub(crate) fn go_to(&mut self, range: TimeRange) {
        self.scan = Scan { range, beyond: None, ..self.scan };
        self.last = None;
        self.samples = self.scanned(&self.scan);
    }

    /// The next block; `None` behind the last.
    pub(crate) fn next(&mut self) -> Result<Option<SampleBlock>, ReadError> {
        match self.step(None)? {
            Some(Step::Samples(block)) => Ok(Some(block)),
            Some(Step::Passed(..)) | None => Ok(None),
        }
    }

    /// The next block, or the next part of which `enough` is known without loading it, wherever that lies; `None`
    /// behind the last. After a plan made anew, parts passed since the last block come again.
    pub(crate) fn step(&mut self, mut enough: Option<&mut Enough<'_>>) -> Result<Option<Step>, ReadError> {
        fairness::pass_on();
        loop {
            match self.samples.step(enough.as_deref_mut()) {
                None => return Ok(None),
                Some(Ok(Step::Samples(block))) if block.is_empty() => {}
                Some(Ok(Step::Samples(block))) => {
                    self.replans = 0;
                    let behind = match self.scan.order {
                        Order::Ascending => block.position(block.len() - 1),
                        Order::Descending => block.position(0),
                    };
                    self.last = Some(Position { time: behind.0, rank: behind.1 });
                    let block = match &self.selection {
                        Some(selection) => selection.of_block(block),
                        None => block,
                    };
                    if !block.is_empty() {
                        return Ok(Some(Step::Samples(block)));
                    }
                }
                Some(Ok(passed @ Step::Passed(..))) => return Ok(Some(passed)),
                Some(Err(ReadError::Vanished(_))) if self.replans < REPLANS_MAX => self.plan_again()?,
                Some(Err(error)) => return Err(error),
            }
        }
    }

    /// The next block, or the next chunk that is `wanted` undecoded and can be had so; `None` behind the last.
    /// Ascending scans without a selection only.
    pub(crate) fn next_or_chunk(
        &mut self,
        lent: &Lent,
        wanted: &mut dyn FnMut(&ChannelView, &Part) -> bool,
    ) -> Result<Option<Found>, ReadError> {
        loop {
            let (view, range) = (self.view.clone(), self.scan.range);
            // Chunks are passed on one by one.
            let mut enough = |part: &Part, facts: &Facts| facts.scope == Scope::Chunk && wanted(&view, part);
            let passed = match self.step(Some(&mut enough))? {
                None => return Ok(None),
                Some(Step::Samples(block)) => return Ok(Some(Found::Samples(block))),
                Some(Step::Passed(passed)) => passed,
            };
            // It may have been passed before samples were told that come before it: it is asked for again.
            let still = wanted(&view, &passed.part);
            if let Some(chunk) = still.then(|| lent.undecoded(&passed)).flatten() {
                self.replans = 0;
                // The part only bounds its last position.
                let header = chunk.chunk.header();
                self.last = Some(Position { time: header.last.0, rank: header.last_rank });
                return Ok(Some(Found::Chunk(chunk)));
            }
            match passed.run.load(&passed.part, range) {
                Ok(block) if block.is_empty() => {}
                Ok(block) => {
                    let (time, rank) = block.position(block.len() - 1);
                    self.last = Some(Position { time, rank });
                    return Ok(Some(Found::Samples(block)));
                }
                Err(ReadError::Vanished(_)) if self.replans < REPLANS_MAX => self.plan_again()?,
                Err(error) => return Err(error),
            }
        }
    }

    fn plan_again(&mut self) -> Result<(), ReadError> {
        self.replans += 1;
        // What was looked at before is what has gone.
        let reader = self.reader.for_one_answer();
        let Some(view) = reader.view(self.view.name(), self.whole)? else { return Ok(()) };
        self.view = Arc::new(view);
        let beyond = self.last.or(self.scan.beyond);
        self.samples = self.scanned(&Scan { beyond, ..self.scan });
        Ok(())
    }
}
