//! Decides which tables are live, by what the files say.

use super::survey::{Candidate, Condition};
use crate::error::Error;
use crate::layout::Layout;
use crate::manifest::Manifest;
use crate::planted::{Bug, planted};
use crate::wal::Reach;
use sample::ChannelId;
use sstable::Lineage;
use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;

/// What becomes of a table file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It is live.
    Live,
    /// It is damaged: what is left of it goes into a new table.
    Salvage,
    /// It is damaged, and everything in it stands in live tables.
    Aside,
    /// Everything in it stands in live tables.
    Superfluous,
    /// It was never live; everything in it that was durable stands in the log.
    Leftover,
}

/// What the log is, seen from the last record that stands in live tables for certain.
struct Log {
    /// That record.
    before: u64,
    reach: Reach,
    /// Whether there is a log at all.
    there: bool,
}

impl Log {
    /// Whether it begins where the tables end, and has lost nothing that was durable.
    fn goes_on(&self) -> bool {
        self.reach.sound && self.reach.earliest > 0 && self.reach.earliest <= self.before.saturating_add(1)
    }

    /// Whether a flush that no manifest names may be forgotten: the log holds all of it, or it died in the
    /// midst of writing tables and what the log lacks was never durable.
    fn replaces(&self, table: &Table, all: &[Table]) -> bool {
        let behind = is_flushed(table) && table.lineage.through > self.before;
        let held = self.goes_on() && table.lineage.through <= self.reach.through;
        let whole_log = self.goes_on() || (self.reach.earliest == 0 && self.there);
        behind && (held || (whole_log && !is_whole(table, all)))
    }
}

/// What was decided.
#[derive(Debug)]
pub(super) struct Choice {
    /// One for each candidate.
    pub(super) fates: Vec<Fate>,
    /// First sequence of the log that is not in tables.
    pub(super) wal_from: u64,
}

/// One candidate as the choice sees it.
struct Table {
    id: u64,
    sound: bool,
    finished: bool,
    tier: u16,
    /// Whether it lies where seals write.
    sealed: bool,
    /// The greatest channel in it, if it is sound.
    last_channel: Option<ChannelId>,
    lineage: Lineage,
    named: bool,
    dropped: bool,
}

/// Decides for all candidates. `reach` looks into the log from a sequence on, if there is one (`has_log`).
pub(super) fn choose(
    candidates: &[Candidate],
    former: Option<&Manifest>,
    layout: &Layout,
    has_log: bool,
    reach: &mut dyn FnMut(u64) -> Result<Reach, Error>,
) -> Result<Choice, Error> {
    let entries = former.iter().flat_map(|manifest| &manifest.tables);
    let named: HashSet<PathBuf> = entries.map(|entry| entry.path(layout)).collect();
    let gone = former.iter().flat_map(|manifest| &manifest.dropped).map(|file| layout.inside(&file.file));
    // A seal that was not finished begins again.
    let begun = former.iter().filter_map(|manifest| manifest.sealing.as_ref()).flat_map(|of| &of.outputs);
    let dropped: HashSet<PathBuf> = gone.chain(begun.map(|entry| entry.path(layout))).collect();
    let table = |candidate: &Candidate| {
        let (sound, finished, tier, last_channel) = match &candidate.condition {
            Condition::Sound(facts) => (true, true, facts.entry.tier, Some(facts.last_channel)),
            Condition::Damaged { info, finished, .. } => {
                (false, *finished, info.as_ref().map_or(0, |info| info.tier), None)
            }
        };
        let path = &candidate.file.path;
        Table {
            id: candidate.file.id,
            sound,
            finished,
            tier,
            sealed: candidate.file.is_sealed(),
            last_channel,
            lineage: candidate.lineage(),
            named: named.contains(path),
            dropped: dropped.contains(path),
        }
    };
    let tables: Vec<Table> = candidates.iter().map(table).collect();
    match former {
        Some(manifest) => {
            let before = manifest.wal_from.saturating_sub(1);
            let log = Log { before, reach: reach(manifest.wal_from)?, there: has_log };
            let fates = by_manifest(&tables, &log);
            // A flush that is whole although no manifest says so holds more than the log, up to its end.
            let beyond = tables.iter().zip(&fates).filter(|(table, fate)| {
                **fate == Fate::Live && is_flushed(table) && is_whole(table, &tables) && !table.named
            });
            let beyond = beyond.map(|(table, _)| table.lineage.through).max().unwrap_or(0);
            let passes = log.reach.sound && beyond > log.reach.through.max(before);
            Ok(Choice { fates, wal_from: if passes { beyond + 1 } else { manifest.wal_from } })
        }
        None => {
            let before = tables.iter().filter(|t| is_whole(t, &tables)).map(|t| t.lineage.through).max();
            let before = before.unwrap_or(0);
            let log = Log { before, reach: reach(before + 1)?, there: has_log };
            let fates = by_lineage(&tables, &log);
            let live = tables
                .iter()
                .zip(&fates)
                .filter(|(_, fate)| !matches!(fate, Fate::Superfluous | Fate::Leftover));
            let through = live.map(|(table, _)| table.lineage.through).max().unwrap_or(0).max(before);
            // What the log lacks at its beginning is no reason to mistrust it.
            let wal_from = match log.reach.earliest {
                0 => through + 1,
                earliest => earliest.max(before + 1),
            };
            Ok(Choice { fates, wal_from })
        }
    }
}

