//! Selective disclosure for JWTs (RFC 9901): the envelope in which a credential travels from the issuer to its holder.
//!
//! `<issuer-signed JWT>~<disclosure>~...~`. A disclosure is base64url of `[salt, name, value]`; the JWT holds its SHA-256
//! in `_sd`. Here every disclosure is at the top level, and the holder keeps them all: what is shown to a verifier is a
//! proof, not the envelope.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::jws::{self, JwsError};
use crate::identity::{Identity, PublicKey};

/// Largest envelope read, in bytes.
pub const ENVELOPE_BYTES_MAX: usize = 1 << 18;
/// Most disclosures of an envelope.
pub const DISCLOSURES_MAX: usize = 128;
/// Bytes of a disclosure's salt (RFC 9901, section 9.3: 128 bits).
pub const SALT_BYTES: usize = 16;

/// Why an envelope is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SdJwtError {
    /// The issuer's token.
    #[error(transparent)]
    Token(#[from] JwsError),
    /// Not an envelope.
    #[error("not an SD-JWT: {reason}")]
    Malformed {
        /// What is malformed.
        reason: &'static str,
    },
    /// A disclosure that the issuer's token does not hold, or holds twice.
    #[error("disclosure {index} is not one of the issuer's")]
    Disclosure {
        /// Which, from 0.
        index: usize,
    },
    /// The holder's token does not bind the presentation.
    #[error("the presentation is not bound by its holder: {reason}")]
    Binding {
        /// Why.
        reason: &'static str,
    },
}

/// Claims as the issuer's token has them, disclosures in their places.
pub type Claims = BTreeMap<String, Value>;

/// Claims that RFC 9901 and SD-JWT VC keep for themselves: never disclosed by choice.
const RESERVED: [&str; 10] =
    ["_sd", "_sd_alg", "...", "iss", "nbf", "exp", "cnf", "vct", "status", "vct#integrity"];

/// Signs an envelope: `open` as they are, each of `closed` as a disclosure with its salt. `salts` has one for each of
/// `closed`.
///
/// # Errors
/// [`SdJwtError::Malformed`] when a claim is reserved, or there are too many, or salts are missing.
pub fn issue(
    identity: &Identity,
    typ: &'static str,
    open: Claims,
    closed: &Claims,
    salts: &[[u8; SALT_BYTES]],
) -> Result<String, SdJwtError> {
    let malformed = |reason| Err(SdJwtError::Malformed { reason });
    if closed.len() > DISCLOSURES_MAX || salts.len() != closed.len() {
        return malformed("another number of salts than of disclosures");
    }
    if closed.keys().any(|name| RESERVED.contains(&name.as_str()) || open.contains_key(name)) {
        return malformed("a claim that cannot be disclosed by choice");
    }
    let disclosures: Vec<String> = closed
        .iter()
        .zip(salts)
        .map(|((name, value), salt)| {
            jws::encode(jws::canonical_text(&json!([jws::encode(salt), name, value])).as_bytes())
        })
        .collect();
    // Sorted, so that their order says nothing about the claims (RFC 9901, section 4.2.4.1).
    let mut digests: Vec<String> = disclosures.iter().map(|d| digest(d)).collect();
    digests.sort_unstable();
    let mut payload: serde_json::Map<String, Value> = open.into_iter().collect();
    payload.insert("_sd".to_owned(), json!(digests));
    payload.insert("_sd_alg".to_owned(), json!("sha-256"));
    let token = jws::sign(identity, typ, &Value::Object(payload));
    let parts = std::iter::once(token).chain(disclosures);
    Ok(parts.fold(String::new(), |text, part| text + &part + "~"))
}

/// Verifies an envelope without key binding, and puts the disclosures into their places.
///
/// # Errors
/// [`SdJwtError`].
pub fn open(envelope: &str, typ: &'static str, key: &PublicKey) -> Result<Claims, SdJwtError> {
    let malformed = |reason| SdJwtError::Malformed { reason };
    if envelope.len() > ENVELOPE_BYTES_MAX {
        return Err(malformed("too long"));
    }
    let body = envelope.strip_suffix('~').ok_or_else(|| malformed("it does not end with ~"))?;
    let mut parts = body.split('~');
    let token = parts.next().unwrap_or_default();
    let payload = jws::verify(token, typ, key)?;
    let Value::Object(mut payload) = payload else { return Err(malformed("no claims")) };
    if payload.remove("_sd_alg").is_some_and(|alg| alg != "sha-256") {
        return Err(malformed("another hash than sha-256"));
    }
    let mut digests: Vec<String> = match payload.remove("_sd") {
        None => Vec::new(),
        Some(digests) => serde_json::from_value(digests).map_err(|_| malformed("_sd is no list of texts"))?,
    };
    let mut claims: Claims = payload.into_iter().collect();
    for (index, disclosure) in parts.enumerate() {
        let place = digests.iter().position(|d| *d == digest(disclosure)).filter(|_| index < DISCLOSURES_MAX);
        // A digest serves once: a disclosure given twice is refused with it.
        digests.swap_remove(place.ok_or(SdJwtError::Disclosure { index })?);
        let (name, value) = read(disclosure).ok_or(SdJwtError::Disclosure { index })?;
        if RESERVED.contains(&name.as_str()) || claims.insert(name, value).is_some() {
            return Err(SdJwtError::Disclosure { index });
        }
    }
    Ok(claims)
}

