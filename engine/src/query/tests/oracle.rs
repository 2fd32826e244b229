//! Answers against the oracle: integers exactly, reals to 1e-9 relative.

use serde_json::Value as Json;

use super::world::{World, breast, breast_with_d, example, nafld, oracle, rct, row, synth};
use crate::query::answer::{
    Chi2, Crosstab, Histogram, KaplanMeier, LogRank, OddsRatio, Ols, TStatistic, TTest, Value,
};

/// Within 1e-9 of the oracle, relatively; `noise` is what the oracle's own rounding leaves absolutely.
fn near(found: f64, exact: &Json, what: &str) {
    let exact = exact.as_f64().unwrap_or_else(|| panic!("{what}: no number {exact}"));
    let gap = (found - exact).abs();
    assert!(gap <= 1e-9 * exact.abs(), "{what}: {found:e} is not {exact:e} ({:e})", gap / exact.abs());
}

fn same(found: u64, exact: &Json, what: &str) {
    assert_eq!(Some(found as f64), exact.as_f64(), "{what}");
}

macro_rules! value {
    ($world:expr, $sql:expr, $kind:ident) => {
        match $world.one($sql) {
            Value::$kind(value) => value,
            other => panic!("{}: {other:?}", $sql),
        }
    };
}

/// COUNT, SUM, AVG, VAR, STDDEV, MIN, MAX against an entry `desc_*`; the sums' last digits where the oracle
/// summed unrounded reals.
fn describes(values: &[Value], exact: &Json, what: &str) {
    let fixed = |value: &Value| match value {
        Value::Exact { value, digits } => format!("{value}e-{digits}").parse::<f64>().expect("a number"),
        Value::Real { value } => *value,
        Value::Count { value } => *value as f64,
        other => panic!("{what}: {other:?}"),
    };
    for (value, key) in values.iter().zip(["n", "sum", "mean", "var_sample", "sd_sample", "min", "max"]) {
        near(fixed(value), &exact[key], &format!("{what} {key}"));
    }
    same(fixed(&values[0]) as u64, &exact["n"], what);
}

fn description(world: &World, table: &str, column: &str, extrema: bool) -> Vec<Value> {
    let mut sql =
        format!("SELECT COUNT({column}), SUM({column}), AVG({column}), VAR({column}), STDDEV({column})");
    if extrema {
        sql.push_str(&format!(", MIN({column}), MAX({column})"));
    }
    let answer = world.ask(&format!("{sql} FROM {table}"));
    answer.rows[0].values.iter().map(|c| c.value.clone()).collect()
}

#[test]
fn descriptions_equal_the_oracle() {
    for (name, world, table, columns) in [
        ("breast", breast(), "breast", vec!["age", "nodes", "pgr", "er"]),
        ("rct", rct(), "rct", vec!["age", "risk"]),
        ("synth_10k", synth(10_000), "synth", vec!["age", "bmi_x10", "sbp", "hba1c", "time"]),
        ("nafld", nafld(), "subjects", vec!["age", "futime", "weight", "height"]),
    ] {
        let exact = oracle(name);
        for column in columns {
            let found = description(&world, table, column, true);
            describes(&found, &exact[format!("desc_{column}")], &format!("{name} {column}"));
        }
    }
    describes(&description(&nafld(), "subjects", "bmi", false), &oracle("nafld")["desc_bmi"], "nafld bmi");
    let pooled = &oracle("breast")["pooled_4_hospitals"]["desc_age"];
    describes(&description(&breast_with_d(), "breast", "age", true), pooled, "breast pooled age");
}

#[test]
fn missing_values_are_counted_as_the_oracle_does() {
    let exact = &oracle("nafld")["missing"];
    let answer =
        nafld().ask("SELECT COUNT(*), COUNT(weight), COUNT(height), COUNT(bmi), AVG(age) FROM subjects");
    for quality in &answer.quality {
        same(quality.missing, &exact[&quality.column], &quality.column);
        assert_eq!(quality.out_of_bounds, 0);
    }
    assert_eq!(answer.quality.len(), 4);
}

