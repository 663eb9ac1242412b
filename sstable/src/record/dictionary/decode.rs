//! Columns of the dictionary as rows.

use super::{DictionaryRow, NewestReading, ValueDescription, references};
use crate::codec::integer;
use crate::codec::text::TextModel;
use crate::format::*;
use crate::record::carry_in::ARCHIVING;
use crate::record::metadata::read_metadata;
use disk::{BytesError, Cursor};
use sample::{BytesColumn, ChannelId, ChannelName, Kind, Timestamp, ValueType};
use std::sync::Arc;

/// The `count` rows of a block with this body.
pub(crate) fn decode_rows(body: &[u8], count: u32) -> Result<Vec<DictionaryRow>, BytesError> {
    let mut columns = Columns::of(body, count)?;
    let mut rows = columns.named()?;
    columns.spans(&mut rows)?;
    columns.readings(&mut rows)?;
    columns.aliases(&mut rows)?;
    columns.types(&mut rows)?;
    columns.states(&mut rows)?;
    columns.numbers(DictionaryField::Samples, &mut rows, |row, number| row.samples = number)?;
    columns.numbers(DictionaryField::Bytes, &mut rows, |row, number| row.bytes = number)?;
    columns.numbers(DictionaryField::AsOf, &mut rows, |row, number| row.as_of = number)?;
    // What does not fit 32 bits was never written.
    columns.numbers(DictionaryField::NextLateRank, &mut rows, |row, number| {
        row.next_late_rank = number as u32
    })?;
    Ok(rows)
}

/// The columns that were not read yet, each at the place of its tag.
struct Columns<'a> {
    count: usize,
    columns: [Option<Cursor<'a>>; DictionaryField::ALL.len() + 1],
}

impl<'a> Columns<'a> {
    fn of(body: &'a [u8], count: u32) -> Result<Columns<'a>, BytesError> {
        let mut cursor = Cursor::new(body);
        if count == 0 || count as usize > DICTIONARY_ROWS_MAX {
            return Err(cursor.error("a block of the dictionary with an impossible number of rows"));
        }
        let mut found = Columns { count: count as usize, columns: Default::default() };
        while !cursor.is_empty() {
            let tag = cursor.u8()?;
            let content = Cursor::new(cursor.counted_bytes()?);
            match DictionaryField::from_tag(tag) {
                Some(field) => {
                    let place = &mut found.columns[field as usize];
                    if place.replace(content).is_some() {
                        return Err(cursor.error("a column of the dictionary stands there twice"));
                    }
                }
                None if tag & FIELD_REQUIRED != 0 => {
                    let what = "a required column of a newer format: use a newer version of the program";
                    return Err(cursor.error(what));
                }
                None => {}
            }
        }
        Ok(found)
    }

    fn take(&mut self, field: DictionaryField) -> Option<Cursor<'a>> {
        self.columns[field as usize].take()
    }

