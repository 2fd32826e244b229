//! What is asked: who, which act, on what, and under which circumstances.

use std::collections::BTreeSet;

use cedar_policy::{Context, Entities, EntityUid, Request};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Authorizer, PolicyError};
use crate::identity::{Principal, PrincipalKind};

/// What kind of principal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectKind {
    /// A hospital's node.
    Node,
    /// Somebody.
    #[default]
    Person,
    /// A service account.
    Service,
    /// Somebody who has shown nothing.
    Visitor,
}

impl SubjectKind {
    fn entity(self) -> &'static str {
        match self {
            Self::Node => "Ward::Node",
            Self::Person => "Ward::Person",
            Self::Service => "Ward::Service",
            Self::Visitor => "Ward::Visitor",
        }
    }
}

/// Who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// Kind.
    #[serde(default)]
    pub kind: SubjectKind,
    /// Name, unique in the consortium.
    pub name: String,
    /// Roles.
    #[serde(default)]
    pub roles: BTreeSet<String>,
    /// The hospital or other organisation it belongs to; empty where none is known.
    #[serde(default)]
    pub organisation: String,
    /// Authentication context class, as the identity provider gave it; empty where it gave none.
    #[serde(default)]
    pub acr: String,
    /// Authentication methods (RFC 8176).
    #[serde(default)]
    pub amr: BTreeSet<String>,
    /// Seconds since it authenticated.
    #[serde(default)]
    pub auth_age_s: u64,
}

impl Subject {
    /// Somebody who has shown nothing.
    #[must_use]
    pub fn visitor() -> Self {
        Self { kind: SubjectKind::Visitor, name: "anonymous".to_owned(), ..Self::default() }
    }

    /// A caller as the policies see it.
    #[must_use]
    pub fn of(caller: &Principal, now_ms: u64) -> Self {
        Self {
            kind: match caller.kind {
                PrincipalKind::Node => SubjectKind::Node,
                PrincipalKind::Person => SubjectKind::Person,
                PrincipalKind::Service => SubjectKind::Service,
            },
            name: caller.name.clone(),
            roles: caller.roles.iter().map(|role| role.as_str().to_owned()).collect(),
            organisation: caller.organisation.clone().unwrap_or_default(),
            acr: caller.acr.clone().unwrap_or_default(),
            amr: caller.amr.iter().cloned().collect(),
            auth_age_s: now_ms.saturating_sub(caller.authenticated_at_ms) / 1000,
        }
    }

    /// The roles in one word, for people and the audit chain.
    #[must_use]
    pub fn role_text(&self) -> String {
        if self.roles.is_empty() {
            return "none".to_owned();
        }
        self.roles.iter().map(String::as_str).collect::<Vec<_>>().join("+")
    }
}

/// What the act is on: an entity of the schema with its attributes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resource {
    /// `Consortium`, `Job`, `Study`, `Hospital`, `Table`, `Patient`, `Attestation`, `Trail` or `Member`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Its attributes, as the schema has them.
    #[serde(default)]
    pub attributes: Map<String, Value>,
}

impl Resource {
    /// A resource of that type.
    #[must_use]
    pub fn new(kind: &str, id: &str, attributes: Value) -> Self {
        let attributes = match attributes {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        Self { kind: kind.to_owned(), id: id.to_owned(), attributes }
    }

    /// The consortium as a whole.
    #[must_use]
    pub fn consortium(name: &str) -> Self {
        Self::new("Consortium", name, Value::Null)
    }

    /// A job.
    #[must_use]
    pub fn job(id: &str, owner: &str, kind: &str) -> Self {
        Self::new("Job", id, json!({ "owner": owner, "kind": kind, "study": "", "purpose": "" }))
    }

    /// A hospital as the subject of its own acts.
    #[must_use]
    pub fn hospital(name: &str) -> Self {
        Self::new("Hospital", name, json!({ "name": name }))
    }

    /// An audit chain: a hospital's, or the engine's under an empty name.
    #[must_use]
    pub fn trail(hospital: &str) -> Self {
        let id = if hospital.is_empty() { "engine" } else { hospital };
        Self::new("Trail", id, json!({ "hospital": hospital }))
    }

    /// What the audit chain calls it.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{}:{}", self.kind.to_lowercase(), self.id)
    }
}

/// What else counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Circumstances {
    /// Now, unix seconds.
    pub now_s: u64,
    /// For what: a DUO code, `care`, or empty.
    pub purpose: String,
    /// Class of the data, or empty.
    pub data_class: String,
    /// From where: the address that the call came from, or empty.
    pub location: String,
}

/// A question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Who.
    pub principal: Subject,
    /// Which act: `query.submit`, or a call such as `Jobs.Submit`.
    pub action: String,
    /// On what.
    pub resource: Resource,
    /// Under which circumstances.
    #[serde(default)]
    pub context: Circumstances,
}

impl Question {
    /// A question about a call, from where the work in hand came from ([`crate::trace`]).
    #[must_use]
    pub fn new(principal: &Subject, action: &str, resource: Resource, now_ms: u64) -> Self {
        let location = crate::trace::current().map_or_else(String::new, |origin| origin.source);
        let context = Circumstances { now_s: now_ms / 1000, location, ..Circumstances::default() };
        Self { principal: principal.clone(), action: action.to_owned(), resource, context }
    }
}

fn unfit(reason: &dyn std::fmt::Display) -> PolicyError {
    PolicyError::Question { reason: reason.to_string().replace('\n', " ") }
}

fn uid(kind: &str, id: &str) -> Result<EntityUid, PolicyError> {
    EntityUid::from_json(json!({ "type": kind, "id": id })).map_err(|e| unfit(&e))
}

impl Authorizer {
    /// The question as Cedar takes it, checked against the schema.
    pub(super) fn request(&self, question: &Question) -> Result<(Request, Entities), PolicyError> {
        let Question { principal, action, resource, context } = question;
        let (who, what) = (principal.kind.entity(), format!("Ward::{}", resource.kind));
        let mut parents: Vec<Value> =
            principal.roles.iter().map(|role| json!({ "type": "Ward::Role", "id": role })).collect();
        if !principal.organisation.is_empty() {
            parents.push(json!({ "type": "Ward::Organisation", "id": principal.organisation }));
        }
        if principal.kind == SubjectKind::Visitor {
            parents.clear();
        }
        let entities = json!([
            {
                "uid": { "type": who, "id": principal.name },
                "attrs": { "name": principal.name, "organisation": principal.organisation },
                "parents": parents,
            },
            {
                "uid": { "type": what, "id": resource.id },
                "attrs": resource.attributes,
                "parents": [],
            },
        ]);
        let entities =
            Entities::from_json_value(entities, Some(&self.schema)).map_err(|e| unfit(&chain(&e)))?;
        let action = uid("Ward::Action", action)?;
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let circumstances = json!({
            "now": number(context.now_s),
            "authAge": number(principal.auth_age_s),
            "acr": principal.acr,
            "amr": principal.amr,
            "purpose": context.purpose,
            "dataClass": context.data_class,
            "location": context.location,
        });
        let context = Context::from_json_value(circumstances, Some((&self.schema, &action)))
            .map_err(|e| unfit(&chain(&e)))?;
        let (who, what) = (uid(who, &principal.name)?, uid(&what, &resource.id)?);
        let request =
            Request::new(who, action, what, context, Some(&self.schema)).map_err(|e| unfit(&chain(&e)))?;
        Ok((request, entities))
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    crate::grpc::client::chain(error)
}
