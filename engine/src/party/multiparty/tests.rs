//! Every program as a query asks for it, over hospitals' files, run by three nodes in one process: the answers of honest nodes, what
//! is suppressed, and a malicious node, which is noticed and gets nothing released.

use std::sync::Arc;

use rand_core::{Rng, SeedableRng};
use ward_protocols::mpc::gates::input::{self, Held, WORDS_MAX, Words};
use ward_protocols::mpc::role::Role;
use ward_protocols::mpc::{Malicious, Session};
use ward_protocols::sim::{self, At, Change, Tamper, World};

use super::program::{self, Iterate, Opened};
use super::seat::{shape_of, words_of};
use super::sums::Local;
use crate::party::local::config::PartyConfig;
use crate::party::local::data::LocalData;
use crate::problem::Problem;
use crate::query::answer::{Answer, Value};
use crate::query::ast::Route;
use crate::query::catalogue::Catalogue;
use crate::query::plan::{Asked, Participation, Plan, ProtocolInfo};
use crate::query::{finish_shares, parse, plan, secure};
use crate::records::version::VersionKey;

const HOSPITALS: [&str; 3] = ["A", "B", "C"];
const FLOOR: u32 = 5;
const SEED: u64 = 11;

const TABLE: &str = r#"[party]
data_dir = "state"
[[table]]
name = "t"
source = { csv = "data.csv" }
rows_max = 60
[[table.column]]
name = "id"
kind = "identifier"
[[table.column]]
name = "other"
kind = "identifier"
[[table.column]]
name = "age"
kind = "integer"
min = 20
max = 99
[[table.column]]
name = "sex"
kind = "category"
codes = ["F", "M"]
[[table.column]]
name = "size"
kind = "category"
codes = ["L", "M", "S"]
[[table.column]]
name = "died"
kind = "integer"
min = 0
max = 1
[[table.column]]
name = "time"
kind = "integer"
min = 0
max = 7
"#;

/// Forty patients of a hospital: of the women one in each hospital is of size L.
fn csv(hospital: usize) -> String {
    let row = |k: usize| {
        let sex = if k.is_multiple_of(2) { "F" } else { "M" };
        let size = match (sex, k % 5) {
            ("F", _) if k == 4 => "L",
            ("F", n) => ["S", "M"][n % 2],
            (_, 0 | 1) => "L",
            (_, 2) => "M",
            _ => "S",
        };
        let (age, died, time) =
            (25 + (k * 13 + hospital * 5) % 60, usize::from((k * 7 + hospital) % 10 < 4), k % 8);
        // Every fourth patient is known to two hospitals.
        let id = if k.is_multiple_of(4) { format!("shared-{k}") } else { format!("{hospital}-{k}") };
        format!("{id},x-{k},{age},{sex},{size},{died},{time}\n")
    };
    std::iter::once("id,other,age,sex,size,died,time\n".to_owned()).chain((0..40).map(row)).collect()
}

struct Consortium {
    _folders: Vec<tempfile::TempDir>,
    data: Vec<LocalData>,
    catalogue: Catalogue,
}

fn consortium() -> Consortium {
    let (mut folders, mut data) = (Vec::new(), Vec::new());
    for hospital in 0..3 {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("data.csv"), csv(hospital)).unwrap();
        let config = PartyConfig::from_text(TABLE, &folder.path().join("party.toml"));
        data.push(
            LocalData::open(&config.unwrap_or_else(|e| panic!("{e}")), VersionKey::from_bytes(&[7; 32]))
                .unwrap_or_else(|e| panic!("{e}")),
        );
        folders.push(folder);
    }
    let publications = HOSPITALS.iter().zip(&data).map(|(name, data)| {
        ((*name).to_owned(), data.publication(name, FLOOR).unwrap_or_else(|e| panic!("{e}")))
    });
    let hospitals = publications.collect();
    let catalogue =
        Catalogue { consortium: "test".into(), floor: FLOOR, rounding: false, hospitals, compute: vec![] };
    Consortium { _folders: folders, data, catalogue }
}

/// The hospitals of a test answer a program at once; every node draws the same shares, as only a test may.
struct Answering<'a> {
    consortium: &'a Consortium,
    plan: &'a Plan,
    role: Role,
    number: u64,
}

