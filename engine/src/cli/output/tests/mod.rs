//! Answers and reports against committed texts, and what must hold for any of them.

mod answers;
mod properties;
mod reports;

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::answer::answer;
use super::expect;
use super::report::{
    self, CheckLine, CheckReport, CheckStatus, HospitalLine, JobDetail, JobLine, ReceiptLine, Verdict,
    VerdictLine,
};
use super::terminal::{Options, Style, Terminal};
use super::text;
use crate::cli::errors::{ErrorKind, UserError};
use crate::cli::exit::Exit;
use crate::cli::plot::samples;
use crate::encoding::Digest;
use crate::query::answer::*;
use crate::query::catalogue::{Catalogue, Column, ColumnKind, OutOfBounds, ProvedRows, Publication, Table};

const PLAIN: Style =
    Style { width: 100, colour: false, unicode: true, numbers: super::number::Numbers { grouped: true } };

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn cell(value: Value, withheld_by: &[&str]) -> Cell {
    Cell { value, withheld_by: names(withheld_by) }
}

fn row(key: &[&str], values: Vec<Cell>) -> Row {
    Row { key: names(key), values }
}

fn of(groups: &[&str], headings: &[&str], rows: Vec<Row>) -> Answer {
    Answer {
        query: "SELECT ...".to_owned(),
        group_columns: names(groups),
        headings: names(headings),
        rows,
        participants: names(&["Charite", "Erasmus MC", "St Mary"]),
        quality: Vec::new(),
        ungrouped: 0,
        pooled_floor: None,
        privacy: None,
        rounding: 0,
    }
}

fn single(heading: &str, value: Value) -> Answer {
    of(&[], &[heading], vec![row(&[], vec![cell(value, &[])])])
}

fn plain_answer() -> Answer {
    let count = |value| Value::Count { value };
    let exact = |value: &str| Value::Exact { value: value.to_owned(), digits: 1 };
    let real = |value| Value::Real { value };
    let all = ["Charite", "Erasmus MC", "St Mary"];
    let too_few = || Value::Undefined { reason: "fewer than 2 values".to_owned() };
    let mut answer = of(
        &["sex", "grade"],
        &["COUNT(*)", "SUM(hba1c)", "AVG(hba1c)", "STDDEV(hba1c)"],
        vec![
            row(
                &["f", "2"],
                vec![
                    cell(count(12_843), &[]),
                    cell(exact("876543"), &[]),
                    cell(real(6.824_908_5), &[]),
                    cell(real(1.2), &[]),
                ],
            ),
            row(
                &["f", "3"],
                vec![
                    cell(count(61), &["St Mary"]),
                    cell(exact("4123"), &["St Mary"]),
                    cell(real(6.759_016), &["St Mary"]),
                    cell(real(0.981_234), &["St Mary"]),
                ],
            ),
            row(&["m", "2"], (0..4).map(|_| cell(Value::Suppressed, &all)).collect()),
            row(
                &["m", "3"],
                vec![
                    cell(count(0), &[]),
                    cell(exact("0"), &[]),
                    cell(too_few(), &[]),
                    cell(too_few(), &["Erasmus MC"]),
                ],
            ),
        ],
    );
    answer.quality = vec![
        Quality {
            column: "hba1c".to_owned(),
            missing: 1204,
            out_of_bounds: 3,
            treatment: "rejected".to_owned(),
        },
        Quality { column: "age".to_owned(), missing: 0, out_of_bounds: 0, treatment: "clamped".to_owned() },
    ];
    answer.ungrouped = 17;
    answer
}

fn survival_answer() -> Answer {
    let km = |n, hazard, seed| Value::KaplanMeier(samples::arm(n, hazard, seed));
    of(
        &["arm"],
        &["COUNT(*)", "KAPLAN_MEIER(days, died)"],
        vec![
            row(&["control"], vec![cell(Value::Count { value: 640 }, &[]), cell(km(640, 18, 7), &[])]),
            row(&["drug"], vec![cell(Value::Count { value: 655 }, &[]), cell(km(655, 11, 11), &["St Mary"])]),
            row(
                &["open"],
                vec![cell(Value::Suppressed, &["St Mary"]), cell(Value::Suppressed, &["St Mary"])],
            ),
        ],
    )
}

