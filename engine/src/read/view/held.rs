//! A view whose turn has not come.

use super::ChannelView;
use crate::read::snapshot::HeldSnapshot;
use crate::read::{Problem, Reader};
use sample::{ChannelName, TimeRange};
use std::sync::{Arc, Mutex};

/// One channel at one moment, without what can be made again of that: a few hundred bytes beside what memory holds of
/// the channel, its events and its metadata.
pub struct HeldView {
    name: ChannelName,
    snapshots: Vec<HeldSnapshot>,
    problems: Arc<Mutex<Vec<Problem>>>,
    reader: Reader,
    range: TimeRange,
}

impl HeldView {
    /// The view; nothing is read.
    pub fn open(self) -> ChannelView {
        let HeldView { name, snapshots, problems, reader, range } = self;
        let snapshots = snapshots.into_iter().map(HeldSnapshot::open).collect();
        ChannelView { name, snapshots, problems, reader, range }
    }
}

impl ChannelView {
    /// Holds the view until its turn comes.
    pub fn held(self) -> HeldView {
        let ChannelView { name, snapshots, problems, reader, range } = self;
        let snapshots = snapshots.into_iter().map(HeldSnapshot::from).collect();
        HeldView { name, snapshots, problems, reader, range }
    }

    /// The view of whom no sample behind its range is asked, and which will not be held: the tables of its moment that
    /// it does not need are let go of.
    pub fn bounded(mut self) -> ChannelView {
        self.snapshots.iter_mut().for_each(|snapshot| snapshot.tables = None);
        self
    }
}
