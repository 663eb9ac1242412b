//! Decimated rows as bytes: columns of equal length, each with the codec that suits it.

use crate::codec::integer::IntegerEncoder;
use crate::codec::{Limits, Profile, ValueModel};
use crate::format::{BIN_COLUMNS_MAX, BIN_ROWS_MAX, BinField};
use disk::{BytesError, Cursor, put_bytes, put_u8, put_varint};
use sample::{Column, Kind, ValueType};

/// Columns of decimated rows by tag, in rising order of tags. The kind of each is that of FORMAT.md.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct BinColumns {
    /// Number of rows.
    pub rows: usize,
    /// Tags with contents of `rows` values each.
    pub columns: Vec<(BinField, Column)>,
}

impl BinColumns {
    /// The column with this tag.
    pub fn get(&self, field: BinField) -> Option<&Column> {
        self.columns.iter().find(|(tag, _)| *tag == field).map(|(_, column)| column)
    }
}

/// The kind of a column's values.
fn kind(field: BinField) -> Kind {
    match field {
        BinField::Min | BinField::Max | BinField::Mean | BinField::SquaredDeviations => Kind::Float64,
        BinField::First | BinField::Last | BinField::Integral => Kind::Float64,
        BinField::Worst | BinField::Flags => Kind::UInt8,
        _ => Kind::Int64,
    }
}

/// Decimated rows of one channel and rate as a record payload.
///
/// # Panics
/// In debug builds, when a column is not of its kind or length or there are more than 1024 rows.
pub fn encode_bins(bins: &BinColumns) -> Vec<u8> {
    debug_assert!(bins.rows <= BIN_ROWS_MAX);
    let mut out = Vec::new();
    put_varint(&mut out, bins.rows as u64);
    put_varint(&mut out, bins.columns.len() as u64);
    for (field, column) in &bins.columns {
        debug_assert!(column.value_type() == ValueType::scalar(kind(*field)) && column.len() == bins.rows);
        put_u8(&mut out, *field as u8);
        let mut integers = IntegerEncoder::new(Profile::Cold);
        let model = ValueModel::fit(column, &mut integers);
        model.put(&mut out);
        let mut content = Vec::new();
        model.encode(column, 0..bins.rows, &mut integers, &mut content);
        put_bytes(&mut out, &content);
    }
    out
}

/// Reads what [`encode_bins`] wrote. Unknown columns are passed over unless their tag says that they must not be.
///
/// # Errors
/// When the bytes are damaged or hold what this program does not know.
pub fn decode_bins(bytes: &[u8]) -> Result<BinColumns, BytesError> {
    let mut cursor = Cursor::new(bytes);
    let too_many = cursor.error("more decimated rows or columns than a record can have");
    let (rows, columns) = (cursor.varint()?, cursor.varint()?);
    let rows = usize::try_from(rows).ok().filter(|rows| *rows <= BIN_ROWS_MAX).ok_or(too_many)?;
    if columns > BIN_COLUMNS_MAX as u64 {
        return Err(too_many);
    }
    let limits = Limits { elements: BIN_ROWS_MAX, bytes: BIN_ROWS_MAX * 8 };
    let mut bins = BinColumns { rows, columns: Vec::new() };
    for _ in 0..columns {
        let tag = cursor.u8()?;
        let Some(field) = BinField::from_tag(tag) else {
            if tag & crate::format::FIELD_REQUIRED != 0 {
                return Err(
                    cursor.error("a required column of a newer format: use a newer version of the program")
                );
            }
            // Codec, parameters, content.
            cursor.u8()?;
            cursor.counted_bytes()?;
            cursor.counted_bytes()?;
            continue;
        };
        if bins.columns.last().is_some_and(|(before, _)| *before as u8 >= tag) {
            return Err(cursor.error("columns of decimated rows are not in order"));
        }
        let model = ValueModel::read(ValueType::scalar(kind(field)), &mut cursor)?;
        let mut content = Cursor::new(cursor.counted_bytes()?);
        let mut column = Column::new(ValueType::scalar(kind(field)));
        let decoded = model.decode(&mut content, rows, limits, &mut column).and_then(|()| content.finish());
        decoded.map_err(|error| cursor.error(error.what))?;
        if column.len() != rows {
            return Err(cursor.error("a column of decimated rows is of another length"));
        }
        bins.columns.push((field, column));
    }
    cursor.finish()?;
    Ok(bins)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_bins() -> impl Strategy<Value = BinColumns> {
        (0usize..200, any::<u64>()).prop_map(|(rows, seed)| {
            let value = |i: usize, salt: u64| (seed ^ salt).wrapping_mul(i as u64 + 1).rotate_left(17);
            let column = |field: BinField| {
                let salt = field as u64;
                match kind(field) {
                    Kind::Float64 => {
                        Column::Float64((0..rows).map(|i| f64::from_bits(value(i, salt))).collect())
                    }
                    Kind::UInt8 => Column::UInt8((0..rows).map(|i| value(i, salt) as u8 % 4).collect()),
                    _ => Column::Int64((0..rows).map(|i| (value(i, salt) >> (salt * 3)) as i64).collect()),
                }
            };
            BinColumns {
                rows,
                columns: BinField::ALL.into_iter().map(|field| (field, column(field))).collect(),
            }
        })
    }

    proptest! {
        #[test]
        fn rows_come_back_to_the_bit(bins in any_bins()) {
            prop_assert_eq!(decode_bins(&encode_bins(&bins)).unwrap(), bins);
        }

        #[test]
        fn hostile_bytes_do_no_harm(bins in any_bins(), at in 0usize..4000, bit in 0u8..8, cut in 0usize..4000) {
            let mut bytes = encode_bins(&bins);
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            let _ = decode_bins(&bytes);
            let _ = decode_bins(&bytes[..cut % bytes.len()]);
        }
    }

    #[test]
    fn unknown_columns_are_passed_over_and_required_ones_refused() {
        let bins = BinColumns { rows: 2, columns: vec![(BinField::Number, Column::Int64(vec![5, 6]))] };
        for (tag, readable) in [(0x7f, true), (0xff, false)] {
            let mut bytes = encode_bins(&bins);
            bytes[1] = 2;
            bytes.extend([tag, 1, 0, 0]);
            let back = decode_bins(&bytes);
            assert_eq!(back.is_ok(), readable, "{back:?}");
            assert!(!readable || back.unwrap() == bins);
        }
    }
}
