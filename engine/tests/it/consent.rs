//! Consent through the whole system: only rows of patients who consented enter an answer, on both routes, and nothing
//! leaves the house over the rows of a patient who has taken consent back.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

use serde_json::{Value as Json, json};
use ward_engine::clock::now_ms;
use ward_engine::consent::{Artefact, Provenance, Purpose, Rule, Scope, Status, Validity};
use ward_engine::encoding::Digest;
use ward_engine::party::node::Node;
use ward_engine::party::task::Task;
use ward_engine::query::answer::Value;

use crate::node_answer::{counts, open};
use crate::node_house::{House, active, switch_task};
use crate::world::{Hospital, Spec, World};

const OPT_IN: &str = "[consent]\nregime = \"opt-in\"\npurpose = \"DUO:0000006\"\n";

fn grant(node: &Node, patient: &str) -> Artefact {
    let scope = Scope { purposes: [Purpose::HEALTH_RESEARCH].into(), ..Scope::default() };
    let provenance = Provenance {
        source: "test".to_owned(),
        digest: Digest::of(b""),
        by: node.name().to_owned(),
        stated_ms: now_ms(),
    };
    let rule = Rule { scope, ..Rule::default() };
    let pseudonym = node.consents().pseudonym(patient).unwrap();
    let artefact =
        Artefact::new(pseudonym, (rule, Validity::default()), Status::Granted, provenance).unwrap();
    node.record_consent(artefact.clone(), "").unwrap();
    artefact
}

fn revoke(node: &Node, artefact: &Artefact) {
    node.record_consent(artefact.become_status(Status::Revoked, now_ms()).unwrap(), "").unwrap();
}

