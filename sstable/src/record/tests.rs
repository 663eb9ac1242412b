//! Records come back as they were.

use super::*;
use crate::codec::Profile;
use crate::corpus;
use crate::format::FIELD_REQUIRED;
use disk::put_bytes;
use proptest::prelude::*;
use sample::{ChannelId, Timestamp};

fn same_metadata(
    a: &Option<(Timestamp, sample::Metadata)>,
    b: &Option<(Timestamp, sample::Metadata)>,
) -> bool {
    match (a, b) {
        (Some((t, a)), Some((u, b))) => t == u && a.same_bits(b),
        (None, None) => true,
        _ => false,
    }
}

#[test]
fn every_kind_of_record_comes_back() {
    assert_eq!(decode_events(&encode_events(&corpus::events()).unwrap()), Ok(corpus::events()));
    assert_eq!(decode_events(&encode_events(&[]).unwrap()), Ok(Vec::new()));
    let records = corpus::channel_records();
    assert_eq!(decode_channel_records(&encode_channel_records(&records)), Ok(records));
    let list = [(Timestamp(3), corpus::metadata()), (Timestamp(4), Default::default())];
    let back = decode_metadata(&encode_metadata(&list)).unwrap();
    assert!(back.iter().zip(&list).all(|(a, b)| a.0 == b.0 && a.1.same_bits(&b.1)) && back.len() == 2);
    for mut carry_in in corpus::carry_ins() {
        let mut back = decode_carry_in(&encode_carry_in(ChannelId(5), &carry_in).unwrap()).unwrap();
        assert!(same_metadata(&back.metadata, &carry_in.metadata));
        (back.metadata, carry_in.metadata) = (None, None);
        assert_eq!(back, carry_in);
    }
}

/// Rows that together have every column, most of them in some rows only.
fn dictionary_rows() -> Vec<DictionaryRow> {
    let plain = |channel: u64| {
        let name = sample::ChannelName::stored(&format!("C{channel}")).unwrap();
        DictionaryRow::new(ChannelId(channel), name)
    };
    let mut full = corpus::dictionary_row(9);
    full.span = Some((Timestamp(-5), Timestamp(4)));
    (full.samples, full.bytes, full.as_of) = (u64::MAX, 77, 3);
    full.archiving = Some((Archiving::Paused, Timestamp(i64::MIN)));
    full.first_sample = Some((Timestamp(i64::MAX), u64::MAX));
    let scalar = sample::ValueType { kind: sample::Kind::Float64, array: false };
    let structure = sample::ValueType { kind: sample::Kind::Structure, array: true };
    let described =
        |value, descriptor: Option<&[u8]>| ValueDescription { value, descriptor: descriptor.map(Into::into) };
    full.types =
        vec![described(structure, Some(b"struct")), described(scalar, None), described(structure, Some(b""))];
    let behind =
        DictionaryRow { channel: ChannelId(u64::MAX), types: full.types[1..2].to_vec(), ..full.clone() };
    let unknown = NewestReading { time: Timestamp(i64::MIN), rank: u32::MAX, fingerprint: 1 };
    vec![
        DictionaryRow { newest: Some(unknown), ..plain(0) },
        plain(1),
        full,
        DictionaryRow { newest: Some(unknown), ..plain(10) },
        behind,
    ]
}

#[test]
fn rows_of_the_dictionary_come_back_from_columns() {
    let rows = dictionary_rows();
    for rows in
        (0..rows.len()).flat_map(|from| (from + 1..=rows.len()).map(move |to| from..to)).map(|at| &rows[at])
    {
        for profile in [Profile::Hot, Profile::Cold] {
            let back = decode_rows(&encode_rows(rows, profile), rows.len() as u32).unwrap();
            assert_eq!(back.len(), rows.len());
            for (mut back, mut row) in back.into_iter().zip(rows.iter().cloned()) {
                assert!(same_metadata(&back.metadata, &row.metadata));
                (back.metadata, row.metadata) = (None, None);
                assert_eq!(back, row);
            }
        }
    }
}

#[test]
fn columns_of_a_later_version_are_passed_over_or_refused() {
    let rows = &dictionary_rows()[..2];
    let mut body = encode_rows(rows, Profile::Hot);
    body.push(0x7e);
    put_bytes(&mut body, b"of a later version");
    assert_eq!(decode_rows(&body, 2).unwrap(), rows);
    assert!(decode_rows(&body, 3).is_err() && decode_rows(&body, 0).is_err());
    assert!(decode_rows(&body, u32::MAX).is_err());
    let mut refused = body.clone();
    refused.push(0x7e | FIELD_REQUIRED);
    put_bytes(&mut refused, b"");
    assert!(decode_rows(&refused, 2).is_err());
    let mut twice = encode_rows(rows, Profile::Hot);
    twice.extend_from_slice(&encode_rows(rows, Profile::Hot));
    assert!(decode_rows(&twice, 2).is_err());
}

#[test]
fn unknown_optional_fields_are_passed_over_required_ones_refused() {
    let carry_in = corpus::carry_ins().remove(1);
    let mut bytes = encode_carry_in(ChannelId(5), &carry_in).unwrap();
    bytes.push(0x7e);
    put_bytes(&mut bytes, b"of a later version");
    assert_eq!(decode_carry_in(&bytes), Ok(carry_in));
    bytes.push(0x7e | FIELD_REQUIRED);
    put_bytes(&mut bytes, b"");
    assert!(decode_carry_in(&bytes).is_err());
}

#[test]
fn large_samples_are_carried_by_their_place_unless_they_stand_nowhere_else() {
    let value = |len: usize| sample::Value::String(vec![0; len].into());
    let of = |len, original| {
        let sample = sample::Sample::new(Timestamp(1), value(len));
        matches!(CarriedSample::of(&sample, sample::Week(1), original), CarriedSample::Here(_))
    };
    assert!(of(crate::CARRIED_VALUE_BYTES_MAX, false));
    assert!(!of(crate::CARRIED_VALUE_BYTES_MAX + 1, false));
    assert!(of(crate::CARRIED_VALUE_BYTES_MAX + 1, true));
}

/// Every decoder of payloads.
fn decode_all(bytes: &[u8]) {
    let _ = decode_events(bytes);
    let _ = decode_metadata(bytes);
    let _ = decode_channel_records(bytes);
    let _ = decode_carry_in(bytes);
    let _ = decode_rows(bytes, 5);
    let _ = decode_sample(bytes);
}

#[test]
fn damaged_payloads_never_panic() {
    let mut payloads = vec![
        encode_events(&corpus::events()).unwrap(),
        encode_metadata(&[(Timestamp(3), corpus::metadata())]),
        encode_channel_records(&corpus::channel_records()),
        encode_rows(&dictionary_rows(), Profile::Cold),
    ];
    payloads.extend(corpus::carry_ins().iter().map(|c| encode_carry_in(ChannelId(5), c).unwrap()));
    for payload in payloads {
        for len in 0..payload.len() {
            decode_all(&payload[..len]);
        }
        for bit in 0..payload.len() * 8 {
            let mut damaged = payload.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            decode_all(&damaged);
        }
    }
}

proptest! {
    #[test]
    fn hostile_payloads_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        decode_all(&bytes);
    }
}
