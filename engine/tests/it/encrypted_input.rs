//! A table arrives under encryption, its sum becomes shares, and the compute nodes run the rules of release: through the whole
//! system, against the same query with sums that hospitals give as shares.

use ward_engine::query::answer::{Answer, Value};

use crate::world::{Spec, World, small};

fn ask(world: &World, how: &str, sql: &str) -> Answer {
    world.ward("ada", &["submit", how, sql, "--time-limit", "120"]).answer()
}

#[test]
fn both_ways_to_the_compute_nodes_lead_to_the_same_answer() {
    // Five hospitals, three of which compute; any three of them open a sum.
    let spec = Spec { floor: 5, profile: "default-8192", threshold: Some(3), hospitals: small(5, "") };
    let world = World::start(&spec);
    for sql in [
        "SELECT COUNT(*), AVG(age), MEDIAN(age) FROM t GROUP BY sex",
        // Two women of 40 and 41 at each hospital; no men.
        "SELECT COUNT(*), SUM(age) FROM t WHERE age < 42 GROUP BY sex",
        "SELECT HISTOGRAM(age, 40, 60, 5), QUANTILE(age, 0.25), STDDEV(age) FROM t",
    ] {
        let (encrypted, direct) = (ask(&world, "--mpc-encrypted", sql), ask(&world, "--mpc", sql));
        assert_eq!(encrypted.rows, direct.rows, "{sql}");
        assert_eq!(encrypted.participants, direct.participants);
    }
    let pooled = ask(&world, "--mpc-encrypted", "SELECT COUNT(*), MEDIAN(age) FROM t");
    assert_eq!(pooled.rows[0].values[0].value, Value::Count { value: 100 });
    let Value::Quantile(median) = &pooled.rows[0].values[1].value else { panic!("{pooled:?}") };
    assert_eq!((median.n, median.linear), (100, 49.5));
}

#[test]
fn the_plan_says_how_the_sums_arrive_and_what_cannot_arrive_so_is_refused() {
    let spec = Spec { floor: 5, profile: "default-8192", threshold: None, hospitals: small(3, "") };
    let world = World::start(&spec);
    let explained =
        world.ward("ada", &["explain", "--mpc-encrypted", "SELECT MEDIAN(age) FROM t"]).ok().json();
    assert_eq!(explained["shares"]["words"], 0, "{explained}");
    assert!(explained["secure"]["ciphertexts"].as_u64().is_some_and(|count| count > 0), "{explained}");
    let rounds = explained["secure"]["rounds"].to_string();
    assert!(rounds.contains("mask the total"), "{rounds}");
    let threats = explained["threat_model"].to_string();
    assert!(threats.contains("lie about its mask"), "{threats}");
    let sql = "SELECT LINREG(age, sex) FROM t";
    let refused = world.ward("ada", &["explain", "--mpc-encrypted", sql]);
    let error = refused.error(refused.code, "query.unsupported");
    assert!(error["hint"].as_str().is_some_and(|hint| hint.contains("--mpc")), "{error}");
}
