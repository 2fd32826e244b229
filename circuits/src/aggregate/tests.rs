//! The relation and its constraints against each other, at the smallest size.

use super::*;
use crate::field::Element;
use crate::groth16::setup::insecure_single_party_setup;
use crate::groth16::{FileHash, Presented, ProvingKey};
use crate::pedersen::{Blinding, Commitment, PIECES};
use crate::r1cs::Builder;
use crate::statement::{ConstrainedStatement, Statement, constraints};
use crate::testing::{free_variables, rng};
use proptest::prelude::*;

type Small = Aggregate<64>;

fn variables(public: &Public, witness: &Witness<64>) -> (crate::r1cs::Matrices, Vec<Element>) {
    let (mut builder, inputs) = Builder::shape(&Small::public_inputs(public));
    Small::synthesize(&mut builder, &inputs, public, witness);
    let (matrices, variables) = builder.finish();
    (matrices, variables.expose().clone())
}

fn is_satisfied(public: &Public, witness: &Witness<64>) -> bool {
    let (matrices, variables) = variables(public, witness);
    matrices.first_unsatisfied(&variables).is_none()
}

fn witness(rows: Vec<Row>, seed: u64) -> Witness<64> {
    let rng = &mut rng(seed);
    let dataset = Dataset::new(rows, crate::field::random(rng)).unwrap();
    Witness { dataset, blinding: Blinding::generate(rng) }
}

/// What the witness shows under a predicate and a floor, if it is this count and sum.
fn public(witness: &Witness<64>, predicate: Predicate, floor: u32, (count, sum): (u64, u64)) -> Public {
    let commitment = Commitment::new(count, sum, &witness.blinding);
    Public { root: witness.dataset.root(), predicate, floor, commitment }
}

const FROM_40_TO_65_OF_SEX_1: Predicate = Predicate { intervals: [(40, 65), (1, 1)] };
const EVERYTHING: Predicate = Predicate { intervals: [(0, u16::MAX); 2] };

/// Rows (age, sex, value), of which three of eight are from 40 to 65 and of sex 1.
fn rows() -> Vec<Row> {
    let row = |age, sex, value| Row { columns: [age, sex], value };
    vec![
        row(40, 1, 10),
        row(65, 1, 20),
        row(39, 1, 400),
        row(66, 1, 800),
        row(50, 0, 1600),
        row(50, 2, 3200),
        row(u16::MAX, u16::MAX, u32::MAX),
        row(41, 1, u32::MAX),
    ]
}

const SHOWN: (u64, u64) = (3, 30 + u32::MAX as u64);

#[track_caller]
fn assert_refused(public: &Public, witness: &Witness<64>, violation: Violation) {
    assert_eq!(Small::check(public, witness), Err(violation));
    assert!(!is_satisfied(public, witness), "{violation}");
}

#[test]
fn the_answer_of_the_rows_is_accepted_and_no_variable_is_free() {
    let witness = witness(rows(), 1);
    let public = public(&witness, FROM_40_TO_65_OF_SEX_1, 3, SHOWN);
    assert_eq!(Small::check(&public, &witness), Ok(()));
    let (matrices, variables) = variables(&public, &witness);
    assert_eq!(matrices.first_unsatisfied(&variables), None);
    assert!(free_variables(&matrices, &variables).is_empty());
    assert_eq!(matrices.digest(), constraints::<Small>().0.digest());
}

#[test]
fn another_count_sum_blinding_root_predicate_or_floor_is_refused() {
    let own = witness(rows(), 1);
    let good = public(&own, FROM_40_TO_65_OF_SEX_1, 3, SHOWN);
    for shown in [(2, SHOWN.1), (4, SHOWN.1), (3, SHOWN.1 + 1), (0, 0)] {
        let other = public(&own, FROM_40_TO_65_OF_SEX_1, 3, shown);
        assert_refused(&other, &own, Violation::Commitment);
    }
    let commitment = Commitment::new(SHOWN.0, SHOWN.1, &Blinding::generate(&mut rng(2)));
    assert_refused(&Public { commitment, ..good }, &own, Violation::Commitment);
    assert_refused(&Public { root: good.root + Element::from(1u64), ..good }, &own, Violation::Root);
    let salted_otherwise = witness(rows(), 2);
    let other = Witness { dataset: salted_otherwise.dataset, blinding: own.blinding };
    assert_refused(&good, &other, Violation::Root);
    let predicate = Predicate { intervals: [(39, 65), (1, 1)] };
    let own = witness(rows(), 1);
    assert_refused(&Public { predicate, ..good }, &own, Violation::Commitment);
    assert_refused(&Public { floor: 4, ..good }, &own, Violation::Commitment);
    assert_refused(&Public { floor: FLOOR_MAX + 4, ..good }, &own, Violation::Floor);
}

