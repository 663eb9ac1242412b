//! Decimated tables: nodes of the decimator's tree, stored for channels whose samples are many.
//!
//! They are caches. A row says what the one table that it was made of (its *source*) holds of a channel in one node;
//! readers use it where no other table and nothing in memory has samples there, and fold samples elsewhere. So answers
//! do not depend on which rows exist. A decimated table goes with its source, unless a retention rule drops that.

mod due;
mod make;
mod read;
mod rows;
#[cfg(test)]
mod tests;

pub(crate) use read::TableRows;

use crate::error::Error;
use crate::shared::Shared;
use std::collections::HashSet;
use std::sync::Mutex;

/// Makes the decimated table that is due most, if one is; says how many bytes it has. Sources in `given_up` are left
/// alone: one that turns out to be damaged is added. `stop` is looked at all the time; `publishing` is held while the
/// manifest is replaced.
///
/// # Errors
/// The disk's; damage of a table, with its file. Nothing is lost, nothing has changed.
pub(crate) fn step(
    shared: &Shared,
    publishing: &Mutex<()>,
    given_up: &mut HashSet<u64>,
    stop: &dyn Fn() -> bool,
) -> Result<Option<u64>, Error> {
    let Some(source) = due::due(&shared.view().manifest, given_up) else { return Ok(None) };
    let made = make::carry_out(shared, publishing, &source, stop);
    if made.as_ref().is_err_and(Error::is_damage) {
        given_up.insert(source.id);
    }
    made
}
