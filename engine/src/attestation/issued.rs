//! `issued.json`: what an issuer gave out, under keys of the patients.
//!
//! ```text
//! {"ward_issued":2, "sequence":N,
//!  "patients":{INDEX:{"version":V,"wrapped":HEX}},              a data key for each patient, wrapped by kek.json
//!  "credentials":{PLACE:{"patient":INDEX,"sealed":HEX,"revoked_unix_ms":T}}}
//! ```
//! INDEX is a keyed digest of the patient's number: it finds the patient's entry, and goes with it. Sealed is what else is
//! known of a credential ([`Given`]). An erased patient leaves the places, which stay taken and revoked, and nothing else.
//!
//! # Security
//! Adversary: whoever reads the folder, or a copy of it, without `seal.key`. Erasing rotates the key-encryption key, so that
//! copies of `issued.json` from before do not open with the `kek.json` of after.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::error::AttestationError;
use super::{read_file, write_private};
use crate::consent::Pseudonym;
use crate::encoding::{Digest, HexBytes, canonical_json};
use crate::identity::{SealContext, SealKey};
use crate::vault::{DataKey, FileProvider, KeyName, KeyProvider as _, Lock, Wrapped};

const FILE: &str = "issued.json";
const FILE_BYTES_MAX: u64 = 1 << 30;
const WHAT: &str = "a list of issued credentials";
/// Class of data of what is kept about a patient's credentials.
const CLASS: &str = "ward/credential";
const VERSION: u32 = 2;

/// What was given out under one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Given {
    /// Keyed digest of the patient's number: says which credentials are one patient's, to who has the key. None once the
    /// patient was erased.
    pub patient: Option<Digest>,
    /// Last day of validity; empty once the patient was erased.
    pub not_after: String,
    /// When it was issued (unix milliseconds); 0 once the patient was erased.
    pub issued_unix_ms: u64,
    /// When it was revoked, if it was (unix milliseconds).
    pub revoked_unix_ms: Option<u64>,
}

/// What is sealed of a credential.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    not_after: String,
    issued_unix_ms: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptKey {
    version: u32,
    wrapped: HexBytes,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptCredential {
    patient: Option<Digest>,
    sealed: Option<HexBytes>,
    revoked_unix_ms: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    ward_issued: u32,
    sequence: u64,
    patients: BTreeMap<Digest, KeptKey>,
    credentials: BTreeMap<u32, KeptCredential>,
}

/// A file of the first version: in the clear.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plain {
    sequence: u64,
    credentials: BTreeMap<u32, PlainGiven>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlainGiven {
    patient: Digest,
    not_after: String,
    issued_unix_ms: u64,
    revoked_unix_ms: Option<u64>,
}

/// What an issuer gave out.
#[derive(Default)]
pub(super) struct Ledger {
    /// Publications made.
    pub(super) sequence: u64,
    /// Credentials, by place.
    pub(super) credentials: BTreeMap<u32, Given>,
    /// The patients' keys, as they were read.
    keys: BTreeMap<Digest, (Wrapped, DataKey)>,
}

/// The file of a folder, and the keys that it is under.
pub(super) struct Issued {
    path: PathBuf,
    provider: FileProvider,
}

fn malformed(reason: impl ToString) -> AttestationError {
    AttestationError::malformed(WHAT, reason.to_string())
}

fn name(index: &Digest) -> Result<KeyName, AttestationError> {
    KeyName::new(Pseudonym(index.0), CLASS).map_err(malformed)
}

fn place(row: &str) -> SealContext<'_> {
    SealContext { table: "issued", row, column: "credential" }
}

impl Issued {
    /// The file of an issuer's folder; `kek.json` beside it is sealed under a key that the folder's seal key derives.
    pub(super) fn new(folder: &Path, seal: &SealKey) -> Self {
        let key = SealKey::from_bytes(Zeroizing::new(seal.blind("issuer-kek/1", "").0));
        Self { path: folder.join(FILE), provider: FileProvider::new(folder, Lock::Seal(key)) }
    }

