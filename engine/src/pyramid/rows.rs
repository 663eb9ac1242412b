//! Nodes of the decimator's tree as the columns of a record, and back.

use decimator::node::{Ends, Held, Integral, Moments, Node};
use decimator::tree::WIDTHS_NS;
use disk::BytesError;
use sample::{Column, Severity};
use sstable::{BinColumns, BinField};

const FIRST_IS_NUMBER: u8 = 1;
const LAST_IS_NUMBER: u8 = 2;

/// First instant of the bin that a node of `level` fills.
pub(super) fn bin_of(node: &Node, level: usize) -> i64 {
    decimator::tree::node_at(node.begin, level).0
}

/// Columns of complete nodes of one level, which hold no sample that was left out.
pub(super) fn columns(nodes: &[Node], level: usize) -> BinColumns {
    let first_bin = nodes.first().map_or(0, |node| bin_of(node, level));
    let times = |time: &dyn Fn(&Node) -> Option<i64>| {
        Column::Int64(nodes.iter().map(|n| time(n).map_or(0, |time| time - bin_of(n, level))).collect())
    };
    let integers = |of: &dyn Fn(&Node) -> i64| Column::Int64(nodes.iter().map(of).collect());
    let floats = |of: &dyn Fn(&Node) -> Option<f64>| {
        Column::Float64(nodes.iter().map(|node| of(node).unwrap_or(0.0)).collect())
    };
    let flags = |node: &Node| {
        let number = |value: Option<f64>, flag| if value.is_some() { flag } else { 0 };
        node.ends.map_or(0, |e| number(e.first, FIRST_IS_NUMBER) | number(e.last, LAST_IS_NUMBER))
    };
    let column = |field: BinField| match field {
        BinField::Number => integers(&|n| (bin_of(n, level) - first_bin) / WIDTHS_NS[level]),
        BinField::Count => integers(&|n| n.count),
        BinField::Unfinite => integers(&|n| n.count - n.moments.map_or(0, |m| m.count)),
        BinField::NonFinite => integers(&|n| n.nonfinite),
        BinField::Invalid => integers(&|n| n.invalid),
        BinField::Worst => Column::UInt8(nodes.iter().map(|n| n.worst).collect()),
        BinField::Flags => Column::UInt8(nodes.iter().map(flags).collect()),
        BinField::FirstTime => times(&|n| n.ends.map(|e| e.first_time)),
        BinField::LastTime => times(&|n| n.ends.map(|e| e.last_time)),
        BinField::MinTime => times(&|n| n.moments.map(|m| m.min_time)),
        BinField::MaxTime => times(&|n| n.moments.map(|m| m.max_time)),
        BinField::First => floats(&|n| n.ends.and_then(|e| e.first)),
        BinField::Last => floats(&|n| n.ends.and_then(|e| e.last)),
        BinField::Min => floats(&|n| n.moments.map(|m| m.min)),
        BinField::Max => floats(&|n| n.moments.map(|m| m.max)),
        BinField::Mean => floats(&|n| n.moments.map(|m| m.mean)),
        BinField::SquaredDeviations => floats(&|n| n.moments.map(|m| m.m2)),
        BinField::Integral => floats(&|n| Some(n.integral.sum)),
        BinField::UnfiniteTime => integers(&|n| n.integral.covered_ns - n.integral.finite_ns),
    };
    BinColumns { rows: nodes.len(), columns: BinField::ALL.into_iter().map(|f| (f, column(f))).collect() }
}

