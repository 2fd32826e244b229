//! The catalogue: what can be asked about, and of whom.

use std::collections::BTreeMap;

use super::facts;
use crate::cli::output::table::{Align, Entry, Grid};
use crate::cli::output::terminal::{Style, Tone};
use crate::cli::output::text;
use crate::query::catalogue::{Catalogue, Column, ColumnKind, OutOfBounds, Publication, Table};

/// Hospitals that publish a table, with what each says of it.
type Holders<'a> = Vec<(&'a Publication, &'a Table)>;

/// All tables, one line each.
#[must_use]
pub fn catalogue(catalogue: &Catalogue, style: &Style) -> String {
    let mut tables: BTreeMap<&str, Holders<'_>> = BTreeMap::new();
    for publication in catalogue.hospitals.values() {
        for table in &publication.tables {
            tables.entry(&table.name).or_default().push((publication, table));
        }
    }
    let hospitals: Vec<String> = catalogue.hospitals.keys().cloned().collect();
    let head = facts(
        &[
            ("consortium", catalogue.consortium.clone()),
            ("hospitals", text::join(&hospitals)),
            ("floor", floor(catalogue.floor)),
        ],
        style,
    );
    if tables.is_empty() {
        return format!("{head}\nno tables are published\n");
    }
    let mut grid = Grid::new()
        .column("table", Align::Name)
        .column("hospitals", Align::Prose)
        .column("columns", Align::Number)
        .column("rows at most", Align::Number)
        .column("description", Align::Prose);
    for (name, holders) in &tables {
        let rows = holders.iter().fold(0u64, |sum, (_, t)| sum.saturating_add(t.rows_max));
        let names: Vec<String> = holders.iter().map(|(p, _)| p.hospital.clone()).collect();
        let described = holders.iter().map(|(_, t)| t.description.as_str()).find(|d| !d.is_empty());
        grid.row(vec![
            Entry::from(name),
            Entry::from(names.join(", ")),
            Entry::from(columns(holders).len().to_string()),
            Entry::from(style.numbers.count(rows)),
            Entry::from(described.unwrap_or("")),
        ]);
    }
    format!("{head}\n{}", grid.render(style))
}

/// One table: its columns, then its hospitals. `None` when no hospital publishes it.
#[must_use]
pub fn table(catalogue: &Catalogue, name: &str, style: &Style) -> Option<String> {
    let holders: Holders<'_> =
        catalogue.hospitals.values().filter_map(|p| p.table(name).map(|t| (p, t))).collect();
    let (_, first) = holders.first()?;
    let described = holders.iter().map(|(_, t)| t.description.as_str()).find(|d| !d.is_empty());
    let head = facts(
        &[
            ("table", first.name.clone()),
            ("about", described.unwrap_or("").to_owned()),
            ("consortium", catalogue.consortium.clone()),
            ("floor", floor(catalogue.floor)),
        ],
        style,
    );
    let (columns, disagreeing) = column_table(&holders, style);
    let mut out = format!("{head}\n{columns}\n{}", holder_table(&holders, style));
    if let Some(proofs) = proof_table(&holders, style) {
        out.push_str(&format!("\n{proofs}"));
    }
    if !disagreeing.is_empty() {
        let note = format!(
            "hospitals publish different definitions of {}; a query is planned with those that agree",
            text::join(&disagreeing)
        );
        out.push_str(&format!("\n{}", style.paint(Tone::Warn, &text::wrap(&note, style.width, ""))));
    }
    Some(out)
}

fn floor(k: u32) -> String {
    format!("{k} (a hospital withholds a cell with fewer of its rows)")
}

/// The columns any holder publishes, in the order they are first met, with their holders.
fn columns<'a>(holders: &Holders<'a>) -> Vec<(&'a Column, Vec<(&'a str, &'a Column)>)> {
    let mut out: Vec<(&Column, Vec<(&str, &Column)>)> = Vec::new();
    for (publication, table) in holders {
        for column in &table.columns {
            let held = (publication.hospital.as_str(), column);
            match out.iter_mut().find(|(c, _)| c.name == column.name) {
                Some((_, by)) => by.push(held),
                None => out.push((column, vec![held])),
            }
        }
    }
    out
}

