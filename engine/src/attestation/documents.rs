//! What issuers publish, signed: who they are, and what they revoked. A registry is a collection of both, and gives the
//! one root under which proofs are made.
//!
//! A document travels as text together with its signature, and is verified as it came: nobody encodes it anew.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use ward_circuits::Element;
use ward_circuits::eligibility::{Issuer, Issuers, StatusIndex, StatusList};
use ward_circuits::field;
use ward_circuits::merkle::Path;
use ward_circuits::schnorr;

use super::error::AttestationError;
use super::published::PublishedIssuers;
use crate::encoding::{Digest, HexBytes, canonical_json};
use crate::identity::{Identity, PublicKey, Signature, check_name, clip};

/// Largest document or registry read, in bytes.
pub const DOCUMENT_BYTES_MAX: usize = 64 << 20;
/// Most issuers of a registry.
pub const ISSUERS_MAX: usize = 512;
/// Credentials that an issuer can issue.
pub const CREDENTIALS_MAX: usize = 1 << 20;

const ISSUER: &str = "ward/v1/issuer";
const REVOCATIONS: &str = "ward/v1/revocations";

/// A document with the signature of the issuer's Ed25519 identity over its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// The document: canonical JSON.
    pub document: String,
    /// The signer's key.
    pub signer: PublicKey,
    /// Over the document's bytes, under the context of its kind.
    pub signature: HexBytes,
}

/// Who an issuer is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerDocument {
    /// Version of this form: 1.
    pub ward_issuer: u32,
    /// Its name in the consortium.
    pub name: String,
    /// Its identity: signs this document, revocations and envelopes.
    pub identity: PublicKey,
    /// Its key on Jubjub, which circuits verify: two coordinates of 32 bytes.
    pub credential_key: HexBytes,
    /// The schema it issues by.
    pub schema: Digest,
    /// When the key was made (unix milliseconds).
    pub created_unix_ms: u64,
}

/// What an issuer revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevocationsDocument {
    /// Version of this form: 1.
    pub ward_revocations: u32,
    /// The issuer.
    pub issuer: String,
    /// Its key on Jubjub.
    pub credential_key: HexBytes,
    /// Counts up with every publication.
    pub sequence: u64,
    /// When it was published (unix milliseconds).
    pub issued_unix_ms: u64,
    /// Places of the revoked credentials, ascending.
    pub revoked: Vec<u32>,
    /// Root of the tree over them.
    pub root: Digest,
}

/// The documents of the issuers that somebody accepts: not signed as a whole. Whoever verifies under it chose it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryFile {
    /// Version of this form: 1.
    pub ward_registry: u32,
    /// Who the issuers are.
    pub issuers: Vec<Signed>,
    /// What each of them revoked.
    pub revocations: Vec<Signed>,
    /// That these are the latest in a consortium's log, as its engine states.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<PublishedIssuers>,
}

/// A registry whose documents hold.
#[derive(Clone, Debug)]
pub struct Registry {
    entries: Vec<Entry>,
    issuers: Issuers,
}

/// One issuer of a registry.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Who it is.
    pub issuer: IssuerDocument,
    /// What it revoked.
    pub revocations: RevocationsDocument,
    /// SHA-256 of the issuer's document.
    pub document: Digest,
    key: schnorr::PublicKey,
}

impl Signed {
    pub(super) fn sign<T: Serialize>(identity: &Identity, context: &'static str, document: &T) -> Self {
        let bytes = canonical_json(document);
        let signature = identity.sign(context, &[&bytes]);
        // Canonical JSON is UTF-8.
        let document = String::from_utf8_lossy(&bytes).into_owned();
        Self { document, signer: identity.public(), signature: HexBytes(signature.0.to_vec()) }
    }

    pub(super) fn open<T: DeserializeOwned>(
        &self,
        context: &'static str,
        what: &'static str,
    ) -> Result<T, AttestationError> {
        let signature = <[u8; 64]>::try_from(self.signature.0.as_slice());
        let signature = Signature(signature.map_err(|e| AttestationError::malformed(what, e))?);
        self.signer.verify(context, &[self.document.as_bytes()], &signature)?;
        serde_json::from_str(&self.document).map_err(|e| AttestationError::malformed(what, e))
    }

