//! A login that is kept: tokens in a sealed file of mode 0600, refreshed when they end.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::person_seal;
use crate::clock::now_ms;
use crate::grpc::client::{self, Target};
use crate::grpc::status::problem_of;
use crate::grpc::v1;
use crate::grpc::v1::identity_client::IdentityClient;
use crate::identity::bearer::BearerError;
use crate::identity::bearer::device::{Provider, ProviderTokens};
use crate::identity::{CaCertificate, SealContext};
use crate::member::{pem_of, write_private};
use crate::party::connect::Proxy;
use crate::problem::{Problem, ProblemKind};

const PLACE: SealContext<'static> = SealContext { table: "login", row: "self", column: "tokens" };
/// A token that ends this soon is exchanged, milliseconds.
const MARGIN_MS: u64 = 60_000;
/// Names the environment of a service: its id, and the file with its secret.
pub const CLIENT_ID: &str = "WARD_CLIENT_ID";
/// The file.
pub const CLIENT_SECRET_FILE: &str = "WARD_CLIENT_SECRET_FILE";

/// How somebody logged in, and so how their tokens are renewed.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Method {
    /// An account of the engine.
    Account,
    /// A service's account of the engine: its secret is shown again.
    ServiceAccount,
    /// The consortium's OpenID provider.
    Provider(ProviderMethod),
    /// A service of the provider: its secret is shown again.
    ProviderService(ProviderMethod),
}

/// An OpenID provider, as the engine named it.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ProviderMethod {
    /// Issuer.
    pub issuer: String,
    /// Client.
    pub client_id: String,
    /// Resource indicator; may be empty.
    pub resource: String,
    /// Certificate of the provider's authority.
    pub ca_file: Option<PathBuf>,
}

impl ProviderMethod {
    /// Asks the provider what it offers.
    ///
    /// # Errors
    /// [`BearerError::Provider`].
    pub async fn provider(&self) -> Result<Provider, BearerError> {
        Provider::discover(&self.issuer, &self.client_id, self.ca_file.as_deref()).await
    }
}

/// Tokens.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
pub struct Tokens {
    /// Access token.
    pub access: String,
    /// When it ends (unix milliseconds).
    pub expires_ms: u64,
    /// Refresh token.
    pub refresh: Option<String>,
}

impl From<ProviderTokens> for Tokens {
    fn from(tokens: ProviderTokens) -> Self {
        Self {
            access: tokens.access.to_string(),
            expires_ms: now_ms().saturating_add(tokens.expires_in_s.saturating_mul(1000)),
            refresh: tokens.refresh.map(|text| text.to_string()),
        }
    }
}

impl From<v1::TokensResponse> for Tokens {
    fn from(response: v1::TokensResponse) -> Self {
        let refresh = Some(response.refresh_token).filter(|text| !text.is_empty());
        Self { access: response.access_token, expires_ms: response.expires_unix_ms, refresh }
    }
}

/// A kept login.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The engine.
    pub engine_url: String,
    /// The consortium's authority, DER in hexadecimal.
    pub authority: String,
    /// The consortium.
    pub consortium: String,
    /// Who.
    pub name: String,
    /// How.
    pub method: Method,
    /// True when the folder's certificate is shown as well: that of a member enrolled before.
    pub shows_certificate: bool,
    /// The tokens.
    pub tokens: Tokens,
}

fn file(home: &Path) -> PathBuf {
    home.join("login.sealed")
}

fn bad(home: &Path, error: &dyn std::fmt::Display) -> Problem {
    let message = format!("{}: {error}", file(home).display());
    Problem::new(ProblemKind::Validation, "login.file", message).hint("log in again: `ward login`")
}

fn provider_problem(error: &BearerError) -> Problem {
    Problem::new(ProblemKind::Unavailable, error.code(), error.to_string()).hint(error.hint())
}

