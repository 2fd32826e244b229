//! Decisions, the index against a plain reference, FHIR, and the tree.

mod fhir;
mod tree;

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::encoding::Digest;
use crate::identity::Identity;

pub(super) const NOW_MS: u64 = 1_795_305_600_000;

pub(super) fn purpose(text: &str) -> Purpose {
    Purpose::parse(text).unwrap()
}

/// A scope: grantees, classes, purposes, each a list with spaces.
pub(super) fn scope(grantees: &str, classes: &str, purposes: &str) -> Scope {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
    Scope {
        grantees: words(grantees),
        classes: words(classes),
        purposes: purposes.split_whitespace().map(purpose).collect(),
    }
}

pub(super) fn rule(scope: Scope, except: Vec<Rule>) -> Rule {
    Rule { scope, validity: Validity::default(), except }
}

pub(super) fn question(grantee: &str, purpose_: &str, classes: &str) -> Question {
    Question {
        grantees: vec![grantee.to_owned()],
        purpose: purpose(purpose_),
        classes: classes.split_whitespace().map(str::to_owned).collect(),
    }
}

pub(super) fn patient(number: u8) -> Pseudonym {
    Pseudonym(Digest::of(&[number]).0)
}

pub(super) fn artefact(number: u8, rule: Rule, validity: Validity, status: Status) -> Artefact {
    let provenance =
        Provenance { source: "test".into(), digest: Digest::of(b""), by: "h1".into(), stated_ms: NOW_MS };
    Artefact::new(patient(number), (rule, validity), status, provenance).unwrap()
}

pub(super) fn index(statements: &[(u8, Rule, Validity, Status)]) -> Arc<Index> {
    let mut index = Index::default();
    for (i, (who, rule, validity, status)) in statements.iter().enumerate() {
        let number = i as u64 + 1;
        index.apply((number, number), patient(*who), (rule, *validity), *status);
    }
    Arc::new(index)
}

fn decide(statements: &[(Rule, Validity, Status)], asked: &Question, regime: Regime) -> Decision {
    let statements: Vec<_> = statements.iter().cloned().map(|(r, v, s)| (1, r, v, s)).collect();
    index(&statements).decide(regime, &patient(1), (asked, NOW_MS))
}

fn always(rule: Rule, status: Status) -> (Rule, Validity, Status) {
    (rule, Validity::default(), status)
}

#[test]
fn a_grant_permits_what_it_covers_and_nothing_broader() {
    let granted = [always(rule(scope("", "labs", "HMB"), vec![]), Status::Granted)];
    for (grantee, what, classes, permitted) in [
        ("ada", "HMB", "labs", true),
        ("ada", "DS/MONDO:0004992", "labs", true),
        ("ada", "GRU", "labs", false),
        ("ada", "POA", "labs", false),
        ("ada", "HMB", "imaging", false),
        ("ada", "HMB", "labs imaging", false),
    ] {
        let found = decide(&granted, &question(grantee, what, classes), Regime::OptIn);
        assert_eq!(found.permitted, permitted, "{what} {classes}: {found:?}");
        assert_eq!(found.reason, if permitted { Reason::Granted } else { Reason::OtherScope });
    }
    let for_ada = [always(rule(scope("ada", "", "GRU"), vec![]), Status::Granted)];
    assert!(decide(&for_ada, &question("ada", "GRU", "labs"), Regime::OptIn).permitted);
    assert!(!decide(&for_ada, &question("eve", "GRU", "labs"), Regime::OptIn).permitted);
}

#[test]
fn two_grants_permit_a_question_of_two_classes() {
    let granted = ["labs", "imaging"].map(|c| always(rule(scope("", c, "GRU"), vec![]), Status::Granted));
    assert!(decide(&granted, &question("ada", "GRU", "labs imaging"), Regime::OptIn).permitted);
}

#[test]
fn a_denial_refuses_whatever_it_touches_and_wins_over_every_grant() {
    let all = always(rule(scope("", "", "NRES"), vec![]), Status::Granted);
    let denied = always(rule(scope("", "labs", "HMB"), vec![]), Status::Denied);
    for (what, classes, permitted) in [
        ("HMB", "labs", false),
        ("GRU", "labs", false),
        ("DS", "labs", false),
        ("POA", "labs", true),
        ("GRU", "imaging", true),
    ] {
        for order in [[all.clone(), denied.clone()], [denied.clone(), all.clone()]] {
            let found = decide(&order, &question("ada", what, classes), Regime::OptOut);
            assert_eq!(found.permitted, permitted, "{what} {classes}: {found:?}");
        }
    }
}

