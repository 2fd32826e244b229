//! Twenty hospitals give input on shares; three of them compute.

use ward_engine::query::answer::Value;

use crate::world::{Spec, World, small};

const HOSPITALS: usize = 20;

fn count(value: &Value) -> u64 {
    match value {
        Value::Count { value } => *value,
        other => panic!("{other:?}"),
    }
}

#[test]
fn twenty_hospitals_give_input_on_shares_and_three_of_them_compute() {
    let hospitals = small(HOSPITALS, "");
    let world = World::start(&Spec { floor: 5, profile: "default-8192", threshold: None, hospitals });
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
