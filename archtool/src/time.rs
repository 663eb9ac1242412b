//! Times as tables show them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// RFC 3339 with all nine digits, UTC: what CSV holds.
pub(crate) fn iso(ns: i64) -> String {
    match Timestamp::from_nanosecond(i128::from(ns)) {
        Ok(time) => format!("{time:.9}"),
        Err(_) => format!("{ns} ns"),
    }
}

/// For people: in `zone`, without the zeros at the end of the fraction.
pub(crate) fn readable(ns: i64, zone: &TimeZone) -> String {
    let Ok(time) = Timestamp::from_nanosecond(i128::from(ns)) else { return format!("{ns} ns") };
    let digits = match ns.rem_euclid(1_000_000_000) {
        0 => 0,
        rest if rest % 1_000_000 == 0 => 3,
        rest if rest % 1_000 == 0 => 6,
        _ => 9,
    };
    let zoned = time.to_zoned(zone.clone());
    let offset = if *zone == TimeZone::UTC { "Z".to_owned() } else { zoned.strftime("%:z").to_string() };
    let seconds = zoned.strftime("%Y-%m-%d %H:%M:%S");
    match digits {
        0 => format!("{seconds}{offset}"),
        digits => format!("{seconds}.{}{offset}", &format!("{:09}", ns.rem_euclid(1_000_000_000))[..digits]),
    }
}

/// A span in its two largest units.
pub(crate) fn span(ns: i64) -> String {
    const UNITS: [(&str, i64); 4] = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
    let (sign, ns) = if ns < 0 { ("-", ns.unsigned_abs()) } else { ("", ns.unsigned_abs()) };
    if ns < 60_000_000_000 {
        return format!("{sign}{:.3}s", ns as f64 / 1e9);
    }
    let mut seconds = i64::try_from(ns / 1_000_000_000).unwrap_or(i64::MAX);
    let mut parts = Vec::new();
    for (unit, size) in UNITS {
        if seconds >= size || !parts.is_empty() {
            parts.push(format!("{}{unit}", seconds / size));
        }
        seconds %= size;
    }
    parts.truncate(2);
    format!("{sign}{}", parts.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_exactly() {
        assert_eq!(iso(1_767_571_200_000_000_001), "2026-01-05T00:00:00.000000001Z");
        assert_eq!(readable(1_767_571_200_250_000_000, &TimeZone::UTC), "2026-01-05 00:00:00.250Z");
        assert_eq!(readable(-1, &TimeZone::UTC), "1969-12-31 23:59:59.999999999Z");
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        assert_eq!(readable(1_767_571_200_000_000_000, &zone), "2026-01-05 01:00:00+01:00");
        assert!(iso(i64::MIN).starts_with("1677-"));
    }

    #[test]
    fn spans_are_shown_in_two_units() {
        for (seconds, text) in
            [(0.25, "0.250s"), (59.0, "59.000s"), (61.0, "1m 1s"), (3600.0, "1h 0m"), (200_000.0, "2d 7h")]
        {
            assert_eq!(span((seconds * 1e9) as i64), text);
        }
        assert_eq!(span(-90_000_000_000), "-1m 30s");
    }
}
