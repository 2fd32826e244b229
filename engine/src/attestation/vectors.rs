//! The published test vectors (`docs/reference/eligibility-vectors.json`), made anew from their seeds and compared.
//!
//! A proof is random, and so is a development key: of the attestation the public inputs are made anew, and the published
//! proof is verified under the published key. `WARD_WRITE_VECTORS=1` writes the file.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20::ChaCha20Rng;
use rand_core::SeedableRng as _;
use serde_json::{Value, json};
use ward_circuits::criteria::{Criteria, Date, SCHEMA_JSON, Schema};
use ward_circuits::eligibility::{Attributes, Eligibility, HolderSecret, PatientSecret, StatusIndex};
use ward_circuits::field;
use ward_circuits::groth16::VerifyingKey;
use ward_circuits::schnorr::SigningKey;

use super::credential::{self, Issue, IssuerKeys, Terms};
use super::documents::{IssuerDocument, RegistryFile, RevocationsDocument};
use super::file::Attestation;
use super::keys::VerifierKey;
use super::mapping::Mapping;
use super::prove;
use super::records::Record;
use super::request::Request;
use super::tests::{key_folder, prover_key};
use super::verify::{Expected, Rules, Verifier};
use super::wallet::Wallet;
use crate::encoding::{Digest, HexBytes, canonical_json};
use crate::identity::Identity;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/eligibility-vectors.json");
const NOW_MS: u64 = 1_795_316_645_000;
const TEXT: &str = "age between 18 and 75 and hba1c >= 6.5 [%] and dx in (E11.*) and not rx in (A10A*)";

fn hex_of(element: &ward_circuits::Element) -> String {
    hex::encode(field::to_bytes(element))
}

struct Made {
    vectors: Value,
    wallet: Wallet,
    envelope: String,
    issuer: IssuerDocument,
    request: Request,
    registry: RegistryFile,
}

/// The slots of the vectors' patient.
fn attributes(schema: &Arc<Schema>, date: Date) -> Attributes {
    let mapping = "schema = \"ward-eligibility-schema/1\"\npatient = \"id\"\n[attribute.birth_date]\ncolumn = \"dob\"\n\
        [attribute.hba1c]\ncolumn = \"a1c\"\nunit = \"%\"\n[attribute.dx]\ncolumn = \"icd\"\ncomplete = true\n\
        [attribute.rx]\ncolumn = \"atc\"\ncomplete = true\n";
    let fields =
        [("id", "P-1"), ("dob", "1968-04-02"), ("a1c", "7.1"), ("icd", "E11.65;I10"), ("atc", "A10BA02")];
    let record = Record::new(2, fields.map(|(name, value)| (name.to_owned(), value.to_owned())));
    Mapping::parse(mapping, schema).unwrap().apply(&record, date).unwrap().attributes
}

