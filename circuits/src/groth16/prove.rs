//! The prover.
//!
//! Source: Groth 2016, section 3.2; the quotient polynomial as in Ben-Sasson, Chiesa, Genkin, Tromer, Virza,
//! CRYPTO 2013, section 5.3.1 (evaluation on a coset, where the vanishing polynomial is a constant), less one transform.

use ark_ff::{FftField, Field};
use ark_poly::{EvaluationDomain, Radix2EvaluationDomain};
use rand_core::CryptoRng;
use rayon::prelude::*;
use ward_math::Secret;
use zeroize::Zeroize;

use super::curve::{Group, scalar_bytes};
use super::proof::Proof;
use super::proving_key::ProvingKey;
use super::sum::sum;
use crate::field::{Element, random};
use crate::r1cs::{Builder, Matrices, SparseMatrix};
use crate::statement::ConstrainedStatement;

/// Why there is no proof. Nothing of the witness is in it but the condition's name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProveError<V: std::error::Error> {
    /// The statement is false, for this reason; nothing was computed.
    #[error("the statement does not hold: {0}")]
    Violation(#[source] V),
    /// The key has other variables than the statement.
    #[error("the key is for {expected} variables, the statement has {found}")]
    Variables {
        /// Variables of the key.
        expected: usize,
        /// Variables of the statement.
        found: usize,
    },
    /// The proof does not verify: the key or the machine is at fault. It is not handed out.
    #[error("the proof that was computed does not hold")]
    Faulty,
}

impl<S: ConstrainedStatement> ProvingKey<'_, S> {
    /// Proves that the statement holds for `public`. The relation is checked first, so that a false statement costs
    /// nothing; the proof is verified last, so that a fault of the machine does not leave it.
    ///
    /// # Errors
    /// [`ProveError`].
    pub fn prove<R: CryptoRng + ?Sized>(
        &self,
        public: &S::Public,
        witness: &S::Witness,
        rng: &mut R,
    ) -> Result<Proof<S>, ProveError<S::Violation>> {
        S::check(public, witness).map_err(ProveError::Violation)?;
        let inputs = S::public_inputs(public);
        let expected = self.matrices.variables();
        let (mut builder, nums) = Builder::assignment(&inputs, expected);
        S::synthesize(&mut builder, &nums, public, witness);
        let variables = builder.into_variables();
        let found = variables.expose().len();
        if found != expected {
            return Err(ProveError::Variables { expected, found });
        }
        let proof = self.assemble(variables.expose(), rng);
        self.verifying.check_equation(&inputs, &proof).map_err(|_| ProveError::Faulty)?;
        Ok(proof)
    }

    fn assemble<R: CryptoRng + ?Sized>(&self, variables: &[Element], rng: &mut R) -> Proof<S> {
        let (r, s) = (Secret::new(random(rng)), Secret::new(random(rng)));
        let scalars = Secret::new(bytes_of(variables));
        let all = scalars.expose().as_slice();
        let own = &all[32 * (1 + S::INPUTS)..];
        let (quotient_sum, ((b_g2, a), (own_sum, b_g1))) = rayon::join(
            || {
                let coefficients = quotient(&self.matrices, variables);
                let scalars = Secret::new(bytes_of(coefficients.expose()));
                sum(&self.quotient_g1, scalars.expose())
            },
            || {
                rayon::join(
                    || rayon::join(|| sum(&self.b_g2, all), || sum(&self.a_g1, all)),
                    || rayon::join(|| sum(&self.witnesses_g1, own), || sum(&self.b_g1, all)),
                )
            },
        );
        let (r, s) = (r.expose(), s.expose());
        let a = self.alpha_g1.add(&a).add(&self.delta_g1.times(r));
        let b = self.beta_g2.add(&b_g2).add(&self.delta_g2.times(s));
        let b_g1 = self.beta_g1.add(&b_g1).add(&self.delta_g1.times(s));
        let blinding = a.times(s).add(&b_g1.times(r)).add(&self.delta_g1.times(&-(*r * s)));
        Proof::new(a, b, own_sum.add(&quotient_sum).add(&blinding))
    }
}

fn bytes_of(elements: &[Element]) -> Vec<u8> {
    let mut bytes = vec![0; 32 * elements.len()];
    bytes
        .par_chunks_mut(32)
        .zip(elements)
        .for_each(|(chunk, element)| chunk.copy_from_slice(&scalar_bytes(element)));
    bytes
}

/// The product of a matrix with the variables, over the domain.
fn product(matrices: &Matrices, matrix: &SparseMatrix, variables: &[Element], size: usize) -> Vec<Element> {
    let mut values = vec![Element::from(0u64); size];
    values[..matrices.constraints].par_chunks_mut(1024).enumerate().for_each(|(chunk, rows)| {
        matrices.product_rows(matrix, variables, 1024 * chunk, rows);
    });
    values
}

/// The coefficients of h = (A B - C) / t, the degree of which is two below the size n of the domain.
///
/// On the coset g H the polynomial X^n is the constant k = g^n, so that A B = C + (X^n - 1) h is there C + (k - 1) h,
/// both of degree below n: the coefficients that the coset gives for A B, less those of C, are k - 1 times those of h. So
/// C is not taken to the coset: six transforms, where dividing values takes seven.
fn quotient(matrices: &Matrices, variables: &[Element]) -> Secret<Vec<Element>> {
    let size = matrices.domain_size();
    let domain = Radix2EvaluationDomain::<Element>::new(size).expect("the field has 2^32 roots of unity");
    let coset = domain.get_coset(Element::GENERATOR).expect("the generator is not zero");
    let mut a = Secret::new(product(matrices, &matrices.a, variables, size));
    for (value, input) in
        a.expose_mut()[matrices.constraints..].iter_mut().zip(&variables[..=matrices.inputs])
    {
        *value = *input;
    }
    let mut b = Secret::new(product(matrices, &matrices.b, variables, size));
    let pairs = a.expose().par_iter().zip(b.expose());
    let mut c: Secret<Vec<Element>> = Secret::new(pairs.map(|(a, b)| *a * b).collect());
    let to_coset = |values: &mut Vec<Element>| {
        domain.ifft_in_place(values);
        coset.fft_in_place(values);
    };
    rayon::join(
        || to_coset(a.expose_mut()),
        || rayon::join(|| to_coset(b.expose_mut()), || domain.ifft_in_place(c.expose_mut())),
    );
    a.expose_mut().par_iter_mut().zip(b.expose()).for_each(|(a, b)| *a *= b);
    coset.ifft_in_place(a.expose_mut());
    let vanishing = domain.evaluate_vanishing_polynomial(Element::GENERATOR);
    let inverse = vanishing.inverse().expect("the coset has no point of the domain");
    a.expose_mut().par_iter_mut().zip(c.expose()).for_each(|(a, c)| *a = (*a - c) * inverse);
    if let Some(mut last) = a.expose_mut().pop() {
        last.zeroize();
    }
    a
}
