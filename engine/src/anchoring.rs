//! Anchoring in the running engine: the follower of the log and the adapter of the chain as a task of their own.
//!
//! The leaf of a commitment is written in the transaction that ends its job, so the log itself is what the follower takes
//! over into the adapter's outbox; an attestation that goes to a chain's registry stands in the store's outbox, written
//! in the transaction that registers it. What the chain has, as deep as was asked, is kept in the store before the
//! adapter's outbox forgets it: a kill between the two only says it again.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use ward_circuits::eligibility::Eligibility;
use ward_circuits::groth16::{Proof, eip2537};

use crate::attestation::file::Attestation;
use crate::clock::now_ms;
use crate::encoding::HexBytes;
use crate::identity::{Digest, SealKey};
use crate::job::Engine;
use crate::ledger::evm::{
    ChainKey, End, EvmConfig, EvmError, EvmLedger, FileOutbox, Follow, Follower, Intent, Mode, Outbox, Post,
    Settlement, audience,
};
use crate::ledger::{EmbeddedLedger, evm};
use crate::problem::{Problem, ProblemKind};
use crate::store::{Anchor, AnchorKind, Message, Store, blocking};

/// Topic of the store's outbox for what goes to a chain.
pub const TOPIC: &str = "evm";
/// Where the state of anchoring is kept for `ward engine status`.
pub const STATUS: &str = "evm.status";
/// The chain key's file in the engine's folder.
const KEY_FILE: &str = "evm.key";
/// Messages that are taken over at a time.
const TAKEN_MAX: u32 = 32;
/// How often the state is kept, and the store's outbox looked at.
const LOOK: Duration = Duration::from_millis(500);

/// How anchoring stands, as it was last kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnchoringStatus {
    /// The chain.
    pub chain_id: u64,
    /// The address that signs and pays.
    pub address: String,
    /// The anchor log.
    pub anchor_log: String,
    /// What the chain does: `proofs`, `anchors_only`, or nothing before it was reached.
    pub mode: Option<String>,
    /// Posts that wait.
    pub waiting: usize,
    /// Confirmations of what is under way.
    pub confirmations: u64,
    /// The last settlement.
    pub settled: Option<Settlement>,
    /// Code and sentence of the last failure, until a step succeeds.
    pub failure: Option<(String, String)>,
}

impl From<EvmError> for Problem {
    fn from(error: EvmError) -> Self {
        let kind = match error.code() {
            "evm.away" | "evm.answer" | "evm.refused" => ProblemKind::Unavailable,
            _ => ProblemKind::Validation,
        };
        Self::new(kind, error.code(), error.to_string()).hint(error.hint().unwrap_or_default())
    }
}

fn seal(folder: &Path) -> Result<SealKey, Problem> {
    SealKey::load_or_create(&folder.join("seal.key"))
        .map_err(|e| Problem::new(ProblemKind::Validation, "keys.seal", e.to_string()))
}

/// Makes the chain key of an engine's folder, unless there is one; returns its address.
///
/// # Errors
/// `evm.key`.
pub fn chain_key(folder: &Path) -> Result<String, Problem> {
    let (path, seal) = (folder.join(KEY_FILE), seal(folder)?);
    if path.exists() {
        return Ok(ChainKey::load(&path, &seal)?.address().to_string());
    }
    let key = ChainKey::generate()?;
    key.save(&path, &seal)?;
    Ok(key.address().to_string())
}

/// The message that puts an attestation on the chain: for one that was made for the registry there, and for no other. Where
/// the chain cannot check proofs the adapter anchors the attestation's digest instead.
///
/// # Errors
/// `evm.config` for a registry that is no address; a proof that does not decode, which no verified one does.
pub fn registration(config: &EvmConfig, attestation: &Attestation) -> Result<Option<Message>, Problem> {
    let Some(registry) = &config.registry else { return Ok(None) };
    let request = &attestation.request;
    if request.chain_id != config.chain_id || request.audience != audience(registry)? {
        return Ok(None);
    }
    let proof = Proof::<Eligibility>::from_bytes(&attestation.proof.0).map_err(|e| Problem::internal(&e))?;
    let inputs: Vec<Digest> = attestation.inputs.0.chunks(32).filter_map(Digest::from_slice).collect();
    let inputs = inputs.try_into().map_err(|_| Problem::internal(&"an attestation with other inputs"))?;
    let post = Post::Attestation(Box::new(evm::Attestation {
        commitment: attestation.digest(),
        proof: HexBytes(eip2537::proof_points(&proof).to_vec()),
        inputs,
        nonce: request.digest(),
    }));
    let payload = serde_json::to_string(&post).map_err(|e| Problem::internal(&e))?;
    Ok(Some(Message { topic: TOPIC.to_owned(), payload }))
}

/// Starts anchoring; ends when `stop` turns true.
///
/// # Errors
/// `evm.key` without a chain key; `evm.config`; `evm.outbox`. What the chain itself says comes later, in the state.
pub fn start(
    config: EvmConfig,
    folder: &Path,
    engine: &Arc<Engine>,
    stop: watch::Receiver<bool>,
) -> Result<JoinHandle<()>, Problem> {
    let path = folder.join(KEY_FILE);
    if !path.exists() {
        let message = format!("{} is not there", path.display());
        return Err(Problem::new(ProblemKind::Validation, "evm.key", message)
            .hint("make it with `ward engine chain-key`, and name its address in the anchor log"));
    }
    let key = ChainKey::load(&path, &seal(folder)?)?;
    let outbox = Arc::new(FileOutbox::open(&folder.join("evm"))?);
    let recording = Recording { outbox: outbox.clone(), store: engine.store.clone(), config: config.clone() };
    let ledger = EvmLedger::new(config.clone(), key, Arc::new(recording))?;
    let rule = Follow {
        commitments: config.commitments,
        checkpoint_every_ms: config.checkpoint_every_s.saturating_mul(1000),
    };
    let log = EmbeddedLedger::new(engine.store.clone(), engine.identity.clone(), &engine.consortium);
    let follower = Follower::new(Arc::new(log), outbox.clone(), rule);
    let task = Task { ledger, follower, outbox, store: engine.store.clone(), config };
    Ok(tokio::spawn(task.run(stop)))
}

