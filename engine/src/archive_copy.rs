//! A consistent copy of an archive, whoever writes it meanwhile.
//!
//! Why it is right: a manifest with its tables and the records of the log from its `wal_from` on are the whole
//! archive at some moment. Tables never change, so a second name is a copy; one that went meanwhile is in no
//! later manifest, and everything begins again. The log's segments are opened, then the manifest is read
//! again: a segment that is needed goes only after a manifest with a higher `wal_from` was stored (I4), so if
//! that number has not moved, every segment needed is open, and stays readable whatever becomes of its name.
//! Of each segment the end of its content is found *before* it is copied up to there: what stands before bytes
//! that were seen was written before them, so the copy has no hole, at worst a torn last record, which
//! recovery cuts off.
//!
//! An interrupted copy is no worse than before: tables come first; the new manifest goes well with the log of
//! the copy before (what that lacks at its beginning is in tables, it ends earlier); segments of the new log
//! take their places one by one from the oldest on; superfluous files go last, and `ARCHIVE` comes last of all
//! in a fresh copy. Where the archive has lost with its power what the copy's log holds, and gone on in another
//! way, the two do not go together: such a copy is none, without `ARCHIVE`, until it is whole again.

use crate::error::Error;
use crate::identity::{ArchiveId, Holder, Identity};
use crate::layout::{
    COPY_NAME, LOCK_NAME, Layout, parse_late_dir, parse_segment, parse_table, parse_week_dir,
};
use crate::limits::COPY_BYTES;
use crate::manifest::{Manifest, TableEntry};
use crate::planted::{Bug, planted};
use crate::wal;
use disk::{Disk, File, PART_SUFFIX, create_dir_durable, replace};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What was copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Generation of the manifest.
    pub generation: u64,
    /// Tables that got a second name.
    pub linked: u64,
    /// Tables that were copied byte by byte.
    pub copied: u64,
    /// Tables that were there already.
    pub kept: u64,
    /// Files of an earlier copy that were removed.
    pub removed: u64,
    /// Bytes that were written.
    pub bytes: u64,
    /// Segments of the log.
    pub segments: u64,
}

/// Makes `to` a copy of the archive in `from`, durably. `to` is missing, empty, or a copy made earlier, of
/// which only what changed is copied.
///
/// # Errors
/// The disk's; `from` holds no archive or a damaged manifest; `to` holds something else, or an engine has
/// written there since.
pub fn copy_archive(disk: &dyn Disk, from: &Path, to: &Path) -> Result<Copied, Error> {
    let source = Layout::new(from);
    let Some(identity) = Identity::load(disk, &source)? else { return Err(Error::NoArchive(from.into())) };
    let target = Layout::new(to);
    prepare(disk, &source, &target, identity.id)?;
    let Some(lock) = disk.lock(&target.lock())? else {
        let holder = Holder::load(disk, &target).ok().flatten().unwrap_or_default();
        return Err(Error::Locked { path: target.lock(), holder });
    };
    for directory in [target.weeks(), target.wal()] {
        create_dir_durable(disk, &directory)?;
    }
    let mut copying = Copying { disk, source, target, done: Copied::default() };
    let (mut manifest, segments) = copying.gather(identity.id)?;
    manifest.dropped.clear();
    // Its finished tables are not live: the copy begins that seal again.
    manifest.sealing = None;
    // Derived: whoever writes to the copy makes them anew.
    manifest.partition_indexes.clear();
    manifest.master_segments.clear();
    let staged = segments.iter().map(|segment| copying.stage(&**segment)).collect::<Result<Vec<_>, _>>()?;
    if !copying.is_continued(&staged, identity.id, manifest.wal_from)? {
        disk.remove(&copying.target.identity())?;
        disk.sync_dir(copying.target.root())?;
    }
    manifest.store(disk, &copying.target)?;
    copying.put_log(&staged)?;
    if Identity::load(disk, &copying.target)?.is_none() {
        let name = crate::layout::IDENTITY_NAME;
        replace(disk, copying.target.root(), name, &identity.encode())?;
    }
    copying.remove_superfluous(&manifest)?;
    drop(lock);
    copying.done.generation = manifest.generation;
    Ok(copying.done)
}

