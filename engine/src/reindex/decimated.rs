//! Which decimated tables are of use when a manifest is made anew.

use super::facts::Facts;
use super::survey::{Candidate, Condition};
use crate::manifest::Manifest;
use disk::{Disk, FormatError};
use sample::Timestamp;
use sstable::{BlockCache, Table};

/// Times of the first and last sample.
type Span = (Timestamp, Timestamp);

/// Whether it is a roll-up of tables of a week that goes on, all of which are live.
pub(super) fn is_of_days(candidate: &Candidate, live: &[Facts]) -> bool {
    let is_there = |id: &u64| live.iter().any(|of| of.entry.id == *id && !of.entry.sealed);
    candidate.file.is_rollup() && candidate.lineage().sources.iter().all(is_there)
}

/// What a sound decimated table says of itself, with the span of its sources, if it is of use; others are made anew.
/// `live` has all of what was received, and the rows that were found of use before: first those of several tables of a
/// week that goes on, then those of one table each, then roll-ups of several weeks, the greatest of each first.
///
/// # Errors
/// The disk's.
pub(super) fn of_use(
    candidate: &Candidate,
    raw: &[Candidate],
    live: &[Facts],
    former: Option<&Manifest>,
    disk: &dyn Disk,
) -> Result<Option<Facts>, FormatError> {
    let Condition::Sound(facts) = &candidate.condition else { return Ok(None) };
    let sources = &facts.lineage.sources;
    let rows = live.iter().filter(|of| matches!(*of.entry.sources, [source] if sources.contains(&source)));
    let rows: Vec<&Facts> = rows.collect();
    let stands_apart = !candidate.file.is_rollup() || is_of_days(candidate, live);
    let is_of_gone = || !live.iter().any(|of| sources.contains(&of.entry.id));
    let span = if stands_apart || rows.is_empty() && is_of_gone() {
        span_of_sources(candidate, sources, raw, live, former, disk)?
    } else if rows.len() == sources.len() {
        // A roll-up of weeks stands beside the rows of each.
        Some(joined(rows.iter().map(|of| of.entry.samples_span)))
    } else {
        None
    };
    let Some(span) = span else { return Ok(None) };
    let mut found = (**facts).clone();
    found.entry.sources.clone_from(sources);
    found.entry.samples_span = span;
    let is_sound = candidate.file.is_rollup() == found.entry.is_rollup();
    let is_superfluous = live.iter().any(|of| of.entry.rolls_up(&found.entry));
    Ok(Some(found).filter(|_| is_sound && !is_superfluous))
}

/// The span of the sources, if they are live, or have gone by a retention rule (the former manifest names the rows
/// without them; without a manifest nothing that they went into is there).
fn span_of_sources(
    candidate: &Candidate,
    sources: &[u64],
    raw: &[Candidate],
    live: &[Facts],
    former: Option<&Manifest>,
    disk: &dyn Disk,
) -> Result<Option<Option<Span>>, FormatError> {
    let named = |id: u64| former.and_then(|manifest| manifest.tables.iter().find(|table| table.id == id));
    let went_into = |id: &u64| raw.iter().any(|of| of.file.id == *id || of.lineage().parts.contains(id));
    let found: Vec<&Facts> = live.iter().filter(|of| sources.contains(&of.entry.id)).collect();
    let gone = || sources.iter().all(|id| named(*id).is_none());
    Ok(match named(candidate.file.id) {
        _ if sources.is_empty() || !found.is_empty() && found.len() < sources.len() => None,
        _ if !found.is_empty() => Some(joined(found.iter().map(|of| of.entry.samples_span))),
        Some(entry) if gone() => Some(entry.samples_span),
        _ if sources.iter().any(went_into) => None,
        _ => Some(span_of_rows(disk, candidate)?),
    })
}

/// From the first to the last of some spans.
fn joined(spans: impl Iterator<Item = Option<Span>>) -> Option<Span> {
    spans.flatten().reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
}

/// From the first bin of all rows to the end of the last.
fn span_of_rows(disk: &dyn Disk, candidate: &Candidate) -> Result<Option<Span>, FormatError> {
    let table = Table::open(disk, &candidate.file.path, &BlockCache::new(0))?;
    let mut span: Option<Span> = None;
    for entry in table.all_entries() {
        let entry = entry?;
        let (first, last) = (Timestamp(entry.key.bin), entry.last);
        span = Some(span.map_or((first, last), |(a, b)| (a.min(first), b.max(last))));
    }
    Ok(span)
}
