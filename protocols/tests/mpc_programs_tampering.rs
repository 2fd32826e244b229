//! A malicious node in every program that a query can ask for: a random byte of a random message, from a seed. None yields
//! another output. `WARD_TAMPER_RUNS` sets the number of runs (200 by default, 1,000 before a release).
#![expect(clippy::unwrap_used, reason = "tests say what went wrong by where they panic")]

use std::collections::BTreeSet;
use std::sync::Arc;

use rand_core::Rng;
use ward_protocols::mpc::error::Result;
use ward_protocols::mpc::gates::convert::{bits_of, inject};
use ward_protocols::mpc::gates::open::open;
use ward_protocols::mpc::programs::quantile::{Quantile, of_histogram, of_rows};
use ward_protocols::mpc::programs::regression::cox::{self, CoxGrid};
use ward_protocols::mpc::programs::regression::local::{Rows, linear_sums, logit_sums};
use ward_protocols::mpc::programs::regression::local_cox::{Survival, cox_sums};
use ward_protocols::mpc::programs::regression::{Fit, Hospitals, Model, Scaling, linear, logistic};
use ward_protocols::mpc::programs::statistics::contingency::{Correction, chi_square, chi_square_2x2};
use ward_protocols::mpc::programs::statistics::fisher::fisher_exact;
use ward_protocols::mpc::programs::statistics::means::{Group, Variances, t_test};
use ward_protocols::mpc::programs::statistics::survival::{RiskTable, log_rank};
use ward_protocols::mpc::programs::top::{Top, codes};
use ward_protocols::mpc::programs::{ProgramError, distinct, floor};
use ward_protocols::mpc::shares::RingShares;
use ward_protocols::mpc::{Malicious, Role, Session};
use ward_protocols::sim::{At, Change, Tamper, World, share_ring};

const SEED: u64 = 20_261_122;
const FLOOR: u64 = 5;

type S<'a, 'b> = &'a mut Session<'b, Malicious>;
type Program = fn(S<'_, '_>, RingShares) -> Result<RingShares>;

fn failed(error: ProgramError) -> ward_protocols::mpc::MpcError {
    match error {
        ProgramError::Mpc(error) => error,
        other => panic!("{other}"),
    }
}

fn small_cells(s: S<'_, '_>, x: RingShares) -> Result<RingShares> {
    let rule = floor::Rule { rows: 3, columns: 4, floor: FLOOR, width: 20, has_margins: true };
    let flags = floor::released(&mut s.narrow("floor"), &x, &rule)?;
    let flags = inject(&mut s.narrow("inject"), &flags)?;
    let kept = floor::keep(&mut s.narrow("keep"), &x, &flags)?;
    Ok(RingShares::concat(&[&flags, &kept]))
}

fn histogram(s: S<'_, '_>, x: RingShares) -> Result<RingShares> {
    let quantile = Quantile { numerator: 250_000, denominator: 1_000_000 };
    let bins = of_histogram(&mut s.narrow("bins"), &x, &[quantile], 20)?;
    Ok(RingShares::concat(&[&bins.lower, &bins.upper, &bins.inverted]))
}

fn rows(s: S<'_, '_>, x: RingShares) -> Result<RingShares> {
    of_rows(&mut s.narrow("rows"), &x, 10, &[3, 4])
}

fn identifiers(s: S<'_, '_>, x: RingShares) -> Result<RingShares> {
    let keys = bits_of(&mut s.narrow("bits"), &x, 62)?;
    let count = keys.planes(0..1);
    distinct::count(&mut s.narrow("count"), &keys, &count)
}

fn frequent(s: S<'_, '_>, x: RingShares) -> Result<RingShares> {
    let found = codes(&mut s.narrow("top"), &x, &Top { codes: 3, floor: FLOOR, width: 20 })?;
    Ok(RingShares::concat(&[&found.codes, &found.counts]))
}

fn quad(x: &RingShares) -> [RingShares; 4] {
    [0, 1, 2, 3].map(|k| x.range(k..k + 1))
}

fn pearson(s: S<'_, '_>, x: RingShares) -> Result<RingShares> {
    Ok(chi_square_2x2(s, &quad(&x), Correction::Yates, FLOOR)?.shares)
}

