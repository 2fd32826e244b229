//! Key binding of an SD-JWT (RFC 9901, section 4.3): chosen disclosures, and the holder's signature over them for one
//! verifier and one nonce.
//!
//! `<issuer-signed JWT>~<disclosure>~...~<KB-JWT>`. Where a proof says only that criteria are met, a presentation shows
//! values: it is for a verifier that is entitled to them, such as the hospital that treats the patient next.
//!
//! # Security
//! Who only sees presentations cannot make one: the holder's key signs nonce, audience and the digest of exactly the
//! disclosures shown. Presentations of one credential are recognised as such by everything that is open in it.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::jws;
use super::sd_jwt::{self, Claims, SdJwtError};
use crate::identity::{Identity, PublicKey};

/// Type of the holder's token.
pub const TYPE: &str = "kb+jwt";
/// Longest nonce or audience, in bytes.
pub const NAME_BYTES_MAX: usize = 256;
/// How far ahead a holder's clock may be, in seconds.
const AHEAD_S_MAX: u64 = 60;

/// For whom a presentation is, and which question it answers.
#[derive(Clone, Copy, Debug)]
pub struct Challenge<'a> {
    /// The verifier (`https://clinic.example`).
    pub audience: &'a str,
    /// What the verifier drew for this presentation.
    pub nonce: &'a str,
}

impl Challenge<'_> {
    fn check(&self) -> Result<(), SdJwtError> {
        let is_name = |text: &str| (1..=NAME_BYTES_MAX).contains(&text.len());
        if is_name(self.audience) && is_name(self.nonce) {
            return Ok(());
        }
        Err(SdJwtError::Binding { reason: "audience and nonce have 1 to 256 bytes" })
    }
}

/// Shows the disclosures called `names`, signed by the holder at `now_s` (unix seconds).
///
/// # Errors
/// [`SdJwtError::Malformed`] for an envelope without one of them.
pub fn present(
    envelope: &str,
    names: &[&str],
    holder: &Identity,
    challenge: Challenge<'_>,
    now_s: u64,
) -> Result<String, SdJwtError> {
    challenge.check()?;
    let malformed = |reason| SdJwtError::Malformed { reason };
    let body = envelope.trim().strip_suffix('~').ok_or_else(|| malformed("it does not end with ~"))?;
    let mut parts = body.split('~');
    let mut shown = format!("{}~", parts.next().unwrap_or_default());
    let mut missing = names.to_vec();
    for disclosure in parts {
        let (name, _) = sd_jwt::read(disclosure).ok_or_else(|| malformed("a disclosure that is none"))?;
        if names.contains(&name.as_str()) {
            missing.retain(|wanted| *wanted != name);
            shown.push_str(disclosure);
            shown.push('~');
        }
    }
    if !missing.is_empty() {
        return Err(malformed("it says nothing of what is to be shown"));
    }
    let payload = json!({
        "iat": now_s, "aud": challenge.audience, "nonce": challenge.nonce, "sd_hash": sd_hash(&shown),
    });
    let token = jws::sign(holder, TYPE, &payload);
    Ok(shown + &token)
}

/// What a verifier knows of the presentation that it waits for.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The verifier's own name and nonce.
    pub challenge: Challenge<'a>,
    /// Now (unix seconds).
    pub now_s: u64,
    /// Longest time since the holder signed, in seconds.
    pub age_s_max: u64,
}

/// Verifies a presentation: the issuer's token and its disclosures, then the holder's token by the key in `cnf`. Returns
/// the claims that were shown. Whether the credential is valid today and not revoked is the caller's to check.
///
/// # Errors
/// [`SdJwtError::Binding`] naming what is wrong with the binding, and what [`sd_jwt::open`] refuses.
pub fn open(
    presentation: &str,
    typ: &'static str,
    issuer: &PublicKey,
    expected: &Expected<'_>,
) -> Result<Claims, SdJwtError> {
    let wrong = |reason| SdJwtError::Binding { reason };
    expected.challenge.check()?;
    let presentation = presentation.trim();
    let at = presentation.rfind('~').ok_or_else(|| wrong("there is no token of the holder"))?;
    let (shown, token) = presentation.split_at(at + 1);
    if token.is_empty() {
        return Err(wrong("there is no token of the holder"));
    }
    let claims = sd_jwt::open(shown, typ, issuer)?;
    let key = claims.get("cnf").and_then(|cnf| jws::from_jwk(cnf.get("jwk")?));
    let key = key.ok_or_else(|| wrong("the credential is bound to no key"))?;
    let payload = jws::verify(token, TYPE, &key)?;
    let is = |name: &str, value: &str| payload.get(name).and_then(Value::as_str) == Some(value);
    if !is("aud", expected.challenge.audience) {
        return Err(wrong("it is for another verifier"));
    }
    if !is("nonce", expected.challenge.nonce) {
        return Err(wrong("it answers another nonce"));
    }
    let signed_s = payload.get("iat").and_then(Value::as_u64).ok_or_else(|| wrong("it has no time"))?;
    let (earliest, latest) =
        (expected.now_s.saturating_sub(expected.age_s_max), expected.now_s.saturating_add(AHEAD_S_MAX));
    if !(earliest..=latest).contains(&signed_s) {
        return Err(wrong("it was signed too long ago, or by a clock that is ahead"));
    }
    if !is("sd_hash", &sd_hash(shown)) {
        return Err(wrong("it was signed for other disclosures"));
    }
    Ok(claims)
}

