//! Tables of weeks that need not be kept any longer go whole; what later weeks need of them is carried forward.

mod forward;

use crate::config::{Keep, RetentionClass};
use crate::error::Error;
use crate::manifest::{Manifest, TableEntry};
use crate::merge;
use crate::planted::{Bug, planted};
use crate::shared::Shared;
use crate::table_file::Written;
use crate::view::View;
use disk::FormatError;
use sample::{ChannelId, Timestamp, Week};
use sstable::{BlockCache, Table};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

/// Tables of one class and kind that go together.
struct Expired {
    tables: Vec<TableEntry>,
    /// The first week that is kept behind those that lose their samples; nothing is needed of decimated tables.
    first_kept: Option<Week>,
}

/// The first class with tables that need not be kept at `now`, those in `damaged` apart.
fn expired(
    manifest: &Manifest,
    classes: &[RetentionClass],
    now: Timestamp,
    damaged: &HashSet<u64>,
) -> Option<Expired> {
    let over = |keep: Keep, week: Week| match keep {
        Keep::Forever => false,
        Keep::For(time) => now.since(week.end()) >= i64::try_from(time.as_nanos()).unwrap_or(i64::MAX),
    };
    let of = |class: &RetentionClass, decimated: bool| {
        let number = manifest.classes.iter().position(|name| *name == class.class)?;
        let keep = if decimated { class.decimated } else { class.raw };
        let mine = |t: &&TableEntry| usize::from(t.class) == number && t.decimated == decimated;
        let mine = manifest.tables.iter().filter(mine);
        let mine = mine.filter(|t| !damaged.contains(&t.id));
        let tables: Vec<TableEntry> = mine.filter(|t| over(keep, t.week)).cloned().collect();
        let last = tables.iter().map(|table| table.week).max()?;
        if decimated {
            return Some(Expired { tables, first_kept: None });
        }
        let mut first_kept = last.next();
        while over(keep, first_kept) {
            first_kept = first_kept.next();
        }
        // A week that goes on gets its carry-in by a flush, which knows what is in memory.
        let is_open = manifest.tables.iter().any(|table| table.holds_carry_in && table.week == first_kept);
        let follows = manifest.tables.iter().any(|table| table.holds_carry_in && table.week > last);
        (is_open || follows && first_kept.end() <= now)
            .then_some(Expired { tables, first_kept: Some(first_kept) })
    };
    classes.iter().find_map(|class| of(class, true).or_else(|| of(class, false)))
}

/// Whether tables need not be kept that are being sealed.
pub(crate) fn touches_seal(shared: &Shared, damaged: &HashSet<u64>) -> bool {
    let view = shared.view();
    let Some(sealing) = &view.manifest.sealing else { return false };
    let expired = expired(&view.manifest, &shared.retention(), shared.clock.now(), damaged);
    let is_input = |table: &TableEntry| sealing.inputs.iter().any(|input| input.table == table.id);
    expired.is_some_and(|expired| expired.tables.iter().any(is_input))
}

/// Drops the tables of one class that need not be kept, after it has written what later weeks need of them;
/// says whether there were any. Those in `damaged` stay; one that turns out to be is added, and nothing else has
/// changed then: what later weeks need of it cannot be read.
pub(crate) fn apply(
    shared: &Shared,
    publishing: &Mutex<()>,
    damaged: &mut HashSet<u64>,
) -> Result<bool, Error> {
    let view = shared.view();
    let classes = shared.retention();
    let Some(expired) = expired(&view.manifest, &classes, shared.clock.now(), damaged) else {
        return Ok(false);
    };
    let applied = carry_out(shared, publishing, &view, &expired);
    if let Err(Error::Format(FormatError::Corrupt { path, .. })) = &applied {
        let named = expired.tables.iter().filter(|table| table.path(&shared.layout) == *path);
        damaged.extend(named.map(|table| table.id));
    }
    applied
}

fn carry_out(
    shared: &Shared,
    publishing: &Mutex<()>,
    view: &Arc<View>,
    expired: &Expired,
) -> Result<bool, Error> {
    let cache = BlockCache::new(crate::limits::MERGE_CACHE_BYTES);
    let mut forward = Vec::new();
    let mut manifest = view.manifest.clone();
    if let Some(week) = expired.first_kept.filter(|_| !planted(Bug::NothingCarriedForward)) {
        forward = forward::write(shared, view, &mut manifest, &expired.tables, week)?;
    }
    let files: Vec<_> = forward.iter().map(|written| written.entry.path(&shared.layout)).collect();
    let published = publish(shared, view, expired, forward, publishing);
    match published {
        Ok(true) => {
            let open = |entry: &TableEntry| merge::open(shared, entry, &cache);
            let gone = expired.tables.iter().map(open).collect::<Result<Vec<_>, _>>()?;
            let added = files.iter().map(|path| Table::open(&*shared.disk, path, &cache));
            merge::recount(shared, &gone, &added.collect::<Result<Vec<_>, _>>()?)?;
            note_oldest(shared, &gone)?;
            tracing::info!(tables = gone.len(), "tables dropped by a retention rule");
            Ok(true)
        }
        other => {
            forget(shared, view, &files, &other);
            other
        }
    }
}

