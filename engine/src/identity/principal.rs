//! Who is behind a request, however that was shown: by certificate, by token, or by both.
//!
//! [`Principal`] is all that authorisation sees of a caller. One place makes it (`grpc::peer`), every handler takes it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{IdentityError, Member, PublicKey, Role, clip};

/// What sort of caller it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrincipalKind {
    /// A hospital's node, by its certificate.
    Node,
    /// A person.
    Person,
    /// A program with an account of its own.
    Service,
}

impl PrincipalKind {
    /// The kind as it stands in the audit and in policies.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Person => "person",
            Self::Service => "service",
        }
    }
}

/// What somebody may be in the consortium; a person may be several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RoleName {
    /// Asks questions and receives results.
    Researcher,
    /// Decides for a hospital: studies, consent, audit of its own.
    HospitalAdmin,
    /// Treats patients.
    Clinician,
    /// Is a patient.
    Patient,
    /// Issues credentials.
    Issuer,
    /// Reads the audit.
    Auditor,
    /// Runs the engine; holds nothing that opens data.
    Operator,
    /// A hospital's node.
    Hospital,
}

impl RoleName {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Researcher,
        Self::HospitalAdmin,
        Self::Clinician,
        Self::Patient,
        Self::Issuer,
        Self::Auditor,
        Self::Operator,
        Self::Hospital,
    ];

    /// The role as it stands in tokens, the store, the audit and policies.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Researcher => "researcher",
            Self::HospitalAdmin => "hospital_admin",
            Self::Clinician => "clinician",
            Self::Patient => "patient",
            Self::Issuer => "issuer",
            Self::Auditor => "auditor",
            Self::Operator => "operator",
            Self::Hospital => "hospital",
        }
    }

    /// The role of that name.
    ///
    /// # Errors
    /// [`IdentityError::Role`] when there is none.
    pub fn parse(text: &str) -> Result<Self, IdentityError> {
        let found = Self::ALL.into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| IdentityError::Role { role: clip(text) })
    }

    /// True for a role that people and services may have; a node's role comes with a certificate alone.
    #[must_use]
    pub fn is_of_people(self) -> bool {
        self != Self::Hospital
    }
}

/// An authenticated caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Its name, unique in the consortium.
    pub name: String,
    /// What sort of caller.
    pub kind: PrincipalKind,
    /// Its roles; may be empty.
    pub roles: BTreeSet<RoleName>,
    /// The organisation it belongs to; a node's is itself.
    pub organisation: Option<String>,
    /// Authentication context class (OpenID Connect Core 1.0, section 2), where the provider states one.
    pub acr: Option<String>,
    /// Authentication methods (RFC 8176); `swk` for a certificate's key.
    pub amr: Vec<String>,
    /// When it authenticated (unix milliseconds).
    pub authenticated_at_ms: u64,
    /// Last moment at which this holds (unix milliseconds).
    pub expires_ms: u64,
    /// The key of its certificate, where it showed one.
    pub key: Option<PublicKey>,
}

impl Principal {
    /// The caller that a verified certificate names; none for the engine's own, which calls nobody here.
    #[must_use]
    pub fn of_member(member: &Member, now_ms: u64) -> Option<Self> {
        let (kind, role, organisation) = match member.role {
            Role::Hospital => (PrincipalKind::Node, RoleName::Hospital, Some(member.name.clone())),
            Role::Researcher => (PrincipalKind::Person, RoleName::Researcher, None),
            Role::Operator => (PrincipalKind::Person, RoleName::Operator, None),
            Role::Engine => return None,
        };
        Some(Self {
            name: member.name.clone(),
            kind,
            roles: BTreeSet::from([role]),
            organisation,
            acr: None,
            amr: vec!["swk".to_owned()],
            authenticated_at_ms: now_ms,
            expires_ms: u64::try_from(member.valid_until_s).unwrap_or(0).saturating_mul(1000),
            key: Some(member.key),
        })
    }

    /// True when it has the role.
    #[must_use]
    pub fn has(&self, role: RoleName) -> bool {
        self.roles.contains(&role)
    }

    /// Its roles in one text for the audit, `auditor+researcher`; `none` without any.
    #[must_use]
    pub fn role_text(&self) -> String {
        if self.roles.is_empty() {
            return "none".to_owned();
        }
        let names: Vec<&str> = self.roles.iter().map(|role| role.as_str()).collect();
        names.join("+")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{CertificateAuthority, Identity};

    fn certified(role: Role) -> Member {
        let authority = CertificateAuthority::create("c", 1_000).unwrap();
        let key = Identity::generate().unwrap().public();
        let issued = authority.issue(&key, role, "north", 1_000, 1).unwrap();
        authority.certificate().verify(&issued.der, 1_000).unwrap()
    }

    #[test]
    fn every_role_is_read_back_and_no_other() {
        for role in RoleName::ALL {
            assert_eq!(RoleName::parse(role.as_str()).unwrap(), role);
            assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
        }
        for text in ["", "engine", "Researcher", "researcher "] {
            assert!(RoleName::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_nodes_certificate_makes_a_node_of_its_own_organisation() {
        let member = certified(Role::Hospital);
        let node = Principal::of_member(&member, 5).unwrap();
        assert_eq!((node.kind, node.role_text().as_str()), (PrincipalKind::Node, "hospital"));
        assert_eq!((node.organisation.as_deref(), node.key), (Some("north"), Some(member.key)));
        assert_eq!((node.authenticated_at_ms, node.expires_ms), (5, (1_000 + 86_400) * 1000));
    }

    #[test]
    fn a_persons_certificate_makes_a_person_with_that_role_alone() {
        for (role, name) in [(Role::Researcher, RoleName::Researcher), (Role::Operator, RoleName::Operator)] {
            let person = Principal::of_member(&certified(role), 5).unwrap();
            assert_eq!((person.kind, person.roles), (PrincipalKind::Person, BTreeSet::from([name])));
        }
    }
}
