//! Regressions against the oracle, over real tables split among hospitals.
#![expect(clippy::unwrap_used, reason = "tests say what went wrong by where they panic")]

mod oracle;

use std::cell::Cell;
use std::collections::HashMap;

use oracle::{answer, breast, table};
use rand_core::Rng;
use ward_protocols::mpc::gates::open::open;
use ward_protocols::mpc::programs::ProgramError;
use ward_protocols::mpc::programs::regression::cox::{self, CoxGrid};
use ward_protocols::mpc::programs::regression::linear::{self, Line, Verdict};
use ward_protocols::mpc::programs::regression::local::{Rows, linear_sums, logit_sums};
use ward_protocols::mpc::programs::regression::local_cox::{Survival, cox_sums};
use ward_protocols::mpc::programs::regression::{Fit, Hospitals, Model, Scaling, logistic};
use ward_protocols::mpc::shares::RingShares;
use ward_protocols::mpc::{self, Malicious, Role, Security, SemiHonest, Session};
use ward_protocols::sim::{World, share_ring};

type Row = HashMap<String, String>;

/// Rows of one hospital: scaled covariates and the outcome.
struct Site {
    covariates: Vec<f64>,
    columns: usize,
    outcome: Vec<f64>,
}

/// Three hospitals that sum over their rows; each node keeps its share of the total. Every node computes the sums of all
/// hospitals here and shares them by the same generator: only the tests may.
struct Sites<'a> {
    role: Role,
    sites: &'a [Site],
    rows_max: u64,
    calls: Cell<u64>,
}

impl<S: Security> Hospitals<S> for Sites<'_> {
    fn sums(
        &mut self,
        session: &mut Session<'_, S>,
        iteration: usize,
        beta: &[f64],
    ) -> mpc::Result<RingShares> {
        assert_eq!(self.calls.replace(self.calls.get() + 1), iteration as u64);
        assert_eq!(session.role(), self.role);
        let mut total: Option<RingShares> = None;
        for (k, site) in self.sites.iter().enumerate() {
            let rows = Rows { covariates: &site.covariates, columns: site.columns, rows_max: self.rows_max };
            let outcome: Vec<bool> = site.outcome.iter().map(|y| *y > 0.5).collect();
            let sums = logit_sums(rows, &outcome, beta).unwrap();
            let mut rng = World::new(1000 * iteration as u64 + k as u64).rng();
            let share = share_ring(&sums, &mut rng)[self.role.index()].clone();
            total = Some(match total {
                Some(total) => total.add(&share)?,
                None => share,
            });
        }
        Ok(total.unwrap())
    }
}

fn sites(
    rows: &[Row],
    columns: &[(&str, Scaling)],
    outcome: impl Fn(&Row) -> f64,
    count: usize,
) -> Vec<Site> {
    let mut sites: Vec<Site> = (0..count)
        .map(|_| Site { covariates: Vec::new(), columns: columns.len(), outcome: Vec::new() })
        .collect();
    for (k, row) in rows.iter().enumerate() {
        let site = &mut sites[k % count];
        let scaled = columns.iter().map(|(name, s)| s.apply(row[*name].parse().unwrap()).unwrap());
        site.covariates.extend(scaled);
        site.outcome.push(outcome(row));
    }
    sites
}

fn scaling(min: f64, max: f64) -> Scaling {
    Scaling::from_bounds(min, max).unwrap()
}

struct Run {
    fits: Vec<(Vec<f64>, Vec<f64>, usize)>,
    rounds: u64,
    bytes: u64,
}

