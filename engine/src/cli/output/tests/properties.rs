//! What must hold for any answer.

use super::*;

fn any_value() -> impl Strategy<Value = Value> {
    let counts = || proptest::option::of(any::<u64>());
    let table = proptest::collection::vec(proptest::collection::vec(counts(), 0..4), 0..4);
    let codes = || proptest::collection::vec("\\PC{0,8}", 0..4);
    let crosstab = (codes(), codes(), table).prop_map(|(rows, columns, table)| {
        let (chi2, odds_ratio, expected) = (None, None, Vec::new());
        Value::Crosstab(Box::new(Crosstab { rows, columns, table, expected, chi2, odds_ratio }))
    });
    let log_rank =
        (codes(), proptest::collection::vec(any::<u64>(), 0..3), any::<f64>()).prop_map(|(groups, n, x)| {
            let test = Chi2 { chi2: x, df: 1, p: x };
            let (observed, expected, covariance) = (n.clone(), vec![x], Vec::new());
            Value::LogRank(LogRank { groups, n, observed, expected, covariance, test })
        });
    prop_oneof![
        Just(Value::Suppressed),
        "\\PC{0,30}".prop_map(|reason| Value::Undefined { reason }),
        any::<u64>().prop_map(|value| Value::Count { value }),
        ("\\PC{0,12}", any::<u8>()).prop_map(|(value, digits)| Value::Exact { value, digits }),
        any::<f64>().prop_map(|value| Value::Real { value }),
        (any::<u64>(), any::<f64>(), any::<f64>()).prop_map(|(n, r, p)| Value::Corr(Corr { n, r, p })),
        samples::any_histogram().prop_map(Value::Histogram),
        samples::any_kaplan_meier().prop_map(Value::KaplanMeier),
        Just(Value::TTest(t_test())),
        Just(Value::Ols(ols())),
        Just(Value::Chi2(chi2())),
        Just(Value::OddsRatio(odds())),
        crosstab,
        log_rank,
    ]
}

fn any_answer() -> impl Strategy<Value = Answer> {
    let names = |most| proptest::collection::vec("\\PC{0,12}", 0..most);
    let cell = (any_value(), names(3)).prop_map(|(value, withheld_by)| Cell { value, withheld_by });
    let row = (names(3), proptest::collection::vec(cell, 0..4)).prop_map(|(key, values)| Row { key, values });
    (names(3), names(4), proptest::collection::vec(row, 0..4), names(4), any::<u64>()).prop_map(
        |(group_columns, headings, rows, participants, ungrouped)| Answer {
            query: String::new(),
            group_columns,
            headings,
            rows,
            participants,
            quality: Vec::new(),
            ungrouped,
            pooled_floor: None,
            privacy: None,
            rounding: 0,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_answer_renders_at_any_width(
        a in any_answer(),
        width in 40usize..200,
        colour: bool,
        unicode: bool,
    ) {
        let style = Style { colour, unicode, ..Style::plain(width) };
        let rendered = answer(&a, &style);
        prop_assert!(rendered.ends_with('\n') || rendered.is_empty());
        let plain = without_colour(&rendered);
        prop_assert!(!plain.chars().any(|c| c != '\n' && text::is_dangerous(c)), "{:?}", plain);
    }

    #[test]
    fn a_suppressed_count_is_never_shown_as_a_number(others in proptest::collection::vec(10u64..1000, 0..5)) {
        let mut rows: Vec<Row> = others
            .iter()
            .map(|n| row(&["x"], vec![cell(Value::Count { value: *n }, &[])]))
            .collect();
        rows.push(row(&["y"], vec![cell(Value::Suppressed, &["Charite"])]));
        let text = answer(&of(&["g"], &["COUNT(*)"], rows), &PLAIN);
        let line = text.lines().find(|l| l.starts_with('y')).unwrap();
        prop_assert_eq!(line.split_whitespace().collect::<Vec<_>>(), ["y", "suppressed", "[1]"]);
    }
}
