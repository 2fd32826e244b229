//! `ward party records ...`

use std::path::Path;

use super::party::{line_of, load};
use crate::cli::args;
use crate::cli::exit::Exit;
use crate::cli::output::number::fixed;
use crate::cli::output::report::{CheckReport, ColumnLine, TablePreview, TableVersion, preview, versions};
use crate::cli::output::terminal::Terminal;
use crate::cli::written;
use crate::party::doctor;
use crate::party::local::config::TableConfig;
use crate::party::local::data::{ColumnSurvey, LocalData};
use crate::party::node::Node;
use crate::problem::{Problem, ProblemKind};
use crate::query::catalogue::ColumnKind;
use crate::records::version::VersionKey;

/// Most rows that are printed.
const SHOW_ROWS_MAX: u32 = 1000;

/// Runs a command.
///
/// # Errors
/// As the command says.
pub fn run(command: &args::Records, terminal: &Terminal) -> Result<Exit, Problem> {
    match command {
        args::Records::Check { config } => check(config, terminal),
        args::Records::Version { config } => version(config, terminal),
        args::Records::Preview { config, table, show_rows } => show(config, table, *show_rows, terminal),
    }
}

fn check(path: &Path, terminal: &Terminal) -> Result<Exit, Problem> {
    let (first, config) = doctor::check_config(path);
    let mut checks = vec![first];
    if let Some(config) = config {
        terminal.say(&format!("reading {} tables", config.tables.len()));
        checks.extend(doctor::check_data(&config));
    }
    let report = CheckReport {
        subject: path.display().to_string(),
        good: "readable".to_owned(),
        bad: "not readable".to_owned(),
        checks: checks.into_iter().map(line_of).collect(),
    };
    written(terminal.checks(&report))?;
    Ok(report.exit(Exit::Unavailable))
}

/// Versions are made under a key of the node: they are those of the catalogue and of receipts.
fn version(path: &Path, terminal: &Terminal) -> Result<Exit, Problem> {
    let node = Node::open_lazily(load(path)?)?;
    let data = node.data();
    let mut lines = Vec::with_capacity(node.config().tables.len());
    for table in &node.config().tables {
        lines.push(TableVersion {
            table: table.name.clone(),
            rows: data.survey(&table.name)?.rows,
            version: data.dataset_version(&table.name)?,
        });
    }
    written(terminal.show(lines.as_slice(), versions))?;
    Ok(Exit::Ok)
}

fn show(path: &Path, table: &str, rows: Option<u32>, terminal: &Terminal) -> Result<Exit, Problem> {
    let config = load(path)?;
    let Some(own) = config.table(table).cloned() else {
        let known: Vec<&str> = config.tables.iter().map(|t| t.name.as_str()).collect();
        let hint = format!("the configuration has {}", known.join(", "));
        return Err(
            Problem::new(ProblemKind::NotFound, "data.table", format!("no table `{table}`")).hint(hint)
        );
    };
    // Rows are shown by an enrolled node alone: what is shown stands in its audit chain before it is shown.
    let (data, rows) = match rows {
        None => {
            // Nothing that is made under this key leaves the command.
            let data = LocalData::new(&config, VersionKey::from_bytes(&[0; 32]));
            (std::sync::Arc::new(data), Vec::new())
        }
        Some(count) => {
            let node = Node::open(config)?;
            let count = count.min(SHOW_ROWS_MAX);
            node.audit(
                "records.show",
                &format!("dataset:{table}"),
                &format!("{count} rows on the terminal"),
            )?;
            let data = node.data();
            let rows = data.rows(table, count as usize)?;
            (data, rows)
        }
    };
    let survey = data.survey(table)?;
    let view = TablePreview {
        table: table.to_owned(),
        source: own.source.format().to_owned(),
        rows: survey.rows,
        patients: survey.patients.map(|p| p.distinct),
        without_patient: survey.patients.map_or(0, |p| p.missing),
        read: survey.rejects.read.clone(),
        left_out: survey.rejects.reasons.iter().map(|(r, n)| (r.as_str().to_owned(), *n)).collect(),
        columns: survey.columns.iter().map(|column| line(&own, column)).collect(),
        shown: rows,
    };
    written(terminal.show(&view, preview))?;
    Ok(Exit::Ok)
}

fn line(table: &TableConfig, found: &ColumnSurvey) -> ColumnLine {
    let column = table.column(&found.column).map(|c| &c.column);
    let numeric = column.filter(|c| matches!(c.kind, ColumnKind::Integer | ColumnKind::Real));
    let place =
        |value: i64, digits: u8| fixed(value as f64 / 10f64.powi(i32::from(digits)), usize::from(digits));
    let bounds =
        |(low, high): (i64, i64), digits| format!("{} to {}", place(low, digits), place(high, digits));
    ColumnLine {
        column: found.column.clone(),
        kind: column.map_or(String::new(), |c| kind(c.kind).to_owned()),
        bounds: numeric.map(|c| bounds((c.min, c.max), c.digits)),
        fitting: numeric.zip(found.range).map(|(c, (low, high))| bounds(wide(low, high), c.digits)),
        missing: found.missing,
        no_number: found.unparseable,
        no_code: found.unmapped,
        out_of_bounds: found.out_of_bounds,
    }
}

fn kind(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Integer => "integer",
        ColumnKind::Real => "real",
        ColumnKind::Category => "category",
        ColumnKind::Identifier => "identifier",
    }
}

/// The range in steps of a power of ten of its own size: the smallest and the largest value are a patient's.
fn wide(low: i64, high: i64) -> (i64, i64) {
    let largest = low.unsigned_abs().max(high.unsigned_abs()).max(1);
    let step = 10i64.pow(largest.ilog10().min(17));
    (
        low.div_euclid(step).saturating_mul(step),
        high.saturating_add(step - 1).div_euclid(step).saturating_mul(step),
    )
}

#[cfg(test)]
mod tests {
    use super::wide;

    #[test]
    fn fitting_bounds_are_wider_than_the_values_and_round() {
        assert_eq!(wide(17, 233), (0, 300));
        assert_eq!(wide(-5, 7), (-5, 7));
        assert_eq!(wide(1947, 1986), (1000, 2000));
        assert_eq!(wide(0, 0), (0, 0));
        let (low, high) = wide(i64::MIN + 1, i64::MAX);
        assert!(low < -i64::MAX / 2 && high > i64::MAX / 2);
    }
}
