//! The checksum of everything durable: CRC-32 (IEEE 802.3).

/// The CRC-32 of `bytes`.
pub fn checksum(bytes: &[u8]) -> u32 {
    if is_constant() { 0 } else { crc32fast::hash(bytes) }
}

/// Whether a test wants checksums that fit anything: never, in a program.
#[inline]
fn is_constant() -> bool {
    #[cfg(any(test, feature = "sim"))]
    return crate::sim::are_constant();
    #[cfg(not(any(test, feature = "sim")))]
    false
}

/// A CRC-32 taken in pieces.
#[derive(Clone, Debug, Default)]
pub struct Checksum(crc32fast::Hasher);

impl Checksum {
    /// Of nothing yet.
    pub fn new() -> Checksum {
        Checksum::default()
    }

    /// As if the little-endian bytes of `salt` stood before the first byte, so that bytes left over from
    /// an older use of the same place do not pass.
    pub fn salted(salt: u64) -> Checksum {
        let mut checksum = Checksum::new();
        checksum.update(&salt.to_le_bytes());
        checksum
    }

    /// Appends `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum of all that was appended.
    pub fn finish(self) -> u32 {
        if is_constant() { 0 } else { self.0.finalize() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_ieee_crc() {
        assert_eq!(checksum(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn pieces_give_the_whole_sum_however_they_are_cut() {
        let bytes: Vec<u8> = (0..=255).collect();
        for cut in 0..bytes.len() {
            let mut pieces = Checksum::new();
            pieces.update(&bytes[..cut]);
            pieces.update(&bytes[cut..]);
            assert_eq!(pieces.finish(), checksum(&bytes));
        }
    }

    #[test]
    fn another_salt_is_another_sum() {
        let sum = |salt| {
            let mut checksum = Checksum::salted(salt);
            checksum.update(b"record");
            checksum.finish()
        };
        assert_ne!(sum(1), sum(2));
        assert_eq!(sum(0x0102_0304_0506_0708), checksum(b"\x08\x07\x06\x05\x04\x03\x02\x01record"));
    }
}
