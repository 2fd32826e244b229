//! `aggregate/v1`: a commitment is to the count and the sum over the rows under a dataset root.
//!
//! A row has two columns of 16 bits that a predicate reads, and a value of 32 bits (fixed point, less the smallest that
//! the catalogue allows). A dataset packs three rows into an element: row j of an element at bit 65 j, its columns, its
//! value and the bit that it is there. The root is the hash of the root of the tree over the elements and of a salt, so
//! that it can be published. A predicate is an interval of each column.
//!
//! Statement, for public root R, predicate digest P, floor k and commitment C: I know rows and a salt under R, of which
//! exactly n are there and have both columns in the intervals of P, the values of these add up to s, and a blinding
//! factor b with C = n N + s S + b H where n >= k, and C = b H where n < k ([`crate::pedersen`]).
//!
//! The number of rows is the statement's: [`Aggregate`] is a statement for each of [`ROWS`].
//!
//! # Security
//! The hospital is trusted for its rows; the proof binds what it committed to, to the root that it published before the
//! question. C and R hide count, sum and rows; that n is under the floor is hidden too.

mod constraints;
mod relation;

pub use relation::{Dataset, FLOOR_MAX, Predicate, Public, Row, TooManyRows, Violation, Witness};

/// Rows that a statement has room for; [`Aggregate::NAME`](crate::Statement::NAME) says which.
pub const ROWS: [usize; 3] = [64, 512, 4096];

/// The statement `ward/aggregate/1/ROWS`, for one of [`ROWS`].
#[derive(Debug)]
pub enum Aggregate<const ROWS: usize> {}

#[cfg(test)]
mod tests;
