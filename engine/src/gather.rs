//! Frozen memtable epochs, sorted into partitions and retention classes: what a flush writes.

use crate::limits::{CHUNK_SAMPLES_MAX, CHUNK_VALUE_BYTES_MAX};
use crate::memtable::{ChannelData, sorted_blocks};
use crate::read::FirstSample;
use crate::shared::Shared;
use crate::slot::{Archiving, Slot, SlotState};
use crate::writer::Frozen;
use sample::{
    ChannelId, ChannelName, Event, EventKind, Metadata, Sample, SampleBlock, TimeRange, Timestamp, Week,
};
use sstable::{CarryIn, ChannelRecord, DictionaryRow};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// One channel's part of one table.
#[derive(Debug, Default)]
pub(crate) struct ChannelPart {
    /// In-order (carried ones included) and late samples, by (time, rank); chunks never span a gap in order.
    pub(crate) blocks: Vec<(Arc<SampleBlock>, bool)>,
    /// Events by sequence.
    pub(crate) events: Vec<Event>,
    /// Metadata changes by time.
    pub(crate) metadata: Vec<(Timestamp, Arc<Metadata>)>,
    /// Names, class, settings.
    pub(crate) records: Vec<ChannelRecord>,
    /// What held when the week began, where the table opens it or overrides what did.
    /// It is large, and most parts have none.
    pub(crate) carry_in: Option<Box<CarryIn>>,
}

/// What a channel's dictionary row says beside its contents.
#[derive(Debug, Clone)]
pub(crate) struct ChannelFacts {
    pub(crate) name: ChannelName,
    pub(crate) archiving: (Archiving, Option<Timestamp>),
    pub(crate) metadata: Option<(Timestamp, Arc<Metadata>)>,
    pub(crate) first_sample: Option<FirstSample>,
    /// What tables said that a retention rule removes.
    pub(crate) known: Option<Box<DictionaryRow>>,
}

/// Everything that a flush writes.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// By week and retention class: channels by id.
    pub(crate) partitions: BTreeMap<(Week, Arc<str>), BTreeMap<ChannelId, ChannelPart>>,
    /// Facts of every channel that has a part.
    pub(crate) facts: HashMap<ChannelId, ChannelFacts>,
    /// Memtable bytes that the flush frees.
    pub(crate) memory: usize,
}

/// Takes what was frozen; nothing is removed from memory yet.
pub(crate) fn gather(shared: &Shared, frozen: Frozen) -> Gathered {
    let slots: Vec<Arc<Slot>> = shared.directory().slots.iter().flatten().cloned().collect();
    let now_week = Week::containing(frozen.at);
    let mut gathered = Gathered::default();
    for slot in slots {
        // Copies under the slot's lock, sorts outside: ingestion goes on meanwhile.
        let taken = {
            let mut state = slot.lock();
            take(&mut state, frozen.epoch)
        };
        let Some((class, facts, data)) = taken else { continue };
        for data in data {
            gathered.memory += data.bytes;
            place(&mut gathered.partitions, slot.id, &class, data, now_week);
        }
        gathered.facts.insert(slot.id, facts);
    }
    for parts in gathered.partitions.values_mut() {
        for part in parts.values_mut() {
            part.metadata.sort_by_key(|(time, _)| *time);
            part.events.sort_by_key(|event| event.sequence);
        }
    }
    gathered
}

/// One epoch of one channel; full chunks are shared with memory, not copied.
struct Epoch {
    bytes: usize,
    in_order: Vec<Arc<SampleBlock>>,
    late: Vec<Arc<SampleBlock>>,
    carried: Vec<Arc<SampleBlock>>,
    events: Vec<Event>,
    metadata: Vec<(Timestamp, Arc<Metadata>)>,
    records: Vec<ChannelRecord>,
}

impl Epoch {
    fn has_samples(&self) -> bool {
        !(self.in_order.is_empty() && self.late.is_empty() && self.carried.is_empty())
    }

    fn of(data: &ChannelData) -> Epoch {
        Epoch {
            bytes: data.accounted_bytes,
            in_order: data.blocks(),
            late: data.late_blocks(),
            carried: data.carried_blocks(),
            events: data.events().to_vec(),
            metadata: data.metadata().to_vec(),
            records: data.records().to_vec(),
        }
    }
}

type Taken = (Arc<str>, ChannelFacts, Vec<Epoch>);

fn take(state: &mut SlotState, epoch: u64) -> Option<Taken> {
    let data: Vec<Epoch> = state.epochs().filter(|d| d.epoch <= epoch).map(Epoch::of).collect();
    if data.is_empty() {
        return None;
    }
    // The row must say what held at the freeze, not what came since: that may be lost in a crash.
    let mut archiving = state.flushed_archiving;
    for event in data.iter().flat_map(|d| &d.events) {
        archiving = archiving_after(archiving, event);
    }
    let metadata = data.iter().flat_map(|d| &d.metadata).next_back().cloned();
    let sampled = state.flushed_samples > 0 || data.iter().any(Epoch::has_samples);
    let first_sample = state.first_sample.filter(|_| sampled);
    let facts = ChannelFacts { name: state.name.clone(), archiving, metadata, first_sample, known: None };
    Some((state.retention.clone(), facts, data))
}

