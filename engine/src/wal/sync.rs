//! One group commit: the syncs that make what was written durable.

use crate::planted::{Bug, planted};
use disk::{Disk, DiskError, File};
use sample::Timestamp;
use std::path::PathBuf;
use std::sync::Arc;

/// Up to where the log is durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Durable {
    /// Every record of the present life up to this one is; 0 for none. For releasing segments, not a promise.
    pub sequence: u64,
    /// All that was received up to this time is: the promise (`durable_until_ns`).
    pub received: Timestamp,
}

/// What one group commit has to sync. It may be run in another thread while the writer goes on writing:
/// what is written meanwhile belongs to the next one.
#[derive(Debug)]
#[must_use = "what was written stays undurable until the ticket is run and handed to finish_sync"]
pub struct SyncTicket {
    /// In the order in which they were written.
    pub(super) files: Vec<Arc<dyn File>>,
    /// The directory, when it has names that are not durable.
    pub(super) dir: Option<(Arc<dyn Disk>, PathBuf)>,
    /// What will be durable.
    pub(super) target: Durable,
    /// The life of the log that it belongs to.
    pub(super) life: u64,
}

impl SyncTicket {
    /// Syncs files, then the directory. Blocks for as long as the medium takes.
    ///
    /// # Errors
    /// The disk's. To be handed to [`super::Writer::finish_sync`] either way, never to be tried again.
    pub fn run(&self) -> Result<(), DiskError> {
        if planted(Bug::AcknowledgeBeforeSync) {
            return Ok(());
        }
        for file in &self.files {
            file.sync()?;
        }
        match &self.dir {
            Some((disk, dir)) if !planted(Bug::NoDirectorySync) => disk.sync_dir(dir),
            _ => Ok(()),
        }
    }
}
