//! The chain: hash_n = H(n, hash_(n-1), event_n), signed; the first event follows [`genesis`].

use serde::{Deserialize, Serialize};

use super::{AuditError, Event, Salt, Stub};
use crate::identity::{Canonical, Digest, Identity, PublicKey, Signature};

const CONTEXT: &str = "ward audit chain";

/// An event as the chain keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Entry {
    /// Everything.
    Whole {
        /// What hides the event once it is redacted.
        salt: Salt,
        /// The event.
        event: Box<Event>,
    },
    /// What retention left.
    Redacted(Stub),
}

impl Entry {
    /// What the chain hashes.
    #[must_use]
    pub fn stub(&self) -> Stub {
        match self {
            Self::Whole { salt, event } => {
                let payload = event.payload(salt);
                let action = event.action.clone();
                Stub { action, outcome: event.outcome, at_ms: event.at_ms, payload }
            }
            Self::Redacted(stub) => stub.clone(),
        }
    }
}

/// An event on the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sealed {
    /// Its number, from 1.
    pub seq: u64,
    /// The event, or what is left of it.
    pub entry: Entry,
    /// Hash of the event before, or [`genesis`].
    pub prev_hash: Digest,
    /// Hash of number, previous hash and event.
    pub hash: Digest,
    /// Of the hash, by the owner of the chain.
    pub signature: Signature,
}

impl Sealed {
    /// The event, unless it was redacted.
    #[must_use]
    pub fn event(&self) -> Option<&Event> {
        match &self.entry {
            Entry::Whole { event, .. } => Some(event),
            Entry::Redacted(_) => None,
        }
    }

    /// Without its payload: action, outcome and time stay, and the chain verifies as before.
    #[must_use]
    pub fn redacted(&self) -> Self {
        Self { entry: Entry::Redacted(self.entry.stub()), ..self.clone() }
    }
}

/// A chain that holds, up to its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Number of events.
    pub count: u64,
    /// Hash of the last event ([`genesis`] for an empty chain): who remembers it notices a chain cut short.
    pub head: Digest,
}

/// The hash before the first event of the chain of that key.
#[must_use]
pub fn genesis(key: &PublicKey) -> Digest {
    Canonical::new("audit-genesis/1").bytes(key.as_bytes()).digest()
}

fn hash(seq: u64, prev: &Digest, entry: &Entry) -> Digest {
    Canonical::new("audit-link/2")
        .number(seq)
        .bytes(&prev.0)
        .bytes(&entry.stub().canonical().finish())
        .digest()
}

/// Seals an event onto the chain after `prev` (number and hash of the last event; `None` for the first). The salt is
/// fresh randomness.
#[must_use]
pub fn seal(prev: Option<(u64, Digest)>, event: Event, salt: Salt, signer: &Identity) -> Sealed {
    let (last, prev_hash) = prev.unwrap_or_else(|| (0, genesis(&signer.public())));
    let seq = last + 1;
    let entry = Entry::Whole { salt, event: Box::new(event) };
    let hash = hash(seq, &prev_hash, &entry);
    let signature = signer.sign(CONTEXT, &[&hash.0]);
    Sealed { seq, entry, prev_hash, hash, signature }
}

/// Verifies a whole chain, from its first event, against the key of its owner.
///
/// # Errors
/// [`AuditError`] naming the first event that does not hold.
pub fn verify_chain(
    events: impl IntoIterator<Item = Result<Sealed, AuditError>>,
    key: &PublicKey,
) -> Result<Verified, AuditError> {
    let mut verified = Verified { count: 0, head: genesis(key) };
    for sealed in events {
        let sealed = sealed?;
        let seq = sealed.seq;
        if seq != verified.count + 1 {
            return Err(AuditError::Gap { expected: verified.count + 1, found: seq });
        }
        if sealed.prev_hash != verified.head {
            let (expected, found) = (verified.head, sealed.prev_hash);
            return Err(AuditError::Broken { seq, expected, found });
        }
        if hash(seq, &sealed.prev_hash, &sealed.entry) != sealed.hash {
            return Err(AuditError::Changed { seq });
        }
        key.verify(CONTEXT, &[&sealed.hash.0], &sealed.signature)
            .map_err(|_| AuditError::Signature { seq })?;
        verified = Verified { count: seq, head: sealed.hash };
    }
    Ok(verified)
}