fn contingency(s: S<'_, '_>, x: RingShares) -> Result<RingShares> {
    Ok(chi_square(s, &x.range(0..6), (2, 3), FLOOR)?.shares)
}

fn fisher(s: S<'_, '_>, x: RingShares) -> Result<RingShares> {
    Ok(fisher_exact(s, &quad(&x), 100, FLOOR)?.shares)
}

fn means(s: S<'_, '_>, x: RingShares) -> Result<RingShares> {
    let group = |k: usize| Group {
        n: x.range(k..k + 1),
        sum: x.range(k + 1..k + 2),
        squares: x.range(k + 2..k + 3).scale(40),
    };
    Ok(t_test(s, &[group(0), group(4)], (Variances::Unequal, 10), FLOOR)?.shares)
}

fn survival(s: S<'_, '_>, x: RingShares) -> Result<RingShares> {
    let at_risk = |k: usize| {
        let backwards = [3, 2, 1, 0];
        x.range(k..k + 4).gather(&backwards).prefix_sums().gather(&backwards)
    };
    let events = |k: usize| RingShares::concat(&[&x.range(k..k + 2), &RingShares::zeros(2)]);
    let table = RiskTable { at_risk: vec![at_risk(0), at_risk(4)], events: vec![events(8), events(10)] };
    Ok(log_rank(s, &table, FLOOR)?.shares)
}

/// Forty made-up people: a covariate, an outcome of reals, of classes, a time.
struct People {
    covariates: Vec<f64>,
    outcome: Vec<f64>,
    classes: Vec<bool>,
    times: Vec<usize>,
}

fn people() -> People {
    let x: Vec<f64> = (0..40).map(|k| f64::from((k * 17 + 3) % 40) / 20.0 - 1.0).collect();
    People {
        outcome: x.iter().enumerate().map(|(k, x)| 0.3 * x + f64::from(k as u32 % 7) / 20.0 - 0.15).collect(),
        classes: x.iter().enumerate().map(|(k, x)| (k * 7 % 11) as f64 / 5.0 - 1.0 < *x).collect(),
        times: (0..40).map(|k| k % 6).collect(),
        covariates: x,
    }
}

fn model() -> Model {
    let unit = Scaling::from_bounds(-1.0, 1.0).unwrap();
    Model { scalings: vec![unit], rows_max: 1_000, floor: FLOOR, iterations_max: 30 }
}

fn of(people: &People) -> Rows<'_> {
    Rows { covariates: &people.covariates, columns: 1, rows_max: 1_000 }
}

fn line(s: S<'_, '_>, _: RingShares) -> Result<RingShares> {
    let people = people();
    let sums = linear_sums(of(&people), &people.outcome).unwrap();
    let mine = share_ring(&sums, &mut World::new(1).rng())[s.role().index()].clone();
    linear::fit(&mut s.narrow("fit"), &model(), &mine).map_err(failed)
}

/// Hospitals that answer as honest ones do; every node draws the same shares, as only a test may.
struct Honest {
    is_cox: bool,
}

impl Hospitals<Malicious> for Honest {
    fn sums(&mut self, s: &mut Session<'_, Malicious>, at: usize, beta: &[f64]) -> Result<RingShares> {
        let people = people();
        let sums = match self.is_cox {
            true => {
                let (times, events) = (people.times.as_slice(), people.classes.as_slice());
                cox_sums(Survival { rows: of(&people), times, events, grid: 6 }, beta).unwrap()
            }
            false => logit_sums(of(&people), &people.classes, beta).unwrap(),
        };
        Ok(share_ring(&sums, &mut World::new(2 + at as u64).rng())[s.role().index()].clone())
    }
}

fn fitted(s: S<'_, '_>, fit: &Fit) -> Result<RingShares> {
    // Coefficients are known to all; the variances are shares.
    let public: Vec<u64> = fit.coefficients.iter().map(|b| b.to_bits()).collect();
    Ok(RingShares::concat(&[&RingShares::public(s.role(), &public), &fit.variances.shares]))
}

fn logit(s: S<'_, '_>, _: RingShares) -> Result<RingShares> {
    let fit = logistic::fit(&mut s.narrow("fit"), &model(), &mut Honest { is_cox: false }).map_err(failed)?;
    fitted(s, &fit)
}

