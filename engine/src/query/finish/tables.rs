//! Histograms, contingency tables, chi-square, odds and risk ratios.

use super::super::answer::{Chi2, Chi2Pair, Crosstab, Histogram, OddsRatio, Value};
use super::super::catalogue::Column;
use super::super::plan::Split;
use super::exact::{Fraction, ratio};
use super::sums::{Result, View, count, inconsistent};
use super::tails::{Z_975, chi2_upper};
use super::undefined;

pub(super) fn histogram(view: &View<'_>, column: &Column) -> Result<Value> {
    let [Split::Bins { edges, .. }] = view.splits() else { return Err(inconsistent("no bins")) };
    let mut counts = shown(view)?;
    if counts.len() != edges.len() + 1 || edges.len() < 2 {
        return Err(inconsistent("the bins do not fit their edges"));
    }
    let above = counts.pop().flatten();
    let below = counts.remove(0);
    let decimal = |edge: &i64| {
        Fraction::new((*edge).into(), 1.into()).map_or(0.0, |f| f.scaled(-i32::from(column.digits)).to_f64())
    };
    Ok(Value::Histogram(Histogram {
        column: column.name.clone(),
        unit: column.unit.clone(),
        edges: edges.iter().map(decimal).collect(),
        counts,
        below,
        above,
    }))
}

/// The counts of the splits, `None` where every hospital withheld.
fn shown(view: &View<'_>) -> Result<Vec<Option<u64>>> {
    let counts = view.product(&[])?.iter().enumerate();
    counts.map(|(i, slot)| Ok(if view.is_suppressed(i) { None } else { Some(count(*slot)?) })).collect()
}

/// A table of counts with its margins.
struct Table<'a> {
    rows: &'a [String],
    columns: &'a [String],
    shown: Vec<Vec<Option<u64>>>,
}

impl<'a> Table<'a> {
    fn new(view: &'a View<'_>) -> Result<Self> {
        let [Split::Codes { codes: rows, .. }, Split::Codes { codes: columns, .. }] = view.splits() else {
            return Err(inconsistent("no table"));
        };
        let shown = shown(view)?.chunks(columns.len().max(1)).map(<[_]>::to_vec).collect();
        Ok(Self { rows, columns, shown })
    }

    /// The counts; `None` when a cell is suppressed.
    fn full(&self) -> Option<Vec<Vec<u64>>> {
        self.shown.iter().map(|r| r.iter().copied().collect()).collect()
    }

    /// The counts of the rows and columns that are not empty; `None` when a cell is suppressed.
    fn counts(&self) -> Option<Vec<Vec<u64>>> {
        let full = self.full()?;
        let kept: Vec<usize> = (0..self.columns.len())
            .filter(|j| full.iter().any(|row| row.get(*j).is_some_and(|n| *n > 0)))
            .collect();
        let rows = full.into_iter().filter(|row| row.iter().any(|n| *n > 0));
        Some(rows.map(|row| kept.iter().filter_map(|j| row.get(*j).copied()).collect()).collect())
    }

    fn two_by_two(&self) -> Option<[[u64; 2]; 2]> {
        match self.shown.as_slice() {
            [a, b] => match (a.as_slice(), b.as_slice()) {
                ([Some(a), Some(b)], [Some(c), Some(d)]) => Some([[*a, *b], [*c, *d]]),
                _ => None,
            },
            _ => None,
        }
    }
}

/// Row sums, column sums and the total.
fn margins(table: &[Vec<u64>]) -> (Vec<u64>, Vec<u64>, u64) {
    let rows: Vec<u64> =
        table.iter().map(|row| row.iter().fold(0, |s: u64, n| s.saturating_add(*n))).collect();
    let width = table.first().map_or(0, Vec::len);
    let column =
        |j: usize| table.iter().filter_map(|row| row.get(j)).fold(0, |s: u64, n| s.saturating_add(*n));
    let columns = (0..width).map(column).collect();
    let total = rows.iter().fold(0, |s: u64, n| s.saturating_add(*n));
    (rows, columns, total)
}

