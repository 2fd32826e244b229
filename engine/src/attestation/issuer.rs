//! An issuer's folder: its keys, sealed; the credentials it issued; what it revoked.
//!
//! ```text
//! issuer.json       who it is, sealed keys
//! kek.json          what wraps the keys of issued.json, sealed
//! issued.json       places given out, and which are revoked: under keys of the patients
//! NAME.issuer.json, NAME.revocations.json, NAME.status.jwt       what it publishes
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use ward_circuits::criteria::{Date, Schema};
use ward_circuits::eligibility::{PatientSecret, StatusIndex};
use ward_circuits::schnorr::SigningKey;
use ward_math::Secret;
use zeroize::Zeroizing;

use super::credential::{self, HolderRequest, Issue, IssuerKeys, Terms};
use super::documents::{CREDENTIALS_MAX, IssuerDocument, RevocationsDocument, Signed};
use super::error::AttestationError;
pub use super::issued::Given;
use super::issued::{Issued as IssuedFile, Ledger};
use super::mapping::Mapped;
use super::publication::Publication;
use super::{read_file, status_list, system_rng, write_private};
use crate::encoding::{Digest, HexBytes, separated};
use crate::identity::{Identity, SealContext, SealKey, check_name, clip, random};

/// Days for which a credential is valid unless the issuer says otherwise.
pub const VALIDITY_DAYS: u32 = 180;
/// Longest validity, in days.
pub const VALIDITY_DAYS_MAX: u32 = 3_660;

const FILE: &str = "issuer.json";
const FILE_BYTES_MAX: u64 = 256 << 20;
/// Places are drawn from the first so many, or from four times those given out.
const PLACES_MIN: u32 = 1024;

fn place(column: &'static str) -> SealContext<'static> {
    SealContext { table: "issuer", row: "self", column }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    ward_issuer_folder: u32,
    name: String,
    created_unix_ms: u64,
    status_uri: String,
    identity: HexBytes,
    signing: HexBytes,
    patients: HexBytes,
}

/// An issuer, ready to issue.
pub struct Issuer {
    name: String,
    created_unix_ms: u64,
    status_uri: String,
    identity: Identity,
    signing: SigningKey,
    patients: Zeroizing<[u8; 32]>,
    issued: IssuedFile,
}

/// How an issuer is made.
pub struct NewIssuer<'a> {
    /// Its name in the consortium.
    pub name: &'a str,
    /// Where its status list will be found, or empty.
    pub status_uri: &'a str,
    /// The key by which the consortium's issuers name patients; drawn when absent.
    pub patients: Option<Zeroizing<[u8; 32]>>,
}

/// A credential that was issued.
pub struct Issued {
    /// The envelope, for the holder.
    pub envelope: String,
    /// Its place.
    pub index: u32,
    /// First and last day of validity.
    pub validity: (Date, Date),
    /// What the issuer should know.
    pub notes: Vec<String>,
}

/// The files an issuer publishes.
pub struct Published {
    /// Files written, by what they are.
    pub files: Vec<PathBuf>,
    /// The publication's number.
    pub sequence: u64,
    /// Credentials revoked in it.
    pub revoked: usize,
    /// The root of its revocations.
    pub root: Digest,
    documents: (Signed, Signed),
}

impl Issuer {
    /// Makes the folder of a new issuer.
    ///
    /// # Errors
    /// [`AttestationError::Conflict`] when there is one already.
    pub fn create(
        folder: &Path,
        seal: &SealKey,
        new: &NewIssuer<'_>,
        now_ms: u64,
    ) -> Result<Self, AttestationError> {
        check_name(new.name)?;
        if folder.join(FILE).exists() {
            let reason = format!("{} is an issuer's folder already", folder.display());
            return Err(AttestationError::Conflict { reason });
        }
        let seed = Zeroizing::new(random::<32>()?);
        let signing = SigningKey::generate(&mut system_rng()?);
        let patients = match &new.patients {
            Some(key) => key.clone(),
            None => Zeroizing::new(random::<32>()?),
        };
        let saved = Saved {
            ward_issuer_folder: 1,
            name: new.name.to_owned(),
            created_unix_ms: now_ms,
            status_uri: new.status_uri.to_owned(),
            identity: HexBytes(seal.seal(place("identity"), &*seed)?),
            signing: HexBytes(seal.seal(place("signing"), signing.to_bytes().expose())?),
            patients: HexBytes(seal.seal(place("patients"), &*patients)?),
        };
        let json =
            serde_json::to_vec_pretty(&saved).map_err(|e| AttestationError::malformed("a folder", e))?;
        write_private(&folder.join(FILE), &json)?;
        Self::load(folder, seal)
    }

