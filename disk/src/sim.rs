//! A simulated disk that can lose power, tear writes, fail, fill up.
//!
//! Everything is in memory, single-threaded behind one lock, deterministic from a seed. What a power cut
//! leaves is chosen afresh by each cut from the seed: nothing unsynced, all of it, a prefix whose last
//! write is torn, or an arbitrary subset; a torn write is torn at 512-byte sectors, some of which hold
//! garbage or zeros. Bytes outside an unsynced write's own range never change.

mod checksums;
mod crash;
mod directory_node;
mod fault;
mod file_node;
mod handle;
mod image;
mod operation;
mod random;
mod tree;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) use checksums::are_constant;
pub use checksums::with_constant_checksums;
pub use crash::{Crash, NameSurvival};
pub use operation::{Counters, Operation};
pub use random::Random;

use crate::DiskError;
use crash::PowerState;
use fault::Fate;
use tree::State;

/// Called with the file's path before a sync does anything, without any lock held.
pub type SyncHook = Arc<dyn Fn(&Path) + Send + Sync>;

/// Bytes on a new disk.
pub const CAPACITY_BYTES: u64 = 1 << 30;

/// A simulated disk. A clone is another handle to the same disk; [`SimDisk::copy`] is a second disk.
///
/// After a crash every operation fails until [`SimDisk::power_on`]; files and locks opened before stay
/// useless afterwards, as they belonged to a process that is gone.
#[derive(Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
    sync_hook: Arc<Mutex<Option<SyncHook>>>,
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimDisk").field("counters", &self.counters().total()).finish_non_exhaustive()
    }
}

impl SimDisk {
    /// An empty disk of [`CAPACITY_BYTES`]; its root directory exists. All chance comes from `seed`.
    pub fn new(seed: u64) -> SimDisk {
        SimDisk::over(State::new(seed))
    }

