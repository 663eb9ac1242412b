//! Which index file is to be made next.

use crate::manifest::{Manifest, PartitionIndexEntry, TableEntry};
use crate::open_indexes::OpenIndexes;
use sample::{Timestamp, Week};
use std::collections::{BTreeMap, BTreeSet};

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Due {
    /// The index of this week is missing, unreadable or older than the week's tables.
    Partition(Week),
    /// The master index lacks what this partition index holds.
    Segment(PartitionIndexEntry),
    /// These neighbouring segments of the master index, by number, are to be one.
    Merge(Vec<u64>),
    /// Some index files are of no use any more.
    Forget,
}

/// Whether the index of its week holds a table's entries. What came beside a sealed week is few tables, which are asked
/// themselves, and so are roll-ups.
fn is_indexed(table: &TableEntry) -> bool {
    !table.beside && !table.is_rollup()
}

/// The tables of each week that an index is made of: those of weeks that ended before `settled`, because nothing
/// but what is written into a past week on purpose changes them any more.
fn settled_weeks(manifest: &Manifest, settled: Timestamp) -> BTreeMap<Week, Vec<&TableEntry>> {
    let mut weeks: BTreeMap<Week, Vec<&TableEntry>> = BTreeMap::new();
    for table in manifest.tables.iter().filter(|table| table.week.end() <= settled && is_indexed(table)) {
        weeks.entry(table.week).or_default().push(table);
    }
    weeks
}

/// The tables that the index of `week` is made of, with the generation of the directory that it goes to.
pub(super) fn tables_of(manifest: &Manifest, week: Week) -> (Vec<TableEntry>, u32) {
    let mut tables: Vec<TableEntry> =
        manifest.tables.iter().filter(|table| table.week == week && is_indexed(table)).cloned().collect();
    tables.sort_by_key(|table| table.id);
    let generation = tables.iter().map(|table| table.generation).max().unwrap_or(0);
    (tables, generation)
}

/// The index files that cannot be read. Each is opened.
pub(super) fn unreadable(indexes: &OpenIndexes, manifest: &Manifest) -> BTreeSet<u64> {
    let partitions = manifest.partition_indexes.iter().filter(|of| indexes.partition(of).is_none());
    let masters = manifest.master_segments.iter().filter(|of| indexes.master(of).is_none());
    partitions.map(|of| of.id).chain(masters.map(|of| of.id)).collect()
}

/// The index files that are of no use: those of `lost`, those of weeks without any table that they hold, and
/// segments of nothing but such.
pub(super) fn useless(manifest: &Manifest, lost: &BTreeSet<u64>) -> BTreeSet<u64> {
    let tables: BTreeSet<u64> = manifest.tables.iter().map(|table| table.id).collect();
    let in_use = |index: &&PartitionIndexEntry| index.tables.iter().any(|table| tables.contains(table));
    let live: BTreeSet<u64> = manifest.partition_indexes.iter().filter(in_use).map(|of| of.id).collect();
    let partitions = manifest.partition_indexes.iter().map(|of| of.id).filter(|id| !live.contains(id));
    let segments = manifest.master_segments.iter();
    let segments = segments.filter(|of| of.indexes.iter().all(|index| !live.contains(index))).map(|of| of.id);
    partitions.chain(segments).chain(lost.iter().copied()).collect()
}

/// What is due most. Index files in `lost` cannot be read; weeks in `left_alone` cannot be indexed.
pub(super) fn due(
    manifest: &Manifest,
    settled: Timestamp,
    lost: &BTreeSet<u64>,
    left_alone: &BTreeSet<Week>,
) -> Option<Due> {
    for (week, tables) in settled_weeks(manifest, settled) {
        let wanted: BTreeSet<u64> = tables.iter().map(|table| table.id).collect();
        let current = manifest
            .partition_indexes
            .iter()
            .any(|index| index.week == week && !lost.contains(&index.id) && wanted.iter().eq(&index.tables));
        if !current && !left_alone.contains(&week) {
            return Some(Due::Partition(week));
        }
    }
    let useless = useless(manifest, lost);
    let covered: BTreeSet<u64> = manifest
        .master_segments
        .iter()
        .filter(|segment| !useless.contains(&segment.id))
        .flat_map(|segment| segment.indexes.iter().copied())
        .collect();
    let uncovered =
        |index: &&PartitionIndexEntry| !useless.contains(&index.id) && !covered.contains(&index.id);
    if let Some(index) = manifest.partition_indexes.iter().find(uncovered) {
        return Some(Due::Segment(index.clone()));
    }
    if !useless.is_empty() {
        return Some(Due::Forget);
    }
    merge(manifest).map(Due::Merge)
}

