//! Writes the blocks of `columns`.

use super::{
    ARRAY, BLOCK_HEAD_BYTES, COLUMN_ENTRY_BYTES, DESCRIPTOR, EDGE, FLAG_COMPLETE, FLAG_METADATA_KNOWN, HELD,
    KIND_BATCH, KIND_BINS, KIND_END, KIND_NOTICE, KIND_TABLE, MAGIC, MAJOR, MESSAGE, MESSAGE_OFFSETS, MINOR,
    RECEIVED, SEVERITY, STATES, STATUS, STRING_OFFSETS, TIME, USER_TAG, VALUE, VALUE_OFFSETS, padding,
    tag_of_bins,
};
use crate::bin_table::{BinTable, Cells};
use crate::limits::SEGMENT_SAMPLES;
use crate::output::{Plain, Stopped, Writer};
use crate::routes::COLUMNS_MEDIA_TYPE;
use crate::table::RowBlock;
use axum::body::Bytes;
use bytemuck::NoUninit;
use sample::{BytesColumn, Column, Kind, SampleBlock, Timestamp, ValueType};
use serde_json::{Value, json};

/// The first bytes of a stream.
pub fn stream_head() -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend(MAJOR.to_le_bytes());
    out.extend(MINOR.to_le_bytes());
    out.extend([0; 4]);
    out
}

/// The fields of a block's head that differ.
#[derive(Default)]
pub(super) struct BlockHead<'a> {
    pub(super) kind: u32,
    pub(super) samples: u64,
    pub(super) channel: u32,
    pub(super) value_type: u32,
    pub(super) domain: u32,
    pub(super) flags: u32,
    pub(super) name: &'a [u8],
    pub(super) durable_until: i64,
}

impl BlockHead<'_> {
    /// Head, column entries, name and JSON; `columns` are (tag, element type, bytes), `tail` is what follows them.
    pub(super) fn bytes(&self, columns: &[(u32, u32, usize)], json: &[u8], tail: usize) -> Vec<u8> {
        let text = self.name.len() + json.len();
        let first = BLOCK_HEAD_BYTES + columns.len() * COLUMN_ENTRY_BYTES + text + padding(text);
        let total = first + columns.iter().map(|(_, _, bytes)| bytes + padding(*bytes)).sum::<usize>() + tail;
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let mut out = Vec::with_capacity(first);
        out.extend(self.kind.to_le_bytes());
        out.extend(narrow(columns.len()).to_le_bytes());
        out.extend((total as u64).to_le_bytes());
        out.extend(self.samples.to_le_bytes());
        for field in [self.channel, self.value_type, self.domain, self.flags] {
            out.extend(field.to_le_bytes());
        }
        out.extend(narrow(self.name.len()).to_le_bytes());
        out.extend(narrow(json.len()).to_le_bytes());
        out.extend(self.durable_until.to_le_bytes());
        out.extend([0; 8]);
        let mut offset = first;
        for (tag, element_type, bytes) in columns {
            out.extend(tag.to_le_bytes());
            out.extend(element_type.to_le_bytes());
            out.extend((offset as u64).to_le_bytes());
            out.extend((*bytes as u64).to_le_bytes());
            offset += bytes + padding(*bytes);
        }
        out.extend_from_slice(self.name);
        out.extend_from_slice(json);
        out.resize(first, 0);
        out
    }
}

/// Bytes of one column.
enum Content<'a> {
    Borrowed(&'a [u8]),
    /// They may be sent without being copied.
    Owned(Bytes),
}

impl Content<'_> {
    fn len(&self) -> usize {
        match self {
            Content::Borrowed(bytes) => bytes.len(),
            Content::Owned(bytes) => bytes.len(),
        }
    }
}

impl<B: Into<Bytes>> From<B> for Content<'static> {
    fn from(bytes: B) -> Content<'static> {
        Content::Owned(bytes.into())
    }
}

/// (tag, element type, content)
type Columns<'a> = Vec<(u32, u32, Content<'a>)>;

