//! Sharing a record's key between hospitals, on the pairing of BLS12-381.
//!
//! - [`policy`]: who may open, as AND and OR over attributes; [`span_program`] turns it into rows of a matrix.
//! - [`fame`]: encryption under a policy, secure against chosen plaintexts; [`sealed`] makes of it a sealed message,
//!   secure against chosen ciphertexts.
//! - [`delegation`]: a message for one house that a proxy turns into a message for another, without reading it.
//!
//! Nothing here proves who wrote a message: whoever has the public keys can seal. Elements are decoded only with the
//! checks of [`group`], which also says what is known of timing.

pub mod delegation;
mod error;
pub mod fame;
pub mod group;
pub mod policy;
pub mod sealed;
pub mod span_program;

pub use error::{Result, SharingError};
pub use policy::{Attribute, Policy, PolicyError};
