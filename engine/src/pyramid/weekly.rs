//! Folds all samples of one table into the table of its decimated rows.

use super::fold::{above, enough, of_samples};
use super::records::{Record, append};
use crate::error::Error;
use crate::limits::MERGE_CACHE_BYTES;
use crate::manifest::TableEntry;
use crate::merge;
use crate::shared::Shared;
use decimator::tree::LEVELS;
use sstable::{
    BlockCache, DictionaryRow, Lineage, Profile, Table, TableInfo, TableKind, TableSummary, TableWriter,
};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

/// Writes the decimated table of `source` and publishes it; says how many bytes it has. `None` when `stop` asked for
/// the end or the source is live no more.
pub(super) fn carry_out(
    shared: &Shared,
    publishing: &Mutex<()>,
    source: &TableEntry,
    stop: &dyn Fn() -> bool,
) -> Result<Option<u64>, Error> {
    let id = shared.next_table.fetch_add(1, Ordering::Relaxed);
    let template = TableEntry {
        id,
        decimated: true,
        sources: vec![source.id],
        holds_carry_in: false,
        value_bytes: 0,
        sequence_span: (0, 0),
        ..source.clone()
    };
    let path = template.path(&shared.layout);
    let entry = match write(shared, source, &template, &path, stop) {
        // It says of its source's span what that does: readers look for rows by it.
        Ok(Some(summary)) => TableEntry { samples_span: source.samples_span, ..template.holding(&summary) },
        other => {
            merge::remove(shared, &path);
            return other.map(|_| None);
        }
    };
    super::publish(shared, publishing, std::slice::from_ref(source), entry, &|_| false)
}

fn write(
    shared: &Shared,
    source: &TableEntry,
    template: &TableEntry,
    path: &Path,
    stop: &dyn Fn() -> bool,
) -> Result<Option<TableSummary>, Error> {
    let table = Arc::new(merge::open(shared, source, &BlockCache::new(MERGE_CACHE_BYTES))?);
    // Records stand in the order of rates, channels are read one after the other: what waits is a fiftieth of the
    // source at most.
    let mut records: Vec<Record> = Vec::new();
    let mut rows: Vec<DictionaryRow> = Vec::new();
    for row in table.dictionary() {
        let row = row?;
        if stop() {
            return Ok(None);
        }
        let least = shared.settings.decimated_bin_samples;
        let Some(base) = (0..LEVELS).find(|level| enough([&row], *level, least)) else { continue };
        let before = records.len();
        decimate(&table, &row, base, &mut records)?;
        if records.len() > before {
            rows.push(DictionaryRow { types: row.types, ..DictionaryRow::new(row.channel, row.name) });
        }
    }
    records.sort_by_key(|record| record.key);
    let info = TableInfo { table: template.id, kind: TableKind::Decimated, ..table.info().clone() };
    let mut writer = TableWriter::create(&*shared.disk, path, &info)?.for_profile(Profile::Cold);
    writer.descend(&Lineage { sources: vec![source.id], ..Lineage::default() })?;
    for record in records {
        writer.add_record(record.key, record.last, record.payload)?;
    }
    let summary = writer.finish(rows)?;
    if let Some(directory) = path.parent() {
        // I3.
        shared.disk.sync_dir(directory)?;
    }
    Ok(Some(summary))
}

/// Appends one channel's records of all levels from `base` on.
fn decimate(
    table: &Arc<Table>,
    row: &DictionaryRow,
    base: usize,
    records: &mut Vec<Record>,
) -> Result<(), Error> {
    let mut nodes = of_samples(table, row.channel, base)?;
    for level in base..LEVELS {
        append(&nodes, level, row.channel, records);
        if level + 1 < LEVELS {
            nodes = above(&nodes, level);
        }
    }
    Ok(())
}
