//! Opening an archive after anything: what is on disk becomes what is in memory.

use crate::clock::Clock;
use crate::error::Error;
use crate::flush::repeat_log;
use crate::identity::{ArchiveId, Holder, Identity};
use crate::keeper::Keeper;
use crate::known_channels;
use crate::layout::{
    Layout, is_leftover_of_creation, parse_index, parse_late_dir, parse_table, parse_week_dir,
};
use crate::manifest::{Manifest, PartitionIndexEntry, TableEntry};
use crate::open_tables::OpenTables;
use crate::replay::{Loader, REPLAYED_EPOCH};
use crate::shared::{Directory, Shared, StorageSettings};
use crate::slot::Slot;
use crate::view::View;
use crate::wal::{self, CutReport, Replay};
use crate::writer::{Frozen, Writer};
use disk::{Disk, Lock, create_dir_durable};
use sample::{ChannelId, ChannelName, EventKind, Timestamp};
use sstable::{BlockCache, Table};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What is needed to open an archive for writing.
#[derive(Debug)]
pub struct Opening {
    /// The file system.
    pub disk: Arc<dyn Disk>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The archive's directory.
    pub directory: PathBuf,
    /// Create it if the directory is missing or empty.
    pub create: bool,
    /// The only archive that may be there.
    pub pinned: Option<String>,
    /// The id of an archive that is created; random if `None`.
    pub fresh_id: Option<ArchiveId>,
    /// Settings.
    pub settings: StorageSettings,
}

/// An archive that is open for writing.
pub struct Recovered {
    /// Common state.
    pub shared: Arc<Shared>,
    /// The ingest handle.
    pub writer: Writer,
    /// The keeper of the files.
    pub keeper: Keeper,
    /// What was found.
    pub report: Report,
}

/// What opening found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Whether the archive was created.
    pub created: bool,
    /// Live tables.
    pub tables: usize,
    /// Log records read.
    pub records: u64,
    /// Stretches of the log that could not be used, torn tails included.
    pub cuts: Vec<CutReport>,
    /// Log entries of channels that nothing names.
    pub nameless: u64,
    /// Files of interrupted flushes and merges that were removed.
    pub removed: Vec<PathBuf>,
}

impl Report {
    /// Writes it to the program's log.
    pub fn log(&self) {
        tracing::info!(tables = self.tables, records = self.records, created = self.created, "archive open");
        for cut in &self.cuts {
            match cut.verdict {
                wal::Verdict::TornTail => tracing::info!("{cut}"),
                wal::Verdict::Corrupt => tracing::error!("{cut}"),
            }
        }
        if self.nameless > 0 {
            tracing::error!(
                entries = self.nameless,
                "log entries of channels whose names were lost to damage"
            );
        }
    }
}

/// An archive that this process alone may write, before anything runs on it.
#[derive(Debug)]
pub struct OpenFiles {
    shared: Arc<Shared>,
    log: wal::Writer,
    lock: Box<dyn Lock>,
    report: Report,
    /// When the archive last heard of anything.
    alive: Timestamp,
}

impl OpenFiles {
    /// Last sequence of the log that is taken.
    fn appended(&self) -> u64 {
        self.log.first_sequence().saturating_sub(1)
    }

    /// For looking after the files without recording: what the log holds goes into tables. Nothing is noted
    /// of the time that no engine runs.
    ///
    /// # Errors
    /// The disk's.
    pub fn into_keeper(self) -> Result<Keeper, Error> {
        let frozen = Frozen { epoch: REPLAYED_EPOCH, through: self.appended(), at: self.alive };
        let replayed = self.report.records > 0 && self.alive > Timestamp::MIN;
        let keeper = Keeper::new(self.shared, self.log, self.lock);
        if replayed {
            keeper.flush(frozen)?;
        }
        Ok(keeper)
    }
}

/// Opens (or creates) an archive for writing.
///
/// # Errors
/// Another engine has it, another archive is there, a file is damaged or newer; nothing was changed.
pub fn open(opening: Opening) -> Result<Recovered, Error> {
    let files = open_files(opening)?;
    files.shared.running.store(true, Ordering::Relaxed);
    let appended = files.appended();
    let OpenFiles { shared, log, lock, report, alive } = files;
    let mut writer = Writer::new(shared.clone(), REPLAYED_EPOCH + 1, appended);
    note_down_time(&mut writer, &shared, alive);
    let keeper = Keeper::new(shared.clone(), log, lock);
    Ok(Recovered { shared, writer, keeper, report })
}

