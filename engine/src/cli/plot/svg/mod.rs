//! SVG documents: self-contained, light and dark, readable without colour vision and by a screen reader.

mod builder;
mod histogram;
mod kaplan_meier;
mod theme;

pub use builder::{Svg, escape};

use super::{HistogramPlot, KaplanMeierPlot};
use crate::query::answer::{Histogram, KaplanMeier};

/// Width of every document, in pixels.
pub(crate) const WIDTH: f64 = 860.0;

/// Survival curves with their confidence bands, censor marks and the number at risk underneath. `p` is the
/// p-value of a log-rank test between them.
#[must_use]
pub fn kaplan_meier(curves: &[(String, &KaplanMeier)], title: &str, p: Option<f64>) -> String {
    let (curves, title) = (curves.to_vec(), title.to_owned());
    kaplan_meier_plot(&KaplanMeierPlot { title, file_name: String::new(), curves, p, notes: Vec::new() })
}

/// The same with the notes of the plot.
#[must_use]
pub fn kaplan_meier_plot(plot: &KaplanMeierPlot<'_>) -> String {
    kaplan_meier::draw(plot)
}

/// A histogram; a suppressed bin is hatched over the whole height and named, never an empty place. Where the
/// bins differ in width, the height is the count per unit, and the numbers over the bars are the counts.
#[must_use]
pub fn histogram(histogram: &Histogram, title: &str) -> String {
    let (title, file_name, notes) = (title.to_owned(), String::new(), Vec::new());
    histogram_plot(&HistogramPlot { title, file_name, histogram, notes })
}

/// The same with the notes of the plot.
#[must_use]
pub fn histogram_plot(plot: &HistogramPlot<'_>) -> String {
    histogram::draw(plot)
}
