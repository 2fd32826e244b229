//! What verifies an account's secrets: password, one-time passwords, recovery codes.

use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use totp_rs::{Builder, Totp};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{LocalError, PASSWORD_BYTES_MAX, PASSWORD_CHARS_MIN};
use crate::encoding::separated;
use crate::identity::{SealContext, SealKey, random};

/// Recovery codes of an account.
const CODES: usize = 10;
/// Alphabet of recovery codes (Crockford's base 32, lower case).
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// What guessing a password costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
}

impl Default for Cost {
    /// RFC 9106, section 4, second recommended option: 64 MiB, three passes.
    fn default() -> Self {
        Self { memory_kib: 64 * 1024, passes: 3 }
    }
}

/// Verifiers of an account's secrets; sealed wherever they are kept.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
pub struct Secrets {
    #[zeroize(skip)]
    cost: Cost,
    salt: [u8; 16],
    /// Argon2id of the password; for a service, of nothing: see `service`.
    password: [u8; 32],
    /// Digest of a service's secret.
    service: Option<[u8; 32]>,
    /// Secret of the one-time passwords; none before the second factor is set up.
    totp: Option<[u8; 20]>,
    /// Digests of recovery codes not used yet.
    codes: Vec<[u8; 32]>,
}

/// What is shown once when a second factor is made.
pub struct Fresh {
    /// For the authenticator: base 32.
    pub totp: Zeroizing<String>,
    /// Recovery codes.
    pub codes: Vec<Zeroizing<String>>,
}

fn derive(password: &[u8], salt: &[u8; 16], cost: Cost) -> Result<[u8; 32], LocalError> {
    let failed = |e: argon2::Error| LocalError::Hash { reason: e.to_string() };
    let params = Params::new(cost.memory_kib, cost.passes, 1, Some(32)).map_err(failed)?;
    let mut hash = [0; 32];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into(password, salt, &mut hash).map_err(failed)?;
    Ok(hash)
}

fn code_digest(code: &str) -> [u8; 32] {
    // As people type them: without hyphens, in any case.
    let plain: Zeroizing<String> = Zeroizing::new(
        code.chars().filter(|c| *c != '-' && !c.is_whitespace()).flat_map(char::to_lowercase).collect(),
    );
    separated("recovery-code/1", &[plain.as_bytes()]).0
}

/// Digest of a service's secret: 32 random bytes need no slow hash.
fn service_digest(secret: &[u8]) -> [u8; 32] {
    separated("service-secret/1", &[secret]).0
}

fn check_password(password: &str) -> Result<(), LocalError> {
    if password.chars().count() < PASSWORD_CHARS_MIN {
        return Err(LocalError::Password { reason: "shorter than 12 characters" });
    }
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(LocalError::Password { reason: "longer than 1,024 bytes" });
    }
    let first = password.chars().next();
    if password.chars().all(|c| Some(c) == first) {
        return Err(LocalError::Password { reason: "one character, repeated" });
    }
    Ok(())
}

impl Secrets {
    /// Those of a person with a password; without a second factor yet.
    ///
    /// # Errors
    /// [`LocalError::Password`], or without randomness.
    pub fn of_password(password: &str, cost: Cost) -> Result<Self, LocalError> {
        check_password(password)?;
        let salt = random::<16>()?;
        let password = derive(password.as_bytes(), &salt, cost)?;
        Ok(Self { cost, salt, password, service: None, totp: None, codes: Vec::new() })
    }

    /// Those of a service.
    ///
    /// # Errors
    /// Without randomness.
    pub fn of_service(secret: &[u8; 32]) -> Result<Self, LocalError> {
        // No password hashes to random bytes that nobody knows.
        let (salt, password) = (random::<16>()?, random::<32>()?);
        let service = Some(service_digest(secret));
        Ok(Self { cost: Cost::default(), salt, password, service, totp: None, codes: Vec::new() })
    }

    /// Those that no secret opens, for names that do not exist: looking at them takes as long.
    #[must_use]
    pub fn of_nobody(cost: Cost) -> Self {
        Self { cost, salt: [0; 16], password: [0; 32], service: None, totp: None, codes: Vec::new() }
    }

    /// These, with the second factor and the recovery codes of others.
    #[must_use]
    pub fn with_second_of(mut self, other: &Self) -> Self {
        self.totp = other.totp;
        self.codes.clone_from(&other.codes);
        self
    }

    /// Makes a second factor, in place of an older one.
    ///
    /// # Errors
    /// Without randomness.
    pub fn renew_totp(&mut self) -> Result<Fresh, LocalError> {
        let secret = Zeroizing::new(random::<20>()?);
        self.totp = Some(*secret);
        let mut codes = Vec::with_capacity(CODES);
        for _ in 0..CODES {
            let bytes = Zeroizing::new(random::<16>()?);
            let mut text = Zeroizing::new(String::with_capacity(19));
            for (at, byte) in bytes.iter().enumerate() {
                if at > 0 && at % 4 == 0 {
                    text.push('-');
                }
                text.push(char::from(ALPHABET[usize::from(byte & 31)]));
            }
            codes.push(text);
        }
        self.codes = codes.iter().map(|code| code_digest(code)).collect();
        Ok(Fresh { totp: base32(&*secret), codes })
    }

