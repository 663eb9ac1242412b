//! Times as people and programs write them.

use jiff::civil;
use jiff::tz::{AmbiguousOffset, TimeZone};
use sample::Timestamp;
use std::fmt;

/// What relative and local times refer to.
#[derive(Clone, Debug)]
pub struct TimeContext {
    /// The one `now` of a request.
    pub now: Timestamp,
    /// The zone of `tz=`, if given.
    pub zone: Option<TimeZone>,
}

/// Why a text is not a time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TimeError {
    /// Nothing there.
    Empty,
    /// A bare integer: seconds, milliseconds, nanoseconds?
    Integer,
    /// Neither form.
    Syntax(String),
    /// A date or time of day that the calendar does not have.
    Calendar(String),
    /// A local time, but no `tz=`.
    NoZone(String),
    /// A local time that a clock change skips in that zone.
    Skipped(String),
    /// Outside what 64-bit nanoseconds since 1970 can say.
    Range(String),
}

impl fmt::Display for TimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TimeError::Empty => write!(f, "is empty"),
            TimeError::Integer => write!(
                f,
                "is a bare integer; nanoseconds since 1970 go into the parameter that ends in _ns, \
                 relative times need a sign and a unit, as in -30m"
            ),
            TimeError::Syntax(text) => write!(
                f,
                "{text:?} is no time; expected RFC 3339 like 2026-11-20T08:00:00Z, now, \
                 or [now]±N with ns us ms s m h d w, like -1h"
            ),
            TimeError::Calendar(text) => {
                write!(f, "{text:?} names a date or time of day that does not exist")
            }
            TimeError::NoZone(text) => {
                write!(
                    f,
                    "{text:?} has no zone: append Z or an offset like +01:00, or add tz=, like tz=Europe/London"
                )
            }
            TimeError::Skipped(text) => {
                write!(f, "{text:?} does not exist in that zone: the clock was put forward over it")
            }
            TimeError::Range(text) => write!(f, "{text:?} lies outside the years 1677 to 2262"),
        }
    }
}

impl std::error::Error for TimeError {}

/// Reads any accepted form. A blank where only a sign can stand is `+`.
pub fn parse(text: &str, context: &TimeContext) -> Result<Timestamp, TimeError> {
    let body = text.trim();
    if body.is_empty() {
        return Err(TimeError::Empty);
    }
    if body == "now" {
        return Ok(context.now);
    }
    if body.bytes().all(|b| b.is_ascii_digit()) {
        return Err(TimeError::Integer);
    }
    let blank_before = text.starts_with(' ');
    if let Some(ns) = relative(body, blank_before)? {
        let time = i128::from(context.now.0).saturating_add(ns);
        return i64::try_from(time).map(Timestamp).map_err(|_| TimeError::Range(body.into()));
    }
    absolute(body, context)
}

/// Nanoseconds from now if `body` is a relative form.
fn relative(body: &str, blank_before: bool) -> Result<Option<i128>, TimeError> {
    let (rest, after_now) = match body.strip_prefix("now") {
        Some(rest) => (rest, true),
        None => (body, false),
    };
    let (sign, amount) = match rest.trim_start().split_at_checked(1) {
        Some(("+", amount)) => (1, amount),
        Some(("-", amount)) => (-1, amount),
        _ if after_now && rest.starts_with(' ') => (1, rest),
        _ if after_now => return Err(TimeError::Syntax(body.into())),
        _ if blank_before && !rest.contains(['-', ':']) => (1, rest),
        _ => return Ok(None),
    };
    let amount = amount.trim_start();
    let digits = amount.len() - amount.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = amount.split_at(digits);
    let unit_ns: i128 = match unit.trim_start() {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        "w" => 604_800_000_000_000,
        _ => return Err(TimeError::Syntax(body.into())),
    };
    if number.is_empty() {
        return Err(TimeError::Syntax(body.into()));
    }
    let number: i64 = number.parse().map_err(|_| TimeError::Range(body.into()))?;
    Ok(Some(sign * i128::from(number) * unit_ns))
}

/// A cursor over the bytes of one absolute time.
struct Scanner<'a>(&'a str);

impl Scanner<'_> {
    /// Takes exactly `count` digits.
    fn digits(&mut self, count: usize) -> Option<i16> {
        let (head, rest) = self.0.split_at_checked(count)?;
        if !head.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        self.0 = rest;
        head.parse().ok()
    }

    /// Takes one of `chars` if it comes next.
    fn one_of(&mut self, chars: &[char]) -> Option<char> {
        let c = self.0.chars().next().filter(|c| chars.contains(c))?;
        self.0 = &self.0[c.len_utf8()..];
        Some(c)
    }

    /// Takes a fraction's digits behind the point: nanoseconds, more than nine digits cut off.
    fn fraction(&mut self) -> Option<i32> {
        let digits = self.0.len() - self.0.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (fraction, rest) = self.0.split_at(digits);
        self.0 = rest;
        if fraction.is_empty() {
            return None;
        }
        let nine: String = fraction.chars().chain("000000000".chars()).take(9).collect();
        nine.parse().ok()
    }
}

