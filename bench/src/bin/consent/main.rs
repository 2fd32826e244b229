//! What consent costs: changes taken in and decisions made over a million artefacts, against a hash map, and the local
//! step with its gate and without, over 200,000 rows; and the guard that holds answers against each other. Figures are CPU time, because the machine is shared.
//!
//! `cargo run --release -p ward-bench --bin consent [ARTEFACTS] [ROWS]`

mod guard;

use std::collections::HashMap;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use cpu_time::{ProcessTime, ThreadTime};
use sha2::{Digest as _, Sha256};
use ward_bench::cpu::least_seconds;
use ward_bench::synth::{Cohort, HEADER, SEED};
use ward_circuits::field::Element;
use ward_engine::consent::{
    Index, Pseudonym, PseudonymKey, Purpose, Question, Regime, Roots, Rule, Scope, Status, Validity,
};
use ward_engine::party::consent::ConsentGate;
use ward_engine::party::local::config::PartyConfig;
use ward_engine::party::local::data::LocalData;
use ward_engine::party::local::gate::RowGate as _;
use ward_engine::party::local::step;
use ward_engine::query::catalogue::Catalogue;
use ward_engine::query::plan::{Participation, Plan, ProtocolInfo};
use ward_engine::records::version::VersionKey;

type Failure = Box<dyn std::error::Error>;

const NOW_MS: u64 = 1_795_305_600_000;
/// Rounds of the local step.
const ROUNDS: usize = 21;
/// Changes of one round: a second's worth.
const CHANGES: usize = 10_000;
const QUERY: &str = "SELECT sex, COUNT(*), AVG(hba1c), STDDEV(sbp) FROM synth WHERE age >= 40 GROUP BY sex";

fn main() -> Result<(), Failure> {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<usize>());
    let artefacts = numbers.next().transpose()?.unwrap_or(1_000_000);
    let rows = numbers.next().transpose()?.unwrap_or(200_000);
    check(artefacts);
    tree(artefacts.min(100_000))?;
    guard::guard(rows);
    local_step(rows)
}

fn pseudonym(number: u64) -> Pseudonym {
    Pseudonym(Sha256::digest(number.to_le_bytes()).into())
}

/// A dozen forms of consent.
fn form(number: usize) -> Rule {
    let classes = ["labs", "conditions", "imaging"][..1 + number % 3].iter().map(|c| (*c).to_owned());
    let purpose = ["DUO:0000042", "DUO:0000006"][number / 3 % 2];
    let scope = Scope {
        classes: if number.is_multiple_of(2) { classes.collect() } else { Default::default() },
        purposes: Purpose::parse(purpose).into_iter().collect(),
        ..Scope::default()
    };
    Rule { scope, ..Rule::default() }
}

fn index(artefacts: usize) -> Index {
    let forms: Vec<Rule> = (0..12).map(form).collect();
    let mut index = Index::default();
    for i in 0..artefacts {
        let (number, validity) =
            (i as u64 + 1, Validity { from_ms: None, until_ms: Some(NOW_MS + i as u64) });
        let rule = (&forms[i % forms.len()], validity);
        index.apply((number, number), pseudonym(number), rule, Status::Granted);
    }
    index
}

fn question() -> Question {
    Question { grantees: vec!["ada".into()], purpose: Purpose::HEALTH_RESEARCH, classes: vec!["labs".into()] }
}

/// CPU seconds of this thread.
fn spent<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let start = ThreadTime::now();
    let done = work();
    (start.elapsed().as_secs_f64(), done)
}

