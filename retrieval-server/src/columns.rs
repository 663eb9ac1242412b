//! The binary format `columns`, as PROTOCOL.md describes it.

mod decode;
mod decode_bins;
mod decode_chunks;
mod decode_table;
mod encode;
mod encode_chunks;

pub use decode::{Batch, Bins, Block, DecodeError, Decoder, End, Notice, decode};
pub use decode_table::{Table, TableColumn, value_type};
pub(crate) use encode::{BinsHead, bins, end, notice, table};
pub use encode::{append_batch, batch, stream_head};
pub(crate) use encode_chunks::{chunks, lenders};

use disk::contiguous;

/// First bytes of a stream.
pub const MAGIC: [u8; 8] = *b"\x93VCOL\r\n\x1a";
/// Major version; a decoder refuses a greater one.
pub const MAJOR: u16 = 1;
/// Minor version; a decoder skips what it does not know.
pub const MINOR: u16 = 2;

/// The stream's head: field, offset, bytes.
pub const STREAM_HEAD: [(&str, usize, usize); 4] =
    [("magic", 0, 8), ("major", 8, 2), ("minor", 10, 2), ("zero", 12, 4)];
/// Bytes of the stream's head.
pub const STREAM_HEAD_BYTES: usize = 16;

/// A block's head: field, offset, bytes.
pub const BLOCK_HEAD: [(&str, usize, usize); 12] = [
    ("kind", 0, 4),
    ("column_count", 4, 4),
    ("block_bytes", 8, 8),
    ("sample_count", 16, 8),
    ("channel_index", 24, 4),
    ("value_type", 28, 4),
    ("status_domain", 32, 4),
    ("flags", 36, 4),
    ("name_bytes", 40, 4),
    ("json_bytes", 44, 4),
    ("durable_until_ns", 48, 8),
    ("zero", 56, 8),
];
/// Bytes of a block's head.
pub const BLOCK_HEAD_BYTES: usize = 64;

/// A column's entry: field, offset, bytes.
pub const COLUMN_ENTRY: [(&str, usize, usize); 4] =
    [("tag", 0, 4), ("element_type", 4, 4), ("offset", 8, 8), ("bytes", 16, 8)];
/// Bytes of a column's entry.
pub const COLUMN_ENTRY_BYTES: usize = 24;

/// Kind of a block with samples.
pub const KIND_BATCH: u32 = 1;
/// Kind of the last block.
pub const KIND_END: u32 = 2;
/// Kind of a block with bins.
pub const KIND_BINS: u32 = 3;

/// Kind of a block with rows of a table.
pub const KIND_TABLE: u32 = 4;
/// Kind of a block without columns: what else happened in a stream that follows channels.
pub const KIND_NOTICE: u32 = 5;

/// Kind of a block with chunks as they are stored, all of whose samples belong to the answer.
pub const KIND_CHUNKS: u32 = 6;
/// Kind of a block with chunks whose stamps those of later blocks need.
pub const KIND_LENDERS: u32 = 7;

/// Flag of the end block: nothing is missing.
pub const FLAG_COMPLETE: u32 = 1;
/// Flag of a batch: the metadata of its samples was known.
pub const FLAG_METADATA_KNOWN: u32 = 1;
/// Added to a kind's number in `value_type` for arrays.
pub const ARRAY: u32 = 0x100;

/// Column tags; never reused.
pub const TAGS: [(&str, u32); 34] = [
    ("time_ns", 1),
    ("value", 2),
    ("value_offsets", 3),
    ("string_offsets", 4),
    ("severity", 5),
    ("status", 6),
    ("received_ns", 7),
    ("user_tag", 8),
    ("message", 9),
    ("message_offsets", 10),
    ("edge", 11),
    ("descriptor", 12),
    ("held", 13),
    ("stored", 14),
    ("chunk_extents", 15),
    ("start_ns", 32),
    ("width_ns", 33),
    ("count", 34),
    ("mean", 35),
    ("min", 36),
    ("max", 37),
    ("std", 38),
    ("first", 39),
    ("last", 40),
    ("min_ns", 41),
    ("max_ns", 42),
    ("first_ns", 43),
    ("last_ns", 44),
    ("twmean", 45),
    ("covered_ns", 46),
    ("worst_severity", 47),
    ("nonfinite", 48),
    ("invalid", 49),
    ("states_ns", 50),
];

/// The tag of a column of bins, by its name in answers.
pub(crate) fn tag_of_bins(name: &str) -> Option<u32> {
    let name = if name == "severity" { "worst_severity" } else { name };
    TAGS.iter().find(|(known, tag)| *known == name && *tag >= START).map(|(_, tag)| *tag)
}

/// The tag of a column.
pub(crate) const fn tag(index: usize) -> u32 {
    TAGS[index].1
}

pub(crate) const TIME: u32 = tag(0);
pub(crate) const VALUE: u32 = tag(1);
pub(crate) const VALUE_OFFSETS: u32 = tag(2);
pub(crate) const STRING_OFFSETS: u32 = tag(3);
pub(crate) const SEVERITY: u32 = tag(4);
pub(crate) const STATUS: u32 = tag(5);
pub(crate) const RECEIVED: u32 = tag(6);
pub(crate) const USER_TAG: u32 = tag(7);
pub(crate) const MESSAGE: u32 = tag(8);
pub(crate) const MESSAGE_OFFSETS: u32 = tag(9);
pub(crate) const EDGE: u32 = tag(10);
pub(crate) const DESCRIPTOR: u32 = tag(11);
pub(crate) const HELD: u32 = tag(12);
pub(crate) const STORED: u32 = tag(13);
pub(crate) const EXTENTS: u32 = tag(14);
pub(crate) const START: u32 = tag(15);
pub(crate) const STATES: u32 = tag(33);

/// Bytes up to the next multiple of eight.
pub(crate) const fn padding(bytes: usize) -> usize {
    bytes.wrapping_neg() % 8
}

const _: () = assert!(contiguous(&STREAM_HEAD, STREAM_HEAD_BYTES));
const _: () = assert!(contiguous(&BLOCK_HEAD, BLOCK_HEAD_BYTES));
const _: () = assert!(contiguous(&COLUMN_ENTRY, COLUMN_ENTRY_BYTES));
