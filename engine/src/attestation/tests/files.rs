//! Keys, codes and files, whole and damaged.

use super::*;
use crate::attestation::publication::Publication;
use crate::encoding::canonical_json;

#[test]
fn keys_say_how_they_were_made_and_are_checked_when_they_are_read() {
    assert_eq!(refusal(VerifierKey::load(key_folder(), false)).0, "attest.development_key");
    assert_eq!(refusal(ProverKey::load(key_folder(), false)).0, "attest.development_key");
    assert_eq!(refusal(keys::create_development::<Eligibility>(key_folder())).0, "attest.conflict");
    let folder = tempfile::tempdir().unwrap();
    for name in ["key.json", "verifying.key", "proving.key"] {
        std::fs::copy(key_folder().join(name), folder.path().join(name)).unwrap();
    }
    for name in ["proving.key", "verifying.key"] {
        let path = folder.path().join(name);
        let mut bytes = std::fs::read(&path).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        std::fs::write(&path, bytes).unwrap();
    }
    let (verifying, proving) = (key_folder().join("verifying.key"), key_folder().join("proving.key"));
    let (verifying, proving) = (std::fs::read(verifying).unwrap(), std::fs::read(proving).unwrap());
    let id = Digest(prover_key().id.0);
    let imported = folder.path().join("imported");
    assert_eq!(
        refusal(keys::import::<Eligibility>(&imported, &verifying, None, Digest([0; 32]))).0,
        "attest.key_file"
    );
    let file = keys::import::<Eligibility>(&imported, &verifying, Some(&proving), id).unwrap();
    assert!(!file.development && file.proving_key.is_some());
    assert!(ProverKey::load(&imported, false).unwrap().open().is_ok());
    let without = folder.path().join("without");
    assert_eq!(keys::import::<Eligibility>(&without, &verifying, None, id).unwrap().proving_key, None);
    VerifierKey::load(&without, false).unwrap();
    assert_eq!(refusal(ProverKey::load(&without, false)).0, "attest.key_file");
    let prover = ProverKey::load(folder.path(), true).unwrap();
    assert_eq!(refusal(prover.open()).0, "attest.key_file");
    assert_eq!(refusal(VerifierKey::load(folder.path(), true)).0, "attest.key_file");
}

#[test]
fn a_code_carries_an_attestation_from_a_screen_to_a_verifier() {
    let Shared { request, registry, attestation, .. } = shared();
    let text = qr::to_text(attestation).unwrap();
    assert!(text.len() < 4_296, "{} characters fit a code", text.len());
    let scanned = qr::from_text(&text).unwrap();
    assert_eq!(scanned, Attestation { registry: None, ..attestation.clone() });
    verifier(request, registry).verify(&scanned, NOW_MS).unwrap();
    // The image that was made here carries the text; of another, only a scanner reads it.
    let image = qr::to_svg(&text).unwrap();
    assert!(image.starts_with("<?xml") && image.ends_with("</svg>"));
    assert_eq!(qr::text_in(image.as_bytes()).unwrap(), Some(text.as_str()));
    assert_eq!(qr::text_in(text.as_bytes()).unwrap(), Some(text.as_str()));
    assert_eq!(qr::text_in(attestation.to_json().unwrap().as_bytes()).unwrap(), None);
    for image in ["\u{89}PNG", "%PDF-1.7", "<svg></svg>", "<svg><desc>WARD2:</desc></svg>"] {
        let bytes: Vec<u8> = image.chars().map(|c| c as u8).collect();
        assert_eq!(refusal(qr::text_in(&bytes)).0, "attest.image");
    }
    assert!(qr::to_terminal(&text).unwrap().lines().count() > 40);
}

/// The files of a credential and of an attestation, with bytes changed, cut and repeated: none is taken for another's.
#[test]
fn of_a_thousand_changed_files_none_is_accepted() {
    let Shared { world, request, registry, attestation, .. } = shared();
    let (json, text) = (attestation.to_json().unwrap().into_bytes(), qr::to_text(attestation).unwrap());
    let issued = issue(&world.issuer, "P-1", world.wallet.request(), 180);
    let published = world.issuer.publish(&world.folder.path().join("fuzzed"), NOW_MS).unwrap();
    let status = std::fs::read(&published.files[2]).unwrap();
    let (document, _) = IssuerDocument::open(&registry.issuers[0]).unwrap();
    let verifier = verifier(request, registry);
    // What is read from changed bytes may say the same (blanks in JSON); it may not say anything else.
    // The registry that travels along is a help for the verifier, who has one of its own.
    let bare = |found: &Attestation| Attestation { registry: None, ..found.clone() };
    let attests =
        |found: Attestation| bare(&found) != bare(attestation) && verifier.verify(&found, NOW_MS).is_ok();
    let envelope = issued.envelope.trim().to_owned();
    let opens = |text: &str| {
        let opened = crate::attestation::credential::open(
            text,
            &document.identity,
            &world.wallet.request(),
            &Schema::v1(),
        );
        opened.is_ok() && text.trim() != envelope
    };
    let uri = "https://north.example/status";
    let lists = |text: &str| {
        status_list::is_revoked(text, uri, &document.identity, issued.index).is_ok()
            && text.trim().as_bytes() != status.trim_ascii()
    };
    let accepts = |kind: usize, bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        match kind {
            0 => Attestation::from_json(bytes).is_ok_and(attests),
            1 => qr::from_text(&text).is_ok_and(attests),
            2 => opens(&text),
            _ => lists(&text),
        }
    };
    let files: [&[u8]; 4] = [&json, text.as_bytes(), envelope.as_bytes(), &status];
    each_damaged(&files, 1000, |kind, bytes, round| {
        assert!(!accepts(kind, bytes) || bytes == files[kind], "file {kind}, round {round}");
    });
}

