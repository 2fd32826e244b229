//! ark-groth16 on our constraints, variables and key.

use ark_bls12_381::Bls12_381;
use ark_groth16::{Groth16, PreparedVerifyingKey, Proof, ProvingKey, VerifyingKey, prepare_verifying_key};
use ark_relations::gr1cs::{
    ConstraintSynthesizer, ConstraintSystemRef, LinearCombination, Result as Synthesis, Variable,
};
use ark_relations::utils::matrix::Matrix;
use ward_circuits::Element;
use ward_circuits::groth16::KeyParts;
use ward_circuits::r1cs::Matrices;

/// A key of ark-groth16, and what it proves.
pub struct Stock<'a> {
    recorded: Recorded<'a>,
    key: ProvingKey<Bls12_381>,
    prepared: PreparedVerifyingKey<Bls12_381>,
    /// A, B and C, as its prover takes them when they are at hand.
    matrices: Vec<Matrix<Element>>,
}

/// Recorded constraints for the constraint system of arkworks.
#[derive(Clone, Copy)]
struct Recorded<'a> {
    matrices: &'a Matrices,
    variables: &'a [Element],
}

impl ConstraintSynthesizer<Element> for Recorded<'_> {
    fn generate_constraints(self, cs: ConstraintSystemRef<Element>) -> Synthesis<()> {
        let mut variables = vec![Variable::one()];
        for (at, value) in self.variables.iter().enumerate().skip(1) {
            let input = at <= self.matrices.inputs;
            variables.push(if input {
                cs.new_input_variable(|| Ok(*value))?
            } else {
                cs.new_witness_variable(|| Ok(*value))?
            });
        }
        let Matrices { a, b, c, .. } = self.matrices;
        let [a, b, c] = [a, b, c].map(|matrix| self.matrices.rows(matrix));
        for ((a, b), c) in a.zip(b).zip(c) {
            let [a, b, c] = [a.collect::<Vec<_>>(), b.collect(), c.collect()].map(|row| {
                LinearCombination(row.into_iter().map(|(column, value)| (value, variables[column])).collect())
            });
            cs.enforce_r1cs_constraint(|| a, || b, || c)?;
        }
        Ok(())
    }
}

impl<'a> Stock<'a> {
    /// The key of these parts.
    pub fn new(matrices: &'a Matrices, variables: &'a [Element], parts: KeyParts) -> Self {
        let key = ProvingKey {
            vk: VerifyingKey {
                alpha_g1: parts.alpha_g1,
                beta_g2: parts.beta_g2,
                gamma_g2: parts.gamma_g2,
                delta_g2: parts.delta_g2,
                gamma_abc_g1: parts.inputs_g1,
            },
            beta_g1: parts.beta_g1,
            delta_g1: parts.delta_g1,
            a_query: parts.a_g1,
            b_g1_query: parts.b_g1,
            b_g2_query: parts.b_g2,
            h_query: parts.quotient_g1,
            l_query: parts.witnesses_g1,
        };
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
