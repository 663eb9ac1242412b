//! What a reader can ask of one archive.

use super::Snapshot;
use sample::{ChannelName, DropCause, Metadata, TimeRange, Timestamp, ValueType};
use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// Why a read failed.
#[derive(Debug, Clone)]
pub enum ReadError {
    /// Bytes on disk do not check: where, and between which times samples are missing.
    Damaged {
        /// File, relative to the archive where possible.
        file: PathBuf,
        /// Byte offset.
        offset: u64,
        /// What was found, what was expected.
        what: String,
        /// Closed span of times that cannot be read, if known.
        span: Option<(Timestamp, Timestamp)>,
    },
    /// A file that the plan named is gone; plan again from the last delivered position.
    Vanished(PathBuf),
    /// The operating system failed.
    Io(disk::DiskError),
    /// The archive cannot be reached.
    Unavailable(String),
    /// The archive is not ready (recovering).
    NotReady(String),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Damaged { file, offset, what, .. } => {
                write!(f, "{} is damaged at byte {offset}: {what}", file.display())
            }
            ReadError::Vanished(file) => write!(f, "{} has gone while it was read", file.display()),
            ReadError::Io(error) => error.fmt(f),
            ReadError::Unavailable(what) => write!(f, "archive unavailable: {what}"),
            ReadError::NotReady(what) => write!(f, "archive not ready: {what}"),
        }
    }
}

impl std::error::Error for ReadError {}

/// Which archive this is.
#[derive(Clone, Debug)]
pub struct ArchiveInfo {
    /// The archive's id, 32 hexadecimal digits.
    pub id: String,
    /// Directory or address.
    pub path: String,
    /// When it was created.
    pub created: Timestamp,
    /// Format version, `major.minor`.
    pub format: String,
}

/// State of a channel as lists show it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ChannelState {
    /// Connected and sending.
    Connected,
    /// Connection lost, or the engine does not run.
    Disconnected,
    /// In the configuration, never found.
    NeverConnected,
    /// Paused by an operator.
    Paused,
    /// Connected, no sample for a day.
    Silent,
    /// Not in the configuration any more.
    Retired,
}

impl ChannelState {
    /// Every state.
    pub const ALL: [ChannelState; 6] = [
        ChannelState::Connected,
        ChannelState::Disconnected,
        ChannelState::NeverConnected,
        ChannelState::Paused,
        ChannelState::Silent,
        ChannelState::Retired,
    ];

    /// The HTTP interface's name.
    pub fn name(self) -> &'static str {
        match self {
            ChannelState::Connected => "connected",
            ChannelState::Disconnected => "disconnected",
            ChannelState::NeverConnected => "never_connected",
            ChannelState::Paused => "paused",
            ChannelState::Silent => "silent",
            ChannelState::Retired => "retired",
        }
    }
}

/// Which channels a list is to hold; all conditions together.
pub struct ChannelFilter<'a> {
    /// Tests the name (glob or regular expression).
    pub matches: &'a (dyn Fn(&str) -> bool + Sync),
    /// Only channels in this state.
    pub state: Option<ChannelState>,
    /// Only names behind this one, bytewise.
    pub after: Option<&'a str>,
    /// At most so many; 0 = all.
    pub limit: usize,
}

/// One row of a channel list.
#[derive(Clone, Debug)]
pub struct ChannelSummary {
    /// The name (or alias).
    pub name: ChannelName,
    /// The stored name, where `name` is an alias.
    pub alias_of: Option<ChannelName>,
    /// Type of the newest sample.
    pub value_type: Option<ValueType>,
    /// Time of the oldest sample.
    pub first: Option<Timestamp>,
    /// Time of the newest sample.
    pub last: Option<Timestamp>,
    /// Stored samples.
    pub samples: u64,
    /// Bytes on disk (encoded; samples still in memory count with their size there).
    pub bytes: u64,
    /// `None` where no live engine answers.
    pub connected: Option<bool>,
    /// Its state.
    pub state: ChannelState,
    /// Why it is in that state, in words.
    pub reason: String,
    /// `file:line` or `api:user`; empty when not configured.
    pub origin: String,
}

