//! Public scaling of covariates, from the bounds of the catalogue.

/// `x' = (x - centre) / half`, so that every value within the bounds is in [-1, 1].
///
/// `half` is a power of two and `centre` a multiple of `half / 4`: `centre / half` is then a multiple of 1/4, and the
/// variance of the intercept can be taken back to the unscaled covariates by integer arithmetic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scaling {
    centre: f64,
    half: f64,
}

/// Greatest `|centre / half|`: bounds further from zero than this many times their width lose accuracy.
pub const OFFSET_MAX: f64 = 64.0;

impl Scaling {
    /// From the bounds of a column; none when they are not finite, are not ordered, or lie further than
    /// [`OFFSET_MAX`] times half their width from zero.
    #[must_use]
    pub fn from_bounds(min: f64, max: f64) -> Option<Self> {
        if !(min.is_finite() && max.is_finite() && min < max) {
            return None;
        }
        let mut half = ((max - min) / 2.0).log2().ceil().exp2();
        loop {
            let quarter = half / 4.0;
            let centre = ((min + max) / 2.0 / quarter).round() * quarter;
            if !(half.is_normal() && centre.is_finite() && centre.abs() <= OFFSET_MAX * half) {
                return None;
            }
            if max - centre <= half && centre - min <= half {
                return Some(Self { centre, half });
            }
            half *= 2.0;
        }
    }

    /// A value in scaled units; none when it is outside of [-1, 1] there.
    #[must_use]
    pub fn apply(&self, value: f64) -> Option<f64> {
        let scaled = (value - self.centre) / self.half;
        (scaled.abs() <= 1.0).then_some(scaled)
    }

    /// What is subtracted.
    #[must_use]
    pub fn centre(&self) -> f64 {
        self.centre
    }

    /// What is divided by.
    #[must_use]
    pub fn half(&self) -> f64 {
        self.half
    }

    /// `4 * centre / half`, an integer of at most `4 * OFFSET_MAX`.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "an integer of at most 256 by construction")]
    pub fn offset_quarters(&self) -> i64 {
        (4.0 * self.centre / self.half).round() as i64
    }
}

/// Coefficients in the units of the covariates, from scaled ones. With an intercept, it comes first in both.
#[must_use]
pub fn unscale(scaled: &[f64], scalings: &[Scaling], has_intercept: bool) -> Vec<f64> {
    let slopes = &scaled[usize::from(has_intercept).min(scaled.len())..];
    let mut out: Vec<f64> = slopes.iter().zip(scalings).map(|(b, s)| b / s.half).collect();
    if has_intercept && let Some(intercept) = scaled.first() {
        let shift: f64 = out.iter().zip(scalings).map(|(b, s)| b * s.centre).sum();
        out.insert(0, intercept - shift);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_map_into_the_unit_interval_with_quarter_offsets() {
        for (min, max) in [(0.0, 1.0), (0.0, 120.0), (5.0, 100.0), (1.0, 3.0), (1970.0, 2030.0), (-3.0, 0.1)]
        {
            let s = Scaling::from_bounds(min, max).unwrap();
            assert!(s.apply(min).is_some() && s.apply(max).is_some(), "{min} {max}");
            assert!(s.half() < 2.0 * (max - min), "{min} {max}: half {}", s.half());
            let quarters = 4.0 * s.centre() / s.half();
            assert!((quarters - s.offset_quarters() as f64).abs() < 1e-12, "{min} {max}");
        }
    }

    #[test]
    fn bounds_that_are_not_bounds_are_refused() {
        for (min, max) in [(1.0, 1.0), (2.0, 1.0), (f64::NAN, 1.0), (0.0, f64::INFINITY), (1e6, 1e6 + 1.0)] {
            assert_eq!(Scaling::from_bounds(min, max), None, "{min} {max}");
        }
    }

    #[test]
    fn a_value_out_of_bounds_is_none() {
        let s = Scaling::from_bounds(0.0, 1.0).unwrap();
        assert_eq!(s.apply(1.01), None);
        assert_eq!(s.apply(f64::NAN), None);
        assert_eq!(s.apply(1.0), Some(1.0));
    }

    #[test]
    fn coefficients_go_back_to_the_units_of_the_covariates() {
        let scalings = [Scaling::from_bounds(0.0, 120.0).unwrap(), Scaling::from_bounds(5.0, 100.0).unwrap()];
        let raw = [0.7, -0.02, 0.3];
        let mut scaled = vec![raw[0] + raw[1] * scalings[0].centre() + raw[2] * scalings[1].centre()];
        scaled.extend(raw[1..].iter().zip(&scalings).map(|(b, s)| b * s.half()));
        for (found, expected) in unscale(&scaled, &scalings, true).iter().zip(raw) {
            assert!((found - expected).abs() < 1e-12);
        }
    }
}
