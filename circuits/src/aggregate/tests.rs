//! The relation and its constraints against each other, at the smallest size.

use super::*;
use crate::field::Element;
use crate::r1cs::Builder;
use crate::statement::{ConstrainedStatement, Statement, constraints};
use crate::testing::free_variables;
use proptest::prelude::*;

type Small = Aggregate<64>;

fn variables(public: &Public, dataset: &Dataset<64>) -> (crate::r1cs::Matrices, Vec<Element>) {
    let (mut builder, inputs) = Builder::shape(&Small::public_inputs(public));
    Small::synthesize(&mut builder, &inputs, public, dataset);
    let (matrices, variables) = builder.finish();
    (matrices, variables.expose().clone())
}

fn is_satisfied(public: &Public, dataset: &Dataset<64>) -> bool {
    let (matrices, variables) = variables(public, dataset);
    matrices.first_unsatisfied(&variables).is_none()
}

/// Rows (age, sex, value), and the predicate "from 40 to 65, of sex 1".
fn pair() -> (Public, Dataset<64>) {
    let row = |age, sex, value| Row { columns: [age, sex], value };
    let rows = vec![
        row(40, 1, 10),
        row(65, 1, 20),
        row(39, 1, 400),
        row(66, 1, 800),
        row(50, 0, 1600),
        row(50, 2, 3200),
        row(u16::MAX, u16::MAX, u32::MAX),
        row(41, 1, u32::MAX),
    ];
    let dataset = Dataset::new(rows).unwrap();
    let predicate = Predicate { intervals: [(40, 65), (1, 1)] };
    (Public { root: dataset.root(), predicate, count: 3, sum: 30 + u64::from(u32::MAX) }, dataset)
}

#[track_caller]
fn assert_refused(public: &Public, dataset: &Dataset<64>, violation: Violation) {
    assert_eq!(Small::check(public, dataset), Err(violation));
    assert!(!is_satisfied(public, dataset), "{violation}");
}

#[test]
fn the_answer_of_the_rows_is_accepted_and_no_variable_is_free() {
    let (public, dataset) = pair();
    assert_eq!(Small::check(&public, &dataset), Ok(()));
    let (matrices, variables) = variables(&public, &dataset);
    assert_eq!(matrices.first_unsatisfied(&variables), None);
    assert!(free_variables(&matrices, &variables).is_empty());
    assert_eq!(matrices.digest(), constraints::<Small>().0.digest());
}

#[test]
fn another_count_another_sum_another_root_and_another_predicate_are_refused() {
    let (public, dataset) = pair();
    for count in [2, 4] {
        assert_refused(&Public { count, ..public }, &dataset, Violation::Count);
    }
    assert_refused(&Public { sum: public.sum + 1, ..public }, &dataset, Violation::Sum);
    let root = public.root + Element::from(1u64);
    assert_refused(&Public { root, ..public }, &dataset, Violation::Root);
    let predicate = Predicate { intervals: [(39, 65), (1, 1)] };
    assert_refused(&Public { predicate, ..public }, &dataset, Violation::Count);
}

#[test]
fn rows_that_are_not_there_count_for_nothing_where_everything_counts() {
    let predicate = Predicate { intervals: [(0, u16::MAX); 2] };
    let (public, dataset) = pair();
    let sum = dataset.rows().iter().map(|row| u64::from(row.value)).sum();
    let all = Public { predicate, count: 8, sum, ..public };
    assert!(is_satisfied(&all, &dataset) && Small::check(&all, &dataset).is_ok());
    assert_refused(&Public { count: 64, ..all }, &dataset, Violation::Count);
}

#[test]
fn a_row_more_than_there_is_room_for_is_refused() {
    let rows = vec![Row { columns: [0; 2], value: 0 }; 65];
    assert_eq!(Dataset::<64>::new(rows).err(), Some(TooManyRows { rows: 65, max: 64 }));
}

/// The figures of docs/internals/circuits.md.
#[test]
fn the_constraints_of_each_part_are_pinned() {
    let (matrices, parts) = constraints::<Small>();
    let table: Vec<(&str, usize)> = parts.iter().map(|part| (part.name, part.constraints)).collect();
    assert_eq!(table, [("predicate", 406), ("rows", 66 * 142 + 2), ("tree", 4 * 405 + 1)]);
    assert_eq!(matrices.constraints, 11_401);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn relation_and_constraints_agree(
        rows in proptest::collection::vec((0u16..6, 0u16..6, 0u32..9), 0..64),
        intervals in proptest::array::uniform2((0u16..6, 0u16..6)),
        off in 0u64..2,
    ) {
        let rows = rows.into_iter().map(|(a, b, value)| Row { columns: [a, b], value }).collect();
        let dataset = Dataset::new(rows).unwrap();
        let predicate = Predicate { intervals };
        let counted: Vec<&Row> = dataset.rows().iter().filter(|row| predicate.holds(row)).collect();
        let public = Public {
            root: dataset.root(),
            predicate,
            count: counted.len() as u64 + off,
            sum: counted.iter().map(|row| u64::from(row.value)).sum(),
        };
        prop_assert_eq!(is_satisfied(&public, &dataset), off == 0);
        prop_assert_eq!(Small::check(&public, &dataset).is_ok(), off == 0);
    }
}
