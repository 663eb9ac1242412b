//! Identical messages become one line at most every ten seconds.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long a message stays quiet after it was printed.
const QUIET: Duration = Duration::from_secs(10);
/// Messages remembered at once; past it repeats of the forgotten are printed again.
const MESSAGES_MAX: usize = 1024;

/// When each message was printed last, how often it came since.
pub(crate) struct Fold<L> {
    messages: HashMap<String, Entry<L>>,
}

struct Entry<L> {
    printed: Instant,
    repeated: u64,
    /// The latest repeat, printed when the quiet time ends.
    line: Option<L>,
}

impl<L> Fold<L> {
    pub(crate) fn new() -> Fold<L> {
        Fold { messages: HashMap::new() }
    }

    /// Takes a message and passes on what is to be printed now: each line with the number of repeats that it
    /// stands for (0: none).
    pub(crate) fn pass(&mut self, key: String, line: L, now: Instant, print: &mut dyn FnMut(&L, u64)) {
        self.expire(now, print);
        if let Some(entry) = self.messages.get_mut(&key) {
            entry.repeated += 1;
            entry.line = Some(line);
            return;
        }
        print(&line, 0);
        if self.messages.len() >= MESSAGES_MAX {
            self.flush(print);
        }
        self.messages.insert(key, Entry { printed: now, repeated: 0, line: None });
    }

    /// Prints what waits, whatever the time.
    pub(crate) fn flush(&mut self, print: &mut dyn FnMut(&L, u64)) {
        for (_, entry) in self.messages.drain() {
            if let Some(line) = &entry.line {
                print(line, entry.repeated);
            }
        }
    }

    /// Prints the repeats of messages whose quiet time is over; those begin another one.
    fn expire(&mut self, now: Instant, print: &mut dyn FnMut(&L, u64)) {
        self.messages.retain(|_, entry| {
            if now.duration_since(entry.printed) < QUIET {
                return true;
            }
            let Some(line) = entry.line.take() else { return false };
            print(&line, entry.repeated);
            entry.printed = now;
            entry.repeated = 0;
            true
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_printed_at_most_every_ten_seconds_with_its_repeats() {
        let start = Instant::now();
        let mut fold = Fold::new();
        let mut printed = Vec::new();
        // "a" every second for 35 seconds, "b" once in between.
        for second in 0..35u64 {
            let now = start + Duration::from_secs(second);
            let mut print = |line: &String, repeated: u64| printed.push((second, line.clone(), repeated));
            fold.pass("a".to_owned(), format!("a{second}"), now, &mut print);
            if second == 5 {
                fold.pass("b".to_owned(), "b".to_owned(), now, &mut print);
            }
        }
        fold.flush(&mut |line, repeated| printed.push((35, line.clone(), repeated)));
        let expected =
            [(0, "a0", 0), (5, "b", 0), (10, "a9", 9), (20, "a19", 10), (30, "a29", 10), (35, "a34", 5)]
                .map(|(second, line, repeated)| (second, line.to_owned(), repeated));
        assert_eq!(printed, expected);
        let messages: u64 = printed.iter().map(|(_, _, repeated)| (*repeated).max(1)).sum();
        assert_eq!(messages, 36);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut fold = Fold::new();
        let mut count = 0;
        for i in 0..5000 {
            fold.pass(i.to_string(), (), Instant::now(), &mut |(), _| count += 1);
        }
        assert_eq!(count, 5000);
        assert!(fold.messages.len() <= MESSAGES_MAX);
    }
}
