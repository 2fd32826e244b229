//! Kaplan-Meier curves in a terminal.

use super::canvas::{Canvas, letter, tint};
use crate::cli::output::number::{p_equation, unit_word};
use crate::cli::output::terminal::{Style, Tone};
use crate::cli::output::text;
use crate::cli::plot::axis::{Scale, labels, number, ticks};
use crate::cli::plot::{KaplanMeierPlot, curve};
use crate::query::answer::KaplanMeier;

/// Columns left of the axis: `100% `.
const GUTTER: usize = 5;
/// Columns between the letters along a curve.
const MARK_EVERY: usize = 18;

pub(super) fn draw(plot: &KaplanMeierPlot<'_>, style: &Style) -> String {
    if plot.curves.is_empty() {
        return super::framed(&plot.title, "no curve was released\n", &plot.notes, style);
    }
    let columns = style.width.saturating_sub(GUTTER + 2).max(20);
    let rows = (style.width / 6).clamp(9, 17);
    let end = curve::end_of_all(plot.curves.iter().map(|(_, km)| *km));
    let end = if end > 0.0 { end } else { 1.0 };
    let mut canvas = Canvas::new(columns, rows);
    for (i, (_, km)) in plot.curves.iter().enumerate() {
        trace(&mut canvas, km, end, i);
    }
    if plot.curves.len() > 1 {
        for (i, (_, km)) in plot.curves.iter().enumerate() {
            letters(&mut canvas, km, end, i);
        }
    }
    let mut body = survival_axis(&canvas, rows, style);
    body.push_str(&time_axis(plot, end, columns, style));
    body.push_str(&legend(plot, style));
    super::framed(&plot.title, &body, &plot.notes, style)
}

/// Scales from data to the dots of the canvas.
fn scales(canvas: &Canvas, end: f64) -> (Scale, Scale) {
    let (width, height) = canvas.dots();
    let last = |n: usize| n.saturating_sub(1) as f64;
    (Scale::new([0.0, end], [0.0, last(width)]), Scale::new([0.0, 1.0], [last(height), 0.0]))
}

fn dot(x: f64) -> usize {
    x.round().max(0.0) as usize
}

fn trace(canvas: &mut Canvas, km: &KaplanMeier, end: f64, series: usize) {
    let (time, survival) = scales(canvas, end);
    let (mut x, mut y) = (0, 0);
    for corner in curve::corners(km) {
        let (to_x, to_y) = (dot(time.at(corner.time)), dot(survival.at(corner.survival)));
        canvas.horizontal([x, to_x], y, series);
        canvas.vertical(to_x, [y.min(to_y), to_y.max(y)], series);
        (x, y) = (to_x, to_y);
    }
    canvas.horizontal([x, dot(time.at(curve::end(km)))], y, series);
}

/// The letter of the curve along it, shifted from curve to curve so that they do not meet.
fn letters(canvas: &mut Canvas, km: &KaplanMeier, end: f64, series: usize) {
    let (time, survival) = scales(canvas, end);
    let last = dot(time.at(curve::end(km)));
    let corners = curve::corners(km);
    let mut x = 2 * (MARK_EVERY / 2 + 5 * series % MARK_EVERY);
    while x < last {
        let here = corners.iter().rev().find(|c| dot(time.at(c.time)) <= x);
        canvas.mark(x, dot(survival.at(here.map_or(1.0, |c| c.survival))), series);
        x += 2 * MARK_EVERY;
    }
    let at_end = corners.last().map_or(1.0, |c| c.survival);
    canvas.mark(last, dot(survival.at(at_end)), series);
}

fn survival_axis(canvas: &Canvas, rows: usize, style: &Style) -> String {
    let (tick, bar) = if style.unicode { ("┤", "│") } else { ("+", "|") };
    let mut out = String::new();
    let labelled = |percent: usize| ((100 - percent) * (rows - 1) + 50) / 100;
    for row in 0..rows {
        let percent = [100, 75, 50, 25, 0].into_iter().find(|p| labelled(*p) == row);
        let label = percent.map_or(String::new(), |p| format!("{p}%"));
        let bar = if percent.is_some() { tick } else { bar };
        out.push_str(&format!("{} {bar}{}\n", text::pad_left(&label, GUTTER - 1), canvas.row(row, style)));
    }
    out
}

