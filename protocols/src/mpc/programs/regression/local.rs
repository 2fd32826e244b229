//! What a hospital computes over its own rows: pure functions, `f64` in, integers modulo 2^64 out.
//!
//! Sums are rounded once, at the end, to a multiple of `2^-scale`. Overflow is excluded: covariates are in [-1, 1],
//! so a sum over at most `rows_max` rows of all hospitals together stays below `2^SUM_BITS`.

/// Bits of a pooled sum's magnitude.
pub const SUM_BITS: u32 = 60;

/// Most rows of all hospitals together.
pub const ROWS_MAX: u64 = 1 << 28;

/// Binary digits after the point of a sum over at most `rows_max` rows.
#[must_use]
pub fn scale(rows_max: u64) -> u32 {
    SUM_BITS - (64 - rows_max.clamp(1, ROWS_MAX).leading_zeros())
}

/// Why rows cannot be summed. Says which row and column, never a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LocalError {
    /// More rows here than the pool may have.
    #[error("{found} rows, at most {rows_max} were announced for all hospitals together")]
    TooManyRows {
        /// Rows here.
        found: usize,
        /// What was announced.
        rows_max: u64,
    },
    /// A covariate is not in [-1, 1] after scaling.
    #[error("covariate {column} of row {row} is out of the bounds of the catalogue")]
    OutOfBounds {
        /// Index of the row.
        row: usize,
        /// Index of the covariate.
        column: usize,
    },
    /// Columns of different lengths.
    #[error("{what}: {found} values, expected {expected}")]
    Shape {
        /// The column.
        what: &'static str,
        /// Its length.
        found: usize,
        /// The length of the others.
        expected: usize,
    },
    /// The coefficients that came are not numbers.
    #[error("coefficient {0} is not a finite number")]
    Coefficient(usize),
}

/// The rows of a hospital: scaled covariates, row by row, without the constant.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// `rows * columns` values in [-1, 1].
    pub covariates: &'a [f64],
    /// Covariates of a row.
    pub columns: usize,
    /// Most rows of all hospitals together.
    pub rows_max: u64,
}

impl<'a> Rows<'a> {
    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.covariates.len().checked_div(self.columns).unwrap_or(0)
    }

    /// True when there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.covariates.is_empty()
    }

    /// The rows, each of `columns` values.
    pub fn iter(&self) -> impl Iterator<Item = &'a [f64]> {
        self.covariates.chunks_exact(self.columns.max(1))
    }

    pub(super) fn check(&self, what: &'static str, labels: usize) -> Result<(), LocalError> {
        if labels != self.len() {
            return Err(LocalError::Shape { what, found: labels, expected: self.len() });
        }
        if self.len() as u64 > self.rows_max.min(ROWS_MAX) {
            return Err(LocalError::TooManyRows { found: self.len(), rows_max: self.rows_max });
        }
        match self.covariates.iter().position(|x| !is_scaled(*x)) {
            Some(at) => Err(LocalError::OutOfBounds {
                row: at / self.columns.max(1),
                column: at % self.columns.max(1),
            }),
            None => Ok(()),
        }
    }
}

/// Number of entries of the upper triangle of a `p` by `p` matrix, row by row.
#[must_use]
pub fn triangle(p: usize) -> usize {
    p * (p + 1) / 2
}

/// Sums for a linear regression: `[n, X'X (upper triangle), X'y, y'y]`, with a constant first in `X`.
///
/// `n` is an integer; the others have [`scale`] digits. `outcome` is scaled to [-1, 1] too.
///
/// # Errors
/// [`LocalError`].
pub fn linear_sums(rows: Rows<'_>, outcome: &[f64]) -> Result<Vec<u64>, LocalError> {
    rows.check("outcomes", outcome.len())?;
    if let Some(row) = outcome.iter().position(|y| !is_scaled(*y)) {
        return Err(LocalError::OutOfBounds { row, column: rows.columns });
    }
    let p = rows.columns + 1;
    let mut sums = vec![0.0; triangle(p) + p + 1];
    let mut x = vec![1.0; p];
    for (row, y) in rows.iter().zip(outcome) {
        x[1..].copy_from_slice(row);
        let (gram, rest) = sums.split_at_mut(triangle(p));
        add_outer(gram, &x, 1.0);
        for (sum, x) in rest.iter_mut().zip(&x) {
            *sum += x * y;
        }
        rest[p] += y * y;
    }
    let mut out = vec![rows.len() as u64];
    out.extend(sums.iter().map(|sum| round(*sum, scale(rows.rows_max))));
    Ok(out)
}

/// Sums for a step of Newton's method for logistic regression at `beta` (the intercept first, scaled units):
/// `[n, positives, gradient, information (upper triangle)]`.
///
/// `n` and `positives` are integers; the others have [`scale`] digits.
///
/// # Errors
/// [`LocalError`].
pub fn logit_sums(rows: Rows<'_>, outcome: &[bool], beta: &[f64]) -> Result<Vec<u64>, LocalError> {
    rows.check("outcomes", outcome.len())?;
    let p = rows.columns + 1;
    check_coefficients(beta, p)?;
    let mut gradient = vec![0.0; p];
    let mut information = vec![0.0; triangle(p)];
    let mut x = vec![1.0; p];
    for (row, y) in rows.iter().zip(outcome) {
        x[1..].copy_from_slice(row);
        let eta: f64 = x.iter().zip(beta).map(|(x, b)| x * b).sum();
        let mean = 1.0 / (1.0 + (-eta).exp());
        let residual = if *y { 1.0 / (1.0 + eta.exp()) } else { -mean };
        for (sum, x) in gradient.iter_mut().zip(&x) {
            *sum += x * residual;
        }
        add_outer(&mut information, &x, mean / (1.0 + eta.exp()));
    }
    let positives = outcome.iter().filter(|y| **y).count();
    let mut out = vec![rows.len() as u64, positives as u64];
    out.extend(gradient.iter().chain(&information).map(|sum| round(*sum, scale(rows.rows_max))));
    Ok(out)
}

