//! `ward audit ...`: what was done, by whom, to whose data, and why.

mod heads;
mod text;

use std::io::BufReader;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use ward_circuits::criteria::Date;

use crate::audit::report::{Rules, access_report, compliance};
use crate::audit::{AuditError, Event, Filter, Outcome, Sealed, fhir, read_lines, verify_chain};
use crate::cli::exit::Exit;
use crate::cli::output::terminal::Terminal;
use crate::cli::written;
use crate::clock::now_ms;
use crate::consent::Pseudonym;
use crate::host::EngineFolder;
use crate::identity::{CaCertificate, PublicKey};
use crate::party::local::config::PartyConfig;
use crate::party::node::Node;
use crate::problem::{Problem, ProblemKind};
use crate::store::{PAGE_ROWS_MAX, Store, audit_chain};

const DAY_MS: u64 = 86_400_000;

/// Where the chain is.
#[derive(Debug, Clone, ClapArgs)]
#[group(required = true, multiple = false)]
pub struct Chain {
    /// A hospital's node: its configuration.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// An engine: its folder.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// An export: JSON lines, as `ward audit export` writes them; needs --key.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// A search.
#[derive(Debug, Clone, ClapArgs)]
pub struct Search {
    /// Who acted.
    #[arg(long)]
    actor: Option<String>,
    /// Who received something.
    #[arg(long, value_name = "NAME")]
    recipient: Option<String>,
    /// The patient: at a node the hospital's identifier, or the pseudonym; the pseudonym elsewhere.
    #[arg(long)]
    patient: Option<String>,
    /// Purpose, as a DUO code.
    #[arg(long, value_name = "CODE")]
    purpose: Option<String>,
    /// Id of a request's trace, or its first digits.
    #[arg(long, value_name = "HEX")]
    trace: Option<String>,
    /// Study.
    #[arg(long)]
    study: Option<String>,
    /// What was done; `consent` finds every action on consent.
    #[arg(long)]
    action: Option<String>,
    /// To what, as kind:id.
    #[arg(long)]
    subject: Option<String>,
    /// How it ended.
    #[arg(long, value_enum)]
    outcome: Option<Ended>,
    /// From this day on (UTC).
    #[arg(long, value_name = "YYYY-MM-DD")]
    since: Option<String>,
    /// Up to this day, which is included (UTC).
    #[arg(long, value_name = "YYYY-MM-DD")]
    until: Option<String>,
    /// Only what somebody should look at now.
    #[arg(long)]
    urgent: bool,
}

/// How an act ended.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Ended {
    /// Done.
    Success,
    /// Refused by a rule.
    Refused,
    /// Failed.
    Failure,
}

/// How events are written.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Format {
    /// One sealed event a line; verifies offline.
    Jsonl,
    /// One FHIR R4 AuditEvent a line, under the IHE BALP profiles.
    Fhir,
}

