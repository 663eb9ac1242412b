//! One archive on a simulated disk, driven by chance, cut by chance.

use super::check;
use super::model::{Given, Model};
use crate::readings::{any_type, reading};
use crate::snapshots;
use disk::sim::{Counters, Crash, Operation, Random, SimDisk};
use engine::clock::{Clock, ManualClock};
use engine::identity::ArchiveId;
use engine::recovery::{Opening, Recovered, open};
use engine::{Frozen, Outcome, SealStep, StorageSettings};
use sample::{ChannelName, EventKind, Metadata, Timestamp, ValueType, Week};
use sstable::ChannelChange;
use std::fmt;
use std::sync::Arc;

/// 2026-11-16T00:00:00Z, the week change of every script.
pub const MONDAY: i64 = 1_794_787_200_000_000_000;
const MINUTE: i64 = 60_000_000_000;
const DAY: i64 = 1440 * MINUTE;
const CHANNELS: usize = 4;

/// A channel's name.
pub fn name(channel: usize) -> ChannelName {
    ChannelName::stored(["SR:C01{BPM:1}X-I", "é", "A/B", "T"][channel]).unwrap()
}

/// What happened, summed over lives.
#[derive(Clone, Debug, Default)]
pub struct Happened {
    pub flushes: u64,
    pub merges: u64,
    /// Steps of seals that finished a table.
    pub sealed: u64,
    /// Tables removed after their grace time.
    pub removed: u64,
    pub week_changes: u64,
    pub late: u64,
    pub equal: u64,
    pub type_changes: u64,
    pub redelivered: u64,
    /// First values after a connect that are older than the week.
    pub old_first: u64,
    pub stored: u64,
    pub power_cuts: u64,
    pub kills: u64,
    pub recovery_cuts: u64,
    pub log_replays: u64,
    pub torn_tails: u64,
    pub copies: u64,
    pub reindexings: u64,
    pub disk: Counters,
}

