//! Bytes, decode rate, encode time of both codec profiles on the standard mix, beside zstd, pco and memcpy.
//!
//! `cargo bench -p benches --bench codecs [-- --share N | --quick] [--runs N] [--classes abc]`: each channel's
//! samples become a hot and a cold table, whole channels in chunks of 8192; `--share N` takes an N-th of
//! each class's time, `--quick` is a 24th. Bytes are those of the whole table file. Decoding reads the
//! finished table (from the page cache) chunk by chunk into every column; the samples are compared with what
//! was generated outside the timing. `100 in us`: 100 samples from the middle of a full chunk in memory that
//! holds its own stamps. The peers get the raw columns of the same chunks. CPU time of the one thread; the best
//! of `--runs` (3).

use archtool::generate::standard_mix::{Channel, Class, Mix, START_NS};
use benches::{best_cpu_s, cpu_s};
use disk::RealDisk;
use sample::{ChannelId, ChannelName, Column, SampleBlock, TimeRange, Timestamp, Week};
use sstable::{BlockCache, DictionaryRow, Entry, Profile, Table, TableInfo, TableKind, TableWriter};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;

/// As in `archengine` and `archserver`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// When every class has samples.
const RUN_BEGINS_S: i64 = 48 * 3600;
const WEEK_S: i64 = 7 * 86_400;
const CHUNK: usize = sstable::CHUNK_SAMPLES_MAX;
/// Samples of a short query.
const SHORT: usize = 100;
/// Chunks of a channel that short queries are put to.
const SHORT_CHUNKS: usize = 24;

/// What one way of storing took for some samples.
#[derive(Clone, Copy, Default)]
struct Cost {
    samples: u64,
    bytes: u64,
    encode_s: f64,
    decode_s: f64,
    /// Seconds of all short queries, with their number.
    short: (f64, u32),
}

impl Cost {
    fn add(&mut self, other: Cost) {
        self.samples += other.samples;
        self.bytes += other.bytes;
        self.encode_s += other.encode_s;
        self.decode_s += other.decode_s;
        self.short = (self.short.0 + other.short.0, self.short.1 + other.short.1);
    }

    fn row(&self, name: &str, class: &str) {
        let samples = self.samples as f64;
        let short = match self.short {
            (_, 0) => "-".to_string(),
            (s, n) => format!("{:.1}", s * 1e6 / f64::from(n)),
        };
        println!(
            "{name:<14} {class:<5} {:>11} {:>9.3} {:>9.1} {:>9.1} {:>9}",
            self.samples,
            self.bytes as f64 / samples,
            self.encode_s * 1e9 / samples,
            samples / self.decode_s / 1e6,
            short
        );
    }
}

struct Options {
    share: i64,
    runs: usize,
    classes: String,
}

fn options() -> Options {
    let mut options = Options { share: 1, runs: 3, classes: "abcdefgh".to_string() };
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(argument) = arguments.next() {
        let mut number = |least: usize| -> usize {
            let number = arguments.next().and_then(|text| text.parse().ok()).filter(|n| *n >= least);
            number.unwrap_or_else(|| panic!("{argument} needs a number"))
        };
        match argument.as_str() {
            "--quick" => options.share = 24,
            "--share" => options.share = number(1) as i64,
            "--runs" => options.runs = number(1),
            "--classes" => options.classes = arguments.next().unwrap_or_default(),
            other => panic!("unknown argument {other}: --share N, --quick, --runs N or --classes LETTERS"),
        }
    }
    options
}

fn letter(class: Class) -> char {
    match class {
        Class::Thermocouple => 'a',
        Class::Position => 'b',
        Class::BeamCurrent => 'c',
        Class::SetPoint => 'd',
        Class::Valve => 'e',
        Class::Counter => 'f',
        Class::Power => 'g',
        Class::Noise => 'h',
    }
}

/// The samples of a channel, or of the part of its time that `share` says.
fn block(channel: &Channel, share: i64) -> SampleBlock {
    let length = if channel.class == Class::Position { RUN_BEGINS_S } else { WEEK_S };
    let (from, to) = match share {
        1 => (i64::MIN, i64::MAX),
        _ => (RUN_BEGINS_S, RUN_BEGINS_S + length / share),
    };
    let at = |seconds: i64| seconds.saturating_mul(1_000_000_000).saturating_add(START_NS);
    let readings = channel.readings().skip_while(|reading| reading.time_ns < at(from));
    let mut samples = readings.take_while(|reading| reading.time_ns < at(to)).map(|reading| reading.sample());
    let first = samples.next().expect("every channel has samples");
    let mut block = SampleBlock::new(first.run_type());
    assert!(block.push(&first) && samples.all(|sample| block.push(&sample)), "samples of one type");
    block
}

