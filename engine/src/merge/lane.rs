//! One channel's in-order or late samples of several tables as the chunks of one.

use crate::limits::{CHUNK_SAMPLES_MAX, CHUNK_VALUE_BYTES_MAX, MERGE_COPY_BYTES, MERGE_COPY_SAMPLES};
use disk::FormatError;
use sample::{ChannelId, SampleBlock, TimeRange, Timestamp, Week};
use sstable::{Entry, Key, Table, WholeChunk};
use std::collections::VecDeque;
use std::ops::Range;

/// (time, rank) of a sample.
type Position = (i64, u32);
type Entries<'a> = Box<dyn Iterator<Item = Result<Entry, FormatError>> + 'a>;

/// A chunk for the new table.
pub(super) enum Chunk<'a> {
    /// Of samples that were decoded.
    Joined(SampleBlock),
    /// A large one as it lies in its table.
    Whole { table: &'a Table, entry: Entry, chunk: Box<WholeChunk> },
}

impl Chunk<'_> {
    /// Position of its first sample.
    pub(super) fn start(&self) -> Position {
        match self {
            Chunk::Joined(block) => block.position(0),
            Chunk::Whole { chunk, .. } => start(chunk),
        }
    }
}

fn start(chunk: &WholeChunk) -> Position {
    (chunk.header().first.0, chunk.header().first_rank)
}

/// Which chunks of a table are copied instead of decoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Copied {
    /// Large ones: rewriting them gains little.
    Large,
    /// Full ones, for their table is as dense as the new one.
    Full,
    /// None: all are to become denser.
    Nothing,
}

impl Copied {
    /// Whether it is worth while to copy a chunk.
    fn takes(self, entry: &Entry) -> bool {
        let count = entry.chunk.as_ref().map_or(0, |chunk| chunk.statistics.count as usize);
        let len = if entry.locator.slot.is_none() { entry.locator.len } else { 0 };
        match self {
            Copied::Large => count >= MERGE_COPY_SAMPLES || len >= MERGE_COPY_BYTES,
            Copied::Full => count >= CHUNK_SAMPLES_MAX || len >= MERGE_COPY_BYTES,
            Copied::Nothing => false,
        }
    }
}

/// One table's part.
struct Source<'a> {
    /// Place of the table among the inputs.
    at: usize,
    table: &'a Table,
    copied: Copied,
    late: bool,
    entries: Entries<'a>,
    /// The next chunk.
    next: Option<Entry>,
    /// Decoded samples from an index on.
    rest: Option<(SampleBlock, usize)>,
    /// Position of the last sample of all chunks so far.
    last: Option<Position>,
    taken: u64,
}

impl<'a> Source<'a> {
    fn new(
        at: usize,
        (table, copied): (&'a Table, Copied),
        channel: ChannelId,
        late: bool,
    ) -> Result<Source<'a>, FormatError> {
        let entries = Box::new(table.entries(Key::SAMPLES, channel, TimeRange::ALL));
        let mut source =
            Source { at, table, copied, late, entries, next: None, rest: None, last: None, taken: 0 };
        source.advance()?;
        Ok(source)
    }

    /// Takes the next chunk off.
    fn advance(&mut self) -> Result<Option<Entry>, FormatError> {
        let next = loop {
            match self.entries.next().transpose()? {
                Some(entry) if entry.chunk.as_ref().is_none_or(|chunk| chunk.late != self.late) => {}
                next => break next,
            }
        };
        Ok(std::mem::replace(&mut self.next, next))
    }

    fn head(&self) -> Option<Position> {
        if let Some((block, from)) = &self.rest {
            return Some(block.position(*from));
        }
        let entry = self.next.as_ref()?;
        Some((entry.key.bin, entry.chunk.as_ref().map_or(0, |chunk| chunk.first_rank)))
    }

    /// Notes that a chunk from `first` to `last` was taken. What readers believe of a run must be true of it:
    /// samples that go back would be taken for repeated ones.
    fn take(
        &mut self,
        entry: &Entry,
        first: Position,
        last: Position,
        count: usize,
    ) -> Result<(), FormatError> {
        if self.last.is_some_and(|before| before >= first) {
            let what = "samples of a channel go back in time from one chunk to the next";
            return Err(FormatError::corrupt(self.table.path(), entry.locator.offset, what));
        }
        self.last = Some(last);
        self.taken += count as u64;
        Ok(())
    }

    /// Decodes the next chunk.
    fn load(&mut self) -> Result<(), FormatError> {
        let Some(entry) = self.advance()? else { return Ok(()) };
        let block = self.table.all_samples(&entry)?;
        if block.is_empty() || (1..block.len()).any(|i| block.position(i - 1) >= block.position(i)) {
            let what = "samples of a chunk are not in the order of time and rank";
            return Err(FormatError::corrupt(self.table.path(), entry.locator.offset, what));
        }
        self.take(&entry, block.position(0), block.position(block.len() - 1), block.len())?;
        self.rest = Some((block, 0));
        Ok(())
    }
}

/// The samples of one channel, all in-order or all late.
pub(super) struct Lane<'a> {
    sources: Vec<Source<'a>>,
    /// A chunk that still grows.
    open: Option<SampleBlock>,
    ready: VecDeque<Chunk<'a>>,
    /// Position of the last sample handed over.
    last: Option<Position>,
}

