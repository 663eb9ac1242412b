//! Values as bytes inside a batch.

use disk::{BytesError, Cursor, put_bytes, put_varint};
use sample::{BytesColumn, Column, Kind, Value, ValueType};
use std::sync::Arc;

/// Appends a value that is not a plain scalar: its length, then its bytes. Structures come with the number of
/// their descriptor, which the caller has appended.
///
/// # Panics
/// When an array's elements are arrays, which [`Value::Array`] rules out.
pub(super) fn put_sized(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::String(bytes) | Value::Structure { bytes, .. } => put_bytes(out, bytes),
        Value::Array(elements) => {
            put_varint(out, elements.len() as u64);
            put_elements(out, elements);
        }
        scalar => {
            let (bytes, len) = scalar_bytes(scalar);
            out.extend_from_slice(&bytes[..len]);
        }
    }
}

/// A scalar's bytes, with how many there are; 0 for what is no scalar.
#[inline]
pub(super) fn scalar_bytes(value: &Value) -> ([u8; 8], usize) {
    // Before the others: nearly all are.
    if let Value::Float64(v) = value {
        return (v.to_bits().to_le_bytes(), 8);
    }
    match value {
        Value::Bool(v) => (u64::from(*v).to_le_bytes(), 1),
        Value::Int8(v) => (u64::from(v.cast_unsigned()).to_le_bytes(), 1),
        Value::UInt8(v) => (u64::from(*v).to_le_bytes(), 1),
        Value::Enum(v) | Value::UInt16(v) => (u64::from(*v).to_le_bytes(), 2),
        Value::Int16(v) => (u64::from(v.cast_unsigned()).to_le_bytes(), 2),
        Value::Int32(v) => (u64::from(v.cast_unsigned()).to_le_bytes(), 4),
        Value::UInt32(v) => (u64::from(*v).to_le_bytes(), 4),
        Value::Float32(v) => (u64::from(v.to_bits()).to_le_bytes(), 4),
        Value::Int64(v) => (v.to_le_bytes(), 8),
        Value::UInt64(v) => (v.to_le_bytes(), 8),
        Value::Float64(v) => (v.to_bits().to_le_bytes(), 8),
        Value::String(_) | Value::Structure { .. } | Value::Array(_) => ([0; 8], 0),
    }
}

/// Appends fixed-width numbers.
fn put_all<T: Copy, const N: usize>(out: &mut Vec<u8>, values: &[T], bytes: impl Fn(T) -> [u8; N]) {
    let start = out.len();
    out.resize(start + values.len() * N, 0);
    for (to, value) in out[start..].chunks_exact_mut(N).zip(values) {
        to.copy_from_slice(&bytes(*value));
    }
}

fn put_elements(out: &mut Vec<u8>, elements: &Column) {
    match elements {
        Column::Bool(v) | Column::UInt8(v) => out.extend_from_slice(v),
        Column::Int8(v) => put_all(out, v, i8::to_le_bytes),
        Column::Enum(v) | Column::UInt16(v) => put_all(out, v, u16::to_le_bytes),
        Column::Int16(v) => put_all(out, v, i16::to_le_bytes),
        Column::Int32(v) => put_all(out, v, i32::to_le_bytes),
        Column::UInt32(v) => put_all(out, v, u32::to_le_bytes),
        Column::Int64(v) => put_all(out, v, i64::to_le_bytes),
        Column::UInt64(v) => put_all(out, v, u64::to_le_bytes),
        Column::Float32(v) => put_all(out, v, |x| x.to_bits().to_le_bytes()),
        Column::Float64(v) => put_all(out, v, |x| x.to_bits().to_le_bytes()),
        Column::String(v) | Column::Structure(v) => (0..v.len()).for_each(|i| put_bytes(out, v.get(i))),
        Column::Array { .. } => panic!("an array's elements are never arrays"),
    }
}

