//! A chunk becomes a block of samples.

mod stamps;

use super::header::{ChunkHeader, ColumnModel, HeaderColumn};
use super::large;
use crate::codec::{Limits, by_class};
use crate::format::*;
use disk::{BytesError, Cursor, checksum};
use sample::{Column, SampleBlock, TimeRange, Timestamp};
use stamps::decode_stamps;
use std::borrow::Cow;
use std::ops::Range;

const LIMITS: Limits = Limits { elements: CHUNK_ELEMENTS_MAX, bytes: CHUNK_VALUE_BYTES_MAX };

impl ChunkHeader {
    /// The samples of `pages`, from `body`, the bytes of [`ChunkHeader::extent_of`] those pages. `times`: the stamps
    /// that [`ChunkHeader::borrowed_times`] asks for, where it does.
    ///
    /// # Errors
    /// When the bytes are damaged (positions count from the chunk's beginning) or `times` is missing or is
    /// not of these pages.
    pub fn decode_pages(
        &self,
        pages: Range<usize>,
        body: &[u8],
        times: Option<&[i64]>,
    ) -> Result<SampleBlock, BytesError> {
        let bytes = self.pages_bytes(&pages, body)?;
        let times = self.times_elsewhere(&pages, &bytes, times)?.map(Cow::into_owned);
        let rows = 0..self.samples_of(pages.clone()).len();
        self.decode_rows(pages, &bytes, body, times, rows)
    }

    /// The samples of `range` alone that are `rows` of the chunk, which lie in `pages`: of pages at the ends the others
    /// are not decoded where that can be. As [`ChunkHeader::decode_pages`] else.
    ///
    /// # Errors
    /// As [`ChunkHeader::decode_pages`].
    pub fn decode_within(
        &self,
        range: TimeRange,
        rows: Range<usize>,
        pages: Range<usize>,
        body: &[u8],
        times: Option<&[i64]>,
    ) -> Result<SampleBlock, BytesError> {
        let bytes = self.pages_bytes(&pages, body)?;
        let start = self.samples_of(pages.clone()).start;
        let rows = rows.start.saturating_sub(start)..rows.end.saturating_sub(start);
        let (rows, times) = match self.times_elsewhere(&pages, &bytes, times)? {
            Some(times) => {
                let before = |end: Timestamp| times.partition_point(|time| *time < end.0);
                let from = before(range.from).clamp(rows.start.min(times.len()), rows.end.min(times.len()));
                let to = before(range.to).clamp(from, rows.end.min(times.len()).max(from));
                (from..to, times[from..to].to_vec())
            }
            None => self.times_within(range, &rows, &pages, &bytes)?,
        };
        self.decode_rows(pages, &bytes, body, Some(times), rows)
    }

