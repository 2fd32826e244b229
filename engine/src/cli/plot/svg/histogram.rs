//! Histograms as SVG.

use super::builder::{Svg, fit_pixels, text_width, wrap_pixels};
use super::{WIDTH, theme};
use crate::cli::output::number::{Numbers, unit_word};
use crate::cli::plot::HistogramPlot;
use crate::cli::plot::axis::{Scale, labels, number, ticks};
use crate::query::answer::Histogram;

const NUMBERS: Numbers = Numbers { grouped: true };
const EDGE: f64 = 24.0;
const LEFT: f64 = 96.0;
const RIGHT: f64 = 30.0;
const TOP: f64 = 78.0;
const PLOT_HEIGHT: f64 = 340.0;
const NOTE_LINE: f64 = 17.0;
/// With more edges, the axis shows round numbers instead.
const EDGES_MAX: usize = 16;

/// A bin in data coordinates.
#[derive(Clone, Copy, Debug)]
struct Bin {
    low: f64,
    high: f64,
    count: Option<u64>,
}

struct Layout {
    bins: Vec<Bin>,
    even: bool,
    value: Scale,
    height: Scale,
    bottom: f64,
    page_height: f64,
    height_ticks: Vec<f64>,
    notes: Vec<String>,
}

impl Layout {
    fn new(plot: &HistogramPlot<'_>) -> Self {
        let bins = bins(plot.histogram);
        let even = is_even(&bins);
        let tallest = bins.iter().map(|b| bar(b, even)).fold(0.0, f64::max);
        let top = if tallest > 0.0 { tallest * 1.08 } else { 1.0 };
        let (low, high) = match (bins.first(), bins.last()) {
            (Some(first), Some(last)) => (first.low, last.high),
            _ => (0.0, 1.0),
        };
        let bottom = TOP + PLOT_HEIGHT;
        let mut notes: Vec<String> = outside(plot.histogram).into_iter().collect();
        notes.extend(plot.notes.iter().cloned());
        let notes: Vec<String> =
            notes.iter().flat_map(|n| wrap_pixels(n, WIDTH - 2.0 * EDGE, 11.5)).collect();
        let footer = if notes.is_empty() { 0.0 } else { 12.0 + NOTE_LINE * notes.len() as f64 };
        Self {
            even,
            value: Scale::new([low, high], [LEFT, WIDTH - RIGHT]),
            height: Scale::new([0.0, top], [bottom, TOP]),
            bottom,
            page_height: bottom + 62.0 + footer,
            height_ticks: ticks(0.0, top, 5).into_iter().filter(|t| !even || t.fract() == 0.0).collect(),
            notes,
            bins,
        }
    }
}

/// The bins whose edges are numbers in ascending order; a missing count is a suppressed one.
fn bins(histogram: &Histogram) -> Vec<Bin> {
    let edges = histogram.edges.windows(2).enumerate();
    let bins = edges.map(|(i, edge)| Bin {
        low: edge[0],
        high: edge[1],
        count: histogram.counts.get(i).copied().flatten(),
    });
    let mut bins: Vec<Bin> =
        bins.filter(|b| b.low.is_finite() && b.high.is_finite() && b.low < b.high).collect();
    let mut reached = f64::NEG_INFINITY;
    bins.retain(|b| {
        let keep = b.low >= reached;
        reached = reached.max(b.high);
        keep
    });
    bins
}

fn is_even(bins: &[Bin]) -> bool {
    bins.first().is_none_or(|first| {
        let width = first.high - first.low;
        bins.iter().all(|b| ((b.high - b.low) - width).abs() <= 1e-6 * width)
    })
}

/// Height of a bar: the count, or per unit where the bins differ in width.
fn bar(bin: &Bin, even: bool) -> f64 {
    let count = bin.count.unwrap_or(0) as f64;
    if even { count } else { count / (bin.high - bin.low) }
}

