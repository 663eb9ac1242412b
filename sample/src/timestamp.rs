//! Points in time: integer nanoseconds since the Unix epoch, UTC as POSIX counts it.

/// Seconds from the Unix epoch to the EPICS epoch, 1990-01-01T00:00:00Z.
pub const EPICS_EPOCH_S: i64 = 631_152_000;
/// Length of a week in nanoseconds.
pub const WEEK_NS: i64 = 7 * 86_400 * 1_000_000_000;
/// 1970-01-05T00:00:00Z, the first Monday after the Unix epoch.
const FIRST_MONDAY_NS: i64 = 4 * 86_400 * 1_000_000_000;

/// A point in time in nanoseconds since the Unix epoch (1677 to 2262).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The earliest representable time.
    pub const MIN: Timestamp = Timestamp(i64::MIN);
    /// The latest representable time.
    pub const MAX: Timestamp = Timestamp(i64::MAX);

    /// From an EPICS stamp: seconds since 1990 and nanoseconds (taken as they are, even above 1e9).
    pub fn from_epics(seconds: u32, nanoseconds: u32) -> Timestamp {
        Timestamp((i64::from(seconds) + EPICS_EPOCH_S) * 1_000_000_000 + i64::from(nanoseconds))
    }

    /// As an EPICS stamp (seconds since 1990, nanoseconds), if it can be one.
    pub fn to_epics(self) -> Option<(u32, u32)> {
        let seconds = self.0.div_euclid(1_000_000_000) - EPICS_EPOCH_S;
        let nanoseconds = u32::try_from(self.0.rem_euclid(1_000_000_000)).ok()?;
        Some((u32::try_from(seconds).ok()?, nanoseconds))
    }

    /// This time moved by `ns` nanoseconds, held at the ends of the representable range.
    pub fn saturating_add(self, ns: i64) -> Timestamp {
        Timestamp(self.0.saturating_add(ns))
    }

    /// Nanoseconds from `earlier` to this time, held at the ends of the i64 range.
    pub fn since(self, earlier: Timestamp) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A partition's week: Monday 00:00 UTC to the next, numbered from the Monday 1970-01-05.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Week(pub i32);

impl Week {
    /// The week that holds `time`.
    pub fn containing(time: Timestamp) -> Week {
        let weeks = (i128::from(time.0) - i128::from(FIRST_MONDAY_NS)).div_euclid(i128::from(WEEK_NS));
        Week(i32::try_from(weeks).unwrap_or(0))
    }

    /// Monday 00:00 UTC, the first instant of the week.
    pub fn start(self) -> Timestamp {
        Timestamp((i64::from(self.0)).saturating_mul(WEEK_NS).saturating_add(FIRST_MONDAY_NS))
    }

    /// The first instant of the next week.
    pub fn end(self) -> Timestamp {
        self.next().start()
    }

    /// The week after this one.
    pub fn next(self) -> Week {
        Week(self.0.saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epics_stamps_round_trip() {
        for (seconds, nanoseconds) in [(0, 0), (1, 999_999_999), (u32::MAX, 5)] {
            assert_eq!(Timestamp::from_epics(seconds, nanoseconds).to_epics(), Some((seconds, nanoseconds)));
        }
        assert_eq!(Timestamp(0).to_epics(), None);
    }

    #[test]
    fn weeks_begin_on_monday() {
        // 2026-11-16T00:00:00Z is a Monday.
        let monday = Timestamp(1_794_787_200 * 1_000_000_000);
        let week = Week::containing(monday);
        assert_eq!(week.start(), monday);
        assert_eq!(Week::containing(monday.saturating_add(-1)), Week(week.0 - 1));
        assert_eq!(week.end().since(monday), WEEK_NS);
        assert_eq!(Week::containing(Timestamp(0)), Week(-1));
        assert!(Week::containing(Timestamp::MIN).start() <= Timestamp(i64::MIN + WEEK_NS));
    }
}
