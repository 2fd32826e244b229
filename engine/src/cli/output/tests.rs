//! Answers and reports against committed texts, and what must hold for any of them.

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
use crate::query::answer::*;
use crate::query::catalogue::{Catalogue, Column, ColumnKind, OutOfBounds, Publication, Table};

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

#[test]
fn plain_statistics_match_the_committed_table() {
    expect::matches("output", "answer-plain.txt", &answer(&plain_answer(), &PLAIN));
}

#[test]
fn plain_statistics_become_records_on_a_narrow_terminal() {
    expect::matches("output", "answer-plain-40.txt", &answer(&plain_answer(), &Style::plain(40)));
}

#[test]
fn survival_matches_the_committed_tables() {
    expect::matches("output", "answer-survival.txt", &answer(&survival_answer(), &PLAIN));
}

#[test]
fn richer_statistics_match_the_committed_sections() {
    expect::matches("output", "answer-statistics.txt", &answer(&statistics_answer(), &PLAIN));
    expect::matches("output", "answer-tests.txt", &answer(&tests_answer(), &PLAIN));
}

#[test]
fn margins_are_shown_only_when_nothing_is_suppressed() {
    let shown = |t: Crosstab| answer(&single("CROSSTAB(a, b)", Value::Crosstab(Box::new(t))), &PLAIN);
    let complete = shown(crosstab(false));
    assert!(complete.contains("total") && complete.contains("2,638"));
    let withheld = shown(crosstab(true));
    assert!(!withheld.contains("total") && !withheld.contains("1,307") && !withheld.contains("2,524"));
    assert_eq!(withheld.matches("suppressed").count(), 2);
}

#[test]
fn a_suppressed_cell_is_a_word_and_names_its_hospitals() {
    let text = answer(
        &of(&[], &["COUNT(*)"], vec![row(&[], vec![cell(Value::Suppressed, &["Charite", "St Mary"])])]),
        &PLAIN,
    );
    assert!(text.contains("suppressed [1]"), "{text}");
    assert!(text.contains("[1] withheld by Charite and St Mary"), "{text}");
    let table = text.split("[1]").next().unwrap();
    assert!(!table.bytes().any(|b| b.is_ascii_digit()), "{text}");
}

#[test]
fn an_answer_without_rows_says_so() {
    let empty = Answer { participants: Vec::new(), ..of(&["sex"], &["COUNT(*)"], Vec::new()) };
    assert_eq!(answer(&empty, &PLAIN), "no rows\n");
}

#[test]
fn ascii_style_holds_only_ascii() {
    let ascii = Style { unicode: false, ..PLAIN };
    for a in [plain_answer(), survival_answer(), statistics_answer(), tests_answer()] {
        let text = answer(&a, &ascii);
        assert!(text.is_ascii(), "{text}");
    }
}

#[test]
fn colour_changes_nothing_but_colour() {
    for a in [plain_answer(), survival_answer(), statistics_answer(), tests_answer()] {
        let coloured = answer(&a, &Style { colour: true, ..PLAIN });
        assert!(coloured.contains('\u{1b}'));
        let words = |t: &str| t.lines().map(|l| l.trim_end().to_owned()).collect::<Vec<_>>();
        assert_eq!(words(&without_colour(&coloured)), words(&answer(&a, &PLAIN)));
    }
}

fn without_colour(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let mut out = parts.next().unwrap_or("").to_owned();
    for part in parts {
        out.push_str(part.split_once('m').map_or("", |(_, rest)| rest));
    }
    out
}

#[test]
fn json_carries_every_digit_of_a_real_number() {
    let (terminal, capture) = Terminal::captured(Options { json: true, ..Options::default() });
    terminal.answer(&survival_answer()).unwrap();
    let text = capture.stdout();
    let answer: Answer = serde_json::from_str(&text).unwrap();
    assert_eq!(answer.headings, survival_answer().headings);
    for step in samples::arm(640, 18, 7).steps {
        // The shortest text that gives the same double back.
        assert!(text.contains(&format!("\"survival\": {:?},", step.survival)), "{}", step.survival);
    }
    assert_eq!(capture.stderr(), "");
}

