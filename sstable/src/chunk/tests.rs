//! Chunks of every type come back as they were.

use super::header::ColumnModel;
use super::*;
use crate::codec::Profile;
use crate::format::{CHUNK_SAMPLES_MAX, ColumnCodec, ColumnTag};
use proptest::prelude::*;
use sample::*;

/// Any value of a kind, often an extreme one.
fn element(kind: Kind) -> BoxedStrategy<Value> {
    match kind {
        Kind::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Kind::Enum => any::<u16>().prop_map(Value::Enum).boxed(),
        Kind::Int8 => any::<i8>().prop_map(Value::Int8).boxed(),
        Kind::Int16 => any::<i16>().prop_map(Value::Int16).boxed(),
        Kind::Int32 => any::<i32>().prop_map(Value::Int32).boxed(),
        Kind::Int64 => any::<i64>().prop_map(Value::Int64).boxed(),
        Kind::UInt8 => any::<u8>().prop_map(Value::UInt8).boxed(),
        Kind::UInt16 => any::<u16>().prop_map(Value::UInt16).boxed(),
        Kind::UInt32 => any::<u32>().prop_map(Value::UInt32).boxed(),
        Kind::UInt64 => any::<u64>().prop_map(Value::UInt64).boxed(),
        Kind::Float32 => any::<u32>().prop_map(|bits| Value::Float32(f32::from_bits(bits))).boxed(),
        Kind::Float64 => prop_oneof![
            any::<u64>().prop_map(|bits| Value::Float64(f64::from_bits(bits))),
            any::<i32>().prop_map(|n| Value::Float64(f64::from(n) / 100.0)),
            prop::sample::select(vec![0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY])
                .prop_map(Value::Float64),
        ]
        .boxed(),
        Kind::String => {
            prop::collection::vec(any::<u8>(), 0..20).prop_map(|bytes| Value::String(bytes.into())).boxed()
        }
        Kind::Structure => prop::collection::vec(any::<u8>(), 0..20)
            .prop_map(|bytes| Value::Structure {
                descriptor: b"descriptor".as_slice().into(),
                bytes: bytes.into(),
            })
            .boxed(),
    }
}

fn value(value_type: ValueType) -> BoxedStrategy<Value> {
    if !value_type.array {
        return element(value_type.kind);
    }
    prop::collection::vec(element(value_type.kind), 0..6)
        .prop_map(move |elements| {
            let mut column = Column::new(ValueType::scalar(value_type.kind));
            elements.iter().for_each(|element| assert!(column.push(element)));
            Value::Array(Box::new(column))
        })
        .boxed()
}

/// Blocks of every type, with every combination of optional columns and alarms.
pub(crate) fn any_block(samples: std::ops::Range<usize>) -> impl Strategy<Value = SampleBlock> {
    let kinds = prop::sample::select(Kind::ALL.to_vec());
    (kinds, any::<[bool; 6]>(), any::<i64>()).prop_flat_map(move |(kind, flags, start)| {
        let [array, user_tag, message, received, metadata_known, pva] = flags;
        let step = prop_oneof![4 => 0u64..3, 4 => Just(1_000_000_000u64), 1 => any::<u64>()];
        let row = (
            value(ValueType { kind, array }),
            step,
            0u32..3,
            prop_oneof![4 => Just((0u16, 0u16)), 1 => (0u16..4, any::<u16>())],
            any::<i64>(),
            prop::collection::vec(any::<u8>(), 0..8),
        );
        prop::collection::vec(row, samples.clone()).prop_map(move |rows| {
            let mut block = None;
            let (mut time, mut rank) = (start, 0u32);
            for (value, step, rank_step, (severity, status), extra, text) in rows {
                // The very last instant lies in no half-open range.
                let next = time.saturating_add_unsigned(step).min(i64::MAX - 1);
                rank = if next == time { rank + 1 } else { rank_step };
                time = next;
                let mut sample = Sample::new(Timestamp(time), value);
                sample.rank = rank;
                sample.severity = Severity::from_code(severity).unwrap();
                sample.status.code = status;
                sample.status.domain = if pva { StatusDomain::Pva } else { StatusDomain::Ca };
                sample.metadata_known = metadata_known;
                sample.user_tag = user_tag.then_some(extra);
                sample.message = message.then(|| text.into());
                sample.received = received.then_some(Timestamp(time.wrapping_add(extra >> 40)));
                assert!(block.get_or_insert_with(|| SampleBlock::new(sample.run_type())).push(&sample));
            }
            block.unwrap()
        })
    })
}

