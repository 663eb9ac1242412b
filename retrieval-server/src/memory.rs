//! Memory that the programs' allocator keeps for a thread.

/// Gives it back to the system: of a thread that waits for its client nothing may come for a long time. Without effect
/// where the allocator is another one.
#[expect(unsafe_code, reason = "the allocator is written in C")]
pub(crate) fn give_back() {
    // SAFETY: any thread may call it at any time; it takes no pointer and frees nothing that is in use.
    unsafe { libmimalloc_sys::mi_collect(true) }
}
