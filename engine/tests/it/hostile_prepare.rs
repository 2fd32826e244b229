//! A hostile engine that brings a query: a node takes in what its researcher signed and what the node publishes, and
//! nothing else.

use ward_engine::clock::now_ms;
use ward_engine::encoding::{Digest, HexBytes, canonical_json};
use ward_engine::identity::{CertificateAuthority, Identity, Role};
use ward_engine::job::submit::plan;
use ward_engine::party::aggregate::participation;
use ward_engine::party::task::{Epoch, Outcome, Task};
use ward_engine::query::catalogue::Catalogue;

use crate::node_answer::{counts, open};
use crate::node_house::{Asked, CONSORTIUM, FLOOR, House, prepare_task};

const SQL: &str = "SELECT COUNT(*), AVG(age) FROM labs";
const JOB: &str = "job-1";

async fn house() -> (House, Epoch) {
    let house = House::new(2);
    let epoch = house.ceremony("ceremony", 2).await;
    (house, epoch)
}

/// Refused with that code, and nothing of the job is kept: no contribution can be asked for.
async fn refused(house: &House, asked: &Asked, code: &str) {
    house.refuses("h-0", prepare_task(asked), &asked.receiver, code).await;
    assert_eq!(house.kept("h-0", "prepare", &asked.prepare.job), None);
    let task = Task::Contribute { job: asked.prepare.job.clone() };
    house.refuses("h-0", task, &[], "job.unknown").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_other_than_the_one_that_follows_is_refused() {
    let (house, epoch) = house().await;
    let mut asked = house.ask(JOB, SQL, 0, &epoch).await;
    asked.prepare.plan = Digest::of(b"another plan");
    refused(&house, &asked, "plan.digest").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_that_widens_this_hospitals_bounds_is_refused() {
    let (house, epoch) = house().await;
    let mut catalogue = house.catalogue().await;
    for publication in catalogue.hospitals.values_mut() {
        publication.tables[0].columns[0].max = 1_000_000;
    }
    let asked = house.ask_under(JOB, (SQL, 0), &catalogue, &epoch);
    refused(&house, &asked, "plan.column").await;
    // The same with codes: a wider grouping.
    let mut catalogue = house.catalogue().await;
    for publication in catalogue.hospitals.values_mut() {
        publication.tables[0].columns[1].max = 9;
    }
    let asked =
        house.ask_under("job-2", ("SELECT arm, COUNT(*) FROM labs GROUP BY arm", 0), &catalogue, &epoch);
    refused(&house, &asked, "plan.column").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_that_does_not_parse_or_is_of_another_consortium_is_refused() {
    let (house, epoch) = house().await;
    let mut asked = house.ask(JOB, SQL, 0, &epoch).await;
    let honest = asked.prepare.catalogue.clone();
    asked.prepare.catalogue = "{".to_owned();
    refused(&house, &asked, "catalogue.unreadable").await;
    asked.prepare.catalogue = honest.replacen(CONSORTIUM, "south", 1);
    refused(&house, &asked, "catalogue.consortium").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_without_this_hospital_is_refused() {
    let (house, epoch) = house().await;
    let mut catalogue = house.catalogue().await;
    catalogue.hospitals.remove("h-0");
    let publication = catalogue.hospitals["h-1"].clone();
    catalogue.hospitals.insert("h-2".to_owned(), publication);
    catalogue.hospitals.get_mut("h-2").unwrap().hospital = "h-2".to_owned();
    let asked = house.ask_under(JOB, (SQL, 0), &catalogue, &epoch);
    // Of the hospitals that would be summed one holds a share of the key.
    house.refuses("h-0", prepare_task(&asked), &asked.receiver, "policy.hospitals_min").await;
    assert_eq!(house.kept("h-0", "contribution", JOB), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn data_that_changed_since_the_catalogue_is_not_contributed() {
    let (house, epoch) = house().await;
    let mut catalogue = house.catalogue().await;
    catalogue.hospitals.get_mut("h-0").unwrap().tables[0].dataset_version = "old".to_owned();
    let asked = house.ask_under(JOB, (SQL, 0), &catalogue, &epoch);
    house.send("h-0", prepare_task(&asked), &asked.receiver).await.unwrap();
    house.refuses("h-0", Task::Contribute { job: JOB.to_owned() }, &[], "data.version").await;
    assert_eq!(house.kept("h-0", "contribution", JOB), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_key_other_than_the_signed_one_is_refused() {
    let (house, epoch) = house().await;
    let asked = house.ask(JOB, SQL, 0, &epoch).await;
    let mine = house.ask("engine's own", SQL, 0, &epoch).await.receiver;
    house.refuses("h-0", prepare_task(&asked), &mine, "request.receiver_key").await;
    house.refuses("h-0", prepare_task(&asked), &[], "request.receiver_key").await;
    // Signed, and not a key.
    let mut asked = asked;
    asked.receiver = vec![7; 1000];
    asked.request.receiver_key = Digest::of(&asked.receiver);
    house.resign(&mut asked);
    refused(&house, &asked, "request.receiver_key").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_altered_after_it_was_signed_is_refused() {
    let (house, epoch) = house().await;
    let asked = house.ask(JOB, SQL, 0, &epoch).await;
    let signature = asked.prepare.signature.clone();
    let mut altered = asked;
    altered.request.sql = "SELECT SUM(age) FROM labs".to_owned();
    altered.prepare.request = String::from_utf8(canonical_json(&altered.request)).unwrap();
    altered.prepare.plan = Digest(
        plan(&altered.request.sql, participation(0), &house.catalogue().await, &epoch).unwrap().digest(),
    );
    refused(&house, &altered, "request.signature").await;
    house.resign(&mut altered);
    assert_ne!(altered.prepare.signature, signature);
    altered.prepare.signature.0[5] ^= 1;
    refused(&house, &altered, "request.signature").await;
    altered.prepare.signature = HexBytes(vec![1; 3]);
    refused(&house, &altered, "request.signature").await;
    altered.prepare.request = "{\"version\":1}".to_owned();
    refused(&house, &altered, "request.unreadable").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_another_consortium_epoch_or_time_is_refused() {
    let (house, epoch) = house().await;
    let other = house.ceremony("another", 2).await;
    let altered = async |code: &str, change: &dyn Fn(&mut Asked)| {
        let mut asked = house.ask(JOB, SQL, 0, &epoch).await;
        change(&mut asked);
        house.resign(&mut asked);
        refused(&house, &asked, code).await;
    };
    altered("request.consortium", &|a| a.request.consortium = "south".to_owned()).await;
    altered("request.consortium", &|a| a.request.version = 2).await;
    altered("request.epoch", &|a| a.request.epoch = other.id).await;
    altered("epoch.unknown", &|a| a.prepare.epoch.id = Digest::of(b"no epoch")).await;
    altered("epoch.unknown", &|a| a.prepare.epoch.threshold = 1).await;
    altered("epoch.unknown", &|a| a.prepare.epoch.holders.truncate(1)).await;
    altered("request.stale", &|a| a.request.expires_unix_ms = now_ms() - 301_000).await;
    altered("request.stale", &|a| a.request.signed_unix_ms = now_ms() + 301_000).await;
    altered("request.stale", &|a| a.request.signed_unix_ms = u64::MAX).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_researchers_key_other_than_the_pinned_one_is_refused() {
    let (mut house, epoch) = house().await;
    let asked = house.ask(JOB, SQL, 0, &epoch).await;
    house.send("h-0", prepare_task(&asked), &asked.receiver).await.unwrap();
    // The engine holds the authority: it certifies its own key as ada's.
    house.researcher = Identity::generate().unwrap();
    let key = house.researcher.public();
    let now_s = now_ms() / 1000;
    house.researcher_certificate =
        house.authority.issue(&key, Role::Researcher, "ada", now_s, 30).unwrap().der;
    let forged = house.ask("job-2", SQL, 0, &epoch).await;
    refused(&house, &forged, "identity.pin").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_pins_a_researchers_key_lets_no_other_in_from_the_start() {
    let pinned = Identity::generate().unwrap().public().fingerprint();
    let house = House::with_policy(2, &format!("[[policy.user]]\nname = \"ada\"\nkey = \"{pinned}\"\n"));
    let epoch = house.ceremony("ceremony", 2).await;
    let asked = house.ask(JOB, SQL, 0, &epoch).await;
    refused(&house, &asked, "identity.pin").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_researchers_certificate_of_another_authority_role_or_name_is_refused() {
    let (mut house, epoch) = house().await;
    let now_s = now_ms() / 1000;
    let other = CertificateAuthority::create(CONSORTIUM, now_s).unwrap();
    let key = house.researcher.public();
    let foreign = other.issue(&key, Role::Researcher, "ada", now_s, 30).unwrap().der;
    let hospital = house.authority.issue(&key, Role::Hospital, "ada", now_s, 30).unwrap().der;
    let expired = house.authority.issue(&key, Role::Researcher, "ada", now_s - 99 * 86_400, 30).unwrap().der;
    let somebody = house.authority.issue(&key, Role::Researcher, "bob", now_s, 30).unwrap().der;
    for (certificate, code) in [
        (foreign, "identity.certificate"),
        (hospital, "identity.certificate"),
        (expired, "identity.certificate"),
        (vec![0x30, 0x03], "identity.certificate"),
        (somebody, "identity.pin"),
    ] {
        house.researcher_certificate = certificate;
        let asked = house.ask(JOB, SQL, 0, &epoch).await;
        refused(&house, &asked, code).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_replayed_under_another_job_is_refused() {
    let (house, epoch) = house().await;
    let asked = house.ask(JOB, SQL, 0, &epoch).await;
    house.prepare(&asked).await;
    let mut replayed = asked;
    replayed.prepare.job = "job-2".to_owned();
    refused(&house, &replayed, "party.replay").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_request_under_the_same_job_is_refused_and_the_first_stays() {
    let (house, epoch) = house().await;
    let asked = house.ask(JOB, SQL, 0, &epoch).await;
    house.prepare(&asked).await;
    let kept = house.kept("h-0", "prepare", JOB);
    let other = house.ask(JOB, "SELECT SUM(age) FROM labs", 0, &epoch).await;
    house.refuses("h-0", prepare_task(&other), &other.receiver, "party.drawn_once").await;
    assert_eq!(house.kept("h-0", "prepare", JOB), kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contribution_asked_for_again_is_the_same_bytes_also_at_once() {
    let (house, epoch) = house().await;
    let asked = house.ask(JOB, SQL, 0, &epoch).await;
    house.prepare(&asked).await;
    let task = || Task::Contribute { job: JOB.to_owned() };
    let (a, b, c) = tokio::join!(
        house.send("h-0", task(), &[]),
        house.send("h-0", task(), &[]),
        house.send("h-0", task(), &[])
    );
    let first = a.unwrap();
    assert!(!first.1.is_empty());
    assert_eq!(b.unwrap(), first);
    assert_eq!(c.unwrap(), first);
    assert_eq!(house.send("h-0", task(), &[]).await.unwrap(), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_waits_for_a_person_contributes_nothing_before_it_is_approved() {
    let house = House::with_policy(2, "approval = \"manual\"");
    let epoch = house.ceremony("ceremony", 2).await;
    let asked = house.ask(JOB, SQL, 0, &epoch).await;
    let (outcome, _) = house.send("h-0", prepare_task(&asked), &asked.receiver).await.unwrap();
    assert_eq!(outcome, Outcome::Prepared { pending: true });
    let contribute = || Task::Contribute { job: JOB.to_owned() };
    house.refuses("h-0", contribute(), &[], "policy.approval").await;
    house.nodes["h-0"].decide(JOB, ward_engine::store::Approval::Denied).unwrap();
    house.refuses("h-0", prepare_task(&asked), &asked.receiver, "policy.denied").await;
    house.refuses("h-0", contribute(), &[], "policy.approval").await;
    assert_eq!(house.kept("h-0", "contribution", JOB), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_of_another_consortium_or_with_another_key_is_not_welcome() {
    let house = House::new(2);
    let node = &house.nodes["h-0"];
    let certificate = house.engine_certificate(&house.engine);
    assert_eq!(node.welcome(FLOOR, "south", &certificate).unwrap_err().code, "engine.consortium");
    let other = house.engine_certificate(&Identity::generate().unwrap());
    assert_eq!(node.welcome(FLOOR, CONSORTIUM, &other).unwrap_err().code, "identity.pin");
    let hospital = house.certificate("h-1");
    assert_eq!(node.welcome(FLOOR, CONSORTIUM, &hospital).unwrap_err().code, "identity.certificate");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_lowers_its_floor_does_not_lower_the_nodes() {
    let house = House::new(2);
    let node = &house.nodes["h-0"];
    assert_eq!(node.floor(), FLOOR);
    let certificate = house.engine_certificate(&house.engine);
    // The engine is not refused: a person may have made the consortium's floor smaller. The node keeps what it knew.
    node.welcome(1, CONSORTIUM, &certificate).unwrap();
    assert_eq!(node.floor(), FLOOR);
    node.welcome(FLOOR + 5, CONSORTIUM, &certificate).unwrap();
    assert_eq!(node.floor(), FLOOR + 5);
}

/// The hospitals' publications under a floor of the engine's choice.
fn with_floor(mut catalogue: Catalogue, floor: u32) -> Catalogue {
    catalogue.floor = floor;
    catalogue.hospitals.values_mut().for_each(|publication| publication.floor = floor);
    catalogue
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_with_a_dropped_floor_does_not_release_the_rare_group() {
    let (house, epoch) = house().await;
    let catalogue = with_floor(house.catalogue().await, 1);
    let sql = "SELECT arm, COUNT(*) FROM labs GROUP BY arm";
    let asked = house.ask_under(JOB, (sql, 0), &catalogue, &epoch);
    house.prepare(&asked).await;
    let gifts = house.contributions(JOB).await;
    // 3 of the 40 patients of each hospital are in the rare group: every hospital withholds it.
    let answer = open(&house, &asked, &gifts).await;
    let [.., rare] = counts(&answer)[..] else { panic!("{answer:?}") };
    assert_eq!((answer.rows.len(), rare), (3, None));
    let common: u64 = counts(&answer).into_iter().flatten().sum();
    assert_eq!(common, 2 * 37);
}