/// Comes back in both profiles; the bytes of the hot one.
fn check(block: &SampleBlock) -> Vec<u8> {
    check_profile(block, Profile::Cold);
    check_profile(block, Profile::Hot)
}

fn check_profile(block: &SampleBlock, profile: Profile) -> Vec<u8> {
    let bytes = encode(ChannelId(7), block, false, None, profile).unwrap();
    let header = ChunkHeader::parse(&bytes).unwrap();
    assert_eq!((header.channel, header.first, header.last), (ChannelId(7), block.first(), block.last()));
    assert_eq!((header.chunk_len, &header.run), (bytes.len() as u64, &block.run));
    assert_eq!(header.statistics, Statistics::of(block));
    assert_eq!(decode(&bytes).as_ref(), Ok(block));
    bytes
}

/// The hot chunk that a writer makes who knows how the channel was written last.
fn knowing(block: &SampleBlock, known: &mut ColumnModels) -> Vec<u8> {
    let hash = time_hash(&block.time);
    let learnt = super::Learnt { known, choices: &mut super::ColumnChoices::default() };
    encode_with(ChannelId(7), block, false, Stamps::Here, Profile::Hot, hash, learnt).unwrap().bytes
}

/// Samples `range` of a signal on a jittery grid with as many decimals as asked for; `shape` says what it does.
fn signal(range: std::ops::Range<i64>, decimals: f64, shape: impl Fn(i64) -> i64) -> SampleBlock {
    let mut block = SampleBlock::new(RunType::plain(ValueType::scalar(Kind::Float64)));
    for i in range {
        let time = i * 100_000_000 + (i * 7919 % 101) * 1000;
        let value = Value::Float64(shape(i) as f64 / decimals);
        assert!(block.push(&Sample::new(Timestamp(time), value)));
    }
    block
}

#[test]
fn chunks_written_with_the_models_of_the_last_one_are_about_as_small() {
    let noise = |i: i64| i.wrapping_mul(0x5DEE_CE66_D00B_7919) >> 50;
    let mut known = ColumnModels::default();
    let (mut alone, mut after) = (0, 0);
    for chunk in 0..60 {
        let range = chunk * 600..(chunk + 1) * 600;
        // Another signal each twenty chunks.
        let block = match chunk / 20 {
            0 => signal(range, 100.0, |i| i * 40 + noise(i) % 16),
            1 => signal(range, 1000.0, |i| noise(i) % 2000),
            _ => signal(range, 7.0, |i| noise(i) % 3),
        };
        let bytes = knowing(&block, &mut known);
        assert_eq!(decode(&bytes), Ok(block.clone()));
        after += bytes.len();
        alone += encode(ChannelId(7), &block, false, None, Profile::Hot).unwrap().len();
    }
    assert!(after * 100 <= alone * 103, "{after} bytes, {alone} with trials");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_block_comes_back(block in any_block(1..40)) {
        check(&block);
    }

    #[test]
    fn whatever_a_chunk_is_written_after_it_comes_back(blocks in prop::collection::vec(any_block(1..40), 1..5)) {
        let mut known = ColumnModels::default();
        for block in blocks.iter().chain(&blocks) {
            let bytes = knowing(block, &mut known);
            prop_assert_eq!(decode(&bytes), Ok(block.clone()));
        }
    }

    #[test]
    fn a_range_is_a_slice_of_the_whole(block in any_block(1..40), from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>()) {
        let bytes = check(&block);
        let range = TimeRange::new(Timestamp(block.time[from.index(block.len())]), Timestamp(block.time[to.index(block.len())]));
        let inside = block.indices(range);
        prop_assert_eq!(decode_range(&bytes, range), Ok(block.slice(inside.start, inside.end)));
    }
}

