//! What the engine knows of one channel right now, with its part of the memtable.

use crate::limits::LAST_BYTES_MAX;
use crate::memtable::{ChannelData, push_first};
use crate::prefetch;
use crate::read::{FirstSample, Ledger};
use sample::{
    ChannelId, ChannelName, DropCause, Event, EventKind, Metadata, Sample, Timestamp, ValueType, Week,
};
use sstable::CarriedSample;
use std::mem::offset_of;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

/// One channel of a running (or opened) archive. The hint stands first, beside the state's first line.
#[derive(Debug)]
#[repr(C)]
pub struct Slot {
    /// Its id.
    pub id: ChannelId,
    /// Where the memtable's next row was expected to go: a hint for [`Slot::prefetch_row`], nothing more.
    row: AtomicUsize,
    state: Mutex<SlotState>,
}

/// Bytes at the front of a slot that every sample touches.
const HOT_BYTES: usize = offset_of!(Slot, state) + offset_of!(SlotState, frozen);

impl Slot {
    /// A channel that was just registered or recovered.
    pub fn new(id: ChannelId, name: ChannelName) -> Slot {
        Slot { id, row: AtomicUsize::new(0), state: Mutex::new(SlotState::new(name)) }
    }

    /// Asks for what the next sample touches, its row apart.
    pub fn prefetch(&self) {
        prefetch::span(std::ptr::from_ref(self).addr(), HOT_BYTES);
    }

    /// Asks for the line that the next row goes to.
    pub fn prefetch_row(&self) {
        prefetch::line(self.row.load(Ordering::Relaxed));
    }

    /// Notes where the next row goes.
    pub fn expect_row(&self, state: &SlotState) {
        self.row.store(state.active.next_row(), Ordering::Relaxed);
    }

    /// Its state; held for moments only, never over I/O.
    pub fn lock(&self) -> MutexGuard<'_, SlotState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The newest in-order sample of a channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Newest {
    /// Its stamp.
    pub time: Timestamp,
    /// Its rank.
    pub rank: u32,
    /// Its reading, to recognise a redelivery; `None` while the sample is in memory.
    pub fingerprint: Option<u64>,
}

/// Whether a channel is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Archiving {
    /// Registered, never started.
    #[default]
    Idle,
    /// Archived.
    Started,
    /// Paused by an operator.
    Paused,
    /// Left the configuration.
    Retired,
}

impl Archiving {
    /// As records on disk have it; nothing for a channel that was never started.
    pub fn as_record(self) -> Option<sstable::Archiving> {
        match self {
            Archiving::Idle => None,
            Archiving::Started => Some(sstable::Archiving::Started),
            Archiving::Paused => Some(sstable::Archiving::Paused),
            Archiving::Retired => Some(sstable::Archiving::Retired),
        }
    }

    /// From a record on disk.
    pub fn of_record(archiving: sstable::Archiving) -> Archiving {
        match archiving {
            sstable::Archiving::Started => Archiving::Started,
            sstable::Archiving::Paused => Archiving::Paused,
            sstable::Archiving::Stopped | sstable::Archiving::Retired => Archiving::Retired,
        }
    }
}

/// Connection of a channel.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Connection {
    /// `host:port` of the server while connected.
    pub host: Option<Arc<str>>,
    /// Since when it is so; `None` when never connected.
    pub since: Option<Timestamp>,
    /// Last message from the server before the connection was lost.
    pub last_heard: Option<Timestamp>,
    /// Server of the last connection.
    pub last_host: Option<Arc<str>>,
    /// Whether the server lets it be read.
    pub no_read_access: bool,
    /// A second server answers for the name: what the client library said.
    pub two_servers: Option<Arc<str>>,
    /// Refused for its size: elements on the server.
    pub refused_elements: Option<u64>,
}

/// What an event changes, as it was when a week began.
#[derive(Clone, Debug)]
pub struct BeforeWeek {
    /// Connection.
    pub connection: Connection,
    /// Whether it was asked for, and since when.
    pub archiving: (Archiving, Option<Timestamp>),
    /// Metadata in force.
    pub metadata: Option<(Timestamp, Arc<Metadata>)>,
}

impl BeforeWeek {
    /// As it is now.
    pub fn of(state: &SlotState) -> BeforeWeek {
        BeforeWeek {
            connection: state.connection.clone(),
            archiving: state.archiving,
            metadata: state.metadata.clone(),
        }
    }
}

/// Samples of one cause that are being dropped in a row.
#[derive(Clone, Debug)]
pub struct DropRun {
    /// Time of the first.
    pub from: Timestamp,
    /// Time of the last.
    pub to: Timestamp,
    /// How many.
    pub count: u64,
    /// Why.
    pub cause: DropCause,
    /// The last one, when small.
    pub last: Option<Box<Sample>>,
    /// When the last one was dropped by the engine's clock.
    pub noticed: Timestamp,
    /// Its place in the order of receipt, from when the log tells of it.
    pub sequence: Option<u64>,
    /// How many of them the log tells of.
    pub logged: u64,
}

