//! The relation and its constraints against each other: on pairs inside, and on pairs outside for each reason.

use std::sync::LazyLock;

use proptest::prelude::*;
use rand_core::CryptoRng;

use super::example::pair_of;
use super::*;
use crate::field::Element;
use crate::merkle::Path;
use crate::r1cs::{Builder, Matrices, Part};
use crate::schnorr::SigningKey;
use crate::statement::{ConstrainedStatement, Statement, constraints, verify_opened};
use crate::testing::{free_variables, rng};

/// The variables of a pair, whatever it is, in the constraints of the statement.
fn recorded(public: &Public, witness: &Witness) -> (Matrices, Vec<Element>) {
    let (mut builder, inputs) = Builder::shape(&Eligibility::public_inputs(public));
    Eligibility::synthesize(&mut builder, &inputs, public, witness);
    let (matrices, variables) = builder.finish();
    (matrices, variables.expose().clone())
}

/// The constraints, recorded once: a test asserts that they are the same for every pair.
static CONSTRAINTS: LazyLock<(Matrices, Vec<Part>)> = LazyLock::new(constraints::<Eligibility>);

fn is_satisfied_with(inputs: &[Element], public: &Public, witness: &Witness) -> bool {
    let (mut builder, nums) = Builder::assignment(inputs, CONSTRAINTS.0.variables());
    Eligibility::synthesize(&mut builder, &nums, public, witness);
    let variables = builder.into_variables();
    assert_eq!(variables.expose().len(), CONSTRAINTS.0.variables());
    CONSTRAINTS.0.first_unsatisfied(variables.expose()).is_none()
}

fn is_satisfied(public: &Public, witness: &Witness) -> bool {
    is_satisfied_with(&Eligibility::public_inputs(public), public, witness)
}

#[track_caller]
fn assert_refused(public: &Public, witness: &Witness, violation: Violation) {
    assert_eq!(Eligibility::check(public, witness), Err(violation));
    assert!(!is_satisfied(public, witness), "the constraints accept what the relation refuses: {violation}");
}

fn slot(index: usize) -> SlotIndex {
    SlotIndex::new(index).unwrap()
}

fn run(first: usize, len: usize) -> Run {
    Run::new(slot(first), len).unwrap()
}

fn interval(low: u64, high: u64) -> Interval {
    Interval::new(low, high).unwrap()
}

fn clause(run: Run, test: Test) -> Clause {
    Clause::new(run, test).unwrap()
}

fn criteria(groups: Vec<Vec<Clause>>) -> Criteria {
    Criteria::new(groups).unwrap()
}

fn set(intervals: &[(u64, u64)]) -> CodeSet {
    CodeSet::new(intervals.iter().map(|&(low, high)| interval(low, high)).collect()).unwrap()
}

/// Age 54, a laboratory value of 72, diagnoses 100 and 210 (complete), medication 7 (not known to be complete).
fn patient() -> Attributes {
    let mut attributes = Attributes::new();
    attributes.set(slot(0), 54);
    attributes.set(slot(1), 72);
    attributes.set_list(run(4, 8), &[210, 100], true).unwrap();
    attributes.set_list(run(12, 4), &[7], false).unwrap();
    attributes
}

fn dx() -> Run {
    run(4, 8)
}

fn everything() -> Criteria {
    criteria(vec![
        vec![clause(Run::one(slot(0)), Test::Within(interval(18, 75)))],
        vec![
            clause(Run::one(slot(1)), Test::Within(Interval::at_least(80))),
            clause(Run::one(slot(1)), Test::Outside(interval(73, 90))),
        ],
        vec![clause(dx(), Test::Within(interval(200, 299)))],
        vec![clause(dx(), Test::NoneWithin(interval(101, 209)))],
        vec![clause(dx(), Test::NoneWithin(interval(211, u64::MAX)))],
        vec![clause(dx(), Test::NoneWithin(interval(0, 99)))],
        vec![clause(dx(), Test::InSet(set(&[(1, 5), (99, 100), (400, 500)])))],
        vec![clause(Run::one(slot(0)), Test::NotInSet(set(&[(0, 53), (55, 60)])))],
        vec![
            clause(run(12, 4), Test::NoneWithin(interval(8, 9))),
            clause(run(12, 4), Test::Within(Interval::point(7))),
        ],
    ])
}

