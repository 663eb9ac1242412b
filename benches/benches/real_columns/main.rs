//! Every column of real archives in the cold profile beside pco level 8: bytes, decode rate.
//!
//! `cargo bench -p benches --bench real_columns -- [--channel-archiver DIR].. [--archive DIR].. [--ioc SECONDS]`: scalar
//! channels of the tagged data files of the EPICS Channel Archiver below a directory, of Varve archives, and of a C
//! IOC that is started here and heard for so long (its scan threads time the samples). Nobody tuned a codec for them.
//! A column's bytes are those of chunks of 8192 samples in which everything else is constant, less those of chunks in
//! which everything is; pco gets the raw column of the same chunks (ranks with their stamps), and its bytes the
//! checksum that pages have. Columns below 64 samples are left out. CPU time, best of 5.

mod channel_archiver;
mod cost;
mod ioc;

use channel_archiver::channel_archiver;
use cost::{Cost, measure};
use disk::RealDisk;
use engine::LiveArchive;
use engine::clock::SystemClock;
use engine::read::{Archive, Merge, Scan};
use engine::recovery::open_read_only;
use sample::{Kind, RunType, Sample, SampleBlock, TimeRange};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Runs shorter than this tell nothing.
const SAMPLES_MIN: usize = 64;

fn main() {
    let sources = Sources::given();
    let blocks = sources.blocks();
    if blocks.is_empty() {
        return;
    }
    let mut columns: BTreeMap<String, Cost> = BTreeMap::new();
    let (mut larger, mut slower, mut count) = (Vec::new(), Vec::new(), 0);
    for (name, block) in &blocks {
        for (column, cost) in measure(block) {
            count += 1;
            if cost.sealed_bytes > cost.pco_bytes {
                larger
                    .push(format!("{name} {column}: {} against {} bytes", cost.sealed_bytes, cost.pco_bytes));
            }
            if cost.sealed_s > cost.pco_s {
                slower.push(format!("{name} {column}: {:.1} times as long", cost.sealed_s / cost.pco_s));
            }
            columns.entry(column).or_default().add(cost);
        }
    }
    println!(
        "{:<18} {:>10} {:>10} {:>10} {:>11} {:>10}",
        "column", "samples", "B/sample", "pco", "decode M/s", "pco"
    );
    for (name, cost) in &columns {
        let samples = cost.samples as f64;
        println!(
            "{name:<18} {:>10} {:>10.3} {:>10.3} {:>11.1} {:>10.1}",
            cost.samples,
            cost.sealed_bytes as f64 / samples,
            cost.pco_bytes as f64 / samples,
            samples / cost.sealed_s / 1e6,
            samples / cost.pco_s / 1e6
        );
    }
    println!(
        "{count} columns of {} runs: {} larger than pco makes them, {} slower to decode",
        blocks.len(),
        larger.len(),
        slower.len()
    );
    larger.iter().chain(&slower).for_each(|line| println!("  {line}"));
}

/// Runs of scalar numbers of one type, long enough to tell something.
fn runs(name: &str, samples: impl Iterator<Item = Sample>, into: &mut Vec<(String, SampleBlock)>) {
    let mut open: Option<SampleBlock> = None;
    let mut close = |block: Option<SampleBlock>| {
        let numbers =
            |run: &RunType| !run.value.array && !matches!(run.value.kind, Kind::String | Kind::Structure);
        into.extend(
            block.filter(|b| b.len() >= SAMPLES_MIN && numbers(&b.run)).map(|b| (name.to_string(), b)),
        );
    };
    for sample in samples {
        if !open.as_mut().is_some_and(|block| block.push(&sample)) {
            let mut block = SampleBlock::new(sample.run_type());
            block.push(&sample);
            close(open.replace(block));
        }
    }
    close(open);
}

fn archive(directory: &Path) -> Vec<(String, SampleBlock)> {
    let opened = open_read_only(Arc::new(RealDisk), Arc::new(SystemClock), directory.to_path_buf());
    let (shared, ..) = opened.unwrap_or_else(|error| panic!("{error}"));
    let archive = LiveArchive::new(shared.clone());
    let mut found = Vec::new();
    let slots: Vec<_> = shared.directory().slots.iter().flatten().cloned().collect();
    for slot in slots {
        let name = slot.lock().name.clone();
        let Ok(Some(snapshot)) = archive.snapshot(&name, TimeRange::ALL) else { continue };
        let blocks = Merge::new(&snapshot.runs, Scan::ascending(TimeRange::ALL));
        let samples = blocks
            .map(|block| block.expect("the archive is whole"))
            .flat_map(|block| (0..block.len()).map(|i| block.get(i)).collect::<Vec<_>>());
        runs(name.as_str(), samples, &mut found);
    }
    found
}

/// Where the samples come from.
#[derive(Default)]
struct Sources {
    channel_archiver: Vec<PathBuf>,
    archive: Vec<PathBuf>,
    ioc: Option<Duration>,
}

impl Sources {
    /// As the command line says.
    fn given() -> Sources {
        let mut sources = Sources::default();
        let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
        while let Some(argument) = arguments.next() {
            let value = arguments.next().unwrap_or_else(|| panic!("{argument} needs a directory or seconds"));
            match argument.as_str() {
                "--channel-archiver" => sources.channel_archiver.push(value.into()),
                "--archive" => sources.archive.push(value.into()),
                "--ioc" => {
                    let seconds = value.parse().unwrap_or_else(|_| panic!("{value} is no number of seconds"));
                    sources.ioc = Some(Duration::from_secs(seconds));
                }
                other => {
                    panic!("unknown argument {other}: --channel-archiver DIR, --archive DIR or --ioc SECONDS")
                }
            }
        }
        sources
    }

    /// All runs of all sources; says which kind was not given.
    fn blocks(&self) -> Vec<(String, SampleBlock)> {
        let skipped = |what: &str, argument: &str| println!("SKIPPED: {what} ({argument} was not given)");
        if self.channel_archiver.is_empty() {
            skipped("archives of the Channel Archiver", "--channel-archiver DIR");
        }
        if self.archive.is_empty() && self.ioc.is_none() {
            skipped("records with real scan threads", "--ioc SECONDS or --archive DIR");
        }
        let archived = self.channel_archiver.iter().flat_map(|directory| channel_archiver(directory));
        let stored = self.archive.iter().flat_map(|directory| archive(directory));
        let heard = self.ioc.into_iter().flat_map(ioc::listen);
        archived.chain(stored).chain(heard).collect()
    }
}
