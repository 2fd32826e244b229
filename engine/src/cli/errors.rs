//! Errors as a person sees them: a kind, a stable code, one sentence, a hint, and a trace id to quote.
//!
//! The text goes to stderr as
//!
//! ```text
//! error: unknown column `bmi2` [unknown_column]
//! hint: the table `subjects` has bmi, age, sex
//! trace: 9f2c41d07a3b
//! ```
//!
//! or, under `--json`, as one line `{"error":{"kind":..,"code":..,"message":..,"hint":..,"trace_id":..}}`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::exit::Exit;

/// What went wrong, in the terms of the interface; decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// What was asked makes no sense as written.
    Validation,
    /// Who asks may not.
    Authorization,
    /// What was named does not exist.
    NotFound,
    /// It exists already, or is in another state.
    Conflict,
    /// The engine, or too many hospitals, cannot be reached now.
    Unavailable,
    /// A rule of the consortium or of a hospital refused.
    Compliance,
    /// A flaw of Ward.
    Internal,
}

impl ErrorKind {
    /// All kinds, in the order of the documentation.
    pub const ALL: [Self; 7] = [
        Self::Validation,
        Self::Authorization,
        Self::NotFound,
        Self::Conflict,
        Self::Unavailable,
        Self::Compliance,
        Self::Internal,
    ];

    /// The name on the wire and in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
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

    /// The kind of that name; a name that this version does not know is `Internal`.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        Self::ALL.into_iter().find(|k| k.name() == name).unwrap_or(Self::Internal)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An error for a person. Holds nothing secret: it is printed, logged and pasted into mails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct UserError {
    /// Kind.
    pub kind: ErrorKind,
    /// Stable code, snake case (`unknown_column`).
    pub code: String,
    /// One lowercase fragment with the offending values.
    pub message: String,
    /// The hospital that refused or failed, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hospital: Option<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The request's trace id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}

impl UserError {
    /// An error without hint and trace id.
    pub fn new(kind: ErrorKind, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { kind, code: code.into(), message: message.into(), hospital: None, hint: None, trace_id: None }
    }

    /// With the hospital that refused or failed.
    #[must_use]
    pub fn with_hospital(mut self, hospital: impl Into<String>) -> Self {
        self.hospital = Some(hospital.into());
        self
    }

    /// With what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With the request's trace id.
    #[must_use]
    pub fn with_trace_id(mut self, trace_id: impl Into<String>) -> Self {
        self.trace_id = Some(trace_id.into());
        self
    }

    /// The exit code of the process that ends with this error.
    #[must_use]
    pub fn exit(&self) -> Exit {
        Exit::from(self.kind)
    }

    /// `{"error":{...}}` on one line.
    #[must_use]
    pub fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Document<'a> {
            error: &'a UserError,
        }
        // Serializing text cannot fail; were it to, the message is what matters.
        serde_json::to_string(&Document { error: self }).unwrap_or_else(|_| self.message.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_names_round_trip_and_unknown_names_are_internal() {
        for kind in ErrorKind::ALL {
            assert_eq!(ErrorKind::from_name(kind.name()), kind);
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
        assert_eq!(ErrorKind::from_name("teapot"), ErrorKind::Internal);
    }

    #[test]
    fn json_form_is_one_line_and_leaves_out_what_is_absent() {
        let error = UserError::new(ErrorKind::NotFound, "unknown_job", "no job `j\n1`");
        assert_eq!(
            error.to_json(),
            r#"{"error":{"kind":"not_found","code":"unknown_job","message":"no job `j\n1`"}}"#
        );
        let full = error.with_hint("list them").with_trace_id("ab12");
        let json: serde_json::Value = serde_json::from_str(&full.to_json()).unwrap();
        assert_eq!(json["error"]["hint"], "list them");
        assert_eq!(json["error"]["trace_id"], "ab12");
        assert_eq!(serde_json::from_value::<UserError>(json["error"].clone()).unwrap(), full);
    }
}
