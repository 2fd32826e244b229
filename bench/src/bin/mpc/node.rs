//! One node: connects, runs a program some times, tells its figures.

use std::io::{self, BufRead};
use std::net::TcpListener;
use std::path::Path;
use std::time::Instant;

use cpu_time::ProcessTime;
use ward_protocols::mpc::gates::random;
use ward_protocols::mpc::{Malicious, Party, Role, Security, SemiHonest};

use crate::channel::TlsChannel;
use crate::tls::Identity;
use crate::work::Work;

/// `ROLE WORK SECURITY RUNS FOLDER`.
pub fn run(arguments: &[String]) -> io::Result<()> {
    let [role, work, security, runs, folder] = arguments else {
        return Err(io::Error::other("--node ROLE WORK SECURITY RUNS FOLDER"));
    };
    let role =
        role.parse().ok().and_then(Role::from_index).ok_or_else(|| io::Error::other("no such role"))?;
    let work = Work::of(work).ok_or_else(|| io::Error::other("no such program"))?;
    let runs = runs.parse().map_err(io::Error::other)?;
    let identity = Identity::read(Path::new(folder), role.index())?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?.port());
    let mut ports = String::new();
    io::stdin().lock().read_line(&mut ports)?;
    let ports: Vec<u16> = ports.split_whitespace().filter_map(|port| port.parse().ok()).collect();
    if ports.len() != 3 {
        return Err(io::Error::other("expected three ports"));
    }
    let channel = TlsChannel::connect(role, &identity, &listener, &ports)?;
    if security == "malicious" {
        measure::<Malicious>(role, channel, work, runs)
    } else {
        measure::<SemiHonest>(role, channel, work, runs)
    }
}

fn measure<S: Security>(role: Role, channel: TlsChannel, work: Work, runs: usize) -> io::Result<()> {
    // Each run's randomness is of its session; a bench has no secrets.
    let mut rng = <chacha20::ChaCha20Rng as rand_core::SeedableRng>::seed_from_u64(role.index() as u64);
    let mut party =
        Party::<S>::meet(role, Box::new(channel), b"bench", &mut rng).map_err(io::Error::other)?;
    let mut seconds = Vec::new();
    let (mut sent, mut rounds, mut cpu) = (0, 0, f64::INFINITY);
    let mut session = party.session();
    for run in 0..=runs {
        let mut session = session.narrow_at("run", run);
        let input = work.prepare(&mut session.narrow("input")).map_err(io::Error::other)?;
        // All start together.
        random::coin(&mut session.narrow("start")).map_err(io::Error::other)?;
        let before = session.counters().total();
        let (wall, busy) = (Instant::now(), ProcessTime::now());
        let output = work.run(&mut session.narrow("work"), &input).map_err(io::Error::other)?;
        let (wall, busy) = (wall.elapsed().as_secs_f64(), busy.elapsed().as_secs_f64());
        let after = session.counters().total();
        work.check(&mut session.narrow("check"), &input, &output).map_err(io::Error::other)?;
        // The first run warms up.
        if run > 0 {
            seconds.push(wall);
            cpu = busy.min(cpu);
        }
        sent = after.bytes_sent - before.bytes_sent;
        rounds = after.rounds - before.rounds;
    }
    let peak = peak_bytes()?;
    println!(
        "{}",
        serde_json::json!({ "seconds": seconds, "cpu": cpu, "sent": sent, "rounds": rounds, "peak": peak })
    );
    Ok(())
}

fn peak_bytes() -> io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| io::Error::other("no peak memory"))
}
