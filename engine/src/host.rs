//! The engine as a process: its folder, its start, its end.
//!
//! Folder: `ca/` (the consortium's authority), `engine.json` (name, floor, certificate), `engine.key`, the store's
//! database and `blobs/`. One engine runs on a folder at a time.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Notify, watch};

use crate::clock::now_ms;
use crate::config::{EngineConfig, ProofsConfig};
use crate::grpc::hub::Hub;
use crate::grpc::server;
use crate::identity::authenticate::Authenticator;
use crate::identity::authorize::Authorizer;
use crate::identity::bearer::oidc::Oidc;
use crate::identity::local::{Accounts, Cost, TokenKey};
use crate::identity::{CertificateAuthority, Identity, Member, Role, SealKey, Token};
use crate::job::authorize::Strangers;
use crate::job::{Engine, audit_event, scheduler};
use crate::ledger::EmbeddedLedger;
use crate::member::{is_renewal_due, write_private};
use crate::problem::{Problem, ProblemKind};
use crate::proofs::ContributionVerifier;
use crate::setup::statements::Known;
use crate::store::{Blobs, SqliteStore, Store, TokenRecord};

/// Jobs worked on at once.
const WORKERS: usize = 4;
/// Days that the engine's certificate is valid.
const VALIDITY_DAYS: u32 = 825;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    consortium: String,
    floor: u32,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    rounding: bool,
    /// Compute nodes, in the order of their roles; empty: the first three key holders.
    #[serde(default)]
    compute: Vec<String>,
    hosts: Vec<String>,
    certificate: String,
}

fn bad(path: &Path, error: &dyn std::fmt::Display) -> Problem {
    Problem::new(ProblemKind::Validation, "engine.folder", format!("{}: {error}", path.display()))
}

/// Makes a consortium in an empty folder.
///
/// # Errors
/// When the folder holds one already, or a name or host is malformed.
pub fn init(
    folder: &Path,
    consortium: &str,
    hosts: &[String],
    (floor, rounding): (u32, bool),
) -> Result<(), Problem> {
    let path = folder.join("engine.json");
    if path.exists() {
        return Err(Problem::new(
            ProblemKind::Conflict,
            "engine.exists",
            format!("{} holds a consortium already", folder.display()),
        ));
    }
    if floor == 0 {
        return Err(Problem::new(ProblemKind::Validation, "engine.floor", "the floor is at least 1"));
    }
    let invalid = |e: crate::identity::IdentityError| {
        Problem::new(ProblemKind::Validation, "engine.identity", e.to_string())
    };
    let now_s = now_ms() / 1000;
    let authority = CertificateAuthority::create(consortium, now_s).map_err(invalid)?;
    let identity = Identity::generate().map_err(invalid)?;
    let certificate = authority
        .server_certificate(&identity.public(), "engine", hosts, now_s, VALIDITY_DAYS)
        .map_err(invalid)?;
    let settings = Settings {
        consortium: consortium.to_owned(),
        floor,
        rounding,
        compute: Vec::new(),
        hosts: hosts.to_vec(),
        certificate: hex::encode(&certificate.der),
    };
    authority.save(&folder.join("ca")).map_err(invalid)?;
    write_private(&folder.join("engine.key"), identity.to_pem().map_err(invalid)?.as_bytes())?;
    let text = serde_json::to_string_pretty(&settings).map_err(|e| Problem::internal(&e))?;
    write_private(&path, text.as_bytes())
}

/// What a folder holds, opened.
pub struct EngineFolder {
    settings: Settings,
    identity: Arc<Identity>,
    authority: CertificateAuthority,
    store: Arc<dyn Store>,
    folder: PathBuf,
}

impl EngineFolder {
    /// Opens a folder made by [`init`].
    ///
    /// # Errors
    /// When it holds none, or it is damaged.
    pub fn open(folder: &Path) -> Result<Self, Problem> {
        let path = folder.join("engine.json");
        let text = std::fs::read_to_string(&path).map_err(|e| {
            bad(&path, &e)
                .hint("make a consortium first: `ward engine init --data DIR --consortium NAME --host HOST`")
        })?;
        let settings: Settings = serde_json::from_str(&text).map_err(|e| bad(&path, &e))?;
        let key = folder.join("engine.key");
        let pem = std::fs::read_to_string(&key).map(zeroize::Zeroizing::new).map_err(|e| bad(&key, &e))?;
        let identity = Arc::new(Identity::from_pem(&pem).map_err(|e| bad(&key, &e))?);
        let authority =
            CertificateAuthority::load(&folder.join("ca")).map_err(|e| bad(&folder.join("ca"), &e))?;
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(folder, identity.clone())?);
        Ok(Self { settings, identity, authority, store, folder: folder.to_owned() })
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The accounts kept here. Their secrets are sealed with `seal.key`; `token.key` signs their tokens.
    ///
    /// # Errors
    /// When a key cannot be read or made.
    pub fn accounts(&self) -> Result<Accounts, Problem> {
        let seal =
            SealKey::load_or_create(&self.folder.join("seal.key")).map_err(|e| bad(&self.folder, &e))?;
        let key = TokenKey::load_or_create(&self.folder, &self.settings.consortium)?;
        Ok(Accounts::new(self.store.clone(), seal, key, Cost::default()))
    }

