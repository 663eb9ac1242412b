//! Reads the blocks of `columns`; the reference decoder.

use super::decode_bins::bins;
use super::decode_chunks;
use super::decode_table::{Table, table};
use super::{
    ARRAY, BLOCK_HEAD_BYTES, COLUMN_ENTRY_BYTES, DESCRIPTOR, EDGE, FLAG_COMPLETE, FLAG_METADATA_KNOWN,
    KIND_BATCH, KIND_BINS, KIND_CHUNKS, KIND_END, KIND_LENDERS, KIND_NOTICE, KIND_TABLE, MAGIC, MAJOR,
    MESSAGE, MESSAGE_OFFSETS, RECEIVED, SEVERITY, STATUS, STREAM_HEAD_BYTES, STRING_OFFSETS, TIME, USER_TAG,
    VALUE, VALUE_OFFSETS,
};
use crate::limits::COLUMNS_BLOCK_BYTES_MAX;
use sample::{BytesColumn, Column, Kind, RunType, SampleBlock, StatusDomain, Timestamp, ValueType};
use serde_json::Value;
use std::fmt;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

/// Why bytes are no `columns` stream.
#[derive(Debug)]
pub enum DecodeError {
    /// Reading failed.
    Io(io::Error),
    /// Written by a later version.
    TooNew {
        /// Major version found; this program reads up to [`MAJOR`].
        major: u16,
    },
    /// The bytes do not fit the format.
    Corrupt {
        /// Offset of the block in the stream.
        offset: u64,
        /// What was found or missed.
        what: &'static str,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::Io(error) => write!(f, "reading the stream failed: {error}"),
            DecodeError::TooNew { major } => {
                write!(f, "the stream has major version {major}, this program reads up to {MAJOR}")
            }
            DecodeError::Corrupt { offset, what } => {
                write!(f, "the block at byte {offset} of the stream is not valid: {what}")
            }
        }
    }
}

impl std::error::Error for DecodeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            DecodeError::Io(error) => Some(error),
            _ => None,
        }
    }
}

/// Samples of one channel, type and metadata version.
#[derive(Clone, PartialEq, Debug)]
pub struct Batch {
    /// Position of the channel in the answer.
    pub channel_index: u32,
    /// The channel's name.
    pub name: String,
    /// The samples; ranks count from 0 among equal times, for the format has none.
    pub block: SampleBlock,
    /// One a sample, or empty where the stream has no such column.
    pub edge: Vec<bool>,
    /// `type`, `metadata` and so on as in JSON answers.
    pub json: Value,
}

/// Bins of one channel.
#[derive(Clone, PartialEq, Debug)]
pub struct Bins {
    /// Position of the channel in the answer.
    pub channel_index: u32,
    /// The channel's name.
    pub name: String,
    /// Columns by the names of their tags, all of one length; NaN and the least integer stand for nothing.
    pub columns: Vec<(&'static str, Column)>,
    /// Time in each state, bin by bin in ns, where the stream has that column; the states are in `json`.
    pub states_ns: Vec<i64>,
    /// `type`, `metadata` and so on as in JSON answers.
    pub json: Value,
}

/// The last block.
#[derive(Clone, PartialEq, Debug)]
pub struct End {
    /// Whether nothing is missing.
    pub complete: bool,
    /// Samples of all channels, those beside the range not among them.
    pub samples: u64,
    /// Everything received at or before this survives a crash.
    pub durable_until: Timestamp,
    /// Problems, channels, cursors, gaps.
    pub json: Value,
}

/// What else happened in a stream that follows channels.
#[derive(Clone, PartialEq, Debug)]
pub struct Notice {
    /// Position in the answer of the channel that it concerns.
    pub channel_index: u32,
    /// That channel's name; empty where it concerns all.
    pub name: String,
    /// What happened.
    pub json: Value,
}

/// One block.
#[derive(Clone, PartialEq, Debug)]
pub enum Block {
    /// Samples.
    Batch(Box<Batch>),
    /// Bins.
    Bins(Box<Bins>),
    /// Rows of a table.
    Table(Box<Table>),
    /// What else happened.
    Notice(Box<Notice>),
    /// The end.
    End(End),
}

/// Reads one block at a time. After [`Block::End`] there is none; a stream without it is an error.
pub struct Decoder<R> {
    input: R,
    offset: u64,
    checksum: crc32fast::Hasher,
    /// What chunks need of those before them.
    apart: sstable::ChunksApart,
    ended: bool,
}

impl<R: Read> Decoder<R> {
    /// Over a stream from its first byte.
    pub fn new(input: R) -> Decoder<R> {
        Decoder {
            input,
            offset: 0,
            checksum: crc32fast::Hasher::new(),
            apart: sstable::ChunksApart::new(),
            ended: false,
        }
    }

