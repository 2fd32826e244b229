//! Checks of the `[[table]]` and `[policy]` sections.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use toml::Spanned;

use super::config::{Checker, ColumnConfig, ConfigError, Source, TableConfig};
use super::databases::Origins;
use super::decimal::{Decimal, PLACES_MAX};
use super::policy::{Policy, StatisticKind, StudyPolicy, TablePolicy, UserPolicy};
use super::privacy::PrivacyPolicy;
use super::proved;
use super::raw;
use crate::identity::PublicKey;
use crate::query::ast::HOSPITAL;
use crate::query::catalogue::{Column, ColumnKind, IDENTIFIER_MAX, OutOfBounds};
use crate::records::mapping;
use crate::records::source::{Origin, RecordsSource};

/// Most rows a table may announce.
const ROWS_MAX: u64 = 1 << 40;
/// Most columns of a table, tables of a hospital, and codes of a category.
const COUNT_MAX: usize = 1024;
/// Largest magnitude of a bound, in fixed point.
const BOUND_MAX: i64 = 1 << 53;
/// What means a missing value where the file does not say.
const NULL_VALUES: [&str; 5] = ["NA", "N/A", "NaN", "null", "NULL"];

/// Checks the tables.
pub(super) fn check(
    checker: &Checker<'_>,
    raws: Vec<raw::Table>,
    origins: &Origins,
) -> Result<Vec<TableConfig>, ConfigError> {
    let mut tables: Vec<TableConfig> = Vec::with_capacity(raws.len());
    for raw in raws {
        let name = raw.name.clone();
        let here = checker.within(format!("table `{}`", name.get_ref()));
        check_name(&here, &name)?;
        if tables.len() >= COUNT_MAX || tables.iter().any(|t| t.name == *name.get_ref()) {
            let message = format!("the table is there twice, or there are more than {COUNT_MAX}");
            return Err(here.invalid(&name.span(), message, "give every table its own name"));
        }
        tables.push(check_table(&here, raw, origins)?);
    }
    Ok(tables)
}

fn check_table(here: &Checker<'_>, raw: raw::Table, origins: &Origins) -> Result<TableConfig, ConfigError> {
    let span = raw.name.span();
    let name = raw.name.into_inner();
    if !(1..=ROWS_MAX).contains(raw.rows_max.get_ref()) {
        let message = format!("rows_max = {} is not between 1 and {ROWS_MAX}", raw.rows_max.get_ref());
        return Err(here.invalid(
            &raw.rows_max.span(),
            message,
            "a generous upper bound on the rows to come",
        ));
    }
    if raw.column.is_empty() || raw.column.len() > COUNT_MAX {
        let message = format!("{} columns, not between 1 and {COUNT_MAX}", raw.column.len());
        return Err(here.invalid(&span, message, "add [[table.column]] sections below the table"));
    }
    let source = check_source(here, &name, raw.source, origins)?;
    let delimiter = check_delimiter(here, raw.delimiter.as_ref(), &source)?;
    let is_mapped = matches!(source, Source::Records(_));
    let rows_per_patient_max =
        rows_per_patient(here, raw.rows_per_patient_max.as_ref(), is_mapped || raw.patient.is_some())?;
    let mut columns: Vec<ColumnConfig> = Vec::with_capacity(raw.column.len());
    for raw in raw.column {
        let within = here.within(format!("table `{name}`, column `{}`", raw.name.get_ref()));
        let span = raw.name.span();
        let column = check_column(&within, raw)?;
        if columns.iter().any(|c| c.column.name == column.column.name) {
            return Err(within.invalid(
                &span,
                "the column is there twice".into(),
                "give every column its own name",
            ));
        }
        columns.push(column);
    }
    let data_class = raw.data_class.map(|class| check_class(here, class)).transpose()?;
    let null_values = match raw.null_values {
        Some(values) => values.into_iter().map(|v| v.trim().to_owned()).collect(),
        None => NULL_VALUES.into_iter().map(str::to_owned).collect(),
    };
    // A mapped table has this column, whatever its source names the patient.
    let patient = raw.patient.or_else(|| is_mapped.then(|| mapping::PATIENT.to_owned()));
    Ok(TableConfig {
        name,
        description: raw.description,
        source,
        delimiter,
        null_values,
        rows_max: raw.rows_max.into_inner(),
        data_use: raw.data_use,
        rows_per_patient_max,
        patient,
        data_class,
        proofs: proved::check_each(here, raw.proof, &columns)?,
        columns,
    })
}

