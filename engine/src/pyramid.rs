//! Decimated tables: nodes of the decimator's tree, stored for channels whose samples are many.
//!
//! They are caches. A row says what the one table that it was made of (its *source*) holds of a channel in one node;
//! readers use it where no other table and nothing in memory has samples there, and fold samples elsewhere. So answers
//! do not depend on which rows exist. A decimated table goes with its source, unless a retention rule drops that.
//!
//! **Roll-ups** have several sources. What a sealed week's rows of an hour and longer say stands again in one, with those of
//! the weeks beside it: years of a channel are a few reads then. Rows of the large tables of a week that goes on are joined
//! in one that takes their place: where two tables meet no samples need to be folded by readers. A roll-up names its
//! sources; it goes when one is replaced, and is made anew.

mod days;
mod due;
mod fold;
mod read;
mod records;
mod rollup;
mod rows;
#[cfg(test)]
mod tests;
mod weekly;
mod weeks;

pub(crate) use read::TableRows;

use crate::error::Error;
use crate::manifest::TableEntry;
use crate::merge;
use crate::shared::Shared;
use crate::view::View;
use disk::FormatError;
use due::Due;
use sstable::Table;
use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

/// Makes the decimated table that is due most, if one is; says how many bytes it has. Sources in `given_up` are left
/// alone: one that turns out to be damaged is added. `stop` is looked at all the time; `publishing` is held while the
/// manifest is replaced.
///
/// # Errors
/// The disk's; damage of a table, with its file. Nothing is lost, nothing has changed.
pub(crate) fn step(
    shared: &Shared,
    publishing: &Mutex<()>,
    given_up: &mut HashSet<u64>,
    stop: &dyn Fn() -> bool,
) -> Result<Option<u64>, Error> {
    let due = due::due(&shared.view().manifest, given_up, &shared.settings);
    let (made, sources) = match due {
        None => return Ok(None),
        Some(Due::Weekly(source)) => {
            (weekly::carry_out(shared, publishing, &source, stop), HashSet::from([source.id]))
        }
        Some(Due::Rollup(rollup)) => {
            let made = rollup::carry_out(shared, publishing, &rollup, stop);
            let damaged = made.as_ref().err().and_then(|error| source_of(shared, rollup.tables(), error));
            let sources = damaged.map_or_else(
                || rollup.tables().iter().flat_map(|rows| rows.sources.iter().copied()).collect(),
                |source| HashSet::from([source]),
            );
            (made, sources)
        }
    };
    if made.as_ref().is_err_and(Error::is_damage) {
        given_up.extend(sources);
    }
    made
}

/// The source that an error is about, or one of those whose rows it is about.
fn source_of(shared: &Shared, rows: &[TableEntry], error: &Error) -> Option<u64> {
    let Error::Format(FormatError::Corrupt { path, .. }) = error else { return None };
    let view = shared.view();
    let named = view.manifest.tables.iter().find(|table| table.path(&shared.layout) == *path)?;
    if rows.iter().any(|of| of.sources.binary_search(&named.id).is_ok()) {
        return Some(named.id);
    }
    rows.iter().find(|of| of.id == named.id).and_then(|of| of.sources.first().copied())
}

/// Replaces the manifest by one that names `entry`, a finished table, if everything that it was `made_of` is live still;
/// says how many bytes it has if so. Else, and after an error, its file goes. What it `replaces` goes with it.
fn publish(
    shared: &Shared,
    publishing: &Mutex<()>,
    made_of: &[TableEntry],
    entry: TableEntry,
    replaces: &dyn Fn(&TableEntry) -> bool,
) -> Result<Option<u64>, Error> {
    let (id, len, path) = (entry.id, entry.len, entry.path(&shared.layout));
    match replace_manifest(shared, publishing, made_of, entry, replaces) {
        Ok(true) => Ok(Some(len)),
        other => {
            if !merge::may_be_live(shared, id) {
                merge::remove(shared, &path);
            }
            other.map(|_| None)
        }
    }
}

fn replace_manifest(
    shared: &Shared,
    publishing: &Mutex<()>,
    made_of: &[TableEntry],
    entry: TableEntry,
    replaces: &dyn Fn(&TableEntry) -> bool,
) -> Result<bool, Error> {
    let table = Arc::new(Table::open(&*shared.disk, &entry.path(&shared.layout), &shared.cache)?);
    let _still = publishing.lock().unwrap_or_else(PoisonError::into_inner);
    shared.check_not_poisoned()?;
    let view = shared.view();
    if !made_of.iter().all(|of| view.manifest.tables.contains(of)) {
        return Ok(false);
    }
    let mut manifest = view.manifest.clone();
    let since = shared.clock.now();
    let replaced = view.manifest.tables.iter().filter(|of| replaces(of));
    manifest.dropped.extend(replaced.map(|of| merge::dropped(of, since)));
    manifest.tables.retain(|of| !replaces(of));
    let kept = view.manifest.tables.iter().zip(&view.tables).filter(|(of, _)| !replaces(of));
    let mut tables: Vec<Arc<Table>> = kept.map(|(_, table)| table.clone()).collect();
    manifest.tables.push(entry);
    tables.push(table);
    manifest.next_table = shared.next_table.load(Ordering::Relaxed);
    manifest.generation = shared.next_generation();
    manifest.store(&*shared.disk, &shared.layout)?;
    shared.publish(View::new(manifest, tables, view.flushed_epoch));
    Ok(true)
}
