//! Floors and what is withheld; sums over any split of the rows; sums that no honest hospital gives.

use proptest::prelude::*;

use super::world::{World, category, integer, protocol, rct, real, row};
use crate::query::answer::{Answer, Value};
use crate::query::plan::{Content, Participation};
use crate::query::reference::{Rows, evaluate, sum};
use crate::query::{QueryError, finish, parse, plan};

#[test]
fn small_cells_are_withheld_and_named() {
    let world = rct().floor(5);
    let answer = world.ask("SELECT hospital, rx, COUNT(*) FROM rct GROUP BY hospital, rx");
    let case = &row(&answer, &["Case", "placebo"])[0];
    assert_eq!((&case.value, case.withheld_by.as_slice()), (&Value::Suppressed, &["Case".to_owned()][..]));
    let uk = &row(&answer, &["UK", "placebo"])[0];
    assert_eq!((&uk.value, uk.withheld_by.as_slice()), (&Value::Count { value: 12 }, &[][..]));
    // UK has one event in each arm, Case three patients: the others' cells are left.
    let answer = world.ask("SELECT CROSSTAB(rx, outcome), CHI2(rx, outcome), COUNT(*) FROM rct");
    let [table, chi2, count] = &answer.rows[0].values[..] else { panic!("three values") };
    let Value::Crosstab(found) = &table.value else { panic!("{table:?}") };
    // The total is shown: UK withholds its smallest cell too, or its two single events would be the rest.
    assert_eq!(found.table, [[Some(254), Some(51)], [Some(257), Some(26)]]);
    assert_eq!(table.withheld_by, ["Case", "UK"]);
    assert_eq!(chi2.withheld_by, ["Case", "UK"]);
    assert!(matches!(chi2.value, Value::Chi2(_)));
    assert_eq!(
        (&count.value, count.withheld_by.as_slice()),
        (&Value::Count { value: 599 }, &["Case".to_owned()][..])
    );
}

#[test]
fn a_cell_that_all_withhold_suppresses_what_is_made_of_it() {
    let world = rct().floor(27);
    let answer =
        world.ask("SELECT CROSSTAB(rx, outcome), CHI2(rx, outcome), ODDS_RATIO(rx, outcome) FROM rct");
    let [table, chi2, ratio] = &answer.rows[0].values[..] else { panic!("three values") };
    let Value::Crosstab(found) = &table.value else { panic!("{table:?}") };
    assert_eq!(found.table, [[Some(243), None], [Some(257), None]]);
    assert_eq!((&found.chi2, &found.odds_ratio, found.expected.len()), (&None, &None, 0));
    assert_eq!((&chi2.value, &ratio.value), (&Value::Suppressed, &Value::Suppressed));
    let answer =
        rct().floor(500).ask("SELECT COUNT(*), AVG(age), HISTOGRAM(age, [0, 50, 100]), MIN(age) FROM rct");
    assert!(answer.rows[0].values.iter().all(|c| c.value == Value::Suppressed && c.withheld_by.len() == 4));
    assert_eq!(answer.quality[0].missing, 0);
}

#[test]
fn a_hospital_may_raise_the_floor() {
    let mut world = rct();
    world.catalogue.hospitals.get_mut("UM").expect("UM").floor = 200;
    let answer = world.ask("SELECT COUNT(*) FROM rct");
    let cell = &answer.rows[0].values[0];
    assert_eq!(
        (&cell.value, cell.withheld_by.as_slice()),
        (&Value::Count { value: 438 }, &["UM".to_owned()][..])
    );
}

