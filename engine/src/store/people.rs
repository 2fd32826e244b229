//! People and services: names bound to their issuers, accounts kept here, logins, keys, revocations.

use super::error::StoreError;
use super::records::MemberRecord;
use crate::audit::Event;
use crate::identity::{Digest, PrincipalKind, PublicKey, RoleName};

/// A name and whom it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonRecord {
    /// The name, unique in the consortium.
    pub name: String,
    /// Who vouches for them.
    pub issuer: String,
    /// The issuer's permanent name for them.
    pub subject: String,
    /// When they first came (unix milliseconds).
    pub first_ms: u64,
}

/// An account kept by the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRecord {
    /// Its name.
    pub name: String,
    /// A person's or a service's.
    pub kind: PrincipalKind,
    /// Its roles.
    pub roles: Vec<RoleName>,
    /// Its organisation.
    pub organisation: Option<String>,
    /// Verifiers of its secrets, sealed by the caller.
    pub secrets: Vec<u8>,
    /// The step of the last one-time password used; none is accepted twice.
    pub totp_step: u64,
    /// Failures since the last success.
    pub failures: u32,
    /// Until when no attempt is looked at (unix milliseconds).
    pub locked_until_ms: u64,
    /// True when it may not log in.
    pub is_disabled: bool,
    /// Grows with every change: a change of what was read meanwhile is refused.
    pub version: u64,
}

/// A login: a family of refresh tokens that follow each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginRecord {
    /// Its id, 16 random bytes in hexadecimal.
    pub id: String,
    /// The account.
    pub account: String,
    /// Digest of the one refresh token in force.
    pub refresh: Digest,
    /// Methods by which it was authenticated.
    pub amr: Vec<String>,
    /// When (unix milliseconds).
    pub authenticated_ms: u64,
    /// Its last moment (unix milliseconds).
    pub expires_ms: u64,
    /// When it was ended (unix milliseconds).
    pub ended_ms: Option<u64>,
}

/// A key that is no member's any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationRecord {
    /// Its number, from 1, growing.
    pub number: u64,
    /// Whose it was.
    pub name: String,
    /// The key.
    pub key: PublicKey,
    /// Since when (unix milliseconds).
    pub at_ms: u64,
}

/// What became of a refresh token that was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// The next one is in force.
    Rotated(LoginRecord),
    /// It was used before: the whole login is ended.
    Reused(LoginRecord),
}

/// People, accounts, logins and revocations.
pub trait People {
    /// Binds a name to its issuer's subject, on first sight. `holds_key` says that the caller has shown the key of the
    /// enrolled member of that name.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the name is another's, or the subject has another name.
    fn bind_person(&self, person: &PersonRecord, holds_key: bool, audit: &Event) -> Result<(), StoreError>;

    /// The person of that name.
    ///
    /// # Errors
    /// [`StoreError`].
    fn person(&self, name: &str) -> Result<Option<PersonRecord>, StoreError>;

    /// Adds an account, and binds its name.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the name is taken.
    fn add_account(
        &self,
        account: &AccountRecord,
        person: &PersonRecord,
        audit: &Event,
    ) -> Result<(), StoreError>;

    /// The account of that name.
    ///
    /// # Errors
    /// [`StoreError`].
    fn account(&self, name: &str) -> Result<Option<AccountRecord>, StoreError>;

    /// All accounts, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    fn accounts(&self) -> Result<Vec<AccountRecord>, StoreError>;

    /// Changes an account that is still of the version that was read. With `ends_logins`, nobody stays logged in. Without an
    /// event where the change is part of an act that has one.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it was changed meanwhile.
    fn change_account(
        &self,
        account: &AccountRecord,
        ends_logins: Option<u64>,
        audit: Option<&Event>,
    ) -> Result<(), StoreError>;

    /// Begins a login.
    ///
    /// # Errors
    /// [`StoreError`].
    fn begin_login(&self, login: &LoginRecord, audit: &Event) -> Result<(), StoreError>;

    /// The login of that id.
    ///
    /// # Errors
    /// [`StoreError`].
    fn login(&self, id: &str) -> Result<Option<LoginRecord>, StoreError>;

    /// Puts the next refresh token of a login in force, if the one shown is in force; else the login is ended.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when no such login is open at that time.
    fn rotate_login(
        &self,
        id: &str,
        digests: (&Digest, &Digest),
        now_ms: u64,
        audit: (&Event, &Event),
    ) -> Result<Rotation, StoreError>;

    /// Ends a login; one that has ended stays as it is.
    ///
    /// # Errors
    /// [`StoreError`].
    fn end_login(&self, id: &str, at_ms: u64, audit: &Event) -> Result<(), StoreError>;

    /// Registers the key of somebody who comes by token; with `replaces`, in place of another one, which is revoked.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the name has another key, or the key is another's.
    fn register_key(&self, member: &MemberRecord, replaces: bool, audit: &Event) -> Result<(), StoreError>;

    /// Keys that were revoked, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    fn revocations(&self) -> Result<Vec<RevocationRecord>, StoreError>;

    /// Number of the newest revocation, 0 without any.
    ///
    /// # Errors
    /// [`StoreError`].
    fn revocation_number(&self) -> Result<u64, StoreError>;
}
