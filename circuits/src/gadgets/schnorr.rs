//! [`crate::schnorr`] as constraints: s G = R + c A, with c = Poseidon(R, A, m) taken as a whole number below r.
//!
//! The key comes from a tree whose root is public; that it is a point of order q is checked by who puts it there
//! ([`crate::schnorr::PublicKey::from_bytes`]). s is any number below 2^252: adding q to it makes another witness of
//! the same statement, and nothing else.

use ark_ff::PrimeField;

use super::jubjub::{PointVar, SCALAR_BITS, generator_times};
use super::numbers::canonical_bits;
use super::poseidon;
use crate::poseidon::Domain;
use crate::r1cs::{Builder, Num};
use crate::schnorr::Signature;

/// Requires the signature to be of `key` over `message`.
pub fn verify(builder: &mut Builder, key: &PointVar, message: &Num, signature: &Signature) {
    let commitment = PointVar::witness(builder, &signature.commitment);
    let inputs = [&commitment.x, &commitment.y, &key.x, &key.y, message].map(Num::clone);
    let challenge = poseidon::hash(builder, Domain::Challenge, &inputs);
    let challenge_bits = canonical_bits(builder, &challenge);
    let response = signature.response.into_bigint().0;
    let response_bits: Vec<_> =
        (0..SCALAR_BITS).map(|place| builder.bit(response[place / 64] >> (place % 64) & 1 == 1)).collect();
    let left = generator_times(builder, &response_bits);
    let right = key.times(builder, &challenge_bits).add(builder, &commitment);
    left.enforce_equal(builder, &right);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::Element;
    use crate::schnorr::{PublicKey, SigningKey};
    use crate::testing::rng;
    use ark_ec::AffineRepr;

    fn satisfied(key: &PublicKey, message: Element, signature: &Signature) -> bool {
        let (mut builder, inputs) = Builder::shape(&[message]);
        let key = PointVar::witness(&mut builder, &key.point());
        verify(&mut builder, &key, &inputs[0], signature);
        let (matrices, variables) = builder.finish();
        matrices.first_unsatisfied(variables.expose()).is_none()
    }

    #[test]
    fn the_gadget_accepts_what_verification_accepts() {
        let rng = &mut rng(3);
        let (key, other) = (SigningKey::generate(rng), SigningKey::generate(rng));
        for message in [0u64, 1, u64::MAX].map(Element::from) {
            let signature = key.sign(&message, rng);
            assert!(satisfied(&key.public_key(), message, &signature));
            assert!(!satisfied(&other.public_key(), message, &signature));
            assert!(!satisfied(&key.public_key(), message + Element::from(1u64), &signature));
            let mut changed = signature;
            changed.response += ark_ed_on_bls12_381::Fr::from(1u64);
            assert!(!satisfied(&key.public_key(), message, &changed));
            changed = signature;
            changed.commitment = ark_ed_on_bls12_381::EdwardsAffine::generator();
            assert!(!satisfied(&key.public_key(), message, &changed));
        }
    }
}
