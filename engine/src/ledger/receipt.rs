//! Receipts: what a researcher keeps, and anybody can verify offline.
//!
//! Only [`Receipt::verify`] makes a [`VerifiedReceipt`]. Adversary: the engine, any hospital but those of the
//! quorum, and whoever carried the file may all be malicious; the trust anchors are honest.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::commitment::Commitment;
use super::cosign::{Cosignature, verify_cosignature};
use super::merkle::PROOF_HASHES_MAX;
use super::note::{Checkpoint, Note};
use super::proof_text::TlogProof;
use super::{LedgerError, cosigner_name};
use crate::identity::{CaCertificate, Digest, IdentityError, PublicKey, Role};

/// Largest receipt file read, in bytes.
pub const RECEIPT_BYTES_MAX: usize = 1 << 20;
const RECEIPT_VERSION: u32 = 1;
const CERTIFICATES_MAX: usize = 1025;

/// A receipt, not verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// Version of this file form.
    pub ward_receipt: u32,
    /// What the result commits to.
    pub commitment: Commitment,
    /// Index of its leaf in the log.
    pub leaf_index: u64,
    /// Inclusion proof, from the leaf's sibling up.
    pub inclusion_proof: Vec<Digest>,
    /// The checkpoint: a signed note with the engine's signature and the hospitals' cosignatures.
    pub checkpoint: String,
    /// Certificates of the engine and of the hospitals that cosigned (DER in base64).
    pub certificates: Vec<String>,
    /// The authority's certificate (DER in base64). It is for people to inspect: it is trusted only when it is
    /// one of the trust anchors.
    pub authority: String,
    /// Where it is anchored besides, as the engine says; not part of what is verified offline.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub anchors: Vec<ReceiptAnchor>,
}

/// What a chain has, for those who verify to look there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptAnchorKind {
    /// The commitment by itself.
    Commitment,
    /// A checkpoint that covers it.
    Checkpoint,
}

/// Where the engine says that the commitment is anchored. Nothing vouches for it: a node of one's own does
/// (`ward verify --evm-rpc`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptAnchor {
    /// The chain's id.
    pub chain_id: u64,
    /// The anchor log's address.
    pub contract: String,
    /// What it is.
    pub kind: ReceiptAnchorKind,
    /// Leaves of the checkpoint's tree; 0 for a commitment.
    pub size: u64,
    /// The block.
    pub block: u64,
    /// The transaction, when the engine sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<Digest>,
    /// Inclusion proof of the leaf in the checkpoint's tree; empty for a commitment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inclusion_proof: Vec<Digest>,
}

/// Whom the verifier trusts.
///
/// # Security
/// Who holds the authority's key can certify any key under a hospital's name. The operator holds it; so against
/// an operator who forges hospitals, pin their keys.
#[derive(Clone, Debug)]
pub enum TrustAnchors {
    /// The consortium's authority: the signers' certificates must be its own.
    Authority(CaCertificate),
    /// Pinned keys; the certificates in the receipt are not looked at.
    Pinned {
        /// The engine's key.
        engine: PublicKey,
        /// Keys of the hospitals by name.
        hospitals: BTreeMap<String, PublicKey>,
    },
}

/// How many of the participants must have cosigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quorum {
    /// Every hospital that took part.
    Participants,
    /// At least this many of those that took part.
    AtLeast(usize),
}

/// A receipt that holds. Only [`Receipt::verify`] makes one.
#[derive(Clone, Debug)]
pub struct VerifiedReceipt {
    commitment: Commitment,
    leaf_index: u64,
    tree_size: u64,
    cosignatures: Vec<Cosignature>,
    engine: PublicKey,
}

/// Why a receipt is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// Not a receipt.
    #[error("not a receipt: {reason}")]
    Malformed {
        /// What is malformed.
        reason: String,
    },
    /// Of a version this software does not know.
    #[error("version {found} is not known here (known: {known})")]
    Version {
        /// Found.
        found: u32,
        /// Known.
        known: u32,
    },
    /// The commitment disagrees with itself.
    #[error("the commitment is refused: {reason}")]
    Commitment {
        /// Which rule refuses it.
        reason: String,
    },
    /// A certificate is refused.
    #[error("a signer's certificate is refused: {0}")]
    Certificate(#[from] IdentityError),
    /// The authority is not the one trusted.
    #[error("the receipt names another authority than the one trusted")]
    Authority,
    /// Nobody vouches for a signer.
    #[error("there is no trusted key of {signer}")]
    Untrusted {
        /// `engine`, or the hospital.
        signer: String,
    },
    /// The log's part does not hold.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Too few hospitals cosigned.
    #[error("cosigned by {cosigned} of the hospitals that took part, {needed} needed; missing: {missing}")]
    Quorum {
        /// How many did.
        cosigned: usize,
        /// How many must.
        needed: usize,
        /// Who did not, comma separated.
        missing: String,
    },
}