#[test]
fn groups_equal_the_oracle() {
    let select = "SELECT COUNT(x), SUM(x), AVG(x), VAR(x), STDDEV(x), MIN(x), MAX(x)";
    let values =
        |cells: &[crate::query::answer::Cell]| cells.iter().map(|c| c.value.clone()).collect::<Vec<_>>();
    let exact = &oracle("breast")["desc_age_by_hospital"];
    let answer = breast().ask(&format!("{} FROM breast GROUP BY hospital", select.replace("(x)", "(age)")));
    for hospital in ["A", "B", "C"] {
        describes(&values(row(&answer, &[hospital])), &exact[hospital], hospital);
    }
    let exact = &oracle("nafld")["groupby_male"];
    let answer = nafld().ask(&format!("{} FROM subjects GROUP BY male", select.replace("(x)", "(age)")));
    for male in ["0", "1"] {
        describes(&values(row(&answer, &[male])), &exact[male]["age"], male);
    }
    let answer = nafld().ask(
        "SELECT hospital, male, COUNT(*), SUM(status), COUNT(bmi), AVG(bmi) FROM subjects GROUP BY hospital, male",
    );
    let exact = oracle("nafld");
    for (key, exact) in exact["groupby_hospital_male"].as_object().expect("groups") {
        let found = row(&answer, &key.split('|').collect::<Vec<_>>());
        let Value::Exact { value: deaths, digits: 0 } = &found[1].value else { panic!("{found:?}") };
        let (Value::Count { value: n }, Value::Count { value: n_bmi }) = (&found[0].value, &found[2].value)
        else {
            panic!("{found:?}");
        };
        let Value::Real { value: mean } = found[3].value else { panic!("{found:?}") };
        same(*n, &exact["n"], key);
        same(deaths.parse().expect("a count"), &exact["deaths"], key);
        same(*n_bmi, &exact["n_bmi"], key);
        near(mean, &exact["mean_bmi"], key);
    }
}

#[test]
fn synthetic_groups_equal_the_oracle() {
    let (world, exact) = (synth(10_000), oracle("synth_10k"));
    let answer = world.ask("SELECT sex, dx, COUNT(*), SUM(event), AVG(hba1c) FROM synth GROUP BY sex, dx");
    for (key, exact) in exact["groupby_sex_dx"].as_object().expect("groups") {
        let found = row(&answer, &key.split('|').collect::<Vec<_>>());
        let Value::Count { value: n } = found[0].value else { panic!("{found:?}") };
        let Value::Exact { value: events, .. } = &found[1].value else { panic!("{found:?}") };
        let Value::Real { value: mean } = found[2].value else { panic!("{found:?}") };
        same(n, &exact["n"], key);
        same(events.parse().expect("a count"), &exact["events"], key);
        near(mean, &exact["mean_hba1c"], key);
    }
    let answer = world.ask("SELECT hospital, dx, COUNT(*) FROM synth GROUP BY hospital, dx");
    for (hospital, counts) in exact["crosstab_hospital_dx"]["table"].as_object().expect("rows") {
        for (dx, exact) in counts.as_object().expect("columns") {
            assert_eq!(
                row(&answer, &[hospital, dx])[0].value,
                Value::Count { value: exact.as_u64().expect("a count") }
            );
        }
    }
    for column in ["age", "bmi_x10", "sbp", "hba1c"] {
        let sql = format!("SELECT COUNT({column}), SUM({column}) FROM synth GROUP BY hospital");
        let answer = world.ask(&sql);
        for (hospital, exact) in exact["groupby_hospital"].as_object().expect("hospitals") {
            let found = row(&answer, &[hospital]);
            assert_eq!(found[0].value, Value::Count { value: exact[column]["n"].as_u64().expect("a count") });
            let Value::Exact { value, .. } = &found[1].value else { panic!("{found:?}") };
            assert_eq!(value.parse::<f64>().ok(), exact[column]["sum"].as_f64());
        }
    }
}

