//! `ward issuer ...`: a hospital issues credentials from its records, and revokes them.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;
use ward_circuits::criteria::{Date, Schema};
use zeroize::Zeroizing;

use super::research::proxy;
use crate::attestation::issuer::{Issuer, NewIssuer, VALIDITY_DAYS};
use crate::attestation::mapping::{MAPPING_BYTES_MAX, Mapping};
use crate::attestation::records::{self, RECORDS_BYTES_MAX};
use crate::attestation::{AttestationError, read_file, write_private, write_public};
use crate::cli::args::Global;
use crate::cli::exit::Exit;
use crate::cli::output::report::facts;
use crate::cli::output::terminal::Terminal;
use crate::cli::session::{Session, home};
use crate::cli::written;
use crate::clock::{now_ms, utc};
use crate::encoding::canonical_json;
use crate::identity::{Did, SealKey};
use crate::problem::{Problem, ProblemKind};

/// `ward issuer`.
#[derive(Debug, Subcommand)]
pub enum Args {
    /// Make an issuer: its identity and its key, sealed in a folder.
    Init {
        /// Folder for everything the issuer keeps.
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// Its name in the consortium (a-z, 0-9, hyphens).
        #[arg(long)]
        name: String,
        /// Address at which its status list will be published.
        #[arg(long, default_value = "", value_name = "URL")]
        status_uri: String,
        /// File with the key by which the consortium's issuers name patients [default: a new key].
        #[arg(long, value_name = "FILE")]
        patient_key: Option<PathBuf>,
    },
    /// Write the key by which issuers name patients to a file, for the consortium's other issuers.
    PatientKey {
        /// The issuer's folder.
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// The file; hand it over in private.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Issue a credential from a patient's record.
    Issue {
        /// The issuer's folder.
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// How columns become attributes.
        #[arg(long, value_name = "FILE")]
        mapping: PathBuf,
        /// The records, CSV.
        #[arg(long, value_name = "FILE")]
        records: PathBuf,
        /// The patient's number in the records.
        #[arg(long)]
        patient: String,
        /// The holder's request (`ward wallet request`).
        #[arg(long, value_name = "FILE")]
        holder: PathBuf,
        /// Days for which it is valid.
        #[arg(long, default_value_t = VALIDITY_DAYS)]
        days: u32,
        /// Where the credential goes.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Revoke a credential, or all of a patient; takes effect with the next `publish`.
    Revoke {
        /// The issuer's folder.
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// The identifier under which the patient's credentials were issued.
        #[arg(long, conflicts_with = "place", required_unless_present = "place")]
        patient: Option<String>,
        /// The place of one credential.
        #[arg(long)]
        place: Option<u32>,
    },
    /// Erase a patient: revoke the credentials, destroy the key of what is kept about them; then `publish`.
    Erase {
        /// The issuer's folder.
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// The identifier under which the patient's credentials were issued.
        #[arg(long)]
        patient: String,
    },
    /// Write what the issuer publishes: who it is, what it revoked, its status list.
    Publish {
        /// The issuer's folder.
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// Folder for the documents.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Also put it into the consortium's log: needs somebody who logged in with the role of an issuer.
        #[arg(long)]
        log: bool,
    },
    /// Print the issuer's identifier, or write the document of a did:web that names its key.
    Did {
        /// The issuer's folder.
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// The host under which the document will be published (north.example).
        #[arg(long, value_name = "HOST", requires = "out")]
        web: Option<String>,
        /// Where the document goes.
        #[arg(long, value_name = "FILE", requires = "web")]
        out: Option<PathBuf>,
    },
    /// List the credentials that were issued, without names.
    List {
        /// The issuer's folder.
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
    },
}

/// Runs a command.
///
/// # Errors
/// As the command says.
pub async fn run(command: &Args, global: &Global, terminal: &Terminal) -> Result<Exit, Problem> {
    match command {
        Args::Init { dir, name, status_uri, patient_key } => {
            init(dir, name, status_uri, patient_key.as_deref(), terminal)
        }
        Args::PatientKey { dir, out } => {
            let key = Zeroizing::new(format!("{}\n", hex::encode(**load(dir)?.patient_key())));
            write_private(out, key.as_bytes())?;
            terminal.say(&format!("the key that names patients: {}", out.display()));
            terminal.warn("who has it and a patient's identifier recognises the patient in every study");
            Ok(Exit::Ok)
        }
        Args::Issue { dir, mapping, records, patient, holder, days, out } => {
            let wanted = Wanted { mapping, records, patient, holder, days: *days, out };
            issue(&load(dir)?, &wanted, terminal)
        }
        Args::Revoke { dir, patient, place } => {
            let issuer = load(dir)?;
            let revoked = match (patient, place) {
                (Some(patient), _) => issuer.revoke_patient(patient, now_ms())?,
                (None, Some(place)) => issuer.revoke_place(*place, now_ms())?,
                (None, None) => return Err(invalid("issuer.revoke", "name a patient or a place")),
            };
            let text = format!("revoked: {} credential(s)", revoked.len());
            tell_revoked(&revoked, &text, terminal)
        }
        Args::Erase { dir, patient } => {
            let places = load(dir)?.erase_patient(patient, now_ms())?;
            let text = format!("erased: what was kept of {} credential(s); they are revoked", places.len());
            tell_revoked(&places, &text, terminal)
        }
        Args::Publish { dir, out, log } => {
            let issuer = load(dir)?;
            // Before the publication gets its number.
            let session = match log {
                true => Some(Session::open(&home(global.home.as_deref())?, proxy(global)?).await?),
                false => None,
            };
            publish(&issuer, out, session.as_ref(), terminal).await
        }
        Args::Did { dir, web, out } => did(&load(dir)?, web.as_deref(), out.as_deref(), terminal),
        Args::List { dir } => list(&load(dir)?, terminal),
    }
}

fn invalid(code: &str, message: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::Validation, code, message)
}

fn seal(dir: &Path) -> Result<SealKey, Problem> {
    Ok(SealKey::load_or_create(&dir.join("seal.key")).map_err(AttestationError::from)?)
}

fn load(dir: &Path) -> Result<Issuer, Problem> {
    if !dir.join("issuer.json").exists() {
        let message = format!("{} is no issuer's folder", dir.display());
        return Err(Problem::new(ProblemKind::NotFound, "issuer.missing", message)
            .hint("make one with `ward issuer init`"));
    }
    Ok(Issuer::load(dir, &seal(dir)?)?)
}

fn init(
    dir: &Path,
    name: &str,
    status_uri: &str,
    patient_key: Option<&Path>,
    terminal: &Terminal,
) -> Result<Exit, Problem> {
    let read = |path: &Path| {
        let bytes = Zeroizing::new(read_file(path, 1024)?);
        let mut key = Zeroizing::new([0; 32]);
        let text = String::from_utf8_lossy(&bytes);
        hex::decode_to_slice(text.trim(), &mut *key).map_err(|_| {
            invalid("issuer.patient_key", format!("{}: not 64 hexadecimal characters", path.display()))
        })?;
        Ok::<_, Problem>(key)
    };
    let patients = patient_key.map(read).transpose()?;
    let is_shared = patients.is_some();
    let issuer = Issuer::create(dir, &seal(dir)?, &NewIssuer { name, status_uri, patients }, now_ms())?;
    terminal.say(&format!("issuer {name} is ready in {}", dir.display()));
    terminal.say(&format!("fingerprint of its identity: {}", issuer.identity().fingerprint()));
    if !is_shared {
        terminal.hint(
            "a patient counts once in a study only if all issuers name patients by the same key: `ward issuer patient-key`",
        );
    }
    Ok(Exit::Ok)
}

struct Wanted<'a> {
    mapping: &'a Path,
    records: &'a Path,
    patient: &'a str,
    holder: &'a Path,
    days: u32,
    out: &'a Path,
}

