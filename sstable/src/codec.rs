//! How a column becomes bytes: the model of a chunk's column, fitted once, applied to each page.

pub(crate) mod float;
pub(crate) mod integer;
pub(crate) mod pack;
pub(crate) mod pco;
pub(crate) mod scale;
pub(crate) mod sibling;
pub(crate) mod split;
pub(crate) mod text;
pub(crate) mod time;
pub(crate) mod wide;
pub(crate) mod zstd;

use crate::format::ColumnCodec;
use disk::{BytesError, Cursor, put_bytes, put_u8, put_varint};
use float::FloatModel;
use integer::IntegerEncoder;
use pco::PcoColumn;
use sample::{Column, Kind, ValueType};
use std::ops::Range;
use text::TextModel;

/// What a chunk is written for.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Profile {
    /// Cheap to write, fastest to read: flushes, live merges.
    #[default]
    Hot,
    /// Dense: sealing.
    Cold,
}

/// Elements whose cost decides between two models: a part of a short chunk, for which a wrong choice costs
/// little.
pub(crate) fn trial_of(elements: usize) -> usize {
    (elements / 8).clamp(TRIAL_ELEMENTS_MIN, TRIAL_ELEMENTS).min(elements)
}

const TRIAL_ELEMENTS_MIN: usize = 64;
const TRIAL_ELEMENTS: usize = 256;

/// What all pages of a column of values have in common.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum ValueModel {
    /// Booleans, enums and integers as integer streams.
    Integers,
    /// Floats.
    Floats(FloatModel),
    /// Strings and structures.
    Texts(TextModel),
    /// Fixed-width elements as little-endian bytes through zstd.
    Compressed,
    /// Numbers through pco.
    Pco(PcoColumn),
    /// Arrays; the length where all have the same.
    Arrays {
        /// Elements of every array, if that is one number.
        length: Option<u64>,
        /// How the elements are written.
        elements: Box<ValueModel>,
    },
}

/// Runs `$integer` with the vector of an integer column, `$float` with one of floats and so on.
macro_rules! by_class {
    ($column:expr, integers $i:ident => $integer:expr, floats $f:ident => $float:expr,
     texts $t:ident => $text:expr, arrays $ends:ident $elements:ident => $array:expr) => {
        match $column {
            Column::Bool($i) | Column::UInt8($i) => $integer,
            Column::Enum($i) | Column::UInt16($i) => $integer,
            Column::Int8($i) => $integer,
            Column::Int16($i) => $integer,
            Column::Int32($i) => $integer,
            Column::Int64($i) => $integer,
            Column::UInt32($i) => $integer,
            Column::UInt64($i) => $integer,
            Column::Float32($f) => $float,
            Column::Float64($f) => $float,
            Column::String($t) | Column::Structure($t) => $text,
            Column::Array { ends: $ends, elements: $elements } => $array,
        }
    };
}
pub(crate) use by_class;

/// First element of array `from` and the end of array `to - 1`.
fn element_range(ends: &[u32], range: &Range<usize>) -> Range<usize> {
    let at = |i: usize| if i == 0 { 0 } else { ends[i - 1] as usize };
    at(range.start)..at(range.end)
}

impl ValueModel {
    /// The model for a column; `integers`, which will write it, learns what the trials told.
    pub(crate) fn fit(column: &Column, integers: &mut IntegerEncoder) -> ValueModel {
        by_class!(column,
        integers _v => ValueModel::Integers,
        floats v => ValueModel::Floats(FloatModel::fit(v, integers)),
        texts v => ValueModel::Texts(TextModel::fit(v)),
        arrays ends elements => {
            let first = ends.first().map_or(0, |end| u64::from(*end));
            let equal = ends.windows(2).all(|pair| u64::from(pair[1] - pair[0]) == first);
            ValueModel::Arrays {
                length: equal.then_some(first),
                elements: Box::new(ValueModel::fit_elements(elements, &mut IntegerEncoder::new(integers.profile()))),
            }
        })
    }

    /// Whether the model of one column of values tells of the next: numbers, not texts.
    pub(crate) fn outlasts(column: &Column) -> bool {
        !column.value_type().array && column.kind().width().is_some()
    }

    /// Whether a model of numbers of this kind brings a column of them back to the bit.
    pub(crate) fn suits(&self, column: &Column) -> bool {
        by_class!(column,
        integers _v => matches!(self, ValueModel::Integers),
        floats v => matches!(self, ValueModel::Floats(model) if model.suits(v)),
        texts _v => false,
        arrays _ends _elements => false)
    }

