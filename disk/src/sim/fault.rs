//! Which operations fail, which one is the last.

use std::io;

use super::{Counters, Crash, Operation};

/// What becomes of one operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    /// It is done.
    Done,
    /// It fails; the machine goes on.
    Fail(io::ErrorKind),
    /// The crash comes before it returns.
    Crash(Crash),
}

/// Faults and crashes to come, with the counts of what came.
#[derive(Clone, Debug, Default)]
pub(super) struct Schedule {
    pub(super) counters: Counters,
    faults: Vec<Fault>,
    crashes: Vec<ScheduledCrash>,
}

#[derive(Clone, Debug)]
struct Fault {
    operation: Operation,
    after: u64,
    count: u64,
    error: io::ErrorKind,
}

#[derive(Clone, Debug)]
struct ScheduledCrash {
    operation: Option<Operation>,
    after: u64,
    crash: Crash,
}

impl Schedule {
    pub(super) fn fail(&mut self, operation: Operation, after: u64, count: u64, error: io::ErrorKind) {
        self.faults.push(Fault { operation, after, count, error });
    }

    pub(super) fn clear_faults(&mut self) {
        self.faults.clear();
    }

    pub(super) fn crash_after(&mut self, operation: Option<Operation>, after: u64, crash: Crash) {
        self.crashes.push(ScheduledCrash { operation, after, crash });
    }

    pub(super) fn cancel_crash(&mut self) {
        self.crashes.clear();
    }

    /// Counts one operation; says what becomes of it. A crash goes before a fault.
    pub(super) fn next(&mut self, operation: Operation) -> Fate {
        self.counters.count_executed(operation);
        let mut fate = Fate::Done;
        for fault in self.faults.iter_mut().filter(|fault| fault.operation == operation) {
            if fault.after > 0 {
                fault.after -= 1;
            } else if fault.count > 0 {
                fault.count -= u64::from(fault.count < u64::MAX);
                fate = Fate::Fail(fault.error);
            }
        }
        self.faults.retain(|fault| fault.count > 0);
        for crash in &mut self.crashes {
            if crash.operation.is_some_and(|kind| kind != operation) {
                continue;
            }
            if crash.after == 0 {
                fate = Fate::Crash(crash.crash);
            } else {
                crash.after -= 1;
            }
        }
        match fate {
            Fate::Done => {}
            Fate::Fail(_) => self.counters.count_failed(operation),
            Fate::Crash(_) => {
                self.counters.count_crashed(operation);
                self.crashes.clear();
            }
        }
        fate
    }
}
