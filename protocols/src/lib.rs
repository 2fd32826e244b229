//! Ward's protocols.
//!
//! - [`he`]: threshold homomorphic encryption, additive: hospitals encrypt under a key nobody holds, anybody adds,
//!   and together they switch the sum to the researcher's key.
//!
//! - [`mpc`]: computation on replicated shares by three nodes, one of which may be corrupted.
//!
//! - [`dp`]: what noise costs in differential privacy, and how much a query needs.
//!
//! - [`sharing`]: a record's key, encrypted under a policy over attributes, or delegated through a proxy.
//!
//! - [`sim`]: three nodes in one process, for tests.
//!
//! Nothing here spawns, sleeps, reads a clock, a file or an environment variable; randomness is an argument.
#![deny(unsafe_code)]

pub mod dp;
mod error;
pub mod he;
pub mod mpc;
pub mod sharing;
pub mod sim;

pub use error::{Error, Result};
