//! Hostile bytes for `decoders::log`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::run(fuzz::decoders::log, bytes));