fn rows_per_patient(
    here: &Checker<'_>,
    rows: Option<&Spanned<u32>>,
    names_patients: bool,
) -> Result<u32, ConfigError> {
    let Some(rows) = rows else { return Ok(1) };
    if *rows.get_ref() == 0 {
        return Err(here.invalid(
            &rows.span(),
            "rows_per_patient_max = 0".into(),
            "a patient has at least one row",
        ));
    }
    if !names_patients {
        let hint = "name the source's column that tells patients apart: patient = \"mrn\"";
        return Err(here.invalid(
            &rows.span(),
            "rows of one patient cannot be told without `patient`".into(),
            hint,
        ));
    }
    Ok(*rows.get_ref())
}

/// A class of data: compared as it is written.
fn check_class(here: &Checker<'_>, class: Spanned<String>) -> Result<String, ConfigError> {
    let text = class.get_ref();
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-');
    if (1..=64).contains(&text.len()) && text.bytes().all(is_plain) {
        return Ok(class.into_inner());
    }
    let message = format!("the data class `{text}` is not 1 to 64 lower-case letters, digits, `_` or `-`");
    Err(here.invalid(&class.span(), message, "name it as consents do, e.g. data_class = \"labs\""))
}

fn check_delimiter(
    here: &Checker<'_>,
    delimiter: Option<&Spanned<String>>,
    source: &Source,
) -> Result<u8, ConfigError> {
    let Some(text) = delimiter else { return Ok(b',') };
    if !matches!(source, Source::Csv(_)) {
        let message = format!("{} has no delimiter to set", source.format());
        return Err(here.invalid(&text.span(), message, "remove the line"));
    }
    match text.get_ref().as_bytes() {
        [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => Ok(*byte),
        _ => {
            let message = "the delimiter is not one ASCII character".to_owned();
            Err(here.invalid(&text.span(), message, "write delimiter = \";\" or \"\\t\""))
        }
    }
}

/// The table of the mapping file is of the same name unless the source says otherwise.
fn check_source(
    here: &Checker<'_>,
    name: &str,
    raw: raw::Source,
    origins: &Origins,
) -> Result<Source, ConfigError> {
    let records = |origin: Origin, mapping: &Path, table: Option<String>| {
        let table = table.unwrap_or_else(|| name.to_owned());
        Source::Records(RecordsSource { origin, mapping: here.resolve(mapping), table })
    };
    Ok(match raw {
        raw::Source::Csv(path) => Source::Csv(here.resolve(&path)),
        raw::Source::Parquet(path) => Source::Parquet(here.resolve(&path)),
        raw::Source::Fhir(mapped) => {
            records(Origin::Fhir(here.resolve(&mapped.folder)), &mapped.mapping, mapped.table)
        }
        raw::Source::Omop(mapped) => {
            records(Origin::OmopFiles(here.resolve(&mapped.folder)), &mapped.mapping, mapped.table)
        }
        raw::Source::Postgres(mapped) => {
            let Some(origin) = origins.databases.get(mapped.connection.get_ref()) else {
                let message = format!("no section [postgres.{}]", mapped.connection.get_ref());
                return Err(here.invalid(
                    &mapped.connection.span(),
                    message,
                    "say there where the database is",
                ));
            };
            records(origin.clone(), &mapped.mapping, mapped.table)
        }
        raw::Source::Hl7(mapped) => {
            let Some(origin) = &origins.kept else {
                let hint = "add the section, with the port that messages come to";
                return Err(here.invalid(&mapped.mapping.span(), "no section [hl7]".to_owned(), hint));
            };
            records(origin.clone(), mapped.mapping.get_ref(), mapped.table)
        }
    })
}

fn check_name(here: &Checker<'_>, name: &Spanned<String>) -> Result<(), ConfigError> {
    let text = name.get_ref();
    let fits = (1..=63).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if !fits {
        let message =
            format!("the name `{text}` is not lower-case letters, digits and `_`, beginning with a letter");
        return Err(here.invalid(
            &name.span(),
            message,
            "use the catalogue's name; `source` names the source's",
        ));
    }
    if text == HOSPITAL {
        let hint = "the engine knows which hospital a row is of; choose another name";
        return Err(here.invalid(&name.span(), "the name `hospital` is reserved".into(), hint));
    }
    Ok(())
}

fn check_column(here: &Checker<'_>, raw: raw::Column) -> Result<ColumnConfig, ConfigError> {
    check_name(here, &raw.name)?;
    let span = raw.name.span();
    let data_class = raw.data_class.clone().map(|class| check_class(here, class)).transpose()?;
    let scale = number(here, &span, raw.scale.as_ref())?;
    let offset = number(here, &span, raw.offset.as_ref())?;
    let values: BTreeMap<String, String> =
        raw.values.into_iter().map(|(k, v)| (k.trim().to_owned(), v.into_text())).collect();
    let codes: Vec<String> = raw.codes.into_iter().map(raw::Code::into_text).collect();
    let bounds = (number(here, &span, raw.min.as_ref())?, number(here, &span, raw.max.as_ref())?);
    let source = raw.source.unwrap_or_else(|| raw.name.get_ref().clone());
    let mut column = Column {
        name: raw.name.into_inner(),
        kind: raw.kind,
        digits: raw.digits.unwrap_or(0),
        unit: raw.unit,
        min: 0,
        max: 0,
        codes,
        out_of_bounds: raw.out_of_bounds,
        description: raw.description,
    };
    let fail = |message: String, hint: &str| Err(here.invalid(&span, message, hint));
    if column.kind == ColumnKind::Identifier {
        let plain = bounds == (None, None) && scale.is_none() && offset.is_none() && raw.digits.is_none();
        if !plain || !column.codes.is_empty() || !values.is_empty() {
            return fail("an identifier has a name and a source, nothing else".into(), "remove the rest");
        }
        column.max = IDENTIFIER_MAX;
    } else if column.kind == ColumnKind::Category {
        if bounds != (None, None) || scale.is_some() || offset.is_some() || raw.digits.is_some() {
            return fail("a category has no min, max, digits, scale or offset".into(), "remove them");
        }
        check_codes(here, &span, &column, &values)?;
        column.max = column.codes.len() as i64 - 1;
    } else {
        if !column.codes.is_empty() {
            return fail("only a category has codes".into(), "set kind = \"category\", or remove codes");
        }
        if column.digits > PLACES_MAX || (column.kind == ColumnKind::Integer && column.digits != 0) {
            let message = format!("digits = {} is not possible", column.digits);
            return fail(message, "an integer has 0 digits, a real at most 9");
        }
        if column.kind == ColumnKind::Real && raw.digits.is_none() {
            return fail(
                "a real column needs digits".into(),
                "say how many decimal places count, e.g. digits = 1",
            );
        }
        if let Some((raw, _)) = values.iter().find(|(_, v)| Decimal::parse(v).is_none()) {
            return fail(
                format!("values maps `{raw}` to what is no number"),
                "map to numbers, e.g. yes = \"1\"",
            );
        }
        if scale.is_some_and(Decimal::is_zero) {
            return fail("scale = 0 makes every value the same".into(), "remove scale, or give the factor");
        }
        (column.min, column.max) = check_bounds(here, &span, bounds, column.digits)?;
    }
    Ok(ColumnConfig {
        column,
        source,
        values,
        scale: scale.unwrap_or(Decimal::ONE),
        offset: offset.unwrap_or(Decimal::ZERO),
        data_class,
    })
}

fn check_codes(
    here: &Checker<'_>,
    span: &std::ops::Range<usize>,
    column: &Column,
    values: &BTreeMap<String, String>,
) -> Result<(), ConfigError> {
    let codes = &column.codes;
    let distinct: BTreeSet<&str> = codes.iter().map(String::as_str).collect();
    if codes.is_empty() || codes.len() > COUNT_MAX || distinct.len() != codes.len() {
        let message = format!("{} codes, {} of them distinct", codes.len(), distinct.len());
        return Err(here.invalid(span, message, "list every code once, e.g. codes = [\"female\", \"male\"]"));
    }
    if let Some(code) = codes.iter().find(|c| c.is_empty() || c.trim() != c.as_str() || c.len() > 256) {
        let message = format!("the code `{code}` is empty, longer than 256 bytes, or has spaces around it");
        return Err(here.invalid(span, message, "codes are compared without the spaces around them"));
    }
    if let Some(code) = values.values().find(|v| !distinct.contains(v.as_str())) {
        let message = format!("values maps to `{code}`, which is not among the codes");
        return Err(here.invalid(span, message, "map raw texts to codes of the column"));
    }
    if column.out_of_bounds == OutOfBounds::Clamp {
        let hint = "remove out_of_bounds: texts that are no code are rejected and counted";
        return Err(here.invalid(span, "a category cannot clamp".into(), hint));
    }
    Ok(())
}

fn check_bounds(
    here: &Checker<'_>,
    span: &std::ops::Range<usize>,
    bounds: (Option<Decimal>, Option<Decimal>),
    digits: u8,
) -> Result<(i64, i64), ConfigError> {
    let (Some(min), Some(max)) = bounds else {
        let hint =
            "bounds size the encryption and bound what a wrong value can do; give min and max in the unit";
        return Err(here.invalid(span, "min and max are needed".into(), hint));
    };
    if min.is_finer_than(digits) || max.is_finer_than(digits) {
        let message = format!("min or max has more than {digits} decimal places");
        return Err(here.invalid(span, message, "give the bounds with no more places than digits says"));
    }
    let (min, max) = (min.to_fixed(digits), max.to_fixed(digits));
    if min > max || min < -BOUND_MAX || max > BOUND_MAX {
        let message = format!("the bounds {min} to {max} (in fixed point) are empty or beyond 2^53");
        return Err(here.invalid(
            span,
            message,
            "min must not be above max; use fewer digits or a larger unit",
        ));
    }
    Ok((min, max))
}

fn number(
    here: &Checker<'_>,
    span: &std::ops::Range<usize>,
    number: Option<&raw::Number>,
) -> Result<Option<Decimal>, ConfigError> {
    let decimal = match number {
        None => return Ok(None),
        Some(raw::Number::Whole(value)) => Decimal::parse(&value.to_string()),
        Some(raw::Number::Float(value)) => Decimal::from_f64(*value),
        Some(raw::Number::Text(text)) => Decimal::parse(text),
    };
    match decimal {
        Some(decimal) => Ok(Some(decimal)),
        None => Err(here.invalid(span, "a bound, scale or offset is no number".into(), "write it as 12.5")),
    }
}

/// Checks the policy against the tables it speaks of.
pub(super) fn check_policy(
    here: &Checker<'_>,
    raw: raw::Policy,
    tables: &[TableConfig],
) -> Result<Policy, ConfigError> {
    for (name, value) in
        [("floor", &raw.floor), ("km_step_min", &raw.km_step_min), ("hospitals_min", &raw.hospitals_min)]
    {
        if *value.get_ref() == 0 {
            return Err(here.invalid(&value.span(), format!("{name} = 0"), "use 1 for no rule of your own"));
        }
    }
    let statistics = match raw.statistics {
        None => StatisticKind::defaults(),
        Some(names) => names
            .iter()
            .map(|name| {
                StatisticKind::from_name(name.get_ref()).ok_or_else(|| {
                    let known = StatisticKind::ALL.map(StatisticKind::name).join(", ");
                    let message = format!("unknown statistic `{}`", name.get_ref());
                    here.invalid(&name.span(), message, &format!("the statistics are {known}"))
                })
            })
            .collect::<Result<_, _>>()?,
    };
    let mut rules: BTreeMap<String, TablePolicy> = BTreeMap::new();
    for table in raw.table {
        let name = table.name.get_ref();
        let Some(known) = tables.iter().find(|t| t.name == *name) else {
            return Err(here.invalid(
                &table.name.span(),
                format!("no table `{name}`"),
                "name a [[table]] of this file",
            ));
        };
        for column in table.allow.iter().flatten().chain(&table.deny) {
            if known.column(column.get_ref()).is_none() {
                let message = format!("table `{name}` has no column `{}`", column.get_ref());
                return Err(here.invalid(&column.span(), message, "use the catalogue's column names"));
            }
        }
        let rule = TablePolicy {
            allow: table.allow.map(|names| names.into_iter().map(Spanned::into_inner).collect()),
            deny: table.deny.into_iter().map(Spanned::into_inner).collect(),
        };
        if rules.insert(name.clone(), rule).is_some() {
            let message = format!("two rules for table `{name}`");
            return Err(here.invalid(&table.name.span(), message, "join them"));
        }
    }
    Ok(Policy {
        floor: raw.floor.into_inner(),
        rounding: raw.rounding,
        statistics,
        by_hospital: raw.by_hospital,
        approval: raw.approval,
        km_step_min: raw.km_step_min.into_inner(),
        hospitals_min: raw.hospitals_min.into_inner(),
        tables: rules,
        compute_nodes: raw.compute_nodes.into_iter().collect(),
        privacy: raw.privacy.map(|privacy| PrivacyPolicy::check(here, privacy)).transpose()?,
        studies: check_studies(here, (raw.studies, &raw.study_approvals), raw.admin)?,
        users: check_users(here, raw.user)?,
    })
}

fn check_studies(
    here: &Checker<'_>,
    (studies, approvals): (raw::Studies, &Spanned<u32>),
    raws: Vec<raw::PolicyAdmin>,
) -> Result<StudyPolicy, ConfigError> {
    let mut admins: BTreeMap<String, String> = BTreeMap::new();
    for raw in raws {
        let key = hex::decode(raw.key.get_ref()).ok().and_then(|key| PublicKey::from_slice(&key).ok());
        let Some(key) = key else {
            let message = format!("the key of `{}` is no Ed25519 public key", raw.name.get_ref());
            return Err(here.invalid(
                &raw.key.span(),
                message,
                "write the 64 characters that `ward study key` prints",
            ));
        };
        let key = hex::encode(key.as_bytes());
        if crate::identity::check_name(raw.name.get_ref()).is_err()
            || admins.values().any(|other| *other == key)
        {
            let message =
                format!("`{}` is no name, or the key is another administrator's", raw.name.get_ref());
            return Err(here.invalid(
                &raw.name.span(),
                message,
                "every administrator has a name (a-z, 0-9, -) and a key",
            ));
        }
        if admins.insert(raw.name.get_ref().clone(), key).is_some() {
            let message = format!("administrator `{}` is there twice", raw.name.get_ref());
            return Err(here.invalid(&raw.name.span(), message, "name everybody once"));
        }
    }
    let wanted = *approvals.get_ref();
    if wanted == 0 || (wanted > 1 && wanted as usize > admins.len()) {
        let message = format!("study_approvals = {wanted}, of {} administrators", admins.len());
        return Err(here.invalid(
            &approvals.span(),
            message,
            "add a [[policy.admin]] for each, or ask for fewer",
        ));
    }
    Ok(StudyPolicy { required: studies == raw::Studies::Required, approvals: wanted, admins })
}

fn check_users(
    here: &Checker<'_>,
    raws: Vec<raw::PolicyUser>,
) -> Result<BTreeMap<String, UserPolicy>, ConfigError> {
    let mut users = BTreeMap::new();
    for raw in raws {
        if let Some(key) = &raw.key {
            let hex = key.get_ref();
            if hex.len() != 64 || !hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
                let message = "a key fingerprint is not 64 lower-case hexadecimal digits".to_owned();
                return Err(here.invalid(
                    &key.span(),
                    message,
                    "copy the fingerprint that the researcher reads out",
                ));
            }
        }
        let span = raw.name.span();
        let name = raw.name.into_inner();
        if users.insert(name.clone(), UserPolicy { key: raw.key.map(Spanned::into_inner) }).is_some() {
            return Err(here.invalid(&span, format!("user `{name}` is there twice"), "join the two"));
        }
    }
    Ok(users)
}
