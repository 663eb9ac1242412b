//! Filling leaves.

use super::{INNER_FIELDS, Key, ordered};
use crate::bits::{BitWriter, width_of};
use crate::format::*;
use crate::page::Page;

/// Shared rows behind the newest that are looked through for an equal one.
const SHARED_LOOK_BACK: usize = 4;
/// Bits of the place of a row's bytes while the page grows.
const PLACE_BITS: u32 = PAGE_BYTES.ilog2();

/// What one row holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a> {
    /// Sorted by this; begins the fields.
    pub(crate) key: Key,
    /// The greatest time it covers.
    pub(crate) last: i64,
    /// The fields behind the key.
    pub(crate) fields: &'a [u64],
    /// What it has in common with rows before it.
    pub(crate) shared: &'a [u64],
    /// Bytes that say themselves where they end.
    pub(crate) bytes: &'a [u8],
}

/// A leaf that is being filled.
#[derive(Debug)]
pub(crate) struct LeafBuilder {
    /// Fields of rows, the inner ones not counted.
    own: usize,
    shared: usize,
    /// `own + INNER_FIELDS` numbers a row.
    numbers: Vec<u64>,
    lasts: Vec<i64>,
    /// `shared` numbers a shared row.
    shared_numbers: Vec<u64>,
    bytes: Vec<u8>,
    /// Least and greatest number of each own field, then of each shared one.
    spans: [(u64, u64); FIELDS_MAX],
}

/// A leaf that is full.
pub(crate) struct FullLeaf {
    pub(crate) page: Page,
    pub(crate) rows: usize,
    /// The first key.
    pub(crate) key: Key,
    /// The greatest last time.
    pub(crate) last: i64,
}

const NO_SPAN: (u64, u64) = (u64::MAX, 0);

