//! Plots of what an answer holds: Kaplan-Meier curves and histograms, in the terminal and as SVG files.
//!
//! [`from_answer`] collects the plots that an answer offers; each draws itself on a terminal of any width
//! ([`Plot::term`]) or as a self-contained SVG document ([`Plot::svg`]). Everything here is a pure function
//! from numbers to text and takes any numbers: what is no number is not drawn.

pub mod axis;
pub mod curve;
#[cfg(test)]
pub(crate) mod samples;
pub mod svg;
pub mod term;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::cli::output::terminal::Style;
use crate::cli::output::text;
use crate::query::answer::{Answer, Histogram, KaplanMeier, Row, Value};

/// A plot that an answer offers.
#[derive(Clone, Debug)]
pub enum Plot<'a> {
    /// Survival curves of one statistic, one per group cell.
    KaplanMeier(KaplanMeierPlot<'a>),
    /// One histogram.
    Histogram(HistogramPlot<'a>),
}

/// Survival curves on common axes.
#[derive(Clone, Debug)]
pub struct KaplanMeierPlot<'a> {
    /// Title.
    pub title: String,
    /// Suggested name of the file, without folder, ending in `.svg`.
    pub file_name: String,
    /// Labelled curves, in the order of the groups.
    pub curves: Vec<(String, &'a KaplanMeier)>,
    /// p-value of the log-rank test between the curves.
    pub p: Option<f64>,
    /// What a reader must know: who withheld what.
    pub notes: Vec<String>,
}

/// A histogram.
#[derive(Clone, Debug)]
pub struct HistogramPlot<'a> {
    /// Title.
    pub title: String,
    /// Suggested name of the file, without folder, ending in `.svg`.
    pub file_name: String,
    /// The histogram.
    pub histogram: &'a Histogram,
    /// What a reader must know: who withheld what.
    pub notes: Vec<String>,
}

impl Plot<'_> {
    /// Title.
    #[must_use]
    pub fn title(&self) -> &str {
        match self {
            Self::KaplanMeier(plot) => &plot.title,
            Self::Histogram(plot) => &plot.title,
        }
    }

    /// Suggested name of the SVG file, without folder, ending in `.svg`.
    #[must_use]
    pub fn file_name(&self) -> &str {
        match self {
            Self::KaplanMeier(plot) => &plot.file_name,
            Self::Histogram(plot) => &plot.file_name,
        }
    }

    /// True when the text of an answer holds this plot already (its bins are its numbers), so that drawing it
    /// on the terminal again would repeat it.
    #[must_use]
    pub fn is_in_answer(&self) -> bool {
        matches!(self, Self::Histogram(_))
    }

    /// A self-contained SVG document.
    #[must_use]
    pub fn svg(&self) -> String {
        match self {
            Self::KaplanMeier(plot) => svg::kaplan_meier_plot(plot),
            Self::Histogram(plot) => svg::histogram_plot(plot),
        }
    }

    /// Lines for a terminal, at most `style.width` wide.
    #[must_use]
    pub fn term(&self, style: &Style) -> String {
        match self {
            Self::KaplanMeier(plot) => term::kaplan_meier_plot(plot, style),
            Self::Histogram(plot) => term::histogram_plot(plot, style),
        }
    }
}

/// The plots of an answer, statistic by statistic: one for all the survival curves of a statistic, one per
/// histogram. File names are distinct, lower case, and safe on every file system.
#[must_use]
pub fn from_answer(answer: &Answer) -> Vec<Plot<'_>> {
    let mut plots = Vec::new();
    let mut names = BTreeMap::new();
    for (i, heading) in answer.headings.iter().enumerate() {
        let heading = text::clean(heading);
        if let Some(plot) = survival(answer, i, &heading, &mut names) {
            plots.push(Plot::KaplanMeier(plot));
        }
        for row in &answer.rows {
            let Some(cell) = row.values.get(i) else { continue };
            let Value::Histogram(histogram) = &cell.value else { continue };
            let group = group_label(&answer.group_columns, row);
            let (title, stem) = if group.is_empty() {
                (heading.clone(), histogram.column.clone())
            } else {
                (format!("{heading}, {group}"), format!("{} {group}", histogram.column))
            };
            let file_name = file_name(&format!("histogram {stem}"), &mut names);
            let notes = withheld_note(&cell.withheld_by, "").into_iter().collect();
            plots.push(Plot::Histogram(HistogramPlot { title, file_name, histogram, notes }));
        }
    }
    plots
}

