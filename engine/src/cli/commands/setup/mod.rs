//! `ward setup ...`: the ceremony that makes the proof system's keys, on a folder that passes from hospital to
//! hospital, or coordinated by the engine ([`coordinated`]).
//!
//! Every command but `show` verifies all that came before it. A command that is cut off leaves the folder as it was.

pub mod args;
mod coordinated;
mod show;

use std::io::Read as _;
use std::path::Path;
use std::sync::Mutex;

use chacha20::ChaCha20Rng;
use ward_circuits::ceremony::{Beacon, Contributor};
use zeroize::Zeroizing;

use self::args::{Place, Setup};
use self::show::{text, view};
use crate::cli::args::Global;
use crate::cli::exit::Exit;
use crate::cli::output::progress::{Progress, ProgressEvent};
use crate::cli::output::terminal::Terminal;
use crate::cli::written;
use crate::problem::{Problem, ProblemKind};
use crate::setup::statements::Known;
use crate::setup::steps::{Ceremony, Done, Share, Told, attestation};
use crate::setup::{problems, statements, system_rng};

/// Entropy of a contributor's own at most.
const ENTROPY_BYTES_MAX: u64 = 1 << 20;

/// Runs a command. The work is done on a thread of its own, so that an interrupt ends the process at once.
///
/// # Errors
/// As the command says; codes begin with `setup.`.
pub async fn run(command: Setup, global: &Global, terminal: &Terminal) -> Result<Exit, Problem> {
    let terminal = terminal.clone();
    if let Some(outcome) = coordinated::run(&command, global, &terminal).await {
        return outcome;
    }
    let work = tokio::task::spawn_blocking(move || dispatch(&command, &terminal));
    work.await.map_err(|error| Problem::internal(&error))?
}

fn dispatch(command: &Setup, terminal: &Terminal) -> Result<Exit, Problem> {
    let mut rng = system_rng()?;
    match command {
        Setup::New { folder, name, size } => {
            let done = Ceremony { root: folder, contributors_min: 1 }.begin(name, *size)?;
            terminal.hint("contribute with `ward setup contribute`, then pass the folder on");
            shown(terminal, &done, true)
        }
        Setup::Contribute { place, contributor, certificate, entropy, .. } => {
            let attestation = attestation(certificate.as_deref())?;
            let named = Contributor::new(contributor.as_deref().unwrap_or_default(), attestation);
            let contributor = named.map_err(|error| problems::of(&place.folder, &error))?;
            let extra = entropy_of(entropy.as_deref())?;
            let share = Share { contributor, extra: &extra, rng: &mut rng };
            let statement = statement_of(place)?;
            let done = with_progress(terminal, "contribution", |told| {
                ceremony(place).contribute(statement.as_ref(), share, told)
            })?;
            let hash = hex::encode(done.transcript.head());
            terminal.say(&format!("your contribution: {hash}"));
            terminal.hint("publish and sign this hash, pass the folder on, and check later with `ward setup verify --contains HASH`");
            shown(terminal, &done, true)
        }
        Setup::Beacon { place, value, iterations } => {
            let value = bytes_of(value, "setup.beacon")?;
            let beacon = Beacon::new(&value, *iterations).map_err(|e| problems::of(&place.folder, &e))?;
            let statement = statement_of(place)?;
            let done = with_progress(terminal, "beacon", |told| {
                ceremony(place).close(statement.as_ref(), &beacon, &mut rng, told)
            })?;
            terminal.hint(match statement {
                None => "begin the second phase of a statement with `ward setup prepare`",
                Some(_) => "write the keys with `ward setup finalise`",
            });
            shown(terminal, &done, true)
        }
        Setup::Prepare { folder, statement, at_least } => {
            let statement = statements::find(statement)?;
            let ceremony = Ceremony { root: folder, contributors_min: *at_least };
            let done =
                with_progress(terminal, "preparation", |told| ceremony.prepare(&statement, &mut rng, told))?;
            terminal
                .hint(&format!("contribute with `ward setup contribute --statement {}`", statement.folder));
            shown(terminal, &done, true)
        }
        Setup::Verify { place, contains, .. } => verify(place, contains.as_deref(), &mut rng, terminal),
        Setup::Finalise { folder, statement, at_least, out } => {
            let statement = statements::find(statement)?;
            let ceremony = Ceremony { root: folder, contributors_min: *at_least };
            let (done, keys) =
                with_progress(terminal, "keys", |told| ceremony.finalise(&statement, out, &mut rng, told))?;
            terminal.say(&format!("the key of {} is in {}", statement.name, out.display()));
            terminal.hint(
                "every hospital pins this id; whoever runs `ward setup finalise` on the folder gets the same",
            );
            let made = show::PhaseView { key: Some(keys.id.to_string()), ..view(&done, true) };
            written(terminal.show(&made, |view, _| text(view)))
        }
        Setup::Show { folder } => {
            let phases = Ceremony { root: folder, contributors_min: 1 }.transcripts(&statements::all())?;
            let views: Vec<_> = phases.iter().map(|phase| view(phase, false)).collect();
            written(terminal.show(&views, |views, _| views.iter().map(text).collect()))
        }
        Setup::Start(_) | Setup::Status { .. } | Setup::Fetch { .. } | Setup::Close { .. } => {
            Err(Problem::internal(&"a command of a coordinated ceremony on a folder"))
        }
    }
}

