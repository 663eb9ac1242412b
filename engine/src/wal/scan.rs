//! What a segment file holds: runs of good records between stretches of damage.

use super::format::{ALIGNMENT, MARKER, RECORD_HEADER_BYTES, SEGMENT_HEADER_BYTES};
use super::frame::{Head, read_head};
use disk::{Checksum, DiskError, File};
use sample::Timestamp;
use std::ops::Range;
use std::sync::Arc;

/// Bytes read at once.
const WINDOW_BYTES: usize = 1 << 20;

/// A segment file, read through a window: memory is bounded by the window or one record.
pub(super) struct Segment {
    file: Arc<dyn File>,
    len: u64,
    /// Behind it there are only zeros: a segment is allocated long before it is filled.
    content_end: u64,
    buffer: Vec<u8>,
    start: u64,
}

impl Segment {
    pub(super) fn new(file: Arc<dyn File>) -> Result<Segment, DiskError> {
        let len = file.len()?;
        // Asked before anything is read: what was read counts as written.
        let content_end = file.content_end()?.min(len);
        Ok(Segment { file, len, content_end, buffer: Vec::new(), start: 0 })
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Up to `count` bytes at `offset`, fewer only at the end of the file.
    pub(super) fn bytes(&mut self, offset: u64, count: usize) -> Result<&[u8], DiskError> {
        let count = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX).min(count);
        let inside = offset >= self.start && offset + count as u64 <= self.start + self.buffer.len() as u64;
        if !inside {
            self.fill(offset, count)?;
        }
        let from = (offset - self.start) as usize;
        let to = self.buffer.len().min(from + count);
        Ok(&self.buffer[from..to])
    }

    fn fill(&mut self, offset: u64, count: usize) -> Result<(), DiskError> {
        let left = usize::try_from(self.len - offset.min(self.len)).unwrap_or(usize::MAX);
        self.buffer.clear();
        let written = usize::try_from(self.content_end.saturating_sub(offset)).unwrap_or(usize::MAX);
        self.buffer.resize(count.max(WINDOW_BYTES.min(written)).min(left), 0);
        self.start = offset;
        let found = self.file.read_at(offset, &mut self.buffer)?;
        self.buffer.truncate(found);
        Ok(())
    }

    /// The record header at `offset`, if one stands there.
    pub(super) fn head(&mut self, offset: u64, salt: &Checksum) -> Result<Option<Head>, DiskError> {
        Ok(read_head(self.bytes(offset, RECORD_HEADER_BYTES)?, salt))
    }

    /// The payload behind the header at `offset`; `None` when it is damaged or cut off.
    pub(super) fn payload(&mut self, offset: u64, head: &Head) -> Result<Option<&[u8]>, DiskError> {
        let count = head.record_bytes() - RECORD_HEADER_BYTES;
        let padded = self.bytes(offset + RECORD_HEADER_BYTES as u64, count)?;
        Ok((padded.len() == count && head.vouches_for(padded)).then(|| &padded[..head.len]))
    }

    /// What is in memory from `offset` on, at least a record's header unless the file ends before.
    fn ahead(&mut self, offset: u64) -> Result<&[u8], DiskError> {
        let here =
            offset.checked_sub(self.start).and_then(|from| self.buffer.get(usize::try_from(from).ok()?..));
        if here.is_none_or(|here| here.len() < RECORD_HEADER_BYTES) {
            self.fill(offset, RECORD_HEADER_BYTES)?;
        }
        Ok(&self.buffer[(offset - self.start) as usize..])
    }

    /// The first aligned offset from `offset` on where a record's header stands, if any.
    fn next_head(&mut self, mut offset: u64, salt: &Checksum) -> Result<Option<u64>, DiskError> {
        loop {
            if offset >= self.content_end {
                return Ok(None);
            }
            let ahead = self.ahead(offset)?;
            if ahead.len() < RECORD_HEADER_BYTES {
                return Ok(None);
            }
            // The last few bytes are looked at again with what follows them.
            let chunks = (ahead.len() - RECORD_HEADER_BYTES) / ALIGNMENT + 1;
            let found = ahead.chunks(ALIGNMENT).take(chunks).position(|chunk| chunk.starts_with(&MARKER));
            let Some(chunk) = found else {
                offset += (chunks * ALIGNMENT) as u64;
                continue;
            };
            offset += (chunk * ALIGNMENT) as u64;
            if self.head(offset, salt)?.is_some() {
                return Ok(Some(offset));
            }
            offset += ALIGNMENT as u64;
        }
    }

