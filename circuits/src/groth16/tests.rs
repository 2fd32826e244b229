//! Keys, proofs and what the verifier refuses, on the smallest statement that has bits, products and two inputs.

use ark_bls12_381::{Bls12_381, G1Affine, G2Affine};
use ark_ec::AffineRepr;
use ark_groth16::{Groth16, prepare_verifying_key};
use ark_serialize::CanonicalDeserialize;
use proptest::prelude::*;
use rand_core::Rng;

use super::curve::Group;
use super::setup::{insecure_single_party_parts, insecure_single_party_setup};
use super::*;
use crate::error::DecodeError;
use crate::field::{Element, to_bytes};
use crate::r1cs::{Builder, Num};
use crate::statement::{ConstrainedStatement, Statement, constraints};
use crate::testing::rng;

/// "The first number is the product of two factors above one of 16 bits, which I know; the second is a label."
#[derive(Debug)]
enum Composite {}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Claim {
    product: u64,
    label: u64,
}

#[derive(Debug, PartialEq, thiserror::Error)]
enum NotComposite {
    #[error("a factor is not above one")]
    TrivialFactor,
    #[error("the product of the factors is not the public number")]
    WrongProduct,
}

impl Statement for Composite {
    const NAME: &'static str = "ward/test/composite/1";
    type Public = Claim;
    type Witness = (u16, u16);
    type Violation = NotComposite;

    fn check(public: &Claim, &(a, b): &(u16, u16)) -> Result<(), NotComposite> {
        if a < 2 || b < 2 {
            return Err(NotComposite::TrivialFactor);
        }
        if u64::from(a) * u64::from(b) != public.product {
            return Err(NotComposite::WrongProduct);
        }
        Ok(())
    }
}

impl ConstrainedStatement for Composite {
    const INPUTS: usize = 2;

    fn public_inputs(public: &Claim) -> Vec<Element> {
        vec![Element::from(public.product), Element::from(public.label)]
    }

    fn synthesize(builder: &mut Builder, inputs: &[Num], _: &Claim, &(a, b): &(u16, u16)) {
        let two = builder.constant(Element::from(2u64));
        let factors = [a, b].map(|factor| {
            let factor = builder.witness(Element::from(factor));
            builder.bits(&(&factor - &two), 16);
            factor
        });
        builder.enforce(&factors[0], &factors[1], &inputs[0]);
    }

    fn example() -> (Claim, (u16, u16)) {
        (Claim { product: 4, label: 0 }, (2, 2))
    }
}

struct Keys {
    verifying: VerifyingKey<Composite>,
    file: Vec<u8>,
}

impl Keys {
    fn new(seed: u64) -> Self {
        let (verifying, file) = insecure_single_party_setup(&mut rng(seed)).unwrap();
        Self { verifying, file }
    }

    fn open(&self) -> ProvingKey<'_, Composite> {
        ProvingKey::open(&self.file, ProvingKey::<Composite>::validate(&self.file).unwrap()).unwrap()
    }

    fn prove(&self, label: u64) -> (Claim, Vec<u8>, Proof<Composite>) {
        let claim = Claim { product: 91, label };
        let proof = self.open().prove(&claim, &(7, 13), &mut rng(label)).unwrap();
        (claim, bytes_of(&claim), proof)
    }

    fn verify(&self, claim: Claim, inputs: &[u8], proof: &[u8]) -> Result<Claim, VerifyError> {
        let presented = Presented { key: self.verifying.id(), inputs, proof };
        self.verifying.verify(claim, &presented).map(|verified| *verified.public())
    }
}

fn bytes_of(claim: &Claim) -> Vec<u8> {
    Composite::public_inputs(claim).iter().flat_map(to_bytes).collect()
}

#[test]
fn a_proof_verifies_and_gives_a_token_of_its_public_input() {
    let keys = Keys::new(1);
    let (claim, inputs, proof) = keys.prove(5);
    assert_eq!(keys.verify(claim, &inputs, &proof.to_bytes()), Ok(claim));
    assert_eq!(Proof::from_bytes(&proof.to_bytes()), Ok(proof));
}

