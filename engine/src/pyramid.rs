//! Decimated tables: nodes of the decimator's tree, stored for channels whose samples are many.
//!
//! They are caches. A row says what the one table that it was made of (its *source*) holds of a channel in one node;
//! readers use it where no other table and nothing in memory has samples there, and fold samples elsewhere. So answers
//! do not depend on which rows exist. A decimated table goes with its source, unless a retention rule drops that.
//!
//! What a sealed week's rows of an hour and longer say stands again in **roll-ups**, with those of the weeks beside it:
//! years of a channel are a few reads then. A roll-up names the source of each week; it goes when one is replaced, and
//! is made anew.

mod due;
mod fold;
mod read;
mod records;
mod rollup;
mod rows;
#[cfg(test)]
mod tests;
mod weekly;

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
use std::path::Path;
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
    let due = due::due(&shared.view().manifest, given_up, &shared.settings.rollup_weeks);
    let (made, sources) = match due {
        None => return Ok(None),
        Some(Due::Weekly(source)) => {
            (weekly::carry_out(shared, publishing, &source, stop), HashSet::from([source.id]))
        }
        Some(Due::Rollup(weeks)) => {
            let made = rollup::carry_out(shared, publishing, &weeks, stop);
            let damaged = made.as_ref().err().and_then(|error| week_of(shared, &weeks, error));
            let sources = damaged.map_or_else(
                || weeks.iter().flat_map(|rows| rows.sources.iter().copied()).collect(),
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

/// The source of the week whose rows or samples an error is about.
fn week_of(shared: &Shared, weeks: &[TableEntry], error: &Error) -> Option<u64> {
    let Error::Format(FormatError::Corrupt { path, .. }) = error else { return None };
    let view = shared.view();
    let named = view.manifest.tables.iter().find(|table| table.path(&shared.layout) == *path)?;
    let is_about = |rows: &&TableEntry| rows.id == named.id || rows.sources == [named.id];
    weeks.iter().find(is_about).and_then(|rows| rows.sources.first().copied())
}

/// Replaces the manifest by one that names `entry`, a finished table, if everything that it was `made_of` is live still;
/// says how many bytes it has if so. Else, and after an error, its file goes. Roll-ups of fewer weeks go with it.
fn publish(
    shared: &Shared,
    publishing: &Mutex<()>,
    made_of: &[TableEntry],
    entry: TableEntry,
) -> Result<Option<u64>, Error> {
    let (id, len, path) = (entry.id, entry.len, entry.path(&shared.layout));
    match replace_manifest(shared, publishing, made_of, entry, &path) {
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
    path: &Path,
) -> Result<bool, Error> {
    let table = Arc::new(Table::open(&*shared.disk, path, &shared.cache)?);
    let _still = publishing.lock().unwrap_or_else(PoisonError::into_inner);
    shared.check_not_poisoned()?;
    let view = shared.view();
    if !made_of.iter().all(|of| view.manifest.tables.contains(of)) {
        return Ok(false);
    }
    let mut manifest = view.manifest.clone();
    let is_inside = |of: &TableEntry| of.is_rollup() && entry.rolls_up(of);
    let since = shared.clock.now();
    let inside = view.manifest.tables.iter().filter(|of| is_inside(of));
    manifest.dropped.extend(inside.map(|of| merge::dropped(of, since)));
    manifest.tables.retain(|of| !is_inside(of));
    let kept = view.manifest.tables.iter().zip(&view.tables).filter(|(of, _)| !is_inside(of));
    let mut tables: Vec<Arc<Table>> = kept.map(|(_, table)| table.clone()).collect();
    manifest.tables.push(entry);
    tables.push(table);
    manifest.next_table = shared.next_table.load(Ordering::Relaxed);
    manifest.generation = shared.next_generation();
    manifest.store(&*shared.disk, &shared.layout)?;
    shared.publish(View::new(manifest, tables, view.flushed_epoch));
    Ok(true)
}
