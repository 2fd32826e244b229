//! Ward's types as protobuf.

use super::v1;
use crate::identity::revocation::SignedRevocations;
use crate::party::task::Epoch;
use crate::problem::Problem;
use crate::store::{JobEventRow, JobKind, JobState};

/// An epoch.
#[must_use]
pub fn epoch(epoch: &Epoch) -> v1::Epoch {
    v1::Epoch {
        id: epoch.id.to_string(),
        profile: epoch.profile.clone(),
        holders: epoch.holders.clone(),
        threshold: epoch.threshold,
        public_key_digest: epoch.public_key.0.to_vec(),
    }
}

/// A state.
#[must_use]
pub fn state(state: JobState) -> v1::JobState {
    match state {
        JobState::Queued => v1::JobState::Queued,
        JobState::Waiting => v1::JobState::Waiting,
        JobState::Running => v1::JobState::Running,
        JobState::Committing => v1::JobState::Committing,
        JobState::Done => v1::JobState::Done,
        JobState::Failed => v1::JobState::Failed,
        JobState::Refused => v1::JobState::Refused,
        JobState::Cancelled => v1::JobState::Cancelled,
    }
}

/// A kind.
#[must_use]
pub fn kind(kind: JobKind) -> v1::JobKind {
    match kind {
        JobKind::Aggregate => v1::JobKind::Aggregate,
        JobKind::MultiParty => v1::JobKind::MultiParty,
        JobKind::KeyCeremony => v1::JobKind::Ceremony,
        JobKind::Attestation => v1::JobKind::Attestation,
        JobKind::Setup => v1::JobKind::Setup,
    }
}

/// A problem.
#[must_use]
pub fn problem(problem: Problem) -> v1::Problem {
    v1::Problem {
        kind: problem.kind.name().to_owned(),
        code: problem.code,
        message: problem.message,
        hint: problem.hint,
        hospital: problem.hospital.unwrap_or_default(),
    }
}

/// A list of revocations.
#[must_use]
pub fn revocations(signed: &SignedRevocations) -> v1::RevocationList {
    v1::RevocationList { json: signed.json.clone(), signature: signed.signature.0.to_vec() }
}

/// An event.
#[must_use]
pub fn event(row: JobEventRow) -> v1::JobEvent {
    v1::JobEvent {
        sequence: row.seq,
        at_unix_ms: row.event.at_ms,
        state: state(row.state).into(),
        hospital: row.event.party.unwrap_or_default(),
        step: row.event.step,
        detail: row.event.detail,
    }
}
