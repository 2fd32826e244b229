//! The whole way: a proof of `ward/eligibility/1` by Ward's own prover, registered on the chain.

use chacha20::ChaCha20Rng;
use rand_core::SeedableRng;
use ward_circuits::eligibility::{Context, Eligibility};
use ward_circuits::field;
use ward_circuits::groth16::{ProvingKey, eip2537, setup};
use ward_circuits::statement::ConstrainedStatement;
use ward_engine::ledger::evm::audience;

use crate::abi::{self, selector};
use crate::contracts::{CHAIN, INPUTS, NONCE, REGISTER, deployment};
use crate::node::{Anvil, RICH, is_absent, quantity};

fn encoded(points: &eip2537::KeyPoints) -> Vec<u8> {
    let inputs = points.inputs.concat();
    [&points.alpha[..], &points.beta, &points.gamma, &points.delta, &inputs].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_eligibility_that_ward_proves_is_registered_for_at_most_280000_gas() {
    if is_absent() {
        return;
    }
    assert_eq!(Eligibility::INPUTS, INPUTS);
    let mut rng = ChaCha20Rng::from_seed([3; 32]);
    let (verifying, file) = setup::insecure_single_party_setup::<Eligibility>(&mut rng).unwrap();
    let anvil = Anvil::start(&["--hardfork", "prague"]);
    let (registry, _) = anvil.deploy(&deployment(&encoded(&eip2537::key_points(&verifying)))).await.unwrap();

    let hash = anvil.call(registry, &selector("keyHash()")).await.unwrap();
    assert_eq!(hash, ward_engine::ledger::evm::key_hash(&eip2537::key_points(&verifying)).to_vec());

    let (mut public, witness) = Eligibility::example();
    public.context = Context::new(&NONCE, &audience(&registry.to_string()).unwrap(), CHAIN);
    let hash = ProvingKey::<Eligibility>::validate(&file).unwrap();
    let key = ProvingKey::<Eligibility>::open(&file, hash).unwrap();
    let proof = key.prove(&public, &witness, &mut rng).unwrap();
    let inputs: Vec<u8> = Eligibility::public_inputs(&public).iter().flat_map(field::to_bytes).collect();
    let call = abi::call(REGISTER, &[&eip2537::proof_points(&proof), &inputs, &NONCE]);
    let receipt = anvil.transact(RICH, Some(registry), &call).await.unwrap();
    assert_eq!(receipt["status"], "0x1");
    let gas = quantity(&receipt["gasUsed"]);
    println!("gas: an eligibility with nullifier and event {gas}");
    assert!(gas <= 280_000, "{gas}");

    // The same proof in other bytes is refused by its nullifier.
    let other = proof.rerandomized(&verifying, &mut rng);
    let again = abi::call(REGISTER, &[&eip2537::proof_points(&other), &inputs, &NONCE]);
    let refused = anvil.call(registry, &again).await.unwrap_err();
    assert_eq!(refused[..4], selector("AlreadyRegistered(bytes32,bytes32)"));
}
