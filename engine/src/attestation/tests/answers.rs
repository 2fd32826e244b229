//! A claim, its proof, and what a verifier says to it.

use super::*;

#[test]
fn a_patient_who_meets_the_criteria_shows_it_and_nothing_else() {
    let Shared { world, request, registry, attestation, .. } = shared();
    let verified = verifier(request, registry).verify(attestation, NOW_MS).unwrap();
    assert_eq!(verified.request(), request);
    assert_eq!(verified.evaluated().to_string(), "2026-11-22");
    let json = attestation.to_json().unwrap();
    assert_eq!(&Attestation::from_json(json.as_bytes()).unwrap(), attestation);
    assert!(attestation.development_key);
    for secret in ["E11.65", "I10", "A10BA02", "1968-04-02", "7.1", "P-1"] {
        assert!(!json.contains(secret), "{secret}");
    }
    // A patient's nullifier is the same in one study, and another in another.
    let again = world.attest_under("P-1", request, registry, NOW_MS).unwrap();
    assert_eq!((again.nullifier, again.digest()), (attestation.nullifier, attestation.digest()));
    assert_ne!(again.proof, attestation.proof);
    let other = Request { study: "trial-8".to_owned(), ..request.clone() };
    let opened = world.wallet.credential(Some("p-1")).unwrap();
    let claim = prove::claim(&world.wallet, opened, &other, registry, NOW_MS).unwrap();
    assert_ne!(claim.nullifier(), attestation.nullifier);
}

#[test]
fn a_false_claim_is_refused_with_its_clause_before_any_proof() {
    let mut world = world();
    for patient in ["P-2", "P-3"] {
        world.receive(patient);
    }
    let refused = |patient: &str| refusal(world.attest(patient, &request("trial-7")));
    assert_eq!(refused("P-2").0, "prove.criteria");
    assert!(refused("P-2").1.contains("`hba1c >= 6.5 [%]`"));
    assert!(refused("P-3").1.contains("`rx not in (A10A*)`"));
}

#[test]
fn what_is_asked_is_what_is_answered() {
    let Shared { request, registry, attestation, .. } = shared();
    let refused = |request: &Request| refusal(verifier(request, registry).verify(attestation, NOW_MS)).0;
    assert_eq!(
        refused(&Request::new(CRITERIA, ("trial-7", AUDIENCE), 0, NOW_MS + 9).unwrap()),
        "attest.request"
    );
    assert_eq!(
        refused(&Request { audience: "https://other.example".into(), ..request.clone() }),
        "attest.audience"
    );
    assert_eq!(refused(&Request { chain_id: 1, ..request.clone() }), "attest.chain");
    let mut any = verifier(request, registry);
    any.rules.expected = Expected::Audience { audience: AUDIENCE.into(), chain_id: 0 };
    any.verify(attestation, NOW_MS).unwrap();
    // Whatever is changed in the clear, the proof is no longer of it.
    for change in [
        |a: &mut Attestation| a.request.nonce.0[0] ^= 1,
        |a: &mut Attestation| a.request.expires_unix_ms += 1,
        |a: &mut Attestation| a.request.study.push('x'),
        |a: &mut Attestation| a.request.criteria = "age >= 18".into(),
        |a: &mut Attestation| a.evaluated = "2026-11-21".into(),
        |a: &mut Attestation| a.nullifier.0[31] ^= 1,
        |a: &mut Attestation| a.issuers.0[31] ^= 1,
    ] {
        let mut changed = attestation.clone();
        change(&mut changed);
        assert_eq!(refusal(any.verify(&changed, NOW_MS)).0, "attest.proof");
    }
    let mut extended = attestation.clone();
    extended.inputs.0.extend([0; 32]);
    let error = any.verify(&extended, NOW_MS).unwrap_err();
    assert!(matches!(error, AttestationError::Proof(VerifyError::InputCount { .. })), "{error}");
}

#[test]
fn what_is_too_old_is_refused() {
    let Shared { world, request, registry, attestation, .. } = shared();
    let at = |verifier: &Verifier, ms: u64| refusal(verifier.verify(attestation, ms)).0;
    let mut verifier = verifier(request, registry);
    verifier.verify(attestation, NOW_MS + 6 * DAY_MS).unwrap();
    assert_eq!(at(&verifier, NOW_MS + 8 * DAY_MS), "attest.stale");
    assert_eq!(at(&verifier, NOW_MS - 2 * DAY_MS), "attest.future");
    verifier.rules.evaluated_days_max = 100;
    assert_eq!(at(&verifier, NOW_MS + 8 * DAY_MS), "attest.revocations_stale");
    verifier.rules.revocations_days_max = 100;
    verifier.verify(attestation, NOW_MS + 59 * DAY_MS).unwrap();
    assert_eq!(at(&verifier, NOW_MS + 60 * DAY_MS), "attest.expired");
    let expired = Request { expires_unix_ms: NOW_MS, ..request.clone() };
    assert_eq!(refusal(world.attest_under("P-1", &expired, registry, NOW_MS)).0, "attest.expired");
}

