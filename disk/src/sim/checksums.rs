//! Checksums that fit whatever bytes they cover, so that tests reach what lies behind the comparison.

use std::cell::Cell;

thread_local! {
    static CONSTANT: Cell<bool> = const { Cell::new(false) };
}

/// Runs `run` while every CRC-32 that the calling thread takes is 0. What was written so passes its checks however
/// it was changed since, which is what a hostile writer can do.
pub fn with_constant_checksums<T>(run: impl FnOnce() -> T) -> T {
    struct Reset(bool);
    impl Drop for Reset {
        fn drop(&mut self) {
            CONSTANT.set(self.0);
        }
    }
    let _reset = Reset(CONSTANT.replace(true));
    run()
}

/// Whether the calling thread's checksums are 0.
pub(crate) fn are_constant() -> bool {
    CONSTANT.get()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Checksum, checksum};

    #[test]
    fn they_are_constant_inside_only() {
        let real = checksum(b"x");
        with_constant_checksums(|| {
            with_constant_checksums(|| assert_eq!(checksum(b"x"), 0));
            assert_eq!((checksum(b"x"), Checksum::salted(1).finish()), (0, 0));
        });
        assert_eq!(checksum(b"x"), real);
    }
}