/// Numbers that are sent as they lie in memory.
struct InMemory<T>(Vec<T>);

impl<T: NoUninit> AsRef<[u8]> for InMemory<T> {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

/// Little-endian bytes: as they lie in memory, on nearly every machine.
fn little<T: NoUninit + Send, const N: usize>(
    values: Vec<T>,
    bytes: impl Fn(T) -> [u8; N],
) -> Content<'static> {
    if cfg!(target_endian = "little") {
        return Bytes::from_owner(InMemory(values)).into();
    }
    values.iter().flat_map(|v| bytes(*v)).collect::<Vec<u8>>().into()
}

/// As [`little`], of numbers that stay.
fn little_of(values: &[i64]) -> Content<'_> {
    if cfg!(target_endian = "little") {
        return Content::Borrowed(bytemuck::cast_slice(values));
    }
    values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>().into()
}

/// Ends become offsets: one more entry, the first 0.
fn offsets(ends: &[u32]) -> Content<'static> {
    [0].iter().chain(ends).flat_map(|end| u64::from(*end).to_le_bytes()).collect::<Vec<u8>>().into()
}

fn strings(columns: &mut Columns<'_>, tags: (u32, u32), kind: Kind, strings: BytesColumn) {
    columns.push((tags.0, kind as u32, strings.data.into()));
    columns.push((tags.1, Kind::UInt64 as u32, offsets(&strings.ends)));
}

fn values(columns: &mut Columns<'_>, column: Column) {
    let kind = column.kind();
    let bytes = match column {
        Column::Bool(v) | Column::UInt8(v) => v.into(),
        Column::Enum(v) | Column::UInt16(v) => little(v, u16::to_le_bytes),
        Column::Int8(v) => little(v, i8::to_le_bytes),
        Column::Int16(v) => little(v, i16::to_le_bytes),
        Column::Int32(v) => little(v, i32::to_le_bytes),
        Column::Int64(v) => little(v, i64::to_le_bytes),
        Column::UInt32(v) => little(v, u32::to_le_bytes),
        Column::UInt64(v) => little(v, u64::to_le_bytes),
        Column::Float32(v) => little(v, f32::to_le_bytes),
        Column::Float64(v) => little(v, f64::to_le_bytes),
        Column::String(v) | Column::Structure(v) => {
            return strings(columns, (VALUE, STRING_OFFSETS), kind, v);
        }
        Column::Array { ends, elements } => {
            values(columns, *elements);
            columns.push((VALUE_OFFSETS, Kind::UInt64 as u32, offsets(&ends)));
            return;
        }
    };
    columns.push((VALUE, kind as u32, bytes));
}

/// Writes one batch. `edge` is absent where the stream has no such column; `json`, an object as text, describes it.
pub fn batch(
    out: &mut Writer<'_>,
    channel: (u32, &str),
    block: SampleBlock,
    edge: Option<bool>,
    json: &[u8],
) -> Result<(), Stopped> {
    let count = block.len();
    let mut columns: Columns<'_> = vec![(TIME, Kind::Int64 as u32, little(block.time, i64::to_le_bytes))];
    values(&mut columns, block.values);
    columns.push((SEVERITY, Kind::UInt8 as u32, block.severity.into()));
    columns.push((STATUS, Kind::UInt16 as u32, little(block.status, u16::to_le_bytes)));
    if block.run.received {
        columns.push((RECEIVED, Kind::Int64 as u32, little(block.received, i64::to_le_bytes)));
    }
    if block.run.user_tag {
        columns.push((USER_TAG, Kind::Int64 as u32, little(block.user_tag, i64::to_le_bytes)));
    }
    if block.run.message {
        strings(&mut columns, (MESSAGE, MESSAGE_OFFSETS), Kind::String, block.message);
    }
    if let Some(edge) = edge {
        columns.push((EDGE, Kind::Bool as u32, vec![u8::from(edge); count].into()));
    }
    if let Some(descriptor) = &block.run.descriptor {
        columns.push((DESCRIPTOR, Kind::UInt8 as u32, Content::Borrowed(descriptor)));
    }
    let head = BlockHead {
        kind: KIND_BATCH,
        samples: count as u64,
        channel: channel.0,
        value_type: type_code(block.run.value),
        domain: block.run.domain as u32,
        flags: if block.run.metadata_known { FLAG_METADATA_KNOWN } else { 0 },
        name: channel.1.as_bytes(),
        durable_until: 0,
    };
    put(out, &head, columns, json)
}

