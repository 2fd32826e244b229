//! From what a source says to what the catalogue means: one value at a time.

use std::collections::{BTreeSet, HashMap};

use polars::prelude::{
    Column as Series, DataType, Int64Chunked, IntoColumn, NewChunkedArray, PolarsResult, polars_err,
};

use super::config::{ColumnConfig, TableConfig};
use super::decimal::{Decimal, SATURATED, fixed_of_f64};
use crate::encoding::separated;
use crate::query::catalogue::ColumnKind;

/// A mapped value, before the bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mapped {
    /// There is none.
    Missing,
    /// There is a text which is no number; counts as missing.
    Unparseable,
    /// There is a text which is no code; counts as out of bounds.
    Unmapped,
    /// The fixed-point number, or the index of the code.
    Value(i64),
}

impl Mapped {
    /// What the local step sees: `None` for a missing value, a number beyond every bound for a text that is
    /// no code.
    #[must_use]
    pub fn value(self) -> Option<i64> {
        match self {
            Self::Missing | Self::Unparseable => None,
            Self::Unmapped => Some(SATURATED),
            Self::Value(value) => Some(value),
        }
    }
}

/// How one column is mapped.
#[derive(Clone, Debug)]
pub struct Mapping {
    null_values: BTreeSet<String>,
    values: HashMap<String, Mapped>,
    numeric: Option<Numeric>,
    is_identifier: bool,
    /// Numbers need no look at texts: nothing is converted, renamed or a number that means missing.
    is_plain: bool,
}

#[derive(Clone, Copy, Debug)]
struct Numeric {
    digits: u8,
    scale: Decimal,
    offset: Decimal,
}

impl Numeric {
    fn fixed(self, decimal: Decimal) -> i64 {
        decimal.convert(self.scale, self.offset).to_fixed(self.digits)
    }
}

/// What stands for an identifier on shares: 62 bits of its hash. Two of a million identifiers fall together with a
/// probability of one in ten million.
fn identifier(text: &str) -> i64 {
    let digest = separated("identifier/1", &[text.as_bytes()]).0;
    let mut head = [0; 8];
    head.copy_from_slice(&digest[..8]);
    (u64::from_be_bytes(head) >> 2) as i64
}

impl Mapping {
    /// The mapping of a table's column.
    #[must_use]
    pub fn new(table: &TableConfig, config: &ColumnConfig) -> Self {
        let column = &config.column;
        let is_identifier = column.kind == ColumnKind::Identifier;
        let numeric = matches!(column.kind, ColumnKind::Integer | ColumnKind::Real).then_some(Numeric {
            digits: column.digits,
            scale: config.scale,
            offset: config.offset,
        });
        let code = |text: &String| match column.codes.iter().position(|c| c == text) {
            Some(index) => Mapped::Value(index as i64),
            None => Mapped::Unmapped,
        };
        let mut values: HashMap<String, Mapped> = HashMap::new();
        for text in &column.codes {
            values.insert(text.clone(), code(text));
        }
        for (raw, text) in &config.values {
            let mapped = match numeric {
                Some(numeric) => match Decimal::parse(text) {
                    Some(decimal) => Mapped::Value(numeric.fixed(decimal)),
                    None => Mapped::Unparseable,
                },
                None => code(text),
            };
            values.insert(raw.clone(), mapped);
        }
        let is_plain = values.is_empty()
            && config.scale == Decimal::ONE
            && config.offset.is_zero()
            && table.null_values.iter().all(|text| Decimal::parse(text).is_none());
        Self { null_values: table.null_values.clone(), values, numeric, is_identifier, is_plain }
    }

    /// Maps a text.
    #[must_use]
    pub fn text(&self, raw: &str) -> Mapped {
        let text = raw.trim();
        if text.is_empty() || self.null_values.contains(text) {
            return Mapped::Missing;
        }
        if let Some(mapped) = self.values.get(text) {
            return *mapped;
        }
        match self.numeric {
            None if self.is_identifier => Mapped::Value(identifier(text)),
            None => Mapped::Unmapped,
            Some(numeric) => match Decimal::parse(text) {
                Some(decimal) => Mapped::Value(numeric.fixed(decimal)),
                None => Mapped::Unparseable,
            },
        }
    }

