//! Plans: what they hold, what they share, what they refuse.

use proptest::prelude::*;

use super::world::{World, breast, breast_with_d, category, integer, protocol, real};
use crate::query::ast::{Comparison, Literal, Predicate};
use crate::query::catalogue::ColumnKind;
use crate::query::explain::{CostModel, explain};
use crate::query::plan::{Content, Filter, Participation, Plan};
use crate::query::reference::{Rows, fixed_point};
use crate::query::{QueryError, parse, plan};

fn small() -> World {
    let columns = [
        integer("age", 0, 120),
        integer("dead", 0, 1),
        integer("days", 0, 1000),
        real("bmi", 1, 10, 80),
        category("sex", &["F", "M"]),
        category("dx", &["a", "b", "c"]),
    ];
    let rows =
        Rows { names: columns.iter().map(|c| c.name.clone()).collect(), rows: vec![vec![None; 6]; 100] };
    World::new("t", &columns, ["A", "B", "C"].map(|h| (h.to_owned(), rows.clone())))
}

fn refusal(world: &World, sql: &str) -> QueryError {
    match world.try_plan(sql) {
        Ok(plan) => panic!("{sql} was planned: {plan:?}"),
        Err(error) => error,
    }
}

fn measures(plan: &Plan) -> usize {
    plan.blocks.iter().filter(|b| matches!(b.content, Content::Measure(_))).count()
}

#[test]
fn statistics_share_their_sums() {
    let plan = small().plan("SELECT COUNT(age), SUM(age), AVG(age), VAR(age), STDDEV(age) FROM t");
    assert_eq!((plan.strata.len(), measures(&plan)), (1, 3));
    let plan = small().plan("SELECT CROSSTAB(sex, dx), CHI2(sex, dx) FROM t");
    assert_eq!((plan.strata.len(), measures(&plan)), (1, 1));
    // A sum over an indicator counts people: another floor than a count of rows.
    let plan = small().plan("SELECT COUNT(dead), AVG(dead) FROM t");
    assert_eq!((plan.strata.len(), measures(&plan)), (2, 3));
    assert_eq!(plan.strata[1].levels, ["dead"]);
}

#[test]
fn a_regression_sums_each_pair_once() {
    let plan = small().plan("SELECT OLS(bmi, age, dead, dx) FROM t");
    // Terms 1, age, dead, dx=b, dx=c and bmi: 21 pairs, less dead * dead = dead, dx=b * dx=b = dx=b, the same for
    // c, and dx=b * dx=c = 0.
    assert_eq!(measures(&plan), 17);
    assert_eq!(plan.strata[0].levels, ["dead", "dx"]);
}

#[test]
fn widths_hold_the_largest_sums_with_their_sign() {
    let plan = small().plan("SELECT VAR(age), COUNT(*) FROM t WHERE bmi > 20 GROUP BY sex");
    let width = |i: usize| (plan.blocks[i].slots, plan.blocks[i].width);
    // 321 rows: 9 bits; times 120: 16 bits; times 14,400: 23 bits; one more for the sign. Masks of 3 hospitals.
    assert_eq!([0, 1, 2, 3, 4].map(width), [(2, 4), (2, 4), (2, 10), (2, 17), (2, 24)]);
    assert_eq!(plan.blocks.last().map(|b| (&b.content, b.slots)), Some((&Content::Ungrouped, 1)));
    assert_eq!(plan.ciphertexts, 1);
    let plan = small().plan("SELECT MIN(age) FROM t");
    let extremum =
        plan.blocks.iter().find(|b| matches!(b.content, Content::Extremum { .. })).expect("a block");
    assert_eq!((extremum.slots, extremum.width), (121, plan.protocol.log2_t));
}

#[test]
fn plans_are_deterministic_and_survive_json() {
    let sql = "SELECT size, OLS(nodes, age, grade), KAPLAN_MEIER(dtime, death) FROM breast WHERE age >= 40.5 GROUP BY size";
    let (one, two) = (breast().plan(sql), breast_with_d().plan(sql));
    assert_eq!(one.digest(), breast().plan(sql).digest());
    assert_ne!(one.digest(), two.digest(), "another consortium");
    assert_eq!(Plan::from_json(&one.to_json()).as_ref(), Ok(&one));
    assert_eq!(Plan::from_json(b"{}").map_err(|e| e.code()), Err("query.plan"));
    assert_eq!(Plan::from_json(&vec![b' '; 9 << 20]).map_err(|e| e.code()), Err("query.plan"));
}

