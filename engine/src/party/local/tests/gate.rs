//! Whose rows are read, by consents that were really decided.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;

use super::{Folder, World};
use crate::consent::{Index, Lens, PseudonymKey, Purpose, Question, Regime, Rule, Scope, Status, Validity};
use crate::party::consent::ConsentGate;
use crate::party::local::LocalError;
use crate::party::local::data::LocalData;
use crate::party::local::gate::{Reading, RowGate};

const COLUMNS: &str =
    "patient = \"id\"\n[[table.column]]\nname = \"x\"\nkind = \"integer\"\nmin = 0\nmax = 99\n";
const NOW_MS: u64 = 1_795_305_600_000;
const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// A gate that permits who granted, where nobody is asked twice.
fn gate(regime: Regime, said: &[(&str, Status)]) -> Arc<ConsentGate> {
    Arc::new(ConsentGate::new(lens(regime, said), KEY.clone()))
}

static KEY: LazyLock<PseudonymKey> = LazyLock::new(|| PseudonymKey::from_bytes(&[3; 32]));

/// What these patients said.
fn lens(regime: Regime, said: &[(&str, Status)]) -> Lens {
    let rule = Rule {
        scope: Scope { purposes: Purpose::parse("GRU").into_iter().collect(), ..Scope::default() },
        ..Rule::default()
    };
    let mut index = Index::default();
    for (number, (who, status)) in (1..).zip(said) {
        let who = KEY.pseudonym(who).unwrap();
        index.apply((number, number), who, (&rule, Validity::default()), *status);
    }
    let classes = vec!["labs".to_owned()];
    let question = Question { grantees: vec!["ada".into()], purpose: Purpose::HEALTH_RESEARCH, classes };
    Arc::new(index).lens(regime, &question, NOW_MS)
}

fn csv(rows: &[(&str, u32)]) -> String {
    rows.iter().fold("id,x\n".to_owned(), |text, (who, x)| text + &format!("{who},{x}\n"))
}

fn sum(data: LocalData) -> i128 {
    World::one(1, data).slots("SELECT SUM(x) FROM t").into_iter().max().unwrap()
}

#[test]
fn rows_of_who_granted_are_read_and_of_nobody_else() {
    use Status::{Denied, Granted, Revoked};
    let said = [("a", Granted), ("b", Revoked), ("c", Denied)];
    // A patient is the same with spaces around the name; `NA` and nothing are no patient, but `d` has said nothing.
    let rows = [("a", 1), ("b", 2), (" a ", 4), ("c", 8), ("d", 16), ("NA", 32), ("", 64)];
    let folder = Folder::new(&[("t.csv", &csv(&rows))]);
    let data = folder.data("{ csv = \"t.csv\" }", COLUMNS);
    for (regime, expected) in [(Regime::OptIn, 1 + 4), (Regime::OptOut, 1 + 4 + 16)] {
        assert_eq!(sum(data.through(gate(regime, &said))), expected, "{regime:?}");
    }
}

#[test]
fn a_file_in_another_order_is_asked_anew_through_the_same_gate() {
    let folder = Folder::new(&[("t.csv", &csv(&[("a", 1), ("b", 20), ("a", 3)]))]);
    let gate = gate(Regime::OptIn, &[("a", Status::Granted)]);
    let data = folder.data("{ csv = \"t.csv\" }", COLUMNS);
    assert_eq!(sum(data.through(gate.clone())), 4);
    folder.write("t.csv", csv(&[("b", 20), ("a", 1), ("b", 7), ("a", 30)]).as_bytes());
    assert_eq!(sum(data.through(gate)), 31);
}

#[test]
fn who_takes_consent_back_is_left_out_of_the_next_answer_over_the_same_table() {
    use Status::{Granted, Revoked};
    let folder = Folder::new(&[("t.csv", &csv(&[("a", 1), ("b", 20), ("a", 3), ("c", 60)]))]);
    let data = folder.data("{ csv = \"t.csv\" }", COLUMNS);
    let first = gate(Regime::OptIn, &[("a", Granted), ("b", Granted)]);
    assert_eq!(sum(data.through(first.clone())), 24);
    let again = |said: &[(&str, Status)]| sum(data.through(Arc::new(first.again(lens(Regime::OptIn, said)))));
    assert_eq!(again(&[("a", Revoked), ("b", Granted)]), 20);
    // In another order: nobody is where they were.
    assert_eq!(again(&[("c", Granted), ("b", Revoked), ("a", Granted)]), 64);
    assert_eq!(again(&[]), 0);
    assert_eq!(again(&[("a", Granted), ("b", Granted)]), 24);
}

/// Decides by a list that is too short.
#[derive(Debug)]
struct Short;

impl RowGate for Short {
    fn admit(&self, _: &Reading<'_>) -> Result<Vec<bool>, LocalError> {
        Ok(vec![true])
    }
}

#[test]
fn a_row_that_nobody_decided_about_is_left_out() {
    let folder = Folder::new(&[("t.csv", &csv(&[("a", 1), ("b", 20), ("c", 3)]))]);
    assert_eq!(sum(folder.data("{ csv = \"t.csv\" }", COLUMNS).through(Arc::new(Short))), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_sum_is_that_of_the_permitted_patients_rows(
        rows in prop::collection::vec((0usize..NAMES.len(), 0u32..100), 1..40),
        said in prop::collection::btree_map(
            0usize..NAMES.len(),
            prop_oneof![Just(Status::Granted), Just(Status::Denied), Just(Status::Revoked), Just(Status::Requested)],
            0..6,
        ),
        regime in prop_oneof![Just(Regime::OptIn), Just(Regime::OptOut)],
    ) {
        let named: Vec<(&str, u32)> = rows.iter().map(|(who, x)| (NAMES[*who], *x)).collect();
        let statuses: BTreeMap<&str, Status> = said.iter().map(|(who, status)| (NAMES[*who], *status)).collect();
        let permitted = |who: &str| match statuses.get(who) {
            None | Some(Status::Requested) => regime == Regime::OptOut,
            Some(status) => *status == Status::Granted,
        };
        let expected: u32 = named.iter().filter(|(who, _)| permitted(who)).map(|(_, x)| x).sum();
        let folder = Folder::new(&[("t.csv", &csv(&named))]);
        let said: Vec<(&str, Status)> = statuses.into_iter().collect();
        let data = folder.data("{ csv = \"t.csv\" }", COLUMNS).through(gate(regime, &said));
        prop_assert_eq!(sum(data), i128::from(expected));
    }
}
