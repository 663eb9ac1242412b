//! Varve's tables beside Parquet, both holding the standard mix.
//!
//! `cargo run --release --manifest-path benches/columnar/Cargo.toml [-- --share N | --quick] [--runs N]
//! [--classes abc]`: as the benchmark `codecs` does with its tables; Parquet gets each channel as a file of its
//! own in memory, with its time, value, severity and status, and reads all of it into plain columns. Vortex 0.90 did not
//! build: one of its packages wants libclang.

mod parquet_file;

use benches::mix::compare;
use sample::{Column, SampleBlock};

/// As in `archengine` and `archserver`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a peer stores of a channel, one row a sample.
#[derive(Clone, PartialEq, Debug, Default)]
struct Columns {
    times: Vec<i64>,
    values: Vec<f64>,
    severities: Vec<u16>,
    statuses: Vec<u16>,
}

impl Columns {
    fn of(block: &SampleBlock) -> Columns {
        let Column::Float64(values) = &block.values else { panic!("the mix holds doubles") };
        Columns {
            times: block.time.clone(),
            values: values.clone(),
            severities: block.severity.iter().map(|severity| u16::from(*severity)).collect(),
            statuses: block.status.clone(),
        }
    }
}

fn main() {
    compare(&[("parquet zstd", parquet_file::plain), ("parquet tuned", parquet_file::tuned)]);
}
