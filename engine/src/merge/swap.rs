//! Puts a merged table in the place of those that it was made from.

use super::choice::Due;
use super::dictionary::Rows;
use crate::error::Error;
use crate::layout::Layout;
use crate::limits::MERGE_CACHE_BYTES;
use crate::manifest::{DroppedFile, Manifest, TableEntry};
use crate::planted::{Bug, planted};
use crate::shared::Shared;
use crate::view::View;
use disk::FormatError;
use sample::{ChannelId, Timestamp};
use sstable::{BlockCache, Table, TableInfo, TableKind, TableSummary, TableWriter};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

/// What became of a merge.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// The new table, of so many bytes, is live.
    Merged(u64),
    /// It was asked to stop; nothing changed.
    Stopped,
}

/// Carries a merge out: the table is written while everything else goes on; `publishing` is held while
/// the manifest is replaced. After an error or a stop nothing is left that a manifest names.
pub(crate) fn carry_out(
    shared: &Shared,
    due: &Due,
    publishing: &Mutex<()>,
    stop: &dyn Fn() -> bool,
) -> Result<Outcome, Error> {
    let cache = BlockCache::new(MERGE_CACHE_BYTES);
    let inputs = due.tables.iter().map(|entry| open(shared, entry, &cache)).collect::<Result<Vec<_>, _>>()?;
    let Some(first) = due.tables.first() else { return Ok(Outcome::Stopped) };
    let id = shared.next_table.fetch_add(1, Ordering::Relaxed);
    let path = shared.layout.table(first.week, first.generation, id);
    let info = TableInfo {
        archive: shared.identity.id.0,
        table: id,
        week: first.week,
        class: u32::from(first.class),
        class_name: inputs.first().map_or_else(String::new, |table| table.info().class_name.clone()),
        kind: TableKind::Raw,
        known_until: inputs.iter().map(|table| table.info().known_until).max().unwrap_or(Timestamp::MIN),
        tier: tier(&due.tables),
    };
    let written = write(shared, &inputs, &info, &path, stop);
    let summary = match written {
        Ok(Some(summary)) => summary,
        other => {
            remove(shared, &path);
            return other.map(|_| Outcome::Stopped);
        }
    };
    let entry = entry(&due.tables, id, &summary);
    if let Err(error) = publish(shared, &due.tables, &entry, &path, publishing) {
        if !may_be_live(shared, id) {
            remove(shared, &path);
        }
        return Err(error);
    }
    recount(shared, &inputs, &path, &cache)?;
    Ok(Outcome::Merged(entry.len))
}

fn open(shared: &Shared, entry: &TableEntry, cache: &Arc<BlockCache>) -> Result<Table, FormatError> {
    let path = shared.layout.table(entry.week, entry.generation, entry.id);
    let table = Table::open(&*shared.disk, &path, cache)?;
    if (table.summary().footer_crc, table.summary().len) != (entry.footer_crc, entry.len) {
        let offset = table.summary().len;
        return Err(FormatError::corrupt(&path, offset, "this is not the table that the manifest names"));
    }
    Ok(table)
}

/// Writes and syncs the new table and its name.
fn write(
    shared: &Shared,
    inputs: &[Table],
    info: &TableInfo,
    path: &Path,
    stop: &dyn Fn() -> bool,
) -> Result<Option<TableSummary>, Error> {
    let writer = TableWriter::create(&*shared.disk, path, info)?;
    let Some(summary) = super::join(inputs, writer, stop)? else { return Ok(None) };
    if let Some(directory) = path.parent().filter(|_| !planted(Bug::NoDirectorySync)) {
        // I3. The directory itself is as durable as the tables that lie in it.
        shared.disk.sync_dir(directory)?;
    }
    Ok(Some(summary))
}

/// The tier of a table that `inputs` are merged into.
fn tier(inputs: &[TableEntry]) -> u16 {
    inputs.iter().map(|table| table.tier).max().unwrap_or(0).saturating_add(1)
}

