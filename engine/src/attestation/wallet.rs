//! The holder's wallet: one file, sealed under a passphrase.
//!
//! The key is Argon2id of the passphrase (RFC 9106, section 4: 64 MiB, three passes, one lane); the content is sealed
//! with XChaCha20-Poly1305 like everything else at rest.

use std::path::Path;

use serde::{Deserialize, Serialize};
use ward_circuits::criteria::Schema;
use ward_circuits::eligibility::HolderSecret;
use ward_circuits::field;
use ward_math::Secret;
use zeroize::{Zeroize, Zeroizing};

use super::credential::{self, HolderRequest, Opened};
use super::documents::IssuerDocument;
use super::error::AttestationError;
use super::key_binding::{self, Challenge};
use super::{read_file, system_rng, write_private};
use crate::encoding::{Digest, HexBytes};
use crate::identity::passphrase::{DERIVATION, PassphraseError};
pub use crate::identity::passphrase::{Hardness, PASSPHRASE_BYTES_MIN};
use crate::identity::{Identity, PublicKey, SealContext, SealKey, check_name, clip, passphrase, random};

/// Most credentials of a wallet.
pub const CREDENTIALS_MAX: usize = 256;
/// Largest wallet read, in bytes.
pub const WALLET_BYTES_MAX: u64 = 64 << 20;
const PLACE: SealContext<'static> = SealContext { table: "wallet", row: "self", column: "content" };

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    ward_wallet: u32,
    kdf: String,
    memory_kib: u32,
    passes: u32,
    salt: HexBytes,
    sealed: HexBytes,
}

/// A credential as the wallet keeps it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// The holder's name for it.
    pub label: String,
    /// The issuer's name.
    pub issuer: String,
    /// The issuer's identity, by which the envelope was verified.
    pub identity: PublicKey,
    /// The envelope.
    pub envelope: String,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.envelope.zeroize();
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    seed: String,
    secret: String,
    credentials: Vec<Kept>,
}

impl Drop for Content {
    fn drop(&mut self) {
        self.seed.zeroize();
        self.secret.zeroize();
    }
}

/// An open wallet.
pub struct Wallet {
    identity: Identity,
    seed: Zeroizing<[u8; 32]>,
    secret: HolderSecret,
    credentials: Vec<Kept>,
    key: SealKey,
    salt: [u8; 16],
    hardness: Hardness,
}

impl Wallet {
    /// A new wallet; nothing is written yet.
    ///
    /// # Errors
    /// [`AttestationError::Malformed`] for a passphrase that is too short.
    pub fn create(passphrase: &str, hardness: Hardness) -> Result<Self, AttestationError> {
        if passphrase.len() < PASSPHRASE_BYTES_MIN {
            let reason = format!("{PASSPHRASE_BYTES_MIN} characters at least");
            return Err(AttestationError::malformed("a passphrase", reason));
        }
        let seed = Zeroizing::new(random::<32>()?);
        let salt = random::<16>()?;
        Ok(Self {
            identity: Identity::from_seed(&seed),
            seed,
            secret: HolderSecret::generate(&mut system_rng()?),
            credentials: Vec::new(),
            key: derive(passphrase, &salt, hardness)?,
            salt,
            hardness,
        })
    }

    /// Opens a wallet's file.
    ///
    /// # Errors
    /// [`AttestationError::Passphrase`], or what makes the file no wallet.
    pub fn open(path: &Path, passphrase: &str) -> Result<Self, AttestationError> {
        Self::unseal(&read_file(path, WALLET_BYTES_MAX)?, passphrase)
    }

