//! Cuts one channel's samples into the segments of an answer.

use crate::blocks::{Blocks, Found};
use crate::json::Elements;
use crate::limits::{
    CHUNKS_BLOCK_BYTES_MAX, CHUNKS_BLOCK_MAX, SEGMENT_BYTES_MAX, SEGMENT_SAMPLES, SEGMENT_SAMPLES_MAX,
};
use crate::selection::Selection;
use crate::transform::Transform;
use crate::undecoded::{Lent, Undecoded};
use engine::read::{ChannelView, Order, Part, Position, ReadError, Reader, Scan};
use sample::{BytesColumn, Column, Metadata, SampleBlock, Timestamp};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// A run of samples that share type and metadata, in the order of the answer.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    /// The samples; in a descending answer the times fall.
    pub block: SampleBlock,
    /// Metadata of all of them; `None` where it was not known.
    pub metadata: Option<Arc<Metadata>>,
}

/// Stored chunks one behind the other whose samples share type and metadata.
#[derive(Clone, Debug)]
pub(crate) struct ChunkSegment {
    /// The chunks, at least one.
    pub chunks: Vec<Undecoded>,
    /// Metadata of all their samples; `None` where it was not known.
    pub metadata: Option<Arc<Metadata>>,
}

impl ChunkSegment {
    /// Number of samples.
    pub(crate) fn samples(&self) -> usize {
        self.chunks.iter().map(|of| of.chunk.header().count()).sum()
    }

    /// Bytes of the chunks.
    pub(crate) fn bytes(&self) -> usize {
        self.chunks.iter().map(|of| of.chunk.place().len()).sum()
    }

    /// Whether it may go on with `other`.
    fn admits(&self, other: &ChunkSegment) -> bool {
        let header = |of: &ChunkSegment| of.chunks.first().map(|of| of.chunk.header().run.clone());
        header(self) == header(other)
            && same(&self.metadata, &other.metadata)
            && self.chunks.len() < CHUNKS_BLOCK_MAX
            && self.samples() + other.samples() <= SEGMENT_SAMPLES_MAX
            && self.bytes() + other.bytes() <= CHUNKS_BLOCK_BYTES_MAX
    }
}

/// A piece of an answer.
#[expect(clippy::large_enum_variant, reason = "one is moved for thousands of samples")]
#[derive(Debug)]
pub(crate) enum Piece {
    /// Samples.
    Samples(Segment),
    /// Chunks that go undecoded.
    Chunks(ChunkSegment),
}

/// Whether both are the same metadata.
fn same(a: &Option<Arc<Metadata>>, b: &Option<Arc<Metadata>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b) || a.same_bits(b),
        (None, None) => true,
        _ => false,
    }
}

/// How one channel is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    /// Times, direction, start.
    pub scan: Scan,
    /// Most samples, if limited.
    pub limit: Option<u64>,
    /// What happens to the values.
    pub transform: Transform,
}

/// The segments of one channel, bounded in samples and bytes, each read when it is asked for.
pub(crate) struct Segments<'a> {
    blocks: Blocks<'a>,
    reading: Reading,
    /// Samples still wanted.
    left: Option<u64>,
    last: Option<Position>,
    ended: bool,
    next: Option<Position>,
    /// Pieces cut and transformed, not yet part of a segment.
    pieces: VecDeque<Piece>,
    /// An error met behind samples that had to be delivered first.
    failure: Option<ReadError>,
    /// What the client has, where chunks may go undecoded.
    lent: Option<Lent>,
}