/// Date and time of day as written.
struct Written {
    date: civil::Date,
    /// Hour, minute, second (60 is a leap second), nanosecond; `None` for a date alone.
    time: Option<(i16, i16, i16, i32)>,
    /// Offset in seconds east of Greenwich.
    offset: Option<i64>,
}

/// Splits `body`; `today` and `yesterday` need the zone.
fn read(body: &str, context: &TimeContext) -> Result<Written, TimeError> {
    let syntax = || TimeError::Syntax(body.into());
    let mut scan = Scanner(body);
    let mut word = false;
    let date = if let Some((days, rest)) =
        [(0, "today"), (1, "yesterday")].iter().find_map(|(d, w)| body.strip_prefix(w).map(|rest| (*d, rest)))
    {
        let zone = context.zone.as_ref().ok_or_else(|| TimeError::NoZone(body.into()))?;
        let now = jiff::Timestamp::from_nanosecond(i128::from(context.now.0))
            .map_err(|_| TimeError::Range(body.into()))?;
        scan.0 = rest;
        word = true;
        let today = now.to_zoned(zone.clone()).date();
        today.checked_sub(jiff::Span::new().days(days)).map_err(|_| TimeError::Range(body.into()))?
    } else {
        let year = scan.digits(4).ok_or_else(syntax)?;
        scan.one_of(&['-']).ok_or_else(syntax)?;
        let month = scan.digits(2).ok_or_else(syntax)?;
        scan.one_of(&['-']).ok_or_else(syntax)?;
        let day = scan.digits(2).ok_or_else(syntax)?;
        let (month, day) = (i8::try_from(month).unwrap_or(0), i8::try_from(day).unwrap_or(0));
        civil::Date::new(year, month, day).map_err(|_| TimeError::Calendar(body.into()))?
    };
    if scan.0.is_empty() {
        return Ok(Written { date, time: None, offset: None });
    }
    scan.one_of(&['T', 't', ' ']).ok_or_else(syntax)?;
    let hour = scan.digits(2).ok_or_else(syntax)?;
    scan.one_of(&[':']).ok_or_else(syntax)?;
    let minute = scan.digits(2).ok_or_else(syntax)?;
    let second = match scan.one_of(&[':']) {
        Some(_) => scan.digits(2).ok_or_else(syntax)?,
        None => 0,
    };
    let nanosecond = match scan.one_of(&['.']) {
        Some(_) => scan.fraction().ok_or_else(syntax)?,
        None => 0,
    };
    if hour > 23 || minute > 59 || second > 60 {
        return Err(TimeError::Calendar(body.into()));
    }
    let offset = match scan.one_of(&['Z', 'z', '+', '-', ' ']) {
        None => None,
        Some('Z' | 'z') => Some(0),
        Some(sign) => {
            let hours = scan.digits(2).filter(|h| *h < 24).ok_or_else(syntax)?;
            scan.one_of(&[':']).ok_or_else(syntax)?;
            let minutes = scan.digits(2).filter(|m| *m < 60).ok_or_else(syntax)?;
            let seconds = i64::from(hours) * 3600 + i64::from(minutes) * 60;
            Some(if sign == '-' { -seconds } else { seconds })
        }
    };
    if !scan.0.is_empty() || (word && offset.is_some()) {
        return Err(syntax());
    }
    Ok(Written { date, time: Some((hour, minute, second, nanosecond)), offset })
}

fn absolute(body: &str, context: &TimeContext) -> Result<Timestamp, TimeError> {
    let range = || TimeError::Range(body.into());
    let written = read(body, context)?;
    let (hour, minute, second, nanosecond) = written.time.unwrap_or((0, 0, 0, 0));
    // POSIX time counts second 60 as second 0 of the next minute.
    let leap = i64::from(second / 60);
    let narrow = |n: i16| i8::try_from(n).unwrap_or(0);
    let time = civil::Time::new(narrow(hour), narrow(minute), narrow(second % 60), nanosecond)
        .map_err(|_| TimeError::Calendar(body.into()))?;
    let local = written.date.to_datetime(time);
    let (at, offset_s) = match (written.offset, &context.zone) {
        (Some(offset), _) => (local.to_zoned(TimeZone::UTC).map_err(|_| range())?, offset),
        (None, None) => return Err(TimeError::NoZone(body.into())),
        (None, Some(zone)) => {
            let ambiguous = zone.to_ambiguous_zoned(local);
            if written.time.is_some() && matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. }) {
                return Err(TimeError::Skipped(body.into()));
            }
            // The first of two; where a day does not begin at midnight, its first instant.
            (ambiguous.compatible().map_err(|_| range())?, 0)
        }
    };
    let second_ns = 1_000_000_000;
    let moved = i128::from(leap * 60 - offset_s);
    let ns = at.timestamp().as_nanosecond() + moved * second_ns;
    i64::try_from(ns).map(Timestamp).map_err(|_| range())
}

