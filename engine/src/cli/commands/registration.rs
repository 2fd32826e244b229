//! `ward attest submit` and `ward attest result`: the engine verifies, counts each patient once, and puts the attestation
//! into the log.

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use serde::Serialize;

use super::attest::{files, read_attestation};
use super::research::{ended, proxy, watch};
use crate::attestation::file::Attestation;
use crate::attestation::request::REQUEST_BYTES_MAX;
use crate::attestation::{door, read_file, write_public};
use crate::cli::args::Global;
use crate::cli::commands::engine::{failed, passed, report};
use crate::cli::exit::Exit;
use crate::cli::output::terminal::Terminal;
use crate::cli::session::{Session, Verdicts, home};
use crate::cli::written;
use crate::encoding::Digest;
use crate::grpc::v1;
use crate::problem::{Problem, ProblemKind};

/// `ward attest submit`.
#[derive(Debug, ClapArgs)]
pub struct Submit {
    /// The attestations.
    #[arg(required_unless_present = "batch", value_name = "FILE")]
    pub attestations: Vec<PathBuf>,
    /// All .json files of a folder, as one job.
    #[arg(long, value_name = "DIR", conflicts_with = "attestations")]
    pub batch: Option<PathBuf>,
    /// Requests that they must answer; without one, any request in one of your names is enough.
    #[arg(long = "request", value_name = "FILE")]
    pub requests: Vec<PathBuf>,
    /// Seconds until the job is given up.
    #[arg(long, default_value_t = 600)]
    pub time_limit: u64,
    /// Print the job id and return at once; `ward attest result` brings the rest.
    #[arg(long)]
    pub no_wait: bool,
    /// What happens to the files.
    #[command(flatten)]
    pub output: Output,
}

/// `ward attest result`.
#[derive(Debug, ClapArgs)]
pub struct ResultOf {
    /// Job id.
    pub job: String,
    /// The attestations, to put the log's proofs into; a folder stands for the .json files in it.
    #[arg(value_name = "FILE")]
    pub attestations: Vec<PathBuf>,
    /// What happens to the files.
    #[command(flatten)]
    pub output: Output,
}

/// What happens to the files.
#[derive(Debug, Clone, ClapArgs)]
pub struct Output {
    /// Folder for the attestations with the log's proofs [default: the files themselves].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Write the job's receipt to this file.
    #[arg(long, value_name = "FILE")]
    pub receipt: Option<PathBuf>,
}

/// What became of a file.
#[derive(Debug, Serialize)]
struct Line {
    file: Option<PathBuf>,
    digest: Option<Digest>,
    registered: bool,
    study: String,
    nullifier: Option<Digest>,
    leaf_index: Option<u64>,
    problem: Option<Problem>,
}

/// What became of a submission.
#[derive(Debug, Serialize)]
struct Outcome {
    job: String,
    consortium: String,
    log_key: String,
    registered: usize,
    attestations: Vec<Line>,
}

fn invalid(code: &str, message: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::Validation, code, message)
}

/// Submits, follows the job, and puts the log's proofs into the files.
///
/// # Errors
/// `attest.witness` before anything is sent; the engine's.
pub async fn submit(args: &Submit, global: &Global, terminal: &Terminal) -> Result<Exit, Problem> {
    let paths = match &args.batch {
        Some(folder) => files(std::slice::from_ref(folder))?,
        None => args.attestations.clone(),
    };
    if paths.is_empty() {
        return Err(invalid("attest.batch", "no .json file there"));
    }
    let read = |path: &PathBuf| {
        let attestation = checked(path)?;
        Ok((path.clone(), attestation))
    };
    let attestations = paths.iter().map(read).collect::<Result<Vec<_>, Problem>>()?;
    let request = |path: &PathBuf| Ok(read_file(path, REQUEST_BYTES_MAX as u64)?);
    let requests = args.requests.iter().map(request).collect::<Result<Vec<_>, Problem>>()?;
    let items = attestations
        .iter()
        .map(|(_, attestation)| Ok(attestation.to_json()?.into_bytes()))
        .collect::<Result<Vec<_>, Problem>>()?;
    let session = Session::open(&home(global.home.as_deref())?, proxy(global)?).await?;
    if args.requests.is_empty() {
        terminal.warn(
            "not compared with a request: the criteria are those that the attestations name (--request)",
        );
    }
    let limit_ms = args.time_limit.saturating_mul(1000);
    let job = session.submit_attestations(items, requests, limit_ms).await?;
    if args.no_wait {
        let line = if terminal.is_json() { serde_json::json!({ "job": job.id }).to_string() } else { job.id };
        return written(terminal.data(&line));
    }
    let job = watch(&session, &job.id, terminal).await?;
    ended(&job)?;
    finish(&session, &job.id, (attestations, &args.output), terminal).await
}

