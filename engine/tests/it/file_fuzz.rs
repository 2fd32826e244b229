//! Files and texts that people, hospitals and researchers hand over: read or refused, whatever stands in them. Every decoder gets
//! bytes of any kind, and valid input with a few places damaged. Messages of nodes are in `wire_fuzz`; credentials, proofs, wallets
//! and registries in the tests of `attestation`.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;
use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::json;
use ward_circuits::criteria::Schema;
use ward_engine::attestation::request::Request as ProofRequest;
use ward_engine::attestation::{jws, mapping as credentials, qr, records as patients};
use ward_engine::config::EngineConfig;
use ward_engine::consent::{self, Pseudonym, Purpose, fhir as consents};
use ward_engine::encoding::canonical_json;
use ward_engine::identity::authorize::{Authorizer, shipped_files};
use ward_engine::identity::{Did, Identity};
use ward_engine::ledger::{AuditCheckpoint, Checkpoint, Note, Receipt, SetupReceipt, Tile, TlogProof};
use ward_engine::party::connect::Proxy;
use ward_engine::party::documents::content;
use ward_engine::party::local::cohort::Partition;
use ward_engine::party::local::config::PartyConfig;
use ward_engine::party::local::data::LocalData;
use ward_engine::query::plan::Plan;
use ward_engine::records::mapping::Mapping;
use ward_engine::records::source::{Origin, RecordsSource};
use ward_engine::records::table::Sink;
use ward_engine::records::version::{RowTags, VersionKey};
use ward_engine::records::{RecordsError, path, unit::Unit};
use ward_engine::sharing::authority::AuthorityDocument;
use ward_engine::sharing::house::{GrantDocument, HouseDocument};
use ward_engine::study::{Budget, STUDY_VERSION, Study};
use ward_engine::trace::TraceParent;

use crate::world::{example, small};

/// What is written over a place, or pushed in: what readers stumble over.
const STUMBLES: [&[u8]; 18] = [
    b"0",
    b"-1",
    b"99999999999999999999",
    b"1e999",
    b"-0.0",
    b"null",
    b"[]",
    b"{}",
    b"\"",
    b"\\",
    b"\n",
    b"\0",
    b"\xff\xfe",
    "\u{2014}".as_bytes(),
    b"=",
    b"[[",
    b",,",
    b"2999-13-32",
];

#[derive(Clone, Debug)]
enum Edit {
    Remove(Index, u8),
    Insert(Index, usize),
    Replace(Index, usize),
    Byte(Index, u8),
    Repeat(Index, u8),
    Cut(Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let (at, stumble) = (any::<Index>, 0..STUMBLES.len());
    prop_oneof![
        3 => (at(), any::<u8>()).prop_map(|(at, count)| Edit::Remove(at, count % 16)),
        3 => (at(), stumble.clone()).prop_map(|(at, text)| Edit::Insert(at, text)),
        3 => (at(), stumble).prop_map(|(at, text)| Edit::Replace(at, text)),
        3 => (at(), any::<u8>()).prop_map(|(at, byte)| Edit::Byte(at, byte)),
        1 => (at(), any::<u8>()).prop_map(|(at, count)| Edit::Repeat(at, count)),
        1 => at().prop_map(Edit::Cut),
    ]
}

fn damage(mut bytes: Vec<u8>, edits: &[Edit]) -> Vec<u8> {
    for edit in edits {
        let place = |at: &Index| at.index(bytes.len() + 1);
        let span = |at: &Index, count: usize| place(at)..(place(at) + count).min(bytes.len());
        let (span, new) = match edit {
            Edit::Remove(at, count) => (span(at, usize::from(*count)), Vec::new()),
            Edit::Insert(at, text) => (span(at, 0), STUMBLES[*text].to_vec()),
            Edit::Replace(at, text) => (span(at, STUMBLES[*text].len()), STUMBLES[*text].to_vec()),
            Edit::Byte(at, byte) => (span(at, 1), vec![*byte]),
            Edit::Repeat(at, count) => (span(at, 0), bytes[span(at, usize::from(*count))].to_vec()),
            Edit::Cut(at) => (place(at)..bytes.len(), Vec::new()),
        };
        bytes.splice(span, new);
    }
    bytes
}

/// Bytes of any kind, now and then, and otherwise one of these files with up to five places damaged.
fn damaged(files: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let edited = (prop::sample::select(files), prop::collection::vec(edit(), 0..6));
    prop_oneof![
        1 => prop::collection::vec(any::<u8>(), 0..300),
        7 => edited.prop_map(|(file, edits)| damage(file, &edits)),
    ]
}

fn texts(files: &[&str]) -> impl Strategy<Value = String> + use<> {
    let files = files.iter().map(|file| file.as_bytes().to_vec()).collect();
    damaged(files).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// The first lines of a compressed file of the examples.
fn head(file: &str, lines: usize) -> String {
    let path = format!("{}/../examples/data/{file}", env!("CARGO_MANIFEST_DIR"));
    let file = std::fs::File::open(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).expect("a compressed text");
    text.lines().take(lines).flat_map(|line| [line, "\n"]).collect()
}

/// Counts rows, each of as many fields as its table has columns.
#[derive(Default)]
struct Counted(BTreeSet<usize>);

impl Sink for Counted {
    fn row(&mut self, fields: &[Option<String>]) -> Result<(), RecordsError> {
        self.0.insert(fields.len());
        Ok(())
    }
}

/// Reads both tables of an export whose files are these.
fn read_records(mapping: &str, files: &[(&str, &[u8])], origin: fn(&Path) -> Origin, tables: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).expect("a file");
    }
    let path = folder.path().join("mapping.toml");
    std::fs::write(&path, mapping).expect("a mapping");
    for table in tables {
        let source = RecordsSource {
            origin: origin(folder.path()),
            mapping: path.clone(),
            table: (*table).to_owned(),
        };
        let Ok(mapping) = source.mapping() else { continue };
        let mut rows = Counted::default();
        let mut reader = source.open().expect("a folder");
        if source.read(&mapping, reader.as_mut(), &mut rows).is_ok() {
            assert!(rows.0.len() <= 1, "rows of different widths: {:?}", rows.0);
        }
    }
}

