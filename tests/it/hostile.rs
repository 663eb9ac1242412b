//! Mutated bytes in every decoder: an error or an answer, no panic, no memory that the bytes have not earned.

mod mutation;

use crate::decoders;
use crate::golden::{self, Made};
use disk::SimDisk;
use disk::sim::{Random, with_constant_checksums};
use sstable::{BlockCache, Table};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::OnceLock;

/// What a decoder may hold at once beside its input, and for each byte of it. A constant column of a full chunk, a run
/// of integers or a zstd frame is few bytes on disk and up to a chunk's limits in memory: 8192 samples, 1 MiB of
/// values, 2^20 elements of 8 bytes, decoded in a few copies.
const MEMORY_BYTES: u64 = 16 << 20;
const MEMORY_PER_BYTE: u64 = 1 << 10;

fn bytes_of(content: &[Made], format: &str) -> Vec<Vec<u8>> {
    content.iter().filter(|made| made.format == format).map(|made| made.bytes.clone()).collect()
}

/// Chunks and record payloads of tables.
fn entries_of(tables: &[Vec<u8>], chunks: bool) -> Vec<Vec<u8>> {
    let path = Path::new("/table.sst");
    let mut payloads = Vec::new();
    for bytes in tables {
        let disk = SimDisk::new(1);
        disk.plant(path, bytes).unwrap();
        let table = Table::open(&disk, path, &BlockCache::new(0)).unwrap();
        let entries = table.all_entries().map(Result::unwrap).filter(|entry| entry.chunk.is_some() == chunks);
        payloads.extend(entries.map(|entry| table.payload(&entry).unwrap()));
    }
    payloads
}

/// Rows of the last block of a kind in each table: their number, then they.
fn rows_of(tables: &[Vec<u8>], kind: u8) -> Vec<Vec<u8>> {
    const PLAIN: u8 = 1;
    let magic = [0xb7, b'V', b'B', b'L', b'O', b'C', 0x0d, 0x0a, kind];
    let rows = tables.iter().filter_map(|bytes| {
        let at = bytes.windows(magic.len()).rposition(|window| window == magic)?;
        let len = u64::from_le_bytes(bytes[at + 16..at + 24].try_into().unwrap()) as usize;
        let stored = &bytes[at + 32..at + 32 + len];
        let body = if bytes[at + 9] == PLAIN {
            stored.to_vec()
        } else {
            let mut stored = disk::Cursor::new(stored);
            let len = stored.varint().unwrap() as usize;
            zstd::bulk::decompress(stored.rest(), len).unwrap()
        };
        Some([&bytes[at + 12..at + 13], body.as_slice()].concat())
    });
    rows.collect()
}

/// The payload of the first record of each segment.
fn batches_of(segments: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let payload = |bytes: &Vec<u8>| {
        let len = u32::from_le_bytes(bytes[96..100].try_into().unwrap()) as usize;
        bytes[104..104 + len].to_vec()
    };
    segments.iter().map(payload).collect()
}

/// A corpus and what it is for, as `fuzz/fuzz_targets` calls it.
struct Target {
    name: &'static str,
    decode: fn(&[u8]) -> bool,
    corpus: Vec<Vec<u8>>,
    /// How many mutations a test run tries.
    runs: u64,
}

/// Every target; its corpus is golden content whose checksums are all 0.
fn targets() -> &'static [Target] {
    static TARGETS: OnceLock<Vec<Target>> = OnceLock::new();
    TARGETS.get_or_init(|| with_constant_checksums(make_targets))
}

