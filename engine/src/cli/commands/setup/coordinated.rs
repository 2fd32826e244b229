//! `ward setup start`, `status`, `fetch`, `close`, and `contribute` and `verify` with `--job`: a ceremony that the engine
//! coordinates.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use ward_circuits::ceremony::Contributor;

use super::args::{At, Setup, Start};
use super::{bytes_of, entropy_of, with_progress};
use crate::cli::args::Global;
use crate::cli::commands::party::load;
use crate::cli::commands::research::{proxy, state_word};
use crate::cli::exit::Exit;
use crate::cli::output::steps::Steps;
use crate::cli::output::terminal::Terminal;
use crate::cli::session::{Bench, Session, Turn, home};
use crate::cli::written;
use crate::clock::{now_ms, utc};
use crate::encoding::Digest;
use crate::grpc::v1;
use crate::identity::Signature;
use crate::member::Membership;
use crate::party::node::seal_key;
use crate::problem::{Problem, ProblemKind};
use crate::setup::course::Next;
use crate::setup::status::SetupStatus;
use crate::setup::steps::{Ceremony, Share};
use crate::setup::{CONTRIBUTION, problems, statements, system_rng};

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 86_400_000;
/// Between two looks while waiting for a turn.
const LOOK: Duration = Duration::from_secs(2);

/// Runs a command of a coordinated ceremony; none for one on a folder alone.
pub(super) async fn run(
    command: &Setup,
    global: &Global,
    terminal: &Terminal,
) -> Option<Result<Exit, Problem>> {
    Some(match command {
        Setup::Start(args) => start(args, global, terminal).await,
        Setup::Status { at } => status(at, global, terminal).await,
        Setup::Fetch { folder, at } => fetch(folder, at, global, terminal).await,
        Setup::Close { at, value, iterations } => close(at, (value, *iterations), global, terminal).await,
        Setup::Contribute { place, job: Some(job), config, wait, entropy, .. } => {
            let at = At { job: job.clone(), config: config.clone() };
            contribute(&place.folder, &at, (*wait, entropy.as_deref()), (global, terminal)).await
        }
        Setup::Verify { place, job: Some(job), config, .. } => {
            let at = At { job: job.clone(), config: config.clone() };
            match signatures(&place.folder, &at, global, terminal).await {
                // The files are here now, and are verified as any others.
                Ok(()) => return None,
                Err(problem) => Err(problem),
            }
        }
        _ => return None,
    })
}

async fn session(at: &At, global: &Global) -> Result<Session, Problem> {
    let Some(config) = &at.config else {
        return Session::open(&home(global.home.as_deref())?, proxy(global)?).await;
    };
    let config = load(config)?;
    let member = Membership::load(&config.data_dir, seal_key(&config)?)?;
    Session::of_member(member, (seal_key(&config)?, proxy(global)?)).await
}

fn invalid(message: &str) -> Problem {
    Problem::new(ProblemKind::Validation, "setup.beacon", message)
}

async fn start(args: &Start, global: &Global, terminal: &Terminal) -> Result<Exit, Problem> {
    if args.beacons.len() != 2 || args.beacons_after.len() != 2 {
        return Err(invalid("a ceremony announces two beacons, one for each phase")
            .hint("say --beacon and --beacon-after twice"));
    }
    let session = Session::open(&home(global.home.as_deref())?, proxy(global)?).await?;
    let now = now_ms();
    let beacons = args.beacons.iter().zip(&args.beacons_after).map(|(source, after)| v1::AnnouncedBeacon {
        source: source.clone(),
        not_before_unix_ms: now.saturating_add(after.saturating_mul(MINUTE_MS)),
    });
    let request = v1::StartSetupRequest {
        name: args.name.clone(),
        statement: args.statement.clone(),
        size: args.size.into(),
        order: args.order.clone(),
        at_least: args.at_least,
        turn_ms: args.turn.saturating_mul(MINUTE_MS),
        beacons: beacons.collect(),
        time_limit_ms: args.days.saturating_mul(DAY_MS),
    };
    let job = session.start_setup(request).await?;
    if terminal.is_json() {
        let line = json!({ "job": job.id, "state": state_word(&job), "participants": job.participants });
        return written(terminal.json(&line));
    }
    terminal.say(&format!("{}: {}", job.summary, job.participants.join(", ")));
    terminal.hint(&format!(
        "tell the hospitals: ward setup contribute DIR --job {} --config party.toml --wait",
        job.id
    ));
    written(terminal.data(&job.id))
}

