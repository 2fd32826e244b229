//! Mapping files: which rows a table has, and what stands in its columns.
//!
//! ```toml
//! schema = "ward-mapping/1"
//! standard = "fhir-r4"
//!
//! [table.patients]
//! row = "Patient"
//!
//! [table.patients.column]
//! sex = "gender"
//! e11 = { of = "Condition", where = "code.coding.exists(code = 'E11.9')", take = "any" }
//! hba1c = { of = "Observation", where = "code.coding.exists(code = '4548-4')", path = "value.ofType(Quantity)", unit = "%", take = "last" }
//! age = { derive = "ageAt(born, @2026-09-01)" }
//! born = "birthDate"
//! ```
//!
//! `docs/reference/mapping.md` is the whole description, `docs/reference/mapping.schema.json` the schema.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use super::RecordsError;
use super::path::{Expr, parse};
use super::standard::{Kind, Standard};
use super::unit::Unit;

/// Largest mapping file read, in bytes.
pub const BYTES_MAX: u64 = 1 << 18;
/// Most columns of a table.
const COLUMNS_MAX: usize = 256;
/// Name of the column that holds the patient's key in every mapped table.
pub const PATIENT: &str = "patient";

/// A mapping file that was checked.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// What it maps.
    pub standard: Standard,
    /// Its tables, by name.
    pub tables: BTreeMap<String, TableMap>,
}

/// How one table is made.
#[derive(Clone, Debug)]
pub struct TableMap {
    /// Kind of the items that are rows.
    pub row: &'static Kind,
    /// The patient of a row.
    pub patient: Expr,
    /// Which items are rows; all without.
    pub condition: Option<Expr>,
    /// The columns, by name; derived ones among them.
    pub columns: BTreeMap<String, ColumnMap>,
}

/// How one column is made.
#[derive(Clone, Debug)]
pub struct ColumnMap {
    /// Where its values come from.
    pub from: Cell,
    /// What quantities are converted to.
    pub unit: Option<UnitMap>,
}

/// How the unit of a value is found and converted.
#[derive(Clone, Debug)]
pub struct UnitMap {
    /// The column's unit.
    pub to: Unit,
    /// The substance's molar mass in grams per mole, for amounts and masses.
    pub molar_mass_g_mol: Option<String>,
    /// Path of the item's UCUM code where the value is no Quantity.
    pub code: Option<Expr>,
}

/// Where a column's values come from.
#[derive(Clone, Debug)]
pub enum Cell {
    /// The row's own item.
    Row(Expr),
    /// The patient's items of some kind.
    Items(Items),
    /// The row's other columns.
    Columns(Expr),
}

/// One value out of a patient's items of a kind.
#[derive(Clone, Debug)]
pub struct Items {
    /// The kind.
    pub kind: &'static Kind,
    /// The patient of an item.
    pub patient: Expr,
    /// Which of them count; all without.
    pub condition: Option<Expr>,
    /// The value; none for `any` and `count`.
    pub path: Option<Expr>,
    /// When an item happened; for `first` and `last`.
    pub at: Option<Expr>,
    /// Which one.
    pub take: Take,
}

