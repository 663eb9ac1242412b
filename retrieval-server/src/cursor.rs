//! Where a cut answer goes on: an opaque string.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use engine::read::{Order, Position};
use sample::{TimeRange, Timestamp};

/// Layout: version 1, order, then little-endian time, rank, from, to, CRC-32 of the channel's name, CRC-32 of all before.
const BYTES: usize = 1 + 1 + 8 + 4 + 8 + 8 + 4 + 4;

/// A place in one channel's answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Cursor {
    /// The last sample delivered.
    pub position: Position,
    /// Direction of the answer.
    pub order: Order,
    /// Its range, with relative times resolved.
    pub range: TimeRange,
    /// CRC-32 of the stored name.
    channel: u32,
}

impl Cursor {
    /// The place behind `position` in an answer about `channel`, the stored name.
    pub(crate) fn new(channel: &str, range: TimeRange, order: Order, position: Position) -> Cursor {
        Cursor { position, order, range, channel: crc32fast::hash(channel.as_bytes()) }
    }

    /// Whether it was made for `channel`, a stored name.
    pub(crate) fn is_of(&self, channel: &str) -> bool {
        self.channel == crc32fast::hash(channel.as_bytes())
    }

    /// As text for `next`.
    pub(crate) fn encode(&self) -> String {
        let mut bytes = Vec::with_capacity(BYTES);
        bytes.extend([1, u8::from(self.order == Order::Descending)]);
        bytes.extend(self.position.time.to_le_bytes());
        bytes.extend(self.position.rank.to_le_bytes());
        bytes.extend(self.range.from.0.to_le_bytes());
        bytes.extend(self.range.to.0.to_le_bytes());
        bytes.extend(self.channel.to_le_bytes());
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// From the text of an earlier answer; `None` when it is not whole.
    pub(crate) fn decode(text: &str) -> Option<Cursor> {
        let bytes: [u8; BYTES] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (body, sum) = bytes.split_at(BYTES - 4);
        let (&[1, order], body_rest) = (body.first_chunk::<2>()?, &body[2..]) else { return None };
        if crc32fast::hash(body) != u32::from_le_bytes(sum.try_into().ok()?) || order > 1 {
            return None;
        }
        let (time, rest) = body_rest.split_first_chunk()?;
        let (rank, rest) = rest.split_first_chunk()?;
        let (from, rest) = rest.split_first_chunk()?;
        let (to, rest) = rest.split_first_chunk()?;
        let (channel, _) = rest.split_first_chunk()?;
        let range = TimeRange::new(Timestamp(i64::from_le_bytes(*from)), Timestamp(i64::from_le_bytes(*to)));
        let position = Position { time: i64::from_le_bytes(*time), rank: u32::from_le_bytes(*rank) };
        let order = if order == 1 { Order::Descending } else { Order::Ascending };
        Some(Cursor { position, order, range, channel: u32::from_le_bytes(*channel) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_and_a_changed_one_does_not() {
        let range = TimeRange::new(Timestamp(-5), Timestamp(i64::MAX));
        let position = Position { time: 77, rank: u32::MAX };
        let cursor = Cursor::new("A+B", range, Order::Descending, position);
        let text = cursor.encode();
        assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
        assert_eq!(Cursor::decode(&text), Some(cursor));
        assert!(cursor.is_of("A+B") && !cursor.is_of("A B"));
        for i in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[i] = if bytes[i] == b'A' { b'B' } else { b'A' };
            assert_eq!(Cursor::decode(std::str::from_utf8(&bytes).unwrap()), None, "byte {i}");
            assert_eq!(Cursor::decode(&text[..i]), None);
        }
    }
}