/// A service's id and secret, from the environment.
///
/// # Errors
/// When only one is there, or the file cannot be read.
pub fn service() -> Result<Option<(String, Zeroizing<String>)>, Problem> {
    let invalid = |message: String| Problem::new(ProblemKind::Validation, "login.service", message);
    let (id, path) = (std::env::var(CLIENT_ID).ok(), std::env::var_os(CLIENT_SECRET_FILE));
    match (id, path) {
        (None, _) => Ok(None),
        (Some(_), None) => Err(invalid(format!("{CLIENT_ID} is set, {CLIENT_SECRET_FILE} is not"))),
        (Some(id), Some(path)) => {
            let secret = crate::identity::files::read_private(Path::new(&path), 64 * 1024);
            let secret = secret.map_err(|e| invalid(e.to_string()))?;
            Ok(Some((id, Zeroizing::new(secret.trim().to_owned()))))
        }
    }
}

impl Login {
    /// The login kept in a folder.
    ///
    /// # Errors
    /// When it does not open.
    pub fn load(home: &Path) -> Result<Option<Self>, Problem> {
        let sealed = match std::fs::read(file(home)) {
            Ok(sealed) => sealed,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(bad(home, &e)),
        };
        let plain = person_seal(home)?.open(PLACE, &sealed).map_err(|e| bad(home, &e))?;
        serde_json::from_slice(&plain).map(Some).map_err(|_| bad(home, &"it does not parse"))
    }

    /// Keeps it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, home: &Path) -> Result<(), Problem> {
        let plain = Zeroizing::new(serde_json::to_vec(self).map_err(|e| Problem::internal(&e))?);
        let sealed = person_seal(home)?.seal(PLACE, &plain).map_err(|e| bad(home, &e))?;
        write_private(&file(home), &sealed)
    }

    /// Forgets it; true when there was one.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn forget(home: &Path) -> Result<bool, Problem> {
        match std::fs::remove_file(file(home)) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(bad(home, &e)),
        }
    }

    /// The consortium's authority.
    ///
    /// # Errors
    /// When the file was damaged.
    pub fn authority(&self, home: &Path) -> Result<CaCertificate, Problem> {
        let der = hex::decode(&self.authority).map_err(|e| bad(home, &e))?;
        CaCertificate::from_der(&der).map_err(|e| bad(home, &e))
    }

    /// How to reach the engine without a certificate.
    ///
    /// # Errors
    /// When the file was damaged.
    pub fn target(&self, home: &Path, proxy: Option<Proxy>) -> Result<Target, Problem> {
        Ok(Target {
            url: self.engine_url.clone(),
            authority_pem: pem_of(self.authority(home)?.der()),
            identity_pem: None,
            proxy,
        })
    }

    /// The login with a token that does not end within a minute. Of two processes at once one exchanges the refresh
    /// token, and both use what it got.
    ///
    /// # Errors
    /// `login.*` when the login is over, or the issuer cannot be reached.
    pub async fn fresh(self, home: &Path, proxy: Option<Proxy>) -> Result<Self, Problem> {
        let is_fresh = |login: &Self| login.tokens.expires_ms > now_ms().saturating_add(MARGIN_MS);
        if is_fresh(&self) {
            return Ok(self);
        }
        let path = home.join("login.lock");
        let lock = File::create(&path).map_err(|e| bad(home, &e))?;
        let _lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock))
            .await
            .map_err(|e| Problem::internal(&e))?
            .map_err(|e| bad(home, &e))?;
        let mut login = Self::load(home)?.unwrap_or(self);
        if !is_fresh(&login) {
            login.tokens = login.renewed(home, proxy).await?;
            login.save(home)?;
        }
        Ok(login)
    }

    async fn renewed(&self, home: &Path, proxy: Option<Proxy>) -> Result<Tokens, Problem> {
        let ended = || {
            Problem::new(ProblemKind::Authorization, "login.ended", "the login has ended")
                .hint("log in again: `ward login`")
        };
        let secret = || service()?.ok_or_else(ended);
        let refresh = || self.tokens.refresh.as_deref().ok_or_else(ended);
        match &self.method {
            Method::Account => {
                let request = v1::RefreshRequest { refresh_token: refresh()?.to_owned() };
                let mut service = IdentityClient::new(client::connect(&self.target(home, proxy)?).await?);
                Ok(service.refresh(request).await.map_err(|s| problem_of(&s))?.into_inner().into())
            }
            Method::ServiceAccount => {
                let (name, secret) = secret()?;
                let request = v1::LoginRequest { name, password: secret.to_string(), code: String::new() };
                let mut service = IdentityClient::new(client::connect(&self.target(home, proxy)?).await?);
                Ok(service.login(request).await.map_err(|s| problem_of(&s))?.into_inner().into())
            }
            Method::Provider(method) => {
                let refresh = refresh()?;
                let provider = method.provider().await.map_err(|e| provider_problem(&e))?;
                let got = provider.refresh(refresh, &method.resource).await;
                let mut tokens = Tokens::from(got.map_err(|e| provider_problem(&e))?);
                // A provider that does not rotate sends none: the old one stays.
                tokens.refresh.get_or_insert_with(|| refresh.to_owned());
                Ok(tokens)
            }
            Method::ProviderService(method) => {
                let (client_id, secret) = secret()?;
                let method = ProviderMethod { client_id, ..method.clone() };
                let provider = method.provider().await.map_err(|e| provider_problem(&e))?;
                let got = provider.service(&secret, &method.resource).await;
                Ok(got.map_err(|e| provider_problem(&e))?.into())
            }
        }
    }
}