    /// Reads a file with one document.
    ///
    /// # Errors
    /// [`AttestationError::Malformed`].
    pub fn from_json(json: &[u8]) -> Result<Self, AttestationError> {
        if json.len() > DOCUMENT_BYTES_MAX {
            return Err(AttestationError::malformed("a signed document", "too large"));
        }
        serde_json::from_slice(json).map_err(|e| AttestationError::malformed("a signed document", e))
    }
}

impl IssuerDocument {
    /// Signs it.
    #[must_use]
    pub fn signed(&self, identity: &Identity) -> Signed {
        Signed::sign(identity, ISSUER, self)
    }

    /// Verifies a document: by the identity that it names.
    ///
    /// # Errors
    /// [`AttestationError::Document`] and what makes it no document.
    pub fn open(signed: &Signed) -> Result<(Self, schnorr::PublicKey), AttestationError> {
        let document: Self = signed.open(ISSUER, "an issuer's document")?;
        let refused =
            |reason| AttestationError::Document { document: "issuer", issuer: clip(&document.name), reason };
        check_version("an issuer's document", document.ward_issuer)?;
        check_name(&document.name)?;
        if document.identity != signed.signer {
            return Err(refused("it is not signed by the identity that it names"));
        }
        let key = credential_key(&document.credential_key).ok_or_else(|| refused("its key is none"))?;
        Ok((document, key))
    }
}

impl RevocationsDocument {
    /// What an issuer publishes.
    ///
    /// # Errors
    /// [`AttestationError::Malformed`] for a place beyond the list.
    pub fn new(
        issuer: &str,
        credential_key: &schnorr::PublicKey,
        (sequence, issued_unix_ms): (u64, u64),
        revoked: &[u32],
    ) -> Result<Self, AttestationError> {
        let mut revoked = revoked.to_vec();
        revoked.sort_unstable();
        revoked.dedup();
        let root = status_list(&revoked)?.tree().root();
        Ok(Self {
            ward_revocations: 1,
            issuer: issuer.to_owned(),
            credential_key: HexBytes(credential_key.to_bytes().to_vec()),
            sequence,
            issued_unix_ms,
            revoked,
            root: Digest(field::to_bytes(&root)),
        })
    }

    /// Signs it.
    #[must_use]
    pub fn signed(&self, identity: &Identity) -> Signed {
        Signed::sign(identity, REVOCATIONS, self)
    }

    /// The list.
    ///
    /// # Errors
    /// [`AttestationError::Malformed`] for a place beyond it.
    pub fn list(&self) -> Result<StatusList, AttestationError> {
        status_list(&self.revoked)
    }

    /// Verifies a document by the key that it is signed with; whose key that is, the issuer's document says.
    ///
    /// # Errors
    /// [`AttestationError::Malformed`], [`AttestationError::Version`], or the signature.
    pub fn open(signed: &Signed) -> Result<Self, AttestationError> {
        let document: Self = signed.open(REVOCATIONS, "a document of revocations")?;
        check_version("a document of revocations", document.ward_revocations)?;
        let ascending = document.revoked.windows(2).all(|pair| pair[0] < pair[1]);
        if document.revoked.len() > CREDENTIALS_MAX || !ascending {
            return Err(AttestationError::malformed("a document of revocations", "places do not ascend"));
        }
        Ok(document)
    }
}

fn check_version(what: &'static str, found: u32) -> Result<(), AttestationError> {
    if found == 1 { Ok(()) } else { Err(AttestationError::Version { what, found, known: 1 }) }
}

fn status_list(revoked: &[u32]) -> Result<StatusList, AttestationError> {
    let mut list = StatusList::new();
    for place in revoked {
        let place = StatusIndex::new(*place);
        list.revoke(place.map_err(|e| AttestationError::malformed("a document of revocations", e))?);
    }
    Ok(list)
}