fn survival<'a>(
    answer: &'a Answer,
    heading_at: usize,
    heading: &str,
    names: &mut BTreeMap<String, u32>,
) -> Option<KaplanMeierPlot<'a>> {
    let mut curves = Vec::new();
    let mut notes = Vec::new();
    let cells = answer.rows.iter().filter_map(|row| Some((row, row.values.get(heading_at)?)));
    for (row, cell) in cells.clone() {
        let label = group_label(&answer.group_columns, row);
        let label = if label.is_empty() { "all".to_owned() } else { label };
        let prefix = if answer.group_columns.is_empty() { String::new() } else { format!("{label}: ") };
        match &cell.value {
            Value::KaplanMeier(km) => {
                curves.push((label, km));
                notes.extend(withheld_note(&cell.withheld_by, &prefix));
            }
            Value::Suppressed => notes.push(format!("{prefix}suppressed")),
            Value::Undefined { reason } => notes.push(format!("{prefix}undefined ({})", text::clean(reason))),
            _ => {}
        }
    }
    if curves.is_empty() {
        return None;
    }
    let stem = if answer.group_columns.is_empty() {
        heading.to_owned()
    } else {
        format!("{heading} by {}", answer.group_columns.join(" "))
    };
    let p = log_rank_p(answer, cells.map(|(row, _)| row));
    Some(KaplanMeierPlot { title: heading.to_owned(), file_name: file_name(&stem, names), curves, p, notes })
}

/// The p-value of a log-rank test in the same answer, when its groups are exactly the groups of the curves.
fn log_rank_p<'a>(answer: &Answer, rows: impl Iterator<Item = &'a Row>) -> Option<f64> {
    let keys: Vec<&String> = rows.filter_map(|row| row.key.first()).collect();
    answer.rows.iter().flat_map(|row| &row.values).find_map(|cell| match &cell.value {
        Value::LogRank(test) if answer.group_columns.len() == 1 && test.groups.iter().eq(keys.clone()) => {
            Some(test.test.p)
        }
        _ => None,
    })
}

/// `hormon = 1, meno = 0`; empty without groups.
#[must_use]
pub fn group_label(columns: &[String], row: &Row) -> String {
    let pairs: Vec<String> = columns
        .iter()
        .zip(&row.key)
        .map(|(column, code)| format!("{} = {}", text::clean(column), text::clean(code)))
        .collect();
    pairs.join(", ")
}

fn withheld_note(hospitals: &[String], prefix: &str) -> Option<String> {
    let whose = match hospitals {
        [] => return None,
        [_] => "its part, which is under its floor",
        _ => "their parts, which are under their floors",
    };
    Some(format!("{prefix}{} withheld {whose}", text::join(hospitals)))
}

/// Longest stem of a suggested file name, in characters.
const STEM_MAX: usize = 60;

fn file_name(title: &str, taken: &mut BTreeMap<String, u32>) -> String {
    let mut stem = String::new();
    for c in title.to_lowercase().chars() {
        if c.is_ascii_alphanumeric() || c == '_' {
            stem.push(c);
        } else if !stem.is_empty() && !stem.ends_with('-') {
            stem.push('-');
        }
    }
    let stem: String = stem.chars().take(STEM_MAX).collect();
    let stem = match stem.trim_end_matches('-') {
        "" => "plot",
        stem => stem,
    };
    let uses = taken.entry(stem.to_owned()).or_insert(0);
    *uses += 1;
    // A stem never ends in `.<digits>`, so that the numbered name is nobody's own.
    if *uses == 1 { format!("{stem}.svg") } else { format!("{stem}.{uses}.svg") }
}
