//! Things that happen in great numbers, told a few times with a count.

use super::limits::{LOG_DELAY, LOG_PAUSE};
use std::collections::HashMap;
use std::hash::Hash;
use std::time::Instant;

/// Counts by kind: each kind is told a moment after it first happens, then again after a longer pause.
#[derive(Debug)]
pub(super) struct Digest<K, E> {
    kinds: HashMap<K, Tally<E>>,
    kinds_max: usize,
    /// Occurrences of kinds beyond the most that are kept apart.
    beyond: u64,
}

#[derive(Debug)]
struct Tally<E> {
    count: u64,
    example: Option<E>,
    due: Instant,
}

impl<K: Hash + Eq, E> Digest<K, E> {
    /// Keeps at most `kinds_max` apart at once.
    pub(super) fn new(kinds_max: usize) -> Digest<K, E> {
        Digest { kinds: HashMap::new(), kinds_max, beyond: 0 }
    }

    /// Counts `count` more; the first example since the kind was told is kept.
    pub(super) fn note(&mut self, kind: K, count: u64, example: E, now: Instant) {
        if self.kinds.len() >= self.kinds_max && !self.kinds.contains_key(&kind) {
            self.beyond = self.beyond.saturating_add(count);
            return;
        }
        let due = now + LOG_DELAY;
        let tally = self.kinds.entry(kind).or_insert(Tally { count: 0, example: None, due });
        tally.count = tally.count.saturating_add(count);
        tally.example.get_or_insert(example);
    }

    /// Tells what is due. Returns how often something beyond the kinds kept apart happened.
    pub(super) fn tell(&mut self, now: Instant, mut line: impl FnMut(&K, u64, E)) -> u64 {
        let mut ended = false;
        self.kinds.retain(|kind, tally| {
            if now < tally.due {
                return true;
            }
            let Some(example) = tally.example.take() else {
                ended = true;
                return false;
            };
            line(kind, std::mem::take(&mut tally.count), example);
            tally.due = now + LOG_PAUSE;
            true
        });
        if ended || self.kinds.is_empty() { std::mem::take(&mut self.beyond) } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_flood_is_one_line_then_one_every_ten_seconds() {
        let start = Instant::now();
        let mut digest = Digest::new(2);
        let mut told = Vec::new();
        for ms in (0..35_000u64).step_by(100) {
            let now = start + Duration::from_millis(ms);
            if ms < 25_000 {
                digest.note("a", 1, ms, now);
            }
            digest.tell(now, |kind, count, example| told.push((ms, *kind, count, example)));
        }
        assert_eq!(
            told,
            [
                (1_000, "a", 11, 0),
                (11_000, "a", 100, 1_100),
                (21_000, "a", 100, 11_100),
                (31_000, "a", 39, 21_100)
            ]
        );
    }

    #[test]
    fn kinds_beyond_the_limit_are_counted_and_told_when_there_is_room() {
        let start = Instant::now();
        let mut digest = Digest::new(2);
        for kind in 0..10 {
            digest.note(kind, 3, (), start);
        }
        let mut told = 0;
        assert_eq!(digest.tell(start + LOG_DELAY, |_, count, ()| told += count), 0);
        assert_eq!(told, 6);
        assert_eq!(digest.tell(start + LOG_DELAY + LOG_PAUSE, |_, _, ()| panic!("nothing is new")), 24);
        assert_eq!(digest.tell(start + LOG_DELAY + 2 * LOG_PAUSE, |_, _, ()| panic!("nothing is new")), 0);
    }
}
