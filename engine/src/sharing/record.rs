//! Records of a hospital's vault in a shared file: the vault's own sealed values, and the key of each.
//!
//! Every value of a vault has a key of its own, which its data key and its nonce derive ([`ValueKey`]). Whoever shares a
//! value hands over that key; nothing is decrypted for it, and the patient's data key, which opens the patient's other
//! records of the class, stays in the house. The manifest names the place that each value was sealed for, which the
//! value is bound to, and is signed by the hospital.

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

use super::{ShareError, from_json};
use crate::encoding::{Digest, HexBytes, canonical_json};
use crate::identity::{PublicKey, SealContext, Signature};
use crate::store::Facts;
use crate::vault::ValueKey;

const WHAT: &str = "a shared record";
/// Context of a manifest's signature.
pub const MANIFEST: &str = "share-manifest/1";
/// Most values of a shared file.
pub const VALUES_MAX: usize = 20_000;
/// Type of what is made of items of messages.
const ITEMS: &str = "application/x-ndjson";

/// What a shared file holds, and under which keys.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// What is signed.
    pub statement: Statement,
    /// The hospital's certificate, DER; none from a hospital that says its name and no more.
    pub certificate: HexBytes,
    /// Its signature over the statement.
    pub signature: HexBytes,
    /// The keys of the values, in the statement's order.
    keys: Vec<HexBytes>,
}

/// What a hospital says about what it shares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// The share's id at the hospital: its audit trail has it.
    pub share: String,
    /// The hospital.
    pub from: String,
    /// For whom.
    pub to: Vec<String>,
    /// The class of data.
    pub class: String,
    /// The purpose, as a DUO code.
    pub purpose: String,
    /// When (unix milliseconds).
    pub at_unix_ms: u64,
    /// The values, in the file's order.
    pub values: Vec<Place>,
}

/// A sealed value: where the hospital kept it, and what its bytes are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Its table.
    pub table: String,
    /// Its row.
    pub row: String,
    /// Its column.
    pub column: String,
    /// How many bytes it has, sealed.
    pub bytes: u64,
    /// SHA-256 of the sealed bytes.
    pub sha256: Digest,
}

impl Place {
    /// Of a sealed value.
    #[must_use]
    pub fn of(place: SealContext<'_>, sealed: &[u8]) -> Self {
        Self {
            table: place.table.to_owned(),
            row: place.row.to_owned(),
            column: place.column.to_owned(),
            bytes: sealed.len() as u64,
            sha256: Digest::of(sealed),
        }
    }

    fn context(&self) -> SealContext<'_> {
        SealContext { table: &self.table, row: &self.row, column: &self.column }
    }
}

impl Drop for Manifest {
    fn drop(&mut self) {
        self.keys.iter_mut().for_each(|key| key.0.zeroize());
    }
}

impl Manifest {
    /// A manifest with the keys of its values; `sign` signs a statement.
    #[must_use]
    pub fn new(
        statement: Statement,
        keys: &[ValueKey],
        certificate: &[u8],
        sign: impl FnOnce(&'static str, &[&[u8]]) -> Vec<u8>,
    ) -> Self {
        let signature = HexBytes(sign(MANIFEST, &[&canonical_json(&statement)]));
        let keys = keys.iter().map(|key| HexBytes(key.expose().to_vec())).collect();
        Self { statement, certificate: HexBytes(certificate.to_vec()), signature, keys }
    }

    /// Whether a key signed it.
    ///
    /// # Errors
    /// [`ShareError::Malformed`].
    pub fn check(&self, key: &PublicKey) -> Result<(), ShareError> {
        let signature = Signature::from_slice(&self.signature.0);
        let statement = canonical_json(&self.statement);
        let signed = signature.map(|signature| key.verify(MANIFEST, &[&statement], &signature));
        match signed {
            Some(Ok(())) => Ok(()),
            _ => Err(malformed("it is not signed by the hospital that it names")),
        }
    }
}

/// A record that was opened.
pub struct Record {
    /// What the hospital says about it, with its signature.
    pub manifest: Manifest,
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: String,
    /// Its bytes.
    pub bytes: Zeroizing<Vec<u8>>,
}

fn malformed(reason: &str) -> ShareError {
    ShareError::Malformed { what: WHAT, reason: reason.to_owned() }
}

impl Record {
    /// Opens the values that a manifest names.
    ///
    /// # Errors
    /// [`ShareError::Malformed`] for values that are not those that the manifest names, or do not open.
    pub(super) fn open(manifest: &[u8], mut sealed: &[u8]) -> Result<Self, ShareError> {
        let manifest: Manifest = from_json(manifest, WHAT)?;
        let places = &manifest.statement.values;
        if places.len() != manifest.keys.len() || places.len() > VALUES_MAX {
            return Err(malformed("another number of keys than of values"));
        }
        let mut values = Vec::with_capacity(places.len());
        for (place, key) in places.iter().zip(&manifest.keys) {
            let (value, rest) = usize::try_from(place.bytes)
                .ok()
                .and_then(|bytes| sealed.split_at_checked(bytes))
                .ok_or_else(|| malformed("too few bytes"))?;
            sealed = rest;
            if Digest::of(value) != place.sha256 {
                return Err(malformed("a sealed value is not the one that was shared"));
            }
            let key = <[u8; 32]>::try_from(key.0.as_slice()).map(Zeroizing::new);
            let key = ValueKey::from_bytes(key.map_err(|_| malformed("a key is not of 32 bytes"))?);
            let opened = key.open(place.context(), value);
            values.push((place, opened.map_err(|_| malformed("a value does not open with its key"))?));
        }
        if !sealed.is_empty() {
            return Err(malformed("more bytes than values"));
        }
        let (name, kind, bytes) = match document(&values)? {
            Some(document) => document,
            None => items(&manifest.statement, &values)?,
        };
        Ok(Self { name, kind, bytes, manifest })
    }
}

type Value<'a> = (&'a Place, Zeroizing<Vec<u8>>);
type Named = (String, String, Zeroizing<Vec<u8>>);

/// A document: its facts, and its content, which they must fit.
fn document(values: &[Value<'_>]) -> Result<Option<Named>, ShareError> {
    let [(facts_place, facts), (content_place, content)] = values else { return Ok(None) };
    let is_document = |place: &Place, column: &str| place.table == "documents" && place.column == column;
    if !is_document(facts_place, "facts") || !is_document(content_place, "content") {
        return Ok(None);
    }
    let facts: Facts = from_json(facts, WHAT)?;
    if facts.bytes != content.len() as u64 || facts.sha256 != Digest::of(content) {
        return Err(malformed("the document is not the one that was stored: its SHA-256 is another"));
    }
    Ok(Some((facts.name, facts.kind, content.clone())))
}

/// Items of messages: a JSON object a line, with the kind of item and its fields.
fn items(statement: &Statement, values: &[Value<'_>]) -> Result<Named, ShareError> {
    let mut lines = Zeroizing::new(Vec::new());
    for (place, value) in values {
        let fields: serde_json::Map<String, serde_json::Value> = from_json(value, WHAT)?;
        let kind = place.row.split('\n').next().unwrap_or_default();
        let line = serde_json::json!({ "kind": kind, "fields": fields });
        lines.extend_from_slice(line.to_string().as_bytes());
        lines.push(b'\n');
    }
    Ok((format!("{}.ndjson", statement.share), ITEMS.to_owned(), lines))
}
