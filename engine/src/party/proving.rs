//! Proving for the hospital's own clinicians: a socket of the node on its own machine.
//!
//! The witness (a wallet and its passphrase) goes from the clinician's process to the node's through a socket of the
//! file system, and no further: what comes back is the attestation. There is no such call at the engine, whose API has
//! no field for a witness, and no network address on which the node would take one.
//!
//! ```text
//! clinician                                node
//! length, order (JSON)           ->        policy, claim (or the clause that fails), proof
//!                                <-        length, step | attestation | problem (JSON), until one of the last two
//! ```
//! Lengths are 4 bytes, big-endian.
//!
//! # Security
//! Who may open the socket is up to the file system: the node's user alone, or its group as well. The user's id is in
//! the audit event of every proof and refusal; nothing of the witness is.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use zeroize::{Zeroize as _, Zeroizing};

use super::node::Node;
use crate::attestation::documents::{DOCUMENT_BYTES_MAX, RegistryFile};
use crate::attestation::file::Attestation;
use crate::attestation::keys::ProverKey;
use crate::attestation::prove::{self, Policy};
use crate::attestation::request::Request;
use crate::attestation::wallet::Wallet;
use crate::attestation::{AttestationError, read_file, system_rng};
use crate::audit::Outcome;
use crate::clock::now_ms;
use crate::encoding::{HexBytes, canonical_json};
use crate::job::audit_event;
use crate::problem::{Problem, ProblemKind};

/// Largest frame, in bytes: an attestation with its registry.
const FRAME_BYTES_MAX: u32 = 16 << 20;
/// Proofs that are made at once; each takes all cores for a second.
const PROOFS_MAX: usize = 2;
/// Time in which an order has to arrive.
const ORDER_LIMIT: Duration = Duration::from_secs(10);
/// Longest that a clinician waits for the next frame.
const ANSWER_LIMIT: Duration = Duration::from_secs(300);

/// How a node proves for its clinicians.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvingSettings {
    /// The socket.
    pub socket: PathBuf,
    /// Whether the socket's group may use it, beside its user.
    pub is_for_group: bool,
    /// Folder with the circuit's key.
    pub key: PathBuf,
    /// The issuers and their revocations; read anew for every proof.
    pub registry: PathBuf,
    /// Allows a key that one party made alone.
    pub allows_development_key: bool,
    /// For whom the house lets its clinicians prove.
    pub policy: Policy,
}

/// What a clinician asks for. It holds the witness, sealed, and what opens it: it is wiped when it is dropped.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// 1.
    pub version: u32,
    /// The request that the proof answers.
    pub request: Request,
    /// The wallet's file.
    pub wallet: HexBytes,
    /// What opens it.
    pub passphrase: String,
    /// The credential; none for the only one there is.
    pub credential: Option<String>,
}

