//! Recent samples of one channel in memory: chunked arrays of doubling size, until they are in SSTables.

use crate::limits::{CHUNK_SAMPLES_FIRST, CHUNK_SAMPLES_MAX, CHUNK_VALUE_BYTES_MAX};
use crate::open_chunk::OpenChunk;
use crate::read::{Kept, Part, Position, ReadError, Run, RunVersion};
use crate::wal::Placement;
use sample::{Event, Metadata, RunType, Sample, SampleBlock, TimeRange, Timestamp, ValueType};
use sstable::ChannelRecord;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// What one channel received during one epoch (between two freezes of the memtable).
#[derive(Clone, Debug, Default)]
#[repr(C)]
pub struct ChannelData {
    /// The epoch.
    pub epoch: u64,
    /// Bytes that the memtable's account holds for it.
    pub accounted_bytes: usize,
    /// The chunk that grows.
    open: Option<OpenChunk>,
    /// Full chunks in order.
    closed: Vec<Arc<SampleBlock>>,
    /// What most channels have none of most of the time.
    beside: Option<Box<Beside>>,
}

/// What a channel received beside its samples in order.
#[derive(Clone, Debug, Default)]
struct Beside {
    /// Samples that came late, in order of arrival.
    late: Vec<Sample>,
    /// First values after a connect that are older than their partition.
    carried: Vec<Sample>,
    events: Vec<Event>,
    metadata: Vec<(Timestamp, Arc<Metadata>)>,
    records: Vec<ChannelRecord>,
}

/// Bytes that an event or a record takes at most without its texts.
const RECORD_BYTES: usize = 96;

impl ChannelData {
    /// Nothing yet, in `epoch`.
    pub fn new(epoch: u64) -> ChannelData {
        ChannelData { epoch, ..ChannelData::default() }
    }

    /// Address of the row that the next sample fills, 0 where that is not known.
    pub(crate) fn next_row(&self) -> usize {
        self.open.as_ref().map_or(0, OpenChunk::next_row)
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.closed.is_empty()
            && self.open.is_none()
            && self.late().is_empty()
            && self.carried().is_empty()
            && self.events().is_empty()
            && self.metadata().is_empty()
            && self.records().is_empty()
    }

    fn beside(&mut self) -> &mut Beside {
        self.beside.get_or_insert_default()
    }

    fn late(&self) -> &[Sample] {
        self.beside.as_ref().map_or(&[], |beside| &beside.late)
    }

    fn carried(&self) -> &[Sample] {
        self.beside.as_ref().map_or(&[], |beside| &beside.carried)
    }

    /// Events by sequence.
    pub fn events(&self) -> &[Event] {
        self.beside.as_ref().map_or(&[], |beside| &beside.events)
    }

    /// Metadata changes in order.
    pub fn metadata(&self) -> &[(Timestamp, Arc<Metadata>)] {
        self.beside.as_ref().map_or(&[], |beside| &beside.metadata)
    }

    /// Names, classes, settings.
    pub fn records(&self) -> &[ChannelRecord] {
        self.beside.as_ref().map_or(&[], |beside| &beside.records)
    }

    /// Appends a sample behind all in-order ones; returns the bytes that memory grew by.
    pub fn push(&mut self, sample: &Sample) -> usize {
        let grown = self.push_unaccounted(sample);
        self.account(grown)
    }

    fn account(&mut self, bytes: usize) -> usize {
        self.accounted_bytes += bytes;
        bytes
    }

    fn push_unaccounted(&mut self, sample: &Sample) -> usize {
        let Some(open) = &mut self.open else {
            let mut open = OpenChunk::for_sample(sample, FIRST_RESERVE);
            open.push(sample);
            self.open = Some(open);
            return row_bytes(sample) + RECORD_BYTES;
        };
        if open.len() == open.capacity() && open.len() < CHUNK_SAMPLES_FIRST {
            // Doubling: of a million channels each may have a few samples.
            open.reserve(open.len().clamp(1, CHUNK_SAMPLES_FIRST - open.len()));
        }
        let full = open.len() >= open.capacity() || open.value_bytes() >= CHUNK_VALUE_BYTES_MAX;
        if !full && open.push(sample) {
            return row_bytes(sample);
        }
        let next =
            if full { (open.len() * 2).clamp(CHUNK_SAMPLES_FIRST, CHUNK_SAMPLES_MAX) } else { FIRST_RESERVE };
        let closed = std::mem::replace(open, OpenChunk::for_sample(sample, next));
        open.push(sample);
        self.closed.push(Arc::new(closed.to_block()));
        row_bytes(sample) + RECORD_BYTES
    }

