//! What libca would print on stderr, kept in a short list instead.
//!
//! The list is one per process, because libca's print hook does not say which context prints.

use crate::limits::{MESSAGE_BYTES_MAX, MESSAGES_MAX};
use sample::Timestamp;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// One message of libca.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// When it came first.
    pub first: Timestamp,
    /// When it came last.
    pub last: Timestamp,
    /// How often it came with no other message in between.
    pub count: u64,
    /// libca's words.
    pub text: String,
}

/// What gathered since the list was taken last.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Messages {
    /// Oldest first, at most 64.
    pub list: Vec<Message>,
    /// Messages that came after the list was full.
    pub suppressed: u64,
}

#[derive(Debug)]
struct Log {
    list: VecDeque<Message>,
    suppressed: u64,
}

static LOG: Mutex<Log> = Mutex::new(Log::EMPTY);

impl Log {
    const EMPTY: Log = Log { list: VecDeque::new(), suppressed: 0 };

    fn add(&mut self, time: Timestamp, text: &str) {
        let text = text.trim_end();
        let text = &text[..text.floor_char_boundary(MESSAGE_BYTES_MAX)];
        let full = self.list.len() >= MESSAGES_MAX;
        match self.list.back_mut() {
            Some(last) if last.text == text => {
                last.count = last.count.saturating_add(1);
                last.last = time;
            }
            _ if text.is_empty() => {}
            _ if full => self.suppressed = self.suppressed.saturating_add(1),
            _ => self.list.push_back(Message { first: time, last: time, count: 1, text: text.into() }),
        }
    }

    fn take(&mut self) -> Messages {
        Messages { list: self.list.drain(..).collect(), suppressed: std::mem::take(&mut self.suppressed) }
    }
}

/// Takes the messages of libca that gathered, of all contexts of this process. Meant to be logged
/// every second or so: that and the list's length are the rate limit.
pub fn take_messages() -> Messages {
    LOG.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Keeps one message.
pub(crate) fn add(time: Timestamp, text: &str) {
    LOG.lock().unwrap_or_else(PoisonError::into_inner).add(time, text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_folded_then_counted() {
        let mut log = Log::EMPTY;
        for i in 0..1000 {
            log.add(Timestamp(i), "same\n");
        }
        log.add(Timestamp(0), "\n");
        for i in 0..100 {
            log.add(Timestamp(i), &format!("{i}é{}", "x".repeat(2000)));
        }
        let messages = log.take();
        assert_eq!(
            (messages.list.len(), messages.suppressed),
            (MESSAGES_MAX, 100 - (MESSAGES_MAX as u64 - 1))
        );
        let first = &messages.list[0];
        assert_eq!((first.text.as_str(), first.count, first.last), ("same", 1000, Timestamp(999)));
        assert!(messages.list.iter().all(|message| message.text.len() <= MESSAGE_BYTES_MAX));
        assert_eq!(log.take(), Messages::default());
    }
}
