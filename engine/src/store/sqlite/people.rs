//! People, accounts, logins, revocations.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{OptionalExtension as _, Row, Transaction, params};

use super::columns::Uint;
use super::{SqliteStore, audit};
use crate::audit::Event;
use crate::identity::{Digest, PrincipalKind, PublicKey};
use crate::store::error::StoreError;
use crate::store::people::{AccountRecord, LoginRecord, People, PersonRecord, RevocationRecord, Rotation};
use crate::store::records::MemberRecord;

const PERSON: &str = "SELECT name, issuer, subject, first_ms FROM people";
const ACCOUNT: &str =
    "SELECT name, kind, roles, organisation, secrets, totp_step, failures, locked_until_ms, is_disabled,
    version FROM accounts";
const LOGIN: &str =
    "SELECT id, account, refresh, amr, authenticated_ms, expires_ms, ended_ms FROM logins WHERE id = ?";

impl ToSql for PrincipalKind {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}

impl FromSql for PrincipalKind {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_str()? {
            "person" => Ok(Self::Person),
            "service" => Ok(Self::Service),
            _ => Err(FromSqlError::InvalidType),
        }
    }
}

fn person(row: &Row<'_>) -> rusqlite::Result<PersonRecord> {
    Ok(PersonRecord {
        name: row.get(0)?,
        issuer: row.get(1)?,
        subject: row.get(2)?,
        first_ms: row.get::<_, Uint>(3)?.0,
    })
}

/// A list in a text column.
fn list<T: serde::de::DeserializeOwned>(row: &Row<'_>, at: usize) -> rusqlite::Result<Vec<T>> {
    let text: String = row.get(at)?;
    serde_json::from_str(&text)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(at, rusqlite::types::Type::Text, Box::new(e)))
}

fn text_of<T: serde::Serialize>(items: &[T]) -> Result<String, StoreError> {
    serde_json::to_string(items).map_err(|e| StoreError::Corrupt { what: "list", reason: e.to_string() })
}

fn account(row: &Row<'_>) -> rusqlite::Result<AccountRecord> {
    Ok(AccountRecord {
        name: row.get(0)?,
        kind: row.get(1)?,
        roles: list(row, 2)?,
        organisation: row.get(3)?,
        secrets: row.get(4)?,
        totp_step: row.get::<_, Uint>(5)?.0,
        failures: row.get(6)?,
        locked_until_ms: row.get::<_, Uint>(7)?.0,
        is_disabled: row.get(8)?,
        version: row.get::<_, Uint>(9)?.0,
    })
}

fn login(row: &Row<'_>) -> rusqlite::Result<LoginRecord> {
    Ok(LoginRecord {
        id: row.get(0)?,
        account: row.get(1)?,
        refresh: row.get(2)?,
        amr: list(row, 3)?,
        authenticated_ms: row.get::<_, Uint>(4)?.0,
        expires_ms: row.get::<_, Uint>(5)?.0,
        ended_ms: row.get::<_, Option<Uint>>(6)?.map(|at| at.0),
    })
}

fn taken(name: &str, reason: &'static str) -> StoreError {
    StoreError::Conflict { what: "name", id: name.to_owned(), reason }
}

/// Binds a name; true when it is new.
fn bind(t: &Transaction<'_>, wanted: &PersonRecord, holds_key: bool) -> Result<bool, StoreError> {
    let by_name = t.query_row(&format!("{PERSON} WHERE name = ?"), [&wanted.name], person).optional()?;
    if let Some(there) = by_name {
        let same = there.issuer == wanted.issuer && there.subject == wanted.subject;
        return if same { Ok(false) } else { Err(taken(&wanted.name, "it belongs to somebody else")) };
    }
    let subject = params![wanted.issuer, wanted.subject];
    let other = t.query_row("SELECT 1 FROM people WHERE issuer = ? AND subject = ?", subject, |_| Ok(()));
    if other.optional()?.is_some() {
        return Err(taken(&wanted.name, "this person has another name here"));
    }
    let enrolled = t.query_row("SELECT 1 FROM members WHERE name = ?", [&wanted.name], |_| Ok(()));
    if enrolled.optional()?.is_some() && !holds_key {
        return Err(taken(&wanted.name, "it is that of a member enrolled by certificate"));
    }
    t.execute(
        "INSERT INTO people (name, issuer, subject, first_ms) VALUES (?, ?, ?, ?)",
        params![wanted.name, wanted.issuer, wanted.subject, Uint(wanted.first_ms)],
    )?;
    Ok(true)
}