static FHIR: LazyLock<[String; 4]> = LazyLock::new(|| {
    let file = |kind: &str| head(&format!("fhir/hospital_A/{kind}.ndjson.gz"), 4);
    [example("fhir/mapping.toml"), file("Patient"), file("Observation"), file("Condition")]
});

static OMOP: LazyLock<[String; 4]> = LazyLock::new(|| {
    let file = |table: &str| head(&format!("omop/hospital_A/{table}.csv.gz"), 5);
    [example("omop/mapping.toml"), file("person"), file("condition_occurrence"), file("drug_exposure")]
});

fn study() -> Study {
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    Study {
        version: STUDY_VERSION,
        consortium: "test".to_owned(),
        id: "sugar".to_owned(),
        title: "HbA1c by sex".to_owned(),
        drafter: "ada".to_owned(),
        members: set(&["ada", "bob"]),
        purposes: BTreeSet::from([Purpose::HEALTH_RESEARCH]),
        tables: set(&["labs"]),
        statistics: set(&["avg", "count"]),
        floor: 10,
        budget: Some(Budget { epsilon_milli: 1500, delta_pico: 1_000_000 }),
        ethics: "EK 2026/17".to_owned(),
        hospitals: set(&["north", "south"]),
        drafted_unix_ms: 1_800_000_000_000,
        ends_unix_ms: 1_900_000_000_000,
    }
}

/// FHIR Consents of release 4 and 5.
fn consent_resources() -> Vec<Vec<u8>> {
    let reason = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
    let class = json!([{ "system": "http://hl7.org/fhir/resource-types", "code": "MolecularSequence" }]);
    let provision = json!({
        "type": "permit", "period": { "start": "2026-01-01", "end": "2026-12-31" },
        "purpose": [{ "system": reason, "code": "HRESCH" }],
        "actor": [{ "reference": { "reference": "Organization/north" } }],
        "provision": [{ "type": "deny", "class": class }],
    });
    let r4 = json!({
        "resourceType": "Consent", "id": "c1", "status": "active", "patient": { "reference": "Patient/p-1" },
        "scope": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "research" }] },
        "dateTime": "2026-01-05T10:00:00+02:00", "provision": provision,
    });
    let r5 = json!({
        "resourceType": "Consent", "id": "c1", "status": "active", "date": "2026-01-05", "decision": "permit",
        "subject": { "reference": "https://fhir.example/Patient/p-1/_history/2" }, "provision": [provision],
    });
    [r4, r5].iter().map(|resource| resource.to_string().into_bytes()).collect()
}

/// A party's table over a file of this name.
fn party(kind: &str) -> String {
    format!(
        r#"[party]
data_dir = "state"
[[table]]
name = "t"
source = {{ {kind} = "data" }}
rows_max = 100
[[table.column]]
name = "age"
kind = "integer"
min = 0
max = 120
[[table.column]]
name = "bmi"
kind = "real"
digits = 1
min = 10
max = 80
[[table.column]]
name = "sex"
kind = "category"
codes = ["F", "M"]
"#
    )
}

