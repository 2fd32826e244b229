//! Identity: who somebody is, and what they signed.
//!
//! One Ed25519 key per member ([`Identity`]) is the key of its TLS certificate and of its signatures; every
//! signature is bound to a context, so that one made for one purpose is worth nothing for another. The
//! consortium's [`CertificateAuthority`] certifies keys after a one-time [`Token`]; a certificate parses into a
//! [`Member`] or is refused. What a node keeps on disk is sealed with a [`SealKey`].

pub mod authenticate;
pub mod authorize;
pub mod bearer;
mod ca;
mod canonical;
mod certificate;
pub mod did;
pub mod envelope;
pub(crate) mod files;
mod keys;
pub mod local;
pub mod passphrase;
mod principal;
pub mod revocation;
pub(crate) mod seal;
mod token;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use ca::{CertificateAuthority, CertificatePem};
pub use canonical::{Canonical, Digest};
pub use certificate::{CaCertificate, Member};
pub use did::{Did, DidError};
pub use keys::{Identity, PublicKey, Signature};
pub use principal::{Principal, PrincipalKind, RoleName};
pub use seal::{SealContext, SealKey};
pub use token::{Claim, Token, TokenHash, person_key_parts, possession_parts};

/// Longest name of a member or consortium, in bytes.
pub const NAME_BYTES_MAX: usize = 63;

/// What a member of the consortium may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Holds data, computes on it, holds a share of the key.
    Hospital,
    /// Asks questions and receives results.
    Researcher,
    /// Runs the engine; holds nothing that opens data.
    Operator,
    /// The engine itself; never enrolled by token.
    Engine,
}

impl Role {
    /// The role as it stands in certificates and the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hospital => "hospital",
            Self::Researcher => "researcher",
            Self::Operator => "operator",
            Self::Engine => "engine",
        }
    }

    /// The role of that name.
    ///
    /// # Errors
    /// [`IdentityError::Role`] when there is none.
    pub fn parse(text: &str) -> Result<Self, IdentityError> {
        match text {
            "hospital" => Ok(Self::Hospital),
            "researcher" => Ok(Self::Researcher),
            "operator" => Ok(Self::Operator),
            "engine" => Ok(Self::Engine),
            _ => Err(IdentityError::Role { role: clip(text) }),
        }
    }
}

/// Checks the name of a member or a consortium: 1 to 63 of `a-z 0-9 -`, no `-` at either end.
///
/// # Errors
/// [`IdentityError::Name`].
pub fn check_name(name: &str) -> Result<(), IdentityError> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let ok = (1..=NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(allowed)
        && !name.starts_with('-')
        && !name.ends_with('-');
    if ok { Ok(()) } else { Err(IdentityError::Name { name: clip(name) }) }
}

/// The first characters of a text that came from outside, for a message.
pub(crate) fn clip(text: &str) -> String {
    text.chars().take(80).map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// Random bytes from the operating system.
///
/// # Errors
/// [`IdentityError::Random`] when the system has none to give.
pub fn random<const N: usize>() -> Result<[u8; N], IdentityError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| IdentityError::Random)?;
    Ok(bytes)
}

/// Why an identity, a certificate, a token or a sealed value was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// Not a name.
    #[error("name {name:?} is not 1 to 63 of a-z, 0-9 and inner hyphens")]
    Name {
        /// The name, cut.
        name: String,
    },
    /// Not a role, or a role that cannot do this.
    #[error("role {role:?} is unknown or not allowed here")]
    Role {
        /// The role, cut.
        role: String,
    },
    /// Not a key on the curve, or a key of small order.
    #[error("the ed25519 key is malformed or weak")]
    Key,
    /// A signature does not hold.
    #[error("the signature for {context:?} does not verify")]
    Signature {
        /// What it was to sign.
        context: &'static str,
    },
    /// A certificate is refused.
    #[error("certificate refused: {reason}")]
    Certificate {
        /// Which rule refuses it.
        reason: String,
    },
    /// A certificate is outside its validity.
    #[error("certificate of {name} is valid from {from_s} to {until_s}, not at {at_s} (unix seconds)")]
    Validity {
        /// The member.
        name: String,
        /// First second.
        from_s: i64,
        /// Last second.
        until_s: i64,
        /// The time asked about.
        at_s: i64,
    },
    /// A token is malformed.
    #[error("enrolment token refused: {reason}")]
    Token {
        /// Which rule refuses it.
        reason: &'static str,
    },
    /// A sealed value does not open.
    #[error("sealed value of {table}.{column} does not open: wrong key, wrong place or changed bytes")]
    Sealed {
        /// Table it is kept in.
        table: String,
        /// Column it is kept in.
        column: String,
    },
    /// A key file cannot be used.
    #[error("file {path:?}: {reason}")]
    File {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// The certificate library refuses.
    #[error("certificate cannot be made: {reason}")]
    Issue {
        /// What it says.
        reason: String,
    },
    /// No randomness.
    #[error("the operating system gives no randomness")]
    Random,
}

impl IdentityError {
    /// A stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Name { .. } => "identity.name",
            Self::Role { .. } => "identity.role",
            Self::Key => "identity.key",
            Self::Signature { .. } => "identity.signature",
            Self::Certificate { .. } => "identity.certificate",
            Self::Validity { .. } => "identity.validity",
            Self::Token { .. } => "enrol.token_malformed",
            Self::Sealed { .. } => "identity.sealed",
            Self::File { .. } => "identity.file",
            Self::Issue { .. } => "identity.issue",
            Self::Random => "identity.random",
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Name { .. } => Some("choose a name like north or st-mary-2"),
            Self::Validity { .. } => Some("check the clock; if it is right, renew the certificate"),
            Self::Token { .. } => Some("copy the whole token, in one line, as the operator gave it"),
            Self::Sealed { .. } => Some("check that the seal key is the one this folder was made with"),
            _ => None,
        }
    }
}
