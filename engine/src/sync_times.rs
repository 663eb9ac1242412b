//! How long the log's syncs take: a histogram for metrics and a recent percentile for status.

use crate::status::DurationHistogram;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Upper bounds of the histogram's buckets in seconds.
const BUCKETS_S: [f64; 10] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.0, 10.0];
/// Syncs that the percentile looks at.
const RECENT: usize = 300;

#[derive(Debug)]
struct State {
    histogram: DurationHistogram,
    recent: VecDeque<Duration>,
}

/// Durations of syncs.
#[derive(Debug)]
pub(crate) struct SyncTimes(Mutex<State>);

impl Default for SyncTimes {
    fn default() -> SyncTimes {
        SyncTimes(Mutex::new(State {
            histogram: DurationHistogram::new(&BUCKETS_S),
            recent: VecDeque::new(),
        }))
    }
}

impl SyncTimes {
    /// Adds one.
    pub(crate) fn note(&self, duration: Duration) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.histogram.observe(duration.as_secs_f64());
        if state.recent.len() == RECENT {
            state.recent.pop_front();
        }
        state.recent.push_back(duration);
    }

    /// 99th percentile of the recent ones in ms.
    pub(crate) fn p99_ms(&self) -> Option<f64> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut recent: Vec<Duration> = state.recent.iter().copied().collect();
        recent.sort_unstable();
        let at = (recent.len() * 99).div_ceil(100).checked_sub(1)?;
        Some(recent[at].as_secs_f64() * 1e3)
    }

    /// All of them.
    pub(crate) fn histogram(&self) -> DurationHistogram {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).histogram.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_percentile_is_that_of_the_recent_ones() {
        let times = SyncTimes::default();
        assert_eq!(times.p99_ms(), None);
        for ms in 1..=100 {
            times.note(Duration::from_millis(ms));
        }
        assert_eq!(times.p99_ms(), Some(99.0));
        assert_eq!(times.histogram().count(), 100);
    }
}
