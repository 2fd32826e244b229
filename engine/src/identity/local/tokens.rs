//! The engine's own tokens: access tokens (JWT, Ed25519) and refresh tokens (random).

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::LocalError;
use crate::encoding::{Digest, separated};
use crate::identity::bearer::jwt::{self, Expected};
use crate::identity::bearer::{ALGORITHMS, BearerError};
use crate::identity::{Identity, IdentityError, files, random};

/// Life of an access token, milliseconds.
pub const ACCESS_MS: u64 = 15 * 60_000;
/// Life of a login, milliseconds: then the person authenticates again.
pub const REFRESH_MS: u64 = 12 * 3_600_000;

const PREFIX: &str = "ward-refresh-1.";
const KEY_BYTES_MAX: u64 = 16 * 1024;

/// Tokens of a login.
pub struct Issued {
    /// The access token.
    pub access: Zeroizing<String>,
    /// When it ends (unix milliseconds).
    pub expires_ms: u64,
    /// The refresh token; none for services, which show their secret again.
    pub refresh: Option<Zeroizing<String>>,
}

/// The key that signs access tokens; it signs nothing else.
pub struct TokenKey {
    identity: Identity,
    key: Jwk,
    key_id: String,
    expected: Expected,
}

/// What an access token says.
pub struct Access<'a> {
    /// The account.
    pub account: &'a str,
    /// The login.
    pub login: &'a str,
    /// When the person authenticated (unix milliseconds).
    pub authenticated_ms: u64,
    /// Methods.
    pub amr: &'a [String],
}

impl TokenKey {
    /// Reads the key of a folder, or makes one.
    ///
    /// # Errors
    /// [`LocalError::Identity`] when the file is malformed, readable by others, or cannot be written.
    pub fn load_or_create(folder: &Path, consortium: &str) -> Result<Self, LocalError> {
        let path = folder.join("token.key");
        if !path.exists() {
            files::create_private(&path, Identity::generate()?.to_pem()?.as_bytes())?;
        }
        let identity = Identity::from_pem(&files::read_private(&path, KEY_BYTES_MAX)?)?;
        Self::new(identity, consortium)
    }

    /// The key of a consortium's tokens.
    ///
    /// # Errors
    /// [`LocalError::Identity`].
    pub fn new(identity: Identity, consortium: &str) -> Result<Self, LocalError> {
        let public = identity.public();
        let key_id = public.fingerprint();
        let key = json!({
            "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": key_id,
            "x": URL_SAFE_NO_PAD.encode(public.as_bytes()),
        });
        let key = serde_json::from_value(key).map_err(|_| LocalError::Identity(IdentityError::Key))?;
        let issuer = format!("ward:{consortium}");
        let expected = Expected {
            audience: issuer.clone(),
            issuer,
            clients: Vec::new(),
            algorithms: vec![ALGORITHMS[0]],
            skew_s: 0,
        };
        Ok(Self { identity, key, key_id, expected })
    }

    /// The issuer that its tokens name.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.expected.issuer
    }

    /// Signs an access token; also says when it ends (unix milliseconds).
    #[must_use]
    pub fn access(&self, access: &Access<'_>, now_ms: u64) -> (Zeroizing<String>, u64) {
        let now_s = now_ms / 1000;
        let until_s = now_s + ACCESS_MS / 1000;
        let header = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": self.key_id });
        let claims = json!({
            "iss": self.expected.issuer, "aud": self.expected.audience, "sub": access.account,
            "iat": now_s, "exp": until_s, "sid": access.login, "amr": access.amr,
            "auth_time": access.authenticated_ms / 1000,
        });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let mut token = Zeroizing::new(format!("{}.{}", part(&header), part(&claims)));
        let signature = self.identity.sign_raw(token.as_bytes());
        token.push('.');
        token.push_str(&URL_SAFE_NO_PAD.encode(signature.0));
        (token, until_s * 1000)
    }

    /// Checks an access token; returns the account and the login that it names, and its end (unix milliseconds).
    ///
    /// # Errors
    /// [`BearerError`].
    pub fn verify(&self, token: &str, now_ms: u64) -> Result<(String, String, u64), BearerError> {
        let claims = jwt::verify(token, &self.key, &self.expected, now_ms / 1000)?;
        let text = |name: &str| {
            let found = claims.get(name).and_then(Value::as_str).map(str::to_owned);
            found.ok_or_else(|| BearerError::Claim { claim: name.to_owned() })
        };
        let until_s = jwt::time(&claims, "exp")?.unwrap_or(0);
        Ok((text("sub")?, text("sid")?, until_s * 1000))
    }
}

/// A refresh token of a login: its text, and the digest that is kept.
///
/// # Errors
/// Without randomness.
pub(super) fn refresh_token(login: &str) -> Result<(Zeroizing<String>, Digest), LocalError> {
    let secret = Zeroizing::new(random::<32>()?);
    let body = Zeroizing::new(URL_SAFE_NO_PAD.encode(*secret));
    Ok((Zeroizing::new(format!("{PREFIX}{login}.{}", *body)), digest(login, &*secret)))
}

/// Reads a refresh token: the login, and the digest to compare.
pub(super) fn parse_refresh(text: &str) -> Option<(String, Digest)> {
    let (login, secret) = text.trim().strip_prefix(PREFIX)?.split_once('.')?;
    let is_id = login.len() == 32 && login.bytes().all(|b| b.is_ascii_hexdigit());
    let mut bytes = Zeroizing::new([0; 33]);
    let length = URL_SAFE_NO_PAD.decode_slice(secret, &mut *bytes).ok()?;
    (is_id && length == 32).then(|| (login.to_owned(), digest(login, &bytes[..32])))
}

fn digest(login: &str, secret: &[u8]) -> Digest {
    separated("refresh-token/1", &[login.as_bytes(), secret])
}
