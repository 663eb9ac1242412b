//! Varve's index beside redb and fjall, all holding the same entries.
//!
//! `cargo run --release --manifest-path benches/peers/Cargo.toml [-- CHANNELS CHUNKS_PER_CHANNEL]`.

mod fjall_store;
#[path = "../../src/index_load.rs"]
mod index_load;
#[path = "../../src/index_own.rs"]
mod index_own;
mod redb_store;
mod row;

use index_own::{Figures, HEADING};

/// User and system time of this process so far, in seconds.
fn cpu_s() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn main() {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let channels = numbers.first().copied().unwrap_or(1_000_000).max(200);
    let chunks = numbers.get(1).copied().unwrap_or(8).max(1);
    let directory = tempfile::tempdir().expect("a temporary directory");
    println!("{channels} channels with {chunks} chunks each; CPU time, best of several rounds");
    println!("        {HEADING}");
    let own = index_own::measure(directory.path(), channels, chunks);
    println!("varve   {own}");
    let print = |name: &str, peer: Figures| {
        println!("{name:<7} {peer}");
        println!(
            "        build {:.1}x, size {:.2}x, point {:.1}x, range {:.1}x, name {:.1}x",
            peer.build_s / own.build_s,
            own.bytes as f64 / peer.bytes as f64,
            peer.point_ns / own.point_ns,
            peer.range_ns / own.range_ns,
            peer.name_ns / own.name_ns,
        );
    };
    print("redb", redb_store::measure(directory.path(), channels, chunks));
    print("fjall", fjall_store::measure(directory.path(), channels, chunks));
}
