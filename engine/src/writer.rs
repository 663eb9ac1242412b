//! The only mutating handle of an archive: registers channels, appends samples and events in order of receipt.

use crate::limits::{
    BATCH_BYTES_MAX, DROP_LAST_BYTES_MAX, LATE_RANK_FIRST, SAMPLE_BYTES_MAX, SAMPLE_OVERHEAD_BYTES,
};
use crate::shared::Shared;
use crate::slot::{Archiving, Newest, Slot, SlotState};
use crate::wal::{BatchEncoder, Placement};
use sample::{ChannelId, ChannelName, DropCause, Event, EventKind, Metadata, Sample, Timestamp, Week};
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

/// Counts of one batch.
#[derive(Debug, Default)]
struct Counted {
    stored: u64,
    redelivered: u64,
    bytes: u64,
}

/// The writing end of an archive. One exists per archive; nothing here waits for the disk.
#[derive(Debug)]
pub struct Writer {
    shared: Arc<Shared>,
    slots: Vec<Option<Arc<Slot>>>,
    batch: BatchEncoder,
    /// Memtable bytes and log bytes waiting when the batch began.
    memory: usize,
    waiting: u64,
    /// Channels that may have open runs of drops.
    dropping: BTreeSet<ChannelId>,
    /// What the present batch adds to the counters of all channels.
    counted: Counted,
    /// Whether the gate was passed for the present batch.
    inside: bool,
    epoch: u64,
    grown: usize,
    now: Timestamp,
    /// Everything received up to here was committed.
    committed: Timestamp,
    /// Last log sequence that this writer appended.
    appended: u64,
}

impl Writer {
    /// A writer over a recovered archive; `epoch` is the first epoch behind the recovered ones.
    pub fn new(shared: Arc<Shared>, epoch: u64, appended: u64) -> Writer {
        let slots = shared.directory().slots.clone();
        let committed = shared.heard_until();
        let now = shared.clock.now().max(committed.saturating_add(1));
        Writer {
            shared,
            slots,
            batch: BatchEncoder::default(),
            inside: false,
            memory: 0,
            waiting: 0,
            dropping: BTreeSet::new(),
            counted: Counted::default(),
            epoch,
            grown: 0,
            now,
            committed,
            appended,
        }
    }

    /// The common state.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Says when what follows was received; returns that time as the archive counts it: it never runs
    /// back and lies behind every commit, so that the durable time tells the truth about a clock that steps.
    pub fn at(&mut self, received: Timestamp) -> Timestamp {
        if !std::mem::replace(&mut self.inside, true) {
            self.shared.gate.enter();
            self.memory = self.shared.memory.load(Ordering::Relaxed);
            self.waiting = self.shared.log.waiting();
        }
        self.now = received.max(self.committed.saturating_add(1)).max(self.now);
        self.now
    }

    /// The id of a channel, registered now if it is not known (an alias gives its channel).
    pub fn register(&mut self, name: &ChannelName) -> ChannelId {
        let mut directory = self.shared.directory_mut();
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
        let record = ChannelRecord { time: self.now, change };
        let Some(slot) = self.slot(channel) else { return };
        self.batch.record(channel, &record);
        let mut state = slot.lock();
        if let ChannelChange::Retention(class) = &record.change {
            state.retention = class.clone().into();
        }
        self.grown += state.data_of(self.epoch).push_record(record);
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
        // Taken out and put back: a clone of the slot's handle would cost two atomic operations a sample.
        let slots = std::mem::take(&mut self.slots);
        let slot = usize::try_from(channel.0).ok().and_then(|i| slots.get(i)?.as_ref());
        let outcome = match slot {
            Some(slot) => self.append_to(slot, sample, first),
            None => Outcome::Dropped(DropCause::Memory),
        };
        self.slots = slots;
        outcome
    }

