//! What the ingest handle, the keeper of files and all readers of one archive have in common.

use crate::batch_gate::BatchGate;
use crate::clock::Clock;
use crate::config::{ArchiveSettings, Percent, RetentionClass};
use crate::error::Error;
use crate::identity::Identity;
use crate::layout::Layout;
use crate::limits::{
    BEATING_NS, CHANNELS_MAX, DECIMATED_BIN_SAMPLES, MERGE_FAN_IN, MERGE_SMALL_BYTES, ROLLUP_TABLES,
    ROLLUP_WEEKS, SEAL_TABLE_BYTES,
};
use crate::limits::{LOG_BUFFER_BYTES_LEAST, MEMTABLE_BYTES_LEAST, SEGMENT_BYTES_LEAST};
use crate::open_indexes::OpenIndexes;
use crate::slot::{Slot, SlotState};
use crate::view::View;
use crate::wal;
use disk::{Disk, FormatError};
use index::{Named, Names};
use sample::{ChannelId, ChannelName, DropCause, Timestamp};
use sstable::{BlockCache, KnownModels};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Settings of the storage core.
#[derive(Clone, Debug)]
pub struct StorageSettings {
    /// Bytes in the memtable at which a flush begins; twice as many are its limit.
    pub memtable_bytes: usize,
    /// Bytes that may wait for the log file.
    pub log_buffer_bytes: u64,
    /// Size of a log segment in bytes.
    pub segment_bytes: u64,
    /// Late samples older than this by the engine's clock are dropped.
    pub late_limit_ns: i64,
    /// Bytes kept back for the moment the file system is full.
    pub reserve_bytes: u64,
    /// Share of the file system below which merging stops (warning below twice as much).
    pub min_free: Percent,
    /// How long files that no manifest names stay.
    pub grace_ns: i64,
    /// Neighbouring tables of one tier that are merged to one of the next.
    pub merge_fan_in: usize,
    /// Bytes that a merge may take whatever its week holds.
    pub merge_small_bytes: u64,
    /// Bytes at which a table of a sealed week ends.
    pub seal_table_bytes: u64,
    /// Samples that a stored node of the least level holds on average.
    pub decimated_bin_samples: u64,
    /// Tables of a week that goes on whose rows are joined in a roll-up; more than one.
    pub rollup_tables: usize,
    /// Weeks whose rows are joined in a roll-up, the greatest number first; each more than one.
    pub rollup_weeks: [i32; 3],
}

impl StorageSettings {
    /// Whether the engine can work with them.
    ///
    /// # Errors
    /// [`Error::TooSmall`], which names the setting and its least value.
    pub fn check(&self) -> Result<(), Error> {
        let least = [
            ("memtable_bytes", self.memtable_bytes as u64, MEMTABLE_BYTES_LEAST),
            ("log_buffer_bytes", self.log_buffer_bytes, LOG_BUFFER_BYTES_LEAST),
            ("segment_bytes", self.segment_bytes, SEGMENT_BYTES_LEAST),
            ("merge_fan_in", self.merge_fan_in as u64, 2),
            ("rollup_tables", self.rollup_tables as u64, 2),
        ];
        match least.into_iter().find(|(_, found, least)| found < least) {
            Some((setting, found, least)) => Err(Error::TooSmall { setting, found, least }),
            None => Ok(()),
        }
    }

    /// As a configuration asks.
    pub fn of(settings: &ArchiveSettings) -> StorageSettings {
        let nanoseconds =
            |duration: std::time::Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        StorageSettings {
            memtable_bytes: usize::try_from(settings.memtable_bytes).unwrap_or(usize::MAX),
            late_limit_ns: nanoseconds(settings.late_limit),
            reserve_bytes: settings.reserve_bytes,
            min_free: settings.min_free,
            grace_ns: nanoseconds(settings.grace),
            ..StorageSettings::default()
        }
    }
}

impl Default for StorageSettings {
    fn default() -> StorageSettings {
        StorageSettings {
            memtable_bytes: 256 << 20,
            log_buffer_bytes: 256 << 20,
            segment_bytes: 64 << 20,
            late_limit_ns: 7 * 86_400_000_000_000,
            reserve_bytes: 64 << 20,
            min_free: Percent::new(5),
            grace_ns: 600_000_000_000,
            merge_fan_in: MERGE_FAN_IN,
            merge_small_bytes: MERGE_SMALL_BYTES,
            seal_table_bytes: SEAL_TABLE_BYTES,
            decimated_bin_samples: DECIMATED_BIN_SAMPLES,
            rollup_tables: ROLLUP_TABLES,
            rollup_weeks: ROLLUP_WEEKS,
        }
    }
}

