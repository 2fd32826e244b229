//! Problems as gRPC statuses and back: the kind is the status code, code and hint travel as metadata.

use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

use crate::problem::{Problem, ProblemKind};

const CODE: &str = "ward-code";
const HINT: &str = "ward-hint-bin";
const HOSPITAL: &str = "ward-hospital-bin";

/// A problem as a status.
#[must_use]
pub fn status_of(problem: Problem) -> Status {
    let code = match problem.kind {
        ProblemKind::Validation => Code::InvalidArgument,
        ProblemKind::Authorization => Code::PermissionDenied,
        ProblemKind::NotFound => Code::NotFound,
        ProblemKind::Conflict => Code::AlreadyExists,
        ProblemKind::Unavailable => Code::Unavailable,
        ProblemKind::Compliance => Code::FailedPrecondition,
        ProblemKind::Internal => Code::Internal,
    };
    let mut status = Status::new(code, problem.message);
    if let Ok(value) = problem.code.parse() {
        status.metadata_mut().insert(CODE, value);
    }
    if !problem.hint.is_empty() {
        status.metadata_mut().insert_bin(HINT, MetadataValue::from_bytes(problem.hint.as_bytes()));
    }
    if let Some(hospital) = problem.hospital {
        status.metadata_mut().insert_bin(HOSPITAL, MetadataValue::from_bytes(hospital.as_bytes()));
    }
    status
}

/// A status as a problem.
#[must_use]
pub fn problem_of(status: &Status) -> Problem {
    let kind = match status.code() {
        Code::InvalidArgument | Code::OutOfRange => ProblemKind::Validation,
        Code::PermissionDenied | Code::Unauthenticated => ProblemKind::Authorization,
        Code::NotFound => ProblemKind::NotFound,
        Code::AlreadyExists | Code::Aborted => ProblemKind::Conflict,
        Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted => ProblemKind::Unavailable,
        Code::FailedPrecondition => ProblemKind::Compliance,
        _ => ProblemKind::Internal,
    };
    let code = status.metadata().get(CODE).and_then(|v| v.to_str().ok()).unwrap_or(match status.code() {
        Code::Unavailable => "engine.unreachable",
        Code::Unauthenticated => "identity.unauthenticated",
        _ => "engine.status",
    });
    let text = |key: &str| {
        let bytes = status.metadata().get_bin(key)?.to_bytes().ok()?;
        String::from_utf8(bytes.to_vec()).ok()
    };
    let mut problem = Problem::new(kind, code, status.message());
    problem.hint = text(HINT).unwrap_or_default();
    problem.hospital = text(HOSPITAL);
    problem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_survives_the_wire() {
        let problem = Problem::new(ProblemKind::Compliance, "policy.statistic", "MIN is not allowed")
            .hint("ask for – a histogram")
            .at("Zürich");
        assert_eq!(problem_of(&status_of(problem.clone())), problem);
    }
}
