//! Which channels a flush writes to which table, with each one's part when its turn comes: memory holds a
//! few numbers a channel, whatever their number.

use crate::carry_in::{self, Opening};
use crate::error::Error;
use crate::memtable::ChannelData;
use crate::shared::Shared;
use crate::slot::{Archiving, Slot, SlotState};
use crate::table_contents::{Blocks, ChannelFacts, ChannelPart, Contents, Section, Share};
use crate::writer::Frozen;
use sample::{ChannelId, Event, EventKind, Sample, SampleBlock, TimeRange, Timestamp, Week};
use sstable::{CarriedSample, CarryIn};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// What one table of a flush will hold.
#[derive(Debug, Default)]
pub(crate) struct Planned {
    shares: Vec<Share>,
    value_bytes: u64,
    sequences: Option<(u64, u64)>,
}

impl Planned {
    /// Notes that the channel with the greatest id so far has something in `section`.
    fn add(&mut self, channel: ChannelId, section: Section) {
        match self.shares.last_mut() {
            Some(last) if last.channel == channel => last.add(section),
            _ => self.shares.push(Share::new(channel, [section])),
        }
    }

    fn add_samples(&mut self, channel: ChannelId, value_bytes: usize) {
        self.add(channel, Section::Samples);
        self.value_bytes += value_bytes as u64;
    }

    fn add_event(&mut self, channel: ChannelId, event: &Event) {
        self.add(channel, Section::Events);
        let span = self.sequences.get_or_insert((event.sequence, event.sequence));
        *span = (span.0.min(event.sequence), span.1.max(event.sequence));
    }

    /// Notes that these channels, in ascending order, begin with what held before.
    pub(crate) fn add_carry_in(&mut self, channels: impl IntoIterator<Item = ChannelId>) {
        self.shares.extend(channels.into_iter().map(|channel| Share::new(channel, [Section::CarryIn])));
        self.shares.sort_by_key(|share| share.channel);
        self.shares.dedup_by(|again, share| {
            let same = again.channel == share.channel;
            if same {
                share.join(*again);
            }
            same
        });
    }

    pub(crate) fn shares(&self) -> &[Share] {
        &self.shares
    }
}

/// Week and retention class of a table.
pub(crate) type TableKey = (Week, Arc<str>);

/// Everything that a flush writes.
#[derive(Debug)]
pub(crate) struct Gathered {
    frozen: Frozen,
    /// Slot of id `i` at `i`.
    slots: Vec<Option<Arc<Slot>>>,
    /// By week and retention class.
    pub(crate) tables: BTreeMap<TableKey, Planned>,
    /// The week that opens with this flush.
    pub(crate) opening: Option<Opening>,
    /// Late samples that change what weeks hold at their begin that were opened before.
    pub(crate) overrides: HashMap<(Week, ChannelId), Sample>,
    /// Memtable bytes that the flush frees.
    pub(crate) memory: usize,
}

/// Looks at what was frozen; nothing is removed from memory yet.
pub(crate) fn gather(shared: &Shared, frozen: Frozen) -> Gathered {
    let slots = shared.directory().slots.clone();
    let now_week = Week::containing(frozen.at);
    let (mut tables, mut memory) = (BTreeMap::new(), 0);
    for slot in slots.iter().flatten() {
        let state = slot.lock();
        for data in state.epochs().filter(|data| data.epoch <= frozen.epoch) {
            memory += data.accounted_bytes;
            plan(&mut tables, slot.id, &state.retention, data, now_week);
        }
    }
    Gathered { frozen, slots, tables, opening: None, overrides: HashMap::new(), memory }
}

/// Notes which tables the data of a channel go to.
fn plan(
    tables: &mut BTreeMap<TableKey, Planned>,
    id: ChannelId,
    class: &Arc<str>,
    data: &ChannelData,
    now_week: Week,
) {
    for chunk in data.chunks() {
        let Some((first, last)) = chunk.span() else { continue };
        let week = Week::containing(first);
        if week == Week::containing(last) {
            table(tables, week, class).add_samples(id, chunk.value_bytes());
            continue;
        }
        for (week, piece) in by_week(&chunk.block()) {
            table(tables, week, class).add_samples(id, piece.values.byte_len());
        }
    }
    for (week, piece) in data.late_blocks().iter().flat_map(by_week) {
        table(tables, week, class).add_samples(id, piece.values.byte_len());
    }
    for block in data.carried_blocks() {
        table(tables, now_week, class).add_samples(id, block.values.byte_len());
    }
    for event in data.events() {
        table(tables, week_of(event), class).add_event(id, event);
    }
    for (time, _) in data.metadata() {
        table(tables, Week::containing(*time), class).add(id, Section::Metadata);
    }
    for record in data.records() {
        table(tables, Week::containing(record.time), class).add(id, Section::Records);
    }
}

