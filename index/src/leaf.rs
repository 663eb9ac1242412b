//! Pages of rows: integers packed relative to the page's least, bytes behind them.

pub(crate) mod build;

use crate::bits::read;
use crate::format::*;
use crate::page::Page;
use std::sync::Arc;

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

/// One field of all rows of a page.
#[derive(Clone, Copy, Debug, Default)]
struct Field {
    base: u64,
    /// Bits in front of it in a row.
    shift: usize,
    width: u32,
}

/// A leaf whose header has been read.
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    pub(crate) page: Arc<Page>,
    fields: [Field; FIELDS_MAX],
    /// Fields of a row; those of shared rows follow.
    row_fields: usize,
    row_bits: usize,
    rows: usize,
    shared_rows: usize,
    /// First bit of the shared rows.
    shared_begin: usize,
    shared_bits: usize,
    bytes_end: usize,
}

impl Leaf {
    /// Of a page that passed [`check`].
    pub(crate) fn new(page: Arc<Page>) -> Leaf {
        let (row_fields, shared_fields) = field_counts(&page);
        let mut fields = [Field::default(); FIELDS_MAX];
        let (mut row_bits, mut shared_bits) = (0, 0);
        for (at, field) in fields.iter_mut().enumerate().take((row_fields + shared_fields).min(FIELDS_MAX)) {
            let width = u32::from(page.bytes[WIDTHS_AT + at]);
            let bits = if at < row_fields { &mut row_bits } else { &mut shared_bits };
            *field = Field { base: page.u64(BASES_AT + 8 * at), shift: *bits, width };
            *bits += width as usize;
        }
        let rows = page.count();
        Leaf {
            fields,
            row_fields,
            row_bits,
            rows,
            shared_rows: usize::from(page.u16(16)),
            shared_begin: (LEAF_HEADER_BYTES + (rows * row_bits).div_ceil(8)) * 8,
            shared_bits,
            bytes_end: usize::from(page.u16(20)),
            page,
        }
    }

    /// Number of its page.
    pub(crate) fn number(&self) -> u64 {
        self.page.number()
    }

    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Whether the next leaf begins with the channel of the last row.
    pub(crate) fn is_continued(&self) -> bool {
        self.page.bytes[CONTINUED_AT] != 0
    }

    /// Whether rows have so many fields of their own, and shared rows so many.
    pub(crate) fn has_fields(&self, own: usize, shared: usize) -> bool {
        field_counts(&self.page) == (own + INNER_FIELDS, shared)
    }

    /// Field `field` of row `row`.
    #[inline]
    pub(crate) fn field(&self, row: usize, field: usize) -> u64 {
        let Field { base, shift, width } = self.fields[field];
        if width == 0 {
            return base;
        }
        base.wrapping_add(read(&self.page.bytes, LEAF_HEADER_BYTES * 8 + row * self.row_bits + shift, width))
    }

    /// The key of row `row`.
    #[inline]
    pub(crate) fn key(&self, row: usize) -> Key {
        Key(self.field(row, 0), self.field(row, 1), signed(self.field(row, 2)))
    }

    /// The number of the shared row that row `row` names, if there is one.
    pub(crate) fn shared_row(&self, row: usize) -> Option<usize> {
        let shared = self.field(row, self.row_fields - INNER_FIELDS);
        usize::try_from(shared).ok().filter(|shared| *shared < self.shared_rows)
    }

    /// Field `field` of shared row `shared`.
    pub(crate) fn shared_field(&self, shared: usize, field: usize) -> u64 {
        let Field { base, shift, width } = self.fields[self.row_fields + field];
        base.wrapping_add(read(
            &self.page.bytes,
            self.shared_begin + shared * self.shared_bits + shift,
            width,
        ))
    }

    /// The bytes of row `row`, with those of the rows behind it.
    pub(crate) fn bytes(&self, row: usize) -> &[u8] {
        let at = usize::try_from(self.field(row, self.row_fields - 1)).unwrap_or(usize::MAX);
        self.page.bytes.get(at..self.bytes_end).unwrap_or_default()
    }

    /// The first row at or behind `key`, perhaps the one behind the last.
    pub(crate) fn lower_bound(&self, key: Key) -> usize {
        let (mut low, mut high) = (0, self.rows);
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

const BASES_AT: usize = LEAF_FIELDS[8].1;
const WIDTHS_AT: usize = LEAF_FIELDS[9].1;
const CONTINUED_AT: usize = LEAF_FIELDS[4].1;
/// Fields of a row behind its own: the shared row's number, where its bytes begin.
pub(crate) const INNER_FIELDS: usize = 2;

fn field_counts(page: &Page) -> (usize, usize) {
    (usize::from(page.bytes[23]), usize::from(page.bytes[24]))
}

/// Whether rows can be read: fields and bytes lie inside the page.
pub(crate) fn check(page: &Page) -> Result<(), &'static str> {
    let (own, shared) = field_counts(page);
    if own < 3 + INNER_FIELDS || own + shared > FIELDS_MAX {
        return Err("a leaf has too few fields or too many");
    }
    if page.bytes[WIDTHS_AT..WIDTHS_AT + FIELDS_MAX].iter().any(|width| *width > 64) {
        return Err("a field of a leaf is wider than 64 bits");
    }
    if page.count() == 0 || page.count() > PAGE_ROWS_MAX {
        return Err("a leaf has no rows or more than may be");
    }
    let width = |fields: std::ops::Range<usize>| -> usize {
        page.bytes[WIDTHS_AT..][fields].iter().map(|width| usize::from(*width)).sum()
    };
    let rows = (page.count() * width(0..own)).div_ceil(8);
    let shared_rows = (usize::from(page.u16(16)) * width(own..own + shared)).div_ceil(8);
    let begin = LEAF_HEADER_BYTES + rows + shared_rows;
    let (bytes_begin, bytes_end) = (usize::from(page.u16(18)), usize::from(page.u16(20)));
    if begin != bytes_begin || bytes_begin > bytes_end || bytes_end > PAGE_BYTES - LEAF_SLACK_BYTES {
        return Err("the rows of a leaf do not fit it");
    }
    Ok(())
}
