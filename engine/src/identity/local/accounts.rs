//! Accounts: adding, changing, logging in, refreshing, logging out.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::LocalError;
use super::secrets::{Cost, Fresh, Secrets};
use super::tokens::{Access, Issued, REFRESH_MS, TokenKey, parse_refresh, refresh_token};
use crate::audit::{Event, Outcome};
use crate::identity::bearer::{Asserted, BearerError};
use crate::identity::{PrincipalKind, RoleName, SealKey, check_name, clip, random};
use crate::store::{AccountRecord, LoginRecord, PersonRecord, Rotation, Store, StoreError};

/// Failures that cost nothing but the time of the hash.
const FAILURES_FREE: u32 = 5;
/// The first lock; each failure after it doubles it.
const LOCK_MS: u64 = 30_000;
const LOCK_MS_MAX: u64 = 3_600_000;

/// An account to be.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// Its name.
    pub name: String,
    /// Its roles.
    pub roles: Vec<RoleName>,
    /// Its organisation.
    pub organisation: Option<String>,
}

/// What a new person is told, once.
pub struct Enrolled {
    /// The second factor, unless it was waived.
    pub second: Option<Fresh>,
}

/// A service's secret, shown once: 64 hexadecimal characters.
pub struct ServiceSecret(pub Zeroizing<String>);

/// The accounts of a consortium.
pub struct Accounts {
    store: Arc<dyn Store>,
    seal: SealKey,
    key: TokenKey,
    cost: Cost,
}

fn event(account: &str, action: &str, outcome: Outcome, detail: &str) -> Event {
    let actor = clip(account);
    let subject = format!("account:{actor}");
    let event = Event::new(&actor, "person", action, &subject);
    Event { outcome, detail: detail.to_owned(), ..event }
}

fn by_operator(account: &str, action: &str) -> Event {
    Event::new("operator", "operator", action, &format!("account:{account}"))
}

