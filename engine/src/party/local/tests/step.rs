//! The whole step against the plain reference, row by row, and against the oracle.

use polars::prelude::{DataFrame, IntoColumn, NamedFrom, ParquetWriter, Series};
use proptest::prelude::*;

use super::{Folder, World, breast, integers, repository};
use crate::party::local::LocalError;
use crate::party::local::step::run;
use crate::query::answer::Value;
use crate::query::plan::{Content, Filter};
use crate::query::reference::{Rows, evaluate};

const BREAST: [&str; 14] = [
    "SELECT COUNT(*) FROM breast",
    "SELECT COUNT(*), COUNT(nodes), SUM(nodes), AVG(age) FROM breast WHERE age BETWEEN 40 AND 65",
    "SELECT hormon, COUNT(*), VAR(nodes), STDDEV(pgr) FROM breast GROUP BY hormon",
    "SELECT grade, meno, COUNT(*), SUM(er) FROM breast GROUP BY grade, meno",
    "SELECT hospital, COUNT(*), AVG(age) FROM breast GROUP BY hospital",
    "SELECT grade, hospital, COUNT(*) FROM breast GROUP BY grade, hospital",
    "SELECT HISTOGRAM(age, 20, 90, 7) FROM breast WHERE NOT (grade = 3 OR nodes > 10)",
    "SELECT CROSSTAB(grade, recur), CHI2(hormon, meno) FROM breast",
    "SELECT ODDS_RATIO(hormon, recur) FROM breast WHERE grade IN (2, 3)",
    "SELECT TTEST(nodes, hormon), CORR(age, pgr) FROM breast",
    "SELECT OLS(nodes, age, meno, grade) FROM breast",
    "SELECT KAPLAN_MEIER(rtime, recur, 30) FROM breast GROUP BY hormon",
    "SELECT LOG_RANK(rtime, recur, hormon, 7) FROM breast",
    "SELECT MIN(age), MAX(age) FROM breast GROUP BY meno",
];

fn breast_rows(hospital: &str) -> Rows {
    let (file, rename): (_, &[_]) = match hospital {
        "D" => ("hospital_D_other_schema", &[("rfstime", "rtime"), ("status", "recur"), ("size", "size_mm")]),
        "A" => ("hospital_A", &[]),
        "B" => ("hospital_B", &[]),
        _ => ("hospital_C", &[]),
    };
    let path = repository(&format!("examples/data/breast/{file}.csv"));
    Rows::from_csv(&std::fs::read_to_string(path).unwrap(), rename)
}

#[test]
fn every_statistic_equals_the_reference_at_every_hospital_and_floor() {
    for floor in [1, 5, 40] {
        let world = breast(floor);
        for sql in BREAST {
            let plan = world.plan(sql);
            assert_eq!(plan.hospitals, ["A", "B", "C", "D"], "{sql}");
            for hospital in &plan.hospitals {
                let contribution = world.contribution(&plan, hospital);
                let expected = evaluate(&plan, hospital, floor, &breast_rows(hospital));
                assert!(integers(&contribution) == expected, "{sql} at {hospital} with floor {floor}");
            }
        }
    }
}

#[test]
fn columns_that_one_hospital_lacks_leave_it_out() {
    let world = breast(1);
    let plan = world.plan("SELECT size, COUNT(*), SUM(dtime) FROM breast WHERE chemo = 1 GROUP BY size");
    assert_eq!(plan.hospitals, ["A", "B", "C"]);
    for hospital in &plan.hospitals {
        let expected = evaluate(&plan, hospital, 1, &breast_rows(hospital));
        assert_eq!(integers(&world.contribution(&plan, hospital)), expected);
    }
    let error = run(&plan, &world.data["D"], "D", 1).map(|_| ()).unwrap_err();
    assert_eq!(error, LocalError::HospitalAbsent { hospital: "D".into() });
}

#[test]
fn counts_equal_the_oracle_on_breast() {
    let oracle: serde_json::Value =
        serde_json::from_slice(&std::fs::read(repository("examples/oracle/breast.json")).unwrap()).unwrap();
    let answer = breast(1).ask("SELECT hospital, COUNT(dtime) FROM breast GROUP BY hospital");
    for row in &answer.rows {
        let expected = oracle["by_hospital"][&row.key[0]].as_u64().unwrap();
        assert_eq!(row.values[0].value, Value::Count { value: expected }, "{:?}", row.key);
    }
    let answer = breast(1).ask("SELECT hormon, COUNT(dtime), SUM(death) FROM breast GROUP BY hormon");
    for row in &answer.rows {
        let expected = &oracle["km_by_hormon"][&row.key[0]];
        assert_eq!(row.values[0].value, Value::Count { value: expected["n"].as_u64().unwrap() });
        let events = expected["events"].as_u64().unwrap().to_string();
        assert_eq!(row.values[1].value, Value::Exact { value: events, digits: 0 });
    }
}

