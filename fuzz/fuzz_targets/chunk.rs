//! Hostile bytes for `decoders::chunk`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::run(fuzz::decoders::chunk, bytes));
