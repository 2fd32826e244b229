//! ark-groth16 on our constraints, variables and keys: for tests here, and for the comparison in `bench`.

use ark_bls12_381::Bls12_381;
use ark_groth16::{ProvingKey, VerifyingKey};
use ark_relations::gr1cs::{
    ConstraintSynthesizer, ConstraintSystemRef, LinearCombination, Result as Synthesis, Variable,
};

use super::{Element, KeyParts, Matrices};

/// Recorded constraints with their variables, for the constraint system of arkworks.
#[derive(Clone, Copy)]
pub(crate) struct Recorded<'a> {
    pub(crate) matrices: &'a Matrices,
    pub(crate) variables: &'a [Element],
}

impl ConstraintSynthesizer<Element> for Recorded<'_> {
    fn generate_constraints(self, cs: ConstraintSystemRef<Element>) -> Synthesis<()> {
        let mut variables = vec![Variable::one()];
        for (at, value) in self.variables.iter().enumerate().skip(1) {
            variables.push(if at <= self.matrices.inputs {
                cs.new_input_variable(|| Ok(*value))?
            } else {
                cs.new_witness_variable(|| Ok(*value))?
            });
        }
        let [a, b, c] = [&self.matrices.a, &self.matrices.b, &self.matrices.c].map(|m| self.matrices.rows(m));
        for ((a, b), c) in a.zip(b).zip(c) {
            let [a, b, c] = [a.collect::<Vec<_>>(), b.collect(), c.collect()].map(|row| {
                LinearCombination(row.into_iter().map(|(column, value)| (value, variables[column])).collect())
            });
            cs.enforce_r1cs_constraint(|| a, || b, || c)?;
        }
        Ok(())
    }
}

/// A key of these parts.
pub(crate) fn key(parts: KeyParts) -> ProvingKey<Bls12_381> {
    ProvingKey {
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
    }
}
