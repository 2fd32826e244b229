//! Tables: comfy-table with one look, and a fall-back for narrow terminals. A number is never broken over two
//! lines: a table that does not fit is shown record by record.

use comfy_table::{
    Attribute, Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, ContentLineStyle, LineStyle,
    TableStyle,
};

use super::terminal::{Style, Tone};
use super::text;

const LOOK: TableStyle = TableStyle::new()
    .header_lines(ContentLineStyle::none())
    .header_separator(LineStyle::none().fill('─').junction('─'))
    .content_lines(ContentLineStyle::none());
const LOOK_ASCII: TableStyle = TableStyle::new()
    .header_lines(ContentLineStyle::none())
    .header_separator(LineStyle::none().fill('-').junction('-'))
    .content_lines(ContentLineStyle::none());

/// Spaces between columns.
const GAP: usize = 2;
/// Narrowest a text column may be squeezed to.
const TEXT_MIN: usize = 12;

/// How a column is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Words on the left; never broken.
    Name,
    /// Sentences on the left; may be broken at spaces.
    Prose,
    /// Numbers on the right; never broken.
    Number,
}

/// A table under construction. All text is cleaned on the way in.
#[derive(Clone, Debug, Default)]
pub struct Grid {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<Entry>>,
}

/// One cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    text: String,
    tone: Option<Tone>,
}

impl Entry {
    /// A cell with a tone.
    pub fn toned(text: impl AsRef<str>, tone: Tone) -> Self {
        Self { text: text::clean(text.as_ref()), tone: Some(tone) }
    }
}

impl<T: AsRef<str>> From<T> for Entry {
    fn from(text: T) -> Self {
        Self { text: text::clean(text.as_ref()), tone: None }
    }
}

impl Grid {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With another column on the right.
    #[must_use]
    pub fn column(mut self, heading: impl AsRef<str>, align: Align) -> Self {
        self.columns.push((text::clean(heading.as_ref()), align));
        self
    }

    /// With more columns on the right, all aligned like this.
    #[must_use]
    pub fn columns(self, align: Align, headings: &[&str]) -> Self {
        headings.iter().fold(self, |grid, heading| grid.column(heading, align))
    }

    /// Adds a row; missing cells are empty, surplus ones are dropped.
    pub fn row(&mut self, entries: Vec<Entry>) {
        let mut entries = entries;
        entries.resize_with(self.columns.len(), Entry::default);
        self.rows.push(entries);
    }

    /// True when it has no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as text, each line ending in a line break and at most `style.width` wide where its words
    /// allow it.
    #[must_use]
    pub fn render(&self, style: &Style) -> String {
        if self.columns.is_empty() {
            return String::new();
        }
        let widths = self.natural_widths();
        match self.squeezed(&widths, style.width) {
            Some(widths) => self.tabular(&widths, style),
            None => self.records(style),
        }
    }

    fn natural_widths(&self) -> Vec<usize> {
        (0..self.columns.len())
            .map(|i| {
                let cells = self.rows.iter().map(|r| text::width(&r[i].text));
                cells.chain([text::width(&self.columns[i].0)]).max().unwrap_or(0).max(1)
            })
            .collect()
    }

    /// Column widths that fit, taking from the prose columns only; `None` when that is not enough.
    fn squeezed(&self, natural: &[usize], width: usize) -> Option<Vec<usize>> {
        let mut widths = natural.to_vec();
        let mut excess = (widths.iter().sum::<usize>() + GAP * (widths.len() - 1)).saturating_sub(width);
        while excess > 0 {
            let widest = (0..widths.len())
                .filter(|i| self.columns[*i].1 == Align::Prose && widths[*i] > TEXT_MIN)
                .max_by_key(|i| widths[*i])?;
            widths[widest] -= 1;
            excess -= 1;
        }
        Some(widths)
    }

    fn tabular(&self, widths: &[usize], style: &Style) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(if style.unicode { LOOK } else { LOOK_ASCII });
        table.set_content_arrangement(ContentArrangement::Dynamic);
        if style.colour {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        let bold = |t: &str| Cell::new(t).add_attribute(Attribute::Bold);
        table.set_header(self.columns.iter().map(|(heading, _)| bold(heading)));
        for row in &self.rows {
            table.add_row(row.iter().map(cell));
        }
        for (i, width) in widths.iter().enumerate() {
            let last = i + 1 == widths.len();
            // A border, here a space, takes one column of the gap.
            let gap = if last { 0 } else { GAP - 1 };
            if let Some(column) = table.column_mut(i) {
                column.set_padding((0, u16::try_from(gap).unwrap_or(0)));
                if self.columns[i].1 == Align::Number {
                    column.set_cell_alignment(CellAlignment::Right);
                }
                let width = u16::try_from(width + gap).unwrap_or(u16::MAX);
                column.set_constraint(ColumnConstraint::Absolute(comfy_table::Width::Fixed(width)));
            }
        }
        table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
    }