fn eligible() -> (Public, Witness) {
    pair_of(patient(), everything(), &mut rng(11))
}

fn of(attributes: Attributes, test: Vec<Vec<Clause>>) -> (Public, Witness) {
    pair_of(attributes, criteria(test), &mut rng(12))
}

#[test]
fn an_eligible_patient_satisfies_the_relation_and_the_constraints() {
    let (public, witness) = eligible();
    assert_eq!(Eligibility::check(&public, &witness), Ok(()));
    assert!(is_satisfied(&public, &witness));
    assert!(verify_opened::<Eligibility>(public, &witness).is_ok());
}

#[test]
fn the_constraints_are_those_of_the_example_whatever_the_pair() {
    let (public, witness) = eligible();
    assert_eq!(recorded(&public, &witness).0.digest(), CONSTRAINTS.0.digest());
}

/// The figures of docs/internals/circuits.md.
#[test]
fn the_constraints_of_each_part_are_pinned() {
    let (matrices, parts) = &*CONSTRAINTS;
    let table: Vec<(&str, usize)> = parts.iter().map(|part| (part.name, part.constraints)).collect();
    println!("{table:?}, {} variables, domain of {}", matrices.variables(), matrices.domain_size());
    let expected = [
        ("commitment", 2088),
        ("credential", 405),
        ("signature", 4572),
        ("issuer", 1654),
        ("status", 2151),
        ("validity", 66),
        ("holder", 244),
        ("sets", 8308),
        ("criteria digest", 2249),
        ("clauses", 3792),
        ("terms", 406),
        ("nullifier", 244),
        ("context", 1),
    ];
    assert_eq!(table, expected);
    assert_eq!(matrices.constraints, 26_180);
    assert_eq!(matrices.domain_size(), 1 << 15);
}

#[test]
fn no_variable_can_be_changed_alone() {
    let (public, witness) = eligible();
    let (matrices, variables) = recorded(&public, &witness);
    assert!(free_variables(&matrices, &variables).is_empty());
}

#[test]
fn a_group_without_a_true_clause_is_refused_by_its_number() {
    let age = |low, high| vec![clause(Run::one(slot(0)), Test::Within(interval(low, high)))];
    let (public, witness) = of(patient(), vec![age(0, 99), age(55, 75)]);
    assert_refused(&public, &witness, Violation::Criteria { group: 1 });
    let either = [age(0, 10), age(60, 70)].concat();
    let (public, witness) = of(patient(), vec![either]);
    assert_refused(&public, &witness, Violation::Criteria { group: 0 });
}