    fn append_to(&mut self, slot: &Slot, sample: &mut Sample, first: bool) -> Outcome {
        let mut state = slot.lock();
        state.ledger.received += 1;
        let placement = match self.place(&state, sample, first) {
            Ok(placement) => placement,
            Err(Outcome::Dropped(cause)) => {
                self.drop_sample(slot.id, &mut state, cause, sample);
                return Outcome::Dropped(cause);
            }
            Err(outcome) => {
                state.ledger.redelivered += 1;
                state.heard = Some(self.now);
                self.counted.redelivered += 1;
                return outcome;
            }
        };
        if !state.dropping.is_empty() {
            self.end_drops(slot.id, &mut state);
        }
        if self.batch.len() >= BATCH_BYTES_MAX {
            self.hand_over_part();
        }
        self.batch.sample(slot.id, placement, sample);
        let bytes = sample.value.byte_len() as u64;
        state.heard = Some(self.now);
        state.ledger.stored += 1;
        state.stored_bytes += bytes;
        self.counted.stored += 1;
        self.counted.bytes += bytes;
        let sequence = self.shared.sequence.load(Ordering::Relaxed);
        self.grown += insert(&mut state, self.epoch, placement, sample, sequence);
        slot.expect_row(&state);
        Outcome::Stored
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

    /// Decides where a sample goes and gives it its rank.
    fn place(&self, state: &SlotState, sample: &mut Sample, first: bool) -> Result<Placement, Outcome> {
        let newest = state.newest;
        if newest.is_some_and(|n| n.time == sample.time) && state.is_redelivery(sample) {
            return Err(Outcome::Redelivered);
        }
        if self.shared.refusing.load(Ordering::Relaxed) {
            return Err(Outcome::Dropped(DropCause::DiskFull));
        }
        let need = sample.value.byte_len() + SAMPLE_OVERHEAD_BYTES;
        if need > SAMPLE_BYTES_MAX {
            return Err(Outcome::Dropped(DropCause::Memory));
        }
        let memory = self.memory + self.grown + need;
        let waiting = self.waiting + (self.batch.len() + need) as u64;
        if memory > self.shared.settings.memtable_bytes.saturating_mul(2) || waiting > self.shared.log.limit()
        {
            return Err(Outcome::Dropped(DropCause::Memory));
        }
        let old_first = first && sample.time < Week::containing(self.now).start();
        match newest {
            Some(newest) if sample.time < newest.time => {
                if self.now.since(sample.time) > self.shared.settings.late_limit_ns {
                    return Err(Outcome::Dropped(DropCause::Late));
                }
                sample.rank = LATE_RANK_FIRST.saturating_add(state.late_next);
                Ok(Placement::Late)
            }
            Some(newest) if sample.time == newest.time => {
                sample.rank = newest.rank.saturating_add(1);
                Ok(if old_first { Placement::CarryIn } else { Placement::InOrder })
            }
            _ => {
                sample.rank = 0;
                Ok(if old_first { Placement::CarryIn } else { Placement::InOrder })
            }
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
        state.heard = Some(self.now);
        self.shared.counters.redelivered.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a sample that arrived and cannot be stored; it joins the channel's run of drops.
    pub fn append_dropped(&mut self, channel: ChannelId, cause: DropCause, sample: &Sample) {
        let Some(slot) = self.slot(channel) else { return };
        let mut state = slot.lock();
        state.ledger.received += 1;
        self.drop_sample(channel, &mut state, cause, sample);
    }

    /// Counts samples that were lost before they got here (a full ring), between two times of receipt.
    pub fn append_lost(&mut self, channel: ChannelId, cause: DropCause, count: u64, from: Timestamp) {
        let Some(slot) = self.slot(channel) else { return };
        let mut state = slot.lock();
        state.ledger.received += count;
        for _ in 0..count {
            self.shared.count_dropped(&mut state, cause);
        }
        let now = self.now;
        self.dropping.insert(channel);
        state.note_dropped(cause, count, (from, now), now, None);
    }

    fn drop_sample(&mut self, channel: ChannelId, state: &mut SlotState, cause: DropCause, sample: &Sample) {
        self.dropping.insert(channel);
        self.shared.count_dropped(state, cause);
        let time = self.dropped_at(state, cause, sample);
        let last = (sample.value.byte_len() <= DROP_LAST_BYTES_MAX).then(|| Box::new(sample.clone()));
        state.note_dropped(cause, 1, (time, time), self.now, last);
    }

    /// When a dropped sample's value is missing: what is stored up to the channel's newest sample is not
    /// put in doubt, and a stamp that was refused itself, or that is older than the present week, says
    /// nothing about it.
    fn dropped_at(&self, state: &SlotState, cause: DropCause, sample: &Sample) -> Timestamp {
        let refused = matches!(cause, DropCause::Future | DropCause::Late);
        if refused || sample.time < Week::containing(self.now).start() {
            return self.now;
        }
        state.newest.map_or(sample.time, |newest| sample.time.max(newest.time))
    }

    /// Records the channel's open runs of drops.
    fn end_drops(&mut self, channel: ChannelId, state: &mut SlotState) {
        for run in std::mem::take(&mut state.dropping) {
            let event = Event {
                time: run.from,
                sequence: self.shared.next_sequence(),
                kind: EventKind::Dropped { to: run.to, count: run.count, cause: run.cause, last: run.last },
            };
            self.keep_event(channel, state, event);
        }
    }

    fn keep_event(&mut self, channel: ChannelId, state: &mut SlotState, event: Event) {
        self.batch.event(channel, &event);
        self.grown += state.data_of(self.epoch).push_event(event);
    }

    /// Records an event of a channel at `time`.
    pub fn event(&mut self, channel: ChannelId, time: Timestamp, kind: EventKind) {
        let Some(slot) = self.slot(channel) else { return };
        let mut state = slot.lock();
        if matches!(kind, EventKind::Disconnected { .. }) {
            self.shared.counters.disconnects.fetch_add(1, Ordering::Relaxed);
        }
        apply_event(&mut state, time, &kind);
        let event = Event { time, sequence: self.shared.next_sequence(), kind };
        self.keep_event(channel, &mut state, event);
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
        self.batch.metadata(channel, time, &metadata);
        let metadata = Arc::new(metadata);
        state.metadata = Some((time, metadata.clone()));
        self.grown += state.data_of(self.epoch).push_metadata(time, metadata);
    }

    /// Looks at every channel's counts, for rates; due about twice a minute.
    pub fn look_at_rates(&self) {
        for slot in self.slots.iter().flatten() {
            let mut state = slot.lock();
            let (samples, bytes) = (state.ledger.stored, state.stored_bytes);
            state.rates.look(self.now, samples, bytes);
        }
    }

    /// Notes that the engine is alive; due at least every 500 ms.
    pub fn heartbeat(&mut self) {
        self.batch.heartbeat(self.now);
    }

    /// Records runs of drops that have been quiet for `quiet_ns` (0: all), unless the file system is full.
    pub fn record_quiet_drops(&mut self, quiet_ns: i64) {
        if self.shared.refusing.load(Ordering::Relaxed) {
            return;
        }
        for channel in std::mem::take(&mut self.dropping) {
            let Some(slot) = self.slot(channel) else { continue };
            let mut state = slot.lock();
            if state.dropping.iter().any(|run| self.now.since(run.noticed) >= quiet_ns) {
                self.end_drops(channel, &mut state);
            }
            if !state.dropping.is_empty() {
                self.dropping.insert(channel);
            }
        }
    }

    /// Ends a batch: hands its entries to the log. Should the log have no room (nothing but events and
    /// heartbeats can meet that), they wait for the next commit. Returns the last log sequence.
    pub fn commit(&mut self) -> u64 {
        self.commit_until(self.now)
    }

    /// As [`Writer::commit`], where only what was received up to `received` is known to be in this batch or
    /// earlier ones: what a source got since then may still wait inside it (I5).
    pub fn commit_until(&mut self, received: Timestamp) -> u64 {
        let mark = received.min(self.now).max(self.committed);
        self.shared.memory.fetch_add(std::mem::take(&mut self.grown), Ordering::Relaxed);
        let counted = std::mem::take(&mut self.counted);
        self.shared.counters.stored.fetch_add(counted.stored, Ordering::Relaxed);
        self.shared.counters.redelivered.fetch_add(counted.redelivered, Ordering::Relaxed);
        self.shared.counters.bytes.fetch_add(counted.bytes, Ordering::Relaxed);
        self.hand_over(mark);
        if std::mem::replace(&mut self.inside, false) {
            self.shared.gate.leave();
        }
        self.appended
    }

    /// Hands over what there is before the batch ends: records stay small. The receive time stays behind.
    fn hand_over_part(&mut self) {
        if let Ok(sequence) = self.shared.log.append(self.batch.bytes(), self.committed) {
            self.appended = sequence;
            self.batch.clear();
        }
    }

    fn hand_over(&mut self, mark: Timestamp) {
        if self.batch.is_empty() {
            self.shared.log.mark(mark);
        } else if let Ok(sequence) = self.shared.log.append(self.batch.bytes(), mark) {
            self.appended = sequence;
            self.batch.clear();
        } else {
            return;
        }
        self.committed = mark;
        self.shared.set_heard_until(mark);
    }

    /// Closes the current epoch between two batches; a flush of the result writes everything before it.
    /// `None` while entries of that epoch could not be handed to the log.
    pub fn freeze(&mut self) -> Option<Frozen> {
        if !self.batch.is_empty() {
            return None;
        }
        let frozen = Frozen { epoch: self.epoch, through: self.appended, at: self.committed };
        self.epoch += 1;
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
