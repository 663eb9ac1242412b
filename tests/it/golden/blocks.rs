//! Blocks of samples that are the same for ever: the content of golden files.

use sample::*;

/// Monday 2026-01-05T00:00:00Z.
pub(super) const MONDAY: i64 = 1_767_571_200_000_000_000;
const SECOND: i64 = 1_000_000_000;

/// 64 bits that depend on `i` only.
pub(super) fn noise(i: usize) -> u64 {
    disk::sim::Random::new(i as u64).bits()
}

/// A block of `values`, one a second.
pub(super) fn regular(values: impl IntoIterator<Item = Value>) -> SampleBlock {
    block(values.into_iter().enumerate().map(|(i, value)| at(i as i64 * SECOND, value)))
}

/// A block of `values` about one a second.
pub(super) fn jittery(values: impl IntoIterator<Item = Value>) -> SampleBlock {
    let stamp = |i: usize| i as i64 * SECOND + (noise(i) >> 45) as i64;
    block(values.into_iter().enumerate().map(|(i, value)| at(stamp(i), value)))
}

/// A sample so many ns after the Monday.
pub(super) fn at(ns: i64, value: Value) -> Sample {
    Sample::new(Timestamp(MONDAY + ns), value)
}

/// Samples of one type as a block.
pub(super) fn block(samples: impl IntoIterator<Item = Sample>) -> SampleBlock {
    let mut block: Option<SampleBlock> = None;
    for sample in samples {
        let block = block.get_or_insert_with(|| SampleBlock::new(sample.run_type()));
        assert!(block.push(&sample));
    }
    block.unwrap()
}

fn floats(values: impl IntoIterator<Item = f64>) -> impl Iterator<Item = Value> {
    values.into_iter().map(Value::Float64)
}

fn bytes(text: &[u8]) -> Value {
    Value::String(text.into())
}

/// Every kind of scalar with its extremes.
pub(super) fn scalars() -> Vec<SampleBlock> {
    let nan = |bits: u64| f64::from_bits(0x7ff0_0000_0000_0000 | bits);
    let double = [0.0, -0.0, 1.5, -2.25e300, f64::MIN_POSITIVE, 5e-324, f64::MAX, f64::INFINITY];
    let double = double.into_iter().chain([f64::NEG_INFINITY, nan(1), nan(0x0008_dead_beef_0001)]);
    let single = [0.0, -0.0, 0.1, f32::MAX, 1e-45, f32::INFINITY, f32::NEG_INFINITY];
    let single = single.into_iter().chain([f32::from_bits(0x7f80_0001), f32::from_bits(0xffc0_1234)]);
    vec![
        regular([true, false, false, true].map(Value::Bool)),
        regular([0, 1, 2, 1, 65535].map(Value::Enum)),
        regular([0, 1, -1, i8::MIN, i8::MAX].map(Value::Int8)),
        regular([0, 1, -1, i16::MIN, i16::MAX].map(Value::Int16)),
        regular([0, 1, -1, i32::MIN, i32::MAX].map(Value::Int32)),
        regular([0, 1, -1, i64::MIN, i64::MAX].map(Value::Int64)),
        regular([0, 1, 128, u8::MAX].map(Value::UInt8)),
        regular([0, 1, 32768, u16::MAX].map(Value::UInt16)),
        regular([0, 1, 1 << 31, u32::MAX].map(Value::UInt32)),
        regular([0, 1, 1 << 63, u64::MAX].map(Value::UInt64)),
        regular(single.map(Value::Float32)),
        regular(floats(double)),
    ]
}

/// Strings and structures: empty, not UTF-8, all different, few different, all the same.
pub(super) fn texts() -> Vec<SampleBlock> {
    let structure = |descriptor: &[u8], i: usize| Value::Structure {
        descriptor: descriptor.into(),
        bytes: noise(i).to_le_bytes()[..i % 9].into(),
    };
    vec![
        regular([b"".as_slice(), b"on", b"\xff\xfe latin \xe9", "µA".as_bytes(), b"a\0b"].map(bytes)),
        regular((0..40).map(|i| bytes([b"Open".as_slice(), b"Moving", b"Closed"][noise(i) as usize % 3]))),
        regular((0..4).map(|_| bytes(b"always"))),
        regular((0..40).map(|i| bytes(format!("message number {i} of the gate valve").as_bytes()))),
        regular((0..6).map(|i| structure(b"epics:nt/NTScalar:1.0", i))),
        regular((0..12).map(|i| structure(b"", i % 2))),
    ]
}

