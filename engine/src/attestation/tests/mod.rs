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

mod answers;
mod files;
mod issuers;
mod published;
mod wallets;

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
        assert!(keys::create_development::<Eligibility>(&made).unwrap().development);
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
