//! Statistics from sums with noise: point estimates, and how far the noise may have moved them.
//!
//! Everything here is arithmetic on released numbers, which costs no privacy. Counts below zero are shown as zero; a
//! count under the floor is shown as suppressed, and what is made of it too, because it would be noise for the most part.
//! Intervals are of the noise alone: they hold the statistic over the rows, not over a population. Ratios by the delta
//! method.

use super::super::answer::{Crosstab, Guarantee, Histogram, NoiseOf, Value};
use super::super::ast::{Item, Statistic};
use super::super::catalogue::Column;
use super::super::needs::{Need, need};
use super::super::plan::{Content, Factor, Mechanism, Plan, Privacy, Split};
use super::sums::{Result, Sums, inconsistent};
use super::tails::Z_975;
use super::undefined;

/// Two-sided 95% of Laplace noise, in deviations: ln 20 / sqrt 2. Sums of several lie below.
const LAPLACE_975: f64 = 2.118_304_1;

/// The sums of a plan with noise.
pub(super) struct Noisy<'a> {
    sums: &'a Sums<'a>,
    privacy: &'a Privacy,
    hospitals: f64,
}

/// A noisy number with the deviation of its noise.
#[derive(Clone, Copy)]
struct Estimate {
    value: f64,
    sd: f64,
}

impl<'a> Noisy<'a> {
    /// None where the plan has no noise.
    pub fn of(sums: &'a Sums<'a>, participants: usize) -> Option<Self> {
        let privacy = sums.plan.privacy.as_ref()?;
        Some(Self { sums, privacy, hospitals: participants as f64 })
    }