    fn needed(&mut self, field: DictionaryField) -> Result<Cursor<'a>, BytesError> {
        let what = "a block of the dictionary without channels or names";
        self.take(field).ok_or(BytesError { position: 0, what })
    }

    /// Rows with nothing but channel and name.
    fn named(&mut self) -> Result<Vec<DictionaryRow>, BytesError> {
        let mut ids = self.needed(DictionaryField::Channel)?;
        let channels = integers(&mut ids, self.count)?;
        if !channels.is_sorted_by(|a, b| (*a as u64) < (*b as u64)) {
            return Err(ids.error("rows of the dictionary are not in the order of their channels"));
        }
        ids.finish()?;
        let mut cursor = self.needed(DictionaryField::Name)?;
        let names = texts(&mut cursor, self.count)?;
        let row = |(at, id): (usize, i64)| {
            Ok(DictionaryRow::new(ChannelId(id as u64), name(names.get(at), &cursor)?))
        };
        let rows = channels.into_iter().enumerate().map(row).collect::<Result<_, BytesError>>()?;
        cursor.finish()?;
        Ok(rows)
    }

    fn numbers(
        &mut self,
        field: DictionaryField,
        rows: &mut [DictionaryRow],
        set: impl Fn(&mut DictionaryRow, u64),
    ) -> Result<(), BytesError> {
        let Some(mut cursor) = self.take(field) else { return Ok(()) };
        let numbers = integers(&mut cursor, self.count)?;
        rows.iter_mut().zip(numbers).for_each(|(row, number)| set(row, number as u64));
        cursor.finish()
    }

    /// The places of the rows that have what a column holds.
    fn places(&self, cursor: &mut Cursor<'_>) -> Result<Vec<usize>, BytesError> {
        match cursor.u8()? {
            1 => Ok((0..self.count).collect()),
            0 => {
                let bits = cursor.bytes(self.count.div_ceil(8))?;
                Ok((0..self.count).filter(|at| bits[at / 8] >> (at % 8) & 1 != 0).collect())
            }
            _ => Err(cursor.error("a column of the dictionary that does not say which rows have it")),
        }
    }

    fn spans(&mut self, rows: &mut [DictionaryRow]) -> Result<(), BytesError> {
        let Some(mut cursor) = self.take(DictionaryField::Span) else { return Ok(()) };
        let places = self.places(&mut cursor)?;
        let first = integers(&mut cursor, places.len())?;
        let lens = integers(&mut cursor, places.len())?;
        for ((at, first), len) in places.into_iter().zip(first).zip(lens) {
            rows[at].span = Some((Timestamp(first), Timestamp(first.wrapping_add(len))));
        }
        cursor.finish()
    }

    fn readings(&mut self, rows: &mut [DictionaryRow]) -> Result<(), BytesError> {
        let references = references(rows);
        if let Some(mut cursor) = self.take(DictionaryField::Newest) {
            let places = self.places(&mut cursor)?;
            let times = integers(&mut cursor, places.len())?;
            let ranks = integers(&mut cursor, places.len())?;
            for ((at, time), rank) in places.into_iter().zip(times).zip(ranks) {
                let time = Timestamp(references[at].1.wrapping_add(time));
                let rank = u32::try_from(rank).map_err(|_| cursor.error("a rank passes 32 bits"))?;
                rows[at].newest = Some(NewestReading { time, rank, fingerprint: cursor.u64()? });
            }
            cursor.finish()?;
        }
        if let Some(mut cursor) = self.take(DictionaryField::FirstSample) {
            let places = self.places(&mut cursor)?;
            let times = integers(&mut cursor, places.len())?;
            let sequences = integers(&mut cursor, places.len())?;
            for ((at, time), sequence) in places.into_iter().zip(times).zip(sequences) {
                let time = Timestamp(references[at].0.wrapping_add(time));
                rows[at].first_sample = Some((time, sequence as u64));
            }
            cursor.finish()?;
        }
        Ok(())
    }

    fn aliases(&mut self, rows: &mut [DictionaryRow]) -> Result<(), BytesError> {
        let Some(mut cursor) = self.take(DictionaryField::Alias) else { return Ok(()) };
        let counts = self.counts(&mut cursor)?;
        let aliases = texts(&mut cursor, counts.iter().sum())?;
        let mut next = 0;
        for (row, count) in rows.iter_mut().zip(counts) {
            let names = (next..next + count).map(|at| name(aliases.get(at), &cursor));
            row.aliases = names.collect::<Result<_, _>>()?;
            next += count;
        }
        cursor.finish()
    }

    fn types(&mut self, rows: &mut [DictionaryRow]) -> Result<(), BytesError> {
        let Some(mut cursor) = self.take(DictionaryField::Type) else { return Ok(()) };
        let counts = self.counts(&mut cursor)?;
        let mut known = Vec::new();
        for _ in 0..cursor.count(3)? {
            known.push(read_type(Cursor::new(cursor.counted_bytes()?))?);
        }
        let mut places = integers(&mut cursor, counts.iter().sum())?.into_iter();
        for (row, count) in rows.iter_mut().zip(counts) {
            let known = |place: i64| {
                let known = usize::try_from(place).ok().and_then(|place| known.get(place)).cloned();
                known.ok_or_else(|| cursor.error("a type is named that is not there"))
            };
            row.types = places.by_ref().take(count).map(known).collect::<Result<_, _>>()?;
        }
        cursor.finish()
    }

    fn states(&mut self, rows: &mut [DictionaryRow]) -> Result<(), BytesError> {
        if let Some(mut cursor) = self.take(DictionaryField::Archiving) {
            let places = self.places(&mut cursor)?;
            let tags = integers(&mut cursor, places.len())?;
            let since = integers(&mut cursor, places.len())?;
            for ((at, tag), since) in places.into_iter().zip(tags).zip(since) {
                let known = ARCHIVING.iter().find(|(_, known)| *known as i64 == tag);
                let (state, _) = known.ok_or_else(|| cursor.error("an unknown archiving state"))?;
                rows[at].archiving = Some((*state, Timestamp(since)));
            }
            cursor.finish()?;
        }
        if let Some(mut cursor) = self.take(DictionaryField::Metadata) {
            let places = self.places(&mut cursor)?;
            let since = integers(&mut cursor, places.len())?;
            let bytes = texts(&mut cursor, places.len())?;
            for (i, (at, since)) in places.into_iter().zip(since).enumerate() {
                rows[at].metadata = Some((Timestamp(since), read_metadata(Cursor::new(bytes.get(i)))?));
            }
            cursor.finish()?;
        }
        Ok(())
    }

    /// How many of something repeated each row has; all together at most as many as may be.
    fn counts(&self, cursor: &mut Cursor<'_>) -> Result<Vec<usize>, BytesError> {
        let mut left = DICTIONARY_REPEATED_MAX;
        let counts = integers(cursor, self.count)?.into_iter().map(|count| {
            let count = usize::try_from(count).ok().filter(|count| *count <= left);
            let count =
                count.ok_or_else(|| cursor.error("a block of the dictionary with too many of a thing"))?;
            left -= count;
            Ok(count)
        });
        counts.collect()
    }
}

