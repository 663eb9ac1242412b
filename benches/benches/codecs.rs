//! Bytes, decode rate, encode time of both codec profiles on the standard mix, beside zstd, pco and memcpy.
//!
//! `cargo bench -p benches --bench codecs [-- --share N | --quick] [--runs N] [--classes abc]`: each channel's
//! samples become a hot and a cold table, whole channels in chunks of 8192; `--share N` takes an N-th of
//! each class's time, `--quick` is a 24th. Bytes are those of the whole table file. Decoding reads the
//! finished table (from the page cache) channel by channel and chunk by chunk into every column, each run with an
//! empty block cache of the size that `archserver` has; the samples are compared with what was generated outside
//! the timing. `100 in us`: 100 samples from the middle of a full chunk in memory that holds its own stamps;
//! `borrowed`: from one whose stamps are found in other chunks, all read from the file with no block cache. The
//! peers get the raw columns of the same chunks. CPU time of the one thread; the best of `--runs` (3).

use benches::best_cpu_s;
use benches::mix::{CHUNK, Cost, compare};
use sample::{Column, SampleBlock};
use std::hint::black_box;

/// As in `archengine` and `archserver`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a peer makes of one raw column: bytes, encode and decode time.
type OfColumn = fn(&[u8], Kind, usize) -> (u64, f64, f64);

/// What a raw column holds.
#[derive(Clone, Copy)]
enum Kind {
    Times,
    Values,
    Codes,
}

fn main() {
    compare(&[
        ("zstd -3", |block, runs| columns(block, runs, zstd_bytes)),
        ("pco 8", |block, runs| columns(block, runs, pco_bytes)),
        ("memcpy", |block, runs| columns(block, runs, copied)),
    ]);
}

/// A peer on time, value, severity and status of each chunk.
fn columns(block: &SampleBlock, runs: usize, peer: OfColumn) -> Cost {
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
