//! From a record to a verified attestation, and every refusal on the way.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ward_circuits::criteria::{Date, Schema};
use ward_circuits::eligibility::{Eligibility, Violation};
use ward_circuits::groth16::{Proof, VerifyError};

use super::credential::HolderRequest;
use super::documents::{IssuerDocument, RegistryFile, Signed};
use super::file::Attestation;
use super::issuer::{Issued, Issuer, NewIssuer};
use super::key_binding::{Challenge, Expected as Expecting};
use super::keys::{self, ProverKey, VerifierKey};
use super::mapping::Mapping;
use super::nullifiers::MemoryNullifiers;
use super::presentation;
use super::prove::{self, Policy};
use super::records;
use super::request::Request;
use super::verify::{Audience, Expected, Rules, Verifier, count_all};
use super::wallet::{Hardness, Wallet};
use super::{AttestationError, qr, status_list, system_rng};
use crate::encoding::Digest;
use crate::identity::{SealKey, random};
use zeroize::Zeroizing;

const NOW_MS: u64 = 1_795_316_645_000;
const DAY_MS: u64 = 86_400_000;
const AUDIENCE: &str = "https://sponsor.example";
const CRITERIA: &str = "age between 18 and 75 and hba1c >= 6.5 [%] and dx in (E11.*) and not rx in (A10A*)";
const PASSPHRASE: &str = "a passphrase of tests";
const QUICK: Hardness = Hardness { memory_kib: 64, passes: 1 };

const MAPPING: &str = r#"
    schema = "ward-eligibility-schema/1"
    patient = "id"
    [attribute.birth_date]
    column = "dob"
    [attribute.hba1c]
    column = "a1c"
    unit = "%"
    [attribute.dx]
    column = "icd"
    complete = true
    [attribute.rx]
    column = "atc"
    complete = true
"#;

const RECORDS: &str = "id,dob,a1c,icd,atc\n\
    P-1,1968-04-02,7.1,E11.65;I10,A10BA02\n\
    P-2,1990-01-31,5.4,I10,\n\
    P-3,1971-12-24,8.25,E11.9,A10AB01\n\
    P-4,1960-06-30,6.5,E11.9,A10BA02\n";

/// The development key of all tests: made once for a build folder, since making and validating one takes seconds.
pub(super) fn key_folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let (matrices, _) = ward_circuits::constraints::<Eligibility>();
        let cache = std::env::current_exe().unwrap().with_file_name("ward-test-keys");
        let folder = cache.join(hex::encode(matrices.digest()));
        // A key that was cut short, or of an older form, is made anew.
        let serves = |folder: &Path| ProverKey::load(folder, true).is_ok_and(|key| key.open().is_ok());
        if serves(&folder) {
            return folder;
        }
        let made = cache.join(format!("making-{}", hex::encode(random::<8>().unwrap())));
        assert!(keys::create_development(&made).unwrap().development);
        let _ = std::fs::remove_dir_all(&folder);
        // Of two processes one is first; the other keeps what it made.
        if std::fs::rename(&made, &folder).is_ok() { folder } else { made }
    })
}

pub(super) fn prover_key() -> &'static ProverKey {
    static KEY: OnceLock<ProverKey> = OnceLock::new();
    KEY.get_or_init(|| ProverKey::load(key_folder(), true).unwrap())
}

struct World {
    folder: tempfile::TempDir,
    issuer: Issuer,
    wallet: Wallet,
}

fn seal() -> SealKey {
    SealKey::from_bytes(Zeroizing::new([7; 32]))
}

fn new_issuer(folder: &Path, name: &str, patients: Option<[u8; 32]>) -> Issuer {
    let new = NewIssuer {
        name,
        status_uri: "https://north.example/status",
        patients: patients.map(Zeroizing::new),
    };
    Issuer::create(&folder.join(name), &seal(), &new, NOW_MS).unwrap()
}

fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let issuer = new_issuer(folder.path(), "north", None);
    World { issuer, wallet: Wallet::create(PASSPHRASE, QUICK).unwrap(), folder }
}

fn issue(issuer: &Issuer, patient: &str, holder: HolderRequest, days: u32) -> Issued {
    let mapping = Mapping::parse(MAPPING, &Schema::v1()).unwrap();
    let record = records::find(RECORDS.as_bytes(), ',', mapping.patient_column(), patient).unwrap();
    let today = Date::from_unix_ms(NOW_MS).unwrap();
    let mapped = mapping.apply(&record, today).unwrap();
    issuer.issue(mapped, patient, holder, (today, days), NOW_MS).unwrap()
}

fn document(file: &Path) -> Signed {
    Signed::from_json(&std::fs::read(file).unwrap()).unwrap()
}

/// What the issuers publish at a time.
fn registry(folder: &Path, issuers: &[&Issuer], at_ms: u64) -> RegistryFile {
    let (mut documents, mut revocations) = (Vec::new(), Vec::new());
    for issuer in issuers {
        let published = issuer.publish(&folder.join("published"), at_ms).unwrap();
        documents.push(document(&published.files[0]));
        revocations.push(document(&published.files[1]));
    }
    RegistryFile::new(documents, revocations)
}

impl World {
    fn registry_at(&self, at_ms: u64) -> RegistryFile {
        registry(self.folder.path(), &[&self.issuer], at_ms)
    }

    fn receive(&mut self, patient: &str) -> u32 {
        let issued = issue(&self.issuer, patient, self.wallet.request(), 180);
        let (issuer, _) = IssuerDocument::open(&self.registry_at(NOW_MS).issuers[0]).unwrap();
        self.wallet.add(&patient.to_lowercase(), &issued.envelope, &issuer).unwrap();
        issued.index
    }

