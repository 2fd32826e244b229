//! Parsing and the canonical text.

use proptest::prelude::*;
use sqlparser::keywords::ALL_KEYWORDS;

use crate::query::ast::{Comparison, Item, Literal, Predicate, Query, Statistic};
use crate::query::{DEPTH_MAX, QueryError, TEXT_BYTES_MAX, locate, parse};

fn query(sql: &str) -> Query {
    parse(sql).unwrap_or_else(|e| panic!("{sql}: {e}"))
}

fn refusal(sql: &str) -> QueryError {
    match parse(sql) {
        Ok(query) => panic!("{sql} was read as {query:?}"),
        Err(error) => error,
    }
}

#[test]
fn every_statistic_is_read() {
    let sql = "select sex, count(*), COUNT(x), sum(x) as total, avg(x), variance(x), var_samp(y), stddev(x), \
               STDDEV_SAMP(y), min(x), max(x), histogram(x, 0, 1, 4), histogram(x, [-1, 2.50, 3]), \
               histogram(x, ARRAY[7, 8]), crosstab(a, b), chi2(a, b), odds_ratio(a, b), ttest(x, g), corr(x, y), \
               ols(y, x, a), kaplan_meier(time, event), kaplan_meier(time, event, 30), log_rank(time, event, g), \
               log_rank(time, event, g, 7), median(x), quantile(y, 0.50), quantile(x, .25), quantile(x, 0.5, 10), \
               count(distinct x), topk(a, 3), fisher(a, b), linreg(y, x), logit(y, x, a), cox(time, event, x, a) \
               from t group by sex";
    let text = "SELECT sex, COUNT(*), COUNT(x), SUM(x) AS \"total\", AVG(x), VAR(x), VAR(y), STDDEV(x), STDDEV(y), \
                MIN(x), MAX(x), HISTOGRAM(x, [0, 0.25, 0.5, 0.75, 1]), HISTOGRAM(x, [-1, 2.5, 3]), \
                HISTOGRAM(x, [7, 8]), CROSSTAB(a, b), CHI2(a, b), ODDS_RATIO(a, b), TTEST(x, g), CORR(x, y), \
                OLS(y, x, a), KAPLAN_MEIER(time, event), KAPLAN_MEIER(time, event, 30), LOG_RANK(time, event, g), \
                LOG_RANK(time, event, g, 7), MEDIAN(x), MEDIAN(y), QUANTILE(x, 0.25), QUANTILE(x, 0.5, 10), \
                COUNT(DISTINCT x), TOPK(a, 3), FISHER(a, b), LINREG(y, x), LOGIT(y, x, a), COX(time, event, x, a) \
                FROM t GROUP BY sex";
    assert_eq!(query(sql).canonical(), text);
    assert_eq!(query(text), query(sql));
}

#[test]
fn conditions_are_read() {
    let sql = "SELECT COUNT(*) FROM t WHERE ((40 < age) and age <= 65.0 AND (not (sex = 'F')) AND bmi between 18.5 and \
               25 AND NOT dx IN ('a', 'it''s') AND x IS NOT NULL) OR (died = true OR y <> -0.50) OR z NOT IN (1, 2)";
    let text = "SELECT COUNT(*) FROM t WHERE (age > 40 AND age <= 65 AND NOT (sex = 'F') AND bmi BETWEEN 18.5 AND 25 \
                AND dx NOT IN ('a', 'it''s') AND x IS NOT NULL) OR died = TRUE OR y <> -0.5 OR z NOT IN (1, 2)";
    assert_eq!(query(sql).canonical(), text);
    assert_eq!(query(text), query(sql));
}

