//! An archive directory that another process may be writing.
//!
//! Order makes the answers coherent: first the engine's tail, which names the manifest generation whose files
//! lack exactly that tail, then a manifest of at least that generation. What both hold is the same by
//! (time, rank). Where no engine answers, files and a replay of the log say what is final.

mod files;
mod offline;

use crate::clock::Clock;
use crate::damage::DamageLog;
use crate::error::Error;
use crate::identity::{Holder, Identity};
use crate::layout::Layout;
use crate::live::LiveArchive;
use crate::read::{
    Archive, ArchiveInfo, ChannelDetail, ChannelFilter, ChannelSummary, MetDamage, Problem, ProblemCode,
    ReadError, Snapshot, Why,
};
use crate::snapshot;
use crate::table_run::read_error;
use crate::tail::{Tail, TailSource};
use disk::Disk;
use files::Files;
use offline::{Offline, Replayed};
use sample::{ChannelName, TimeRange, Timestamp};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How an engine is reached at an address, for example `http://127.0.0.1:17669`. Nothing is asked yet.
pub type Connector = Box<dyn Fn(&str) -> Arc<dyn TailSource> + Send + Sync>;

/// How long an engine that did not answer is left alone.
const AGAIN: Duration = Duration::from_secs(1);

/// An engine that was known may have been followed by one at another address.
const ENGINES_TRIED: usize = 2;

/// A directory, read beside whoever writes it. It may be missing at first.
pub struct ForeignArchive {
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    layout: Layout,
    live: Option<String>,
    connect: Connector,
    opened: Mutex<Option<Arc<Opened>>>,
    engine: Mutex<EngineState>,
    /// What was met in the files.
    damage: Arc<DamageLog>,
}

/// What is kept of a directory that was found to be an archive.
struct Opened {
    identity: Identity,
    files: Files,
    offline: Offline,
}

/// What is known of the engine.
#[derive(Default)]
struct EngineState {
    source: Option<Arc<dyn TailSource>>,
    /// The address that failed last, and when.
    failed: Option<(String, Instant)>,
}

impl ForeignArchive {
    /// The archive in `directory`; its engine is at `live`, or else where the lock file says.
    pub fn new(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        directory: PathBuf,
        live: Option<String>,
        connect: Connector,
    ) -> ForeignArchive {
        let layout = Layout::new(directory);
        ForeignArchive {
            disk,
            clock,
            layout,
            live,
            connect,
            opened: Mutex::default(),
            engine: Mutex::default(),
            damage: Arc::default(),
        }
    }

