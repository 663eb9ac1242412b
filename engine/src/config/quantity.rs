//! Quantities as people write them: durations `"10s"`, sizes `"256MiB"`, shares `"5%"`.

use std::fmt;
use std::time::Duration;

/// Units of time with their nanoseconds, the largest first.
const DURATION_UNITS: [(&str, u64); 8] = [
    ("w", 7 * 86_400 * 1_000_000_000),
    ("d", 86_400 * 1_000_000_000),
    ("h", 3_600 * 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];
/// Units of size with their bytes, the largest of each kind first.
const SIZE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];
/// What a percentage is counted in.
const MILLIONTHS_PER_PERCENT: u64 = 10_000;
/// More digits than any accepted number has.
const DIGITS_MAX: usize = 30;

/// Why a text is not a duration, a size or a percentage.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QuantityError {
    text: String,
    fault: Fault,
    expected: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    NotANumber,
    NoUnit,
    UnknownUnit,
    TooFine,
    TooLarge,
}

const DURATION_EXPECTED: &str = "a number with one of the units ns us ms s m h d w, for example \"10s\"";
const SIZE_EXPECTED: &str =
    "a number with one of the units B kB MB GB TB KiB MiB GiB TiB, for example \"256MiB\"";
const PERCENT_EXPECTED: &str = "a number from 0 to 100 with a percent sign, for example \"5%\"";

impl fmt::Display for QuantityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fault = match self.fault {
            Fault::NotANumber => "does not begin with a plain number",
            Fault::NoUnit => "has no unit",
            Fault::UnknownUnit => "has an unknown unit",
            Fault::TooFine => "is finer than the smallest unit",
            Fault::TooLarge => "is too large",
        };
        write!(f, "\"{}\" {fault}; expected {}", self.text.escape_debug(), self.expected)
    }
}

impl std::error::Error for QuantityError {}

/// A duration such as `10s`, `1.5h` or `0`. Exact to the nanosecond, at most 292 years (it fits an i64 of ns).
pub fn parse_duration(text: &str) -> Result<Duration, QuantityError> {
    let ns = parse(text, &DURATION_UNITS, DURATION_EXPECTED)?;
    if i64::try_from(ns).is_err() {
        return Err(QuantityError::new(text, Fault::TooLarge, DURATION_EXPECTED));
    }
    Ok(Duration::from_nanos(ns))
}

/// A size in bytes such as `256MiB`, `1.5GB` or `0`.
pub fn parse_size(text: &str) -> Result<u64, QuantityError> {
    parse(text, &SIZE_UNITS, SIZE_EXPECTED)
}

/// The shortest text that [`parse_duration`] reads back to the same duration.
pub fn format_duration(duration: Duration) -> String {
    format(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX), &DURATION_UNITS)
}

/// The shortest text that [`parse_size`] reads back to the same size.
pub fn format_size(bytes: u64) -> String {
    format(bytes, &SIZE_UNITS)
}

/// A share of a whole, exact to a ten-thousandth of a percent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Percent {
    millionths: u64,
}

impl Percent {
    /// `percent` hundredths of the whole.
    pub const fn new(percent: u64) -> Percent {
        Percent { millionths: percent * MILLIONTHS_PER_PERCENT }
    }

    /// A percentage such as `5%` or `0.5%`, at most 100 %.
    pub fn parse(text: &str) -> Result<Percent, QuantityError> {
        let millionths = parse(text, &[("%", MILLIONTHS_PER_PERCENT)], PERCENT_EXPECTED)?;
        if millionths > 100 * MILLIONTHS_PER_PERCENT {
            return Err(QuantityError::new(text, Fault::TooLarge, PERCENT_EXPECTED));
        }
        Ok(Percent { millionths })
    }

    /// This share of `whole`, rounded down.
    pub fn of(self, whole: u64) -> u64 {
        let share =
            u128::from(whole) * u128::from(self.millionths) / u128::from(100 * MILLIONTHS_PER_PERCENT);
        u64::try_from(share).unwrap_or(u64::MAX)
    }

    /// Whether `part` is more than this share of `whole`.
    pub fn is_exceeded_by(self, part: u64, whole: u64) -> bool {
        u128::from(part) * u128::from(100 * MILLIONTHS_PER_PERCENT)
            > u128::from(whole) * u128::from(self.millionths)
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) =
            (self.millionths / MILLIONTHS_PER_PERCENT, self.millionths % MILLIONTHS_PER_PERCENT);
        if rest == 0 {
            return write!(f, "{whole}%");
        }
        write!(f, "{whole}.{}%", format!("{rest:04}").trim_end_matches('0'))
    }
}

impl QuantityError {
    fn new(text: &str, fault: Fault, expected: &'static str) -> QuantityError {
        QuantityError { text: text.chars().take(100).collect(), fault, expected }
    }
}

