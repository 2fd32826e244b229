//! What Linux says of a process: its peak memory and its CPU time.

use std::fs;

/// Ticks of the CPU times in /proc, a second.
const TICKS: f64 = 100.0;

/// Peak resident memory of a running process, bytes; none once it is gone.
pub fn peak_bytes(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// CPU seconds that a running process has used, by hundredths.
pub fn cpu_seconds(pid: u32) -> Option<f64> {
    ticks(&format!("/proc/{pid}/stat"), 11)
}

/// CPU seconds of the children of this process that have ended and were waited for.
pub fn children_cpu_seconds() -> Option<f64> {
    ticks("/proc/self/stat", 13)
}

/// The sum of two consecutive fields behind the name of the program, which may hold blanks.
fn ticks(path: &str, first: usize) -> Option<f64> {
    let stat = fs::read_to_string(path).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks: f64 =
        fields.split_whitespace().skip(first).take(2).filter_map(|t| t.parse::<f64>().ok()).sum();
    Some(ticks / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_the_first_process_has_used_the_cpu() {
        let own = peak_bytes(std::process::id()).expect("a status");
        assert!(own > 100_000, "{own}");
        assert!(cpu_seconds(std::process::id()).is_some_and(|seconds| seconds < 1e6));
    }

    #[test]
    fn a_process_that_is_not_there_has_nothing() {
        assert_eq!(peak_bytes(u32::MAX), None);
        assert_eq!(cpu_seconds(u32::MAX), None);
    }
}