pub(super) fn draw(plot: &HistogramPlot<'_>) -> String {
    let layout = Layout::new(plot);
    let mut svg =
        Svg::new(WIDTH, layout.page_height, &plot.title, &description(plot, &layout), &theme::css(1));
    svg.text("ink title", (EDGE, 36.0), &fit_pixels(&plot.title, WIDTH - 2.0 * EDGE, 18.0));
    svg.text("muted", (EDGE, 57.0), &summary(plot.histogram, &layout));
    hatching(&mut svg);
    grid(&mut svg, &layout);
    for run in layout.bins.chunk_by(|a, b| a.count.is_none() && b.count.is_none() && a.high == b.low) {
        match run[0].count {
            Some(count) => shown(&mut svg, &run[0], count, &layout),
            None => withheld(&mut svg, run, &layout),
        }
    }
    axes(&mut svg, plot.histogram, &layout);
    if layout.bins.is_empty() {
        let middle = (f64::midpoint(LEFT, WIDTH - RIGHT), f64::midpoint(TOP, layout.bottom));
        svg.text("muted middle", middle, "No bin was released");
    }
    for (i, note) in layout.notes.iter().enumerate() {
        let y = layout.page_height - 16.0 - NOTE_LINE * (layout.notes.len() - 1 - i) as f64;
        svg.text("muted small", (EDGE, y), note);
    }
    svg.finish()
}

fn hatching(svg: &mut Svg) {
    svg.open("defs", &[]);
    let size = [("id", "ward-hatch"), ("width", "7"), ("height", "7"), ("patternUnits", "userSpaceOnUse")];
    svg.open("pattern", &[size[0], size[1], size[2], size[3], ("patternTransform", "rotate(45)")]);
    svg.rect("veil", (0.0, 0.0), (7.0, 7.0));
    svg.line("veil-line", (0.0, 0.0), (0.0, 7.0));
    svg.close();
    svg.close();
}

fn summary(histogram: &Histogram, layout: &Layout) -> String {
    let shown = layout.bins.iter().filter_map(|b| b.count).fold(0u64, u64::saturating_add);
    let suppressed = layout.bins.iter().filter(|b| b.count.is_none()).count();
    let mut facts = vec![name(histogram), format!("{} values shown", NUMBERS.count(shown))];
    match suppressed {
        0 => {}
        1 => facts.push("1 bin suppressed".to_owned()),
        n => facts.push(format!("{n} bins suppressed")),
    }
    if !layout.even {
        facts.push("bars: count per unit, numbers: counts".to_owned());
    }
    facts.join("  \u{b7}  ")
}

/// The column with its unit.
fn name(histogram: &Histogram) -> String {
    match unit_word(&histogram.unit) {
        "" => histogram.column.clone(),
        unit => format!("{} ({unit})", histogram.column),
    }
}

fn grid(svg: &mut Svg, layout: &Layout) {
    for (tick, label) in layout.height_ticks.iter().zip(labels(&layout.height_ticks)) {
        let y = layout.height.at(*tick);
        if *tick > 0.0 {
            svg.line("grid", (LEFT, y), (WIDTH - RIGHT, y));
        }
        svg.text("muted end", (LEFT - 10.0, y + 4.4), &label);
    }
}

fn shown(svg: &mut Svg, bin: &Bin, count: u64, layout: &Layout) {
    let (x0, x1) = (layout.value.at(bin.low), layout.value.at(bin.high));
    let y = layout.height.at(bar(bin, layout.even));
    let gap = if x1 - x0 > 24.0 { 1.0 } else { 0.5 * f64::from(u8::from(x1 - x0 > 5.0)) };
    svg.rect("f0", (x0 + gap, y), (x1 - x0 - 2.0 * gap, layout.bottom - y));
    let label = NUMBERS.count(count);
    if text_width(&label, 11.5) <= x1 - x0 - 2.0 {
        svg.text("ink small middle", (f64::midpoint(x0, x1), y - 6.0), &label);
    }
}

