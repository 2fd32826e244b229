//! Any process may die while hospitals compute on shares: an attempt is never gone on with, a new one starts from nothing,
//! and the job ends done with the right answer, failed or refused.

use std::collections::BTreeSet;
use std::path::Path;

use ward_engine::party::local::config::PartyConfig;
use ward_engine::party::node::Node;
use ward_engine::query::answer::Value;
use ward_engine::store::audit_chain;

use crate::crash::{Dice, struck};
use crate::world::{Spec, World, small};

const HOSPITALS: [&str; 4] = ["h1", "h2", "h3", "h4"];
const RUNS: u32 = 20;

#[test]
fn killed_nodes_lead_to_a_new_attempt_with_fresh_randomness() {
    let mut dice = Dice::thrown();
    let spec = Spec { floor: 5, profile: "default-8192", threshold: None, hospitals: small(4, "") };
    let world = World::start(&spec);
    let mut done = 0;
    for run in 0..RUNS {
        let limit = 100 + run % 20;
        let sql = format!("SELECT COUNT(*), MEDIAN(age) FROM t WHERE age < {limit}");
        let (job, state) = struck(&world, &mut dice, &HOSPITALS, &sql, 1200);
        if state == "done" {
            done += 1;
            let answer = world.ward("ada", &["result", &job]).answer();
            let values = &answer.rows[0].values;
            assert_eq!(values[0].value, Value::Count { value: 80 });
            let Value::Quantile(median) = &values[1].value else { panic!("{answer:?}") };
            assert_eq!((median.n, median.linear, median.inverted), (80, 49.5, 49.0));
        }
    }
    assert_eq!(done, RUNS, "every process comes back, so every job can end well");
    for hospital in HOSPITALS {
        world.kill(hospital);
        world.party(hospital, &["audit"]).ok();
        attempts_are_begun_once(&world, hospital);
    }
}

/// No attempt was begun twice, and what left a node left it once for each attempt.
pub fn attempts_are_begun_once(world: &World, hospital: &str) {
    let config = PartyConfig::load(Path::new(&world.toml(hospital))).expect("a configuration");
    let node = Node::open(config).expect("a node");
    let (mut begun, mut given) = (BTreeSet::new(), BTreeSet::new());
    for sealed in audit_chain(&**node.store()) {
        let sealed = sealed.expect("an audit event");
        let event = sealed.event().expect("nothing was redacted");
        if event.action == "once.store" && event.detail == "mpc-attempt" {
            assert!(begun.insert(event.subject.clone()), "{hospital}: begun twice: {event:?}");
        }
        if event.action == "shares.give" {
            let attempt = event.detail.split(',').next().unwrap_or_default().to_owned();
            assert!(given.insert((event.subject.clone(), attempt)), "{hospital}: given twice: {event:?}");
        }
    }
    assert!(!begun.is_empty(), "{hospital} took part");
}
