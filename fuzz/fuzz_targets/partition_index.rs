//! Hostile bytes for `decoders::partition_index`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::run(fuzz::decoders::partition_index, bytes));