fn make_targets() -> Vec<Target> {
    let content = golden::made();
    let tables = bytes_of(&content, "sstable");
    let segments = bytes_of(&content, "wal");
    let target = |name, decode: fn(&[u8]) -> bool, corpus: Vec<Vec<u8>>, runs| {
        assert!(!corpus.is_empty(), "{name} has no corpus");
        Target { name, decode, corpus, runs }
    };
    let configuration = include_bytes!("../../engine/src/config/default.toml").to_vec();
    let list = b"# pumps\nA#1\tscan 10s # slow\nca://B monitor\r\n\xc3\xa9.VAL\n".to_vec();
    let identity = bytes_of(&content, "identity").into_iter().chain(bytes_of(&content, "lock")).collect();
    let mut indexes = rows_of(&tables, 4);
    // What fits the table that it is put into comes as often as all the others.
    indexes.extend(vec![decoders::sound_index_rows(); indexes.len()]);
    vec![
        target("chunk", decoders::chunk, entries_of(&tables, true), 30_000),
        target("records", decoders::records, entries_of(&tables, false), 20_000),
        target("table", decoders::table, tables.clone(), 1500),
        target("block_index", decoders::block_index, indexes, 5000),
        target("dictionary", decoders::dictionary, rows_of(&tables, 3), 5000),
        target("log", decoders::log, segments.clone(), 5000),
        target("log_batch", decoders::log_batch, batches_of(&segments), 20_000),
        target("manifest", decoders::manifest, bytes_of(&content, "manifest"), 5000),
        target("identity", decoders::identity, identity, 5000),
        target("partition_index", decoders::partition_index, bytes_of(&content, "partition-index"), 1500),
        target("master_segment", decoders::master_segment, bytes_of(&content, "master-segment"), 1500),
        target("configuration", decoders::configuration, vec![configuration], 3000),
        target("channel_list", decoders::channel_list, vec![list], 5000),
    ]
}

/// Whether `bytes` were taken for sound and what memory that took, or what is wrong with decoding them.
fn decoded(decode: fn(&[u8]) -> bool, bytes: &[u8]) -> Result<(bool, u64), String> {
    let mut outcome = Ok(false);
    let used = allocation_counter::measure(|| {
        let run = || with_constant_checksums(|| decode(bytes));
        outcome = catch_unwind(AssertUnwindSafe(run));
    });
    let allowed = MEMORY_BYTES + MEMORY_PER_BYTE * bytes.len() as u64;
    match outcome {
        Err(_) => Err("panics".to_string()),
        Ok(_) if used.bytes_max > allowed => {
            Err(format!("takes {} bytes for {} bytes of input", used.bytes_max, bytes.len()))
        }
        Ok(sound) => Ok((sound, used.bytes_max)),
    }
}

/// How many times the usual number of mutations are tried.
fn effort() -> u64 {
    std::env::var("HOSTILE_EFFORT").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

fn attack(name: &str) {
    let target = targets().iter().find(|target| target.name == name).unwrap();
    for (at, bytes) in target.corpus.iter().enumerate() {
        decoded(target.decode, bytes).unwrap_or_else(|problem| panic!("{name}: member {at}: {problem}"));
    }
    let (runs, mut sound, mut most) = (target.runs * effort(), 0, 0);
    for seed in 0..runs {
        let bytes = mutation::mutated(&target.corpus, &mut Random::new(seed));
        match decoded(target.decode, &bytes) {
            Ok((taken, used)) => {
                sound += u64::from(taken);
                most = most.max(used);
            }
            Err(problem) => {
                let shown = &bytes[..bytes.len().min(400)];
                panic!("{name}, seed {seed}: {problem}; {} bytes: \"{}\"", bytes.len(), shown.escape_ascii());
            }
        }
    }
    println!("{name}: {runs} mutations, {sound} taken for sound, at most {most} bytes of memory");
    // Else the mutations would fail at the first check, or none would fail.
    assert!(sound > 0 && sound < runs, "{name}: {sound} of {runs} mutations are taken for sound");
}

macro_rules! attacks {
    ($($name:ident)*) => {
        $(#[test] fn $name() { attack(stringify!($name)); })*

        #[test]
        fn every_decoder_is_attacked_and_fuzzed() {
            let found: Vec<&str> = targets().iter().map(|target| target.name).collect();
            assert_eq!(found, [$(stringify!($name)),*]);
            let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
            let manifest = std::fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
            for name in found {
                assert!(fuzz.join("fuzz_targets").join(name).with_extension("rs").is_file(), "{name}");
                assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
            }
        }
    };
}

attacks! {
    chunk records table block_index dictionary log log_batch manifest identity partition_index master_segment
    configuration channel_list
}

#[test]
#[ignore = "writes fuzz/corpus: cargo test -p tests -- --ignored write_fuzz_corpus"]
fn write_fuzz_corpus() {
    for target in targets() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target.name);
        std::fs::create_dir_all(&directory).unwrap();
        for (number, bytes) in target.corpus.iter().enumerate() {
            std::fs::write(directory.join(format!("golden-{number}")), bytes).unwrap();
        }
    }
}
