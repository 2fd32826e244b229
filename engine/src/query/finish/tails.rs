//! Tail probabilities, to full relative accuracy down to the smallest double.
//!
//! Upper incomplete gamma and incomplete beta by their continued fractions (Lentz's evaluation; Abramowitz and
//! Stegun 6.5.31, Didonato and Morris 1992) or, where the tail is not small, by the series of the other side. The
//! arguments come as pairs `(x, 1 - x)`, so that neither is made from the other by cancellation, and logarithms
//! of gamma functions enter as differences for the same reason.

use std::f64::consts::PI;

/// Standard normal quantile of 0.975.
pub(crate) const Z_975: f64 = 1.959_963_984_540_054;

/// Keeps a denominator of a continued fraction from zero.
const TINY: f64 = 1e-300;

/// More iterations than any argument with up to 2^40 degrees of freedom takes.
const ITERATIONS_MAX: u32 = 5_000_000;

/// Arguments from which Stirling's series is accurate to the last digit.
const STIRLING_FROM: f64 = 16.0;

/// P(chi-square with `df` degrees of freedom >= x).
pub(crate) fn chi2_upper(x: f64, df: u32) -> f64 {
    if x <= 0.0 { 1.0 } else { gamma_upper(f64::from(df) / 2.0, x / 2.0) }
}

/// P(|t| >= given) for Student's t with `df` degrees of freedom, from t squared.
pub(crate) fn t_two_sided(t_squared: f64, df: f64) -> f64 {
    let sum = df + t_squared;
    beta_regularized(df / 2.0, 0.5, (df / sum, t_squared / sum))
}

