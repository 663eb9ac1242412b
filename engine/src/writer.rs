//! The only mutating handle of an archive: registers channels, appends samples and events in order of receipt.

mod batch;

use crate::limits::{DROPS_LOGGED_NS, LATE_RANK_FIRST};
use crate::shared::Shared;
use crate::slot::{Archiving, Newest, Slot, SlotState};
use crate::wal::{BatchEncoder, Placement};
use batch::{Batch, Counted};
use sample::{ChannelId, ChannelName, DropCause, Event, EventKind, Metadata, Sample, Timestamp};
use sstable::{ChannelChange, ChannelRecord};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What became of a sample.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Stored.
    Stored,
    /// Equal to the newest stored one; counted.
    Redelivered,
    /// Dropped and counted.
    Dropped(DropCause),
}

/// Everything up to here was frozen: what a flush writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frozen {
    /// Last frozen epoch.
    pub epoch: u64,
    /// Last log sequence whose entries are in frozen epochs.
    pub through: u64,
    /// When it was frozen: whatever happens later has a later time of receipt.
    pub at: Timestamp,
}

/// The writing end of an archive. One exists per archive; nothing here waits for the disk.
#[derive(Debug)]
pub struct Writer {
    /// Apart from the batch, so that both can be worked with at once: a clone of a slot's handle costs two
    /// atomic operations.
    slots: Vec<Option<Arc<Slot>>>,
    batch: Batch,
    /// Whether the gate was passed for the present batch.
    inside: bool,
}

impl Writer {
    /// A writer over a recovered archive; `epoch` is the first epoch behind the recovered ones.
    pub fn new(shared: Arc<Shared>, epoch: u64, appended: u64) -> Writer {
        let slots = shared.directory().slots.clone();
        let committed = shared.heard_until();
        let now = shared.clock.now().max(committed.saturating_add(1));
        let batch = Batch {
            shared,
            entries: BatchEncoder::default(),
            memory: 0,
            waiting: 0,
            dropping: BTreeSet::new(),
            drops_logged: now,
            counted: Counted::default(),
            epoch,
            grown: 0,
            now,
            committed,
            appended,
        };
        Writer { slots, batch, inside: false }
    }