fn main() {
    let options = options();
    let channels: Vec<_> =
        Mix::STANDARD.channels().into_iter().filter(|c| options.classes.contains(letter(c.class))).collect();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut costs: BTreeMap<(usize, &str, String), Cost> = BTreeMap::new();
    let mut count = |order: usize, name: &'static str, class: Class, cost: Cost| {
        for class in ["all".to_string(), letter(class).to_string()] {
            costs.entry((order, name, class)).or_default().add(cost);
        }
    };

    let profiles = [(0, "hot", Profile::Hot), (1, "cold", Profile::Cold)];
    let mut writers: Vec<_> =
        profiles.iter().map(|(_, name, profile)| writer(&directory.path().join(name), *profile)).collect();
    for (id, channel) in channels.iter().enumerate() {
        let block = block(channel, options.share);
        for ((order, name, _), writer) in profiles.iter().zip(&mut writers) {
            let before = cpu_s();
            writer.add_samples(ChannelId(id as u64 + 1), &block, false).expect("the table takes samples");
            let encode_s = cpu_s() - before;
            count(*order, name, channel.class, Cost { encode_s, ..Cost::default() });
        }
        count(2, "zstd -3", channel.class, columns(&block, options.runs, zstd_bytes));
        count(3, "pco 8", channel.class, columns(&block, options.runs, pco_bytes));
        count(4, "memcpy", channel.class, columns(&block, options.runs, copied));
    }
    let mut lens = Vec::new();
    for ((order, name, _), writer) in profiles.iter().zip(writers) {
        let rows = channels.iter().enumerate().map(|(id, channel)| {
            let name = ChannelName::stored(&channel.name()).expect("a name");
            DictionaryRow::new(ChannelId(id as u64 + 1), name)
        });
        let summary = writer.finish(rows).expect("the table is finished");
        lens.push((*name, summary.len, summary.samples));
        let path = directory.path().join(name);
        let table = Table::open(&RealDisk, &path, &BlockCache::new(1 << 20)).expect("the table opens");
        for (id, channel) in channels.iter().enumerate() {
            let block = block(channel, options.share);
            count(*order, name, channel.class, read(&table, ChannelId(id as u64 + 1), &block, options.runs));
        }
    }
    println!(
        "{:<14} {:<5} {:>11} {:>9} {:>9} {:>9} {:>9}",
        "codec", "class", "samples", "B/sample", "enc ns", "dec M/s", "100 in us"
    );
    for ((_, name, class), cost) in &costs {
        cost.row(name, class);
    }
    for (name, len, samples) in lens {
        println!("{name}: {:.3} bytes/sample in the whole file", len as f64 / samples as f64);
    }
}

fn writer(path: &Path, profile: Profile) -> TableWriter {
    let info = TableInfo {
        archive: 1,
        table: 1,
        week: Week::containing(Timestamp(START_NS)),
        class: 0,
        class_name: "default".to_string(),
        kind: TableKind::Raw,
        known_until: Timestamp(START_NS),
        tier: 0,
    };
    TableWriter::create(&RealDisk, path, &info).expect("a new file").for_profile(profile)
}

/// Reads a channel's chunks back: their bytes, the time, and whether they are what `block` says.
fn read(table: &Table, channel: ChannelId, block: &SampleBlock, runs: usize) -> Cost {
    let entries: Vec<Entry> =
        table.entries(0, channel, TimeRange::ALL).collect::<Result<_, _>>().expect("the index is whole");
    let decode_s = best_cpu_s(runs, || {
        for entry in &entries {
            black_box(table.all_samples(entry).expect("the chunk decodes"));
        }
    });
    let mut at = 0;
    let (mut bytes, mut short) = (0, Vec::new());
    for entry in &entries {
        let samples = table.all_samples(entry).expect("the chunk decodes");
        assert!(samples == block.slice(at, at + samples.len()), "chunks come back as they were");
        at += samples.len();
        let chunk = table.payload(entry).expect("the chunk is there");
        bytes += chunk.len() as u64;
        let own_times = table.chunk_header(entry).expect("the chunk is there").time_reference().is_none();
        if samples.len() == CHUNK && own_times && short.len() < SHORT_CHUNKS {
            // Somewhere about the middle, now and then across two pages.
            let from = CHUNK / 4 + short.len() * 331 % (CHUNK / 2);
            let range = TimeRange::new(Timestamp(samples.time[from]), Timestamp(samples.time[from + SHORT]));
            short.push((chunk, range));
        }
    }
    assert_eq!(at, block.len(), "every sample is in the table");
    // One after the other: asking for the time costs a tenth of a query, and no chunk is in the nearest cache.
    let short_s = best_cpu_s(runs.max(3), || {
        for (chunk, range) in &short {
            black_box(sstable::decode_range(chunk, *range).expect("the range decodes"));
        }
    });
    Cost { samples: at as u64, bytes, encode_s: 0.0, decode_s, short: (short_s, short.len() as u32) }
}