impl DropRun {
    /// The event that tells of the run as far as it has come.
    pub fn event(&self, sequence: u64) -> Event {
        let (to, count, cause, last) = (self.to, self.count, self.cause, self.last.clone());
        Event { time: self.from, sequence, kind: EventKind::Dropped { to, count, cause, last } }
    }
}

/// State of one channel. What every sample touches stands first and together: with many channels taking
/// turns, cache lines are what ingestion costs.
#[derive(Debug)]
#[repr(C)]
pub struct SlotState {
    /// Newest in-order sample.
    pub newest: Option<Newest>,
    /// When the newest sample was received (the engine's clock), since the start.
    pub heard: Option<Timestamp>,
    /// End of the week of the newest in-order sample.
    sample_week_end: Timestamp,
    /// Value bytes stored since the start.
    pub stored_bytes: u64,
    /// Counts since the start.
    pub ledger: Ledger,
    /// Runs of drops that were not recorded yet, one a cause.
    pub dropping: Vec<DropRun>,
    /// Type of the newest sample.
    pub value_type: Option<ValueType>,
    /// Time of the oldest sample.
    pub oldest: Option<Timestamp>,
    /// The memtable data that grow.
    active: ChannelData,
    /// Memtable data of earlier epochs, until they are in live tables.
    frozen: Vec<ChannelData>,
    /// The first sample in order of receipt.
    pub first_sample: Option<FirstSample>,
    /// Counter behind the ranks of late samples.
    pub late_next: u32,
    /// Stored name.
    pub name: ChannelName,
    /// Retention class.
    pub retention: Arc<str>,
    /// `file:line` or `api:user`; empty when not configured.
    pub origin: Arc<str>,
    /// Samples in SSTables.
    pub flushed_samples: u64,
    /// Bytes in SSTables.
    pub flushed_bytes: u64,
    /// Whether it is asked for, and since when.
    pub archiving: (Archiving, Option<Timestamp>),
    /// Whether it was asked for as the live tables know it.
    pub flushed_archiving: (Archiving, Option<Timestamp>),
    /// Its connection.
    pub connection: Connection,
    /// Metadata in force.
    pub metadata: Option<(Timestamp, Arc<Metadata>)>,
    /// What was stored at the last two looks, for rates.
    pub rates: Rates,
    /// The last sample before the week that it entered last; `None` inside: it stands in files only.
    pub sample_before_week: Option<(Week, Option<CarriedSample>)>,
    /// End of the week of the newest event or change of metadata.
    event_week_end: Timestamp,
    /// Connection, archiving state and metadata before the week that events entered last.
    pub state_before_week: Option<(Week, Box<BeforeWeek>)>,
    /// The newest in-order sample, once its memtable data are let go.
    last: Option<Box<Sample>>,
}

/// Stored samples and bytes at two looks about a minute apart, for showing rates.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rates {
    /// Time, samples, bytes.
    looks: [(Timestamp, u64, u64); 2],
}

/// Time between two looks.
const LOOK_NS: i64 = 30_000_000_000;

impl Rates {
    /// Takes a look, if the last one is old enough.
    pub fn look(&mut self, now: Timestamp, samples: u64, bytes: u64) {
        if now.since(self.looks[1].0) >= LOOK_NS {
            self.looks = [self.looks[1], (now, samples, bytes)];
        }
    }

    /// Samples and bytes per second since the look before the last one.
    #[expect(clippy::cast_precision_loss, reason = "rates are shown, not counted")]
    pub fn per_second(&self, now: Timestamp, samples: u64, bytes: u64) -> (f64, f64) {
        let (then, before_samples, before_bytes) =
            if self.looks[0].0 == Timestamp(0) { self.looks[1] } else { self.looks[0] };
        let seconds = now.since(then) as f64 / 1e9;
        if then == Timestamp(0) || seconds <= 0.0 {
            return (0.0, 0.0);
        }
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds;
        (rate(samples, before_samples), rate(bytes, before_bytes))
    }
}

/// The retention class and origin that a channel begins with: one text for all.
static COMMON: LazyLock<(Arc<str>, Arc<str>)> = LazyLock::new(|| (Arc::from("default"), Arc::from("")));

impl SlotState {
    fn new(name: ChannelName) -> SlotState {
        SlotState {
            name,
            retention: COMMON.0.clone(),
            origin: COMMON.1.clone(),
            newest: None,
            heard: None,
            value_type: None,
            oldest: None,
            first_sample: None,
            late_next: 0,
            flushed_samples: 0,
            flushed_bytes: 0,
            archiving: (Archiving::Idle, None),
            flushed_archiving: (Archiving::Idle, None),
            connection: Connection::default(),
            metadata: None,
            ledger: Ledger::default(),
            dropping: Vec::new(),
            rates: Rates::default(),
            stored_bytes: 0,
            sample_week_end: Timestamp::MIN,
            sample_before_week: None,
            event_week_end: Timestamp::MIN,
            state_before_week: None,
            last: None,
            active: ChannelData::default(),
            frozen: Vec::new(),
        }
    }

