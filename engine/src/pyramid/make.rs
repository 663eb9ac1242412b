//! Folds all samples of one table into the table of its decimated rows.

use super::rows::{bin_of, columns};
use crate::error::Error;
use crate::limits::MERGE_CACHE_BYTES;
use crate::manifest::TableEntry;
use crate::merge;
use crate::read::{Merge, ReadError, Run, Scan};
use crate::shared::Shared;
use crate::table_run::TableRun;
use crate::view::View;
use decimator::bins::{Bin, Empty};
use decimator::fold::{Fold, Folding, Samples};
use decimator::grid::Grid;
use decimator::holds::Holds;
use decimator::node::{Held, Node};
use decimator::tree::{LEVELS, WIDTHS_NS};
use disk::FormatError;
use sample::{TimeRange, Timestamp};
use sstable::{
    BIN_ROWS_MAX, BlockCache, DictionaryRow, Key, Lineage, Profile, Table, TableInfo, TableKind,
    TableSummary, TableWriter, encode_bins,
};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

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
        source: source.id,
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
    let len = entry.len;
    match publish(shared, publishing, source, entry, &path) {
        Ok(true) => Ok(Some(len)),
        other => {
            if !merge::may_be_live(shared, id) {
                merge::remove(shared, &path);
            }
            other.map(|_| None)
        }
    }
}

/// Replaces the manifest by one that names the table, if its source is live still; says whether it is.
fn publish(
    shared: &Shared,
    publishing: &Mutex<()>,
    source: &TableEntry,
    entry: TableEntry,
    path: &Path,
) -> Result<bool, Error> {
    let table = Arc::new(Table::open(&*shared.disk, path, &shared.cache)?);
    let _still = publishing.lock().unwrap_or_else(PoisonError::into_inner);
    shared.check_not_poisoned()?;
    let view = shared.view();
    if !view.manifest.tables.contains(source) {
        return Ok(false);
    }
    let (mut manifest, mut tables) = (view.manifest.clone(), view.tables.clone());
    manifest.tables.push(entry);
    tables.push(table);
    manifest.next_table = shared.next_table.load(Ordering::Relaxed);
    manifest.generation = shared.next_generation();
    manifest.store(&*shared.disk, &shared.layout)?;
    shared.publish(View::new(manifest, tables, view.flushed_epoch));
    Ok(true)
}

/// One channel's rows of one level as they will stand in the table.
struct Record {
    key: Key,
    last: Timestamp,
    payload: Vec<u8>,
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
        let Some(base) = base_level(&row, shared.settings.decimated_bin_samples) else { continue };
        let before = records.len();
        decimate(&table, &row, base, &mut records)?;
        if records.len() > before {
            rows.push(DictionaryRow { types: row.types, ..DictionaryRow::new(row.channel, row.name) });
        }
    }
    records.sort_by_key(|record| record.key);
    let info = TableInfo { table: template.id, kind: TableKind::Decimated, ..table.info().clone() };
    let mut writer = TableWriter::create(&*shared.disk, path, &info)?.for_profile(Profile::Cold);
    writer.descend(&Lineage { source: Some(source.id), ..Lineage::default() })?;
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

/// The least level whose nodes hold `least` of the channel's samples or more on average; `None` where
/// no level does or values are no numbers.
fn base_level(row: &DictionaryRow, least: u64) -> Option<usize> {
    let scalar = |kind: sample::Kind| kind.width().is_some();
    if !row.types.iter().any(|of| !of.value.array && scalar(of.value.kind)) {
        return None;
    }
    let (first, last) = row.span?;
    if first.0 < i64::MIN / 2 || last.0 > i64::MAX / 2 {
        // Where nodes would be cut by the ends of time.
        return None;
    }
    let span = i128::from(last.since(first)).max(1);
    let enough = |level: &usize| {
        i128::from(row.samples) * i128::from(WIDTHS_NS[*level]) >= span * i128::from(least)
            && span >= 2 * i128::from(WIDTHS_NS[*level])
    };
    (0..LEVELS).find(enough)
}

/// Appends one channel's records of all levels from `base` on.
fn decimate(
    table: &Arc<Table>,
    row: &DictionaryRow,
    base: usize,
    records: &mut Vec<Record>,
) -> Result<(), Error> {
    let runs = [false, true].map(|late| TableRun::whole(table.clone(), row.channel, late));
    let runs = runs.map(|run| Arc::new(run) as Arc<dyn Run>);
    let mut nodes: Vec<Node> = Vec::new();
    let folding = folding(base);
    let mut fold = Fold::new(&folding);
    let mut numbers = Vec::new();
    for block in Merge::new(&runs, Scan::ascending(TimeRange::ALL)) {
        let block = block.map_err(|error| damage(error, table))?;
        let are_numbers = block.values.numbers(&mut numbers);
        let samples = Samples {
            times: &block.time,
            numbers: are_numbers.then_some(&numbers),
            severities: &block.severity,
        };
        fold.samples(samples, &mut |bin: &Bin| nodes.extend(bin.node));
    }
    fold.finish(&mut |bin: &Bin| nodes.extend(bin.node));
    for (level, width) in WIDTHS_NS.into_iter().enumerate().skip(base) {
        for rows in nodes.chunks(BIN_ROWS_MAX) {
            let (Some(first), Some(last)) = (rows.first(), rows.last()) else { continue };
            records.push(Record {
                key: Key::new(width.cast_unsigned(), row.channel, bin_of(first, level)),
                last: Timestamp(last.end.saturating_sub(1)),
                payload: encode_bins(&columns(rows, level)),
            });
        }
        if level + 1 < LEVELS {
            nodes = folded(&nodes, level);
        }
    }
    Ok(())
}

/// What was read failed: damage keeps its place.
fn damage(error: ReadError, table: &Table) -> Error {
    match error {
        ReadError::Damaged { file, offset, what, .. } => FormatError::corrupt(&file, offset, what).into(),
        other => FormatError::corrupt(table.path(), 0, other.to_string()).into(),
    }
}

/// Bins that are the nodes of one level.
fn folding(level: usize) -> Folding {
    Folding {
        range: TimeRange::ALL,
        grid: Grid::of_width(WIDTHS_NS[level]),
        holds: Holds::default(),
        exclude_invalid: false,
        empty: Empty::Skip,
        held: Held::Nothing,
    }
}

/// The nodes of the level above.
fn folded(nodes: &[Node], level: usize) -> Vec<Node> {
    let mut above = Vec::new();
    let folding = folding(level + 1);
    let mut fold = Fold::new(&folding);
    for node in nodes {
        fold.node(level, node, &mut |bin: &Bin| above.extend(bin.node));
    }
    fold.finish(&mut |bin: &Bin| above.extend(bin.node));
    above
}