#[test]
fn a_false_statement_is_refused_by_its_reason_and_never_proved() {
    let keys = Keys::new(1);
    let claim = Claim { product: 91, label: 0 };
    for (witness, reason) in [((7, 12), NotComposite::WrongProduct), ((1, 91), NotComposite::TrivialFactor)] {
        match keys.open().prove(&claim, &witness, &mut rng(1)) {
            Err(ProveError::Violation(found)) => assert_eq!(found, reason),
            other => panic!("{other:?}"),
        }
    }
}

/// The same key, variables and proof in the eyes of arkworks: its prover and verifier, and ours.
#[test]
fn arkworks_accepts_our_proof_and_we_accept_that_of_arkworks() {
    let (matrices, _) = constraints::<Composite>();
    let parts = insecure_single_party_parts(&matrices, &mut rng(4));
    let (verifying, file) = ProvingKey::<Composite>::write(&matrices, &parts).unwrap();
    let stock = crate::testing::stock::key(parts.clone());
    let keys = Keys { verifying, file };
    let (claim, inputs, proof) = keys.prove(6);
    let point = |bytes: &[u8]| G1Affine::deserialize_compressed(bytes).unwrap();
    let bytes = proof.to_bytes();
    let theirs = ark_groth16::Proof::<Bls12_381> {
        a: point(&bytes[..48]),
        b: G2Affine::deserialize_compressed(&bytes[48..144]).unwrap(),
        c: point(&bytes[144..]),
    };
    let prepared = prepare_verifying_key(&stock.vk);
    let elements = Composite::public_inputs(&claim);
    assert!(Groth16::<Bls12_381>::verify_proof(&prepared, &theirs, &elements).unwrap());

    let (mut builder, nums) = Builder::shape(&elements);
    Composite::synthesize(&mut builder, &nums, &claim, &(7, 13));
    let (matrices, variables) = builder.finish();
    let circuit = crate::testing::stock::Recorded { matrices: &matrices, variables: variables.expose() };
    let theirs = Groth16::<Bls12_381>::create_proof_with_reduction(
        circuit,
        &stock,
        Element::from(3u64),
        Element::from(4u64),
    )
    .unwrap();
    let mut bytes = Vec::new();
    ark_serialize::CanonicalSerialize::serialize_compressed(&theirs, &mut bytes).unwrap();
    assert_eq!(keys.verify(claim, &inputs, &bytes), Ok(claim));
}

#[test]
fn one_input_too_many_or_too_few_is_refused() {
    let keys = Keys::new(1);
    let (claim, inputs, proof) = keys.prove(5);
    let bytes = proof.to_bytes();
    let longer = [inputs.as_slice(), &[0; 32]].concat();
    let count = |found| Err(VerifyError::InputCount { expected: 64, found });
    assert_eq!(keys.verify(claim, &longer, &bytes), count(96));
    assert_eq!(keys.verify(claim, &inputs[..32], &bytes), count(32));
    assert_eq!(keys.verify(claim, &inputs[..63], &bytes), count(63));
    assert_eq!(keys.verify(claim, &[], &bytes), count(0));
}

#[test]
fn an_input_at_or_above_the_modulus_is_refused() {
    use ark_ff::{BigInteger, PrimeField};
    let keys = Keys::new(1);
    let (claim, mut inputs, proof) = keys.prove(5);
    // 5 + r is 5 in the field, and a second name for it.
    let mut above = Element::MODULUS;
    above.add_with_carry(&5u64.into());
    inputs[32..].copy_from_slice(&above.to_bytes_be());
    let refused = Err(VerifyError::InputNotCanonical { index: 1 });
    assert_eq!(keys.verify(claim, &inputs, &proof.to_bytes()), refused);
    inputs[32..].copy_from_slice(&Element::MODULUS.to_bytes_be());
    assert_eq!(keys.verify(claim, &inputs, &proof.to_bytes()), refused);
}