/// `ward audit`.
#[derive(Debug, Subcommand)]
pub enum Args {
    /// Verify a chain from its first event.
    Verify {
        /// Where it is.
        #[command(flatten)]
        chain: Chain,
        /// Public key of the chain's owner, as hexadecimal (exports only).
        #[arg(long, value_name = "HEX")]
        key: Option<String>,
        /// A checkpoint of the log that the chain must continue, as `ward audit checkpoint` writes it; beside the newest
        /// one that the node or engine keeps.
        #[arg(long, value_name = "FILE")]
        checkpoint: Option<PathBuf>,
        /// The consortium's authority, `ca.pem` (exports with --checkpoint only).
        #[arg(long, value_name = "FILE")]
        authority: Option<PathBuf>,
    },
    /// Print the newest checkpoint of the log that has the chain's head, to keep elsewhere.
    Checkpoint {
        /// Whose chain.
        #[command(flatten)]
        chain: Chain,
        /// A hospital's chain, as the engine keeps its heads [default: the engine's own].
        #[arg(long, value_name = "NAME")]
        of: Option<String>,
    },
    /// Find events.
    Search {
        /// Where.
        #[command(flatten)]
        chain: Chain,
        /// Which.
        #[command(flatten)]
        search: Search,
        /// At most this many, the newest.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Write events out.
    Export {
        /// Where they are.
        #[command(flatten)]
        chain: Chain,
        /// Which [default: all].
        #[command(flatten)]
        search: Search,
        /// How.
        #[arg(long, value_enum, default_value = "jsonl")]
        format: Format,
    },
    /// Answer a patient: who saw which of my data, and why.
    Report {
        /// Where.
        #[command(flatten)]
        chain: Chain,
        /// The patient: at a node the hospital's identifier, or the pseudonym; the pseudonym elsewhere.
        #[arg(long)]
        patient: String,
        /// A table that the patient's rows are in; repeat it. Aggregates over it are reported [default: at a node, every
        /// table that names patients].
        #[arg(long, value_name = "NAME")]
        table: Vec<String>,
    },
    /// Answer a regulator.
    Compliance {
        /// Where.
        #[command(flatten)]
        chain: Chain,
        /// Whose questions.
        #[arg(long, value_enum)]
        rules: Rules,
        /// From this day on (UTC).
        #[arg(long, value_name = "YYYY-MM-DD")]
        since: Option<String>,
        /// Up to this day, which is included (UTC).
        #[arg(long, value_name = "YYYY-MM-DD")]
        until: Option<String>,
        /// A recipient inside the border; repeat it.
        #[arg(long, value_name = "NAME")]
        domestic: Vec<String>,
    },
    /// Take away who, whom and what from events before a day. The chain still verifies; this cannot be undone.
    Redact {
        /// Where.
        #[command(flatten)]
        chain: Chain,
        /// The first day that stays.
        #[arg(long, value_name = "YYYY-MM-DD")]
        before: String,
    },
}

/// An opened chain.
enum Opened {
    Party(Box<Node>),
    Engine { store: Arc<dyn Store>, key: PublicKey, name: String, authority: CaCertificate },
    Export(PathBuf),
}

impl Opened {
    fn open(chain: &Chain) -> Result<Self, Problem> {
        if let Some(path) = &chain.config {
            let config = PartyConfig::load(path).map_err(|e| {
                Problem::new(ProblemKind::Validation, e.code(), e.to_string()).hint(e.hint().to_owned())
            })?;
            return Ok(Self::Party(Box::new(Node::open(config)?)));
        }
        if let Some(folder) = &chain.data {
            let folder = EngineFolder::open(folder)?;
            let name = format!("engine of {}", folder.consortium());
            let (store, key) = (folder.store().clone(), folder.identity().public());
            return Ok(Self::Engine { store, key, name, authority: folder.authority().clone() });
        }
        let path = chain.file.clone().ok_or_else(|| usage("audit.where", "no chain was named"))?;
        Ok(Self::Export(path))
    }

    fn name(&self) -> String {
        match self {
            Self::Party(node) => node.name().to_owned(),
            Self::Engine { name, .. } => name.clone(),
            Self::Export(path) => path.display().to_string(),
        }
    }

    fn key(&self, named: Option<&str>) -> Result<PublicKey, Problem> {
        match (self, named) {
            (Self::Party(node), None) => Ok(node.membership().identity.public()),
            (Self::Engine { key, .. }, None) => Ok(*key),
            (Self::Export(_), None) => {
                Err(usage("audit.key", "an export verifies against its owner's public key")
                    .hint("give it with --key; `ward audit verify` on the node prints it"))
            }
            (_, Some(text)) => {
                let bytes =
                    hex::decode(text).map_err(|_| usage("audit.key", "the key is not hexadecimal"))?;
                PublicKey::from_slice(&bytes).map_err(|e| usage("audit.key", e.to_string()))
            }
        }
    }

    /// A patient's pseudonym: an identifier never stands on a trail.
    fn patient(&self, named: &str) -> Result<String, Problem> {
        match (Pseudonym::parse(named), self) {
            (Some(pseudonym), _) => Ok(pseudonym.to_string()),
            (None, Self::Party(node)) => Ok(node.consents().pseudonym(named)?.to_string()),
            (None, _) => Err(usage("audit.patient", "a patient is a pseudonym here, 64 hexadecimal digits")
                .hint("`ward audit report --config party.toml --patient ID` at the hospital prints it")),
        }
    }

    /// The tables that were named; at a node, else, every table that names patients.
    fn tables(&self, named: &[String]) -> Vec<String> {
        match self {
            Self::Party(node) if named.is_empty() => {
                let tables = node.config().tables.iter().filter(|table| table.patient.is_some());
                tables.map(|table| table.name.clone()).collect()
            }
            _ => named.to_vec(),
        }
    }

    /// Every event, in order.
    fn events(&self) -> Result<Box<dyn Iterator<Item = Result<Sealed, AuditError>> + '_>, Problem> {
        Ok(match self {
            Self::Party(node) => Box::new(audit_chain(&**node.store())),
            Self::Engine { store, .. } => Box::new(audit_chain(&**store)),
            Self::Export(path) => {
                let file = std::fs::File::open(path).map_err(|e| {
                    Problem::new(ProblemKind::NotFound, "audit.file", format!("{}: {e}", path.display()))
                })?;
                Box::new(read_lines(BufReader::new(file)))
            }
        })
    }

