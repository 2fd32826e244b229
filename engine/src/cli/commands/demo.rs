//! `ward demo`: an engine and four hospitals as separate processes on this machine, real questions over real data, and
//! the answers held against those computed in the clear.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};

use super::oracle;
use super::research::{show, watch};
use crate::cli::args::{Demo, OutputArgs, ProofKeyArgs};
use crate::cli::exit::Exit;
use crate::cli::output::terminal::Terminal;
use crate::cli::session::{Session, person_seal};
use crate::grpc::v1;
use crate::host::{self, EngineFolder};
use crate::identity::Role;
use crate::ledger::{Quorum, Receipt, TrustAnchors};
use crate::member::Membership;
use crate::party::local::config::PartyConfig;
use crate::party::node::seal_key;
use crate::problem::{Problem, ProblemKind};
use crate::query::plan::Participation;

const HOSPITALS: [&str; 4] = ["A", "B", "C", "D"];

/// The demo's own copy of its data (real, de-identified; the licence notes are in `examples/data/breast`).
const FILES: [(&str, &str); 8] = [
    ("data/breast/hospital_A.csv", include_str!("../../../../examples/data/breast/hospital_A.csv")),
    ("data/breast/hospital_B.csv", include_str!("../../../../examples/data/breast/hospital_B.csv")),
    ("data/breast/hospital_C.csv", include_str!("../../../../examples/data/breast/hospital_C.csv")),
    (
        "data/breast/hospital_D_other_schema.csv",
        include_str!("../../../../examples/data/breast/hospital_D_other_schema.csv"),
    ),
    ("breast/A.toml", include_str!("../../../../examples/breast/A.toml")),
    ("breast/B.toml", include_str!("../../../../examples/breast/B.toml")),
    ("breast/C.toml", include_str!("../../../../examples/breast/C.toml")),
    ("breast/D.toml", include_str!("../../../../examples/breast/D.toml")),
];

fn broken(what: &str, error: &dyn std::fmt::Display) -> Problem {
    Problem::new(ProblemKind::Unavailable, "demo", format!("{what}: {error}"))
}

/// Runs the demo.
///
/// # Errors
/// When a process does not start, or an answer is not the oracle's.
pub async fn run(demo: &Demo, terminal: &Terminal) -> Result<Exit, Problem> {
    let dir = match &demo.dir {
        Some(dir) => dir.clone(),
        None => std::env::temp_dir().join(format!("ward-demo-{}", std::process::id())),
    };
    let begin = Instant::now();
    let stop = super::engine::until_stopped();
    let outcome = {
        let mut stage = Stage { dir: dir.clone(), children: Vec::new() };
        let mut stopped = stop.clone();
        let played = tokio::select! {
            played = play(&mut stage, terminal) => played,
            _ = stopped.changed() => Ok(Exit::Interrupted),
        };
        terminal.say(&format!("demo took {:.1} s", begin.elapsed().as_secs_f64()));
        match played {
            Ok(Exit::Ok) if demo.keep => {
                say_how(&stage, terminal)?;
                let mut stopped = stop.clone();
                // An error means that nobody can stop it any more, which ends it as well.
                let _ = stopped.changed().await;
                Ok(Exit::Ok)
            }
            other => other,
        }
    };
    if demo.dir.is_none() {
        std::fs::remove_dir_all(&dir).map_err(|e| broken("the demo's folder stays", &e))?;
    }
    outcome
}

/// The demo's processes; they end with it.
struct Stage {
    dir: PathBuf,
    children: Vec<Child>,
}

impl Stage {
    fn spawn(&mut self, arguments: &[&str], log: &str) -> Result<(), Problem> {
        let program = std::env::current_exe().map_err(|e| broken("ward", &e))?;
        let log = std::fs::File::create(self.dir.join(log)).map_err(|e| broken(log, &e))?;
        let child = Command::new(program)
            .args(arguments)
            .env_remove("WARD_HOME")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| broken("ward", &e))?;
        self.children.push(child);
        Ok(())
    }

    fn toml(&self, hospital: &str) -> PathBuf {
        self.dir.join("breast").join(format!("{hospital}.toml"))
    }
}

async fn play(stage: &mut Stage, terminal: &Terminal) -> Result<Exit, Problem> {
    let researcher = set_up(stage, terminal).await?;
    let session = Session::open(&researcher, None).await?;
    let output =
        OutputArgs { receipt: None, svg: None, csv: None, no_plot: false, proofs: ProofKeyArgs::default() };
    let mut equal = true;
    for (sql, check) in oracle::QUESTIONS {
        terminal.say("");
        terminal.say(&format!("ada asks: {sql}"));
        let begin = Instant::now();
        let job = session.submit(sql, Participation::All, 60).await?;
        let ended = watch(&session, &job.id, terminal).await?;
        if ended.state() != v1::JobState::Done {
            let why = ended.problem.map_or_else(|| "it was cancelled".to_owned(), |p| p.message);
            return Err(broken("a question was not answered", &why));
        }
        let opened = session.result(&job.id).await?;
        show(&job.id, &opened, &output, terminal)?;
        let receipt = Receipt::from_json(&opened.receipt_json).map_err(|e| broken("receipt", &e))?;
        let trust = TrustAnchors::Authority(session.place.authority.clone());
        receipt.verify(&trust, Quorum::Participants).map_err(|e| broken("receipt", &e))?;
        let compared = oracle::compare(&opened.answer, check)?;
        let seconds = begin.elapsed().as_secs_f64();
        if compared.wrong.is_empty() {
            terminal.say(&format!(
                "all {} numbers equal those computed in the clear; receipt verified offline; {seconds:.2} s",
                compared.numbers
            ));
        } else {
            equal = false;
            terminal.warn(&format!("not as in the clear: {}", compared.wrong.join("; ")));
        }
    }
    Ok(if equal { Exit::Ok } else { Exit::VerificationFailed })
}

