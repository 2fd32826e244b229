//! Rows, datasets, predicates, and the statement as ordinary code.

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::Aggregate;
use crate::field::Element;
use crate::merkle::{ARITY, Tree};
use crate::poseidon::{self, Domain};
use crate::statement::Statement;

/// Rows in an element.
pub(super) const ROWS_PER_ELEMENT: usize = 3;

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

/// The rows of a hospital. Wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Dataset<const ROWS: usize> {
    rows: Vec<Row>,
}

impl<const ROWS: usize> Dataset<ROWS> {
    /// A dataset of these rows.
    ///
    /// # Errors
    /// [`TooManyRows`].
    pub fn new(rows: Vec<Row>) -> Result<Self, TooManyRows> {
        if rows.len() > ROWS { Err(TooManyRows { rows: rows.len(), max: ROWS }) } else { Ok(Self { rows }) }
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
        tree.expect("the depth has room for every element").root()
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
    /// How many rows.
    pub count: u64,
    /// The sum of their values.
    pub sum: u64,
}

/// Why the answer is not that of the dataset: the first condition that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// The rows are those of another root.
    #[error("the rows are not those under the root")]
    Root,
    /// The count is another.
    #[error("the count is not that of the rows")]
    Count,
    /// The sum is another.
    #[error("the sum is not that of the rows")]
    Sum,
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
    type Witness = Dataset<ROWS>;
    type Violation = Violation;

    fn check(public: &Public, dataset: &Dataset<ROWS>) -> Result<(), Violation> {
        let counted = || dataset.rows.iter().filter(|row| public.predicate.holds(row));
        let holds = |condition: bool, violation: Violation| if condition { Ok(()) } else { Err(violation) };
        holds(dataset.root() == public.root, Violation::Root)?;
        holds(counted().count() as u64 == public.count, Violation::Count)?;
        holds(counted().map(|row| u64::from(row.value)).sum::<u64>() == public.sum, Violation::Sum)
    }
}
