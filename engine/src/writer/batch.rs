//! The batch that a writer makes: what becomes of each sample.

use super::{Outcome, insert};
use crate::limits::{
    BATCH_BYTES_MAX, DROP_LAST_BYTES_MAX, LATE_RANK_FIRST, SAMPLE_BYTES_MAX, SAMPLE_OVERHEAD_BYTES,
};
use crate::shared::Shared;
use crate::slot::{Slot, SlotState};
use crate::wal::{BatchEncoder, Placement};
use sample::{ChannelId, DropCause, Event, Sample, Timestamp, Week};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Counts of one batch.
#[derive(Debug, Default)]
pub(super) struct Counted {
    pub(super) stored: u64,
    pub(super) redelivered: u64,
    pub(super) bytes: u64,
}

/// A batch, and what the next ones go on from.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) shared: Arc<Shared>,
    /// What goes to the log.
    pub(super) entries: BatchEncoder,
    /// Memtable bytes and log bytes waiting when the batch began.
    pub(super) memory: usize,
    pub(super) waiting: u64,
    /// Channels that may have open runs of drops.
    pub(super) dropping: BTreeSet<ChannelId>,
    /// When those were logged.
    pub(super) drops_logged: Timestamp,
    /// What it adds to the counters of all channels.
    pub(super) counted: Counted,
    pub(super) epoch: u64,
    pub(super) grown: usize,
    pub(super) now: Timestamp,
    /// Everything received up to here was committed.
    pub(super) committed: Timestamp,
    /// Last log sequence that was appended.
    pub(super) appended: u64,
}

impl Batch {
    /// Decides what becomes of a sample; one that is stored gets its rank and goes to log and memtable.
    pub(super) fn append_to(&mut self, slot: &Slot, sample: &mut Sample, first: bool) -> Outcome {
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
        if self.entries.len() >= BATCH_BYTES_MAX {
            self.hand_over_part();
        }
        self.entries.sample(slot.id, placement, sample);
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
        let waiting = self.waiting + (self.entries.len() + need) as u64;
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

    /// Counts a sample that cannot be stored.
    pub(super) fn drop_sample(
        &mut self,
        channel: ChannelId,
        state: &mut SlotState,
        cause: DropCause,
        sample: &Sample,
    ) {
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
    pub(super) fn end_drops(&mut self, channel: ChannelId, state: &mut SlotState) {
        for run in std::mem::take(&mut state.dropping) {
            let sequence = run.sequence.unwrap_or_else(|| self.shared.next_sequence());
            self.keep_event(channel, state, run.event(sequence));
        }
    }

    /// Logs what is new of the channel's open runs of drops: after a kill nobody else knows of them.
    pub(super) fn log_drops(&mut self, channel: ChannelId, state: &mut SlotState) {
        for run in state.dropping.iter_mut().filter(|run| run.logged < run.count) {
            run.logged = run.count;
            let sequence = *run.sequence.get_or_insert_with(|| self.shared.next_sequence());
            self.log_event(channel, &run.event(sequence));
        }
    }

    /// An event goes to log and memtable.
    pub(super) fn keep_event(&mut self, channel: ChannelId, state: &mut SlotState, event: Event) {
        self.log_event(channel, &event);
        self.grown += state.data_of(self.epoch).push_event(event);
    }

    fn log_event(&mut self, channel: ChannelId, event: &Event) {
        if self.entries.len() >= BATCH_BYTES_MAX {
            self.hand_over_part();
        }
        self.entries.event(channel, event);
    }

    /// Hands over what there is before the batch ends: records stay small. The receive time stays behind.
    fn hand_over_part(&mut self) {
        if let Ok(sequence) = self.shared.log.append(self.entries.bytes(), self.committed) {
            self.appended = sequence;
            self.entries.clear();
        }
    }

    /// Hands over what there is: all that was received up to `mark` is in it or was handed over before.
    pub(super) fn hand_over(&mut self, mark: Timestamp) {
        if self.entries.is_empty() {
            self.shared.log.mark(mark);
        } else if let Ok(sequence) = self.shared.log.append(self.entries.bytes(), mark) {
            self.appended = sequence;
            self.entries.clear();
        } else {
            return;
        }
        self.committed = mark;
        self.shared.set_heard_until(mark);
    }
}