    /// The model for array elements, where zstd may win.
    pub(crate) fn fit_elements(elements: &Column, integers: &mut IntegerEncoder) -> ValueModel {
        let model = ValueModel::fit(elements, integers);
        let weak = match &model {
            ValueModel::Integers => elements.kind().width() == Some(1),
            ValueModel::Floats(model) => !matches!(model, FloatModel::Scaled(_)),
            _ => false,
        };
        let trial = 0..elements.len().min(TRIAL_ELEMENTS * 32);
        let cost = |model: &ValueModel| {
            let mut out = Vec::new();
            model.encode(elements, trial.clone(), &mut IntegerEncoder::new(Profile::Hot), &mut out);
            out.len()
        };
        if weak && cost(&ValueModel::Compressed) < cost(&model) { ValueModel::Compressed } else { model }
    }

    /// Appends values `range` as a page.
    pub(crate) fn encode(
        &self,
        column: &Column,
        range: Range<usize>,
        integers: &mut IntegerEncoder,
        out: &mut Vec<u8>,
    ) {
        if let ValueModel::Compressed = self {
            return text::put_compressed(&fixed_bytes(column, range), text::level(integers.profile()), out);
        }
        by_class!(column,
        integers v => {
            let wide: Vec<i64> = v[range].iter().map(|value| value.wide()).collect();
            integers.encode(&wide, out);
        },
        floats v => if let ValueModel::Floats(model) = self {
            model.encode(&v[range], integers, out);
        },
        texts v => if let ValueModel::Texts(model) = self {
            model.encode(v, range.start, range.end, integers, out);
        },
        arrays ends elements => if let ValueModel::Arrays { length, elements: model } = self {
            if length.is_none() {
                let lengths: Vec<i64> =
                    range.clone().map(|i| element_range(ends, &(i..i + 1)).len() as i64).collect();
                integers.encode(&lengths, out);
            }
            model.encode(elements, element_range(ends, &range), integers, out);
        });
    }

    /// Appends a page of `count` values to `out`, a column of the kind that the model was parsed for.
    /// `out` never holds more than `limits` allow; `count` was checked by the caller.
    pub(crate) fn decode(
        &self,
        cursor: &mut Cursor<'_>,
        count: usize,
        limits: Limits,
        out: &mut Column,
    ) -> Result<(), BytesError> {
        if let (ValueModel::Compressed, Some(width)) = (self, out.kind().width()) {
            let mut bytes = Vec::new();
            text::read_compressed(cursor, count * width, &mut bytes)?;
            return extend_fixed(out, &bytes).map_err(|what| cursor.error(what));
        }
        if let ValueModel::Pco(column) = self {
            return decode_pco(column, cursor, count, 0..count, out);
        }
        by_class!(out,
        integers v => {
            let mut wide = Vec::with_capacity(count);
            integer::decode(cursor, count, &mut wide)?;
            if !extend_narrow(v, &wide) {
                return Err(cursor.error("an integer does not fit its type"));
            }
        },
        floats v => match self {
            ValueModel::Floats(model) => model.decode_rows(cursor, count, 0..count, v)?,
            _ => return Err(cursor.error(NOT_OF_TYPE)),
        },
        texts v => match self {
            ValueModel::Texts(model) => model.decode(cursor, count, limits.bytes, v)?,
            _ => return Err(cursor.error(NOT_OF_TYPE)),
        },
        arrays ends elements => match self {
            ValueModel::Arrays { length, elements: model } => {
                let grown = read_ends(cursor, *length, count, limits, elements, ends)?;
                model.decode(cursor, grown, limits, elements)?;
            }
            _ => return Err(cursor.error(NOT_OF_TYPE)),
        });
        Ok(())
    }

    /// Appends the values `rows` of a page of `count`; the others are not unpacked where that can be.
    pub(crate) fn decode_rows(
        &self,
        cursor: &mut Cursor<'_>,
        count: usize,
        rows: Range<usize>,
        limits: Limits,
        out: &mut Column,
    ) -> Result<(), BytesError> {
        match (self, &mut *out) {
            (ValueModel::Floats(model), Column::Float32(v)) => model.decode_rows(cursor, count, rows, v),
            (ValueModel::Floats(model), Column::Float64(v)) => model.decode_rows(cursor, count, rows, v),
            (ValueModel::Pco(column), _) => decode_pco(column, cursor, count, rows, out),
            _ => {
                let mut page = Column::new(out.value_type());
                self.decode(cursor, count, limits, &mut page)?;
                out.append(&page, rows.start, rows.end);
                Ok(())
            }
        }
    }

