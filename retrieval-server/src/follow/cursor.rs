//! How far a follower has got in each of its channels, as an opaque string.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use disk::{Cursor, put_i64, put_u32, put_varint, put_varint_signed};
use engine::limits::LATE_RANK_FIRST;
use engine::read::Position;
use sample::{SampleBlock, Timestamp};

const VERSION: u8 = 1;
/// Least bytes of one channel: name's checksum, time, rank, late, sequence.
const PLACE_BYTES_MIN: usize = 4 + 1 + 1 + 1 + 1;
/// Bytes of the checksum at the end.
const SUM_BYTES: usize = 4;

/// How far a follower has got in one channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    /// CRC-32 of the stored name.
    channel: u32,
    /// Every sample up to here that was there was sent.
    pub position: Position,
    /// Of late samples behind `position`, those with a number below this were sent. Numbers rise by arrival.
    pub late: u32,
    /// Sequence of the newest event that was sent.
    pub sequence: u64,
}

impl Place {
    /// Before the first sample at or after `from`; `channel` is the stored name.
    pub(crate) fn before(channel: &str, from: Timestamp) -> Place {
        let position = Position { time: from.0.saturating_sub(1), rank: u32::MAX };
        Place { channel: crc32fast::hash(channel.as_bytes()), position, late: 0, sequence: 0 }
    }

    /// Whether it is of `channel`, a stored name.
    pub(crate) fn is_of(&self, channel: &str) -> bool {
        self.channel == crc32fast::hash(channel.as_bytes())
    }

    /// Samples `from..to` of `block` are being sent; `behind` if they are older than what was sent before.
    pub(crate) fn sent(&mut self, block: &SampleBlock, from: usize, to: usize, behind: bool) {
        for rank in &block.rank[from..to] {
            if *rank >= LATE_RANK_FIRST {
                self.late = self.late.max((rank - LATE_RANK_FIRST).saturating_add(1));
            }
        }
        if !behind && to > from {
            let (time, rank) = block.position(to - 1);
            self.position = Position { time, rank };
        }
    }
}

/// Where a stream goes on that ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FollowCursor {
    /// Samples before it were never asked for.
    pub from: Timestamp,
    /// In the order of the request.
    pub places: Vec<Place>,
}

impl FollowCursor {
    /// As text.
    pub(crate) fn encode(&self) -> String {
        let base = self.places.iter().map(|place| place.position.time).max().unwrap_or(0);
        let mut bytes = vec![VERSION];
        put_i64(&mut bytes, self.from.0);
        put_i64(&mut bytes, base);
        put_varint(&mut bytes, self.places.len() as u64);
        for place in &self.places {
            put_u32(&mut bytes, place.channel);
            put_varint_signed(&mut bytes, place.position.time.wrapping_sub(base));
            put_varint(&mut bytes, place.position.rank.into());
            put_varint(&mut bytes, place.late.into());
            put_varint(&mut bytes, place.sequence);
        }
        let sum = crc32fast::hash(&bytes);
        put_u32(&mut bytes, sum);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// From the text of an earlier answer; `None` when it is not whole.
    pub(crate) fn decode(text: &str) -> Option<FollowCursor> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (body, sum) = bytes.split_at_checked(bytes.len().checked_sub(SUM_BYTES)?)?;
        if crc32fast::hash(body) != u32::from_le_bytes(sum.try_into().ok()?) {
            return None;
        }
        let mut from = Cursor::new(body);
        if from.u8().ok()? != VERSION {
            return None;
        }
        let (first, base) = (Timestamp(from.i64().ok()?), from.i64().ok()?);
        let count = from.count(PLACE_BYTES_MIN).ok()?;
        let mut places = Vec::with_capacity(count);
        for _ in 0..count {
            let channel = from.u32().ok()?;
            let time = base.wrapping_add(from.varint_signed().ok()?);
            let rank = u32::try_from(from.varint().ok()?).ok()?;
            let late = u32::try_from(from.varint().ok()?).ok()?;
            let sequence = from.varint().ok()?;
            places.push(Place { channel, position: Position { time, rank }, late, sequence });
        }
        Some(FollowCursor { from: first, places })
    }

    /// The place of `channel`, a stored name, if it was followed.
    pub(crate) fn place(&self, channel: &str) -> Option<Place> {
        self.places.iter().find(|place| place.is_of(channel)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_and_a_changed_one_does_not() {
        let mut places: Vec<Place> =
            ["A", "B+", "é"].map(|name| Place::before(name, Timestamp(i64::MIN))).into();
        places[1].position = Position { time: i64::MAX, rank: 7 };
        places[2] = Place { late: u32::MAX, sequence: u64::MAX, ..places[2] };
        let cursor = FollowCursor { from: Timestamp(-5), places };
        let text = cursor.encode();
        assert_eq!(FollowCursor::decode(&text), Some(cursor.clone()));
        assert_eq!(cursor.place("B+").map(|place| place.position.rank), Some(7));
        assert_eq!(cursor.place("B"), None);
        for i in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[i] = if bytes[i] == b'A' { b'B' } else { b'A' };
            assert_eq!(FollowCursor::decode(std::str::from_utf8(&bytes).unwrap()), None, "byte {i}");
            assert_eq!(FollowCursor::decode(&text[..i]), None);
        }
    }
}