impl Iterate for Answering<'_> {
    fn sums(&mut self, item: usize, coefficients: &[f64], words: usize) -> Result<Held, Problem> {
        self.number += 1;
        let mut total: Option<Held> = None;
        for (data, name) in self.consortium.data.iter().zip(HOSPITALS) {
            let local = Local::of(self.plan, data, (name, item))?;
            let ring = local.sums(self.plan, coefficients)?;
            assert_eq!(ring.len(), words);
            let mut rng = chacha20::ChaCha20Rng::seed_from_u64(self.number);
            let words = Words { ring, bits: Vec::new() };
            let dealt = input::deal(b"sums", &words, &mut rng);
            let package = &dealt.packages[self.role.index()];
            let held = input::take((b"sums", self.role), words.shape(), package, &dealt.commitments).unwrap();
            match &mut total {
                Some(total) => total.join(held),
                None => total = Some(held),
            }
        }
        total.ok_or_else(|| Problem::internal(&"no hospital"))
    }
}

impl Consortium {
    fn plan(&self, sql: &str) -> Plan {
        let hospitals: Vec<String> = HOSPITALS.map(str::to_owned).to_vec();
        let protocol = ProtocolInfo {
            profile: "default-8192".into(),
            key_holders: hospitals,
            threshold: 3,
            degree: 8192,
            log2_t: 104,
            ciphertext_bytes: 442_368,
        };
        let asked =
            Asked { participation: Participation::All, route: Route::MultiParty, purpose: None, study: None };
        let query = parse(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
        plan(&query, &self.catalogue, &protocol, asked).unwrap_or_else(|e| panic!("{sql}: {e}"))
    }

    /// What each node ends with, whether anything was tampered with, and how many messages each node sent.
    fn run(&self, plan: &Plan, tamper: Option<Tamper>) -> (bool, [Result<Opened, Problem>; 3], [usize; 3]) {
        let outcome = self.outcome(plan, tamper);
        let sent = Role::ALL.map(|role| outcome.transcript.iter().filter(|c| c.from == role).count() - 2);
        let results =
            outcome.results.map(|result| result.unwrap_or_else(|e| panic!("a node did not start: {e}")));
        (outcome.is_tampered, results, sent)
    }

    fn outcome(&self, plan: &Plan, tamper: Option<Tamper>) -> sim::Outcome<Result<Opened, Problem>> {
        let mut held: [Option<Held>; 3] = [None, None, None];
        for (data, name) in self.data.iter().zip(HOSPITALS) {
            let (words, _) = words_of(plan, data, name).unwrap_or_else(|e| panic!("{e:?}"));
            assert_eq!(words.shape(), shape_of(plan, name).unwrap());
            let mut rng = chacha20::ChaCha20Rng::seed_from_u64(7);
            let dealt = input::deal(name.as_bytes(), &words, &mut rng);
            for (role, held) in Role::ALL.into_iter().zip(&mut held) {
                let place = (name.as_bytes(), role);
                let taken =
                    input::take(place, words.shape(), &dealt.packages[role.index()], &dealt.commitments);
                let taken = taken.unwrap();
                match held {
                    Some(held) => held.join(taken),
                    None => *held = Some(taken),
                }
            }
        }
        let world = World::new(SEED).with_transcript();
        let world = match tamper {
            Some(tamper) => world.tampering(tamper),
            None => world,
        };
        let held = held.map(|held| held.unwrap());
        world.run(held, |session: &mut Session<'_, Malicious>, held| {
            let mut hospitals = Answering { consortium: self, plan, role: session.role(), number: 0 };
            Ok(program::run(session, plan, (held, &plan.hospitals), &mut hospitals))
        })
    }

    fn ask(&self, sql: &str) -> Answer {
        let plan = self.plan(sql);
        let (_, nodes, _) = self.run(&plan, None);
        let words = opened(nodes.map(|node| node.unwrap_or_else(|e| panic!("{sql}: {e:?}"))));
        finish_shares(&plan, &words, &plan.hospitals).unwrap_or_else(|e| panic!("{sql}: {e}"))
    }
}

/// What the researcher opens, from nodes that agree.
fn opened(nodes: [Opened; 3]) -> Vec<u64> {
    for i in 0..3 {
        assert!(nodes[i].next == nodes[(i + 1) % 3].own, "nodes hold different components");
    }
    let [a, b, c] = &nodes;
    a.own.iter().zip(&b.own).zip(&c.own).map(|((a, b), c)| a.wrapping_add(*b).wrapping_add(*c)).collect()
}

/// The counts of a table of `sex` by `size`, in the clear, in the order of the answer.
fn table() -> Vec<u64> {
    let text: String = (0..3).map(csv).collect();
    let count = |sex: &str, size: &str| text.matches(&format!(",{sex},{size},")).count() as u64;
    ["F", "M"].iter().flat_map(|sex| ["L", "M", "S"].map(|size| count(sex, size))).collect()
}

