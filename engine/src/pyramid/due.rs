//! Which decimated table is to be made next.

use crate::limits::{DECIMATED_SPAN_NS_MIN, ROLLUP_WIDTH_NS_MIN};
use crate::manifest::{Manifest, TableEntry};
use crate::merge;
use crate::shared::StorageSettings;
use sample::Week;
use std::collections::{BTreeMap, HashSet};

/// What is to be made.
pub(super) enum Due {
    /// The rows of this table.
    Weekly(TableEntry),
    /// Rows of several.
    Rollup(Rollup),
}

/// Decimated tables whose rows are to be joined.
pub(super) enum Rollup {
    /// Those of several sealed weeks: its rows stand twice.
    Weeks(Vec<TableEntry>),
    /// Those of tables of one week that goes on: it takes their place.
    Days(Vec<TableEntry>),
}

impl Rollup {
    /// The decimated tables.
    pub(super) fn tables(&self) -> &[TableEntry] {
        let (Rollup::Weeks(tables) | Rollup::Days(tables)) = self;
        tables
    }

    /// Width of the narrowest bins that it holds, ns.
    pub(super) fn narrowest_ns(&self) -> i64 {
        match self {
            Rollup::Weeks(_) => ROLLUP_WIDTH_NS_MIN,
            Rollup::Days(_) => 0,
        }
    }

    /// Whether `other` goes when `rollup`, which is made of this, is there.
    pub(super) fn replaces(&self, other: &TableEntry, rollup: &TableEntry) -> bool {
        match self {
            Rollup::Weeks(_) => other.is_rollup() && rollup.rolls_up(other),
            Rollup::Days(_) => other.decimated && rollup.rolls_up(other),
        }
    }
}

/// What is due most; tables in `given_up` are left alone. Of roll-ups of weeks that of the greatest number comes first.
pub(super) fn due(manifest: &Manifest, given_up: &HashSet<u64>, settings: &StorageSettings) -> Option<Due> {
    let rollup = || {
        let days = days(manifest, given_up, settings).map(Rollup::Days);
        days.or_else(|| weeks(manifest, given_up, &settings.rollup_weeks).map(Rollup::Weeks))
    };
    weekly(manifest, given_up).map(Due::Weekly).or_else(|| rollup().map(Due::Rollup))
}

/// A table without decimated rows that should have some: a sealed one, or one that spans so long that
/// bins lie inside it. The sealed and the longest first.
fn weekly(manifest: &Manifest, given_up: &HashSet<u64>) -> Option<TableEntry> {
    let in_rollups =
        manifest.tables.iter().filter(|table| table.is_rollup()).flat_map(|table| &table.sources);
    let in_rollups: HashSet<u64> = in_rollups.copied().collect();
    let in_rows: HashSet<u64> = rows(manifest).flat_map(|rows| &rows.sources).copied().collect();
    // What a sealed week has in a roll-up are not all its rows.
    let is_done =
        |table: &TableEntry| in_rows.contains(&table.id) || !table.sealed && in_rollups.contains(&table.id);
    let span = |table: &TableEntry| table.samples_span.map_or(0, |(first, last)| last.since(first));
    let wanted = |table: &&TableEntry| {
        holds_samples(table)
            && !is_done(table)
            && !given_up.contains(&table.id)
            && (table.sealed || span(table) >= DECIMATED_SPAN_NS_MIN)
    };
    manifest.tables.iter().filter(wanted).max_by_key(|table| (table.sealed, span(table))).cloned()
}

fn holds_samples(table: &TableEntry) -> bool {
    !table.decimated && table.samples > 0
}

/// The decimated tables of single tables.
fn rows(manifest: &Manifest) -> impl Iterator<Item = &TableEntry> {
    manifest.tables.iter().filter(|table| table.decimated && !table.is_rollup())
}

/// Decimated tables of one class and week that goes on, neighbours in time, whose sources are live and so large that they
/// are merged no more. Those of about as many sources are taken together, so each row is written a few times only.
fn days(manifest: &Manifest, given_up: &HashSet<u64>, settings: &StorageSettings) -> Option<Vec<TableEntry>> {
    let stays = merge::staying(manifest, settings);
    let usable = |table: &&TableEntry| stays(table) && holds_samples(table) && !given_up.contains(&table.id);
    let usable: HashSet<u64> = manifest.tables.iter().filter(usable).map(|table| table.id).collect();
    let mut series: BTreeMap<(u16, Week), Vec<&TableEntry>> = BTreeMap::new();
    for rows in manifest.tables.iter().filter(|table| table.decimated && table.samples_span.is_some()) {
        if rows.sources.iter().all(|source| usable.contains(source)) {
            series.entry((rows.class, rows.week)).or_default().push(rows);
        }
    }
    let several = settings.rollup_tables;
    let size = |rows: &TableEntry| rows.sources.len().max(1).ilog(several);
    series.into_values().find_map(|mut tables| {
        tables.sort_by_key(|rows| rows.samples_span);
        let mut alike = tables.chunk_by(|a, b| size(a) == size(b));
        let due = alike.find(|tables| tables.len() >= several)?;
        Some(due.iter().map(|rows| (*rows).clone()).collect())
    })
}

/// The decimated tables of neighbouring sealed weeks of one class that no roll-up holds together. Weeks are taken
/// together by their number, so that the same ones are whatever was there when; nothing of them may be waiting to be
/// sealed.
fn weeks(manifest: &Manifest, given_up: &HashSet<u64>, rollup_weeks: &[i32]) -> Option<Vec<TableEntry>> {
    let end = manifest.tables.iter().filter(|table| table.sealed).map(|table| table.week).max()?.next();
    let waiting: HashSet<(u16, Week)> = manifest
        .tables
        .iter()
        .filter(|table| holds_samples(table) && !table.sealed && !table.beside)
        .map(|table| (table.class, table.week))
        .collect();
    let is_rolled_up = |block: &[&TableEntry]| {
        manifest.tables.iter().any(|table| block.iter().all(|rows| table.rolls_up(rows)))
    };
    for weeks in rollup_weeks {
        let mut blocks: BTreeMap<(u16, i32), Vec<&TableEntry>> = BTreeMap::new();
        let usable =
            |rows: &&TableEntry| rows.sealed && rows.sources.iter().all(|source| !given_up.contains(source));
        for of in rows(manifest).filter(usable) {
            blocks.entry((of.class, of.week.0.div_euclid(*weeks))).or_default().push(of);
        }
        for ((class, number), block) in blocks {
            let begin = number.saturating_mul(*weeks);
            let inside = begin..begin.saturating_add(*weeks);
            let is_whole = inside.end <= end.0
                && !waiting.iter().any(|(of, week)| *of == class && inside.contains(&week.0));
            let several = block.iter().any(|rows| rows.week != block[0].week);
            if is_whole && several && !is_rolled_up(&block) {
                return Some(block.into_iter().cloned().collect());
            }
        }
    }
    None
}
