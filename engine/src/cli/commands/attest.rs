//! `ward attest ...`: ask, verify, count. Everything offline, but `submit` and `result` (`registration.rs`).

use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, Subcommand};
use serde_json::json;
use ward_circuits::groth16::eip2537;

use super::engine::{failed, passed, report};
use super::registry::PublishedArgs;
use crate::attestation::file::{ATTESTATION_BYTES_MAX, Attestation};
use crate::attestation::keys::{self, DEVELOPMENT_WARNING, VerifierKey};
use crate::attestation::nullifiers::FileNullifiers;
use crate::attestation::request::{REQUEST_BYTES_MAX, Request};
use crate::attestation::verify::{
    EVALUATED_DAYS, Expected, REVOCATIONS_DAYS, Rules, VerifiedAttestation, Verifier, count_all,
};
use crate::attestation::{AttestationError, qr, read_file, system_rng, write_public};
use crate::cli::args::Global;
use crate::cli::exit::Exit;
use crate::cli::output::report::{CheckLine, CheckStatus};
use crate::cli::output::steps::Steps;
use crate::cli::output::terminal::Terminal;
use crate::cli::written;
use crate::clock::{now_ms, utc};
use crate::encoding::Digest;
use crate::identity::PublicKey;
use crate::problem::{Problem, ProblemKind};
use crate::setup::statements::find;

/// Most attestations of a batch.
const BATCH_MAX: usize = 100_000;
const DAY_MS: u64 = 86_400_000;

