//! From a hospital's record to the slots of a credential, by a mapping file.
//!
//! ```toml
//! schema = "ward-eligibility-schema/1"
//! patient = "patient_id"
//! identity = "national_number"
//! null_values = ["", "NA"]
//!
//! [attribute.birth_date]
//! column = "dob"
//!
//! [attribute.sex]
//! column = "gender"
//! values = { M = "male", F = "female" }
//!
//! [attribute.hba1c]
//! column = "hba1c_pct"
//! unit = "%"
//!
//! [attribute.dx]
//! column = "icd10"
//! separator = ";"
//! complete = true
//! ```
//!
//! Nothing is guessed: a unit must be stated and known to the schema, a value outside its bounds refuses the record, and
//! a number with more digits than the schema keeps is refused unless the mapping says `round = true`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use ward_circuits::criteria::{Attribute, Code, Date, Decimal, Kind, Number, Schema};
use ward_circuits::eligibility::Attributes;
use zeroize::Zeroizing;

use super::records::{Record, RecordsError};

/// Largest mapping file read, in bytes.
pub const MAPPING_BYTES_MAX: usize = 1 << 18;
/// Most codes of one record's list that are read.
const CODES_MAX: usize = 4096;

/// A mapping that was checked against its schema.
#[derive(Clone, Debug)]
pub struct Mapping {
    schema: Arc<Schema>,
    /// The column of the patients' numbers.
    patient: String,
    /// The column of the identifiers that all issuers know.
    identity: String,
    delimiter: char,
    null_values: Vec<String>,
    rules: Vec<(usize, Rule)>,
}

/// A record, written into slots.
pub struct Mapped {
    /// The slots.
    pub attributes: Attributes,
    /// What the issuer should know, naming attributes and no values.
    pub notes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: String,
    patient: String,
    identity: Option<String>,
    #[serde(default = "comma")]
    delimiter: char,
    #[serde(default)]
    null_values: Vec<String>,
    attribute: BTreeMap<String, Rule>,
}

fn comma() -> char {
    ','
}

/// How one attribute is read.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    column: String,
    unit: Option<String>,
    #[serde(default)]
    round: bool,
    #[serde(default)]
    values: BTreeMap<String, String>,
    separator: Option<char>,
    complete: Option<bool>,
    complete_column: Option<String>,
}

/// Why a mapping is refused, or a record cannot be written into slots by it. No value of a record is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MappingError {
    /// Not a mapping.
    #[error("not a mapping: {reason}")]
    Malformed {
        /// What is malformed.
        reason: String,
    },
    /// A rule that the schema does not allow.
    #[error("attribute `{attribute}`: {reason}")]
    Rule {
        /// The attribute.
        attribute: String,
        /// Why.
        reason: String,
        /// What to do.
        hint: String,
    },
    /// A value that the schema does not allow.
    #[error("row {row}, column `{column}`: {reason}")]
    Value {
        /// Row, the header being row 1.
        row: usize,
        /// The column.
        column: String,
        /// Why.
        reason: String,
    },
    /// The record lacks a column.
    #[error(transparent)]
    Records(#[from] RecordsError),
}

impl Mapping {
    /// Reads a mapping file.
    ///
    /// # Errors
    /// [`MappingError::Malformed`], or [`MappingError::Rule`] for what the schema does not allow.
    pub fn parse(text: &str, schema: &Arc<Schema>) -> Result<Self, MappingError> {
        let malformed = |reason: String| MappingError::Malformed { reason };
        if text.len() > MAPPING_BYTES_MAX {
            return Err(malformed(format!("{} bytes, at most {MAPPING_BYTES_MAX}", text.len())));
        }
        let file: File = toml::from_str(text).map_err(|e| malformed(e.to_string()))?;
        if file.schema != "ward-eligibility-schema/1" {
            return Err(malformed("this version maps to ward-eligibility-schema/1".to_owned()));
        }
        if file.delimiter == '"' || file.delimiter.is_control() && file.delimiter != '\t' {
            return Err(malformed("the delimiter is no character that separates fields".to_owned()));
        }
        let mut rules = Vec::new();
        for (name, rule) in file.attribute {
            let index = schema.attributes().iter().position(|a| a.name == name);
            let index = index.ok_or_else(|| {
                let names: Vec<&str> = schema.attributes().iter().map(|a| a.name.as_str()).collect();
                refuse(&name, "the schema has no such attribute", format!("there are: {}", names.join(", ")))
            })?;
            rule.check(&schema.attributes()[index])?;
            rules.push((index, rule));
        }
        let identity = file.identity.unwrap_or_else(|| file.patient.clone());
        let (patient, delimiter, null_values) = (file.patient, file.delimiter, file.null_values);
        Ok(Self { schema: Arc::clone(schema), patient, identity, delimiter, null_values, rules })
    }

