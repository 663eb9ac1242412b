//! Samples per second of sealing a week of the standard mix, verification included; what the sealed week takes and
//! how fast it is read.
//!
//! `cargo bench -p benches --bench seal [-- DAYS]`: the first DAYS (7) of the mix go into an archive the way received
//! samples do, what is due is merged, then the week is sealed. Decoding reads the sealed tables (from the page
//! cache) chunk by chunk into every column. CPU time of the whole process, which runs one thread; bytes are those
//! of whole files.

use archtool::generate::{DataSet, Preset, fill::fill};
use benches::archive::{decode_all, reopened};
use benches::{best_cpu_s, cpu_s};
use engine::recovery::Recovered;
use engine::{SealStep, StorageSettings};
use sample::{Timestamp, Week};
use sstable::Table;
use std::sync::Arc;
use std::time::Instant;

const WEEK_NS: i64 = 7 * 86_400_000_000_000;
const DECODE_RUNS: usize = 3;

/// As in `archengine`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let days = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(7);
    let set = DataSet { days, ..DataSet::of(Preset::StandardMix) };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let filled =
        fill(&set, directory.path(), StorageSettings::default(), &mut |_| {}).expect("a fresh archive");
    println!("{} samples of {} channels", filled.stored, filled.channels);
    // The recovered archive's clock shows when the week is due.
    let recovered =
        reopened(directory.path(), Timestamp(set.start().0 + 3 * WEEK_NS), StorageSettings::default());
    let (cpu, mut merges) = (cpu_s(), 0);
    while recovered.keeper.merge(&|| false).expect("a merge") {
        merges += 1;
    }
    println!("{merges} merges: {:.1} CPU s", cpu_s() - cpu);
    let week = Week::containing(set.start());
    let inputs = tables(&recovered, week, false);
    let (samples, bytes) = stock(&inputs);
    println!(
        "before: {} tables, {samples} samples, {:.3} bytes/sample",
        inputs.len(),
        bytes / samples as f64
    );
    drop(inputs);

    let (cpu, wall) = (cpu_s(), Instant::now());
    while !matches!(recovered.keeper.seal_week(week, &|| false).expect("a seal"), SealStep::Sealed(_)) {}
    let (cpu, wall) = (cpu_s() - cpu, wall.elapsed().as_secs_f64());
    println!(
        "sealing: {cpu:.1} CPU s ({wall:.1} s), {:.2} M samples/s per core, verification included",
        samples as f64 / cpu / 1e6
    );
    let outputs = tables(&recovered, week, true);
    let (sealed, bytes) = stock(&outputs);
    assert_eq!(sealed, samples, "every sample is in the sealed week");
    println!("sealed: {} tables, {:.3} bytes/sample", outputs.len(), bytes / samples as f64);
    let best = best_cpu_s(DECODE_RUNS, || decode_all(&outputs));
    println!("decoding: {:.1} M samples/s per core", samples as f64 / best / 1e6);
}

fn tables(recovered: &Recovered, week: Week, sealed: bool) -> Vec<Arc<Table>> {
    let view = recovered.shared.view();
    let entries = view.manifest.tables.iter().zip(&view.tables);
    let of_week = entries.filter(|(entry, _)| entry.week == week && entry.sealed == sealed);
    of_week.map(|(_, table)| table.clone()).collect()
}

/// Samples and bytes of whole files.
fn stock(tables: &[Arc<Table>]) -> (u64, f64) {
    tables
        .iter()
        .fold((0, 0.0), |sum, table| (sum.0 + table.summary().samples, sum.1 + table.summary().len as f64))
}