fn sample_catalogue() -> Catalogue {
    let column = |name: &str, kind, unit: &str, description: &str| Column {
        name: name.to_owned(),
        kind,
        digits: u8::from(kind == ColumnKind::Real),
        unit: unit.to_owned(),
        min: 0,
        max: if kind == ColumnKind::Real { 6000 } else { 9000 },
        codes: if kind == ColumnKind::Category { names(&["<=20", "20-50", ">50"]) } else { Vec::new() },
        out_of_bounds: OutOfBounds::Reject,
        description: description.to_owned(),
    };
    let table = |rows_max, version: &str, columns| Table {
        name: "breast".to_owned(),
        description: "Primary breast cancer, from surgery to death or last contact".to_owned(),
        rows_max,
        rows_per_patient_max: 1,
        data_class: String::new(),
        data_use: names(&["DUO:0000007"]),
        dataset_version: version.to_owned(),
        columns,
    };
    let days = || column("days", ColumnKind::Integer, "d", "Days to death or last contact");
    let size = || column("size", ColumnKind::Category, "", "Tumour size");
    let bmi = || column("bmi", ColumnKind::Real, "kg/m2", "Body-mass index at surgery");
    let wide = Column { max: 7000, ..bmi() };
    let publication = |hospital: &str, floor, table| {
        (
            hospital.to_owned(),
            Publication { hospital: hospital.to_owned(), floor, rounding: false, tables: vec![table] },
        )
    };
    Catalogue {
        consortium: "Rhine breast cancer group".to_owned(),
        compute: Vec::new(),
        floor: 5,
        rounding: false,
        hospitals: BTreeMap::from([
            publication("Charite", 10, table(5000, "9f2c41d07a3b55e2", vec![days(), size(), bmi()])),
            publication("Erasmus MC", 5, table(2000, "03ab77c1", vec![days(), size()])),
            publication("St Mary", 5, table(1000, "77c1", vec![days(), wide])),
        ]),
    }
}

fn sample_job() -> JobDetail {
    let hospital = |name: &str, state: &str, detail: &str| HospitalLine {
        hospital: name.to_owned(),
        state: state.to_owned(),
        detail: detail.to_owned(),
    };
    JobDetail {
        job: JobLine {
            id: "j-01J9".to_owned(),
            state: "refused".to_owned(),
            submitted: "2026-11-22 02:14".to_owned(),
            took_ms: Some(1834),
            submitter: "r.meyer".to_owned(),
            query: "SELECT sex, COUNT(*), AVG(hba1c) FROM labs WHERE age BETWEEN 40 AND 65 GROUP BY sex"
                .to_owned(),
        },
        attempts: 2,
        participation: "at least 2 of 3".to_owned(),
        hospitals: vec![
            hospital("Charite", "encrypted", "1 ciphertext, 221.2 KiB"),
            hospital("Erasmus MC", "refused", "the policy does not allow AVG on hba1c"),
            hospital("St Mary", "waiting", ""),
        ],
        verdicts: sample_verdicts(),
        error: Some(
            UserError::new(ErrorKind::Compliance, "policy.statistic", "AVG is not allowed on `hba1c`")
                .with_hospital("Erasmus MC")
                .with_hint("COUNT is allowed")
                .with_trace_id("9f2c41d07a3b"),
        ),
        receipt: None,
    }
}

fn sample_verdicts() -> Vec<VerdictLine> {
    let line = |by: &str, rule: &str, verdict, detail: &str| VerdictLine {
        by: by.to_owned(),
        rule: rule.to_owned(),
        verdict,
        detail: detail.to_owned(),
    };
    vec![
        line("consortium", "floor", Verdict::Allowed, "cells under 5 are withheld"),
        line("Charite", "approval", Verdict::NeedsApproval, "queries on labs wait for the data office"),
        line("Erasmus MC", "policy.statistic", Verdict::Refused, "AVG is not allowed on hba1c"),
    ]
}

fn check(name: &str, status: CheckStatus, detail: &str, hint: Option<&str>) -> CheckLine {
    CheckLine { name: name.to_owned(), status, detail: detail.to_owned(), hint: hint.map(str::to_owned) }
}

