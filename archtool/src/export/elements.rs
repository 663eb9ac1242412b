//! The elements of columns, as files have them.

use sample::Column;
use std::ops::Range;

/// Appends elements of a column of numbers, in little-endian order; of others nothing.
pub(super) fn append(to: &mut Vec<u8>, column: &Column, range: Range<usize>) {
    match column {
        Column::Bool(v) | Column::UInt8(v) => to.extend(&v[range]),
        Column::Int8(v) => to.extend(v[range].iter().flat_map(|v| v.to_le_bytes())),
        Column::Int16(v) => to.extend(v[range].iter().flat_map(|v| v.to_le_bytes())),
        Column::Int32(v) => to.extend(v[range].iter().flat_map(|v| v.to_le_bytes())),
        Column::Int64(v) => to.extend(v[range].iter().flat_map(|v| v.to_le_bytes())),
        Column::Enum(v) | Column::UInt16(v) => to.extend(v[range].iter().flat_map(|v| v.to_le_bytes())),
        Column::UInt32(v) => to.extend(v[range].iter().flat_map(|v| v.to_le_bytes())),
        Column::UInt64(v) => to.extend(v[range].iter().flat_map(|v| v.to_le_bytes())),
        Column::Float32(v) => to.extend(v[range].iter().flat_map(|v| v.to_le_bytes())),
        Column::Float64(v) => to.extend(v[range].iter().flat_map(|v| v.to_le_bytes())),
        Column::String(_) | Column::Structure(_) | Column::Array { .. } => {}
    }
}

/// Which elements are those of array `i`.
pub(super) fn elements(ends: &[u32], i: usize) -> Range<usize> {
    let from = if i == 0 { 0 } else { ends[i - 1] as usize };
    from..ends[i] as usize
}

/// The column in which the elements of values stand.
pub(super) fn scalars(values: &Column) -> &Column {
    match values {
        Column::Array { elements, .. } => elements,
        scalars => scalars,
    }
}
