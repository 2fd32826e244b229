//! Poseidon over the scalar field of BLS12-381: the one hash that statements compute.
//!
//! Source: Grassi, Khovratovich, Rechberger, Roy, Schofnegger, "Poseidon: A New Hash Function for Zero-Knowledge
//! Proof Systems", USENIX Security 2021 (eprint 2019/458): the permutation (section 2.2), the sponge (section 2.1).
//! Instances: x^5, 8 full rounds, 128-bit security; width 3 with 57 partial rounds (the published
//! `poseidonperm_x5_255_3`) for one and two inputs, width 9 with 63 for more. Constants: [`parameters`].
//!
//! The capacity lane starts from a hash of the domain and of the number of inputs, so that neither two uses nor
//! two lengths share an input; the last block is filled with zeros. Output: the first lane of the rate.

pub mod parameters;

use ark_ff::Field;

use crate::field::{Element, hash_bytes};
pub use parameters::{Parameters, WIDTH_NARROW, WIDTH_WIDE, narrow, wide};

/// What a hash is for. Each use has its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Domain {
    /// The slots of a credential, their completeness, the patient's key and the salt.
    Slots,
    /// What an issuer signs.
    Credential,
    /// The challenge of a signature.
    Challenge,
    /// The public name of a holder's secret.
    Holder,
    /// A patient in one study.
    Nullifier,
    /// An inner node of a tree.
    Node,
    /// Four intervals of a set: the leaf of its tree.
    Intervals,
    /// The leaf of an issuer.
    Issuer,
    /// The bounds and headers of criteria.
    Criteria,
    /// Criteria, schema and study together.
    Terms,
    /// The leaf of a consent.
    Consent,
    /// A purpose, a data class and a request for data, as a consent is asked for them.
    Request,
    /// A patient in one request.
    Subject,
    /// A predicate over the columns of a dataset.
    Predicate,
    /// The rows of a dataset and what hides them.
    Dataset,
}

impl Domain {
    /// The name that enters the hash.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Slots => "ward/slots/1",
            Self::Credential => "ward/credential/1",
            Self::Challenge => "ward/challenge/1",
            Self::Holder => "ward/holder/1",
            Self::Nullifier => "ward/nullifier/1",
            Self::Node => "ward/node/1",
            Self::Intervals => "ward/intervals/1",
            Self::Issuer => "ward/issuer/1",
            Self::Criteria => "ward/criteria/1",
            Self::Terms => "ward/terms/1",
            Self::Consent => "ward/consent/1",
            Self::Request => "ward/request/1",
            Self::Subject => "ward/subject/1",
            Self::Predicate => "ward/predicate/1",
            Self::Dataset => "ward/dataset/1",
        }
    }

    /// What the capacity lane starts from, for so many inputs.
    #[must_use]
    pub fn initial(self, inputs: usize) -> Element {
        hash_bytes("ward/poseidon/1", &[self.name().as_bytes(), &(inputs as u64).to_be_bytes()])
    }
}

/// The instance that hashes so many inputs.
#[must_use]
pub fn parameters_for(inputs: usize) -> &'static Parameters {
    if inputs < WIDTH_NARROW { narrow() } else { wide() }
}

/// Hashes a fixed number of elements for one use.
#[must_use]
pub fn hash(domain: Domain, inputs: &[Element]) -> Element {
    let parameters = parameters_for(inputs.len());
    let rate = parameters.width() - 1;
    let mut state = vec![Element::from(0u64); parameters.width()];
    state[0] = domain.initial(inputs.len());
    let blocks = inputs.chunks(rate);
    if blocks.len() == 0 {
        permute(parameters, &mut state);
    }
    for block in blocks {
        for (lane, input) in state[1..].iter_mut().zip(block) {
            *lane += input;
        }
        permute(parameters, &mut state);
    }
    let digest = state[1];
    zeroize::Zeroize::zeroize(&mut state);
    digest
}

/// The permutation, in place. `state` has the width of the instance.
pub fn permute(parameters: &Parameters, state: &mut [Element]) {
    let mut next = state.to_vec();
    for (round, constants) in parameters.rounds().enumerate() {
        for (lane, constant) in state.iter_mut().zip(constants) {
            *lane += constant;
        }
        let boxes = if parameters.is_full(round) { state.len() } else { 1 };
        for lane in &mut state[..boxes] {
            *lane *= lane.square().square();
        }
        for (sum, row) in next.iter_mut().zip(parameters.matrix()) {
            *sum = row.iter().zip(state.iter()).map(|(entry, lane)| *entry * lane).sum();
        }
        state.copy_from_slice(&next);
    }
    zeroize::Zeroize::zeroize(&mut next);
}

#[cfg(test)]
mod tests;