/// What holders and issuers keep and exchange: read or refused, never taken for anything else.
#[test]
fn of_a_thousand_damaged_wallets_registries_and_publications_none_is_accepted() {
    let mut world = world();
    world.receive("P-1");
    let path = world.folder.path().join("wallet");
    world.wallet.save(&path).unwrap();
    let wallet = std::fs::read(&path).unwrap();
    let published = world.issuer.publish(&world.folder.path().join("published"), NOW_MS).unwrap();
    let publication = canonical_json(&world.issuer.publication("north-sea", &published).unwrap());
    let registry = canonical_json(&world.registry_at(NOW_MS));
    let (document, _) = IssuerDocument::open(&world.registry_at(NOW_MS).issuers[0]).unwrap();
    let challenge = Challenge { audience: "https://clinic.example", nonce: "n-1" };
    let now_s = NOW_MS / 1000;
    let shown = world.wallet.present(None, &["hba1c", "dx"], challenge, now_s).unwrap();
    let expected = Expecting { challenge, now_s, age_s_max: 300 };
    let content = |wallet: &Wallet| {
        let kept: Vec<_> = wallet.credentials().iter().map(|kept| kept.envelope.clone()).collect();
        (kept, canonical_json(&wallet.request()))
    };
    let honest = content(&world.wallet);
    let root = RegistryFile::from_json(&registry).unwrap().open().unwrap().root();
    let leaf = Publication::from_json(&publication).unwrap().open().unwrap().leaf;
    let attributes = presentation::verify(&shown, &document, &expected, None).unwrap().attributes;
    // Blanks in JSON say nothing: what is read has to be the same, or to be refused.
    let differs = |kind: usize, bytes: &[u8]| match kind {
        // Hardness costs time and memory, up to the limits: 64 KiB and one pass here.
        0 if !bytes.windows(17).any(|text| text == b"\"memory_kib\": 64,") => false,
        0 if !bytes.windows(12).any(|text| text == b"\"passes\": 1,") => false,
        0 => Wallet::unseal(bytes, PASSPHRASE).is_ok_and(|found| content(&found) != honest),
        1 => RegistryFile::from_json(bytes)
            .and_then(|found| found.open())
            .is_ok_and(|found| found.root() != root),
        2 => {
            Publication::from_json(bytes).and_then(|found| found.open()).is_ok_and(|found| found.leaf != leaf)
        }
        _ => presentation::verify(&String::from_utf8_lossy(bytes), &document, &expected, None)
            .is_ok_and(|found| found.attributes != attributes),
    };
    let files: [&[u8]; 4] = [&wallet, &registry, &publication, shown.as_bytes()];
    each_damaged(&files, 1000, |kind, bytes, round| {
        assert!(!differs(kind, bytes), "file {kind}, round {round}");
    });
}

/// Files with a byte changed, cut, added or written over, `rounds` times in all; what happens is the same in every run.
fn each_damaged(files: &[&[u8]], rounds: usize, mut look: impl FnMut(usize, &[u8], usize)) {
    let mut seed = 1u64;
    let mut draw = |below: usize| {
        // Knuth's MMIX generator.
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    for round in 0..rounds {
        let kind = round % files.len();
        let mut bytes = files[kind].to_vec();
        let at = draw(bytes.len());
        match draw(4) {
            0 => bytes[at] ^= 1 << draw(8),
            1 => bytes.truncate(at),
            2 => bytes.insert(at, b"0aA{}~.\"\\"[draw(9)]),
            _ => bytes[at] = b"0123456789abcdefABCDEF"[draw(22)],
        }
        look(kind, &bytes, round);
    }
}

#[test]
fn malformed_files_are_refused_by_their_kind() {
    for json in ["", "{}", "[]", "{\"ward_attestation\":1}"] {
        assert_eq!(refusal(Attestation::from_json(json.as_bytes())).0, "attest.malformed");
        assert_eq!(refusal(Request::from_json(json.as_bytes())).0, "attest.malformed");
        assert_eq!(refusal(RegistryFile::from_json(json.as_bytes())).0, "attest.malformed");
    }
    let mut request = request("trial-7");
    request.criteria = "age>=18".into();
    assert_eq!(refusal(request.check()).0, "attest.canonical");
    request.criteria = "aeg >= 18".into();
    assert_eq!(refusal(request.check()).0, "criteria.attribute");
    request.schema.0[0] ^= 1;
    assert_eq!(refusal(request.check()).0, "attest.schema");
    request.ward_request = 2;
    assert_eq!(refusal(request.check()).0, "attest.version");
}
