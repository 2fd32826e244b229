//! The module's errors as a person is told of them.

use super::error::AttestationError;
use crate::problem::{Problem, ProblemKind};

impl From<AttestationError> for Problem {
    fn from(error: AttestationError) -> Self {
        use AttestationError as E;
        let kind = match &error {
            E::NotFound { .. } => ProblemKind::NotFound,
            E::Conflict { .. } | E::Succession { .. } | E::Replay | E::DoubleCount => ProblemKind::Conflict,
            E::Passphrase => ProblemKind::Authorization,
            E::Policy { .. }
            | E::Unmet(_)
            | E::Violation(_)
            | E::DevelopmentKey
            | E::Expired { .. }
            | E::Stale { .. }
            | E::RevokedSince { .. }
            | E::RevocationsStale { .. }
            | E::PublishedMissing
            | E::PublishedStale { .. }
            | E::Unpublished { .. }
            | E::Outdated { .. }
            | E::Witness { .. }
            | E::UnknownIssuer => ProblemKind::Compliance,
            E::Did(crate::identity::DidError::Unavailable { .. }) => ProblemKind::Unavailable,
            E::Did(crate::identity::DidError::Key { .. }) => ProblemKind::Compliance,
            E::Identity(crate::identity::IdentityError::Random) => return Self::internal(&error),
            _ => ProblemKind::Validation,
        };
        Self::new(kind, error.code(), error.to_string()).hint(error.hint().unwrap_or_default())
    }
}
