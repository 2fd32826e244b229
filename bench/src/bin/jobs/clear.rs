//! The same statistics in the clear, from the same files: one thread, the standard library, one pass. The yardstick of
//! a job's time, and what its answer is held against.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value as Json;

use crate::Result;

/// Reals may differ by this much, relative.
const TOLERANCE: f64 = 1e-9;

/// One hospital's file and the names its columns have there.
#[derive(Clone, Debug)]
pub struct Source {
    /// The hospital.
    pub hospital: String,
    /// The file.
    pub path: PathBuf,
    /// Its name for a column, where it has another.
    pub renamed: Vec<(&'static str, &'static str)>,
}

impl Source {
    /// Calls `row` with the fields of `columns` for every row. The files of this harness have no quotes.
    fn scan(&self, columns: &[&str], mut row: impl FnMut(&[&str]) -> Result<()>) -> Result<()> {
        let text = std::fs::read_to_string(&self.path)?;
        let mut lines = text.lines();
        let heading: Vec<&str> = lines.next().ok_or("an empty file")?.split(',').collect();
        let mut places = Vec::new();
        for column in columns {
            let name =
                self.renamed.iter().find(|(ours, _)| ours == column).map_or(*column, |(_, theirs)| theirs);
            let place = heading.iter().position(|h| *h == name);
            places.push(place.ok_or_else(|| format!("{} has no column {name}", self.path.display()))?);
        }
        let (mut fields, mut wanted) = (Vec::with_capacity(heading.len()), Vec::with_capacity(columns.len()));
        for line in lines {
            fields.clear();
            fields.extend(line.split(','));
            wanted.clear();
            for place in &places {
                wanted.push(*fields.get(*place).ok_or("a row is too short")?);
            }
            row(&wanted)?;
        }
        Ok(())
    }
}

/// Count, sum and sum of squares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moments {
    n: i128,
    sum: i128,
    squares: i128,
}

impl Moments {
    fn take(&mut self, value: i128) {
        self.n += 1;
        self.sum += value;
        self.squares += value * value;
    }

    fn add(&mut self, other: Self) {
        self.n += other.n;
        self.sum += other.sum;
        self.squares += other.squares;
    }

    fn mean(self) -> f64 {
        self.sum as f64 / self.n as f64
    }

    /// Sample variance.
    fn variance(self) -> f64 {
        (self.n * self.squares - self.sum * self.sum) as f64 / (self.n * (self.n - 1)) as f64
    }
}

/// Per group cell and hospital: rows, then the moments of every value column.
pub type Grouped = BTreeMap<Vec<String>, BTreeMap<String, Vec<Moments>>>;

/// Rows and moments of `values` by `groups`.
///
/// # Errors
/// A file that cannot be read, or a field that is no integer.
pub fn moments(sources: &[Source], groups: &[&str], values: &[&str]) -> Result<Grouped> {
    let columns: Vec<&str> = groups.iter().chain(values).copied().collect();
    let mut cells = Grouped::new();
    for source in sources {
        let mut own: BTreeMap<Vec<String>, Vec<Moments>> = BTreeMap::new();
        let mut key: Vec<String> = vec![String::new(); groups.len()];
        source.scan(&columns, |fields| {
            for (part, field) in key.iter_mut().zip(fields) {
                part.clear();
                part.push_str(field);
            }
            if !own.contains_key(&key) {
                own.insert(key.clone(), vec![Moments::default(); values.len() + 1]);
            }
            let Some(sums) = own.get_mut(&key) else { return Ok(()) };
            sums[0].take(1);
            for (sum, field) in sums[1..].iter_mut().zip(&fields[groups.len()..]) {
                if !field.is_empty() {
                    sum.take(field.parse()?);
                }
            }
            Ok(())
        })?;
        for (key, sums) in own {
            cells.entry(key).or_default().insert(source.hospital.clone(), sums);
        }
    }
    Ok(cells)
}

