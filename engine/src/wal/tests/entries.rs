//! Entries as bytes: everything comes back, nothing else is believed.

use super::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use sample::{
    BytesColumn, ChannelId, ChannelName, Column, DropCause, Event, EventKind, Kind, Metadata, Sample,
    Severity, Status, StatusDomain, Timestamp, Value, ValueType,
};
use sstable::{ChannelChange, ChannelRecord};
use std::sync::Arc;

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..12)
}

fn bytes_column() -> impl Strategy<Value = BytesColumn> {
    vec(bytes(), 0..5).prop_map(|strings| {
        let mut column = BytesColumn::default();
        strings.iter().for_each(|string| column.push(string));
        column
    })
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<u16>().prop_map(Value::Enum),
        any::<i8>().prop_map(Value::Int8),
        any::<i16>().prop_map(Value::Int16),
        any::<i32>().prop_map(Value::Int32),
        any::<i64>().prop_map(Value::Int64),
        any::<u8>().prop_map(Value::UInt8),
        any::<u16>().prop_map(Value::UInt16),
        any::<u32>().prop_map(Value::UInt32),
        any::<u64>().prop_map(Value::UInt64),
        any::<u32>().prop_map(|bits| Value::Float32(f32::from_bits(bits))),
        any::<u64>().prop_map(|bits| Value::Float64(f64::from_bits(bits))),
        bytes().prop_map(|text| Value::String(text.into())),
        (vec(0u8..3, 0..3), bytes()).prop_map(|(descriptor, bytes)| Value::Structure {
            descriptor: descriptor.into(),
            bytes: bytes.into()
        }),
    ]
}

fn array() -> impl Strategy<Value = Value> {
    let numbers = |kind: Kind| {
        vec(any::<u64>(), 0..6).prop_map(move |bits| {
            let mut column = Column::new(ValueType::scalar(kind));
            for bits in bits {
                assert!(column.push(&number(kind, bits)));
            }
            column
        })
    };
    let column = prop_oneof![
        (0usize..12).prop_map(|at| Kind::ALL[at]).prop_flat_map(numbers),
        bytes_column().prop_map(Column::String),
        bytes_column().prop_map(Column::Structure),
    ];
    column.prop_map(|column| Value::Array(Box::new(column)))
}

#[expect(clippy::cast_possible_wrap, reason = "the bits are random")]
fn number(kind: Kind, bits: u64) -> Value {
    match kind {
        Kind::Bool => Value::Bool(bits & 1 != 0),
        Kind::Enum => Value::Enum(bits as u16),
        Kind::Int8 => Value::Int8(bits as i8),
        Kind::Int16 => Value::Int16(bits as i16),
        Kind::Int32 => Value::Int32(bits as i32),
        Kind::Int64 => Value::Int64(bits as i64),
        Kind::UInt8 => Value::UInt8(bits as u8),
        Kind::UInt16 => Value::UInt16(bits as u16),
        Kind::UInt32 => Value::UInt32(bits as u32),
        Kind::UInt64 => Value::UInt64(bits),
        Kind::Float32 => Value::Float32(f32::from_bits(bits as u32)),
        Kind::Float64 => Value::Float64(f64::from_bits(bits)),
        Kind::String | Kind::Structure => panic!("no number"),
    }
}

fn any_sample() -> impl Strategy<Value = Sample> {
    let parts = (option::of(any::<i64>()), option::of(bytes()), option::of(any::<i64>()), any::<bool>());
    let alarm = (0u16..4, any::<u16>(), any::<bool>());
    let value = prop_oneof![3 => scalar(), 1 => array()];
    let rank = prop_oneof![Just(0), any::<u32>()];
    (any::<i64>(), rank, value, alarm, parts).prop_map(|(time, rank, value, (severity, code, pva), parts)| {
        Sample {
            time: Timestamp(time),
            rank,
            value,
            severity: Severity::from_code(severity).unwrap(),
            status: Status { domain: if pva { StatusDomain::Pva } else { StatusDomain::Ca }, code },
            user_tag: parts.0,
            message: parts.1.map(Into::into),
            received: parts.2.map(Timestamp),
            metadata_known: parts.3,
        }
    })
}

fn placement() -> impl Strategy<Value = Placement> {
    prop_oneof![Just(Placement::InOrder), Just(Placement::Late), Just(Placement::CarryIn)]
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let every = every_entry();
    let others = every.into_iter().filter(|entry| !matches!(entry, Entry::Sample { .. })).collect::<Vec<_>>();
    prop_oneof![
        4 => (any::<u64>(), placement(), any_sample())
            .prop_map(|(channel, placement, sample)| Entry::Sample { channel: ChannelId(channel), placement, sample }),
        1 => proptest::sample::select(others),
        1 => any::<i64>().prop_map(|time| Entry::Heartbeat { time: Timestamp(time) }),
    ]
}

