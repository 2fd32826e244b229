//! The verifier on a proof and public inputs that were overwritten in part: only the proof itself is accepted.
#![no_main]

use std::sync::LazyLock;

use chacha20::ChaCha20Rng;
use libfuzzer_sys::fuzz_target;
use rand_core::SeedableRng;
use ward_circuits::ConstrainedStatement;
use ward_circuits::consent::{ConsentGiven, Public};
use ward_circuits::field::to_bytes;
use ward_circuits::groth16::setup::insecure_single_party_setup;
use ward_circuits::groth16::{PROOF_BYTES, Presented, ProvingKey, VerifyingKey};

struct Valid {
    key: VerifyingKey<ConsentGiven>,
    public: Public,
    /// The proof, then the public inputs.
    bytes: Vec<u8>,
}

static VALID: LazyLock<Valid> = LazyLock::new(|| {
    let rng = &mut ChaCha20Rng::seed_from_u64(1);
    let (key, file) = insecure_single_party_setup::<ConsentGiven>(rng).expect("a key");
    let hash = ProvingKey::<ConsentGiven>::validate(&file).expect("a valid key");
    let proving = ProvingKey::<ConsentGiven>::open(&file, hash).expect("a valid key");
    let (public, witness) = ConsentGiven::example();
    let proof = proving.prove(&public, &witness, rng).expect("a proof");
    let mut bytes = proof.to_bytes().to_vec();
    bytes.extend(ConsentGiven::public_inputs(&public).iter().flat_map(to_bytes));
    Valid { key, public, bytes }
});

fuzz_target!(|data: &[u8]| {
    let Some((&[at0, at1], rest)) = data.split_first_chunk::<2>() else { return };
    let Valid { key, public, bytes } = &*VALID;
    let mut changed = bytes.clone();
    let start = (usize::from(at0) << 8 | usize::from(at1)) % changed.len();
    let end = changed.len().min(start + rest.len());
    changed[start..end].copy_from_slice(&rest[..end - start]);
    let (proof, inputs) = changed.split_at(PROOF_BYTES);
    let accepted = key.verify(public.clone(), &Presented { key: key.id(), inputs, proof }).is_ok();
    let mut negated = bytes.clone();
    negated[0] ^= 0x20;
    negated[48] ^= 0x20;
    assert_eq!(accepted, changed == *bytes || changed == negated);
});
