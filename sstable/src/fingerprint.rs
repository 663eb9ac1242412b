//! Recognising a reading that comes twice.

use crate::codec::by_class;
use sample::{Column, Sample, Value, ValueType};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// XXH3-64 over what [`Sample::same_reading`] compares: time, type, value bits, severity and
/// status. Equal readings have equal fingerprints on every machine.
pub fn fingerprint(sample: &Sample) -> u64 {
    let value_type = sample.value.value_type();
    if !value_type.array && value_type.kind.width().is_some() {
        return scalar_fingerprint(sample, value_type);
    }
    let mut hasher = Xxh3::new();
    hasher.update(&sample.time.0.to_le_bytes());
    let [low, high] = sample.status.code.to_le_bytes();
    hasher.update(&[
        value_type.kind as u8,
        u8::from(value_type.array),
        sample.severity as u8,
        sample.status.domain as u8,
        low,
        high,
    ]);
    match &sample.value {
        Value::Array(elements) => hash_elements(&mut hasher, elements),
        Value::String(bytes) => hasher.update(bytes),
        Value::Structure { descriptor, bytes } => {
            hasher.update(&(descriptor.len() as u64).to_le_bytes());
            hasher.update(descriptor);
            hasher.update(bytes);
        }
        _ => {}
    }
    hasher.digest()
}

/// The same hash as for arrays of one, from a few bytes on the stack: every sample passes here.
fn scalar_fingerprint(sample: &Sample, value_type: ValueType) -> u64 {
    let mut bytes = [0; 8 + 6 + 8];
    bytes[..8].copy_from_slice(&sample.time.0.to_le_bytes());
    let [low, high] = sample.status.code.to_le_bytes();
    let alarm = [sample.severity as u8, sample.status.domain as u8, low, high];
    bytes[8..10].copy_from_slice(&[value_type.kind as u8, u8::from(value_type.array)]);
    bytes[10..14].copy_from_slice(&alarm);
    let len = 14 + value_type.kind.width().unwrap_or(0);
    let value: [u8; 8] = match &sample.value {
        Value::Bool(v) => u64::from(*v).to_le_bytes(),
        Value::Int8(v) => i64::from(*v).to_le_bytes(),
        Value::Int16(v) => i64::from(*v).to_le_bytes(),
        Value::Int32(v) => i64::from(*v).to_le_bytes(),
        Value::Int64(v) => v.to_le_bytes(),
        Value::UInt8(v) => u64::from(*v).to_le_bytes(),
        Value::Enum(v) | Value::UInt16(v) => u64::from(*v).to_le_bytes(),
        Value::UInt32(v) => u64::from(*v).to_le_bytes(),
        Value::UInt64(v) => v.to_le_bytes(),
        Value::Float32(v) => u64::from(v.to_bits()).to_le_bytes(),
        Value::Float64(v) => v.to_bits().to_le_bytes(),
        Value::String(_) | Value::Structure { .. } | Value::Array(_) => [0; 8],
    };
    bytes[14..].copy_from_slice(&value);
    xxh3_64(&bytes[..len])
}

fn hash_elements(hasher: &mut Xxh3, elements: &Column) {
    by_class!(elements,
        integers v => v.iter().for_each(|value| hasher.update(&value.to_le_bytes())),
        floats v => v.iter().for_each(|value| hasher.update(&value.to_bits().to_le_bytes())),
        texts v => (0..v.len()).for_each(|i| {
            hasher.update(&(v.get(i).len() as u64).to_le_bytes());
            hasher.update(v.get(i));
        }),
        arrays _ends _elements => {});
}
