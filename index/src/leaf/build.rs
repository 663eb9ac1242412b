//! Filling leaves.

use super::{Key, signed};
use crate::bits::{pack, row_bytes, width_of};
use crate::format::*;
use crate::page::Page;
use crate::row_bytes::ByteWriter;

/// What one row holds, filled in place: to move it costs as much as to pack it.
#[derive(Debug)]
pub(crate) struct Row {
    /// The key, then the fields behind it, then what the builder fills in.
    pub(crate) numbers: [u64; FIELDS],
    /// The greatest time it covers.
    pub(crate) last: i64,
    /// Bytes that say themselves where they end.
    pub(crate) bytes: ByteWriter,
}

impl Row {
    pub(crate) fn new() -> Row {
        Row { numbers: [0; FIELDS], last: 0, bytes: ByteWriter::new() }
    }

    /// What rows are sorted by.
    pub(crate) fn key(&self) -> Key {
        key_of(&self.numbers)
    }
}

fn key_of(numbers: &[u64; FIELDS]) -> Key {
    Key(numbers[0], numbers[1], signed(numbers[2]))
}

/// How rows are packed.
#[derive(Clone, Copy, Debug)]
struct Layout {
    least: [u64; FIELDS],
    widths: [u8; FIELDS],
    row_bytes: u16,
}

/// Between which numbers each field is, with the layout of rows that holds all between.
#[derive(Debug)]
struct Spans {
    layout: Layout,
    greatest: [u64; FIELDS],
    /// Bits that no number so far needs, relative to the least.
    free: [u64; FIELDS],
}

const NO_SPANS: Spans = Spans {
    layout: Layout { least: [u64::MAX; FIELDS], widths: [0; FIELDS], row_bytes: 1 },
    greatest: [0; FIELDS],
    free: [u64::MAX; FIELDS],
};

impl Spans {
    /// Whether rows stay as they are with these numbers, too.
    fn hold(&self, numbers: &[u64; FIELDS]) -> bool {
        let fields = numbers.iter().zip(&self.layout.least).zip(&self.free);
        let wider = fields.fold(0, |wider, ((number, least), free)| {
            let (above, is_below) = number.overflowing_sub(*least);
            let above = if is_below { u64::MAX } else { above };
            wider | (above & free)
        });
        wider == 0
    }

    /// Takes numbers that do not need wider fields. In a field of 64 bits they may be less than the least: differences
    /// wrap around.
    fn take(&mut self, numbers: &[u64; FIELDS]) {
        for (greatest, number) in self.greatest.iter_mut().zip(numbers) {
            *greatest = (*greatest).max(*number);
        }
    }

    /// Becomes what others are with these numbers, too.
    fn widen(&mut self, others: &Spans, numbers: &[u64; FIELDS]) {
        let mut bits = 0;
        for (field, number) in numbers.iter().enumerate() {
            let least = others.layout.least[field].min(*number);
            let greatest = others.greatest[field].max(*number);
            let width = width_of(greatest - least);
            bits += width;
            (self.layout.least[field], self.greatest[field]) = (least, greatest);
            self.layout.widths[field] = width as u8;
            self.free[field] = u64::MAX.checked_shl(width).unwrap_or(0);
        }
        self.layout.row_bytes = row_bytes(bits) as u16;
    }
}

/// A leaf that is being filled.
#[derive(Debug)]
pub(crate) struct LeafBuilder {
    /// The places of bytes are counted from the first row's.
    rows: Vec<[u64; FIELDS]>,
    lasts: Vec<i64>,
    bytes: Vec<u8>,
    /// Those of all rows.
    spans: Spans,
    /// Room for those with another row.
    wider: Spans,
    /// The first row of the last channel, and the layout of all rows before it.
    last_channel: (usize, Layout),
}

/// What a node says of a leaf.
pub(crate) struct FullLeaf {
    /// The first key.
    pub(crate) key: Key,
    /// The greatest last time.
    pub(crate) last: i64,
}

