//! The keys of the statement, for each number of rows that it comes in.

use std::path::Path;

use rand_core::CryptoRng;
use ward_circuits::aggregate::{Aggregate, Dataset, Predicate, Public, Row, Witness};
use ward_circuits::field::to_bytes;
use ward_circuits::groth16::Presented;
use ward_circuits::pedersen::{Blinding, Commitment};
use ward_circuits::{ConstrainedStatement as _, Element, Statement as _};

use super::{ContributionProof, ProofsError};
use crate::attestation::AttestationError;
use crate::attestation::keys::{KeyFile, ProverKeyOf, VerifierKeyOf, key_file};
use crate::encoding::{Digest, HexBytes};
use crate::query::proved::Proved;

/// Calls a function for the statement of that name.
macro_rules! by_rows {
    ($statement:expr, $call:ident ( $($argument:expr),* )) => {
        match $statement {
            name if name == Aggregate::<64>::NAME => Some($call::<64>($($argument),*)),
            name if name == Aggregate::<512>::NAME => Some($call::<512>($($argument),*)),
            name if name == Aggregate::<4096>::NAME => Some($call::<4096>($($argument),*)),
            _ => None,
        }
    };
}

/// The rows that a statement has room for; none where it is another.
#[must_use]
pub fn capacity(statement: &str) -> Option<usize> {
    fn rows<const ROWS: usize>() -> usize {
        ROWS
    }
    by_rows!(statement, rows())
}

/// What is known of a key in a folder, which must be of this statement.
///
/// # Errors
/// As [`key_file`]; [`AttestationError::KeyFile`] for the key of another statement.
pub fn known(folder: &Path, allow_development: bool) -> Result<KeyFile, AttestationError> {
    let file = key_file(folder, allow_development)?;
    if capacity(&file.statement).is_none() {
        return Err(another(&file.statement));
    }
    Ok(file)
}

fn another(statement: &str) -> AttestationError {
    AttestationError::KeyFile { reason: format!("it is of {statement}, which is about no contribution") }
}

/// The root of rows under a salt; none for another statement, or more rows than it has room for.
#[must_use]
pub fn root(statement: &str, rows: &[Row], salt: Element) -> Option<Element> {
    fn of<const ROWS: usize>(rows: &[Row], salt: Element) -> Option<Element> {
        Some(Dataset::<ROWS>::new(rows.to_vec(), salt).ok()?.root())
    }
    by_rows!(statement, of(rows, salt)).flatten()
}

type Verify = Box<dyn Fn(Public, &[u8]) -> Result<(), String> + Send + Sync>;

/// What verifies proofs of contributions.
pub struct ContributionVerifier {
    statement: String,
    id: Digest,
    /// Made by one party alone.
    pub is_development: bool,
    verify: Verify,
}