#[test]
fn only_parsed_queries_are_planned() {
    let world = small();
    let mut query = parse("SELECT COUNT(*) FROM t WHERE age > 3").expect("a query");
    query.filter = Some(Predicate::Compare {
        column: "age".into(),
        op: Comparison::Gt,
        value: Literal::Number("03".into()),
    });
    let refused = plan(&query, &world.catalogue, &world.protocol(), Participation::All);
    assert_eq!(refused, Err(QueryError::NotCanonical));
}

#[test]
fn what_does_not_fit_the_catalogue_is_refused() {
    let world = small();
    for (sql, code) in [
        ("SELECT COUNT(*) FROM tt", "query.table"),
        ("SELECT AVG(agee) FROM t", "query.column"),
        ("SELECT COUNT(*) FROM t WHERE agee = 1", "query.column"),
        ("SELECT COUNT(*) FROM t GROUP BY agee", "query.column"),
        ("SELECT COUNT(*) FROM t GROUP BY age", "query.kind"),
        ("SELECT COUNT(*) FROM t GROUP BY bmi", "query.kind"),
        ("SELECT AVG(sex) FROM t", "query.kind"),
        ("SELECT CHI2(sex, sex) FROM t", "query.kind"),
        ("SELECT CHI2(sex, age) FROM t", "query.kind"),
        ("SELECT ODDS_RATIO(sex, dx) FROM t", "query.kind"),
        ("SELECT TTEST(age, dx) FROM t", "query.kind"),
        ("SELECT TTEST(sex, sex) FROM t", "query.kind"),
        ("SELECT OLS(sex, age) FROM t", "query.kind"),
        ("SELECT OLS(age, age) FROM t", "query.kind"),
        ("SELECT OLS(age, bmi, bmi) FROM t", "query.kind"),
        ("SELECT KAPLAN_MEIER(bmi, dead) FROM t", "query.kind"),
        ("SELECT KAPLAN_MEIER(days, age) FROM t", "query.kind"),
        ("SELECT LOG_RANK(days, dead, dead) FROM t", "query.kind"),
        ("SELECT LOG_RANK(days, dead, bmi) FROM t", "query.kind"),
        ("SELECT HISTOGRAM(bmi, [10, 20.25]) FROM t", "query.literal"),
        ("SELECT COUNT(*) FROM t WHERE sex = 'X'", "query.literal"),
        ("SELECT COUNT(*) FROM t WHERE sex < 'M'", "query.literal"),
        ("SELECT COUNT(*) FROM t WHERE sex IN ('F', 'X')", "query.literal"),
        ("SELECT COUNT(*) FROM t WHERE sex = TRUE", "query.literal"),
        ("SELECT COUNT(*) FROM t WHERE age = 'M'", "query.literal"),
        ("SELECT COUNT(*) FROM t WHERE age = TRUE", "query.literal"),
        ("SELECT CHI2(hospital, sex) FROM t", "query.unsupported"),
        ("SELECT COUNT(*) FROM t WHERE hospital = 'A'", "query.unsupported"),
    ] {
        let error = refusal(&world, sql);
        assert_eq!(error.code(), code, "{sql}: {error}");
        assert!(error.hint().is_some(), "{sql}: {error}");
    }
    let hint = refusal(&world, "SELECT AVG(agee) FROM t").hint();
    assert_eq!(hint.as_deref(), Some("did you mean `age`?"));
}

