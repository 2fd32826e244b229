//! The relation and its constraints against each other.

use super::*;
use crate::eligibility::Day;
use crate::field::Element;
use crate::merkle::Path;
use crate::r1cs::Builder;
use crate::statement::{ConstrainedStatement, Statement, constraints};
use crate::testing::assert_bound;
use proptest::prelude::*;

fn is_satisfied(public: &Public, witness: &Witness) -> bool {
    let (mut builder, inputs) = Builder::shape(&ConsentGiven::public_inputs(public));
    ConsentGiven::synthesize(&mut builder, &inputs, public, witness);
    let (matrices, variables) = builder.finish();
    matrices.first_unsatisfied(variables.expose()).is_none()
}

/// A snapshot of forty consents, of which `index` is the one shown.
fn pair(index: usize, status: Status, purpose: &str) -> (Public, Witness) {
    let days = (Day(100), Day(200));
    let consent = Consent::new(b"patient", (purpose, "labs"), days, status);
    let mut leaves: Vec<Element> = (0..40u64).map(Element::from).collect();
    leaves[index] = consent.leaf();
    let snapshot = Snapshot::new(leaves).unwrap();
    let request = Element::from(9u64);
    let public = Public {
        snapshot: snapshot.root(),
        purpose: "GRU".to_owned(),
        class: "labs".to_owned(),
        request,
        date: Day(150),
        subject: consent.subject(&request),
    };
    (public, Witness { consent, path: snapshot.path(index).unwrap() })
}

#[track_caller]
fn assert_refused(public: &Public, witness: &Witness, violation: Violation) {
    assert_eq!(ConsentGiven::check(public, witness), Err(violation));
    assert!(!is_satisfied(public, witness), "{violation}");
}

#[test]
fn an_active_consent_is_shown_and_no_variable_is_free() {
    for index in [0, 9, 39] {
        let (public, witness) = pair(index, Status::Active, "GRU");
        assert_eq!(ConsentGiven::check(&public, &witness), Ok(()));
        let (mut builder, inputs) = Builder::shape(&ConsentGiven::public_inputs(&public));
        ConsentGiven::synthesize(&mut builder, &inputs, &public, &witness);
        assert_bound(builder);
    }
}

#[test]
fn a_consent_that_is_not_active_is_refused() {
    for status in [Status::Requested, Status::Denied, Status::Revoked] {
        let (public, witness) = pair(3, status, "GRU");
        assert_refused(&public, &witness, Violation::NotActive);
    }
}

#[test]
fn another_purpose_or_class_is_refused() {
    let (mut public, witness) = pair(3, Status::Active, "DS");
    assert_refused(&public, &witness, Violation::Scope);
    public.purpose = "DS".to_owned();
    assert!(is_satisfied(&public, &witness));
    public.class = "imaging".to_owned();
    assert_refused(&public, &witness, Violation::Scope);
}

#[test]
fn the_day_before_and_the_day_after_are_refused() {
    let (mut public, witness) = pair(3, Status::Active, "GRU");
    public.date = Day(99);
    assert_refused(&public, &witness, Violation::NotYet);
    public.date = Day(201);
    assert_refused(&public, &witness, Violation::Expired);
}

#[test]
fn another_snapshot_another_place_and_a_short_path_are_refused() {
    let (mut public, mut witness) = pair(3, Status::Active, "GRU");
    let levels = witness.path.levels().to_vec();
    witness.path = Path::from_parts(4, levels.clone());
    assert_refused(&public, &witness, Violation::Snapshot);
    witness.path = Path::from_parts(3, levels[..6].to_vec());
    assert_refused(&public, &witness, Violation::Snapshot);
    witness.path = Path::from_parts(3, levels);
    public.snapshot += Element::from(1u64);
    assert_refused(&public, &witness, Violation::Snapshot);
}

#[test]
fn another_subject_or_request_is_refused() {
    let (mut public, witness) = pair(3, Status::Active, "GRU");
    public.request = Element::from(10u64);
    assert_refused(&public, &witness, Violation::Subject);
    assert_ne!(witness.consent.subject(&public.request), public.subject);
}

#[test]
fn the_constraints_of_each_part_are_pinned() {
    let (matrices, parts) = constraints::<ConsentGiven>();
    let table: Vec<(&str, usize)> = parts.iter().map(|part| (part.name, part.constraints)).collect();
    let expected = [("leaf", 405), ("snapshot", 2913), ("validity", 66), ("terms", 406), ("subject", 244)];
    assert_eq!(table, expected);
    assert_eq!(matrices.constraints, 4034);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn relation_and_constraints_agree(index in 0usize..40, date in 90u32..210, active: bool, scope: bool) {
        let status = if active { Status::Active } else { Status::Revoked };
        let (mut public, witness) = pair(index, status, if scope { "GRU" } else { "DS" });
        public.date = Day(date);
        prop_assert_eq!(is_satisfied(&public, &witness), ConsentGiven::check(&public, &witness).is_ok());
    }
}