#[test]
fn exceptions_hold_against_the_rule_they_are_in() {
    let except = rule(scope("", "genomics", ""), vec![rule(scope("ada", "", "DS/MONDO:0004992"), vec![])]);
    let granted = [always(rule(scope("", "", "GRU"), vec![except]), Status::Granted)];
    let ask = |who: &str, what: &str, class: &str| {
        decide(&granted, &question(who, what, class), Regime::OptIn).permitted
    };
    assert!(ask("eve", "GRU", "labs"));
    assert!(!ask("eve", "GRU", "genomics"));
    assert!(ask("ada", "DS/MONDO:0004992", "genomics"), "the exception to the exception");
    assert!(!ask("ada", "HMB", "genomics"));
}

#[test]
fn a_denial_but_for_something_is_what_holds_where_nothing_else_is_said() {
    let no_but = always(rule(Scope::default(), vec![rule(scope("", "labs", "HMB"), vec![])]), Status::Denied);
    let other = always(rule(scope("", "imaging", "GRU"), vec![]), Status::Granted);
    for regime in [Regime::OptIn, Regime::OptOut] {
        let both = [no_but.clone(), other.clone()];
        assert!(decide(&both, &question("ada", "HMB", "labs"), regime).permitted);
        assert!(decide(&both, &question("ada", "GRU", "imaging"), regime).permitted);
        let found = decide(&both, &question("ada", "GRU", "labs"), regime);
        assert_eq!(found, Decision { permitted: false, reason: Reason::Denied });
    }
}

#[test]
fn the_regime_decides_what_silence_means_and_a_revocation_is_an_objection() {
    let asked = question("ada", "GRU", "labs");
    let revoked = [always(rule(scope("", "", "GRU"), vec![]), Status::Revoked)];
    let requested = [always(rule(scope("", "", "GRU"), vec![]), Status::Requested)];
    let over = Validity { from_ms: None, until_ms: Some(NOW_MS) };
    let expired = [(rule(scope("", "", "GRU"), vec![]), over, Status::Granted)];
    for (said, reason, opt_out) in [
        (&[][..], Reason::Absent, true),
        (&revoked, Reason::Revoked, false),
        (&requested, Reason::Requested, true),
        (&expired, Reason::NotInForce, true),
    ] {
        assert_eq!(decide(said, &asked, Regime::OptIn), Decision { permitted: false, reason });
        assert_eq!(decide(said, &asked, Regime::OptOut).permitted, opt_out, "{reason:?}");
        assert!(decide(said, &asked, Regime::None).permitted);
    }
    // Who took one consent back and gave another has consented.
    let again = [revoked[0].clone(), always(rule(scope("", "", "GRU"), vec![]), Status::Granted)];
    assert!(decide(&again, &asked, Regime::OptOut).permitted);
}

#[test]
fn a_validity_begins_and_ends() {
    let during = Validity { from_ms: Some(NOW_MS), until_ms: Some(NOW_MS + 1) };
    let index = index(&[(1, rule(scope("", "", "GRU"), vec![]), during, Status::Granted)]);
    for (at, permitted) in [(NOW_MS - 1, false), (NOW_MS, true), (NOW_MS + 1, false)] {
        let found = index.decide(Regime::OptIn, &patient(1), (&question("ada", "GRU", "labs"), at));
        assert_eq!(found.permitted, permitted, "{at}");
    }
}

#[test]
fn statuses_follow_each_other_as_they_may() {
    use Status::*;
    let allowed = [
        (Requested, Granted),
        (Requested, Denied),
        (Requested, Revoked),
        (Requested, Expired),
        (Granted, Revoked),
        (Granted, Expired),
        (Denied, Revoked),
        (Denied, Expired),
    ];
    for from in Status::ALL {
        for to in Status::ALL {
            let made = artefact(1, rule(scope("", "", "GRU"), vec![]), Validity::default(), from)
                .become_status(to, 0);
            assert_eq!(made.is_ok(), allowed.contains(&(from, to)), "{from:?} {to:?}");
            if let Ok(made) = made {
                assert_eq!((made.version, made.status), (2, to));
            }
        }
    }
}

