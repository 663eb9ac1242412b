//! One value larger than a chunk may be, in parts that each decode alone.

use crate::codec::integer::IntegerEncoder;
use crate::codec::{Limits, Profile, ValueModel};
use crate::format::{CHUNK_ELEMENTS_MAX, CHUNK_VALUE_BYTES_MAX};
use disk::{BytesError, Cursor, put_bytes, put_varint};
use sample::{BytesColumn, Column, Kind, ValueType};
use std::borrow::Cow;

/// Whether a single value of these sizes is written in parts.
pub(super) fn needs_parts(bytes: usize, elements: usize) -> bool {
    bytes > CHUNK_VALUE_BYTES_MAX || elements > CHUNK_ELEMENTS_MAX
}

/// What the parts of a value of this type hold: its own elements, or bytes.
fn part_kind(value_type: ValueType) -> Kind {
    if value_type.array && value_type.kind.width().is_some() { value_type.kind } else { Kind::UInt8 }
}

/// Units of a full part.
pub(super) fn units_per_part(value_type: ValueType) -> usize {
    CHUNK_VALUE_BYTES_MAX / part_kind(value_type).width().unwrap_or(1)
}

/// The one value of `column` as units, with their number, and as encoded parts.
pub(super) fn encode_parts(column: &Column, profile: Profile) -> (usize, Vec<Vec<u8>>) {
    let units: Cow<'_, Column> = match column {
        Column::Array { elements, .. } => match &**elements {
            Column::String(texts) | Column::Structure(texts) => {
                let mut bytes = Vec::new();
                put_varint(&mut bytes, texts.len() as u64);
                (0..texts.len()).for_each(|i| put_bytes(&mut bytes, texts.get(i)));
                Cow::Owned(Column::UInt8(bytes))
            }
            fixed => Cow::Borrowed(fixed),
        },
        Column::String(texts) | Column::Structure(texts) => Cow::Owned(Column::UInt8(texts.data.clone())),
        scalar => Cow::Borrowed(scalar),
    };
    let per_part = units_per_part(column.value_type());
    let parts = (0..units.len()).step_by(per_part).map(|from| {
        let part = units.slice(from, (from + per_part).min(units.len()));
        let mut integers = IntegerEncoder::new(profile);
        let model = ValueModel::fit_elements(&part, &mut integers);
        let mut bytes = Vec::new();
        model.put(&mut bytes);
        model.encode(&part, 0..part.len(), &mut integers, &mut bytes);
        bytes
    });
    (units.len(), parts.collect())
}

/// Appends the units of one part.
pub(super) fn decode_part(
    bytes: &[u8],
    value_type: ValueType,
    count: usize,
    out: &mut Column,
) -> Result<(), BytesError> {
    let mut cursor = Cursor::new(bytes);
    let model = ValueModel::read(ValueType::scalar(part_kind(value_type)), &mut cursor)?;
    let limits = Limits { elements: CHUNK_ELEMENTS_MAX, bytes: CHUNK_VALUE_BYTES_MAX };
    model.decode(&mut cursor, count, limits, out)?;
    cursor.finish()
}

/// An empty column for units.
pub(super) fn units_of(value_type: ValueType) -> Column {
    Column::new(ValueType::scalar(part_kind(value_type)))
}

/// The one value of type `value_type` from its units.
pub(super) fn value_of_units(units: Column, value_type: ValueType) -> Result<Column, BytesError> {
    let too_long = BytesError { position: 0, what: "a large value passes 4 GiB" };
    let end = u32::try_from(units.len()).map_err(|_| too_long)?;
    let text = |data: Vec<u8>| BytesColumn { ends: vec![end], data };
    Ok(match (units, value_type.array, value_type.kind) {
        (Column::UInt8(data), false, Kind::String) => Column::String(text(data)),
        (Column::UInt8(data), false, _) => Column::Structure(text(data)),
        (Column::UInt8(data), true, kind @ (Kind::String | Kind::Structure)) => {
            let mut cursor = Cursor::new(&data);
            let mut texts = BytesColumn::default();
            for _ in 0..cursor.count(1)? {
                texts.push(cursor.counted_bytes()?);
            }
            cursor.finish()?;
            let end = u32::try_from(texts.len()).map_err(|_| too_long)?;
            let elements =
                if kind == Kind::String { Column::String(texts) } else { Column::Structure(texts) };
            Column::Array { ends: vec![end], elements: Box::new(elements) }
        }
        (units, ..) => Column::Array { ends: vec![end], elements: Box::new(units) },
    })
}
