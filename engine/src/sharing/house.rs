//! A house's key for delegation, and the grants that it gives to a proxy.

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use ward_protocols::sharing::delegation::{Grant, PublicKey, SecretKey};

use super::{ShareError, check_version, from_json};
use crate::encoding::{HexBytes, separated};
use crate::identity::passphrase::{Hardness, Locked};
use crate::identity::{Identity, SealContext, check_name};

const WHAT: &str = "a house's document";
const WHAT_SECRET: &str = "a house's secret";
const WHAT_GRANT: &str = "a grant";

/// What everybody knows of a house: its name and the key that one seals to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HouseDocument {
    /// Version.
    pub ward_share_house: u32,
    /// The house.
    pub name: String,
    /// Its key, with the proof that it holds the secret.
    pub key: HexBytes,
}

/// A house's secret, as it stands in its file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HouseSecret {
    /// Version.
    pub ward_share_house_secret: u32,
    /// What everybody knows.
    pub document: HouseDocument,
    lock: Locked,
}

/// What lets a proxy turn one house's files over to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantDocument {
    /// Version.
    pub ward_share_grant: u32,
    /// The house that grants.
    pub from: String,
    /// The house that may read.
    pub to: String,
    /// The grant.
    pub grant: HexBytes,
}

/// A house whose secret is open.
pub struct House {
    document: HouseDocument,
    key: SecretKey,
}

impl HouseDocument {
    /// Reads a document and checks its key.
    ///
    /// # Errors
    /// [`ShareError::Malformed`], and what the key is refused for.
    pub fn from_json(bytes: &[u8]) -> Result<(Self, PublicKey), ShareError> {
        let document: Self = from_json(bytes, WHAT)?;
        check_version(WHAT, document.ward_share_house)?;
        check_name(&document.name)?;
        let key = PublicKey::from_bytes(&document.key.0)?;
        Ok((document, key))
    }

    fn row(&self) -> String {
        separated("share-house/1", &[self.name.as_bytes(), &self.key.0]).to_string()
    }
}

impl House {
    /// A new key.
    ///
    /// # Errors
    /// [`ShareError::Identity`] for a name that is none.
    pub fn create<R: CryptoRng>(name: &str, rng: &mut R) -> Result<Self, ShareError> {
        check_name(name)?;
        let key = SecretKey::generate(rng);
        let public = HexBytes(key.public().to_bytes());
        Ok(Self { document: HouseDocument { ward_share_house: 1, name: name.to_owned(), key: public }, key })
    }

    /// Opens its file.
    ///
    /// # Errors
    /// [`ShareError::Passphrase`], [`ShareError::Malformed`].
    pub fn unlock(file: &[u8], passphrase: &str) -> Result<Self, ShareError> {
        let secret: HouseSecret = from_json(file, WHAT_SECRET)?;
        check_version(WHAT_SECRET, secret.ward_share_house_secret)?;
        let row = secret.document.row();
        let place = SealContext { table: "share", row: &row, column: "house" };
        let key = SecretKey::from_bytes(&secret.lock.open(place, passphrase)?)?;
        Ok(Self { document: secret.document, key })
    }

    /// What its file holds.
    ///
    /// # Errors
    /// [`ShareError::Passphrase`] for one that is too short.
    pub fn lock(&self, passphrase: &str, hardness: Hardness) -> Result<HouseSecret, ShareError> {
        let row = self.document.row();
        let place = SealContext { table: "share", row: &row, column: "house" };
        let lock = Locked::lock(place, &self.key.to_bytes(), passphrase, hardness)?;
        Ok(HouseSecret { ward_share_house_secret: 1, document: self.document.clone(), lock })
    }

    /// What everybody may know.
    #[must_use]
    pub fn document(&self) -> &HouseDocument {
        &self.document
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> &SecretKey {
        &self.key
    }

    /// What signs the house's trail: whoever has the secret, and nobody else, derives it.
    #[must_use]
    pub fn signer(&self) -> Identity {
        Identity::from_seed(&separated("share-house-trail/1", &[&self.key.to_bytes()]).0)
    }

    /// Lets a proxy turn this house's files over to another.
    ///
    /// # Errors
    /// A grant to the house itself.
    pub fn grant<R: CryptoRng>(
        &self,
        to: &HouseDocument,
        key: &PublicKey,
        rng: &mut R,
    ) -> Result<GrantDocument, ShareError> {
        let grant = HexBytes(self.key.grant(key, rng)?.to_bytes());
        let from = self.document.name.clone();
        Ok(GrantDocument { ward_share_grant: 1, from, to: to.name.clone(), grant })
    }
}

impl GrantDocument {
    /// Reads a grant and checks that it leads from its delegator to its delegatee.
    ///
    /// # Errors
    /// [`ShareError::Malformed`], and what the grant is refused for.
    pub fn from_json(bytes: &[u8]) -> Result<(Self, Grant), ShareError> {
        let document: Self = from_json(bytes, WHAT_GRANT)?;
        check_version(WHAT_GRANT, document.ward_share_grant)?;
        let grant = Grant::from_bytes(&document.grant.0)?;
        Ok((document, grant))
    }
}
