//! Immutable sorted tables of compressed chunks.
#![allow(dead_code, unused_imports, clippy::allow_attributes_without_reason)]
mod chunk;
mod codec;
mod fingerprint;
mod format;

pub use chunk::*;
pub use fingerprint::fingerprint;
pub use format::{CHUNK_SAMPLES_MAX, CHUNK_VALUE_BYTES_MAX, SAMPLE_VALUE_BYTES_MAX};