/// Writes RFC 3339 times with nine digits and `Z`; keeps the last date, for most times share it.
#[derive(Debug, Default)]
pub struct IsoWriter {
    day: Option<i64>,
    date: String,
}

impl IsoWriter {
    /// Appends `time_ns` to `out`.
    pub fn write(&mut self, out: &mut Vec<u8>, time_ns: i64) {
        const DAY_NS: i64 = 86_400_000_000_000;
        let day = time_ns.div_euclid(DAY_NS);
        if self.day != Some(day) {
            self.day = Some(day);
            self.date = jiff::Timestamp::from_second(day * 86_400)
                .map(|midnight| midnight.to_zoned(TimeZone::UTC).date().to_string())
                .unwrap_or_default();
        }
        let ns = time_ns.rem_euclid(DAY_NS);
        let seconds = ns / 1_000_000_000;
        out.extend_from_slice(self.date.as_bytes());
        for (mark, number, digits) in [
            (b'T', seconds / 3600, 2u32),
            (b':', seconds / 60 % 60, 2),
            (b':', seconds % 60, 2),
            (b'.', ns % 1_000_000_000, 9),
        ] {
            out.push(mark);
            for place in (0..digits).rev() {
                let digit = number / 10_i64.pow(place) % 10;
                out.push(b'0' + u8::try_from(digit).unwrap_or(0));
            }
        }
        out.push(b'Z');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_123_456_789);

    fn context(zone: Option<&str>) -> TimeContext {
        TimeContext { now: NOW, zone: zone.map(|name| TimeZone::get(name).unwrap()) }
    }

    fn check(text: &str, zone: Option<&str>, expected: &str) {
        let time = parse(text, &context(zone)).unwrap_or_else(|error| panic!("{text:?} {error}"));
        let mut out = Vec::new();
        IsoWriter::default().write(&mut out, time.0);
        assert_eq!(std::str::from_utf8(&out).unwrap(), expected, "{text:?}");
    }

    #[test]
    fn every_form_is_understood() {
        for (text, expected) in [
            ("2026-11-20T08:00:00Z", "2026-11-20T08:00:00.000000000Z"),
            ("2026-11-20 08:00:00z", "2026-11-20T08:00:00.000000000Z"),
            ("2026-11-20T08:00:00.1234567899Z", "2026-11-20T08:00:00.123456789Z"),
            ("2026-11-20T08:00:00.5+01:30", "2026-11-20T06:30:00.500000000Z"),
            ("2026-11-20T08:00:00 01:30", "2026-11-20T06:30:00.000000000Z"),
            ("2026-11-20 08:00:00 01:30", "2026-11-20T06:30:00.000000000Z"),
            ("2026-11-20T08:00:00-00:30", "2026-11-20T08:30:00.000000000Z"),
            ("1960-02-29T23:59:59.999999999Z", "1960-02-29T23:59:59.999999999Z"),
            ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000000000Z"),
            ("now", "2023-11-14T22:13:20.123456789Z"),
            ("-1h", "2023-11-14T21:13:20.123456789Z"),
            ("+1h", "2023-11-14T23:13:20.123456789Z"),
            (" 1h", "2023-11-14T23:13:20.123456789Z"),
            ("now-30m", "2023-11-14T21:43:20.123456789Z"),
            ("now 30m", "2023-11-14T22:43:20.123456789Z"),
            ("now - 2 w", "2023-10-31T22:13:20.123456789Z"),
            ("-1d", "2023-11-13T22:13:20.123456789Z"),
            ("-23s", "2023-11-14T22:12:57.123456789Z"),
            ("-456us", "2023-11-14T22:13:20.123000789Z"),
            ("-123ms", "2023-11-14T22:13:20.000456789Z"),
            ("-789ns", "2023-11-14T22:13:20.123456000Z"),
        ] {
            check(text, None, expected);
        }
    }