    /// Opens a wallet that was read.
    ///
    /// # Errors
    /// As [`Wallet::open`].
    pub fn unseal(file: &[u8], passphrase: &str) -> Result<Self, AttestationError> {
        let what = "a wallet";
        let saved: Saved = serde_json::from_slice(file).map_err(|e| AttestationError::malformed(what, e))?;
        if saved.ward_wallet != 1 {
            return Err(AttestationError::Version { what, found: saved.ward_wallet, known: 1 });
        }
        let hardness = Hardness { memory_kib: saved.memory_kib, passes: saved.passes };
        let salt = <[u8; 16]>::try_from(saved.salt.0.as_slice());
        let salt = salt.map_err(|e| AttestationError::malformed(what, e))?;
        if saved.kdf != DERIVATION {
            return Err(AttestationError::malformed(what, PassphraseError::Derivation));
        }
        let key = derive(passphrase, &salt, hardness)?;
        let opened = key.open(PLACE, &saved.sealed.0).map_err(|_| AttestationError::Passphrase)?;
        let content: Content =
            serde_json::from_slice(&opened).map_err(|_| AttestationError::malformed(what, "no content"))?;
        let bytes = |text: &str| {
            let mut bytes = Zeroizing::new([0; 32]);
            hex::decode_to_slice(text, &mut *bytes).map_err(|e| AttestationError::malformed(what, e))?;
            Ok::<_, AttestationError>(bytes)
        };
        let seed = bytes(&content.seed)?;
        let secret = HolderSecret::from_bytes(&*bytes(&content.secret)?);
        Ok(Self {
            identity: Identity::from_seed(&seed),
            seed,
            secret: secret.map_err(|e| AttestationError::malformed(what, e))?,
            credentials: content.credentials.clone(),
            key,
            salt,
            hardness,
        })
    }

    /// Writes the file.
    ///
    /// # Errors
    /// [`AttestationError::File`].
    pub fn save(&self, path: &Path) -> Result<(), AttestationError> {
        let content = Content {
            seed: hex::encode(*self.seed),
            secret: hex::encode(self.secret.to_bytes().expose()),
            credentials: self.credentials.clone(),
        };
        let malformed = |e: serde_json::Error| AttestationError::malformed("a wallet", e);
        let plain = Zeroizing::new(serde_json::to_vec(&content).map_err(malformed)?);
        let saved = Saved {
            ward_wallet: 1,
            kdf: DERIVATION.to_owned(),
            memory_kib: self.hardness.memory_kib,
            passes: self.hardness.passes,
            salt: HexBytes(self.salt.to_vec()),
            sealed: HexBytes(self.key.seal(PLACE, &plain)?),
        };
        write_private(path, &serde_json::to_vec_pretty(&saved).map_err(malformed)?)
    }

    /// What an issuer needs to bind a credential to this wallet.
    #[must_use]
    pub fn request(&self) -> HolderRequest {
        let holder_key = Digest(field::to_bytes(&self.secret.key().0));
        HolderRequest { ward_holder: 1, identity: self.identity.public(), holder_key }
    }

    /// The holder's secret in the circuit.
    ///
    /// # Errors
    /// Never for a wallet that was opened.
    pub fn secret(&self) -> Result<HolderSecret, AttestationError> {
        let bytes: Secret<[u8; 32]> = self.secret.to_bytes();
        HolderSecret::from_bytes(bytes.expose()).map_err(|e| AttestationError::malformed("a wallet", e))
    }

    /// Takes a credential in, after checking it.
    ///
    /// # Errors
    /// [`AttestationError::Conflict`] for a label that is taken, and whatever [`credential::open`] refuses.
    pub fn add(
        &mut self,
        label: &str,
        envelope: &str,
        issuer: &IssuerDocument,
    ) -> Result<Opened, AttestationError> {
        check_name(label)?;
        if self.credentials.iter().any(|kept| kept.label == label) {
            return Err(AttestationError::Conflict {
                reason: format!("there is a credential {label:?} already"),
            });
        }
        if self.credentials.len() >= CREDENTIALS_MAX {
            return Err(AttestationError::Conflict { reason: format!("the wallet holds {CREDENTIALS_MAX}") });
        }
        let opened = credential::open(envelope, &issuer.identity, &self.request(), &Schema::v1())?;
        let named = opened.issuer == issuer.name;
        if !named || opened.credential.issuer().to_bytes().as_slice() != issuer.credential_key.0 {
            return Err(AttestationError::Inconsistent {
                reason: "it is of another issuer than the document",
            });
        }
        self.credentials.push(Kept {
            label: label.to_owned(),
            issuer: issuer.name.clone(),
            identity: issuer.identity,
            envelope: envelope.trim().to_owned(),
        });
        Ok(opened)
    }

