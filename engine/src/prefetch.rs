//! Asking the processor for memory before it is needed.

/// Bytes of a cache line.
const LINE_BYTES: usize = 64;

/// Asks for every line of the `bytes` behind `address`. Any address will do: nothing is read.
#[inline]
pub(crate) fn span(address: usize, bytes: usize) {
    for offset in (0..bytes).step_by(LINE_BYTES) {
        line(address.wrapping_add(offset));
    }
}

/// Asks for the line of `address`, on processors where that can be said.
#[inline]
pub(crate) fn line(address: usize) {
    #[cfg(target_arch = "x86_64")]
    #[expect(unsafe_code, reason = "prefetching is an intrinsic")]
    // SAFETY: the instruction is part of every x86-64; it never faults and changes no memory.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::without_provenance(address));
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}