    fn corrupt(&self, what: &'static str) -> DecodeError {
        DecodeError::Corrupt { offset: self.offset, what }
    }

    /// Appends exactly `count` bytes; memory grows with what arrives, not with what is announced.
    fn take(&mut self, into: &mut Vec<u8>, count: u64) -> Result<(), DecodeError> {
        let got = (&mut self.input).take(count).read_to_end(into).map_err(DecodeError::Io)?;
        if got as u64 == count { Ok(()) } else { Err(self.corrupt("the stream ends inside it")) }
    }

    fn head(&mut self) -> Result<(), DecodeError> {
        let mut head = Vec::new();
        self.take(&mut head, STREAM_HEAD_BYTES as u64)?;
        if head[..8] != MAGIC {
            return Err(self.corrupt("the magic of a columns stream is missing"));
        }
        let major = u16::from_le_bytes([head[8], head[9]]);
        if major > MAJOR {
            return Err(DecodeError::TooNew { major });
        }
        self.checksum.update(&head);
        self.offset = STREAM_HEAD_BYTES as u64;
        Ok(())
    }

    /// The next block; `None` behind the end.
    pub fn block(&mut self) -> Result<Option<Block>, DecodeError> {
        if self.ended {
            return Ok(None);
        }
        if self.offset == 0 {
            self.head()?;
        }
        loop {
            let mut bytes = Vec::new();
            self.take(&mut bytes, BLOCK_HEAD_BYTES as u64)?;
            let total = u64_at(&bytes, 8).unwrap_or(0);
            if total < BLOCK_HEAD_BYTES as u64 || !total.is_multiple_of(8) || total > COLUMNS_BLOCK_BYTES_MAX
            {
                return Err(self.corrupt("its length is impossible"));
            }
            self.take(&mut bytes, total - BLOCK_HEAD_BYTES as u64)?;
            let kind = u32_at(&bytes, 0).unwrap_or(0);
            if kind == KIND_END {
                let end = self.end(&bytes)?;
                self.ended = true;
                return Ok(Some(Block::End(end)));
            }
            for covered in decode_chunks::covered(&bytes, kind).map_err(|what| self.corrupt(what))? {
                self.checksum.update(covered);
            }
            let block = match kind {
                KIND_BATCH => {
                    let batch = batch(&bytes).map_err(|what| self.corrupt(what))?;
                    Some(Block::Batch(Box::new(batch)))
                }
                KIND_CHUNKS => {
                    let batch =
                        decode_chunks::batch(&bytes, &self.apart).map_err(|what| self.corrupt(what))?;
                    Some(Block::Batch(Box::new(batch)))
                }
                KIND_LENDERS => {
                    decode_chunks::lend(&bytes, &mut self.apart).map_err(|what| self.corrupt(what))?;
                    None
                }
                KIND_BINS => Some(Block::Bins(Box::new(bins(&bytes).map_err(|what| self.corrupt(what))?))),
                KIND_TABLE => {
                    let rows = table(&bytes).map_err(|what| self.corrupt(what))?;
                    Some(Block::Table(Box::new(rows)))
                }
                KIND_NOTICE => {
                    let text = Text::of(&bytes).map_err(|what| self.corrupt(what))?;
                    let channel_index = u32_at(&bytes, 24).unwrap_or(0);
                    Some(Block::Notice(Box::new(Notice { channel_index, name: text.name, json: text.json })))
                }
                // Of a later minor version.
                _ => None,
            };
            self.offset += total;
            if block.is_some() {
                return Ok(block);
            }
        }
    }

