//! Computation on shares through the whole system: three hospitals compute, answers are held against the oracle.
//!
//! Integers are equal; real numbers to a relative 1e-6, the error that the programs on shares allow themselves.

use serde_json::Value as Json;
use ward_engine::query::answer::{Model, Value};

use super::data::{World, breast, oracle, rct_hospitals, row, split, synth};
use crate::world::{self, Spec};

fn near(found: f64, exact: &Json, what: &str) {
    let exact = exact.as_f64().unwrap_or_else(|| panic!("{what}: {exact}"));
    assert!((found - exact).abs() <= 1e-6 * exact.abs().max(1e-300), "{what}: {found:e} is not {exact:e}");
}

fn quantile(world: World, sql: &str) -> (u64, f64, f64) {
    match world.one(sql) {
        Value::Quantile(found) => (found.n, found.linear, found.inverted),
        other => panic!("{sql}: {other:?}"),
    }
}

#[test]
fn quantiles_equal_those_of_the_pooled_rows() {
    let world = breast();
    let oracle = oracle("breast");
    for (column, q) in [("age", "0.5"), ("nodes", "0.75"), ("nodes", "0.05"), ("er", "0.95"), ("pgr", "0.99")]
    {
        let exact = &oracle[format!("desc_{column}")];
        let (n, linear, inverted) = quantile(world, &format!("SELECT QUANTILE({column}, {q}) FROM breast"));
        assert_eq!(n, exact["n"].as_u64().expect("a count"), "{column}");
        near(linear, &exact["quantiles_linear_type7"][q], column);
        near(inverted, &exact["quantiles_inverted_cdf_type1"][q], column);
    }
}

#[test]
fn medians_come_by_group_and_on_a_grid() {
    let world = breast();
    let by = world.ask("SELECT hospital, MEDIAN(age) FROM breast GROUP BY hospital");
    for (hospital, exact) in oracle("breast")["desc_age_by_hospital"].as_object().expect("hospitals") {
        let Value::Quantile(found) = &row(&by, &[hospital])[0].value else { panic!("{by:?}") };
        near(found.linear, &exact["quantiles_linear_type7"]["0.5"], hospital);
    }
    // Days to death on a grid of 100 days: the median's cell.
    let (_, _, coarse) = quantile(world, "SELECT QUANTILE(dtime, 0.5, 100) FROM breast");
    let (_, _, fine) = quantile(world, "SELECT MEDIAN(dtime) FROM breast");
    assert_eq!(coarse, (fine / 100.0).floor() * 100.0);
}

#[test]
fn sums_that_arrive_under_encryption_give_the_same_quantiles_and_tests() {
    let (world, oracle) = (breast(), oracle("breast"));
    let answer = world.ask_encrypted("SELECT MEDIAN(age), CHI2(hormon, death) FROM breast");
    let [median, chi2] = answer.rows[0].values.as_slice() else { panic!("{answer:?}") };
    let Value::Quantile(found) = &median.value else { panic!("{median:?}") };
    assert_eq!(found.n, oracle["desc_age"]["n"].as_u64().expect("a count"));
    near(found.linear, &oracle["desc_age"]["quantiles_linear_type7"]["0.5"], "the median");
    let exact = &oracle["crosstab_hormon_death"];
    let Value::Chi2(found) = &chi2.value else { panic!("{chi2:?}") };
    near(found.pearson.chi2, &exact["pearson"]["chi2"], "Pearson");
}

#[test]
fn tests_show_their_statistic_alone() {
    let world = breast();
    let oracle = oracle("breast");
    let Value::Chi2(found) = world.shares("SELECT CHI2(hormon, death) FROM breast") else { panic!("a test") };
    let exact = &oracle["crosstab_hormon_death"];
    near(found.pearson.chi2, &exact["pearson"]["chi2"], "Pearson");
    near(found.pearson.p, &exact["pearson"]["p"], "Pearson's p");
    near(found.yates.chi2, &exact["yates"]["chi2"], "Yates");
    let Value::PValue { p } = world.one("SELECT FISHER(hormon, death) FROM breast") else { panic!("a test") };
    near(p, &exact["fisher"]["p"], "Fisher");
    let Value::TTestAlone(found) = world.shares("SELECT TTEST(age, hormon) FROM breast") else {
        panic!("a test")
    };
    let exact = &oracle["ttest_age_by_hormon"];
    near(found.welch.t, &exact["welch"]["t"], "Welch");
    near(found.welch.df, &exact["welch"]["df"], "Welch's df");
    near(found.student.t, &exact["student"]["t"], "Student");
    let sql = "SELECT LOG_RANK(dtime, death, hormon) FROM breast";
    let Value::Test(found) = world.shares(sql) else { panic!("a test") };
    near(found.chi2, &oracle["logrank_hormon"]["chi2"], "log-rank");
    let Value::Test(found) = world.shares("SELECT LOG_RANK(dtime, death, size) FROM breast") else {
        panic!()
    };
    near(found.chi2, &oracle["logrank_size3"]["chi2"], "log-rank of three groups");
    assert_eq!(found.df, 2);
}

fn model(world: World, sql: &str) -> Model {
    match world.one(sql) {
        Value::Model(model) => model,
        other => panic!("{sql}: {other:?}"),
    }
}

/// Terms by our names and the oracle's.
fn compare(found: &Model, exact: &Json, names: &[(&str, &str)]) {
    assert_eq!(found.terms.len(), names.len());
    for (term, (ours, theirs)) in found.terms.iter().zip(names) {
        assert_eq!(term.name, *ours);
        near(term.coef, &exact["coef"][*theirs], &format!("coefficient of {ours}"));
        near(term.se, &exact["se"][*theirs], &format!("standard error of {ours}"));
    }
}