/// The table of columns, and the names of those on which hospitals disagree.
fn column_table(holders: &Holders<'_>, style: &Style) -> (String, Vec<String>) {
    let columns = columns(holders);
    let everywhere = columns.iter().all(|(_, by)| by.len() == holders.len());
    let mut grid = Grid::new()
        .column("column", Align::Name)
        .column("kind", Align::Name)
        .column("unit", Align::Name)
        .column("values", Align::Prose);
    if !everywhere {
        grid = grid.column("hospitals", Align::Prose);
    }
    grid = grid.column("description", Align::Prose);
    let mut disagreeing = Vec::new();
    for (column, by) in &columns {
        if by.iter().any(|(_, other)| !column.agrees_with(other)) {
            disagreeing.push(column.name.clone());
        }
        let mut entries = vec![
            Entry::from(&column.name),
            Entry::from(kind(column)),
            Entry::from(&column.unit),
            Entry::from(values(column, style)),
        ];
        if !everywhere {
            let names: Vec<&str> = by.iter().map(|(name, _)| *name).collect();
            let all = by.len() == holders.len();
            entries.push(Entry::from(if all { "all".to_owned() } else { names.join(", ") }));
        }
        entries.push(Entry::from(&column.description));
        grid.row(entries);
    }
    (grid.render(style), disagreeing)
}

fn kind(column: &Column) -> String {
    match column.kind {
        ColumnKind::Integer => "integer".to_owned(),
        ColumnKind::Real => {
            format!("real, {} digit{}", column.digits, if column.digits == 1 { "" } else { "s" })
        }
        ColumnKind::Category => "category".to_owned(),
        ColumnKind::Identifier => "identifier".to_owned(),
    }
}

/// Bounds or codes.
fn values(column: &Column, style: &Style) -> String {
    if column.kind == ColumnKind::Category {
        return column.codes.join(", ");
    }
    if column.kind == ColumnKind::Identifier {
        return String::new();
    }
    let number = |v: i64| style.numbers.exact(&v.to_string(), column.digits);
    let clamped = if column.out_of_bounds == OutOfBounds::Clamp { ", clamped" } else { "" };
    format!("{} to {}{clamped}", number(column.min), number(column.max))
}

fn holder_table(holders: &Holders<'_>, style: &Style) -> String {
    let mut grid = Grid::new()
        .column("hospital", Align::Name)
        .column("rows at most", Align::Number)
        .column("floor", Align::Number)
        .column("data use", Align::Prose)
        .column("version", Align::Name);
    for (publication, table) in holders {
        let version: String = table.dataset_version.chars().take(12).collect();
        grid.row(vec![
            Entry::from(&publication.hospital),
            Entry::from(style.numbers.count(table.rows_max)),
            Entry::from(publication.floor.to_string()),
            Entry::from(table.data_use.join(", ")),
            Entry::from(version),
        ]);
    }
    grid.render(style)
}

/// What hospitals prove contributions over (`WITH PROOFS`): a question needs all of its hospitals in one line. None where
/// nobody proves anything.
fn proof_table(holders: &Holders<'_>, style: &Style) -> Option<String> {
    let mut lines: BTreeMap<_, Vec<&str>> = BTreeMap::new();
    for (publication, table) in holders {
        for rows in &table.proofs {
            let what = (&rows.columns, &rows.value, &rows.statement, rows.key);
            lines.entry(what).or_default().push(&publication.hospital);
        }
    }
    let mut grid = Grid::new()
        .column("proved by", Align::Prose)
        .column("conditions on", Align::Prose)
        .column("sum of", Align::Name)
        .column("statement", Align::Name)
        .column("key", Align::Name);
    for ((columns, value, statement, key), hospitals) in &lines {
        let key: String = key.to_string().chars().take(12).collect();
        grid.row(vec![
            Entry::from(hospitals.join(", ")),
            Entry::from(columns.join(", ")),
            Entry::from(value.as_deref().unwrap_or("")),
            Entry::from(statement.as_str()),
            Entry::from(key),
        ]);
    }
    (!lines.is_empty()).then(|| grid.render(style))
}