impl<'a> Segments<'a> {
    /// Over `view`, inside `selection` if there is one; nothing is read yet. `reader` is asked again when planned
    /// files have gone.
    pub(crate) fn new(
        reader: &'a Reader,
        view: ChannelView,
        reading: Reading,
        selection: Option<Selection>,
    ) -> Segments<'a> {
        Segments {
            blocks: Blocks::new(reader, view, reading.scan).within(selection),
            reading,
            left: reading.limit,
            last: None,
            ended: false,
            next: None,
            pieces: VecDeque::new(),
            failure: None,
            lent: None,
        }
    }

    /// Chunks may go undecoded where nothing is done to their samples; `lent` is what the client has by then.
    pub(crate) fn undecoded(self, lent: Option<Lent>) -> Segments<'a> {
        let asked = self.reading.transform == Transform::default()
            && self.reading.scan.order == Order::Ascending
            && !self.reading.scan.skip_damaged
            && !self.blocks.is_selective();
        Segments { lent: lent.filter(|_| asked), ..self }
    }

    /// The view that is being read.
    pub(crate) fn view(&self) -> &ChannelView {
        self.blocks.view()
    }

    /// Where to go on if the limit cut the answer; known after the last segment.
    pub(crate) fn next(&self) -> Option<Position> {
        self.next
    }

    /// The next segment, of samples or of chunks. After an error there are no more.
    pub(crate) fn segment(&mut self) -> Result<Option<Piece>, ReadError> {
        if let Some(error) = self.failure.take() {
            return Err(error);
        }
        let mut open: Option<Open> = None;
        // What comes next is not read before the client has taken what is there.
        while !open.as_ref().is_some_and(Open::is_full) {
            let mut piece = match self.piece() {
                Ok(Some(Piece::Samples(piece))) if open.is_none() && Open::holds(&piece) => {
                    open = Some(Open::whole(piece));
                    continue;
                }
                Ok(Some(Piece::Samples(piece))) => piece,
                Ok(Some(Piece::Chunks(chunks))) if open.is_none() => {
                    return Ok(Some(Piece::Chunks(self.chunks(chunks))));
                }
                Ok(Some(chunks @ Piece::Chunks(_))) => {
                    self.pieces.push_front(chunks);
                    break;
                }
                Ok(None) => break,
                Err(error) if open.is_none() => return Err(error),
                Err(error) => {
                    self.failure = Some(error);
                    break;
                }
            };
            let segment = match &mut open {
                None => open.insert(Open::new(&piece)),
                Some(segment) if segment.admits(&piece, self.reading.transform.widen.is_some()) => segment,
                Some(_) => {
                    self.pieces.push_front(Piece::Samples(piece));
                    break;
                }
            };
            // What does not fit whole begins the next: what were left of it would be copied, and held meanwhile.
            let fits = if segment.has_room(&piece) { segment.append(&piece) } else { 0 };
            if fits < piece.block.len() {
                if fits > 0 {
                    piece.block = piece.block.slice(fits, piece.block.len());
                }
                self.pieces.push_front(Piece::Samples(piece));
                break;
            }
        }
        Ok(open.map(Open::close).map(Piece::Samples))
    }

    /// `segment` with as many chunks behind it as belong to it.
    fn chunks(&mut self, mut segment: ChunkSegment) -> ChunkSegment {
        loop {
            match self.piece() {
                Ok(Some(Piece::Chunks(mut next))) if segment.admits(&next) => {
                    segment.chunks.append(&mut next.chunks);
                    continue;
                }
                Ok(Some(next)) => self.pieces.push_front(next),
                Ok(None) => {}
                Err(error) => self.failure = Some(error),
            }
            return segment;
        }
    }

    fn piece(&mut self) -> Result<Option<Piece>, ReadError> {
        loop {
            if let Some(piece) = self.pieces.pop_front() {
                return Ok(Some(piece));
            }
            match self.block()? {
                None => return Ok(None),
                Some(Found::Samples(block)) => self.cut(block),
                Some(Found::Chunk(chunk)) => return Ok(Some(Piece::Chunks(self.alone(chunk)))),
            }
        }
    }

    /// A chunk with its metadata; one in which that changes was not taken.
    fn alone(&self, chunk: Undecoded) -> ChunkSegment {
        let header = chunk.chunk.header();
        let changes = self.blocks.view().metadata();
        let known = header.run.metadata_known;
        let metadata = known.then(|| changes.get(in_force(changes, header.first.0))).flatten();
        ChunkSegment { metadata: metadata.map(|(_, metadata)| metadata.clone()), chunks: vec![chunk] }
    }

    fn found(&mut self) -> Result<Option<Found>, ReadError> {
        let Some(lent) = &self.lent else { return Ok(self.blocks.next()?.map(Found::Samples)) };
        let (range, left) = (self.reading.scan.range, self.left);
        let mut wanted = |view: &ChannelView, part: &Part| {
            let (first, last) = (part.first.time, part.last.time);
            let changes = view.metadata();
            range.contains(Timestamp(first))
                && range.contains(Timestamp(last))
                && left.is_none_or(|left| u64::from(part.count) <= left)
                && in_force(changes, first) == in_force(changes, last)
        };
        self.blocks.next_or_chunk(lent, &mut wanted)
    }

    /// The next block in the order of the answer, cut at the limit, or a whole chunk.
    fn block(&mut self) -> Result<Option<Found>, ReadError> {
        if self.ended {
            return Ok(None);
        }
        let block = match self.found() {
            Ok(Some(Found::Chunk(chunk))) => {
                let header = chunk.chunk.header();
                self.left = self.left.map(|left| left.saturating_sub(header.count() as u64));
                self.last = Some(Position { time: header.last.0, rank: header.last_rank });
                return Ok(Some(Found::Chunk(chunk)));
            }
            Ok(Some(Found::Samples(block))) => block,
            Ok(None) => {
                self.ended = true;
                return Ok(None);
            }
            Err(error) => {
                self.ended = true;
                return Err(error);
            }
        };
        if self.left == Some(0) {
            // The limit was reached, and here is one more.
            self.ended = true;
            self.next = self.last;
            return Ok(None);
        }
        let mut block = match self.reading.scan.order {
            Order::Ascending => block,
            Order::Descending => reversed(&block),
        };
        if let Some(left) = self.left {
            let keep = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
            self.left = Some(left - keep as u64);
            if keep < block.len() {
                block = block.slice(0, keep);
                self.ended = true;
            }
        }
        let (time, rank) = block.position(block.len() - 1);
        self.last = Some(Position { time, rank });
        if self.ended {
            self.next = self.last;
        }
        Ok(Some(Found::Samples(block)))
    }

    /// Cuts a block where metadata changes.
    fn cut(&mut self, block: SampleBlock) {
        let pieces = cut(block, self.blocks.view().metadata(), &self.reading.transform);
        self.pieces.extend(pieces.into_iter().map(Piece::Samples));
    }
}

