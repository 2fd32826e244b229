//! Who one is: logins, keys of people who log in, renewal of certificates, revocations.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};
use zeroize::Zeroizing;

use crate::clock::now_ms;
use crate::grpc::peer;
use crate::grpc::status::status_of;
use crate::grpc::v1::{self, identity_server};
use crate::identity::local::{Accounts, Issued, LocalError};
use crate::identity::{PublicKey, Role, Signature, person_key_parts};
use crate::job::{Engine, audit_event};
use crate::problem::{Problem, ProblemKind};
use crate::store::{MemberRecord, StoreError, blocking};

/// Logins looked at at once: each takes 64 MiB.
const LOGINS_MAX: usize = 4;
/// Days that the certificate of a key registered by token is valid; each login renews it.
const PERSON_DAYS: u32 = 30;
/// A key is replaced only this soon after a login, milliseconds.
const FRESH_MS: u64 = 600_000;
/// Context of the proof that a person holds the key to register.
pub const PERSON_KEY: &str = "ward person key";

/// The service.
pub struct IdentityService {
    engine: Arc<Engine>,
    turns: Arc<Semaphore>,
}

fn refuse(kind: ProblemKind, code: &str, message: impl Into<String>) -> Problem {
    Problem::new(kind, code, message)
}

impl From<LocalError> for Problem {
    fn from(error: LocalError) -> Self {
        let text = error.to_string();
        let denied = |code: &str| Self::new(ProblemKind::Authorization, code, text.clone());
        match error {
            LocalError::Credentials => denied("login.credentials"),
            LocalError::Locked { .. } => {
                denied("login.locked").hint("an operator lifts it with `ward account reset`")
            }
            LocalError::Ended => denied("login.ended").hint("log in again: `ward login`"),
            LocalError::Reused => denied("login.reused")
                .hint("somebody else may have your refresh token: log in again, and tell the operator"),
            LocalError::Password { .. } => {
                Self::new(ProblemKind::Validation, "account.password", text).hint("12 characters or more")
            }
            LocalError::Role { .. } => Self::new(ProblemKind::Validation, "account.role", text),
            LocalError::Identity(error) => {
                let hint = error.hint().unwrap_or_default();
                Self::new(ProblemKind::Validation, error.code(), text).hint(hint)
            }
            LocalError::Store(error) => error.into(),
            _ => Self::new(ProblemKind::Internal, "account.unreadable", text),
        }
    }
}

impl IdentityService {
    /// The service of an engine.
    #[must_use]
    pub fn new(engine: Arc<Engine>) -> Self {
        Self { engine, turns: Arc::new(Semaphore::new(LOGINS_MAX)) }
    }

    /// Runs an operation on the accounts off the reactor.
    async fn accounts<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&Accounts) -> Result<T, LocalError> + Send + 'static,
    ) -> Result<T, Status> {
        let accounts = self.engine.authenticator.accounts.clone();
        let done = tokio::task::spawn_blocking(move || operation(&accounts)).await;
        done.unwrap_or(Err(LocalError::Store(StoreError::Interrupted))).map_err(|e| status_of(e.into()))
    }

    async fn register(
        &self,
        caller: &crate::identity::Principal,
        asked: v1::RegisterKeyRequest,
    ) -> Result<Vec<u8>, Problem> {
        let engine = &self.engine;
        let bad = |what: String| refuse(ProblemKind::Validation, "key.malformed", what);
        let key = PublicKey::from_slice(&asked.public_key).map_err(|e| bad(e.to_string()))?;
        let proof =
            Signature::from_slice(&asked.proof).ok_or_else(|| bad("the proof has 64 bytes".to_owned()))?;
        let parts = person_key_parts(&engine.consortium, &caller.name, &key);
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        key.verify(PERSON_KEY, &parts, &proof)
            .map_err(|e| refuse(ProblemKind::Authorization, "key.proof", e.to_string()))?;
        let now = now_ms();
        if asked.replace && caller.authenticated_at_ms.saturating_add(FRESH_MS) < now {
            let message = "a key is replaced within ten minutes of logging in";
            return Err(refuse(ProblemKind::Authorization, "key.stale_login", message)
                .hint("log in again with `ward login --new-key`"));
        }
        let issued = engine.authority.issue(&key, Role::Researcher, &caller.name, now / 1000, PERSON_DAYS);
        let der = issued.map_err(|e| bad(e.to_string()))?.der;
        let record = MemberRecord {
            name: caller.name.clone(),
            role: Role::Researcher,
            key,
            certificate: der.clone(),
            enrolled_ms: now,
            revoked_ms: None,
            by_token: true,
        };
        let mut audit = audit_event(
            &caller.name,
            &caller.role_text(),
            "key.register",
            &format!("member:{}", caller.name),
        );
        audit.detail = key.fingerprint();
        let stored = blocking(&engine.store, move |s| s.register_key(&record, asked.replace, &audit)).await;
        stored.map_err(|error| match error {
            StoreError::Conflict { .. } => refuse(ProblemKind::Conflict, "key.registered", error.to_string()).hint(
                "use the folder that has the key; if it is lost, `ward login --new-key`, and hospitals that pinned the old one unpin it",
            ),
            other => other.into(),
        })?;
        Ok(der)
    }
}

