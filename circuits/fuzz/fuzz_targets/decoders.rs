//! Every decoder on hostile bytes: no panic, and what decodes encodes to the same bytes.
#![no_main]

use std::sync::LazyLock;

use chacha20::ChaCha20Rng;
use libfuzzer_sys::fuzz_target;
use rand_core::SeedableRng;
use ward_circuits::ConstrainedStatement;
use ward_circuits::consent::ConsentGiven;
use ward_circuits::eligibility::{HolderSecret, PatientSecret};
use ward_circuits::field;
use ward_circuits::groth16::setup::insecure_single_party_setup;
use ward_circuits::groth16::{Proof, ProvingKey, VerifyingKey};
use ward_circuits::pedersen::{Blinding, Commitment};
use ward_circuits::schnorr::{PublicKey, Signature, SigningKey};

type Decode = fn(&[u8]) -> Option<Vec<u8>>;

static OBJECTS: LazyLock<Vec<(Vec<u8>, Decode)>> = LazyLock::new(|| {
    let rng = &mut ChaCha20Rng::seed_from_u64(1);
    let signing = SigningKey::generate(rng);
    let message = field::random(rng);
    let (verifying, file) = insecure_single_party_setup::<ConsentGiven>(rng).expect("a key");
    let hash = ProvingKey::<ConsentGiven>::validate(&file).expect("a valid key");
    let key = ProvingKey::open(&file, hash).expect("a valid key");
    let (public, witness) = ConsentGiven::example();
    let proof: Proof<ConsentGiven> = key.prove(&public, &witness, rng).expect("a proof");
    vec![
        (field::to_bytes(&message).to_vec(), |b| {
            Some(field::to_bytes(&field::from_bytes(b.try_into().ok()?).ok()?).to_vec())
        }),
        (signing.public_key().to_bytes().to_vec(), |b| {
            Some(PublicKey::from_bytes(b.try_into().ok()?).ok()?.to_bytes().to_vec())
        }),
        (HolderSecret::generate(rng).to_bytes().expose().to_vec(), |b| {
            Some(HolderSecret::from_bytes(b.try_into().ok()?).ok()?.to_bytes().expose().to_vec())
        }),
        (PatientSecret::of(b"patient").to_bytes().expose().to_vec(), |b| {
            Some(PatientSecret::from_bytes(b.try_into().ok()?).ok()?.to_bytes().expose().to_vec())
        }),
        (Commitment::new(3, 40, &Blinding::generate(rng)).to_bytes().to_vec(), |b| {
            Some(Commitment::from_bytes(b.try_into().ok()?).ok()?.to_bytes().to_vec())
        }),
        (signing.sign(&message, rng).to_bytes().to_vec(), |b| {
            Some(Signature::from_bytes(b.try_into().ok()?).ok()?.to_bytes().to_vec())
        }),
        (proof.to_bytes().to_vec(), |b| Some(Proof::<ConsentGiven>::from_bytes(b).ok()?.to_bytes().to_vec())),
        (verifying.to_bytes(), |b| Some(VerifyingKey::<ConsentGiven>::from_bytes(b).ok()?.to_bytes())),
        (file, |b| ProvingKey::<ConsentGiven>::validate(b).ok().map(|_| b.to_vec())),
    ]
});

fuzz_target!(|data: &[u8]| {
    let Some((&[pick, mode, at0, at1, at2], rest)) = data.split_first_chunk::<5>() else { return };
    let (valid, decode) = &OBJECTS[usize::from(pick) % OBJECTS.len()];
    let input = if mode & 1 == 0 {
        rest.to_vec()
    } else {
        // Overwrite part of a valid encoding.
        let mut input = valid.clone();
        let start = (usize::from(at0) << 16 | usize::from(at1) << 8 | usize::from(at2)) % input.len();
        let end = input.len().min(start + rest.len());
        input[start..end].copy_from_slice(&rest[..end - start]);
        input
    };
    if let Some(again) = decode(&input) {
        assert_eq!(again, input);
    }
});
