//! One sample: a time, a value, an alarm, and what may come with them.

use crate::{RunType, Severity, Status, Timestamp, Value};

/// One stored or arriving sample of a channel. Its identity is (channel, `time`, `rank`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sample {
    /// The source's stamp.
    pub time: Timestamp,
    /// Position among samples of equal time, in order of arrival; assigned by the archive's writer.
    pub rank: u32,
    /// The value.
    pub value: Value,
    /// Alarm severity.
    pub severity: Severity,
    /// Alarm status.
    pub status: Status,
    /// pvAccess user tag, where the source sends one.
    pub user_tag: Option<i64>,
    /// Alarm message, where the source sends one.
    pub message: Option<Box<[u8]>>,
    /// When the engine received it, where the archive keeps that.
    pub received: Option<Timestamp>,
    /// False when the sample was stored before its metadata arrived: it never borrows later metadata.
    pub metadata_known: bool,
}

impl Sample {
    /// A sample without optional parts, rank 0, no alarm, metadata known.
    pub fn new(time: Timestamp, value: Value) -> Sample {
        Sample {
            time,
            rank: 0,
            value,
            severity: Severity::NoAlarm,
            status: Status::default(),
            user_tag: None,
            message: None,
            received: None,
            metadata_known: true,
        }
    }

    /// Whether both tell the same: equal time, type, value bits, severity and status
    /// (what a live source sends again after a reconnect).
    pub fn same_reading(&self, other: &Sample) -> bool {
        self.time == other.time
            && self.severity == other.severity
            && self.status == other.status
            && self.value == other.value
    }

    /// What a chunk must agree on to hold this sample.
    pub fn run_type(&self) -> RunType {
        RunType {
            value: self.value.value_type(),
            domain: self.status.domain,
            metadata_known: self.metadata_known,
            user_tag: self.user_tag.is_some(),
            message: self.message.is_some(),
            received: self.received.is_some(),
            descriptor: match &self.value {
                Value::Structure { descriptor, .. } => Some(descriptor.clone()),
                _ => None,
            },
        }
    }
}