#[test]
fn inputs_of_another_claim_are_refused_and_so_is_another_claim_of_theirs() {
    let keys = Keys::new(1);
    let (claim, inputs, proof) = keys.prove(5);
    let other = Claim { label: 6, ..claim };
    let bytes = proof.to_bytes();
    assert_eq!(keys.verify(other, &inputs, &bytes), Err(VerifyError::InputMismatch { index: 1 }));
    assert_eq!(keys.verify(other, &bytes_of(&other), &bytes), Err(VerifyError::Equation));
}

#[test]
fn a_proof_for_another_key_is_refused_by_the_keys_id_and_by_the_equation() {
    let (keys, others) = (Keys::new(1), Keys::new(2));
    let (claim, inputs, proof) = keys.prove(5);
    let bytes = proof.to_bytes();
    let presented = Presented { key: keys.verifying.id(), inputs: &inputs, proof: &bytes };
    let refused = others.verifying.verify(claim, &presented).err();
    assert_eq!(
        refused,
        Some(VerifyError::Key { expected: others.verifying.id(), found: keys.verifying.id() })
    );
    assert_eq!(others.verify(claim, &inputs, &bytes), Err(VerifyError::Equation));
}

/// A point of the curve outside the subgroup, compressed.
fn outside_g1() -> Vec<u8> {
    let point = (1u64..)
        .filter_map(|x| G1Affine::get_point_from_x_unchecked(x.into(), false))
        .find(|point| !point.is_in_correct_subgroup_assuming_on_curve())
        .unwrap();
    let mut bytes = Vec::new();
    ark_serialize::CanonicalSerialize::serialize_compressed(&point, &mut bytes).unwrap();
    bytes
}

fn outside_g2() -> Vec<u8> {
    let point = (1u64..)
        .filter_map(|x| G2Affine::get_point_from_x_unchecked(x.into(), false))
        .find(|point| !point.is_in_correct_subgroup_assuming_on_curve())
        .unwrap();
    let mut bytes = Vec::new();
    ark_serialize::CanonicalSerialize::serialize_compressed(&point, &mut bytes).unwrap();
    bytes
}

#[test]
fn a_proof_with_a_point_outside_its_subgroup_off_its_curve_or_at_infinity_is_refused() {
    let keys = Keys::new(1);
    let (claim, inputs, proof) = keys.prove(5);
    let with = |at: usize, point: &[u8]| {
        let mut bytes = proof.to_bytes();
        bytes[at..at + point.len()].copy_from_slice(point);
        keys.verify(claim, &inputs, &bytes)
    };
    let refused = |error| Err(VerifyError::Proof(error));
    for (at, point) in [(0, outside_g1()), (48, outside_g2()), (144, outside_g1())] {
        assert_eq!(with(at, &point), refused(DecodeError::NotInSubgroup));
    }
    for (at, length) in [(0, 48), (48, 96), (144, 48)] {
        let mut infinity = vec![0; length];
        infinity[0] = 0xc0;
        assert_eq!(with(at, &infinity), refused(DecodeError::Infinity));
        let mut above = vec![0xff; length];
        above[0] = 0x9f;
        assert_eq!(with(at, &above), refused(DecodeError::NotCanonical));
        infinity[length - 1] = 1;
        assert_eq!(with(at, &infinity), refused(DecodeError::NotCanonical));
    }
    // x = 1 is no point of G1: 1 + 4 is no square.
    let mut off = vec![0; 48];
    (off[0], off[47]) = (0x80, 1);
    let expected = match G1Affine::get_point_from_x_unchecked(1u64.into(), false) {
        None => DecodeError::NotOnCurve,
        Some(_) => DecodeError::NotInSubgroup,
    };
    assert_eq!(with(0, &off), refused(expected));
    let long = [proof.to_bytes().as_slice(), &[0]].concat();
    let length = |found| refused(DecodeError::Length { expected: 192, found });
    assert_eq!(keys.verify(claim, &inputs, &long), length(193));
    assert_eq!(keys.verify(claim, &inputs, &long[..191]), length(191));
}