/// Verifies a phase, and that a contribution is in it.
fn verify(
    place: &Place,
    contains: Option<&str>,
    rng: &mut ChaCha20Rng,
    terminal: &Terminal,
) -> Result<Exit, Problem> {
    let wanted = contains.map(|hash| bytes_of(hash, "setup.hash")).transpose()?;
    let statement = statement_of(place)?;
    let done = with_progress(terminal, "verification", |told| {
        Ok::<_, Problem>(match &statement {
            None => {
                let (folder, phase) = ceremony(place).verified_first(rng, told)?;
                Done { folder: folder.path().to_owned(), transcript: phase.transcript().clone() }
            }
            Some(statement) => {
                let (folder, phase) = ceremony(place).verified_second(statement, rng, told)?;
                Done { folder: folder.path().to_owned(), transcript: phase.transcript().clone() }
            }
        })
    })?;
    let missing = |wanted: &Vec<u8>| {
        done.transcript.contributions().iter().all(|contribution| contribution.hash()[..] != wanted[..])
    };
    if wanted.as_ref().is_some_and(missing) {
        let message = "the ceremony verifies, and that contribution is not in it";
        return Err(Problem::new(ProblemKind::Conflict, "setup.not_included", message)
            .hint("somebody went on from a folder without it: tell the others before the phase is closed"));
    }
    shown(terminal, &done, true)
}

fn ceremony(place: &Place) -> Ceremony<'_> {
    Ceremony { root: &place.folder, contributors_min: place.at_least }
}

fn statement_of(place: &Place) -> Result<Option<Known>, Problem> {
    place.statement.as_deref().map(statements::find).transpose()
}

fn shown(terminal: &Terminal, done: &Done, verified: bool) -> Result<Exit, Problem> {
    written(terminal.show(&view(done, verified), |view, _| text(view)))
}

/// What a contributor adds of its own.
fn entropy_of(path: Option<&Path>) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let mut bytes = Zeroizing::new(Vec::new());
    let read = match path {
        None => Ok(0),
        Some(path) if path == Path::new("-") => {
            std::io::stdin().take(ENTROPY_BYTES_MAX).read_to_end(&mut bytes)
        }
        Some(path) => {
            std::fs::File::open(path).and_then(|file| file.take(ENTROPY_BYTES_MAX).read_to_end(&mut bytes))
        }
    };
    read.map_err(|error| {
        Problem::new(ProblemKind::Validation, "setup.entropy", format!("cannot read the entropy: {error}"))
            .hint("give a file, or `-` and type something, ended by Ctrl-D")
    })?;
    Ok(bytes)
}

fn bytes_of(hexadecimal: &str, code: &str) -> Result<Vec<u8>, Problem> {
    hex::decode(hexadecimal.trim()).map_err(|error| {
        Problem::new(ProblemKind::Validation, code, format!("not hexadecimal: {error}"))
            .hint("two digits of 0-9 and a-f for each byte, without a prefix")
    })
}

/// Runs a step under a progress display: a moving line on a terminal, every tenth elsewhere.
fn with_progress<T>(
    terminal: &Terminal,
    title: &str,
    step: impl FnOnce(Told<'_>) -> Result<T, Problem>,
) -> Result<T, Problem> {
    let grain: u64 = if terminal.is_live() { 1 } else { 10 };
    let lane = "setup".to_owned();
    let state =
        Mutex::new((Progress::start(terminal, title, std::slice::from_ref(&lane)), 0u64, String::new()));
    let outcome = step(&|what, done, total| {
        let percent = done.saturating_mul(100) / total.max(1) / grain * grain;
        let detail = format!("{what}, {percent}%");
        // A display that panicked is not shown any more.
        let Ok(mut state) = state.lock() else { return };
        let (progress, seq, last) = &mut *state;
        if *last != detail {
            *seq += 1;
            progress.event(&ProgressEvent {
                seq: *seq,
                state: "running".to_owned(),
                hospital: Some(lane.clone()),
                step: "computing".to_owned(),
                detail: detail.clone(),
            });
            *last = detail;
        }
    });
    if let Ok((progress, ..)) = state.into_inner() {
        progress.finish(if outcome.is_ok() { "done" } else { "failed" });
    }
    outcome
}
