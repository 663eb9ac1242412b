//! Values from the bytes of DBR_TIME structures.
#![expect(clippy::host_endian_bytes, reason = "libca hands over values in the host's byte order")]

use crate::dbr::{FieldType, STRING_BYTES, text};
use crate::error::Error;
use sample::{BytesColumn, Column, Sample, Severity, Status, Timestamp, Value};

/// A value as libca delivered it: a DBR_TIME structure.
#[derive(Clone, Copy, Debug)]
pub struct RawValue<'a> {
    /// DBR type number, one of `DBR_TIME_STRING` (14) to `DBR_TIME_DOUBLE` (20).
    pub dbr: u16,
    /// Number of elements, the array's present length.
    pub count: u32,
    /// Whether the channel's native element count is 1; anything else is an array, whatever its length.
    pub scalar: bool,
    /// The structure in the host's byte order.
    pub bytes: &'a [u8],
}

/// What a [`RawValue`] says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reading {
    /// The server's stamp as sent; 1990-01-01 where the record was never processed.
    pub time: Timestamp,
    /// `char` as UInt8, `short` Int16, `long` Int32; strings end before their NUL.
    pub value: Value,
    /// Alarm severity; a number above 3 reads as INVALID.
    pub severity: Severity,
    /// Alarm status, Channel Access codes.
    pub status: Status,
}

impl Reading {
    /// As a sample: rank 0, no receive time, metadata known.
    pub fn into_sample(self) -> Sample {
        Sample { severity: self.severity, status: self.status, ..Sample::new(self.time, self.value) }
    }
}

impl RawValue<'_> {
    /// Decodes it.
    ///
    /// # Errors
    /// [`Error::Malformed`] when the type is none of DBR_TIME, the bytes are not those of `count`
    /// elements, or a scalar has not exactly one.
    pub fn decode(&self) -> Result<Reading, Error> {
        let malformed =
            |what, expected| Error::Malformed { dbr: self.dbr, what, expected, found: self.bytes.len() };
        let field = FieldType::of_time_dbr(self.dbr).ok_or_else(|| malformed("is not a DBR_TIME type", 0))?;
        let count = self.count as usize;
        let expected = field.time_bytes(count).filter(|bytes| u32::try_from(*bytes).is_ok());
        let expected = expected.ok_or_else(|| malformed("is longer than 4 GiB", usize::MAX))?;
        if self.bytes.len() != expected {
            return Err(malformed("has the wrong length", expected));
        }
        if self.scalar && count != 1 {
            return Err(malformed(
                "is a scalar with another count than 1",
                field.time_offset() + field.width(),
            ));
        }
        let head = Head { bytes: self.bytes };
        let elements = &self.bytes[field.time_offset()..];
        Ok(Reading {
            time: Timestamp::from_epics(u32::from_ne_bytes(head.at(4)), u32::from_ne_bytes(head.at(8))),
            value: if self.scalar { scalar(field, elements) } else { array(field, elements) },
            severity: Severity::from_code(u16::from_ne_bytes(head.at(2))).unwrap_or(Severity::Invalid),
            status: Status::ca(u16::from_ne_bytes(head.at(0))),
        })
    }
}

/// Fixed-width reads from the front of a structure whose length was checked.
struct Head<'a> {
    bytes: &'a [u8],
}

impl Head<'_> {
    fn at<const N: usize>(&self, offset: usize) -> [u8; N] {
        first(&self.bytes[offset..])
    }
}

/// The first N bytes; zeros where there are none, which callers rule out by the length.
fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.first_chunk().copied().unwrap_or([0; N])
}

fn scalar(field: FieldType, bytes: &[u8]) -> Value {
    match field {
        FieldType::String => Value::String(text(bytes)),
        FieldType::Short => Value::Int16(i16::from_ne_bytes(first(bytes))),
        FieldType::Float => Value::Float32(f32::from_ne_bytes(first(bytes))),
        FieldType::Enum => Value::Enum(u16::from_ne_bytes(first(bytes))),
        FieldType::Char => Value::UInt8(u8::from_ne_bytes(first(bytes))),
        FieldType::Long => Value::Int32(i32::from_ne_bytes(first(bytes))),
        FieldType::Double => Value::Float64(f64::from_ne_bytes(first(bytes))),
    }
}