impl Drop for Order {
    fn drop(&mut self) {
        self.passphrase.zeroize();
        self.wallet.0.zeroize();
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Frame {
    Step(String),
    Attestation(Box<Attestation>),
    Problem(Problem),
}

fn broken(what: &str, error: &dyn std::fmt::Display) -> Problem {
    Problem::new(ProblemKind::Unavailable, "prove.socket", format!("{what}: {error}"))
        .hint("is the node running with [proving], and may you open its socket?")
}

/// Starts the service of a node that has the section.
///
/// # Errors
/// When the key does not load, or the socket cannot be made.
pub async fn start(node: &Arc<Node>, stop: watch::Receiver<bool>) -> Result<Option<JoinHandle<()>>, Problem> {
    let Some(settings) = node.config().proving.clone() else { return Ok(None) };
    let (folder, allowed) = (settings.key.clone(), settings.allows_development_key);
    let key = tokio::task::spawn_blocking(move || ProverKey::load(&folder, allowed)).await;
    let key = Arc::new(key.map_err(|e| Problem::internal(&e))??);
    let listener = listen(&settings).await?;
    let service = Service {
        node: node.clone(),
        settings: Arc::new(settings),
        key,
        proofs: Arc::new(Semaphore::new(PROOFS_MAX)),
    };
    Ok(Some(tokio::spawn(service.run(listener, stop))))
}

/// Makes the socket; one that a node before left behind is replaced, one that a node answers on is not.
async fn listen(settings: &ProvingSettings) -> Result<UnixListener, Problem> {
    let path = &settings.socket;
    let bad = |e: std::io::Error| broken(&path.display().to_string(), &e);
    if path.exists() {
        if UnixStream::connect(path).await.is_ok() {
            let message = format!("another node answers at {}", path.display());
            return Err(Problem::new(ProblemKind::Conflict, "prove.socket", message));
        }
        std::fs::remove_file(path).map_err(bad)?;
    }
    // Nobody finds it before its rights are set.
    let unseen = path.with_extension("new");
    if unseen.exists() {
        std::fs::remove_file(&unseen).map_err(bad)?;
    }
    let listener = UnixListener::bind(&unseen).map_err(bad)?;
    let mode = if settings.is_for_group { 0o660 } else { 0o600 };
    std::fs::set_permissions(&unseen, std::fs::Permissions::from_mode(mode)).map_err(bad)?;
    std::fs::rename(&unseen, path).map_err(bad)?;
    Ok(listener)
}

#[derive(Clone)]
struct Service {
    node: Arc<Node>,
    settings: Arc<ProvingSettings>,
    key: Arc<ProverKey>,
    proofs: Arc<Semaphore>,
}

impl Service {
    async fn run(self, listener: UnixListener, mut stop: watch::Receiver<bool>) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = stop.changed() => break,
            };
            match accepted {
                Ok((stream, _)) => {
                    tokio::spawn(self.clone().serve(stream));
                }
                Err(error) => {
                    tracing::warn!(%error, "no connection of a clinician");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        // It is left behind when it cannot be removed; the next start replaces it.
        let _ = std::fs::remove_file(&self.settings.socket);
    }

    async fn serve(self, mut stream: UnixStream) {
        let asker =
            stream.peer_cred().map_or_else(|_| "unknown".to_owned(), |peer| format!("uid:{}", peer.uid()));
        let answer = match tokio::time::timeout(ORDER_LIMIT, read::<Order>(&mut stream)).await {
            Ok(Ok(order)) => self.answer(order, &asker, &mut stream).await,
            Ok(Err(problem)) => Err(problem),
            Err(_) => {
                Err(Problem::new(ProblemKind::Validation, "prove.order", "the order did not arrive in time"))
            }
        };
        let frame = match answer {
            Ok(attestation) => Frame::Attestation(Box::new(attestation)),
            Err(problem) => Frame::Problem(problem),
        };
        if let Err(problem) = write(&mut stream, &frame).await {
            tracing::info!(%problem, "a clinician did not wait");
        }
    }

    async fn answer(
        &self,
        order: Order,
        asker: &str,
        stream: &mut UnixStream,
    ) -> Result<Attestation, Problem> {
        let (study, audience) = (order.request.study.clone(), order.request.audience.clone());
        let place = self.proofs.clone().try_acquire_owned().map_err(|_| {
            Problem::new(ProblemKind::Unavailable, "prove.busy", "the node is proving for others")
                .hint("try again in a few seconds")
        })?;
        write(stream, &Frame::Step("checking that the claim is true".to_owned())).await?;
        let service = self.clone();
        let claimed = tokio::task::spawn_blocking(move || service.claim(&order)).await;
        let claimed = claimed.map_err(|e| Problem::internal(&e))?.map_err(Problem::from);
        let proved = match claimed {
            Ok(claim) => {
                write(stream, &Frame::Step("proving".to_owned())).await?;
                let key = self.key.clone();
                let proved = tokio::task::spawn_blocking(move || claim.prove(&key, &mut system_rng()?)).await;
                proved.map_err(|e| Problem::internal(&e))?.map_err(Problem::from)
            }
            Err(problem) => Err(problem),
        };
        drop(place);
        self.record(asker, (&study, &audience), proved.as_ref())?;
        proved
    }

    /// Policy first, then the claim: nothing of a patient is looked at for a study that the house does not serve.
    fn claim(&self, order: &Order) -> Result<prove::Claim, AttestationError> {
        if order.version != 1 {
            return Err(AttestationError::Version { what: "an order", found: order.version, known: 1 });
        }
        self.settings.policy.check(&order.request)?;
        let registry =
            RegistryFile::from_json(&read_file(&self.settings.registry, DOCUMENT_BYTES_MAX as u64)?)?;
        let wallet = Wallet::unseal(&order.wallet.0, &order.passphrase)?;
        let opened = wallet.credential(order.credential.as_deref())?;
        prove::claim(&wallet, opened, &order.request, &registry, now_ms())
    }

    /// The audit event: who, for which study and audience, how it ended. Which clause failed is told to the clinician alone.
    fn record(
        &self,
        asker: &str,
        (study, audience): (&str, &str),
        proved: Result<&Attestation, &Problem>,
    ) -> Result<(), Problem> {
        let subject = match proved {
            Ok(attestation) => format!("attestation:{}", attestation.digest()),
            Err(_) => "attestation:none".to_owned(),
        };
        let mut event = audit_event(asker, "clinician", "proof.make", &subject);
        event.context.study = study.to_owned();
        event.context.recipient = audience.to_owned();
        if let Err(problem) = proved {
            event.outcome =
                if problem.kind == ProblemKind::Compliance { Outcome::Refused } else { Outcome::Failure };
            event.detail.clone_from(&problem.code);
        }
        tokio::task::block_in_place(|| self.node.store().audit(&event))?;
        Ok(())
    }
}

/// Asks a node to prove; `step` hears what it is at.
///
/// # Errors
/// The node's: the clause that fails, its policy; `prove.socket` when it cannot be reached.
pub async fn ask(socket: &Path, order: Order, step: impl Fn(&str)) -> Result<Attestation, Problem> {
    let connected = UnixStream::connect(socket).await;
    let mut stream = connected.map_err(|e| broken(&socket.display().to_string(), &e))?;
    write(&mut stream, &order).await?;
    drop(order);
    loop {
        let frame = tokio::time::timeout(ANSWER_LIMIT, read::<Frame>(&mut stream)).await;
        match frame.map_err(|e| broken("the node fell silent", &e))?? {
            Frame::Step(what) => step(&what),
            Frame::Attestation(attestation) => return Ok(*attestation),
            Frame::Problem(problem) => return Err(problem),
        }
    }
}

async fn read<T: serde::de::DeserializeOwned>(stream: &mut UnixStream) -> Result<T, Problem> {
    let bytes = stream.read_u32().await.map_err(|e| broken("the socket", &e))?;
    if bytes > FRAME_BYTES_MAX {
        let message = format!("a frame of {bytes} bytes, at most {FRAME_BYTES_MAX}");
        return Err(Problem::new(ProblemKind::Validation, "prove.order", message));
    }
    // Memory grows with what arrives, not with what is announced.
    let mut body = Zeroizing::new(Vec::new());
    let got = (&mut *stream).take(u64::from(bytes)).read_to_end(&mut body).await;
    if got.map_err(|e| broken("the socket", &e))? < bytes as usize {
        return Err(Problem::new(ProblemKind::Validation, "prove.order", "a frame that ends early"));
    }
    serde_json::from_slice(&body)
        // What serde says may quote what it read.
        .map_err(|_| Problem::new(ProblemKind::Validation, "prove.order", "a frame that does not parse"))
}

async fn write<T: Serialize>(stream: &mut UnixStream, frame: &T) -> Result<(), Problem> {
    let body = Zeroizing::new(canonical_json(frame));
    let bytes = u32::try_from(body.len()).ok().filter(|bytes| *bytes <= FRAME_BYTES_MAX);
    let bytes = bytes
        .ok_or_else(|| Problem::new(ProblemKind::Validation, "prove.order", "larger than a frame may be"))?;
    let failed = |e: std::io::Error| broken("the socket", &e);
    stream.write_u32(bytes).await.map_err(failed)?;
    stream.write_all(&body).await.map_err(failed)?;
    stream.flush().await.map_err(failed)
}
