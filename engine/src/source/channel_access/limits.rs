//! Limits of the Channel Access source.

use std::time::Duration;

/// Bytes of the queue between libca and the ingest thread: ten seconds of 100,000 updates/s.
pub(super) const QUEUE_BYTES: usize = 128 << 20;
/// Names handed to libca at once. Thousands keep a server so busy that it merges first updates.
pub(super) const SEARCHES_AT_ONCE: usize = 500;
/// Pause between two such batches.
pub(super) const SEARCH_PAUSE: Duration = Duration::from_millis(20);
/// A name that has not connected for so long no longer shares a context with those that do.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// Time spent on ending monitors per call, as each may wait for a running callback.
pub(super) const ENDING_TIME: Duration = Duration::from_millis(2);
/// Pause before more of them are ended.
pub(super) const ENDING_PAUSE: Duration = Duration::from_millis(1);
/// Time between two looks at libca's messages and at the queue's figures.
pub(super) const LOOK_PAUSE: Duration = Duration::from_millis(100);
/// From a sign of losses to asking every channel for its own, so that every count has settled.
pub(super) const SETTLE_TIME: Duration = Duration::from_secs(1);
/// What happens within this time of its first occurrence becomes one log line.
pub(super) const LOG_DELAY: Duration = Duration::from_secs(1);
/// Time between two log lines of one kind.
pub(super) const LOG_PAUSE: Duration = Duration::from_secs(10);
/// Kinds of log line that are kept apart; what is beyond is counted in one.
pub(super) const LOG_KINDS_MAX: usize = 1000;
/// Different messages of libca that are kept apart.
pub(super) const MESSAGE_KINDS_MAX: usize = 20;
/// Bytes of a channel's name in libca's messages; the rest is cut.
pub(super) const MESSAGE_NAME_BYTES: usize = 64;
