//! CPU seconds of the calling thread, so that a machine shared with others still gives steady figures.

use cpu_time::ThreadTime;

/// The smallest CPU time of `rounds` runs of `f`, in seconds, after one run to warm up.
pub fn least_seconds<T>(rounds: usize, mut f: impl FnMut() -> T) -> f64 {
    std::hint::black_box(f());
    (0..rounds)
        .map(|_| {
            let start = ThreadTime::now();
            std::hint::black_box(f());
            start.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min)
}
