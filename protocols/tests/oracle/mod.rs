//! The tables of examples/ and the answers to questions about them.

use std::collections::HashMap;
use std::path::PathBuf;

fn examples() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

/// A table, row by row, by column name.
pub fn table(files: &[&str]) -> Vec<HashMap<String, String>> {
    let mut rows = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(examples().join("data").join(file)).unwrap();
        let mut lines = text.lines();
        let names: Vec<&str> = lines.next().unwrap().split(',').collect();
        for line in lines {
            rows.push(
                names.iter().zip(line.split(',')).map(|(n, v)| ((*n).to_owned(), v.to_owned())).collect(),
            );
        }
    }
    rows
}

/// The Rotterdam patients of hospitals A, B and C.
pub fn breast() -> Vec<HashMap<String, String>> {
    table(&["breast/hospital_A.csv", "breast/hospital_B.csv", "breast/hospital_C.csv"])
}

/// An answer by its path.
pub fn answer(set: &str, path: &[&str]) -> serde_json::Value {
    let text = std::fs::read_to_string(examples().join("oracle").join(format!("{set}.json"))).unwrap();
    let all: serde_json::Value = serde_json::from_str(&text).unwrap();
    path.iter().fold(all, |value, name| value.get(name).unwrap_or_else(|| panic!("no {name}")).clone())
}

/// A number by its path.
pub fn number(set: &str, path: &[&str]) -> f64 {
    answer(set, path).as_f64().unwrap()
}