#[test]
fn what_ward_does_not_have_is_refused_with_a_place_and_a_hint() {
    for sql in [
        "SELECT * FROM t",
        "SELECT t.* FROM t",
        "SELECT age FROM t",
        "SELECT sex FROM t GROUP BY sex",
        "SELECT sex AS s, COUNT(*) FROM t GROUP BY sex",
        "SELECT DISTINCT COUNT(*) FROM t",
        "SELECT SUM(DISTINCT x) FROM t",
        "SELECT COUNT(DISTINCT x, y) FROM t",
        "SELECT COUNT(DISTINCT *) FROM t",
        "SELECT QUANTILE(x, 1.5) FROM t",
        "SELECT QUANTILE(x, 0.5, 0) FROM t",
        "SELECT COUNT(*) FROM t, u",
        "SELECT COUNT(*) FROM t JOIN u ON a = b",
        "SELECT COUNT(*) FROM (SELECT 1)",
        "SELECT COUNT(*) FROM s.t",
        "SELECT COUNT(*) FROM t AS u",
        "SELECT COUNT(*)",
        "SELECT COUNT(*) FROM t HAVING COUNT(*) > 3",
        "SELECT COUNT(*) FROM t ORDER BY a",
        "SELECT COUNT(*) FROM t LIMIT 3",
        "SELECT COUNT(*) FROM t UNION SELECT COUNT(*) FROM u",
        "WITH u AS (SELECT 1) SELECT COUNT(*) FROM u",
        "SELECT COUNT(*) FROM t GROUP BY ALL",
        "SELECT COUNT(*) FROM t GROUP BY a, a",
        "SELECT COUNT(*) FROM t GROUP BY a + 1",
        "SELECT COUNT(*), COUNT(*) FROM t",
        "SELECT COUNT(*) AS x, SUM(a) AS x FROM t",
        "SELECT COUNT(*) AS \" x\" FROM t",
        "SELECT COUNT(*) OVER () FROM t",
        "SELECT COUNT(*) FILTER (WHERE a = 1) FROM t",
        "SELECT SUM(a + b) FROM t",
        "SELECT SUM(t.a) FROM t",
        "SELECT 1 + COUNT(*) FROM t",
        "SELECT COUNT(*) FROM t WHERE a",
        "SELECT COUNT(*) FROM t WHERE a = b",
        "SELECT COUNT(*) FROM t WHERE a = NULL",
        "SELECT COUNT(*) FROM t WHERE a = 1e3",
        "SELECT COUNT(*) FROM t WHERE a LIKE 'x%'",
        "SELECT COUNT(*) FROM t WHERE a IN (SELECT b FROM u)",
        "SELECT COUNT(*) FROM t WHERE a + 1 = 2",
        "SELECT COUNT(*) FROM t WHERE EXISTS (SELECT 1)",
        "DELETE FROM t",
        "SELECT COUNT(*) FROM t; SELECT COUNT(*) FROM t",
    ] {
        let error = refusal(sql);
        assert!(error.hint().is_some(), "{sql}: {error}");
        assert!(error.place().is_some(), "{sql}: {error}");
    }
}

#[test]
fn refusals_point_at_the_place() {
    let error = refusal("SELECT COUNT(*),\n  KAPLAN_MEYER(a, b) FROM t");
    assert_eq!(error.code(), "query.function");
    assert_eq!(error.hint().as_deref(), Some("did you mean `KAPLAN_MEIER`?"));
    let place = error.place().expect("a place");
    assert_eq!((place.line, place.column), (2, 3));
    let error = refusal("SELECT COUNT(*) FROM t WHERE");
    assert_eq!(error.code(), "query.syntax");
    let error = refusal("SELECT AVG(a, b) FROM t");
    assert_eq!(error.to_string(), "AVG: it does not take 2 arguments at line 1, column 8");
    assert_eq!(error.hint().as_deref(), Some("it is written AVG(column)"));
    let place = locate("SELECT AVG(Agee) FROM t", "agee").expect("a place");
    assert_eq!((place.line, place.column, place.end_column), (1, 12, 16));
}