    /// The newest in-order sample, unless it stands in files only.
    pub fn last_in_memory(&self) -> Option<Sample> {
        let newest = self.newest?;
        let in_data = self.active.last_in_order();
        let in_data = in_data.or_else(|| self.frozen.iter().rev().find_map(ChannelData::last_in_order));
        let found = in_data.or_else(|| self.last.as_deref().cloned())?;
        (found.time == newest.time && found.rank == newest.rank).then_some(found)
    }

    /// Before an in-order sample at `time` is stored: keeps the last one of the week that ends with it.
    pub fn enter_sample_week(&mut self, time: Timestamp) {
        if time < self.sample_week_end {
            return;
        }
        let week = Week::containing(time);
        if self.newest.is_some() {
            let last = self.last_in_memory();
            let carried = last.map(|s| CarriedSample::of(&s, Week::containing(s.time), false));
            self.sample_before_week = Some((week, carried));
        }
        self.sample_week_end = week.end();
    }

    /// Before an event or a change of metadata at `time`: keeps the state of the week that ends with it.
    pub fn enter_event_week(&mut self, time: Timestamp) {
        if time < self.event_week_end {
            return;
        }
        let week = Week::containing(time);
        let known =
            self.archiving.0 != Archiving::Idle || self.metadata.is_some() || self.connection.since.is_some();
        if self.event_week_end > Timestamp::MIN || known {
            self.state_before_week = Some((week, Box::new(BeforeWeek::of(self))));
        }
        self.event_week_end = week.end();
    }

    /// No engine ran from `alive` on: nothing is connected any more.
    pub fn engine_down(&mut self, alive: Timestamp) {
        self.enter_event_week(alive);
        self.connection.host = None;
    }

    /// Memtable data of all epochs, the oldest first.
    pub fn epochs(&self) -> impl Iterator<Item = &ChannelData> {
        self.frozen.iter().chain(std::iter::once(&self.active)).filter(|data| !data.is_empty())
    }

    /// Lets go of data of flushed epochs, keeping the newest sample if it is small.
    pub fn let_go(&mut self, flushed_epoch: u64) {
        if self.epochs().all(|data| data.epoch > flushed_epoch) {
            return;
        }
        let last = self.last_in_memory();
        if let (Some(last), Some(newest)) = (&last, &mut self.newest) {
            newest.fingerprint.get_or_insert_with(|| sstable::fingerprint(last));
        }
        self.last = last.filter(|s| s.value.byte_len() <= LAST_BYTES_MAX).map(Box::new);
        self.frozen.retain(|data| data.epoch > flushed_epoch);
        if self.active.epoch <= flushed_epoch {
            self.active = ChannelData::default();
        }
    }

    /// Whether `sample` tells what the newest sample told.
    pub fn is_redelivery(&self, sample: &Sample) -> bool {
        let Some(newest) = self.newest.filter(|newest| newest.time == sample.time) else { return false };
        match newest.fingerprint {
            Some(fingerprint) => fingerprint == sstable::fingerprint(sample),
            None => self.last_in_memory().is_some_and(|last| last.same_reading(sample)),
        }
    }

    /// Adds `count` drops between `from` and `to` to the run of their cause.
    pub fn note_dropped(
        &mut self,
        cause: DropCause,
        count: u64,
        span: (Timestamp, Timestamp),
        now: Timestamp,
        last: Option<Box<Sample>>,
    ) {
        // A run never crosses into another week: each partition tells of its own.
        let week = Week::containing(span.0);
        let joins = |run: &&mut DropRun| run.cause == cause && Week::containing(run.from) == week;
        if let Some(run) = self.dropping.iter_mut().find(joins) {
            run.to = run.to.max(span.1);
            run.count += count;
            run.last = last;
            run.noticed = now;
        } else {
            let (from, to) = span;
            let (sequence, logged) = (None, 0);
            self.dropping.push(DropRun { from, to, count, cause, last, noticed: now, sequence, logged });
        }
    }

    /// The data of `epoch`, begun if need be.
    pub fn data_of(&mut self, epoch: u64) -> &mut ChannelData {
        if self.active.epoch < epoch {
            let before = std::mem::replace(&mut self.active, ChannelData::new(epoch));
            if !before.is_empty() {
                push_first(&mut self.frozen, before);
            }
        }
        &mut self.active
    }

    /// Remembers that `sample` is stored; the next event gets `sequence`.
    pub fn note_stored(&mut self, sample: &Sample, sequence: u64) {
        self.value_type = Some(sample.value.value_type());
        if self.newest.is_some_and(|newest| newest.time <= sample.time) && self.oldest.is_some() {
            return;
        }
        self.oldest = Some(self.oldest.map_or(sample.time, |oldest| oldest.min(sample.time)));
        self.first_sample.get_or_insert(FirstSample { time: sample.time, sequence: Some(sequence) });
    }

    /// Stored samples, in files and in memory: what a flush let go is counted with the files at once.
    pub fn samples(&self) -> u64 {
        let in_memory: usize = self.epochs().map(ChannelData::samples).sum();
        self.flushed_samples + in_memory as u64
    }
}
