//! A consortium of real processes of the built binary on loopback: an engine, hospitals, a researcher `ada` and an
//! operator `omar`, with a collective key.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use ward_engine::query::answer::{Answer, Value};

/// Every wait for a process ends here.
const PATIENCE: Duration = Duration::from_secs(60);

/// A hospital to be.
#[derive(Clone)]
pub struct Hospital {
    /// Name: a-z, 0-9, hyphens.
    pub name: String,
    /// Configuration; its paths are `state` and `data.csv`.
    pub toml: String,
    /// Text of `data.csv`.
    pub csv: String,
}

/// A consortium to be.
pub struct Spec {
    /// The consortium's floor.
    pub floor: u32,
    /// Profile of the key.
    pub profile: &'static str,
    /// Holders a release takes; all when `None`.
    pub threshold: Option<u32>,
    /// The hospitals.
    pub hospitals: Vec<Hospital>,
}

/// A running consortium.
pub struct World {
    dir: PathBuf,
    address: String,
    floor: u32,
    running: Mutex<BTreeMap<String, Child>>,
    _janitor: Janitor,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ran {
    /// What was run.
    pub command: String,
    /// Exit code.
    pub code: i32,
    /// Data.
    pub stdout: String,
    /// Talk.
    pub stderr: String,
}

impl Ran {
    /// It succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{}: {self:#?}", self.command);
        self
    }

