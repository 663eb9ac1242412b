//! The archive engine: write-ahead log, memtable, flush, recovery, and one way to read all of it.
//!
//! The storage core is synchronous and deterministic: clock, disk and randomness are handed in, so a
//! crash is an ordinary unit test. It knows no HTTP and no JSON; EPICS only in `source`.

pub mod clock;
pub mod config;
pub mod error;
pub mod identity;
pub mod layout;
pub mod limits;
pub mod manifest;
pub mod planted;
pub mod read;
pub mod status;
pub mod wal;
