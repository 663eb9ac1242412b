//! CPU per sample from a source's batches to merged SSTables, log included, beside raw writes of the same bytes.
//!
//! `cargo bench -p benches --bench ingest [-- --share N] [--flushes N] [--channels N]`: the standard mix (an N-th of
//! its week with `--share`; with `--channels` that many channels at 10 Hz for 60 s instead) through the rules and the
//! writer in batches in order of time, one sync of the log per second of CPU time, the memtable so small that there
//! are `--flushes` (1000) of them, merges carried out as they fall due, until none is left. Making the samples is not
//! counted. CPU time of the whole process, all work on one thread.

use archtool::generate::standard_mix::SAMPLES;
use archtool::generate::{DataSet, GeneratedChannel, Preset, Reading, Timeline};
use benches::cpu_s;
use disk::{Disk, RealDisk};
use engine::clock::ManualClock;
use engine::config::ChannelSettings;
use engine::recovery::{Opening, Recovered, open};
use engine::source::{Arrival, Sink, Source};
use engine::{Ingest, IngestGauges, Intake, Keeper, StorageSettings};
use sample::{ChannelId, ChannelName, EventKind, Timestamp};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// As in `archengine`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Data time of one batch.
const WINDOW_NS: i64 = 10_000_000_000;
/// Bytes of a scalar sample in the memtable's account.
const ROW_BYTES: u64 = 32;
/// Bytes of a sample before anything is done to it: time, value, severity and status.
const RAW_BYTES: f64 = 24.0;
/// How far ahead of a sample the source announces its channel, as the Channel Access source does.
const AHEAD: usize = 8;

fn main() {
    let (mut share, mut flushes, mut channels) = (1u64, 1000u64, 0usize);
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(argument) = arguments.next() {
        let number = arguments.next().and_then(|text| text.parse().ok()).filter(|number| *number > 0);
        let number: u64 = number.unwrap_or_else(|| panic!("{argument} needs a number"));
        match argument.as_str() {
            "--share" => share = number,
            "--flushes" => flushes = number,
            "--channels" => channels = usize::try_from(number).unwrap_or(usize::MAX),
            other => panic!("unknown argument {other}: --share N, --flushes N or --channels N"),
        }
    }
    let load = if channels > 0 { Load::even(channels) } else { Load::mix(share) };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let log_bytes = Run::begin(directory.path(), &load, flushes).carry_out(load);
    raw(directory.path(), log_bytes);
}

/// What is received.
struct Load {
    start: Timestamp,
    /// Samples end here.
    end_ns: i64,
    /// About how many there are.
    samples: u64,
    channels: Vec<GeneratedChannel>,
}

impl Load {
    fn mix(share: u64) -> Load {
        let set = DataSet::of(Preset::StandardMix);
        let length = i64::from(set.days) * 86_400_000_000_000 / share as i64;
        let (start, channels) = (set.start(), set.channels());
        Load { start, end_ns: start.0 + length, samples: SAMPLES / share, channels }
    }

    /// Channels at 10 Hz, one after the other in every period.
    fn even(channels: usize) -> Load {
        let start = DataSet::of(Preset::StandardMix).start();
        let channel = |number: usize| {
            let readings = (0..600).map(move |tick| Reading {
                time_ns: start.0 + tick * 100_000_000 + number as i64 * 7,
                value: (tick % 1000) as f64 * 0.01 + number as f64,
                severity: sample::Severity::NoAlarm,
                status: 0,
            });
            let name = format!("BENCH:{number:06}");
            GeneratedChannel { name, metadata: sample::Metadata::default(), readings: Box::new(readings) }
        };
        Load {
            start,
            end_ns: start.0 + 60_000_000_000,
            samples: channels as u64 * 600,
            channels: (0..channels).map(channel).collect(),
        }
    }
}

type Waiting = Arc<Mutex<Vec<(ChannelId, Timestamp, Arrival)>>>;

/// Delivers what was put into its queue.
struct Prepared(Waiting);

impl Source for Prepared {
    fn add(&mut self, _: ChannelId, _: &ChannelName, _: &ChannelSettings) {}

    fn remove(&mut self, _: ChannelId) {}

