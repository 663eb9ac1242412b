//! Columns of values: what chunks hold in memory and what crates hand each other.

use crate::value::{Kind, Value, ValueType};
use std::sync::Arc;

/// Byte strings laid end to end; `ends[i]` is where string `i` stops in `data`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BytesColumn {
    /// Exclusive end of each string in `data`, never decreasing.
    pub ends: Vec<u32>,
    /// All bytes.
    pub data: Vec<u8>,
}

impl BytesColumn {
    /// Number of strings.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// String `i`.
    pub fn get(&self, i: usize) -> &[u8] {
        let from = if i == 0 { 0 } else { self.ends[i - 1] as usize };
        &self.data[from..self.ends[i] as usize]
    }

    /// Appends one string.
    ///
    /// # Panics
    /// When the column would pass 4 GiB; chunks close at 1 MiB long before.
    pub fn push(&mut self, bytes: &[u8]) {
        self.data.extend_from_slice(bytes);
        self.ends.push(u32::try_from(self.data.len()).expect("a bytes column stays below 4 GiB"));
    }
}

/// Values of one type. Equality is by bits. `Float32` and `Float64` hold IEEE-754 values whose bits all count.
#[derive(Clone, Debug)]
pub enum Column {
    /// 0 or 1 a byte.
    Bool(Vec<u8>),
    /// Enum indices.
    Enum(Vec<u16>),
    /// i8
    Int8(Vec<i8>),
    /// i16
    Int16(Vec<i16>),
    /// i32
    Int32(Vec<i32>),
    /// i64
    Int64(Vec<i64>),
    /// u8
    UInt8(Vec<u8>),
    /// u16
    UInt16(Vec<u16>),
    /// u32
    UInt32(Vec<u32>),
    /// u64
    UInt64(Vec<u64>),
    /// f32
    Float32(Vec<f32>),
    /// f64
    Float64(Vec<f64>),
    /// Strings.
    String(BytesColumn),
    /// Structure values; the type descriptor stands beside the column.
    Structure(BytesColumn),
    /// Arrays: `ends[i]` is where array `i` stops in `elements`.
    Array {
        /// Exclusive end of each array in `elements`, never decreasing.
        ends: Vec<u32>,
        /// Elements of all arrays, never itself a column of arrays.
        elements: Box<Column>,
    },
}

/// Runs `$body` with `$v` bound to the typed vector of any fixed-width column.
macro_rules! each_fixed {
    ($column:expr, $v:ident => $body:expr, bytes $b:ident => $bytes:expr, array $ends:ident $elements:ident => $array:expr) => {
        match $column {
            Column::Bool($v) => $body,
            Column::Enum($v) => $body,
            Column::Int8($v) => $body,
            Column::Int16($v) => $body,
            Column::Int32($v) => $body,
            Column::Int64($v) => $body,
            Column::UInt8($v) => $body,
            Column::UInt16($v) => $body,
            Column::UInt32($v) => $body,
            Column::UInt64($v) => $body,
            Column::Float32($v) => $body,
            Column::Float64($v) => $body,
            Column::String($b) | Column::Structure($b) => $bytes,
            Column::Array { ends: $ends, elements: $elements } => $array,
        }
    };
}

impl Column {
    /// An empty column of one type.
    pub fn new(value_type: ValueType) -> Column {
        let elements = match value_type.kind {
            Kind::Bool => Column::Bool(Vec::new()),
            Kind::Enum => Column::Enum(Vec::new()),
            Kind::Int8 => Column::Int8(Vec::new()),
            Kind::Int16 => Column::Int16(Vec::new()),
            Kind::Int32 => Column::Int32(Vec::new()),
            Kind::Int64 => Column::Int64(Vec::new()),
            Kind::UInt8 => Column::UInt8(Vec::new()),
            Kind::UInt16 => Column::UInt16(Vec::new()),
            Kind::UInt32 => Column::UInt32(Vec::new()),
            Kind::UInt64 => Column::UInt64(Vec::new()),
            Kind::Float32 => Column::Float32(Vec::new()),
            Kind::Float64 => Column::Float64(Vec::new()),
            Kind::String => Column::String(BytesColumn::default()),
            Kind::Structure => Column::Structure(BytesColumn::default()),
        };
        if value_type.array {
            Column::Array { ends: Vec::new(), elements: Box::new(elements) }
        } else {
            elements
        }
    }