/// The key in its 64 bytes.
pub(super) fn credential_key(bytes: &HexBytes) -> Option<schnorr::PublicKey> {
    schnorr::PublicKey::from_bytes(&bytes.0.as_slice().try_into().ok()?).ok()
}

impl RegistryFile {
    /// A registry of these documents.
    #[must_use]
    pub fn new(issuers: Vec<Signed>, revocations: Vec<Signed>) -> Self {
        Self { ward_registry: 1, issuers, revocations, published: None }
    }

    /// Reads the file.
    ///
    /// # Errors
    /// [`AttestationError::Malformed`], [`AttestationError::Version`].
    pub fn from_json(json: &[u8]) -> Result<Self, AttestationError> {
        if json.len() > DOCUMENT_BYTES_MAX {
            return Err(AttestationError::malformed("a registry", "too large"));
        }
        let file: Self =
            serde_json::from_slice(json).map_err(|e| AttestationError::malformed("a registry", e))?;
        check_version("a registry", file.ward_registry)?;
        Ok(file)
    }

    /// Verifies every document. The order of the file is that of the tree: issuers by name.
    ///
    /// # Errors
    /// [`AttestationError::Document`] and what makes a document none.
    pub fn open(&self) -> Result<Registry, AttestationError> {
        if self.issuers.len() > ISSUERS_MAX || self.revocations.len() != self.issuers.len() {
            let reason = format!("one list of revocations for each of at most {ISSUERS_MAX} issuers is due");
            return Err(AttestationError::malformed("a registry", reason));
        }
        let mut lists = BTreeMap::new();
        for signed in &self.revocations {
            let document = RevocationsDocument::open(signed)?;
            lists.insert(document.issuer.clone(), (signed.signer, document));
        }
        let mut entries = Vec::new();
        for signed in &self.issuers {
            let (issuer, key) = IssuerDocument::open(signed)?;
            let refused = |document, reason| AttestationError::Document {
                document,
                issuer: clip(&issuer.name),
                reason,
            };
            // Taken out, so that a second issuer of the name finds none.
            let (signer, revocations) = lists
                .remove(&issuer.name)
                .ok_or_else(|| refused("revocations", "there is none, or two issuers"))?;
            if signer != issuer.identity || revocations.credential_key != issuer.credential_key {
                return Err(refused("revocations", "it is of another key"));
            }
            let document = Digest::of(signed.document.as_bytes());
            entries.push(Entry { issuer, revocations, document, key });
        }
        Registry::of(entries)
    }
}

impl Registry {
    fn of(mut entries: Vec<Entry>) -> Result<Self, AttestationError> {
        entries.sort_by(|a, b| a.issuer.name.cmp(&b.issuer.name));
        let leaf = |entry: &Entry| {
            let revocations = element(&entry.revocations.root).ok_or_else(|| AttestationError::Document {
                document: "revocations",
                issuer: clip(&entry.issuer.name),
                reason: "its root is no element of the field",
            })?;
            Ok::<_, AttestationError>(Issuer { key: entry.key, revocations })
        };
        let leaves = entries.iter().map(leaf).collect::<Result<Vec<_>, _>>()?;
        let issuers = Issuers::new(leaves).map_err(|e| AttestationError::malformed("a registry", e))?;
        Ok(Self { entries, issuers })
    }

    /// The root under which proofs are made.
    #[must_use]
    pub fn root(&self) -> Element {
        self.issuers.root()
    }

    /// The issuers, by name.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The issuer with this key, and its way to the root.
    #[must_use]
    pub fn find(&self, key: &schnorr::PublicKey) -> Option<(&Entry, Path)> {
        let (_, path) = self.issuers.find(key)?;
        Some((self.entries.iter().find(|entry| entry.key == *key)?, path))
    }
}

/// The element in 32 bytes, when it is one.
pub(super) fn element(bytes: &Digest) -> Option<Element> {
    field::from_bytes(&bytes.0).ok()
}