    /// The events that a filter lets through, by the store's indexes where there is a store.
    fn search(&self, filter: &Filter) -> Result<Vec<Sealed>, Problem> {
        if matches!(self, Self::Export(_)) {
            let all = self.events()?.filter(|sealed| sealed.as_ref().map_or(true, |s| filter.matches(s)));
            return all.collect::<Result<_, _>>().map_err(|e| unreadable(&e));
        }
        let (mut found, mut after_seq) = (Vec::new(), 0);
        loop {
            let page = match self {
                Self::Party(node) => node.store().audit_search(filter, after_seq, PAGE_ROWS_MAX)?,
                Self::Engine { store, .. } => store.audit_search(filter, after_seq, PAGE_ROWS_MAX)?,
                Self::Export(_) => Vec::new(),
            };
            let Some(last) = page.last() else { return Ok(found) };
            after_seq = last.seq;
            found.extend(page);
        }
    }

    fn redact(&self, before_ms: u64, event: &Event) -> Result<u64, Problem> {
        Ok(match self {
            Self::Party(node) => node.store().audit_redact(before_ms, event)?,
            Self::Engine { store, .. } => store.audit_redact(before_ms, event)?,
            Self::Export(_) => {
                return Err(usage("audit.export", "an export is a copy: redact the chain it was made of"));
            }
        })
    }

    fn note(&self, event: &Event) -> Result<(), Problem> {
        match self {
            Self::Party(node) => node.store().audit(event).map(|_| ())?,
            Self::Engine { store, .. } => store.audit(event).map(|_| ())?,
            Self::Export(_) => {}
        }
        Ok(())
    }
}

fn usage(code: &'static str, message: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::Validation, code, message.into())
}

fn unreadable(error: &AuditError) -> Problem {
    Problem::new(ProblemKind::Compliance, "audit.unreadable", error.to_string())
        .hint("`ward audit verify` says where the chain breaks")
}

fn day(text: &str) -> Result<u64, Problem> {
    let date: Option<Date> = text.parse().ok();
    date.and_then(Date::unix_ms)
        .ok_or_else(|| usage("audit.date", format!("{text:?} is no date")).hint("write 2026-11-22"))
}

fn period(since: Option<&str>, until: Option<&str>) -> Result<(u64, Option<u64>), Problem> {
    let last = |text| day(text).map(|start| start.saturating_add(DAY_MS - 1));
    Ok((since.map(day).transpose()?.unwrap_or(0), until.map(last).transpose()?))
}

fn filter_of(search: &Search, opened: &Opened) -> Result<Filter, Problem> {
    let (since_ms, until_ms) = period(search.since.as_deref(), search.until.as_deref())?;
    Ok(Filter {
        actor: search.actor.clone(),
        recipient: search.recipient.clone(),
        patient: search.patient.as_deref().map(|named| opened.patient(named)).transpose()?,
        purpose: search.purpose.clone(),
        trace: search.trace.clone(),
        study: search.study.clone(),
        action: search.action.clone(),
        subject: search.subject.clone(),
        outcome: search.outcome.map(|ended| match ended {
            Ended::Success => Outcome::Success,
            Ended::Refused => Outcome::Refused,
            Ended::Failure => Outcome::Failure,
        }),
        since_ms,
        until_ms,
        is_urgent: search.urgent,
    })
}

/// Reading the trail is itself on the trail.
fn read_event(action: &str, subject: &str) -> Event {
    let person = std::env::var("USER").ok().filter(|name| !name.is_empty());
    Event::new(person.as_deref().unwrap_or("console"), "operator", action, subject)
}

