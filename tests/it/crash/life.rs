//! One archive on a simulated disk, driven by chance, cut by chance.

use super::check;
use super::chores::CutWithin;
use super::happened::{Chore, Happened};
use super::model::Model;
use crate::readings::any_type;
use crate::snapshots::Copy;
use disk::sim::{Crash, Random, SimDisk};
use engine::clock::{Clock, ManualClock};
use engine::identity::ArchiveId;
use engine::recovery::{Opening, Recovered, open};
use engine::{Frozen, Outcome, StorageSettings};
use sample::{ChannelName, Timestamp, ValueType};
use std::sync::Arc;

/// 2026-11-16T00:00:00Z, the week change of every script.
pub const MONDAY: i64 = 1_794_787_200_000_000_000;
pub(super) const MINUTE: i64 = 60_000_000_000;
pub(super) const DAY: i64 = 1440 * MINUTE;
pub(super) const WEEK: i64 = 7 * DAY;
pub(super) const CHANNELS: usize = 4;

/// A channel's name.
pub fn name(channel: usize) -> ChannelName {
    ChannelName::stored(["SR:C01{BPM:1}X-I", "é", "A/B", "T"][channel]).unwrap()
}

/// The archive, its disk, its truth.
pub struct Life {
    pub disk: SimDisk,
    pub clock: ManualClock,
    pub random: Random,
    pub model: Model,
    pub happened: Happened,
    /// Whether operations may fail without a crash.
    pub faulty: bool,
    /// Whether copies are made and manifests get lost.
    pub copies: bool,
    /// Tables that are merged to one.
    pub merge_fan_in: usize,
    /// Bytes that a merge may take whatever its week holds: where they are few, rows of tables are joined.
    pub merge_small_bytes: u64,
    /// Bytes at which a table of a sealed week ends.
    pub seal_table_bytes: u64,
    /// Whether retention rules are applied.
    pub retains: bool,
    /// Whether there are weeks before the last one, which get index files.
    pub past: bool,
    /// The copy that was made last.
    pub copy: Option<Copy>,
    pub(super) types: Vec<ValueType>,
    /// Batches that must be there whatever happens.
    pub(super) durable: usize,
    /// Batches that must be there unless the power fails.
    pub(super) written: usize,
    /// Batches that may stand in tables.
    pub(super) flushed: usize,
    pub(super) frozen: Option<(Frozen, usize)>,
    pub(super) cut_within: Option<CutWithin>,
    /// What was going on when the crash came.
    pub(super) doing: Option<Chore>,
    /// Whether index files may be missing or damaged.
    pub lost_indexes: bool,
}

/// Why a step ended.
#[derive(Debug)]
pub enum Stop {
    /// The crash came.
    Crashed,
    /// A check failed.
    Wrong(String),
}

impl Life {
    /// An empty disk a few hours before the week change.
    pub fn new(seed: u64) -> Life {
        let mut random = Random::new(seed);
        let clock = ManualClock::new(Timestamp(MONDAY - 3 * 60 * MINUTE - random.below(1 << 40) as i64));
        Life {
            disk: SimDisk::new(random.bits()),
            clock,
            types: (0..CHANNELS).map(|_| any_type(&mut random)).collect(),
            merge_fan_in: 2 + random.below(2) as usize,
            merge_small_bytes: if seed.is_multiple_of(2) { 1 << 20 } else { 1 },
            seal_table_bytes: 1 + random.below(8192),
            random,
            model: Model::new(CHANNELS),
            happened: Happened::default(),
            faulty: false,
            copies: false,
            retains: false,
            past: false,
            copy: None,
            durable: 0,
            written: 0,
            flushed: 0,
            frozen: None,
            cut_within: None,
            doing: None,
            lost_indexes: false,
        }
    }

    /// Begins some weeks earlier.
    pub fn begin_earlier(&mut self, weeks: i64) {
        self.past = weeks > 0;
        self.clock.set(Timestamp(self.clock.now().0 - weeks * WEEK));
    }

    /// How the archive is opened.
    pub fn opening(&self) -> Opening {
        Opening {
            disk: Arc::new(self.disk.clone()),
            clock: Arc::new(self.clock.clone()),
            directory: "/archive".into(),
            create: true,
            pinned: None,
            fresh_id: Some(ArchiveId(7)),
            settings: StorageSettings {
                memtable_bytes: 1 << 20,
                log_buffer_bytes: 1 << 20,
                segment_bytes: 2048,
                reserve_bytes: 4096,
                merge_fan_in: self.merge_fan_in,
                merge_small_bytes: self.merge_small_bytes,
                seal_table_bytes: self.seal_table_bytes,
                decimated_bin_samples: 2,
                rollup_tables: 2,
                rollup_weeks: [6, 3, 2],
                // The least that takes all that comes late.
                late_limit_ns: 2 * DAY,
                ..StorageSettings::default()
            },
        }
    }

