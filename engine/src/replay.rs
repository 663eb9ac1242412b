//! Loads what the log holds into the slots of an archive that is being opened.

use crate::limits::{CHANNELS_MAX, LATE_RANK_FIRST};
use crate::shared::Directory;
use crate::slot::{Slot, SlotState};
use crate::wal::{Entry, Placement};
use crate::writer::{apply_event, insert};
use sample::{ChannelId, Event, EventKind, Metadata, Sample, Timestamp};
use sstable::ChannelChange;
use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// The epoch of everything that came from the log.
pub(crate) const REPLAYED_EPOCH: u64 = 1;

/// How many entries are read ahead: the time of memory twice over.
const AHEAD_ENTRIES: usize = 16;
/// How many entries before a sample is loaded its row is asked for.
const ROW_ENTRIES: usize = 6;

/// Entries of the log on their way into slots. The log may hold entries twice, and older ones behind newer
/// ones, where it was repeated after a failed sync (I6); identity sorts that out.
#[derive(Debug)]
pub(crate) struct Loader<'a> {
    directory: &'a mut Directory,
    /// Entries that were read and not loaded yet, while the memory that they touch is on its way.
    ahead: VecDeque<Entry>,
    /// In-order samples that stood behind newer ones.
    misplaced: HashMap<ChannelId, Vec<(Placement, Sample)>>,
    events: Vec<(ChannelId, Event)>,
    /// Changes of metadata that were not applied yet.
    metadata: HashMap<ChannelId, VecDeque<(Timestamp, Arc<Metadata>)>>,
    /// Time of the last heartbeat.
    pub(crate) heartbeat: Timestamp,
    /// Highest order-of-receipt number.
    pub(crate) sequence: u64,
    /// Bytes that went into the memtable.
    pub(crate) memory: usize,
    /// Entries of channels that no record names: what the log lost around damage.
    pub(crate) nameless: u64,
}

