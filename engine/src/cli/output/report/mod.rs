//! Reports other than answers: catalogue, jobs, verdicts, checks. Each is a pure function from a plain struct to
//! text; the structs serialize to what `--json` shows.

mod catalogue;
mod checks;
mod jobs;
mod records;

pub use catalogue::{catalogue, table};
pub use checks::{CheckLine, CheckReport, CheckStatus, checks};
pub(super) use jobs::state_tone;
pub use jobs::{HospitalLine, JobDetail, JobLine, ReceiptLine, Verdict, VerdictLine, job, jobs, verdicts};
pub use records::{ColumnLine, TablePreview, TableVersion, preview, versions};

use super::terminal::{Style, Tone};
use super::text;

/// `name  value` lines, names in one column; values are broken at spaces. Entries with an empty value are left
/// out.
#[must_use]
pub fn facts(pairs: &[(&str, String)], style: &Style) -> String {
    let pairs: Vec<(&str, String)> = pairs
        .iter()
        .map(|(name, value)| (*name, text::clean(value)))
        .filter(|(_, v)| !v.is_empty())
        .collect();
    let names = pairs.iter().map(|(name, _)| text::width(name)).max().unwrap_or(0);
    let mut out = String::new();
    for (name, value) in pairs {
        let indent = " ".repeat(names + 2);
        let wrapped = text::wrap(&value, style.width, &indent);
        let head = style.paint(Tone::Faint, &text::pad_right(name, names));
        out.push_str(&format!("{head}{}", wrapped.get(names..).unwrap_or("\n")));
    }
    out
}