    fn end(&mut self, bytes: &[u8]) -> Result<End, DecodeError> {
        let (body, sum) = bytes.split_at(bytes.len() - 8);
        self.checksum.update(body);
        let expected = u64::from(self.checksum.clone().finalize());
        if u64_at(sum, 0) != Some(expected) {
            return Err(self.corrupt("the checksum of the stream does not fit"));
        }
        let text = Text::of(body).map_err(|what| self.corrupt(what))?;
        Ok(End {
            complete: u32_at(body, 36).unwrap_or(0) & FLAG_COMPLETE != 0,
            samples: u64_at(body, 16).unwrap_or(0),
            durable_until: Timestamp(u64_at(body, 48).unwrap_or(0).cast_signed()),
            json: text.json,
        })
    }
}

/// All samples of a whole stream.
pub fn decode(bytes: &[u8]) -> Result<(Vec<Batch>, End), DecodeError> {
    let mut decoder = Decoder::new(bytes);
    let mut batches = Vec::new();
    loop {
        match decoder.block()? {
            Some(Block::Batch(batch)) => batches.push(*batch),
            Some(Block::Bins(_) | Block::Table(_) | Block::Notice(_)) => {}
            Some(Block::End(end)) => return Ok((batches, end)),
            None => return Err(decoder.corrupt("the end block is missing")),
        }
    }
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

/// What stands between a block's column entries and its columns.
pub(super) struct Text {
    pub(super) name: String,
    pub(super) json: Value,
}

impl Text {
    pub(super) fn of(bytes: &[u8]) -> Result<Text, &'static str> {
        let outside = "its text lies outside";
        let columns = u32_at(bytes, 4).ok_or(outside)? as usize;
        let name_bytes = u32_at(bytes, 40).ok_or(outside)? as usize;
        let json_bytes = u32_at(bytes, 44).ok_or(outside)? as usize;
        let start = columns
            .checked_mul(COLUMN_ENTRY_BYTES)
            .and_then(|n| n.checked_add(BLOCK_HEAD_BYTES))
            .ok_or(outside)?;
        let middle = start.checked_add(name_bytes).ok_or(outside)?;
        let end = middle.checked_add(json_bytes).ok_or(outside)?;
        let name = bytes.get(start..middle).ok_or(outside)?;
        let json = bytes.get(middle..end).ok_or(outside)?;
        Ok(Text {
            name: String::from_utf8(name.to_vec()).map_err(|_| "its channel name is not UTF-8")?,
            json: serde_json::from_slice(json).map_err(|_| "its description is not JSON")?,
        })
    }
}

/// The content of the column with a tag and its element type.
pub(super) fn column(bytes: &[u8], wanted: u32) -> Result<Option<(u32, &[u8])>, &'static str> {
    Entries::all(bytes).find(wanted)
}

/// As [`column`], looked for among some column entries only.
fn column_among(
    bytes: &[u8],
    wanted: u32,
    entries: Range<usize>,
) -> Result<Option<(u32, &[u8])>, &'static str> {
    let found = place_among(bytes, wanted, entries)?;
    Ok(found.map(|(element, place)| (element, &bytes[place])))
}

