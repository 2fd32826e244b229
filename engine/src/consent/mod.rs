//! Consent: what patients allow and refuse, as the hospital keeps it, and the decision over it.
//!
//! An [`Artefact`] is one statement of one patient, who appears only as a [`Pseudonym`]. [`Index`] holds all of a
//! hospital's in memory; a [`Lens`] is a question to it (who asks, for what purpose, which data) that decides about one
//! patient after the other. A denial wins over every grant. [`Roots`] is the tree whose root says under which consents a
//! job ran, and under which a patient can show theirs. [`fhir`] reads and writes FHIR Consent. What is kept on disk is
//! the business of `store`; when it is asked, of `party`.

mod artefact;
mod decision;
mod error;
pub mod fhir;
mod index;
mod proof;
mod pseudonym;
mod purpose;
mod roots;
#[cfg(test)]
mod tests;

pub use artefact::{ARTEFACT, Artefact, COUNT_MAX, Provenance, Rule, Scope, Status, Validity};
pub use decision::{Decision, Question, Reason, Regime};
pub use error::ConsentError;
pub use index::{Index, Lens, Place, Statement};
pub use proof::{Claim, ConsentProof, PROOF_FILE_BYTES_MAX, RootStatement};
pub use pseudonym::{Pseudonym, PseudonymKey};
pub use purpose::{Purpose, PurposeError};
pub use roots::{Leaf, Roots};