/// What the file says that marks a copy.
fn mark(archive: ArchiveId) -> String {
    format!(
        "A copy of archive {archive}, made by archtool snapshot.\nThe next snapshot brings it up to date. An engine \
         that writes here removes this file; then it is an archive of its own.\n"
    )
}

/// Makes sure that nothing in `target` is anybody else's.
fn prepare(disk: &dyn Disk, source: &Layout, target: &Layout, archive: ArchiveId) -> Result<(), Error> {
    let refuse = |why| Err(Error::Destination { directory: target.root().into(), why });
    if target.root().starts_with(source.root()) || source.root().starts_with(target.root()) {
        return refuse("one of the two directories lies in the other");
    }
    if !disk.exists(target.root())? {
        create_dir_durable(disk, target.root())?;
    }
    let path = target.copy_mark();
    if disk.exists(&path)? {
        let mut found = vec![0; mark(archive).len() + 1];
        let len = disk.open(&path)?.read_at(0, &mut found)?;
        return if found[..len] == *mark(archive).as_bytes() {
            Ok(())
        } else {
            refuse("it is a copy of another archive")
        };
    }
    let part = format!("{COPY_NAME}{PART_SUFFIX}");
    if disk.list(target.root())?.iter().any(|entry| entry.name != LOCK_NAME && entry.name != part) {
        return refuse(
            "it is not empty, and not a copy that archtool snapshot made, or an engine has written there",
        );
    }
    Ok(replace(disk, target.root(), COPY_NAME, mark(archive).as_bytes())?)
}

struct Copying<'a> {
    disk: &'a dyn Disk,
    source: Layout,
    target: Layout,
    done: Copied,
}

