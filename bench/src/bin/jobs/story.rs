//! The three jobs, their data, and how each is measured.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::Value as Json;
use ward_bench::synth::{Cohort, SEED};

use crate::clear::{self, Source, Wanted};
use crate::report::{Figures, JobFigures};
use crate::world::{Run, World};
use crate::{Options, Result, yardstick};

/// The floor that `ward engine init` sets.
const FLOOR: i128 = 5;
const SYNTH_HOSPITALS: u64 = 5;

/// Measures every job that was asked for.
///
/// # Errors
/// When data cannot be written, or a process fails.
pub fn all(options: &Options, dir: &Path) -> Result<Figures> {
    let is_wanted = |name: &str| options.job.as_deref().is_none_or(|wanted| wanted == name);
    let mut figures = Figures { load: load(), ..Figures::default() };
    std::fs::create_dir_all(dir)?;
    let dir = dir.canonicalize()?;
    figures.sync_ms = yardstick::sync_ms(&dir)?;
    if is_wanted("count") || is_wanted("survival") {
        let dir = dir.join("breast");
        let (hospitals, sources) = breast(&dir)?;
        let world = World::start(&options.ward, &dir, &hospitals)?;
        if is_wanted("count") {
            figures.jobs.push(measure(&world, &count(&sources), options.runs)?);
        }
        if is_wanted("survival") {
            figures.jobs.push(measure(&world, &survival(&sources), options.runs)?);
        }
    }
    if is_wanted("synth") {
        let dir = dir.join("synth");
        let (hospitals, sources) = synth(&dir, options.rows)?;
        let world = World::start(&options.ward, &dir, &hospitals)?;
        figures.jobs.push(measure(&world, &groups(&sources, options.rows), options.runs)?);
    }
    if figures.jobs.is_empty() {
        return Err("no job of that name: count, survival, synth".into());
    }
    Ok(figures)
}

/// The load of the last minute, which says how far the times can be trusted.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

/// Says where an answer differs from the clear, in words.
type Differs<'a> = Box<dyn Fn(&Json) -> Vec<String> + 'a>;

/// A question, and the same statistics in the clear.
struct Story<'a> {
    name: &'static str,
    what: String,
    sql: &'static str,
    goal_ms: f64,
    /// Computes in the clear; what it returns holds answers against that.
    clear: Box<dyn Fn() -> Result<Differs<'a>> + 'a>,
}

fn measure(world: &World, story: &Story<'_>, runs: usize) -> Result<JobFigures> {
    let mut clear_ms = f64::INFINITY;
    let mut differs: Option<Differs<'_>> = None;
    for _ in 0..3 {
        let begin = Instant::now();
        differs = Some((story.clear)()?);
        clear_ms = clear_ms.min(begin.elapsed().as_secs_f64() * 1e3);
    }
    let differs = differs.ok_or("not computed in the clear")?;
    let first = world.submit(story.sql)?;
    let mut wrong: BTreeSet<String> = differs(&first.answer).into_iter().collect();
    let before = world.cpu_seconds();
    let mut measured: Vec<Run> = Vec::new();
    for _ in 0..runs {
        measured.push(world.submit(story.sql)?);
    }
    let cpu_seconds = (world.cpu_seconds() - before) / runs as f64;
    for run in &measured {
        wrong.extend(differs(&run.answer));
    }
    if let Err(error) = world.verify() {
        wrong.insert(error.to_string());
    }
    let mut peaks = world.peaks();
    peaks.push(("client".to_owned(), measured.iter().map(|run| run.client_peak_bytes).max().unwrap_or(0)));
    let bytes = first.bytes.map_or(0.0, |(from, to)| from + to);
    Ok(JobFigures {
        name: story.name,
        what: story.what.clone(),
        goal_ms: story.goal_ms,
        first_ms: first.total_ms,
        runs: measured,
        cpu_seconds,
        bytes,
        clear_ms,
        loopback_ms: yardstick::loopback_ms(bytes as usize)?,
        peaks,
        wrong: wrong.into_iter().collect(),
    })
}

fn count(sources: &[Source]) -> Story<'_> {
    Story {
        name: "count",
        what: "COUNT, AVG; 4 hospitals, 3,668 rows".to_owned(),
        sql: "SELECT COUNT(*), AVG(age) FROM breast",
        goal_ms: 1000.0,
        clear: Box::new(move || {
            let cells = clear::moments(sources, &[], &["age"])?;
            let wanted = [Wanted::Count, Wanted::Mean(1)];
            Ok(Box::new(move |answer: &Json| clear::differs(answer, &cells, &wanted, FLOOR)))
        }),
    }
}