/// The proofs that a thousand changes make: bits, bytes, points swapped, negated, taken from other proofs.
#[test]
fn of_a_thousand_mutated_proofs_none_is_accepted() {
    let keys = Keys::new(1);
    let (claim, inputs, proof) = keys.prove(5);
    let (_, _, other) = keys.prove(6);
    let original = proof.to_bytes();
    let rng = &mut rng(77);
    let mut tried = 0;
    while tried < 1000 {
        let mut bytes = original;
        match rng.next_u32() % 6 {
            0 | 1 => bytes[rng.next_u32() as usize % 192] ^= 1 << (rng.next_u32() % 8),
            2 => bytes[rng.next_u32() as usize % 192] = rng.next_u32() as u8,
            3 => {
                // The sign of one or more points: the negative of a point of the proof.
                let signs = rng.next_u32() % 7 + 1;
                for (bit, at) in [0, 48, 144].into_iter().enumerate() {
                    bytes[at] ^= if signs >> bit & 1 == 1 { 0x20 } else { 0 };
                }
            }
            4 => {
                // Whole points of a proof of another claim, or A and C changed over.
                let from = other.to_bytes();
                match rng.next_u32() % 4 {
                    0 => bytes[..48].copy_from_slice(&from[..48]),
                    1 => bytes[48..144].copy_from_slice(&from[48..144]),
                    2 => bytes[144..].copy_from_slice(&from[144..]),
                    _ => {
                        bytes[..48].copy_from_slice(&original[144..]);
                        bytes[144..].copy_from_slice(&original[..48]);
                    }
                }
            }
            _ => {
                // Valid points times small numbers.
                let times = |factor: u32| Element::from(factor % 5 + 1);
                let scaled = Proof::<Composite>::new(
                    Group::times(&proof.a, &times(rng.next_u32())),
                    Group::times(&proof.b, &times(rng.next_u32())),
                    Group::times(&proof.c, &times(rng.next_u32())),
                );
                bytes = scaled.to_bytes();
            }
        }
        // Both of A and B negated is a proof: see the test of re-randomisation.
        let negated_both = (original[0] ^ 0x20, original[48] ^ 0x20, original[144]);
        if bytes == original || (bytes[0], bytes[48], bytes[144]) == negated_both {
            continue;
        }
        tried += 1;
        assert!(keys.verify(claim, &inputs, &bytes).is_err(), "mutation {tried}");
    }
}

#[test]
fn a_rerandomised_proof_is_another_proof_of_the_same_inputs_and_of_no_others() {
    let keys = Keys::new(1);
    let (claim, inputs, proof) = keys.prove(5);
    let again = proof.rerandomized(&keys.verifying, &mut rng(8));
    let bytes = again.to_bytes();
    assert_ne!(bytes, proof.to_bytes());
    assert_eq!(keys.verify(claim, &inputs, &bytes), Ok(claim), "bytes do not name what was proved");
    let other = Claim { label: 9, ..claim };
    assert_eq!(keys.verify(other, &bytes_of(&other), &bytes), Err(VerifyError::Equation));
    // The simplest of them: A and B negated.
    let mut negated = proof.to_bytes();
    negated[0] ^= 0x20;
    negated[48] ^= 0x20;
    assert_eq!(keys.verify(claim, &inputs, &negated), Ok(claim));
}