/// Which of several values is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Take {
    /// The earliest; of several then, the smallest.
    First,
    /// The latest; of several then, the largest.
    Last,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// How many items; 0 without.
    Count,
    /// 1 where there is an item, 0 where there is none.
    Any,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    schema: String,
    standard: Standard,
    #[serde(default)]
    table: BTreeMap<String, RawTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTable {
    row: String,
    patient: Option<String>,
    #[serde(rename = "where")]
    condition: Option<String>,
    #[serde(default)]
    column: BTreeMap<String, RawColumn>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawColumn {
    Path(String),
    Full(RawFull),
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFull {
    path: Option<String>,
    of: Option<String>,
    patient: Option<String>,
    #[serde(rename = "where")]
    condition: Option<String>,
    take: Option<Take>,
    at: Option<String>,
    derive: Option<String>,
    unit: Option<String>,
    unit_path: Option<String>,
    molar_mass: Option<f64>,
}

impl Mapping {
    /// Reads a mapping file.
    ///
    /// # Errors
    /// [`RecordsError::Unreadable`]; [`RecordsError::Mapping`] with table and column.
    pub fn load(path: &Path) -> Result<Self, RecordsError> {
        let shown = path.display().to_string();
        let unreadable = |reason: String| RecordsError::Unreadable { path: shown.clone(), reason };
        let mut text = String::new();
        let file = std::fs::File::open(path).map_err(|e| unreadable(e.kind().to_string()))?;
        std::io::Read::read_to_string(&mut std::io::Read::take(file, BYTES_MAX + 1), &mut text)
            .map_err(|e| unreadable(e.kind().to_string()))?;
        if text.len() as u64 > BYTES_MAX {
            return Err(unreadable(format!("it is larger than {BYTES_MAX} bytes")));
        }
        Self::parse(&text, &shown)
    }

    /// Checks the text of a mapping file; `origin` is for messages.
    ///
    /// # Errors
    /// [`RecordsError::Mapping`].
    pub fn parse(text: &str, origin: &str) -> Result<Self, RecordsError> {
        let refuse = |section: String, message: String| RecordsError::Mapping {
            path: origin.to_owned(),
            section,
            message,
        };
        let file: RawFile = toml::from_str(text).map_err(|error| {
            let before = error.span().map_or("", |span| text.get(..span.start).unwrap_or(""));
            let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
            refuse(format!("line {line}"), error.message().replace('\n', " "))
        })?;
        if file.schema != "ward-mapping/1" {
            return Err(refuse("schema".into(), "this version reads \"ward-mapping/1\"".into()));
        }
        let mut tables = BTreeMap::new();
        for (name, raw) in file.table {
            let table = check_table(file.standard, raw).map_err(|(column, message)| {
                let section = column.map_or(String::new(), |c| format!(", column `{c}`"));
                refuse(format!("table `{name}`{section}"), message)
            })?;
            tables.insert(name, table);
        }
        Ok(Self { standard: file.standard, tables })
    }
}

/// The column it is about, and what is wrong.
type Fault = (Option<String>, String);

fn check_table(standard: Standard, raw: RawTable) -> Result<TableMap, Fault> {
    let fault = |message: String| (None, message);
    let row = kind(standard, &raw.row).map_err(fault)?;
    let patient = patient(standard, row, raw.patient.as_deref()).map_err(fault)?;
    let condition = expression(standard, row, raw.condition.as_deref()).map_err(fault)?;
    if raw.column.is_empty() || raw.column.len() > COLUMNS_MAX {
        return Err((None, format!("{} columns, not between 1 and {COLUMNS_MAX}", raw.column.len())));
    }
    let mut columns = BTreeMap::new();
    for (name, raw) in raw.column {
        let full = match raw {
            RawColumn::Path(path) => RawFull { path: Some(path), ..RawFull::default() },
            RawColumn::Full(full) => full,
        };
        let column = check_name(&name)
            .and_then(|()| check_column(standard, row, full))
            .map_err(|message| (Some(name.clone()), message))?;
        columns.insert(name, column);
    }
    let plain: BTreeSet<String> = columns
        .iter()
        .filter(|(_, column)| !matches!(column.from, Cell::Columns(_)))
        .map(|(name, _)| name.clone())
        .chain([PATIENT.to_owned()])
        .collect();
    for (name, column) in &columns {
        let Cell::Columns(expr) = &column.from else { continue };
        let mut roots = BTreeSet::new();
        expr.roots(&mut roots);
        if let Some(unknown) = roots.difference(&plain).next() {
            let message = format!("derive names `{unknown}`, which is no column that is read");
            return Err((Some(name.clone()), message));
        }
    }
    Ok(TableMap { row, patient, condition, columns })
}

fn check_name(name: &str) -> Result<(), String> {
    let fits = (1..=63).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if fits && name != PATIENT {
        return Ok(());
    }
    Err(format!("a name is lower-case letters, digits and `_`, and not `{PATIENT}`, which every table has"))
}

fn check_column(standard: Standard, row: &'static Kind, raw: RawFull) -> Result<ColumnMap, String> {
    let unit = check_unit(standard, row, &raw)?;
    let from = match (raw.derive, raw.of) {
        (Some(derive), None) => {
            let others = raw.path.is_some() || raw.condition.is_some() || raw.take.is_some();
            if others || raw.at.is_some() || raw.patient.is_some() {
                return Err("derive stands alone".into());
            }
            Cell::Columns(parse(&derive).map_err(|e| e.to_string())?)
        }
        (Some(_), Some(_)) => return Err("either derive or of".into()),
        (None, None) => {
            if raw.condition.is_some() || raw.take.is_some() || raw.at.is_some() || raw.patient.is_some() {
                return Err("where, take, at and patient need `of`: whose items are they?".into());
            }
            let path = expression(standard, row, raw.path.as_deref())?;
            Cell::Row(path.ok_or("a column needs path, of or derive")?)
        }
        (None, Some(of)) => {
            let kind = kind(standard, &of)?;
            let default = (kind.at.is_empty() && !kind.patient.is_empty()).then_some(Take::First);
            let take = raw.take.or(default).ok_or("of needs take: first, last, min, max, count or any")?;
            let path = expression(standard, kind, raw.path.as_deref())?;
            match (take, &path) {
                (Take::Any | Take::Count, Some(_)) => {
                    return Err("any and count have no path; put the condition in where".into());
                }
                (Take::First | Take::Last | Take::Min | Take::Max, None) => {
                    return Err("the path of the value is missing".into());
                }
                _ => {}
            }
            let at = raw.at.as_deref().or((!kind.at.is_empty()).then_some(kind.at));
            Cell::Items(Items {
                kind,
                patient: patient(standard, kind, raw.patient.as_deref())?,
                condition: expression(standard, kind, raw.condition.as_deref())?,
                path,
                at: expression(standard, kind, at)?,
                take,
            })
        }
    };
    Ok(ColumnMap { from, unit })
}

fn check_unit(standard: Standard, row: &Kind, raw: &RawFull) -> Result<Option<UnitMap>, String> {
    let Some(code) = &raw.unit else {
        if raw.molar_mass.is_some() || raw.unit_path.is_some() {
            return Err("molar_mass and unit_path need unit".into());
        }
        return Ok(None);
    };
    let to = Unit::parse(code).ok_or_else(|| format!("unknown unit `{code}`; write it in UCUM"))?;
    if raw.derive.is_some() || raw.molar_mass.is_some_and(|m| !(m.is_finite() && m > 0.0)) {
        return Err("a unit is for what is read, and molar_mass is grams per mole, above 0".into());
    }
    let of = raw.of.as_deref().map_or(Ok(row), |of| kind(standard, of))?;
    let code = expression(standard, of, raw.unit_path.as_deref())?;
    Ok(Some(UnitMap { to, molar_mass_g_mol: raw.molar_mass.map(|m| m.to_string()), code }))
}

fn kind(standard: Standard, name: &str) -> Result<&'static Kind, String> {
    standard.kind(name).ok_or_else(|| {
        let known: Vec<&str> = standard.kinds().iter().map(|kind| kind.name).collect();
        format!("{} has no `{name}` here; there are {}", standard.as_str(), known.join(", "))
    })
}

fn patient(standard: Standard, kind: &Kind, path: Option<&str>) -> Result<Expr, String> {
    let path = path.unwrap_or(kind.patient);
    if path.is_empty() {
        return Err(format!("`{}` is of no patient", kind.name));
    }
    expression(standard, kind, Some(path)).map(|expr| expr.unwrap_or(Expr::This))
}

fn expression(standard: Standard, kind: &Kind, text: Option<&str>) -> Result<Option<Expr>, String> {
    let Some(text) = text else { return Ok(None) };
    let expr = parse(text).map_err(|e| format!("`{text}`: {e}"))?;
    let mut roots = BTreeSet::new();
    expr.roots(&mut roots);
    if let Some(unknown) = roots.iter().find(|name| !standard.may_have(kind.name, name)) {
        return Err(format!("`{}` of {} has no column `{unknown}`", kind.name, standard.as_str()));
    }
    Ok(Some(expr))
}