fn counts(answer: &Answer, column: usize) -> Vec<Option<u64>> {
    let value = |value: &Value| match value {
        Value::Count { value } => Some(*value),
        Value::Suppressed => None,
        other => panic!("{other:?}"),
    };
    answer.rows.iter().map(|row| value(&row.values[column].value)).collect()
}

#[test]
fn one_small_cell_takes_the_smallest_cells_of_its_row_and_column_with_it() {
    let cells = table();
    assert_eq!(cells[0], 3, "the planted cell is below the floor: {cells:?}");
    assert!(cells[1..].iter().all(|cell| *cell >= 5));
    let found = counts(&consortium().ask("SELECT COUNT(*) FROM t GROUP BY sex, size"), 0);
    let suppressed: Vec<usize> = (0..6).filter(|cell| found[*cell].is_none()).collect();
    // The second of the row is the one whose column is smallest, and the other row loses the same two.
    let column = if cells[1] + cells[4] <= cells[2] + cells[5] { 1 } else { 2 };
    assert_eq!(suppressed, [0, column, 3, 3 + column]);
    for (cell, found) in found.iter().enumerate().filter(|(_, found)| found.is_some()) {
        assert_eq!(*found, Some(cells[cell]));
    }
}

#[test]
fn groups_that_a_count_suppresses_are_suppressed_in_tables_and_quantiles() {
    let consortium = consortium();
    let sql = "SELECT COUNT(*), TOPK(size, 3), MEDIAN(age) FROM t WHERE size = 'L' GROUP BY sex";
    let answer = consortium.ask(sql);
    // Three women are too few; the men are the only other group, so that the total does not give them back.
    assert_eq!(counts(&answer, 0), [None, None]);
    for row in &answer.rows {
        assert_eq!(row.values[1].value, Value::Suppressed);
        assert_eq!(row.values[2].value, Value::Suppressed);
    }
    // Nothing of it is in the words that the researcher opens.
    let plan = consortium.plan(sql);
    let words = opened(consortium.run(&plan, None).1.map(|node| node.unwrap()));
    assert!(words.iter().all(|word| *word == 0), "{words:?}");
}

#[test]
fn several_distinct_counts_stand_in_one_query() {
    let answer = consortium().ask("SELECT COUNT(DISTINCT id), COUNT(*), COUNT(DISTINCT other) FROM t");
    let text: String = (0..3).map(csv).collect();
    let ids: std::collections::BTreeSet<&str> = text
        .lines()
        .filter(|line| !line.starts_with("id,"))
        .filter_map(|line| line.split(',').next())
        .collect();
    assert_eq!(
        [0, 1, 2].map(|column| counts(&answer, column)[0]),
        [Some(ids.len() as u64), Some(120), Some(40)]
    );
}

#[test]
fn a_linear_model_is_for_the_researcher_alone() {
    let consortium = consortium();
    let sql = "SELECT LINREG(age, died, time) FROM t";
    let Value::Model(model) = &consortium.ask(sql).rows[0].values[0].value else { panic!("no model") };
    assert_eq!((model.n, model.terms.len()), (120, 3));
    // The same from sums, which the tests of regressions hold against the oracle.
    let Value::Suppressed = &consortium.ask(&format!("{sql} WHERE age < 26")).rows[0].values[0].value else {
        panic!("a model of few rows")
    };
    // Constant in all rows that count: no unique model.
    let Value::Undefined { .. } = &consortium.ask(&format!("{sql} WHERE died = 1")).rows[0].values[0].value
    else {
        panic!("a model of a constant column")
    };
}

#[test]
fn more_words_than_a_hospital_may_put_in_are_refused_and_the_hospital_is_named() {
    let mut plan = consortium().plan("SELECT COUNT(DISTINCT id) FROM t");
    let slots = plan.slots();
    let mut shape_with = |rows: u64, name: &str| {
        plan.multi_party.as_mut().unwrap().rows[0].rows[1] = rows;
        shape_of(&plan, name)
    };
    let most = ((WORDS_MAX - slots) / 2) as u64;
    assert_eq!(shape_with(most, "B").unwrap().bits as u64, 2 * most);
    for rows in [most + 1, WORDS_MAX as u64, (usize::MAX / 2) as u64] {
        let problem = shape_with(rows, "B").unwrap_err();
        assert_eq!(problem.code, "mpc.input", "{rows}");
        assert!(format!("{problem:?}").contains("\"B\""), "{problem:?}");
        // What another hospital puts in is as it was.
        assert_eq!(shape_with(rows, "A").unwrap().bits, 2 * 60);
    }
    // More than can be counted, and a hospital of another consortium.
    assert!(shape_with(u64::MAX, "B").is_err());
    assert!(shape_with(60, "D").is_err());
}

