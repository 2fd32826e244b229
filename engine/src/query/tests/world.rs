//! Consortia of the examples' data, and questions to them.

use std::collections::{BTreeMap, HashSet};

use crate::query::answer::{Answer, Cell, Value};
use crate::query::catalogue::{Catalogue, Column, ColumnKind, OutOfBounds, Publication, Table};
use crate::query::plan::{Participation, Plan, ProtocolInfo};
use crate::query::reference::{Rows, evaluate, sum};
use crate::query::{QueryError, finish, parse, plan};

/// Hospitals with their rows, and what they publish.
#[derive(Clone)]
pub struct World {
    pub catalogue: Catalogue,
    pub rows: BTreeMap<String, Rows>,
}

pub fn example(path: &str) -> String {
    let path = format!("{}/../examples/{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

pub fn oracle(name: &str) -> serde_json::Value {
    serde_json::from_str(&example(&format!("oracle/{name}.json"))).expect("JSON")
}

pub fn integer(name: &str, min: i64, max: i64) -> Column {
    let (kind, unit, description) = (ColumnKind::Integer, String::new(), String::new());
    let (codes, out_of_bounds) = (vec![], OutOfBounds::Reject);
    Column { name: name.into(), kind, digits: 0, unit, min, max, codes, out_of_bounds, description }
}

pub fn real(name: &str, digits: u8, min: i64, max: i64) -> Column {
    let scale = 10i64.pow(digits.into());
    Column { kind: ColumnKind::Real, digits, ..integer(name, min * scale, max * scale) }
}

pub fn category(name: &str, codes: &[&str]) -> Column {
    let codes: Vec<String> = codes.iter().map(|c| (*c).to_owned()).collect();
    Column { kind: ColumnKind::Category, codes, ..integer(name, 0, 0) }
}

pub fn protocol(hospitals: &[&str]) -> ProtocolInfo {
    ProtocolInfo {
        profile: "default-8192".into(),
        key_holders: hospitals.iter().map(|h| (*h).to_owned()).collect(),
        threshold: hospitals.len() as u32,
        degree: 8192,
        log2_t: 104,
        ciphertext_bytes: 442_368,
    }
}

impl World {
    /// Hospitals that publish one table with these columns.
    pub fn new(table: &str, columns: &[Column], rows: impl IntoIterator<Item = (String, Rows)>) -> Self {
        let catalogue = Catalogue {
            consortium: "test".into(),
            floor: 1,
            rounding: false,
            hospitals: BTreeMap::new(),
            compute: vec![],
        };
        let mut world = Self { catalogue, rows: BTreeMap::new() };
        for (hospital, rows) in rows {
            world.add(&hospital, table, columns, rows);
        }
        world
    }

    pub fn add(&mut self, hospital: &str, table: &str, columns: &[Column], rows: Rows) {
        let table = Table {
            name: table.into(),
            description: String::new(),
            rows_max: rows.rows.len() as u64 + 7,
            rows_per_patient_max: 1,
            data_class: String::new(),
            data_use: vec![],
            dataset_version: String::new(),
            columns: columns.to_vec(),
            proofs: Vec::new(),
        };
        let publication =
            Publication { hospital: hospital.into(), floor: 1, rounding: false, tables: vec![table] };
        self.catalogue.hospitals.insert(hospital.into(), publication);
        self.rows.insert(hospital.into(), rows);
    }

    pub fn floor(mut self, floor: u32) -> Self {
        self.catalogue.floor = floor;
        self
    }

    pub fn protocol(&self) -> ProtocolInfo {
        protocol(&self.rows.keys().map(String::as_str).collect::<Vec<_>>())
    }

    pub fn try_plan(&self, sql: &str) -> Result<Plan, QueryError> {
        plan(&parse(sql)?, &self.catalogue, &self.protocol(), Participation::All)
    }

    pub fn plan(&self, sql: &str) -> Plan {
        self.try_plan(sql).unwrap_or_else(|e| panic!("{sql}: {e}"))
    }

    /// The sums over some of the plan's hospitals.
    pub fn sums(&self, plan: &Plan, participants: &[String]) -> Vec<i128> {
        let of = |hospital: &String| {
            let floor = self.catalogue.hospitals[hospital].floor;
            evaluate(plan, hospital, floor, &self.rows[hospital])
        };
        let contributions: Vec<Vec<i128>> = participants.iter().map(of).collect();
        sum(plan, &contributions)
    }

    pub fn ask(&self, sql: &str) -> Answer {
        let plan = self.plan(sql);
        let sums = self.sums(&plan, &plan.hospitals);
        finish(&plan, &sums, &plan.hospitals).unwrap_or_else(|e| panic!("{sql}: {e}"))
    }

    /// The value of a query with one statistic and no groups.
    pub fn one(&self, sql: &str) -> Value {
        self.ask(sql).rows[0].values[0].value.clone()
    }
}

/// The cell of a row by its key.
pub fn row<'a>(answer: &'a Answer, key: &[&str]) -> &'a [Cell] {
    let found = answer.rows.iter().find(|r| r.key.iter().map(String::as_str).eq(key.iter().copied()));
    &found.unwrap_or_else(|| panic!("no row {key:?}")).values
}

