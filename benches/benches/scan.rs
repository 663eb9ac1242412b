//! Samples per second of reading whole channels through the reader, before and after a week is sealed.
//!
//! `cargo bench -p benches --bench scan [-- DAYS]`: the first DAYS (1) of the standard mix go into an archive the
//! way received samples do. Every channel is read over all its time through the one interface that HTTP answers
//! are made from, runs merged by time and rank: as flushed, as merged, as sealed. Beside it the same chunks
//! decoded one by one without a reader, a copy of the same columns in memory, and a plain read of the same files
//! (from the page cache). CPU time of the one thread; the best of three. Then the same through the reader with a
//! second processor that decodes ahead: its wall and CPU time as parts of those without, the quickest of three.

use archtool::generate::{DataSet, Preset, fill::fill};
use benches::archive::{decode_all, reopened};
use benches::{best_cpu_s, best_wall_s};
use engine::read::{Archive, ChannelFilter, Crew, Member, Reader, Scan};
use engine::recovery::Recovered;
use engine::{LiveArchive, SealStep, StorageSettings};
use sample::{TimeRange, Timestamp, Week};
use std::hint::black_box;
use std::sync::Arc;

const WEEK_NS: i64 = 7 * 86_400_000_000_000;
const RUNS: usize = 3;
/// Bytes of a memtable: as many flushes as a day of the mix deserves.
const MEMTABLE_BYTES: usize = 16 << 20;
/// Bytes of one sample's columns in memory: time, value, rank, severity, status.
const COLUMN_BYTES: usize = 8 + 8 + 4 + 1 + 2;

/// As in `archengine`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let days = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(1);
    let set = DataSet { days, ..DataSet::of(Preset::StandardMix) };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let settings = StorageSettings { memtable_bytes: MEMTABLE_BYTES, ..StorageSettings::default() };
    let filled = fill(&set, directory.path(), settings, &mut |_| {}).expect("a fresh archive");
    println!("{} samples of {} channels; M samples/s per core", filled.stored, filled.channels);
    println!(
        "{:<8} {:>7} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10}",
        "", "tables", "reader", "chunks", "read", "memcpy", "ahead wall", "CPU"
    );
    let recovered = {
        let settings = StorageSettings { merge_fan_in: 4, ..StorageSettings::default() };
        reopened(directory.path(), Timestamp(set.start().0 + 3 * WEEK_NS), settings)
    };
    measure("flushed", &recovered, filled.stored);
    while recovered.keeper.merge(&|| false).expect("a merge") {}
    measure("merged", &recovered, filled.stored);
    let week = Week::containing(set.start());
    while !matches!(recovered.keeper.seal_week(week, &|| false).expect("a seal"), SealStep::Sealed(_)) {}
    measure("sealed", &recovered, filled.stored);
}

fn measure(state: &str, recovered: &Recovered, samples: u64) {
    let archive: Arc<dyn Archive> = Arc::new(LiveArchive::new(recovered.shared.clone()));
    let reader = Reader::new(vec![Member { name: String::new(), priority: 1, archive }]);
    let all = ChannelFilter { matches: &|_| true, state: None, after: None, limit: 0 };
    let names: Vec<_> =
        reader.channels(&all).expect("the channels").into_iter().map(|row| row.name).collect();
    let through = |reader: &Reader| {
        let scan = Scan::ascending(TimeRange::ALL);
        let mut read = 0;
        for name in &names {
            let view = reader.view(name, TimeRange::ALL).expect("a view").expect("a channel");
            for block in view.samples(&scan) {
                read += black_box(block.expect("a block")).len() as u64;
            }
        }
        assert_eq!(read, samples, "every sample once");
    };
    let through_reader = best_cpu_s(RUNS, || through(&reader));
    let alone = best_wall_s(RUNS, || through(&reader));
    let ahead = reader.decoding_ahead(Arc::new(Crew::new(1)));
    let ahead = best_wall_s(RUNS, || through(&ahead));
    let view = recovered.shared.view();
    let chunks = best_cpu_s(RUNS, || decode_all(&view.tables));
    let files = best_cpu_s(RUNS, || {
        for table in &view.tables {
            black_box(std::fs::read(table.path()).expect("the file"));
        }
    });
    let (from, mut to) = (vec![1.0; 8192], vec![0.0; 8192]);
    let copies = samples as usize * COLUMN_BYTES / (8 * from.len());
    let copied = best_cpu_s(RUNS, || {
        (0..copies).for_each(|_| black_box(&mut to).copy_from_slice(black_box(&from)));
    });
    let rate = |seconds: f64| format!("{:.1}", samples as f64 / seconds / 1e6);
    println!(
        "{state:<8} {:>7} {:>10} {:>10} {:>10} {:>10} {:>9.0}% {:>9.0}%",
        view.tables.len(),
        rate(through_reader),
        rate(chunks),
        rate(files),
        rate(copied),
        100.0 * ahead.0 / alone.0,
        100.0 * ahead.1 / alone.1
    );
}
