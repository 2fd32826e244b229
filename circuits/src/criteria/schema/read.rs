//! A schema's document: read, and checked against itself.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::super::date::Date;
use super::super::decimal::Decimal;
use super::{Attribute, Choice, Fhir, Kind, Number, SCHEMA_BYTES_MAX, Schema, SchemaError, SchemaId};
use crate::eligibility::{Run, SLOTS, SlotIndex};

const NAME: &str = "ward-eligibility-schema/1";
const ID_DOMAIN: &[u8] = b"ward-eligibility-schema/1\0";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    schema: String,
    #[serde(rename = "title")]
    _title: String,
    slots: usize,
    date_epoch: String,
    attributes: Vec<Raw>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: String,
    label: String,
    #[serde(default)]
    aliases: Vec<String>,
    kind: String,
    slot: Option<usize>,
    of: Option<String>,
    unit: Option<String>,
    digits: Option<u8>,
    min: Option<String>,
    max: Option<String>,
    first: Option<String>,
    last: Option<String>,
    #[serde(default)]
    conversions: Vec<RawConversion>,
    #[serde(default)]
    refused_units: BTreeMap<String, String>,
    #[serde(default)]
    values: Vec<Choice>,
    system: Option<String>,
    capacity: Option<usize>,
    dot_after: Option<usize>,
    fhir: Option<Fhir>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConversion {
    unit: String,
    multiply: String,
}

impl Schema {
    /// Reads and checks a schema.
    ///
    /// # Errors
    /// [`SchemaError`] naming the attribute that contradicts itself or another.
    pub fn from_json(json: &str) -> Result<Self, SchemaError> {
        let malformed = |reason: String| SchemaError::Malformed { reason };
        if json.len() > SCHEMA_BYTES_MAX {
            return Err(malformed(format!("{} bytes, at most {SCHEMA_BYTES_MAX}", json.len())));
        }
        let document: Document = serde_json::from_str(json).map_err(|e| malformed(e.to_string()))?;
        let fixed = document.schema == NAME
            && document.slots == SLOTS
            && document.date_epoch == Date::FIRST.to_string();
        if !fixed {
            return Err(malformed(format!(
                "this version reads {NAME}: {SLOTS} slots, days since {}",
                Date::FIRST
            )));
        }
        let mut attributes: Vec<Attribute> = Vec::new();
        for raw in &document.attributes {
            let kind = raw.kind(&attributes)?;
            attributes.push(Attribute {
                name: raw.name.clone(),
                aliases: raw.aliases.clone(),
                label: raw.label.clone(),
                kind,
                fhir: raw.fhir.clone(),
            });
        }
        check_disjoint(&attributes)?;
        let id = Sha256::new().chain_update(ID_DOMAIN).chain_update(json.as_bytes()).finalize();
        Ok(Self { id: SchemaId(id.into()), attributes })
    }
}

impl Raw {
    fn wrong(&self, reason: impl Into<String>) -> SchemaError {
        SchemaError::Attribute { attribute: self.name.clone(), reason: reason.into() }
    }

    fn need<T: Clone>(&self, field: &Option<T>, name: &str) -> Result<T, SchemaError> {
        field.clone().ok_or_else(|| self.wrong(format!("`{name}` is missing")))
    }

    fn slot(&self) -> Result<SlotIndex, SchemaError> {
        SlotIndex::new(self.need(&self.slot, "slot")?).map_err(|e| self.wrong(e.to_string()))
    }

