//! What a million channels cost: memory, bytes a channel and week, a restart, one question asked cold.
//!
//! `cargo bench -p benches --bench channels [-- CHANNELS SAMPLES_PER_CHANNEL]` (100000 8; a million takes several
//! minutes): every channel gets so many samples, spread over a week, round robin, through the normal write path; the
//! week is merged, sealed, indexed. Cold means that the operating system was asked to forget every file.

use benches::cpu_s;
use benches::index_load::{Random, name};
use disk::RealDisk;
use engine::clock::{Clock, ManualClock};
use engine::read::{Archive, ChannelFilter, Member, Reader};
use engine::recovery::{Opening, Recovered, open};
use engine::{Connector, ForeignArchive, Frozen, Keeper, Outcome, SealStep, Shared, StorageSettings, Writer};
use sample::{ChannelId, EventKind, Sample, TimeRange, Timestamp, Value, WEEK_NS};
use sstable::{Scan, ScannedContent};
use std::alloc::{GlobalAlloc, Layout};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// Monday 2026-11-16.
const MONDAY: i64 = 1_794_787_200_000_000_000;
/// Samples of one batch: what arrives in 10 ms.
const BATCH: usize = 2000;
/// Batches between two hand-overs of the log.
const LOG_EVERY: usize = 50;
/// Questions asked cold.
const QUESTIONS: usize = 11;

/// The allocator of `archengine`, with the bytes that are in use counted.
struct Counting;

static IN_USE: AtomicI64 = AtomicI64::new(0);