/// `ward attest`.
#[derive(Debug, Subcommand)]
pub enum Args {
    /// Ask for an attestation: writes a request for the prover to answer.
    Request {
        /// The criteria; `@FILE` reads them from a file, `-` from stdin.
        criteria: String,
        /// The study, unique in the consortium: a patient counts once in it.
        #[arg(long)]
        study: String,
        /// Your name, for which alone the answer is of use (https://sponsor.example).
        #[arg(long)]
        audience: String,
        /// Days until it expires.
        #[arg(long, default_value_t = 14)]
        days: u64,
        /// The chain on which the answer will be used; 0 for none.
        #[arg(long, default_value_t = 0)]
        chain_id: u64,
        /// Where the request goes.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Collect the documents of the issuers that you accept into one file, or take them from the consortium's log.
    Registry(super::registry::Args),
    /// Verify an attestation: a file, or stdin (`-`); JSON, the SVG of its code, or the text that a scanner reads from the code.
    Verify {
        /// The attestation.
        attestation: PathBuf,
        /// By what.
        #[command(flatten)]
        by: VerifierArgs,
    },
    /// Verify many attestations at once.
    Batch {
        /// The attestations; a folder stands for the .json files in it.
        #[arg(required = true, value_name = "FILE")]
        attestations: Vec<PathBuf>,
        /// By what.
        #[command(flatten)]
        by: VerifierArgs,
    },
    /// Verify a presentation: attributes that a holder shows to you (`ward wallet present`).
    Presentation(super::presentation::Args),
    /// Have the engine verify attestations, count each patient of a study once, and log them.
    Submit(super::registration::Submit),
    /// Bring what became of a submission, and put the log's proofs into the files.
    Result(super::registration::ResultOf),
    /// Take over the key that a ceremony made (`ward setup`), by its id.
    Key {
        /// The verifying key's file.
        #[arg(long, value_name = "FILE")]
        verifying: PathBuf,
        /// The proving key's file; needed to prove, not to verify.
        #[arg(long, value_name = "FILE")]
        proving: Option<PathBuf>,
        /// The key's id, from the ceremony's verified record: 64 hexadecimal characters.
        #[arg(long, value_name = "HEX")]
        id: String,
        /// The statement that the key is for, as `ward setup` calls it.
        #[arg(long, value_name = "NAME", default_value = "eligibility-1")]
        statement: String,
        /// Folder for the key.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Print the verifying key as the registry contract takes it at deployment, in hexadecimal.
    ContractKey {
        /// Folder with the key.
        #[arg(long, value_name = "DIR")]
        key: PathBuf,
        /// Allow a key that one party made alone.
        #[arg(long)]
        dev_key: bool,
    },
    /// Make a development key: one party alone makes it, and can forge proofs.
    DevKey {
        /// The statement that the key is for, as `ward setup` calls it.
        #[arg(long, value_name = "NAME", default_value = "eligibility-1")]
        statement: String,
        /// Folder for the key.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
}

/// By what an attestation is verified.
#[derive(Debug, ClapArgs)]
pub struct VerifierArgs {
    /// Folder with the circuit's key.
    #[arg(long, value_name = "DIR")]
    pub key: PathBuf,
    /// The issuers that you accept, and their revocations.
    #[arg(long, value_name = "FILE")]
    pub registry: PathBuf,
    /// The request that it has to answer.
    #[arg(long, value_name = "FILE", conflicts_with = "audience", required_unless_present = "audience")]
    pub request: Option<PathBuf>,
    /// Accept an answer to any request in this name.
    #[arg(long, value_name = "NAME")]
    pub audience: Option<String>,
    /// The chain on which it is used, with --audience.
    #[arg(long, default_value_t = 0)]
    pub chain_id: u64,
    /// Whether the registry has to be what the issuers published last.
    #[command(flatten)]
    pub published: PublishedArgs,
    /// Count the patient in this file, once in a study.
    #[arg(long, value_name = "FILE")]
    pub nullifiers: Option<PathBuf>,
    /// Most days since the criteria were evaluated.
    #[arg(long, default_value_t = EVALUATED_DAYS, value_name = "DAYS")]
    pub evaluated_max: u32,
    /// Most days since the issuers published their revocations.
    #[arg(long, default_value_t = REVOCATIONS_DAYS, value_name = "DAYS")]
    pub revocations_max: u32,
    /// Require that this consortium's log has it.
    #[arg(long, requires = "log_key", value_name = "CONSORTIUM")]
    pub log: Option<String>,
    /// Key of the log: 64 hexadecimal characters.
    #[arg(long, requires = "log", value_name = "HEX")]
    pub log_key: Option<String>,
    /// Allow a key that one party made alone.
    #[arg(long)]
    pub dev_key: bool,
}

/// Runs a command.
///
/// # Errors
/// As the command says.
pub async fn run(command: &Args, global: &Global, terminal: &Terminal) -> Result<Exit, Problem> {
    match command {
        Args::Request { criteria, study, audience, days, chain_id, out } => {
            let criteria = super::criteria::parse(&super::criteria::criteria_text(criteria)?, terminal)?;
            let expires = now_ms().saturating_add(days.saturating_mul(DAY_MS));
            let request = Request::new(&criteria.to_string(), (study, audience), *chain_id, expires)?;
            let json = serde_json::to_vec_pretty(&request).map_err(|e| Problem::internal(&e))?;
            write_public(out, &json)?;
            if terminal.is_json() {
                return written(terminal.json(&request));
            }
            terminal.say(&format!("criteria: {}", request.criteria));
            terminal.say(&format!("request: {}, until {}", out.display(), utc(expires)));
            Ok(Exit::Ok)
        }
        Args::Registry(args) => super::registry::run(args, global, terminal).await,
        Args::Submit(args) => super::registration::submit(args, global, terminal).await,
        Args::Result(args) => super::registration::result(args, global, terminal).await,
        Args::Verify { attestation, by } => verify(attestation, by, global, terminal).await,
        Args::Batch { attestations, by } => batch(attestations, by, global, terminal).await,
        Args::Presentation(args) => super::presentation::run(args, terminal),
        Args::Key { verifying, proving, id, statement, out } => {
            let folder = KeyFolder { statement: find(statement)?.name, out };
            import(verifying, proving.as_deref(), id, &folder, terminal)
        }
        Args::ContractKey { key, dev_key } => {
            let points = eip2537::key_points(&VerifierKey::load(key, *dev_key)?.key);
            let inputs = points.inputs.concat();
            let bytes = [&points.alpha[..], &points.beta, &points.gamma, &points.delta, &inputs].concat();
            let text = hex::encode(bytes);
            let mut told = json!({ "contract_key": text });
            #[cfg(feature = "evm")]
            {
                let hash = crate::ledger::evm::key_hash(&points);
                told["key_hash"] = json!(hash.to_string());
                terminal.say(&format!("keyHash() of a registry with this key: {hash}"));
            }
            if terminal.is_json() {
                return written(terminal.json(&told));
            }
            written(terminal.data(&text))
        }
        Args::DevKey { statement, out } => {
            let statement = find(statement)?.name;
            let steps = Steps::start(terminal);
            steps.step("making a key alone");
            let key = keys::for_statement(statement)?.create_development(out)?;
            drop(steps);
            terminal.warn(DEVELOPMENT_WARNING);
            if terminal.is_json() {
                return written(terminal.json(&key));
            }
            terminal.say(&format!("key {} in {}", key.id, out.display()));
            Ok(Exit::Ok)
        }
    }
}

/// Where a key of a statement goes.
struct KeyFolder<'a> {
    statement: &'static str,
    out: &'a Path,
}

fn import(
    verifying: &Path,
    proving: Option<&Path>,
    id: &str,
    folder: &KeyFolder<'_>,
    terminal: &Terminal,
) -> Result<Exit, Problem> {
    let wrong = || invalid("attest.key_id", "the id is not 64 lower-case hexadecimal characters");
    let id = Digest::parse(id).ok_or_else(wrong)?;
    let verifying = read_file(verifying, keys::VERIFYING_KEY_BYTES_MAX)?;
    let proving = proving.map(|path| read_file(path, keys::PROVING_KEY_BYTES_MAX)).transpose()?;
    let steps = Steps::start(terminal);
    steps.step("checking every point of the key");
    let keys = keys::for_statement(folder.statement)?;
    let key = keys.import(folder.out, &verifying, proving.as_deref(), id)?;
    drop(steps);
    if terminal.is_json() {
        return written(terminal.json(&key));
    }
    terminal.say(&format!("key {} in {}", key.id, folder.out.display()));
    Ok(Exit::Ok)
}

fn invalid(code: &str, message: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::Validation, code, message)
}

/// What stands on stdin, of at most so many bytes.
///
/// # Errors
/// When it is longer, or cannot be read.
pub fn stdin(bytes_max: usize) -> Result<Vec<u8>, Problem> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let limited = std::io::stdin().take(bytes_max as u64 + 1).read_to_end(&mut bytes);
    limited.map_err(|e| invalid("attest.stdin", e.to_string()))?;
    if bytes.len() > bytes_max {
        return Err(invalid("attest.stdin", format!("more than {bytes_max} bytes on stdin")));
    }
    Ok(bytes)
}

