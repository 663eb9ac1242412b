//! The tree of intervals that every fold goes through, whatever is stored.

/// Widths of the nodes of each level in ns: 10 s, 1 min, 10 min, 1 h, 1 d; each divides the next. Nodes begin at
/// multiples of their width since the Unix epoch.
pub const WIDTHS_NS: [i64; 5] =
    [10_000_000_000, 60_000_000_000, 600_000_000_000, 3_600_000_000_000, 86_400_000_000_000];

/// Levels of the tree; level 0 are the leaves.
pub const LEVELS: usize = WIDTHS_NS.len();

/// Whether a node of `level` begins at `time`.
#[inline]
pub fn begins_at(time: i64, level: usize) -> bool {
    node_at(time, level).0 == time
}

/// The node of `level` that holds `time`: first instant and first instant behind it, held at the ends of the range.
#[inline]
pub fn node_at(time: i64, level: usize) -> (i64, i64) {
    let width = WIDTHS_NS[level];
    // Divisors that are known are multiplied by.
    let number = match level {
        0 => time.div_euclid(WIDTHS_NS[0]),
        1 => time.div_euclid(WIDTHS_NS[1]),
        2 => time.div_euclid(WIDTHS_NS[2]),
        3 => time.div_euclid(WIDTHS_NS[3]),
        _ => time.div_euclid(width),
    };
    (number.saturating_mul(width), (number + 1).saturating_mul(width))
}

/// The greatest level whose node at `time` lies wholly inside `from..to`; `None` where not even the leaf does.
pub fn piece_level(time: i64, from: i64, to: i64) -> Option<usize> {
    let room = to.saturating_sub(from);
    (0..LEVELS).rev().filter(|level| WIDTHS_NS[*level] <= room).find(|level| {
        let (start, end) = node_at(time, *level);
        from <= start && end <= to && end.saturating_sub(start) == WIDTHS_NS[*level]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_nest_and_hold_their_time() {
        for pair in WIDTHS_NS.windows(2) {
            assert_eq!(pair[1] % pair[0], 0);
        }
        for time in [i64::MIN, -1, 0, 1, 9_999_999_999, 10_000_000_000, i64::MAX - 1] {
            for (level, width) in WIDTHS_NS.into_iter().enumerate() {
                let (start, end) = node_at(time, level);
                assert!(start <= time && time < end, "{time} {level}");
                let width = i128::from(width);
                let exact = i128::from(time).div_euclid(width) * width;
                assert_eq!(i128::from(start), exact.max(i128::from(i64::MIN)));
            }
        }
    }

    #[test]
    fn a_piece_is_the_largest_node_inside() {
        let hour = WIDTHS_NS[3];
        assert_eq!(piece_level(0, 0, hour), Some(3));
        assert_eq!(piece_level(0, 0, hour - 1), Some(2));
        assert_eq!(piece_level(0, 1, hour), None);
        assert_eq!(piece_level(WIDTHS_NS[0], 1, hour), Some(0));
        assert_eq!(piece_level(i64::MIN, i64::MIN, i64::MAX), None);
    }
}