impl LeafBuilder {
    /// An empty one.
    pub(crate) fn new() -> LeafBuilder {
        LeafBuilder {
            rows: Vec::new(),
            lasts: Vec::new(),
            bytes: Vec::new(),
            spans: NO_SPANS,
            wider: NO_SPANS,
            last_channel: (0, NO_SPANS.layout),
        }
    }

    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.rows.len()
    }

    /// The key of a row.
    pub(crate) fn key(&self, row: usize) -> Key {
        key_of(&self.rows[row])
    }

    /// Adds a row unless the page has no room for it.
    pub(crate) fn push(&mut self, row: &mut Row) -> bool {
        self.push_parts(&mut row.numbers, row.last, row.bytes.as_slice())
    }

    #[inline]
    fn push_parts(&mut self, numbers: &mut [u64; FIELDS], last: i64, row_bytes: &[u8]) -> bool {
        numbers[FIELDS - 1] = self.bytes.len() as u64;
        let is_wider = !self.spans.hold(numbers);
        if is_wider {
            self.wider.widen(&self.spans, numbers);
        }
        let rows = self.rows.len();
        let spans = if is_wider { &self.wider } else { &self.spans };
        let row_len = usize::from(spans.layout.row_bytes);
        let bytes = self.bytes.len() + row_bytes.len() + LEAF_SLACK_BYTES;
        if LEAF_HEADER_BYTES + (rows + 1) * row_len + bytes > PAGE_BYTES || rows == PAGE_ROWS_MAX {
            return false;
        }
        if self.rows.last().is_none_or(|before| before[..2] != numbers[..2]) {
            self.last_channel = (rows, self.spans.layout);
        }
        if is_wider {
            std::mem::swap(&mut self.spans, &mut self.wider);
        } else {
            self.spans.take(numbers);
        }
        self.rows.push(*numbers);
        self.bytes.extend_from_slice(row_bytes);
        self.lasts.push(last);
        true
    }

    /// The first row of the last channel, where it is so short that it may go to the next page whole; else
    /// the number of rows.
    pub(crate) fn cut_before_last_channel(&self) -> usize {
        let (rows, first) = (self.rows.len(), self.last_channel.0);
        if first > 0 && first > rows - rows / 8 { first } else { rows }
    }

    /// Removes all rows, or those before [`LeafBuilder::cut_before_last_channel`]: the others begin the next page.
    pub(crate) fn remove(&mut self, rows: usize) {
        let bytes = self.bytes.split_off(self.place(rows));
        let (numbers, lasts) = (self.rows.split_off(rows), self.lasts.split_off(rows));
        let begin = self.bytes.len();
        self.rows.clear();
        self.lasts.clear();
        self.bytes.clear();
        (self.spans, self.last_channel) = (NO_SPANS, (0, NO_SPANS.layout));
        let place = |row: usize| numbers.get(row).map_or(bytes.len(), |row| row[FIELDS - 1] as usize - begin);
        for (row, last) in lasts.iter().enumerate() {
            self.push_parts(&mut { numbers[row] }, *last, &bytes[place(row)..place(row + 1)]);
        }
    }

    /// Where the bytes of a row begin; those of the one behind the last where all end.
    fn place(&self, row: usize) -> usize {
        self.rows.get(row).map_or(self.bytes.len(), |numbers| numbers[FIELDS - 1] as usize)
    }

    /// Makes `page` that of all rows, or of those before [`LeafBuilder::cut_before_last_channel`].
    pub(crate) fn encode(&self, rows: usize, continued: bool, page: &mut Page) -> FullLeaf {
        let is_cut = rows == self.last_channel.0;
        let layout = if is_cut { &self.last_channel.1 } else { &self.spans.layout };
        let (numbers, bytes) = (&self.rows[..rows], &self.bytes[..self.place(rows)]);
        let Layout { least, widths, row_bytes } = layout;
        let bytes_begin = LEAF_HEADER_BYTES + rows * usize::from(*row_bytes);
        page.bytes.fill(0);
        page.put(16, &(bytes_begin as u16).to_le_bytes());
        page.put(18, &((bytes_begin + bytes.len()) as u16).to_le_bytes());
        page.put(super::ROW_BYTES_AT, &[*row_bytes as u8]);
        page.put(super::CONTINUED_AT, &[u8::from(continued)]);
        page.put(super::WIDTHS_AT, widths);
        for (field, base) in least.iter().enumerate() {
            // The places of bytes are counted from the begin of the page.
            let begin = if field == super::PLACE { bytes_begin as u64 } else { 0 };
            page.put(super::BASES_AT + 8 * field, &(base + begin).to_le_bytes());
        }
        pack(numbers, least, widths, &mut page.bytes[LEAF_HEADER_BYTES..]);
        page.put(bytes_begin, bytes);
        let last = self.lasts[..rows].iter().copied().max().unwrap_or(i64::MIN);
        FullLeaf { key: self.key(0), last }
    }
}

#[cfg(test)]
mod tests;