    /// Opens a folder.
    ///
    /// # Errors
    /// [`AttestationError::File`], or a sealed value that does not open.
    pub fn load(folder: &Path, seal: &SealKey) -> Result<Self, AttestationError> {
        let what = "an issuer's folder";
        let saved: Saved = serde_json::from_slice(&read_file(&folder.join(FILE), FILE_BYTES_MAX)?)
            .map_err(|e| AttestationError::malformed(what, e))?;
        if saved.ward_issuer_folder != 1 {
            return Err(AttestationError::Version { what, found: saved.ward_issuer_folder, known: 1 });
        }
        let open = |column, sealed: &HexBytes| {
            let opened = seal.open(place(column), &sealed.0)?;
            let bytes = <[u8; 32]>::try_from(opened.as_slice());
            bytes.map(Zeroizing::new).map_err(|e| AttestationError::malformed(what, e))
        };
        let signing = SigningKey::from_bytes(&*open("signing", &saved.signing)?);
        Ok(Self {
            identity: Identity::from_seed(&*open("identity", &saved.identity)?),
            signing: signing.map_err(|e| AttestationError::malformed(what, e))?,
            patients: open("patients", &saved.patients)?,
            name: saved.name,
            created_unix_ms: saved.created_unix_ms,
            status_uri: saved.status_uri,
            issued: IssuedFile::new(folder, seal),
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its identity's public key.
    #[must_use]
    pub fn identity(&self) -> crate::identity::PublicKey {
        self.identity.public()
    }

    /// The key by which the consortium's issuers name patients, to be handed to the others in private.
    #[must_use]
    pub fn patient_key(&self) -> &Zeroizing<[u8; 32]> {
        &self.patients
    }

    /// Issues a credential over a record that was written into slots. `identity` is the patient's identifier that all
    /// issuers know (a national number), the same text at each of them.
    ///
    /// # Errors
    /// [`AttestationError::Conflict`] when the list is full; what else [`credential::issue`] refuses.
    pub fn issue(
        &self,
        mapped: Mapped,
        identity: &str,
        holder: HolderRequest,
        (first, days): (Date, u32),
        now_ms: u64,
    ) -> Result<Issued, AttestationError> {
        let mut ledger = self.issued.read()?;
        let last = first.plus_days(u64::from(days.clamp(1, VALIDITY_DAYS_MAX) - 1));
        let last = last.ok_or_else(|| AttestationError::malformed("a validity", "it ends after 2199"))?;
        let index = self.free_place(&ledger)?;
        let issue = Issue {
            attributes: mapped.attributes,
            patient: self.patient(identity),
            terms: Terms { holder, validity: (first, last), index, status_uri: self.status_uri.clone() },
        };
        let keys = IssuerKeys { name: &self.name, identity: &self.identity, signing: &self.signing };
        let envelope = credential::issue(&keys, &Schema::v1(), issue, &mut system_rng()?)?;
        let given = Given {
            patient: Some(self.patient_digest(identity)),
            not_after: last.to_string(),
            issued_unix_ms: now_ms,
            revoked_unix_ms: None,
        };
        ledger.credentials.insert(index.get(), given);
        // Kept before it is handed out: a credential that is not in the list could not be revoked.
        self.issued.keep(&ledger)?;
        Ok(Issued { envelope, index: index.get(), validity: (first, last), notes: mapped.notes })
    }

    /// Revokes one credential by its place. Takes effect with the next publication.
    ///
    /// # Errors
    /// [`AttestationError::NotFound`], or [`AttestationError::Conflict`] when it is revoked already.
    pub fn revoke_place(&self, index: u32, now_ms: u64) -> Result<Vec<u32>, AttestationError> {
        let name = index.to_string();
        let revoked = self.revoke(now_ms, |place, _| place == index, "credential", &name)?;
        Ok(revoked)
    }

    /// Revokes all credentials of a patient. Takes effect with the next publication.
    ///
    /// # Errors
    /// As [`Issuer::revoke_place`].
    pub fn revoke_patient(&self, identity: &str, now_ms: u64) -> Result<Vec<u32>, AttestationError> {
        let digest = self.patient_digest(identity);
        let is_same =
            |given: &Given| given.patient.is_some_and(|patient| bool::from(patient.0.ct_eq(&digest.0)));
        self.revoke(now_ms, |_, given| is_same(given), "credential of patient", identity)
    }

    /// Erases a patient: revokes all credentials of the patient, and destroys the key of what is kept about them. Their
    /// places stay taken. The revocation takes effect with the next publication. The places.
    ///
    /// # Errors
    /// [`AttestationError::NotFound`] when nothing was issued to the patient, or it was erased before.
    pub fn erase_patient(&self, identity: &str, now_ms: u64) -> Result<Vec<u32>, AttestationError> {
        let places = self.issued.erase(&self.patient_digest(identity), now_ms)?;
        places
            .ok_or_else(|| AttestationError::NotFound { what: "credential of patient", name: clip(identity) })
    }

    fn revoke(
        &self,
        now_ms: u64,
        is_meant: impl Fn(u32, &Given) -> bool,
        what: &'static str,
        name: &str,
    ) -> Result<Vec<u32>, AttestationError> {
        let mut ledger = self.issued.read()?;
        let (mut found, mut revoked) = (false, Vec::new());
        for (place, given) in ledger.credentials.iter_mut().filter(|(place, given)| is_meant(**place, given))
        {
            found = true;
            if given.revoked_unix_ms.is_none() {
                given.revoked_unix_ms = Some(now_ms);
                revoked.push(*place);
            }
        }
        if !found {
            return Err(AttestationError::NotFound { what, name: clip(name) });
        }
        if revoked.is_empty() {
            return Err(AttestationError::Conflict { reason: "it is revoked already".to_owned() });
        }
        self.issued.keep(&ledger)?;
        Ok(revoked)
    }

    /// Writes what the issuer publishes into a folder: its document, its revocations, its status list.
    ///
    /// # Errors
    /// [`AttestationError::File`].
    pub fn publish(&self, folder: &Path, now_ms: u64) -> Result<Published, AttestationError> {
        let mut ledger = self.issued.read()?;
        ledger.sequence += 1;
        self.issued.keep(&ledger)?;
        let (document, revocations) = self.documents(&ledger, now_ms)?;
        let status = status_list::sign(&self.identity, &self.status_uri, &revocations.revoked, now_ms)?;
        let documents = (document.signed(&self.identity), revocations.signed(&self.identity));
        let json = |signed: &Signed| {
            serde_json::to_vec_pretty(signed).map_err(|e| AttestationError::malformed("a document", e))
        };
        let mut files = Vec::new();
        for (suffix, bytes) in [
            ("issuer.json", json(&documents.0)?),
            ("revocations.json", json(&documents.1)?),
            ("status.jwt", status.into_bytes()),
        ] {
            let path = folder.join(format!("{}.{suffix}", self.name));
            super::write_public(&path, &bytes)?;
            files.push(path);
        }
        Ok(Published {
            files,
            sequence: ledger.sequence,
            revoked: revocations.revoked.len(),
            root: revocations.root,
            documents,
        })
    }

    /// Its word, for a consortium's log, that what it published is its latest.
    ///
    /// # Errors
    /// What makes the documents none.
    pub fn publication(
        &self,
        consortium: &str,
        published: &Published,
    ) -> Result<Publication, AttestationError> {
        Publication::new(consortium, published.documents.clone(), &self.identity)
    }

    fn documents(
        &self,
        ledger: &Ledger,
        now_ms: u64,
    ) -> Result<(IssuerDocument, RevocationsDocument), AttestationError> {
        let key = self.signing.public_key();
        let document = IssuerDocument {
            ward_issuer: 1,
            name: self.name.clone(),
            identity: self.identity.public(),
            credential_key: HexBytes(key.to_bytes().to_vec()),
            schema: Digest(Schema::v1().id().0),
            created_unix_ms: self.created_unix_ms,
        };
        let is_revoked = |(place, given): (&u32, &Given)| given.revoked_unix_ms.map(|_| *place);
        let revoked: Vec<u32> = ledger.credentials.iter().filter_map(is_revoked).collect();
        let revocations = RevocationsDocument::new(&self.name, &key, (ledger.sequence, now_ms), &revoked)?;
        Ok((document, revocations))
    }

    /// Credentials given out, by place.
    ///
    /// # Errors
    /// [`AttestationError::File`].
    pub fn given(&self) -> Result<BTreeMap<u32, Given>, AttestationError> {
        Ok(self.issued.read()?.credentials)
    }

    /// The patient's secret name: the same at every issuer with the same key.
    fn patient(&self, identity: &str) -> PatientSecret {
        let name = Secret::new(
            separated("attestation/patient-name/1", &[&*self.patients, normal(identity).as_bytes()]).0,
        );
        PatientSecret::of(name.expose())
    }

    fn patient_digest(&self, identity: &str) -> Digest {
        separated("attestation/patient-index/1", &[&*self.patients, normal(identity).as_bytes()])
    }

    /// A free place, drawn at random so that places say nothing of the order of issue.
    fn free_place(&self, ledger: &Ledger) -> Result<StatusIndex, AttestationError> {
        let full =
            || AttestationError::Conflict { reason: format!("{CREDENTIALS_MAX} credentials were issued") };
        let wanted = u32::try_from(ledger.credentials.len()).ok().and_then(|count| count.checked_mul(4));
        let range = wanted.unwrap_or(u32::MAX).next_power_of_two().clamp(PLACES_MIN, CREDENTIALS_MAX as u32);
        let free = range as usize - ledger.credentials.range(..range).count();
        if free == 0 {
            return Err(full());
        }
        // Three places in four are free, until the list itself is nearly full.
        for _ in 0..1 << 16 {
            let place = u32::from_le_bytes(random::<4>()?) & (range - 1);
            if !ledger.credentials.contains_key(&place) {
                return StatusIndex::new(place).map_err(|_| full());
            }
        }
        Err(full())
    }
}

/// An identifier as all issuers write it: without blanks and hyphens, in capitals.
fn normal(identity: &str) -> Zeroizing<String> {
    let kept = identity.chars().filter(|c| !c.is_whitespace() && *c != '-');
    Zeroizing::new(kept.flat_map(char::to_uppercase).collect())
}
