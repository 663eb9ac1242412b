//! The columns of a batch as PROTOCOL.md numbers them.

use bytemuck::cast_slice;
use sample::{BytesColumn, Column, SampleBlock};
use std::borrow::Cow;

const TIME: u32 = 1;
const VALUE: u32 = 2;
const VALUE_OFFSETS: u32 = 3;
const STRING_OFFSETS: u32 = 4;
const SEVERITY: u32 = 5;
const STATUS: u32 = 6;
const RECEIVED: u32 = 7;
const USER_TAG: u32 = 8;
const MESSAGE: u32 = 9;
const MESSAGE_OFFSETS: u32 = 10;
const DESCRIPTOR: u32 = 12;
/// Added to the number of the elements' type.
const ARRAY: u32 = 0x100;

// What lies in memory is what the client takes.
const _: () = assert!(cfg!(target_endian = "little"));

pub(crate) fn type_code(block: &SampleBlock) -> u32 {
    block.run.value.kind as u32 + if block.run.value.array { ARRAY } else { 0 }
}

/// Tag and bytes of each.
pub(crate) fn of(block: &SampleBlock) -> Vec<(u32, Cow<'_, [u8]>)> {
    let mut columns = vec![(TIME, Cow::Borrowed(cast_slice(&block.time)))];
    values(&mut columns, &block.values);
    columns.push((SEVERITY, Cow::Borrowed(&block.severity)));
    columns.push((STATUS, Cow::Borrowed(cast_slice(&block.status))));
    if block.run.received {
        columns.push((RECEIVED, Cow::Borrowed(cast_slice(&block.received))));
    }
    if block.run.user_tag {
        columns.push((USER_TAG, Cow::Borrowed(cast_slice(&block.user_tag))));
    }
    if block.run.message {
        strings(&mut columns, (MESSAGE, MESSAGE_OFFSETS), &block.message);
    }
    if let Some(descriptor) = &block.run.descriptor {
        columns.push((DESCRIPTOR, Cow::Borrowed(descriptor)));
    }
    columns
}

/// Ends become offsets: one more entry, the first 0.
fn offsets(ends: &[u32]) -> Cow<'static, [u8]> {
    Cow::Owned([0].iter().chain(ends).flat_map(|end| u64::from(*end).to_le_bytes()).collect())
}

fn strings<'a>(columns: &mut Vec<(u32, Cow<'a, [u8]>)>, tags: (u32, u32), strings: &'a BytesColumn) {
    columns.push((tags.0, Cow::Borrowed(&strings.data)));
    columns.push((tags.1, offsets(&strings.ends)));
}

fn values<'a>(columns: &mut Vec<(u32, Cow<'a, [u8]>)>, column: &'a Column) {
    let bytes: &[u8] = match column {
        Column::Bool(v) | Column::UInt8(v) => v,
        Column::Enum(v) | Column::UInt16(v) => cast_slice(v),
        Column::Int8(v) => cast_slice(v),
        Column::Int16(v) => cast_slice(v),
        Column::Int32(v) => cast_slice(v),
        Column::Int64(v) => cast_slice(v),
        Column::UInt32(v) => cast_slice(v),
        Column::UInt64(v) => cast_slice(v),
        Column::Float32(v) => cast_slice(v),
        Column::Float64(v) => cast_slice(v),
        Column::String(v) | Column::Structure(v) => return strings(columns, (VALUE, STRING_OFFSETS), v),
        Column::Array { ends, elements } => {
            values(columns, elements);
            columns.push((VALUE_OFFSETS, offsets(ends)));
            return;
        }
    };
    columns.push((VALUE, Cow::Borrowed(bytes)));
}
