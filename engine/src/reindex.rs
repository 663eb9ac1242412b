//! Rebuilds everything derived from the tables alone, and saves what is left of damaged ones.
//!
//! Which tables are live is decided by what the files say. A sound manifest is believed: what it does not
//! name was left behind by a flush or merge that died (its samples are in the log or in the tables that were
//! to be merged), stands in for a damaged table that it went into, or was brought in by hand. Without a
//! manifest a merged table takes the place of its parts, and a flush counts if all its tables are there; the
//! log is replayed behind the newest such flush. Whatever is in doubt stays: the same samples twice are one.

mod choice;
mod decimated;
mod facts;
mod identity;
mod mend;
mod survey;

pub use choice::Fate;
pub use facts::Facts;
pub use mend::Mended;

use crate::clock::Clock;
use crate::error::Error;
use crate::identity::{ArchiveId, Holder};
use crate::layout::{Layout, parse_week_dir};
use crate::manifest::{DroppedFile, Manifest, TableEntry};
use crate::wal;
use disk::{Disk, FormatError};
use sample::{ChannelId, ChannelName, Timestamp, Week};
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use survey::{Candidate, Condition};

/// What to reindex.
pub struct Reindexing<'a> {
    /// The file system.
    pub disk: Arc<dyn Disk>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The archive's directory.
    pub directory: PathBuf,
    /// Only this week; the manifest must be sound for the others.
    pub partition: Option<Week>,
    /// Threads that read tables.
    pub threads: usize,
    /// Told how many bytes of how many were looked at.
    pub progress: &'a (dyn Fn(u64, u64) + Sync),
}

/// What became of an archive.
#[derive(Clone, Debug)]
pub struct Reindexed {
    /// Which archive it is.
    pub archive: ArchiveId,
    /// Whether the directory did not say so, or was an empty archive of another id.
    pub adopted: bool,
    /// Why the former manifest could not be used; `None` when it was sound.
    pub manifest_lost: Option<String>,
    /// The new manifest.
    pub manifest: Manifest,
    /// Bytes of tables that were looked at.
    pub bytes: u64,
    /// Damaged tables, with what was saved.
    pub mended: Vec<Mended>,
    /// Tables of other archives, which were left out.
    pub foreign: Vec<(PathBuf, ArchiveId)>,
    /// Tables that the manifest names and that are not there, with the times of their samples.
    pub missing: Vec<(PathBuf, Option<(Timestamp, Timestamp)>)>,
    /// Files that hold nothing of their own: removed after the grace time.
    pub superfluous: Vec<PathBuf>,
    /// Tables of flushes and merges that died in the midst of it: removed.
    pub leftovers: Vec<PathBuf>,
}

impl Reindexed {
    /// Whether something that was stored is not there any more.
    pub fn lost_something(&self) -> bool {
        !self.missing.is_empty() || self.mended.iter().any(Mended::lost_something)
    }
}

/// Rebuilds the manifest of an archive from its tables. Nothing that was stored is removed: damaged tables
/// are kept aside. When it is interrupted, it is done again from the beginning.
///
/// # Errors
/// An engine runs there, the disk's, a file of a newer version, several archives in one directory.
pub fn reindex(reindexing: &Reindexing<'_>) -> Result<Reindexed, Error> {
    let disk = &*reindexing.disk;
    let layout = Layout::new(&reindexing.directory);
    if !disk.exists(layout.root())? {
        return Err(Error::NoArchive(layout.root().into()));
    }
    let Some(lock) = disk.lock(&layout.lock())? else {
        let holder = Holder::load(disk, &layout).ok().flatten().unwrap_or_default();
        return Err(Error::Locked { path: layout.lock(), holder });
    };
    let files = survey::files(disk, &layout)?;
    let (identity, adopted) = identity::found(disk, &*reindexing.clock, &layout, &files)?;
    let (former, manifest_lost) = former_manifest(disk, &layout, identity.id)?;
    if let (Some(lost), Some(week)) = (&manifest_lost, reindexing.partition) {
        return Err(Error::WholeArchive { week, why: lost.clone() });
    }
    let rebuilding = Rebuilding { reindexing, layout: &layout, archive: identity.id, adopted, former };
    let mut done = rebuilding.run(files)?;
    done.manifest_lost = manifest_lost;
    drop(lock);
    Ok(done)
}

/// The manifest, if it is sound; else why not.
fn former_manifest(
    disk: &dyn Disk,
    layout: &Layout,
    archive: ArchiveId,
) -> Result<(Option<Manifest>, Option<String>), Error> {
    match Manifest::load(disk, layout, archive) {
        Ok(Some(manifest)) => Ok((Some(manifest), None)),
        Ok(None) => Ok((None, Some("there is no MANIFEST".to_string()))),
        Err(error @ Error::ForeignFile { .. }) => Ok((None, Some(error.to_string()))),
        Err(error) if error.is_damage() => Ok((None, Some(error.to_string()))),
        Err(error) => Err(error),
    }
}

