//! Recognising a reading that comes twice.

use crate::codec::by_class;
use sample::{Column, Sample, Value};
use xxhash_rust::xxh3::Xxh3;

/// 128 bits of XXH3 over what [`Sample::same_reading`] compares: time, type, value bits, severity and
/// status. Equal readings have equal fingerprints on every machine.
pub fn fingerprint(sample: &Sample) -> [u8; 16] {
    let mut hasher = Xxh3::new();
    hasher.update(&sample.time.0.to_le_bytes());
    let value_type = sample.value.value_type();
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
        scalar => {
            let mut column = Column::new(value_type);
            column.push(scalar);
            hash_elements(&mut hasher, &column);
        }
    }
    hasher.digest128().to_le_bytes()
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
