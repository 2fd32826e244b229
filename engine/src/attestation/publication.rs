//! What an issuer publishes through a consortium's log: its word that these two documents are its latest, and the documents.
//!
//! The word is a document of its own, signed by the issuer's identity, and its digest is a leaf of the log. Publications of
//! an issuer count up, keep its keys, and only ever add revocations: [`OpenedPublication::check_after`] is what an engine asks.
//!
//! # Security
//! The engine orders publications and keeps them; it cannot make one. Against an issuer: two publications of one number are
//! evidence against it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::documents::{IssuerDocument, RevocationsDocument, Signed};
use super::error::AttestationError;
use crate::encoding::{Digest, separated};
use crate::identity::{Identity, check_name, clip};

/// Largest publication that an engine takes, in bytes: room for the revocation of every place.
pub const PUBLICATION_BYTES_MAX: usize = 16 << 20;

const CONTEXT: &str = "ward/v1/issuer-publication";
const WHAT: &str = "an issuer's publication";

/// An issuer's word on what is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicationDocument {
    /// Version of this form: 1.
    pub ward_publication: u32,
    /// The consortium in whose log it stands.
    pub consortium: String,
    /// The issuer.
    pub issuer: String,
    /// Counts up with every publication: that of the revocations.
    pub sequence: u64,
    /// Root of the tree over the revoked places.
    pub root: Digest,
    /// When the revocations were written down (unix milliseconds).
    pub issued_unix_ms: u64,
    /// SHA-256 of the issuer's document.
    pub issuer_document: Digest,
    /// SHA-256 of the document of revocations.
    pub revocations_document: Digest,
}

/// The word, and the documents that it names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Publication {
    /// Version of this form: 1.
    pub ward_issuer_publication: u32,
    /// The word.
    pub publication: Signed,
    /// Who the issuer is.
    pub issuer: Signed,
    /// What it revoked.
    pub revocations: Signed,
}

/// A publication whose signatures hold and whose parts say the same.
#[derive(Clone, Debug)]
pub struct OpenedPublication {
    /// The word.
    pub word: PublicationDocument,
    /// Who the issuer is.
    pub issuer: IssuerDocument,
    /// What it revoked.
    pub revocations: RevocationsDocument,
    /// The leaf of the log.
    pub leaf: Digest,
}

/// The leaf of a publication: what was signed, and by whom.
#[must_use]
pub fn leaf(publication: &Signed) -> Digest {
    separated("issuer-publication/1", &[publication.document.as_bytes(), publication.signer.as_bytes()])
}

impl PublicationDocument {
    /// Verifies the word by the key that it is signed with; whose key that is, the issuer's document says.
    ///
    /// # Errors
    /// [`AttestationError::Version`], [`AttestationError::Malformed`], or the signature.
    pub fn open(signed: &Signed) -> Result<Self, AttestationError> {
        let word: Self = signed.open(CONTEXT, WHAT)?;
        if word.ward_publication != 1 {
            return Err(AttestationError::Version { what: WHAT, found: word.ward_publication, known: 1 });
        }
        check_name(&word.issuer)?;
        Ok(word)
    }
}

impl Publication {
    /// An issuer's word on its two documents, for a consortium's log.
    ///
    /// # Errors
    /// What makes the documents none.
    pub fn new(
        consortium: &str,
        (issuer, revocations): (Signed, Signed),
        identity: &Identity,
    ) -> Result<Self, AttestationError> {
        let list = RevocationsDocument::open(&revocations)?;
        let word = PublicationDocument {
            ward_publication: 1,
            consortium: consortium.to_owned(),
            issuer: list.issuer,
            sequence: list.sequence,
            root: list.root,
            issued_unix_ms: list.issued_unix_ms,
            issuer_document: Digest::of(issuer.document.as_bytes()),
            revocations_document: Digest::of(revocations.document.as_bytes()),
        };
        let publication = Signed::sign(identity, CONTEXT, &word);
        Ok(Self { ward_issuer_publication: 1, publication, issuer, revocations })
    }

    /// Reads the JSON.
    ///
    /// # Errors
    /// [`AttestationError::Malformed`], [`AttestationError::Version`].
    pub fn from_json(json: &[u8]) -> Result<Self, AttestationError> {
        if json.len() > PUBLICATION_BYTES_MAX {
            return Err(AttestationError::malformed(WHAT, "too large"));
        }
        let read: Self = serde_json::from_slice(json).map_err(|e| AttestationError::malformed(WHAT, e))?;
        match read.ward_issuer_publication {
            1 => Ok(read),
            found => Err(AttestationError::Version { what: WHAT, found, known: 1 }),
        }
    }

    /// Verifies all three signatures, that they are one identity's, and that the word is about these two documents. The
    /// revocations' root is computed anew.
    ///
    /// # Errors
    /// [`AttestationError::Document`] and what makes a document none.
    pub fn open(&self) -> Result<OpenedPublication, AttestationError> {
        let word = PublicationDocument::open(&self.publication)?;
        let (issuer, key) = IssuerDocument::open(&self.issuer)?;
        let revocations = RevocationsDocument::open(&self.revocations)?;
        let refused =
            |document, reason| AttestationError::Document { document, issuer: clip(&word.issuer), reason };
        if [self.publication.signer, self.revocations.signer].iter().any(|key| *key != issuer.identity) {
            return Err(refused("publication", "its parts are not signed by one identity"));
        }
        if issuer.name != word.issuer || revocations.issuer != word.issuer {
            return Err(refused("publication", "its parts are of different issuers"));
        }
        if revocations.credential_key.0 != key.to_bytes() {
            return Err(refused("revocations", "it is of another key"));
        }
        let named = word.issuer_document == Digest::of(self.issuer.document.as_bytes())
            && word.revocations_document == Digest::of(self.revocations.document.as_bytes())
            && word.sequence == revocations.sequence
            && word.root == revocations.root
            && word.issued_unix_ms == revocations.issued_unix_ms;
        if !named {
            return Err(refused("publication", "it is about other documents"));
        }
        let anew = RevocationsDocument::new(
            &revocations.issuer,
            &key,
            (revocations.sequence, revocations.issued_unix_ms),
            &revocations.revoked,
        )?;
        if anew.root != revocations.root {
            return Err(refused("revocations", "its root is not that of its places"));
        }
        Ok(OpenedPublication { word, issuer, revocations, leaf: leaf(&self.publication) })
    }
}

impl OpenedPublication {
    /// Checks that this may follow an earlier publication of the issuer: the same keys, a later number, nothing unrevoked.
    ///
    /// # Errors
    /// [`AttestationError::Succession`] with the reason.
    pub fn check_after(&self, earlier: &Self) -> Result<(), AttestationError> {
        let refused = |reason| Err(AttestationError::Succession { issuer: clip(&self.word.issuer), reason });
        let (old, new) = (&earlier.issuer, &self.issuer);
        if old.identity != new.identity || old.credential_key != new.credential_key {
            return refused("another identity or key was published under this name");
        }
        if self.word.sequence <= earlier.word.sequence {
            return refused("a publication of this number, or a later one, is in the log");
        }
        let revoked: BTreeSet<u32> = self.revocations.revoked.iter().copied().collect();
        if earlier.revocations.revoked.iter().any(|place| !revoked.contains(place)) {
            return refused("it takes a revocation back");
        }
        Ok(())
    }
}