impl ContributionVerifier {
    /// Reads the verifying key of a folder.
    ///
    /// # Errors
    /// As [`VerifierKeyOf::load`]; [`AttestationError::KeyFile`] for the key of another statement.
    pub fn load(folder: &Path, allow_development: bool) -> Result<Self, AttestationError> {
        let file = known(folder, allow_development)?;
        let verify = by_rows!(&file.statement, verifier(folder, allow_development));
        let verify = verify.ok_or_else(|| another(&file.statement))??;
        Ok(Self { statement: file.statement, id: file.id, is_development: file.development, verify })
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> Digest {
        self.id
    }

    /// Checks that this is the key that a question names.
    ///
    /// # Errors
    /// [`ProofsError::Key`].
    pub fn is_of(&self, of: &Proved) -> Result<(), ProofsError> {
        if (&self.statement, self.id) == (&of.statement, of.key) {
            return Ok(());
        }
        let name = |statement: &str, id: &Digest| format!("{statement} {id}");
        Err(ProofsError::Key {
            expected: name(&of.statement, &of.key),
            found: name(&self.statement, &self.id),
        })
    }

    /// Verifies the proof of a hospital.
    ///
    /// # Errors
    /// [`ProofsError`].
    pub fn verify(&self, of: &Proved, hospital: &str, proof: &ContributionProof) -> Result<(), ProofsError> {
        self.is_of(of)?;
        let public = proof.public(of, hospital)?;
        let invalid = |reason| ProofsError::Invalid { hospital: hospital.to_owned(), reason };
        (self.verify)(public, &proof.proof.0).map_err(invalid)
    }
}

fn verifier<const ROWS: usize>(folder: &Path, allow: bool) -> Result<Verify, AttestationError> {
    let loaded = VerifierKeyOf::<Aggregate<ROWS>>::load(folder, allow)?;
    Ok(Box::new(move |public, proof| {
        let inputs = Aggregate::<ROWS>::public_inputs(&public);
        let inputs: Vec<u8> = inputs.iter().flat_map(to_bytes).collect();
        let presented = Presented { key: loaded.key.id(), inputs: &inputs, proof };
        loaded.key.verify(public, &presented).map(drop).map_err(|e| e.to_string())
    }))
}

/// What a hospital proves over: its rows, and what hides them.
pub struct Secrets {
    /// The rows.
    pub rows: Vec<Row>,
    /// The salt of their root.
    pub salt: Element,
    /// What blinds the commitment.
    pub blinding: Blinding,
}

/// A proof with the count and the sum that it commits to.
pub struct Made {
    /// The proof.
    pub proof: ContributionProof,
    /// The root of the rows.
    pub root: Element,
    /// Count and sum, zeros under the floor.
    pub shown: (u64, u64),
}

type Prove = Box<dyn Fn(Secrets, (Predicate, u32), &mut dyn CryptoRng) -> Result<Made, String> + Send + Sync>;

/// What proves contributions.
pub struct ContributionProver {
    statement: String,
    id: Digest,
    prove: Prove,
}

impl ContributionProver {
    /// Reads the proving key of a folder.
    ///
    /// # Errors
    /// As [`ProverKeyOf::load`]; [`AttestationError::KeyFile`] for the key of another statement.
    pub fn load(folder: &Path, allow_development: bool) -> Result<Self, AttestationError> {
        let file = known(folder, allow_development)?;
        let prove = by_rows!(&file.statement, prover(folder, allow_development));
        let prove = prove.ok_or_else(|| another(&file.statement))??;
        Ok(Self { statement: file.statement, id: file.id, prove })
    }

    /// Whether this is the key that a question names.
    #[must_use]
    pub fn is_of(&self, of: &Proved) -> bool {
        (&self.statement, self.id) == (&of.statement, of.key)
    }

    /// Proves what the rows show under a predicate and a floor.
    ///
    /// # Errors
    /// What went wrong, without anything of the rows.
    pub fn prove(
        &self,
        secrets: Secrets,
        asked: (Predicate, u32),
        rng: &mut dyn CryptoRng,
    ) -> Result<Made, String> {
        (self.prove)(secrets, asked, rng)
    }
}

fn prover<const ROWS: usize>(folder: &Path, allow: bool) -> Result<Prove, AttestationError> {
    let loaded = ProverKeyOf::<Aggregate<ROWS>>::load(folder, allow)?;
    Ok(Box::new(move |secrets, (predicate, floor), rng| {
        let Secrets { rows, salt, blinding } = secrets;
        let dataset = Dataset::<ROWS>::new(rows, salt).map_err(|e| e.to_string())?;
        let (root, shown) = (dataset.root(), dataset.shown(&predicate, floor));
        let commitment = Commitment::new(shown.0, shown.1, &blinding);
        let public = Public { root, predicate, floor, commitment };
        let key = loaded.open().map_err(|e| e.to_string())?;
        let proof = key.prove(&public, &Witness { dataset, blinding }, rng).map_err(|e| e.to_string())?;
        let bytes = |bytes: &[u8]| HexBytes(bytes.to_vec());
        let proof = ContributionProof {
            floor,
            commitment: bytes(&commitment.to_bytes()),
            proof: bytes(&proof.to_bytes()),
        };
        Ok(Made { proof, root, shown })
    }))
}
