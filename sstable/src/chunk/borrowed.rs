//! Stamps of a chunk that stand in other chunks of its table.

use super::header::{ChunkHeader, ColumnModel};
use crate::codec::sibling::SiblingModel;
use crate::format::{CHUNK_SAMPLES_MAX, SIBLING_CHUNKS_MAX};
use disk::{BytesError, Cursor, put_u64, put_varint, put_varint_signed};
use sample::{ChannelId, Timestamp};
use std::ops::Range;

/// A chunk of the same table whose stamps another one needs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TimeReference {
    /// Its channel.
    pub channel: ChannelId,
    /// Time of its first sample.
    pub first: Timestamp,
    /// Its number of samples.
    pub count: u32,
    /// Its [`ChunkHeader::time_hash`].
    pub time_hash: u64,
}

/// A time column of differences from a sibling's stamps.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct SiblingColumn {
    pub(super) model: SiblingModel,
    /// The sibling's chunks in the order of time; its rows are counted through all of them.
    pub(super) chunks: Vec<TimeReference>,
    /// The rows that each page needs.
    pub(super) windows: Vec<Range<usize>>,
}

impl SiblingColumn {
    /// Appends the parameters of the column of a chunk that begins at `first`.
    pub(super) fn put_parameters(&self, first: i64, out: &mut Vec<u8>) {
        put_varint(out, self.chunks.first().map_or(0, |chunk| chunk.channel.0));
        self.model.put(out);
        put_varint(out, self.chunks.len() as u64);
        for chunk in &self.chunks {
            put_varint_signed(out, chunk.first.0.wrapping_sub(first));
            put_varint(out, u64::from(chunk.count));
            put_u64(out, chunk.time_hash);
        }
        for window in &self.windows {
            put_varint(out, window.start as u64);
            put_varint(out, window.len() as u64);
        }
    }

    /// Reads the parameters of the column of a chunk of `channel` with `pages` pages that begins at `first`.
    pub(super) fn parse(
        cursor: &mut Cursor<'_>,
        channel: ChannelId,
        first: Timestamp,
        pages: usize,
    ) -> Result<SiblingColumn, BytesError> {
        let sibling = ChannelId(cursor.varint()?);
        if sibling >= channel {
            return Err(cursor.error("stamps are differences from those of a channel that comes later"));
        }
        let model = SiblingModel::read(cursor)?;
        let count = cursor.count(10)?;
        if !(1..=SIBLING_CHUNKS_MAX).contains(&count) {
            return Err(cursor.error("1 to 16 chunks of a sibling were expected"));
        }
        let mut column = SiblingColumn { model, chunks: Vec::with_capacity(count), windows: Vec::new() };
        for _ in 0..count {
            let first = Timestamp(first.0.wrapping_add(cursor.varint_signed()?));
            let count = u32::try_from(cursor.varint()?).ok();
            let count = count.filter(|count| (1..=CHUNK_SAMPLES_MAX as u32).contains(count));
            let count = count.ok_or_else(|| cursor.error("an impossible number of samples of a sibling"))?;
            column.chunks.push(TimeReference { channel: sibling, first, count, time_hash: cursor.u64()? });
        }
        let rows: u64 = column.chunks.iter().map(|chunk| u64::from(chunk.count)).sum();
        for _ in 0..pages {
            let (start, len) = (cursor.varint()?, cursor.varint()?);
            if start.checked_add(len).is_none_or(|end| end > rows) {
                return Err(cursor.error("a page needs rows that its sibling does not have"));
            }
            column.windows.push(start as usize..(start + len) as usize);
        }
        Ok(column)
    }

    /// The rows that `pages` need together.
    pub(super) fn rows_of(&self, pages: &Range<usize>) -> Range<usize> {
        let windows = self.windows.get(pages.clone()).unwrap_or_default();
        let start = windows.iter().map(|window| window.start).min().unwrap_or(0);
        start..windows.iter().map(|window| window.end).max().unwrap_or(start)
    }

    /// Which samples of which chunk are these rows.
    fn samples_of(&self, rows: &Range<usize>) -> Vec<(TimeReference, Range<usize>)> {
        let (mut needed, mut begin) = (Vec::new(), 0);
        for chunk in &self.chunks {
            let end = begin + chunk.count as usize;
            let (from, to) = (rows.start.max(begin), rows.end.min(end));
            if from < to {
                needed.push((*chunk, from - begin..to - begin));
            }
            begin = end;
        }
        needed
    }
}

impl ChunkHeader {
    /// The chunk with the very same stamps, if they stand there.
    pub fn time_reference(&self) -> Option<TimeReference> {
        match self.time_model() {
            Some(ColumnModel::TimeReference(channel)) => {
                Some(TimeReference { channel: *channel, ..self.as_time_reference() })
            }
            _ => None,
        }
    }

    /// The chunks without which the stamps of this one are not known; none where it holds them itself.
    pub fn time_references(&self) -> Vec<TimeReference> {
        match self.time_model() {
            Some(ColumnModel::Sibling(column)) => column.chunks.clone(),
            _ => self.time_reference().into_iter().collect(),
        }
    }

    /// How other chunks refer to the stamps of this one.
    pub fn as_time_reference(&self) -> TimeReference {
        TimeReference {
            channel: self.channel,
            first: self.first,
            count: self.statistics.count,
            time_hash: self.time_hash,
        }
    }

    /// Over how many chunks the stamps are found: 0 where they stand here, 1 where they are differences from stamps
    /// that stand elsewhere, 2 where they are equal to stamps of either kind. It is less in each chunk referred to.
    pub fn time_depth(&self) -> u8 {
        match self.time_model() {
            Some(ColumnModel::TimeReference(_)) => 2,
            Some(ColumnModel::Sibling(_)) => 1,
            _ => 0,
        }
    }

    /// What [`ChunkHeader::decode_pages`] needs of other chunks for `pages`: the stamps of these samples, one behind
    /// the other.
    pub fn borrowed_times(&self, pages: Range<usize>) -> Vec<(TimeReference, Range<usize>)> {
        match self.time_model() {
            Some(ColumnModel::Sibling(column)) => column.samples_of(&column.rows_of(&pages)),
            Some(ColumnModel::TimeReference(_)) => self
                .time_reference()
                .map(|reference| (reference, self.samples_of(pages)))
                .into_iter()
                .collect(),
            _ => Vec::new(),
        }
    }

    /// The pages that hold `samples`.
    pub fn pages_of(&self, samples: Range<usize>) -> Range<usize> {
        let shift = self.page_shift();
        let end = samples.end.div_ceil(1 << shift).min(self.pages().len());
        (samples.start >> shift).min(end)..end
    }
}
