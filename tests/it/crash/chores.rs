//! What an archive does on its disk, some of it cut in its midst.

use super::check;
use super::happened::Chore;
use super::life::{DAY, Life, MONDAY, Stop, WEEK};
use crate::{reindexing, snapshots};
use disk::sim::{Crash, Operation};
use engine::SealStep;
use engine::clock::Clock;
use engine::config::{Keep, RetentionClass};
use engine::error::Error;
use engine::recovery::Recovered;
use sample::{Timestamp, Week};
use std::time::Duration;

/// A crash that waits for a kind of work.
#[derive(Clone, Copy, Debug)]
pub struct CutWithin {
    chore: Chore,
    /// Works of the kind that come before.
    left: u64,
    /// Operations before the crash.
    after: u64,
    crash: Crash,
}

impl Life {
    /// One random step.
    pub fn step(&mut self, recovered: &mut Recovered) -> Result<(), Stop> {
        match self.random.below(26) {
            0..=7 => self.batch(recovered),
            8..=10 => self.chore(Chore::Log, recovered, Life::write),
            11..=12 => self.chore(Chore::Log, recovered, |_, recovered| recovered.keeper.sync_log()),
            13 => {
                self.freeze(recovered);
                Ok(())
            }
            14 => {
                self.freeze(recovered);
                self.chore(Chore::Flush, recovered, Life::flush)
            }
            15..=17 => {
                self.chore(Chore::Remove, recovered, Life::remove)?;
                self.chore(Chore::Merge, recovered, Life::merge)
            }
            18..=19 => self.chore(Chore::Seal, recovered, Life::seal),
            20 if self.copies && (self.awaits(Chore::Copy) || self.random.one_in(4)) => {
                snapshots::step(self, recovered)
            }
            21 if self.retains => self.chore(Chore::Retain, recovered, Life::retain),
            22..=24 if self.past => self.index(recovered),
            _ if self.random.one_in(3) => {
                recovered.keeper.check_space();
                if self.disk.is_off() { Err(Stop::Crashed) } else { Ok(()) }
            }
            _ => self.chore(Chore::Flush, recovered, Life::flush),
        }
    }

    /// Does something on the disk; a crash that waits for it comes in its midst.
    pub fn chore(
        &mut self,
        chore: Chore,
        recovered: &Recovered,
        work: impl FnOnce(&mut Life, &Recovered) -> Result<(), Error>,
    ) -> Result<(), Stop> {
        self.begin(chore);
        let before = self.happened.chore(chore).done;
        let result = work(self, recovered);
        self.note_durable(recovered);
        let idle = before == self.happened.chore(chore).done;
        self.end_chore(chore, idle, result)
    }

    /// Whether the crash waits for work of this kind.
    fn awaits(&self, chore: Chore) -> bool {
        self.cut_within.is_some_and(|within| within.chore == chore)
    }

    /// Schedules the crash if this is the work that it waits for.
    pub fn begin(&mut self, chore: Chore) {
        self.doing = Some(chore);
        if let Some(within) = self.cut_within.filter(|within| within.chore == chore && within.left == 0) {
            self.disk.crash_after(within.after, within.crash);
        }
    }