/// Every kind of clause on every kind of slot: the constraints accept exactly what the relation accepts.
#[test]
fn each_test_at_its_borders_is_decided_alike() {
    let one = |index| Run::one(slot(index));
    let cases: Vec<(Clause, bool)> = vec![
        (clause(one(0), Test::Within(interval(54, 54))), true),
        (clause(one(0), Test::Within(interval(55, 60))), false),
        (clause(one(0), Test::Within(interval(0, 53))), false),
        (clause(one(0), Test::Outside(interval(54, 54))), false),
        (clause(one(0), Test::Outside(interval(55, u64::MAX))), true),
        (clause(one(0), Test::Outside(interval(0, 53))), true),
        // Absent: unknown is not true.
        (clause(one(2), Test::Within(Interval::ALL)), false),
        (clause(one(2), Test::Outside(Interval::point(5))), false),
        (clause(one(2), Test::NotInSet(set(&[(1, 5)]))), false),
        (clause(one(2), Test::InSet(set(&[(0, u64::MAX)]))), false),
        // The head of a list is no number.
        (clause(one(4), Test::Within(Interval::ALL)), false),
        (clause(one(4), Test::Outside(interval(3, 5))), false),
        // Lists.
        (clause(dx(), Test::Within(Interval::point(100))), true),
        (clause(dx(), Test::Within(interval(101, 209))), false),
        (clause(dx(), Test::NoneWithin(interval(101, 209))), true),
        (clause(dx(), Test::NoneWithin(interval(100, 209))), false),
        (clause(dx(), Test::NoneWithin(interval(101, 210))), false),
        (clause(dx(), Test::NoneWithin(interval(0, 99))), true),
        (clause(dx(), Test::NoneWithin(interval(211, u64::MAX))), true),
        (clause(dx(), Test::NoneWithin(Interval::ALL)), false),
        (clause(dx(), Test::InSet(set(&[(210, 210)]))), true),
        (clause(dx(), Test::InSet(set(&[(101, 209)]))), false),
        // Not known to be complete.
        (clause(run(12, 4), Test::NoneWithin(interval(8, 9))), false),
        (clause(run(12, 4), Test::Within(Interval::point(7))), true),
        // A run that is no list.
        (clause(run(0, 2), Test::NoneWithin(interval(60, 70))), false),
        // The set of everything, and of nothing.
        (clause(one(0), Test::NotInSet(CodeSet::none())), true),
        (clause(one(0), Test::InSet(CodeSet::none())), false),
    ];
    for (clause, expected) in cases {
        let (public, witness) = of(patient(), vec![vec![clause.clone()]]);
        assert_eq!(Eligibility::check(&public, &witness).is_ok(), expected, "{clause:?}");
        assert_eq!(is_satisfied(&public, &witness), expected, "{clause:?}");
    }
}

#[test]
fn an_empty_complete_list_has_none_of_anything() {
    let mut attributes = Attributes::new();
    attributes.set_list(dx(), &[], true).unwrap();
    let (public, witness) = of(attributes, vec![vec![clause(dx(), Test::NoneWithin(Interval::ALL))]]);
    assert_eq!(Eligibility::check(&public, &witness), Ok(()));
    assert!(is_satisfied(&public, &witness));
}

#[test]
fn a_credential_of_another_schema_is_refused() {
    let (mut public, witness) = eligible();
    public.schema = SchemaId::of(b"another");
    assert_refused(&public, &witness, Violation::Schema);
}

#[test]
fn a_credential_is_refused_the_day_before_and_the_day_after() {
    let (mut public, witness) = eligible();
    public.date = Day(44_999);
    assert_refused(&public, &witness, Violation::NotYetValid);
    public.date = Day(46_001);
    assert_refused(&public, &witness, Violation::Expired);
    for day in [45_000, 46_000] {
        public.date = Day(day);
        assert!(is_satisfied(&public, &witness) && Eligibility::check(&public, &witness).is_ok());
    }
}

#[test]
fn another_holder_is_refused() {
    let (public, mut witness) = eligible();
    witness.holder = HolderSecret::generate(&mut rng(99));
    assert_refused(&public, &witness, Violation::Holder);
}

/// The credential as somebody would change it, with the issuer's old signature.
fn changed(witness: &Witness, attributes: Attributes, header: Header, patient: PatientSecret) -> Credential {
    let (issuer, signature) = (*witness.credential.issuer(), *witness.credential.signature());
    let salt = witness.credential.salt();
    Credential::unchecked(attributes, (patient, salt), header, (issuer, signature))
}

fn same_patient(witness: &Witness) -> PatientSecret {
    PatientSecret::from_bytes(witness.credential.patient().to_bytes().expose()).unwrap()
}

