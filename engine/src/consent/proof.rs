//! A patient's proof of consent: that an active consent for a purpose and a class is under a root that a hospital signed,
//! without saying whose.
//!
//! Statement: `ward/consent/1` (`ward_circuits::consent`), Groth16 over BLS12-381. The hospital makes it, for it holds
//! the tree; whoever gets it needs the verifying key of the setup ceremony, and the authority that certifies the hospital.
//!
//! # Security
//! The file names hospital, version of the root, purpose, class, request, day, and a subject that is the same for two
//! proofs about one patient in one request and unlike in another. The hospital is trusted for what its root contains.

use serde::{Deserialize, Serialize};
use ward_circuits::consent::{ConsentGiven, Public, Witness};
use ward_circuits::eligibility::Day;
use ward_circuits::field::{self, Element, hash_bytes};
use ward_circuits::groth16::{KeyId, Presented, ProvingKey, VerifyingKey};
use ward_circuits::statement::{ConstrainedStatement as _, Statement as _};

use super::roots::day_of;
use super::{ConsentError, Index, Leaf, Pseudonym, Purpose, Roots};
use crate::encoding::{Digest, HexBytes, canonical_json};
use crate::identity::{CaCertificate, Identity, Role, Signature};

/// Context of the signature over a root.
pub const ROOT: &str = "ward/v1/consent-root";
/// Largest proof file, in bytes.
pub const PROOF_FILE_BYTES_MAX: u64 = 64 << 10;
const VERSION: u32 = 1;

/// What a root says, as it is signed and shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RootStatement {
    /// The hospital.
    pub hospital: String,
    /// Counts its roots.
    pub version: u64,
    /// The root: an element of the scalar field of BLS12-381, big-endian.
    pub root: Digest,
    /// When it was made (unix milliseconds).
    pub at_ms: u64,
}

impl RootStatement {
    /// The hospital's signature.
    #[must_use]
    pub fn sign(&self, identity: &Identity) -> Signature {
        identity.sign(ROOT, &[&canonical_json(self)])
    }
}

/// A proof, as a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsentProof {
    /// Version of this file form: 1.
    pub ward_consent_proof: u32,
    /// The root.
    pub root: RootStatement,
    /// The hospital's signature over it.
    pub signature: HexBytes,
    /// The hospital's certificate, DER.
    pub certificate: HexBytes,
    /// What the consent is for.
    pub purpose: Purpose,
    /// Which data: a class, `*` for all, `class@grantee` where it is for one grantee.
    pub class: String,
    /// The request that the proof answers.
    pub request: String,
    /// The day on which the consent is in force: days since 1970-01-01.
    pub day: u32,
    /// The patient in this request.
    pub subject: Digest,
    /// Id of the verifying key.
    pub key: Digest,
    /// The proof.
    pub proof: HexBytes,
}

/// What is proved, and for what.
pub struct Claim<'a> {
    /// The consents.
    pub index: &'a Index,
    /// Their tree.
    pub roots: &'a Roots,
    /// The patient.
    pub pseudonym: Pseudonym,
    /// Purpose and class that must be covered.
    pub wanted: (Purpose, &'a str),
    /// The request.
    pub request: &'a str,
    /// Today (unix milliseconds).
    pub at_ms: u64,
}

fn refuse(reason: &str) -> ConsentError {
    ConsentError::Proof { reason: reason.to_owned() }
}

fn request_element(request: &str) -> Element {
    hash_bytes("ward/consent-request/1", &[request.as_bytes()])
}