    /// The column of the patients' numbers.
    #[must_use]
    pub fn patient_column(&self) -> &str {
        &self.patient
    }

    /// The column of the identifiers by which all issuers name a patient (a national number); that of the patients'
    /// numbers unless the mapping says otherwise.
    #[must_use]
    pub fn identity_column(&self) -> &str {
        &self.identity
    }

    /// What separates the fields of a row.
    #[must_use]
    pub fn delimiter(&self) -> char {
        self.delimiter
    }

    /// The schema.
    #[must_use]
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// Writes a record into slots. `today` is the day of issue: no date may lie after it.
    ///
    /// # Errors
    /// [`MappingError::Value`] with row and column, never the value.
    pub fn apply(&self, record: &Record, today: Date) -> Result<Mapped, MappingError> {
        let mut mapped = Mapped { attributes: Attributes::new(), notes: Vec::new() };
        for (index, rule) in &self.rules {
            let attribute = &self.schema.attributes()[*index];
            let text = record.value(&rule.column)?;
            let is_null = text.is_empty() || self.null_values.iter().any(|null| null == text);
            let reader = Reader { rule, attribute, row: record.row() };
            if let Kind::Codes { .. } = attribute.kind {
                let complete = self.is_complete(rule, record)?;
                reader.codes(if is_null { "" } else { text }, complete, &mut mapped)?;
            } else if !is_null {
                let (slot, value) = reader.number(text, today)?;
                mapped.attributes.set(slot, value);
            }
        }
        self.schema
            .check(&mapped.attributes)
            .map_err(|e| MappingError::Malformed { reason: e.to_string() })?;
        Ok(mapped)
    }

    fn is_complete(&self, rule: &Rule, record: &Record) -> Result<bool, MappingError> {
        let Some(column) = &rule.complete_column else { return Ok(rule.complete == Some(true)) };
        match record.value(column)?.to_ascii_lowercase().as_str() {
            "true" | "yes" | "1" => Ok(true),
            "false" | "no" | "0" | "" => Ok(false),
            _ => Err(MappingError::Value {
                row: record.row(),
                column: column.clone(),
                reason: "whether the list is complete is said by true or false".to_owned(),
            }),
        }
    }
}

fn refuse(attribute: &str, reason: impl Into<String>, hint: impl Into<String>) -> MappingError {
    MappingError::Rule { attribute: attribute.to_owned(), reason: reason.into(), hint: hint.into() }
}

impl Rule {
    fn check(&self, attribute: &Attribute) -> Result<(), MappingError> {
        let wrong = |reason: &str, hint: &str| refuse(&attribute.name, reason, hint);
        let is_codes = matches!(attribute.kind, Kind::Codes { .. });
        if !is_codes
            && (self.separator.is_some() || self.complete.is_some() || self.complete_column.is_some())
        {
            return Err(wrong("`separator` and `complete` are for lists of codes", ""));
        }
        if self.unit.is_some() && !matches!(attribute.kind, Kind::Number(_)) {
            return Err(wrong("it has no unit", "leave `unit` away"));
        }
        match &attribute.kind {
            Kind::Age { .. } => Err(wrong("an age is computed", "map `birth_date`")),
            Kind::Number(number) => self.check_unit(attribute, number),
            Kind::Choice { values, .. } => {
                let unknown = self.values.values().find(|value| !values.iter().any(|c| c.name == **value));
                let names: Vec<&str> = values.iter().map(|c| c.name.as_str()).collect();
                unknown.map_or(Ok(()), |value| {
                    let hint = format!("there are: {}", names.join(", "));
                    Err(refuse(&attribute.name, format!("`{value}` is none of its values"), hint))
                })
            }
            Kind::Codes { .. } if self.complete.is_some() && self.complete_column.is_some() => {
                Err(wrong("`complete` and `complete_column` exclude each other", ""))
            }
            _ => Ok(()),
        }
    }

