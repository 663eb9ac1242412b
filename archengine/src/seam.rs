//! Switches of this project's soak runs: a disk that stalls, flushes in quick succession.
//!
//! Not part of the program's interface: `VARVE_TEST_SYNC_DELAY` makes every sync take so much longer,
//! `VARVE_TEST_FLUSH_EVERY` flushes so often. Both are durations such as `5s`.

use disk::{Disk, RealDisk, SlowSyncDisk};
use engine::config::parse_duration;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// The file system, slowed down where a soak run asks for it.
pub(crate) fn disk() -> Arc<dyn Disk> {
    match switch("VARVE_TEST_SYNC_DELAY") {
        Some(delay) => {
            let extra_ns = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
            Arc::new(SlowSyncDisk::new(Arc::new(RealDisk), Arc::new(AtomicU64::new(extra_ns))))
        }
        None => Arc::new(RealDisk),
    }
}

/// How often to flush where a soak run asks for it.
pub(crate) fn flush_every() -> Option<Duration> {
    switch("VARVE_TEST_FLUSH_EVERY")
}

fn switch(name: &str) -> Option<Duration> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    let duration = parse_duration(&text).ok();
    tracing::warn!(value = text, understood = duration.is_some(), "test switch {name} is set");
    duration
}
