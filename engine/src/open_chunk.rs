//! The chunk that a channel fills: rows of one cache line's half for plain scalars, columns for the rest.

use sample::{Column, Kind, RunType, Sample, SampleBlock, Severity, Status, Timestamp, Value};

/// One plain scalar sample. 32 bytes, so that a row never lies on two cache lines: with ten thousand
/// channels taking turns, the lines touched per sample are what ingestion costs.
#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
struct Row {
    time: i64,
    /// The value's bits, zero-extended.
    bits: u64,
    received: i64,
    rank: u32,
    status: u16,
    severity: u8,
}

/// The growing chunk of one channel.
#[derive(Clone, Debug)]
pub(crate) enum OpenChunk {
    /// Scalars of fixed width without user tag and message.
    Rows {
        /// What the rows have in common.
        run: RunType,
        /// The rows.
        rows: Vec<OpenRow>,
    },
    /// Everything else.
    Columns(Box<SampleBlock>),
}

/// A row, opaque outside.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenRow(Row);

impl OpenChunk {
    /// An empty chunk for samples like this one, with room for `count`.
    pub(crate) fn for_sample(sample: &Sample, count: usize) -> OpenChunk {
        let run = sample.run_type();
        if bits_of(&sample.value).is_some() && !run.user_tag && !run.message {
            return OpenChunk::Rows { run, rows: Vec::with_capacity(count) };
        }
        let mut block = SampleBlock::new(run);
        block.reserve(count);
        OpenChunk::Columns(Box::new(block))
    }

    /// Number of samples.
    pub(crate) fn len(&self) -> usize {
        match self {
            OpenChunk::Rows { rows, .. } => rows.len(),
            OpenChunk::Columns(block) => block.len(),
        }
    }

    /// Samples that fit without another allocation.
    pub(crate) fn capacity(&self) -> usize {
        match self {
            OpenChunk::Rows { rows, .. } => rows.capacity(),
            OpenChunk::Columns(block) => block.time.capacity(),
        }
    }

    /// Makes room for `count` more.
    pub(crate) fn reserve(&mut self, count: usize) {
        match self {
            OpenChunk::Rows { rows, .. } => rows.reserve_exact(count),
            OpenChunk::Columns(block) => block.reserve(count),
        }
    }

    /// Address of the row that the next sample fills, 0 for columns.
    pub(crate) fn next_row(&self) -> usize {
        match self {
            OpenChunk::Rows { rows, .. } => rows.as_ptr().addr() + rows.len() * size_of::<Row>(),
            OpenChunk::Columns(_) => 0,
        }
    }

    /// Raw bytes of the values.
    pub(crate) fn value_bytes(&self) -> usize {
        match self {
            OpenChunk::Rows { rows, .. } => rows.len() * 8,
            OpenChunk::Columns(block) => block.values.byte_len(),
        }
    }

    /// Bytes of the values in columns.
    pub(crate) fn block_value_bytes(&self) -> usize {
        match self {
            OpenChunk::Rows { run, rows } => rows.len() * run.value.kind.width().unwrap_or(0),
            OpenChunk::Columns(block) => block.values.byte_len(),
        }
    }

    /// First and last time; `None` without samples.
    pub(crate) fn span(&self) -> Option<(Timestamp, Timestamp)> {
        match self {
            OpenChunk::Rows { rows, .. } => {
                Some((Timestamp(rows.first()?.0.time), Timestamp(rows.last()?.0.time)))
            }
            OpenChunk::Columns(block) => (!block.is_empty()).then(|| (block.first(), block.last())),
        }
    }

    /// Bytes held in memory.
    pub(crate) fn memory_bytes(&self) -> usize {
        match self {
            OpenChunk::Rows { rows, .. } => rows.len() * size_of::<Row>(),
            OpenChunk::Columns(block) => block.memory_bytes(),
        }
    }

    /// Appends a sample; `false` (and nothing appended) when the chunk is of another type.
    pub(crate) fn push(&mut self, sample: &Sample) -> bool {
        match self {
            OpenChunk::Rows { run, rows } => {
                if !run.admits(sample) {
                    return false;
                }
                let Some(bits) = bits_of(&sample.value) else { return false };
                rows.push(OpenRow(Row {
                    time: sample.time.0,
                    bits,
                    received: sample.received.map_or(0, |t| t.0),
                    rank: sample.rank,
                    status: sample.status.code,
                    severity: sample.severity as u8,
                }));
                true
            }
            OpenChunk::Columns(block) => block.push(sample),
        }
    }

    /// The samples in columns.
    pub(crate) fn to_block(&self) -> SampleBlock {
        match self {
            OpenChunk::Rows { run, rows } => block_of(run, rows),
            OpenChunk::Columns(block) => (**block).clone(),
        }
    }

    /// The newest sample.
    pub(crate) fn last(&self) -> Option<Sample> {
        match self {
            OpenChunk::Rows { run, rows } => rows.last().map(|row| row.0.sample(run)),
            OpenChunk::Columns(block) => block.len().checked_sub(1).map(|i| block.get(i)),
        }
    }
}

impl Row {
    /// As a sample; `run` is of scalars of fixed width.
    fn sample(&self, run: &RunType) -> Sample {
        Sample {
            rank: self.rank,
            severity: Severity::from_code(u16::from(self.severity)).unwrap_or(Severity::Invalid),
            status: Status { domain: run.domain, code: self.status },
            received: run.received.then_some(Timestamp(self.received)),
            metadata_known: run.metadata_known,
            ..Sample::new(Timestamp(self.time), value_of(run.value.kind, self.bits))
        }
    }
}

