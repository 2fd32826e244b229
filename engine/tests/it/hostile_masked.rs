//! A hostile engine in a job whose sums arrive under encryption and go on as shares: it asks for masked shares, and brings the
//! compute nodes what arrived. Every message of that way is changed here; a node refuses each before it joins anybody.

use ward_engine::encoding::{Digest, HexBytes};
use ward_engine::job::submit::plan;
use ward_engine::party::aggregate::{MASKED_SHARE, asked_of};
use ward_engine::party::task::{Arrived, Outcome, ShareHeader, Task};
use ward_engine::query::ast::Route;
use ward_protocols::he::MaskedShare;

use crate::node_house::{Asked, Gift, House, switch_task};

const SQL: &str = "SELECT COUNT(*), AVG(age) FROM labs";
const JOB: &str = "job-1";

/// A job of that route, taken in by every hospital.
async fn taken_in(house: &House, route: Route, threshold: u32) -> Asked {
    let epoch = house.ceremony("ceremony", threshold).await;
    let mut asked = house.ask(JOB, SQL, 0, &epoch).await;
    asked.request.route = route;
    house.resign(&mut asked);
    let plan = plan(SQL, asked_of(&asked.request), &house.catalogue().await, &epoch).expect("a plan");
    assert_eq!(plan.is_masked(), route == Route::Encrypted);
    asked.prepare.plan = Digest(plan.digest());
    house.prepare(&asked).await;
    asked
}

fn mask_task(gifts: &[Gift], active: &[String]) -> (Task, Vec<u8>) {
    let contributions = gifts.iter().map(|gift| gift.header.clone()).collect();
    let body = gifts.iter().flat_map(|gift| gift.c1.clone()).collect();
    (Task::MaskSum { job: JOB.to_owned(), contributions, active: active.to_vec() }, body)
}

