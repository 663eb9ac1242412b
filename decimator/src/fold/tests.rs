//! Bins against sums in exact integers, and the same bits however samples arrive.

use super::{Fold, Folding, Samples};
use crate::bins::{Bin, Empty};
use crate::coverage::{Coverage, Interval, State};
use crate::grid::Grid;
use crate::holds::Holds;
use crate::node::Held;
use crate::tree::{WIDTHS_NS, node_at};
use proptest::prelude::*;
use sample::{TimeRange, Timestamp};

const SECOND: i64 = 1_000_000_000;

/// A sample as the tests make it: its number is `thousandths / 1024`, exact in a double and in an integer.
#[derive(Clone, Copy, Debug)]
struct Row {
    time: i64,
    thousandths: i64,
    severity: u8,
}

fn number(row: &Row) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
    let whole = row.thousandths as f64;
    whole / 1024.0
}

fn range(from: i64, to: i64) -> TimeRange {
    TimeRange::new(Timestamp(from), Timestamp(to))
}

fn folding(span: TimeRange, grid: Grid) -> Folding {
    let (exclude_invalid, empty, held) = (false, Empty::All, Held::Nothing);
    Folding { range: span, grid, holds: Holds::default(), exclude_invalid, empty, held }
}

/// The bins of `rows`, handed over in blocks of the lengths that `cuts` gives.
fn bins_of(folding: &Folding, rows: &[Row], cuts: &[usize]) -> Vec<Bin> {
    let mut out = Vec::new();
    let mut fold = Fold::new(folding);
    let mut sink = |bin: &Bin| out.push(*bin);
    let mut rest = rows;
    let mut cuts = cuts.iter().cycle();
    while !rest.is_empty() {
        let (block, behind) = rest.split_at((*cuts.next().unwrap()).clamp(1, rest.len()));
        fold.samples(
            Samples {
                times: &block.iter().map(|r| r.time).collect::<Vec<_>>(),
                numbers: Some(&block.iter().map(number).collect::<Vec<_>>()),
                severities: &block.iter().map(|r| r.severity).collect::<Vec<_>>(),
            },
            &mut sink,
        );
        rest = behind;
    }
    fold.finish(&mut sink);
    out
}

/// Every bit of a bin.
fn bits(bin: &Bin) -> String {
    let moments = bin.moments().map(|m| {
        [
            m.min.to_bits(),
            m.max.to_bits(),
            m.mean.to_bits(),
            m.m2.to_bits(),
            m.min_time as u64,
            m.max_time as u64,
        ]
    });
    let integral = bin.integral();
    let twmean = bin.time_weighted_mean().map(f64::to_bits);
    format!(
        "{:?} {moments:?} {} {integral:?} {twmean:?} {:?}",
        (bin.start, bin.end),
        integral.sum.to_bits(),
        bin.ends()
    )
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    // Steps from nothing to half a day, so that every level has full and empty nodes.
    let step = prop_oneof![
        4 => 0i64..2 * SECOND,
        3 => 0i64..90 * SECOND,
        1 => 0i64..40_000 * SECOND,
        1 => Just(0i64),
    ];
    let row = (step, -1_000_000_000i64..1_000_000_000, prop_oneof![9 => Just(0u8), 1 => 1u8..4]);
    // Some lie where leaves begin, as those of a clock that ticks do.
    let grain = prop_oneof![2 => Just(1), 1 => Just(10 * SECOND)];
    (-100_000 * SECOND..100_000 * SECOND, proptest::collection::vec(row, 0..600), grain).prop_map(
        |(start, steps, grain)| {
            let mut time = start;
            let to_row = |(step, thousandths, severity)| {
                time += step;
                Row { time: time - time.rem_euclid(grain), thousandths, severity }
            };
            steps.into_iter().map(to_row).collect()
        },
    )
}

fn span_of(rows: &[Row]) -> TimeRange {
    range(rows.first().map_or(0, |r| r.time), rows.last().map_or(10 * SECOND, |r| r.time + 1))
}

fn grids() -> impl Strategy<Value = Grid> {
    let widths = vec![
        7 * SECOND,
        10 * SECOND,
        20 * SECOND,
        61 * SECOND,
        600 * SECOND,
        1200 * SECOND,
        3600 * SECOND,
        86_400 * SECOND,
        100_000 * SECOND,
    ];
    prop_oneof![
        proptest::sample::select(widths).prop_map(Grid::of_width),
        (3 * SECOND..100_000 * SECOND).prop_map(Grid::of_width),
    ]
}

fn breaks() -> impl Strategy<Value = Holds> {
    proptest::collection::vec((0i64..40_000 * SECOND, 1i64..5000 * SECOND), 0..6).prop_map(|pairs| {
        let mut at = -100_000 * SECOND;
        let mut coverage = Coverage::default();
        for (gap, length) in pairs {
            let held = at + gap + 1;
            coverage.intervals.push(Interval { range: range(at, held), state: State::Held });
            coverage
                .intervals
                .push(Interval { range: range(held, held + length), state: State::Disconnected });
            at = held + length;
        }
        Holds::of(&coverage)
    })
}

