//! Who is calling. The one place that makes a [`Principal`] of a request.
//!
//! A certificate, a token, or both. Nodes show a certificate, always; people who were enrolled show theirs; people and
//! services who log in show a token. Both on one call must name the same, and a certificate that was issued on the
//! strength of a token admits nobody without one.

use tonic::{Request, Status};

use super::status::status_of;
use crate::audit::Outcome;
use crate::clock::now_ms;
use crate::identity::authorize::{Question, Resource, Subject};
use crate::identity::bearer::{Asserted, BearerError};
use crate::identity::{Member, Principal, PrincipalKind, Role, RoleName, clip};
use crate::job::{Engine, audit_event};
use crate::problem::{Problem, ProblemKind};
use crate::store::{PersonRecord, blocking};

fn denied(code: &str, message: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::Authorization, code, message)
}

/// The member whose certificate the connection was made under, and whether that admits by itself.
struct Certified {
    member: Member,
    by_token: bool,
}

/// The member of the connection's certificate: the authority's, valid now, and not revoked. None without a certificate.
async fn certified<T>(engine: &Engine, request: &Request<T>) -> Result<Option<Certified>, Problem> {
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
    Ok(Some(Certified { member, by_token: known.by_token }))
}

fn nobody() -> Problem {
    denied("identity.certificate", "neither a client certificate nor a token")
        .hint("enrol with `ward enrol --token ...`, or log in with `ward login`")
}

/// The token of a call: `authorization: Bearer ...`.
fn token_of<T>(request: &Request<T>) -> Result<Option<&str>, Problem> {
    let mut values = request.metadata().get_all("authorization").iter();
    let Some(value) = values.next() else { return Ok(None) };
    let malformed = || denied("token.malformed", "the authorization is not one bearer token");
    if values.next().is_some() {
        return Err(malformed());
    }
    let (scheme, token) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(malformed)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(malformed());
    }
    Ok(Some(token.trim()))
}

/// What the issuer says of a token's bearer. A refusal is audited, up to a number a minute.
async fn asserted(engine: &Engine, token: &str) -> Result<Asserted, Problem> {
    let now = now_ms();
    let verified = engine.authenticator.verify(token, now).await.map_err(|e| Problem::internal(&e))?;
    let error = match verified {
        Ok(asserted) => return Ok(asserted),
        Err(error) => error,
    };
    if engine.authenticator.is_refusal_noted(now) {
        let mut audit = audit_event("?", "none", "token.refuse", "token");
        (audit.outcome, audit.detail) = (Outcome::Refused, error.code().to_owned());
        blocking(&engine.store, move |s| s.audit(&audit)).await?;
    }
    let kind = match error {
        BearerError::Provider { .. } => ProblemKind::Unavailable,
        _ => ProblemKind::Authorization,
    };
    Err(Problem::new(kind, error.code(), error.to_string()).hint(error.hint()))
}

/// Refuses the bearers of names and organisations that were revoked.
async fn check_revoked(engine: &Engine, said: &Asserted) -> Result<(), Problem> {
    let (name, organisation) = (said.name.clone(), said.organisation.clone());
    let revoked = blocking(&engine.store, move |s| {
        let is_revoked = |name: &str, role: Option<Role>| {
            let found = s.member(name)?;
            let counts = |m: &crate::store::MemberRecord| role.is_none_or(|role| m.role == role);
            Ok::<_, crate::store::StoreError>(found.is_some_and(|m| m.revoked_ms.is_some() && counts(&m)))
        };
        let own = is_revoked(&name, None)?;
        let house = organisation.as_deref().map(|name| is_revoked(name, Some(Role::Hospital))).transpose()?;
        Ok(own || house.unwrap_or(false))
    })
    .await?;
    if revoked {
        return Err(denied("identity.revoked", format!("{}, or its organisation, was revoked", said.name)));
    }
    Ok(())
}

