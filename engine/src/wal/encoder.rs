//! Entries packed into a record's payload.

use super::entry::{Entry, Placement};
use super::format::{
    ARRAY, CARRY_IN, HAS_ALARM, HAS_PARTS, HAS_RANK, HAS_TYPE, LATE, MESSAGE, METADATA_UNKNOWN, PVA_STATUS,
    RECEIVED, TAG_CHANNEL, TAG_EVENT, TAG_HEARTBEAT, TAG_METADATA, TAG_SAMPLE, USER_TAG,
};
use super::value::{put_sized, scalar_bytes};
use disk::{put_bytes, put_varint};
use sample::{ChannelId, Event, EventKind, Metadata, Sample, Severity, StatusDomain, Timestamp, Value};
use sstable::{ChannelRecord, encode_channel_records, encode_events, encode_metadata};
use std::sync::Arc;

/// Descriptors that one batch remembers; further ones are written anew each time.
pub(super) const DESCRIPTORS_MAX: usize = 256;

/// Packs entries into bytes, each as the difference from the one before. Appending to [`super::Buffer`] and
/// [`BatchEncoder::clear`] between batches reuses the memory.
#[derive(Debug, Default)]
pub struct BatchEncoder {
    /// The payload so far; behind [`BatchEncoder::len`] is room for rows, which means nothing.
    bytes: Vec<u8>,
    len: usize,
    entries: u64,
    channel: u64,
    time: i64,
    /// Type byte of the last sample, 0 before the first.
    value_type: u8,
    descriptors: Vec<Arc<[u8]>>,
}

/// The beginning of an entry, put together where it is to stand: bytes that were written one by one elsewhere could
/// not be copied in larger pieces before the processor has finished writing them.
struct Row<'a> {
    room: &'a mut [u8; ROW_ROOM_BYTES],
    len: usize,
}

/// Tag, type, channel, time, rank, severity, status, parts, user tag, receive time, scalar value.
const ROW_BYTES_MAX: usize = 1 + 1 + 10 + 10 + 5 + 1 + 3 + 1 + 10 + 10 + 8;
/// Eight bytes are written at a time, whatever is meant of them.
const ROW_ROOM_BYTES: usize = ROW_BYTES_MAX + 8;
/// Room that is made for rows at a time.
const ROOM_BYTES: usize = 1 << 10;

impl Row<'_> {
    #[inline]
    fn byte(&mut self, byte: u8) {
        self.room[self.len] = byte;
        self.len += 1;
    }

    /// Without a branch on the length, which differs from sample to sample.
    #[inline]
    fn varint(&mut self, mut value: u64) {
        while value >= 1 << 56 {
            self.byte(value as u8 | 0x80);
            value >>= 7;
        }
        let len = (70 - (value | 1).leading_zeros()) as usize / 7;
        let followed = (1u64 << (8 * (len - 1))) - 1;
        let bytes = seven_bits_a_byte(value) | (0x8080_8080_8080_8080 & followed);
        self.scalar(bytes.to_le_bytes(), len);
    }

    #[inline]
    fn difference(&mut self, value: i64, base: i64) {
        let difference = value.wrapping_sub(base);
        self.varint(((difference << 1) ^ (difference >> 63)).cast_unsigned());
    }

    /// Appends the first `len` of eight bytes.
    #[inline]
    fn scalar(&mut self, bytes: [u8; 8], len: usize) {
        self.room[self.len..self.len + 8].copy_from_slice(&bytes);
        self.len += len;
    }
}

impl BatchEncoder {
    /// Without entries.
    pub fn new() -> BatchEncoder {
        BatchEncoder::default()
    }

    /// The payload so far.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of entries so far.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Begins the next batch.
    pub fn clear(&mut self) {
        *self = BatchEncoder { bytes: std::mem::take(&mut self.bytes), ..BatchEncoder::default() };
    }

