//! `ward policy ...`: what the policies say, before anybody asks the engine.

use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, Subcommand};
use serde_json::{Map, Value};

use crate::attestation::read_file;
use crate::cli::exit::Exit;
use crate::cli::output::report::facts;
use crate::cli::output::table::{Align, Entry, Grid};
use crate::cli::output::terminal::{Style, Terminal, Tone};
use crate::cli::written;
use crate::clock::now_ms;
use crate::host;
use crate::identity::authorize::{
    Authorizer, Circumstances, Decision, Question, Resource, Rule, SCHEMA, Subject, SubjectKind,
};
use crate::problem::{Problem, ProblemKind};

/// Largest request file, bytes.
const REQUEST_BYTES_MAX: u64 = 1 << 20;

/// `ward policy`.
#[derive(Debug, Subcommand)]
pub enum Args {
    /// Say whether somebody may do something, by which policy, and why. Exit code 4 when refused.
    Test(Box<Test>),
    /// Check files of policies as an engine does when it starts.
    Check {
        /// Files of Cedar policies.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Print the policies in force, or the schema that they are checked against.
    Show {
        /// The schema: who, what and on what.
        #[arg(long)]
        schema: bool,
        /// Only what is about this action, such as `query.submit` or `Jobs.Submit`.
        #[arg(long)]
        action: Option<String>,
        /// Which set.
        #[command(flatten)]
        set: Set,
    },
}

/// Which policies.
#[derive(Debug, ClapArgs)]
pub struct Set {
    /// Also these files, as `[identity] policies` names them.
    #[arg(long = "policies", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Also those of this engine's folder.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// `ward policy test`.
#[derive(Debug, ClapArgs)]
pub struct Test {
    /// The question as JSON (docs/operating/authorisation.md); `-` reads stdin.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["name", "action"])]
    request: Option<PathBuf>,
    /// Name of whoever asks.
    #[arg(long, default_value = "somebody")]
    name: String,
    /// person, node, service or visitor.
    #[arg(long, default_value = "person")]
    kind: String,
    /// A role; repeat it for more.
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// Whose: a hospital's name.
    #[arg(long, default_value = "")]
    organisation: String,
    /// How it signed in: `pwd`, `mfa`, `hwk`, `swk` (RFC 8176); repeat it for more.
    #[arg(long)]
    amr: Vec<String>,
    /// Authentication context class.
    #[arg(long, default_value = "")]
    acr: String,
    /// Seconds since it signed in.
    #[arg(long, default_value_t = 0)]
    auth_age: u64,
    /// The act, such as `query.submit`, or the call, such as `Jobs.Submit`.
    #[arg(long, required_unless_present = "request")]
    action: Option<String>,
    /// On what, as TYPE:ID.
    #[arg(long, default_value = "Consortium:this", value_name = "TYPE:ID")]
    resource: String,
    /// An attribute of the resource, as NAME=VALUE; the value is JSON, or a text.
    #[arg(long = "attribute", value_name = "NAME=VALUE")]
    attributes: Vec<String>,
    /// For what.
    #[arg(long, default_value = "")]
    purpose: String,
    /// Which set.
    #[command(flatten)]
    set: Set,
}

fn invalid(message: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::Validation, "policy.request", message)
}

/// Runs a command.
///
/// # Errors
/// `policies.*` for a set that does not hold, `policy.request` for a question that does not parse.
pub fn run(command: &Args, terminal: &Terminal) -> Result<Exit, Problem> {
    match command {
        Args::Test(test) => {
            let question = question(test)?;
            let decision = load(&test.set)?.decide(&question)?;
            written(terminal.show(&decision, text))?;
            Ok(if decision.allowed { Exit::Ok } else { Exit::Authorization })
        }
        Args::Check { files } => {
            let shipped = Authorizer::shipped()?.rules().len();
            let all = Authorizer::load(files)?;
            let added = &all.rules()[shipped..];
            let own = match added.len() {
                1 => "1 policy holds".to_owned(),
                count => format!("{count} policies hold"),
            };
            terminal.say(&format!("{own} beside the {shipped} shipped ones"));
            written(terminal.show(added, rules))
        }
        Args::Show { schema: true, .. } => written(terminal.data(SCHEMA)),
        Args::Show { action, set, .. } => {
            let policies = load(set)?;
            if let Some(action) = action.as_ref().filter(|action| !policies.actions().contains(*action)) {
                let known = policies.actions().into_iter().collect::<Vec<_>>().join(", ");
                let problem =
                    Problem::new(ProblemKind::NotFound, "policy.action", format!("no action `{action}`"));
                return Err(problem.hint(format!("there are: {known}")));
            }
            let wanted = |rule: &&Rule| action.as_ref().is_none_or(|action| rule.actions.contains(action));
            let shown: Vec<Rule> = policies.rules().iter().filter(wanted).cloned().collect();
            written(terminal.show(shown.as_slice(), rules))
        }
    }
}

fn load(set: &Set) -> Result<Authorizer, Problem> {
    let mut files = match &set.data {
        Some(folder) => host::policy_files(folder)?,
        None => Vec::new(),
    };
    files.extend(set.files.iter().cloned());
    Ok(Authorizer::load(&files)?)
}

fn question(test: &Test) -> Result<Question, Problem> {
    if let Some(path) = &test.request {
        let bytes = match path.as_path() == Path::new("-") {
            true => super::attest::stdin(REQUEST_BYTES_MAX as usize)?,
            false => read_file(path, REQUEST_BYTES_MAX)?,
        };
        return serde_json::from_slice(&bytes).map_err(|e| {
            invalid(format!("{}: {e}", path.display())).hint("docs/operating/authorisation.md shows one")
        });
    }
    let (kind, id) = test
        .resource
        .split_once(':')
        .ok_or_else(|| invalid(format!("`{}` is not TYPE:ID", test.resource)).hint("such as Job:01J..."))?;
    let mut attributes = Map::new();
    for text in &test.attributes {
        let (name, value) =
            text.split_once('=').ok_or_else(|| invalid(format!("`{text}` is not NAME=VALUE")))?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        attributes.insert(name.to_owned(), value);
    }
    let kinds = serde_json::from_value::<SubjectKind>(Value::String(test.kind.clone()));
    let kind_of = kinds.map_err(|_| {
        invalid(format!("`{}` is no kind", test.kind)).hint("person, node, service or visitor")
    })?;
    Ok(Question {
        principal: Subject {
            kind: kind_of,
            name: test.name.clone(),
            roles: test.roles.iter().cloned().collect(),
            organisation: test.organisation.clone(),
            acr: test.acr.clone(),
            amr: test.amr.iter().cloned().collect(),
            auth_age_s: test.auth_age,
        },
        action: test.action.clone().unwrap_or_default(),
        resource: Resource::new(kind, id, Value::Object(attributes)),
        context: Circumstances {
            now_s: now_ms() / 1000,
            purpose: test.purpose.clone(),
            ..Circumstances::default()
        },
    })
}

fn text(decision: &Decision, style: &Style) -> String {
    let verdict = match decision.allowed {
        true => style.paint(Tone::Good, "allowed"),
        false => style.paint(Tone::Bad, "refused"),
    };
    let pairs = [
        ("by", decision.rules_text()),
        ("why", decision.reason.clone()),
        ("code", decision.code.clone()),
        ("hint", decision.hint.clone()),
    ];
    format!("{verdict}\n{}", facts(&pairs, style))
}

fn rules(rules: &[Rule], style: &Style) -> String {
    let mut grid = Grid::new()
        .column("effect", Align::Name)
        .column("policy", Align::Name)
        .column("says", Align::Prose)
        .column("in", Align::Name);
    for rule in rules {
        let tone = if rule.effect == "permit" { Tone::Good } else { Tone::Bad };
        grid.row(vec![
            Entry::toned(rule.effect, tone),
            Entry::from(&rule.id),
            Entry::from(&rule.says),
            Entry::from(&rule.place),
        ]);
    }
    grid.render(style)
}
