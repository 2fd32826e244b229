//! `ward party consent ...`: what a hospital's patients permit and refuse.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Value as Json, json};

use super::party::load;
use crate::audit::Context;
use crate::cli::exit::Exit;
use crate::cli::output::terminal::Terminal;
use crate::cli::written;
use crate::clock::{now_ms, utc};
use crate::consent::fhir::{self, Release};
use crate::consent::{
    Artefact, Provenance, Pseudonym, Purpose, PurposeError, Question, Regime, Rule, Scope, Status, Validity,
};
use crate::encoding::Digest;
use crate::party::node::Node;
use crate::problem::{Problem, ProblemKind};
use crate::store::{CONSENTS_MAX, ConsentRow};

/// `ward party consent`.
#[derive(Debug, Subcommand)]
pub enum Args {
    /// Import FHIR Consents (R4 or R5; JSON, NDJSON, or a folder of such files).
    Import {
        /// The node's configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// File or folder.
        path: PathBuf,
    },
    /// Write all artefacts as FHIR Consents, one a line; patients appear as pseudonyms.
    Export {
        /// The node's configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Release 5 instead of release 4.
        #[arg(long)]
        r5: bool,
    },
    /// Record that a patient permits.
    Grant(Statement),
    /// Record that a patient refuses: no grant helps against it.
    Deny(Statement),
    /// Record that a patient has been asked.
    Request(Statement),
    /// Record that a patient takes consents, or refusals, back.
    Revoke {
        /// The node's configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// One artefact.
        #[arg(conflicts_with = "patient", required_unless_present = "patient")]
        id: Option<String>,
        /// Everything that this patient permitted.
        #[arg(long)]
        patient: Option<String>,
        /// Why, for the history; no names.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// List artefacts.
    List {
        /// The node's configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Of one patient.
        #[arg(long)]
        patient: Option<String>,
        /// In one status: requested, granted, denied, revoked, expired.
        #[arg(long)]
        status: Option<String>,
        /// At most this many.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Show an artefact, and check its signature.
    Show {
        /// The node's configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// The artefact.
        id: String,
    },
    /// Show every status that an artefact had.
    History {
        /// The node's configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// The artefact.
        id: String,
    },
    /// Say whether a patient's data may be used, and why.
    Check {
        /// The node's configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// The patient's identifier.
        #[arg(long)]
        patient: String,
        /// What for.
        #[arg(long, value_parser = purpose)]
        purpose: Purpose,
        /// Classes of data, each of which must be permitted.
        #[arg(long = "class", required = true)]
        classes: Vec<String>,
        /// Who asks.
        #[arg(long = "grantee")]
        grantees: Vec<String>,
    },
    /// Prove that a patient's consent is under the root, without saying whose.
    Prove(Box<super::consent_proof::Prove>),
    /// Verify such a proof.
    Verify(super::consent_proof::Verify),
    /// Print the root of the consents as they are now, signed.
    Root {
        /// The node's configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

/// What a patient says.
#[derive(Debug, clap::Args)]
pub struct Statement {
    /// The node's configuration.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The patient's identifier, as in the tables; kept as a pseudonym.
    #[arg(long)]
    patient: String,
    /// What for, as codes of the Data Use Ontology.
    #[arg(long = "purpose", value_parser = purpose)]
    purposes: Vec<Purpose>,
    /// Which data [default: all].
    #[arg(long = "class")]
    classes: Vec<String>,
    /// Who may use it: researchers, or the consortium [default: everybody].
    #[arg(long = "grantee")]
    grantees: Vec<String>,
    /// First day, as 2026-11-22 [default: no limit].
    #[arg(long, value_parser = first_moment)]
    from: Option<u64>,
    /// Last day [default: no limit].
    #[arg(long, value_parser = end)]
    until: Option<u64>,
}

/// A purpose on the command line.
///
/// # Errors
/// What to write instead.
pub fn purpose(text: &str) -> Result<Purpose, String> {
    Purpose::parse(text).map_err(|error| format!("{error}; {}", PurposeError::HINT))
}

fn first_moment(text: &str) -> Result<u64, String> {
    fhir::span(text).map(|span| span.0).ok_or_else(|| "not a date, as 2026-11-22".to_owned())
}

fn end(text: &str) -> Result<u64, String> {
    fhir::span(text).map(|span| span.1).ok_or_else(|| "not a date, as 2026-11-22".to_owned())
}

/// Runs a command.
///
/// # Errors
/// As the command says.
pub fn run(command: &Args, terminal: &Terminal) -> Result<Exit, Problem> {
    let open = |config: &Path| Node::open_lazily(load(config)?);
    match command {
        Args::Import { config, path } => import(&open(config)?, path, terminal),
        Args::Export { config, r5 } => {
            export(&open(config)?, if *r5 { Release::R5 } else { Release::R4 }, terminal)
        }
        Args::Grant(statement) => state(&open(&statement.config)?, statement, Status::Granted, terminal),
        Args::Deny(statement) => state(&open(&statement.config)?, statement, Status::Denied, terminal),
        Args::Request(statement) => state(&open(&statement.config)?, statement, Status::Requested, terminal),
        Args::Revoke { config, id, patient, reason } => {
            revoke(&open(config)?, (id.as_deref(), patient.as_deref()), reason, terminal)
        }
        Args::List { config, patient, status, limit } => {
            let node = open(config)?;
            node.expire_consents()?;
            list(&node, (patient.as_deref(), status.as_deref()), *limit, terminal)
        }
        Args::Show { config, id } => show(&open(config)?, id, terminal),
        Args::History { config, id } => history(&open(config)?, id, terminal),
        Args::Check { config, patient, purpose, classes, grantees } => {
            let node = open(config)?;
            let mut grantees = grantees.clone();
            grantees.push(node.consortium().to_owned());
            let question = Question { grantees, purpose: *purpose, classes: classes.clone() };
            check(&node, patient, &question, terminal)
        }
        Args::Prove(args) => super::consent_proof::prove(args, terminal),
        Args::Verify(args) => super::consent_proof::verify(args, terminal),
        Args::Root { config } => root(&open(config)?, terminal),
    }
}

fn import(node: &Node, path: &Path, terminal: &Terminal) -> Result<Exit, Problem> {
    let mut said = 0;
    let report = node.import_consents(path, |report| {
        if report.consents >= said + 10_000 {
            said = report.consents;
            terminal
                .say(&format!("{} consents read, {} artefacts recorded", report.consents, report.recorded));
        }
    })?;
    if terminal.is_json() {
        return written(terminal.json(&report));
    }
    say_if_unasked(node, terminal);
    let mut text = format!(
        "files     {}\nconsents  {}\nrecorded  {} artefacts\nknown     {}\n",
        report.files, report.consents, report.recorded, report.known
    );
    for (name, counts) in [("rejected", &report.rejected), ("left out", &report.left_out)] {
        for (reason, count) in counts {
            text.push_str(&format!("{name}  {count} for {reason}\n"));
        }
    }
    if !report.rejected.is_empty() || !report.left_out.is_empty() {
        terminal
            .hint("docs/operating/consent.md says what each reason means; what is left out grants nothing");
    }
    written(terminal.data(&text))
}

fn export(node: &Node, release: Release, terminal: &Terminal) -> Result<Exit, Problem> {
    let mut after = 0;
    let mut written_out = 0u64;
    loop {
        let page = node.store().consents(after, CONSENTS_MAX)?;
        let Some(last) = page.last() else { break };
        after = last.number;
        for row in &page {
            written(terminal.json_line(&fhir::write(&row.artefact, release)))?;
        }
        written_out += page.len() as u64;
    }
    node.audit("consent.export", "consents", &format!("{written_out} artefacts as FHIR"))?;
    Ok(Exit::Ok)
}

fn state(node: &Node, said: &Statement, status: Status, terminal: &Terminal) -> Result<Exit, Problem> {
    let scope = Scope {
        grantees: said.grantees.iter().cloned().collect(),
        classes: said.classes.iter().cloned().collect(),
        purposes: said.purposes.iter().copied().collect(),
    };
    let rule = Rule { scope, ..Rule::default() };
    let validity = Validity { from_ms: said.from, until_ms: said.until };
    let provenance = Provenance {
        source: "cli".to_owned(),
        digest: Digest::of(b""),
        by: node.name().to_owned(),
        stated_ms: now_ms(),
    };
    let pseudonym = node.consents().pseudonym(&said.patient)?;
    let artefact = Artefact::new(pseudonym, (rule, validity), status, provenance)?;
    node.record_consent(artefact.clone(), "")?;
    say_if_unasked(node, terminal);
    if terminal.is_json() {
        return written(terminal.json(&json!({ "id": artefact.id, "status": artefact.status })));
    }
    terminal.say(&format!("{}: {}", artefact.status.as_str(), words(&artefact)));
    written(terminal.data(&format!("{}\n", artefact.id)))
}

fn revoke(
    node: &Node,
    (id, patient): (Option<&str>, Option<&str>),
    reason: &str,
    terminal: &Terminal,
) -> Result<Exit, Problem> {
    let rows: Vec<ConsentRow> = match (id, patient) {
        (Some(id), _) => vec![found(node, id)?],
        (None, Some(patient)) => {
            let mut rows = node.store().consents_of(&node.consents().pseudonym(patient)?)?;
            // A denial with exceptions permits what they say.
            rows.retain(|row| match row.artefact.status {
                Status::Granted | Status::Requested => true,
                Status::Denied => !row.artefact.rule.except.is_empty(),
                Status::Revoked | Status::Expired => false,
            });
            rows
        }
        (None, None) => Vec::new(),
    };
    if rows.is_empty() {
        let message = "the patient has permitted nothing that could be taken back";
        return Err(Problem::new(ProblemKind::NotFound, "consent.unknown", message)
            .hint("`ward party consent list --patient ID` shows what the patient said"));
    }
    let mut revoked = Vec::new();
    for row in rows {
        let next = row.artefact.become_status(Status::Revoked, now_ms())?;
        revoked.push(next.id.clone());
        node.record_consent(next, reason)?;
    }
    say_if_unasked(node, terminal);
    if terminal.is_json() {
        return written(terminal.json(&json!({ "revoked": revoked })));
    }
    terminal
        .say(&format!("{} revoked: from now on no row enters an answer on their strength", revoked.len()));
    written(terminal.data(&format!("{}\n", revoked.join("\n"))))
}

/// What patients say is kept where nobody asks for it, but nothing follows from it.
fn say_if_unasked(node: &Node, terminal: &Terminal) {
    if node.config().consent.regime == Regime::None {
        terminal.warn("this hospital asks for no consent: every row is read, whatever its patient said");
        terminal.hint("add [consent] with regime = \"opt-in\" or \"opt-out\" to the node's configuration");
    }
}

fn found(node: &Node, id: &str) -> Result<ConsentRow, Problem> {
    node.store().consent(id)?.ok_or_else(|| {
        Problem::new(ProblemKind::NotFound, "consent.unknown", format!("there is no consent `{id}`"))
            .hint("`ward party consent list` shows them")
    })
}

/// What an artefact is about, in words.
fn words(artefact: &Artefact) -> String {
    let scope = &artefact.rule.scope;
    let join = |mut texts: Vec<String>, all: &str| {
        if texts.is_empty() {
            texts.push(all.to_owned());
        }
        texts.join(", ")
    };
    let purposes =
        join(scope.purposes.iter().map(|p| format!("{} ({p})", p.label())).collect(), "every purpose");
    let classes = join(scope.classes.iter().cloned().collect(), "all data");
    let grantees = join(scope.grantees.iter().cloned().collect(), "everybody");
    let mut text = format!("{classes} for {purposes}, by {grantees}");
    let day = |ms: u64| utc(ms).chars().take(10).collect::<String>();
    if let Some(from) = artefact.validity.from_ms {
        text.push_str(&format!(", from {}", day(from)));
    }
    if let Some(until) = artefact.validity.until_ms {
        text.push_str(&format!(", until {}", day(until.saturating_sub(1))));
    }
    if !artefact.rule.except.is_empty() {
        text.push_str(&format!(", with {} exceptions", artefact.rule.except.len()));
    }
    text
}

fn list(
    node: &Node,
    (patient, status): (Option<&str>, Option<&str>),
    limit: usize,
    terminal: &Terminal,
) -> Result<Exit, Problem> {
    let status = status
        .map(|name| {
            Status::from_name(name).ok_or_else(|| {
                Problem::new(ProblemKind::Validation, "consent.status", format!("`{name}` is no status"))
                    .hint("requested, granted, denied, revoked or expired")
            })
        })
        .transpose()?;
    let wanted = |row: &ConsentRow| status.is_none_or(|status| row.artefact.status == status);
    let mut rows = Vec::new();
    if let Some(patient) = patient {
        rows = node.store().consents_of(&node.consents().pseudonym(patient)?)?;
        rows.retain(wanted);
    } else {
        let mut after = 0;
        while rows.len() < limit {
            let page = node.store().consents(after, CONSENTS_MAX)?;
            let Some(last) = page.last() else { break };
            after = last.number;
            rows.extend(page.into_iter().filter(wanted));
        }
    }
    rows.truncate(limit);
    let listed = format!("{} artefacts listed", rows.len());
    match patient {
        Some(patient) => audit_read(node, &node.consents().pseudonym(patient)?, "consents", &listed)?,
        None => node.audit("consent.read", "consents", &listed)?,
    }
    if terminal.is_json() {
        let artefacts: Vec<&Artefact> = rows.iter().map(|row| &row.artefact).collect();
        return written(terminal.json(&artefacts));
    }
    let mut text = String::new();
    for ConsentRow { artefact, .. } in &rows {
        let patient: String = artefact.pseudonym.to_string().chars().take(12).collect();
        let line =
            format!("{}  {patient}  {:9}  {}\n", artefact.id, artefact.status.as_str(), words(artefact));
        text.push_str(&line);
    }
    if rows.is_empty() {
        terminal.say("no consent is recorded");
    }
    written(terminal.data(&text))
}

/// Records that what a patient said was read.
fn audit_read(node: &Node, patient: &Pseudonym, subject: &str, detail: &str) -> Result<(), Problem> {
    let context = Context { patient: patient.to_string(), ..Context::default() };
    node.audit_within("consent.read", subject, detail, context)
}

fn show(node: &Node, id: &str, terminal: &Terminal) -> Result<Exit, Problem> {
    let row = found(node, id)?;
    audit_read(node, &row.artefact.pseudonym, &format!("consent:{id}"), "")?;
    let is_signed = row.artefact.is_signed(&node.membership().identity.public(), &row.signature);
    if terminal.is_json() {
        let shown = json!({
            "artefact": row.artefact, "number": row.number, "signature": hex::encode(row.signature.0),
            "signature_holds": is_signed,
        });
        return written(terminal.json(&shown));
    }
    let artefact = &row.artefact;
    let text = format!(
        "id         {}\npatient    {}\nstatus     {} since {}\nscope      {}\nsource     {}, recorded by {}\nsignature  {}\n",
        artefact.id,
        artefact.pseudonym,
        artefact.status.as_str(),
        utc(artefact.changed_ms),
        words(artefact),
        artefact.provenance.source,
        artefact.provenance.by,
        if is_signed { "holds" } else { "does not hold" },
    );
    written(terminal.data(&text))?;
    Ok(if is_signed { Exit::Ok } else { Exit::VerificationFailed })
}

fn history(node: &Node, id: &str, terminal: &Terminal) -> Result<Exit, Problem> {
    let row = found(node, id)?;
    audit_read(node, &row.artefact.pseudonym, &format!("consent:{id}"), "history")?;
    let history = node.store().consent_history(id)?;
    if terminal.is_json() {
        let line = |change: &crate::store::ConsentChange| -> Json {
            json!({
                "version": change.version, "status": change.status, "at_unix_ms": change.at_ms,
                "reason": change.reason, "signature": hex::encode(change.signature.0),
            })
        };
        return written(terminal.json(&history.iter().map(line).collect::<Vec<_>>()));
    }
    let mut text = String::new();
    for change in &history {
        let (status, at) = (change.status.as_str(), utc(change.at_ms));
        text.push_str(&format!("{:3}  {status:9}  {at}  {}\n", change.version, change.reason));
    }
    written(terminal.data(&text))
}

fn check(node: &Node, patient: &str, question: &Question, terminal: &Terminal) -> Result<Exit, Problem> {
    node.expire_consents()?;
    let pseudonym = node.consents().pseudonym(patient)?;
    let index = node.consents().index(&**node.store())?;
    let regime = node.config().consent.regime;
    let decision = index.decide(regime, &pseudonym, (question, now_ms()));
    audit_read(node, &pseudonym, "consents", "a decision was asked for")?;
    say_if_unasked(node, terminal);
    if terminal.is_json() {
        return written(terminal.json(&decision));
    }
    let word = if decision.permitted { "permitted" } else { "not permitted" };
    let reason = serde_json::to_value(decision.reason).map_err(|e| Problem::internal(&e))?;
    let reason = reason.as_str().unwrap_or_default().replace('_', " ");
    written(terminal.data(&format!("{word}: {reason}\n")))
}

fn root(node: &Node, terminal: &Terminal) -> Result<Exit, Problem> {
    node.expire_consents()?;
    let (_, root) = node.root_of_consents()?;
    if terminal.is_json() {
        return written(terminal.json(&json!({
            "hospital": node.name(), "version": root.version, "root": root.root, "at_ms": root.at_ms,
            "consents": root.consents, "signature": hex::encode(root.signature.0),
        })));
    }
    let text =
        format!("{}  version {}, {} consents, {}\n", root.root, root.version, root.consents, utc(root.at_ms));
    written(terminal.data(&text))
}
