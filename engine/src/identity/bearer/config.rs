//! `[identity]` in the engine's configuration.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jsonwebtoken::Algorithm;
use serde::Deserialize;

use super::jwt::Expected;
use super::{ALGORITHMS, BearerError};
use crate::identity::RoleName;

/// How people and services authenticate.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IdentityConfig {
    /// The consortium's OpenID provider.
    pub oidc: Option<OidcConfig>,
}

/// An OpenID provider, and how its claims are read.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcConfig {
    /// The provider's issuer identifier: `https://...`, exactly as its tokens name it.
    pub issuer: String,
    /// Ward's name at the provider: what access tokens for Ward have as audience.
    pub audience: String,
    /// The public client that `ward login` is.
    pub client_id: String,
    /// What `ward login` asks for.
    #[serde(default = "scope")]
    pub scope: String,
    /// Resource indicator (RFC 8707) that `ward login` sends, for providers that choose the audience by it.
    #[serde(default)]
    pub resource: Option<String>,
    /// Clients whose tokens are taken; empty: any that are for this audience alone.
    #[serde(default)]
    pub clients: Vec<String>,
    /// Algorithms of signatures: EdDSA, ES256, ES384, PS256, RS256; all of them when left out.
    #[serde(default)]
    pub algorithms: Vec<String>,
    /// Most that the provider's clock may differ, in seconds.
    #[serde(default = "skew_s")]
    pub clock_skew_s: u64,
    /// Claim with the name in the consortium. A name is bound to the first subject that comes with it.
    #[serde(default = "name_claim")]
    pub name_claim: String,
    /// Claim with the roles: a text, or a list; a path with points reaches into objects (`realm_access.roles`).
    #[serde(default = "roles_claim")]
    pub roles_claim: String,
    /// What the provider calls each role; without it, the names of the roles themselves.
    #[serde(default)]
    pub roles: BTreeMap<String, RoleName>,
    /// Claim with the organisation.
    #[serde(default = "organisation_claim")]
    pub organisation_claim: String,
    /// Certificate (PEM) of the authority that certifies the provider, where the system does not trust it already.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Time after which the provider's keys are fetched again, in seconds: a key that it withdrew is accepted so long.
    #[serde(default = "keys_max_age_s")]
    pub keys_max_age_s: u64,
    /// Least time between two fetches for a key that is not known, in seconds.
    #[serde(default = "keys_pause_s")]
    pub keys_pause_s: u64,
}

fn scope() -> String {
    "openid offline_access".to_owned()
}
fn skew_s() -> u64 {
    60
}
fn name_claim() -> String {
    "preferred_username".to_owned()
}
fn roles_claim() -> String {
    "roles".to_owned()
}
fn organisation_claim() -> String {
    "organisation".to_owned()
}
fn keys_max_age_s() -> u64 {
    3_600
}
fn keys_pause_s() -> u64 {
    30
}

impl OidcConfig {
    /// Checks the settings; what is asked of a token.
    ///
    /// # Errors
    /// [`BearerError::Config`] naming the setting.
    pub fn expected(&self) -> Result<Expected, BearerError> {
        let refuse = |field, reason: &str| BearerError::Config { field, reason: reason.to_owned() };
        for (field, text) in [("oidc.audience", &self.audience), ("oidc.client_id", &self.client_id)] {
            if text.is_empty() {
                return Err(refuse(field, "empty"));
            }
        }
        if self.clock_skew_s > 300 {
            return Err(refuse("oidc.clock_skew_s", "over 300 seconds"));
        }
        if self.keys_max_age_s == 0 || self.keys_max_age_s > 86_400 {
            return Err(refuse("oidc.keys_max_age_s", "not 1 to 86,400 seconds"));
        }
        if self.roles.values().any(|role| !role.is_of_people()) {
            return Err(refuse("oidc.roles", "hospital is the role of nodes, which have certificates"));
        }
        let mut algorithms = Vec::new();
        for name in &self.algorithms {
            let known = name.parse().ok().filter(|algorithm: &Algorithm| ALGORITHMS.contains(algorithm));
            algorithms.push(known.ok_or_else(|| {
                refuse("oidc.algorithms", "an algorithm that is not EdDSA, ES256, ES384, PS256 or RS256")
            })?);
        }
        if algorithms.is_empty() {
            algorithms.extend(ALGORITHMS);
        }
        Ok(Expected {
            issuer: self.issuer.clone(),
            audience: self.audience.clone(),
            clients: self.clients.clone(),
            algorithms,
            skew_s: self.clock_skew_s,
        })
    }
}