/// The nodes of a record of `level` whose first bin begins at `first_bin`.
///
/// # Errors
/// When a column is missing or the numbers cannot be true.
pub(super) fn nodes(bins: &BinColumns, level: usize, first_bin: i64) -> Result<Vec<Node>, BytesError> {
    let wrong = |what| BytesError { position: 0, what };
    let missing = || wrong("a column of decimated rows is missing");
    let integers = |field| match bins.get(field) {
        Some(Column::Int64(values)) => Ok(values.as_slice()),
        _ => Err(missing()),
    };
    let floats = |field| match bins.get(field) {
        Some(Column::Float64(values)) => Ok(values.as_slice()),
        _ => Err(missing()),
    };
    let bytes = |field| match bins.get(field) {
        Some(Column::UInt8(values)) => Ok(values.as_slice()),
        _ => Err(missing()),
    };
    let (numbers, counts, unfinite) =
        (integers(BinField::Number)?, integers(BinField::Count)?, integers(BinField::Unfinite)?);
    let (nonfinite, invalid) = (integers(BinField::NonFinite)?, integers(BinField::Invalid)?);
    let (worst, flags) = (bytes(BinField::Worst)?, bytes(BinField::Flags)?);
    let (first_times, last_times) = (integers(BinField::FirstTime)?, integers(BinField::LastTime)?);
    let (min_times, max_times) = (integers(BinField::MinTime)?, integers(BinField::MaxTime)?);
    let (firsts, lasts) = (floats(BinField::First)?, floats(BinField::Last)?);
    let (mins, maxs) = (floats(BinField::Min)?, floats(BinField::Max)?);
    let (means, deviations) = (floats(BinField::Mean)?, floats(BinField::SquaredDeviations)?);
    let (sums, unfinite_times) = (floats(BinField::Integral)?, integers(BinField::UnfiniteTime)?);
    let width = WIDTHS_NS[level];
    let mut nodes = Vec::with_capacity(bins.rows);
    let mut before = -1;
    for i in 0..bins.rows {
        let out_of_order = wrong("decimated rows are not in the order of their bins");
        let number = Some(numbers[i]).filter(|number| *number > before).ok_or(out_of_order)?;
        before = number;
        let bin = number.checked_mul(width).and_then(|ns| first_bin.checked_add(ns));
        let end = bin.and_then(|bin| bin.checked_add(width));
        let (Some(bin), Some(end)) = (bin, end) else {
            return Err(wrong("a decimated row lies outside all times"));
        };
        let inside = |time: i64| (0..width).contains(&time);
        let finite = counts[i].checked_sub(unfinite[i]).unwrap_or(-1);
        let possible = [first_times[i], last_times[i], min_times[i], max_times[i]].into_iter().all(inside)
            && first_times[i] <= last_times[i]
            && counts[i] > 0
            && (0..=counts[i]).contains(&finite)
            && (0..=counts[i]).contains(&nonfinite[i])
            && (0..=counts[i]).contains(&invalid[i])
            && worst[i] <= Severity::Invalid as u8
            && (0..=width - first_times[i]).contains(&unfinite_times[i]);
        if !possible {
            return Err(wrong("a decimated row says what cannot be"));
        }
        let is_number = |flag| flags[i] & flag != 0;
        let ends = Ends {
            first_time: bin + first_times[i],
            first: is_number(FIRST_IS_NUMBER).then_some(firsts[i]),
            last_time: bin + last_times[i],
            last: is_number(LAST_IS_NUMBER).then_some(lasts[i]),
        };
        let covered_ns = end - ends.first_time;
        let moments = Moments {
            count: finite,
            min: mins[i],
            min_time: bin + min_times[i],
            max: maxs[i],
            max_time: bin + max_times[i],
            mean: means[i],
            m2: deviations[i],
        };
        nodes.push(Node {
            begin: ends.first_time,
            end,
            held: ends.last.map_or(Held::Other, Held::Number),
            count: counts[i],
            nonfinite: nonfinite[i],
            invalid: invalid[i],
            worst: worst[i],
            ends: Some(ends),
            moments: (finite > 0).then_some(moments),
            integral: Integral { sum: sums[i], finite_ns: covered_ns - unfinite_times[i], covered_ns },
        });
    }
    Ok(nodes)
}