fn histogram_is(found: &Histogram, exact: &Json) {
    let counts: Vec<u64> = found.counts.iter().map(|c| c.expect("nothing is withheld")).collect();
    assert_eq!(serde_json::json!(counts), exact["counts"]);
    assert_eq!(found.below, exact["below"].as_u64());
    assert_eq!(found.above, exact["above"].as_u64());
    for (edge, exact) in found.edges.iter().zip(exact["edges"].as_array().expect("edges")) {
        assert_eq!(Some(*edge), exact.as_f64());
    }
}

#[test]
fn histograms_equal_the_oracle() {
    let found = value!(breast(), "SELECT HISTOGRAM(age, 20, 90, 7) FROM breast", Histogram);
    histogram_is(&found, &oracle("breast")["hist_age"]);
    let sql = "SELECT HISTOGRAM(hba1c, [20, 30, 35, 40, 45, 50, 60, 70, 80, 150]) FROM synth";
    histogram_is(&value!(synth(10_000), sql, Histogram), &oracle("synth_10k")["hist_hba1c"]);
    let sql = "SELECT HISTOGRAM(bmi, [10, 18.5, 25, 30, 35, 40, 60]) FROM subjects";
    histogram_is(&value!(nafld(), sql, Histogram), &oracle("nafld")["hist_bmi"]);
    let found = value!(nafld(), "SELECT HISTOGRAM(age, 10, 100, 9) FROM subjects", Histogram);
    histogram_is(&found, &oracle("nafld")["hist_age"]);
}

fn chi2_is(found: &Chi2, exact: &Json, what: &str) {
    near(found.chi2, &exact["chi2"], what);
    assert_eq!(Some(u64::from(found.df)), exact["df"].as_u64(), "{what}");
    near(found.p, &exact["p"], what);
}

fn ratio_is(found: &OddsRatio, exact: &Json) {
    near(found.odds_ratio, &exact["odds_ratio"]["or_"], "odds ratio");
    near(found.log_se, &exact["odds_ratio"]["log_se"], "log se");
    near(found.risk_ratio, &exact["risk_ratio"]["rr"], "risk ratio");
    for i in 0..2 {
        near(found.odds_ratio_ci95[i], &exact["odds_ratio"]["ci95"][i], "interval of the odds ratio");
        near(found.risk_ratio_ci95[i], &exact["risk_ratio"]["ci95"][i], "interval of the risk ratio");
    }
}

/// `rows` and `columns`: the oracle's names of the codes, in the oracle's order.
fn crosstab_is(found: &Crosstab, exact: &Json, rows: &[(&str, &str)], columns: &[(&str, &str)]) {
    for (i, (row, oracle_row)) in rows.iter().enumerate() {
        for (j, (column, oracle_column)) in columns.iter().enumerate() {
            let at = |codes: &[String], code: &str| codes.iter().position(|c| c == code).expect("a code");
            let (r, c) = (at(&found.rows, row), at(&found.columns, column));
            assert_eq!(
                found.table[r][c],
                exact["table"][oracle_row][oracle_column].as_u64(),
                "{row} {column}"
            );
            near(found.expected[r][c], &exact["expected"][i][j], "expected");
        }
    }
    let chi2 = found.chi2.as_ref().expect("a test");
    chi2_is(&chi2.pearson, &exact["pearson"], "pearson");
    chi2_is(&chi2.yates, &exact["yates"], "yates");
    if !exact["odds_ratio"].is_null() {
        ratio_is(found.odds_ratio.as_ref().expect("ratios"), exact);
    }
}