    /// Maps a double. As a text it is written `2`; where that is no code, `2.0` is tried.
    #[must_use]
    pub fn float(&self, value: f64) -> Mapped {
        if !value.is_finite() {
            return Mapped::Missing;
        }
        match self.numeric {
            Some(numeric) if self.is_plain => {
                fixed_of_f64(value, numeric.digits).map_or(Mapped::Missing, Mapped::Value)
            }
            _ => self.either(&value.to_string(), &format!("{value:?}")),
        }
    }

    /// Maps a single-precision float as its own shortest text.
    #[must_use]
    pub fn single(&self, value: f32) -> Mapped {
        if value.is_finite() {
            self.either(&value.to_string(), &format!("{value:?}"))
        } else {
            Mapped::Missing
        }
    }

    /// Maps an integer.
    #[must_use]
    pub fn integer(&self, value: i64) -> Mapped {
        match self.numeric {
            Some(numeric) if self.is_plain => {
                let fixed = value.saturating_mul(10i64.pow(u32::from(numeric.digits)));
                Mapped::Value(fixed.max(-SATURATED))
            }
            _ => self.text(&value.to_string()),
        }
    }

    /// Maps a truth value: `true` and `false`, else 1 and 0.
    #[must_use]
    pub fn boolean(&self, value: bool) -> Mapped {
        if value { self.either("true", "1") } else { self.either("false", "0") }
    }

    fn either(&self, first: &str, second: &str) -> Mapped {
        match self.text(first) {
            Mapped::Unmapped | Mapped::Unparseable => self.text(second),
            mapped if self.values.contains_key(first) => mapped,
            _ if self.values.contains_key(second) || self.null_values.contains(second) => self.text(second),
            mapped => mapped,
        }
    }

    /// Maps a column of a frame, value by value.
    ///
    /// # Errors
    /// A Polars schema error when the column is of a type that has no mapping (dates, lists, ...).
    pub fn column(&self, series: &Series) -> PolarsResult<Vec<Mapped>> {
        let map = |mapped: Option<Mapped>| mapped.unwrap_or(Mapped::Missing);
        Ok(match series.dtype() {
            DataType::String => series.str()?.iter().map(|v| map(v.map(|v| self.text(v)))).collect(),
            DataType::Float64 => series.f64()?.iter().map(|v| map(v.map(|v| self.float(v)))).collect(),
            DataType::Float32 => series.f32()?.iter().map(|v| map(v.map(|v| self.single(v)))).collect(),
            DataType::Boolean => series.bool()?.iter().map(|v| map(v.map(|v| self.boolean(v)))).collect(),
            DataType::Int64 => series.i64()?.iter().map(|v| map(v.map(|v| self.integer(v)))).collect(),
            DataType::UInt64 => {
                series.u64()?.iter().map(|v| map(v.map(|v| self.text(&v.to_string())))).collect()
            }
            DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::UInt8
            | DataType::UInt16
            | DataType::UInt32 => {
                let wide = series.cast(&DataType::Int64)?;
                wide.i64()?.iter().map(|v| map(v.map(|v| self.integer(v)))).collect()
            }
            DataType::Null => vec![Mapped::Missing; series.len()],
            other => return Err(polars_err!(SchemaMismatch: "no mapping for a column of type {other}")),
        })
    }

    /// As [`Self::column`], as the column of 64-bit integers that the bounds apply to.
    ///
    /// # Errors
    /// As [`Self::column`].
    pub fn fixed_column(&self, series: &Series) -> PolarsResult<Series> {
        let values = self.column(series)?;
        let name = series.name().clone();
        Ok(Int64Chunked::from_iter_options(name, values.into_iter().map(Mapped::value)).into_column())
    }
}

/// True for the types of source columns that have a mapping.
pub(super) fn is_supported(dtype: &DataType) -> bool {
    matches!(
        dtype,
        DataType::String
            | DataType::Float64
            | DataType::Float32
            | DataType::Boolean
            | DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::UInt8
            | DataType::UInt16
            | DataType::UInt32
            | DataType::UInt64
            | DataType::Null
    )
}
