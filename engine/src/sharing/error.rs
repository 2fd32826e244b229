//! What can be wrong when something is shared, and how a person is told.

use ward_protocols::sharing::{PolicyError, SharingError};

use crate::attestation::AttestationError;
use crate::identity::IdentityError;
use crate::identity::passphrase::PassphraseError;
use crate::problem::{Problem, ProblemKind};

/// Why something is not shared or does not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShareError {
    /// What the schemes refuse.
    #[error(transparent)]
    Scheme(#[from] SharingError),
    /// Not the file that it should be.
    #[error("not {what}: {reason}")]
    Malformed {
        /// What was due.
        what: &'static str,
        /// Why it is none.
        reason: String,
    },
    /// A file of a version that this software does not know.
    #[error("{what} of version {found}, and version 1 is known here")]
    Version {
        /// What it is.
        what: &'static str,
        /// Found.
        found: u32,
    },
    /// An attribute that only Ward gives.
    #[error("the attribute {name:?} is kept for epochs")]
    Reserved {
        /// The attribute.
        name: String,
    },
    /// A key without attributes.
    #[error("a key needs an attribute")]
    NoAttribute,
    /// More bytes than are shared in one file.
    #[error("{bytes} bytes, and {limit} are shared in one file")]
    TooLarge {
        /// How many there are.
        bytes: usize,
        /// How many may be.
        limit: usize,
    },
    /// A house's trail that cannot be continued.
    #[error("the trail {path}: {reason}")]
    Trail {
        /// Where it is.
        path: String,
        /// Why.
        reason: String,
    },
    /// A file that cannot be read or written.
    #[error(transparent)]
    File(#[from] AttestationError),
    /// A passphrase.
    #[error(transparent)]
    Passphrase(#[from] PassphraseError),
    /// Names and sealing.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

impl From<PolicyError> for ShareError {
    fn from(error: PolicyError) -> Self {
        Self::Scheme(error.into())
    }
}

impl ShareError {
    /// Kind, stable code and hint.
    fn explain(&self) -> (ProblemKind, &'static str, &'static str) {
        use ProblemKind::{Authorization, Compliance, NotFound, Validation};
        use SharingError as S;
        match self {
            Self::Scheme(S::Policy(policy)) => (Validation, "share.policy", policy.hint.unwrap_or_default()),
            Self::Scheme(S::Lacks { .. }) => (
                Authorization,
                "share.lacks",
                "ask the authority for a key with these attributes, or the owner for another policy; an epoch is missing from a key that was issued before it",
            ),
            Self::Scheme(S::Authority) => (
                Authorization,
                "share.authority",
                "`ward share show` names the authority of a file and of a key",
            ),
            Self::Scheme(S::Recipient { .. }) => {
                (Authorization, "share.recipient", "`ward share show` names the house a file is for")
            }
            Self::Scheme(S::Unproven | S::Grant) => (
                Compliance,
                "share.key",
                "ask its holder for the file again, and compare the id that `ward share show` prints",
            ),
            Self::Scheme(S::Changed) => {
                (Compliance, "share.changed", "ask whoever sent it for the file again")
            }
            Self::Scheme(S::Limit { .. }) => {
                (Validation, "share.limit", "write a repeated attribute once: `a and (b or c)`")
            }
            Self::Reserved { .. } => {
                (Validation, "share.reserved", "the epoch is added by itself; choose another name")
            }
            Self::NoAttribute => (Validation, "share.attribute", "give --attribute role:oncologist"),
            Self::Trail { .. } => (
                Compliance,
                "share.trail",
                "nothing was granted: keep the file as it is, find out who changed it, and move it away",
            ),
            Self::TooLarge { .. } => (Validation, "share.size", "share it in parts"),
            Self::Passphrase(PassphraseError::Wrong) => (Authorization, "share.passphrase", ""),
            Self::Passphrase(_) => (Validation, "share.passphrase", "choose a longer one"),
            Self::File(AttestationError::NotFound { .. }) => (NotFound, "share.file", ""),
            _ => (Validation, "share.file", "`ward share show FILE` says what a file is"),
        }
    }
}

impl From<ShareError> for Problem {
    fn from(error: ShareError) -> Self {
        if let ShareError::Passphrase(PassphraseError::Identity(IdentityError::Random))
        | ShareError::Identity(IdentityError::Random) = &error
        {
            return Self::internal(&error);
        }
        if let ShareError::File(file) = error {
            return file.into();
        }
        let (kind, code, hint) = error.explain();
        Self::new(kind, code, error.to_string()).hint(hint)
    }
}