impl Copying<'_> {
    /// A manifest whose tables are all in the copy, with the log's segments behind it, open.
    fn gather(&mut self, archive: ArchiveId) -> Result<(Manifest, Vec<Arc<dyn File>>), Error> {
        let mut last_failed = None;
        loop {
            let manifest = self.manifest(archive)?;
            match self.tables(&manifest) {
                // It went after the manifest was read; but a manifest that stays as it is must be right.
                Err(error) if error.is_missing() && last_failed != Some(manifest.generation) => {
                    last_failed = Some(manifest.generation);
                    continue;
                }
                other => other?,
            }
            let segments = match self.segments() {
                // Released between listing and opening.
                Err(error) if error.is_missing() => continue,
                other => other?,
            };
            if planted(Bug::CopyNotChecked) || self.manifest(archive)?.wal_from == manifest.wal_from {
                return Ok((manifest, segments));
            }
        }
    }

    fn manifest(&self, archive: ArchiveId) -> Result<Manifest, Error> {
        Manifest::load(self.disk, &self.source, archive)?.ok_or_else(|| {
            let what = "the file is missing: rebuild it with `archtool reindex`, then copy the archive";
            Error::corrupt(&self.source.manifest(), 0, what)
        })
    }

    /// Gives the tables their place in the copy, durably.
    fn tables(&mut self, manifest: &Manifest) -> Result<(), Error> {
        let mut directories = BTreeSet::new();
        for entry in &manifest.tables {
            let (from, to) = (entry.path(&self.source), entry.path(&self.target));
            if let Some(directory) = to.parent()
                && directories.insert(directory.to_path_buf())
            {
                create_dir_durable(self.disk, directory)?;
            }
            self.table(entry, &from, &to)?;
        }
        for directory in directories {
            self.disk.sync_dir(&directory)?;
        }
        self.disk.sync_dir(&self.target.weeks())?;
        Ok(self.disk.sync_dir(self.target.root())?)
    }

    fn table(&mut self, entry: &TableEntry, from: &Path, to: &Path) -> Result<(), Error> {
        if self.disk.exists(to)? {
            if self.is_same(entry, to)? {
                self.done.kept += 1;
                return Ok(());
            }
            self.disk.remove(to)?;
        }
        let link = self.disk.link(from, to);
        match link {
            Ok(()) => self.done.linked += 1,
            Err(error) if error.is_missing() => return Err(error.into()),
            // Another file system, or one that knows no second names.
            Err(_) => {
                let file = self.disk.open(from)?;
                let part = self.part(to)?;
                self.done.bytes += copy_bytes(&*file, &*self.disk.create(&part)?, entry.len, entry.len)?;
                self.disk.rename(&part, to)?;
                self.done.copied += 1;
            }
        }
        Ok(())
    }

    /// Whether the copy's file is the table that the manifest names: length and footer say so.
    fn is_same(&self, entry: &TableEntry, path: &Path) -> Result<bool, Error> {
        let file = self.disk.open(path)?;
        let mut crc = [0; 4];
        let found = file.read_at(entry.len.saturating_sub(4), &mut crc)?;
        Ok(file.len()? == entry.len && found == 4 && u32::from_le_bytes(crc) == entry.footer_crc)
    }

    /// The name under which a file is written before it is whole; what an earlier attempt left there is removed.
    fn part(&self, path: &Path) -> Result<PathBuf, Error> {
        let mut part = path.to_path_buf().into_os_string();
        part.push(PART_SUFFIX);
        let part = PathBuf::from(part);
        match self.disk.remove(&part) {
            Err(error) if !error.is_missing() => Err(error.into()),
            _ => Ok(part),
        }
    }

    /// The log's segments, oldest first.
    fn segments(&self) -> Result<Vec<Arc<dyn File>>, Error> {
        let names = match self.disk.list(&self.source.wal()) {
            Ok(names) => names,
            Err(error) if error.is_missing() && !self.disk.exists(&self.source.wal())? => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        let names = names.iter().filter(|entry| parse_segment(&entry.name).is_some());
        Ok(names
            .map(|entry| self.disk.open(&self.source.wal().join(&entry.name)))
            .collect::<Result<_, _>>()?)
    }

    /// Copies a segment beside its place; says where it belongs.
    fn stage(&mut self, segment: &dyn File) -> Result<(PathBuf, PathBuf), Error> {
        let name = segment.path().file_name().unwrap_or_default();
        let place = self.target.wal().join(name);
        let part = self.part(&place)?;
        let len = segment.len()?;
        let end = end_of_content(segment, len)?;
        self.done.bytes += copy_bytes(segment, &*self.disk.create(&part)?, end, len)?;
        self.done.segments += 1;
        Ok((part, place))
    }

    /// Whether what the former log of the copy holds from `wal_from` on stands in the new one as well.
    fn is_continued(
        &self,
        staged: &[(PathBuf, PathBuf)],
        archive: ArchiveId,
        wal_from: u64,
    ) -> Result<bool, Error> {
        if Identity::load(self.disk, &self.target)?.is_none()
            || wal::reach(self.disk, &self.target.wal(), archive, wal_from)?.through < wal_from
        {
            return Ok(true);
        }
        let mut last_continued = false;
        for entry in self.disk.list(&self.target.wal())? {
            let former = self.target.wal().join(&entry.name);
            if parse_segment(&entry.name).is_none() {
                continue;
            }
            let part = staged.iter().find(|(_, place)| *place == former).map(|(part, _)| part);
            last_continued = part.is_some();
            if let Some(part) = part
                && !begins_with(&*self.disk.open(part)?, &*self.disk.open(&former)?)?
            {
                return Ok(false);
            }
        }
        // A segment that is gone was released, so that what the next one holds came behind it.
        Ok(last_continued)
    }

    /// The new log takes the place of the former one, from the oldest segment on.
    fn put_log(&mut self, staged: &[(PathBuf, PathBuf)]) -> Result<(), Error> {
        let directory = self.target.wal();
        for (part, place) in staged {
            self.disk.rename(part, place)?;
            self.disk.sync_dir(&directory)?;
        }
        for entry in self.disk.list(&directory)? {
            let path = directory.join(&entry.name);
            if staged.iter().all(|(_, place)| *place != path) {
                self.disk.remove(&path)?;
                self.done.removed += 1;
            }
        }
        Ok(self.disk.sync_dir(&directory)?)
    }

    /// Removes tables that the manifest does not name, with the directories that are empty then.
    fn remove_superfluous(&mut self, manifest: &Manifest) -> Result<(), Error> {
        let live: BTreeSet<PathBuf> = manifest.tables.iter().map(|entry| entry.path(&self.target)).collect();
        let mut directories = Vec::new();
        for week in self.disk.list(&self.target.weeks())? {
            if parse_week_dir(&week.name).or_else(|| parse_late_dir(&week.name)).is_some() {
                directories.push(self.target.weeks().join(&week.name));
            }
        }
        if self.disk.exists(&self.target.rollup())? {
            directories.push(self.target.rollup());
        }
        for directory in directories {
            let mut left = 0;
            for entry in self.disk.list(&directory)? {
                let path = directory.join(&entry.name);
                let ours = parse_table(entry.name.trim_end_matches(PART_SUFFIX)).is_some();
                if ours && !live.contains(&path) {
                    self.disk.remove(&path)?;
                    self.done.removed += 1;
                } else {
                    left += 1;
                }
            }
            if left == 0 {
                self.disk.remove_dir(&directory)?;
            }
        }
        Ok(())
    }
}

