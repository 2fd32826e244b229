//! [`crate::poseidon`] as constraints: three for each S-box, 243 for a permutation of width 3, 405 of width 9.
//!
//! Round constants and matrices are linear: they cost nothing.

use crate::field::Element;
use crate::poseidon::{Domain, Parameters, parameters_for};
use crate::r1cs::{Builder, Num};

/// The hash of numbers, as [`crate::poseidon::hash`] computes it.
pub fn hash(builder: &mut Builder, domain: Domain, inputs: &[Num]) -> Num {
    let parameters = parameters_for(inputs.len());
    let mut state = vec![Num::zero(); parameters.width()];
    state[0] = builder.constant(domain.initial(inputs.len()));
    for block in inputs.chunks(parameters.width() - 1) {
        for (lane, input) in state[1..].iter_mut().zip(block) {
            *lane = &*lane + input;
        }
        permute(builder, parameters, &mut state);
    }
    state.swap_remove(1)
}

fn permute(builder: &mut Builder, parameters: &Parameters, state: &mut Vec<Num>) {
    for (round, constants) in parameters.rounds().enumerate() {
        let boxes = if parameters.is_full(round) { state.len() } else { 1 };
        for (at, (lane, constant)) in state.iter_mut().zip(constants).enumerate() {
            *lane = &*lane + &builder.constant(*constant);
            if at < boxes {
                *lane = fifth_power(builder, lane);
            }
        }
        *state = parameters.matrix().map(|row| combination(row, state)).collect();
    }
}

fn fifth_power(builder: &mut Builder, num: &Num) -> Num {
    let square = builder.mul(num, num);
    let fourth = builder.mul(&square, &square);
    // The fourth power on the left: it stays out of B, whose points are the prover's dearest.
    builder.mul(&fourth, num)
}

fn combination(row: &[Element], state: &[Num]) -> Num {
    Num::combination(state.iter().zip(row.iter().copied()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gadget_computes_the_hash_and_every_variable_of_it_is_bound() {
        for len in [1, 2, 5, 8, 9, 20] {
            let inputs: Vec<Element> = (7..7 + len).map(Element::from).collect();
            let (mut builder, nums) = Builder::shape(&inputs);
            let digest = hash(&mut builder, Domain::Slots, &nums);
            assert_eq!(digest.value(), crate::poseidon::hash(Domain::Slots, &inputs));
            let output = builder.witness(digest.value());
            builder.enforce_equal(&output, &digest);
            crate::testing::assert_bound(builder);
        }
    }

    #[test]
    fn a_permutation_costs_three_constraints_for_each_s_box() {
        for (inputs, cost) in [(2, 243), (8, 405), (9, 810)] {
            let (mut builder, nums) = Builder::shape(&vec![Element::from(3u64); inputs]);
            hash(&mut builder, Domain::Slots, &nums);
            assert_eq!(builder.finish().0.constraints, cost);
        }
    }
}
