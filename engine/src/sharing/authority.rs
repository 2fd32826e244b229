//! The authority of attributes: its public document, its secret, and the keys that it issues.
//!
//! Keys are withdrawn by epochs. Every key has the attribute `epoch:N` of the epoch in which it was issued, and every
//! policy is joined with the epoch of the authority's document. An authority that advances its epoch issues new keys to
//! those who stay.

use std::collections::BTreeSet;

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use ward_protocols::sharing::fame::{self, MasterKey, PublicKey, UserKey};
use ward_protocols::sharing::{Attribute, Policy, sealed};
use zeroize::Zeroizing;

use super::{ShareError, check_version, from_json};
use crate::encoding::{HexBytes, canonical_json, separated};
use crate::identity::passphrase::{Hardness, Locked};
use crate::identity::{SealContext, check_name};

const WHAT: &str = "an authority's document";
const WHAT_SECRET: &str = "an authority's secret";
const WHAT_KEY: &str = "a holder's key";
/// Attributes that begin so are the epochs'.
const EPOCH: &str = "epoch:";

/// What everybody knows of an authority. Whoever seals trusts the id that the authority tells them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthorityDocument {
    /// Version.
    pub ward_share_authority: u32,
    /// The authority's name.
    pub name: String,
    /// The epoch under which is sealed.
    pub epoch: u64,
    /// The key.
    pub key: HexBytes,
}

/// An authority's secret, as it stands in its file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthoritySecret {
    /// Version.
    pub ward_share_authority_secret: u32,
    /// What everybody knows.
    pub document: AuthorityDocument,
    lock: Locked,
}

/// A holder's key, as it stands in its file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HolderKey {
    /// Version.
    pub ward_share_key: u32,
    /// Whom it was issued to.
    pub holder: String,
    /// Its id.
    pub id: HexBytes,
    /// The authority, as it was when it issued the key.
    pub authority: AuthorityDocument,
    lock: Locked,
}

/// An authority whose secret is open.
pub struct Authority {
    document: AuthorityDocument,
    master: MasterKey,
}

fn place<'a>(row: &'a str, column: &'a str) -> SealContext<'a> {
    SealContext { table: "share", row, column }
}

fn epoch_attribute(epoch: u64) -> Result<Attribute, ShareError> {
    Ok(Attribute::new(&format!("{EPOCH}{epoch}"))?)
}

fn check_reserved<'a>(mut attributes: impl Iterator<Item = &'a Attribute>) -> Result<(), ShareError> {
    match attributes.find(|attribute| attribute.as_str().starts_with(EPOCH)) {
        Some(attribute) => Err(ShareError::Reserved { name: attribute.to_string() }),
        None => Ok(()),
    }
}

impl AuthorityDocument {
    /// Reads a document and checks its key.
    ///
    /// # Errors
    /// [`ShareError::Malformed`], and what the key is refused for.
    pub fn from_json(bytes: &[u8]) -> Result<(Self, PublicKey), ShareError> {
        let document: Self = from_json(bytes, WHAT)?;
        check_version(WHAT, document.ward_share_authority)?;
        let key = document.public()?;
        Ok((document, key))
    }

    /// Its key.
    ///
    /// # Errors
    /// What the key is refused for.
    pub fn public(&self) -> Result<PublicKey, ShareError> {
        check_name(&self.name)?;
        Ok(PublicKey::from_bytes(&self.key.0)?)
    }

    /// The policy joined with the epoch.
    ///
    /// # Errors
    /// [`ShareError::Reserved`] for a policy that names an epoch itself.
    pub fn in_epoch(&self, policy: Policy) -> Result<Policy, ShareError> {
        check_reserved(policy.leaves().into_iter())?;
        Ok(policy.and(epoch_attribute(self.epoch)?))
    }
}

