//! Proofs of contributions to encrypted aggregates (`WITH PROOFS`): what a hospital sends with its contribution, what a
//! receipt carries, and how both are checked.
//!
//! A contribution's proof says: the commitment is to the count and the sum of the rows that this hospital published
//! under its root before the question, where the count reaches the floor, and else to zeros. Commitments add up
//! (Pedersen, [`ward_circuits::pedersen`]), and what blinds them goes through the same encrypted sum as the numbers do:
//! so the researcher, who decrypts the totals, opens the sum of the commitments, and nobody opens one.
//!
//! # Security
//! Adversary: malicious engine, hospitals that encrypt other numbers than they prove, whoever carried the receipt. What
//! the researcher opens is the total of proved counts and sums as long as discrete logarithms on Jubjub are hard and
//! the key's ceremony had one honest contributor. Not shown: that the rows under a root are the hospital's patients,
//! that they are those of the dataset version, and to anybody but the researcher that the released total opens.

mod key;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use ward_circuits::aggregate::{FLOOR_MAX, Public};
use ward_circuits::field::from_bytes;
use ward_circuits::groth16::PROOF_BYTES;
use ward_circuits::pedersen::{COMMITMENT_BYTES, Commitment};

pub use self::key::{ContributionProver, ContributionVerifier, Made, Secrets, capacity, known, root};
use crate::encoding::{Digest, HexBytes};
use crate::identity::Canonical;
use crate::problem::{Problem, ProblemKind};
use crate::query::plan::Plan;
use crate::query::proved::Proved;

/// What a hospital proves of its contribution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContributionProof {
    /// The count under which it committed to zeros.
    pub floor: u32,
    /// The commitment to count and sum: a point of Jubjub, 64 bytes.
    pub commitment: HexBytes,
    /// The proof, 192 bytes.
    pub proof: HexBytes,
}

/// What a receipt carries: the question as it was proved, and every participant's proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proofs {
    /// What was proved.
    pub of: Proved,
    /// By hospital.
    pub contributions: BTreeMap<String, ContributionProof>,
}

/// Why proofs are refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProofsError {
    /// A contribution came without one, or with one that nobody asked for.
    #[error("{hospital} proved nothing, or what nobody asked")]
    Absent {
        /// Whose.
        hospital: String,
    },
    /// Bytes that are no commitment or proof, or a floor under the plan's.
    #[error("the proof of {hospital} is malformed: {reason}")]
    Malformed {
        /// Whose.
        hospital: String,
        /// What is wrong.
        reason: String,
    },
    /// A proof of something else.
    #[error("the proof of {hospital} does not hold: {reason}")]
    Invalid {
        /// Whose.
        hospital: String,
        /// Why.
        reason: String,
    },
    /// A key of another statement or id than what was proved.
    #[error("the key is {found}, what was proved names {expected}")]
    Key {
        /// Statement and id that the question names.
        expected: String,
        /// Those of the key.
        found: String,
    },
    /// The commitments do not open to the released numbers.
    #[error("the hospitals' commitments do not add up to the released count and sum")]
    Total,
}

impl ProofsError {
    /// A stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Absent { .. } => "proofs.absent",
            Self::Malformed { .. } => "proofs.malformed",
            Self::Invalid { .. } => "proofs.invalid",
            Self::Key { .. } => "proofs.key",
            Self::Total => "proofs.total",
        }
    }
}

impl From<ProofsError> for Problem {
    fn from(error: ProofsError) -> Self {
        let hint = match error {
            ProofsError::Key { .. } => "take the key that the consortium's ceremony made for this statement",
            _ => "do not use this answer; keep the receipt and tell the consortium",
        };
        Self::new(ProblemKind::Authorization, error.code(), error.to_string()).hint(hint)
    }
}