/// What the manifest says of a table that `inputs` were merged into.
fn entry(inputs: &[TableEntry], id: u64, summary: &TableSummary) -> TableEntry {
    let sequences = || inputs.iter().map(|table| table.sequence_span).filter(|span| *span != (0, 0));
    let lowest = inputs.iter().map(|table| table.channel_span.0).min();
    let highest = inputs.iter().map(|table| table.channel_span.1).max();
    TableEntry {
        id,
        week: inputs[0].week,
        generation: inputs[0].generation,
        class: inputs[0].class,
        decimated: false,
        holds_carry_in: inputs.iter().any(|table| table.holds_carry_in),
        late: summary.late_chunks > 0,
        len: summary.len,
        footer_crc: summary.footer_crc,
        samples_span: summary.span,
        channels: summary.channels,
        samples: summary.samples,
        value_bytes: inputs.iter().map(|table| table.value_bytes).sum(),
        channel_span: (lowest.unwrap_or(ChannelId(0)), highest.unwrap_or(ChannelId(0))),
        sequence_span: (
            sequences().map(|span| span.0).min().unwrap_or(0),
            sequences().map(|span| span.1).max().unwrap_or(0),
        ),
        tier: tier(inputs),
    }
}

/// Replaces the manifest by one that names the new table instead of `inputs`, whatever else was published
/// meanwhile.
fn publish(
    shared: &Shared,
    inputs: &[TableEntry],
    merged: &TableEntry,
    path: &Path,
    publishing: &Mutex<()>,
) -> Result<(), Error> {
    let table = Arc::new(Table::open(&*shared.disk, path, &shared.cache)?);
    let _still = publishing.lock().unwrap_or_else(PoisonError::into_inner);
    shared.check_not_poisoned()?;
    let view = shared.view();
    let mut manifest = view.manifest.clone();
    let mut tables = Vec::with_capacity(view.tables.len());
    manifest.tables.clear();
    let mut placed = false;
    for (entry, open) in view.manifest.tables.iter().zip(&view.tables) {
        if !inputs.contains(entry) {
            manifest.tables.push(entry.clone());
            tables.push(open.clone());
        } else if !std::mem::replace(&mut placed, true) {
            manifest.tables.push(merged.clone());
            tables.push(table.clone());
        }
    }
    let since = shared.clock.now();
    manifest.dropped.extend(inputs.iter().map(|entry| dropped(entry, since)));
    manifest.next_table = shared.next_table.load(Ordering::Relaxed);
    manifest.generation = shared.next_generation();
    if planted(Bug::InputsRemovedTooEarly) {
        for entry in inputs {
            shared.disk.remove(&shared.layout.table(entry.week, entry.generation, entry.id))?;
        }
    }
    manifest.store(&*shared.disk, &shared.layout)?;
    shared.publish(View::new(manifest, tables, view.flushed_epoch));
    Ok(())
}

fn dropped(entry: &TableEntry, since: Timestamp) -> DroppedFile {
    let file = Layout::table_inside(entry.week, entry.generation, entry.id);
    DroppedFile { file, since, len: entry.len }
}

/// Whether the manifest on the disk may name table `id` after an attempt to store one that does.
fn may_be_live(shared: &Shared, id: u64) -> bool {
    let present = Manifest::load(&*shared.disk, &shared.layout, shared.identity.id);
    present.map_or(true, |present| present.is_some_and(|p| p.tables.iter().any(|table| table.id == id)))
}

/// Gives the room of an unfinished table back; what cannot be removed now goes at the next opening.
fn remove(shared: &Shared, path: &Path) {
    match shared.disk.remove(path) {
        Err(error) if !error.is_missing() => tracing::warn!(%error, "left behind by an unfinished merge"),
        _ => {}
    }
}

/// Corrects what channels are said to take on the disk.
fn recount(
    shared: &Shared,
    inputs: &[Table],
    path: &Path,
    cache: &Arc<BlockCache>,
) -> Result<(), FormatError> {
    let merged = [Table::open(&*shared.disk, path, cache)?];
    let count = |rows: Vec<(usize, sstable::DictionaryRow)>| {
        rows.iter()
            .fold((ChannelId(0), 0, 0), |sum, (_, row)| (row.channel, sum.1 + row.samples, sum.2 + row.bytes))
    };
    for (before, after) in Rows::new(inputs).zip(Rows::new(&merged)) {
        let ((channel, samples, bytes), after) = (count(before?), count(after?));
        let Some(slot) = shared.directory().slot(channel).cloned() else { continue };
        let mut state = slot.lock();
        state.flushed_samples = (state.flushed_samples + after.1).saturating_sub(samples);
        state.flushed_bytes = (state.flushed_bytes + after.2).saturating_sub(bytes);
    }
    Ok(())
}
