//! Counts, sums, means, variances, extrema, t-tests and correlations.

use num_bigint::{BigInt, Sign};

use super::super::answer::{Corr, TStatistic, TTest, Value};
use super::super::catalogue::Column;
use super::super::plan::{Factor, Split};
use super::exact::{Fraction, centered, ratio};
use super::sums::{Result, View, count, inconsistent};
use super::{tails, undefined};

/// Count, sum and sum of squares in one split, in fixed point.
#[derive(Clone, Copy)]
struct Moments {
    n: u64,
    sum: i128,
    squares: i128,
}

fn value(column: &Column) -> Factor {
    Factor::Value(column.name.clone())
}

fn squared(column: &Column) -> Vec<Factor> {
    // An indicator is its own square.
    vec![value(column); if column.is_indicator() { 1 } else { 2 }]
}

fn slot(slots: &[i128], split: usize) -> Result<i128> {
    slots.get(split).copied().ok_or_else(|| inconsistent("a slot is missing"))
}

fn moments(view: &View<'_>, column: &Column, split: usize) -> Result<Moments> {
    Ok(Moments {
        n: count(slot(view.product(&[])?, split)?)?,
        sum: slot(view.product(&[value(column)])?, split)?,
        squares: slot(view.product(&squared(column))?, split)?,
    })
}

impl Moments {
    /// n (n - 1) times the sample variance, in fixed point squared.
    fn spread(&self) -> Result<BigInt> {
        let spread = centered(self.n, self.squares, self.sum, self.sum);
        if spread.sign() == Sign::Minus {
            return Err(inconsistent("a sum of squares is too small"));
        }
        Ok(spread)
    }

    /// The sample variance; `None` for fewer than two values.
    fn variance(&self, digits: u8) -> Result<Option<f64>> {
        if self.n < 2 {
            return Ok(None);
        }
        let pairs = BigInt::from(self.n) * BigInt::from(self.n - 1);
        Ok(Fraction::new(self.spread()?, pairs).map(|f| f.scaled(-2 * i32::from(digits)).to_f64()))
    }

    fn mean(&self, digits: u8) -> Option<f64> {
        Fraction::new(self.sum.into(), self.n.into()).map(|f| f.scaled(-i32::from(digits)).to_f64())
    }
}

pub(super) fn count_rows(view: &View<'_>) -> Result<Value> {
    Ok(Value::Count { value: count(slot(view.product(&[])?, 0)?)? })
}

pub(super) fn sum(view: &View<'_>, column: &Column) -> Result<Value> {
    let sum = slot(view.product(&[value(column)])?, 0)?;
    if count(slot(view.product(&[])?, 0)?)? == 0 {
        return Ok(Value::Empty);
    }
    Ok(Value::Exact { value: sum.to_string(), digits: column.digits })
}

pub(super) fn mean(view: &View<'_>, column: &Column) -> Result<Value> {
    let n = count(slot(view.product(&[])?, 0)?)?;
    let mean = Moments { n, sum: slot(view.product(&[value(column)])?, 0)?, squares: 0 }.mean(column.digits);
    Ok(mean.map_or(Value::Empty, |value| Value::Real { value }))
}

pub(super) fn variance(view: &View<'_>, column: &Column) -> Result<Value> {
    let variance = moments(view, column, 0)?.variance(column.digits)?;
    Ok(variance.map_or_else(|| undefined("there are fewer than two values"), |value| Value::Real { value }))
}

pub(super) fn deviation(view: &View<'_>, column: &Column) -> Result<Value> {
    Ok(match variance(view, column)? {
        Value::Real { value } => Value::Real { value: value.sqrt() },
        other => other,
    })
}

pub(super) fn extremum(view: &View<'_>, column: &Column, max: bool) -> Result<Value> {
    let points = view.points()?;
    let found = if max { points.iter().rposition(|p| *p != 0) } else { points.iter().position(|p| *p != 0) };
    let Some(index) = found else { return Ok(Value::Empty) };
    let value = i128::from(column.min) + i128::try_from(index).unwrap_or(i128::MAX);
    Ok(Value::Exact { value: value.to_string(), digits: column.digits })
}

