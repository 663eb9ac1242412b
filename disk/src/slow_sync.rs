//! A disk whose syncs take longer: what a stalled array or a busy file server does to its users.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::Disk;
use crate::watched::{Watch, WatchedDisk};

/// What each sync takes longer, ns.
#[derive(Clone, Debug)]
pub struct Delay(Arc<AtomicU64>);

impl Watch for Delay {
    fn syncs(&self) {
        let extra_ns = self.0.load(Ordering::Relaxed);
        if extra_ns > 0 {
            std::thread::sleep(Duration::from_nanos(extra_ns));
        }
    }
}

/// Passes everything on to another disk; each [`crate::File::sync`] and [`Disk::sync_dir`] first sleeps.
pub type SlowSyncDisk = WatchedDisk<Delay>;

impl SlowSyncDisk {
    /// Over `inner`; `extra_ns` is what each sync takes longer, in nanoseconds, settable at any time.
    pub fn new(inner: Arc<dyn Disk>, extra_ns: Arc<AtomicU64>) -> SlowSyncDisk {
        WatchedDisk { inner, watch: Delay(extra_ns) }
    }
}
