//! Queries: SQL in, a plan that every hospital can make again, and the answer out of the decrypted sums.
//!
//! text -> [`parse`] -> [`ast::Query`] -> [`plan()`] against the [`catalogue`] -> slots (computed by the
//! hospitals' local step, summed under encryption) -> [`finish`] -> [`answer::Answer`].

pub mod answer;
pub mod ast;
mod canonical;
pub mod catalogue;
pub(crate) mod decimal;
pub mod error;
pub mod explain;
mod finish;
mod layout;
pub mod needs;
mod parse;
pub mod plan;
mod planner;
pub mod proved;
pub mod rounding;
pub(crate) mod scales;
pub mod secure;
mod suggest;

#[cfg(test)]
pub(crate) mod reference;
#[cfg(test)]
pub(crate) mod tests;

pub use self::error::{Place, QueryError};
pub use self::finish::{finish, finish_shares, terms};
pub use self::layout::PLAN_BYTES_MAX;
pub(crate) use self::parse::scaled;
pub use self::parse::{DEPTH_MAX, LIST_MAX, TEXT_BYTES_MAX, TOKENS_MAX, locate, parse};
pub(crate) use self::planner::statistics;
pub use self::planner::{DOMAIN_MAX, HOSPITALS_MAX, SLOTS_MAX, plan};