#[test]
fn wrong_arguments_are_refused() {
    for sql in [
        "SELECT COUNT() FROM t",
        "SELECT SUM(*) FROM t",
        "SELECT SUM(1) FROM t",
        "SELECT COUNT FROM t",
        "SELECT HISTOGRAM(x) FROM t",
        "SELECT HISTOGRAM(x, 0, 1) FROM t",
        "SELECT HISTOGRAM(x, 0, 1, 3) FROM t",
        "SELECT HISTOGRAM(x, 0, 1, 0) FROM t",
        "SELECT HISTOGRAM(x, 0, 1, 1.5) FROM t",
        "SELECT HISTOGRAM(x, [1]) FROM t",
        "SELECT HISTOGRAM(x, [2, 1]) FROM t",
        "SELECT HISTOGRAM(x, [1, 1]) FROM t",
        "SELECT HISTOGRAM(x, [1, 'a']) FROM t",
        "SELECT HISTOGRAM(x, 0, 1, 999999) FROM t",
        "SELECT KAPLAN_MEIER(a, b, 0) FROM t",
        "SELECT KAPLAN_MEIER(a, b, -1) FROM t",
        "SELECT LOG_RANK(a, b) FROM t",
        "SELECT OLS(a) FROM t",
        "SELECT CORR(a, b, c) FROM t",
    ] {
        assert!(parse(sql).is_err(), "{sql}");
    }
}

#[test]
fn limits_hold() {
    let long = format!("SELECT COUNT(*) FROM t WHERE a = '{}'", "x".repeat(TEXT_BYTES_MAX));
    assert_eq!(refusal(&long).code(), "query.limit");
    let deep = |n: usize| format!("SELECT COUNT(*) FROM t WHERE {}a = 1{}", "NOT (".repeat(n), ")".repeat(n));
    assert!(parse(&deep(DEPTH_MAX - 1)).is_ok());
    assert_eq!(refusal(&deep(DEPTH_MAX)).code(), "query.limit");
    assert_eq!(refusal(&deep(2000)).code(), "query.limit");
    let parentheses = format!("SELECT COUNT(*) FROM t WHERE {}a = 1{}", "(".repeat(3000), ")".repeat(3000));
    assert_eq!(refusal(&parentheses).code(), "query.limit");
    let wide = |n: usize| format!("SELECT COUNT(*) FROM t WHERE {}", vec!["a=1"; n].join(" OR "));
    assert!(parse(&wide(1024)).is_ok());
    assert_eq!(refusal(&wide(1025)).code(), "query.limit");
    let groups = "SELECT COUNT(*) FROM t GROUP BY a, b, c, d";
    assert_eq!(refusal(groups).code(), "query.limit");
}

#[test]
fn every_keyword_can_be_a_column() {
    let mut misread = Vec::new();
    for word in ALL_KEYWORDS.iter().map(|w| w.to_lowercase()).filter(|w| !w.contains('-')) {
        let written = Query {
            items: vec![
                Item::Group { column: word.clone() },
                Item::Aggregate { statistic: Statistic::Sum(word.clone()), label: format!("SUM({word})") },
                Item::Aggregate {
                    statistic: Statistic::Ols { y: "a".into(), xs: vec![word.clone()] },
                    label: "fit".into(),
                },
            ],
            table: word.clone(),
            filter: Some(Predicate::And(vec![
                Predicate::Compare {
                    column: word.clone(),
                    op: Comparison::Eq,
                    value: Literal::Text(word.clone()),
                },
                Predicate::Not(Box::new(Predicate::IsNull { column: word.clone() })),
                Predicate::Not(Box::new(Predicate::Compare {
                    column: word.clone(),
                    op: Comparison::Eq,
                    value: Literal::Number("1".into()),
                })),
                Predicate::In { column: word.clone(), values: vec![Literal::Boolean(true)] },
            ])),
            group_by: vec![word.clone()],
            privacy: None,
            is_rounded: false,
            is_proved: false,
        };
        let mut written = written;
        if let Item::Aggregate { statistic, label } = &mut written.items[1] {
            *label = statistic.canonical();
        }
        let text = written.canonical();
        if parse(&text).as_ref() != Ok(&written) {
            misread.push(word);
        }
    }
    assert!(misread.is_empty(), "{misread:?}");
}

fn column() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z_][a-z0-9_]{0,6}",
        Just("select".to_owned()),
        Just("time".to_owned()),
        Just("end".to_owned())
    ]
}

