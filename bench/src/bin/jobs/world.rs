//! A consortium on loopback: the engine and every hospital as a process of its own, a researcher who asks.

use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::Result;
use crate::process;

/// How long the engine and the hospitals may take to come up.
const UP: Duration = Duration::from_secs(120);
/// Where a job is when the last hospital has said one of these words.
pub const PHASES: [&str; 4] = ["prepared", "encrypted", "share sent", "cosigned"];

/// The processes; they end with it.
pub struct World {
    ward: PathBuf,
    dir: PathBuf,
    children: Vec<(String, Child)>,
}

/// One job from `ward submit` to the end of that process.
#[derive(Clone, Debug)]
pub struct Run {
    /// From the start of the client's process to its end, milliseconds.
    pub total_ms: f64,
    /// As the engine counts it, from submission to release; none when the client did not say.
    pub engine_ms: Option<f64>,
    /// When the last hospital reached each of [`PHASES`], milliseconds from the start, as the client heard it.
    pub reached_ms: [Option<f64>; PHASES.len()],
    /// Bytes that hospitals sent and were sent.
    pub bytes: Option<(f64, f64)>,
    /// Peak memory of the client, bytes, by samples.
    pub client_peak_bytes: u64,
    /// The answer.
    pub answer: Json,
}

impl Drop for World {
    fn drop(&mut self) {
        for (name, child) in &mut self.children {
            if let Err(error) = child.kill().and_then(|()| child.wait()) {
                eprintln!("{name} stays: {error}");
            }
        }
    }
}

impl World {
    /// Starts an engine and one hospital per configuration file, enrols all, and holds the key ceremony.
    ///
    /// # Errors
    /// When a process does not start, or a command fails.
    pub fn start(ward: &Path, dir: &Path, hospitals: &[(String, PathBuf)]) -> Result<Self> {
        let mut world = Self { ward: ward.to_owned(), dir: dir.to_owned(), children: Vec::new() };
        let engine = text(&dir.join("engine"));
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let url = format!("https://{address}");
        world.ward(&["engine", "init", "--data", &engine, "--consortium", "bench", "--host", "127.0.0.1"])?;
        let mut tokens = Vec::new();
        for (role, name) in hospitals
            .iter()
            .map(|(name, _)| ("hospital", name.as_str()))
            .chain([("researcher", "ada"), ("operator", "omar")])
        {
            let arguments = ["--data", &engine, "--role", role, "--name", name, "--url", &url];
            let token = world.ward(&[&["engine", "token"], &arguments[..]].concat())?;
            tokens.push(token.trim().to_owned());
        }
        world.spawn("engine", &["engine", "run", "--data", &engine, "--listen", &address])?;
        world.wait("the engine", |_| Ok(TcpStream::connect(&address).is_ok()))?;
        for ((name, config), token) in hospitals.iter().zip(&tokens) {
            let config = text(config);
            world.ward(&["party", "enrol", "--config", &config, "--token", token])?;
            world.spawn(name, &["party", "run", "--config", &config])?;
        }
        for (name, token) in ["ada", "omar"].iter().zip(&tokens[hospitals.len()..]) {
            world.ward(&["--home", &world.home(name), "enrol", "--token", token])?;
        }
        let omar = world.home("omar");
        world.wait("the hospitals", |world| {
            let parties: Json = serde_json::from_str(&world.ward(&["--home", &omar, "--json", "parties"])?)?;
            let connected =
                parties.as_array().into_iter().flatten().filter(|p| p["connected"] == true).count();
            Ok(connected == hospitals.len())
        })?;
        world.ward(&["--home", &omar, "keygen"])?;
        Ok(world)
    }

