//! Every column of real archives in the cold profile beside pco level 8: bytes, decode rate.
//!
//! `cargo bench -p benches --bench real_columns -- [--channel-archiver DIR].. [--archive DIR]..`: scalar channels of the
//! tagged data files of the EPICS Channel Archiver below a directory, and of Varve archives (as `archtool demo --dir`
//! records from an IOC's scan threads). Nobody tuned a codec for them. A column's bytes are those of chunks of 8192
//! samples in which everything else is constant, less those of chunks in which everything is; pco gets the raw
//! column of the same chunks. Columns below 64 samples are left out. CPU time, best of 5.

use benches::cpu_s;
use disk::RealDisk;
use engine::LiveArchive;
use engine::clock::SystemClock;
use engine::read::{Archive, Merge, Scan};
use engine::recovery::open_read_only;
use pco::data_types::Number;
use sample::{ChannelId, Column, Kind, RunType, Sample, SampleBlock, Severity, Status, TimeRange};
use sample::{Timestamp, Value, ValueType};
use sstable::Profile;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const CHUNK: usize = sstable::CHUNK_SAMPLES_MAX;
/// Runs shorter than this tell nothing.
const SAMPLES_MIN: usize = 64;
const ROUNDS: usize = 5;

fn main() {
    let mut blocks: Vec<(String, SampleBlock)> = Vec::new();
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(argument) = arguments.next() {
        let directory =
            PathBuf::from(arguments.next().unwrap_or_else(|| panic!("{argument} needs a directory")));
        match argument.as_str() {
            "--channel-archiver" => blocks.extend(channel_archiver(&directory)),
            "--archive" => blocks.extend(archive(&directory)),
            other => panic!("unknown argument {other}: --channel-archiver DIR or --archive DIR"),
        }
    }
    if blocks.is_empty() {
        println!("no archive was given (--channel-archiver DIR, --archive DIR): nothing measured");
        return;
    }
    let mut columns: BTreeMap<String, Cost> = BTreeMap::new();
    let (mut larger, mut slower, mut count) = (Vec::new(), Vec::new(), 0);
    for (name, block) in &blocks {
        for (column, cost) in measure(block) {
            count += 1;
            if cost.sealed_bytes > cost.pco_bytes {
                larger
                    .push(format!("{name} {column}: {} against {} bytes", cost.sealed_bytes, cost.pco_bytes));
            }
            if cost.sealed_s > cost.pco_s {
                slower.push(format!("{name} {column}: {:.1} times as long", cost.sealed_s / cost.pco_s));
            }
            columns.entry(column).or_default().add(cost);
        }
    }
    println!(
        "{:<18} {:>10} {:>10} {:>10} {:>11} {:>10}",
        "column", "samples", "B/sample", "pco", "decode M/s", "pco"
    );
    for (name, cost) in &columns {
        let samples = cost.samples as f64;
        println!(
            "{name:<18} {:>10} {:>10.3} {:>10.3} {:>11.1} {:>10.1}",
            cost.samples,
            cost.sealed_bytes as f64 / samples,
            cost.pco_bytes as f64 / samples,
            samples / cost.sealed_s / 1e6,
            samples / cost.pco_s / 1e6
        );
    }
    println!(
        "{count} columns of {} runs: {} larger than pco makes them, {} slower to decode",
        blocks.len(),
        larger.len(),
        slower.len()
    );
    larger.iter().chain(&slower).for_each(|line| println!("  {line}"));
}

#[derive(Clone, Copy, Default)]
struct Cost {
    samples: u64,
    sealed_bytes: u64,
    sealed_s: f64,
    pco_bytes: u64,
    pco_s: f64,
}

impl Cost {
    fn add(&mut self, other: Cost) {
        self.samples += other.samples;
        self.sealed_bytes += other.sealed_bytes;
        self.sealed_s += other.sealed_s;
        self.pco_bytes += other.pco_bytes;
        self.pco_s += other.pco_s;
    }
}

/// Each column of a run with its name.
fn measure(block: &SampleBlock) -> Vec<(String, Cost)> {
    let mut columns = vec![("time".to_string(), Part::Time), ("severity".to_string(), Part::Severity)];
    columns.push(("status".to_string(), Part::Status));
    columns.push((format!("value {:?}", block.run.value.kind), Part::Value));
    columns.into_iter().map(|(name, part)| (name, part.measure(block))).collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Time,
    Value,
    Severity,
    Status,
}