    fn kind(&self, before: &[Attribute]) -> Result<Kind, SchemaError> {
        match self.kind.as_str() {
            "date" => {
                let slot = self.slot()?;
                let day = |field: &Option<String>, name| {
                    let text = self.need(field, name)?;
                    text.parse::<Date>().map_err(|e| self.wrong(format!("{name}: {e}")))
                };
                let (first, last) = (day(&self.first, "first")?, day(&self.last, "last")?);
                if first > last {
                    return Err(self.wrong("the first day comes after the last"));
                }
                Ok(Kind::Date { slot, first, last })
            }
            "age" => {
                let of = self.need(&self.of, "of")?;
                let birth = before.iter().find(|a| a.name == of).map(|a| &a.kind);
                let Some(Kind::Date { slot, last, .. }) = birth else {
                    return Err(self.wrong(format!("`{of}` is no date before it")));
                };
                Ok(Kind::Age { slot: *slot, last: *last })
            }
            "number" => self.number().map(Kind::Number),
            "choice" => {
                let slot = self.slot()?;
                let distinct: BTreeSet<u64> = self.values.iter().map(|c| c.value).collect();
                let named = self.values.iter().all(|c| is_name(&c.name));
                if distinct.len() != self.values.len() || distinct.is_empty() || !named {
                    return Err(self.wrong("values need names and distinct numbers"));
                }
                let system = self.need(&self.system, "system")?;
                Ok(Kind::Choice { slot, system, values: self.values.clone() })
            }
            "codes" => self.codes(),
            other => Err(self.wrong(format!("kind `{other}` is unknown"))),
        }
    }

    fn number(&self) -> Result<Number, SchemaError> {
        let decimal = |field: &Option<String>, name| {
            let text = self.need(field, name)?;
            text.parse::<Decimal>().map_err(|e| self.wrong(format!("{name}: {e}")))
        };
        let digits = self.need(&self.digits, "digits")?;
        let (min, max) = (decimal(&self.min, "min")?, decimal(&self.max, "max")?);
        if min.scaled(digits).is_none() || max.scaled(digits).is_none() || min > max {
            return Err(
                self.wrong(format!("bounds must ascend and have at most {digits} digits after the point"))
            );
        }
        let conversion = |raw: &RawConversion| {
            let by = raw.multiply.parse::<Decimal>().map_err(|e| self.wrong(format!("conversion: {e}")))?;
            let positive = by > Decimal::default();
            positive
                .then_some((raw.unit.clone(), by))
                .ok_or_else(|| self.wrong("a conversion is not positive"))
        };
        Ok(Number {
            slot: self.slot()?,
            unit: self.need(&self.unit, "unit")?,
            digits,
            min,
            max,
            conversions: self.conversions.iter().map(conversion).collect::<Result<_, _>>()?,
            refused_units: self.refused_units.clone(),
        })
    }

    fn codes(&self) -> Result<Kind, SchemaError> {
        let slots = self.need(&self.capacity, "capacity")?.saturating_add(2);
        let run = Run::new(self.slot()?, slots).map_err(|e| self.wrong(e.to_string()))?;
        let system = self.need(&self.system, "system")?;
        Ok(Kind::Codes { run, system, dot_after: self.dot_after })
    }
}

/// Names must be names and distinct; no slot may have two meanings.
fn check_disjoint(attributes: &[Attribute]) -> Result<(), SchemaError> {
    let (mut names, mut slots) = (BTreeSet::new(), BTreeSet::new());
    for attribute in attributes {
        let wrong = |reason: String| SchemaError::Attribute { attribute: attribute.name.clone(), reason };
        for name in std::iter::once(&attribute.name).chain(&attribute.aliases) {
            if !is_name(name) || RESERVED.contains(&name.as_str()) || !names.insert(name.clone()) {
                return Err(wrong(format!("`{name}` is no name (a-z, 0-9, _), or is taken")));
            }
        }
        if let Some(twice) = attribute.kind.slots().into_iter().find(|slot| !slots.insert(*slot)) {
            return Err(wrong(format!("slot {twice} has two meanings")));
        }
    }
    Ok(())
}

/// Words of the language, which name no attribute.
pub(in crate::criteria) const RESERVED: [&str; 7] = ["and", "or", "not", "in", "between", "within", "days"];

fn is_name(name: &str) -> bool {
    let rest = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    name.len() <= 64 && name.bytes().all(rest) && name.starts_with(|c: char| c.is_ascii_lowercase())
}