    /// Keeps a late sample; returns the bytes that memory grew by.
    pub fn push_late(&mut self, sample: Sample) -> usize {
        let bytes = row_bytes(&sample) + RECORD_BYTES;
        self.beside().late.push(sample);
        self.account(bytes)
    }

    /// Keeps a first value that is older than its partition; returns the bytes that memory grew by.
    pub fn push_carried(&mut self, sample: Sample) -> usize {
        let bytes = row_bytes(&sample) + RECORD_BYTES;
        self.beside().carried.push(sample);
        self.account(bytes)
    }

    /// Keeps an event; returns the bytes that memory grew by.
    pub fn push_event(&mut self, event: Event) -> usize {
        push_first(&mut self.beside().events, event);
        self.account(RECORD_BYTES)
    }

    /// Keeps a change of metadata; returns the bytes that memory grew by.
    pub fn push_metadata(&mut self, time: Timestamp, metadata: Arc<Metadata>) -> usize {
        push_first(&mut self.beside().metadata, (time, metadata));
        self.account(2 * RECORD_BYTES)
    }

    /// Keeps a channel record; returns the bytes that memory grew by.
    pub fn push_record(&mut self, record: ChannelRecord) -> usize {
        push_first(&mut self.beside().records, record);
        self.account(RECORD_BYTES)
    }

    /// Whether a late sample stands at this position.
    pub fn holds_late(&self, position: (Timestamp, u32)) -> bool {
        self.late().iter().any(|sample| (sample.time, sample.rank) == position)
    }

    /// Sorts in samples that were met behind newer ones, each position once; returns the growth in bytes.
    pub fn place(&mut self, samples: Vec<(Placement, Sample)>) -> usize {
        let mut carried: Vec<Sample> =
            self.beside.as_mut().map(|beside| std::mem::take(&mut beside.carried)).unwrap_or_default();
        let mut ordered: Vec<Sample> = Vec::new();
        for block in self.blocks() {
            ordered.extend((0..block.len()).map(|i| block.get(i)));
        }
        for (placement, sample) in samples {
            if placement == Placement::CarryIn { carried.push(sample) } else { ordered.push(sample) }
        }
        let before = std::mem::take(&mut self.accounted_bytes);
        self.closed.clear();
        self.open = None;
        for list in [&mut carried, &mut ordered] {
            list.sort_by_key(|sample| (sample.time, sample.rank));
            list.dedup_by_key(|sample| (sample.time, sample.rank));
        }
        for sample in &ordered {
            self.push(sample);
        }
        for sample in carried {
            self.push_carried(sample);
        }
        self.accounted_bytes = self.accounted_bytes.max(before);
        self.accounted_bytes - before
    }

    /// The newest sample that is not late.
    pub fn last_in_order(&self) -> Option<Sample> {
        let open = self.open.as_ref().and_then(|open| open.last());
        let in_chunks = open.or_else(|| self.closed.last().map(|block| block.get(block.len() - 1)));
        [in_chunks, self.carried().last().cloned()].into_iter().flatten().max_by_key(|s| (s.time, s.rank))
    }

    /// Position of the oldest sample that is not late.
    pub(crate) fn first_in_order(&self) -> Option<(i64, u32)> {
        let open = || self.open.as_ref().map(|open| open.to_block().position(0));
        let in_chunks = self.closed.first().map(|block| block.position(0)).or_else(open);
        let carried = self.carried().first().map(|sample| (sample.time.0, sample.rank));
        in_chunks.into_iter().chain(carried).min()
    }

