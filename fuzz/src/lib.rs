//! What the fuzz targets call: the decoders as the tests call them, checksums made to fit.

#[path = "../../tests/it/decoders.rs"]
pub mod decoders;

/// Decodes `bytes` while every checksum is 0: golden content in `corpus/` was written so, and what libFuzzer changes
/// gets past the comparison.
pub fn run(decode: fn(&[u8]) -> bool, bytes: &[u8]) {
    disk::sim::with_constant_checksums(|| decode(bytes));
}
