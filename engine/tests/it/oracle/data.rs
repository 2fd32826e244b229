//! The consortia of the examples' data, as processes; each is started once and shared.

use std::collections::{BTreeMap, HashSet};
use std::sync::OnceLock;

use ward_engine::query::answer::{Answer, Cell, Value};

pub use crate::world::example;
use crate::world::{self, Hospital, Spec};

/// Statistics of every kind, and the split by hospital, with the lowest floor: what the oracle has answers to.
const POLICY: &str = r#"
[policy]
by_hospital = true
statistics = ["count", "sum", "avg", "var", "stddev", "min_max", "histogram", "crosstab", "chi2", "odds_ratio",
  "ttest", "corr", "ols", "kaplan_meier", "log_rank", "quantile", "count_distinct", "topk", "fisher", "linreg", "logit",
  "cox"]
"#;

/// A running consortium that tests share.
#[derive(Clone, Copy)]
pub struct World(&'static world::World);

/// Which hospitals a query goes to.
pub struct Plan {
    pub hospitals: Vec<String>,
    pub left_out: Vec<(String, String)>,
}

impl World {
    pub fn ask(&self, sql: &str) -> Answer {
        self.0.ask(sql)
    }

    /// Asks for computation on shares.
    pub fn ask_on_shares(&self, sql: &str) -> Answer {
        self.0.ward("ada", &["submit", "--mpc", sql, "--time-limit", "120"]).answer()
    }

    /// Asks for computation on shares of sums that arrive under encryption.
    pub fn ask_encrypted(&self, sql: &str) -> Answer {
        self.0.ward("ada", &["submit", "--mpc-encrypted", sql, "--time-limit", "120"]).answer()
    }

    /// The one value of an answer on shares.
    pub fn shares(&self, sql: &str) -> Value {
        self.ask_on_shares(sql).rows.remove(0).values.remove(0).value
    }

    pub fn one(&self, sql: &str) -> Value {
        self.0.one(sql)
    }

    /// What `ward explain` says; names as the oracle writes them.
    pub fn plan(&self, sql: &str) -> Plan {
        let explained = self.0.ward("ada", &["explain", sql]).ok().json();
        let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
        let hospitals = explained["local"]["hospitals"].as_array().expect("hospitals");
        let left_out = explained["left_out"].as_array().expect("hospitals");
        Plan {
            hospitals: hospitals.iter().map(|name| text(name).to_uppercase()).collect(),
            left_out: left_out
                .iter()
                .map(|l| (text(&l["hospital"]).to_uppercase(), text(&l["reason"])))
                .collect(),
        }
    }
}

pub fn oracle(name: &str) -> serde_json::Value {
    serde_json::from_str(&example(&format!("oracle/{name}.json"))).expect("JSON")
}

/// The cell of a row by its key; hospitals are members, whose names are lower case.
pub fn row<'a>(answer: &'a Answer, key: &[&str]) -> &'a [Cell] {
    let is = |found: &[String]| {
        found.len() == key.len() && found.iter().zip(key).all(|(found, key)| found.eq_ignore_ascii_case(key))
    };
    let found = answer.rows.iter().find(|r| is(&r.key));
    &found.unwrap_or_else(|| panic!("no row {key:?} in {answer:?}")).values
}

fn shared(cell: &'static OnceLock<world::World>, hospitals: impl FnOnce() -> Vec<Hospital>) -> World {
    World(cell.get_or_init(|| {
        world::World::start(&Spec {
            floor: 1,
            profile: "default-8192",
            threshold: None,
            hospitals: hospitals(),
        })
    }))
}

/// A hospital of the breast cancer example, under the policy of the tests.
pub fn breast_hospital(letter: &str, policy: &str) -> Hospital {
    let file =
        if letter == "D" { "hospital_D_other_schema".to_owned() } else { format!("hospital_{letter}") };
    let toml = example(&format!("breast/{letter}.toml"))
        .replace(&format!("../../target/breast/{letter}"), "state")
        .replace(&format!("../data/breast/{file}.csv"), "data.csv");
    Hospital {
        name: letter.to_lowercase(),
        toml: toml + policy,
        csv: example(&format!("data/breast/{file}.csv")),
    }
}

/// Hospitals A, B and C.
pub fn breast() -> World {
    static WORLD: OnceLock<world::World> = OnceLock::new();
    shared(&WORLD, || ["A", "B", "C"].map(|h| breast_hospital(h, POLICY)).to_vec())
}

/// With hospital D, which has other names and fewer columns.
pub fn breast_with_d() -> World {
    static WORLD: OnceLock<world::World> = OnceLock::new();
    shared(&WORLD, || ["A", "B", "C", "D"].map(|h| breast_hospital(h, POLICY)).to_vec())
}