#[test]
fn what_is_too_large_is_refused() {
    let mut world = small();
    let change = |world: &mut World, change: fn(&mut crate::query::catalogue::Column)| {
        for publication in world.catalogue.hospitals.values_mut() {
            publication.tables[0].columns.iter_mut().for_each(change);
        }
    };
    change(&mut world, |c| {
        if c.name == "days" {
            c.max = 10_000_000
        }
    });
    let sql = "SELECT KAPLAN_MEIER(days, dead) FROM t";
    assert_eq!(refusal(&world, sql).code(), "query.limit");
    assert!(world.try_plan("SELECT KAPLAN_MEIER(days, dead, 10) FROM t").is_ok());
    assert_eq!(refusal(&world, "SELECT MAX(days) FROM t").code(), "query.limit");
    change(&mut world, |c| {
        if c.name == "age" {
            c.max = i64::MAX
        }
    });
    assert_eq!(refusal(&world, "SELECT VAR(age) FROM t").code(), "query.overflow");
    assert!(world.try_plan("SELECT SUM(age) FROM t").is_ok());
    change(&mut world, |c| {
        if c.kind == ColumnKind::Category {
            c.codes = (0..300).map(|i| i.to_string()).collect()
        }
    });
    assert_eq!(refusal(&world, "SELECT CROSSTAB(sex, dx) FROM t GROUP BY dx").code(), "query.limit");
    change(&mut world, |c| {
        if c.name == "age" {
            c.min = i64::MAX - 1
        }
    });
    assert!(world.try_plan("SELECT COUNT(*) FROM t GROUP BY age").is_ok());
    change(&mut world, |c| {
        if c.name == "bmi" {
            c.min = c.max + 1
        }
    });
    assert_eq!(refusal(&world, "SELECT COUNT(bmi) FROM t").code(), "query.definition");
}

#[test]
fn schema_drift_names_the_hospitals_and_the_field() {
    let mut world = small();
    let drifted = world.catalogue.hospitals.get_mut("C").expect("C");
    drifted.tables[0].columns[0].unit = "months".into();
    assert_eq!(
        refusal(&world, "SELECT AVG(age) FROM t"),
        QueryError::Conflict {
            column: "age".into(),
            field: "unit".into(),
            hospitals: Box::new(["A".into(), "C".into()]),
            values: Box::new(["``".into(), "`months`".into()]),
        }
    );
    assert!(world.try_plan("SELECT AVG(bmi) FROM t").is_ok(), "the column is not asked for");
    let drifted = world.catalogue.hospitals.get_mut("C").expect("C");
    drifted.tables[0].columns[0].unit.clear();
    drifted.tables[0].columns[0].description = "in other words".into();
    assert!(world.try_plan("SELECT AVG(age) FROM t").is_ok(), "descriptions may differ");
}

#[test]
fn participation_must_be_possible() {
    let world = small();
    let query = parse("SELECT COUNT(*) FROM t").expect("a query");
    let mut protocol = protocol(&["A", "B", "C", "D"]);
    let mut ask = |threshold: u32, participation| {
        protocol.threshold = threshold;
        plan(&query, &world.catalogue, &protocol, participation).map_err(|e| e.code())
    };
    assert!(ask(4, Participation::All).is_ok());
    assert!(ask(4, Participation::AtLeast(3)).is_ok());
    // With one hospital away, one of four key holders is away too.
    assert_eq!(ask(4, Participation::AtLeast(2)), Err("query.participation"));
    assert!(ask(3, Participation::AtLeast(2)).is_ok());
    assert!(ask(2, Participation::AtLeast(1)).is_ok());
    assert_eq!(ask(2, Participation::AtLeast(4)), Err("query.participation"));
    assert_eq!(ask(2, Participation::AtLeast(0)), Err("query.participation"));
    assert_eq!(ask(5, Participation::All), Err("query.protocol"));
    assert_eq!(ask(0, Participation::All), Err("query.protocol"));
}