async fn status(at: &At, global: &Global, terminal: &Terminal) -> Result<Exit, Problem> {
    let status = session(at, global).await?.setup_status(&at.job).await?;
    shown(&status, terminal)
}

fn shown(status: &SetupStatus, terminal: &Terminal) -> Result<Exit, Problem> {
    written(terminal.show(status, |status, _| text(status)))
}

/// A ceremony in lines.
fn text(status: &SetupStatus) -> String {
    let spec = &status.spec;
    // Writing into a string does not fail.
    let mut out = String::new();
    let _ = writeln!(out, "{} for {}, 2^{}: {}", spec.name, spec.statement, spec.size, status.state);
    for ((number, phase), beacon) in (1..).zip(&status.phases).zip(&spec.beacons) {
        let state = match (phase.is_closed, &phase.files) {
            (true, _) => "closed",
            (false, Some(_)) => "open",
            (false, None) => "not begun",
        };
        let _ = writeln!(out, "phase {number}: {state}");
        for contributed in &phase.contributed {
            let _ = writeln!(out, "  {}  {}", contributed.hash, contributed.hospital);
        }
        for hospital in &phase.passed {
            let _ = writeln!(out, "  passed over: {hospital}");
        }
        if !phase.is_closed {
            let _ = writeln!(out, "  beacon: {}, from {}", beacon.source, utc(beacon.not_before_unix_ms));
        }
    }
    let _ = writeln!(out, "{}", waits(status));
    if let Some(problem) = &status.refused {
        let _ = writeln!(out, "last contribution refused: {} [{}]", problem.message, problem.code);
    }
    out
}

fn waits(status: &SetupStatus) -> String {
    if status.state.is_terminal() {
        return if status.key.is_empty() {
            "ended without keys".to_owned()
        } else {
            format!("key {}", status.key)
        };
    }
    match &status.next {
        Next::Turn { hospital, until_ms } => {
            let then: Vec<&str> = status.row.iter().skip(1).map(String::as_str).collect();
            let then = if then.is_empty() { String::new() } else { format!("; then {}", then.join(", ")) };
            format!("waits for {hospital} until {}{then}", utc(*until_ms))
        }
        Next::Check(offer) => format!("verifies the contribution of {}", offer.contributed.hospital),
        Next::Beacon { not_before_ms } => format!("waits for the beacon, from {}", utc(*not_before_ms)),
        Next::Begin => "prepares the phase".to_owned(),
        _ => "goes on".to_owned(),
    }
}

async fn fetch(folder: &Path, at: &At, global: &Global, terminal: &Terminal) -> Result<Exit, Problem> {
    let session = session(at, global).await?;
    let status = session.setup_status(&at.job).await?;
    let bytes: u64 = status.files.iter().map(|file| file.file.bytes).sum();
    let steps = Steps::start(terminal);
    steps.step(&format!("fetching {} files, {:.1} MB", status.files.len(), bytes as f64 / 1e6));
    session.fetch_setup(&at.job, &status.files, folder).await?;
    drop(steps);
    terminal.hint(&format!("ward setup verify {}", folder.display()));
    shown(&status, terminal)
}

async fn close(
    at: &At,
    (value, iterations): (&str, u8),
    global: &Global,
    terminal: &Terminal,
) -> Result<Exit, Problem> {
    let request = v1::SetupBeaconRequest {
        job: at.job.clone(),
        value: bytes_of(value, "setup.beacon")?,
        iterations_log2: iterations.into(),
    };
    let status = session(at, global).await?.setup_beacon(request).await?;
    terminal.hint(&format!("ward watch {} follows it", at.job));
    shown(&status, terminal)
}