impl VerifierArgs {
    /// The verifier, and what was checked of its registry.
    async fn verifier(&self, global: &Global) -> Result<(Verifier, Vec<CheckLine>), Problem> {
        let expected = match (&self.request, &self.audience) {
            (Some(path), _) => {
                Expected::Request(Box::new(Request::from_json(&read_file(path, REQUEST_BYTES_MAX as u64)?)?))
            }
            (None, Some(audience)) => {
                Expected::Audience { audience: audience.clone(), chain_id: self.chain_id }
            }
            (None, None) => return Err(invalid("attest.expected", "say --request or --audience")),
        };
        let log = match (&self.log, &self.log_key) {
            (Some(consortium), Some(key)) => {
                let bytes = hex::decode(key).map_err(|e| invalid("attest.log_key", e.to_string()))?;
                let key =
                    PublicKey::from_slice(&bytes).map_err(|e| invalid("attest.log_key", e.to_string()))?;
                Some((consortium.clone(), key))
            }
            _ => None,
        };
        let (file, registry) = super::registry::open(&self.registry)?;
        let lines = self.published.check((&file, &registry), global).await?;
        let rules = Rules {
            expected,
            evaluated_days_max: self.evaluated_max,
            revocations_days_max: self.revocations_max,
            log,
        };
        let key = VerifierKey::load(&self.key, self.dev_key)?;
        Ok((Verifier { key, registry, rules }, lines))
    }

    fn count(&self, answers: &mut [Result<VerifiedAttestation, AttestationError>]) -> Result<(), Problem> {
        let Some(path) = &self.nullifiers else { return Ok(()) };
        Ok(count_all(answers, &mut FileNullifiers::at(path), now_ms())?)
    }
}

/// The attestation in a file or on stdin: as JSON, as the text of a code, or as a code that `ward prove --qr` drew.
///
/// # Errors
/// What makes it none.
pub fn read_attestation(path: &Path) -> Result<Attestation, Problem> {
    let bytes = if path == Path::new("-") {
        stdin(ATTESTATION_BYTES_MAX)?
    } else {
        read_file(path, ATTESTATION_BYTES_MAX as u64)?
    };
    if let Some(text) = qr::text_in(&bytes)? {
        return Ok(qr::from_text(text)?);
    }
    Ok(Attestation::from_json(&bytes)?)
}