/// Opens (or creates) the files of an archive for writing; nothing is recorded yet.
///
/// # Errors
/// As those of [`open`].
pub fn open_files(opening: Opening) -> Result<OpenFiles, Error> {
    opening.settings.check()?;
    let layout = Layout::new(&opening.directory);
    let disk = opening.disk.clone();
    let empty = is_empty(&*disk, &layout)?;
    check_identity(&opening, &layout, empty)?;
    if empty {
        create_dir_durable(&*disk, layout.root())?;
    }
    let Some(lock) = disk.lock(&layout.lock())? else {
        let holder = Holder::load(&*disk, &layout).ok().flatten().unwrap_or_default();
        return Err(Error::Locked { path: layout.lock(), holder });
    };
    // A crash while an archive was created leaves a directory with a lock and no identity.
    let identity = match Identity::load(&*disk, &layout)? {
        Some(identity) => identity,
        None => {
            let id = match opening.fresh_id {
                Some(id) => id,
                None => ArchiveId::random().map_err(|source| Error::Random(Arc::new(source)))?,
            };
            create_dir_durable(&*disk, &layout.weeks())?;
            create_dir_durable(&*disk, &layout.wal())?;
            sync_way(&*disk, layout.root())?;
            // Before the identity: an archive without a manifest is a damaged one.
            let mut manifest = Manifest::new(id);
            manifest.generation = 1;
            manifest.store(&*disk, &layout)?;
            Identity::create(&*disk, &layout, id, opening.clock.now())?
        }
    };
    if disk.exists(&layout.copy_mark())? {
        // From now on it is an archive of its own: no later copy may take its place.
        disk.remove(&layout.copy_mark())?;
    }
    // A process killed while it replaced the manifest leaves a name that is not durable yet: what it says is
    // built upon only once it is.
    disk.sync_dir(layout.root())?;
    let manifest = load_manifest(&*disk, &layout, &identity)?;
    let loaded = load(&*disk, &layout, &identity, &manifest, &OpenTables::new(), None)?;
    let removed = remove_strays(&*disk, &layout, &manifest)?;
    let mut log = wal::Writer::resume(
        disk.clone(),
        &layout.wal(),
        identity.id,
        wal::Settings { segment_bytes: opening.settings.segment_bytes },
        &loaded.replay,
        manifest.wal_from,
    )?;
    let report = Report {
        created: empty,
        tables: manifest.tables.len(),
        records: loaded.replay.records,
        cuts: loaded.replay.cut_bytes.clone(),
        nameless: loaded.nameless,
        removed,
    };
    let buffer = wal::Buffer::new(
        opening.settings.log_buffer_bytes,
        log.first_sequence(),
        loaded.replay.last_received,
    );
    let manifest_heartbeat = manifest.heartbeat;
    let heartbeat = loaded.heartbeat.max(manifest_heartbeat);
    let last_received = loaded.replay.last_received;
    let shared = Arc::new(shared_of(&opening, layout, identity, manifest, loaded, buffer));
    // The live tables hold everything up to their freeze, the log what came behind it.
    shared.set_durable_until(log.durable().received.max(manifest_heartbeat));
    let alive = heartbeat.max(last_received);
    shared.set_heard_until(alive);
    if log.needs_restart() {
        repeat_log(&shared, &mut log)?;
    }
    Ok(OpenFiles { shared, log, lock, report, alive })
}

/// Opens an archive for reading only: nothing on disk is changed, whoever writes is not disturbed.
///
/// # Errors
/// There is no archive, a file is damaged or newer.
pub fn open_read_only(
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    directory: PathBuf,
) -> Result<(Arc<Shared>, Report), Error> {
    open_with(disk, clock, directory, &OpenTables::new(), None)
}