    /// Checked bytes of each of `pages`.
    fn pages_bytes<'b>(&self, pages: &Range<usize>, body: &'b [u8]) -> Result<Vec<&'b [u8]>, BytesError> {
        pages.clone().map(|page| self.page_bytes(pages, page, body)).collect()
    }

    /// The samples `rows`, counted from the first of `pages`, whose bytes are `bytes`, and their stamps `times`; or
    /// all of them, without stamps, where those stand here.
    fn decode_rows(
        &self,
        pages: Range<usize>,
        bytes: &[&[u8]],
        body: &[u8],
        times: Option<Vec<i64>>,
        rows: Range<usize>,
    ) -> Result<SampleBlock, BytesError> {
        let without_times = times.is_none();
        // The header was checked to have at most 8192 samples.
        let mut times = times.unwrap_or_else(|| Vec::with_capacity(rows.len()));
        let empty = |column: &HeaderColumn| {
            let mut decoded = self.empty(column);
            if matches!(column.model, ColumnModel::Values(_)) {
                decoded.reserve(rows.len());
            }
            decoded
        };
        let mut segments: Vec<_> = self.columns.iter().map(empty).collect();
        let start = self.samples_of(pages.clone()).start;
        for (page, bytes) in pages.zip(bytes) {
            let samples = self.samples_of(page..page + 1);
            let within = |row: usize| (start + row).clamp(samples.start, samples.end) - samples.start;
            let wanted = within(rows.start)..within(rows.end);
            let position = self.pages[page].offset;
            let mut cursor = Cursor::new(bytes);
            for (column, decoded) in self.columns.iter().zip(&mut segments) {
                if !column.in_pages() {
                    continue;
                }
                let segment = cursor.counted_bytes().map_err(|error| at(error, position))?;
                let position = position + cursor.position() - segment.len();
                let mut segment = Cursor::new(segment);
                let read = match &column.model {
                    model @ (ColumnModel::Time(_) | ColumnModel::PcoTime(_)) if without_times => {
                        let first = self.pages[page].first.0;
                        let all = 0..samples.len();
                        decode_stamps(model, &mut segment, first, samples.len(), all, &mut times)
                    }
                    ColumnModel::Values(model) if wanted.len() == samples.len() => {
                        model.decode(&mut segment, samples.len(), LIMITS, decoded)
                    }
                    ColumnModel::Values(model) => {
                        model.decode_rows(&mut segment, samples.len(), wanted.clone(), LIMITS, decoded)
                    }
                    _ => continue,
                };
                read.and_then(|()| segment.finish()).map_err(|error| at(error, position))?;
            }
            cursor.finish().map_err(|error| at(error, position))?;
        }
        let mut columns = Decoded { time: times, ..Decoded::default() };
        for (column, mut decoded) in self.columns.iter().zip(segments) {
            match &column.model {
                ColumnModel::Constant(one) => decoded = repeat(one, rows.len()),
                ColumnModel::Parts if !rows.is_empty() => decoded = self.decode_parts(body)?,
                _ => {}
            }
            columns.take(column.tag, decoded).map_err(|what| BytesError { position: 0, what })?;
        }
        self.finish(columns, rows.len())
    }

    /// The elements (or, of texts and structures, the bytes) of part `part` of a large value, from the
    /// bytes of the whole chunk; `None` when the value is not in parts or has no such part.
    ///
    /// # Errors
    /// When the part is damaged.
    pub fn decode_part(&self, chunk: &[u8], part: usize) -> Option<Result<Column, BytesError>> {
        let part = self.parts.get(part)?;
        let mut units = large::units_of(self.run.value);
        Some(self.append_part(part, chunk, 0, &mut units).map(|()| units))
    }

    /// Checks the checksum of every page and part of the whole chunk `chunk` without decoding.
    pub(crate) fn check_bytes(&self, chunk: &[u8]) -> Result<(), BytesError> {
        if self.chunk_len != chunk.len() as u64 {
            return Err(BytesError { position: 8, what: "a chunk is not as long as it says" });
        }
        let pages = 0..self.pages.len();
        for page in pages.clone() {
            self.page_bytes(&pages, page, &chunk[self.header_len..])?;
        }
        self.parts.iter().try_for_each(|part| part_bytes(part, chunk, 0).map(drop))
    }

    /// Checked bytes of one of `pages`.
    fn page_bytes<'b>(
        &self,
        pages: &Range<usize>,
        page: usize,
        body: &'b [u8],
    ) -> Result<&'b [u8], BytesError> {
        let start = self.pages.get(pages.start).map_or(0, |first| first.offset);
        let Some(page) = self.pages.get(page) else {
            return Err(BytesError { position: 0, what: "a page that the chunk does not have" });
        };
        let bytes =
            page.offset.checked_sub(start).and_then(|from| body.get(from..from.checked_add(page.len)?));
        let damaged = |what| BytesError { position: page.offset, what };
        let bytes = bytes.ok_or_else(|| damaged("the bytes end inside a page"))?;
        if checksum(bytes) == page.crc { Ok(bytes) } else { Err(damaged("a page fails its checksum")) }
    }

    fn empty(&self, column: &HeaderColumn) -> Column {
        Column::new(self.type_of(column.tag.unwrap_or(ColumnTag::Severity)))
    }

    fn decode_parts(&self, body: &[u8]) -> Result<Column, BytesError> {
        let start = self.pages.first().map_or(0, |page| page.offset);
        let mut units = large::units_of(self.run.value);
        for part in &self.parts {
            self.append_part(part, body, start, &mut units)?;
        }
        large::value_of_units(units, self.run.value)
            .map_err(|error| BytesError { position: self.header_len, what: error.what })
    }

    /// Appends the units of a part; `bytes` begin `start` bytes into the chunk.
    fn append_part(
        &self,
        part: &super::header::Part,
        bytes: &[u8],
        start: usize,
        units: &mut Column,
    ) -> Result<(), BytesError> {
        let bytes = part_bytes(part, bytes, start)?;
        large::decode_part(bytes, self.run.value, part.units, units).map_err(|error| at(error, part.offset))
    }

    fn finish(&self, columns: Decoded, count: usize) -> Result<SampleBlock, BytesError> {
        let mut block = SampleBlock::new(self.run.clone());
        block.received = columns
            .received
            .iter()
            .zip(&columns.time)
            .map(|(delay, time)| delay.wrapping_add(*time))
            .collect();
        block.rank = if columns.rank.is_empty() { vec![0; count] } else { columns.rank };
        block.time = columns.time;
        block.severity = columns.severity;
        block.status = columns.status;
        block.user_tag = columns.user_tag;
        if let Some(values) = columns.values {
            block.values = values;
        }
        if let Some(Column::String(messages)) = columns.message {
            block.message = messages;
        }
        // Whole columns at once: a search that may end early is not vectorised.
        let bits = |codes: &[u8]| codes.iter().fold(0, |any, code| any | code);
        if bits(&block.severity) > 3 {
            return Err(BytesError { position: self.header_len, what: "a severity above 3" });
        }
        if matches!(&block.values, Column::Bool(values) if bits(values) > 1) {
            return Err(BytesError { position: self.header_len, what: "a boolean above 1" });
        }
        Ok(block)
    }
}