fn integers(cursor: &mut Cursor<'_>, count: usize) -> Result<Vec<i64>, BytesError> {
    let mut out = Vec::with_capacity(count);
    integer::decode(cursor, count, &mut out)?;
    Ok(out)
}

fn texts(cursor: &mut Cursor<'_>, count: usize) -> Result<BytesColumn, BytesError> {
    let mut out = BytesColumn::default();
    // What is longer is not compressed, so that it is there.
    let bytes_max = UNPACKED_BYTES_MAX.max(cursor.remaining());
    TextModel::Text.decode(cursor, count, bytes_max, &mut out)?;
    Ok(out)
}

fn name(bytes: &[u8], cursor: &Cursor<'_>) -> Result<ChannelName, BytesError> {
    let text = std::str::from_utf8(bytes).ok().and_then(|text| ChannelName::stored(text).ok());
    text.ok_or_else(|| cursor.error("a name that no channel may have"))
}

fn read_type(mut cursor: Cursor<'_>) -> Result<ValueDescription, BytesError> {
    let kind = Kind::from_tag(cursor.u8()?).ok_or_else(|| cursor.error("an unknown kind of values"))?;
    let flags = cursor.u8()?;
    let rest = cursor.rest();
    if flags > 3 || (flags & 2 == 0 && !rest.is_empty()) {
        return Err(cursor.error("unknown flags of a type"));
    }
    let descriptor = (flags & 2 != 0).then(|| Arc::from(rest));
    Ok(ValueDescription { value: ValueType { kind, array: flags & 1 != 0 }, descriptor })
}