/// One of several tables that a week was sealed to.
fn is_portion(table: &Table) -> bool {
    table.sealed && !table.lineage.group.is_empty() && !table.lineage.parts.is_empty()
}

/// Whether a portion and those before it hold all that their sources hold: the sources went with the end of the
/// seal, or no channel of theirs is left.
fn is_last_portion(table: &Table, all: &[Table]) -> bool {
    let Lineage { group, parts, .. } = &table.lineage;
    let member = |id: &u64| all.iter().find(|other| other.sound && other.id == *id);
    let merged_on = |id: &u64| all.iter().any(|other| other.sound && other.lineage.parts.contains(id));
    if !group.iter().all(|id| member(id).is_some() || merged_on(id)) {
        return false;
    }
    let sources: Vec<&Table> = all.iter().filter(|other| parts.contains(&other.id)).collect();
    let accounted =
        |part: &u64| sources.iter().any(|source| source.id == *part || source.lineage.parts.contains(part));
    if !parts.iter().all(accounted) {
        return true;
    }
    let highest = sources.iter().map(|source| source.last_channel).max().flatten();
    sources.iter().all(|source| source.sound)
        && group.iter().filter_map(member).map(|member| member.last_channel).max().flatten() >= highest
}

/// Whether a portion is of a seal that was given up: its sources were merged with each other afterwards.
fn is_given_up(portion: &Table, all: &[Table]) -> bool {
    let shares = |other: &Table| other.lineage.parts.iter().any(|part| portion.lineage.parts.contains(part));
    let apart = |other: &Table| {
        !portion.lineage.parts.contains(&other.id) && !other.lineage.parts.contains(&portion.id)
    };
    all.iter().any(|other| other.sound && !other.sealed && shares(other) && apart(other))
}

/// Numbers of the tables in whose place a table stands.
fn replaced<'a>(table: &'a Table, all: &[Table]) -> &'a [u64] {
    let together = |portion: &Table| {
        let with = |other: &&Table| is_portion(other) && other.lineage.group.contains(&portion.id);
        all.iter().filter(with).any(|last| is_last_portion(last, all))
    };
    let begun = is_portion(table) && (!together(table) || is_given_up(table, all));
    if begun { &[] } else { &table.lineage.parts }
}

/// Numbers of `live` tables and of all that went into them.
fn covered<'a>(live: impl Iterator<Item = &'a Table>, all: &'a [Table]) -> BTreeSet<u64> {
    live.flat_map(|table| replaced(table, all).iter().copied().chain([table.id])).collect()
}