/// As [`open_read_only`], with tables that are open already. With `only` it knows this channel, and what the
/// log names, but none of the others: nothing that grows with their number is read.
pub(crate) fn open_with(
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    directory: PathBuf,
    tables: &OpenTables,
    only: Option<ChannelId>,
) -> Result<(Arc<Shared>, Report), Error> {
    let layout = Layout::new(&directory);
    let Some(identity) = Identity::load(&*disk, &layout)? else {
        return Err(Error::NoArchive(directory));
    };
    loop {
        let manifest = load_manifest(&*disk, &layout, &identity)?;
        let generation = manifest.generation;
        let loaded = load(&*disk, &layout, &identity, &manifest, tables, only);
        // A flush in between moves samples from the log to tables that this manifest does not name.
        if load_manifest(&*disk, &layout, &identity)?.generation != generation {
            continue;
        }
        let loaded = loaded?;
        let report = Report {
            tables: manifest.tables.len(),
            records: loaded.replay.records,
            cuts: loaded.replay.cut_bytes.clone(),
            nameless: loaded.nameless,
            ..Report::default()
        };
        let durable = loaded.replay.last_received.max(manifest.heartbeat);
        let heard = loaded.heartbeat.max(durable);
        let opening = Opening {
            disk: disk.clone(),
            clock,
            directory,
            create: false,
            pinned: None,
            fresh_id: None,
            settings: StorageSettings::default(),
        };
        let buffer = wal::Buffer::new(0, loaded.replay.next_sequence, loaded.replay.last_received);
        let shared = Arc::new(shared_of(&opening, layout, identity, manifest, loaded, buffer));
        shared.set_heard_until(heard);
        shared.set_durable_until(durable);
        return Ok((shared, report));
    }
}

fn load_manifest(disk: &dyn Disk, layout: &Layout, identity: &Identity) -> Result<Manifest, Error> {
    Manifest::load(disk, layout, identity.id)?.ok_or_else(|| {
        let what = "the file is missing: restore it, or rebuild it from the tables with `archtool reindex`";
        Error::corrupt(&layout.manifest(), 0, what)
    })
}

/// Whether there is nothing but what a crash while creating an archive leaves.
fn is_empty(disk: &dyn Disk, layout: &Layout) -> Result<bool, Error> {
    let list = |path: &Path| match disk.list(path) {
        Err(error) if error.is_missing() => Ok(Vec::new()),
        other => other,
    };
    let known = list(layout.root())?.iter().all(|entry| is_leftover_of_creation(&entry.name));
    Ok(known && list(&layout.wal())?.is_empty() && list(&layout.weeks())?.is_empty())
}

/// Before anything is touched: the right archive, or an empty place where one may be made.
fn check_identity(opening: &Opening, layout: &Layout, empty: bool) -> Result<(), Error> {
    let found = Identity::load(&*opening.disk, layout)?;
    match (&found, &opening.pinned) {
        (Some(identity), Some(pinned)) if identity.id.to_string() != *pinned => Err(Error::Pinned {
            directory: opening.directory.clone(),
            pinned: pinned.clone(),
            found: Some(identity.id),
        }),
        (None, Some(pinned)) => {
            Err(Error::Pinned { directory: opening.directory.clone(), pinned: pinned.clone(), found: None })
        }
        (None, None) if !empty => Err(Error::NotEmpty(opening.directory.clone())),
        (None, None) if !opening.create => Err(Error::NoArchive(opening.directory.clone())),
        _ => Ok(()),
    }
}

/// Makes the way to an archive that is being created durable: a killed process may have made its directories
/// and not synced them.
fn sync_way(disk: &dyn Disk, root: &Path) -> Result<(), Error> {
    let mut way = root.ancestors().skip(1).map(|above| match above.as_os_str().is_empty() {
        true => Path::new("."),
        false => above,
    });
    if let Some(parent) = way.next() {
        disk.sync_dir(parent)?;
    }
    // Directories further up are most often older and may not be ours to open.
    way.for_each(|above| drop(disk.sync_dir(above)));
    Ok(())
}

/// What files say about an archive.
struct Loaded {
    cache: Arc<BlockCache>,
    directory: Directory,
    tables: Vec<Arc<Table>>,
    replay: Replay,
    heartbeat: Timestamp,
    sequence: u64,
    memory: usize,
    nameless: u64,
}

