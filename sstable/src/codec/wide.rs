//! Loops compiled for the wide registers of the processor that runs them.

/// Runs `work` as compiled for AVX2 where the processor has it, for loops that the compiler vectorises.
///
/// Only what is inlined into `work` is compiled so: `work` calls nothing large. The results are the same.
#[inline(always)]
pub(crate) fn wide<R>(work: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
        fn on_avx2<R>(work: impl FnOnce() -> R) -> R {
            work()
        }
        if has_avx2() {
            #[expect(unsafe_code, reason = "the compiler cannot know the processor")]
            // SAFETY: the processor has what the function is compiled for.
            return unsafe { on_avx2(work) };
        }
    }
    work()
}

/// Whether the processor has what came with AVX2 (Haswell 2013, Excavator 2015).
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn has_avx2() -> bool {
    use std::arch::is_x86_feature_detected as has;
    has!("avx2") && has!("bmi1") && has!("bmi2") && has!("lzcnt") && has!("popcnt")
}
