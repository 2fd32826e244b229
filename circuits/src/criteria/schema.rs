//! The attribute schema: what a credential's slots mean. Published as a JSON document; its id is a hash of its bytes,
//! so that issuer, prover and verifier speak of the same meaning or notice that they do not.
//!
//! A slot holds a number below 2^64, or nothing when the value was not recorded; a list holds its codes between its two
//! ends (see [`crate::eligibility`]).

mod check;
mod read;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

use serde::Deserialize;

pub(super) use self::check::neighbours;
pub(super) use self::read::RESERVED;
use super::date::Date;
use super::decimal::Decimal;
use crate::eligibility::{Run, SlotIndex};

/// The schema's document, as published.
pub const SCHEMA_JSON: &str = include_str!("schema-1.json");
/// Largest schema read, in bytes.
pub const SCHEMA_BYTES_MAX: usize = 1 << 18;

static EMBEDDED: LazyLock<Arc<Schema>> = LazyLock::new(|| {
    Arc::new(Schema::from_json(SCHEMA_JSON).expect("the embedded schema is checked by a test"))
});

/// The identity of a schema: SHA-256 over `ward-eligibility-schema/1`, a zero byte, and the document's bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SchemaId(pub [u8; 32]);

/// A schema that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    id: SchemaId,
    attributes: Vec<Attribute>,
}

/// What a credential says under one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its name in criteria.
    pub name: String,
    /// Other names that criteria may use.
    pub aliases: Vec<String>,
    /// What it is, for people.
    pub label: String,
    /// How it is written into slots.
    pub kind: Kind,
    /// The FHIR element it is taken from; `None` for what is computed from another attribute.
    pub fhir: Option<Fhir>,
}

/// An element of a FHIR R4 resource.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fhir {
    /// Resource type.
    pub resource: String,
    /// Element.
    pub path: String,
    /// The code (`system|code`) the resource must carry, when the type has one.
    pub code: Option<String>,
}

/// How an attribute is written into slots.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A day: days since 1900-01-01.
    Date {
        /// Slot.
        slot: SlotIndex,
        /// First day.
        first: Date,
        /// Last day.
        last: Date,
    },
    /// Completed years since a date, at the evaluation date; in no slot of its own.
    Age {
        /// Slot of the date of birth.
        slot: SlotIndex,
        /// Last day that can stand there.
        last: Date,
    },
    /// A number: `(value - min) * 10^digits`.
    Number(Number),
    /// One of a few values.
    Choice {
        /// Slot.
        slot: SlotIndex,
        /// Code system.
        system: String,
        /// Name, number in the slot, code in the code system.
        values: Vec<Choice>,
    },
    /// A list of codes.
    Codes {
        /// Its slots: two more than the codes it has room for.
        run: Run,
        /// Code system.
        system: String,
        /// Characters before the dot, where codes are written with one.
        dot_after: Option<usize>,
    },
}

/// A number with a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number {
    /// Slot.
    pub slot: SlotIndex,
    /// Unit (UCUM); `1` for none.
    pub unit: String,
    /// Digits after the point.
    pub digits: u8,
    /// Smallest value.
    pub min: Decimal,
    /// Largest value.
    pub max: Decimal,
    /// Units that convert exactly: unit, and what its values are multiplied by.
    pub conversions: BTreeMap<String, Decimal>,
    /// Units that people use and that do not convert exactly, with what to do instead.
    pub refused_units: BTreeMap<String, String>,
}

/// A value of a choice.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// Its name in criteria.
    pub name: String,
    /// What stands in the slot.
    pub value: u64,
    /// Its code in the code system.
    pub code: String,
}

/// Why a document is no schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// Not the JSON of a schema.
    #[error("not a schema: {reason}")]
    Malformed {
        /// What is malformed.
        reason: String,
    },
    /// An attribute contradicts itself or another.
    #[error("attribute `{attribute}`: {reason}")]
    Attribute {
        /// The attribute.
        attribute: String,
        /// What is wrong.
        reason: String,
    },
}

impl Schema {
    /// The schema embedded in this version, `ward-eligibility-schema/1`.
    #[must_use]
    pub fn v1() -> Arc<Self> {
        Arc::clone(&EMBEDDED)
    }

    /// Its identity.
    #[must_use]
    pub fn id(&self) -> SchemaId {
        self.id
    }

    /// The attributes, in the order of the document.
    #[must_use]
    pub fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    /// The attribute of that name or alias, in any case.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        let is = |known: &String| known.eq_ignore_ascii_case(name);
        self.attributes.iter().find(|a| is(&a.name) || a.aliases.iter().any(is))
    }
}

impl Kind {
    /// The slots that belong to the attribute alone (none for an age).
    #[must_use]
    pub fn slots(&self) -> Vec<usize> {
        match self {
            Self::Date { slot, .. } | Self::Choice { slot, .. } => vec![slot.get()],
            Self::Number(number) => vec![number.slot.get()],
            Self::Age { .. } => Vec::new(),
            Self::Codes { run, .. } => run.indices().collect(),
        }
    }
}

impl Number {
    /// What stands in the slot for a value in the schema's unit; `None` outside the bounds, or with more digits
    /// after the point than the schema keeps.
    #[must_use]
    pub fn encode(&self, value: Decimal) -> Option<u64> {
        let within = self.min <= value && value <= self.max;
        let above = value.scaled(self.digits)?.checked_sub(self.min.scaled(self.digits)?)?;
        u64::try_from(above).ok().filter(|_| within)
    }

    /// The value that a slot stands for; `None` for none.
    #[must_use]
    pub fn decode(&self, slot: u64) -> Option<Decimal> {
        let above = i64::try_from(slot).ok()?;
        let value = Decimal::new(above.checked_add(self.min.scaled(self.digits)?)?, self.digits)?;
        (value <= self.max).then_some(value)
    }

    /// Whether values are without unit.
    #[must_use]
    pub fn is_dimensionless(&self) -> bool {
        self.unit == "1"
    }
}

impl fmt::Display for SchemaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SchemaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SchemaId({self})")
    }
}
