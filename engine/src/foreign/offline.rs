//! A directory whose engine does not answer: files with a replay of the log, read again when they change.

use super::files::Files;
use crate::clock::Clock;
use crate::damage::DamageLog;
use crate::error::Error;
use crate::layout::Layout;
use crate::live::LiveArchive;
use crate::manifest;
use crate::recovery;
use disk::Disk;
use sample::ChannelId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a replay serves, at least, while somebody writes.
const SERVES: Duration = Duration::from_secs(1);
/// And so many times as long as it took.
const SERVES_TIMES: u32 = 10;

/// How long what was seen of the files serves the answer that looked.
const SEEN_SERVES: Duration = Duration::from_millis(50);

/// Channels that are read alone; when another one is asked for, all are.
const ALONE_MAX: usize = 8;

/// What shows that files changed: whether a process has the directory locked, the manifest's generation, the names
/// of the log's segments.
#[derive(Clone, PartialEq, Eq)]
struct Fingerprint {
    held: bool,
    generation: u64,
    segments: Vec<String>,
}

/// What files and log said.
pub(super) struct Replayed {
    pub(super) archive: LiveArchive,
    /// Whether a process had the directory locked: the log may have grown since.
    pub(super) held: bool,
    fingerprint: Fingerprint,
    begun: Instant,
    took: Duration,
}

impl Replayed {
    /// Whether it still tells what files and log say.
    fn serves(&self, fingerprint: &Fingerprint) -> bool {
        let fresh = || self.begun.elapsed() < SERVES.max(self.took * SERVES_TIMES);
        self.fingerprint == *fingerprint && (!self.held || fresh())
    }
}

/// The replay at hand.
pub(super) struct Offline {
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    layout: Layout,
    replayed: Mutex<Option<Arc<Replayed>>>,
    /// Replays that know one channel each.
    alone: Mutex<HashMap<String, Arc<Replayed>>>,
    /// What was seen last, and when the look began.
    seen: Mutex<Option<(Instant, Fingerprint)>>,
    /// What was met in any replay.
    damage: Arc<DamageLog>,
}

impl Offline {
    /// `damage` hears of what is met.
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        layout: Layout,
        damage: Arc<DamageLog>,
    ) -> Offline {
        let (replayed, alone, seen) = (Mutex::default(), Mutex::default(), Mutex::default());
        Offline { disk, clock, layout, replayed, alone, seen, damage }
    }

    /// What files and log say now, or said at `since` or later a moment ago.
    pub(super) fn replayed(&self, files: &Files, since: Instant) -> Result<Arc<Replayed>, Error> {
        let mut kept = self.replayed.lock().unwrap_or_else(PoisonError::into_inner);
        let fingerprint = self.seen(since)?;
        if let Some(replayed) = kept.as_ref().filter(|replayed| replayed.serves(&fingerprint)) {
            return Ok(replayed.clone());
        }
        let replayed = Arc::new(self.read(files, fingerprint, None)?);
        *kept = Some(replayed.clone());
        Ok(replayed)
    }

    /// As [`Offline::replayed`], of the channel called `name`, perhaps of nothing else: where the master index knows
    /// the name, no other channel is looked at.
    pub(super) fn replayed_for(
        &self,
        files: &Files,
        name: &str,
        since: Instant,
    ) -> Result<Arc<Replayed>, Error> {
        let mut alone = self.alone.lock().unwrap_or_else(PoisonError::into_inner);
        let fingerprint = self.seen(since)?;
        alone.retain(|_, replayed| replayed.serves(&fingerprint));
        if let Some(replayed) = alone.get(name) {
            return Ok(replayed.clone());
        }
        let whole = self.replayed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let whole_serves = whole.is_some_and(|whole| whole.serves(&fingerprint));
        if whole_serves || alone.len() >= ALONE_MAX {
            return self.replayed(files, since);
        }
        // What is wrong with the files is told by reading them whole.
        let channel = files.at_least(fingerprint.generation).ok().and_then(|view| view.channel(name));
        if let Some(channel) = channel
            && let Ok(replayed) = self.read(files, fingerprint, Some(channel))
            && replayed.archive.shared().directory().names.get(name).is_some()
        {
            let replayed = Arc::new(replayed);
            alone.insert(name.to_owned(), replayed.clone());
            return Ok(replayed);
        }
        self.replayed(files, since)
    }

    /// Reads files and log, of all channels or of one alone.
    fn read(
        &self,
        files: &Files,
        fingerprint: Fingerprint,
        only: Option<ChannelId>,
    ) -> Result<Replayed, Error> {
        let begun = Instant::now();
        let (shared, report) = recovery::open_with(
            self.disk.clone(),
            self.clock.clone(),
            self.layout.root().to_path_buf(),
            &files.tables,
            only,
        )?;
        tracing::info!(
            archive = %self.layout.root().display(),
            records = report.records,
            tables = report.tables,
            "read without an engine"
        );
        shared.view().damage.tell(self.damage.clone());
        let archive = LiveArchive::new(shared);
        let took = begun.elapsed();
        Ok(Replayed { archive, held: fingerprint.held, fingerprint, begun, took })
    }

    /// What shows now that files changed, or showed it at `since` or later a moment ago.
    fn seen(&self, since: Instant) -> Result<Fingerprint, Error> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let serves = |at: &Instant| *at >= since && at.elapsed() < SEEN_SERVES;
        if let Some((_, fingerprint)) = seen.as_ref().filter(|(at, _)| serves(at)) {
            return Ok(fingerprint.clone());
        }
        let at = Instant::now();
        let fingerprint = self.fingerprint()?;
        *seen = Some((at, fingerprint.clone()));
        Ok(fingerprint)
    }

    fn fingerprint(&self) -> Result<Fingerprint, Error> {
        // In this order: what is written after these looks is found changed by the next ones.
        let held = self.disk.is_locked(&self.layout.lock())?;
        let generation = manifest::stored_generation(&*self.disk, &self.layout)?;
        let segments = match self.disk.list(&self.layout.wal()) {
            Ok(segments) => segments.into_iter().map(|entry| entry.name).collect(),
            Err(error) if error.is_missing() => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        Ok(Fingerprint { held, generation, segments })
    }
}