    /// Takes an error of the archive for the crash that it must be.
    pub fn end(&self, error: &engine::error::Error) -> Stop {
        if self.disk.is_off() {
            Stop::Crashed
        } else {
            Stop::Wrong(format!("an error without a crash: {error}"))
        }
    }

    /// Believes the archive what it says is durable; returns how many batches are.
    pub fn note_durable(&mut self, recovered: &Recovered) -> usize {
        let durable = self.model.received_until(recovered.shared.durable_until());
        self.durable = self.durable.max(durable);
        self.durable
    }

    /// Opens the archive, through `cuts` crashes inside recovery, then checks it.
    pub fn recover(&mut self, mut cuts: u32) -> Result<Recovered, Stop> {
        let mut least = self.written;
        let mut bound = 60;
        loop {
            if cuts > 0 {
                let crash = if self.random.one_in(4) { Crash::Kill } else { Crash::PowerCut };
                self.disk.crash_after(self.random.below(bound), crash);
                bound = (bound / 2).max(1);
            }
            let result = open(self.opening());
            let crashed = self.disk.is_off();
            match result {
                Err(error) if !crashed => return Err(self.end(&error)),
                Ok(recovered) if !crashed && cuts == 0 => {
                    self.disk.cancel_crash();
                    return self.check(recovered, least);
                }
                Ok(recovered) => {
                    // The crash met the very last steps, or did not come: it comes now.
                    self.note_durable(&recovered);
                    drop(recovered);
                    self.disk.cancel_crash();
                    self.disk.power_cut(self.random.bits());
                    cuts -= u32::from(crashed);
                }
                Err(_) => cuts -= 1,
            }
            self.happened.recovery_cuts += u64::from(crashed);
            if let Some(chore) = self.doing.filter(|_| crashed) {
                self.happened.chore(chore).recovery_cut += 1;
            }
            // What a kill left is with the operating system only until the power fails.
            least = self.durable;
            self.disk.power_on();
        }
    }

    fn check(&mut self, recovered: Recovered, least: usize) -> Result<Recovered, Stop> {
        let report = &recovered.report;
        self.happened.log_replays += u64::from(report.records > 0);
        for cut in &report.cuts {
            if cut.verdict == engine::wal::Verdict::Corrupt {
                return Err(Stop::Wrong(format!("a crash taken for corruption: {cut}")));
            }
            self.happened.torn_tails += 1;
        }
        if self.faulty {
            self.model = check::parts(&recovered, &self.model, least).map_err(Stop::Wrong)?;
            // What a flush left that failed half-way may stand twice, in tables and in the log.
            self.model.counted = false;
        }
        let promised = if self.faulty { 0 } else { least };
        let batches = check::whole_from(&recovered, &self.model, promised).map_err(Stop::Wrong)?;
        if !self.faulty && batches < least {
            let given = self.model.batches.len();
            return Err(Stop::Wrong(format!(
                "{batches} of {given} batches are there, {least} were promised"
            )));
        }
        self.note_durable(&recovered);
        self.model.truncate(batches);
        if let Some(copy) = &mut self.copy {
            copy.archive_has(batches);
        }
        // Recovery promises what it found.
        (self.durable, self.written) = (batches, batches);
        // What is there may have been flushed just before the crash, but nothing else.
        self.flushed = self.flushed.min(batches);
        check::stretches(&recovered, &self.model, &mut self.random).map_err(Stop::Wrong)?;
        if !self.lost_indexes {
            check::indexes(&self.disk, &recovered).map_err(Stop::Wrong)?;
        }
        (self.frozen, self.doing) = (None, None);
        Ok(recovered)
    }

    /// Offers every channel's newest sample again.
    pub fn redeliver(&mut self, recovered: &mut Recovered) -> Result<(), Stop> {
        recovered.writer.at(self.clock.now());
        for channel in 0..CHANNELS {
            let Some(newest) = self.model.channels[channel].newest().cloned() else { continue };
            let id = recovered.writer.register(&name(channel));
            let outcome = recovered.writer.append(id, sample::Sample { rank: 0, ..newest }, false);
            if outcome != Outcome::Redelivered {
                return Err(Stop::Wrong(format!(
                    "channel {channel}: the newest sample again was {outcome:?}"
                )));
            }
            self.happened.redelivered += 1;
        }
        recovered.writer.commit();
        Ok(())
    }

    /// Notes what the crash was; readies the disk.
    pub fn crashed(&mut self, crash: Crash) {
        if crash == Crash::PowerCut {
            self.written = self.durable;
            self.happened.power_cuts += 1;
        } else {
            self.happened.kills += 1;
        }
        self.cut_within = None;
        self.disk.power_on();
    }

    /// Moves the clock to just before or behind the week change.
    pub fn near_monday(&mut self) {
        let now = self.clock.now().0;
        if now < MONDAY {
            let before = self.happened.week_changes;
            self.clock.set(Timestamp((MONDAY - 1 + self.random.below(3) as i64).max(now)));
            self.happened.week_changes = before + u64::from(self.clock.now().0 >= MONDAY);
        }
    }
}
