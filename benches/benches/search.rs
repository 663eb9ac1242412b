//! Finding when a condition held in a year of samples: with what is known of stored samples, and reading all of them.
//!
//! `cargo bench -p benches --bench search [-- WEEKS]`: two channels at 1 Hz for WEEKS (52) weeks go into an archive the
//! way received samples do; every week is sealed and indexed. `QUIET` is a slow wave with noise, positive half of the
//! time, and one sample in 100,000 stands out: upwards in bursts of 100, downwards anywhere. In `SPIKES` one sample in
//! 100 does. Each condition is answered in process, as `/search` with `statistics=ignore` and without, from the page
//! cache; the best of RUNS. The process runs one thread.

use benches::archive::{fresh, reopened};
use benches::cpu_s;
use benches::index_load::Random;
use engine::clock::ManualClock;
use engine::read::{Archive, Member, Reader};
use engine::recovery::Recovered;
use engine::{LiveArchive, SealStep, StorageSettings};
use retrieval_server::{HttpSettings, Plain, ServerState, answer, from_query};
use sample::{ChannelName, EventKind, Sample, Timestamp, Value, Week};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

const SECOND_NS: i64 = 1_000_000_000;
const WEEK_S: i64 = 7 * 86_400;
/// Monday 2025-01-06.
const START: Timestamp = Timestamp(1_736_121_600 * SECOND_NS);
/// Samples of each channel between two commits.
const BATCH: i64 = 600;
const RUNS: usize = 5;
const BURST: i64 = 100;

/// As in `archengine`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let weeks = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(52);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let recovered = filled(directory.path(), weeks);
    let samples = 2 * weeks * WEEK_S;
    let tables = recovered.shared.view().tables.len();
    println!("{samples} samples of 2 channels in {weeks} weeks, {tables} tables");
    let archive: Arc<dyn Archive> = Arc::new(LiveArchive::new(recovered.shared.clone()));
    let reader = Reader::new(vec![Member { name: String::new(), priority: 1, archive }]);
    let state = ServerState::new(reader, None, HttpSettings::default());
    println!(
        "{:<28} {:>10} {:>11} {:>11} {:>8} {:>11} {:>11} {:>8}",
        "", "intervals", "scan CPU ms", "search", "ratio", "scan ms", "search", "ratio"
    );
    for (what, condition) in [
        ("0.001 %, bursts of 100", "QUIET > 100"),
        ("0.001 %, anywhere", "QUIET < -100"),
        ("1 %, anywhere", "SPIKES > 100"),
        ("50 %", "QUIET > 0"),
        ("nothing", "QUIET > 1000"),
    ] {
        measure(&state, what, condition, weeks);
    }
}

fn measure(state: &ServerState, what: &str, condition: &str, weeks: i64) {
    let to = START.0 + weeks * WEEK_S * SECOND_NS;
    let ask = |statistics: &str| {
        let query = format!("from_ns={}&to_ns={to}&where={condition}&statistics={statistics}", START.0);
        let pairs = from_query(&query).expect("a query");
        let mut bytes = Vec::new();
        answer(state, "/api/v1/search", &pairs, &mut Plain(&mut bytes)).expect("an answer");
        bytes
    };
    let (mut scan, mut search) = ((f64::INFINITY, f64::INFINITY), (f64::INFINITY, f64::INFINITY));
    let expected = ask("ignore");
    assert_eq!(expected, ask("use"), "both find the same");
    for _ in 0..RUNS {
        for (statistics, best) in [("ignore", &mut scan), ("use", &mut search)] {
            let (cpu, wall) = (cpu_s(), Instant::now());
            let found = ask(statistics);
            *best = (best.0.min(cpu_s() - cpu), best.1.min(wall.elapsed().as_secs_f64()));
            assert_eq!(found.len(), expected.len());
        }
    }
    let found: serde_json::Value = serde_json::from_slice(&expected).expect("JSON");
    let intervals = found["intervals"].as_array().expect("intervals").len();
    let ms = |seconds: f64| format!("{:.2}", seconds * 1e3);
    println!(
        "{what:<28} {intervals:>10} {:>11} {:>11} {:>8.2} {:>11} {:>11} {:>8.2}",
        ms(scan.0),
        ms(search.0),
        scan.0 / search.0,
        ms(scan.1),
        ms(search.1),
        scan.1 / search.1
    );
}

