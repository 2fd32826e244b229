//! The commands of researchers and operators.

use std::path::Path;

use tokio_stream::StreamExt;

use crate::attestation::keys::DEVELOPMENT_WARNING;
use crate::cli::args::{Command, Explain, Global, Keygen, OutputArgs, Submit};
use crate::cli::exit::Exit;
use crate::cli::output::progress::{Progress, ProgressEvent};
use crate::cli::output::report::{JobDetail, JobLine, ReceiptLine};
use crate::cli::output::terminal::Terminal;
use crate::cli::output::{csv, number};
use crate::cli::session::{Opened, Session, home, not_verified, person_seal};
use crate::cli::{UserError, plot, written};
use crate::clock::utc;
use crate::consent::Purpose;
use crate::grpc::status::problem_of;
use crate::grpc::v1::{self, JobState};
use crate::identity::Role;
use crate::member::{Membership, token_text};
use crate::party::aggregate::participation;
use crate::party::connect::Proxy;
use crate::problem::{Problem, ProblemKind};
use crate::proofs::{ContributionVerifier, ProofsError};
use crate::query::ast::Route;
use crate::query::plan::Asked;

fn invalid(code: &str, message: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::Validation, code, message)
}

/// The proxy of the command line.
///
/// # Errors
/// When it is none.
pub fn proxy(global: &Global) -> Result<Option<Proxy>, Problem> {
    let parse = |text: &String| Proxy::parse(text).map_err(|e| invalid("proxy", e.to_string()));
    global.proxy.as_ref().map(parse).transpose()
}

/// Runs a command.
///
/// # Errors
/// As the command says.
pub async fn run(command: &Command, global: &Global, terminal: &Terminal) -> Result<Exit, Problem> {
    let home = home(global.home.as_deref())?;
    if let Command::Enrol(enrol) = command {
        let keys = (person_seal(&home)?, proxy(global)?);
        let roles = [Role::Researcher, Role::Operator];
        let member = Membership::enrol(&token_text(&enrol.token)?, &roles, &home, keys).await?;
        terminal.say(&format!("{} is enrolled in {}", member.member.name, member.consortium));
        terminal.say(&format!("fingerprint of the key: {}", member.member.fingerprint()));
        return Ok(Exit::Ok);
    }
    let session = Session::open(&home, proxy(global)?).await?;
    match command {
        Command::Keygen(keygen) => run_keygen(&session, keygen, terminal).await,
        Command::Catalogue { table } => {
            let (catalogue, _) = session.catalogue().await?;
            written(terminal.catalogue(&catalogue, table.as_deref()))
        }
        Command::Whoami => super::login::whoami(&session.whoami().await?, terminal),
        Command::Parties => parties(&session, terminal).await,
        Command::Explain(explain) => run_explain(&session, explain, terminal).await,
        Command::Submit(submit) => run_submit(&session, submit, terminal).await,
        Command::Watch { job } => watch(&session, job, terminal).await.and_then(|job| ended(&job)),
        Command::Result(args) => {
            let key = args.output.proofs.load()?;
            let opened = session.result(&args.job).await?;
            check_proofs(&opened, key.as_ref(), terminal)?;
            show(&args.job, &opened, &args.output, terminal)
        }
        Command::Jobs { job, limit } => jobs(&session, job.as_deref(), *limit, terminal).await,
        Command::Cancel { job } => {
            let request = v1::CancelRequest { id: job.clone() };
            let job = session.jobs().cancel(request).await.map_err(|s| problem_of(&s))?.into_inner();
            terminal.say(&format!("job {} is {}", job.id, state_word(&job)));
            Ok(Exit::Ok)
        }
        _ => Err(invalid("command", "this command is not one of a member's")),
    }
}

/// A state in a word.
pub fn state_word(job: &v1::Job) -> &'static str {
    match job.state() {
        JobState::Unspecified => "unknown",
        JobState::Queued => "queued",
        JobState::Waiting => "waiting",
        JobState::Running => "running",
        JobState::Committing => "committing",
        JobState::Done => "done",
        JobState::Failed => "failed",
        JobState::Refused => "refused",
        JobState::Cancelled => "cancelled",
    }
}

async fn run_keygen(session: &Session, keygen: &Keygen, terminal: &Terminal) -> Result<Exit, Problem> {
    let job = session
        .keygen(v1::Ceremony {
            profile: keygen.profile.clone(),
            holders: keygen.holders.clone(),
            threshold: keygen.threshold.unwrap_or(0),
            time_limit_ms: keygen.time_limit.saturating_mul(1000),
        })
        .await?;
    let job = watch(session, &job.id, terminal).await?;
    ended(&job)?;
    let (_, epoch) = session.catalogue().await?;
    if let Some(epoch) = epoch {
        let holders = epoch.holders.len();
        terminal
            .say(&format!("key epoch {} is in force: {} of {holders} hospitals", epoch.id, epoch.threshold));
    }
    Ok(Exit::Ok)
}