/// Appends one batch to bytes that are not an answer: [`stream_head`] before any of them makes a stream that has no end.
pub fn append_batch(to: &mut Vec<u8>, channel: (u32, &str), block: SampleBlock, json: &[u8]) {
    let mut plain = Plain(to);
    let mut out = Writer::new(&mut plain, COLUMNS_MEDIA_TYPE);
    // Bytes that take others do not refuse them.
    let _ = batch(&mut out, channel, block, None, json).and_then(|()| out.finish());
}

/// The statuses of a whole batch, and what is no longer, are copied to what stands around them. Handing them over alone costs
/// more, and the client reads one chunk of HTTP instead of three.
const BESIDE_BYTES: usize = SEGMENT_SAMPLES * size_of::<u16>();

/// Writes a block: its head, then the columns, each padded, and let go as soon as it was taken.
fn put(out: &mut Writer<'_>, head: &BlockHead<'_>, columns: Columns<'_>, json: &[u8]) -> Result<(), Stopped> {
    let entries: Vec<_> = columns.iter().map(|(tag, element, bytes)| (*tag, *element, bytes.len())).collect();
    out.put(&head.bytes(&entries, json, 0))?;
    for (_, _, bytes) in columns {
        let padding = padding(bytes.len());
        match bytes {
            Content::Borrowed(bytes) => out.put(bytes)?,
            Content::Owned(bytes) if bytes.len() <= BESIDE_BYTES => out.put_beside(&bytes)?,
            Content::Owned(bytes) => out.put_owned(bytes)?,
        }
        out.put(&[0; 8][..padding])?;
    }
    Ok(())
}

/// Whose bins a block holds.
pub(crate) struct BinsHead<'a> {
    /// Place of the channel in the answer.
    pub index: u32,
    /// Its name as it was asked for.
    pub name: &'a str,
    /// Type of its newest value, if it ever had one.
    pub value_type: Option<ValueType>,
}

pub(super) fn type_code(value_type: ValueType) -> u32 {
    value_type.kind as u32 + if value_type.array { ARRAY } else { 0 }
}

/// Writes bins of one channel; `json` describes it.
pub(crate) fn bins(
    out: &mut Writer<'_>,
    of: &BinsHead<'_>,
    table: &BinTable,
    json: &Value,
) -> Result<(), Stopped> {
    let mut columns: Columns<'_> = Vec::new();
    for (name, cells) in &table.columns {
        if let Some(tag) = tag_of_bins(name) {
            let bytes = match cells {
                Cells::Times(v) | Cells::Counts(v) => little_of(v),
                Cells::Numbers(v) => {
                    let bytes = v.iter().flat_map(|x| x.unwrap_or(f64::NAN).to_le_bytes());
                    bytes.collect::<Vec<u8>>().into()
                }
                Cells::Severities(v) => Content::Borrowed(v),
            };
            columns.push((tag, cells.kind() as u32, bytes));
        }
    }
    if let Some(states) = &table.states {
        columns.push((STATES, Kind::Int64 as u32, little_of(&states.ns)));
    }
    let head = BlockHead {
        kind: KIND_BINS,
        samples: table.len() as u64,
        channel: of.index,
        value_type: of.value_type.map_or(0, type_code),
        name: of.name.as_bytes(),
        ..BlockHead::default()
    };
    put(out, &head, columns, json.to_string().as_bytes())
}

