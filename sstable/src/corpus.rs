//! Small blocks and records that together use every tag, for tests of damage.

use crate::*;
use sample::*;

fn mixed(i: u64) -> u64 {
    let mixed = (i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9)
}

/// A block of `values`, with stamps from a jittery scan or without any order but their own.
fn block_of(values: impl Iterator<Item = Value>, periodic: bool, extras: bool) -> SampleBlock {
    let mut block = None;
    let mut time = 1_767_571_200_000_000_000i64;
    for (i, value) in values.enumerate() {
        let noise = mixed(i as u64);
        time += if periodic { 1_000_000_000 } else { (noise >> 50) as i64 };
        let stamp = if periodic { time + (noise >> 54) as i64 } else { time };
        let mut sample = Sample::new(Timestamp(stamp), value);
        if extras {
            sample.rank = i as u32;
            sample.user_tag = Some(noise as i64);
            sample.message = Some(format!("message {}", i % 2).into_bytes().into());
            sample.received = Some(Timestamp(stamp + 1_000 + (noise >> 55) as i64));
            sample.severity = if i % 7 == 3 { Severity::Invalid } else { Severity::Minor };
            sample.status = Status { domain: StatusDomain::Pva, code: (i / 4) as u16 };
        }
        let block = block.get_or_insert_with(|| SampleBlock::new(sample.run_type()));
        assert!(block.push(&sample));
    }
    block.unwrap()
}

/// Blocks that together use every column and every codec but those of stamps that stand in other chunks.
pub(crate) fn blocks() -> Vec<SampleBlock> {
    let text = |i: u64| Value::String(format!("{:x}", mixed(i)).into_bytes().into());
    let bytes = |i: u64| Column::UInt8((0..40u64).map(|k| b"repeating"[(k + i) as usize % 9]).collect());
    let doubles = |i: u64| Column::Float64((0..i % 4).map(|k| (k * i) as f64 / 10.0).collect());
    vec![
        block_of((0..100).map(|i| Value::Float64((mixed(i) >> 55) as f64 / 100.0)), true, false),
        block_of((0..30).map(|i| Value::Float64(f64::from_bits(mixed(i)))), false, true),
        block_of((0..30).map(|i| Value::Float32(f32::from_bits(mixed(i) as u32))), false, false),
        block_of((0..30).map(|i| Value::Int64(mixed(i) as i64 >> 40)), false, false),
        block_of((0..30).map(|i| Value::Bool(i > 9)), false, false),
        block_of((0..20).map(text), false, false),
        block_of((0..20).map(|i| text(i % 3)), false, false),
        block_of((0..12).map(|i| Value::Array(Box::new(bytes(i)))), false, false),
        block_of((0..12).map(|i| Value::Array(Box::new(doubles(i)))), false, false),
        stray(true),
        stray(false),
        block_of(
            (0..4).map(|i| Value::Structure {
                descriptor: b"struct".as_slice().into(),
                bytes: mixed(i).to_le_bytes().into(),
            }),
            false,
            false,
        ),
    ]
}

/// Larger blocks, which the cold profile codes otherwise than the hot one: with integers about a centre, with
/// differences about one, with doubles whose every bit counts, with stamps and values that only pco follows. As elements
/// of arrays they are not offered to pco as a column. One page has zones.
pub(crate) fn dense_blocks() -> Vec<SampleBlock> {
    // Half are 0, a quarter 1, and so on.
    let geometric = |i: u64| i64::from(mixed(i).leading_zeros());
    let sum = |i: u64| (0..i).map(geometric).sum::<i64>();
    // One in ten is far from the others, one in a hundred much farther.
    let tailed = |i: u64| match i % 100 {
        7 => 1 << 40,
        at if at % 10 == 3 => (mixed(i) >> 50) as i64,
        _ => geometric(i),
    };
    let apart = |i: u64| [1.0, 1e9][i as usize % 2] * (1.0 + ((mixed(i) >> 44) as f64).sqrt() * 1e-9);
    let two = |i: u64| ((mixed(i) & 1) << 60 | mixed(i) >> 44) as i64;
    let array = |column: Column| Value::Array(Box::new(column));
    let row = |i: u64| 8 * i..8 * (i + 1);
    vec![
        block_of(
            (0..25).map(|i| array(Column::Int32(row(i).map(|i| geometric(i) as i32 * 7).collect()))),
            true,
            false,
        ),
        block_of((0..25).map(|i| array(Column::Int64(row(i).map(|i| sum(i) * 1000).collect()))), true, false),
        block_of((0..25).map(|i| array(Column::Int64(row(i).map(two).collect()))), true, false),
        block_of((0..200).map(|i| Value::Int32(geometric(i) as i32 * 7)), true, false),
        block_of((0..200).map(|i| Value::Int64(sum(i) * 1000)), false, false),
        block_of((0..200).map(|i| Value::Float64(apart(i))), true, false),
        block_of((0..200).map(|i| Value::Int64(tailed(i))), true, false),
        block_of((0..200).map(|i| Value::Int64((0..i).map(tailed).sum())), true, false),
        cubes(),
        block_of((0..600).map(|i| Value::Int32((mixed(i) >> 50) as i32)), true, false),
    ]
}