/// Element type and place inside the block of a column, if it is among some of the block's entries.
pub(super) fn place_among(
    bytes: &[u8],
    wanted: u32,
    entries: Range<usize>,
) -> Result<Option<(u32, Range<usize>)>, &'static str> {
    let outside = "a column lies outside";
    for i in entries {
        let entry = BLOCK_HEAD_BYTES + i * COLUMN_ENTRY_BYTES;
        let tag = u32_at(bytes, entry).ok_or(outside)?;
        if tag != wanted {
            continue;
        }
        let element = u32_at(bytes, entry + 4).ok_or(outside)?;
        let size = |at: usize| u64_at(bytes, at).and_then(|n| usize::try_from(n).ok()).ok_or(outside);
        let (offset, length) = (size(entry + 8)?, size(entry + 16)?);
        if !offset.is_multiple_of(8) {
            return Err("a column is not aligned");
        }
        let end = offset.checked_add(length).ok_or(outside)?;
        return if end <= bytes.len() { Ok(Some((element, offset..end))) } else { Err(outside) };
    }
    Ok(None)
}

/// Some of a block's column entries.
#[derive(Clone)]
pub(super) struct Entries<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) places: Range<usize>,
}

impl<'a> Entries<'a> {
    /// All of them.
    pub(super) fn all(bytes: &'a [u8]) -> Entries<'a> {
        Entries { bytes, places: 0..u32_at(bytes, 4).unwrap_or(0) as usize }
    }

    fn find(&self, tag: u32) -> Result<Option<(u32, &'a [u8])>, &'static str> {
        column_among(self.bytes, tag, self.places.clone())
    }

    pub(super) fn required(&self, tag: u32) -> Result<&'a [u8], &'static str> {
        Ok(self.find(tag)?.ok_or("a column is missing")?.1)
    }
}

fn required(bytes: &[u8], tag: u32) -> Result<&[u8], &'static str> {
    Entries::all(bytes).required(tag)
}

pub(super) fn fixed<T, const N: usize>(
    bytes: &[u8],
    read: impl Fn([u8; N]) -> T,
) -> Result<Vec<T>, &'static str> {
    let (chunks, rest) = bytes.as_chunks::<N>();
    if rest.is_empty() {
        Ok(chunks.iter().map(|c| read(*c)).collect())
    } else {
        Err("a column's length is odd")
    }
}

/// Offsets that start at 0 and never decrease, as ends.
fn ends(bytes: &[u8], behind: usize) -> Result<Vec<u32>, &'static str> {
    let bad = "offsets are not valid";
    let offsets = fixed(bytes, u64::from_le_bytes)?;
    let ordered = offsets.windows(2).all(|pair| pair[0] <= pair[1]);
    if !ordered || offsets.first() != Some(&0) || offsets.last() != Some(&(behind as u64)) {
        return Err(bad);
    }
    offsets[1..].iter().map(|end| u32::try_from(*end).map_err(|_| bad)).collect()
}

