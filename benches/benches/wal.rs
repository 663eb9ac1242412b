//! Write speed of the log beside raw sequential writes of the same bytes to the same file system.
//!
//! `cargo bench -p benches --bench wal [-- MIB [ROUNDS]]` (2048, 5): batches of 1000 samples of 1000 channels are
//! encoded once; their records are appended, handed over and synced every 64 MiB, as are raw pre-allocated files of
//! 64 MiB. Rounds of both alternate; the best of each counts. Directory: `TMPDIR`.

use benches::cpu_s;
use disk::{Disk, RealDisk};
use engine::identity::ArchiveId;
use engine::wal::{BatchEncoder, Buffer, Placement, Settings, Writer, replay};
use sample::{ChannelId, Sample, Timestamp, Value};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

const START: i64 = 1_794_787_200_000_000_000;
const BATCH: u64 = 1000;
/// Bytes of a segment, of a raw file, and between two syncs.
const PIECE: u64 = 64 << 20;
/// Bytes handed to the operating system at once, about what gathers in 20 ms at 100,000 updates/s and more.
const HAND_OVER: u64 = 1 << 20;
const ARCHIVE: ArchiveId = ArchiveId(1);

fn main() {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let bytes = numbers.first().copied().unwrap_or(2048) << 20;
    let rounds = numbers.get(1).copied().unwrap_or(5);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let payload = payload();
    println!("{} bytes a sample in the log", payload.len() as f64 / BATCH as f64);
    let (mut log, mut raw) = (Figures::WORST, Figures::WORST);
    for _ in 0..rounds {
        log = log.better(measure(bytes, || write_log(&directory.path().join("wal"), &payload, bytes)));
        raw = raw.better(measure(bytes, || write_raw(&directory.path().join("raw"), bytes)));
    }
    println!("log: {:.0} MB/s, {:.3} ms of CPU per MB", log.mb_s, log.cpu_ms);
    println!("raw: {:.0} MB/s, {:.3} ms of CPU per MB", raw.mb_s, raw.cpu_ms);
    println!("log / raw: {:.0} % of the speed", log.mb_s / raw.mb_s * 100.0);
}

/// Speed by the clock on the wall; CPU time per 10^6 bytes.
#[derive(Clone, Copy)]
struct Figures {
    mb_s: f64,
    cpu_ms: f64,
}

impl Figures {
    const WORST: Figures = Figures { mb_s: 0.0, cpu_ms: f64::INFINITY };

    fn better(self, other: Figures) -> Figures {
        Figures { mb_s: self.mb_s.max(other.mb_s), cpu_ms: self.cpu_ms.min(other.cpu_ms) }
    }
}

fn measure(bytes: u64, write: impl FnOnce()) -> Figures {
    let (wall, cpu) = (Instant::now(), cpu_s());
    write();
    let mb = bytes as f64 / 1e6;
    Figures { mb_s: mb / wall.elapsed().as_secs_f64(), cpu_ms: (cpu_s() - cpu) * 1e3 / mb }
}

/// One batch as the engine's writer encodes it.
fn payload() -> Vec<u8> {
    let mut batch = BatchEncoder::new();
    for i in 0..BATCH {
        let sample = Sample::new(Timestamp(START + i as i64 * 10_007), Value::Float64(i as f64 * 0.37));
        batch.sample(ChannelId(1 + i), Placement::InOrder, &sample);
    }
    batch.bytes().to_vec()
}

fn write_log(directory: &Path, payload: &[u8], bytes: u64) {
    std::fs::create_dir_all(directory).expect("a directory");
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let found = replay(&*disk, directory, ARCHIVE, 1, &mut |_, _| {}).expect("an empty log");
    let settings = Settings { segment_bytes: PIECE };
    let mut log = Writer::resume(disk, directory, ARCHIVE, settings, &found, 1).expect("a log");
    let buffer = Buffer::new(256 << 20, log.first_sequence(), Timestamp(START));
    let (mut appended, mut synced, mut time) = (0, 0, START);
    while appended < bytes {
        time += 10_000_000;
        buffer.append(payload, Timestamp(time)).expect("room in the buffer");
        let waiting = buffer.waiting();
        if waiting >= HAND_OVER {
            appended += waiting;
            log.write(&buffer).expect("the log is written");
        }
        if appended - synced >= PIECE {
            synced = appended;
            sync(&mut log);
        }
    }
    log.write(&buffer).expect("the log is written");
    sync(&mut log);
    log.release(u64::MAX).expect("segments are removed");
    drop(log);
    std::fs::remove_dir_all(directory).expect("the log is removed");
}

fn sync(log: &mut Writer) {
    let Some(ticket) = log.begin_sync() else { return };
    let result = ticket.run();
    log.finish_sync(ticket, result).expect("a sync");
}

fn write_raw(directory: &Path, bytes: u64) {
    std::fs::create_dir_all(directory).expect("a directory");
    let block = vec![7u8; HAND_OVER as usize];
    for number in 0..bytes / PIECE {
        let file = RealDisk.create(&directory.join(number.to_string())).expect("a file");
        file.allocate(PIECE).expect("room");
        for at in (0..PIECE).step_by(block.len()) {
            file.write_at(at, &block).expect("a write");
        }
        file.sync().expect("a sync");
    }
    std::fs::remove_dir_all(directory).expect("the files are removed");
}
