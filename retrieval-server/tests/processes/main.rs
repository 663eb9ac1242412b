//! Several processes' worth of readers around engines on real disks.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod machine;
mod prefix;
mod program;
mod remote;
mod several;
mod soak;
