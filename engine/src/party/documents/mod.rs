//! Documents at the node: looked at, sealed under the patient's key, kept, given back, checked.
//!
//! A document's content and its facts (name, type, size, SHA-256) are sealed under the data key of its patient and class
//! ([`crate::vault`]), each bound to the document's id. The audit event of the storing has two digests: SHA-256 of the
//! sealed content, and HMAC-SHA-256 of the content under the data key, which tells who has the key that this is the
//! document that was stored, and nobody anything once the key is destroyed.

pub mod content;
mod scanner;
mod shelf;
mod transport;

use std::time::Duration;

use serde::Serialize;
use zeroize::Zeroizing;

pub use scanner::Scanner;
pub use shelf::{IpfsSettings, S3Settings, Shelf, ShelfConfig};

use super::node::Node;
use crate::audit::Context;
use crate::encoding::{Digest, canonical_json};
use crate::identity::{SealContext, random};
use crate::problem::{Problem, ProblemKind};
use crate::store::DocumentRow;
pub use crate::store::Facts;
use crate::vault::{DataKey, KeyName};

/// Domain of the blinded digest.
pub const BLINDED: &str = "document-content/1";
/// Documents of one look at the list.
const PAGE: u32 = 100;
/// Longest name, in bytes.
const NAME_BYTES_MAX: usize = 255;

/// `[documents]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentsConfig {
    /// Where the sealed content lies.
    pub shelf: ShelfConfig,
    /// Largest document, in bytes.
    pub bytes_max: u64,
    /// Types that are taken; empty for all that can be told.
    pub types: Vec<String>,
    /// Who looks at a document before it is kept.
    pub scanner: Option<Scanner>,
}

impl DocumentsConfig {
    /// Largest document unless the configuration says otherwise.
    pub const BYTES_MAX: u64 = 32 << 20;
    /// Largest document that a configuration may allow: it is sealed in memory.
    pub const BYTES_MAX_MAX: u64 = 1 << 30;
    /// Time for the scanner unless the configuration says otherwise.
    pub const SCANNER_LIMIT: Duration = Duration::from_secs(60);
}

/// A document, as it is listed.
#[derive(Clone, Debug, Serialize)]
pub struct Listed {
    /// Its id.
    pub id: String,
    /// Pseudonym of its patient.
    pub patient: String,
    /// The class of data.
    pub class: String,
    /// When it was stored (unix milliseconds).
    pub at_unix_ms: u64,
    /// What is known of it.
    #[serde(flatten)]
    pub facts: Facts,
    /// SHA-256 of the sealed content.
    pub sealed_sha256: Digest,
}

/// A document to be stored.
pub struct NewDocument<'a> {
    /// The patient's identifier.
    pub patient: &'a str,
    /// The class of data.
    pub class: &'a str,
    /// The document's name.
    pub name: &'a str,
    /// The type it is said to be; none to go by its name.
    pub kind: Option<&'a str>,
    /// Its content.
    pub bytes: &'a [u8],
}

/// How a document came: what its event says beside patient and class.
#[derive(Default)]
pub(super) struct Arrival {
    /// The action.
    pub(super) action: &'static str,
    /// Words before the digests.
    pub(super) note: String,
    /// Purpose, source and trace.
    pub(super) context: Context,
}

/// What is wrong with a document that is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Flaw {
    /// The store does not have it.
    Missing,
    /// The store has other bytes.
    Changed,
    /// Its digests do not fit its content.
    Digest,
}

/// What a check found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Checked {
    /// Documents that are as they were stored.
    pub good: u64,
    /// The others, by id.
    pub bad: Vec<(String, Flaw)>,
}

/// The place of a document's content.
pub(super) fn content_place(id: &str) -> SealContext<'_> {
    SealContext { table: "documents", row: id, column: "content" }
}

/// The place of a document's facts.
pub(super) fn facts_place(id: &str) -> SealContext<'_> {
    SealContext { table: "documents", row: id, column: "facts" }
}

pub(super) fn unknown(id: &str) -> Problem {
    Problem::new(ProblemKind::NotFound, "document.unknown", format!("there is no document `{id}`"))
        .hint("`ward party document list` shows them")
}

