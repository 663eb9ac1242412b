//! What the benchmarks share.

pub mod archive;
pub mod index_load;
pub mod index_own;
pub mod mix;

/// User and system time of this process so far, in seconds.
pub fn cpu_s() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// The least CPU time of `runs` runs, in seconds.
pub fn best_cpu_s(runs: usize, mut run: impl FnMut()) -> f64 {
    let mut timed = || {
        let before = cpu_s();
        run();
        cpu_s() - before
    };
    (0..runs).map(|_| timed()).fold(f64::INFINITY, f64::min)
}

/// The least wall time of `runs` runs and the CPU time of that run, in seconds.
pub fn best_wall_s(runs: usize, mut run: impl FnMut()) -> (f64, f64) {
    let mut timed = || {
        let (before, begun) = (cpu_s(), std::time::Instant::now());
        run();
        (begun.elapsed().as_secs_f64(), cpu_s() - before)
    };
    (0..runs)
        .map(|_| timed())
        .fold((f64::INFINITY, 0.0), |best, this| if this.0 < best.0 { this } else { best })
}
