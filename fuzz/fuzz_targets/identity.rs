//! Hostile bytes for `decoders::identity`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::run(fuzz::decoders::identity, bytes));
