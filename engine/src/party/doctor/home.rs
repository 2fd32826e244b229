//! What is on this machine: the configuration, the data behind it, the disk.

use std::path::Path;

use super::Check;
use crate::party::local::config::{PartyConfig, TableConfig};
use crate::party::local::data::{ColumnSurvey, LocalData, Survey};
use crate::party::local::proved::ProofSurvey;
use crate::records::version::VersionKey;

/// Free bytes under which the node is in danger: it stores keys and shares before it sends them.
const FREE_BYTES_MIN: u64 = 64 << 20;
/// Free bytes under which someone should look.
const FREE_BYTES_GOOD: u64 = 1 << 30;

/// Reads the configuration.
#[must_use]
pub fn check_config(path: &Path) -> (Check, Option<PartyConfig>) {
    match PartyConfig::load(path) {
        Ok(config) => {
            let columns: usize = config.tables.iter().map(|t| t.columns.len()).sum();
            let detail = format!("{} tables with {columns} columns", config.tables.len());
            let check = if config.tables.is_empty() {
                Check::warn("config", detail, "add a [[table]] section: the hospital publishes nothing yet")
            } else {
                Check::ok("config", detail)
            };
            (check, Some(config))
        }
        Err(error) => (Check::fail("config", error.to_string(), error.hint()), None),
    }
}

/// Reads every source and counts what maps: its source, its mapping, and the
/// room for its proofs where it has any.
#[must_use]
pub fn check_data(config: &PartyConfig) -> Vec<Check> {
    // Nothing that is made under this key leaves the check.
    let data = LocalData::new(config, VersionKey::from_bytes(&[0; 32]));
    let mut checks = Vec::new();
    for table in &config.tables {
        let name = format!("data.{}", table.name);
        match data.survey(&table.name) {
            Err(error) => checks.push(Check::fail(name, error.to_string(), error.hint())),
            Ok(survey) => {
                checks.push(source(name, table, &survey));
                checks.push(mapping(table, &survey));
                checks.extend(proofs(&data, table));
            }
        }
    }
    checks
}

fn source(name: String, table: &TableConfig, survey: &Survey) -> Check {
    let mut detail = format!("{} rows of at most {}", survey.rows, table.rows_max);
    if survey.rejects.total() > 0 {
        detail.push_str(&format!(", left out: {}", survey.rejects.text()));
    }
    if let Some(patients) = survey.patients {
        detail.push_str(&format!(", {} patients", patients.distinct));
        if patients.missing > 0 {
            detail.push_str(&format!(", {} rows without one", patients.missing));
            return Check::warn(
                name,
                detail,
                "check the patient column: floors count rows, and these name nobody",
            );
        }
        if patients.distinct < survey.rows {
            let advice =
                "a patient has several rows here; floors count rows, so raise [policy] floor accordingly";
            return Check::warn(name, detail, advice);
        }
    }
    if survey.rows == 0 {
        return Check::warn(name, detail, "the file has a heading and no rows; is it the right one?");
    }
    if survey.rows > table.rows_max / 10 * 9 {
        return Check::warn(name, detail, "raise rows_max before the table outgrows it");
    }
    Check::ok(name, detail)
}

fn mapping(table: &TableConfig, survey: &Survey) -> Check {
    let name = format!("mapping.{}", table.name);
    let notable: Vec<String> = survey.columns.iter().filter_map(|c| findings(c, survey.rows)).collect();
    if notable.is_empty() {
        return Check::ok(name, format!("{} columns map", survey.columns.len()));
    }
    let advice =
        "check kind, codes, values, min and max of these columns; what does not map is left out and counted";
    let questionable = survey.columns.iter().any(is_questionable);
    let detail = notable.join("; ");
    if questionable { Check::warn(name, detail, advice) } else { Check::ok(name, detail) }
}

/// Whether contributions can be proved over the rows as they are now; none where none are.
fn proofs(data: &LocalData, table: &TableConfig) -> Option<Check> {
    let name = format!("proofs.{}", table.name);
    let surveys = match data.proofs(&table.name) {
        Err(error) => return Some(Check::fail(name, error.to_string(), error.hint())),
        Ok(surveys) => surveys,
    };
    let text = |survey: &ProofSurvey| {
        format!("{}: {} rows of at most {}", survey.columns.join(", "), survey.rows, survey.rows_max)
    };
    let detail = surveys.iter().map(text).collect::<Vec<_>>().join("; ");
    let advice =
        "a larger statement's key has room for more rows; what does not fit is published without proofs";
    match surveys.iter().any(|survey| survey.rows > survey.rows_max) {
        _ if surveys.is_empty() => None,
        true => Some(Check::warn(name, detail, advice)),
        false => Some(Check::ok(name, detail)),
    }
}

/// Missing values are of the nature of data; values that cannot be used are worth a look.
fn is_questionable(column: &ColumnSurvey) -> bool {
    column.unparseable + column.unmapped + column.out_of_bounds > 0
}

fn findings(column: &ColumnSurvey, rows: u64) -> Option<String> {
    let counts = [
        ("missing", column.missing),
        ("no number", column.unparseable),
        ("no code", column.unmapped),
        ("out of bounds", column.out_of_bounds),
    ];
    let found: Vec<String> =
        counts.iter().filter(|(_, n)| *n > 0).map(|(what, n)| format!("{n} {what}")).collect();
    (!found.is_empty()).then(|| format!("{}: {} of {rows}", column.column, found.join(", ")))
}

/// Checks that the state folder can be written and has room.
#[must_use]
pub fn check_disk(data_dir: &Path) -> Check {
    let shown = data_dir.display();
    let probe = data_dir.join(format!(".doctor-{}", std::process::id()));
    let written = std::fs::write(&probe, [0u8; 4096]).and_then(|()| std::fs::remove_file(&probe));
    if let Err(error) = written {
        let advice = "create the folder, owned by the user that runs the node, and set data_dir to it";
        return Check::fail("disk", format!("cannot write in {shown}: {}", error.kind()), advice);
    }
    let stat = match rustix::fs::statvfs(data_dir) {
        Ok(stat) => stat,
        Err(error) => {
            let detail = format!("cannot tell the free space of {shown}: {}", error.kind());
            return Check::warn("disk", detail, "look at the free space yourself");
        }
    };
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let detail = format!("{} MiB free in {shown}", free >> 20);
    match free {
        0..FREE_BYTES_MIN => {
            Check::fail("disk", detail, "make room: the node stores shares before it sends them")
        }
        FREE_BYTES_MIN..FREE_BYTES_GOOD => {
            Check::warn("disk", detail, "make room soon: less than 1 GiB is left")
        }
        _ => Check::ok("disk", detail),
    }
}