/// Values of both channels, second by second.
struct Values {
    random: Random,
    /// Samples of a burst that are still to come.
    burst: i64,
}

impl Values {
    fn noise(&mut self) -> f64 {
        (0..4).map(|_| self.random.below(1 << 20) as f64 / (1 << 20) as f64 - 0.5).sum()
    }

    fn next(&mut self, second: i64) -> (f64, f64) {
        let rounded = |value: f64| (value * 1e3).round() / 1e3;
        let wave = 5.0 * (second as f64 / 7200.0 * std::f64::consts::TAU).sin();
        let mut quiet = wave + self.noise();
        if self.random.below(100_000 * BURST as u64) == 0 {
            self.burst = BURST;
        }
        if self.burst > 0 {
            self.burst -= 1;
            quiet += 200.0;
        } else if self.random.below(100_000) == 0 {
            quiet -= 200.0;
        }
        let spike = if self.random.below(100) == 0 { 200.0 } else { 0.0 };
        (rounded(quiet), rounded(self.noise() + spike))
    }
}

/// An archive of sealed weeks, opened a month after its newest sample.
fn filled(directory: &Path, weeks: i64) -> Recovered {
    let started = Instant::now();
    let clock = ManualClock::new(START);
    let mut opened = fresh(directory, &clock, StorageSettings::default());
    let writer = &mut opened.writer;
    writer.at(START);
    let ids = ["QUIET", "SPIKES"].map(|name| {
        let id = writer.register(&ChannelName::parse(name).expect("a name"));
        writer.event(id, START, EventKind::Started);
        writer.event(id, START, EventKind::Connected { host: "generated:0".into() });
        id
    });
    let mut values = Values { random: Random(11), burst: 0 };
    for begin in (0..weeks * WEEK_S).step_by(BATCH as usize) {
        let end = Timestamp(START.0 + (begin + BATCH) * SECOND_NS);
        clock.set(end);
        writer.at(end);
        for second in begin..begin + BATCH {
            let time = Timestamp(START.0 + second * SECOND_NS);
            let (quiet, spikes) = values.next(second);
            for (id, value) in ids.into_iter().zip([quiet, spikes]) {
                writer.append(id, Sample::new(time, Value::Float64(value)), second == 0);
            }
        }
        writer.heartbeat();
        writer.commit();
        opened.keeper.write_log().expect("the log takes it");
        let shared = opened.keeper.shared();
        let full = shared.memory.load(Ordering::Relaxed) >= shared.settings.memtable_bytes;
        if full || begin + BATCH >= weeks * WEEK_S {
            let frozen = writer.freeze().expect("samples to flush");
            opened.keeper.flush(frozen).expect("a flush");
        }
    }
    opened.keeper.sync_log().expect("a sync");
    drop(opened);
    let filled = started.elapsed().as_secs_f64();
    let now = Timestamp(START.0 + (weeks + 4) * WEEK_S * SECOND_NS);
    let recovered = reopened(directory, now, StorageSettings::default());
    let mut week = Week::containing(START);
    for _ in 0..weeks {
        while !matches!(recovered.keeper.seal_week(week, &|| false).expect("a seal"), SealStep::Sealed(_)) {}
        week = week.next();
    }
    while recovered.keeper.index(&|| false).expect("an index") {}
    println!("filled in {filled:.0} s, sealed in {:.0} s", started.elapsed().as_secs_f64() - filled);
    recovered
}