/// The trial's sites, each with its own rows; the outcome is mapped to 0 and 1, the arm keeps its names.
fn rct(floor: u32) -> World {
    let text = std::fs::read_to_string(repository("examples/data/rct/indo_rct.csv")).unwrap();
    let (heading, rows) = text.split_once('\n').unwrap();
    let columns = "[[table.column]]\nname = \"event\"\nsource = \"outcome\"\nkind = \"integer\"\nmin = 0\nmax = 1\n\
                   values = { yes = 1, no = 0 }\n\
                   [[table.column]]\nname = \"rx\"\nkind = \"category\"\ncodes = [\"placebo\", \"indomethacin\"]\n";
    let mut folders = Vec::new();
    let sites = ["UM", "IU", "UK", "Case"].map(|site| {
        let own =
            rows.lines().filter(|row| row.split(',').nth(1) == Some(site)).collect::<Vec<_>>().join("\n");
        let folder = Folder::new(&[("rct.csv", &format!("{heading}\n{own}\n"))]);
        let data = folder.data("{ csv = \"rct.csv\" }", columns);
        folders.push(folder);
        (site.to_owned(), data)
    });
    World { _folders: folders, ..World::new(floor, sites) }
}

#[test]
fn cells_equal_the_oracle_on_the_trial_and_small_ones_are_withheld() {
    let oracle: serde_json::Value =
        serde_json::from_slice(&std::fs::read(repository("examples/oracle/rct.json")).unwrap()).unwrap();
    for floor in [1, 5] {
        let world = rct(floor);
        let plan = world.plan("SELECT CROSSTAB(rx, event) FROM t");
        let masks = plan.blocks.iter().position(|b| matches!(b.content, Content::Withheld { .. })).unwrap();
        assert_eq!(masks, 0, "the masks come first");
        for (bit, hospital) in plan.hospitals.iter().enumerate() {
            let slots = integers(&world.contribution(&plan, hospital));
            let (masks, counts) = (&slots[..4], &slots[4..8]);
            for cell in 0..4 {
                let (rx, event) = ((cell / 2).to_string(), (cell % 2).to_string());
                let exact = oracle["per_hospital"][hospital][&rx][&event].as_i64().unwrap();
                let withheld = floor > 1 && exact < i64::from(floor);
                assert_eq!(masks[cell], if withheld { 1 << bit } else { 0 }, "{hospital} {cell}");
                assert_eq!(counts[cell], if withheld { 0 } else { i128::from(exact) }, "{hospital} {cell}");
            }
        }
    }
}

const MIXED: &str = r#"
[[table.column]]
name = "x"
kind = "real"
digits = 2
min = -5
max = 5
[[table.column]]
name = "n"
kind = "integer"
min = 0
max = 20
out_of_bounds = "clamp"
[[table.column]]
name = "flag"
kind = "integer"
min = 0
max = 1
[[table.column]]
name = "c"
kind = "category"
codes = ["red", "green", "blue"]
"#;

type Mixed = (Option<i32>, Option<i64>, Option<bool>, Option<usize>);

/// Texts of `c`: three codes and one that is none.
const COLOURS: [&str; 4] = ["red", "green", "blue", "mauve"];

fn mixed_rows() -> impl Strategy<Value = Vec<Mixed>> {
    let x = prop::option::weighted(0.8, -6000i32..6000);
    let n = prop::option::weighted(0.8, -3i64..25);
    let row =
        (x, n, prop::option::weighted(0.9, any::<bool>()), prop::option::weighted(0.9, 0..COLOURS.len()));
    // A column in which nothing maps is refused: the first row does.
    prop::collection::vec(row, 0..60).prop_map(|mut rows| {
        rows.insert(0, (Some(0), Some(0), Some(true), Some(0)));
        rows
    })
}

fn mixed_csv(rows: &[Mixed]) -> String {
    let mut text = "x,n,flag,c\n".to_owned();
    for (x, n, flag, c) in rows {
        let x = x.map(|x| (f64::from(x) / 1000.0).to_string()).unwrap_or_default();
        let n = n.map(|n| n.to_string()).unwrap_or_default();
        let flag = flag.map(|flag| u8::from(flag).to_string()).unwrap_or_default();
        text.push_str(&format!("{x},{n},{flag},{}\n", c.map_or("", |c| COLOURS[c])));
    }
    text
}