#[test]
fn under_the_floor_zeros_are_committed_to_and_nothing_else() {
    let own = witness(rows(), 1);
    for floor in [4, 100, FLOOR_MAX] {
        let hidden = public(&own, FROM_40_TO_65_OF_SEX_1, floor, (0, 0));
        assert!(Small::check(&hidden, &own).is_ok() && is_satisfied(&hidden, &own));
        let told = public(&own, FROM_40_TO_65_OF_SEX_1, floor, SHOWN);
        assert_refused(&told, &own, Violation::Commitment);
    }
}

#[test]
fn rows_that_are_not_there_count_for_nothing_where_everything_counts() {
    let own = witness(rows(), 1);
    let sum = own.dataset.rows().iter().map(|row| u64::from(row.value)).sum();
    let all = public(&own, EVERYTHING, 0, (8, sum));
    assert!(is_satisfied(&all, &own) && Small::check(&all, &own).is_ok());
    assert_refused(&public(&own, EVERYTHING, 0, (64, sum)), &own, Violation::Commitment);
}

/// Two hospitals prove their parts; the sum of what they committed to opens to the total, and to nothing else.
#[test]
fn proved_contributions_open_to_their_total_and_a_proof_is_of_its_commitment_alone() {
    let (verifying, file) = insecure_single_party_setup::<Small>(&mut rng(4)).unwrap();
    let hash = FileHash(<[u8; 32]>::from(<sha2::Sha256 as sha2::Digest>::digest(&file)));
    let key = ProvingKey::<Small>::open(&file, hash).unwrap();
    let (mut commitments, mut pieces) = (Vec::new(), [0u128; PIECES]);
    let others = rows().into_iter().skip(4).collect();
    for (seed, rows, shown) in [(5, rows(), SHOWN), (6, others, (0, 0))] {
        let own = witness(rows, seed);
        assert_eq!(own.dataset.shown(&FROM_40_TO_65_OF_SEX_1, 2), shown);
        let public = public(&own, FROM_40_TO_65_OF_SEX_1, 2, shown);
        let proof = key.prove(&public, &own, &mut rng(seed)).unwrap().to_bytes();
        let inputs = |public: &Public| -> Vec<u8> {
            Small::public_inputs(public).iter().flat_map(crate::field::to_bytes).collect()
        };
        let verified = |public: Public| {
            let inputs = inputs(&public);
            verifying
                .verify(public, &Presented { key: verifying.id(), inputs: &inputs, proof: &proof })
                .is_ok()
        };
        assert!(verified(public));
        let commitment = Commitment::new(shown.0 + 1, shown.1, &own.blinding);
        assert!(!verified(Public { commitment, ..public }));
        commitments.push(public.commitment);
        for (sum, piece) in pieces.iter_mut().zip(own.blinding.pieces()) {
            *sum += u128::from(*piece);
        }
    }
    let total = Commitment::total(&commitments);
    assert_eq!(total.open(SHOWN.0, SHOWN.1, &pieces), Ok(()));
    assert!(total.open(SHOWN.0 + 1, SHOWN.1, &pieces).is_err());
}

#[test]
fn a_row_more_than_there_is_room_for_is_refused() {
    let rows = vec![Row { columns: [0; 2], value: 0 }; 65];
    assert_eq!(Dataset::<64>::new(rows, Element::from(0u64)).err(), Some(TooManyRows { rows: 65, max: 64 }));
}

/// The figures of docs/internals/circuits.md.
#[test]
fn the_constraints_of_each_part_are_pinned() {
    let (matrices, parts) = constraints::<Small>();
    let table: Vec<(&str, usize)> = parts.iter().map(|part| (part.name, part.constraints)).collect();
    assert_eq!(
        table,
        [
            ("predicate", 406),
            ("rows", 66 * 142),
            ("tree", 4 * 405 + 243 + 1),
            ("floor", 14 + 1 + 2),
            ("commitment", 1_243),
        ]
    );
    assert_eq!(matrices.constraints, 12_902);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn relation_and_constraints_agree(
        rows in proptest::collection::vec((0u16..6, 0u16..6, 0u32..9), 0..64),
        intervals in proptest::array::uniform2((0u16..6, 0u16..6)),
        floor in 0u32..9,
        off in 0u64..2,
    ) {
        let rows = rows.into_iter().map(|(a, b, value)| Row { columns: [a, b], value }).collect();
        let own = witness(rows, 3);
        let predicate = Predicate { intervals };
        let (count, sum) = own.dataset.shown(&predicate, floor);
        let public = public(&own, predicate, floor, (count + off, sum));
        prop_assert_eq!(is_satisfied(&public, &own), off == 0);
        prop_assert_eq!(Small::check(&public, &own).is_ok(), off == 0);
    }
}
