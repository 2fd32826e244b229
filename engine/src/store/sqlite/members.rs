//! Tokens, members, publications.

use rusqlite::{OptionalExtension as _, Row, Transaction, params};

use super::columns::Uint;
use super::{SqliteStore, audit, people};
use crate::audit::Event;
use crate::identity::{Claim, PublicKey, TokenHash};
use crate::store::Members;
use crate::store::error::StoreError;
use crate::store::records::{MemberRecord, PublicationRecord, TokenRecord};

const MEMBER: &str = "SELECT name, role, key, certificate, enrolled_ms, revoked_ms, by_token FROM members";

fn member(row: &Row<'_>) -> rusqlite::Result<MemberRecord> {
    Ok(MemberRecord {
        name: row.get(0)?,
        role: row.get(1)?,
        key: row.get(2)?,
        certificate: row.get(3)?,
        enrolled_ms: row.get::<_, Uint>(4)?.0,
        revoked_ms: row.get::<_, Option<Uint>>(5)?.map(|at| at.0),
        by_token: row.get(6)?,
    })
}

/// Marks the claim's token used; refuses when none is open.
fn use_token(transaction: &Transaction<'_>, claim: &Claim, now_ms: u64) -> Result<(), StoreError> {
    let mut statement = transaction.prepare_cached(
        "SELECT hash FROM tokens
         WHERE name = ? AND role = ? AND used_ms IS NULL AND expires_ms >= ?",
    )?;
    let open = statement.query_map(params![claim.name, claim.role, Uint(now_ms)], |row| row.get(0))?;
    let presented = claim.hash();
    // Every open token of that name is compared, whichever matches: the time taken tells nothing.
    let mut found = None;
    for hash in open {
        let hash = TokenHash(hash?);
        if hash.ct_eq(&presented) {
            found = Some(hash);
        }
    }
    let Some(hash) = found else { return Err(StoreError::Token { name: claim.name.clone() }) };
    transaction.execute("UPDATE tokens SET used_ms = ? WHERE hash = ?", params![Uint(now_ms), hash.0])?;
    Ok(())
}

fn insert_member(transaction: &Transaction<'_>, record: &MemberRecord) -> Result<(), StoreError> {
    let conflict = |what, reason| StoreError::Conflict { what, id: record.name.clone(), reason };
    let there = transaction
        .query_row("SELECT revoked_ms FROM members WHERE name = ?", [&record.name], |row| {
            row.get::<_, Option<Uint>>(0)
        })
        .optional()?;
    if matches!(there, Some(None)) {
        return Err(conflict("member", "the name is enrolled"));
    }
    let was = "SELECT 1 FROM members WHERE key = ?1 UNION SELECT 1 FROM revocations WHERE key = ?1";
    if transaction.query_row(was, [&record.key], |_| Ok(())).optional()?.is_some() {
        return Err(conflict("member", "the key is, or was, a member's"));
    }
    let logs_in = "SELECT 1 FROM people WHERE name = ?1
        AND NOT EXISTS (SELECT 1 FROM members WHERE name = ?1 AND by_token = 0)";
    let person = transaction.query_row(logs_in, [&record.name], |_| Ok(()));
    if person.optional()?.is_some() {
        return Err(conflict("member", "the name is that of somebody who logs in"));
    }
    transaction.execute(
        "INSERT INTO members (name, role, key, certificate, enrolled_ms) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT (name) DO UPDATE SET role = excluded.role, key = excluded.key,
            certificate = excluded.certificate, enrolled_ms = excluded.enrolled_ms, revoked_ms = NULL",
        params![record.name, record.role, record.key, record.certificate, Uint(record.enrolled_ms)],
    )?;
    Ok(())
}

impl Members for SqliteStore {
    fn add_token(&self, token: &TokenRecord, event: &Event) -> Result<(), StoreError> {
        self.database.write("add_token", |t| {
            t.execute(
                "INSERT INTO tokens (hash, role, name, created_ms, expires_ms) VALUES (?, ?, ?, ?, ?)",
                params![token.hash.0, token.role, token.name, Uint(token.created_ms), Uint(token.expires_ms)],
            )?;
            audit::append(t, event, &self.signer)?;
            Ok(())
        })
    }