fn strings(of: &Entries<'_>, content: &[u8], offsets: u32) -> Result<BytesColumn, &'static str> {
    let ends = ends(of.required(offsets)?, content.len())?;
    Ok(BytesColumn { ends, data: content.to_vec() })
}

fn elements(of: &Entries<'_>, kind: Kind) -> Result<Column, &'static str> {
    let (element, v) = of.find(VALUE)?.ok_or("a column is missing")?;
    if element != kind as u32 {
        return Err("the value column is of another type");
    }
    Ok(match kind {
        Kind::Bool => Column::Bool(v.to_vec()),
        Kind::Enum => Column::Enum(fixed(v, u16::from_le_bytes)?),
        Kind::Int8 => Column::Int8(fixed(v, i8::from_le_bytes)?),
        Kind::Int16 => Column::Int16(fixed(v, i16::from_le_bytes)?),
        Kind::Int32 => Column::Int32(fixed(v, i32::from_le_bytes)?),
        Kind::Int64 => Column::Int64(fixed(v, i64::from_le_bytes)?),
        Kind::UInt8 => Column::UInt8(v.to_vec()),
        Kind::UInt16 => Column::UInt16(fixed(v, u16::from_le_bytes)?),
        Kind::UInt32 => Column::UInt32(fixed(v, u32::from_le_bytes)?),
        Kind::UInt64 => Column::UInt64(fixed(v, u64::from_le_bytes)?),
        Kind::Float32 => Column::Float32(fixed(v, f32::from_le_bytes)?),
        Kind::Float64 => Column::Float64(fixed(v, f64::from_le_bytes)?),
        Kind::String => Column::String(strings(of, v, STRING_OFFSETS)?),
        Kind::Structure => Column::Structure(strings(of, v, STRING_OFFSETS)?),
    })
}

/// Values of one type.
pub(super) fn values_of(of: &Entries<'_>, value_type: ValueType) -> Result<Column, &'static str> {
    let elements = elements(of, value_type.kind)?;
    if !value_type.array {
        return Ok(elements);
    }
    let ends = ends(of.required(VALUE_OFFSETS)?, elements.len())?;
    Ok(Column::Array { ends, elements: Box::new(elements) })
}

fn batch(bytes: &[u8]) -> Result<Batch, &'static str> {
    let text = Text::of(bytes)?;
    let count = usize::try_from(u64_at(bytes, 16).unwrap_or(0)).map_err(|_| "too many samples")?;
    let type_code = u32_at(bytes, 28).unwrap_or(0);
    let kind = u8::try_from(type_code & !ARRAY).ok().and_then(Kind::from_tag).ok_or("unknown value type")?;
    let array = type_code & ARRAY != 0;
    let values = values_of(&Entries::all(bytes), ValueType { kind, array })?;
    let longs = |tag: u32| match column(bytes, tag)? {
        Some((_, v)) => fixed(v, i64::from_le_bytes).map(Some),
        None => Ok(None),
    };
    let (received, user_tag) = (longs(RECEIVED)?, longs(USER_TAG)?);
    let message = match column(bytes, MESSAGE)? {
        Some((_, v)) => Some(strings(&Entries::all(bytes), v, MESSAGE_OFFSETS)?),
        None => None,
    };
    let time = fixed(required(bytes, TIME)?, i64::from_le_bytes)?;
    let run = RunType {
        value: ValueType { kind, array },
        domain: if u32_at(bytes, 32) == Some(0) { StatusDomain::Ca } else { StatusDomain::Pva },
        metadata_known: u32_at(bytes, 36).unwrap_or(0) & FLAG_METADATA_KNOWN != 0,
        user_tag: user_tag.is_some(),
        message: message.is_some(),
        received: received.is_some(),
        descriptor: column(bytes, DESCRIPTOR)?.map(|(_, descriptor)| Arc::from(descriptor)),
    };
    let block = SampleBlock {
        rank: ranks(&time),
        time,
        values,
        severity: required(bytes, SEVERITY)?.to_vec(),
        status: fixed(required(bytes, STATUS)?, u16::from_le_bytes)?,
        user_tag: user_tag.unwrap_or_default(),
        message: message.unwrap_or_default(),
        received: received.unwrap_or_default(),
        run,
    };
    let edge: Vec<bool> =
        column(bytes, EDGE)?.map(|(_, v)| v.iter().map(|b| *b != 0).collect()).unwrap_or_default();
    let optional = |present: bool, len: usize| len == if present { count } else { 0 };
    let whole = block.time.len() == count
        && block.values.len() == count
        && block.severity.len() == count
        && block.status.len() == count
        && optional(block.run.user_tag, block.user_tag.len())
        && optional(block.run.message, block.message.len())
        && optional(block.run.received, block.received.len())
        && (edge.is_empty() || edge.len() == count);
    if !whole {
        return Err("columns differ in length");
    }
    let channel_index = u32_at(bytes, 24).unwrap_or(0);
    Ok(Batch { channel_index, name: text.name, block, edge, json: text.json })
}

pub(super) fn ranks(times: &[i64]) -> Vec<u32> {
    let mut rank = 0;
    let next = |i: usize| {
        rank = if i > 0 && times[i] == times[i - 1] { rank + 1 } else { 0 };
        rank
    };
    (0..times.len()).map(next).collect()
}