fn hazards(s: S<'_, '_>, _: RingShares) -> Result<RingShares> {
    let grid = CoxGrid { points: 6, ties_max: 8 };
    let fit = cox::fit(&mut s.narrow("fit"), (&model(), grid), &mut Honest { is_cox: true });
    let fit = fit.map_err(failed)?;
    fitted(s, &fit)
}

const PROGRAMS: [(&str, Program); 13] = [
    ("release", small_cells),
    ("quantile by grid", histogram),
    ("quantile by rows", rows),
    ("distinct", identifiers),
    ("top-k", frequent),
    ("chi-square 2 by 2", pearson),
    ("chi-square", contingency),
    ("Fisher", fisher),
    ("t-test", means),
    ("log-rank", survival),
    ("linear regression", line),
    ("logistic regression", logit),
    ("Cox regression", hazards),
];

const VALUES: [u64; 12] = [12, 19, 33, 8, 17, 21, 40, 3, 9, 11, 6, 15];

/// Whether a message was changed, what each node opened, and of every message its sender and length.
type Run = (bool, [Result<Vec<u64>>; 3], Vec<[usize; 2]>);

/// Runs a program as a job does: its output is verified, and opened (by the researcher, elsewhere) only then.
fn run(program: Program, world: &World) -> Run {
    let inputs = share_ring(&VALUES, &mut world.rng());
    let outcome = world.run::<Malicious, _, _>(inputs, |s, x| {
        let out = program(&mut s.narrow("program"), x)?;
        open(&mut s.narrow("output"), &out)
    });
    let sent = outcome.transcript.iter().map(|c| [c.from.index(), c.bytes.len()]).collect();
    (outcome.is_tampered, outcome.results, sent)
}

#[test]
fn no_tampering_of_any_program_yields_another_output() {
    let runs = std::env::var("WARD_TAMPER_RUNS").ok().and_then(|n| n.parse().ok()).unwrap_or(200u64);
    let honest: Vec<(Vec<u64>, [usize; 3])> = PROGRAMS
        .iter()
        .map(|(name, program)| {
            let (_, results, sent) = run(*program, &World::new(SEED).with_transcript());
            let [a, b, c] = results.map(|r| r.unwrap_or_else(|e| panic!("{name}: {e}")));
            assert!(a == b && b == c && a.iter().any(|word| *word != 0), "{name}: {a:?}");
            // The first two messages of a node are those in which it meets the others.
            (a, [0, 1, 2].map(|node| sent.iter().filter(|[from, _]| *from == node).count() - 2))
        })
        .collect();
    let mut rng = World::new(99).rng();
    let (mut seen, mut stopped) = (BTreeSet::new(), 0);
    for seed in 0..runs {
        let which = (seed % PROGRAMS.len() as u64) as usize;
        let ((name, program), (expected, sent)) = (PROGRAMS[which], &honest[which]);
        let culprit = Role::ALL[(rng.next_u64() % 3) as usize];
        let n = (rng.next_u64() % sent[culprit.index()] as u64) as usize;
        let (at, change) = (rng.next_u64(), (rng.next_u64() % 255) as u8 + 1);
        let rewrite = move |bytes: &mut Vec<u8>| {
            let at = (at % bytes.len().max(1) as u64) as usize;
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= change;
            }
        };
        let tamper = Tamper { party: culprit, at: At::Nth(n), change: Change::Rewrite(Arc::new(rewrite)) };
        let (is_tampered, results, _) = run(program, &World::new(SEED).tampering(tamper));
        assert!(is_tampered, "{name}: message {n} of {culprit:?} was not sent");
        for role in Role::ALL.into_iter().filter(|role| *role != culprit) {
            match &results[role.index()] {
                Ok(found) => {
                    assert_eq!(
                        found, expected,
                        "{name}: {role:?} is deceived by {culprit:?}, message {n}, run {seed}"
                    );
                }
                Err(_) => stopped += 1,
            }
        }
        seen.insert(name);
    }
    assert_eq!(seen.len(), PROGRAMS.len().min(runs as usize));
    assert!(stopped as u64 > runs, "only {stopped} honest nodes of {} noticed", 2 * runs);
}
