//! Snapshots that others are reading, until they stop asking.

use engine::read::{ReadError, Run, Tables};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Snapshots held; beyond it the one unused for longest goes, and whoever reads it plans anew.
const HELD_MAX: usize = 4096;
/// A snapshot that nobody asked about for so long goes.
const HELD_FOR: Duration = Duration::from_secs(120);
/// Snapshots are looked through for old ones once in so many new ones.
const SWEEP_EVERY: u64 = 64;

struct Held {
    /// Those of the snapshot, then those behind its range that were asked for.
    runs: Vec<Arc<dyn Run>>,
    /// How many are the snapshot's.
    inside: usize,
    tables: Option<Arc<dyn Tables>>,
    used: Instant,
}

/// The runs of snapshots by handle.
pub(super) struct Snapshots {
    held: Mutex<(u64, HashMap<u64, Held>)>,
}

impl Snapshots {
    /// None. Handles start at the time of day: those of a process before this one mean nothing here.
    pub(super) fn new() -> Snapshots {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let first = u64::try_from(since.as_nanos()).unwrap_or(1);
        Snapshots { held: Mutex::new((first, HashMap::new())) }
    }

    /// Holds `runs`, and where further ones are; they are asked for by the handle.
    pub(super) fn hold(&self, runs: Vec<Arc<dyn Run>>, tables: Option<Arc<dyn Tables>>) -> u64 {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let (next, snapshots) = &mut *held;
        *next += 1;
        if next.is_multiple_of(SWEEP_EVERY) {
            snapshots.retain(|_, held| held.used.elapsed() < HELD_FOR);
        }
        if snapshots.len() >= HELD_MAX
            && let Some(oldest) =
                snapshots.iter().min_by_key(|(_, held)| held.used).map(|(handle, _)| *handle)
        {
            snapshots.remove(&oldest);
        }
        let inside = runs.len();
        snapshots.insert(*next, Held { runs, inside, tables, used: Instant::now() });
        *next
    }

    /// A run of a snapshot that is still held.
    pub(super) fn run(&self, handle: u64, run: u32) -> Option<Arc<dyn Run>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let snapshot = held.1.get_mut(&handle)?;
        snapshot.used = Instant::now();
        snapshot.runs.get(usize::try_from(run).ok()?).cloned()
    }

    /// Up to `most` runs behind the range of a snapshot that is still held, from number `first` on; numbers behind
    /// those of the snapshot are given in order.
    pub(super) fn behind(
        &self,
        handle: u64,
        first: u32,
        most: usize,
    ) -> Option<Result<Vec<Arc<dyn Run>>, ReadError>> {
        let first = usize::try_from(first).ok()?;
        let (tables, passed) = {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            let snapshot = held.1.get_mut(&handle)?;
            snapshot.used = Instant::now();
            if !(snapshot.inside..=snapshot.runs.len()).contains(&first) {
                return None;
            }
            (snapshot.tables.clone(), first - snapshot.inside)
        };
        let Some(tables) = tables else { return Some(Ok(Vec::new())) };
        // Not under the lock: others need not wait for another process.
        let found: Result<Vec<Arc<dyn Run>>, ReadError> = tables.behind().skip(passed).take(most).collect();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let snapshot = held.1.get_mut(&handle)?;
        if let Ok(found) = &found
            && snapshot.runs.len() == first
        {
            snapshot.runs.extend_from_slice(found);
        }
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_unused_for_longest_goes_first() {
        let snapshots = Snapshots::new();
        let first = snapshots.hold(Vec::new(), None);
        let second = snapshots.hold(Vec::new(), None);
        assert!(snapshots.run(first, 0).is_none());
        for _ in 0..HELD_MAX - 1 {
            snapshots.hold(Vec::new(), None);
        }
        let held = snapshots.held.lock().unwrap();
        assert_eq!(held.1.len(), HELD_MAX);
        assert!(held.1.contains_key(&first) && !held.1.contains_key(&second));
    }
}
