//! What a person is told when something does not happen (design, section 14): a kind, a stable code, a sentence, a
//! hint; nothing secret.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The kinds of problem; clients choose their exit code by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// The request makes no sense as it stands.
    Validation,
    /// The caller may not do this.
    Authorization,
    /// There is no such thing.
    NotFound,
    /// It contradicts what is there.
    Conflict,
    /// Something needed is away; trying again may help.
    Unavailable,
    /// A rule refuses it.
    Compliance,
    /// Ward itself is at fault.
    Internal,
}

/// A problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Kind.
    pub kind: ProblemKind,
    /// Stable code, such as `policy.statistic`.
    pub code: String,
    /// A sentence.
    pub message: String,
    /// What to do about it; empty when there is nothing to say.
    pub hint: String,
    /// The hospital that refused or failed.
    pub hospital: Option<String>,
    /// A passing fault: the same request may succeed later.
    pub retryable: bool,
}

impl Problem {
    /// A problem without hint.
    #[must_use]
    pub fn new(kind: ProblemKind, code: &str, message: impl Into<String>) -> Self {
        Self {
            kind,
            code: code.to_owned(),
            message: message.into(),
            hint: String::new(),
            hospital: None,
            retryable: kind == ProblemKind::Unavailable,
        }
    }

    /// Adds a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// Names the hospital.
    #[must_use]
    pub fn at(mut self, hospital: impl Into<String>) -> Self {
        self.hospital = Some(hospital.into());
        self
    }

    /// Ward's own fault; the cause goes to the log, not to the caller.
    #[must_use]
    pub fn internal(cause: &(dyn fmt::Display + '_)) -> Self {
        tracing::error!(%cause, "internal error");
        Self::new(ProblemKind::Internal, "internal", "something went wrong inside Ward")
            .hint("the log of the process that answered has the cause")
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.hospital {
            Some(hospital) => write!(f, "{hospital}: {} [{}]", self.message, self.code),
            None => write!(f, "{} [{}]", self.message, self.code),
        }
    }
}

impl std::error::Error for Problem {}

impl ProblemKind {
    /// Its name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Validation => "validation",
            Self::Authorization => "authorization",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Unavailable => "unavailable",
            Self::Compliance => "compliance",
            Self::Internal => "internal",
        }
    }

    /// The kind of that name; an unknown one is internal.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        [
            Self::Validation,
            Self::Authorization,
            Self::NotFound,
            Self::Conflict,
            Self::Unavailable,
            Self::Compliance,
        ]
        .into_iter()
        .find(|kind| kind.name() == name)
        .unwrap_or(Self::Internal)
    }
}

impl From<crate::store::StoreError> for Problem {
    fn from(error: crate::store::StoreError) -> Self {
        use crate::store::StoreError as E;
        let kind = match &error {
            E::NotFound { .. } => ProblemKind::NotFound,
            E::Conflict { .. } | E::DrawnOnce { .. } | E::Replay { .. } | E::IllegalMove { .. } => {
                ProblemKind::Conflict
            }
            E::StaleFence { .. } => ProblemKind::Conflict,
            E::Token { .. } => ProblemKind::Authorization,
            E::Invalid { .. } => ProblemKind::Validation,
            E::Database { retry: true, .. } | E::Interrupted => ProblemKind::Unavailable,
            E::Vault(error) => return error.clone().into(),
            _ => return Self::internal(&error),
        };
        Self::new(kind, error.code(), error.to_string()).hint(error.hint().unwrap_or_default())
    }
}

impl From<crate::query::QueryError> for Problem {
    fn from(error: crate::query::QueryError) -> Self {
        Self::new(ProblemKind::Validation, error.code(), error.to_string())
            .hint(error.hint().unwrap_or_default())
    }
}

impl From<crate::party::local::policy::Refusal> for Problem {
    fn from(refusal: crate::party::local::policy::Refusal) -> Self {
        Self::new(ProblemKind::Compliance, refusal.rule, refusal.message).hint(refusal.hint)
    }
}

impl From<crate::party::local::LocalError> for Problem {
    fn from(error: crate::party::local::LocalError) -> Self {
        let kind = match error.code().split('.').next() {
            Some("plan") => ProblemKind::Compliance,
            _ => ProblemKind::Conflict,
        };
        Self::new(kind, error.code(), error.to_string()).hint(error.hint())
    }
}