/// Sum of squared deviations times the number, in exact integers.
fn exact(rows: &[Row]) -> (i128, i128) {
    let sum: i128 = rows.iter().map(|r| i128::from(r.thousandths)).sum();
    let squares: i128 = rows.iter().map(|r| i128::from(r.thousandths) * i128::from(r.thousandths)).sum();
    (sum, squares * rows.len() as i128 - sum * sum)
}

#[expect(clippy::cast_precision_loss, reason = "the tolerance is far above")]
fn near(found: f64, numerator: i128, denominator: f64, scale: f64) -> bool {
    let expected = numerator as f64 / denominator;
    (found - expected).abs() <= 1e-11 * expected.abs() + 1e-11 * scale
}

proptest! {
    #[test]
    fn bits_do_not_depend_on_blocks(
        rows in rows(), grid in grids(), holds in breaks(), cuts in proptest::collection::vec(1usize..200, 1..5)
    ) {
        let folding = Folding { holds, ..folding(span_of(&rows), grid) };
        let whole: Vec<String> = bins_of(&folding, &rows, &[usize::MAX]).iter().map(bits).collect();
        let pieces: Vec<String> = bins_of(&folding, &rows, &cuts).iter().map(bits).collect();
        prop_assert_eq!(whole, pieces);
    }

    #[test]
    fn bits_do_not_depend_on_nodes_made_before(rows in rows(), grid in grids(), level in 0usize..5, holds in breaks()) {
        let span = span_of(&rows);
        let folding = Folding { holds, ..folding(span, grid) };
        let expected: Vec<String> = bins_of(&folding, &rows, &[usize::MAX]).iter().map(bits).collect();
        let mut found = Vec::new();
        let mut fold = Fold::new(&folding);
        let mut sink = |bin: &Bin| found.push(bits(bin));
        let mut rest = &rows[..];
        while let Some(first) = rest.first() {
            let (start, end) = node_at(first.time, level);
            let inside = rest.partition_point(|r| r.time < end);
            let (part, behind) = rest.split_at(inside);
            let bin = folding.grid.bin_at(first.time).unwrap();
            let whole = bin.0 <= start && end <= bin.1 && span.from.0 <= start && end <= span.to.0;
            if whole && folding.holds.unbroken(first.time, end) {
                let alone = self::folding(range(start, end), Grid::of_width(WIDTHS_NS[level]));
                let node = bins_of(&alone, part, &[usize::MAX])[0].node.unwrap();
                fold.nodes(level, &[node], &mut sink);
            } else {
                fold.samples(Samples {
                    times: &part.iter().map(|r| r.time).collect::<Vec<_>>(),
                    numbers: Some(&part.iter().map(number).collect::<Vec<_>>()),
                    severities: &part.iter().map(|r| r.severity).collect::<Vec<_>>(),
                }, &mut sink);
            }
            rest = behind;
        }
        fold.finish(&mut sink);
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn bins_tell_the_truth(
        rows in rows(), grid in grids(), exclude_invalid: bool, holds in breaks(), before in proptest::option::of(-1000i64..1000)
    ) {
        let span = range(span_of(&rows).from.0 - 100 * SECOND, span_of(&rows).to.0 + 7 * SECOND);
        let held = before.map_or(Held::Nothing, |n| Held::Number(number(&Row { time: 0, thousandths: n, severity: 0 })));
        let folding = Folding { holds: holds.clone(), exclude_invalid, held, ..folding(span, grid.clone()) };
        let bins = bins_of(&folding, &rows, &[97]);
        prop_assert_eq!(bins.len() as u64, grid.count(span));
        // What is held from when on, in thousandths.
        let mut steps = vec![(span.from.0, before)];
        steps.extend(rows.iter().map(|r| {
            (r.time, (!(exclude_invalid && r.severity == 3)).then_some(r.thousandths))
        }));
        let mut at = span.from.0;
        for bin in bins {
            prop_assert_eq!(bin.start.max(span.from.0), at);
            at = bin.end.min(span.to.0);
            let (from, to) = (bin.start.max(span.from.0), at);
            let inside: Vec<Row> = rows
                .iter()
                .filter(|r| from <= r.time && r.time < to && !(exclude_invalid && r.severity == 3))
                .copied()
                .collect();
            prop_assert_eq!(bin.count(), inside.len() as i64);
            let (mut covered, mut integral, mut size) = (0i64, 0i128, 0f64);
            for (k, (begin, value)) in steps.iter().enumerate() {
                let end = steps.get(k + 1).map_or(i64::MAX, |s| s.0).min(to);
                let Some(value) = value else { continue };
                if *begin.max(&from) < end {
                    let ns = holds.held_ns(*begin.max(&from), end);
                    covered += ns;
                    integral += i128::from(*value) * i128::from(ns);
                    size += (*value as f64 * ns as f64).abs();
                }
            }
            prop_assert_eq!(bin.integral().covered_ns, covered);
            prop_assert!(near(bin.integral().sum, integral, 1024.0, size / 1024.0));
            prop_assert_eq!(bin.moments().is_some(), !inside.is_empty());
            let (Some(m), Some(ends)) = (bin.moments(), bin.ends()) else { continue };
            let n = inside.len() as f64;
            let (sum, squares) = exact(&inside);
            let largest = inside.iter().map(|r| number(r).abs()).fold(0.0, f64::max);
            prop_assert!(near(m.mean, sum, n * 1024.0, largest));
            prop_assert!(near(m.m2, squares, n * 1024.0 * 1024.0, largest * largest));
            let least = inside.iter().min_by_key(|r| (r.thousandths, r.time)).unwrap();
            let greatest = inside.iter().max_by_key(|r| (r.thousandths, std::cmp::Reverse(r.time))).unwrap();
            prop_assert_eq!((m.min, m.min_time), (number(least), least.time));
            prop_assert_eq!((m.max, m.max_time), (number(greatest), greatest.time));
            let (first, last) = (inside.first().unwrap(), inside.last().unwrap());
            prop_assert_eq!((ends.first_time, ends.first), (first.time, Some(number(first))));
            prop_assert_eq!((ends.last_time, ends.last), (last.time, Some(number(last))));
            let node = bin.node.unwrap();
            prop_assert_eq!(node.worst, inside.iter().map(|r| r.severity).max().unwrap());
            prop_assert_eq!(node.invalid, inside.iter().filter(|r| r.severity == 3).count() as i64);
        }
        prop_assert_eq!(at, span.to.0);
    }
}

#[test]
fn a_leaf_of_many_samples_does_not_depend_on_blocks() {
    let rows: Vec<Row> = (0..20_000)
        .map(|i| Row { time: i * 300_000, thousandths: (i * 7919) % 1_000_003, severity: 0 })
        .collect();
    let folding = folding(range(0, 10 * SECOND), Grid::of_width(10 * SECOND));
    let whole = bits(&bins_of(&folding, &rows, &[usize::MAX])[0]);
    for cut in [1, 100, 4095, 4096, 4097, 9000] {
        assert_eq!(bits(&bins_of(&folding, &rows, &[cut])[0]), whole, "{cut}");
    }
}

#[test]
fn numbers_that_are_not_finite_do_not_count_but_are_held() {
    let folding = folding(range(0, 40), Grid::of_width(40));
    let mut bin = None;
    let mut fold = Fold::new(&folding);
    let mut sink = |b: &Bin| bin = Some(*b);
    fold.samples(
        Samples { times: &[0, 10, 20], numbers: Some(&[1.0, f64::NAN, 3.0]), severities: &[0, 3, 0] },
        &mut sink,
    );
    fold.finish(&mut sink);
    let bin = bin.unwrap();
    let node = bin.node.unwrap();
    assert_eq!((bin.count(), node.nonfinite, node.invalid, node.worst), (3, 1, 1, 3));
    assert_eq!((bin.integral().covered_ns, bin.integral().finite_ns), (40, 30));
    assert_eq!(bin.time_weighted_mean(), Some((10.0 + 60.0) / 30.0));
    assert_eq!(bin.moments().unwrap().mean, 2.0);
}

#[test]
fn texts_and_numbers_share_a_leaf() {
    let folding = folding(range(0, 100), Grid::of_width(100));
    let mut bin = None;
    let mut fold = Fold::new(&folding);
    let mut sink = |b: &Bin| bin = Some(*b);
    fold.samples(Samples { times: &[10, 20], numbers: Some(&[1.0, 2.0]), severities: &[0, 0] }, &mut sink);
    fold.samples(Samples { times: &[30], numbers: None, severities: &[1] }, &mut sink);
    fold.samples(Samples { times: &[40, 70], numbers: Some(&[5.0, 4.0]), severities: &[0, 2] }, &mut sink);
    fold.finish(&mut sink);
    let bin = bin.unwrap();
    assert_eq!((bin.count(), bin.node.unwrap().worst), (5, 2));
    let integral = bin.integral();
    assert_eq!((integral.sum, integral.finite_ns, integral.covered_ns), (300.0, 80, 90));
    assert_eq!(bin.moments().unwrap().count, 4);
}

#[test]
fn a_sum_too_large_for_a_double_has_a_mean() {
    let folding = folding(range(0, 10), Grid::of_width(10));
    let mut bin = None;
    let mut fold = Fold::new(&folding);
    let mut sink = |b: &Bin| bin = Some(*b);
    fold.samples(
        Samples { times: &[0, 1], numbers: Some(&[f64::MAX, f64::MAX]), severities: &[0, 0] },
        &mut sink,
    );
    fold.finish(&mut sink);
    assert_eq!(bin.unwrap().moments().unwrap().mean, f64::MAX);
}
