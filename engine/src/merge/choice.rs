//! Which tables are to be merged next.

use crate::limits::MERGE_TIERS_MAX;
use crate::manifest::{Manifest, TableEntry};
use crate::shared::StorageSettings;
use sample::Week;
use std::collections::{BTreeMap, HashSet};

/// Neighbouring tables of one tier, in the order in which they were flushed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Due {
    pub(crate) tables: Vec<TableEntry>,
    /// Bytes that dropped files may hold when the merge begins.
    pub(crate) waiting_max: u64,
}

impl Due {
    /// Bytes that the merge reads, and writes at most.
    pub(crate) fn bytes(&self) -> u64 {
        self.tables.iter().map(|table| table.len).sum()
    }
}

/// The tables that are being sealed.
fn in_seal(manifest: &Manifest) -> HashSet<u64> {
    let inputs = manifest.sealing.iter().flat_map(|sealing| &sealing.inputs);
    inputs.map(|input| input.table).collect()
}

/// Most bytes of a merge in each week: a quarter of what the week holds, or a few. That bounds what the old and the new
/// tables take together.
fn shares(manifest: &Manifest, settings: &StorageSettings) -> BTreeMap<Week, u64> {
    let mut weeks: BTreeMap<Week, u64> = BTreeMap::new();
    for table in &manifest.tables {
        *weeks.entry(table.week).or_default() += table.len;
    }
    weeks.values_mut().for_each(|bytes| *bytes = (*bytes / 4).max(settings.merge_small_bytes));
    weeks
}

/// Tells of a table of a week that goes on whether it is so large that it will hardly be merged.
pub(crate) fn staying(manifest: &Manifest, settings: &StorageSettings) -> impl Fn(&TableEntry) -> bool {
    let (sealing, shares) = (in_seal(manifest), shares(manifest, settings));
    let fan_in = settings.merge_fan_in as u64;
    move |table| {
        let share = shares.get(&table.week).copied().unwrap_or(0);
        let is_large = table.tier >= MERGE_TIERS_MAX || table.len.saturating_mul(fan_in) > share;
        is_large && !table.decimated && !table.sealed && !table.beside && !sealing.contains(&table.id)
    }
}

