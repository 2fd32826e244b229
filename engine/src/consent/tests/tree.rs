//! The tree of consents, and the proof that a patient's is in it.

use proptest::prelude::*;
use ward_circuits::consent::{ConsentGiven, Public, Witness};
use ward_circuits::field::Element;
use ward_circuits::statement::Statement as _;

use super::*;

fn salt(value: u64) -> Element {
    Element::from(value)
}

fn granted(who: u8, classes: &str) -> (u8, Rule, Validity, Status) {
    (who, rule(scope("", classes, "GRU"), vec![]), Validity::default(), Status::Granted)
}

/// What the statement says of a leaf.
fn shown(roots: &Roots, leaf: &Leaf, who: u8) -> Result<(), ward_circuits::consent::Violation> {
    let consent = leaf.consent(&patient(who));
    let request = Element::from(5u64);
    let public = Public {
        snapshot: roots.snapshot().root(),
        purpose: leaf.purpose.to_string(),
        class: leaf.class.clone(),
        request,
        date: leaf.days.0,
        subject: consent.subject(&request),
    };
    let path = roots.snapshot().path(leaf.place).expect("a place in the tree");
    ConsentGiven::check(&public, &Witness { consent, path })
}

#[test]
fn a_patient_shows_an_active_consent_and_no_other() {
    let index = index(&[
        granted(1, "labs"),
        granted(2, "labs imaging"),
        (2, rule(scope("", "imaging", "HMB"), vec![]), Validity::default(), Status::Denied),
        (3, rule(scope("ada", "", "GRU"), vec![]), Validity::default(), Status::Granted),
        (4, rule(scope("", "labs", "GRU"), vec![]), Validity::default(), Status::Revoked),
    ]);
    let roots = Roots::new(&index, &salt(1)).unwrap();
    let found = |who: u8| -> Vec<(String, bool)> {
        let leaves = roots.leaves(&index, &patient(who));
        leaves
            .into_iter()
            .map(|leaf| {
                assert_eq!(shown(&roots, &leaf, who).is_ok(), leaf.is_active, "{leaf:?}");
                (leaf.class.clone(), leaf.is_active)
            })
            .collect()
    };
    assert_eq!(found(1), [("labs".to_owned(), true)]);
    let touched = [("imaging", false), ("labs", true), ("imaging", false)].map(|(c, a)| (c.to_owned(), a));
    assert_eq!(found(2), touched, "what is refused cannot be shown");
    assert_eq!(found(3), [("*@ada".to_owned(), true)], "a limit to a grantee is shown with it");
    assert_eq!(found(4), [("labs".to_owned(), false)]);
}

#[test]
fn the_exception_of_a_denial_can_be_shown() {
    let no_but = rule(Scope::default(), vec![rule(scope("", "labs", "HMB"), vec![])]);
    let index = index(&[(1, no_but, Validity::default(), Status::Denied)]);
    let roots = Roots::new(&index, &salt(1)).unwrap();
    let leaves = roots.leaves(&index, &patient(1));
    assert_eq!(leaves.iter().map(|leaf| leaf.is_active).collect::<Vec<_>>(), [false, true]);
    assert_eq!(shown(&roots, &leaves[1], 1), Ok(()));
}

#[test]
fn a_grant_with_a_denial_of_everything_inside_cannot_be_shown() {
    // "Yes to research, but to nobody, but for the study": ada is nobody.
    let but = rule(Scope::default(), vec![rule(scope("study", "", ""), vec![])]);
    assert!(but.is_default());
    let index = index(&[(1, rule(scope("", "", "HMB"), vec![but]), Validity::default(), Status::Granted)]);
    let leaves = Roots::new(&index, &salt(1)).unwrap().leaves(&index, &patient(1));
    assert!(!leaves.is_empty() && leaves.iter().all(|leaf| !leaf.is_active), "{leaves:?}");
}

#[test]
fn a_new_salt_is_a_new_root_of_the_same_consents() {
    let index = index(&[granted(1, "labs")]);
    let (first, second) = (Roots::new(&index, &salt(1)).unwrap(), Roots::new(&index, &salt(2)).unwrap());
    assert_ne!(first.root(), second.root());
    assert_eq!(first.leaves(&index, &patient(1)), second.leaves(&index, &patient(1)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Changes taken in one after the other make the tree of the end state.
    #[test]
    fn an_updated_tree_is_the_tree_made_anew(
        said in proptest::collection::vec((0u8..4, any_rule(), any_validity(), any_status()), 1..8),
        first in 0usize..8,
        revoked in 0usize..8,
    ) {
        let first = first.min(said.len());
        let before = index(&said[..first]);
        let mut roots = Roots::new(&before, &salt(1)).unwrap();
        let mut after = said.clone();
        let at = revoked.min(said.len() - 1);
        after[at].3 = Status::Revoked;
        let mut now = (*before).clone();
        let mut changed = Vec::new();
        for (i, (who, rule, validity, status)) in after.iter().enumerate().filter(|(i, _)| *i >= first || *i == at) {
            let number = i as u64 + 1;
            now.apply((100 + number, number), patient(*who), (rule, *validity), *status);
            changed.push(patient(*who));
        }
        roots.update(&now, &changed, &salt(2)).unwrap();
        prop_assert_eq!(roots.root(), Roots::new(&now, &salt(2)).unwrap().root());
    }

    /// What can be shown is permitted by the decision, to whom it names, on its days.
    #[test]
    fn what_is_shown_is_permitted(
        said in proptest::collection::vec((Just(1u8), any_rule(), any_validity(), any_status()), 1..4),
    ) {
        let index = index(&said);
        let roots = Roots::new(&index, &salt(1)).unwrap();
        for leaf in roots.leaves(&index, &patient(1)).into_iter().filter(|leaf| leaf.is_active) {
            let (class, grantee) = leaf.class.split_once('@').unwrap_or((&leaf.class, "ada"));
            let class = if class == "*" { "labs" } else { class };
            let asked = Question {
                grantees: vec![grantee.to_owned()], purpose: leaf.purpose, classes: vec![class.to_owned()],
            };
            // Noon of the first whole day of the leaf, or of the only one.
            let day = u64::from(leaf.days.0.0.max(25_568)) - 25_567;
            let noon = day * 86_400_000 + 43_200_000;
            let later = noon + 86_400_000;
            let permitted = [noon, later].map(|at| index.decide(Regime::OptIn, &patient(1), (&asked, at)).permitted);
            let short = leaf.days.1.0 <= leaf.days.0.0.max(25_568) + 1;
            prop_assert!(short || permitted[1], "{:?}", leaf);
        }
    }
}
