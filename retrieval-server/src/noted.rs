//! Archives that answer one request twice alike: its validator is made of what the answer is then made of.

use engine::read::{
    Archive, ArchiveInfo, ChannelDetail, ChannelFilter, ChannelSummary, HeldSnapshot, Member, MetDamage,
    ReadError, Reader, Snapshot, Why,
};
use sample::{ChannelName, TimeRange, Timestamp};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// What was asked first and is asked again.
#[derive(Default)]
struct Notes {
    resolved: HashMap<String, Option<ChannelName>>,
    snapshots: HashMap<(ChannelName, TimeRange), Vec<HeldSnapshot>>,
    /// Whether the second time has come: nothing more is noted.
    again: bool,
}

/// The notes of one request about all its archives.
#[derive(Default)]
pub(crate) struct Noted(Vec<Arc<Notebook>>);

/// One archive with its notes.
struct Notebook {
    archive: Arc<dyn Archive>,
    notes: Mutex<Notes>,
}

impl Noted {
    /// The archives of `reader`, noting from now on; and a reader over them.
    pub(crate) fn of(reader: &Reader) -> (Noted, Reader) {
        let mut noted = Noted::default();
        let members = reader.members().iter().map(|member| {
            let notebook = Notebook { archive: member.archive.clone(), notes: Mutex::default() };
            let notebook = Arc::new(notebook);
            noted.0.push(notebook.clone());
            Member { name: member.name.clone(), priority: member.priority, archive: notebook }
        });
        let noting = reader.over(members.collect());
        (noted, noting)
    }

    /// From now on gives what was noted: names always, snapshots once each. Who asks for one of those again wants
    /// to know what it is like then.
    pub(crate) fn again(&self) {
        for notebook in &self.0 {
            notebook.notes().again = true;
        }
    }
}

impl Notebook {
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was noted, else what `look` finds.
    fn looked_at(
        &self,
        name: &ChannelName,
        range: TimeRange,
        look: impl FnOnce() -> Result<Vec<Snapshot>, ReadError>,
    ) -> Result<Vec<Snapshot>, ReadError> {
        let key = (name.clone(), range);
        let mut notes = self.notes();
        let again = notes.again;
        let noted = if again { notes.snapshots.remove(&key) } else { notes.snapshots.get(&key).cloned() };
        drop(notes);
        if let Some(noted) = noted {
            return Ok(noted.into_iter().map(HeldSnapshot::open).collect());
        }
        let found = look()?;
        if !again {
            let held = found.iter().cloned().map(HeldSnapshot::from).collect();
            self.notes().snapshots.insert(key, held);
        }
        Ok(found)
    }
}

impl Archive for Notebook {
    fn info(&self) -> ArchiveInfo {
        self.archive.info()
    }

    fn resolve(&self, name: &str) -> Result<Option<ChannelName>, ReadError> {
        if let Some(resolved) = self.notes().resolved.get(name) {
            return Ok(resolved.clone());
        }
        let resolved = self.archive.resolve(name)?;
        let mut notes = self.notes();
        if !notes.again {
            notes.resolved.insert(name.into(), resolved.clone());
        }
        Ok(resolved)
    }

    fn near(&self, name: &str, most: usize) -> Vec<String> {
        self.archive.near(name, most)
    }

    fn channels(&self, filter: &ChannelFilter<'_>) -> Result<Vec<ChannelSummary>, ReadError> {
        self.archive.channels(filter)
    }

    fn channel(&self, name: &ChannelName, time: Timestamp) -> Result<Option<ChannelDetail>, ReadError> {
        self.archive.channel(name, time)
    }

    fn why(&self, name: &str) -> Result<Why, ReadError> {
        self.archive.why(name)
    }

    fn snapshot(&self, name: &ChannelName, range: TimeRange) -> Result<Option<Snapshot>, ReadError> {
        Ok(self.snapshots(name, range)?.into_iter().next())
    }

    fn snapshots(&self, name: &ChannelName, range: TimeRange) -> Result<Vec<Snapshot>, ReadError> {
        self.looked_at(name, range, || self.archive.snapshots(name, range))
    }

    fn snapshots_since(
        &self,
        name: &ChannelName,
        range: TimeRange,
        since: Instant,
    ) -> Result<Vec<Snapshot>, ReadError> {
        self.looked_at(name, range, || self.archive.snapshots_since(name, range, since))
    }

    fn damage(&self) -> Option<MetDamage> {
        self.archive.damage()
    }

    fn now(&self) -> Timestamp {
        self.archive.now()
    }
}