#[test]
fn regressions_equal_those_of_the_pooled_rows() {
    let world = breast();
    let oracle = oracle("breast");
    let found = model(world, "SELECT LINREG(nodes, age, grade, size) FROM breast");
    let names = [
        ("const", "const"),
        ("age", "age"),
        ("grade", "grade"),
        ("size=20-50", "size_20_50"),
        ("size=>50", "size_gt50"),
    ];
    assert_eq!(found.n, 2982);
    compare(&found, &oracle["ols_nodes"], &names);
    let found = model(world, "SELECT LOGIT(death, age, nodes, hormon, chemo, grade) FROM breast");
    let names = ["const", "age", "nodes", "hormon", "chemo", "grade"].map(|name| (name, name));
    compare(&found, &oracle["logit_death"], &names);
}

#[test]
fn a_cox_model_equals_that_of_the_pooled_rows() {
    let found = model(synth(10_000), "SELECT COX(time, event, age, smoker, diabetes, treat) FROM synth");
    let names = ["age", "smoker", "diabetes", "treat"].map(|name| (name, name));
    assert_eq!(found.n, 10_000);
    compare(&found, &oracle("synth_10k")["cox"]["efron_statsmodels"], &names);
}

#[test]
fn released_cells_are_those_of_the_pooled_rows() {
    let world = synth(10_000);
    let answer = world.ask_on_shares("SELECT sex, dx, COUNT(*), AVG(hba1c) FROM synth GROUP BY sex, dx");
    for (key, exact) in oracle("synth_10k")["groupby_sex_dx"].as_object().expect("groups") {
        let (sex, dx) = key.split_once('|').expect("two codes");
        let cells = row(&answer, &[sex, dx]);
        assert_eq!(cells[0].value, Value::Count { value: exact["n"].as_u64().expect("a count") }, "{key}");
        let Value::Real { value } = cells[1].value else { panic!("{key}: {cells:?}") };
        near(value, &exact["mean_hba1c"], key);
    }
    let Value::TopK(top) = world.one("SELECT TOPK(dx, 3) FROM synth") else { panic!("codes") };
    let names: Vec<&str> = top.codes.iter().map(|(code, _)| code.as_str()).collect();
    assert_eq!(names[0], "Z00");
    assert_eq!(top.codes[0].1, 7470);
    assert!(top.codes.is_sorted_by(|a, b| a.1 >= b.1));
}

/// Case has three patients: alone they are under the floor at every hospital's own count; together they are counted.
#[test]
fn the_floor_counts_all_hospitals_together() {
    let world = world::World::start(&Spec {
        floor: 5,
        profile: "default-8192",
        threshold: None,
        hospitals: rct_hospitals(),
    });
    let ask = |sql: &str| world.ward("ada", &["submit", "--mpc", sql, "--time-limit", "120"]).answer();
    let answer = ask("SELECT COUNT(*) FROM rct");
    assert_eq!(answer.rows[0].values[0].value, Value::Count { value: 602 }, "nobody withholds");
    assert_eq!(answer.pooled_floor, Some(5));
    let table = ask("SELECT CROSSTAB(rx, outcome) FROM rct");
    let Value::Crosstab(found) = &table.rows[0].values[0].value else { panic!("{table:?}") };
    let exact = &oracle("rct")["crosstab_rx_outcome"]["table"];
    for (i, rx) in ["0", "1"].iter().enumerate() {
        for (j, outcome) in ["0", "1"].iter().enumerate() {
            assert_eq!(found.table[i][j], exact[*rx][*outcome].as_u64(), "{rx} {outcome}");
        }
    }
    // One cell is under the floor; a second is suppressed with it, or the total would give it back.
    let by_site = ask("SELECT hospital, COUNT(*) FROM rct GROUP BY hospital");
    let suppressed = by_site.rows.iter().filter(|row| row.values[0].value == Value::Suppressed).count();
    assert_eq!(row(&by_site, &["case"])[0].value, Value::Suppressed);
    assert_eq!(suppressed, 2, "{by_site:?}");
}

/// 400 patients at three hospitals, of whom 100 are at two of them and 30 at all three; some rows have no identifier.
#[test]
fn patients_of_several_hospitals_are_counted_once() {
    let mut csv = String::from("patient,age,hospital\n");
    for (hospital, patients) in [("A", 0..200), ("B", 100..300), ("C", 170..400)] {
        for patient in patients {
            csv += &format!("p{patient:04},{},{hospital}\n", 20 + patient % 60);
        }
        csv += &format!(",50,{hospital}\n,51,{hospital}\n");
    }
    let columns = [
        "[[table.column]]\nname = \"patient\"\nkind = \"identifier\"\n".to_owned(),
        "[[table.column]]\nname = \"age\"\nkind = \"integer\"\nmin = 0\nmax = 120\n".to_owned(),
    ];
    let policy = "[policy]\nby_hospital = true\n";
    let world = world::World::start(&Spec {
        floor: 5,
        profile: "default-8192",
        threshold: None,
        hospitals: split("visits", &csv, &columns, policy),
    });
    assert_eq!(world.one("SELECT COUNT(DISTINCT patient) FROM visits"), Value::Count { value: 400 });
    let old = (0..400).filter(|patient| 20 + patient % 60 >= 70).count() as u64;
    let sql = "SELECT COUNT(DISTINCT patient) FROM visits WHERE age >= 70";
    assert_eq!(world.one(sql), Value::Count { value: old });
    assert_eq!(world.one("SELECT COUNT(DISTINCT patient) FROM visits WHERE age > 100"), Value::Suppressed);
    let refused = world.ward("ada", &["submit", "SELECT AVG(patient) FROM visits"]);
    assert_ne!(refused.code, 0, "an identifier is no number");
}