/// Arrays of fixed and of changing length, also of none.
pub(super) fn arrays() -> Vec<SampleBlock> {
    let array = |column: Column| Value::Array(Box::new(column));
    let texts = |i: usize| {
        let mut texts = BytesColumn::default();
        (0..i % 4).for_each(|k| texts.push(format!("{k}{}", "x".repeat(k)).as_bytes()));
        texts
    };
    vec![
        regular((0..5).map(|i| array(Column::Float64((0..6).map(|k| (i * k) as f64 / 10.0).collect())))),
        regular(
            (0..9).map(|i| array(Column::Float64((0..i % 4).map(|k| f64::from_bits(noise(k))).collect()))),
        ),
        regular((0..6).map(|i| array(Column::Float32((0..i).map(|k| k as f32 * 0.5).collect())))),
        regular((0..6).map(|i| array(Column::Int32((0..40).map(|k| (k * i) * (k & 3)).collect())))),
        regular((0..3).map(|i| array(Column::UInt8((0..60).map(|k| b"repeating"[(k + i) % 9]).collect())))),
        regular((0..4).map(|i| array(Column::Bool((0..i % 3).map(|k| (k == 1).into()).collect())))),
        regular((0..4).map(|i| array(Column::Enum((0..i as u16).collect())))),
        regular((0..8).map(|i| array(Column::String(texts(i))))),
        regular((0..3).map(|_| array(Column::Int16(Vec::new())))),
        regular((0..4).map(|i| array(Column::UInt64(vec![u64::MAX, noise(i), 0])))),
    ]
}

/// Samples with severity, status of either domain, user tag, message, receive time, in all combinations that make
/// a run of its own.
pub(super) fn optional_columns() -> Vec<SampleBlock> {
    let severities = [Severity::NoAlarm, Severity::Minor, Severity::Major, Severity::Invalid];
    let sample = |i: usize, parts: usize| {
        let mut sample = at(i as i64 * SECOND, Value::Float64(i as f64));
        sample.severity = severities[noise(i) as usize % 4];
        let domain = if parts & 1 == 0 { StatusDomain::Ca } else { StatusDomain::Pva };
        sample.status = Status { domain, code: (i / 3) as u16 };
        sample.metadata_known = parts & 2 == 0;
        sample.user_tag = (parts & 4 != 0).then(|| noise(i) as i64 >> (i * 3));
        sample.message = (parts & 8 != 0).then(|| format!("alarm {}", i % 2).into_bytes().into());
        sample.received =
            (parts & 16 != 0).then(|| Timestamp(sample.time.0 + 2_000_000 - (i as i64 * 1_000_003)));
        sample
    };
    [0, 1, 2, 4, 8, 16, 31].map(|parts| block((0..10).map(|i| sample(i, parts)))).into()
}

/// Samples of equal stamps, told apart by rank; the second block goes on at the last stamp of the first.
pub(super) fn equal_stamps() -> Vec<SampleBlock> {
    let sample = |ns, rank, value| Sample { rank, ..at(ns, Value::Int32(value)) };
    vec![
        block([sample(0, 0, 1), sample(5, 0, 2), sample(5, 1, 3), sample(5, 2, 4), sample(9, 0, 5)]),
        block([sample(9, 1, 6), sample(9, 2, 7), sample(10, 0, 8)]),
    ]
}

/// Samples that came behind newer ones, whose ranks begin at 2^31.
pub(super) fn late() -> SampleBlock {
    block((0..5).map(|i| Sample { rank: (1 << 31) + 7 + i, ..at(i64::from(i / 2), Value::Int32(i as i32)) }))
}