fn breast_columns() -> Vec<Column> {
    vec![
        integer("age", 18, 110),
        integer("meno", 0, 1),
        integer("grade", 1, 3),
        integer("nodes", 0, 60),
        integer("pgr", 0, 6000),
        integer("er", 0, 4000),
        integer("hormon", 0, 1),
        integer("rtime", 0, 8000),
        integer("recur", 0, 1),
    ]
}

/// Hospitals A, B and C.
pub fn breast() -> World {
    let mut columns = breast_columns();
    columns.push(category("size", &["<=20", "20-50", ">50"]));
    columns.extend([integer("chemo", 0, 1), integer("dtime", 0, 8000), integer("death", 0, 1)]);
    let rows = ["A", "B", "C"].map(|hospital| {
        let text = example(&format!("data/breast/hospital_{hospital}.csv"));
        (hospital.to_owned(), Rows::from_csv(&text, &[]))
    });
    World::new("breast", &columns, rows)
}

/// With hospital D, which has other names and fewer columns.
pub fn breast_with_d() -> World {
    let mut world = breast();
    let text = example("data/breast/hospital_D_other_schema.csv");
    let rename = [("rfstime", "rtime"), ("status", "recur"), ("size", "size_mm")];
    world.add("D", "breast", &breast_columns(), Rows::from_csv(&text, &rename));
    world
}

fn by_hospital(rows: &Rows) -> Vec<(String, Rows)> {
    let at = rows.names.iter().position(|n| n == "hospital").expect("a hospital column");
    let mut hospitals: Vec<String> = rows.rows.iter().filter_map(|r| r[at].clone()).collect();
    hospitals.sort();
    hospitals.dedup();
    hospitals.into_iter().map(|h| (h.clone(), rows.having("hospital", &h))).collect()
}

/// The subjects of the NAFLD cohort, with columns for who ever had which event.
pub fn nafld() -> World {
    let mut rows = Rows::from_csv(&example("data/nafld/subjects.csv"), &[("case.id", "case_id")]);
    let events = Rows::from_csv(&example("data/nafld/events.csv"), &[]);
    for (column, event) in [("nafld", "nafld"), ("dm", "diabetes"), ("htn", "htn")] {
        let ids: HashSet<_> = events.having("event", event).rows.into_iter().map(|r| r[1].clone()).collect();
        rows.names.push(column.into());
        for row in &mut rows.rows {
            let had = ids.contains(&row[1]);
            row.push(Some(u8::from(had).to_string()));
        }
    }
    let mut columns = vec![
        integer("age", 0, 120),
        real("weight", 1, 20, 300),
        real("height", 1, 100, 230),
        real("bmi", 9, 5, 100),
        integer("futime", 0, 8000),
    ];
    columns.extend(["male", "status", "nafld", "dm", "htn"].map(|name| integer(name, 0, 1)));
    World::new("subjects", &columns, by_hospital(&rows))
}

/// The indomethacin trial.
pub fn rct() -> World {
    let rows = Rows::from_csv(&example("data/rct/indo_rct.csv"), &[]);
    let columns = [
        integer("age", 0, 120),
        real("risk", 1, 0, 10),
        category("rx", &["placebo", "indomethacin"]),
        category("outcome", &["no", "yes"]),
    ];
    World::new("rct", &columns, by_hospital(&rows))
}

/// The first rows of the synthetic cohort.
pub fn synth(rows: u64) -> World {
    let rows = Rows::from_csv(&super::synth::csv(rows), &[]);
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
    World::new("synth", &columns, by_hospital(&rows))
}