async fn bearer(engine: &Engine, token: &str, shown: Option<&Certified>) -> Result<Principal, Problem> {
    let said = asserted(engine, token).await?;
    check_revoked(engine, &said).await?;
    if let Some(shown) = shown {
        let role = RoleName::parse(shown.member.role.as_str()).ok();
        let agrees = shown.member.name == said.name
            && shown.member.role != Role::Hospital
            && role.is_some_and(|role| said.roles.contains(&role));
        if !agrees {
            let message = format!(
                "the certificate is of {} ({}), the token of {}",
                shown.member.name,
                shown.member.role.as_str(),
                said.name
            );
            return Err(denied("identity.disagree", message)
                .hint("a connection's certificate and token must be of one person in one role"));
        }
    }
    let person = PersonRecord {
        name: said.name.clone(),
        issuer: said.issuer.clone(),
        subject: said.subject.clone(),
        first_ms: now_ms(),
    };
    let mut audit =
        audit_event(&said.name, said.kind.as_str(), "person.bind", &format!("person:{}", said.name));
    audit.detail = format!("{} {}", clip(&said.issuer), clip(&said.subject));
    let holds_key = shown.is_some_and(|shown| !shown.by_token);
    blocking(&engine.store, move |s| s.bind_person(&person, holds_key, &audit)).await.map_err(|error| {
        denied("identity.name_taken", error.to_string())
            .hint("names are unique in a consortium; a member enrolled under this name logs in from the folder with its certificate")
    })?;
    Ok(Principal {
        name: said.name,
        kind: said.kind,
        roles: said.roles,
        organisation: said.organisation,
        acr: said.acr,
        amr: said.amr,
        authenticated_at_ms: said.authenticated_at_ms,
        expires_ms: said.expires_ms,
        key: shown.map(|shown| shown.member.key),
    })
}

/// The hospital behind a node's request, and its certificate: nodes show one, always, and no token. The policies must
/// permit the call.
///
/// # Errors
/// A status with code `identity.*` or `authorization.*`.
pub async fn node<T>(
    engine: &Engine,
    request: &Request<T>,
    call: &str,
) -> Result<(Principal, Member), Status> {
    let caller = allowed(engine, request, call).await?;
    let member = certified(engine, request).await.and_then(|found| found.ok_or_else(nobody));
    let member = member.map_err(status_of)?.member;
    if caller.kind == PrincipalKind::Node {
        return Ok((caller, member));
    }
    let message = format!("{} is no node: this call is a hospital's", caller.name);
    Err(status_of(denied("authorization.denied", message)))
}

/// The enrolled member whose certificate the connection was made under, whatever its role.
///
/// # Errors
/// A status with code `identity.*`, also for a certificate that was issued on the strength of a token.
pub async fn enrolled<T>(engine: &Engine, request: &Request<T>) -> Result<Member, Status> {
    let shown = certified(engine, request).await.map_err(status_of)?;
    let enrolled = shown.filter(|shown| !shown.by_token).map(|shown| shown.member);
    enrolled.ok_or_else(|| status_of(nobody()))
}

/// Who is behind a request.
async fn principal<T>(engine: &Engine, request: &Request<T>) -> Result<Principal, Problem> {
    let shown = certified(engine, request).await?;
    if let Some(token) = token_of(request)? {
        return bearer(engine, token, shown.as_ref()).await;
    }
    let shown = shown.ok_or_else(nobody)?;
    if shown.by_token {
        let message =
            format!("the key of {} was registered by token: a token comes with it", shown.member.name);
        return Err(denied("identity.token_missing", message).hint("log in with `ward login`"));
    }
    Principal::of_member(&shown.member, now_ms()).ok_or_else(nobody)
}

/// Who is behind a request, whom the policies permit the call (`Service.Method`). Every handler but enrolment's begins
/// with this.
///
/// # Errors
/// A status with code `identity.*` or `authorization.*`. Either is audited.
pub async fn allowed<T>(engine: &Engine, request: &Request<T>, call: &str) -> Result<Principal, Status> {
    let caller = match principal(engine, request).await {
        Ok(caller) => caller,
        Err(problem) => {
            engine.turned_away(call, &problem).await.map_err(status_of)?;
            return Err(status_of(problem));
        }
    };
    let consortium = Resource::consortium(&engine.consortium);
    engine.authorize(&caller, call, consortium).await.map_err(status_of)?;
    Ok(caller)
}

/// Checks that the policies permit a call to somebody who has shown nothing: for the calls that come before one is a
/// member.
///
/// # Errors
/// A status with code `authorization.*`.
pub async fn open(engine: &Engine, call: &str) -> Result<(), Status> {
    let consortium = Resource::consortium(&engine.consortium);
    let question = Question::new(&Subject::visitor(), call, consortium, now_ms());
    let decision = engine.policies.decide_or_refuse(&question);
    if decision.allowed {
        return Ok(());
    }
    let problem = decision.problem("somebody without a certificate or token");
    engine.turned_away(call, &problem).await.map_err(status_of)?;
    Err(status_of(problem))
}