    fn receive(&mut self, _: Duration, sink: &mut dyn Sink) -> usize {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for at in 0..waiting.len() {
            if let Some((ahead, ..)) = waiting.get(at + AHEAD) {
                sink.expect(*ahead);
            }
            let (channel, received, arrival) = &mut waiting[at];
            sink.arrive(*channel, *received, arrival);
        }
        let count = waiting.len();
        waiting.clear();
        count
    }

    fn queue_bytes(&self) -> (u64, u64) {
        (0, u64::MAX)
    }

    fn searches(&self) -> u64 {
        0
    }
}

/// CPU seconds of each kind of work.
#[derive(Clone, Copy, Default)]
struct Spent {
    append: f64,
    log: f64,
    flush: f64,
    merge: f64,
}

impl Spent {
    fn all(&self) -> f64 {
        self.append + self.log + self.flush + self.merge
    }
}

struct Run {
    clock: ManualClock,
    ingest: Ingest,
    waiting: Waiting,
    keeper: Keeper,
    directory: std::path::PathBuf,
    memtable_bytes: usize,
    synced: f64,
    spent: Spent,
    flushes: u64,
    merges: u64,
    samples: u64,
    peak_bytes: u64,
    log_bytes: u64,
}

impl Run {
    fn begin(directory: &Path, load: &Load, flushes: u64) -> Run {
        let clock = ManualClock::new(load.start);
        let memtable_bytes = usize::try_from(load.samples * ROW_BYTES / flushes).unwrap_or(usize::MAX);
        let directory = directory.join("archive");
        let settings = StorageSettings {
            memtable_bytes: memtable_bytes.max(64 << 10),
            segment_bytes: 4 << 20,
            reserve_bytes: 0,
            grace_ns: 0,
            ..StorageSettings::default()
        };
        let Recovered { writer, keeper, .. } = open(Opening {
            disk: Arc::new(RealDisk),
            clock: Arc::new(clock.clone()),
            directory: directory.clone(),
            create: true,
            pinned: None,
            fresh_id: None,
            settings,
        })
        .expect("a fresh archive");
        let waiting = Waiting::default();
        let source = Box::new(Prepared(waiting.clone()));
        let intake = Intake::new(1_800_000_000_000, false);
        let ingest = Ingest::new(writer, intake, source, Arc::new(IngestGauges::default()));
        Run {
            clock,
            ingest,
            waiting,
            keeper,
            directory,
            memtable_bytes,
            synced: 0.0,
            spent: Spent::default(),
            flushes: 0,
            merges: 0,
            samples: 0,
            peak_bytes: 0,
            log_bytes: 0,
        }
    }

    fn register(&mut self, channels: &[GeneratedChannel], start: Timestamp) -> Vec<ChannelId> {
        self.ingest.writer.at(start);
        let settings = Arc::new(ChannelSettings::default());
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let ids = channels.iter().map(|channel| {
            let id = self.ingest.writer.register(&ChannelName::stored(&channel.name).expect("a name"));
            self.ingest.writer.event(id, start, EventKind::Started);
            self.ingest.intake.configure(id, settings.clone());
            let connected =
                Arrival::Connected { host: "bench:5064".into(), readable: true, metadata_follows: true };
            waiting.push((id, start, connected));
            waiting.push((id, start, Arrival::Metadata(Box::new(channel.metadata.clone()))));
            id
        });
        ids.collect()
    }

    /// Receives everything; returns the bytes that the log took.
    fn carry_out(mut self, load: Load) -> u64 {
        let Load { start, end_ns, samples: about, channels } = load;
        let ids = self.register(&channels, start);
        let mut timeline = Timeline::new(channels, WINDOW_NS);
        let (mut window, mut tenths) = (Vec::new(), vec![(0, Spent::default())]);
        while let Some(end) = timeline.next_window(&mut window) {
            if end > end_ns {
                break;
            }
            window.sort_by_key(|(_, reading)| reading.time_ns);
            self.samples += window.len() as u64;
            let arrivals = window.iter().map(|(position, reading)| {
                (ids[*position], Timestamp(reading.time_ns), Arrival::Sample(reading.sample()))
            });
            self.waiting.lock().unwrap_or_else(PoisonError::into_inner).extend(arrivals);
            self.clock.set(Timestamp(end));
            self.batch(false);
            if self.samples >= tenths.len() as u64 * about / 10 {
                tenths.push((self.samples, self.spent));
            }
        }
        self.batch(true);
        tenths.push((self.samples, self.spent));
        self.report(&tenths);
        self.log_bytes
    }

