//! Small known answers where the oracle has none: correlation, extremes, curves that reach one half or zero.

use super::world::{World, category, integer, nafld, real};
use crate::query::answer::Value;
use crate::query::reference::Rows;

fn world(text: &str, columns: &[crate::query::catalogue::Column]) -> World {
    World::new("t", columns, [("A".to_owned(), Rows::from_csv(text, &[]))])
}

fn near(found: f64, exact: f64) {
    assert!((found - exact).abs() <= 1e-12 * exact.abs(), "{found:e} is not {exact:e}");
}

#[test]
fn a_correlation_is_the_root_of_the_regressions_r2() {
    let world = nafld();
    let Value::Corr(corr) = world.one("SELECT CORR(age, bmi) FROM subjects") else {
        panic!("no correlation")
    };
    let Value::Ols(fit) = world.one("SELECT OLS(bmi, age) FROM subjects") else { panic!("no fit") };
    near(corr.r * corr.r, fit.r2);
    near(corr.p, fit.terms[1].p);
    near(corr.p, fit.f_p);
    assert_eq!(corr.r.is_sign_negative(), fit.terms[1].coef.is_sign_negative());
    let Value::Corr(own) = world.one("SELECT CORR(age, age) FROM subjects") else { panic!("no correlation") };
    assert_eq!((own.r, own.p), (1.0, 0.0));
}

/// Known answer: r squared is 0.6; p by mpmath 1.3, 30 digits.
#[test]
fn a_small_correlation_is_known() {
    let world = world("x,y\n1,2\n2,4\n3,5\n4,4\n5,5\n", &[integer("x", 0, 9), integer("y", 0, 9)]);
    let Value::Corr(corr) = world.one("SELECT CORR(x, y) FROM t") else { panic!("no correlation") };
    near(corr.r, 0.6f64.sqrt());
    near(corr.p, 0.124_027_062_657_554_63);
}

#[test]
fn the_median_is_where_survival_is_exactly_one_half() {
    let text = "t,e\n1,1\n1,0\n2,1\n2,1\n3,0\n5,1\n5,1\n";
    let world = world(text, &[integer("t", 0, 9), integer("e", 0, 1)]);
    let Value::KaplanMeier(curve) = world.one("SELECT KAPLAN_MEIER(t, e) FROM t") else { panic!("no curve") };
    // 6/7, then 3/5 of it: 18/35; nothing at 3; 0 at 5.
    let shown: Vec<_> = curve.steps.iter().map(|s| (s.time, s.at_risk, s.events, s.censored)).collect();
    assert_eq!(shown, [(1.0, 7, 1, 1), (2.0, 5, 2, 0), (3.0, 3, 0, 1), (5.0, 2, 2, 0)]);
    near(curve.steps[1].survival, 18.0 / 35.0);
    assert_eq!(curve.steps[3].survival, 0.0);
    assert_eq!(curve.steps[3].ci95[0], 0.0);
    assert_eq!(curve.steps[3].ci95[1], curve.steps[2].ci95[1]);
    assert_eq!(curve.median, Some(5.0));
    // 4/6 * 3/4 is exactly one half, whatever the doubles make of it.
    let half = "t,e\n1,1\n1,1\n2,1\n3,0\n3,0\n3,0\n";
    let world = self::world(half, &[integer("t", 0, 9), integer("e", 0, 1)]);
    let Value::KaplanMeier(curve) = world.one("SELECT KAPLAN_MEIER(t, e) FROM t") else { panic!("no curve") };
    assert_eq!(curve.median, Some(2.0));
}

#[test]
fn a_wider_grid_moves_times_to_its_points() {
    let text = "t,e\n0,1\n1,1\n3,0\n4,1\n6,1\n7,0\n";
    let world = world(text, &[integer("t", 0, 9), integer("e", 0, 1)]);
    let Value::KaplanMeier(curve) = world.one("SELECT KAPLAN_MEIER(t, e, 3) FROM t") else {
        panic!("no curve")
    };
    let shown: Vec<_> = curve.steps.iter().map(|s| (s.time, s.at_risk, s.events, s.censored)).collect();
    assert_eq!(shown, [(0.0, 6, 1, 0), (3.0, 5, 1, 1), (6.0, 3, 2, 0), (9.0, 1, 0, 1)]);
}