    /// The credentials.
    #[must_use]
    pub fn credentials(&self) -> &[Kept] {
        &self.credentials
    }

    /// Opens a credential; without a label the only one there is.
    ///
    /// # Errors
    /// [`AttestationError::NotFound`], and whatever [`credential::open`] refuses.
    pub fn credential(&self, label: Option<&str>) -> Result<Opened, AttestationError> {
        let kept = self.kept(label)?;
        credential::open(&kept.envelope, &kept.identity, &self.request(), &Schema::v1())
    }

    fn kept(&self, label: Option<&str>) -> Result<&Kept, AttestationError> {
        let missing = |name: &str| AttestationError::NotFound { what: "credential", name: clip(name) };
        match (label, self.credentials.as_slice()) {
            (Some(label), kept) => kept.iter().find(|k| k.label == label).ok_or_else(|| missing(label)),
            (None, [only]) => Ok(only),
            (None, []) => Err(missing("")),
            (None, several) => {
                let labels: Vec<&str> = several.iter().map(|kept| kept.label.as_str()).collect();
                let reason = format!("the wallet holds several credentials: {}", labels.join(", "));
                Err(AttestationError::Conflict { reason })
            }
        }
    }

    /// Shows attributes of a credential to one verifier, signed by the holder's key. Only attributes of the schema can be
    /// shown: what opens the commitment stays in the wallet.
    ///
    /// # Errors
    /// [`AttestationError::NotFound`] for an attribute that the schema or the credential does not have, and what
    /// [`Wallet::credential`] refuses.
    pub fn present(
        &self,
        label: Option<&str>,
        attributes: &[&str],
        challenge: Challenge<'_>,
        now_s: u64,
    ) -> Result<String, AttestationError> {
        let opened = self.credential(label)?;
        if let Some(name) = attributes.iter().find(|name| !opened.words.contains_key(**name)) {
            return Err(AttestationError::NotFound { what: "attribute", name: clip(name) });
        }
        let kept = self.kept(label)?;
        Ok(key_binding::present(&kept.envelope, attributes, &self.identity, challenge, now_s)?)
    }

    /// Forgets a credential.
    ///
    /// # Errors
    /// [`AttestationError::NotFound`].
    pub fn remove(&mut self, label: &str) -> Result<(), AttestationError> {
        let count = self.credentials.len();
        self.credentials.retain(|kept| kept.label != label);
        if self.credentials.len() == count {
            return Err(AttestationError::NotFound { what: "credential", name: clip(label) });
        }
        Ok(())
    }
}

fn derive(words: &str, salt: &[u8; 16], hardness: Hardness) -> Result<SealKey, AttestationError> {
    passphrase::derive(words, salt, hardness).map_err(|e| AttestationError::malformed("a wallet", e))
}

#[cfg(test)]
impl Wallet {
    /// A wallet of known secrets, for test vectors.
    pub(super) fn of_secrets(seed: [u8; 32], secret: HolderSecret) -> Self {
        let hardness = Hardness { memory_kib: 8, passes: 1 };
        Self {
            identity: Identity::from_seed(&seed),
            seed: Zeroizing::new(seed),
            secret,
            credentials: Vec::new(),
            key: SealKey::from_bytes(Zeroizing::new([0; 32])),
            salt: [0; 16],
            hardness,
        }
    }
}