pub(super) fn revoke_key(
    t: &Transaction<'_>,
    name: &str,
    key: &PublicKey,
    at_ms: u64,
) -> Result<(), StoreError> {
    t.execute(
        "INSERT INTO revocations (name, key, at_ms) VALUES (?, ?, ?) ON CONFLICT (key) DO NOTHING",
        params![name, key, Uint(at_ms)],
    )?;
    Ok(())
}

fn end(t: &Transaction<'_>, condition: &str, value: &str, at_ms: u64) -> Result<usize, StoreError> {
    let text = format!("UPDATE logins SET ended_ms = ? WHERE {condition} = ? AND ended_ms IS NULL");
    Ok(t.execute(&text, params![Uint(at_ms), value])?)
}

impl People for SqliteStore {
    fn bind_person(&self, wanted: &PersonRecord, holds_key: bool, event: &Event) -> Result<(), StoreError> {
        // The common case writes nothing.
        if self
            .person(&wanted.name)?
            .is_some_and(|p| p.issuer == wanted.issuer && p.subject == wanted.subject)
        {
            return Ok(());
        }
        self.database.write("bind_person", |t| {
            if bind(t, wanted, holds_key)? {
                audit::append(t, event, &self.signer)?;
            }
            Ok(())
        })
    }

    fn person(&self, name: &str) -> Result<Option<PersonRecord>, StoreError> {
        self.database.read("person", |t| {
            let mut statement = t.prepare_cached(&format!("{PERSON} WHERE name = ?"))?;
            Ok(statement.query_row([name], person).optional()?)
        })
    }

