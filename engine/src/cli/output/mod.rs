//! The client's output: stdout is data, stderr is talk. The only module of the engine that prints.
//!
//! - [`terminal::Terminal`] is the door to both streams: colour, width, `--json`, `--quiet`, broken pipes.
//! - [`answer`], [`report`]: pure functions from a value and a [`terminal::Style`] to text. All text that comes
//!   from elsewhere passes through [`text::clean`], so that no hospital's name can steer a terminal.
//! - [`progress::Progress`]: moving bars on a terminal, one line per change elsewhere.
//!
//! Under `--json`, stdout carries one JSON document per command (one per line for streams) with full precision,
//! and stderr carries an error as one line of JSON. See [`crate::cli::exit`] for the exit codes.

pub mod answer;
pub mod csv;
#[cfg(test)]
pub(crate) mod expect;
pub mod number;
pub mod progress;
pub mod report;
pub mod steps;
pub mod table;
pub mod terminal;
#[cfg(test)]
mod tests;
pub mod text;

use std::io;

use self::terminal::{Style, Terminal, Tone};
use super::errors::UserError;
use crate::query::answer::Answer;
use crate::query::catalogue::Catalogue;

impl Terminal {
    /// An answer.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn answer(&self, answer: &Answer) -> io::Result<()> {
        self.show(answer, answer::answer)
    }

    /// The catalogue: all tables, or one of them in detail.
    ///
    /// # Errors
    /// `NotFound` when no hospital publishes the table; else when stdout cannot be written.
    pub fn catalogue(&self, catalogue: &Catalogue, table: Option<&str>) -> io::Result<()> {
        let unknown = |name: &str| {
            io::Error::new(io::ErrorKind::NotFound, format!("no hospital publishes the table `{name}`"))
        };
        let Some(name) = table else { return self.show(catalogue, report::catalogue) };
        let text = report::table(catalogue, name, &self.style()).ok_or_else(|| unknown(name))?;
        if !self.is_json() {
            return self.data(&text);
        }
        let mut narrowed = catalogue.clone();
        narrowed.hospitals.retain(|_, publication| {
            publication.tables.retain(|t| t.name == name);
            !publication.tables.is_empty()
        });
        self.json(&narrowed)
    }

    /// A list of jobs.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn jobs(&self, jobs: &[report::JobLine]) -> io::Result<()> {
        self.show(jobs, report::jobs)
    }

    /// A job in detail.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn job(&self, job: &report::JobDetail) -> io::Result<()> {
        self.show(job, report::job)
    }

    /// What the rules say of a query.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn verdicts(&self, verdicts: &[report::VerdictLine]) -> io::Result<()> {
        self.show(verdicts, report::verdicts)
    }

    /// The checks of a receipt, or of the doctor.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn checks(&self, report: &report::CheckReport) -> io::Result<()> {
        self.show(report, report::checks)
    }
}

/// An error as lines: `error:`, `hint:`, `trace:`.
#[must_use]
pub fn error_text(error: &UserError, style: &Style) -> String {
    let head = style.paint(Tone::Bad, "error:");
    let whose = error.hospital.as_ref().map_or(String::new(), |h| format!("{}: ", text::clean(h)));
    let mut out = format!("{head} {whose}{} [{}]\n", text::clean(&error.message), text::clean(&error.code));
    if let Some(hint) = &error.hint {
        out.push_str(&format!("{} {}\n", style.paint(Tone::Hint, "hint:"), text::clean(hint)));
    }
    if let Some(trace) = &error.trace_id {
        out.push_str(&format!("{} {}\n", style.paint(Tone::Faint, "trace:"), text::clean(trace)));
    }
    out
}