impl Part {
    fn measure(self, block: &SampleBlock) -> Cost {
        let mut cost = Cost { samples: block.len() as u64, ..Cost::default() };
        for from in (0..block.len()).step_by(CHUNK) {
            let chunk = block.slice(from, (from + CHUNK).min(block.len()));
            let alone = encoded(&self.alone(&chunk, false));
            let empty = encoded(&self.alone(&chunk, true));
            cost.sealed_bytes += (alone.len() - empty.len().min(alone.len())) as u64;
            let decode = |bytes: &[u8]| {
                best(|| {
                    black_box(sstable::decode(black_box(bytes)).expect("it comes back"));
                })
            };
            cost.sealed_s += (decode(&alone) - decode(&empty)).max(1e-9);
            let (bytes, seconds) = self.pco(&chunk);
            cost.pco_bytes += bytes;
            cost.pco_s += seconds;
        }
        cost
    }

    /// The chunk with everything but this column constant; with this one, too, if `constant`.
    fn alone(self, chunk: &SampleBlock, constant: bool) -> SampleBlock {
        let mut alone = chunk.clone();
        let keep = |part: Part| part == self && !constant;
        if !keep(Part::Time) {
            alone.time = (0..chunk.len() as i64).map(|i| chunk.time[0] + i * 1_000_000_000).collect();
        }
        if self != Part::Time || constant {
            alone.rank.fill(0);
        }
        if !keep(Part::Severity) {
            alone.severity.fill(chunk.severity[0]);
        }
        if !keep(Part::Status) {
            alone.status.fill(chunk.status[0]);
        }
        if !keep(Part::Value) {
            let first = chunk.get(0).value;
            alone.values = chunk.slice(0, 1).values;
            (1..chunk.len()).for_each(|_| assert!(alone.values.push(&first), "values of one type"));
        }
        alone
    }

    /// Bytes and seconds of pco on the raw column.
    fn pco(self, chunk: &SampleBlock) -> (u64, f64) {
        match self {
            Part::Time => pco(&chunk.time),
            Part::Severity => pco(&wide(&chunk.severity)),
            Part::Status => pco(&chunk.status),
            Part::Value => match &chunk.values {
                Column::Bool(v) | Column::UInt8(v) => pco(&wide(v)),
                Column::Int8(v) => pco(&v.iter().map(|v| i16::from(*v)).collect::<Vec<_>>()),
                Column::Int16(v) => pco(v),
                Column::Int32(v) => pco(v),
                Column::Int64(v) => pco(v),
                Column::Enum(v) | Column::UInt16(v) => pco(v),
                Column::UInt32(v) => pco(v),
                Column::UInt64(v) => pco(v),
                Column::Float32(v) => pco(v),
                Column::Float64(v) => pco(v),
                Column::String(_) | Column::Structure(_) | Column::Array { .. } => {
                    unreachable!("only numbers were taken")
                }
            },
        }
    }
}

fn wide(codes: &[u8]) -> Vec<u16> {
    codes.iter().map(|code| u16::from(*code)).collect()
}

fn encoded(chunk: &SampleBlock) -> Vec<u8> {
    sstable::encode(ChannelId(1), chunk, false, None, Profile::Cold).expect("it is encoded")
}

fn pco<T: Number>(values: &[T]) -> (u64, f64) {
    let config = pco::ChunkConfig::default().with_compression_level(8);
    let small = pco::standalone::simple_compress(values, &config).expect("it is compressed");
    let seconds = best(|| {
        black_box(pco::standalone::simple_decompress::<T>(black_box(&small)).expect("it comes back"));
    });
    (small.len() as u64, seconds)
}

fn best(mut run: impl FnMut()) -> f64 {
    let mut timed = || {
        let before = cpu_s();
        run();
        cpu_s() - before
    };
    (0..ROUNDS).map(|_| timed()).fold(f64::INFINITY, f64::min)
}

/// Runs of scalar numbers of one type, long enough to tell something.
fn runs(name: &str, samples: impl Iterator<Item = Sample>, into: &mut Vec<(String, SampleBlock)>) {
    let mut open: Option<SampleBlock> = None;
    let mut close = |block: Option<SampleBlock>| {
        let numbers =
            |run: &RunType| !run.value.array && !matches!(run.value.kind, Kind::String | Kind::Structure);
        into.extend(
            block.filter(|b| b.len() >= SAMPLES_MIN && numbers(&b.run)).map(|b| (name.to_string(), b)),
        );
    };
    for sample in samples {
        if !open.as_mut().is_some_and(|block| block.push(&sample)) {
            let mut block = SampleBlock::new(sample.run_type());
            block.push(&sample);
            close(open.replace(block));
        }
    }
    close(open);
}