    fn home(&self, name: &str) -> String {
        text(&self.dir.join(name))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.ward);
        command.args(arguments).env_remove("WARD_HOME").env_remove("WARD_LOG").stdin(Stdio::null());
        command
    }

    /// Runs a command to its end; returns what it says on stdout.
    fn ward(&self, arguments: &[&str]) -> Result<String> {
        let done = self.command(arguments).output()?;
        if done.status.success() {
            return Ok(String::from_utf8(done.stdout)?);
        }
        let shown: Vec<&str> = arguments.iter().copied().take_while(|word| *word != "--token").collect();
        Err(format!("ward {}: {}", shown.join(" "), String::from_utf8_lossy(&done.stderr).trim()).into())
    }

    fn spawn(&mut self, name: &str, arguments: &[&str]) -> Result<()> {
        let log = std::fs::File::create(self.dir.join(format!("{name}.log")))?;
        let child = self.command(arguments).stdout(Stdio::null()).stderr(log).spawn()?;
        self.children.push((name.to_owned(), child));
        Ok(())
    }

    fn wait(&mut self, whom: &str, is_up: impl Fn(&Self) -> Result<bool>) -> Result<()> {
        let begin = Instant::now();
        while !is_up(self)? {
            let ended = self.children.iter_mut().any(|(_, child)| !matches!(child.try_wait(), Ok(None)));
            if ended || begin.elapsed() > UP {
                return Err(format!("{whom} did not come up; see the logs in {}", self.dir.display()).into());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Peak memory of every process, bytes.
    pub fn peaks(&self) -> Vec<(String, u64)> {
        let peak = |(name, child): &(String, Child)| Some((name.clone(), process::peak_bytes(child.id())?));
        self.children.iter().filter_map(peak).collect()
    }

    /// CPU seconds that the running processes and the clients so far have used.
    pub fn cpu_seconds(&self) -> f64 {
        let running: f64 =
            self.children.iter().filter_map(|(_, child)| process::cpu_seconds(child.id())).sum();
        running + process::children_cpu_seconds().unwrap_or(0.0)
    }

    /// Asks, waits for the verified result, and takes the times.
    ///
    /// # Errors
    /// When the client does not end well, which it does only with a result that it has verified.
    pub fn submit(&self, sql: &str) -> Result<Run> {
        let (home, receipt) = (self.home("ada"), self.receipt());
        let begin = Instant::now();
        let mut child = self
            .command(&["--home", &home, "submit", "--json", "--receipt", &receipt, sql])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut stdout = child.stdout.take().ok_or("no stdout")?;
        let stderr = child.stderr.take().ok_or("no stderr")?;
        let (pid, over) = (child.id(), AtomicBool::new(false));
        let (answer, said, peak, status, total) = thread::scope(|scope| {
            let said = scope.spawn(|| said(begin, stderr));
            let peak = scope.spawn(|| sampled_peak(pid, &over));
            let mut answer = String::new();
            let read = stdout.read_to_string(&mut answer);
            let status = child.wait();
            let total = begin.elapsed();
            over.store(true, Ordering::Relaxed);
            (read.map(|_| answer), said.join(), peak.join(), status, total)
        });
        let said = said.map_err(|_| "stderr could not be read")?;
        if !status?.success() {
            let lines: Vec<String> = said.into_iter().map(|(_, line)| line).collect();
            return Err(format!("{sql}: {}", lines.join("\n")).into());
        }
        Ok(Run {
            total_ms: total.as_secs_f64() * 1e3,
            engine_ms: said.iter().find_map(|(_, line)| engine_ms(line)),
            reached_ms: PHASES.map(|phase| reached(&said, phase)),
            bytes: said.iter().find_map(|(_, line)| bytes(line)),
            client_peak_bytes: peak.unwrap_or(0),
            answer: serde_json::from_str(&answer?)?,
        })
    }

    fn receipt(&self) -> String {
        text(&self.dir.join("receipt.json"))
    }

    /// Verifies the receipt of the last job again, offline, by `ward verify`.
    ///
    /// # Errors
    /// When it does not hold.
    pub fn verify(&self) -> Result<()> {
        self.ward(&["--home", &self.home("ada"), "verify", &self.receipt()]).map(|_| ())
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// The lines of stderr, each with when it came, milliseconds from `begin`.
fn said(begin: Instant, stderr: impl Read) -> Vec<(f64, String)> {
    let lines = BufReader::new(stderr).lines().map_while(std::result::Result::ok);
    lines.map(|line| (begin.elapsed().as_secs_f64() * 1e3, line)).collect()
}

fn sampled_peak(pid: u32, over: &AtomicBool) -> u64 {
    let mut peak = 0;
    while !over.load(Ordering::Relaxed) {
        peak = process::peak_bytes(pid).unwrap_or(0).max(peak);
        thread::sleep(Duration::from_millis(4));
    }
    peak
}

/// When the last hospital came to a phase: `hospital-a: encrypted`.
fn reached(said: &[(f64, String)], phase: &str) -> Option<f64> {
    let is = |line: &str| line.split_once(": ").is_some_and(|(_, state)| state.starts_with(phase));
    said.iter().filter(|(_, line)| is(line)).map(|(at, _)| *at).reduce(f64::max)
}

/// `... 4 rounds, 261 ms; receipt verified ...`
fn engine_ms(line: &str) -> Option<f64> {
    let (_, rest) = line.split_once(" rounds, ")?;
    let (number, unit) = rest.split(';').next()?.split_once(' ')?;
    let number: f64 = number.parse().ok()?;
    match unit {
        "ms" => Some(number),
        "s" => Some(number * 1e3),
        _ => None,
    }
}

/// `job J: 3.4 MiB from hospitals, 4.2 MiB to hospitals, ...`
fn bytes(line: &str) -> Option<(f64, f64)> {
    let (_, costs) = line.split_once(": ")?;
    let (from, rest) = costs.split_once(" from hospitals, ")?;
    let (to, _) = rest.split_once(" to hospitals")?;
    Some((size(from)?, size(to)?))
}

fn size(text: &str) -> Option<f64> {
    let (number, unit) = text.split_once(' ')?;
    let power = ["B", "KiB", "MiB", "GiB"].iter().position(|u| *u == unit)?;
    Some(number.parse::<f64>().ok()? * 1024f64.powi(power as i32))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str =
        "job 01m80: 3.5 MiB from hospitals, 512 B to hospitals, 4 rounds, 261 ms; receipt verified: leaf 5";

    #[test]
    fn what_the_client_says_at_the_end_is_read() {
        assert_eq!(engine_ms(LINE), Some(261.0));
        assert_eq!(engine_ms(&LINE.replace("261 ms", "1.2 s")), Some(1200.0));
        assert_eq!(bytes(LINE), Some((3.5 * 1024.0 * 1024.0, 512.0)));
    }

    #[test]
    fn other_lines_say_nothing() {
        for line in
            ["", "job: done, done, ok", "hospital-a: encrypted", "a rounds, b", "x: y from hospitals, z"]
        {
            assert_eq!((engine_ms(line), bytes(line)), (None, None), "{line}");
        }
    }

    #[test]
    fn a_phase_is_reached_with_the_last_hospital() {
        let said =
            [(1.0, "b: share sent".to_owned()), (4.0, "a: share sent".to_owned()), (5.0, "done".to_owned())];
        assert_eq!(reached(&said, "share sent"), Some(4.0));
        assert_eq!(reached(&said, "encrypted"), None);
    }
}
