//! Several tables of one week, class and kind become one, channel by channel in bounded memory.

mod choice;
mod dictionary;
mod dropped;
mod lane;
mod records;
mod swap;
#[cfg(test)]
mod tests;

pub(crate) use choice::{Due, due};
pub(crate) use dictionary::as_of;
pub(crate) use dropped::{remove_dropped, waiting_bytes};
pub(crate) use swap::{Outcome, carry_out};

use crate::limits::MERGE_SYNC_BYTES;
use dictionary::Rows;
use disk::FormatError;
use lane::{Chunk, Lane};
use sample::ChannelId;
use sstable::{DictionaryRow, Table, TableSummary, TableWriter};

/// What was taken from one table; it must be all of it.
#[derive(Clone, Copy, Default)]
struct Taken {
    samples: u64,
    records: u64,
}

/// Writes what `inputs` hold, given in the order in which they were flushed, with `writer`. `None` when
/// `stop` asked for the end, which is looked at between chunks; the file is unfinished then.
///
/// # Errors
/// The disk's; damage of an input, with its file.
fn join(
    inputs: &[Table],
    mut writer: TableWriter,
    stop: &dyn Fn() -> bool,
) -> Result<Option<TableSummary>, FormatError> {
    let mut taken = vec![Taken::default(); inputs.len()];
    for rows in Rows::new(inputs) {
        if !samples(inputs, &rows?, &mut writer, &mut taken, stop)? {
            return Ok(None);
        }
    }
    if !records::join(inputs, &mut writer, &mut taken, stop)? {
        return Ok(None);
    }
    for (table, taken) in inputs.iter().zip(&taken) {
        let summary = table.summary();
        if (taken.samples, taken.records) != (summary.samples, summary.records) {
            let what = format!(
                "{} samples and {} records were found, the footer counts {} and {}",
                taken.samples, taken.records, summary.samples, summary.records
            );
            return Err(FormatError::corrupt(table.path(), 0, what));
        }
    }
    let mut failed = None;
    let rows = Rows::new(inputs).map_while(|rows| match rows {
        Ok(rows) => Some(dictionary::joined(inputs, &rows)),
        Err(error) => {
            failed = Some(error);
            None
        }
    });
    let summary = writer.finish(rows);
    match failed {
        Some(error) => Err(error),
        None => summary.map(Some),
    }
}

/// Writes the samples of one channel; `false` when asked to stop.
fn samples(
    inputs: &[Table],
    rows: &[(usize, DictionaryRow)],
    writer: &mut TableWriter,
    taken: &mut [Taken],
    stop: &dyn Fn() -> bool,
) -> Result<bool, FormatError> {
    let Some(channel) = rows.first().map(|(_, row)| row.channel) else { return Ok(true) };
    let of: Vec<usize> = rows.iter().filter(|(_, row)| row.samples > 0).map(|(at, _)| *at).collect();
    if of.is_empty() {
        return Ok(!stop());
    }
    let mut in_order = Lane::new(inputs, &of, channel, false)?;
    let mut late = Lane::new(inputs, &of, channel, true)?;
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