impl ContributionProof {
    /// As a contribution's signature and a receipt bind it.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        Canonical::new("contribution-proof/1")
            .number(u64::from(self.floor))
            .bytes(&self.commitment.0)
            .bytes(&self.proof.0)
            .finish()
    }

    /// The public input that it is about.
    fn public(&self, of: &Proved, hospital: &str) -> Result<Public, ProofsError> {
        let malformed = |reason: &str| ProofsError::Malformed {
            hospital: hospital.to_owned(),
            reason: reason.to_owned(),
        };
        if self.floor > FLOOR_MAX {
            return Err(malformed("its floor is above the highest"));
        }
        if self.proof.0.len() != PROOF_BYTES {
            return Err(malformed("it has another length"));
        }
        let root = of.roots.get(hospital).ok_or_else(|| malformed("the hospital published no rows"))?;
        let root = from_bytes(&root.0).map_err(|_| malformed("the hospital's root is none"))?;
        Ok(Public { root, predicate: of.predicate(), floor: self.floor, commitment: self.point(hospital)? })
    }

    fn point(&self, hospital: &str) -> Result<Commitment, ProofsError> {
        let bytes = <&[u8; COMMITMENT_BYTES]>::try_from(self.commitment.0.as_slice()).ok();
        bytes.and_then(|bytes| Commitment::from_bytes(bytes).ok()).ok_or_else(|| ProofsError::Malformed {
            hospital: hospital.to_owned(),
            reason: "its commitment is no point of the group".to_owned(),
        })
    }
}

impl Proofs {
    /// As a receipt's commitment binds it.
    #[must_use]
    pub fn bind(&self, canonical: Canonical) -> Canonical {
        let of = crate::encoding::canonical_json(&self.of);
        canonical
            .text("proofs/1")
            .bytes(&of)
            .each(self.contributions.iter(), |c, (name, proof)| c.text(name).bytes(&proof.canonical()))
    }

    /// Checks that every commitment is a point, so that a receipt without sense is not kept.
    ///
    /// # Errors
    /// [`ProofsError::Malformed`].
    pub fn check(&self) -> Result<(), ProofsError> {
        self.contributions.iter().try_for_each(|(name, proof)| proof.public(&self.of, name).map(drop))
    }

    /// Verifies every proof.
    ///
    /// # Errors
    /// The first that does not hold, with whose it is.
    pub fn verify(&self, key: &ContributionVerifier) -> Result<(), ProofsError> {
        self.contributions.iter().try_for_each(|(name, proof)| key.verify(&self.of, name, proof))
    }

    /// Checks that the commitments add up to what was decrypted.
    ///
    /// # Errors
    /// [`ProofsError::Total`], [`ProofsError::Malformed`].
    pub fn open(&self, plan: &Plan, slots: &[i128]) -> Result<(), ProofsError> {
        let claim = plan.claim(slots).ok_or(ProofsError::Total)?;
        let points = self
            .contributions
            .iter()
            .map(|(name, proof)| proof.point(name))
            .collect::<Result<Vec<_>, _>>()?;
        Commitment::total(&points).open(claim.count, claim.sum, &claim.pieces).map_err(|_| ProofsError::Total)
    }
}

/// Checks the proof that came with a contribution: there where the plan asks for it, over the floor of the plan, holding.
///
/// # Errors
/// [`ProofsError`].
pub fn check_contribution(
    plan: &Plan,
    hospital: &str,
    proof: Option<&ContributionProof>,
    key: Option<&ContributionVerifier>,
) -> Result<(), ProofsError> {
    let (of, proof) = match (&plan.proved, proof) {
        (None, None) => return Ok(()),
        (Some(of), Some(proof)) => (of, proof),
        _ => return Err(ProofsError::Absent { hospital: hospital.to_owned() }),
    };
    if proof.floor < plan.floor {
        let reason = format!("its floor is {}, the consortium's {}", proof.floor, plan.floor);
        return Err(ProofsError::Malformed { hospital: hospital.to_owned(), reason });
    }
    match key {
        Some(key) => key.verify(of, hospital, proof),
        None => proof.public(of, hospital).map(drop),
    }
}

/// A root, as a catalogue has it.
#[must_use]
pub fn root_digest(root: &ward_circuits::Element) -> Digest {
    Digest(ward_circuits::field::to_bytes(root))
}
