//! Tests of the cursor: what was put comes back, hostile bytes give errors.

use proptest::prelude::*;

use super::*;
use crate::*;

#[test]
fn what_was_put_comes_back() {
    let mut out = Vec::new();
    put_u8(&mut out, 1);
    put_u16(&mut out, 0x0203);
    put_u32(&mut out, 0x0405_0607);
    put_u64(&mut out, u64::MAX - 1);
    put_u128(&mut out, u128::MAX - 2);
    put_i64(&mut out, i64::MIN);
    put_f32(&mut out, f32::from_bits(0x7fc0_0001));
    put_f64(&mut out, f64::from_bits(0xfff8_0000_0000_0001));
    put_bytes(&mut out, b"\xff\x00");
    put_str(&mut out, "é");
    assert_eq!(out[..7], [1, 3, 2, 7, 6, 5, 4]);
    let mut cursor = Cursor::new(&out);
    assert_eq!(cursor.u8().unwrap(), 1);
    assert_eq!(cursor.u16().unwrap(), 0x0203);
    assert_eq!(cursor.u32().unwrap(), 0x0405_0607);
    assert_eq!(cursor.u64().unwrap(), u64::MAX - 1);
    assert_eq!(cursor.u128().unwrap(), u128::MAX - 2);
    assert_eq!(cursor.i64().unwrap(), i64::MIN);
    assert_eq!(cursor.f32().unwrap().to_bits(), 0x7fc0_0001);
    assert_eq!(cursor.f64().unwrap().to_bits(), 0xfff8_0000_0000_0001);
    assert_eq!(cursor.counted_bytes().unwrap(), b"\xff\x00");
    assert!(cursor.finish().is_err());
    assert_eq!(cursor.counted_str().unwrap(), "é");
    cursor.finish().unwrap();
}

#[test]
fn each_value_has_one_varint() {
    for (bytes, what) in [
        (&[0x80u8, 0x00][..], "a varint is longer than it need be"),
        (&[0xff; 9], "the bytes end inside a varint"),
        (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], "a varint does not fit 64 bits"),
        (&[0xff; 11], "a varint does not fit 64 bits"),
        (&[], "the bytes end inside a varint"),
    ] {
        let mut cursor = Cursor::new(bytes);
        assert_eq!(cursor.varint(), Err(BytesError { position: 0, what }));
        assert_eq!(cursor.position(), 0);
    }
}

#[test]
fn a_count_is_bounded_by_the_bytes_present() {
    let mut out = Vec::new();
    put_varint(&mut out, 3);
    out.extend_from_slice(&[0; 11]);
    assert!(Cursor::new(&out).count(4).is_err(), "three items of 4 bytes do not fit 11");
    out.push(0);
    assert_eq!(Cursor::new(&out).count(4), Ok(3));
    let mut huge = Vec::new();
    put_varint(&mut huge, u64::MAX);
    assert!(Cursor::new(&huge).count(0).is_err());
    assert!(Cursor::new(&huge).counted_bytes().is_err());
}

#[test]
fn text_that_is_not_utf8_is_an_error_at_its_place() {
    let mut cursor = Cursor::new(b"a\x02\xc3\x28");
    cursor.u8().unwrap();
    let error = cursor.counted_str().unwrap_err();
    assert_eq!(
        error.in_file(Path::new("f"), 100).to_string(),
        "f is damaged at byte 101: a text is not UTF-8"
    );
    assert_eq!(cursor.position(), 1);
}

proptest! {
    #[test]
    fn varints_round_trip(value: u64, shift in 0u32..64) {
        let value = value >> shift;
        let mut out = Vec::new();
        put_varint(&mut out, value);
        put_varint_signed(&mut out, value as i64);
        put_varint_signed(&mut out, (value as i64).wrapping_neg());
        let mut cursor = Cursor::new(&out);
        prop_assert_eq!(cursor.varint().unwrap(), value);
        prop_assert_eq!(cursor.varint_signed().unwrap(), value as i64);
        prop_assert_eq!(cursor.varint_signed().unwrap(), (value as i64).wrapping_neg());
        cursor.finish().unwrap();
    }

    #[test]
    fn a_varint_that_is_read_is_written_the_same(bytes in proptest::collection::vec(any::<u8>(), 0..12)) {
        let mut cursor = Cursor::new(&bytes);
        if let Ok(value) = cursor.varint() {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            prop_assert_eq!(&out[..], &bytes[..cursor.position()]);
        }
    }

    #[test]
    fn hostile_bytes_never_panic_nor_move_a_failed_cursor(
        bytes in proptest::collection::vec(any::<u8>(), 0..64),
        reads in proptest::collection::vec((0u8..15, any::<usize>()), 0..32),
    ) {
        let mut cursor = Cursor::new(&bytes);
        for (read, len) in reads {
            let before = cursor.position();
            let failed = match read {
                0 => cursor.u8().is_err(),
                1 => cursor.u16().is_err(),
                2 => cursor.u32().is_err(),
                3 => cursor.u64().is_err(),
                4 => cursor.u128().is_err(),
                5 => cursor.i64().is_err(),
                6 => cursor.f32().is_err(),
                7 => cursor.f64().is_err(),
                8 => cursor.varint().is_err(),
                9 => cursor.varint_signed().is_err(),
                10 => cursor.bytes(len).is_err(),
                11 => cursor.counted_bytes().is_err(),
                12 => cursor.counted_str().is_err(),
                13 => cursor.str(len % 8).is_err(),
                _ => cursor.count(len).is_err(),
            };
            prop_assert!(cursor.position() <= bytes.len());
            prop_assert!(!failed || cursor.position() == before);
        }
    }
}