fn column(name: &str, kind: &str, more: &str) -> String {
    format!("[[table.column]]\nname = \"{name}\"\nkind = \"{kind}\"\n{more}\n")
}

fn integer(name: &str, min: i64, max: i64) -> String {
    column(name, "integer", &format!("min = {min}\nmax = {max}"))
}

fn real(name: &str, digits: u8, min: i64, max: i64) -> String {
    column(name, "real", &format!("digits = {digits}\nmin = {min}\nmax = {max}"))
}

fn category(name: &str, codes: &[&str]) -> String {
    column(name, "category", &format!("codes = {codes:?}"))
}

/// One hospital per value of the column `hospital`, which the hospitals' own files do not have.
pub fn split(table: &str, csv: &str, columns: &[String], policy: &str) -> Vec<Hospital> {
    let (header, lines) = csv.split_once('\n').expect("a heading");
    let at = header.split(',').position(|name| name == "hospital").expect("a column `hospital`");
    let without = |line: &str| {
        let fields = line.split(',').enumerate().filter(|(i, _)| *i != at).map(|(_, field)| field);
        fields.collect::<Vec<_>>().join(",") + "\n"
    };
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for line in lines.lines() {
        let hospital = line.split(',').nth(at).expect("a hospital").to_lowercase();
        files.entry(hospital).or_insert_with(|| without(header)).push_str(&without(line));
    }
    let toml = |rows: usize| {
        format!(
            "[party]\ndata_dir = \"state\"\n[[table]]\nname = \"{table}\"\nsource = {{ csv = \"data.csv\" }}\nrows_max = {}\n{}{policy}",
            rows + 7,
            columns.concat()
        )
    };
    files.into_iter().map(|(name, csv)| Hospital { name, toml: toml(csv.lines().count()), csv }).collect()
}

/// The subjects of the fatty liver cohort, with columns for who ever had which event.
pub fn nafld() -> World {
    static WORLD: OnceLock<world::World> = OnceLock::new();
    shared(&WORLD, || {
        let (subjects, events) = (example("data/nafld/subjects.csv"), example("data/nafld/events.csv"));
        let ids = |event: &str| -> HashSet<String> {
            let of = |line: &str| {
                let fields: Vec<&str> = line.split(',').collect();
                (fields[3] == event).then(|| fields[1].to_owned())
            };
            events.lines().skip(1).filter_map(of).collect()
        };
        let had = [ids("nafld"), ids("diabetes"), ids("htn")];
        let mut csv = String::new();
        for (i, line) in subjects.lines().enumerate() {
            let id = line.split(',').nth(1).expect("an id");
            let flags = match i {
                0 => ["nafld", "dm", "htn"].map(str::to_owned),
                _ => [0, 1, 2].map(|k| u8::from(had[k].contains(id)).to_string()),
            };
            csv.push_str(&format!("{line},{}\n", flags.join(",")));
        }
        let mut columns = vec![
            integer("age", 0, 120),
            real("weight", 1, 20, 300),
            real("height", 1, 100, 230),
            real("bmi", 9, 5, 100),
            integer("futime", 0, 8000),
        ];
        columns.extend(["male", "status", "nafld", "dm", "htn"].map(|name| integer(name, 0, 1)));
        split("subjects", &csv, &columns, POLICY)
    })
}

/// The four sites of the indomethacin trial.
pub fn rct_hospitals() -> Vec<Hospital> {
    let columns = [
        integer("age", 0, 120),
        real("risk", 1, 0, 10),
        category("rx", &["placebo", "indomethacin"]),
        category("outcome", &["no", "yes"]),
    ];
    split("rct", &example("data/rct/indo_rct.csv"), &columns, POLICY)
}

/// The indomethacin trial.
pub fn rct() -> World {
    static WORLD: OnceLock<world::World> = OnceLock::new();
    shared(&WORLD, rct_hospitals)
}

/// The first rows of the synthetic cohort.
pub fn synth(rows: u64) -> World {
    static WORLD: OnceLock<world::World> = OnceLock::new();
    assert_eq!(rows, 10_000, "the oracle has answers to the first 10,000 rows");
    shared(&WORLD, || {
        let columns = [
            category("sex", &["F", "M"]),
            integer("age", 0, 120),
            integer("bmi_x10", 100, 700),
            integer("sbp", 40, 300),
            integer("diabetes", 0, 1),
            integer("hba1c", 10, 200),
            integer("smoker", 0, 1),
            integer("treat", 0, 1),
            category("dx", &["C50", "E11", "I10", "J44", "K21", "Z00"]),
            integer("time", 0, 3000),
            integer("event", 0, 1),
        ];
        split("synth", &super::synth::csv(10_000), &columns, POLICY)
    })
}
