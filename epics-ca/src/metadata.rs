//! Metadata from the bytes of DBR_CTRL structures.
#![expect(clippy::host_endian_bytes, reason = "libca hands over values in the host's byte order")]

use crate::dbr::{FieldType, STATE_BYTES, STATES_MAX, UNITS_BYTES, text};
use crate::error::Error;
use sample::Metadata;

/// Metadata as libca delivered it: a DBR_CTRL structure of one element.
#[derive(Clone, Copy, Debug)]
pub struct RawMetadata<'a> {
    /// DBR type number, one of `DBR_CTRL_STRING` (28) to `DBR_CTRL_DOUBLE` (34).
    pub dbr: u16,
    /// The structure in the host's byte order.
    pub bytes: &'a [u8],
}

/// Display high and low, alarm high, warning high and low, alarm low, control high and low.
type Limits = [f64; 8];

impl RawMetadata<'_> {
    /// Decodes it. A limit that the record leaves open (NaN) is absent; units may be known to be empty.
    ///
    /// # Errors
    /// [`Error::Malformed`] when the type is none of DBR_CTRL or the length is not that of the type.
    pub fn decode(&self) -> Result<Metadata, Error> {
        let malformed =
            |what, expected| Error::Malformed { dbr: self.dbr, what, expected, found: self.bytes.len() };
        let field =
            FieldType::of_control_dbr(self.dbr).ok_or_else(|| malformed("is not a DBR_CTRL type", 0))?;
        if self.bytes.len() != field.control_bytes() {
            return Err(malformed("has the wrong length", field.control_bytes()));
        }
        let bytes = self.bytes;
        Ok(match field {
            FieldType::String => Metadata::default(),
            FieldType::Enum => Metadata { states: Some(states(bytes)), ..Metadata::default() },
            FieldType::Short => {
                numeric(bytes, 4, None, limits(&bytes[12..], |b| i16::from_ne_bytes(b).into()))
            }
            FieldType::Char => numeric(bytes, 4, None, limits(&bytes[12..], |b| u8::from_ne_bytes(b).into())),
            FieldType::Long => {
                numeric(bytes, 4, None, limits(&bytes[12..], |b| i32::from_ne_bytes(b).into()))
            }
            FieldType::Float => numeric(
                bytes,
                8,
                Some(short(bytes, 4)),
                limits(&bytes[16..], |b| f32::from_ne_bytes(b).into()),
            ),
            FieldType::Double => {
                numeric(bytes, 8, Some(short(bytes, 4)), limits(&bytes[16..], f64::from_ne_bytes))
            }
        })
    }
}

fn short(bytes: &[u8], offset: usize) -> i16 {
    i16::from_ne_bytes([bytes[offset], bytes[offset + 1]])
}

fn states(bytes: &[u8]) -> Vec<Box<[u8]>> {
    let count = usize::try_from(short(bytes, 4)).unwrap_or(0).min(STATES_MAX);
    bytes[6..].chunks_exact(STATE_BYTES).take(count).map(text).collect()
}

fn limits<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f64) -> Limits {
    let mut limits = [f64::NAN; 8];
    for (limit, chunk) in limits.iter_mut().zip(bytes.chunks_exact(N)) {
        if let Some(chunk) = chunk.first_chunk() {
            *limit = number(*chunk);
        }
    }
    limits
}

fn numeric(bytes: &[u8], units: usize, precision: Option<i16>, limits: Limits) -> Metadata {
    let [
        display_high,
        display_low,
        alarm_high,
        warning_high,
        warning_low,
        alarm_low,
        control_high,
        control_low,
    ] = limits.map(|limit| (!limit.is_nan()).then_some(limit));
    Metadata {
        units: Some(text(&bytes[units..units + UNITS_BYTES])),
        precision,
        display_low,
        display_high,
        alarm_low,
        alarm_high,
        warning_low,
        warning_high,
        control_low,
        control_high,
        ..Metadata::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(field: FieldType, parts: &[(usize, &[u8])]) -> Metadata {
        let mut bytes = vec![0; field.control_bytes()];
        for (offset, part) in parts {
            bytes[*offset..*offset + part.len()].copy_from_slice(part);
        }
        RawMetadata { dbr: field.control_dbr(), bytes: &bytes }.decode().unwrap()
    }

    #[test]
    fn limits_stand_where_the_protocol_puts_them() {
        let eight: Vec<u8> = (1..=8).flat_map(|i| f64::from(i).to_ne_bytes()).collect();
        let double = decode(FieldType::Double, &[(4, &3i16.to_ne_bytes()), (8, b"mA\0x"), (16, &eight)]);
        let expected = Metadata {
            units: Some(b"mA".as_slice().into()),
            precision: Some(3),
            display_high: Some(1.0),
            display_low: Some(2.0),
            alarm_high: Some(3.0),
            warning_high: Some(4.0),
            warning_low: Some(5.0),
            alarm_low: Some(6.0),
            control_high: Some(7.0),
            control_low: Some(8.0),
            ..Metadata::default()
        };
        assert_eq!(double, expected);
        let eight: Vec<u8> = (1..=8).flat_map(|i: i32| i.to_ne_bytes()).collect();
        let long = decode(FieldType::Long, &[(4, b"12345678"), (12, &eight)]);
        assert_eq!(
            long,
            Metadata { units: Some(b"12345678".as_slice().into()), precision: None, ..expected.clone() }
        );
        let char = decode(FieldType::Char, &[(4, b"mA"), (12, &[1, 2, 3, 4, 5, 6, 7, 8])]);
        assert_eq!(char, Metadata { precision: None, ..expected });
    }

    #[test]
    fn open_limits_are_absent() {
        let nan: Vec<u8> = std::iter::repeat_n(f32::NAN.to_ne_bytes(), 8).flatten().collect();
        let float = decode(FieldType::Float, &[(16, &nan)]);
        assert_eq!((float.alarm_low, float.display_high, float.precision), (None, None, Some(0)));
        assert_eq!(float.units, Some([].into()));
    }

    #[test]
    fn states_are_as_many_as_told_at_most_sixteen() {
        for (told, count) in [(2i16, 2), (16, 16), (17, 16), (-1, 0)] {
            let metadata =
                decode(FieldType::Enum, &[(4, &told.to_ne_bytes()), (6, b"Off"), (32, &[b'y'; 26])]);
            let states = metadata.states.unwrap();
            assert_eq!(states.len(), count);
            if count > 1 {
                assert_eq!((&*states[0], &*states[1]), (b"Off".as_slice(), [b'y'; 26].as_slice()));
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_are_refused(dbr in 0u16..40, bytes in proptest::collection::vec(any::<u8>(), 0..500),
                                           fit: bool) {
            let mut bytes = bytes;
            let field = FieldType::of_control_dbr(dbr);
            if let (Some(field), true) = (field, fit) {
                bytes.resize(field.control_bytes(), 0xFF);
            }
            let good = field.is_some_and(|field| field.control_bytes() == bytes.len());
            prop_assert_eq!(RawMetadata { dbr, bytes: &bytes }.decode().is_ok(), good);
        }
    }
}