/// The axis of time, its labels, and the numbers at risk under them.
fn time_axis(plot: &KaplanMeierPlot<'_>, end: f64, columns: usize, style: &Style) -> String {
    let scale = Scale::new([0.0, end], [0.0, columns.saturating_sub(1) as f64]);
    let ticks = ticks(0.0, end, (columns / 14).clamp(2, 10));
    let at: Vec<usize> = ticks.iter().map(|t| dot(scale.at(*t))).collect();
    let (corner, line, tick) = if style.unicode { ('└', '─', '┬') } else { ('+', '-', '+') };
    let axis: String = (0..columns).map(|x| if at.contains(&x) { tick } else { line }).collect();
    let mut out = format!("{}{corner}{axis}\n", " ".repeat(GUTTER));
    out.push_str(&placed(&at, &labels(&ticks), " ", columns));
    let unit = plot.curves.first().map_or("", |(_, km)| unit_word(&km.unit));
    let unit = text::fit(&text::clean(unit), columns / 3, style.unicode);
    let heading = if unit.is_empty() { "time".to_owned() } else { format!("time ({unit})") };
    let heading = text::pad_left(&heading, GUTTER + 1 + columns);
    out.push_str(&format!("{}\n", style.paint(Tone::Faint, &heading)));
    out.push_str(&format!("{}\n", style.paint(Tone::Faint, "number at risk")));
    for (i, (_, km)) in plot.curves.iter().enumerate() {
        let numbers: Vec<String> =
            ticks.iter().map(|t| style.numbers.count(curve::at_risk(km, *t))).collect();
        let label = tint(i, letter(i).encode_utf8(&mut [0; 4]), style);
        out.push_str(&placed(&at, &numbers, &label, columns));
    }
    out
}

/// Labels centred at their columns; one that would touch its neighbour or leave the line is moved or dropped.
fn placed(at: &[usize], labels: &[String], head: &str, columns: usize) -> String {
    // The head takes one column, whatever its colour codes.
    let mut line = String::new();
    let mut used = 1;
    for (x, label) in at.iter().zip(labels) {
        let half = text::width(label) / 2;
        let latest = (GUTTER + 1 + columns).saturating_sub(text::width(label));
        let start = (GUTTER + 1 + x).saturating_sub(half).min(latest);
        if start > used {
            line.push_str(&" ".repeat(start - used));
            line.push_str(label);
            used = start + text::width(label);
        }
    }
    format!("{}\n", format!("{head}{line}").trim_end())
}

fn legend(plot: &KaplanMeierPlot<'_>, style: &Style) -> String {
    let mut out = String::from("\n");
    let room = style.width / 2;
    let labels = plot.curves.iter().map(|(label, _)| text::fit(&text::clean(label), room, style.unicode));
    let labels: Vec<String> = labels.collect();
    let widest = labels.iter().map(|l| text::width(l)).max().unwrap_or(0);
    for (i, (label, (_, km))) in labels.iter().zip(&plot.curves).enumerate() {
        let median = match km.median.filter(|m| m.is_finite()) {
            Some(m) => format!("{} {}", number(m), text::clean(unit_word(&km.unit))),
            None => "not reached".to_owned(),
        };
        let key = tint(i, letter(i).encode_utf8(&mut [0; 4]), style);
        let n = style.numbers.count(km.n);
        let facts = format!("n {n}, events {}, median {median}", style.numbers.count(km.events));
        let facts = text::fit(&facts, style.width.saturating_sub(widest + 5), style.unicode);
        out.push_str(&format!("{key}  {}  {facts}\n", text::pad_right(label, widest)));
    }
    if let Some(p) = plot.p {
        out.push_str(&format!("log-rank {}\n", p_equation(p)));
    }
    out
}