impl Accounts {
    /// Accounts of a store, whose secrets are sealed with that key.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, seal: SealKey, key: TokenKey, cost: Cost) -> Self {
        Self { store, seal, key, cost }
    }

    /// The issuer that their tokens name.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.key.issuer()
    }

    /// Adds a person; with a second factor, unless it is waived.
    ///
    /// # Errors
    /// [`LocalError`] for a taken name, a weak password, or the role of a node.
    pub fn add_person(
        &self,
        new: &NewAccount,
        password: &str,
        is_second_waived: bool,
    ) -> Result<Enrolled, LocalError> {
        let mut secrets = Secrets::of_password(password, self.cost)?;
        let second = if is_second_waived { None } else { Some(secrets.renew_totp()?) };
        self.add(new, PrincipalKind::Person, &secrets)?;
        Ok(Enrolled { second })
    }

    /// Adds a service.
    ///
    /// # Errors
    /// [`LocalError`] for a taken name, or the role of a node.
    pub fn add_service(&self, new: &NewAccount) -> Result<ServiceSecret, LocalError> {
        let secret = Zeroizing::new(random::<32>()?);
        self.add(new, PrincipalKind::Service, &Secrets::of_service(&secret)?)?;
        Ok(ServiceSecret(Zeroizing::new(hex::encode(*secret))))
    }

    fn add(&self, new: &NewAccount, kind: PrincipalKind, secrets: &Secrets) -> Result<(), LocalError> {
        check_name(&new.name)?;
        if let Some(role) = new.roles.iter().find(|role| !role.is_of_people()) {
            return Err(LocalError::Role { role: role.as_str() });
        }
        let mut roles = new.roles.clone();
        roles.sort();
        roles.dedup();
        let account = AccountRecord {
            name: new.name.clone(),
            kind,
            roles,
            organisation: new.organisation.clone(),
            secrets: secrets.seal(&self.seal, &new.name)?,
            totp_step: 0,
            failures: 0,
            locked_until_ms: 0,
            is_disabled: false,
            version: 1,
        };
        let audit = by_operator(&new.name, "account.add");
        let person = PersonRecord {
            name: new.name.clone(),
            issuer: self.issuer().to_owned(),
            subject: new.name.clone(),
            first_ms: audit.at_ms,
        };
        Ok(self.store.add_account(&account, &person, &audit)?)
    }

    fn known(&self, name: &str) -> Result<AccountRecord, LocalError> {
        let found = self.store.account(name)?;
        found.ok_or_else(|| StoreError::NotFound { what: "account", id: clip(name) }.into())
    }

    /// Allows or forbids an account to log in; forbidding ends its logins.
    ///
    /// # Errors
    /// [`LocalError::Store`] when there is none.
    pub fn set_disabled(&self, name: &str, is_disabled: bool) -> Result<(), LocalError> {
        let account = AccountRecord { is_disabled, ..self.known(name)? };
        let audit = by_operator(name, if is_disabled { "account.disable" } else { "account.enable" });
        Ok(self.store.change_account(&account, is_disabled.then_some(audit.at_ms), Some(&audit))?)
    }

    /// Gives a person another password, lifts a lock, and ends every login.
    ///
    /// # Errors
    /// [`LocalError`].
    pub fn reset(&self, name: &str, password: &str) -> Result<(), LocalError> {
        let account = self.known(name)?;
        let old = Secrets::open(&self.seal, name, &account.secrets)?;
        let fresh = Secrets::of_password(password, self.cost)?.with_second_of(&old);
        let secrets = fresh.seal(&self.seal, name)?;
        let account = AccountRecord { secrets, failures: 0, locked_until_ms: 0, ..account };
        let audit = by_operator(name, "account.reset");
        Ok(self.store.change_account(&account, Some(audit.at_ms), Some(&audit))?)
    }

    /// Gives a person another second factor and other recovery codes, and ends every login.
    ///
    /// # Errors
    /// [`LocalError`].
    pub fn renew_second(&self, name: &str) -> Result<Fresh, LocalError> {
        let account = self.known(name)?;
        let mut secrets = Secrets::open(&self.seal, name, &account.secrets)?;
        let fresh = secrets.renew_totp()?;
        let account = AccountRecord { secrets: secrets.seal(&self.seal, name)?, ..account };
        let audit = by_operator(name, "account.totp");
        self.store.change_account(&account, Some(audit.at_ms), Some(&audit))?;
        Ok(fresh)
    }

    /// Logs somebody in: a person with password and code (of the authenticator, or a recovery code; empty where the
    /// account has no second factor), a service with its secret as the password.
    ///
    /// # Errors
    /// [`LocalError::Credentials`] whatever is wrong; [`LocalError::Locked`].
    pub fn login(&self, name: &str, password: &str, code: &str, now_ms: u64) -> Result<Issued, LocalError> {
        let refused = |why: &str| event(name, "login.failure", Outcome::Refused, why);
        let Some(account) = self.store.account(name)? else {
            // As slow as a wrong password, and as refused: what it says does not matter.
            let _ = Secrets::of_nobody(self.cost).check_password(password);
            self.store.audit(&refused("no such account"))?;
            return Err(LocalError::Credentials);
        };
        if now_ms < account.locked_until_ms {
            self.store.audit(&refused("locked"))?;
            return Err(LocalError::Locked { wait_s: (account.locked_until_ms - now_ms).div_ceil(1000) });
        }
        // Counted as a failure before it is looked at: attempts made at once do not share a count.
        let account = self.count_failure(account, now_ms)?;
        let checked = self.check(&account, password, code, now_ms);
        let (mut secrets, amr, totp_step) = match checked {
            Ok(checked) if !account.is_disabled => checked,
            Ok(_) | Err(LocalError::Credentials) => {
                let why = if account.is_disabled { "disabled" } else { "wrong password or code" };
                self.store.audit(&refused(why))?;
                return Err(LocalError::Credentials);
            }
            Err(error) => return Err(error),
        };
        if amr.iter().any(|method| method == "recovery") {
            secrets.use_code(code)?;
        }
        let secrets = secrets.seal(&self.seal, name)?;
        let passed = AccountRecord { secrets, totp_step, failures: 0, locked_until_ms: 0, ..account.clone() };
        self.store.change_account(&passed, None, None)?;
        self.begin(&account, amr, now_ms)
    }

    fn count_failure(&self, account: AccountRecord, now_ms: u64) -> Result<AccountRecord, LocalError> {
        let failures = account.failures.saturating_add(1);
        let over = failures.checked_sub(FAILURES_FREE);
        let lock_ms = over.map_or(0, |over| LOCK_MS.saturating_mul(1 << over.min(20)).min(LOCK_MS_MAX));
        let mut counted =
            AccountRecord { failures, locked_until_ms: now_ms.saturating_add(lock_ms), ..account };
        let audit = event(&counted.name, "account.lock", Outcome::Success, &format!("attempt {failures}"));
        self.store.change_account(&counted, None, (lock_ms > 0).then_some(&audit))?;
        counted.version += 1;
        Ok(counted)
    }

    /// The account's secrets, the methods shown, and the step of the one-time password now used.
    fn check(
        &self,
        account: &AccountRecord,
        password: &str,
        code: &str,
        now_ms: u64,
    ) -> Result<(Secrets, Vec<String>, u64), LocalError> {
        let secrets = Secrets::open(&self.seal, &account.name, &account.secrets)?;
        let methods = |list: &[&str]| list.iter().map(|m| (*m).to_owned()).collect();
        if account.kind == PrincipalKind::Service {
            let secret = hex::decode(password).map(Zeroizing::new).unwrap_or_default();
            secrets.check_service(&secret)?;
            return Ok((secrets, methods(&["pop"]), account.totp_step));
        }
        secrets.check_password(password)?;
        if !secrets.has_totp() {
            return Ok((secrets, methods(&["pwd"]), account.totp_step));
        }
        let code = code.trim();
        if code.len() == 6 && code.bytes().all(|b| b.is_ascii_digit()) {
            let step = secrets.check_totp(code, now_ms / 1000, account.totp_step)?;
            return Ok((secrets, methods(&["mfa", "otp", "pwd"]), step));
        }
        secrets.has_code(code)?;
        Ok((secrets, methods(&["mfa", "pwd", "recovery"]), account.totp_step))
    }

    fn begin(&self, account: &AccountRecord, amr: Vec<String>, now_ms: u64) -> Result<Issued, LocalError> {
        let id = hex::encode(random::<16>()?);
        let (refresh, digest) = refresh_token(&id)?;
        let audit = event(&account.name, "login", Outcome::Success, &amr.join("+"));
        let login = LoginRecord {
            id,
            account: account.name.clone(),
            refresh: digest,
            amr,
            authenticated_ms: now_ms,
            expires_ms: now_ms.saturating_add(REFRESH_MS),
            ended_ms: None,
        };
        self.store.begin_login(&login, &audit)?;
        Ok(self.issued(&login, Some(refresh), now_ms))
    }

    fn issued(&self, login: &LoginRecord, refresh: Option<Zeroizing<String>>, now_ms: u64) -> Issued {
        let access = Access {
            account: &login.account,
            login: &login.id,
            authenticated_ms: login.authenticated_ms,
            amr: &login.amr,
        };
        let (access, expires_ms) = self.key.access(&access, now_ms);
        Issued { access, expires_ms, refresh }
    }

    /// Exchanges a refresh token for the next one and an access token. One that was exchanged before ends the login.
    ///
    /// # Errors
    /// [`LocalError::Ended`], [`LocalError::Reused`].
    pub fn refresh(&self, token: &str, now_ms: u64) -> Result<Issued, LocalError> {
        let (id, shown) = parse_refresh(token).ok_or(LocalError::Ended)?;
        let (next, digest) = refresh_token(&id)?;
        let rotated = event("?", "login.refresh", Outcome::Success, "");
        let reused =
            event("?", "login.reuse", Outcome::Refused, "a refresh token came twice: the login is ended");
        match self.store.rotate_login(&id, (&shown, &digest), now_ms, (&rotated, &reused)) {
            Ok(Rotation::Rotated(login)) => Ok(self.issued(&login, Some(next), now_ms)),
            Ok(Rotation::Reused(_)) => Err(LocalError::Reused),
            Err(StoreError::NotFound { .. }) => Err(LocalError::Ended),
            Err(error) => Err(error.into()),
        }
    }

    /// Ends the login of a refresh token; one that has ended, or never was, is as good.
    ///
    /// # Errors
    /// [`LocalError::Store`].
    pub fn logout(&self, token: &str, now_ms: u64) -> Result<(), LocalError> {
        let Some((id, shown)) = parse_refresh(token) else { return Ok(()) };
        let Some(login) = self.store.login(&id)?.filter(|login| login.refresh == shown) else {
            return Ok(());
        };
        Ok(self.store.end_login(&id, now_ms, &event(&login.account, "logout", Outcome::Success, ""))?)
    }

    /// Checks an access token: its login is open, its account may log in, and its roles are those of the account now.
    ///
    /// # Errors
    /// [`BearerError`].
    pub fn verify(&self, token: &str, now_ms: u64) -> Result<Result<Asserted, BearerError>, LocalError> {
        let (name, id, expires_ms) = match self.key.verify(token, now_ms) {
            Ok(verified) => verified,
            Err(error) => return Ok(Err(error)),
        };
        let open = self.store.login(&id)?.filter(|login| login.ended_ms.is_none() && login.account == name);
        let account = self.store.account(&name)?.filter(|account| !account.is_disabled);
        let (Some(login), Some(account)) = (open, account) else { return Ok(Err(BearerError::Ended)) };
        let is_two = login.amr.iter().any(|method| method == "mfa");
        let acr = match (account.kind, is_two) {
            (PrincipalKind::Service, _) => "urn:ward:acr:service",
            (_, true) => "urn:ward:acr:two-factor",
            (_, false) => "urn:ward:acr:password",
        };
        Ok(Ok(Asserted {
            issuer: self.issuer().to_owned(),
            subject: name.clone(),
            name,
            kind: account.kind,
            roles: account.roles.into_iter().collect(),
            organisation: account.organisation,
            acr: Some(acr.to_owned()),
            amr: login.amr,
            authenticated_at_ms: login.authenticated_ms,
            expires_ms,
            session: Some(id),
        }))
    }
}