/// Gives a past week its carry-in, if it never got one and anything came before it: a week opens with a flush, and
/// none may have come in it. `false` when there is nothing to do, or the week changed meanwhile.
pub(crate) fn open_past_week(shared: &Shared, publishing: &Mutex<()>, week: Week) -> Result<bool, Error> {
    let view = shared.view();
    let mut earlier = view.manifest.tables.iter().filter(|table| table.week < week && !table.decimated);
    if view.is_open(week) || earlier.next().is_none() {
        return Ok(false);
    }
    let mut manifest = view.manifest.clone();
    let forward = forward::open(shared, &view, &mut manifest, week)?;
    let files: Vec<_> = forward.iter().map(|written| written.entry.path(&shared.layout)).collect();
    let opening = Expired { tables: Vec::new(), first_kept: Some(week) };
    let published = publish(shared, &view, &opening, forward, publishing);
    if !matches!(published, Ok(true)) {
        forget(shared, &view, &files, &published);
    }
    published
}

/// Removes tables that did not become live.
fn forget(shared: &Shared, seen: &View, files: &[PathBuf], published: &Result<bool, Error>) {
    let present = Manifest::load(&*shared.disk, &shared.layout, shared.identity.id);
    let former = |present: Manifest| present.generation <= seen.manifest.generation;
    if published.is_ok() || present.is_ok_and(|present| present.is_some_and(former)) {
        files.iter().for_each(|path| merge::remove(shared, path));
    }
}

/// Replaces the manifest; `false` when what was carried forward is not what is needed any more.
fn publish(
    shared: &Shared,
    seen: &View,
    expired: &Expired,
    forward: Vec<Written>,
    publishing: &Mutex<()>,
) -> Result<bool, Error> {
    let _still = publishing.lock().unwrap_or_else(PoisonError::into_inner);
    shared.check_not_poisoned()?;
    let view = shared.view();
    let before = |manifest: &Manifest| -> Vec<u64> {
        let before = |t: &&TableEntry| expired.first_kept.is_some_and(|first| t.week <= first);
        manifest.tables.iter().filter(before).map(|table| table.id).collect()
    };
    // Late samples that were flushed meanwhile did not find the week open.
    if before(&view.manifest) != before(&seen.manifest) {
        return Ok(false);
    }
    let mut manifest = view.manifest.clone();
    let mut tables = Vec::with_capacity(view.tables.len());
    manifest.tables.clear();
    for (entry, open) in view.manifest.tables.iter().zip(&view.tables) {
        if !expired.tables.contains(entry) {
            manifest.tables.push(entry.clone());
            tables.push(open.clone());
        }
    }
    for Written { mut entry, table, .. } in forward {
        // Other classes may have been entered meanwhile.
        entry.class = crate::flush::class_number(&mut manifest, &table.info().class_name);
        // Also of a channel that no table has told of: whoever opens the archive must know its number.
        manifest.next_channel = manifest.next_channel.max(entry.channel_span.1.0.saturating_add(1));
        manifest.tables.push(entry);
        tables.push(table);
    }
    let since = shared.clock.now();
    manifest.dropped.extend(expired.tables.iter().map(|entry| merge::dropped(entry, since)));
    manifest.next_table = shared.next_table.load(Ordering::Relaxed);
    manifest.generation = shared.next_generation();
    if planted(Bug::ExpiredRemovedTooEarly) {
        for entry in &expired.tables {
            shared.disk.remove(&entry.path(&shared.layout))?;
        }
    }
    manifest.store(&*shared.disk, &shared.layout)?;
    shared.publish(View::new(manifest, tables, view.flushed_epoch));
    Ok(true)
}

/// Corrects since when channels that lost samples have some.
fn note_oldest(shared: &Shared, gone: &[Table]) -> Result<(), FormatError> {
    let mut oldest: HashMap<ChannelId, Option<Timestamp>> = HashMap::new();
    for table in gone {
        for row in table.dictionary() {
            oldest.insert(row?.channel, None);
        }
    }
    let tables: Vec<Arc<Table>> = shared.view().tables.clone();
    // Of a damaged table that stays nothing is known.
    let rows = tables.iter().flat_map(|table| table.dictionary());
    for row in rows.filter(|row| !row.as_ref().is_err_and(FormatError::is_damage)) {
        let row = row?;
        if let (Some(known), Some((first, _))) = (oldest.get_mut(&row.channel), row.span) {
            *known = Some(known.map_or(first, |known| known.min(first)));
        }
    }
    for (channel, oldest) in oldest {
        let Some(slot) = shared.directory().slot(channel).cloned() else { continue };
        let mut state = slot.lock();
        let in_memory = state.epochs().filter_map(|data| data.first_in_order()).min();
        state.oldest = oldest.or(in_memory.map(|(time, _)| Timestamp(time)));
    }
    Ok(())
}
