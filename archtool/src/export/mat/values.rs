//! Values as the elements of MATLAB arrays.

use super::level5::{Numbers, cells, numbers, text};
use crate::export::elements::{append, elements};
use sample::{Column, Kind};
use std::ops::Range;

/// As what values of a kind stand in an array of numbers; `None` for texts and structures.
pub(super) fn numbers_of(kind: Kind) -> Option<Numbers> {
    Some(match kind {
        Kind::Bool => Numbers::LOGICAL,
        Kind::Int8 => Numbers::INT8,
        Kind::Int16 => Numbers::INT16,
        Kind::Int32 => Numbers::INT32,
        Kind::Int64 => Numbers::INT64,
        Kind::UInt8 => Numbers::UINT8,
        Kind::Enum | Kind::UInt16 => Numbers::UINT16,
        Kind::UInt32 => Numbers::UINT32,
        Kind::UInt64 => Numbers::UINT64,
        Kind::Float32 => Numbers::SINGLE,
        Kind::Float64 => Numbers::DOUBLE,
        Kind::String | Kind::Structure => return None,
    })
}

/// Value `i` alone, as the array that its cell holds: arrays are rows.
pub(super) fn cell(values: &Column, i: usize) -> Vec<u8> {
    match values {
        Column::Array { ends, elements: all } => row(all, elements(ends, i)),
        scalars => one(scalars, i),
    }
}

fn row(column: &Column, range: Range<usize>) -> Vec<u8> {
    let dimensions = [1, range.len()];
    match numbers_of(column.kind()) {
        Some(of) => {
            let mut content = Vec::new();
            append(&mut content, column, range);
            numbers(of, dimensions, &content)
        }
        None => cells(dimensions, &range.flat_map(|i| one(column, i)).collect::<Vec<_>>()),
    }
}

fn one(column: &Column, i: usize) -> Vec<u8> {
    match column {
        Column::String(texts) => text(&String::from_utf8_lossy(texts.get(i))),
        Column::Structure(bytes) => numbers(Numbers::UINT8, [1, bytes.get(i).len()], bytes.get(i)),
        numbers => row(numbers, i..i + 1),
    }
}
