//! What a running engine holds of a channel beside the live tables.

use crate::identity::ArchiveId;
use crate::read::{Archive, FirstSample, ReadError, Run};
use crate::shared::Shared;
use crate::slot::{Slot, SlotState};
use crate::view::View;
use sample::{ChannelId, ChannelName, Event, Metadata, TimeRange, Timestamp};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// One channel as memory knew it at one moment, with the live files that lack exactly this.
pub struct Tail {
    /// The archive.
    pub archive: ArchiveId,
    /// Generation of the manifest whose tables hold everything else. A later manifest's tables hold some of
    /// it again: by (time, rank) it is the same.
    pub generation: u64,
    /// The channel's id.
    pub channel: ChannelId,
    /// Its stored name.
    pub name: ChannelName,
    /// Samples.
    pub runs: Vec<Arc<dyn Run>>,
    /// The channel's events, runs of drops that still go on included (their sequence is the greatest).
    pub events: Vec<Event>,
    /// The archive's own events.
    pub archive_events: Vec<Event>,
    /// Changes of metadata, by time.
    pub metadata: Vec<(Timestamp, Arc<Metadata>)>,
    /// The channel's first sample in order of receipt, if it ever had one.
    pub first_sample: Option<FirstSample>,
    /// Up to here the engine knows what happened.
    pub knowledge_ends: Timestamp,
    /// Everything received at or before this survives a crash.
    pub durable_until: Timestamp,
    /// Whether an engine writes.
    pub running: bool,
}

/// An archive whose engine can be asked for a channel's tail: another process's, or this one's.
pub trait TailSource: Archive {
    /// What memory holds of a channel by its stored name, or of it what matters for `range`, the last sample
    /// before and the first sample after it; `None` when unknown.
    ///
    /// # Errors
    /// [`ReadError::Unavailable`] when the engine does not answer.
    fn tail(&self, name: &ChannelName, range: TimeRange) -> Result<Option<Tail>, ReadError>;
}

impl Tail {
    /// The tail of `slot` with the live files that it belongs to.
    pub(crate) fn of(shared: &Shared, slot: &Slot) -> (Arc<View>, Tail) {
        // I2: memory is copied while the view is held still; files are read afterwards.
        let guard = shared.view_guard();
        let view = guard.clone();
        let archive_events = match shared.directory().slot(ChannelId::ARCHIVE) {
            Some(own) => events(&own.lock(), view.flushed_epoch),
            None => Vec::new(),
        };
        let state = slot.lock();
        let data = || state.epochs().filter(|data| data.epoch > view.flushed_epoch);
        let tail = Tail {
            archive: shared.identity.id,
            generation: view.manifest.generation,
            channel: slot.id,
            name: state.name.clone(),
            runs: data().flat_map(|data| data.runs()).collect(),
            events: events(&state, view.flushed_epoch),
            archive_events,
            metadata: data().flat_map(|data| data.metadata().iter().cloned()).collect(),
            first_sample: state.first_sample,
            knowledge_ends: shared.knowledge_ends(),
            durable_until: shared.durable_until(),
            running: shared.running.load(Ordering::Relaxed),
        };
        drop(state);
        drop(guard);
        (view, tail)
    }
}

fn events(state: &SlotState, flushed_epoch: u64) -> Vec<Event> {
    let data = state.epochs().filter(|data| data.epoch > flushed_epoch);
    let mut events: Vec<Event> = data.flat_map(|data| data.events().iter().cloned()).collect();
    // Runs of drops that are still open, as the events that they will become.
    events.extend(state.dropping.iter().map(|run| run.event(u64::MAX)));
    events
}
