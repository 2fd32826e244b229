//! A hostile engine in a key ceremony: whatever it alters, reorders, repeats or forges, no node keeps a key from it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

use ward_engine::encoding::{Digest, HexBytes};
use ward_engine::identity::{CertificateAuthority, Identity, Role};
use ward_engine::party::ceremony::{spec_digest, step_parts};
use ward_engine::party::task::{CeremonySpec, SignedStep, StepPayload, Task};

use crate::node_house::{CONSORTIUM, House, finish_body, only_steps};

const ID: &str = "ceremony";

fn open(commitments: Vec<SignedStep>) -> Task {
    Task::KeyOpen { ceremony: ID.to_owned(), commitments }
}

fn digest(openings: Vec<SignedStep>) -> Task {
    Task::KeyDigest { ceremony: ID.to_owned(), openings }
}

fn reveal(digests: Vec<SignedStep>) -> Task {
    Task::KeyReveal { ceremony: ID.to_owned(), digests }
}

fn finish(reveals: Vec<SignedStep>) -> Task {
    Task::KeyFinish { ceremony: ID.to_owned(), reveals }
}

/// A step of another holder, signed by its key: holder and engine are hostile together.
fn resigned(house: &House, spec: &CeremonySpec, mut step: SignedStep, payload: StepPayload) -> SignedStep {
    let parts = step_parts(&spec_digest(spec), &step.member, &payload);
    let signature = house.keys[&step.member].sign("ward/v1/ceremony", &[&parts[0], &parts[1], &parts[2]]);
    step.payload = payload;
    step.signature = HexBytes(signature.0.to_vec());
    step
}

