//! FHIR Consent, releases 4 and 5: to artefacts, and back.
//!
//! What a consent says in codes that the [`Mapping`] does not know grants nothing, and a denial whose codes are not known
//! denies everything. A restriction that Ward cannot check (security labels, single resources, periods of the data) makes
//! a permit void; of a denial it is left away, so that it denies more. Every consent that is not taken over has a
//! [`Reject`] that says why.
//!
//! Base and exceptions: in release 4 the root's type, or the policy rule OPTIN or OPTOUT, is the base, and nested
//! provisions say what they are. In release 5 `decision` is the base, and provisions are exceptions to it, nested ones to
//! the provision that they are in. A base that denies everything and has exceptions is what holds where nothing else is
//! said. A base that permits and says not for what grants nothing, but its exceptions deny.

mod date;
mod mapping;
mod read;
mod write;

pub use date::span;
pub use mapping::Mapping;
pub use read::{Document, Reject, Subject, read};
pub use write::{Release, write};