    /// One `heading  value` line per cell, a blank line between records.
    fn records(&self, style: &Style) -> String {
        let headings = self.columns.iter().map(|(h, _)| text::width(h.trim_end())).max().unwrap_or(0);
        let headings = headings.min(style.width / 2);
        let room = style.width.saturating_sub(headings + GAP).max(1);
        let mut out = String::new();
        for (i, row) in self.rows.iter().enumerate() {
            if i > 0 {
                out.push('\n');
            }
            for ((heading, _), entry) in self.columns.iter().zip(row) {
                let heading =
                    text::pad_right(&text::fit(heading.trim_end(), headings, style.unicode), headings);
                let value = text::wrap(&entry.text, room, "");
                for (n, line) in value.lines().enumerate() {
                    let head =
                        if n == 0 { style.paint(Tone::Strong, &heading) } else { " ".repeat(headings) };
                    let value = entry.tone.map_or_else(|| line.to_owned(), |tone| style.paint(tone, line));
                    out.push_str(&format!("{head}{}{value}\n", " ".repeat(GAP)));
                }
            }
        }
        out
    }
}

fn cell(entry: &Entry) -> Cell {
    let cell = Cell::new(&entry.text);
    match entry.tone {
        None => cell,
        Some(Tone::Strong) => cell.add_attribute(Attribute::Bold),
        Some(Tone::Faint) => cell.add_attribute(Attribute::Dim),
        Some(Tone::Good) => cell.fg(Color::Green),
        Some(Tone::Warn) => cell.fg(Color::Yellow),
        Some(Tone::Bad) => cell.fg(Color::Red),
        Some(Tone::Hint) => cell.fg(Color::Cyan),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> Grid {
        let mut grid = Grid::new()
            .column("sex", Align::Name)
            .column("COUNT(*)", Align::Number)
            .column("note", Align::Prose);
        grid.row(vec!["f".into(), "1,234".into(), "from four hospitals, one of which joined late".into()]);
        grid.row(vec!["m".into(), "98".into(), Entry::toned("suppressed", Tone::Faint)]);
        grid
    }

    #[test]
    fn numbers_stand_on_the_right_under_a_ruled_heading() {
        assert_eq!(
            sample().render(&Style::plain(80)),
            "sex  COUNT(*)  note\n\
             ────────────────────────────────────────────────────────────\n\
             f       1,234  from four hospitals, one of which joined late\n\
             m          98  suppressed\n"
        );
    }

    #[test]
    fn prose_is_broken_and_numbers_are_not() {
        let text = sample().render(&Style::plain(40));
        assert!(text.lines().all(|l| text::width(l) <= 40), "{text}");
        assert!(text.contains("1,234"), "{text}");
    }

    #[test]
    fn a_table_that_cannot_fit_becomes_records() {
        let mut grid = Grid::new();
        for i in 0..9 {
            grid = grid.column(format!("statistic {i}"), Align::Number);
        }
        grid.row((0..9).map(|i| Entry::from(format!("{}", 1_000_000 + i))).collect());
        let text = grid.render(&Style::plain(60));
        assert_eq!(text.lines().count(), 9);
        assert_eq!(text.lines().next(), Some("statistic 0  1000000"));
    }

    #[test]
    fn tones_show_only_in_colour() {
        let style = Style { colour: true, ..Style::plain(80) };
        assert!(sample().render(&style).contains("\u{1b}["));
        assert!(!sample().render(&Style::plain(80)).contains('\u{1b}'));
    }

    proptest! {
        #[test]
        fn numbers_survive_any_width_in_one_piece(
            numbers in proptest::collection::vec(0u64..1_000_000_000_000, 1..12),
            width in 40usize..200,
        ) {
            let mut grid = Grid::new().column("k", Align::Name);
            for i in 0..numbers.len() {
                grid = grid.column(format!("c{i}"), Align::Number);
            }
            grid.row(std::iter::once("x".into()).chain(numbers.iter().map(|n| n.to_string().into())).collect());
            let text = grid.render(&Style::plain(width));
            let words: Vec<&str> = text.split_whitespace().collect();
            for n in &numbers {
                prop_assert!(words.contains(&n.to_string().as_str()), "{}", text);
            }
            prop_assert!(text.lines().all(|l| text::width(l) <= width), "{}", text);
        }
    }
}