async fn parties(session: &Session, terminal: &Terminal) -> Result<Exit, Problem> {
    let parties = session.parties().await?;
    if terminal.is_json() {
        let rows: Vec<_> = parties
            .iter()
            .map(|p| serde_json::json!({ "name": p.name, "connected": p.connected, "fingerprint": p.fingerprint }))
            .collect();
        return written(terminal.json(&rows));
    }
    let width = parties.iter().map(|p| p.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for p in &parties {
        let state = if p.connected { "connected" } else { "away" };
        text.push_str(&format!("{:width$}  {state:9}  {}\n", p.name, p.fingerprint));
    }
    written(terminal.data(&text))
}

/// What the options ask of the planner.
fn asked(minimum: u32, route: Route, purpose: Option<Purpose>) -> Asked {
    Asked { participation: participation(minimum), route, purpose, study: None }
}

async fn run_explain(session: &Session, explain: &Explain, terminal: &Terminal) -> Result<Exit, Problem> {
    let request = v1::ExplainRequest {
        sql: explain.privacy.apply(&explain.sql),
        participants_min: explain.at_least.unwrap_or(0),
        multi_party: explain.mpc,
        multi_party_encrypted: explain.mpc_encrypted,
        purpose: explain.purpose.map(|purpose| purpose.to_string()).unwrap_or_default(),
        study: explain.study.clone().unwrap_or_default(),
    };
    let response = session.jobs().explain(request).await.map_err(|s| problem_of(&s))?.into_inner();
    if terminal.is_json() {
        return written(terminal.data(&String::from_utf8_lossy(&response.json)));
    }
    written(terminal.data(&response.text))
}

async fn run_submit(session: &Session, submit: &Submit, terminal: &Terminal) -> Result<Exit, Problem> {
    // A key that does not load is said before anything is asked.
    let key = submit.output.proofs.load()?;
    let mut sql = submit.sql.clone();
    if sql == "-" {
        sql.clear();
        std::io::Read::read_to_string(&mut std::io::stdin(), &mut sql)
            .map_err(|e| invalid("query.stdin", e.to_string()))?;
    }
    let sql = submit.privacy.apply(&sql);
    let route = Route::of(submit.mpc, submit.mpc_encrypted);
    let mut asked = asked(submit.at_least.unwrap_or(0), route, submit.purpose);
    let study = match &submit.study {
        None => None,
        Some(id) => Some(session.study(id).await?.study),
    };
    if let Some(study) = &study {
        asked.purpose = study.purpose_of(asked.purpose);
    }
    let reference = study.map(|study| study.reference());
    let job = session.submit_in(reference, &sql, (asked, submit.time_limit)).await?;
    if submit.no_wait {
        let line = if terminal.is_json() { serde_json::json!({ "job": job.id }).to_string() } else { job.id };
        return written(terminal.data(&line));
    }
    let job = watch(session, &job.id, terminal).await?;
    ended(&job)?;
    let opened = session.result(&job.id).await?;
    check_proofs(&opened, key.as_ref(), terminal)?;
    show(&job.id, &opened, &submit.output, terminal)
}

/// Verifies the proofs of an answer that has them; its numbers were held against the commitments when it was opened.
fn check_proofs(
    opened: &Opened,
    key: Option<&ContributionVerifier>,
    terminal: &Terminal,
) -> Result<(), Problem> {
    let Some(proofs) = &opened.receipt.commitment().proofs else { return Ok(()) };
    let count = proofs.contributions.len();
    let Some(key) = key else {
        terminal.warn(&format!(
            "the hospitals' commitments add up to this answer; their {count} proofs were not verified: say --proof-key DIR"
        ));
        return Ok(());
    };
    proofs.verify(key).map_err(|error| match error {
        ProofsError::Key { .. } => error.into(),
        error => not_verified(error),
    })?;
    if key.is_development {
        terminal.warn(DEVELOPMENT_WARNING);
    }
    terminal.say(&format!("{count} contributions proved; their commitments add up to this answer"));
    Ok(())
}

/// Follows a job until it ends; comes back when the stream breaks.
///
/// # Errors
/// The engine's.
pub async fn watch(session: &Session, id: &str, terminal: &Terminal) -> Result<v1::Job, Problem> {
    let get = || async {
        let request = v1::GetJobRequest { id: id.to_owned() };
        session.jobs().get(request).await.map(tonic::Response::into_inner).map_err(|s| problem_of(&s))
    };
    let job = get().await?;
    let mut progress = Progress::start(terminal, &format!("job {id}"), &job.participants);
    let mut after = 0;
    let mut breaks = 0;
    loop {
        let request = v1::WatchRequest { id: id.to_owned(), after };
        let followed = follow(session, request, &mut progress, &mut after).await;
        let job = match (followed, get().await) {
            (Ok(()), Ok(job)) => job,
            (Err(problem), _) | (_, Err(problem)) if problem.retryable && breaks < 60 => {
                breaks += 1;
                tokio::time::sleep(std::time::Duration::from_millis(500)).await;
                continue;
            }
            (Err(problem), _) | (_, Err(problem)) => return Err(problem),
        };
        if !matches!(
            job.state(),
            JobState::Queued | JobState::Waiting | JobState::Running | JobState::Committing
        ) {
            progress.finish(state_word(&job));
            return Ok(job);
        }
    }
}

async fn follow(
    session: &Session,
    request: v1::WatchRequest,
    progress: &mut Progress,
    after: &mut u64,
) -> Result<(), Problem> {
    let mut events = session.jobs().watch(request).await.map_err(|s| problem_of(&s))?.into_inner();
    while let Some(event) = events.next().await {
        let event = event.map_err(|s| problem_of(&s))?;
        *after = event.sequence;
        let job = v1::Job { state: event.state, ..v1::Job::default() };
        progress.event(&ProgressEvent {
            seq: event.sequence,
            state: state_word(&job).to_owned(),
            hospital: Some(event.hospital).filter(|name| !name.is_empty()),
            step: event.step,
            detail: event.detail,
        });
    }
    Ok(())
}

/// A problem as the engine tells it.
pub fn problem_from(problem: v1::Problem) -> Problem {
    let mut made = Problem::new(ProblemKind::from_name(&problem.kind), &problem.code, problem.message);
    made.hint = problem.hint;
    made.hospital = Some(problem.hospital).filter(|name| !name.is_empty());
    made
}

/// How a job ended, as an exit code.
///
/// # Errors
/// Why it has no result.
pub fn ended(job: &v1::Job) -> Result<Exit, Problem> {
    match job.state() {
        JobState::Done => Ok(Exit::Ok),
        JobState::Cancelled => {
            Err(Problem::new(ProblemKind::Conflict, "job.cancelled", "the job was cancelled"))
        }
        _ => Err(job.problem.clone().map_or_else(
            || {
                Problem::new(
                    ProblemKind::Internal,
                    "job.ended",
                    format!("job {} is {}", job.id, state_word(job)),
                )
            },
            problem_from,
        )),
    }
}

/// Prints an answer, its plots and what it cost; writes the files that were asked for.
///
/// # Errors
/// When something cannot be written.
pub fn show(job: &str, opened: &Opened, output: &OutputArgs, terminal: &Terminal) -> Result<Exit, Problem> {
    let file = |path: &Path, e: std::io::Error| invalid("output.file", format!("{}: {e}", path.display()));
    written(terminal.answer(&opened.answer))?;
    for plot in plot::from_answer(&opened.answer) {
        if let Some(folder) = &output.svg {
            std::fs::create_dir_all(folder).map_err(|e| file(folder, e))?;
            let path = folder.join(plot.file_name());
            std::fs::write(&path, plot.svg()).map_err(|e| file(&path, e))?;
            terminal.say(&format!("plot: {}", path.display()));
        }
        if !output.no_plot && !terminal.is_json() && !plot.is_in_answer() {
            written(terminal.data(&plot.term(&terminal.style())))?;
        }
    }
    if let Some(path) = &output.csv {
        std::fs::write(path, csv::answer(&opened.answer)).map_err(|e| file(path, e))?;
        terminal.say(&format!("table: {}", path.display()));
    }
    if let Some(path) = &output.receipt {
        std::fs::write(path, &opened.receipt_json).map_err(|e| file(path, e))?;
        terminal.say(&format!("receipt: {}", path.display()));
    }
    let (index, size) = opened.receipt.position();
    let cost = &opened.cost;
    terminal.say(&format!(
        "job {job}: {} from hospitals, {} to hospitals, {} rounds, {}; receipt verified: leaf {index} of {size}, cosigned by {}",
        number::bytes(cost.bytes_from_hospitals),
        number::bytes(cost.bytes_to_hospitals),
        cost.rounds,
        number::duration_ms(cost.elapsed_ms),
        opened.receipt.cosignatures().len(),
    ));
    Ok(Exit::Ok)
}

async fn jobs(session: &Session, id: Option<&str>, limit: u32, terminal: &Terminal) -> Result<Exit, Problem> {
    if let Some(id) = id {
        let request = v1::GetJobRequest { id: id.to_owned() };
        let job = session.jobs().get(request).await.map_err(|s| problem_of(&s))?.into_inner();
        let detail = JobDetail {
            attempts: job.attempt,
            participation: job.participants.join(", "),
            hospitals: Vec::new(),
            verdicts: Vec::new(),
            error: job.problem.clone().map(|p| UserError::from(problem_from(p))),
            receipt: None::<ReceiptLine>,
            job: line_of(job),
        };
        return written(terminal.job(&detail));
    }
    let request = v1::ListJobsRequest { limit, before: String::new() };
    let listed = session.jobs().list(request).await.map_err(|s| problem_of(&s))?.into_inner().jobs;
    let lines: Vec<JobLine> = listed.into_iter().map(line_of).collect();
    written(terminal.jobs(&lines))
}

fn line_of(job: v1::Job) -> JobLine {
    JobLine {
        state: state_word(&job).to_owned(),
        submitted: utc(job.created_unix_ms),
        took_ms: job.ended_unix_ms.checked_sub(job.created_unix_ms),
        submitter: job.owner,
        query: job.summary,
        id: job.id,
    }
}
