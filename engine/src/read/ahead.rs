//! Loads the parts that a scan comes to next, on a processor that has nothing else to do.
//!
//! The scan says in advance which parts it will load. A lent thread loads them in that order while the scan delivers;
//! the scan takes what is there, loads what nobody began, and while the part that it needs is being loaded it loads
//! the one after. So nobody waits as long as there is anything to load, and without a lent thread all is as if nothing
//! had been said.

use super::{Part, ReadError, Run, Spare};
use crate::limits::{AHEAD_BYTES_MAX, AHEAD_PARTS_MAX};
use sample::{SampleBlock, TimeRange};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, Thread};

type Block = Result<SampleBlock, ReadError>;

/// Bytes of a sample beside its value, in memory.
const BESIDE_VALUE_BYTES: usize = 8 + 4 + 1 + 4;

/// What is in memory of a block.
fn bytes_of(block: &Block) -> usize {
    block.as_ref().map_or(0, |block| block.values.byte_len() + block.len() * BESIDE_VALUE_BYTES)
}

enum State {
    Waiting,
    /// By the lent thread or by the scan; somebody may wait for it.
    Loading(Option<Thread>),
    Loaded(Box<Block>),
    Taken,
}

/// A part that will be loaded.
struct Slot {
    run: Arc<dyn Run>,
    part: Part,
    range: TimeRange,
    /// About how many it is in memory.
    bytes: usize,
    state: Mutex<State>,
}

impl Slot {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends loading.
    fn set(&self, state: State) {
        let before = std::mem::replace(&mut *self.state(), state);
        if let State::Loading(Some(thread)) = before {
            thread.unpark();
        }
    }

    /// Returns when it is not being loaded any more.
    fn wait(&self) {
        loop {
            match &mut *self.state() {
                State::Loading(waits) => *waits = Some(thread::current()),
                _ => return,
            }
            thread::park();
        }
    }

    /// Whether it was waiting and is the caller's to load now.
    fn claim(&self) -> bool {
        let mut state = self.state();
        let waiting = matches!(*state, State::Waiting);
        if waiting {
            *state = State::Loading(None);
        }
        waiting
    }
}

/// What scan and lent thread share.
#[derive(Default)]
struct Shared {
    /// What was announced and not taken, in the order of the scan, which alone changes it.
    announced: Mutex<VecDeque<Arc<Slot>>>,
    /// Slots that nobody began, perhaps with some that somebody did.
    waiting: Mutex<VecDeque<Arc<Slot>>>,
    /// Whether nothing is to be loaded: nobody takes what the scan delivers.
    still: AtomicBool,
    /// Bytes of blocks that were loaded and not taken.
    bytes: AtomicUsize,
    /// Threads that load for it.
    lent: AtomicUsize,
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, VecDeque<Arc<Slot>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Loads the next slot that nobody began; false if there is none or enough is loaded.
    fn load_next(&self) -> bool {
        /// Gives a slot back when loading it panics.
        struct Begun(Option<Arc<Slot>>);
        impl Drop for Begun {
            fn drop(&mut self) {
                if let Some(slot) = self.0.take() {
                    slot.set(State::Waiting);
                }
            }
        }
        if self.is_still() || self.bytes.load(Ordering::Relaxed) >= AHEAD_BYTES_MAX {
            return false;
        }
        let next = || self.waiting().pop_front();
        let Some(slot) = std::iter::from_fn(next).find(|slot| slot.claim()) else { return false };
        let mut begun = Begun(Some(slot));
        if let Some(slot) = &begun.0 {
            let block = slot.run.load(&slot.part, slot.range);
            self.bytes.fetch_add(bytes_of(&block), Ordering::Relaxed);
            slot.set(State::Loaded(Box::new(block)));
            if self.is_still() {
                self.unload(slot);
            }
        }
        begun.0 = None;
        true
    }

    fn announced(&self) -> MutexGuard<'_, VecDeque<Arc<Slot>>> {
        self.announced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_still(&self) -> bool {
        self.still.load(Ordering::SeqCst)
    }

    /// Lets go of what was loaded; whoever wants it loads it again.
    fn unload(&self, slot: &Slot) {
        let mut state = slot.state();
        if let State::Loaded(block) = &*state {
            self.bytes.fetch_sub(bytes_of(block), Ordering::Relaxed);
            *state = State::Waiting;
        }
    }
}

thread_local! {
    /// Scans that load ahead of the thread.
    static SCANS: RefCell<Vec<Weak<Shared>>> = const { RefCell::new(Vec::new()) };
}

/// What the calling thread's scans deliver is not taken any more: they let go of what was loaded ahead of them, and go
/// on without until they have delivered for a while.
pub fn stand_still() {
    let scans: Vec<_> = SCANS.with_borrow(|scans| scans.iter().filter_map(Weak::upgrade).collect());
    for shared in scans {
        shared.still.store(true, Ordering::SeqCst);
        shared.waiting().clear();
        shared.announced().iter().for_each(|slot| shared.unload(slot));
    }
}

/// The parts that one scan comes to.
pub(super) struct Ahead {
    spare: Arc<dyn Spare>,
    shared: Arc<Shared>,
    /// Bytes of one sample, as loaded last.
    sample_bytes: usize,
    /// Parts that are announced.
    announced: usize,
    /// About how many bytes they are in memory.
    announced_bytes: usize,
    begun: bool,
    /// Parts that were loaded since it stands still.
    alone: usize,
}