fn made() -> Made {
    let (schema, date) = (Schema::v1(), Date::from_unix_ms(NOW_MS).unwrap());
    let rng = &mut ChaCha20Rng::from_seed([1; 32]);
    let (identity, signing) = (Identity::from_seed(&[2; 32]), SigningKey::generate(rng));
    let wallet = Wallet::of_secrets([3; 32], HolderSecret::generate(rng));
    let attributes = attributes(&schema, date);
    let issue = Issue {
        attributes,
        patient: PatientSecret::of(&[4; 32]),
        terms: Terms {
            holder: wallet.request(),
            validity: (date, date.plus_days(179).unwrap()),
            index: StatusIndex::new(77).unwrap(),
            status_uri: "https://north.example/north.status.jwt".to_owned(),
        },
    };
    let keys = IssuerKeys { name: "north", identity: &identity, signing: &signing };
    let envelope = credential::issue(&keys, &schema, issue, rng).unwrap();
    let issuer = IssuerDocument {
        ward_issuer: 1,
        name: "north".to_owned(),
        identity: identity.public(),
        credential_key: HexBytes(signing.public_key().to_bytes().to_vec()),
        schema: Digest(schema.id().0),
        created_unix_ms: NOW_MS,
    };
    let revocations =
        RevocationsDocument::new("north", &signing.public_key(), (1, NOW_MS), &[5, 700]).unwrap();
    let registry = RegistryFile::new(vec![issuer.signed(&identity)], vec![revocations.signed(&identity)]);
    let criteria = Criteria::parse(TEXT, &schema).unwrap();
    let request = Request {
        ward_request: 1,
        study: "trial-7".to_owned(),
        audience: "https://sponsor.example".to_owned(),
        criteria: criteria.to_string(),
        schema: Digest(schema.id().0),
        chain_id: 0,
        nonce: HexBytes(vec![5; 16]),
        expires_unix_ms: NOW_MS + 604_800_000,
    };
    let opened = credential::open(&envelope, &identity.public(), &wallet.request(), &schema).unwrap();
    let credential = &opened.credential;
    let lowered = criteria.lower(date).unwrap();
    let (schema_id, study) = (credential::schema_element(), request.study_id());
    let terms = ward_circuits::eligibility::terms(lowered.criteria(), &schema_id, &study);
    let nullifier = credential.patient().nullifier(&study);
    let vectors = json!({
        "schema": { "id": schema.id().to_string(), "element": hex_of(&schema_id.element()), "bytes": SCHEMA_JSON.len() },
        "criteria": {
            "text": TEXT, "canonical": criteria.to_string(), "text_id": criteria.text_id().to_string(),
            "evaluated": date.to_string(), "study": request.study, "study_element": hex_of(&study.element()),
            "terms": hex_of(&terms),
        },
        "request": {
            "canonical": String::from_utf8(canonical_json(&request)).unwrap(), "digest": request.digest(),
            "context": hex_of(&request.context().element()),
        },
        "credential": {
            "issuer_identity_seed": hex::encode([2; 32]),
            "issuer_signing_key": hex::encode(signing.to_bytes().expose()),
            "holder_request": wallet.request(),
            "holder_secret": hex::encode(wallet.secret().unwrap().to_bytes().expose()),
            "patient_secret_of": hex::encode([4; 32]),
            "commitment": hex_of(&credential.commitment()), "nullifier": hex_of(&nullifier.0), "envelope": envelope,
        },
        "registry": { "file": registry, "root": hex_of(&registry.open().unwrap().root()) },
    });
    Made { vectors, wallet, envelope, issuer, request, registry }
}

fn attest(made: &mut Made) -> Value {
    let envelope = made.envelope.clone();
    made.wallet.add("vector", &envelope, &made.issuer).unwrap();
    let opened = made.wallet.credential(None).unwrap();
    let claim = prove::claim(&made.wallet, opened, &made.request, &made.registry, NOW_MS).unwrap();
    let attestation = claim.prove(prover_key(), &mut ChaCha20Rng::from_seed([6; 32])).unwrap();
    let key = VerifierKey::load(key_folder(), true).unwrap().key.to_bytes();
    json!({ "verifying_key": STANDARD.encode(key), "file": attestation, "digest": attestation.digest() })
}

#[test]
fn the_published_vectors_are_what_this_version_makes() {
    let mut made = made();
    if std::env::var_os("WARD_WRITE_VECTORS").is_some() {
        let mut all = made.vectors.clone();
        all["attestation"] = attest(&mut made);
        std::fs::write(PATH, serde_json::to_string_pretty(&all).unwrap() + "\n").unwrap();
    }
    let published: Value = serde_json::from_slice(&std::fs::read(PATH).unwrap()).unwrap();
    for (name, value) in made.vectors.as_object().unwrap() {
        assert_eq!(published[name], *value, "{name}");
    }
    let attestation: Attestation = serde_json::from_value(published["attestation"]["file"].clone()).unwrap();
    let key = STANDARD.decode(published["attestation"]["verifying_key"].as_str().unwrap()).unwrap();
    let key = VerifyingKey::<Eligibility>::from_bytes(&key).unwrap();
    assert_eq!(attestation.request, made.request);
    assert!(attestation.development_key, "a vector says that nothing may depend on it");
    let verifier = Verifier {
        key: VerifierKey { key, is_development: true },
        registry: made.registry.open().unwrap(),
        rules: Rules {
            expected: Expected::Request(Box::new(made.request.clone())),
            evaluated_days_max: 7,
            revocations_days_max: 7,
            log: None,
        },
    };
    let verified = verifier.verify(&attestation, NOW_MS).unwrap();
    assert_eq!(serde_json::to_value(verified.digest()).unwrap(), published["attestation"]["digest"]);
    assert_eq!(verified.nullifier().to_string(), made.vectors["credential"]["nullifier"].as_str().unwrap());
}