type Value = RwLock<Option<MetadataValue<Ascii>>>;

/// Puts the token into every call.
#[derive(Clone, Default)]
pub struct Bearer(Arc<Value>);

impl Bearer {
    /// Carries a login's token; as long as anybody holds the bearer, the token is renewed in time.
    ///
    /// # Errors
    /// For a token that cannot stand in a header.
    pub fn of(login: Login, home: &Path, proxy: Option<Proxy>) -> Result<Self, Problem> {
        let bearer = Self::default();
        set(&bearer.0, &login.tokens.access)?;
        tokio::spawn(renew(login, home.to_owned(), proxy, Arc::downgrade(&bearer.0)));
        Ok(bearer)
    }

    /// Carries one token.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn once(token: &str) -> Result<Self, Problem> {
        let bearer = Self::default();
        set(&bearer.0, token)?;
        Ok(bearer)
    }
}

fn set(value: &Value, token: &str) -> Result<(), Problem> {
    let mut header: MetadataValue<Ascii> = format!("Bearer {token}")
        .parse()
        .map_err(|_| Problem::new(ProblemKind::Authorization, "token.malformed", "the token is malformed"))?;
    header.set_sensitive(true);
    *value.write().unwrap_or_else(PoisonError::into_inner) = Some(header);
    Ok(())
}

async fn renew(mut login: Login, home: PathBuf, proxy: Option<Proxy>, value: Weak<Value>) {
    loop {
        let left_ms = login.tokens.expires_ms.saturating_sub(now_ms()).saturating_sub(MARGIN_MS);
        tokio::time::sleep(Duration::from_millis(left_ms.clamp(1_000, 3_600_000))).await;
        let Some(value) = value.upgrade() else { return };
        match login.fresh(&home, proxy.clone()).await {
            Ok(fresh) => login = fresh,
            // The next call says what is wrong.
            Err(problem) => return tracing::warn!(%problem, "the token is not renewed"),
        }
        if set(&value, &login.tokens.access).is_err() {
            return;
        }
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: tonic::Request<()>) -> Result<tonic::Request<()>, tonic::Status> {
        if let Some(header) = &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            request.metadata_mut().insert("authorization", header.clone());
        }
        let trace = crate::trace::of_process().and_then(|parent| parent.to_string().parse().ok());
        if let Some(trace) = trace {
            request.metadata_mut().insert(crate::trace::TRACEPARENT, trace);
        }
        Ok(request)
    }
}
