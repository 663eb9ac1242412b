//! Which table is to get decimated rows next.

use crate::limits::DECIMATED_SPAN_NS_MIN;
use crate::manifest::{Manifest, TableEntry};
use std::collections::HashSet;

/// A table without decimated rows that should have some: a sealed one, or one that spans so long that
/// bins lie inside it. The sealed and the longest first.
pub(super) fn due(manifest: &Manifest, given_up: &HashSet<u64>) -> Option<TableEntry> {
    let done: HashSet<u64> = manifest.tables.iter().map(|table| table.source).collect();
    let span = |table: &TableEntry| table.samples_span.map_or(0, |(first, last)| last.since(first));
    let wanted = |table: &&TableEntry| {
        !table.decimated
            && table.samples > 0
            && !done.contains(&table.id)
            && !given_up.contains(&table.id)
            && (table.sealed || span(table) >= DECIMATED_SPAN_NS_MIN)
    };
    manifest.tables.iter().filter(wanted).max_by_key(|table| (table.sealed, span(table))).cloned()
}