#[test]
fn rounded_counts_are_multiples_of_five_and_within_two_of_the_truth_for_each_hospital() {
    let sql = "SELECT COUNT(*), COUNT(age), CROSSTAB(rx, outcome), HISTOGRAM(age, [0, 40, 60, 100]) FROM rct";
    let exact = rct().ask(sql);
    let rounded = rct().ask(&format!("{sql} WITH ROUNDING"));
    assert_eq!((exact.rounding, rounded.rounding), (0, 5));
    assert!(rounded.query.ends_with(" WITH ROUNDING"), "{}", rounded.query);
    let counts = |answer: &Answer| {
        let of = |value: &Value| match value {
            Value::Count { value } => vec![*value],
            Value::Crosstab(found) => found.table.iter().flatten().map(|n| n.unwrap()).collect(),
            Value::Histogram(found) => found.counts.iter().map(|n| n.unwrap()).collect(),
            other => panic!("{other:?}"),
        };
        answer.rows[0].values.iter().flat_map(|cell| of(&cell.value)).collect::<Vec<u64>>()
    };
    let (exact, rounded) = (counts(&exact), counts(&rounded));
    assert_ne!(exact, rounded);
    assert_eq!(exact.len(), 9);
    for (exact, rounded) in exact.iter().zip(&rounded) {
        assert_eq!(rounded % 5, 0);
        assert!(exact.abs_diff(*rounded) <= 2 * 4, "{exact} {rounded}");
    }
    // A ratio is one of the rounded counts.
    let both = rct().ask("SELECT CROSSTAB(rx, outcome), ODDS_RATIO(rx, outcome) FROM rct WITH ROUNDING");
    let [table, ratio] = &both.rows[0].values[..] else { panic!("two values") };
    let (Value::Crosstab(table), Value::OddsRatio(ratio)) = (&table.value, &ratio.value) else {
        panic!("{both:?}")
    };
    let cells: Vec<f64> = table.table.iter().flatten().map(|n| n.unwrap() as f64).collect();
    let [a, b, c, d] = cells[..] else { panic!("{cells:?}") };
    assert!((ratio.odds_ratio - a * d / (b * c)).abs() < 1e-12);
}

#[test]
fn who_asks_and_consortium_and_hospital_can_have_counts_rounded_and_what_is_no_count_is_refused() {
    let sql = "SELECT COUNT(*) FROM rct";
    assert!(!rct().plan(sql).rounding);
    let mut consortium = rct();
    consortium.catalogue.rounding = true;
    let mut hospital = rct();
    hospital.catalogue.hospitals.get_mut("UM").expect("UM").rounding = true;
    for world in [&consortium, &hospital] {
        assert!(world.plan(sql).rounding);
        let refused = world.try_plan("SELECT AVG(age) FROM rct");
        assert!(matches!(refused, Err(QueryError::Unsupported { .. })), "{refused:?}");
        // Noise is as good.
        assert!(!world.plan("SELECT AVG(age) FROM rct WITH PRIVACY (epsilon = 1)").rounding);
    }
    for refused in ["SELECT SUM(age) FROM rct WITH ROUNDING", "SELECT TTEST(age, rx) FROM rct WITH ROUNDING;"]
    {
        assert!(matches!(rct().try_plan(refused), Err(QueryError::Unsupported { .. })), "{refused}");
    }
    let both = rct().try_plan("SELECT COUNT(*) FROM rct WITH PRIVACY (epsilon = 1) WITH ROUNDING");
    assert!(matches!(both, Err(QueryError::Unsupported { .. })), "{both:?}");
}

#[test]
fn few_people_at_a_level_withhold_a_sum() {
    let rows = |ones: usize| {
        let row = |i: usize| vec![Some(u8::from(i < ones).to_string()), Some(i.to_string())];
        Rows { names: vec!["died".into(), "age".into()], rows: (0..50).map(row).collect() }
    };
    let columns = [integer("died", 0, 1), integer("age", 0, 100)];
    let world =
        World::new("t", &columns, [("A".into(), rows(2)), ("B".into(), rows(20)), ("C".into(), rows(47))]);
    let answer = world.floor(5).ask("SELECT COUNT(died), SUM(died), OLS(age, died) FROM t");
    let [count, deaths, fit] = &answer.rows[0].values[..] else { panic!("three values") };
    assert_eq!((&count.value, count.withheld_by.len()), (&Value::Count { value: 150 }, 0));
    assert_eq!(deaths.value, Value::Exact { value: "20".into(), digits: 0 });
    assert_eq!(deaths.withheld_by, ["A", "C"]);
    assert_eq!(fit.withheld_by, ["A", "C"]);
    let Value::Ols(fit) = &fit.value else { panic!("{fit:?}") };
    assert_eq!(fit.n, 50);
}

