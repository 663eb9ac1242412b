//! What JSON says of a channel as MATLAB arrays, as the MATLAB client decodes it.

use super::level5::{Numbers, cells, numbers, structures, text};
use crate::export::names::Names;
use serde_json::{Map, Value};

/// An array of no elements.
pub(super) fn empty() -> Vec<u8> {
    numbers(Numbers::DOUBLE, [0, 0], &[])
}

/// One double.
pub(super) fn double(number: f64) -> Vec<u8> {
    numbers(Numbers::DOUBLE, [1, 1], &number.to_le_bytes())
}

/// One int64.
pub(super) fn int64(number: i64) -> Vec<u8> {
    numbers(Numbers::INT64, [1, 1], &number.to_le_bytes())
}

/// What a value is; `key` is its name, of which the ending `_ns` says that it is an exact time.
pub(super) fn array(key: &str, value: &Value) -> Vec<u8> {
    match value {
        Value::Null => empty(),
        Value::Bool(is) => numbers(Numbers::LOGICAL, [1, 1], &[u8::from(*is)]),
        Value::Number(number) => match number.as_i64().filter(|_| key.ends_with("_ns")) {
            Some(time) => int64(time),
            None => double(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(words) => text(words),
        Value::Array(values) => column(key, values),
        Value::Object(object) => {
            let mut content = Vec::new();
            let names = fields(object);
            content.extend(object.iter().flat_map(|(key, value)| array(key, value)));
            structures([1, 1], &names.iter().map(String::as_str).collect::<Vec<_>>(), &content)
        }
    }
}

fn fields(object: &Map<String, Value>) -> Vec<String> {
    let mut names = Names::default();
    object.keys().map(|key| names.take(key)).collect()
}

/// Numbers become a column, objects with the same keys structures, others cells.
fn column(key: &str, values: &[Value]) -> Vec<u8> {
    let dimensions = [values.len(), 1];
    let Some(first) = values.first() else { return empty() };
    if values.iter().all(Value::is_number) && !key.ends_with("_ns") {
        let doubles = values.iter().map(|value| value.as_f64().unwrap_or(f64::NAN));
        return numbers(Numbers::DOUBLE, dimensions, &doubles.flat_map(f64::to_le_bytes).collect::<Vec<_>>());
    }
    let alike = |value: &Value| match (value, first) {
        (Value::Object(one), Value::Object(other)) => one.keys().eq(other.keys()),
        _ => false,
    };
    let content: Vec<u8> = if let Value::Object(object) = first
        && values.iter().all(alike)
    {
        let names = fields(object);
        let objects = values.iter().filter_map(Value::as_object).flatten();
        let content: Vec<u8> = objects.flat_map(|(key, value)| array(key, value)).collect();
        return structures(dimensions, &names.iter().map(String::as_str).collect::<Vec<_>>(), &content);
    } else {
        values.iter().flat_map(|value| array(key, value)).collect()
    };
    cells(dimensions, &content)
}
