//! Index files of weeks that do not change any more, made beside everything else.
//!
//! They are derived: a week without one is read from its tables, and one that cannot be read is made anew.

mod choice;
mod partition;
mod segment;
mod swap;
mod verify;

pub use verify::{verify_master_segment, verify_partition_index};

use crate::error::Error;
use crate::shared::Shared;
use choice::Due;
use sample::Week;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// The next step, if one is due; says whether one was taken. Weeks in `given_up` are left alone: one whose
/// tables turn out to be damaged is added. `stop` is looked at all the time; `publishing` is held while the
/// manifest is replaced.
///
/// # Errors
/// The disk's; damage of a table, with its file. Nothing is lost, nothing has changed.
pub(crate) fn step(
    shared: &Shared,
    publishing: &Mutex<()>,
    given_up: &Mutex<BTreeSet<Week>>,
    stop: &dyn Fn() -> bool,
) -> Result<bool, Error> {
    let view = shared.view();
    let lost = choice::unreadable(&shared.indexes, &view.manifest);
    let settled = shared.clock.now().saturating_add(-shared.settings.late_limit_ns);
    let left_alone = given_up.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let Some(due) = choice::due(&view.manifest, settled, &lost, &left_alone) else { return Ok(false) };
    match due {
        Due::Partition(week) => {
            let built = partition::carry_out(shared, publishing, week, &lost, stop);
            if built.as_ref().is_err_and(Error::is_damage) {
                given_up.lock().unwrap_or_else(PoisonError::into_inner).insert(week);
            }
            built
        }
        Due::Segment(index) => segment::add(shared, publishing, index, &lost, stop),
        Due::Merge(segments) => segment::merge(shared, publishing, &segments),
        Due::Forget => swap::forget(shared, publishing, &lost).map(|()| true),
    }
}
