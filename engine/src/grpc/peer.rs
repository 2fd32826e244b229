//! Who is calling: the member whose certificate the connection was made under.

use tonic::{Request, Status};

use super::status::status_of;
use crate::clock::now_ms;
use crate::identity::{Member, Role};
use crate::job::Engine;
use crate::problem::{Problem, ProblemKind};

/// The member behind a request: its certificate is the authority's, valid now, and not revoked.
///
/// # Errors
/// A status with code `identity.*`.
pub async fn member<T>(engine: &Engine, request: &Request<T>) -> Result<Member, Status> {
    let denied =
        |code: &str, message: String| status_of(Problem::new(ProblemKind::Authorization, code, message));
    let certificates = request.peer_certs();
    let certificate = certificates.as_ref().and_then(|list| list.first()).ok_or_else(|| {
        let problem =
            Problem::new(ProblemKind::Authorization, "identity.certificate", "no client certificate");
        status_of(problem.hint("enrol first: `ward enrol --token ...`"))
    })?;
    let now_s = (now_ms() / 1000) as i64;
    let member = engine
        .authority
        .certificate()
        .verify(certificate.as_ref(), now_s)
        .map_err(|e| denied("identity.certificate", e.to_string()))?;
    let known = engine.member(&member.name).await.map_err(|_| {
        denied(
            "identity.revoked",
            format!("{} is not enrolled here, or its enrolment was revoked", member.name),
        )
    })?;
    if known.key != member.key || known.role != member.role {
        return Err(denied(
            "identity.revoked",
            format!("another certificate of {} is in force", member.name),
        ));
    }
    Ok(member)
}

/// The member behind a request, in one of these roles.
///
/// # Errors
/// A status with code `identity.*` or `role`.
pub async fn member_in<T>(engine: &Engine, request: &Request<T>, roles: &[Role]) -> Result<Member, Status> {
    let member = member(engine, request).await?;
    if roles.contains(&member.role) {
        return Ok(member);
    }
    let message = format!("a {} may not do this", member.role.as_str());
    Err(status_of(Problem::new(ProblemKind::Authorization, "role", message)))
}
