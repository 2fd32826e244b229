//! Jobs: the list, one in detail, and what policies say of a query.

use serde::{Deserialize, Serialize};

use super::facts;
use crate::cli::errors::UserError;
use crate::cli::output::error_text;
use crate::cli::output::number::duration_ms;
use crate::cli::output::table::{Align, Entry, Grid};
use crate::cli::output::terminal::{Style, Tone};

/// A job in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobLine {
    /// Id.
    pub id: String,
    /// State (`queued`, `waiting for parties`, `running`, `committing`, `done`, `failed`, `refused`,
    /// `cancelled`).
    pub state: String,
    /// When it was submitted, as text.
    pub submitted: String,
    /// From submission to the end, or to now.
    pub took_ms: Option<u64>,
    /// Who submitted it.
    pub submitter: String,
    /// Canonical query.
    pub query: String,
}

/// A hospital's part in a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HospitalLine {
    /// Name.
    pub hospital: String,
    /// State word (`waiting`, `computing`, `encrypted`, `share sent`, `cosigned`, `withheld`, `refused`).
    pub state: String,
    /// More about it, or empty.
    #[serde(default)]
    pub detail: String,
}

/// Where the result commitment stands in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptLine {
    /// Index of the entry.
    pub index: u64,
    /// Size of the log at the checkpoint.
    pub size: u64,
    /// The commitment, hexadecimal.
    pub commitment: String,
    /// Hospitals that cosigned the checkpoint.
    pub cosigned_by: Vec<String>,
}

/// What a rule says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It may run.
    Allowed,
    /// A person at the hospital must approve.
    NeedsApproval,
    /// It may not run.
    Refused,
}

/// A verdict of one rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerdictLine {
    /// Whose rule: a hospital, or the consortium.
    pub by: String,
    /// The rule's name.
    pub rule: String,
    /// What it says.
    pub verdict: Verdict,
    /// Why, or empty.
    #[serde(default)]
    pub detail: String,
}

/// A job in detail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobDetail {
    /// What the list shows.
    pub job: JobLine,
    /// Attempts made.
    pub attempts: u32,
    /// The participation declared (`all`, `at least 3`).
    pub participation: String,
    /// Every hospital's part.
    pub hospitals: Vec<HospitalLine>,
    /// What the rules said.
    pub verdicts: Vec<VerdictLine>,
    /// Why it failed or was refused.
    pub error: Option<UserError>,
    /// Its receipt, when done.
    pub receipt: Option<ReceiptLine>,
}

/// The tone of a job's or a hospital's state word.
pub(in crate::cli::output) fn state_tone(state: &str) -> Option<Tone> {
    match state {
        "done" | "cosigned" | "key kept" => Some(Tone::Good),
        "failed" | "refused" => Some(Tone::Bad),
        "withheld" | "cancelled" | "away" | "approval" | "needs approval" => Some(Tone::Warn),
        "queued" | "waiting" => Some(Tone::Faint),
        _ => None,
    }
}

fn state(word: &str) -> Entry {
    state_tone(word).map_or_else(|| Entry::from(word), |tone| Entry::toned(word, tone))
}

/// The list of jobs, in the order given.
#[must_use]
pub fn jobs(jobs: &[JobLine], style: &Style) -> String {
    if jobs.is_empty() {
        return "no jobs\n".to_owned();
    }
    let mut grid = Grid::new()
        .column("job", Align::Name)
        .column("state", Align::Name)
        .column("submitted", Align::Name)
        .column("took", Align::Number)
        .column("by", Align::Name)
        .column("query", Align::Prose);
    for job in jobs {
        grid.row(vec![
            Entry::from(&job.id),
            state(&job.state),
            Entry::from(&job.submitted),
            Entry::from(job.took_ms.map_or(String::new(), duration_ms)),
            Entry::from(&job.submitter),
            Entry::from(&job.query),
        ]);
    }
    grid.render(style)
}

/// One job with its hospitals, verdicts, and receipt or error.
#[must_use]
pub fn job(detail: &JobDetail, style: &Style) -> String {
    let JobLine { id, state: word, submitted, took_ms, submitter, query } = &detail.job;
    let attempts = if detail.attempts > 1 { detail.attempts.to_string() } else { String::new() };
    let pairs = [
        ("job", id.clone()),
        ("state", word.clone()),
        ("query", query.clone()),
        (
            "submitted",
            if submitter.is_empty() { submitted.clone() } else { format!("{submitted} by {submitter}") },
        ),
        ("took", took_ms.map_or(String::new(), duration_ms)),
        ("attempts", attempts),
        ("participation", detail.participation.clone()),
    ];
    let mut blocks = vec![facts(&pairs, style)];
    if !detail.hospitals.is_empty() {
        let mut grid = Grid::new()
            .column("hospital", Align::Name)
            .column("state", Align::Name)
            .column("detail", Align::Prose);
        for line in &detail.hospitals {
            grid.row(vec![Entry::from(&line.hospital), state(&line.state), Entry::from(&line.detail)]);
        }
        blocks.push(grid.render(style));
    }
    if !detail.verdicts.is_empty() {
        blocks.push(verdicts(&detail.verdicts, style));
    }
    if let Some(receipt) = &detail.receipt {
        blocks.push(facts(
            &[
                ("receipt", format!("entry {} of {}", receipt.index, receipt.size)),
                ("commitment", receipt.commitment.clone()),
                ("cosigned by", crate::cli::output::text::join(&receipt.cosigned_by)),
            ],
            style,
        ));
    }
    if let Some(error) = &detail.error {
        blocks.push(error_text(error, style));
    }
    blocks.join("\n")
}

/// What every rule says, and in one line what follows.
#[must_use]
pub fn verdicts(lines: &[VerdictLine], style: &Style) -> String {
    if lines.is_empty() {
        return "no rule applies\n".to_owned();
    }
    let mut grid = Grid::new()
        .column("verdict", Align::Name)
        .column("by", Align::Name)
        .column("rule", Align::Name)
        .column("detail", Align::Prose);
    for line in lines {
        let verdict = match line.verdict {
            Verdict::Allowed => Entry::toned("allowed", Tone::Good),
            Verdict::NeedsApproval => Entry::toned("needs approval", Tone::Warn),
            Verdict::Refused => Entry::toned("refused", Tone::Bad),
        };
        grid.row(vec![verdict, Entry::from(&line.by), Entry::from(&line.rule), Entry::from(&line.detail)]);
    }
    grid.render(style)
}