    fn check_unit(&self, attribute: &Attribute, number: &Number) -> Result<(), MappingError> {
        let own = &number.unit;
        let Some(unit) = &self.unit else {
            if number.is_dimensionless() {
                return Ok(());
            }
            return Err(refuse(&attribute.name, "its unit is not stated", format!("unit = \"{own}\"")));
        };
        if unit == own || number.conversions.contains_key(unit) {
            return Ok(());
        }
        let hint = number.refused_units.get(unit).cloned().unwrap_or_default();
        Err(refuse(&attribute.name, format!("the schema keeps it in {own} and converts no {unit}"), hint))
    }
}

struct Reader<'r> {
    rule: &'r Rule,
    attribute: &'r Attribute,
    row: usize,
}

impl Reader<'_> {
    fn wrong(&self, reason: impl Into<String>) -> MappingError {
        MappingError::Value { row: self.row, column: self.rule.column.clone(), reason: reason.into() }
    }

    /// The value of a single slot.
    fn number(
        &self,
        text: &str,
        today: Date,
    ) -> Result<(ward_circuits::eligibility::SlotIndex, u64), MappingError> {
        match &self.attribute.kind {
            Kind::Date { slot, first, last } => {
                // An instant counts as its day.
                let day = text.get(..10).filter(|_| text.as_bytes().get(10) == Some(&b'T')).unwrap_or(text);
                let date = day.parse::<Date>().map_err(|e| self.wrong(e.to_string()))?;
                if date < *first || date > *last || date > today {
                    return Err(self.wrong(format!("a day from {first} to the day of issue is needed")));
                }
                Ok((*slot, date.days()))
            }
            Kind::Choice { slot, values, .. } => {
                let name = self.rule.values.get(text).map_or(text, String::as_str);
                let choice = values.iter().find(|choice| choice.name.eq_ignore_ascii_case(name));
                let choice = choice.ok_or_else(|| {
                    self.wrong(format!(
                        "it is none of the values of `{}`, nor mapped to one",
                        self.attribute.name
                    ))
                })?;
                Ok((*slot, choice.value))
            }
            Kind::Number(number) => {
                let mut value = text.parse::<Decimal>().map_err(|e| self.wrong(e.to_string()))?;
                if let Some(factor) = self.rule.unit.as_ref().and_then(|unit| number.conversions.get(unit)) {
                    value = value.times(*factor).ok_or_else(|| self.wrong("it has too many digits"))?;
                }
                if self.rule.round {
                    value = value.rounded(number.digits);
                }
                let encoded = number.encode(value).ok_or_else(|| {
                    let (min, max, digits, unit) = (number.min, number.max, number.digits, &number.unit);
                    self.wrong(format!(
                        "`{}` takes {min} to {max} [{unit}] with {digits} digits after the point",
                        self.attribute.name
                    ))
                })?;
                Ok((number.slot, encoded))
            }
            Kind::Age { .. } | Kind::Codes { .. } => Err(self.wrong("it is no single value")),
            _ => Err(self.wrong("its kind is not known here")),
        }
    }

    /// A list of codes. Codes beyond the capacity are left out, and the list is no longer called complete.
    fn codes(&self, text: &str, complete: bool, mapped: &mut Mapped) -> Result<(), MappingError> {
        let Kind::Codes { run, .. } = &self.attribute.kind else { return Ok(()) };
        let separator = self.rule.separator.unwrap_or(';');
        let mut codes: Zeroizing<Vec<u64>> = Zeroizing::new(Vec::new());
        for (index, part) in text.split(separator).map(str::trim).filter(|part| !part.is_empty()).enumerate()
        {
            let code =
                Code::parse(part).map_err(|e| self.wrong(format!("entry {}: {e}", index + 1)))?.value();
            if index >= CODES_MAX {
                return Err(self.wrong(format!("more than {CODES_MAX} entries")));
            }
            if !codes.contains(&code) {
                codes.push(code);
            }
        }
        let (capacity, name) = (run.len() - 2, &self.attribute.name);
        let fits = codes.len() <= capacity;
        if !fits {
            mapped.notes.push(format!(
                "`{name}`: {} codes, and {capacity} fit: the first {capacity} are asserted, and the list is not called \
                 complete, so that no `not in` clause can be shown",
                codes.len()
            ));
            codes.truncate(capacity);
        }
        let set = mapped.attributes.set_list(*run, &codes, complete && fits);
        set.map_err(|e| self.wrong(e.to_string()))
    }
}

#[cfg(test)]
mod tests;
