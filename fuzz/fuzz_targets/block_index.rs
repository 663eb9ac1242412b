//! Hostile bytes for `decoders::block_index`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::run(fuzz::decoders::block_index, bytes));
