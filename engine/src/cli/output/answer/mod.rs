//! A finished answer as text: one table of the plain statistics, a section for each richer one, then the notes
//! a reader must not miss: who took part, who withheld what, what was left out.

mod statistics;
mod survival;

use super::table::{Align, Entry, Grid};
use super::terminal::{Style, Tone};
use super::text;
use crate::query::answer::{Answer, Cell, Guarantee, Row, Value};
use crate::query::plan::Mechanism;
use crate::query::rounding::ERROR_MAX;

/// Footnotes, numbered in the order of their first use.
#[derive(Debug, Default)]
struct Notes(Vec<String>);

impl Notes {
    /// The mark of a note: ` [1]`.
    fn mark(&mut self, note: String) -> String {
        let at = self.0.iter().position(|n| *n == note).unwrap_or_else(|| {
            self.0.push(note);
            self.0.len() - 1
        });
        format!(" [{}]", at + 1)
    }

    /// The marks that a cell needs; empty when there is nothing to say.
    fn marks(&mut self, cell: &Cell) -> String {
        let who = text::join(&cell.withheld_by);
        let plural = cell.withheld_by.len() > 1;
        let withheld = match &cell.value {
            _ if who.is_empty() => None,
            Value::Suppressed => {
                let floor =
                    if plural { "all of whom are under their floors" } else { "which is under its floor" };
                Some(format!("withheld by {who}, {floor} here"))
            }
            _ => {
                let part =
                    if plural { "their parts are under their floors" } else { "its part is under its floor" };
                Some(format!("without {who}: {part} here"))
            }
        };
        let reason = match &cell.value {
            Value::Undefined { reason } => Some(format!("undefined: {}", text::clean(reason))),
            Value::Failed { reason } => Some(format!("failed: {}", text::clean(reason))),
            Value::Empty => Some("empty: no rows, which the floor of 1 allows to be said".to_owned()),
            _ => None,
        };
        [reason, withheld].into_iter().flatten().map(|note| self.mark(note)).collect()
    }

    fn render(&self, style: &Style) -> String {
        let mut out = String::new();
        for (i, note) in self.0.iter().enumerate() {
            let head = format!("[{}] ", i + 1);
            let indent = " ".repeat(head.len());
            let wrapped = text::wrap(note, style.width, &indent);
            out.push_str(&format!("{head}{}", wrapped.get(indent.len()..).unwrap_or("\n")));
        }
        out
    }
}

/// The answer as text.
#[must_use]
pub fn answer(answer: &Answer, style: &Style) -> String {
    let mut notes = Notes::default();
    let mut blocks = Vec::new();
    if answer.rows.is_empty() {
        blocks.push("no rows\n".to_owned());
    }
    let plain: Vec<usize> = (0..answer.headings.len()).filter(|h| is_plain(answer, *h)).collect();
    if !plain.is_empty() && !answer.rows.is_empty() {
        blocks.push(plain_table(answer, &plain, style, &mut notes));
    }
    for heading in (0..answer.headings.len()).filter(|h| !plain.contains(h)) {
        blocks.push(section(answer, heading, style, &mut notes));
    }
    let closing = format!("{}{}", notes.render(style), closing(answer, style));
    if !closing.is_empty() {
        blocks.push(closing);
    }
    blocks.join("\n")
}

/// True when every cell of the statistic is a number or a word.
fn is_plain(answer: &Answer, heading: usize) -> bool {
    answer
        .rows
        .iter()
        .filter_map(|r| r.values.get(heading))
        .all(|c| plain(&c.value, &Style::plain(80)).is_some())
}

/// The text of a value that is a number or a word.
fn plain(value: &Value, style: &Style) -> Option<String> {
    match value {
        Value::Suppressed => Some("suppressed".to_owned()),
        Value::Undefined { .. } => Some("undefined".to_owned()),
        Value::Empty => Some("empty".to_owned()),
        Value::Failed { .. } => Some("failed".to_owned()),
        Value::Noisy { value, sd, .. } => {
            let sign = if style.unicode { "±" } else { "+/-" };
            Some(format!("{} {sign} {}", style.numbers.real(*value), style.numbers.significant(*sd, 2)))
        }
        Value::Count { value } => Some(style.numbers.count(*value)),
        Value::Exact { value, digits } => Some(style.numbers.exact(value, *digits)),
        Value::Real { value } => Some(style.numbers.real(*value)),
        _ => None,
    }
}

fn tone(value: &Value) -> Option<Tone> {
    let is_word =
        matches!(value, Value::Suppressed | Value::Undefined { .. } | Value::Empty | Value::Failed { .. });
    is_word.then_some(Tone::Faint)
}

fn entry(text: String, tone: Option<Tone>) -> Entry {
    match tone {
        Some(tone) => Entry::toned(text, tone),
        None => Entry::from(text),
    }
}

/// A table that begins with the group columns.
fn keyed(answer: &Answer) -> Grid {
    answer.group_columns.iter().fold(Grid::new(), |grid, column| grid.column(column, Align::Name))
}

/// The group columns of a row.
fn key(answer: &Answer, row: &Row) -> Vec<Entry> {
    (0..answer.group_columns.len()).map(|i| Entry::from(row.key.get(i).map_or("", String::as_str))).collect()
}

