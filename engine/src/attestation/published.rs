//! The issuers in force, as a consortium's log has them: one file that says so offline.
//!
//! The engine states, under its signature and a time, which publication of each issuer is the latest, and shows each in its
//! log. A verifier holds its registry against that.
//!
//! # Security
//! Inclusion shows that a publication was logged, not that none came after it: that is the engine's word. An engine that
//! leaves a later publication out has signed a statement that the later publication's own proof refutes (its leaf lies
//! below the size of the tree in the statement). Without the statement's time nothing about "latest" could be said offline,
//! so a verifier bounds its age.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::documents::{ISSUERS_MAX, Registry, Signed};
use super::error::AttestationError;
use super::publication::{PublicationDocument, leaf};
use crate::encoding::Digest;
use crate::identity::{CaCertificate, Identity, PublicKey, Role, clip};
use crate::ledger::merkle::PROOF_HASHES_MAX;
use crate::ledger::{Checkpoint, LedgerError, Note, TlogProof};

/// Hours for which a statement is accepted unless the verifier says otherwise.
pub const PUBLISHED_HOURS: u32 = 48;

const CONTEXT: &str = "ward/v1/published-issuers";
const WHAT: &str = "a statement of published issuers";
const HOUR_MS: u64 = 3_600_000;
/// How far two clocks may differ, in milliseconds.
const SKEW_MS: u64 = 300_000;

/// What the engine states.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedStatement {
    /// Version of this form: 1.
    pub ward_published_issuers: u32,
    /// The consortium.
    pub consortium: String,
    /// When it was stated (unix milliseconds).
    pub at_unix_ms: u64,
    /// Leaves of the log then.
    pub size: u64,
    /// The latest publication of each issuer, by name.
    pub issuers: Vec<StatedIssuer>,
}

/// One issuer of a statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatedIssuer {
    /// Its name.
    pub name: String,
    /// The organisation whose issuer published first under the name.
    pub organisation: String,
    /// Number of the latest publication.
    pub sequence: u64,
    /// Its leaf.
    pub leaf: Digest,
}

/// A publication in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoggedPublication {
    /// The issuer's word.
    pub publication: Signed,
    /// Index of its leaf.
    pub leaf_index: u64,
    /// Inclusion proof, from the leaf's sibling up.
    pub inclusion_proof: Vec<Digest>,
}

/// The statement with everything that shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedIssuers {
    /// Signed by the engine.
    pub statement: Signed,
    /// The checkpoint, signed by the engine.
    pub checkpoint: String,
    /// The engine's certificate (DER in base64).
    pub certificate: String,
    /// The publications, in the statement's order.
    pub publications: Vec<LoggedPublication>,
}

/// A statement that holds. Only [`PublishedIssuers::verify`] makes one.
#[derive(Clone, Debug)]
pub struct VerifiedPublished {
    statement: PublishedStatement,
    words: Vec<(PublicationDocument, PublicKey)>,
}

impl PublishedIssuers {
    /// Signs a statement. `checkpoint` is the log's, of the size in the statement.
    #[must_use]
    pub fn new(
        statement: &PublishedStatement,
        (checkpoint, certificate): (&Note, &[u8]),
        publications: Vec<LoggedPublication>,
        identity: &Identity,
    ) -> Self {
        Self {
            statement: Signed::sign(identity, CONTEXT, statement),
            checkpoint: checkpoint.to_string(),
            certificate: STANDARD.encode(certificate),
            publications,
        }
    }

