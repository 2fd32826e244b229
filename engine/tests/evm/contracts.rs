//! The contracts on a real EVM: what holds is taken, everything else refused, and what it costs.

use alloy_primitives::{Address, hex};
use ark_bls12_381::{Fq, Fr, G1Affine, G2Affine};
use ark_ec::AffineRepr;
use ark_ff::{BigInteger, PrimeField};

use ward_circuits::eligibility::Context;
use ward_circuits::field;
use ward_engine::ledger::evm::audience;

use crate::abi::{self, selector, word};
use crate::node::{Anvil, RICH, is_absent, quantity};
use crate::proofs;

pub const INPUTS: usize = 5;
const CONTEXT: usize = 3;
const NULLIFIER: usize = 4;
const VERIFY: &str = "verify(uint256[16],uint256[5])";
pub const REGISTER: &str = "register(uint256[16],uint256[5],bytes32)";
const REGISTERED: &str = "AttestationRegistered(bytes32,bytes32,uint256[5])";
pub const NONCE: [u8; 32] = [0x77; 32];
/// The chain id of anvil.
pub const CHAIN: u64 = 31337;

/// The context of a proof for a registry, as the statement's own crate makes it.
fn context(registry: &Registry, nonce: &[u8], chain: u64) -> [u8; 32] {
    let audience = audience(&registry.address.to_string()).unwrap();
    field::to_bytes(&Context::new(nonce, &audience, chain).element())
}

/// The registry of a fresh key, and a proof that it takes.
#[derive(Clone)]
pub struct Registry {
    pub address: Address,
    pub proof: Vec<u8>,
    pub inputs: Vec<[u8; 32]>,
    pub key: ark_groth16::ProvingKey<ark_bls12_381::Bls12_381>,
}

pub fn deployment(key: &[u8]) -> Vec<u8> {
    [abi::code("AttestationRegistry"), abi::bytes(key)].concat()
}

impl Registry {
    pub async fn deploy(anvil: &Anvil) -> Self {
        let key = proofs::setup(INPUTS, 1);
        let (address, gas) = anvil.deploy(&deployment(&proofs::key(&key.vk))).await.unwrap();
        println!("registry deployed for {gas} gas");
        let inputs = [1u8, 2, 3, 4, 5].map(|number| [number; 32]);
        let mut registry = Self { address, proof: Vec::new(), inputs: inputs.to_vec(), key };
        registry.inputs[CONTEXT] = context(&registry, &NONCE, CHAIN);
        registry.proof = registry.prove(2);
        registry
    }

    fn prove(&self, seed: u64) -> Vec<u8> {
        proofs::prove(&self.key, &self.inputs, seed)
    }

    fn registration(&self) -> Vec<u8> {
        abi::call(REGISTER, &[&self.body(), &NONCE])
    }

    fn body(&self) -> Vec<u8> {
        [&self.proof[..], &self.inputs.concat()].concat()
    }

    async fn verify(&self, anvil: &Anvil, body: &[u8]) -> Result<Vec<u8>, Vec<u8>> {
        anvil.call(self.address, &abi::call(VERIFY, &[body])).await
    }

    async fn assert_not_registered(&self, anvil: &Anvil, signature: &str) {
        let refused = anvil.call(self.address, &self.registration()).await.unwrap_err();
        assert_eq!(refused[..4], selector(signature));
    }