fn literal() -> impl Strategy<Value = Literal> {
    prop_oneof![
        any::<i64>().prop_map(|v| Literal::Number(v.to_string())),
        (-1000i32..1000, 1u32..10)
            .prop_map(|(a, b)| Literal::Number(format!("{a}.{b}")))
            .prop_filter("minus zero", |l| !matches!(l, Literal::Number(t) if t.starts_with("-0."))),
        "[^\\x00]{0,12}".prop_map(Literal::Text),
        any::<bool>().prop_map(Literal::Boolean),
    ]
}

fn predicate() -> impl Strategy<Value = Predicate> {
    use Comparison::{Eq, Ge, Gt, Le, Lt, Ne};
    let op = prop::sample::select(vec![Eq, Ne, Lt, Le, Gt, Ge]);
    let leaf = prop_oneof![
        (column(), op, literal()).prop_map(|(column, op, value)| Predicate::Compare { column, op, value }),
        (column(), literal(), literal()).prop_map(|(column, low, high)| Predicate::Between {
            column,
            low,
            high
        }),
        (column(), prop::collection::vec(literal(), 1..4))
            .prop_map(|(column, values)| Predicate::In { column, values }),
        column().prop_map(|column| Predicate::IsNull { column }),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| flat(parts, true)),
            prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| flat(parts, false)),
            inner.prop_map(|p| Predicate::Not(Box::new(p))),
        ]
    })
}

/// A chain as the parser makes it: no AND directly in an AND.
fn flat(parts: Vec<Predicate>, and: bool) -> Predicate {
    let parts = parts
        .into_iter()
        .flat_map(|part| match (part, and) {
            (Predicate::And(inner), true) | (Predicate::Or(inner), false) => inner,
            (other, _) => vec![other],
        })
        .collect();
    if and { Predicate::And(parts) } else { Predicate::Or(parts) }
}

fn statistic() -> impl Strategy<Value = Statistic> {
    prop_oneof![
        Just(Statistic::CountRows),
        column().prop_map(Statistic::Stddev),
        (column(), prop::collection::btree_set(-500i32..500, 2..6)).prop_map(|(column, edges)| {
            Statistic::Histogram { column, edges: edges.into_iter().map(|e| e.to_string()).collect() }
        }),
        (column(), prop::collection::vec(column(), 1..4)).prop_map(|(y, xs)| Statistic::Ols { y, xs }),
        (column(), column(), column(), 1u32..100).prop_map(|(time, event, group, step)| Statistic::LogRank {
            time,
            event,
            group,
            step
        }),
    ]
}

prop_compose! {
    fn any_query()(
        statistics in prop::collection::vec((statistic(), "[^\\p{C}\\p{Z}]{1,8}", any::<bool>()), 1..4),
        table in column(),
        filter in prop::option::of(predicate()),
        group_by in prop::collection::btree_set(column(), 0..4),
    ) -> Query {
        let mut items: Vec<Item> = group_by.iter().map(|g| Item::Group { column: g.clone() }).collect();
        for (i, (statistic, alias, plain)) in statistics.into_iter().enumerate() {
            let label = if plain { statistic.canonical() } else { format!("{alias}{i}") };
            let item = Item::Aggregate { statistic, label };
            if items.iter().all(|other| other.heading() != item.heading()) {
                items.push(item);
            }
        }
        Query { items, table, filter, group_by: group_by.into_iter().collect(), privacy: None, is_rounded: false, is_proved: false }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_canonical_text_says_the_same_query(query in any_query()) {
        let text = query.canonical();
        prop_assert_eq!(parse(&text), Ok(query), "{}", text);
    }

    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,200}") {
        let _ = parse(&text);
    }

    #[test]
    fn mutated_queries_never_panic_and_stay_stable(
        query in any_query(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), "[ -~]{0,3}", 0usize..4), 1..5),
    ) {
        let mut letters: Vec<char> = query.canonical().chars().collect();
        for (at, insert, remove) in cuts {
            let at = at.index(letters.len() + 1);
            let end = (at + remove).min(letters.len());
            letters.splice(at..end, insert.chars());
        }
        let text: String = letters.into_iter().collect();
        if let Ok(read) = parse(&text) {
            let canonical = read.canonical();
            prop_assert_eq!(parse(&canonical), Ok(read), "{} -> {}", text, canonical);
        }
    }
}
