//! Hostile bytes for `decoders::table`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::run(fuzz::decoders::table, bytes));
