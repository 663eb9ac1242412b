//! Layout constants of everything that FORMAT.md describes.

#[cfg(test)]
mod tests;

use disk::{FILE_HEADER_BYTES, FileHeader, contiguous};

/// The first bytes of a partition index.
pub const PARTITION_MAGIC: [u8; 8] = [0xA7, b'V', b'I', b'D', b'X', 0x0D, 0x0A, 0x1A];
/// The first bytes of a master segment.
pub const MASTER_MAGIC: [u8; 8] = [0xA7, b'V', b'M', b'S', b'T', 0x0D, 0x0A, 0x1A];
/// Magic and version of a partition index.
pub(crate) const PARTITION_FILE: FileHeader = FileHeader::new(PARTITION_MAGIC, 1, 0);
/// Magic and version of a master segment.
pub(crate) const MASTER_FILE: FileHeader = FileHeader::new(MASTER_MAGIC, 1, 0);

/// Length of a page.
pub(crate) const PAGE_BYTES: usize = 16 << 10;
/// Binary logarithm of the most pages of a file.
pub(crate) const PAGE_NUMBER_BITS: u32 = 37;
/// Binary logarithm of the length of a page.
pub(crate) const PLACE_BITS: u32 = PAGE_BYTES.ilog2();
/// Most rows or names of a page.
pub(crate) const PAGE_ROWS_MAX: usize = 2047;
/// Most levels of nodes over the leaves.
pub(crate) const LEVELS_MAX: u8 = 8;
/// Bytes at the end of a leaf that hold nothing, so that a row may be read in 16-byte steps.
pub(crate) const LEAF_SLACK_BYTES: usize = 16;
/// Fields of a row of a leaf, the place of its bytes included.
pub(crate) const FIELDS: usize = 12;
/// Bytes of one line of a hash page.
pub(crate) const LINE_BYTES: usize = 64;
/// Slots of one line.
pub(crate) const LINE_SLOTS: usize = LINE_BYTES / 8;
/// Lines of a hash page behind the first, which holds the page header.
pub(crate) const LINES: usize = PAGE_BYTES / LINE_BYTES - 1;
/// Slots of a hash page.
pub(crate) const HASH_SLOTS: usize = LINES * LINE_SLOTS;

/// Bits of a hash that a slot holds.
pub(crate) const SLOT_TAG_BITS: u32 = 13;
const _: () = assert!(PAGE_NUMBER_BITS + PLACE_BITS + SLOT_TAG_BITS == 64);

/// Length of what begins every page but the first.
pub(crate) const PAGE_HEADER_BYTES: usize = 16;
/// Fields of a page header: name, offset, length in bytes.
pub(crate) const PAGE_FIELDS: [(&str, usize, usize); 5] =
    [("crc", 0, 4), ("kind", 4, 1), ("level", 5, 1), ("count", 6, 2), ("page number", 8, 8)];
const _: () = assert!(contiguous(&PAGE_FIELDS, PAGE_HEADER_BYTES));

/// Length of what begins a leaf, the page header included.
pub(crate) const LEAF_HEADER_BYTES: usize = 136;
/// Fields of a leaf header: name, offset, length in bytes.
pub(crate) const LEAF_FIELDS: [(&str, usize, usize); 9] = [
    ("page header", 0, PAGE_HEADER_BYTES),
    ("bytes begin", 16, 2),
    ("bytes end", 18, 2),
    ("row bytes", 20, 1),
    ("continued", 21, 1),
    ("zeros", 22, 2),
    ("widths", 24, FIELDS),
    ("more zeros", 36, 4),
    ("bases", 40, 8 * FIELDS),
];
const _: () = assert!(contiguous(&LEAF_FIELDS, LEAF_HEADER_BYTES));

/// Length of a row of a node.
pub(crate) const NODE_ROW_BYTES: usize = 40;
/// Most rows of a node.
pub(crate) const NODE_ROWS_MAX: usize = (PAGE_BYTES - PAGE_HEADER_BYTES) / NODE_ROW_BYTES;
/// Fields of a row of a node: name, offset, length in bytes.
pub(crate) const NODE_FIELDS: [(&str, usize, usize); 5] =
    [("rate", 0, 8), ("channel", 8, 8), ("third", 16, 8), ("greatest last time", 24, 8), ("child", 32, 8)];
const _: () = assert!(contiguous(&NODE_FIELDS, NODE_ROW_BYTES));

/// Length of what begins a page of names, the page header included.
pub(crate) const NAMES_HEADER_BYTES: usize = 20;
/// Fields of the header of a page of names: name, offset, length in bytes.
pub(crate) const NAMES_FIELDS: [(&str, usize, usize); 3] =
    [("page header", 0, PAGE_HEADER_BYTES), ("prefix length", 16, 2), ("bytes end", 18, 2)];
