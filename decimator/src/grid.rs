//! Grids of bins: where they begin, how wide they are, which width gives how many.

use sample::{TimeRange, WEEK_NS};

const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// 1970-01-05T00:00:00Z, a Monday.
const MONDAY: i64 = 4 * DAY;

/// Where bins begin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Grid {
    /// Bins of one width in ns (at least 1) with a boundary at `origin`.
    Fixed {
        /// Width, ns.
        width: i64,
        /// A boundary, ns since the Unix epoch.
        origin: i64,
    },
    /// Bins between neighbouring boundaries, which rise; nothing lies outside the first and the last.
    Boundaries(Vec<i64>),
}

impl Grid {
    /// Bins of `width` ns: they begin at multiples of it since the Unix epoch, those of whole weeks on Mondays.
    pub fn of_width(width: i64) -> Grid {
        let width = width.max(1);
        Grid::Fixed { width, origin: if width % WEEK_NS == 0 { MONDAY } else { 0 } }
    }

    /// One bin, all of `range`.
    pub fn single(range: TimeRange) -> Grid {
        Grid::Boundaries(vec![range.from.0, range.to.0])
    }

    /// The bin that holds `time`: first instant, first instant behind, held at the ends of the i64 range. `None`
    /// outside all boundaries.
    pub fn bin_at(&self, time: i64) -> Option<(i64, i64)> {
        match self {
            Grid::Fixed { width, origin } => {
                // 64 bits are enough for all but the ends of time.
                let start = time.checked_sub(*origin).map(|behind| behind.rem_euclid(*width));
                if let Some(start) = start.and_then(|behind| time.checked_sub(behind))
                    && let Some(end) = start.checked_add(*width)
                {
                    return Some((start, end));
                }
                let number = (i128::from(time) - i128::from(*origin)).div_euclid(i128::from(*width));
                let start = number * i128::from(*width) + i128::from(*origin);
                Some((clamp(start), clamp(start + i128::from(*width))))
            }
            Grid::Boundaries(boundaries) => {
                let behind = boundaries.partition_point(|b| *b <= time);
                Some((*boundaries.get(behind.checked_sub(1)?)?, *boundaries.get(behind)?))
            }
        }
    }

    /// As [`Grid::bin_at`], quickly where the bin is the one that begins at `end`, the end of another one.
    pub fn bin_behind(&self, end: i64, time: i64) -> Option<(i64, i64)> {
        match self {
            Grid::Fixed { width, .. } if end > i64::MIN => match end.checked_add(*width) {
                Some(next) if (end..next).contains(&time) => Some((end, next)),
                _ => self.bin_at(time),
            },
            _ => self.bin_at(time),
        }
    }

    /// How many bins touch `range`.
    pub fn count(&self, range: TimeRange) -> u64 {
        if range.is_empty() {
            return 0;
        }
        match self {
            Grid::Fixed { width, origin } => {
                let number =
                    |time: i64| (i128::from(time) - i128::from(*origin)).div_euclid(i128::from(*width));
                u64::try_from(number(range.to.0 - 1) - number(range.from.0) + 1).unwrap_or(u64::MAX)
            }
            Grid::Boundaries(boundaries) => {
                let bins = boundaries.windows(2).filter(|b| b[0] < range.to.0 && b[1] > range.from.0);
                bins.count() as u64
            }
        }
    }

