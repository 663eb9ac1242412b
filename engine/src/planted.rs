//! Bugs planted on purpose, so that a test shows that the crash tests would find them.
//!
//! Without the feature `planted-bugs` none is ever active and the checks vanish from the program.

/// One planted bug.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bug {
    /// The directory of a new log segment or table is not synced.
    NoDirectorySync,
    /// Log segments go before the manifest that makes them superfluous is stored.
    LogRemovedTooEarly,
    /// Checksums of log records are not compared.
    NoChecksum,
    /// A log sync reports success without having synced.
    AcknowledgeBeforeSync,
    /// Recovery leaves the torn tail where it is.
    TornTailNotCut,
    /// Recovery calls what it replayed durable without syncing it.
    ReplayedCalledDurable,
    /// Tables that were merged go before the manifest that does not name them is stored.
    InputsRemovedTooEarly,
    /// A seal leaves late samples out.
    SealLosesLate,
    /// A retention rule drops tables without carrying forward what later weeks need.
    NothingCarriedForward,
    /// A copy of an archive does not look whether the log went on while it was opened.
    CopyNotChecked,
    /// Reindexing believes that every flush was finished.
    FlushTakenForFinished,
    /// Reindexing keeps tables that were merged together with what they were merged into.
    MergedPartsKept,
    /// A retention rule unlinks tables before the manifest that does not name them is stored.
    ExpiredRemovedTooEarly,
    /// The directory of a new index file is not synced.
    IndexNotSynced,
    /// An index is used for tables of its week that it does not hold.
    StaleIndexUsed,
}

impl Bug {
    /// Every bug.
    pub const ALL: [Bug; 15] = [
        Bug::NoDirectorySync,
        Bug::LogRemovedTooEarly,
        Bug::NoChecksum,
        Bug::AcknowledgeBeforeSync,
        Bug::TornTailNotCut,
        Bug::ReplayedCalledDurable,
        Bug::InputsRemovedTooEarly,
        Bug::SealLosesLate,
        Bug::NothingCarriedForward,
        Bug::CopyNotChecked,
        Bug::FlushTakenForFinished,
        Bug::MergedPartsKept,
        Bug::ExpiredRemovedTooEarly,
        Bug::IndexNotSynced,
        Bug::StaleIndexUsed,
    ];
}

#[cfg(feature = "planted-bugs")]
mod active {
    use super::Bug;
    use std::cell::Cell;

    thread_local! {
        static ACTIVE: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Plants a bug in the calling thread, or (with `None`) removes it.
    pub fn plant(bug: Option<Bug>) {
        ACTIVE.set(bug);
    }

    /// Whether the calling thread has this bug.
    pub fn planted(bug: Bug) -> bool {
        ACTIVE.get() == Some(bug)
    }
}

#[cfg(feature = "planted-bugs")]
pub use active::{plant, planted};

/// Whether the calling thread has this bug: never, in this build.
#[cfg(not(feature = "planted-bugs"))]
pub const fn planted(_bug: Bug) -> bool {
    false
}
