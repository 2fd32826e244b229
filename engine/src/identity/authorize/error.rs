//! Why policies, or a question to them, are refused.

/// Why.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// A file cannot be read.
    #[error("cannot read the policies {file}: {reason}")]
    Unreadable {
        /// The file.
        file: String,
        /// What the system says.
        reason: String,
    },
    /// It is not Cedar.
    #[error("{file}:{line}:{column}: {message}")]
    Syntax {
        /// The file.
        file: String,
        /// Line, from 1.
        line: usize,
        /// Column, from 1, in characters.
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// A policy names what the schema does not have, or is a template.
    #[error("{file}:{line}:{column}: policy {policy}: {message}")]
    Invalid {
        /// The file.
        file: String,
        /// Line, from 1.
        line: usize,
        /// Column, from 1, in characters.
        column: usize,
        /// The policy.
        policy: String,
        /// What is wrong.
        message: String,
    },
    /// The schema does not know a call of this version.
    #[error("the schema has no action for the call {rpc}")]
    Call {
        /// `Service.Method`.
        rpc: String,
    },
    /// A question does not fit the schema.
    #[error("the question does not fit the schema: {reason}")]
    Question {
        /// What is wrong.
        reason: String,
    },
}

impl PolicyError {
    /// A stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "policies.unreadable",
            Self::Syntax { .. } => "policies.syntax",
            Self::Invalid { .. } => "policies.invalid",
            Self::Call { .. } => "policies.call",
            Self::Question { .. } => "policies.question",
        }
    }

    /// What to do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "give the path of a file of Cedar policies",
            Self::Syntax { .. } => "the language is described at https://docs.cedarpolicy.com",
            Self::Invalid { .. } => {
                "`ward policy show --schema` prints what a policy may name; every policy needs its own @id"
            }
            Self::Call { .. } => "this is a fault of Ward; report it",
            Self::Question { .. } => "`ward policy show --schema` prints which act applies to what",
        }
    }
}

impl From<PolicyError> for crate::problem::Problem {
    fn from(error: PolicyError) -> Self {
        use crate::problem::ProblemKind;
        Self::new(ProblemKind::Validation, error.code(), error.to_string()).hint(error.hint())
    }
}