fn listed(row: &DocumentRow, key: &DataKey) -> Result<Listed, Problem> {
    let opened = key.open(facts_place(&row.id), &row.facts)?;
    let facts = serde_json::from_slice(&opened)
        .map_err(|_| Problem::internal(&"the facts of a document are malformed"))?;
    Ok(Listed {
        id: row.id.clone(),
        patient: row.patient.to_string(),
        class: row.class.clone(),
        at_unix_ms: row.at_ms,
        facts,
        sealed_sha256: row.digest,
    })
}

impl Node {
    pub(super) fn shelf(&self) -> Result<Shelf, Problem> {
        Shelf::open(&self.config().documents.shelf)
    }

    fn document_context(&self, row: &DocumentRow) -> Context {
        Context { patient: row.patient.to_string(), data_class: row.class.clone(), ..Context::default() }
    }

    /// Holds a document against size, type and scanner; returns its type.
    async fn look_at(&self, new: &NewDocument<'_>) -> Result<String, Problem> {
        let config = &self.config().documents;
        let refuse = |code: &str, message: String| Problem::new(ProblemKind::Validation, code, message);
        let bytes = new.bytes.len() as u64;
        if bytes == 0 || bytes > config.bytes_max {
            let message = format!("the document has {bytes} bytes; 1 to {} are taken", config.bytes_max);
            return Err(refuse("document.size", message).hint("`[documents] bytes_max` sets the limit"));
        }
        if new.name.is_empty() || new.name.len() > NAME_BYTES_MAX || new.name.contains(['/', '\0', '\n']) {
            return Err(refuse(
                "document.name",
                "the document's name is empty, too long, or a path".to_owned(),
            ));
        }
        let declared = new.kind.or_else(|| content::declared_by_name(new.name)).ok_or_else(|| {
            refuse("document.type", "the document's name does not say its type".to_owned())
                .hint("say it: --type application/pdf")
        })?;
        let kind = content::check(new.bytes, declared)?;
        if !config.types.is_empty() && !config.types.contains(&kind) {
            let message = format!("documents of type {kind} are not taken here");
            return Err(refuse("document.type", message).hint("`[documents] types` lists those that are"));
        }
        if let Some(scanner) = &config.scanner {
            scanner.look(new.bytes).await?;
        }
        Ok(kind)
    }

    /// Stores a document: looks at it, seals it, keeps it, and says so in the audit trail. A refusal is in the trail too.
    ///
    /// # Errors
    /// `document.size`, `document.name`, `document.type`, `document.scanner`, `document.scanner_failed`,
    /// `document.store`; the key provider's; storage.
    pub async fn put_document(&self, new: &NewDocument<'_>) -> Result<Listed, Problem> {
        self.store_document(new, &Arrival { action: "document.store", ..Arrival::default() }).await
    }

    /// Stores a document that came in some way: the event says in which.
    ///
    /// # Errors
    /// As [`Self::put_document`].
    pub(super) async fn store_document(
        &self,
        new: &NewDocument<'_>,
        arrival: &Arrival,
    ) -> Result<Listed, Problem> {
        let patient = self.consents().pseudonym(new.patient)?;
        let name = KeyName::new(patient, new.class)?;
        let kind = match self.look_at(new).await {
            Ok(kind) => kind,
            Err(problem) => {
                self.audit_refusal(
                    arrival.action,
                    "document:refused",
                    &problem.code,
                    arrival.context.clone(),
                )?;
                return Err(problem);
            }
        };
        let keyed = self.store().data_keys(&[name])?.pop();
        let keyed = keyed.ok_or_else(|| Problem::internal(&"no key for a document"))?;
        let id = hex::encode(random::<16>().map_err(|e| Problem::internal(&e))?);
        let facts = Facts {
            name: new.name.to_owned(),
            kind,
            bytes: new.bytes.len() as u64,
            sha256: Digest::of(new.bytes),
        };
        let sealed = keyed.key.seal(content_place(&id), new.bytes)?;
        let row = DocumentRow {
            patient,
            class: new.class.to_owned(),
            key: keyed.number,
            facts: keyed.key.seal(facts_place(&id), &canonical_json(&facts))?,
            digest: Digest::of(&sealed),
            blinded: keyed.key.blind(BLINDED, new.bytes),
            at_ms: self.now_ms(),
            id,
        };
        let shelf = self.shelf()?;
        shelf.put(&row.id, sealed).await?;
        let Arrival { action, note, context } = arrival;
        let detail = format!("{note}sealed sha256 {}, content hmac-sha256 {}", row.digest, row.blinded);
        let Context { patient, data_class, .. } = self.document_context(&row);
        let context = Context { patient, data_class, ..context.clone() };
        let event = self.audit_event(action, &format!("document:{}", row.id), &detail).within(context);
        if let Err(error) = self.store().add_document(&row, &event) {
            // What nothing refers to is not left there; if it cannot be removed, its key is gone or will be.
            let _ = shelf.remove(&row.id).await;
            return Err(error.into());
        }
        listed(&row, &keyed.key)
    }