impl<'a> Loader<'a> {
    /// Into the slots of `directory`; tables hold events up to `sequence`.
    pub(crate) fn new(directory: &'a mut Directory, sequence: u64) -> Loader<'a> {
        Loader {
            directory,
            ahead: VecDeque::with_capacity(AHEAD_ENTRIES + 1),
            misplaced: HashMap::new(),
            events: Vec::new(),
            metadata: HashMap::new(),
            heartbeat: Timestamp::MIN,
            sequence,
            memory: 0,
            nameless: 0,
        }
    }

    /// Takes one entry; it is loaded some entries later, or by [`Loader::finish`].
    pub(crate) fn load(&mut self, entry: Entry) {
        if let Some(slot) = self.slot_of(&entry) {
            slot.prefetch();
        }
        self.ahead.push_back(entry);
        if let Some(slot) = self.ahead.get(ROW_ENTRIES).and_then(|entry| self.slot_of(entry)) {
            slot.prefetch_row();
        }
        if self.ahead.len() > AHEAD_ENTRIES
            && let Some(entry) = self.ahead.pop_front()
        {
            self.load_now(entry);
        }
    }

    /// Where a sample goes.
    fn slot_of(&self, entry: &Entry) -> Option<&Slot> {
        match entry {
            Entry::Sample { channel, .. } => self.directory.slot(*channel).map(|slot| &**slot),
            _ => None,
        }
    }

    fn load_now(&mut self, entry: Entry) {
        match entry {
            Entry::Heartbeat { time } => self.heartbeat = self.heartbeat.max(time),
            Entry::Channel { channel, record } => self.record(channel, record),
            Entry::Event { channel, event } => {
                self.sequence = self.sequence.max(event.sequence);
                self.events.push((channel, event));
            }
            Entry::Metadata { channel, time, metadata } => {
                let Some(slot) = self.slot(channel) else { return };
                let mut state = slot.lock();
                let data = state.data_of(REPLAYED_EPOCH);
                let twice = data.metadata().iter().any(|(t, known)| *t == time && known.same_bits(&metadata));
                if !twice {
                    self.memory += data.push_metadata(time, metadata.clone());
                    self.metadata.entry(channel).or_default().push_back((time, metadata));
                }
            }
            Entry::Sample { channel, placement, sample } => self.sample(channel, placement, sample),
        }
    }

    fn slot(&mut self, channel: ChannelId) -> Option<Arc<Slot>> {
        slot_or_nameless(self.directory, channel, &mut self.nameless).cloned()
    }

    fn record(&mut self, channel: ChannelId, record: sstable::ChannelRecord) {
        if let ChannelChange::Named(name) = &record.change
            && channel.0 < CHANNELS_MAX
            && self.directory.slot(channel).is_none()
        {
            let slot = Arc::new(Slot::new(channel, name.clone()));
            self.directory.enter(&slot, name.clone());
        }
        let Some(slot) = self.slot(channel) else { return };
        let mut state = slot.lock();
        if let ChannelChange::Retention(class) = &record.change {
            state.retention = class.clone().into();
        }
        let data = state.data_of(REPLAYED_EPOCH);
        if !data.records().contains(&record) {
            self.memory += data.push_record(record);
        }
    }

    fn sample(&mut self, channel: ChannelId, placement: Placement, sample: Sample) {
        // Not counted as held: that is two turns at a counter for each sample.
        let Some(slot) = slot_or_nameless(self.directory, channel, &mut self.nameless) else { return };
        let mut state = slot.lock();
        let position = (sample.time, sample.rank);
        match placement {
            Placement::Late => {
                // Ranks rise with arrival: only what was repeated can be there already.
                let repeated = sample.rank.wrapping_sub(LATE_RANK_FIRST) < state.late_next;
                let known = repeated && state.epochs().any(|data| data.holds_late(position));
                if known || sample.rank < LATE_RANK_FIRST {
                    return;
                }
            }
            Placement::InOrder | Placement::CarryIn => {
                if state.newest.is_some_and(|n| position <= (n.time, n.rank)) {
                    drop(state);
                    self.misplaced.entry(channel).or_default().push((placement, sample));
                    return;
                }
            }
        }
        self.memory += insert(&mut state, REPLAYED_EPOCH, placement, &sample, self.sequence + 1);
        slot.expect_row(&state);
    }

    /// Puts misplaced samples where they belong and applies events and metadata in order of receipt, so that
    /// what held when a week began is found again.
    pub(crate) fn finish(&mut self) {
        while let Some(entry) = self.ahead.pop_front() {
            self.load_now(entry);
        }
        for (channel, samples) in std::mem::take(&mut self.misplaced) {
            let Some(slot) = self.slot(channel) else { continue };
            let mut state = slot.lock();
            self.memory += state.data_of(REPLAYED_EPOCH).place(samples);
        }
        let mut events = std::mem::take(&mut self.events);
        // A run of drops was logged while it went on: the most that is told of it holds.
        let told = |event: &Event| match event.kind {
            EventKind::Dropped { count, .. } => count,
            _ => 0,
        };
        events.sort_by_key(|(_, event)| (event.sequence, Reverse(told(event))));
        events.dedup_by_key(|(_, event)| event.sequence);
        let mut metadata = std::mem::take(&mut self.metadata);
        for changes in metadata.values_mut() {
            changes.make_contiguous().sort_by_key(|(time, _)| *time);
        }
        for (channel, event) in events {
            if let EventKind::EngineDown { .. } = event.kind {
                for slot in self.directory.slots.iter().flatten() {
                    slot.lock().engine_down(event.time);
                }
            }
            let Some(slot) = self.slot(channel) else { continue };
            let mut state = slot.lock();
            if let Some(changes) = metadata.get_mut(&channel) {
                apply_metadata(&mut state, changes, event.time);
            }
            apply_event(&mut state, event.time, &event.kind);
            self.memory += state.data_of(REPLAYED_EPOCH).push_event(event);
        }
        for (channel, mut changes) in metadata {
            let Some(slot) = self.slot(channel) else { continue };
            apply_metadata(&mut slot.lock(), &mut changes, Timestamp::MAX);
        }
    }
}

/// The slot of a channel; where there is none that is counted.
fn slot_or_nameless<'d>(
    directory: &'d Directory,
    channel: ChannelId,
    nameless: &mut u64,
) -> Option<&'d Arc<Slot>> {
    let slot = directory.slot(channel);
    *nameless += u64::from(slot.is_none());
    slot
}

/// Applies the changes up to `until`.
fn apply_metadata(
    state: &mut SlotState,
    changes: &mut VecDeque<(Timestamp, Arc<Metadata>)>,
    until: Timestamp,
) {
    while let Some((time, metadata)) = changes.pop_front_if(|(time, _)| *time <= until) {
        state.enter_event_week(time);
        if state.metadata.as_ref().is_none_or(|(known, _)| *known <= time) {
            state.metadata = Some((time, metadata));
        }
    }
}
