//! Widths of bins as people write them, and local calendars as grids.

use decimator::grid::Grid;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, ToSpan as _};
use sample::TimeRange;

/// Width of bins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Width {
    /// Nanoseconds, at least 1.
    Fixed(i64),
    /// A day: that of the zone where there is one.
    Day,
    /// A week from Monday on: likewise.
    Week,
    /// A calendar month.
    Month,
    /// A calendar year.
    Year,
}

const DAY_NS: i64 = 86_400_000_000_000;

/// Reads a duration: `N unit` with ns us ms s m h d w. At least 1 ns.
pub(crate) fn duration(text: &str) -> Option<i64> {
    let (number, unit) = split(text)?;
    let unit_ns = match unit {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => DAY_NS,
        "w" => 7 * DAY_NS,
        _ => return None,
    };
    number.checked_mul(unit_ns)
}

fn split(text: &str) -> Option<(i64, &str)> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    number.parse().ok().filter(|number| *number > 0).map(|number| (number, unit.trim()))
}

impl Width {
    /// Reads a width: a duration, `1mo` or `1y`.
    pub(crate) fn parse(text: &str) -> Option<Width> {
        match split(text)? {
            (1, "d") => Some(Width::Day),
            (1, "w") => Some(Width::Week),
            (1, "mo") => Some(Width::Month),
            (1, "y") => Some(Width::Year),
            _ => duration(text).map(Width::Fixed),
        }
    }

    /// The grid of this width over `range`, in `zone` or UTC.
    pub(crate) fn grid(self, range: TimeRange, zone: Option<&TimeZone>) -> Grid {
        match (self, zone) {
            (Width::Fixed(ns), _) => Grid::of_width(ns),
            (Width::Day, None) => Grid::of_width(DAY_NS),
            (Width::Week, None) => Grid::of_width(7 * DAY_NS),
            (calendar, zone) => {
                let zone = zone.cloned().unwrap_or(TimeZone::UTC);
                calendar.boundaries(range, &zone).map_or_else(|| Grid::single(range), Grid::Boundaries)
            }
        }
    }

    fn step(self) -> Span {
        match self {
            Width::Fixed(_) | Width::Day => 1.day(),
            Width::Week => 1.week(),
            Width::Month => 1.month(),
            Width::Year => 1.year(),
        }
    }

    /// First instants of the days, weeks, months or years that touch `range`, and of the one behind. Where a day does
    /// not begin at midnight, its first instant.
    fn boundaries(self, range: TimeRange, zone: &TimeZone) -> Option<Vec<i64>> {
        let first = jiff::Timestamp::from_nanosecond(range.from.0.into()).ok()?;
        let date = first.to_zoned(zone.clone()).date();
        let mut date = match self {
            Width::Fixed(_) | Width::Day => date,
            Width::Week => date.checked_sub(i64::from(date.weekday().to_monday_zero_offset()).days()).ok()?,
            Width::Month => date.first_of_month(),
            Width::Year => date.first_of_year(),
        };
        let mut boundaries = Vec::new();
        loop {
            let start = first_instant(date, zone)?;
            boundaries.push(start);
            if start >= range.to.0 && boundaries.len() > 1 {
                return Some(boundaries);
            }
            date = date.checked_add(self.step()).ok()?;
        }
    }
}

/// The first instant of a local day, held at the ends of what nanoseconds since 1970 can say.
fn first_instant(date: Date, zone: &TimeZone) -> Option<i64> {
    let start = date.to_zoned(zone.clone()).ok()?.timestamp().as_nanosecond();
    Some(i64::try_from(start).unwrap_or(if start < 0 { i64::MIN } else { i64::MAX }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sample::Timestamp;

    fn range(from: &str, to: &str) -> TimeRange {
        let ns = |text: &str| {
            let time: jiff::Timestamp = text.parse().unwrap();
            Timestamp(i64::try_from(time.as_nanosecond()).unwrap())
        };
        TimeRange::new(ns(from), ns(to))
    }

    fn boundaries(width: &str, span: TimeRange, zone: &str) -> Vec<String> {
        let zone = TimeZone::get(zone).unwrap();
        let Grid::Boundaries(all) = Width::parse(width).unwrap().grid(span, Some(&zone)) else { panic!() };
        let text = |ns: &i64| jiff::Timestamp::from_nanosecond((*ns).into()).unwrap().to_string();
        all.iter().map(text).collect()
    }

    #[test]
    fn widths_are_read() {
        for (text, width) in [
            ("60s", Some(Width::Fixed(60_000_000_000))),
            ("5 ms", Some(Width::Fixed(5_000_000))),
            ("1d", Some(Width::Day)),
            ("2d", Some(Width::Fixed(2 * DAY_NS))),
            ("1w", Some(Width::Week)),
            ("1mo", Some(Width::Month)),
            ("1y", Some(Width::Year)),
            ("2mo", None),
            ("0s", None),
            ("-1s", None),
            ("10", None),
            ("", None),
            ("s", None),
            ("99999999999w", None),
        ] {
            assert_eq!(Width::parse(text), width, "{text}");
        }
    }

    #[test]
    fn local_days_have_23_and_25_hours() {
        let spring = boundaries("1d", range("2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z"), "Europe/London");
        let expected =
            ["2026-03-28T00:00:00Z", "2026-03-29T00:00:00Z", "2026-03-29T23:00:00Z", "2026-03-30T23:00:00Z"];
        assert_eq!(spring, expected);
        let autumn = boundaries("1d", range("2026-10-24T23:30:00Z", "2026-10-25T23:59:00Z"), "Europe/London");
        assert_eq!(autumn, ["2026-10-24T23:00:00Z", "2026-10-26T00:00:00Z"]);
    }

    #[test]
    fn weeks_begin_on_mondays_and_months_on_firsts() {
        let span = range("2026-10-22T00:00:00Z", "2026-11-01T00:30:00Z");
        let weeks = ["2026-10-18T22:00:00Z", "2026-10-25T23:00:00Z", "2026-11-01T23:00:00Z"];
        assert_eq!(boundaries("1w", span, "Europe/Berlin"), weeks);
        let months = ["2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z", "2026-11-30T23:00:00Z"];
        assert_eq!(boundaries("1mo", span, "Europe/Berlin"), months);
        let years = ["2025-12-31T23:00:00Z", "2026-12-31T23:00:00Z"];
        assert_eq!(boundaries("1y", span, "Europe/Berlin"), years);
    }

    #[test]
    fn any_range_has_a_grid() {
        for width in ["1d", "1w", "1mo", "1y"] {
            let zone = TimeZone::get("Pacific/Kiritimati").unwrap();
            let grid = Width::parse(width).unwrap().grid(TimeRange::ALL, Some(&zone));
            for time in [i64::MIN, 0, i64::MAX - 1] {
                let (start, end) = grid.bin_at(time).unwrap();
                assert!(start <= time && time < end);
            }
        }
    }
}