    /// The archive, looked for again until it is there.
    fn opened(&self) -> Result<Arc<Opened>, ReadError> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = &*opened {
            return Ok(opened.clone());
        }
        let identity = Identity::load(&*self.disk, &self.layout).map_err(unreadable)?;
        let Some(identity) = identity else {
            let directory = self.layout.root().display();
            let what = format!("{directory} holds no archive; is its file system mounted?");
            return Err(ReadError::Unavailable(what));
        };
        let found = Arc::new(Opened {
            identity,
            files: Files::new(self.disk.clone(), self.layout.clone(), identity.id, self.damage.clone()),
            offline: Offline::new(
                self.disk.clone(),
                self.clock.clone(),
                self.layout.clone(),
                self.damage.clone(),
            ),
        });
        *opened = Some(found.clone());
        Ok(found)
    }

    /// Forgets a directory that turned out to be another archive than it was.
    fn checked<T>(&self, result: Result<T, Error>) -> Result<T, ReadError> {
        if matches!(result, Err(Error::ForeignFile { .. } | Error::NoArchive(_))) {
            *self.opened.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        result.map_err(unreadable)
    }

    fn engine_state(&self) -> MutexGuard<'_, EngineState> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The engine, unless it did not answer a moment ago or there is none.
    fn engine(&self, opened: &Opened) -> Option<Arc<dyn TailSource>> {
        if let Some(source) = &self.engine_state().source {
            return Some(source.clone());
        }
        let address = match &self.live {
            Some(address) => address.clone(),
            None => self.holder()?.address,
        };
        if address.is_empty() {
            return None;
        }
        let recently = |failed: &(String, Instant)| failed.0 == address && failed.1.elapsed() < AGAIN;
        if self.engine_state().failed.as_ref().is_some_and(recently) {
            return None;
        }
        // Not under the lock: others need not wait for a slow connection. An address left behind by an
        // engine long gone may be another's now.
        let source = (self.connect)(&address);
        let known = source.info().id == opened.identity.id.to_string();
        let mut state = self.engine_state();
        if !known {
            state.failed = Some((address, Instant::now()));
            return None;
        }
        state.failed = None;
        state.source = Some(source.clone());
        Some(source)
    }

    /// Who has the directory locked now.
    fn holder(&self) -> Option<Holder> {
        if !self.disk.is_locked(&self.layout.lock()).ok()? {
            return None;
        }
        Holder::load(&*self.disk, &self.layout).ok()?
    }

    /// The engine did not answer.
    fn lost(&self, error: &ReadError) {
        let mut state = self.engine_state();
        if let Some(source) = state.source.take() {
            let address = source.info().path;
            tracing::warn!(archive = %self.layout.root().display(), %error, "the engine does not answer");
            state.failed = Some((address, Instant::now()));
        }
    }

    /// What files and log say without the engine: of one channel, or of all.
    fn offline(
        &self,
        opened: &Opened,
        name: Option<&str>,
        since: Instant,
    ) -> Result<Arc<Replayed>, ReadError> {
        self.checked(match name {
            Some(name) => opened.offline.replayed_for(&opened.files, name, since),
            None => opened.offline.replayed(&opened.files, since),
        })
    }

    /// Asks the engine, else what files and log say, about one channel or all.
    fn ask<T>(
        &self,
        name: Option<&str>,
        engine: impl Fn(&dyn TailSource) -> Result<T, ReadError>,
        offline: impl FnOnce(&LiveArchive, bool) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let opened = self.opened()?;
        for _ in 0..ENGINES_TRIED {
            let Some(source) = self.engine(&opened) else { break };
            match engine(&*source) {
                Err(error) if is_silence(&error) => self.lost(&error),
                answer => return answer,
            }
        }
        let replayed = self.offline(&opened, name, Instant::now())?;
        offline(&replayed.archive, replayed.held)
    }

    /// A snapshot with the engine's tail; `Err` where the engine is silent.
    fn with_tail(
        &self,
        opened: &Opened,
        tail: Tail,
        range: TimeRange,
    ) -> Result<Option<Snapshot>, ReadError> {
        let view = self.checked(opened.files.at_least(tail.generation))?;
        snapshot::join(&view, tail, range).map(Some)
    }

    fn without_tail(
        &self,
        opened: &Opened,
        name: &ChannelName,
        range: TimeRange,
        since: Instant,
    ) -> Result<Option<Snapshot>, ReadError> {
        let replayed = self.offline(opened, Some(name.as_str()), since)?;
        let Some(mut snapshot) = replayed.archive.snapshot(name, range)? else { return Ok(None) };
        if replayed.held {
            snapshot.running = true;
            if snapshot.knowledge_ends < range.to {
                let holder = Holder::load(&*self.disk, &self.layout).ok().flatten().unwrap_or_default();
                snapshot.problems.push(Problem {
                    code: ProblemCode::ArchiveUnavailable,
                    range: TimeRange::new(snapshot.knowledge_ends.max(range.from), range.to),
                    file: None,
                    message: format!(
                        "the engine that writes {}, {holder}, does not answer: what it received in this \
                         time is not here yet",
                        self.layout.root().display()
                    ),
                });
            }
        }
        Ok(Some(snapshot))
    }
}

/// Whether an error means that nobody answers, in contrast to an answer that is an error.
fn is_silence(error: &ReadError) -> bool {
    matches!(error, ReadError::Unavailable(_) | ReadError::NotReady(_))
}