/// Samples of one block cut where metadata changes, transformed. `changes` are all changes of metadata, by time.
pub(crate) fn cut(
    block: SampleBlock,
    changes: &[(Timestamp, Arc<Metadata>)],
    transform: &Transform,
) -> Vec<Segment> {
    let segment = |block, metadata: Option<Arc<Metadata>>| Segment {
        block: transform.apply(block, metadata.as_deref()),
        metadata,
    };
    let stretches = same_metadata(&block, changes).map(|(samples, metadata)| (samples, metadata.cloned()));
    let mut stretches: Vec<_> = stretches.collect();
    // Most blocks are one, and are not copied.
    if stretches.len() == 1
        && let Some((_, metadata)) = stretches.pop()
    {
        return vec![segment(block, metadata)];
    }
    let piece =
        |(samples, metadata): (Range<usize>, _)| segment(block.slice(samples.start, samples.end), metadata);
    stretches.into_iter().map(piece).collect()
}

/// Stretches of samples of one block with the same metadata. `changes` are all changes of metadata, by time.
pub(crate) fn same_metadata<'a>(
    block: &'a SampleBlock,
    changes: &'a [(Timestamp, Arc<Metadata>)],
) -> impl Iterator<Item = (Range<usize>, Option<&'a Arc<Metadata>>)> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let rest = block.time.get(start..).filter(|rest| !rest.is_empty())?;
        let samples = if block.run.metadata_known {
            let own = in_force(changes, rest[0]);
            start..start + rest.partition_point(|time| in_force(changes, *time) == own)
        } else {
            start..block.len()
        };
        start = samples.end;
        let metadata = block.run.metadata_known.then(|| changes.get(in_force(changes, rest[0]))).flatten();
        Some((samples, metadata.map(|(_, metadata)| metadata)))
    })
}

/// Which of `changes` is in force at `time`. Stamps may lie before the time at which the first metadata arrived; those
/// samples were stored with it all the same.
pub(crate) fn in_force(changes: &[(Timestamp, Arc<Metadata>)], time: i64) -> usize {
    changes.partition_point(|(from, _)| from.0 <= time).saturating_sub(1)
}

/// A segment that is being filled.
struct Open {
    segment: Segment,
    bytes: usize,
    /// Other metadata of its samples, when types are widened.
    others: Vec<Arc<Metadata>>,
    /// Whether one of its samples had none.
    unknown: bool,
}

impl Open {
    fn new(piece: &Segment) -> Open {
        let block = SampleBlock::new(piece.block.run.clone());
        let segment = Segment { block, metadata: piece.metadata.clone() };
        Open { segment, bytes: 0, others: Vec::new(), unknown: piece.metadata.is_none() }
    }

    /// Whether a segment may have all of `piece`.
    fn holds(piece: &Segment) -> bool {
        piece.block.len() <= SEGMENT_SAMPLES && piece.block.values.byte_len() <= SEGMENT_BYTES_MAX
    }

    /// One that has all of a piece that it holds.
    fn whole(piece: Segment) -> Open {
        let (bytes, unknown) = (piece.block.values.byte_len(), piece.metadata.is_none());
        Open { segment: piece, bytes, others: Vec::new(), unknown }
    }

