//! Where a value does not hold although no later sample ends it.

use crate::coverage::{Coverage, State};
use sample::{TimeRange, Timestamp};

/// Stretches in which nothing is held, in order and apart from each other. Outside a value holds until the next one.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Holds {
    breaks: Vec<TimeRange>,
}

impl Holds {
    /// From what was known when: only a channel in state *held* holds its value.
    pub fn of(coverage: &Coverage) -> Holds {
        let mut breaks: Vec<TimeRange> = Vec::new();
        for interval in coverage.intervals.iter().filter(|interval| interval.state != State::Held) {
            match breaks.last_mut() {
                Some(last) if last.to >= interval.range.from => last.to = interval.range.to,
                _ => breaks.push(interval.range),
            }
        }
        Holds { breaks }
    }

    /// The same, and nothing is held outside `stretches`, which are in order and apart from each other.
    pub fn within(self, stretches: &[TimeRange]) -> Holds {
        let begins = stretches.iter().map(|stretch| stretch.from).chain([Timestamp::MAX]);
        let ends = [Timestamp::MIN].into_iter().chain(stretches.iter().map(|stretch| stretch.to));
        let outside = ends.zip(begins).map(|(from, to)| TimeRange::new(from, to));
        let mut all: Vec<TimeRange> = self.breaks.into_iter().chain(outside).collect();
        all.sort_by_key(|stretch| stretch.from);
        let mut breaks: Vec<TimeRange> = Vec::new();
        for stretch in all.into_iter().filter(|stretch| !stretch.is_empty()) {
            match breaks.last_mut() {
                Some(last) if last.to >= stretch.from => last.to = last.to.max(stretch.to),
                _ => breaks.push(stretch),
            }
        }
        Holds { breaks }
    }

    /// Whether a value holds all the time from `from` to `to`.
    pub fn unbroken(&self, from: i64, to: i64) -> bool {
        let next = self.breaks.partition_point(|b| b.to.0 <= from);
        self.breaks.get(next).is_none_or(|b| b.from.0 >= to)
    }

    /// Nanoseconds between `from` and `to` in which a value holds.
    pub fn held_ns(&self, from: i64, to: i64) -> i64 {
        let mut held = to.saturating_sub(from).max(0);
        let next = self.breaks.partition_point(|b| b.to.0 <= from);
        for stretch in &self.breaks[next..] {
            if stretch.from.0 >= to {
                break;
            }
            held -= stretch.to.0.min(to).saturating_sub(stretch.from.0.max(from));
        }
        held
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coverage::Interval;

    #[test]
    fn what_is_not_held_is_taken_off() {
        let interval =
            |from, to, state| Interval { range: TimeRange::new(Timestamp(from), Timestamp(to)), state };
        let coverage = Coverage {
            intervals: vec![
                interval(0, 10, State::Held),
                interval(10, 20, State::Unknown),
                interval(20, 30, State::Disconnected),
                interval(30, 50, State::Held),
                interval(50, 60, State::EngineDown),
            ],
        };
        let holds = Holds::of(&coverage);
        for (from, to, held) in
            [(0, 10, 10), (0, 60, 30), (5, 15, 5), (12, 28, 0), (25, 55, 20), (60, 90, 30), (7, 7, 0)]
        {
            assert_eq!(holds.held_ns(from, to), held, "{from} {to}");
            assert_eq!(holds.unbroken(from, to), held == to - from, "{from} {to}");
        }
        assert_eq!(Holds::default().held_ns(i64::MIN, i64::MAX), i64::MAX);
    }

    #[test]
    fn outside_the_stretches_nothing_is_held() {
        let range = |from, to| TimeRange::new(Timestamp(from), Timestamp(to));
        let holds = Holds { breaks: vec![range(10, 20), range(30, 40)] };
        let stretches = [range(5, 12), range(15, 18), range(20, 35), range(50, 60)];
        let within = holds.clone().within(&stretches);
        let held = |time: i64| {
            holds.unbroken(time, time + 1)
                && stretches.iter().any(|stretch| stretch.contains(Timestamp(time)))
        };
        for from in 0..70 {
            for to in from..70 {
                assert_eq!(within.held_ns(from, to), (from..to).filter(|time| held(*time)).count() as i64);
            }
        }
        assert_eq!(holds.within(&[]).held_ns(i64::MIN, i64::MAX), 0);
    }
}
