//! Facts about samples that stand in for them.

use crate::format::*;
use crate::row_bytes::ByteWriter;
use disk::{BytesError, Cursor};
use sample::{Severity, Timestamp};

/// Facts about the samples of a chunk, or of all chunks of a channel.
#[derive(Clone, PartialEq, Debug)]
pub struct Statistics {
    /// Number of samples.
    pub count: u64,
    /// The worst severity.
    pub worst: Severity,
    /// Samples of severity INVALID.
    pub invalid: u64,
    /// About the values as f64 (64-bit integers round); `None` for texts, structures and arrays.
    pub numeric: Option<NumericStatistics>,
}

/// Facts about values that are numbers. Equal by bits.
#[derive(Clone, Copy, Debug)]
pub struct NumericStatistics {
    /// The first value, whatever it is.
    pub first: f64,
    /// The last value, whatever it is.
    pub last: f64,
    /// Least and greatest finite value, if there is one.
    pub extremes: Option<Extremes>,
    /// Number of NaNs.
    pub nan: u64,
    /// Number of positive infinities.
    pub positive_infinite: u64,
    /// Number of negative infinities.
    pub negative_infinite: u64,
}

/// Least and greatest finite value, each with the time of its first occurrence. Equal by bits.
#[derive(Clone, Copy, Debug)]
pub struct Extremes {
    /// The least value.
    pub min: f64,
    /// When it occurred first.
    pub min_time: Timestamp,
    /// The greatest value.
    pub max: f64,
    /// When it occurred first.
    pub max_time: Timestamp,
}

impl PartialEq for NumericStatistics {
    fn eq(&self, other: &NumericStatistics) -> bool {
        let bits = |s: &NumericStatistics| (s.first.to_bits(), s.last.to_bits());
        let counts = |s: &NumericStatistics| (s.nan, s.positive_infinite, s.negative_infinite);
        bits(self) == bits(other) && self.extremes == other.extremes && counts(self) == counts(other)
    }
}

impl PartialEq for Extremes {
    fn eq(&self, other: &Extremes) -> bool {
        let bits = |e: &Extremes| (e.min.to_bits(), e.min_time, e.max.to_bits(), e.max_time);
        bits(self) == bits(other)
    }
}

/// Where an extreme value is found again: it and its time are those of the first sample, of the last, or stand
/// there themselves.
const OWN: u8 = 0;
const AS_FIRST: u8 = 1;
const AS_LAST: u8 = 2;
/// Bits of the byte of values: last is as first, then where least and greatest are, then the form.
const LAST_AS_FIRST: u8 = 1;
const MIN_SHIFT: u32 = 1;
const MAX_SHIFT: u32 = 3;
const FORM_SHIFT: u32 = 5;

/// What the forms from [`ValueForm::Whole`] on divide by, in the order of their tags.
const FACTORS: [(ValueForm, f64); 6] = [
    (ValueForm::Whole, 1.0),
    (ValueForm::Tenths, 10.0),
    (ValueForm::Hundredths, 100.0),
    (ValueForm::Thousandths, 1e3),
    (ValueForm::TenThousandths, 1e4),
    (ValueForm::HundredThousandths, 1e5),
];
/// Integers are written as such below this.
const INTEGER_MAX: f64 = (1u64 << 46) as f64;
/// Added to a number below [`INTEGER_MAX`] it leaves no bits for a fraction: the sum less it is the nearest integer, as are the
/// sum's bits less its own.
const ROUNDING: f64 = (3u64 << 51) as f64;
/// A number that comes from an integer by division is so near it when it is multiplied again: the error of both is below
/// [`INTEGER_MAX`] / 2^52.
const NEAR: f64 = 0.02;

impl Statistics {
    /// What stands in the field `flags`, but for late and ranks.
    pub(crate) fn flags(&self) -> u8 {
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        let numeric = self.numeric.as_ref();
        self.worst as u8
            | flag(numeric.is_some(), STATISTICS_NUMERIC)
            | flag(numeric.is_some_and(|numeric| numeric.extremes.is_some()), STATISTICS_FINITE)
            | flag(numeric.is_some_and(NumericStatistics::has_others), STATISTICS_NOT_FINITE)
            | flag(self.invalid > 0, STATISTICS_INVALID)
    }

