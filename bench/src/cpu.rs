//! CPU seconds of the calling thread, so that a machine shared with others still gives steady figures.

use rustix::time::{ClockId, clock_gettime};

/// CPU seconds this thread has used.
#[must_use]
pub fn thread_seconds() -> f64 {
    let t = clock_gettime(ClockId::ThreadCPUTime);
    t.tv_sec as f64 + t.tv_nsec as f64 * 1e-9
}

/// The smallest CPU time of `rounds` runs of `f`, in seconds, after one run to warm up.
pub fn least_seconds<T>(rounds: usize, mut f: impl FnMut() -> T) -> f64 {
    std::hint::black_box(f());
    (0..rounds)
        .map(|_| {
            let start = thread_seconds();
            std::hint::black_box(f());
            thread_seconds() - start
        })
        .fold(f64::INFINITY, f64::min)
}