impl Ahead {
    pub(super) fn new(spare: Arc<dyn Spare>) -> Ahead {
        let shared: Arc<Shared> = Arc::default();
        SCANS.with_borrow_mut(|scans| {
            scans.retain(|scan| scan.strong_count() > 0);
            scans.push(Arc::downgrade(&shared));
        });
        Ahead { spare, shared, sample_bytes: 0, announced: 0, announced_bytes: 0, begun: false, alone: 0 }
    }

    fn bytes(&self, part: &Part) -> usize {
        part.count as usize * self.sample_bytes
    }

    /// Whether parts should be announced now: some were loaded and few are left.
    pub(super) fn wants_more(&self) -> bool {
        self.begun
            && !self.shared.is_still()
            && self.announced <= AHEAD_PARTS_MAX / 2
            && self.announced_bytes <= AHEAD_BYTES_MAX / 2
    }

    /// Whether `part` may be announced.
    pub(super) fn has_room(&self, part: &Part) -> bool {
        self.announced < AHEAD_PARTS_MAX && self.announced_bytes + self.bytes(part) <= AHEAD_BYTES_MAX
    }

    /// `part` of `run` will be loaded for `range`.
    pub(super) fn announce(&mut self, run: &Arc<dyn Run>, part: Part, range: TimeRange) {
        let (bytes, state) = (self.bytes(&part), Mutex::new(State::Waiting));
        let slot = Arc::new(Slot { run: run.clone(), part, range, bytes, state });
        self.announced += 1;
        self.announced_bytes += bytes;
        self.shared.announced().push_back(slot.clone());
        self.shared.waiting().push_back(slot);
    }

    /// Has what was announced loaded, if a processor has nothing to do.
    pub(super) fn lend(&self) {
        if self.announced < 2 || self.shared.is_still() || self.shared.lent.load(Ordering::Acquire) > 0 {
            return;
        }
        /// Counts the thread until its work ends, however that is.
        struct Lent(Arc<Shared>);
        impl Drop for Lent {
            fn drop(&mut self) {
                self.0.lent.fetch_sub(1, Ordering::AcqRel);
            }
        }
        self.shared.lent.fetch_add(1, Ordering::AcqRel);
        let lent = Lent(self.shared.clone());
        self.spare.lend(Box::new(move |may_go_on| while may_go_on() && lent.0.load_next() {}));
    }

    fn announced(&mut self, run: &Arc<dyn Run>, part: &Part) -> Option<Arc<Slot>> {
        let is = |slot: &Arc<Slot>| Arc::ptr_eq(&slot.run, run) && slot.part.token == part.token;
        let slot = {
            let mut announced = self.shared.announced();
            let at = announced.iter().position(is)?;
            announced.remove(at)?
        };
        self.announced -= 1;
        self.announced_bytes -= slot.bytes;
        Some(slot)
    }

    /// A part that may have been announced is not needed.
    pub(super) fn discard(&mut self, run: &Arc<dyn Run>, part: &Part) {
        if let Some(slot) = self.announced(run, part)
            && !self.claim(&slot)
        {
            drop(self.take(&slot));
        }
    }

    /// A part that may have been announced is not needed, and perhaps neither is what comes behind it: nobody begins to
    /// load that.
    pub(super) fn forget(&mut self, run: &Arc<dyn Run>, part: &Part) {
        if self.announced > 0 {
            self.discard(run, part);
            self.shared.waiting().clear();
        }
    }

    /// Whether nobody began to load it and nobody will.
    fn claim(&self, slot: &Arc<Slot>) -> bool {
        let claimed = slot.claim();
        if claimed {
            self.shared.waiting().retain(|waiting| !Arc::ptr_eq(waiting, slot));
        }
        claimed
    }

    /// Loads a part, or takes it where it was loaded.
    pub(super) fn load(&mut self, run: &Arc<dyn Run>, part: &Part, range: TimeRange) -> Block {
        if self.shared.is_still() {
            self.alone += 1;
            if self.alone > AHEAD_PARTS_MAX {
                self.alone = 0;
                self.shared.still.store(false, Ordering::SeqCst);
            }
        }
        let block = match self.announced(run, part) {
            None => run.load(part, range),
            Some(slot) => self.take(&slot),
        };
        if let Ok(block) = &block
            && !block.is_empty()
        {
            self.begun = true;
            self.sample_bytes = block.values.byte_len() / block.len() + BESIDE_VALUE_BYTES;
        }
        block
    }

    fn take(&self, slot: &Arc<Slot>) -> Block {
        loop {
            if self.claim(slot) {
                return slot.run.load(&slot.part, slot.range);
            }
            let mut state = slot.state();
            if let State::Loaded(_) = *state {
                let State::Loaded(block) = std::mem::replace(&mut *state, State::Taken) else { continue };
                self.shared.bytes.fetch_sub(bytes_of(&block), Ordering::Relaxed);
                return *block;
            }
            drop(state);
            if self.shared.load_next() {
                continue;
            }
            slot.wait();
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.shared.waiting().clear();
        self.shared.announced().clear();
    }
}

#[cfg(test)]
mod tests;