/// A number in [-1, 1]; what is no number is not.
fn is_scaled(x: f64) -> bool {
    (-1.0..=1.0).contains(&x)
}

pub(super) fn check_coefficients(beta: &[f64], expected: usize) -> Result<(), LocalError> {
    if beta.len() != expected {
        return Err(LocalError::Shape { what: "coefficients", found: beta.len(), expected });
    }
    match beta.iter().position(|b| !b.is_finite()) {
        Some(at) => Err(LocalError::Coefficient(at)),
        None => Ok(()),
    }
}

/// Adds `weight * x x'` to an upper triangle.
pub(super) fn add_outer(triangle: &mut [f64], x: &[f64], weight: f64) {
    let mut entries = triangle.iter_mut();
    for (i, a) in x.iter().enumerate() {
        let wa = weight * a;
        for (b, entry) in x[i..].iter().zip(&mut entries) {
            *entry += wa * b;
        }
    }
}

/// The nearest multiple of `2^-scale`, as an integer modulo 2^64.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "magnitude below 2^60, two's complement"
)]
pub(super) fn round(sum: f64, scale: u32) -> u64 {
    (sum * f64::from(scale).exp2()).round() as i64 as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn real(word: u64, scale: u32) -> f64 {
        word.cast_signed() as f64 / f64::from(scale).exp2()
    }

    #[test]
    fn the_scale_leaves_room_for_all_rows() {
        for rows_max in [1, 2, 1000, 1 << 20, ROWS_MAX] {
            assert!(
                rows_max as f64 * f64::from(scale(rows_max)).exp2() < f64::from(SUM_BITS).exp2(),
                "{rows_max}"
            );
        }
        assert!(scale(u64::MAX) >= 30);
    }

    #[test]
    fn linear_sums_of_three_rows() {
        let covariates = [0.5, -1.0, 0.25, 1.0, -0.5, 0.0];
        let rows = Rows { covariates: &covariates, columns: 2, rows_max: 100 };
        let found = linear_sums(rows, &[1.0, 0.0, -0.5]).unwrap();
        let s = scale(100);
        assert_eq!(found[0], 3);
        let expected = [3.0, 0.25, 0.0, 0.5625, -0.25, 2.0, 0.5, 0.75, -1.0, 1.25];
        for (word, expected) in found[1..].iter().zip(expected) {
            assert!((real(*word, s) - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn the_logit_gradient_is_that_of_the_likelihood() {
        let covariates: Vec<f64> = (0..40).map(|i| f64::from(i * 37 % 41) / 20.5 - 1.0).collect();
        let rows = Rows { covariates: &covariates, columns: 2, rows_max: 20 };
        let outcome: Vec<bool> = (0..20).map(|i| i % 3 == 0).collect();
        let loglik = |beta: &[f64]| -> f64 {
            let eta = |row: &[f64]| beta[0] + beta[1] * row[0] + beta[2] * row[1];
            rows.iter().zip(&outcome).map(|(r, y)| if *y { eta(r) } else { 0.0 } - eta(r).exp().ln_1p()).sum()
        };
        let beta = [0.3, -0.8, 0.4];
        let found = logit_sums(rows, &outcome, &beta).unwrap();
        assert_eq!(found[..2], [20, 7]);
        for j in 0..3 {
            let (mut up, mut down) = (beta, beta);
            up[j] += 1e-5;
            down[j] -= 1e-5;
            let slope = (loglik(&up) - loglik(&down)) / 2e-5;
            assert!((real(found[2 + j], scale(20)) - slope).abs() < 1e-8, "{j}");
        }
    }

    #[test]
    fn extreme_predictors_give_finite_sums() {
        let rows = Rows { covariates: &[1.0, -1.0], columns: 1, rows_max: 2 };
        let found = logit_sums(rows, &[true, false], &[0.0, 800.0]).unwrap();
        assert_eq!(found[2..], [0, 0, 0, 0, 0]);
    }

    #[test]
    fn rows_out_of_bounds_are_refused_by_place_not_value() {
        let rows = Rows { covariates: &[0.0, 0.0, 0.0, 1.5], columns: 2, rows_max: 9 };
        let error = linear_sums(rows, &[0.0, 0.0]).unwrap_err();
        assert_eq!(error, LocalError::OutOfBounds { row: 1, column: 1 });
        assert!(!error.to_string().contains("1.5"));
        let rows = Rows { covariates: &[0.0, 0.0], columns: 1, rows_max: 1 };
        assert!(matches!(linear_sums(rows, &[0.0, 0.0]), Err(LocalError::TooManyRows { .. })));
        let rows = Rows { covariates: &[0.0, f64::NAN], columns: 1, rows_max: 9 };
        assert!(matches!(
            logit_sums(rows, &[true, false], &[0.0; 2]),
            Err(LocalError::OutOfBounds { row: 1, .. })
        ));
        let rows = Rows { covariates: &[0.0, 0.0], columns: 1, rows_max: 9 };
        assert_eq!(logit_sums(rows, &[true, false], &[0.0, f64::NAN]), Err(LocalError::Coefficient(1)));
    }
}
