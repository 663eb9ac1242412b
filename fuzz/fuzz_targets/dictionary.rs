//! Hostile bytes for `decoders::dictionary`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::run(fuzz::decoders::dictionary, bytes));
