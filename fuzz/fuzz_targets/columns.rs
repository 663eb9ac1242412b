//! Hostile bytes for the decoder of the binary answers of the HTTP interface.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // The checksum at the end is made to fit.
    let mut bytes = bytes.to_vec();
    if let Some(at) = bytes.len().checked_sub(8) {
        let checksum = u64::from(disk::checksum(&bytes[..at]));
        bytes[at..].copy_from_slice(&checksum.to_le_bytes());
    }
    let _ = retrieval_server::columns::decode(&bytes);
});