/// Entries that together have every tag, every kind of value alone and as array, every optional part, every
/// kind of event and of channel record.
pub(super) fn every_entry() -> Vec<Entry> {
    let channel = ChannelId(7);
    let mut entries = Vec::new();
    let add = |entries: &mut Vec<Entry>, placement, sample| {
        entries.push(Entry::Sample { channel, placement, sample });
    };
    for kind in Kind::ALL {
        let value = match kind {
            Kind::String => Value::text("text"),
            Kind::Structure => Value::Structure {
                descriptor: Arc::from(b"type".as_slice()),
                bytes: b"value".as_slice().into(),
            },
            number_kind => number(number_kind, 0x7ff8_0000_0000_0001),
        };
        let mut column = Column::new(ValueType::scalar(kind));
        assert!(column.push(&value) && column.push(&value));
        let time = Timestamp(1_700_000_000_000_000_000 + kind as i64);
        add(&mut entries, Placement::InOrder, Sample::new(time, value));
        add(&mut entries, Placement::Late, Sample::new(time, Value::Array(Box::new(column))));
    }
    let mut full = Sample::new(Timestamp(-1), Value::Float64(-0.0));
    full.rank = 1 << 31;
    full.severity = Severity::Invalid;
    full.status = Status { domain: StatusDomain::Pva, code: 300 };
    full.user_tag = Some(-3);
    full.message = Some(b"trip".as_slice().into());
    full.received = Some(Timestamp(5));
    full.metadata_known = false;
    add(&mut entries, Placement::CarryIn, full.clone());
    let kinds = [
        EventKind::Connected { host: "ioc:5064".into() },
        EventKind::Disconnected { last_heard: Timestamp(3) },
        EventKind::Started,
        EventKind::Stopped,
        EventKind::Paused,
        EventKind::Resumed,
        EventKind::Retired,
        EventKind::EngineDown { until: Timestamp(9) },
        EventKind::Dropped { to: Timestamp(4), count: 2, cause: DropCause::Rate, last: Some(Box::new(full)) },
        EventKind::TimeReplaced { original: Timestamp(0) },
    ];
    for (sequence, kind) in (1..).zip(kinds) {
        entries.push(Entry::Event { channel, event: Event { time: Timestamp(11), sequence, kind } });
    }
    let metadata = Metadata {
        units: Some(b"mA".as_slice().into()),
        precision: Some(3),
        display_low: Some(f64::NEG_INFINITY),
        states: Some(vec![b"off".as_slice().into(), b"".as_slice().into()]),
        ..Metadata::default()
    };
    entries.push(Entry::Metadata { channel, time: Timestamp(12), metadata: metadata.into() });
    let name = ChannelName::stored("SR:C01{BPM:1}X-I").unwrap();
    for change in [
        ChannelChange::Named(name.clone()),
        ChannelChange::Alias(name),
        ChannelChange::Retention("default".into()),
        ChannelChange::Settings("monitor".into()),
    ] {
        entries.push(Entry::Channel { channel, record: ChannelRecord { time: Timestamp(13), change } });
    }
    entries.push(Entry::Heartbeat { time: Timestamp(14) });
    entries
}

pub(super) fn encoded(entries: &[Entry]) -> Vec<u8> {
    let mut batch = BatchEncoder::new();
    entries.iter().for_each(|entry| batch.entry(entry));
    assert_eq!(batch.entries(), entries.len() as u64);
    batch.bytes().to_vec()
}

fn decoded(bytes: &[u8]) -> Result<Vec<Entry>, disk::BytesError> {
    BatchDecoder::new(bytes).collect()
}

#[test]
fn every_kind_of_entry_comes_back() {
    let entries = every_entry();
    assert_eq!(decoded(&encoded(&entries)).unwrap(), entries);
}

#[test]
fn an_encoder_that_was_cleared_knows_nothing_of_the_batch_before() {
    let entries = every_entry();
    let mut batch = BatchEncoder::new();
    for _ in 0..2 {
        batch.clear();
        entries.iter().for_each(|entry| batch.entry(entry));
        assert_eq!(batch.bytes(), encoded(&entries));
    }
}

#[test]
fn a_plain_sample_of_a_neighbour_takes_at_most_20_bytes() {
    let mut batch = BatchEncoder::new();
    for channel in 0..1000u64 {
        let time = Timestamp(1_700_000_000_000_000_000 + (channel as i64 * 7_919_993) % 100_000_000);
        batch.sample(ChannelId(channel), Placement::InOrder, &Sample::new(time, Value::Float64(0.1)));
    }
    assert!(batch.len() <= 20 * 1000, "{} bytes", batch.len());
}

#[test]
fn a_dropped_sample_that_is_too_large_leaves_the_event_without_it() {
    let values = Column::UInt8(vec![0; sstable::SAMPLE_VALUE_BYTES_MAX + 1]);
    let last = Some(Box::new(Sample::new(Timestamp(1), Value::Array(Box::new(values)))));
    let kind = EventKind::Dropped { to: Timestamp(4), count: 2, cause: DropCause::Rate, last };
    let event = Event { time: Timestamp(1), sequence: 1, kind };
    let found = decoded(&encoded(&[Entry::Event { channel: ChannelId(1), event }])).unwrap();
    let Entry::Event { event, .. } = &found[0] else { panic!("{found:?}") };
    assert!(matches!(&event.kind, EventKind::Dropped { count: 2, last: None, .. }), "{event:?}");
}

#[test]
fn counts_beyond_the_bytes_present_are_refused_before_anything_is_allocated() {
    // A sample of f64[] at channel 0, time 0, that claims 2^60 elements.
    let mut bytes = vec![format::TAG_SAMPLE | format::HAS_TYPE, Kind::Float64 as u8 | format::ARRAY, 0, 0];
    disk::put_varint(&mut bytes, 1 << 60);
    bytes.extend([0; 64]);
    assert!(decoded(&bytes).is_err());
}

proptest! {
    #[test]
    fn any_entries_come_back(entries in vec(any_entry(), 0..20)) {
        prop_assert_eq!(decoded(&encoded(&entries)).unwrap(), entries);
    }

    #[test]
    fn hostile_bytes_are_an_error_or_entries_that_come_back(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(entries) = decoded(&bytes) {
            prop_assert_eq!(decoded(&encoded(&entries)).unwrap(), entries);
        }
    }

    #[test]
    fn a_damaged_batch_never_panics(at in any::<proptest::sample::Index>(), mask in 1u8.., cut: bool) {
        let mut bytes = encoded(&every_entry());
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] ^= mask }
        for entry in BatchDecoder::new(&bytes) {
            drop(entry);
        }
    }
}
