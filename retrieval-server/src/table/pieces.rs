//! One channel's samples in time order, each reachable with its metadata while it is needed.

use crate::blocks::Blocks;
use crate::segments::{self, Segment};
use crate::transform::Transform;
use engine::read::{ChannelView, ReadError};
use std::collections::VecDeque;
use std::sync::Arc;

/// Samples `at` of a segment: shared, not copied.
pub(crate) type Row = (Arc<Segment>, usize);

/// The samples of one scan. Memory holds one block of them.
pub(crate) struct Pieces<'a> {
    blocks: Blocks<'a>,
    transform: Transform,
    waiting: VecDeque<Arc<Segment>>,
    /// First sample of the first piece that was not passed.
    at: usize,
    ended: bool,
    failure: Option<ReadError>,
}

impl<'a> Pieces<'a> {
    /// Of `blocks`, an ascending scan.
    pub(crate) fn new(blocks: Blocks<'a>, transform: Transform) -> Pieces<'a> {
        Pieces { blocks, transform, waiting: VecDeque::new(), at: 0, ended: false, failure: None }
    }

    /// The view that is being read.
    pub(crate) fn view(&self) -> &ChannelView {
        self.blocks.view()
    }

    /// Why there is nothing behind what was read; once.
    pub(crate) fn failure(&self) -> Option<&ReadError> {
        self.failure.as_ref()
    }

    /// The first sample that was not passed; `None` behind the last or where reading failed.
    pub(crate) fn next(&mut self) -> Option<Row> {
        while self.waiting.is_empty() && !self.ended {
            match self.blocks.next() {
                Ok(Some(block)) => {
                    let pieces = segments::cut(block, self.blocks.view().metadata(), &self.transform);
                    self.waiting = pieces.into_iter().map(Arc::new).collect();
                }
                Ok(None) => self.ended = true,
                Err(error) => {
                    self.ended = true;
                    self.failure = Some(error);
                }
            }
        }
        self.waiting.front().map(|piece| (piece.clone(), self.at))
    }

    /// Passes all samples up to `time`; the last of them.
    pub(crate) fn pass(&mut self, time: i64) -> Option<Row> {
        let mut last = None;
        while let Some((piece, at)) = self.next() {
            let times = &piece.block.time[at..];
            if times[0] > time {
                break;
            }
            let passed = times.partition_point(|t| *t <= time);
            self.at += passed;
            last = Some((piece.clone(), self.at - 1));
            if self.at == piece.block.len() {
                self.waiting.pop_front();
                self.at = 0;
            }
        }
        last
    }
}
