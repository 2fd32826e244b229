//! Who is calling. The one place that makes a [`Principal`] of a request.

use tonic::{Request, Status};

use super::status::status_of;
use crate::clock::now_ms;
use crate::identity::{Member, Principal, PrincipalKind, RoleName};
use crate::job::Engine;
use crate::problem::{Problem, ProblemKind};

fn denied(code: &str, message: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::Authorization, code, message)
}

/// The member whose certificate the connection was made under: the authority's, valid now, and not revoked. None
/// without a certificate.
async fn certified<T>(engine: &Engine, request: &Request<T>) -> Result<Option<Member>, Problem> {
    let certificates = request.peer_certs();
    let Some(certificate) = certificates.as_ref().and_then(|list| list.first()) else { return Ok(None) };
    let now_s = (now_ms() / 1000) as i64;
    let member = engine
        .authority
        .certificate()
        .verify(certificate.as_ref(), now_s)
        .map_err(|e| denied("identity.certificate", e.to_string()))?;
    let known = engine.member(&member.name).await.map_err(|_| {
        let message = format!("{} is not enrolled here, or its enrolment was revoked", member.name);
        denied("identity.revoked", message)
    })?;
    if known.key != member.key || known.role != member.role {
        let message = format!("another certificate of {} is in force", member.name);
        return Err(denied("identity.revoked", message));
    }
    Ok(Some(member))
}

fn nobody() -> Problem {
    denied("identity.certificate", "no client certificate").hint("enrol first: `ward enrol --token ...`")
}

/// The hospital behind a node's request, and its certificate: nodes show one, always.
///
/// # Errors
/// A status with code `identity.*`, or `role` for anybody else.
pub async fn node<T>(engine: &Engine, request: &Request<T>) -> Result<(Principal, Member), Status> {
    let member = certified(engine, request).await.and_then(|found| found.ok_or_else(nobody));
    let member = member.map_err(status_of)?;
    match Principal::of_member(&member, now_ms()) {
        Some(caller) if caller.kind == PrincipalKind::Node => Ok((caller, member)),
        _ => Err(status_of(denied("role", format!("a {} may not do this", member.role.as_str())))),
    }
}

/// Who is behind a request.
///
/// # Errors
/// A status with code `identity.*`.
pub async fn principal<T>(engine: &Engine, request: &Request<T>) -> Result<Principal, Status> {
    let member = certified(engine, request).await.map_err(status_of)?;
    let principal = member.and_then(|member| Principal::of_member(&member, now_ms()));
    principal.ok_or_else(|| status_of(nobody()))
}

/// Who is behind a request, with one of these roles.
///
/// # Errors
/// A status with code `identity.*` or `role`.
pub async fn principal_in<T>(
    engine: &Engine,
    request: &Request<T>,
    roles: &[RoleName],
) -> Result<Principal, Status> {
    let caller = principal(engine, request).await?;
    if roles.iter().any(|role| caller.has(*role)) {
        return Ok(caller);
    }
    let message = format!("a {} may not do this", caller.role_text());
    Err(status_of(denied("role", message)))
}