#[test]
fn absent_hospitals_have_no_rows_and_no_row() {
    let world = rct();
    let query = parse("SELECT COUNT(*) FROM rct GROUP BY hospital").expect("a query");
    let mut protocol = world.protocol();
    protocol.threshold = 3;
    let plan = plan(&query, &world.catalogue, &protocol, Participation::AtLeast(3)).expect("a plan");
    let present = ["Case", "IU", "UM"].map(str::to_owned);
    let answer = finish(&plan, &world.sums(&plan, &present), &present).expect("an answer");
    assert!(matches!(row(&answer, &["UK"])[0].value, Value::Failed { .. }));
    assert_eq!(row(&answer, &["UM"])[0].value, Value::Count { value: 164 });
    assert_eq!(answer.participants, present);
    let two = ["Case", "IU"].map(str::to_owned);
    let refused = finish(&plan, &world.sums(&plan, &two), &two);
    assert!(matches!(refused, Err(QueryError::Inconsistent { .. })));
}

#[test]
fn sums_that_do_not_fit_the_plan_are_refused() {
    let world = rct();
    let refused = |sql: &str, change: &dyn Fn(&Content) -> bool, slot: i128| {
        let plan = world.plan(sql);
        let mut sums = world.sums(&plan, &plan.hospitals);
        let mut start = 0;
        for block in &plan.blocks {
            if change(&block.content) {
                sums[start] = slot;
            }
            start += block.slots as usize;
        }
        let result = finish(&plan, &sums, &plan.hospitals);
        assert!(matches!(result, Err(QueryError::Inconsistent { .. })), "{sql}: {result:?}");
    };
    let any = |c: &Content| matches!(c, Content::Measure(_));
    let squares = |c: &Content| matches!(c, Content::Measure(m) if m.product.len() == 2);
    refused("SELECT COUNT(*) FROM rct", &any, -1);
    refused("SELECT COUNT(*) FROM rct", &any, i128::MAX);
    refused("SELECT VAR(age) FROM rct", &squares, 1);
    refused("SELECT CORR(age, risk) FROM rct", &squares, -1);
    refused("SELECT OLS(age, risk) FROM rct", &squares, -1);
    refused("SELECT COUNT(*) FROM rct", &|c| matches!(c, Content::Withheld { .. }), 16);
    refused("SELECT COUNT(*) FROM rct", &|c| matches!(c, Content::Withheld { .. }), -1);
    let plan = world.plan("SELECT COUNT(*) FROM rct");
    let sums = world.sums(&plan, &plan.hospitals);
    for (slots, names) in [
        (&sums[1..], &["Case", "IU", "UK", "UM"][..]),
        (&sums[..], &["Case", "IU", "UK"]),
        (&sums[..], &["Case", "IU", "UK", "UK"]),
        (&sums[..], &["Case", "IU", "UK", "X"]),
    ] {
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        assert!(finish(&plan, slots, &names).is_err(), "{names:?}");
    }
}

/// Every statistic at once.
const ALL: &str = "SELECT COUNT(*), COUNT(x), SUM(x), AVG(x), VAR(x), STDDEV(x), MIN(x), MAX(x), SUM(e), \
                   HISTOGRAM(x, [-2, 0, 1.5, 3]), CROSSTAB(g, e), CHI2(g, e), ODDS_RATIO(e, b), TTEST(x, e), \
                   CORR(x, t), OLS(x, t, e, g), KAPLAN_MEIER(t, e), KAPLAN_MEIER(t, e, 3), LOG_RANK(t, e, g), \
                   LOG_RANK(t, e, b, 2) FROM t";

fn columns() -> Vec<crate::query::catalogue::Column> {
    vec![
        real("x", 1, -3, 3),
        integer("t", 0, 9),
        integer("e", 0, 1),
        integer("b", 0, 1),
        category("g", &["u", "v", "w"]),
    ]
}

fn person() -> impl Strategy<Value = Vec<Option<String>>> {
    let missing = |s: BoxedStrategy<String>| prop::option::weighted(0.9, s);
    (
        missing(
            (-35i32..=35)
                .prop_map(|v| format!("{}{}.{}", if v < 0 { "-" } else { "" }, v.abs() / 10, v.abs() % 10))
                .boxed(),
        ),
        missing((0i32..=10).prop_map(|v| v.to_string()).boxed()),
        missing((0i32..=1).prop_map(|v| v.to_string()).boxed()),
        missing((0i32..=1).prop_map(|v| v.to_string()).boxed()),
        missing(prop::sample::select(vec!["u", "v", "w", "other"]).prop_map(str::to_owned).boxed()),
    )
        .prop_map(|(x, t, e, b, g)| vec![x, t, e, b, g])
}

