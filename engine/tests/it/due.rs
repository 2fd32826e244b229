//! What is due one day: a budget that is refilled, a certificate that is renewed before it ends. The nodes' clock is the
//! test's.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ward_engine::clock::now_ms;
use ward_engine::identity::{CertificateAuthority, Identity, Role};
use ward_engine::party::task::{Epoch, Task};

use crate::node_house::{Asked, CONSORTIUM, House, prepare_task};

const DAY_MS: u64 = 86_400_000;

/// A house of two hospitals whose time is what the test says.
fn house_with_clock(policy: &str) -> (House, Arc<AtomicU64>) {
    let time = Arc::new(AtomicU64::new(now_ms()));
    let mut house = House::with_policy(2, policy);
    let told = time.clone();
    house.clock = Some(Arc::new(move || told.load(Ordering::Relaxed)));
    ["h-0", "h-1"].iter().for_each(|name| house.reopen(name));
    (house, time)
}

/// A query that is asked at the nodes' time.
async fn asked(house: &House, time: &AtomicU64, (job, sql): (&str, &str), epoch: &Epoch) -> Asked {
    let mut asked = house.ask(job, sql, 2, epoch).await;
    let now = time.load(Ordering::Relaxed);
    (asked.request.signed_unix_ms, asked.request.expires_unix_ms) = (now, now + 600_000);
    house.resign(&mut asked);
    asked
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spent_budget_is_refilled_when_its_period_is_over_and_not_a_day_before() {
    let (house, time) = house_with_clock(
        "[policy.privacy]\nepsilon_max = 1\nbudget_epsilon = 1.2\nbudget_delta = 1e-6\nperiod_days = 7\n",
    );
    let epoch = house.ceremony("c", 2).await;
    let sql = |age: u32| {
        format!("SELECT COUNT(*) FROM labs WHERE age >= {age} WITH PRIVACY (epsilon = 1, delta = 1e-6)")
    };
    let first = asked(&house, &time, ("j-1", &sql(40)), &epoch).await;
    house.prepare(&first).await;
    house.contribution("h-0", "j-1").await;
    let spent = || house.nodes["h-0"].budgets().unwrap()[0].spent.rho_spent;
    let cost = spent();
    assert!(cost > 0.0);

    let begun = time.load(Ordering::Relaxed);
    for (job, days, age) in [("j-2", 0, 45), ("j-3", 6, 50)] {
        time.store(begun + days * DAY_MS, Ordering::Relaxed);
        let again = asked(&house, &time, (job, &sql(age)), &epoch).await;
        let problem = house.refuses("h-0", prepare_task(&again), &again.receiver, "budget.spent").await;
        assert!(problem.to_string().contains("left"), "{problem}");
        assert_eq!(spent(), cost);
    }
    time.store(begun + 7 * DAY_MS + 60_000, Ordering::Relaxed);
    assert_eq!(spent(), 0.0);
    let later = asked(&house, &time, ("j-4", &sql(55)), &epoch).await;
    house.prepare(&later).await;
    house.contribution("h-0", "j-4").await;
    assert_eq!(spent(), cost);
    // The refill is one budget, not what was left of two.
    let more = asked(&house, &time, ("j-5", &sql(60)), &epoch).await;
    house.refuses("h-0", prepare_task(&more), &more.receiver, "budget.spent").await;
    // The first answer is still the first answer: asked again it has the same bytes, and costs nothing.
    house.send("h-0", Task::Contribute { job: "j-1".to_owned() }, &[]).await.unwrap();
    assert_eq!(spent(), cost);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_due_after_two_thirds_of_its_life_and_adopted_while_the_node_runs() {
    let (mut house, time) = house_with_clock("");
    let begun = time.load(Ordering::Relaxed);
    let at = |days: u64| begun + days * DAY_MS;
    let node = house.nodes["h-0"].clone();
    let old = house.certificate("h-0");
    for (days, is_due) in [(0, false), (19, false), (21, true), (29, true), (31, true)] {
        time.store(at(days), Ordering::Relaxed);
        assert_eq!(node.is_renewal_due(), is_due, "after {days} days");
    }
    time.store(at(21), Ordering::Relaxed);
    let key = house.keys["h-0"].public();
    let issued = |authority: &CertificateAuthority, key, role, name: &str, days| {
        authority.issue(key, role, name, at(21) / 1000, days).unwrap().der
    };
    let other = Identity::generate().unwrap().public();
    let stranger = CertificateAuthority::create(CONSORTIUM, begun / 1000).unwrap();
    for (what, wrong) in [
        ("another key", issued(&house.authority, &other, Role::Hospital, "h-0", 30)),
        ("another name", issued(&house.authority, &key, Role::Hospital, "h-1", 30)),
        ("another role", issued(&house.authority, &key, Role::Researcher, "h-0", 30)),
        ("another authority", issued(&stranger, &key, Role::Hospital, "h-0", 30)),
        ("one that ends no later", issued(&house.authority, &key, Role::Hospital, "h-0", 8)),
        ("the same", old.clone()),
    ] {
        assert_eq!(node.adopt(wrong).unwrap_err().code, "member.certificate", "{what}");
    }
    assert!(node.is_renewal_due() && *node.certificate() == old);

    let new = issued(&house.authority, &key, Role::Hospital, "h-0", 30);
    node.adopt(new.clone()).unwrap();
    assert!(!node.is_renewal_due() && *node.certificate() == new);
    // It stays after a restart, past the end of the first; then the next one is due.
    drop(node);
    time.store(at(33), Ordering::Relaxed);
    house.reopen("h-0");
    let node = &house.nodes["h-0"];
    assert!(*node.certificate() == new && !node.is_renewal_due());
    time.store(at(42), Ordering::Relaxed);
    assert!(node.is_renewal_due());
}
