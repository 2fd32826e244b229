//! Least squares from the sums of products, solved exactly: fraction-free elimination over the integers (Bareiss
//! 1968, in Jordan's form), so that a badly scaled or nearly collinear design loses no digit.

use num_bigint::{BigInt, Sign};

use super::super::answer::{Ols, Term, Value};
use super::super::catalogue::Column;
use super::super::needs::{DesignTerm, design, product};
use super::exact::Fraction;
use super::sums::{Result, View, count, inconsistent};
use super::{tails, undefined};

/// X'X, X'y and y'y in fixed point, with the number of rows.
struct Normal {
    n: u64,
    gram: Vec<Vec<BigInt>>,
    cross: Vec<BigInt>,
    squares: BigInt,
}

/// Solution of the normal equations: every entry over one determinant.
struct Solved {
    determinant: BigInt,
    /// `determinant` times the estimates.
    estimates: Vec<BigInt>,
    /// `determinant` times the diagonal of the inverse of X'X.
    diagonal: Vec<BigInt>,
}

pub(super) fn ols(view: &View<'_>, y: &str, xs: &[String], columns: &[Column]) -> Result<Value> {
    let (terms, outcome) = design(y, xs, columns)?;
    let normal = normal(view, &terms, &outcome, columns)?;
    if normal.n <= terms.len() as u64 {
        return Ok(undefined("there are no more rows than terms"));
    }
    for (i, term) in terms.iter().enumerate() {
        if normal.gram[i][i].sign() == Sign::NoSign {
            return Ok(undefined(&format!("`{}` is zero in every row", term.name)));
        }
    }
    match solve(&normal)? {
        Some(solved) => fit(&normal, &solved, &terms, outcome.digits),
        None => Ok(undefined("the predictors are collinear")),
    }
}

fn normal(view: &View<'_>, terms: &[DesignTerm], outcome: &DesignTerm, columns: &[Column]) -> Result<Normal> {
    let of = |a: &DesignTerm, b: &DesignTerm| {
        let factors = a.factor.iter().chain(&b.factor).cloned().collect();
        let Some(factors) = product(factors, columns) else { return Ok(BigInt::ZERO) };
        let slot = view.product(&factors)?.first().copied();
        slot.map(BigInt::from).ok_or_else(|| inconsistent("a slot is missing"))
    };
    let row = |a: &DesignTerm| terms.iter().map(|b| of(a, b)).collect::<Result<Vec<_>>>();
    let n = view.product(&[])?.first().copied().unwrap_or_default();
    Ok(Normal {
        n: count(n)?,
        gram: terms.iter().map(row).collect::<Result<_>>()?,
        cross: terms.iter().map(|t| of(t, outcome)).collect::<Result<_>>()?,
        squares: of(outcome, outcome)?,
    })
}

/// Solves by elimination of [X'X | X'y | 1]; `None` when X'X is singular. X'X is positive semidefinite, so its
/// leading minors, the pivots, are positive until one is zero.
fn solve(normal: &Normal) -> Result<Option<Solved>> {
    let size = normal.gram.len();
    let unit = |i: usize, j: usize| BigInt::from(u8::from(i == j));
    let mut rows: Vec<Vec<BigInt>> = Vec::with_capacity(size);
    for (i, (gram, cross)) in normal.gram.iter().zip(&normal.cross).enumerate() {
        rows.push(gram.iter().chain([cross]).cloned().chain((0..size).map(|j| unit(i, j))).collect());
    }
    let mut previous = BigInt::from(1);
    for k in 0..size {
        let pivot_row = rows[k].clone();
        let pivot = pivot_row[k].clone();
        match pivot.sign() {
            Sign::Plus => {}
            Sign::NoSign => return Ok(None),
            Sign::Minus => return Err(inconsistent("a sum of squares is too small")),
        }
        let others = rows.iter_mut().enumerate().filter(|(i, _)| *i != k);
        for row in others.map(|(_, row)| row) {
            let factor = row[k].clone();
            for (entry, above) in row.iter_mut().zip(&pivot_row) {
                *entry = (&*entry * &pivot - &factor * above) / &previous;
            }
        }
        previous = pivot;
    }
    Ok(Some(Solved {
        determinant: previous,
        estimates: rows.iter().map(|row| row[size].clone()).collect(),
        diagonal: rows.iter().enumerate().map(|(i, row)| row[size + 1 + i].clone()).collect(),
    }))
}

fn fit(normal: &Normal, solved: &Solved, terms: &[DesignTerm], digits: u8) -> Result<Value> {
    let (n, size) = (normal.n, terms.len() as u64);
    let (all, rest) = (BigInt::from(n), BigInt::from(n - size));
    // Over the determinant: residual sum of squares; over n: total sum of squares about the mean.
    let explained: BigInt = normal.cross.iter().zip(&solved.estimates).map(|(b, x)| b * x).sum();
    let residual = &normal.squares * &solved.determinant - explained;
    let total = &all * &normal.squares - &normal.cross[0] * &normal.cross[0];
    if residual.sign() == Sign::Minus || total.sign() == Sign::Minus {
        return Err(inconsistent("a sum of squares is too small"));
    }
    if total.sign() == Sign::NoSign {
        return Ok(undefined("the outcome does not vary"));
    }
    if residual.sign() == Sign::NoSign {
        return Ok(undefined("the fit leaves no residual"));
    }
    let whole = &total * &solved.determinant;
    let unexplained = &residual * &all;
    let gap = &whole - &unexplained;
    let places = i32::from(digits);
    let number = |numerator: BigInt, denominator: BigInt, power: i32| {
        let fraction = Fraction::new(numerator, denominator);
        fraction.map(|f| f.scaled(power).to_f64()).ok_or_else(|| inconsistent("a division by zero"))
    };
    let df = (n - size) as f64;
    let mut fitted = Vec::with_capacity(terms.len());
    for ((term, estimate), diagonal) in terms.iter().zip(&solved.estimates).zip(&solved.diagonal) {
        let shift = i32::from(term.digits) - places;
        let coef = number(estimate.clone(), solved.determinant.clone(), shift)?;
        let below = &rest * &solved.determinant * &solved.determinant;
        let variance = number(&residual * diagonal, below, 2 * shift)?;
        let t_squared = number(estimate * estimate * &rest, &residual * diagonal, 0)?;
        let p = tails::t_two_sided(t_squared, df);
        fitted.push(Term {
            name: term.name.clone(),
            coef,
            se: variance.sqrt(),
            t: t_squared.sqrt().copysign(coef),
            p,
        });
    }
    let slopes = BigInt::from(size - 1);
    let (r2, rest_r2) =
        (number(gap.clone(), whole.clone(), 0)?, number(unexplained.clone(), whole.clone(), 0)?);
    let adjusted = &whole * &rest - &unexplained * (&all - 1);
    Ok(Value::Ols(Ols {
        n,
        terms: fitted,
        r2,
        adj_r2: number(adjusted, &whole * &rest, 0)?,
        sigma2: number(residual, &rest * &solved.determinant, -2 * places)?,
        f: number(gap * &rest, unexplained * slopes, 0)?,
        f_p: tails::f_upper(((size - 1) as f64, df), rest_r2, r2),
    }))
}