/// Starts everything; returns the researcher's folder.
async fn set_up(stage: &mut Stage, terminal: &Terminal) -> Result<PathBuf, Problem> {
    for (name, text) in FILES {
        let path = stage.dir.join(name);
        let folder = path.parent().unwrap_or(&stage.dir);
        std::fs::create_dir_all(folder).map_err(|e| broken(name, &e))?;
        // The files of the examples keep their state beside the sources; the demo keeps it in its own folder.
        let text = text.replace("../../target/breast/", "../state/");
        std::fs::write(&path, text).map_err(|e| broken(name, &e))?;
    }
    let data = stage.dir.join("engine");
    host::init(&data, "demo", &["127.0.0.1".to_owned(), "localhost".to_owned()], (5, false))?;
    let address = free_address()?;
    let url = format!("https://{address}");
    let folder = EngineFolder::open(&data)?;
    let token = |role, name: &str| folder.token(role, name, &url, 1).map(|token| token.to_text());
    let mut hospitals = Vec::new();
    for hospital in HOSPITALS {
        let name = format!("hospital-{}", hospital.to_lowercase());
        hospitals.push((hospital, token(Role::Hospital, &name)?));
    }
    let people = [("ada", token(Role::Researcher, "ada")?), ("omar", token(Role::Operator, "omar")?)];
    drop(folder);
    stage.spawn(&["engine", "run", "--data", &text(&data), "--listen", &address], "engine.log")?;
    terminal.say(&format!("engine: {url}"));
    wait_until_up(&address).await?;
    for (hospital, token) in hospitals {
        let path = stage.toml(hospital);
        let config = PartyConfig::load(&path).map_err(|e| broken("configuration", &e))?;
        let keys = (seal_key(&config)?, None);
        let member = Membership::enrol(&token, &[Role::Hospital], &config.data_dir, keys).await?;
        stage.spawn(&["party", "run", "--config", &text(&path)], &format!("{}.log", member.member.name))?;
        terminal.say(&format!("{}: {}", member.member.name, path.display()));
    }
    for (name, token) in &people {
        let home = stage.dir.join(name);
        let roles = [Role::Researcher, Role::Operator];
        Membership::enrol(token, &roles, &home, (person_seal(&home)?, None)).await?;
    }
    make_key(&stage.dir.join("omar"), terminal).await?;
    Ok(stage.dir.join("ada"))
}

async fn make_key(home: &Path, terminal: &Terminal) -> Result<(), Problem> {
    let session = Session::open(home, None).await?;
    for _ in 0..200 {
        let connected = session.parties().await?.iter().filter(|p| p.connected).count();
        if connected == HOSPITALS.len() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let ceremony = v1::Ceremony {
        profile: "default-8192".to_owned(),
        holders: Vec::new(),
        threshold: 0,
        time_limit_ms: 60_000,
    };
    terminal.say("");
    terminal.say("the hospitals make a key that none of them holds");
    let job = session.keygen(ceremony).await?;
    let ended = watch(&session, &job.id, terminal).await?;
    match ended.state() {
        v1::JobState::Done => Ok(()),
        _ => Err(broken("key ceremony", &ended.problem.map_or_else(String::new, |p| p.message))),
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn free_address() -> Result<String, Problem> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").map_err(|e| broken("loopback", &e))?;
    Ok(listener.local_addr().map_err(|e| broken("loopback", &e))?.to_string())
}

async fn wait_until_up(address: &str) -> Result<(), Problem> {
    for _ in 0..200 {
        if tokio::net::TcpStream::connect(address).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(broken("engine", &format!("it does not listen on {address}")))
}

fn say_how(stage: &Stage, terminal: &Terminal) -> Result<(), Problem> {
    let program = std::env::current_exe().map_err(|e| broken("ward", &e))?;
    let ward = format!("{} --home {}", program.display(), stage.dir.join("ada").display());
    terminal.say("");
    terminal.say("everything keeps running; stop it with Ctrl-C. In another terminal:");
    for command in ["catalogue", "submit 'SELECT AVG(age) FROM breast GROUP BY meno'", "jobs"] {
        terminal.say(&format!("  {ward} {command}"));
    }
    Ok(())
}