#[test]
fn contingency_tables_equal_the_oracle() {
    let plain = [("0", "0"), ("1", "1")];
    let exact = oracle("breast");
    let found = value!(breast(), "SELECT CROSSTAB(hormon, death) FROM breast", Crosstab);
    crosstab_is(&found, &exact["crosstab_hormon_death"], &plain, &plain);
    // Grade 1 is published and empty: it does not enter the test.
    let found = value!(breast(), "SELECT CROSSTAB(size, grade) FROM breast", Crosstab);
    let sizes = [("20-50", "20-50"), ("<=20", "<=20"), (">50", ">50")];
    crosstab_is(&found, &exact["crosstab_size_grade"], &sizes, &[("2", "2"), ("3", "3")]);
    let exact = oracle("nafld");
    let found = value!(nafld(), "SELECT CROSSTAB(male, status) FROM subjects", Crosstab);
    crosstab_is(&found, &exact["crosstab_male_status"], &plain, &plain);
    let found = value!(nafld(), "SELECT CROSSTAB(dm, htn) FROM subjects", Crosstab);
    crosstab_is(&found, &exact["crosstab_dm_htn"], &plain, &plain);
    let found = value!(nafld(), "SELECT CROSSTAB(nafld, dm) FROM subjects", Crosstab);
    crosstab_is(&found, &exact["crosstab_nafld_dm"], &plain, &plain);
    let exact = oracle("synth_10k");
    let found = value!(synth(10_000), "SELECT CROSSTAB(sex, diabetes) FROM synth", Crosstab);
    crosstab_is(&found, &exact["crosstab_sex_diabetes"], &[("F", "F"), ("M", "M")], &plain);
}

#[test]
fn trial_tables_equal_the_oracle() {
    let (world, exact) = (rct(), oracle("rct"));
    let (rx, outcome) = ([("placebo", "0"), ("indomethacin", "1")], [("no", "0"), ("yes", "1")]);
    let found = value!(world, "SELECT CROSSTAB(rx, outcome) FROM rct", Crosstab);
    crosstab_is(&found, &exact["crosstab_rx_outcome"], &rx, &outcome);
    let found = value!(world, "SELECT CHI2(rx, outcome) FROM rct", Chi2);
    chi2_is(&found.pearson, &exact["crosstab_rx_outcome"]["pearson"], "pearson");
    chi2_is(&found.yates, &exact["crosstab_rx_outcome"]["yates"], "yates");
    let found = value!(world, "SELECT ODDS_RATIO(rx, outcome) FROM rct", OddsRatio);
    ratio_is(&found, &exact["crosstab_rx_outcome"]);
    let answer = world.ask("SELECT CROSSTAB(rx, outcome) FROM rct GROUP BY hospital");
    for (hospital, exact) in exact["per_hospital"].as_object().expect("hospitals") {
        let Value::Crosstab(found) = &row(&answer, &[hospital])[0].value else { panic!("{hospital}") };
        for (i, rx) in ["0", "1"].iter().enumerate() {
            for (j, outcome) in ["0", "1"].iter().enumerate() {
                assert_eq!(found.table[i][j], exact[rx][outcome].as_u64(), "{hospital}");
            }
        }
    }
}

fn t_is(found: &TStatistic, exact: &Json, what: &str) {
    near(found.t, &exact["t"], what);
    near(found.df, &exact["df"], what);
    near(found.p, &exact["p"], what);
}

fn t_test_is(found: &TTest, exact: &Json, what: &str) {
    for i in 0..2 {
        same(found.n[i], &exact["n"][i], what);
        near(found.mean[i], &exact["mean"][i], what);
        near(found.var[i], &exact["var"][i], what);
    }
    t_is(&found.welch, &exact["welch"], &format!("{what} welch"));
    t_is(&found.student, &exact["student"], &format!("{what} student"));
}

#[test]
fn t_tests_equal_the_oracle() {
    let found = value!(breast(), "SELECT TTEST(age, hormon) FROM breast", TTest);
    t_test_is(&found, &oracle("breast")["ttest_age_by_hormon"], "age");
    let found = value!(breast(), "SELECT TTEST(nodes, death) FROM breast", TTest);
    t_test_is(&found, &oracle("breast")["ttest_nodes_by_death"], "nodes");
    let found = value!(nafld(), "SELECT TTEST(bmi, male) FROM subjects", TTest);
    t_test_is(&found, &oracle("nafld")["ttest_bmi_by_male"], "bmi");
    let found = value!(rct(), "SELECT TTEST(risk, rx) FROM rct", TTest);
    t_test_is(&found, &oracle("rct")["ttest_risk_by_rx"], "risk");
    let found = value!(synth(10_000), "SELECT TTEST(sbp, smoker) FROM synth", TTest);
    t_test_is(&found, &oracle("synth_10k")["ttest_sbp_by_smoker"], "sbp");
}

