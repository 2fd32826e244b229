//! Zero-knowledge statements of Ward.
//!
//! A [`Statement`] is a relation between what everybody sees and what only the prover knows. This crate holds
//! the relation as ordinary code, and the token [`Verified`], which says that a relation held for the public
//! input inside it. There is no proof system here yet: the one way to a token is [`verify_opened`], by a
//! verifier who may see the witness.

pub mod statement;

pub use statement::{Statement, Verified, verify_opened};