async fn verify(
    path: &Path,
    by: &VerifierArgs,
    global: &Global,
    terminal: &Terminal,
) -> Result<Exit, Problem> {
    let (verifier, published) = by.verifier(global).await?;
    let subject = format!("attestation {}", path.display());
    let attestation = read_attestation(path)?;
    let mut answers = [verifier.verify(&attestation, now_ms())];
    by.count(&mut answers)?;
    let [answer] = answers;
    let mut checks = published;
    checks.extend(match answer {
        Ok(verified) => lines(&verified, by, verifier.key.is_development),
        Err(error) => vec![refused("attestation", &error)],
    });
    report(terminal, &subject, checks)
}

fn refused(name: &str, error: &AttestationError) -> CheckLine {
    let detail = format!("{error} [{}]", error.code());
    CheckLine { hint: error.hint(), ..failed(name, detail) }
}

fn lines(verified: &VerifiedAttestation, by: &VerifierArgs, is_development: bool) -> Vec<CheckLine> {
    let request = verified.request();
    let until = utc(request.expires_unix_ms);
    let mut lines = vec![
        passed("criteria", request.criteria.clone()),
        passed("study", request.study.clone()),
        passed("audience", format!("{}, until {until}", request.audience)),
        passed("evaluated", verified.evaluated().to_string()),
        passed("issuers", "of the registry; nothing was revoked since".to_owned()),
        passed("proof", "it holds".to_owned()),
    ];
    lines.push(match &by.nullifiers {
        Some(path) => passed("counted", format!("once, in {}", path.display())),
        None => warning("counted", "not counted: say --nullifiers to count a patient once".to_owned()),
    });
    if verified.is_logged() {
        lines.push(passed("log", "it is in the log".to_owned()));
    }
    if is_development {
        lines.push(warning("key", DEVELOPMENT_WARNING.to_owned()));
    }
    lines
}

fn warning(name: &str, detail: String) -> CheckLine {
    CheckLine { status: CheckStatus::Warning, ..passed(name, detail) }
}

async fn batch(
    paths: &[PathBuf],
    by: &VerifierArgs,
    global: &Global,
    terminal: &Terminal,
) -> Result<Exit, Problem> {
    let (verifier, published) = by.verifier(global).await?;
    let files = files(paths)?;
    let steps = Steps::start(terminal);
    steps.step(&format!("reading {} attestations", files.len()));
    let read: Vec<Result<Attestation, Problem>> = files.iter().map(|path| read_attestation(path)).collect();
    let attestations: Vec<Attestation> = read.iter().filter_map(|r| r.as_ref().ok().cloned()).collect();
    steps.step(&format!("verifying {} attestations", attestations.len()));
    let mut answers = verifier.verify_batch(&attestations, now_ms(), &mut system_rng()?);
    by.count(&mut answers)?;
    drop(steps);
    let mut answers = answers.into_iter();
    let mut checks = published;
    for (path, read) in files.iter().zip(&read) {
        let name = path.display().to_string();
        checks.push(match read {
            Err(problem) => failed(&name, format!("{} [{}]", problem.message, problem.code)),
            Ok(_) => match answers.next() {
                Some(Ok(verified)) => passed(&name, format!("patient {}", verified.nullifier())),
                Some(Err(error)) => refused(&name, &error),
                None => failed(&name, "not verified".to_owned()),
            },
        });
    }
    if verifier.key.is_development {
        checks.push(warning("key", DEVELOPMENT_WARNING.to_owned()));
    }
    report(terminal, &format!("{} attestations", files.len()), checks)
}

/// The files that are named, and those of the folders that are.
///
/// # Errors
/// When a folder cannot be read, or there are too many.
pub fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Problem> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let entries = std::fs::read_dir(path).map_err(|e| AttestationError::File {
            path: path.display().to_string(),
            reason: e.to_string(),
        })?;
        let mut found: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        found.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
        found.sort();
        files.extend(found);
    }
    if files.len() > BATCH_MAX {
        return Err(invalid(
            "attest.batch",
            format!("{} attestations, and {BATCH_MAX} at once", files.len()),
        ));
    }
    Ok(files)
}
