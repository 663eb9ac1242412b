//! The retrieval server against an archive in memory and naive models of its answers.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod ahead;
mod arrow;
mod arrow_bins;
mod ask;
mod bins;
mod caching;
mod chunks;
mod compose;
mod engine;
mod explain;
mod fairness;
mod follow;
mod format;
mod http;
mod memory;
mod names;
mod problems;
mod refusals;
mod search;
mod shared_search;
mod status;
mod table;
mod values;