    /// What a piece of work that ended means; `idle` when there was nothing to do.
    pub fn end_chore(&mut self, chore: Chore, idle: bool, result: Result<(), Error>) -> Result<(), Stop> {
        if self.disk.is_off() {
            self.happened.chore(chore).cut += 1;
            self.cut_within = None;
            return Err(Stop::Crashed);
        }
        self.doing = None;
        if let Some(within) = self.cut_within.as_mut().filter(|within| within.chore == chore) {
            match within.left {
                // It was too short; the crash waits for the next one.
                0 => {
                    within.after /= 2;
                    self.disk.cancel_crash();
                }
                _ => within.left -= u64::from(!idle),
            }
        }
        match result {
            Err(error) if !self.faulty => Err(self.end(&error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn did(&mut self, chore: Chore, times: u64) {
        self.happened.chore(chore).done += times;
    }

    /// Hands the log to the operating system.
    pub fn write(&mut self, recovered: &Recovered) -> Result<(), Error> {
        recovered.keeper.write_log()?;
        self.written = self.model.batches.len();
        self.did(Chore::Log, 1);
        Ok(())
    }

    /// Freezes the memtable.
    pub fn freeze(&mut self, recovered: &mut Recovered) {
        self.frozen = recovered.writer.freeze().map(|frozen| (frozen, self.model.batches.len()));
    }

    /// All that was received may stand in tables from now on.
    pub fn may_be_flushed(&mut self) {
        self.flushed = self.model.batches.len();
    }

    /// Flushes what was frozen last.
    pub fn flush(&mut self, recovered: &Recovered) -> Result<(), Error> {
        let Some((frozen, batches)) = self.frozen.take() else { return Ok(()) };
        self.flushed = self.flushed.max(batches);
        recovered.keeper.flush(frozen)?;
        self.durable = self.durable.max(batches);
        self.written = self.written.max(batches);
        self.happened.flushes += 1;
        self.did(Chore::Flush, 1);
        Ok(())
    }

    /// Merges what is due.
    fn merge(&mut self, recovered: &Recovered) -> Result<(), Error> {
        let merged = recovered.keeper.merge(&|| false)?;
        let decimated = self.random.one_in(2) && recovered.keeper.decimate(&|| false)?;
        let view = recovered.shared.view();
        if decimated && let Some(rollup) = view.manifest.tables.last().filter(|rows| rows.is_rollup()) {
            let is_open =
                |source: &&u64| view.manifest.tables.iter().any(|of| of.id == **source && !of.sealed);
            self.happened.joined += rollup.sources.iter().filter(is_open).count() as u64;
        }
        self.did(Chore::Merge, u64::from(merged || decimated));
        Ok(())
    }

    /// Removes what was dropped long enough ago.
    fn remove(&mut self, recovered: &Recovered) -> Result<(), Error> {
        let removed = recovered.keeper.remove_dropped()? as u64;
        self.happened.removed += removed;
        self.did(Chore::Remove, u64::from(removed > 0));
        Ok(())
    }

    /// Goes on sealing the week before Monday, or one before that, again and again.
    fn seal(&mut self, recovered: &Recovered) -> Result<(), Error> {
        let back = if self.past { self.random.below(4) as i64 } else { 0 };
        let week = Week::containing(Timestamp(MONDAY - 1 - back * WEEK));
        let step = recovered.keeper.seal_week(week, &|| false)?;
        self.did(Chore::Seal, u64::from(matches!(step, SealStep::Written(_) | SealStep::Sealed(_))));
        Ok(())
    }

    /// Lets a rule for some of the classes have its way.
    fn retain(&mut self, recovered: &Recovered) -> Result<(), Error> {
        let keep = [1, DAY, WEEK][self.random.below(3) as usize];
        let classes = ["default", "short", "long"].map(|class| {
            let raw = match self.random.one_in(4) {
                true => Keep::Forever,
                false => Keep::For(Duration::from_nanos(keep as u64)),
            };
            RetentionClass { raw, ..RetentionClass::forever(class) }
        });
        recovered.shared.set_retention(&classes);
        // All weeks go that ended so long ago.
        let first_kept = Week::containing(Timestamp(self.clock.now().0 - keep)).start();
        self.model.removable(first_kept, self.flushed);
        while recovered.keeper.retain()? {
            self.did(Chore::Retain, 1);
        }
        Ok(())
    }

    /// Makes index files.
    fn index(&mut self, recovered: &Recovered) -> Result<(), Stop> {
        for _ in 0..1 + self.random.below(4) {
            let view = recovered.shared.view();
            let (partitions, masters) = (&view.manifest.partition_indexes, &view.manifest.master_segments);
            let segments = masters.len();
            let covered = |id: u64| masters.iter().any(|segment| segment.indexes.contains(&id));
            let all = partitions.iter().all(|index| covered(index.id));
            let chore = if segments > 1 && all { Chore::IndexMerge } else { Chore::Index };
            self.chore(chore, recovered, |life, recovered| {
                let worked = recovered.keeper.index(&|| false)?;
                let merged = recovered.shared.view().manifest.master_segments.len() < segments;
                life.did(if merged { Chore::IndexMerge } else { Chore::Index }, u64::from(worked));
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Some weeks of the past in tables: what seals, retention rules and index files are about.
    pub fn live_through_weeks(&mut self, recovered: &mut Recovered) -> Result<(), Stop> {
        while self.clock.now().0 < MONDAY - WEEK {
            for _ in 0..1 + self.random.below(2) {
                for _ in 0..1 + self.random.below(3) {
                    self.batch(recovered)?;
                }
                self.chore(Chore::Log, recovered, Life::write)?;
                self.freeze(recovered);
                self.chore(Chore::Flush, recovered, Life::flush)?;
            }
            let next = Week::containing(self.clock.now()).end().0 - 1 + self.random.below(DAY as u64) as i64;
            self.clock.set(Timestamp(next.min(MONDAY - DAY / 8)));
        }
        Ok(())
    }

    /// A crash to come: anywhere, at a kind of operation, or inside a kind of work.
    pub fn schedule(&mut self) -> Crash {
        let crash = if self.random.one_in(4) { Crash::Kill } else { Crash::PowerCut };
        match self.random.below(3) {
            0 => {
                let kind = Operation::ALL[self.random.below(Operation::ALL.len() as u64) as usize];
                let after = if kind == Operation::RemoveDir { 2 } else { 6 };
                self.disk.crash_at(kind, self.random.below(after), crash);
            }
            1 => self.disk.crash_after(self.random.below(200), crash),
            _ => {
                // Reindexing has crashes of its own.
                let chore = Chore::ALL[self.random.below(Chore::ALL.len() as u64 - 1) as usize];
                let left = self.random.below(3);
                let scale = 1 << (2 + self.random.below(6));
                self.cut_within = Some(CutWithin { chore, left, after: self.random.below(scale), crash });
                self.copies |= chore == Chore::Copy && !self.faulty;
                self.retains |= chore == Chore::Retain && !self.faulty;
            }
        }
        crash
    }

    /// Between two openings: the manifest is lost and rebuilt; index files are lost or damaged.
    pub fn meanwhile(&mut self) -> Result<(), Stop> {
        snapshots::look_behind_crash(self)?;
        if self.copies && self.random.one_in(2) {
            reindexing::step(self)?;
        }
        if self.past && self.random.one_in(3) {
            self.happened.index_losses += check::lose_indexes(&self.disk, &mut self.random);
            self.lost_indexes = true;
        }
        Ok(())
    }
}
