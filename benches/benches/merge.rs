//! Samples per second of merging flushed tables by tiers, beside a plain write of the same bytes.
//!
//! `cargo bench -p benches --bench merge [-- DAYS [MEMTABLE_MIB]]`: the first DAYS (2) of the standard mix go into an
//! archive the way received samples do, flushed every MEMTABLE_MIB (8); then everything that is due is merged, tier
//! by tier. Rewritten: bytes written by merges for each byte that was flushed. CPU time of the one thread.

use archtool::generate::{DataSet, Preset, fill::fill};
use benches::archive::reopened;
use benches::cpu_s;
use engine::StorageSettings;
use sample::Timestamp;
use std::io::Write as _;
use std::time::Instant;

const DAY_NS: i64 = 86_400_000_000_000;

/// As in `archengine`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let numbers: Vec<u32> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let days = numbers.first().copied().unwrap_or(2);
    let memtable = numbers.get(1).copied().unwrap_or(8) as usize;
    let set = DataSet { days, ..DataSet::of(Preset::StandardMix) };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let settings = StorageSettings { memtable_bytes: memtable << 20, ..StorageSettings::default() };
    let filled = fill(&set, directory.path(), settings.clone(), &mut |_| {}).expect("a fresh archive");
    let now = Timestamp(set.start().0 + i64::from(days) * DAY_NS);
    let recovered = reopened(directory.path(), now, settings);
    let stock = || {
        let view = recovered.shared.view();
        let bytes: u64 = view.tables.iter().map(|table| table.summary().len).sum();
        (view.tables.len(), bytes)
    };
    let before = stock();
    let (cpu, wall, mut merges) = (cpu_s(), Instant::now(), 0u32);
    let mut written = 0;
    loop {
        let known: Vec<_> =
            recovered.shared.view().tables.iter().map(|table| table.path().to_owned()).collect();
        if !recovered.keeper.merge(&|| false).expect("a merge") {
            break;
        }
        merges += 1;
        let view = recovered.shared.view();
        let fresh = view.tables.iter().filter(|table| !known.iter().any(|path| path == table.path()));
        written += fresh.map(|table| table.summary().len).sum::<u64>();
    }
    let (cpu, wall) = (cpu_s() - cpu, wall.elapsed().as_secs_f64());
    let after = stock();
    let samples = filled.stored as f64;
    println!("{} samples of {} channels", filled.stored, filled.channels);
    println!(
        "{} tables of {:.3} bytes/sample to {} of {:.3} in {merges} merges",
        before.0,
        before.1 as f64 / samples,
        after.0,
        after.1 as f64 / samples
    );
    println!("rewritten {:.2} bytes for each flushed", written as f64 / before.1 as f64);
    println!(
        "{:.1} ns of CPU for each sample of the archive, {:.2} CPU s, {wall:.2} s",
        cpu * 1e9 / samples,
        cpu
    );
    let (began, path) = (Instant::now(), directory.path().join("plain"));
    let mut plain = std::fs::File::create(&path).expect("a file");
    let block = vec![7u8; 1 << 20];
    (0..written.div_ceil(1 << 20)).for_each(|_| plain.write_all(&block).expect("a write"));
    plain.sync_all().expect("a sync");
    println!("a plain write and sync of as many bytes: {:.2} s", began.elapsed().as_secs_f64());
}