    fn attest(&self, patient: &str, request: &Request) -> Result<Attestation, AttestationError> {
        self.attest_under(patient, request, &self.registry_at(NOW_MS), NOW_MS)
    }

    fn attest_under(
        &self,
        patient: &str,
        request: &Request,
        registry: &RegistryFile,
        now_ms: u64,
    ) -> Result<Attestation, AttestationError> {
        let opened = self.wallet.credential(Some(&patient.to_lowercase()))?;
        let claim = prove::claim(&self.wallet, opened, request, registry, now_ms)?;
        claim.prove(prover_key(), &mut system_rng().unwrap())
    }
}

/// One attestation of P-1 and one of P-4, for the tests that change nothing: a proof takes a second.
struct Shared {
    world: World,
    request: Request,
    registry: RegistryFile,
    attestation: Attestation,
    other: Attestation,
}

fn shared() -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    SHARED.get_or_init(|| {
        let mut world = world();
        world.receive("P-1");
        world.receive("P-4");
        let request = Request { expires_unix_ms: NOW_MS + 60 * DAY_MS, ..request("trial-7") };
        let registry = world.registry_at(NOW_MS);
        let attestation = world.attest_under("P-1", &request, &registry, NOW_MS).unwrap();
        let other = world.attest_under("P-4", &request, &registry, NOW_MS).unwrap();
        Shared { world, request, registry, attestation, other }
    })
}

fn verifier(request: &Request, registry: &RegistryFile) -> Verifier {
    Verifier {
        key: VerifierKey::load(key_folder(), true).unwrap(),
        registry: registry.open().unwrap(),
        rules: Rules {
            expected: Expected::Request(Box::new(request.clone())),
            evaluated_days_max: 7,
            revocations_days_max: 7,
            log: None,
        },
    }
}

fn request(study: &str) -> Request {
    Request::new(CRITERIA, (study, AUDIENCE), 0, NOW_MS + 7 * DAY_MS).unwrap()
}

fn refusal<T>(result: Result<T, AttestationError>) -> (&'static str, String) {
    let error = result.err().expect("it is refused");
    (error.code(), error.to_string())
}

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
    super::tests::verifier(&request, &before).verify(&fresh, NOW_MS).unwrap();
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
fn keys_say_how_they_were_made_and_are_checked_when_they_are_read() {
    assert_eq!(refusal(VerifierKey::load(key_folder(), false)).0, "attest.development_key");
    assert_eq!(refusal(ProverKey::load(key_folder(), false)).0, "attest.development_key");
    assert_eq!(refusal(keys::create_development(key_folder())).0, "attest.conflict");
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
    assert_eq!(refusal(keys::import(&imported, &verifying, None, Digest([0; 32]))).0, "attest.key_file");
    let file = keys::import(&imported, &verifying, Some(&proving), id).unwrap();
    assert!(!file.development && file.proving_key.is_some());
    assert!(ProverKey::load(&imported, false).unwrap().open().is_ok());
    let without = folder.path().join("without");
    assert_eq!(keys::import(&without, &verifying, None, id).unwrap().proving_key, None);
    VerifierKey::load(&without, false).unwrap();
    assert_eq!(refusal(ProverKey::load(&without, false)).0, "attest.key_file");
    let prover = ProverKey::load(folder.path(), true).unwrap();
    assert_eq!(refusal(prover.open()).0, "attest.key_file");
    assert_eq!(refusal(VerifierKey::load(folder.path(), true)).0, "attest.key_file");
}

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
fn the_house_decides_for_whom_its_clinicians_prove() {
    let policy: Policy = toml::from_str("studies = [\"trial-7\"]\naudiences = []").unwrap();
    policy.check(&request("trial-7")).unwrap();
    assert_eq!(refusal(policy.check(&request("trial-8"))).0, "prove.policy");
    assert!(toml::from_str::<Policy>("studys = []").is_err());
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

#[test]
fn a_code_carries_an_attestation_from_a_screen_to_a_verifier() {
    let Shared { request, registry, attestation, .. } = shared();
    let text = qr::to_text(attestation).unwrap();
    assert!(text.len() < 4_296, "{} characters fit a code", text.len());
    let scanned = qr::from_text(&text).unwrap();
    assert_eq!(scanned, Attestation { registry: None, ..attestation.clone() });
    verifier(request, registry).verify(&scanned, NOW_MS).unwrap();
    assert!(qr::to_svg(&text).unwrap().starts_with("<?xml"));
    assert!(qr::to_terminal(&text).unwrap().lines().count() > 40);
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
        let disclosed: Vec<u8> = shown.split('~').skip(1).filter_map(super::jws::decode).flatten().collect();
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
        let opened =
            super::credential::open(text, &document.identity, &world.wallet.request(), &Schema::v1());
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
    let mut seed = 1u64;
    let mut draw = |below: usize| {
        // Knuth's MMIX generator: which bytes are changed is the same in every run.
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    for round in 0..1000 {
        let kind = round % files.len();
        let mut bytes = files[kind].to_vec();
        let at = draw(bytes.len());
        match draw(4) {
            0 => bytes[at] ^= 1 << draw(8),
            1 => bytes.truncate(at),
            2 => bytes.insert(at, b"0aA{}~.\"\\"[draw(9)]),
            _ => bytes[at] = b"0123456789abcdefABCDEF"[draw(22)],
        }
        assert!(!accepts(kind, &bytes) || bytes == files[kind], "file {kind}, round {round}, byte {at}");
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