impl Happened {
    fn counts(&self) -> [(&'static str, u64); 18] {
        [
            ("flushes", self.flushes),
            ("merges", self.merges),
            ("tables sealed", self.sealed),
            ("merged tables removed", self.removed),
            ("week changes", self.week_changes),
            ("late", self.late),
            ("equal stamps", self.equal),
            ("type changes", self.type_changes),
            ("redelivered", self.redelivered),
            ("old first values", self.old_first),
            ("stored", self.stored),
            ("power cuts", self.power_cuts),
            ("kills", self.kills),
            ("cuts inside recovery", self.recovery_cuts),
            ("log replays", self.log_replays),
            ("torn tails", self.torn_tails),
            ("copies", self.copies),
            ("reindexings", self.reindexings),
        ]
    }

    /// Adds another life.
    pub fn add(&mut self, other: &Happened) {
        self.flushes += other.flushes;
        self.merges += other.merges;
        self.sealed += other.sealed;
        self.removed += other.removed;
        self.week_changes += other.week_changes;
        self.late += other.late;
        self.equal += other.equal;
        self.type_changes += other.type_changes;
        self.redelivered += other.redelivered;
        self.old_first += other.old_first;
        self.stored += other.stored;
        self.power_cuts += other.power_cuts;
        self.kills += other.kills;
        self.recovery_cuts += other.recovery_cuts;
        self.log_replays += other.log_replays;
        self.torn_tails += other.torn_tails;
        self.copies += other.copies;
        self.reindexings += other.reindexings;
        self.disk.add(&other.disk);
    }

    /// Whether a life had all that each one must have.
    pub fn complete(&self) -> bool {
        let needed = [self.week_changes, self.late, self.equal, self.type_changes];
        self.flushes >= 3 && needed.iter().all(|count| *count > 0)
    }
}

impl fmt::Display for Happened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.counts().map(|(what, count)| format!("{count} {what}"));
        write!(f, "{}\n{}", counts.join(", "), self.disk)
    }
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
    /// Bytes at which a table of a sealed week ends.
    pub seal_table_bytes: u64,
    types: Vec<ValueType>,
    /// Batches that must be there whatever happens.
    durable: usize,
    /// Batches that must be there unless the power fails.
    written: usize,
    frozen: Option<(Frozen, usize)>,
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
            seal_table_bytes: 1 + random.below(8192),
            random,
            model: Model::new(CHANNELS),
            happened: Happened::default(),
            faulty: false,
            copies: false,
            durable: 0,
            written: 0,
            frozen: None,
        }
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
                seal_table_bytes: self.seal_table_bytes,
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
        }
        let batches = check::whole(&recovered, &self.model).map_err(Stop::Wrong)?;
        if !self.faulty && batches < least {
            let given = self.model.batches.len();
            return Err(Stop::Wrong(format!(
                "{batches} of {given} batches are there, {least} were promised"
            )));
        }
        self.note_durable(&recovered);
        self.model.truncate(batches);
        // Recovery promises what it found.
        (self.durable, self.written) = (batches, batches);
        check::stretches(&recovered, &self.model, &mut self.random).map_err(Stop::Wrong)?;
        self.frozen = None;
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

    /// One random step.
    pub fn step(&mut self, recovered: &mut Recovered) -> Result<(), Stop> {
        let result = match self.random.below(22) {
            0..=7 => {
                self.batch(recovered)?;
                return Ok(());
            }
            8..=10 => self.write(recovered),
            11..=12 => recovered.keeper.sync_log(),
            13 => {
                self.freeze(recovered);
                Ok(())
            }
            14 => {
                self.freeze(recovered);
                self.flush(recovered)
            }
            15..=17 => self.merge(recovered),
            18..=19 => self.seal(recovered),
            20 if self.copies && self.random.one_in(4) => return snapshots::step(self, recovered),
            _ if self.random.one_in(3) => {
                recovered.keeper.check_space();
                Ok(())
            }
            _ => self.flush(recovered),
        };
        self.note_durable(recovered);
        match result {
            _ if self.disk.is_off() => Err(Stop::Crashed),
            Err(error) if !self.faulty => Err(self.end(&error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Hands the log to the operating system.
    pub fn write(&mut self, recovered: &Recovered) -> Result<(), engine::error::Error> {
        recovered.keeper.write_log()?;
        self.written = self.model.batches.len();
        Ok(())
    }

    /// Freezes the memtable.
    pub fn freeze(&mut self, recovered: &mut Recovered) {
        self.frozen = recovered.writer.freeze().map(|frozen| (frozen, self.model.batches.len()));
    }

    /// Flushes what was frozen last.
    pub fn flush(&mut self, recovered: &Recovered) -> Result<(), engine::error::Error> {
        let Some((frozen, batches)) = self.frozen.take() else { return Ok(()) };
        recovered.keeper.flush(frozen)?;
        self.durable = self.durable.max(batches);
        self.written = self.written.max(batches);
        self.happened.flushes += 1;
        Ok(())
    }

    /// Merges what is due, removes what was merged long enough ago.
    pub fn merge(&mut self, recovered: &Recovered) -> Result<(), engine::error::Error> {
        self.happened.removed += recovered.keeper.remove_dropped()? as u64;
        self.happened.merges += u64::from(recovered.keeper.merge(&|| false)?);
        Ok(())
    }

    /// Goes on sealing the week before Monday, again and again.
    pub fn seal(&mut self, recovered: &Recovered) -> Result<(), engine::error::Error> {
        let week = Week::containing(Timestamp(MONDAY - 1));
        let step = recovered.keeper.seal_week(week, &|| false)?;
        self.happened.sealed += u64::from(matches!(step, SealStep::Written(_) | SealStep::Sealed(_)));
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
        self.disk.power_on();
    }

    /// Receives a few things and commits them.
    pub fn batch(&mut self, recovered: &mut Recovered) -> Result<(), Stop> {
        let before = Week::containing(self.clock.now());
        let pause = [MINUTE / 60, MINUTE, 20 * MINUTE][self.random.below(3) as usize];
        self.clock.advance(1 + self.random.below(pause as u64) as i64);
        self.happened.week_changes += u64::from(Week::containing(self.clock.now()) != before);
        let received = recovered.writer.at(self.clock.now());
        self.model.begin(received);
        let channel = self.random.below(CHANNELS as u64) as usize;
        self.sample(recovered, channel)?;
        for _ in 0..self.random.below(6) {
            let channel = self.random.below(CHANNELS as u64) as usize;
            match self.random.below(12) {
                0 => self.event(recovered, channel, received),
                1 => self.metadata(recovered, channel, received),
                2 => {
                    let class = ["default", "short", "long"][self.random.below(3) as usize];
                    let id = recovered.writer.register(&name(channel));
                    recovered.writer.record(id, ChannelChange::Retention(class.into()));
                }
                3 => recovered.writer.heartbeat(),
                _ => self.sample(recovered, channel)?,
            }
        }
        recovered.writer.commit();
        Ok(())
    }

    fn event(&mut self, recovered: &mut Recovered, channel: usize, time: Timestamp) {
        let host = format!("ioc{}:5064", self.random.below(3));
        let kind = match self.random.below(6) {
            0 | 1 => EventKind::Connected { host: host.into() },
            2 => EventKind::Disconnected { last_heard: Timestamp(time.0 - MINUTE) },
            3 => EventKind::Started,
            4 => EventKind::Paused,
            _ => EventKind::TimeReplaced { original: Timestamp(0) },
        };
        let id = recovered.writer.register(&name(channel));
        recovered.writer.event(id, time, kind.clone());
        self.model.give(channel, Given::Event(time, kind));
    }

    fn metadata(&mut self, recovered: &mut Recovered, channel: usize, time: Timestamp) {
        let metadata = Metadata {
            units: Some(Box::from(&b"mA"[..self.random.below(3) as usize])),
            display_low: self.random.one_in(2).then_some(-0.0),
            states: self.random.one_in(3).then(|| vec![Box::from(&b"off"[..]), Box::from(&b""[..])]),
            ..Metadata::default()
        };
        let id = recovered.writer.register(&name(channel));
        recovered.writer.metadata(id, time, metadata.clone());
        let time = match self.model.channels[channel].metadata.last() {
            Some((_, known)) if known.same_bits(&metadata) => return,
            Some((since, _)) => time.max(Timestamp(since.0 + 1)),
            None => time,
        };
        self.model.give(channel, Given::Metadata(time, metadata));
    }

    /// When the next sample of `channel` is stamped, and whether it is the first since a connect.
    fn stamp(&mut self, channel: usize) -> (Timestamp, bool) {
        let now = self.clock.now();
        let newest = self.model.channels[channel].newest().map(|newest| newest.time);
        let week = Week::containing(now).start();
        let back = 1 + self.random.below(12 * 60 * MINUTE as u64) as i64;
        match (self.random.below(10), newest) {
            (0, Some(newest)) => (newest, false),
            (1, Some(newest)) if now.0 - newest.0 < DAY => (Timestamp(newest.0 - back), false),
            (2, Some(newest)) if newest < week => {
                (Timestamp(newest.0 + self.random.below((week.0 - newest.0) as u64) as i64), true)
            }
            (0..=4, None) => (Timestamp(now.0 - self.random.below(1 << 60) as i64), true),
            (3, _) => (Timestamp(now.0 + self.random.below(20 * MINUTE as u64) as i64), false),
            (4, _) => (Timestamp(now.0 - self.random.below(MINUTE as u64) as i64), true),
            _ => (now, false),
        }
    }

    fn sample(&mut self, recovered: &mut Recovered, channel: usize) -> Result<(), Stop> {
        if self.random.one_in(8) {
            let former = std::mem::replace(&mut self.types[channel], any_type(&mut self.random));
            self.happened.type_changes += u64::from(former != self.types[channel]);
        }
        let (time, first) = self.stamp(channel);
        let mut sample = reading(&mut self.random, self.types[channel], time);
        let truth = &self.model.channels[channel];
        if truth.newest().is_some_and(|newest| newest.same_reading(&sample)) {
            sample.status.code ^= 1;
        }
        sample.rank = truth.next_rank(time);
        self.happened.equal += u64::from((1..1 << 31).contains(&sample.rank));
        self.happened.late += u64::from(sample.rank >= 1 << 31);
        self.happened.old_first += u64::from(first && time < Week::containing(self.clock.now()).start());
        self.happened.stored += 1;
        let id = recovered.writer.register(&name(channel));
        let outcome = recovered.writer.append(id, sample::Sample { rank: 0, ..sample.clone() }, first);
        if outcome != Outcome::Stored {
            return Err(Stop::Wrong(format!("a sample was {outcome:?}: {sample:?}")));
        }
        self.model.give(channel, Given::Sample(sample));
        Ok(())
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

    /// A crash to come: anywhere, or at a kind of operation.
    pub fn schedule(&mut self) -> Crash {
        let crash = if self.random.one_in(4) { Crash::Kill } else { Crash::PowerCut };
        if self.random.one_in(3) {
            let kind = Operation::ALL[self.random.below(Operation::ALL.len() as u64) as usize];
            self.disk.crash_at(kind, self.random.below(6), crash);
        } else {
            self.disk.crash_after(self.random.below(200), crash);
        }
        crash
    }
}
