//! Samples per second of opening an archive whose samples stand in the log alone, beside reading its bytes.
//!
//! `cargo bench -p benches --bench recovery [-- CHANNELS MIB_OF_LOG]`: channels at 10 Hz in batches of 1000, never
//! flushed; then the archive is opened as after a crash. In the same run the log's bytes are read with their checksum.

use benches::cpu_s;
use disk::RealDisk;
use engine::clock::{Clock, ManualClock};
use engine::recovery::{Opening, Recovered, open};
use engine::{Outcome, StorageSettings};
use sample::{ChannelName, Sample, Timestamp, Value};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

const START: i64 = 1_794_787_200_000_000_000;

fn opening(directory: &Path, clock: &ManualClock) -> Opening {
    let settings = StorageSettings { memtable_bytes: 8 << 30, ..StorageSettings::default() };
    Opening {
        disk: Arc::new(RealDisk),
        clock: Arc::new(clock.clone()),
        directory: directory.join("archive"),
        create: true,
        pinned: None,
        fresh_id: None,
        settings,
    }
}

fn log_bytes(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory.join("archive/wal")).expect("the log's directory");
    entries.map(|entry| entry.expect("an entry").metadata().expect("its size").len()).sum()
}

/// Writes samples until the log has `mib`; returns how many.
fn fill(directory: &Path, clock: &ManualClock, channels: u64, mib: u64) -> u64 {
    let Recovered { mut writer, keeper, .. } = open(opening(directory, clock)).expect("a fresh archive");
    writer.at(clock.now());
    let ids: Vec<_> = (0..channels)
        .map(|i| writer.register(&ChannelName::stored(&format!("BENCH:{i:06}")).expect("a name")))
        .collect();
    writer.commit();
    let (mut samples, mut tick) = (0, 0i64);
    while log_bytes(directory) < mib << 20 {
        let time = START + tick * 100_000_000;
        clock.set(Timestamp(time));
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
        keeper.write_log().expect("the log is written");
        tick += 1;
    }
    keeper.sync_log().expect("the log is synced");
    samples
}

/// As in `archengine`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let channels = numbers.first().copied().unwrap_or(10_000);
    let mib = numbers.get(1).copied().unwrap_or(1024);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let clock = ManualClock::new(Timestamp(START));
    let samples = fill(directory.path(), &clock, channels, mib);
    let bytes = log_bytes(directory.path());
    println!("{samples} samples of {channels} channels in {} MiB of log", bytes >> 20);
    for _ in 0..2 {
        let (cpu, wall) = (cpu_s(), Instant::now());
        let recovered = open(opening(directory.path(), &clock)).expect("an archive");
        let (cpu, wall) = (cpu_s() - cpu, wall.elapsed().as_secs_f64());
        println!(
            "opening: {:.2} s, {:.2} CPU s, {:.2} M samples/s ({:.2} per core), {} records",
            wall,
            cpu,
            samples as f64 / wall / 1e6,
            samples as f64 / cpu / 1e6,
            recovered.report.records
        );
        assert!(recovered.report.cuts.is_empty(), "{:?}", recovered.report.cuts);
    }
    read(&directory.path().join("archive/wal"), bytes);
}

/// The same bytes read and summed, for comparison.
fn read(log: &Path, bytes: u64) {
    let wall = Instant::now();
    let mut sum = 0;
    for entry in std::fs::read_dir(log).expect("the log's directory") {
        sum ^= crc32fast::hash(&std::fs::read(entry.expect("an entry").path()).expect("a segment"));
    }
    let wall = wall.elapsed().as_secs_f64();
    println!("reading with checksum: {:.2} s, {:.0} MB/s (sum {sum:08x})", wall, bytes as f64 / wall / 1e6);
}
