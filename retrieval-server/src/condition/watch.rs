//! A condition over a stretch of time: its channels' waves side by side.

use super::tree::{Condition, Truth};
use super::wave::Wave;
use crate::limits::{SEARCH_INTERVALS_MAX, SEARCH_LOADS};
use sample::{TimeRange, Timestamp};

/// How far a condition was followed, and when it held.
pub(super) struct Watch<'a> {
    condition: &'a Condition,
    /// The condition's channels.
    pub(super) waves: Vec<Wave<'a>>,
    terms: Vec<Truth>,
    /// What comes before this is known.
    pub(super) now: i64,
    /// Since when it holds.
    since: Option<i64>,
    /// When it held, in order.
    pub(super) stretches: Vec<TimeRange>,
}

impl<'a> Watch<'a> {
    /// From the beginning of the range that `waves` are of.
    pub(super) fn new(condition: &'a Condition, waves: Vec<Wave<'a>>, from: Timestamp) -> Watch<'a> {
        let terms = vec![None; condition.terms.len()];
        Watch { condition, waves, terms, now: from.0, since: None, stretches: Vec::new() }
    }

    fn loads(&self) -> usize {
        self.waves.iter().map(Wave::loads).sum()
    }

    /// Goes on until `until`, or until some blocks were read or the condition held too often; whether it got there.
    pub(super) fn run(&mut self, until: Timestamp) -> bool {
        let pause = self.loads() + SEARCH_LOADS;
        while self.now < until.0 {
            if self.loads() >= pause || self.stretches.len() > SEARCH_INTERVALS_MAX {
                return false;
            }
            for wave in &mut self.waves {
                wave.advance(self.now, &mut self.terms);
            }
            match (self.condition.root.truth(&self.terms) == Some(true), self.since) {
                (true, None) => self.since = Some(self.now),
                (false, Some(_)) => self.end(Timestamp(self.now)),
                _ => {}
            }
            let now = self.now;
            let next = self.waves.iter_mut().filter_map(|wave| wave.next_change(now)).min();
            self.now = next.unwrap_or(until.0);
        }
        true
    }

    /// What is known ends at `time`, and with it the stretch in which it holds.
    pub(super) fn end(&mut self, time: Timestamp) {
        if let Some(from) = self.since.take() {
            self.stretches.push(TimeRange::new(Timestamp(from), time));
        }
    }
}