fn ols_is(found: &Ols, exact: &Json, names: &[(&str, &str)]) {
    same(found.n, &exact["n"], "n");
    assert_eq!(found.terms.len(), names.len());
    for (term, (name, oracle_name)) in found.terms.iter().zip(names) {
        assert_eq!(term.name, *name);
        near(term.coef, &exact["coef"][oracle_name], name);
        near(term.se, &exact["se"][oracle_name], name);
        near(term.t, &exact["t"][oracle_name], name);
        near(term.p, &exact["p"][oracle_name], name);
    }
    near(found.r2, &exact["r2"], "r2");
    near(found.adj_r2, &exact["adj_r2"], "adjusted r2");
    near(found.sigma2, &exact["sigma2"], "sigma2");
    near(found.f, &exact["F"], "F");
}

#[test]
fn regressions_equal_the_oracle() {
    let found = value!(breast(), "SELECT OLS(nodes, age, grade, size) FROM breast", Ols);
    let sizes = [("size=20-50", "size_20_50"), ("size=>50", "size_gt50")];
    let names = [&[("const", "const"), ("age", "age"), ("grade", "grade")][..], &sizes].concat();
    ols_is(&found, &oracle("breast")["ols_nodes"], &names);
    let found = value!(nafld(), "SELECT OLS(bmi, age, male) FROM subjects", Ols);
    let names = [("const", "const"), ("age", "age"), ("male", "male")];
    ols_is(&found, &oracle("nafld")["ols_bmi"], &names);
    let found = value!(synth(10_000), "SELECT OLS(sbp, age, bmi_x10, sex) FROM synth", Ols);
    let names = [("const", "const"), ("age", "age"), ("bmi_x10", "bmi_x10"), ("sex=M", "male")];
    ols_is(&found, &oracle("synth_10k")["ols_sbp"], &names);
}

/// The curve at the oracle's times: the last step not after them.
fn curve_is(found: &KaplanMeier, exact: &Json, what: &str) {
    same(found.n, &exact["n"], what);
    same(found.events, &exact["events"], what);
    match exact["median"].as_f64() {
        Some(median) => assert_eq!(found.median, Some(median), "{what}"),
        None => assert_eq!((found.median, &exact["median"]), (None, &Json::from("inf")), "{what}"),
    }
    for (time, exact) in exact["at"].as_object().expect("times") {
        let time: f64 = time.parse().expect("a time");
        let step = found.steps.iter().rfind(|s| s.time <= time).expect("a step");
        near(step.survival, &exact["S"], &format!("{what} at {time}"));
        near(step.ci95[0], &exact["ci95_loglog"][0], what);
        near(step.ci95[1], &exact["ci95_loglog"][1], what);
        same(step.at_risk - step.events - step.censored, &exact["at_risk"], what);
    }
}

#[test]
fn survival_curves_equal_the_oracle() {
    let exact = oracle("breast");
    let found = value!(breast(), "SELECT KAPLAN_MEIER(dtime, death) FROM breast", KaplanMeier);
    curve_is(&found, &exact["km_overall"], "breast");
    let pooled = value!(breast_with_d(), "SELECT KAPLAN_MEIER(rtime, recur) FROM breast", KaplanMeier);
    curve_is(&pooled, &exact["pooled_4_hospitals"]["km"], "breast pooled");
    let grouped = |world: World, sql: &str, exact: &Json| {
        let answer = world.ask(sql);
        for code in ["0", "1"] {
            let Value::KaplanMeier(found) = &row(&answer, &[code])[0].value else { panic!("{sql}") };
            curve_is(found, &exact[code], sql);
        }
    };
    let sql = "SELECT KAPLAN_MEIER(dtime, death) FROM breast GROUP BY hormon";
    grouped(breast(), sql, &exact["km_by_hormon"]);
    let exact = oracle("nafld");
    grouped(nafld(), "SELECT KAPLAN_MEIER(futime, status) FROM subjects GROUP BY male", &exact["km_by_male"]);
    grouped(
        nafld(),
        "SELECT KAPLAN_MEIER(futime, status) FROM subjects GROUP BY nafld",
        &exact["km_by_nafld"],
    );
    let sql = "SELECT KAPLAN_MEIER(time, event) FROM synth GROUP BY treat";
    grouped(synth(10_000), sql, &oracle("synth_10k")["km_by_treat"]);
}