/// Brings the verdicts of a job, and puts the log's proofs into files.
///
/// # Errors
/// `job.not_done`; the engine's.
pub async fn result(args: &ResultOf, global: &Global, terminal: &Terminal) -> Result<Exit, Problem> {
    let read = |path: PathBuf| Ok((path.clone(), checked(&path)?));
    let attestations =
        files(&args.attestations)?.into_iter().map(read).collect::<Result<Vec<_>, Problem>>()?;
    let session = Session::open(&home(global.home.as_deref())?, proxy(global)?).await?;
    finish(&session, &args.job, (attestations, &args.output), terminal).await
}

/// A file that may be sent: the engine would refuse a witness, and here it is refused before it leaves the machine.
fn checked(path: &Path) -> Result<Attestation, Problem> {
    match read_attestation(path) {
        Ok(attestation) => Ok(attestation),
        Err(problem) => {
            let bytes = read_file(path, crate::attestation::file::ATTESTATION_BYTES_MAX as u64)?;
            let mut problem = door::attestation(&bytes).map_or_else(Problem::from, |_| problem);
            problem.message = format!("{}: {}", path.display(), problem.message);
            Err(problem)
        }
    }
}

async fn finish(
    session: &Session,
    job: &str,
    (attestations, output): (Vec<(PathBuf, Attestation)>, &Output),
    terminal: &Terminal,
) -> Result<Exit, Problem> {
    let found = session.verdicts(job).await?;
    if let Some(path) = &output.receipt {
        write_public(path, &session.receipt(job).await?)?;
    }
    if let Some(folder) = &output.out {
        std::fs::create_dir_all(folder)
            .map_err(|e| invalid("output.file", format!("{}: {e}", folder.display())))?;
    }
    let mut lines = Vec::with_capacity(found.verdicts.len());
    for (at, verdict) in found.verdicts.iter().enumerate() {
        // The order is that of the submission; by digest when only some files are at hand.
        let digest = Digest::from_slice(&verdict.digest);
        let same = |entry: &&(PathBuf, Attestation)| Some(entry.1.digest()) == digest;
        let in_place = attestations.get(at).filter(|_| attestations.len() == found.verdicts.len());
        let file = in_place
            .filter(|entry| digest.is_none() || same(entry))
            .or_else(|| attestations.iter().find(same));
        if let Some((path, attestation)) = file
            && !verdict.tlog_proof.is_empty()
        {
            keep(path, attestation, verdict, output)?;
        }
        lines.push(line(file.map(|(path, _)| path.clone()), digest, verdict));
    }
    show(job, &found, lines, terminal)
}

/// Writes the attestation with the log's proof in it.
fn keep(
    path: &Path,
    attestation: &Attestation,
    verdict: &v1::Verdict,
    output: &Output,
) -> Result<(), Problem> {
    let logged = Attestation { tlog_proof: Some(verdict.tlog_proof.clone()), ..attestation.clone() };
    let to = match (&output.out, path.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    };
    // What came by stdin has no file to go back to.
    if to == Path::new("-") {
        return Ok(());
    }
    Ok(write_public(&to, logged.to_json()?.as_bytes())?)
}

fn line(file: Option<PathBuf>, digest: Option<Digest>, verdict: &v1::Verdict) -> Line {
    Line {
        file,
        digest,
        registered: verdict.registered,
        study: verdict.study.clone(),
        nullifier: Digest::from_slice(&verdict.nullifier),
        leaf_index: (!verdict.tlog_proof.is_empty()).then_some(verdict.leaf_index),
        problem: verdict.problem.clone().map(super::research::problem_from),
    }
}

fn show(job: &str, found: &Verdicts, lines: Vec<Line>, terminal: &Terminal) -> Result<Exit, Problem> {
    let registered = lines.iter().filter(|line| line.registered).count();
    let all = lines.len();
    if terminal.is_json() {
        let log_key = hex::encode(found.log_key.as_bytes());
        let (job, consortium) = (job.to_owned(), found.consortium.clone());
        written(terminal.json(&Outcome { job, consortium, log_key, registered, attestations: lines }))?;
        return Ok(if registered == all { Exit::Ok } else { Exit::VerificationFailed });
    }
    let mut checks = Vec::with_capacity(all);
    for (at, line) in lines.into_iter().enumerate() {
        let name = line.file.map_or_else(|| format!("attestation {at}"), |path| path.display().to_string());
        checks.push(match line.problem {
            None => {
                let patient = line.nullifier.map(|nullifier| nullifier.to_string()).unwrap_or_default();
                let leaf = line.leaf_index.unwrap_or_default();
                passed(&name, format!("registered in {}: patient {patient}, leaf {leaf}", line.study))
            }
            Some(problem) => {
                let mut check = failed(&name, format!("{} [{}]", problem.message, problem.code));
                check.hint = Some(problem.hint).filter(|hint| !hint.is_empty());
                check
            }
        });
    }
    terminal.say(&format!(
        "offline: ward attest verify FILE --log {} --log-key {} ...",
        found.consortium,
        hex::encode(found.log_key.as_bytes())
    ));
    report(terminal, &format!("job {job}"), checks)
}