fn array(field: FieldType, bytes: &[u8]) -> Value {
    Value::Array(Box::new(match field {
        FieldType::String => {
            let mut strings = BytesColumn::default();
            for string in bytes.chunks_exact(STRING_BYTES) {
                strings.push(&text(string));
            }
            Column::String(strings)
        }
        FieldType::Short => Column::Int16(each(bytes, i16::from_ne_bytes)),
        FieldType::Float => Column::Float32(each(bytes, f32::from_ne_bytes)),
        FieldType::Enum => Column::Enum(each(bytes, u16::from_ne_bytes)),
        FieldType::Char => Column::UInt8(bytes.to_vec()),
        FieldType::Long => Column::Int32(each(bytes, i32::from_ne_bytes)),
        FieldType::Double => Column::Float64(each(bytes, f64::from_ne_bytes)),
    }))
}

fn each<const N: usize, T>(bytes: &[u8], element: fn([u8; N]) -> T) -> Vec<T> {
    bytes.chunks_exact(N).map(|chunk| element(first(chunk))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn raw(field: FieldType, count: u32, elements: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0xAA; field.time_offset()];
        bytes[0..2].copy_from_slice(&3u16.to_ne_bytes());
        bytes[2..4].copy_from_slice(&2u16.to_ne_bytes());
        bytes[4..8].copy_from_slice(&5u32.to_ne_bytes());
        bytes[8..12].copy_from_slice(&7u32.to_ne_bytes());
        bytes.extend_from_slice(elements);
        assert_eq!(bytes.len(), field.time_bytes(count as usize).unwrap());
        bytes
    }

    fn decode(field: FieldType, scalar: bool, count: u32, elements: &[u8]) -> Reading {
        let bytes = raw(field, count, elements);
        RawValue { dbr: field.time_dbr(), count, scalar, bytes: &bytes }.decode().unwrap()
    }

    #[test]
    fn alarm_stamp_value_of_every_type() {
        let mut string = [0u8; 40];
        string[..3].copy_from_slice(b"abc");
        let cases: [(FieldType, Vec<u8>, Value); 7] = [
            (FieldType::String, string.to_vec(), Value::text("abc")),
            (FieldType::Short, (-2i16).to_ne_bytes().to_vec(), Value::Int16(-2)),
            (FieldType::Float, 1.5f32.to_ne_bytes().to_vec(), Value::Float32(1.5)),
            (FieldType::Enum, 65_535u16.to_ne_bytes().to_vec(), Value::Enum(65_535)),
            (FieldType::Char, vec![255], Value::UInt8(255)),
            (FieldType::Long, i32::MIN.to_ne_bytes().to_vec(), Value::Int32(i32::MIN)),
            (FieldType::Double, (-0.0f64).to_ne_bytes().to_vec(), Value::Float64(-0.0)),
        ];
        for (field, elements, value) in cases {
            let reading = decode(field, true, 1, &elements);
            assert_eq!(reading.value, value);
            assert_eq!(reading.time, Timestamp::from_epics(5, 7));
            assert_eq!((reading.severity, reading.status), (Severity::Major, Status::ca(3)));
            let twice = decode(field, false, 2, &elements.repeat(2)).value;
            let Value::Array(column) = twice else { panic!("{twice:?} is no array") };
            assert_eq!(column.len(), 2);
            assert_eq!((column.get(0, None), column.get(1, None)), (value.clone(), value));
            let Value::Array(empty) = decode(field, false, 0, &[]).value else { panic!("no array") };
            assert!(empty.is_empty());
            assert_eq!(empty.kind(), column.kind());
        }
    }

    #[test]
    fn text_without_a_nul_ends_with_its_field() {
        assert_eq!(decode(FieldType::String, true, 1, &[b'x'; 40]).value, Value::String([b'x'; 40].into()));
        let Value::Array(two) = decode(FieldType::String, false, 2, &[b'x'; 80]).value else {
            panic!("no array")
        };
        assert_eq!(two.byte_len(), 80);
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_are_refused(dbr in 0u16..40, count in prop_oneof![0u32..4, any::<u32>()], scalar: bool,
                                           fit: bool, bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut bytes = bytes;
            let length = FieldType::of_time_dbr(dbr).and_then(|field| field.time_bytes(count as usize));
            if let (Some(length), true) = (length.filter(|length| *length < 1000), fit) {
                bytes.resize(length, 0xFF);
            }
            let raw = RawValue { dbr, count, scalar, bytes: &bytes };
            let fits = length == Some(bytes.len());
            prop_assert_eq!(raw.decode().is_ok(), fits && (!scalar || count == 1));
        }
    }
}