    /// In-order samples as blocks; the growing one is copied.
    pub fn blocks(&self) -> Vec<Arc<SampleBlock>> {
        self.chunks().map(|chunk| chunk.block()).collect()
    }

    /// In-order samples, nothing copied.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = Chunk<'_>> {
        self.closed.iter().map(Chunk::Closed).chain(self.open.as_ref().map(Chunk::Open))
    }

    /// Whether there are samples of any kind.
    pub(crate) fn has_samples(&self) -> bool {
        self.open.is_some()
            || !self.closed.is_empty()
            || !self.late().is_empty()
            || !self.carried().is_empty()
    }

    /// Late samples by (time, rank) as blocks.
    pub fn late_blocks(&self) -> Vec<Arc<SampleBlock>> {
        sorted_blocks(self.late())
    }

    /// First values older than their partition, by (time, rank), as blocks.
    pub fn carried_blocks(&self) -> Vec<Arc<SampleBlock>> {
        sorted_blocks(self.carried())
    }

    /// Everything that readers see, as runs.
    pub fn runs(&self) -> impl Iterator<Item = Arc<dyn Run>> {
        [self.blocks(), self.late_blocks(), self.carried_blocks()]
            .into_iter()
            .filter_map(|blocks| BlockRun::new(blocks).map(|run| Arc::new(run) as Arc<dyn Run>))
    }

    /// Bytes of all samples in memory.
    pub fn memory_bytes(&self) -> usize {
        self.closed.iter().map(|block| block.memory_bytes()).sum::<usize>()
            + self.open.as_ref().map_or(0, |open| open.memory_bytes())
            + self.late().iter().chain(self.carried()).map(row_bytes).sum::<usize>()
    }

    /// Number of samples of all kinds.
    pub fn samples(&self) -> usize {
        self.closed.iter().map(|block| block.len()).sum::<usize>()
            + self.open.as_ref().map_or(0, |open| open.len())
            + self.late().len()
            + self.carried().len()
    }
}

/// A chunk of in-order samples in memory.
pub(crate) enum Chunk<'a> {
    /// Full.
    Closed(&'a Arc<SampleBlock>),
    /// The one that grows.
    Open(&'a OpenChunk),
}

impl Chunk<'_> {
    /// Its first and last time; `None` without samples.
    pub(crate) fn span(&self) -> Option<(Timestamp, Timestamp)> {
        match self {
            Chunk::Closed(block) if block.is_empty() => None,
            Chunk::Closed(block) => Some((block.first(), block.last())),
            Chunk::Open(open) => open.span(),
        }
    }

    /// Bytes of its values, as a block of them counts.
    pub(crate) fn value_bytes(&self) -> usize {
        match self {
            Chunk::Closed(block) => block.values.byte_len(),
            Chunk::Open(open) => open.block_value_bytes(),
        }
    }

    /// Its samples; those of the growing one are copied.
    pub(crate) fn block(&self) -> Arc<SampleBlock> {
        match self {
            Chunk::Closed(block) => Arc::clone(block),
            Chunk::Open(open) => Arc::new(open.to_block()),
        }
    }
}

/// Appends to a list that most often stays one of one: it takes no more room than that.
pub(crate) fn push_first<T>(list: &mut Vec<T>, item: T) {
    if list.is_empty() {
        list.reserve_exact(1);
    }
    list.push(item);
}

/// Samples that the first chunk of an idle channel has room for.
const FIRST_RESERVE: usize = 4;

/// Memory of one row.
fn row_bytes(sample: &Sample) -> usize {
    sample.value.byte_len()
        + 24
        + sample.user_tag.map_or(0, |_| 8)
        + sample.received.map_or(0, |_| 8)
        + sample.message.as_ref().map_or(0, |m| m.len() + 4)
        + if sample.value.value_type().array { 4 } else { 0 }
}

