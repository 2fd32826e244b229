//! What is put on the chain, and how far it has come.

use alloy_primitives::Address;
use serde::{Deserialize, Serialize};

use super::EvmError;
use crate::encoding::{HexBytes, canonical_json, separated};
use crate::identity::Digest;

/// Commitments in one transaction at most: about 1.6 million gas.
pub const POST_COMMITMENTS_MAX: usize = 64;
/// Bytes of a proof: A, B, C as EIP-2537 encodes them.
pub const PROOF_BYTES: usize = 512;
/// Public inputs of `ward/eligibility/1`.
pub const INPUTS: usize = 5;

/// One thing to put on the chain. Its content is its name: the same content is posted once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Post {
    /// Digests of result commitments, at most [`POST_COMMITMENTS_MAX`].
    Commitments {
        /// The digests.
        digests: Vec<Digest>,
    },
    /// A checkpoint of the log.
    Checkpoint {
        /// [`log_id`] of the log.
        log: Digest,
        /// Leaves.
        size: u64,
        /// RFC 6962 root.
        root: Digest,
    },
    /// A proof to verify and register.
    Attestation(Box<Attestation>),
}

/// A proof of eligibility for the registry. On a chain that cannot check proofs its commitment is anchored instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attestation {
    /// The attestation's commitment in the log.
    pub commitment: Digest,
    /// A, B, C: [`PROOF_BYTES`].
    pub proof: HexBytes,
    /// Terms, root of the issuers, date, context, nullifier: big-endian, below r.
    pub inputs: [Digest; INPUTS],
    /// What the context was made with, beside [`audience`] and the chain's id.
    pub nonce: Digest,
}

impl Attestation {
    /// Criteria, schema and study.
    pub(super) fn terms(&self) -> &Digest {
        &self.inputs[0]
    }

    /// The patient in the study.
    pub(super) fn nullifier(&self) -> &Digest {
        &self.inputs[4]
    }
}

/// The audience that a proof names in its context when it is made for the registry at that address.
///
/// # Errors
/// [`EvmError::Config`] unless it is an address.
pub fn audience(registry: &str) -> Result<String, EvmError> {
    let address: Result<Address, _> = registry.trim().parse();
    let reason = || "not 0x and 40 hexadecimal characters".to_owned();
    let address = address.map_err(|_| EvmError::Config { field: "registry", reason: reason() })?;
    Ok(format!("0x{}", hex::encode(address)))
}

/// A transaction that is under way, or may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intent {
    /// [`Post::id`] of what it puts on the chain.
    pub post: Digest,
    /// Its nonce: of all transactions with it, the chain takes one.
    pub nonce: u64,
    /// Signed forms with that nonce, rising in fee; kept before they are sent.
    pub attempts: Vec<Attempt>,
}

/// One signed form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    /// The signed transaction.
    pub raw: HexBytes,
    /// Its hash (Keccak-256).
    pub hash: Digest,
    /// Most that it pays for a unit of gas.
    pub fee_wei: u64,
    /// Of that, most to the block's producer.
    pub tip_wei: u64,
    /// Gas limit.
    pub gas: u64,
    /// When it was signed (unix milliseconds).
    pub at_ms: u64,
}

/// How a post ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settlement {
    /// [`Post::id`].
    pub post: Digest,
    /// In what way.
    pub end: End,
    /// Block that has it.
    pub block: u64,
    /// The transaction, when it was sent from here.
    pub transaction: Option<Digest>,
    /// Gas that the transaction used.
    pub gas_used: Option<u64>,
    /// Why the registry refused, by the name of its error.
    pub reason: Option<String>,
}

/// The ways a post ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum End {
    /// It is on the chain, as deep as was asked.
    Anchored,
    /// The proof is verified and registered by the chain.
    Registered,
    /// The chain cannot check proofs; the attestation's commitment is anchored.
    CommitmentOnly,
    /// A larger checkpoint of the log is on the chain.
    Superseded,
    /// The contract refuses the attestation, and will: a proof that does not hold, a nullifier already there.
    Refused,
}

impl Post {
    /// Name of the content.
    #[must_use]
    pub fn id(&self) -> Digest {
        separated("evm-post/1", &[&canonical_json(self)])
    }

    /// Checks lengths and that no digest is zero, which would anchor nothing.
    ///
    /// # Errors
    /// [`EvmError::Outbox`] naming the rule.
    pub fn check(&self) -> Result<(), EvmError> {
        let refuse = |reason: &str| Err(EvmError::Outbox { reason: reason.to_owned() });
        let zero = Digest([0; 32]);
        match self {
            Self::Commitments { digests } if digests.is_empty() || digests.len() > POST_COMMITMENTS_MAX => {
                refuse("a post of no commitments, or of too many")
            }
            Self::Commitments { digests } if digests.contains(&zero) => refuse("a commitment is zero"),
            Self::Checkpoint { root, size, .. } if *root == zero || *size == 0 => {
                refuse("an empty checkpoint")
            }
            Self::Attestation(a) if a.proof.0.len() != PROOF_BYTES => refuse("a proof is not 512 bytes"),
            Self::Attestation(a) if a.commitment == zero => refuse("an attestation's commitment is zero"),
            _ => Ok(()),
        }
    }
}

/// The name of a log on the chain: the digest of its origin line.
#[must_use]
pub fn log_id(origin: &str) -> Digest {
    separated("evm-log/1", &[origin.as_bytes()])
}