/// What an event makes of a channel's archiving state.
pub(crate) fn archiving_after(
    before: (Archiving, Option<Timestamp>),
    event: &Event,
) -> (Archiving, Option<Timestamp>) {
    match event.kind {
        EventKind::Started => (Archiving::Started, Some(event.time)),
        EventKind::Resumed => (Archiving::Started, before.1),
        EventKind::Paused => (Archiving::Paused, before.1),
        EventKind::Stopped | EventKind::Retired => (Archiving::Retired, before.1),
        _ => before,
    }
}

type Partitions = BTreeMap<(Week, Arc<str>), BTreeMap<ChannelId, ChannelPart>>;

fn place(partitions: &mut Partitions, id: ChannelId, class: &Arc<str>, data: Epoch, now_week: Week) {
    for (blocks, late) in [(data.in_order, false), (data.late, true)] {
        for block in blocks {
            for (week, piece) in by_week(block) {
                part(partitions, week, class, id).blocks.push((piece, late));
            }
        }
    }
    for block in data.carried {
        part(partitions, now_week, class, id).blocks.push((block, false));
    }
    for event in data.events {
        part(partitions, week_of(&event), class, id).events.push(event);
    }
    for change in data.metadata {
        part(partitions, Week::containing(change.0), class, id).metadata.push(change);
    }
    for record in data.records {
        part(partitions, Week::containing(record.time), class, id).records.push(record);
    }
}

fn part<'a>(
    partitions: &'a mut Partitions,
    week: Week,
    class: &Arc<str>,
    id: ChannelId,
) -> &'a mut ChannelPart {
    partitions.entry((week, class.clone())).or_default().entry(id).or_default()
}

/// The partition of an event: that of its time; of its end where it reaches over weeks, so that the last of
/// them needs no earlier one.
fn week_of(event: &Event) -> Week {
    match event.kind {
        EventKind::EngineDown { until } => Week::containing(until),
        _ => Week::containing(event.time),
    }
}

/// Cuts a block at week boundaries.
fn by_week(block: Arc<SampleBlock>) -> Vec<(Week, Arc<SampleBlock>)> {
    if block.is_empty() {
        return Vec::new();
    }
    let (first, last) = (Week::containing(block.first()), Week::containing(block.last()));
    if first == last {
        return vec![(first, block)];
    }
    let mut pieces = Vec::new();
    let mut week = first;
    while week <= last {
        let inside = block.indices(TimeRange::new(week.start(), week.end()));
        if !inside.is_empty() {
            pieces.push((week, Arc::new(block.slice(inside.start, inside.end))));
        }
        week = week.next();
    }
    pieces
}

/// A channel's chunks in the order of their keys: neighbours of one type joined up to the largest size,
/// late samples apart.
pub(crate) fn chunks(part: &ChannelPart) -> Vec<(Arc<SampleBlock>, bool)> {
    let mut out: Vec<(Arc<SampleBlock>, bool)> = Vec::with_capacity(part.blocks.len());
    for late in [false, true] {
        let begin = out.len();
        let blocks = part.blocks.iter().filter(|(_, of)| *of == late).map(|(block, _)| block.clone());
        for block in ordered(blocks.collect()) {
            match out[begin..].last_mut() {
                Some((open, _)) if continues(open, &block) => {
                    Arc::make_mut(open).append(&block, 0, block.len());
                }
                _ => out.push((block, late)),
            }
        }
    }
    // Where the writer would cut, so that late chunks come between the pieces.
    let mut pieces = Vec::with_capacity(out.len());
    for (block, late) in out {
        let ranges = sstable::split(&block);
        if ranges.len() == 1 {
            pieces.push((block, late));
        } else {
            pieces.extend(ranges.into_iter().map(|r| (Arc::new(block.slice(r.start, r.end)), late)));
        }
    }
    pieces.sort_by_key(|(block, _)| block.position(0));
    pieces
}

/// Blocks by (time, rank), none reaching into another: late samples of several epochs lie among each other.
fn ordered(mut blocks: Vec<Arc<SampleBlock>>) -> Vec<Arc<SampleBlock>> {
    blocks.sort_by_key(|block| block.position(0));
    let apart = |pair: &[Arc<SampleBlock>]| pair[0].position(pair[0].len() - 1) < pair[1].position(0);
    if blocks.windows(2).all(apart) {
        return blocks;
    }
    let mut samples: Vec<Sample> =
        blocks.iter().flat_map(|block| (0..block.len()).map(|i| block.get(i))).collect();
    samples.sort_by_key(|sample| (sample.time, sample.rank));
    samples.dedup_by_key(|sample| (sample.time, sample.rank));
    sorted_blocks(&samples)
}

/// Whether `next` may stand in one chunk with `open`.
fn continues(open: &SampleBlock, next: &SampleBlock) -> bool {
    open.run == next.run
        && open.position(open.len() - 1) < next.position(0)
        && Week::containing(open.first()) == Week::containing(next.first())
        && open.len() + next.len() <= CHUNK_SAMPLES_MAX
        && open.values.byte_len() + next.values.byte_len() <= CHUNK_VALUE_BYTES_MAX
}
