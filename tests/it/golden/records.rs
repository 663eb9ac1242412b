//! Events, metadata, names that are the same for ever: the content of golden files.

use super::blocks::{MONDAY, at};
use sample::*;
use sstable::*;

pub(super) fn time(seconds: i64) -> Timestamp {
    Timestamp(MONDAY + seconds * 1_000_000_000)
}

/// An event of every kind.
pub(super) fn events() -> Vec<Event> {
    let mut last = at(8, Value::text("dropped"));
    last.severity = Severity::Major;
    let dropped = |cause, last| EventKind::Dropped { to: time(9), count: 3, cause, last };
    let mut kinds = vec![
        EventKind::Connected { host: "ioc:5064".into() },
        EventKind::Disconnected { last_heard: time(2) },
        EventKind::Started,
        EventKind::Stopped,
        EventKind::Paused,
        EventKind::Resumed,
        EventKind::Retired,
        EventKind::EngineDown { until: time(7) },
        dropped(DropCause::Future, Some(Box::new(last))),
        EventKind::TimeReplaced { original: Timestamp(-5) },
    ];
    kinds.extend(DropCause::ALL.map(|cause| dropped(cause, None)));
    let event = |(i, kind)| Event { time: time(i as i64), sequence: 100 + i as u64, kind };
    kinds.into_iter().enumerate().map(event).collect()
}

/// Metadata with every field, with none, with odd ones.
pub(super) fn metadata() -> Vec<(Timestamp, Metadata)> {
    let text = |text: &[u8]| Some(text.into());
    let full = Metadata {
        units: text(b"mA"),
        precision: Some(-3),
        display_low: Some(f64::from_bits(0x7ff8_0000_0000_0123)),
        display_high: Some(1.0),
        alarm_low: Some(-0.0),
        alarm_high: Some(2.0),
        warning_low: Some(3.0),
        warning_high: Some(4.0),
        control_low: Some(5.0),
        control_high: Some(f64::INFINITY),
        states: Some(vec![b"Open".as_slice().into(), b"".as_slice().into(), b"Closed".as_slice().into()]),
        description: text(b"beam current"),
        host: text(b"ioc:5064"),
        settings: text(b"mode = \"monitor\""),
    };
    let odd = Metadata { units: text(b"\xb5A"), states: Some(Vec::new()), ..Metadata::default() };
    vec![(time(1), full), (time(2), Metadata::default()), (time(3), odd)]
}

pub(super) fn name(text: &str) -> ChannelName {
    ChannelName::stored(text).unwrap()
}

/// A channel record of every kind.
pub(super) fn channel_records() -> Vec<ChannelRecord> {
    let changes = [
        ChannelChange::Named(name("SR:DCCT")),
        ChannelChange::Alias(name("é")),
        ChannelChange::Retention("default".into()),
        ChannelChange::Settings("mode = \"monitor\"".into()),
    ];
    changes.into_iter().map(|change| ChannelRecord { time: time(-1), change }).collect()
}

/// Carry-ins that together have every field.
pub(super) fn carry_ins() -> Vec<CarryIn> {
    let connection = |host: Option<&str>, last_heard| Connection {
        host: host.map(Into::into),
        since: time(-30),
        last_heard,
    };
    let full = CarryIn {
        sample: Some(CarriedSample::Here(Box::new(at(-9, Value::text("on"))))),
        original: true,
        connection: Some(connection(Some("ioc:5064"), None)),
        archiving: Some((Archiving::Started, time(-40))),
        metadata: Some(metadata().remove(0)),
        names: channel_records(),
        last_sequence: 77,
    };
    let elsewhere = CarriedSample::There { week: Week(-4), time: time(-8), rank: 6 };
    let mut all = vec![
        full,
        CarryIn { sample: Some(elsewhere), ..CarryIn::default() },
        CarryIn { connection: Some(connection(None, Some(time(-20)))), ..CarryIn::default() },
        CarryIn::default(),
    ];
    for state in [Archiving::Paused, Archiving::Stopped, Archiving::Retired] {
        all.push(CarryIn { archiving: Some((state, time(-5))), ..CarryIn::default() });
    }
    all
}

/// A dictionary row with every field that the writer of a table does not fill in.
pub(super) fn full_row(channel: u64) -> DictionaryRow {
    let mut row = DictionaryRow::new(ChannelId(channel), name("SR:C01{BPM:1}X-I"));
    row.aliases = vec![name("ALIAS"), name("é")];
    row.newest = Some(NewestReading { time: time(4), rank: 5, fingerprint: 0x0123_4567_89ab_cdef });
    row.next_late_rank = 3;
    row.first_sample = Some((time(2), 9));
    row.metadata = Some(metadata().remove(0));
    row.archiving = Some((Archiving::Paused, time(3)));
    row.as_of = 12;
    row.types = vec![
        ValueDescription { value: ValueType::array(Kind::Float64), descriptor: None },
        ValueDescription {
            value: ValueType::scalar(Kind::Structure),
            descriptor: Some(b"id".as_slice().into()),
        },
    ];
    row
}

/// Rows of four bins, two of them next to each other, with every column.
pub fn bins() -> BinColumns {
    let column = |field: BinField| {
        let tag = field as u8;
        let column = match field {
            BinField::Worst | BinField::Flags => Column::UInt8(vec![0, 3, tag % 4, 1]),
            BinField::First | BinField::Last | BinField::Min | BinField::Max => {
                Column::Float64(vec![0.5, 1.25, -3.0, f64::from(tag)])
            }
            BinField::Mean | BinField::SquaredDeviations | BinField::Integral => {
                Column::Float64(vec![1.0 / 3.0, 1e300, -0.0, f64::from(tag) / 7.0])
            }
            BinField::Number => Column::Int64(vec![0, 1, 2, 3]),
            _ => Column::Int64(vec![7, i64::from(tag), 600, 59_999_999_999]),
        };
        (field, column)
    };
    BinColumns { rows: 4, columns: BinField::ALL.into_iter().map(column).collect() }
}