    /// Appends all but count and flags, times taken relative to `first`.
    pub(crate) fn put(&self, first: Timestamp, last: Timestamp, out: &mut ByteWriter) {
        if self.invalid > 0 {
            out.put_varint(self.invalid);
        }
        if let Some(numeric) = &self.numeric {
            put_values(numeric, first, last, out);
            if numeric.has_others() {
                out.put_varint(numeric.nan);
                out.put_varint(numeric.positive_infinite);
                out.put_varint(numeric.negative_infinite);
            }
        }
    }

    /// Reads what [`Statistics::put`] wrote.
    pub(crate) fn read(
        cursor: &mut Cursor<'_>,
        flags: u8,
        first: Timestamp,
        last: Timestamp,
        count: u64,
    ) -> Result<Statistics, BytesError> {
        if flags & STATISTICS_NUMERIC == 0 && flags & (STATISTICS_FINITE | STATISTICS_NOT_FINITE) != 0 {
            return Err(cursor.error("statistics of numbers that are none"));
        }
        let worst = match flags & 3 {
            0 => Severity::NoAlarm,
            1 => Severity::Minor,
            2 => Severity::Major,
            _ => Severity::Invalid,
        };
        let invalid = if flags & STATISTICS_INVALID != 0 { cursor.varint()? } else { 0 };
        let mut numeric = None;
        if flags & STATISTICS_NUMERIC != 0 {
            let mut found = read_values(cursor, first, last, flags & STATISTICS_FINITE != 0)?;
            if flags & STATISTICS_NOT_FINITE != 0 {
                found.nan = cursor.varint()?;
                found.positive_infinite = cursor.varint()?;
                found.negative_infinite = cursor.varint()?;
            }
            numeric = Some(found);
        }
        Ok(Statistics { count, worst, invalid, numeric })
    }
}

impl NumericStatistics {
    /// Whether there are values that are not finite.
    fn has_others(&self) -> bool {
        self.nan > 0 || self.positive_infinite > 0 || self.negative_infinite > 0
    }
}

/// Whether the flags of a chunk say that its statistics stand in the chunk alone.
pub(crate) fn is_elsewhere(flags: u8) -> bool {
    flags & !(STATISTICS_LATE | STATISTICS_RANKS) == STATISTICS_ELSEWHERE
}

fn put_values(numeric: &NumericStatistics, first: Timestamp, last: Timestamp, out: &mut ByteWriter) {
    let is_at = |value: f64, time: Timestamp, other: f64, at: Timestamp| {
        (value.to_bits() == other.to_bits()) & (time == at)
    };
    let place = |value: f64, time: Timestamp| {
        let as_first = is_at(value, time, numeric.first, first);
        let as_last = is_at(value, time, numeric.last, last) & !as_first;
        (u8::from(as_first) * AS_FIRST) | (u8::from(as_last) * AS_LAST)
    };
    let last_as_first = numeric.last.to_bits() == numeric.first.to_bits();
    let (mut min, mut max) = (OWN, OWN);
    let mut values = [numeric.first, numeric.last, numeric.first, numeric.first];
    // Which of them stand there themselves is hard to foresee: what is put too much is put over, or is there already.
    let mut owners = [0u8, 1, 0, 0];
    let mut own = 1 + usize::from(!last_as_first);
    if let Some(extremes) = &numeric.extremes {
        (values[2], values[3]) = (extremes.min, extremes.max);
        min = place(extremes.min, extremes.min_time);
        owners[own] = 2;
        own += usize::from(min == OWN);
        max = place(extremes.max, extremes.max_time);
        owners[own] = 3;
        own += usize::from(max == OWN);
    }
    let mut integers = [0; 4];
    let form = form_of(values, &mut integers);
    let last_bit = if last_as_first { LAST_AS_FIRST } else { 0 };
    out.put([last_bit | min << MIN_SHIFT | max << MAX_SHIFT | (form as u8) << FORM_SHIFT]);
    for owner in &owners[..own] {
        let at = usize::from(*owner & 3);
        match form {
            ValueForm::Double => out.put(values[at].to_le_bytes()),
            ValueForm::Single => out.put((values[at] as f32).to_le_bytes()),
            _ => out.put_varint_signed(integers[at]),
        }
    }
    if let Some(extremes) = &numeric.extremes {
        let times = [(extremes.min_time, min), (extremes.max_time, max)];
        for (time, _) in times.iter().filter(|(_, place)| *place == OWN) {
            out.put_varint(time.0.wrapping_sub(first.0) as u64);
        }
    }
}

