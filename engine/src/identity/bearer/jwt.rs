//! JSON Web Tokens (RFC 7519) as they are accepted here: signed by a key of a known set, under an algorithm of a list,
//! for this audience, by this issuer, now.
//!
//! The rules are those of RFC 8725 (best current practices): the algorithm is chosen by the verifier's list and must
//! fit the key and the key's own statement; `none` and HMAC are not on any list; keys in or behind the header (`jwk`,
//! `jku`, `x5u`) and critical extensions are not followed.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use serde_json::{Map, Value};

use super::BearerError;
use super::ring_provider;

/// Longest token read, in bytes.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// The claims of a token.
pub type Claims = Map<String, Value>;

/// What is asked of a token.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The issuer, exactly.
    pub issuer: String,
    /// Ward's name at the issuer: one of the token's audiences.
    pub audience: String,
    /// Clients whose tokens are taken; empty: any client's that are for this audience alone.
    pub clients: Vec<String>,
    /// Algorithms allowed; those of [`ring_provider::ALGORITHMS`].
    pub algorithms: Vec<Algorithm>,
    /// Most that two clocks may differ, in seconds.
    pub skew_s: u64,
}

/// The header of a token that is not checked yet: it tells which key to look for.
///
/// # Errors
/// [`BearerError::Malformed`], [`BearerError::Algorithm`].
pub fn header(token: &str, expected: &Expected) -> Result<Header, BearerError> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(BearerError::Malformed { what: "longer than 16 KiB" });
    }
    ring_provider::install();
    let header = jsonwebtoken::decode_header(token)
        .map_err(|_| BearerError::Malformed { what: "no header of a signed token" })?;
    if !expected.algorithms.contains(&header.alg) {
        return Err(BearerError::Algorithm { algorithm: format!("{:?}", header.alg) });
    }
    if header.crit.is_some() || header.enc.is_some() {
        return Err(BearerError::Malformed { what: "it has critical extensions, or is encrypted" });
    }
    Ok(header)
}

/// The issuer that a token names, before anything is checked: only to choose who checks it.
#[must_use]
pub fn issuer_of(token: &str) -> Option<String> {
    if token.len() > TOKEN_BYTES_MAX {
        return None;
    }
    let claims: Claims = jsonwebtoken::dangerous::insecure_decode_claims(token).ok()?;
    claims.get("iss")?.as_str().map(str::to_owned)
}

/// The key of a set that may have signed under a header: by its id, for signatures, of the algorithm's kind. Without
/// an id in the header there must be one such key only.
#[must_use]
pub fn key_for<'a>(keys: &'a JwkSet, header: &Header) -> Option<&'a Jwk> {
    let fits = |key: &&Jwk| {
        let by_id = header.kid.is_none() || key.common.key_id == header.kid;
        let for_signatures = matches!(key.common.public_key_use, None | Some(PublicKeyUse::Signature));
        by_id && for_signatures && is_for(key, header.alg)
    };
    let mut found = keys.keys.iter().filter(fits);
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

fn is_for(key: &Jwk, algorithm: Algorithm) -> bool {
    let stated = match algorithm {
        Algorithm::EdDSA => KeyAlgorithm::EdDSA,
        Algorithm::ES256 => KeyAlgorithm::ES256,
        Algorithm::ES384 => KeyAlgorithm::ES384,
        Algorithm::PS256 => KeyAlgorithm::PS256,
        Algorithm::RS256 => KeyAlgorithm::RS256,
        _ => return false,
    };
    let says_so = key.common.key_algorithm.as_ref().is_none_or(|said| *said == stated);
    let is_kind = match (&key.algorithm, algorithm) {
        (AlgorithmParameters::RSA(_), Algorithm::RS256 | Algorithm::PS256) => true,
        (AlgorithmParameters::EllipticCurve(point), Algorithm::ES256) => point.curve == EllipticCurve::P256,
        (AlgorithmParameters::EllipticCurve(point), Algorithm::ES384) => point.curve == EllipticCurve::P384,
        (AlgorithmParameters::OctetKeyPair(pair), Algorithm::EdDSA) => pair.curve == EllipticCurve::Ed25519,
        _ => false,
    };
    says_so && is_kind
}

