//! What surrounds a record's payload: its number, receive time, durable note, checksums.

use super::format::{ALIGNMENT, MARKER, PAYLOAD_BYTES_MAX, RECORD_FIELDS, RECORD_HEADER_BYTES, SEQUENCE_MAX};
use crate::planted::{Bug, planted};
use disk::{Checksum, Cursor, checksum};
use sample::Timestamp;

const HEAD_CRC_AT: usize = RECORD_FIELDS[2].1;
const SEQUENCE_AT: usize = RECORD_FIELDS[3].1;
const DURABLE_AT: usize = RECORD_FIELDS[5].1;
const LENGTH_AT: usize = RECORD_FIELDS[6].1;
const PAYLOAD_CRC_AT: usize = RECORD_FIELDS[7].1;

/// What a record says about itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordHeader {
    /// Its number in the log; the first record ever has 1.
    pub sequence: u64,
    /// All that was received up to this time is in this record or in earlier ones.
    pub received: Timestamp,
    /// The highest sequence that was durable when this record was written; 0 for none.
    pub durable: u64,
}

/// A record's header as it is read: what it says, with what is needed to check the payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Head {
    pub(super) record: RecordHeader,
    pub(super) kind: u8,
    /// Bytes of payload.
    pub(super) len: usize,
    payload_crc: u32,
}

impl Head {
    /// Bytes of the whole record in the file.
    pub(super) fn record_bytes(&self) -> usize {
        record_bytes(self.len)
    }

    /// Whether `payload` (with the zeros behind it) is what was written.
    pub(super) fn vouches_for(&self, payload: &[u8]) -> bool {
        planted(Bug::NoChecksum) || checksum(payload) == self.payload_crc
    }
}

/// Bytes that a record with `payload_len` bytes of payload takes in the file.
pub(super) const fn record_bytes(payload_len: usize) -> usize {
    RECORD_HEADER_BYTES + payload_len.next_multiple_of(ALIGNMENT)
}

/// Appends a record to `out` that [`seal`] has yet to finish.
///
/// # Panics
/// When the payload is longer than [`PAYLOAD_BYTES_MAX`]; the buffer has refused it before.
pub(super) fn append(out: &mut Vec<u8>, kind: u8, sequence: u64, received: Timestamp, payload: &[u8]) {
    assert!(payload.len() <= PAYLOAD_BYTES_MAX);
    let len = payload.len() as u32;
    let mut head = [0; RECORD_HEADER_BYTES];
    head[..3].copy_from_slice(&MARKER);
    head[3] = kind;
    head[SEQUENCE_AT..SEQUENCE_AT + 8].copy_from_slice(&sequence.to_le_bytes());
    head[SEQUENCE_AT + 8..DURABLE_AT].copy_from_slice(&received.0.to_le_bytes());
    head[LENGTH_AT..PAYLOAD_CRC_AT].copy_from_slice(&len.to_le_bytes());
    out.reserve(record_bytes(payload.len()));
    out.extend_from_slice(&head);
    out.extend_from_slice(payload);
    out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
}

/// Sequence and length in the file of the unsealed or sealed record at the beginning of `bytes`, which
/// [`append`] made.
pub(super) fn peek(bytes: &[u8]) -> (u64, usize) {
    let mut sequence = [0; 8];
    sequence.copy_from_slice(&bytes[SEQUENCE_AT..SEQUENCE_AT + 8]);
    let mut len = [0; 4];
    len.copy_from_slice(&bytes[LENGTH_AT..LENGTH_AT + 4]);
    (u64::from_le_bytes(sequence), record_bytes(u32::from_le_bytes(len) as usize))
}

/// Writes durable note and checksums into the record that is `bytes`, for the segment with this salt.
pub(super) fn seal(bytes: &mut [u8], salt: &Checksum, durable: u64) {
    let payload_crc = checksum(&bytes[RECORD_HEADER_BYTES..]);
    bytes[DURABLE_AT..DURABLE_AT + 8].copy_from_slice(&durable.to_le_bytes());
    bytes[PAYLOAD_CRC_AT..PAYLOAD_CRC_AT + 4].copy_from_slice(&payload_crc.to_le_bytes());
    let crc = head_crc(&bytes[..RECORD_HEADER_BYTES], salt);
    bytes[HEAD_CRC_AT..HEAD_CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
}

/// The checksum of a record's header but for the checksum itself. It covers the payload's checksum, so
/// that salt, header and payload belong together.
fn head_crc(head: &[u8], salt: &Checksum) -> u32 {
    let mut crc = salt.clone();
    crc.update(&head[..HEAD_CRC_AT]);
    crc.update(&head[SEQUENCE_AT..]);
    crc.finish()
}

/// The header at the beginning of `bytes`, if one that belongs to the segment with this salt stands there.
pub(super) fn read_head(bytes: &[u8], salt: &Checksum) -> Option<Head> {
    let head = bytes.get(..RECORD_HEADER_BYTES)?;
    let mut cursor = Cursor::new(head);
    if cursor.array::<3>().ok()? != MARKER {
        return None;
    }
    let kind = cursor.u8().ok()?;
    let crc = cursor.u32().ok()?;
    if !planted(Bug::NoChecksum) && crc != head_crc(head, salt) {
        return None;
    }
    let record = RecordHeader {
        sequence: cursor.u64().ok()?,
        received: Timestamp(cursor.i64().ok()?),
        durable: cursor.u64().ok()?,
    };
    let len = usize::try_from(cursor.u32().ok()?).ok()?;
    let head = Head { record, kind, len, payload_crc: cursor.u32().ok()? };
    // A record cannot know of its own durability: whoever wrote that is not this program.
    let possible = record.durable < record.sequence && record.sequence <= SEQUENCE_MAX;
    (kind != 0 && len <= PAYLOAD_BYTES_MAX && possible).then_some(head)
}
