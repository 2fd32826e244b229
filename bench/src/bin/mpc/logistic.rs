//! Logistic regression of 1,000 rows on 10 covariates, to convergence: the program whose peers take tens of thousands of
//! rounds. The hospitals' sums enter as shares that all nodes know, which cost what others do.

use ward_protocols::mpc::programs::ProgramError;
use ward_protocols::mpc::programs::regression::local::{Rows, logit_sums};
use ward_protocols::mpc::programs::regression::{Hospitals, Model, Scaling, logistic};
use ward_protocols::mpc::shares::RingShares;
use ward_protocols::mpc::{MpcError, Result, Security, Session, verify};

/// Rows, and covariates of each.
pub const ROWS: usize = 1_000;
const COLUMNS: usize = 10;

/// Digits of a coefficient as the bench compares it.
const DIGITS: f64 = 1e9;

struct Table {
    covariates: Vec<f64>,
    outcome: Vec<bool>,
}

impl Table {
    /// Made up: a linear congruential generator (Knuth's), half the covariates binary.
    fn new() -> Self {
        let mut state = 42u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1u64 << 53) as f64
        };
        let (mut covariates, mut outcome) = (Vec::new(), Vec::new());
        for _ in 0..ROWS {
            let row: Vec<f64> =
                (0..COLUMNS)
                    .map(|column| {
                        if column % 2 == 0 { 2.0 * next() - 1.0 } else { 2.0 * (next() - 0.3).signum() - 1.0 }
                    })
                    .map(|x: f64| x.clamp(-1.0, 1.0))
                    .collect();
            let eta: f64 = row.iter().enumerate().map(|(k, x)| x * (k as f64 - 4.0) / 5.0).sum::<f64>() - 0.5;
            outcome.push(next() < 1.0 / (1.0 + (-eta).exp()));
            covariates.extend(row);
        }
        Self { covariates, outcome }
    }

    fn sums(&self, beta: &[f64]) -> Vec<u64> {
        let rows = Rows { covariates: &self.covariates, columns: COLUMNS, rows_max: ROWS as u64 };
        logit_sums(rows, &self.outcome, beta).unwrap_or_default()
    }

    /// The slope of the likelihood at `beta`, each relative to the rows.
    fn slope(&self, beta: &[f64]) -> f64 {
        let mut slope = vec![0.0; beta.len()];
        for (row, outcome) in self.covariates.chunks_exact(COLUMNS).zip(&self.outcome) {
            let eta = beta[0] + row.iter().zip(&beta[1..]).map(|(x, b)| x * b).sum::<f64>();
            let rest = f64::from(u8::from(*outcome)) - 1.0 / (1.0 + (-eta).exp());
            slope[0] += rest;
            slope[1..].iter_mut().zip(row).for_each(|(sum, x)| *sum += rest * x);
        }
        slope.into_iter().fold(0.0, |most: f64, slope| most.max(slope.abs())) / ROWS as f64
    }
}

impl<S: Security> Hospitals<S> for Table {
    fn sums(&mut self, session: &mut Session<'_, S>, _: usize, beta: &[f64]) -> Result<RingShares> {
        Ok(RingShares::public(session.role(), &Table::sums(self, beta)))
    }
}

/// Fits, and gives the coefficients and the shared variances.
pub fn run<S: Security>(session: &mut Session<'_, S>) -> Result<RingShares> {
    let unit = Scaling::from_bounds(-1.0, 1.0);
    let scalings = vec![unit.ok_or_else(|| failed("a scaling"))?; COLUMNS];
    let model = Model { scalings, rows_max: ROWS as u64, floor: 10, iterations_max: 25 };
    let fit =
        logistic::fit(&mut session.narrow("fit"), &model, &mut Table::new()).map_err(
            |error| match error {
                ProgramError::Mpc(error) => error,
                _ => failed("a fit"),
            },
        )?;
    verify::flush(&mut session.narrow("flush"))?;
    let words: Vec<u64> =
        fit.coefficients.iter().map(|b| ((b * DIGITS).round() as i64).cast_unsigned()).collect();
    Ok(RingShares::concat(&[&RingShares::public(session.role(), &words), &fit.variances.shares]))
}

/// True when the likelihood has no slope at the opened coefficients.
pub fn is_right(opened: &[u64]) -> bool {
    let beta: Vec<f64> =
        opened.iter().take(1 + COLUMNS).map(|word| word.cast_signed() as f64 / DIGITS).collect();
    beta.len() == 1 + COLUMNS && Table::new().slope(&beta) < 1e-8
}

fn failed(what: &'static str) -> MpcError {
    MpcError::Parameter { what, found: 0, expected: "one" }
}