fn plain_table(answer: &Answer, headings: &[usize], style: &Style, notes: &mut Notes) -> String {
    let mut rows: Vec<Vec<Entry>> = answer.rows.iter().map(|row| key(answer, row)).collect();
    let mut grid = keyed(answer);
    // Row by row, so that the notes are numbered as they are read.
    let marks: Vec<Vec<String>> = answer
        .rows
        .iter()
        .map(|row| {
            headings.iter().map(|h| row.values.get(*h).map_or(String::new(), |c| notes.marks(c))).collect()
        })
        .collect();
    for (column, heading) in headings.iter().enumerate() {
        let widest = marks.iter().map(|m| text::width(&m[column])).max().unwrap_or(0);
        let numbers = marked_heading(&answer.headings[*heading], widest);
        grid = grid.column(numbers, Align::Number);
        for (i, row) in answer.rows.iter().enumerate() {
            let Some(cell) = row.values.get(*heading) else { continue };
            let number = plain(&cell.value, style).unwrap_or_default();
            // Marks stand after the column of numbers, so that the digits stay under each other.
            let marked = format!("{number}{}", text::pad_right(&marks[i][column], widest));
            rows[i].push(entry(marked, tone(&cell.value)));
        }
    }
    rows.into_iter().for_each(|row| grid.row(row));
    grid.render(style)
}

/// The heading over a column with marks ends where the numbers end.
fn marked_heading(heading: &str, marks: usize) -> String {
    format!("{}{}", text::clean(heading), " ".repeat(marks))
}

/// A statistic that does not fit into a cell.
fn section(answer: &Answer, heading: usize, style: &Style, notes: &mut Notes) -> String {
    let cells: Vec<(&Row, &Cell)> =
        answer.rows.iter().filter_map(|row| Some((row, row.values.get(heading)?))).collect();
    let title = text::clean(&answer.headings[heading]);
    let section = statistics::Section { answer, title, cells };
    let first = section.cells.iter().map(|(_, c)| &c.value).find(|v| plain(v, style).is_none());
    match first {
        Some(Value::KaplanMeier(_)) => survival::curves(&section, style, notes),
        Some(
            Value::Chi2(_)
            | Value::OddsRatio(_)
            | Value::Corr(_)
            | Value::Quantile(_)
            | Value::Test(_)
            | Value::PValue { .. },
        ) => section.tabulated(style, notes),
        _ => section.one_by_one(style, notes),
    }
}

/// True when a cell, or a part of one, is suppressed.
fn has_suppressed(answer: &Answer) -> bool {
    answer.rows.iter().flat_map(|row| &row.values).any(|cell| match &cell.value {
        Value::Suppressed => true,
        Value::Crosstab(table) => table.table.iter().flatten().any(Option::is_none),
        Value::Histogram(histogram) => {
            let ends = [histogram.below, histogram.above];
            histogram.counts.iter().chain(&ends).any(Option::is_none)
        }
        _ => false,
    })
}

/// Who took part and what was left out.
fn closing(answer: &Answer, style: &Style) -> String {
    let mut lines = Vec::new();
    if !answer.participants.is_empty() {
        let n = answer.participants.len() as u64;
        let count = text::plural(n, "hospital", style.numbers);
        lines.push(format!("{count} took part: {}", text::join(&answer.participants)));
    }
    for quality in answer.quality.iter().filter(|q| q.missing > 0 || q.out_of_bounds > 0) {
        let mut parts = Vec::new();
        if quality.missing > 0 {
            parts.push(format!("{} missing", style.numbers.count(quality.missing)));
        }
        if quality.out_of_bounds > 0 {
            let n = style.numbers.count(quality.out_of_bounds);
            parts.push(format!("{n} out of bounds ({})", text::clean(&quality.treatment)));
        }
        lines.push(format!("{}: {}", text::clean(&quality.column), parts.join(", ")));
    }
    if let Some(floor) = answer.pooled_floor.filter(|_| has_suppressed(answer)) {
        lines.push(format!(
            "suppressed: fewer than {floor} patients over all hospitals, or a cell that would give such a one back; \
             nobody saw its number"
        ));
    }
    if answer.rounding > 0 {
        lines.push(format!(
            "counts are rounded: every hospital gives multiples of {}, so a count is within {} of the truth",
            answer.rounding,
            u64::from(ERROR_MAX) * answer.participants.len() as u64
        ));
    }
    if let Some(privacy) = &answer.privacy {
        lines.extend(self::privacy(privacy, style));
    }
    if answer.ungrouped > 0 {
        let rows = text::plural(answer.ungrouped, "row", style.numbers);
        lines.push(format!("{rows} left out: a group column was missing"));
    }
    lines.iter().map(|l| text::wrap(l, style.width, "")).collect()
}

/// What the noise promises, and how much of it is in the numbers.
fn privacy(privacy: &Guarantee, style: &Style) -> Vec<String> {
    let (name, delta) = match privacy.mechanism {
        Mechanism::Gaussian => ("Gaussian", format!(", delta {:e}", privacy.delta)),
        Mechanism::Laplace => ("Laplace", String::new()),
    };
    let honest = match privacy.honest {
        1 => "each hospital's own noise suffices for it".to_owned(),
        more => format!("as long as {more} hospitals keep their noise to themselves"),
    };
    let mut lines = vec![format!(
        "discrete {name} noise: epsilon {}{delta}, {honest}; it cost every hospital rho {}",
        privacy.epsilon, privacy.rho
    )];
    for noise in &privacy.noise {
        let sd = style.numbers.significant(noise.sd, 3);
        let (heading, what) = (text::clean(&noise.heading), text::clean(&noise.what));
        lines.push(format!("{heading}: deviation of the noise of the {what}: {sd}"));
    }
    lines
}