fn check(artefacts: usize) {
    let (load, index) = spent(|| index(artefacts));
    println!("index: {artefacts} artefacts taken in, {:.2} us each", load / artefacts as f64 * 1e6);
    // Looked up in an order that is not that of the table.
    let count = artefacts.min(1_000_000);
    let asked: Vec<Pseudonym> =
        (0..count).map(|i| pseudonym((i as u64).wrapping_mul(7_919) % artefacts as u64 + 1)).collect();
    let plain: HashMap<[u8; 32], u64> = (1..=artefacts as u64).map(|i| (pseudonym(i).0, i)).collect();
    let mut index = Arc::new(index);
    let (hash_map, found) = spent(|| asked.iter().filter(|who| plain.contains_key(&who.0)).count());
    let lens = index.lens(Regime::OptIn, &question(), NOW_MS);
    let (decided, permitted) = spent(|| asked.iter().filter(|who| lens.decide(who).permitted).count());
    println!(
        "decision: {:.0} ns, look-up in a hash map {:.0} ns, ratio {:.2} ({permitted} of {found} permitted)",
        decided / count as f64 * 1e9,
        hash_map / count as f64 * 1e9,
        decided / hash_map
    );
    drop(lens);
    let forms: Vec<Rule> = (0..12).map(form).collect();
    let statuses = [Status::Revoked, Status::Granted];
    let (rounds, mut total, mut lookups) = (10, 0.0, 0.0);
    for round in 0..rounds {
        let chosen = &asked[round * CHANGES % count.saturating_sub(CHANGES).max(1)..];
        let chosen = &chosen[..CHANGES.min(chosen.len())];
        let numbers: Vec<u64> = chosen.iter().map(|who| plain[&who.0]).collect();
        let (seconds, _) = spent(|| {
            let changed = Arc::make_mut(&mut index);
            for (who, number) in chosen.iter().zip(&numbers) {
                let rule = (&forms[(*number as usize - 1) % forms.len()], Validity::default());
                let change = (artefacts + round * CHANGES) as u64 + number;
                changed.apply((change, *number), *who, rule, statuses[round % 2]);
            }
            let lens = index.lens(Regime::OptIn, &question(), NOW_MS);
            chosen.iter().filter(|who| lens.decide(who).permitted).count()
        });
        total += seconds;
        lookups += spent(|| chosen.iter().filter(|who| plain.contains_key(&who.0)).count()).0;
    }
    let changes = (rounds * CHANGES.min(count)) as f64;
    println!(
        "changes: {:.0} a CPU second, each taken in and decided again; ratio to a look-up {:.1}",
        changes / total,
        total / lookups
    );
}

fn tree(artefacts: usize) -> Result<(), Failure> {
    let index = index(artefacts);
    let (made, roots) = spent(|| Roots::new(&index, &Element::from(1u64)));
    let mut roots = roots?;
    println!("tree: {artefacts} artefacts in {made:.1} s, {:.0} us each", made / artefacts as f64 * 1e6);
    let changed: Vec<Pseudonym> = (1..=1000.min(artefacts as u64)).map(pseudonym).collect();
    let (updated, done) = spent(|| roots.update(&index, &changed, &Element::from(2u64)));
    done?;
    println!("tree: {} changes in {:.0} ms", changed.len(), updated * 1e3);
    Ok(())
}

/// Three rows a patient, as in laboratory values.
fn cohort(folder: &Path, rows: usize) -> Result<PartyConfig, Failure> {
    let cohort = Cohort::new(SEED);
    let mut csv = std::io::BufWriter::new(std::fs::File::create(folder.join("synth.csv"))?);
    writeln!(csv, "pid,{HEADER}")?;
    for i in 0..rows as u64 {
        let row = cohort.row(i + 1);
        let or = |value: Option<i64>| value.map(|value| value.to_string()).unwrap_or_default();
        writeln!(
            csv,
            "p-{},{},{},{},{},{},{},{},{},{},{},{},{},{}",
            i / 3,
            row.id,
            row.hospital,
            row.sex,
            row.age,
            or(row.bmi_x10),
            row.sbp,
            row.diabetes,
            or(row.hba1c),
            row.smoker,
            row.treat,
            row.dx,
            row.time,
            row.event
        )?;
    }
    csv.flush()?;
    let number = |name: &str, min: i64, max: i64| {
        format!("[[table.column]]\nname = \"{name}\"\nkind = \"integer\"\nmin = {min}\nmax = {max}\n")
    };
    let text = format!(
        "[party]\ndata_dir = \"state\"\n[[table]]\nname = \"synth\"\nsource = {{ csv = \"synth.csv\" }}\n\
         rows_max = 1000000\npatient = \"pid\"\ndata_class = \"labs\"\n\
         [[table.column]]\nname = \"sex\"\nkind = \"category\"\ncodes = [\"F\", \"M\"]\n{}{}{}",
        number("age", 0, 120),
        number("hba1c", 20, 150),
        number("sbp", 80, 240)
    );
    Ok(PartyConfig::from_text(&text, &folder.join("party.toml"))?)
}