fn sample_checks() -> CheckReport {
    CheckReport {
        subject: "receipt j-01J9.json".to_owned(),
        good: "verified".to_owned(),
        bad: "NOT verified".to_owned(),
        checks: vec![
            check("result commitment", CheckStatus::Passed, "matches the sealed result", None),
            check("inclusion", CheckStatus::Passed, "entry 17 of 42", None),
            check(
                "cosignatures",
                CheckStatus::Failed,
                "2 of 3 hospitals that took part cosigned; St Mary's signature does not match its enrolled key",
                Some("ask St Mary whether its key was replaced"),
            ),
            check("policy versions", CheckStatus::Skipped, "", None),
            check("clock", CheckStatus::Warning, "the checkpoint is 41 s in the future", None),
        ],
    }
}

#[test]
fn reports_match_the_committed_texts() {
    let catalogue = sample_catalogue();
    expect::matches("output", "catalogue.txt", &report::catalogue(&catalogue, &PLAIN));
    expect::matches("output", "catalogue-table.txt", &report::table(&catalogue, "breast", &PLAIN).unwrap());
    let done = JobLine { state: "done".to_owned(), took_ms: None, ..sample_job().job };
    expect::matches("output", "jobs.txt", &report::jobs(&[sample_job().job, done], &PLAIN));
    expect::matches("output", "job.txt", &report::job(&sample_job(), &PLAIN));
    expect::matches("output", "verdicts.txt", &report::verdicts(&sample_verdicts(), &PLAIN));
    expect::matches("output", "checks.txt", &report::checks(&sample_checks(), &PLAIN));
    expect::matches("output", "exit-codes.txt", &Exit::table());
}

#[test]
fn a_finished_job_shows_its_receipt() {
    let receipt = ReceiptLine {
        index: 17,
        size: 42,
        commitment: "ab".repeat(32),
        cosigned_by: names(&["Charite", "St Mary"]),
    };
    let job = JobDetail { receipt: Some(receipt), error: None, ..sample_job() };
    let text = report::job(&job, &PLAIN);
    assert!(text.contains("entry 17 of 42") && text.contains("Charite and St Mary"), "{text}");
    assert!(!text.contains("error:"), "{text}");
}

#[test]
fn a_table_nobody_publishes_is_not_found() {
    let (terminal, capture) = Terminal::captured(Options::default());
    let error = terminal.catalogue(&sample_catalogue(), Some("lungs")).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    assert!(error.to_string().contains("lungs"));
    assert_eq!(capture.stdout(), "");
}

#[test]
fn checks_are_good_only_when_something_was_checked_and_held() {
    let with = |checks| CheckReport { checks, ..sample_checks() };
    let one = |status| with(vec![check("x", status, "", None)]);
    assert_eq!(sample_checks().exit(Exit::VerificationFailed), Exit::VerificationFailed);
    assert!(one(CheckStatus::Passed).is_good() && one(CheckStatus::Warning).is_good());
    assert!(!one(CheckStatus::Failed).is_good() && !one(CheckStatus::Skipped).is_good());
    assert!(!with(Vec::new()).is_good());
    assert!(report::checks(&with(Vec::new()), &PLAIN).contains("nothing was checked"));
}

#[test]
fn a_hospitals_name_cannot_steer_the_terminal_from_any_report() {
    let evil = "\u{1b}[2J\u{202e}evil";
    let mut a = plain_answer();
    a.participants = vec![evil.to_owned()];
    a.headings[0] = evil.to_owned();
    a.rows[0].key[0] = evil.to_owned();
    a.rows[1].values[0].withheld_by = vec![evil.to_owned()];
    let mut job = sample_job();
    job.hospitals[0].detail = evil.to_owned();
    job.job.query = evil.to_owned();
    job.error = Some(UserError::new(ErrorKind::Internal, evil, evil).with_hint(evil).with_hospital(evil));
    let mut checks = sample_checks();
    checks.subject = evil.to_owned();
    checks.checks[0] = check(evil, CheckStatus::Failed, evil, Some(evil));
    let mut catalogue = sample_catalogue();
    catalogue.consortium = evil.to_owned();
    for text in [
        answer(&a, &PLAIN),
        report::job(&job, &PLAIN),
        report::checks(&checks, &PLAIN),
        report::catalogue(&catalogue, &PLAIN),
    ] {
        assert!(text.contains("evil"));
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
    }
}

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