#[test]
fn a_batch_answers_for_each_of_its_attestations() {
    let Shared { request, registry, attestation, other, .. } = shared();
    let (one, four) = (attestation.clone(), other.clone());
    let mut false_proof = one.clone();
    false_proof.proof = four.proof.clone();
    let mut other_key = one.clone();
    other_key.key.0[0] ^= 1;
    let verifier = verifier(request, registry);
    let codes = |batch: &[Attestation]| -> Vec<Option<&'static str>> {
        let answers = verifier.verify_batch(batch, NOW_MS, &mut system_rng().unwrap());
        answers.iter().map(|answer| answer.as_ref().err().map(AttestationError::code)).collect()
    };
    assert_eq!(codes(&[one.clone(), four.clone()]), [None, None]);
    let batch = [one, false_proof, four, other_key];
    assert_eq!(codes(&batch), [None, Some("attest.proof"), None, Some("attest.key")]);
    assert_eq!(codes(&batch[..1]).len(), 1);
    assert!(codes(&[]).is_empty());
}

#[test]
fn the_house_decides_for_whom_its_clinicians_prove() {
    let policy: Policy = toml::from_str("studies = [\"trial-7\"]\naudiences = []").unwrap();
    policy.check(&request("trial-7")).unwrap();
    assert_eq!(refusal(policy.check(&request("trial-8"))).0, "prove.policy");
    assert!(toml::from_str::<Policy>("studys = []").is_err());
}

#[test]
fn a_registrar_takes_answers_in_its_names_and_to_its_requests_alone() {
    let Shared { request, registry, attestation, .. } = shared();
    let audience = |name: &str, chain_id| Audience { name: name.to_owned(), chain_id };
    let under = |requests: &[Request], audiences: Vec<Audience>| {
        let mut verifier = verifier(request, registry);
        verifier.rules.expected = Expected::OneOf { requests: requests.to_vec(), audiences };
        verifier.verify(attestation, NOW_MS).map_err(|error| error.code())
    };
    let ours = || vec![audience("https://other.example", 0), audience(AUDIENCE, 0)];
    under(&[], ours()).unwrap();
    under(std::slice::from_ref(request), ours()).unwrap();
    let another = Request::new(CRITERIA, ("trial-7", AUDIENCE), 0, NOW_MS + 9).unwrap();
    assert_eq!(under(&[another], ours()).unwrap_err(), "attest.request");
    assert_eq!(under(&[], vec![audience("https://other.example", 0)]).unwrap_err(), "attest.audience");
    assert_eq!(under(&[], Vec::new()).unwrap_err(), "attest.audience");
    assert_eq!(under(&[], vec![audience(AUDIENCE, 5)]).unwrap_err(), "attest.chain");
}

#[cfg(feature = "evm")]
#[test]
fn an_attestation_made_for_the_registry_of_a_chain_goes_there_and_no_other_does() {
    use crate::ledger::evm::{EvmConfig, Post};
    let registry = "0x5FbDB2315678afecb367f032d93F642f64180aa3";
    let config = |registry: Option<&str>| {
        let named = registry.map(|address| format!("registry = {address:?}")).unwrap_or_default();
        let text =
            format!("endpoint = \"http://127.0.0.1:1\"\nchain_id = 7\nanchor_log = {:?}\n{named}", "0x00");
        toml::from_str::<EvmConfig>(&text).unwrap()
    };
    let Shared { attestation, .. } = shared();
    let made_for = |audience: &str, chain_id: u64| {
        let request = Request { audience: audience.to_owned(), chain_id, ..attestation.request.clone() };
        Attestation { request, ..attestation.clone() }
    };
    let message = |config: &EvmConfig, attestation: &Attestation| {
        crate::anchoring::registration(config, attestation).unwrap()
    };
    let named = config(Some(registry));
    let own = made_for(&registry.to_lowercase(), 7);
    let post = message(&named, &own).expect("it goes to the chain");
    assert_eq!(post.topic, crate::anchoring::TOPIC);
    let Post::Attestation(posted) = serde_json::from_str(&post.payload).unwrap() else {
        panic!("another post")
    };
    assert_eq!((posted.commitment, posted.nonce), (own.digest(), own.request.digest()));
    let inputs: Vec<u8> = posted.inputs.iter().flat_map(|input| input.0).collect();
    assert_eq!(inputs, own.inputs.0);
    for other in [made_for(&registry.to_lowercase(), 8), made_for(AUDIENCE, 7), attestation.clone()] {
        assert!(message(&named, &other).is_none());
    }
    assert!(message(&config(None), &own).is_none());
}