impl LeafBuilder {
    /// For rows with `own` fields, keys included, and shared rows with `shared` ones.
    pub(crate) fn new(own: usize, shared: usize) -> LeafBuilder {
        LeafBuilder {
            own,
            shared,
            numbers: Vec::new(),
            lasts: Vec::new(),
            shared_numbers: Vec::new(),
            bytes: Vec::new(),
            spans: [NO_SPAN; FIELDS_MAX],
        }
    }

    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.lasts.len()
    }

    fn stride(&self) -> usize {
        self.own + INNER_FIELDS
    }

    /// The key of a row.
    pub(crate) fn key(&self, row: usize) -> Key {
        let numbers = &self.numbers[row * self.stride()..];
        Key(numbers[0], numbers[1], super::signed(numbers[2]))
    }

    /// Adds a row unless the page has no room for it.
    pub(crate) fn push(&mut self, row: &Row<'_>) -> bool {
        debug_assert!(row.fields.len() + 3 == self.own && row.shared.len() == self.shared);
        let shared_rows = self.shared_numbers.len().checked_div(self.shared).unwrap_or(0);
        let known = self.find_shared(row.shared);
        let shared_row = known.unwrap_or(shared_rows);
        let mut spans = self.spans;
        let key = [row.key.0, row.key.1, ordered(row.key.2)];
        let widen = |span: &mut (u64, u64), number: u64| {
            *span = (span.0.min(number), span.1.max(number));
            width_of(span.1 - span.0) as usize
        };
        let mut row_bits = PLACE_BITS as usize + width_of(shared_row as u64) as usize;
        for (span, number) in spans.iter_mut().zip(key.iter().chain(row.fields)) {
            row_bits += widen(span, *number);
        }
        let mut shared_bits = 0;
        for (span, number) in spans[self.own..].iter_mut().zip(row.shared) {
            shared_bits += widen(span, *number);
        }
        let len = LEAF_HEADER_BYTES
            + ((self.rows() + 1) * row_bits).div_ceil(8)
            + ((shared_rows + 1) * shared_bits).div_ceil(8)
            + self.bytes.len()
            + row.bytes.len()
            + LEAF_SLACK_BYTES;
        if len > PAGE_BYTES || self.rows() == PAGE_ROWS_MAX {
            return false;
        }
        self.spans = spans;
        self.numbers.extend_from_slice(&key);
        self.numbers.extend_from_slice(row.fields);
        self.numbers.extend_from_slice(&[shared_row as u64, self.bytes.len() as u64]);
        if known.is_none() {
            self.shared_numbers.extend_from_slice(row.shared);
        }
        self.bytes.extend_from_slice(row.bytes);
        self.lasts.push(row.last);
        true
    }

    fn find_shared(&self, shared: &[u64]) -> Option<usize> {
        if self.shared == 0 {
            return Some(0);
        }
        let rows = self.shared_numbers.chunks_exact(self.shared).enumerate().rev().take(SHARED_LOOK_BACK);
        rows.into_iter().find(|(_, known)| *known == shared).map(|(at, _)| at)
    }

    /// The first row of the last channel, where it is so short that it may go to the next page whole; else
    /// the number of rows.
    pub(crate) fn cut_before_last_channel(&self) -> usize {
        let rows = self.rows();
        let last = self.key(rows - 1);
        let most = rows / 8;
        let first = (rows - most..rows).find(|row| self.key(*row).same_channel(last)).unwrap_or(rows);
        if first > 0 && first > rows - most && first < rows { first } else { rows }
    }

    /// The page of the first `rows` rows, which go; the others begin the next page.
    pub(crate) fn take(&mut self, rows: usize, continued: bool) -> FullLeaf {
        let full = self.encode(rows, continued);
        let kept = LeafBuilder {
            numbers: std::mem::take(&mut self.numbers),
            lasts: std::mem::take(&mut self.lasts),
            shared_numbers: std::mem::take(&mut self.shared_numbers),
            bytes: std::mem::take(&mut self.bytes),
            ..LeafBuilder::new(self.own, self.shared)
        };
        self.spans = [NO_SPAN; FIELDS_MAX];
        for row in rows..kept.rows() {
            let numbers = &kept.numbers[row * kept.stride()..(row + 1) * kept.stride()];
            let shared = numbers[self.own] as usize * self.shared;
            let bytes = kept.bytes_of(row);
            self.push(&Row {
                key: kept.key(row),
                last: kept.lasts[row],
                fields: &numbers[3..self.own],
                shared: &kept.shared_numbers[shared..shared + self.shared],
                bytes: &kept.bytes[bytes],
            });
        }
        full
    }

    fn bytes_of(&self, row: usize) -> std::ops::Range<usize> {
        let place = |row: usize| self.numbers[(row + 1) * self.stride() - 1] as usize;
        place(row)..if row + 1 < self.rows() { place(row + 1) } else { self.bytes.len() }
    }

    fn encode(&self, rows: usize, continued: bool) -> FullLeaf {
        let stride = self.stride();
        let numbers = &self.numbers[..rows * stride];
        let bytes = &self.bytes[..self.bytes_of(rows - 1).end];
        let shared_rows =
            numbers.chunks_exact(stride).map(|row| row[self.own] as usize + 1).max().unwrap_or(0);
        let shared_rows = if self.shared == 0 { 0 } else { shared_rows };
        let shared_numbers = &self.shared_numbers[..shared_rows * self.shared];

        let mut fields = [(0, 0); FIELDS_MAX];
        spans_of(numbers, stride, &mut fields[..stride]);
        let row_bits: usize = fields[..stride].iter().map(|(_, width)| *width as usize).sum();
        let rows_len = (rows * row_bits).div_ceil(8);
        spans_of(shared_numbers, self.shared, &mut fields[stride..stride + self.shared]);
        let shared_bits: usize = fields[stride..].iter().map(|(_, width)| *width as usize).sum();
        let shared_len = (shared_rows * shared_bits).div_ceil(8);
        let bytes_begin = LEAF_HEADER_BYTES + rows_len + shared_len;

        // The places of bytes are counted from the begin of the page.
        fields[stride - 1].0 += bytes_begin as u64;
        let mut page = Page::zeros();
        page.put(16, &(shared_rows as u16).to_le_bytes());
        page.put(18, &(bytes_begin as u16).to_le_bytes());
        page.put(20, &((bytes_begin + bytes.len()) as u16).to_le_bytes());
        page.put(super::CONTINUED_AT, &[u8::from(continued), stride as u8, self.shared as u8]);
        for (at, (base, width)) in fields.iter().enumerate() {
            page.put(super::BASES_AT + 8 * at, &base.to_le_bytes());
            page.put(super::WIDTHS_AT + at, &[*width as u8]);
        }
        fields[stride - 1].0 -= bytes_begin as u64;
        pack(numbers, &fields[..stride], &mut page.bytes[LEAF_HEADER_BYTES..]);
        pack(
            shared_numbers,
            &fields[stride..stride + self.shared],
            &mut page.bytes[LEAF_HEADER_BYTES + rows_len..],
        );
        page.put(bytes_begin, bytes);
        let last = self.lasts[..rows].iter().copied().max().unwrap_or(i64::MIN);
        FullLeaf { page, rows, key: self.key(0), last }
    }
}

/// Base and width of each field.
fn spans_of(numbers: &[u64], stride: usize, fields: &mut [(u64, u32)]) {
    let mut spans = [NO_SPAN; FIELDS_MAX];
    for row in numbers.chunks_exact(stride.max(1)) {
        for (span, number) in spans.iter_mut().zip(row) {
            *span = (span.0.min(*number), span.1.max(*number));
        }
    }
    for (field, (least, greatest)) in fields.iter_mut().zip(spans) {
        if least <= greatest {
            *field = (least, width_of(greatest - least));
        }
    }
}

fn pack(numbers: &[u64], fields: &[(u64, u32)], out: &mut [u8]) {
    let mut writer = BitWriter::new(out);
    for row in numbers.chunks_exact(fields.len().max(1)) {
        row.iter().zip(fields).for_each(|(number, (base, width))| writer.put(number - base, *width));
    }
    writer.finish();
}
