//! Snapshots of a channel with their runs, as bytes between processes.

use super::facts::{Changes, metadata, put_metadata};
use super::wire::{
    PART_BYTES, Read, flag, list, name, option, part, put_list, put_name, put_option, put_part, put_range,
    put_tag, put_time, range, tag, time,
};
use disk::{BytesError, Cursor, FormatError, put_bytes, put_str, put_u8, put_u64, put_u128, put_varint};
use engine::Tail;
use engine::identity::ArchiveId;
use engine::read::{
    FirstSample, Kept, Part, Position, Problem, ProblemCode, ReadError, Run, RunVersion, Snapshot,
};
use sample::{ChannelId, ChannelName, Event, Kind, RunType, SampleBlock, TimeRange, Timestamp, ValueType};
use std::path::PathBuf;
use std::sync::Arc;

/// Memory of samples that come along with a tail; the rest is asked for.
const INLINE_BYTES_MAX: usize = 4 << 20;
/// Parts that are listed with one snapshot; runs whose parts are not are asked for them.
const PARTS_LISTED_MAX: usize = 4096;

/// What only a tail says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TailFacts {
    pub(super) archive: ArchiveId,
    pub(super) generation: u64,
    pub(super) channel: ChannelId,
}

/// A snapshot or a tail as it arrived.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) tail: Option<TailFacts>,
    pub(super) name: ChannelName,
    pub(super) events: Vec<Event>,
    pub(super) archive_events: Vec<Event>,
    pub(super) metadata: Changes,
    pub(super) first_sample: Option<FirstSample>,
    pub(super) knowledge_ends: Timestamp,
    pub(super) durable_until: Timestamp,
    pub(super) running: bool,
    pub(super) problems: Vec<Problem>,
    /// What to call the snapshot when more of it is asked for.
    pub(super) handle: u64,
    pub(super) runs: Vec<ArrivedRun>,
}

/// One run of it.
#[derive(Debug)]
pub(super) struct ArrivedRun {
    pub(super) span: (Timestamp, Timestamp),
    /// Its version for the range that was asked for.
    pub(super) version: Option<RunVersion>,
    /// The range whose parts are listed.
    pub(super) listed: TimeRange,
    /// Parts, perhaps with their samples.
    pub(super) parts: Vec<(Part, Option<Arc<[u8]>>)>,
}

/// Least bytes of a run.
const RUN_BYTES: usize = 34;

/// Writes what memory holds of a channel that matters for `range`, with its samples. If they are too many,
/// `hold` keeps the runs and says under which handle.
pub(super) fn put_tail(
    out: &mut Vec<u8>,
    tail: &Tail,
    range: TimeRange,
    hold: impl FnOnce() -> u64,
) -> Result<(), ReadError> {
    put_option(out, Some(tail), |out, tail| {
        put_u128(out, tail.archive.0);
        put_u64(out, tail.generation);
        put_u64(out, tail.channel.0);
    });
    put_name(out, &tail.name);
    put_events(out, &tail.events)?;
    put_events(out, &tail.archive_events)?;
    put_metadata(out, &tail.metadata);
    put_option(out, tail.first_sample, put_first_sample);
    put_time(out, tail.knowledge_ends);
    put_time(out, tail.durable_until);
    put_u8(out, u8::from(tail.running));
    put_list(out, &[], put_problem);
    let mut runs = Vec::new();
    let mut room = INLINE_BYTES_MAX;
    for run in &tail.runs {
        put_whole_run(&mut runs, &**run, range, &mut room)?;
    }
    put_u64(out, if room == 0 { hold() } else { 0 });
    put_varint(out, tail.runs.len() as u64);
    out.extend_from_slice(&runs);
    Ok(())
}

fn put_first_sample(out: &mut Vec<u8>, first: FirstSample) {
    put_time(out, first.time);
    put_option(out, first.sequence, put_u64);
}

fn first_sample(from: &mut Cursor<'_>) -> Read<FirstSample> {
    Ok(FirstSample { time: time(from)?, sequence: option(from, |from| from.u64())? })
}

