//! Twenty hospitals give input, three of them compute: seventeen made the key, three joined after the ceremony.

use ward_engine::query::answer::Value;

use crate::world::{Hospital, Spec, World, small};

const HOSPITALS: usize = 20;
const AT_THE_CEREMONY: usize = 17;

fn count(value: &Value) -> u64 {
    match value {
        Value::Count { value } => *value,
        other => panic!("{other:?}"),
    }
}

#[test]
fn twenty_hospitals_compute_on_shares_by_three_nodes_and_late_ones_take_part() {
    let all = small(HOSPITALS, "");
    let early: Vec<Hospital> = all[..AT_THE_CEREMONY].to_vec();
    let world = World::start(&Spec { floor: 5, profile: "default-8192", threshold: None, hospitals: early });
    for hospital in &all[AT_THE_CEREMONY..] {
        let folder = world.path(&hospital.name);
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(format!("{folder}/data.csv"), &hospital.csv).expect("data");
        std::fs::write(format!("{folder}/party.toml"), &hospital.toml).expect("a configuration");
        let token = world.token("hospital", &hospital.name);
        world.party(&hospital.name, &["enrol", "--token", &token]).ok();
        world.start_party(&hospital.name);
    }
    world.wait_connected(HOSPITALS);
    // Sums under encryption take as many inputs as there are key shares: more are refused, and the refusal says what to do.
    let refused = world.ward("ada", &["submit", "SELECT COUNT(*) FROM t"]);
    let error = refused.error(refused.code, "epoch.hospitals");
    assert!(error["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{error}");
    // On shares a hospital without a share of the key gives input as any other.
    let sql = "SELECT COUNT(*), AVG(age), MEDIAN(age) FROM t GROUP BY sex";
    let answer = world.ward("ada", &["submit", "--mpc", sql]).answer();
    assert_eq!(answer.participants.len(), HOSPITALS);
    assert_eq!(answer.rows.len(), 2);
    for (row, low) in answer.rows.iter().zip([40.0, 50.0]) {
        assert_eq!(count(&row.values[0].value), 10 * HOSPITALS as u64);
        let Value::Real { value } = row.values[1].value else { panic!("{row:?}") };
        assert!((value - (low + 4.5)).abs() < 1e-9);
        let Value::Quantile(median) = &row.values[2].value else { panic!("{row:?}") };
        assert_eq!((median.n, median.linear), (10 * HOSPITALS as u64, low + 4.5));
    }
}