/// Writes rows of a table; `of` describes each channel. Which column entries are whose stands in the description.
pub(crate) fn table(out: &mut Writer<'_>, block: RowBlock, of: &[Value]) -> Result<(), Stopped> {
    let count = block.times.len();
    let mut columns: Columns<'_> = vec![(TIME, Kind::Int64 as u32, little(block.times, i64::to_le_bytes))];
    let mut descriptions = Vec::with_capacity(of.len());
    for (cells, of) in block.columns.into_iter().zip(of) {
        let first = columns.len();
        let value_type = cells.values.value_type();
        values(&mut columns, cells.values);
        columns.push((SEVERITY, Kind::UInt8 as u32, cells.severity.into()));
        columns.push((HELD, Kind::Bool as u32, cells.held.into()));
        if let Some(descriptor) = &cells.descriptor {
            columns.push((DESCRIPTOR, Kind::UInt8 as u32, descriptor.to_vec().into()));
        }
        let mut description = of.clone();
        description["type"] = json!(value_type.name());
        description["entries"] = json!([first, columns.len()]);
        descriptions.push(description);
    }
    let head = BlockHead { kind: KIND_TABLE, samples: count as u64, ..BlockHead::default() };
    put(out, &head, columns, json!({"columns": descriptions}).to_string().as_bytes())
}

/// Writes a block without columns; `channel` is the one that it concerns.
pub(crate) fn notice(
    out: &mut Writer<'_>,
    channel: Option<(u32, &str)>,
    durable_until: Timestamp,
    json: &Value,
) -> Result<(), Stopped> {
    let (index, name) = channel.unwrap_or_default();
    let head = BlockHead {
        kind: KIND_NOTICE,
        channel: index,
        name: name.as_bytes(),
        durable_until: durable_until.0,
        ..BlockHead::default()
    };
    put(out, &head, Vec::new(), json.to_string().as_bytes())
}

/// Writes the end block, whose last eight bytes are the checksum of all before; the writer has computed it from the
/// stream's first byte on.
pub(crate) fn end(
    out: &mut Writer<'_>,
    complete: bool,
    samples: u64,
    durable_until: Timestamp,
    json: &Value,
) -> Result<(), Stopped> {
    let head = BlockHead {
        kind: KIND_END,
        samples,
        flags: if complete { FLAG_COMPLETE } else { 0 },
        durable_until: durable_until.0,
        ..BlockHead::default()
    };
    out.put(&head.bytes(&[], json.to_string().as_bytes(), 8))?;
    let checksum = out.checksum();
    out.put(&u64::from(checksum).to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::{Head, Output};
    use sample::Sample;
    use std::io;

    /// Lengths of what was handed over.
    struct Handed(Vec<usize>);

    impl Output for Handed {
        fn head(&mut self, _head: &Head) -> io::Result<()> {
            Ok(())
        }

        fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
            self.0.push(bytes.len());
            Ok(())
        }

        fn listens(&mut self, _pending: usize) -> bool {
            true
        }
    }

    #[test]
    fn small_columns_leave_with_the_next_head() {
        let sample = |k: i64| Sample::new(Timestamp(k), sample::Value::Float64(k as f64));
        let mut block = SampleBlock::new(sample(0).run_type());
        assert!((0..SEGMENT_SAMPLES as i64).all(|k| block.push(&sample(k))));
        let mut handed = Handed(Vec::new());
        let mut out = Writer::new(&mut handed, COLUMNS_MEDIA_TYPE);
        for _ in 0..4 {
            batch(&mut out, (0, "X"), block.clone(), Some(false), b"{}").unwrap();
        }
        out.finish().unwrap();
        let lengths: Vec<usize> = handed.0.into_iter().filter(|len| *len > 0).collect();
        let (large, small) = (SEGMENT_SAMPLES * 8, SEGMENT_SAMPLES * (1 + 2 + 1));
        let [.., _, before, time, value, last] = lengths[..] else { panic!("{lengths:?}") };
        assert_eq!((time, value), (large, large));
        assert!((small..small + 200).contains(&before) && last == small, "{lengths:?}");
    }
}