    /// Kind of the elements.
    pub fn kind(&self) -> Kind {
        match self {
            Column::Bool(_) => Kind::Bool,
            Column::Enum(_) => Kind::Enum,
            Column::Int8(_) => Kind::Int8,
            Column::Int16(_) => Kind::Int16,
            Column::Int32(_) => Kind::Int32,
            Column::Int64(_) => Kind::Int64,
            Column::UInt8(_) => Kind::UInt8,
            Column::UInt16(_) => Kind::UInt16,
            Column::UInt32(_) => Kind::UInt32,
            Column::UInt64(_) => Kind::UInt64,
            Column::Float32(_) => Kind::Float32,
            Column::Float64(_) => Kind::Float64,
            Column::String(_) => Kind::String,
            Column::Structure(_) => Kind::Structure,
            Column::Array { elements, .. } => elements.kind(),
        }
    }

    /// Type of one value.
    pub fn value_type(&self) -> ValueType {
        ValueType { kind: self.kind(), array: matches!(self, Column::Array { .. }) }
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        each_fixed!(self, v => v.len(), bytes b => b.len(), array ends _elements => ends.len())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts the values into `out` as doubles in place of what it held: enums are their indices, 64-bit integers the
    /// nearest doubles. `false`, and nothing in `out`, where values are texts, structures or arrays.
    #[expect(clippy::cast_precision_loss, reason = "the nearest double is what is asked for")]
    pub fn numbers(&self, out: &mut Vec<f64>) -> bool {
        out.clear();
        match self {
            Column::Bool(v) | Column::UInt8(v) => out.extend(v.iter().map(|x| f64::from(*x))),
            Column::Enum(v) | Column::UInt16(v) => out.extend(v.iter().map(|x| f64::from(*x))),
            Column::Int8(v) => out.extend(v.iter().map(|x| f64::from(*x))),
            Column::Int16(v) => out.extend(v.iter().map(|x| f64::from(*x))),
            Column::Int32(v) => out.extend(v.iter().map(|x| f64::from(*x))),
            Column::Int64(v) => out.extend(v.iter().map(|x| *x as f64)),
            Column::UInt32(v) => out.extend(v.iter().map(|x| f64::from(*x))),
            Column::UInt64(v) => out.extend(v.iter().map(|x| *x as f64)),
            Column::Float32(v) => out.extend(v.iter().map(|x| f64::from(*x))),
            Column::Float64(v) => out.extend_from_slice(v),
            Column::String(_) | Column::Structure(_) | Column::Array { .. } => return false,
        }
        true
    }

    /// Bytes of the values themselves, without offsets.
    pub fn byte_len(&self) -> usize {
        each_fixed!(self, v => std::mem::size_of_val(v.as_slice()), bytes b => b.data.len(),
            array _ends elements => elements.byte_len())
    }

    /// Room for this many more values without another allocation.
    pub fn reserve(&mut self, count: usize) {
        each_fixed!(self, v => v.reserve_exact(count), bytes b => b.ends.reserve_exact(count),
            array ends _elements => ends.reserve_exact(count));
    }

    /// Appends `value`; `false` (and nothing appended) when its type is another one.
    pub fn push(&mut self, value: &Value) -> bool {
        match (self, value) {
            (Column::Bool(v), Value::Bool(x)) => v.push(u8::from(*x)),
            (Column::Enum(v), Value::Enum(x)) | (Column::UInt16(v), Value::UInt16(x)) => v.push(*x),
            (Column::Int8(v), Value::Int8(x)) => v.push(*x),
            (Column::Int16(v), Value::Int16(x)) => v.push(*x),
            (Column::Int32(v), Value::Int32(x)) => v.push(*x),
            (Column::Int64(v), Value::Int64(x)) => v.push(*x),
            (Column::UInt8(v), Value::UInt8(x)) => v.push(*x),
            (Column::UInt32(v), Value::UInt32(x)) => v.push(*x),
            (Column::UInt64(v), Value::UInt64(x)) => v.push(*x),
            (Column::Float32(v), Value::Float32(x)) => v.push(*x),
            (Column::Float64(v), Value::Float64(x)) => v.push(*x),
            (Column::String(v), Value::String(x)) => v.push(x),
            (Column::Structure(v), Value::Structure { bytes, .. }) => v.push(bytes),
            (Column::Array { ends, elements }, Value::Array(x)) => {
                if elements.value_type() != x.value_type() {
                    return false;
                }
                elements.append(x, 0, x.len());
                ends.push(u32::try_from(elements.len()).expect("a chunk's elements stay below 2^32"));
            }
            _ => return false,
        }
        true
    }

    /// Appends values `from..to` of `other`, a column of the same type.
    ///
    /// # Panics
    /// When the types differ or the range is outside `other`.
    pub fn append(&mut self, other: &Column, from: usize, to: usize) {
        match (self, other) {
            (Column::Bool(a), Column::Bool(b)) | (Column::UInt8(a), Column::UInt8(b)) => {
                a.extend_from_slice(&b[from..to]);
            }
            (Column::Enum(a), Column::Enum(b)) | (Column::UInt16(a), Column::UInt16(b)) => {
                a.extend_from_slice(&b[from..to]);
            }
            (Column::Int8(a), Column::Int8(b)) => a.extend_from_slice(&b[from..to]),
            (Column::Int16(a), Column::Int16(b)) => a.extend_from_slice(&b[from..to]),
            (Column::Int32(a), Column::Int32(b)) => a.extend_from_slice(&b[from..to]),
            (Column::Int64(a), Column::Int64(b)) => a.extend_from_slice(&b[from..to]),
            (Column::UInt32(a), Column::UInt32(b)) => a.extend_from_slice(&b[from..to]),
            (Column::UInt64(a), Column::UInt64(b)) => a.extend_from_slice(&b[from..to]),
            (Column::Float32(a), Column::Float32(b)) => a.extend_from_slice(&b[from..to]),
            (Column::Float64(a), Column::Float64(b)) => a.extend_from_slice(&b[from..to]),
            (Column::String(a), Column::String(b)) | (Column::Structure(a), Column::Structure(b)) => {
                for i in from..to {
                    a.push(b.get(i));
                }
            }
            (Column::Array { ends, elements }, Column::Array { ends: other_ends, elements: other }) => {
                for i in from..to {
                    let start = if i == 0 { 0 } else { other_ends[i - 1] as usize };
                    elements.append(other, start, other_ends[i] as usize);
                    ends.push(u32::try_from(elements.len()).expect("a chunk's elements stay below 2^32"));
                }
            }
            (a, b) => panic!("append of {:?} to {:?}", b.value_type(), a.value_type()),
        }
    }

    /// Value `i`. `descriptor` is that of the run, needed only by structures.
    ///
    /// # Panics
    /// When `i` is outside.
    pub fn get(&self, i: usize, descriptor: Option<&Arc<[u8]>>) -> Value {
        match self {
            Column::Bool(v) => Value::Bool(v[i] != 0),
            Column::Enum(v) => Value::Enum(v[i]),
            Column::Int8(v) => Value::Int8(v[i]),
            Column::Int16(v) => Value::Int16(v[i]),
            Column::Int32(v) => Value::Int32(v[i]),
            Column::Int64(v) => Value::Int64(v[i]),
            Column::UInt8(v) => Value::UInt8(v[i]),
            Column::UInt16(v) => Value::UInt16(v[i]),
            Column::UInt32(v) => Value::UInt32(v[i]),
            Column::UInt64(v) => Value::UInt64(v[i]),
            Column::Float32(v) => Value::Float32(v[i]),
            Column::Float64(v) => Value::Float64(v[i]),
            Column::String(v) => Value::String(v.get(i).into()),
            Column::Structure(v) => Value::Structure {
                descriptor: descriptor.cloned().unwrap_or_else(|| Arc::from([].as_slice())),
                bytes: v.get(i).into(),
            },
            Column::Array { ends, elements } => {
                let from = if i == 0 { 0 } else { ends[i - 1] as usize };
                let mut array = Column::new(elements.value_type());
                array.append(elements, from, ends[i] as usize);
                Value::Array(Box::new(array))
            }
        }
    }

    /// Keeps values `from..to` only.
    pub fn slice(&self, from: usize, to: usize) -> Column {
        let mut part = Column::new(self.value_type());
        part.reserve(to - from);
        part.append(self, from, to);
        part
    }
}

impl PartialEq for Column {
    fn eq(&self, other: &Column) -> bool {
        match (self, other) {
            (Column::Bool(a), Column::Bool(b)) | (Column::UInt8(a), Column::UInt8(b)) => a == b,
            (Column::Enum(a), Column::Enum(b)) | (Column::UInt16(a), Column::UInt16(b)) => a == b,
            (Column::Int8(a), Column::Int8(b)) => a == b,
            (Column::Int16(a), Column::Int16(b)) => a == b,
            (Column::Int32(a), Column::Int32(b)) => a == b,
            (Column::Int64(a), Column::Int64(b)) => a == b,
            (Column::UInt32(a), Column::UInt32(b)) => a == b,
            (Column::UInt64(a), Column::UInt64(b)) => a == b,
            (Column::Float32(a), Column::Float32(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(x, y)| x.to_bits() == y.to_bits())
            }
            (Column::Float64(a), Column::Float64(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(x, y)| x.to_bits() == y.to_bits())
            }
            (Column::String(a), Column::String(b)) | (Column::Structure(a), Column::Structure(b)) => a == b,
            (Column::Array { ends: e1, elements: a }, Column::Array { ends: e2, elements: b }) => {
                e1 == e2 && a == b
            }
            _ => false,
        }
    }
}

impl Eq for Column {}
