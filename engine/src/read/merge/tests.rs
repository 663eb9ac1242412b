//! The merge against a sorted set, on random runs with overlaps and twins.

use super::*;
use crate::read::edge::{first_from, last_before};
use crate::read::{Facts, Numbers, Part, Scope};
use proptest::prelude::*;
use sample::{RunType, Sample, Severity, Value};
use std::collections::{BTreeMap, BTreeSet};

/// A run of blocks in memory.
struct Blocks(Vec<SampleBlock>);

impl Run for Blocks {
    fn span(&self) -> (Timestamp, Timestamp) {
        (self.0[0].first(), self.0[self.0.len() - 1].last())
    }
    fn parts(&self, range: TimeRange) -> Result<Vec<Part>, ReadError> {
        Ok(self
            .0
            .iter()
            .enumerate()
            .filter(|(_, b)| range.touches(b.first(), b.last()))
            .map(|(token, b)| {
                let (first, last) = (b.position(0), b.position(b.len() - 1));
                Part {
                    first: Position { time: first.0, rank: first.1 },
                    last: Position { time: last.0, rank: last.1 },
                    count: b.len() as u32,
                    token: token as u64,
                }
            })
            .collect())
    }
    fn types(&self) -> Result<Vec<(Timestamp, sample::ValueType)>, ReadError> {
        Ok(Vec::new())
    }
    fn facts(&self, part: &Part) -> Option<Facts> {
        let numbers = Numbers {
            bounds: Some((part.first.time as f64, part.last.time as f64)),
            nan: false,
            positive_infinite: false,
            negative_infinite: false,
        };
        let severity = (Severity::NoAlarm, Severity::NoAlarm);
        Some(Facts { scope: Scope::Chunk, run: None, severity, numbers: Some(numbers) })
    }
    fn each_facts(&self, part: &Part, each: &mut dyn FnMut(&Part, &Facts) -> bool) {
        let parts = self.parts(TimeRange::ALL).unwrap();
        let known = parts.iter().skip(part.token as usize).map(|part| (part, self.facts(part).unwrap()));
        known.take_while(|(part, facts)| each(part, facts)).for_each(drop);
    }
    fn load(&self, part: &Part, range: TimeRange) -> Result<SampleBlock, ReadError> {
        let block = &self.0[part.token as usize];
        let inside = block.indices(range);
        Ok(block.slice(inside.start, inside.end))
    }
}

/// Value is a function of the position, so that twins agree; every third time another type.
fn sample_at(time: i64, rank: u32) -> Sample {
    let value = if time % 3 == 0 { Value::Int32(time as i32) } else { Value::Float64(f64::from(rank)) };
    Sample { rank, ..Sample::new(Timestamp(time), value) }
}

