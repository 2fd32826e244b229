//! `aggregate/v1`: a count and a sum were computed over the rows under a dataset root.
//!
//! A row has two columns of 16 bits that a predicate reads, and a value of 32 bits (fixed point, scaled by the
//! catalogue). A dataset packs three rows into an element: row j of an element at bit 65 j, its columns, its value
//! and the bit that it is there. The root is that of the tree over the elements. A predicate is an interval of each column.
//!
//! Statement, for public root R, predicate digest P, count n and sum s: I know rows under R of which exactly n are
//! there and have both columns in the intervals of P, and the values of these add up to s.
//!
//! The number of rows is the statement's: [`Aggregate`] is a statement for each of [`ROWS`].
//!
//! # Security
//! The hospital is trusted for its rows; the proof binds the answer to the root that it published before the question.

mod constraints;
mod relation;

pub use relation::{Dataset, Predicate, Public, Row, TooManyRows, Violation};

/// Rows that a statement has room for; [`Aggregate::NAME`](crate::Statement::NAME) says which.
pub const ROWS: [usize; 3] = [64, 512, 4096];

/// The statement `ward/aggregate/1/ROWS`, for one of [`ROWS`].
#[derive(Debug)]
pub enum Aggregate<const ROWS: usize> {}

#[cfg(test)]
mod tests;