/// Reads a value. `descriptor` is that of a structure.
pub(super) fn get(
    cursor: &mut Cursor<'_>,
    value_type: ValueType,
    descriptor: Option<Arc<[u8]>>,
) -> Result<Value, BytesError> {
    if value_type.array {
        return get_array(cursor, value_type.kind).map(|elements| Value::Array(Box::new(elements)));
    }
    Ok(match value_type.kind {
        Kind::Bool => Value::Bool(get_bool(cursor)? != 0),
        Kind::Enum => Value::Enum(cursor.u16()?),
        Kind::Int8 => Value::Int8(i8::from_le_bytes(cursor.array()?)),
        Kind::Int16 => Value::Int16(i16::from_le_bytes(cursor.array()?)),
        Kind::Int32 => Value::Int32(i32::from_le_bytes(cursor.array()?)),
        Kind::Int64 => Value::Int64(cursor.i64()?),
        Kind::UInt8 => Value::UInt8(cursor.u8()?),
        Kind::UInt16 => Value::UInt16(cursor.u16()?),
        Kind::UInt32 => Value::UInt32(cursor.u32()?),
        Kind::UInt64 => Value::UInt64(cursor.u64()?),
        Kind::Float32 => Value::Float32(cursor.f32()?),
        Kind::Float64 => Value::Float64(cursor.f64()?),
        Kind::String => Value::String(cursor.counted_bytes()?.into()),
        Kind::Structure => {
            let descriptor = descriptor.ok_or_else(|| cursor.error("a structure without a descriptor"))?;
            Value::Structure { descriptor, bytes: cursor.counted_bytes()?.into() }
        }
    })
}

fn get_bool(cursor: &mut Cursor<'_>) -> Result<u8, BytesError> {
    let error = cursor.error("a bool that is neither 0 nor 1");
    match cursor.u8()? {
        bit @ (0 | 1) => Ok(bit),
        _ => Err(error),
    }
}

/// Reads `count` numbers of `N` bytes; the bytes must be there before anything is allocated.
fn get_all<T, const N: usize>(
    cursor: &mut Cursor<'_>,
    count: usize,
    value: impl Fn([u8; N]) -> T,
) -> Result<Vec<T>, BytesError> {
    let bytes = cursor.bytes(count.saturating_mul(N))?;
    Ok(bytes.as_chunks().0.iter().map(|bytes| value(*bytes)).collect())
}

fn get_array(cursor: &mut Cursor<'_>, kind: Kind) -> Result<Column, BytesError> {
    let count = cursor.count(kind.width().unwrap_or(1))?;
    Ok(match kind {
        Kind::Bool => {
            let error = cursor.error("an array of bool with an element that is neither 0 nor 1");
            let bytes = cursor.bytes(count)?;
            if bytes.iter().any(|byte| *byte > 1) {
                return Err(error);
            }
            Column::Bool(bytes.to_vec())
        }
        Kind::Enum => Column::Enum(get_all(cursor, count, u16::from_le_bytes)?),
        Kind::Int8 => Column::Int8(get_all(cursor, count, i8::from_le_bytes)?),
        Kind::Int16 => Column::Int16(get_all(cursor, count, i16::from_le_bytes)?),
        Kind::Int32 => Column::Int32(get_all(cursor, count, i32::from_le_bytes)?),
        Kind::Int64 => Column::Int64(get_all(cursor, count, i64::from_le_bytes)?),
        Kind::UInt8 => Column::UInt8(cursor.bytes(count)?.to_vec()),
        Kind::UInt16 => Column::UInt16(get_all(cursor, count, u16::from_le_bytes)?),
        Kind::UInt32 => Column::UInt32(get_all(cursor, count, u32::from_le_bytes)?),
        Kind::UInt64 => Column::UInt64(get_all(cursor, count, u64::from_le_bytes)?),
        Kind::Float32 => Column::Float32(get_all(cursor, count, |b| f32::from_bits(u32::from_le_bytes(b)))?),
        Kind::Float64 => Column::Float64(get_all(cursor, count, |b| f64::from_bits(u64::from_le_bytes(b)))?),
        Kind::String => Column::String(get_strings(cursor, count)?),
        Kind::Structure => Column::Structure(get_strings(cursor, count)?),
    })
}

fn get_strings(cursor: &mut Cursor<'_>, count: usize) -> Result<BytesColumn, BytesError> {
    let mut strings = BytesColumn::default();
    for _ in 0..count {
        strings.push(cursor.counted_bytes()?);
    }
    Ok(strings)
}
