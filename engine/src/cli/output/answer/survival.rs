//! Survival curves as tables: what a reader quotes. The curves themselves are plots.

use super::statistics::{Section, interval};
use super::{Notes, entry, key, keyed, plain, tone};
use crate::cli::output::number::{fixed, unit_word};
use crate::cli::output::table::{Align, Entry};
use crate::cli::output::terminal::{Style, Tone};
use crate::cli::output::text;
use crate::cli::plot::{axis, curve};
use crate::query::answer::{KaplanMeier, Value};

/// Two tables: patients, events and median per group; then survival and the number at risk at round times.
pub(super) fn curves(section: &Section<'_>, style: &Style, notes: &mut Notes) -> String {
    let found: Vec<&KaplanMeier> = section.cells.iter().filter_map(|(_, c)| curve_of(&c.value)).collect();
    let unit = text::clean(found.first().map_or("", |km| unit_word(&km.unit)));
    let title = style.paint(Tone::Strong, &section.title);
    let summary = summary(section, &unit, style, notes);
    let wanted = if found.len() > 4 { 4 } else { 7 };
    let mut times = axis::ticks(0.0, curve::end_of_all(found.iter().copied()), wanted);
    if times.len() > 1 {
        // At time 0 there is nothing to tell.
        times.remove(0);
    }
    format!("{title}\n{summary}\n{}", at_times(section, &times, &unit, style))
}

fn curve_of(value: &Value) -> Option<&KaplanMeier> {
    match value {
        Value::KaplanMeier(km) => Some(km),
        _ => None,
    }
}

fn headed(name: &str, unit: &str) -> String {
    if unit.is_empty() { name.to_owned() } else { format!("{name} ({unit})") }
}

fn summary(section: &Section<'_>, unit: &str, style: &Style, notes: &mut Notes) -> String {
    let mut grid = keyed(section.answer);
    for heading in ["patients", "events", "censored", &headed("median", unit), &headed("followed to", unit)] {
        grid = grid.column(heading, Align::Number);
    }
    let marks: Vec<String> = section.cells.iter().map(|(_, cell)| notes.marks(cell)).collect();
    if marks.iter().any(|m| !m.is_empty()) {
        grid = grid.column("", Align::Name);
    }
    for ((row, cell), mark) in section.cells.iter().zip(&marks) {
        let mut entries = key(section.answer, row);
        if let Some(km) = curve_of(&cell.value) {
            let censored = km.steps.iter().fold(0u64, |sum, s| sum.saturating_add(s.censored));
            let median = km.median.map_or_else(|| "not reached".to_owned(), axis::number);
            entries.extend([
                Entry::from(style.numbers.count(km.n)),
                Entry::from(style.numbers.count(km.events)),
                Entry::from(style.numbers.count(censored)),
                Entry::from(median),
                Entry::from(axis::number(curve::end(km))),
            ]);
        } else {
            entries.push(entry(plain(&cell.value, style).unwrap_or_default(), tone(&cell.value)));
            entries.extend([(); 4].map(|()| Entry::default()));
        }
        entries.push(Entry::from(mark.trim_start()));
        grid.row(entries);
    }
    grid.render(style)
}

fn at_times(section: &Section<'_>, times: &[f64], unit: &str, style: &Style) -> String {
    let mut grid = keyed(section.answer).column(headed("time", unit), Align::Number);
    for heading in ["at risk", "events so far", "survival", "95% CI"] {
        grid = grid.column(heading, Align::Number);
    }
    let labels = axis::labels(times);
    for (row, cell) in &section.cells {
        let Some(km) = curve_of(&cell.value) else { continue };
        for (time, label) in times.iter().zip(&labels) {
            let (survival, ends) = match curve::survival(km, *time) {
                Some(c) => (fixed(c.survival, 4), interval([c.low, c.high], |x| fixed(x, 4), style)),
                None => ("-".to_owned(), "-".to_owned()),
            };
            let mut entries = key(section.answer, row);
            entries.extend([
                Entry::from(label),
                Entry::from(style.numbers.count(curve::at_risk(km, *time))),
                Entry::from(style.numbers.count(curve::events_until(km, *time))),
                Entry::from(survival),
                Entry::from(ends),
            ]);
            grid.row(entries);
        }
    }
    grid.render(style)
}