/// What a peer makes of one raw column: bytes, encode and decode time.
type Peer = fn(&[u8], Kind, usize) -> (u64, f64, f64);

/// What a raw column holds.
#[derive(Clone, Copy)]
enum Kind {
    Times,
    Values,
    Codes,
}

/// A peer on time, value, severity and status of each chunk.
fn columns(block: &SampleBlock, runs: usize, peer: Peer) -> Cost {
    let Column::Float64(values) = &block.values else { panic!("the mix holds doubles") };
    let mut cost = Cost { samples: block.len() as u64, ..Cost::default() };
    for from in (0..block.len()).step_by(CHUNK) {
        let to = (from + CHUNK).min(block.len());
        let raw = [
            (Kind::Times, block.time[from..to].iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>()),
            (Kind::Values, values[from..to].iter().flat_map(|v| v.to_le_bytes()).collect()),
            (
                Kind::Codes,
                block.severity[from..to].iter().flat_map(|v| u16::from(*v).to_le_bytes()).collect(),
            ),
            (Kind::Codes, block.status[from..to].iter().flat_map(|v| v.to_le_bytes()).collect()),
        ];
        for (kind, raw) in raw {
            let (bytes, encode_s, decode_s) = peer(&raw, kind, runs);
            cost.add(Cost { bytes, encode_s, decode_s, ..Cost::default() });
        }
    }
    cost
}

fn zstd_bytes(raw: &[u8], _: Kind, runs: usize) -> (u64, f64, f64) {
    let mut compressor = zstd::bulk::Compressor::new(3).expect("a compressor");
    let mut decompressor = zstd::bulk::Decompressor::new().expect("a decompressor");
    let mut small = Vec::new();
    let encode_s = best_cpu_s(1, || small = compressor.compress(raw).expect("it compresses"));
    let decode_s = best_cpu_s(runs, || {
        black_box(decompressor.decompress(&small, raw.len()).expect("it comes back"));
    });
    (small.len() as u64, encode_s, decode_s)
}

fn pco_bytes(raw: &[u8], kind: Kind, runs: usize) -> (u64, f64, f64) {
    fn of<T: pco::data_types::Number>(values: &[T], runs: usize) -> (u64, f64, f64) {
        let config = pco::ChunkConfig::default().with_compression_level(8);
        let mut small = Vec::new();
        let encode_s = best_cpu_s(1, || {
            small = pco::standalone::simple_compress(values, &config).expect("it compresses")
        });
        let decode_s = best_cpu_s(runs, || {
            black_box(pco::standalone::simple_decompress::<T>(&small).expect("it comes back"));
        });
        (small.len() as u64, encode_s, decode_s)
    }
    fn words<const N: usize>(raw: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
        raw.chunks_exact(N).filter_map(|word| word.try_into().ok())
    }
    match kind {
        Kind::Times => of(&words(raw).map(i64::from_le_bytes).collect::<Vec<_>>(), runs),
        Kind::Values => of(&words(raw).map(f64::from_le_bytes).collect::<Vec<_>>(), runs),
        Kind::Codes => of(&words(raw).map(u16::from_le_bytes).collect::<Vec<_>>(), runs),
    }
}

fn copied(raw: &[u8], _: Kind, runs: usize) -> (u64, f64, f64) {
    let mut copy = vec![0; raw.len()];
    let encode_s = best_cpu_s(1, || copy.copy_from_slice(black_box(raw)));
    let decode_s = best_cpu_s(runs, || black_box(&mut copy).copy_from_slice(black_box(raw)));
    (raw.len() as u64, encode_s, decode_s)
}