#[test]
fn artefacts_that_make_no_sense_are_refused() {
    let provenance =
        || Provenance { source: "test".into(), digest: Digest::of(b""), by: "h1".into(), stated_ms: 0 };
    let refused = |rule: Rule, validity, status| {
        let made = Artefact::new(patient(1), (rule, validity), status, provenance());
        assert!(matches!(made, Err(ConsentError::Scope { .. })), "{made:?}");
    };
    let always = Validity::default();
    refused(rule(scope("", "labs", ""), vec![]), always, Status::Granted);
    let backwards = Validity { from_ms: Some(5), until_ms: Some(5) };
    refused(rule(scope("", "", "GRU"), vec![]), backwards, Status::Granted);
    let padded = Scope { classes: [" labs".to_owned()].into(), ..scope("", "", "GRU") };
    refused(rule(padded, vec![]), always, Status::Granted);
    let deep = (0..8).fold(rule(Scope::default(), vec![]), |inner, _| rule(Scope::default(), vec![inner]));
    refused(deep, always, Status::Denied);
}

#[test]
fn a_signature_is_over_everything() {
    let identity = Identity::generate().unwrap();
    let made = artefact(1, rule(scope("", "labs", "GRU"), vec![]), Validity::default(), Status::Granted);
    let signature = made.sign(&identity);
    assert!(made.is_signed(&identity.public(), &signature));
    let revoked = made.become_status(Status::Revoked, NOW_MS).unwrap();
    assert!(!revoked.is_signed(&identity.public(), &signature));
    let other = Artefact { provenance: Provenance { by: "h2".into(), ..made.provenance.clone() }, ..made };
    assert!(!other.is_signed(&identity.public(), &signature));
}

pub(super) fn any_scope() -> impl Strategy<Value = Scope> {
    let set = |all: &'static [&'static str]| {
        proptest::sample::subsequence(all.to_vec(), 0..=2)
            .prop_map(|names| names.into_iter().map(str::to_owned).collect::<BTreeSet<String>>())
    };
    let purposes = ["NRES", "GRU", "HMB", "DS", "DS/MONDO:0004992", "POA", "CC"];
    let purposes = proptest::sample::subsequence(purposes.to_vec(), 0..=2)
        .prop_map(|names| names.into_iter().map(purpose).collect::<BTreeSet<Purpose>>());
    (set(&["ada", "eve", "study"]), set(&["labs", "imaging", "genomics"]), purposes)
        .prop_map(|(grantees, classes, purposes)| Scope { grantees, classes, purposes })
}

pub(super) fn any_validity() -> impl Strategy<Value = Validity> {
    let moment = || proptest::option::weighted(0.3, 1u64..2 * NOW_MS);
    (moment(), moment()).prop_map(|(a, b)| match (a, b) {
        (Some(a), Some(b)) => Validity { from_ms: Some(a.min(b)), until_ms: Some(a.max(b) + 1) },
        (from_ms, until_ms) => Validity { from_ms, until_ms },
    })
}

pub(super) fn any_rule() -> impl Strategy<Value = Rule> {
    let leaf =
        (any_scope(), any_validity()).prop_map(|(scope, validity)| Rule { scope, validity, except: vec![] });
    let nested = leaf.prop_recursive(2, 8, 2, |inner| {
        (any_scope(), any_validity(), proptest::collection::vec(inner, 0..3))
            .prop_map(|(scope, validity, except)| Rule { scope, validity, except })
    });
    nested.prop_map(|rule| Rule { validity: Validity::default(), ..rule })
}

pub(super) fn any_status() -> impl Strategy<Value = Status> {
    proptest::sample::select(vec![
        Status::Granted,
        Status::Granted,
        Status::Denied,
        Status::Requested,
        Status::Revoked,
    ])
}

pub(super) fn any_question() -> impl Strategy<Value = Question> {
    let purposes = ["NRES", "GRU", "HMB", "DS", "DS/MONDO:0004992", "POA", "CC"].map(purpose).to_vec();
    let classes = proptest::sample::subsequence(vec!["labs", "imaging", "genomics"], 1..=2);
    (proptest::sample::select(vec!["ada", "eve"]), proptest::sample::select(purposes), classes).prop_map(
        |(grantee, purpose, classes)| Question {
            grantees: vec![grantee.to_owned(), "test".to_owned()],
            purpose,
            classes: classes.into_iter().map(str::to_owned).collect(),
        },
    )
}

