//! What happened to a channel or to the engine: the events timeline.

use crate::{Sample, Timestamp};

/// Why samples were dropped.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum DropCause {
    /// Stamped too far ahead of the engine's clock.
    Future = 1,
    /// Older than the channel's newest sample by more than `late_limit`.
    Late = 2,
    /// Above the channel's `max_bytes_per_second`.
    Rate = 3,
    /// A byte limit in memory was reached.
    Memory = 4,
    /// The file system is full.
    DiskFull = 5,
}

impl DropCause {
    /// Every cause, in tag order.
    pub const ALL: [DropCause; 5] =
        [DropCause::Future, DropCause::Late, DropCause::Rate, DropCause::Memory, DropCause::DiskFull];

    /// From its tag.
    pub fn from_tag(tag: u8) -> Option<DropCause> {
        DropCause::ALL.into_iter().find(|cause| *cause as u8 == tag)
    }

    /// The HTTP interface's name.
    pub fn name(self) -> &'static str {
        match self {
            DropCause::Future => "future",
            DropCause::Late => "late",
            DropCause::Rate => "rate",
            DropCause::Memory => "memory",
            DropCause::DiskFull => "disk_full",
        }
    }
}

/// One event. Events are ordered by `sequence`, the order of receipt, not by `time`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// When it happened by the engine's clock (by the source's for dropped samples).
    pub time: Timestamp,
    /// Order of receipt inside the archive; samples and events share the count.
    pub sequence: u64,
    /// What happened.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EventKind {
    /// The channel was found on `host`.
    Connected {
        /// `host:port` of the server.
        host: Box<str>,
    },
    /// The connection was lost; the event's time is when that was noticed.
    Disconnected {
        /// Last message of any channel from that server: from here to the event nothing is known.
        last_heard: Timestamp,
    },
    /// Archiving of the channel began.
    Started,
    /// Archiving of the channel ended with the engine still running.
    Stopped,
    /// Archiving paused by an operator.
    Paused,
    /// Archiving resumed by an operator.
    Resumed,
    /// The channel left the configuration; its data stay.
    Retired,
    /// Engine-wide: nothing ran from the event's time until `until`.
    EngineDown {
        /// When the engine was back.
        until: Timestamp,
    },
    /// Samples were dropped between the event's time and `to`.
    Dropped {
        /// Stamp (or receive time) of the last dropped sample.
        to: Timestamp,
        /// How many.
        count: u64,
        /// Why.
        cause: DropCause,
        /// The last dropped sample, unless it was larger than a small limit.
        last: Option<Box<Sample>>,
    },
    /// An unset or future stamp was replaced by the receive time, the event's time.
    TimeReplaced {
        /// The stamp that came.
        original: Timestamp,
    },
}

impl Event {
    /// From when on it can matter: only a lost connection says something of the time before it was noticed.
    pub fn begins(&self) -> Timestamp {
        match self.kind {
            EventKind::Disconnected { last_heard } => last_heard.min(self.time),
            _ => self.time,
        }
    }
}

impl EventKind {
    /// The HTTP interface's name.
    pub fn name(&self) -> &'static str {
        match self {
            EventKind::Connected { .. } => "connected",
            EventKind::Disconnected { .. } => "disconnected",
            EventKind::Started => "started",
            EventKind::Stopped => "stopped",
            EventKind::Paused => "paused",
            EventKind::Resumed => "resumed",
            EventKind::Retired => "retired",
            EventKind::EngineDown { .. } => "engine_down",
            EventKind::Dropped { .. } => "dropped",
            EventKind::TimeReplaced { .. } => "time_replaced",
        }
    }
}
