//! Issuers: what they revoke, whom a verifier knows, their documents and folders.

use super::*;

#[test]
fn a_revocation_between_proof_and_check_is_noticed() {
    let mut world = world();
    let index = world.receive("P-1");
    world.receive("P-4");
    let request = request("trial-7");
    let before = world.registry_at(NOW_MS);
    let attestation = world.attest_under("P-1", &request, &before, NOW_MS).unwrap();
    let other = world.attest_under("P-4", &request, &before, NOW_MS).unwrap();
    assert_eq!(world.issuer.revoke_patient("p 1", NOW_MS).unwrap(), [index]);
    assert_eq!(refusal(world.issuer.revoke_place(index, NOW_MS)).0, "attest.conflict");
    assert_eq!(refusal(world.issuer.revoke_patient("P-9", NOW_MS)).0, "attest.not_found");
    let after = world.registry_at(NOW_MS + 1);
    let verifier = verifier(&request, &after);
    // Nobody sees whose credential it was: both must be proved anew, and only one can be.
    for attestation in [&attestation, &other] {
        let (code, message) = refusal(verifier.verify(attestation, NOW_MS));
        assert_eq!(code, "attest.revoked_since");
        assert!(message.contains("north"));
    }
    assert_eq!(refusal(world.attest_under("P-1", &request, &after, NOW_MS)).0, "prove.revoked");
    let fresh = world.attest_under("P-4", &request, &after, NOW_MS).unwrap();
    verifier.verify(&fresh, NOW_MS).unwrap();
    // A verifier that is behind learns of the newer revocations from the issuer's own signature.
    super::verifier(&request, &before).verify(&fresh, NOW_MS).unwrap();
    let token = std::fs::read_to_string(world.folder.path().join("published/north.status.jwt")).unwrap();
    let marked = |place| {
        status_list::is_revoked(&token, "https://north.example/status", &world.issuer.identity(), place)
    };
    assert!(marked(index).unwrap());
}

#[test]
fn an_issuer_that_the_verifier_does_not_know_is_refused() {
    let Shared { world, request, attestation, .. } = shared();
    let south = new_issuer(world.folder.path(), "south", Some(**world.issuer.patient_key()));
    let theirs = registry(world.folder.path(), &[&south], NOW_MS);
    assert_eq!(refusal(verifier(request, &theirs).verify(attestation, NOW_MS)).0, "attest.unknown_issuer");
    let bare = Attestation { registry: None, ..attestation.clone() };
    assert_eq!(refusal(verifier(request, &theirs).verify(&bare, NOW_MS)).0, "attest.unknown_issuer");
    let both = registry(world.folder.path(), &[&south, &world.issuer], NOW_MS);
    verifier(request, &both).verify(attestation, NOW_MS).unwrap();
    let error = world.attest_under("P-1", request, &theirs, NOW_MS).unwrap_err();
    assert!(matches!(error, AttestationError::Violation(Violation::Issuer)));
}

#[test]
fn a_patient_with_credentials_of_two_issuers_counts_once() {
    let mut world = world();
    world.receive("P-1");
    let south = new_issuer(world.folder.path(), "south", Some(**world.issuer.patient_key()));
    let both = registry(world.folder.path(), &[&world.issuer, &south], NOW_MS);
    let issued = issue(&south, "P-1", world.wallet.request(), 180);
    let (document, _) = IssuerDocument::open(&both.issuers[1]).unwrap();
    world.wallet.add("p-1-south", &issued.envelope, &document).unwrap();
    let requests = [request("trial-7"), request("trial-7")];
    let first = world.attest_under("P-1", &requests[0], &both, NOW_MS).unwrap();
    let second = world.attest_under("P-1-south", &requests[1], &both, NOW_MS).unwrap();
    let mut any = verifier(&requests[0], &both);
    any.rules.expected = Expected::Audience { audience: AUDIENCE.into(), chain_id: 0 };
    let mut counted = MemoryNullifiers::default();
    let mut answers =
        vec![any.verify(&first, NOW_MS), any.verify(&second, NOW_MS), any.verify(&first, NOW_MS)];
    count_all(&mut answers, &mut counted, NOW_MS).unwrap();
    let codes: Vec<_> =
        answers.iter().map(|answer| answer.as_ref().err().map(AttestationError::code)).collect();
    assert_eq!(codes, [None, Some("attest.double_count"), Some("attest.replay")]);
    // Another proof of the same claim is the same attestation: a replay is known by what it says, not by its bytes.
    let proof = Proof::from_bytes(&first.proof.0).unwrap();
    let mut again = first.clone();
    again.proof.0 = proof.rerandomized(&any.key.key, &mut system_rng().unwrap()).to_bytes().to_vec();
    assert_ne!(again.proof, first.proof);
    let mut answers = vec![any.verify(&again, NOW_MS)];
    count_all(&mut answers, &mut counted, NOW_MS).unwrap();
    assert_eq!(answers[0].as_ref().err().map(AttestationError::code), Some("attest.replay"));
}

#[test]
fn documents_are_of_their_issuer_alone() {
    let world = world();
    let file = world.registry_at(NOW_MS);
    let south = new_issuer(world.folder.path(), "south", None);
    let other = registry(world.folder.path(), &[&south], NOW_MS);
    let swapped = RegistryFile { revocations: other.revocations.clone(), ..file.clone() };
    assert_eq!(refusal(swapped.open()).0, "issuer.document");
    let twice = RegistryFile::new(
        [file.issuers.clone(), file.issuers.clone()].concat(),
        [file.revocations.clone(), file.revocations.clone()].concat(),
    );
    assert_eq!(refusal(twice.open()).0, "issuer.document");
    let mut renamed = file.clone();
    renamed.issuers[0].document = renamed.issuers[0].document.replace("north", "south");
    assert_eq!(refusal(renamed.open()).0, "identity.signature");
    let mut misused = file.clone();
    misused.revocations = misused.issuers.clone();
    assert_eq!(refusal(misused.open()).0, "identity.signature");
}

#[test]
fn an_issuers_folder_is_made_once_and_opens_with_its_seal() {
    let world = world();
    let folder = world.folder.path().join("north");
    let again = NewIssuer { name: "north", status_uri: "", patients: None };
    assert_eq!(refusal(Issuer::create(&folder, &seal(), &again, NOW_MS)).0, "attest.conflict");
    assert_eq!(Issuer::load(&folder, &seal()).unwrap().identity(), world.issuer.identity());
    let other = SealKey::from_bytes(Zeroizing::new([8; 32]));
    assert_eq!(refusal(Issuer::load(&folder, &other)).0, "identity.sealed");
    let issued = issue(&world.issuer, "P-1", world.wallet.request(), 180);
    assert_eq!(world.issuer.given().unwrap().keys().collect::<Vec<_>>(), [&issued.index]);
    assert_eq!(issued.validity.1.to_string(), "2027-05-20");
    let list = std::fs::read_to_string(folder.join("issued.json")).unwrap();
    assert!(!list.contains("P-1"));
}
