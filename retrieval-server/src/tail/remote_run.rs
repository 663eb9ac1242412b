//! Runs of another process: parts listed at once, samples fetched some parts ahead.

use super::Question;
use super::caller::Caller;
use super::snapshots::{self, ArrivedRun};
use super::wire::{PART_BYTES, list, part, put_list, put_part, put_range, time, value_type};
use disk::{Cursor, put_u32, put_u64};
use engine::read::{Part, ReadError, Run, RunVersion};
use sample::{SampleBlock, TimeRange, Timestamp, ValueType};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Parts that are asked for at once when a run is read through.
const AHEAD: usize = 32;

/// One run of a snapshot that another process holds.
pub(super) struct RemoteRun {
    caller: Arc<Caller>,
    handle: u64,
    run: u32,
    span: (Timestamp, Timestamp),
    version: Option<RunVersion>,
    /// Samples that came with the snapshot.
    inline: HashMap<u64, Arc<[u8]>>,
    progress: Mutex<Progress>,
}

struct Progress {
    /// The parts of `listed`.
    parts: Vec<Part>,
    listed: TimeRange,
    /// Place of the part that was loaded last.
    last: Option<usize>,
    /// Samples that came ahead of their turn.
    ahead: HashMap<u64, Vec<u8>>,
}

impl Progress {
    /// Nothing loaded yet of `parts`, which are those of `listed`.
    fn new(parts: Vec<Part>, listed: TimeRange) -> Progress {
        Progress { parts, listed, last: None, ahead: HashMap::new() }
    }
}

impl RemoteRun {
    /// Run number `run` of snapshot `handle`.
    pub(super) fn new(caller: Arc<Caller>, handle: u64, run: u32, arrived: ArrivedRun) -> RemoteRun {
        let ArrivedRun { span, version, listed, parts } = arrived;
        let inline = parts.iter().filter_map(|(part, samples)| Some((part.token, samples.clone()?)));
        RemoteRun {
            caller,
            handle,
            run,
            span,
            version,
            inline: inline.collect(),
            progress: Mutex::new(Progress::new(parts.iter().map(|(part, _)| *part).collect(), listed)),
        }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn request(&self) -> Vec<u8> {
        let mut request = Vec::new();
        put_u64(&mut request, self.handle);
        put_u32(&mut request, self.run);
        request
    }

    /// The part and those that are read behind it, if a direction shows.
    fn wanted(&self, part: &Part) -> Vec<Part> {
        let mut progress = self.progress();
        let Some(at) = progress.parts.iter().position(|known| known.token == part.token) else {
            return vec![*part];
        };
        let last = progress.last.replace(at);
        let wanted: Vec<Part> = match last {
            Some(last) if last + 1 == at => progress.parts[at..].iter().take(AHEAD).copied().collect(),
            Some(last) if last == at + 1 => progress.parts[..=at].iter().rev().take(AHEAD).copied().collect(),
            _ => vec![*part],
        };
        wanted.into_iter().filter(|part| !self.inline.contains_key(&part.token)).collect()
    }

    fn fetch(&self, part: &Part) -> Result<SampleBlock, ReadError> {
        let ready = self.progress().ahead.remove(&part.token);
        if let Some(samples) = ready {
            let mut progress = self.progress();
            progress.last = progress.parts.iter().position(|known| known.token == part.token);
            drop(progress);
            return self.decode(&samples);
        }
        let wanted = self.wanted(part);
        let mut request = self.request();
        put_list(&mut request, &wanted, put_part);
        let mut loaded = self.caller.ask(Question::Load, &request, |from| {
            let mut loaded: Vec<Vec<u8>> = Vec::new();
            while !from.is_empty() && loaded.len() < wanted.len() {
                loaded.push(from.counted_bytes()?.to_vec());
            }
            if loaded.is_empty() { Err(from.error("samples are missing")) } else { Ok(loaded) }
        })?;
        let first = loaded.remove(0);
        self.progress().ahead = wanted.iter().skip(1).map(|part| part.token).zip(loaded).collect();
        self.decode(&first)
    }

    fn decode(&self, samples: &[u8]) -> Result<SampleBlock, ReadError> {
        snapshots::block(&mut Cursor::new(samples)).map_err(|error| {
            ReadError::Unavailable(format!("samples from {} cannot be read: {error}", self.caller.address()))
        })
    }
}

impl Run for RemoteRun {
    fn span(&self) -> (Timestamp, Timestamp) {
        self.span
    }

    fn version(&self, _range: TimeRange) -> Option<RunVersion> {
        self.version
    }

    fn parts(&self, range: TimeRange) -> Result<Vec<Part>, ReadError> {
        let touching = |part: &&Part| range.touches(Timestamp(part.first.time), Timestamp(part.last.time));
        let mut progress = self.progress();
        let within = progress.listed.from <= range.from && range.to <= progress.listed.to;
        if !within {
            drop(progress);
            let mut request = self.request();
            put_range(&mut request, range);
            let read = |from: &mut Cursor<'_>| list(from, PART_BYTES, part);
            let parts = self.caller.ask(Question::Parts, &request, read)?;
            progress = self.progress();
            *progress = Progress::new(parts, range);
        }
        Ok(progress.parts.iter().filter(touching).copied().collect())
    }

    fn types(&self) -> Result<Vec<(Timestamp, ValueType)>, ReadError> {
        let read = |from: &mut Cursor<'_>| list(from, 10, |from| Ok((time(from)?, value_type(from)?)));
        self.caller.ask(Question::Types, &self.request(), read)
    }

    fn load(&self, part: &Part, range: TimeRange) -> Result<SampleBlock, ReadError> {
        let block = match self.inline.get(&part.token) {
            Some(samples) => self.decode(samples)?,
            None => self.fetch(part)?,
        };
        let inside = block.indices(range);
        Ok(if inside == (0..block.len()) { block } else { block.slice(inside.start, inside.end) })
    }
}