fn read_values(
    cursor: &mut Cursor<'_>,
    first: Timestamp,
    last: Timestamp,
    finite: bool,
) -> Result<NumericStatistics, BytesError> {
    let byte = cursor.u8()?;
    let (min, max) = (byte >> MIN_SHIFT & 3, byte >> MAX_SHIFT & 3);
    if min > AS_LAST || max > AS_LAST {
        return Err(cursor.error("an unknown place of an extreme value"));
    }
    let form = byte >> FORM_SHIFT;
    let first_value = read_value(cursor, form)?;
    let last_value = if byte & LAST_AS_FIRST != 0 { first_value } else { read_value(cursor, form)? };
    let mut numeric = NumericStatistics {
        first: first_value,
        last: last_value,
        extremes: None,
        nan: 0,
        positive_infinite: 0,
        negative_infinite: 0,
    };
    if finite {
        let mut value = |place: u8| match place {
            AS_FIRST => Ok(first_value),
            AS_LAST => Ok(last_value),
            _ => read_value(cursor, form),
        };
        let (min_value, max_value) = (value(min)?, value(max)?);
        let mut time = |place: u8| match place {
            AS_FIRST => Ok(first),
            AS_LAST => Ok(last),
            _ => cursor.varint().map(|since| Timestamp(first.0.wrapping_add(since as i64))),
        };
        let (min_time, max_time) = (time(min)?, time(max)?);
        numeric.extremes = Some(Extremes { min: min_value, min_time, max: max_value, max_time });
    }
    Ok(numeric)
}

/// The shortest form that keeps every bit of all values, with the integers of those forms that have such.
fn form_of(values: [f64; 4], integers: &mut [i64; 4]) -> ValueForm {
    let scaled = values[0] * FACTORS[FACTORS.len() - 1].1;
    if scaled.abs() < INTEGER_MAX && (scaled - (scaled + ROUNDING - ROUNDING)).abs() < NEAR {
        for (form, factor) in FACTORS {
            // All four at once: that takes no longer than to look at each. Only what is nearly an integer is divided.
            let mut is_near = true;
            for (value, integer) in values.iter().zip(&mut *integers) {
                let scaled = value * factor;
                let rounded = scaled + ROUNDING;
                is_near &= (scaled.abs() < INTEGER_MAX) & ((scaled - (rounded - ROUNDING)).abs() < NEAR);
                *integer = (rounded.to_bits() as i64).wrapping_sub(ROUNDING.to_bits() as i64);
            }
            if is_near && is_kept(&values, integers, factor) {
                return form;
            }
        }
    }
    let single = values.iter().all(|value| f64::from(*value as f32).to_bits() == value.to_bits());
    if single { ValueForm::Single } else { ValueForm::Double }
}

/// Whether the quotients of integers by a factor are the values to the bit.
fn is_kept(values: &[f64; 4], integers: &[i64; 4], factor: f64) -> bool {
    let pairs = values.iter().zip(integers);
    pairs
        .fold(true, |kept, (value, integer)| kept & ((*integer as f64 / factor).to_bits() == value.to_bits()))
}

/// What integers of a form are divided by; `None` for the other forms.
fn factor_of(form: u8) -> Option<f64> {
    let at = form.checked_sub(ValueForm::Whole as u8)?;
    FACTORS.get(usize::from(at)).map(|(_, factor)| *factor)
}

#[inline]
fn read_value(cursor: &mut Cursor<'_>, form: u8) -> Result<f64, BytesError> {
    match factor_of(form) {
        Some(factor) => cursor.varint_signed().map(|integer| integer as f64 / factor),
        None if form == ValueForm::Single as u8 => cursor.f32().map(f64::from),
        None => cursor.f64(),
    }
}
