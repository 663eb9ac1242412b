//! A directory whose engine does not answer: files with a replay of the log, read again when they change.

use super::files::Files;
use crate::clock::Clock;
use crate::error::Error;
use crate::layout::Layout;
use crate::live::LiveArchive;
use crate::manifest;
use crate::recovery;
use disk::Disk;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a replay serves, at least, while somebody writes.
const SERVES: Duration = Duration::from_secs(1);
/// And so many times as long as it took.
const SERVES_TIMES: u32 = 10;

/// What shows that files changed: the manifest's generation, the names of the log's segments.
type Fingerprint = (u64, Vec<String>);

/// What files and log said.
pub(super) struct Replayed {
    pub(super) archive: LiveArchive,
    /// Whether a process had the directory locked: the log may have grown since.
    pub(super) held: bool,
    fingerprint: Fingerprint,
    begun: Instant,
    took: Duration,
}

/// The replay at hand.
pub(super) struct Offline {
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    layout: Layout,
    replayed: Mutex<Option<Arc<Replayed>>>,
}

impl Offline {
    pub(super) fn new(disk: Arc<dyn Disk>, clock: Arc<dyn Clock>, layout: Layout) -> Offline {
        Offline { disk, clock, layout, replayed: Mutex::default() }
    }

    /// What files and log say now.
    pub(super) fn replayed(&self, files: &Files) -> Result<Arc<Replayed>, Error> {
        let mut kept = self.replayed.lock().unwrap_or_else(PoisonError::into_inner);
        // In this order: what is written after these looks is found changed by the next ones.
        let held = self.disk.is_locked(&self.layout.lock())?;
        let fingerprint = self.fingerprint()?;
        if let Some(replayed) = &*kept {
            let still = replayed.held == held && replayed.fingerprint == fingerprint;
            let serves = SERVES.max(replayed.took * SERVES_TIMES);
            if still && (!held || replayed.begun.elapsed() < serves) {
                return Ok(replayed.clone());
            }
        }
        let begun = Instant::now();
        let (shared, report) = recovery::open_with(
            self.disk.clone(),
            self.clock.clone(),
            self.layout.root().to_path_buf(),
            &files.tables,
        )?;
        tracing::info!(
            archive = %self.layout.root().display(),
            records = report.records,
            tables = report.tables,
            "read without an engine"
        );
        let archive = LiveArchive::new(shared);
        let took = begun.elapsed();
        let replayed = Arc::new(Replayed { archive, held, fingerprint, begun, took });
        *kept = Some(replayed.clone());
        Ok(replayed)
    }

    fn fingerprint(&self) -> Result<Fingerprint, Error> {
        let generation = manifest::stored_generation(&*self.disk, &self.layout)?;
        let segments = match self.disk.list(&self.layout.wal()) {
            Ok(segments) => segments.into_iter().map(|entry| entry.name).collect(),
            Err(error) if error.is_missing() => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        Ok((generation, segments))
    }
}
