//! The standard mix, and what storing it in Varve and in peers costs.

use crate::{best_cpu_s, cpu_s};
use archtool::generate::standard_mix::{Channel, Class, Mix, START_NS};
use disk::RealDisk;
use engine::limits::BLOCK_CACHE_BYTES;
use sample::{ChannelId, ChannelName, SampleBlock, TimeRange, Timestamp, Week};
use sstable::{BlockCache, DictionaryRow, Entry, Profile, Table, TableInfo, TableKind, TableWriter};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;

/// When every class has samples.
const RUN_BEGINS_S: i64 = 48 * 3600;
const WEEK_S: i64 = 7 * 86_400;
/// Samples of a chunk.
pub const CHUNK: usize = sstable::CHUNK_SAMPLES_MAX;
/// Samples of a short query.
const SHORT: usize = 100;
/// Chunks of a channel that short queries are put to.
const SHORT_CHUNKS: usize = 24;

/// What one way of storing took for some samples.
#[derive(Clone, Copy, Default, Debug)]
pub struct Cost {
    /// How many there were.
    pub samples: u64,
    /// What they took.
    pub bytes: u64,
    /// Seconds of CPU to write them.
    pub encode_s: f64,
    /// Seconds of CPU to read all of them.
    pub decode_s: f64,
    /// Seconds of all short queries to chunks that hold their stamps, with their number.
    pub short: (f64, u32),
    /// The same of chunks whose stamps are found in others, which are read and decoded, too.
    pub borrowed: (f64, u32),
}

impl Cost {
    /// Adds what other samples took.
    pub fn add(&mut self, other: Cost) {
        self.samples += other.samples;
        self.bytes += other.bytes;
        self.encode_s += other.encode_s;
        self.decode_s += other.decode_s;
        for (sum, other) in [(&mut self.short, other.short), (&mut self.borrowed, other.borrowed)] {
            *sum = (sum.0 + other.0, sum.1 + other.1);
        }
    }

    fn row(&self, name: &str, class: &str) {
        let samples = self.samples as f64;
        let micros = |queries: (f64, u32)| match queries {
            (_, 0) => "-".to_string(),
            (s, n) => format!("{:.1}", s * 1e6 / f64::from(n)),
        };
        println!(
            "{name:<14} {class:<5} {:>11} {:>9.3} {:>9.1} {:>9.1} {:>9} {:>9}",
            self.samples,
            self.bytes as f64 / samples,
            self.encode_s * 1e9 / samples,
            samples / self.decode_s / 1e6,
            micros(self.short),
            micros(self.borrowed)
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

/// A peer: what it takes to store the samples of one channel and to read them, the best of some runs.
pub type Peer = fn(&SampleBlock, usize) -> Cost;

/// Stores the mix in a hot and a cold table and with each peer, as the arguments of the process say, and prints what
/// each takes.
///
/// # Panics
/// When an argument is unknown, or what was stored does not come back.
pub fn compare(peers: &[(&'static str, Peer)]) {
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
        for (at, (name, peer)) in peers.iter().enumerate() {
            count(profiles.len() + at, name, channel.class, peer(&block, options.runs));
        }
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
        let open =
            |bytes_max| Table::open(&RealDisk, &path, &BlockCache::new(bytes_max)).expect("the table opens");
        let mut decode_s = vec![f64::INFINITY; channels.len()];
        for _ in 0..options.runs {
            let table = open(BLOCK_CACHE_BYTES);
            for (id, best_s) in decode_s.iter_mut().enumerate() {
                let entries = entries(&table, ChannelId(id as u64 + 1));
                *best_s = best_s.min(best_cpu_s(1, || {
                    for entry in &entries {
                        black_box(table.all_samples(entry).expect("the chunk decodes"));
                    }
                }));
            }
        }
        let tables = (&open(BLOCK_CACHE_BYTES), &open(0));
        for ((id, channel), decode_s) in channels.iter().enumerate().zip(decode_s) {
            let block = block(channel, options.share);
            let cost = check(tables, ChannelId(id as u64 + 1), &block, options.runs);
            count(*order, name, channel.class, Cost { decode_s, ..cost });
        }
    }
    println!(
        "{:<14} {:<5} {:>11} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "codec", "class", "samples", "B/sample", "enc ns", "dec M/s", "100 in us", "borrowed"
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

fn entries(table: &Table, channel: ChannelId) -> Vec<Entry> {
    table.entries(0, channel, TimeRange::ALL).collect::<Result<_, _>>().expect("the index is whole")
}

/// Reads a channel's chunks back: their bytes, whether they are what `block` says, and the time of short queries.
fn check((table, uncached): (&Table, &Table), channel: ChannelId, block: &SampleBlock, runs: usize) -> Cost {
    let mut at = 0;
    let (mut bytes, mut short, mut borrowed) = (0, Vec::new(), Vec::new());
    for entry in entries(table, channel) {
        let samples = table.all_samples(&entry).expect("the chunk decodes");
        assert!(samples == block.slice(at, at + samples.len()), "chunks come back as they were");
        at += samples.len();
        let chunk = table.payload(&entry).expect("the chunk is there");
        bytes += chunk.len() as u64;
        let own_times = table.chunk_header(&entry).expect("the chunk is there").time_depth() == 0;
        let asked = if own_times { short.len() } else { borrowed.len() };
        if samples.len() == CHUNK && asked < SHORT_CHUNKS {
            // Somewhere about the middle, now and then across two pages.
            let from = CHUNK / 4 + asked * 331 % (CHUNK / 2);
            let range = TimeRange::new(Timestamp(samples.time[from]), Timestamp(samples.time[from + SHORT]));
            if own_times { short.push((chunk, range)) } else { borrowed.push((entry, range)) }
        }
    }
    assert_eq!(at, block.len(), "every sample is in the table");
    // One after the other: asking for the time costs a tenth of a query, and no chunk is in the nearest cache.
    let short_s = best_cpu_s(runs.max(3), || {
        for (chunk, range) in &short {
            black_box(sstable::decode_range(chunk, *range).expect("the range decodes"));
        }
    });
    let borrowed_s = best_cpu_s(runs.max(3), || {
        for (entry, range) in &borrowed {
            black_box(uncached.samples(entry, *range).expect("the range decodes"));
        }
    });
    // To look at the clock takes time, too.
    let of = |seconds: f64, queries: usize| if queries == 0 { (0.0, 0) } else { (seconds, queries as u32) };
    let (short, borrowed) = (of(short_s, short.len()), of(borrowed_s, borrowed.len()));
    Cost { samples: at as u64, bytes, short, borrowed, ..Cost::default() }
}