    /// Codec of the column.
    pub(crate) fn codec(&self) -> ColumnCodec {
        match self {
            ValueModel::Integers => ColumnCodec::Integers,
            ValueModel::Floats(model) => model.codec(),
            ValueModel::Texts(model) => model.codec(),
            ValueModel::Compressed => ColumnCodec::Compressed,
            ValueModel::Pco(_) => ColumnCodec::Pco,
            ValueModel::Arrays { .. } => ColumnCodec::Array,
        }
    }

    /// Appends the parameters of the column.
    pub(crate) fn put_parameters(&self, out: &mut Vec<u8>) {
        match self {
            ValueModel::Integers | ValueModel::Compressed => {}
            ValueModel::Pco(column) => column.put_parameters(out),
            ValueModel::Floats(model) => model.put_parameters(out),
            ValueModel::Texts(model) => model.put_parameters(out),
            ValueModel::Arrays { length, elements } => {
                put_varint(out, length.map_or(0, |length| length + 1));
                elements.put(out);
            }
        }
    }

    /// Appends codec and parameters.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        put_u8(out, self.codec() as u8);
        let mut parameters = Vec::new();
        self.put_parameters(&mut parameters);
        put_bytes(out, &parameters);
    }

    /// Reads the parameters of a column of `codec` that holds values of `value_type`.
    pub(crate) fn parse(
        codec: ColumnCodec,
        value_type: ValueType,
        cursor: &mut Cursor<'_>,
    ) -> Result<ValueModel, BytesError> {
        let kind = value_type.kind;
        match (codec, value_type.array) {
            (ColumnCodec::Array, true) => Ok(ValueModel::Arrays {
                length: cursor.varint()?.checked_sub(1),
                elements: Box::new(ValueModel::read(ValueType::scalar(kind), cursor)?),
            }),
            (_, true) => Err(cursor.error(NOT_OF_TYPE)),
            (ColumnCodec::Compressed, false) if kind.width().is_some() => Ok(ValueModel::Compressed),
            (ColumnCodec::Pco, false) if kind.width().is_some() => {
                PcoColumn::parse(cursor).map(ValueModel::Pco)
            }
            (ColumnCodec::Integers, false) if is_integer(kind) => Ok(ValueModel::Integers),
            (ColumnCodec::Double, false) if kind == Kind::Float32 => Err(cursor.error(NOT_OF_TYPE)),
            (_, false) if matches!(kind, Kind::Float32 | Kind::Float64) => {
                FloatModel::parse(codec, cursor).map(ValueModel::Floats)
            }
            (_, false) if matches!(kind, Kind::String | Kind::Structure) => {
                TextModel::parse(codec, cursor).map(ValueModel::Texts)
            }
            _ => Err(cursor.error(NOT_OF_TYPE)),
        }
    }

    /// Reads codec and parameters.
    pub(crate) fn read(value_type: ValueType, cursor: &mut Cursor<'_>) -> Result<ValueModel, BytesError> {
        let codec =
            ColumnCodec::from_tag(cursor.u8()?).ok_or_else(|| cursor.error("an unknown column codec"))?;
        let mut parameters = Cursor::new(cursor.counted_bytes()?);
        let model = ValueModel::parse(codec, value_type, &mut parameters);
        model.and_then(|model| parameters.finish().map(|()| model)).map_err(|error| cursor.error(error.what))
    }
}

/// Appends the numbers `rows` of a page of `count` that pco wrote.
fn decode_pco(
    column: &PcoColumn,
    cursor: &mut Cursor<'_>,
    count: usize,
    rows: Range<usize>,
    out: &mut Column,
) -> Result<(), BytesError> {
    by_class!(out,
        integers v => column.decode(cursor, count, rows, v),
        floats v => column.decode(cursor, count, rows, v),
        texts _v => Err(cursor.error(NOT_OF_TYPE)),
        arrays _ends _elements => Err(cursor.error(NOT_OF_TYPE)))
}

const NOT_OF_TYPE: &str = "a codec that does not suit the type of the values";

/// How much decoding may produce.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Array elements.
    pub(crate) elements: usize,
    /// Raw bytes of values.
    pub(crate) bytes: usize,
}

