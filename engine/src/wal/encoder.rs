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
    bytes: Vec<u8>,
    entries: u64,
    channel: u64,
    time: i64,
    /// Type byte of the last sample, 0 before the first.
    value_type: u8,
    descriptors: Vec<Arc<[u8]>>,
}

/// The beginning of an entry, put together in registers and on the stack.
struct Row {
    bytes: [u8; ROW_BYTES_MAX],
    len: usize,
}

/// Tag, type, channel, time, rank, severity, status, parts, user tag, receive time, scalar value.
const ROW_BYTES_MAX: usize = 1 + 1 + 10 + 10 + 5 + 1 + 3 + 1 + 10 + 10 + 8;

impl Row {
    #[inline]
    fn new() -> Row {
        Row { bytes: [0; ROW_BYTES_MAX], len: 0 }
    }

    #[inline]
    fn byte(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    #[inline]
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.byte(value as u8 | 0x80);
            value >>= 7;
        }
        self.byte(value as u8);
    }

    #[inline]
    fn difference(&mut self, value: i64, base: i64) {
        let difference = value.wrapping_sub(base);
        self.varint(((difference << 1) ^ (difference >> 63)).cast_unsigned());
    }

    /// Appends what was put into it. All of it is copied and the rest cut off: a copy of known length is a few
    /// instructions, one of any length a call.
    #[inline]
    fn append_to(&self, out: &mut Vec<u8>) {
        let end = out.len() + self.len;
        out.extend_from_slice(&self.bytes);
        out.truncate(end);
    }
}

impl BatchEncoder {
    /// Without entries.
    pub fn new() -> BatchEncoder {
        BatchEncoder::default()
    }

    /// The payload so far.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Number of entries so far.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Begins the next batch.
    pub fn clear(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        *self = BatchEncoder { bytes, ..BatchEncoder::default() };
    }

    /// Appends a sample.
    #[inline]
    pub fn sample(&mut self, channel: ChannelId, placement: Placement, sample: &Sample) {
        let value_type = type_byte(&sample.value);
        let parts = parts_byte(placement, sample);
        let alarm = sample.severity != Severity::NoAlarm || sample.status.code != 0;
        let mut row = Row::new();
        row.byte(
            TAG_SAMPLE
                | flag(value_type != self.value_type, HAS_TYPE)
                | flag(sample.rank != 0, HAS_RANK)
                | flag(alarm, HAS_ALARM)
                | flag(parts != 0, HAS_PARTS),
        );
        if value_type != self.value_type {
            row.byte(value_type);
            self.value_type = value_type;
        }
        self.place(&mut row, channel);
        self.date(&mut row, sample.time);
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
        if len > 0 && sample.message.is_none() {
            row.bytes[row.len..row.len + 8].copy_from_slice(&scalar);
            row.len += len;
            row.append_to(&mut self.bytes);
        } else {
            row.append_to(&mut self.bytes);
            self.sized_parts(sample);
        }
        self.entries += 1;
    }

    /// Appends message, descriptor and value, whatever there is.
    fn sized_parts(&mut self, sample: &Sample) {
        if let Some(message) = &sample.message {
            put_bytes(&mut self.bytes, message);
        }
        if let Value::Structure { descriptor, .. } = &sample.value {
            let same = |known: &Arc<[u8]>| Arc::ptr_eq(known, descriptor) || known == descriptor;
            match self.descriptors.iter().position(same) {
                Some(at) => put_varint(&mut self.bytes, at as u64 + 1),
                None => {
                    put_varint(&mut self.bytes, 0);
                    put_bytes(&mut self.bytes, descriptor);
                    if self.descriptors.len() < DESCRIPTORS_MAX {
                        self.descriptors.push(Arc::clone(descriptor));
                    }
                }
            }
        }
        put_sized(&mut self.bytes, &sample.value);
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
        let mut row = Row::new();
        row.byte(TAG_HEARTBEAT);
        self.date(&mut row, time);
        row.append_to(&mut self.bytes);
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
        let mut row = Row::new();
        row.byte(tag);
        self.place(&mut row, channel);
        row.append_to(&mut self.bytes);
        put_bytes(&mut self.bytes, payload);
        self.entries += 1;
    }

    #[inline]
    fn place(&mut self, row: &mut Row, channel: ChannelId) {
        row.difference(channel.0.cast_signed(), self.channel.cast_signed());
        self.channel = channel.0;
    }

    #[inline]
    fn date(&mut self, row: &mut Row, time: Timestamp) {
        row.difference(time.0, self.time);
        self.time = time.0;
    }
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