impl ReceiptError {
    /// A stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "receipt.malformed",
            Self::Version { .. } => "receipt.version",
            Self::Commitment { .. } => "receipt.commitment",
            Self::Certificate(_) => "receipt.certificate",
            Self::Authority => "receipt.authority",
            Self::Untrusted { .. } => "receipt.untrusted",
            Self::Ledger(error) => error.code(),
            Self::Quorum { .. } => "receipt.quorum",
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Version { .. } => Some("verify it with the version of ward that made it, or a newer one"),
            Self::Authority => {
                Some("get the consortium's ca.pem from somebody you trust, not with the receipt")
            }
            Self::Quorum { .. } => Some("fetch the receipt again later: hospitals may still cosign"),
            Self::Ledger(error) => error.hint(),
            _ => None,
        }
    }
}

struct Keys {
    engine: PublicKey,
    hospitals: BTreeMap<String, PublicKey>,
}

impl Receipt {
    /// Puts a receipt together.
    #[must_use]
    pub fn new(
        commitment: Commitment,
        proof: &TlogProof,
        certificates: &[Vec<u8>],
        authority: &[u8],
    ) -> Self {
        Self {
            ward_receipt: RECEIPT_VERSION,
            commitment,
            leaf_index: proof.index,
            inclusion_proof: proof.proof.clone(),
            checkpoint: proof.checkpoint.to_string(),
            certificates: certificates.iter().map(|der| STANDARD.encode(der)).collect(),
            authority: STANDARD.encode(authority),
            anchors: Vec::new(),
        }
    }

    /// Reads the JSON file.
    ///
    /// # Errors
    /// [`ReceiptError::Malformed`] or [`ReceiptError::Version`].
    pub fn from_json(json: &[u8]) -> Result<Self, ReceiptError> {
        let malformed = |reason: String| ReceiptError::Malformed { reason };
        if json.len() > RECEIPT_BYTES_MAX {
            return Err(malformed(format!("{} bytes, at most {RECEIPT_BYTES_MAX}", json.len())));
        }
        let receipt: Self = serde_json::from_slice(json).map_err(|e| malformed(e.to_string()))?;
        if receipt.ward_receipt != RECEIPT_VERSION {
            return Err(ReceiptError::Version { found: receipt.ward_receipt, known: RECEIPT_VERSION });
        }
        if receipt.certificates.len() > CERTIFICATES_MAX || receipt.inclusion_proof.len() > PROOF_HASHES_MAX {
            return Err(malformed("too many certificates or hashes".to_owned()));
        }
        check_anchors(&receipt.anchors)?;
        Ok(receipt)
    }

    /// The JSON file, for people to read too.
    ///
    /// # Errors
    /// [`ReceiptError::Malformed`] when it is too large to be read again.
    pub fn to_json(&self) -> Result<String, ReceiptError> {
        let malformed = |reason: String| ReceiptError::Malformed { reason };
        let json = serde_json::to_string_pretty(self).map_err(|e| malformed(e.to_string()))?;
        if json.len() > RECEIPT_BYTES_MAX {
            return Err(malformed(format!("{} bytes, at most {RECEIPT_BYTES_MAX}", json.len())));
        }
        Ok(json)
    }

    /// The log's part as c2sp.org/tlog-proof text; its entry is the digest of the commitment.
    ///
    /// # Errors
    /// [`LedgerError::Note`] when the checkpoint is malformed.
    pub fn to_tlog_proof(&self) -> Result<TlogProof, LedgerError> {
        let checkpoint = Note::parse(&self.checkpoint)?;
        Ok(TlogProof { index: self.leaf_index, proof: self.inclusion_proof.clone(), checkpoint })
    }