impl Authority {
    /// A new authority.
    ///
    /// # Errors
    /// [`ShareError::Identity`] for a name that is none.
    pub fn create<R: CryptoRng>(name: &str, rng: &mut R) -> Result<Self, ShareError> {
        check_name(name)?;
        let (public, master) = fame::setup(rng);
        let document = AuthorityDocument {
            ward_share_authority: 1,
            name: name.to_owned(),
            epoch: 1,
            key: HexBytes(public.to_bytes()),
        };
        Ok(Self { document, master })
    }

    /// Opens its file.
    ///
    /// # Errors
    /// [`ShareError::Passphrase`], [`ShareError::Malformed`].
    pub fn unlock(file: &[u8], passphrase: &str) -> Result<Self, ShareError> {
        let secret: AuthoritySecret = from_json(file, WHAT_SECRET)?;
        check_version(WHAT_SECRET, secret.ward_share_authority_secret)?;
        secret.document.public()?;
        let row = row(&secret.document);
        let master = secret.lock.open(place(&row, "authority"), passphrase)?;
        Ok(Self { master: MasterKey::from_bytes(&master)?, document: secret.document })
    }

    /// What its file holds.
    ///
    /// # Errors
    /// [`ShareError::Passphrase`] for one that is too short.
    pub fn lock(&self, passphrase: &str, hardness: Hardness) -> Result<AuthoritySecret, ShareError> {
        let row = row(&self.document);
        let lock = Locked::lock(place(&row, "authority"), &self.master.to_bytes(), passphrase, hardness)?;
        Ok(AuthoritySecret { ward_share_authority_secret: 1, document: self.document.clone(), lock })
    }

    /// What everybody may know.
    #[must_use]
    pub fn document(&self) -> &AuthorityDocument {
        &self.document
    }

    /// Begins the next epoch.
    pub fn advance(&mut self) {
        self.document.epoch = self.document.epoch.saturating_add(1);
    }

    /// Issues a key with these attributes and the epoch, under the holder's passphrase.
    ///
    /// # Errors
    /// [`ShareError::NoAttribute`], [`ShareError::Reserved`], [`ShareError::Passphrase`].
    pub fn issue<R: CryptoRng>(
        &self,
        holder: &str,
        mut attributes: BTreeSet<Attribute>,
        lock: (&str, Hardness),
        rng: &mut R,
    ) -> Result<HolderKey, ShareError> {
        check_name(holder)?;
        if attributes.is_empty() {
            return Err(ShareError::NoAttribute);
        }
        check_reserved(attributes.iter())?;
        attributes.insert(epoch_attribute(self.document.epoch)?);
        let key = sealed::issue(&self.master, &attributes, rng)?;
        let row = holder_row(holder, &self.document);
        let lock = Locked::lock(place(&row, "holder"), &key.to_bytes(), lock.0, lock.1)?;
        let id = HexBytes(key.id().to_vec());
        Ok(HolderKey {
            ward_share_key: 1,
            holder: holder.to_owned(),
            id,
            authority: self.document.clone(),
            lock,
        })
    }
}

/// The row binds a locked secret to the document beside it, name, epoch and key.
fn row(document: &AuthorityDocument) -> String {
    separated("share-authority/1", &[canonical_json(document).as_slice()]).to_string()
}

fn holder_row(holder: &str, document: &AuthorityDocument) -> String {
    let document = canonical_json(document);
    separated("share-holder/1", &[holder.as_bytes(), &document]).to_string()
}

impl HolderKey {
    /// Reads a key's file, still locked.
    ///
    /// # Errors
    /// [`ShareError::Malformed`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, ShareError> {
        let key: Self = from_json(bytes, WHAT_KEY)?;
        check_version(WHAT_KEY, key.ward_share_key)?;
        Ok(key)
    }

    /// Opens it.
    ///
    /// # Errors
    /// [`ShareError::Passphrase`].
    pub fn unlock(&self, passphrase: &str) -> Result<(PublicKey, UserKey), ShareError> {
        let row = holder_row(&self.holder, &self.authority);
        let bytes: Zeroizing<Vec<u8>> = self.lock.open(place(&row, "holder"), passphrase)?;
        Ok((self.authority.public()?, UserKey::from_bytes(&bytes)?))
    }
}