#[test]
fn a_batch_is_accepted_whole_and_one_false_proof_is_named() {
    let keys = Keys::new(1);
    let made: Vec<(Claim, Vec<u8>, Vec<u8>)> = (0..20)
        .map(|label| {
            let (claim, inputs, proof) = keys.prove(label);
            (claim, inputs, proof.to_bytes().to_vec())
        })
        .collect();
    let batch = |made: &[(Claim, Vec<u8>, Vec<u8>)]| {
        let key = keys.verifying.id();
        let batch =
            made.iter().map(|(claim, inputs, proof)| (*claim, Presented { key, inputs, proof })).collect();
        keys.verifying.verify_batch(batch, &mut rng(9)).map(|tokens| tokens.len())
    };
    assert_eq!(batch(&made), Ok(20));
    assert_eq!(batch(&[]), Ok(0));
    for index in [0, 7, 19] {
        let mut spoiled = made.clone();
        spoiled[index].2 = made[(index + 1) % 20].2.clone();
        assert_eq!(batch(&spoiled), Err(VerifyError::InBatch { index }));
        spoiled = made.clone();
        spoiled[index].2.truncate(10);
        assert_eq!(batch(&spoiled), Err(VerifyError::InBatch { index }));
    }
    // Two false proofs whose errors cancel if both weights are one.
    let mut spoiled = made.clone();
    let (first, second) =
        (Proof::<Composite>::from_bytes(&made[0].2), Proof::<Composite>::from_bytes(&made[1].2));
    let (mut first, mut second) = (first.unwrap(), second.unwrap());
    let one = Group::from_ark(&G1Affine::generator());
    let minus = Group::from_ark(&-G1Affine::generator());
    first.c = Group::add(&first.c, &one);
    second.c = Group::add(&second.c, &minus);
    (spoiled[0].2, spoiled[1].2) = (first.to_bytes().to_vec(), second.to_bytes().to_vec());
    assert_eq!(batch(&spoiled), Err(VerifyError::InBatch { index: 0 }));
}

/// What a contract computes on the encodings of EIP-2537: e(A, B) e(-alpha, beta) e(inputs, -gamma) e(C, -delta) = 1.
#[test]
fn the_encodings_for_a_contract_satisfy_its_equation() {
    use ark_ec::CurveGroup;
    use ark_ec::pairing::{Pairing, PairingOutput};
    use ark_ff::{AdditiveGroup, PrimeField};
    let field = |bytes: &[u8]| {
        assert_eq!(bytes[..16], [0; 16]);
        ark_bls12_381::Fq::from_be_bytes_mod_order(bytes)
    };
    let g1 = |bytes: &[u8]| G1Affine::new(field(&bytes[..64]), field(&bytes[64..128]));
    let g2 = |bytes: &[u8]| {
        let coordinate =
            |at: usize| ark_bls12_381::Fq2::new(field(&bytes[at..at + 64]), field(&bytes[at + 64..at + 128]));
        G2Affine::new(coordinate(0), coordinate(128))
    };
    let keys = Keys::new(1);
    let (claim, _, proof) = keys.prove(5);
    let (key, proof) = (eip2537::key_points(&keys.verifying), eip2537::proof_points(&proof));
    let mut sum = g1(&key.inputs[0]).into_group();
    for (point, input) in key.inputs[1..].iter().zip(Composite::public_inputs(&claim)) {
        sum += g1(point) * input;
    }
    let points = [g1(&proof[..128]), g1(&key.alpha_negated), sum.into_affine(), g1(&proof[384..])];
    let others = [g2(&proof[128..384]), g2(&key.beta), g2(&key.gamma_negated), g2(&key.delta_negated)];
    assert_eq!(Bls12_381::multi_pairing(points, others), PairingOutput::ZERO);
    assert_eq!(g2(&key.gamma), -g2(&key.gamma_negated));
    assert_eq!((g2(&key.delta), g1(&key.alpha)), (-g2(&key.delta_negated), -g1(&key.alpha_negated)));
}