    async fn assert_refused(&self, anvil: &Anvil, what: &str, body: &[u8]) {
        let refused = self.verify(anvil, body).await.expect_err(what);
        assert_eq!(refused, selector("ProofRefused()"), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_valid_proof_is_registered_once_for_at_most_280000_gas() {
    if is_absent() {
        return;
    }
    let anvil = Anvil::start(&["--hardfork", "prague"]);
    let registry = Registry::deploy(&anvil).await;
    assert_eq!(registry.verify(&anvil, &registry.body()).await.unwrap(), Vec::<u8>::new());

    let alone =
        anvil.transact(RICH, Some(registry.address), &abi::call(VERIFY, &[&registry.body()])).await.unwrap();
    let call = registry.registration();
    let receipt = anvil.transact(RICH, Some(registry.address), &call).await.unwrap();
    assert_eq!(receipt["status"], "0x1");
    let gas = quantity(&receipt["gasUsed"]);
    println!("gas: verify {}, verify with nullifier and event {gas}", quantity(&alone["gasUsed"]));
    assert!(gas <= 280_000, "{gas}");

    // The same proof; another proof of the same; another statement with the same nullifier: one patient counts once.
    let taken = "AlreadyRegistered(bytes32,bytes32)";
    registry.assert_not_registered(&anvil, taken).await;
    let again = Registry { proof: registry.prove(3), ..registry.clone() };
    assert_ne!(again.proof, registry.proof);
    again.assert_not_registered(&anvil, taken).await;
    let mut later = registry.clone();
    later.inputs[2] = word(46_000);
    later.proof = later.prove(4);
    assert!(later.verify(&anvil, &later.body()).await.is_ok());
    later.assert_not_registered(&anvil, taken).await;
    let events = anvil.events(registry.address, REGISTERED).await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["topics"][1], hex::encode_prefixed(registry.inputs[0]));
    assert_eq!(events[0]["topics"][2], hex::encode_prefixed(registry.inputs[NULLIFIER]));
    assert_eq!(events[0]["data"], hex::encode_prefixed(registry.inputs.concat()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_that_was_made_for_something_else_is_not_registered() {
    if is_absent() {
        return;
    }
    let anvil = Anvil::start(&["--hardfork", "prague"]);
    let registry = Registry::deploy(&anvil).await;
    let mut elsewhere = registry.clone();
    elsewhere.address = Address::repeat_byte(9);
    for (what, context) in [
        ("another nonce", context(&registry, &[1; 32], CHAIN)),
        ("another chain", context(&registry, &NONCE, 1)),
        ("another registry", context(&elsewhere, &NONCE, CHAIN)),
        ("no context", [0; 32]),
    ] {
        let mut other = registry.clone();
        other.inputs[CONTEXT] = context;
        other.proof = other.prove(5);
        assert!(other.verify(&anvil, &other.body()).await.is_ok(), "{what}");
        other.assert_not_registered(&anvil, "ContextRefused()").await;
    }
    assert!(anvil.call(registry.address, &registry.registration()).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_mutation_of_a_proof_or_an_input_is_accepted() {
    if is_absent() {
        return;
    }
    let anvil = Anvil::start(&["--hardfork", "prague"]);
    let registry = Registry::deploy(&anvil).await;
    let good = registry.body();

    // Every word, by its lowest and its highest bit; that is every coordinate of every point, and every input.
    for at in 0..16 + INPUTS {
        for byte in [31, 0] {
            let mut bad = good.clone();
            bad[32 * at + byte] ^= if byte == 0 { 0x80 } else { 1 };
            let refused = registry.verify(&anvil, &bad).await.expect_err("a changed word");
            // A high bit takes an input above r, but that of the context, of which it is clear.
            let canonical = at < 16 || byte == 31;
            let expected = if canonical { "ProofRefused()" } else { "InputNotCanonical(uint256)" };
            assert_eq!(refused[..4], selector(expected), "word {at}, byte {byte}");
        }
    }
    // Inputs changed for one another.
    for at in 1..INPUTS {
        let mut bad = registry.inputs.clone();
        bad.swap(0, at);
        registry
            .assert_refused(&anvil, "inputs swapped", &[&registry.proof[..], &bad.concat()].concat())
            .await;
    }
    // A and C changed for one another; negated; a point replaced by a generator or by infinity.
    let (a, b, c) = (&registry.proof[..128], &registry.proof[128..384], &registry.proof[384..]);
    let inputs = registry.inputs.concat();
    let (g1, g2) = (proofs::g1(&G1Affine::generator()), proofs::g2(&G2Affine::generator()));
    let (none1, none2) = (vec![0; 128], vec![0; 256]);
    let of = |a: &[u8], b: &[u8], c: &[u8]| [a, b, c, &inputs].concat();
    for (what, bad) in [
        ("A and C swapped", of(c, b, a)),
        ("A is the generator", of(&g1, b, c)),
        ("B is the generator", of(a, &g2, c)),
        ("C is the generator", of(a, b, &g1)),
        ("A is infinity", of(&none1, b, c)),
        ("B is infinity", of(a, &none2, c)),
        ("C is infinity", of(a, b, &none1)),
        ("all is infinity", of(&none1, &none2, &none1)),
        ("A is negated", of(&negated(a), b, c)),
        ("C is negated", of(a, b, &negated(c))),
    ] {
        registry.assert_refused(&anvil, what, &bad).await;
    }
    // A valid proof of other inputs.
    let mut other = registry.inputs.clone();
    other[0] = word(8);
    let other = proofs::prove(&registry.key, &other, 4);
    registry.assert_refused(&anvil, "another statement's proof", &[&other[..], &inputs].concat()).await;
    assert!(registry.verify(&anvil, &good).await.is_ok());
}

/// p - y.
fn negated(point: &[u8]) -> Vec<u8> {
    let y = -Fq::from_be_bytes_mod_order(&point[64..128]);
    [&point[..64], &proofs::field(&y)].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn points_outside_the_subgroup_or_above_the_modulus_are_refused() {
    if is_absent() {
        return;
    }
    let anvil = Anvil::start(&["--hardfork", "prague"]);
    let registry = Registry::deploy(&anvil).await;
    let inputs = registry.inputs.concat();
    let (a, b, c) = (&registry.proof[..128], &registry.proof[128..384], &registry.proof[384..]);
    for seed in 0..4 {
        let outside = proofs::g1(&proofs::g1_outside(seed));
        let outside2 = proofs::g2(&proofs::g2_outside(seed));
        registry.assert_refused(&anvil, "A outside", &[&outside, b, c, &inputs].concat()).await;
        registry.assert_refused(&anvil, "B outside", &[a, &outside2, c, &inputs].concat()).await;
        registry.assert_refused(&anvil, "C outside", &[a, b, &outside, &inputs].concat()).await;
    }
    // The same coordinate written as x + p: it fits into the 64 bytes.
    for at in (0..512).step_by(64) {
        let mut bad = registry.body();
        let raised = plus_modulus(&bad[at..at + 64]);
        bad[at..at + 64].copy_from_slice(&raised);
        registry.assert_refused(&anvil, "a coordinate plus p", &bad).await;
    }
}

fn plus_modulus(field: &[u8]) -> Vec<u8> {
    let p = [vec![0; 16], Fq::MODULUS.to_bytes_be()].concat();
    let mut carry = 0;
    let mut sum: Vec<u8> = field
        .iter()
        .zip(&p)
        .rev()
        .map(|(a, b)| {
            let s = u16::from(*a) + u16::from(*b) + carry;
            carry = s >> 8;
            s as u8
        })
        .collect();
    sum.reverse();
    sum
}

#[tokio::test(flavor = "multi_thread")]
async fn an_input_at_or_above_r_is_refused_by_its_index() {
    if is_absent() {
        return;
    }
    let anvil = Anvil::start(&["--hardfork", "prague"]);
    let registry = Registry::deploy(&anvil).await;
    for at in 0..INPUTS {
        // input + r is the same residue: MSM alone would accept it.
        let mut same = Fr::from_be_bytes_mod_order(&registry.inputs[at]).into_bigint();
        assert!(!same.add_with_carry(&Fr::MODULUS));
        for bad in [same.to_bytes_be(), Fr::MODULUS.to_bytes_be(), vec![0xff; 32]] {
            let mut inputs = registry.inputs.clone();
            inputs[at] = bad.try_into().unwrap();
            let refused = registry.verify(&anvil, &[&registry.proof[..], &inputs.concat()].concat()).await;
            let expected = [selector("InputNotCanonical(uint256)"), word(at as u64).to_vec()].concat();
            assert_eq!(refused.unwrap_err(), expected);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_with_another_number_of_inputs_is_no_call() {
    if is_absent() {
        return;
    }
    let anvil = Anvil::start(&["--hardfork", "prague"]);
    let registry = Registry::deploy(&anvil).await;
    let good = registry.body();
    // One input less under the right selector, and the selectors of four and six inputs.
    assert!(registry.verify(&anvil, &good[..good.len() - 32]).await.is_err());
    for signature in ["verify(uint256[16],uint256[4])", "verify(uint256[16],uint256[6])"] {
        assert!(anvil.call(registry.address, &abi::call(signature, &[&good, &word(0)])).await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_kept_whole_and_a_bad_one_is_not_deployed() {
    if is_absent() {
        return;
    }
    let anvil = Anvil::start(&["--hardfork", "prague"]);
    let registry = Registry::deploy(&anvil).await;
    let vk = registry.key.vk.clone();
    let mut kept = vk.clone();
    (kept.alpha_g1, kept.gamma_g2, kept.delta_g2) = (-vk.alpha_g1, -vk.gamma_g2, -vk.delta_g2);
    let layout = [
        proofs::g1(&kept.alpha_g1),
        proofs::g2(&kept.beta_g2),
        proofs::g2(&kept.gamma_g2),
        proofs::g2(&kept.delta_g2),
        kept.gamma_abc_g1.iter().flat_map(proofs::g1).collect(),
    ];
    let hash = anvil.call(registry.address, &selector("keyHash()")).await.unwrap();
    assert_eq!(hash, alloy_primitives::keccak256(layout.concat()).to_vec());

    let good = proofs::key(&vk);
    let mut bad =
        vec![("too short", good[..good.len() - 128].to_vec()), ("too long", [&good[..], &[0; 128]].concat())];
    for (what, at, length) in
        [("alpha", 0, 128), ("beta", 128, 256), ("gamma", 384, 256), ("delta", 640, 256)]
    {
        let mut key = good.clone();
        key[at..at + length].fill(0);
        bad.push((what, key));
    }
    for (what, at) in [("alpha outside", 0), ("IC[0] outside", 896), ("IC[5] outside", 896 + 5 * 128)] {
        let mut key = good.clone();
        key[at..at + 128].copy_from_slice(&proofs::g1(&proofs::g1_outside(9)));
        bad.push((what, key));
    }
    for (what, at) in [("beta outside", 128), ("gamma outside", 384), ("delta outside", 640)] {
        let mut key = good.clone();
        key[at..at + 256].copy_from_slice(&proofs::g2(&proofs::g2_outside(9)));
        bad.push((what, key));
    }
    for (what, key) in bad {
        assert!(anvil.deploy(&deployment(&key)).await.is_err(), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_without_the_precompiles_refuses_every_proof() {
    if is_absent() {
        return;
    }
    // The code and key of a registry on a Prague chain, put on a chain of the rules before.
    let prague = Anvil::start(&["--hardfork", "prague"]);
    let registry = Registry::deploy(&prague).await;
    let code =
        prague.ask("eth_getCode", serde_json::json!([registry.address.to_string(), "latest"])).await.unwrap();
    let cancun = Anvil::start(&["--hardfork", "cancun"]);
    let put = serde_json::json!([registry.address.to_string(), code]);
    cancun.ask("anvil_setCode", put).await.unwrap();
    registry.assert_refused(&cancun, "no precompiles", &registry.body()).await;
    // And the registry cannot be deployed there by mistake.
    assert!(cancun.deploy(&deployment(&proofs::key(&registry.key.vk))).await.is_err());
}
