//! The rows of a mapped table, in two passes: what a patient's items of other kinds give, then row after row.
//!
//! In memory are one value per patient and such column, and a hash per item read (so that none counts twice): bounded
//! by [`PATIENTS_MAX`] and by the table's `rows_max`. Which of several items is taken does not depend on their order.

use std::borrow::Cow;
use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::BuildHasher;

use serde_json::Value as Json;

use super::date::Moment;
use super::mapping::{Cell, ColumnMap, Items, Mapping, PATIENT, TableMap, Take, UnitMap};
use super::path::{Expr, Item, RowItem, Value, parse};
use super::standard::{Kind, Standard};
use super::unit::Unit;
use super::{Pass, Reader, Reason, RecordsError, Rejects};

/// Most patients whose values are kept.
pub const PATIENTS_MAX: usize = 20_000_000;
/// Longest text of a field, in bytes; a longer one is left out.
const FIELD_BYTES_MAX: usize = 1024;

/// Takes rows: the patient, then the columns in the order of [`columns`].
pub trait Sink {
    /// One row.
    ///
    /// # Errors
    /// [`RecordsError::TooManyRows`] where it takes no more.
    fn row(&mut self, fields: &[Option<String>]) -> Result<(), RecordsError>;
}

/// Names of the columns of a table: the patient, then the mapped ones.
#[must_use]
pub fn columns(map: &TableMap) -> Vec<String> {
    std::iter::once(PATIENT.to_owned()).chain(map.columns.keys().cloned()).collect()
}

/// Makes a table.
///
/// # Errors
/// [`RecordsError`] of the reader or the sink.
pub fn build(
    mapping: &Mapping,
    map: &TableMap,
    reader: &mut dyn Reader,
    sink: &mut dyn Sink,
) -> Result<Rejects, RecordsError> {
    let mut rejects = Rejects::default();
    let patients = Patients::gather(mapping.standard, map, reader, &mut rejects)?;
    let rows = Rows::new(map, &patients);
    let mut gate = Gate::new(mapping.standard, map.row);
    let mut names = gate.names();
    map.condition.iter().for_each(|c| c.roots(&mut names));
    map.patient.roots(&mut names);
    for column in map.columns.values() {
        if let Cell::Row(expr) = &column.from {
            expr.roots(&mut names);
            column.unit.iter().filter_map(|u| u.code.as_ref()).for_each(|c| c.roots(&mut names));
        }
    }
    let mut fields = Vec::new();
    let mut each = |item: Item<'_>, rejects: &mut Rejects| {
        if !gate.admits(&item, rejects) || map.condition.as_ref().is_some_and(|c| !c.holds(&item)) {
            return Ok(());
        }
        let Some(patient) = single(&map.patient, &item) else {
            rejects.count(Reason::NoPatient);
            return Ok(());
        };
        rows.fill(&item, &patient, &mut fields, rejects);
        sink.row(&fields)
    };
    let mut counts = Rejects::default();
    reader.visit(map.row.name, &names, &mut Pass { each: &mut each, rejects: &mut counts })?;
    for (reason, count) in counts.reasons {
        *rejects.reasons.entry(reason).or_default() += count;
    }
    rejects.read.extend(counts.read);
    Ok(rejects)
}

/// Lets an item through once, and none that was entered in error.
struct Gate {
    kind: &'static Kind,
    key: Option<Expr>,
    error: Option<Expr>,
    seen: HashSet<(u64, u64)>,
    hashers: (RandomState, RandomState),
}

impl Gate {
    fn new(standard: Standard, kind: &'static Kind) -> Self {
        // Both are constants of this crate that its tests parse.
        let error =
            "status = 'entered-in-error' or verificationStatus.coding.exists(code = 'entered-in-error')";
        let error = (standard == Standard::FhirR4).then(|| parse(error).ok()).flatten();
        let hashers = (RandomState::new(), RandomState::new());
        Self { kind, key: parse(kind.key).ok(), error, seen: HashSet::new(), hashers }
    }

    fn names(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        self.key.iter().for_each(|key| key.roots(&mut names));
        names
    }

    fn admits(&mut self, item: &Item<'_>, rejects: &mut Rejects) -> bool {
        *rejects.read.entry(self.kind.name.to_owned()).or_default() += 1;
        if self.error.as_ref().is_some_and(|error| error.holds(item)) {
            rejects.count(Reason::EnteredInError);
            return false;
        }
        let Some(key) = self.key.as_ref().and_then(|key| single(key, item)) else { return true };
        let hash = (self.hashers.0.hash_one(&key), self.hashers.1.hash_one(&key));
        let is_new = self.seen.insert(hash);
        if !is_new {
            rejects.count(Reason::Duplicate);
        }
        is_new
    }
}

