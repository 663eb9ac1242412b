//! Puts tables in the place of those that they were made from.

use super::choice::Due;
use super::dictionary::Rows;
use crate::error::Error;
use crate::limits::MERGE_CACHE_BYTES;
use crate::manifest::{DroppedFile, Manifest, TableEntry};
use crate::planted::{Bug, planted};
use crate::shared::Shared;
use crate::view::View;
use disk::FormatError;
use sample::{ChannelId, Timestamp};
use sstable::{BlockCache, Lineage, Table, TableInfo, TableKind, TableSummary, TableWriter};
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
    let path = TableEntry { id, ..first.clone() }.path(&shared.layout);
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
    let written = lineage(&due.tables, &inputs)
        .map_err(Error::from)
        .and_then(|lineage| write(shared, &inputs, &info, &lineage, &path, stop));
    let summary = match written {
        Ok(Some(summary)) => summary,
        other => {
            remove(shared, &path);
            return other.map(|_| Outcome::Stopped);
        }
    };
    let entry = entry(&due.tables, id, &summary);
    let len = entry.len;
    let replaced = Replaced { inputs: due.tables.clone(), outputs: vec![entry] };
    if let Err(error) = replaced.publish(shared, publishing) {
        if !may_be_live(shared, id) {
            remove(shared, &path);
        }
        return Err(error);
    }
    recount(shared, &inputs, &[Table::open(&*shared.disk, &path, &cache)?])?;
    Ok(Outcome::Merged(len))
}

/// Opens the table that a manifest names.
pub(crate) fn open(
    shared: &Shared,
    entry: &TableEntry,
    cache: &Arc<BlockCache>,
) -> Result<Table, FormatError> {
    let path = entry.path(&shared.layout);
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
    lineage: &Lineage,
    path: &Path,
    stop: &dyn Fn() -> bool,
) -> Result<Option<TableSummary>, Error> {
    let mut writer = TableWriter::create(&*shared.disk, path, info)?.knowing(&shared.models);
    writer.descend(lineage)?;
    let Some(summary) = super::join(inputs, writer, stop)? else { return Ok(None) };
    if let Some(directory) = path.parent().filter(|_| !planted(Bug::NoDirectorySync)) {
        // I3. The directory itself is as durable as the tables that lie in it.
        shared.disk.sync_dir(directory)?;
    }
    Ok(Some(summary))
}

/// What a table that `inputs` are merged into says of them.
fn lineage(entries: &[TableEntry], inputs: &[Table]) -> Result<Lineage, FormatError> {
    let mut joined = joined_lineage(&entries.iter().collect::<Vec<_>>(), inputs)?;
    joined.value_bytes = entries.iter().map(|entry| entry.value_bytes).sum();
    Ok(joined)
}

/// As a table says that all of `inputs`, or a portion of them, goes into.
pub(crate) fn joined_lineage(entries: &[&TableEntry], inputs: &[Table]) -> Result<Lineage, FormatError> {
    let mut joined = Lineage { sequences: sequences(entries), ..Lineage::default() };
    for (entry, table) in entries.iter().zip(inputs) {
        let of = table.lineage()?.unwrap_or_default();
        joined.through = joined.through.max(of.through);
        joined.next_channel = joined.next_channel.max(of.next_channel);
        joined.next_sequence = joined.next_sequence.max(of.next_sequence);
        joined.parts.extend(of.parts.into_iter().chain([entry.id]));
    }
    joined.parts.sort_unstable();
    joined.parts.dedup();
    Ok(joined)
}

/// Lowest and highest number of an event in `inputs`.
fn sequences(inputs: &[&TableEntry]) -> (u64, u64) {
    let spans = || inputs.iter().map(|table| table.sequence_span).filter(|span| *span != (0, 0));
    (spans().map(|span| span.0).min().unwrap_or(0), spans().map(|span| span.1).max().unwrap_or(0))
}

/// The tier of a table that `inputs` are merged into.
fn tier(inputs: &[TableEntry]) -> u16 {
    inputs.iter().map(|table| table.tier).max().unwrap_or(0).saturating_add(1)
}

/// What the manifest says of a table that `inputs` were merged into.
fn entry(inputs: &[TableEntry], id: u64, summary: &TableSummary) -> TableEntry {
    let lowest = inputs.iter().map(|table| table.channel_span.0).min();
    let highest = inputs.iter().map(|table| table.channel_span.1).max();
    TableEntry {
        id,
        decimated: false,
        sealed: false,
        holds_carry_in: inputs.iter().any(|table| table.holds_carry_in),
        value_bytes: inputs.iter().map(|table| table.value_bytes).sum(),
        channel_span: (lowest.unwrap_or(ChannelId(0)), highest.unwrap_or(ChannelId(0))),
        sequence_span: sequences(&inputs.iter().collect::<Vec<_>>()),
        tier: tier(inputs),
        ..inputs[0].clone().holding(summary)
    }
}

