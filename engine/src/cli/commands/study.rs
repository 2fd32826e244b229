//! `ward study ...`: drafting studies, looking at them, and administrators' words on them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, Subcommand};
use ward_circuits::criteria::Date;

use crate::cli::args::Global;
use crate::cli::exit::Exit;
use crate::cli::output::report::facts;
use crate::cli::output::table::{Align, Entry, Grid};
use crate::cli::output::terminal::{Style, Terminal, Tone};
use crate::cli::session::{Session, home};
use crate::cli::written;
use crate::clock::{now_ms, utc};
use crate::consent::Purpose;
use crate::encoding::canonical_json;
use crate::grpc::v1::{self, decide_study_request};
use crate::identity::Identity;
use crate::member::create_private;
use crate::problem::{Problem, ProblemKind};
use crate::study::{Budget, CoSignature, STUDY_VERSION, Study, StudyVerdict, StudyView};

/// Milliseconds of a day.
const DAY_MS: u64 = 86_400_000;

/// `ward study`.
#[derive(Debug, Subcommand)]
pub enum Args {
    /// Draft a study (researchers, operators). It never changes; another text is another study.
    New(Box<New>),
    /// Show a study, and what each hospital says of it.
    Show {
        /// Its id.
        id: String,
    },
    /// List the studies that you may read.
    List,
    /// Say as a hospital's administrator that its jobs may run there; the hospital's node counts the words.
    Approve(Word),
    /// Say that they may not.
    Deny(Word),
    /// Say that they may not any more: running jobs stop before their next step.
    Withdraw(Word),
    /// Close a study that you drafted: no new job runs in it.
    Close {
        /// Its id.
        id: String,
    },
    /// Make an administrator's key, and print the public part for the hospital's policy.
    Key {
        /// File for the key.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

/// `ward study new`.
#[derive(Debug, ClapArgs)]
pub struct New {
    /// Its id (a-z, 0-9, hyphens).
    id: String,
    /// What it is about, in a sentence.
    #[arg(long)]
    title: String,
    /// A researcher who may ask in it; repeat it for more [default: you].
    #[arg(long = "member", value_name = "NAME")]
    members: Vec<String>,
    /// For what, as a code of the Data Use Ontology; repeat it for more.
    #[arg(long = "purpose", value_name = "DUO:...", required = true)]
    purposes: Vec<Purpose>,
    /// A table that may be asked; repeat it for more.
    #[arg(long = "table", value_name = "NAME", required = true)]
    tables: Vec<String>,
    /// A statistic that may be asked, by the names of hospitals' policies; repeat it for more [default: all].
    #[arg(long = "statistic", value_name = "NAME")]
    statistics: Vec<String>,
    /// Floor k of its answers.
    #[arg(long, default_value_t = 5)]
    floor: u32,
    /// What all its answers may cost in privacy together.
    #[arg(long)]
    epsilon: Option<f64>,
    /// Delta of that budget.
    #[arg(long, default_value_t = 0.000_001, requires = "epsilon")]
    delta: f64,
    /// Reference of the ethics vote.
    #[arg(long)]
    ethics: String,
    /// A hospital that is asked; repeat it for more [default: every enrolled one].
    #[arg(long = "hospital", value_name = "NAME")]
    hospitals: Vec<String>,
    /// Last day on which it runs (UTC).
    #[arg(long, value_name = "YYYY-MM-DD")]
    ends: String,
}

/// `ward study approve`, `deny` and `withdraw`.
#[derive(Debug, ClapArgs)]
pub struct Word {
    /// The study.
    id: String,
    /// The hospital for which you speak.
    #[arg(long)]
    hospital: String,
    /// Your name in the hospital's policy.
    #[arg(long = "as", value_name = "NAME")]
    admin: String,
    /// Your key, made by `ward study key`.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

fn invalid(code: &str, message: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::Validation, code, message)
}

/// Runs a command.
///
/// # Errors
/// The engine's; `study.*`.
pub async fn run(command: &Args, global: &Global, terminal: &Terminal) -> Result<Exit, Problem> {
    if let Args::Key { out } = command {
        return make_key(out, terminal);
    }
    let home = home(global.home.as_deref())?;
    let session = Session::open(&home, super::research::proxy(global)?).await?;
    match command {
        Args::New(new) => {
            let view = session.draft_study(&study_of(new, &session).await?).await?;
            terminal.say(&format!("study {} is drafted; each of its hospitals decides", view.study.id));
            written(terminal.show(&view, show))
        }
        Args::Show { id } => written(terminal.show(&session.study(id).await?, show)),
        Args::List => written(terminal.show(session.studies().await?.as_slice(), list)),
        Args::Approve(word) => say(&session, word, StudyVerdict::Approved, terminal).await,
        Args::Deny(word) => say(&session, word, StudyVerdict::Denied, terminal).await,
        Args::Withdraw(word) => say(&session, word, StudyVerdict::Withdrawn, terminal).await,
        Args::Close { id } => {
            let view = session.close_study(id).await?;
            terminal.say(&format!("study {} is closed", view.study.id));
            written(terminal.show(&view, show))
        }
        Args::Key { out } => make_key(out, terminal),
    }
}

fn make_key(out: &Path, terminal: &Terminal) -> Result<Exit, Problem> {
    let identity = Identity::generate().map_err(|e| Problem::internal(&e))?;
    create_private(out, identity.to_pem().map_err(|e| Problem::internal(&e))?.as_bytes())?;
    let public = hex::encode(identity.public().as_bytes());
    terminal.say(&format!("key in {}; for the hospital's [[policy.admin]]:", out.display()));
    if terminal.is_json() {
        return written(terminal.json(&serde_json::json!({ "key": public })));
    }
    written(terminal.data(&public))
}

/// An administrator's word under the key of a file.
///
/// # Errors
/// `study.key` for a file that holds no key.
pub fn cosign(
    (view, hospital): (&StudyView, &str),
    verdict: StudyVerdict,
    (admin, key): (&str, &Path),
) -> Result<CoSignature, Problem> {
    let bad = |e: &dyn std::fmt::Display| {
        invalid("study.key", format!("{}: {e}", key.display()))
            .hint("make one with `ward study key --out FILE`")
    };
    let pem = std::fs::read_to_string(key).map(zeroize::Zeroizing::new).map_err(|e| bad(&e))?;
    let identity = Identity::from_pem(&pem).map_err(|e| bad(&e))?;
    Ok(CoSignature::sign((view.digest, hospital), verdict, admin, (&identity, now_ms())))
}

async fn say(
    session: &Session,
    word: &Word,
    verdict: StudyVerdict,
    terminal: &Terminal,
) -> Result<Exit, Problem> {
    let view = session.study(&word.id).await?;
    let said = cosign((&view, word.hospital.as_str()), verdict, (word.admin.as_str(), word.key.as_path()))?;
    let json = decide_study_request::Word::Cosignature(canonical_json(&said));
    let view = session.decide_study(v1::DecideStudyRequest { id: word.id.clone(), word: Some(json) }).await?;
    terminal.say(&format!("{} is told that {} says: {}", word.hospital, word.admin, verdict.as_str()));
    written(terminal.show(&view, show))
}

async fn study_of(new: &New, session: &Session) -> Result<Study, Problem> {
    let own = session.whoami().await?.name;
    let mut hospitals: BTreeSet<String> = new.hospitals.iter().cloned().collect();
    if hospitals.is_empty() {
        hospitals = session.parties().await?.into_iter().map(|party| party.name).collect();
    }
    let mut members: BTreeSet<String> = new.members.iter().cloned().collect();
    if members.is_empty() {
        members.insert(own.clone());
    }
    let budget = match new.epsilon {
        None => None,
        Some(epsilon) => {
            Some(Budget { epsilon_milli: parts(epsilon, 1e3)?, delta_pico: parts(new.delta, 1e12)? })
        }
    };
    let study = Study {
        version: STUDY_VERSION,
        consortium: session.place.consortium.clone(),
        id: new.id.clone(),
        title: new.title.clone(),
        drafter: own,
        members,
        purposes: new.purposes.iter().copied().collect(),
        tables: new.tables.iter().cloned().collect(),
        statistics: new.statistics.iter().cloned().collect(),
        floor: new.floor,
        budget,
        ethics: new.ethics.clone(),
        hospitals,
        drafted_unix_ms: now_ms(),
        ends_unix_ms: end_of(&new.ends)?,
    };
    study.check()?;
    Ok(study)
}

/// A number in whole parts of a unit.
fn parts(value: f64, unit: f64) -> Result<u64, Problem> {
    let scaled = (value * unit).round();
    if (0.0..=9e15).contains(&scaled) {
        return Ok(scaled as u64);
    }
    Err(invalid("study.budget", format!("{value} is no budget"))
        .hint("such as --epsilon 1.5 --delta 0.000001"))
}

/// The first moment after a day.
fn end_of(day: &str) -> Result<u64, Problem> {
    let number = |text: Option<&str>| text.and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut fields = day.splitn(3, '-');
    let (year, month, date) = (number(fields.next()), number(fields.next()), number(fields.next()));
    Date::new(year, month, date)
        .and_then(Date::unix_ms)
        .map(|start| start + DAY_MS)
        .ok_or_else(|| invalid("study.ends", format!("`{day}` is no day")).hint("write it as YYYY-MM-DD"))
}

fn join<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    names.into_iter().cloned().collect::<Vec<_>>().join(", ")
}

/// A study in full.
#[must_use]
pub fn show(view: &StudyView, style: &Style) -> String {
    let study = &view.study;
    let purposes: Vec<String> = study.purposes.iter().map(|p| format!("{p} ({})", p.label())).collect();
    let budget = study.budget.map_or_else(|| "none".to_owned(), |budget| budget.to_string());
    let statistics = if study.statistics.is_empty() { "all".to_owned() } else { join(&study.statistics) };
    let pairs = [
        ("study", study.id.clone()),
        ("title", study.title.clone()),
        ("state", if view.closed { "closed".to_owned() } else { "open".to_owned() }),
        ("drafted", format!("{} by {}", utc(study.drafted_unix_ms), study.drafter)),
        ("ends", utc(study.ends_unix_ms)),
        ("members", join(&study.members)),
        ("purpose", purposes.join(", ")),
        ("tables", join(&study.tables)),
        ("statistics", statistics),
        ("floor", study.floor.to_string()),
        ("budget", budget),
        ("ethics", study.ethics.clone()),
        ("digest", view.digest.to_string()),
    ];
    let mut grid = Grid::new()
        .column("hospital", Align::Name)
        .column("says", Align::Name)
        .column("since", Align::Name)
        .column("by", Align::Name)
        .column("reason", Align::Prose);
    for hospital in &study.hospitals {
        let words = view.cosignatures.iter().filter(|word| word.hospital == *hospital);
        let said: Vec<String> =
            words.map(|word| format!("{}: {}", word.admin, word.verdict.as_str())).collect();
        let row = match view.decision_of(hospital) {
            None => vec![
                Entry::from(hospital),
                Entry::toned("undecided", Tone::Faint),
                Entry::from(""),
                Entry::from(said.join(", ")),
                Entry::from(""),
            ],
            Some(decision) => {
                let tone = if decision.verdict == StudyVerdict::Approved { Tone::Good } else { Tone::Bad };
                vec![
                    Entry::from(hospital),
                    Entry::toned(decision.verdict.as_str(), tone),
                    Entry::from(utc(decision.at_unix_ms)),
                    Entry::from(decision.by.join(", ")),
                    Entry::from(&decision.reason),
                ]
            }
        };
        grid.row(row);
    }
    format!("{}\n{}", facts(&pairs, style), grid.render(style))
}

/// A list of studies.
#[must_use]
pub fn list(views: &[StudyView], style: &Style) -> String {
    if views.is_empty() {
        return "no studies\n".to_owned();
    }
    let mut grid = Grid::new()
        .column("study", Align::Name)
        .column("state", Align::Name)
        .column("ends", Align::Name)
        .column("approved by", Align::Name)
        .column("title", Align::Prose);
    for view in views {
        let approved = view.study.hospitals.iter().filter(|hospital| {
            view.decision_of(hospital).is_some_and(|decision| decision.verdict == StudyVerdict::Approved)
        });
        grid.row(vec![
            Entry::from(&view.study.id),
            Entry::from(if view.closed { "closed" } else { "open" }),
            Entry::from(utc(view.study.ends_unix_ms)),
            Entry::from(format!("{} of {}", approved.count(), view.study.hospitals.len())),
            Entry::from(&view.study.title),
        ]);
    }
    grid.render(style)
}
