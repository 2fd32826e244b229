//! Names to columns: which hospitals publish what the query needs, and whether they mean the same by it.

use std::collections::BTreeSet;

use super::super::ast::{HOSPITAL, Predicate, Query};
use super::super::catalogue::{Catalogue, Column, ColumnKind, IDENTIFIER_MAX, Table};
use super::super::error::QueryError;
use super::super::needs::{columns_of, found};
use super::super::plan::GroupColumn;
use super::super::suggest;
use super::{Result, statistics};

/// Most hospitals of one plan: a mask of them is one slot.
pub const HOSPITALS_MAX: usize = 60;

/// Most decimal places of a column: 10^18 is the largest power in 64 bits.
const DIGITS_MAX: u8 = 18;

/// What the names of a query stand for.
pub(super) struct Resolved {
    pub columns: Vec<Column>,
    pub hospitals: Vec<String>,
    pub left_out: Vec<(String, String)>,
    pub rows_max: u128,
    /// Bound on the rows of each hospital.
    pub rows: Vec<u64>,
    /// Most rows of one patient, at any hospital.
    pub rows_per_patient: u32,
}

pub(super) fn resolve(query: &Query, catalogue: &Catalogue) -> Result<Resolved> {
    let published: Vec<(&String, &Table)> = catalogue
        .hospitals
        .iter()
        .filter_map(|(name, publication)| Some((name, publication.table(&query.table)?)))
        .collect();
    if published.is_empty() {
        let tables = catalogue.hospitals.values().flat_map(|p| &p.tables).map(|t| t.name.as_str());
        let tables: BTreeSet<&str> = tables.collect();
        return Err(QueryError::UnknownTable {
            table: query.table.clone(),
            hint: suggest::hint(&query.table, tables),
        });
    }
    let needed = needed(query)?;
    for name in &needed {
        known(name, &query.table, &published)?;
    }
    let (mut holders, mut left_out) = (Vec::new(), Vec::new());
    for (hospital, table) in published {
        let missing: Vec<&str> = needed.iter().copied().filter(|n| table.column(n).is_none()).collect();
        if missing.is_empty() {
            holders.push((hospital, table));
        } else {
            left_out.push((hospital.clone(), format!("does not publish {}", missing.join(", "))));
        }
    }
    if holders.is_empty() {
        let columns = needed.into_iter().collect::<Vec<_>>().join(", ");
        return Err(QueryError::NoHospital { table: query.table.clone(), columns });
    }
    if holders.len() > HOSPITALS_MAX {
        return Err(QueryError::Limit {
            what: "hospitals of one query".into(),
            count: holders.len() as u64,
            limit: HOSPITALS_MAX as u64,
            hint: String::new(),
        });
    }
    let columns = needed.iter().map(|name| agreed(name, &holders)).collect::<Result<_>>()?;
    let rows_max = holders.iter().map(|(_, t)| u128::from(t.rows_max)).sum::<u128>().max(1);
    let rows = holders.iter().map(|(_, t)| t.rows_max).collect();
    let rows_per_patient = holders.iter().map(|(_, t)| t.rows_per_patient_max).max().unwrap_or(1);
    let hospitals = holders.into_iter().map(|(hospital, _)| hospital.clone()).collect();
    Ok(Resolved { columns, hospitals, left_out, rows_max, rows, rows_per_patient })
}

impl Resolved {
    /// The codes of a group column.
    pub fn group(&self, name: &str) -> Result<GroupColumn> {
        if name == HOSPITAL {
            return Ok(GroupColumn { column: name.to_owned(), codes: self.hospitals.clone() });
        }
        let column = self.columns.iter().find(|c| c.name == name);
        let codes = column.and_then(Column::group_codes).filter(|codes| !codes.is_empty());
        match (column, codes) {
            (Some(_), Some(codes)) => Ok(GroupColumn { column: name.to_owned(), codes }),
            _ => Err(QueryError::WrongKind {
                column: name.to_owned(),
                place_in_query: "GROUP BY".into(),
                needed: "a category, or whole numbers with at most 64 values".into(),
                found: column.map(found).unwrap_or_default(),
                hint: "HISTOGRAM shows the distribution of a number".into(),
            }),
        }
    }
}