const ROWS: &str = "age,bmi,sex\n40,22.5,F\n41,30.1,M\n,NA,\n120,10,F\n";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(160))]

    #[test]
    fn a_damaged_export_of_fhir_is_read_or_refused(which in 0..4usize, edits in prop::collection::vec(edit(), 0..6)) {
        let mut files = FHIR.each_ref().map(|file| file.clone().into_bytes());
        files[which] = damage(std::mem::take(&mut files[which]), &edits);
        let [mapping, patient, observation, condition] = &files;
        let named: [(&str, &[u8]); 3] = [
            ("Patient.ndjson", patient), ("Observation.ndjson", observation), ("Condition.ndjson", condition),
        ];
        let mapping = String::from_utf8_lossy(mapping);
        read_records(&mapping, &named, |folder| Origin::Fhir(folder.to_owned()), &["patients", "observations"]);
    }

    #[test]
    fn damaged_tables_of_omop_are_read_or_refused(which in 0..4usize, edits in prop::collection::vec(edit(), 0..6)) {
        let mut files = OMOP.each_ref().map(|file| file.clone().into_bytes());
        files[which] = damage(std::mem::take(&mut files[which]), &edits);
        let [mapping, person, condition, drug] = &files;
        let named: [(&str, &[u8]); 3] =
            [("person.csv", person), ("condition_occurrence.csv", condition), ("drug_exposure.csv", drug)];
        let text = String::from_utf8_lossy(mapping);
        let tables: Vec<String> = Mapping::parse(&text, "mapping.toml")
            .map(|mapping| mapping.tables.keys().cloned().collect())
            .unwrap_or_default();
        let tables: Vec<&str> = tables.iter().map(String::as_str).collect();
        read_records(&text, &named, |folder| Origin::OmopFiles(folder.to_owned()), &tables);
    }

    #[test]
    fn a_damaged_table_or_configuration_of_a_hospital_is_read_or_refused(
        parquet in any::<bool>(),
        config in prop::collection::vec(edit(), 0..3),
        rows in damaged(vec![ROWS.as_bytes().to_vec(), b"PAR1\x15\x04\x15\x10PAR1".to_vec()]),
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("data"), &rows).expect("a file");
        let text = party(if parquet { "parquet" } else { "csv" }).into_bytes();
        let text = String::from_utf8_lossy(&damage(text, &config)).into_owned();
        if let Ok(config) = PartyConfig::from_text(&text, &folder.path().join("party.toml")) {
            let key = VersionKey::from_bytes(&[7; 32]);
            if let Ok(data) = LocalData::open(&config, key) {
                let published = data.publication("A", 5).expect("it was opened");
                prop_assert!(published.tables.iter().all(|table| !table.columns.is_empty()));
            }
        }
    }

    #[test]
    fn files_that_people_write_are_read_or_refused(
        text in texts(&[
            &small(1, "")[0].toml, &example("breast/D.toml"), &example("fhir/A.toml"), &example("omop/A.toml"),
            &example("fhir/mapping.toml"), &example("hl7/mapping.toml"), &example("omop/mapping.toml"),
            &example("eligibility/mapping.toml"), &example("eligibility/policy.toml"),
            include_str!("../../src/consent/fhir/default.toml"),
        ]),
    ) {
        let _ = PartyConfig::from_text(&text, Path::new("party.toml"));
        let _ = consents::Mapping::parse(&text);
        if let Ok(mapping) = Mapping::parse(&text, "mapping.toml") {
            prop_assert!(!mapping.tables.is_empty());
        }
        let _ = credentials::Mapping::parse(&text, &Schema::v1());
        let _ = path::parse(&text);
    }

    #[test]
    fn consents_of_any_shape_are_taken_over_or_refused(bytes in damaged(consent_resources())) {
        let mapping = consents::Mapping::shipped().expect("the shipped mapping");
        if let Ok(resource) = serde_json::from_slice(&bytes)
            && let Ok((document, _)) = consents::read(&resource, &mapping)
        {
            prop_assert!(!document.statements.is_empty() && document.statements.len() <= consent::COUNT_MAX);
            prop_assert!(document.source.starts_with("fhir-r"));
        }
    }

    #[test]
    fn a_study_is_the_one_that_was_signed_or_none(bytes in damaged(vec![canonical_json(&study())])) {
        if let Ok(study) = Study::from_json(&bytes) {
            prop_assert_eq!(canonical_json(&study), bytes);
        }
    }

    #[test]
    fn patients_in_a_table_are_read_or_refused(
        bytes in damaged(vec![example("eligibility/patients.csv").into_bytes()]),
        semicolon in any::<bool>(),
    ) {
        let _ = patients::read(&bytes, if semicolon { ';' } else { ',' });
    }

    #[test]
    fn documents_of_any_bytes_have_a_kind_or_are_refused(
        bytes in damaged(vec![b"%PDF-1.7\n%%EOF".to_vec(), b"\x89PNG\r\n\x1a\n".to_vec(), b"PK\x03\x04".to_vec(), b"<?xml version=\"1.0\"?><a/>".to_vec()]),
        name in "[a-zA-Z.]{0,12}",
    ) {
        let declared = content::declared_by_name(&name).unwrap_or("application/pdf");
        if let Ok(kind) = content::check(&bytes, declared) {
            prop_assert!(!kind.is_empty());
        }
    }

    #[test]
    fn what_a_node_kept_is_read_back_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Some(partition) = Partition::decode(&bytes) {
            prop_assert_eq!(Partition::decode(&partition.encode()), Some(partition));
        }
        if let Some(tags) = RowTags::decode(&bytes) {
            prop_assert_eq!(tags.encode(), bytes);
        }
    }
}