#[test]
fn the_whole_risk_table_equals_the_oracle() {
    let found = value!(breast(), "SELECT KAPLAN_MEIER(dtime, death) FROM breast", KaplanMeier);
    let text = example("oracle/breast_km_table.csv");
    let mut steps = found.steps.iter();
    for line in text.lines().skip(1) {
        let row: Vec<f64> = line.split(',').map(|f| f.parse().expect("a number")).collect();
        if row[2] + row[3] > 0.0 {
            let step = steps.next().expect("a step");
            let shown = [step.time, step.at_risk as f64, step.events as f64, step.censored as f64];
            assert_eq!(shown.as_slice(), row);
        }
    }
    assert!(steps.next().is_none());
}

fn log_rank_is(found: &LogRank, exact: &Json, what: &str) {
    chi2_is(&found.test, exact, what);
    let Some(groups) = exact["groups"].as_array() else { return };
    let at = |group: &Json| found.groups.iter().position(|g| *g == *group).expect("a group");
    assert_eq!(groups.len(), found.groups.len(), "{what}");
    for (i, group) in groups.iter().enumerate() {
        let name = group.as_str().expect("a name");
        same(found.observed[at(group)], &exact["observed"][name], what);
        near(found.expected[at(group)], &exact["expected"][name], what);
        for (j, other) in groups.iter().enumerate() {
            near(found.covariance[at(group)][at(other)], &exact["cov_sksurv"][i][j], what);
        }
    }
}

#[test]
fn log_rank_tests_equal_the_oracle() {
    let exact = oracle("breast");
    for (sql, key) in [
        ("SELECT LOG_RANK(dtime, death, hormon) FROM breast", "logrank_hormon"),
        ("SELECT LOG_RANK(dtime, death, grade) FROM breast", "logrank_grade"),
        ("SELECT LOG_RANK(dtime, death, size) FROM breast", "logrank_size3"),
        ("SELECT LOG_RANK(rtime, recur, hormon) FROM breast", "logrank_recur_hormon"),
    ] {
        log_rank_is(&value!(breast(), sql, LogRank), &exact[key], key);
    }
    let sql = "SELECT LOG_RANK(rtime, recur, hormon) FROM breast";
    let pooled = &exact["pooled_4_hospitals"]["logrank_hormon"];
    log_rank_is(&value!(breast_with_d(), sql, LogRank), pooled, "pooled");
    let exact = oracle("nafld");
    let found = value!(nafld(), "SELECT LOG_RANK(futime, status, male) FROM subjects", LogRank);
    log_rank_is(&found, &exact["logrank_male"], "male");
    let found = value!(nafld(), "SELECT LOG_RANK(futime, status, nafld) FROM subjects", LogRank);
    log_rank_is(&found, &exact["logrank_nafld"], "nafld");
    let found = value!(synth(10_000), "SELECT LOG_RANK(time, event, treat) FROM synth", LogRank);
    log_rank_is(&found, &oracle("synth_10k")["logrank_treat"], "treat");
}

#[test]
fn hospital_d_is_left_out_where_it_lacks_a_column() {
    let plan = breast_with_d().plan("SELECT KAPLAN_MEIER(dtime, death) FROM breast");
    assert_eq!(plan.hospitals, ["A", "B", "C"]);
    assert_eq!(plan.left_out, [("D".to_owned(), "does not publish death, dtime".to_owned())]);
}
