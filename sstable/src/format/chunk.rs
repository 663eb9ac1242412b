//! Layout constants of chunks, their columns and codecs.

use super::tags;

/// Most samples of a chunk.
pub const CHUNK_SAMPLES_MAX: usize = 8192;
/// Raw value bytes at which a chunk closes; a larger sample is a chunk of its own in parts of this size.
pub const CHUNK_VALUE_BYTES_MAX: usize = 1 << 20;
/// Raw value bytes of the largest sample that can be stored.
pub const SAMPLE_VALUE_BYTES_MAX: usize = 1 << 30;
/// Most array elements of a chunk of several samples, and of a part.
pub(crate) const CHUNK_ELEMENTS_MAX: usize = 1 << 20;
/// Longest chunk header.
pub(crate) const CHUNK_HEADER_BYTES_MAX: usize = 1 << 20;
/// Longest pvAccess type descriptor.
pub(crate) const DESCRIPTOR_BYTES_MAX: usize = 1 << 19;
/// Most chunks of a sibling that a chunk's stamps are differences from.
pub(crate) const SIBLING_CHUNKS_MAX: usize = 16;
/// Binary logarithm of the most samples of a page.
pub(crate) const PAGE_SHIFT_MAX: u8 = 13;
/// Binary logarithm of the samples of a page in the hot profile.
pub(crate) const PAGE_SHIFT_HOT: u8 = 10;
/// Binary logarithm of the samples of a page in the cold profile: each has its own table of codes.
pub(crate) const PAGE_SHIFT_COLD: u8 = 12;
/// The same where pco makes the values smaller in one page, which it reads from the beginning, no further than it is asked
/// to. What is slow to read may be a little larger instead.
pub(crate) const PAGE_SHIFT_DENSE: u8 = 13;
/// Of the samples of a zone, in pages of more.
pub(crate) const ZONE_SHIFT: u8 = 9;
/// Raw value bytes that a page of large values should hold.
pub(crate) const PAGE_VALUE_BYTES: usize = 64 << 10;
/// Longest dictionary of a text column, entries with their lengths.
pub(crate) const TEXT_DICTIONARY_BYTES_MAX: usize = 4 << 10;
/// Longest text that may stand as a constant in the chunk header.
pub(crate) const CONSTANT_TEXT_BYTES_MAX: usize = 4 << 10;

/// First bytes of a chunk.
pub(crate) const CHUNK_MAGIC: [u8; 4] = [0xC3, b'V', b'C', b'K'];

/// The fixed fields that begin a chunk header: name, offset, length in bytes.
pub(crate) const CHUNK_FIELDS: [(&str, usize, usize); 12] = [
    ("magic", 0, 4),
    ("header length", 4, 4),
    ("chunk length", 8, 8),
    ("channel", 16, 8),
    ("first time", 24, 8),
    ("last time", 32, 8),
    ("first rank", 40, 4),
    ("last rank", 44, 4),
    ("count", 48, 4),
    ("flags", 52, 2),
    ("kind", 54, 1),
    ("page shift", 55, 1),
];
/// Length of the fixed fields.
pub(crate) const CHUNK_FIXED_BYTES: usize = 56;
const _: () = {
    let mut at = 0;
    let mut i = 0;
    while i < CHUNK_FIELDS.len() {
        assert!(CHUNK_FIELDS[i].1 == at);
        at += CHUNK_FIELDS[i].2;
        i += 1;
    }
    assert!(at == CHUNK_FIXED_BYTES);
};
const _: () = assert!(CHUNK_SAMPLES_MAX.is_multiple_of(1 << PAGE_SHIFT_MAX));
const _: () =
    assert!(DESCRIPTOR_BYTES_MAX + 4 * TEXT_DICTIONARY_BYTES_MAX < CHUNK_HEADER_BYTES_MAX / 2 + (1 << 18));

