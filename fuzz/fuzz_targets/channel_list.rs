//! Hostile bytes for `decoders::channel_list`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::run(fuzz::decoders::channel_list, bytes));
