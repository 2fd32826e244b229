//! `ward attest registry`: the issuers that a verifier accepts, collected by hand or taken from the consortium's log; and
//! whether a registry is what they published last.

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use serde_json::json;

use super::engine::passed;
use super::research::proxy;
use super::verify::authority;
use crate::attestation::documents::{DOCUMENT_BYTES_MAX, IssuerDocument, Registry, RegistryFile, Signed};
use crate::attestation::published::{PUBLISHED_HOURS, VerifiedPublished};
use crate::attestation::{AttestationError, read_file, write_public};
use crate::cli::args::Global;
use crate::cli::exit::Exit;
use crate::cli::output::report::CheckLine;
use crate::cli::output::terminal::Terminal;
use crate::cli::session::{Session, home};
use crate::cli::written;
use crate::clock::{now_ms, utc};
use crate::problem::Problem;

/// `ward attest registry`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Documents: NAME.issuer.json and NAME.revocations.json of each.
    #[arg(required_unless_present = "from_log", conflicts_with = "from_log", value_name = "FILE")]
    documents: Vec<PathBuf>,
    /// Take what the issuers published last from the consortium's log, with its proofs.
    #[arg(long)]
    from_log: bool,
    /// Only this issuer, with --from-log; may be given again [default: all].
    #[arg(long = "issuer", value_name = "NAME", requires = "from_log")]
    issuers: Vec<String>,
    /// Where the registry goes.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Whether a registry has to be what the issuers published last.
#[derive(Debug, ClapArgs)]
pub struct PublishedArgs {
    /// Require that the registry carries the log's statement that its issuers' keys and revocations are the latest.
    #[arg(long)]
    published: bool,
    /// Most hours since the engine stated it, with --published.
    #[arg(long, default_value_t = PUBLISHED_HOURS, value_name = "HOURS", requires = "published")]
    published_max: u32,
    /// Ask the engine now whether they are the latest.
    #[arg(long)]
    latest: bool,
    /// Certificate of the consortium's authority, with --published [default: the one you enrolled under].
    #[arg(long, value_name = "FILE", requires = "published")]
    authority: Option<PathBuf>,
}

/// Reads a registry and verifies its documents.
///
/// # Errors
/// What makes it none.
pub fn open(path: &Path) -> Result<(RegistryFile, Registry), Problem> {
    let file = RegistryFile::from_json(&read_file(path, DOCUMENT_BYTES_MAX as u64)?)?;
    let registry = file.open()?;
    Ok((file, registry))
}

/// Writes a registry.
///
/// # Errors
/// When documents cannot be read or do not hold; the engine's.
pub async fn run(args: &Args, global: &Global, terminal: &Terminal) -> Result<Exit, Problem> {
    let (file, registry, verified) = if args.from_log {
        let session = Session::open(&home(global.home.as_deref())?, proxy(global)?).await?;
        let (file, registry, verified) = session.published_registry(&args.issuers).await?;
        (file, registry, Some(verified))
    } else {
        let file = collect(&args.documents)?;
        let registry = file.open()?;
        (file, registry, None)
    };
    let json = serde_json::to_vec_pretty(&file).map_err(|e| Problem::internal(&e))?;
    write_public(&args.out, &json)?;
    show((&registry, verified.as_ref()), &args.out, terminal)
}

fn collect(documents: &[PathBuf]) -> Result<RegistryFile, Problem> {
    let (mut issuers, mut revocations) = (Vec::new(), Vec::new());
    for path in documents {
        let signed = Signed::from_json(&read_file(path, DOCUMENT_BYTES_MAX as u64)?)?;
        match IssuerDocument::open(&signed) {
            Ok(_) => issuers.push(signed),
            // Whatever is no issuer's document has to be one of revocations: the registry says whether it is.
            Err(_) => revocations.push(signed),
        }
    }
    Ok(RegistryFile::new(issuers, revocations))
}

fn show(
    (registry, published): (&Registry, Option<&VerifiedPublished>),
    out: &Path,
    terminal: &Terminal,
) -> Result<Exit, Problem> {
    let root = hex::encode(ward_circuits::field::to_bytes(&registry.root()));
    if terminal.is_json() {
        let names: Vec<&str> = registry.entries().iter().map(|entry| entry.issuer.name.as_str()).collect();
        let statement = published.map(VerifiedPublished::statement);
        let data = json!({ "root": root, "issuers": names, "file": out, "published": statement });
        return written(terminal.json(&data));
    }
    for entry in registry.entries() {
        let (name, list) = (&entry.issuer.name, &entry.revocations);
        let stated = published.and_then(|p| p.statement().issuers.iter().find(|i| i.name == *name));
        let of = stated.map_or_else(String::new, |stated| format!(" of {}", stated.organisation));
        terminal.say(&format!(
            "{name}{of}: {} revoked, publication {} of {}, {}",
            list.revoked.len(),
            list.sequence,
            utc(list.issued_unix_ms),
            entry.issuer.identity.fingerprint()
        ));
    }
    if let Some(published) = published {
        terminal.say(&published_text(published));
    }
    terminal.say(&format!("registry: {}, root {root}", out.display()));
    terminal.hint("whoever is in it can issue: compare the fingerprints with the issuers themselves");
    Ok(Exit::Ok)
}

fn published_text(published: &VerifiedPublished) -> String {
    let statement = published.statement();
    let (at, size) = (utc(statement.at_unix_ms), statement.size);
    format!(
        "the latest in the log of {}, as its engine stated at {at} (tree of {size})",
        statement.consortium
    )
}

impl PublishedArgs {
    /// Holds a registry against what its issuers published, as far as that was asked for.
    ///
    /// # Errors
    /// `attest.published`, `attest.published_stale`, `attest.unpublished`, `attest.outdated`; the engine's.
    pub async fn check(
        &self,
        (file, registry): (&RegistryFile, &Registry),
        global: &Global,
    ) -> Result<Vec<CheckLine>, Problem> {
        let mut lines = Vec::new();
        if self.published {
            let published = file.published.as_ref().ok_or(AttestationError::PublishedMissing)?;
            let verified = published.verify(&authority(self.authority.as_deref(), global)?)?;
            verified.check_age(self.published_max, now_ms())?;
            verified.check(registry)?;
            lines.push(passed("published", published_text(&verified)));
        }
        if self.latest {
            let session = Session::open(&home(global.home.as_deref())?, proxy(global)?).await?;
            let names: Vec<String> =
                registry.entries().iter().map(|entry| entry.issuer.name.clone()).collect();
            let verified = session.published_issuers(&names).await?;
            verified.check(registry)?;
            lines.push(passed("latest", published_text(&verified)));
        }
        Ok(lines)
    }
}
