//! Scans that load ahead against scans that do not.

use super::*;
use crate::read::{
    Crew, Enough, Facts, Merge, Numbers, Order, Passed, Piece, Position, Scan, Scope, Step, Work,
};
use proptest::prelude::*;
use sample::{Sample, Severity, Timestamp, Value, ValueType};
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
    /// Lists of parts that are remembered.
    remembered: AtomicUsize,
}

impl Made {
    fn of(blocks: i64, every: i64, step: i64, damaged: i64) -> Made {
        let (loaded, by_others, remembered) = Default::default();
        Made { blocks, every, step, damaged, elements: 1, loaded, by_others, remembered }
    }
}

/// Where tokens of first halves begin, and half of where those of second ones do.
const PIECES: u64 = 1 << 20;

/// What is known of a part: enough to tell parts apart.
fn of(part: &Part) -> Facts {
    let bounds = Some((part.first.time as f64, part.last.time as f64));
    let numbers = Numbers { bounds, nan: false, positive_infinite: false, negative_infinite: false };
    Facts {
        scope: Scope::Chunk,
        run: None,
        severity: (Severity::NoAlarm, Severity::NoAlarm),
        numbers: Some(numbers),
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
        let parts: Vec<Part> = parts.filter(touched).collect();
        self.remembered.fetch_add(usize::from(!parts.is_empty()), Ordering::SeqCst);
        Ok(parts)
    }
    fn forget(&self, _: &Part) {
        self.remembered.fetch_sub(1, Ordering::SeqCst);
    }
    fn types(&self) -> Result<Vec<(Timestamp, ValueType)>, ReadError> {
        Ok(Vec::new())
    }
    fn facts(&self, part: &Part) -> Option<Facts> {
        (part.token < PIECES).then(|| of(part))
    }
    fn pieces(&self, part: &Part, enough: &mut Enough<'_>) -> Result<Vec<Piece>, ReadError> {
        let middle = part.first.time.midpoint(part.last.time);
        let (first, last) =
            (Position { time: middle, rank: u32::MAX }, Position { time: middle + 1, rank: 0 });
        let halves = [
            Part { last: first, token: part.token + PIECES, ..*part },
            Part { first: last, token: part.token + 2 * PIECES, ..*part },
        ];
        if middle == part.last.time {
            return Ok(Vec::new());
        }
        let pieces = halves.map(|half| match enough(&half, &of(&half)) {
            true => Piece::Known(half, of(&half)),
            false => Piece::Wanted(half),
        });
        Ok(if pieces.iter().any(|piece| matches!(piece, Piece::Known(..))) {
            pieces.into()
        } else {
            Vec::new()
        })
    }
    fn load(&self, part: &Part, range: TimeRange) -> Result<SampleBlock, ReadError> {
        self.loaded.fetch_add(1, Ordering::SeqCst);
        if thread::current().name() == Some("ahead") {
            self.by_others.fetch_add(1, Ordering::SeqCst);
        }
        if (part.token % PIECES) as i64 == self.damaged {
            let span = Some((Timestamp(part.first.time), Timestamp(part.last.time)));
            return Err(ReadError::Damaged { file: "f".into(), offset: 1, what: "on purpose".into(), span });
        }
        let value = |time: i64| match self.elements {
            1 => Value::Int64(time),
            many => Value::Array(Box::new(sample::Column::Int64(vec![time; many]))),
        };
        let sample = |time| Sample::new(Timestamp(time), value(time));
        let mut block = SampleBlock::new(sample(0).run_type());
        let begin = (part.token % PIECES) as i64 * self.every;
        for time in (begin..=part.last.time).step_by(self.step as usize) {
            if time >= part.first.time && range.contains(Timestamp(time)) {
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

/// What a scan delivers, block by block, and the damage that it skips; of parts for which `enough` is true, that they
/// were passed.
fn delivered(mut merge: Merge, enough: Option<fn(i64) -> bool>) -> (Vec<String>, Vec<String>) {
    let mut steps = Vec::new();
    let mut passes = enough.map(|enough| move |part: &Part, _: &Facts| enough(part.first.time));
    while let Some(step) = merge.step(passes.as_mut().map(|enough| enough as &mut Enough<'_>)) {
        steps.push(match step {
            Ok(Step::Samples(block)) => format!("{block:?}"),
            Ok(Step::Passed(Passed { part, facts, .. })) => format!("{part:?} {facts:?}"),
            Err(error) => format!("{error:?}"),
        });
    }
    (steps, merge.take_damage().iter().map(ToString::to_string).collect())
}

/// Now and then a few parts are passed, or halves of them.
fn now_and_then(time: i64) -> bool {
    time / 700 % 3 == 1 && time % 3 == 0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn a_scan_that_loads_ahead_delivers_the_same(
        runs in prop::collection::vec((1i64..40, 1i64..400, 1i64..10, -1i64..80), 1..4),
        from in -5i64..2000, len in 0i64..15000, beyond in prop::option::of(0i64..300),
        within in prop::option::of(prop::collection::btree_set(-5i64..15000, 0..8)),
        descending: bool, skip_damaged: bool, looks: bool, lent in 0usize..12,
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
        let enough: Option<fn(i64) -> bool> = if looks { Some(now_and_then) } else { None };
        let expected = delivered(merge(), enough);
        let spares: [Arc<dyn Spare>; 4] =
            [Arc::new(Busy), Arc::new(AtOnce(lent)), Arc::new(AtOnce(usize::MAX)), Arc::new(Crew::new(2))];
        for spare in spares {
            prop_assert_eq!(&delivered(merge().ahead(Some(spare)), enough), &expected);
        }
    }
}

#[test]
fn parts_are_loaded_once_and_by_both() {
    let made = Arc::new(Made::of(300, 4000, 1, -1));
    let runs: [Arc<dyn Run>; 1] = [made.clone()];
    let merge = Merge::new(&runs, Scan::ascending(TimeRange::ALL)).ahead(Some(Arc::new(Crew::new(1))));
    assert_eq!(merge.map(|block| block.unwrap().len()).sum::<usize>(), 1_200_000);
    assert_eq!(made.remembered.load(Ordering::SeqCst), 0, "what was read is forgotten");
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

/// Takes work and does it when the test wants.
#[derive(Default)]
struct Later(Mutex<Vec<Work>>);

impl Later {
    fn works(&self) {
        let work = std::mem::take(&mut *self.0.lock().unwrap());
        work.into_iter().for_each(|work| work(&|| true));
    }
}

impl Spare for Later {
    fn lend(&self, work: Work) -> bool {
        self.0.lock().unwrap().push(work);
        true
    }
}

#[test]
fn nothing_is_loaded_beyond_the_bound() {
    let sample_bytes = 100_000;
    let later = Arc::new(Later::default());
    let made = Arc::new(Made { elements: sample_bytes / 8, ..Made::of(500, 1, 1, -1) });
    let runs: [Arc<dyn Run>; 1] = [made.clone()];
    let merge = Merge::new(&runs, Scan::ascending(TimeRange::ALL)).ahead(Some(later.clone()));
    let (mut taken, mut most) = (0, 0);
    for block in merge {
        taken += block.unwrap().len();
        later.works();
        most = most.max(made.loaded.load(Ordering::SeqCst) - taken);
    }
    assert_eq!(taken, 500);
    assert!(most > 10 && most * sample_bytes <= AHEAD_BYTES_MAX + 2 * sample_bytes, "{most}");
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

#[test]
fn a_scan_that_passes_nothing_loads_ahead_though_it_looks() {
    let made = Arc::new(Made::of(300, 4000, 1, -1));
    let runs: [Arc<dyn Run>; 1] = [made.clone()];
    let mut merge =
        Merge::new(&runs, Scan::ascending(TimeRange::ALL)).ahead(Some(Arc::new(AtOnce(usize::MAX))));
    let enough: &mut Enough<'_> = &mut |_, _| false;
    (0..10).for_each(|_| drop(merge.step(Some(enough))));
    let loaded = made.loaded.swap(0, Ordering::SeqCst);
    assert!(loaded > 10 && loaded < 50, "{loaded}");
    let merge = Merge::new(&runs, Scan::ascending(TimeRange::ALL)).ahead(Some(Arc::new(AtOnce(usize::MAX))));
    delivered(merge, Some(|time| time > 0));
    // The first, and nothing that is passed: too few were loaded one after the other.
    assert_eq!(made.loaded.load(Ordering::SeqCst), 1);
}