    /// Stdout as JSON.
    #[track_caller]
    pub fn json(&self) -> Json {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {self:#?}"))
    }

    /// The error it ended with.
    #[track_caller]
    pub fn error(&self, exit: i32, code: &str) -> Json {
        let lines = self.stderr.lines().filter_map(|line| serde_json::from_str::<Json>(line).ok());
        let error = lines.map(|line| line["error"].clone()).next_back().unwrap_or_default();
        assert_eq!((self.code, error["code"].as_str()), (exit, Some(code)), "{self:#?}");
        error
    }

    /// The finished answer that it printed.
    #[track_caller]
    pub fn answer(self) -> Answer {
        let ran = self.ok();
        serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {ran:#?}"))
    }
}

/// The binary.
pub fn binary() -> PathBuf {
    std::env::var_os("CARGO_BIN_EXE_ward").map_or_else(|| env!("CARGO_BIN_EXE_ward").into(), PathBuf::from)
}

/// Hospitals `h1`, `h2`... with 20 patients each: table `t` with `age` (their sum is 990 at each) and `sex`.
pub fn small(count: usize, policy: &str) -> Vec<Hospital> {
    let toml = format!(
        r#"[party]
data_dir = "state"
[[table]]
name = "t"
source = {{ csv = "data.csv" }}
rows_max = 100
[[table.column]]
name = "age"
kind = "integer"
min = 0
max = 120
[[table.column]]
name = "sex"
kind = "category"
codes = ["F", "M"]
{policy}"#
    );
    let rows: String = (0..20).map(|i| format!("{},{}\n", 40 + i, if i < 10 { "F" } else { "M" })).collect();
    let hospital =
        |i| Hospital { name: format!("h{i}"), toml: toml.clone(), csv: format!("age,sex\n{rows}") };
    (1..=count).map(hospital).collect()
}

/// A file under `examples/`.
pub fn example(path: &str) -> String {
    let package =
        std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned());
    let path = format!("{package}/../examples/{path}");
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// A process that is killed (signal 9) with its owner, however the owner ends: a shell holds it, and kills it when
/// the pipe to the shell closes.
fn guarded(command: &[&str], log: &Path) -> Child {
    Command::new("sh")
        .args(["-c", "\"$@\" </dev/null & read -r _; kill -9 $!; wait", "guard"])
        .args(command)
        .env_remove("WARD_HOME")
        .env("WARD_LOG", "info")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(File::options().create(true).append(true).open(log).expect("a log"))
        .spawn()
        .expect("a shell")
}

fn kill9(mut child: Child) {
    drop(child.stdin.take());
    child.wait().expect("the shell that guards a process");
}

/// Removes a folder when this process has ended, however it ended: worlds are shared between tests and never dropped.
struct Janitor(Child);

impl Janitor {
    fn of(dir: &Path) -> Self {
        let script = "read -r _; sleep 1; rm -rf -- \"$0\"";
        let shell = Command::new("sh").args(["-c", script]).arg(dir).stdin(Stdio::piped()).spawn();
        Self(shell.expect("a shell"))
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // The folder is gone, or stays in the folder for temporary files.
        let _ = self.0.wait();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for (_, child) in std::mem::take(&mut *self.running.lock().unwrap_or_else(PoisonError::into_inner)) {
            kill9(child);
        }
        if std::thread::panicking() {
            eprintln!("{}", self.logs());
        }
    }
}

impl World {
    /// Everything up, everybody enrolled, the key made.
    pub fn start(spec: &Spec) -> Self {
        let world = Self::enrolled(spec);
        for hospital in &spec.hospitals {
            world.start_party(&hospital.name);
        }
        world.wait_connected(spec.hospitals.len());
        world.keygen(spec);
        world
    }

    /// The engine up and everybody enrolled; no hospital runs, and there is no key.
    pub fn enrolled(spec: &Spec) -> Self {
        let dir = tempfile::Builder::new().prefix("ward-it-").tempdir().expect("a folder").keep();
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let address = listener.local_addr().expect("an address").to_string();
        drop(listener);
        let running = Mutex::default();
        let world = Self { _janitor: Janitor::of(&dir), dir, address, floor: spec.floor, running };
        world.found();
        world.start_engine();
        for hospital in &spec.hospitals {
            let folder = world.dir.join(&hospital.name);
            std::fs::create_dir_all(&folder).expect("a folder");
            std::fs::write(folder.join("data.csv"), &hospital.csv).expect("data");
            std::fs::write(folder.join("party.toml"), &hospital.toml).expect("a configuration");
            let token = world.token("hospital", &hospital.name);
            world.party(&hospital.name, &["enrol", "--token", &token]).ok();
        }
        for (role, name) in [("researcher", "ada"), ("operator", "omar")] {
            let token = world.token(role, name);
            world.ward(name, &["enrol", "--token", &token]).ok();
        }
        world
    }

    fn found(&self) {
        let (data, floor) = (self.path("engine"), self.floor.to_string());
        let init = [
            "engine",
            "init",
            "--data",
            &data,
            "--consortium",
            "test",
            "--host",
            "127.0.0.1",
            "--floor",
            &floor,
        ];
        self.ward("nobody", &init).ok();
    }

    /// The engine's address.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// A one-time token.
    pub fn token(&self, role: &str, name: &str) -> String {
        let (data, url) = (self.path("engine"), format!("https://{}", self.address));
        let made = self.ward(
            "nobody",
            &["engine", "token", "--data", &data, "--role", role, "--name", name, "--url", &url],
        );
        made.ok().json()["token"].as_str().expect("a token").to_owned()
    }

    /// The hospitals make a key.
    pub fn keygen(&self, spec: &Spec) {
        let threshold = spec.threshold.map(|t| t.to_string());
        let mut args = vec!["keygen", "--profile", spec.profile, "--time-limit", "60"];
        if let Some(threshold) = &threshold {
            args.extend(["--threshold", threshold]);
        }
        self.ward("omar", &args).ok();
    }

    /// A path in the world's folder.
    pub fn path(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    /// A hospital's configuration file.
    pub fn toml(&self, hospital: &str) -> String {
        self.path(&format!("{hospital}/party.toml"))
    }

    /// Runs a command as somebody, with JSON.
    pub fn ward(&self, home: &str, args: &[&str]) -> Ran {
        self.talk(home, &[&["--json", "--quiet"], args].concat())
    }

    /// Runs a command as somebody, with exactly these arguments.
    pub fn talk(&self, home: &str, args: &[&str]) -> Ran {
        let output = Command::new(binary())
            .args(args)
            .env("WARD_HOME", self.dir.join(home))
            .stdin(Stdio::null())
            .output()
            .expect("the binary");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        Ran {
            command: args.join(" "),
            code: output.status.code().unwrap_or(-1),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// `ward party ...` at a hospital.
    pub fn party(&self, hospital: &str, args: &[&str]) -> Ran {
        let toml = self.toml(hospital);
        let (command, rest) = args.split_first().expect("a command");
        self.ward("nobody", &[&["party", command, "--config", &toml], rest].concat())
    }

    /// Asks as ada, and waits for the answer.
    pub fn ask(&self, sql: &str) -> Answer {
        self.ward("ada", &["submit", sql, "--time-limit", "120"]).answer()
    }

    /// The value of a query with one statistic and no groups.
    pub fn one(&self, sql: &str) -> Value {
        self.ask(sql).rows[0].values[0].value.clone()
    }

    /// Submits as ada; returns the job's id at once.
    pub fn submit(&self, sql: &str, more: &[&str]) -> String {
        let ran = self.ward("ada", &[&["submit", sql, "--no-wait"], more].concat()).ok();
        ran.json()["job"].as_str().expect("a job").to_owned()
    }

    /// The state of a job.
    pub fn state(&self, job: &str) -> String {
        let shown = self.ward("ada", &["jobs", job]).ok().json();
        shown["job"]["state"].as_str().expect("a state").to_owned()
    }

    /// Waits until a job has ended; its last state.
    pub fn ended(&self, job: &str) -> String {
        self.until(&format!("job {job} ends"), || {
            let state = self.state(job);
            ["done", "failed", "refused", "cancelled"].contains(&state.as_str()).then_some(state)
        })
    }

    /// Waits until so many hospitals are connected.
    pub fn wait_connected(&self, count: usize) {
        self.until(&format!("{count} hospitals are connected"), || {
            let parties = self.ward("omar", &["parties"]);
            let listed = serde_json::from_str::<Vec<Json>>(&parties.stdout).unwrap_or_default();
            (listed.iter().filter(|p| p["connected"] == true).count() == count).then_some(())
        });
    }

    /// Waits for something to come true.
    #[track_caller]
    pub fn until<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let begin = Instant::now();
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(begin.elapsed() < PATIENCE, "in vain waited until {what}\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// Starts a process again that says everything it does: the engine, or a hospital's node.
    pub fn restart_traced(&self, name: &str) {
        self.kill(name);
        if name == "engine" {
            let listen = ["engine", "run", "--data", &self.path("engine"), "--listen", &self.address];
            self.run_after(&["env", "WARD_LOG=trace"], name, &listen);
            self.until("the engine listens", || TcpStream::connect(&self.address).ok());
        } else {
            self.run_after(&["env", "WARD_LOG=trace"], name, &["party", "run", "--config", &self.toml(name)]);
        }
    }

    fn run(&self, name: &str, args: &[&str]) {
        self.run_after(&[], name, args);
    }

    fn run_after(&self, before: &[&str], name: &str, args: &[&str]) {
        let program = binary().display().to_string();
        let log = self.dir.join(format!("{name}.log"));
        let child = guarded(&[before, &[program.as_str()], args].concat(), &log);
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(running.insert(name.to_owned(), child).is_none(), "{name} runs already");
    }

    /// Starts the engine, and waits until it listens.
    pub fn start_engine(&self) {
        self.run("engine", &["engine", "run", "--data", &self.path("engine"), "--listen", &self.address]);
        self.until("the engine listens", || TcpStream::connect(&self.address).ok());
    }

    /// Starts a hospital's node.
    pub fn start_party(&self, hospital: &str) {
        self.run(hospital, &["party", "run", "--config", &self.toml(hospital)]);
    }

    /// Kills the engine or a node: signal 9.
    pub fn kill(&self, name: &str) {
        let child = self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        kill9(child.unwrap_or_else(|| panic!("{name} does not run")));
    }

    /// The last lines of every process's log.
    pub fn logs(&self) -> String {
        let mut shown = String::new();
        for entry in std::fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            if entry.path().extension().is_some_and(|e| e == "log") {
                let log = std::fs::read_to_string(entry.path()).unwrap_or_default();
                let lines: Vec<&str> = log.lines().collect();
                let last = &lines[lines.len().saturating_sub(15)..];
                shown.push_str(&format!("--- {}\n{}\n", entry.path().display(), last.join("\n")));
            }
        }
        shown
    }
}
