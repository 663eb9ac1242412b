//! Filling leaves.

use super::{Key, signed};
use crate::bits::{pack, row_bytes, width_of};
use crate::format::*;
use crate::page::Page;
use crate::row_bytes::ByteWriter;

/// What one row holds, filled where it stays: to move what was just written costs as much as to pack it.
#[derive(Debug)]
pub(crate) struct Row<'l> {
    /// The key, then the fields behind it, then what the builder fills in.
    pub(crate) numbers: &'l mut [u64; FIELDS],
    /// The greatest time it covers.
    pub(crate) last: &'l mut i64,
    /// Bytes that say themselves where they end.
    pub(crate) bytes: &'l mut ByteWriter,
}

impl Row<'_> {
    /// What rows are sorted by.
    pub(crate) fn key(&self) -> Key {
        key_of(self.numbers)
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

/// Between which numbers each field is.
#[derive(Clone, Copy, Debug)]
struct Spans {
    least: [u64; FIELDS],
    greatest: [u64; FIELDS],
}

impl Spans {
    /// Of no rows.
    const NONE: Spans = Spans { least: [u64::MAX; FIELDS], greatest: [0; FIELDS] };

    /// Those of more rows, too.
    fn with(mut self, rows: &[[u64; FIELDS]]) -> Spans {
        for field in 0..FIELDS {
            let (mut least, mut greatest) = (self.least[field], self.greatest[field]);
            for row in rows {
                least = least.min(row[field]);
                greatest = greatest.max(row[field]);
            }
            (self.least[field], self.greatest[field]) = (least, greatest);
        }
        self
    }

    /// How rows are packed that are all there are.
    fn layout(&self) -> Layout {
        let mut widths = [0; FIELDS];
        let mut bits = 0;
        for (width, (least, greatest)) in widths.iter_mut().zip(self.least.iter().zip(&self.greatest)) {
            let needed = width_of(greatest.wrapping_sub(*least));
            bits += needed;
            *width = needed as u8;
        }
        Layout { least: self.least, widths, row_bytes: row_bytes(bits) as u16 }
    }
}

/// Rows whose room is looked at together: one by one it takes longer than to pack them.
const ROWS_AT_ONCE: usize = 8;

/// A leaf that is being filled.
#[derive(Debug)]
pub(crate) struct LeafBuilder {
    /// Number of rows; behind them is the one that is put together, then room.
    count: usize,
    /// The places of bytes are counted from the first row's.
    rows: Vec<[u64; FIELDS]>,
    lasts: Vec<i64>,
    bytes: ByteWriter,
    /// Of the first [`ROWS_AT_ONCE`] rows, of the first twice as many, and so on.
    spans: Vec<Spans>,
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
        let (rows, lasts) = (vec![[0; FIELDS]; ROWS_AT_ONCE + 1], vec![i64::MIN; ROWS_AT_ONCE + 1]);
        LeafBuilder { count: 0, rows, lasts, bytes: ByteWriter::new(), spans: Vec::new() }
    }

    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.count
    }

    /// The key of a row.
    pub(crate) fn key(&self, row: usize) -> Key {
        key_of(&self.rows[row])
    }

    /// Begins the next row, or begins it anew.
    #[inline]
    pub(crate) fn next_row(&mut self) -> Row<'_> {
        self.bytes.begin_row();
        let at = self.count;
        Row { numbers: &mut self.rows[at], last: &mut self.lasts[at], bytes: &mut self.bytes }
    }

    /// Adds the row that [`LeafBuilder::next_row`] began. Says how many rows the page has room for where it has been
    /// found to have none for all.
    #[inline]
    pub(crate) fn push(&mut self) -> Option<usize> {
        self.rows[self.count][FIELDS - 1] = self.bytes.end_row() as u64;
        self.count += 1;
        if !self.count.is_multiple_of(ROWS_AT_ONCE) {
            return None;
        }
        if self.rows.len() <= self.count + ROWS_AT_ONCE {
            self.rows.resize(2 * (self.count + ROWS_AT_ONCE), [0; FIELDS]);
            self.lasts.resize(self.rows.len(), i64::MIN);
        }
        self.look_at_room()
    }

    fn look_at_room(&mut self) -> Option<usize> {
        let rows = self.rows();
        let spans = self.spans_of(rows);
        if self.has_room(rows, &spans.layout()) {
            self.spans.push(spans);
            None
        } else {
            Some(self.rows_with_room())
        }
    }

    /// The most rows, from the first on, for which the page has room.
    pub(crate) fn rows_with_room(&self) -> usize {
        let mut rows = self.rows();
        while rows > 1 && !self.has_room(rows, &self.spans_of(rows).layout()) {
            rows -= 1;
        }
        rows
    }

    fn has_room(&self, rows: usize, layout: &Layout) -> bool {
        let bytes = self.place(rows) + LEAF_SLACK_BYTES;
        let needed = LEAF_HEADER_BYTES + rows * usize::from(layout.row_bytes) + bytes;
        needed <= PAGE_BYTES && rows <= PAGE_ROWS_MAX
    }

    /// The spans of the first rows.
    fn spans_of(&self, rows: usize) -> Spans {
        let known = self.spans.len().min(rows / ROWS_AT_ONCE);
        let spans = known.checked_sub(1).map_or(Spans::NONE, |last| self.spans[last]);
        spans.with(&self.rows[known * ROWS_AT_ONCE..rows])
    }

    /// Where of the first rows, behind which others follow, the last channel begins, if so few are its that they may go
    /// to the next page whole; else the number of rows.
    pub(crate) fn cut_before_last_channel(&self, rows: usize) -> usize {
        let last = self.key(rows - 1);
        let others = (0..rows).rev().find(|row| !self.key(*row).same_channel(last));
        match others {
            Some(before) if before + 1 > rows - rows / 8 => before + 1,
            _ => rows,
        }
    }

    /// Removes the first rows: the others begin the next page.
    pub(crate) fn remove(&mut self, rows: usize) {
        let begin = self.place(rows);
        self.bytes.remove(begin);
        self.lasts.copy_within(rows..self.count, 0);
        self.rows.copy_within(rows..self.count, 0);
        self.count -= rows;
        let kept = self.count;
        for numbers in &mut self.rows[..kept] {
            numbers[FIELDS - 1] -= begin as u64;
        }
        self.spans.clear();
        for known in 1..=kept / ROWS_AT_ONCE {
            self.spans.push(self.spans_of(known * ROWS_AT_ONCE));
        }
    }

    /// Where the bytes of a row begin; those of the one behind the last where all end.
    fn place(&self, row: usize) -> usize {
        if row < self.rows() { self.rows[row][FIELDS - 1] as usize } else { self.bytes.rows().len() }
    }

    /// Makes `page` that of the first rows, for which it has room.
    pub(crate) fn encode(&self, rows: usize, continued: bool, page: &mut Page) -> FullLeaf {
        let layout = self.spans_of(rows).layout();
        let (numbers, bytes) = (&self.rows[..rows], &self.bytes.rows()[..self.place(rows)]);
        let Layout { least, widths, row_bytes } = &layout;
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
