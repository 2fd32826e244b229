//! Gates: what programs are made of, each on whole columns, one message a step.
//!
//! A caller narrows the session to a step of its own for every gate. Local operations are methods of the shares.

pub mod adder;
pub mod boolean;
pub mod compare;
pub mod convert;
pub mod input;
pub mod least;
pub mod multiply;
pub mod open;
pub mod random;
pub mod ranking;
pub mod reshare;
pub mod select;
pub mod shuffle;
pub mod sort;

#[cfg(test)]
mod tests;