/// A failure of an archive's own files as readers hear of it.
fn unreadable(error: Error) -> ReadError {
    match error {
        Error::Format(error) => read_error(error, None),
        Error::Read(error) => error,
        other => ReadError::Unavailable(other.to_string()),
    }
}

impl Archive for ForeignArchive {
    fn info(&self) -> ArchiveInfo {
        let path = self.layout.root().display().to_string();
        match self.opened() {
            Ok(opened) => {
                let Identity { id, created, version } = opened.identity;
                ArchiveInfo {
                    id: id.to_string(),
                    path,
                    created,
                    format: format!("{}.{}", version.0, version.1),
                }
            }
            Err(_) => ArchiveInfo { id: String::new(), path, created: Timestamp(0), format: String::new() },
        }
    }

    fn resolve(&self, name: &str) -> Result<Option<ChannelName>, ReadError> {
        self.ask(Some(name), |engine| engine.resolve(name), |offline, _| offline.resolve(name))
    }

    fn near(&self, name: &str, most: usize) -> Vec<String> {
        let near =
            self.ask(None, |engine| Ok(engine.near(name, most)), |offline, _| Ok(offline.near(name, most)));
        near.unwrap_or_default()
    }

    fn channels(&self, filter: &ChannelFilter<'_>) -> Result<Vec<ChannelSummary>, ReadError> {
        self.ask(
            None,
            |engine| engine.channels(filter),
            |offline, held| {
                let mut rows = offline.channels(filter)?;
                if held {
                    rows.iter_mut().for_each(unknown_state);
                }
                Ok(rows)
            },
        )
    }

    fn channel(&self, name: &ChannelName, time: Timestamp) -> Result<Option<ChannelDetail>, ReadError> {
        self.ask(
            Some(name.as_str()),
            |engine| engine.channel(name, time),
            |offline, held| {
                let mut detail = offline.channel(name, time)?;
                if held && let Some(detail) = &mut detail {
                    unknown_state(&mut detail.summary);
                }
                Ok(detail)
            },
        )
    }

    fn why(&self, name: &str) -> Result<Why, ReadError> {
        self.ask(Some(name), |engine| engine.why(name), |offline, _| offline.why(name))
    }

    fn snapshot(&self, name: &ChannelName, range: TimeRange) -> Result<Option<Snapshot>, ReadError> {
        Ok(self.snapshots_since(name, range, Instant::now())?.pop())
    }

    fn snapshots_since(
        &self,
        name: &ChannelName,
        range: TimeRange,
        since: Instant,
    ) -> Result<Vec<Snapshot>, ReadError> {
        let opened = self.opened()?;
        for _ in 0..ENGINES_TRIED {
            let Some(engine) = self.engine(&opened) else { break };
            let tail = engine.tail(name, range).and_then(|tail| match tail {
                Some(tail) if tail.archive != opened.identity.id => {
                    Err(ReadError::Unavailable(format!("archive {} answers there", tail.archive)))
                }
                tail => Ok(tail),
            });
            match tail {
                Err(error) if is_silence(&error) => self.lost(&error),
                Err(error) => return Err(error),
                Ok(None) => return Ok(Vec::new()),
                Ok(Some(tail)) => return Ok(self.with_tail(&opened, tail, range)?.into_iter().collect()),
            }
        }
        Ok(self.without_tail(&opened, name, range, since)?.into_iter().collect())
    }

    fn damage(&self) -> Option<MetDamage> {
        let is_there = |file: &Path| !matches!(self.disk.open(file), Err(error) if error.is_missing());
        self.damage.keep_files(is_there);
        self.damage.met()
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// A row as files and log tell it while an engine runs that does not answer.
fn unknown_state(row: &mut ChannelSummary) {
    if row.state == crate::read::ChannelState::Disconnected {
        row.reason = "the engine does not answer".into();
    }
}
