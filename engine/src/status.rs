//! How a running engine is doing, as its HTTP interface reports it.

use crate::read::{ArchiveInfo, ChannelState, Ledger};
use sample::Timestamp;

/// What `/status` says; every part is a fact at `now`.
#[derive(Clone, Debug)]
pub struct Status {
    /// Version of the program.
    pub version: String,
    /// The archive that it writes.
    pub archive: ArchiveInfo,
    /// Seconds since the engine started.
    pub uptime_s: f64,
    /// Whether it answers and records.
    pub ready: bool,
    /// Why it is not ready, in words; empty when it is.
    pub reasons: Vec<String>,
    /// The engine's clock.
    pub now: Timestamp,
    /// Every sample received (by the engine's clock) at or before this survives a crash.
    pub durable_until: Timestamp,
    /// The configuration in force.
    pub config: ConfigStatus,
    /// Channels by state.
    pub channels: ChannelCounts,
    /// What comes in.
    pub ingest: IngestStatus,
    /// The servers that channels come from.
    pub servers: ServersStatus,
    /// The write-ahead log.
    pub wal: WalStatus,
    /// Samples in memory.
    pub memtable: MemtableStatus,
    /// Weeks on disk.
    pub partitions: PartitionStatus,
    /// The file system of the archive.
    pub disk: DiskStatus,
    /// What an operator should look at, most severe first.
    pub problems: Vec<StatusProblem>,
}

/// The configuration in force.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ConfigStatus {
    /// When it was read.
    pub loaded: Timestamp,
    /// Hash of its text and list files, hexadecimal.
    pub hash: String,
    /// Why a later one was refused, if it was.
    pub pending_error: Option<String>,
}

/// Channels of the configuration by state, and those that left it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ChannelCounts {
    /// Configured channels, retired ones not among them.
    pub total: u64,
    /// Connected and sending.
    pub connected: u64,
    /// Connection lost.
    pub disconnected: u64,
    /// Never found.
    pub never_connected: u64,
    /// Paused by an operator.
    pub paused: u64,
    /// Connected, no sample for a day.
    pub silent: u64,
    /// Not in the configuration any more.
    pub retired: u64,
}

impl ChannelCounts {
    /// The counter of one state.
    pub fn of(&mut self, state: ChannelState) -> &mut u64 {
        match state {
            ChannelState::Connected => &mut self.connected,
            ChannelState::Disconnected => &mut self.disconnected,
            ChannelState::NeverConnected => &mut self.never_connected,
            ChannelState::Paused => &mut self.paused,
            ChannelState::Silent => &mut self.silent,
            ChannelState::Retired => &mut self.retired,
        }
    }
}

/// What comes in.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct IngestStatus {
    /// Samples per second over the last minute.
    pub samples_per_s: f64,
    /// Value bytes per second over the last minute.
    pub bytes_per_s: f64,
    /// Samples dropped since the start, by cause in the order of [`sample::DropCause::ALL`].
    pub dropped: [u64; 5],
}

/// The servers that channels come from.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct ServersStatus {
    /// How many are connected.
    pub n: u64,
    /// Greatest known distance of a server's clock from the engine's, in ms.
    pub clock_offset_max_ms: Option<f64>,
}

/// The write-ahead log.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct WalStatus {
    /// Bytes of all segments.
    pub bytes: u64,
    /// Number of segments.
    pub segments: u64,
    /// 99th percentile of the time of one sync, in ms, over the last minutes.
    pub sync_p99_ms: Option<f64>,
}

/// Samples in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MemtableStatus {
    /// Bytes now.
    pub bytes: u64,
    /// Bytes at which a flush begins.
    pub limit: u64,
}

/// Weeks on disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PartitionStatus {
    /// Weeks not sealed.
    pub open: u64,
    /// Sealed weeks.
    pub sealed: u64,
    /// Weeks that wait for sealing.
    pub backlog: u64,
}

/// The file system of the archive.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct DiskStatus {
    /// Its size in bytes.
    pub total: u64,
    /// Bytes free.
    pub free: u64,
    /// Growth of the archive, if it has run long enough to tell.
    pub bytes_per_day: Option<f64>,
    /// Days until it is full at that growth.
    pub days_left: Option<f64>,
}

/// How bad a problem is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ProblemSeverity {
    /// Look at it in office hours.
    Warning,
    /// Data are being lost or will be soon.
    Error,
}

impl ProblemSeverity {
    /// The HTTP interface's name.
    pub fn name(self) -> &'static str {
        match self {
            ProblemSeverity::Warning => "warning",
            ProblemSeverity::Error => "error",
        }
    }
}

/// One thing that an operator should look at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StatusProblem {
    /// Since when.
    pub since: Timestamp,
    /// How bad.
    pub severity: ProblemSeverity,
    /// A short stable name, for example `disk_full`.
    pub code: &'static str,
    /// What is wrong, in words.
    pub message: String,
    /// What to do about it, in words.
    pub what_to_do: String,
}

/// A histogram of durations as Prometheus counts it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct DurationHistogram {
    /// Upper bounds in seconds, ascending, each with the observations at or below it and above the bound
    /// before it; the last bound is infinite.
    pub buckets: Vec<(f64, u64)>,
    /// Sum of all observations in seconds.
    pub sum_s: f64,
}

impl DurationHistogram {
    /// An empty histogram with these upper bounds (ascending, seconds); an infinite one is added.
    pub fn new(bounds: &[f64]) -> DurationHistogram {
        let buckets = bounds.iter().copied().chain([f64::INFINITY]).map(|bound| (bound, 0)).collect();
        DurationHistogram { buckets, sum_s: 0.0 }
    }

    /// Counts one observation of `seconds`.
    pub fn observe(&mut self, seconds: f64) {
        self.sum_s += seconds;
        if let Some(bucket) = self.buckets.iter_mut().find(|(bound, _)| seconds <= *bound) {
            bucket.1 += 1;
        }
    }

    /// Number of observations.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum()
    }
}

/// What `/metrics` counts, since the start unless said otherwise.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Metrics {
    /// Received = stored + redelivered + dropped by cause.
    pub ledger: Ledger,
    /// Channels by state now.
    pub channels: ChannelCounts,
    /// Connections lost.
    pub disconnects: u64,
    /// Search requests sent.
    pub searches: u64,
    /// Durations of the WAL's syncs.
    pub wal_sync: DurationHistogram,
    /// Now less `durable_until`, in seconds.
    pub durable_lag_s: f64,
    /// Bytes in each queue now, by name.
    pub queue_bytes: Vec<(&'static str, u64)>,
    /// Bytes free on the archive's file system now.
    pub disk_free_bytes: u64,
    /// Damaged places met.
    pub damaged: u64,
    /// Whether the newest configuration was taken.
    pub config_reload_success: bool,
}

/// Something that can tell how a running engine is doing. Both calls are cheap: no disk, no network.
pub trait StatusSource: Send + Sync {
    /// What `/status` says.
    fn status(&self) -> Status;
    /// What `/metrics` counts.
    fn metrics(&self) -> Metrics;
}