/// The one text of an expression, trimmed; none where there is none, or several.
fn single<'a>(expr: &'a Expr, item: &Item<'a>) -> Option<Cow<'a, str>> {
    let values = expr.evaluate(item);
    let [one] = values.as_slice() else { return None };
    let text = one.text()?;
    let trimmed = text.trim();
    if trimmed.is_empty() || trimmed.len() > FIELD_BYTES_MAX {
        return None;
    }
    Some(if trimmed.len() == text.len() { text } else { Cow::Owned(trimmed.to_owned()) })
}

/// The value of a cell as its text, in the column's unit.
fn cell(expr: &Expr, unit: Option<&UnitMap>, item: &Item<'_>, rejects: &mut Rejects) -> Option<String> {
    let values = expr.evaluate(item);
    let value = match values.as_slice() {
        [] => return None,
        [one] => one,
        _ => {
            rejects.count(Reason::Ambiguous);
            return None;
        }
    };
    let (text, code) = match value {
        Value::Json(Json::Object(quantity), _) if quantity.contains_key("value") => {
            if quantity.contains_key("comparator") {
                rejects.count(Reason::Inexact);
                return None;
            }
            let code = quantity.get("code").or_else(|| quantity.get("unit")).and_then(Json::as_str);
            (Value::Json(&quantity["value"], None).text(), code.map(Cow::Borrowed))
        }
        other => {
            let code = unit.and_then(|u| u.code.as_ref()).and_then(|code| single(code, item));
            (other.text(), code)
        }
    };
    let Some(text) = text.filter(|text| text.len() <= FIELD_BYTES_MAX) else {
        rejects.count(Reason::Ambiguous);
        return None;
    };
    let Some(unit) = unit else { return Some(text.into_owned()) };
    let from = code.and_then(|code| Unit::parse(&code));
    let converted = from.and_then(|from| from.convert(&unit.to, &text, unit.molar_mass_g_mol.as_deref()));
    if converted.is_none() {
        rejects.count(Reason::Unit);
    }
    converted
}

/// What was found for a patient and a column.
#[derive(Clone, Default)]
struct Kept {
    text: Option<Box<str>>,
    at: i64,
    count: u64,
}

impl Kept {
    fn take(&mut self, items: &Items, at: Option<i64>, text: Option<String>) {
        let is_first = self.count == 0;
        self.count += 1;
        let Some(text) = text.map(String::into_boxed_str) else {
            self.count -= u64::from(items.path.is_some());
            return;
        };
        let known = self.text.as_deref();
        let (at, is_better) = match items.take {
            Take::First => {
                let at = at.unwrap_or(i64::MAX);
                (at, known.is_none_or(|known| (at, &*text) < (self.at, known)))
            }
            Take::Last => {
                let at = at.unwrap_or(i64::MIN);
                (at, known.is_none_or(|known| (at, &*text) > (self.at, known)))
            }
            Take::Min => (0, known.is_none_or(|known| order(&text, known).is_lt())),
            Take::Max => (0, known.is_none_or(|known| order(&text, known).is_gt())),
            Take::Count | Take::Any => (0, false),
        };
        if is_first || is_better {
            (self.text, self.at) = (Some(text), at);
        }
    }

    fn field(&self, take: Take) -> Option<String> {
        match take {
            Take::Count => Some(self.count.to_string()),
            Take::Any => Some(u8::from(self.count > 0).to_string()),
            _ => self.text.as_deref().map(str::to_owned),
        }
    }
}

/// Of numbers, else of times, else of texts; the text decides among equals.
fn order(a: &str, b: &str) -> std::cmp::Ordering {
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|n| n.is_finite());
    let by_value = match (number(a), number(b)) {
        (Some(a), Some(b)) => a.partial_cmp(&b),
        _ => Moment::parse(a).zip(Moment::parse(b)).map(|(a, b)| a.micros.cmp(&b.micros)),
    };
    by_value.unwrap_or(std::cmp::Ordering::Equal).then_with(|| a.cmp(b))
}

/// The first pass: values per patient.
struct Patients<'a> {
    columns: Vec<(&'a str, &'a Items, Option<&'a UnitMap>)>,
    kept: HashMap<String, Box<[Kept]>>,
}

