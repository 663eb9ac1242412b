//! Answers what other processes ask.

use super::Question;
use super::facts::{put_detail, put_info, put_row, put_why};
use super::held::Snapshots;
use super::snapshots::{put_behind, put_block, put_snapshot, put_tail};
use super::wire::{
    PART_BYTES, Read, list, name, option, part, put_error, put_list, put_name, put_option, put_part,
    put_time, put_type, range, tag, time,
};
use disk::{Cursor, put_bytes, put_str, put_u8, put_varint};
use engine::read::{ArchiveInfo, ChannelFilter, ChannelState, Part, Problem, ReadError, Reader, Run};
use engine::{LiveArchive, TailSource};
use sample::{ChannelName, TimeRange, Timestamp};
use std::sync::Arc;

/// First byte of an answer.
pub(super) const ANSWERED: u8 = 1;
/// First byte of a failure.
pub(super) const FAILED: u8 = 2;
/// Rows of one answer; the next ones are asked for behind the last.
pub(super) const ROWS_MAX: usize = 5000;
/// Bytes of samples at which an answer ends, one part at least.
const LOADED_BYTES_MAX: usize = 4 << 20;
/// Runs behind a snapshot's range of one answer.
const BEHIND_MAX: usize = 8;
/// Near names of one answer.
const NEAR_MAX: usize = 100;

/// One process's archives as others read them.
pub(super) struct Service {
    reader: Reader,
    live: Option<LiveArchive>,
    snapshots: Snapshots,
}

impl Service {
    /// Over `reader`; `live` is the engine's archive where one runs here.
    pub(super) fn new(reader: Reader, live: Option<LiveArchive>) -> Service {
        Service { reader, live, snapshots: Snapshots::new() }
    }

    /// The whole answer to a request; `Err` says what is malformed in it.
    pub(super) fn answer(&self, question: Question, request: &[u8]) -> Read<Vec<u8>> {
        let mut from = Cursor::new(request);
        let mut out = vec![ANSWERED];
        let answered = match question {
            Question::Hello => self.hello(&mut out),
            Question::Resolve => self.resolve(&mut out, from.counted_str()?),
            Question::Near => {
                let (name, most) = (from.counted_str()?, from.u32()?);
                self.near(&mut out, name, most)
            }
            Question::Channels => {
                let state = option(&mut from, |from| tag(from, &ChannelState::ALL))?;
                let after = option(&mut from, Cursor::counted_str)?;
                self.channels(&mut out, state, after)
            }
            Question::Channel => {
                let (name, time) = (name(&mut from)?, time(&mut from)?);
                self.channel(&mut out, &name, time)
            }
            Question::Why => self.reader.why(from.counted_str()?).map(|why| put_why(&mut out, &why)),
            Question::Snapshot => {
                let (name, range) = (name(&mut from)?, range(&mut from)?);
                self.snapshot(&mut out, &name, range)
            }
            Question::Tail => {
                let (name, range) = (name(&mut from)?, range(&mut from)?);
                self.tail(&mut out, &name, range)
            }
            Question::Parts => {
                let (handle, run, range) = (from.u64()?, from.u32()?, range(&mut from)?);
                self.run(handle, run).and_then(|run| run.parts(range)).map(|parts| {
                    put_list(&mut out, &parts, put_part);
                })
            }
            Question::Behind => {
                let (handle, run) = (from.u64()?, from.u32()?);
                self.behind(&mut out, handle, run)
            }
            Question::Load => {
                let (handle, run) = (from.u64()?, from.u32()?);
                let parts = list(&mut from, PART_BYTES, part)?;
                self.load(&mut out, handle, run, &parts)
            }
            Question::Types => {
                let (handle, run) = (from.u64()?, from.u32()?);
                self.run(handle, run).and_then(|run| run.types()).map(|types| {
                    put_list(&mut out, &types, |out, (time, value_type)| {
                        put_time(out, *time);
                        put_type(out, *value_type);
                    });
                })
            }
        };
        if let Err(error) = answered {
            out = vec![FAILED];
            put_error(&mut out, &error);
        }
        Ok(out)
    }

    fn hello(&self, out: &mut Vec<u8>) -> Result<(), ReadError> {
        let infos: Vec<ArchiveInfo> = self.reader.members().iter().map(|m| m.archive.info()).collect();
        put_list(out, &infos, put_info);
        Ok(())
    }

