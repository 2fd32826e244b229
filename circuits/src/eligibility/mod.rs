//! `eligibility/v1`: a patient meets the criteria of a study, and nothing else is said.
//!
//! One circuit serves every study: the criteria are public data, of which the circuit opens a digest. The statement,
//! for public criteria, schema, study, root of issuers, date, context and nullifier:
//!
//! *I know a credential of that schema, signed by an issuer under the root, bound to a holder's secret that I know,
//! valid on the date, not revoked, whose attributes meet the criteria; the nullifier is that of its patient in the
//! study.*
//!
//! - [`types`], [`set`]: criteria; [`attributes`], [`credential`]: credentials; [`status`]: revocations and issuers.
//! - The statement as ordinary code ([`Public`], [`Witness`], [`Violation`]) and as constraints.
//!
//! # Security
//! What the issuer is trusted for: that the attributes are true, that a list marked complete is, that every patient
//! has one secret name. A proof hides the issuer among the issuers and the patient among its patients; who knows a
//! patient's secret name recognises the patient's nullifiers.

pub mod attributes;
mod clauses;
mod constraints;
pub mod credential;
mod encoding;
mod example;
mod relation;
pub mod set;
pub mod status;
pub mod types;

pub use attributes::Attributes;
pub use credential::{
    Credential, CredentialError, Day, Header, HolderKey, HolderSecret, Nullifier, PatientSecret, SchemaId,
    StudyId,
};
pub use relation::{Context, Public, Violation, Witness, terms};
pub use set::CodeSet;
pub use status::{Issuer, Issuers, StatusIndex, StatusList, StatusPath, StatusTree};
pub use types::{
    CLAUSES_MAX, Clause, Criteria, CriteriaError, Interval, Run, SET_CLAUSES_MAX, SLOTS, Slot, SlotIndex,
    Test,
};

/// The statement `ward/eligibility/1`.
#[derive(Debug)]
pub enum Eligibility {}

#[cfg(test)]
mod tests;