fn survival(sources: &[Source]) -> Story<'_> {
    Story {
        name: "survival",
        what: "KAPLAN_MEIER; 4 hospitals, 3,668 patients".to_owned(),
        sql: "SELECT KAPLAN_MEIER(rtime, recur) FROM breast",
        goal_ms: 2000.0,
        clear: Box::new(move || {
            let steps = clear::survival(sources, "rtime", "recur")?;
            Ok(Box::new(move |answer: &Json| clear::curve_differs(answer, &steps)))
        }),
    }
}

fn groups(sources: &[Source], rows: u64) -> Story<'_> {
    Story {
        name: "synth",
        what: format!("COUNT, AVG, VAR by sex, dx; {SYNTH_HOSPITALS} hospitals x {rows} rows"),
        sql: "SELECT COUNT(*), AVG(bmi_x10), VAR(bmi_x10), AVG(hba1c), VAR(hba1c) FROM synth GROUP BY sex, dx",
        goal_ms: 5000.0,
        clear: Box::new(move || {
            let cells = clear::moments(sources, &["sex", "dx"], &["bmi_x10", "hba1c"])?;
            use Wanted::{Count, Mean, Variance};
            let wanted = [Count, Mean(1), Variance(1), Mean(2), Variance(2)];
            Ok(Box::new(move |answer: &Json| clear::differs(answer, &cells, &wanted, FLOOR)))
        }),
    }
}

type Hospitals = (Vec<(String, PathBuf)>, Vec<Source>);

/// The hospitals of `examples/breast`, with their state in `dir`.
fn breast(dir: &Path) -> Result<Hospitals> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").canonicalize()?;
    let (mut hospitals, mut sources) = (Vec::new(), Vec::new());
    std::fs::create_dir_all(dir)?;
    for (letter, file) in
        [("A", "hospital_A"), ("B", "hospital_B"), ("C", "hospital_C"), ("D", "hospital_D_other_schema")]
    {
        let hospital = format!("hospital-{}", letter.to_lowercase());
        let text = std::fs::read_to_string(examples.join("breast").join(format!("{letter}.toml")))?;
        let text = text
            .replace("../../target/breast/", &format!("{}/", dir.join("state").display()))
            .replace("../data/", &format!("{}/", examples.join("data").display()));
        let config = dir.join(format!("{letter}.toml"));
        std::fs::write(&config, text)?;
        let path = examples.join("data/breast").join(format!("{file}.csv"));
        let renamed =
            if letter == "D" { vec![("rtime", "rfstime"), ("recur", "status")] } else { Vec::new() };
        sources.push(Source { hospital: hospital.clone(), path, renamed });
        hospitals.push((hospital, config));
    }
    Ok((hospitals, sources))
}

/// Five hospitals with that many consecutive rows each of the synthetic cohort.
fn synth(dir: &Path, rows: u64) -> Result<Hospitals> {
    let cohort = Cohort::new(SEED);
    let (mut hospitals, mut sources) = (Vec::new(), Vec::new());
    std::fs::create_dir_all(dir)?;
    for index in 0..SYNTH_HOSPITALS {
        let hospital = format!("hospital-{}", index + 1);
        let path = dir.join(format!("{hospital}.csv"));
        let mut out = BufWriter::new(std::fs::File::create(&path)?);
        cohort.write_csv(&mut out, index * rows + 1..=(index + 1) * rows, |_| true)?;
        out.into_inner()?.sync_all()?;
        let config = dir.join(format!("{hospital}.toml"));
        std::fs::write(&config, synth_toml(dir, &hospital, rows)?)?;
        sources.push(Source { hospital: hospital.clone(), path, renamed: Vec::new() });
        hospitals.push((hospital, config));
    }
    Ok((hospitals, sources))
}

fn synth_toml(dir: &Path, hospital: &str, rows: u64) -> Result<String> {
    let state = dir.join("state").join(hospital);
    let csv = dir.join(format!("{hospital}.csv"));
    let mut text = format!(
        "[party]\ndata_dir = {state:?}\n\n[[table]]\nname = \"synth\"\nsource = {{ csv = {csv:?} }}\npatient = \"id\"\n\
         rows_max = {rows}\n"
    );
    for (name, codes) in [("sex", r#"["F", "M"]"#), ("dx", r#"["E11", "I10", "J44", "C50", "K21", "Z00"]"#)] {
        write!(text, "\n[[table.column]]\nname = \"{name}\"\nkind = \"category\"\ncodes = {codes}\n")?;
    }
    for (name, min, max) in [
        ("age", 18, 90),
        ("bmi_x10", 150, 600),
        ("sbp", 80, 240),
        ("diabetes", 0, 1),
        ("hba1c", 20, 150),
        ("smoker", 0, 1),
        ("treat", 0, 1),
        ("time", 1, 3000),
        ("event", 0, 1),
    ] {
        write!(
            text,
            "\n[[table.column]]\nname = \"{name}\"\nkind = \"integer\"\nmin = {min}\nmax = {max}\n"
        )?;
    }
    Ok(text)
}
