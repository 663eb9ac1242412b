//! MB/s of rebuilding an archive's manifest from its tables, every checksum compared, beside reading the same bytes.
//!
//! `cargo bench -p benches --bench reindex [-- DAYS]`: the standard mix of so many days (7), several rounds of both
//! with all cores, the manifest removed before each. The files are in the page cache.

use archtool::generate::fill::fill;
use archtool::generate::{DataSet, Preset};
use benches::cpu_s;
use disk::RealDisk;
use engine::StorageSettings;
use engine::clock::SystemClock;
use engine::reindex::{Reindexing, reindex};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

const ROUNDS: usize = 5;

/// As in `archengine`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn tables(archive: &Path) -> Vec<PathBuf> {
    let list = |path: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(path).expect("a directory").map(|entry| entry.expect("an entry").path()).collect()
    };
    let files = list(&archive.join("weeks")).into_iter().flat_map(|week| list(&week));
    files.filter(|path| path.extension().is_some_and(|extension| extension == "sst")).collect()
}

/// Reads all files with `threads`, a mebibyte at a time; returns the bytes.
fn read(files: &[PathBuf], threads: usize) -> u64 {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut buffer = vec![0; 1 << 20];
        let mut bytes = 0;
        while let Some(path) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            let file = disk::Disk::open(&RealDisk, path).expect("a table");
            let mut offset = 0;
            loop {
                let found = file.read_at(offset, &mut buffer).expect("its bytes");
                offset += found as u64;
                if found < buffer.len() {
                    break;
                }
            }
            bytes += offset;
        }
        bytes
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a thread")).sum()
    })
}

fn main() {
    let days = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(7);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let archive = directory.path().join("archive");
    let mut set = DataSet::of(Preset::StandardMix);
    set.days = days;
    fill(&set, &archive, StorageSettings::default(), &mut |_| {}).expect("a standard mix");
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let files = tables(&archive);
    let bytes = read(&files, threads);
    println!("{} tables, {:.1} MB, {threads} threads", files.len(), bytes as f64 / 1e6);
    let (mut best_read, mut best_reindex) = (0.0f64, 0.0f64);
    for _ in 0..ROUNDS {
        let wall = Instant::now();
        assert_eq!(read(&files, threads), bytes);
        let reading = bytes as f64 / 1e6 / wall.elapsed().as_secs_f64();
        std::fs::remove_file(archive.join("MANIFEST")).expect("the manifest");
        let (cpu, wall) = (cpu_s(), Instant::now());
        let done = reindex(&Reindexing {
            disk: Arc::new(RealDisk),
            clock: Arc::new(SystemClock),
            directory: archive.clone(),
            partition: None,
            threads,
            progress: &|_, _| {},
        })
        .expect("an archive");
        let (cpu, wall) = (cpu_s() - cpu, wall.elapsed().as_secs_f64());
        assert!(done.bytes == bytes && !done.lost_something() && done.mended.is_empty());
        let rate = bytes as f64 / 1e6 / wall;
        println!("read {reading:.0} MB/s, reindex {rate:.0} MB/s ({wall:.3} s, {cpu:.3} CPU s)");
        (best_read, best_reindex) = (best_read.max(reading), best_reindex.max(rate));
    }
    println!("best: read {best_read:.0} MB/s, reindex {best_reindex:.0} MB/s");
}
