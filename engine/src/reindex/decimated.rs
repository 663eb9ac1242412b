//! Which decimated tables are of use when a manifest is made anew.

use super::facts::Facts;
use super::survey::{Candidate, Condition};
use crate::manifest::Manifest;
use disk::{Disk, FormatError};
use sample::Timestamp;
use sstable::{BlockCache, Table};

/// Times of the first and last sample.
type Span = (Timestamp, Timestamp);

/// What a sound decimated table says of itself, with the span of its source, if it is of use: its source is live, or
/// has gone by a retention rule (the former manifest names the rows without it; without a manifest nothing that it went
/// into is there). Others are made anew.
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
    let &[source] = facts.lineage.sources.as_slice() else { return Ok(None) };
    let named = |id: u64| former.and_then(|manifest| manifest.tables.iter().find(|table| table.id == id));
    let span = match live.iter().find(|of| of.entry.id == source) {
        Some(of) => of.entry.samples_span,
        None if let Some(entry) = named(candidate.file.id).filter(|_| named(source).is_none()) => {
            entry.samples_span
        }
        None if raw.iter().any(|of| of.file.id == source || of.lineage().parts.contains(&source)) => {
            return Ok(None);
        }
        None => span_of_rows(disk, candidate)?,
    };
    let mut facts = (**facts).clone();
    facts.entry.sources = vec![source];
    facts.entry.samples_span = span;
    Ok(Some(facts))
}

/// What a sound roll-up says of itself, with the span of its sources, if the rows of each of them are live and no live
/// roll-up holds all of them. Others are made anew where they are needed.
pub(super) fn rollup_of_use(candidate: &Candidate, live: &[Facts]) -> Option<Facts> {
    let Condition::Sound(facts) = &candidate.condition else { return None };
    let rows_of = |source: &u64| live.iter().find(|of| of.entry.sources == [*source]);
    let mut span: Option<Span> = None;
    for source in &facts.lineage.sources {
        let (first, last) = rows_of(source)?.entry.samples_span?;
        span = Some(span.map_or((first, last), |(a, b)| (a.min(first), b.max(last))));
    }
    let mut facts = (**facts).clone();
    facts.entry.sources.clone_from(&facts.lineage.sources);
    facts.entry.samples_span = span;
    let is_superfluous = live.iter().any(|of| of.entry.rolls_up(&facts.entry));
    (facts.entry.is_rollup() && !is_superfluous).then_some(facts)
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