/// Counts since the engine started: received = stored + redelivered + all dropped, at every moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ledger {
    /// Samples that arrived, after `scan` and `deadband`.
    pub received: u64,
    /// Samples stored.
    pub stored: u64,
    /// Samples equal to the newest stored one.
    pub redelivered: u64,
    /// Samples dropped, by cause in the order of [`DropCause::ALL`].
    pub dropped: [u64; 5],
}

impl Ledger {
    /// Samples dropped for one cause.
    pub fn dropped_by(&self, cause: DropCause) -> u64 {
        DropCause::ALL.iter().position(|c| *c == cause).map_or(0, |i| self.dropped[i])
    }

    /// Samples dropped in all.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().sum()
    }
}

/// What only a running engine knows of a channel.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// Whether it is connected now.
    pub connected: bool,
    /// `host:port` of its server, when it was ever connected.
    pub host: Option<String>,
    /// Since when it has been in its present connection state.
    pub since: Option<Timestamp>,
    /// Counts since the engine started.
    pub ledger: Ledger,
    /// Samples per second over the last minute.
    pub samples_per_s: f64,
    /// Value bytes per second over the last minute.
    pub bytes_per_s: f64,
}

/// Everything about one channel.
#[derive(Clone, Debug)]
pub struct ChannelDetail {
    /// The row of the list.
    pub summary: ChannelSummary,
    /// Types over time: each with the time of its first sample.
    pub types: Vec<(Timestamp, ValueType)>,
    /// Metadata as of the time asked for, with the time from which it holds.
    pub metadata: Option<(Timestamp, Arc<Metadata>)>,
    /// Absent where no live engine answers.
    pub live: Option<Live>,
    /// Retention class.
    pub retention: String,
}

/// Why a channel is or is not archived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// All is well.
    Archived,
    /// Not in the configuration, no data.
    NotRequested,
    /// Configured, never found.
    NeverConnected,
    /// Was connected, is not.
    Disconnected,
    /// The server refuses to be read.
    NoReadAccess,
    /// Connected, no sample for a day.
    Silent,
    /// Samples are being dropped.
    Dropping,
    /// Paused.
    Paused,
    /// The file system is full.
    DiskFull,
    /// Left the configuration.
    Retired,
    /// Two servers answer for the name.
    TwoServers,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Verdict; 11] = [
        Verdict::Archived,
        Verdict::NotRequested,
        Verdict::NeverConnected,
        Verdict::Disconnected,
        Verdict::NoReadAccess,
        Verdict::Silent,
        Verdict::Dropping,
        Verdict::Paused,
        Verdict::DiskFull,
        Verdict::Retired,
        Verdict::TwoServers,
    ];

    /// The HTTP interface's name.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Archived => "archived",
            Verdict::NotRequested => "not_requested",
            Verdict::NeverConnected => "never_connected",
            Verdict::Disconnected => "disconnected",
            Verdict::NoReadAccess => "no_read_access",
            Verdict::Silent => "silent",
            Verdict::Dropping => "dropping",
            Verdict::Paused => "paused",
            Verdict::DiskFull => "disk_full",
            Verdict::Retired => "retired",
            Verdict::TwoServers => "two_servers",
        }
    }
}

/// One piece of evidence.
#[derive(Clone, Debug, PartialEq)]
pub enum Evidence {
    /// Words.
    Text(String),
    /// A count or size.
    Number(f64),
    /// A time.
    Time(Timestamp),
    /// Yes or no.
    Flag(bool),
}

/// A verdict with what it rests on.
#[derive(Clone, Debug)]
pub struct Why {
    /// The verdict.
    pub verdict: Verdict,
    /// Named facts, for example `origin`, `last_sample`, `searches`, `host`.
    pub evidence: Vec<(Cow<'static, str>, Evidence)>,
}

/// What made an answer incomplete.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProblemCode {
    /// Stored bytes do not check.
    Damaged,
    /// An archive (or the engine with its newest samples) could not be reached.
    ArchiveUnavailable,
    /// A limit cut the answer.
    Limit,
}

