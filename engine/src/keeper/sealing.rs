//! What becomes of old weeks, and what a failure of that means.

use super::Keeper;
use crate::error::Error;
use crate::retention;
use crate::seal::{self, SealStep};
use sample::Week;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

impl Keeper {
    /// Goes on with the seal that is due most, if one is: writes, verifies and notes its next table. `stop` is
    /// looked at all the time. Due at least every few seconds. A week with a damaged table stays as it is and
    /// is not tried again.
    ///
    /// # Errors
    /// The disk's; damage of a table, with its file. Nothing is lost, the week has not changed.
    pub fn seal(&self, stop: &dyn Fn() -> bool) -> Result<SealStep, Error> {
        let view = self.shared.view();
        let begun = seal::begun(&view.manifest);
        let due = || {
            let unsealable = self.unsealable.lock().unwrap_or_else(PoisonError::into_inner);
            let due = seal::due(&view, self.shared.clock.now(), self.shared.settings.late_limit_ns);
            due.into_iter().find(|week| !unsealable.contains(week))
        };
        match begun.or_else(due) {
            Some(week) => self.seal_week(week, stop),
            None => Ok(SealStep::Idle),
        }
    }

    /// Drops tables that need not be kept any longer ([`crate::Shared::set_retention`]), one class at a time;
    /// says whether there were any. Due at least every few minutes.
    ///
    /// # Errors
    /// The disk's; damage of a table, with its file. Nothing has changed; a damaged table stays from then on,
    /// and does not keep others.
    pub fn retain(&self) -> Result<bool, Error> {
        self.shared.check_not_poisoned()?;
        let mut damaged = self.unremovable.lock().unwrap_or_else(PoisonError::into_inner);
        if retention::touches_seal(&self.shared, &damaged) {
            seal::discard(&self.shared, &self.publishing)?;
        }
        let dropped = retention::apply(&self.shared, &self.publishing, &mut damaged);
        let failed = dropped.as_ref().err().map(|error| (self.shared.clock.now(), error.to_string()));
        if failed.is_some() || damaged.is_empty() {
            self.shared.health().retention_failed = failed;
        }
        dropped
    }

    /// Past weeks with anything that is not sealed, with the bytes that sealing them will read.
    pub fn sealable(&self) -> Vec<(Week, u64)> {
        let view = self.shared.view();
        let weeks = seal::sealable(&view, self.shared.clock.now());
        weeks.into_iter().map(|week| (week, seal::bytes_left(&view.manifest, week))).collect()
    }

    /// Numbers of weeks that are open, sealed, and due to be sealed.
    pub fn weeks(&self) -> (u64, u64, u64) {
        let settings = &self.shared.settings;
        seal::backlog(&self.shared.view(), self.shared.clock.now(), settings.late_limit_ns)
    }

    /// Goes on sealing `week`, whether or not it is due; a seal of another week is given up.
    ///
    /// # Errors
    /// As those of [`Keeper::seal`].
    pub fn seal_week(&self, week: Week, stop: &dyn Fn() -> bool) -> Result<SealStep, Error> {
        self.shared.check_not_poisoned()?;
        if seal::begun(&self.shared.view().manifest).is_some_and(|begun| begun != week) {
            seal::discard(&self.shared, &self.publishing)?;
        }
        let view = self.shared.view();
        if !seal::sealable(&view, self.shared.clock.now()).contains(&week)
            || !self.has_room(seal::bytes_left(&view.manifest, week))?
        {
            return Ok(SealStep::Idle);
        }
        let step = seal::step(&self.shared, week, &self.publishing, stop);
        match &step {
            Ok(SealStep::Written(bytes) | SealStep::Sealed(bytes)) => {
                self.merged.fetch_add(*bytes, Ordering::Relaxed);
                if self.unsealable.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
                    self.shared.health().seal_failed = None;
                }
            }
            Ok(SealStep::Idle | SealStep::Stopped) => {}
            Err(error) => self.note_unsealed(week, error),
        }
        step
    }

    /// Tables that are not live are not kept where there is no room, or where the week cannot be sealed at all.
    fn note_unsealed(&self, week: Week, error: &Error) {
        self.shared.health().seal_failed = Some((self.shared.clock.now(), error.to_string()));
        if error.is_damage() {
            self.unsealable.lock().unwrap_or_else(PoisonError::into_inner).insert(week);
        }
        if (error.is_damage() || error.is_full())
            && let Err(error) = seal::discard(&self.shared, &self.publishing)
        {
            tracing::warn!(%error, "finished tables of a seal that was given up stay for now");
        }
    }
}