    /// The common state.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.batch.shared
    }

    /// Says when what follows was received; returns that time as the archive counts it: it never runs
    /// back and lies behind every commit, so that the durable time tells the truth about a clock that steps.
    pub fn at(&mut self, received: Timestamp) -> Timestamp {
        if !std::mem::replace(&mut self.inside, true) {
            self.batch.shared.gate.enter();
            self.batch.memory = self.batch.shared.memory.load(Ordering::Relaxed);
            self.batch.waiting = self.batch.shared.log.waiting();
        }
        self.batch.now = received.max(self.batch.committed.saturating_add(1)).max(self.batch.now);
        self.batch.now
    }

    /// The id of a channel, registered now if it is not known (an alias gives its channel).
    pub fn register(&mut self, name: &ChannelName) -> ChannelId {
        let mut directory = self.batch.shared.directory_mut();
        if let Some(named) = directory.names.get(name.as_str()) {
            return named.id;
        }
        let id = ChannelId(directory.slots.len().max(1) as u64);
        let slot = Arc::new(Slot::new(id, name.clone()));
        directory.enter(&slot, name.clone());
        drop(directory);
        self.slots.resize(usize::try_from(id.0).unwrap_or(0), None);
        self.slots.push(Some(slot));
        self.record(id, ChannelChange::Named(name.clone()));
        id
    }

    /// Writes down a change of names, class or settings.
    pub fn record(&mut self, channel: ChannelId, change: ChannelChange) {
        let record = ChannelRecord { time: self.batch.now, change };
        let Some(slot) = self.slot(channel) else { return };
        self.batch.entries.record(channel, &record);
        let mut state = slot.lock();
        if let ChannelChange::Retention(class) = &record.change {
            state.retention = class.clone().into();
        }
        self.batch.grown += state.data_of(self.batch.epoch).push_record(record);
    }

    /// The slot of a registered channel.
    pub fn slot(&self, channel: ChannelId) -> Option<Arc<Slot>> {
        self.slots.get(usize::try_from(channel.0).ok()?)?.clone()
    }

    /// Appends a sample that arrived now. `first` says that it is the first since a connect.
    /// The sample's rank is assigned here.
    pub fn append(&mut self, channel: ChannelId, mut sample: Sample, first: bool) -> Outcome {
        self.append_in_place(channel, &mut sample, first)
    }

    /// As [`Writer::append`]; the sample stays with the caller, with its rank.
    pub fn append_in_place(&mut self, channel: ChannelId, sample: &mut Sample, first: bool) -> Outcome {
        let slot = usize::try_from(channel.0).ok().and_then(|i| self.slots.get(i)?.as_ref());
        match slot {
            Some(slot) => self.batch.append_to(slot, sample, first),
            None => Outcome::Dropped(DropCause::Memory),
        }
    }

    /// A sample of `channel` comes soon, one of `sooner` sooner: asks for the memory that they touch.
    pub fn expect(&self, channel: ChannelId, sooner: ChannelId) {
        let slot = |channel: ChannelId| self.slots.get(usize::try_from(channel.0).ok()?)?.as_deref();
        if let Some(slot) = slot(channel) {
            slot.prefetch();
        }
        if let Some(slot) = slot(sooner) {
            slot.prefetch_row();
        }
    }

    /// Whether a sample, its time apart, is what the channel's newest one said.
    pub fn is_newest_reading(&self, channel: ChannelId, sample: &Sample) -> bool {
        let Some(slot) = self.slot(channel) else { return false };
        let state = slot.lock();
        let newest = state.newest;
        newest.is_some_and(|newest| state.is_redelivery(&Sample { time: newest.time, ..sample.clone() }))
    }

    /// Counts a sample that arrived and is stored already.
    pub fn append_redelivered(&mut self, channel: ChannelId) {
        let Some(slot) = self.slot(channel) else { return };
        let mut state = slot.lock();
        state.ledger.received += 1;
        state.ledger.redelivered += 1;
        state.heard = Some(self.batch.now);
        self.batch.shared.counters.redelivered.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a sample that arrived and cannot be stored; it joins the channel's run of drops.
    pub fn append_dropped(&mut self, channel: ChannelId, cause: DropCause, sample: &Sample) {
        let Some(slot) = self.slot(channel) else { return };
        let mut state = slot.lock();
        state.ledger.received += 1;
        self.batch.drop_sample(channel, &mut state, cause, sample);
    }

    /// Counts samples that were lost before they got here (a full ring), between two times of receipt.
    pub fn append_lost(&mut self, channel: ChannelId, cause: DropCause, count: u64, from: Timestamp) {
        let Some(slot) = self.slot(channel) else { return };
        let mut state = slot.lock();
        state.ledger.received += count;
        for _ in 0..count {
            self.batch.shared.count_dropped(&mut state, cause);
        }
        let now = self.batch.now;
        self.batch.dropping.insert(channel);
        state.note_dropped(cause, count, (from, now), now, None);
    }

    /// Records an event of a channel at `time`.
    pub fn event(&mut self, channel: ChannelId, time: Timestamp, kind: EventKind) {
        let Some(slot) = self.slot(channel) else { return };
        let mut state = slot.lock();
        if matches!(kind, EventKind::Disconnected { .. }) {
            self.batch.shared.counters.disconnects.fetch_add(1, Ordering::Relaxed);
        }
        apply_event(&mut state, time, &kind);
        let event = Event { time, sequence: self.batch.shared.next_sequence(), kind };
        self.batch.keep_event(channel, &mut state, event);
    }

    /// Records metadata that holds from `time` on, unless it is what holds already. A change holds from behind
    /// the one before it at the earliest: by its time each is told from the others.
    pub fn metadata(&mut self, channel: ChannelId, time: Timestamp, metadata: Metadata) {
        let Some(slot) = self.slot(channel) else { return };
        let mut state = slot.lock();
        let time = match &state.metadata {
            Some((_, known)) if known.same_bits(&metadata) => return,
            Some((since, _)) => time.max(Timestamp(since.0.saturating_add(1))),
            None => time,
        };
        state.enter_event_week(time);
        self.batch.entries.metadata(channel, time, &metadata);
        let metadata = Arc::new(metadata);
        state.metadata = Some((time, metadata.clone()));
        self.batch.grown += state.data_of(self.batch.epoch).push_metadata(time, metadata);
    }

    /// Looks at every channel's counts, for rates; due about twice a minute.
    pub fn look_at_rates(&self) {
        for slot in self.slots.iter().flatten() {
            let mut state = slot.lock();
            let (samples, bytes) = (state.ledger.stored, state.stored_bytes);
            state.rates.look(self.batch.now, samples, bytes);
        }
    }

    /// Notes that the engine is alive; due at least every 500 ms.
    pub fn heartbeat(&mut self) {
        self.batch.entries.heartbeat(self.batch.now);
    }

    /// Records runs of drops that have been quiet for `quiet_ns` (0: all), unless the file system is full. Of the others
    /// the log learns every [`DROPS_LOGGED_NS`], unless it does not keep up.
    pub fn record_quiet_drops(&mut self, quiet_ns: i64) {
        if self.batch.shared.refusing.load(Ordering::Relaxed) {
            return;
        }
        let due = self.batch.now.since(self.batch.drops_logged) >= DROPS_LOGGED_NS
            && self.batch.waiting <= self.batch.shared.log.limit() / 2;
        if due {
            self.batch.drops_logged = self.batch.now;
        }
        for channel in std::mem::take(&mut self.batch.dropping) {
            let Some(slot) = self.slot(channel) else { continue };
            let mut state = slot.lock();
            if state.dropping.iter().any(|run| self.batch.now.since(run.noticed) >= quiet_ns) {
                self.batch.end_drops(channel, &mut state);
            } else if due {
                self.batch.log_drops(channel, &mut state);
            }
            if !state.dropping.is_empty() {
                self.batch.dropping.insert(channel);
            }
        }
    }

    /// Ends a batch: hands its entries to the log. Should the log have no room (nothing but events and
    /// heartbeats can meet that), they wait for the next commit. Returns the last log sequence.
    pub fn commit(&mut self) -> u64 {
        self.commit_until(self.batch.now)
    }

    /// As [`Writer::commit`], where only what was received up to `received` is known to be in this batch or
    /// earlier ones: what a source got since then may still wait inside it (I5).
    pub fn commit_until(&mut self, received: Timestamp) -> u64 {
        let mark = received.min(self.batch.now).max(self.batch.committed);
        self.batch.shared.memory.fetch_add(std::mem::take(&mut self.batch.grown), Ordering::Relaxed);
        let counted = std::mem::take(&mut self.batch.counted);
        self.batch.shared.counters.stored.fetch_add(counted.stored, Ordering::Relaxed);
        self.batch.shared.counters.redelivered.fetch_add(counted.redelivered, Ordering::Relaxed);
        self.batch.shared.counters.bytes.fetch_add(counted.bytes, Ordering::Relaxed);
        self.batch.hand_over(mark);
        if std::mem::replace(&mut self.inside, false) {
            self.batch.shared.gate.leave();
        }
        self.batch.appended
    }

    /// Closes the current epoch between two batches; a flush of the result writes everything before it.
    /// `None` while entries of that epoch could not be handed to the log.
    pub fn freeze(&mut self) -> Option<Frozen> {
        if !self.batch.entries.is_empty() {
            return None;
        }
        let frozen =
            Frozen { epoch: self.batch.epoch, through: self.batch.appended, at: self.batch.committed };
        self.batch.epoch += 1;
        Some(frozen)
    }
}