    /// The consortium's authority.
    #[must_use]
    pub fn authority(&self) -> &crate::identity::CaCertificate {
        self.authority.certificate()
    }

    /// The engine's key.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The consortium.
    #[must_use]
    pub fn consortium(&self) -> &str {
        &self.settings.consortium
    }

    /// Makes a one-time enrolment token.
    ///
    /// # Errors
    /// For a malformed name, role or address.
    pub fn token(&self, role: Role, name: &str, url: &str, hours: u64) -> Result<Token, Problem> {
        let expires_ms = now_ms().saturating_add(hours.saturating_mul(3_600_000));
        let ca = self.authority.certificate().clone();
        let token = Token::create(url, role, name, expires_ms, ca)
            .map_err(|e| Problem::new(ProblemKind::Validation, "engine.token", e.to_string()))?;
        let record =
            TokenRecord { hash: token.hash(), role, name: name.to_owned(), created_ms: now_ms(), expires_ms };
        let audit = audit_event("operator", "operator", "token.make", &format!("member:{name}"));
        self.store.add_token(&record, &audit)?;
        Ok(token)
    }
}

impl EngineFolder {
    /// Revokes a member.
    ///
    /// # Errors
    /// When nobody of that name is enrolled.
    pub fn revoke(&self, name: &str) -> Result<(), Problem> {
        let audit = audit_event("operator", "operator", "member.revoke", &format!("member:{name}"));
        Ok(self.store.revoke(name, now_ms(), &audit)?)
    }
}

/// Chooses the compute nodes of a consortium; none chooses the first three key holders.
///
/// # Errors
/// When they are not three different names of hospitals that are enrolled, or an engine runs on the folder.
pub fn choose_compute(folder: &Path, nodes: &[String]) -> Result<(), Problem> {
    let mut opened = EngineFolder::open(folder)?;
    let _lock = lock(folder)?;
    let invalid = |message: String| Problem::new(ProblemKind::Validation, "engine.compute", message);
    let distinct = nodes.iter().enumerate().all(|(i, name)| !nodes[..i].contains(name));
    if !nodes.is_empty() && (nodes.len() != 3 || !distinct) {
        return Err(invalid(format!("{} compute nodes named, three different ones are needed", nodes.len()))
            .hint("name three hospitals, or none to take the first three key holders"));
    }
    for name in nodes {
        let member = opened.store.member(name)?;
        if member.is_none_or(|member| member.role != Role::Hospital || member.revoked_ms.is_some()) {
            return Err(invalid(format!("no hospital is enrolled as {name}")).hint("see `ward parties`"));
        }
    }
    opened.settings.compute = nodes.to_vec();
    let path = folder.join("engine.json");
    let text = serde_json::to_vec_pretty(&opened.settings).map_err(|e| Problem::internal(&e))?;
    write_private(&path, &text)
}

/// The operator's own policies: `policies/*.cedar` in the engine's folder, by name.
///
/// # Errors
/// When the folder cannot be read.
pub fn policy_files(folder: &Path) -> Result<Vec<PathBuf>, Problem> {
    let folder = folder.join("policies");
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(&folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut files: Vec<PathBuf> =
        entries.map_err(|e| bad(&folder, &e))?.into_iter().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "cedar"));
    files.sort();
    Ok(files)
}

/// Runs the engine of a folder on a bound listener until `stop` turns true.
///
/// # Errors
/// When another engine runs on the folder, or serving fails.
pub async fn run(folder: &Path, listener: TcpListener, stop: watch::Receiver<bool>) -> Result<(), Problem> {
    run_for(folder, listener, stop, crate::setup::statements::all()).await
}

