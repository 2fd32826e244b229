//! ark-groth16 on our constraints, variables and key.

use ark_bls12_381::Bls12_381;
use ark_groth16::{Groth16, PreparedVerifyingKey, Proof, ProvingKey, prepare_verifying_key};
use ark_relations::gr1cs::Result as Synthesis;
use ark_relations::utils::matrix::Matrix;
use ward_circuits::Element;
use ward_circuits::groth16::KeyParts;
use ward_circuits::r1cs::Matrices;

use self::recorded::Recorded;

#[path = "../../../../circuits/src/testing/stock.rs"]
mod recorded;

/// A key of ark-groth16, and what it proves.
pub struct Stock<'a> {
    recorded: Recorded<'a>,
    key: ProvingKey<Bls12_381>,
    prepared: PreparedVerifyingKey<Bls12_381>,
    /// A, B and C, as its prover takes them when they are at hand.
    matrices: Vec<Matrix<Element>>,
}

impl<'a> Stock<'a> {
    /// The key of these parts.
    pub fn new(matrices: &'a Matrices, variables: &'a [Element], parts: KeyParts) -> Self {
        let key = recorded::key(parts);
        let rows = |matrix| -> Matrix<Element> {
            let flipped =
                |row: Vec<(usize, Element)>| row.into_iter().map(|(at, value)| (value, at)).collect();
            matrices.rows(matrix).map(|row| flipped(row.collect())).collect()
        };
        Self {
            prepared: prepare_verifying_key(&key.vk),
            matrices: [&matrices.a, &matrices.b, &matrices.c].map(rows).into(),
            recorded: Recorded { matrices, variables },
            key,
        }
    }

    /// Proves as its documentation says: the constraint system is built for every proof.
    pub fn prove(&self) -> Synthesis<Proof<Bls12_381>> {
        Groth16::<Bls12_381>::create_proof_with_reduction(self.recorded, &self.key, 3u64.into(), 4u64.into())
    }

    /// Proves with the matrices at hand.
    pub fn prove_cached(&self) -> Synthesis<Proof<Bls12_381>> {
        Groth16::<Bls12_381>::create_proof_with_reduction_and_matrices(
            &self.key,
            3u64.into(),
            4u64.into(),
            &self.matrices,
            self.recorded.matrices.inputs + 1,
            self.recorded.matrices.constraints,
            self.recorded.variables,
        )
    }

    /// Whether a proof holds.
    pub fn verify(&self, proof: &Proof<Bls12_381>, inputs: &[Element]) -> bool {
        Groth16::<Bls12_381>::verify_proof(&self.prepared, proof, inputs).unwrap_or(false)
    }
}