fn any_statements() -> impl Strategy<Value = Vec<(Rule, Validity, Status)>> {
    proptest::collection::vec((any_rule(), any_validity(), any_status()), 0..4)
}

proptest! {
    /// Whatever else was said, before or after.
    #[test]
    fn a_denial_in_force_always_wins(
        mut said in any_statements(), denied in any_scope(), asked in any_question(), at in 0usize..4,
    ) {
        let touches = asked.classes.iter().any(|class| denied.overlaps(&asked, class));
        said.insert(at.min(said.len()), always(rule(denied, vec![]), Status::Denied));
        for regime in [Regime::OptIn, Regime::OptOut] {
            let found = decide(&said, &asked, regime);
            prop_assert!(!(touches && found.permitted), "{:?}", found);
        }
    }

    /// Revoking a grant without exceptions never permits more, and under opt-in nothing is permitted that nobody granted.
    #[test]
    fn taking_a_consent_back_never_permits_more(said in any_statements(), asked in any_question(), at in 0usize..4) {
        for regime in [Regime::OptIn, Regime::OptOut] {
            let before = decide(&said, &asked, regime).permitted;
            let mut after = said.clone();
            if let Some(one) = after.get_mut(at).filter(|one| one.2 == Status::Granted && one.0.except.is_empty()) {
                one.2 = Status::Revoked;
                prop_assert!(before || !decide(&after, &asked, regime).permitted);
            }
        }
        let granted = said.iter().any(|one| matches!(one.2, Status::Granted | Status::Denied));
        prop_assert!(granted || !decide(&said, &asked, Regime::OptIn).permitted);
    }

    /// The lens weighs a rule once for all patients; each alone gives the same.
    #[test]
    fn a_patient_is_decided_as_if_alone(
        said in proptest::collection::vec((0u8..4, any_rule(), any_validity(), any_status()), 0..12),
        asked in any_question(),
    ) {
        let lens = index(&said).lens(Regime::OptIn, &asked, NOW_MS);
        for who in 0..5 {
            let own: Vec<_> = said.iter().filter(|one| one.0 == who).map(|(_, r, v, s)| (r.clone(), *v, *s)).collect();
            prop_assert_eq!(lens.decide(&patient(who)), decide(&own, &asked, Regime::OptIn));
        }
    }

    /// Verdicts are looked up by rule, status and force; weighing every rule for every patient says the same. Where a
    /// patient was in another index, or whose place it was, changes nothing.
    #[test]
    fn a_verdict_that_is_looked_up_is_the_one_that_is_weighed(
        said in proptest::collection::vec((0u8..4, any_rule(), any_validity(), any_status()), 0..12),
        other in proptest::collection::vec((0u8..5, any_rule(), any_validity(), any_status()), 0..12),
        asked in any_question(), regime in proptest::sample::select(vec![Regime::None, Regime::OptIn, Regime::OptOut]),
    ) {
        let lens = index(&said).lens(regime, &asked, NOW_MS);
        let other = index(&other).lens(regime, &asked, NOW_MS);
        for who in 0..5 {
            let own: Vec<_> = said.iter().filter(|one| one.0 == who).map(|(_, r, v, s)| (r.clone(), *v, *s)).collect();
            for place_of in 0..5 {
                let mut place = Place::NONE;
                let _ = other.decide_at(&patient(place_of), &mut place);
                for _ in 0..2 {
                    prop_assert_eq!(lens.decide_at(&patient(who), &mut place), weighed(&own, &asked, regime));
                }
            }
        }
    }
}

/// The decision with every rule weighed for this patient alone.
fn weighed(said: &[(Rule, Validity, Status)], asked: &Question, regime: Regime) -> Decision {
    let mut last = decision::decide(regime, std::iter::empty());
    for class in &asked.classes {
        let statements = said.iter().map(|(rule, validity, status)| decision::Weighed {
            status: *status,
            in_force: validity.holds(NOW_MS),
            said: decision::weigh(rule, *status != Status::Denied, (asked, class), NOW_MS),
            is_default: rule.is_default(),
        });
        last = decision::decide(regime, statements);
        if !last.permitted {
            break;
        }
    }
    last
}