#[test]
fn a_verifying_key_survives_its_bytes_and_a_changed_one_has_another_id_or_none() {
    let keys = Keys::new(1);
    let bytes = keys.verifying.to_bytes();
    let id = keys.verifying.id();
    let again = VerifyingKey::<Composite>::from_bytes_pinned(&bytes, id).unwrap();
    assert_eq!((again.id(), again.to_bytes()), (id, bytes.clone()));
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(VerifyingKey::<Composite>::from_bytes_pinned(&changed, id).is_err(), "byte {at}");
    }
    assert!(VerifyingKey::<Composite>::from_bytes(&bytes[1..]).is_err());
    let mut outside = bytes.clone();
    outside[42..90].copy_from_slice(&outside_g1());
    assert_eq!(VerifyingKey::<Composite>::from_bytes(&outside).err(), Some(DecodeError::NotInSubgroup));
}

#[test]
fn a_proving_key_works_at_every_alignment_and_a_changed_one_is_not_opened() {
    let keys = Keys::new(1);
    let hash = ProvingKey::<Composite>::validate(&keys.file).unwrap();
    let claim = Claim { product: 91, label: 5 };
    for shift in [1, 4, 7] {
        let shifted: Vec<u8> = std::iter::repeat_n(0, shift).chain(keys.file.iter().copied()).collect();
        let key = ProvingKey::<Composite>::open(&shifted[shift..], hash).unwrap();
        assert!(key.prove(&claim, &(7, 13), &mut rng(1)).is_ok());
    }
    for at in [0, 9, 41, 100, keys.file.len() / 2, keys.file.len() - 1] {
        let mut changed = keys.file.clone();
        changed[at] ^= 1;
        assert_eq!(ProvingKey::<Composite>::open(&changed, hash).err(), Some(KeyError::Hash));
        assert!(ProvingKey::<Composite>::validate(&changed).is_err(), "byte {at}");
    }
    assert!(ProvingKey::<Composite>::validate(&keys.file[..keys.file.len() - 8]).is_err());
}

#[test]
fn a_proving_key_with_a_point_outside_the_subgroup_is_not_validated() {
    let (matrices, _) = constraints::<Composite>();
    let mut parts = insecure_single_party_parts(&matrices, &mut rng(4));
    parts.quotient_g1[1] = (1u64..)
        .filter_map(|x| G1Affine::get_point_from_x_unchecked(x.into(), false))
        .find(|point| !point.is_in_correct_subgroup_assuming_on_curve())
        .unwrap();
    let (_, file) = ProvingKey::<Composite>::write(&matrices, &parts).unwrap();
    let refused = ProvingKey::<Composite>::validate(&file).err();
    assert_eq!(refused, Some(KeyError::Decode(DecodeError::NotInSubgroup)));
    parts.a_g1.pop();
    assert!(matches!(ProvingKey::<Composite>::write(&matrices, &parts), Err(KeyError::Points { .. })));
}

#[test]
fn a_key_of_other_points_gives_no_proof_that_does_not_hold() {
    let (matrices, _) = constraints::<Composite>();
    let mut parts = insecure_single_party_parts(&matrices, &mut rng(4));
    parts.witnesses_g1.swap(0, 5);
    let (verifying, file) = ProvingKey::<Composite>::write(&matrices, &parts).unwrap();
    let keys = Keys { verifying, file };
    let claim = Claim { product: 91, label: 5 };
    assert!(matches!(keys.open().prove(&claim, &(7, 13), &mut rng(1)), Err(ProveError::Faulty)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(Proof::<Composite>::from_bytes(&bytes).is_err());
        prop_assert!(VerifyingKey::<Composite>::from_bytes(&bytes).is_err());
        prop_assert!(ProvingKey::<Composite>::validate(&bytes).is_err());
    }

    #[test]
    fn no_head_makes_the_file_of_a_key_larger_than_it_is(at in 40usize..80, byte: u8) {
        let mut file = Keys::new(1).file;
        let original = file[at];
        file[at] = byte;
        prop_assert!(byte == original || ProvingKey::<Composite>::validate(&file).is_err());
    }
}