#[expect(unsafe_code, reason = "an allocator that counts has to be one")]
// SAFETY: everything is handed on to mimalloc.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: the caller's.
        unsafe { mimalloc::MiMalloc.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: the caller's.
        unsafe { mimalloc::MiMalloc.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        IN_USE.fetch_add(size as i64 - layout.size() as i64, Ordering::Relaxed);
        // SAFETY: the caller's.
        unsafe { mimalloc::MiMalloc.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let channels = numbers.first().copied().unwrap_or(100_000).max(100);
    let samples = numbers.get(1).copied().unwrap_or(8).max(1);
    let folder = tempfile::tempdir().expect("a temporary directory");
    let directory = folder.path().join("archive");
    let clock = ManualClock::new(Timestamp(MONDAY));
    fill(&directory, &clock, channels, samples);
    bytes(&directory, &clock, channels);
    forget(&directory);
    restart(&directory, &clock, channels);
    questions(&directory, &clock, channels);
}

fn opening(directory: &Path, clock: &ManualClock) -> Opening {
    Opening {
        disk: Arc::new(RealDisk),
        clock: Arc::new(clock.clone()),
        directory: directory.to_path_buf(),
        create: true,
        pinned: None,
        fresh_id: None,
        settings: StorageSettings { grace_ns: 0, ..StorageSettings::default() },
    }
}

/// A line of this process's status, in bytes: `VmRSS` now, `VmHWM` at most so far.
fn memory(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let found = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
    let kilobytes = found.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.expect("a size") << 10
}

/// Writes the archive; ends when its week is sealed and indexed.
fn fill(directory: &Path, clock: &ManualClock, channels: u64, samples: u64) {
    let before = IN_USE.load(Ordering::Relaxed);
    let Recovered { shared, mut writer, keeper, .. } =
        open(opening(directory, clock)).expect("a new archive");
    writer.at(clock.now());
    let ids: Vec<_> = (1..=channels)
        .map(|number| {
            let id = writer.register(&name(number));
            writer.event(id, Timestamp(MONDAY), EventKind::Started);
            id
        })
        .collect();
    writer.commit();
    keeper.write_log().expect("the log is written");
    keeper.flush(writer.freeze().expect("between batches")).expect("a flush");
    let idle = (IN_USE.load(Ordering::Relaxed) - before) / channels as i64;
    println!(
        "{channels} channels, {samples} samples each; an idle one has {idle} bytes allocated; the process has {} MiB",
        memory("VmRSS") >> 20
    );

    let total = channels * samples;
    let (begun, cpu) = (Instant::now(), cpu_s());
    beside(&keeper, |beside| ingest((&shared, &keeper, &mut writer), &ids, total, clock, beside));
    assert_eq!(shared.memory.load(Ordering::Relaxed), 0);
    println!(
        "{:.2} us of CPU a sample, merges included; memory at most {} MiB; with all in tables {} bytes allocated a \
         channel, the process has {} MiB",
        (cpu_s() - cpu) * 1e6 / total as f64,
        memory("VmHWM") >> 20,
        (IN_USE.load(Ordering::Relaxed) - before) / channels as i64,
        memory("VmRSS") >> 20
    );
    println!("with flushes and merges: {:.0} samples a second", total as f64 / begun.elapsed().as_secs_f64());
    clock.set(Timestamp(MONDAY + 3 * WEEK_NS));
    let (begun, cpu) = (Instant::now(), cpu_s());
    while keeper.seal(&|| false).expect("a seal") != SealStep::Idle {}
    println!("sealed in {:.1} s ({:.1} s of CPU)", begun.elapsed().as_secs_f64(), cpu_s() - cpu);
    let (begun, cpu) = (Instant::now(), cpu_s());
    while keeper.index(&|| false).expect("an index") {}
    println!("indexed in {:.1} s ({:.1} s of CPU)", begun.elapsed().as_secs_f64(), cpu_s() - cpu);
    keeper.remove_dropped().expect("removed");
    println!("memory at most {} MiB", memory("VmHWM") >> 20);
}

/// Flushes and merges in threads of their own, as in an engine.
struct Background {
    frozen: SyncSender<Frozen>,
    /// Whether a flush is under way.
    flushing: Arc<AtomicBool>,
}

/// Runs `ingest` with flushes and merges beside it; ends when all is written.
fn beside(keeper: &Keeper, ingest: impl FnOnce(&Background)) {
    let (hand_over, frozen) = sync_channel::<Frozen>(1);
    let background = Background { frozen: hand_over, flushing: Arc::default() };
    let (flushing, done) = (background.flushing.clone(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let flusher = scope.spawn(move || {
            for frozen in frozen {
                // The log first: a table must never hold what the log has yet to number.
                keeper.write_log().expect("the log is written");
                keeper.flush(frozen).expect("a flush");
                keeper.remove_dropped().expect("removed");
                flushing.store(false, Ordering::Release);
            }
        });
        scope.spawn(|| {
            loop {
                let last = done.load(Ordering::Acquire);
                if keeper.merge(&|| false).expect("a merge") {
                    continue;
                }
                if last {
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        ingest(&background);
        drop(background);
        flusher.join().expect("a thread");
        done.store(true, Ordering::Release);
    });
}

/// Appends `total` samples, one channel after the other, again and again.
fn ingest(
    (shared, keeper, writer): (&Shared, &Keeper, &mut Writer),
    ids: &[ChannelId],
    total: u64,
    clock: &ManualClock,
    background: &Background,
) {
    let limit = shared.settings.memtable_bytes;
    let memory = || shared.memory.load(Ordering::Relaxed);
    let (begun, mut random, mut sent, mut waited) = (Instant::now(), Random(3), 0u64, Duration::ZERO);
    while sent < total {
        for _ in 0..LOG_EVERY {
            let from = sent;
            let time = MONDAY
                + 10_000_000
                + (i128::from(sent) * i128::from(WEEK_NS - 20_000_000) / i128::from(total)) as i64;
            clock.set(Timestamp(time));
            writer.at(Timestamp(time));
            while sent < total && sent - from < BATCH as u64 {
                let value = Value::Float64(random.below(100_000) as f64 / 100.0);
                let stamp = Timestamp(time - (random.below(5_000_000)) as i64);
                let id = ids[(sent % ids.len() as u64) as usize];
                assert_eq!(writer.append(id, Sample::new(stamp, value), false), Outcome::Stored);
                sent += 1;
            }
            writer.commit();
        }
        keeper.write_log().expect("the log is written");
        keeper.sync_log().expect("the log is synced");
        if memory() >= limit && !background.flushing.swap(true, Ordering::AcqRel) {
            background.frozen.send(writer.freeze().expect("between batches")).expect("a thread");
        }
        // Twice as much is the limit, at which an engine would drop samples.
        let waiting = Instant::now();
        while memory() >= limit * 2 - limit / 8 {
            std::thread::sleep(Duration::from_millis(1));
        }
        waited += waiting.elapsed();
    }
    background.frozen.send(writer.freeze().expect("between batches")).expect("a thread");
    let took = begun.elapsed();
    println!(
        "{total} samples round robin at {:.0} a second, {:.1} s of these {:.1} waiting for flushes",
        total as f64 / took.as_secs_f64(),
        waited.as_secs_f64(),
        took.as_secs_f64(),
    );
}

/// What the week takes for each channel beside its samples.
fn bytes(directory: &Path, clock: &ManualClock, channels: u64) {
    let recovered = open(opening(directory, clock)).expect("the archive");
    let view = recovered.shared.view();
    let mut dictionary = 0;
    for table in &view.tables {
        for block in Scan::open(&RealDisk, table.path()).expect("a table") {
            let block = block.expect("a sound block");
            dictionary += if matches!(block.content, ScannedContent::Dictionary(_)) { block.len } else { 0 };
        }
    }
    let each = |bytes: u64| bytes as f64 / channels as f64;
    let tables: u64 = view.manifest.tables.iter().map(|table| table.len).sum();
    let index: u64 = view.manifest.partition_indexes.iter().map(|of| of.len).sum();
    let master: u64 = view.manifest.master_segments.iter().map(|of| of.len).sum();
    println!(
        "bytes a channel: {} tables {:.1}, of these dictionary {:.1}; partition index {:.1}; both {:.1}; master {:.1}",
        view.tables.len(),
        each(tables),
        each(dictionary),
        each(index),
        each(dictionary + index),
        each(master)
    );
    recovered.keeper.write_log().expect("the log is written");
    recovered.keeper.sync_log().expect("the log is synced");
}

/// Asks the operating system to forget every file below `directory`.
fn forget(directory: &Path) {
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path: PathBuf = entry.expect("an entry").path();
        if path.is_dir() {
            forget(&path);
            continue;
        }
        let file = std::fs::File::open(&path).expect("a file");
        file.sync_all().expect("a sync");
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).expect("advice");
    }
}

/// An engine starts again: it knows every channel's last stamp.
fn restart(directory: &Path, clock: &ManualClock, channels: u64) {
    let (begun, cpu) = (Instant::now(), cpu_s());
    let recovered = open(opening(directory, clock)).expect("the archive");
    let took = begun.elapsed().as_secs_f64();
    let known =
        recovered.shared.directory().slots.iter().flatten().filter(|of| of.lock().newest.is_some()).count();
    assert_eq!(known as u64, channels);
    println!("restart, cold: {took:.2} s ({:.2} s of CPU)", cpu_s() - cpu);
    recovered.keeper.write_log().expect("the log is written");
    recovered.keeper.sync_log().expect("the log is synced");
}

/// Another process opens the archive and asks for one channel's last sample before some time.
fn questions(directory: &Path, clock: &ManualClock, channels: u64) {
    let mut random = Random(11);
    let mut times = Vec::new();
    for _ in 0..QUESTIONS {
        forget(directory);
        let name = name(1 + random.below(channels));
        let time = Timestamp(MONDAY + WEEK_NS / 2 + random.below(WEEK_NS as u64 / 2) as i64);
        let begun = Instant::now();
        let reader = foreign(directory, clock);
        let view = reader.view(&name, TimeRange::new(time, time)).expect("readable").expect("known");
        let edge = view.last_before(time, true).expect("readable").expect("a sample");
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        assert!(edge.time <= time);
    }
    times.sort_by(f64::total_cmp);
    println!(
        "open and answer one edge query, cold: median {:.1} ms, worst {:.1} ms of {QUESTIONS}",
        times[QUESTIONS / 2],
        times[QUESTIONS - 1]
    );
    let begun = Instant::now();
    let all = ChannelFilter { matches: &|_| true, state: None, after: None, limit: 10 };
    assert_eq!(foreign(directory, clock).channels(&all).expect("readable").len(), 10);
    println!("open and list ten channels: {:.2} s", begun.elapsed().as_secs_f64());
}

fn foreign(directory: &Path, clock: &ManualClock) -> Reader {
    let connect: Connector = Box::new(|_| unreachable!("no engine runs"));
    let (disk, clock) = (Arc::new(RealDisk), Arc::new(clock.clone()));
    let archive: Arc<dyn Archive> =
        Arc::new(ForeignArchive::new(disk, clock, directory.to_path_buf(), None, connect));
    Reader::new(vec![Member { name: "a".into(), priority: 1, archive }])
}