/// The scalar of fixed width whose [`bits_of`] these are.
#[expect(clippy::cast_possible_truncation, reason = "the bits were widened from this type")]
fn value_of(kind: Kind, bits: u64) -> Value {
    match kind {
        Kind::Bool => Value::Bool(bits != 0),
        Kind::Int8 => Value::Int8((bits as u8).cast_signed()),
        Kind::Int16 => Value::Int16((bits as u16).cast_signed()),
        Kind::Int32 => Value::Int32((bits as u32).cast_signed()),
        Kind::Int64 => Value::Int64(bits.cast_signed()),
        Kind::UInt8 => Value::UInt8(bits as u8),
        Kind::Enum => Value::Enum(bits as u16),
        Kind::UInt16 => Value::UInt16(bits as u16),
        Kind::UInt32 => Value::UInt32(bits as u32),
        Kind::Float32 => Value::Float32(f32::from_bits(bits as u32)),
        Kind::Float64 => Value::Float64(f64::from_bits(bits)),
        Kind::UInt64 | Kind::String | Kind::Structure => Value::UInt64(bits),
    }
}

/// The bits of a scalar of fixed width.
#[inline]
fn bits_of(value: &Value) -> Option<u64> {
    // Before the others: nearly all are.
    if let Value::Float64(v) = value {
        return Some(v.to_bits());
    }
    Some(match value {
        Value::Bool(v) => u64::from(*v),
        Value::Int8(v) => u64::from(v.cast_unsigned()),
        Value::Int16(v) => u64::from(v.cast_unsigned()),
        Value::Int32(v) => u64::from(v.cast_unsigned()),
        Value::Int64(v) => v.cast_unsigned(),
        Value::UInt8(v) => u64::from(*v),
        Value::Enum(v) | Value::UInt16(v) => u64::from(*v),
        Value::UInt32(v) => u64::from(*v),
        Value::UInt64(v) => *v,
        Value::Float32(v) => u64::from(v.to_bits()),
        Value::Float64(v) => v.to_bits(),
        Value::String(_) | Value::Structure { .. } | Value::Array(_) => return None,
    })
}

fn block_of(run: &RunType, rows: &[OpenRow]) -> SampleBlock {
    let mut block = SampleBlock::new(run.clone());
    block.reserve(rows.len());
    block.time.extend(rows.iter().map(|row| row.0.time));
    block.rank.extend(rows.iter().map(|row| row.0.rank));
    block.severity.extend(rows.iter().map(|row| row.0.severity));
    block.status.extend(rows.iter().map(|row| row.0.status));
    if run.received {
        block.received.extend(rows.iter().map(|row| row.0.received));
    }
    fill(&mut block.values, rows);
    block
}

#[expect(clippy::cast_possible_truncation, reason = "the bits were widened from this type")]
fn fill(column: &mut Column, rows: &[OpenRow]) {
    let bits = rows.iter().map(|row| row.0.bits);
    match column {
        Column::Bool(v) | Column::UInt8(v) => v.extend(bits.map(|b| b as u8)),
        Column::Enum(v) | Column::UInt16(v) => v.extend(bits.map(|b| b as u16)),
        Column::Int8(v) => v.extend(bits.map(|b| (b as u8).cast_signed())),
        Column::Int16(v) => v.extend(bits.map(|b| (b as u16).cast_signed())),
        Column::Int32(v) => v.extend(bits.map(|b| (b as u32).cast_signed())),
        Column::Int64(v) => v.extend(bits.map(u64::cast_signed)),
        Column::UInt32(v) => v.extend(bits.map(|b| b as u32)),
        Column::UInt64(v) => v.extend(bits),
        Column::Float32(v) => v.extend(bits.map(|b| f32::from_bits(b as u32))),
        Column::Float64(v) => v.extend(bits.map(f64::from_bits)),
        Column::String(_) | Column::Structure(_) | Column::Array { .. } => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_bit_equal_as_columns() {
        let values = [
            Value::Bool(true),
            Value::Enum(65535),
            Value::Int8(-128),
            Value::Int16(-1),
            Value::Int32(i32::MIN),
            Value::Int64(i64::MIN + 1),
            Value::UInt8(255),
            Value::UInt16(7),
            Value::UInt32(u32::MAX),
            Value::UInt64(u64::MAX),
            Value::Float32(f32::from_bits(0x7fc0_1234)),
            Value::Float64(f64::from_bits(0xfff8_0000_dead_beef)),
        ];
        for value in values {
            for received in [None, Some(Timestamp(-9))] {
                let mut sample = Sample::new(Timestamp(-5), value.clone());
                (sample.rank, sample.severity, sample.status) = (3, Severity::Major, Status::ca(7));
                sample.received = received;
                let mut chunk = OpenChunk::for_sample(&sample, 1);
                assert!(matches!(chunk, OpenChunk::Rows { .. }));
                assert!(chunk.push(&sample));
                assert_eq!(chunk.to_block().get(0), sample);
                assert_eq!(chunk.last(), Some(sample));
                assert!(!chunk.push(&Sample::new(Timestamp(0), Value::text("x"))));
            }
        }
        assert_eq!(size_of::<OpenRow>(), 32);
    }
}
