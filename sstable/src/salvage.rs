//! What is left of a damaged table becomes a table again.

mod output;
mod rescue;

use crate::block::unpack_index;
use crate::block_index::IndexRow;
use crate::footer::{Footer, TableInfo, TableSummary, decode_prologue};
use crate::format::*;
use crate::key::Key;
use crate::record::{DictionaryRow, Lineage};
use crate::scan::{Scan, ScannedContent};
use crate::table::{read_exactly, read_some};
use crate::writer::TableWriter;
use disk::{Disk, File, FormatError};
use output::Output;
use sample::{ChannelId, ChannelName, Timestamp};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// A damaged table, looked through once: what can be known of it before the rest is written anew.
#[derive(Debug)]
pub struct Remains {
    file: Arc<dyn File>,
    /// What the table said about itself, unless that is lost.
    pub info: Option<TableInfo>,
    /// Where it came from, unless that is lost or was never said.
    pub lineage: Option<Lineage>,
    /// Rows of its dictionary that are left.
    pub rows: BTreeMap<ChannelId, DictionaryRow>,
    /// Whether it has a sound footer: one without was never finished, or has lost its end.
    pub finished: bool,
    /// Rows of the index that are left, by offset.
    index: BTreeMap<u64, IndexRow>,
    /// Where the data end, as far as that is known.
    data_end: u64,
}

/// A stretch of a file that is lost.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Loss {
    /// Where it begins.
    pub offset: u64,
    /// How many bytes.
    pub len: u64,
    /// Least and greatest channel that it may have held; `None` where it held no data.
    pub channels: Option<(ChannelId, ChannelId)>,
    /// From when to when its samples may have been, as far as that is known.
    pub span: Option<(Timestamp, Timestamp)>,
    /// What is wrong there.
    pub what: String,
}

/// What became of a damaged table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Salvaged {
    /// The new table.
    pub summary: TableSummary,
    /// What is lost of the old one.
    pub lost: Vec<Loss>,
    /// Channels whose rows of the dictionary were lost: named by the caller.
    pub nameless: Vec<ChannelId>,
}

impl Remains {
    /// Looks through the file at `path`.
    ///
    /// # Errors
    /// When the disk refuses, or the file is of a newer format.
    pub fn read(disk: &dyn Disk, path: &Path) -> Result<Remains, FormatError> {
        let file = disk.open(path)?;
        let len = file.len()?;
        let info = match decode_prologue(&read_some(&*file, 0, PROLOGUE_BYTES)?, path) {
            Ok((info, _)) => Some(info),
            Err(error) if error.is_damage() => None,
            Err(error) => return Err(error),
        };
        let end = len.saturating_sub(FOOTER_BYTES as u64);
        let footer = Footer::decode(&read_some(&*file, end, FOOTER_BYTES)?, path, len).ok();
        let mut remains = Remains {
            info,
            lineage: None,
            rows: BTreeMap::new(),
            finished: footer.is_some(),
            index: BTreeMap::new(),
            data_end: footer.map_or(len, |footer| footer.dictionary_offset),
            file,
        };
        for found in Scan::over(remains.file.clone())? {
            match found {
                Ok(block) => remains.note(block.offset, block.len, block.content)?,
                Err(error @ FormatError::Io(_)) => return Err(error),
                Err(_) => {}
            }
        }
        Ok(remains)
    }

    fn note(&mut self, offset: u64, len: u64, content: ScannedContent) -> Result<(), FormatError> {
        match content {
            ScannedContent::Lineage(lineage) => self.lineage = Some(*lineage),
            ScannedContent::Dictionary(rows) => {
                self.data_end = self.data_end.min(offset);
                self.rows.extend(rows.into_iter().map(|row| (row.channel, row)));
            }
            ScannedContent::Index { .. } => {
                self.data_end = self.data_end.min(offset);
                let block = read_exactly(&*self.file, offset, len)?;
                let rows = unpack_index(&block).unwrap_or_default();
                let data = rows.into_iter().filter(|row| !row.is_of_dictionary());
                self.index.extend(data.map(|row| (row.offset, row)));
            }
            ScannedContent::Chunk(..) | ScannedContent::Shared(_) => {}
        }
        Ok(())
    }

