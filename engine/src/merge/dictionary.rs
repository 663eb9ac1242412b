//! Rows of several tables' dictionaries, channel by channel.

use disk::FormatError;
use sample::ChannelId;
use sstable::{DictionaryRow, Table};
use std::borrow::Borrow;
use std::ops::RangeInclusive;

type TableRows<'a> = Box<dyn Iterator<Item = Result<DictionaryRow, FormatError>> + 'a>;

/// All rows of each of some channels together, channels in ascending order; each row with the place of its
/// table.
pub(crate) struct Rows<'a, T = Table> {
    inputs: &'a [T],
    channels: RangeInclusive<ChannelId>,
    /// Rows behind the next one of each table.
    rest: Vec<TableRows<'a>>,
    next: Vec<Option<DictionaryRow>>,
    begun: bool,
}

impl<'a, T: Borrow<Table>> Rows<'a, T> {
    pub(crate) fn new(inputs: &'a [T], channels: RangeInclusive<ChannelId>) -> Rows<'a, T> {
        let rest =
            inputs.iter().map(|table| Box::new(table.borrow().dictionary()) as TableRows<'a>).collect();
        Rows { inputs, channels, rest, next: inputs.iter().map(|_| None).collect(), begun: false }
    }

    /// Whether no row follows.
    pub(crate) fn is_done(&self) -> bool {
        self.begun && self.next.iter().flatten().all(|row| row.channel > *self.channels.end())
    }

    fn advance(&mut self, at: usize) -> Result<Option<DictionaryRow>, FormatError> {
        let next = self.rest[at].next().transpose()?;
        let before = std::mem::replace(&mut self.next[at], next);
        if let (Some(before), Some(next)) = (&before, &self.next[at])
            && before.channel >= next.channel
        {
            let what = "rows of the dictionary are not in the order of their channels";
            return Err(FormatError::corrupt(self.inputs[at].borrow().path(), 0, what));
        }
        Ok(before)
    }

    fn step(&mut self) -> Result<Option<Vec<(usize, DictionaryRow)>>, FormatError> {
        if !std::mem::replace(&mut self.begun, true) {
            for at in 0..self.inputs.len() {
                self.advance(at)?;
                while self.next[at].as_ref().is_some_and(|row| row.channel < *self.channels.start()) {
                    self.advance(at)?;
                }
            }
        }
        let least = self.next.iter().flatten().map(|row| row.channel).min();
        let Some(channel) = least.filter(|least| self.channels.contains(least)) else { return Ok(None) };
        let mut rows = Vec::new();
        for at in 0..self.inputs.len() {
            if self.next[at].as_ref().is_some_and(|row| row.channel == channel) {
                rows.extend(self.advance(at)?.map(|row| (at, row)));
            }
        }
        Ok(Some(rows))
    }
}

impl<T: Borrow<Table>> Iterator for Rows<'_, T> {
    type Item = Result<Vec<(usize, DictionaryRow)>, FormatError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}

/// Number of the table whose flush a row tells of: what it says is as old as that.
pub(crate) fn as_of(table: &Table, row: &DictionaryRow) -> u64 {
    if row.as_of > 0 { row.as_of } else { table.info().table }
}

/// One row that says what all rows of a channel said.
pub(crate) fn joined_row<T: Borrow<Table>>(inputs: &[T], rows: &[(usize, DictionaryRow)]) -> DictionaryRow {
    let mut by_age: Vec<(u64, &DictionaryRow)> =
        rows.iter().map(|(at, row)| (as_of(inputs[*at].borrow(), row), row)).collect();
    by_age.sort_by_key(|(as_of, _)| *as_of);
    let (newest, last) = by_age[by_age.len() - 1];
    let mut joined = DictionaryRow { as_of: newest, ..DictionaryRow::new(last.channel, last.name.clone()) };
    for (_, row) in by_age {
        for alias in &row.aliases {
            if !joined.aliases.contains(alias) {
                joined.aliases.push(alias.clone());
            }
        }
        if let Some(reading) = row.newest
            && joined.newest.is_none_or(|known| (known.time, known.rank) <= (reading.time, reading.rank))
        {
            joined.newest = Some(reading);
            // Of a channel that has samples in the new table they are those of its samples.
            if !row.types.is_empty() {
                joined.types.clone_from(&row.types);
            }
        }
        joined.next_late_rank = joined.next_late_rank.max(row.next_late_rank);
        joined.first_sample = joined.first_sample.or(row.first_sample);
        joined.archiving = row.archiving.or(joined.archiving);
        // A flush tells of metadata only where they changed.
        if let Some((since, metadata)) = &row.metadata
            && joined.metadata.as_ref().is_none_or(|(known, _)| known <= since)
        {
            joined.metadata = Some((*since, metadata.clone()));
        }
    }
    joined
}