/// The answer over rows dealt to hospitals; all publish the same `rows_max`, so that the plans are alike.
fn dealt(people: &[Vec<Option<String>>], hospitals: &[usize], count: usize, sql: &str) -> Answer {
    let names: Vec<String> = columns().into_iter().map(|c| c.name).collect();
    let of = |h: usize| {
        let mine =
            people.iter().zip(hospitals).filter(|(_, to)| **to % count == h).map(|(row, _)| row.clone());
        (format!("H{h}"), Rows { names: names.clone(), rows: mine.collect() })
    };
    let world = World::new("t", &columns(), (0..count).map(of));
    world.ask(sql)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn splitting_the_rows_over_hospitals_changes_nothing(
        people in prop::collection::vec((person(), 0usize..5), 0..60),
        condition in prop::sample::select(vec![
            "", " WHERE x > 0.25", " WHERE NOT (t BETWEEN 2 AND 5 OR g = 'u')", " WHERE x IS NULL OR e <> 1",
            " WHERE g NOT IN ('u', 'w') AND x < 2",
        ]),
        group in prop::sample::select(vec!["", " GROUP BY b", " GROUP BY g, e"]),
    ) {
        let (rows, to): (Vec<_>, Vec<_>) = people.into_iter().unzip();
        let sql = format!("{ALL}{condition}{group}");
        let pooled = dealt(&rows, &to, 1, &sql);
        let split = dealt(&rows, &to, 5, &sql);
        prop_assert_eq!(&split.rows, &pooled.rows);
        prop_assert_eq!((&split.quality, split.ungrouped), (&pooled.quality, pooled.ungrouped));
    }

    #[test]
    fn a_floor_never_shows_a_hospitals_small_cell(
        people in prop::collection::vec((person(), 0usize..3), 0..60), floor in 2u32..8,
    ) {
        let names: Vec<String> = columns().into_iter().map(|c| c.name).collect();
        let of = |h: usize| {
            let mine = people.iter().filter(|(_, to)| *to == h).map(|(row, _)| row.clone());
            (format!("H{h}"), Rows { names: names.clone(), rows: mine.collect() })
        };
        let world = World::new("t", &columns(), (0..3).map(of)).floor(floor);
        let plan = world.plan("SELECT CROSSTAB(g, e), HISTOGRAM(x, [-2, 0, 2]), AVG(e) FROM t GROUP BY b");
        for (hospital, rows) in &world.rows {
            let slots = evaluate(&plan, hospital, 1, rows);
            let mut start = 0;
            for block in &plan.blocks {
                let mine = &slots[start..start + block.slots as usize];
                start += block.slots as usize;
                let Content::Measure(measure) = &block.content else { continue };
                if measure.product.is_empty() {
                    prop_assert!(mine.iter().all(|n| *n == 0 || *n >= i128::from(floor)));
                }
            }
        }
        let contributions: Vec<_> = world.rows.iter().map(|(h, rows)| evaluate(&plan, h, 1, rows)).collect();
        prop_assert!(finish(&plan, &sum(&plan, &contributions), &plan.hospitals).is_ok());
    }

    #[test]
    fn arbitrary_sums_never_panic(
        slots in prop::collection::vec(prop_oneof![any::<i128>(), -3i128..200, Just(i128::MAX)], 400),
        small in prop::collection::vec(0i128..4, 400),
        believable in any::<bool>(),
    ) {
        let world = World::new("t", &columns(), [("A".into(), Rows {
            names: columns().into_iter().map(|c| c.name).collect(), rows: vec![],
        })]);
        let query = parse(ALL).expect("a query");
        let plan = plan(&query, &world.catalogue, &protocol(&["A"]), Participation::All).expect("a plan");
        let source = if believable { small } else { slots };
        let slots: Vec<i128> = source.into_iter().cycle().take(plan.slots()).collect();
        let _ = finish(&plan, &slots, &plan.hospitals);
    }
}
