//! Zero knowledge: proving, verifying and the ceremony of `eligibility/v1`, beside ark-groth16 on the same constraints and
//! key in the same run.
//!
//! `cargo run --release -p ward-bench --bin zk`; `-- proofs` or `-- ceremony` for one half. `-- export DIR` writes the
//! constraints, the variables and the key for the peers (`bench/peers/run`), which prove the same beside us. Walls move with other work on
//! the machine; CPU seconds less, and ratios least. A proof or a key that does not hold ends the run with an error.

mod ceremony;
mod export;
mod proofs;
mod stock;
mod zkey;

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use cpu_time::ProcessTime;

/// What goes wrong ends the run, in words.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Wall time, and CPU time of all threads.
#[derive(Clone, Copy, Default)]
struct Spent {
    wall: Duration,
    cpu: Duration,
}

/// One run of something.
fn once<T>(run: impl FnOnce() -> T) -> (T, Spent) {
    let (wall, cpu) = (Instant::now(), ProcessTime::now());
    let value = black_box(run());
    (value, Spent { wall: wall.elapsed(), cpu: cpu.elapsed() })
}

/// The least wall and the least CPU time of several runs.
fn least<T>(times: usize, mut run: impl FnMut() -> T) -> Spent {
    let all: Vec<Spent> = (0..times).map(|_| once(&mut run).1).collect();
    let wall = all.iter().map(|spent| spent.wall).min().unwrap_or_default();
    Spent { wall, cpu: all.iter().map(|spent| spent.cpu).min().unwrap_or_default() }
}

/// A line of the report, with the ratio of CPU times to a yardstick.
fn line(what: &str, spent: Spent, yardstick: Option<Spent>) {
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let ratio = yardstick
        .map_or_else(String::new, |stock| format!("{:.2} of ark-groth16", ms(spent.cpu) / ms(stock.cpu)));
    println!("{what:<36} {:>10.1} ms wall {:>10.1} ms CPU  {ratio}", ms(spent.wall), ms(spent.cpu));
}

/// The most memory that this process held, in MB.
fn peak_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}

fn run(arguments: &[&str]) -> Result<()> {
    match arguments {
        ["--write-key", path] => proofs::write_key(path.as_ref()),
        ["proofs"] => proofs::measure(),
        ["ceremony"] => ceremony::measure(),
        ["export", folder] => export::write(folder.as_ref()),
        [] => {
            proofs::measure()?;
            ceremony::measure()
        }
        _ => Err("zk [proofs | ceremony | export DIR]".into()),
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
