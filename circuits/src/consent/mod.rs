//! `consent/v1`: an active consent of a patient, for a purpose and a data class, is under a consent snapshot.
//!
//! A hospital publishes the root of its consents at a moment (a snapshot). A proof says of one patient, who stays
//! unnamed, that the snapshot has an active consent to the purpose and the class on the day. The patient appears as a
//! *subject*: the hash of the pseudonym and of the request, the same for two proofs about one patient in one request,
//! unlike in another request.
//!
//! Statement, for public root R, terms T, day d and subject s: I know a pseudonym p and days b <= d <= e such that the
//! leaf Poseidon(p, purpose, class, b, e, active) is under R, T = Poseidon(purpose, class, request) and
//! s = Poseidon(p, request).
//!
//! # Security
//! The hospital is trusted for its snapshot: a consent that it left out cannot be shown, one that it invented can. A
//! pseudonym that can be guessed gives the subject away: it has 128 bits of entropy.

mod constraints;
mod relation;

pub use relation::{CONSENT_DEPTH, Consent, Public, Snapshot, Status, Violation, Witness};

/// The statement `ward/consent/1`.
#[derive(Debug)]
pub enum ConsentGiven {}

#[cfg(test)]
mod tests;
