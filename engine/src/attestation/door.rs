//! What an engine takes in: attestations, and nothing that a patient could be known by.
//!
//! # Security
//! The witness of a proof (credential, wallet, record) stays in its hospital. Whoever sends one by mistake is told so,
//! and nothing of it is kept. What hides on purpose in a well-formed attestation cannot be told from one.

use super::error::AttestationError;
use super::file::Attestation;

/// Names of fields of a wallet, a credential, a holder's request or a witness; none is of an attestation.
const WITNESS: [&str; 13] = [
    "ward_wallet",
    "ward_holder",
    "ward_credential",
    "witness",
    "wallet",
    "passphrase",
    "credential",
    "envelope",
    "holder",
    "secret",
    "patient",
    "slots",
    "attributes",
];

/// Reads a file that somebody sent.
///
/// # Errors
/// [`AttestationError::Witness`] when it is, or has in it, what must not leave a hospital; else what makes it no
/// attestation.
pub fn attestation(file: &[u8]) -> Result<Attestation, AttestationError> {
    let error = match Attestation::from_json(file) {
        Ok(attestation) => return Ok(attestation),
        Err(error) => error,
    };
    match witness(file) {
        Some(what) => Err(AttestationError::Witness { what }),
        None => Err(error),
    }
}

/// What of a witness a file has, if it does.
fn witness(file: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(file).ok()?;
    // The envelope of a credential: a signed token with its disclosures.
    let head = text.trim_start();
    if head.starts_with("ey") && head.contains('~') {
        return Some("a credential".to_owned());
    }
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    let field = find(&value)?;
    Some(format!("the field `{field}`"))
}

/// The first field that names a part of a witness. The depth of JSON is limited by its parser.
fn find(value: &serde_json::Value) -> Option<&'static str> {
    match value {
        serde_json::Value::Object(fields) => {
            let named = WITNESS.into_iter().find(|name| fields.contains_key(*name));
            named.or_else(|| fields.values().find_map(find))
        }
        serde_json::Value::Array(list) => list.iter().find_map(find),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_witness_is_refused_by_name() {
        for (file, what) in [
            ("{\"ward_wallet\":1,\"sealed\":\"00\"}", "ward_wallet"),
            ("{\"ward_attestation\":1,\"witness\":{\"age\":40}}", "witness"),
            ("[{\"a\":{\"secret\":\"00\"}}]", "secret"),
            ("eyJhbGciOiJFZERTQSJ9.e30.AA~WyJzIl0~", "a credential"),
        ] {
            let error = attestation(file.as_bytes()).unwrap_err();
            assert_eq!(error.code(), "attest.witness");
            assert!(error.to_string().contains(what), "{error}");
        }
    }

    #[test]
    fn other_nonsense_is_malformed() {
        for file in [&b"{}"[..], b"[]", b"\xff", b"", b"{\"ward_attestation\":1}"] {
            assert_eq!(attestation(file).unwrap_err().code(), "attest.malformed");
        }
    }
}