    /// Gives a document back, and says so in the audit trail before.
    ///
    /// # Errors
    /// `document.unknown`, `document.damaged`, `document.store`; the key provider's; storage.
    pub async fn document(&self, id: &str) -> Result<(Listed, Zeroizing<Vec<u8>>), Problem> {
        let (row, key) = self.store().document(id)?.ok_or_else(|| unknown(id))?;
        let content = self.content(&self.shelf()?, (&row, &key)).await?.map_err(|flaw| {
            let message = format!("document `{id}` is not as it was stored ({flaw:?})").to_lowercase();
            Problem::new(ProblemKind::Conflict, "document.damaged", message)
                .hint("`ward party document check` looks at all of them")
        })?;
        let context = self.document_context(&row);
        self.audit_within("document.read", &format!("document:{id}"), "", context)?;
        Ok((listed(&row, &key)?, content))
    }

    /// A document's content, or what is wrong with it.
    async fn content(
        &self,
        shelf: &Shelf,
        (row, key): (&DocumentRow, &DataKey),
    ) -> Result<Result<Zeroizing<Vec<u8>>, Flaw>, Problem> {
        let Some(sealed) = shelf.get(&row.id).await? else { return Ok(Err(Flaw::Missing)) };
        if Digest::of(&sealed) != row.digest {
            return Ok(Err(Flaw::Changed));
        }
        let Ok(content) = key.open(content_place(&row.id), &sealed) else { return Ok(Err(Flaw::Changed)) };
        let facts = listed(row, key)?.facts;
        let fits = key.blind(BLINDED, &content) == row.blinded && Digest::of(&content) == facts.sha256;
        Ok(if fits { Ok(content) } else { Err(Flaw::Digest) })
    }

    /// Documents in the order of storing; of one patient where one is given.
    ///
    /// # Errors
    /// The key provider's; storage.
    pub fn list_documents(&self, patient: Option<&str>, limit: usize) -> Result<Vec<Listed>, Problem> {
        let patient = patient.map(|patient| self.consents().pseudonym(patient)).transpose()?;
        let mut found: Vec<Listed> = Vec::new();
        while found.len() < limit {
            let after = found.last().map(|last| last.id.clone());
            let page = self.store().documents(patient.as_ref(), after.as_deref(), PAGE)?;
            if page.is_empty() {
                break;
            }
            for (row, key) in &page {
                found.push(listed(row, key)?);
            }
        }
        found.truncate(limit);
        let context = Context {
            patient: patient.map(|patient| patient.to_string()).unwrap_or_default(),
            ..Context::default()
        };
        self.audit_within("document.list", "documents", &format!("{} listed", found.len()), context)?;
        Ok(found)
    }

    /// Looks whether every document is as it was stored.
    ///
    /// # Errors
    /// `document.store`; the key provider's; storage.
    pub async fn check_documents(&self) -> Result<Checked, Problem> {
        let shelf = self.shelf()?;
        let mut checked = Checked::default();
        let mut after: Option<String> = None;
        loop {
            let page = self.store().documents(None, after.as_deref(), PAGE)?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.id.clone());
            for (row, key) in &page {
                match self.content(&shelf, (row, key)).await? {
                    Ok(_) => checked.good += 1,
                    Err(flaw) => checked.bad.push((row.id.clone(), flaw)),
                }
            }
        }
        let detail = format!("{} as stored, {} not", checked.good, checked.bad.len());
        self.audit("document.check", "documents", &detail)?;
        Ok(checked)
    }

    /// Removes the sealed content of documents whose keys were destroyed; returns how many could not be removed. Nothing
    /// opens what stays.
    ///
    /// # Errors
    /// `document.store` for settings that make no sense.
    pub async fn remove_contents(&self, ids: &[String]) -> Result<u64, Problem> {
        let mut left = 0;
        if !ids.is_empty() {
            let shelf = self.shelf()?;
            for id in ids {
                left += u64::from(shelf.remove(id).await.is_err());
            }
        }
        Ok(left)
    }
}