#[test]
fn a_changed_slot_a_changed_completeness_or_a_changed_header_breaks_the_signature() {
    let (public, mut witness) = eligible();
    let original = *witness.credential.header();
    let mut younger = patient();
    younger.set(slot(0), 53);
    let complete = Attributes::from_parts(*patient().slots(), patient().complete() | 1 << 12);
    for attributes in [younger, complete] {
        let any = criteria(vec![vec![clause(Run::one(slot(1)), Test::Within(Interval::ALL))]]);
        let public = Public { criteria: any, ..public.clone() };
        witness.credential = changed(&witness, attributes, original, same_patient(&witness));
        assert_refused(&public, &witness, Violation::Signature);
    }
    let later = Header { not_after: Day(99_999), ..original };
    witness.credential = changed(&witness, patient(), later, same_patient(&witness));
    assert_refused(&public, &witness, Violation::Signature);
}

#[test]
fn an_issuer_that_is_not_under_the_root_is_refused() {
    let (mut public, witness) = eligible();
    let stranger = SigningKey::generate(&mut rng(5)).public_key();
    let issuers = Issuers::new(vec![Issuer { key: stranger, revocations: witness.revocations }]).unwrap();
    public.issuers = issuers.root();
    assert_refused(&public, &witness, Violation::Issuer);
}

#[test]
fn revocations_of_the_holders_own_making_are_refused() {
    let (public, mut witness) = eligible();
    let mut list = StatusList::new();
    list.revoke(StatusIndex::new(3).unwrap());
    witness.revocations = list.tree().root();
    witness.status = list.tree().path(witness.credential.header().index);
    assert_refused(&public, &witness, Violation::Issuer);
}

/// The issuers with a list in which credential `revoked` is revoked.
fn with_revoked(public: &mut Public, witness: &mut Witness, revoked: u32, shown: u32) {
    let mut list = StatusList::new();
    list.revoke(StatusIndex::new(revoked).unwrap());
    let issuer = Issuer { key: *witness.credential.issuer(), revocations: list.tree().root() };
    let issuers = Issuers::new(vec![issuer]).unwrap();
    public.issuers = issuers.root();
    witness.revocations = issuer.revocations;
    witness.issuer = issuers.find(&issuer.key).unwrap().1;
    witness.status = list.tree().path(StatusIndex::new(shown).unwrap());
}

#[test]
fn a_revoked_credential_is_refused_and_its_neighbours_are_not() {
    let (mut public, mut witness) = eligible();
    with_revoked(&mut public, &mut witness, 1234, 1234);
    assert_refused(&public, &witness, Violation::Revoked);
    with_revoked(&mut public, &mut witness, 1235, 1234);
    assert_eq!(Eligibility::check(&public, &witness), Ok(()));
    assert!(is_satisfied(&public, &witness));
}

#[test]
fn the_bit_of_another_credential_is_refused() {
    let (mut public, mut witness) = eligible();
    with_revoked(&mut public, &mut witness, 1234, 5000);
    assert_refused(&public, &witness, Violation::Status);
    let word = witness.status.word;
    with_revoked(&mut public, &mut witness, 1234, 1234);
    witness.status.word = word;
    assert_refused(&public, &witness, Violation::Status);
}

#[test]
fn a_path_of_another_length_is_refused() {
    let (public, mut witness) = eligible();
    let levels = witness.issuer.levels().to_vec();
    witness.issuer = Path::from_parts(0, levels[..2].to_vec());
    assert_refused(&public, &witness, Violation::Issuer);
}

#[test]
fn the_nullifier_of_another_patient_or_study_is_refused() {
    let (mut public, mut witness) = eligible();
    let right = public.nullifier;
    public.nullifier = witness.credential.patient().nullifier(&StudyId::of("another"));
    assert_refused(&public, &witness, Violation::Nullifier);
    public.nullifier = PatientSecret::of(b"another").nullifier(&public.study);
    assert_refused(&public, &witness, Violation::Nullifier);
    // A patient of the holder's choice needs another signature.
    let header = *witness.credential.header();
    witness.credential = changed(&witness, patient(), header, PatientSecret::of(b"another"));
    assert_refused(&public, &witness, Violation::Signature);
    assert_ne!(public.nullifier, right);
}

