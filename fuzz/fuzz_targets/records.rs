//! Hostile bytes for `decoders::records`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::run(fuzz::decoders::records, bytes));