    fn over(state: State) -> SimDisk {
        SimDisk { state: Arc::new(Mutex::new(state)), sync_hook: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A second, independent disk in the same state: synced and unsynced bytes, pending names, faults to
    /// come, counters and random state; no open files, no locks, no sync hook.
    pub fn copy(&self) -> SimDisk {
        SimDisk::over(self.state().without_handles())
    }

    /// Starts the disk's chance anew, so that copies of one state can fare differently.
    pub fn reseed(&self, seed: u64) {
        self.state().random = Random::new(seed);
    }

    // Crashes.

    /// Cuts the power now; what survives is drawn from `seed`. Nothing happens if it is off.
    pub fn power_cut(&self, seed: u64) {
        let mut state = self.state();
        state.random = Random::new(seed);
        state.crash(Crash::PowerCut);
    }

    /// Kills the process now: what it wrote is kept, synced or not; its files are closed, its locks released.
    pub fn kill(&self) {
        self.state().crash(Crash::Kill);
    }

    /// Lets the crash come during the operation that follows `after` more ones (0: the very next). That
    /// operation does its work as far as chance allows, then returns an error.
    pub fn crash_after(&self, after: u64, crash: Crash) {
        self.state().schedule.crash_after(None, after, crash);
    }

    /// As [`SimDisk::crash_after`], counting operations of one kind only.
    pub fn crash_at(&self, operation: Operation, after: u64, crash: Crash) {
        self.state().schedule.crash_after(Some(operation), after, crash);
    }

    /// Forgets crashes that were scheduled and have not come.
    pub fn cancel_crash(&self) {
        self.state().schedule.cancel_crash();
    }

    /// Ends a crash: operations work again, for new files and locks. Nothing happens if there was none.
    pub fn power_on(&self) {
        let mut state = self.state();
        if state.power != PowerState::On {
            state.power = PowerState::On;
            state.epoch += 1;
        }
    }

    /// Whether a crash came and [`SimDisk::power_on`] did not.
    pub fn is_off(&self) -> bool {
        self.state().power != PowerState::On
    }

    /// What a power cut does to names whose directory was not synced; [`NameSurvival::Forgotten`] at first.
    pub fn set_name_survival(&self, survival: NameSurvival) {
        self.state().name_survival = survival;
    }

    // Faults.

    /// After `after` more operations of this kind, the next `count` of them fail with `error`. A failed
    /// write may have written a part; a failed sync has dropped some of the dirty bytes, and later syncs
    /// succeed without them, as on Linux. `u64::MAX` fails until [`SimDisk::clear_faults`].
    pub fn fail(&self, operation: Operation, after: u64, count: u64, error: io::ErrorKind) {
        self.state().schedule.fail(operation, after, count, error);
    }

    /// Forgets all faults that were scheduled.
    pub fn clear_faults(&self) {
        self.state().schedule.clear_faults();
    }

    /// Sets the capacity in bytes, also below what is in use. A file needs the bytes up to the end of its
    /// last write or allocation; beyond the capacity creating, writing or allocating gives `StorageFull`,
    /// a write after writing what fits.
    pub fn set_capacity(&self, bytes: u64) {
        self.state().capacity = bytes;
    }

    /// Bytes in use.
    pub fn used(&self) -> u64 {
        self.state().used
    }

    /// Calls `hook` at the beginning of each [`crate::File::sync`], outside any lock: it may stall, advance
    /// a clock or write to the disk. What is written to the file meanwhile is not covered by that sync.
    pub fn on_sync(&self, hook: impl Fn(&Path) + Send + Sync + 'static) {
        *self.sync_hook.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(hook));
    }

    /// Removes the hook.
    pub fn clear_sync_hook(&self) {
        *self.sync_hook.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    // Looking at what is stored and damaging it: no operations, possible with the power off.

    /// Inverts the bits of `mask` in the stored byte at `offset`.
    pub fn flip(&self, path: &Path, offset: u64, mask: u8) -> Result<(), DiskError> {
        self.behind("flip a bit of", path, |state, node| state.file_mut(node)?.flip(offset, mask))
    }

    /// Cuts a stored file to `len` bytes.
    pub fn truncate(&self, path: &Path, len: u64) -> Result<(), DiskError> {
        self.behind("truncate", path, |state, node| {
            state.file_mut(node)?.damage(|image| image.set_len(len));
            Ok(())
        })
    }

    /// The present content of a file.
    pub fn content(&self, path: &Path) -> Result<Vec<u8>, DiskError> {
        self.behind("look into", path, |state, node| Ok(state.file_mut(node)?.content.to_vec()))
    }

    /// Puts a file there, durable, with its directories; one that exists is replaced.
    pub fn plant(&self, path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
        self.state().plant(path, bytes).map_err(|error| DiskError::new("plant", path, error))
    }

    /// Every file's path, sorted.
    pub fn files(&self) -> Vec<PathBuf> {
        self.state().files()
    }

    /// How many operations of each kind were executed, failed, cut.
    pub fn counters(&self) -> Counters {
        self.state().schedule.counters.clone()
    }

    fn behind<T>(
        &self,
        what: &'static str,
        path: &Path,
        act: impl FnOnce(&mut State, usize) -> io::Result<T>,
    ) -> Result<T, DiskError> {
        let mut state = self.state();
        let result = state.find(path).and_then(|node| act(&mut state, node));
        result.map_err(|error| DiskError::new(what, path, error))
    }

    /// Executes one operation under the schedule of faults and crashes.
    fn run<T>(
        &self,
        operation: Operation,
        path: &Path,
        epoch: Option<u64>,
        body: impl FnOnce(&mut State, Fate) -> io::Result<T>,
    ) -> Result<T, DiskError> {
        let mut state = self.state();
        let result = state.admit(epoch).and_then(|()| {
            let fate = state.schedule.next(operation);
            let result = body(&mut state, fate);
            if let Fate::Crash(crash) = fate {
                state.crash(crash);
                return Err(crash.error());
            }
            result
        });
        result.map_err(|error| DiskError::new(operation.name(), path, error))
    }

    /// [`SimDisk::run`] for an operation that does nothing when it fails and all when the crash comes.
    fn simple<T>(
        &self,
        operation: Operation,
        path: &Path,
        epoch: Option<u64>,
        body: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> Result<T, DiskError> {
        self.run(operation, path, epoch, |state, fate| match fate {
            Fate::Fail(kind) => Err(kind.into()),
            Fate::Done | Fate::Crash(_) => body(state),
        })
    }
}

#[cfg(test)]
mod tests;