struct Rebuilding<'a> {
    reindexing: &'a Reindexing<'a>,
    layout: &'a Layout,
    archive: ArchiveId,
    adopted: bool,
    former: Option<Manifest>,
}

impl Rebuilding<'_> {
    fn run(&self, files: Vec<survey::TableFile>) -> Result<Reindexed, Error> {
        let disk = &*self.reindexing.disk;
        let (looked_at, others): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| {
            file.is_rollup() || self.reindexing.partition.is_none_or(|week| file.week == week)
        });
        let surveyed = survey::survey(
            &self.reindexing.disk,
            looked_at,
            self.reindexing.threads,
            self.reindexing.progress,
        )?;
        let bytes = surveyed.iter().map(|candidate| candidate.file.len).sum();
        let mut foreign = Vec::new();
        let (mut own, mut rows) = (Vec::new(), Vec::new());
        for candidate in surveyed {
            match candidate.archive() {
                Some(archive) if archive != self.archive && !self.is_named(&candidate) => {
                    foreign.push((candidate.file.path.clone(), archive));
                }
                _ if candidate.is_decimated() => rows.push(candidate),
                _ => own.push(candidate),
            }
        }
        // A week that was brought here alone has left its log behind.
        let has_log = !self.adopted && disk.exists(&self.layout.wal())?;
        let chosen = choice::choose(&own, self.former.as_ref(), self.layout, has_log, &mut |from| {
            wal::reach(disk, &self.layout.wal(), self.archive, from)
        })?;
        let all = || own.iter().chain(&rows);
        let mut manifest = self.begin(&all().collect::<Vec<_>>(), chosen.wal_from);
        let there: BTreeSet<&Path> =
            all().map(|c| &*c.file.path).chain(others.iter().map(|file| &*file.path)).collect();
        let missing: Vec<_> = self
            .entries()
            .map(|entry| (entry.path(self.layout), entry.samples_span))
            .filter(|(path, _)| !there.contains(path.as_path()))
            .collect();
        let mut live: Vec<Facts> = Vec::new();
        let elsewhere =
            |entry: &&TableEntry| self.reindexing.partition.is_some_and(|week| entry.week != week);
        for entry in self.entries().filter(elsewhere).filter(|entry| !entry.is_rollup()) {
            live.push(Facts::unchanged(entry, self.former.as_ref()));
        }
        let names = Names::of(&own, self.layout, self.archive, disk)?;
        let (mut superfluous, mut leftovers) = (Vec::new(), Vec::new());
        let mut mended = Vec::new();
        for (candidate, fate) in own.iter().zip(&chosen.fates) {
            match (fate, &candidate.condition) {
                (Fate::Live, Condition::Sound(facts)) => live.push(self.listed(candidate, facts)),
                (Fate::Salvage, _) => {
                    let id = manifest.next_table;
                    manifest.next_table += 1;
                    let (facts, report) = mend::salvage(self, candidate, id, &names)?;
                    live.extend(facts);
                    mended.push(report);
                }
                (Fate::Leftover, _) => leftovers.push(candidate.file.path.clone()),
                (Fate::Aside, _) => mended.push(mend::set_aside(candidate)),
                _ => superfluous.push(candidate.file.path.clone()),
            }
        }
        let former = self.former.as_ref();
        // Whether rows are of use depends on those that took their place; a roll-up of weeks needs the rows of each.
        let mut ordered: Vec<_> = rows.iter().collect();
        ordered.sort_by_cached_key(|of| {
            let stands_behind = of.file.is_rollup() && !decimated::is_of_days(of, &live);
            (stands_behind, Reverse(of.lineage().sources.len()))
        });
        for candidate in ordered {
            match decimated::of_use(candidate, &own, &live, former, disk)? {
                Some(facts) => live.push(facts),
                None => superfluous.push(candidate.file.path.clone()),
            }
        }
        // Only what is told of a flush that counts may be promised.
        let whole = live.iter().filter(|facts| facts.lineage.through < manifest.wal_from);
        manifest.heartbeat = whole.map(|facts| facts.known_until).fold(manifest.heartbeat, Timestamp::max);
        self.enter(&mut manifest, live);
        self.drop_files(&mut manifest, &all().collect::<Vec<_>>(), &superfluous);
        manifest.dropped.retain(|file| !leftovers.contains(&self.layout.inside(&file.file)));
        self.publish(&manifest, &mended)?;
        self.remove(&leftovers)?;
        Ok(Reindexed {
            archive: self.archive,
            adopted: self.adopted,
            manifest_lost: None,
            manifest,
            bytes,
            mended,
            foreign,
            missing,
            superfluous,
            leftovers,
        })
    }

    fn entries(&self) -> impl Iterator<Item = &TableEntry> {
        self.former.iter().flat_map(|manifest| &manifest.tables)
    }

    /// What a sound manifest says of a table, else what the table says.
    fn listed(&self, candidate: &Candidate, facts: &Facts) -> Facts {
        let same = |entry: &&TableEntry| {
            (entry.len, entry.footer_crc) == (facts.entry.len, facts.entry.footer_crc)
                && entry.path(self.layout) == candidate.file.path
        };
        match self.entries().find(same) {
            Some(entry) => Facts { entry: entry.clone(), ..facts.clone() },
            None => facts.clone(),
        }
    }

    fn is_named(&self, candidate: &Candidate) -> bool {
        self.entries().any(|entry| entry.path(self.layout) == candidate.file.path)
    }

    /// A manifest without tables whose counters pass everything that was ever used.
    fn begin(&self, own: &[&Candidate], wal_from: u64) -> Manifest {
        let mut manifest = self.former.clone().unwrap_or_else(|| Manifest::new(self.archive));
        manifest.tables.clear();
        manifest.classes.clear();
        manifest.sealing = None;
        // Their files go with it; the engine makes them anew.
        manifest.partition_indexes.clear();
        manifest.master_segments.clear();
        manifest.wal_from = wal_from;
        let known = own.iter().flat_map(|c| c.lineage().parts.into_iter().chain([c.file.id]));
        manifest.next_table = manifest.next_table.max(known.max().map_or(1, |id| id.saturating_add(1)));
        for candidate in own {
            let lineage = candidate.lineage();
            manifest.next_channel = manifest.next_channel.max(lineage.next_channel);
            manifest.next_sequence = manifest.next_sequence.max(lineage.next_sequence);
            if let Condition::Sound(facts) = &candidate.condition {
                let (entry, next) = (&facts.entry, facts.last_channel.0.saturating_add(1));
                manifest.next_channel = manifest.next_channel.max(next);
                manifest.next_sequence = manifest.next_sequence.max(entry.sequence_span.1.saturating_add(1));
            }
        }
        // Higher than that of any manifest of the past, whose number may be lost.
        let unheard = u64::try_from(self.reindexing.clock.now().0).unwrap_or(0) >> 20;
        manifest.generation = match &self.former {
            Some(former) => former.generation + 1,
            None => unheard.max(manifest.generation) + 1,
        };
        manifest
    }

    /// Enters the live tables in the order in which they were flushed.
    fn enter(&self, manifest: &mut Manifest, mut live: Vec<Facts>) {
        let former: HashMap<u64, usize> =
            self.entries().enumerate().map(|(at, entry)| (entry.id, at)).collect();
        // Where the manifest knew the table, or one that went into it; else by the oldest of its parts.
        live.sort_by_key(|facts| {
            let ids = || facts.lineage.parts.iter().copied().chain([facts.entry.id]);
            let place = ids().filter_map(|id| former.get(&id)).min().copied();
            (place.is_none(), place, ids().min(), facts.entry.id)
        });
        // Also of what was saved from damaged tables, which could not say so themselves.
        for facts in &live {
            manifest.next_channel = manifest.next_channel.max(facts.last_channel.0.saturating_add(1));
            manifest.next_sequence =
                manifest.next_sequence.max(facts.entry.sequence_span.1.saturating_add(1));
        }
        let classes: BTreeSet<(u32, String)> =
            live.iter().map(|facts| (facts.class, facts.class_name.clone())).collect();
        let kept = self.former.iter().flat_map(|former| former.classes.clone());
        for class in kept.chain(classes.into_iter().map(|(_, name)| name)) {
            if !manifest.classes.contains(&class) {
                manifest.classes.push(class);
            }
        }
        for mut facts in live {
            let at = manifest.classes.iter().position(|class| *class == facts.class_name);
            facts.entry.class = at.and_then(|at| u16::try_from(at).ok()).unwrap_or(0);
            manifest.tables.push(facts.entry);
        }
    }

    /// Files that hold nothing of their own go after the grace time.
    fn drop_files(&self, manifest: &mut Manifest, own: &[&Candidate], superfluous: &[PathBuf]) {
        let since = self.reindexing.clock.now();
        let live: BTreeSet<PathBuf> = manifest.tables.iter().map(|entry| entry.path(self.layout)).collect();
        manifest.dropped.retain(|file| !live.contains(&self.layout.inside(&file.file)));
        for candidate in own.iter().filter(|candidate| superfluous.contains(&candidate.file.path)) {
            let file = candidate.file.inside();
            if manifest.dropped.iter().all(|known| known.file != file) {
                manifest.dropped.push(DroppedFile { file, since, len: candidate.file.len });
            }
        }
    }

    /// Makes the manifest the live one. Damaged files get their second name before and lose the first one
    /// behind it, so that an engine that opens the archive in between removes none of them.
    fn publish(&self, manifest: &Manifest, mended: &[Mended]) -> Result<(), Error> {
        let disk = &*self.reindexing.disk;
        // I3: a process that was killed may have left content and names that are not durable.
        let trusted: BTreeSet<PathBuf> = self.entries().map(|entry| entry.path(self.layout)).collect();
        for path in manifest.tables.iter().map(|entry| entry.path(self.layout)) {
            if !trusted.contains(&path) {
                disk.open_write(&path)?.sync()?;
            }
        }
        let weeks: BTreeSet<PathBuf> = manifest
            .tables
            .iter()
            .filter_map(|entry| entry.path(self.layout).parent().map(Path::to_path_buf))
            .chain([self.layout.weeks(), self.layout.root().to_path_buf()])
            .collect();
        for directory in weeks {
            if disk.exists(&directory)? {
                disk.sync_dir(&directory)?;
            }
        }
        for mended in mended {
            mend::name_aside(disk, mended)?;
        }
        self.drop_index_files()?;
        manifest.store(disk, self.layout)?;
        for mended in mended {
            mend::unname(disk, mended)?;
        }
        Ok(())
    }

    /// Removes tables that were never live, durably: the log may have lost what they hold beyond it, and have gone
    /// on in another way, so that none may be found when the manifest is lost again.
    fn remove(&self, leftovers: &[PathBuf]) -> Result<(), Error> {
        let disk = &*self.reindexing.disk;
        for path in leftovers {
            disk.remove(path)?;
        }
        let directories: BTreeSet<&Path> = leftovers.iter().filter_map(|path| path.parent()).collect();
        Ok(directories.into_iter().try_for_each(|directory| disk.sync_dir(directory))?)
    }

    /// Index files are derived from the tables: those that are there describe other ones.
    fn drop_index_files(&self) -> Result<(), Error> {
        let disk = &*self.reindexing.disk;
        let mut directories = vec![self.layout.index()];
        for week in listed(disk, &self.layout.weeks())? {
            let wanted = self.reindexing.partition;
            let of = parse_week_dir(&week).filter(|(of, _)| wanted.is_none_or(|wanted| wanted == *of));
            directories.extend(of.map(|_| self.layout.weeks().join(&week)));
        }
        for directory in directories {
            for name in listed(disk, &directory)? {
                if name.contains("index") {
                    disk.remove(&directory.join(&name))?;
                }
            }
        }
        Ok(())
    }
}

