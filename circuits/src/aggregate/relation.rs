//! Rows, datasets, predicates, and the statement as ordinary code.

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::Aggregate;
use crate::field::Element;
use crate::merkle::{ARITY, Tree};
use crate::pedersen::{Blinding, Commitment};
use crate::poseidon::{self, Domain};
use crate::statement::Statement;

/// Rows in an element.
pub(super) const ROWS_PER_ELEMENT: usize = 3;

/// Bits of a count and of a sum over the rows of the largest statement.
pub(super) const COUNT_BITS: usize = 13;
pub(super) const SUM_BITS: usize = VALUE_BITS + COUNT_BITS - 1;

/// Bits of a column, of a value, of a row with the bit that it is there.
pub(super) const COLUMN_BITS: usize = 16;
pub(super) const VALUE_BITS: usize = 32;
pub(super) const ROW_BITS: usize = 2 * COLUMN_BITS + VALUE_BITS + 1;

/// One row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Zeroize)]
pub struct Row {
    /// The columns that a predicate reads.
    pub columns: [u16; 2],
    /// What is summed.
    pub value: u32,
}

/// More rows than the statement has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rows} rows, {max} at most")]
pub struct TooManyRows {
    /// How many.
    pub rows: usize,
    /// For how many there is room.
    pub max: usize,
}

/// The rows of a hospital, and the salt that hides them in the root. Wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Dataset<const ROWS: usize> {
    rows: Vec<Row>,
    pub(super) salt: Element,
}

impl<const ROWS: usize> Dataset<ROWS> {
    /// A dataset of these rows. The salt is secret, and uniform.
    ///
    /// # Errors
    /// [`TooManyRows`].
    pub fn new(rows: Vec<Row>, salt: Element) -> Result<Self, TooManyRows> {
        if rows.len() > ROWS {
            Err(TooManyRows { rows: rows.len(), max: ROWS })
        } else {
            Ok(Self { rows, salt })
        }
    }

    /// Count and sum of the rows of which the predicate holds; zeros where the count is under the floor.
    #[must_use]
    pub fn shown(&self, predicate: &Predicate, floor: u32) -> (u64, u64) {
        let counted = || self.rows.iter().filter(|row| predicate.holds(row));
        let count = counted().count() as u64;
        if count < u64::from(floor) {
            return (0, 0);
        }
        (count, counted().map(|row| u64::from(row.value)).sum())
    }

    /// The rows.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The root. About 200 microseconds for 24 rows.
    #[must_use]
    pub fn root(&self) -> Element {
        let leaves = (0..elements(ROWS)).map(|at| pack(&self.places(at))).collect();
        let tree = Tree::new(leaves, depth(ROWS), Element::from(0u64));
        let tree = tree.expect("the depth has room for every element");
        poseidon::hash(Domain::Dataset, &[tree.root(), self.salt])
    }

    /// The rows of an element, as far as they are there.
    pub(super) fn places(&self, element: usize) -> [Option<Row>; ROWS_PER_ELEMENT] {
        std::array::from_fn(|at| self.rows.get(element * ROWS_PER_ELEMENT + at).copied())
    }
}

/// Elements that hold so many rows.
pub(super) const fn elements(rows: usize) -> usize {
    rows.div_ceil(ROWS_PER_ELEMENT)
}

/// Levels of the tree over the elements.
pub(super) const fn depth(rows: usize) -> usize {
    let (mut depth, mut room) = (0, 1);
    while room < elements(rows) {
        room *= ARITY;
        depth += 1;
    }
    depth
}

/// A row as bits: columns, value, presence.
pub(super) fn row_bits(row: Option<Row>) -> u128 {
    row.map_or(0, |row| {
        let [first, second] = row.columns.map(u128::from);
        let value = u128::from(row.value);
        first | second << COLUMN_BITS | value << (2 * COLUMN_BITS) | 1 << (ROW_BITS - 1)
    })
}

fn pack(rows: &[Option<Row>; ROWS_PER_ELEMENT]) -> Element {
    let place = Element::from(1u128 << ROW_BITS);
    rows.iter().rev().fold(Element::from(0u64), |sum, &row| sum * place + Element::from(row_bits(row)))
}

/// An interval of each column, ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Predicate {
    /// The lowest and the highest number of each column.
    pub intervals: [(u16, u16); 2],
}

impl Predicate {
    /// Whether the row is counted.
    #[must_use]
    pub fn holds(&self, row: &Row) -> bool {
        self.intervals.iter().zip(row.columns).all(|((low, high), value)| (*low..=*high).contains(&value))
    }

    /// The digest.
    #[must_use]
    pub fn digest(&self) -> Element {
        let ends: Vec<Element> =
            self.intervals.iter().flat_map(|&(low, high)| [low, high]).map(Element::from).collect();
        poseidon::hash(Domain::Predicate, &ends)
    }
}

/// What everybody sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Public {
    /// The root of the dataset.
    pub root: Element,
    /// What is counted.
    pub predicate: Predicate,
    /// The count under which zeros are committed to, at most [`FLOOR_MAX`].
    pub floor: u32,
    /// The commitment to the count and to the sum of their values.
    pub commitment: Commitment,
}

/// The highest floor.
pub const FLOOR_MAX: u32 = 1 << COUNT_BITS;

/// What only the hospital knows.
pub struct Witness<const ROWS: usize> {
    /// The rows.
    pub dataset: Dataset<ROWS>,
    /// What blinds the commitment.
    pub blinding: Blinding,
}

/// Why the commitment is not to the answer of the dataset: the first condition that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// The rows are those of another root.
    #[error("the rows are not those under the root")]
    Root,
    /// The floor is too high.
    #[error("the floor is above the highest")]
    Floor,
    /// The commitment is to another count or sum, or has another blinding factor.
    #[error("the commitment is not to the count and the sum of the rows")]
    Commitment,
}

/// The name of the statement for so many rows.
const fn name(rows: usize) -> &'static str {
    match rows {
        64 => "ward/aggregate/1/64",
        512 => "ward/aggregate/1/512",
        4096 => "ward/aggregate/1/4096",
        _ => panic!("no statement for so many rows"),
    }
}

impl<const ROWS: usize> Statement for Aggregate<ROWS> {
    const NAME: &'static str = name(ROWS);
    type Public = Public;
    type Witness = Witness<ROWS>;
    type Violation = Violation;

    fn check(public: &Public, witness: &Witness<ROWS>) -> Result<(), Violation> {
        let holds = |condition: bool, violation: Violation| if condition { Ok(()) } else { Err(violation) };
        holds(witness.dataset.root() == public.root, Violation::Root)?;
        holds(public.floor <= FLOOR_MAX, Violation::Floor)?;
        let (count, sum) = witness.dataset.shown(&public.predicate, public.floor);
        holds(Commitment::new(count, sum, &witness.blinding) == public.commitment, Violation::Commitment)
    }
}