    /// The smallest width for which at most `bins` bins touch `range`: 1, 2, 5 × 10^k ns up to 500 ms, then
    /// 1 2 5 10 20 30 s, 1 2 5 10 20 30 min, 1 2 4 6 12 h, 1 2 d, 1 week and its doublings. One bin is the range.
    pub fn for_count(range: TimeRange, bins: u64) -> Grid {
        if bins <= 1 {
            return Grid::single(range);
        }
        let small = (0..9u32).flat_map(|k| [1, 2, 5].map(|n| n * 10i64.pow(k)));
        let rest = [SECOND, MINUTE].into_iter().flat_map(|unit| [1, 2, 5, 10, 20, 30].map(|n| n * unit));
        let hours = [1, 2, 4, 6, 12].map(|n| n * HOUR);
        let weeks = (0..14u32).map(|k| WEEK_NS << k);
        let ladder = small.chain(rest).chain(hours).chain([DAY, 2 * DAY]).chain(weeks);
        // 2^13 weeks are 157 years; two such bins may touch what i64 holds only in parts.
        ladder
            .map(Grid::of_width)
            .find(|grid| grid.count(range) <= bins)
            .unwrap_or_else(|| Grid::single(range))
    }
}

fn clamp(time: i128) -> i64 {
    i64::try_from(time).unwrap_or(if time < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sample::Timestamp;

    fn range(from: i64, to: i64) -> TimeRange {
        TimeRange::new(Timestamp(from), Timestamp(to))
    }

    #[test]
    fn the_smallest_width_that_fits_is_taken() {
        for (from, to, bins, width) in [
            (0, 7 * DAY, 1008, 10 * MINUTE),
            (0, 7 * DAY, 1000, 20 * MINUTE),
            // A range that begins inside a bin touches one more.
            (1, 7 * DAY + 1, 1008, 20 * MINUTE),
            (0, 1000, 1000, 1),
            (0, 365 * DAY, 1000, 12 * HOUR),
            (0, 2, 2, 1),
            (0, DAY, 3, 12 * HOUR),
            (0, 500_000_000, 2, 500_000_000),
            (0, 3650 * DAY, 100, 8 * WEEK_NS),
        ] {
            let grid = Grid::for_count(range(from, to), bins);
            assert!(matches!(grid, Grid::Fixed { width: w, .. } if w == width), "{bins} {grid:?}");
            assert!(grid.count(range(from, to)) <= bins);
        }
        assert_eq!(Grid::for_count(range(3, 9), 1), Grid::Boundaries(vec![3, 9]));
        assert!(Grid::for_count(TimeRange::ALL, 2).count(TimeRange::ALL) <= 2);
    }

    #[test]
    fn the_bin_behind_another_is_the_one_that_holds_the_time() {
        for grid in [Grid::of_width(7), Grid::of_width(WEEK_NS), Grid::Boundaries(vec![-9, 0, 4, 60])] {
            for end in [i64::MIN, i64::MIN + 3, -14, -7, 0, 4, 7, MONDAY, i64::MAX - 2, i64::MAX] {
                // An end is that of a bin, or of none yet.
                let end = grid.bin_at(end).map_or(i64::MIN, |bin| bin.0);
                for time in (-20..20).map(|step| end.saturating_add(step)) {
                    assert_eq!(grid.bin_behind(end, time), grid.bin_at(time), "{grid:?} {end} {time}");
                }
            }
        }
    }

    #[test]
    fn weeks_begin_on_mondays() {
        let grid = Grid::of_width(2 * WEEK_NS);
        let (start, end) = grid.bin_at(1_794_787_200 * SECOND).unwrap();
        assert_eq!((start - MONDAY) % (2 * WEEK_NS), 0);
        assert_eq!(end - start, 2 * WEEK_NS);
        assert_eq!(Grid::of_width(DAY).bin_at(-1), Some((-DAY, 0)));
        assert_eq!(Grid::of_width(DAY).bin_at(i64::MAX).unwrap().1, i64::MAX);
    }

    #[test]
    fn boundaries_end() {
        let grid = Grid::Boundaries(vec![0, 10, 15]);
        assert_eq!(
            [-1, 0, 9, 10, 14, 15].map(|t| grid.bin_at(t)),
            [None, Some((0, 10)), Some((0, 10)), Some((10, 15)), Some((10, 15)), None]
        );
        assert_eq!(grid.count(range(5, 12)), 2);
    }
}
