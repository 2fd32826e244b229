//! What older versions of Ward kept of patients in the clear, or under the node's seal key, is put under keys of these
//! patients when the store is opened, a page at a time: a process that ends in between goes on when it is opened next.

use rusqlite::{OptionalExtension as _, Transaction, params};

use super::SqlitePartyStore;
use super::columns::Uint;
use super::consent::{Content, change_row, content_place, corrupt, reason_place};
use super::messages::{add_message_key, fields_place, row_of};
use crate::consent::Pseudonym;
use crate::encoding::canonical_json;
use crate::identity::Digest;
use crate::store::consent::CONSENT_CLASS;
use crate::store::error::StoreError;
use crate::store::keys::{Keyed, RecordKeys as _};
use crate::store::messages::{MESSAGE_CLASS, MESSAGE_DIGEST};
use crate::vault::KeyName;

/// Artefacts of one transaction.
const PAGE: u32 = 500;

/// An artefact as older versions kept it.
struct Plain {
    number: u64,
    id: String,
    who: Pseudonym,
    source: String,
    rule: String,
    provenance: String,
    /// Versions of its statuses, and why.
    reasons: Vec<(u32, String)>,
}

/// An item of a message as older versions kept it: its fields under the node's seal key.
struct PlainItem {
    kind: String,
    key: Digest,
    who: Pseudonym,
    message: i64,
    fields: Option<Vec<u8>>,
}

impl SqlitePartyStore {
    pub(super) fn seal_the_unsealed(&self) -> Result<(), StoreError> {
        self.seal_messages()?;
        let mut is_first = true;
        loop {
            let page = self.unsealed()?;
            if page.is_empty() {
                // What was in the clear stays in no page of the log.
                return if is_first { Ok(()) } else { self.empty_log().map(drop) };
            }
            is_first = false;
            let mut people: Vec<Pseudonym> = page.iter().map(|plain| plain.who).collect();
            people.sort_unstable();
            people.dedup();
            let names = people.iter().map(|who| KeyName::new(*who, CONSENT_CLASS));
            let keys = self.data_keys(&names.collect::<Result<Vec<_>, _>>()?)?;
            let keyed: Vec<(&Plain, &Keyed)> = page
                .iter()
                .filter_map(|plain| Some((plain, keys.get(people.binary_search(&plain.who).ok()?)?)))
                .collect();
            self.seal_page(&keyed)?;
        }
    }

    fn unsealed(&self) -> Result<Vec<Plain>, StoreError> {
        self.database.read("unsealed", |t| {
            let mut statement = t.prepare_cached(
                "SELECT number, id, pseudonym, source, rule, provenance FROM consents
                 WHERE data_key IS NULL ORDER BY number LIMIT ?",
            )?;
            let found = statement.query_map([PAGE], |row| {
                Ok(Plain {
                    number: row.get::<_, Uint>(0)?.0,
                    id: row.get(1)?,
                    who: Pseudonym(row.get::<_, Digest>(2)?.0),
                    source: row.get(3)?,
                    rule: row.get(4)?,
                    provenance: row.get(5)?,
                    reasons: Vec::new(),
                })
            })?;
            let mut page = found.collect::<Result<Vec<_>, _>>()?;
            let mut reasons = t.prepare_cached(
                "SELECT version, reason FROM consent_changes WHERE number = ? AND reason <> ''",
            )?;
            for plain in &mut page {
                let found = reasons.query_map([Uint(plain.number)], |row| Ok((row.get(0)?, row.get(1)?)))?;
                plain.reasons = found.collect::<Result<_, _>>()?;
            }
            Ok(page)
        })
    }

