//! Hostile bytes for `decoders::configuration`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::run(fuzz::decoders::configuration, bytes));
