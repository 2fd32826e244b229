//! The figures, as a table and as JSON.

use std::fmt::Write as _;

use serde_json::json;

use crate::world::{PHASES, Run};

/// Everything of one run of this program.
#[derive(Default)]
pub struct Figures {
    /// Load of the machine at the start.
    pub load: String,
    /// Milliseconds of a write that reaches the disk.
    pub sync_ms: f64,
    /// The jobs.
    pub jobs: Vec<JobFigures>,
}

/// The figures of one job.
pub struct JobFigures {
    /// Its name.
    pub name: &'static str,
    /// Statistics, hospitals and rows.
    pub what: String,
    /// Goal for the median, milliseconds.
    pub goal_ms: f64,
    /// The first job of its kind, milliseconds.
    pub first_ms: f64,
    /// The measured ones.
    pub runs: Vec<Run>,
    /// CPU seconds of all processes, a job.
    pub cpu_seconds: f64,
    /// Bytes that hospitals sent and were sent.
    pub bytes: f64,
    /// The same statistics in the clear from the same files, milliseconds.
    pub clear_ms: f64,
    /// The same number of bytes over loopback, milliseconds.
    pub loopback_ms: f64,
    /// Peak memory of every process, bytes.
    pub peaks: Vec<(String, u64)>,
    /// Where an answer or a receipt does not hold, in words.
    pub wrong: Vec<String>,
}

impl JobFigures {
    fn totals(&self) -> Vec<f64> {
        self.runs.iter().map(|run| run.total_ms).collect()
    }

    /// Median milliseconds of each phase: from the end of the one before to its own, the last one to the end.
    fn phases_ms(&self) -> Vec<(&'static str, f64)> {
        let mut names: Vec<&str> = PHASES.to_vec();
        names.push("fetched, verified");
        let mut phases = Vec::new();
        for (index, name) in names.into_iter().enumerate() {
            let took = |run: &Run| {
                let end = if index == PHASES.len() { Some(run.total_ms) } else { run.reached_ms[index] };
                let begin = if index == 0 { Some(0.0) } else { run.reached_ms[index - 1] };
                Some(end? - begin?)
            };
            let times: Vec<f64> = self.runs.iter().filter_map(took).collect();
            if !times.is_empty() {
                phases.push((name, median(&times)));
            }
        }
        phases
    }

    fn engine_ms(&self) -> Option<f64> {
        let times: Vec<f64> = self.runs.iter().filter_map(|run| run.engine_ms).collect();
        (!times.is_empty()).then(|| median(&times))
    }

    fn peak(&self) -> (&str, u64) {
        let largest = self.peaks.iter().max_by_key(|(_, bytes)| *bytes);
        largest.map_or(("", 0), |(name, bytes)| (name.as_str(), *bytes))
    }
}

/// The median; the mean of the middle two of an even number.
pub fn median(times: &[f64]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

fn least(times: &[f64]) -> f64 {
    times.iter().copied().fold(f64::INFINITY, f64::min)
}

fn mib(bytes: f64) -> f64 {
    bytes / (1024.0 * 1024.0)
}

/// The figures for people.
pub fn table(figures: &Figures) -> String {
    let mut out = format!("load {}; 4 KiB written and synced: {:.2} ms\n", figures.load, figures.sync_ms);
    for job in &figures.jobs {
        let (totals, (largest, peak)) = (job.totals(), job.peak());
        let middle = median(&totals);
        let engine = job.engine_ms().map_or(String::new(), |ms| format!("; as the engine counts {ms:.0} ms"));
        let phases: Vec<String> =
            job.phases_ms().iter().map(|(name, ms)| format!("{name} {ms:.0}")).collect();
        let lines = [
            format!("\n{}: {}", job.name, job.what),
            format!(
                "  submit to verified result: median {middle:.0} ms, least {:.0} ms of {} (first {:.0} ms){engine}",
                least(&totals),
                totals.len(),
                job.first_ms
            ),
            format!("  goal {:.0} ms: {}", job.goal_ms, if middle <= job.goal_ms { "met" } else { "missed" }),
            format!("  phases, ms: {}", phases.join(", ")),
            format!("  CPU of all processes: {:.2} s a job", job.cpu_seconds),
            format!(
                "  in the clear, one thread: {:.1} ms (the job takes {:.0} times that); {:.1} MiB over loopback: {:.1} ms ({:.0} times)",
                job.clear_ms,
                middle / job.clear_ms,
                mib(job.bytes),
                job.loopback_ms,
                middle / job.loopback_ms
            ),
            format!("  peak memory: {:.0} MiB ({largest}); each: {}", mib(peak as f64), peaks(&job.peaks)),
            match job.wrong.as_slice() {
                [] => "  every answer equals the clear; the receipt verifies".to_owned(),
                wrong => format!("  WRONG: {}", wrong.join("\n         ")),
            },
        ];
        for line in lines {
            // Writing to a string does not fail.
            let _ = writeln!(out, "{line}");
        }
    }
    out
}

fn peaks(peaks: &[(String, u64)]) -> String {
    let each: Vec<String> =
        peaks.iter().map(|(name, bytes)| format!("{name} {:.0}", mib(*bytes as f64))).collect();
    each.join(", ")
}

/// The figures for programs.
pub fn json(figures: &Figures) -> String {
    let jobs: Vec<serde_json::Value> = figures
        .jobs
        .iter()
        .map(|job| {
            let totals = job.totals();
            let phases: serde_json::Map<_, _> =
                job.phases_ms().into_iter().map(|(name, ms)| (name.to_owned(), json!(ms))).collect();
            let peaks: serde_json::Map<_, _> =
                job.peaks.iter().map(|(name, bytes)| (name.clone(), json!(bytes))).collect();
            json!({
                "name": job.name,
                "what": job.what,
                "goal_ms": job.goal_ms,
                "first_ms": job.first_ms,
                "runs_ms": totals,
                "median_ms": median(&totals),
                "least_ms": least(&totals),
                "engine_median_ms": job.engine_ms(),
                "phases_ms": phases,
                "cpu_seconds": job.cpu_seconds,
                "bytes": job.bytes,
                "clear_ms": job.clear_ms,
                "loopback_ms": job.loopback_ms,
                "peak_bytes": peaks,
                "wrong": job.wrong,
            })
        })
        .collect();
    json!({ "load": figures.load, "sync_ms": figures.sync_ms, "jobs": jobs }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(total_ms: f64) -> Run {
        Run {
            total_ms,
            engine_ms: None,
            reached_ms: [Some(10.0), Some(30.0), None, Some(70.0)],
            bytes: None,
            client_peak_bytes: 0,
            answer: serde_json::Value::Null,
        }
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn phases_add_up_where_they_were_heard_and_a_missed_goal_is_said() {
        let job = JobFigures {
            name: "count",
            what: String::new(),
            goal_ms: 50.0,
            first_ms: 90.0,
            runs: vec![run(80.0)],
            cpu_seconds: 0.1,
            bytes: 1.0,
            clear_ms: 1.0,
            loopback_ms: 1.0,
            peaks: vec![("engine".to_owned(), 1 << 20)],
            wrong: vec!["something".to_owned()],
        };
        assert_eq!(job.phases_ms(), [("prepared", 10.0), ("encrypted", 20.0), ("fetched, verified", 10.0)]);
        let text = table(&Figures { jobs: vec![job], ..Figures::default() });
        assert!(text.contains("goal 50 ms: missed") && text.contains("WRONG: something"), "{text}");
    }
}
