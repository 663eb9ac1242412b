//! Keeps what memory holds on disk: writes and syncs the log, decides what a failing disk means.

mod sealing;

use crate::error::Error;
use crate::flush;
use crate::indexing;
use crate::manifest::TableEntry;
use crate::merge;
use crate::planted::{Bug, planted};
use crate::pyramid;
use crate::shared::Shared;
use crate::wal;
use crate::writer::Frozen;
use disk::{File, FormatError, Lock, Space};
use sample::Week;
use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// All I/O of an archive that is being written. Its calls may block on the disk; none is made by the
/// thread that ingests.
#[derive(Debug)]
pub struct Keeper {
    shared: Arc<Shared>,
    log: Mutex<wal::Writer>,
    /// Held by whoever replaces the manifest, from the moment on when it is looked at; by a flush from its
    /// first table on.
    publishing: Mutex<()>,
    /// What a full file system kept from tables.
    unflushed: Mutex<Option<Frozen>>,
    reserve: Mutex<Option<Arc<dyn File>>>,
    lock: Box<dyn Lock>,
    /// Size of the file system, as last looked at.
    space: Mutex<Option<Space>>,
    /// Bytes of tables that were flushed since the start.
    written: AtomicU64,
    /// Bytes of tables that merges wrote since the start.
    merged: AtomicU64,
    /// Damaged tables: they cannot be merged.
    unmergeable: Mutex<HashSet<u64>>,
    /// Weeks that cannot be sealed: a table is damaged.
    unsealable: Mutex<HashSet<Week>>,
    /// Damaged tables: no rule removes them, for what later weeks need of them cannot be read.
    unremovable: Mutex<HashSet<u64>>,
    /// Weeks with damaged tables: they cannot be indexed.
    unindexable: Mutex<BTreeSet<Week>>,
    /// Damaged tables: no decimated rows can be made of them.
    undecimable: Mutex<HashSet<u64>>,
}

impl Keeper {
    /// Takes over the files of a recovered archive.
    pub fn new(shared: Arc<Shared>, log: wal::Writer, lock: Box<dyn Lock>) -> Keeper {
        let keeper = Keeper {
            shared,
            log: Mutex::new(log),
            publishing: Mutex::new(()),
            unflushed: Mutex::default(),
            reserve: Mutex::new(None),
            lock,
            space: Mutex::new(None),
            written: AtomicU64::new(0),
            merged: AtomicU64::new(0),
            unmergeable: Mutex::default(),
            unsealable: Mutex::default(),
            unremovable: Mutex::default(),
            unindexable: Mutex::default(),
            undecimable: Mutex::default(),
        };
        keeper.take_reserve();
        keeper
    }

    /// The common state.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The lock that keeps other engines out.
    pub fn lock(&self) -> &dyn Lock {
        &*self.lock
    }

    fn log(&self) -> MutexGuard<'_, wal::Writer> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes and number of the log's segments.
    pub fn log_size(&self) -> (u64, u64) {
        let log = self.log();
        (log.bytes(), log.segments())
    }

    /// Hands what waits in memory to the operating system. A full file system makes the archive refuse
    /// new samples until [`Keeper::check_space`] finds room; what was accepted stays in memory.
    ///
    /// # Errors
    /// The disk's; nothing is lost by them.
    pub fn write_log(&self) -> Result<(), Error> {
        let mut log = self.log();
        let result = log.write(&self.shared.log);
        drop(log);
        match result {
            Err(error) if error.is_full() => {
                self.note_full(&error);
                Err(error)
            }
            other => other,
        }
    }

    /// Group commit: syncs what was written and moves the durable time on. A failed sync makes the log
    /// begin again in a new file with everything that is not in SSTables; if that fails as well, nothing
    /// is acknowledged any more.
    ///
    /// # Errors
    /// [`Error::Poisoned`] when the archive cannot promise anything any more.
    pub fn sync_log(&self) -> Result<(), Error> {
        self.shared.check_not_poisoned()?;
        let ticket = {
            let mut log = self.log();
            let Some(ticket) = log.begin_sync() else {
                // Nothing to sync, but the time up to which nothing came may have moved on.
                self.shared.set_durable_until(log.durable().received);
                return Ok(());
            };
            ticket
        };
        let result = ticket.run();
        let failed = result.as_ref().err().map(ToString::to_string);
        let durable = self.log().finish_sync(ticket, result);
        match durable {
            Ok(durable) => {
                self.shared.set_durable_until(durable.received);
                Ok(())
            }
            Err(_) => {
                let what = failed.unwrap_or_else(|| "a sync of the log failed".into());
                tracing::error!(error = %what, "log file given up after a failed sync; beginning a new one");
                self.restart_log(what)
            }
        }
    }

