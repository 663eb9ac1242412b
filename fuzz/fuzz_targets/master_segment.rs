//! Hostile bytes for `decoders::master_segment`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::run(fuzz::decoders::master_segment, bytes));