fn fit_logistic<S: Security>(sites: &[Site], model: &Model) -> Result<Run, ProgramError> {
    let world = World::new(42);
    let outcome = world.run::<S, _, _>(Role::ALL, |session, role| {
        let mut hospitals = Sites { role, sites, rows_max: model.rows_max, calls: Cell::new(0) };
        let fitted: Result<Fit, ProgramError> = logistic::fit(session, model, &mut hospitals);
        Ok(match fitted {
            Err(error) => Err(error),
            Ok(fit) => {
                let errors = fit.variances.open(&mut session.narrow("release"))?;
                Ok((fit.coefficients, errors, fit.iterations))
            }
        })
    });
    let total =
        |f: fn(&mpc::counters::Cost) -> u64| outcome.counters.iter().map(|c| f(&c.total())).max().unwrap();
    let (rounds, bytes) = (total(|c| c.rounds), total(|c| c.bytes_sent));
    let fits: Result<Vec<_>, _> = outcome.all().into_iter().collect();
    Ok(Run { fits: fits?, rounds, bytes })
}

/// Greatest relative difference of coefficients and standard errors from the oracle's.
fn distance(run: &Run, set: &str, path: &str, names: &[&str]) -> f64 {
    let expected = answer(set, &[path]);
    let mut worst: f64 = 0.0;
    for (coefficients, errors, _) in &run.fits {
        for (j, name) in names.iter().enumerate() {
            for (found, key) in [(coefficients[j], "coef"), (errors[j], "se")] {
                let expected = expected[key][*name].as_f64().unwrap();
                worst = worst.max((found / expected - 1.0).abs());
            }
        }
    }
    worst
}

fn logit_breast() -> (Vec<Site>, Model) {
    let columns = [
        ("age", scaling(0.0, 120.0)),
        ("nodes", scaling(0.0, 60.0)),
        ("hormon", scaling(0.0, 1.0)),
        ("chemo", scaling(0.0, 1.0)),
        ("grade", scaling(1.0, 3.0)),
    ];
    let sites = sites(&breast(), &columns, |row| row["death"].parse().unwrap(), 3);
    let scalings = columns.iter().map(|(_, s)| *s).collect();
    (sites, Model { scalings, rows_max: 30_000, floor: 10, iterations_max: 25 })
}

#[test]
fn logistic_regression_of_death_equals_the_oracle() {
    let (sites, model) = logit_breast();
    let run = fit_logistic::<SemiHonest>(&sites, &model).unwrap();
    let worst =
        distance(&run, "breast", "logit_death", &["const", "age", "nodes", "hormon", "chemo", "grade"]);
    println!("breast: {} iterations, {} rounds, {} bytes, {worst:.1e}", run.fits[0].2, run.rounds, run.bytes);
    assert!(worst < 1e-7, "{worst:e}");
}

#[test]
fn logistic_regression_of_a_rare_outcome_equals_the_oracle() {
    let rows: Vec<Row> =
        table(&["nafld/subjects.csv"]).into_iter().filter(|row| !row["bmi"].is_empty()).collect();
    let columns = [("age", scaling(0.0, 120.0)), ("male", scaling(0.0, 1.0)), ("bmi", scaling(5.0, 100.0))];
    let sites = sites(&rows, &columns, |row| row["status"].parse().unwrap(), 5);
    let scalings = columns.iter().map(|(_, s)| *s).collect();
    let model = Model { scalings, rows_max: 1_000_000, floor: 10, iterations_max: 25 };
    let run = fit_logistic::<SemiHonest>(&sites, &model).unwrap();
    let worst = distance(&run, "nafld", "logit_status", &["const", "age", "male", "bmi"]);
    println!("nafld: {} iterations, {} rounds, {} bytes, {worst:.1e}", run.fits[0].2, run.rounds, run.bytes);
    assert!(worst < 1e-7, "{worst:e}");
}

