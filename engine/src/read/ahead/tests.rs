//! Scans that load ahead against scans that do not.

use super::*;
use crate::read::{Crew, Merge, Order, Position, Scan, Work};
use proptest::prelude::*;
use sample::{Sample, Timestamp, Value, ValueType};
use std::thread;
use std::time::Duration;

/// A run of blocks made when they are loaded: block i has the times `every * i .. every * i + every` with `step`.
struct Made {
    blocks: i64,
    every: i64,
    step: i64,
    /// This one cannot be read.
    damaged: i64,
    /// Elements of each value.
    elements: usize,
    loaded: AtomicUsize,
    by_others: AtomicUsize,
}

impl Made {
    fn of(blocks: i64, every: i64, step: i64, damaged: i64) -> Made {
        let (loaded, by_others) = Default::default();
        Made { blocks, every, step, damaged, elements: 1, loaded, by_others }
    }
}

impl Run for Made {
    fn span(&self) -> (Timestamp, Timestamp) {
        (Timestamp(0), Timestamp(self.blocks * self.every - 1))
    }
    fn parts(&self, range: TimeRange) -> Result<Vec<Part>, ReadError> {
        let part = |i: i64| Part {
            first: Position { time: i * self.every, rank: 0 },
            last: Position { time: (i + 1) * self.every - 1, rank: u32::MAX },
            count: (self.every / self.step).max(1) as u32,
            token: i as u64,
        };
        let parts = (0..self.blocks).map(part);
        let touched = |p: &Part| range.touches(Timestamp(p.first.time), Timestamp(p.last.time));
        Ok(parts.filter(touched).collect())
    }
    fn types(&self) -> Result<Vec<(Timestamp, ValueType)>, ReadError> {
        Ok(Vec::new())
    }
    fn load(&self, part: &Part, range: TimeRange) -> Result<SampleBlock, ReadError> {
        self.loaded.fetch_add(1, Ordering::SeqCst);
        if thread::current().name() == Some("ahead") {
            self.by_others.fetch_add(1, Ordering::SeqCst);
        }
        if part.token as i64 == self.damaged {
            let span = Some((Timestamp(part.first.time), Timestamp(part.last.time)));
            return Err(ReadError::Damaged { file: "f".into(), offset: 1, what: "on purpose".into(), span });
        }
        let value = |time: i64| match self.elements {
            1 => Value::Int64(time),
            many => Value::Array(Box::new(sample::Column::Int64(vec![time; many]))),
        };
        let sample = |time| Sample::new(Timestamp(time), value(time));
        let mut block = SampleBlock::new(sample(0).run_type());
        for time in (part.first.time..=part.last.time).step_by(self.step as usize) {
            if range.contains(Timestamp(time)) {
                assert!(block.push(&sample(time)));
            }
        }
        Ok(block)
    }
}

/// Does the work at once, or the first few pieces of it.
struct AtOnce(usize);

impl Spare for AtOnce {
    fn lend(&self, work: Work) -> bool {
        let left = std::cell::Cell::new(self.0);
        work(&|| left.replace(left.get().saturating_sub(1)) > 0);
        true
    }
}

/// Nobody is there.
struct Busy;

impl Spare for Busy {
    fn lend(&self, _: Work) -> bool {
        false
    }
}

