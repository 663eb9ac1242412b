//! The one place that orders a flush: tables synced, directories synced, manifest replaced, memory let go.

use crate::carry_in;
use crate::error::Error;
use crate::gather::{Gathered, gather};
use crate::manifest::Manifest;
use crate::planted::{Bug, planted};
use crate::repeat::repeat;
use crate::shared::Shared;
use crate::slot::Slot;
use crate::table_file::{self, Place, Written};
use crate::view::View;
use crate::wal;
use crate::writer::Frozen;
use sample::ChannelId;
use sstable::{Lineage, Table};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Writes everything up to `frozen` to tables and makes them live. Returns the bytes of tables.
pub(crate) fn flush(shared: &Arc<Shared>, frozen: Frozen) -> Result<u64, Error> {
    let view = shared.view();
    let mut gathered = gather(shared, frozen);
    carry_in::open_weeks(&view, &mut gathered);
    let mut next = Next {
        manifest: view.manifest.clone(),
        tables: view.tables.clone(),
        files: Vec::new(),
        added: Vec::new(),
        bytes: 0,
    };
    let made = Lineage {
        through: frozen.through,
        next_channel: next.manifest.next_channel.max(shared.directory().slots.len() as u64),
        next_sequence: next.manifest.next_sequence.max(shared.sequence.load(Ordering::Relaxed)),
        // Numbers of a flush that failed are not used again: its manifest may have become the live one.
        group: gathered.tables.keys().map(|_| shared.next_table.fetch_add(1, Ordering::Relaxed)).collect(),
        ..Lineage::default()
    };
    if let Err(error) = write_tables(shared, &gathered, &made, &mut next) {
        remove(shared, &next.files);
        return Err(error);
    }
    let Next { mut manifest, tables, files, added, bytes } = next;
    manifest.next_table = shared.next_table.load(Ordering::Relaxed);
    manifest.generation = shared.next_generation();
    manifest.wal_from = manifest.wal_from.max(frozen.through + 1);
    manifest.next_channel = manifest.next_channel.max(shared.directory().slots.len() as u64);
    manifest.next_sequence = manifest.next_sequence.max(shared.sequence.load(Ordering::Relaxed));
    // Not later: what was received behind the freeze may be lost with the log.
    manifest.heartbeat = manifest.heartbeat.max(frozen.at);
    if let Err(error) = manifest.store(&*shared.disk, &shared.layout) {
        // It may be the live one all the same; only what the former one still stands for is certain.
        let present = Manifest::load(&*shared.disk, &shared.layout, shared.identity.id);
        if present.is_ok_and(|present| present.is_none_or(|present| present.generation < manifest.generation))
        {
            remove(shared, &files);
        }
        return Err(error);
    }
    // I2: whoever sees the new tables no longer sees in memory what they hold.
    shared.publish(View::new(manifest, tables, frozen.epoch));
    let_go(shared, &gathered, added);
    Ok(bytes)
}

/// The archive's files as they will be.
struct Next {
    manifest: Manifest,
    tables: Vec<Arc<Table>>,
    /// Files of this flush, the one that failed included.
    files: Vec<PathBuf>,
    /// Samples and bytes of each channel in each of them.
    added: Vec<(ChannelId, u64, u64)>,
    bytes: u64,
}

fn write_tables(shared: &Shared, gathered: &Gathered, made: &Lineage, next: &mut Next) -> Result<(), Error> {
    let mut directories: BTreeSet<PathBuf> = BTreeSet::new();
    let known_until = gathered.frozen().at;
    for (((week, class), planned), id) in gathered.tables.iter().zip(made.group.iter().copied()) {
        let class = (class_number(&mut next.manifest, class), &**class);
        let directory = next.manifest.flushed_to(*week);
        let place = Place { id, week: *week, directory, class, known_until, made };
        next.files.push(place.path_in(&shared.layout));
        directories.insert(place.directory_in(&shared.layout));
        let contents = gathered.contents(shared, *week, planned);
        let Written { entry, table, channels } = table_file::write(shared, &place, &contents)?;
        next.added.extend(channels);
        next.bytes += entry.len;
        next.manifest.tables.push(entry);
        next.tables.push(table);
    }
    sync_directories(shared, &directories)
}