/// Whether `file` begins with all the content of `former`.
fn begins_with(file: &dyn File, former: &dyn File) -> Result<bool, Error> {
    let end = end_of_content(former, former.len()?)?;
    let (mut ours, mut theirs) = (vec![0; COPY_BYTES], vec![0; COPY_BYTES]);
    let mut offset = 0;
    while offset < end {
        let count = usize::try_from(end - offset).unwrap_or(COPY_BYTES).min(COPY_BYTES);
        let found =
            (file.read_at(offset, &mut ours[..count])?, former.read_at(offset, &mut theirs[..count])?);
        if found != (count, count) || ours[..count] != theirs[..count] {
            return Ok(false);
        }
        offset += count as u64;
    }
    Ok(true)
}

/// Where the last byte of a file that is not zero ends.
fn end_of_content(file: &dyn File, len: u64) -> Result<u64, Error> {
    let mut buffer = vec![0; COPY_BYTES];
    let mut end = len;
    while end > 0 {
        let start = end.saturating_sub(COPY_BYTES as u64);
        let count = usize::try_from(end - start).unwrap_or(COPY_BYTES);
        let found = file.read_at(start, &mut buffer[..count])?;
        if let Some(last) = buffer[..found].iter().rposition(|byte| *byte != 0) {
            return Ok(start + last as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// Copies the first `end` bytes, then makes the file `len` long with zeros, durably. Returns the bytes copied.
fn copy_bytes(from: &dyn File, to: &dyn File, end: u64, len: u64) -> Result<u64, Error> {
    let mut buffer = vec![0; COPY_BYTES];
    let mut offset = 0;
    while offset < end {
        let count = usize::try_from(end - offset).unwrap_or(COPY_BYTES).min(COPY_BYTES);
        let found = from.read_at(offset, &mut buffer[..count])?;
        if found == 0 {
            return Err(Error::corrupt(from.path(), offset, "the file became shorter while it was copied"));
        }
        to.write_at(offset, &buffer[..found])?;
        offset += found as u64;
    }
    to.set_len(len)?;
    to.sync()?;
    Ok(end)
}
