//! Jobs as the store knows them.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::blobs::BlobId;
use super::error::StoreError;
use super::registration::NewRegistration;
use crate::audit::{Context, Event};
use crate::identity::Digest;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const ID_CHARS: usize = 26;

/// A job's id: 48 bits of time and 80 of randomness, as 26 characters that sort by time.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(String);

impl JobId {
    /// A new id.
    #[must_use]
    pub fn new(now_ms: u64, random: [u8; 10]) -> Self {
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&now_ms.to_be_bytes()[2..]);
        bytes[6..].copy_from_slice(&random);
        let mut value = u128::from_be_bytes(bytes);
        let mut text = [0; ID_CHARS];
        for place in text.iter_mut().rev() {
            *place = ALPHABET[(value & 31) as usize];
            value >>= 5;
        }
        Self(text.iter().map(|b| char::from(*b)).collect())
    }

    /// Reads an id.
    ///
    /// # Errors
    /// [`StoreError::Invalid`].
    pub fn parse(text: &str) -> Result<Self, StoreError> {
        let ok = text.len() == ID_CHARS && text.bytes().all(|b| ALPHABET.contains(&b)) && text < "8";
        if ok { Ok(Self(text.to_owned())) } else { Err(StoreError::Invalid { reason: "not a job id" }) }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for JobId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for JobId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// An enum that is a text in the store.
macro_rules! text_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$doc])* $variant),+ }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The text in the store.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// The value of that text.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(super) use text_enum;

text_enum! {
    /// Kinds of job.
    #[non_exhaustive]
    JobKind {
        /// A query answered under homomorphic encryption.
        Aggregate = "aggregate",
        /// A query answered on shares.
        MultiParty = "multi_party",
        /// The making of a collective key.
        KeyCeremony = "key_ceremony",
        /// Attestations to verify and register.
        Attestation = "attestation",
        /// A ceremony that makes the proof system's keys.
        Setup = "setup",
    }
}

text_enum! {
    /// States of a job (design, section 9).
    JobState {
        /// Nobody has looked at it yet.
        Queued = "queued",
        /// Waiting for parties.
        Waiting = "waiting",
        /// Parties compute.
        Running = "running",
        /// The result is being released.
        Committing = "committing",
        /// Finished with a result.
        Done = "done",
        /// Finished without one: it could not be computed.
        Failed = "failed",
        /// Finished without one: a rule refused it.
        Refused = "refused",
        /// Finished without one: its owner or the operator stopped it.
        Cancelled = "cancelled",
    }
}

impl JobState {
    /// True when nothing follows.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Refused | Self::Cancelled)
    }

    /// True when a job may go from here to there. A job that runs may go back to waiting (a new attempt); one
    /// that commits may not: its result may have left.
    #[must_use]
    pub fn may_become(self, to: Self) -> bool {
        match (self, to) {
            (from, _) if from.is_terminal() => false,
            (_, Self::Failed | Self::Refused | Self::Cancelled) => true,
            (Self::Queued, Self::Waiting)
            | (Self::Waiting, Self::Running)
            | (Self::Running, Self::Waiting | Self::Committing)
            | (Self::Committing, Self::Done) => true,
            _ => false,
        }
    }
}

/// A job to queue.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Its id.
    pub id: JobId,
    /// Its kind.
    pub kind: JobKind,
    /// Name of the member who asks.
    pub owner: String,
    /// The signed request, as it came.
    pub request: Vec<u8>,
    /// Of the request: the same request is the same job.
    pub request_digest: Digest,
    /// The plan as JSON.
    pub plan: String,
    /// Under which a result is given again, if it is.
    pub result_key: Option<Digest>,
    /// When it was submitted (unix milliseconds).
    pub created_ms: u64,
    /// When it fails if it is not finished (unix milliseconds).
    pub deadline_ms: u64,
    /// For whom, why, over what and from where: every audit event of the job says so.
    pub context: Context,
}

impl NewJob {
    /// A job whose request the engine writes itself: `request` is both what was asked and the plan.
    ///
    /// # Errors
    /// When the request is not UTF-8, which no JSON of ours is.
    pub fn of_request(
        (id, kind): (JobId, JobKind),
        owner: &str,
        request: Vec<u8>,
        (created_ms, limit_ms): (u64, u64),
    ) -> Result<Self, std::string::FromUtf8Error> {
        Ok(Self {
            id,
            kind,
            owner: owner.to_owned(),
            request_digest: Digest::of(&request),
            plan: String::from_utf8(request.clone())?,
            request,
            result_key: None,
            created_ms,
            deadline_ms: created_ms.saturating_add(limit_ms),
            context: Context::default().here(),
        })
    }
}

