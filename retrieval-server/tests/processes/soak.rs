//! Readers in other processes' shoes beside an engine that flushes ten times a second. The long form with
//! processes is `examples/prefix_reader.rs` under `cargo xtask soak`.

use crate::machine::{Machine, counter, foreign, name, now, reader, samples};
use crate::prefix::Prefix;
use engine::read::{ProblemCode, Scan};
use sample::{TimeRange, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const CHANNELS: [&str; 3] = ["A", "B", "C"];
const READERS: usize = 8;
const SECONDS: Duration = Duration::from_secs(6);

#[test]
fn every_answer_is_a_prefix_of_the_truth_while_tables_come() {
    let directory = tempfile::tempdir().unwrap();
    let machine = Machine::start(directory.path(), &CHANNELS, Some(Duration::from_millis(100)));
    let base = Timestamp(now().0 - 60_000_000_000);
    let sent: Arc<[AtomicUsize]> = (0..CHANNELS.len()).map(|_| AtomicUsize::new(0)).collect();
    let done = Arc::new(AtomicBool::new(false));
    let answers = Arc::new(AtomicUsize::new(0));
    let readers: Vec<_> = (0..READERS)
        .map(|_| {
            let (sent, done, answers) = (sent.clone(), done.clone(), answers.clone());
            let archive = foreign(directory.path());
            std::thread::spawn(move || {
                let reader = reader(&archive);
                let mut prefixes: Vec<Prefix> = CHANNELS.iter().map(|_| Prefix::default()).collect();
                while !done.load(Ordering::SeqCst) {
                    for (i, channel) in CHANNELS.iter().enumerate() {
                        let Some(view) = reader.view(&name(channel), TimeRange::ALL).unwrap() else {
                            continue;
                        };
                        let blocks: Vec<_> =
                            view.samples(&Scan::ascending(TimeRange::ALL)).collect::<Result<_, _>>().unwrap();
                        prefixes[i].take(&blocks).unwrap();
                        assert!(prefixes[i].count() <= sent[i].load(Ordering::SeqCst));
                        assert!(view.problems().is_empty(), "{:?}", view.problems());
                        answers.fetch_add(1, Ordering::SeqCst);
                    }
                }
            })
        })
        .collect();
    let started = Instant::now();
    let mut round = 0;
    while started.elapsed() < SECONDS {
        for (i, channel) in CHANNELS.iter().enumerate() {
            let count = 1 + (round * 7 + i * 3) % 20;
            let first = sent[i].fetch_add(count, Ordering::SeqCst);
            machine.send(channel, counter(base, first, count));
        }
        round += 1;
        std::thread::sleep(Duration::from_millis(5));
    }
    for (i, channel) in CHANNELS.iter().enumerate() {
        machine.until_stored(channel, sent[i].load(Ordering::SeqCst));
    }
    // What is stored is visible in another process at once.
    let other = foreign(directory.path());
    for (i, channel) in CHANNELS.iter().enumerate() {
        assert_eq!(samples(&other, channel).len(), sent[i].load(Ordering::SeqCst));
    }
    done.store(true, Ordering::SeqCst);
    for reader in readers {
        reader.join().unwrap();
    }
    let flushes = machine.engine.shared().view().manifest.generation;
    println!("{} answers over {flushes} manifests", answers.load(Ordering::SeqCst));
    assert!(flushes > 10 && answers.load(Ordering::SeqCst) > READERS * CHANNELS.len());
}

#[test]
fn engines_come_and_go_under_a_reader() {
    let directory = tempfile::tempdir().unwrap();
    let base = Timestamp(now().0 - 60_000_000_000);
    let archive = foreign(directory.path());
    let mut prefix = Prefix::default();
    let mut take = |expected: usize, problems: usize| {
        let view = reader(&archive).view(&name("A"), TimeRange::ALL).unwrap().unwrap();
        let blocks: Vec<_> =
            view.samples(&Scan::ascending(TimeRange::ALL)).collect::<Result<_, _>>().unwrap();
        prefix.take(&blocks).unwrap();
        assert_eq!((prefix.count(), view.problems().len()), (expected, problems), "{:?}", view.problems());
        view.problems()
    };
    for life in 0..4 {
        let mut machine = Machine::start(directory.path(), &["A"], Some(Duration::from_millis(100)));
        machine.send("A", counter(base, life * 100, 100));
        machine.until_stored("A", (life + 1) * 100);
        take((life + 1) * 100, 0);
        if life % 2 == 1 {
            // Alive, but silent: the log tells, once it was handed over; the answer says so.
            drop(machine.server.take());
            machine.engine.keeper().write_log().unwrap();
            let problems = take((life + 1) * 100, 1);
            assert_eq!(problems[0].code, ProblemCode::ArchiveUnavailable);
            assert!(problems[0].message.contains("does not answer"), "{}", problems[0].message);
        }
        drop(machine);
        take((life + 1) * 100, 0);
    }
}
