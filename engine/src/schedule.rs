//! Asking the kernel for a prompt turn.

/// Length of a turn, ns: the least that Linux grants.
#[cfg(target_os = "linux")]
const SLICE_NS: u64 = 100_000;

/// Asks for short turns of this thread, so that it gets one soon after it wakes.
///
/// Where more threads want to run than there are processors, Linux (6.12 and later) lets a thread that asks
/// for short turns go before one with a long turn: what arrived is queryable although the processors are
/// busy, and nobody gets more of them than before. Needs no privilege; a kernel that cannot do it refuses,
/// and everything works as before. Source: sched(7), `sched_setattr(2)`, "EEVDF" in the kernel's documents.
pub fn prompt_turns() {
    #[cfg(target_os = "linux")]
    {
        let attributes = libc::sched_attr {
            size: u32::try_from(size_of::<libc::sched_attr>()).unwrap_or(0),
            sched_policy: libc::SCHED_OTHER.cast_unsigned(),
            sched_flags: 0,
            sched_nice: own_nice(),
            sched_priority: 0,
            sched_runtime: SLICE_NS,
            sched_deadline: 0,
            sched_period: 0,
        };
        #[expect(unsafe_code, reason = "the system call has no safe wrapper")]
        // SAFETY: thread 0 is the calling one; the structure lives until the call returns and says its size.
        let refused = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
        if refused != 0 {
            tracing::debug!(error = %std::io::Error::last_os_error(), "turns stay as long as they are");
        }
    }
}

/// The nice value that the thread has: it is not to change.
#[cfg(target_os = "linux")]
fn own_nice() -> i32 {
    #[expect(unsafe_code, reason = "the call has no safe wrapper here")]
    // SAFETY: takes two numbers, touches no memory of ours.
    unsafe {
        libc::getpriority(libc::PRIO_PROCESS, 0)
    }
}