/// Live tables that give way to others.
pub(crate) struct Replaced {
    /// The live ones.
    pub(crate) inputs: Vec<TableEntry>,
    /// Those in their place; they are synced, and so is their directory.
    pub(crate) outputs: Vec<TableEntry>,
}

impl Replaced {
    /// Replaces the manifest by one that names the outputs instead of the inputs, whatever else was published
    /// meanwhile. A seal ends with it.
    pub(crate) fn publish(&self, shared: &Shared, publishing: &Mutex<()>) -> Result<(), Error> {
        let opened = |entry: &TableEntry| {
            let path = entry.path(&shared.layout);
            Table::open(&*shared.disk, &path, &shared.cache).map(|table| (entry.clone(), Arc::new(table)))
        };
        let mut outputs = self.outputs.iter().map(opened).collect::<Result<Vec<_>, _>>()?;
        let _still = publishing.lock().unwrap_or_else(PoisonError::into_inner);
        shared.check_not_poisoned()?;
        let view = shared.view();
        let mut manifest = view.manifest.clone();
        let mut tables = Vec::with_capacity(view.tables.len());
        manifest.tables.clear();
        let derived =
            |entry: &TableEntry| self.inputs.iter().any(|of| entry.sources.binary_search(&of.id).is_ok());
        manifest.dropped.extend(
            view.manifest.tables.iter().filter(|e| derived(e)).map(|e| dropped(e, shared.clock.now())),
        );
        for (entry, open) in view.manifest.tables.iter().zip(&view.tables) {
            if derived(entry) {
                continue;
            }
            if !self.inputs.contains(entry) {
                manifest.tables.push(entry.clone());
                tables.push(open.clone());
                continue;
            }
            for (entry, table) in outputs.drain(..) {
                manifest.tables.push(entry);
                tables.push(table);
            }
        }
        let since = shared.clock.now();
        manifest.dropped.extend(self.inputs.iter().map(|entry| dropped(entry, since)));
        if self.outputs.iter().any(|output| output.sealed) {
            manifest.sealing = None;
        }
        manifest.next_table = shared.next_table.load(Ordering::Relaxed);
        manifest.generation = shared.next_generation();
        if planted(Bug::InputsRemovedTooEarly) {
            for entry in &self.inputs {
                shared.disk.remove(&entry.path(&shared.layout))?;
            }
        }
        manifest.store(&*shared.disk, &shared.layout)?;
        shared.publish(View::new(manifest, tables, view.flushed_epoch));
        Ok(())
    }
}

pub(crate) fn dropped(entry: &TableEntry, since: Timestamp) -> DroppedFile {
    DroppedFile { file: entry.inside(), since, len: entry.len }
}

/// Whether the manifest on the disk may name table `id` after an attempt to store one that does.
pub(crate) fn may_be_live(shared: &Shared, id: u64) -> bool {
    let present = Manifest::load(&*shared.disk, &shared.layout, shared.identity.id);
    present.map_or(true, |present| present.is_some_and(|present| present.names(id)))
}

/// Gives the room of an unfinished table back; what cannot be removed now goes at the next opening.
pub(crate) fn remove(shared: &Shared, path: &Path) {
    match shared.disk.remove(path) {
        Err(error) if !error.is_missing() => tracing::warn!(%error, "left behind by an unfinished table"),
        _ => {}
    }
}

/// Corrects what channels are said to take on the disk.
pub(crate) fn recount(shared: &Shared, before: &[Table], after: &[Table]) -> Result<(), FormatError> {
    let all = ChannelId(0)..=ChannelId(u64::MAX);
    for (tables, gone) in [(after, false), (before, true)] {
        for rows in Rows::new(tables, all.clone()) {
            for (_, row) in rows? {
                let Some(slot) = shared.directory().slot(row.channel).cloned() else { continue };
                let mut state = slot.lock();
                let (samples, bytes) = (state.flushed_samples, state.flushed_bytes);
                (state.flushed_samples, state.flushed_bytes) = match gone {
                    true => (samples.saturating_sub(row.samples), bytes.saturating_sub(row.bytes)),
                    false => (samples + row.samples, bytes + row.bytes),
                };
            }
        }
    }
    Ok(())
}
