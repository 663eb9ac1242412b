//! Several tables of one week, class and kind become one, channel by channel in bounded memory.

mod choice;
mod dictionary;
mod dropped;
mod lane;
mod records;
mod swap;
#[cfg(test)]
mod tests;

pub(crate) use choice::{Due, due, staying};
pub(crate) use dictionary::{Rows, as_of, joined_row};
pub(crate) use dropped::{remove_dropped, waiting_bytes};
pub(crate) use lane::Copied;
pub(crate) use swap::{
    Outcome, Replaced, carry_out, dropped, joined_lineage, may_be_live, open, recount, remove,
};

use crate::limits::MERGE_SYNC_BYTES;
use crate::planted::{Bug, planted};
use disk::FormatError;
use lane::{Chunk, Lane};
use sample::ChannelId;
use sstable::{DictionaryRow, Table, TableSummary, TableWriter};
use std::ops::RangeInclusive;

/// What was taken from one table; in the end it must be all of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Taken {
    pub(crate) samples: u64,
    pub(crate) records: u64,
}

/// Which channels of which tables become one table, and how.
pub(crate) struct Portion<'a> {
    /// The tables, in the order in which they were flushed.
    pub(crate) inputs: &'a [Table],
    /// Which chunks of each are copied.
    pub(crate) copied: &'a [Copied],
    /// The first channel.
    pub(crate) from: ChannelId,
    /// No further channel begins behind so many bytes.
    pub(crate) bytes_max: u64,
}

/// A table that was made of a portion.
pub(crate) struct Joined {
    /// What it holds, in numbers.
    pub(crate) summary: TableSummary,
    /// The last channel in it, unless it is all that there was.
    pub(crate) through: Option<ChannelId>,
    /// What was taken from each input.
    pub(crate) taken: Vec<Taken>,
}

/// Writes all that `inputs` hold, given in the order in which they were flushed, with `writer`. `None` when
/// `stop` asked for the end, which is looked at between chunks; the file is unfinished then.
///
/// # Errors
/// The disk's; damage of an input, with its file.
fn join(
    inputs: &[Table],
    writer: TableWriter,
    stop: &dyn Fn() -> bool,
) -> Result<Option<TableSummary>, FormatError> {
    let copied = vec![Copied::Large; inputs.len()];
    let portion = Portion { inputs, copied: &copied, from: ChannelId(0), bytes_max: u64::MAX };
    let Some(joined) = join_portion(&portion, writer, stop)? else { return Ok(None) };
    for (table, taken) in inputs.iter().zip(&joined.taken) {
        check_whole(table, *taken)?;
    }
    Ok(Some(joined.summary))
}

/// Writes a portion with `writer`; `None` when `stop` asked for the end.
///
/// # Errors
/// The disk's; damage of an input, with its file.
pub(crate) fn join_portion(
    portion: &Portion<'_>,
    mut writer: TableWriter,
    stop: &dyn Fn() -> bool,
) -> Result<Option<Joined>, FormatError> {
    let inputs = portion.inputs;
    let mut taken = vec![Taken::default(); inputs.len()];
    let mut through = None;
    let mut rows = Rows::new(inputs, portion.from..=ChannelId(u64::MAX));
    for rows in &mut rows {
        let rows = rows?;
        if !samples(portion, &rows, &mut writer, &mut taken, stop)? {
            return Ok(None);
        }
        through = rows.first().map(|(_, row)| row.channel);
        if writer.position() >= portion.bytes_max {
            break;
        }
    }
    let through = through.filter(|_| !rows.is_done());
    let channels = portion.from..=through.unwrap_or(ChannelId(u64::MAX));
    if !records::join(inputs, channels.clone(), &mut writer, &mut taken, stop)? {
        return Ok(None);
    }
    let summary = finish(inputs, channels, writer)?;
    Ok(Some(Joined { summary, through, taken }))
}

/// Ends a table with the joined rows of some channels.
fn finish(
    inputs: &[Table],
    channels: RangeInclusive<ChannelId>,
    writer: TableWriter,
) -> Result<TableSummary, FormatError> {
    let mut failed = None;
    let rows = Rows::new(inputs, channels).map_while(|rows| match rows {
        Ok(rows) => Some(dictionary::joined_row(inputs, &rows)),
        Err(error) => {
            failed = Some(error);
            None
        }
    });
    let summary = writer.finish(rows);
    match failed {
        Some(error) => Err(error),
        None => summary,
    }
}

/// Damage, unless all that a table's footer counts was taken from it.
pub(crate) fn check_whole(table: &Table, taken: Taken) -> Result<(), FormatError> {
    let summary = table.summary();
    if (taken.samples, taken.records) == (summary.samples, summary.records) {
        return Ok(());
    }
    let what = format!(
        "{} samples and {} records were found, the footer counts {} and {}",
        taken.samples, taken.records, summary.samples, summary.records
    );
    Err(FormatError::corrupt(table.path(), 0, what))
}

/// Writes the samples of one channel; `false` when asked to stop.
fn samples(
    portion: &Portion<'_>,
    rows: &[(usize, DictionaryRow)],
    writer: &mut TableWriter,
    taken: &mut [Taken],
    stop: &dyn Fn() -> bool,
) -> Result<bool, FormatError> {
    let Portion { inputs, copied, .. } = *portion;
    let Some(channel) = rows.first().map(|(_, row)| row.channel) else { return Ok(true) };
    let of: Vec<usize> = rows.iter().filter(|(_, row)| row.samples > 0).map(|(at, _)| *at).collect();
    if of.is_empty() {
        return Ok(!stop());
    }
    let mut in_order = Lane::new(inputs, copied, &of, channel, false)?;
    let late_of = if planted(Bug::SealLosesLate) && !copied.contains(&Copied::Large) { &[] } else { &of[..] };
    let mut late = Lane::new(inputs, copied, late_of, channel, true)?;
    // A table's chunks lie in the order of their first samples, in-order and late ones together.
    let mut heads = (in_order.next_chunk()?, late.next_chunk()?);
    loop {
        if stop() {
            return Ok(false);
        }
        let late_first = match &heads {
            (None, None) => break,
            (Some(in_order), Some(late)) => late.start() < in_order.start(),
            (_, late) => late.is_some(),
        };
        let chunk = if late_first {
            std::mem::replace(&mut heads.1, late.next_chunk()?)
        } else {
            std::mem::replace(&mut heads.0, in_order.next_chunk()?)
        };
        if let Some(chunk) = chunk {
            add(writer, channel, chunk, late_first)?;
        }
    }
    for lane in [in_order, late] {
        lane.taken().for_each(|(at, samples)| taken[at].samples += samples);
    }
    Ok(true)
}

/// Adds a chunk: as it is where that is possible.
fn add(
    writer: &mut TableWriter,
    channel: ChannelId,
    chunk: Chunk<'_>,
    late: bool,
) -> Result<(), FormatError> {
    let before = writer.position();
    match chunk {
        Chunk::Joined(block) => writer.add_samples(channel, &block, late)?,
        Chunk::Whole { chunk, .. } if writer.takes(chunk.header()) => writer.add_chunk(*chunk)?,
        // Its stamps are those of a chunk that was not copied.
        Chunk::Whole { table, entry, .. } => {
            writer.add_samples(channel, &table.all_samples(&entry)?, late)?;
        }
    }
    // Little at a time, so that no sync of the log waits behind a large one.
    if before / MERGE_SYNC_BYTES != writer.position() / MERGE_SYNC_BYTES {
        writer.sync()?;
    }
    Ok(())
}