    /// Writes everything that is undamaged to a new table at `to`, durable but for its name: blocks, chunks
    /// and of damaged chunks the pages that are good. `name_of` names channels whose rows are lost.
    ///
    /// # Errors
    /// When the disk refuses; the file is unfinished then.
    pub fn write(
        mut self,
        disk: &dyn Disk,
        to: &Path,
        info: &TableInfo,
        lineage: &Lineage,
        name_of: &dyn Fn(ChannelId) -> ChannelName,
    ) -> Result<Salvaged, FormatError> {
        let mut writer = TableWriter::create(disk, to, info)?;
        writer.descend(lineage)?;
        let rows = std::mem::take(&mut self.rows);
        let mut output = Output::new(writer, self.file.clone(), rows);
        let mut lost = Vec::new();
        let mut before: Option<(Key, Timestamp)> = None;
        let mut scan = Scan::over(self.file.clone())?;
        loop {
            let start = scan.position();
            let Some(found) = scan.next() else { break };
            match found {
                Ok(block) => {
                    if let Some(first) = first_key(&block.content) {
                        bound(&mut lost, first);
                    }
                    before = last_key(&block.content).or(before);
                    output.block(block)?;
                }
                Err(error @ FormatError::Io(_)) => return Err(error),
                Err(error) if scan.position() > start => {
                    let end = scan.position().min(self.data_end.max(start));
                    let rescued = rescue::chunks(&*self.file, start..end, &mut output)?;
                    let stretch = start..scan.position();
                    self.lose(&mut lost, stretch, &rescued, before, &error);
                }
                // The prologue, which the caller gave anew.
                Err(_) => {}
            }
        }
        let (summary, damaged, nameless) = output.finish(name_of)?;
        lost.extend(damaged);
        lost.sort_by_key(|loss| loss.offset);
        Ok(Salvaged { summary, lost, nameless })
    }

    /// Names what a stretch held that could not be read: by the index where that is left, else by what lies
    /// before it (and behind it, see [`bound`]).
    fn lose(
        &self,
        lost: &mut Vec<Loss>,
        stretch: std::ops::Range<u64>,
        rescued: &[std::ops::Range<u64>],
        before: Option<(Key, Timestamp)>,
        error: &FormatError,
    ) {
        let what = match error {
            FormatError::Corrupt { what, .. } => what.to_string(),
            other => other.to_string(),
        };
        let mut loss = Loss {
            offset: stretch.start,
            len: stretch.end - stretch.start,
            channels: None,
            span: None,
            what,
        };
        if stretch.start >= self.data_end {
            loss.what = format!("{}; dictionary and index are made anew", loss.what);
            return lost.push(loss);
        }
        let rows: Vec<&IndexRow> = self.index.range(stretch.clone()).map(|(_, row)| row).collect();
        if rows.is_empty() {
            // The headers of blocks around what was rescued are no loss.
            let kept: u64 = rescued.iter().map(|chunk| chunk.end - chunk.start).sum();
            if loss.len > kept + (rescued.len() * BLOCK_HEADER_BYTES) as u64 {
                loss.channels = Some((before.map_or(ChannelId(0), |(key, _)| key.channel), UNBOUND));
                loss.span = before
                    .filter(|(key, _)| key.rate == Key::SAMPLES)
                    .map(|(_, last)| (last, Timestamp::MAX));
                lost.push(loss);
            }
            return;
        }
        for row in rows {
            let whole = row.offset..row.offset.saturating_add(row.len);
            if row.chunk.is_some() && rescued.iter().any(|chunk| whole.contains(&chunk.start)) {
                continue;
            }
            let channels = (row.first_key.channel, row.last_key.channel);
            lost.push(Loss {
                offset: row.offset,
                len: row.len,
                // Behind the last channel of one rate the first one of the next follows.
                channels: Some(if row.first_key.rate == row.last_key.rate { channels } else { ALL }),
                span: (row.last_key.rate == Key::SAMPLES && channels.0 == channels.1)
                    .then_some((Timestamp(row.first_key.bin), row.last)),
                what: loss.what.clone(),
            });
        }
    }
}

/// Any channel.
const ALL: (ChannelId, ChannelId) = (ChannelId(0), ChannelId(u64::MAX - 1));
/// Stands for a channel that the next good block will bound.
const UNBOUND: ChannelId = ChannelId(u64::MAX);

/// What was lost just before a block with `first` held nothing behind it.
fn bound(lost: &mut [Loss], first: Key) {
    for loss in lost.iter_mut().rev() {
        let Some((least, UNBOUND)) = loss.channels else { break };
        let samples = first.rate == Key::SAMPLES;
        // Samples come before all records.
        loss.channels = Some((least, if samples { first.channel } else { ALL.1 }));
        loss.span = loss
            .span
            .filter(|_| samples && first.channel == least)
            .map(|(from, _)| (from, Timestamp(first.bin)));
    }
}

fn first_key(content: &ScannedContent) -> Option<Key> {
    match content {
        ScannedContent::Chunk(header, _) => Some(Key::new(Key::SAMPLES, header.channel, header.first.0)),
        ScannedContent::Shared(entries) => entries.first().map(|entry| entry.key),
        _ => None,
    }
}

fn last_key(content: &ScannedContent) -> Option<(Key, Timestamp)> {
    match content {
        ScannedContent::Chunk(header, _) => {
            Some((Key::new(Key::SAMPLES, header.channel, header.first.0), header.last))
        }
        ScannedContent::Shared(entries) => entries.last().map(|entry| (entry.key, entry.last)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