    /// Whether it is large enough to be sent as it is.
    fn is_full(&self) -> bool {
        self.segment.block.len() >= SEGMENT_SAMPLES / 4 * 3
    }

    fn admits(&self, piece: &Segment, widened: bool) -> bool {
        let same = same(&self.segment.metadata, &piece.metadata);
        self.segment.block.run == piece.block.run && (same || widened)
    }

    /// Whether it may go on with `piece`: it is empty, or takes all of it.
    fn has_room(&self, piece: &Segment) -> bool {
        let (samples, bytes) = (self.segment.block.len(), self.bytes);
        samples == 0
            || samples + piece.block.len() <= SEGMENT_SAMPLES
                && bytes + piece.block.values.byte_len() <= SEGMENT_BYTES_MAX
    }

    /// Appends a piece for which it has room, of a large one as many samples as fit and at least one; says how many.
    fn append(&mut self, piece: &Segment) -> usize {
        let room = SEGMENT_SAMPLES - self.segment.block.len();
        let mut count = piece.block.len().min(room);
        let bytes = piece.block.values.byte_len();
        if self.bytes + bytes <= SEGMENT_BYTES_MAX {
            self.bytes += bytes;
        } else {
            let mut fits = 0;
            while fits < count {
                let row = row_bytes(&piece.block.values, fits);
                if self.bytes + row > SEGMENT_BYTES_MAX && fits > 0 {
                    break;
                }
                self.bytes += row;
                fits += 1;
            }
            count = fits;
        }
        if count > 0 {
            let block = &mut self.segment.block;
            // What more comes is likely as long.
            if block.is_empty() {
                block.reserve(count);
            } else if block.time.capacity() < block.len() + count {
                block.reserve((2 * block.len()).max(count).min(SEGMENT_SAMPLES - block.len()));
            }
            block.append(&piece.block, 0, count);
            match &piece.metadata {
                Some(metadata) => {
                    let known = |m: &Arc<Metadata>| Arc::ptr_eq(m, metadata);
                    if !self.segment.metadata.as_ref().is_some_and(known) && !self.others.iter().any(known) {
                        self.others.push(metadata.clone());
                    }
                }
                None => self.unknown = true,
            }
        }
        count
    }

    fn close(mut self) -> Segment {
        if self.unknown {
            self.segment.metadata = None;
        } else if let Some(metadata) = &mut self.segment.metadata {
            for other in &self.others {
                if !other.same_bits(metadata) {
                    *metadata = Arc::new(common(metadata, other));
                }
            }
        }
        self.segment
    }
}

/// What holds in both.
fn common(a: &Metadata, b: &Metadata) -> Metadata {
    fn same<T: PartialEq + Clone>(a: &Option<T>, b: &Option<T>) -> Option<T> {
        if a == b { a.clone() } else { None }
    }
    Metadata {
        units: same(&a.units, &b.units),
        precision: same(&a.precision, &b.precision),
        display_low: same(&a.display_low, &b.display_low),
        display_high: same(&a.display_high, &b.display_high),
        alarm_low: same(&a.alarm_low, &b.alarm_low),
        alarm_high: same(&a.alarm_high, &b.alarm_high),
        warning_low: same(&a.warning_low, &b.warning_low),
        warning_high: same(&a.warning_high, &b.warning_high),
        control_low: same(&a.control_low, &b.control_low),
        control_high: same(&a.control_high, &b.control_high),
        states: same(&a.states, &b.states),
        description: same(&a.description, &b.description),
        host: same(&a.host, &b.host),
        settings: same(&a.settings, &b.settings),
    }
}

fn bytes_in(strings: &BytesColumn, from: usize, to: usize) -> usize {
    let end = |i: usize| if i == 0 { 0 } else { strings.ends[i - 1] as usize };
    end(to) - end(from)
}

/// Value bytes of sample `i`.
fn row_bytes(column: &Column, i: usize) -> usize {
    let rows = column.elements(i);
    match column {
        Column::Array { elements, .. } => match &**elements {
            Column::String(b) | Column::Structure(b) => bytes_in(b, rows.start, rows.end),
            fixed => rows.len() * fixed.kind().width().unwrap_or(0),
        },
        Column::String(b) | Column::Structure(b) => bytes_in(b, i, i + 1),
        fixed => fixed.kind().width().unwrap_or(0),
    }
}

fn reversed(block: &SampleBlock) -> SampleBlock {
    let mut out = SampleBlock::new(block.run.clone());
    out.reserve(block.len());
    for i in (0..block.len()).rev() {
        out.append(block, i, i + 1);
    }
    out
}