    #[test]
    fn a_zone_makes_local_times() {
        let london = Some("Europe/London");
        for (text, expected) in [
            ("2026-07-01 08:00", "2026-07-01T07:00:00.000000000Z"),
            ("2026-07-01T08:00:00.5", "2026-07-01T07:00:00.500000000Z"),
            ("2026-07-01", "2026-06-30T23:00:00.000000000Z"),
            ("today", "2023-11-14T00:00:00.000000000Z"),
            ("yesterday 08:00", "2023-11-13T08:00:00.000000000Z"),
            // Twice that night; the first is still summer time.
            ("2026-10-25 01:30", "2026-10-25T00:30:00.000000000Z"),
            ("2026-07-01T08:00:00Z", "2026-07-01T08:00:00.000000000Z"),
            ("-1h", "2023-11-14T21:13:20.123456789Z"),
        ] {
            check(text, london, expected);
        }
        check("today", Some("Pacific/Auckland"), "2023-11-14T11:00:00.000000000Z");
        let skipped = parse("2026-03-29 01:30", &context(london));
        assert!(matches!(skipped, Err(TimeError::Skipped(_))), "{skipped:?}");
    }

    #[test]
    fn what_is_no_time_says_why() {
        let error = |text: &str| parse(text, &context(None)).unwrap_err();
        for text in ["1700000000", "0", " 5"] {
            assert_eq!(error(text), TimeError::Integer, "{text}");
        }
        for text in ["", "  "] {
            assert_eq!(error(text), TimeError::Empty);
        }
        for text in [
            "-",
            "+",
            "-h",
            "-5",
            "+5",
            "1h",
            "-1y",
            "-1.5h",
            "nowx",
            "now5m",
            "now-",
            "2026-11",
            "2026-11-20T",
            "2026-11-20T08",
            "2026-11-20T08:00:00.Z",
            "2026-11-20T08:00:00+0100",
            "20:00",
            "2026-11-20T08:00:00+24:00",
            "2026-11-20T08:00:00ZZ",
            "é",
            "2026-11-2é",
            "tomorrow",
        ] {
            assert!(matches!(error(text), TimeError::Syntax(_)), "{text} {:?}", error(text));
        }
        for text in ["2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z"] {
            assert!(matches!(error(text), TimeError::Calendar(_)), "{text}");
        }
        for text in ["2026-11-20T08:00:00", "2026-11-20", "today", "yesterday 08:00"] {
            assert!(error(text).to_string().contains("tz="), "{text}");
        }
        let far = ["1600-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "-99999999w", "-99999999999999999999s"];
        for text in far {
            assert!(matches!(error(text), TimeError::Range(_)), "{text}");
        }
        assert!(parse("today 08:00Z", &context(Some("UTC"))).is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(ns in any::<i64>(), offset in -1439i64..=1439) {
            let mut out = Vec::new();
            let mut writer = IsoWriter::default();
            writer.write(&mut out, NOW.0);
            out.clear();
            writer.write(&mut out, ns);
            let text = std::str::from_utf8(&out).unwrap();
            prop_assert_eq!(parse(text, &context(None)), Ok(Timestamp(ns)));
            let jiff: jiff::Timestamp = text.parse().unwrap();
            prop_assert_eq!(jiff.as_nanosecond(), i128::from(ns));
            // The same instant under another offset, whose sign a query string turns into a blank.
            let local = jiff::Timestamp::from_nanosecond(i128::from(ns) + i128::from(offset) * 60_000_000_000);
            let local = local.unwrap().to_zoned(TimeZone::UTC).datetime();
            let sign = if offset < 0 { '-' } else { ' ' };
            let offset = offset.abs();
            let text = format!("{local}{sign}{:02}:{:02}", offset / 60, offset % 60);
            prop_assert_eq!(parse(&text, &context(None)), Ok(Timestamp(ns)));
        }

        #[test]
        fn relative_times_move_now(n in 0i64..1_000_000, unit in 0usize..8, minus: bool, now: bool) {
            let (name, ns) = [
                ("ns", 1), ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000),
                ("h", 3_600_000_000_000), ("d", 86_400_000_000_000), ("w", 604_800_000_000_000_i64),
            ][unit];
            let text = format!("{}{}{n}{name}", if now { "now" } else { "" }, if minus { '-' } else { '+' });
            let moved = i128::from(NOW.0) + i128::from(n) * i128::from(ns) * if minus { -1 } else { 1 };
            match i64::try_from(moved) {
                Ok(moved) => prop_assert_eq!(parse(&text, &context(None)), Ok(Timestamp(moved))),
                Err(_) => prop_assert_eq!(parse(&text, &context(None)), Err(TimeError::Range(text.clone()))),
            }
        }

        #[test]
        fn no_text_panics(text in "[-+0-9a-zTZ:. ]{0,24}|.{0,12}") {
            let _ = parse(&text, &context(Some("Europe/London")));
        }
    }
}