    fn seal_page(&self, page: &[(&Plain, &Keyed)]) -> Result<(), StoreError> {
        self.database.write("seal_page", |t| {
            for (plain, Keyed { number, key }) in page {
                let read = |e: serde_json::Error| corrupt(&plain.id, e);
                let content = Content {
                    rule: serde_json::from_str(&plain.rule).map_err(read)?,
                    provenance: serde_json::from_str(&plain.provenance).map_err(read)?,
                };
                let sealed = key.seal(content_place(&plain.id), &canonical_json(&content))?;
                t.prepare_cached(
                    "UPDATE consents SET data_key = ?, sealed = ?, source = ?, rule = '', provenance = ''
                     WHERE number = ? AND data_key IS NULL",
                )?
                .execute(params![
                    Uint(*number),
                    sealed,
                    self.source(&plain.source),
                    Uint(plain.number)
                ])?;
                for (version, reason) in &plain.reasons {
                    let row = change_row(&plain.id, *version);
                    let sealed = key.seal(reason_place(&row), reason.as_bytes())?;
                    t.prepare_cached(
                        "UPDATE consent_changes SET reason = '', sealed = ?
                         WHERE number = ? AND version = ? AND sealed IS NULL",
                    )?
                    .execute(params![sealed, Uint(plain.number), version])?;
                }
            }
            Ok(())
        })
    }

    /// Puts what messages said under keys of their patients. Their unkeyed digests are keyed, or go where no item tells whose
    /// they are.
    fn seal_messages(&self) -> Result<(), StoreError> {
        let mut is_first = true;
        loop {
            let page = self.plain_items()?;
            if page.is_empty() {
                let sql =
                    "DELETE FROM hl7_messages WHERE number NOT IN (SELECT message FROM hl7_message_keys)";
                let removed = self.database.write("forget_messages", |t| Ok(t.execute(sql, [])?))?;
                return if is_first && removed == 0 { Ok(()) } else { self.empty_log().map(drop) };
            }
            is_first = false;
            let mut people: Vec<Pseudonym> = page.iter().map(|item| item.who).collect();
            people.sort_unstable();
            people.dedup();
            let names = people.iter().map(|who| KeyName::new(*who, MESSAGE_CLASS));
            let keys = self.data_keys(&names.collect::<Result<Vec<_>, _>>()?)?;
            self.database.write("seal_messages", |t| {
                for item in &page {
                    let key = people.binary_search(&item.who).ok().and_then(|at| keys.get(at));
                    let key = key.ok_or(StoreError::Invalid { reason: "an item without key" })?;
                    self.seal_item(t, item, key)?;
                }
                Ok(())
            })?;
        }
    }

    fn plain_items(&self) -> Result<Vec<PlainItem>, StoreError> {
        self.database.read("plain_items", |t| {
            let mut statement = t.prepare_cached(
                "SELECT kind, key, patient, message, fields FROM hl7_items WHERE data_key IS NULL LIMIT ?",
            )?;
            let found = statement.query_map([PAGE], |row| {
                Ok(PlainItem {
                    kind: row.get(0)?,
                    key: row.get(1)?,
                    who: Pseudonym(row.get::<_, Digest>(2)?.0),
                    message: row.get(3)?,
                    fields: row.get(4)?,
                })
            })?;
            Ok(found.collect::<Result<_, _>>()?)
        })
    }

    fn seal_item(&self, t: &Transaction<'_>, item: &PlainItem, key: &Keyed) -> Result<(), StoreError> {
        let row = row_of(&item.kind, &item.key);
        let sealed = item.fields.as_ref().map(|fields| {
            let plain = self.seal.open(fields_place(&row), fields)?;
            Ok::<_, StoreError>(key.key.seal(fields_place(&row), &plain)?)
        });
        t.prepare_cached(
            "UPDATE hl7_items SET fields = ?, data_key = ? WHERE kind = ? AND key = ? AND data_key IS NULL",
        )?
        .execute(params![sealed.transpose()?, Uint(key.number), item.kind, item.key])?;
        let sql = "SELECT digest FROM hl7_messages m WHERE number = ?
                   AND NOT EXISTS (SELECT 1 FROM hl7_message_keys WHERE message = m.number)";
        let digest: Option<Digest> =
            t.prepare_cached(sql)?.query_row([item.message], |row| row.get(0)).optional()?;
        if let Some(digest) = digest {
            t.prepare_cached("UPDATE hl7_messages SET digest = ? WHERE number = ?")?
                .execute(params![key.key.blind(MESSAGE_DIGEST, &digest.0), item.message])?;
            add_message_key(t, item.message, (0, key))?;
        }
        Ok(())
    }
}