/// A holder's masked share, with the header that the engine makes of it.
async fn masked(house: &House, holder: &str, gifts: &[Gift], active: &[String]) -> (ShareHeader, Vec<u8>) {
    let (task, body) = mask_task(gifts, active);
    match house.send(holder, task, &body).await.expect("a share") {
        (Outcome::SumMasked { sum, shares, signature }, body) => {
            assert_eq!(Digest::of(&body), shares);
            let certificate = HexBytes(house.certificate(holder));
            let bytes = body.len() as u64;
            (ShareHeader { holder: holder.to_owned(), certificate, sum, shares, bytes, signature }, body)
        }
        (other, _) => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_masked_share_is_drawn_once_and_the_sum_is_opened_in_no_other_way() {
    let house = House::new(3);
    let asked = taken_in(&house, Route::Encrypted, 3).await;
    let gifts = house.contributions(JOB).await;
    let names = house.names.clone();
    let (first, again) =
        tokio::join!(masked(&house, "h-0", &gifts, &names), masked(&house, "h-0", &gifts, &names));
    assert_eq!(first.1, again.1);
    assert!(MaskedShare::decode_all(&asked.params, &first.1).is_ok_and(|list| !list.is_empty()));
    let given = house.shares_given("h-0");
    // The researcher would see what the floor suppresses: no node switches this sum to anybody's key.
    let (task, body) = switch_task(JOB, &gifts, &names);
    house.refuses("h-0", task, &body, "plan.shares").await;
    assert_eq!(house.shares_given("h-0"), given);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_arrive_under_encryption_is_neither_encrypted_nor_masked() {
    let house = House::new(3);
    let _asked = taken_in(&house, Route::MultiParty, 3).await;
    house.refuses("h-0", Task::Contribute { job: JOB.to_owned() }, &[], "plan.shares").await;
    let (task, body) = mask_task(&[], &house.names);
    house.refuses("h-0", task, &body, "plan.shares").await;
    let house = House::new(3);
    let _asked = taken_in(&house, Route::Auto, 3).await;
    let gifts = house.contributions(JOB).await;
    let (task, body) = mask_task(&gifts, &house.names);
    house.refuses("h-0", task, &body, "plan.shares").await;
    assert_eq!(house.shares_given("h-0"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_share_masks_another_sum_than_that_of_all_contributions() {
    let house = House::new(3);
    let _asked = taken_in(&house, Route::Encrypted, 2).await;
    let gifts = house.contributions(JOB).await;
    let active = house.names[..2].to_vec();
    let (task, mut body) = mask_task(&gifts, &active);
    let last = body.len() - 1;
    body[last] ^= 1;
    house.refuses("h-0", task.clone(), &body, "sum.input").await;
    house.refuses("h-0", task.clone(), &body[..last], "sum.input").await;
    let (task, body) = mask_task(&gifts[..2], &active);
    house.refuses("h-0", task, &body, "sum.inputs_min").await;
    let mut twice = mask_task(&gifts, &active);
    if let Task::MaskSum { contributions, .. } = &mut twice.0 {
        contributions[2] = contributions[1].clone();
    }
    house.refuses("h-0", twice.0, &twice.1, "sum.inputs").await;
    for wrong in [&house.names[1..], &house.names[..1], &house.names[..]] {
        let (task, body) = mask_task(&gifts, wrong);
        house.refuses("h-0", task, &body, "share.active").await;
    }
    assert_eq!(house.shares_given("h-0"), 0);
}

/// What arrives at a compute node, and how it is told.
struct Brought {
    arrived: Arrived,
    c0s: Vec<u8>,
    shares: Vec<u8>,
    inputs: Vec<String>,
}

impl Brought {
    fn task(&self, attempt: u32) -> (Task, Vec<u8>) {
        let task = Task::Compute {
            job: JOB.to_owned(),
            attempt,
            inputs: self.inputs.clone(),
            members: Vec::new(),
            arrived: Some(self.arrived.clone()),
        };
        (task, [self.c0s.clone(), self.shares.clone()].concat())
    }
}

async fn brought(house: &House, active: &[String]) -> Brought {
    let gifts = house.contributions(JOB).await;
    let (mut headers, mut shares) = (Vec::new(), Vec::new());
    for holder in active {
        let (header, share) = masked(house, holder, &gifts, active).await;
        headers.push(header);
        shares.extend(share);
    }
    let contributions = gifts.iter().map(|gift| gift.header.clone()).collect();
    Brought {
        arrived: Arrived { contributions, shares: headers },
        c0s: gifts.iter().flat_map(|gift| gift.c0.clone()).collect(),
        shares,
        inputs: active.to_vec(),
    }
}

/// A holder signs a masked share of other bytes: it is hostile together with the engine.
fn resign(house: &House, header: &mut ShareHeader, share: &[u8]) {
    header.shares = Digest::of(share);
    let parts: [&[u8]; 3] = [JOB.as_bytes(), &header.sum.0, &header.shares.0];
    header.signature = HexBytes(house.keys[&header.holder].sign(MASKED_SHARE, &parts).0.to_vec());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compute_node_refuses_whatever_is_changed_in_what_arrived() {
    let house = House::new(3);
    let _asked = taken_in(&house, Route::Encrypted, 3).await;
    let names = house.names.clone();
    let honest = || brought(&house, &names);
    let refused = |brought: Brought, code: &'static str| {
        let house = &house;
        async move {
            let (task, body) = brought.task(1);
            house.refuses("h-0", task, &body, code).await
        }
    };

    let mut b = honest().await;
    b.c0s[100] ^= 1;
    refused(b, "sum.input").await;
    let mut b = honest().await;
    b.shares[100] ^= 1;
    refused(b, "sum.masked").await;
    let mut b = honest().await;
    b.shares.push(0);
    refused(b, "sum.input").await;
    let mut b = honest().await;
    b.shares.pop();
    refused(b, "sum.masked").await;
    let mut b = honest().await;
    b.arrived.shares[1].signature.0[0] ^= 1;
    refused(b, "identity.signature").await;
    let mut b = honest().await;
    b.arrived.shares[1].sum.0[0] ^= 1;
    refused(b, "identity.signature").await;
    let mut b = honest().await;
    b.arrived.shares.pop();
    refused(b, "sum.masked").await;
    let mut b = honest().await;
    b.arrived.shares.swap(0, 1);
    refused(b, "sum.masked").await;
    let mut b = honest().await;
    b.arrived.contributions.pop();
    refused(b, "sum.inputs_min").await;
    let mut b = honest().await;
    b.arrived.contributions[1].c0.0[0] ^= 1;
    refused(b, "identity.signature").await;
    let mut b = honest().await;
    b.inputs.pop();
    refused(b, "sum.masked").await;
    // A holder that signs other bytes: the masked sum does not open.
    let mut b = honest().await;
    let bytes = b.arrived.shares[2].bytes as usize;
    let at = b.shares.len() - bytes;
    b.shares[at + 1000] ^= 1;
    let share = b.shares[at..].to_vec();
    resign(&house, &mut b.arrived.shares[2], &share);
    refused(b, "sum.masked").await;
    // This node's own share in other bytes than it gave.
    let mut b = honest().await;
    b.shares[1000] ^= 1;
    let share = b.shares[..b.arrived.shares[0].bytes as usize].to_vec();
    resign(&house, &mut b.arrived.shares[0], &share);
    refused(b, "sum.masked").await;
    // Without anything arrived, as if hospitals gave their sums directly.
    let (mut task, body) = honest().await.task(1);
    if let Task::Compute { arrived, .. } = &mut task {
        *arrived = None;
    }
    house.refuses("h-0", task, &body, "plan.shares").await;
    // Unchanged, it gets as far as the members, whom this engine does not name.
    refused(honest().await, "mpc.members").await;
}