fn plan(data: &LocalData) -> Result<Plan, Failure> {
    let publication = data.publication("h1", 5)?;
    let hospitals = [("h1".to_owned(), publication)].into();
    let catalogue =
        Catalogue { consortium: "bench".into(), floor: 5, rounding: false, hospitals, compute: Vec::new() };
    let protocol = ProtocolInfo {
        profile: "default-8192".into(),
        key_holders: vec!["h1".into()],
        threshold: 1,
        degree: 8192,
        log2_t: 104,
        ciphertext_bytes: 442_368,
    };
    let query = ward_engine::query::parse(QUERY)?;
    Ok(ward_engine::query::plan(&query, &catalogue, &protocol, Participation::All)?)
}

fn local_step(rows: usize) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let open = LocalData::open(&cohort(folder.path(), rows)?, VersionKey::from_bytes(&[9; 32]))?;
    let plan = plan(&open)?;
    let key = PseudonymKey::from_bytes(&[7; 32]);
    let mut index = Index::default();
    let rule = form(1);
    for i in 0..rows as u64 / 3 + 1 {
        let Some(who) = key.pseudonym(&format!("p-{i}")) else { continue };
        let status = if i % 10 == 0 { Status::Revoked } else { Status::Granted };
        index.apply((i + 1, i + 1), who, (&rule, Validity::default()), status);
    }
    let mut index = Arc::new(index);
    let asked = |index: &Arc<Index>| index.lens(Regime::OptIn, &question(), NOW_MS);
    let patients = ConsentGate::new(asked(&index), key.clone());
    let run = |data: &LocalData| -> Result<f64, Failure> {
        let start = ProcessTime::now();
        step::run(&plan, data, "h1", 5)?;
        Ok(start.elapsed().as_secs_f64())
    };
    let through = |lens| open.through(Arc::new(patients.again(lens)));
    let first = run(&through(asked(&index)))?;
    run(&open)?;
    let (mut without, mut fresh, mut second) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS as u64 {
        without.push(run(&open)?);
        // A hundred patients change their word, and a query comes that nobody asked before; then it comes again.
        let said = Arc::make_mut(&mut index);
        for i in (0..100).map(|i| (round * 7_919 + i * 601) % (rows as u64 / 3)) {
            let Some(who) = key.pseudonym(&format!("p-{i}")) else { continue };
            let status = if round % 2 == 0 { Status::Revoked } else { Status::Granted };
            said.apply((rows as u64 + round, i + 1), who, (&rule, Validity::default()), status);
        }
        let start = ProcessTime::now();
        let data = through(asked(&index));
        let asking = start.elapsed().as_secs_f64();
        fresh.push(asking + run(&data)?);
        without.push(run(&open)?);
        second.push(run(&through(asked(&index)))?);
    }
    let gate = patients.again(asked(&index));
    let reading = open.reading("synth")?;
    let asking = least_seconds(ROUNDS, || gate.admit(&reading).is_ok());
    let median = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        (times[0], times[times.len() / 2])
    };
    let (open_ms, fresh_ms, second_ms) = (median(&mut without), median(&mut fresh), median(&mut second));
    println!("local step over {rows} rows, least and median of {ROUNDS}:");
    println!("  without consent {:.1} and {:.1} ms", open_ms.0 * 1e3, open_ms.1 * 1e3);
    for (name, (least, middle)) in [("after 100 changes", fresh_ms), ("again, unchanged", second_ms)] {
        let more = |with: f64, without: f64| (with / without - 1.0) * 100.0;
        println!(
            "  {name} {:.1} and {:.1} ms: {:+.1}% and {:+.1}%",
            least * 1e3,
            middle * 1e3,
            more(least, open_ms.0),
            more(middle, open_ms.1)
        );
    }
    println!("  of it, asking for each patient and each row: {:.2} ms", asking * 1e3);
    println!("  the first time, every pseudonym made, {:.0} ms", first * 1e3);
    Ok(())
}