/// One value for each form that integers take: narrow about a value, narrow with outliers, differences, runs, noise.
pub(super) fn integers() -> Vec<SampleBlock> {
    let sum = |step: fn(usize) -> i64| {
        (0..1300).scan(0i64, move |sum, i| {
            *sum += step(i);
            Some(Value::Int64(*sum))
        })
    };
    let geometric = |i: usize| i64::from(noise(i).leading_zeros());
    vec![
        regular((0..1300).map(|i| Value::Int32((noise(i) % 6) as i32 - 2))),
        regular((0..1300).map(|i| Value::Int32(if i % 211 == 5 { 1 << 29 } else { (noise(i) % 3) as i32 }))),
        regular(sum(|i| 1000 + (noise(i) % 4) as i64)),
        regular(sum(|i| if i % 300 == 7 { 1 << 40 } else { (noise(i) % 3) as i64 })),
        regular((0..1300).map(|i| Value::Int32(i / 100 * 77))),
        regular((0..1300).map(|i| Value::Int32(geometric(i) as i32 * 7))),
        regular(sum(|i| i64::from(noise(i).leading_zeros()) * 1000)),
        regular((0..70).map(|i| Value::Int64(noise(i) as i64))),
    ]
}

/// Arrays of elements that are integers about a centre, differences about one, and noise about two places.
pub(super) fn elements() -> Vec<SampleBlock> {
    let geometric = |i: usize| i64::from(noise(i).leading_zeros());
    let sums: Vec<i64> = (0..1024)
        .scan(0, |sum, i| {
            *sum += geometric(i) * 1000;
            Some(*sum)
        })
        .collect();
    let array = |column: Column| Value::Array(Box::new(column));
    let row = |i: usize| 8 * i..8 * (i + 1);
    let apart = |i: usize| ((noise(i) & 1) << 60 | noise(i) >> 44) as i64;
    vec![
        regular((0..128).map(|i| array(Column::Int32(row(i).map(|i| geometric(i) as i32 * 7).collect())))),
        regular((0..128).map(|i| array(Column::Int64(sums[row(i)].to_vec())))),
        regular((0..128).map(|i| array(Column::Int64(row(i).map(apart).collect())))),
    ]
}

/// Doubles and singles that are scaled integers, singles in doubles, noise in every bit.
pub(super) fn float_models() -> Vec<SampleBlock> {
    let count = |i: usize| (noise(i) % 500) as f64;
    let odd = |i: usize| if i % 50 == 9 { f64::NAN } else { count(i) / 100.0 };
    let apart = |i: usize| [1.0, 1e9][i % 2] * (1.0 + ((noise(i) >> 44) as f64).sqrt() * 1e-9);
    vec![
        regular(floats((0..150).map(|i| count(i) / 100.0))),
        regular(floats((0..150).map(|i| count(i) * 0.01))),
        regular(floats((0..150).map(odd))),
        regular(floats((0..150).map(|i| f64::from(count(i) as f32 * 0.001)))),
        regular((0..150).map(|i| Value::Float32(count(i) as f32 / 10.0))),
        regular(floats((0..60).map(|i| f64::from(1.0f32 + (noise(i) >> 44) as f32 * 1e-7)))),
        regular(floats((0..60).map(|i| 1.0 + (noise(i) >> 24) as f64 * 1e-16))),
        regular(floats((0..100).map(apart))),
    ]
}

/// Stamps: exactly periodic, jittery, with gaps, without a period, in coarse units, without any step.
pub(super) fn stamps() -> Vec<SampleBlock> {
    let block_at = |stamp: &dyn Fn(usize) -> i64| block((0..120).map(|i| at(stamp(i), Value::UInt8(0))));
    let sum = |step: fn(usize) -> i64, i: usize| (0..i).map(step).sum::<i64>();
    let missed = |i: usize| (i + i / 40 * 25) as i64;
    vec![
        block_at(&|i| i as i64 * SECOND),
        block_at(&|i| i as i64 * SECOND + (noise(i) >> 44) as i64),
        block_at(&|i| missed(i) * SECOND + (noise(i) >> 46) as i64),
        block_at(&|i| i as i64 * 333_333_333 + i as i64 / 3),
        block_at(&|i| sum(|i| (noise(i) >> 20) as i64, i)),
        block_at(&|i| (i as i64 * 100 + (noise(i) % 7) as i64) * 1_000_000),
        block((0..3).map(|i| Sample { rank: i, ..at(0, Value::UInt8(0)) })),
        block([Sample::new(Timestamp::MIN, Value::UInt8(1)), at(0, Value::UInt8(2))]),
    ]
}

/// Chunks of several pages: of many small values, of few large ones.
pub(super) fn pages() -> Vec<SampleBlock> {
    let texts = (0..30).map(|i| bytes(&vec![b'a' + i as u8 % 3; 5000 + i]));
    let mut numbers = regular((0..8192).map(|i| Value::UInt8((i / 1000) as u8)));
    numbers.severity[5000] = Severity::Major as u8;
    vec![numbers, regular(texts)]
}