/// The 0.975 quantile of Student's t, by bisection.
pub(crate) fn t_quantile_975(df: f64) -> f64 {
    let (mut low, mut high) = (0.0f64, 1e6);
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        if t_two_sided(middle * middle, df) > 0.05 { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

/// P(F >= given), from the explained and the unexplained part of the variance, which sum to 1.
pub(crate) fn f_upper(df: (f64, f64), unexplained: f64, explained: f64) -> f64 {
    beta_regularized(df.1 / 2.0, df.0 / 2.0, (unexplained, explained))
}

/// Q(a, x), the regularized upper incomplete gamma function, for a > 0 and x > 0.
fn gamma_upper(a: f64, x: f64) -> f64 {
    let front = (a * x.ln() - x - ln_gamma(a)).exp();
    if x < a + 1.0 {
        let (mut term, mut sum, mut n) = (1.0 / a, 1.0 / a, a);
        for _ in 0..ITERATIONS_MAX {
            n += 1.0;
            term *= x / n;
            sum += term;
            if term < sum * f64::EPSILON / 8.0 {
                break;
            }
        }
        return (1.0 - front * sum).clamp(0.0, 1.0);
    }
    let mut b = x + 1.0 - a;
    let (mut c, mut d) = (1.0 / TINY, 1.0 / b);
    let mut fraction = d;
    for i in 1..=ITERATIONS_MAX {
        let i = f64::from(i);
        let numerator = -i * (i - a);
        b += 2.0;
        d = 1.0 / away_from_zero(numerator * d + b);
        c = away_from_zero(b + numerator / c);
        fraction *= c * d;
        if (c * d - 1.0).abs() < f64::EPSILON {
            break;
        }
    }
    (front * fraction).clamp(0.0, 1.0)
}

/// I_x(a, b), the regularized incomplete beta function, for a, b > 0 and (x, 1 - x).
fn beta_regularized(a: f64, b: f64, (x, y): (f64, f64)) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if y <= 0.0 {
        return 1.0;
    }
    let ln_x = if y < 0.5 { (-y).ln_1p() } else { x.ln() };
    let ln_y = if x < 0.5 { (-x).ln_1p() } else { y.ln() };
    let front = (a * ln_x + b * ln_y - ln_beta(a, b)).exp();
    if x < (a + 1.0) / (a + b + 2.0) {
        (front * beta_fraction(a, b, x) / a).clamp(0.0, 1.0)
    } else {
        (1.0 - front * beta_fraction(b, a, y) / b).clamp(0.0, 1.0)
    }
}

fn beta_fraction(a: f64, b: f64, x: f64) -> f64 {
    let mut c = 1.0;
    let mut d = 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    for m in 1..=ITERATIONS_MAX {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / away_from_zero(1.0 + even * d);
        c = away_from_zero(1.0 + even / c);
        fraction *= c * d;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / away_from_zero(1.0 + odd * d);
        c = away_from_zero(1.0 + odd / c);
        fraction *= c * d;
        if (c * d - 1.0).abs() < f64::EPSILON {
            break;
        }
    }
    fraction
}

fn away_from_zero(x: f64) -> f64 {
    if x.abs() < TINY { TINY } else { x }
}

/// ln B(a, b), without the cancellation of three large logarithms.
fn ln_beta(a: f64, b: f64) -> f64 {
    let (small, large) = if a < b { (a, b) } else { (b, a) };
    if large < STIRLING_FROM {
        return ln_gamma(small) + ln_gamma(large) - ln_gamma(small + large);
    }
    // ln G(large + small) - ln G(large), by Stirling's series of both.
    let sum = large + small;
    let ratio =
        (large - 0.5) * (small / large).ln_1p() + small * sum.ln() - small + stirling(sum) - stirling(large);
    ln_gamma(small) - ratio
}

/// ln of the gamma function, for x > 0.
fn ln_gamma(x: f64) -> f64 {
    let (mut shifted, mut below) = (x, 1.0);
    while shifted < STIRLING_FROM {
        below *= shifted;
        shifted += 1.0;
    }
    (shifted - 0.5) * shifted.ln() - shifted + (2.0 * PI).ln() / 2.0 + stirling(shifted) - below.ln()
}

/// The correction of Stirling's formula, for x of at least [`STIRLING_FROM`].
fn stirling(x: f64) -> f64 {
    let inverse = 1.0 / (x * x);
    let series = [1.0 / 12.0, -1.0 / 360.0, 1.0 / 1260.0, -1.0 / 1680.0, 1.0 / 1188.0, -691.0 / 360_360.0];
    series.iter().rev().fold(0.0, |sum, coefficient| sum * inverse + coefficient) / x
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, exact: f64) {
        assert!((found - exact).abs() <= 2e-12 * exact.abs(), "{found:e} is not {exact:e}");
    }

    /// Known answers: mpmath 1.3, 40 digits.
    #[test]
    fn gamma_tails_equal_known_answers() {
        for (a, x, exact) in [
            (0.5, 600.0, 6.0995688148084337e-263),
            (0.5, 676.0, 5.663192408856143e-296),
            (0.5, 0.25, 0.479_500_122_186_953_5),
            (1.0, 34.3, 1.2696945946663515e-15),
            (1.0, 140.0, 1.580420060273613e-61),
            (2.5, 1.0, 0.849_145_036_084_609_6),
            (10.0, 16.7, 0.030_481_782_446_593_446),
            (50.0, 80.0, 0.000_130_783_976_591_410_34),
            (1000.0, 1500.0, 2.204698611388996e-43),
        ] {
            close(gamma_upper(a, x), exact);
        }
        assert_eq!(chi2_upper(0.0, 3), 1.0);
        assert_eq!(chi2_upper(1e6, 3), 0.0);
    }

    /// Known answers: mpmath 1.3, 40 digits.
    #[test]
    fn beta_tails_equal_known_answers() {
        for (a, b, x, exact) in [
            (1490.0, 0.5, 0.95, 4.17597565460844e-35),
            (249.88, 0.5, 0.71, 4.48213867447057e-39),
            (978.97, 0.5, 0.868, 3.2129815083399014e-62),
            (4999.0, 0.5, 0.99999, 0.751_859_036_972_718_4),
            (6288.0, 0.5, 0.999, 0.000_389_523_064_579_254_3),
        ] {
            close(beta_regularized(a, b, (x, 1.0 - x)), exact);
        }
        assert_eq!(beta_regularized(4999.0, 0.5, (0.85, 0.15)), 0.0);
    }

    /// Known answers: mpmath 1.3.
    #[test]
    fn t_quantiles_equal_known_answers() {
        for (df, exact) in
            [(1.0, 12.706_204_736_174_7), (10.0, 2.228_138_851_964_94), (100.0, 1.983_971_518_523_55)]
        {
            assert!((t_quantile_975(df) - exact).abs() < 1e-9, "{df}: {}", t_quantile_975(df));
        }
    }

    #[test]
    fn the_two_sides_of_beta_sum_to_one() {
        for (a, b, x) in [(0.5, 0.5, 0.3), (3.0, 4.0, 0.5), (20.0, 0.5, 0.97), (300.0, 200.0, 0.61)] {
            let (one, other) = (beta_regularized(a, b, (x, 1.0 - x)), beta_regularized(b, a, (1.0 - x, x)));
            assert!((one + other - 1.0).abs() < 1e-13, "{a} {b} {x}");
        }
    }
}