/// Whether a merged table says nothing that the tables behind `covered` do not.
fn stands_elsewhere(table: &Table, covered: &BTreeSet<u64>) -> bool {
    let parts = &table.lineage.parts;
    !parts.is_empty() && parts.iter().all(|part| covered.contains(part))
}

/// A table that was flushed and not merged.
fn is_flushed(table: &Table) -> bool {
    table.tier == 0 && table.lineage.parts.is_empty()
}

/// Whether the flush that made the table (or the newest one in it) was finished: what was merged had been live.
fn is_whole(table: &Table, all: &[Table]) -> bool {
    let there = |id: &u64| {
        all.iter().any(|other| other.finished && (other.id == *id || other.lineage.parts.contains(id)))
    };
    table.finished
        && (planted(Bug::FlushTakenForFinished)
            || !is_flushed(table)
            || table.lineage.group.iter().all(there))
}

/// With a sound manifest.
fn by_manifest(tables: &[Table], log: &Log) -> Vec<Fate> {
    let trusted = covered(tables.iter().filter(|table| table.named && table.sound), tables);
    let broken: BTreeSet<u64> = tables
        .iter()
        .filter(|table| table.named && !table.sound)
        .flat_map(|table| table.lineage.parts.iter().copied())
        .collect();
    let mut fates: Vec<Fate> = tables
        .iter()
        .map(|table| match (table.named, table.sound) {
            (true, true) => Fate::Live,
            (true, false) => Fate::Salvage,
            (false, _) if trusted.contains(&table.id) || stands_elsewhere(table, &trusted) => {
                Fate::Superfluous
            }
            (false, _) if table.dropped && !broken.contains(&table.id) => Fate::Superfluous,
            (false, _) if log.replaces(table, tables) => Fate::Leftover,
            (false, true) => Fate::Live,
            // A flush or merge that died in the midst of it.
            (false, false) if !table.finished => Fate::Leftover,
            (false, false) => Fate::Salvage,
        })
        .collect();
    settle(tables, &mut fates);
    fates
}

/// Without one.
fn by_lineage(tables: &[Table], log: &Log) -> Vec<Fate> {
    let mut fates: Vec<Fate> = tables
        .iter()
        .map(|table| match table.sound {
            _ if log.replaces(table, tables) => Fate::Leftover,
            true => Fate::Live,
            false => Fate::Salvage,
        })
        .collect();
    settle(tables, &mut fates);
    for (table, fate) in tables.iter().zip(&mut fates) {
        // Not damage but a merge that was never finished.
        if *fate == Fate::Aside && !table.finished {
            *fate = Fate::Superfluous;
        }
    }
    fates
}

/// Tables that went into live ones are superfluous; damaged ones need not be saved when all that went into
/// them is live.
fn settle(tables: &[Table], fates: &mut [Fate]) {
    let live =
        |fates: &[Fate]| -> Vec<usize> { (0..tables.len()).filter(|at| fates[*at] == Fate::Live).collect() };
    let parts: BTreeSet<u64> =
        live(fates).iter().flat_map(|at| replaced(&tables[*at], tables).iter().copied()).collect();
    for (table, fate) in tables.iter().zip(fates.iter_mut()) {
        if parts.contains(&table.id) && *fate != Fate::Leftover && !planted(Bug::MergedPartsKept) {
            *fate = Fate::Superfluous;
        }
    }
    let covered = covered(live(fates).iter().map(|at| &tables[*at]), tables);
    for (table, fate) in tables.iter().zip(fates) {
        if *fate == Fate::Salvage && stands_elsewhere(table, &covered) {
            *fate = Fate::Aside;
        }
        // Of a seal that was not finished, or some of whose tables are damaged: the sources are all there.
        let alone = *fate == Fate::Live && is_portion(table) && replaced(table, tables).is_empty();
        if alone && stands_elsewhere(table, &covered) {
            *fate = Fate::Superfluous;
        }
    }
}