    /// True when there is a second factor.
    #[must_use]
    pub fn has_totp(&self) -> bool {
        self.totp.is_some()
    }

    /// Recovery codes left.
    #[must_use]
    pub fn codes_left(&self) -> usize {
        self.codes.len()
    }

    /// Checks a password, in the time that the hash takes.
    ///
    /// # Errors
    /// [`LocalError::Credentials`].
    pub fn check_password(&self, password: &str) -> Result<(), LocalError> {
        if password.len() > PASSWORD_BYTES_MAX {
            return Err(LocalError::Credentials);
        }
        let hash = Zeroizing::new(derive(password.as_bytes(), &self.salt, self.cost)?);
        if hash.ct_eq(&self.password).into() { Ok(()) } else { Err(LocalError::Credentials) }
    }

    /// Checks a service's secret.
    ///
    /// # Errors
    /// [`LocalError::Credentials`].
    pub fn check_service(&self, secret: &[u8]) -> Result<(), LocalError> {
        let shown = service_digest(secret);
        let held = self.service.as_ref().is_some_and(|held| held.ct_eq(&shown).into());
        if held { Ok(()) } else { Err(LocalError::Credentials) }
    }

    /// Checks a one-time password; returns its step, which must be later than the last one used. A step before and
    /// after now is accepted (RFC 6238, section 5.2).
    ///
    /// # Errors
    /// [`LocalError::Credentials`].
    pub fn check_totp(&self, code: &str, now_s: u64, used_step: u64) -> Result<u64, LocalError> {
        let step = self.totp()?.and_then(|totp| totp.check(code.trim(), now_s));
        step.filter(|step| *step > used_step).ok_or(LocalError::Credentials)
    }

    /// Checks a recovery code without using it up.
    ///
    /// # Errors
    /// [`LocalError::Credentials`].
    pub fn has_code(&self, code: &str) -> Result<(), LocalError> {
        self.find_code(code).map(drop)
    }

    fn find_code(&self, code: &str) -> Result<[u8; 32], LocalError> {
        let shown = code_digest(code);
        // Every code is compared: the time taken tells nothing.
        let found = self
            .codes
            .iter()
            .fold(None, |found, held| if bool::from(held.ct_eq(&shown)) { Some(*held) } else { found });
        found.ok_or(LocalError::Credentials)
    }

    /// Uses a recovery code up.
    ///
    /// # Errors
    /// [`LocalError::Credentials`].
    pub fn use_code(&mut self, code: &str) -> Result<(), LocalError> {
        let held = self.find_code(code)?;
        self.codes.retain(|code| *code != held);
        Ok(())
    }

    fn totp(&self) -> Result<Option<Totp>, LocalError> {
        let Some(secret) = self.totp else { return Ok(None) };
        let totp = Builder::new().with_secret(secret).build();
        totp.map(Some).map_err(|e| LocalError::Hash { reason: e.to_string() })
    }

    /// Seals them for an account's row.
    ///
    /// # Errors
    /// [`LocalError::Identity`].
    pub fn seal(&self, seal: &SealKey, account: &str) -> Result<Vec<u8>, LocalError> {
        let plain = serde_json::to_vec(self).map(Zeroizing::new);
        let plain = plain.map_err(|_| LocalError::Unreadable { name: account.to_owned() })?;
        Ok(seal.seal(place(account), &plain)?)
    }

    /// Opens those of an account's row.
    ///
    /// # Errors
    /// [`LocalError::Identity`] for another row's, or under another key.
    pub fn open(seal: &SealKey, account: &str, sealed: &[u8]) -> Result<Self, LocalError> {
        let plain = seal.open(place(account), sealed)?;
        serde_json::from_slice(&plain).map_err(|_| LocalError::Unreadable { name: account.to_owned() })
    }
}

fn place(account: &str) -> SealContext<'_> {
    SealContext { table: "accounts", row: account, column: "secrets" }
}

/// RFC 4648 base 32, as authenticators read it; 20 bytes are 32 characters.
fn base32(bytes: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 8 / 5));
    let (mut buffer, mut bits) = (0_u32, 0);
    for byte in bytes {
        (buffer, bits) = (buffer << 8 | u32::from(*byte), bits + 8);
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(BASE32[(buffer >> bits & 31) as usize]));
        }
        buffer &= (1 << bits) - 1;
    }
    text
}

/// The address that authenticators read from a QR code.
#[must_use]
pub fn otpauth_url(consortium: &str, account: &str, totp: &str) -> Zeroizing<String> {
    Zeroizing::new(format!(
        "otpauth://totp/ward%20{consortium}:{account}?secret={totp}&issuer=ward%20{consortium}"
    ))
}
