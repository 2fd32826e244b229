//! Reports against the committed texts, and what a name cannot do to a terminal.

use super::*;

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
        proofs: Vec::new(),
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
    let mut proved = catalogue;
    for name in ["Charite", "Erasmus MC"] {
        let rows = |columns: &[&str], value: Option<&str>| ProvedRows {
            statement: "ward/aggregate/1/4096".to_owned(),
            key: Digest::of(b"key"),
            columns: names(columns),
            value: value.map(str::to_owned),
            root: Digest::of(name.as_bytes()),
        };
        let table = &mut proved.hospitals.get_mut(name).unwrap().tables[0];
        table.proofs = vec![rows(&["size", "days"], Some("days")), rows(&["size"], None)];
    }
    proved.hospitals.get_mut("Charite").unwrap().tables[0].proofs.pop();
    expect::matches("output", "catalogue-proofs.txt", &report::table(&proved, "breast", &PLAIN).unwrap());
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