fn fit_linear<S: Security>(sites: &[Site], model: &Model, outcome: Scaling) -> mpc::Result<Verdict> {
    let world = World::new(43);
    let mut sums = vec![0u64; 0];
    for site in sites {
        let rows = Rows { covariates: &site.covariates, columns: site.columns, rows_max: model.rows_max };
        let y: Vec<f64> = site.outcome.iter().map(|y| outcome.apply(*y).unwrap()).collect();
        let local = linear_sums(rows, &y).unwrap();
        sums.resize(local.len(), 0);
        sums.iter_mut().zip(local).for_each(|(sum, x)| *sum = sum.wrapping_add(x));
    }
    let inputs = share_ring(&sums, &mut world.rng());
    let run = world.run::<S, _, _>(inputs, |session, sums| {
        let fitted = match linear::fit(&mut session.narrow("fit"), model, &sums) {
            Ok(fitted) => fitted,
            Err(ProgramError::Mpc(error)) => return Err(error),
            Err(other) => panic!("{other}"),
        };
        open(&mut session.narrow("release"), &fitted)
    });
    let cost = run.counters[0].total();
    println!("linear: {} rounds, {} bytes", cost.rounds, cost.bytes_sent);
    let [words, ..] = run.results;
    let words = words?;
    let verdict = Verdict::decode(&model.scalings, outcome, &words).unwrap();
    if !matches!(verdict, Verdict::Line(_)) {
        assert!(words[1..].iter().all(|word| *word == 0), "an answer beside a verdict that there is none");
    }
    Ok(verdict)
}

fn line_of<S: Security>(sites: &[Site], model: &Model, outcome: Scaling) -> Line {
    match fit_linear::<S>(sites, model, outcome) {
        Ok(Verdict::Line(line)) => line,
        other => panic!("{other:?}"),
    }
}

fn ols_nodes() -> (Vec<Site>, Model) {
    let mut rows = breast();
    for row in &mut rows {
        let size = row["size"].clone();
        row.insert("size_20_50".into(), u8::from(size == "20-50").to_string());
        row.insert("size_gt50".into(), u8::from(size == ">50").to_string());
    }
    let one = scaling(0.0, 1.0);
    let columns =
        [("age", scaling(0.0, 120.0)), ("grade", scaling(1.0, 3.0)), ("size_20_50", one), ("size_gt50", one)];
    let sites = sites(&rows, &columns, |row| row["nodes"].parse().unwrap(), 3);
    let scalings = columns.iter().map(|(_, s)| *s).collect();
    (sites, Model { scalings, rows_max: 30_000, floor: 10, iterations_max: 1 })
}

fn compare_line(line: &Line, set: &str, path: &str, names: &[&str]) -> f64 {
    let expected = answer(set, &[path]);
    let mut worst = (line.residual_variance / expected["sigma2"].as_f64().unwrap() - 1.0).abs();
    for (j, name) in names.iter().enumerate() {
        let (b, se) = (expected["coef"][*name].as_f64().unwrap(), expected["se"][*name].as_f64().unwrap());
        worst = worst.max((line.coefficients[j] / b - 1.0).abs());
        worst = worst.max((line.standard_errors[j] / se - 1.0).abs());
    }
    worst
}

#[test]
fn linear_regression_of_positive_nodes_equals_the_oracle() {
    let (sites, model) = ols_nodes();
    let line = line_of::<SemiHonest>(&sites, &model, scaling(0.0, 60.0));
    let worst =
        compare_line(&line, "breast", "ols_nodes", &["const", "age", "grade", "size_20_50", "size_gt50"]);
    println!("ols_nodes {worst:.1e}");
    assert!(worst < 1e-7, "{worst:e}");
}

#[test]
fn linear_regression_with_loose_bounds_equals_the_oracle() {
    let rows: Vec<Row> =
        table(&["nafld/subjects.csv"]).into_iter().filter(|row| !row["bmi"].is_empty()).collect();
    let columns = [("age", scaling(0.0, 200.0)), ("male", scaling(0.0, 1.0))];
    let sites = sites(&rows, &columns, |row| row["bmi"].parse().unwrap(), 5);
    let scalings = columns.iter().map(|(_, s)| *s).collect();
    let model = Model { scalings, rows_max: 10_000_000, floor: 10, iterations_max: 1 };
    let line = line_of::<SemiHonest>(&sites, &model, scaling(0.0, 500.0));
    let worst = compare_line(&line, "nafld", "ols_bmi", &["const", "age", "male"]);
    println!("ols_bmi {worst:.1e}");
    assert!(worst < 1e-6, "{worst:e}");
}

