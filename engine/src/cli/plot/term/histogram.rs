//! Histograms in a terminal, one line per bin.

use crate::cli::output::number::unit_word;
use crate::cli::output::terminal::{Style, Tone};
use crate::cli::output::text;
use crate::cli::plot::HistogramPlot;
use crate::cli::plot::axis::labels;
use crate::query::answer::Histogram;

/// Eighths of a block.
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// Columns of hatching where a bin is suppressed: a mark, not a height.
const HATCH: usize = 10;

/// A line: its label, its count (`None`: suppressed), its height against the tallest (none: no bar).
struct Line {
    label: String,
    count: Option<u64>,
    share: Option<f64>,
}

pub(super) fn draw(plot: &HistogramPlot<'_>, style: &Style) -> String {
    let lines = lines(plot.histogram, style);
    if lines.is_empty() {
        return super::framed(&plot.title, "no bin was released\n", &plot.notes, style);
    }
    let label = |l: &Line| text::width(&l.label);
    let labels = lines.iter().map(label).max().unwrap_or(0);
    let counts = lines.iter().map(|l| text::width(&count(l, style))).max().unwrap_or(0);
    let room = style.width.saturating_sub(labels + counts + 4).clamp(4, 60);
    let name = text::fit(&name(plot.histogram), style.width, style.unicode);
    let mut body = format!("{}\n", style.paint(Tone::Faint, &name));
    for line in &lines {
        let bar = bar(line, room, style);
        let (label, count) = (text::pad_left(&line.label, labels), count(line, style));
        let count = if line.count.is_none() { style.paint(Tone::Faint, &count) } else { count };
        body.push_str(&format!("{label}  {bar}{}{count}\n", if bar.is_empty() { "" } else { " " }));
    }
    let mut notes = plot.notes.clone();
    if uneven(plot.histogram) {
        notes.insert(0, "bins differ in width: bars show the count per unit".to_owned());
    }
    super::framed(&plot.title, &body, &notes, style)
}

/// The column with its unit.
fn name(histogram: &Histogram) -> String {
    let column = text::clean(&histogram.column);
    match unit_word(&histogram.unit) {
        "" => column,
        unit => format!("{column} ({})", text::clean(unit)),
    }
}

fn count(line: &Line, style: &Style) -> String {
    line.count.map_or_else(|| "suppressed".to_owned(), |n| style.numbers.count(n))
}

/// Widths of the bins; one that is no positive number is 1.
fn widths(histogram: &Histogram) -> Vec<f64> {
    let width = |e: &[f64]| Some(e[1] - e[0]).filter(|w| w.is_finite() && *w > 0.0).unwrap_or(1.0);
    histogram.edges.windows(2).map(width).collect()
}

fn uneven(histogram: &Histogram) -> bool {
    let widths = widths(histogram);
    widths.first().is_some_and(|first| widths.iter().any(|w| (w - first).abs() > 1e-6 * first))
}

fn lines(histogram: &Histogram, style: &Style) -> Vec<Line> {
    let edges = labels(&histogram.edges);
    let widths = widths(histogram);
    let uneven = uneven(histogram);
    let heights: Vec<Option<f64>> = (0..widths.len())
        .map(|i| {
            let count = histogram.counts.get(i).copied().flatten()? as f64;
            Some(if uneven { count / widths[i] } else { count })
        })
        .collect();
    let tallest = heights.iter().flatten().copied().fold(0.0, f64::max);
    let dash = if style.unicode { "–" } else { "-" };
    let below = edges.first().map(|e| (format!("< {e}"), histogram.below));
    let above = edges.last().map(|e| (format!("> {e}"), histogram.above));
    let outside = |edge: Option<(String, Option<u64>)>| {
        edge.filter(|(_, n)| !edges.is_empty() && *n != Some(0)).map(|(label, count)| Line {
            label,
            count,
            share: None,
        })
    };
    let bins = heights.iter().enumerate().map(|(i, height)| Line {
        label: format!("{} {dash} {}", edges[i], edges[i + 1]),
        count: histogram.counts.get(i).copied().flatten(),
        share: Some(height.map_or(0.0, |h| if tallest > 0.0 { h / tallest } else { 0.0 })),
    });
    outside(below).into_iter().chain(bins).chain(outside(above)).collect()
}

fn bar(line: &Line, room: usize, style: &Style) -> String {
    let Some(share) = line.share else { return String::new() };
    if line.count.is_none() {
        let hatch = if style.unicode { "░" } else { "/" };
        return style.paint(Tone::Faint, &hatch.repeat(room.min(HATCH)));
    }
    let bar = if style.unicode {
        let eighths = (share * room as f64 * 8.0).round() as usize;
        format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
    } else {
        "#".repeat((share * room as f64).round() as usize)
    };
    if style.colour && !bar.is_empty() { format!("\u{1b}[34m{bar}\u{1b}[0m") } else { bar }
}
