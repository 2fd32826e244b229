//! Who a token is of: the engine's accounts and the consortium's provider, behind one question.

use std::sync::{Arc, Mutex, PoisonError};

use super::bearer::oidc::Oidc;
use super::bearer::{Asserted, BearerError, jwt};
use super::local::{Accounts, LocalError};

/// Refused tokens written to the audit a minute; who shows more does not fill the disk.
const REFUSALS_A_MINUTE: u32 = 60;

/// What verifies tokens.
pub struct Authenticator {
    /// The engine's accounts.
    pub accounts: Arc<Accounts>,
    /// The consortium's provider, where there is one.
    pub oidc: Option<Oidc>,
    /// The minute, and the refusals in it.
    refusals: Mutex<(u64, u32)>,
}

impl Authenticator {
    /// Both issuers.
    #[must_use]
    pub fn new(accounts: Accounts, oidc: Option<Oidc>) -> Self {
        Self { accounts: Arc::new(accounts), oidc, refusals: Mutex::default() }
    }

    /// Checks a token.
    ///
    /// # Errors
    /// [`BearerError`] of the issuer that the token names; [`BearerError::Issuer`] for another; or the store's.
    pub async fn verify(
        &self,
        token: &str,
        now_ms: u64,
    ) -> Result<Result<Asserted, BearerError>, LocalError> {
        let Some(issuer) = jwt::issuer_of(token) else {
            return Ok(Err(BearerError::Malformed { what: "it names no issuer" }));
        };
        if issuer == self.accounts.issuer() {
            let (accounts, token) = (self.accounts.clone(), token.to_owned());
            let checked = tokio::task::spawn_blocking(move || accounts.verify(&token, now_ms)).await;
            return checked.unwrap_or(Err(LocalError::Store(crate::store::StoreError::Interrupted)));
        }
        match &self.oidc {
            Some(oidc) if oidc.config().issuer == issuer => Ok(oidc.verify(token, now_ms).await),
            _ => Ok(Err(BearerError::Issuer)),
        }
    }

    /// Whether a refused token is to be audited still.
    #[must_use]
    pub fn is_refusal_noted(&self, now_ms: u64) -> bool {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = now_ms / 60_000;
        if refusals.0 != minute {
            *refusals = (minute, 0);
        }
        refusals.1 = refusals.1.saturating_add(1);
        refusals.1 <= REFUSALS_A_MINUTE
    }
}
