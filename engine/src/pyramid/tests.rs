//! Nodes come back from their columns, and impossible ones are refused.

use super::fold::folding;
use super::rows::{columns, nodes};
use decimator::bins::Bin;
use decimator::fold::{Fold, Samples};
use decimator::node::Node;
use decimator::tree::{WIDTHS_NS, node_at};
use proptest::prelude::*;
use sample::Column;
use sstable::{BinField, decode_bins, encode_bins};

fn folded(level: usize, blocks: &[(Vec<i64>, Option<Vec<f64>>)]) -> Vec<Node> {
    let folding = folding(level);
    let mut out = Vec::new();
    let mut fold = Fold::new(&folding);
    for (times, numbers) in blocks {
        let severities: Vec<u8> = times.iter().map(|t| t.rem_euclid(4) as u8).collect();
        let samples = Samples { times, numbers: numbers.as_deref(), severities: &severities };
        fold.samples(samples, &mut |bin: &Bin| out.extend(bin.node));
    }
    fold.finish(&mut |bin: &Bin| out.extend(bin.node));
    out
}

proptest! {
    #[test]
    fn nodes_come_back_to_the_bit(
        level in 0usize..5, start in -1_000_000_000_000_000i64..1_000_000_000_000_000,
        steps in proptest::collection::vec((0i64..100_000_000_000, any::<f64>()), 1..300), text: bool
    ) {
        let mut time = start;
        let times: Vec<i64> = steps.iter().map(|(step, _)| { time += step; time }).collect();
        let numbers: Vec<f64> = steps.iter().map(|(_, number)| *number).collect();
        let (behind, half) = (vec![time + 1, time + 5], times.len() / 2);
        let mut blocks = vec![(times[..half].to_vec(), Some(numbers[..half].to_vec()))];
        if text {
            blocks.push((vec![times[half]], None));
        }
        blocks.push((times[half..].to_vec(), Some(numbers[half..].to_vec())));
        blocks.push((behind, None));
        let made = folded(level, &blocks);
        let first = node_at(made[0].begin, level).0;
        let bytes = encode_bins(&columns(&made, level));
        let back = nodes(&decode_bins(&bytes).unwrap(), level, first).unwrap();
        // NaN is not equal to itself; its text is, and doubles are written so that they come back.
        prop_assert_eq!(format!("{made:?}"), format!("{back:?}"));
    }
}

#[test]
fn rows_that_cannot_be_are_refused() {
    let made = folded(0, &[(vec![1, 5, 20_000_000_000], Some(vec![1.0, 2.0, 3.0]))]);
    let good = columns(&made, 0);
    assert_eq!(nodes(&good, 0, 0).unwrap(), made);
    for (field, values) in [
        (BinField::Number, vec![0, 0]),
        (BinField::Number, vec![0, i64::MAX]),
        (BinField::Number, vec![-1, 0]),
        (BinField::Count, vec![0, 1]),
        (BinField::Unfinite, vec![3, 0]),
        (BinField::NonFinite, vec![-1, 0]),
        (BinField::Invalid, vec![9, 0]),
        (BinField::FirstTime, vec![6, 0]),
        (BinField::LastTime, vec![WIDTHS_NS[0], 0]),
        (BinField::MinTime, vec![-1, 0]),
        (BinField::UnfiniteTime, vec![-1, 0]),
    ] {
        let mut bad = good.clone();
        for (tag, column) in &mut bad.columns {
            if *tag == field {
                *column = Column::Int64(values.clone());
            }
        }
        assert!(nodes(&bad, 0, 0).is_err(), "{field:?}");
        bad.columns.retain(|(tag, _)| *tag != field);
        assert!(nodes(&bad, 0, 0).is_err(), "no {field:?}");
    }
    assert!(nodes(&good, 0, i64::MAX - 5).is_err());
}
