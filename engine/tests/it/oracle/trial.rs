//! What the planner's tests do not see: who withholds under a floor, a correlation, values out of bounds.

use ward_engine::query::answer::{Cell, Value};

use super::data::{breast, oracle, rct_hospitals, row, split};
use crate::world::{Spec, World};

fn near(found: f64, exact: f64) {
    assert!((found - exact).abs() <= 1e-9 * exact.abs(), "{found:e} is not {exact:e}");
}

/// Two sites of the trial are under a floor of 5: their part is left out, by name, and where all are, no number
/// is released.
#[test]
fn sites_under_the_floor_withhold_and_are_named() {
    let world = World::start(&Spec {
        floor: 5,
        profile: "default-8192",
        threshold: None,
        hospitals: rct_hospitals(),
    });
    let answer = world.ask("SELECT COUNT(*) FROM rct");
    assert_eq!(answer.rows[0].values[0].value, Value::Count { value: 599 }, "602 without the 3 of case");
    assert_eq!(answer.rows[0].values[0].withheld_by, ["case"]);
    assert_eq!(answer.participants, ["case", "iu", "uk", "um"]);
    let by_site = world.ask("SELECT COUNT(*), AVG(age) FROM rct GROUP BY hospital");
    for cell in row(&by_site, &["case"]) {
        assert_eq!(cell.value, Value::Suppressed);
    }
    assert_eq!(
        row(&by_site, &["um"])[0],
        Cell { value: Value::Count { value: 164 }, withheld_by: Vec::new() }
    );
    assert_eq!(row(&by_site, &["uk"])[0].value, Value::Count { value: 22 });
    // UK's two events are the total less the table's other cells: after the total it does not give the table.
    world.ward("ada", &["submit", "SELECT CROSSTAB(rx, outcome) FROM rct"]).error(8, "release.differencing");
}

#[test]
fn a_tables_small_cells_stay_at_home() {
    let world = World::start(&Spec {
        floor: 5,
        profile: "default-8192",
        threshold: None,
        hospitals: rct_hospitals(),
    });
    // UK has two events, Case none, and who kept them is said.
    let table = world.ask("SELECT CROSSTAB(rx, outcome) FROM rct");
    let cell = &table.rows[0].values[0];
    assert_eq!(cell.withheld_by, ["case", "uk"]);
    let per = &oracle("rct")["per_hospital"];
    let Value::Crosstab(found) = &cell.value else { panic!("{cell:?}") };
    for (i, rx) in ["0", "1"].iter().enumerate() {
        for (j, outcome) in ["0", "1"].iter().enumerate() {
            let released = ["Case", "IU", "UK", "UM"].iter().filter_map(|h| per[h][rx][outcome].as_u64());
            let released: Vec<u64> = released.filter(|n| *n >= 5).collect();
            let whole = (!released.is_empty()).then(|| released.iter().sum::<u64>());
            assert_eq!(found.table[i][j], whole, "{rx} {outcome}");
        }
    }
}

/// OLS y on x and the correlation of x and y say the same of the explained variance.
#[test]
fn a_correlation_is_that_of_the_regression() {
    let world = breast();
    let answer = world.ask("SELECT CORR(nodes, age), OLS(nodes, age) FROM breast");
    let (Value::Corr(found), Value::Ols(fit)) =
        (&answer.rows[0].values[0].value, &answer.rows[0].values[1].value)
    else {
        panic!("{answer:?}")
    };
    assert_eq!((found.n, fit.n), (2982, 2982));
    near(found.r * found.r, fit.r2);
    assert_eq!(found.r < 0.0, fit.terms[1].coef < 0.0);
    near(found.p, fit.terms[1].p);
}

/// A value out of bounds is left out as a missing one, and counted as both; a hospital with fewer such rows than the
/// floor tells of none.
#[test]
fn missing_and_impossible_values_are_left_out_and_counted() {
    let rows = |hospital: &str, values: &[&str]| {
        values.iter().enumerate().map(|(i, v)| format!("{i},{hospital},{v}\n")).collect::<String>()
    };
    let a = ["40", "41", "42", "43", "44", "", "", "", "", "", "", "999", "999", "130", "121", "-4"];
    let csv = "id,hospital,age\n".to_owned()
        + &rows("a", &a)
        + &rows("b", &["50", "51", "52", "53", "54", "-1", "55"]);
    let column = "[[table.column]]\nname = \"age\"\nkind = \"integer\"\nmin = 0\nmax = 120\n".to_owned();
    let hospitals = split("t", &csv, &[column], "");
    let world = World::start(&Spec { floor: 5, profile: "default-8192", threshold: None, hospitals });
    let answer = world.ask("SELECT COUNT(*), COUNT(age), SUM(age) FROM t");
    let values: Vec<&Value> = answer.rows[0].values.iter().map(|cell| &cell.value).collect();
    let sum = 40 + 41 + 42 + 43 + 44 + 50 + 51 + 52 + 53 + 54 + 55;
    assert_eq!(values[0], &Value::Count { value: 23 });
    assert_eq!(values[1], &Value::Count { value: 11 });
    assert_eq!(values[2], &Value::Exact { value: sum.to_string(), digits: 0 });
    let quality = &answer.quality[0];
    assert_eq!(
        (quality.column.as_str(), quality.missing, quality.out_of_bounds),
        ("age", 11, 5),
        "a rejected value is a missing one, and hospital b's single one is not told"
    );
}