fn tokens(issued: &Issued) -> v1::TokensResponse {
    v1::TokensResponse {
        access_token: issued.access.to_string(),
        expires_unix_ms: issued.expires_ms,
        refresh_token: issued.refresh.as_ref().map_or_else(String::new, |text| text.to_string()),
    }
}

#[tonic::async_trait]
impl identity_server::Identity for IdentityService {
    async fn methods(&self, _: Request<v1::MethodsRequest>) -> Result<Response<v1::MethodsResponse>, Status> {
        peer::open(&self.engine, "Identity.Methods").await?;
        let oidc = self.engine.authenticator.oidc.as_ref().map(|oidc| {
            let config = oidc.config();
            v1::OidcMethod {
                issuer: config.issuer.clone(),
                client_id: config.client_id.clone(),
                scope: config.scope.clone(),
                resource: config.resource.clone().unwrap_or_default(),
            }
        });
        let consortium = self.engine.consortium.clone();
        Ok(Response::new(v1::MethodsResponse { consortium, accounts: true, oidc }))
    }

    async fn login(
        &self,
        request: Request<v1::LoginRequest>,
    ) -> Result<Response<v1::TokensResponse>, Status> {
        peer::open(&self.engine, "Identity.Login").await?;
        let asked = request.into_inner();
        let Ok(_turn) = self.turns.try_acquire() else {
            let busy = refuse(ProblemKind::Unavailable, "login.busy", "too many logins at once");
            return Err(status_of(busy.hint("try again in a second")));
        };
        let (password, code) = (Zeroizing::new(asked.password), Zeroizing::new(asked.code));
        let issued = self.accounts(move |a| a.login(&asked.name, &password, &code, now_ms())).await?;
        Ok(Response::new(tokens(&issued)))
    }

    async fn refresh(
        &self,
        request: Request<v1::RefreshRequest>,
    ) -> Result<Response<v1::TokensResponse>, Status> {
        peer::open(&self.engine, "Identity.Refresh").await?;
        let token = Zeroizing::new(request.into_inner().refresh_token);
        let issued = self.accounts(move |a| a.refresh(&token, now_ms())).await?;
        Ok(Response::new(tokens(&issued)))
    }

    async fn logout(
        &self,
        request: Request<v1::LogoutRequest>,
    ) -> Result<Response<v1::LogoutResponse>, Status> {
        peer::open(&self.engine, "Identity.Logout").await?;
        let token = Zeroizing::new(request.into_inner().refresh_token);
        self.accounts(move |a| a.logout(&token, now_ms())).await?;
        Ok(Response::new(v1::LogoutResponse {}))
    }

    async fn who_am_i(
        &self,
        request: Request<v1::WhoAmIRequest>,
    ) -> Result<Response<v1::WhoAmIResponse>, Status> {
        let caller = peer::allowed(&self.engine, &request, "Identity.WhoAmI").await?;
        let registered = self.engine.member(&caller.name).await.ok().map(|member| member.key.fingerprint());
        Ok(Response::new(v1::WhoAmIResponse {
            kind: caller.kind.as_str().to_owned(),
            roles: caller.roles.iter().map(|role| role.as_str().to_owned()).collect(),
            organisation: caller.organisation.unwrap_or_default(),
            acr: caller.acr.unwrap_or_default(),
            amr: caller.amr,
            authenticated_unix_ms: caller.authenticated_at_ms,
            expires_unix_ms: caller.expires_ms,
            fingerprint: registered.unwrap_or_default(),
            name: caller.name,
        }))
    }

    async fn register_key(
        &self,
        request: Request<v1::RegisterKeyRequest>,
    ) -> Result<Response<v1::RegisterKeyResponse>, Status> {
        let caller = peer::allowed(&self.engine, &request, "Identity.RegisterKey").await?;
        let der = self.register(&caller, request.into_inner()).await.map_err(status_of)?;
        Ok(Response::new(v1::RegisterKeyResponse {
            certificate: Some(v1::Certificate { der }),
            authority: Some(v1::Certificate { der: self.engine.authority_der().to_vec() }),
        }))
    }

    async fn renew(&self, request: Request<v1::RenewRequest>) -> Result<Response<v1::RenewResponse>, Status> {
        peer::allowed(&self.engine, &request, "Identity.Renew").await?;
        let member = peer::enrolled(&self.engine, &request).await?;
        let der = self.engine.renew(&member).await.map_err(status_of)?;
        Ok(Response::new(v1::RenewResponse { certificate: Some(v1::Certificate { der }) }))
    }

    async fn revocations(
        &self,
        _: Request<v1::RevocationsRequest>,
    ) -> Result<Response<v1::RevocationList>, Status> {
        peer::open(&self.engine, "Identity.Revocations").await?;
        let list = self.engine.revocations().await.map_err(status_of)?;
        Ok(Response::new(crate::grpc::convert::revocations(&list)))
    }
}
