//! Layout constants of table files with their blocks.

use super::tags;
use disk::{FILE_HEADER_BYTES, FileHeader, contiguous};

/// Magic and version of an SSTable.
pub(crate) const TABLE_FILE: FileHeader =
    FileHeader::new([0xA5, b'V', b'S', b'S', b'T', 0x0D, 0x0A, 0x1A], 1, 2);
/// Minor version from which on the timeline in a carry-in is that of its table: an older program copied fields that it
/// did not know.
pub(crate) const TIMELINES_SINCE_MINOR: u16 = 2;

/// Chunks and records that encode to less are packed into shared blocks.
pub(crate) const SHARED_ENTRY_BYTES_MAX: usize = 4 << 10;
/// A shared block is closed when its payloads reach this size.
pub(crate) const SHARED_BLOCK_BYTES: usize = 64 << 10;
/// A shared block of records is closed when its payloads reach this size: who asks for one channel reads all of it.
pub(crate) const RECORD_BLOCK_BYTES: usize = 16 << 10;
/// Chunks of so many bytes share no block with the records behind them: its first key says which there are.
pub(crate) const CHUNKS_APART_BYTES_MIN: usize = 1 << 10;
/// Most bytes of a block body after decompression.
pub(crate) const UNPACKED_BYTES_MAX: usize = 1 << 20;
/// Longest name of a retention class.
pub(crate) const CLASS_NAME_BYTES_MAX: usize = 64;

/// Length of what begins a table.
pub(crate) const PROLOGUE_BYTES: usize = 128;
/// Fields of the prologue: name, offset, length in bytes.
pub(crate) const PROLOGUE_FIELDS: [(&str, usize, usize); 11] = [
    ("file header", 0, FILE_HEADER_BYTES),
    ("archive", 16, 16),
    ("table", 32, 8),
    ("week", 40, 4),
    ("class", 44, 4),
    ("kind", 48, 1),
    ("class name length", 49, 1),
    ("class name", 50, CLASS_NAME_BYTES_MAX),
    ("known until", 114, 8),
    ("tier", 122, 2),
    ("crc", 124, 4),
];
const _: () = assert!(contiguous(&PROLOGUE_FIELDS, PROLOGUE_BYTES));

/// First bytes of a block.
pub(crate) const BLOCK_MAGIC: [u8; 8] = [0xB7, b'V', b'B', b'L', b'O', b'C', 0x0D, 0x0A];
/// Length of a block header.
pub(crate) const BLOCK_HEADER_BYTES: usize = 32;
/// Fields of a block header: name, offset, length in bytes.
pub(crate) const BLOCK_FIELDS: [(&str, usize, usize); 8] = [
    ("magic", 0, 8),
    ("kind", 8, 1),
    ("compression", 9, 1),
    ("zeros", 10, 2),
    ("entries", 12, 4),
    ("body length", 16, 8),
    ("body crc", 24, 4),
    ("header crc", 28, 4),
];
const _: () = assert!(contiguous(&BLOCK_FIELDS, BLOCK_HEADER_BYTES));

/// First bytes of the footer.
pub(crate) const FOOTER_MAGIC: [u8; 8] = [0xA5, b'V', b'E', b'N', b'D', 0x0D, 0x0A, 0x1A];
/// Length of the footer, the last bytes of the file.
pub(crate) const FOOTER_BYTES: usize = 128;
/// Fields of the footer: name, offset, length in bytes.
pub(crate) const FOOTER_FIELDS: [(&str, usize, usize); 18] = [
    ("magic", 0, 8),
    ("prologue crc", 8, 4),
    ("zeros", 12, 4),
    ("dictionary offset", 16, 8),
    ("index offset", 24, 8),
    ("index length", 32, 8),
    ("blocks", 40, 8),
    ("chunks", 48, 8),
    ("late chunks", 56, 8),
    ("records", 64, 8),
    ("samples", 72, 8),
    ("first time", 80, 8),
    ("last time", 88, 8),
    ("least channel", 96, 8),
    ("greatest channel", 104, 8),
    ("channels", 112, 8),
    ("events reach back", 120, 4),
    ("crc", 124, 4),
];
const _: () = assert!(contiguous(&FOOTER_FIELDS, FOOTER_BYTES));

tags! {
    /// What a block holds.
    BlockKind {
        /// One chunk, which checks itself.
        Chunk = 1,
        /// Small chunks with records, in the order of their keys.
        Shared = 2,
        /// Rows of the channel dictionary.
        Dictionary = 3,
        /// Rows of the block index.
        Index = 4,
        /// Where the table came from.
        Lineage = 5,
    }
}

tags! {
    /// How a block body is compressed.
    Compression {
        /// Not.
        Plain = 1,
        /// Length, then a zstd frame.
        Zstd = 2,
    }
}

tags! {
    /// What a table holds.
    TableTag {
        /// Samples with their events, metadata, carry-ins and channel records.
        Raw = 1,
        /// Decimated rows.
        Decimated = 2,
    }
}
