//! What a hospital sees of its own records: counts by default.

use std::collections::BTreeMap;

use serde::Serialize;

use super::facts;
use crate::cli::output::table::{Align, Entry, Grid};
use crate::cli::output::terminal::Style;

/// A table.
#[derive(Clone, Debug, Serialize)]
pub struct TablePreview {
    /// Its name.
    pub table: String,
    /// Format of its source.
    pub source: String,
    /// Rows.
    pub rows: u64,
    /// Distinct patients, where a column names them.
    pub patients: Option<u64>,
    /// Rows that name none.
    pub without_patient: u64,
    /// Items read of mapped records, by kind.
    pub read: BTreeMap<String, u64>,
    /// What was left out of them, by reason.
    pub left_out: BTreeMap<String, u64>,
    /// Its columns.
    pub columns: Vec<ColumnLine>,
    /// Rows, where they were asked for: texts of the source, by the catalogue's names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shown: Vec<Vec<Option<String>>>,
}

/// The version of a table.
#[derive(Clone, Debug, Serialize)]
pub struct TableVersion {
    /// Its name.
    pub table: String,
    /// Rows.
    pub rows: u64,
    /// The dataset version, hexadecimal.
    pub version: String,
}

/// Versions as text.
#[must_use]
pub fn versions(lines: &[TableVersion], style: &Style) -> String {
    let mut grid = Grid::new()
        .column("table", Align::Name)
        .column("rows", Align::Number)
        .column("dataset version", Align::Name);
    for line in lines {
        let entries =
            [Entry::from(&line.table), Entry::from(line.rows.to_string()), Entry::from(&line.version)];
        grid.row(entries.into_iter().collect());
    }
    grid.render(style)
}

/// A column.
#[derive(Clone, Debug, Serialize)]
pub struct ColumnLine {
    /// Its name.
    pub column: String,
    /// Its kind.
    pub kind: String,
    /// The bounds that are published.
    pub bounds: Option<String>,
    /// Round bounds that would fit what is there.
    pub fitting: Option<String>,
    /// No value.
    pub missing: u64,
    /// Texts that are no number.
    pub no_number: u64,
    /// Texts that are no code.
    pub no_code: u64,
    /// Numbers out of bounds.
    pub out_of_bounds: u64,
}

/// As text.
#[must_use]
pub fn preview(view: &TablePreview, style: &Style) -> String {
    let counts = |counts: &BTreeMap<String, u64>| {
        counts.iter().map(|(what, n)| format!("{n} {what}")).collect::<Vec<_>>().join(", ")
    };
    let patients = match (view.patients, view.without_patient) {
        (None, _) => String::new(),
        (Some(n), 0) => n.to_string(),
        (Some(n), without) => format!("{n}, and {without} rows without one"),
    };
    let facts = facts(
        &[
            ("table", view.table.clone()),
            ("source", view.source.clone()),
            ("rows", view.rows.to_string()),
            ("patients", patients),
            ("read", counts(&view.read)),
            ("left out", counts(&view.left_out)),
        ],
        style,
    );
    let mut grid = Grid::new()
        .columns(Align::Name, &["column", "kind", "bounds", "would fit"])
        .columns(Align::Number, &["missing", "no number", "no code", "out of bounds"]);
    for c in &view.columns {
        let text = |text: &Option<String>| Entry::from(text.as_deref().unwrap_or(""));
        let number = |n: u64| Entry::from(n.to_string());
        let (name, kind) = (Entry::from(&c.column), Entry::from(&c.kind));
        let counts = [c.missing, c.no_number, c.no_code, c.out_of_bounds].map(number);
        grid.row([name, kind, text(&c.bounds), text(&c.fitting)].into_iter().chain(counts).collect());
    }
    let mut out = format!("{facts}\n{}", grid.render(style));
    if !view.shown.is_empty() {
        let mut rows = Grid::new();
        for c in &view.columns {
            rows = rows.column(&c.column, Align::Name);
        }
        for row in &view.shown {
            rows.row(row.iter().map(|field| Entry::from(field.as_deref().unwrap_or(""))).collect());
        }
        out.push_str(&format!("\n{}", rows.render(style)));
    }
    out
}
