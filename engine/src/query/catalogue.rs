//! The catalogue: what hospitals publish about their tables, never about their rows.
//!
//! Every hospital publishes a [`Publication`]; the engine merges them into a [`Catalogue`]. Bounds and digits
//! size the fixed-point encoding (design, section 5): a value `v` of a column with `digits = d` is the integer
//! `round(v * 10^d)`, and overflow is excluded at planning from `rows_max` and the bounds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::encoding::Digest;

/// What kind of values a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnKind {
    /// Whole numbers (`digits` is 0).
    Integer,
    /// Fixed-point numbers with `digits` decimal places.
    Real,
    /// One of `codes`.
    Category,
    /// What tells patients apart (a national number, a linkage key). It is only ever compared, on shares: no
    /// condition, group or sum sees it.
    Identifier,
}

/// Largest value of a hashed identifier; the smallest is 0.
pub const IDENTIFIER_MAX: i64 = (1 << 62) - 1;

/// What happens to a value outside the bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutOfBounds {
    /// The value is left out, as a missing one, and counted.
    #[default]
    Reject,
    /// The value is set to the nearer bound, and counted.
    Clamp,
}

/// A published column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Name in the consortium's catalogue (lower case).
    pub name: String,
    /// Kind of value.
    pub kind: ColumnKind,
    /// Decimal places of the fixed point (0 for integers and categories).
    #[serde(default)]
    pub digits: u8,
    /// Unit, for people (`d`, `kg/m2`, `%`); empty when there is none.
    #[serde(default)]
    pub unit: String,
    /// Smallest value, in fixed point (categories: 0).
    #[serde(default)]
    pub min: i64,
    /// Largest value, in fixed point (categories: number of codes - 1).
    #[serde(default)]
    pub max: i64,
    /// The codes of a category, in their order; the first is the reference level of a regression.
    #[serde(default)]
    pub codes: Vec<String>,
    /// What happens to values outside the bounds.
    #[serde(default)]
    pub out_of_bounds: OutOfBounds,
    /// One sentence for people.
    #[serde(default)]
    pub description: String,
}

/// A published table of one hospital.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Name in the consortium's catalogue (lower case).
    pub name: String,
    /// One sentence for people.
    #[serde(default)]
    pub description: String,
    /// Upper bound on the number of rows at this hospital; sizes the encoding, so it may be generous.
    pub rows_max: u64,
    /// Most rows of one patient that enter a query with noise; the hospital leaves out the others.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub rows_per_patient_max: u32,
    /// Class of the data, as consents and the audit trail name it; empty where the hospital names none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub data_class: String,
    /// Data-use tags (DUO codes).
    #[serde(default)]
    pub data_use: Vec<String>,
    /// Digest of the data behind the table, hexadecimal.
    pub dataset_version: String,
    /// The columns this hospital has.
    pub columns: Vec<Column>,
    /// What it proves contributions over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proofs: Vec<ProvedRows>,
}

/// Rows that a hospital proves contributions over: what it commits to before any question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvedRows {
    /// The statement (`ward/aggregate/1/512`).
    pub statement: String,
    /// Id of its key.
    pub key: Digest,
    /// One or two columns that conditions may read.
    pub columns: Vec<String>,
    /// The column that is summed; none where rows are only counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The root of the rows, salted; an element in 32 bytes.
    pub root: Digest,
}

fn one() -> u32 {
    1
}

fn is_one(rows: &u32) -> bool {
    *rows == 1
}

/// What one hospital publishes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publication {
    /// The hospital's enrolled name.
    pub hospital: String,
    /// The smallest cell this hospital releases (its own floor, at least the consortium's).
    pub floor: u32,
    /// Whether counts that its rows are in are rounded.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rounding: bool,
    /// Its tables.
    pub tables: Vec<Table>,
}

/// The consortium's catalogue: every hospital's publication, in the order of the hospitals' names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalogue {
    /// The consortium's name.
    pub consortium: String,
    /// The consortium's floor k: a cell under it is withheld by every hospital.
    pub floor: u32,
    /// Whether the consortium has all counts rounded.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rounding: bool,
    /// Publications by hospital.
    pub hospitals: BTreeMap<String, Publication>,
    /// The three compute nodes that the consortium chose, in the order of their roles; empty: the first three
    /// key holders.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub compute: Vec<String>,
}

impl Column {
    /// The number of codes a grouping by this column has, if it can group: categories, and integers with at
    /// most 64 values.
    #[must_use]
    pub fn group_codes(&self) -> Option<Vec<String>> {
        match self.kind {
            ColumnKind::Category => Some(self.codes.clone()),
            ColumnKind::Integer if self.max.checked_sub(self.min)? < 64 => {
                Some((self.min..=self.max).map(|v| v.to_string()).collect())
            }
            _ => None,
        }
    }

    /// True for a 0/1 column: a sum over it is a count of people.
    #[must_use]
    pub fn is_indicator(&self) -> bool {
        self.kind == ColumnKind::Integer && self.min == 0 && self.max == 1
    }

    /// How many values a numeric column has, where sums of its powers would count the people at each: two values by the
    /// sum, three by the sum and the sum of squares.
    #[must_use]
    pub fn few_values(&self) -> Option<usize> {
        let is_number = matches!(self.kind, ColumnKind::Integer | ColumnKind::Real);
        let span = self.max.checked_sub(self.min).filter(|span| is_number && (0..=2).contains(span))?;
        usize::try_from(span + 1).ok()
    }

    /// The published meaning agrees: everything but the description.
    #[must_use]
    pub fn agrees_with(&self, other: &Self) -> bool {
        Self { description: String::new(), ..self.clone() }
            == Self { description: String::new(), ..other.clone() }
    }
}

impl Table {
    /// The column of that name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|c| c.name == name)
    }
}

impl Publication {
    /// The table of that name.
    #[must_use]
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|t| t.name == name)
    }
}