impl<'a> Lane<'a> {
    /// Over the tables at the places `of`.
    pub(super) fn new(
        inputs: &'a [Table],
        copied: &[Copied],
        of: &[usize],
        channel: ChannelId,
        late: bool,
    ) -> Result<Lane<'a>, FormatError> {
        let has_any = |table: &Table| match late {
            true => table.summary().late_chunks > 0,
            false => table.summary().late_chunks < table.summary().chunks,
        };
        let sources = of.iter().filter(|at| has_any(&inputs[**at]));
        let sources = sources.map(|at| Source::new(*at, (&inputs[*at], copied[*at]), channel, late));
        Ok(Lane {
            sources: sources.collect::<Result<_, _>>()?,
            open: None,
            ready: VecDeque::new(),
            last: None,
        })
    }

    /// How many samples were taken from the tables at each place.
    pub(super) fn taken(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        self.sources.iter().map(|source| (source.at, source.taken))
    }

    /// The next chunk in the order of first samples.
    pub(super) fn next_chunk(&mut self) -> Result<Option<Chunk<'a>>, FormatError> {
        while self.ready.is_empty() {
            if !self.step()? {
                self.close();
                break;
            }
        }
        Ok(self.ready.pop_front())
    }

    /// Moves the earliest stretch that one table delivers alone; `false` at the end.
    fn step(&mut self) -> Result<bool, FormatError> {
        let mut least: Option<(usize, Position)> = None;
        let mut bound: Option<Position> = None;
        for (at, source) in self.sources.iter().enumerate() {
            let Some(head) = source.head() else { continue };
            match least {
                Some((_, leader)) if leader <= head => {
                    bound = Some(bound.map_or(head, |bound| bound.min(head)));
                }
                _ => {
                    bound = least.map(|(_, leader)| leader);
                    least = Some((at, head));
                }
            }
        }
        let Some((at, _)) = least else { return Ok(false) };
        if self.sources[at].rest.is_none() {
            if !self.copy(at, bound)? {
                self.sources[at].load()?;
            }
            // The head may be another one than the index said.
            return Ok(true);
        }
        self.deliver(at, bound);
        Ok(true)
    }

    /// Copies the next chunk of a source if that is worth while and no other table reaches into it.
    fn copy(&mut self, at: usize, bound: Option<Position>) -> Result<bool, FormatError> {
        let source = &mut self.sources[at];
        let worth = |entry: &&Entry| source.copied.takes(entry);
        let Some(entry) = source.next.as_ref().filter(worth).cloned() else { return Ok(false) };
        let chunk = source.table.whole_chunk(&entry)?;
        let header = chunk.header();
        let (first, last) = (start(&chunk), (header.last.0, header.last_rank));
        if bound.is_some_and(|bound| bound <= last) || self.last.is_some_and(|before| before >= first) {
            return Ok(false);
        }
        source.take(&entry, first, last, header.count())?;
        source.advance()?;
        let table = source.table;
        self.last = Some(last);
        self.close();
        self.ready.push_back(Chunk::Whole { table, entry, chunk: Box::new(chunk) });
        Ok(true)
    }

    /// Hands over decoded samples before `bound`, those that were handed over from another table left out.
    fn deliver(&mut self, at: usize, bound: Option<Position>) {
        let Some((block, from)) = self.sources[at].rest.take() else { return };
        let places = |end: usize, before: &dyn Fn(Position) -> bool| {
            let (mut low, mut high) = (from, end);
            while low < high {
                let middle = usize::midpoint(low, high);
                if before(block.position(middle)) { low = middle + 1 } else { high = middle }
            }
            low
        };
        let to = bound.map_or(block.len(), |bound| places(block.len(), &|p| p < bound).max(from + 1));
        let fresh = self.last.map_or(from, |last| places(to, &|p| p <= last));
        if fresh < to {
            self.last = Some(block.position(to - 1));
            self.append(&block, fresh, to);
        }
        if to < block.len() {
            self.sources[at].rest = Some((block, to));
        }
    }

    fn append(&mut self, block: &SampleBlock, mut from: usize, to: usize) {
        let week = |time: Timestamp| Week::containing(time);
        let joins = |open: &SampleBlock| {
            open.run == block.run && week(open.last()) == week(Timestamp(block.time[from]))
        };
        if !self.open.as_ref().is_some_and(joins) {
            self.close();
        }
        while from < to {
            let open = self.open.get_or_insert_with(|| SampleBlock::new(block.run.clone()));
            let until = to.min(from + (CHUNK_SAMPLES_MAX - open.len()));
            open.append(block, from, until);
            from = until;
            if open.len() >= CHUNK_SAMPLES_MAX || open.values.byte_len() >= CHUNK_VALUE_BYTES_MAX {
                self.close_full();
            }
        }
    }

    /// Ends the chunk that grows, which is full; what passes its limits grows on.
    fn close_full(&mut self) {
        let Some(block) = self.open.take() else { return };
        let mut ranges = sstable::split(&block);
        if ranges.len() > 1 {
            self.open = ranges.pop().map(|range| block.slice(range.start, range.end));
        }
        self.hand_over(block, &ranges);
    }

    /// Ends the chunk that grows.
    fn close(&mut self) {
        let Some(block) = self.open.take() else { return };
        let ranges = sstable::split(&block);
        self.hand_over(block, &ranges);
    }

    fn hand_over(&mut self, block: SampleBlock, ranges: &[Range<usize>]) {
        if let [whole] = ranges
            && whole.len() == block.len()
        {
            self.ready.push_back(Chunk::Joined(block));
        } else {
            let parts = ranges.iter().map(|range| block.slice(range.start, range.end));
            self.ready.extend(parts.map(Chunk::Joined));
        }
    }
}
