//! A finished answer as CSV: a line per number, with the state that tells a suppressed cell from an empty and a failed
//! one.
//!
//! Columns: the group columns, `statistic`, `part` (which number of the statistic), `state`, `value`, `withheld_by`; last
//! `rounded_to`, where counts are rounded.
//! States: `value`, `suppressed`, `empty`, `failed`, `undefined`.

use std::fmt::Write as _;

use serde_json::Value as Json;

use crate::cli::output::number::Numbers;
use crate::query::answer::{Answer, Cell, Value};

/// The answer as CSV, with a heading line.
#[must_use]
pub fn answer(answer: &Answer) -> String {
    let mut text = String::new();
    let fixed = ["statistic", "part", "state", "value", "withheld_by"];
    let rounded_to = (answer.rounding > 0).then(|| answer.rounding.to_string());
    let last = rounded_to.as_ref().map(|_| "rounded_to");
    line(&mut text, answer.group_columns.iter().map(String::as_str).chain(fixed).chain(last));
    for row in &answer.rows {
        for (heading, cell) in answer.headings.iter().zip(&row.values) {
            for (part, state, value) in parts(cell) {
                let withheld = cell.withheld_by.join(" ");
                let fields = [heading.as_str(), &part, state, &value, &withheld];
                line(
                    &mut text,
                    row.key.iter().map(String::as_str).chain(fields).chain(rounded_to.as_deref()),
                );
            }
        }
    }
    text
}

/// The numbers of a cell: which, state, text.
fn parts(cell: &Cell) -> Vec<(String, &'static str, String)> {
    let word = |state, why: &str| vec![(String::new(), state, why.to_owned())];
    match &cell.value {
        Value::Suppressed => word("suppressed", ""),
        Value::Empty => word("empty", ""),
        Value::Failed { reason } => word("failed", reason),
        Value::Undefined { reason } => word("undefined", reason),
        Value::Exact { value, digits } => {
            vec![(String::new(), "value", Numbers { grouped: false }.exact(value, *digits))]
        }
        other => {
            let mut found = Vec::new();
            let is_table = matches!(other, Value::Histogram(_) | Value::Crosstab(_));
            walk(&serde_json::to_value(other).unwrap_or(Json::Null), String::new(), is_table, &mut found);
            found
        }
    }
}

fn walk(json: &Json, path: String, is_table: bool, found: &mut Vec<(String, &'static str, String)>) {
    let under = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match json {
        Json::Object(fields) => {
            for (name, value) in fields.iter().filter(|(name, _)| !path.is_empty() || *name != "type") {
                walk(value, under(name), is_table, found);
            }
        }
        Json::Array(values) => {
            for (i, value) in values.iter().enumerate() {
                walk(value, under(&i.to_string()), is_table, found);
            }
        }
        // A count of a table that is not there is suppressed; a test or a median that is not there, undefined.
        Json::Null => {
            let is_count =
                is_table && ["counts", "table", "below", "above"].iter().any(|of| path.starts_with(of));
            found.push((path, if is_count { "suppressed" } else { "undefined" }, String::new()));
        }
        Json::String(text) => found.push((path, "value", text.clone())),
        other => found.push((path, "value", other.to_string())),
    }
}

fn line<'a>(text: &mut String, fields: impl Iterator<Item = &'a str>) {
    for (i, field) in fields.enumerate() {
        if i > 0 {
            text.push(',');
        }
        if field.contains([',', '"', '\n', '\r']) {
            let _ = write!(text, "\"{}\"", field.replace('"', "\"\""));
        } else {
            text.push_str(field);
        }
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::answer::{Histogram, Row};

    #[test]
    fn suppressed_empty_and_failed_are_told_apart() {
        let cell = |value| Cell { value, withheld_by: vec!["A".into()] };
        let histogram = Histogram {
            column: "age".into(),
            unit: String::new(),
            edges: vec![0.0, 1.0],
            counts: vec![None],
            below: Some(7),
            above: None,
        };
        let failed = Value::Failed { reason: "it is \"away\", sadly".into() };
        let answer = Answer {
            query: String::new(),
            group_columns: vec!["g".into()],
            headings: vec!["a".into(), "b".into(), "c".into(), "d".into(), "e".into()],
            rows: vec![Row {
                key: vec!["x".into()],
                values: vec![
                    cell(Value::Suppressed),
                    cell(Value::Empty),
                    cell(failed),
                    cell(Value::Histogram(histogram)),
                    cell(Value::Noisy { value: 12.5, sd: 2.0, ci95: [8.5, 16.5] }),
                ],
            }],
            participants: vec![],
            quality: vec![],
            ungrouped: 0,
            pooled_floor: None,
            privacy: None,
            rounding: 0,
        };
        let csv = self::answer(&answer);
        for line in [
            "g,statistic,part,state,value,withheld_by",
            "x,a,,suppressed,,A",
            "x,b,,empty,,A",
            "x,c,,failed,\"it is \"\"away\"\", sadly\",A",
            "x,d,counts.0,suppressed,,A",
            "x,d,below,value,7,A",
            "x,e,value,value,12.5,A",
            "x,e,sd,value,2.0,A",
        ] {
            assert!(csv.lines().any(|l| l == line), "{line} in\n{csv}");
        }
    }
}
