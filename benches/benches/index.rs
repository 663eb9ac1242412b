//! Build, size and look-ups of the index files of one partition.
//!
//! `cargo bench -p benches --bench index [-- CHANNELS CHUNKS_PER_CHANNEL]`. The same with other stores beside it:
//! `cargo run --release --manifest-path benches/peers/Cargo.toml`.

use benches::index_own::{HEADING, measure};

fn main() {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let channels = numbers.first().copied().unwrap_or(1_000_000).max(200);
    let chunks = numbers.get(1).copied().unwrap_or(8).max(1);
    let directory = tempfile::tempdir().expect("a temporary directory");
    println!("{channels} channels with {chunks} chunks each; CPU time, best of several rounds");
    let figures = measure(directory.path(), channels, chunks);
    println!("        {HEADING}\nvarve   {figures}");
    println!("{:.1} bytes an entry", figures.bytes as f64 / (channels * chunks) as f64);
}
