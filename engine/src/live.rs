//! A running (or opened) archive as readers see it.

use crate::limits::SILENT_NS;
use crate::read::{
    Archive, ArchiveInfo, ChannelDetail, ChannelFilter, ChannelState, ChannelSummary, Evidence, Live,
    MetDamage, ReadError, Snapshot, Verdict, Why,
};
use crate::shared::Shared;
use crate::slot::{Archiving, Slot, SlotState};
use crate::snapshot;
use crate::tail::{Tail, TailSource};
use sample::{ChannelId, ChannelName, TimeRange, Timestamp};
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The reading end of an archive that this process has open.
#[derive(Clone, Debug)]
pub struct LiveArchive {
    shared: Arc<Shared>,
}

/// Drops that ended longer ago do not make a channel `dropping`.
const DROPPING_NS: i64 = 60_000_000_000;

impl LiveArchive {
    /// Over an opened archive.
    pub fn new(shared: Arc<Shared>) -> LiveArchive {
        LiveArchive { shared }
    }

    /// The state behind it.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    fn running(&self) -> bool {
        self.shared.running.load(Ordering::Relaxed)
    }

    fn find(&self, name: &str) -> Option<Arc<Slot>> {
        let directory = self.shared.directory();
        directory.names.get(name).and_then(|named| directory.slot(named.id).cloned())
    }

    fn summary(&self, name: &ChannelName, alias: bool, state: &SlotState) -> ChannelSummary {
        let (channel_state, reason) = self.state_of(state);
        let in_memory: usize = state.epochs().map(|data| data.memory_bytes()).sum();
        ChannelSummary {
            name: name.clone(),
            alias_of: alias.then(|| state.name.clone()),
            value_type: state.value_type,
            first: state.oldest,
            last: state.newest.map(|n| n.time),
            samples: state.samples(),
            bytes: state.flushed_bytes + in_memory as u64,
            connected: self.running().then(|| state.connection.host.is_some()),
            state: channel_state,
            reason,
            origin: state.origin.to_string(),
        }
    }

    /// The state of a channel as lists show it, and why in words.
    pub fn state_of(&self, state: &SlotState) -> (ChannelState, String) {
        let server = |host: &Option<Arc<str>>| host.as_deref().unwrap_or("its server").to_string();
        match state.archiving.0 {
            Archiving::Retired => (ChannelState::Retired, "no longer in the configuration".into()),
            Archiving::Paused => (ChannelState::Paused, "paused by an operator".into()),
            Archiving::Idle | Archiving::Started => {
                if !self.running() {
                    return (ChannelState::Disconnected, "no engine is running on this archive".into());
                }
                if state.connection.host.is_none() {
                    if state.connection.last_host.is_none() && state.first_sample.is_none() {
                        return (
                            ChannelState::NeverConnected,
                            "no server has ever answered for this name".into(),
                        );
                    }
                    let lost = format!("connection to {} lost", server(&state.connection.last_host));
                    let waiting = "not found since the engine started".to_string();
                    let reason = if state.connection.last_host.is_some() { lost } else { waiting };
                    return (ChannelState::Disconnected, reason);
                }
                let quiet_since = state.heard.or(state.connection.since);
                if quiet_since.is_some_and(|t| self.shared.clock.now().since(t) > SILENT_NS) {
                    return (ChannelState::Silent, "connected, but no sample for a day".into());
                }
                if let Some(elements) = state.connection.refused_elements {
                    let reason = format!("array of {elements} elements is longer than max_elements");
                    return (ChannelState::Connected, reason);
                }
                if state.connection.no_read_access {
                    return (ChannelState::Connected, "the server does not let it be read".into());
                }
                (ChannelState::Connected, format!("connected to {}", server(&state.connection.host)))
            }
        }
    }

    fn verdict(&self, state: &SlotState) -> Verdict {
        match self.state_of(state).0 {
            ChannelState::Retired => return Verdict::Retired,
            ChannelState::Paused => return Verdict::Paused,
            _ => {}
        }
        if state.archiving.0 == Archiving::Idle && state.first_sample.is_none() {
            return Verdict::NotRequested;
        }
        if self.shared.refusing.load(Ordering::Relaxed) {
            return Verdict::DiskFull;
        }
        match self.state_of(state).0 {
            ChannelState::NeverConnected => return Verdict::NeverConnected,
            ChannelState::Disconnected => return Verdict::Disconnected,
            _ => {}
        }
        if state.connection.no_read_access {
            return Verdict::NoReadAccess;
        }
        if state.connection.two_servers.is_some() {
            return Verdict::TwoServers;
        }
        let now = self.shared.clock.now();
        let recent = state.dropping.iter().any(|run| now.since(run.noticed) < DROPPING_NS);
        if recent || state.connection.refused_elements.is_some() {
            return Verdict::Dropping;
        }
        if self.state_of(state).0 == ChannelState::Silent {
            return Verdict::Silent;
        }
        Verdict::Archived
    }

    fn evidence(&self, state: &SlotState) -> Vec<(Cow<'static, str>, Evidence)> {
        let mut evidence = vec![("name".into(), Evidence::Text(state.name.to_string()))];
        let mut text = |key: &'static str, value: &str| {
            if !value.is_empty() {
                evidence.push((key.into(), Evidence::Text(value.into())));
            }
        };
        text("reason", &self.state_of(state).1);
        text("origin", &state.origin);
        text("host", state.connection.host.as_deref().unwrap_or(""));
        text("last_host", state.connection.last_host.as_deref().unwrap_or(""));
        text("two_servers", state.connection.two_servers.as_deref().unwrap_or(""));
        let mut time = |key: &'static str, value: Option<Timestamp>| {
            if let Some(value) = value {
                evidence.push((key.into(), Evidence::Time(value)));
            }
        };
        time("since", state.connection.since);
        time("last_sample", state.newest.map(|n| n.time));
        time("last_heard", state.heard);
        #[expect(clippy::cast_precision_loss, reason = "counts are shown, not computed with")]
        let mut number =
            |key: &'static str, value: u64| evidence.push((key.into(), Evidence::Number(value as f64)));
        number("received", state.ledger.received);
        number("stored", state.ledger.stored);
        number("redelivered", state.ledger.redelivered);
        number("dropped", state.ledger.dropped_total());
        if let Some(elements) = state.connection.refused_elements {
            number("refused_elements", elements);
        }
        evidence.push(("readable".into(), Evidence::Flag(!state.connection.no_read_access)));
        evidence
    }
}

