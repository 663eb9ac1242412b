//! Index files that stay open from one manifest to the next.

use crate::identity::ArchiveId;
use crate::layout::Layout;
use crate::limits::INDEX_CACHE_BYTES;
use crate::manifest::{Manifest, MasterSegmentEntry, PartitionIndexEntry};
use disk::{Disk, FormatError};
use index::{Master, PageCache, PartitionIndex};
use sample::ChannelId;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The index files of one archive, each opened when it is asked for first. One that cannot be read is given up
/// for good: whoever asks does without it, whoever writes the archive makes it anew.
#[derive(Debug)]
pub(crate) struct OpenIndexes {
    disk: Arc<dyn Disk>,
    layout: Layout,
    archive: ArchiveId,
    pages: Arc<PageCache>,
    files: Mutex<Files>,
}

#[derive(Debug, Default)]
struct Files {
    partitions: HashMap<u64, Arc<PartitionIndex>>,
    masters: HashMap<u64, Arc<Master>>,
    given_up: BTreeSet<u64>,
    /// Why the last one was given up, until somebody asks.
    failure: Option<String>,
}

impl OpenIndexes {
    /// Of the archive in `layout`; none is opened yet.
    pub(crate) fn new(disk: Arc<dyn Disk>, layout: Layout, archive: ArchiveId) -> Arc<OpenIndexes> {
        let pages = PageCache::new(INDEX_CACHE_BYTES);
        Arc::new(OpenIndexes { disk, layout, archive, pages, files: Mutex::default() })
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The index of a partition, if it can be read.
    pub(crate) fn partition(&self, entry: &PartitionIndexEntry) -> Option<Arc<PartitionIndex>> {
        self.open(
            entry.id,
            |files| &mut files.partitions,
            || {
                let path = self.layout.partition_index(entry.week, entry.generation, entry.id);
                let index = PartitionIndex::open(&*self.disk, &path, &self.pages)?;
                let (info, summary) = (index.info(), index.summary());
                let same = (summary.bytes, summary.footer_crc) == (entry.len, entry.footer_crc)
                    && (info.archive, info.week, info.generation)
                        == (self.archive.0, entry.week, entry.generation);
                if same { Ok(index) } else { Err(another(&path)) }
            },
        )
    }

    /// A segment of the master index, if it can be read.
    pub(crate) fn master(&self, entry: &MasterSegmentEntry) -> Option<Arc<Master>> {
        self.open(
            entry.id,
            |files| &mut files.masters,
            || {
                let path = self.layout.master_segment(entry.id);
                let master = Master::open(&*self.disk, &path, &self.pages)?;
                let (info, summary) = (master.info(), master.summary());
                let same = (summary.bytes, summary.footer_crc) == (entry.len, entry.footer_crc)
                    && (info.archive, info.segment) == (self.archive.0, entry.id);
                if same { Ok(master) } else { Err(another(&path)) }
            },
        )
    }

    /// File `id` among those of its kind. It is opened without the lock: nobody waits for another's disk. Of
    /// two who open it at once one keeps the other's.
    fn open<T>(
        &self,
        id: u64,
        of_kind: fn(&mut Files) -> &mut HashMap<u64, Arc<T>>,
        open: impl FnOnce() -> Result<T, FormatError>,
    ) -> Option<Arc<T>> {
        {
            let files = &mut *self.files();
            if files.given_up.contains(&id) {
                return None;
            }
            if let Some(open) = of_kind(files).get(&id) {
                return Some(open.clone());
            }
        }
        match open() {
            Ok(opened) => {
                Some(of_kind(&mut self.files()).entry(id).or_insert_with(|| Arc::new(opened)).clone())
            }
            Err(error) => {
                self.give_up(id, &error);
                None
            }
        }
    }

    /// The channel that a name stands for, if a segment of the master index knows it. Names never change
    /// hands, so the newest segment that knows it is right.
    pub(crate) fn channel(&self, manifest: &Manifest, name: &str) -> Option<ChannelId> {
        for entry in manifest.master_segments.iter().rev() {
            let Some(master) = self.master(entry) else { continue };
            match master.find(name) {
                Ok(Some(named)) => return Some(named.id),
                Ok(None) => {}
                Err(error) => self.give_up(entry.id, &error),
            }
        }
        None
    }

    /// Does without index file `id` from now on.
    pub(crate) fn give_up(&self, id: u64, error: &FormatError) {
        let files = &mut *self.files();
        files.partitions.remove(&id);
        files.masters.remove(&id);
        if files.given_up.insert(id) {
            tracing::warn!(%error, "an index file cannot be read; the tables are asked instead");
            files.failure = Some(error.to_string());
        }
    }

    /// Why an index file was given up since this was asked last.
    pub(crate) fn take_failure(&self) -> Option<String> {
        self.files().failure.take()
    }

    /// Forgets the files that `manifest` does not name.
    pub(crate) fn keep(&self, manifest: &Manifest) {
        let partitions: BTreeSet<u64> = manifest.partition_indexes.iter().map(|entry| entry.id).collect();
        let masters: BTreeSet<u64> = manifest.master_segments.iter().map(|entry| entry.id).collect();
        let files = &mut *self.files();
        files.partitions.retain(|id, _| partitions.contains(id));
        files.masters.retain(|id, _| masters.contains(id));
        files.given_up.retain(|id| partitions.contains(id) || masters.contains(id));
    }
}

/// The error of a file that is sound, but another one.
pub(crate) fn another(path: &Path) -> FormatError {
    FormatError::corrupt(path, 0, "this is not the index file that the manifest names")
}
