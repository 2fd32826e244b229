//! What is recorded of an act: who, in which role, what, to what, about whom, why, from where, how it ended.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::identity::{Canonical, Digest};

/// Bytes of the salt that hides an event's content once it is redacted.
pub const SALT_BYTES: usize = 16;

/// Random bytes beside an event, in its digest; lower-case hexadecimal in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Salt(pub [u8; SALT_BYTES]);

impl Serialize for Salt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(self.0))
    }
}

impl<'de> Deserialize<'de> for Salt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut bytes = [0; SALT_BYTES];
        hex::decode_to_slice(&text, &mut bytes).map_err(D::Error::custom)?;
        let is_canonical = hex::encode(bytes) == text;
        is_canonical
            .then_some(Self(bytes))
            .ok_or_else(|| D::Error::custom("expected lower-case hex characters"))
    }
}

/// How an audited act ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was done.
    Success,
    /// A rule refused it.
    Refused,
    /// It failed.
    Failure,
}

impl Outcome {
    const fn number(self) -> u64 {
        match self {
            Self::Success => 0,
            Self::Refused => 1,
            Self::Failure => 2,
        }
    }

    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Refused => "refused",
            Self::Failure => "failure",
        }
    }
}

/// One audited act. Never holds a patient's data, a result or a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Who acted: a member's name, or the component (`engine`, `scheduler`).
    pub actor: String,
    /// In which role (`hospital`, `researcher`, `operator`, `engine`).
    pub role: String,
    /// What was done, as `thing.verb` (`job.submit`, `share.send`).
    pub action: String,
    /// To what, as `kind:id` (`job:01H...`, `ceremony:...`, `dataset:...`).
    pub subject: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Public facts for people; may be empty.
    pub detail: String,
    /// When (unix milliseconds), by the writer's clock.
    pub at_ms: u64,
    /// About whom, why and from where; what is not known stays out.
    #[serde(default, skip_serializing_if = "Context::is_empty")]
    pub context: Context,
}

/// The circumstances of an act. Every field is optional.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Context {
    /// Organisation of the actor.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub organisation: String,
    /// Pseudonym of the one patient whose data it was.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub patient: String,
    /// The rows it was about, where it was not one patient's: a table, and the version of its dataset.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cohort: String,
    /// Class of the data.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub data_class: String,
    /// Purposes, as DUO codes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub purpose: Vec<String>,
    /// The study it was for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub study: String,
    /// Who received data, where data left the house.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub recipient: String,
    /// Address that the request came from.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// The request's trace id.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub trace: String,
    /// Somebody should look at it now (break-glass).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_urgent: bool,
}

impl Context {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// With source and trace of the work in hand ([`crate::trace::current`]), where they are known.
    #[must_use]
    pub fn here(self) -> Self {
        match crate::trace::current() {
            Some(origin) => Self { trace: origin.parent.trace_id(), source: origin.source, ..self },
            None => self,
        }
    }

    fn canonical(&self, canonical: Canonical) -> Canonical {
        let canonical = canonical
            .text(&self.organisation)
            .text(&self.patient)
            .text(&self.cohort)
            .text(&self.data_class)
            .number(self.purpose.len() as u64);
        let canonical = self.purpose.iter().fold(canonical, |canonical, code| canonical.text(code));
        canonical
            .text(&self.study)
            .text(&self.recipient)
            .text(&self.source)
            .text(&self.trace)
            .number(u64::from(self.is_urgent))
    }
}

impl Event {
    /// An act of now that succeeded; the builders below say more.
    #[must_use]
    pub fn new(actor: &str, role: &str, action: &str, subject: &str) -> Self {
        Self {
            actor: actor.to_owned(),
            role: role.to_owned(),
            action: action.to_owned(),
            subject: subject.to_owned(),
            outcome: Outcome::Success,
            detail: String::new(),
            at_ms: crate::clock::now_ms(),
            context: Context::default().here(),
        }
    }

    /// With that outcome.
    #[must_use]
    pub fn ended(self, outcome: Outcome) -> Self {
        Self { outcome, ..self }
    }

    /// With public facts for people.
    #[must_use]
    pub fn saying(self, detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), ..self }
    }

    /// In these circumstances; what they do not say of source, trace and organisation stays as it was.
    #[must_use]
    pub fn within(self, context: Context) -> Self {
        let known = self.context;
        let or = |said: String, known: String| if said.is_empty() { known } else { said };
        let context = Context {
            organisation: or(context.organisation, known.organisation),
            source: or(context.source, known.source),
            trace: or(context.trace, known.trace),
            ..context
        };
        Self { context, ..self }
    }

    /// Digest of everything but action, outcome and time, which stay when the rest is redacted. The salt keeps a
    /// reader of a redacted chain from guessing what was there.
    #[must_use]
    pub fn payload(&self, salt: &Salt) -> Digest {
        let canonical = Canonical::new("audit-payload/2")
            .bytes(&salt.0)
            .text(&self.actor)
            .text(&self.role)
            .text(&self.subject)
            .text(&self.detail);
        self.context.canonical(canonical).digest()
    }
}

/// What stays of an event for ever, and what its hash is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stub {
    /// What was done.
    pub action: String,
    /// How it ended.
    pub outcome: Outcome,
    /// When (unix milliseconds).
    pub at_ms: u64,
    /// Digest of the rest ([`Event::payload`]).
    pub payload: Digest,
}

impl Stub {
    pub(super) fn canonical(&self) -> Canonical {
        Canonical::new("audit-event/2")
            .text(&self.action)
            .number(self.outcome.number())
            .number(self.at_ms)
            .bytes(&self.payload.0)
    }
}