fn expected(table: &[Vec<u64>]) -> Vec<Vec<f64>> {
    let (rows, columns, total) = margins(table);
    let cell = |r: u64, c: u64| ratio(u128::from(r) * u128::from(c), total).unwrap_or(0.0);
    rows.iter().map(|r| columns.iter().map(|c| cell(*r, *c)).collect()).collect()
}

/// Both forms of the test, over a table without empty rows and columns; `None` when there is one row or column.
fn chi2_pair(table: &[Vec<u64>]) -> Option<Chi2Pair> {
    let (rows, columns, total) = margins(table);
    if rows.len() < 2 || columns.len() < 2 {
        return None;
    }
    let df = u32::try_from((rows.len() - 1) * (columns.len() - 1)).ok()?;
    let n = total as f64;
    let statistic = |correction: f64| {
        let mut sum = 0.0;
        for (row, r) in table.iter().zip(&rows) {
            for (cell, c) in row.iter().zip(&columns) {
                let product = *r as f64 * *c as f64;
                // n (observed - expected), exactly.
                let apart = i128::from(*cell) * i128::from(total) - i128::from(*r) * i128::from(*c);
                let apart = apart.unsigned_abs() as f64;
                let corrected = (apart - (correction * n).min(apart)).max(0.0);
                sum += corrected * (corrected / product) / n;
            }
        }
        Chi2 { chi2: sum, df, p: chi2_upper(sum, df) }
    };
    let pearson = statistic(0.0);
    let yates = if df == 1 { statistic(0.5) } else { pearson.clone() };
    Some(Chi2Pair { pearson, yates })
}

fn ratios([[a, b], [c, d]]: [[u64; 2]; 2]) -> Option<OddsRatio> {
    if [a, b, c, d].contains(&0) {
        return None;
    }
    let inverse = |n: u64| 1.0 / n as f64;
    let odds_ratio = ratio(u128::from(a) * u128::from(d), u128::from(b) * u128::from(c))?;
    let log_se = (inverse(a) + inverse(b) + inverse(c) + inverse(d)).sqrt();
    let (row_a, row_c) = (a.checked_add(b)?, c.checked_add(d)?);
    let risk_ratio = ratio(u128::from(a) * u128::from(row_c), u128::from(c) * u128::from(row_a))?;
    // 1/a - 1/(a + b) = b / (a (a + b))
    let of = |events: u64, others: u64, all: u64| others as f64 / (events as f64 * all as f64);
    let risk_se = (of(a, b, row_a) + of(c, d, row_c)).sqrt();
    let interval = |center: f64, se: f64| {
        let factor = (Z_975 * se).exp();
        [center / factor, center * factor]
    };
    Some(OddsRatio {
        odds_ratio,
        odds_ratio_ci95: interval(odds_ratio, log_se),
        log_se,
        risk_ratio,
        risk_ratio_ci95: interval(risk_ratio, risk_se),
    })
}

pub(super) fn crosstab(view: &View<'_>) -> Result<Value> {
    let table = Table::new(view)?;
    let counts = table.counts();
    Ok(Value::Crosstab(Box::new(Crosstab {
        rows: table.rows.to_vec(),
        columns: table.columns.to_vec(),
        expected: table.full().as_deref().map(expected).unwrap_or_default(),
        chi2: counts.as_deref().and_then(chi2_pair),
        odds_ratio: table.two_by_two().and_then(ratios),
        table: table.shown,
    })))
}

pub(super) fn chi2(view: &View<'_>) -> Result<Value> {
    let Some(counts) = Table::new(view)?.counts() else { return Ok(Value::Suppressed) };
    Ok(chi2_pair(&counts)
        .map_or_else(|| undefined("the table has fewer than two rows or columns"), Value::Chi2))
}

pub(super) fn odds_ratio(view: &View<'_>) -> Result<Value> {
    let Some(counts) = Table::new(view)?.two_by_two() else { return Ok(Value::Suppressed) };
    Ok(ratios(counts).map_or_else(|| undefined("a cell of the table is empty"), Value::OddsRatio))
}