    /// Reads it; one in the clear, of an older version, is sealed.
    ///
    /// # Errors
    /// [`AttestationError::File`], [`AttestationError::Malformed`] for a file or a key that does not open.
    pub(super) fn read(&self) -> Result<Ledger, AttestationError> {
        if !self.path.exists() {
            return Ok(Ledger::default());
        }
        let bytes = read_file(&self.path, FILE_BYTES_MAX)?;
        if let Ok(plain) = serde_json::from_slice::<Plain>(&bytes) {
            let given = |(place, given): (u32, PlainGiven)| {
                let PlainGiven { patient, not_after, issued_unix_ms, revoked_unix_ms } = given;
                (place, Given { patient: Some(patient), not_after, issued_unix_ms, revoked_unix_ms })
            };
            let credentials = plain.credentials.into_iter().map(given).collect();
            let ledger = Ledger { sequence: plain.sequence, credentials, keys: BTreeMap::new() };
            self.keep(&ledger)?;
            return self.read();
        }
        let kept: Kept = serde_json::from_slice(&bytes).map_err(malformed)?;
        if kept.ward_issued != VERSION {
            return Err(AttestationError::Version { what: WHAT, found: kept.ward_issued, known: VERSION });
        }
        self.open(kept)
    }

    fn open(&self, kept: Kept) -> Result<Ledger, AttestationError> {
        let wrapped = |key: KeptKey| Wrapped { version: key.version, bytes: key.wrapped.0 };
        let patients: Vec<(Digest, KeyName, Wrapped)> = kept
            .patients
            .into_iter()
            .map(|(index, key)| Ok((index, name(&index)?, wrapped(key))))
            .collect::<Result<_, AttestationError>>()?;
        let named: Vec<_> = patients.iter().map(|(_, name, wrapped)| (name, wrapped)).collect();
        let opened =
            if named.is_empty() { Vec::new() } else { self.provider.unwrap(&named).map_err(malformed)? };
        let keys: BTreeMap<Digest, (Wrapped, DataKey)> = patients
            .into_iter()
            .zip(opened)
            .map(|((index, _, wrapped), key)| (index, (wrapped, key)))
            .collect();
        let given = |(place_of, kept): (u32, KeptCredential)| {
            let revoked_unix_ms = kept.revoked_unix_ms;
            let (Some(patient), Some(sealed)) = (kept.patient, kept.sealed) else {
                let given =
                    Given { patient: None, not_after: String::new(), issued_unix_ms: 0, revoked_unix_ms };
                return Ok((place_of, given));
            };
            let (_, key) = keys.get(&patient).ok_or_else(|| malformed("a credential without a key"))?;
            let opened = key.open(place(&place_of.to_string()), &sealed.0).map_err(malformed)?;
            let Sealed { not_after, issued_unix_ms } = serde_json::from_slice(&opened).map_err(malformed)?;
            Ok((place_of, Given { patient: Some(patient), not_after, issued_unix_ms, revoked_unix_ms }))
        };
        let credentials = kept.credentials.into_iter().map(given).collect::<Result<_, AttestationError>>()?;
        Ok(Ledger { sequence: kept.sequence, credentials, keys })
    }

    /// Writes it. Keys that nothing is sealed under are not written; those of an older version are wrapped anew.
    ///
    /// # Errors
    /// [`AttestationError::File`]; what the keys are refused for.
    pub(super) fn keep(&self, ledger: &Ledger) -> Result<(), AttestationError> {
        let current = self.provider.current().map_err(malformed)?;
        let mut fresh: BTreeMap<Digest, DataKey> = BTreeMap::new();
        for patient in ledger.credentials.values().filter_map(|given| given.patient) {
            if !ledger.keys.contains_key(&patient) && !fresh.contains_key(&patient) {
                fresh.insert(patient, DataKey::generate().map_err(malformed)?);
            }
        }
        let mut patients = BTreeMap::new();
        let mut credentials = BTreeMap::new();
        let mut unwrapped: Vec<(Digest, KeyName, &DataKey)> = Vec::new();
        for (place_of, given) in &ledger.credentials {
            let mut kept = KeptCredential {
                patient: given.patient,
                sealed: None,
                revoked_unix_ms: given.revoked_unix_ms,
            };
            if let Some(patient) = given.patient {
                let known = ledger.keys.get(&patient);
                let key = known.map(|(_, key)| key).or_else(|| fresh.get(&patient));
                let key = key.ok_or_else(|| malformed("a credential without a key"))?;
                let sealed =
                    Sealed { not_after: given.not_after.clone(), issued_unix_ms: given.issued_unix_ms };
                let sealed = key.seal(place(&place_of.to_string()), &canonical_json(&sealed));
                kept.sealed = Some(HexBytes(sealed.map_err(malformed)?));
                match known {
                    Some((wrapped, _)) if wrapped.version == current => {
                        let (version, wrapped) = (wrapped.version, HexBytes(wrapped.bytes.clone()));
                        patients.insert(patient, KeptKey { version, wrapped });
                    }
                    _ => unwrapped.push((patient, name(&patient)?, key)),
                }
            }
            credentials.insert(*place_of, kept);
        }
        unwrapped.sort_by_key(|(patient, ..)| *patient);
        unwrapped.dedup_by_key(|(patient, ..)| *patient);
        let named: Vec<_> = unwrapped.iter().map(|(_, name, key)| (name, *key)).collect();
        let wrapped =
            if named.is_empty() { Vec::new() } else { self.provider.wrap(&named).map_err(malformed)? };
        for ((patient, ..), wrapped) in unwrapped.iter().zip(wrapped) {
            patients.insert(*patient, KeptKey { version: wrapped.version, wrapped: HexBytes(wrapped.bytes) });
        }
        let kept = Kept { ward_issued: VERSION, sequence: ledger.sequence, patients, credentials };
        write_private(&self.path, &canonical_json(&kept))
    }