/// The patients 0 to 29 of 40 consent at both hospitals, and one whom no table names.
fn consenting(house: &House) -> Vec<Vec<Artefact>> {
    let of = |name: &String| {
        let mut all: Vec<Artefact> = (0..30).map(|i| grant(&house.nodes[name], &i.to_string())).collect();
        all.push(grant(&house.nodes[name], "nobody's"));
        all
    };
    house.names.iter().map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_taken_back_after_the_planning_is_honoured_until_the_sum_is_opened() {
    let house = House::with_policy(2, OPT_IN);
    let consents = consenting(&house);
    let (first, second) = (&house.nodes["h-0"], &house.nodes["h-1"]);
    let epoch = house.ceremony("c", 2).await;
    let sql = "SELECT COUNT(*) FROM labs";
    let asked = house.ask("job-1", sql, 0, &epoch).await;
    house.prepare(&asked).await;
    revoke(first, &consents[0][5]);
    let gifts = house.contributions("job-1").await;
    assert!(gifts.iter().all(|gift| gift.header.consent.is_some()));
    assert_eq!(counts(&open(&house, &asked, &gifts).await), [Some(59)]);

    // Taken back between the contribution and the share: neither is given again.
    let asked = house.ask("job-2", sql, 0, &epoch).await;
    house.prepare(&asked).await;
    let gifts = house.contributions("job-2").await;
    revoke(second, &consents[1][30]);
    house.contribution("h-1", "job-2").await;
    revoke(second, &consents[1][6]);
    house.refuses("h-1", Task::Contribute { job: "job-2".to_owned() }, &[], "consent.changed").await;
    let (task, body) = switch_task("job-2", &gifts, &active(&house, &asked));
    house.refuses("h-1", task, &body, "consent.changed").await;
    assert_eq!(house.shares_given("h-1"), 1);

    // One fewer than in an answer before would show whose consent it was; five are hidden among each other.
    let asked = house.ask("job-3", sql, 0, &epoch).await;
    house.prepare(&asked).await;
    house.refuses("h-1", Task::Contribute { job: "job-3".to_owned() }, &[], "release.differencing").await;
    (7..=10).for_each(|i| revoke(second, &consents[1][i]));
    let asked = house.ask("job-4", sql, 0, &epoch).await;
    house.prepare(&asked).await;
    let gifts = house.contributions("job-4").await;
    assert_eq!(counts(&open(&house, &asked, &gifts).await), [Some(54)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_without_purpose_is_refused_where_the_hospital_names_none() {
    let house = House::with_policy(2, "[consent]\nregime = \"opt-out\"\n");
    let epoch = house.ceremony("c", 2).await;
    let asked = house.ask("job", "SELECT COUNT(*) FROM labs", 0, &epoch).await;
    let task = crate::node_house::prepare_task(&asked);
    let problem = house.refuses("h-0", task, &asked.receiver, "consent.purpose").await;
    assert!(problem.hint.contains("--purpose"), "{problem:?}");
}

/// A patient of the generated hospitals: number, age, what the patient says.
struct Patient {
    id: String,
    age: i64,
    consents: bool,
    resource: Option<Json>,
}

/// Ninety patients whose consents are of every kind: releases 4 and 5, nested, over, refused, for other things.
fn patients(hospital: i64) -> Vec<Patient> {
    let research =
        json!([{ "system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HRESCH" }]);
    let labs = json!([{ "system": "http://hl7.org/fhir/resource-types", "code": "Observation" }]);
    let imaging = json!([{ "system": "http://hl7.org/fhir/resource-types", "code": "ImagingStudy" }]);
    (0..90)
        .map(|i| {
            let id = format!("p{hospital}-{i}");
            let r4 = |status: &str, provision: Json| {
                json!({ "resourceType": "Consent", "id": id, "status": status,
                    "patient": { "reference": format!("Patient/{id}") }, "dateTime": "2026-01-05",
                    "provision": provision })
            };
            let r5 = |decision: &str, provision: Json| {
                json!({ "resourceType": "Consent", "id": id, "status": "active",
                    "subject": { "reference": format!("Patient/{id}") }, "date": "2026-01-05",
                    "decision": decision, "provision": provision })
            };
            let (consents, resource) = match i % 9 {
                0 => (true, Some(r4("active", json!({ "type": "permit", "purpose": research })))),
                1 => (true, Some(r5("deny", json!([{ "purpose": research, "resourceType": labs }])))),
                2 => {
                    let nested = json!([{ "type": "deny", "class": imaging }]);
                    let provision = json!({ "type": "permit", "purpose": research, "provision": nested });
                    (true, Some(r4("active", provision)))
                }
                3 => {
                    let nested = json!([{ "type": "deny", "class": labs }]);
                    let provision = json!({ "type": "permit", "purpose": research, "provision": nested });
                    (false, Some(r4("active", provision)))
                }
                4 => {
                    let period = json!({ "end": "2026-02-01" });
                    (
                        false,
                        Some(r4(
                            "active",
                            json!({ "type": "permit", "purpose": research, "period": period }),
                        )),
                    )
                }
                5 => (false, Some(r4("inactive", json!({ "type": "permit", "purpose": research })))),
                6 => (false, Some(r5("deny", json!([{ "purpose": research, "resourceType": imaging }])))),
                7 => (
                    false,
                    Some(r4(
                        "active",
                        json!({ "type": "permit", "securityLabel": labs, "purpose": research }),
                    )),
                ),
                _ => (false, None),
            };
            Patient { id, age: 20 + (i * 7 + hospital * 3) % 60, consents, resource }
        })
        .collect()
}

fn hospitals() -> Vec<Hospital> {
    let toml = format!(
        "[party]\ndata_dir = \"state\"\n\
         [[table]]\nname = \"t\"\nsource = {{ csv = \"data.csv\" }}\npatient = \"pid\"\ndata_class = \"labs\"\nrows_max = 1000\n\
         [[table.column]]\nname = \"age\"\nkind = \"integer\"\nmin = 0\nmax = 120\n{}",
        OPT_IN.replace("purpose = \"DUO:0000006\"\n", "")
    );
    let csv = |hospital: i64| {
        let rows = patients(hospital).into_iter().map(|p| format!("{},{}\n", p.id, p.age));
        // Two rows of the first patient, and one of nobody.
        format!("pid,age\n{}p{hospital}-0,77\n,33\n", rows.collect::<String>())
    };
    (1..=3).map(|i| Hospital { name: format!("h{i}"), toml: toml.clone(), csv: csv(i) }).collect()
}

#[test]
fn answers_are_those_over_the_rows_of_patients_who_consent_on_both_routes() {
    let world =
        World::start(&Spec { floor: 5, profile: "default-8192", threshold: None, hospitals: hospitals() });
    let mut expected: Vec<i64> = Vec::new();
    for i in 1..=3 {
        let all = patients(i);
        let lines: String =
            all.iter().filter_map(|p| p.resource.as_ref()).map(|r| format!("{r}\n")).collect();
        let file = world.path(&format!("h{i}/consents.ndjson"));
        std::fs::write(&file, lines).unwrap();
        let import = ["party", "consent", "import", "--config", &world.toml(&format!("h{i}")), &file];
        let report = world.ward("nobody", &import).ok().json();
        assert_eq!((&report["consents"], &report["recorded"]), (&json!(80), &json!(70)), "{report}");
        assert_eq!(report["rejected"], json!({ "restriction": 10 }));
        let again = world.ward("nobody", &import).ok().json();
        assert_eq!((&again["recorded"], &again["known"]), (&json!(0), &json!(70)), "{again}");
        expected.extend(all.iter().filter(|p| p.consents).map(|p| p.age));
        expected.push(77);
    }
    expected.sort_unstable();
    let purpose = ["--purpose", "DUO:0000006", "--time-limit", "120"];
    let ask = |args: &[&str]| {
        world.ward("ada", &[&["submit"], args, &purpose].concat()).answer().rows.remove(0).values
    };
    let found = ask(&["SELECT COUNT(*), SUM(age) FROM t"]);
    assert_eq!(found[0].value, Value::Count { value: expected.len() as u64 });
    let Value::Exact { value, .. } = &found[1].value else { panic!("{found:?}") };
    assert_eq!(value.to_string(), expected.iter().sum::<i64>().to_string());
    let Value::Quantile(median) = &ask(&["SELECT MEDIAN(age) FROM t"])[0].value else { panic!("a median") };
    assert_eq!(
        (median.n, median.inverted),
        (expected.len() as u64, expected[(expected.len() - 1) / 2] as f64)
    );

    // For another purpose nobody has consented, and without one nobody is asked.
    world.ward("ada", &["submit", "SELECT COUNT(*) FROM t"]).error(8, "consent.purpose");
    let general = ["submit", "SELECT COUNT(*) FROM t", "--purpose", "DUO:0000042"];
    assert_eq!(world.ward("ada", &general).answer().rows[0].values[0].value, Value::Suppressed);
    let explained = world.talk("ada", &["explain", "SELECT COUNT(*) FROM t"]).ok().stdout;
    assert!(explained.contains("consent.purpose"), "{explained}");

    // The receipt has the roots, and a revocation is taken in while the node runs.
    let receipt = world.path("receipt.json");
    let with_receipt = [&["submit", "SELECT COUNT(*) FROM t", "--receipt", &receipt], &purpose[..]].concat();
    world.ward("ada", &with_receipt).ok();
    let root = |hospital: &str| {
        let receipt: Json = serde_json::from_slice(&std::fs::read(&receipt).unwrap()).unwrap();
        receipt["commitment"]["consent_roots"][hospital].as_str().unwrap().to_owned()
    };
    let shown =
        world.ward("nobody", &["party", "consent", "root", "--config", &world.toml("h1")]).ok().json();
    assert_eq!(shown["root"].as_str(), Some(root("h1").as_str()));
    let toml = world.toml("h2");
    world
        .ward("nobody", &["party", "consent", "revoke", "--config", &toml, "--patient", "p2-8"])
        .error(5, "consent.unknown");
    let revoke = |patient: &str| {
        world.ward("nobody", &["party", "consent", "revoke", "--config", &toml, "--patient", patient]).ok();
    };
    let before = root("h2");
    revoke("p2-0");
    // The answers with and without one patient show that patient.
    let again = [&["submit", "SELECT COUNT(*) FROM t"], &purpose[..]].concat();
    world.ward("ada", &again).error(8, "release.differencing");
    ["p2-1", "p2-2", "p2-9", "p2-10"].into_iter().for_each(revoke);
    // The first has two rows.
    assert_eq!(ask(&["SELECT COUNT(*) FROM t"])[0].value, Value::Count { value: expected.len() as u64 - 6 });
    world.ward("ada", &with_receipt).ok();
    assert_ne!(root("h2"), before);
    world.ward("ada", &["verify", &receipt]).ok();
}