/// Checks a token with a key of the issuer at a time; returns its claims.
///
/// # Errors
/// [`BearerError`] naming the rule that refuses it.
pub fn verify(token: &str, key: &Jwk, expected: &Expected, now_s: u64) -> Result<Claims, BearerError> {
    let header = header(token, expected)?;
    let key = DecodingKey::from_jwk(key).map_err(|_| BearerError::Key)?;
    let mut validation = Validation::new(header.alg);
    validation.set_issuer(&[&expected.issuer]);
    validation.set_audience(&[&expected.audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    // Times are compared below, by the caller's clock.
    (validation.validate_exp, validation.validate_nbf) = (false, false);
    let claims: Claims = jsonwebtoken::decode(token, &key, &validation).map_err(refusal)?.claims;
    // A list of issuers would pass where one of them is the expected one.
    if claims.get("iss").and_then(Value::as_str) != Some(&expected.issuer) {
        return Err(BearerError::Issuer);
    }
    check_times(&claims, expected.skew_s, now_s)?;
    check_client(&claims, expected)?;
    Ok(claims)
}

fn refusal(error: jsonwebtoken::errors::Error) -> BearerError {
    use jsonwebtoken::errors::ErrorKind;
    match error.kind() {
        ErrorKind::InvalidIssuer => BearerError::Issuer,
        ErrorKind::InvalidAudience => BearerError::Audience,
        ErrorKind::MissingRequiredClaim(claim) => BearerError::Claim { claim: claim.clone() },
        ErrorKind::InvalidSignature | ErrorKind::InvalidKeyFormat | ErrorKind::UnsupportedAlgorithm => {
            BearerError::Signature
        }
        _ => BearerError::Malformed { what: "it does not parse" },
    }
}

/// A time claim, in whole seconds.
///
/// # Errors
/// [`BearerError::Claim`] when it is there and no time.
pub fn time(claims: &Claims, name: &str) -> Result<Option<u64>, BearerError> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    // Some issuers write fractions.
    let whole =
        value.as_u64().or_else(|| value.as_f64().filter(|s| (0.0..4e11).contains(s)).map(|s| s as u64));
    whole.map(Some).ok_or_else(|| BearerError::Claim { claim: name.to_owned() })
}

fn check_times(claims: &Claims, skew_s: u64, now_s: u64) -> Result<(), BearerError> {
    let until_s = time(claims, "exp")?.ok_or_else(|| BearerError::Claim { claim: "exp".to_owned() })?;
    if until_s.saturating_add(skew_s) <= now_s {
        return Err(BearerError::Expired { until_s, now_s });
    }
    for name in ["nbf", "iat"] {
        if let Some(from_s) = time(claims, name)?
            && from_s > now_s.saturating_add(skew_s)
        {
            return Err(BearerError::Early { from_s, now_s });
        }
    }
    Ok(())
}

/// OpenID Connect Core 1.0, section 3.1.3.7, rules 4 and 5: a token for several audiences says to whom it was issued
/// (`azp`; `client_id` in RFC 9068), and that must be a client known here. Where clients are listed, a token that names
/// another is refused whatever its audience.
fn check_client(claims: &Claims, expected: &Expected) -> Result<(), BearerError> {
    let several = claims.get("aud").and_then(Value::as_array).is_some_and(|list| list.len() > 1);
    let known = |client: &str| client == expected.audience || expected.clients.iter().any(|c| c == client);
    let mut named = false;
    for claim in ["azp", "client_id"] {
        match claims.get(claim) {
            None => {}
            Some(Value::String(client)) if known(client) || (expected.clients.is_empty() && !several) => {
                named = true;
            }
            Some(_) => return Err(BearerError::Client),
        }
    }
    if named || (!several && expected.clients.is_empty()) { Ok(()) } else { Err(BearerError::Client) }
}
