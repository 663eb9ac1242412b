//! CPU per sample of the way from a source's batch to SSTables, log and flush included, beside raw writes.
//!
//! `cargo bench -p benches --bench ingest [-- CHANNELS SECONDS_OF_DATA MEMTABLE_MIB]`: channels at 10 Hz in batches of
//! 1000, one log sync per second of data, a flush whenever the memtable is full. In the same run the
//! same number of bytes as the log took are written raw.

use benches::cpu_s;
use disk::{Disk, RealDisk};
use engine::clock::{Clock, ManualClock};
use engine::recovery::{Opening, Recovered, open};
use engine::{Outcome, StorageSettings};
use sample::{ChannelName, Sample, Timestamp, Value};
use std::sync::Arc;
use std::sync::atomic::Ordering;

const START: i64 = 1_794_787_200_000_000_000;

/// As in `archengine`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let channels = numbers.first().copied().unwrap_or(10_000);
    let seconds = numbers.get(1).copied().unwrap_or(60);
    let memtable = numbers.get(2).map_or(32 << 20, |mib| (*mib as usize) << 20);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let clock = ManualClock::new(Timestamp(START));
    let opening = Opening {
        disk: Arc::new(RealDisk),
        clock: Arc::new(clock.clone()),
        directory: directory.path().join("archive"),
        create: true,
        pinned: None,
        fresh_id: None,
        settings: StorageSettings { memtable_bytes: memtable, ..StorageSettings::default() },
    };
    let Recovered { shared, mut writer, keeper, .. } = open(opening).expect("a fresh archive");
    writer.at(clock.now());
    let ids: Vec<_> = (0..channels)
        .map(|i| writer.register(&ChannelName::stored(&format!("BENCH:{i:06}")).expect("a name")))
        .collect();
    writer.commit();

    let (mut append_s, mut log_s, mut flush_s, mut samples) = (0.0, 0.0, 0.0, 0u64);
    for tick in 0..seconds * 10 {
        let time = START + tick as i64 * 100_000_000;
        clock.set(Timestamp(time));
        let before = cpu_s();
        for batch in ids.chunks(1000) {
            writer.at(Timestamp(time));
            for (i, id) in batch.iter().enumerate() {
                let value = Value::Float64((tick % 1000) as f64 * 0.01 + i as f64);
                let sample = Sample::new(Timestamp(time + (i as i64) * 37), value);
                assert_eq!(writer.append(*id, sample, false), Outcome::Stored);
                samples += 1;
            }
            writer.commit();
        }
        append_s += cpu_s() - before;
        let before = cpu_s();
        keeper.write_log().expect("the log is written");
        if tick % 10 == 9 {
            keeper.sync_log().expect("the log is synced");
        }
        log_s += cpu_s() - before;
        if shared.memory.load(Ordering::Relaxed) >= memtable || tick + 1 == seconds * 10 {
            let before = cpu_s();
            let frozen = writer.freeze().expect("between batches");
            keeper.flush(frozen).expect("a flush");
            flush_s += cpu_s() - before;
        }
    }
    let tables: u64 = shared.view().manifest.tables.iter().map(|t| t.len).sum();
    let ns = |s: f64| s * 1e9 / samples as f64;
    println!(
        "{samples} samples of {channels} channels, {} tables, {:.2} bytes/sample in tables",
        shared.view().manifest.tables.len(),
        tables as f64 / samples as f64
    );
    println!(
        "CPU per sample: append {:.0} ns, log {:.0} ns, flush {:.0} ns, together {:.0} ns = {:.2} M samples/s per core",
        ns(append_s),
        ns(log_s),
        ns(flush_s),
        ns(append_s + log_s + flush_s),
        samples as f64 / (append_s + log_s + flush_s) / 1e6
    );
    raw(directory.path(), samples * 20);
}

/// The same bytes as the log took, in one file, for comparison.
fn raw(directory: &std::path::Path, bytes: u64) {
    let file = RealDisk.create(&directory.join("raw")).expect("a file");
    let block = vec![7u8; 1 << 20];
    let before = cpu_s();
    for i in 0..bytes >> 20 {
        file.write_at(i << 20, &block).expect("a write");
    }
    file.sync().expect("a sync");
    println!(
        "raw write of {} MiB: {:.2} ms CPU per MB",
        bytes >> 20,
        (cpu_s() - before) * 1e3 / (bytes as f64 / 1e6)
    );
}
