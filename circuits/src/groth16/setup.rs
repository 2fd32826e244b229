//! A key from one party that knows everything: for tests, benches and the demo.
//!
//! The key that hospitals use comes from the ceremony. Whoever runs the function here can prove false statements, and
//! so can whoever reads its memory.

use ark_bls12_381::{G1Projective, G2Projective};
use ark_ec::scalar_mul::BatchMulPreprocessing;
use ark_ec::{CurveGroup, PrimeGroup};
use ark_ff::{AdditiveGroup, Field};
use ark_poly::{EvaluationDomain, Radix2EvaluationDomain};
use rand_core::CryptoRng;
use ward_math::Secret;
use zeroize::Zeroize;

use super::key::VerifyingKey;
use super::parts::KeyParts;
use super::proving_key::{KeyError, ProvingKey};
use crate::field::{Element, random};
use crate::r1cs::{Matrices, SparseMatrix};
use crate::statement::{ConstrainedStatement, constraints};

/// What nobody may know.
#[derive(Zeroize)]
struct Trapdoor {
    tau: Element,
    alpha: Element,
    beta: Element,
    gamma: Element,
    delta: Element,
}

/// Makes a key alone, and knows how to forge proofs for it. Returns the verifying key and the proving key's file.
///
/// # Security
/// None against who runs it.
///
/// # Errors
/// None that a statement of this crate can cause; [`KeyError`] for one whose constraints do not match its inputs.
pub fn insecure_single_party_setup<S: ConstrainedStatement>(
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<(VerifyingKey<S>, Vec<u8>), KeyError> {
    let (matrices, _) = constraints::<S>();
    ProvingKey::write(&matrices, &insecure_single_party_parts(&matrices, rng))
}

/// The parts of a key for these constraints, made alone.
///
/// # Security
/// None against who runs it.
pub fn insecure_single_party_parts(matrices: &Matrices, rng: &mut (impl CryptoRng + ?Sized)) -> KeyParts {
    let trapdoor = Secret::new(Trapdoor {
        tau: nonzero(rng),
        alpha: nonzero(rng),
        beta: nonzero(rng),
        gamma: nonzero(rng),
        delta: nonzero(rng),
    });
    parts(matrices, trapdoor.expose())
}

fn nonzero(rng: &mut (impl CryptoRng + ?Sized)) -> Element {
    loop {
        let element = random(rng);
        if element != Element::ZERO {
            return element;
        }
    }
}

/// The column polynomials of a matrix at tau, for every variable.
fn columns(matrices: &Matrices, matrix: &SparseMatrix, lagrange: &[Element]) -> Vec<Element> {
    let mut values = vec![Element::ZERO; matrices.variables()];
    for (row, basis) in matrices.rows(matrix).zip(lagrange) {
        for (column, coefficient) in row {
            values[column] += coefficient * basis;
        }
    }
    values
}

fn parts(matrices: &Matrices, trapdoor: &Trapdoor) -> KeyParts {
    let Trapdoor { tau, alpha, beta, gamma, delta } = *trapdoor;
    let size = matrices.domain_size();
    let domain = Radix2EvaluationDomain::<Element>::new(size).expect("the field has 2^32 roots of unity");
    let lagrange = domain.evaluate_all_lagrange_coefficients(tau);
    let mut u = columns(matrices, &matrices.a, &lagrange);
    for (value, basis) in u.iter_mut().zip(&lagrange[matrices.constraints..]).take(matrices.inputs + 1) {
        *value += basis;
    }
    let v = columns(matrices, &matrices.b, &lagrange);
    let w = columns(matrices, &matrices.c, &lagrange);
    let mixed: Vec<Element> = u.iter().zip(&v).zip(&w).map(|((u, v), w)| beta * u + alpha * v + w).collect();
    let (inputs, witnesses) = mixed.split_at(matrices.inputs + 1);
    let over = |values: &[Element], by: Element| {
        let inverse = by.inverse().expect("drawn until it is not zero");
        values.iter().map(|value| *value * inverse).collect::<Vec<_>>()
    };
    let vanishing = domain.evaluate_vanishing_polynomial(tau);
    let powers = std::iter::successors(Some(vanishing), |power| Some(*power * tau));
    let quotient: Vec<Element> = powers.take(size - 1).collect();
    let (g1, g2) = (G1Projective::generator(), G2Projective::generator());
    let in_g1 = BatchMulPreprocessing::new(g1, 4 * size);
    let in_g2 = BatchMulPreprocessing::new(g2, size);
    KeyParts {
        alpha_g1: (g1 * alpha).into_affine(),
        beta_g1: (g1 * beta).into_affine(),
        beta_g2: (g2 * beta).into_affine(),
        gamma_g2: (g2 * gamma).into_affine(),
        delta_g1: (g1 * delta).into_affine(),
        delta_g2: (g2 * delta).into_affine(),
        inputs_g1: in_g1.batch_mul(&over(inputs, gamma)),
        a_g1: in_g1.batch_mul(&u),
        b_g1: in_g1.batch_mul(&v),
        b_g2: in_g2.batch_mul(&v),
        witnesses_g1: in_g1.batch_mul(&over(witnesses, delta)),
        quotient_g1: in_g1.batch_mul(&over(&quotient, delta)),
    }
}
