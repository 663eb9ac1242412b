//! Whether index files are what they were when they were written, and say what the tables say.

use super::partition::{each_entry, open};
use crate::indexed_table::small_chunk;
use crate::layout::Layout;
use crate::limits::MERGE_CACHE_BYTES;
use crate::manifest::{Manifest, MasterSegmentEntry, PartitionIndexEntry, TableEntry};
use crate::open_indexes::another;
use disk::{Disk, FormatError};
use index::{Master, PageCache, PartitionIndex};
use sample::{ChannelId, Timestamp};
use sstable::{BlockCache, Key};
use std::sync::Arc;

/// Bytes of pages kept meanwhile.
const CACHE_BYTES: usize = 16 << 20;

/// Reads every page of a partition index; with `deep` it also compares every entry with those of the tables.
/// Returns the number of entries.
///
/// # Errors
/// The first thing that is wrong, with file and offset, or the disk's.
pub fn verify_partition_index(
    disk: &dyn Disk,
    layout: &Layout,
    manifest: &Manifest,
    of: &PartitionIndexEntry,
    deep: bool,
) -> Result<u64, FormatError> {
    let path = layout.partition_index(of.week, of.generation, of.id);
    let index = PartitionIndex::open(disk, &path, &PageCache::new(CACHE_BYTES))?;
    let (info, summary) = (index.info(), index.summary());
    if (summary.bytes, summary.footer_crc) != (of.len, of.footer_crc)
        || (info.archive, info.week, info.generation) != (manifest.archive.0, of.week, of.generation)
    {
        return Err(another(&path));
    }
    index.verify()?;
    let in_index = |table: &&TableEntry| of.tables.contains(&table.id);
    let mut tables: Vec<TableEntry> = manifest.tables.iter().filter(in_index).cloned().collect();
    // As it was made: what has equal keys stands in this order.
    tables.sort_by_key(|table| table.id);
    if deep {
        let live = |entry: &index::Entry| tables.iter().any(|table| table.id == entry.locator.table);
        let all = index.entries_from(0, ChannelId(0), Timestamp::MIN)?;
        // Those of tables that are live no more harm nobody.
        let mut all = all.filter(|entry| entry.as_ref().map_or(true, live));
        let differs = || {
            let what = "the index does not hold the entries that the tables hold";
            FormatError::corrupt(&path, 0, what)
        };
        each_entry(disk, layout, &tables, |entry| match all.next().transpose()? {
            Some(found) if found == entry => Ok(true),
            _ => Err(differs()),
        })?;
        if all.next().is_some() {
            return Err(differs());
        }
    }
    Ok(summary.entries)
}

/// Reads every page of a segment of the master index; with `deep` it also compares every row with what the partition
/// indexes say. Returns the number of rows.
///
/// # Errors
/// The first thing that is wrong, with file and offset, or the disk's; so of the partition indexes with `deep`.
pub fn verify_master_segment(
    disk: &dyn Disk,
    layout: &Layout,
    manifest: &Manifest,
    of: &MasterSegmentEntry,
    deep: bool,
) -> Result<u64, FormatError> {
    let path = layout.master_segment(of.id);
    let cache = PageCache::new(CACHE_BYTES);
    let master = Master::open(disk, &path, &cache)?;
    let (info, summary) = (master.info(), master.summary());
    if (summary.bytes, summary.footer_crc) != (of.len, of.footer_crc)
        || (info.archive, info.segment) != (manifest.archive.0, of.id)
    {
        return Err(another(&path));
    }
    master.verify()?;
    let covered = manifest.partition_indexes.iter().filter(|index| of.indexes.contains(&index.id));
    for covered in covered.filter(|_| deep) {
        let index = layout.partition_index(covered.week, covered.generation, covered.id);
        let index = PartitionIndex::open(disk, &index, &cache)?;
        let live = |id: &u64| manifest.tables.iter().find(|table| table.id == *id);
        let cache = BlockCache::new(MERGE_CACHE_BYTES);
        let open = |entry: &TableEntry| open(disk, layout, entry, &cache).map(Arc::new);
        let tables = covered.tables.iter().filter_map(live).map(open).collect::<Result<Vec<_>, _>>()?;
        for summary in index.channels(|entry| small_chunk(&index, &tables, entry))? {
            let mut summary = summary?;
            if summary.rate != Key::SAMPLES && summary.rate <= Key::CHANNELS {
                continue;
            }
            let rows = master.rows(summary.rate, summary.channel, (covered.week, covered.week))?;
            let mut of_generation =
                rows.filter(|row| row.as_ref().map_or(true, |row| row.generation == covered.generation));
            let row = of_generation.next().transpose()?;
            if let Some(row) = row.as_ref().filter(|_| tables.len() < covered.tables.len()) {
                // What tables say that were dropped since cannot be compared.
                summary.statistics.clone_from(&row.summary.statistics);
            }
            if row.is_none_or(|row| row.summary != summary) {
                let what = "the master index does not say of a channel what the index of its week says";
                return Err(FormatError::corrupt(&path, 0, what));
            }
        }
    }
    Ok(summary.rows)
}
