//! Multi-party computation by three processes on loopback, over TLS 1.3 with certificates on both sides: seconds, bytes and
//! rounds of whole programs, beside a plain loop and a plain copy of the same bytes in the same run.
//!
//! `cargo run --release -p ward-bench --bin mpc`; `-- WORK...` for some of the programs only (`mpc -- mul sort`), `-- --runs 9`
//! for more runs. A program whose result is wrong ends the bench with an error.

mod baseline;
mod channel;
mod logistic;
mod node;
mod tls;
mod work;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, ExitCode, Stdio};
use std::{env, fs, io};

use serde_json::Value;

use ward_math::pages::HugePages;
use work::Work;

#[global_allocator]
static MEMORY: HugePages = HugePages;

/// The slowest node's figures of a program.
struct Figures {
    least_s: f64,
    median_s: f64,
    cpu_s: f64,
    sent_bytes: u64,
    rounds: u64,
    peak_bytes: u64,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let ended = match arguments.first().map(String::as_str) {
        Some("--node") => node::run(&arguments[1..]),
        _ => compare(&arguments),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(arguments: &[String]) -> io::Result<()> {
    let mut runs = 5;
    let mut works = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument == "--runs" {
            runs = arguments.next().and_then(|runs| runs.parse().ok()).ok_or_else(|| bad("--runs NUMBER"))?;
        } else {
            works.push(Work::of(argument).ok_or_else(|| bad(&format!("no program {argument}")))?);
        }
    }
    if works.is_empty() {
        works = Work::ALL.to_vec();
    }
    println!(
        "{:<34} {:<11} {:>8} {:>8} {:>8} {:>10} {:>7} {:>9}   {:>9} {:>8}",
        "program",
        "security",
        "least s",
        "median s",
        "CPU s",
        "MB a node",
        "rounds",
        "peak MiB",
        "loop s",
        "copy s"
    );
    for work in works {
        for is_malicious in [false, true] {
            let figures = measure(work, is_malicious, runs)?;
            println!(
                "{:<34} {:<11} {:>8.4} {:>8.4} {:>8.3} {:>10.4} {:>7} {:>9.0}   {:>9.4} {:>8.4}",
                work.title(),
                if is_malicious { "malicious" } else { "semi-honest" },
                figures.least_s,
                figures.median_s,
                figures.cpu_s,
                figures.sent_bytes as f64 / 1e6,
                figures.rounds,
                figures.peak_bytes as f64 / f64::from(1 << 20),
                baseline::loop_seconds(work.plain_products()),
                baseline::copy_seconds(figures.sent_bytes)?,
            );
        }
    }
    println!(
        "seconds: the slowest node, of each run; CPU: the sum over the nodes, one run; loop: as many plain products;"
    );
    println!("copy: as many bytes as the nodes sent, over three plain loopback connections at once, no TLS.");
    Ok(())
}

fn measure(work: Work, is_malicious: bool, runs: usize) -> io::Result<Figures> {
    let folder = env::temp_dir().join(format!("ward-bench-mpc-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let certificates = tls::certify(&folder);
    let figures = certificates.and_then(|()| {
        let mut nodes: Vec<Child> = Vec::new();
        for role in 0..3 {
            let mut command = Command::new(env::current_exe()?);
            let security = if is_malicious { "malicious" } else { "semi-honest" };
            command
                .args(["--node", &role.to_string(), work.name(), security, &runs.to_string()])
                .arg(&folder);
            nodes.push(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?);
        }
        let figures = meet(&mut nodes);
        for node in &mut nodes {
            if figures.is_err() {
                node.kill().ok();
            }
            node.wait()?;
        }
        figures
    });
    fs::remove_dir_all(&folder)?;
    figures
}

/// Tells each node where the others listen, and waits for their figures.
fn meet(nodes: &mut [Child]) -> io::Result<Figures> {
    let mut output = Vec::new();
    for node in nodes.iter_mut() {
        let stdout = node.stdout.take().ok_or_else(|| bad("a node without output"))?;
        output.push(BufReader::new(stdout));
    }
    let mut ports = Vec::new();
    for output in &mut output {
        ports.push(line(output)?);
    }
    for node in nodes {
        let mut input = node.stdin.take().ok_or_else(|| bad("a node without input"))?;
        writeln!(input, "{}", ports.join(" "))?;
    }
    let mut figures: Vec<Value> = Vec::new();
    for output in &mut output {
        figures.push(serde_json::from_str(&line(output)?).map_err(|error| bad(&error.to_string()))?);
    }
    let number = |value: &Value, key: &str| value[key].as_f64().unwrap_or(f64::NAN);
    let seconds = |node: &Value| node["seconds"].as_array().cloned().unwrap_or_default();
    // The slowest node of each run.
    let mut slowest: Vec<f64> = (0..seconds(&figures[0]).len())
        .map(|run| figures.iter().filter_map(|node| seconds(node)[run].as_f64()).fold(0.0, f64::max))
        .collect();
    slowest.sort_by(f64::total_cmp);
    let most = |key: &str| figures.iter().map(|node| number(node, key)).fold(0.0, f64::max) as u64;
    Ok(Figures {
        least_s: slowest.first().copied().unwrap_or(f64::NAN),
        median_s: slowest.get(slowest.len() / 2).copied().unwrap_or(f64::NAN),
        cpu_s: figures.iter().map(|node| number(node, "cpu")).sum(),
        sent_bytes: most("sent"),
        rounds: most("rounds"),
        peak_bytes: most("peak"),
    })
}

fn line(output: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    output.read_line(&mut line)?;
    match line.trim() {
        "" => Err(bad("a node ended early")),
        line => Ok(line.to_owned()),
    }
}

fn bad(what: &str) -> io::Error {
    io::Error::other(what.to_owned())
}