/// A value of an answer's row, in the order of the query: which value column (0 for the rows themselves) and what.
#[derive(Clone, Copy, Debug)]
pub enum Wanted {
    /// Rows.
    Count,
    /// Mean of a value column, from 1.
    Mean(usize),
    /// Sample variance of a value column, from 1.
    Variance(usize),
}

/// Where an answer differs, in words. A hospital may withhold a cell only when it has fewer rows than `floor` in it.
pub fn differs(answer: &Json, cells: &Grouped, wanted: &[Wanted], floor: i128) -> Vec<String> {
    let mut wrong = Vec::new();
    let rows = answer["rows"].as_array().map_or(&[][..], Vec::as_slice);
    let mut seen = 0;
    for row in rows {
        let key: Vec<String> = row["key"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|k| k.as_str().unwrap_or("?").to_owned())
            .collect();
        let none = BTreeMap::new();
        let hospitals = cells.get(&key).unwrap_or(&none);
        seen += usize::from(!hospitals.is_empty());
        for (index, want) in wanted.iter().enumerate() {
            if let Some(what) = differs_in(&row["values"][index], hospitals, *want, floor) {
                wrong.push(format!("{key:?} {want:?}: {what}"));
            }
        }
    }
    if seen != cells.len() {
        wrong.push(format!("{seen} of {} cells are in the answer", cells.len()));
    }
    wrong
}