    /// Writes everything that is not in SSTables to a log in new files.
    fn restart_log(&self, what: String) -> Result<(), Error> {
        let now = self.shared.clock.now();
        // No table may become live meanwhile: what it holds might be repeated, or not.
        let _still = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        let restarted = flush::repeat_log(&self.shared, &mut self.log());
        match restarted {
            Ok(()) => {
                self.shared.health().log_restarted = Some((now, what));
                Ok(())
            }
            Err(error) => {
                let what = format!("{what}; beginning a new log failed, too: {error}");
                tracing::error!(error = %what, "nothing is acknowledged any more: check the disk, then restart");
                self.shared.health().poisoned = Some((now, what.clone()));
                Err(Error::Poisoned { since: now, what })
            }
        }
    }

    /// Writes frozen epochs to SSTables, makes them live, releases the log behind them.
    ///
    /// # Errors
    /// The disk's: nothing is lost, the next flush covers the same epochs.
    pub fn flush(&self, frozen: Frozen) -> Result<(), Error> {
        self.shared.check_not_poisoned()?;
        let still = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        if planted(Bug::LogRemovedTooEarly) {
            self.log().release(frozen.through)?;
        }
        let result = flush::flush(&self.shared, frozen);
        drop(still);
        let now = self.shared.clock.now();
        match result {
            Ok(bytes) => {
                self.written.fetch_add(bytes, Ordering::Relaxed);
                self.shared.health().flush_failed = None;
                let mut unflushed = self.unflushed();
                if unflushed.is_some_and(|waiting| waiting.epoch <= frozen.epoch) {
                    *unflushed = None;
                }
                drop(unflushed);
                self.log().release(frozen.through)?;
                Ok(())
            }
            Err(error) => {
                self.shared.health().flush_failed = Some((now, error.to_string()));
                if error.is_full() {
                    *self.unflushed() = Some(frozen);
                    self.note_full(&error);
                }
                Err(error)
            }
        }
    }

    fn unflushed(&self) -> MutexGuard<'_, Option<Frozen>> {
        self.unflushed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes up for a flush that found no room: tables first, for they let log segments go.
    fn flush_waiting(&self) -> bool {
        let waiting = *self.unflushed();
        waiting.is_none_or(|frozen| self.flush(frozen).is_ok())
    }

    /// The file system is full: refuse samples, give up the reserve so that what was accepted finds room.
    fn note_full(&self, error: &Error) {
        let now = self.shared.clock.now();
        let mut health = self.shared.health();
        if health.full.is_none() {
            tracing::error!(%error, "file system full: samples are dropped until there is space");
            health.full = Some((now, error.to_string()));
        }
        drop(health);
        self.shared.refusing.store(true, Ordering::Relaxed);
        self.release_reserve();
    }

    fn release_reserve(&self) {
        let mut reserve = self.reserve.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.shared.layout.reserve();
        let there = reserve.take().is_some() || self.shared.disk.exists(&path).unwrap_or(false);
        if there && let Err(error) = self.shared.disk.remove(&path) {
            tracing::warn!(%error, "the reserve could not be released");
        }
    }

    /// Allocates the reserve again; `false` when there is no room for it.
    fn take_reserve(&self) -> bool {
        let mut reserve = self.reserve.lock().unwrap_or_else(PoisonError::into_inner);
        if reserve.is_some() || self.shared.settings.reserve_bytes == 0 {
            return true;
        }
        let path = self.shared.layout.reserve();
        let disk = &self.shared.disk;
        let file =
            if disk.exists(&path).unwrap_or(false) { disk.open_write(&path) } else { disk.create(&path) };
        let allocated =
            file.and_then(|file| file.allocate(self.shared.settings.reserve_bytes).map(|()| file));
        match allocated {
            Ok(file) => {
                *reserve = Some(file);
                true
            }
            Err(error) => {
                tracing::debug!(%error, "no room for the reserve");
                let _ = disk.remove(&path);
                false
            }
        }
    }

    /// Size and free bytes of the file system when [`Keeper::check_space`] last looked.
    pub fn space(&self) -> Option<Space> {
        *self.space.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes of tables that were flushed since the start.
    pub fn bytes_written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Bytes of tables that merges wrote since the start.
    pub fn bytes_merged(&self) -> u64 {
        self.merged.load(Ordering::Relaxed)
    }

    /// Bytes of tables that wait to be merged.
    pub fn merge_debt(&self) -> u64 {
        self.due().iter().map(merge::Due::bytes).sum()
    }

    fn due(&self) -> Vec<merge::Due> {
        let unmergeable = self.unmergeable.lock().unwrap_or_else(PoisonError::into_inner);
        let manifest = &self.shared.view().manifest;
        merge::due(manifest, &self.shared.settings, &unmergeable)
    }

    /// Carries out the merge that is due most, if one is; says whether one was. `stop` is looked at all the
    /// time. Due at least every few seconds. Damaged tables stay as they are and are not tried again.
    ///
    /// # Errors
    /// The disk's; damage of a table, with its file. Nothing is lost, nothing has changed.
    pub fn merge(&self, stop: &dyn Fn() -> bool) -> Result<bool, Error> {
        self.shared.check_not_poisoned()?;
        let waiting = merge::waiting_bytes(&self.shared.view().manifest);
        let Some(due) = self.due().into_iter().find(|due| waiting <= due.waiting_max) else {
            return Ok(false);
        };
        if !self.has_room(due.bytes())? {
            return Ok(false);
        }
        let result = merge::carry_out(&self.shared, &due, &self.publishing, stop);
        let now = self.shared.clock.now();
        let mut unmergeable = self.unmergeable.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(merge::Outcome::Stopped) => Ok(false),
            Ok(merge::Outcome::Merged(bytes)) => {
                self.merged.fetch_add(bytes, Ordering::Relaxed);
                if unmergeable.is_empty() {
                    self.shared.health().merge_failed = None;
                }
                Ok(true)
            }
            Err(error) => {
                if error.is_damage() {
                    unmergeable.extend(self.damaged_of(&due.tables, &error));
                }
                self.shared.health().merge_failed = Some((now, error.to_string()));
                Err(error)
            }
        }
    }