/// Puts a resolved sample into the memtable; also what replaying the log does. The next event gets
/// `sequence`. Returns the growth in bytes.
pub(crate) fn insert(
    state: &mut SlotState,
    epoch: u64,
    placement: Placement,
    sample: &Sample,
    sequence: u64,
) -> usize {
    state.note_stored(sample, sequence);
    if placement == Placement::Late {
        state.late_next = state.late_next.max(sample.rank.wrapping_sub(LATE_RANK_FIRST).saturating_add(1));
        return state.data_of(epoch).push_late(sample.clone());
    }
    state.enter_sample_week(sample.time);
    let newest = Newest { time: sample.time, rank: sample.rank, fingerprint: None };
    if state.newest.is_none_or(|n| (n.time, n.rank) < (newest.time, newest.rank)) {
        state.newest = Some(newest);
    }
    match placement {
        Placement::CarryIn => state.data_of(epoch).push_carried(sample.clone()),
        _ => state.data_of(epoch).push(sample),
    }
}

/// What an event does to the state of its channel.
pub(crate) fn apply_event(state: &mut SlotState, time: Timestamp, kind: &EventKind) {
    state.enter_event_week(time);
    match kind {
        EventKind::Connected { host } => {
            let host: Arc<str> = Arc::from(&**host);
            state.connection.last_host = Some(host.clone());
            state.connection.host = Some(host);
            state.connection.since = Some(time);
        }
        EventKind::Disconnected { last_heard } => {
            state.connection.last_heard = Some(*last_heard);
            state.connection.host = None;
            state.connection.since = Some(time);
        }
        EventKind::Started => state.archiving = (Archiving::Started, Some(time)),
        EventKind::Resumed => state.archiving.0 = Archiving::Started,
        EventKind::Paused => state.archiving.0 = Archiving::Paused,
        EventKind::Stopped | EventKind::Retired => state.archiving.0 = Archiving::Retired,
        EventKind::EngineDown { .. } | EventKind::Dropped { .. } | EventKind::TimeReplaced { .. } => {}
    }
}
