//! The criteria language: what a trial asks of a patient, as text that people read and circuits compute.
//!
//! ```text
//! age between 18 and 75 and hba1c >= 6.5 [%] and dx in (E11.*) and not rx in (A10A*)
//! ```
//!
//! [`Criteria::parse`] looks every name, unit and value up in the [`Schema`] and gives an AND of ORs; its
//! `Display` is the canonical text, which parses to the same criteria and whose hash is
//! [`Criteria::text_id`]. [`Criteria::lower`] makes the circuit's criteria of it, at an evaluation date; [`Criteria::explain`]
//! says what the issuer must assert for each clause.
//!
//! What was not recorded meets no clause, however the clause is phrased: neither `smoker = yes` nor `smoker != yes`
//! holds for a patient whose smoking status is unknown, and `not dx in (E11.*)` holds only where the issuer asserts that
//! the list of diagnoses is complete.

mod canonical;
mod code;
mod date;
mod decimal;
mod error;
mod explain;
mod lex;
mod lower;
mod normal;
mod parse;
mod resolve;
mod schema;
mod suggest;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use canonical::TextId;
pub use code::{CODE_CHARS_MAX, Code, CodeRange, NotACode};
pub use date::{Date, NotADate};
pub use decimal::{DIGITS_MAX, Decimal, NotADecimal};
pub use error::{CriteriaError, Fault};
pub use explain::Explanation;
pub use lex::TEXT_BYTES_MAX;
pub use lower::{Lowered, Unmet};
pub use resolve::{AGE_YEARS_MAX, WITHIN_DAYS_MAX};
pub use schema::{
    Attribute, Choice, Fhir, Kind, Number, SCHEMA_BYTES_MAX, SCHEMA_JSON, Schema, SchemaError, SchemaId,
};

use self::error::At;
use crate::eligibility::CLAUSES_MAX;

/// Criteria: an AND of ORs of clauses, checked against a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Criteria {
    schema: Arc<Schema>,
    groups: Vec<Vec<Clause>>,
}

/// One test of one attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// Index of the attribute in [`Schema::attributes`].
    pub(crate) attribute: usize,
    /// The test.
    pub(crate) test: Test,
}

/// A value that a clause compares with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Value {
    /// A number in the schema's unit, or an age in years.
    Number(Decimal),
    /// A day.
    Date(Date),
    /// One of the schema's values.
    Choice {
        /// What stands in the slot.
        number: u64,
        /// Its name.
        name: String,
    },
}

/// What a clause asks of its attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Test {
    /// `>=`
    AtLeast(Value),
    /// `<=`
    AtMost(Value),
    /// `>`
    Above(Value),
    /// `<`
    Below(Value),
    /// `=`
    Equal(Value),
    /// `!=`
    NotEqual(Value),
    /// `between`, both ends in it.
    Between(Value, Value),
    /// `not between`
    NotBetween(Value, Value),
    /// `in`, sorted.
    In(Vec<Value>),
    /// `not in`, sorted.
    NotIn(Vec<Value>),
    /// `within N days` up to the evaluation.
    WithinDays(u32),
    /// `not within N days` up to the evaluation.
    NotWithinDays(u32),
    /// A code of the list lies in one of these.
    AnyCode(Vec<CodeRange>),
    /// The list is complete, and no code of it lies in any of these.
    NoCode(Vec<CodeRange>),
}

impl Criteria {
    /// Reads criteria.
    ///
    /// # Errors
    /// [`CriteriaError`] with the place in the text, and a hint.
    pub fn parse(text: &str, schema: &Arc<Schema>) -> Result<Self, CriteriaError> {
        Self::read(text, schema).map_err(|at| at.within(text))
    }

    fn read(text: &str, schema: &Arc<Schema>) -> Result<Self, At> {
        let tokens = lex::lex(text)?;
        let tree = parse::Parser::new(&tokens).criteria()?;
        let groups = normal::groups(schema, &tree, text.trim_end().len())?;
        let criteria = Self { schema: Arc::clone(schema), groups };
        let count = criteria.clauses_count();
        if count > CLAUSES_MAX {
            let what = "clauses of the circuit, once the text is an AND of ORs".to_owned();
            let fault = Fault::Limit { what, count, limit: CLAUSES_MAX };
            return Err(At::new(fault, 0..text.trim_end().len()).hint(
                "every code or block in `not in` takes a clause of its own, and every alternative multiplies: name \
                 fewer, or a block that holds several (E10-E14)",
            ));
        }
        Ok(criteria)
    }

    /// The schema it was read with.
    #[must_use]
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// The groups, all of which must hold; of each, one clause must hold.
    #[must_use]
    pub fn groups(&self) -> &[Vec<Clause>] {
        &self.groups
    }

    /// The attribute a clause is about.
    #[must_use]
    pub fn attribute_of(&self, clause: &Clause) -> &Attribute {
        &self.schema.attributes()[clause.attribute]
    }
}

impl Clause {
    /// What is asked.
    #[must_use]
    pub fn test(&self) -> &Test {
        &self.test
    }

    fn negated(self) -> Self {
        Self { attribute: self.attribute, test: self.test.negated() }
    }
}

impl Test {
    /// The test that holds of a recorded value, or of a complete list, exactly when this one does not.
    #[must_use]
    pub fn negated(self) -> Self {
        match self {
            Self::AtLeast(v) => Self::Below(v),
            Self::AtMost(v) => Self::Above(v),
            Self::Above(v) => Self::AtMost(v),
            Self::Below(v) => Self::AtLeast(v),
            Self::Equal(v) => Self::NotEqual(v),
            Self::NotEqual(v) => Self::Equal(v),
            Self::Between(a, b) => Self::NotBetween(a, b),
            Self::NotBetween(a, b) => Self::Between(a, b),
            Self::In(values) => Self::NotIn(values),
            Self::NotIn(values) => Self::In(values),
            Self::WithinDays(days) => Self::NotWithinDays(days),
            Self::NotWithinDays(days) => Self::WithinDays(days),
            Self::AnyCode(ranges) => Self::NoCode(ranges),
            Self::NoCode(ranges) => Self::AnyCode(ranges),
        }
    }
}

/// The first characters of a text that somebody wrote, for a message.
pub(super) fn clip(text: &str) -> String {
    text.chars().take(60).map(|c| if c.is_control() { '?' } else { c }).collect()
}