    /// Room for one row behind the payload.
    #[inline]
    fn row(&mut self) -> Row<'_> {
        let end = self.len + ROW_ROOM_BYTES;
        if self.bytes.len() < end {
            self.bytes.resize(end + ROOM_BYTES, 0);
        }
        let room = self.bytes[self.len..].first_chunk_mut().expect("room was made above");
        Row { room, len: 0 }
    }

    /// Appends what has no bound.
    fn append(&mut self, put: impl FnOnce(&mut Vec<u8>)) {
        self.bytes.truncate(self.len);
        put(&mut self.bytes);
        self.len = self.bytes.len();
    }

    /// Appends a sample.
    #[inline]
    pub fn sample(&mut self, channel: ChannelId, placement: Placement, sample: &Sample) {
        let value_type = type_byte(&sample.value);
        let parts = parts_byte(placement, sample);
        let alarm = sample.severity != Severity::NoAlarm || sample.status.code != 0;
        let type_changes = value_type != self.value_type;
        let (channel_before, time_before) = (self.channel, self.time);
        (self.value_type, self.channel, self.time) = (value_type, channel.0, sample.time.0);
        let mut row = self.row();
        row.byte(
            TAG_SAMPLE
                | flag(type_changes, HAS_TYPE)
                | flag(sample.rank != 0, HAS_RANK)
                | flag(alarm, HAS_ALARM)
                | flag(parts != 0, HAS_PARTS),
        );
        if type_changes {
            row.byte(value_type);
        }
        row.difference(channel.0.cast_signed(), channel_before.cast_signed());
        row.difference(sample.time.0, time_before);
        if sample.rank != 0 {
            row.varint(u64::from(sample.rank));
        }
        if alarm {
            row.byte(sample.severity as u8);
            row.varint(u64::from(sample.status.code));
        }
        if parts != 0 {
            row.byte(parts);
            if let Some(tag) = sample.user_tag {
                row.difference(tag, 0);
            }
            if let Some(received) = sample.received {
                row.difference(received.0, sample.time.0);
            }
        }
        let (scalar, len) = scalar_bytes(&sample.value);
        let is_scalar = len > 0 && sample.message.is_none();
        if is_scalar {
            row.scalar(scalar, len);
        }
        self.len += row.len;
        self.entries += 1;
        if !is_scalar {
            self.sized_parts(sample);
        }
    }

    /// Appends message, descriptor and value, whatever there is.
    fn sized_parts(&mut self, sample: &Sample) {
        if let Some(message) = &sample.message {
            self.append(|bytes| put_bytes(bytes, message));
        }
        if let Value::Structure { descriptor, .. } = &sample.value {
            let same = |known: &Arc<[u8]>| Arc::ptr_eq(known, descriptor) || known == descriptor;
            match self.descriptors.iter().position(same) {
                Some(at) => self.append(|bytes| put_varint(bytes, at as u64 + 1)),
                None => {
                    self.append(|bytes| {
                        put_varint(bytes, 0);
                        put_bytes(bytes, descriptor);
                    });
                    if self.descriptors.len() < DESCRIPTORS_MAX {
                        self.descriptors.push(Arc::clone(descriptor));
                    }
                }
            }
        }
        self.append(|bytes| put_sized(bytes, &sample.value));
    }

    /// Appends an event. A dropped sample in it that is too large for a chunk is left out, as
    /// [`EventKind::Dropped`] allows.
    pub fn event(&mut self, channel: ChannelId, event: &Event) {
        let payload = encode_events(std::slice::from_ref(event)).unwrap_or_else(|_| {
            let mut smaller = event.clone();
            if let EventKind::Dropped { last, .. } = &mut smaller.kind {
                *last = None;
            }
            encode_events(&[smaller]).expect("only a dropped sample can be too large")
        });
        self.payload(TAG_EVENT, channel, &payload);
    }

    /// Appends metadata that holds from `time` on.
    pub fn metadata(&mut self, channel: ChannelId, time: Timestamp, metadata: &Metadata) {
        let payload = encode_metadata(std::slice::from_ref(&(time, metadata.clone())));
        self.payload(TAG_METADATA, channel, &payload);
    }

    /// Appends a channel's record.
    pub fn record(&mut self, channel: ChannelId, record: &ChannelRecord) {
        let payload = encode_channel_records(std::slice::from_ref(record));
        self.payload(TAG_CHANNEL, channel, &payload);
    }

    /// Appends a heartbeat.
    pub fn heartbeat(&mut self, time: Timestamp) {
        let before = std::mem::replace(&mut self.time, time.0);
        let mut row = self.row();
        row.byte(TAG_HEARTBEAT);
        row.difference(time.0, before);
        self.len += row.len;
        self.entries += 1;
    }

    /// Appends any entry.
    pub fn entry(&mut self, entry: &Entry) {
        match entry {
            Entry::Sample { channel, placement, sample } => self.sample(*channel, *placement, sample),
            Entry::Event { channel, event } => self.event(*channel, event),
            Entry::Metadata { channel, time, metadata } => self.metadata(*channel, *time, metadata),
            Entry::Channel { channel, record } => self.record(*channel, record),
            Entry::Heartbeat { time } => self.heartbeat(*time),
        }
    }

    fn payload(&mut self, tag: u8, channel: ChannelId, payload: &[u8]) {
        let before = std::mem::replace(&mut self.channel, channel.0);
        let mut row = self.row();
        row.byte(tag);
        row.difference(channel.0.cast_signed(), before.cast_signed());
        self.len += row.len;
        self.append(|bytes| put_bytes(bytes, payload));
        self.entries += 1;
    }
}

/// The 56 bits of `value`, 7 in each byte.
#[inline]
fn seven_bits_a_byte(value: u64) -> u64 {
    let x = (value & 0x0FFF_FFFF) | ((value & 0x00FF_FFFF_F000_0000) << 4);
    let x = (x & 0x0000_3FFF_0000_3FFF) | ((x & 0x0FFF_C000_0FFF_C000) << 2);
    (x & 0x007F_007F_007F_007F) | ((x & 0x3F80_3F80_3F80_3F80) << 1)
}

#[inline]
fn flag(set: bool, bit: u8) -> u8 {
    if set { bit } else { 0 }
}

#[inline]
fn type_byte(value: &Value) -> u8 {
    let value_type = value.value_type();
    value_type.kind as u8 | flag(value_type.array, ARRAY)
}

#[inline]
fn parts_byte(placement: Placement, sample: &Sample) -> u8 {
    let placement = match placement {
        Placement::InOrder => 0,
        Placement::Late => LATE,
        Placement::CarryIn => CARRY_IN,
    };
    placement
        | flag(sample.user_tag.is_some(), USER_TAG)
        | flag(sample.message.is_some(), MESSAGE)
        | flag(sample.received.is_some(), RECEIVED)
        | flag(!sample.metadata_known, METADATA_UNKNOWN)
        | flag(sample.status.domain == StatusDomain::Pva, PVA_STATUS)
}
