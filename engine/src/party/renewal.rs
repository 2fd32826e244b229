//! What changes about members while a node runs: the time, its own certificate, and the list of revoked keys.

use std::sync::{Arc, PoisonError};

use super::node::{Node, seal_key};
use crate::clock::Clock;
use crate::identity::IdentityError;
use crate::identity::revocation::SignedRevocations;
use crate::member::{Membership, is_renewal_due};
use crate::problem::{Problem, ProblemKind};

impl Node {
    /// With another clock than the machine's.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Now, unix milliseconds.
    pub(super) fn now_ms(&self) -> u64 {
        (self.clock)()
    }

    /// True from when two thirds of the certificate's life are over.
    #[must_use]
    pub fn is_renewal_due(&self) -> bool {
        let held = self.certificate.read().unwrap_or_else(PoisonError::into_inner);
        is_renewal_due(&held.1, (self.now_ms() / 1000) as i64)
    }

    /// Takes a newer certificate of the same key: keeps it, shows it to the engine from the next connection on, and to
    /// peers from the next stream on.
    ///
    /// # Errors
    /// `member.certificate` for one of anything else.
    pub fn adopt(&self, certificate: Vec<u8>) -> Result<(), Problem> {
        let saved = Membership::load(&self.config().data_dir, seal_key(self.config())?)?;
        let renewed = saved.renewed(certificate, (self.now_ms() / 1000) as i64)?;
        self.mesh().renew(&renewed.certificate)?;
        let until =
            crate::clock::utc(u64::try_from(renewed.member.valid_until_s).unwrap_or(0).saturating_mul(1000));
        *self.certificate.write().unwrap_or_else(PoisonError::into_inner) =
            (Arc::new(renewed.certificate.clone()), renewed.member.clone());
        self.audit("certificate.renew", &format!("member:{}", self.name()), &format!("until {until}"))
    }

    /// Takes a list of revoked keys, when it is newer than the one held.
    ///
    /// # Errors
    /// When the authority did not sign it.
    pub fn take_revocations(&self, list: &SignedRevocations) -> Result<(), Problem> {
        let bad = |e: IdentityError| {
            Problem::new(ProblemKind::Authorization, "identity.revocations", e.to_string())
        };
        if self.revocations.take(list).map_err(bad)? {
            let number = *self.revocations.subscribe().borrow();
            self.audit("revocations.take", &format!("list:{number}"), "")?;
        }
        Ok(())
    }
}