/// Runs a command.
///
/// # Errors
/// A chain that cannot be opened or read; a date, key or file that is none.
pub fn run(command: &Args, terminal: &Terminal) -> Result<Exit, Problem> {
    match command {
        Args::Verify { chain, key, checkpoint, authority } => {
            let against =
                heads::Against { checkpoint: checkpoint.as_deref(), authority: authority.as_deref() };
            verify(chain, key.as_deref(), against, terminal)
        }
        Args::Checkpoint { chain, of } => {
            let checkpoint = heads::newest(&Opened::open(chain)?, of.as_deref())?;
            written(terminal.json_line(&checkpoint))
        }
        Args::Search { chain, search, limit } => {
            let opened = Opened::open(chain)?;
            let mut found = opened.search(&filter_of(search, &opened)?)?;
            opened.note(&read_event("audit.search", "audit:chain"))?;
            let all = found.len();
            found.drain(..all.saturating_sub(*limit));
            if all > found.len() {
                terminal.say(&format!("the newest {} of {all} events; --limit shows more", found.len()));
            }
            written(terminal.show(&found, |found, style| text::events(found, style)))
        }
        Args::Export { chain, search, format } => export(chain, search, *format, terminal),
        Args::Report { chain, patient, table } => report(chain, patient, table, terminal),
        Args::Compliance { chain, rules, since, until, domestic } => {
            let (since_ms, until_ms) = period(since.as_deref(), until.as_deref())?;
            let opened = Opened::open(chain)?;
            let found = opened.search(&Filter { since_ms, until_ms, ..Filter::default() })?;
            opened.note(&read_event("audit.report", &format!("compliance:{rules:?}").to_lowercase()))?;
            let sections = compliance(*rules, &found, domestic);
            written(terminal.show(&sections, |sections, style| text::sections(sections, style)))
        }
        Args::Redact { chain, before } => redact(chain, before, terminal),
    }
}

fn verify(
    chain: &Chain,
    key: Option<&str>,
    against: heads::Against<'_>,
    terminal: &Terminal,
) -> Result<Exit, Problem> {
    let opened = Opened::open(chain)?;
    let key = opened.key(key)?;
    let logged = heads::logged(&opened, against)?;
    let mut hashes = heads::Hashes::of(&logged);
    let events = opened.events()?.inspect(|sealed| hashes.see(sealed));
    let verified = verify_chain(events, &key).map_err(|e| {
        Problem::new(ProblemKind::Compliance, "receipt.not_verified", e.to_string())
            .hint("everything before that event holds; compare it with an earlier export")
    })?;
    let positions = hashes.check(&logged, &key, verified.count)?;
    let result = text::Chain {
        name: opened.name(),
        key: hex::encode(key.as_bytes()),
        events: verified.count,
        head: verified.head,
        logged: positions,
    };
    written(terminal.show(&result, text::chain))
}

fn export(chain: &Chain, search: &Search, format: Format, terminal: &Terminal) -> Result<Exit, Problem> {
    let opened = Opened::open(chain)?;
    let filter = filter_of(search, &opened)?;
    opened.note(&read_event("audit.export", "audit:chain"))?;
    let owner = opened.name();
    let mut count = 0u64;
    for sealed in opened.events()? {
        let sealed = sealed.map_err(|e| unreadable(&e))?;
        if !filter.matches(&sealed) {
            continue;
        }
        count += 1;
        match format {
            Format::Jsonl => written(terminal.json_line(&sealed))?,
            Format::Fhir => written(terminal.json_line(&fhir::audit_event(&owner, &sealed)))?,
        };
    }
    terminal.say(&format!("{count} events of {owner}"));
    Ok(Exit::Ok)
}

fn report(chain: &Chain, patient: &str, tables: &[String], terminal: &Terminal) -> Result<Exit, Problem> {
    let opened = Opened::open(chain)?;
    let (patient, tables) = (&opened.patient(patient)?, opened.tables(tables));
    let events: Result<Vec<Sealed>, AuditError> = opened.events()?.collect();
    let is_in = |cohort: &str| {
        let table = cohort.split('@').next().unwrap_or(cohort);
        tables.iter().any(|name| name == table)
    };
    let report = access_report(patient, events.map_err(|e| unreadable(&e))?, is_in);
    let about = crate::audit::Context { patient: patient.to_owned(), ..Default::default() };
    opened.note(&read_event("audit.report", "access:patient").within(about))?;
    written(terminal.show(&report, text::accesses))
}

fn redact(chain: &Chain, before: &str, terminal: &Terminal) -> Result<Exit, Problem> {
    let before_ms = day(before)?;
    if before_ms > now_ms() {
        return Err(usage("audit.date", format!("{before} is in the future")));
    }
    let opened = Opened::open(chain)?;
    let event = read_event("audit.redact", "audit:chain");
    let (mut all, bar) = (0, terminal.is_live());
    loop {
        let count = opened.redact(before_ms, &event)?;
        all += count;
        if count == 0 {
            break;
        }
        if bar {
            terminal.say(&format!("{all} events redacted"));
        }
    }
    let key = opened.key(None)?;
    verify_chain(opened.events()?, &key).map_err(|e| unreadable(&e))?;
    terminal.say(&format!("{all} events before {before} redacted; the chain verifies"));
    Ok(Exit::Ok)
}