/// The columns a query needs, sorted; the virtual column only where it may stand.
fn needed(query: &Query) -> Result<BTreeSet<&str>> {
    let mut names: BTreeSet<&str> = statistics(query).flat_map(columns_of).collect();
    if let Some(filter) = &query.filter {
        filter_columns(filter, &mut names);
    }
    if names.contains(HOSPITAL) {
        return Err(QueryError::Unsupported {
            construct: "`hospital` in a statistic or condition".into(),
            hint: "GROUP BY hospital gives the statistics of each hospital".into(),
            place: None,
        });
    }
    names.extend(query.group_by.iter().map(String::as_str).filter(|name| *name != HOSPITAL));
    Ok(names)
}

fn filter_columns<'a>(predicate: &'a Predicate, names: &mut BTreeSet<&'a str>) {
    match predicate {
        Predicate::And(parts) | Predicate::Or(parts) => {
            for part in parts {
                filter_columns(part, names);
            }
        }
        Predicate::Not(inner) => filter_columns(inner, names),
        Predicate::Compare { column, .. }
        | Predicate::Between { column, .. }
        | Predicate::In { column, .. }
        | Predicate::IsNull { column } => {
            names.insert(column);
        }
    }
}

fn known(name: &str, table: &str, published: &[(&String, &Table)]) -> Result<()> {
    let columns: BTreeSet<&str> =
        published.iter().flat_map(|(_, t)| &t.columns).map(|c| c.name.as_str()).collect();
    if columns.contains(name) {
        return Ok(());
    }
    let hint = suggest::hint(name, columns);
    Err(QueryError::UnknownColumn { column: name.to_owned(), table: table.to_owned(), hint })
}

/// The one definition of a column that all hospitals publish.
fn agreed(name: &str, holders: &[(&String, &Table)]) -> Result<Column> {
    let mut definitions = holders.iter().filter_map(|(hospital, t)| Some((*hospital, t.column(name)?)));
    let (first, column) = definitions.next().ok_or_else(|| QueryError::UnknownColumn {
        column: name.to_owned(),
        table: String::new(),
        hint: String::new(),
    })?;
    for (hospital, other) in definitions {
        if !column.agrees_with(other) {
            let (field, values) = difference(column, other);
            return Err(QueryError::Conflict {
                column: name.to_owned(),
                field: field.to_owned(),
                hospitals: Box::new([first.clone(), hospital.clone()]),
                values: Box::new(values),
            });
        }
    }
    sound(column)?;
    Ok(Column { description: String::new(), ..column.clone() })
}

/// The first field in which two definitions differ, with both values.
fn difference(a: &Column, b: &Column) -> (&'static str, [String; 2]) {
    let fields = |c: &Column| {
        [
            ("kind", format!("{:?}", c.kind).to_lowercase()),
            ("number of decimal places", c.digits.to_string()),
            ("unit", format!("`{}`", c.unit)),
            ("smallest value", c.min.to_string()),
            ("largest value", c.max.to_string()),
            ("list of codes", c.codes.join(", ")),
            ("treatment of values out of bounds", format!("{:?}", c.out_of_bounds).to_lowercase()),
        ]
    };
    fields(a)
        .into_iter()
        .zip(fields(b))
        .find(|(x, y)| x.1 != y.1)
        .map_or(("definition", [String::new(), String::new()]), |(x, y)| (x.0, [x.1, y.1]))
}

/// A definition that could not size an encoding is refused.
fn sound(column: &Column) -> Result<()> {
    let codes: BTreeSet<&String> = column.codes.iter().collect();
    let problem = match column.kind {
        ColumnKind::Category if column.codes.is_empty() || codes.len() != column.codes.len() => {
            "its codes are not a list of different texts"
        }
        ColumnKind::Identifier if (column.min, column.max) != (0, IDENTIFIER_MAX) => {
            "its bounds are not a hash's"
        }
        ColumnKind::Integer | ColumnKind::Real if column.min > column.max => "its bounds are not ascending",
        ColumnKind::Integer if column.digits != 0 => "whole numbers have no decimal places",
        ColumnKind::Real if column.digits > DIGITS_MAX => "it has too many decimal places",
        _ => return Ok(()),
    };
    Err(QueryError::Definition { column: column.name.clone(), message: problem.to_owned() })
}
