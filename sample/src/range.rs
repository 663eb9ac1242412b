//! Half-open time ranges.

use crate::Timestamp;

/// `from <= t < to`. Empty when `from >= to`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TimeRange {
    /// First instant inside.
    pub from: Timestamp,
    /// First instant behind the range.
    pub to: Timestamp,
}

impl TimeRange {
    /// Everything representable but the very last nanosecond.
    pub const ALL: TimeRange = TimeRange { from: Timestamp::MIN, to: Timestamp::MAX };

    /// The range `from <= t < to`.
    pub fn new(from: Timestamp, to: Timestamp) -> TimeRange {
        TimeRange { from, to }
    }

    /// Whether `time` lies inside.
    pub fn contains(self, time: Timestamp) -> bool {
        self.from <= time && time < self.to
    }

    /// Whether nothing can lie inside.
    pub fn is_empty(self) -> bool {
        self.from >= self.to
    }

    /// Whether the closed interval `[first, last]` touches this range.
    pub fn touches(self, first: Timestamp, last: Timestamp) -> bool {
        first < self.to && self.from <= last && !self.is_empty()
    }
}