impl Archive for LiveArchive {
    fn info(&self) -> ArchiveInfo {
        let identity = &self.shared.identity;
        ArchiveInfo {
            id: identity.id.to_string(),
            path: self.shared.layout.root().display().to_string(),
            created: identity.created,
            format: format!("{}.{}", identity.version.0, identity.version.1),
        }
    }

    fn resolve(&self, name: &str) -> Result<Option<ChannelName>, ReadError> {
        Ok(self.find(name).map(|slot| slot.lock().name.clone()))
    }

    fn near(&self, name: &str, most: usize) -> Vec<String> {
        self.shared.directory().names.near(name, most)
    }

    fn channels(&self, filter: &ChannelFilter<'_>) -> Result<Vec<ChannelSummary>, ReadError> {
        let directory = self.shared.directory();
        let limit = if filter.limit == 0 { usize::MAX } else { filter.limit };
        let rows = directory
            .names
            .after(filter.after)
            .filter(|(name, _)| (filter.matches)(name.as_str()))
            .filter_map(|(name, named)| {
                let state = directory.slot(named.id)?.lock();
                let summary = self.summary(name, named.alias, &state);
                filter.state.is_none_or(|wanted| wanted == summary.state).then_some(summary)
            });
        Ok(rows.take(limit).collect())
    }

    fn channel(&self, name: &ChannelName, time: Timestamp) -> Result<Option<ChannelDetail>, ReadError> {
        let Some(slot) = self.find(name.as_str()) else { return Ok(None) };
        let types = snapshot::types(&self.shared, &slot)?;
        let metadata = snapshot::metadata_at(&self.shared, &slot, time)?;
        let state = slot.lock();
        let rates = state.rates.per_second(self.shared.clock.now(), state.ledger.stored, state.stored_bytes);
        let live = self.running().then(|| Live {
            connected: state.connection.host.is_some(),
            host: state.connection.last_host.as_ref().map(|host| host.to_string()),
            since: state.connection.since,
            ledger: state.ledger,
            samples_per_s: rates.0,
            bytes_per_s: rates.1,
        });
        Ok(Some(ChannelDetail {
            summary: self.summary(&state.name.clone(), false, &state),
            types,
            metadata,
            live,
            retention: state.retention.to_string(),
        }))
    }

    fn why(&self, name: &str) -> Result<Why, ReadError> {
        let Some(slot) = self.find(name) else {
            return Ok(Why { verdict: Verdict::NotRequested, evidence: Vec::new() });
        };
        let state = slot.lock();
        Ok(Why { verdict: self.verdict(&state), evidence: self.evidence(&state) })
    }

    fn snapshot(&self, name: &ChannelName, range: TimeRange) -> Result<Option<Snapshot>, ReadError> {
        let Some(slot) = self.find(name.as_str()) else { return Ok(None) };
        debug_assert_ne!(slot.id, ChannelId::ARCHIVE);
        snapshot::of(&self.shared, &slot, range).map(Some)
    }

    fn damage(&self) -> Option<MetDamage> {
        self.shared.view().damage.met()
    }

    fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }
}

impl TailSource for LiveArchive {
    fn tail(&self, name: &ChannelName, _range: TimeRange) -> Result<Option<Tail>, ReadError> {
        Ok(self.find(name.as_str()).map(|slot| Tail::of(&self.shared, &slot).1))
    }
}