/// Stamps in whole microseconds but one.
fn stray(periodic: bool) -> SampleBlock {
    let mut block = block_of((0..100).map(|_| Value::Int8(1)), periodic, false);
    let first = block.time[0] / 1000 * 1000;
    block.time = block.time.iter().map(|time| first + (time - block.time[0]) * 1000).collect();
    block.time[70] += 3;
    block
}

/// Stamps and values whose differences grow.
fn cubes() -> SampleBlock {
    let mut block = block_of((0..300).map(|i| Value::Int64(i * i * i)), true, false);
    block.time = (0..300i64).map(|i| block.time[0] + i * i * i).collect();
    block
}

/// Channels of one scan: in the cold profile the stamps of the second and third are differences from the first's.
pub(crate) fn siblings() -> Vec<SampleBlock> {
    let stamp = |channel: u64, k: u64| {
        let tick = 1_767_571_200_000_000_000 + k as i64 * 1_000_000_000 + (mixed(k) >> 48) as i64;
        tick + channel as i64 * 100 + (mixed(k * 4 + channel) >> 60) as i64
    };
    let of = |channel: u64, missing: std::ops::Range<u64>| {
        let mut block = SampleBlock::new(RunType::plain(ValueType::scalar(Kind::Bool)));
        for k in (0..560).filter(|k| !missing.contains(k)) {
            assert!(block.push(&Sample::new(Timestamp(stamp(channel, k)), Value::Bool(true))));
        }
        block
    };
    vec![of(0, 30..40), of(1, 0..0), of(2, 500..520)]
}

/// A value of three parts.
pub(crate) fn large() -> SampleBlock {
    let zeros = Column::UInt8(vec![0; 2 * CHUNK_VALUE_BYTES_MAX + 5]);
    block_of(std::iter::once(Value::Array(Box::new(zeros))), false, false)
}

/// One event of every kind, with every field.
pub(crate) fn events() -> Vec<Event> {
    let time = Timestamp(5);
    let mut last = Sample::new(Timestamp(1), Value::Float64(f64::NAN));
    last.message = Some(b"dropped".as_slice().into());
    let kinds = vec![
        EventKind::Connected { host: "ioc:5064".into() },
        EventKind::Disconnected { last_heard: time },
        EventKind::Started,
        EventKind::Stopped,
        EventKind::Paused,
        EventKind::Resumed,
        EventKind::Retired,
        EventKind::EngineDown { until: time },
        EventKind::Dropped { to: time, count: 3, cause: DropCause::Rate, last: Some(Box::new(last)) },
        EventKind::Dropped { to: time, count: 3, cause: DropCause::DiskFull, last: None },
        EventKind::TimeReplaced { original: time },
    ];
    let event = |(i, kind)| Event { time: Timestamp(i as i64), sequence: i as u64, kind };
    kinds.into_iter().enumerate().map(event).collect()
}

/// Metadata with every field.
pub(crate) fn metadata() -> Metadata {
    let text = |text: &str| Some(text.as_bytes().into());
    Metadata {
        units: text("mA"),
        precision: Some(-3),
        display_low: Some(f64::NAN),
        display_high: Some(1.0),
        alarm_low: Some(-0.0),
        alarm_high: Some(2.0),
        warning_low: Some(3.0),
        warning_high: Some(4.0),
        control_low: Some(5.0),
        control_high: Some(f64::INFINITY),
        states: Some(vec![b"Open".as_slice().into(), b"".as_slice().into()]),
        description: text("beam current"),
        host: text("ioc:5064"),
        settings: text("monitor"),
    }
}

/// One channel record of every kind.
pub(crate) fn channel_records() -> Vec<ChannelRecord> {
    let name = |name| ChannelName::stored(name).unwrap();
    let changes = vec![
        ChannelChange::Named(name("SR:DCCT")),
        ChannelChange::Alias(name("é")),
        ChannelChange::Retention("default".into()),
        ChannelChange::Settings("mode = \"monitor\"".into()),
    ];
    changes.into_iter().map(|change| ChannelRecord { time: Timestamp(-1), change }).collect()
}

/// Carry-ins that together have every field.
pub(crate) fn carry_ins() -> Vec<CarryIn> {
    let full = CarryIn {
        sample: Some(CarriedSample::Here(Box::new(Sample::new(Timestamp(9), Value::text("on"))))),
        original: true,
        connection: Some(Connection {
            host: Some("ioc:5064".into()),
            since: Timestamp(3),
            last_heard: Some(Timestamp(4)),
        }),
        archiving: Some((Archiving::Paused, Timestamp(2))),
        metadata: Some((Timestamp(1), metadata())),
        names: channel_records(),
        last_sequence: 77,
    };
    let place = CarriedSample::There { week: Week(-4), time: Timestamp(8), rank: 6 };
    vec![full, CarryIn { sample: Some(place), ..CarryIn::default() }, CarryIn::default()]
}

/// A dictionary row with every field that the writer does not fill in.
pub(crate) fn dictionary_row(channel: u64) -> DictionaryRow {
    let name = ChannelName::stored(&format!("SR:C{channel}")).unwrap();
    let mut row = DictionaryRow::new(ChannelId(channel), name);
    row.aliases = vec![ChannelName::stored("ALIAS").unwrap()];
    row.newest = Some(NewestReading { time: Timestamp(4), rank: 5, fingerprint: u64::MAX - 7 });
    row.next_late_rank = 3;
    row.first_sample = Some((Timestamp(2), 9));
    row.metadata = Some((Timestamp(1), metadata()));
    row
}