/// Channels by id and by name.
#[derive(Debug, Default)]
pub struct Directory {
    /// Slot of id `i` at `i`; the archive's own channel first.
    pub slots: Vec<Option<Arc<Slot>>>,
    /// Names and aliases.
    pub names: Names,
}

impl Directory {
    /// The slot of a channel.
    pub fn slot(&self, id: ChannelId) -> Option<&Arc<Slot>> {
        self.slots.get(usize::try_from(id.0).ok()?)?.as_ref()
    }

    /// Makes the next id at least `next`.
    ///
    /// # Errors
    /// More channels than an archive may have.
    pub fn reserve_ids(&mut self, next: u64) -> Result<(), Error> {
        if next > CHANNELS_MAX {
            let what = "channels of an archive";
            return Err(FormatError::Limit { what, max: CHANNELS_MAX, found: next }.into());
        }
        let next = usize::try_from(next).unwrap_or(usize::MAX);
        self.slots.resize(self.slots.len().max(next), None);
        Ok(())
    }

    /// Enters a channel under its id and its name.
    pub fn enter(&mut self, slot: &Arc<Slot>, name: ChannelName) {
        let at = usize::try_from(slot.id.0).unwrap_or(usize::MAX);
        if self.slots.len() <= at {
            self.slots.resize(at + 1, None);
        }
        self.slots[at] = Some(slot.clone());
        if slot.id != ChannelId::ARCHIVE {
            self.names.insert(name, Named { id: slot.id, alias: false });
        }
    }
}

/// Counts of all channels together, since the start.
#[derive(Debug, Default)]
pub struct Counters {
    /// Samples stored.
    pub stored: AtomicU64,
    /// Redelivered samples.
    pub redelivered: AtomicU64,
    /// Dropped samples in the order of [`DropCause::ALL`].
    pub dropped: [AtomicU64; 5],
    /// Value bytes stored.
    pub bytes: AtomicU64,
    /// Disconnects.
    pub disconnects: AtomicU64,
}

/// What is wrong with the archive's files, if anything.
#[derive(Clone, Debug, Default)]
pub struct Health {
    /// Since when the file system has been full, with the error.
    pub full: Option<(Timestamp, String)>,
    /// Since when nothing is acknowledged any more, with the error.
    pub poisoned: Option<(Timestamp, String)>,
    /// The last flush failed.
    pub flush_failed: Option<(Timestamp, String)>,
    /// The log file was given up for a new one.
    pub log_restarted: Option<(Timestamp, String)>,
    /// The last merge failed, or tables cannot be merged because they are damaged.
    pub merge_failed: Option<(Timestamp, String)>,
    /// The last seal failed, or weeks cannot be sealed because a table is damaged.
    pub seal_failed: Option<(Timestamp, String)>,
    /// Tables that need not be kept could not be dropped.
    pub retention_failed: Option<(Timestamp, String)>,
    /// An index file could not be read or made; the tables answer in its place.
    pub index_failed: Option<(Timestamp, String)>,
}

/// Common state of one open archive.
#[derive(Debug)]
pub struct Shared {
    /// The file system.
    pub disk: Arc<dyn Disk>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Paths.
    pub layout: Layout,
    /// The archive's id.
    pub identity: Identity,
    /// Settings.
    pub settings: StorageSettings,
    /// Channels.
    directory: RwLock<Directory>,
    /// Live files.
    view: RwLock<Arc<View>>,
    /// Records on their way to the log file.
    pub log: wal::Buffer,
    /// Counts.
    pub counters: Counters,
    /// Bytes in the memtable, frozen epochs included.
    pub memory: AtomicUsize,
    /// Next order-of-receipt number.
    pub sequence: AtomicU64,
    /// Number of the next table.
    pub next_table: AtomicU64,
    /// Generation of the newest manifest that was tried to store.
    generation: AtomicU64,
    /// Everything received up to here survives a crash (ns).
    durable_until: AtomicI64,
    /// Everything received up to here is visible (ns): the last commit or heartbeat.
    heard_until: AtomicI64,
    /// Whether new samples are refused because the file system is full.
    pub refusing: AtomicBool,
    /// Whether an engine writes (else the archive was opened for reading).
    pub running: AtomicBool,
    /// Closed between two batches while the log begins anew.
    pub gate: BatchGate,
    /// Decoded blocks of tables.
    pub cache: Arc<BlockCache>,
    /// How columns of channels were written last.
    pub(crate) models: KnownModels,
    /// The index files.
    pub(crate) indexes: Arc<OpenIndexes>,
    health: Mutex<Health>,
    /// How long data stay.
    retention: RwLock<Arc<[RetentionClass]>>,
}

