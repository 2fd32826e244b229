//! Bits, ranges and logic.

use ark_ff::{AdditiveGroup, Field, One};

use crate::field::{Element, to_bits};
use crate::r1cs::{Bit, Builder, Num};

/// New bits that hold an index, lowest first.
pub fn index_bits(builder: &mut Builder, index: usize, width: usize) -> Vec<Bit> {
    (0..width).map(|place| builder.bit(index >> place & 1 == 1)).collect()
}

/// Requires `num` to be below `2^width`, if `condition` is one; of a condition of zero, nothing.
pub fn range_if(builder: &mut Builder, condition: &Num, num: &Num, width: usize) {
    let scaled = builder.mul(num, condition);
    builder.bits(&scaled, width);
}

/// `1 - bit`.
pub fn not(builder: &Builder, bit: &Num) -> Num {
    &builder.constant(Element::one()) - bit
}

/// One if one of the two bits is.
pub fn or(builder: &mut Builder, a: &Num, b: &Num) -> Num {
    let both = builder.mul(a, b);
    &(a + b) - &both
}

/// The 255 bits of a number, lowest first, as those of a whole number below the modulus.
///
/// The bits are compared with r - 1 from the top, run by run. `equal` is one where all bits so far are those of
/// r - 1: a run of ones keeps it (`u * v = 1 - equal'` with u the number of mismatches forces equal' = 1 at u = 0,
/// and v is free elsewhere), and in a run of zeros, where it is one, no bit may be set. Two constraints for a pair
/// of runs, 255 for the bits.
pub fn canonical_bits(builder: &mut Builder, num: &Num) -> Vec<Bit> {
    let bits: Vec<Bit> = to_bits(&num.value()).into_iter().map(|bit| builder.bit(bit)).collect();
    builder.enforce_equal(&Num::from_bits(&bits), num);
    enforce_below_modulus(builder, &bits);
    bits
}

fn enforce_below_modulus(builder: &mut Builder, bits: &[Bit]) {
    let largest = to_bits(&-Element::one());
    let one = builder.constant(Element::one());
    let mut equal = one.clone();
    let mut end = bits.len();
    while end > 0 {
        let ones = largest[end - 1];
        let start = largest[..end].iter().rposition(|&bit| bit != ones).map_or(0, |at| at + 1);
        let sum = Num::combination(bits[start..end].iter().map(|bit| (bit.num(), Element::one())));
        if ones {
            let length = builder.constant(Element::from((end - start) as u64));
            let mismatches = &(&length - &sum) + &(&one - &equal);
            let inverse = mismatches.value().inverse().unwrap_or(Element::ZERO);
            let inverse_var = builder.witness(inverse);
            let next = builder.witness(Element::one() - mismatches.value() * inverse);
            builder.enforce(&mismatches, &inverse_var, &(&one - &next));
            equal = next;
        } else {
            builder.enforce(&equal, &sum, &Num::zero());
        }
        end = start;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_ff::PrimeField;
    use proptest::prelude::*;

    fn below_modulus(bits: &[bool]) -> bool {
        let (mut builder, _) = Builder::shape(&[]);
        let bits: Vec<Bit> = bits.iter().map(|&bit| builder.bit(bit)).collect();
        enforce_below_modulus(&mut builder, &bits);
        let (matrices, variables) = builder.finish();
        matrices.first_unsatisfied(variables.expose()).is_none()
    }

    /// `r - 1 + more` as 255 bits.
    fn around_the_modulus(more: i64) -> Vec<bool> {
        let mut limbs = Element::MODULUS.0;
        limbs[0] = limbs[0].wrapping_add_signed(more - 1);
        (0..255).map(|place| limbs[place / 64] >> (place % 64) & 1 == 1).collect()
    }

    #[test]
    fn bits_below_the_modulus_are_accepted_and_from_the_modulus_on_refused() {
        for more in [-1, 0] {
            assert!(below_modulus(&around_the_modulus(more)), "r - 1 + {more}");
        }
        for more in [1, 2, 3] {
            assert!(!below_modulus(&around_the_modulus(more)), "r - 1 + {more}");
        }
        assert!(!below_modulus(&[true; 255]));
        assert!(below_modulus(&[false; 255]));
    }

    #[test]
    fn the_second_representation_of_a_small_number_is_refused_by_the_comparison_alone() {
        // 5 + r fits 255 bits and sums to 5 in the field.
        let bits = around_the_modulus(6);
        let sum: Element =
            bits.iter().rev().fold(Element::ZERO, |sum, &bit| sum.double() + Element::from(u64::from(bit)));
        assert_eq!(sum, Element::from(5u64));
        assert!(!below_modulus(&bits));
    }

    proptest! {
        #[test]
        fn a_range_holds_of_the_numbers_below_it_when_asked(value: u64, width in 1usize..64, asked: bool) {
            let (mut builder, inputs) =
                Builder::shape(&[Element::from(value), Element::from(u64::from(asked))]);
            range_if(&mut builder, &inputs[1], &inputs[0], width);
            let (matrices, variables) = builder.finish();
            let satisfied = matrices.first_unsatisfied(variables.expose()).is_none();
            prop_assert_eq!(satisfied, !asked || value < 1 << width);
        }

        #[test]
        fn canonical_bits_are_the_bits(limbs: [u64; 4]) {
            let bytes: Vec<u8> = limbs.iter().flat_map(|limb| limb.to_le_bytes()).collect();
            let value = Element::from_le_bytes_mod_order(&bytes);
            let (mut builder, inputs) = Builder::shape(&[value]);
            let bits = canonical_bits(&mut builder, &inputs[0]);
            prop_assert_eq!(bits.iter().map(Bit::is_set).collect::<Vec<_>>(), to_bits(&value));
            let (matrices, variables) = builder.finish();
            prop_assert!(matrices.first_unsatisfied(variables.expose()).is_none());
        }
    }
}