    /// Takes the next step towards index files for all weeks that do not change any more; says whether there was
    /// one. `stop` is looked at all the time. Due at least every few seconds, when no merge is.
    ///
    /// # Errors
    /// The disk's; damage of a table, with its file. Nothing is lost, nothing has changed.
    pub fn index(&self, stop: &dyn Fn() -> bool) -> Result<bool, Error> {
        self.shared.check_not_poisoned()?;
        if !self.has_room(0)? {
            return Ok(false);
        }
        let result = indexing::step(&self.shared, &self.publishing, &self.unindexable, stop);
        let failed = self.shared.indexes.take_failure();
        let failed = result.as_ref().err().map(ToString::to_string).or(failed);
        let unindexable = self.unindexable.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(what) = failed {
            self.shared.health().index_failed = Some((self.shared.clock.now(), what));
        } else if matches!(result, Ok(false)) && unindexable.is_empty() && !stop() {
            self.shared.health().index_failed = None;
        }
        result
    }

    /// Makes the decimated table that is due most, if one is; says whether one was made. `stop` is looked at all the
    /// time. Due at least every few seconds, when no merge and no seal is. Damaged tables are not tried again.
    ///
    /// # Errors
    /// The disk's; damage of a table, with its file. Nothing is lost, nothing has changed.
    pub fn decimate(&self, stop: &dyn Fn() -> bool) -> Result<bool, Error> {
        self.shared.check_not_poisoned()?;
        if !self.has_room(0)? {
            return Ok(false);
        }
        let mut undecimable = self.undecimable.lock().unwrap_or_else(PoisonError::into_inner);
        let made = pyramid::step(&self.shared, &self.publishing, &mut undecimable, stop)?;
        self.merged.fetch_add(made.unwrap_or(0), Ordering::Relaxed);
        Ok(made.is_some())
    }

    /// Which of the tables is damaged; all of them where the error names none.
    fn damaged_of(&self, tables: &[TableEntry], error: &Error) -> Vec<u64> {
        let path = match error {
            Error::Format(FormatError::Corrupt { path, .. }) => Some(path),
            _ => None,
        };
        let path_of = |t: &TableEntry| t.path(&self.shared.layout);
        let named = |table: &&TableEntry| path == Some(&path_of(table));
        let found: Vec<u64> = tables.iter().filter(named).map(|table| table.id).collect();
        if found.is_empty() { tables.iter().map(|table| table.id).collect() } else { found }
    }

    /// Whether a merge that writes `bytes` leaves enough of the file system free.
    fn has_room(&self, bytes: u64) -> Result<bool, Error> {
        let Space { total, free } = self.shared.disk.space(self.shared.layout.root())?;
        let settings = &self.shared.settings;
        let kept = settings.min_free.of(total).max(settings.reserve_bytes);
        Ok(!self.shared.refusing.load(Ordering::Relaxed) && free >= bytes.saturating_add(kept))
    }

    /// Removes files that no manifest names any more and whose grace time is over; returns how many. Due at
    /// least every few seconds.
    ///
    /// # Errors
    /// The disk's; it is tried again then.
    pub fn remove_dropped(&self) -> Result<usize, Error> {
        merge::remove_dropped(&self.shared, &self.publishing)
    }

    /// Looks at the file system. While it is full: tries again. Samples are taken again once the log is
    /// written out, a flush that found no room is made up for, and the reserve is back. Due at least every
    /// few seconds.
    pub fn check_space(&self) {
        let space = self.shared.disk.space(self.shared.layout.root()).ok();
        *self.space.lock().unwrap_or_else(PoisonError::into_inner) = space;
        if !self.shared.refusing.load(Ordering::Relaxed) {
            if self.reserve.lock().unwrap_or_else(PoisonError::into_inner).is_none() {
                self.take_reserve();
            }
            return;
        }
        if self.write_log().is_err() || self.sync_log().is_err() {
            return;
        }
        if !self.flush_waiting() || !self.take_reserve() {
            return;
        }
        tracing::info!("there is space again: recording resumes");
        self.shared.health().full = None;
        self.shared.refusing.store(false, Ordering::Relaxed);
    }
}
