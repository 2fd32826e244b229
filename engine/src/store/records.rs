//! Rows of the engine's store other than jobs.

use super::blobs::BlobId;
use super::job::text_enum;
use crate::identity::{PublicKey, Role, TokenHash};

/// What is kept of an enrolment token.
#[derive(Clone)]
pub struct TokenRecord {
    /// Hash of the secret.
    pub hash: TokenHash,
    /// The role it enrols.
    pub role: Role,
    /// The name it enrols.
    pub name: String,
    /// When it was made (unix milliseconds).
    pub created_ms: u64,
    /// Last moment of use (unix milliseconds).
    pub expires_ms: u64,
}

/// An enrolled member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberRecord {
    /// Its name.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// Its key; no two members share one.
    pub key: PublicKey,
    /// Its certificate (DER).
    pub certificate: Vec<u8>,
    /// When it enrolled (unix milliseconds).
    pub enrolled_ms: u64,
    /// From when on it is revoked (unix milliseconds).
    pub revoked_ms: Option<u64>,
    /// True when its key was registered by token: then its certificate signs, and admits nobody by itself.
    pub by_token: bool,
}

/// What a hospital publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicationRecord {
    /// The hospital.
    pub hospital: String,
    /// The publication as JSON.
    pub json: String,
    /// Its version, from 1.
    pub version: u64,
    /// When (unix milliseconds).
    pub at_ms: u64,
}

text_enum! {
    /// States of an epoch.
    EpochState {
        /// Its key is being made.
        Ceremony = "ceremony",
        /// New jobs use it.
        Active = "active",
        /// Only jobs that began under it use it.
        Retired = "retired",
        /// Its ceremony failed.
        Failed = "failed",
    }
}

impl EpochState {
    /// True when an epoch may go from here to there.
    #[must_use]
    pub fn may_become(self, to: Self) -> bool {
        matches!((self, to), (Self::Ceremony, Self::Active | Self::Failed) | (Self::Active, Self::Retired))
    }
}

/// An epoch of the collective key. Everything in it is public.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// Its id.
    pub id: String,
    /// Parameters as JSON.
    pub params: String,
    /// Hospitals that hold a share, by name.
    pub participants: Vec<String>,
    /// How many of them open a result.
    pub threshold: u32,
    /// The collective public key.
    pub public_key: Option<BlobId>,
    /// The transcript of the ceremony.
    pub transcript: Option<BlobId>,
    /// Where it is.
    pub state: EpochState,
    /// When it last changed (unix milliseconds).
    pub at_ms: u64,
}

/// A message not delivered yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRow {
    /// Its number.
    pub seq: u64,
    /// Topic.
    pub topic: String,
    /// Payload (JSON).
    pub payload: String,
}
