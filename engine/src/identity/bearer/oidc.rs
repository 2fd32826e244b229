//! The consortium's OpenID provider: its tokens, and what their claims mean here.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::config::OidcConfig;
use super::jwt::{self, Claims, Expected};
use super::keys::ProviderKeys;
use super::{Asserted, BearerError};
use crate::identity::{PrincipalKind, RoleName, check_name, clip};

/// Most roles read of a token, and most methods.
const LIST_MAX: usize = 64;

/// The provider's tokens, checked.
pub struct Oidc {
    config: OidcConfig,
    expected: Expected,
    keys: ProviderKeys,
}

impl Oidc {
    /// A provider as configured; it is asked when its first token comes.
    ///
    /// # Errors
    /// [`BearerError::Config`].
    pub fn new(config: OidcConfig) -> Result<Self, BearerError> {
        let times = (Duration::from_secs(config.keys_max_age_s), Duration::from_secs(config.keys_pause_s));
        let keys = ProviderKeys::new(&config.issuer, config.ca_file.as_deref(), times)?;
        Ok(Self { expected: config.expected()?, keys, config })
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &OidcConfig {
        &self.config
    }

    /// Checks a token at a time.
    ///
    /// # Errors
    /// [`BearerError`] naming the rule that refuses it.
    pub async fn verify(&self, token: &str, now_ms: u64) -> Result<Asserted, BearerError> {
        let header = jwt::header(token, &self.expected)?;
        let key = self.keys.key(&header).await?;
        let claims = jwt::verify(token, &key, &self.expected, now_ms / 1000)?;
        asserted(&self.config, &claims)
    }
}

/// Reads verified claims.
///
/// # Errors
/// [`BearerError::Claim`], [`BearerError::Name`].
pub fn asserted(config: &OidcConfig, claims: &Claims) -> Result<Asserted, BearerError> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let missing = |claim: &str| BearerError::Claim { claim: claim.to_owned() };
    let subject = text("sub").filter(|s| (1..=255).contains(&s.len())).ok_or_else(|| missing("sub"))?;
    // RFC 9068, section 2.2: a token that a client got for itself has the client as its subject.
    let client = text("client_id").or_else(|| text("azp"));
    let kind = if client == Some(subject) { PrincipalKind::Service } else { PrincipalKind::Person };
    let name = at(claims, &config.name_claim).and_then(Value::as_str);
    let name = match (name, kind) {
        (Some(name), _) => name,
        (None, PrincipalKind::Service) => subject,
        (None, _) => return Err(missing(&config.name_claim)),
    };
    check_name(name).map_err(|_| BearerError::Name { name: clip(name) })?;
    let seconds = |name: &str| jwt::time(claims, name);
    let authenticated_s = seconds("auth_time")?.or(seconds("iat")?).unwrap_or(0);
    Ok(Asserted {
        issuer: config.issuer.clone(),
        subject: subject.to_owned(),
        name: name.to_owned(),
        kind,
        roles: roles(config, claims),
        organisation: at(claims, &config.organisation_claim).and_then(Value::as_str).map(clip),
        acr: text("acr").map(clip),
        amr: list(claims.get("amr")).map(clip).collect(),
        authenticated_at_ms: authenticated_s.saturating_mul(1000),
        expires_ms: seconds("exp")?.unwrap_or(0).saturating_mul(1000),
        session: None,
    })
}

/// The claim at a path: a claim of that whole name first, for names that are addresses, then object by object.
fn at<'a>(claims: &'a Claims, path: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    let mut parts = path.split('.');
    let first = claims.get(parts.next()?)?;
    parts.try_fold(first, |value, part| value.get(part))
}

fn list(value: Option<&Value>) -> impl Iterator<Item = &str> {
    let (one, many) = match value {
        Some(Value::String(text)) => (Some(text.as_str()), None),
        Some(Value::Array(items)) => (None, Some(items)),
        _ => (None, None),
    };
    one.into_iter().chain(many.into_iter().flatten().filter_map(Value::as_str)).take(LIST_MAX)
}

/// The roles that a token gives. What the provider calls something else, or a node's role, gives none.
fn roles(config: &OidcConfig, claims: &Claims) -> BTreeSet<RoleName> {
    let said = list(at(claims, &config.roles_claim));
    let known = said.filter_map(|text| match config.roles.is_empty() {
        true => RoleName::parse(text).ok(),
        false => config.roles.get(text).copied(),
    });
    known.filter(|role| role.is_of_people()).collect()
}