fn blocks_of(positions: &[(i64, u32)], chunk: usize) -> Vec<SampleBlock> {
    let mut blocks: Vec<SampleBlock> = Vec::new();
    for (time, rank) in positions {
        let sample = sample_at(*time, *rank);
        let fits = blocks.last().is_some_and(|b| b.len() < chunk && b.run.admits(&sample));
        if !fits {
            blocks.push(SampleBlock::new(sample.run_type()));
        }
        let pushed = blocks.last_mut().is_some_and(|b| b.push(&sample));
        assert!(pushed);
    }
    blocks
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn merge_is_the_sorted_union(
        runs in prop::collection::vec((prop::collection::btree_set((0i64..60, 0u32..3), 1..30), 1usize..8), 0..6),
        from in -5i64..65, len in 0i64..70, beyond in prop::option::of((0i64..60, 0u32..3)), descending: bool,
    ) {
        let range = TimeRange::new(Timestamp(from), Timestamp(from + len));
        let order = if descending { Order::Descending } else { Order::Ascending };
        let beyond = beyond.map(|(time, rank)| Position { time, rank });
        let arcs: Vec<Arc<dyn Run>> = runs.iter().map(|(positions, chunk)| {
            let positions: Vec<_> = positions.iter().copied().collect();
            Arc::new(Blocks(blocks_of(&positions, *chunk))) as Arc<dyn Run>
        }).collect();
        let mut model: BTreeMap<(i64, u32), Sample> = BTreeMap::new();
        for (positions, _) in &runs {
            for (time, rank) in positions {
                let behind = beyond.is_none_or(|b| {
                    let p = Position { time: *time, rank: *rank };
                    if descending { p < b } else { p > b }
                });
                if behind && range.contains(Timestamp(*time)) {
                    model.insert((*time, *rank), sample_at(*time, *rank));
                }
            }
        }
        let mut expected: Vec<Sample> = model.into_values().collect();
        if descending { expected.reverse(); }
        let mut found = Vec::new();
        for block in Merge::new(&arcs, Scan { range, order, beyond, skip_damaged: false }) {
            let block = block.unwrap();
            prop_assert!(!block.is_empty());
            let mut rows: Vec<Sample> = (0..block.len()).map(|i| block.get(i)).collect();
            if descending { rows.reverse(); }
            found.extend(rows);
        }
        prop_assert_eq!(&found, &expected);

        let before = arcs.iter().filter_map(|r| last_before(&**r, range.from, false).unwrap()).max_by_key(|s| (s.time, s.rank));
        let model_before = runs.iter().flat_map(|(p, _)| p).filter(|p| p.0 < from).max();
        prop_assert_eq!(before.map(|s| (s.time.0, s.rank)), model_before.copied());
        let next = arcs.iter().filter_map(|r| first_from(&**r, range.to).unwrap()).min_by_key(|s| (s.time, s.rank));
        let model_next = runs.iter().flat_map(|(p, _)| p).filter(|p| p.0 >= from + len).min();
        prop_assert_eq!(next.map(|s| (s.time.0, s.rank)), model_next.copied());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn what_is_passed_belongs_to_one_run_and_the_rest_is_delivered(
        runs in prop::collection::vec((0i64..200, prop::collection::btree_set((0i64..60, 0u32..3), 1..30), 1usize..8), 1..4),
        from in -5i64..265, len in 0i64..270, hits in prop::collection::btree_set(0i64..260, 0..6),
    ) {
        let runs: Vec<(Vec<(i64, u32)>, usize)> = runs.into_iter().map(|(start, positions, chunk)| {
            (positions.into_iter().map(|(time, rank)| (start + time, rank)).collect(), chunk)
        }).collect();
        let arcs: Vec<Arc<dyn Run>> =
            runs.iter().map(|(p, chunk)| Arc::new(Blocks(blocks_of(p, *chunk))) as Arc<dyn Run>).collect();
        let range = TimeRange::new(Timestamp(from), Timestamp(from + len));
        let all: BTreeSet<(i64, u32)> = runs.iter().flat_map(|(positions, _)| positions.iter().copied()).collect();
        let mut merge = Merge::new(&arcs, Scan::ascending(range));
        let mut enough = |_: &Part, facts: &Facts| {
            let (least, most) = facts.numbers.unwrap().bounds.unwrap();
            hits.range(least as i64..=most as i64).next().is_none()
        };
        let mut found = Vec::new();
        while let Some(step) = merge.step(Some(&mut enough)) {
            match step.unwrap() {
                Step::Samples(block) => found.extend((0..block.len()).map(|i| block.position(i))),
                Step::Passed(Passed { part, run, .. }) => {
                    let between = |p: &(i64, u32)| {
                        let position = Position { time: p.0, rank: p.1 };
                        part.first <= position && position <= part.last && range.contains(Timestamp(p.0))
                    };
                    let of = arcs.iter().position(|arc| Arc::ptr_eq(arc, &run)).unwrap();
                    let own: Vec<_> = runs[of].0.iter().copied().filter(between).collect();
                    let anybody: Vec<_> = all.iter().copied().filter(between).collect();
                    prop_assert_eq!(&own, &anybody);
                    prop_assert!(hits.range(part.first.time..=part.last.time).next().is_none());
                    found.extend(own);
                }
            }
        }
        let expected: Vec<_> = all.into_iter().filter(|p| range.contains(Timestamp(p.0))).collect();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn one_run_passes_through_in_whole_blocks() {
    let positions: Vec<(i64, u32)> = (0..100).map(|t| (t * 3 + 1, 0)).collect();
    let run: Arc<dyn Run> = Arc::new(Blocks(blocks_of(&positions, 1000)));
    let blocks: Vec<_> = Merge::new(&[run], Scan::ascending(TimeRange::ALL)).collect();
    assert_eq!(blocks.len(), 1);
    assert_eq!(
        blocks[0].as_ref().unwrap().run,
        RunType::plain(sample::ValueType::scalar(sample::Kind::Float64))
    );
}

#[test]
fn runs_that_alternate_are_joined_to_blocks_and_whole_ones_stay_whole() {
    let every = |first: i64, step: i64, count: i64| {
        let positions: Vec<(i64, u32)> = (0..count).map(|i| (3 * (first + i * step) + 1, 0)).collect();
        Arc::new(Blocks(blocks_of(&positions, BLOCK_SAMPLES_MAX))) as Arc<dyn Run>
    };
    let lens = |runs: &[Arc<dyn Run>]| -> Vec<usize> {
        Merge::new(runs, Scan::ascending(TimeRange::ALL)).map(|block| block.unwrap().len()).collect()
    };
    let max = BLOCK_SAMPLES_MAX as i64;
    let alternating = lens(&[every(0, 2, max), every(1, 2, max)]);
    assert_eq!(alternating.iter().sum::<usize>(), 2 * BLOCK_SAMPLES_MAX);
    assert!(alternating.iter().rev().skip(1).all(|len| *len >= BLOCK_SAMPLES_JOINED), "{alternating:?}");
    // A block that does not fit behind what is there comes whole.
    assert_eq!(lens(&[every(0, 1, 100), every(100, 1, max)]), [100, BLOCK_SAMPLES_MAX]);
}
