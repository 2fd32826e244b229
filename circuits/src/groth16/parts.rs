//! The parts of a key, as a ceremony or a setup computes them.

use ark_bls12_381::{G1Affine, G2Affine};

/// A proving key and its verifying key in the notation of Groth 2016, section 3.2, for the variables
/// z = (1, inputs, witnesses) of [`crate::r1cs::Matrices`] and the domain of `n` points that it names.
///
/// With u_i, v_i, w_i the polynomials of column i of A, B, C (row j of the constraints at the j-th point of the
/// domain; after them one row for the constant one and each input with A = 1) and t the domain's vanishing
/// polynomial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyParts {
    /// alpha in G1.
    pub alpha_g1: G1Affine,
    /// beta in G1.
    pub beta_g1: G1Affine,
    /// beta in G2.
    pub beta_g2: G2Affine,
    /// gamma in G2.
    pub gamma_g2: G2Affine,
    /// delta in G1.
    pub delta_g1: G1Affine,
    /// delta in G2.
    pub delta_g2: G2Affine,
    /// `(beta u_i + alpha v_i + w_i) / gamma` for the constant one and the inputs.
    pub inputs_g1: Vec<G1Affine>,
    /// `u_i` for every variable.
    pub a_g1: Vec<G1Affine>,
    /// `v_i` for every variable.
    pub b_g1: Vec<G1Affine>,
    /// `v_i` for every variable.
    pub b_g2: Vec<G2Affine>,
    /// `(beta u_i + alpha v_i + w_i) / delta` for the witnesses.
    pub witnesses_g1: Vec<G1Affine>,
    /// `tau^i t(tau) / delta` for i from 0 to n - 2.
    pub quotient_g1: Vec<G1Affine>,
}