    fn resolve(&self, out: &mut Vec<u8>, name: &str) -> Result<(), ReadError> {
        put_option(out, self.reader.resolve(name)?.as_ref(), put_name);
        Ok(())
    }

    fn near(&self, out: &mut Vec<u8>, name: &str, most: u32) -> Result<(), ReadError> {
        let mut near = self.reader.near(name);
        near.truncate(usize::try_from(most).unwrap_or(NEAR_MAX).min(NEAR_MAX));
        put_list(out, &near, |out, name| put_str(out, name));
        Ok(())
    }

    fn channels(
        &self,
        out: &mut Vec<u8>,
        state: Option<ChannelState>,
        after: Option<&str>,
    ) -> Result<(), ReadError> {
        let filter = ChannelFilter { matches: &|_| true, state, after, limit: ROWS_MAX };
        let rows = self.reader.channels(&filter)?;
        put_u8(out, u8::from(rows.len() == ROWS_MAX));
        put_list(out, &rows, put_row);
        Ok(())
    }

    fn channel(&self, out: &mut Vec<u8>, name: &ChannelName, time: Timestamp) -> Result<(), ReadError> {
        put_option(out, self.reader.channel(name, time)?.as_ref(), put_detail);
        Ok(())
    }

    /// The channel in every archive that knows it; one that cannot be read is a problem of the first.
    fn snapshot(&self, out: &mut Vec<u8>, name: &ChannelName, range: TimeRange) -> Result<(), ReadError> {
        let (mut found, mut problems, mut failure) = (Vec::new(), Vec::new(), None);
        for member in self.reader.members() {
            match member.archive.snapshots(name, range) {
                Ok(snapshots) => found.extend(snapshots),
                Err(error) => {
                    let mut problem = Problem::of(&error, range);
                    problem.message = format!("archive {}: {}", member.name, problem.message);
                    problems.push(problem);
                    failure = Some(error);
                }
            }
        }
        match (found.first_mut(), failure) {
            (None, Some(error)) => return Err(error),
            (Some(first), _) => first.problems.append(&mut problems),
            (None, None) => {}
        }
        put_varint(out, found.len() as u64);
        for snapshot in &found {
            let handle = self.snapshots.hold(snapshot.runs.clone(), snapshot.tables.clone());
            put_snapshot(out, snapshot, handle, range)?;
        }
        Ok(())
    }

    fn tail(&self, out: &mut Vec<u8>, name: &ChannelName, range: TimeRange) -> Result<(), ReadError> {
        let Some(live) = &self.live else {
            return Err(ReadError::Unavailable("this is no engine: it has no memory of its own".into()));
        };
        let tail = live.tail(name, range)?;
        put_u8(out, u8::from(tail.is_some()));
        match tail {
            Some(tail) => put_tail(out, &tail, range, || self.snapshots.hold(tail.runs.clone(), None)),
            None => Ok(()),
        }
    }

    fn run(&self, handle: u64, run: u32) -> Result<Arc<dyn Run>, ReadError> {
        self.snapshots.run(handle, run).ok_or_else(|| gone(handle))
    }

    fn behind(&self, out: &mut Vec<u8>, handle: u64, run: u32) -> Result<(), ReadError> {
        let found = self.snapshots.behind(handle, run, BEHIND_MAX).ok_or_else(|| gone(handle))??;
        put_behind(out, &found);
        Ok(())
    }

    /// As many of `parts` as fit, the first at least; damage of a later one is told when it is asked for first.
    fn load(&self, out: &mut Vec<u8>, handle: u64, run: u32, parts: &[Part]) -> Result<(), ReadError> {
        let run = self.run(handle, run)?;
        for (i, part) in parts.iter().enumerate() {
            let mut samples = Vec::new();
            let loaded = run.load(part, TimeRange::ALL).and_then(|block| put_block(&mut samples, &block));
            match loaded {
                Ok(()) => put_bytes(out, &samples),
                Err(error) if i == 0 => return Err(error),
                Err(_) => break,
            }
            if out.len() >= LOADED_BYTES_MAX {
                break;
            }
        }
        Ok(())
    }
}

/// A snapshot is held no more: whoever asked plans anew, as when a file was replaced.
fn gone(handle: u64) -> ReadError {
    ReadError::Vanished(format!("snapshot {handle}").into())
}
