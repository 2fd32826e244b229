//! Why consent could not be recorded, read or asked.

use crate::problem::{Problem, ProblemKind};

/// Why consent could not be recorded, read or asked. Never names a patient.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConsentError {
    /// The scope of an artefact makes no sense.
    #[error("the consent is refused: {reason}")]
    Scope {
        /// Which rule refuses it.
        reason: &'static str,
    },
    /// A status that cannot follow.
    #[error("a consent that is {from} cannot become {to}")]
    Status {
        /// The status it has.
        from: &'static str,
        /// The status asked for.
        to: &'static str,
    },
    /// The key that makes pseudonyms.
    #[error("the key that makes pseudonyms: {reason}")]
    Key {
        /// What is wrong.
        reason: String,
    },
    /// A mapping file.
    #[error("the mapping of consents: {reason}")]
    Mapping {
        /// What is wrong.
        reason: String,
    },
    /// A proof of consent.
    #[error("the proof of consent: {reason}")]
    Proof {
        /// What does not hold.
        reason: String,
    },
    /// More consents than the tree holds.
    #[error("{leaves} consents by purpose and class, the tree has room for {leaves_max}")]
    Room {
        /// How many there are.
        leaves: usize,
        /// How many there may be.
        leaves_max: usize,
    },
}

impl ConsentError {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Scope { .. } => "consent.scope",
            Self::Status { .. } => "consent.status",
            Self::Key { .. } => "consent.key",
            Self::Mapping { .. } => "consent.mapping",
            Self::Proof { .. } => "consent.proof",
            Self::Room { .. } => "consent.room",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Scope { .. } => "say what the data may be used for with --purpose DUO:0000042",
            Self::Status { .. } => "what was revoked or has expired stays so; record a new consent",
            Self::Key { .. } => {
                "restore pseudonym.key and the sealing key together: another key names no patient again"
            }
            Self::Mapping { .. } => "compare it with docs/operating/consent.md",
            Self::Proof { .. } => "`ward party consent list --patient ID` shows what the patient consents to",
            Self::Room { .. } => "name fewer classes and purposes in a consent, or none for all classes",
        }
    }
}

impl From<ConsentError> for Problem {
    fn from(error: ConsentError) -> Self {
        let kind = match &error {
            ConsentError::Status { .. } => ProblemKind::Conflict,
            _ => ProblemKind::Validation,
        };
        Self::new(kind, error.code(), error.to_string()).hint(error.hint())
    }
}
