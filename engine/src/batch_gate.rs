//! Keeps the log's restart out of the middle of a batch.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Debug, Default)]
struct State {
    inside: bool,
    closed: bool,
}

/// A gate that the ingest thread passes at the begin of a batch and leaves at its commit. Whoever closes it
/// does so for moments, never over I/O (I8).
#[derive(Debug, Default)]
pub struct BatchGate {
    state: Mutex<State>,
    changed: Condvar,
}

/// A closed gate; opens when dropped.
#[derive(Debug)]
pub struct Closed<'a>(&'a BatchGate);

impl BatchGate {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a batch.
    pub fn enter(&self) {
        let state = self.state();
        let mut state =
            self.changed.wait_while(state, |state| state.closed).unwrap_or_else(PoisonError::into_inner);
        state.inside = true;
    }

    /// Ends a batch.
    pub fn leave(&self) {
        self.state().inside = false;
        self.changed.notify_all();
    }

    /// Waits for the end of the present batch and lets none begin.
    pub fn close(&self) -> Closed<'_> {
        let mut state = self.state();
        state.closed = true;
        drop(self.changed.wait_while(state, |state| state.inside).unwrap_or_else(PoisonError::into_inner));
        Closed(self)
    }
}

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        self.0.state().closed = false;
        self.0.changed.notify_all();
    }
}
