//! JSON Web Signatures with Ed25519 (RFC 7515, RFC 8037), compact form, as SD-JWT and status lists carry them.
//!
//! One algorithm, `EdDSA`; the type in the header is checked, so that a token made for one purpose is worth nothing for
//! another (RFC 8725, section 3.11).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::identity::{Identity, PublicKey, Signature};

/// Largest token read, in bytes.
pub const TOKEN_BYTES_MAX: usize = 1 << 20;

/// Why a token is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwsError {
    /// Not a compact JWS of the right type.
    #[error("not a signed token of type {expected}: {reason}")]
    Malformed {
        /// The type that was due.
        expected: &'static str,
        /// What is malformed.
        reason: String,
    },
    /// The signature is not of this key.
    #[error("the signature of the {expected} token does not verify")]
    Signature {
        /// The type that was due.
        expected: &'static str,
    },
}

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    typ: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    /// Extensions that must be understood: none is (RFC 7515, section 4.1.11).
    #[serde(default, skip_serializing)]
    crit: Option<Value>,
}

/// Base64url without padding.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads base64url without padding, canonical only.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// The key as a JWK (RFC 8037, section 2).
#[must_use]
pub fn jwk(key: &PublicKey) -> Value {
    serde_json::json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(key.as_bytes()) })
}

/// The Ed25519 key of a JWK.
#[must_use]
pub fn from_jwk(jwk: &Value) -> Option<PublicKey> {
    let field = |name: &str| jwk.get(name).and_then(Value::as_str);
    let is_ed25519 = field("kty") == Some("OKP") && field("crv") == Some("Ed25519");
    let bytes = decode(field("x").filter(|_| is_ed25519)?)?;
    PublicKey::from_slice(&bytes).ok()
}

/// The text of a value, objects by their sorted names: the same bytes whatever order a map was filled in.
#[must_use]
pub fn canonical_text(value: &Value) -> String {
    let mut value = value.clone();
    value.sort_all_objects();
    value.to_string()
}

/// Signs a payload, in its canonical text.
#[must_use]
pub fn sign(identity: &Identity, typ: &'static str, payload: &Value) -> String {
    let kid = Some(identity.public().fingerprint());
    let header = Header { alg: "EdDSA".to_owned(), typ: typ.to_owned(), kid, crit: None };
    let header = serde_json::to_vec(&header).expect("a header of texts has a JSON form");
    let signed = format!("{}.{}", encode(&header), encode(canonical_text(payload).as_bytes()));
    let signature = identity.sign_raw(signed.as_bytes());
    format!("{signed}.{}", encode(&signature.0))
}

/// Verifies a token and gives its payload.
///
/// # Errors
/// [`JwsError`].
pub fn verify(token: &str, typ: &'static str, key: &PublicKey) -> Result<Value, JwsError> {
    let malformed = |reason: &str| JwsError::Malformed { expected: typ, reason: reason.to_owned() };
    if token.len() > TOKEN_BYTES_MAX {
        return Err(malformed("too long"));
    }
    let (signed, signature) = token.rsplit_once('.').ok_or_else(|| malformed("not three parts"))?;
    let (header, payload) = signed.split_once('.').ok_or_else(|| malformed("not three parts"))?;
    let header = decode(header).ok_or_else(|| malformed("a header that is not base64url"))?;
    let header: Header = serde_json::from_slice(&header).map_err(|_| malformed("no header"))?;
    if header.alg != "EdDSA" || header.typ != typ || header.crit.is_some() {
        return Err(malformed("another algorithm, type or critical extension"));
    }
    let signature = decode(signature).and_then(|bytes| bytes.try_into().ok());
    let signature = Signature(signature.ok_or_else(|| malformed("no signature of 64 bytes"))?);
    key.verify_raw(signed.as_bytes(), &signature).ok_or(JwsError::Signature { expected: typ })?;
    let payload = decode(payload).ok_or_else(|| malformed("a payload that is not base64url"))?;
    let payload: Value =
        serde_json::from_slice(&payload).map_err(|_| malformed("a payload that is no JSON"))?;
    if payload.is_object() { Ok(payload) } else { Err(malformed("a payload that is no object")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 8037, appendix A: the key's secret, its JWK and thumbprint input.
    #[test]
    fn the_key_of_rfc_8037_has_its_jwk() {
        let secret = decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        let identity = Identity::from_seed(&secret.try_into().unwrap());
        let jwk = jwk(&identity.public());
        assert_eq!(jwk["x"], "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!(from_jwk(&jwk), Some(identity.public()));
        // Appendix A.4: the signature over "Example of Ed25519 signing" with the header {"alg":"EdDSA"}.
        let signed = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        assert_eq!(
            encode(&identity.sign_raw(signed.as_bytes()).0),
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
        );
    }

    #[test]
    fn a_token_is_of_its_key_type_and_bytes_alone() {
        let (identity, other) = (Identity::from_seed(&[1; 32]), Identity::from_seed(&[2; 32]));
        let token = sign(&identity, "a+jwt", &serde_json::json!({ "x": 1 }));
        assert_eq!(verify(&token, "a+jwt", &identity.public()).unwrap()["x"], 1);
        assert_eq!(verify(&token, "a+jwt", &other.public()), Err(JwsError::Signature { expected: "a+jwt" }));
        assert!(matches!(verify(&token, "b+jwt", &identity.public()), Err(JwsError::Malformed { .. })));
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(verify(&changed, "a+jwt", &identity.public()).is_err(), "byte {at}");
        }
        for text in ["", ".", "..", "a.b.c", "e30.e30.e30"] {
            assert!(verify(text, "a+jwt", &identity.public()).is_err(), "{text}");
        }
    }

    #[test]
    fn other_algorithms_and_critical_extensions_are_refused() {
        let identity = Identity::from_seed(&[1; 32]);
        for header in [
            r#"{"alg":"none","typ":"a"}"#,
            r#"{"alg":"EdDSA","typ":"a","crit":["b64"]}"#,
            r#"{"alg":"EdDSA"}"#,
        ] {
            let signed = format!("{}.{}", encode(header.as_bytes()), encode(b"{}"));
            let token = format!("{signed}.{}", encode(&identity.sign_raw(signed.as_bytes()).0));
            assert!(
                matches!(verify(&token, "a", &identity.public()), Err(JwsError::Malformed { .. })),
                "{header}"
            );
        }
    }
}
