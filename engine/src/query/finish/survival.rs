//! Survival curves and log-rank tests from risk tables on a public time grid.

use num_bigint::BigUint;

use super::super::answer::{Chi2, KaplanMeier, KmStep, LogRank, Value};
use super::super::catalogue::Column;
use super::super::plan::{Factor, Split};
use super::sums::{Result, View, count, inconsistent};
use super::tails::{Z_975, chi2_upper};
use super::undefined;

/// A survival this near one half is compared exactly.
const MEDIAN_DOUBT: f64 = 1e-9;

/// Patients who leave at each point of the grid, and who of them have the event.
struct RiskTable {
    leaving: Vec<u64>,
    events: Vec<u64>,
}

impl RiskTable {
    /// The tables of all groups of the need, in order.
    fn read(view: &View<'_>, event: &str, points: usize) -> Result<Vec<Self>> {
        let leaving = view.product(&[])?.chunks(points.max(1));
        let events = view.product(&[Factor::Value(event.to_owned())])?.chunks(points.max(1));
        let counts = |slots: &[i128]| slots.iter().map(|slot| count(*slot)).collect::<Result<Vec<u64>>>();
        let table = |(leaving, events)| {
            let (leaving, events): (Vec<u64>, Vec<u64>) = (counts(leaving)?, counts(events)?);
            if events.iter().zip(&leaving).any(|(e, l)| e > l) {
                return Err(inconsistent("more events than patients"));
            }
            let total = leaving.iter().try_fold(0u64, |sum, n| sum.checked_add(*n));
            total.filter(|n| *n < 1 << 53).ok_or_else(|| inconsistent("too many patients"))?;
            Ok(Self { leaving, events })
        };
        leaving.zip(events).map(table).collect()
    }

    fn patients(&self) -> u64 {
        self.leaving.iter().sum()
    }

    fn all_events(&self) -> u64 {
        self.events.iter().sum()
    }
}

fn grid<'a>(view: &'a View<'_>) -> Result<(u32, usize, &'a [Split])> {
    match view.grid() {
        Some(Split::TimeGrid { step, points, .. }) => Ok((*step, *points as usize, view.splits())),
        _ => Err(inconsistent("no time grid")),
    }
}

pub(super) fn kaplan_meier(view: &View<'_>, time: &Column, event: &str) -> Result<Value> {
    let (step, points, _) = grid(view)?;
    let tables = RiskTable::read(view, event, points)?;
    let [table] = tables.as_slice() else { return Err(inconsistent("not one risk table")) };
    let n = table.patients();
    if n == 0 {
        return Ok(undefined("there are no patients"));
    }
    let mut curve = Curve { at_risk: n, survival: 1.0, variance: 0.0, ci95: [1.0, 1.0], product: vec![] };
    let mut steps = Vec::new();
    let mut median = None;
    for (i, (leaving, events)) in table.leaving.iter().zip(&table.events).enumerate() {
        if *leaving == 0 {
            continue;
        }
        let at = i as f64 * f64::from(step);
        let at_risk = curve.at_risk;
        curve.advance(*leaving, *events);
        if median.is_none() && *events > 0 && curve.is_at_most_half() {
            median = Some(at);
        }
        steps.push(KmStep {
            time: at,
            at_risk,
            events: *events,
            censored: leaving - events,
            survival: curve.survival,
            ci95: curve.ci95,
        });
    }
    let unit = time.unit.clone();
    Ok(Value::KaplanMeier(KaplanMeier { n, events: table.all_events(), median, unit, steps }))
}

/// The product-limit estimate so far.
struct Curve {
    at_risk: u64,
    survival: f64,
    /// Greenwood's sum of d / (n (n - d)).
    variance: f64,
    ci95: [f64; 2],
    /// The factors (n - d, n), for comparing with one half exactly.
    product: Vec<(u64, u64)>,
}

impl Curve {
    fn advance(&mut self, leaving: u64, events: u64) {
        if events > 0 {
            let staying = self.at_risk - events;
            self.survival *= staying as f64 / self.at_risk as f64;
            self.product.push((staying, self.at_risk));
            if staying > 0 {
                self.variance += events as f64 / (self.at_risk as f64 * staying as f64);
                // S^exp(+-z se / ln S), the interval of log(-log S).
                let width = (Z_975 * self.variance.sqrt() / -self.survival.ln()).exp();
                self.ci95 = [self.survival.powf(width), self.survival.powf(1.0 / width)];
            } else {
                // At zero the interval is not defined; the last upper bound still holds.
                self.ci95[0] = 0.0;
            }
        }
        self.at_risk -= leaving;
    }