struct Task {
    ledger: EvmLedger,
    follower: Follower,
    outbox: Arc<FileOutbox>,
    store: Arc<dyn Store>,
    config: EvmConfig,
}

impl Task {
    async fn run(self, mut stop: watch::Receiver<bool>) {
        let stopped = async move {
            // An error means that the sender is gone, which is a stop as well.
            let _ = stop.wait_for(|stop| *stop).await;
        };
        tokio::select! {
            () = self.ledger.run(Some(&self.follower), stopped) => {}
            () = self.tend() => {}
        }
    }

    /// Keeps the state, and takes over what the store's outbox has for the chain.
    async fn tend(&self) {
        let mut kept = None;
        loop {
            if let Err(problem) = self.take_over().await {
                tracing::warn!(%problem, "the store's outbox waits");
            }
            let status = self.status();
            if kept.as_ref() != Some(&status) {
                let bytes = crate::encoding::canonical_json(&status);
                match blocking(&self.store, move |s| s.set_meta(STATUS, &bytes)).await {
                    Ok(()) => kept = Some(status),
                    Err(error) => tracing::warn!(%error, "the state of anchoring is not kept"),
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// From the store's outbox into the adapter's. The same post twice is one.
    async fn take_over(&self) -> Result<(), Problem> {
        let rows = blocking(&self.store, |s| s.outbox_pending_of(TOPIC, TAKEN_MAX)).await?;
        for row in rows {
            match serde_json::from_str::<Post>(&row.payload) {
                Ok(post) => {
                    tokio::task::block_in_place(|| self.outbox.submit(post))?;
                }
                Err(error) => tracing::error!(%error, seq = row.seq, "a message for the chain is none"),
            }
            blocking(&self.store, move |s| s.outbox_delivered(row.seq, now_ms())).await?;
        }
        Ok(())
    }

    fn status(&self) -> AnchoringStatus {
        let status = self.ledger.status();
        let mode = status.mode.map(|mode| match mode {
            Mode::Proofs => "proofs".to_owned(),
            Mode::AnchorsOnly => "anchors_only".to_owned(),
        });
        AnchoringStatus {
            chain_id: self.config.chain_id,
            address: self.ledger.address().to_string(),
            anchor_log: self.config.anchor_log.clone(),
            mode,
            waiting: self.outbox.waiting(),
            confirmations: status.confirmations,
            settled: status.settled,
            failure: status.failure.map(|(code, message)| (code.to_owned(), message)),
        }
    }
}

/// The adapter's outbox, and the store that remembers what was anchored.
struct Recording {
    outbox: Arc<FileOutbox>,
    store: Arc<dyn Store>,
    config: EvmConfig,
}

impl Recording {
    /// What a settled post put on the chain.
    fn anchors(&self, post: &Post, settlement: &Settlement) -> Vec<Anchor> {
        let anchor = |kind, digest: Digest, size| Anchor {
            chain_id: self.config.chain_id,
            contract: match (kind, &self.config.registry) {
                (AnchorKind::Attestation, Some(registry)) => registry.clone(),
                _ => self.config.anchor_log.clone(),
            },
            kind,
            digest,
            size,
            block: settlement.block,
            transaction: settlement.transaction,
            at_ms: now_ms(),
        };
        match (post, settlement.end) {
            (Post::Commitments { digests }, End::Anchored) => {
                digests.iter().map(|digest| anchor(AnchorKind::Commitment, *digest, 0)).collect()
            }
            (Post::Checkpoint { size, root, .. }, End::Anchored) => {
                vec![anchor(AnchorKind::Checkpoint, *root, *size)]
            }
            (Post::Attestation(attestation), End::Registered) => {
                vec![anchor(AnchorKind::Attestation, attestation.commitment, 0)]
            }
            (Post::Attestation(attestation), End::CommitmentOnly) => {
                vec![anchor(AnchorKind::Commitment, attestation.commitment, 0)]
            }
            _ => Vec::new(),
        }
    }
}

impl Outbox for Recording {
    fn next(&self) -> Result<Option<Post>, EvmError> {
        self.outbox.next()
    }

    fn intent(&self) -> Result<Option<Intent>, EvmError> {
        self.outbox.intent()
    }

    fn keep_intent(&self, intent: Option<&Intent>) -> Result<(), EvmError> {
        self.outbox.keep_intent(intent)
    }

    fn settle(&self, settlement: &Settlement) -> Result<(), EvmError> {
        if let Some(post) = self.outbox.next()?.filter(|post| post.id() == settlement.post) {
            for anchor in self.anchors(&post, settlement) {
                let failed = |e: crate::store::StoreError| EvmError::Outbox { reason: e.to_string() };
                self.store.put_anchor(&anchor).map_err(failed)?;
            }
        }
        self.outbox.settle(settlement)
    }
}