/// The newest segments, from the one on that is not more than twice as large as all behind it together. So there
/// are about as many segments as the number of rows has binary digits, and a row is written as often.
fn merge(manifest: &Manifest) -> Option<Vec<u64>> {
    let segments = &manifest.master_segments;
    let size = |at: usize| segments[at].rows + segments[at].names;
    let (mut behind, mut from) = (0, segments.len());
    for at in (0..segments.len()).rev() {
        if behind > 0 && size(at) <= 2 * behind {
            from = at;
        }
        behind += size(at).max(1);
    }
    (from < segments.len()).then(|| segments[from..].iter().map(|segment| segment.id).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::ArchiveId;
    use crate::manifest::MasterSegmentEntry;
    use sample::ChannelId;

    const NOW: Timestamp = Timestamp(1_794_787_200 * 1_000_000_000);

    fn past(weeks: i32) -> Week {
        Week(Week::containing(NOW).0 - weeks)
    }

    fn table(id: u64, week: Week) -> TableEntry {
        TableEntry {
            id,
            week,
            generation: 1,
            class: 0,
            decimated: false,
            holds_carry_in: false,
            late: false,
            len: 1,
            footer_crc: 0,
            samples_span: None,
            channels: 1,
            samples: 0,
            value_bytes: 0,
            channel_span: (ChannelId(1), ChannelId(1)),
            sequence_span: (0, 0),
            tier: 0,
            sealed: false,
            beside: false,
            sources: Vec::new(),
        }
    }

    fn index(id: u64, week: Week, tables: &[u64]) -> PartitionIndexEntry {
        PartitionIndexEntry { id, week, generation: 1, len: 1, footer_crc: 0, tables: tables.to_vec() }
    }

    fn segment(id: u64, rows: u64, indexes: &[u64]) -> MasterSegmentEntry {
        MasterSegmentEntry { id, len: 1, footer_crc: 0, rows, names: 0, indexes: indexes.to_vec() }
    }

    fn due_of(manifest: &Manifest, lost: &[u64]) -> Option<Due> {
        due(manifest, NOW, &lost.iter().copied().collect(), &BTreeSet::new())
    }

    #[test]
    fn each_step_follows_from_what_is_missing() {
        let mut manifest = Manifest::new(ArchiveId(1));
        assert_eq!(due_of(&manifest, &[]), None);
        manifest.tables = vec![table(1, past(0)), table(2, past(1)), table(3, past(1)), table(4, past(2))];
        assert_eq!(due_of(&manifest, &[]), Some(Due::Partition(past(2))));
        manifest.partition_indexes.push(index(5, past(2), &[4]));
        assert_eq!(due_of(&manifest, &[]), Some(Due::Partition(past(1))));
        let left_alone = [past(1)].into();
        let found = due(&manifest, NOW, &BTreeSet::new(), &left_alone);
        assert_eq!(found, Some(Due::Segment(index(5, past(2), &[4]))));
        manifest.partition_indexes.push(index(6, past(1), &[2]));
        assert_eq!(due_of(&manifest, &[]), Some(Due::Partition(past(1))), "a table was added");
        manifest.partition_indexes[1].tables.push(3);
        manifest.master_segments.push(segment(7, 10, &[5]));
        assert_eq!(due_of(&manifest, &[]), Some(Due::Segment(index(6, past(1), &[2, 3]))));
        manifest.master_segments.push(segment(8, 1, &[6]));
        assert_eq!(due_of(&manifest, &[]), None);
        assert_eq!(due_of(&manifest, &[6]), Some(Due::Partition(past(1))), "unreadable");
        assert_eq!(due_of(&manifest, &[8]), Some(Due::Segment(index(6, past(1), &[2, 3]))), "unreadable");
        manifest.tables.pop();
        assert_eq!(due_of(&manifest, &[]), Some(Due::Forget));
        assert_eq!(useless(&manifest, &BTreeSet::new()), [5, 7].into());
    }

    #[test]
    fn segments_grow_geometrically() {
        let mut manifest = Manifest::new(ArchiveId(1));
        manifest.tables.push(table(1, past(1)));
        manifest.partition_indexes.push(index(2, past(1), &[1]));
        let mut written = 0;
        for week in 0..1000 {
            manifest.master_segments.push(segment(1000 + 2 * week, 100, &[2]));
            while let Some(merged) = merge(&manifest) {
                let segments = &mut manifest.master_segments;
                let from = segments.iter().position(|segment| segment.id == merged[0]).unwrap();
                assert_eq!(merged.len(), segments.len() - from);
                let rows = segments.drain(from..).map(|segment| segment.rows).sum();
                segments.push(segment(1001 + 2 * week, rows, &[2]));
                written += rows;
            }
            assert!(manifest.master_segments.len() <= 10);
        }
        assert!(written < 100 * 1000 * 12, "{written}");
    }
}
