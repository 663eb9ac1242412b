//! How far before its week the events of a table begin to matter.

use crate::Key;
use crate::record::decode_events;
use sample::{Timestamp, Week};

/// Of events that nobody can tell of, and of all that reach further.
const UNBOUNDED_S: u32 = u32::MAX;
const SECOND_NS: i64 = 1_000_000_000;

/// How many seconds before the begin of `week` a record of a table of that week begins to matter, rounded up: 0 where
/// it says nothing of earlier times. Only events speak of times before their own.
pub(crate) fn reach_s(week: Week, key: Key, payload: &[u8]) -> u32 {
    if key.rate != Key::EVENTS {
        return 0;
    }
    let Ok(events) = decode_events(payload) else { return UNBOUNDED_S };
    let Some(begin) = events.iter().map(sample::Event::begins).min() else { return 0 };
    let before = i128::from(week.start().0) - i128::from(begin.0);
    let seconds = before.max(0).unsigned_abs().div_ceil(SECOND_NS as u128);
    u32::try_from(seconds).unwrap_or(UNBOUNDED_S)
}

/// From when on the events of a table of `week` may matter whose footer says `reach_s`.
pub(crate) fn matters_from(week: Week, reach_s: u32) -> Timestamp {
    match reach_s {
        UNBOUNDED_S => Timestamp::MIN,
        seconds => week.start().saturating_add(-(i64::from(seconds) * SECOND_NS)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::encode_events;
    use sample::{ChannelId, Event, EventKind};

    #[test]
    fn what_reaches_back_is_told_to_the_second_or_not_at_all() {
        let week = Week(2_500);
        let begin = week.start();
        let heard = |ns: i64| Event {
            time: begin.saturating_add(5),
            sequence: 1,
            kind: EventKind::Disconnected { last_heard: Timestamp(ns) },
        };
        let key = Key::new(Key::EVENTS, ChannelId(1), begin.0 + 5);
        for (last_heard, seconds) in [
            (begin.0 + 9, 0),
            (begin.0, 0),
            (begin.0 - 1, 1),
            (begin.0 - SECOND_NS, 1),
            (begin.0 - SECOND_NS - 1, 2),
            (i64::MIN, UNBOUNDED_S),
        ] {
            let payload = encode_events(&[heard(begin.0 + 3), heard(last_heard)]).unwrap();
            let found = reach_s(week, key, &payload);
            assert_eq!(found, seconds, "{last_heard}");
            assert!(matters_from(week, found).0 <= last_heard.min(begin.0), "{last_heard}");
        }
        assert_eq!(reach_s(week, key, b"nobody can tell"), UNBOUNDED_S);
        let metadata = Key::new(Key::METADATA, ChannelId(1), 0);
        assert_eq!(reach_s(week, metadata, b"says nothing of earlier times"), 0);
    }
}