#[test]
fn codes_and_fixed_points_are_typed() {
    let filter = |condition: &str| {
        small().plan(&format!("SELECT COUNT(*) FROM t WHERE {condition}")).filter.expect("a filter")
    };
    let compare = |column: &str, op, value| Filter::Compare { column: column.into(), op, value };
    let always = |column: &str, holds| Filter::Always { column: column.into(), holds };
    assert_eq!(filter("sex = 'M'"), compare("sex", Comparison::Eq, 1));
    assert_eq!(filter("bmi < 18.5"), compare("bmi", Comparison::Lt, 185));
    assert_eq!(filter("bmi < 18.55"), compare("bmi", Comparison::Le, 185));
    assert_eq!(filter("bmi >= -0.05"), compare("bmi", Comparison::Gt, -1));
    assert_eq!(filter("bmi = 18.55"), always("bmi", false));
    assert_eq!(filter("bmi <> 18.55"), always("bmi", true));
    assert_eq!(filter("bmi < 99999999999999999999"), always("bmi", true));
    assert_eq!(filter("dead = TRUE"), compare("dead", Comparison::Eq, 1));
    let values = vec![0, 2];
    assert_eq!(filter("dx IN ('c', 'a', 'c')"), Filter::In { column: "dx".into(), values });
    assert_eq!(filter("age IN (1.5)"), always("age", false));
}

#[test]
fn the_explanation_says_what_matters() {
    let plan =
        breast_with_d().plan("SELECT COUNT(*), AVG(recur) FROM breast WHERE age > 50 GROUP BY hospital");
    let explanation = explain(&plan, &CostModel::default());
    let explanation = explanation.with_verdicts(vec![("A".into(), "allowed".into(), "statistics".into())]);
    let text = explanation.text();
    for part in [
        "hospitals: A, B, C, D",
        "rows: age > 50",
        "groups: hospital (4 codes)",
        "sum: sum of recur with recur",
        "key: 4 of 4 holders",
        "any 3 of 4 key holders",
        "each holder of the key sends 884.7 kB, receives 1.1 MB",
        "the rows at every level of recur",
        "of each hospital by itself",
        "no noise is added",
        "A: allowed (statistics)",
    ] {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
    assert_eq!(explanation.secure.as_ref().expect("a sum").rounds.len(), 4);
    let half = plan.protocol.ciphertext_bytes / 2;
    assert_eq!(plan.ciphertexts, 1);
    assert_eq!(
        explanation.secure.as_ref().expect("a sum").bytes_down,
        half + 4 * half,
        "a public key, and a half of each contribution"
    );
    let json = serde_json::to_string(&explanation).expect("JSON");
    assert_eq!(serde_json::from_str::<crate::query::explain::Explanation>(&json).expect("JSON"), explanation);
}

proptest! {
    #[test]
    fn typing_a_literal_never_changes_a_comparison(
        value in -2000i64..2000, literal in -200_000i64..200_000, places in 0usize..4, op in 0usize..6,
    ) {
        // value: one decimal place; literal: `places` of them.
        let scale = 10i64.pow(places as u32);
        let sign = if literal < 0 { "-" } else { "" };
        let text = format!("{sign}{}.{:0places$}", literal.abs() / scale, literal.abs() % scale);
        let text = if places == 0 { literal.to_string() } else { text };
        let (sql, holds): (&str, fn(i64, i64) -> bool) = [
            ("=", (|a, b| a == b) as fn(i64, i64) -> bool),
            ("<>", |a, b| a != b),
            ("<", |a, b| a < b),
            ("<=", |a, b| a <= b),
            (">", |a, b| a > b),
            (">=", |a, b| a >= b),
        ][op];
        let plan = small().plan(&format!("SELECT COUNT(*) FROM t WHERE bmi {sql} {text}"));
        let exact = holds(value * scale, literal * 10);
        let typed = match plan.filter.expect("a filter") {
            Filter::Always { holds, .. } => holds,
            Filter::Compare { op, value: constant, .. } => match op {
                Comparison::Eq => value == constant,
                Comparison::Ne => value != constant,
                Comparison::Lt => value < constant,
                Comparison::Le => value <= constant,
                Comparison::Gt => value > constant,
                Comparison::Ge => value >= constant,
            },
            other => panic!("{other:?}"),
        };
        prop_assert_eq!(typed, exact, "{} {} {}", value, sql, text);
    }

    #[test]
    fn fixed_points_round_half_away_from_zero(v in -1_000_000i64..1_000_000) {
        let text = format!("{}{}.{:03}", if v < 0 { "-" } else { "" }, v.abs() / 1000, v.abs() % 1000);
        let exact = i128::from((v.abs() + 50) / 100 * v.signum());
        prop_assert_eq!(fixed_point(&text, 1), Some(exact));
    }
}
