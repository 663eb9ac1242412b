//! Which decimated table is to be made next.

use crate::limits::DECIMATED_SPAN_NS_MIN;
use crate::manifest::{Manifest, TableEntry};
use sample::Week;
use std::collections::{BTreeMap, HashSet};

/// What is to be made.
pub(super) enum Due {
    /// The rows of this table.
    Weekly(TableEntry),
    /// The roll-up of these decimated tables.
    Rollup(Vec<TableEntry>),
}

/// What is due most; tables in `given_up` are left alone. A roll-up is of `rollup_weeks` weeks, the greatest number first.
pub(super) fn due(manifest: &Manifest, given_up: &HashSet<u64>, rollup_weeks: &[i32]) -> Option<Due> {
    let weekly = || weekly(manifest, given_up).map(Due::Weekly);
    weekly().or_else(|| rollup(manifest, given_up, rollup_weeks).map(Due::Rollup))
}

/// A table without decimated rows that should have some: a sealed one, or one that spans so long that
/// bins lie inside it. The sealed and the longest first.
fn weekly(manifest: &Manifest, given_up: &HashSet<u64>) -> Option<TableEntry> {
    let made = rows(manifest).flat_map(|rows| &rows.sources);
    let done: HashSet<u64> = made.copied().collect();
    let span = |table: &TableEntry| table.samples_span.map_or(0, |(first, last)| last.since(first));
    let wanted = |table: &&TableEntry| {
        holds_samples(table)
            && !done.contains(&table.id)
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

/// The decimated tables of neighbouring sealed weeks of one class that no roll-up holds together. Weeks are taken
/// together by their number, so that the same ones are whatever was there when; nothing of them may be waiting to be
/// sealed.
fn rollup(manifest: &Manifest, given_up: &HashSet<u64>, rollup_weeks: &[i32]) -> Option<Vec<TableEntry>> {
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