    fn enrol(&self, claim: &Claim, record: &MemberRecord, event: &Event) -> Result<(), StoreError> {
        if claim.name != record.name || claim.role != record.role || claim.key != record.key {
            return Err(StoreError::Invalid { reason: "the member is not the one that the claim names" });
        }
        self.database.write("enrol", |t| {
            use_token(t, claim, record.enrolled_ms)?;
            insert_member(t, record)?;
            audit::append(t, event, &self.signer)?;
            Ok(())
        })
    }

    fn renew_certificate(
        &self,
        name: &str,
        key: &[u8; 32],
        der: &[u8],
        event: &Event,
    ) -> Result<(), StoreError> {
        self.database.write("renew_certificate", |t| {
            let changed = t.execute(
                "UPDATE members SET certificate = ? WHERE name = ? AND key = ? AND revoked_ms IS NULL",
                params![der, name, key],
            )?;
            require(changed, name)?;
            audit::append(t, event, &self.signer)?;
            Ok(())
        })
    }

    fn member(&self, name: &str) -> Result<Option<MemberRecord>, StoreError> {
        self.database.read("member", |t| {
            let mut statement = t.prepare_cached(&format!("{MEMBER} WHERE name = ?"))?;
            Ok(statement.query_row([name], member).optional()?)
        })
    }

    fn members(&self) -> Result<Vec<MemberRecord>, StoreError> {
        self.database.read("members", |t| {
            let mut statement = t.prepare_cached(&format!("{MEMBER} ORDER BY name"))?;
            Ok(statement.query_map([], member)?.collect::<Result<_, _>>()?)
        })
    }

    fn revoke(&self, name: &str, at_ms: u64, event: &Event) -> Result<(), StoreError> {
        self.database.write("revoke", |t| {
            let key = t
                .query_row("SELECT key FROM members WHERE name = ? AND revoked_ms IS NULL", [name], |row| {
                    row.get::<_, PublicKey>(0)
                })
                .optional()?;
            let Some(key) = key else { return require(0, name) };
            t.execute("UPDATE members SET revoked_ms = ? WHERE name = ?", params![Uint(at_ms), name])?;
            people::revoke_key(t, name, &key, at_ms)?;
            audit::append(t, event, &self.signer)?;
            Ok(())
        })
    }

    fn publish(&self, hospital: &str, json: &str, at_ms: u64, event: &Event) -> Result<u64, StoreError> {
        self.database.write("publish", |t| {
            let latest = t
                .query_row(
                    "SELECT version, json FROM publications WHERE hospital = ? ORDER BY version DESC LIMIT 1",
                    [hospital],
                    |row| Ok((row.get::<_, Uint>(0)?.0, row.get::<_, String>(1)?)),
                )
                .optional()?;
            let version = match latest {
                Some((version, there)) if there == json => return Ok(version),
                Some((version, _)) => version + 1,
                None => 1,
            };
            let member =
                t.query_row("SELECT 1 FROM members WHERE name = ?", [hospital], |_| Ok(())).optional()?;
            require(usize::from(member.is_some()), hospital)?;
            t.execute(
                "INSERT INTO publications (hospital, version, json, at_ms) VALUES (?, ?, ?, ?)",
                params![hospital, Uint(version), json, Uint(at_ms)],
            )?;
            audit::append(t, event, &self.signer)?;
            Ok(version)
        })
    }

    fn publications(&self) -> Result<Vec<PublicationRecord>, StoreError> {
        self.database.read("publications", |t| {
            let mut statement = t.prepare_cached(
                "SELECT p.hospital, p.json, p.version, p.at_ms FROM publications p
                 JOIN members m ON m.name = p.hospital AND m.revoked_ms IS NULL
                 WHERE p.version = (SELECT max(version) FROM publications WHERE hospital = p.hospital)
                 ORDER BY p.hospital",
            )?;
            let rows = statement.query_map([], |row| {
                Ok(PublicationRecord {
                    hospital: row.get(0)?,
                    json: row.get(1)?,
                    version: row.get::<_, Uint>(2)?.0,
                    at_ms: row.get::<_, Uint>(3)?.0,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}

fn require(changed: usize, name: &str) -> Result<(), StoreError> {
    if changed == 1 {
        Ok(())
    } else {
        Err(StoreError::NotFound { what: "enrolled member", id: name.to_owned() })
    }
}
