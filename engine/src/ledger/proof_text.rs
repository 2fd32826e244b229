//! The text form of an inclusion proof, as c2sp.org/tlog-proof has it, for the tools of others.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::merkle::{self, PROOF_HASHES_MAX};
use super::note::{Checkpoint, NOTE_BYTES_MAX, Note};
use super::{LedgerError, log_origin};
use crate::identity::{Digest, PublicKey};

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";

/// A proof that a digest is in the log: index, inclusion proof, checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlogProof {
    /// Index of the leaf.
    pub index: u64,
    /// Inclusion proof, from the leaf's sibling up.
    pub proof: Vec<Digest>,
    /// The checkpoint with its signatures.
    pub checkpoint: Note,
}

impl TlogProof {
    /// The text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("{FIRST_LINE}\nindex {}\n", self.index);
        for hash in &self.proof {
            text.push_str(&STANDARD.encode(hash.0));
            text.push('\n');
        }
        format!("{text}\n{}", self.checkpoint)
    }

    /// Reads the text; extra data, which nothing authenticates, is refused.
    ///
    /// # Errors
    /// [`LedgerError::Note`].
    pub fn parse(text: &str) -> Result<Self, LedgerError> {
        let malformed = |reason| LedgerError::Note { reason };
        if text.len() > 2 * NOTE_BYTES_MAX {
            return Err(malformed("too long"));
        }
        let (head, note) = text.split_once("\n\n").ok_or(malformed("no empty line before the checkpoint"))?;
        let mut lines = head.split('\n');
        if lines.next() != Some(FIRST_LINE) {
            return Err(malformed("not a c2sp.org/tlog-proof@v1"));
        }
        let number = lines.next().and_then(|line| line.strip_prefix("index "));
        let number = number.ok_or(malformed("no index line"))?;
        let index: u64 = number.parse().map_err(|_| malformed("the index is no number"))?;
        if index.to_string() != number {
            return Err(malformed("the index is not written canonically"));
        }
        let mut proof = Vec::new();
        for line in lines {
            let hash = STANDARD.decode(line).ok().and_then(|bytes| Digest::from_slice(&bytes));
            proof.push(hash.ok_or(malformed("a proof line is not 32 bytes of base64"))?);
            if proof.len() > PROOF_HASHES_MAX {
                return Err(malformed("the proof is too long"));
            }
        }
        Ok(Self { index, proof, checkpoint: Note::parse(note)? })
    }

    /// Checks that the digest is in the log of a consortium whose key is known.
    ///
    /// # Errors
    /// [`LedgerError`] naming what does not hold.
    pub fn verify(&self, entry: &Digest, consortium: &str, log_key: &PublicKey) -> Result<(), LedgerError> {
        let checkpoint = Checkpoint::parse(self.checkpoint.text())?;
        if checkpoint.origin != log_origin(consortium) {
            return Err(LedgerError::Origin { origin: crate::identity::clip(&checkpoint.origin) });
        }
        self.checkpoint.verify(&checkpoint.origin, log_key)?;
        let head = checkpoint.head;
        merkle::verify_inclusion(&merkle::leaf_hash(&entry.0), self.index, head.size, &self.proof, &head.root)
    }
}
