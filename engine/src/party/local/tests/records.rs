//! The shipped exports, from their own configurations, against the oracle; and the version of rows whatever they come
//! from.

use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use polars::prelude::{DataFrame, IntoColumn, NamedFrom, ParquetWriter, Series};
use serde_json::Value as Json;

use super::{Folder, World, key, repository};
use crate::party::local::LocalError;
use crate::party::local::cohort::NOWHERE;
use crate::party::local::config::PartyConfig;
use crate::party::local::data::LocalData;
use crate::party::local::gate::{Reading, RowGate};
use crate::query::answer::Value;

fn world(folder: &str, letters: &[&str]) -> World {
    World::new(
        1,
        letters.iter().map(|name| {
            let config = PartyConfig::load(&repository(&format!("examples/{folder}/{name}.toml")));
            let config = config.unwrap_or_else(|e| panic!("{e}"));
            ((*name).to_owned(), LocalData::open(&config, key()).unwrap_or_else(|e| panic!("{e}")))
        }),
    )
}

fn oracle(name: &str) -> Json {
    let text = std::fs::read_to_string(repository(&format!("examples/oracle/{name}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn near(found: f64, exact: &Json, what: &str) {
    let exact = exact.as_f64().unwrap_or_else(|| panic!("{what}: no number"));
    assert!((found - exact).abs() <= 1e-9 * exact.abs(), "{what}: {found:e} is not {exact:e}");
}

fn number(value: &Value) -> f64 {
    match value {
        Value::Count { value } => *value as f64,
        Value::Real { value } => *value,
        Value::Exact { value, digits } => format!("{value}e-{digits}").parse().unwrap(),
        other => panic!("no number: {other:?}"),
    }
}

/// The numbers of the first row.
fn numbers(world: &World, sql: &str) -> Vec<f64> {
    world.ask(sql).rows[0].values.iter().map(|cell| number(&cell.value)).collect()
}

/// Distinct patients over all hospitals with this text in a column: what the programs on shares count.
fn patients(world: &World, table: &str, (name, text): (&str, &str)) -> u64 {
    let mut seen = HashSet::new();
    for (hospital, data) in &world.data {
        let published = data.publication(hospital, 1).unwrap();
        let columns = &published.table(table).unwrap().columns;
        let at = |name: &str| columns.iter().position(|column| column.name == name).unwrap();
        let (patient, column) = (at("patient"), at(name));
        let rows = data.rows(table, 1 << 20).unwrap();
        let rows = rows.into_iter().filter(|row| row[column].as_deref() == Some(text));
        seen.extend(rows.map(|mut row| row.swap_remove(patient)));
    }
    seen.len() as u64
}

#[test]
fn a_fhir_export_answers_as_the_oracle() {
    let world = world("fhir", &["A", "B", "C", "D"]);
    let exact = oracle("fhir");
    let found = numbers(&world, "SELECT COUNT(*), SUM(deceased) FROM patients");
    assert_eq!(found, [exact["patients"].as_f64().unwrap(), exact["deceased"].as_f64().unwrap()]);
    for row in world.ask("SELECT sex, COUNT(*) FROM patients GROUP BY sex").rows {
        let Value::Count { value } = row.values[0].value else { panic!("a count") };
        assert_eq!(Some(value), exact["by_gender"][&row.key[0]].as_u64());
    }
    let dx = "SELECT SUM(i10), SUM(e78_5), SUM(e66_9), SUM(e11_9), SUM(n18_9), SUM(j44_9) FROM patients";
    for (found, code) in numbers(&world, dx).iter().zip(["I10", "E78.5", "E66.9", "E11.9", "N18.9", "J44.9"])
    {
        assert_eq!(Some(*found), exact["condition_patients"][code].as_f64(), "{code}");
    }
    let answer = world.ask("SELECT CHI2(i10, e11_9), ODDS_RATIO(i10, e11_9) FROM patients");
    let Value::Chi2(chi2) = &answer.rows[0].values[0].value else { panic!("a test") };
    let crosstab = &exact["crosstab_I10_E11"];
    near(chi2.pearson.chi2, &crosstab["pearson"]["chi2"], "Pearson");
    near(chi2.pearson.p, &crosstab["pearson"]["p"], "Pearson's p");
    near(chi2.yates.chi2, &crosstab["yates"]["chi2"], "Yates");
    for (code, column) in [
        ("1742-6", "alt"),
        ("1920-8", "ast"),
        ("2160-0", "creatinine"),
        ("2345-7", "glucose"),
        ("2823-3", "potassium"),
        ("29463-7", "weight"),
        ("2951-2", "sodium"),
        ("39156-5", "bmi"),
        ("4548-4", "hba1c"),
        ("6690-2", "leukocytes"),
        ("718-7", "haemoglobin"),
        ("8302-2", "height"),
        ("8867-4", "heart_rate"),
    ] {
        let sql = ["COUNT", "SUM", "AVG", "VAR", "STDDEV"].map(|f| format!("{f}({column})"));
        let found = numbers(&world, &format!("SELECT {} FROM observations", sql.join(", ")));
        let exact = &exact["labs"][code];
        let names = ["n", "sum", "mean", "var_sample", "sd_sample"];
        for (found, name) in found.iter().zip(names) {
            near(*found, &exact["stats"][name], &format!("{column} {name}"));
        }
        let distinct = patients(&world, "observations", ("code", code));
        assert_eq!(Some(distinct), exact["patients"].as_u64(), "{column}: patients");
    }
}

#[test]
fn omop_tables_answer_as_the_oracle() {
    let world = world("omop", &["A", "B", "C"]);
    let exact = oracle("omop");
    let gibleed = &exact["gibleed"];
    let sql = "SELECT COUNT(*), SUM(gi_bleed), SUM(celecoxib), SUM(diclofenac) FROM persons";
    let names = ["persons_gi", "persons_celecoxib", "persons_diclofenac"];
    let found = numbers(&world, sql);
    assert_eq!(Some(found[0]), exact["persons"].as_f64());
    for (found, name) in found[1..].iter().zip(names) {
        assert_eq!(Some(*found), gibleed[name].as_f64(), "{name}");
    }
    let answer = world.ask("SELECT CHI2(arm, gi_bleed_after), ODDS_RATIO(arm, gi_bleed_after) FROM persons");
    let crosstab = &gibleed["crosstab_celecoxib_vs_diclofenac_gi_after"];
    let Value::Chi2(chi2) = &answer.rows[0].values[0].value else { panic!("a test") };
    near(chi2.pearson.chi2, &crosstab["pearson"]["chi2"], "Pearson");
    near(chi2.yates.p, &crosstab["yates"]["p"], "Yates' p");
    let Value::OddsRatio(odds) = &answer.rows[0].values[1].value else { panic!("odds") };
    near(odds.odds_ratio, &crosstab["odds_ratio"]["or_"], "odds ratio");
    let sql = "SELECT hospital, COUNT(year_of_birth), SUM(year_of_birth), VAR(year_of_birth) FROM persons GROUP BY hospital";
    for row in world.ask(sql).rows {
        let exact = &exact["year_of_birth_by_hospital"][&row.key[0]];
        for (cell, name) in row.values.iter().zip(["n", "sum", "var_sample"]) {
            near(number(&cell.value), &exact[name], &format!("{:?} {name}", row.key));
        }
    }
    for condition in exact["top_conditions"].as_array().unwrap() {
        let concept = condition["concept_id"].to_string();
        let is = format!("concept = '{concept}'");
        let records = numbers(&world, &format!("SELECT COUNT(*) FROM conditions WHERE {is}"));
        assert_eq!(Some(records[0]), condition["records"].as_f64(), "{is}");
        assert_eq!(
            Some(patients(&world, "conditions", ("concept", &concept))),
            condition["persons"].as_u64(),
            "{is}"
        );
    }
}

const COLUMNS: &str = "patient = \"id\"\n[[table.column]]\nname = \"x\"\nkind = \"real\"\ndigits = 1\nmin = 0\nmax = 99\n\
    [[table.column]]\nname = \"c\"\nkind = \"category\"\ncodes = [\"u\", \"v\"]\n";

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn the_version_is_of_the_rows_and_not_of_their_format() {
    let folder = Folder::new(&[
        ("t.csv", "id,x,c\n1,2.5,u\n2,,v\n3,7,w\n3,7,w\n"),
        ("other.csv", "note,c,x,id\n,w,7.0,3\n,u,2.50,1\n,w,\"7\",3\nhello,v,NA, 2 \n"),
    ]);
    folder.write("t.csv.gz", &gzip("id,x,c\n2,NaN,v\n3,7,w\n1,2.5,u\n3,7.00,w\n"));
    let mut frame = DataFrame::new(
        4,
        vec![
            Series::new("id".into(), [1i64, 2, 3, 3]).into_column(),
            Series::new("x".into(), [Some(2.5f64), None, Some(7.0), Some(7.0)]).into_column(),
            Series::new("c".into(), ["u", "v", "w", "w"]).into_column(),
        ],
    )
    .unwrap();
    let file = std::fs::File::create(folder.dir.path().join("t.parquet")).unwrap();
    ParquetWriter::new(file).finish(&mut frame).unwrap();
    let version = |source: &str| folder.data(source, COLUMNS).dataset_version("t").unwrap();
    let versions: BTreeMap<&str, String> = [
        "{ csv = \"t.csv\" }",
        "{ csv = \"other.csv\" }",
        "{ csv = \"t.csv.gz\" }",
        "{ parquet = \"t.parquet\" }",
    ]
    .map(|source| (source, version(source)))
    .into();
    let distinct: HashSet<&String> = versions.values().collect();
    assert_eq!(distinct.len(), 1, "{versions:?}");
    // One row fewer, although it is there twice.
    folder.write("t.csv", b"id,x,c\n1,2.5,u\n2,,v\n3,7,w\n");
    assert_ne!(version("{ csv = \"t.csv\" }"), versions["{ csv = \"t.csv.gz\" }"]);
}

#[test]
fn a_compressed_file_is_held_to_the_shape_of_a_plain_one() {
    let folder = Folder::new(&[]);
    let open = |bytes: &[u8]| {
        folder.write("t.csv.gz", bytes);
        LocalData::open(&folder.config("{ csv = \"t.csv.gz\" }", COLUMNS), key()).map(|_| ())
    };
    open(&gzip("id,x,c\n1,2,u\n")).unwrap();
    for (bytes, code) in [
        (gzip("id,x,c\n1,2\n"), "data.malformed"),
        (gzip("id,x,x\n1,2,3\n"), "data.malformed"),
        (gzip("id,x\n1,2\n"), "data.column"),
        (gzip(""), "data.malformed"),
        (b"id,x,c\n1,2,u\n".to_vec(), "data.malformed"),
        (gzip("id,x,c\n1,2,u\n")[..15].to_vec(), "data.unreadable"),
        (gzip(&("id,x,c\n".to_owned() + &"1,2,u\n".repeat(1001))), "data.rows_max"),
    ] {
        let error = open(&bytes).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
    }
}

#[test]
fn two_hundred_thousand_rows_have_a_version_and_keep_it() {
    let mut text = "id,x,c\n".to_owned();
    for i in 0..200_000u32 {
        text.push_str(&format!("{i},{}.{},{}\n", i % 90, i % 10, if i % 3 == 0 { "u" } else { "v" }));
    }
    let folder = Folder::new(&[("t.csv", &text)]);
    let config = |columns: &str| {
        let mut config = folder.config("{ csv = \"t.csv\" }", columns);
        config.tables[0].rows_max = 200_000;
        LocalData::open(&config, key()).unwrap()
    };
    let started = std::time::Instant::now();
    let data = config(COLUMNS);
    let version = data.dataset_version("t").unwrap();
    eprintln!("200,000 rows: {:?}", started.elapsed());
    assert_eq!(data.survey("t").unwrap().rows, 200_000);
    assert_eq!(config(COLUMNS).dataset_version("t").unwrap(), version);
}

/// Lets everybody through but one.
#[derive(Debug)]
struct AllBut(&'static str);

impl RowGate for AllBut {
    fn admit(&self, reading: &Reading<'_>) -> Result<Vec<bool>, LocalError> {
        let mut admitted = Vec::new();
        reading.patients(&mut |patient| admitted.push(patient.is_some_and(|patient| patient != self.0)))?;
        Ok(admitted)
    }
}

#[test]
fn what_was_shown_is_told_by_rows_and_patients_whatever_the_gate_and_the_order() {
    let rows = ["a,1,u", "b,2,u", "b,3,v", "c,4,u", "d,5,v", "e,6,u"];
    let shown = |order: &[usize]| {
        let text: String = order.iter().map(|at| format!("{}\n", rows[*at])).collect();
        let folder = Folder::new(&[("t.csv", &format!("id,x,c\n{text}"))]);
        let data = folder.data("{ csv = \"t.csv\" }", COLUMNS).through(Arc::new(AllBut("b")));
        let version = data.dataset_version("t").unwrap();
        let patients = data.patients("t", &version).unwrap().unwrap();
        let world = World::one(1, data);
        let cohorts = world.contribution(&world.plan("SELECT COUNT(*) FROM t WHERE x < 6"), "H").cohorts;
        let [all] = cohorts.as_slice() else { panic!("{cohorts:?}") };
        // Three rows are in the answer, and none of them is of the patient who is kept out.
        let seen: Vec<u32> =
            patients.iter().zip(&all.labels).filter(|(_, l)| **l != NOWHERE).map(|(p, _)| *p).collect();
        assert_eq!(seen.len(), 3);
        let twice =
            patients.iter().find(|p| patients.iter().filter(|other| other == p).count() == 2).unwrap();
        assert!(!seen.contains(twice), "{seen:?} has {twice}");
        (version, all.labels.clone())
    };
    assert_eq!(shown(&[0, 1, 2, 3, 4, 5]), shown(&[5, 2, 0, 4, 1, 3]));
}
