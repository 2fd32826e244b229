//! The provider's description (OpenID Connect Discovery 1.0) and its keys (RFC 7517), fetched, cached, fetched again when a token
//! names a key that is not there: that is how keys rotate.

use std::path::Path;
use std::time::{Duration, Instant};

use jsonwebtoken::Header;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use reqwest::Client;
use serde::Deserialize;
use tokio::sync::Mutex;

use super::jwt::key_for;
use super::{BearerError, http};

/// What a provider says of itself, as far as Ward needs it.
#[derive(Clone, Debug, Deserialize)]
pub struct Discovery {
    /// Its issuer identifier.
    pub issuer: String,
    /// Where its keys are.
    pub jwks_uri: String,
    /// Where tokens are issued.
    pub token_endpoint: String,
    /// Where a device asks for a code (RFC 8628), if the provider does that.
    #[serde(default)]
    pub device_authorization_endpoint: Option<String>,
    /// Where a refresh token is given back (RFC 7009).
    #[serde(default)]
    pub revocation_endpoint: Option<String>,
}

/// Fetches a provider's description and checks that it is of that issuer.
///
/// # Errors
/// [`BearerError::Provider`].
pub(super) async fn discover(client: &Client, issuer: &str) -> Result<Discovery, BearerError> {
    let refuse = |reason: &str| BearerError::Provider { reason: reason.to_owned() };
    // Section 4: the path is appended to the issuer, less its final slash.
    let place = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let response = client.get(http::address(&place)?).send().await.map_err(http::failed)?;
    let (status, value) = http::json(response).await?;
    if status != 200 {
        return Err(BearerError::Provider { reason: format!("status {status} for its description") });
    }
    let said: Discovery =
        serde_json::from_value(value).map_err(|_| refuse("its description lacks an address"))?;
    if said.issuer != issuer {
        return Err(refuse("its description is of another issuer"));
    }
    let optional = [&said.device_authorization_endpoint, &said.revocation_endpoint];
    for text in [&said.jwks_uri, &said.token_endpoint].into_iter().chain(optional.into_iter().flatten()) {
        http::address(text)?;
    }
    Ok(said)
}

struct Cached {
    keys: JwkSet,
    fetched: Instant,
}

#[derive(Default)]
struct State {
    cached: Option<Cached>,
    attempted: Option<Instant>,
}

/// A provider's keys.
pub struct ProviderKeys {
    client: Client,
    issuer: String,
    age_max: Duration,
    pause: Duration,
    /// Held over a fetch, so that there is one at a time.
    state: Mutex<State>,
}

impl ProviderKeys {
    /// The keys of an issuer; nothing is fetched yet.
    ///
    /// # Errors
    /// [`BearerError::Config`].
    pub fn new(
        issuer: &str,
        authority: Option<&Path>,
        (age_max, pause): (Duration, Duration),
    ) -> Result<Self, BearerError> {
        http::address(issuer).map_err(|_| BearerError::Config {
            field: "oidc.issuer",
            reason: "neither https nor on this machine".to_owned(),
        })?;
        let client = http::client(authority)?;
        Ok(Self { client, issuer: issuer.to_owned(), age_max, pause, state: Mutex::default() })
    }

    /// The key for a token's header. Old keys and keys that are not there are fetched, the latter at most once a pause.
    ///
    /// # Errors
    /// [`BearerError::Key`] when the provider has no such key; [`BearerError::Provider`] when it has never answered.
    pub async fn key(&self, header: &Header) -> Result<Jwk, BearerError> {
        let mut state = self.state.lock().await;
        let fresh = state.cached.as_ref().is_some_and(|cached| cached.fetched.elapsed() < self.age_max);
        if fresh && let Some(key) = state.cached.as_ref().and_then(|c| key_for(&c.keys, header)) {
            return Ok(key.clone());
        }
        let may_ask = state.attempted.is_none_or(|last| last.elapsed() >= self.pause);
        if may_ask {
            state.attempted = Some(Instant::now());
            match self.fetch().await {
                Ok(keys) => state.cached = Some(Cached { keys, fetched: Instant::now() }),
                Err(error) => {
                    tracing::warn!(%error, "the identity provider's keys cannot be fetched");
                    if state.cached.is_none() {
                        return Err(error);
                    }
                }
            }
        }
        let Some(cached) = &state.cached else {
            return Err(BearerError::Provider { reason: "it did not answer a moment ago".to_owned() });
        };
        // Keys over age are no keys, whatever the reason why there are no newer ones.
        if cached.fetched.elapsed() >= self.age_max {
            return Err(BearerError::Provider {
                reason: "its keys are too old, and it does not answer".to_owned(),
            });
        }
        key_for(&cached.keys, header).cloned().ok_or(BearerError::Key)
    }

    async fn fetch(&self) -> Result<JwkSet, BearerError> {
        let said = discover(&self.client, &self.issuer).await?;
        let response = self.client.get(http::address(&said.jwks_uri)?).send().await.map_err(http::failed)?;
        let (status, value) = http::json(response).await?;
        let unreadable = || BearerError::Provider { reason: format!("its keys ({status}) do not parse") };
        // One key of a kind not known here must not hide the others.
        let list = value.get("keys").and_then(serde_json::Value::as_array).ok_or_else(unreadable)?;
        let keys = list.iter().filter_map(|key| serde_json::from_value(key.clone()).ok()).collect();
        Ok(JwkSet { keys })
    }
}
