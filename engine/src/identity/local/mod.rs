//! Accounts that the engine keeps itself: for the demo, and for consortia without an identity provider.
//!
//! A person has a password (Argon2id, RFC 9106) and a second factor (TOTP, RFC 6238, or one of ten recovery codes); a
//! service has a secret of 32 random bytes. What verifies them is sealed at rest with the engine's seal key, bound to the
//! account: the database alone does not let anybody guess. A login yields an access token of 15 minutes (a JWT signed
//! with a key of its own) and a refresh token that is exchanged for the next one; one that is shown twice was stolen by
//! somebody, and ends the login (RFC 9700, section 4.14.2).

mod accounts;
mod secrets;
mod tokens;

#[cfg(test)]
mod tests;

use crate::identity::IdentityError;
use crate::store::StoreError;

pub use accounts::{Accounts, Enrolled, NewAccount, ServiceSecret};
pub use secrets::{Cost, Fresh, Secrets, otpauth_url};
pub use tokens::{ACCESS_MS, Issued, REFRESH_MS, TokenKey};

/// Shortest password, in characters.
pub const PASSWORD_CHARS_MIN: usize = 12;
/// Longest password, in bytes.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// Why a login, a token or a change of an account is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalError {
    /// Name, password or code is wrong: which one is not said, nor whether there is such an account.
    #[error("name, password or code is wrong")]
    Credentials,
    /// Too many failures.
    #[error("the account is locked for another {wait_s} seconds after failed attempts")]
    Locked {
        /// Seconds to wait.
        wait_s: u64,
    },
    /// The login is over.
    #[error("the login has ended")]
    Ended,
    /// A refresh token came twice.
    #[error("the refresh token was used before; the login is ended")]
    Reused,
    /// The password is too weak.
    #[error("the password is {reason}")]
    Password {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A role that accounts do not have.
    #[error("role {role:?} is not one of people")]
    Role {
        /// The role.
        role: &'static str,
    },
    /// A key, a seal or a name.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is stored cannot be read.
    #[error("the secrets of account {name:?} are unreadable")]
    Unreadable {
        /// The account.
        name: String,
    },
    /// The derivation refuses.
    #[error("the password cannot be hashed: {reason}")]
    Hash {
        /// What the library says.
        reason: String,
    },
}
