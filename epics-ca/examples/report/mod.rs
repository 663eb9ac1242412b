//! What a monitor of counters received and what it cost.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// One counter, which must rise by one.
#[derive(Default)]
pub(crate) struct Count {
    newest: AtomicU64,
    updates: AtomicU64,
    missing: AtomicU64,
}

impl Count {
    /// Notes a value. One thread at a time.
    pub(crate) fn add(&self, value: f64) {
        let before = f64::from_bits(self.newest.swap(value.to_bits(), Relaxed));
        let updates = self.updates.load(Relaxed);
        if updates > 0 && value != before + 1.0 {
            self.missing.store(self.missing.load(Relaxed) + (value - before - 1.0).abs() as u64, Relaxed);
        }
        self.updates.store(updates + 1, Relaxed);
    }

    /// Notes an update of what does not count. One thread at a time.
    #[allow(dead_code, reason = "one of the two programs that share this file needs it")]
    pub(crate) fn arrived(&self) {
        self.updates.store(self.updates.load(Relaxed) + 1, Relaxed);
    }
}

/// From the last channel's first value to the beginning of what counts.
const SETTLE: Duration = Duration::from_secs(1);

/// A run over some channels.
pub(crate) struct Report {
    /// Their names.
    pub(crate) names: Vec<String>,
    /// Their counts.
    pub(crate) counts: &'static [Count],
    seconds: u64,
    connected: Duration,
    cost: Duration,
    updates: u64,
    missing_before: u64,
}

impl Report {
    /// From `SECONDS FILE`.
    pub(crate) fn from_arguments() -> Result<Report, Box<dyn std::error::Error>> {
        let mut arguments = std::env::args().skip(1);
        let seconds = arguments.next().ok_or("SECONDS is missing")?.parse()?;
        let file = arguments.next().ok_or("FILE is missing")?;
        let names: Vec<String> = std::fs::read_to_string(file)?.lines().map(str::to_owned).collect();
        let counts = Vec::leak(names.iter().map(|_| Count::default()).collect());
        Ok(Report {
            names,
            counts,
            seconds,
            connected: Duration::ZERO,
            cost: Duration::ZERO,
            updates: 0,
            missing_before: 0,
        })
    }

    fn sum(&self, of: impl Fn(&Count) -> u64) -> u64 {
        self.counts.iter().map(of).sum()
    }

    /// Runs `step` until all channels have spoken and [`SETTLE`] longer, then for the seconds asked for, which count.
    pub(crate) fn measure(&mut self, mut step: impl FnMut()) {
        let started = Instant::now();
        while self.counts.iter().any(|count| count.updates.load(Relaxed) == 0)
            && started.elapsed().as_secs() < 60
        {
            step();
        }
        self.connected = started.elapsed();
        while started.elapsed() < self.connected + SETTLE {
            step();
        }
        self.missing_before = self.sum(|count| count.missing.load(Relaxed));
        let (cost, updates) = (processor_time(), self.sum(|count| count.updates.load(Relaxed)));
        let counted = Instant::now();
        while counted.elapsed().as_secs() < self.seconds {
            step();
        }
        self.cost = processor_time().saturating_sub(cost);
        self.updates = self.sum(|count| count.updates.load(Relaxed)) - updates;
    }

    /// Prints the run.
    pub(crate) fn print(&self, what: &str) {
        let silent = self.counts.iter().filter(|count| count.updates.load(Relaxed) == 0).count();
        println!(
            "{what}: {} channels, {silent} silent, all spoke after {:.2} s; {} updates in {} s, {} missing ({} while connecting), {:.3} us of CPU each; {}",
            self.names.len(),
            self.connected.as_secs_f64(),
            self.updates,
            self.seconds,
            self.sum(|count| count.missing.load(Relaxed)) - self.missing_before,
            self.missing_before,
            self.cost.as_secs_f64() * 1e6 / self.updates.max(1) as f64,
            memory(),
        );
    }
}

/// User and system time of this process.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks: u64 = fields.iter().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default().replace('\t', " ")
}