/// The merges that are due, lowest tier first: wherever so many neighbours of one week, class and tier as `settings` say
/// are live that are not sealed or being sealed. Tables in `given_up` part their neighbours. A merge that would take more
/// than its share of the week waits until the week has grown.
pub(crate) fn due(manifest: &Manifest, settings: &StorageSettings, given_up: &HashSet<u64>) -> Vec<Due> {
    let (sealing, shares) = (in_seal(manifest), shares(manifest, settings));
    let mut series: BTreeMap<_, Vec<&TableEntry>> = BTreeMap::new();
    for table in &manifest.tables {
        if !table.decimated && !table.sealed && !sealing.contains(&table.id) {
            let directory = (table.week, table.generation, table.beside);
            series.entry((directory, table.class)).or_default().push(table);
        }
    }
    let mut found = Vec::new();
    for (((week, ..), _), tables) in series {
        let share = shares.get(&week).copied().unwrap_or(0);
        let alike = |a: &&TableEntry, b: &&TableEntry| {
            a.tier == b.tier && !given_up.contains(&a.id) && !given_up.contains(&b.id)
        };
        for neighbours in tables.chunk_by(alike).filter(|run| run[0].tier < MERGE_TIERS_MAX) {
            for group in neighbours.chunks_exact(settings.merge_fan_in) {
                let tables = group.iter().map(|table| (*table).clone()).collect();
                found.push(Due { tables, waiting_max: share });
            }
        }
    }
    found.retain(|due| due.bytes() <= due.waiting_max);
    found.sort_by_key(|due| due.tables[0].tier);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::ArchiveId;
    use crate::limits::MERGE_SMALL_BYTES;
    use sample::{ChannelId, Timestamp};

    fn table(id: u64, tier: u16, len: u64) -> TableEntry {
        TableEntry {
            id,
            week: Week(2900),
            generation: 1,
            class: 0,
            decimated: false,
            holds_carry_in: false,
            late: false,
            len,
            footer_crc: 0,
            samples_span: Some((Timestamp(0), Timestamp(1))),
            channels: 1,
            samples: 1,
            value_bytes: 8,
            channel_span: (ChannelId(1), ChannelId(1)),
            sequence_span: (0, 0),
            tier,
            sealed: false,
            beside: false,
            sources: Vec::new(),
        }
    }

    fn of(tables: Vec<TableEntry>) -> Manifest {
        let mut manifest = Manifest::new(ArchiveId(1));
        manifest.tables = tables;
        manifest
    }

    fn due(manifest: &Manifest, fan_in: usize, given_up: &HashSet<u64>) -> Vec<Due> {
        let settings = StorageSettings { merge_fan_in: fan_in, ..StorageSettings::default() };
        super::due(manifest, &settings, given_up)
    }

    fn ids(due: &[Due]) -> Vec<Vec<u64>> {
        due.iter().map(|due| due.tables.iter().map(|table| table.id).collect()).collect()
    }

    #[test]
    fn neighbours_of_one_tier_are_merged_the_lowest_tier_first() {
        let tiers = [2, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0];
        let manifest = of((1..).zip(tiers).map(|(id, tier)| table(id, tier, 10)).collect());
        let found = due(&manifest, 3, &HashSet::new());
        assert_eq!(ids(&found), [vec![5, 6, 7], vec![8, 9, 10], vec![2, 3, 4]]);
        assert_eq!(found[0].bytes(), 30);
        assert!(due(&manifest, 8, &HashSet::new()).is_empty());
    }

    #[test]
    fn classes_weeks_and_tables_given_up_part_neighbours() {
        let mut tables: Vec<TableEntry> = (0..12).map(|id| table(id, 0, 10)).collect();
        tables.iter_mut().filter(|t| t.id % 2 == 1).for_each(|t| t.class = 1);
        assert_eq!(ids(&due(&of(tables.clone()), 6, &HashSet::new())).len(), 2);
        assert!(due(&of(tables.clone()), 6, &HashSet::from([4])).iter().all(|d| d.tables[0].class == 1));
        tables[6].week = Week(2901);
        assert_eq!(ids(&due(&of(tables), 6, &HashSet::new())), [vec![1, 3, 5, 7, 9, 11]]);
    }

    #[test]
    fn a_sample_is_rewritten_so_often_and_no_more() {
        let tables = (0..8).map(|id| table(id, MERGE_TIERS_MAX, 10)).collect();
        assert!(due(&of(tables), 8, &HashSet::new()).is_empty());
    }

    #[test]
    fn a_large_merge_waits_until_it_is_a_quarter_of_its_week() {
        let large = MERGE_SMALL_BYTES / 2;
        let tables = |count| of((0..count).map(|id| table(id, 0, large)).collect());
        assert!(due(&tables(8), 3, &HashSet::new()).is_empty());
        assert_eq!(due(&tables(12), 3, &HashSet::new()).len(), 4);
    }

    #[test]
    fn what_stays_is_not_merged() {
        let settings = StorageSettings { merge_fan_in: 3, ..StorageSettings::default() };
        let large = MERGE_SMALL_BYTES / 2;
        let mut tables: Vec<TableEntry> = (0..8).map(|id| table(id, 0, large)).collect();
        tables[1].sealed = true;
        tables[2].beside = true;
        tables[3].decimated = true;
        tables[4].len = 10;
        let manifest = of(tables);
        let stays = staying(&manifest, &settings);
        let found: Vec<u64> = manifest.tables.iter().filter(|t| stays(t)).map(|t| t.id).collect();
        assert_eq!(found, [0, 5, 6, 7]);
        // When the week has grown they are merged.
        let grown = of((0..12).map(|id| table(id, 0, large)).collect());
        let stays = staying(&grown, &settings);
        assert!(!grown.tables.iter().any(stays));
    }
}