impl Shared {
    /// State of an archive that was just opened.
    #[expect(clippy::too_many_arguments, reason = "each is a different part, named by its type")]
    pub fn new(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        layout: Layout,
        identity: Identity,
        settings: StorageSettings,
        view: View,
        log: wal::Buffer,
        cache: Arc<BlockCache>,
    ) -> Shared {
        let indexes = match &view.indexes {
            Some(indexes) => indexes.clone(),
            None => OpenIndexes::new(disk.clone(), layout.clone(), identity.id),
        };
        let view = view.with_indexes(indexes.clone());
        Shared {
            log,
            cache,
            models: KnownModels::default(),
            indexes,
            gate: BatchGate::default(),
            disk,
            clock,
            layout,
            identity,
            settings,
            directory: RwLock::default(),
            counters: Counters::default(),
            memory: AtomicUsize::new(0),
            sequence: AtomicU64::new(1),
            next_table: AtomicU64::new(view.manifest.next_table),
            generation: AtomicU64::new(view.manifest.generation),
            view: RwLock::new(Arc::new(view)),
            durable_until: AtomicI64::new(i64::MIN),
            heard_until: AtomicI64::new(i64::MIN),
            refusing: AtomicBool::new(false),
            running: AtomicBool::new(false),
            health: Mutex::default(),
            retention: RwLock::new(Arc::default()),
        }
    }

    /// How long data stay: what is not listed stays for good.
    pub fn retention(&self) -> Arc<[RetentionClass]> {
        self.retention.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says how long data stay from now on.
    pub fn set_retention(&self, classes: &[RetentionClass]) {
        *self.retention.write().unwrap_or_else(PoisonError::into_inner) = classes.into();
    }

    /// The channels, for reading.
    pub fn directory(&self) -> RwLockReadGuard<'_, Directory> {
        self.directory.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The channels, for entering one.
    pub fn directory_mut(&self) -> RwLockWriteGuard<'_, Directory> {
        self.directory.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The live files at this moment. Whoever also looks into slots keeps the guard of
    /// [`Shared::view_guard`] meanwhile, so that nothing moves from memory to files in between.
    pub fn view(&self) -> Arc<View> {
        self.view_guard().clone()
    }

    /// The live files, held still.
    pub fn view_guard(&self) -> RwLockReadGuard<'_, Arc<View>> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes `view` the present one; returns when no reader still couples the old one with slots.
    pub fn publish(&self, mut view: View) {
        let mut present = self.view.write().unwrap_or_else(PoisonError::into_inner);
        view.damage = present.damage.clone();
        *present = Arc::new(view.with_indexes(self.indexes.clone()));
    }

    /// Everything received at or before this survives a crash.
    pub fn durable_until(&self) -> Timestamp {
        Timestamp(self.durable_until.load(Ordering::Acquire))
    }

    /// Moves the durable time on, never back.
    pub fn set_durable_until(&self, time: Timestamp) {
        self.durable_until.fetch_max(time.0, Ordering::AcqRel);
    }

    /// Everything received at or before this is visible to readers.
    pub fn heard_until(&self) -> Timestamp {
        Timestamp(self.heard_until.load(Ordering::Acquire))
    }

    /// Up to here what happened is known to readers: while the engine runs and beats, now.
    pub fn knowledge_ends(&self) -> Timestamp {
        let heard = self.heard_until();
        let now = self.clock.now();
        let beats = self.running.load(Ordering::Relaxed) && now.since(heard) < BEATING_NS;
        if beats { heard.max(now) } else { heard }
    }

    /// Moves the heard time on, never back.
    pub fn set_heard_until(&self, time: Timestamp) {
        self.heard_until.fetch_max(time.0, Ordering::AcqRel);
    }

    /// What is wrong with the files.
    pub fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next order-of-receipt number.
    pub fn next_sequence(&self) -> u64 {
        self.sequence.fetch_add(1, Ordering::Relaxed)
    }

    /// The generation of a manifest that is about to be stored; never the same twice.
    pub fn next_generation(&self) -> u64 {
        self.generation.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// An error unless the writer may still acknowledge.
    pub fn check_not_poisoned(&self) -> Result<(), Error> {
        match &self.health().poisoned {
            Some((since, what)) => Err(Error::Poisoned { since: *since, what: what.clone() }),
            None => Ok(()),
        }
    }

    /// Counts a dropped sample of a channel.
    pub fn count_dropped(&self, state: &mut SlotState, cause: DropCause) {
        if let Some(i) = DropCause::ALL.iter().position(|c| *c == cause) {
            state.ledger.dropped[i] += 1;
            self.counters.dropped[i].fetch_add(1, Ordering::Relaxed);
        }
    }
}