/// Checked bytes of a part; `bytes` begin `start` bytes into the chunk.
fn part_bytes<'b>(part: &super::header::Part, bytes: &'b [u8], start: usize) -> Result<&'b [u8], BytesError> {
    let damaged = |what| BytesError { position: part.offset, what };
    let from = part.offset.wrapping_sub(start);
    let bytes = from.checked_add(part.len).and_then(|to| bytes.get(from..to));
    let bytes = bytes.ok_or_else(|| damaged("the bytes end inside a part of a large value"))?;
    if checksum(bytes) == part.crc {
        Ok(bytes)
    } else {
        Err(damaged("a part of a large value fails its checksum"))
    }
}

/// Columns while they are put together.
#[derive(Default)]
struct Decoded {
    time: Vec<i64>,
    rank: Vec<u32>,
    values: Option<Column>,
    severity: Vec<u8>,
    status: Vec<u16>,
    user_tag: Vec<i64>,
    message: Option<Column>,
    received: Vec<i64>,
}

impl Decoded {
    fn take(&mut self, tag: Option<ColumnTag>, column: Column) -> Result<(), &'static str> {
        match (tag, column) {
            (None | Some(ColumnTag::Time | ColumnTag::Zones), _) => {}
            (Some(ColumnTag::Value), column) => self.values = Some(column),
            (Some(ColumnTag::Message), column) => self.message = Some(column),
            (Some(ColumnTag::Rank), Column::UInt32(ranks)) => self.rank = ranks,
            (Some(ColumnTag::Severity), Column::UInt8(codes)) => self.severity = codes,
            (Some(ColumnTag::Status), Column::UInt16(codes)) => self.status = codes,
            (Some(ColumnTag::UserTag), Column::Int64(tags)) => self.user_tag = tags,
            (Some(ColumnTag::Received), Column::Int64(delays)) => self.received = delays,
            _ => return Err("a column of another type than its tag says"),
        }
        Ok(())
    }
}

fn at(error: BytesError, offset: usize) -> BytesError {
    BytesError { position: offset.saturating_add(error.position), what: error.what }
}

/// `count` times the one value of `one`.
fn repeat(one: &Column, count: usize) -> Column {
    let mut column = one.clone();
    by_class!(&mut column,
        integers v => v.resize(count, v[0]),
        floats v => v.resize(count, v[0]),
        texts v => {
            let text = v.data.clone();
            (1..count).for_each(|_| v.push(&text));
            if count == 0 {
                *v = Default::default();
            }
        },
        arrays _ends _elements => {});
    column
}

/// The samples of a chunk that holds its own stamps.
///
/// # Errors
/// When the bytes are damaged or are not exactly one chunk.
pub fn decode(chunk: &[u8]) -> Result<SampleBlock, BytesError> {
    let header = ChunkHeader::parse(chunk)?;
    if header.chunk_len != chunk.len() as u64 {
        return Err(BytesError { position: 8, what: "a chunk is not as long as it says" });
    }
    header.decode_pages(0..header.pages().len(), &chunk[header.header_len..], None)
}

/// The samples of `range` of a chunk that holds its own stamps; only the pages touched are looked at.
///
/// # Errors
/// As [`decode`].
pub fn decode_range(chunk: &[u8], range: TimeRange) -> Result<SampleBlock, BytesError> {
    let header = ChunkHeader::parse(chunk)?;
    let pages = header.pages_touching(range);
    let extent = header.extent_of(pages.clone());
    let body = chunk
        .get(extent.start as usize..extent.end as usize)
        .ok_or(BytesError { position: 8, what: "a chunk is not as long as it says" })?;
    header.decode_within(range, 0..header.count(), pages, body, None)
}