/// Texts of one line that peers send or people paste, valid.
fn pasted() -> Vec<&'static str> {
    vec![
        "did:web:north.example%3A8443:clinic",
        "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "http://user:pass%20word@proxy.example:3128",
        "tile/0/x001/x234/067.p/41",
        "tile/entries/000",
        "DUO:0000042",
        "DUO:0000007=MONDO:0005148",
        "mg/dL",
        "10*3/uL",
        "Observation.where(code.coding.exists(code = '1')).value.ofType(Quantity)",
        "eyJhbGciOiJFZERTQSIsInR5cCI6ImRjK3NkLWp3dCJ9.eyJpc3MiOiJodHRwczovL24uZXhhbXBsZSJ9.AAAA~",
        "c2sp.org/tlog-proof@v1\nindex 7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\nward.example/log\n8\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n\u{2014} ward.example/log AAAAAAAA\n",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn texts_that_are_pasted_or_sent_are_read_or_refused(text in texts(&pasted())) {
        if let Ok(did) = Did::parse(&text) {
            prop_assert!(text.starts_with("did:"));
            let _ = did.keys(text.as_bytes());
        }
        if let Some(trace) = TraceParent::parse(&text) {
            prop_assert_eq!(trace.to_string(), text.as_str());
        }
        if let Ok(proof) = TlogProof::parse(&text) {
            prop_assert_eq!(proof.to_text(), text.as_str());
        }
        if let Ok(tile) = Tile::parse(&text) {
            prop_assert_eq!(tile.path(), text.as_str());
            let _ = tile.range();
        }
        if let Ok(purpose) = Purpose::parse(&text) {
            prop_assert_eq!(Purpose::parse(&purpose.to_string()), Ok(purpose));
        }
        if let Some(bytes) = jws::decode(&text) {
            prop_assert_eq!(jws::encode(&bytes), text.as_str());
        }
        let _ = (Proxy::parse(&text), Unit::parse(&text), Pseudonym::parse(&text), path::parse(&text));
        let _ = (qr::from_text(&text), Note::parse(&text), Checkpoint::parse(&text));
        let _ = (Identity::from_pem(&text), jws::from_jwk(&serde_json::Value::String(text)));
    }

    #[test]
    fn documents_of_others_are_read_or_refused(
        bytes in damaged(vec![
            br#"{"version":1,"record":{},"log":"","certificates":[]}"#.to_vec(),
            br#"{"ward_request":1,"schema":"00","criteria":"age >= 18","study":"s","nonce":"n","audience":"a"}"#.to_vec(),
            br#"{"version":1,"name":"north","key":"00","proof":"00"}"#.to_vec(),
        ]),
    ) {
        let _ = (SetupReceipt::from_json(&bytes), AuditCheckpoint::from_json(&bytes), Receipt::from_json(&bytes));
        let _ = (AuthorityDocument::from_json(&bytes), HouseDocument::from_json(&bytes), GrantDocument::from_json(&bytes));
        let _ = (ProofRequest::from_json(&bytes), Plan::from_json(&bytes));
    }
}

/// Reading these takes a folder, or long: fewer of them.
mod slow {
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn the_operators_files_are_read_or_refused(
            text in texts(&[
                "[limits]\njobs = 3\n[studies]\nrequired = true\n",
                "permit (principal, action, resource) when { context.purpose == \"DUO:0000042\" };",
                &shipped_files().iter().map(|(_, text)| *text).collect::<String>(),
            ]),
        ) {
            let folder = tempfile::tempdir().expect("a folder");
            std::fs::write(folder.path().join("engine.toml"), &text).expect("a file");
            let _ = EngineConfig::load(folder.path());
            let policy = folder.path().join("own.cedar");
            std::fs::write(&policy, &text).expect("a file");
            let _ = Authorizer::load(&[policy]);
        }
    }
}