fn differs_in(
    cell: &Json,
    hospitals: &BTreeMap<String, Vec<Moments>>,
    want: Wanted,
    floor: i128,
) -> Option<String> {
    let column = match want {
        Wanted::Count => 0,
        Wanted::Mean(column) | Wanted::Variance(column) => column,
    };
    let withheld: Vec<&str> =
        cell["withheld_by"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    let mut pooled = Moments::default();
    for (hospital, sums) in hospitals {
        let own = sums.get(column).copied().unwrap_or_default();
        if !withheld.contains(&hospital.as_str()) {
            pooled.add(own);
        } else if own.n >= floor {
            return Some(format!("{hospital} withheld {} rows", own.n));
        }
    }
    let value = &cell["value"];
    if value["type"] == "suppressed" {
        return (pooled.n != 0).then(|| format!("suppressed, but {} rows are not withheld", pooled.n));
    }
    let truth = match want {
        Wanted::Count => {
            let got = value["value"].as_u64().map(i128::from);
            return (got != Some(pooled.n)).then(|| format!("{value}, in the clear {}", pooled.n));
        }
        Wanted::Mean(_) => pooled.mean(),
        Wanted::Variance(_) => pooled.variance(),
    };
    let close = value["value"].as_f64().is_some_and(|got| is_close(got, truth));
    (!close).then(|| format!("{value}, in the clear {truth}"))
}

fn is_close(got: f64, truth: f64) -> bool {
    got == truth || ((got - truth) / truth).abs() <= TOLERANCE
}

/// A step of a survival curve: time, at risk, events, survival.
pub type Step = (i64, u64, u64, f64);

/// Kaplan and Meier's curve over all files; a step for every time that somebody has.
///
/// # Errors
/// A file that cannot be read, or a field that is no integer.
pub fn survival(sources: &[Source], time: &str, event: &str) -> Result<Vec<Step>> {
    let mut times: BTreeMap<i64, (u64, u64)> = BTreeMap::new();
    for source in sources {
        source.scan(&[time, event], |fields| {
            let at = times.entry(fields[0].parse()?).or_default();
            at.0 += 1;
            at.1 += u64::from(fields[1] == "1");
            Ok(())
        })?;
    }
    let mut at_risk: u64 = times.values().map(|(all, _)| all).sum();
    let mut survival = 1.0;
    let mut steps = Vec::with_capacity(times.len());
    for (time, (all, events)) in times {
        survival *= 1.0 - events as f64 / at_risk as f64;
        steps.push((time, at_risk, events, survival));
        at_risk -= all;
    }
    Ok(steps)
}

/// Where an answer's curve differs, in words.
pub fn curve_differs(answer: &Json, steps: &[Step]) -> Vec<String> {
    let curve = &answer["rows"][0]["values"][0]["value"]["steps"];
    let got = curve.as_array().map_or(&[][..], Vec::as_slice);
    let mut wrong = Vec::new();
    if got.len() != steps.len() {
        wrong.push(format!("{} steps, in the clear {}", got.len(), steps.len()));
    }
    for (got, (time, at_risk, events, survival)) in got.iter().zip(steps) {
        let same = got["time"].as_f64() == Some(*time as f64)
            && got["at_risk"].as_u64() == Some(*at_risk)
            && got["events"].as_u64() == Some(*events)
            && got["survival"].as_f64().is_some_and(|s| is_close(s, *survival));
        if !same {
            wrong.push(format!("{got}, in the clear {time}, {at_risk}, {events}, {survival}"));
        }
    }
    wrong.truncate(5);
    wrong
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sources(name: &str, texts: [&str; 2]) -> Vec<Source> {
        let dir = std::env::temp_dir().join(format!("ward-jobs-test-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a folder");
        let made = texts.iter().zip(["a", "b"]).map(|(text, hospital)| {
            let path = dir.join(hospital);
            std::fs::write(&path, text).expect("a file");
            let renamed = if hospital == "b" { vec![("x", "y")] } else { Vec::new() };
            Source { hospital: hospital.to_owned(), path, renamed }
        });
        made.collect()
    }

    fn answer(count: u64, mean: f64, withheld: &[&str]) -> Json {
        let cell = |value: Json| json!({ "value": value, "withheld_by": withheld });
        let values = [
            cell(json!({ "type": "count", "value": count })),
            cell(json!({ "type": "real", "value": mean })),
        ];
        json!({ "rows": [{ "key": ["F"], "values": values }] })
    }

    #[test]
    fn answers_are_held_to_the_rows_of_the_hospitals_that_gave_them() {
        let cells = moments(&sources("moments", ["sex,x\nF,1\nF,2\nF,\n", "y,sex\n6,F\n"]), &["sex"], &["x"])
            .expect("regular files");
        let wanted = [Wanted::Count, Wanted::Mean(1)];
        assert_eq!(differs(&answer(4, 3.0, &[]), &cells, &wanted, 2), Vec::<String>::new());
        assert_eq!(differs(&answer(3, 1.5, &["b"]), &cells, &wanted, 2), Vec::<String>::new());
        assert_eq!(differs(&answer(4, 3.1, &[]), &cells, &wanted, 2).len(), 1);
        assert_eq!(
            differs(&answer(1, 6.0, &["a"]), &cells, &wanted, 2).len(),
            2,
            "a has more than the floor"
        );
        assert_eq!(differs(&json!({ "rows": [] }), &cells, &wanted, 2).len(), 1);
    }

    #[test]
    fn the_curve_is_kaplan_and_meiers() {
        let sources = sources("curve", ["x,e\n1,1\n2,0\n", "e,y\n1,2\n0,3\n"]);
        let steps = survival(&sources, "x", "e").expect("regular files");
        assert_eq!(steps, vec![(1, 4, 1, 0.75), (2, 3, 1, 0.5), (3, 1, 0, 0.5)]);
        let step =
            |t: i64, n: u64, d: u64, s: f64| json!({ "time": t, "at_risk": n, "events": d, "survival": s });
        let curve = |last: f64| {
            let steps = [step(1, 4, 1, 0.75), step(2, 3, 1, 0.5), step(3, 1, 0, last)];
            json!({ "rows": [{ "values": [{ "value": { "steps": steps } }] }] })
        };
        assert!(curve_differs(&curve(0.5), &steps).is_empty());
        assert_eq!(curve_differs(&curve(0.4), &steps).len(), 1);
    }

    #[test]
    fn a_column_that_is_not_there_is_refused() {
        let refused = survival(&sources("absent", ["x,e\n1,1\n", "y,e\n1,1\n"]), "x", "f");
        assert!(refused.is_err_and(|e| e.to_string().contains("no column f")));
    }
}
