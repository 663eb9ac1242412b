//! Records on their way to the log, in memory.

use super::format::{KIND_BATCH, PAYLOAD_BYTES_MAX};
use super::frame;
use super::sync::Durable;
use sample::Timestamp;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Why a payload was not taken. Nothing was appended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BufferFull {
    /// The disk does not keep up: too many bytes wait. The same payload may fit later.
    Waiting {
        /// Bytes the record would take.
        wanted: u64,
        /// Bytes that wait.
        waiting: u64,
        /// The buffer's limit.
        limit: u64,
    },
    /// No record may be so large.
    TooLarge {
        /// Bytes of the payload.
        payload: u64,
        /// Most bytes of a payload.
        max: u64,
    },
}

impl fmt::Display for BufferFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BufferFull::Waiting { wanted, waiting, limit } => write!(
                f,
                "{waiting} bytes wait to be written to the log, {wanted} more would pass the limit of {limit}: \
                 the disk does not keep up"
            ),
            BufferFull::TooLarge { payload, max } => {
                write!(f, "a log record of {payload} bytes is too large, at most {max} are allowed")
            }
        }
    }
}

impl std::error::Error for BufferFull {}

#[derive(Debug)]
struct State {
    /// Records that no writer has taken, unsealed, end to end.
    records: Vec<u8>,
    /// Bytes of records that a writer has taken and not yet written.
    taken: u64,
    next_sequence: u64,
    /// All received up to here was appended.
    received: Timestamp,
    /// While records are repeated after a failed sync: the water mark that holds until all are.
    held: Option<Timestamp>,
}

impl State {
    fn water_mark(&self) -> Timestamp {
        self.held.unwrap_or(self.received)
    }
}

/// Takes payloads, numbers them and keeps them until a [`super::Writer`] has written them. Appending never
/// waits for the disk.
#[derive(Debug)]
pub struct Buffer {
    state: Mutex<State>,
    limit: u64,
}

impl Buffer {
    /// An empty buffer for at most `limit` bytes of records (one larger record passes when it is alone),
    /// whose first record gets `next_sequence`. All received up to `received` is in the log already.
    pub fn new(limit: u64, next_sequence: u64, received: Timestamp) -> Buffer {
        let state = State {
            records: Vec::new(),
            taken: 0,
            next_sequence: next_sequence.max(1),
            received,
            held: None,
        };
        Buffer { state: Mutex::new(state), limit }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends one record with a payload of [`super::BatchEncoder`]; returns its sequence. All that was
    /// received up to `received` must be in it or in earlier ones. A time before an earlier one counts as
    /// that one.
    ///
    /// # Errors
    /// [`BufferFull`]: nothing was appended and the water mark stays.
    pub fn append(&self, payload: &[u8], received: Timestamp) -> Result<u64, BufferFull> {
        if payload.len() > PAYLOAD_BYTES_MAX {
            let (payload, max) = (payload.len() as u64, PAYLOAD_BYTES_MAX as u64);
            return Err(BufferFull::TooLarge { payload, max });
        }
        let mut state = self.state();
        let wanted = frame::record_bytes(payload.len()) as u64;
        let waiting = state.records.len() as u64 + state.taken;
        if waiting > 0 && waiting + wanted > self.limit {
            return Err(BufferFull::Waiting { wanted, waiting, limit: self.limit });
        }
        state.received = state.received.max(received);
        let sequence = state.next_sequence;
        let water_mark = state.water_mark();
        frame::append(&mut state.records, KIND_BATCH, sequence, water_mark, payload);
        state.next_sequence += 1;
        Ok(sequence)
    }

    /// Says that all that was received up to `received` has been appended, without a record.
    pub fn mark(&self, received: Timestamp) {
        let mut state = self.state();
        state.received = state.received.max(received);
    }

    /// Says that all that [`super::Writer::restart`] asked to repeat has been appended: the water mark
    /// moves on again.
    pub fn finish_repeat(&self) {
        self.state().held = None;
    }

    /// Bytes that are not written yet.
    pub fn waiting(&self) -> u64 {
        let state = self.state();
        state.records.len() as u64 + state.taken
    }

    /// Most bytes that may wait.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// The sequence that the next record will get.
    pub fn next_sequence(&self) -> u64 {
        self.state().next_sequence
    }

    /// Moves all records behind those in `into`, which the caller took before; returns the water mark that
    /// is reached when all are written.
    pub(super) fn take(&self, into: &mut Vec<u8>) -> Timestamp {
        let mut state = self.state();
        state.taken += state.records.len() as u64;
        if into.is_empty() {
            std::mem::swap(&mut state.records, into);
        } else {
            into.append(&mut state.records);
        }
        state.water_mark()
    }

    /// Says that `bytes` of what was taken are written.
    pub(super) fn written(&self, bytes: u64) {
        let mut state = self.state();
        state.taken = state.taken.saturating_sub(bytes);
    }

    /// Forgets all records and holds the water mark at what is durable; returns the sequence at which the
    /// next life of the log begins.
    pub(super) fn restart(&self, durable: Durable) -> u64 {
        let mut state = self.state();
        state.records = Vec::new();
        state.taken = 0;
        state.held = Some(durable.received);
        state.next_sequence
    }
}
