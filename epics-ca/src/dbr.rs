//! Layout of the DBR structures that carry values over Channel Access.

/// Type of a channel's field as its server tells it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum FieldType {
    /// 40 bytes of text.
    String = 0,
    /// i16
    Short = 1,
    /// f32
    Float = 2,
    /// u16, index into up to 16 states.
    Enum = 3,
    /// u8
    Char = 4,
    /// i32
    Long = 5,
    /// f64
    Double = 6,
}

/// `DBR_TIME_STRING`, the first type with alarm and time stamp.
const DBR_TIME: u16 = 14;
/// `DBR_CTRL_STRING`, the first type with metadata.
const DBR_CTRL: u16 = 28;
/// Bytes of a string.
pub(crate) const STRING_BYTES: usize = 40;
/// Most enum states, and bytes of each.
pub(crate) const STATES_MAX: usize = 16;
/// Bytes of one enum state.
pub(crate) const STATE_BYTES: usize = 26;
/// Bytes of the units.
pub(crate) const UNITS_BYTES: usize = 8;

impl FieldType {
    /// Every type, in order of their numbers.
    pub const ALL: [FieldType; 7] = [
        FieldType::String,
        FieldType::Short,
        FieldType::Float,
        FieldType::Enum,
        FieldType::Char,
        FieldType::Long,
        FieldType::Double,
    ];

    /// From the DBF number.
    pub fn from_code(code: i64) -> Option<FieldType> {
        FieldType::ALL.into_iter().find(|field| i64::from(*field as u8) == code)
    }

    /// Number of the DBR type that carries values with alarm and time stamp.
    pub fn time_dbr(self) -> u16 {
        DBR_TIME + self as u16
    }

    /// Number of the DBR type that carries metadata.
    pub fn control_dbr(self) -> u16 {
        DBR_CTRL + self as u16
    }

    /// Of a DBR_TIME number.
    pub(crate) fn of_time_dbr(dbr: u16) -> Option<FieldType> {
        FieldType::from_code(i64::from(dbr) - i64::from(DBR_TIME))
    }

    /// Of a DBR_CTRL number.
    pub(crate) fn of_control_dbr(dbr: u16) -> Option<FieldType> {
        FieldType::from_code(i64::from(dbr) - i64::from(DBR_CTRL))
    }

    /// Bytes of one element.
    pub(crate) fn width(self) -> usize {
        match self {
            FieldType::String => STRING_BYTES,
            FieldType::Short | FieldType::Enum => 2,
            FieldType::Char => 1,
            FieldType::Float | FieldType::Long => 4,
            FieldType::Double => 8,
        }
    }

    /// Offset of the first element in DBR_TIME: behind status, severity, stamp, alignment.
    pub(crate) fn time_offset(self) -> usize {
        match self {
            FieldType::String | FieldType::Float | FieldType::Long => 12,
            FieldType::Short | FieldType::Enum => 14,
            FieldType::Char => 15,
            FieldType::Double => 16,
        }
    }

    /// Offset of the first element in DBR_CTRL: behind everything that describes it.
    pub(crate) fn control_offset(self) -> usize {
        match self {
            FieldType::String => 4,
            FieldType::Short => 28,
            FieldType::Float => 48,
            FieldType::Enum => 6 + STATES_MAX * STATE_BYTES,
            FieldType::Char => 21,
            FieldType::Long => 44,
            FieldType::Double => 80,
        }
    }

    /// Bytes of a DBR_TIME value of `count` elements; `None` when that overflows.
    pub(crate) fn time_bytes(self, count: usize) -> Option<usize> {
        count.checked_mul(self.width())?.checked_add(self.time_offset())
    }

    /// Bytes of a DBR_CTRL value of one element.
    pub(crate) fn control_bytes(self) -> usize {
        self.control_offset() + self.width()
    }
}

/// Up to the first NUL, or all of it.
pub(crate) fn text(field: &[u8]) -> Box<[u8]> {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    field[..end].into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_are_those_of_db_access() {
        // sizeof and offsetof(value) of struct dbr_time_x, then of struct dbr_ctrl_x, from db_access.h.
        let expected = [
            (52, 12, 44, 4),
            (16, 14, 30, 28),
            (16, 12, 52, 48),
            (16, 14, 424, 422),
            (16, 15, 22, 21),
            (16, 12, 48, 44),
            (24, 16, 88, 80),
        ];
        for (code, (field, expected)) in FieldType::ALL.into_iter().zip(expected).enumerate() {
            let time = field.time_bytes(1).unwrap();
            assert_eq!((time, field.time_offset(), field.control_bytes(), field.control_offset()), expected);
            assert_eq!(FieldType::from_code(i64::try_from(code).unwrap()), Some(field));
            assert_eq!(FieldType::of_time_dbr(field.time_dbr()), Some(field));
            assert_eq!(FieldType::of_control_dbr(field.control_dbr()), Some(field));
        }
        assert_eq!((FieldType::from_code(-1), FieldType::from_code(7)), (None, None));
        assert_eq!((FieldType::of_time_dbr(13), FieldType::of_control_dbr(35)), (None, None));
        assert_eq!(FieldType::Double.time_bytes(usize::MAX), None);
    }
}
