//! Revoked keys: a list signed by the consortium's authority, numbered, which the engine hands to every node at once.
//!
//! Like an X.509 CRL (RFC 5280), with keys in place of serial numbers: a member may hold several certificates of one key. A node
//! keeps the highest number that it has seen and goes never back; it does not depend on the engine to refuse a revoked
//! peer. An engine that withholds newer lists is not found out by the list alone.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::{CaCertificate, CertificateAuthority, IdentityError, PublicKey, Signature, files};
use crate::encoding::{HexBytes, canonical_json};

/// Context of the authority's signature.
const CONTEXT: &str = "ward revocations";
/// Largest list read, bytes.
pub const LIST_BYTES_MAX: usize = 768 * 1024;

/// A key that is nobody's any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revoked {
    /// Whose it was.
    pub name: String,
    /// The key.
    pub key: PublicKey,
    /// Since when (unix milliseconds).
    pub at_ms: u64,
}

/// The list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevocationList {
    /// The consortium.
    pub consortium: String,
    /// Its number: of the newest revocation in it.
    pub number: u64,
    /// The keys.
    pub revoked: Vec<Revoked>,
}

/// The list with the authority's signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedRevocations {
    /// Canonical JSON of a [`RevocationList`].
    pub json: Vec<u8>,
    /// By the authority.
    pub signature: Signature,
}

fn refuse<T>(reason: &str) -> Result<T, IdentityError> {
    Err(IdentityError::Certificate { reason: format!("list of revocations: {reason}") })
}

impl SignedRevocations {
    /// Signs a list.
    #[must_use]
    pub fn sign(list: &RevocationList, authority: &CertificateAuthority) -> Self {
        let json = canonical_json(list);
        let signature = authority.sign(CONTEXT, &[&json]);
        Self { json, signature }
    }

    /// Checks a list to be of a consortium's authority.
    ///
    /// # Errors
    /// [`IdentityError::Certificate`] naming what does not hold.
    pub fn verify(&self, authority: &CaCertificate) -> Result<RevocationList, IdentityError> {
        if self.json.len() > LIST_BYTES_MAX {
            return refuse("too long");
        }
        if authority.key().verify(CONTEXT, &[&self.json], &self.signature).is_err() {
            return refuse("the authority did not sign it");
        }
        let Ok(list) = serde_json::from_slice::<RevocationList>(&self.json) else {
            return refuse("it does not parse");
        };
        if list.consortium != authority.name() {
            return refuse("of another consortium");
        }
        Ok(list)
    }
}

#[derive(Default)]
struct State {
    number: u64,
    keys: HashSet<PublicKey>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    list: String,
    signature: HexBytes,
}

/// What a node knows of revocations; kept in a file, so that a restart forgets nothing.
pub struct Revocations {
    authority: CaCertificate,
    path: Option<PathBuf>,
    state: RwLock<State>,
    changed: watch::Sender<u64>,
}

impl std::fmt::Debug for Revocations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Revocations({})", *self.changed.borrow())
    }
}

impl Revocations {
    /// Those in a file; none when there is no file yet.
    ///
    /// # Errors
    /// [`IdentityError`] when the file was changed by somebody else than the authority.
    pub fn open(folder: &Path, authority: CaCertificate) -> Result<Arc<Self>, IdentityError> {
        let path = folder.join("revocations.json");
        let own = Self::none(authority);
        if path.exists() {
            let text = files::read_private(&path, 2 * LIST_BYTES_MAX as u64)?;
            let Ok(saved) = serde_json::from_str::<Saved>(&text) else {
                return refuse("the file is damaged");
            };
            let Some(signature) = Signature::from_slice(&saved.signature.0) else {
                return refuse("the file is damaged");
            };
            own.take(&SignedRevocations { json: saved.list.into_bytes(), signature })?;
        }
        Ok(Arc::new(Self { path: Some(path), ..own }))
    }

    /// None yet, and kept nowhere.
    #[must_use]
    pub fn none(authority: CaCertificate) -> Self {
        Self { authority, path: None, state: RwLock::default(), changed: watch::Sender::new(0) }
    }

    /// Takes a list in when it is newer; true then.
    ///
    /// # Errors
    /// [`IdentityError::Certificate`] when the authority did not sign it; [`IdentityError::File`].
    pub fn take(&self, signed: &SignedRevocations) -> Result<bool, IdentityError> {
        let list = signed.verify(&self.authority)?;
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if list.number <= state.number {
            return Ok(false);
        }
        if let Some(path) = &self.path {
            let Ok(text) = String::from_utf8(signed.json.clone()) else { return refuse("it does not parse") };
            let saved =
                canonical_json(&Saved { list: text, signature: HexBytes(signed.signature.0.to_vec()) });
            crate::member::write_private(path, &saved).map_err(|problem| IdentityError::File {
                path: path.display().to_string(),
                reason: problem.message,
            })?;
        }
        *state =
            State { number: list.number, keys: list.revoked.iter().map(|revoked| revoked.key).collect() };
        drop(state);
        self.changed.send_replace(list.number);
        Ok(true)
    }

    /// True for a key that is nobody's any more.
    #[must_use]
    pub fn has(&self, key: &PublicKey) -> bool {
        self.state.read().unwrap_or_else(PoisonError::into_inner).keys.contains(key)
    }

    /// Tells of every newer list.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;

    fn authority() -> CertificateAuthority {
        CertificateAuthority::create("demo", 1_000).unwrap()
    }

    fn list(number: u64, keys: &[PublicKey]) -> RevocationList {
        let revoked =
            keys.iter().map(|key| Revoked { name: "north".to_owned(), key: *key, at_ms: 5 }).collect();
        RevocationList { consortium: "demo".to_owned(), number, revoked }
    }

    fn key() -> PublicKey {
        Identity::generate().unwrap().public()
    }

    #[test]
    fn a_newer_list_counts_is_told_of_and_survives_a_restart() {
        let (authority, folder, key) = (authority(), tempfile::tempdir().unwrap(), key());
        let known = Revocations::open(folder.path(), authority.certificate().clone()).unwrap();
        let told = known.subscribe();
        assert!(!known.has(&key));
        assert!(known.take(&SignedRevocations::sign(&list(3, &[key]), &authority)).unwrap());
        assert!(known.has(&key));
        assert_eq!(*told.borrow(), 3);
        let again = Revocations::open(folder.path(), authority.certificate().clone()).unwrap();
        assert!(again.has(&key));
    }

    #[test]
    fn an_older_list_does_not_bring_a_key_back() {
        let (authority, key) = (authority(), key());
        let known = Revocations::none(authority.certificate().clone());
        known.take(&SignedRevocations::sign(&list(3, &[key]), &authority)).unwrap();
        assert!(!known.take(&SignedRevocations::sign(&list(3, &[]), &authority)).unwrap());
        assert!(!known.take(&SignedRevocations::sign(&list(2, &[]), &authority)).unwrap());
        assert!(known.has(&key));
    }

    #[test]
    fn a_list_of_another_authority_or_with_a_changed_byte_is_refused() {
        let (own, other) = (authority(), authority());
        let known = Revocations::none(own.certificate().clone());
        assert!(known.take(&SignedRevocations::sign(&list(1, &[key()]), &other)).is_err());
        let mut signed = SignedRevocations::sign(&list(1, &[key()]), &own);
        for at in 0..signed.json.len() {
            signed.json[at] ^= 1;
            assert!(known.take(&signed).is_err());
            signed.json[at] ^= 1;
        }
        assert!(known.take(&signed).unwrap());
    }
}
