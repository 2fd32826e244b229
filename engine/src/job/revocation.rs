//! Certificates renewed, keys revoked.

use super::{Engine, audit_event};
use crate::clock::now_ms;
use crate::identity::Member;
use crate::identity::revocation::{RevocationList, Revoked, SignedRevocations};
use crate::problem::{Problem, ProblemKind};
use crate::store::blocking;

/// Days that a member's certificate is valid.
pub const VALIDITY_DAYS: u32 = 825;
/// Newest revocations in the list; older ones are of certificates that have long expired.
const LISTED_MAX: usize = 4_000;

impl Engine {
    /// A newer certificate for a member's key, DER. The one it has stays good until it expires.
    ///
    /// # Errors
    /// When the member was revoked meanwhile, or storage.
    pub async fn renew(&self, member: &Member) -> Result<Vec<u8>, Problem> {
        let issued =
            self.authority.issue(&member.key, member.role, &member.name, now_ms() / 1000, VALIDITY_DAYS);
        let der = issued.map_err(|e| Problem::internal(&e))?.der;
        let role = member.role.as_str();
        let audit = audit_event(&member.name, role, "certificate.renew", &format!("member:{}", member.name));
        let (name, key, stored) = (member.name.clone(), *member.key.as_bytes(), der.clone());
        blocking(&self.store, move |s| s.renew_certificate(&name, &key, &stored, &audit)).await.map_err(
            |_| {
                let message = format!("{} is not enrolled under this key", member.name);
                Problem::new(ProblemKind::Authorization, "identity.revoked", message)
            },
        )?;
        Ok(der)
    }

    /// Whether a name is that of a member who was revoked.
    ///
    /// # Errors
    /// Storage.
    pub async fn is_revoked(&self, name: &str) -> Result<bool, Problem> {
        let name = name.to_owned();
        let found = blocking(&self.store, move |s| s.member(&name)).await?;
        Ok(found.is_some_and(|member| member.revoked_ms.is_some()))
    }

    /// The list of revoked keys, signed by the authority.
    ///
    /// # Errors
    /// Storage.
    pub async fn revocations(&self) -> Result<SignedRevocations, Problem> {
        let records = blocking(&self.store, |s| s.revocations()).await?;
        let first = records.len().saturating_sub(LISTED_MAX);
        let listed = records.into_iter().skip(first);
        let mut list = RevocationList { consortium: self.consortium.clone(), number: 0, revoked: Vec::new() };
        for record in listed {
            list.number = record.number;
            list.revoked.push(Revoked { name: record.name, key: record.key, at_ms: record.at_ms });
        }
        Ok(SignedRevocations::sign(&list, &self.authority))
    }
}