pub(super) fn t_test(view: &View<'_>, column: &Column) -> Result<Value> {
    if view.any_suppressed() {
        return Ok(Value::Suppressed);
    }
    let (a, b) = (moments(view, column, 0)?, moments(view, column, 1)?);
    let digits = i32::from(column.digits);
    let (variances, means) = (
        (a.variance(column.digits)?, b.variance(column.digits)?),
        (a.mean(column.digits), b.mean(column.digits)),
    );
    let ((Some(var_a), Some(var_b)), (Some(mean_a), Some(mean_b))) = (variances, means) else {
        return Ok(undefined("a group has fewer than two values"));
    };
    if var_a == 0.0 && var_b == 0.0 {
        return Ok(undefined("the values do not vary within the groups"));
    }
    let (n_a, n_b) = (a.n as f64, b.n as f64);
    let apart = BigInt::from(a.sum) * BigInt::from(b.n) - BigInt::from(b.sum) * BigInt::from(a.n);
    let apart = Fraction::new(apart, BigInt::from(a.n) * BigInt::from(b.n));
    let apart = apart.map(|f| f.scaled(-digits).to_f64()).ok_or_else(|| inconsistent("an empty group"))?;
    let (of_a, of_b) = (var_a / n_a, var_b / n_b);
    let welch_df = (of_a + of_b).powi(2) / (of_a.powi(2) / (n_a - 1.0) + of_b.powi(2) / (n_b - 1.0));
    let student_df = n_a + n_b - 2.0;
    let pooled = ((n_a - 1.0) * var_a + (n_b - 1.0) * var_b) / student_df;
    let test = |variance: f64, df: f64| TStatistic {
        t: apart / variance.sqrt(),
        df,
        p: tails::t_two_sided(apart * apart / variance, df),
    };
    Ok(Value::TTest(TTest {
        groups: two_codes(view)?,
        n: [a.n, b.n],
        mean: [mean_a, mean_b],
        var: [var_a, var_b],
        welch: test(of_a + of_b, welch_df),
        student: test(pooled * (1.0 / n_a + 1.0 / n_b), student_df),
    }))
}

fn two_codes(view: &View<'_>) -> Result<[String; 2]> {
    match view.splits() {
        [Split::Codes { codes, .. }] => codes.clone().try_into().ok(),
        _ => None,
    }
    .ok_or_else(|| inconsistent("not two groups"))
}

pub(super) fn correlation(view: &View<'_>, x: &Column, y: &Column) -> Result<Value> {
    let of = |product: &[Factor]| slot(view.product(product)?, 0);
    let n = count(of(&[])?)?;
    if n < 3 {
        return Ok(undefined("there are fewer than three pairs"));
    }
    let mut cross = vec![value(x), value(y)];
    cross.sort();
    if x.name == y.name {
        cross = squared(x);
    }
    let (sum_x, sum_y) = (of(&[value(x)])?, of(&[value(y)])?);
    let xx = centered(n, of(&squared(x))?, sum_x, sum_x);
    let yy = centered(n, of(&squared(y))?, sum_y, sum_y);
    let xy = centered(n, of(&cross)?, sum_x, sum_y);
    let product = &xx * &yy;
    let rest = &product - &xy * &xy;
    if [&xx, &yy, &rest].iter().any(|v| v.sign() == Sign::Minus) {
        return Err(inconsistent("a sum of squares is too small"));
    }
    let (Some(explained), Some(unexplained)) = (ratio(&xy * &xy, product.clone()), ratio(rest, product))
    else {
        return Ok(undefined("one of the columns does not vary"));
    };
    let size = explained.sqrt();
    let p = tails::f_upper((1.0, (n - 2) as f64), unexplained, explained);
    Ok(Value::Corr(Corr { n, r: if xy.sign() == Sign::Minus { -size } else { size }, p }))
}