fn load(
    disk: &dyn Disk,
    layout: &Layout,
    identity: &Identity,
    manifest: &Manifest,
    open: &OpenTables,
    only: Option<ChannelId>,
) -> Result<Loaded, Error> {
    let mut directory = Directory::default();
    let own = ChannelName::stored(ARCHIVE_CHANNEL).map_err(|_| Error::NoArchive(layout.root().into()))?;
    directory.enter(&Arc::new(Slot::new(ChannelId::ARCHIVE, own.clone())), own);
    let tables = open.of(disk, layout, manifest)?;
    // Ids are never used again, not even those of channels whose tables are gone.
    directory.reserve_ids(manifest.next_channel)?;
    let class =
        |entry: &TableEntry| manifest.classes.get(usize::from(entry.class)).map_or("default", String::as_str);
    let raw = manifest.tables.iter().zip(&tables).filter(|(entry, _)| !entry.decimated);
    let sources: Vec<_> = raw.map(|(entry, table)| (class(entry), &**table)).collect();
    known_channels::enter(&mut directory, &sources, manifest.next_channel, only)?;
    let received = manifest.tables.iter().map(|entry| entry.sequence_span.1).max().unwrap_or(0);
    let mut loader = Loader::new(&mut directory, received);
    let replay = wal::replay(disk, &layout.wal(), identity.id, manifest.wal_from, &mut |_, entry| {
        loader.load(entry);
    })?;
    loader.finish();
    let (heartbeat, sequence, memory, nameless) =
        (loader.heartbeat, loader.sequence, loader.memory, loader.nameless);
    Ok(Loaded {
        cache: open.cache().clone(),
        directory,
        tables,
        replay,
        heartbeat,
        sequence,
        memory,
        nameless,
    })
}

/// Name of the archive's own channel, which no source can have: it holds a blank.
const ARCHIVE_CHANNEL: &str = "varve archive";

fn shared_of(
    opening: &Opening,
    layout: Layout,
    identity: Identity,
    manifest: Manifest,
    loaded: Loaded,
    buffer: wal::Buffer,
) -> Shared {
    let sequence = manifest.next_sequence.max(loaded.sequence + 1);
    let view = View::new(manifest, loaded.tables, 0);
    let (disk, clock) = (opening.disk.clone(), opening.clock.clone());
    let shared =
        Shared::new(disk, clock, layout, identity, opening.settings.clone(), view, buffer, loaded.cache);
    *shared.directory_mut() = loaded.directory;
    shared.memory.store(loaded.memory, Ordering::Relaxed);
    shared.sequence.store(sequence, Ordering::Relaxed);
    shared
}

/// Removes files that the manifest does not name: tables of flushes, merges and seals, and index files, that a crash
/// interrupted.
/// Those that were live stay for their grace time, finished ones of a seal until it goes on.
fn remove_strays(disk: &dyn Disk, layout: &Layout, manifest: &Manifest) -> Result<Vec<PathBuf>, Error> {
    let sealing = manifest.sealing.iter().flat_map(|sealing| &sealing.outputs);
    let tables = manifest.tables.iter().chain(sealing).map(|entry: &TableEntry| entry.path(layout));
    let dropped = manifest.dropped.iter().map(|file| layout.inside(&file.file));
    let partition = |of: &PartitionIndexEntry| layout.partition_index(of.week, of.generation, of.id);
    let indexes = manifest.partition_indexes.iter().map(partition);
    let segments = manifest.master_segments.iter().map(|of| layout.master_segment(of.id));
    let named: HashSet<PathBuf> = tables.chain(indexes).chain(segments).chain(dropped).collect();
    let list = |directory: &Path| match disk.list(directory) {
        Err(error) if error.is_missing() => Ok(Vec::new()),
        other => other,
    };
    let weeks = list(&layout.weeks())?;
    let of_week = |name: &str| parse_week_dir(name).or_else(|| parse_late_dir(name)).is_some();
    let weeks = weeks.iter().filter(|entry| entry.is_dir && of_week(&entry.name));
    let directories =
        weeks.map(|week| layout.weeks().join(&week.name)).chain([layout.index(), layout.rollup()]);
    let mut removed = Vec::new();
    for directory in directories {
        let before = removed.len();
        for entry in list(&directory)? {
            let path = directory.join(&entry.name);
            let ours = parse_table(&entry.name).is_some() || parse_index(&entry.name).is_some();
            if ours && !named.contains(&path) {
                disk.remove(&path)?;
                removed.push(path);
            }
        }
        if removed.len() > before {
            // Their numbers are given again: none may come back beside the file that gets its number.
            disk.sync_dir(&directory)?;
        }
    }
    Ok(removed)
}

/// Records how long no engine ran: from the last sign of life until now.
fn note_down_time(writer: &mut Writer, shared: &Shared, alive: Timestamp) {
    if alive == Timestamp::MIN {
        return;
    }
    let until = writer.at(shared.clock.now());
    writer.event(ChannelId::ARCHIVE, alive, EventKind::EngineDown { until });
    for slot in shared.directory().slots.iter().flatten() {
        slot.lock().engine_down(alive);
    }
    writer.heartbeat();
    writer.commit();
}