fn digest(disclosure: &str) -> String {
    jws::encode(&Sha256::digest(disclosure.as_bytes()))
}

/// Name and value of a disclosure.
pub(super) fn read(disclosure: &str) -> Option<(String, Value)> {
    let value: Value = serde_json::from_slice(&jws::decode(disclosure)?).ok()?;
    let [Value::String(_), Value::String(name), value] =
        <[Value; 3]>::try_from(value.as_array()?.clone()).ok()?
    else {
        return None;
    };
    Some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYP: &str = "dc+sd-jwt";

    fn claims(pairs: &[(&str, Value)]) -> Claims {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    fn envelope(identity: &Identity) -> String {
        let open = claims(&[("vct", json!("v")), ("iat", json!(5))]);
        let closed = claims(&[("dx", json!(["E11.9"])), ("hba1c", json!("7.1"))]);
        issue(identity, TYP, open, &closed, &[[1; 16], [2; 16]]).unwrap()
    }

    /// RFC 9901, section 4.2.1 and 4.2.3: the disclosure of family_name and its digest.
    #[test]
    fn the_digest_of_the_rfcs_disclosure() {
        let disclosure = "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0";
        assert_eq!(digest(disclosure), "X9yH0Ajrdm1Oij4tWso9UzzKJvPoDxwmuEcO3XAdRC0");
        assert_eq!(read(disclosure), Some(("family_name".to_owned(), json!("Möbius"))));
    }

    #[test]
    fn an_envelope_opens_to_its_claims() {
        let identity = Identity::from_seed(&[1; 32]);
        let envelope = envelope(&identity);
        let opened = open(&envelope, TYP, &identity.public()).unwrap();
        assert_eq!(
            opened,
            claims(&[
                ("vct", json!("v")),
                ("iat", json!(5)),
                ("dx", json!(["E11.9"])),
                ("hba1c", json!("7.1"))
            ])
        );
        let without: Vec<&str> = envelope.split('~').collect();
        let fewer = format!("{}~{}~", without[0], without[2]);
        assert_eq!(open(&fewer, TYP, &identity.public()).unwrap().len(), 3, "a disclosure may be left out");
    }

    #[test]
    fn envelopes_that_were_changed_are_refused() {
        let identity = Identity::from_seed(&[1; 32]);
        let envelope = envelope(&identity);
        let parts: Vec<&str> = envelope.split('~').collect();
        let foreign = jws::encode(json!(["c2FsdA", "sex", "female"]).to_string().as_bytes());
        let reserved = jws::encode(json!(["c2FsdA", "cnf", {}]).to_string().as_bytes());
        for changed in [
            envelope.trim_end_matches('~').to_owned(),
            format!("{}~{}~{}~", parts[0], parts[1], parts[1]),
            format!("{}~{foreign}~", parts[0]),
            format!("{}~{reserved}~", parts[0]),
            format!("{}~~", parts[0]),
            format!("{envelope}e30.e30.AA~"),
            String::new(),
        ] {
            assert!(open(&changed, TYP, &identity.public()).is_err(), "{changed}");
        }
        assert!(open(&envelope, TYP, &Identity::from_seed(&[2; 32]).public()).is_err());
        assert!(open(&envelope, "vc+sd-jwt", &identity.public()).is_err());
    }

    #[test]
    fn reserved_claims_are_never_disclosures() {
        let identity = Identity::from_seed(&[1; 32]);
        let refused =
            |name: &str| issue(&identity, TYP, Claims::new(), &claims(&[(name, json!(1))]), &[[0; 16]]);
        assert!(RESERVED.iter().all(|name| refused(name).is_err()));
        assert!(refused("dx").is_ok());
        assert!(issue(&identity, TYP, Claims::new(), &claims(&[("dx", json!(1))]), &[]).is_err());
    }
}
