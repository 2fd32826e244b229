//! A node that is closed and opened again between any two tasks goes on with the same bytes: nothing is drawn twice.

use ward_engine::party::task::{Outcome, Task};

use crate::node_answer::{counts, open, share};
use crate::node_house::{House, active, finish_body, only_steps, prepare_task, switch_task};

#[tokio::test(flavor = "multi_thread")]
async fn a_ceremony_survives_a_restart_after_every_step() {
    let mut house = House::new(3);
    let spec = house.spec("ceremony", 2);
    let task = Task::KeyCommit { spec: spec.clone() };
    let commits = house.round(&task).await;
    house.reopen("h-0");
    assert_eq!(house.round(&task).await, commits);
    let task = Task::KeyOpen { ceremony: spec.id.clone(), commitments: only_steps(&commits) };
    let opens = house.round(&task).await;
    house.reopen("h-0");
    assert_eq!(house.round(&task).await, opens);
    let task = Task::KeyDigest { ceremony: spec.id.clone(), openings: only_steps(&opens) };
    let digests = house.round(&task).await;
    house.reopen("h-0");
    assert_eq!(house.round(&task).await, digests);
    let task = Task::KeyReveal { ceremony: spec.id.clone(), digests: only_steps(&digests) };
    let reveals = house.round(&task).await;
    house.reopen("h-0");
    assert_eq!(house.round(&task).await, reveals);
    let task = Task::KeyFinish { ceremony: spec.id.clone(), reveals: only_steps(&reveals) };
    let body = finish_body("h-0", &reveals);
    let finished = house.send("h-0", task.clone(), &body).await.unwrap();
    house.reopen("h-0");
    assert_eq!(house.send("h-0", task, &body).await.unwrap(), finished);
    let Outcome::KeyFinished { epoch, .. } = finished.0 else { panic!("{:?}", finished.0) };
    assert_eq!(house.ceremony("ceremony", 2).await, epoch);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_survives_a_restart_after_every_step_and_ends_in_the_same_answer() {
    let mut house = House::new(2);
    let epoch = house.ceremony("ceremony", 2).await;
    house.reopen("h-0");
    let asked = house.ask("job-1", "SELECT COUNT(*), AVG(age) FROM labs", 0, &epoch).await;
    house.prepare(&asked).await;
    house.reopen("h-0");
    let prepared = house.send("h-0", prepare_task(&asked), &asked.receiver).await.unwrap();
    assert_eq!(prepared.0, Outcome::Prepared { pending: false });
    let gifts = house.contributions("job-1").await;
    house.reopen("h-0");
    let again = house.contribution("h-0", "job-1").await;
    assert_eq!((&again.header, &again.c0, &again.c1), (&gifts[0].header, &gifts[0].c0, &gifts[0].c1));
    let first = share(&house, "h-0", &asked, &gifts, &house.names).await;
    house.reopen("h-0");
    assert_eq!(share(&house, "h-0", &asked, &gifts, &house.names).await, first);
    assert_eq!(house.shares_given("h-0"), 1);
    assert_eq!(counts(&open(&house, &asked, &gifts).await), [Some(80)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_node_still_refuses_a_second_sum_and_a_replayed_request() {
    let mut house = House::new(3);
    let (asked, gifts) = house.until_sum("job-1", "SELECT COUNT(*) FROM labs", 2).await;
    let active = active(&house, &asked);
    share(&house, "h-0", &asked, &gifts, &active).await;
    house.reopen("h-0");
    let (task, body) = switch_task("job-1", &gifts[..2], &active);
    house.refuses("h-0", task, &body, "party.drawn_once").await;
    let mut replayed = asked;
    replayed.prepare.job = "job-2".to_owned();
    house.refuses("h-0", prepare_task(&replayed), &replayed.receiver, "party.replay").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_chain_of_a_restarted_node_still_verifies() {
    let mut house = House::new(2);
    house.until_sum("job-1", "SELECT COUNT(*) FROM labs", 0).await;
    let count = |house: &House| {
        let store = house.nodes["h-0"].store().clone();
        let key = house.keys["h-0"].public();
        ward_engine::audit::verify_chain(ward_engine::store::audit_chain(&*store), &key).unwrap().count
    };
    let before = count(&house);
    house.reopen("h-0");
    assert_eq!(count(&house), before);
    house.contribution("h-0", "job-1").await;
    assert!(count(&house) >= before);
}