/// The digest of what is shown, up to and with the last `~` (RFC 9901, section 4.3.1).
fn sd_hash(shown: &str) -> String {
    jws::encode(&Sha256::digest(shown.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYP: &str = "dc+sd-jwt";
    const AT: u64 = 1_748_537_244;
    const CHALLENGE: Challenge<'static> =
        Challenge { audience: "https://verifier.example.org", nonce: "1234567890" };
    const EXPECTED: Expected<'static> = Expected { challenge: CHALLENGE, now_s: AT + 30, age_s_max: 300 };

    fn holder() -> Identity {
        Identity::from_seed(&[2; 32])
    }

    fn issuer() -> Identity {
        Identity::from_seed(&[1; 32])
    }

    fn envelope() -> String {
        let claims = |pairs: Vec<(&str, Value)>| -> Claims {
            pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
        };
        let open = claims(vec![("cnf", json!({ "jwk": jws::jwk(&holder().public()) }))]);
        let closed =
            claims(vec![("dx", json!(["E11.9"])), ("hba1c", json!("7.1")), ("sex", json!("female"))]);
        sd_jwt::issue(&issuer(), TYP, open, &closed, &[[1; 16], [2; 16], [3; 16]]).unwrap()
    }

    fn presentation(names: &[&str]) -> String {
        present(&envelope(), names, &holder(), CHALLENGE, AT).unwrap()
    }

    fn reason(presentation: &str, expected: &Expected<'_>) -> &'static str {
        match open(presentation, TYP, &issuer().public(), expected) {
            Err(SdJwtError::Binding { reason }) => reason,
            other => panic!("{other:?}"),
        }
    }

    /// RFC 9901, section 5.2: the presentation, and the digest that its KB-JWT states.
    #[test]
    fn the_digest_of_the_rfcs_presentation() {
        let shown = include_str!("rfc9901_presentation.txt").replace('\n', "");
        let (shown, token) = shown.split_at(shown.rfind('~').unwrap() + 1);
        assert_eq!(sd_hash(shown), "0_Af-2B-EhLWX5ydh_w2xzwmO6iM66B_2QCEanI4fUY");
        let payload = jws::decode(token.split('.').nth(1).unwrap()).unwrap();
        let payload: Value = serde_json::from_slice(&payload).unwrap();
        assert_eq!(payload["sd_hash"], json!(sd_hash(shown)));
        assert_eq!((&payload["nonce"], &payload["aud"]), (&json!("1234567890"), &json!(CHALLENGE.audience)));
    }

    #[test]
    fn a_verifier_sees_what_was_chosen_and_nothing_else() {
        for names in [&[][..], &["dx"], &["hba1c", "dx"]] {
            let claims = open(&presentation(names), TYP, &issuer().public(), &EXPECTED).unwrap();
            assert_eq!(claims.len(), 1 + names.len());
            assert!(names.iter().all(|name| claims.contains_key(*name)));
        }
        assert!(present(&envelope(), &["rx"], &holder(), CHALLENGE, AT).is_err());
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        for challenge in [Challenge { nonce: "", ..CHALLENGE }, Challenge { audience: &long, ..CHALLENGE }] {
            assert!(present(&envelope(), &[], &holder(), challenge, AT).is_err());
        }
    }

    #[test]
    fn another_verifier_nonce_or_time_is_refused() {
        let shown = presentation(&["dx"]);
        let with = |challenge| Expected { challenge, ..EXPECTED };
        let other = Challenge { audience: "https://other.example", ..CHALLENGE };
        assert_eq!(reason(&shown, &with(other)), "it is for another verifier");
        assert_eq!(
            reason(&shown, &with(Challenge { nonce: "1234567891", ..CHALLENGE })),
            "it answers another nonce"
        );
        let late = "it was signed too long ago, or by a clock that is ahead";
        for now_s in [AT + 301, AT - 61, 0, u64::MAX] {
            assert_eq!(reason(&shown, &Expected { now_s, ..EXPECTED }), late);
        }
        open(&shown, TYP, &issuer().public(), &Expected { now_s: AT - 60, ..EXPECTED }).unwrap();
    }

    #[test]
    fn other_disclosures_or_another_holder_are_refused() {
        let (shown, more) = (presentation(&["dx"]), presentation(&["dx", "sex"]));
        let token = |text: &str| text.rsplit('~').next().unwrap().to_owned();
        let moved = more.replace(&token(&more), &token(&shown));
        assert_eq!(reason(&moved, &EXPECTED), "it was signed for other disclosures");
        let without = shown.replace(&token(&shown), "");
        assert_eq!(reason(&without, &EXPECTED), "there is no token of the holder");
        let stolen = present(&envelope(), &["dx"], &issuer(), CHALLENGE, AT).unwrap();
        assert!(matches!(
            open(&stolen, TYP, &issuer().public(), &EXPECTED),
            Err(SdJwtError::Token(jws::JwsError::Signature { .. }))
        ));
        let unbound = sd_jwt::issue(&issuer(), TYP, Claims::new(), &Claims::new(), &[]).unwrap();
        let unbound = present(&unbound, &[], &holder(), CHALLENGE, AT).unwrap();
        assert_eq!(reason(&unbound, &EXPECTED), "the credential is bound to no key");
    }

    #[test]
    fn no_byte_of_a_presentation_can_be_changed() {
        let shown = presentation(&["dx"]);
        for at in 0..shown.len() {
            let mut bytes = shown.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(open(&changed, TYP, &issuer().public(), &EXPECTED).is_err(), "byte {at}");
        }
    }
}
