//! Pages of rows: integers packed relative to the page's least, bytes behind them.

pub(crate) mod build;

use crate::bits::read;
use crate::format::*;
use crate::page::Page;
use crate::slab::SharedPage;

/// What rows are sorted by: rate, channel and a third number (for entries the first time).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Key(pub(crate) u64, pub(crate) u64, pub(crate) i64);

impl Key {
    /// Behind every other.
    pub(crate) const MAX: Key = Key(u64::MAX, u64::MAX, i64::MAX);

    /// Whether the other key is of the same rate and channel.
    pub(crate) fn same_channel(self, other: Key) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}

/// A signed number as an unsigned one in the same order.
pub(crate) fn ordered(number: i64) -> u64 {
    number as u64 ^ 1 << 63
}

/// What [`ordered`] was made from.
pub(crate) fn signed(number: u64) -> i64 {
    (number ^ 1 << 63) as i64
}

/// A leaf whose header has been read.
#[derive(Debug)]
pub(crate) struct Leaf {
    page: SharedPage,
    rows: u16,
    row_bytes: u8,
    bytes_end: u16,
    /// Bits in front of each field in a row.
    shifts: [u16; FIELDS],
}

impl Leaf {
    /// Of a page that passed [`check`].
    #[inline]
    pub(crate) fn new(page: SharedPage) -> Leaf {
        let content: &Page = &page;
        let widths = &content.bytes[WIDTHS_AT..WIDTHS_AT + FIELDS];
        let mut shifts = [0; FIELDS];
        let mut bits = 0;
        for (shift, width) in shifts.iter_mut().zip(widths) {
            *shift = bits;
            bits += u16::from(*width);
        }
        Leaf {
            rows: content.u16(6),
            row_bytes: content.bytes[ROW_BYTES_AT],
            bytes_end: content.u16(18),
            shifts,
            page,
        }
    }

    /// Number of its page.
    pub(crate) fn number(&self) -> u64 {
        self.page.number()
    }

    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        usize::from(self.rows)
    }

    /// The row that begins at a byte of the page, if one does.
    pub(crate) fn row_at(&self, at: usize) -> Option<usize> {
        let inside = at.checked_sub(LEAF_HEADER_BYTES)?;
        let row_bytes = usize::from(self.row_bytes);
        let row = inside.checked_div(row_bytes)?;
        (row < self.rows() && row * row_bytes == inside).then_some(row)
    }

    /// The byte of the page at which a row begins.
    pub(crate) fn place_of(&self, row: usize) -> usize {
        LEAF_HEADER_BYTES + row * usize::from(self.row_bytes)
    }

    /// Whether the next leaf begins with the channel of the last row.
    pub(crate) fn is_continued(&self) -> bool {
        self.page.bytes[CONTINUED_AT] != 0
    }

    /// Field `field` of row `row`.
    #[inline(always)]
    pub(crate) fn field(&self, row: usize, field: usize) -> u64 {
        let page: &[u8; PAGE_BYTES] = &self.page.bytes;
        let base = page[BASES_AT + 8 * field..].first_chunk().map_or(0, |base| u64::from_le_bytes(*base));
        let bit = self.place_of(row) * 8 + usize::from(self.shifts[field]);
        base.wrapping_add(read(page, bit, u32::from(page[WIDTHS_AT + field])))
    }

    /// The key of row `row`.
    #[inline(always)]
    pub(crate) fn key(&self, row: usize) -> Key {
        Key(self.field(row, 0), self.field(row, 1), signed(self.field(row, 2)))
    }

    /// The bytes of row `row`, with those of the rows behind it.
    pub(crate) fn bytes(&self, row: usize) -> &[u8] {
        let at = usize::try_from(self.field(row, PLACE)).unwrap_or(usize::MAX);
        self.page.bytes.get(at..usize::from(self.bytes_end)).unwrap_or_default()
    }

    /// The first row at or behind `key`, perhaps the one behind the last.
    pub(crate) fn lower_bound(&self, key: Key) -> usize {
        let (mut low, mut high) = (0, self.rows());
        while low < high {
            let middle = low.midpoint(high);
            if self.key(middle) < key {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

const ROW_BYTES_AT: usize = LEAF_FIELDS[3].1;
const CONTINUED_AT: usize = LEAF_FIELDS[4].1;
const WIDTHS_AT: usize = LEAF_FIELDS[6].1;
const BASES_AT: usize = LEAF_FIELDS[8].1;
/// The field that says where the bytes of a row begin in the page.
const PLACE: usize = FIELDS - 1;

/// The byte of a leaf at which a row begins.
pub(crate) fn place_of(page: &Page, row: usize) -> usize {
    LEAF_HEADER_BYTES + row * usize::from(page.bytes[ROW_BYTES_AT])
}

/// Asks the memory for the header and for a row at a byte of a page, with what lies behind it: one wait, not two.
#[inline]
pub(crate) fn expect(page: &Page, at: usize) {
    page.expect([0, 64, 128, at, at + 64, at + 128]);
}

/// Whether rows can be read: fields and bytes lie inside the page.
pub(crate) fn check(page: &Page) -> Result<(), &'static str> {
    let widths = &page.bytes[WIDTHS_AT..WIDTHS_AT + FIELDS];
    if widths.iter().any(|width| *width > 64) {
        return Err("a field of a leaf is wider than 64 bits");
    }
    let bits: usize = widths.iter().map(|width| usize::from(*width)).sum();
    let row_bytes = usize::from(page.bytes[ROW_BYTES_AT]);
    if row_bytes != bits.div_ceil(8).max(1) {
        return Err("the rows of a leaf are not as long as their fields");
    }
    if page.count() == 0 || page.count() > PAGE_ROWS_MAX {
        return Err("a leaf has no rows or more than may be");
    }
    let begin = LEAF_HEADER_BYTES + page.count() * row_bytes;
    let (bytes_begin, bytes_end) = (usize::from(page.u16(16)), usize::from(page.u16(18)));
    if begin != bytes_begin || bytes_begin > bytes_end || bytes_end > PAGE_BYTES - LEAF_SLACK_BYTES {
        return Err("the rows of a leaf do not fit it");
    }
    Ok(())
}