/// A decimal number and a unit, as a whole number of the smallest unit. A bare zero needs no unit.
fn parse(text: &str, units: &[(&str, u64)], expected: &'static str) -> Result<u64, QuantityError> {
    let wrong = |fault| QuantityError::new(text, fault, expected);
    let trimmed = text.trim();
    let end = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, unit) = (&trimmed[..end], trimmed[end..].trim_start());
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return Err(wrong(Fault::NotANumber));
    }
    let fraction = fraction.trim_end_matches('0');
    if whole.len() > DIGITS_MAX {
        return Err(wrong(Fault::TooLarge));
    }
    if fraction.len() > DIGITS_MAX {
        return Err(wrong(Fault::TooFine));
    }
    let whole: u128 = whole.parse().map_err(|_| wrong(Fault::TooLarge))?;
    if unit.is_empty() {
        let zero = whole == 0 && fraction.is_empty();
        return if zero { Ok(0) } else { Err(wrong(Fault::NoUnit)) };
    }
    let Some((_, size)) = units.iter().find(|(name, _)| *name == unit) else {
        return Err(wrong(Fault::UnknownUnit));
    };
    let mut sum = whole.checked_mul(u128::from(*size)).ok_or_else(|| wrong(Fault::TooLarge))?;
    if !fraction.is_empty() {
        let scale = 10u128.pow(u32::try_from(fraction.len()).unwrap_or(u32::MAX).min(38));
        let digits: u128 = fraction.parse().map_err(|_| wrong(Fault::TooFine))?;
        let part = digits.checked_mul(u128::from(*size)).ok_or_else(|| wrong(Fault::TooFine))?;
        if part % scale != 0 {
            return Err(wrong(Fault::TooFine));
        }
        sum += part / scale;
    }
    u64::try_from(sum).map_err(|_| wrong(Fault::TooLarge))
}

fn format(value: u64, units: &[(&str, u64)]) -> String {
    let fits = |(_, size): &&(&str, u64)| value != 0 && value.is_multiple_of(*size);
    // The fewest digits; of equals the unit that stands first.
    match units.iter().filter(fits).min_by_key(|(_, size)| (value / size).to_string().len()) {
        Some((unit, size)) => format!("{}{unit}", value / size),
        None => "0".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_mean_what_they_say() {
        for (text, ns) in [
            ("10s", 10_000_000_000),
            ("0", 0),
            ("0s", 0),
            ("1.5h", 5_400_000_000_000),
            (" 7 d ", 604_800_000_000_000),
            ("1w", 604_800_000_000_000),
            ("30m", 1_800_000_000_000),
            ("250ms", 250_000_000),
            ("0.001us", 1),
            ("3ns", 3),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_nanos(ns)), "{text}");
        }
        for (text, bytes) in [
            ("256MiB", 256 << 20),
            ("1kB", 1000),
            ("1.5GiB", 3 << 29),
            ("512B", 512),
            ("2TB", 2_000_000_000_000),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        assert_eq!(Percent::parse("5%"), Ok(Percent::new(5)));
        assert_eq!(Percent::parse("0.5%").unwrap().to_string(), "0.5%");
        assert_eq!(Percent::parse("100%").unwrap().of(12_345), 12_345);
        assert_eq!(Percent::new(10).of(99), 9);
        assert!(Percent::new(10).is_exceeded_by(2, 19) && !Percent::new(10).is_exceeded_by(2, 20));
    }

    #[test]
    fn errors_say_what_is_wrong_and_what_was_expected() {
        for (text, part) in [
            ("10", "has no unit"),
            ("10 min", "unknown unit"),
            ("10S", "unknown unit"),
            ("-1s", "plain number"),
            ("", "plain number"),
            ("1.s", "plain number"),
            (".5s", "plain number"),
            ("1.2.3s", "plain number"),
            ("0.5ns", "finer"),
            ("300000w", "too large"),
            ("99999999999999999999999999999999999999999s", "too large"),
        ] {
            let error = parse_duration(text).unwrap_err().to_string();
            assert!(error.contains(part) && error.contains("\"10s\""), "{text}: {error}");
        }
        assert!(parse_size("64mib").unwrap_err().to_string().contains("unknown unit"));
        assert!(Percent::parse("101%").unwrap_err().to_string().contains("too large"));
        assert!(Percent::parse("5").unwrap_err().to_string().contains("no unit"));
    }

    proptest! {
        #[test]
        fn every_duration_is_read_back(ns in 0..=i64::MAX.cast_unsigned()) {
            let duration = Duration::from_nanos(ns);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }

        #[test]
        fn round_durations_are_read_back(count in 0u64..10_000, unit in 0..DURATION_UNITS.len()) {
            let duration = Duration::from_nanos(count * DURATION_UNITS[unit].1);
            prop_assert_eq!(parse_duration(&format!("{count}{}", DURATION_UNITS[unit].0)), Ok(duration));
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }

        #[test]
        fn every_size_is_read_back(bytes: u64) {
            prop_assert_eq!(parse_size(&format_size(bytes)), Ok(bytes));
        }

        #[test]
        fn fractions_are_exact(thousandths in 0u64..1_000_000_000) {
            let text = format!("{}.{:03}s", thousandths / 1000, thousandths % 1000);
            prop_assert_eq!(parse_duration(&text), Ok(Duration::from_millis(thousandths)));
        }

        #[test]
        fn any_text_gets_an_answer(text in ".{0,40}") {
            let _ = (parse_duration(&text).is_ok(), parse_size(&text).is_ok(), Percent::parse(&text).is_ok());
        }

        #[test]
        fn any_number_gets_an_answer(number in "[0-9.]{0,45}(ns|w|TiB|%)?") {
            let _ = (parse_duration(&number).is_ok(), parse_size(&number).is_ok(), Percent::parse(&number).is_ok());
        }
    }
}
