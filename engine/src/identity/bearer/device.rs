//! The client's side of an OpenID provider: device authorisation (RFC 8628), refresh, client credentials (RFC 6749).

use std::path::Path;
use std::time::Duration;

use reqwest::RequestBuilder;
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use super::keys::{Discovery, discover};
use super::{BearerError, http};
use crate::identity::clip;

/// Longest that a code is waited for, whatever the provider says.
const WAIT_MAX: Duration = Duration::from_secs(1_800);

/// Tokens of a provider.
pub struct ProviderTokens {
    /// The access token: what the engine takes.
    pub access: Zeroizing<String>,
    /// The refresh token, if there is one.
    pub refresh: Option<Zeroizing<String>>,
    /// Life of the access token, seconds.
    pub expires_in_s: u64,
}

/// What a person does elsewhere to log in here.
#[derive(Deserialize)]
pub struct DeviceCode {
    device_code: String,
    /// The code to enter.
    pub user_code: String,
    /// Where.
    pub verification_uri: String,
    /// The same with the code in it.
    #[serde(default)]
    pub verification_uri_complete: Option<String>,
    expires_in: u64,
    #[serde(default = "interval_s")]
    interval: u64,
}

fn interval_s() -> u64 {
    5
}

/// A provider, as a client sees it.
pub struct Provider {
    client: reqwest::Client,
    said: Discovery,
    client_id: String,
}

impl Provider {
    /// Asks an issuer what it offers.
    ///
    /// # Errors
    /// [`BearerError::Provider`].
    pub async fn discover(
        issuer: &str,
        client_id: &str,
        authority: Option<&Path>,
    ) -> Result<Self, BearerError> {
        let client = http::client(authority)?;
        let said = discover(&client, issuer).await?;
        Ok(Self { client, said, client_id: client_id.to_owned() })
    }

    /// Asks for a code that a person enters elsewhere.
    ///
    /// # Errors
    /// [`BearerError::Provider`], also when the provider does not do this.
    pub async fn begin(&self, scope: &str, resource: &str) -> Result<DeviceCode, BearerError> {
        let refuse = |reason: &str| BearerError::Provider { reason: reason.to_owned() };
        let place = self.said.device_authorization_endpoint.as_ref();
        let place = place.ok_or_else(|| refuse("it offers no device authorisation"))?;
        let mut form = vec![("client_id", self.client_id.as_str()), ("scope", scope)];
        if !resource.is_empty() {
            form.push(("resource", resource));
        }
        let (status, value) = self.post(place, &form, |request| request).await?;
        if status != 200 {
            return Err(refusal(status, &value));
        }
        serde_json::from_value(value).map_err(|_| refuse("its device code does not parse"))
    }

    /// Waits until the person has entered the code.
    ///
    /// # Errors
    /// [`BearerError::Provider`] when the person refuses, or the code expires.
    pub async fn wait(&self, code: &DeviceCode, resource: &str) -> Result<ProviderTokens, BearerError> {
        let mut pause = Duration::from_secs(code.interval.clamp(1, 60));
        let limit = Duration::from_secs(code.expires_in).min(WAIT_MAX);
        let asking = async {
            loop {
                tokio::time::sleep(pause).await;
                let mut form = vec![
                    ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
                    ("device_code", code.device_code.as_str()),
                    ("client_id", self.client_id.as_str()),
                ];
                if !resource.is_empty() {
                    form.push(("resource", resource));
                }
                let (status, value) = self.post(&self.said.token_endpoint, &form, |request| request).await?;
                match value.get("error").and_then(Value::as_str) {
                    Some("authorization_pending") => {}
                    // Section 3.5: five seconds more, for good.
                    Some("slow_down") => pause += Duration::from_secs(5),
                    _ => return tokens(status, &value),
                }
            }
        };
        let expired =
            || BearerError::Provider { reason: "the code expired before it was entered".to_owned() };
        tokio::time::timeout(limit, asking).await.map_err(|_| expired())?
    }

    /// Exchanges a refresh token.
    ///
    /// # Errors
    /// [`BearerError::Provider`].
    pub async fn refresh(&self, token: &str, resource: &str) -> Result<ProviderTokens, BearerError> {
        let mut form = vec![
            ("grant_type", "refresh_token"),
            ("refresh_token", token),
            ("client_id", self.client_id.as_str()),
        ];
        if !resource.is_empty() {
            form.push(("resource", resource));
        }
        let (status, value) = self.post(&self.said.token_endpoint, &form, |request| request).await?;
        tokens(status, &value)
    }

    /// Gets a service's token for its id and secret.
    ///
    /// # Errors
    /// [`BearerError::Provider`].
    pub async fn service(&self, secret: &str, resource: &str) -> Result<ProviderTokens, BearerError> {
        let mut form = vec![("grant_type", "client_credentials")];
        if !resource.is_empty() {
            form.push(("resource", resource));
        }
        let id = self.client_id.clone();
        let by_basic = |request: RequestBuilder| request.basic_auth(encoded(&id), Some(encoded(secret)));
        let (status, value) = self.post(&self.said.token_endpoint, &form, by_basic).await?;
        tokens(status, &value)
    }

    /// Gives a refresh token back, where the provider takes them back.
    ///
    /// # Errors
    /// [`BearerError::Provider`].
    pub async fn revoke(&self, token: &str) -> Result<(), BearerError> {
        let Some(place) = &self.said.revocation_endpoint else { return Ok(()) };
        let form = [("token", token), ("client_id", self.client_id.as_str())];
        let request = self.client.post(http::address(place)?).form(&form);
        // RFC 7009: the answer's body says nothing.
        request.send().await.map(drop).map_err(http::failed)
    }

    async fn post(
        &self,
        place: &str,
        form: &[(&str, &str)],
        with: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<(u16, Value), BearerError> {
        let request = with(self.client.post(http::address(place)?).form(form));
        http::json(request.send().await.map_err(http::failed)?).await
    }
}

/// RFC 6749, section 2.3.1: id and secret are form-encoded before they are joined.
fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

fn refusal(status: u16, value: &Value) -> BearerError {
    let word = value.get("error").and_then(Value::as_str).map_or_else(|| status.to_string(), clip);
    BearerError::Provider { reason: format!("it refuses: {word}") }
}

fn tokens(status: u16, value: &Value) -> Result<ProviderTokens, BearerError> {
    let text =
        |name: &str| value.get(name).and_then(Value::as_str).map(|text| Zeroizing::new(text.to_owned()));
    match text("access_token") {
        Some(access) if status == 200 => Ok(ProviderTokens {
            access,
            refresh: text("refresh_token"),
            expires_in_s: value.get("expires_in").and_then(Value::as_u64).unwrap_or(60),
        }),
        _ => Err(refusal(status, value)),
    }
}
