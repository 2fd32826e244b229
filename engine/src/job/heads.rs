//! Heads of audit chains: the engine puts its own and the hospitals' into the log, and keeps the proofs.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::{Engine, audit_event};
use crate::audit::{Context, Outcome};
use crate::clock::now_ms;
use crate::identity::{Member, Signature};
use crate::ledger::{
    AUDIT_HEAD, AuditCheckpoint, AuditHead, Checkpoint, Ledger as _, LedgerError, TlogProof,
};
use crate::problem::{Problem, ProblemKind};
use crate::store::blocking;

/// A chain's head is logged this often, when it has grown.
pub const PERIOD: Duration = Duration::from_secs(600);
/// The name of the engine's own chain.
pub const ENGINE: &str = "engine";

fn refuse(kind: ProblemKind, code: &str, message: impl Into<String>) -> Problem {
    Problem::new(kind, code, message)
}

impl Engine {
    /// Puts the head of the engine's own chain into the log, when it has grown since the last time.
    ///
    /// # Errors
    /// Storage.
    pub async fn log_own_head(&self) -> Result<(), Problem> {
        let Some((count, head)) = blocking(&self.store, |s| s.audit_tip()).await? else { return Ok(()) };
        let last = blocking(&self.store, |s| s.audit_head(ENGINE)).await?;
        if last.is_some_and(|(logged, _)| logged >= count) {
            return Ok(());
        }
        let head = AuditHead {
            consortium: self.consortium.clone(),
            owner: ENGINE.to_owned(),
            key: self.identity.public(),
            count,
            head,
            at_ms: now_ms(),
        };
        let signature = self.identity.sign(AUDIT_HEAD, &[&head.digest().0]);
        self.log_head(head, signature).await.map(drop)
    }

    /// Puts the head of a hospital's chain into the log, and returns the checkpoint with its proof. A chain that is
    /// shorter than it was is refused, and the refusal is an event that asks for attention.
    ///
    /// # Errors
    /// `audit.head`, `audit.truncated`, or storage.
    pub async fn take_head(
        &self,
        member: &Member,
        json: &[u8],
        signature: &[u8],
    ) -> Result<AuditCheckpoint, Problem> {
        let bad = |what: &str| refuse(ProblemKind::Validation, "audit.head", what);
        let head: AuditHead = serde_json::from_slice(json).map_err(|_| bad("the head does not parse"))?;
        let signature = Signature::from_slice(signature).ok_or_else(|| bad("the signature is malformed"))?;
        let is_own = head.consortium == self.consortium
            && head.owner == member.name
            && head.key == member.key
            && member.key.verify(AUDIT_HEAD, &[&head.digest().0], &signature).is_ok();
        if !is_own {
            return Err(refuse(
                ProblemKind::Authorization,
                "audit.head",
                "the head is of another chain, or is not signed by its owner",
            ));
        }
        let owner = head.owner.clone();
        let last = blocking(&self.store, move |s| s.audit_head(&owner)).await?;
        if let Some((logged, kept)) = last {
            if head.count < logged {
                self.note_truncation(&head, logged).await?;
                let message = format!("the chain has {} events, {logged} were logged before", head.count);
                return Err(refuse(ProblemKind::Compliance, "audit.truncated", message)
                    .hint("restore the node's newest backup; `ward audit verify` says what the log has"));
            }
            if head.count == logged {
                return AuditCheckpoint::from_json(kept.as_bytes()).map_err(|e| Problem::internal(&e));
            }
        }
        self.log_head(head, signature).await
    }

    async fn note_truncation(&self, head: &AuditHead, logged: u64) -> Result<(), Problem> {
        let event = audit_event(&head.owner, "hospital", "audit.truncated", &format!("chain:{}", head.owner))
            .ended(Outcome::Refused)
            .saying(format!("{} events, {logged} were logged", head.count))
            .within(Context { organisation: head.owner.clone(), is_urgent: true, ..Context::default() });
        blocking(&self.store, move |s| s.audit(&event)).await?;
        Ok(())
    }

    async fn log_head(&self, head: AuditHead, signature: Signature) -> Result<AuditCheckpoint, Problem> {
        let digest = head.digest();
        // No checkpoint of another job comes in between, so that sizes and proofs agree.
        let turn = self.commit_turn.lock().await;
        let proof = tokio::task::block_in_place(|| -> Result<_, LedgerError> {
            let index = self.ledger.append(&digest)?;
            let checkpoint = self.ledger.checkpoint()?;
            let size = Checkpoint::parse(checkpoint.text())?.head.size;
            Ok(TlogProof { index, proof: self.ledger.inclusion(index, size)?, checkpoint })
        })?;
        drop(turn);
        let (owner, count) = (head.owner.clone(), head.count);
        let checkpoint = AuditCheckpoint::new(head, &signature, &proof, &self.certificate);
        let json = serde_json::to_string(&checkpoint).map_err(|e| Problem::internal(&e))?;
        blocking(&self.store, move |s| s.keep_audit_head(&owner, count, &json)).await?;
        Ok(checkpoint)
    }
}

/// Logs the engine's own head from time to time, and once more at the end.
pub async fn keep_logging(engine: Arc<Engine>, mut stop: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + PERIOD, PERIOD);
    let mut is_over = false;
    while !is_over {
        is_over = tokio::select! {
            _ = ticks.tick() => false,
            _ = stop.changed() => true,
        };
        if let Err(problem) = engine.log_own_head().await {
            tracing::error!(%problem, "the head of the audit chain is not logged");
        }
    }
}

/// Waits until the last head is logged: the store answers at once, or not at all.
pub async fn finish(logging: tokio::task::JoinHandle<()>) {
    if tokio::time::timeout(Duration::from_secs(5), logging).await.is_err() {
        tracing::warn!("the last head of the audit chain was not logged");
    }
}