    fn batch(&mut self, last: bool) {
        let shared = self.ingest.writer.shared().clone();
        let mut before = cpu_s();
        let mut spent = || {
            let now = cpu_s();
            now - std::mem::replace(&mut before, now)
        };
        self.ingest.turn();
        self.spent.append += spent();
        self.log_bytes += shared.log.waiting();
        self.keeper.write_log().expect("the log is written");
        self.spent.log += spent();
        if self.spent.all() - self.synced >= 1.0 || last {
            spent();
            self.keeper.sync_log().expect("the log is synced");
            self.spent.log += spent();
            self.synced = self.spent.all();
        }
        if shared.memory.load(Ordering::Relaxed) >= self.memtable_bytes || last {
            spent();
            let frozen = self.ingest.freeze().expect("between batches");
            self.keeper.flush(frozen).expect("a flush");
            self.spent.flush += spent();
            self.flushes += 1;
            while self.merge() {}
        }
    }

    fn merge(&mut self) -> bool {
        let before = cpu_s();
        let merged = self.keeper.merge(&|| false).expect("a merge");
        self.spent.merge += cpu_s() - before;
        self.merges += u64::from(merged);
        // Old and new tables together.
        self.peak_bytes = self.peak_bytes.max(disk_bytes(&self.directory));
        let before = cpu_s();
        self.keeper.remove_dropped().expect("merged tables are removed");
        self.spent.merge += cpu_s() - before;
        merged
    }

    fn report(&self, tenths: &[(u64, Spent)]) {
        let samples = self.samples as f64;
        let manifest = self.ingest.writer.shared().view().manifest.clone();
        let tables: u64 = manifest.tables.iter().map(|table| table.len).sum();
        println!(
            "{} samples, {} flushes, {} merges; {} tables hold {:.3} bytes/sample; merge debt {} bytes",
            self.samples,
            self.flushes,
            self.merges,
            manifest.tables.len(),
            tables as f64 / samples,
            self.keeper.merge_debt()
        );
        let ns = |s: f64| s * 1e9 / samples;
        let Spent { append, log, flush, merge } = self.spent;
        println!(
            "CPU per sample: append {:.1} ns, log {:.1} ns, flush {:.1} ns, merges {:.1} ns, together {:.1} ns = {:.2} M samples/s per core",
            ns(append),
            ns(log),
            ns(flush),
            ns(merge),
            ns(self.spent.all()),
            samples / self.spent.all() / 1e6
        );
        let rate =
            |pair: &[(u64, Spent)]| (pair[1].0 - pair[0].0) as f64 / (pair[1].1.all() - pair[0].1.all());
        let rates: Vec<f64> = tenths.windows(2).take(10).map(rate).collect();
        let (first, last) = (rates[0], rates[rates.len() - 1]);
        println!(
            "last tenth {:.0} % of the first: {:.2?} M/s",
            last / first * 100.0,
            rates.iter().map(|r| r / 1e6).collect::<Vec<_>>()
        );
        let (flushed, merged) = (self.keeper.bytes_written(), self.keeper.bytes_merged());
        let each = |bytes: u64| bytes as f64 / samples;
        println!(
            "written: log {:.2}, flushes {:.2}, merges {:.2}, with manifests {:.2} bytes/sample, {:.2} times the {RAW_BYTES} raw ones",
            each(self.log_bytes),
            each(flushed),
            each(merged),
            each(written_bytes()),
            each(written_bytes()) / RAW_BYTES
        );
        let end = disk_bytes(&self.directory);
        println!(
            "disk: at most {:.1} MB, at the end {:.1} MB ({:.2} times)",
            self.peak_bytes as f64 / 1e6,
            end as f64 / 1e6,
            self.peak_bytes as f64 / end as f64
        );
    }
}

/// Bytes that this process has written to files so far, as the operating system counts them.
fn written_bytes() -> u64 {
    let counters = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let wchar = counters.lines().find_map(|line| line.strip_prefix("wchar: "));
    wchar.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Bytes of all files below.
fn disk_bytes(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry"));
    entries
        .map(|entry| match entry.metadata() {
            Ok(found) if found.is_dir() => disk_bytes(&entry.path()),
            found => found.map_or(0, |found| found.len()),
        })
        .sum()
}

/// The same bytes as the log took, in one file, for comparison.
fn raw(directory: &Path, bytes: u64) {
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