impl ProblemCode {
    /// Every code.
    pub const ALL: [ProblemCode; 3] =
        [ProblemCode::Damaged, ProblemCode::ArchiveUnavailable, ProblemCode::Limit];

    /// The HTTP interface's name.
    pub fn name(self) -> &'static str {
        match self {
            ProblemCode::Damaged => "damaged",
            ProblemCode::ArchiveUnavailable => "archive_unavailable",
            ProblemCode::Limit => "limit",
        }
    }
}

/// One thing that an answer lacks.
#[derive(Clone, Debug)]
pub struct Problem {
    /// What kind.
    pub code: ProblemCode,
    /// The stretch of time that it concerns.
    pub range: TimeRange,
    /// The damaged file, if one.
    pub file: Option<PathBuf>,
    /// In words.
    pub message: String,
}

impl Problem {
    /// What an error means for an answer about `range` that goes on without the bytes.
    pub fn of(error: &ReadError, range: TimeRange) -> Problem {
        match error {
            ReadError::Damaged { file, span, .. } => Problem {
                code: ProblemCode::Damaged,
                range: span.map_or(range, |(first, last)| TimeRange::new(first, last.saturating_add(1))),
                file: Some(file.clone()),
                message: error.to_string(),
            },
            _ => Problem {
                code: ProblemCode::ArchiveUnavailable,
                range,
                file: None,
                message: error.to_string(),
            },
        }
    }
}

/// One archive. Every call may block on the disk or the network.
pub trait Archive: Send + Sync {
    /// Which one it is.
    fn info(&self) -> ArchiveInfo;
    /// The stored name behind a name or alias; `None` when unknown.
    fn resolve(&self, name: &str) -> Result<Option<ChannelName>, ReadError>;
    /// Up to `most` known names that look like `name`, the nearest first.
    fn near(&self, name: &str, most: usize) -> Vec<String>;
    /// Channels and aliases that pass `filter`, in bytewise order of their names.
    fn channels(&self, filter: &ChannelFilter<'_>) -> Result<Vec<ChannelSummary>, ReadError>;
    /// Everything about a channel by its stored name, metadata as of `time`.
    fn channel(&self, name: &ChannelName, time: Timestamp) -> Result<Option<ChannelDetail>, ReadError>;
    /// Why a name is or is not archived; also for names that are not stored.
    fn why(&self, name: &str) -> Result<Why, ReadError>;
    /// One channel at this moment by its stored name; `None` when unknown.
    fn snapshot(&self, name: &ChannelName, range: TimeRange) -> Result<Option<Snapshot>, ReadError>;
    /// The channel in each of the archives that this one stands for, the winner at equal times first.
    fn snapshots(&self, name: &ChannelName, range: TimeRange) -> Result<Vec<Snapshot>, ReadError> {
        Ok(self.snapshot(name, range)?.into_iter().collect())
    }
    /// As [`Archive::snapshots`]; what was found out about the archive at `since` or later may be relied on for a short
    /// time instead of being looked at again for each channel of one answer.
    fn snapshots_since(
        &self,
        name: &ChannelName,
        range: TimeRange,
        _since: Instant,
    ) -> Result<Vec<Snapshot>, ReadError> {
        self.snapshots(name, range)
    }
    /// The damage that readers in this process have met in the archive's files, as far as those are still there; `None`
    /// where they met none or are in another process.
    fn damage(&self) -> Option<MetDamage> {
        None
    }
    /// The present time by the archive's clock.
    fn now(&self) -> Timestamp;
}

/// Damage of an archive that readers have met since the start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MetDamage {
    /// How many places.
    pub places: u64,
    /// The same in words, with what is wrong with one of them.
    pub message: String,
    /// What to do about it.
    pub what_to_do: &'static str,
}