/// A run of suppressed bins: the whole height hatched, because the heights are not known, and the word.
fn withheld(svg: &mut Svg, run: &[Bin], layout: &Layout) {
    let (x0, x1) = (layout.value.at(run[0].low), layout.value.at(run[run.len() - 1].high));
    let size = [x0, TOP, x1 - x0, layout.bottom - TOP].map(super::builder::coordinate);
    let at = [("x", size[0].as_str()), ("y", &size[1]), ("width", &size[2]), ("height", &size[3])];
    svg.leaf("rect", &[("fill", "url(#ward-hatch)"), at[0], at[1], at[2], at[3]]);
    if x1 - x0 >= 16.0 {
        let middle = (f64::midpoint(x0, x1), f64::midpoint(TOP, layout.bottom));
        let room = (18.0_f64.min(x1 - x0), text_width("suppressed", 12.5) + 18.0);
        svg.rect("veil", (middle.0 - room.0 / 2.0, middle.1 - room.1 / 2.0), room);
        svg.text_upwards("ink middle", (middle.0 + 4.4, middle.1), "suppressed");
    }
}

fn axes(svg: &mut Svg, histogram: &Histogram, layout: &Layout) {
    let right = WIDTH - RIGHT;
    svg.line("axis", (LEFT, layout.bottom), (right, layout.bottom));
    let mut marks: Vec<f64> = layout.bins.iter().map(|b| b.low).collect();
    marks.extend(layout.bins.last().map(|b| b.high));
    if let (true, [low, .., high]) = (layout.even && marks.len() > EDGES_MAX, marks.as_slice()) {
        marks = ticks(*low, *high, 10);
    }
    let mut free_from = f64::NEG_INFINITY;
    for (edge, label) in marks.iter().zip(labels(&marks)) {
        let (x, half) = (layout.value.at(*edge), text_width(&label, 12.5) / 2.0);
        if x - half >= free_from {
            svg.line("axis", (x, layout.bottom), (x, layout.bottom + 5.0));
            svg.text("muted middle", (x, layout.bottom + 20.0), &label);
            free_from = x + half + 12.0;
        }
    }
    let unit = unit_word(&histogram.unit);
    let name = fit_pixels(&name(histogram), right - LEFT, 12.5);
    svg.text("ink middle", (f64::midpoint(LEFT, right), layout.bottom + 43.0), &name);
    let heights = match (layout.even, unit.is_empty()) {
        (true, _) => "Count".to_owned(),
        (false, true) => "Count per unit".to_owned(),
        (false, false) => format!("Count per {unit}"),
    };
    svg.text_upwards("ink middle", (LEFT - 56.0, f64::midpoint(TOP, layout.bottom)), &heights);
}

/// What lies outside the edges.
fn outside(histogram: &Histogram) -> Option<String> {
    let (first, last) = (histogram.edges.first()?, histogram.edges.last()?);
    let name = |count: Option<u64>| count.map_or("suppressed".to_owned(), |n| NUMBERS.count(n));
    if histogram.below == Some(0) && histogram.above == Some(0) {
        return None;
    }
    Some(format!(
        "Outside the bins: below {}: {}; above {}: {}",
        number(*first),
        name(histogram.below),
        number(*last),
        name(histogram.above)
    ))
}

/// What a screen reader says.
fn description(plot: &HistogramPlot<'_>, layout: &Layout) -> String {
    let bins: Vec<String> = layout
        .bins
        .iter()
        .map(|b| {
            let count = b.count.map_or("suppressed".to_owned(), |n| NUMBERS.count(n));
            format!("{} to {}: {count}", number(b.low), number(b.high))
        })
        .collect();
    format!("Histogram of {}. {}. {}", plot.histogram.column, bins.join("; "), layout.notes.join(". "))
}