/// What a scan delivers, block by block, and the damage that it skips.
fn delivered(mut merge: Merge) -> (Vec<String>, Vec<String>) {
    let blocks = merge.by_ref().map(|block| format!("{block:?}")).collect();
    (blocks, merge.take_damage().iter().map(ToString::to_string).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn a_scan_that_loads_ahead_delivers_the_same(
        runs in prop::collection::vec((1i64..40, 1i64..40, 1i64..10, -1i64..80), 1..4),
        from in -5i64..200, len in 0i64..1500, beyond in prop::option::of(0i64..300),
        within in prop::option::of(prop::collection::btree_set(-5i64..1500, 0..8)),
        descending: bool, skip_damaged: bool, lent in 0usize..12,
    ) {
        let order = if descending { Order::Descending } else { Order::Ascending };
        let range = TimeRange::new(Timestamp(from), Timestamp(from + len));
        let beyond = beyond.map(|time| Position { time, rank: 0 });
        let scan = Scan { range, order, beyond, skip_damaged };
        let runs: Vec<Arc<dyn Run>> =
            runs.into_iter().map(|(b, e, s, d)| Arc::new(Made::of(b, e, s, d)) as Arc<dyn Run>).collect();
        let within: Option<Arc<[TimeRange]>> = within.map(|edges| {
            let edges: Vec<i64> = edges.into_iter().collect();
            edges.chunks_exact(2).map(|e| TimeRange::new(Timestamp(e[0]), Timestamp(e[1]))).collect()
        });
        let merge = || Merge::new(&runs, scan).within(within.clone());
        let expected = delivered(merge());
        let spares: [Arc<dyn Spare>; 4] =
            [Arc::new(Busy), Arc::new(AtOnce(lent)), Arc::new(AtOnce(usize::MAX)), Arc::new(Crew::new(2))];
        for spare in spares {
            prop_assert_eq!(&delivered(merge().ahead(Some(spare))), &expected);
        }
    }
}

#[test]
fn parts_are_loaded_once_and_by_both() {
    let made = Arc::new(Made::of(300, 4000, 1, -1));
    let runs: [Arc<dyn Run>; 1] = [made.clone()];
    let merge = Merge::new(&runs, Scan::ascending(TimeRange::ALL)).ahead(Some(Arc::new(Crew::new(1))));
    assert_eq!(merge.map(|block| block.unwrap().len()).sum::<usize>(), 1_200_000);
    let by_others = made.by_others.load(Ordering::SeqCst);
    assert_eq!(made.loaded.load(Ordering::SeqCst), 300);
    assert!(by_others > 0 && by_others < 300, "{by_others}");
}

#[test]
fn who_takes_one_block_has_one_part_loaded() {
    let made = Arc::new(Made::of(300, 4000, 1, -1));
    let runs: [Arc<dyn Run>; 1] = [made.clone()];
    let mut merge =
        Merge::new(&runs, Scan::ascending(TimeRange::ALL)).ahead(Some(Arc::new(AtOnce(usize::MAX))));
    assert_eq!(merge.next().unwrap().unwrap().len(), 4000);
    assert_eq!(made.loaded.load(Ordering::SeqCst), 1);
}

#[test]
fn nothing_is_loaded_beyond_the_bound() {
    let sample_bytes = 100_000;
    let spares: [(bool, Arc<dyn Spare>); 2] =
        [(true, Arc::new(AtOnce(usize::MAX))), (false, Arc::new(Crew::new(1)))];
    for (at_once, spare) in spares {
        let made = Arc::new(Made { elements: sample_bytes / 8, ..Made::of(500, 1, 1, -1) });
        let runs: [Arc<dyn Run>; 1] = [made.clone()];
        let merge = Merge::new(&runs, Scan::ascending(TimeRange::ALL)).ahead(Some(spare));
        let (mut taken, mut most) = (0, 0);
        for block in merge {
            taken += block.unwrap().len();
            if taken.is_multiple_of(100) {
                thread::sleep(Duration::from_millis(5));
            }
            most = most.max(made.loaded.load(Ordering::SeqCst) - taken);
        }
        assert_eq!(taken, 500);
        assert!(most * sample_bytes <= AHEAD_BYTES_MAX + 2 * sample_bytes, "{most}");
        assert!(!at_once || most > 4, "{most}");
    }
}

#[test]
fn a_scan_that_is_left_leaves_nothing_to_do() {
    let crew = Arc::new(Crew::new(1));
    let made = Arc::new(Made::of(100_000, 10, 1, -1));
    let runs: [Arc<dyn Run>; 1] = [made.clone()];
    let mut merge = Merge::new(&runs, Scan::ascending(TimeRange::ALL)).ahead(Some(crew.clone()));
    (0..3).for_each(|_| drop(merge.next()));
    drop(merge);
    while !crew.lend(Box::new(|_| {})) {
        thread::yield_now();
    }
    let loaded = made.loaded.load(Ordering::SeqCst);
    thread::sleep(Duration::from_millis(5));
    assert_eq!(made.loaded.load(Ordering::SeqCst), loaded);
}
