//! Kaplan-Meier curves as SVG.

use super::builder::{Svg, coordinate, fit_pixels, text_width, wrap_pixels};
use super::{WIDTH, theme};
use crate::cli::output::number::{Numbers, p_equation, unit_word};
use crate::cli::plot::axis::{Scale, labels, number, ticks};
use crate::cli::plot::{KaplanMeierPlot, curve};
use crate::query::answer::KaplanMeier;

const NUMBERS: Numbers = Numbers { grouped: true };
const EDGE: f64 = 24.0;
const RIGHT: f64 = 30.0;
const PLOT_HEIGHT: f64 = 360.0;
const LEGEND_LINE: f64 = 21.0;
const RISK_LINE: f64 = 20.0;
const NOTE_LINE: f64 = 17.0;
/// Widest label of a group, in pixels.
const LABEL_MAX: f64 = 190.0;
/// With more curves, guides to the medians would confuse.
const GUIDES_MAX: usize = 4;
/// With more curves, bands are drawn fainter.
const BANDS_MAX: usize = 4;
/// With more curves, the legend has two columns.
const LEGEND_MAX: usize = 4;
/// Widest label in a legend of two columns, in pixels.
const LABEL_MAX_HALF: f64 = 110.0;
/// Censor marks closer than this are drawn as one, in pixels.
const CENSOR_GAP: f64 = 2.0;

/// Where things are on the page.
struct Layout {
    left: f64,
    top: f64,
    bottom: f64,
    height: f64,
    time: Scale,
    survival: Scale,
    ticks: Vec<f64>,
    notes: Vec<String>,
}

impl Layout {
    fn new(plot: &KaplanMeierPlot<'_>) -> Self {
        let label = plot.curves.iter().map(|(l, _)| text_width(l, 12.5)).fold(0.0, f64::max).min(LABEL_MAX);
        let left = (EDGE + 18.0 + label * 1.05 + 36.0).max(96.0);
        let top = 94.0 + LEGEND_LINE * legend_lines(plot.curves.len()) as f64;
        let bottom = top + PLOT_HEIGHT;
        let notes: Vec<String> =
            plot.notes.iter().flat_map(|n| wrap_pixels(n, WIDTH - 2.0 * EDGE, 11.5)).collect();
        let risk = if plot.curves.is_empty() { 0.0 } else { 26.0 + RISK_LINE * plot.curves.len() as f64 };
        let footer = if notes.is_empty() { 0.0 } else { 14.0 + NOTE_LINE * notes.len() as f64 };
        let end = curve::end_of_all(plot.curves.iter().map(|(_, km)| *km));
        let end = if end > 0.0 { end } else { 1.0 };
        Self {
            left,
            top,
            bottom,
            height: bottom + 60.0 + risk + footer,
            time: Scale::new([0.0, end], [left, WIDTH - RIGHT]),
            survival: Scale::new([0.0, 1.0], [bottom, top]),
            ticks: ticks(0.0, end, 7),
            notes,
        }
    }
}

pub(super) fn draw(plot: &KaplanMeierPlot<'_>) -> String {
    let layout = Layout::new(plot);
    let css = theme::css(plot.curves.len());
    let mut svg = Svg::new(WIDTH, layout.height, &plot.title, &description(plot), &css);
    heading(&mut svg, plot);
    legend(&mut svg, plot);
    axes(&mut svg, plot, &layout);
    medians(&mut svg, plot, &layout);
    for (i, (_, km)) in plot.curves.iter().enumerate() {
        let class = if plot.curves.len() > BANDS_MAX { "band faint" } else { "band" };
        svg.path(&format!("{class} {}", theme::fill(i)), &band(km, &layout));
    }
    for (i, (_, km)) in plot.curves.iter().enumerate() {
        svg.path(&format!("curve {}", theme::stroke(i)), &steps(km, &layout));
        let marks = censor_marks(km, &layout);
        if !marks.is_empty() {
            svg.path(&format!("censor s{}", i % theme::COLOURS), &marks);
        }
    }
    if plot.curves.is_empty() {
        let middle = (f64::midpoint(layout.left, WIDTH - RIGHT), f64::midpoint(layout.top, layout.bottom));
        svg.text("muted middle", middle, "No curve was released");
    }
    at_risk(&mut svg, plot, &layout);
    for (i, note) in layout.notes.iter().enumerate() {
        let y = layout.height - 16.0 - NOTE_LINE * (layout.notes.len() - 1 - i) as f64;
        svg.text("muted small", (EDGE, y), note);
    }
    svg.finish()
}

