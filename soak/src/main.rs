//! The long runs against real IOCs: what they measure and which bars they hold.
//!
//! `soak [NAME..] [--short] [--seconds N]` starts the release programs beside itself in temporary folders.
//! Every process that it starts ends with it.

mod counters;
mod diamond;
mod disk_full;
mod engine;
mod http;
mod kill;
mod latency;
mod load;
mod names;
mod process;
mod reader;
mod readers;
mod records;
mod report;
mod sealing;
mod snapshots;
mod stalled;
mod waveforms;

use clap::Parser;
use report::Report;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What a run can die of; a missed bar is no failure.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Measures the archiver against real IOCs
#[derive(Parser)]
struct Arguments {
    /// Runs [default: all, one after the other]
    #[arg(value_enum)]
    runs: Vec<Run>,
    /// A form of seconds that checks correctness alone
    #[arg(long)]
    short: bool,
    /// Seconds of load instead of the run's own
    #[arg(long)]
    seconds: Option<u64>,
    /// Kills instead of the run's own number
    #[arg(long)]
    kills: Option<u32>,
    /// Not for people: a reader of the run `readers`
    #[arg(long, hide = true)]
    reader: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Run {
    /// 100,000 updates/s: nothing missing, what it costs
    Load,
    /// Every sync takes 5 s
    Stalled,
    /// Received to queryable
    Latency,
    /// 100 arrays of 2048 doubles at 10 Hz
    Waveforms,
    /// kill -9 at random moments
    Kill,
    /// 50,000 names, some misspelt
    Names,
    /// Eight readers against flushes
    Readers,
    /// A full file system
    DiskFull,
    /// Diamond's load, a hundred times as fast
    Diamond,
    /// Received to queryable while weeks are sealed
    Sealing,
    /// Copies of an archive under load
    Snapshots,
}

const ALL: [Run; 11] = [
    Run::Load,
    Run::Stalled,
    Run::Latency,
    Run::Waveforms,
    Run::Kill,
    Run::Names,
    Run::Readers,
    Run::DiskFull,
    Run::Diamond,
    Run::Sealing,
    Run::Snapshots,
];

/// How long and how large.
#[derive(Clone, Copy)]
pub(crate) struct Scale {
    /// Seconds instead of minutes; bars of speed are not judged.
    pub(crate) short: bool,
    seconds: Option<u64>,
    kills: Option<u32>,
}

impl Scale {
    /// The run's time of load: in full, in the short form, or as asked for.
    pub(crate) fn time(self, full: u64, short: u64) -> Duration {
        Duration::from_secs(self.seconds.unwrap_or(self.pick(full, short)))
    }

    /// The number of kills.
    pub(crate) fn kills(self, full: u32, short: u32) -> u32 {
        self.kills.unwrap_or(self.pick(full, short))
    }

    /// One of two.
    pub(crate) fn pick<T>(self, full: T, short: T) -> T {
        if self.short { short } else { full }
    }
}

/// The programs under test, beside this one.
pub(crate) struct Programs(PathBuf);

impl Programs {
    /// The path of one.
    pub(crate) fn path(&self, name: &str) -> Result<PathBuf, Failure> {
        let path = self.0.join(name);
        if path.is_file() {
            return Ok(path);
        }
        Err(format!("{} is missing; `cargo xtask soak` builds what is needed", path.display()).into())
    }
}

/// Nanoseconds since 1970 by this machine's clock.
pub(crate) fn now_ns() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_nanos()).unwrap_or(i64::MAX)
}

/// A random number below `limit`.
pub(crate) fn random(limit: u64) -> u64 {
    getrandom::u64().map_or(0, |n| n % limit.max(1))
}

fn run(run: Run, programs: &Programs, scale: Scale) -> Result<Report, Failure> {
    match run {
        Run::Load => load::run(programs, scale),
        Run::Stalled => stalled::run(programs, scale),
        Run::Latency => latency::run(programs, scale),
        Run::Waveforms => waveforms::run(programs, scale),
        Run::Kill => kill::run(programs, scale),
        Run::Names => names::run(programs, scale),
        Run::Readers => readers::run(programs, scale),
        Run::DiskFull => disk_full::run(programs, scale),
        Run::Diamond => diamond::run(scale),
        Run::Sealing => sealing::run(programs, scale),
        Run::Snapshots => snapshots::run(programs, scale),
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let programs = match std::env::current_exe() {
        Ok(path) => Programs(path.parent().map(PathBuf::from).unwrap_or_default()),
        Err(error) => {
            eprintln!("soak: where am I? {error}");
            return ExitCode::FAILURE;
        }
    };
    if let Some(task) = &arguments.reader {
        return reader::main(task);
    }
    let scale = Scale { short: arguments.short, seconds: arguments.seconds, kills: arguments.kills };
    let runs = if arguments.runs.is_empty() { ALL.to_vec() } else { arguments.runs };
    let mut passed = true;
    for name in runs {
        match run(name, &programs, scale) {
            Ok(report) => passed &= report.passed(),
            Err(error) => {
                println!("| {name:?} | could not be run to its end | {error} | | MISS |");
                passed = false;
            }
        }
    }
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