fn archive(directory: &Path) -> Vec<(String, SampleBlock)> {
    let opened = open_read_only(Arc::new(RealDisk), Arc::new(SystemClock), directory.to_path_buf());
    let (shared, ..) = opened.unwrap_or_else(|error| panic!("{error}"));
    let archive = LiveArchive::new(shared.clone());
    let mut found = Vec::new();
    let slots: Vec<_> = shared.directory().slots.iter().flatten().cloned().collect();
    for slot in slots {
        let name = slot.lock().name.clone();
        let Ok(Some(snapshot)) = archive.snapshot(&name, TimeRange::ALL) else { continue };
        let blocks = Merge::new(&snapshot.runs, Scan::ascending(TimeRange::ALL));
        let samples = blocks
            .map(|block| block.expect("the archive is whole"))
            .flat_map(|block| (0..block.len()).map(|i| block.get(i)).collect::<Vec<_>>());
        runs(name.as_str(), samples, &mut found);
    }
    found
}

/// Seconds of 1990-01-01 since the Unix epoch.
const EPICS_EPOCH_S: i64 = 631_152_000;
/// Bytes of a DataHeader.
const HEADER: usize = 152;

/// Channels of all data files below a directory, each buffer found by its `DATA` tag. The layout is that of the Channel
/// Archiver's `DataHeader` and of EPICS' `dbr_time_xxx` structures, big-endian.
fn channel_archiver(directory: &Path) -> Vec<(String, SampleBlock)> {
    let mut buffers: BTreeMap<String, Vec<Vec<Sample>>> = BTreeMap::new();
    let mut folders = vec![directory.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries =
            std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for entry in entries.map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() {
                folders.push(entry);
                continue;
            }
            let bytes = std::fs::read(&entry).expect("a file");
            if !bytes.starts_with(b"ADF1") {
                continue;
            }
            let mut at = 0;
            while let Some(found) = bytes[at..].windows(4).position(|tag| tag == b"DATA") {
                at += found + 4;
                if let Some((name, samples)) = buffer(&bytes[at..]) {
                    buffers.entry(name).or_default().push(samples);
                }
            }
        }
    }
    let mut found = Vec::new();
    for (name, mut buffers) in buffers {
        buffers.sort_by_key(|samples| samples[0].time);
        runs(&name, buffers.into_iter().flatten(), &mut found);
    }
    found
}

/// The buffer behind a `DATA` tag, if one is there: its channel and its samples.
fn buffer(bytes: &[u8]) -> Option<(String, Vec<Sample>)> {
    let end = bytes.iter().take(256).position(|byte| *byte == 0)?;
    let name = std::str::from_utf8(&bytes[..end]).ok().filter(|name| !name.is_empty())?;
    let bytes = &bytes[end + 1..];
    let u32_at = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let u16_at = |at: usize| Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let (used, count) = (u32_at(12)? as usize, u32_at(16)? as usize);
    let (size, free) = (u32_at(24)? as usize, u32_at(28)? as usize);
    let (kind, elements) = (u16_at(32)?, u16_at(34)?);
    let (value_at, width) = match kind {
        15 | 17 => (14, 2),
        16 | 19 => (12, 4),
        18 => (15, 1),
        20 => (16, 8),
        _ => return None,
    };
    let sample_bytes = (value_at + width as usize).next_multiple_of(8);
    if elements != 1 || count == 0 || used != count * sample_bytes || size != HEADER + used + free {
        return None;
    }
    let rows = bytes.get(HEADER..HEADER + used)?.chunks_exact(sample_bytes);
    let sample = |row: &[u8]| -> Option<Sample> {
        let word = |at: usize| Some(u32::from_be_bytes(row.get(at..at + 4)?.try_into().ok()?));
        let half = |at: usize| Some(u16::from_be_bytes(row.get(at..at + 2)?.try_into().ok()?));
        let time = (i64::from(word(4)?) + EPICS_EPOCH_S) * 1_000_000_000 + i64::from(word(8)?);
        let value = match kind {
            15 => Value::Int16(half(14)?.cast_signed()),
            16 => Value::Float32(f32::from_bits(word(12)?)),
            17 => Value::Enum(half(14)?),
            18 => Value::UInt8(*row.get(15)?),
            19 => Value::Int32(word(12)?.cast_signed()),
            _ => Value::Float64(f64::from_be_bytes(row.get(16..24)?.try_into().ok()?)),
        };
        let mut sample = Sample::new(Timestamp(time), value);
        // Severities above 3 are the archiver's own events, with no value or a repeated one.
        sample.severity = match half(2)? {
            0 => Severity::NoAlarm,
            1 => Severity::Minor,
            2 => Severity::Major,
            3 => Severity::Invalid,
            _ => return None,
        };
        sample.status = Status::ca(half(0)?);
        Some(sample)
    };
    let mut samples: Vec<Sample> = rows.filter_map(sample).collect();
    // Equal stamps are told apart by their rank.
    for i in 1..samples.len() {
        if samples[i].time == samples[i - 1].time {
            samples[i].rank = samples[i - 1].rank + 1;
        }
    }
    (!samples.is_empty()
        && samples[0].run_type().value == ValueType::scalar(samples[0].value.value_type().kind))
    .then(|| (name.to_string(), samples))
}
