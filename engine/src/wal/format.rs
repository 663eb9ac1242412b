//! Layout constants of the log.

use disk::{FILE_HEADER_BYTES, FileHeader};

/// Kind and version of a segment file.
pub const SEGMENT_HEADER: FileHeader = FileHeader::new(*b"\x9aVwal\r\n\0", 1, 0);

/// The fields at the beginning of a segment: name, offset, length in bytes.
pub const SEGMENT_FIELDS: [(&str, usize, usize); 7] = [
    ("file header", 0, FILE_HEADER_BYTES),
    ("archive id", 16, 16),
    ("number", 32, 8),
    ("life", 40, 8),
    ("first sequence", 48, 8),
    ("crc", 56, 4),
    ("zero", 60, 4),
];
/// Length of a segment's header: where its first record begins.
pub const SEGMENT_HEADER_BYTES: usize = 64;

/// The fields at the beginning of a record: name, offset, length in bytes.
pub const RECORD_FIELDS: [(&str, usize, usize); 8] = [
    ("marker", 0, 3),
    ("kind", 3, 1),
    ("head crc", 4, 4),
    ("sequence", 8, 8),
    ("received", 16, 8),
    ("durable", 24, 8),
    ("length", 32, 4),
    ("payload crc", 36, 4),
];
/// Length of what precedes a record's payload.
pub const RECORD_HEADER_BYTES: usize = 40;
/// Records begin at multiples of this.
pub const ALIGNMENT: usize = 8;
/// The first bytes of every record.
pub const MARKER: [u8; 3] = [0xd6, b'W', b'r'];
/// Most bytes of one record's payload.
pub const PAYLOAD_BYTES_MAX: usize = 256 << 20;
/// Highest sequence of a record; a thousand records a microsecond would not reach it in a century.
pub const SEQUENCE_MAX: u64 = 1 << 62;
/// Pre-allocated length of a segment unless the settings say otherwise.
pub const SEGMENT_BYTES_DEFAULT: u64 = 64 << 20;

/// Kinds of records; 0 is never used.
pub const RECORD_KINDS: [(&str, u8); 1] = [("batch", KIND_BATCH)];
/// A payload of entries.
pub const KIND_BATCH: u8 = 1;

/// Kinds of entries, bits 0 to 2 of an entry's first byte; 0 is never used.
pub const ENTRY_TAGS: [(&str, u8); 5] = [
    ("sample", TAG_SAMPLE),
    ("event", TAG_EVENT),
    ("metadata", TAG_METADATA),
    ("channel", TAG_CHANNEL),
    ("heartbeat", TAG_HEARTBEAT),
];
/// A sample.
pub const TAG_SAMPLE: u8 = 1;
/// An event.
pub const TAG_EVENT: u8 = 2;
/// Metadata of a channel.
pub const TAG_METADATA: u8 = 3;
/// A channel's record.
pub const TAG_CHANNEL: u8 = 4;
/// A heartbeat.
pub const TAG_HEARTBEAT: u8 = 5;
/// The bits of an entry's first byte that hold its tag.
pub const TAG_MASK: u8 = 0b111;

/// Bits of a sample's first byte.
pub const SAMPLE_FLAGS: [(&str, u8); 4] =
    [("type", HAS_TYPE), ("rank", HAS_RANK), ("alarm", HAS_ALARM), ("parts", HAS_PARTS)];
/// The type byte follows; without it the type is that of the sample before.
pub const HAS_TYPE: u8 = 1 << 3;
/// The rank follows; without it the rank is 0.
pub const HAS_RANK: u8 = 1 << 4;
/// Severity, then status code follow; without them both are 0.
pub const HAS_ALARM: u8 = 1 << 5;
/// The parts byte follows; without it it is 0.
pub const HAS_PARTS: u8 = 1 << 6;

/// Bits of a sample's parts byte.
pub const SAMPLE_PARTS: [(&str, u8); 7] = [
    ("late", LATE),
    ("carry-in", CARRY_IN),
    ("user tag", USER_TAG),
    ("message", MESSAGE),
    ("received", RECEIVED),
    ("metadata unknown", METADATA_UNKNOWN),
    ("pva status", PVA_STATUS),
];
/// The sample is older than the channel's newest.
pub const LATE: u8 = 1 << 0;
/// The sample is a partition's original carry-in.
pub const CARRY_IN: u8 = 1 << 1;
/// A user tag follows.
pub const USER_TAG: u8 = 1 << 2;
/// An alarm message follows.
pub const MESSAGE: u8 = 1 << 3;
/// The receive time follows.
pub const RECEIVED: u8 = 1 << 4;
/// The metadata was not known yet.
pub const METADATA_UNKNOWN: u8 = 1 << 5;
/// The status code is one of pvAccess.
pub const PVA_STATUS: u8 = 1 << 6;

/// Bit of the type byte that says array; the others are the kind's tag.
pub const ARRAY: u8 = 0x80;

const _: () = {
    assert!(SEGMENT_FIELDS[6].1 + SEGMENT_FIELDS[6].2 == SEGMENT_HEADER_BYTES);
    assert!(RECORD_FIELDS[7].1 + RECORD_FIELDS[7].2 == RECORD_HEADER_BYTES);
    assert!(SEGMENT_HEADER_BYTES.is_multiple_of(ALIGNMENT) && RECORD_HEADER_BYTES.is_multiple_of(ALIGNMENT));
    assert!(PAYLOAD_BYTES_MAX < u32::MAX as usize - ALIGNMENT);
};
