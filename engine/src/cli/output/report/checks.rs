//! Lists of checks: the verification of a receipt, and the doctor.

use serde::{Deserialize, Serialize};

use crate::cli::exit::Exit;
use crate::cli::output::terminal::{Style, Tone};
use crate::cli::output::text;

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// It holds.
    Passed,
    /// It holds, but somebody should look.
    Warning,
    /// It does not hold.
    Failed,
    /// It could not be tried, because another check failed.
    Skipped,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckLine {
    /// What was checked (`checkpoint signature`).
    pub name: String,
    /// How it went.
    pub status: CheckStatus,
    /// What was found.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// A list of checks with what they are about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// What was checked (`receipt job-17.receipt`, `hospital A`).
    pub subject: String,
    /// The word when all passed (`verified`, `healthy`).
    pub good: String,
    /// The words when one failed (`NOT verified`, `not healthy`).
    pub bad: String,
    /// The checks, in the order they were made.
    pub checks: Vec<CheckLine>,
}

impl CheckReport {
    /// True when there is a check and none failed or was skipped.
    #[must_use]
    pub fn is_good(&self) -> bool {
        let held = |c: &CheckLine| matches!(c.status, CheckStatus::Passed | CheckStatus::Warning);
        !self.checks.is_empty() && self.checks.iter().all(held)
    }

    /// 0, or `bad` when a check failed.
    #[must_use]
    pub fn exit(&self, bad: Exit) -> Exit {
        if self.is_good() { Exit::Ok } else { bad }
    }
}

/// The checks, a line each, then the verdict in one line.
#[must_use]
pub fn checks(report: &CheckReport, style: &Style) -> String {
    let names = report.checks.iter().map(|c| text::width(&text::clean(&c.name))).max().unwrap_or(0);
    let mut out = String::new();
    for check in &report.checks {
        let (mark, tone) = mark(check.status, style);
        let head = format!("{mark} {}", text::pad_right(&text::clean(&check.name), names));
        let indent = " ".repeat(text::width(&head) + 2);
        let detail = text::wrap(&text::clean(&check.detail), style.width, &indent);
        let painted = format!("{} {}", style.paint(tone, mark), &head[mark.len() + 1..]);
        match detail.get(text::width(&head)..) {
            Some(rest) if !rest.trim().is_empty() => out.push_str(&format!("{painted}{rest}")),
            _ => out.push_str(&format!("{}\n", painted.trim_end())),
        }
        if let Some(hint) = &check.hint {
            let wrapped = text::wrap(&format!("hint: {}", text::clean(hint)), style.width, &indent);
            out.push_str(&style.paint(Tone::Hint, wrapped.trim_end_matches('\n')));
            out.push('\n');
        }
    }
    let count = |status| report.checks.iter().filter(|c| c.status == status).count();
    let failed = count(CheckStatus::Failed) + count(CheckStatus::Skipped);
    let subject = text::clean(&report.subject);
    let verdict = match (report.is_good(), report.checks.len()) {
        (true, _) => style.paint(Tone::Good, &text::clean(&report.good)),
        (false, 0) => format!("{}: nothing was checked", style.paint(Tone::Bad, &text::clean(&report.bad))),
        (false, n) => {
            let bad = style.paint(Tone::Bad, &text::clean(&report.bad));
            format!("{bad}: {failed} of {n} checks did not pass")
        }
    };
    out.push_str(&format!("{subject}: {verdict}\n"));
    out
}

fn mark(status: CheckStatus, style: &Style) -> (&'static str, Tone) {
    match (status, style.unicode) {
        (CheckStatus::Passed, true) => ("✓", Tone::Good),
        (CheckStatus::Passed, false) => ("ok     ", Tone::Good),
        (CheckStatus::Warning, true) => ("!", Tone::Warn),
        (CheckStatus::Warning, false) => ("warning", Tone::Warn),
        (CheckStatus::Failed, true) => ("✗", Tone::Bad),
        (CheckStatus::Failed, false) => ("FAILED ", Tone::Bad),
        (CheckStatus::Skipped, true) => ("-", Tone::Faint),
        (CheckStatus::Skipped, false) => ("skipped", Tone::Faint),
    }
}