    fn plan(&self) -> &'a Plan {
        self.sums.plan
    }

    fn block(&self, need: &Need, product: &[Factor]) -> Result<usize> {
        let by = need.by();
        let found = self.plan().blocks.iter().position(|block| match &block.content {
            Content::Measure(m) => m.product == product && m.by == by && m.cases == need.stratum.cases,
            _ => false,
        });
        found.ok_or_else(|| inconsistent("a block is missing"))
    }

    /// The deviation of the noise in the slots of a block, in fixed point.
    fn deviation(&self, block: usize) -> Result<f64> {
        let noise = self.privacy.noise.get(block).ok_or_else(|| inconsistent("a block without noise"))?;
        Ok(noise.deviation(self.privacy.mechanism) * self.hospitals.sqrt())
    }

    fn estimates(&self, need: &Need, product: &[Factor], cell: usize) -> Result<Vec<Estimate>> {
        let block = self.block(need, product)?;
        let sd = self.deviation(block)?;
        let slots = self.sums.slots_of(block, cell)?;
        Ok(slots.iter().map(|slot| Estimate { value: *slot as f64, sd }).collect())
    }

    fn estimate(&self, need: &Need, product: &[Factor], cell: usize) -> Result<Estimate> {
        let all = self.estimates(need, product, cell)?;
        all.first().copied().ok_or_else(|| inconsistent("a slot is missing"))
    }

    fn factor(&self) -> f64 {
        match self.privacy.mechanism {
            Mechanism::Gaussian => Z_975,
            Mechanism::Laplace => LAPLACE_975,
        }
    }

    /// A value within what it can be.
    fn shown(&self, estimate: Estimate, power: i32, (low, high): (f64, f64)) -> Value {
        let unit = 10f64.powi(-power);
        let half = self.factor() * estimate.sd;
        let clamp = |x: f64| (x * unit).clamp(low, high);
        Value::Noisy {
            value: clamp(estimate.value),
            sd: estimate.sd * unit,
            ci95: [clamp(estimate.value - half), clamp(estimate.value + half)],
        }
    }

    fn is_small(&self, count: f64) -> bool {
        count < f64::from(self.plan().floor.max(1)) && self.plan().floor > 1
    }

    /// A count as it is shown: at least zero, suppressed under the floor.
    fn count(&self, estimate: Estimate) -> Option<u64> {
        (!self.is_small(estimate.value)).then(|| estimate.value.max(0.0) as u64)
    }

    /// A statistic in a group cell.
    ///
    /// # Errors
    /// [`Inconsistent`](super::super::QueryError::Inconsistent) for sums of another shape than the plan's.
    pub fn value(&self, statistic: &Statistic, need: &Need, cell: usize) -> Result<Value> {
        let column =
            |name: &String| self.plan().column(name).ok_or_else(|| inconsistent("a column is missing"));
        match statistic {
            Statistic::CountRows | Statistic::Count(_) => {
                let n = self.estimate(need, &[], cell)?;
                if self.is_small(n.value) {
                    return Ok(Value::Suppressed);
                }
                Ok(self.shown(n, 0, (0.0, f64::INFINITY)))
            }
            Statistic::Sum(x) => self.sum(need, column(x)?, cell),
            Statistic::Avg(x) => self.mean(need, column(x)?, cell),
            Statistic::Var(x) => self.variance(need, column(x)?, (cell, false)),
            Statistic::Stddev(x) => self.variance(need, column(x)?, (cell, true)),
            Statistic::Histogram { column: x, .. } => self.histogram(need, column(x)?, cell),
            Statistic::Crosstab { .. } => self.crosstab(need, cell),
            other => Err(inconsistent(format!("{} has no form with noise", other.canonical()))),
        }
    }

    fn moments(&self, need: &Need, column: &Column, cell: usize) -> Result<Option<(Estimate, Estimate)>> {
        let n = self.estimate(need, &[], cell)?;
        if self.is_small(n.value) || n.value < 1.0 {
            return Ok(None);
        }
        Ok(Some((n, self.estimate(need, &[Factor::Value(column.name.clone())], cell)?)))
    }

    fn sum(&self, need: &Need, column: &Column, cell: usize) -> Result<Value> {
        let Some((_, sum)) = self.moments(need, column, cell)? else { return Ok(Value::Suppressed) };
        Ok(self.shown(sum, i32::from(column.digits), (f64::NEG_INFINITY, f64::INFINITY)))
    }

    fn mean(&self, need: &Need, column: &Column, cell: usize) -> Result<Value> {
        let Some((n, sum)) = self.moments(need, column, cell)? else { return Ok(Value::Suppressed) };
        let mean = sum.value / n.value;
        let sd = sum.sd.hypot(mean * n.sd) / n.value;
        let unit = 10f64.powi(-i32::from(column.digits));
        let bounds = (column.min as f64 * unit, column.max as f64 * unit);
        Ok(self.shown(Estimate { value: mean, sd }, i32::from(column.digits), bounds))
    }

    fn variance(&self, need: &Need, column: &Column, (cell, is_root): (usize, bool)) -> Result<Value> {
        let Some((n, sum)) = self.moments(need, column, cell)? else { return Ok(Value::Suppressed) };
        if n.value < 2.0 {
            return Ok(undefined("there are fewer than two values"));
        }
        let factor = Factor::Value(column.name.clone());
        let product = if column.is_indicator() { vec![factor] } else { vec![factor.clone(), factor] };
        let squares = self.estimate(need, &product, cell)?;
        let (mean, others) = (sum.value / n.value, n.value - 1.0);
        let variance = (squares.value - sum.value * mean) / others;
        // Derivatives by the sum of squares, the sum and the count.
        let by =
            [squares.sd / others, 2.0 * mean * sum.sd / others, (mean * mean - variance) * n.sd / others];
        let sd = by.iter().fold(0.0f64, |all, part| all.hypot(*part));
        let digits = i32::from(column.digits);
        // Popoviciu: no variance of bounded values exceeds a quarter of the range squared; times n / (n - 1).
        let range = (column.max as f64 - column.min as f64) * 10f64.powi(-digits);
        let most = range * range / 4.0 * n.value / others;
        if !is_root {
            return Ok(self.shown(Estimate { value: variance, sd }, 2 * digits, (0.0, most)));
        }
        if variance <= 0.0 {
            return Ok(undefined("the noise exceeds the variance"));
        }
        let value = variance.sqrt();
        Ok(self.shown(Estimate { value, sd: sd / (2.0 * value) }, digits, (0.0, most.sqrt())))
    }

    fn histogram(&self, need: &Need, column: &Column, cell: usize) -> Result<Value> {
        let [Split::Bins { edges, .. }] = need.stratum.by.as_slice() else {
            return Err(inconsistent("no bins"));
        };
        let estimates = self.estimates(need, &[], cell)?;
        let mut counts: Vec<Option<u64>> = estimates.into_iter().map(|e| self.count(e)).collect();
        if counts.len() != edges.len() + 1 || edges.len() < 2 {
            return Err(inconsistent("the bins do not fit their edges"));
        }
        let above = counts.pop().flatten();
        let below = counts.remove(0);
        let unit = 10f64.powi(i32::from(column.digits));
        Ok(Value::Histogram(Histogram {
            column: column.name.clone(),
            unit: column.unit.clone(),
            edges: edges.iter().map(|edge| *edge as f64 / unit).collect(),
            counts,
            below,
            above,
        }))
    }

    /// The counts; no test, whose distribution the noise changes.
    fn crosstab(&self, need: &Need, cell: usize) -> Result<Value> {
        let [Split::Codes { codes: rows, .. }, Split::Codes { codes: columns, .. }] =
            need.stratum.by.as_slice()
        else {
            return Err(inconsistent("no table"));
        };
        let counts: Vec<Option<u64>> =
            self.estimates(need, &[], cell)?.into_iter().map(|e| self.count(e)).collect();
        Ok(Value::Crosstab(Box::new(Crosstab {
            rows: rows.clone(),
            columns: columns.clone(),
            table: counts.chunks(columns.len().max(1)).map(<[_]>::to_vec).collect(),
            expected: Vec::new(),
            chi2: None,
            odds_ratio: None,
        })))
    }
}

