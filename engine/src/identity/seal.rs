//! Sealing at rest: what a node keeps in its database opens only with its key, and only in the place it was
//! sealed for.
//!
//! Envelope: `0x57 0x53` ("WS"), version `1`, nonce (24 bytes, random), ciphertext and tag of
//! XChaCha20-Poly1305. The associated data is table, row and column, so that a value copied into another cell
//! does not open.

use std::path::Path;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::canonical::{Canonical, Digest};
use super::{IdentityError, files, random};

const HEADER: [u8; 3] = [0x57, 0x53, 1];
const NONCE_BYTES: usize = 24;

/// A 32-byte sealing key; wiped on drop, never shown.
pub struct SealKey(Zeroizing<[u8; 32]>);

/// Where a sealed value is kept.
#[derive(Clone, Copy, Debug)]
pub struct SealContext<'a> {
    /// Table.
    pub table: &'a str,
    /// Row.
    pub row: &'a str,
    /// Column.
    pub column: &'a str,
}

impl SealContext<'_> {
    fn associated_data(&self) -> Vec<u8> {
        Canonical::new("sealed/1").text(self.table).text(self.row).text(self.column).finish()
    }

    fn refuse(&self) -> IdentityError {
        IdentityError::Sealed { table: self.table.to_owned(), column: self.column.to_owned() }
    }
}

impl SealKey {
    /// From bytes.
    #[must_use]
    pub fn from_bytes(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// From 64 hexadecimal characters (a value of the environment; white space around it is forgiven).
    ///
    /// # Errors
    /// [`IdentityError::File`] naming `origin`, never the text.
    pub fn from_hex(text: &str, origin: &str) -> Result<Self, IdentityError> {
        let mut key = Zeroizing::new([0; 32]);
        hex::decode_to_slice(text.trim(), &mut *key).map_err(|_| IdentityError::File {
            path: origin.to_owned(),
            reason: "not 64 hexadecimal characters".to_owned(),
        })?;
        Ok(Self(key))
    }

    /// Reads the key file, or creates it with a fresh key and mode 0600 when it is absent.
    ///
    /// # Errors
    /// [`IdentityError::File`] when it is malformed, readable by others, or cannot be written.
    pub fn load_or_create(path: &Path) -> Result<Self, IdentityError> {
        if !path.exists() {
            if let Some(folder) = path.parent() {
                files::private_dir(folder)?;
            }
            let key = Zeroizing::new(random::<32>()?);
            let text = Zeroizing::new(format!("{}\n", hex::encode(*key)));
            files::create_private(path, text.as_bytes())?;
        }
        Self::from_hex(&files::read_private(path, 1024)?, &path.display().to_string())
    }

    /// Seals a value for a place.
    ///
    /// # Errors
    /// [`IdentityError::Random`], or [`IdentityError::Sealed`] for more bytes than the cipher takes.
    pub fn seal(&self, context: SealContext<'_>, plain: &[u8]) -> Result<Vec<u8>, IdentityError> {
        let nonce = XNonce::from(random::<NONCE_BYTES>()?);
        let payload = Payload { msg: plain, aad: &context.associated_data() };
        let sealed = self.cipher().encrypt(&nonce, payload).map_err(|_| context.refuse())?;
        Ok([&HEADER[..], &nonce[..], &sealed].concat())
    }

    /// Opens a value at its place.
    ///
    /// # Errors
    /// [`IdentityError::Sealed`] for another key, another place, another version or changed bytes.
    pub fn open(
        &self,
        context: SealContext<'_>,
        envelope: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, IdentityError> {
        let body = envelope.strip_prefix(&HEADER).ok_or_else(|| context.refuse())?;
        let (nonce, sealed) = body.split_first_chunk::<NONCE_BYTES>().ok_or_else(|| context.refuse())?;
        let payload = Payload { msg: sealed, aad: &context.associated_data() };
        let opened = self.cipher().decrypt(&XNonce::from(*nonce), payload);
        opened.map(Zeroizing::new).map_err(|_| context.refuse())
    }

    /// A digest that says nothing without this key: HMAC-SHA-256 under a key derived from it (RFC 2104).
    #[must_use]
    pub fn blind(&self, domain: &'static str, text: &str) -> Digest {
        keyed_digest(&self.0, domain, text.as_bytes())
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.0).into())
    }
}

/// HMAC-SHA-256 over framed bytes, under a key that is derived for nothing else.
pub(crate) fn keyed_digest(key: &[u8; 32], domain: &'static str, bytes: &[u8]) -> Digest {
    let sign = |key: &[u8], framed: Vec<u8>| {
        ring::hmac::sign(&ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key), &framed)
    };
    let own = sign(key, Canonical::new("blinding-key/1").finish());
    let mut digest = Digest([0; 32]);
    digest.0.copy_from_slice(sign(own.as_ref(), Canonical::new(domain).bytes(bytes).finish()).as_ref());
    digest
}

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealKey(..)")
    }
}