/// Gives the room of tables back that did not become live; what cannot be removed now goes at the next
/// opening.
fn remove(shared: &Shared, files: &[PathBuf]) {
    for file in files {
        match shared.disk.remove(file) {
            Err(error) if !error.is_missing() => tracing::warn!(%error, "left behind by a failed flush"),
            _ => {}
        }
    }
}

/// The number of a retention class, entered if need be.
pub(crate) fn class_number(manifest: &mut Manifest, class: &str) -> u16 {
    let at = manifest.classes.iter().position(|known| known == class).unwrap_or_else(|| {
        manifest.classes.push(class.to_string());
        manifest.classes.len() - 1
    });
    u16::try_from(at).unwrap_or(u16::MAX)
}

/// I3: names of tables and of their directories are durable before a manifest names them. The name of a directory
/// is already where the live manifest names a table in it.
fn sync_directories(shared: &Shared, directories: &BTreeSet<PathBuf>) -> Result<(), Error> {
    if planted(Bug::NoDirectorySync) {
        return Ok(());
    }
    for directory in directories {
        shared.disk.sync_dir(directory)?;
    }
    let view = shared.view();
    let live = |directory: &PathBuf| {
        view.manifest.tables.iter().any(|table| table.path(&shared.layout).parent() == Some(directory))
    };
    if !directories.iter().all(live) {
        shared.disk.sync_dir(&shared.layout.weeks())?;
        shared.disk.sync_dir(shared.layout.root())?;
    }
    Ok(())
}

/// Frees the memory of flushed epochs. `added` are the samples and bytes of channels in each new table.
fn let_go(shared: &Shared, gathered: &Gathered, mut added: Vec<(ChannelId, u64, u64)>) {
    added.sort_by_key(|(channel, ..)| *channel);
    let mut added = added.into_iter().peekable();
    let slots: Vec<Arc<Slot>> = shared.directory().slots.iter().flatten().cloned().collect();
    for slot in slots {
        let mut state = slot.lock();
        state.flushed_archiving = gathered.archiving(&state);
        state.let_go(gathered.frozen().epoch);
        while let Some((_, samples, bytes)) = added.next_if(|(channel, ..)| *channel == slot.id) {
            state.flushed_samples += samples;
            state.flushed_bytes += bytes;
        }
    }
    shared.memory.fetch_sub(gathered.memory.min(shared.memory.load(Ordering::Relaxed)), Ordering::Relaxed);
}

/// Logs everything that is not in live tables anew, in files that were never used, and makes the manifest
/// begin there (I6).
pub(crate) fn repeat_log(shared: &Arc<Shared>, log: &mut wal::Writer) -> Result<(), Error> {
    let view = shared.view();
    let first = {
        let _between_batches = shared.gate.close();
        log.restart(&shared.log)
    };
    repeat(shared, log, view.flushed_epoch)?;
    shared.log.finish_repeat();
    log.write(&shared.log)?;
    if let Some(ticket) = log.begin_sync() {
        let result = ticket.run();
        let durable = log.finish_sync(ticket, result)?;
        shared.set_durable_until(durable.received);
    }
    let mut manifest = view.manifest.clone();
    manifest.generation = shared.next_generation();
    manifest.wal_from = manifest.wal_from.max(first);
    manifest.store(&*shared.disk, &shared.layout)?;
    shared.publish(View::new(manifest, view.tables.clone(), view.flushed_epoch));
    if let Err(error) = log.release(first.saturating_sub(1)) {
        tracing::warn!(%error, "segments of the former log stay until the next flush");
    }
    Ok(())
}