/// The names in a directory, none where it is missing.
fn listed(disk: &dyn Disk, directory: &Path) -> Result<Vec<String>, Error> {
    match disk.list(directory) {
        Ok(entries) => Ok(entries.into_iter().map(|entry| entry.name).collect()),
        Err(error) if error.is_missing() => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

/// Names of channels, for those whose own table lost them.
struct Names(HashMap<ChannelId, ChannelName>);

impl Names {
    /// From every dictionary that can be read and from the log, if one is needed at all.
    fn of(own: &[Candidate], layout: &Layout, archive: ArchiveId, disk: &dyn Disk) -> Result<Names, Error> {
        let mut names = HashMap::new();
        if own.iter().all(|candidate| matches!(candidate.condition, Condition::Sound(_))) {
            return Ok(Names(names));
        }
        wal::replay(disk, &layout.wal(), archive, 1, &mut |_, entry| {
            if let wal::Entry::Channel { channel, record } = entry
                && let sstable::ChannelChange::Named(name) = record.change
            {
                names.insert(channel, name);
            }
        })?;
        for candidate in own {
            for row in candidate.rows(disk)? {
                names.insert(row.channel, row.name);
            }
        }
        Ok(Names(names))
    }

    fn known(&self, channel: ChannelId) -> Option<ChannelName> {
        self.0.get(&channel).cloned()
    }

    /// The channel's name, or one that says that it is lost.
    fn name(&self, channel: ChannelId) -> ChannelName {
        let lost = || ChannelName::stored(&format!("lost-name-{}", channel.0)).ok();
        match self.0.get(&channel).cloned().or_else(lost) {
            Some(name) => name,
            None => unreachable!("a short word is a name"),
        }
    }
}

/// Damage of a file is told from everything else that may go wrong with it.
fn damage_only(error: FormatError) -> Result<FormatError, Error> {
    if error.is_damage() { Ok(error) } else { Err(error.into()) }
}