    /// Where the last byte in `range` that is not zero ends; the range's start if all are zero.
    fn end_of_content(&mut self, range: Range<u64>) -> Result<u64, DiskError> {
        let mut end = range.start;
        let mut offset = range.start;
        let range = range.start..range.end.min(self.content_end);
        while offset < range.end {
            let count = usize::try_from(range.end - offset).unwrap_or(usize::MAX).min(WINDOW_BYTES);
            let window = self.bytes(offset, count)?;
            if let Some(last) = window.iter().rposition(|byte| *byte != 0) {
                end = offset + last as u64 + 1;
            }
            if window.is_empty() {
                break;
            }
            offset += window.len() as u64;
        }
        Ok(end)
    }
}

/// What follows what in a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Piece {
    /// The header is damaged.
    Header,
    /// Good records with consecutive sequences.
    Run {
        /// Offset of the first.
        offset: u64,
        /// Where the last one ends.
        end: u64,
        /// Sequence of the first.
        first: u64,
        /// Sequence of the last.
        last: u64,
        /// Water mark of the last.
        received: Timestamp,
    },
    /// Bytes that are no record.
    Damage {
        /// Where.
        offset: u64,
        /// Where it ends.
        end: u64,
    },
}

/// What [`survey`] found behind a segment's header.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Survey {
    /// In the order of the file.
    pub(super) pieces: Vec<Piece>,
    /// Every durable note that is higher than those before it.
    pub(super) notes: Vec<u64>,
}

impl Survey {
    fn note(&mut self, durable: u64) {
        if durable > self.notes.last().copied().unwrap_or(0) {
            self.notes.push(durable);
        }
    }

    fn good(&mut self, offset: u64, head: &Head) {
        let (sequence, water_mark) = (head.record.sequence, head.record.received);
        let bytes = head.record_bytes() as u64;
        self.note(head.record.durable);
        match self.pieces.last_mut() {
            Some(Piece::Run { end, last, received, .. }) if *end == offset && *last + 1 == sequence => {
                (*end, *last, *received) = (offset + bytes, sequence, water_mark);
            }
            _ => self.pieces.push(Piece::Run {
                offset,
                end: offset + bytes,
                first: sequence,
                last: sequence,
                received: water_mark,
            }),
        }
    }

    fn damage(&mut self, offset: u64, until: u64) {
        match self.pieces.last_mut() {
            Some(Piece::Damage { end, .. }) if *end == offset => *end = until,
            _ => self.pieces.push(Piece::Damage { offset, end: until }),
        }
    }
}

/// Reads a whole segment and checks every record.
pub(super) fn survey(segment: &mut Segment, salt: &Checksum) -> Result<Survey, DiskError> {
    let mut survey = Survey::default();
    let mut offset = SEGMENT_HEADER_BYTES as u64;
    while offset < segment.len() {
        if let Some(head) = segment.head(offset, salt)? {
            // The header is what was written, so its length leads to the next record in any case.
            let end = (offset + head.record_bytes() as u64).min(segment.len());
            if segment.payload(offset, &head)?.is_some() {
                survey.good(offset, &head);
            } else {
                survey.note(head.record.durable);
                survey.damage(offset, end);
            }
            offset = end;
            continue;
        }
        let next = segment.next_head(offset, salt)?;
        let end = match next {
            Some(next) => next,
            None => segment.end_of_content(offset..segment.len())?,
        };
        if end > offset {
            survey.damage(offset, end);
        }
        match next {
            Some(next) => offset = next,
            None => break,
        }
    }
    Ok(survey)
}
