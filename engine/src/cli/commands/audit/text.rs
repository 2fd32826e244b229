//! The trail as people read it.

use serde::Serialize;

use crate::audit::report::{AccessReport, Section};
use crate::audit::{Entry, Outcome, Sealed};
use crate::cli::output::table::{Align, Entry as Cell, Grid};
use crate::cli::output::terminal::{Style, Tone};
use crate::clock::utc;
use crate::identity::Digest;

/// A chain that verified.
#[derive(Debug, Serialize)]
pub struct Chain {
    /// Whose.
    pub name: String,
    /// Their public key, hexadecimal.
    pub key: String,
    /// Number of events.
    pub events: u64,
    /// Hash of the last.
    pub head: Digest,
    /// Heads of it that the log has, and that it continues.
    pub logged: Vec<Logged>,
}

/// A head in the log.
#[derive(Debug, Serialize)]
pub struct Logged {
    /// Number of its last event.
    pub events: u64,
    /// Leaf of the log.
    pub leaf: u64,
    /// Leaves of the tree it was shown in.
    pub tree: u64,
    /// When (unix milliseconds).
    pub at_ms: u64,
}

pub(super) fn chain(chain: &Chain, style: &Style) -> String {
    let mut out = format!(
        "{} {}: {} events\nhead {}\nkey  {}\n",
        style.paint(Tone::Good, "verified"),
        chain.name,
        chain.events,
        chain.head,
        chain.key
    );
    for Logged { events, leaf, tree, at_ms } in &chain.logged {
        out.push_str(&format!(
            "log  continues the head at event {events}, leaf {leaf} of {tree}, logged {}\n",
            utc(*at_ms)
        ));
    }
    if chain.logged.is_empty() {
        out.push_str("log  has no head of it yet: that its end was not cut off does not show\n");
    }
    out
}

/// A word of so many hexadecimal digits is a pseudonym or a digest.
const DIGEST_DIGITS: usize = 40;
/// Of it in a table.
const SHOWN_DIGITS: usize = 12;

fn outcome(outcome: Outcome) -> Cell {
    match outcome {
        Outcome::Success => Cell::from(outcome.as_str()),
        Outcome::Refused => Cell::toned(outcome.as_str(), Tone::Warn),
        Outcome::Failure => Cell::toned(outcome.as_str(), Tone::Bad),
    }
}

pub(super) fn events(events: &[Sealed], style: &Style) -> String {
    if events.is_empty() {
        return "no event matches\n".to_owned();
    }
    let mut grid = Grid::new()
        .column("#", Align::Number)
        .column("when", Align::Name)
        .column("who", Align::Name)
        .column("role", Align::Name)
        .column("what", Align::Name)
        .column("to", Align::Prose)
        .column("outcome", Align::Name)
        .column("detail", Align::Prose);
    for sealed in events {
        let stub = sealed.entry.stub();
        let (number, when) = (sealed.seq.to_string(), utc(stub.at_ms));
        match &sealed.entry {
            Entry::Whole { event, .. } => grid.row(vec![
                number.into(),
                when.into(),
                (&event.actor).into(),
                (&event.role).into(),
                (&event.action).into(),
                (&event.subject).into(),
                outcome(event.outcome),
                detail(event).into(),
            ]),
            Entry::Redacted(_) => grid.row(vec![
                number.into(),
                when.into(),
                "".into(),
                "".into(),
                stub.action.into(),
                "".into(),
                outcome(stub.outcome),
                "redacted".into(),
            ]),
        }
    }
    grid.render(style)
}

fn detail(event: &crate::audit::Event) -> String {
    let about = &event.context;
    let mut words = Vec::new();
    let parts = [
        ("patient", &about.patient),
        ("rows", &about.cohort),
        ("class", &about.data_class),
        ("study", &about.study),
        ("to", &about.recipient),
        ("from", &about.source),
    ];
    let said = parts.iter().filter(|(_, value)| !value.is_empty());
    words.extend(said.map(|(name, value)| format!("{name} {}", short(value))));
    if !about.purpose.is_empty() {
        words.push(format!("for {}", about.purpose.join(", ")));
    }
    if !about.trace.is_empty() {
        words.push(format!("trace {}", about.trace.chars().take(8).collect::<String>()));
    }
    if !event.detail.is_empty() {
        words.insert(0, short(&event.detail));
    }
    words.join("; ")
}

/// Pseudonyms and digests by their first digits; `--json` has them all.
fn short(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_hexdigit()) {
        let (before, from) = rest.split_at(start);
        let word = from.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(from.len());
        let (word, after) = from.split_at(word);
        out.push_str(before);
        if word.len() >= DIGEST_DIGITS && word.bytes().all(|c| c.is_ascii_hexdigit()) {
            out.push_str(&word[..SHOWN_DIGITS]);
            out.push('…');
        } else {
            out.push_str(word);
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

pub(super) fn accesses(report: &AccessReport, style: &Style) -> String {
    let mut out = format!("patient {}\n", report.patient);
    if report.accesses.is_empty() {
        out.push_str("no act on this patient's data is on the trail\n");
    } else {
        let mut grid = Grid::new()
            .columns(Align::Name, &["when", "who", "what", "class"])
            .column("why", Align::Prose)
            .column("to whom", Align::Name)
            .column("how", Align::Prose)
            .column("event", Align::Number);
        for access in &report.accesses {
            let mut why = access.purpose.join(", ");
            if !access.study.is_empty() {
                why = format!("{why} study {}", access.study).trim().to_owned();
            }
            let how = match (access.outcome, access.is_aggregate) {
                (Outcome::Refused, _) => "refused: nothing was seen",
                (Outcome::Failure, _) => "failed",
                (Outcome::Success, true) => "added up with others",
                (Outcome::Success, false) => "single record",
            };
            grid.row(vec![
                utc(access.at_ms).into(),
                (&access.actor).into(),
                (&access.action).into(),
                (&access.data_class).into(),
                why.into(),
                (&access.recipient).into(),
                how.into(),
                access.seq.to_string().into(),
            ]);
        }
        out.push_str(&grid.render(style));
    }
    if report.redacted > 0 {
        out.push_str(&format!("{} older events were redacted by retention\n", report.redacted));
    }
    out
}

pub(super) fn sections(sections: &[Section], style: &Style) -> String {
    let mut out = String::new();
    for section in sections {
        out.push_str(&format!("{} ({})\n", style.paint(Tone::Strong, section.title), section.basis));
        if section.lines.is_empty() {
            out.push_str("nothing\n\n");
            continue;
        }
        let mut grid = Grid::new()
            .column("what", Align::Prose)
            .column("whom", Align::Name)
            .column("times", Align::Number)
            .column("first", Align::Name)
            .column("last", Align::Name);
        for line in &section.lines {
            grid.row(vec![
                (&line.what).into(),
                (&line.whom).into(),
                line.count.to_string().into(),
                utc(line.first_ms).into(),
                utc(line.last_ms).into(),
            ]);
        }
        out.push_str(&grid.render(style));
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn digests_and_pseudonyms_are_short_and_nothing_else_is() {
        let digest = "15793d56c7af3ffdc8211da76022bfefdb27a7ddebd898603d70d14f7fc01569";
        assert_eq!(short(&format!("labs@{digest}; root {digest}")), "labs@15793d56c7af…; root 15793d56c7af…");
        for kept in ["", "50 of 87 events", "3f0c by ada", "a café bar", "x".repeat(70).as_str()] {
            assert_eq!(short(kept), kept);
        }
        assert_eq!(short(&format!("{digest}é{digest}")), "15793d56c7af…é15793d56c7af…");
    }
}