impl Claim<'_> {
    /// The leaf that covers what is wanted.
    fn leaf(&self) -> Result<Leaf, ConsentError> {
        let (purpose, class) = self.wanted;
        let today = day_of(self.at_ms);
        let covers = |leaf: &Leaf| {
            leaf.is_active
                && leaf.purpose.covers(purpose)
                && (leaf.class == class || leaf.class == "*")
                && (leaf.days.0..=leaf.days.1).contains(&today)
        };
        let found = self.roots.leaves(self.index, &self.pseudonym).into_iter().find(covers);
        found.ok_or_else(|| refuse("no consent of the patient covers this today"))
    }

    /// Proves it under a root that is signed already.
    ///
    /// # Errors
    /// [`ConsentError::Proof`] when no consent covers it.
    pub fn prove(
        &self,
        key: &ProvingKey<'_, ConsentGiven>,
        (root, signature, certificate): (RootStatement, Signature, &[u8]),
        rng: &mut (impl rand_core::CryptoRng + ?Sized),
    ) -> Result<ConsentProof, ConsentError> {
        let leaf = self.leaf()?;
        let consent = leaf.consent(&self.pseudonym);
        let request = request_element(self.request);
        let (today, subject) = (day_of(self.at_ms), consent.subject(&request));
        let public = Public {
            snapshot: self.roots.snapshot().root(),
            purpose: leaf.purpose.to_string(),
            class: leaf.class.clone(),
            request,
            date: today,
            subject,
        };
        let path = self.roots.snapshot().path(leaf.place);
        let witness =
            Witness { consent, path: path.ok_or_else(|| refuse("the consent is not in the tree"))? };
        ConsentGiven::check(&public, &witness).map_err(|e| refuse(&e.to_string()))?;
        let proof = key.prove(&public, &witness, rng).map_err(|e| refuse(&e.to_string()))?;
        Ok(ConsentProof {
            ward_consent_proof: VERSION,
            root,
            signature: HexBytes(signature.0.to_vec()),
            certificate: HexBytes(certificate.to_vec()),
            purpose: leaf.purpose,
            class: leaf.class,
            request: self.request.to_owned(),
            day: today.0 - day_of(0).0,
            subject: Digest(field::to_bytes(&subject)),
            key: Digest(key.verifying_key().id().0),
            proof: HexBytes(proof.to_bytes().to_vec()),
        })
    }
}

impl ConsentProof {
    /// Verifies the proof, the hospital's signature over the root, and its certificate at the time of the root.
    ///
    /// # Errors
    /// [`ConsentError::Proof`] naming what does not hold.
    pub fn verify(
        &self,
        key: &VerifyingKey<ConsentGiven>,
        authority: &CaCertificate,
    ) -> Result<(), ConsentError> {
        if self.ward_consent_proof != VERSION {
            return Err(refuse("it is of another version"));
        }
        let at_s = i64::try_from(self.root.at_ms / 1000).unwrap_or(i64::MAX);
        let member = authority.verify(&self.certificate.0, at_s).map_err(|e| refuse(&e.to_string()))?;
        if member.role != Role::Hospital || member.name != self.root.hospital {
            return Err(refuse("the certificate is not the hospital's"));
        }
        let signature =
            Signature::from_slice(&self.signature.0).ok_or_else(|| refuse("a malformed signature"))?;
        let signed = member.key.verify(ROOT, &[&canonical_json(&self.root)], &signature);
        signed.map_err(|_| refuse("the root is not signed by the hospital"))?;
        let element =
            |digest: &Digest| field::from_bytes(&digest.0).map_err(|_| refuse("a number is too large"));
        let public = Public {
            snapshot: element(&self.root.root)?,
            purpose: self.purpose.to_string(),
            class: self.class.clone(),
            request: request_element(&self.request),
            date: Day(day_of(0).0.saturating_add(self.day)),
            subject: element(&self.subject)?,
        };
        let inputs: Vec<u8> = ConsentGiven::public_inputs(&public).iter().flat_map(field::to_bytes).collect();
        let presented = Presented { key: KeyId(self.key.0), inputs: &inputs, proof: &self.proof.0 };
        key.verify(public, &presented).map(|_| ()).map_err(|e| refuse(&e.to_string()))
    }
}