#[test]
fn regressions_in_malicious_sessions_equal_the_oracle_too() {
    let (sites, model) = logit_breast();
    let run = fit_logistic::<Malicious>(&sites, &model).unwrap();
    let worst =
        distance(&run, "breast", "logit_death", &["const", "age", "nodes", "hormon", "chemo", "grade"]);
    println!("breast, malicious: {} rounds, {} bytes, {worst:.1e}", run.rounds, run.bytes);
    assert!(worst < 1e-7, "{worst:e}");
    let (sites, model) = ols_nodes();
    let line = line_of::<Malicious>(&sites, &model, scaling(0.0, 60.0));
    let worst =
        compare_line(&line, "breast", "ols_nodes", &["const", "age", "grade", "size_20_50", "size_gt50"]);
    assert!(worst < 1e-7, "{worst:e}");
}

/// Rows of two covariates in [0, 1], of which the second is a function of the first, and an outcome.
fn made_up(n: usize, second: impl Fn(f64) -> f64, outcome: impl Fn(usize, f64) -> f64) -> (Vec<Site>, Model) {
    let unit = scaling(0.0, 1.0);
    let mut site = Site { covariates: Vec::new(), columns: 2, outcome: Vec::new() };
    for k in 0..n {
        let x = (k * 37 % 101) as f64 / 100.0;
        site.covariates.extend([unit.apply(x).unwrap(), unit.apply(second(x)).unwrap()]);
        site.outcome.push(outcome(k, x));
    }
    (vec![site], Model { scalings: vec![unit; 2], rows_max: 1000, floor: 5, iterations_max: 15 })
}

/// People of one hospital, and where each one's observation ends.
struct CoxSite {
    site: Site,
    times: Vec<usize>,
}

struct CoxSites<'a> {
    role: Role,
    sites: &'a [CoxSite],
    rows_max: u64,
    grid: usize,
}

impl<S: Security> Hospitals<S> for CoxSites<'_> {
    fn sums(&mut self, _: &mut Session<'_, S>, iteration: usize, beta: &[f64]) -> mpc::Result<RingShares> {
        let mut total: Vec<u64> = Vec::new();
        for CoxSite { site, times } in self.sites {
            let rows = Rows { covariates: &site.covariates, columns: site.columns, rows_max: self.rows_max };
            let events: Vec<bool> = site.outcome.iter().map(|y| *y > 0.5).collect();
            let people = Survival { rows, times, events: &events, grid: self.grid };
            let sums = cox_sums(people, beta).unwrap();
            total.resize(sums.len(), 0);
            total.iter_mut().zip(sums).for_each(|(total, x)| *total = total.wrapping_add(x));
        }
        let mut rng = World::new(77 + iteration as u64).rng();
        Ok(share_ring(&total, &mut rng)[self.role.index()].clone())
    }
}

/// Splits people among hospitals, on the grid of all days on which one of them has an event.
fn cox_sites(
    rows: &[Row],
    columns: &[(&str, Scaling)],
    (time, event): (&str, &str),
) -> (Vec<CoxSite>, usize) {
    let day = |row: &Row| row[time].parse::<u32>().unwrap();
    let days: Vec<u32> = rows
        .iter()
        .filter(|row| row[event] == "1")
        .map(day)
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect();
    // Who leaves between two days of the grid was last at risk on the one before; before the first, never.
    let kept: Vec<Row> = rows.iter().filter(|row| day(row) >= days[0]).cloned().collect();
    let split = sites(&kept, columns, |row| row[event].parse().unwrap(), 3);
    let mut out: Vec<CoxSite> = split.into_iter().map(|site| CoxSite { site, times: Vec::new() }).collect();
    for (k, row) in kept.iter().enumerate() {
        out[k % 3].times.push(days.partition_point(|d| *d <= day(row)) - 1);
    }
    (out, days.len())
}