fn table<'t>(tables: &'t mut BTreeMap<TableKey, Planned>, week: Week, class: &Arc<str>) -> &'t mut Planned {
    tables.entry((week, class.clone())).or_default()
}

impl Gathered {
    /// All slots in the order of ids.
    pub(crate) fn slots(&self) -> impl Iterator<Item = &Arc<Slot>> {
        self.slots.iter().flatten()
    }

    /// The slot of a channel.
    fn slot(&self, channel: ChannelId) -> Option<&Arc<Slot>> {
        self.slots.get(usize::try_from(channel.0).ok()?)?.as_ref()
    }

    /// What was frozen, and when.
    pub(crate) fn frozen(&self) -> Frozen {
        self.frozen
    }

    /// The frozen samples of a channel that go to `week`.
    pub(crate) fn blocks(&self, channel: ChannelId, week: Week) -> Blocks {
        let Some(slot) = self.slot(channel) else { return Blocks::new() };
        let range = TimeRange::new(week.start(), week.end());
        let carries = week == Week::containing(self.frozen.at);
        let (mut blocks, mut carried) = (Blocks::new(), Blocks::new());
        {
            // Copies under the slot's lock, cuts outside: ingestion goes on meanwhile.
            let state = slot.lock();
            for data in self.epochs(&state) {
                let chunks = data.chunks().filter(|chunk| touches(chunk.span(), range));
                blocks.extend(chunks.map(|chunk| (chunk.block(), false)));
                blocks.extend(data.late_blocks().into_iter().map(|block| (block, true)));
                if carries {
                    carried.extend(data.carried_blocks().into_iter().map(|block| (block, false)));
                }
            }
        }
        blocks.retain_mut(|(block, _)| cut(block, range));
        blocks.append(&mut carried);
        blocks
    }

    /// The last sample of a channel before `week` that this flush writes to `week` or an earlier one.
    pub(crate) fn last_before(&self, channel: ChannelId, week: Week) -> Option<Sample> {
        let slot = self.slot(channel)?;
        let before = TimeRange::new(Timestamp::MIN, week.start());
        let carries = Week::containing(self.frozen.at) <= week;
        let state = slot.lock();
        let blocks = self.epochs(&state).flat_map(|data| {
            let chunks = data.chunks().filter(|chunk| touches(chunk.span(), before));
            let carried = if carries { data.carried_blocks() } else { Vec::new() };
            chunks.map(|chunk| chunk.block()).chain(data.late_blocks()).chain(carried)
        });
        let lasts = blocks.filter_map(|block| Some((block.indices(before).last()?, block)));
        let (at, block) = lasts.max_by_key(|(at, block)| block.position(*at))?;
        Some(block.get(at))
    }

    /// What the channel's dictionary rows say: what held at the freeze, not what came since, which may be lost
    /// in a crash.
    pub(crate) fn facts(&self, state: &SlotState) -> ChannelFacts {
        let data = || self.epochs(state);
        let sampled = state.flushed_samples > 0 || data().any(ChannelData::has_samples);
        ChannelFacts {
            name: state.name.clone(),
            archiving: self.archiving(state),
            metadata: data().filter_map(|data| data.metadata().last()).last().cloned(),
            first_sample: state.first_sample.filter(|_| sampled),
            known: None,
        }
    }

    /// The channel's archiving state at the freeze.
    pub(crate) fn archiving(&self, state: &SlotState) -> (Archiving, Option<Timestamp>) {
        let events = self.epochs(state).flat_map(|data| data.events());
        events.fold(state.flushed_archiving, archiving_after)
    }

    /// The frozen data of a channel, the oldest first.
    fn epochs<'s>(&self, state: &'s SlotState) -> impl Iterator<Item = &'s ChannelData> {
        let epoch = self.frozen.epoch;
        state.epochs().filter(move |data| data.epoch <= epoch)
    }

    /// The contents of a table that was planned.
    pub(crate) fn contents<'g>(
        &'g self,
        shared: &'g Shared,
        week: Week,
        planned: &'g Planned,
    ) -> impl Contents + 'g {
        FrozenContents { shared, gathered: self, week, planned }
    }
}

