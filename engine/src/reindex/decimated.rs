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
    let Some(source) = facts.lineage.source else { return Ok(None) };
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
    facts.entry.source = source;
    facts.entry.samples_span = span;
    Ok(Some(facts))
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