fn fit_cox<S: Security>(sites: &[CoxSite], model: &Model, grid: CoxGrid) -> Result<Run, ProgramError> {
    let world = World::new(44);
    let outcome = world.run::<S, _, _>(Role::ALL, |session, role| {
        let mut hospitals = CoxSites { role, sites, rows_max: model.rows_max, grid: grid.points };
        Ok(match cox::fit(session, (model, grid), &mut hospitals) {
            Err(error) => Err(error),
            Ok(fit) => {
                let errors = fit.variances.open(&mut session.narrow("release"))?;
                Ok((fit.coefficients, errors, fit.iterations))
            }
        })
    });
    let cost = outcome.counters[0].total();
    let fits: Result<Vec<_>, _> = outcome.all().into_iter().collect();
    Ok(Run { fits: fits?, rounds: cost.rounds, bytes: cost.bytes_sent })
}

#[test]
fn cox_regression_of_death_equals_the_oracle() {
    let mut rows = breast();
    for row in &mut rows {
        let size = row["size"].clone();
        row.insert("size_20_50".into(), u8::from(size == "20-50").to_string());
        row.insert("size_gt50".into(), u8::from(size == ">50").to_string());
    }
    let one = scaling(0.0, 1.0);
    let columns = [
        ("age", scaling(0.0, 120.0)),
        ("meno", one),
        ("size_20_50", one),
        ("size_gt50", one),
        ("grade", scaling(1.0, 3.0)),
        ("nodes", scaling(0.0, 60.0)),
        ("hormon", one),
        ("chemo", one),
    ];
    let (sites, points) = cox_sites(&rows, &columns, ("dtime", "death"));
    let scalings = columns.iter().map(|(_, s)| *s).collect();
    let model = Model { scalings, rows_max: 30_000, floor: 10, iterations_max: 25 };
    let run = fit_cox::<SemiHonest>(&sites, &model, CoxGrid { points, ties_max: 5 }).unwrap();
    let mut worst: f64 = 0.0;
    for (coefficients, errors, _) in &run.fits {
        for (j, (name, _)) in columns.iter().enumerate() {
            for (found, key) in [(coefficients[j], "coef"), (errors[j], "se")] {
                let expected = oracle::number("breast", &["cox", "efron_statsmodels", key, name]);
                worst = worst.max((found / expected - 1.0).abs());
            }
        }
    }
    println!(
        "cox breast: {points} times, {} iterations, {} rounds, {} bytes, {worst:.1e}",
        run.fits[0].2, run.rounds, run.bytes
    );
    assert!(worst < 1e-6, "{worst:e}");
}

#[test]
fn cox_regression_of_a_cohort_equals_the_oracle_up_to_its_own_precision() {
    let rows: Vec<Row> =
        table(&["nafld/subjects.csv"]).into_iter().filter(|row| !row["bmi"].is_empty()).collect();
    let columns = [("age", scaling(0.0, 120.0)), ("male", scaling(0.0, 1.0)), ("bmi", scaling(5.0, 100.0))];
    let (sites, points) = cox_sites(&rows, &columns, ("futime", "status"));
    let scalings = columns.iter().map(|(_, s)| *s).collect();
    let model = Model { scalings, rows_max: 100_000, floor: 10, iterations_max: 25 };
    let error = fit_cox::<SemiHonest>(&sites, &model, CoxGrid { points, ties_max: 1 }).err();
    assert_eq!(error, Some(ProgramError::TooManyTies { ties_max: 1 }));
    let run = fit_cox::<SemiHonest>(&sites, &model, CoxGrid { points, ties_max: 5 }).unwrap();
    let mut worst: f64 = 0.0;
    for (j, (name, _)) in columns.iter().enumerate() {
        for (found, key) in [(run.fits[0].0[j], "coef"), (run.fits[0].1[j], "se")] {
            let expected = oracle::number("nafld", &["cox", "efron_statsmodels", key, name]);
            worst = worst.max((found / expected - 1.0).abs());
        }
    }
    println!(
        "cox nafld: {points} times, {} iterations, {} rounds, {} bytes, {worst:.1e}",
        run.fits[0].2, run.rounds, run.bytes
    );
    assert!(worst < 1e-6, "{worst:e}");
}

