//! Plots in a terminal: Braille dots and blocks, or letters and hashes where only ASCII is to be had.

mod canvas;
mod histogram;
mod kaplan_meier;

use super::{HistogramPlot, KaplanMeierPlot};
use crate::cli::output::terminal::Style;
use crate::query::answer::{Histogram, KaplanMeier};

/// Survival curves with the number at risk, as lines at most `style.width` wide.
#[must_use]
pub fn kaplan_meier(curves: &[(String, &KaplanMeier)], title: &str, style: &Style) -> String {
    let (curves, title) = (curves.to_vec(), title.to_owned());
    let (file_name, p, notes) = (String::new(), None, Vec::new());
    kaplan_meier_plot(&KaplanMeierPlot { title, file_name, curves, p, notes }, style)
}

/// The same with the p-value and the notes of the plot.
#[must_use]
pub fn kaplan_meier_plot(plot: &KaplanMeierPlot<'_>, style: &Style) -> String {
    kaplan_meier::draw(plot, style)
}

/// A histogram, one line per bin; a suppressed bin is hatched and says so.
#[must_use]
pub fn histogram(histogram: &Histogram, title: &str, style: &Style) -> String {
    let (title, file_name, notes) = (title.to_owned(), String::new(), Vec::new());
    histogram_plot(&HistogramPlot { title, file_name, histogram, notes }, style)
}

/// The same with the notes of the plot.
#[must_use]
pub fn histogram_plot(plot: &HistogramPlot<'_>, style: &Style) -> String {
    histogram::draw(plot, style)
}

/// The title and the notes around the lines of a plot.
fn framed(title: &str, body: &str, notes: &[String], style: &Style) -> String {
    use crate::cli::output::{terminal::Tone, text};
    let mut out = String::new();
    if !title.is_empty() {
        let title = text::fit(&text::clean(title), style.width, style.unicode);
        out.push_str(&format!("{}\n\n", style.paint(Tone::Strong, &title)));
    }
    out.push_str(body);
    for note in notes {
        for line in text::wrap(&text::clean(note), style.width, "").lines() {
            out.push_str(&format!("{}\n", style.paint(Tone::Faint, line)));
        }
    }
    out
}