fn mixed_parquet(rows: &[Mixed]) -> Vec<u8> {
    let x: Vec<Option<f64>> = rows.iter().map(|r| r.0.map(|x| f64::from(x) / 1000.0)).collect();
    let n: Vec<Option<i64>> = rows.iter().map(|r| r.1).collect();
    let flag: Vec<Option<bool>> = rows.iter().map(|r| r.2).collect();
    let c: Vec<Option<&str>> = rows.iter().map(|r| r.3.map(|c| COLOURS[c])).collect();
    let columns = vec![
        Series::new("x".into(), x).into_column(),
        Series::new("n".into(), n).into_column(),
        Series::new("flag".into(), flag).into_column(),
        Series::new("c".into(), c).into_column(),
    ];
    let mut frame = DataFrame::new(rows.len(), columns).unwrap();
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes).finish(&mut frame).unwrap();
    bytes
}

fn query() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "x > 0",
        "x <= 1.5",
        "x = 0.25",
        "n <> 3",
        "n BETWEEN 2 AND 9",
        "n IN (1, 2, 20)",
        "flag = 1",
        "c = 'red'",
        "c <> 'blue'",
        "c IN ('red', 'green')",
        "x IS NULL",
        "c IS NULL",
        "n < 100",
        "x > 1.2345",
    ]);
    let condition = leaf.prop_map(str::to_owned).prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|a| format!("NOT ({a})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} AND {b})")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("({a} OR {b})")),
        ]
    });
    let statistics = prop::sample::select(vec![
        "COUNT(*), COUNT(x), SUM(x), VAR(n)",
        "SUM(flag), AVG(x), MIN(n), MAX(n)",
        "HISTOGRAM(x, -5, 5, 4), CROSSTAB(c, flag)",
        "OLS(x, n, c, flag), CORR(x, n)",
        "KAPLAN_MEIER(n, flag, 3), LOG_RANK(n, flag, c), TTEST(x, flag)",
    ]);
    let groups = prop::sample::select(vec![
        "",
        " GROUP BY c",
        " GROUP BY flag, c",
        " GROUP BY hospital",
        " GROUP BY n",
    ]);
    (statistics, prop::option::weighted(0.8, condition), groups).prop_map(
        |(statistics, condition, groups)| {
            let condition = condition.map(|c| format!(" WHERE {c}")).unwrap_or_default();
            format!("SELECT {statistics} FROM t{condition}{groups}")
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn csv_and_parquet_equal_the_reference_on_any_rows(rows in mixed_rows(), sql in query(), floor in 1u32..6) {
        let csv = mixed_csv(&rows);
        let folder = Folder::new(&[("t.csv", &csv)]);
        folder.write("t.parquet", &mixed_parquet(&rows));
        let reference = Rows::from_csv(&csv, &[]);
        let from_csv = World::one(floor, folder.data("{ csv = \"t.csv\" }", MIXED));
        let from_parquet = World::one(floor, folder.data("{ parquet = \"t.parquet\" }", MIXED));
        let plan = from_csv.plan(&sql);
        let expected = evaluate(&plan, "H", floor, &reference);
        prop_assert_eq!(integers(&from_csv.contribution(&plan, "H")), expected.clone());
        prop_assert_eq!(integers(&from_parquet.contribution(&plan, "H")), expected);
    }

    #[test]
    fn no_change_to_a_plan_makes_the_step_panic(sql in query(), change in 0usize..9, at in any::<prop::sample::Index>()) {
        let folder = Folder::new(&[("t.csv", "x,n,flag,c\n1.5,3,1,red\n,7,0,green\n2,,1,blue\n")]);
        let world = World::one(1, folder.data("{ csv = \"t.csv\" }", MIXED));
        let mut plan = world.plan(&sql);
        let block = at.index(plan.blocks.len());
        match change {
            0 => plan.columns.clear(),
            1 => plan.strata.clear(),
            2 => plan.blocks[block].slots = plan.blocks[block].slots.wrapping_sub(1),
            3 => plan.blocks[block].width = 0,
            4 => plan.groups.iter_mut().for_each(|g| g.codes.clear()),
            5 => plan.columns.iter_mut().for_each(|c| { c.min = i64::MIN; c.max = i64::MAX; }),
            6 => plan.strata.iter_mut().for_each(|s| { s.by.clear(); s.cases.clear(); s.levels.push("x".into()) }),
            7 => plan.blocks[block].content = Content::Withheld { stratum: 1000 },
            _ => plan.filter = Some(Filter::IsNull { column: "*".into() }),
        }
        let _ = run(&plan, &world.data["H"], "H", 1);
    }
}
