//! A hostile engine that asks for a share of a decryption. A share is an oracle: a node gives one for the exact sum of
//! the hospitals' signed contributions, the same bytes every time, and for nothing else.

use ward_engine::encoding::{Digest, HexBytes};
use ward_engine::identity::{CertificateAuthority, Role};
use ward_engine::party::aggregate::CONTRIBUTION;
use ward_engine::party::task::{ContributionHeader, Task};
use ward_engine::problem::Problem;
use ward_protocols::he::C1;

use crate::node_answer::{counts, open, open_with, share};
use crate::node_house::{Asked, CONSORTIUM, Gift, House, active, prepare_task, switch_task};

const SQL: &str = "SELECT COUNT(*), AVG(age) FROM labs";
const JOB: &str = "job-1";

/// Signs a header again with a hospital's own key: hospital and engine are hostile together.
fn resign(house: &House, asked: &Asked, header: &mut ContributionHeader) {
    let parts = asked.prepare.binding().parts(header);
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    header.signature = HexBytes(house.keys[&header.hospital].sign(CONTRIBUTION, &parts).0.to_vec());
}

/// Refused with that code, and no share is drawn.
async fn refused(house: &House, gifts: &[Gift], code: &str) -> Problem {
    let (task, body) = switch_task(JOB, gifts, &house.names);
    let problem = house.refuses("h-0", task, &body, code).await;
    assert_eq!(house.shares_given("h-0"), 0);
    problem
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sum_of_all_contributions_opens_to_the_known_answer() {
    let house = House::new(3);
    let (asked, gifts) = house.until_sum(JOB, SQL, 0).await;
    let answer = open(&house, &asked, &gifts).await;
    assert_eq!(counts(&answer), [Some(120)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn any_two_of_three_holders_open_a_sum_under_a_threshold_of_two() {
    let house = House::new(3);
    let epoch = house.ceremony("ceremony", 2).await;
    let asked = house.ask(JOB, SQL, 0, &epoch).await;
    house.prepare(&asked).await;
    let gifts = house.contributions(JOB).await;
    for active in [["h-0", "h-1"], ["h-0", "h-2"], ["h-1", "h-2"]] {
        let answer = open_with(&house, &asked, &gifts, &active.map(str::to_owned)).await;
        assert_eq!(counts(&answer), [Some(120)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_sum_again_gives_the_same_share_also_when_asked_at_once() {
    let house = House::new(2);
    let (asked, gifts) = house.until_sum(JOB, SQL, 0).await;
    let ask = || share(&house, "h-0", &asked, &gifts, &house.names);
    let (a, b, c, d) = tokio::join!(ask(), ask(), ask(), ask());
    assert!(!a.is_empty());
    assert!([&b, &c, &d].iter().all(|other| **other == a));
    assert_eq!(ask().await, a);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sum_without_this_hospitals_own_input_is_refused() {
    let house = House::new(4);
    let (_, gifts) = house.until_sum(JOB, SQL, 2).await;
    refused(&house, &gifts[1..], "sum.own_input").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sum_with_an_input_twice_or_out_of_order_is_refused() {
    let house = House::new(3);
    let (_, gifts) = house.until_sum(JOB, SQL, 2).await;
    let pick = |order: &[usize]| order.iter().map(|i| gifts[*i].clone()).collect::<Vec<_>>();
    for order in [&[0, 0, 1, 2][..], &[0, 1, 1, 2], &[1, 0, 2], &[0, 2, 1]] {
        refused(&house, &pick(order), "sum.inputs").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_own_input_altered_even_under_a_good_signature_is_refused() {
    let house = House::new(2);
    let (asked, gifts) = house.until_sum(JOB, SQL, 0).await;
    // The hospital's own key signed it; still it is not what this node gave.
    let mut altered = gifts.clone();
    altered[0].c1 = gifts[1].c1.clone();
    altered[0].header.c1 = gifts[1].header.c1;
    resign(&house, &asked, &mut altered[0].header);
    refused(&house, &altered, "sum.own_input").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fewer_inputs_than_the_query_or_the_policy_asks_for_are_refused() {
    let house = House::with_policy(4, "hospitals_min = 3");
    let (_, gifts) = house.until_sum(JOB, SQL, 3).await;
    for gifts in [&gifts[..2], &gifts[..1], &gifts[..0]] {
        refused(&house, gifts, "sum.inputs_min").await;
    }
    let all = House::new(3);
    let (_, gifts) = all.until_sum(JOB, SQL, 0).await;
    refused(&all, &gifts[..2], "sum.inputs_min").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_for_fewer_hospitals_than_the_policy_is_not_taken_in() {
    let house = House::with_policy(3, "hospitals_min = 3");
    let epoch = house.ceremony("ceremony", 2).await;
    let asked = house.ask(JOB, SQL, 2, &epoch).await;
    house.refuses("h-0", prepare_task(&asked), &asked.receiver, "policy.hospitals_min").await;
    let (task, body) = switch_task(JOB, &[], &house.names);
    house.refuses("h-0", task, &body, "job.unknown").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_input_that_is_unsigned_or_of_another_job_is_refused_by_name() {
    let house = House::new(2);
    let (asked, gifts) = house.until_sum(JOB, SQL, 0).await;
    let mut unsigned = gifts.clone();
    unsigned[1].header.signature = HexBytes::default();
    let problem = refused(&house, &unsigned, "identity.signature").await;
    assert_eq!(problem.hospital.as_deref(), Some("h-1"));
    let mut forged = gifts.clone();
    forged[1].header.signature = forged[0].header.signature.clone();
    refused(&house, &forged, "identity.signature").await;
    let mut older = gifts.clone();
    older[1].header.dataset_version.push('x');
    refused(&house, &older, "identity.signature").await;
    // The same hospital's contribution to another job.
    let other = house.ask("job-2", SQL, 0, &asked.prepare.epoch).await;
    house.prepare(&other).await;
    let elsewhere = house.contributions("job-2").await;
    refused(&house, &[gifts[0].clone(), elsewhere[1].clone()], "identity.signature").await;
    refused(&house, &[elsewhere[0].clone(), gifts[1].clone()], "identity.signature").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_whose_bytes_do_not_match_or_are_too_many_are_refused() {
    let house = House::new(2);
    let (_, gifts) = house.until_sum(JOB, SQL, 0).await;
    let mut altered = gifts.clone();
    *altered[1].c1.last_mut().unwrap() ^= 1;
    let problem = refused(&house, &altered, "sum.input").await;
    assert_eq!(problem.hospital.as_deref(), Some("h-1"));
    let mut own = gifts.clone();
    own[0].c1[100] ^= 1;
    refused(&house, &own, "sum.input").await;
    let mut swapped = gifts.clone();
    (swapped[0].c1, swapped[1].c1) = (gifts[1].c1.clone(), gifts[0].c1.clone());
    refused(&house, &swapped, "sum.input").await;
    let mut longer = gifts.clone();
    longer[1].c1.push(0);
    refused(&house, &longer, "sum.input").await;
    let mut shorter = gifts.clone();
    shorter[1].c1.pop();
    refused(&house, &shorter, "sum.input").await;
    shorter[1].c1.clear();
    refused(&house, &shorter, "sum.input").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_hospitals_signed_nonsense_is_refused_by_name() {
    let house = House::new(2);
    let (asked, gifts) = house.until_sum(JOB, SQL, 0).await;
    let two = {
        let list = C1::decode_all(&asked.params, &gifts[1].c1).unwrap();
        let twice: Vec<C1> = list.iter().chain(&list).cloned().collect();
        C1::encode_all(&asked.params, &twice)
    };
    for bytes in [vec![0xff; gifts[1].c1.len()], Vec::new(), vec![1, 2, 3], two] {
        let mut altered = gifts.clone();
        altered[1].header.c1 = Digest::of(&bytes);
        altered[1].header.c1_bytes = bytes.len() as u64;
        altered[1].c1 = bytes;
        resign(&house, &asked, &mut altered[1].header);
        let problem = refused(&house, &altered, "sum.input").await;
        assert_eq!(problem.hospital.as_deref(), Some("h-1"));
    }
    let mut endless = gifts.clone();
    endless[1].header.c1_bytes = u64::MAX;
    resign(&house, &asked, &mut endless[1].header);
    refused(&house, &endless, "sum.input").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_input_of_a_hospital_that_does_not_exist_is_refused() {
    let house = House::new(3);
    let epoch = house.ceremony("ceremony", 2).await;
    // The engine invents a hospital in the catalogue, so that a plan needs fewer real ones.
    let mut catalogue = house.catalogue().await;
    let mut ghost = catalogue.hospitals["h-1"].clone();
    ghost.hospital = "h-9".to_owned();
    catalogue.hospitals.remove("h-1");
    catalogue.hospitals.insert("h-9".to_owned(), ghost);
    let asked = house.ask_under(JOB, (SQL, 0), &catalogue, &epoch);
    house.send("h-0", prepare_task(&asked), &asked.receiver).await.unwrap();
    let own = house.contribution("h-0", JOB).await;
    house.send("h-2", prepare_task(&asked), &asked.receiver).await.unwrap();
    let third = house.contribution("h-2", JOB).await;
    // Alone it is not enough.
    refused(&house, std::slice::from_ref(&own), "sum.inputs_min").await;
    // The ghost's certificate is of an authority of its own, or of another hospital.
    let mut gift = own.clone();
    gift.header.hospital = "h-9".to_owned();
    let now_s = ward_engine::clock::now_ms() / 1000;
    let other = CertificateAuthority::create(CONSORTIUM, now_s).unwrap();
    let key = house.keys["h-1"].public();
    let foreign = other.issue(&key, Role::Hospital, "h-9", now_s, 30).unwrap().der;
    for certificate in [foreign, house.certificate("h-1")] {
        gift.header.certificate = HexBytes(certificate);
        refused(&house, &[own.clone(), third.clone(), gift.clone()], "identity.certificate").await;
    }
    // A real hospital that the plan does not name.
    let mut unnamed = gift;
    unnamed.header.hospital = "h-1".to_owned();
    refused(&house, &[own, unnamed, third], "sum.inputs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_active_set_of_another_size_order_or_without_this_node_is_refused() {
    let house = House::new(3);
    let epoch = house.ceremony("ceremony", 2).await;
    let asked = house.ask(JOB, SQL, 0, &epoch).await;
    house.prepare(&asked).await;
    let gifts = house.contributions(JOB).await;
    let sets: [&[&str]; 8] = [
        &[],
        &["h-0"],
        &["h-1", "h-0"],
        &["h-0", "h-0"],
        &["h-1", "h-2"],
        &["h-0", "h-1", "h-2"],
        &["h-0", "h-9"],
        &["h-0", ""],
    ];
    for active in sets {
        let active: Vec<String> = active.iter().map(|name| (*name).to_owned()).collect();
        let (task, body) = switch_task(JOB, &gifts, &active);
        house.refuses("h-0", task, &body, "share.active").await;
    }
    assert_eq!(house.shares_given("h-0"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_sum_for_the_same_job_is_refused_and_the_first_still_answered() {
    let house = House::new(4);
    let (asked, gifts) = house.until_sum(JOB, SQL, 2).await;
    let active = active(&house, &asked);
    let first = share(&house, "h-0", &asked, &gifts, &active).await;
    // Without one hospital: the difference of the two would be that hospital's numbers.
    let fewer = [gifts[0].clone(), gifts[1].clone(), gifts[3].clone()];
    for active in [active.clone(), vec!["h-0".to_owned(), "h-3".to_owned()]] {
        let (task, body) = switch_task(JOB, &fewer, &active);
        house.refuses("h-0", task, &body, "party.drawn_once").await;
    }
    assert_eq!(house.shares_given("h-0"), 1);
    assert_eq!(share(&house, "h-0", &asked, &gifts, &active).await, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_sums_asked_for_at_once_one_is_refused() {
    let house = House::new(3);
    let (asked, gifts) = house.until_sum(JOB, SQL, 2).await;
    let active = active(&house, &asked);
    let (all, all_body) = switch_task(JOB, &gifts, &active);
    let (some, some_body) = switch_task(JOB, &gifts[..2], &active);
    let (a, b) = tokio::join!(house.send("h-0", all, &all_body), house.send("h-0", some, &some_body));
    let refusal = match (a, b) {
        (Ok(_), Err(refusal)) | (Err(refusal), Ok(_)) => refusal,
        other => panic!("exactly one is answered, not {other:?}"),
    };
    assert_eq!(refusal.code, "party.drawn_once");
    assert_eq!(house.shares_given("h-0"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_this_node_never_took_in_is_unknown() {
    let house = House::new(2);
    let (_, gifts) = house.until_sum(JOB, SQL, 0).await;
    let (_, body) = switch_task(JOB, &gifts, &house.names);
    for job in ["", "job-2", "../job-1", "job-1\0"] {
        let contributions = gifts.iter().map(|gift| gift.header.clone()).collect();
        let task = Task::KeySwitch { job: job.to_owned(), contributions, active: house.names.clone() };
        house.refuses("h-0", task, &body, "job.unknown").await;
    }
    assert_eq!(house.shares_given("h-0"), 0);
}
