//! The node's end of logging its audit chain's head: says what the head is, checks the proof that comes back, keeps it.

use super::ceremony::refuse;
use super::node::Node;
use crate::identity::Digest;
use crate::ledger::{AUDIT_HEAD, AuditCheckpoint, AuditHead};
use crate::problem::Problem;

impl Node {
    /// The head of this node's chain and its signature, when the chain has grown since a head was logged.
    ///
    /// # Errors
    /// Storage.
    pub fn audit_head(&self) -> Result<Option<(AuditHead, Vec<u8>)>, Problem> {
        let Some((count, head)) = self.store().audit_tip()? else { return Ok(None) };
        if self.store().audit_head(self.name())?.is_some_and(|(logged, _)| logged >= count) {
            return Ok(None);
        }
        let head = AuditHead {
            consortium: self.consortium().to_owned(),
            owner: self.name().to_owned(),
            key: self.membership().identity.public(),
            count,
            head,
            at_ms: self.now_ms(),
        };
        let signature = self.sign(AUDIT_HEAD, &[&head.digest().0]);
        Ok(Some((head, signature)))
    }

    /// Keeps a checkpoint that the engine sends: it must hold, and be of an event of this chain.
    ///
    /// # Errors
    /// `audit.head`, or storage.
    pub fn keep_audit_head(&self, json: &[u8]) -> Result<(), Problem> {
        let checkpoint = AuditCheckpoint::from_json(json).map_err(|e| refuse("audit.head", e.to_string()))?;
        let logged = checkpoint
            .verify(&self.membership().authority)
            .map_err(|e| refuse("audit.head", e.to_string()))?;
        let head = logged.head();
        let found = self.hash_of_event(head.count)?;
        let is_own = head.owner == self.name() && head.consortium == self.consortium();
        let count = self.store().audit_tip()?.map_or(0, |(count, _)| count);
        if !is_own || logged.check(&self.membership().identity.public(), count, found).is_err() {
            return Err(refuse("audit.head", "the checkpoint is not of this node's chain"));
        }
        let text = String::from_utf8_lossy(json);
        Ok(self.store().keep_audit_head(self.name(), head.count, &text)?)
    }

    fn hash_of_event(&self, seq: u64) -> Result<Option<Digest>, Problem> {
        let page = self.store().audit_events(seq.saturating_sub(1), 1)?;
        Ok(page.first().filter(|sealed| sealed.seq == seq).map(|sealed| sealed.hash))
    }
}
