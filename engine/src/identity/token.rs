//! One-time enrolment tokens: the operator hands the text to a person at the hospital; it says where the engine
//! is, which authority to trust, and carries a secret that works once.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::canonical::Canonical;
use super::certificate::{CERTIFICATE_BYTES_MAX, CaCertificate};
use super::keys::PublicKey;
use super::{IdentityError, Role, check_name, random};

const PREFIX: &str = "ward-enrol-1.";
const URL_BYTES_MAX: usize = 1024;
/// Longest text of a token.
const TEXT_BYTES_MAX: usize = 16 * 1024;

/// An enrolment token. Its secret is wiped on drop and never shown by `Debug`.
#[derive(Clone)]
pub struct Token {
    /// Where the engine is reached (`https://host:port`).
    pub engine_url: String,
    /// The role it enrols.
    pub role: Role,
    /// The name it enrols.
    pub name: String,
    /// Last moment of use (unix milliseconds).
    pub expires_ms: u64,
    /// The consortium's authority.
    pub ca: CaCertificate,
    secret: Zeroizing<[u8; 32]>,
}

/// What the engine keeps of a token: a hash of the secret, bound to name and role.
#[derive(Clone, Copy)]
pub struct TokenHash(pub [u8; 32]);

/// What a member shows to enrol.
pub struct Claim {
    /// The role asked for.
    pub role: Role,
    /// The name asked for.
    pub name: String,
    /// The token's secret.
    pub secret: Zeroizing<[u8; 32]>,
    /// The key to certify.
    pub key: PublicKey,
}

fn refuse<T>(reason: &'static str) -> Result<T, IdentityError> {
    Err(IdentityError::Token { reason })
}

fn hash(role: Role, name: &str, secret: &[u8; 32]) -> TokenHash {
    TokenHash(Canonical::new("enrolment-token/1").text(role.as_str()).text(name).bytes(secret).digest().0)
}

/// The parts a member signs under the context `"ward enrolment"` to show that it holds the key it asks to be
/// certified: role, name, key, and the hash of the token (so that it works with this token alone).
#[must_use]
pub fn possession_parts(claim: &Claim) -> [Vec<u8>; 4] {
    [
        claim.role.as_str().as_bytes().to_vec(),
        claim.name.as_bytes().to_vec(),
        claim.key.as_bytes().to_vec(),
        claim.hash().0.to_vec(),
    ]
}

/// What the proof of a person's new key covers: the consortium, the name, the key.
#[must_use]
pub fn person_key_parts(consortium: &str, name: &str, key: &PublicKey) -> [Vec<u8>; 3] {
    [consortium.as_bytes().to_vec(), name.as_bytes().to_vec(), key.as_bytes().to_vec()]
}

impl Token {
    /// A fresh token.
    ///
    /// # Errors
    /// [`IdentityError`] for a bad name, the role of the engine, a url that is too long, or without randomness.
    pub fn create(
        engine_url: &str,
        role: Role,
        name: &str,
        expires_ms: u64,
        ca: CaCertificate,
    ) -> Result<Self, IdentityError> {
        let secret = Zeroizing::new(random::<32>()?);
        let token = Self { engine_url: engine_url.into(), role, name: name.into(), expires_ms, ca, secret };
        token.checked()
    }

    fn checked(self) -> Result<Self, IdentityError> {
        check_name(&self.name)?;
        if self.role == Role::Engine {
            return Err(IdentityError::Role { role: self.role.as_str().to_owned() });
        }
        let plain = |c: char| c.is_ascii_graphic();
        if !self.engine_url.starts_with("https://")
            || self.engine_url.len() > URL_BYTES_MAX
            || !self.engine_url.chars().all(plain)
        {
            return refuse("the engine's address is not a plain https url");
        }
        Ok(self)
    }

    /// The text to hand over. It is a secret until it is used.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(Vec::new());
        let fields: [&[u8]; 4] =
            [self.engine_url.as_bytes(), self.role.as_str().as_bytes(), self.name.as_bytes(), self.ca.der()];
        for field in fields {
            // Every field is checked to be under 64 KiB.
            bytes.extend_from_slice(&(field.len() as u16).to_be_bytes());
            bytes.extend_from_slice(field);
        }
        bytes.extend_from_slice(&self.expires_ms.to_be_bytes());
        bytes.extend_from_slice(&*self.secret);
        Zeroizing::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(&*bytes)))
    }

    /// Reads the text; surrounding white space is forgiven, nothing else.
    ///
    /// # Errors
    /// [`IdentityError`] naming the rule that refuses it; never the secret.
    pub fn parse(text: &str) -> Result<Self, IdentityError> {
        let text = text.trim();
        if text.len() > TEXT_BYTES_MAX {
            return refuse("too long");
        }
        let Some(encoded) = text.strip_prefix(PREFIX) else {
            return refuse("it does not begin with ward-enrol-1.");
        };
        let Ok(bytes) = URL_SAFE_NO_PAD.decode(encoded).map(Zeroizing::new) else {
            return refuse("not base64url");
        };
        let mut rest: &[u8] = &bytes;
        let url = take_text(&mut rest, URL_BYTES_MAX)?;
        let role = Role::parse(&take_text(&mut rest, 32)?)?;
        let name = take_text(&mut rest, super::NAME_BYTES_MAX)?;
        let ca = CaCertificate::from_der(take(&mut rest, CERTIFICATE_BYTES_MAX)?)?;
        let Some((expires, secret)) = rest.split_first_chunk::<8>() else {
            return refuse("cut short");
        };
        let Ok(secret) = <[u8; 32]>::try_from(secret).map(Zeroizing::new) else {
            return refuse("cut short, or too long");
        };
        let expires_ms = u64::from_be_bytes(*expires);
        Self { engine_url: url, role, name, expires_ms, ca, secret }.checked()
    }

    /// What the engine keeps.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        hash(self.role, &self.name, &self.secret)
    }

    /// What a member shows to enrol with this token.
    #[must_use]
    pub fn claim(&self, key: PublicKey) -> Claim {
        Claim { role: self.role, name: self.name.clone(), secret: self.secret.clone(), key }
    }

    /// True until and including the last moment of use.
    #[must_use]
    pub fn is_valid_at(&self, now_ms: u64) -> bool {
        now_ms <= self.expires_ms
    }
}

impl Claim {
    /// The hash that the engine compares.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        hash(self.role, &self.name, &self.secret)
    }
}

impl TokenHash {
    /// Compares in constant time.
    #[must_use]
    pub fn ct_eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({} {} at {})", self.role.as_str(), self.name, self.engine_url)
    }
}

fn take<'a>(rest: &mut &'a [u8], bytes_max: usize) -> Result<&'a [u8], IdentityError> {
    let Some((length, after)) = rest.split_first_chunk::<2>() else { return refuse("cut short") };
    let length = usize::from(u16::from_be_bytes(*length));
    if length > bytes_max {
        return refuse("a field is too long");
    }
    let Some((field, after)) = after.split_at_checked(length) else { return refuse("cut short") };
    *rest = after;
    Ok(field)
}

fn take_text(rest: &mut &[u8], bytes_max: usize) -> Result<String, IdentityError> {
    match std::str::from_utf8(take(rest, bytes_max)?) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => refuse("a field is not utf-8"),
    }
}
