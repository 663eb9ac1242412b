//! A chunk that is damaged under a running download: said, skipped on request, the rest goes on.

use crate::rig::{HOUR, MONDAY, Rig, SECOND, double};
use decimator::coverage::State;
use disk::sim::Random;
use engine::read::{Order, ProblemCode, ReadError, Scan};
use engine::source::Arrival;
use sample::{SampleBlock, TimeRange, Timestamp};

const NOW: i64 = MONDAY + HOUR;
const FLUSHES: usize = 6;
/// More than what opening a table reads of it.
const EACH: i64 = 16_000;

fn times(block: &SampleBlock) -> impl Iterator<Item = i64> {
    (0..block.len()).map(|i| block.position(i).0)
}

#[test]
fn damage_is_named_and_everything_else_is_read() {
    let mut rig = Rig::with(NOW, &["A"]);
    rig.connect("A", "ioc:5064");
    let mut random = Random::new(2);
    let mut sent = Vec::new();
    for _ in 0..FLUSHES {
        rig.advance(SECOND);
        let begin = rig.now();
        sent.extend((0..EACH).map(|k| begin + k));
        // Nothing that a codec could make small.
        let mut value = || f64::from_bits(random.bits() >> 2);
        let samples: Vec<_> = (0..EACH).map(|k| ("A", Arrival::Sample(double(begin + k, value())))).collect();
        rig.arrive_all(samples);
        rig.flush();
    }
    let range = TimeRange::new(Timestamp(NOW), Timestamp(rig.now() + SECOND));
    let scan = |skip_damaged| Scan { range, order: Order::Ascending, beyond: None, skip_damaged };
    // A fresh opening has nothing cached.
    rig.restart(SECOND);
    let view = rig.view("A", range);
    let mut running = view.samples(&scan(true));
    let mut found: Vec<i64> = times(&running.next().unwrap().unwrap()).collect();
    // The table of the fourth flush goes bad in the midst of its samples.
    let tables = rig.disk.files().into_iter().filter(|p| p.extension().is_some_and(|e| e == "sst"));
    let bad = tables.min_by_key(|path| path.file_name() != Some("0000000000000004.sst".as_ref())).unwrap();
    for offset in 20_000..20_060 {
        rig.disk.flip(&bad, offset, 0xff).unwrap();
    }
    running.by_ref().for_each(|block| found.extend(times(&block.unwrap())));
    let missing: Vec<i64> = sent.iter().copied().filter(|time| found.binary_search(time).is_err()).collect();
    let of_fourth = usize::try_from(EACH).unwrap() * 3;
    assert!((1..=EACH).contains(&(missing.len() as i64)) && found.len() + missing.len() == sent.len());
    assert!(missing[0] >= sent[of_fourth] && missing[missing.len() - 1] < sent[of_fourth] + EACH);
    let lost = TimeRange::new(Timestamp(missing[0]), Timestamp(missing[missing.len() - 1] + 1));
    let problems = view.problems();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].code, ProblemCode::Damaged);
    assert!(problems[0].file.as_ref().is_some_and(|file| file.ends_with(bad.file_name().unwrap())));
    assert_eq!(problems[0].range, lost);
    // Also whoever asks for coverage alone is told.
    for view in [&view, &rig.view("A", range)] {
        let coverage = view.coverage(range);
        let damaged: Vec<_> = coverage.intervals.iter().filter(|i| i.state == State::Damaged).collect();
        assert_eq!(damaged.iter().map(|i| i.range).collect::<Vec<_>>(), [lost]);
    }
    // Without leave to skip, the answer ends with the error.
    let end = rig.view("A", range).samples(&scan(false)).find_map(Result::err);
    let Some(ReadError::Damaged { file, offset, span, .. }) = end else { panic!("{end:?}") };
    assert!(file.ends_with(bad.file_name().unwrap()) && offset > 0);
    assert_eq!(span, Some((lost.from, Timestamp(lost.to.0 - 1))));
    assert_eq!(rig.shared().view().damage.count(), 1, "one place, however often it is met");
    // Recording goes on.
    rig.connect("A", "ioc:5064");
    rig.advance(SECOND);
    rig.sample("A", rig.now(), -1.0);
    rig.flush();
    assert_eq!(rig.at("A", rig.now()).unwrap().value.as_f64(), Some(-1.0));
}

/// Damage of what a table says beside samples made the whole view of the channel an error.
#[test]
fn where_events_are_damaged_samples_are_read_and_the_week_is_said_to_be() {
    let mut rig = Rig::with(NOW, &["A", "B"]);
    // So much that samples have blocks of their own.
    let mut random = Random::new(3);
    for channel in ["A", "B"] {
        rig.connect(channel, "ioc:5064");
        let mut value = || f64::from_bits(random.bits() >> 2);
        let begin = rig.now();
        rig.arrive_all((0..EACH).map(|k| (channel, Arrival::Sample(double(begin + k, value())))));
    }
    rig.flush();
    rig.advance(8 * 24 * HOUR);
    for channel in ["A", "B"] {
        rig.sample(channel, rig.now(), 2.0);
    }
    rig.flush();
    let table = rig.shared().view().tables[0].clone();
    let of_events =
        |entry: &sstable::Entry| entry.key.rate == sstable::Key::EVENTS && entry.key.channel.0 > 0;
    let events = table.all_entries().map(Result::unwrap).find(of_events).unwrap();
    rig.restart(SECOND);
    rig.disk.flip(table.path(), events.locator.offset + 30, 0xff).unwrap();
    let range = TimeRange::new(Timestamp(NOW - HOUR), Timestamp(NOW + HOUR));
    for channel in ["A", "B"] {
        let view = rig.view(channel, range);
        assert_eq!(rig.samples(channel).len() as i64, EACH + 1);
        let problems = view.problems();
        assert!(
            !problems.is_empty() && problems.iter().all(|p| p.code == ProblemCode::Damaged),
            "{problems:?}"
        );
        assert!(
            problems[0]
                .file
                .as_ref()
                .is_some_and(|file| table.path().ends_with(file) || file == table.path())
        );
        let coverage = view.coverage(range);
        assert!(coverage.intervals.iter().any(|interval| interval.state == State::Damaged));
        let later = TimeRange::new(Timestamp(rig.now() - HOUR), Timestamp(rig.now()));
        let view = rig.view(channel, later);
        assert!(view.problems().is_empty(), "{:?}", view.problems());
        assert_eq!(view.last_before(later.to, false).unwrap().unwrap().value.as_f64(), Some(2.0));
    }
}