fn issue(issuer: &Issuer, wanted: &Wanted<'_>, terminal: &Terminal) -> Result<Exit, Problem> {
    let text = String::from_utf8(read_file(wanted.mapping, MAPPING_BYTES_MAX as u64)?)
        .map_err(|e| invalid("issuer.mapping", format!("{}: {e}", wanted.mapping.display())))?;
    let mapping = Mapping::parse(&text, &Schema::v1()).map_err(AttestationError::from)?;
    let bytes = Zeroizing::new(read_file(wanted.records, RECORDS_BYTES_MAX as u64)?);
    let (delimiter, column) = (mapping.delimiter(), mapping.patient_column());
    let record = records::find(&bytes, delimiter, column, wanted.patient).map_err(AttestationError::from)?;
    let identity = record.value(mapping.identity_column()).map_err(AttestationError::from)?;
    if identity.is_empty() {
        return Err(invalid("issuer.identity", format!("row {} names no patient", record.row())));
    }
    let holder = serde_json::from_slice(&read_file(wanted.holder, 1 << 14)?)
        .map_err(|e| invalid("issuer.holder", format!("{}: {e}", wanted.holder.display())))?;
    let now = now_ms();
    let today = Date::from_unix_ms(now).ok_or_else(|| invalid("issuer.clock", "the clock is after 2199"))?;
    let mapped = mapping.apply(&record, today).map_err(AttestationError::from)?;
    let issued = issuer.issue(mapped, identity, holder, (today, wanted.days), now)?;
    write_private(wanted.out, issued.envelope.as_bytes())?;
    for note in &issued.notes {
        terminal.warn(note);
    }
    let (first, last) = issued.validity;
    if terminal.is_json() {
        let data = json!({
            "place": issued.index, "not_before": first.to_string(), "not_after": last.to_string(),
            "file": wanted.out, "notes": issued.notes,
        });
        return written(terminal.json(&data));
    }
    terminal.say(&format!(
        "credential in {}: place {}, valid from {first} to {last}",
        wanted.out.display(),
        issued.index
    ));
    Ok(Exit::Ok)
}