/// Writes a snapshot for `range` without samples.
pub(super) fn put_snapshot(
    out: &mut Vec<u8>,
    snapshot: &Snapshot,
    handle: u64,
    range: TimeRange,
) -> Result<(), ReadError> {
    put_option(out, None::<()>, |_, ()| {});
    put_name(out, &snapshot.name);
    put_events(out, &snapshot.events)?;
    put_events(out, &[])?;
    put_metadata(out, &snapshot.metadata);
    put_option(out, snapshot.first_sample, put_first_sample);
    put_time(out, snapshot.knowledge_ends);
    put_time(out, snapshot.durable_until);
    put_u8(out, u8::from(snapshot.running));
    put_list(out, &snapshot.problems, put_problem);
    put_u64(out, handle);
    put_varint(out, snapshot.runs.len() as u64);
    let mut room = PARTS_LISTED_MAX;
    for run in &snapshot.runs {
        // Damage is told when the parts are asked for in their turn.
        let parts = run.parts(range).ok().filter(|parts| parts.len() <= room);
        let listed = if parts.is_some() { range } else { NOTHING };
        let parts: Vec<_> = parts.unwrap_or_default().into_iter().map(|part| (part, None)).collect();
        room -= parts.len();
        put_run(out, run.span(), run.version(range), listed, &parts);
    }
    Ok(())
}

/// Writes runs behind the range of a snapshot; their parts are asked for.
pub(super) fn put_behind(out: &mut Vec<u8>, runs: &[Arc<dyn Run>]) {
    put_list(out, runs, |out, run| put_run(out, run.span(), None, NOTHING, &[]));
}

/// Reads what [`put_behind`] wrote.
pub(super) fn behind(from: &mut Cursor<'_>) -> Read<Vec<ArrivedRun>> {
    list(from, RUN_BYTES, arrived_run)
}

/// Where samples are kept, by tag.
const KEPT: [Kept; 3] = [Kept::Memory, Kept::Table, Kept::Sealed];

/// An empty range.
pub(super) const NOTHING: TimeRange = TimeRange { from: Timestamp(0), to: Timestamp(0) };

fn put_run(
    out: &mut Vec<u8>,
    span: (Timestamp, Timestamp),
    version: Option<RunVersion>,
    listed: TimeRange,
    parts: &[(Part, Option<Vec<u8>>)],
) {
    put_time(out, span.0);
    put_time(out, span.1);
    put_option(out, version, |out, version| {
        put_u64(out, version.state);
        put_tag(out, &KEPT, version.kept);
    });
    put_range(out, listed);
    put_list(out, parts, |out, (part, samples)| {
        put_part(out, part);
        put_option(out, samples.as_deref(), put_bytes);
    });
}

/// A run of memory cut down to what matters for `range`: the last sample before it, those of the closed
/// range, the first behind it.
fn put_whole_run(
    out: &mut Vec<u8>,
    run: &dyn Run,
    range: TimeRange,
    room: &mut usize,
) -> Result<(), ReadError> {
    let all = run.parts(TimeRange::ALL)?;
    let begin = all.partition_point(|part| part.last.time < range.from.0).saturating_sub(1);
    let end = (all.partition_point(|part| part.first.time <= range.to.0) + 1).min(all.len());
    let mut parts = Vec::new();
    for part in &all[begin..end.max(begin)] {
        if *room == 0 {
            parts.push((*part, None));
            continue;
        }
        let block = run.load(part, TimeRange::ALL)?;
        let from = block.time.partition_point(|t| *t < range.from.0).saturating_sub(1);
        let to = (block.time.partition_point(|t| *t <= range.to.0) + 1).min(block.len());
        if from >= to {
            continue;
        }
        let block = if (from, to) == (0, block.len()) { block } else { block.slice(from, to) };
        *room = room.saturating_sub(block.memory_bytes());
        let mut samples = Vec::new();
        put_block(&mut samples, &block)?;
        let position = |i: usize| {
            let (time, rank) = block.position(i);
            Position { time, rank }
        };
        let part = Part {
            first: position(0),
            last: position(block.len() - 1),
            count: u32::try_from(block.len()).unwrap_or(u32::MAX),
            token: part.token,
        };
        parts.push((part, Some(samples)));
    }
    put_run(out, run.span(), run.version(range), TimeRange::ALL, &parts);
    Ok(())
}

