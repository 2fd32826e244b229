//! `ward criteria ...`: what a study asks, before anybody is asked.

use std::path::Path;

use clap::Subcommand;
use ward_circuits::criteria::{Criteria, Date, Explanation, SCHEMA_JSON, Schema, TEXT_BYTES_MAX};

use crate::attestation::{AttestationError, read_file};
use crate::cli::exit::Exit;
use crate::cli::output::report::facts;
use crate::cli::output::terminal::{Style, Terminal, Tone};
use crate::cli::written;
use crate::clock::now_ms;
use crate::problem::{Problem, ProblemKind};

/// `ward criteria`.
#[derive(Debug, Subcommand)]
pub enum Args {
    /// Check criteria, print their canonical form, and what each clause needs of a credential.
    Check {
        /// The criteria; `@FILE` reads them from a file, `-` from stdin.
        criteria: String,
        /// The day for which they are evaluated [default: today].
        #[arg(long, value_name = "YYYY-MM-DD")]
        date: Option<String>,
    },
    /// Print the schema: the attributes criteria can name, with units, codes and slots.
    Schema,
}

/// What `ward criteria check` finds.
#[derive(Debug, serde::Serialize)]
pub struct Checked {
    /// The canonical text.
    pub canonical: String,
    /// Its identity.
    pub text_id: String,
    /// The schema's identity.
    pub schema: String,
    /// The day for which the clauses are explained.
    pub evaluated: String,
    /// Clauses of the circuit that it takes, of 16.
    pub circuit_clauses: usize,
    /// What each clause needs.
    pub clauses: Vec<Explanation>,
}

/// Runs a command.
///
/// # Errors
/// As the command says.
pub fn run(command: &Args, terminal: &Terminal) -> Result<Exit, Problem> {
    match command {
        Args::Schema => written(terminal.data(SCHEMA_JSON)),
        Args::Check { criteria, date } => {
            let criteria = parse(&criteria_text(criteria)?, terminal)?;
            written(terminal.show(&check(&criteria, date.as_deref())?, text))
        }
    }
}

/// The criteria that an argument stands for: themselves, a file's, or stdin's.
///
/// # Errors
/// When the file or stdin cannot be read.
pub fn criteria_text(argument: &str) -> Result<String, Problem> {
    let bytes = match argument.strip_prefix('@') {
        Some(path) => read_file(Path::new(path), TEXT_BYTES_MAX as u64)?,
        None if argument == "-" => super::attest::stdin(TEXT_BYTES_MAX)?,
        None => return Ok(argument.to_owned()),
    };
    String::from_utf8(bytes)
        .map_err(|e| Problem::new(ProblemKind::Validation, "criteria.syntax", format!("not text: {e}")))
}

/// Reads criteria; a fault is shown where it stands.
///
/// # Errors
/// The fault, with the place in the text and a hint.
pub fn parse(criteria: &str, terminal: &Terminal) -> Result<Criteria, Problem> {
    Criteria::parse(criteria, &Schema::v1()).map_err(|error| {
        if !terminal.is_json() {
            terminal.say(&error.picture());
        }
        AttestationError::Criteria(error).into()
    })
}

/// What criteria need, at a date.
///
/// # Errors
/// A date that is none, or on which nobody can meet them.
pub fn check(parsed: &Criteria, date: Option<&str>) -> Result<Checked, Problem> {
    let evaluated = match date {
        Some(date) => date
            .parse::<Date>()
            .map_err(|e| Problem::new(ProblemKind::Validation, "criteria.date", format!("{date}: {e}")))?,
        None => Date::from_unix_ms(now_ms()).unwrap_or(Date::LAST),
    };
    parsed.lower(evaluated).map_err(|e| Problem::from(AttestationError::Unmet(e)))?;
    Ok(Checked {
        canonical: parsed.to_string(),
        text_id: parsed.text_id().to_string(),
        schema: parsed.schema().id().to_string(),
        evaluated: evaluated.to_string(),
        circuit_clauses: parsed.clauses_count(),
        clauses: parsed.explain(evaluated),
    })
}

fn text(checked: &Checked, style: &Style) -> String {
    let head = [
        ("criteria", checked.canonical.clone()),
        ("id", checked.text_id.clone()),
        ("schema", checked.schema.clone()),
        ("evaluated", checked.evaluated.clone()),
        ("clauses", format!("{} of the circuit's 16", checked.circuit_clauses)),
    ];
    let mut out = facts(&head, style);
    let mut group = 0;
    for clause in &checked.clauses {
        let word = match (group == clause.group, group) {
            (true, _) => "or ",
            (false, 0) => "",
            (false, _) => "and ",
        };
        group = clause.group;
        out.push_str(&format!("\n{word}{}\n", style.paint(Tone::Strong, &clause.clause)));
        let slots: Vec<String> = clause.slots.iter().map(ToString::to_string).collect();
        let pairs = [
            ("  issuer asserts", clause.asserts.clone()),
            ("  from", clause.source.clone()),
            ("  slots", slots.join(" ")),
            ("  compared", clause.compares.join("; ")),
            ("  note", clause.note.clone()),
        ];
        out.push_str(&facts(&pairs, style));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::terminal::Options;

    #[test]
    fn criteria_are_explained_clause_by_clause() {
        let (terminal, _) = Terminal::captured(Options::default());
        let criteria = parse("age >= 18 and not rx in (A10A*)", &terminal).unwrap();
        let checked = check(&criteria, Some("2026-11-22")).unwrap();
        assert_eq!(checked.canonical, "age >= 18 and rx not in (A10A*)");
        assert_eq!(checked.clauses.len(), 2);
        let text = text(&checked, &Style::plain(100));
        assert!(text.contains("slot 0: 1900-01-01 to 2008-11-22"), "{text}");
        assert!(text.contains("that the list is complete"), "{text}");
        assert_eq!(check(&criteria, Some("tomorrow")).unwrap_err().code, "criteria.date");
    }

    #[test]
    fn a_fault_is_shown_where_it_stands_with_its_code_and_hint() {
        let (terminal, capture) = Terminal::captured(Options::default());
        let problem = parse("hba1c >= 6.5", &terminal).unwrap_err();
        assert_eq!((problem.code.as_str(), problem.hint.as_str()), ("criteria.unit", "write 6.5 [%]"));
        assert_eq!(capture.stderr(), "  | hba1c >= 6.5\n  |          ^^^\n");
        let (terminal, capture) = Terminal::captured(Options { json: true, ..Options::default() });
        assert!(parse("hba1c >= 6.5", &terminal).is_err() && capture.stderr().is_empty());
    }
}
