//! Events and metadata of channels, kept until their carry-ins are written.

use crate::Key;
use crate::record::with_timeline;
use sample::ChannelId;
use std::collections::HashMap;

/// Longer records of a channel are not repeated in its carry-in.
const CHANNEL_BYTES_MAX: usize = 1 << 10;
/// Bytes kept; channels behind those that fill them go without.
const BYTES_MAX: usize = 16 << 20;
/// Bytes that an entry takes beside those of its payloads.
const ENTRY_BYTES: usize = 96;

/// Payloads of the records that carry-ins repeat: so one read tells all of a channel.
#[derive(Debug, Default)]
pub(super) struct Timelines {
    /// Events and metadata of each channel with records of them; `None` where they are too long or in several records.
    channels: HashMap<ChannelId, Option<[Vec<u8>; 2]>>,
    bytes: usize,
    /// There was no room for some.
    is_full: bool,
}

impl Timelines {
    /// Hears of a record that is being written.
    pub(super) fn hear(&mut self, key: Key, payload: &[u8]) {
        let at = match key.rate {
            Key::EVENTS => 0,
            Key::METADATA => 1,
            _ => return,
        };
        self.is_full |= self.bytes >= BYTES_MAX;
        if self.is_full {
            // What is known of it is not all any more.
            self.channels.remove(&key.channel);
            return;
        }
        let kept = self.channels.entry(key.channel).or_insert_with(|| {
            self.bytes += ENTRY_BYTES;
            Some([Vec::new(), Vec::new()])
        });
        let Some(records) = kept else { return };
        let len = records[0].len() + records[1].len() + payload.len();
        if records[at].is_empty() && len <= CHANNEL_BYTES_MAX {
            self.bytes += payload.len();
            records[at] = payload.to_vec();
        } else {
            *kept = None;
        }
    }

    /// The payload of a carry-in as this table writes it: with the timeline of its channel where that is known, and never
    /// with that of another table.
    pub(super) fn completed(&self, channel: ChannelId, payload: Vec<u8>) -> Vec<u8> {
        let records = match self.channels.get(&channel) {
            Some(Some([events, metadata])) => Some([&events[..], &metadata[..]]),
            Some(None) => None,
            // Where there are records of others, that a channel has none is worth saying.
            None => (!self.channels.is_empty() && !self.is_full).then_some([&[][..], &[][..]]),
        };
        with_timeline(payload, records)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus;
    use crate::record::{decode_timeline, encode_carry_in, encode_events};
    use sample::{Event, EventKind, Timestamp};

    fn events(count: usize) -> Vec<u8> {
        let event = Event { time: Timestamp(5), sequence: 1, kind: EventKind::Started };
        encode_events(&vec![event; count]).unwrap()
    }

    /// How many events the carry-in of a channel tells of.
    fn told(timelines: &Timelines, channel: u64) -> Option<usize> {
        let carry_in = encode_carry_in(ChannelId(channel), &corpus::carry_ins()[2]).unwrap();
        // One of another table is never kept.
        let stale = with_timeline(carry_in, Some([&events(9), &[]]));
        let payload = timelines.completed(ChannelId(channel), stale);
        decode_timeline(&payload).unwrap().map(|timeline| timeline.events.len())
    }

    #[test]
    fn carry_ins_tell_what_is_short_and_known() {
        let mut timelines = Timelines::default();
        assert_eq!(told(&timelines, 1), None, "nobody reads what is nowhere");
        let key = |channel| Key::new(Key::EVENTS, ChannelId(channel), 5);
        timelines.hear(key(1), &events(3));
        timelines.hear(key(2), &events(1000));
        timelines.hear(key(3), &events(1));
        timelines.hear(key(3), &events(1));
        assert_eq!(told(&timelines, 1), Some(3));
        assert_eq!(told(&timelines, 2), None, "too long");
        assert_eq!(told(&timelines, 3), None, "in two records");
        assert_eq!(told(&timelines, 4), Some(0));
    }

    #[test]
    fn who_has_no_room_goes_without() {
        let (mut timelines, record) = (Timelines::default(), events(20));
        let channels = 2 * (BYTES_MAX / (record.len() + ENTRY_BYTES)) as u64;
        for channel in 0..channels {
            timelines.hear(Key::new(Key::EVENTS, ChannelId(channel), 5), &record);
        }
        timelines.hear(Key::new(Key::METADATA, ChannelId(0), 5), &[0]);
        assert_eq!(told(&timelines, 0), None, "its metadata was not kept");
        assert_eq!(told(&timelines, 1), Some(20));
        assert_eq!(told(&timelines, channels - 1), None);
        assert_eq!(told(&timelines, channels + 1), None, "nobody knows any more");
    }
}