#[test]
fn too_little_data_is_undefined_not_zero() {
    let columns = [real("x", 1, -5, 5), integer("t", 0, 9), integer("e", 0, 1), category("g", &["u", "v"])];
    let sql = "SELECT COUNT(*), SUM(x), AVG(x), VAR(x), MIN(x), CHI2(g, e), ODDS_RATIO(g, e), TTEST(x, g), \
               CORR(x, t), OLS(x, t), OLS(x, g), KAPLAN_MEIER(t, e), LOG_RANK(t, e, g) FROM t";
    let undefined = |text: &str| -> Vec<bool> {
        let answer = world(text, &columns).ask(sql);
        answer.rows[0]
            .values
            .iter()
            .map(|c| matches!(c.value, Value::Undefined { .. } | Value::Empty))
            .collect()
    };
    assert_eq!(undefined("x,t,e,g\n").iter().filter(|u| !**u).count(), 1, "only COUNT(*) is defined");
    let one = undefined("x,t,e,g\n1,2,1,u\n");
    assert_eq!(one, [false, false, false, true, false, true, true, true, true, true, true, false, true]);
    // No variation: no t-test, no correlation, no regression.
    let flat = undefined("x,t,e,g\n1,2,1,u\n1,2,0,v\n1,2,1,u\n1,2,0,v\n1,2,0,u\n1,2,1,v\n");
    assert_eq!(flat, [false, false, false, false, false, false, false, true, true, true, true, false, false]);
}

#[test]
fn clamped_and_rejected_values_are_counted() {
    let mut clamped = integer("c", 0, 10);
    clamped.out_of_bounds = crate::query::catalogue::OutOfBounds::Clamp;
    let world = world("r,c\n5,5\n11,11\n-1,-1\n,\n", &[integer("r", 0, 10), clamped]);
    let answer = world.ask("SELECT COUNT(r), SUM(r), COUNT(c), SUM(c), MAX(c) FROM t");
    let shown: Vec<_> = answer.rows[0].values.iter().map(|c| c.value.clone()).collect();
    let exact = |v: &str| Value::Exact { value: v.into(), digits: 0 };
    assert_eq!(
        shown,
        [Value::Count { value: 1 }, exact("5"), Value::Count { value: 3 }, exact("15"), exact("10")]
    );
    let quality: Vec<_> = answer
        .quality
        .iter()
        .map(|q| (q.column.as_str(), q.missing, q.out_of_bounds, q.treatment.as_str()))
        .collect();
    assert_eq!(quality, [("c", 1, 2, "clamped"), ("r", 3, 2, "rejected")]);
}

#[test]
fn conditions_on_missing_values_are_unknown() {
    let text = "x,g\n1,u\n,u\n2,\n,\n";
    let world = world(text, &[integer("x", 0, 9), category("g", &["u", "v"])]);
    let count = |condition: &str| {
        let sql = format!("SELECT COUNT(*) FROM t WHERE {condition}");
        match world.one(&sql) {
            Value::Count { value } => value,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(count("x = 1"), 1);
    assert_eq!(count("NOT (x = 1)"), 1);
    assert_eq!(count("x = 1 OR NOT (x = 1)"), 2);
    assert_eq!(count("x IS NULL"), 2);
    assert_eq!(count("NOT (x IS NULL)"), 2);
    assert_eq!(count("x = 1 OR g = 'u'"), 2);
    assert_eq!(count("NOT (x = 2 AND g = 'v')"), 2);
    assert_eq!(count("x <> 1.5"), 2);
    assert_eq!(count("NOT (x = 1.5)"), 2);
    assert_eq!(count("x NOT IN (1, 7)"), 1);
    assert_eq!(count("g = 'v' OR x IS NOT NULL"), 2);
    let answer = world.ask("SELECT COUNT(*) FROM t GROUP BY g");
    assert_eq!(answer.ungrouped, 2);
}
