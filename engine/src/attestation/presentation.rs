//! What a holder shows of a credential, as its verifier checks it: signatures, binding, validity, status.

use serde_json::{Value, json};

use super::credential::{TYPE, VCT};
use super::documents::IssuerDocument;
use super::error::AttestationError;
use super::key_binding::{self, Expected};
use super::sd_jwt::Claims;
use super::status_list;
use crate::identity::PublicKey;

/// Longest time since the holder signed, in seconds, unless the verifier says otherwise.
pub const AGE_S: u64 = 300;

/// A presentation that holds.
pub struct Shown {
    /// The attributes that the holder chose to show.
    pub attributes: Claims,
    /// The issuer's name.
    pub issuer: String,
    /// The key that the credential is bound to.
    pub holder: PublicKey,
    /// End of the credential's validity (unix seconds).
    pub expires_s: u64,
    /// Whether a status list was looked at.
    pub is_status_known: bool,
}

/// Verifies a presentation of a credential by `issuer`. With `status`, the issuer's status list token, a revoked
/// credential is refused.
///
/// # Errors
/// [`AttestationError::Inconsistent`] for a credential of another type or issuer, outside its validity, or revoked; what
/// [`key_binding::open`] refuses.
pub fn verify(
    presentation: &str,
    issuer: &IssuerDocument,
    expected: &Expected<'_>,
    status: Option<&str>,
) -> Result<Shown, AttestationError> {
    let wrong = |reason| AttestationError::Inconsistent { reason };
    let mut claims = key_binding::open(presentation, TYPE, &issuer.identity, expected)?;
    if claims.remove("vct") != Some(json!(VCT)) {
        return Err(wrong("it is a credential of another type"));
    }
    if claims.remove("iss") != Some(json!(format!("urn:ward:issuer:{}", issuer.name))) {
        return Err(wrong("it is of another issuer than the document"));
    }
    let mut second = |name: &str| claims.remove(name).as_ref().and_then(Value::as_u64);
    let (Some(begins_s), Some(expires_s)) = (second("nbf"), second("exp")) else {
        return Err(wrong("it does not say how long it is valid"));
    };
    if expected.now_s < begins_s || expected.now_s >= expires_s {
        return Err(wrong("it is not valid today"));
    }
    let place = claims.remove("status").and_then(|status| {
        let list = status.get("status_list")?;
        Some((list.get("uri")?.as_str()?.to_owned(), u32::try_from(list.get("idx")?.as_u64()?).ok()?))
    });
    match (status, place) {
        (Some(token), Some((uri, place))) => {
            if status_list::is_revoked(token, &uri, &issuer.identity, place)? {
                return Err(wrong("it was revoked"));
            }
        }
        (Some(_), None) => return Err(wrong("it names no place in a status list")),
        (None, _) => {}
    }
    let holder = claims.remove("cnf").and_then(|cnf| super::jws::from_jwk(cnf.get("jwk")?));
    let holder = holder.ok_or_else(|| wrong("it is bound to no key"))?;
    claims.remove("ward");
    Ok(Shown {
        attributes: claims,
        issuer: issuer.name.clone(),
        holder,
        expires_s,
        is_status_known: status.is_some(),
    })
}