#[test]
fn linearly_dependent_covariates_are_refused() {
    let (sites, model) = made_up(200, |x| x, |k, _| f64::from(u8::from(k % 3 == 0)));
    assert!(matches!(fit_linear::<SemiHonest>(&sites, &model, scaling(0.0, 1.0)), Ok(Verdict::Singular)));
    // Logistic regression never divides by what is not there: it settles, and then says so.
    let error = fit_logistic::<SemiHonest>(&sites, &model).err();
    assert!(matches!(error, Some(ProgramError::Singular | ProgramError::NotConverged { .. })), "{error:?}");
}

#[test]
fn an_outcome_that_a_covariate_separates_does_not_converge() {
    let (sites, model) = made_up(200, |x| (7.0 * x).fract(), |_, x| f64::from(u8::from(x > 0.5)));
    let error = fit_logistic::<SemiHonest>(&sites, &model).err();
    assert!(matches!(error, Some(ProgramError::NotConverged { .. } | ProgramError::Singular)), "{error:?}");
}

#[test]
fn classes_below_the_floor_are_suppressed() {
    for (n, positives) in [(4, 2), (200, 4), (200, 196)] {
        let (sites, model) = made_up(n, |x| (7.0 * x).fract(), |k, _| f64::from(u8::from(k < positives)));
        assert_eq!(
            fit_logistic::<SemiHonest>(&sites, &model).err(),
            Some(ProgramError::Suppressed { floor: 5 })
        );
    }
    let (sites, model) = made_up(4, |x| (7.0 * x).fract(), |_, x| x);
    assert_eq!(fit_linear::<SemiHonest>(&sites, &model, scaling(0.0, 1.0)), Ok(Verdict::Suppressed));
}

#[test]
fn sums_of_another_shape_are_refused() {
    let (sites, mut model) = made_up(50, |x| x, |_, x| x);
    model.scalings.push(scaling(0.0, 1.0));
    assert!(fit_linear::<SemiHonest>(&sites, &model, scaling(0.0, 1.0)).is_err());
    model.scalings.clear();
    assert!(fit_linear::<SemiHonest>(&sites, &model, scaling(0.0, 1.0)).is_err());
}

#[test]
fn a_thousand_rows_of_ten_covariates_converge_within_the_budget() {
    let mut rng = World::new(10).rng();
    let mut uniform = || (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
    let unit = scaling(-1.0, 1.0);
    let mut site = Site { covariates: Vec::new(), columns: 10, outcome: Vec::new() };
    for _ in 0..1000 {
        let row: Vec<f64> = (0..10)
            .map(|k| if k % 2 == 0 { 2.0 * uniform() - 1.0 } else { f64::from(u8::from(uniform() < 0.3)) })
            .collect();
        let eta: f64 = row.iter().enumerate().map(|(k, x)| x * (k as f64 - 4.0) / 5.0).sum();
        site.covariates.extend(row);
        site.outcome.push(f64::from(u8::from(uniform() < 1.0 / (1.0 + (-eta).exp()))));
    }
    let model = Model { scalings: vec![unit; 10], rows_max: 1000, floor: 10, iterations_max: 25 };
    let sites = [site];
    let semi_honest = fit_logistic::<SemiHonest>(&sites, &model).unwrap();
    let malicious = fit_logistic::<Malicious>(&sites, &model).unwrap();
    for (run, name) in [(&semi_honest, "semi-honest"), (&malicious, "malicious")] {
        println!(
            "1,000 x 10, {name}: {} iterations, {} rounds, {} bytes",
            run.fits[0].2, run.rounds, run.bytes
        );
    }
    assert!(semi_honest.rounds < 300 && semi_honest.bytes < 1_000_000);
    assert!(malicious.rounds < 500 && malicious.bytes < 2_000_000);
    assert_eq!(semi_honest.fits[0].0.len(), 11);
    for (a, b) in semi_honest.fits[0].0.iter().zip(&malicious.fits[0].0) {
        assert!((a - b).abs() < 1e-8);
    }
}