#[test]
fn a_patient_has_one_nullifier_in_a_study_whatever_the_credential() {
    let (first, _) = pair_of(patient(), everything(), &mut rng(1));
    let (second, _) = pair_of(Attributes::new(), everything(), &mut rng(2));
    assert_eq!(first.nullifier, second.nullifier);
    assert_ne!(first.issuers, second.issuers);
}

#[test]
fn the_terms_bind_criteria_schema_and_study() {
    let (public, _) = eligible();
    let mut seen = vec![public.terms()];
    let mut other = |change: fn(&mut Public)| {
        let mut changed = public.clone();
        change(&mut changed);
        assert!(!seen.contains(&changed.terms()));
        seen.push(changed.terms());
    };
    other(|public| public.schema = SchemaId::of(b"another"));
    other(|public| public.study = StudyId::of("another"));
    other(|public| {
        let groups = public.criteria.groups();
        public.criteria = criteria(groups[..groups.len() - 1].to_vec());
    });
    // The same clauses, grouped otherwise.
    other(|public| public.criteria = criteria(vec![public.criteria.clauses().cloned().collect()]));
    let (mut public, witness) = eligible();
    public.criteria = criteria(public.criteria.groups()[1..].to_vec());
    let mut inputs = Eligibility::public_inputs(&public);
    inputs[0] = eligible().0.terms();
    assert!(!is_satisfied_with(&inputs, &public, &witness), "other criteria than those of the terms");
}

#[test]
fn an_issuer_signs_no_unordered_list_and_no_validity_that_ends_before_it_begins() {
    let key = SigningKey::generate(&mut rng(1));
    let (_, witness) = eligible();
    let header = *witness.credential.header();
    let unordered = Attributes::from_parts([Slot::Value(3); SLOTS], 1);
    let issue = |attributes, header, rng: &mut dyn CryptoRng| {
        Credential::issue(&key, attributes, PatientSecret::of(b"a"), header, rng).err()
    };
    assert_eq!(issue(unordered, header, &mut rng(1)), Some(CredentialError::Order));
    let backwards = Header { not_before: Day(5), not_after: Day(4), ..header };
    assert_eq!(issue(patient(), backwards, &mut rng(1)), Some(CredentialError::Validity));
}

fn any_test() -> impl Strategy<Value = (usize, u64, u64, usize)> {
    (0usize..6, 0u64..12, 0u64..6, 0usize..3)
}

fn any_clause((kind, low, more, at): (usize, u64, u64, usize)) -> Clause {
    let interval = interval(low, low + more);
    let one = Run::one(slot(at));
    match kind {
        0 => clause(one, Test::Within(interval)),
        1 => clause(one, Test::Outside(interval)),
        2 => clause(run(3, 6), Test::Within(interval)),
        3 => clause(run(3, 6), Test::NoneWithin(interval)),
        4 => clause(run(3, 6), Test::InSet(set(&[(low, low + more), (low + more + 2, low + more + 2)]))),
        _ => clause(one, Test::NotInSet(set(&[(low, low + more)]))),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn relation_and_constraints_agree_on_any_patient_and_any_criteria(
        values in proptest::array::uniform3(proptest::option::of(0u64..14)),
        codes in proptest::collection::vec(0u64..14, 0..4),
        is_complete: bool,
        groups in proptest::collection::vec(proptest::collection::vec(any_test(), 1..4), 1..4),
    ) {
        let mut attributes = Attributes::new();
        for (index, value) in values.iter().enumerate() {
            if let Some(value) = value {
                attributes.set(slot(index), *value);
            }
        }
        attributes.set_list(run(3, 6), &codes, is_complete).unwrap();
        let groups: Vec<Vec<Clause>> =
            groups.into_iter().map(|group| group.into_iter().map(any_clause).collect()).collect();
        let Ok(criteria) = Criteria::new(groups) else { return Ok(()) };
        let (public, witness) = pair_of(attributes, criteria, &mut rng(3));
        prop_assert_eq!(is_satisfied(&public, &witness), Eligibility::check(&public, &witness).is_ok());
    }
}
