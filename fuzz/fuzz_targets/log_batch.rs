//! Hostile bytes for `decoders::log_batch`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::run(fuzz::decoders::log_batch, bytes));
