//! The index of one week, made from its tables.

use super::choice::tables_of;
use super::swap;
use crate::error::Error;
use crate::indexed_table::for_index;
use crate::layout::Layout;
use crate::limits::MERGE_CACHE_BYTES;
use crate::manifest::{PartitionIndexEntry, TableEntry};
use crate::planted::{Bug, planted};
use crate::shared::Shared;
use disk::{Disk, FormatError};
use index::{PartitionInfo, PartitionSummary, PartitionWriter};
use sample::Week;
use sstable::{BlockCache, Entry, Key, Table};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

/// Makes the index of `week` and publishes it; `false` when `stop` asked for the end or the week's tables
/// changed meanwhile. Index files in `lost` go.
pub(super) fn carry_out(
    shared: &Shared,
    publishing: &Mutex<()>,
    week: Week,
    lost: &BTreeSet<u64>,
    stop: &dyn Fn() -> bool,
) -> Result<bool, Error> {
    let (tables, generation) = tables_of(&shared.view().manifest, week);
    let id = shared.next_table.fetch_add(1, Ordering::Relaxed);
    let path = shared.layout.partition_index(week, generation, id);
    let info = PartitionInfo { archive: shared.identity.id.0, week, generation };
    let summary = match write(shared, &tables, &path, info, stop) {
        Ok(Some(summary)) => summary,
        other => {
            swap::remove(shared, &path);
            return other.map(|_| false);
        }
    };
    let entry = PartitionIndexEntry {
        id,
        week,
        generation,
        len: summary.bytes,
        footer_crc: summary.footer_crc,
        tables: tables.iter().map(|table| table.id).collect(),
    };
    swap::publish_file(shared, publishing, &path, |manifest| {
        if tables_of(manifest, week).0 != tables {
            return false;
        }
        manifest.partition_indexes.retain(|of| of.week != week && !lost.contains(&of.id));
        manifest.partition_indexes.push(entry);
        manifest.partition_indexes.sort_by_key(|of| of.week);
        true
    })
}

/// Calls `take` with each entry of the tables, as an index has it, in the order of their keys, until that says no;
/// says whether all were taken.
pub(super) fn each_entry(
    disk: &dyn Disk,
    layout: &Layout,
    tables: &[TableEntry],
    mut take: impl FnMut(index::Entry) -> Result<bool, FormatError>,
) -> Result<bool, FormatError> {
    let cache = BlockCache::new(MERGE_CACHE_BYTES);
    let open = |entry: &TableEntry| open(disk, layout, entry, &cache);
    let tables = tables.iter().map(open).collect::<Result<Vec<_>, _>>()?;
    let mut sources = Sources::new(&tables)?;
    while let Some((at, entry)) = sources.next()? {
        let table = &tables[at];
        let last_rank = match &entry.chunk {
            Some(_) => table.chunk_header(&entry)?.last_rank,
            None => 0,
        };
        if !take(for_index(table.info().table, &entry, last_rank))? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn write(
    shared: &Shared,
    tables: &[TableEntry],
    path: &Path,
    info: PartitionInfo,
    stop: &dyn Fn() -> bool,
) -> Result<Option<PartitionSummary>, Error> {
    let mut writer = PartitionWriter::create(&*shared.disk, path, info)?;
    let whole = each_entry(&*shared.disk, &shared.layout, tables, |entry| {
        writer.add(&entry)?;
        Ok(!stop())
    })?;
    if !whole {
        return Ok(None);
    }
    let summary = writer.finish()?;
    if let Some(directory) = path.parent().filter(|_| !planted(Bug::IndexNotSynced)) {
        shared.disk.sync_dir(directory)?;
    }
    Ok(Some(summary))
}

/// The table that a manifest names.
pub(super) fn open(
    disk: &dyn Disk,
    layout: &Layout,
    entry: &TableEntry,
    cache: &Arc<BlockCache>,
) -> Result<Table, FormatError> {
    let path = entry.path(layout);
    let table = Table::open(disk, &path, cache)?;
    let (summary, info) = (table.summary(), table.info());
    if (summary.footer_crc, summary.len, info.table) != (entry.footer_crc, entry.len, entry.id) {
        return Err(FormatError::corrupt(
            &path,
            summary.len,
            "this is not the table that the manifest names",
        ));
    }
    Ok(table)
}

type TableEntries<'a> = Box<dyn Iterator<Item = Result<Entry, FormatError>> + 'a>;

/// The entries of several tables in the order of their keys, at equal keys of their first ranks.
struct Sources<'a> {
    rest: Vec<TableEntries<'a>>,
    heads: Vec<Option<Entry>>,
}

impl<'a> Sources<'a> {
    fn new(tables: &'a [Table]) -> Result<Sources<'a>, FormatError> {
        let mut rest: Vec<TableEntries<'a>> =
            tables.iter().map(|table| Box::new(table.all_entries()) as TableEntries<'a>).collect();
        let heads = rest.iter_mut().map(|rest| rest.next().transpose()).collect::<Result<_, _>>()?;
        Ok(Sources { rest, heads })
    }

    /// The next entry with the place of its table.
    fn next(&mut self) -> Result<Option<(usize, Entry)>, FormatError> {
        let place = |entry: &Entry| -> (Key, u32) {
            (entry.key, entry.chunk.as_ref().map_or(0, |chunk| chunk.first_rank))
        };
        let heads = self.heads.iter().enumerate();
        let least = heads.filter_map(|(at, head)| Some((place(head.as_ref()?), at))).min();
        let Some((_, at)) = least else { return Ok(None) };
        let next = self.rest[at].next().transpose()?;
        Ok(std::mem::replace(&mut self.heads[at], next).map(|entry| (at, entry)))
    }
}