fn heading(svg: &mut Svg, plot: &KaplanMeierPlot<'_>) {
    svg.text("ink title", (EDGE, 36.0), &fit_pixels(&plot.title, WIDTH - 2.0 * EDGE, 18.0));
    let sum = |part: fn(&KaplanMeier) -> u64| {
        plot.curves.iter().fold(0u64, |sum, (_, km)| sum.saturating_add(part(km)))
    };
    let mut facts = vec![
        format!("{} patients", NUMBERS.count(sum(|km| km.n))),
        format!("{} events", NUMBERS.count(sum(|km| km.events))),
        "95% confidence bands (log-log)".to_owned(),
    ];
    if let Some(p) = plot.p {
        facts.push(format!("log-rank {}", p_equation(p)));
    }
    svg.text("muted", (EDGE, 57.0), &facts.join("  \u{b7}  "));
}

/// Lines of the legend: in two columns where there are many curves.
fn legend_lines(curves: usize) -> usize {
    if curves > LEGEND_MAX { curves.div_ceil(2) } else { curves }
}

fn legend(svg: &mut Svg, plot: &KaplanMeierPlot<'_>) {
    let widest = plot.curves.iter().map(|(l, _)| text_width(l, 12.5)).fold(0.0, f64::max).min(LABEL_MAX);
    let lines = legend_lines(plot.curves.len());
    let room = if lines < plot.curves.len() { widest.min(LABEL_MAX_HALF) } else { widest };
    for (i, (label, km)) in plot.curves.iter().enumerate() {
        let y = 84.0 + LEGEND_LINE * (i % lines) as f64;
        let left = EDGE + (WIDTH - EDGE) / 2.0 * (i / lines) as f64;
        svg.rect(&format!("band {}", theme::fill(i)), (left, y - 9.0), (26.0, 10.0));
        svg.line(&format!("curve {}", theme::stroke(i)), (left, y - 4.0), (left + 26.0, y - 4.0));
        svg.text("ink strong", (left + 36.0, y), &fit_pixels(label, room.max(30.0), 12.5));
        let x = left + 36.0 + room * 1.06 + 18.0;
        let facts = format!(
            "n = {}, {} events, median {}",
            NUMBERS.count(km.n),
            NUMBERS.count(km.events),
            median(km)
        );
        svg.text("muted", (x, y), &facts);
    }
}

fn median(km: &KaplanMeier) -> String {
    match km.median {
        Some(time) if time.is_finite() => format!("{} {}", number(time), unit_word(&km.unit)),
        _ => "not reached".to_owned(),
    }
}

fn axes(svg: &mut Svg, plot: &KaplanMeierPlot<'_>, layout: &Layout) {
    let right = WIDTH - RIGHT;
    for percent in [0u8, 25, 50, 75, 100] {
        let y = layout.survival.at(f64::from(percent) / 100.0);
        if percent > 0 {
            svg.line("grid", (layout.left, y), (right, y));
        }
        svg.text("muted end", (layout.left - 10.0, y + 4.4), &format!("{percent}%"));
    }
    svg.line("axis", (layout.left, layout.bottom), (right, layout.bottom));
    for (tick, label) in layout.ticks.iter().zip(labels(&layout.ticks)) {
        let x = layout.time.at(*tick);
        svg.line("axis", (x, layout.bottom), (x, layout.bottom + 5.0));
        svg.text("muted middle", (x, layout.bottom + 20.0), &label);
    }
    let unit = plot.curves.first().map_or("", |(_, km)| unit_word(&km.unit));
    let time = if unit.is_empty() { "Time".to_owned() } else { format!("Time ({unit})") };
    svg.text("ink middle", (f64::midpoint(layout.left, right), layout.bottom + 43.0), &time);
    let middle = f64::midpoint(layout.top, layout.bottom);
    svg.text_upwards("ink middle", (layout.left - 56.0, middle), "Survival probability");
}