    fn add_account(
        &self,
        account: &AccountRecord,
        person: &PersonRecord,
        event: &Event,
    ) -> Result<(), StoreError> {
        let roles = text_of(&account.roles)?;
        self.database.write("add_account", |t| {
            if !bind(t, person, false)? {
                return Err(taken(&account.name, "there is an account of that name"));
            }
            t.execute(
                "INSERT INTO accounts (name, kind, roles, organisation, secrets, totp_step, failures,
                    locked_until_ms, is_disabled, version) VALUES (?, ?, ?, ?, ?, 0, 0, 0, 0, 1)",
                params![account.name, account.kind, roles, account.organisation, account.secrets],
            )?;
            audit::append(t, event, &self.signer)?;
            Ok(())
        })
    }

    fn account(&self, name: &str) -> Result<Option<AccountRecord>, StoreError> {
        self.database.read("account", |t| {
            let mut statement = t.prepare_cached(&format!("{ACCOUNT} WHERE name = ?"))?;
            Ok(statement.query_row([name], account).optional()?)
        })
    }

    fn accounts(&self) -> Result<Vec<AccountRecord>, StoreError> {
        self.database.read("accounts", |t| {
            let mut statement = t.prepare_cached(&format!("{ACCOUNT} ORDER BY name"))?;
            Ok(statement.query_map([], account)?.collect::<Result<_, _>>()?)
        })
    }

    fn change_account(
        &self,
        account: &AccountRecord,
        ends_logins: Option<u64>,
        event: Option<&Event>,
    ) -> Result<(), StoreError> {
        let roles = text_of(&account.roles)?;
        self.database.write("change_account", |t| {
            let changed = t.execute(
                "UPDATE accounts SET kind = ?, roles = ?, organisation = ?, secrets = ?, totp_step = ?, failures = ?,
                    locked_until_ms = ?, is_disabled = ?, version = version + 1 WHERE name = ? AND version = ?",
                params![
                    account.kind,
                    roles,
                    account.organisation,
                    account.secrets,
                    Uint(account.totp_step),
                    account.failures,
                    Uint(account.locked_until_ms),
                    account.is_disabled,
                    account.name,
                    Uint(account.version)
                ],
            )?;
            if changed == 0 {
                let (id, reason) = (account.name.clone(), "it was changed meanwhile");
                return Err(StoreError::Conflict { what: "account", id, reason });
            }
            if let Some(at_ms) = ends_logins {
                end(t, "account", &account.name, at_ms)?;
            }
            if let Some(event) = event {
                audit::append(t, event, &self.signer)?;
            }
            Ok(())
        })
    }

    fn begin_login(&self, login: &LoginRecord, event: &Event) -> Result<(), StoreError> {
        let amr = text_of(&login.amr)?;
        self.database.write("begin_login", |t| {
            t.execute(
                "INSERT INTO logins (id, account, refresh, amr, authenticated_ms, expires_ms)
                 VALUES (?, ?, ?, ?, ?, ?)",
                params![
                    login.id,
                    login.account,
                    login.refresh,
                    amr,
                    Uint(login.authenticated_ms),
                    Uint(login.expires_ms)
                ],
            )?;
            audit::append(t, event, &self.signer)?;
            Ok(())
        })
    }

    fn login(&self, id: &str) -> Result<Option<LoginRecord>, StoreError> {
        self.database.read("login", |t| Ok(t.prepare_cached(LOGIN)?.query_row([id], login).optional()?))
    }

    fn rotate_login(
        &self,
        id: &str,
        (shown, next): (&Digest, &Digest),
        now_ms: u64,
        (rotated, reused): (&Event, &Event),
    ) -> Result<Rotation, StoreError> {
        self.database.write("rotate_login", |t| {
            let found = t.prepare_cached(LOGIN)?.query_row([id], login).optional()?;
            let open = found.filter(|login| login.ended_ms.is_none() && now_ms < login.expires_ms);
            let Some(open) = open else {
                return Err(StoreError::NotFound { what: "open login", id: id.to_owned() });
            };
            let name = |event: &Event| {
                let subject = format!("account:{}", open.account);
                Event { actor: open.account.clone(), subject, ..event.clone() }
            };
            if open.refresh != *shown {
                end(t, "id", id, now_ms)?;
                audit::append(t, &name(reused), &self.signer)?;
                return Ok(Rotation::Reused(open));
            }
            t.execute("UPDATE logins SET refresh = ? WHERE id = ?", params![next, id])?;
            audit::append(t, &name(rotated), &self.signer)?;
            Ok(Rotation::Rotated(open))
        })
    }

    fn end_login(&self, id: &str, at_ms: u64, event: &Event) -> Result<(), StoreError> {
        self.database.write("end_login", |t| {
            if end(t, "id", id, at_ms)? > 0 {
                audit::append(t, event, &self.signer)?;
            }
            Ok(())
        })
    }

    fn register_key(&self, record: &MemberRecord, replaces: bool, event: &Event) -> Result<(), StoreError> {
        self.database.write("register_key", |t| {
            let there = t
                .query_row("SELECT key, by_token FROM members WHERE name = ?", [&record.name], |row| {
                    Ok((row.get::<_, PublicKey>(0)?, row.get::<_, bool>(1)?))
                })
                .optional()?;
            let conflict = |reason| StoreError::Conflict { what: "key of", id: record.name.clone(), reason };
            match there {
                Some((_, false)) => return Err(conflict("the name is enrolled by certificate")),
                Some((key, true)) if key != record.key && !replaces => {
                    return Err(conflict("another key is registered"));
                }
                Some((key, true)) if key != record.key => {
                    revoke_key(t, &record.name, &key, record.enrolled_ms)?;
                }
                _ => {}
            }
            let was = "SELECT 1 FROM revocations WHERE key = ?1 UNION SELECT 1 FROM members WHERE key = ?1 AND name <> ?2";
            if t.query_row(was, params![record.key, record.name], |_| Ok(())).optional()?.is_some() {
                return Err(conflict("the key is, or was, somebody else's"));
            }
            t.execute(
                "INSERT INTO members (name, role, key, certificate, enrolled_ms, by_token) VALUES (?, ?, ?, ?, ?, 1)
                 ON CONFLICT (name) DO UPDATE SET role = excluded.role, key = excluded.key,
                    certificate = excluded.certificate, enrolled_ms = excluded.enrolled_ms",
                params![record.name, record.role, record.key, record.certificate, Uint(record.enrolled_ms)],
            )?;
            audit::append(t, event, &self.signer)?;
            Ok(())
        })
    }

    fn revocations(&self) -> Result<Vec<RevocationRecord>, StoreError> {
        self.database.read("revocations", |t| {
            let mut statement =
                t.prepare_cached("SELECT number, name, key, at_ms FROM revocations ORDER BY number")?;
            let rows = statement.query_map([], |row| {
                Ok(RevocationRecord {
                    number: row.get::<_, Uint>(0)?.0,
                    name: row.get(1)?,
                    key: row.get(2)?,
                    at_ms: row.get::<_, Uint>(3)?.0,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    fn revocation_number(&self) -> Result<u64, StoreError> {
        self.database.read("revocation_number", |t| {
            let mut statement = t.prepare_cached("SELECT coalesce(max(number), 0) FROM revocations")?;
            Ok(statement.query_row([], |row| row.get::<_, Uint>(0))?.0)
        })
    }
}