/// Several pages, some of which end with stamps equal to the first of the next.
fn pages() -> SampleBlock {
    let mut block = SampleBlock::new(RunType::plain(ValueType::scalar(Kind::Float64)));
    for i in 0..4500i64 {
        let (time, rank) = if (1000..2100).contains(&i) { (1000, i as u32) } else { (i, 0) };
        let value = if i % 501 == 7 { f64::NAN } else { ((i * 7919) % 1009) as f64 / 7.0 };
        let mut sample = Sample::new(Timestamp(time), Value::Float64(value));
        sample.rank = rank;
        sample.severity = if i == 3000 { Severity::Major } else { Severity::NoAlarm };
        assert!(block.push(&sample));
    }
    block
}

#[test]
fn ranges_of_many_pages_are_slices_and_touch_only_their_pages() {
    let block = pages();
    let bytes = check(&block);
    let header = ChunkHeader::parse(&bytes).unwrap();
    assert_eq!(header.pages().len(), 5);
    for from in (-1..4600).step_by(93).chain([999, 1000, 1001]) {
        for len in [0, 1, 2, 700, 5000] {
            let range = TimeRange::new(Timestamp(from), Timestamp(from + len));
            let inside = block.indices(range);
            assert_eq!(decode_range(&bytes, range), Ok(block.slice(inside.start, inside.end)), "{range:?}");
        }
    }
    // A damaged page is noticed only by those who need it.
    let mut damaged = bytes.clone();
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    let early = TimeRange::new(Timestamp(0), Timestamp(500));
    assert_eq!(decode_range(&damaged, early), decode_range(&bytes, early));
    assert!(decode_range(&damaged, TimeRange::ALL).is_err());
}

/// As many doubles as a chunk takes, of their number and a random one.
fn full(mut of: impl FnMut(i64, u64) -> f64) -> SampleBlock {
    let mut block = SampleBlock::new(RunType::plain(ValueType::scalar(Kind::Float64)));
    let mut random = 7u64;
    for i in 0..CHUNK_SAMPLES_MAX as i64 {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        assert!(block.push(&Sample::new(Timestamp(i * 1000), Value::Float64(of(i, random >> 40)))));
    }
    block
}

#[test]
fn pages_of_dense_values_are_as_their_codec_decodes_fastest() {
    let noise = full(|_, random| (random as f64).sqrt().sin());
    let mut sum = 0;
    let multiplied = full(|_, random| {
        sum += random as i64 % 97 - 48;
        sum as f64 * 0.3
    });
    let cycle = full(|i, _| ((i % 3000) as f64).sqrt().sin());
    let list = [
        f64::NAN,
        f64::INFINITY,
        f64::MIN,
        f64::MAX,
        f64::EPSILON,
        5e-324,
        1e-300,
        1e300,
        1e-49,
        -1e51,
        0.1,
        -0.0,
        0.0,
    ];
    let short_cycle = full(|i, _| list[i as usize % list.len()]);
    let steps = full(|i, _| (i / 100 % 7) as f64);
    let all = [
        (noise, ColumnCodec::Pco, 1),
        (multiplied, ColumnCodec::Pco, 2),
        (cycle, ColumnCodec::Pco, 1),
        (short_cycle, ColumnCodec::Compressed, 1),
        (steps, ColumnCodec::Scaled, 2),
    ];
    for (block, codec, pages) in all {
        let bytes = check_profile(&block, Profile::Cold);
        let header = ChunkHeader::parse(&bytes).unwrap();
        let value = header.columns.iter().find(|column| column.tag == Some(ColumnTag::Value)).unwrap();
        let ColumnModel::Values(model) = &value.model else { panic!("values") };
        assert_eq!((model.codec(), header.pages().len()), (codec, pages));
        for (from, to) in [(0, 1), (255, 257), (4000, 4100), (8191, 8192), (0, 8192), (5, 5)] {
            let range = TimeRange::new(Timestamp(from * 1000), Timestamp(to * 1000));
            let inside = block.indices(range);
            assert_eq!(decode_range(&bytes, range), Ok(block.slice(inside.start, inside.end)), "{range:?}");
        }
    }
}