/// Samples sorted by (time, rank) and cut where the type changes.
pub(crate) fn sorted_blocks(samples: &[Sample]) -> Vec<Arc<SampleBlock>> {
    let mut order: Vec<&Sample> = samples.iter().collect();
    order.sort_by_key(|sample| (sample.time, sample.rank));
    let mut blocks: Vec<SampleBlock> = Vec::new();
    for sample in order {
        let fits = blocks.last_mut().is_some_and(|block| {
            block.len() < CHUNK_SAMPLES_MAX
                && block.values.byte_len() < CHUNK_VALUE_BYTES_MAX
                && block.push(sample)
        });
        if !fits {
            let mut block = SampleBlock::new(sample.run_type());
            block.push(sample);
            blocks.push(block);
        }
    }
    blocks.into_iter().map(Arc::new).collect()
}

/// Blocks in memory as a run.
#[derive(Debug)]
pub(crate) struct BlockRun {
    blocks: Vec<Arc<SampleBlock>>,
}

impl BlockRun {
    /// `None` when there is no sample. The blocks are disjoint and in order.
    pub(crate) fn new(mut blocks: Vec<Arc<SampleBlock>>) -> Option<BlockRun> {
        blocks.retain(|block| !block.is_empty());
        (!blocks.is_empty()).then_some(BlockRun { blocks })
    }
}

impl Run for BlockRun {
    fn span(&self) -> (Timestamp, Timestamp) {
        (self.blocks[0].first(), self.blocks[self.blocks.len() - 1].last())
    }

    fn version(&self, range: TimeRange) -> Option<RunVersion> {
        let mut hasher = DefaultHasher::new();
        for block in self.blocks.iter().filter(|block| block.first() < range.to) {
            (block.position(0), block.position(block.len() - 1), block.len()).hash(&mut hasher);
        }
        let (_, last) = self.span();
        // One that ends before the range says only what its last sample is.
        let kept = if last < range.from { Kept::Table } else { Kept::Memory };
        Some(RunVersion { state: hasher.finish(), kept })
    }

    fn parts(&self, range: TimeRange) -> Result<Vec<Part>, ReadError> {
        let part = |(token, block): (usize, &Arc<SampleBlock>)| {
            let position = |i: usize| {
                let (time, rank) = block.position(i);
                Position { time, rank }
            };
            Part {
                first: position(0),
                last: position(block.len() - 1),
                count: u32::try_from(block.len()).unwrap_or(u32::MAX),
                token: token as u64,
            }
        };
        let touching = |(_, block): &(usize, &Arc<SampleBlock>)| range.touches(block.first(), block.last());
        Ok(self.blocks.iter().enumerate().filter(touching).map(part).collect())
    }

    fn types(&self) -> Result<Vec<(Timestamp, ValueType)>, ReadError> {
        Ok(self.blocks.iter().map(|block| (block.first(), block.run.value)).collect())
    }

    fn load(&self, part: &Part, range: TimeRange) -> Result<SampleBlock, ReadError> {
        let block = usize::try_from(part.token).ok().and_then(|i| self.blocks.get(i));
        let Some(block) = block else {
            return Ok(SampleBlock::new(RunType::plain(sample::ValueType::scalar(sample::Kind::Bool))));
        };
        let inside = block.indices(range);
        Ok(block.slice(inside.start, inside.end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sample::Value;

    #[test]
    fn a_few_samples_take_little_room() {
        let mut data = ChannelData::new(1);
        for count in 1..=CHUNK_SAMPLES_FIRST {
            data.push(&Sample::new(Timestamp(count as i64), Value::Float64(0.5)));
            let room = data.open.as_ref().map_or(0, OpenChunk::capacity);
            assert!((count..=(2 * count).max(FIRST_RESERVE)).contains(&room), "{room} for {count}");
        }
        assert_eq!(data.closed.len(), 0);
        data.push(&Sample::new(Timestamp(100), Value::Float64(0.5)));
        assert_eq!((data.closed.len(), data.samples()), (1, CHUNK_SAMPLES_FIRST + 1));
        let mut frozen = Vec::new();
        push_first(&mut frozen, data);
        assert_eq!(frozen.capacity(), 1);
    }
}