/// What a plan promises with its noise, for the answer.
///
/// # Errors
/// As [`need`].
pub(in super::super) fn guarantee(plan: &Plan, participants: usize) -> Result<Option<Guarantee>> {
    let Some(privacy) = &plan.privacy else { return Ok(None) };
    let mut noise = Vec::new();
    for item in &plan.query.items {
        let Item::Aggregate { statistic, label } = item else { continue };
        let by = need(statistic, &plan.columns)?;
        for (block, of) in plan.blocks.iter().zip(&privacy.noise) {
            let Content::Measure(measure) = &block.content else { continue };
            if measure.by != by.by()
                || measure.cases != by.stratum.cases
                || !by.products.contains(&measure.product)
            {
                continue;
            }
            let (mut digits, mut names) = (0i32, Vec::new());
            for factor in &measure.product {
                let (Factor::Value(name) | Factor::Level { column: name, .. }) = factor;
                digits += plan.column(name).map_or(0, |c| i32::from(c.digits));
                names.push(name.as_str());
            }
            let what =
                if names.is_empty() { "count".to_owned() } else { format!("sum of {}", names.join(" * ")) };
            let sd = of.deviation(privacy.mechanism) * (participants as f64).sqrt() * 10f64.powi(-digits);
            noise.push(NoiseOf { heading: label.clone(), what, sd });
        }
    }
    Ok(Some(Guarantee {
        mechanism: privacy.mechanism,
        epsilon: privacy.asked.epsilon_nano as f64 / 1e9,
        delta: privacy.asked.delta_atto as f64 / 1e18,
        honest: privacy.asked.honest,
        rho: privacy.rho_nano as f64 / 1e9,
        rows_per_patient: privacy.rows_per_patient,
        noise,
    }))
}