/// Bits of the flags of a chunk header: name, bit.
pub(crate) const CHUNK_FLAGS: [(&str, u16); 7] = [
    ("late", FLAG_LATE),
    ("metadata known", FLAG_METADATA_KNOWN),
    ("array", FLAG_ARRAY),
    ("user tag", FLAG_USER_TAG),
    ("message", FLAG_MESSAGE),
    ("received", FLAG_RECEIVED),
    ("pva status", FLAG_PVA),
];
pub(crate) const FLAG_LATE: u16 = 1;
pub(crate) const FLAG_METADATA_KNOWN: u16 = 1 << 1;
pub(crate) const FLAG_ARRAY: u16 = 1 << 2;
pub(crate) const FLAG_USER_TAG: u16 = 1 << 3;
pub(crate) const FLAG_MESSAGE: u16 = 1 << 4;
pub(crate) const FLAG_RECEIVED: u16 = 1 << 5;
pub(crate) const FLAG_PVA: u16 = 1 << 6;

/// Bits of the statistics' first byte: name, bit.
pub(crate) const STATISTICS_FLAGS: [(&str, u8); 4] = [
    ("numeric", STATISTICS_NUMERIC),
    ("finite", STATISTICS_FINITE),
    ("not finite", STATISTICS_NOT_FINITE),
    ("invalid", STATISTICS_INVALID),
];
pub(crate) const STATISTICS_NUMERIC: u8 = 1;
pub(crate) const STATISTICS_FINITE: u8 = 1 << 1;
pub(crate) const STATISTICS_NOT_FINITE: u8 = 1 << 2;
pub(crate) const STATISTICS_INVALID: u8 = 1 << 3;

/// Bit of a column tag that lets a reader which does not know the tag pass over the column.
pub(crate) const COLUMN_OPTIONAL: u8 = 0x80;
/// Bit of a codec that says that the column has a segment in every page.
pub(crate) const CODEC_IN_PAGES: u8 = 0x80;

tags! {
    /// What a column of a chunk holds.
    ColumnTag {
        /// Stamps.
        Time = 1,
        /// Ranks; absent where all are 0.
        Rank = 2,
        /// Values.
        Value = 3,
        /// Severity codes.
        Severity = 4,
        /// Status codes.
        Status = 5,
        /// pvAccess user tags.
        UserTag = 6,
        /// Alarm messages.
        Message = 7,
        /// Receive delays: received minus time.
        Received = 8,
        /// What is known of parts of pages.
        Zones = 0x89,
    }
}

tags! {
    /// How a column is written.
    ColumnCodec {
        /// One value for all samples, in the header.
        Constant = 0x01,
        /// The stamps of another chunk of the same table.
        TimeReference = 0x02,
        /// One large value in parts behind the pages.
        Parts = 0x03,
        /// Times and bounds of zones, in the header.
        ZoneMap = 0x04,
        /// Integers as an integer stream.
        Integers = 0x81,
        /// Floats as integers times or over a factor.
        Scaled = 0x82,
        /// Floats as ordered 32-bit patterns.
        Single = 0x83,
        /// Floats as ordered 64-bit patterns.
        Double = 0x84,
        /// Stamps as deviations from a periodic grid.
        Grid = 0x85,
        /// Stamps as multiples of a unit.
        Steps = 0x86,
        /// Texts as lengths with bytes.
        Text = 0x87,
        /// Texts as indices into a dictionary in the header.
        Dictionary = 0x88,
        /// Arrays as lengths with elements.
        Array = 0x89,
        /// Fixed-width elements through zstd.
        Compressed = 0x8A,
        /// Stamps as differences from those of a sibling in the same table.
        Sibling = 0x8B,
        /// Stamps or numbers through pco, its tables in the header.
        Pco = 0x8C,
        /// As Grid, with strays.
        GridStrays = 0x8D,
        /// As Steps, with strays.
        StepsStrays = 0x8E,
    }
}

tags! {
    /// How a block of an integer stream is written.
    BlockCodec {
        /// Offsets from the least value.
        Frame = 1,
        /// Offsets from the centre, with patches.
        Patched = 2,
        /// Frame of differences.
        FrameDelta = 3,
        /// Patched differences.
        PatchedDelta = 4,
        /// Runs of equal values.
        Runs = 5,
        /// Low bits with an entropy-coded byte above them, all that is left of the stream.
        Split = 6,
        /// Split of differences.
        SplitDelta = 7,
        /// Through pco, all that is left of the stream.
        Pco = 8,
        /// Split with an integer stream of escapes.
        SplitStream = 9,
        /// Split of differences with an integer stream of escapes.
        SplitDeltaStream = 10,
    }
}