/// Runs the engine of a folder, whose ceremonies make keys for these statements, until `stop` turns true.
///
/// # Errors
/// As [`run`].
pub async fn run_for(
    folder: &Path,
    listener: TcpListener,
    stop: watch::Receiver<bool>,
    statements: Vec<Known>,
) -> Result<(), Problem> {
    let mut opened = EngineFolder::open(folder)?;
    let _lock = lock(folder)?;
    renew_own(&mut opened, folder)?;
    // Whoever held jobs here is gone: they go on at once, not when leases run out.
    opened.store.end_leases()?;
    let certificate = hex::decode(&opened.settings.certificate).map_err(|e| bad(folder, &e))?;
    let config = EngineConfig::load(folder)?;
    let oidc = config.identity.oidc.map(Oidc::new).transpose().map_err(|e| {
        Problem::new(ProblemKind::Validation, e.code(), e.to_string())
            .hint(format!("correct engine.toml in {}", folder.display()))
    })?;
    let authenticator = Authenticator::new(opened.accounts()?, oidc);
    let policies = Authorizer::load(&policy_files(folder)?)?;
    let hub = Arc::new(Hub::default());
    let engine = Arc::new(Engine {
        consortium: opened.settings.consortium.clone(),
        floor: opened.settings.floor,
        rounding: opened.settings.rounding,
        compute: opened.settings.compute.clone(),
        ledger: EmbeddedLedger::new(
            opened.store.clone(),
            opened.identity.clone(),
            &opened.settings.consortium,
        ),
        store: opened.store,
        blobs: Arc::new(Blobs::open(&folder.join("blobs"))?),
        proofs: config.proofs.as_ref().map(contribution_verifier).transpose()?,
        attestations: config.attestations,
        #[cfg(feature = "evm")]
        chain: config.ledger.evm.clone(),
        statements,
        studies: config.studies,
        nodes: hub.clone(),
        identity: opened.identity,
        certificate,
        authority: Arc::new(opened.authority),
        authenticator,
        wake: Notify::new(),
        progress: Notify::new(),
        commit_turn: Mutex::new(()),
        policies,
        strangers: Strangers::default(),
    });
    let workers: Vec<_> = (0..WORKERS)
        .map(|n| tokio::spawn(scheduler::worker(engine.clone(), format!("worker-{n}"), stop.clone())))
        .collect();
    #[cfg(feature = "evm")]
    let anchoring = match config.ledger.evm {
        Some(evm) => Some(crate::anchoring::start(evm, folder, &engine, stop.clone())?),
        None => None,
    };
    let heads = tokio::spawn(crate::job::heads::keep_logging(engine.clone(), stop.clone()));
    let watching = tokio::spawn(crate::grpc::revoke::watch(engine.clone(), hub.clone()));
    let served = server::serve(engine, hub, listener, stop).await;
    watching.abort();
    #[cfg(feature = "evm")]
    if let Some(anchoring) = anchoring {
        anchoring.abort();
    }
    workers.iter().for_each(tokio::task::JoinHandle::abort);
    crate::job::heads::finish(heads).await;
    served
}

/// What verifies proofs of contributions.
fn contribution_verifier(config: &ProofsConfig) -> Result<Arc<ContributionVerifier>, Problem> {
    let key = ContributionVerifier::load(&config.key, config.development_key)?;
    if key.is_development {
        tracing::warn!("[proofs]: {}", crate::attestation::keys::DEVELOPMENT_WARNING);
    }
    Ok(Arc::new(key))
}

/// Renews the engine's own certificate when two thirds of its life are over: same key, same hosts.
fn renew_own(opened: &mut EngineFolder, folder: &Path) -> Result<(), Problem> {
    let path = folder.join("engine.json");
    let der = hex::decode(&opened.settings.certificate).map_err(|e| bad(&path, &e))?;
    let held = Member::from_certificate(&der).map_err(|e| bad(&path, &e))?;
    let now_s = now_ms() / 1000;
    if !is_renewal_due(&held, now_s as i64) {
        return Ok(());
    }
    let hosts = opened.settings.hosts.clone();
    let renewed = opened
        .authority
        .server_certificate(&opened.identity.public(), "engine", &hosts, now_s, VALIDITY_DAYS)
        .map_err(|e| bad(&path, &e))?;
    opened.settings.certificate = hex::encode(&renewed.der);
    let text = serde_json::to_vec_pretty(&opened.settings).map_err(|e| Problem::internal(&e))?;
    write_private(&path, &text)?;
    Ok(opened
        .store
        .audit(&audit_event("engine", "engine", "certificate.renew", "member:engine"))
        .map(|_| ())?)
}

/// Holds the folder for this process; the lock goes with the process, however it ends.
fn lock(folder: &Path) -> Result<File, Problem> {
    let path = folder.join("engine.lock");
    let file = File::create(&path).map_err(|e| bad(&path, &e))?;
    file.try_lock().map_err(|_| {
        Problem::new(
            ProblemKind::Conflict,
            "engine.running",
            format!("an engine is running on {}", folder.display()),
        )
    })?;
    Ok(file)
}
