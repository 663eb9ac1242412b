//! An engine with a channel for each type, and more.

use archengine::Running;
use disk::RealDisk;
use engine::clock::{Clock, SystemClock};
use engine::config::Config;
use engine::source::{Arrival, SimulatedSource};
use sample::{ChannelName, Column, Kind, Metadata, Sample, Severity, Status, Timestamp, Value, ValueType};
use tempfile::TempDir;

/// Samples of each channel.
pub(crate) const SAMPLES: usize = 12;

fn scalar(kind: Kind, i: i64) -> Value {
    let number = i - 3;
    match kind {
        Kind::Bool => Value::Bool(i % 2 == 1),
        Kind::Enum => Value::Enum((i % 4) as u16),
        Kind::Int8 => Value::Int8(number as i8),
        Kind::Int16 => Value::Int16(number as i16 * 1000),
        Kind::Int32 => Value::Int32(number as i32 * 1_000_000),
        Kind::Int64 => Value::Int64(number * 1_000_000_007),
        Kind::UInt8 => Value::UInt8(250 - i as u8),
        Kind::UInt16 => Value::UInt16(65_535 - i as u16),
        Kind::UInt32 => Value::UInt32(u32::MAX - i as u32),
        Kind::UInt64 => Value::UInt64(1 << 40 | i as u64),
        Kind::Float32 => Value::Float32(number as f32 / 3.0),
        Kind::Float64 if i == 5 => Value::Float64(f64::NAN),
        Kind::Float64 => Value::Float64(number as f64 / 7.0),
        Kind::String => Value::text(["", "plain", "µ Ω\n", "\x1b\r\n"][i as usize % 4]),
        Kind::Structure => Value::Structure { descriptor: [1, 2].into(), bytes: [3, i as u8].into() },
    }
}

fn array(kind: Kind, count: i64) -> Value {
    let mut column = Column::new(ValueType::scalar(kind));
    assert!((0..count).all(|i| column.push(&scalar(kind, i))));
    Value::Array(Box::new(column))
}

fn value(name: &str, i: i64) -> Option<Value> {
    let kind = |name: &str| Kind::ALL.into_iter().find(|kind| kind.name() == name);
    Some(match name {
        "long-wave" => array(Kind::Float64, 3),
        "growing" => array(Kind::Int16, i),
        "changes" if i < 6 => scalar(Kind::Int16, i),
        "changes" => scalar(Kind::Float64, i),
        "nothing" => return None,
        _ => match name.strip_suffix("[]") {
            Some(elements) => array(kind(elements)?, 4),
            None => scalar(kind(name)?, i),
        },
    })
}

/// The names of its channels: those of types, and `long-wave`, `growing` and `changes`, and `nothing` without samples.
pub(crate) fn names() -> Vec<String> {
    let scalars = Kind::ALL.map(|kind| kind.name().to_owned());
    let arrays = Kind::ALL.iter().filter(|kind| **kind != Kind::Structure);
    let arrays = arrays.map(|kind| ValueType::array(*kind).name());
    let others = ["long-wave", "growing", "changes", "nothing"].map(str::to_owned);
    scalars.into_iter().chain(arrays).chain(others).collect()
}

/// The engine, and the time of the first sample of each channel; the others follow with a step of 1.000000001 s.
pub(crate) fn engine() -> (TempDir, Running, i64) {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("archive");
    let mut config = Config::without_file(&RealDisk, directory, &names(), &[]).unwrap();
    config.http.listen.set_port(0);
    let (source, handle) = SimulatedSource::new();
    let running = Running::start(config, Box::new(source)).unwrap();
    let now = SystemClock.now();
    let start = now.0 - 60_000_000_000;
    for name in &names() {
        let channel = ChannelName::parse(name).unwrap();
        let host = Box::from("10.0.0.1:5064");
        handle.send(&channel, now, Arrival::Connected { host, readable: true, metadata_follows: true });
        let metadata = Metadata {
            units: Some(Box::from("µm".as_bytes())),
            precision: Some(3),
            alarm_high: Some(10.5),
            states: (name == "enum").then(|| vec![Box::from(&b"off"[..]), Box::from(&b"on"[..])]),
            ..Metadata::default()
        };
        handle.send(&channel, now, Arrival::Metadata(Box::new(metadata)));
        for i in 0..SAMPLES as i64 {
            let Some(value) = value(name, i) else { break };
            let mut sample = Sample::new(Timestamp(start + i * 1_000_000_001), value);
            if i % 5 == 0 {
                (sample.severity, sample.status) = (Severity::Major, Status::ca(3));
            }
            handle.send(&channel, now, Arrival::Sample(sample));
        }
    }
    while handle.waiting() > 0 || running.engine().shared().heard_until() < now {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    (folder, running, start)
}