fn has_no_key(house: &House, name: &str) {
    let events = ward_engine::store::audit_chain(&**house.nodes[name].store());
    assert_eq!(events.filter(|e| e.as_ref().unwrap().event().unwrap().action == "key.keep").count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_holder_arrives_at_one_epoch_and_a_repeated_step_gives_the_same_bytes() {
    let house = House::new(3);
    let spec = house.spec(ID, 3);
    let first = house.rounds(&spec).await;
    assert_eq!(house.rounds(&spec).await, first);
    let epoch = house.ceremony(ID, 3).await;
    assert_eq!(house.ceremony(ID, 3).await, epoch);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_threshold_of_one_is_refused() {
    let house = House::new(3);
    for threshold in [0, 1, 4, u32::MAX] {
        let task = Task::KeyCommit { spec: house.spec(ID, threshold) };
        house.refuses("h-0", task, &[], "ceremony.threshold").await;
    }
    assert_eq!(house.kept("h-0", "ceremony-seed", ID), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_specification_that_is_not_of_this_consortium_and_its_hospitals_is_refused() {
    let house = House::new(3);
    let refused = async |code: &str, change: &dyn Fn(&mut CeremonySpec)| {
        let mut spec = house.spec(ID, 3);
        change(&mut spec);
        house.refuses("h-0", Task::KeyCommit { spec }, &[], code).await;
    };
    refused("ceremony.consortium", &|s| s.consortium = "south".to_owned()).await;
    refused("ceremony.holders", &|s| s.holders.reverse()).await;
    refused("ceremony.holders", &|s| s.holders[1] = "h-0".to_owned()).await;
    refused("ceremony.holders", &|s| s.certificates.truncate(2)).await;
    refused("ceremony.profile", &|s| s.profile = "tiny".to_owned()).await;
    refused("ceremony.holders", &|s| {
        s.holders.remove(0);
        s.certificates.remove(0);
        s.threshold = 2;
    })
    .await;
    assert_eq!(house.kept("h-0", "ceremony-seed", ID), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_with_a_certificate_of_another_authority_or_of_somebody_else_is_refused() {
    let house = House::new(3);
    let other = CertificateAuthority::create(CONSORTIUM, ward_engine::clock::now_ms() / 1000).unwrap();
    let key = Identity::generate().unwrap().public();
    let now_s = ward_engine::clock::now_ms() / 1000;
    let foreign = other.issue(&key, Role::Hospital, "h-1", now_s, 30).unwrap().der;
    let researcher = house.authority.issue(&key, Role::Researcher, "h-1", now_s, 30).unwrap().der;
    let expired = house.authority.issue(&key, Role::Hospital, "h-1", now_s - 100 * 86_400, 30).unwrap().der;
    let swapped = house.certificate("h-2");
    for certificate in [foreign, researcher, expired, swapped, b"not a certificate".to_vec(), Vec::new()] {
        let mut spec = house.spec(ID, 3);
        spec.certificates[1] = HexBytes(certificate);
        house.refuses("h-0", Task::KeyCommit { spec }, &[], "identity.certificate").await;
    }
    assert_eq!(house.kept("h-0", "ceremony-seed", ID), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hospital_that_comes_back_with_another_key_is_refused_even_with_a_good_certificate() {
    let house = House::new(2);
    house.ceremony("first", 2).await;
    let now_s = ward_engine::clock::now_ms() / 1000;
    let key = Identity::generate().unwrap().public();
    let mut spec = house.spec(ID, 2);
    spec.certificates[1] =
        HexBytes(house.authority.issue(&key, Role::Hospital, "h-1", now_s, 30).unwrap().der);
    house.refuses("h-0", Task::KeyCommit { spec }, &[], "identity.pin").await;
    assert_eq!(house.kept("h-0", "ceremony-seed", ID), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_before_its_turn_is_refused() {
    let house = House::new(2);
    let spec = house.spec("rehearsal", 2);
    let [commits, opens, digests, reveals] = house.rounds(&spec).await.map(|round| only_steps(&round));
    // Nothing is known of this ceremony yet.
    for task in [open(commits), digest(opens), reveal(digests), finish(reveals)] {
        house.refuses("h-0", task, &[], "ceremony.unknown").await;
    }
    // Committed, and hurried on with steps that are well made but of no round that this node has seen.
    let spec = house.spec(ID, 2);
    house.round(&Task::KeyCommit { spec: spec.clone() }).await;
    let filler = |payload: StepPayload| -> Vec<SignedStep> {
        let names = house.names.iter();
        let step = |name: &String| SignedStep {
            member: name.clone(),
            payload: payload.clone(),
            signature: HexBytes::default(),
        };
        names.map(|name| resigned(&house, &spec, step(name), payload.clone())).collect()
    };
    let opens = filler(StepPayload::Open { nonce: Digest::of(b"nonce") });
    let digests = filler(StepPayload::Digest { share: Digest::of(b"share") });
    let reveals = filler(StepPayload::Reveal { share_bytes: 0, sealed: Vec::new() });
    for task in [digest(opens), reveal(digests), finish(reveals)] {
        house.refuses("h-0", task, &[], "ceremony.order").await;
    }
    has_no_key(&house, "h-0");
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_reordered_missing_repeated_unsigned_or_of_another_round_are_refused() {
    let house = House::new(3);
    let spec = house.spec(ID, 3);
    let commits = only_steps(&house.round(&Task::KeyCommit { spec: spec.clone() }).await);
    let altered = |change: &dyn Fn(&mut Vec<SignedStep>)| {
        let mut steps = commits.clone();
        change(&mut steps);
        open(steps)
    };
    house.refuses("h-0", altered(&|s| s.swap(1, 2)), &[], "ceremony.steps").await;
    house.refuses("h-0", altered(&|s| s.truncate(2)), &[], "ceremony.steps").await;
    house.refuses("h-0", altered(&|s| s.clear()), &[], "ceremony.steps").await;
    house.refuses("h-0", altered(&|s| s[2] = s[1].clone()), &[], "ceremony.steps").await;
    house.refuses("h-0", altered(&|s| s.push(s[2].clone())), &[], "ceremony.steps").await;
    let problem =
        house.refuses("h-0", altered(&|s| s[1].signature.0[0] ^= 1), &[], "identity.signature").await;
    assert_eq!(problem.hospital.as_deref(), Some("h-1"));
    house.refuses("h-0", altered(&|s| s[1].signature.0.truncate(63)), &[], "identity.signature").await;
    // Signed for another ceremony.
    let elsewhere = house.round(&Task::KeyCommit { spec: house.spec("elsewhere", 3) }).await;
    let foreign = elsewhere[1].0.clone();
    house.refuses("h-0", altered(&|s| s[1] = foreign.clone()), &[], "identity.signature").await;
    let nonce = StepPayload::Open { nonce: Digest::of(b"early") };
    let early = resigned(&house, &spec, commits[1].clone(), nonce);
    house.refuses("h-0", altered(&|s| s[1] = early.clone()), &[], "ceremony.step").await;
    has_no_key(&house, "h-0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_list_for_a_round_is_refused() {
    let house = House::new(2);
    let spec = house.spec(ID, 2);
    let [commits, opens, digests, _] = house.rounds(&spec).await.map(|round| only_steps(&round));
    // h-1 and the engine are hostile together: other steps, each well signed.
    let other = StepPayload::Commit { commitment: Digest::of(b"other"), kem_key: HexBytes(vec![9; 32]) };
    let mut steps = commits.clone();
    steps[1] = resigned(&house, &spec, steps[1].clone(), other);
    house.refuses("h-0", open(steps), &[], "party.drawn_once").await;
    let mut steps = digests.clone();
    steps[1] = resigned(&house, &spec, steps[1].clone(), StepPayload::Digest { share: Digest::of(b"other") });
    house.refuses("h-0", reveal(steps), &[], "party.drawn_once").await;
    // The lists that were accepted still give what they gave.
    let again = house.rounds(&spec).await.map(|round| only_steps(&round));
    assert_eq!([&again[0], &again[1], &again[2]], [&commits, &opens, &digests]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_specification_under_the_same_name_is_refused() {
    let house = House::new(3);
    house.send("h-0", Task::KeyCommit { spec: house.spec(ID, 3) }, &[]).await.unwrap();
    let seed = house.kept("h-0", "ceremony-seed", ID);
    house.refuses("h-0", Task::KeyCommit { spec: house.spec(ID, 2) }, &[], "party.drawn_once").await;
    assert_eq!(house.kept("h-0", "ceremony-seed", ID), seed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_that_is_not_the_one_committed_to_is_refused_by_name() {
    let house = House::new(3);
    let spec = house.spec(ID, 3);
    let commits = house.round(&Task::KeyCommit { spec: spec.clone() }).await;
    let mut opens = only_steps(&house.round(&open(only_steps(&commits))).await);
    let late = StepPayload::Open { nonce: Digest::of(b"chosen last") };
    opens[2] = resigned(&house, &spec, opens[2].clone(), late);
    let problem = house.refuses("h-0", digest(opens), &[], "ceremony.nonce").await;
    assert_eq!(problem.hospital.as_deref(), Some("h-2"));
    has_no_key(&house, "h-0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_share_that_is_not_the_one_committed_to_is_refused_by_name() {
    let house = House::new(2);
    let spec = house.spec(ID, 2);
    let [_, _, _, reveals] = house.rounds(&spec).await;
    let steps = only_steps(&reveals);
    let good = finish_body("h-0", &reveals);
    let mut altered = good.clone();
    *altered.last_mut().unwrap() ^= 1;
    let problem = house.refuses("h-0", finish(steps.clone()), &altered, "ceremony.key_share").await;
    assert_eq!(problem.hospital.as_deref(), Some("h-1"));
    let cut = &good[..good.len() - 1];
    house.refuses("h-0", finish(steps.clone()), cut, "ceremony.key_share").await;
    house.refuses("h-0", finish(steps.clone()), &[], "ceremony.key_share").await;
    let huge = StepPayload::Reveal { share_bytes: u64::MAX, sealed: Vec::new() };
    let mut lying = steps.clone();
    lying[1] = resigned(&house, &spec, lying[1].clone(), huge);
    house.refuses("h-0", finish(lying), &good, "ceremony.key_share").await;
    has_no_key(&house, "h-0");
    // The honest body still ends the ceremony.
    house.send("h-0", finish(steps), &good).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dealt_share_that_is_altered_missing_or_anothers_is_refused_by_name() {
    let house = House::new(3);
    let spec = house.spec(ID, 2);
    let [_, _, _, reveals] = house.rounds(&spec).await;
    let steps = only_steps(&reveals);
    let good = finish_body("h-0", &reveals);
    let mut altered = good.clone();
    *altered.last_mut().unwrap() ^= 1;
    let problem = house.refuses("h-0", finish(steps.clone()), &altered, "ceremony.sealed_share").await;
    assert_eq!(problem.hospital.as_deref(), Some("h-2"));
    let cut = &good[..good.len() - 1];
    house.refuses("h-0", finish(steps.clone()), cut, "ceremony.sealed_share").await;
    let anothers = finish_body("h-1", &reveals);
    house.refuses("h-0", finish(steps.clone()), &anothers, "ceremony.sealed_share").await;
    has_no_key(&house, "h-0");
}
