//! Values and their types: every scalar that EPICS knows, arrays of them, structures.

use crate::column::Column;
use std::sync::Arc;

/// What one element is. The numbers are the type tags of every Varve format and are never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Kind {
    /// true or false
    Bool = 1,
    /// index into the channel's enum states
    Enum = 2,
    /// i8
    Int8 = 3,
    /// i16
    Int16 = 4,
    /// i32
    Int32 = 5,
    /// i64
    Int64 = 6,
    /// u8
    UInt8 = 7,
    /// u16
    UInt16 = 8,
    /// u32
    UInt32 = 9,
    /// u64
    UInt64 = 10,
    /// f32, every bit pattern
    Float32 = 11,
    /// f64, every bit pattern
    Float64 = 12,
    /// bytes of text, not always UTF-8
    String = 13,
    /// a pvAccess structure: its type descriptor stands in [`crate::RunType`], the value is bytes
    Structure = 14,
}

impl Kind {
    /// Every kind, in tag order.
    pub const ALL: [Kind; 14] = [
        Kind::Bool,
        Kind::Enum,
        Kind::Int8,
        Kind::Int16,
        Kind::Int32,
        Kind::Int64,
        Kind::UInt8,
        Kind::UInt16,
        Kind::UInt32,
        Kind::UInt64,
        Kind::Float32,
        Kind::Float64,
        Kind::String,
        Kind::Structure,
    ];

    /// From its tag.
    pub fn from_tag(tag: u8) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| *kind as u8 == tag)
    }

    /// The name that the HTTP interface uses, for example `float64`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Bool => "bool",
            Kind::Enum => "enum",
            Kind::Int8 => "int8",
            Kind::Int16 => "int16",
            Kind::Int32 => "int32",
            Kind::Int64 => "int64",
            Kind::UInt8 => "uint8",
            Kind::UInt16 => "uint16",
            Kind::UInt32 => "uint32",
            Kind::UInt64 => "uint64",
            Kind::Float32 => "float32",
            Kind::Float64 => "float64",
            Kind::String => "string",
            Kind::Structure => "structure",
        }
    }

    /// Bytes of one element in memory and on the wire; `None` for strings and structures.
    #[inline]
    pub fn width(self) -> Option<usize> {
        match self {
            Kind::Bool | Kind::Int8 | Kind::UInt8 => Some(1),
            Kind::Enum | Kind::Int16 | Kind::UInt16 => Some(2),
            Kind::Int32 | Kind::UInt32 | Kind::Float32 => Some(4),
            Kind::Int64 | Kind::UInt64 | Kind::Float64 => Some(8),
            Kind::String | Kind::Structure => None,
        }
    }
}

/// Type of a channel's values: an element kind, alone or as arrays of changing length.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ValueType {
    /// Kind of each element.
    pub kind: Kind,
    /// Whether a value is an array of elements.
    pub array: bool,
}

impl ValueType {
    /// A scalar type.
    pub fn scalar(kind: Kind) -> ValueType {
        ValueType { kind, array: false }
    }

    /// An array type.
    pub fn array(kind: Kind) -> ValueType {
        ValueType { kind, array: true }
    }

    /// The HTTP interface's name, for example `float64[]`.
    pub fn name(self) -> String {
        format!("{}{}", self.kind.name(), if self.array { "[]" } else { "" })
    }
}

/// One value. Equality is by bits: NaNs with equal payloads are equal, 0.0 and -0.0 are not.
#[derive(Clone, Debug)]
pub enum Value {
    /// See [`Kind::Bool`].
    Bool(bool),
    /// See [`Kind::Enum`].
    Enum(u16),
    /// See [`Kind::Int8`].
    Int8(i8),
    /// See [`Kind::Int16`].
    Int16(i16),
    /// See [`Kind::Int32`].
    Int32(i32),
    /// See [`Kind::Int64`].
    Int64(i64),
    /// See [`Kind::UInt8`].
    UInt8(u8),
    /// See [`Kind::UInt16`].
    UInt16(u16),
    /// See [`Kind::UInt32`].
    UInt32(u32),
    /// See [`Kind::UInt64`].
    UInt64(u64),
    /// See [`Kind::Float32`].
    Float32(f32),
    /// See [`Kind::Float64`].
    Float64(f64),
    /// See [`Kind::String`].
    String(Box<[u8]>),
    /// See [`Kind::Structure`].
    Structure {
        /// The pvAccess type description, opaque here.
        descriptor: Arc<[u8]>,
        /// The value, lossless.
        bytes: Box<[u8]>,
    },
    /// The elements of one array; never itself a column of arrays.
    Array(Box<Column>),
}