/// Dotted guides from 50% to every median and down to the axis.
fn medians(svg: &mut Svg, plot: &KaplanMeierPlot<'_>, layout: &Layout) {
    let half = layout.survival.at(0.5);
    let found = plot.curves.iter().filter_map(|(_, km)| km.median).filter(|m| m.is_finite() && *m >= 0.0);
    let xs: Vec<f64> = found.map(|m| layout.time.at(m)).collect();
    if plot.curves.len() > GUIDES_MAX {
        return;
    }
    let Some(last) = xs.iter().copied().reduce(f64::max) else { return };
    svg.line("guide", (layout.left, half), (last, half));
    for x in xs {
        svg.line("guide", (x, half), (x, layout.bottom));
    }
}

/// The step curve as a path, from (0, 1) to the last observation.
fn steps(km: &KaplanMeier, layout: &Layout) -> String {
    let mut d = String::new();
    for corner in curve::corners(km) {
        let (x, y) = (layout.time.at(corner.time), layout.survival.at(corner.survival));
        if d.is_empty() {
            d = format!("M{} {}", coordinate(x), coordinate(y));
        } else {
            d.push_str(&format!("H{}V{}", coordinate(x), coordinate(y)));
        }
    }
    d.push_str(&format!("H{}", coordinate(layout.time.at(curve::end(km)))));
    d
}

/// The band as a closed path: the upper ends forwards, the lower ends backwards.
fn band(km: &KaplanMeier, layout: &Layout) -> String {
    let corners = curve::corners(km);
    let end = coordinate(layout.time.at(curve::end(km)));
    let mut d = String::new();
    for corner in &corners {
        let (x, y) = (coordinate(layout.time.at(corner.time)), coordinate(layout.survival.at(corner.high)));
        d.push_str(&if d.is_empty() { format!("M{x} {y}") } else { format!("H{x}V{y}") });
    }
    d.push_str(&format!("H{end}"));
    for corner in corners.iter().rev() {
        let (x, y) = (coordinate(layout.time.at(corner.time)), coordinate(layout.survival.at(corner.low)));
        d.push_str(&format!("V{y}H{x}"));
    }
    d.push('Z');
    d
}

fn censor_marks(km: &KaplanMeier, layout: &Layout) -> String {
    let mut d = String::new();
    let mut last = f64::NEG_INFINITY;
    for (time, survival) in curve::censored(km) {
        let (x, y) = (layout.time.at(time), layout.survival.at(survival));
        if x - last >= CENSOR_GAP {
            d.push_str(&format!("M{} {}v7", coordinate(x), coordinate(y - 3.5)));
            last = x;
        }
    }
    d
}

fn at_risk(svg: &mut Svg, plot: &KaplanMeierPlot<'_>, layout: &Layout) {
    if plot.curves.is_empty() {
        return;
    }
    let top = layout.bottom + 74.0;
    svg.text("ink strong small", (EDGE, top), "Number at risk");
    for (i, (label, km)) in plot.curves.iter().enumerate() {
        let y = top + RISK_LINE * (i + 1) as f64;
        svg.line(&format!("curve {}", theme::stroke(i)), (EDGE, y - 4.0), (EDGE + 12.0, y - 4.0));
        let room = layout.left - EDGE - 18.0 - 32.0;
        svg.text("ink", (EDGE + 18.0, y), &fit_pixels(label, room.max(50.0), 12.5));
        for tick in &layout.ticks {
            let n = NUMBERS.count(curve::at_risk(km, *tick));
            svg.text("ink middle", (layout.time.at(*tick), y), &n);
        }
    }
}

/// What a screen reader says.
fn description(plot: &KaplanMeierPlot<'_>) -> String {
    let curves: Vec<String> = plot
        .curves
        .iter()
        .map(|(label, km)| {
            let last = curve::corners(km).last().map_or(1.0, |c| c.survival);
            format!(
                "{label}: {} patients, {} events, median {}, survival {:.1}% at the end.",
                NUMBERS.count(km.n),
                NUMBERS.count(km.events),
                median(km),
                last * 100.0
            )
        })
        .collect();
    let test = plot.p.map_or(String::new(), |p| format!(" Log-rank test {}.", p_equation(p)));
    format!("Kaplan-Meier survival curves. {}{test} {}", curves.join(" "), plot.notes.join(". "))
}