    /// Verifies offline: the engine was certified by this authority when it said so, its signature is under statement and
    /// checkpoint, every publication is signed and in the tree, and the statement is about these publications.
    ///
    /// # Errors
    /// [`AttestationError::Published`], [`AttestationError::Log`], or the signature that does not hold.
    pub fn verify(&self, authority: &CaCertificate) -> Result<VerifiedPublished, AttestationError> {
        let statement: PublishedStatement = self.statement.open(CONTEXT, WHAT)?;
        if statement.ward_published_issuers != 1 {
            let found = statement.ward_published_issuers;
            return Err(AttestationError::Version { what: WHAT, found, known: 1 });
        }
        let refused = |reason| AttestationError::Published { reason };
        let certificate =
            STANDARD.decode(&self.certificate).map_err(|_| refused("its certificate is not base64"))?;
        let engine = authority.verify(&certificate, (statement.at_unix_ms / 1000) as i64)?;
        if engine.role != Role::Engine || engine.key != self.statement.signer {
            return Err(refused("it is not signed by the consortium's engine"));
        }
        let count = statement.issuers.len();
        let is_sorted = statement.issuers.windows(2).all(|pair| pair[0].name < pair[1].name);
        if count > ISSUERS_MAX || self.publications.len() != count || !is_sorted {
            return Err(refused("its issuers and their publications do not match"));
        }
        let checkpoint = Note::parse(&self.checkpoint).map_err(AttestationError::Log)?;
        let head = Checkpoint::parse(checkpoint.text()).map_err(AttestationError::Log)?.head;
        if head.size != statement.size {
            return Err(refused("its checkpoint is of another size"));
        }
        let mut words = Vec::with_capacity(count);
        for (stated, logged) in statement.issuers.iter().zip(&self.publications) {
            let word = PublicationDocument::open(&logged.publication)?;
            let is_it = word.consortium == statement.consortium
                && word.issuer == stated.name
                && word.sequence == stated.sequence
                && leaf(&logged.publication) == stated.leaf;
            if !is_it {
                return Err(refused("it names another publication than it shows"));
            }
            if logged.inclusion_proof.len() > PROOF_HASHES_MAX {
                return Err(AttestationError::Log(LedgerError::Proof { what: "inclusion" }));
            }
            let proof = TlogProof {
                index: logged.leaf_index,
                proof: logged.inclusion_proof.clone(),
                checkpoint: checkpoint.clone(),
            };
            proof.verify(&stated.leaf, &statement.consortium, &engine.key).map_err(AttestationError::Log)?;
            words.push((word, logged.publication.signer));
        }
        Ok(VerifiedPublished { statement, words })
    }
}

impl VerifiedPublished {
    /// What the engine stated.
    #[must_use]
    pub fn statement(&self) -> &PublishedStatement {
        &self.statement
    }

    /// Checks that it was said at most so many hours ago.
    ///
    /// # Errors
    /// [`AttestationError::PublishedStale`].
    pub fn check_age(&self, hours_max: u32, now_ms: u64) -> Result<(), AttestationError> {
        let at_ms = self.statement.at_unix_ms;
        let is_old = now_ms.saturating_sub(at_ms) > u64::from(hours_max) * HOUR_MS;
        if is_old || at_ms > now_ms.saturating_add(SKEW_MS) {
            return Err(AttestationError::PublishedStale { at_ms });
        }
        Ok(())
    }

    /// Checks that every issuer of a registry stands there with the key and the revocations that are the latest in the log.
    ///
    /// # Errors
    /// [`AttestationError::Unpublished`] for an issuer, key or list that the log does not have;
    /// [`AttestationError::Outdated`] for revocations that a later publication replaced.
    pub fn check(&self, registry: &Registry) -> Result<(), AttestationError> {
        for entry in registry.entries() {
            let (name, own) = (&entry.issuer.name, &entry.revocations);
            let unpublished = |reason| AttestationError::Unpublished { issuer: clip(name), reason };
            let found = self.words.iter().find(|(word, _)| word.issuer == *name);
            let (word, identity) = found.ok_or_else(|| unpublished("nothing of it is there"))?;
            if *identity != entry.issuer.identity || word.issuer_document != entry.document {
                return Err(unpublished("another key is there"));
            }
            if word.sequence > own.sequence {
                let (published, known) = (word.sequence, own.sequence);
                return Err(AttestationError::Outdated { issuer: clip(name), published, known });
            }
            if word.sequence < own.sequence {
                return Err(unpublished("these revocations are not there yet"));
            }
            if word.root != own.root || word.issued_unix_ms != own.issued_unix_ms {
                return Err(unpublished("other revocations of the same number are there"));
            }
        }
        Ok(())
    }
}
