//! Bearer tokens: people and services show who they are by a token in the call's `authorization`.
//!
//! Two issuers are known: the consortium's OpenID provider ([`oidc`]), and the engine itself for accounts that are kept
//! here ([`super::local`]). Either way a token becomes an [`Asserted`]: who the issuer says it is.

pub mod config;
pub mod device;
mod http;
pub mod jwt;
pub mod keys;
pub mod oidc;
mod ring_provider;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use super::{PrincipalKind, RoleName};

pub use ring_provider::ALGORITHMS;

/// What an issuer says of somebody, verified to be its word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asserted {
    /// The issuer.
    pub issuer: String,
    /// Its permanent name for them.
    pub subject: String,
    /// The name they would have in the consortium; checked to be a name, not yet to be theirs.
    pub name: String,
    /// Person or service.
    pub kind: PrincipalKind,
    /// Their roles here.
    pub roles: BTreeSet<RoleName>,
    /// Their organisation.
    pub organisation: Option<String>,
    /// Authentication context class.
    pub acr: Option<String>,
    /// Authentication methods.
    pub amr: Vec<String>,
    /// When they authenticated (unix milliseconds).
    pub authenticated_at_ms: u64,
    /// When the token ends (unix milliseconds).
    pub expires_ms: u64,
    /// The login that the token belongs to, for tokens of the engine.
    pub session: Option<String>,
}

/// Why a token is refused. Never says what the token holds.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BearerError {
    /// Not a token.
    #[error("the token is malformed: {what}")]
    Malformed {
        /// What is wrong with it.
        what: &'static str,
    },
    /// Its algorithm is not allowed.
    #[error("tokens signed with {algorithm} are not accepted")]
    Algorithm {
        /// The algorithm.
        algorithm: String,
    },
    /// The issuer has no such key.
    #[error("the token's key is not one of the issuer's")]
    Key,
    /// Its login is over.
    #[error("the login of this token has ended")]
    Ended,
    /// Its signature does not hold.
    #[error("the token's signature does not hold")]
    Signature,
    /// Another issuer.
    #[error("the token is of an issuer that is not known here")]
    Issuer,
    /// For somebody else.
    #[error("the token is not for this service")]
    Audience,
    /// Issued to a client that is not known.
    #[error("the token was issued to a client that is not known here")]
    Client,
    /// A claim is missing or malformed.
    #[error("the token's claim {claim:?} is missing or malformed")]
    Claim {
        /// The claim.
        claim: String,
    },
    /// Over.
    #[error("the token expired at {until_s}, it is {now_s} (unix seconds)")]
    Expired {
        /// Its end.
        until_s: u64,
        /// Now.
        now_s: u64,
    },
    /// Not yet.
    #[error("the token is valid from {from_s}, it is {now_s} (unix seconds)")]
    Early {
        /// Its begin.
        from_s: u64,
        /// Now.
        now_s: u64,
    },
    /// Its name is none of the consortium's.
    #[error("the token's name {name:?} cannot be a name here")]
    Name {
        /// The name, cut.
        name: String,
    },
    /// The issuer cannot be asked.
    #[error("the identity provider cannot be asked: {reason}")]
    Provider {
        /// Why.
        reason: String,
    },
    /// The configuration makes no sense.
    #[error("identity.{field}: {reason}")]
    Config {
        /// The setting.
        field: &'static str,
        /// What is wrong.
        reason: String,
    },
}

impl BearerError {
    /// A stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "token.malformed",
            Self::Algorithm { .. } => "token.algorithm",
            Self::Key => "token.key",
            Self::Ended => "login.ended",
            Self::Signature => "token.signature",
            Self::Issuer => "token.issuer",
            Self::Audience => "token.audience",
            Self::Client => "token.client",
            Self::Claim { .. } => "token.claim",
            Self::Expired { .. } => "token.expired",
            Self::Early { .. } => "token.early",
            Self::Name { .. } => "token.name",
            Self::Provider { .. } => "identity.provider",
            Self::Config { .. } => "identity.config",
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Expired { .. } | Self::Key | Self::Ended | Self::Malformed { .. } => {
                "log in again: `ward login`"
            }
            Self::Early { .. } => "check this machine's clock and the identity provider's",
            Self::Name { .. } => {
                "names are 1 to 63 of a-z, 0-9 and inner hyphens; name_claim in the engine's configuration chooses another claim"
            }
            Self::Audience | Self::Client | Self::Issuer | Self::Algorithm { .. } => {
                "compare [identity.oidc] in the engine's configuration with the provider's settings"
            }
            Self::Provider { .. } => "is the identity provider up, and can the engine reach it?",
            _ => "",
        }
    }
}