/// What became of a submission.
#[derive(Clone, Debug)]
pub enum Submitted {
    /// It was queued.
    New,
    /// The same request is this job.
    Existing(Box<JobSummary>),
}

/// A job without its request and plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobSummary {
    /// Its id.
    pub id: JobId,
    /// Its kind.
    pub kind: JobKind,
    /// Where it is.
    pub state: JobState,
    /// Name of the member who asks.
    pub owner: String,
    /// Of the request.
    pub request_digest: Digest,
    /// Under which a result is given again, if it is.
    pub result_key: Option<Digest>,
    /// When it was submitted (unix milliseconds).
    pub created_ms: u64,
    /// When it fails if it is not finished (unix milliseconds).
    pub deadline_ms: u64,
    /// Attempts begun: how often it entered waiting.
    pub attempt: u32,
    /// Newest fence.
    pub fence: u64,
    /// How it ended.
    pub conclusion: Option<Conclusion>,
    /// Index of its commitment in the log.
    pub leaf_index: Option<u64>,
}

/// A job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// All but the large parts.
    pub summary: JobSummary,
    /// The signed request.
    pub request: Vec<u8>,
    /// The plan as JSON.
    pub plan: String,
    /// For whom, why, over what and from where.
    pub context: Context,
}

/// How a job ended. Public facts only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conclusion {
    /// A stable code (`ok`, or that of the error).
    pub code: String,
    /// One sentence for people.
    pub message: String,
    /// The rule that refused, if one did.
    pub rule: Option<String>,
    /// The sealed result, if there is one.
    pub result: Option<BlobId>,
}

/// A lease: the right to write while the fence is the newest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The job.
    pub job: JobId,
    /// The fence.
    pub fence: u64,
}

/// A leased job.
#[derive(Clone, Debug)]
pub struct Leased {
    /// The lease.
    pub lease: Lease,
    /// The job.
    pub job: Job,
}

/// What happened in a job. Public facts only: no counts of patients, no values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobEvent {
    /// When (unix milliseconds).
    pub at_ms: u64,
    /// Which party, if one.
    pub party: Option<String>,
    /// Which step.
    pub step: String,
    /// One sentence for people; may be empty.
    pub detail: String,
}

/// A stored event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobEventRow {
    /// Its number within the job, from 1.
    pub seq: u64,
    /// The job's state after it.
    pub state: JobState,
    /// The event.
    pub event: JobEvent,
}

/// A message for other systems.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Topic.
    pub topic: String,
    /// Payload (JSON).
    pub payload: String,
}

/// A move of a job.
#[derive(Clone, Debug)]
pub struct Transition<'a> {
    /// The right to move it.
    pub lease: &'a Lease,
    /// Where it is.
    pub from: JobState,
    /// Where it goes.
    pub to: JobState,
    /// What happened.
    pub event: &'a JobEvent,
    /// For the audit chain.
    pub audit: &'a Event,
    /// For the outbox.
    pub message: &'a Message,
    /// How it ended: given exactly when `to` is terminal.
    pub conclusion: Option<&'a Conclusion>,
    /// Digest of the commitment, which becomes a leaf of the log: only when `to` is done.
    pub commitment: Option<&'a Digest>,
    /// Attestations that are registered with it, all or none: only when `to` is done.
    pub registrations: &'a [NewRegistration],
}

/// A move that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Number of the event within the job.
    pub event_seq: u64,
    /// Attempts begun.
    pub attempt: u32,
    /// Index of the leaf, when there was a commitment.
    pub leaf_index: Option<u64>,
}

/// What a party sent for a step of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The job.
    pub job: JobId,
    /// The party.
    pub party: String,
    /// The step, with the attempt in its name where a new attempt sends anew.
    pub step: String,
    /// The attempt it came in.
    pub attempt: u32,
    /// Of what was sent.
    pub digest: Digest,
    /// Where its bytes are.
    pub blob: BlobId,
    /// Its signed header, as it came.
    pub header: Vec<u8>,
}

/// What became of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutPart {
    /// It is kept.
    Stored,
    /// It was kept before.
    Existing,
}

/// Which jobs to list.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    /// Only of this member.
    pub owner: Option<String>,
    /// Only in this state.
    pub state: Option<JobState>,
    /// Only older than this job: the next page.
    pub before: Option<JobId>,
    /// Rows, at most [`super::PAGE_ROWS_MAX`]; 0 for that many.
    pub limit: u32,
}