fn chi2() -> Chi2Pair {
    let test = |chi2, p| Chi2 { chi2, df: 1, p };
    Chi2Pair { pearson: test(14.329_871, 0.000_153_4), yates: test(13.901_1, 0.000_192_7) }
}

fn odds() -> OddsRatio {
    OddsRatio {
        odds_ratio: 1.873_22,
        odds_ratio_ci95: [1.351, 2.597],
        log_se: 0.166_8,
        risk_ratio: 1.412_9,
        risk_ratio_ci95: [1.18, 1.692],
    }
}

fn crosstab(withheld: bool) -> Crosstab {
    Crosstab {
        rows: names(&["placebo", "drug"]),
        columns: names(&["no", "yes"]),
        table: vec![vec![Some(1234), Some(73)], vec![Some(1290), if withheld { None } else { Some(41) }]],
        expected: vec![vec![1250.5, 56.5], vec![1273.5, 57.5]],
        chi2: (!withheld).then(chi2),
        odds_ratio: (!withheld).then(odds),
    }
}

fn ols() -> Ols {
    let term = |name: &str, coef, se, t, p| Term { name: name.to_owned(), coef, se, t, p };
    Ols {
        n: 2982,
        terms: vec![
            term("const", 3.120_45, 0.412, 7.574, 4e-14),
            term("age", -0.004_312, 0.007_1, -0.607, 0.543_8),
            term("size=>50", 4.551_2, 0.281, 16.196, 0.0),
        ],
        r2: 0.123_456,
        adj_r2: 0.122_573,
        sigma2: 16.81,
        f: 139.84,
        f_p: 0.0,
    }
}

fn t_test() -> TTest {
    let statistic = |t, df, p| TStatistic { t, df, p };
    TTest {
        groups: ["0".to_owned(), "1".to_owned()],
        n: [2643, 339],
        mean: [54.099_7, 62.548_7],
        var: [168.9, 98.4],
        welch: statistic(-14.229_8, 487.912, 1e-38),
        student: statistic(-11.500_2, 2980.0, 5e-30),
    }
}

fn log_rank() -> LogRank {
    LogRank {
        groups: names(&["control", "drug"]),
        n: vec![640, 655],
        observed: vec![402, 311],
        expected: vec![344.125, 368.875],
        covariance: vec![vec![177.2, -177.2], vec![-177.2, 177.2]],
        test: Chi2 { chi2: 18.902_3, df: 1, p: 0.000_013_75 },
    }
}

fn statistics_answer() -> Answer {
    let mut answer = of(
        &[],
        &["CROSSTAB(arm, ae)", "CROSSTAB(arm, sae)", "TTEST(age, hormon)", "OLS(nodes, age, size)"],
        vec![row(
            &[],
            vec![
                cell(Value::Crosstab(Box::new(crosstab(false))), &[]),
                cell(Value::Crosstab(Box::new(crosstab(true))), &["Charite", "St Mary"]),
                cell(Value::TTest(t_test()), &[]),
                cell(Value::Ols(ols()), &[]),
            ],
        )],
    );
    answer.headings.push("LOG_RANK(days, died, arm)".to_owned());
    answer.headings.push("HISTOGRAM(bmi, 15, 46.5, 9)".to_owned());
    answer.rows[0].values.push(cell(Value::LogRank(log_rank()), &[]));
    answer.rows[0].values.push(cell(Value::Histogram(samples::bmi()), &[]));
    answer
}

fn tests_answer() -> Answer {
    let corr = Value::Corr(Corr { n: 1811, r: -0.312_456, p: 1e-42 });
    let values = |chi: Value, odds: Value, corr: Value| {
        vec![cell(chi, &[]), cell(odds, &["Charite"]), cell(corr, &[])]
    };
    let undefined = || Value::Undefined { reason: "a column has no cases".to_owned() };
    of(
        &["site"],
        &["CHI2(arm, ae)", "ODDS_RATIO(arm, ae)", "CORR(age, bmi)"],
        vec![
            row(&["A"], values(Value::Chi2(chi2()), Value::OddsRatio(odds()), corr)),
            row(&["B"], values(undefined(), undefined(), Value::Suppressed)),
        ],
    )
}

fn without_colour(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let mut out = parts.next().unwrap_or("").to_owned();
    for part in parts {
        out.push_str(part.split_once('m').map_or("", |(_, rest)| rest));
    }
    out
}
