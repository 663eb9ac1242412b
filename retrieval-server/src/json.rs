//! JSON text of names, numbers, values and metadata.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sample::{Column, Metadata};
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// How numbers are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Numbers {
    /// Non-finite floating-point numbers as `null` instead of `"NaN"`, `"Infinity"`, `"-Infinity"`.
    pub nonfinite_null: bool,
    /// 64-bit integers as strings.
    pub int64_string: bool,
}

/// Text of bytes that may not be UTF-8: those of old servers are Latin-1 then.
pub(crate) fn text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().map(|b| char::from(*b)).collect()),
    }
}

/// Appends `text` as a JSON string.
pub(crate) fn string(out: &mut Vec<u8>, text: &str) {
    // Writing to memory cannot fail, nor can a string be no JSON.
    let _ = serde_json::to_writer(out, text);
}

/// Appends a JSON value.
pub(crate) fn value(out: &mut Vec<u8>, value: &Value) {
    let _ = serde_json::to_writer(out, value);
}

/// Appends an integer of at most 32 bits or one that is always written as an integer.
pub(crate) fn integer(out: &mut Vec<u8>, number: i64) {
    let _ = serde_json::to_writer(out, &number);
}

/// The name of a number that is not finite.
pub(crate) fn nonfinite(number: f64) -> &'static str {
    if number.is_nan() {
        "NaN"
    } else if number > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}

impl Numbers {
    /// A 64-bit signed integer.
    pub(crate) fn int64(self, out: &mut Vec<u8>, number: i64) {
        self.quoted(out, self.int64_string, |out| integer(out, number));
    }

    fn uint64(self, out: &mut Vec<u8>, number: u64) {
        self.quoted(out, self.int64_string, |out| {
            let _ = serde_json::to_writer(out, &number);
        });
    }

    fn quoted(self, out: &mut Vec<u8>, quotes: bool, write: impl Fn(&mut Vec<u8>)) {
        if quotes {
            out.push(b'"');
        }
        write(out);
        if quotes {
            out.push(b'"');
        }
    }

    fn special(self, out: &mut Vec<u8>, number: f64) {
        if self.nonfinite_null {
            out.extend_from_slice(b"null");
        } else {
            string(out, nonfinite(number));
        }
    }

    /// A double.
    pub(crate) fn float64(self, out: &mut Vec<u8>, number: f64) {
        if number.is_finite() {
            let _ = serde_json::to_writer(out, &number);
        } else {
            self.special(out, number);
        }
    }

    /// Scalar `i` of a column that is no array.
    pub(crate) fn scalar(self, out: &mut Vec<u8>, column: &Column, i: usize) {
        match column {
            Column::Bool(v) => out.extend_from_slice(if v[i] != 0 { b"true" } else { b"false" }),
            Column::Enum(v) | Column::UInt16(v) => integer(out, v[i].into()),
            Column::Int8(v) => integer(out, v[i].into()),
            Column::Int16(v) => integer(out, v[i].into()),
            Column::Int32(v) => integer(out, v[i].into()),
            Column::Int64(v) => self.int64(out, v[i]),
            Column::UInt8(v) => integer(out, v[i].into()),
            Column::UInt32(v) => integer(out, v[i].into()),
            Column::UInt64(v) => self.uint64(out, v[i]),
            Column::Float32(v) if v[i].is_finite() => {
                let _ = serde_json::to_writer(out, &v[i]);
            }
            Column::Float32(v) => self.special(out, f64::from(v[i])),
            Column::Float64(v) => self.float64(out, v[i]),
            Column::String(v) => string(out, &text(v.get(i))),
            Column::Structure(v) => string(out, &STANDARD.encode(v.get(i))),
            // Arrays of arrays do not exist; the array itself is written by its elements.
            Column::Array { .. } => out.extend_from_slice(b"null"),
        }
    }

    /// One value, scalar or array.
    pub(crate) fn put(self, out: &mut Vec<u8>, column: &Column, i: usize) {
        match column {
            Column::Array { elements, .. } => {
                out.push(b'[');
                for (n, element) in column.elements(i).enumerate() {
                    if n > 0 {
                        out.push(b',');
                    }
                    self.scalar(out, elements, element);
                }
                out.push(b']');
            }
            scalar => self.scalar(out, scalar, i),
        }
    }

    /// One value, scalar or array, as a JSON value.
    pub(crate) fn one(self, column: &Column, i: usize) -> Value {
        let mut out = Vec::new();
        self.put(&mut out, column, i);
        serde_json::from_slice(&out).unwrap_or(Value::Null)
    }

    /// A time or another 64-bit integer as a JSON value.
    pub(crate) fn integer_value(self, number: i64) -> Value {
        if self.int64_string { json!(number.to_string()) } else { json!(number) }
    }

    fn float_value(self, number: f64) -> Value {
        if number.is_finite() {
            json!(number)
        } else if self.nonfinite_null {
            Value::Null
        } else {
            json!(nonfinite(number))
        }
    }

    /// Metadata; what is unknown is absent.
    pub(crate) fn metadata(self, metadata: Option<&Metadata>) -> Value {
        let mut object = Map::new();
        let Some(m) = metadata else { return Value::Object(object) };
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                object.insert(name.into(), value);
            }
        };
        let words = |bytes: &Option<Box<[u8]>>| bytes.as_ref().map(|b| json!(text(b)));
        put("units", words(&m.units));
        put("precision", m.precision.map(|p| json!(p)));
        for (name, limit) in [
            ("display_low", m.display_low),
            ("display_high", m.display_high),
            ("alarm_low", m.alarm_low),
            ("alarm_high", m.alarm_high),
            ("warning_low", m.warning_low),
            ("warning_high", m.warning_high),
            ("control_low", m.control_low),
            ("control_high", m.control_high),
        ] {
            put(name, limit.map(|limit| self.float_value(limit)));
        }
        put("states", m.states.as_ref().map(|s| s.iter().map(|b| json!(text(b))).collect()));
        put("description", words(&m.description));
        put("host", words(&m.host));
        put("settings", words(&m.settings));
        Value::Object(object)
    }
}

/// Elements of array values.
pub(crate) trait Elements {
    /// Where the elements of array `i` stand; a scalar stands for itself.
    fn elements(&self, i: usize) -> std::ops::Range<usize>;
    /// The column that those elements stand in.
    fn scalars(&self) -> &Column;
}

impl Elements for Column {
    fn elements(&self, i: usize) -> std::ops::Range<usize> {
        match self {
            Column::Array { ends, .. } => {
                let from = if i == 0 { 0 } else { ends[i - 1] as usize };
                from..ends[i] as usize
            }
            _ => i..i + 1,
        }
    }

    fn scalars(&self) -> &Column {
        match self {
            Column::Array { elements, .. } => elements,
            scalars => scalars,
        }
    }
}
