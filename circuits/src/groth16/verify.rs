//! The strict verifier. Only what passes it becomes a [`Verified`].

use rand_core::CryptoRng;
use rayon::prelude::*;

use super::curve::{
    G1, Group, LOOP_PAIRS_MAX, Target, Weight, miller_loop, scalar_bytes, weighted, weighted_sum,
};
use super::key::{KeyId, VerifyingKey};
use super::proof::Proof;
use crate::error::DecodeError;
use crate::field::{ELEMENT_BYTES, Element, from_bytes};
use crate::statement::{ConstrainedStatement, Verified};

/// What a prover hands over, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'a> {
    /// The key that the proof is for.
    pub key: KeyId,
    /// The public inputs, 32 bytes each, as [`crate::field::to_bytes`] writes them.
    pub inputs: &'a [u8],
    /// The proof, as [`Proof::to_bytes`] writes it.
    pub proof: &'a [u8],
}

/// Why a proof is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The proof is for another key.
    #[error("the proof is for the key {found}, this key is {expected}")]
    Key {
        /// The key at hand.
        expected: KeyId,
        /// The key that the proof names.
        found: KeyId,
    },
    /// More or fewer public inputs than the statement has.
    #[error("{found} bytes of public inputs where {expected} are due")]
    InputCount {
        /// Bytes due.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// A public input at or above the modulus.
    #[error("public input {index} is at or above the modulus")]
    InputNotCanonical {
        /// Which.
        index: usize,
    },
    /// A public input that is not the statement's.
    #[error("public input {index} is not what the statement says")]
    InputMismatch {
        /// Which.
        index: usize,
    },
    /// Bytes that are no proof.
    #[error("no proof: {0}")]
    Proof(#[source] DecodeError),
    /// The pairing equation does not hold.
    #[error("the proof does not hold")]
    Equation,
    /// One of a batch is not accepted.
    #[error("proof {index} of the batch is not accepted")]
    InBatch {
        /// Which, counted from zero.
        index: usize,
    },
}

/// Reads public inputs: exactly as many as the statement has, each below the modulus.
fn decode_inputs<S: ConstrainedStatement>(bytes: &[u8]) -> Result<Vec<Element>, VerifyError> {
    let expected = ELEMENT_BYTES * S::INPUTS;
    if bytes.len() != expected {
        return Err(VerifyError::InputCount { expected, found: bytes.len() });
    }
    let (chunks, _) = bytes.as_chunks::<ELEMENT_BYTES>();
    let input = |(index, chunk)| from_bytes(chunk).map_err(|_| VerifyError::InputNotCanonical { index });
    chunks.iter().enumerate().map(input).collect()
}

impl<S: ConstrainedStatement> VerifyingKey<S> {
    /// Verifies that the statement holds for `public`.
    ///
    /// # Errors
    /// The first check that fails: key, number and range of the inputs, agreement with `public`, the proof's points,
    /// the equation e(A, B) = e(alpha, beta) e(inputs, gamma) e(C, delta).
    pub fn verify(&self, public: S::Public, presented: &Presented<'_>) -> Result<Verified<S>, VerifyError> {
        let (inputs, proof) = self.decode(&public, presented)?;
        self.check_equation(&inputs, &proof)?;
        Ok(Verified::new(public))
    }

    /// Verifies many proofs at once, at about a third of the cost of each alone. All or none are accepted.
    ///
    /// # Security
    /// A batch with a false proof passes with probability 2^-128: each proof's equation enters times a random number
    /// of 128 bits that the prover cannot know (`rng`).
    ///
    /// # Errors
    /// [`VerifyError::InBatch`] with the first proof that is not accepted alone.
    pub fn verify_batch<R: CryptoRng + ?Sized>(
        &self,
        batch: Vec<(S::Public, Presented<'_>)>,
        rng: &mut R,
    ) -> Result<Vec<Verified<S>>, VerifyError>
    where
        S::Public: Send + Sync,
    {
        let decoded: Vec<(Vec<Element>, Proof<S>)> = batch
            .par_iter()
            .enumerate()
            .map(|(index, (public, presented))| {
                self.decode(public, presented).map_err(|_| VerifyError::InBatch { index })
            })
            .collect::<Result<_, _>>()?;
        let weights: Vec<u128> = decoded.iter().map(|_| weight(rng)).collect();
        if !self.holds_together(&decoded, &weights) {
            let fails =
                |(inputs, proof): &(Vec<Element>, Proof<S>)| self.check_equation(inputs, proof).is_err();
            let index = decoded.iter().position(fails);
            return Err(index.map_or(VerifyError::Equation, |index| VerifyError::InBatch { index }));
        }
        Ok(batch.into_iter().map(|(public, _)| Verified::new(public)).collect())
    }

    fn decode(
        &self,
        public: &S::Public,
        presented: &Presented<'_>,
    ) -> Result<(Vec<Element>, Proof<S>), VerifyError> {
        if presented.key != self.id() {
            return Err(VerifyError::Key { expected: self.id(), found: presented.key });
        }
        let inputs = decode_inputs::<S>(presented.inputs)?;
        let expected = S::public_inputs(public);
        if let Some(index) = (0..S::INPUTS).find(|&index| expected.get(index) != inputs.get(index)) {
            return Err(VerifyError::InputMismatch { index });
        }
        let proof = Proof::from_bytes(presented.proof).map_err(VerifyError::Proof)?;
        Ok((inputs, proof))
    }

    /// The pairing equation. `inputs` has one element for each input of the statement.
    pub(super) fn check_equation(&self, inputs: &[Element], proof: &Proof<S>) -> Result<(), VerifyError> {
        let pairs =
            [(proof.a, proof.b), (self.input_sum(inputs), self.gamma_negated), (proof.c, self.delta_negated)];
        if miller_loop(&pairs).final_exp() == self.alpha_beta { Ok(()) } else { Err(VerifyError::Equation) }
    }

    /// The sum of the equations, each times its weight.
    fn holds_together(&self, batch: &[(Vec<Element>, Proof<S>)], weights: &[u128]) -> bool {
        let short: Vec<Weight> = weights.iter().map(|weight| weight.to_le_bytes()).collect();
        let weights: Vec<Element> = weights.iter().map(|weight| Element::from(*weight)).collect();
        let last: Vec<G1> = batch.iter().map(|(_, proof)| proof.c).collect();
        let mut inputs = vec![Element::from(0u64); S::INPUTS];
        for ((values, _), weight) in batch.iter().zip(&weights) {
            for (sum, value) in inputs.iter_mut().zip(values) {
                *sum += *value * weight;
            }
        }
        let total: Element = weights.iter().sum();
        let points: Vec<u8> = std::iter::once(&total).chain(&inputs).flat_map(scalar_bytes).collect();
        let chunk = loop_length(batch.len());
        let mut loops: Vec<Target> = batch
            .par_chunks(chunk)
            .zip(short.par_chunks(chunk))
            .map(|(batch, weights)| {
                let first: Vec<G1> = batch.iter().map(|(_, proof)| proof.a).collect();
                let seconds = batch.iter().map(|(_, proof)| proof.b);
                miller_loop(&weighted(&first, weights).into_iter().zip(seconds).collect::<Vec<_>>())
            })
            .collect();
        loops.push(miller_loop(&[
            (G1::sum_serial(&self.inputs, &points), self.gamma_negated),
            (weighted_sum(&last, &short), self.delta_negated),
            (self.alpha.times(&-total), self.beta),
        ]));
        loops.into_iter().fold(Target::default(), |product, factor| product * factor).final_exp()
            == Target::default()
    }
}

/// Pairs to a Miller loop: as many as `blst` takes through one chain of squarings, and all threads with the same number
/// of loops.
fn loop_length(pairs: usize) -> usize {
    let threads = rayon::current_num_threads().max(1);
    let rounds = pairs.div_ceil(threads * LOOP_PAIRS_MAX).max(1);
    pairs.div_ceil(threads * rounds).max(1)
}

/// A random number of 128 bits.
fn weight<R: CryptoRng + ?Sized>(rng: &mut R) -> u128 {
    let mut bytes = Weight::default();
    rng.fill_bytes(&mut bytes);
    u128::from_le_bytes(bytes)
}