/// One table's part of what was frozen.
struct FrozenContents<'g> {
    shared: &'g Shared,
    gathered: &'g Gathered,
    week: Week,
    planned: &'g Planned,
}

impl FrozenContents<'_> {
    /// What the frozen data of a channel hold, copied by `take`.
    fn collect<T>(&self, channel: ChannelId, take: impl Fn(&ChannelData) -> Vec<T>) -> Vec<T> {
        let Some(slot) = self.gathered.slot(channel) else { return Vec::new() };
        let state = slot.lock();
        self.gathered.epochs(&state).flat_map(take).collect()
    }

    fn carry_in(&self, channel: ChannelId) -> Result<Option<CarryIn>, Error> {
        if let Some(opening) = self.gathered.opening.as_ref().filter(|opening| opening.week == self.week) {
            let Some(slot) = self.gathered.slot(channel) else { return Ok(None) };
            return carry_in::at_opening(self.shared, self.gathered, slot, opening).map(Some);
        }
        let sample = self.gathered.overrides.get(&(self.week, channel));
        let carried = sample.map(|s| CarriedSample::of(s, Week::containing(s.time), false));
        Ok(carried.map(|sample| CarryIn { sample: Some(sample), ..CarryIn::default() }))
    }
}

impl Contents for FrozenContents<'_> {
    fn shares(&self) -> &[Share] {
        &self.planned.shares
    }

    fn value_bytes(&self) -> u64 {
        self.planned.value_bytes
    }

    fn sequences(&self) -> (u64, u64) {
        self.planned.sequences.unwrap_or((0, 0))
    }

    fn part(&self, channel: ChannelId, section: Section) -> Result<ChannelPart, Error> {
        let mut part = ChannelPart::default();
        let here = |week: Week| week == self.week;
        match section {
            Section::Samples => part.blocks = self.gathered.blocks(channel, self.week),
            Section::Events => {
                part.events = self.collect(channel, |data| {
                    data.events().iter().filter(|event| here(week_of(event))).cloned().collect()
                });
                part.events.sort_by_key(|event| event.sequence);
            }
            Section::Metadata => {
                part.metadata = self.collect(channel, |data| {
                    let inside = data.metadata().iter().filter(|(time, _)| here(Week::containing(*time)));
                    inside.cloned().collect()
                });
                part.metadata.sort_by_key(|(time, _)| *time);
            }
            Section::CarryIn => part.carry_in = self.carry_in(channel)?.map(Box::new),
            Section::Records => {
                part.records = self.collect(channel, |data| {
                    let inside = data.records().iter().filter(|record| here(Week::containing(record.time)));
                    inside.cloned().collect()
                });
            }
        }
        Ok(part)
    }

    fn facts(&self, channel: ChannelId) -> Option<ChannelFacts> {
        Some(self.gathered.facts(&self.gathered.slot(channel)?.lock()))
    }
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

/// The partition of an event: that of its time; of its end where it reaches over weeks, so that the last of
/// them needs no earlier one.
fn week_of(event: &Event) -> Week {
    match event.kind {
        EventKind::EngineDown { until } => Week::containing(until),
        _ => Week::containing(event.time),
    }
}

fn touches(span: Option<(Timestamp, Timestamp)>, range: TimeRange) -> bool {
    span.is_some_and(|(first, last)| range.touches(first, last))
}

/// Cuts a block to what lies in `range`; `false` when nothing does.
fn cut(block: &mut Arc<SampleBlock>, range: TimeRange) -> bool {
    let inside = block.indices(range);
    if inside.len() < block.len() && !inside.is_empty() {
        *block = Arc::new(block.slice(inside.start, inside.end));
    }
    !inside.is_empty()
}

/// The stretches of a block between week boundaries.
fn by_week(block: &Arc<SampleBlock>) -> Vec<(Week, Arc<SampleBlock>)> {
    let mut pieces = Vec::new();
    let mut from = 0;
    while let Some(time) = block.time.get(from) {
        let week = Week::containing(Timestamp(*time));
        let to = block.time.partition_point(|time| *time < week.end().0).max(from + 1);
        let whole = to - from == block.len();
        pieces.push((week, if whole { block.clone() } else { Arc::new(block.slice(from, to)) }));
        from = to;
    }
    pieces
}

#[cfg(test)]
mod tests;
