//! Every byte limit at its least: the engine works, and what it cannot take is counted.

use crate::rig::{HOUR, MONDAY, Rig, SECOND, double};
use engine::config::ChannelSettings;
use engine::error::Error;
use engine::limits::{LOG_BUFFER_BYTES_LEAST, MEMTABLE_BYTES_LEAST, SEGMENT_BYTES_LEAST};
use engine::source::Arrival;
use sample::{Column, DropCause, Kind, Timestamp, Value, ValueType};

const NOW: i64 = MONDAY + HOUR;

fn least() -> Rig {
    let mut rig = Rig::new(1, NOW);
    rig.settings.memtable_bytes = usize::try_from(MEMTABLE_BYTES_LEAST).unwrap();
    rig.settings.log_buffer_bytes = LOG_BUFFER_BYTES_LEAST;
    rig.settings.segment_bytes = SEGMENT_BYTES_LEAST;
    rig.settings.reserve_bytes = 0;
    rig.configure("A", ChannelSettings::default());
    rig.configure("W", ChannelSettings::default());
    rig
}

fn array(elements: usize) -> Value {
    let mut column = Column::new(ValueType::scalar(Kind::Float64));
    for k in 0..elements {
        assert!(column.push(&Value::Float64(k as f64)));
    }
    Value::Array(Box::new(column))
}

#[test]
fn the_least_limits_work_and_drops_are_counted() {
    let mut rig = least();
    rig.open();
    let mut stored = Vec::new();
    let mut too_large = 0;
    for round in 0..60 {
        for k in 0..200 {
            rig.advance(SECOND / 100);
            let before = rig.ledger("A");
            let (time, value) = (rig.now(), f64::from(round * 1000 + k));
            rig.sample("A", time, value);
            let after = rig.ledger("A");
            if after.stored > before.stored {
                stored.push((time, value));
            } else {
                assert_eq!(after.dropped_by(DropCause::Memory), before.dropped_by(DropCause::Memory) + 1);
            }
        }
        // Larger than the buffer of the log: dropped, counted, nothing else suffers.
        rig.advance(SECOND);
        let large = sample::Sample::new(Timestamp(rig.now()), array(20_000));
        rig.arrive("W", Arrival::Sample(large));
        too_large += rig.ledger("W").dropped_by(DropCause::Memory);
        // Now and then the disk keeps up, now and then it does not.
        if round % 3 != 0 {
            rig.sync();
        }
        if round % 4 == 1 {
            rig.flush();
        }
        if round % 20 == 19 {
            rig.sync();
            rig.restart(SECOND);
        }
    }
    assert!(too_large >= 60);
    assert_eq!(rig.doubles("A"), stored);
    assert!(stored.len() > 1000, "{}", stored.len());
    rig.tick();
    rig.sync();
    rig.kill();
    rig.advance(SECOND);
    rig.open();
    assert_eq!(rig.doubles("A"), stored);
    assert!(rig.samples("W").is_empty());
}

#[test]
fn limits_below_the_least_are_refused_by_name() {
    for (name, change) in [
        ("memtable_bytes", (|rig| rig.settings.memtable_bytes -= 1) as fn(&mut Rig)),
        ("log_buffer_bytes", |rig| rig.settings.log_buffer_bytes -= 1),
        ("segment_bytes", |rig| rig.settings.segment_bytes -= 1),
    ] {
        let mut rig = least();
        change(&mut rig);
        let Err(error) = rig.try_open() else { panic!("{name} was accepted") };
        assert!(matches!(error, Error::TooSmall { setting, .. } if setting == name));
        assert!(error.to_string().contains(name), "{error}");
        assert!(rig.disk.files().is_empty(), "nothing was changed");
    }
}

#[test]
fn a_single_value_larger_than_a_segment_is_stored() {
    let mut rig = least();
    rig.settings.log_buffer_bytes = 4 << 20;
    rig.settings.memtable_bytes = 4 << 20;
    rig.open();
    let large = array(100_000);
    rig.arrive_all([
        ("W", Arrival::Sample(sample::Sample::new(Timestamp(NOW), large.clone()))),
        ("A", Arrival::Sample(double(NOW, 1.0))),
    ]);
    rig.sync();
    rig.kill();
    rig.advance(SECOND);
    rig.open();
    rig.flush();
    assert_eq!(rig.samples("W")[0].value, large);
    assert_eq!(rig.doubles("A"), [(NOW, 1.0)]);
}