fn put_events(out: &mut Vec<u8>, events: &[Event]) -> Result<(), ReadError> {
    let bytes = sstable::encode_events(events).map_err(|error| unsendable(&error))?;
    put_bytes(out, &bytes);
    Ok(())
}

fn unsendable(error: &FormatError) -> ReadError {
    ReadError::Unavailable(format!("it cannot be sent: {error}"))
}

/// Writes samples as chunks.
pub(super) fn put_block(out: &mut Vec<u8>, block: &SampleBlock) -> Result<(), ReadError> {
    let pieces = if block.is_empty() { Vec::new() } else { sstable::split(block) };
    put_varint(out, pieces.len() as u64);
    for piece in pieces {
        let whole = piece == (0..block.len());
        let part = (!whole).then(|| block.slice(piece.start, piece.end));
        let chunk = sstable::encode(
            ChannelId::ARCHIVE,
            part.as_ref().unwrap_or(block),
            false,
            None,
            sstable::Profile::Hot,
        );
        put_bytes(out, &chunk.map_err(|error| unsendable(&error))?);
    }
    Ok(())
}

/// Reads what [`put_block`] wrote: samples of one type in strictly increasing order.
pub(super) fn block(from: &mut Cursor<'_>) -> Read<SampleBlock> {
    let mut whole: Option<SampleBlock> = None;
    for _ in 0..from.count(1)? {
        let piece = sstable::decode(from.counted_bytes()?)?;
        match &mut whole {
            None => whole = Some(piece),
            Some(whole) if whole.run == piece.run => whole.append(&piece, 0, piece.len()),
            Some(_) => return Err(from.error("samples of one part have two types")),
        }
    }
    let block = whole.unwrap_or_else(|| SampleBlock::new(RunType::plain(ValueType::scalar(Kind::Bool))));
    if (1..block.len()).any(|i| block.position(i - 1) >= block.position(i)) {
        return Err(from.error("samples are not in order"));
    }
    Ok(block)
}

fn put_problem(out: &mut Vec<u8>, problem: &Problem) {
    put_tag(out, &ProblemCode::ALL, problem.code);
    put_range(out, problem.range);
    put_option(out, problem.file.as_ref(), |out, file| put_str(out, &file.to_string_lossy()));
    put_str(out, &problem.message);
}

fn problem(from: &mut Cursor<'_>) -> Read<Problem> {
    Ok(Problem {
        code: tag(from, &ProblemCode::ALL)?,
        range: range(from)?,
        file: option(from, |from| from.counted_str().map(PathBuf::from))?,
        message: from.counted_str()?.into(),
    })
}

/// Reads what [`put_tail`] or [`put_snapshot`] wrote.
pub(super) fn arrived(from: &mut Cursor<'_>) -> Read<Arrived> {
    let events = |from: &mut Cursor<'_>| sstable::decode_events(from.counted_bytes()?);
    Ok(Arrived {
        tail: option(from, |from| {
            Ok(TailFacts {
                archive: ArchiveId(from.u128()?),
                generation: from.u64()?,
                channel: ChannelId(from.u64()?),
            })
        })?,
        name: name(from)?,
        events: events(from)?,
        archive_events: events(from)?,
        metadata: metadata(from)?,
        first_sample: option(from, first_sample)?,
        knowledge_ends: time(from)?,
        durable_until: time(from)?,
        running: flag(from)?,
        problems: list(from, 18, problem)?,
        handle: from.u64()?,
        runs: list(from, RUN_BYTES, arrived_run)?,
    })
}

fn arrived_run(from: &mut Cursor<'_>) -> Read<ArrivedRun> {
    let span = (time(from)?, time(from)?);
    let version = option(from, |from| Ok(RunVersion { state: from.u64()?, kept: tag(from, &KEPT)? }))?;
    let listed = range(from)?;
    let parts = list(from, PART_BYTES + 1, |from| {
        let part = part(from)?;
        Ok((part, option(from, |from| from.counted_bytes().map(Arc::from))?))
    })?;
    let ordered = parts.windows(2).all(|pair| pair[0].0.first <= pair[1].0.first);
    if !ordered {
        return Err(BytesError { position: from.position(), what: "parts are not in order" });
    }
    Ok(ArrivedRun { span, version, listed, parts })
}