#[test]
fn an_exact_test_costs_at_most_its_estimate_and_not_far_below() {
    let consortium = consortium();
    for rows_max in [180, 2_000] {
        let mut plan = consortium.plan("SELECT FISHER(sex, died) FROM t WHERE age < 45");
        assert_eq!(plan.multi_party.as_ref().unwrap().rows_max, 3 * 60);
        plan.multi_party.as_mut().unwrap().rows_max = rows_max;
        let estimate = secure::estimate(&plan).unwrap();
        let outcome = consortium.outcome(&plan, None);
        for counters in &outcome.counters {
            let cost = counters.total();
            let found = format!("{rows_max} rows: {cost:?}, {estimate:?}");
            assert!(cost.rounds <= estimate.rounds && 2 * cost.rounds >= estimate.rounds, "{found}");
            assert!(cost.bytes_sent <= estimate.bytes && 4 * cost.bytes_sent >= estimate.bytes, "{found}");
        }
    }
}

/// A query for every program.
const QUERIES: [&str; 12] = [
    "SELECT COUNT(*), AVG(age) FROM t GROUP BY sex, size",
    "SELECT SUM(died), HISTOGRAM(age, 20, 100, 4) FROM t GROUP BY sex",
    "SELECT MEDIAN(age), QUANTILE(age, 0.9) FROM t GROUP BY sex",
    "SELECT TOPK(size, 2) FROM t",
    "SELECT COUNT(DISTINCT id) FROM t",
    "SELECT CHI2(sex, died), CHI2(size, died) FROM t",
    "SELECT FISHER(sex, died) FROM t WHERE age < 45",
    "SELECT TTEST(age, sex) FROM t",
    "SELECT LOG_RANK(time, died, sex) FROM t",
    "SELECT LINREG(age, died) FROM t",
    "SELECT LOGIT(died, age) FROM t",
    "SELECT COX(time, died, age) FROM t",
];

#[test]
fn a_malicious_node_is_noticed_in_every_program_and_nothing_is_released() {
    let consortium = consortium();
    let mut rng = chacha20::ChaCha20Rng::seed_from_u64(SEED);
    for sql in QUERIES {
        let plan = consortium.plan(sql);
        let (_, honest, sent) = consortium.run(&plan, None);
        let honest = opened(honest.map(|node| node.unwrap_or_else(|e| panic!("{sql}: {e:?}"))));
        let answer = finish_shares(&plan, &honest, &plan.hospitals).unwrap_or_else(|e| panic!("{sql}: {e}"));
        let is_shown =
            |row: &crate::query::answer::Row| row.values.iter().any(|c| c.value != Value::Suppressed);
        assert!(answer.rows.iter().any(is_shown), "{sql}: {answer:?}");
        for culprit in Role::ALL {
            let n = (rng.next_u64() % sent[culprit.index()] as u64) as usize;
            let (at, change) = (rng.next_u64(), (rng.next_u64() % 255) as u8 + 1);
            let rewrite = move |bytes: &mut Vec<u8>| {
                let at = (at % bytes.len().max(1) as u64) as usize;
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= change;
                }
            };
            let change = Change::Rewrite(Arc::new(rewrite));
            let (is_tampered, nodes, _) =
                consortium.run(&plan, Some(Tamper { party: culprit, at: At::Nth(n), change }));
            assert!(is_tampered, "{sql}: message {n} of {culprit:?}");
            let others: Vec<&Result<Opened, Problem>> =
                Role::ALL.iter().filter(|r| **r != culprit).map(|r| &nodes[r.index()]).collect();
            let failures: Vec<&Problem> = others.iter().filter_map(|node| node.as_ref().err()).collect();
            assert!(
                failures.iter().all(|p| p.code == "mpc.check" || p.code == "mpc.channel"),
                "{sql}: {failures:?}"
            );
            if failures.is_empty() {
                // A message of which its receiver makes nothing: the result is what it was.
                assert_eq!(
                    opened(nodes.map(|node| node.unwrap())),
                    honest,
                    "{sql}: {culprit:?}, message {n}"
                );
            }
        }
    }
}