/// Stamps and values of several types whose differences grow; the first of two pages.
pub(super) fn growing() -> Vec<SampleBlock> {
    let cubes = || (0..5000i64).map(|i| i * i * i);
    let mut stamps = regular(cubes().map(Value::Int64));
    stamps.time = cubes().map(|cube| MONDAY + cube).collect();
    let squares = (0..256u16).map(|i| Value::UInt16(i * i));
    vec![stamps, regular(squares), regular((0..300).map(|i| Value::Float32(f32::from_bits(i * i))))]
}

/// Stamps in whole microseconds but one, on a grid or without a period; values with a few outliers and more of them.
pub(super) fn strays() -> Vec<SampleBlock> {
    let tailed = |i: usize| match i % 100 {
        7 => 1i64 << 40,
        at if at % 10 == 3 => (noise(i) >> 50) as i64,
        _ => i64::from(noise(i).leading_zeros()),
    };
    let sums = (0..200).scan(0, |sum, i| {
        *sum += tailed(i);
        Some(Value::Int64(*sum))
    });
    let stray = |mut block: SampleBlock, micros: Vec<i64>| {
        block.time = micros.into_iter().map(|time| MONDAY + time * 1000).collect();
        block.time[70] += 3;
        block
    };
    let near_grid = (0..200).map(|i| i as i64 * 1_000_000 + (noise(i) >> 54) as i64).collect();
    let aperiodic = (0..200).scan(0, |time, i| {
        *time += (noise(i) >> 44) as i64;
        Some(*time)
    });
    let aperiodic = aperiodic.collect();
    vec![
        stray(regular((0..200).map(|i| Value::Int64(tailed(i)))), near_grid),
        stray(regular(sums), aperiodic),
    ]
}

/// Three channels with the same noisy stamps.
pub(super) fn shared_stamps() -> Vec<SampleBlock> {
    let values: [fn(usize) -> f64; 3] = [|i| i as f64, |i| i as f64 / 8.0, |i| -(i as f64)];
    values.map(|value| jittery((0..100).map(|i| Value::Float64(value(i))))).into()
}

/// Channels of one scan, each a little behind the first: one has samples that the first lacks, one lacks some, one
/// is stamped in ms, one has the very stamps of the second.
pub(super) fn near_stamps() -> Vec<SampleBlock> {
    let tick = |k: usize| k as i64 * SECOND + (noise(k) >> 44) as i64;
    let near =
        |channel: usize, k: usize| tick(k) + channel as i64 * 7000 + (noise(k * 8 + channel) >> 52) as i64;
    let of = |stamps: &mut dyn Iterator<Item = i64>| block(stamps.map(|ns| at(ns, Value::UInt8(0))));
    vec![
        of(&mut (0..700).filter(|k| !(200..260).contains(k)).map(tick)),
        of(&mut (3..650).filter(|k| *k != 77 && !(400..430).contains(k)).map(|k| near(1, k))),
        of(&mut (0..700).map(|k| near(2, k) / 1_000_000 * 1_000_000)),
        of(&mut (3..650).filter(|k| *k != 77 && !(400..430).contains(k)).map(|k| near(1, k))),
    ]
}

/// A value of three parts, and one of strings.
pub(super) fn large() -> Vec<SampleBlock> {
    let bytes = (0..(2 << 20) + 5).map(|i: usize| (i / 40_000) as u8).collect();
    let mut texts = BytesColumn::default();
    (0..3).for_each(|i| texts.push(&vec![b'a' + i; 600_000]));
    vec![
        regular([Value::Array(Box::new(Column::UInt8(bytes)))]),
        regular([Value::Array(Box::new(Column::String(texts)))]),
    ]
}

/// Chunks that are packed into shared blocks, beside one that is a block of its own.
pub(super) fn packed() -> Vec<SampleBlock> {
    let small = |of: usize| regular((0..3).map(move |i| Value::Int32((of * 10 + i) as i32)));
    let full = regular(floats((0..600).map(|i| f64::from_bits(noise(i)))));
    (0..12).map(|of| if of == 6 { full.clone() } else { small(of) }).collect()
}