async fn contribute(
    folder: &Path,
    at: &At,
    (wait, entropy): (bool, Option<&Path>),
    (global, terminal): (&Global, &Terminal),
) -> Result<Exit, Problem> {
    let session = session(at, global).await?;
    let name = session.member.as_ref().map(|member| member.member.name.clone()).unwrap_or_default();
    let mut status = session.setup_status(&at.job).await?;
    let statement = statements::find(&status.spec.statement)?;
    let bench = Bench { job: &at.job, folder, statement: &statement };
    let turn = loop {
        match session.take_turn(bench, &status).await {
            Err(problem) if wait && problem.code == "setup.turn" => {
                tokio::time::sleep(LOOK).await;
                status = session.setup_status(&at.job).await?;
            }
            // Its turn in the first phase is over: it waits for the one in the second.
            Ok(Turn::Sent(contributed)) if wait && is_settled(&status, contributed.hash) => {
                tokio::time::sleep(LOOK).await;
                status = session.setup_status(&at.job).await?;
            }
            other => break other?,
        }
    };
    let hash = match turn {
        Turn::Sent(contributed) => contributed.hash,
        Turn::Made => {
            terminal.say("the contribution that was made here before goes on its way");
            session.offer_setup(bench, status.phase()).await?
        }
        Turn::Contribute => {
            let certificate =
                session.member.as_ref().map(|member| member.certificate.clone()).unwrap_or_default();
            let contributor = Contributor::new(&name, Digest::of(&certificate).0);
            let contributor = contributor.map_err(|error| problems::of(folder, &error))?;
            let extra = entropy_of(entropy)?;
            let ceremony = Ceremony { root: folder, contributors_min: status.spec.at_least as usize };
            let second = (status.phase() == 2).then_some(&statement);
            tokio::task::block_in_place(|| {
                let rng = &mut system_rng()?;
                let share = Share { contributor, extra: &extra, rng };
                with_progress(terminal, "contribution", |told| ceremony.contribute(second, share, told))
            })?;
            session.offer_setup(bench, status.phase()).await?
        }
    };
    terminal.say(&format!("your contribution: {hash}"));
    let status = session.settled(&at.job, hash).await?;
    terminal.hint(&format!(
        "keep this hash, and check later: ward setup verify DIR --job {} --contains {hash}",
        at.job
    ));
    shown(&status, terminal)
}

/// Whether a contribution is part of the first phase, which is still on.
fn is_settled(status: &SetupStatus, hash: Digest) -> bool {
    let mut first = status.phases[0].contributed.iter();
    status.phase() == 1 && !status.state.is_terminal() && first.any(|contributed| contributed.hash == hash)
}

/// Fetches a ceremony, and compares what the hospitals signed with the transcript and with their certificates.
async fn signatures(folder: &Path, at: &At, global: &Global, terminal: &Terminal) -> Result<(), Problem> {
    let session = session(at, global).await?;
    let status = session.setup_status(&at.job).await?;
    session.fetch_setup(&at.job, &status.files, folder).await?;
    let parties = session.parties().await?;
    let broken = |message: String| {
        Problem::new(ProblemKind::Authorization, "setup.signature", message)
            .hint("do not use these keys, and tell the consortium")
    };
    let now_s = (now_ms() / 1000) as i64;
    let mut signed = 0;
    for contributed in status.phases.iter().flat_map(|phase| &phase.contributed) {
        let hospital = &contributed.hospital;
        let party = parties.iter().find(|party| party.name == *hospital);
        let certificate = party.and_then(|party| party.certificate.clone());
        let certificate = certificate
            .ok_or_else(|| broken(format!("{hospital} is not enrolled any more: its key is not known")))?;
        let member = session.place.authority.verify(&certificate.der, now_s);
        let member = member.map_err(|e| broken(format!("{hospital}: {e}")))?;
        let parts: [&[u8]; 2] = [at.job.as_bytes(), &contributed.hash.0];
        let holds = Signature::from_slice(&contributed.signature.0)
            .is_some_and(|signature| member.key.verify(CONTRIBUTION, &parts, &signature).is_ok());
        if member.name != *hospital || !holds {
            return Err(broken(format!("{hospital} did not sign the contribution in its name")));
        }
        signed += 1;
    }
    terminal.say(&format!("{signed} contributions are signed by their hospitals"));
    compare(folder, &status)
}

/// The contributions of the transcripts are those that were signed, in their order.
fn compare(folder: &Path, status: &SetupStatus) -> Result<(), Problem> {
    use ward_circuits::ceremony::Source;
    let statement = statements::find(&status.spec.statement)?;
    let ceremony = Ceremony { root: folder, contributors_min: 1 };
    let transcripts = ceremony.transcripts(std::slice::from_ref(&statement))?;
    for (phase, done) in status.phases.iter().zip(&transcripts) {
        let hashes: Vec<Digest> = done
            .transcript
            .contributions()
            .iter()
            .filter(|contribution| matches!(contribution.source(), Source::Party(_)))
            .map(|contribution| Digest(contribution.hash()))
            .collect();
        let signed: Vec<Digest> = phase.contributed.iter().map(|contributed| contributed.hash).collect();
        if hashes != signed {
            let message = "the transcript has other contributions than those that the hospitals signed";
            return Err(Problem::new(ProblemKind::Authorization, "setup.signature", message)
                .hint("do not use these keys, and tell the consortium"));
        }
    }
    Ok(())
}
