//! Axes: round ticks and the map from data to page.

/// A linear map from data to page coordinates, clamped at both ends. Never divides by zero: an empty domain
/// maps everything to its start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    domain: [f64; 2],
    range: [f64; 2],
}

impl Scale {
    /// `domain` (data) onto `range` (page); either may run backwards on the page.
    #[must_use]
    pub fn new(domain: [f64; 2], range: [f64; 2]) -> Self {
        Self { domain, range }
    }

    /// Where a value lies; a value that is no number lies at the start.
    #[must_use]
    pub fn at(&self, x: f64) -> f64 {
        let [d0, d1] = self.domain;
        let [r0, r1] = self.range;
        let share = (x - d0) / (d1 - d0);
        if share.is_finite() {
            r0 + share.clamp(0.0, 1.0) * (r1 - r0)
        } else if x == f64::INFINITY && d1 > d0 {
            r1
        } else {
            r0
        }
    }
}

/// Round numbers (1, 2, 2.5 or 5 times a power of ten apart) from `low` to at most `high`, about `wanted` of
/// them, at most `2 * wanted + 2`. Just `low` when the interval is empty, not finite, or holds no round number.
#[must_use]
pub fn ticks(low: f64, high: f64, wanted: usize) -> Vec<f64> {
    let span = high - low;
    if !(span.is_finite() && span > 0.0) || wanted == 0 {
        return vec![if low.is_finite() { low } else { 0.0 }];
    }
    let step = step(span / wanted as f64);
    let first = (low / step).ceil();
    let last = (high / step + 1e-9).floor();
    if last < first {
        return vec![low];
    }
    let count = (last - first) as usize + 1;
    (0..count.min(2 * wanted + 2)).map(|i| (first + i as f64) * step).collect()
}

/// The nearest round step at or above three quarters of the raw one.
fn step(raw: f64) -> f64 {
    let power = 10f64.powf(raw.log10().floor());
    let share = raw / power;
    let round = match share {
        s if s <= 1.2 => 1.0,
        s if s <= 2.2 => 2.0,
        s if s <= 3.2 => 2.5,
        s if s <= 6.5 => 5.0,
        _ => 10.0,
    };
    round * power
}

/// Tick labels with the decimals that the ticks need, thousands grouped by commas.
#[must_use]
pub fn labels(ticks: &[f64]) -> Vec<String> {
    let decimals = ticks.iter().map(|t| decimals(*t)).max().unwrap_or(0);
    ticks.iter().map(|t| label(*t, decimals)).collect()
}

/// One number as a label, with the decimals it needs (at most six).
#[must_use]
pub fn number(x: f64) -> String {
    label(x, decimals(x))
}

fn decimals(x: f64) -> usize {
    (0..6)
        .find(|d| {
            let scaled = x * 10f64.powi(*d);
            (scaled - scaled.round()).abs() < 1e-6 * scaled.abs().max(1.0)
        })
        .and_then(|d| usize::try_from(d).ok())
        .unwrap_or(6)
}

fn label(x: f64, decimals: usize) -> String {
    let numbers = crate::cli::output::number::Numbers { grouped: true };
    if x.abs() >= 1e15 || (x != 0.0 && x.abs() < 1e-6) || !x.is_finite() {
        return numbers.significant(x, 3);
    }
    let text = crate::cli::output::number::fixed(x, decimals);
    let digits: String = text.chars().filter(|c| *c != '.').collect();
    numbers.exact(&digits, u8::try_from(decimals).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ticks_of_known_intervals() {
        assert_eq!(ticks(0.0, 1.0, 5), [0.0, 0.2, 0.4, 0.600_000_000_000_000_1, 0.8, 1.0]);
        assert_eq!(ticks(0.0, 7043.0, 6), [0.0, 1000.0, 2000.0, 3000.0, 4000.0, 5000.0, 6000.0, 7000.0]);
        assert_eq!(ticks(0.0, 0.0, 6), [0.0]);
        assert_eq!(ticks(3.0, f64::NAN, 6), [3.0]);
    }

    #[test]
    fn labels_share_their_decimals() {
        assert_eq!(labels(&[0.0, 0.25, 0.5]), ["0.00", "0.25", "0.50"]);
        assert_eq!(labels(&[0.0, 2000.0]), ["0", "2,000"]);
        assert_eq!(number(-18.5), "-18.5");
    }

    proptest! {
        #[test]
        fn ticks_ascend_within_the_interval(low in -1e9f64..1e9, span in 1e-3f64..1e9, wanted in 1usize..20) {
            let high = low + span;
            let ticks = ticks(low, high, wanted);
            prop_assert!(ticks.len() <= 2 * wanted + 2);
            prop_assert!(ticks.windows(2).all(|w| w[0] < w[1]));
            let slack = 1e-6 * (span + low.abs());
            prop_assert!(ticks.iter().all(|t| *t >= low - slack && *t <= high + slack));
        }

        #[test]
        fn ticks_and_scales_survive_any_bits(a in any::<f64>(), b in any::<f64>(), x in any::<f64>()) {
            prop_assert_eq!(labels(&ticks(a, b, 6)).len(), ticks(a, b, 6).len());
            let y = Scale::new([a, b], [10.0, 500.0]).at(x);
            prop_assert!((10.0..=500.0).contains(&y));
        }
    }
}
