//! Which of the appliance's types holds all values of a channel, and its values as that type.

use super::message::{
    Beside, OfBytes, OfDouble, OfDoubles, OfFloat, OfFloats, OfInt, OfInts, OfShort, OfShorts, OfTexts,
};
use sample::{Column, Kind, ValueType};
use std::ops::Range;

/// What one element is; the numbers are those of the appliance's scalar types, arrays have 7 more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
enum Element {
    String = 0,
    Short = 1,
    Float = 2,
    Enum = 3,
    Byte = 4,
    Int = 5,
    Double = 6,
}

/// Between the type of a scalar and that of an array of it.
const ARRAY: i32 = 7;

/// One of the appliance's types.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Payload {
    element: Element,
    array: bool,
}

/// Why a value cannot be one of a [`Payload`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Unfit {
    /// It has another type than was said before.
    Type,
    /// An integer beyond those that doubles hold.
    Integer(String),
}

impl Payload {
    /// The type that holds values of all of `types` without a loss, if there is one. 64-bit integers are doubles, which
    /// only [`Payload::sample`] can judge.
    pub(super) fn of(types: &[ValueType]) -> Option<Payload> {
        let array = types.first()?.array;
        if types.iter().any(|one| one.array != array) {
            return None;
        }
        let kinds: Vec<Kind> = types.iter().map(|one| one.kind).collect();
        let all = |some: &[Kind]| kinds.iter().all(|kind| some.contains(kind));
        let small = [Kind::Bool, Kind::Int8, Kind::UInt8, Kind::Int16];
        let exact_in_float = [Kind::Bool, Kind::Int8, Kind::UInt8, Kind::Int16, Kind::UInt16, Kind::Float32];
        let element = match kinds.as_slice() {
            [Kind::String] => Element::String,
            [Kind::Enum] => Element::Enum,
            // As the appliance stores a DBR_CHAR: the bits, which it shows with a sign.
            [Kind::Bool | Kind::Int8 | Kind::UInt8] => Element::Byte,
            some if some.iter().any(|kind| matches!(kind, Kind::String | Kind::Enum | Kind::Structure)) => {
                return None;
            }
            _ if all(&small) => Element::Short,
            _ if all(&[&small[..], &[Kind::UInt16, Kind::Int32]].concat()) => Element::Int,
            _ if all(&exact_in_float) => Element::Float,
            _ => Element::Double,
        };
        Some(Payload { element, array })
    }

    /// Its number in a file's first line.
    pub(super) fn number(self) -> i32 {
        self.element as i32 + if self.array { ARRAY } else { 0 }
    }

    /// The message of value `i`.
    pub(super) fn sample(self, values: &Column, i: usize, beside: Beside) -> Result<Vec<u8>, Unfit> {
        let (elements, place) = match values {
            Column::Array { ends, elements } if self.array => {
                let from = if i == 0 { 0 } else { ends[i - 1] as usize };
                (&**elements, from..ends[i] as usize)
            }
            Column::Array { .. } => return Err(Unfit::Type),
            _ if self.array => return Err(Unfit::Type),
            scalars => (scalars, i..i + 1),
        };
        let integer = |i| i32::try_from(integer(elements, i)?).map_err(|_| Unfit::Type);
        let float = |i| float(elements, i);
        let double = |i| double(elements, i);
        Ok(match (self.element, self.array) {
            (Element::Byte, _) => OfBytes::bytes(bytes(elements, place)?, beside),
            (Element::String, false) => OfBytes::bytes(text(elements, i)?, beside),
            (Element::Short | Element::Enum, false) => OfShort::bytes(integer(i)?, beside),
            (Element::Int, false) => OfInt::bytes(integer(i)?, beside),
            (Element::Float, false) => OfFloat::bytes(float(i)?, beside),
            (Element::Double, false) => OfDouble::bytes(double(i)?, beside),
            (Element::String, true) => OfTexts::bytes(all(place, |i| text(elements, i))?, beside),
            (Element::Short | Element::Enum, true) => OfShorts::bytes(all(place, integer)?, beside),
            (Element::Int, true) => OfInts::bytes(all(place, integer)?, beside),
            (Element::Float, true) => OfFloats::bytes(all(place, float)?, beside),
            (Element::Double, true) => OfDoubles::bytes(all(place, double)?, beside),
        })
    }
}

fn all<T>(place: Range<usize>, one: impl Fn(usize) -> Result<T, Unfit>) -> Result<Vec<T>, Unfit> {
    place.map(one).collect()
}

fn bytes(column: &Column, place: Range<usize>) -> Result<Vec<u8>, Unfit> {
    match column {
        Column::Bool(v) | Column::UInt8(v) => Ok(v[place].to_vec()),
        Column::Int8(v) => Ok(v[place].iter().map(|v| v.cast_unsigned()).collect()),
        _ => Err(Unfit::Type),
    }
}

fn text(column: &Column, i: usize) -> Result<Vec<u8>, Unfit> {
    match column {
        Column::String(texts) => Ok(texts.get(i).to_vec()),
        _ => Err(Unfit::Type),
    }
}

fn integer(column: &Column, i: usize) -> Result<i64, Unfit> {
    Ok(match column {
        Column::Bool(v) | Column::UInt8(v) => v[i].into(),
        Column::Int8(v) => v[i].into(),
        Column::Int16(v) => v[i].into(),
        Column::Enum(v) | Column::UInt16(v) => v[i].into(),
        Column::Int32(v) => v[i].into(),
        Column::UInt32(v) => v[i].into(),
        _ => return Err(Unfit::Type),
    })
}

#[expect(clippy::cast_precision_loss, reason = "integers of up to 16 bits are exact")]
fn float(column: &Column, i: usize) -> Result<f32, Unfit> {
    match column {
        Column::Float32(v) => Ok(v[i]),
        Column::Int32(_) | Column::UInt32(_) => Err(Unfit::Type),
        integers => Ok(integer(integers, i)? as f32),
    }
}

/// Doubles hold all integers up to here.
const EXACT_MAX: u64 = 1 << 53;

#[expect(clippy::cast_precision_loss, reason = "what is not exact is refused")]
fn double(column: &Column, i: usize) -> Result<f64, Unfit> {
    match column {
        Column::Float64(v) => Ok(v[i]),
        Column::Float32(v) => Ok(v[i].into()),
        Column::Int64(v) if v[i].unsigned_abs() > EXACT_MAX => Err(Unfit::Integer(v[i].to_string())),
        Column::Int64(v) => Ok(v[i] as f64),
        Column::UInt64(v) if v[i] > EXACT_MAX => Err(Unfit::Integer(v[i].to_string())),
        Column::UInt64(v) => Ok(v[i] as f64),
        integers => Ok(integer(integers, i)? as f64),
    }
}