fn is_integer(kind: Kind) -> bool {
    !matches!(kind, Kind::Float32 | Kind::Float64 | Kind::String | Kind::Structure)
}

/// Reads the ends of `count` arrays and says by how many elements they grow.
fn read_ends(
    cursor: &mut Cursor<'_>,
    length: Option<u64>,
    count: usize,
    limits: Limits,
    elements: &Column,
    ends: &mut Vec<u32>,
) -> Result<usize, BytesError> {
    let lengths = match length {
        Some(length) => vec![i64::try_from(length).unwrap_or(-1); count],
        None => {
            let mut lengths = Vec::with_capacity(count);
            integer::decode(cursor, count, &mut lengths)?;
            lengths
        }
    };
    let width = elements.kind().width().unwrap_or(1);
    let most = limits.elements.min(limits.bytes / width);
    let start = elements.len();
    let mut end = start;
    for length in lengths {
        let next = usize::try_from(length).ok().and_then(|length| end.checked_add(length));
        end = next
            .filter(|next| *next <= most)
            .ok_or_else(|| cursor.error("arrays are longer than a chunk may be"))?;
        ends.push(u32::try_from(end).map_err(|_| cursor.error("arrays are longer than a chunk may be"))?);
    }
    Ok(end - start)
}

/// Integers of a column's own width. A u64 above i64::MAX wraps both ways.
trait Narrow {
    fn narrow(wide: i64) -> (Self, bool)
    where
        Self: Sized;
    fn wide(&self) -> i64;
}

macro_rules! narrow_as {
    ($($integer:ty)*) => { $(impl Narrow for $integer {
        fn narrow(wide: i64) -> ($integer, bool) {
            (wide as $integer, (wide as $integer) as i64 == wide)
        }
        fn wide(&self) -> i64 {
            *self as i64
        }
    })* };
}
narrow_as!(u8 u16 i8 i16 i32 u32 u64);

impl Narrow for i64 {
    fn narrow(wide: i64) -> (i64, bool) {
        (wide, true)
    }
    fn wide(&self) -> i64 {
        *self
    }
}

/// Appends integers; `false` when one does not fit.
fn extend_narrow<T: Narrow>(to: &mut Vec<T>, wide: &[i64]) -> bool {
    let mut fits = true;
    self::wide::wide(|| {
        to.extend(wide.iter().map(|wide| {
            let (value, exact) = T::narrow(*wide);
            fits &= exact;
            value
        }));
    });
    fits
}

/// Values `range` of a fixed-width column as little-endian bytes; nothing for texts and arrays.
pub(crate) fn fixed_bytes(column: &Column, range: Range<usize>) -> Vec<u8> {
    by_class!(column,
        integers v => v[range].iter().flat_map(|value| value.to_le_bytes()).collect(),
        floats v => v[range].iter().flat_map(|value| value.to_le_bytes()).collect(),
        texts _v => Vec::new(),
        arrays _ends _elements => Vec::new())
}

/// Appends values from little-endian bytes, a whole number of them.
pub(crate) fn extend_fixed(column: &mut Column, bytes: &[u8]) -> Result<(), &'static str> {
    fn extend<T, const N: usize>(
        to: &mut Vec<T>,
        bytes: &[u8],
        from: fn([u8; N]) -> T,
    ) -> Result<(), &'static str> {
        let (values, rest) = bytes.as_chunks::<N>();
        if !rest.is_empty() {
            return Err("bytes that are no whole number of values");
        }
        to.extend(values.iter().copied().map(from));
        Ok(())
    }
    match column {
        Column::Bool(v) | Column::UInt8(v) => extend(v, bytes, u8::from_le_bytes),
        Column::Enum(v) | Column::UInt16(v) => extend(v, bytes, u16::from_le_bytes),
        Column::Int8(v) => extend(v, bytes, i8::from_le_bytes),
        Column::Int16(v) => extend(v, bytes, i16::from_le_bytes),
        Column::Int32(v) => extend(v, bytes, i32::from_le_bytes),
        Column::Int64(v) => extend(v, bytes, i64::from_le_bytes),
        Column::UInt32(v) => extend(v, bytes, u32::from_le_bytes),
        Column::UInt64(v) => extend(v, bytes, u64::from_le_bytes),
        Column::Float32(v) => extend(v, bytes, f32::from_le_bytes),
        Column::Float64(v) => extend(v, bytes, f64::from_le_bytes),
        Column::String(_) | Column::Structure(_) | Column::Array { .. } => Err(NOT_OF_TYPE),
    }
}
