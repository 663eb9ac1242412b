//! What the benchmarks share.

pub mod index_load;
pub mod index_own;

/// User and system time of this process so far, in seconds.
pub fn cpu_s() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
