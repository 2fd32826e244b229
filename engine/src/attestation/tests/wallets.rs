//! What a holder keeps, and shows.

use super::*;

#[test]
fn a_wallet_opens_with_its_passphrase_alone() {
    let mut world = world();
    world.receive("P-1");
    let path = world.folder.path().join("wallet.json");
    world.wallet.save(&path).unwrap();
    let opened = Wallet::open(&path, PASSPHRASE).unwrap();
    assert_eq!(opened.request(), world.wallet.request());
    assert_eq!(opened.credential(None).unwrap().issuer, "north");
    assert_eq!(refusal(Wallet::open(&path, "another passphrase")).0, "wallet.passphrase");
    assert_eq!(refusal(Wallet::create("short", QUICK)).0, "attest.malformed");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains("E11") && !text.contains("north"));
    let greedy = text.replace("\"memory_kib\": 64", "\"memory_kib\": 4000000000");
    std::fs::write(&path, greedy).unwrap();
    assert_eq!(refusal(Wallet::open(&path, PASSPHRASE)).0, "attest.malformed");
    assert_eq!(refusal(world.wallet.credential(Some("p-9"))).0, "attest.not_found");
    world.wallet.remove("p-1").unwrap();
    assert_eq!(refusal(world.wallet.remove("p-1")).0, "attest.not_found");
}

#[test]
fn a_credential_is_its_holders_and_says_one_thing() {
    let mut world = world();
    let stranger = Wallet::create(PASSPHRASE, QUICK).unwrap();
    let issued = issue(&world.issuer, "P-1", stranger.request(), 180);
    let (document, _) = IssuerDocument::open(&world.registry_at(NOW_MS).issuers[0]).unwrap();
    assert_eq!(refusal(world.wallet.add("p-1", &issued.envelope, &document)).0, "credential.inconsistent");
    let own = issue(&world.issuer, "P-1", world.wallet.request(), 180);
    // Without one of its disclosures the words no longer say what the slots say.
    let parts: Vec<&str> = own.envelope.split('~').collect();
    for left_out in 1..parts.len() - 1 {
        let fewer: Vec<&str> =
            parts.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, part)| *part).collect();
        let code = refusal(world.wallet.add("p-1", &fewer.join("~"), &document)).0;
        assert!(["credential.inconsistent", "attest.malformed"].contains(&code), "{code}");
    }
    let south = new_issuer(world.folder.path(), "south", None);
    let theirs = registry(world.folder.path(), &[&south], NOW_MS);
    let (wrong, _) = IssuerDocument::open(&theirs.issuers[0]).unwrap();
    assert_eq!(refusal(world.wallet.add("p-1", &own.envelope, &wrong)).0, "credential.malformed");
    world.wallet.add("p-1", &own.envelope, &document).unwrap();
    assert_eq!(refusal(world.wallet.add("p-1", &own.envelope, &document)).0, "attest.conflict");
}

#[test]
fn a_credential_serves_as_long_as_it_is_valid() {
    let mut world = world();
    let issued = issue(&world.issuer, "P-1", world.wallet.request(), 2);
    let (document, _) = IssuerDocument::open(&world.registry_at(NOW_MS).issuers[0]).unwrap();
    world.wallet.add("p-1", &issued.envelope, &document).unwrap();
    let request = request("trial-7");
    let at = |ms: u64| {
        let opened = world.wallet.credential(None).unwrap();
        prove::claim(&world.wallet, opened, &request, &world.registry_at(ms), ms)
    };
    assert!(at(NOW_MS).is_ok() && at(NOW_MS + DAY_MS).is_ok());
    assert_eq!(refusal(at(NOW_MS + 2 * DAY_MS)).0, "prove.validity");
    assert_eq!(refusal(at(NOW_MS - DAY_MS)).0, "prove.validity");
}

#[test]
fn a_holder_shows_chosen_attributes_to_one_verifier_while_the_credential_serves() {
    let mut world = world();
    let place = world.receive("P-1");
    let (document, _) = IssuerDocument::open(&world.registry_at(NOW_MS).issuers[0]).unwrap();
    let challenge = Challenge { audience: "https://clinic.example", nonce: "n-1" };
    let now_s = NOW_MS / 1000;
    let shown = world.wallet.present(None, &["hba1c", "dx"], challenge, now_s).unwrap();
    let expected = Expecting { challenge, now_s, age_s_max: 300 };
    let verify = |at: &Expecting<'_>, status: Option<&str>| {
        presentation::verify(&shown, &document, at, status).map(|shown| shown.attributes)
    };
    let attributes = verify(&expected, None).unwrap();
    assert_eq!(attributes.keys().collect::<Vec<_>>(), ["dx", "hba1c"]);
    assert_eq!(attributes["hba1c"]["value"], "7.1");
    for hidden in ["1968-04-02", "ward_opening", "A10BA02"] {
        let disclosed: Vec<u8> =
            shown.split('~').skip(1).filter_map(crate::attestation::jws::decode).flatten().collect();
        assert!(!String::from_utf8_lossy(&disclosed).contains(hidden), "{hidden}");
    }
    let other = Expecting { challenge: Challenge { nonce: "n-2", ..challenge }, ..expected };
    assert_eq!(refusal(verify(&other, None)).0, "credential.binding");
    let late = Expecting { now_s: now_s + 200 * 86_400, age_s_max: u64::MAX, ..expected };
    assert_eq!(refusal(verify(&late, None)).0, "credential.inconsistent");
    let token = |at_ms| {
        world.registry_at(at_ms);
        std::fs::read_to_string(world.folder.path().join("published/north.status.jwt")).unwrap()
    };
    verify(&expected, Some(&token(NOW_MS))).unwrap();
    world.issuer.revoke_place(place, NOW_MS).unwrap();
    assert!(refusal(verify(&expected, Some(&token(NOW_MS + 1)))).1.contains("revoked"));
    for name in ["ward_opening", "ward", "hba2c"] {
        assert_eq!(refusal(world.wallet.present(None, &[name], challenge, now_s)).0, "attest.not_found");
    }
}