async fn publish(
    issuer: &Issuer,
    out: &Path,
    session: Option<&Session>,
    terminal: &Terminal,
) -> Result<Exit, Problem> {
    let published = issuer.publish(out, now_ms())?;
    let mut logged = None;
    if let Some(session) = session {
        let publication = issuer.publication(&session.place.consortium, &published)?;
        let verified = session.publish_issuer(&publication).await?;
        let path = out.join(format!("{}.publication.json", issuer.name()));
        write_public(&path, &canonical_json(&publication))?;
        logged = Some((verified.statement().clone(), path));
    }
    if terminal.is_json() {
        let data = json!({
            "sequence": published.sequence, "revoked": published.revoked, "root": published.root,
            "files": published.files, "log": logged.as_ref().map(|(statement, _)| statement),
        });
        return written(terminal.json(&data));
    }
    for file in &published.files {
        terminal.say(&format!("published: {}", file.display()));
    }
    let (sequence, revoked, root) = (published.sequence, published.revoked, published.root);
    terminal.say(&format!("publication {sequence}: {revoked} revoked, root {root}"));
    if let Some((statement, path)) = logged {
        terminal.say(&format!("published: {}", path.display()));
        let (consortium, size) = (&statement.consortium, statement.size);
        terminal.say(&format!("it is in the log of {consortium}, a tree of {size} now; its proof holds"));
    }
    Ok(Exit::Ok)
}

fn tell_revoked(places: &[u32], text: &str, terminal: &Terminal) -> Result<Exit, Problem> {
    if terminal.is_json() {
        return written(terminal.json(&json!({ "revoked": places })));
    }
    terminal.say(text);
    terminal.hint("it takes effect when you publish: `ward issuer publish`");
    Ok(Exit::Ok)
}

fn did(issuer: &Issuer, web: Option<&str>, out: Option<&Path>, terminal: &Terminal) -> Result<Exit, Problem> {
    let key = issuer.identity();
    let (Some(host), Some(out)) = (web, out) else {
        let did = Did::from(key).to_string();
        return match terminal.is_json() {
            true => written(terminal.json(&json!({ "did": did }))),
            false => written(terminal.data(&did)),
        };
    };
    let did = Did::parse(&format!("did:web:{host}")).map_err(AttestationError::from)?;
    let document = serde_json::to_vec_pretty(&did.document(&key)).map_err(|e| Problem::internal(&e))?;
    write_public(out, &document)?;
    let url = if let Did::Web(web) = &did { web.url() } else { String::new() };
    if terminal.is_json() {
        return written(terminal.json(&json!({ "did": did.to_string(), "file": out, "url": url })));
    }
    terminal.say(&format!("{did}: publish {} at {url}", out.display()));
    Ok(Exit::Ok)
}

fn list(issuer: &Issuer, terminal: &Terminal) -> Result<Exit, Problem> {
    let given = issuer.given()?;
    if terminal.is_json() {
        return written(terminal.json(&given));
    }
    let revoked = given.values().filter(|given| given.revoked_unix_ms.is_some()).count();
    let mut text = facts(
        &[
            ("issuer", issuer.name().to_owned()),
            ("identity", issuer.identity().fingerprint()),
            ("identifier", Did::from(issuer.identity()).to_string()),
            ("credentials", given.len().to_string()),
            ("revoked", revoked.to_string()),
        ],
        &terminal.style(),
    );
    for (place, given) in &given {
        let state = given
            .revoked_unix_ms
            .map_or_else(|| format!("until {}", given.not_after), |at| format!("revoked {}", utc(at)));
        let issued = given.patient.map_or_else(|| "erased".to_owned(), |_| utc(given.issued_unix_ms));
        text.push_str(&format!("{place:>8}  {issued}  {state}\n"));
    }
    written(terminal.data(&text))
}
