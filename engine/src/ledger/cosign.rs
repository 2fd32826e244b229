//! Cosignatures (c2sp.org/tlog-cosignature, Ed25519) and the witness that makes them.
//!
//! A hospital that cosigns a checkpoint says: as of this time, this is the largest tree of this log that I have
//! seen, and it continues every tree I saw before. So it checks before it signs, and remembers what it signed:
//! [`Witness::cosign`] refuses a tree that is smaller than the last one (rollback) or does not continue it
//! (fork). The caller stores the new checkpoint before the signature leaves the house.

use super::merkle::{PROOF_HASHES_MAX, verify_consistency};
use super::note::{Checkpoint, Note, NoteSignature, key_id};
use super::{LedgerError, cosigner_name, log_origin};
use crate::identity::{Digest, Identity, PublicKey, Signature};

/// Signature type of a timestamped Ed25519 cosignature.
const TYPE_COSIGNATURE: u8 = 4;

/// A verified cosignature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosignature {
    /// The cosigner's key name.
    pub name: String,
    /// When it was made (unix seconds), by the cosigner's clock.
    pub time_s: u64,
}

fn message(time_s: u64, text: &str) -> Vec<u8> {
    format!("cosignature/v1\ntime {time_s}\n{text}").into_bytes()
}

/// Cosigns a checkpoint's text. Use [`Witness::cosign`], which checks first.
fn cosign_text(
    name: &str,
    text: &str,
    time_s: u64,
    identity: &Identity,
) -> Result<NoteSignature, LedgerError> {
    if i64::try_from(time_s).is_err() {
        return Err(LedgerError::Note { reason: "a time beyond 2^63 - 1 seconds" });
    }
    let signature = identity.sign_raw(&message(time_s, text));
    let bytes = [&time_s.to_be_bytes()[..], &signature.0].concat();
    Ok(NoteSignature {
        name: name.to_owned(),
        key_id: key_id(name, TYPE_COSIGNATURE, &identity.public()),
        bytes,
    })
}

/// Checks the cosignature of a key on a note: `None` when it is absent; an error when one is present and does
/// not hold.
///
/// # Errors
/// [`LedgerError::Signature`].
pub fn verify_cosignature(
    note: &Note,
    name: &str,
    key: &PublicKey,
) -> Result<Option<Cosignature>, LedgerError> {
    let mut found = None;
    for line in note.lines_of(name, key_id(name, TYPE_COSIGNATURE, key)) {
        let refuse = || LedgerError::Signature { name: name.to_owned() };
        let (time, signature) = line.bytes.split_first_chunk::<8>().ok_or_else(refuse)?;
        let time_s = u64::from_be_bytes(*time);
        let signature = Signature::from_slice(signature).ok_or_else(refuse)?;
        if i64::try_from(time_s).is_err() {
            return Err(refuse());
        }
        key.verify_raw(&message(time_s, note.text()), &signature).ok_or_else(refuse)?;
        found = Some(Cosignature { name: name.to_owned(), time_s });
    }
    Ok(found)
}

/// What a hospital needs to watch the consortium's log.
#[derive(Debug)]
pub struct Witness<'a> {
    /// The consortium's name: it fixes the log's origin and the cosigner's name.
    pub consortium: &'a str,
    /// The hospital's name.
    pub hospital: &'a str,
    /// The hospital's key.
    pub identity: &'a Identity,
    /// The key of the log (the engine's), from its certificate.
    pub log_key: PublicKey,
}

/// A cosignature that was made, and what the witness must remember before it sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosigned {
    /// The checkpoint signed: the last one seen from now on.
    pub checkpoint: Checkpoint,
    /// The line to send.
    pub signature: NoteSignature,
}

impl Witness<'_> {
    /// Checks a checkpoint that the engine presents, and cosigns it.
    ///
    /// `last` is the last checkpoint this witness signed (none at first), `proof` the consistency proof from it.
    ///
    /// # Errors
    /// [`LedgerError::Origin`] for another log, [`LedgerError::Signature`] or [`LedgerError::Unsigned`] when the
    /// engine did not sign it, [`LedgerError::Rollback`] when it is smaller than the last,
    /// [`LedgerError::Fork`] when it does not continue the last.
    pub fn cosign(
        &self,
        last: Option<&Checkpoint>,
        note: &str,
        proof: &[Digest],
        time_s: u64,
    ) -> Result<Cosigned, LedgerError> {
        let note = Note::parse(note)?;
        let checkpoint = Checkpoint::parse(note.text())?;
        let origin = log_origin(self.consortium);
        if checkpoint.origin != origin || last.is_some_and(|l| l.origin != origin) {
            return Err(LedgerError::Origin { origin: crate::identity::clip(&checkpoint.origin) });
        }
        note.verify(&origin, &self.log_key)?;
        if let Some(last) = last {
            self.check_continues(last, &checkpoint, proof)?;
        }
        let name = cosigner_name(self.consortium, self.hospital);
        let signature = cosign_text(&name, note.text(), time_s, self.identity)?;
        Ok(Cosigned { checkpoint, signature })
    }

    fn check_continues(
        &self,
        last: &Checkpoint,
        new: &Checkpoint,
        proof: &[Digest],
    ) -> Result<(), LedgerError> {
        let (old, new) = (&last.head, &new.head);
        if new.size < old.size {
            return Err(LedgerError::Rollback { seen: old.size, presented: new.size });
        }
        let forked = LedgerError::Fork { seen: old.size, presented: new.size };
        if proof.len() > PROOF_HASHES_MAX {
            return Err(forked);
        }
        verify_consistency(old, new, proof).map_err(|_| forked)
    }
}
