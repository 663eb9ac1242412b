//! Stretches of time to which an answer is confined.

use decimator::coverage::{Coverage, Interval};
use sample::{SampleBlock, TimeRange, Timestamp};
use std::sync::Arc;

/// Stretches in order and apart from each other. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Selection(Arc<[TimeRange]>);

impl Selection {
    /// Of `stretches`, in order and apart from each other.
    pub(crate) fn new(stretches: Vec<TimeRange>) -> Selection {
        Selection(stretches.into())
    }

    /// The stretches.
    pub(crate) fn stretches(&self) -> &[TimeRange] {
        &self.0
    }

    /// The stretches, shared.
    pub(crate) fn shared(&self) -> Arc<[TimeRange]> {
        self.0.clone()
    }

    /// Those that end behind `time`.
    fn behind(&self, time: i64) -> &[TimeRange] {
        &self.0[self.0.partition_point(|stretch| stretch.to.0 <= time)..]
    }

    /// Whether `time` lies inside.
    pub(crate) fn contains(&self, time: i64) -> bool {
        self.behind(time).first().is_some_and(|stretch| stretch.contains(Timestamp(time)))
    }

    /// The samples of a block that lie inside.
    pub(crate) fn of_block(&self, block: SampleBlock) -> SampleBlock {
        let mut kept: Option<SampleBlock> = None;
        let Some((first, last)) = block.time.first().zip(block.time.last()) else { return block };
        for stretch in self.behind(*first) {
            if stretch.from.0 > *last {
                break;
            }
            let inside = block.indices(*stretch);
            if inside.len() == block.len() {
                return block;
            }
            if !inside.is_empty() {
                let kept = kept.get_or_insert_with(|| SampleBlock::new(block.run.clone()));
                kept.append(&block, inside.start, inside.end);
            }
        }
        kept.unwrap_or_else(|| SampleBlock::new(block.run.clone()))
    }

    /// The parts of a coverage that lie inside.
    pub(crate) fn of_coverage(&self, coverage: &Coverage) -> Coverage {
        let mut intervals = Vec::new();
        for interval in &coverage.intervals {
            for stretch in self.behind(interval.range.from.0) {
                if stretch.from >= interval.range.to {
                    break;
                }
                let range =
                    TimeRange::new(stretch.from.max(interval.range.from), stretch.to.min(interval.range.to));
                intervals.push(Interval { range, state: interval.state });
            }
        }
        Coverage { intervals }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sample::{RunType, Sample, Value, ValueType};

    #[test]
    fn only_what_lies_inside_is_kept() {
        let stretch = |from, to| TimeRange::new(Timestamp(from), Timestamp(to));
        let selection = Selection::new(vec![stretch(2, 4), stretch(6, 7), stretch(9, 50)]);
        let mut block = SampleBlock::new(RunType::plain(ValueType::scalar(sample::Kind::Int64)));
        for time in 0..12 {
            block.push(&Sample::new(Timestamp(time), Value::Int64(time)));
        }
        assert_eq!(selection.of_block(block.clone()).time, [2, 3, 6, 9, 10, 11]);
        assert_eq!(selection.of_block(block.slice(9, 12)), block.slice(9, 12));
        assert!(selection.of_block(block.slice(4, 6)).is_empty());
        let inside: Vec<i64> = (0..12).filter(|time| selection.contains(*time)).collect();
        assert_eq!(inside, [2, 3, 6, 9, 10, 11]);
    }
}