    /// Destroys a patient's key: revokes what was given to the patient, forgets whose it was, and rotates the key-encryption
    /// key. The places that are revoked now, and how many there were.
    ///
    /// # Errors
    /// As [`Self::read`] and [`Self::keep`]; none where nothing was given to the patient.
    pub(super) fn erase(&self, patient: &Digest, now_ms: u64) -> Result<Option<Vec<u32>>, AttestationError> {
        let mut ledger = self.read()?;
        let mut places = Vec::new();
        for (place, given) in &mut ledger.credentials {
            if given.patient.as_ref() == Some(patient) {
                let revoked_unix_ms = given.revoked_unix_ms.or(Some(now_ms));
                *given =
                    Given { patient: None, not_after: String::new(), issued_unix_ms: 0, revoked_unix_ms };
                places.push(*place);
            }
        }
        if places.is_empty() {
            return Ok(None);
        }
        let current = self.provider.rotate().map_err(malformed)?;
        self.keep(&ledger)?;
        self.provider.retire(current).map_err(malformed)?;
        Ok(Some(places))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(patient: u8) -> Given {
        let patient = Some(Digest([patient; 32]));
        Given {
            patient,
            not_after: "2027-05-20".to_owned(),
            issued_unix_ms: 1_234_567,
            revoked_unix_ms: None,
        }
    }

    fn issued(folder: &Path) -> Issued {
        Issued::new(folder, &SealKey::from_bytes(Zeroizing::new([5; 32])))
    }

    #[test]
    fn what_was_given_is_sealed_and_an_erased_patient_leaves_revoked_places_alone() {
        let folder = tempfile::tempdir().unwrap();
        let list = issued(folder.path());
        let mut ledger = Ledger { sequence: 3, ..Ledger::default() };
        for (place, patient) in [(7, 1), (9, 1), (11, 2)] {
            ledger.credentials.insert(place, given(patient));
        }
        list.keep(&ledger).unwrap();
        let text = || std::fs::read_to_string(folder.path().join(FILE)).unwrap();
        assert!(!text().contains("2027-05-20") && !text().contains("1234567"), "{}", text());
        let read = list.read().unwrap();
        assert_eq!((read.sequence, &read.credentials), (3, &ledger.credentials));
        let before = text();
        let index = Digest([1; 32]).to_string();
        assert!(before.contains(&index));

        assert_eq!(list.erase(&Digest([1; 32]), 99).unwrap(), Some(vec![7, 9]));
        assert_eq!(list.erase(&Digest([1; 32]), 99).unwrap(), None);
        let left = list.read().unwrap().credentials;
        assert_eq!((left[&7].patient, left[&7].revoked_unix_ms), (None, Some(99)));
        assert_eq!(left[&11], given(2));
        assert!(!text().contains(&index));
        // A copy of before opens no more.
        std::fs::write(folder.path().join(FILE), before).unwrap();
        assert!(list.read().is_err());
    }

    #[test]
    fn a_list_in_the_clear_is_sealed_when_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let index = Digest([1; 32]);
        let plain = serde_json::json!({ "sequence": 4, "credentials": { "7": {
            "patient": index, "not_after": "2027-05-20", "issued_unix_ms": 1_234_567, "revoked_unix_ms": 5,
        } } });
        std::fs::write(&path, plain.to_string()).unwrap();
        for _ in 0..2 {
            let read = issued(folder.path()).read().unwrap();
            assert_eq!(read.credentials[&7], Given { revoked_unix_ms: Some(5), ..given(1) });
            assert_eq!(read.sequence, 4);
            assert!(!std::fs::read_to_string(&path).unwrap().contains("2027-05-20"));
        }
        let other = Issued::new(folder.path(), &SealKey::from_bytes(Zeroizing::new([6; 32])));
        assert!(other.read().is_err());
    }
}