#[test]
fn bounds_of_pages_hold_all_their_finite_values() {
    let block = pages();
    let header = ChunkHeader::parse(&check(&block)).unwrap();
    let Column::Float64(values) = &block.values else { panic!("doubles") };
    for (i, page) in header.pages().iter().enumerate() {
        let (low, high) = page.bounds.unwrap();
        let samples = header.samples_of(i..i + 1);
        assert!(values[samples.clone()].iter().all(|v| v.is_nan() || (low..=high).contains(v)));
        assert_eq!(page.first, Timestamp(block.time[samples.start]));
        assert_eq!(page.worst == Severity::Major, samples.contains(&3000));
    }
}

/// `bytes` with the checksum of its header set right again.
fn reseal(bytes: &mut [u8], header_len: usize) {
    let crc = disk::checksum(&bytes[..header_len - 4]);
    bytes[header_len - 4..header_len].copy_from_slice(&crc.to_le_bytes());
}

#[test]
fn forged_headers_with_right_checksums_never_panic() {
    let cold = [crate::corpus::dense_blocks(), vec![pages()]].concat();
    let hot = [crate::corpus::blocks(), vec![crate::corpus::large(), pages()]].concat();
    let encoded = |blocks: &[SampleBlock], profile| -> Vec<Vec<u8>> {
        blocks.iter().map(|block| encode(ChannelId(1), block, false, None, profile).unwrap()).collect()
    };
    for bytes in [encoded(&hot, Profile::Hot), encoded(&cold, Profile::Cold)].concat() {
        let header_len = ChunkHeader::parse(&bytes).unwrap().header_len;
        for bit in 0..(header_len - 4) * 8 {
            let mut forged = bytes.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            reseal(&mut forged, header_len);
            if let Ok(found) = decode(&forged) {
                assert!(found.len() <= crate::CHUNK_SAMPLES_MAX);
            }
        }
    }
}

#[test]
fn forged_pages_with_right_checksums_never_panic() {
    let hot = crate::corpus::blocks().into_iter().map(|block| (block, Profile::Hot));
    let cold = crate::corpus::dense_blocks().into_iter().map(|block| (block, Profile::Cold));
    for (block, profile) in hot.chain(cold) {
        let bytes = encode(ChannelId(1), &block, false, None, profile).unwrap();
        let header = ChunkHeader::parse(&bytes).unwrap();
        for bit in header.header_len * 8..bytes.len() * 8 {
            let mut forged = bytes.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            // One page: its checksum is the last of the header before its own.
            let crc = disk::checksum(&forged[header.header_len..]).to_le_bytes();
            forged[header.header_len - 8..header.header_len - 4].copy_from_slice(&crc);
            reseal(&mut forged, header.header_len);
            if let Ok(found) = decode(&forged) {
                assert_eq!(found.len(), block.len());
            }
        }
    }
}
/// Found by sealing a week of small arrays. What no model makes smaller than plain values is stored plain, and the
/// length of plain arrays was taken for that of as many numbers. Arrays of that many samples a chunk were in no test.
#[test]
fn many_small_arrays_come_back_from_a_dense_chunk() {
    let mut block = SampleBlock::new(RunType::plain(ValueType { kind: Kind::Int16, array: true }));
    for i in 0..1000 {
        let array = Column::Int16((0..20).map(|k| (i * 7 + k * 13) % 9).collect());
        assert!(block.push(&Sample::new(Timestamp(i64::from(i)), Value::Array(Box::new(array)))));
    }
    check_profile(&block, Profile::Cold);
}