const _: () = assert!(contiguous(&NAMES_FIELDS, NAMES_HEADER_BYTES));

/// Length of the fields of the footer; zeros follow up to the end of the page.
pub(crate) const FOOTER_BYTES: usize = 160;
/// Fields of the footer: name, offset, length in bytes.
pub(crate) const FOOTER_FIELDS: [(&str, usize, usize); 18] = [
    ("page header", 0, PAGE_HEADER_BYTES),
    ("magic", 16, 8),
    ("archive", 24, 16),
    ("owner", 40, 8),
    ("root", 48, 8),
    ("levels", 56, 1),
    ("zeros", 57, 7),
    ("rows", 64, 8),
    ("channels", 72, 8),
    ("hash begin", 80, 8),
    ("hash pages", 88, 8),
    ("first time", 96, 8),
    ("last time", 104, 8),
    ("names", 112, 8),
    ("names begin", 120, 8),
    ("names pages", 128, 8),
    ("name hash begin", 136, 8),
    ("name hash pages and more zeros", 144, 16),
];
const _: () = assert!(contiguous(&FOOTER_FIELDS, FOOTER_BYTES));
const _: () = assert!(FILE_HEADER_BYTES <= PAGE_BYTES);

/// Fields of a row of a partition index, in the order of the leaf.
#[cfg(test)]
pub(crate) const ENTRY_FIELDS: [&str; FIELDS - 1] = [
    "rate",
    "channel",
    "first time",
    "span",
    "table",
    "offset",
    "length",
    "slot",
    "count",
    "header length",
    "flags",
];
/// Fields of a row of a master segment, in the order of the leaf.
#[cfg(test)]
pub(crate) const SUMMARY_FIELDS: [&str; FIELDS - 1] = [
    "rate",
    "channel",
    "week",
    "generation",
    "first time",
    "span",
    "entries",
    "page",
    "row in page",
    "count",
    "flags",
];

/// Tags of one table of FORMAT.md: an enum with its tags.
macro_rules! tags {
    ($(#[$outer:meta])* $name:ident { $($(#[$inner:meta])* $variant:ident = $tag:literal,)+ }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        #[repr(u8)]
        pub(crate) enum $name { $($(#[$inner])* $variant = $tag,)+ }

        #[cfg(test)]
        impl $name {
            /// Every one, in the order of FORMAT.md.
            pub(crate) const ALL: [$name; [$($tag),+].len()] = [$($name::$variant),+];
        }
    };
}

tags! {
    /// What a page holds.
    PageKind {
        /// Rows of the tree.
        Leaf = 1,
        /// Pages of the level below with their least keys.
        Node = 2,
        /// Lines of slots.
        Hash = 3,
        /// Names in bytewise order.
        Names = 4,
        /// Where everything is.
        Footer = 5,
    }
}

tags! {
    /// How the values of statistics are written.
    ValueForm {
        /// 8 bytes each.
        Double = 0,
        /// 4 bytes each.
        Single = 1,
        /// Integers.
        Whole = 2,
        /// Integers over 10.
        Tenths = 3,
        /// Integers over 100.
        Hundredths = 4,
        /// Integers over 1000.
        Thousandths = 5,
        /// Integers over 10^4.
        TenThousandths = 6,
        /// Integers over 10^5.
        HundredThousandths = 7,
    }
}

/// Bits of the field `flags` above the two of the worst severity: name, bit.
#[cfg(test)]
pub(crate) const STATISTICS_FLAGS: [(&str, u8); 6] = [
    ("numeric", STATISTICS_NUMERIC),
    ("finite", STATISTICS_FINITE),
    ("not finite", STATISTICS_NOT_FINITE),
    ("invalid", STATISTICS_INVALID),
    ("late or overlapping", STATISTICS_LATE),
    ("ranks", STATISTICS_RANKS),
];
pub(crate) const STATISTICS_NUMERIC: u8 = 1 << 2;
pub(crate) const STATISTICS_FINITE: u8 = 1 << 3;
pub(crate) const STATISTICS_NOT_FINITE: u8 = 1 << 4;
pub(crate) const STATISTICS_INVALID: u8 = 1 << 5;
pub(crate) const STATISTICS_LATE: u8 = 1 << 6;
pub(crate) const STATISTICS_RANKS: u8 = 1 << 7;
/// Flags, but for late and ranks, of a chunk whose statistics stand in the chunk alone: finite values, and no numbers.
pub(crate) const STATISTICS_ELSEWHERE: u8 = STATISTICS_FINITE;
/// Rates from 1 up to this one have no slots in the hash table of channels.
pub(crate) const RECORD_RATES_END: u64 = 1000;