impl Value {
    /// A string value.
    pub fn text(text: &str) -> Value {
        Value::String(text.as_bytes().into())
    }

    /// Its type.
    #[inline]
    pub fn value_type(&self) -> ValueType {
        // Before the others, here and below: nearly all are, and a jump over a table costs more than a comparison.
        if let Value::Float64(_) = self {
            return ValueType::scalar(Kind::Float64);
        }
        let kind = match self {
            Value::Bool(_) => Kind::Bool,
            Value::Enum(_) => Kind::Enum,
            Value::Int8(_) => Kind::Int8,
            Value::Int16(_) => Kind::Int16,
            Value::Int32(_) => Kind::Int32,
            Value::Int64(_) => Kind::Int64,
            Value::UInt8(_) => Kind::UInt8,
            Value::UInt16(_) => Kind::UInt16,
            Value::UInt32(_) => Kind::UInt32,
            Value::UInt64(_) => Kind::UInt64,
            Value::Float32(_) => Kind::Float32,
            Value::Float64(_) => Kind::Float64,
            Value::String(_) => Kind::String,
            Value::Structure { .. } => Kind::Structure,
            Value::Array(elements) => return ValueType::array(elements.kind()),
        };
        ValueType::scalar(kind)
    }

    /// As a number for limits, dead bands and statistics; `None` for text, arrays and structures.
    #[expect(clippy::cast_precision_loss, reason = "64-bit integers round, as the docs of the callers say")]
    pub fn as_f64(&self) -> Option<f64> {
        Some(match self {
            Value::Bool(v) => f64::from(u8::from(*v)),
            Value::Enum(v) | Value::UInt16(v) => f64::from(*v),
            Value::Int8(v) => f64::from(*v),
            Value::Int16(v) => f64::from(*v),
            Value::Int32(v) => f64::from(*v),
            Value::Int64(v) => *v as f64,
            Value::UInt8(v) => f64::from(*v),
            Value::UInt32(v) => f64::from(*v),
            Value::UInt64(v) => *v as f64,
            Value::Float32(v) => f64::from(*v),
            Value::Float64(v) => *v,
            Value::String(_) | Value::Structure { .. } | Value::Array(_) => return None,
        })
    }

    /// Bytes of the value itself, the measure of `max_bytes_per_second` and of a chunk's 1 MiB.
    #[inline]
    pub fn byte_len(&self) -> usize {
        if let Value::Float64(_) = self {
            return size_of::<f64>();
        }
        match self {
            Value::String(bytes) => bytes.len(),
            Value::Structure { bytes, .. } => bytes.len(),
            Value::Array(elements) => elements.byte_len(),
            scalar => scalar.value_type().kind.width().unwrap_or(0),
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Enum(a), Value::Enum(b)) | (Value::UInt16(a), Value::UInt16(b)) => a == b,
            (Value::Int8(a), Value::Int8(b)) => a == b,
            (Value::Int16(a), Value::Int16(b)) => a == b,
            (Value::Int32(a), Value::Int32(b)) => a == b,
            (Value::Int64(a), Value::Int64(b)) => a == b,
            (Value::UInt8(a), Value::UInt8(b)) => a == b,
            (Value::UInt32(a), Value::UInt32(b)) => a == b,
            (Value::UInt64(a), Value::UInt64(b)) => a == b,
            (Value::Float32(a), Value::Float32(b)) => a.to_bits() == b.to_bits(),
            (Value::Float64(a), Value::Float64(b)) => a.to_bits() == b.to_bits(),
            (Value::String(a), Value::String(b)) => a == b,
            (
                Value::Structure { descriptor: d1, bytes: b1 },
                Value::Structure { descriptor: d2, bytes: b2 },
            ) => d1 == d2 && b1 == b2,
            (Value::Array(a), Value::Array(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Value {}
