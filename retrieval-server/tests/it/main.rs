//! The retrieval server against an archive in memory and naive models of its answers.

mod ask;
mod compose;
mod format;
mod http;
mod memory;
mod names;
mod problems;
mod refusals;
mod status;
mod values;
