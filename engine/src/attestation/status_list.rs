//! The issuer's revocations as a token status list (draft-ietf-oauth-status-list), for software that reads the envelope
//! without Ward: one bit a credential, lowest bit first, DEFLATE with the ZLIB format, base64url.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use serde_json::json;

use super::documents::CREDENTIALS_MAX;
use super::error::AttestationError;
use super::jws;
use crate::identity::{Identity, PublicKey};

/// Type of the token.
pub const TYPE: &str = "statuslist+jwt";
/// Bytes of a whole list.
const LIST_BYTES_MAX: usize = CREDENTIALS_MAX / 8;

/// Signs the list. It covers every place up to the last revoked one, at least 1,024.
///
/// # Errors
/// [`AttestationError::Malformed`] for a place beyond the list.
pub fn sign(
    identity: &Identity,
    uri: &str,
    revoked: &[u32],
    now_ms: u64,
) -> Result<String, AttestationError> {
    let last = revoked.iter().max().map_or(0, |place| *place as usize);
    let mut bits = vec![0u8; (last / 8 + 1).next_power_of_two().max(128)];
    if bits.len() > LIST_BYTES_MAX {
        return Err(AttestationError::malformed("a status list", "a place beyond it"));
    }
    for place in revoked {
        bits[*place as usize / 8] |= 1 << (place % 8);
    }
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    let packed = encoder.write_all(&bits).and_then(|()| encoder.finish());
    let packed = packed.map_err(|e| AttestationError::malformed("a status list", e))?;
    let payload = json!({
        "sub": uri,
        "iat": now_ms / 1000,
        "status_list": { "bits": 1, "lst": jws::encode(&packed) },
    });
    Ok(jws::sign(identity, TYPE, &payload))
}

/// Whether the credential at a place is revoked, by the token.
///
/// # Errors
/// [`AttestationError::Token`], or what makes it no list; a place beyond the list.
pub fn is_revoked(token: &str, uri: &str, issuer: &PublicKey, place: u32) -> Result<bool, AttestationError> {
    let wrong = |reason: &str| AttestationError::malformed("a status list", reason);
    let payload = jws::verify(token.trim(), TYPE, issuer)?;
    if payload.get("sub").and_then(serde_json::Value::as_str) != Some(uri) {
        return Err(wrong("it is for another address"));
    }
    let list = payload.get("status_list").ok_or_else(|| wrong("no list"))?;
    if list.get("bits") != Some(&json!(1)) {
        return Err(wrong("not one bit a credential"));
    }
    let packed =
        list.get("lst").and_then(|lst| jws::decode(lst.as_str()?)).ok_or_else(|| wrong("no bits"))?;
    let mut bits = Vec::new();
    let mut decoder = ZlibDecoder::new(packed.as_slice()).take(LIST_BYTES_MAX as u64);
    decoder.read_to_end(&mut bits).map_err(|_| wrong("bits that do not unpack"))?;
    let byte = bits.get(place as usize / 8).ok_or_else(|| wrong("a place beyond it"))?;
    Ok(byte >> (place % 8) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// draft-ietf-oauth-status-list, section 4.1: sixteen tokens, the bytes 0xb9 0xa3, their compressed form.
    #[test]
    fn the_bits_of_the_drafts_example_unpack() {
        let packed = jws::decode("eNrbuRgAAhcBXQ").unwrap();
        let mut bits = Vec::new();
        ZlibDecoder::new(packed.as_slice()).read_to_end(&mut bits).unwrap();
        assert_eq!(bits, [0xb9, 0xa3]);
    }

    #[test]
    fn a_revoked_place_is_marked_and_no_other() {
        let identity = Identity::from_seed(&[1; 32]);
        let token = sign(&identity, "https://north.example/status", &[3, 700], 0).unwrap();
        let at = |place| is_revoked(&token, "https://north.example/status", &identity.public(), place);
        assert!(at(3).unwrap() && at(700).unwrap());
        assert!(!at(2).unwrap() && !at(1023).unwrap() && !at(699).unwrap());
        assert!(at(1024).is_err());
        assert!(is_revoked(&token, "https://south.example/status", &identity.public(), 3).is_err());
        assert!(
            is_revoked(&token, "https://north.example/status", &Identity::from_seed(&[2; 32]).public(), 3)
                .is_err()
        );
        assert!(sign(&identity, "", &[1 << 20], 0).is_err());
    }
}
