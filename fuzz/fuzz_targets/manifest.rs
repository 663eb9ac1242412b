//! Hostile bytes for `decoders::manifest`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::run(fuzz::decoders::manifest, bytes));
