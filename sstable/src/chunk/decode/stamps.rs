//! Stamps of a chunk's pages.

use super::at;
use crate::chunk::header::{ChunkHeader, ColumnModel};
use crate::codec::integer::overlap;
use crate::codec::time;
use disk::{BytesError, Cursor};
use sample::TimeRange;
use std::borrow::Cow;
use std::ops::Range;

impl ChunkHeader {
    /// The stamps of `pages` alone, for a chunk that refers to them; `times` as for [`ChunkHeader::decode_pages`].
    ///
    /// # Errors
    /// As [`ChunkHeader::decode_pages`]; also when this chunk's stamps are those of another.
    pub fn decode_times(
        &self,
        pages: Range<usize>,
        body: &[u8],
        times: Option<&[i64]>,
    ) -> Result<Vec<i64>, BytesError> {
        let bytes = self.pages_bytes(&pages, body)?;
        self.times_of_pages(&pages, &bytes, self.check_times(&pages, times)?)
    }

    /// The stamps of `pages`, whose bytes are `bytes`, where they need `times`, those of other chunks.
    pub(super) fn times_elsewhere<'t>(
        &self,
        pages: &Range<usize>,
        bytes: &[&[u8]],
        times: Option<&'t [i64]>,
    ) -> Result<Option<Cow<'t, [i64]>>, BytesError> {
        let borrowed = self.check_times(pages, times)?;
        match self.time_model() {
            Some(ColumnModel::TimeReference(_)) => Ok(Some(Cow::Borrowed(borrowed))),
            Some(ColumnModel::Sibling(_)) => {
                self.times_of_pages(pages, bytes, borrowed).map(|times| Some(Cow::Owned(times)))
            }
            _ => Ok(None),
        }
    }

    /// The stamps of `pages`; `borrowed` are those that they need of other chunks.
    fn times_of_pages(
        &self,
        pages: &Range<usize>,
        bytes: &[&[u8]],
        borrowed: &[i64],
    ) -> Result<Vec<i64>, BytesError> {
        let mut times = Vec::with_capacity(self.samples_of(pages.clone()).len());
        for (page, bytes) in pages.clone().zip(bytes) {
            let (model, mut segment) = self.time_segment(page, bytes)?;
            let count = self.samples_of(page..page + 1).len();
            let first = self.pages[page].first.0;
            let read = match model {
                ColumnModel::Sibling(column) => {
                    let (begin, window) = (column.rows_of(pages).start, &column.windows[page]);
                    let sibling = borrowed.get(window.start - begin..window.end - begin);
                    let sibling = sibling.ok_or_else(|| segment.error("rows that the sibling does not have"));
                    sibling.and_then(|sibling| {
                        let firsts = (self.first.0, first);
                        column.model.decode_page(&mut segment, firsts, count, sibling, &mut times)
                    })
                }
                model => decode_stamps(model, &mut segment, first, count, 0..count, &mut times),
            };
            read.and_then(|()| segment.finish()).map_err(|error| at(error, self.pages[page].offset))?;
        }
        Ok(times)
    }

    /// Those of `rows` that lie in `range`, counted from the first of `pages`, with their stamps.
    pub(super) fn times_within(
        &self,
        range: TimeRange,
        rows: &Range<usize>,
        pages: &Range<usize>,
        bytes: &[&[u8]],
    ) -> Result<(Range<usize>, Vec<i64>), BytesError> {
        let start = self.samples_of(pages.clone()).start;
        let mut within: Option<(Range<usize>, Vec<i64>)> = None;
        for (page, bytes) in pages.clone().zip(bytes) {
            let samples = self.samples_of(page..page + 1);
            let (model, mut segment) = self.time_segment(page, bytes)?;
            let first = self.pages[page].first.0;
            let wanted = overlap(rows, samples.start - start, samples.len());
            let found = match model {
                ColumnModel::Time(model) if wanted.len() == samples.len() => {
                    model.decode_within(&mut segment, first, samples.len(), range)
                }
                model => {
                    let mut times = Vec::with_capacity(wanted.len());
                    let from = wanted.start;
                    decode_stamps(model, &mut segment, first, samples.len(), wanted, &mut times).map(|()| {
                        let (rows, times) = time::within(times, range);
                        (from + rows.start..from + rows.end, times)
                    })
                }
            };
            let found = found.and_then(|found| segment.finish().map(|()| found));
            let (rows, times) = found.map_err(|error| at(error, self.pages[page].offset))?;
            let rows = rows.start + samples.start - start..rows.end + samples.start - start;
            match &mut within {
                _ if rows.is_empty() => {}
                None => within = Some((rows, times)),
                Some((known, stamps)) if known.end == rows.start => {
                    known.end = rows.end;
                    stamps.extend(times);
                }
                Some(_) => {
                    return Err(BytesError { position: self.pages[page].offset, what: "stamps decrease" });
                }
            }
        }
        Ok(within.unwrap_or_default())
    }

    /// The model of the stamps, and their segment in a page.
    fn time_segment<'b>(
        &self,
        page: usize,
        bytes: &'b [u8],
    ) -> Result<(&ColumnModel, Cursor<'b>), BytesError> {
        let position = self.pages[page].offset;
        // The tag of time is the least: its segment is the first.
        let Some(model) = self.time_model().filter(|model| {
            matches!(model, ColumnModel::Time(_) | ColumnModel::PcoTime(_) | ColumnModel::Sibling(_))
        }) else {
            let what = "stamps are referred to that are those of another chunk themselves";
            return Err(BytesError { position, what });
        };
        let segment = Cursor::new(bytes).counted_bytes().map_err(|error| at(error, position))?;
        Ok((model, Cursor::new(segment)))
    }

    /// The stamps of other chunks that `pages` need; nothing where they need none.
    fn check_times<'t>(
        &self,
        pages: &Range<usize>,
        times: Option<&'t [i64]>,
    ) -> Result<&'t [i64], BytesError> {
        let wrong = |what| BytesError { position: 0, what };
        let given = || times.ok_or_else(|| wrong("the stamps stand in another chunk, which was not given"));
        match self.time_model() {
            Some(ColumnModel::TimeReference(_)) => {
                let times = given()?;
                let first = self.pages.get(pages.start).map(|page| page.first.0);
                let same = pages.is_empty() || times.first().copied() == first;
                if same && times.len() == self.samples_of(pages.clone()).len() {
                    return Ok(times);
                }
                Err(wrong("the stamps referred to are not those of this chunk"))
            }
            Some(ColumnModel::Sibling(column)) => {
                let times = given()?;
                if times.len() == column.rows_of(pages).len() {
                    return Ok(times);
                }
                Err(wrong("the stamps of a sibling are more or fewer than the pages need"))
            }
            _ => Ok(&[]),
        }
    }
}

/// Appends the stamps `rows` of a page of `count` that begins with `first`.
pub(super) fn decode_stamps(
    model: &ColumnModel,
    segment: &mut Cursor<'_>,
    first: i64,
    count: usize,
    rows: Range<usize>,
    times: &mut Vec<i64>,
) -> Result<(), BytesError> {
    match model {
        ColumnModel::Time(model) => model.decode_rows(segment, first, count, rows, times),
        ColumnModel::PcoTime(column) => {
            let start = times.len();
            let first = (rows.start == 0).then_some(first);
            column.decode(segment, count, rows, times)?;
            time::check_page(segment, first, &times[start..])
        }
        _ => Ok(()),
    }
}