    /// Verifies the receipt offline.
    ///
    /// Checked: the commitment agrees with itself; the signers' keys (certified by the authority at the time the
    /// job finished, or pinned); the checkpoint is of the consortium's log and signed by the engine; the
    /// commitment is in its tree; every cosignature that is there holds, and the quorum is reached.
    ///
    /// # Errors
    /// [`ReceiptError`] naming the first thing that does not hold.
    pub fn verify(&self, trust: &TrustAnchors, quorum: Quorum) -> Result<VerifiedReceipt, ReceiptError> {
        self.commitment.check()?;
        let keys = self.keys(trust)?;
        let proof = self.to_tlog_proof()?;
        let consortium = &self.commitment.consortium;
        proof.verify(&self.commitment.digest(), consortium, &keys.engine)?;
        let tree_size = Checkpoint::parse(proof.checkpoint.text())?.head.size;
        let mut cosignatures = Vec::new();
        let mut missing = Vec::new();
        for hospital in &self.commitment.participants {
            let name = cosigner_name(consortium, hospital);
            let found = match keys.hospitals.get(hospital) {
                Some(key) => verify_cosignature(&proof.checkpoint, &name, key)?,
                None => None,
            };
            match found {
                Some(cosignature) => cosignatures.push(cosignature),
                None => missing.push(hospital.as_str()),
            }
        }
        let needed = match quorum {
            Quorum::Participants => self.commitment.participants.len(),
            Quorum::AtLeast(count) => count,
        };
        if cosignatures.len() < needed {
            let (cosigned, missing) = (cosignatures.len(), missing.join(", "));
            return Err(ReceiptError::Quorum { cosigned, needed, missing });
        }
        let (commitment, leaf_index) = (self.commitment.clone(), self.leaf_index);
        Ok(VerifiedReceipt { commitment, leaf_index, tree_size, cosignatures, engine: keys.engine })
    }

    fn keys(&self, trust: &TrustAnchors) -> Result<Keys, ReceiptError> {
        let authority = match trust {
            TrustAnchors::Pinned { engine, hospitals } => {
                return Ok(Keys { engine: *engine, hospitals: hospitals.clone() });
            }
            TrustAnchors::Authority(ca) => ca,
        };
        if decode(&self.authority)? != authority.der() {
            return Err(ReceiptError::Authority);
        }
        let finished_s = (self.commitment.finished_at_ms / 1000) as i64;
        let mut engine = None;
        let mut hospitals = BTreeMap::new();
        for certificate in &self.certificates {
            let member = authority.verify(&decode(certificate)?, finished_s)?;
            let replaced = match member.role {
                Role::Engine => engine.replace(member.key),
                Role::Hospital => hospitals.insert(member.name, member.key),
                _ => Some(member.key),
            };
            if replaced.is_some() {
                let reason = "a certificate is repeated, or of a member who signs no receipt".to_owned();
                return Err(ReceiptError::Malformed { reason });
            }
        }
        let engine = engine.ok_or_else(|| ReceiptError::Untrusted { signer: "engine".to_owned() })?;
        Ok(Keys { engine, hospitals })
    }
}

/// Most anchors of a receipt.
const ANCHORS_MAX: usize = 64;

/// Checks the sizes of what a receipt says of anchors.
pub(super) fn check_anchors(anchors: &[ReceiptAnchor]) -> Result<(), ReceiptError> {
    if anchors.len() > ANCHORS_MAX || anchors.iter().any(|a| a.inclusion_proof.len() > PROOF_HASHES_MAX) {
        return Err(ReceiptError::Malformed { reason: "too many anchors or hashes".to_owned() });
    }
    Ok(())
}

/// The bytes of a certificate in a receipt.
pub(super) fn decode(base64: &str) -> Result<Vec<u8>, ReceiptError> {
    STANDARD
        .decode(base64)
        .map_err(|_| ReceiptError::Malformed { reason: "a certificate is not base64".to_owned() })
}

impl VerifiedReceipt {
    /// What the result commits to.
    #[must_use]
    pub fn commitment(&self) -> &Commitment {
        &self.commitment
    }

    /// Index of the leaf, and size of the tree it was shown in.
    #[must_use]
    pub fn position(&self) -> (u64, u64) {
        (self.leaf_index, self.tree_size)
    }

    /// Who cosigned, and when.
    #[must_use]
    pub fn cosignatures(&self) -> &[Cosignature] {
        &self.cosignatures
    }

    /// The engine's key.
    #[must_use]
    pub fn engine(&self) -> &PublicKey {
        &self.engine
    }
}