    fn is_at_most_half(&self) -> bool {
        if (self.survival - 0.5).abs() > MEDIAN_DOUBT {
            return self.survival < 0.5;
        }
        let times = |sum: BigUint, n: u64| sum * n;
        let above = self.product.iter().map(|(above, _)| *above).fold(BigUint::from(2u8), times);
        let below = self.product.iter().map(|(_, below)| *below).fold(BigUint::from(1u8), times);
        above <= below
    }
}

pub(super) fn log_rank(view: &View<'_>, event: &str) -> Result<Value> {
    let (_, points, splits) = grid(view)?;
    let [Split::Codes { codes, .. }] = splits else { return Err(inconsistent("no groups")) };
    let tables = RiskTable::read(view, event, points)?;
    let groups: Vec<(&String, RiskTable)> = codes
        .iter()
        .zip(tables)
        .enumerate()
        .filter(|(i, (_, table))| !view.is_suppressed(*i) && table.patients() > 0)
        .map(|(_, group)| group)
        .collect();
    if groups.len() < 2 {
        return Ok(undefined("there are fewer than two groups to compare"));
    }
    let (expected, covariance) = moments(&groups, points);
    let observed: Vec<u64> = groups.iter().map(|(_, t)| t.all_events()).collect();
    let apart: Vec<f64> = observed.iter().zip(&expected).map(|(o, e)| *o as f64 - e).collect();
    let Some(chi2) = quadratic_form(&covariance, &apart) else {
        return Ok(undefined("no event falls where two groups are at risk"));
    };
    let df = u32::try_from(groups.len() - 1).unwrap_or(u32::MAX);
    Ok(Value::LogRank(LogRank {
        groups: groups.iter().map(|(code, _)| (*code).clone()).collect(),
        n: groups.iter().map(|(_, t)| t.patients()).collect(),
        observed,
        expected,
        covariance,
        test: Chi2 { chi2, df, p: chi2_upper(chi2, df) },
    }))
}

/// Expected events and the hypergeometric covariance of observed minus expected.
fn moments(groups: &[(&String, RiskTable)], points: usize) -> (Vec<f64>, Vec<Vec<f64>>) {
    let size = groups.len();
    let mut at_risk: Vec<u64> = groups.iter().map(|(_, t)| t.patients()).collect();
    let mut expected = vec![0.0; size];
    let mut covariance = vec![vec![0.0; size]; size];
    for point in 0..points {
        let n: u64 = at_risk.iter().sum();
        let d: u64 = groups.iter().map(|(_, t)| t.events[point]).sum();
        if d > 0 && n > 0 {
            let (n, d) = (n as f64, d as f64);
            let spread = if n > 1.0 { d * (n - d) / (n - 1.0) / (n * n) } else { 0.0 };
            for g in 0..size {
                let at_g = at_risk[g] as f64;
                expected[g] += d * at_g / n;
                for (h, at_h) in at_risk.iter().enumerate() {
                    let own = if g == h { n } else { 0.0 };
                    covariance[g][h] += spread * at_g * (own - *at_h as f64);
                }
            }
        }
        for ((_, table), left) in groups.iter().zip(&mut at_risk) {
            *left -= table.leaving[point];
        }
    }
    (expected, covariance)
}

/// z' V^- z, with the last group dropped: V has the ones vector in its null space. `None` when what is left is
/// singular.
fn quadratic_form(covariance: &[Vec<f64>], z: &[f64]) -> Option<f64> {
    let size = z.len() - 1;
    let mut rows: Vec<Vec<f64>> =
        (0..size).map(|i| covariance[i][..size].iter().copied().chain([z[i]]).collect()).collect();
    let scale: Vec<f64> = (0..size).map(|i| covariance[i][i]).collect();
    let mut form = 0.0;
    // Cholesky without square roots: V = L D L', so the form is the sum of (L^-1 z)^2 / D.
    for k in 0..size {
        let pivot = rows[k].clone();
        if pivot[k] <= scale[k] * 1e-12 || pivot[k] <= 0.0 {
            return None;
        }
        form += pivot[size] * pivot[size] / pivot[k];
        for row in rows.iter_mut().skip(k + 1) {
            let factor = row[k] / pivot[k];
            for (entry, above) in row.iter_mut().zip(&pivot) {
                *entry -= factor * above;
            }
        }
    }
    Some(form)
}
