//! An archive that another process answers for: an engine, or a server with several.

use super::Question;
use super::caller::Caller;
use super::facts::{ROW_BYTES, detail, info, row, why};
use super::remote_run::RemoteRun;
use super::remote_tables::RemoteTables;
use super::snapshots::{Arrived, ArrivedRun, arrived};
use super::wire::{flag, list, name, option, put_name, put_option, put_range, put_tag, put_time};
use disk::{Cursor, put_str, put_u32};
use engine::clock::Clock;
use engine::read::{
    Archive, ArchiveInfo, ChannelDetail, ChannelFilter, ChannelState, ChannelSummary, ReadError, Run,
    Snapshot, Why,
};
use engine::{Tail, TailSource};
use sample::{ChannelName, TimeRange, Timestamp};
use std::sync::{Arc, Mutex, PoisonError};

/// The archives of another process as one.
pub struct RemoteArchive {
    caller: Arc<Caller>,
    clock: Arc<dyn Clock>,
    info: Mutex<Option<ArchiveInfo>>,
}

impl RemoteArchive {
    /// At `address`, for example `http://arch07:17669`. Nothing is asked yet; while nobody answers there,
    /// every call fails with [`ReadError::Unavailable`], and works as soon as somebody does.
    pub fn new(address: &str, clock: Arc<dyn Clock>) -> RemoteArchive {
        RemoteArchive { caller: Arc::new(Caller::new(address)), clock, info: Mutex::default() }
    }

    fn runs(&self, handle: u64, runs: Vec<ArrivedRun>) -> Vec<Arc<dyn Run>> {
        let run = |(i, run): (u32, ArrivedRun)| {
            Arc::new(RemoteRun::new(self.caller.clone(), handle, i, run)) as Arc<dyn Run>
        };
        (0..).zip(runs).map(run).collect()
    }

    fn snapshot_of(&self, arrived: Arrived) -> Snapshot {
        let runs = self.runs(arrived.handle, arrived.runs);
        let tables = RemoteTables {
            caller: self.caller.clone(),
            handle: arrived.handle,
            runs: u32::try_from(runs.len()).unwrap_or(u32::MAX),
        };
        Snapshot {
            rows: Vec::new(),
            name: arrived.name,
            kept_runs: runs.len(),
            runs,
            tables: Some(Arc::new(tables)),
            events: arrived.events,
            metadata: arrived.metadata,
            first_sample: arrived.first_sample,
            knowledge_ends: arrived.knowledge_ends,
            running: arrived.running,
            durable_until: arrived.durable_until,
            problems: arrived.problems,
        }
    }
}

fn request(name: &ChannelName, range: TimeRange) -> Vec<u8> {
    let mut request = Vec::new();
    put_name(&mut request, name);
    put_range(&mut request, range);
    request
}

impl Archive for RemoteArchive {
    /// Of a server with several archives only the address.
    fn info(&self) -> ArchiveInfo {
        let mut known = self.info.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none() {
            let infos = self.caller.ask(Question::Hello, &[], |from| list(from, 11, info));
            *known = infos.ok().filter(|infos| infos.len() == 1).and_then(|mut infos| infos.pop());
        }
        let path = self.caller.address().to_string();
        match &*known {
            Some(info) => ArchiveInfo { path, ..info.clone() },
            None => ArchiveInfo { id: String::new(), path, created: Timestamp(0), format: String::new() },
        }
    }

    fn resolve(&self, text: &str) -> Result<Option<ChannelName>, ReadError> {
        let mut request = Vec::new();
        put_str(&mut request, text);
        self.caller.ask(Question::Resolve, &request, |from| option(from, name))
    }

    fn near(&self, name: &str, most: usize) -> Vec<String> {
        let mut request = Vec::new();
        put_str(&mut request, name);
        put_u32(&mut request, u32::try_from(most).unwrap_or(u32::MAX));
        let read = |from: &mut Cursor<'_>| list(from, 1, |from| from.counted_str().map(String::from));
        self.caller.ask(Question::Near, &request, read).unwrap_or_default()
    }

    fn channels(&self, filter: &ChannelFilter<'_>) -> Result<Vec<ChannelSummary>, ReadError> {
        let limit = if filter.limit == 0 { usize::MAX } else { filter.limit };
        let mut found: Vec<ChannelSummary> = Vec::new();
        let mut after = filter.after.map(String::from);
        loop {
            let mut request = Vec::new();
            put_option(&mut request, filter.state, |out, state| put_tag(out, &ChannelState::ALL, state));
            put_option(&mut request, after.as_deref(), put_str);
            let (more, rows) = self
                .caller
                .ask(Question::Channels, &request, |from| Ok((flag(from)?, list(from, ROW_BYTES, row)?)))?;
            let next = rows.last().map(|row| row.name.to_string());
            // Names rise, so that this ends whatever the other side says.
            let ended = !more || next.is_none() || next <= after;
            found.extend(rows.into_iter().filter(|row| (filter.matches)(row.name.as_str())));
            if ended || found.len() >= limit {
                found.truncate(limit);
                return Ok(found);
            }
            after = next;
        }
    }

    fn channel(&self, name: &ChannelName, time: Timestamp) -> Result<Option<ChannelDetail>, ReadError> {
        let mut request = Vec::new();
        put_name(&mut request, name);
        put_time(&mut request, time);
        self.caller.ask(Question::Channel, &request, |from| option(from, detail))
    }

    fn why(&self, name: &str) -> Result<Why, ReadError> {
        let mut request = Vec::new();
        put_str(&mut request, name);
        self.caller.ask(Question::Why, &request, why)
    }

    fn snapshot(&self, name: &ChannelName, range: TimeRange) -> Result<Option<Snapshot>, ReadError> {
        Ok(self.snapshots(name, range)?.into_iter().next())
    }

    fn snapshots(&self, name: &ChannelName, range: TimeRange) -> Result<Vec<Snapshot>, ReadError> {
        let read = |from: &mut Cursor<'_>| list(from, 64, arrived);
        let found = self.caller.ask(Question::Snapshot, &request(name, range), read)?;
        Ok(found.into_iter().map(|arrived| self.snapshot_of(arrived)).collect())
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl TailSource for RemoteArchive {
    fn tail(&self, name: &ChannelName, range: TimeRange) -> Result<Option<Tail>, ReadError> {
        let found = self.caller.ask(Question::Tail, &request(name, range), |from| option(from, arrived))?;
        let Some(found) = found else { return Ok(None) };
        let Some(facts) = found.tail else {
            let what = format!("the answer of {} to tail names no manifest", self.caller.address());
            return Err(ReadError::Unavailable(what));
        };
        Ok(Some(Tail {
            archive: facts.archive,
            generation: facts.generation,
            channel: facts.channel,
            runs: self.runs(found.handle, found.runs),
            name: found.name,
            events: found.events,
            archive_events: found.archive_events,
            metadata: found.metadata,
            first_sample: found.first_sample,
            knowledge_ends: found.knowledge_ends,
            durable_until: found.durable_until,
            running: found.running,
        }))
    }
}
