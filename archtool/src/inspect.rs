//! The files of an archive, looked into without an engine.

mod dump;
mod index_file;
mod verify;

pub(crate) use dump::dump;
pub(crate) use verify::{Verified, verify};