impl<'a> Patients<'a> {
    fn gather(
        standard: Standard,
        map: &'a TableMap,
        reader: &mut dyn Reader,
        rejects: &mut Rejects,
    ) -> Result<Self, RecordsError> {
        let columns: Vec<(&str, &Items, Option<&UnitMap>)> = map
            .columns
            .iter()
            .filter_map(|(name, column)| match &column.from {
                Cell::Items(items) => Some((name.as_str(), items, column.unit.as_ref())),
                _ => None,
            })
            .collect();
        let kinds: BTreeMap<&str, &'static Kind> =
            columns.iter().map(|(_, items, _)| (items.kind.name, items.kind)).collect();
        let mut patients = Self { columns, kept: HashMap::new() };
        for kind in kinds.into_values() {
            let mut gate = Gate::new(standard, kind);
            let mut names = gate.names();
            patients.of_kind(kind).for_each(|(_, items, unit)| {
                let code = unit.and_then(|u| u.code.as_ref());
                let parts =
                    [Some(&items.patient), items.condition.as_ref(), items.path.as_ref(), items.at.as_ref()];
                parts.into_iter().flatten().chain(code).for_each(|expr| expr.roots(&mut names));
            });
            let mut each = |item: Item<'_>, rejects: &mut Rejects| {
                if gate.admits(&item, rejects) { patients.take(kind, &item, rejects) } else { Ok(()) }
            };
            reader.visit(kind.name, &names, &mut Pass { each: &mut each, rejects })?;
        }
        Ok(patients)
    }

    fn of_kind(&self, kind: &'static Kind) -> impl Iterator<Item = (usize, &'a Items, Option<&'a UnitMap>)> {
        let columns = self.columns.iter().enumerate();
        columns.filter(move |(_, c)| c.1.kind.name == kind.name).map(|(at, c)| (at, c.1, c.2))
    }

    fn take(
        &mut self,
        kind: &'static Kind,
        item: &Item<'_>,
        rejects: &mut Rejects,
    ) -> Result<(), RecordsError> {
        let found: Vec<_> = self
            .of_kind(kind)
            .filter(|(_, items, _)| items.condition.as_ref().is_none_or(|c| c.holds(item)))
            .collect();
        for (at, items, unit) in found {
            let Some(patient) = single(&items.patient, item) else {
                rejects.count(Reason::NoPatient);
                return Ok(());
            };
            let text = items.path.as_ref().and_then(|path| cell(path, unit, item, rejects));
            let when = items.at.as_ref().and_then(|at| {
                let first = at.evaluate(item).into_iter().next()?.text()?.into_owned();
                Moment::parse(&first).map(|moment| moment.micros)
            });
            if !self.kept.contains_key(&*patient) {
                if self.kept.len() >= PATIENTS_MAX {
                    return Err(RecordsError::TooManyPatients { patients_max: PATIENTS_MAX });
                }
                let empty = vec![Kept::default(); self.columns.len()].into_boxed_slice();
                self.kept.insert(patient.clone().into_owned(), empty);
            }
            if let Some(kept) = self.kept.get_mut(&*patient).and_then(|kept| kept.get_mut(at)) {
                kept.take(items, when, text);
            }
        }
        Ok(())
    }
}

/// The second pass: the fields of a row.
struct Rows<'a> {
    patients: &'a Patients<'a>,
    /// In the order of the columns; the position among the patients' values for those of other kinds.
    columns: Vec<(&'a ColumnMap, Option<usize>)>,
    positions: HashMap<String, usize>,
}

impl<'a> Rows<'a> {
    fn new(map: &'a TableMap, patients: &'a Patients<'a>) -> Self {
        let positions = columns(map).into_iter().enumerate().map(|(at, name)| (name, at)).collect();
        let of = |name: &String| patients.columns.iter().position(|(other, _, _)| other == name);
        let columns = map.columns.iter().map(|(name, column)| (column, of(name))).collect();
        Self { patients, columns, positions }
    }

    fn fill(&self, item: &Item<'_>, patient: &str, fields: &mut Vec<Option<String>>, rejects: &mut Rejects) {
        fields.clear();
        fields.push(Some(patient.to_owned()));
        let kept = self.patients.kept.get(patient);
        for (column, at) in &self.columns {
            fields.push(match &column.from {
                Cell::Row(expr) => cell(expr, column.unit.as_ref(), item, rejects),
                Cell::Items(items) => {
                    let found = at.and_then(|at| kept?.get(at));
                    found.map_or_else(|| Kept::default().field(items.take), |kept| kept.field(items.take))
                }
                Cell::Columns(_) => None,
            });
        }
        for (at, (column, _)) in self.columns.iter().enumerate() {
            let Cell::Columns(expr) = &column.from else { continue };
            // No derived column names another one: those that are filled in already do not matter.
            let row = Item::Row(RowItem { columns: &self.positions, fields: fields.as_slice() });
            let text = cell(expr, None, &row, rejects);
            if let Some(field) = fields.get_mut(at + 1) {
                *field = text;
            }
        }
    }
}
