//! Random readings of every type, the awkward ones often.

use disk::sim::Random;
use sample::{
    BytesColumn, Column, Kind, Sample, Severity, Status, StatusDomain, Timestamp, Value, ValueType,
};
use std::sync::Arc;

/// Any type, most often a plain number.
pub fn any_type(random: &mut Random) -> ValueType {
    if random.one_in(3) {
        return ValueType::scalar(Kind::Float64);
    }
    let kind = Kind::ALL[random.below(Kind::ALL.len() as u64) as usize];
    ValueType { kind, array: random.one_in(3) }
}

/// Bits of which some look like nothing, everything, the least or the greatest.
fn bits(random: &mut Random) -> u64 {
    match random.below(6) {
        0 => 0,
        1 => u64::MAX,
        2 => 1 << 63,
        3 => random.below(10),
        _ => random.bits(),
    }
}

fn float64(random: &mut Random) -> f64 {
    match random.below(8) {
        0 => -0.0,
        1 => f64::from_bits(0x7ff0_0000_0000_0000 | (random.bits() >> 12)),
        2 => f64::NEG_INFINITY,
        3 => random.below(1000) as f64 * 0.25,
        4 => f64::from_bits(random.bits()),
        _ => random.below(20) as f64,
    }
}

fn float32(random: &mut Random) -> f32 {
    match random.below(6) {
        0 => -0.0,
        1 => f32::from_bits(0x7f80_0000 | (random.bits() >> 41) as u32),
        2 => f32::INFINITY,
        3 => f32::from_bits(random.bits() as u32),
        _ => random.below(20) as f32 * 0.5,
    }
}

fn bytes(random: &mut Random) -> Box<[u8]> {
    let len = if random.one_in(3) { 0 } else { random.below(12) };
    (0..len).map(|_| random.bits() as u8).collect()
}

fn column(random: &mut Random, kind: Kind) -> Column {
    let len = if random.one_in(4) { 0 } else { random.below(6) as usize };
    let mut texts = BytesColumn::default();
    if matches!(kind, Kind::String | Kind::Structure) {
        (0..len).for_each(|_| texts.push(&bytes(random)));
    }
    macro_rules! numbers {
        ($variant:ident, $type:ty) => {
            Column::$variant((0..len).map(|_| bits(random) as $type).collect())
        };
    }
    match kind {
        Kind::Bool => Column::Bool((0..len).map(|_| random.below(2) as u8).collect()),
        Kind::Enum => numbers!(Enum, u16),
        Kind::Int8 => numbers!(Int8, i8),
        Kind::Int16 => numbers!(Int16, i16),
        Kind::Int32 => numbers!(Int32, i32),
        Kind::Int64 => numbers!(Int64, i64),
        Kind::UInt8 => numbers!(UInt8, u8),
        Kind::UInt16 => numbers!(UInt16, u16),
        Kind::UInt32 => numbers!(UInt32, u32),
        Kind::UInt64 => numbers!(UInt64, u64),
        Kind::Float32 => Column::Float32((0..len).map(|_| float32(random)).collect()),
        Kind::Float64 => Column::Float64((0..len).map(|_| float64(random)).collect()),
        // Arrays of structures have no type description of their own: they travel as strings here.
        Kind::String | Kind::Structure => Column::String(texts),
    }
}

/// A value of `value_type`; arrays of structures become arrays of strings.
pub fn value(random: &mut Random, value_type: ValueType) -> Value {
    if value_type.array {
        return Value::Array(Box::new(column(random, value_type.kind)));
    }
    match value_type.kind {
        Kind::Bool => Value::Bool(random.one_in(2)),
        Kind::Enum => Value::Enum(random.below(16) as u16),
        Kind::Int8 => Value::Int8(bits(random) as i8),
        Kind::Int16 => Value::Int16(bits(random) as i16),
        Kind::Int32 => Value::Int32(bits(random) as i32),
        Kind::Int64 => Value::Int64(bits(random) as i64),
        Kind::UInt8 => Value::UInt8(bits(random) as u8),
        Kind::UInt16 => Value::UInt16(bits(random) as u16),
        Kind::UInt32 => Value::UInt32(bits(random) as u32),
        Kind::UInt64 => Value::UInt64(bits(random)),
        Kind::Float32 => Value::Float32(float32(random)),
        Kind::Float64 => Value::Float64(float64(random)),
        Kind::String => Value::String(bytes(random)),
        Kind::Structure => {
            let descriptor: Arc<[u8]> = Arc::from(&b"structure v"[..9 + random.below(3) as usize]);
            Value::Structure { descriptor, bytes: bytes(random) }
        }
    }
}

/// A reading of `value_type` at `time`, now and then with alarms and all optional parts.
pub fn reading(random: &mut Random, value_type: ValueType, time: Timestamp) -> Sample {
    let mut sample = Sample::new(time, value(random, value_type));
    if random.one_in(4) {
        let severities = [Severity::NoAlarm, Severity::Minor, Severity::Major, Severity::Invalid];
        sample.severity = severities[random.below(4) as usize];
        sample.status.code = random.below(22) as u16;
    }
    if random.one_in(8) {
        sample.status = Status { domain: StatusDomain::Pva, code: random.below(70_000) as u16 };
        sample.user_tag = random.one_in(2).then(|| bits(random) as i64);
        sample.message = random.one_in(2).then(|| bytes(random));
    }
    if random.one_in(8) {
        sample.received = Some(Timestamp(time.0 + random.below(1_000_000) as i64));
    }
    sample.metadata_known = !random.one_in(8);
    sample
}
