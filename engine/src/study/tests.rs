//! Studies: one canonical form, signed words, and what falls under a study.

use proptest::prelude::*;

use super::*;
use crate::identity::{CertificateAuthority, Identity, Role};

const NOW_S: u64 = 1_800_000_000;

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A study of ada's over the table `labs`, of north and south.
pub fn study() -> Study {
    Study {
        version: STUDY_VERSION,
        consortium: "test".to_owned(),
        id: "sugar".to_owned(),
        title: "HbA1c by sex".to_owned(),
        drafter: "ada".to_owned(),
        members: set(&["ada", "bob"]),
        purposes: BTreeSet::from([Purpose::HEALTH_RESEARCH]),
        tables: set(&["labs"]),
        statistics: set(&["avg", "count"]),
        floor: 10,
        budget: Some(Budget { epsilon_milli: 1500, delta_pico: 1_000_000 }),
        ethics: "EK 2026/17".to_owned(),
        hospitals: set(&["north", "south"]),
        drafted_unix_ms: NOW_S * 1000,
        ends_unix_ms: (NOW_S + 86_400) * 1000,
    }
}

fn ask<'a>(researcher: &'a str, table: &'a str, statistics: &'a [&'a str]) -> Question<'a> {
    Question { researcher, table, statistics, purpose: Some(Purpose::HEALTH_RESEARCH), now_ms: NOW_S * 1000 }
}

#[test]
fn a_study_has_one_form_and_any_change_is_another_study() {
    let study = study();
    let json = canonical_json(&study);
    assert_eq!(Study::from_json(&json).unwrap(), study);
    let spaced = serde_json::to_vec_pretty(&study).unwrap();
    assert_eq!(Study::from_json(&spaced).unwrap_err().code, "study.canonical");
    let changes: [fn(&mut Study); 6] = [
        |s| s.floor = 5,
        |s| s.ends_unix_ms += 1,
        |s| s.budget = None,
        |s| s.statistics.clear(),
        |s| {
            s.members.insert("eve".to_owned());
        },
        |s| s.ethics.push('x'),
    ];
    for change in changes {
        let mut other = self::study();
        change(&mut other);
        assert_ne!(other.digest(), study.digest());
    }
}

#[test]
fn studies_that_make_no_sense_are_refused() {
    let changes: [fn(&mut Study); 11] = [
        |s| s.budget = Some(Budget { epsilon_milli: 0, delta_pico: 1 }),
        |s| s.budget = Some(Budget { epsilon_milli: 1, delta_pico: 0 }),
        |s| s.version = 2,
        |s| s.id = "Sugar".to_owned(),
        |s| s.members.clear(),
        |s| s.purposes.clear(),
        |s| s.hospitals.clear(),
        |s| s.title = "a\u{1b}[2J".to_owned(),
        |s| {
            s.statistics.insert("everything".to_owned());
        },
        |s| s.floor = 0,
        |s| s.ends_unix_ms = s.drafted_unix_ms,
    ];
    for change in changes {
        let mut study = study();
        change(&mut study);
        assert_eq!(study.check().unwrap_err().code, "study.malformed", "{study:?}");
    }
}

#[test]
fn what_falls_under_a_study_is_admitted_and_nothing_else() {
    let study = study();
    study.admits(&ask("ada", "labs", &["avg"])).unwrap();
    for (question, rule) in [
        (ask("eve", "labs", &["avg"]), "study.member"),
        (ask("ada", "deaths", &["avg"]), "study.table"),
        (ask("ada", "labs", &["avg", "cox"]), "study.statistic"),
        (Question { now_ms: study.ends_unix_ms, ..ask("ada", "labs", &["avg"]) }, "study.ended"),
        (Question { purpose: None, ..ask("ada", "labs", &[]) }, "study.purpose"),
        (Question { purpose: Some(Purpose::GENERAL_RESEARCH), ..ask("ada", "labs", &[]) }, "study.purpose"),
        (Question { purpose: Some(Purpose::CLINICAL_CARE), ..ask("ada", "labs", &[]) }, "study.purpose"),
    ] {
        assert_eq!(study.admits(&question).unwrap_err().code, rule);
    }
    assert_eq!(study.purpose_of(None), Some(Purpose::HEALTH_RESEARCH), "it has one alone");
    assert_eq!(study.purpose_of(Some(Purpose::CLINICAL_CARE)), Some(Purpose::CLINICAL_CARE), "as it is said");
    let any = Study { statistics: BTreeSet::new(), ..study };
    any.admits(&ask("ada", "labs", &["cox"])).unwrap();
}

#[test]
fn a_budget_in_rho_grows_with_epsilon_and_stays_within_it() {
    let rho = |epsilon_milli| Budget { epsilon_milli, delta_pico: 1_000_000 }.rho_nano();
    assert!(rho(500) < rho(1000) && rho(1000) < rho(2000));
    let back = dp::epsilon_of(rho(1000) as f64 / 1e9, 1e-6);
    assert!((0.999..=1.0).contains(&back), "{back}");
}

fn word(study: &Study, hospital: &str) -> Decision {
    Decision {
        study: study.id.clone(),
        digest: study.digest(),
        hospital: hospital.to_owned(),
        verdict: StudyVerdict::Approved,
        by: Vec::new(),
        reason: String::new(),
        at_unix_ms: NOW_S * 1000,
    }
}

#[test]
fn a_hospitals_word_holds_for_it_and_that_study_alone() {
    let authority = CertificateAuthority::create("test", NOW_S).unwrap();
    let key = Identity::generate().unwrap();
    let issue = |role, name: &str| authority.issue(&key.public(), role, name, NOW_S, 30).unwrap().der;
    let study = study();
    let verify = |signed: &SignedDecision, study: &Study| {
        signed.verify(study, authority.certificate(), NOW_S as i64).map_err(|problem| problem.code)
    };
    let signed = word(&study, "north").sign(&key, &issue(Role::Hospital, "north"));
    verify(&signed, &study).unwrap();
    let other = Study { floor: 5, ..study.clone() };
    assert!(verify(&signed, &other).is_err(), "other terms");
    let mut turned = signed.clone();
    turned.decision.verdict = StudyVerdict::Denied;
    assert!(verify(&turned, &study).is_err(), "a changed word");
    let foreign = word(&study, "north").sign(&key, &issue(Role::Hospital, "south"));
    assert!(verify(&foreign, &study).is_err(), "another hospital's certificate");
    let person = word(&study, "north").sign(&key, &issue(Role::Researcher, "north"));
    assert!(verify(&person, &study).is_err(), "no hospital's certificate");
    let stranger = word(&study, "east").sign(&key, &issue(Role::Hospital, "east"));
    assert!(verify(&stranger, &study).is_err(), "a hospital that is not asked");
}

proptest! {
    #[test]
    fn an_administrators_word_holds_as_said(
        seconds in 0u64..1 << 40,
        admin in "[a-z]{1,12}",
        flip in 0usize..5,
    ) {
        let key = Identity::generate().unwrap();
        let digest = study().digest();
        let said = CoSignature::sign((digest, "north"), StudyVerdict::Approved, &admin, (&key, seconds));
        prop_assert!(said.verify(&key.public()).is_ok());
        let mut other = said.clone();
        match flip {
            0 => other.hospital.push('x'),
            1 => other.verdict = StudyVerdict::Withdrawn,
            2 => other.admin.push('x'),
            3 => other.at_unix_ms += 1,
            _ => other.digest = Study { floor: 11, ..study() }.digest(),
        }
        prop_assert!(other.verify(&key.public()).is_err());
        prop_assert!(said.verify(&Identity::generate().unwrap().public()).is_err());
    }
}
